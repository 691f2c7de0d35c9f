#include "tests/sim/edits.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

namespace tidemark::sim {

const char kEditedTopology[] = R"yaml(
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

namespace {

// A window that keeps the largest value, as wide as the column is.
constexpr char kHighest[] =
    "  highest: { from: once, window: { tumbling: 1h }, group_by: [route], aggregates: { most: \"max(cents)\" } }\n";
constexpr char kHighestSink[] = "  most: { from: highest, topic: most, key: [route], create: {} }\n";

constexpr auto kNew = Verdict::Kind::kNew, kConverted = Verdict::Kind::kConverted, kDropped = Verdict::Kind::kDropped,
               kRefused = Verdict::Kind::kRefused;

const std::string kOnce = "  once: { from: events, dedup: { by: [id], within: 10h, grace: 10h } }\n";
const std::string kHourly =
    "  hourly:\n    from: cheap\n    window: { tumbling: 1h, grace: 5m }\n    group_by: [route]\n    aggregates: { n: "
    "\"count(*)\", total: \"sum(cents)\", worth: \"sum(price)\" }\n";
const std::string kCheap = "  cheap: { from: once, filter: \"cents < 100\" }\n";
const std::string kSums = "  sums: { from: hourly, topic: sums, key: [route], create: {} }\n";
const Replacements kWithHighest = {{"  taken:", absl::StrCat(kHighest, "  taken:")},
                                   {"sinks:\n", absl::StrCat("sinks:\n", kHighestSink)}};
const Kinds kOnceRefused = {{"step once", kRefused}}, kHourlyRefused = {{"step hourly", kRefused}},
            kHourlyConverted = {{"step hourly", kConverted}};

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

// Aggregates that a window is given which has groups.
const Replacements kMost = {{"worth: \"sum(price)\" }\n",
                             "worth: \"sum(price)\", most: \"max(cents)\", since: \"count(*)\" }\n"
                             "    aggregates_from_now: [most, since]\n"}};
const Replacements kNotSaid = {{"    aggregates_from_now: [most, since]\n", ""}};

// Totals that change, with one more from now on.
const Replacements kLive = Steps("  live: { from: once, group_by: [route], aggregates: { n: \"count(*)\" } }\n",
                                 "  lives: { from: live, topic: live, mode: upsert, key: [route], key_format: json, "
                                 "create: {} }\n");
const Replacements kMoreLive = {
    {"aggregates: { n: \"count(*)\" } }\n",
     "aggregates: { n: \"count(*)\", most: \"max(cents)\" }, aggregates_from_now: most }\n"}};

Replacements All(const std::vector<Replacements>& several) {
  Replacements all;
  for (const Replacements& each : several) all.insert(all.end(), each.begin(), each.end());
  return all;
}

}  // namespace

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
      // ---- What counts from then on
      {"aggregates more, from now on", kMost, kHourlyConverted, {.most = true}, {}, kHourlyRefused},
      {"aggregates more, from now on, and a wider sum",
       All({kMost, {{"cents: int32", "cents: int64"}, {"decimal(8,2)", "decimal(20,2)"}}}),
       kHourlyConverted,
       {.most = true},
       {},
       kHourlyRefused},
      {"aggregates more, from now on, of a window with another name",
       All({kByHour, kMost}),
       {{"step by_hour", kConverted}},
       {.most = true},
       {},
       kHourlyRefused},
      {"aggregates more, from now on, and a narrower filter",
       All({kMost, {{"cents < 100", "cents < 50"}}}),
       kHourlyConverted,
       {.limit = 50, .most = true},
       {},
       kHourlyRefused},
      {"aggregates that don't say any more that they count from now on",
       kNotSaid,
       {},
       {.most = true},
       {},
       {},
       kMost,
       {},
       {},
       {.most = true}},
      {"an aggregate more, from now on, in front of a step that doesn't take it",
       kMoreLive,
       {{"step live", kConverted}},
       {},
       {},
       {{"step live", kRefused}},
       All({kLive,
            Steps("  of_live: { from: live, group_by: [n], aggregates: { routes: \"count(*)\" } }\n",
                  "  of_lives: { from: of_live, topic: of_live, mode: upsert, key: [n], key_format: json, create: "
                  "{} }\n")})},
      {"an aggregate more, from now on, in front of a lake of changes",
       kMoreLive,
       {{"step live", kConverted}, {"sink pond", kRefused}},
       {},
       {},
       {},
       All({kLive, {{"sinks:\n", "sinks:\n  pond: { from: live, parquet: { path: /ponds, mode: changes } }\n"}}})},
      {"aggregates more, and only one from now on",
       All({kMost, {{"    aggregates_from_now: [most, since]\n", "    aggregates_from_now: since\n"}}}),
       kHourlyRefused},
      {"aggregates more, from now on, and another one less", All({kMost, {{", worth: \"sum(price)\"", ""}}}),
       kHourlyRefused},
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
       {{absl::StrReplaceAll(kHourly, kFirst), ""}, {kSums, ""}, {kCheap, ""}},
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

}  // namespace tidemark::sim
