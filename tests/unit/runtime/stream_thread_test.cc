// What a stream thread does after an error: a real thread with a real task and state on a disk in memory, and a
// consumer and a producer that do as the test says.
#include "src/runtime/stream_thread.h"

#include <deque>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/metrics.h"
#include "src/runtime/offset_metadata.h"
#include "state/memory_disk.h"
#include "tests/unit/codec/test_format.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// What the next polls return; nothing comes when it is empty.
using Polls = std::deque<std::function<absl::StatusOr<PollResult>()>>;

class FakeConsumer final : public Consumer {
 public:
  using Positions = std::map<TopicPartition, CommittedOffset>;

  FakeConsumer(Polls* polls, std::vector<std::string>* calls, const Positions* committed)
      : polls_(polls), calls_(calls), committed_(committed) {}

  absl::Status Subscribe(const std::vector<std::string>&) override { return Call("subscribe"); }
  absl::StatusOr<PollResult> Poll(int64_t, size_t) override {
    if (polls_->empty()) return PollResult();
    const auto next = std::move(polls_->front());
    polls_->pop_front();
    return next();
  }
  void Wake() override {}
  absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>&) override { return Call("assign"); }
  absl::Status AssignPaused(const std::vector<TopicPartition>&) override { return Call("assign paused"); }
  absl::Status Unassign() override { return Call("unassign"); }
  absl::Status Seek(const std::vector<std::pair<TopicPartition, Offset>>&) override { return Call("seek"); }
  absl::Status Pause(const std::vector<TopicPartition>&) override { return Call("pause"); }
  absl::Status Resume(const std::vector<TopicPartition>&) override { return Call("resume"); }
  std::shared_ptr<const GroupMetadata> Group() override { return std::make_shared<FakeGroup>("generation 7"); }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> Committed(const std::vector<TopicPartition>&) override {
    return *committed_;
  }
  Offset KnownEnd(const TopicPartition&) const override { return -1; }
  absl::Status CommitOffsets(const std::vector<OffsetToCommit>&) override { return Call("commit offsets"); }
  absl::Status Close(bool) override { return Call("close"); }

 private:
  absl::Status Call(const std::string& call) {
    calls_->push_back(call);
    return absl::OkStatus();
  }
  Polls* const polls_;
  std::vector<std::string>* const calls_;
  const Positions* const committed_;
};

// Logs that all begin and end at the same offsets.
class FakeAdmin final : public Admin {
 public:
  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>& topics) override {
    std::map<std::string, TopicInfo> infos;
    for (const std::string& topic : topics) infos[topic] = {2, topic_id};
    return infos;
  }
  absl::StatusOr<std::map<std::string, TopicInfo>> List(const std::string&) override {
    return std::map<std::string, TopicInfo>();
  }
  absl::Status CreateTopics(const std::vector<TopicToCreate>&) override { return absl::OkStatus(); }
  absl::StatusOr<Offset> LogStart(const TopicPartition&) override { return start; }
  absl::StatusOr<Offset> LogEnd(const TopicPartition&, Isolation) override { return end; }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>&) override {
    return input_starts;
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>&, Isolation) override {
    return input_ends;
  }
  absl::StatusOr<Offset> OffsetForTime(const TopicPartition&, int64_t) override { return 0; }
  absl::Status DeleteRecords(const std::vector<std::pair<TopicPartition, Offset>>&) override {
    return absl::OkStatus();
  }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> GroupOffsets(const std::string&,
                                                                         const std::vector<TopicPartition>&) override {
    return std::map<TopicPartition, CommittedOffset>();
  }
  absl::StatusOr<GroupMembers> GroupAssignments(const std::string&) override { return GroupMembers(); }

  Offset start = 0, end = 0;
  std::string topic_id = "id";
  std::map<TopicPartition, Offset> input_starts, input_ends;  // those that are missing have no leader
};

class FakeKafka final : public KafkaClient {
 public:
  FakeKafka(Polls* polls, std::vector<std::string>* calls, Producer* producer)
      : polls_(polls), calls_(calls), producer_(producer) {}
  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions& options) override {
    return std::make_unique<FakeConsumer>(options.group.empty() ? &restore_polls : polls_, calls_, &committed);
  }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions&) override {
    return std::make_unique<ForwardingProducer>(producer_);
  }
  Admin& admin() override { return logs; }

  FakeAdmin logs;
  Polls restore_polls;                                  // of those that read a changelog
  std::map<TopicPartition, CommittedOffset> committed;  // as the group has it

 private:
  Polls* const polls_;
  std::vector<std::string>* const calls_;
  Producer* const producer_;
};

