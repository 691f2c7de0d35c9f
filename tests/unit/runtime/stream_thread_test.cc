// What a stream thread does after an error, behind a reset and around an assignment.
#include "src/runtime/stream_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/generations/withheld.h"
#include "tests/unit/runtime/stream_thread_fixture.h"

namespace tidemark {
namespace {

using namespace stream_thread_test;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

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

TEST_F(StreamThreadTest, ThatAPartitionStandsForASwitchIsCommittedBehindAllThatCameBefore) {
  Run();
  Then([this] {
    PollResult result;
    result.fetches.push_back(std::make_unique<FakeFetch>(TopicPartition{"in", 0}, 0, values_));
    for (const int32_t p : {0, 1}) result.ends.emplace_back(TopicPartition{"in", p}, StandsFor(5));
    return result;
  });
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(thread_->Step(0).ok());
    clock_.monotonic_us += kSecond;
  }
  EXPECT_THAT(Sent(), UnorderedElementsAre(Pair(TopicPartition{"in", 0}, 1), Pair(TopicPartition{"in", 1}, 0)));
  for (const OffsetToCommit& sent : producer_.sent) EXPECT_EQ(OffsetMetadata::Parse(sent.metadata)->stands_for, 5);
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

}  // namespace
}  // namespace tidemark
