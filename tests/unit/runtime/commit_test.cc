// The order of a commit, and of what happens where one of its steps fails: a real task from a source to a Kafka sink,
// with a producer and a state that write down what was asked of them.
#include "src/runtime/commit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/batch/spec.h"
#include "src/base/status.h"
#include "src/runtime/offset_metadata.h"
#include "tests/unit/runtime/copying_plan.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;

class FakeState final : public TaskState {
 public:
  FakeState(std::vector<std::string>* calls, std::unique_ptr<packed::CommitRecord>* committed)
      : calls_(calls), committed_(committed) {}

  StateStore* Store(std::string_view) override { return nullptr; }
  const packed::CommitRecord* committed() const override { return committed_->get(); }
  Offset changelog_next() const override { return 0; }
  absl::Status Clear() override { return absl::OkStatus(); }
  absl::Status Replay(Offset, std::string_view) override { return absl::OkStatus(); }
  absl::Status FinishReplay(Offset) override { return absl::OkStatus(); }
  std::string Announce(uint64_t commit) override {
    calls_->push_back(absl::StrCat("announce ", commit));
    return "announcement";
  }
  absl::StatusOr<std::vector<std::string>> EncodeCommit(packed::CommitRecord* record) override {
    calls_->push_back("encode");
    return std::vector<std::string>{record->SerializeAsString()};
  }
  absl::Status Apply(const packed::CommitRecord& record, Offset first, Offset next) override {
    calls_->push_back(absl::StrCat("apply commit ", record.commit(), " at [", first, ", ", next, ")"));
    *committed_ = std::make_unique<packed::CommitRecord>(record);
    return absl::OkStatus();
  }
  void DropUncommitted() override { calls_->push_back("drop"); }
  Offset trim_before() const override { return 0; }
  int64_t overlay_bytes() const override { return 0; }
  int64_t live_bytes() const override { return 0; }

 private:
  std::vector<std::string>* const calls_;
  std::unique_ptr<packed::CommitRecord>* const committed_;  // survives the task, like the disk
};

// The pair of producers, in the order in which they are asked for.
class FakeKafka final : public KafkaClient {
 public:
  explicit FakeKafka(std::vector<Producer*> producers) : producers_(std::move(producers)) {}

  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions&) override {
    return absl::UnimplementedError("no consumer");
  }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions& options) override {
    ids.push_back(options.transactional_id);
    return std::make_unique<ForwardingProducer>(producers_[next_++ % producers_.size()]);
  }
  Admin& admin() override { std::abort(); }

  std::vector<std::string> ids;

 private:
  const std::vector<Producer*> producers_;
  size_t next_ = 0;
};

// Decides when it is waited for to the end.
class LazyDecider final : public Decider {
 public:
  void Start(std::function<absl::Status()> decide, std::function<void()>) override { decide_ = std::move(decide); }
  std::optional<absl::Status> Wait(int64_t max_wait_us) override {
    if (max_wait_us != kForever) return std::nullopt;
    return std::exchange(decide_, nullptr)();
  }

 private:
  std::function<absl::Status()> decide_;
};

class CommitTest : public ::testing::Test {
 protected:
  CommitTest() {
    runtime_.plan = &plan_;
    runtime_.partitions = {{"in", 2}, {"out", 2}, {"dead", 1}, {changelog(), 2}};
    runtime_.clock = &clock_;
    runtime_.control = &control_;
    runtime_.new_identity = [] { return std::string(16, 'i'); };
    runtime_.new_decider = [] { return std::make_unique<LazyDecider>(); };
    runtime_.kafka = &kafka_;
    pipeline_.emplace(runtime_, "app-here-0");
    const absl::Status opened = pipeline_->Open();
    EXPECT_TRUE(opened.ok()) << opened;
    calls_.clear();
  }

  std::string changelog() const { return plan_.application.ChangelogTopic(plan_.stages[0].name); }

  std::unique_ptr<Task> Open(int32_t partition) {
    auto task = std::make_unique<Task>(runtime_, 0, partition,
                                       std::make_unique<FakeState>(&calls_, &disks_[static_cast<size_t>(partition)]),
                                       pipeline_->transaction());
    const absl::Status opened = task->Open();
    EXPECT_TRUE(opened.ok()) << opened;
    if (task->position("in") < 0) task->SetStart("in", 100, "id");
    return task;
  }

