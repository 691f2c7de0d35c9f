// What a change of a topology's file does to what its former version has left, edit by edit.
#include "src/runtime/topology_change.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/former.h"
#include "src/runtime/start_check.h"
#include "src/runtime/step_identity.h"
#include "tests/unit/runtime/test_plan.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kTopology[] = R"yaml(
name: app
kafka: { brokers: b }
sources:
  prices:
    topic: prices
    columns: { id: int64, route: string, cents: int64, at: timestamp_ms, note: { type: string, nullable: true } }
    event_time: { column: at }
steps:
  once: { from: prices, dedup: { by: [id], within: 1h } }
  cheap: { from: once, filter: "cents < 100" }
  hourly:
    from: cheap
    window: { tumbling: 1h, grace: 5m }
    group_by: [route]
    aggregates: { n: "count(*)", total: "sum(cents)" }
  rows: { from: once, project: { id: id, note: note } }
sinks:
  sums: { from: hourly, topic: sums, create: {} }
  table: { from: rows, postgres: { url: "postgresql://h/d", table: rows } }
)yaml";

std::string Edited(const std::string& from, const std::string& to) {
  const std::string text = absl::StrReplaceAll(kTopology, {{from, to}});
  EXPECT_NE(text, kTopology) << from;
  return text;
}

TopologyChange Change(const std::string& now, const std::string& before = kTopology) {
  absl::StatusOr<TopologyChange> change = ChangeOfFile(TestPlan(now), TestPlan(before), "before.yaml");
  EXPECT_TRUE(change.ok()) << change.status();
  return *std::move(change);
}

// "step hourly: refused".
std::map<std::string, Verdict::Kind> Kinds(const TopologyChange& change) {
  std::map<std::string, Verdict::Kind> kinds;
  for (const Verdict& verdict : change.steps) kinds[verdict.subject] = verdict.kind;
  return kinds;
}

constexpr Verdict::Kind kNew = Verdict::Kind::kNew, kUnchanged = Verdict::Kind::kUnchanged,
                        kDropped = Verdict::Kind::kDropped, kRefused = Verdict::Kind::kRefused;

TEST(TopologyChange, EveryEditHasItsVerdict) {
  struct Edit {
    const char* what;
    std::string now;
    std::map<std::string, Verdict::Kind> kinds;  // of those that aren't unchanged
  };
  const std::string hourly =
      "  hourly:\n    from: cheap\n    window: { tumbling: 1h, grace: 5m }\n    group_by: [route]\n"
      "    aggregates: { n: \"count(*)\", total: \"sum(cents)\" }\n";
  const std::string sums = "  sums: { from: hourly, topic: sums, create: {} }\n";
  const Edit edits[] = {
      {"nothing", kTopology, {}},
      {"a filter", Edited("cents < 100", "cents < 50"), {}},
      {"how long ids are kept", Edited("within: 1h", "within: 2h"), {}},
      {"more grace", Edited("grace: 5m", "grace: 10m"), {}},
      {"a window of another length", Edited("tumbling: 1h", "tumbling: 30m"), {{"step hourly", kRefused}}},
      {"another type under a window, and of rows on their way",
       Edited("cents: int64", "cents: double"),
       {{"step hourly", kRefused}, {"step once", kRefused}}},
      {"an aggregate more",
       Edited("total: \"sum(cents)\"", "total: \"sum(cents)\", most: \"max(cents)\""),
       {{"step hourly", kRefused}}},
      {"another key", Edited("group_by: [route]", "group_by: [note]"), {{"step hourly", kRefused}}},
      {"another id", Edited("by: [id]", "by: [id, note]"), {{"step once", kRefused}}},
      {"a renamed window",
       absl::StrReplaceAll(kTopology, {{"hourly", "by_hour"}}),
       {{"step by_hour", kNew}, {"step hourly", kDropped}}},
      {"a window taken out",
       absl::StrReplaceAll(kTopology,
                           {{hourly, ""}, {sums, ""}, {"  cheap: { from: once, filter: \"cents < 100\" }\n", ""}}),
       {{"step hourly", kDropped}}},
      {"another window",
       absl::StrReplaceAll(kTopology, {{"  rows:",
                                        "  daily: { from: cheap, window: { tumbling: 1d }, group_by: [route], "
                                        "aggregates: { n: \"count(*)\" } }\n  rows:"},
                                       {"sinks:\n", "sinks:\n  days: { from: daily, topic: days, create: {} }\n"}}),
       {{"step daily", kNew}}},
      {"a step without state",
       absl::StrReplaceAll(kTopology, {{"  rows:", "  dear: { from: once, filter: \"cents > 100\" }\n  rows:"},
                                       {"sinks:\n", "sinks:\n  dears: { from: dear, topic: dears, create: {} }\n"}}),
       {}},
      {"a column more for a table, not NULL",
       Edited("note: note }", "note: note, route: route }"),
       {{"sink table", kRefused}}},
      {"a column more for a table, which may be NULL",
       absl::StrReplaceAll(kTopology, {{"note: { type", "carrier: { type: string, nullable: true }, note: { type"},
                                       {"note: note }", "note: note, carrier: carrier }"}}),
       {}},
  };
  for (const Edit& edit : edits) {
    SCOPED_TRACE(edit.what);
    const TopologyChange change = Change(edit.now);
    std::map<std::string, Verdict::Kind> changed = Kinds(change);
    std::erase_if(changed, [](const auto& each) { return each.second == kUnchanged; });
    EXPECT_EQ(changed, edit.kinds) << Refusal(change.steps);
    const bool decision =
        std::any_of(edit.kinds.begin(), edit.kinds.end(), [](const auto& each) { return each.second > kUnchanged; });
    EXPECT_EQ(change.outcome() == TopologyChange::Outcome::kNeedsDecision, decision);
    EXPECT_EQ(change.outcome() == TopologyChange::Outcome::kNothingLost, !decision);
  }
}

