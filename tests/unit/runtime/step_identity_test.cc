#include "src/runtime/step_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/offset_metadata.h"
#include "src/runtime/task.h"
#include "src/runtime/worker_status.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Node OperatorNode(std::string step, OperatorSpec spec) {
  Node node;
  node.step = std::move(step);
  node.spec = std::move(spec);
  node.input = PlaceSchema();
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

Stage StageOf(std::vector<Node> nodes) {
  Stage stage;
  stage.name = "main";
  stage.nodes = std::move(nodes);
  return stage;
}

packed::CommitRecord RecordOf(const Stage& stage) {
  packed::CommitRecord record;
  SaveStepIdentities(stage, &record);
  return record;
}

TEST(StepIdentity, TheSameStepMayReadItsStateAgain) {
  EXPECT_TRUE(CheckStepIdentities(StageOf({Dedup({0})}), RecordOf(StageOf({Dedup({0})}))).ok());
}

TEST(StepIdentity, PositionInTheFileDoesNotMatter) {
  const Node window = OperatorNode("counts", Window(WindowSpec::Phase::kSingle));
  EXPECT_TRUE(CheckStepIdentities(StageOf({window, Dedup({0})}), RecordOf(StageOf({Dedup({0}), window}))).ok());
}

TEST(StepIdentity, OtherKeysUnderTheSameNameAreRefusedWithARemedy) {
  const absl::Status status = CheckStepIdentities(StageOf({Dedup({1})}), RecordOf(StageOf({Dedup({0})})));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("once"), HasSubstr("place string"), HasSubstr("n int64"), HasSubstr("new name")));
}

TEST(StepIdentity, AnotherOperatorOrTypeUnderTheSameNameIsRefused) {
  const packed::CommitRecord record = RecordOf(StageOf({Dedup({0})}));
  Node window = OperatorNode("once", Window(WindowSpec::Phase::kSingle));
  EXPECT_FALSE(CheckStepIdentities(StageOf({window}), record).ok());
  Node retyped = Dedup({0});
  retyped.input = Schema({{"place", {Kind::kInt64}, false}});
  EXPECT_FALSE(CheckStepIdentities(StageOf({retyped}), record).ok());
}

TEST(StepIdentity, StepsMayComeAndGo) {
  const packed::CommitRecord record = RecordOf(StageOf({Dedup({0})}));
  EXPECT_TRUE(CheckStepIdentities(StageOf({OperatorNode("other", Window(WindowSpec::Phase::kSingle))}), record).ok());
  EXPECT_TRUE(CheckStepIdentities(StageOf({}), record).ok());
}

TEST(StepIdentity, TimesThatOnlyDecideHowLongStateLivesDoNotChangeIt) {
  Node longer = Dedup({0});
  std::get<DedupSpec>(longer.spec).within_us *= 2;
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
  const packed::CommitRecord record = RecordOf(StageOf({on_close}));
  EXPECT_TRUE(CheckStepIdentities(StageOf({on_close}), record).ok());
  EXPECT_THAT(std::string(CheckStepIdentities(StageOf({on_update}), record).message()),
              AllOf(HasSubstr("counts"), HasSubstr("append to append"), HasSubstr("append to update")));
  EXPECT_FALSE(CheckStepIdentities(StageOf({on_close}), RecordOf(StageOf({on_update}))).ok());
}

TEST(StepIdentity, WhetherRowsOrChangesComeInIsToldByTheInputsThemselves) {
  const TopSpec spec{.k = 3, .by = {0}, .order = {{1, true}}, .rank = "place"};
  const auto list_of = [&](bool updates) {
    Node counts = OperatorNode("counts", Window(WindowSpec::Phase::kSingle)), list = OperatorNode("list", spec);
    counts.mode.update = updates;
    list.inputs = {0};
    return StageOf({counts, list});
  };
  EXPECT_THAT(RecordOf(list_of(true)).steps(1).rows(), "update to append");
  // The input under another name: what is refused is the list's own state.
  Stage renamed = list_of(true);
  renamed.nodes[0].step = "others";
  EXPECT_THAT(std::string(CheckStepIdentities(renamed, RecordOf(list_of(false))).message()), HasSubstr("step list"));
  // A column of changes that comes along for another reader is no change of the step.
  Stage beside = list_of(false);
  beside.nodes[1].input_hidden = beside.nodes[1].input_hidden.With(Hidden::kOp);
  EXPECT_TRUE(CheckStepIdentities(beside, RecordOf(list_of(false))).ok());
}

TEST(StepIdentity, StateOfVersionsThatDidNotNoteTheKindOfRowsIsTaken) {
  const Node counts = OperatorNode("counts", Window(WindowSpec::Phase::kSingle));
  packed::CommitRecord record = RecordOf(StageOf({counts}));
  record.mutable_steps(0)->clear_rows();
  EXPECT_TRUE(CheckStepIdentities(StageOf({counts}), record).ok());
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
  return {.in = 1 * factor,        .passed = 2 * factor,     .duplicate = 3 * factor,     .late = 4 * factor,
          .filtered = 5 * factor,  .unmatched = 6 * factor,  .dead_lettered = 7 * factor, .absorbed = 8 * factor,
          .pairs = 9 * factor,     .late_pairs = 10 * factor, .late_after_idle = 11 * factor, .closed = 12 * factor,
          .open = 13 * factor,     .out = 14 * factor};
}

constexpr char kNumbered[] =
    "in=1 passed=2 duplicate=3 late=4 filtered=5 unmatched=6 dead_lettered=7 absorbed=8 pairs=9 late_pairs=10 "
    "late_after_idle=11 closed=12 open=13 out=14";

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

TEST(OffsetMetadataTest, TextOfOthersIsNotMetadata) {
  for (const char* text : {"", "tidemark", "tidemark:1:00:0:1", "other:1:00:0:1:1", "tidemark:-1:00:0:1:1",
                           "tidemark:1:00:0:x:1", "tidemark:1:00:0:1:1:1"}) {
    EXPECT_FALSE(OffsetMetadata::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace tidemark