class PromptDecider final : public Decider {
 public:
  void Start(std::function<absl::Status()> decide, std::function<void()>) override { verdict_ = decide(); }
  std::optional<absl::Status> Wait(int64_t) override { return verdict_; }

 private:
  absl::Status verdict_;
};

class StreamThreadTest : public ::testing::Test {
 protected:
  StreamThreadTest() {
    plan_.application.name = "app";
    plan_.dead_letter_topic = "dead";
    SourcePlan& source = plan_.sources.emplace_back();
    source.name = source.topic = "in";
    source.columns.resize(1);
    source.columns[0].column = {"n", {Kind::kInt64}, false};
    source.columns[0].path = {"n"};
    Stage& stage = plan_.stages.emplace_back();
    stage.name = "in";
    Node& top = stage.nodes.emplace_back();
    top.kind = Node::Kind::kSource;
    top.step = "in";
    top.source = 0;
    top.output = source.schema();
    Node& bottom = stage.nodes.emplace_back();
    bottom.kind = Node::Kind::kKafkaSink;
    bottom.step = "out";
    bottom.sink = 0;
    bottom.output = source.schema();
    bottom.inputs = {{.nodes = {0}, .schema = source.schema()}};
    SinkPlan& sink = plan_.sinks.emplace_back();
    sink.name = "out";
    KafkaSinkSpec kafka;
    kafka.topic = "out";
    sink.spec = kafka;
    runtime_.plan = &plan_;
    runtime_.partitions = {
        {"in", 2}, {"out", 2}, {"dead", 1}, {plan_.application.ChangelogTopic(plan_.stages[0].name), 2}};
    runtime_.clock = &clock_;
    runtime_.control = &control_;
    runtime_.new_identity = [] { return std::string(16, 'i'); };
    runtime_.new_decider = [] { return std::make_unique<PromptDecider>(); };
    runtime_.kafka = &kafka_;
    runtime_.options.instance_id = "here";
    StateOptions state;
    state.application = "app";
    state_ = *StateDir::Open("/state", state, disk_.get());
    runtime_.state = state_.get();
    thread_.emplace(runtime_, 0);
  }

  void Then(std::function<absl::StatusOr<PollResult>()> poll) { polls_.push_back(std::move(poll)); }
  void ThenAssign() {
    Then([] {
      PollResult result;
      result.rebalance = Rebalance{Rebalance::Kind::kAssigned, {{"in", 0}, {"in", 1}}};
      return result;
    });
  }
  void ThenRow(Offset offset) {
    Then([this, offset] {
      PollResult result;
      result.fetches.push_back(std::make_unique<FakeFetch>(TopicPartition{"in", 0}, offset, values_));
      return result;
    });
  }

  void Run() {
    ASSERT_TRUE(thread_->Start().ok());
    ThenAssign();
    for (int i = 0; i < 10 && state() != ThreadStatus::State::kRunning; ++i) ASSERT_TRUE(thread_->Step(0).ok());
    ASSERT_EQ(state(), ThreadStatus::State::kRunning);
    calls_.clear();
    producer_.sent.clear();
  }
  // And with it the thread.
  void Stop() {
    ASSERT_TRUE(thread_->Stop(false).ok());
    for (const OffsetToCommit& sent : producer_.sent) kafka_.committed[sent.partition] = {sent.offset, sent.metadata};
    thread_.reset();
    producer_.sent.clear();
  }
  ThreadStatus::State state() const { return thread_->status().state; }