  static std::unique_ptr<Fetch> Records(TopicPartition source, Offset first, const std::vector<std::string>& values) {
    return std::make_unique<FakeFetch>(std::move(source), first, values);
  }
  void Process(Task* task, Offset first, const std::vector<std::string>& values) {
    const absl::Status status = task->Process(Records({"in", task->partition()}, first, values));
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(task->Advance().ok());
  }

  absl::Status Begin(const std::vector<Task*>& tasks) {
    return pipeline_->Begin(tasks, std::make_shared<FakeGroup>("generation 7"), nullptr);
  }
  absl::Status Finish() { return pipeline_->Finish(Decider::kForever).status(); }
  absl::Status Commit(const std::vector<Task*>& tasks) {
    TM_RETURN_IF_ERROR(Begin(tasks));
    return Finish();
  }

  Plan plan_ = CopyingPlan();
  FakeClock clock_;
  RunControl control_;
  Runtime runtime_;
  std::vector<std::string> calls_;
  std::unique_ptr<packed::CommitRecord> disks_[2];
  FakeProducer producer_{&calls_}, other_{&calls_, "other: "};
  FakeKafka kafka_{{&producer_, &other_}};
  std::optional<CommitPipeline> pipeline_;
};

TEST_F(CommitTest, AFetchIsLeftInTheMiddleWhereTheCommitIsFullAndThePositionStandsThere) {
  const auto task = Open(0);
  pipeline_->transaction()->AddPending(runtime_.options.commit_bytes);
  Process(task.get(), 100, std::vector<std::string>(20, R"({"n":1})"));
  EXPECT_TRUE(task->HasRest());
  EXPECT_EQ(task->position("in"), 116);
  ASSERT_TRUE(Begin({task.get()}).ok());
  ASSERT_TRUE(Finish().ok());
  ASSERT_TRUE(task->ProcessRest().ok());
  EXPECT_FALSE(task->HasRest());
  EXPECT_EQ(task->position("in"), 120);
}

TEST_F(CommitTest, BrokersLetACommitTakeTheLongerTheMoreAStepPutsIntoIt) {
  Plan plan;
  EXPECT_EQ(TransactionTimeoutUs(plan), 10 * kSecond);
  BatchSpec spec;
  Node node;
  node.kind = Node::Kind::kOperator;
  node.spec = spec;
  plan.stages.emplace_back().nodes = {node};
  EXPECT_EQ(TransactionTimeoutUs(plan), 10 * kSecond);
  spec.max_bytes = int64_t{512} << 20;
  plan.stages[0].nodes[0].spec = spec;
  EXPECT_EQ(TransactionTimeoutUs(plan), 40 * kSecond);
}

TEST_F(CommitTest, BothProducersAreInitialisedBeforeAnythingIsRead) {
  ASSERT_TRUE(pipeline_->Open().ok());
  EXPECT_THAT(calls_, ElementsAre("init", "other: init"));
  EXPECT_THAT(kafka_.ids, ElementsAre("app-here-0-0", "app-here-0-1", "app-here-0-0", "app-here-0-1"));
}

TEST_F(CommitTest, ResultsDeltasFlushOffsetsDecisionAndOnlyThenTheState) {
  const auto task = Open(0);
  Process(task.get(), 100, {R"({"n":1})", R"({"n":2})"});
  ASSERT_TRUE(Commit({task.get()}).ok());
  EXPECT_THAT(calls_, ElementsAre("begin", "produce out", "encode", "produce " + changelog(), "flush",
                                  "send_offsets generation 7", "commit", "apply commit 1 at [0, 1)"));
  EXPECT_FALSE(pipeline_->transaction()->open());
  EXPECT_FALSE(task->Dirty());
}

TEST_F(CommitTest, AllTasksArePreparedBeforeTheOneDecisionAndAppliedAfterIt) {
  const auto first = Open(0), second = Open(1);
  Process(first.get(), 100, {R"({"n":1})"});
  Process(second.get(), 100, {R"({"n":2})"});
  calls_.clear();
  ASSERT_TRUE(Commit({first.get(), second.get()}).ok());
  EXPECT_THAT(calls_, ElementsAre("encode", "produce " + changelog(), "encode", "produce " + changelog(), "flush",
                                  "send_offsets generation 7", "commit", "apply commit 1 at [0, 1)",
                                  "apply commit 1 at [0, 1)"));
}