// What becomes of everything where `id` becomes wider, under these steps and with this sink; as int32 in the key format
// where it is so before.
std::map<std::string, Verdict::Kind> Widened(const std::string& steps, const std::string& sink) {
  const std::string before = absl::StrCat(
      "name: app\nkafka: { brokers: b }\nsources:\n  rows:\n    topic: rows\n    columns: { id: int32, note: string }\n"
      "steps:\n",
      steps, "sinks:\n  out: { topic: out, create: {}, mode: upsert, ", sink, " }\n");
  const TopologyChange change = Change(
      absl::StrReplaceAll(before, {{"id: int32", "id: int64"}, {"key_format: int32", "key_format: int64"}}), before);
  std::map<std::string, Verdict::Kind> kinds = Kinds(change);
  std::erase_if(kinds, [](const auto& each) { return each.second == kUnchanged; });
  return kinds;
}

// An id that was too large to be multiplied fitted nowhere behind it, and would be taken back from there.
TEST(TopologyChange, ChangesDontComeByTheWidthOfAnInteger) {
  const auto between = [](const std::string& step) {
    return Widened(absl::StrCat("  each: { from: rows, group_by: [id, note], aggregates: { n: \"count(*)\" } }\n",
                                "  some: { from: each, ", step, " }\n",
                                "  all: { from: some, group_by: [note], aggregates: { n: \"count(*)\" } }\n"),
                   "from: all, key: [note]");
  };
  const std::map<std::string, Verdict::Kind> converted = {{"step each", Verdict::Kind::kConverted}};
  std::map<std::string, Verdict::Kind> refused = converted;
  refused["step all"] = kRefused;
  EXPECT_EQ(between("project: { id: id, note: note, big: \"cast(id * 1000000 as int64)\" }"), refused);
  EXPECT_EQ(between("filter: \"id * 1000000 > 5\""), refused);
  EXPECT_EQ(between("filter: \"to_hex(id) = 'ffffffff'\""), refused);
  EXPECT_EQ(between("filter: \"n > 1\""), converted);
  EXPECT_EQ(between("project: { note: note, id: id }"), converted);
}

TEST(TopologyChange, WhatIsMadeOfTheWidthOfAnIntegerIsAnotherKey) {
  const auto by = [](const std::string& text) {
    return Widened(absl::StrCat("  made: { from: rows, project: { made: \"", text, "\" } }\n",
                                "  once: { from: made, dedup: { by: [made], within: 1h } }\n"),
                   "from: once, key: [made]");
  };
  EXPECT_EQ(by("to_hex(id)"), (std::map<std::string, Verdict::Kind>{{"step once", kRefused}}));
  EXPECT_EQ(by("id::string"), (std::map<std::string, Verdict::Kind>()));
}

