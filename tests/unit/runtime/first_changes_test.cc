// Steps and lakes that take changes, and those who have missed the first of them.
#include "src/runtime/first_changes.h"

#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/step_identity.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kTopic[] = "  out: { from: last, topic: out, key: [KEY], key_format: json, create: {} }\n";

Plan Topology(const std::string& steps, const std::string& tables = "", const std::string& sinks = kTopic) {
  const std::string yaml = absl::StrCat(
      "name: app\nkafka: { brokers: b }\nsources:\n  prices:\n    topic: prices\n    partitioned_by: [id]\n",
      "    columns: { id: int64, route: string, price: int64, at: timestamp_ms }\n    event_time: { column: at }\n",
      tables, "steps:\n", steps, "sinks:\n", sinks);
  // The sink's key is the step's, whatever that is.
  for (const char* key : {"route", "id", "route, id", "n", "place", "route, place"}) {
    absl::StatusOr<Plan> plan = PlanFromYaml(absl::StrReplaceAll(yaml, {{"KEY", key}}), "t.yaml", Operators(),
                                             OwnFormats().list(), [](std::string_view) { return std::nullopt; });
    if (plan.ok()) return *std::move(plan);
  }
  ADD_FAILURE() << yaml;
  return {};
}

// What the tasks of a topology have written once each has made a commit, by stage.
using Records = std::map<std::string, packed::CommitRecord>;
Records RecordsOf(const Plan& plan) {
  Records records;
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    packed::CommitRecord& record = records[plan.stages[s].name];
    for (packed::StepIdentity& step : StepIdentities(plan, static_cast<int>(s))) {
      *record.mutable_standing()->add_steps() = std::move(step);
    }
    record.mutable_standing()->set_application("app");
    for (const std::string& topic : InputTopics(plan, plan.stages[s])) record.add_inputs()->set_topic(topic);
    for (const Edge& edge : plan.edges) {
      if (edge.from_stage == static_cast<int>(s)) record.mutable_standing()->add_outputs()->set_topic(edge.topic);
    }
    SaveFeedOrigins(plan, static_cast<int>(s), record.mutable_standing());
  }
  return records;
}

std::string Check(const Plan& plan, const Records& records) {
  const auto of_stage = [&](int stage) {
    std::vector<const packed::CommitRecord*> known;
    const auto record = records.find(plan.stages[static_cast<size_t>(stage)].name);
    if (record != records.end()) known.push_back(&record->second);
    return known;
  };
  return std::string(CheckFirstChanges(plan, of_stage).message());
}

constexpr char kById[] = "  by_id: { from: prices, group_by: [id, route], aggregates: { n: \"sum(price)\" } }\n";
// In the stage of by_id, behind one shuffle, in two phases, and behind a stage of its own in between.
constexpr char kHere[] = "  last: { from: by_id, group_by: [id], aggregates: { m: \"count(*)\" } }\n";
constexpr char kMoved[] = "  last: { from: by_id, top: { k: 2, by: [route], order: [n], rank: place } }\n";
constexpr char kPhases[] = "  last: { from: by_id, group_by: [route], aggregates: { m: \"sum(n)\" } }\n";
constexpr char kBetween[] =
    "  there: { from: by_id, repartition: { by: [n] } }\n"
    "  more: { from: there, filter: \"n > 0\" }\n"
    "  last: { from: more, group_by: [route], aggregates: { m: \"sum(n)\" } }\n";
constexpr char kOther[] = "  last: { from: prices, dedup: { by: [id], within: 1h } }\n";

TEST(FirstChanges, AStepOverAnUpdateStepThatHasCountedBeforeIsRefusedWhereverItStands) {
  const std::string by_id(kById);
  const Records before = RecordsOf(Topology(by_id + "  last: { from: by_id, filter: \"n > 3\" }\n"));
  for (const char* steps : {kHere, kMoved, kPhases, kBetween}) {
    const Plan now = Topology(by_id + steps);
    EXPECT_THAT(Check(now, before),
                AllOf(HasSubstr("step last is new"), HasSubstr("step by_id"), HasSubstr("new name")))
        << steps;
    EXPECT_EQ(Check(now, {}), "") << "nobody has counted anything";
    EXPECT_EQ(Check(now, RecordsOf(now)), "") << "it was there from the first";
    EXPECT_EQ(Check(now, RecordsOf(Topology(kOther))), "") << "both are new";
    // The task of the new step hasn't committed yet, that of the step in front of it has.
    Records some = RecordsOf(now);
    for (const Stage& stage : now.stages) {
      if (stage.name != "prices") some.erase(stage.name);
    }
    EXPECT_EQ(Check(now, some), "") << steps;
  }
}