TEST_F(CommitTest, OffsetsNameTheCommitAndStandBehindTheLastRecord) {
  const auto task = Open(0);
  Process(task.get(), 100, {R"({"n":1})", R"({"n":2})"});
  ASSERT_TRUE(Commit({task.get()}).ok());
  Process(task.get(), 102, {R"({"n":3})"});
  ASSERT_TRUE(Commit({task.get()}).ok());
  ASSERT_EQ(other_.sent.size(), 1u) << "commits go back and forth between the producers";
  EXPECT_EQ(other_.sent[0].partition, (TopicPartition{"in", 0}));
  EXPECT_EQ(other_.sent[0].offset, 103);
  const auto metadata = OffsetMetadata::Parse(other_.sent[0].metadata);
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->commit, 2u);
  EXPECT_EQ(metadata->identity, std::string(16, 'i'));
  EXPECT_EQ(disks_[0]->commit(), 2u);
  EXPECT_EQ(disks_[0]->inputs(0).offset(), 103);
}

TEST_F(CommitTest, RowsOfTheNextCommitGoIntoTheOtherTransactionWhileThisOneIsDecided) {
  const auto task = Open(0);
  Process(task.get(), 100, {R"({"n":1})"});
  ASSERT_TRUE(Begin({task.get()}).ok());
  EXPECT_FALSE(task->Dirty());
  calls_.clear();
  Process(task.get(), 101, {R"({"n":2})"});
  EXPECT_TRUE(task->Dirty());
  EXPECT_FALSE(*pipeline_->Finish(0)) << "not decided yet";
  EXPECT_TRUE(absl::IsInternal(Begin({task.get()}))) << "one commit is decided at a time";
  EXPECT_EQ(disks_[0], nullptr);
  ASSERT_TRUE(Finish().ok());
  EXPECT_EQ(disks_[0]->inputs(0).offset(), 101) << "the rows of the next commit are not part of this one";
  ASSERT_TRUE(Commit({task.get()}).ok());
  EXPECT_THAT(calls_, ElementsAre("other: begin", "other: produce out", "send_offsets generation 7", "commit",
                                  "apply commit 1 at [0, 1)", "encode", "other: produce " + changelog(), "other: flush",
                                  "other: send_offsets generation 7", "other: commit", "apply commit 2 at [0, 1)"));
}

TEST_F(CommitTest, AnAnnouncementIsWrittenOnceACommitIntoItsTransaction) {
  const auto task = Open(0);
  ASSERT_TRUE(task->Announce().ok());
  ASSERT_TRUE(task->Announce().ok());
  ASSERT_TRUE(Begin({task.get()}).ok());
  calls_.clear();
  ASSERT_TRUE(task->Announce().ok()) << "while the commit before it is being decided";
  ASSERT_TRUE(task->Announce().ok());
  EXPECT_THAT(calls_, ElementsAre("announce 2", "other: begin", "other: produce " + changelog()));
  ASSERT_TRUE(Finish().ok());
  EXPECT_EQ(disks_[0]->commit(), 1u);
  ASSERT_TRUE(Commit({task.get()}).ok());
  EXPECT_EQ(disks_[0]->commit(), 2u);
  calls_.clear();
  ASSERT_TRUE(task->Announce().ok());
  EXPECT_THAT(calls_, ElementsAre("announce 3", "begin", "produce " + changelog()));
}

TEST_F(CommitTest, ACommitThatFailsBeforeTheDecisionTouchesNoState) {
  for (const char* call : {"flush", "send_offsets generation 7"}) {
    ASSERT_TRUE(pipeline_->Open().ok());
    const auto task = Open(0);
    producer_.fail = {{call, absl::AbortedError("told to")}};
    Process(task.get(), 100, {R"({"n":1})"});
    EXPECT_TRUE(absl::IsAborted(Commit({task.get()}))) << call;
    EXPECT_EQ(disks_[0], nullptr) << call;
    calls_.clear();
    EXPECT_TRUE(*pipeline_->Abort());
    EXPECT_THAT(calls_, ElementsAre("abort"));
  }
}

TEST_F(CommitTest, WhereACommitFailsTheNextOneIsAbortedWithIt) {
  const auto task = Open(0);
  producer_.outcome = CommitOutcome::kAborted;
  Process(task.get(), 100, {R"({"n":1})"});
  ASSERT_TRUE(Begin({task.get()}).ok());
  Process(task.get(), 101, {R"({"n":2})"});
  calls_.clear();
  EXPECT_TRUE(*pipeline_->Abort());
  EXPECT_THAT(calls_, ElementsAre("send_offsets generation 7", "commit", "abort", "other: abort"));
  EXPECT_EQ(disks_[0], nullptr);
  EXPECT_FALSE(pipeline_->InFlight());
}

