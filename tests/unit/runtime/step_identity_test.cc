#include "src/runtime/step_identity.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/dedup/spec.h"
#include "operators/rows/spec.h"
#include "operators/top/spec.h"
#include "operators/window/spec.h"
#include "src/runtime/offset_metadata.h"
#include "src/runtime/task.h"
#include "src/runtime/worker_status.h"
#include "tests/unit/runtime/fakes.h"
#include "tests/unit/runtime/test_plan.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Node OperatorNode(std::string step, OperatorSpec spec) {
  Node node;
  node.step = std::move(step);
  node.spec = std::move(spec);
  node.inputs = {{.schema = PlaceSchema()}};
  return node;
}

Node Dedup(std::vector<size_t> by) { return OperatorNode("once", DedupSpec{std::move(by), kSecond, kSecond, false}); }

WindowSpec Window(WindowSpec::Phase phase) {
  WindowSpec spec;
  spec.phase = phase;
  spec.size_us = spec.every_us = 60 * kSecond;
  spec.group_by = {0};
  spec.aggregates = {{"n", "count(*)"}};
  spec.rows = PlaceSchema();
  return spec;
}

Plan PlanOf(std::vector<Node> nodes) {
  Plan plan;
  plan.application.name = "app";
  plan.stages.resize(1);
  plan.stages[0].name = "main";
  plan.stages[0].nodes = std::move(nodes);
  return plan;
}

packed::CommitRecord RecordOf(const Plan& plan, int stage = 0) {
  packed::CommitRecord record;
  for (packed::StepIdentity& step : StepIdentities(plan, stage))
    *record.mutable_standing()->add_steps() = std::move(step);
  return record;
}

// As versions before the complete identity wrote it.
packed::CommitRecord FormerRecordOf(const Plan& plan) {
  packed::CommitRecord record;
  for (const packed::StepIdentity& step : StepIdentities(plan, 0)) {
    packed::StepIdentity* former = record.add_steps();
    former->set_step(step.step());
    former->set_fingerprint(step.fingerprint());
    former->set_rows(step.rows());
  }
  return record;
}