  // A source "more", which begins at its latest record, beside "in".
  void AddSource() {
    SourcePlan more = plan_.sources[0];
    more.name = more.topic = "more";
    more.start.at = StartPosition::At::kLatest;
    plan_.sources.push_back(more);
    Node node = plan_.stages[0].nodes[0];
    node.step = "more";
    node.source = 1;
    plan_.stages[0].nodes.insert(plan_.stages[0].nodes.begin() + 1, node);
    plan_.stages[0].nodes[2].inputs[0].nodes = {0, 1};
    runtime_.partitions["more"] = 2;
  }
  // Both tasks find that on their next restore.
  void LogsEndAt(Offset end) {
    kafka_.logs.end = end;
    for (const int32_t partition : {1, 0}) {
      kafka_.restore_polls.push_back([this, partition, end] {
        PollResult result;
        result.ends.emplace_back(TopicPartition{plan_.application.ChangelogTopic(plan_.stages[0].name), partition},
                                 end);
        return result;
      });
    }
  }
  // A new thread; what it sends until it reads is left in producer_.sent.
  void RunWithBothSources() {
    thread_.emplace(runtime_, 0);
    ASSERT_TRUE(thread_->Start().ok());
    Then([] {
      PollResult result;
      result.rebalance = Rebalance{Rebalance::Kind::kAssigned, {{"in", 0}, {"in", 1}, {"more", 0}, {"more", 1}}};
      return result;
    });
    for (int i = 0; i < 10 && state() != ThreadStatus::State::kRunning; ++i) ASSERT_TRUE(thread_->Step(0).ok());
    ASSERT_EQ(state(), ThreadStatus::State::kRunning);
  }
  std::map<TopicPartition, Offset> Sent() const {
    std::map<TopicPartition, Offset> sent;
    for (const OffsetToCommit& offset : producer_.sent) sent[offset.partition] = offset.offset;
    return sent;
  }

  const std::vector<std::string> values_{R"({"n":1})"};
  Plan plan_;
  FakeClock clock_;
  RunControl control_;
  Runtime runtime_;
  Polls polls_;
  std::vector<std::string> calls_;
  FakeProducer producer_{&calls_};
  FakeKafka kafka_{&polls_, &calls_, &producer_};
  std::unique_ptr<Disk> disk_ = NewMemoryDisk();
  std::unique_ptr<StateDir> state_;
  std::optional<StreamThread> thread_;
};

TEST_F(StreamThreadTest, AfterAFatalPollErrorNothingIsCommittedWhoeverStops) {
  Run();
  ThenRow(0);
  ASSERT_TRUE(thread_->Step(0).ok());
  ASSERT_THAT(calls_, Contains("produce out"));
  Then([] { return absl::InvalidArgumentError("not authorized any more"); });
  EXPECT_TRUE(absl::IsInvalidArgument(thread_->Step(0)));
  EXPECT_EQ(state(), ThreadStatus::State::kFailed);
  EXPECT_TRUE(absl::IsInternal(thread_->Step(0))) << "a thread that has failed isn't used again";
  EXPECT_TRUE(thread_->Stop(false).ok());
  EXPECT_THAT(calls_, Contains("abort"));
  EXPECT_THAT(calls_, Contains("close"));
  EXPECT_THAT(calls_, Not(Contains("commit")));
  EXPECT_TRUE(producer_.sent.empty()) << "positions went without the rows that were aborted";
}

TEST_F(StreamThreadTest, AfterAnErrorOfItsOwnNothingIsCommittedEither) {
  Run();
  producer_.fail = {{"produce out", absl::InvalidArgumentError("the topic is gone")}};
  ThenRow(0);
  EXPECT_TRUE(absl::IsInvalidArgument(thread_->Step(0)));
  producer_.fail.clear();
  EXPECT_TRUE(thread_->Stop(false).ok());
  EXPECT_THAT(calls_, Not(Contains("commit")));
}

TEST_F(StreamThreadTest, AStopCommitsWhatIsOpen) {
  Run();
  ThenRow(0);
  ASSERT_TRUE(thread_->Step(0).ok());
  EXPECT_TRUE(thread_->Stop(false).ok());
  EXPECT_THAT(calls_, Contains("commit"));
  EXPECT_FALSE(producer_.sent.empty());
}

TEST_F(StreamThreadTest, AnErrorThatPassesOpensTheTasksAgain) {
  Run();
  producer_.fail = {{"produce out", absl::AbortedError("told to")}};
  ThenRow(0);
  EXPECT_TRUE(thread_->Step(0).ok());
  EXPECT_EQ(state(), ThreadStatus::State::kOpening);
  EXPECT_THAT(calls_, Contains("abort"));
  producer_.fail.clear();
  clock_.monotonic_us += kSecond;
  EXPECT_TRUE(thread_->Step(0).ok());
  // Its offsets and state are those of a disk that this group, which knows nothing, doesn't contradict.
  EXPECT_EQ(state(), ThreadStatus::State::kRunning);
}