TEST(FirstChanges, AStepThatWasTakenOutForAWhileHasMissedWhatCameMeanwhile) {
  for (const char* steps : {kMoved, kPhases, kBetween}) {
    const Plan now = Topology(std::string(kById) + steps);
    Records records = RecordsOf(now);
    for (const Stage& stage : now.stages) {
      if (stage.name != "prices") records.erase(stage.name);  // given up by deleting its changelog
    }
    EXPECT_EQ(Check(now, records), "");
    for (auto& edge : *records["prices"].mutable_standing()->mutable_outputs()) edge.add_schemas();
    EXPECT_THAT(Check(now, records), HasSubstr("step last is new"));
  }
}

TEST(FirstChanges, AStepInAStageThatHasReadTheChangesIsRefused) {
  // The stage behind the repartition kept another state before.
  const std::string there = std::string(kById) + "  there: { from: by_id, repartition: { by: [route] } }\n";
  const Plan before =
      Topology(there + "  last: { from: there, top: { k: 2, by: [route], order: [n], rank: place } }\n");
  Records records = RecordsOf(before);
  for (auto& [stage, record] : records) {
    auto* steps = record.mutable_standing()->mutable_steps();
    for (int i = steps->size() - 1; i >= 0; --i) {
      if (steps->Get(i).step() == "last") steps->DeleteSubrange(i, 1);
    }
  }
  EXPECT_THAT(Check(before, records), AllOf(HasSubstr("step last is new"), HasSubstr("have been read before")));
}

TEST(FirstChanges, StepsOverRowsThatStandMayComeAtAnyTime) {
  const Plan before = Topology(kOther);
  const Plan now = Topology(std::string(kOther).replace(2, 4, "once") +
                            "  last: { from: once, group_by: [route], aggregates: { m: \"count(*)\" } }\n");
  EXPECT_EQ(Check(now, RecordsOf(before)), "");
}

// ---- What lies between an update step and who takes its changes

std::string GoesOn(const Plan& before, const Plan& now) {
  const Records records = RecordsOf(before);
  for (size_t s = 0; s < now.stages.size(); ++s) {
    const auto record = records.find(now.stages[s].name);
    if (record == records.end()) continue;
    const absl::Status status = CheckStepIdentities(now, static_cast<int>(s), record->second);
    if (!status.ok()) return std::string(status.message());
  }
  return "goes on";
}

TEST(FirstChanges, AFilterOnTheWayOfChangesIsPartOfTheStateBehindIt) {
  for (const std::string last : {"last: { from: x, group_by: [route], aggregates: { m: \"count(*)\" } }",
                                 "last: { from: x, group_by: [id], aggregates: { m: \"sum(n)\" } }",
                                 "last: { from: x, top: { k: 2, by: [route], order: [n], rank: place } }"}) {
    const auto with = [&](const std::string& x) {
      return Topology(absl::StrCat(kById, x.empty() ? "" : absl::StrCat("  x: { from: by_id, ", x, " }\n"), "  ",
                                   x.empty() ? absl::StrReplaceAll(last, {{"from: x", "from: by_id"}}) : last, "\n"));
    };
    const Plan before = with("filter: \"n > 1\"");
    EXPECT_EQ(GoesOn(before, with("filter: \"n > 1\"")), "goes on");
    EXPECT_THAT(GoesOn(before, with("filter: \"n > 2\"")),
                AllOf(HasSubstr("step last"), HasSubstr("changes of step by_id through filter (n > 1)"),
                      HasSubstr("changes of step by_id through filter (n > 2)")))
        << last;
    EXPECT_THAT(GoesOn(before, with("")), HasSubstr("through filter (n > 1)"));
    EXPECT_THAT(GoesOn(with(""), before), HasSubstr("through filter (n > 1)"));
    // Rows on which it fails don't come through.
    const Plan divided = with("project: { \"*\": true, q: \"100 / n\" }");
    EXPECT_THAT(GoesOn(divided, with("project: { \"*\": true, q: \"100 / (n + 1)\" }")),
                HasSubstr("project (100 / n)"));
    if (last.find("top") != std::string::npos) continue;  // keeps all columns
    EXPECT_EQ(GoesOn(with("project: { \"*\": true, q: id }"), with("project: { \"*\": true, q: n }")), "goes on");
  }
}