TEST(TopologyChange, RowsOfATopicAreFoundByTheBytesOfTheirKeys) {
  const std::string steps = "  ids: { from: rows, project: { id: id } }\n";
  const auto written = [&](const std::string& format) {
    return Widened(steps, absl::StrCat("from: ids, key: [id], key_format: ", format));
  };
  EXPECT_EQ(written("int32"), (std::map<std::string, Verdict::Kind>{{"sink out", kRefused}}));
  EXPECT_EQ(written("text"), (std::map<std::string, Verdict::Kind>()));
  EXPECT_EQ(written("json"), (std::map<std::string, Verdict::Kind>()));
}

// A schema's number stands in front of such keys, and follows from the columns.
TEST(TopologyChange, KeysWithASchemaAreOthersWhereItsColumnsAre) {
  const auto topology = [](const std::string& type, const std::string& format) {
    return "name: app\nkafka: { brokers: b }\nschema_registry: http://h:1\nsources:\n  rows:\n    topic: rows\n"
           "    columns: { id: " +
           type +
           ", note: string }\nsinks:\n  out: { from: rows, topic: out, create: {}, mode: upsert, key: [id], "
           "key_format: " +
           format + " }\n";
  };
  const auto verdicts = [&](const std::string& now, const std::string& before, const std::string& format) {
    return Kinds(Change(topology(now, format), topology(before, format)));
  };
  const std::map<std::string, Verdict::Kind> refused = {{"sink out", kRefused}};
  for (const char* format : {"avro", "protobuf"}) {
    EXPECT_EQ(verdicts("int32", "int32", format), (std::map<std::string, Verdict::Kind>())) << format;
    EXPECT_EQ(verdicts("int64", "int32", format), refused) << format;
    EXPECT_EQ(verdicts("{ type: int32, nullable: true }", "int32", format), refused) << format;
  }
  EXPECT_EQ(verdicts("int64", "int32", "text"), (std::map<std::string, Verdict::Kind>()));
}

// ---- Topics of a pattern

std::string Services(const std::string& more = "", const std::string& pattern = "svc-.*") {
  return "name: app\nkafka: { brokers: b }\nsources:\n  services: { topics: \"" + pattern + "\"" + more +
         ", partitioned_by: [id], columns: { id: int64, at: timestamp_ms }, event_time: { column: at } }\n"
         "steps:\n  last: { from: services, dedup: { by: [id], within: 1h, keep: last } }\n"
         "  counts: { from: services, group_by: [id], aggregates: { n: \"count(*)\" } }\n"
         "sinks:\n  a: { from: last, topic: a }\n  b: { from: counts, topic: b, key: [id] }\n";
}

Plan WithTopics(const std::string& yaml, const std::vector<std::string>& names) {
  auto plan = PlanFromYaml(
      yaml, "t.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; }, FilesOnDisk(),
      nullptr, [names](const KafkaSettings&) { return names; });
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : Plan();
}

std::vector<std::string> Lines(const Plan& plan) {
  std::vector<std::string> lines;
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    lines.push_back(plan.stages[s].name);
    for (const auto& step : StepIdentities(plan, static_cast<int>(s))) lines.push_back(step.ShortDebugString());
  }
  return lines;
}

TEST(TopologyChange, TopicsOfAPatternThatComeAndGoLeaveStateWhatItIs) {
  for (const char* more : {"", ", on_data_loss: skip"}) {
    const Plan few = WithTopics(Services(more), {"svc-m"}), many = WithTopics(Services(more), {"svc-a", "svc-m"});
    EXPECT_EQ(Lines(few), Lines(many));
    for (const auto& [now, before] : {std::pair(&few, &many), std::pair(&many, &few)}) {
      const std::vector<Verdict> verdicts = CompareStates(*now, FormerOf(*before));
      EXPECT_EQ(verdicts.size(), 2u);
      EXPECT_TRUE(Refusal(verdicts).ok()) << Refusal(verdicts);
    }
  }
}