absl::Status Check(const Plan& plan, const packed::CommitRecord& record) {
  return CheckStepIdentities(plan, 0, record);
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// A topology over the source `prices`, its steps and sinks as given.
Plan Topology(const std::string& steps,
              const std::string& columns =
                  "id: int64, route: string, price: \"decimal(12,2)\", "
                  "at: timestamp_ms, sent: timestamp_ms",
              const std::string& source = "event_time: { column: at }") {
  const std::string yaml = absl::StrCat("name: app\nkafka: { brokers: b }\nsources:\n  prices:\n    topic: prices\n",
                                        "    columns: { ", columns, " }\n    ", source, "\nsteps:\n", steps,
                                        "\nsinks:\n  out: { from: last, topic: out, create: {} }\n");
  return TestPlan(yaml);
}

// Whether a topology may go on with all that another has written; what it says otherwise.
std::string GoesOn(const Plan& before, const Plan& now) {
  for (size_t s = 0; s < before.stages.size(); ++s) {
    for (size_t t = 0; t < now.stages.size(); ++t) {
      if (now.stages[t].name != before.stages[s].name) continue;
      const absl::Status status = CheckStepIdentities(now, static_cast<int>(t), RecordOf(before, static_cast<int>(s)));
      if (!status.ok()) return Message(status);
    }
  }
  return "goes on";
}

constexpr char kHourly[] =
    "  ok: { from: prices, filter: \"price > 1\" }\n"
    "  last: { from: ok, window: { tumbling: 1h, grace: 1m }, group_by: [route], aggregates: { s: \"sum(price)\" } }\n";
constexpr char kVisits[] =
    "  last: { from: prices, window: { session: 30m, grace: 1m }, group_by: [route], aggregates: { s: \"sum(price)\" } "
    "}\n";
constexpr char kOnce[] = "  last: { from: prices, dedup: { by: [id], within: 1h } }\n";

TEST(StepIdentity, TheSameStepMayReadItsStateAgain) {
  EXPECT_TRUE(Check(PlanOf({Dedup({0})}), RecordOf(PlanOf({Dedup({0})}))).ok());
}

// A step whose last aggregates count from now on goes on with groups that haven't got them.
TEST(StepIdentity, AggregatesThatAreAddedGoOnWhereTheyAreSaidToCountFromNowOn) {
  for (const char* steps : {kHourly, kVisits}) {
    const Plan before = Topology(steps);
    const auto with = [&](const std::string& aggregates, const std::string& more = "") {
      return Topology(
          absl::StrReplaceAll(steps, {{"{ s: \"sum(price)\" }", absl::StrCat("{ ", aggregates, " }", more)}}));
    };
    const std::string added = "s: \"sum(price)\", n: \"count(*)\", most: \"max(id)\"";
    const Plan said = with(added, ", aggregates_from_now: [n, most]"), unsaid = with(added);
    EXPECT_EQ(GoesOn(before, said), "goes on");
    EXPECT_EQ(GoesOn(said, said), "goes on");
    EXPECT_EQ(GoesOn(said, unsaid), "goes on") << "the word has done its work";
    EXPECT_THAT(GoesOn(before, unsaid), HasSubstr("say `aggregates_from_now: [n, most]`"));
    EXPECT_THAT(GoesOn(before, with(added, ", aggregates_from_now: most")),
                HasSubstr("say `aggregates_from_now: [n, most]`"));
    EXPECT_THAT(GoesOn(said, before), AllOf(HasSubstr("its state was written by"), HasSubstr("count(*)")));
    EXPECT_THAT(GoesOn(before, with("n: \"count(*)\", s: \"sum(price)\"")),
                HasSubstr("put it behind the other aggregates, and say `aggregates_from_now: [n]`"));
    // One after the other, with the word of the first still there.
    const Plan one = with("s: \"sum(price)\", n: \"count(*)\"", ", aggregates_from_now: n");
    EXPECT_EQ(GoesOn(before, one), "goes on");
    EXPECT_EQ(GoesOn(one, said), "goes on");
    // What was there is what it was.
    EXPECT_THAT(GoesOn(before, with("s: \"sum(price + 1)\", n: \"count(*)\"", ", aggregates_from_now: n")),
                AllOf(HasSubstr("its state was written by"), Not(HasSubstr("aggregates_from_now"))));
    EXPECT_THAT(GoesOn(before, with("s: \"avg(price)\", n: \"count(*)\"", ", aggregates_from_now: n")),
                HasSubstr("its state was written by"));
  }
}

TEST(StepIdentity, SessionsOfAnotherGapAreOthersAndThoseOfMoreGraceAreNot) {
  const auto now = [](const char* from, const char* to) {
    return GoesOn(Topology(kVisits), Topology(absl::StrReplaceAll(kVisits, {{from, to}})));
  };
  EXPECT_EQ(now("grace: 1m", "grace: 5m"), "goes on");
  EXPECT_THAT(now("session: 30m", "session: 31m"), HasSubstr("sessions 1800000000us apart"));
  EXPECT_THAT(now("session: 30m", "tumbling: 30m"), HasSubstr("sessions 1800000000us apart"));
}

TEST(StepIdentity, PositionInTheFileDoesNotMatter) {
  const Node window = OperatorNode("counts", Window(WindowSpec::Phase::kSingle));
  EXPECT_TRUE(Check(PlanOf({window, Dedup({0})}), RecordOf(PlanOf({Dedup({0}), window}))).ok());
}

TEST(StepIdentity, OtherKeysUnderTheSameNameAreRefusedWithARemedy) {
  const absl::Status status = Check(PlanOf({Dedup({1})}), RecordOf(PlanOf({Dedup({0})})));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("once"), HasSubstr("place string"), HasSubstr("n int64"), HasSubstr("new name")));
}