TEST(FirstChanges, AFilterInFrontOfTheUpdateStepIsNot) {
  const auto with = [](const std::string& condition) {
    return Topology(absl::StrCat("  some: { from: prices, filter: \"", condition, "\" }\n",
                                 absl::StrReplaceAll(kById, {{"from: prices", "from: some"}}), kPhases));
  };
  EXPECT_EQ(GoesOn(with("price > 1"), with("price > 2")), "goes on");
}

TEST(FirstChanges, TheContentOfATablesFileOnTheWayOfChangesIsPartOfTheStateBehindIt) {
  const std::string file = testing::TempDir() + "/first_changes.csv";
  const std::string tables =
      absl::StrCat("tables:\n  routes: { file: ", file, ", key: [route], columns: { route: string, town: string } }\n");
  const auto write = [&](const std::string& text) { std::ofstream(file) << text; };
  const auto plan = [&] {
    return Topology(std::string(kById) + "  placed: { from: by_id, join: { table: routes, on: [route] } }\n" +
                        "  last: { from: placed, group_by: [route], aggregates: { m: \"max(town)\" } }\n",
                    tables);
  };
  write("route,town\na,b\n");
  const Plan before = plan();
  const Records records = RecordsOf(before);
  const auto goes_on = [&] {
    absl::Status status;
    for (size_t s = 0; s < before.stages.size(); ++s) {
      status.Update(CheckStepIdentities(before, static_cast<int>(s), records.at(before.stages[s].name)));
    }
    return std::string(status.message());
  };
  EXPECT_EQ(goes_on(), "");
  write("route,town\na,b\nc,d\n");
  EXPECT_THAT(goes_on(),
              AllOf(HasSubstr("step last"), HasSubstr("inner join with table routes"), HasSubstr("content")));
  write("route,town\na,b\n");
  EXPECT_EQ(goes_on(), "") << "its time doesn't matter";
}

// ---- A lake of changes, which can't forget what it was given

constexpr char kLake[] = "  lake: { from: last, parquet: { path: /lake, mode: changes } }\n";
// In the stage of by_id, and behind another.
constexpr char kPassed[] = "  last: { from: by_id, filter: \"n > 3\" }\n";
constexpr char kFar[] =
    "  there: { from: by_id, repartition: { by: [n] } }\n  last: { from: there, filter: \"n > 3\" }\n";

TEST(FirstChanges, ALakeOfChangesOverAStepThatHasCountedBeforeIsRefusedWhereverItStands) {
  const Records before = RecordsOf(Topology(std::string(kById) + kPassed));
  for (const char* steps : {kPassed, kFar}) {
    const Plan now = Topology(std::string(kById) + steps, "", kLake);
    EXPECT_THAT(Check(now, before), AllOf(HasSubstr("sink lake is new"), HasSubstr("step by_id"), HasSubstr("new name"),
                                          HasSubstr("new folder")))
        << steps;
    EXPECT_EQ(Check(now, {}), "") << "nobody has counted anything";
    EXPECT_EQ(Check(now, RecordsOf(now)), "") << "it was there from the first";
    EXPECT_EQ(Check(now, RecordsOf(Topology(kOther))), "") << "both are new";
    EXPECT_EQ(GoesOn(now, now), "goes on");
  }
}

TEST(FirstChanges, ALakeOfChangesThatWasTakenOutForAWhileHasMissedWhatCameMeanwhile) {
  for (const char* steps : {kPassed, kFar}) {
    const Plan now = Topology(std::string(kById) + steps, "", kLake);
    Records records = RecordsOf(now);
    for (auto& [stage, record] : records) {
      for (auto& edge : *record.mutable_standing()->mutable_outputs()) {
        if (edge.topic().ends_with(".feed")) edge.add_schemas();
      }
    }
    EXPECT_THAT(Check(now, records), HasSubstr("sink lake is new")) << steps;
  }
}

