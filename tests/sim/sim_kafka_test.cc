// The faults of the simulated Kafka: what no real broker does on demand. What it does without faults is held against a
// real broker by the conformance suite.
#include "src/sim/sim_kafka.h"

#include <gtest/gtest.h>

#include <absl/strings/str_cat.h>

#include "tests/sim/conformance_kit.h"

namespace tidemark::sim {
namespace {

class SimKafkaTest : public testing::Test {
 protected:
  void Start(SimCluster::Options options = {}) {
    cluster_ = std::make_unique<SimCluster>(options, &clock_);
    cluster_->CreateTopic("t", 2);
    for (int worker = 0; worker < 2; ++worker) clients_[worker] = cluster_->NewClient(worker);
  }

  std::unique_ptr<Producer> NewProducer(int worker, const std::string& id = "p") {
    ProducerOptions options;
    options.transactional_id = id;
    auto producer = clients_[worker]->NewProducer(options).value();
    EXPECT_TRUE(producer->InitTransactions().ok());
    return producer;
  }

  std::unique_ptr<Consumer> NewMember(int worker, const std::string& instance_id) {
    ConsumerOptions options;
    options.group = "g";
    options.instance_id = instance_id;
    auto consumer = clients_[worker]->NewConsumer(options).value();
    EXPECT_TRUE(consumer->Subscribe({"t"}).ok());
    return consumer;
  }