TEST(TopologyChange, ATopicThatASourceOfAPatternNoLongerHasIsMissedUnlessItsLossIsTaken) {
  const Former former = FormerOf(WithTopics(Services(), {"svc-a", "svc-m"}));
  const auto gone = [&](const std::string& more, const std::string& pattern, const std::vector<std::string>& names) {
    return GoneTopics(WithTopics(Services(more, pattern), names), former);
  };
  EXPECT_THAT(gone("", "svc-.*", {"svc-a", "svc-m", "svc-z"}), IsEmpty());
  EXPECT_THAT(gone("", "svc-.*", {"svc-m"}), ElementsAre(AllOf(HasSubstr("topic svc-a"), HasSubstr("is gone"))));
  EXPECT_THAT(gone(", on_data_loss: skip", "svc-.*", {"svc-m"}), IsEmpty());
  EXPECT_THAT(gone("", "svc-[m-z]", {"svc-a", "svc-m"}),
              ElementsAre(AllOf(HasSubstr("topic svc-a"), HasSubstr("isn't matched by its pattern any more"))));
  EXPECT_THAT(gone(", on_data_loss: skip", "svc-[m-z]", {"svc-a", "svc-m"}), IsEmpty());
  EXPECT_THAT(gone(", on_data_loss: skip", "other-.*", {"svc-a", "svc-m", "other-a"}),
              ElementsAre(HasSubstr("none of which its pattern matches now")));
  const Plan unlooked = TestPlan(Services());
  EXPECT_THAT(GoneTopics(unlooked, former), IsEmpty()) << "nobody has looked";
  EXPECT_TRUE(Refusal(CompareStates(unlooked, former)).ok());
}

TEST(TopologyChange, AllThatCantGoOnIsToldAtOnce) {
  const TopologyChange change =
      Change(absl::StrReplaceAll(kTopology, {{"by: [id]", "by: [id, note]"}, {"hourly", "by_hour"}}));
  EXPECT_THAT(std::string(Refusal(change.steps).message()),
              AllOf(HasSubstr("step once: its state was written by 'dedup"), HasSubstr("renamed or removed"),
                    HasSubstr("step hourly")));
}

TEST(TopologyChange, SourcesAndSinksThatComeAndGoAreNamed) {
  const std::string more =
      absl::StrReplaceAll(kTopology, {{"steps:", "  others: { topic: others, columns: { id: int64 } }\nsteps:"},
                                      {"sinks:", "sinks:\n  ids: { from: others, topic: ids, create: {} }"}});
  const auto find = [](const std::vector<PartChange>& parts, const std::string& name) {
    for (const PartChange& part : parts) {
      if (part.name == name) return part.kind;
    }
    ADD_FAILURE() << name;
    return PartChange::Kind::kGoesOn;
  };
  const TopologyChange added = Change(more);
  EXPECT_EQ(find(added.sources, "prices"), PartChange::Kind::kGoesOn);
  EXPECT_EQ(find(added.sources, "others"), PartChange::Kind::kNew);
  EXPECT_EQ(find(added.sinks, "ids"), PartChange::Kind::kNew);
  EXPECT_EQ(find(added.sinks, "sums"), PartChange::Kind::kGoesOn);
  EXPECT_EQ(find(added.stateless, "cheap"), PartChange::Kind::kGoesOn);
  const TopologyChange removed = Change(kTopology, more);
  EXPECT_EQ(find(removed.sources, "others"), PartChange::Kind::kGone);
  EXPECT_EQ(find(removed.sinks, "ids"), PartChange::Kind::kGone);
}

TEST(TopologyChange, ASourceIsNamedByWhatItReadsNotByATopicOfOurOwn) {
  const std::string more = absl::StrReplaceAll(
      kTopology,
      {{"steps:",
        "  landed: { files: { path: in/*.csv, whole: renamed, order: unordered }, columns: { id: int64 } }\n"
        "  posted: { http: { path: /v1/in }, columns: { id: int64 } }\nsteps:"},
       {"sinks:",
        "sinks:\n  ids: { from: landed, topic: ids, create: {} }\n  more: { from: posted, topic: more, create: {} }"}});
  std::map<std::string, std::string> about;
  for (const PartChange& source : Change(more).sources) about[source.name] = source.about + source.begins;
  EXPECT_EQ(about["landed"], "files in in/*.csv, from the first one on");
  EXPECT_EQ(about["posted"], "posted to /v1/in");
  EXPECT_EQ(about["prices"], "topic prices, from where its `start` says");
  for (const PartChange& source : Change(kTopology, more).sources) {
    EXPECT_THAT(source.name, AnyOf("landed", "posted", "prices"));
  }
}

