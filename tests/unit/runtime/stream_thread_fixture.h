// A real stream thread with a real task and state on a disk in memory, and a consumer and a producer that do as the
// test says.
#pragma once

#include <deque>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/offset_metadata.h"
#include "src/runtime/stream_thread.h"
#include "state/memory_disk.h"
#include "tests/unit/runtime/copying_plan.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark::stream_thread_test {

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
  Plan plan_ = CopyingPlan();
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

}  // namespace tidemark::stream_thread_test