TEST_F(StreamThreadTest, APositionOutsideOfItsLogSendsTheThreadBackToTheOpeningWhichDecides) {
  Run();
  kafka_.logs.end = 1;  // of the changelogs: the first commit stands there
  Then([] { return absl::OutOfRangeError("in-0 at offset 0"); });
  EXPECT_TRUE(thread_->Step(0).ok());
  EXPECT_EQ(state(), ThreadStatus::State::kOpening);
  clock_.monotonic_us += kSecond;
  EXPECT_TRUE(thread_->Step(0).ok());
  EXPECT_EQ(state(), ThreadStatus::State::kRunning) << "nothing is wrong with the log";
  kafka_.logs.input_starts = {{{"in", 0}, 50}, {{"in", 1}, 0}};
  kafka_.logs.input_ends = {{{"in", 0}, 60}, {{"in", 1}, 0}};
  Then([] { return absl::OutOfRangeError("in-0 at offset 0"); });
  EXPECT_TRUE(thread_->Step(0).ok());
  clock_.monotonic_us += kSecond;
  const absl::Status stopped = thread_->Step(0);
  EXPECT_TRUE(absl::IsOutOfRange(stopped)) << stopped;
  EXPECT_EQ(state(), ThreadStatus::State::kFailed);
}

TEST_F(StreamThreadTest, WithSkipItGoesOnWhereTheLogBeginsAndCommitsThat) {
  SourceLosses losses;
  runtime_.losses = &losses;
  plan_.sources[0].skip_lost = true;
  Run();
  kafka_.logs.end = 1;  // of the changelogs: the first commit stands there
  kafka_.logs.input_starts = {{{"in", 0}, 50}, {{"in", 1}, 0}};
  kafka_.logs.input_ends = {{{"in", 0}, 60}, {{"in", 1}, 0}};
  Then([] { return absl::OutOfRangeError("in-0 at offset 0"); });
  EXPECT_TRUE(thread_->Step(0).ok());
  clock_.monotonic_us += kSecond;
  EXPECT_TRUE(thread_->Step(0).ok());
  EXPECT_EQ(state(), ThreadStatus::State::kRunning);
  EXPECT_EQ(losses.Get().at("in").records, 50);
  EXPECT_TRUE(thread_->Stop(false).ok());
  EXPECT_THAT(calls_, Contains("commit"));
}

TEST_F(StreamThreadTest, ATopicMadeAgainWhileItRunsIsFoundAtTheOpening) {
  Run();
  kafka_.logs.end = 1;  // of the changelogs: the first commit stands there
  kafka_.logs.topic_id = "another";
  kafka_.logs.input_starts = {{{"in", 0}, 0}, {{"in", 1}, 0}};
  kafka_.logs.input_ends = {{{"in", 0}, 100}, {{"in", 1}, 100}};
  ASSERT_TRUE(thread_->Step(0).ok());
  EXPECT_EQ(state(), ThreadStatus::State::kRunning) << "nobody has said so yet";
  ++control_.topics_changed;
  EXPECT_TRUE(thread_->Step(0).ok());
  EXPECT_EQ(state(), ThreadStatus::State::kOpening);
  clock_.monotonic_us += kSecond;
  const absl::Status stopped = thread_->Step(0);
  EXPECT_TRUE(absl::IsFailedPrecondition(stopped)) << stopped;
}

TEST_F(StreamThreadTest, AFencedProducerIsReplacedOnlyWhenAHeartbeatHasHadTimeToTell) {
  Run();
  // The abort shows it, not the error that led to it.
  producer_.fail = {{"produce out", absl::AbortedError("told to")}, {"abort", absl::CancelledError("fenced")}};
  ThenRow(0);
  EXPECT_TRUE(thread_->Step(0).ok());
  calls_.clear();
  producer_.fail.clear();
  clock_.monotonic_us += 3 * kSecond;
  EXPECT_TRUE(thread_->Step(0).ok());
  EXPECT_THAT(calls_, Not(Contains("init"))) << "a newer process of this name would be fenced in turn";
  clock_.monotonic_us += 2 * kSecond;
  EXPECT_TRUE(thread_->Step(0).ok());
  EXPECT_THAT(calls_, Contains("init"));
}