TEST(TopologyChange, ColumnsThatComeAndGoAreNamed) {
  const TopologyChange change = Change(
      absl::StrReplaceAll(kTopology, {{"note: { type", "carrier: { type: string, nullable: true }, note: { type"},
                                      {"id: id, note: note }", "id: id, carrier: carrier }"}}));
  for (const PartChange& sink : change.sinks) {
    if (sink.name != "table") continue;
    EXPECT_THAT(sink.added, ElementsAre("carrier string"));
    EXPECT_THAT(sink.removed, ElementsAre("note string"));
  }
}

TEST(TopologyChange, AnotherTopologyIsNoFormerVersion) {
  const absl::Status status =
      ChangeOfFile(TestPlan(kTopology), TestPlan(Edited("name: app", "name: other")), "o.yaml").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("two topologies share nothing"));
}

TEST(TopologyChange, OpenRowsAndTasksOfAStepAreCountedOverItsPartitions) {
  const Plan before = TestPlan(kTopology);
  Former former = FormerOf(before);
  for (auto& [partition, record] : former.newest) {
    for (packed::StepLedger& ledger : *record.mutable_ledger()) {
      if (ledger.step() == "hourly") ledger.set_open(20);
    }
  }
  const std::map<TopicPartition, packed::CommitRecord> first = former.newest;
  for (const auto& [partition, record] : first) former.newest[{partition.topic, 1}] = record;
  const Plan now = TestPlan(Edited("tumbling: 1h", "tumbling: 30m"));
  for (const Verdict& verdict : CompareStates(now, former)) {
    if (verdict.subject != "step hourly") continue;
    EXPECT_EQ(verdict.kind, kRefused);
    EXPECT_EQ(verdict.open, 40);
    EXPECT_EQ(verdict.tasks, 2);
  }
}

// ---- What counts from now on

// A column that was added to the source.
constexpr char kNote[] = ", note: { type: string, nullable: true }";

// `steps`, the last of which is `all`.
std::string Counting(const std::string& steps, const std::string& columns = "") {
  return "name: app\nkafka: { brokers: b }\nsources:\n  prices:\n    topic: prices\n"
         "    columns: { id: int64, route: string, cents: int64, at: timestamp_ms" +
         columns + " }\n    event_time: { column: at }\nsteps:\n" + steps +
         "sinks:\n  out: { from: all, topic: out, create: {} }\n";
}

// Of one phase.
std::string Sessions(const std::string& more, const std::string& columns = "") {
  return Counting(
      "  all: { from: prices, window: { session: 30m }, group_by: [route], aggregates: { n: \"count(*)\", total: "
      "\"sum(cents)\", begun: \"first(cents)\"" +
          more + " }\n",
      columns);
}

std::string FromNow(const std::string& aggregate) {
  return ", added: \"" + aggregate + "\" }, aggregates_from_now: added";
}

TEST(TopologyChange, AnAggregateFromNowOnTakesNoNullOfRowsWithoutItsColumnForAValue) {
  const std::string before = Sessions(" }");
  const std::map<std::string, Verdict::Kind> converted = {{"step all", Verdict::Kind::kConverted}},
                                             refused = {{"step all", kRefused}};
  for (const char* aggregate : {"count(note)", "max(note)", "count(distinct note)", "count(*)", "last(cents)",
                                "count(*) filter (where cents is null)", "last(route)"}) {
    EXPECT_EQ(Kinds(Change(Sessions(FromNow(aggregate), kNote), before)), converted) << aggregate;
  }
  for (const char* aggregate : {"first(note)", "last(note)", "count(*) filter (where note is null)",
                                "bool_or(note is null)", "max(coalesce(note, 'none'))", "array_agg(note)",
                                "max_by(note, cents)", "max(note) filter (where cents > 1)"}) {
    const TopologyChange change = Change(Sessions(FromNow(aggregate), kNote), before);
    EXPECT_EQ(Kinds(change), refused) << aggregate;
    EXPECT_THAT(std::string(Refusal(change.steps).message()),
                AllOf(HasSubstr("haven't got note so far"), HasSubstr("as count(note), and add this one when")))
        << aggregate;
  }
  // Once the column is sent.
  const std::string sent = Sessions(", sent: \"count(note)\" }, aggregates_from_now: sent", kNote);
  const std::string added =
      Sessions(", sent: \"count(note)\", added: \"last(note)\" }, aggregates_from_now: [sent, added]", kNote);
  EXPECT_EQ(Kinds(Change(sent, before)), converted);
  EXPECT_EQ(Kinds(Change(added, sent)), converted);
}