TEST(StepIdentity, AnotherOperatorOrTypeUnderTheSameNameIsRefused) {
  const packed::CommitRecord record = RecordOf(PlanOf({Dedup({0})}));
  Node window = OperatorNode("once", Window(WindowSpec::Phase::kSingle));
  EXPECT_THAT(Message(Check(PlanOf({window}), record)), HasSubstr("now says 'window 1m every 1m by [place"));
  Node retyped = Dedup({0});
  retyped.inputs[0].schema = Schema({{"place", {Kind::kInt64}, false}});
  EXPECT_FALSE(Check(PlanOf({retyped}), record).ok());
}

TEST(StepIdentity, StepsMayCome) {
  const packed::CommitRecord record = RecordOf(PlanOf({Dedup({0})}));
  const Node other = OperatorNode("other", Window(WindowSpec::Phase::kSingle));
  EXPECT_TRUE(Check(PlanOf({other, Dedup({0})}), record).ok());
}

TEST(StepIdentity, AStepWithStateThatIsGoneIsRefused) {
  const packed::CommitRecord record = RecordOf(PlanOf({Dedup({0})}));
  const auto refused = AllOf(HasSubstr("step once"), HasSubstr("renamed or removed"), HasSubstr("new name"));
  EXPECT_THAT(Message(Check(PlanOf({}), record)), refused);
  Node renamed = Dedup({0});
  renamed.step = "unique";
  EXPECT_THAT(Message(Check(PlanOf({renamed}), record)), refused);
  EXPECT_THAT(Message(Check(PlanOf({}), FormerRecordOf(PlanOf({Dedup({0})})))), refused);
}

// A task of the former file that comes behind the last of it would begin with nothing.
TEST(StepIdentity, AStepThatWasGivenUpBeginsAnewOnlyWhereItIsAskedTo) {
  const Plan with = PlanOf({Dedup({0})}), without = PlanOf({});
  packed::CommitRecord record = RecordOf(without);
  packed::StepIdentity* mark = record.mutable_standing()->add_steps();
  mark->set_step("once");
  mark->set_fingerprint(kGivenUp);
  const AllowedDrops once = {"once"};
  EXPECT_THAT(Message(CheckStepIdentities(with, 0, record, once)), HasSubstr("still being given up"));
  mark->set_fingerprint(kWasGiven);
  EXPECT_TRUE(Check(without, record).ok());
  EXPECT_THAT(Message(Check(with, record)), AllOf(HasSubstr("begin empty"), HasSubstr("--allow_drop")));
  ASSERT_EQ(CompareSteps(with, 0, record, once).size(), 1U);
  EXPECT_EQ(CompareSteps(with, 0, record, once)[0].kind, Verdict::Kind::kNew);
  // As its task writes it from then on.
  *record.mutable_standing()->add_steps() = StepIdentities(with, 0)[0];
  ASSERT_EQ(CompareSteps(with, 0, record).size(), 1U);
  EXPECT_EQ(CompareSteps(with, 0, record)[0].kind, Verdict::Kind::kUnchanged);
  ASSERT_EQ(CompareSteps(without, 0, record).size(), 1U);
  EXPECT_EQ(CompareSteps(without, 0, record)[0].kind, Verdict::Kind::kDropped);
}

TEST(StepIdentity, TypesOfWhatIsAggregatedArePartOfIt) {
  const Plan before = Topology(kHourly);
  EXPECT_EQ(GoesOn(before, Topology(kHourly)), "goes on");
  EXPECT_THAT(GoesOn(before, Topology(kHourly, "id: int64, route: string, price: \"decimal(14,3)\", at: timestamp_ms")),
              AllOf(HasSubstr("step last"), HasSubstr("price decimal(12,2)"), HasSubstr("price decimal(14,3)")));
  EXPECT_THAT(GoesOn(before, Topology(kHourly, "id: int64, route: string, price: double, at: timestamp_ms")),
              HasSubstr("price double"));
}