TEST_F(StreamThreadTest, ADamagedStoreIsDeletedAndRestoredOnce) {
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "a_damaged_store";
  std::filesystem::remove_all(folder);
  StateOptions options;
  options.application = "app";
  const auto open = [&] {
    thread_.reset();
    state_.reset();
    state_ = *StateDir::Open(folder, options);
    runtime_.state = state_.get();
    thread_.emplace(runtime_, 0);
  };
  open();
  Run();
  ASSERT_TRUE(thread_->Stop(false).ok());
  thread_.reset();
  state_.reset();
  int damaged = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().filename() != "CURRENT") continue;
    std::ofstream(entry.path()) << "no manifest";
    ++damaged;
  }
  ASSERT_EQ(damaged, 2);
  open();
  Run();
  EXPECT_EQ(thread_->status().tasks.size(), 2u);
  ASSERT_TRUE(thread_->Stop(false).ok());
  std::filesystem::remove_all(folder);
}

// Its former owner was about to trim it when it lost the task.
TEST_F(StreamThreadTest, ARestoreThatTheLogWasTrimmedUnderStartsOver) {
  kafka_.logs.end = 5;
  const TopicPartition changelog{plan_.application.ChangelogTopic(plan_.stages[0].name), 0};
  const auto at_end = [=](int32_t partition) -> std::function<absl::StatusOr<PollResult>()> {
    return [=] {
      PollResult result;
      result.ends.emplace_back(TopicPartition{changelog.topic, partition}, 5);
      return result;
    };
  };
  kafka_.restore_polls.push_back(at_end(1));
  kafka_.restore_polls.push_back([] { return absl::OutOfRangeError("the log starts later now"); });
  kafka_.restore_polls.push_back(at_end(0));
  Run();
  EXPECT_EQ(thread_->status().tasks.size(), 2u);
}

TEST_F(StreamThreadTest, AStoreThatIsCurrentIsNotUsedWithoutItsChangelog) {
  Run();
  ThenRow(0);
  ASSERT_TRUE(thread_->Step(0).ok());
  Stop();
  ASSERT_EQ(kafka_.committed.size(), 2u);
  kafka_.logs.end = 100;
  thread_.emplace(runtime_, 0);
  Run();
  Stop();

  kafka_.logs.end = 0;  // deleted, and made again at the start
  thread_.emplace(runtime_, 0);
  ASSERT_TRUE(thread_->Start().ok());
  ThenAssign();
  absl::Status opened;
  for (int i = 0; i < 10 && opened.ok(); ++i) opened = thread_->Step(0);
  EXPECT_TRUE(absl::IsFailedPrecondition(opened)) << opened;
  EXPECT_THAT(std::string(opened.message()), HasSubstr("ends at offset 0, before offset"));
}

TEST_F(StreamThreadTest, APartitionThatWasNotThereAtTheStartStopsTheThread) {
  ASSERT_TRUE(thread_->Start().ok());
  Then([] {
    PollResult result;
    result.rebalance = Rebalance{Rebalance::Kind::kAssigned, {{"in", 0}, {"in", 2}}};
    return result;
  });
  const absl::Status grown = thread_->Step(0);
  EXPECT_TRUE(absl::IsFailedPrecondition(grown)) << grown;
  EXPECT_THAT(std::string(grown.message()), HasSubstr("'in' has 3 partitions now, and had 2"));
}

// What a static member had before its topology was edited.
TEST_F(StreamThreadTest, AnAssignmentOfATopicThatThePlanNoLongerReadsIsTaken) {
  ASSERT_TRUE(thread_->Start().ok());
  Then([] {
    PollResult result;
    result.rebalance = Rebalance{Rebalance::Kind::kAssigned, {{"gone", 0}, {"in", 0}}};
    return result;
  });
  for (int i = 0; i < 10 && state() != ThreadStatus::State::kRunning; ++i) ASSERT_TRUE(thread_->Step(0).ok());
  EXPECT_EQ(thread_->status().tasks.size(), 1u);
}

// Else rows that came before an abort would lie before the start that is chosen behind it.
TEST_F(StreamThreadTest, TheStartOfASourceThatAStageHasGotIsCommittedBeforeItsFirstRow) {
  Run();
  Stop();
  AddSource();
  LogsEndAt(100);
  RunWithBothSources();
  EXPECT_THAT(Sent(), UnorderedElementsAre(Pair(TopicPartition{"in", 0}, 0), Pair(TopicPartition{"in", 1}, 0),
                                           Pair(TopicPartition{"more", 0}, 100), Pair(TopicPartition{"more", 1}, 100)));
}