TEST(FirstChanges, RowsAreTakenBackOutOfALakeAsTheyWereGiven) {
  const auto with = [](const std::string& last, const std::string& partition_by = "[\"date(_time)\"]",
                       const std::string& more = "max_age: 1m") {
    return Topology(absl::StrCat(kById, "  last: { from: by_id, ", last, " }\n"), "",
                    absl::StrCat("  lake: { from: last, parquet: { path: /lake, mode: changes, partition_by: ",
                                 partition_by, ", ", more, " } }\n"));
  };
  const auto refused = [](const std::string& was, const std::string& now) {
    return AllOf(HasSubstr("sink lake: its files hold"), HasSubstr(was), HasSubstr(now), HasSubstr("new folder"));
  };
  const Plan filtered = with("filter: \"n > 1\"");
  EXPECT_EQ(GoesOn(filtered, with("filter: \"n > 1\"", "[\"date(_time)\"]", "max_bytes: 1MiB")), "goes on");
  EXPECT_THAT(GoesOn(filtered, with("filter: \"n > 2\"")), refused("filter (n > 1)", "filter (n > 2)"));
  EXPECT_THAT(GoesOn(filtered, with("project: { \"*\": true }")), HasSubstr("sink lake: its files hold"));
  // What a row looks like: a column more or less, of another type, or made otherwise.
  const Plan made = with("project: { \"*\": true, q: id }");
  EXPECT_EQ(GoesOn(made, with("project: { q: id, \"*\": true }")), "goes on") << "wherever it stands";
  EXPECT_THAT(GoesOn(made, with("project: { \"*\": true, q: n }")), HasSubstr("sink lake: its files hold"));
  EXPECT_THAT(GoesOn(made, with("project: { \"*\": true }")), HasSubstr("sink lake: its files hold"));
  EXPECT_THAT(GoesOn(with("project: { \"*\": true }"), made), HasSubstr("sink lake: its files hold"));
  EXPECT_THAT(GoesOn(made, with("project: { \"*\": true, q: \"id::decimal(20,2)\" }")),
              refused("q int64", "q decimal"));
  // A folder that decides whether a row comes at all, or which takes a column out of the files.
  EXPECT_EQ(GoesOn(filtered, with("filter: \"n > 1\"", "[{ part: _partition }]")), "goes on");
  EXPECT_THAT(GoesOn(filtered, with("filter: \"n > 1\"", "[route]")), refused("folders ()", "folders (route = "));
  EXPECT_THAT(GoesOn(filtered, with("filter: \"n > 1\"", "[{ part: \"100 / n\" }]")), refused("folders ()", "100 / n"));
}

TEST(FirstChanges, ATableWhoseRowsReplaceEachOtherIsNoLakeAndCantBecomeOne) {
  const std::string table = "  lake: { from: last, postgres: { url: u, table: t, key: [id, route] } }\n";
  const Plan before = Topology(std::string(kById) + kPassed, "", table);
  EXPECT_EQ(GoesOn(before, Topology(std::string(kById) + "  last: { from: by_id, filter: \"n > 4\" }\n", "", table)),
            "goes on");
  EXPECT_EQ(Check(before, RecordsOf(Topology(std::string(kById) + kPassed))), "");
  const Plan lake = Topology(std::string(kById) + kPassed, "", kLake);
  EXPECT_THAT(GoesOn(before, lake), HasSubstr("sink lake: its files hold"));
  EXPECT_EQ(GoesOn(lake, before), "goes on");
}

TEST(FirstChanges, ALakeThatDoesNotSayByWhatItsChangesCameIsTaken) {
  const Plan plan = Topology(std::string(kById) + kPassed, "", kLake);
  Records records = RecordsOf(plan);
  for (auto& [stage, record] : records) {
    for (auto& edge : *record.mutable_standing()->mutable_outputs()) edge.clear_origins();
  }
  EXPECT_EQ(Check(plan, records), "");
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    EXPECT_TRUE(CheckStepIdentities(plan, static_cast<int>(s), records.at(plan.stages[s].name)).ok());
  }
}