// Not in front of the step itself, but on its way: what lies in front of a dedup is read by the window behind it.
TEST(TopologyChange, AColumnIsMissedOnAllTopicsThatItComesOver) {
  const auto behind = [](const std::string& some, const std::string& more, const std::string& columns = "") {
    return Counting("  once: { from: prices, dedup: { by: [id], within: 1h } }\n  some: { from: once, " + some +
                        " }\n  all: { from: some, window: { tumbling: 1h }, group_by: [route], aggregates: { n: "
                        "\"count(*)\", begun: \"first(route)\"" +
                        more + " }\n",
                    columns);
  };
  const auto refused = [&](const std::string& some, const std::string& was, const std::string& aggregate) {
    const TopologyChange change = Change(behind(some, FromNow(aggregate), kNote), behind(was, " }"));
    for (const Verdict& verdict : change.steps) {
      if (verdict.kind == kRefused) return verdict.message;
    }
    return std::string();
  };
  const std::string all = "filter: \"cents > 0\"";
  EXPECT_EQ(refused(all, all, "max(note)"), "");
  EXPECT_EQ(refused(all, all, "last(route)"), "");
  EXPECT_THAT(refused(all, all, "last(note)"), HasSubstr("step once: rows that come over"));
  const std::string made = "project: { route: route, told: \"coalesce(note, 'none')\" }";
  EXPECT_EQ(refused(made, "project: { route: route }", "max(route)"), "");
  EXPECT_THAT(refused(made, "project: { route: route }", "max(told)"), HasSubstr("haven't got note so far"));
}

// Of two tasks one was taken over when there was one aggregate less to be added.
TEST(TopologyChange, WhatCountsFromNowOnIsToldOfAllTasks) {
  const Plan first = TestPlan(Sessions(" }")), second = TestPlan(Sessions(FromNow("max(cents)")));
  const Plan now =
      TestPlan(Sessions(", added: \"max(cents)\", more: \"min(cents)\" }, aggregates_from_now: [added, more]"));
  for (const bool earlier : {false, true}) {
    Former former = FormerOf(earlier ? second : first);
    for (const auto& [partition, record] : FormerOf(earlier ? first : second).newest) {
      former.newest[{partition.topic, 1}] = record;
    }
    const std::vector<Verdict> verdicts = CompareStates(now, former);
    ASSERT_EQ(verdicts.size(), 1u);
    EXPECT_EQ(verdicts[0].kind, Verdict::Kind::kConverted) << verdicts[0].message;
    EXPECT_THAT(verdicts[0].from_now, ElementsAre("added", "more"));
  }
}

TEST(TopologyChange, WhatKeepsRowsOfSuchAnAggregateSaysWhatItsLineIsFor) {
  const auto best = [](const std::string& more) {
    return Counting(
        "  hourly: { from: prices, window: { tumbling: 1h }, group_by: [route], aggregates: { n: \"count(*)\", since: "
        "\"count(cents)\" }" +
        more + " }\n  all: { from: hourly, top: { k: 3, by: [window_start], order: [since desc] } }\n");
  };
  const TopologyChange change = Change(best(""), best(", aggregates_from_now: since"));
  EXPECT_THAT(std::string(Refusal(change.steps).message()),
              AllOf(HasSubstr("step all: "), HasSubstr("leave that line where it is")));
}