// A topology that is rolled back, and forth again.
TEST_F(StreamThreadTest, ASourceThatWasTakenOutGoesOnWhereItWasLeft) {
  const Plan without = plan_;
  Stop();
  AddSource();
  const Plan with = plan_;
  LogsEndAt(100);
  RunWithBothSources();
  Stop();
  plan_ = without;
  thread_.emplace(runtime_, 0);
  Run();
  ThenRow(0);
  ASSERT_TRUE(thread_->Step(0).ok());
  Stop();
  plan_ = with;
  LogsEndAt(200);
  RunWithBothSources();
  EXPECT_THAT(Sent(), UnorderedElementsAre(Pair(TopicPartition{"in", 0}, 1), Pair(TopicPartition{"in", 1}, 0),
                                           Pair(TopicPartition{"more", 0}, 100), Pair(TopicPartition{"more", 1}, 100)));
}

TEST_F(StreamThreadTest, BehindAResetTasksBeginWhereTheyWereToldWhateverTheirDiskHas) {
  Run();
  ThenRow(0);
  ASSERT_TRUE(thread_->Step(0).ok());
  Stop();
  kafka_.committed = {{{"in", 0}, {40, kStartHere}}, {{"in", 1}, {50, kStartHere}}};
  LogsEndAt(100);  // aborted attempts of others: past what is on disk
  thread_.emplace(runtime_, 0);
  ASSERT_TRUE(thread_->Start().ok());
  ThenAssign();
  for (int i = 0; i < 10 && state() != ThreadStatus::State::kRunning; ++i) ASSERT_TRUE(thread_->Step(0).ok());
  ASSERT_EQ(state(), ThreadStatus::State::kRunning);
  EXPECT_THAT(Sent(), UnorderedElementsAre(Pair(TopicPartition{"in", 0}, 40), Pair(TopicPartition{"in", 1}, 50)));
  for (const OffsetToCommit& sent : producer_.sent) EXPECT_EQ(OffsetMetadata::Parse(sent.metadata)->commit, 1);
}

TEST_F(StreamThreadTest, WhileAResetIsUnderWayNoTaskIsOpened) {
  Run();
  ThenRow(0);
  ASSERT_TRUE(thread_->Step(0).ok());
  Stop();
  kafka_.committed = {{{"in", 0}, {1, kResetBegun}}, {{"in", 1}, {0, kResetBegun}}};
  for (const bool deleted : {false, true}) {
    LogsEndAt(deleted ? 0 : 100);
    thread_.emplace(runtime_, 0);
    ASSERT_TRUE(thread_->Start().ok());
    ThenAssign();
    absl::Status status;
    for (int i = 0; i < 10 && status.ok(); ++i) status = thread_->Step(0);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(kResetUnderWay));
    EXPECT_TRUE(producer_.sent.empty());
    ASSERT_TRUE(thread_->Stop(false).ok());
    kafka_.restore_polls.clear();
    polls_.clear();
  }
}

TEST_F(StreamThreadTest, ARejoinCommitsLeavesAndSubscribesAgain) {
  Run();
  ThenRow(0);
  ASSERT_TRUE(thread_->Step(0).ok());
  calls_.clear();
  thread_->RequestRejoin();
  ASSERT_TRUE(thread_->Step(0).ok());
  std::vector<std::string> group;
  for (const std::string& call : calls_) {
    if (call == "commit" || call == "close" || call == "subscribe") group.push_back(call);
  }
  EXPECT_THAT(group, ElementsAre("commit", "close", "subscribe"));
  EXPECT_EQ(state(), ThreadStatus::State::kUnassigned);
  ThenAssign();
  for (int i = 0; i < 10 && state() != ThreadStatus::State::kRunning; ++i) ASSERT_TRUE(thread_->Step(0).ok());
  EXPECT_EQ(state(), ThreadStatus::State::kRunning);
}

// ---- A topic that an intake fills.

