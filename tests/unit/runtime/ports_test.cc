// A task with a step of two inputs: which rows come to which, and what time it is there.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/step.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/generations/withheld.h"
#include "src/runtime/step_identity.h"
#include "src/runtime/task.h"
#include "src/runtime/task_input.h"
#include "tests/unit/plan/pair.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;

class EmptyState final : public TaskState {
 public:
  StateStore* Store(std::string_view) override { return nullptr; }
  const packed::CommitRecord* committed() const override { return nullptr; }
  Offset changelog_next() const override { return 0; }
  absl::Status Clear() override { return absl::OkStatus(); }
  absl::Status Replay(Offset, std::string_view) override { return absl::OkStatus(); }
  absl::Status FinishReplay(Offset) override { return absl::OkStatus(); }
  std::string Announce(uint64_t) override { return "announcement"; }
  absl::StatusOr<std::vector<std::string>> EncodeCommit(packed::CommitRecord*) override {
    return std::vector<std::string>();
  }
  absl::Status Apply(const packed::CommitRecord&, Offset, Offset) override { return absl::OkStatus(); }
  void DropUncommitted() override {}
  Offset trim_before() const override { return 0; }
  int64_t overlay_bytes() const override { return 0; }
  int64_t live_bytes() const override { return 0; }
};

constexpr int64_t kCommitBytes = 1 << 20;

// Writes down what it is told.
class Pairs final : public Operator {
 public:
  Pairs(const Node& node, std::vector<std::string>* told, const bool* ahead, const bool* fills)
      : left_(node, 0), right_(node, 1), told_(told), ahead_(ahead), fills_(fills) {}

  std::string_view name() const override { return left_.name; }
  absl::Status Open(const OperatorContext&) override { return absl::OkStatus(); }
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override {
    const StepShape& shape = input == 0 ? left_ : right_;
    EXPECT_TRUE(batch->schema()->Equals(BatchSchema(shape.input, shape.input_hidden)));
    told_->push_back(absl::StrCat(input == 0 ? "left " : "right ", batch->num_rows()));
    if (*fills_) emitter.AddPending(kCommitBytes);
    return absl::OkStatus();
  }
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter&) override {
    if (time > kMinTime) told_->push_back(absl::StrCat("time ", time.us / kMillisecond));
    return time;
  }
  bool Ahead(size_t input) const override { return ahead_[input]; }

 private:
  const StepShape left_, right_;
  std::vector<std::string>* const told_;
  const bool* const ahead_;  // by input
  const bool* const fills_;  // what it makes of a batch makes the commit full
};