// A stage is called by the first of its sources by name.
TEST(TopologyChange, AStageThatAFurtherInputOfAUnionNamesAnewIsToldByWhich) {
  const auto plan = [](const std::string& further, const std::string& key_format = "text") {
    const auto source = [](const std::string& name, const std::string& as) {
      return absl::StrCat("  ", name, ": { topic: ", name, ", partitioned_by: [id], key_format: ", as,
                          ", columns: { id: int64 } }\n");
    };
    const auto counted = [](const std::string& name) {
      return absl::StrCat("  n_", name, ": { from: ", name, ", group_by: [id], aggregates: { n: \"count(*)\" } }\n  m_",
                          name, ": { from: n_", name, ", project: { \"*\": true, shard: \"'", name, "'\" } }\n");
    };
    return TestPlan(absl::StrCat("name: app\nkafka: { brokers: b }\nsources:\n", source("us", "text"),
                                 further.empty() ? "" : source(further, key_format), "steps:\n", counted("us"),
                                 further.empty() ? "" : counted(further), "  last: { from: [m_us",
                                 further.empty() ? "" : ", m_" + further,
                                 "], group_by: [id], aggregates: { m: \"count(*)\" } }\n",
                                 "sinks:\n  out: { from: last, topic: out, key: [id], create: {} }\n"));
  };
  const Former former = FormerOf(plan(""));
  EXPECT_TRUE(Refusal(CompareStates(plan("us_eu"), former)).ok());
  EXPECT_THAT(std::string(Refusal(CompareStates(plan("eu"), former)).message()),
              AllOf(HasSubstr("and that is eu now, as eu is read together with us and comes first"),
                    HasSubstr("such as us_eu, leaves the stage its name")));
  // By keys that are written otherwise rows lie otherwise.
  EXPECT_THAT(std::string(Refusal(CompareStates(plan("us_eu", "int64"), former)).message()),
              AllOf(HasSubstr("step last"), HasSubstr("partitioned otherwise")));
}

TEST(TopologyChange, OfAFurtherInputThatHasRunBeforeASinkByKeySaysThatItGetsWhatChangesFromNowOn) {
  const auto file = [](const std::string& united, const std::string& constant) {
    return absl::StrCat("name: app\nkafka: { brokers: b }\nsources:\n",
                        "  prices: { topic: prices, partitioned_by: [id], columns: { id: int64, v: int64 } }\nsteps:\n",
                        "  a: { from: prices, group_by: [id], aggregates: { n: \"count(*)\" } }\n",
                        "  b: { from: prices, group_by: [id], aggregates: { n: \"count(v)\" } }\n",
                        "  m_a: { from: a, project: { \"*\": true, part: \"'a'\" } }\n",
                        "  m_b: { from: b, project: { \"*\": true, part: \"'", constant, "'\" } }\n",
                        "  all: { from: ", united, ", filter: \"n > 0\" }\nsinks:\n",
                        "  of_b: { from: m_b, topic: of_b, key: [id], create: {} }\n",
                        "  table: { from: all, postgres: { url: u, table: t, key: [id, part] } }\n",
                        "  topic: { from: all, topic: t, key: [id, part], key_format: json, create: {} }\n");
  };
  const auto about = [](const TopologyChange& change, const std::string& name) {
    for (const PartChange& sink : change.sinks) {
      if (sink.name == name) return sink.about;
    }
    return std::string("no such sink");
  };
  const TopologyChange further = Change(file("[m_a, m_b]", "b"), file("m_a", "b"));
  EXPECT_TRUE(Refusal(further.steps).ok());
  for (const char* sink : {"table", "topic"}) {
    EXPECT_THAT(about(further, sink), HasSubstr("; of step b (part is ('b')) it gets what changes from now on"));
    EXPECT_THAT(about(Change(file("[m_a, m_b]", "b"), file("[m_a, m_b]", "b")), sink), Not(HasSubstr("from now on")));
  }
  EXPECT_THAT(std::string(Refusal(Change(file("[m_a, m_b]", "c"), file("[m_a, m_b]", "b")).steps).message()),
              AllOf(HasSubstr("sink table: of step b"), HasSubstr("sink topic: of step b")));
  // Another table has no rows of before.
  const std::string elsewhere = absl::StrReplaceAll(file("[m_a, m_b]", "c"), {{"table: t,", "table: t2,"}});
  EXPECT_THAT(std::string(Refusal(Change(elsewhere, file("[m_a, m_b]", "b")).steps).message()),
              AllOf(Not(HasSubstr("sink table")), HasSubstr("sink topic: of step b")));
}

TEST(TopologyChange, AFirstRunLosesNothing) {
  const std::vector<Verdict> verdicts = CompareStates(TestPlan(kTopology), Former());
  EXPECT_THAT(std::string(Refusal(verdicts).message()), IsEmpty());
  for (const Verdict& verdict : verdicts) EXPECT_EQ(verdict.kind, kNew) << verdict.subject;
}