// ---- A further input in a union

constexpr char kMore[] =
    "  more: { from: prices, group_by: [id, route], aggregates: { n: \"max(price)\" } }\n"
    "  m_more: { from: more, project: { \"*\": true, part: \"'b'\" } }\n";
constexpr char kOne[] = "  m_by_id: { from: by_id, project: { \"*\": true, part: \"'a'\" } }\n";
constexpr char kSeen[] = "  seen: { from: more, topic: seen, key: [id, route], key_format: json, create: {} }\n";

// `last` over the one or over both; `more` is there, or isn't.
Plan United(const std::string& last, bool both, bool more, const std::string& sink = kTopic) {
  const std::string from = both ? "[m_by_id, m_more]" : "m_by_id";
  return Topology(
      absl::StrCat(kById, kOne, more ? kMore : "", more && !both ? "  x: { from: m_more, filter: \"n > 0\" }\n" : "",
                   absl::StrReplaceAll(last, {{"from: by_id", "from: " + from}})),
      "",
      absl::StrCat(sink, more ? kSeen : "",
                   more && !both ? "  x_lake: { from: x, parquet: { path: /x, mode: changes } }\n" : ""));
}

TEST(FirstChanges, AFurtherInputOfAUnionIsHeardFromTheFirstWhereItIsNew) {
  for (const char* last : {kHere, kPhases, kMoved}) {
    const Plan now = United(last, true, true);
    const Records before = RecordsOf(United(last, false, false));
    EXPECT_EQ(Check(now, before), "") << last;
    EXPECT_EQ(GoesOn(United(last, false, false), now), "goes on") << last;
    EXPECT_EQ(Check(now, RecordsOf(now)), "");
    // Killed when some of its tasks had committed what they do from now on.
    for (const Stage& stage : now.stages) {
      Records some = before;
      some[stage.name] = RecordsOf(now)[stage.name];
      EXPECT_EQ(Check(now, some), "") << last << stage.name;
    }
  }
}

TEST(FirstChanges, AFurtherInputThatHasMadeChangesBeforeIsRefused) {
  for (const char* last : {kHere, kPhases, kMoved}) {
    EXPECT_THAT(
        Check(United(last, true, true), RecordsOf(United(last, false, true))),
        AllOf(HasSubstr("step last goes on, and would take the changes of step more"), HasSubstr("which it never got")))
        << last;
    EXPECT_EQ(Check(United(last, false, true), RecordsOf(United(last, false, true))), "");
  }
  const Plan now = United(kPassed, true, true, kLake);
  EXPECT_EQ(Check(now, RecordsOf(United(kPassed, false, false, kLake))), "");
  EXPECT_THAT(Check(now, RecordsOf(United(kPassed, false, true, kLake))),
              AllOf(HasSubstr("sink lake goes on"), HasSubstr("step more")));
}

TEST(FirstChanges, BehindARepartitionAFurtherInputThatWasReadBeforeIsRefused) {
  const std::string there =
      "  a: { from: m_by_id, repartition: { by: [id] } }\n  b: { from: m_more, repartition: { by: [id] } }\n";
  const auto plan = [&](const std::string& from) {
    return Topology(absl::StrCat(kById, kOne, kMore, there, "  last: { from: ", from,
                                 ", group_by: [route], aggregates: { m: \"count(*)\" } }\n",
                                 "  y: { from: [a, b], filter: \"n > 0\" }\n"),
                    "",
                    absl::StrCat(kTopic, "  y_topic: { from: y, topic: y, key: [id, route, part], key_format: json, ",
                                 "create: {} }\n"));
  };
  EXPECT_THAT(Check(plan("[a, b]"), RecordsOf(plan("a"))), AllOf(HasSubstr("step last goes on"), HasSubstr(".b.")));
  EXPECT_EQ(Check(plan("[a, b]"), RecordsOf(plan("[a, b]"))), "");
  EXPECT_EQ(Check(plan("a"), RecordsOf(plan("a"))), "");
}

// ---- One step's rows, parted and united again