class PortsTest : public ::testing::Test {
 protected:
  PortsTest() {
    auto plan =
        PlanFromYaml(R"(
name: app
sources:
  left: { topic: left, columns: { k: int64, at: timestamp_ms }, event_time: { column: at },
          partitioned_by: [k] }
  right: { topic: right, columns: { at: timestamp_ms, j: int64 }, event_time: { column: at },
           partitioned_by: [j] }
steps:
  z: { from: left, custom: { operator: pair, by: [k], with: { right: right, right_by: j } } }
sinks:
  out: { from: z, topic: out }
)",
                     "t.yaml", OperatorsWithPair(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
    EXPECT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    for (Node& node : plan_.stages.at(0).nodes) {
      if (node.step != "z") continue;
      node.spec.As<PairSpec>().make = [this](const Node& made) {
        return std::make_unique<Pairs>(made, &told_, ahead_, &fills_);
      };
    }
    runtime_.plan = &plan_;
    runtime_.partitions = {{"left", 1},
                           {"right", 1},
                           {"out", 1},
                           {plan_.dead_letter_topic, 1},
                           {plan_.application.ChangelogTopic("left"), 1}};
    runtime_.clock = &clock_;
    runtime_.control = &control_;
    runtime_.new_identity = [] { return std::string(16, 'i'); };
  }

  void Process(Task* task, const std::string& topic, Offset first, const std::vector<std::string>& values) {
    ASSERT_TRUE(task->Process(std::make_unique<FakeFetch>(TopicPartition{topic, 0}, first, values)).ok());
    ASSERT_TRUE(task->Advance().ok());
  }

  Plan plan_;
  FakeClock clock_;
  RunControl control_;
  Runtime runtime_;
  FakeProducer producer_;
  std::vector<std::string> told_;
  bool ahead_[2] = {false, false};
  bool fills_ = false;
};

TEST_F(PortsTest, AnInputThatIsAheadWaitsWhileTheOtherComesUp) {
  Transaction transaction(&producer_, kCommitBytes);
  Task task(runtime_, 0, 0, std::make_unique<EmptyState>(), &transaction);
  ASSERT_TRUE(task.Open().ok());
  for (const char* topic : {"left", "right"}) task.SetStart(topic, 0, "id");
  Process(&task, "right", 0, {R"({"j": 1, "at": 7000})"});
  Process(&task, "left", 0, {R"({"k": 1, "at": 9000})"});
  const auto waiting = [&] {
    std::set<TopicPartition> inputs;
    task.AppendWaiting(&inputs);
    return std::vector<TopicPartition>(inputs.begin(), inputs.end());
  };
  EXPECT_THAT(waiting(), ElementsAre());
  ahead_[0] = ahead_[1] = true;
  EXPECT_THAT(waiting(), ElementsAre(TopicPartition{"left", 0})) << "of the right nothing is further behind";
  clock_.monotonic_us += 11 * kSecond;
  EXPECT_THAT(waiting(), ElementsAre()) << "the right says nothing any more";
  Process(&task, "right", 1, {R"({"j": 1, "at": 8000})"});
  EXPECT_THAT(waiting(), ElementsAre(TopicPartition{"left", 0}));
}

TEST_F(PortsTest, AnInputThatIsHeldIsNeverIdleAndItsSilenceCountsFromItsRelease) {
  for (SourcePlan& source : plan_.sources) source.event_time.when_all_idle = WhenAllIdle::kFollowClock;
  Transaction transaction(&producer_, kCommitBytes);
  Task task(runtime_, 0, 0, std::make_unique<EmptyState>(), &transaction);
  ASSERT_TRUE(task.Open().ok());
  for (const char* topic : {"left", "right"}) task.SetStart(topic, 0, "id");
  Process(&task, "right", 0, {R"({"j": 1, "at": 1000})"});
  Process(&task, "left", 0, {R"({"k": 1, "at": 9000})"});
  task.ReachedEnd("left", 1);  // more comes while it is held, which isn't told
  ahead_[0] = true;
  const auto waiting = [&] {
    std::set<TopicPartition> inputs;
    task.AppendWaiting(&inputs);
    return inputs.size();
  };
  Offset next = 1;
  for (int i = 1; i < 20; ++i) {
    EXPECT_EQ(waiting(), 1u);
    clock_.monotonic_us += 2 * kSecond;
    Process(&task, "right", next++, {absl::StrCat(R"({"j": 1, "at": )", 1000 + i, "}")});
  }
  EXPECT_EQ(waiting(), 1u);
  Process(&task, "right", next++, {R"({"j": 1, "at": 30000})"});
  EXPECT_EQ(told_.back(), "time 9000") << "what the left has yet to bring isn't late";
  ahead_[0] = false;
  EXPECT_EQ(waiting(), 0u);
  clock_.monotonic_us += 9 * kSecond;
  Process(&task, "right", next++, {R"({"j": 1, "at": 31000})"});
  EXPECT_EQ(told_.back(), "right 1");
  clock_.monotonic_us += 2 * kSecond;
  Process(&task, "right", next++, {R"({"j": 1, "at": 32000})"});
  EXPECT_EQ(told_.back(), "time 32000") << "it is silent";
}

TEST_F(PortsTest, AnInputOfWhichMoreIsWithheldIsntIdle) {
  Transaction transaction(&producer_, kCommitBytes);
  Task task(runtime_, 0, 0, std::make_unique<EmptyState>(), &transaction);
  ASSERT_TRUE(task.Open().ok());
  for (const char* topic : {"left", "right"}) task.SetStart(topic, 0, "id");
  Process(&task, "left", 0, {R"({"k": 1, "at": 1000})"});
  task.ReachedEnd("left", 1);
  task.ReachedEnd("left", kWithheld);
  Offset next = 0;
  const auto silent = [&] {
    clock_.monotonic_us += 60 * kSecond;
    Process(&task, "right", next, {absl::StrCat(R"({"j": 1, "at": )", 20'000 + 1'000 * next, "}")});
    ++next;
    return told_.back();
  };
  EXPECT_EQ(silent(), "time 1000");
  EXPECT_EQ(silent(), "right 1") << "the left's next rows would be late";
  EXPECT_EQ(task.position("left"), 1);
  task.ReachedEnd("left", 1);
  EXPECT_EQ(silent(), "time 22000");
}

TEST_F(PortsTest, WhileTimeStandsNoInputFallsIdle) {
  Transaction transaction(&producer_, kCommitBytes);
  Task task(runtime_, 0, 0, std::make_unique<EmptyState>(), &transaction);
  ASSERT_TRUE(task.Open().ok());
  for (const char* topic : {"left", "right"}) task.SetStart(topic, 0, "id");
  Process(&task, "left", 0, {R"({"k": 1, "at": 1000})"});
  task.ReachedEnd("left", 1);
  Offset next = 0;
  const auto silent = [&] {
    clock_.monotonic_us += 60 * kSecond;
    Process(&task, "right", next, {absl::StrCat(R"({"j": 1, "at": )", 20'000 + 1'000 * next, "}")});
    ++next;
    return told_.back();
  };
  control_.clock_stands = true;
  EXPECT_EQ(silent(), "time 1000");
  EXPECT_EQ(silent(), "right 1");
  control_.clock_stands = false;
  EXPECT_EQ(silent(), "time 22000");
}

TEST(TaskInputTest, TheLastWordOfAnInternalTopicThatItIsIdleDoesntCountWhileItIsHeld) {
  const Edge edge;
  const TopicPartition from{"internal", 0};
  TaskInput input(0, from, InternalInput(&edge, from));
  packed::RowsHeader header;
  header.set_last(true);
  header.set_upstream_count(1);
  header.set_watermark_us(5);
  header.set_idle(true);
  input.internal()->time.Update(header);
  EXPECT_TRUE(input.mark().idle);
  input.held = true;
  EXPECT_FALSE(input.mark().idle);
  EXPECT_EQ(input.mark().watermark.us, 5);
}

// What it has stopped at may wait for nothing else: neither rows nor time have to come.
TEST_F(PortsTest, AnOperatorThatAFullCommitStoppedIsAskedAgainBehindItThoughTimeStandsStill) {
  Transaction transaction(&producer_, kCommitBytes);
  Task task(runtime_, 0, 0, std::make_unique<EmptyState>(), &transaction);
  ASSERT_TRUE(task.Open().ok());
  for (const char* topic : {"left", "right"}) task.SetStart(topic, 0, "id");
  Process(&task, "left", 0, {R"({"k": 1, "at": 5000})"});
  Process(&task, "right", 0, {R"({"j": 1, "at": 7000})"});
  told_.clear();
  fills_ = true;
  ASSERT_TRUE(task.Process(std::make_unique<FakeFetch>(TopicPartition{"right", 0}, 1,
                                                       std::vector<std::string>{R"({"j": 2, "at": 9000})"}))
                  .ok());
  ASSERT_TRUE(transaction.Full());
  EXPECT_TRUE(task.AdvancePending());
  EXPECT_TRUE(task.Dirty()) << "a commit before it may not call the task done";
  transaction.Reset();  // as StreamThread::AdvanceAll: the commit first
  ASSERT_TRUE(task.Advance().ok());
  EXPECT_THAT(told_, ElementsAre("right 1", "time 5000"));
  EXPECT_FALSE(task.AdvancePending());
  told_.clear();
  ASSERT_TRUE(task.Advance().ok());
  EXPECT_THAT(told_, ElementsAre());
}

TEST_F(PortsTest, RowsComeToTheirInputAndTimeIsTheSmallestOfAll) {
  Transaction transaction(&producer_, kCommitBytes);
  Task task(runtime_, 0, 0, std::make_unique<EmptyState>(), &transaction);
  ASSERT_TRUE(task.Open().ok());
  for (const char* topic : {"left", "right"}) task.SetStart(topic, 0, "id");
  Process(&task, "left", 0, {R"({"k": 1, "at": 5000})", R"({"k": 2, "at": 9000})"});
  EXPECT_THAT(told_, ElementsAre("left 2")) << "of the right nothing is known yet";
  Process(&task, "right", 0, {R"({"j": 1, "at": 7000})"});
  EXPECT_THAT(told_, ElementsAre("left 2", "right 1", "time 7000"));
  told_.clear();
  Process(&task, "left", 2, {R"({"k": 1, "at": 12000})"});
  EXPECT_THAT(told_, ElementsAre("left 1"));
  Process(&task, "right", 1, {R"({"j": 2, "at": 30000})"});
  EXPECT_THAT(told_, ElementsAre("left 1", "right 1", "time 12000"));
}

TEST_F(PortsTest, StateIsTiedToWhereTheKeysOfEachInputComeFrom) {
  const std::vector<packed::StepIdentity> identities = StepIdentities(plan_, 0);
  ASSERT_EQ(identities.size(), 1u);
  EXPECT_EQ(identities[0].fingerprint(), "pair by [k int64] and [j int64]");
  EXPECT_THAT(identities[0].origins(), ElementsAre("input 1: k from left value.k; time from left value.at",
                                                   "input 2: j from right value.j; time from right value.at"));
}

// `left` and `right` are read by z, whose rows w groups by what came from either.
TEST(PortOriginsTest, AStepBehindOneOfTwoInputsSaysWhereTheColumnsOfEachComeFromOnce) {
  const auto plan =
      PlanFromYaml(R"(
name: app
sources:
  a: { topic: a, columns: { k: int64, at: timestamp_ms }, event_time: { column: at }, partitioned_by: [k] }
  b: { topic: b, columns: { k: int64, at: timestamp_ms }, event_time: { column: at }, partitioned_by: [k] }
  c: { topic: c, columns: { j: int64, u: int64, at: timestamp_ms }, event_time: { column: at }, partitioned_by: [j] }
  d: { topic: d, columns: { j: int64, u: int64, at: timestamp_ms }, event_time: { column: at }, partitioned_by: [j] }
steps:
  cd: { from: [c, d], filter: "u > 0" }
  z: { from: [a, b], custom: { operator: pair, by: [k], with: { right: cd, right_by: j } } }
  w: { from: z, dedup: { by: [k, r_u], within: 1h } }
sinks:
  out: { from: w, topic: out }
)",
                   "t.yaml", OperatorsWithPair(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::vector<packed::StepIdentity> identities = StepIdentities(*plan, 0);
  ASSERT_EQ(identities.size(), 2u);
  EXPECT_EQ(identities[1].step(), "w");
  EXPECT_THAT(identities[1].origins(),
              ElementsAre("k from a value.k; r_u from input 2 of step z; time from a value.at and input 2 of step z",
                          "k from b value.k; r_u from input 2 of step z; time from b value.at and input 2 of step z",
                          "k from input 1 of step z; r_u from c value.u; time from input 1 of step z and c value.at",
                          "k from input 1 of step z; r_u from d value.u; time from input 1 of step z and d value.at"));
}

TEST(PortLedgerTest, TheInternalTopicsOfOneStepCountEachForItself) {
  Node node;
  node.step = "z";
  node.port = "left";
  node.kind = Node::Kind::kRepartition;
  EXPECT_EQ(LedgerName(node), "z left repartition out");
  node.kind = Node::Kind::kInternal;
  EXPECT_EQ(LedgerName(node), "z left repartition in");
}

}  // namespace
}  // namespace tidemark