  // Polls and answers until a rebalance of that kind has come; its partitions.
  std::vector<TopicPartition> Await(Consumer* consumer, Rebalance::Kind kind, Consumer* other = nullptr) {
    for (int i = 0; i < 1'000; ++i) {
      auto result = consumer->Poll(10'000, 10);
      if (!result.ok()) {
        ADD_FAILURE() << result.status();
        return {};
      }
      if (result->rebalance.has_value()) {
        Answer(consumer, *result->rebalance);
        if (result->rebalance->kind == kind) return result->rebalance->partitions;
      }
      if (other == nullptr) continue;
      auto others = other->Poll(10'000, 10);
      if (others.ok() && others->rebalance.has_value()) Answer(other, *others->rebalance);
    }
    ADD_FAILURE() << "no such rebalance";
    return {};
  }

  static void Answer(Consumer* consumer, const Rebalance& rebalance) {
    if (rebalance.kind == Rebalance::Kind::kAssigned) {
      EXPECT_TRUE(consumer->AssignPaused(rebalance.partitions).ok());
    } else {
      EXPECT_TRUE(consumer->Unassign().ok());
    }
  }

  static absl::Status WriteOne(Producer* producer, const std::string& value) {
    if (auto status = producer->Begin(); !status.ok()) return status;
    if (auto status = producer->Produce("t", {{0, "k", value, nullptr}}); !status.ok()) return status;
    return producer->Flush();
  }

  std::string CommittedValues() {
    std::string text;
    for (const SimRecord& r : cluster_->CommittedRecords({"t", 0})) absl::StrAppend(&text, *r.value, " ");
    return text;
  }

  SimClock clock_;
  std::unique_ptr<SimCluster> cluster_;
  std::map<int, std::unique_ptr<KafkaClient>> clients_;
};

TEST_F(SimKafkaTest, AFrozenMemberLosesItsPartitionsAndIsToldSo) {
  Start();
  auto frozen = NewMember(0, "00");
  auto other = NewMember(1, "01");
  Await(frozen.get(), Rebalance::Kind::kAssigned);
  const auto old = frozen->Group();
  cluster_->Freeze(0);
  clock_.Advance(11'000'000);
  EXPECT_EQ(Await(other.get(), Rebalance::Kind::kAssigned).size(), 2u);
  auto producer = NewProducer(0);
  ASSERT_TRUE(producer->Begin().ok());
  EXPECT_TRUE(absl::IsAborted(producer->SendOffsets(Position({"t", 0}, 1), *old)));
  cluster_->Thaw(0);
  EXPECT_FALSE(Await(frozen.get(), Rebalance::Kind::kLost).empty());
  EXPECT_EQ(Await(frozen.get(), Rebalance::Kind::kAssigned, other.get()).size(), 1u);
}

TEST_F(SimKafkaTest, ALivingMemberKeepsItsPartitionsHoweverRarelyItPolls) {
  Start();
  auto member = NewMember(0, "00");
  Await(member.get(), Rebalance::Kind::kAssigned);
  for (int i = 0; i < 10; ++i) {
    clock_.Advance(5'000'000);
    cluster_->Tick();
  }
  EXPECT_FALSE(member->Poll(0, 1)->rebalance.has_value());
}

TEST_F(SimKafkaTest, ACrashAfterACommitHasCommitted) {
  Start();
  auto producer = NewProducer(0);
  ASSERT_TRUE(WriteOne(producer.get(), "a").ok());
  cluster_->SetHook([](const SimCallSite& site) {
    return site.call == SimCall::kCommit && site.after ? SimVerdict::kCrash : SimVerdict::kProceed;
  });
  EXPECT_EQ(producer->Commit(nullptr), CommitOutcome::kUnknown);
  EXPECT_EQ(CommittedValues(), "a ");
  EXPECT_FALSE(cluster_->Alive(0));
  EXPECT_TRUE(absl::IsPermissionDenied(producer->Abort()));
  EXPECT_TRUE(absl::IsPermissionDenied(clients_[0]->NewProducer({}).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(clients_[0]->admin().Describe({"t"}).status()));
}

TEST_F(SimKafkaTest, ACrashBeforeACommitLeavesATransactionThatTheNextOwnerAborts) {
  Start();
  auto producer = NewProducer(0);
  ASSERT_TRUE(WriteOne(producer.get(), "a").ok());
  cluster_->SetHook([](const SimCallSite& site) {
    return site.call == SimCall::kCommit ? SimVerdict::kCrash : SimVerdict::kProceed;
  });
  EXPECT_EQ(producer->Commit(nullptr), CommitOutcome::kUnknown);
  cluster_->SetHook(nullptr);
  EXPECT_EQ(cluster_->log().Find({"t", 0})->last_stable(), 0);
  clients_[0] = cluster_->NewClient(0);
  NewProducer(0);
  EXPECT_EQ(cluster_->log().Find({"t", 0})->last_stable(), 2);
  EXPECT_EQ(CommittedValues(), "");
}

TEST_F(SimKafkaTest, AnUnknownCommitIsAppliedOrNotAndNeverByHalf) {
  SimCluster::Options options;
  options.faults.commit_unknown = 1;
  Start(options);
  int applied = 0;
  for (int i = 0; i < 50; ++i) {
    auto producer = NewProducer(0);
    const size_t before = cluster_->CommittedRecords({"t", 0}).size();
    ASSERT_TRUE(producer->Begin().ok());
    ASSERT_TRUE(producer->Produce("t", {{0, "k", "v", nullptr}, {1, "k", "v", nullptr}}).ok());
    EXPECT_EQ(producer->Commit(nullptr), CommitOutcome::kUnknown);
    EXPECT_FALSE(producer->Begin().ok());
    NewProducer(0);  // settles it
    const size_t after = cluster_->CommittedRecords({"t", 0}).size();
    EXPECT_EQ(after, cluster_->CommittedRecords({"t", 1}).size());
    applied += static_cast<int>(after - before);
  }
  EXPECT_GT(applied, 5);
  EXPECT_LT(applied, 45);
}

TEST_F(SimKafkaTest, AfterAnErrorATransactionCanOnlyBeAborted) {
  Start();
  auto producer = NewProducer(0);
  cluster_->SetHook([](const SimCallSite& site) {
    return site.call == SimCall::kFlush && site.after ? SimVerdict::kFail : SimVerdict::kProceed;
  });
  EXPECT_TRUE(absl::IsUnavailable(WriteOne(producer.get(), "a")));
  EXPECT_EQ(producer->Commit(nullptr), CommitOutcome::kAborted);
  EXPECT_TRUE(producer->Abort().ok());
  EXPECT_EQ(CommittedValues(), "");
  cluster_->SetHook(nullptr);
  EXPECT_TRUE(WriteOne(producer.get(), "b").ok());
  EXPECT_EQ(producer->Commit(nullptr), CommitOutcome::kCommitted);
  EXPECT_EQ(CommittedValues(), "b ");
}

TEST_F(SimKafkaTest, MarkersAndOffsetsMayComeLate) {
  SimCluster::Options options;
  options.marker_delay_us = 1'000'000;
  options.waits_advance_clock = false;
  Start(options);
  auto member = NewMember(0, "00");
  Await(member.get(), Rebalance::Kind::kAssigned);
  auto producer = NewProducer(0);
  ASSERT_TRUE(producer->Begin().ok());
  ASSERT_TRUE(producer->SendOffsets(Position({"t", 0}, 7), *member->Group()).ok());
  ASSERT_EQ(producer->Commit(nullptr), CommitOutcome::kCommitted);
  EXPECT_TRUE(absl::IsUnavailable(member->Committed({{"t", 0}}).status()));
  EXPECT_EQ(clients_[0]->admin().GroupOffsets("g", {{"t", 0}})->begin()->second.offset, -1);
  clock_.Advance(1'000'000);
  EXPECT_EQ(member->Committed({{"t", 0}})->begin()->second.offset, 7);
}

TEST_F(SimKafkaTest, ATransactionThatTimesOutFencesItsProducer) {
  Start();
  auto producer = NewProducer(0);
  ASSERT_TRUE(WriteOne(producer.get(), "a").ok());
  clock_.Advance(10'000'000);
  EXPECT_EQ(producer->Commit(nullptr), CommitOutcome::kFenced);
  EXPECT_TRUE(absl::IsCancelled(producer->Abort()));
  EXPECT_EQ(CommittedValues(), "");
  EXPECT_EQ(cluster_->log().transactions_timed_out(), 1);
}

TEST_F(SimKafkaTest, ACrashAmidProducingLeavesAnyPrefix) {
  std::set<size_t> prefixes;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SimCluster::Options options;
    options.seed = seed;
    Start(options);
    auto producer = NewProducer(0);
    ASSERT_TRUE(producer->Begin().ok());
    ASSERT_TRUE(producer->Produce("t", {{0, "k", "a", nullptr}, {0, "k", "b", nullptr}}).ok());
    cluster_->Kill(0);
    prefixes.insert(cluster_->log().Find({"t", 0})->records.size());
  }
  EXPECT_EQ(prefixes, (std::set<size_t>{0, 1, 2}));
}

TEST_F(SimKafkaTest, TheSameSeedGivesTheSameRun) {
  const auto run = [this](uint64_t seed) {
    SimCluster::Options options;
    options.seed = seed;
    options.marker_delay_us = 20'000;
    options.faults = {
        .unavailable = 0.1, .lost_answer = 0.1, .commit_unknown = 0.1, .commit_aborted = 0.1, .crash = 0.01};
    Start(options);
    std::string trace;
    std::unique_ptr<Producer> producer;
    for (int i = 0; i < 300; ++i) {
      if (!cluster_->Alive(0)) clients_[0] = cluster_->NewClient(0);
      if (producer == nullptr) {
        ProducerOptions producer_options;
        producer_options.transactional_id = "p";
        auto made = clients_[0]->NewProducer(producer_options);
        if (!made.ok() || !(*made)->InitTransactions().ok()) continue;
        producer = *std::move(made);
      }
      const absl::Status written = WriteOne(producer.get(), absl::StrCat(i));
      const CommitOutcome outcome = written.ok() ? producer->Commit(nullptr) : CommitOutcome::kAborted;
      absl::StrAppend(&trace, static_cast<int>(written.code()), ":", static_cast<int>(outcome), " ");
      if (outcome == CommitOutcome::kAborted && producer->Abort().ok()) continue;
      if (outcome != CommitOutcome::kCommitted) producer.reset();
    }
    return trace + CommittedValues();
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace tidemark::sim