class IntakeTopicTest : public StreamThreadTest {
 protected:
  IntakeTopicTest() { plan_.sources[0].files.emplace(); }
  void ThenNumbered(Offset offset, const std::vector<std::string>& numbers) {
    Then([=] {
      auto fetch = std::make_unique<FakeFetch>(TopicPartition{"in", 0}, offset,
                                               std::vector<std::string>(numbers.size(), "{\"n\":1}"));
      for (const std::string& number : numbers) fetch->headers.push_back({{"tidemark.number", number}});
      PollResult result;
      result.fetches.push_back(std::move(fetch));
      return result;
    });
  }
  // Behind number 1.
  void ExpectRefused(const std::string& number, const std::string& words) {
    Run();
    ThenNumbered(0, {"0:1", number});
    absl::Status status;
    for (int i = 0; i < 3 && status.ok(); ++i) status = thread_->Step(0);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
};

TEST_F(IntakeTopicTest, NumbersThatFollowEachOtherArePartOfThePosition) {
  Run();
  ThenNumbered(0, {"0:1", "0:2", "1:1"});
  ThenNumbered(3, {"1:2", "0:3:2"});
  for (int i = 0; i < 4; ++i) {
    clock_.monotonic_us += kSecond;
    ASSERT_TRUE(thread_->Step(0).ok());
  }
  EXPECT_EQ(Sent().at({"in", 0}), 5);
}

TEST_F(IntakeTopicTest, ARecordThatIsMissingStopsTheTask) { ExpectRefused("0:3", "1 records are missing"); }
TEST_F(IntakeTopicTest, ARecordThatComesAgainStopsTheTask) { ExpectRefused("0:1", "has been read before"); }
TEST_F(IntakeTopicTest, ARecordOfSomebodyElseStopsTheTask) { ExpectRefused("", "without a number"); }
TEST_F(IntakeTopicTest, ARecordOfAFormThatIsNotKnownStopsTheTask) {
  ExpectRefused("0:2:3", "form 3, written by a later version");
}
TEST_F(IntakeTopicTest, ARecordOfNoFormStopsTheTask) { ExpectRefused("0:2:x", "without a number"); }

// ---- Records that aren't one row each, and at once.

class WordsTest : public StreamThreadTest {
 protected:
  WordsTest() { runtime_.formats = &formats_; }
  void ThenWords(int32_t partition, Offset offset, const std::vector<std::string>& values) {
    Then([=] {
      PollResult result;
      result.fetches.push_back(std::make_unique<FakeFetch>(TopicPartition{"in", partition}, offset, values));
      return result;
    });
  }
  void Step() {
    clock_.monotonic_us += kSecond;  // what is due is committed
    ASSERT_TRUE(thread_->Step(0).ok());
  }
  std::vector<std::string> Values(const std::string& topic) const {
    std::vector<std::string> values;
    for (const ProducedRecord& record : producer_.records) {
      if (record.topic == topic) values.push_back(record.value.value_or("(null)"));
    }
    return values;
  }
  StepLedger LedgerOf(const std::string& step) const {
    StepLedger sum;
    for (const TaskStatus& task : thread_->status().tasks) {
      for (const auto& [name, ledger] : task.ledger) {
        if (name != step) continue;
        sum.in += ledger.in;
        sum.passed += ledger.passed;
        sum.absorbed += ledger.absorbed;
        sum.dead_lettered += ledger.dead_lettered;
      }
    }
    return sum;
  }
  const Formats formats_ = codec_test::Words();