TEST(StepIdentity, WhatItsColumnsMeanIsPartOfIt) {
  const Plan before = Topology(kHourly);
  EXPECT_THAT(GoesOn(before, Topology(kHourly,
                                      "id: int64, route: string, price: { type: \"decimal(12,2)\", path: net }, "
                                      "at: timestamp_ms")),
              AllOf(HasSubstr("price from prices value.price"), HasSubstr("price from prices value.net")));
  EXPECT_THAT(GoesOn(before, Topology(kHourly,
                                      "id: int64, route: string, price: \"decimal(12,2)\", at: timestamp_ms, "
                                      "sent: timestamp_ms",
                                      "event_time: { column: sent }")),
              AllOf(HasSubstr("time from prices value.at"), HasSubstr("time from prices value.sent")));
  const std::string projected =
      "  p: { from: prices, project: { route: \"lower(route)\", price: price } }\n"
      "  last: { from: p, window: { tumbling: 1h, grace: 1m }, group_by: [route], aggregates: { s: \"sum(price)\" } "
      "}\n";
  EXPECT_THAT(GoesOn(before, Topology(projected)), HasSubstr("(lower(route)) of (route from prices value.route)"));
}

TEST(StepIdentity, FiltersAndFurtherInputsLeaveStateWhatItIs) {
  const Plan before = Topology(kHourly);
  std::string filtered = kHourly;
  filtered.replace(filtered.find("> 1"), 3, "> 2");
  EXPECT_EQ(GoesOn(before, Topology(filtered)), "goes on");
  const std::string two =
      "  more: { from: prices, filter: \"price > 5\" }\n"
      "  last: { from: [prices, more], window: { tumbling: 1h, grace: 1m }, group_by: [route], "
      "aggregates: { s: \"sum(price)\" } }\n";
  EXPECT_EQ(GoesOn(before, Topology(two)), "goes on");
}

TEST(StepIdentity, WhereRowsMeetIsPartOfIt) {
  const Plan promised = Topology(kOnce, "id: int64, at: timestamp_ms", "partitioned_by: [id]");
  const Plan moved = Topology(kOnce, "id: int64, at: timestamp_ms");
  EXPECT_THAT(GoesOn(promised, moved), AllOf(HasSubstr("step last"), HasSubstr("now keeps it in stage last")));
  const std::string by =
      "  r: { from: prices, repartition: { by: [KEY] } }\n"
      "  last: { from: r, dedup: { by: [id, route], within: 1h } }\n";
  const std::string columns = "id: int64, route: string, at: timestamp_ms";
  const auto with = [&](const std::string& key) {
    std::string steps = by;
    return Topology(steps.replace(steps.find("KEY"), 3, key), columns);
  };
  EXPECT_EQ(GoesOn(with("id"), with("id")), "goes on");
  EXPECT_THAT(GoesOn(with("id"), with("route")), AllOf(HasSubstr("moved by [id]"), HasSubstr("moved by [route]")));
}

TEST(StepIdentity, HowTimesAreWrittenIsAPartOfWhatAColumnIs) {
  const std::string columns = "id: int64, at: { type: timestamp";
  const Plan plain = Topology(kOnce, columns + " }");
  const Plan daily = Topology(kOnce, columns + ", timestamp_format: \"%d/%m/%Y\" }");
  const Plan there = Topology(kOnce, columns + ", timestamp_format: \"%d/%m/%Y\", time_zone: Asia/Damascus }");
  EXPECT_EQ(GoesOn(there, there), "goes on");
  EXPECT_THAT(GoesOn(daily, there), AllOf(HasSubstr("prices value.at written as %d/%m/%Y"),
                                          HasSubstr("prices value.at written as %d/%m/%Y in Asia/Damascus")));
  EXPECT_THAT(GoesOn(plain, daily), HasSubstr("written as %d/%m/%Y"));
}