// `last` over these of x, y and z, which are by_id's rows with a constant each; all of them are there.
Plan Parts(const std::string& last, const std::string& from, bool filtered, const std::string& sink = kTopic,
           const std::string& constant_of_x = "x") {
  std::string steps = kById;
  for (const std::string name : {"x", "y", "z"}) {
    const std::string rows = filtered ? "some_" + name : "by_id";
    if (filtered) absl::StrAppend(&steps, "  ", rows, ": { from: by_id, filter: \"route = '", name, "'\" }\n");
    absl::StrAppend(&steps, "  ", name, ": { from: ", rows, ", project: { \"*\": true, part: \"'",
                    name == "x" ? constant_of_x : name, "'\" } }\n");
  }
  return Topology(absl::StrCat(steps, "  all: { from: [x, y, z], filter: \"n > 0\" }\n",
                               absl::StrReplaceAll(last, {{"from: by_id", "from: " + from}})),
                  "", absl::StrCat(sink, "  all_lake: { from: all, parquet: { path: /all, mode: changes } }\n"));
}

TEST(FirstChanges, AFurtherPartOfAStepThatHasMadeChangesBeforeIsRefused) {
  const std::vector<std::pair<const char*, const char*>> takers = {
      {kHere, kTopic}, {kPhases, kTopic}, {kMoved, kTopic}, {kPassed, kLake}, {kFar, kLake}};
  for (const auto& [last, sink] : takers) {
    for (const bool filtered : {false, true}) {
      const auto plan = [&, last = last, sink = sink](const std::string& from) {
        return Parts(last, from, filtered, sink);
      };
      const Plan one = plan("x"), two = plan("[x, y]"), three = plan("[x, y, z]");
      EXPECT_THAT(
          Check(two, RecordsOf(one)),
          AllOf(HasSubstr(" goes on, and would take the changes of step by_id (part"), HasSubstr("which it never got")))
          << last;
      EXPECT_THAT(Check(three, RecordsOf(two)), HasSubstr("the changes of step by_id (part is ('z'))")) << last;
      EXPECT_EQ(Check(one, RecordsOf(one)), "");
      EXPECT_EQ(Check(two, RecordsOf(two)), "");
      EXPECT_EQ(Check(three, {}), "");
      EXPECT_EQ(GoesOn(two, two), "goes on");
      // What one of them has given would never be taken back.
      EXPECT_THAT(GoesOn(two, one), HasSubstr("a way of changes of step by_id: part is ('y')")) << last;
      // Killed when some of its tasks had committed what they do from now on.
      for (const Stage& stage : two.stages) {
        Records some = RecordsOf(one);
        some[stage.name] = RecordsOf(two)[stage.name];
        if (stage.name != "prices") EXPECT_THAT(Check(two, some), HasSubstr("goes on")) << last;
      }
      EXPECT_THAT(GoesOn(three, two), HasSubstr("a way of changes of step by_id: part is ('z')")) << last;
    }
  }
}

TEST(FirstChanges, BehindARepartitionOfItsOwnAFurtherPartThatWasReadBeforeIsRefused) {
  const std::string parts =
      "  x: { from: by_id, project: { \"*\": true, part: \"'x'\" } }\n"
      "  y: { from: by_id, project: { \"*\": true, part: \"'y'\" } }\n"
      "  a: { from: x, repartition: { by: [id] } }\n  b: { from: y, repartition: { by: [id] } }\n"
      "  all: { from: [a, b], filter: \"n > 0\" }\n";
  const auto plan = [&](const std::string& from) {
    return Topology(absl::StrCat(kById, parts, "  last: { from: ", from,
                                 ", group_by: [route], aggregates: { m: \"count(*)\" } }\n"),
                    "", absl::StrCat(kTopic, "  all_lake: { from: all, parquet: { path: /all, mode: changes } }\n"));
  };
  EXPECT_THAT(Check(plan("[a, b]"), RecordsOf(plan("a"))), HasSubstr("step last goes on"));
  EXPECT_EQ(Check(plan("[a, b]"), RecordsOf(plan("[a, b]"))), "");
}