  std::vector<TaskStatus::Wait> Waits() const {
    std::vector<TaskStatus::Wait> waits;
    for (const TaskStatus& task : thread_->status().tasks) {
      waits.insert(waits.end(), task.waits.begin(), task.waits.end());
    }
    return waits;
  }
};

TEST_F(WordsTest, ARecordOfManyRowsOrNoneIsCountedAndCommittedAsOne) {
  Run();
  ThenWords(0, 10, {"1 2 3", "", "4 bad", "5"});
  Step();
  Step();
  EXPECT_THAT(Values("out"), ElementsAre(R"({"n":1})", R"({"n":2})", R"({"n":3})", R"({"n":5})"));
  EXPECT_THAT(Values("dead"), ElementsAre("4 bad"));
  EXPECT_EQ(Sent().at({"in", 0}), 14);
  Step();
  const StepLedger ledger = LedgerOf("in");
  EXPECT_EQ(ledger.in, 6);
  EXPECT_EQ(ledger.in, ledger.passed + ledger.absorbed + ledger.dead_lettered);
  EXPECT_EQ(ledger.absorbed, 1);
}

TEST_F(WordsTest, AChangeOfARowIsAPairThatAnUpsertSinkShows) {
  plan_.sources[0].hidden = plan_.sources[0].hidden.With(Hidden::kOp);
  for (Node& node : plan_.stages[0].nodes) {
    node.hidden = plan_.sources[0].hidden;
    for (Port& port : node.inputs) port.hidden = node.hidden;
  }
  auto& sink = std::get<KafkaSinkSpec>(plan_.sinks[0].spec);
  sink.upsert = true;
  sink.key = {0};
  Run();
  ThenWords(0, 0, {"1", "-1 +2"});
  Step();
  EXPECT_THAT(Values("out"), ElementsAre(R"({"n":1})", "(null)", R"({"n":2})"));
}

TEST_F(WordsTest, ARecordThatCantBeReadYetStopsItsPartitionAlone) {
  Run();
  ThenWords(0, 0, {"1", "2 ?schema", "3"});
  ThenWords(0, 3, {"4"});  // polled before the partition was paused
  ThenWords(1, 0, {"5"});
  Step();
  EXPECT_THAT(calls_, Contains("pause"));
  Step();
  Step();
  EXPECT_THAT(Values("out"), ElementsAre(R"({"n":1})", R"({"n":5})"));
  Step();
  EXPECT_EQ(Sent().at({"in", 0}), 1) << "the position stays before the record";
  ASSERT_EQ(Waits().size(), 1u);
  EXPECT_EQ(Waits()[0].partition, (TopicPartition{"in", 0}));
  EXPECT_EQ(Waits()[0].what, "schema");
  WorkerStatus status;
  status.monotonic_us = clock_.monotonic_us;
  status.threads = {thread_->status()};
  const Health health = CheckReadiness(status);
  EXPECT_FALSE(health.ok);
  EXPECT_THAT(health.text, HasSubstr("in-0 has waited for schema for"));

  codec_test::WordReader::here().insert("schema");
  Step();
  EXPECT_THAT(Values("out"), ElementsAre(R"({"n":1})", R"({"n":5})", R"({"n":2})", R"({"n":3})", R"({"n":4})"));
  EXPECT_THAT(calls_, Contains("resume"));
  Step();
  EXPECT_EQ(Sent().at({"in", 0}), 4);
  Step();
  EXPECT_TRUE(Waits().empty());
}

TEST_F(WordsTest, AnEndThatIsReachedBehindARecordThatWaitsIsReachedWithIt) {
  Run();
  Then([] {
    PollResult result;
    result.fetches.push_back(
        std::make_unique<FakeFetch>(TopicPartition{"in", 0}, 0, std::vector<std::string>{"1 ?schema"}));
    result.ends.emplace_back(TopicPartition{"in", 0}, 7);
    return result;
  });
  Step();
  Step();
  EXPECT_TRUE(producer_.sent.empty()) << "nothing has moved, so nothing is committed";
  codec_test::WordReader::here().insert("schema");
  Step();
  Step();
  EXPECT_EQ(Sent().at({"in", 0}), 7);
}

TEST_F(WordsTest, AnEndBehindWhichMoreHasComeIsNoneThatMakesIdle) {
  Run();
  Then([] {
    PollResult result;
    result.fetches.push_back(
        std::make_unique<FakeFetch>(TopicPartition{"in", 0}, 0, std::vector<std::string>{"1 ?schema"}));
    result.ends.emplace_back(TopicPartition{"in", 0}, 1);
    return result;
  });
  ThenWords(0, 1, {"2"});  // polled before the partition was paused
  Step();
  Step();
  codec_test::WordReader::here().insert("schema");
  for (int i = 0; i < 20; ++i) Step();
  EXPECT_EQ(Sent().at({"in", 0}), 2);
  for (const TaskStatus& task : thread_->status().tasks) {
    EXPECT_FALSE(task.partition == 0 && task.idle) << "whether it is at its end isn't known";
  }
}

TEST_F(WordsTest, WhatWaitsIsReadAgainBehindAnAbort) {
  Run();
  ThenWords(0, 0, {"1", "2 ?schema"});
  Step();
  Step();
  producer_.fail = {{"produce out", absl::AbortedError("told to")}};
  ThenWords(1, 0, {"5"});
  Step();
  EXPECT_EQ(state(), ThreadStatus::State::kOpening);
  producer_.fail.clear();
  codec_test::WordReader::here().insert("schema");
  Step();
  ASSERT_EQ(state(), ThreadStatus::State::kRunning);
  const size_t before = Values("out").size();
  ThenWords(0, 1, {"2 ?schema"});  // from the committed position on
  Step();
  EXPECT_EQ(Values("out").size(), before + 1);
  EXPECT_EQ(Values("out").back(), R"({"n":2})");
}

}  // namespace
}  // namespace tidemark