TEST(StepIdentity, AColumnOfACsvWithoutHeaderIsItsPlace) {
  const auto with = [](const std::string& columns, const std::string& more = "format: csv") {
    return Topology(kOnce, columns, more);
  };
  EXPECT_EQ(GoesOn(with("x: int64, id: int64"), with("y: int64, id: int64, z: string")), "goes on");
  EXPECT_THAT(GoesOn(with("x: int64, id: int64"), with("id: int64, x: int64")),
              AllOf(HasSubstr("prices value.#2"), HasSubstr("prices value.#1")));
  const std::string header = "format: { type: csv, header: true }";
  EXPECT_EQ(GoesOn(with("x: int64, id: int64", header), with("id: int64, x: int64", header)), "goes on");
}

TEST(StepIdentity, StateOfEarlierVersionsIsTakenWhereTheirRuleHolds) {
  const Plan before = Topology(kHourly);
  for (size_t s = 0; s < before.stages.size(); ++s) {
    packed::CommitRecord record;
    for (const packed::StepIdentity& step : StepIdentities(before, static_cast<int>(s))) {
      packed::StepIdentity* former = record.add_steps();
      former->set_step(step.step());
      former->set_fingerprint(step.fingerprint());
    }
    EXPECT_TRUE(CheckStepIdentities(before, static_cast<int>(s), record).ok());
  }
}

// Also of what lies otherwise now, as groups of hopping windows do; the way back is refused.
TEST(StepIdentity, StateOfEarlierVersionsIsTakenWhereItLiesOtherwiseNow) {
  constexpr std::string_view kWay = " in panes";
  const Plan plan = Topology(absl::StrReplaceAll(kHourly, {{"tumbling: 1h", "hopping: 1h, every: 10m"}}));
  int steps = 0;
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    packed::CommitRecord record, other;
    for (packed::StepIdentity step : StepIdentities(plan, static_cast<int>(s))) {
      if (!step.fingerprint().ends_with(kWay)) continue;
      ++steps;
      packed::StepIdentity* former = record.add_steps();
      former->set_step(step.step());
      former->set_fingerprint(step.fingerprint().substr(0, step.fingerprint().size() - kWay.size()));
      *other.add_steps() = *former;
      other.mutable_steps(0)->mutable_fingerprint()->append(" in bags");
    }
    EXPECT_TRUE(CheckStepIdentities(plan, static_cast<int>(s), record).ok());
    if (other.steps_size() > 0) {
      EXPECT_FALSE(CheckStepIdentities(plan, static_cast<int>(s), other).ok());
    }
  }
  EXPECT_EQ(steps, 1);
}

TEST(StepIdentity, TimesThatOnlyDecideHowLongStateLivesDoNotChangeIt) {
  Node longer = Dedup({0});
  longer.spec.As<DedupSpec>().within_us *= 2;
  EXPECT_EQ(StepFingerprint(longer), StepFingerprint(Dedup({0})));
}

TEST(StepIdentity, ARunningListIsTiedToWhatItHasKept) {
  TopSpec spec{.k = 3, .by = {0}, .order = {{1, true}}, .rank = "place", .on_update = true};
  const std::string running = StepFingerprint(OperatorNode("t", spec));
  EXPECT_THAT(running, HasSubstr("as it stands, by n desc"));
  spec.order = {{1, false}};
  EXPECT_NE(StepFingerprint(OperatorNode("t", spec)), running);
  spec.order = {{1, true}};
  spec.k = 4;
  EXPECT_NE(StepFingerprint(OperatorNode("t", spec)), running);
  spec.k = 3;
  spec.on_update = false;
  EXPECT_NE(StepFingerprint(OperatorNode("t", spec)), running);
}

TEST(StepIdentity, WhatHasBeenEmittedOfAStateDependsOnTheKindOfRows) {
  Node on_close = OperatorNode("counts", Window(WindowSpec::Phase::kSingle)), on_update = on_close;
  on_update.mode.update = true;
  const packed::CommitRecord record = RecordOf(PlanOf({on_close}));
  EXPECT_TRUE(Check(PlanOf({on_close}), record).ok());
  EXPECT_THAT(std::string(Check(PlanOf({on_update}), record).message()),
              AllOf(HasSubstr("counts"), HasSubstr("append to append"), HasSubstr("append to update")));
  EXPECT_FALSE(Check(PlanOf({on_close}), RecordOf(PlanOf({on_update}))).ok());
}