TEST_F(CommitTest, WhatTheDecisionSaysIsWhatTheCallerLearns) {
  const std::pair<CommitOutcome, absl::StatusCode> cases[] = {
      {CommitOutcome::kAborted, absl::StatusCode::kAborted},
      {CommitOutcome::kUnknown, absl::StatusCode::kUnknown},
      {CommitOutcome::kFenced, absl::StatusCode::kCancelled},
  };
  for (const auto& [outcome, code] : cases) {
    ASSERT_TRUE(pipeline_->Open().ok());
    const auto task = Open(0);
    producer_.outcome = outcome;
    Process(task.get(), 100, {R"({"n":1})"});
    EXPECT_EQ(Commit({task.get()}).code(), code);
    EXPECT_EQ(disks_[0], nullptr);
  }
}

TEST_F(CommitTest, ATaskOpenedAgainGoesOnFromItsLastCommit) {
  auto task = Open(0);
  Process(task.get(), 100, {R"({"n":1})", "no JSON"});
  ASSERT_TRUE(Commit({task.get()}).ok());
  Process(task.get(), 102, {R"({"n":2})"});  // never committed
  calls_.clear();
  task.reset();
  EXPECT_THAT(calls_, ElementsAre("drop"));
  ASSERT_TRUE(*pipeline_->Abort());
  task = Open(0);
  EXPECT_EQ(task->position("in"), 102);
  const TaskStatus status = task->status();
  EXPECT_EQ(status.commit, 1u);
  ASSERT_FALSE(status.ledger.empty());
  EXPECT_EQ(status.ledger[0].first, "in");
  EXPECT_EQ(status.ledger[0].second.in, 2);
  EXPECT_EQ(status.ledger[0].second.passed, 1);
  EXPECT_EQ(status.ledger[0].second.dead_lettered, 1);
}

TEST_F(CommitTest, ATaskWithoutWorkOwesNoCommitButControlRecordsMoveItsPosition) {
  const auto task = Open(0);
  ASSERT_TRUE(task->Advance().ok());
  ASSERT_TRUE(Commit({task.get()}).ok());
  ASSERT_TRUE(task->Advance().ok());
  EXPECT_FALSE(task->Dirty());
  task->ReachedEnd("in", 105);
  EXPECT_TRUE(task->PositionMoved());
  EXPECT_EQ(task->position("in"), 105);
}

TEST_F(CommitTest, ATaskThatOutlivesItsTransactionCommitsNothing) {
  const auto task = Open(0), fresh = Open(1);
  Process(task.get(), 100, {R"({"n":1})"});
  ASSERT_TRUE(*pipeline_->Abort());
  calls_.clear();
  EXPECT_TRUE(absl::IsInternal(Begin({task.get()}))) << "its rows are gone with the transaction, its position isn't";
  EXPECT_TRUE(absl::IsInternal(task->Announce()));
  EXPECT_TRUE(absl::IsInternal(task->Process(Records({"in", 0}, 101, {R"({"n":2})"}))));
  EXPECT_THAT(calls_, ElementsAre());
  Process(fresh.get(), 100, {R"({"n":3})"});
  EXPECT_TRUE(Commit({fresh.get()}).ok()) << "who has written nothing yet is free to join";
}

TEST_F(CommitTest, ATransactionThatHasFailedTakesNothingMore) {
  const auto task = Open(0);
  producer_.fail = {{"produce out", absl::UnavailableError("told to")}};
  EXPECT_TRUE(absl::IsUnavailable(task->Process(Records({"in", 0}, 100, {R"({"n":1})"}))));
  producer_.fail.clear();
  EXPECT_TRUE(absl::IsUnavailable(pipeline_->transaction()->Produce("out", {{0, std::nullopt, "more", nullptr}})));
  ASSERT_TRUE(*pipeline_->Abort());
  EXPECT_TRUE(pipeline_->transaction()->Produce("out", {{0, std::nullopt, "after it", nullptr}}).ok());
}

TEST_F(CommitTest, ARecordDeliveredTwiceIsADefectAndNotProcessed) {
  const auto task = Open(0);
  Process(task.get(), 100, {R"({"n":1})"});
  EXPECT_TRUE(absl::IsInternal(task->Process(Records({"in", 0}, 100, {R"({"n":1})"}))));
  EXPECT_TRUE(absl::IsInternal(task->Process(Records({"other", 0}, 101, {R"({"n":1})"}))));
}

}  // namespace
}  // namespace tidemark
