// Sixty and more edits of a topology, each in several circumstances: with state in open windows, with rows that wait in
// the feeds of sinks that are away, the same behind a kill, and with the former file put back afterwards. What `plan`
// says of an edit is what `run` does with it, which is what the table says; and behind it every result is what the rows
// make it, computed here from the rows alone: of an edit that is refused as if nobody had tried it.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>
#include <arrow/buffer.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/memory.h>
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <arrow/util/utf8.h>
#include <glog/logging.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

#include "operators/operators.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/former.h"
#include "src/runtime/start_check.h"
#include "src/sim/deployment.h"

namespace tidemark::sim {
namespace {

constexpr char kTopology[] = R"yaml(
name: edits
commit_interval: 20ms
memory: 512MiB
kafka: { brokers: simulated }
sources:
  events:
    topic: events
    partitioned_by: [id]
    columns:
      id: int32
      route: string
      cents: int32
      price: decimal(8,2)
      at: timestamp_ms
      other: { type: int32, nullable: true }
    event_time: { column: at, max_out_of_orderness: 1h, max_ahead: 100d }
steps:
  once: { from: events, dedup: { by: [id], within: 10h, grace: 10h } }
  cheap: { from: once, filter: "cents < 100" }
  hourly:
    from: cheap
    window: { tumbling: 1h, grace: 5m }
    group_by: [route]
    aggregates: { n: "count(*)", total: "sum(cents)", worth: "sum(price)" }
  taken: { from: once, project: { route: route } }
  rows: { from: once, project: { id: id, cents: cents } }
sinks:
  sums: { from: hourly, topic: sums, key: [route], create: {} }
  table: { from: taken, postgres: { url: "postgresql://simulated", table: t, mode: insert } }
  lake: { from: rows, parquet: { path: /simulated, max_age: 1s } }
)yaml";

// A window that keeps the largest value, as wide as the column is.
constexpr char kHighest[] =
    "  highest: { from: once, window: { tumbling: 1h }, group_by: [route], aggregates: { most: \"max(cents)\" } }\n";
constexpr char kHighestSink[] = "  most: { from: highest, topic: most, key: [route], create: {} }\n";

using Kinds = std::map<std::string, Verdict::Kind>;  // by subject, of those that aren't unchanged
using Replacements = std::vector<std::pair<std::string, std::string>>;
constexpr auto kNew = Verdict::Kind::kNew, kConverted = Verdict::Kind::kConverted, kDropped = Verdict::Kind::kDropped,
               kRefused = Verdict::Kind::kRefused;

// What a version of the file does with rows that come while it runs.
struct Meaning {
  int64_t limit = 100;     // of cents, from which on rows aren't summed
  bool once = true;        // each id counts once
  bool counts = true;      // there are sums
  bool lake_cents = true;  // and cents in the lake
};

struct Edit {
  const char* what;
  Replacements now;
  Kinds kinds = {};
  Meaning meaning = {};
  Kinds waiting = {};        // more of them, where rows wait in feeds
  Kinds back = {};           // with the former file behind it
  Replacements before = {};  // of both versions
  AllowedDrops drops = {};
  AllowedDrops back_drops = {};
};

const std::string kOnce = "  once: { from: events, dedup: { by: [id], within: 10h, grace: 10h } }\n";
const std::string kHourly =
    "  hourly:\n    from: cheap\n    window: { tumbling: 1h, grace: 5m }\n    group_by: [route]\n    aggregates: { n: "
    "\"count(*)\", total: \"sum(cents)\", worth: \"sum(price)\" }\n";
const std::string kCheap = "  cheap: { from: once, filter: \"cents < 100\" }\n";
const std::string kSums = "  sums: { from: hourly, topic: sums, key: [route], create: {} }\n";
const Replacements kWithHighest = {{"  taken:", absl::StrCat(kHighest, "  taken:")},
                                   {"sinks:\n", absl::StrCat("sinks:\n", kHighestSink)}};
const Kinds kOnceRefused = {{"step once", kRefused}}, kHourlyRefused = {{"step hourly", kRefused}};

Replacements Steps(const std::string& steps, const std::string& sinks) {
  return {{"  taken:", absl::StrCat(steps, "  taken:")}, {"sinks:\n", absl::StrCat("sinks:\n", sinks)}};
}

// Changes go through an expression that fails on some ids as long as they are narrow.
const Replacements kOfEach = Steps(
    "  each: { from: once, group_by: [id], aggregates: { n: \"count(*)\" } }\n"
    "  big: { from: each, project: { id: id, big: \"cast(id * 1000000 as int64)\" } }\n"
    "  of_each: { from: big, group_by: [big], aggregates: { n: \"count(*)\" } }\n",
    "  bigs: { from: of_each, topic: bigs, key: [big], create: {} }\n");

const Replacements kByHour = {{"hourly", "by_hour"},
                              {"    from: cheap\n", "    from: cheap\n    renamed_from: hourly\n"}};
const Replacements kHappenings = {{"  events:\n", "  happenings:\n"},
                                  {"from: events", "from: happenings"},
                                  {"    topic: events\n", "    topic: events\n    renamed_from: events\n"}};
const Replacements kOtherSinks = {{"  table: {", "  rows_of_t: { renamed_from: table,"},
                                  {"  lake: {", "  pond: { renamed_from: lake,"},
                                  {"  sums: {", "  sum_topic: { renamed_from: sums,"}};
// A version that has another name for the window already.
const Replacements kFirst = {{"    from: cheap\n", "    from: cheap\n    renamed_from: first\n"}};

std::string Replaced(std::string text, const Replacements& all) {
  for (const auto& [from, to] : all) {
    const std::string after = absl::StrReplaceAll(text, {{from, to}});
    EXPECT_NE(after, text) << from;
    text = after;
  }
  return text;
}

Replacements All(const std::vector<Replacements>& several) {
  Replacements all;
  for (const Replacements& each : several) all.insert(all.end(), each.begin(), each.end());
  return all;
}

std::vector<Edit> Edits() {
  const std::string kDaily =
      "  daily: { from: once, window: { tumbling: 1d }, group_by: [route], aggregates: { n: \"count(*)\" } }\n";
  const std::string kMore =
      "  more:\n    topic: more\n    partitioned_by: [id]\n    columns: { id: int32, route: string, cents: int32, "
      "price: "
      "\"decimal(8,2)\", at: timestamp_ms, other: { type: int32, nullable: true } }\n    event_time: { column: at, "
      "max_out_of_orderness: 1h, max_ahead: 100d }\n";
  return {
      // ---- What holds from then on
      {"nothing", {}},
      {"a narrower filter", {{"cents < 100", "cents < 50"}}, {}, {.limit = 50}},
      {"a wider filter", {{"cents < 100", "cents < 1000"}}, {}, {.limit = 1'000}},
      {"a filter that says the same otherwise", {{"cents < 100", "100 > cents AND id >= 0"}}},
      {"ids that are kept longer", {{"within: 10h", "within: 20h"}}},
      {"ids that are kept shorter", {{"within: 10h", "within: 9h"}}},
      {"more grace of a dedup", {{"grace: 10h", "grace: 11h"}}},
      {"more grace of a window", {{"grace: 5m", "grace: 10m"}}},
      {"a description", {{"filter: \"cents < 100\"", "filter: \"cents < 100\", description: cheap ones"}}},
      {"an owner of a source", {{"    topic: events\n", "    topic: events\n    owner: us\n"}}},
      {"another commit interval", {{"commit_interval: 20ms", "commit_interval: 50ms"}}},
      {"more memory", {{"512MiB", "600MiB"}}},
      {"more disorder", {{"max_out_of_orderness: 1h", "max_out_of_orderness: 2h"}}},
      {"less time ahead", {{"max_ahead: 100d", "max_ahead: 50d"}}},
      {"sooner idle", {{"max_ahead: 100d", "max_ahead: 100d, idle_after: 5s"}}},
      {"lost records are skipped", {{"    topic: events\n", "    topic: events\n    on_data_loss: skip\n"}}},
      {"another start", {{"    topic: events\n", "    topic: events\n    start: latest\n"}}},
      {"other dead letters", {{"kafka: {", "dead_letter: { topic: others }\nkafka: {"}}},
      {"a property of Kafka's", {{"brokers: simulated", "brokers: simulated, properties: { client.rack: a }"}}},
      {"headers of a topic", {{"key: [route], create", "key: [route], headers: { a: b }, create"}}},
      {"compression of a topic", {{"key: [route], create", "key: [route], compression: zstd, create"}}},
      {"a lake that cuts later", {{"max_age: 1s", "max_age: 2s"}}},
      {"a lake that cuts sooner", {{"max_age: 1s", "max_age: 1s, max_bytes: 1MiB"}}},
      {"steps in another order", {{kOnce + kCheap, kCheap + kOnce}}},
      {"columns in another order",
       {{"      route: string\n      cents: int32\n", "      cents: int32\n      route: string\n"}}},
      {"a step without state that is renamed", {{"cheap", "low"}}},
      {"a step without state more", Steps("  dear: { from: once, filter: \"cents > 90\" }\n",
                                          "  dears: { from: dear, topic: dears, create: {} }\n")},
      {"a step without state in front of a window",
       {{"    from: cheap", "    from: cheaper"},
        {kHourly.substr(0, 10), "  cheaper: { from: cheap, filter: \"cents < 80\" }\n  hourly:\n"}},
       {},
       {.limit = 80}},
      {"a projection of the lake taken from further up",
       {{"  rows: { from: once", "  rows: { from: passed"},
        {"  rows:", "  passed: { from: once, filter: \"true\" }\n  rows:"}}},
      // ---- What is added
      {"a window more",
       Steps(kDaily, "  days: { from: daily, topic: days, create: {} }\n"),
       {{"step daily", kNew}},
       {},
       {},
       {{"step daily", kDropped}}},
      {"totals more",
       Steps("  totals: { from: once, group_by: [route], aggregates: { n: \"count(*)\" } }\n",
             "  all: { from: totals, topic: all, key: [route], create: {} }\n"),
       {{"step totals", kNew}},
       {},
       {},
       {{"step totals", kDropped}}},
      {"a dedup more",
       Steps("  again: { from: events, dedup: { by: [cents], within: 1h } }\n",
             "  each: { from: again, topic: each, create: {} }\n"),
       {{"step again", kNew}},
       {},
       {},
       {{"step again", kDropped}}},
      {"a source more",
       {{"steps:\n", absl::StrCat(kMore, "steps:\n")}, {"from: events", "from: [events, more]"}},
       {},
       {},
       {},
       {{"step once", kRefused}, {"step hourly", kRefused}}},
      {"a column of the source more", {{"      other:", "      more: { type: string, nullable: true }\n      other:"}}},
      {"a column of the lake more, which may be NULL", {{"cents: cents }", "cents: cents, other: other }"}}},
      {"a column of the lake more, which can't",
       {{"cents: cents }", "cents: cents, route: route }"}},
       {},
       {},
       {{"sink lake", kRefused}}},
      {"a column of the lake less", {{", cents: cents }", " }"}}, {}, {.lake_cents = false}, {}, {}},
      {"another type in the lake",
       {{"cents: cents }", "cents: \"cents::string\" }"}},
       {},
       {},
       {{"sink lake", kRefused}}},
      // ---- What is widened
      {"a wider sum",
       {{"cents: int32", "cents: int64"}},
       {{"step hourly", kConverted}},
       {},
       {},
       {{"step hourly", kRefused}}},
      {"a decimal of more digits",
       {{"decimal(8,2)", "decimal(20,2)"}},
       {{"step hourly", kConverted}},
       {},
       {},
       {{"step hourly", kRefused}}},
      {"both",
       {{"decimal(8,2)", "decimal(20,2)"}, {"cents: int32", "cents: int64"}},
       {{"step hourly", kConverted}},
       {},
       {},
       {{"step hourly", kRefused}}},
      {"a wider id", {{"id: int32", "id: int64"}}, {{"step once", kConverted}}, {}, {}, {{"step once", kRefused}}},
      {"a key that may be NULL",
       {{"route: string", "route: { type: string, nullable: true }"}},
       {{"step hourly", kConverted}},
       {},
       {},
       {{"step hourly", kRefused}}},
      {"a column of the lake that is wider there", {{"cents: cents }", "cents: \"cents::int64\" }"}}, {}, {}, {}, {}},
      {"a wider id, by whose width changes come or don't",
       {{"id: int32", "id: int64"}},
       {{"step once", kConverted}, {"step each", kConverted}, {"step of_each", kRefused}},
       {},
       {},
       {},
       kOfEach},
      {"a wider key of a topic, which its rows are found by",
       {{"id: int32", "id: int64"}, {"key_format: int32", "key_format: int64"}},
       {{"step once", kConverted}, {"sink ids", kRefused}},
       {},
       {},
       {},
       {{"sinks:\n",
         "sinks:\n  ids: { from: rows, topic: ids, mode: upsert, key: [id], key_format: int32, create: {} }\n"}}},
      // ---- What isn't exact
      {"a largest value that is wider",
       {{"cents: int32", "cents: int64"}},
       {{"step highest", kRefused}, {"step hourly", kConverted}},
       {},
       {},
       {},
       kWithHighest},
      {"another scale", {{"decimal(8,2)", "decimal(9,3)"}}, kHourlyRefused},
      {"fewer digits", {{"decimal(8,2)", "decimal(7,2)"}}, kHourlyRefused},
      {"a double for an integer", {{"cents: int32", "cents: double"}}, kHourlyRefused, {}, {{"sink lake", kRefused}}},
      {"a decimal for an integer",
       {{"cents: int32", "cents: decimal(12,0)"}},
       kHourlyRefused,
       {},
       {{"sink lake", kRefused}}},
      {"an id that may be NULL", {{"id: int32", "id: { type: int32, nullable: true }"}}, kOnceRefused},
      {"an id of another type", {{"id: int32", "id: decimal(12,0)"}}, kOnceRefused, {}, {{"sink lake", kRefused}}},
      // ---- What is another state
      {"a longer window", {{"tumbling: 1h", "tumbling: 2h"}}, kHourlyRefused},
      {"a hopping window", {{"tumbling: 1h", "hopping: 1h, every: 30m"}}, kHourlyRefused},
      {"windows that begin later", {{"tumbling: 1h", "tumbling: 1h, offset: 5m"}}, kHourlyRefused},
      {"sessions", {{"tumbling: 1h", "session: 1h"}}, kHourlyRefused},
      {"an aggregate more", {{"n: \"count(*)\"", "n: \"count(*)\", most: \"max(cents)\""}}, kHourlyRefused},
      {"an aggregate less", {{", total: \"sum(cents)\"", ""}}, kHourlyRefused},
      {"another aggregate", {{"sum(cents)", "avg(cents)"}}, kHourlyRefused},
      {"the sum of something else", {{"sum(cents)", "sum(cents + 1)"}}, kHourlyRefused},
      {"an id from two columns", {{"by: [id]", "by: [id, cents]"}}, kOnceRefused},
      {"the last row of an id",
       {{"by: [id], within: 10h, grace: 10h", "by: [id], within: 10h, grace: 10h, keep: last"}},
       kOnceRefused},
      {"another time", {{"column: at, ", ""}}, {{"step once", kRefused}, {"step hourly", kRefused}}},
      {"cents from elsewhere", {{"cents: int32", "cents: { type: int32, path: other }"}}, kHourlyRefused},
      {"ids from elsewhere", {{"id: int32", "id: { type: int32, path: cents }"}}, kOnceRefused},
      {"a renamed window", {{"hourly", "by_hour"}}, {{"step by_hour", kNew}, {"step hourly", kDropped}}},
      {"a renamed dedup", {{"once", "uniquely"}}, {{"step uniquely", kNew}, {"step once", kDropped}}},
      {"no window", {{kHourly, ""}, {kSums, ""}, {kCheap, ""}}, {{"step hourly", kDropped}}},
      {"no dedup", {{kOnce, ""}, {"from: once", "from: events"}}, {{"step once", kDropped}}},
      // ---- What says that it has another name
      {"a window with another name", kByHour},
      {"a window with another name, and back", kByHour},
      {"a dedup with another name", {{"once", "uniquely"}, {"dedup: {", "renamed_from: once, dedup: {"}}},
      {"a source with another name", kHappenings},
      {"sinks with other names", kOtherSinks},
      {"everything with another name", All({kByHour, kHappenings, kOtherSinks})},
      {"all of it, and a narrower filter",
       All({kByHour, kHappenings, kOtherSinks, {{"cents < 100", "cents < 50"}}}),
       {},
       {.limit = 50}},
      {"another name, and a wider sum",
       All({kByHour, {{"cents: int32", "cents: int64"}}}),
       {{"step by_hour", kConverted}},
       {},
       {},
       {{"step hourly", kRefused}}},
      {"another name, and another window",
       All({kByHour, {{"tumbling: 1h", "tumbling: 2h"}}}),
       {{"step by_hour", kRefused}}},
      {"a source that stands at another place among its like",
       {{"  events:\n", "  zenith:\n"},
        {"from: [events, more]", "from: [zenith, more]"},
        {"    topic: events\n", "    topic: events\n    renamed_from: events\n"}},
       {},
       {},
       {},
       {},
       {{"steps:\n", absl::StrCat(kMore, "steps:\n")}, {"from: events", "from: [events, more]"}}},
      {"a repartition with another name, and rows on their way",
       {{"moved", "shifted"}, {"{ from: cheap,", "{ renamed_from: moved, from: cheap,"}},
       {},
       {},
       {},
       {},
       {{"    from: cheap", "    from: moved"},
        {kHourly.substr(0, 10), "  moved: { from: cheap, repartition: { by: [route] } }\n  hourly:\n"}}},
      {"steps of changes with other names",
       {{"  each: { from", "  every: { renamed_from: each, from"},
        {"  big: { from: each", "  large: { renamed_from: big, from: every"},
        {"  of_each: { from: big", "  of_every: { renamed_from: of_each, from: large"},
        {"bigs: { from: of_each", "bigs: { from: of_every"}},
       {},
       {},
       {},
       {},
       kOfEach},
      {"a view and its step with other names",
       {{"  seen: {", "  shown: { renamed_from: seen,"},
        {"rows", "lines"},
        {"lines: {", "lines: { renamed_from: rows,"}},
       {},
       {},
       {},
       {},
       {{"sinks:\n", "views:\n  seen: { from: rows, key: [id] }\nsinks:\n"}}},
      {"a third name, by the first", {{"hourly", "by_hour"}}, {}, {}, {}, {}, kFirst},
      {"a third name, by the second",
       {{"hourly", "by_hour"}, {"renamed_from: first", "renamed_from: hourly"}},
       {{"step hourly", kDropped}, {"step by_hour", kRefused}},
       {},
       {},
       {},
       kFirst},
      {"the first name again", {{"hourly", "first"}, {"    renamed_from: first\n", ""}}, {}, {}, {}, {}, kFirst},
      {"a second name that doesn't say so any more",
       {{"    renamed_from: first\n", ""}},
       {{"step first", kDropped}, {"step hourly", kRefused}},
       {},
       {},
       {},
       kFirst},
      {"a sink that doesn't say so any more",
       {{"renamed_from: first, ", ""}},
       {{"sink table", kRefused}},
       {},
       {},
       {},
       {{"  table: { ", "  table: { renamed_from: first, "}}},
      {"a topic's sink that says it was a lake",
       {{"  sums: {", "  sum: { renamed_from: lake,"}, {"  lake: {", "  pond: {"}},
       {{"sink sum", kRefused}}},
      {"a lake that says it was a topic's sink",
       {{"  sums: {", "  sum: {"}, {"  lake: {", "  pond: { renamed_from: sums,"}},
       {{"sink pond", kRefused}}},
      {"a step that says it was a sink",
       {{"  sums: {", "  sum: {"}, {"  cheap: {", "  low: { renamed_from: sums,"}, {"from: cheap", "from: low"}},
       {{"step low", kRefused}}},
      {"a name that is given up, by the second one",
       {{Replaced(kHourly, kFirst), ""}, {kSums, ""}, {kCheap, ""}},
       {{"step hourly", kDropped}},
       {.counts = false},
       {},
       {{"no way back", kRefused}},
       kFirst,
       {"hourly"}},
      // ---- What is given up
      {"no window, given up",
       {{kHourly, ""}, {kSums, ""}, {kCheap, ""}},
       {{"step hourly", kDropped}},
       {.counts = false},
       {},
       {{"no way back", kRefused}},
       {},
       {"hourly"}},
      {"no dedup, given up",
       {{kOnce, ""}, {"from: once", "from: events"}},
       {{"step once", kDropped}},
       {.once = false},
       {},
       {{"step once", kRefused}},
       {},
       {"once"}},
      {"no dedup, given up, and begun anew",
       {{kOnce, ""}, {"from: once", "from: events"}},
       {{"step once", kDropped}},
       {.once = false},
       {},
       {{"step once", kNew}},
       {},
       {"once"},
       {"once"}},
      {"no dedup, and another step given up",
       {{kOnce, ""}, {"from: once", "from: events"}},
       {{"step once", kDropped}},
       {},
       {},
       {},
       {},
       {"hour"}},
  };
}

enum class Circumstance { kOpen, kWaiting, kKilled, kBack };
constexpr size_t kCircumstances = 4;

struct Row {
  int64_t id, route, cents, digits;  // of the price: digits / 100
  std::string Json(int64_t at) const {
    return absl::StrFormat("{\"id\":%d,\"route\":\"r%d\",\"cents\":%d,\"price\":%d.%02d,\"at\":%d}", id, route, cents,
                           digits / 100, digits % 100, at);
  }
};

using Counted = std::map<std::string, int>;

Plan Planned(const std::string& yaml) {
  absl::StatusOr<Plan> plan =
      PlanFromYaml(yaml, "edits.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(plan.ok()) << plan.status() << yaml;
  return plan.ok() ? *std::move(plan) : Plan();
}

Kinds Changed(const std::vector<Verdict>& verdicts) {
  Kinds kinds;
  for (const Verdict& verdict : verdicts) {
    if (verdict.kind != Verdict::Kind::kUnchanged) kinds[verdict.subject] = verdict.kind;
  }
  return kinds;
}

class EditWorld {
 public:
  EditWorld(const Edit& edit, Circumstance circumstance)
      : edit_(edit),
        circumstance_(circumstance),
        former_(Planned(Replaced(kTopology, edit.before))),
        now_(Planned(Replaced(Replaced(kTopology, edit.before), edit.now))),
        random_(7),
        cluster_({.seed = 7}, &clock_) {
    cluster_.CreateTopic("events", 2);
    cluster_.CreateTopic("more", 2);
    deployment_.emplace(&former_, DeploymentOptions{.seed = 2, .workers = 1, .checks_start = true}, &random_, &clock_,
                        &cluster_);
  }

  void Run() {
    Append({});
    Rest();
    if (HasFatalFailure()) return;
    const bool on = Judge();
    if (on) {
      if (Waiting() && !edit_.meaning.lake_cents) {  // what waits loses the column too
        lake_.clear();
        for (const int64_t id : seen_) lake_[absl::StrCat(id)] = 1;
      }
      deployment_->set_plan(0, &now_);
      deployment_->set_allow_drop(edit_.drops);
    }
    Append(on ? edit_.meaning : Meaning());
    if (on && circumstance_ == Circumstance::kBack) {
      ASSERT_EQ(deployment_->RunToEnd(false), absl::OkStatus());
      const bool back = JudgeBack();
      if (back) {
        deployment_->set_allow_drop(edit_.back_drops);
        deployment_->set_plan(0, &former_);
      }
      Append(back ? Meaning() : edit_.meaning, /*forgotten=*/back && !edit_.meaning.once);
    }
    ASSERT_EQ(deployment_->RunToEnd(true), absl::OkStatus());
    Compare();
  }

 private:
  // Nobody was there to take what sinks were given.
  bool Waiting() const { return circumstance_ == Circumstance::kWaiting || circumstance_ == Circumstance::kKilled; }
  static bool HasFatalFailure() { return testing::Test::HasFatalFailure(); }

  // Half of the ids came before.
  void Append(const Meaning& meaning, bool forgotten = false) {
    if (forgotten) seen_.clear();
    for (int i = 0; i < 24; ++i) {
      const int64_t id = first_id_ + i;
      const Row row{id, id % 3, (id * 37) % 120, (id * 1'237) % 99'999};
      cluster_.AppendInput({"events", static_cast<int32_t>(id % 2)}, absl::StrCat(id), row.Json(kHour + id),
                           kHour + id);
      if (!seen_.insert(id).second && meaning.once) continue;
      ++taken_[absl::StrCat("{\"route\":\"r", row.route, "\"}")];
      ++lake_[meaning.lake_cents ? absl::StrCat(row.id, " ", row.cents) : absl::StrCat(row.id)];
      if (row.cents >= meaning.limit) continue;
      Sum& sum = sums_[row.route];
      ++sum.n;
      sum.cents += row.cents;
      sum.digits += row.digits;
    }
    counts_ = counts_ && meaning.counts;
    first_id_ += 12;
  }

  void Rest() {
    if (!Waiting()) {
      ASSERT_EQ(deployment_->RunToEnd(false), absl::OkStatus());
      return;
    }
    const OutsideFaults away{.failed = 1};
    deployment_->SetOutsideFaults(away, away);
    for (int turn = 0; turn < 4'000 && (turn % 16 != 0 || Behind()); ++turn) {
      clock_.Advance(20'000);
      ASSERT_EQ(deployment_->Turn(0), absl::OkStatus());
    }
    ASSERT_FALSE(Behind());
    if (circumstance_ == Circumstance::kKilled) {
      deployment_->Crash(0, "before the edit");
    } else {
      deployment_->Stop(0, false);
    }
    deployment_->Heal();
  }

  bool Behind() {
    for (int32_t p = 0; p < 2; ++p) {
      const TopicPartition partition{"events", p};
      const Offset at = cluster_.CommittedOffsets(former_.application.Group(), {partition}).at(partition).offset;
      if (at < cluster_.log().Find(partition)->end) return true;
    }
    return false;
  }

  std::vector<Verdict> Verdicts(const Plan& plan, const AllowedDrops& drops) {
    const std::unique_ptr<KafkaClient> kafka = cluster_.NewClient(9);
    const absl::StatusOr<Former> former = ReadFormer(plan, *kafka);
    EXPECT_TRUE(former.ok()) << former.status();
    if (!former.ok()) return {};
    absl::StatusOr<std::vector<Verdict>> verdicts = CompareWithRunning(plan, *former, *kafka, drops);
    EXPECT_TRUE(verdicts.ok()) << verdicts.status();
    return verdicts.ok() ? *std::move(verdicts) : std::vector<Verdict>();
  }

  // What plan says is what a start does, and what the table says.
  bool Judge() {
    const std::vector<Verdict> verdicts = Verdicts(now_, edit_.drops);
    Kinds expected = edit_.kinds;
    if (Waiting()) expected.insert(edit_.waiting.begin(), edit_.waiting.end());
    EXPECT_EQ(Changed(verdicts), expected) << Refusal(verdicts);
    const bool on = std::all_of(expected.begin(), expected.end(), [&](const auto& each) {
      return each.second < kDropped || (each.second == kDropped && edit_.drops.contains(each.first.substr(5)));
    });
    const std::unique_ptr<KafkaClient> kafka = cluster_.NewClient(9);
    const absl::Status start = CheckStart(now_, *kafka, edit_.drops);
    EXPECT_EQ(start, Refusal(verdicts));
    EXPECT_EQ(start.ok(), on) << start;
    return start.ok();
  }

  bool JudgeBack() {
    if (edit_.back.contains("no way back")) return false;  // the group has read what the changelog doesn't tell of
    const std::vector<Verdict> verdicts = Verdicts(former_, edit_.back_drops);
    EXPECT_EQ(Changed(verdicts), edit_.back) << "back: " << Refusal(verdicts);
    return Refusal(verdicts).ok();
  }

  void Compare() {
    Counted taken;
    for (const SinkPlan& sink : former_.sinks) {
      if (sink.name != "table") continue;
      const absl::StatusOr<std::vector<std::string>> rows = deployment_->RowsOf(sink);
      ASSERT_TRUE(rows.ok()) << rows.status();
      for (const std::string& row : *rows) ++taken[row];
    }
    EXPECT_EQ(taken, taken_);
    EXPECT_EQ(Lake(), lake_);
    Counted sums, expected;
    for (const auto& [partition, record] : deployment_->Records("sums")) ++sums[record.value.value_or("(null)")];
    for (const auto& [route, sum] : sums_) {
      if (sum.n == 0) continue;
      expected[absl::StrFormat(
          "{\"route\":\"r%d\",\"window_start\":%d,\"window_end\":%d,\"n\":%d,\"total\":%d,\"worth\":"
          "%d.%02d}",
          route, kHour, kHour + 3'600'000, sum.n, sum.cents, sum.digits / 100, sum.digits % 100)] = 1;
    }
    EXPECT_EQ(sums, counts_ ? expected : Counted());
  }

  // "17 20": an id and its cents, where a file has them, whatever else it has and of whichever types.
  Counted Lake() {
    Counted rows;
    const auto files = deployment_->FilesOf("lake");
    EXPECT_TRUE(files.ok()) << files.status();
    for (const auto& [name, content] : *files) {
      const auto reader = parquet::arrow::OpenFile(
          std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(content)), arrow::default_memory_pool());
      EXPECT_TRUE(reader.ok()) << name;
      const std::shared_ptr<arrow::Table> table = *(*reader)->ReadTable();
      const auto text = [&](const std::string& column, int64_t row) {
        return (*table->GetColumnByName(column)->GetScalar(row))->ToString();
      };
      const bool cents = table->GetColumnByName("cents") != nullptr;
      for (int64_t row = 0; row < table->num_rows(); ++row) {
        ++rows[cents ? absl::StrCat(text("id", row), " ", text("cents", row)) : text("id", row)];
      }
    }
    return rows;
  }

  static constexpr int64_t kHour = 1'699'999'200'000;

  struct Sum {
    int n = 0;
    int64_t cents = 0, digits = 0;
  };

  const Edit& edit_;
  const Circumstance circumstance_;
  const Plan former_, now_;
  SimClock clock_;
  SimRandom random_;
  SimCluster cluster_;
  std::optional<Deployment> deployment_;
  int64_t first_id_ = 0;
  std::set<int64_t> seen_;
  Counted taken_, lake_;
  std::map<int64_t, Sum> sums_;
  bool counts_ = true;
};

class Edited : public testing::TestWithParam<Circumstance> {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(arrow::compute::Initialize().ok());
    arrow::util::InitializeUTF8();
    FLAGS_minloglevel = google::FATAL;
  }
};

TEST_P(Edited, TopologiesDoWhatPlanSaysAndEveryResultIsWhatTheRowsMakeIt) {
  const std::vector<Edit> edits = Edits();
  EXPECT_GE(edits.size(), 60U);
  // Each edit in one of the circumstances, and with TIDEMARK_LONG=1 in all of them.
  const bool all = std::getenv("TIDEMARK_LONG") != nullptr;
  for (size_t i = 0; i < edits.size(); ++i) {
    if (!all && i % kCircumstances != static_cast<size_t>(GetParam())) continue;
    SCOPED_TRACE(edits[i].what);
    EditWorld(edits[i], GetParam()).Run();
  }
}

std::string NameOf(const testing::TestParamInfo<Circumstance>& info) {
  switch (info.param) {
    case Circumstance::kOpen:
      return "OverOpenWindows";
    case Circumstance::kWaiting:
      return "OverRowsThatWait";
    case Circumstance::kKilled:
      return "BehindAKill";
    case Circumstance::kBack:
      return "AndBackAgain";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Edits, Edited,
                         testing::Values(Circumstance::kOpen, Circumstance::kWaiting, Circumstance::kKilled,
                                         Circumstance::kBack),
                         NameOf);

}  // namespace
}  // namespace tidemark::sim