TEST(StepIdentity, WhetherRowsOrChangesComeInIsToldByTheInputsThemselves) {
  const TopSpec spec{.k = 3, .by = {0}, .order = {{1, true}}, .rank = "place"};
  const auto list_of = [&](bool updates) {
    Node counts = OperatorNode("counts", FilterSpec{"n > 1"}), list = OperatorNode("list", spec);
    counts.mode.update = updates;
    list.inputs[0].nodes = {0};
    return PlanOf({counts, list});
  };
  EXPECT_THAT(RecordOf(list_of(true)).standing().steps(0).rows(), "update to append");
  // The input under another name: what is refused is the list's own state.
  Plan renamed = list_of(true);
  renamed.stages[0].nodes[0].step = "others";
  EXPECT_THAT(std::string(Check(renamed, RecordOf(list_of(false))).message()), HasSubstr("step list"));
  // A column of changes that comes along for another reader is no change of the step.
  Plan beside = list_of(false);
  HiddenSet& hidden = beside.stages[0].nodes[1].inputs[0].hidden;
  hidden = hidden.With(Hidden::kOp);
  EXPECT_TRUE(Check(beside, RecordOf(list_of(false))).ok());
}

// The input of the final phase are partials either way.
TEST(StepIdentity, WhatIsKeptOfRowsThatAreTakenBackIsAnotherState) {
  WindowSpec changes = Window(WindowSpec::Phase::kFinal);
  const std::string standing = StepFingerprint(OperatorNode("w", changes));
  changes.input_updates = true;
  EXPECT_EQ(StepFingerprint(OperatorNode("w", changes)), standing + " of changes");
}

TEST(StepIdentity, StateOfVersionsThatDidNotNoteTheKindOfRowsIsTaken) {
  const Node counts = OperatorNode("counts", Window(WindowSpec::Phase::kSingle));
  packed::CommitRecord record = FormerRecordOf(PlanOf({counts}));
  record.mutable_steps(0)->clear_rows();
  EXPECT_TRUE(Check(PlanOf({counts}), record).ok());
}

TEST(StepIdentity, StatelessStepsHaveNone) {
  EXPECT_EQ(StepFingerprint(OperatorNode("f", FilterSpec{"n > 1"})), "");
  EXPECT_EQ(StepFingerprint(OperatorNode("w", Window(WindowSpec::Phase::kPartial))), "");
}

TEST(LedgerNames, EveryEndOfAStepHasItsOwn) {
  Node node = OperatorNode("w", Window(WindowSpec::Phase::kPartial));
  EXPECT_EQ(LedgerName(node), "w partial");
  node.spec = Window(WindowSpec::Phase::kFinal);
  EXPECT_EQ(LedgerName(node), "w");
  node.kind = Node::Kind::kRepartition;
  EXPECT_EQ(LedgerName(node), "w repartition out");
  node.kind = Node::Kind::kInternal;
  EXPECT_EQ(LedgerName(node), "w repartition in");
  node.kind = Node::Kind::kKafkaSink;
  EXPECT_EQ(LedgerName(node), "sink w");
}

// Every counter its own value, so that two swapped ones show.
StepLedger Numbered(int64_t factor) {
  return {.in = 1 * factor,
          .passed = 2 * factor,
          .duplicate = 3 * factor,
          .late = 4 * factor,
          .filtered = 5 * factor,
          .unmatched = 6 * factor,
          .dead_lettered = 7 * factor,
          .absorbed = 8 * factor,
          .pairs = 9 * factor,
          .late_pairs = 10 * factor,
          .late_after_idle = 11 * factor,
          .closed = 12 * factor,
          .open = 13 * factor,
          .out = 14 * factor,
          .violated = {{"first", 15 * factor}, {"none", 0}, {"second", 16 * factor}}};
}