// `once` goes, and `hourly` is called so from now on.
std::string HourlyAsOnce() {
  return absl::StrReplaceAll(kTopology, {{"  once: { from: prices, dedup: { by: [id], within: 1h } }\n", ""},
                                         {"from: once", "from: prices"},
                                         {"  hourly:\n", "  once:\n    renamed_from: hourly\n"},
                                         {"from: hourly", "from: once"}});
}

TEST(TopologyChange, AStepIsGivenUpWhileAnotherTakesItsName) {
  const Plan now = TestPlan(HourlyAsOnce()), before = TestPlan(kTopology);
  const auto change = ChangeOfFile(now, before, "before.yaml", {"once"});
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_THAT(Kinds(*change), AllOf(testing::SizeIs(1), Contains(testing::Pair("step once", kDropped))));
  EXPECT_TRUE(change->steps[0].allowed);
  EXPECT_FALSE(ChangeOfFile(now, before, "before.yaml")->steps[0].allowed);
  EXPECT_THAT(std::string(ChangeOfFile(now, before, "before.yaml", {"hourly"}).status().message()),
              HasSubstr("--allow_drop hourly: the topology has that step"));
}

// The flag that would have to say the first name isn't taken without a word.
TEST(TopologyChange, ADropOfWhatNothingIsKeptOfIsToldWithTheNameThatIsMeant) {
  const Plan now = TestPlan(absl::StrReplaceAll(
      kTopology, {{"  hourly:\n", "  by_hour:\n    renamed_from: hourly\n"}, {"from: hourly", "from: by_hour"}}));
  const Plan before = TestPlan(kTopology);
  const auto idle = [&](const AllowedDrops& drops) {
    const auto change = ChangeOfFile(now, before, "before.yaml", drops);
    EXPECT_TRUE(change.ok()) << change.status();
    return change.ok() ? change->idle : std::vector<std::string>();
  };
  EXPECT_THAT(idle({"by_hour"}), testing::ElementsAre(AllOf(HasSubstr("--allow_drop by_hour gives nothing up"),
                                                            HasSubstr("goes on with what is kept as hourly"),
                                                            HasSubstr("say --allow_drop hourly"))));
  EXPECT_THAT(idle({"nobody"}), testing::ElementsAre(HasSubstr("--allow_drop nobody gives nothing up")));
  EXPECT_THAT(idle({}), IsEmpty());
  // What it says: without the name of before, and with the flag, the step begins empty.
  const Plan anew =
      TestPlan(absl::StrReplaceAll(kTopology, {{"  hourly:\n", "  by_hour:\n"}, {"from: hourly", "from: by_hour"}}));
  const auto change = ChangeOfFile(anew, now, "now.yaml", {"hourly"});
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_THAT(Kinds(*change), Contains(testing::Pair("step by_hour", kNew)));
  EXPECT_EQ(change->outcome(), TopologyChange::Outcome::kNothingLost);
  EXPECT_THAT(change->idle, IsEmpty());
}

TEST(TopologyChange, WhatGoesOnIsntGivenUpByTheNameThatItHasNow) {
  const std::string shorter = absl::StrReplaceAll(HourlyAsOnce(), {{"tumbling: 1h", "tumbling: 30m"}});
  const auto change = ChangeOfFile(TestPlan(shorter), TestPlan(kTopology), "before.yaml", {"once"});
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_THAT(Kinds(*change), Contains(testing::Pair("step once", kRefused)));
}

TEST(TopologyChange, ANameOfWhatIsLongGoneIsFree) {
  const Plan now = TestPlan(kTopology);
  Former former = FormerOf(TestPlan(Edited("once: {", "once: { renamed_from: first,")));
  const auto refused = [&] {
    const std::vector<Verdict> verdicts = CompareStates(now, former, {});
    return std::any_of(verdicts.begin(), verdicts.end(), [](const Verdict& verdict) {
      return verdict.kind == kRefused && verdict.message.find("renamed_from: first") != std::string::npos;
    });
  };
  EXPECT_TRUE(refused());
  std::map<TopicPartition, packed::CommitRecord> gone;
  for (auto& [partition, record] : former.newest) gone[{"app.gone_" + partition.topic.substr(4), 0}] = record;
  former.newest = gone;
  EXPECT_TRUE(refused()) << "its state is still there";
  for (auto& [partition, record] : former.newest) record.mutable_standing()->clear_steps();
  EXPECT_FALSE(refused());
}

}  // namespace
}  // namespace tidemark