TEST(FirstChanges, PartsThatExchangeTheirConstantsAreOthers) {
  const auto with = [](const std::string& a, const std::string& b) {
    return Topology(absl::StrCat(kById,
                                 "  f: { from: by_id, filter: \"n <= 9\" }\n  g: { from: by_id, filter: \"n > 9\" }\n",
                                 "  x: { from: f, project: { \"*\": true, part: \"", a, "\" } }\n",
                                 "  y: { from: g, project: { \"*\": true, part: \"", b, "\" } }\n",
                                 "  last: { from: [x, y], group_by: [route], aggregates: { m: \"max(part)\" } }\n"));
  };
  EXPECT_EQ(GoesOn(with("'a'", "'b'"), with("'a'", "'b'")), "goes on");
  EXPECT_THAT(GoesOn(with("'a'", "'b'"), with("'b'", "'a'")), HasSubstr("part is ('a') through filter (n <= 9)"));
}

TEST(FirstChanges, AConstantThatAFilterAsksForOnTheWayOfChangesIsPartOfTheStateBehindIt) {
  const auto with = [](const std::string& shard, const std::string& last, const std::string& sink) {
    return Topology(absl::StrCat(kById, "  m: { from: by_id, project: { \"*\": true, shard: \"", shard,
                                 "\", q: \"n + 1\" } }\n", last),
                    "", sink);
  };
  const std::string filtered = "  x: { from: m, filter: \"shard = 'eu' AND n > 1\" }\n";
  const std::string counted = filtered + "  last: { from: x, group_by: [route], aggregates: { m: \"count(*)\" } }\n";
  const std::string passed = filtered + "  last: { from: x, project: { id: id, route: route, n: n } }\n";
  for (const auto& [last, sink] : {std::pair(counted, kTopic), std::pair(passed, kLake)}) {
    const Plan before = with("'eu'", last, sink);
    EXPECT_EQ(GoesOn(before, with("'eu'", last, sink)), "goes on");
    EXPECT_THAT(GoesOn(before, with("'europe'", last, sink)),
                HasSubstr("changes where filter (shard = 'eu' AND n > 1) reads shard from ('eu')"));
  }
  // What nobody asks for isn't.
  const std::string other =
      "  x: { from: m, filter: \"n > 1\" }\n  last: { from: x, group_by: [route], aggregates: { m: \"count(*)\" } }\n";
  EXPECT_EQ(GoesOn(with("'eu'", other, kTopic), with("'europe'", other, kTopic)), "goes on");
  // Any other expression decides as much.
  const std::string made =
      "  x: { from: m, filter: \"q > 1\" }\n  last: { from: x, group_by: [route], aggregates: { m: \"count(*)\" } }\n";
  const Plan changed = Topology(
      absl::StrCat(kById, "  m: { from: by_id, project: { \"*\": true, shard: \"'eu'\", q: \"n + 2\" } }\n", made));
  EXPECT_THAT(GoesOn(with("'eu'", made, kTopic), changed), HasSubstr("reads q from (n + 1)"));
}

// What an earlier version left: it knew no unions of changes, and said nothing of what it sent to other stages.
TEST(FirstChanges, BehindAStageThatDoesNotSayWhoseChangesItSentOnlyTheOneMakerIsKnown) {
  const auto of_before = [](const Plan& plan) {
    Records records = RecordsOf(plan);
    for (auto& [stage, record] : records) {
      for (auto& edge : *record.mutable_standing()->mutable_outputs()) edge.clear_origins();
    }
    return records;
  };
  EXPECT_EQ(Check(United(kPhases, false, true), of_before(United(kPhases, false, true))), "");
  EXPECT_THAT(Check(United(kPhases, true, true), of_before(United(kPhases, false, true))),
              AllOf(HasSubstr("step last goes on"), HasSubstr("run the former file with this one for a moment")));
}

// ---- Topics, tables and views, in which rows are found by their keys

std::vector<std::string> SinksByKey() {
  return {"  out: { from: last, topic: out, key: [id, route, part], key_format: json, create: {} }\n",
          "  out: { from: last, postgres: { url: u, table: t, key: [id, route, part] } }\n",
          absl::StrCat("  seen: { from: prices, topic: seen }\n",
                       "views: { out: { from: last, key: [id, route, part] } }\n")};
}