constexpr char kNumbered[] =
    "in=1 passed=2 duplicate=3 late=4 filtered=5 unmatched=6 dead_lettered=7 absorbed=8 pairs=9 late_pairs=10 "
    "late_after_idle=11 closed=12 open=13 out=14 violated.first=15 violated.second=16";

TEST(Ledger, AllCountersSurviveTheCommitRecord) {
  packed::CommitRecord record;
  SaveLedger("a", Numbered(1), &record);
  SaveLedger("b", Numbered(2), &record);
  StepLedger restored;
  RestoreLedger(record, "a", &restored);
  EXPECT_EQ(LedgerLine("a", restored), absl::StrCat("ledger a ", kNumbered));
  StepLedger unknown;
  RestoreLedger(record, "c", &unknown);
  EXPECT_EQ(LedgerLine("c", unknown), "ledger c in=0");
}

TEST(Ledger, ALineLeavesOutWhatIsNull) {
  StepLedger ledger;
  ledger.in = 5;
  ledger.late = 5;
  EXPECT_EQ(LedgerLine("s", ledger), "ledger s in=5 late=5");
}

TEST(Ledger, AWorkersSumsRunOverTasksAndThreadsInTheOrderOfThePlan) {
  TaskStatus first, second, third;
  first.ledger = {{"zebra", Numbered(1)}, {"ant", StepLedger()}};
  second.ledger = {{"zebra", Numbered(2)}, {"ant", StepLedger()}};
  third.ledger = {{"sink", Numbered(1)}, {"zebra", Numbered(-2)}};
  WorkerStatus status;
  status.threads.resize(2);
  status.threads[0].tasks = {first, second};
  status.threads[1].tasks = {third};
  std::vector<std::string> lines;
  for (const auto& [step, ledger] : SumLedger(status)) lines.push_back(LedgerLine(step, ledger));
  EXPECT_THAT(lines, ElementsAre(absl::StrCat("ledger zebra ", kNumbered), "ledger ant in=0",
                                 absl::StrCat("ledger sink ", kNumbered)));
}

TEST(OffsetMetadataTest, SurvivesBeingText) {
  OffsetMetadata written;
  written.commit = std::numeric_limits<uint64_t>::max();
  written.identity = std::string("\x00:\xff#0123456789ab", 16);
  written.busy = true;
  written.max_time = EventTime{-5};
  written.floor = kMinTime;
  const std::optional<OffsetMetadata> read = OffsetMetadata::Parse(written.ToString());
  ASSERT_TRUE(read) << written.ToString();
  EXPECT_EQ(read->commit, written.commit);
  EXPECT_EQ(read->identity, written.identity);
  EXPECT_TRUE(read->busy);
  EXPECT_EQ(read->max_time, written.max_time);
  EXPECT_EQ(read->floor, written.floor);
}

TEST(OffsetMetadataTest, ASwitchIsStoodForOnlyByWhoIsntBusy) {
  OffsetMetadata written{.commit = 3, .stands_for = 12};
  EXPECT_EQ(OffsetMetadata::Parse(written.ToString())->stands_for, 12);
  EXPECT_FALSE(OffsetMetadata::Parse(written.ToString())->busy);
  written.busy = true;
  EXPECT_EQ(OffsetMetadata::Parse(written.ToString())->stands_for, 0);
  EXPECT_TRUE(OffsetMetadata::Parse(written.ToString())->busy);
}

TEST(OffsetMetadataTest, TextOfOthersIsNotMetadata) {
  for (const char* text : {"", "tidemark", "tidemark:1:00:0:1", "other:1:00:0:1:1", "tidemark:-1:00:0:1:1",
                           "tidemark:1:00:0:x:1", "tidemark:1:00:0:1:1:1", "tidemark:1:00:sx:1:1"}) {
    EXPECT_FALSE(OffsetMetadata::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace tidemark