// by_id's and more's rows with these constants; empty: not united.
Plan Constants(const std::string& of_by_id, const std::string& of_more, const std::string& sink) {
  const auto marked = [](const std::string& step, const std::string& constant) {
    return absl::StrCat("  m_", step, ": { from: ", step, ", project: { \"*\": true, part: \"", constant, "\" } }\n");
  };
  std::vector<std::string> from;
  if (!of_by_id.empty()) from.push_back("m_by_id");
  if (!of_more.empty()) from.push_back("m_more");
  return Topology(
      absl::StrCat(kById, "  more: { from: prices, group_by: [id, route], aggregates: { n: \"max(price)\" } }\n",
                   of_by_id.empty() ? "" : marked("by_id", of_by_id), of_more.empty() ? "" : marked("more", of_more),
                   "  last: { from: [", absl::StrJoin(from, ", "), "], filter: \"n > 3\" }\n"),
      "",
      absl::StrCat("  by: { from: by_id, topic: by, key: [id, route], key_format: json, create: {} }\n",
                   "  by_more: { from: more, topic: by_more, key: [id, route], key_format: json, create: {} }\n",
                   sink));
}

TEST(FirstChanges, AConstantInTheKeyOfRowsThatStandIsNotChanged) {
  for (const std::string& sink : SinksByKey()) {
    const auto with = [&](const std::string& a, const std::string& b) { return Constants(a, b, sink); };
    const Plan two = with("'a'", "'b'");
    EXPECT_EQ(GoesOn(two, two), "goes on");
    EXPECT_THAT(GoesOn(two, with("'aa'", "'b'")),
                AllOf(HasSubstr(" out: of step by_id through filter (n > 3) it holds rows whose key says that part is "
                                "('a'), and the topology now gives part is ('aa')"),
                      HasSubstr("never be replaced or deleted")))
        << sink;
    EXPECT_THAT(GoesOn(two, with("'b'", "'a'")), HasSubstr("it holds rows whose key says")) << "swapped";
    EXPECT_THAT(GoesOn(with("'a'", ""), with("'aa'", "")), HasSubstr("it holds rows whose key says"));
    EXPECT_THAT(GoesOn(with("'a'", ""), with("", "'a'")), HasSubstr("to those of step more")) << "taken over";
    EXPECT_EQ(GoesOn(with("'a'", ""), two), "goes on") << "a further input";
    EXPECT_EQ(GoesOn(two, with("'a'", "")), "goes on") << "what stands of it stays";
  }
}

TEST(FirstChanges, ConstantsOfPartsOfAStepAreNotSwappedAndFiltersMayChange) {
  for (const std::string& sink : SinksByKey()) {
    const auto with = [&](const std::string& a, const std::string& b, const std::string& filter_of_a) {
      return Topology(
          absl::StrCat(kById, "  f: { from: by_id, filter: \"", filter_of_a, "\" }\n",
                       "  g: { from: by_id, filter: \"n > 9\" }\n", "  x: { from: f, project: { \"*\": true, part: \"",
                       a, "\" } }\n", "  y: { from: g, project: { \"*\": true, part: \"", b, "\" } }\n",
                       "  last: { from: [x, y], filter: \"n > 3\" }\n"),
          "", sink);
    };
    const Plan before = with("'a'", "'b'", "n <= 9");
    EXPECT_THAT(GoesOn(before, with("'b'", "'a'", "n <= 9")), HasSubstr("it holds rows whose key says"));
    EXPECT_THAT(GoesOn(before, with("'c'", "'b'", "n <= 8")), HasSubstr("it holds rows whose key says"));
    EXPECT_EQ(GoesOn(before, with("'a'", "'b'", "n <= 8")), "goes on");
  }
}

// Versions before didn't say by what changes come.
TEST(FirstChanges, StateThatDoesNotSayByWhatItsChangesCameIsTaken) {
  const Plan plan = Topology(std::string(kById) + kMoved);
  Records records = RecordsOf(plan);
  for (auto& [stage, record] : records) {
    for (auto& step : *record.mutable_standing()->mutable_steps()) {
      auto* origins = step.mutable_origins();
      for (int i = origins->size() - 1; i >= 0; --i) {
        if (origins->Get(i).starts_with("changes of")) origins->DeleteSubrange(i, 1);
      }
    }
  }
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    EXPECT_TRUE(CheckStepIdentities(plan, static_cast<int>(s), records.at(plan.stages[s].name)).ok());
  }
}

}  // namespace
}  // namespace tidemark
