// What two generations of a topic of keys differ in, written in one transaction: on the simulated Kafka, with what a
// real one doesn't do on demand (a kill at any call, commits of unknown outcome, somebody of the old generation who
// wakes up late). The same difference on a real broker is a script of the conformance suite.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/mutation.h"
#include "src/runtime/generations/target_swap.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::HasSubstr;
using Rows = std::map<std::string, std::string>;

class TopicDifferenceTest : public ::testing::Test {
 protected:
  void Start(SimCluster::Options options = {}, int32_t partitions = 2) {
    cluster_ = std::make_unique<SimCluster>(options, &clock_);
    cluster_->CreateTopic("orders", partitions);
    cluster_->CreateTopic("orders.g2", partitions);
    client_ = cluster_->NewClient(0);
    target_.live = "orders";
    target_.shadow = "orders.g2";
    target_.transactional_id = "town/switch";
  }
  void Fill(int keys = 40) {
    for (int i = 0; i < keys; ++i) {
      const std::string key = absl::StrCat("k", i);
      const int32_t p = i % 2;
      cluster_->AppendInput({"orders", p}, key, "stale");
      if (i % 5 == 0) {
        cluster_->AppendInput({"orders", p}, key, std::nullopt);
      } else {
        cluster_->AppendInput({"orders", p}, key, i % 3 == 0 ? "same" : "old");
      }
      if (i % 4 != 0) cluster_->AppendInput({"orders.g2", p}, key, i % 3 == 0 ? "same" : "new", -1, {{"by", "g2"}});
    }
  }
  absl::Status Swap(int worker = 0) {
    if (!cluster_->Alive(worker)) client_ = cluster_->NewClient(worker);
    return MakeTopicDifference(target_, client_.get(), &clock_)->Swap();
  }
  // What a reader of the topic holds.
  Rows Table(const std::string& topic) {
    Rows rows;
    for (int32_t p = 0; p < 2; ++p) {
      for (const SimRecord& record : cluster_->CommittedRecords({topic, p})) {
        if (record.value) {
          rows[absl::StrCat(p, ":", *record.key)] = *record.value;
        } else {
          rows.erase(absl::StrCat(p, ":", *record.key));
        }
      }
    }
    return rows;
  }
  size_t Records(const std::string& topic) {
    return cluster_->CommittedRecords({topic, 0}).size() + cluster_->CommittedRecords({topic, 1}).size();
  }

  SimClock clock_;
  std::unique_ptr<SimCluster> cluster_;
  std::unique_ptr<KafkaClient> client_;
  TopicDifferenceTarget target_;
};

TEST_F(TopicDifferenceTest, TheTopicHoldsWhatTheShadowHoldsAndNothingIsWrittenTwice) {
  Start();
  Fill();
  const size_t before = Records("orders");
  ASSERT_TRUE(MakeTopicDifference(target_, client_.get(), &clock_)->Prepare().ok());
  EXPECT_EQ(Records("orders"), before);
  ASSERT_TRUE(Swap().ok());
  EXPECT_EQ(Table("orders"), Table("orders.g2"));
  const size_t after = Records("orders");
  EXPECT_LT(after - before, 40u);  // what is the same isn't written
  EXPECT_EQ(cluster_->CommittedRecords({"orders", 1}).back().headers.size(), 1u);
  ASSERT_TRUE(Swap().ok());
  EXPECT_EQ(Records("orders"), after);
}

TEST_F(TopicDifferenceTest, AnEmptyShadowTakesEveryKeyAway) {
  Start();
  Fill();
  cluster_->CreateTopic("empty", 2);
  target_.shadow = "empty";
  ASSERT_TRUE(Swap().ok());
  EXPECT_EQ(Table("orders"), Rows());
}

TEST_F(TopicDifferenceTest, WhoWakesUpOnceTheSwitchIsAnothersWritesNothing) {
  Start();
  Fill();
  ASSERT_TRUE(Swap().ok());
  cluster_->AppendInput({"orders", 1}, "k1", "newer, as the new generation runs");
  const size_t before = Records("orders");
  target_.still_mine = [] { return absl::CancelledError("another command"); };
  EXPECT_TRUE(absl::IsCancelled(Swap()));
  EXPECT_EQ(Records("orders"), before);
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST_F(TopicDifferenceTest, WhoDoesNotAskTakesRowsOfTheNewGenerationBack) {
  Start();
  Fill();
  ASSERT_TRUE(Swap().ok());
  cluster_->AppendInput({"orders", 1}, "k1", "newer, as the new generation runs");
  target_.still_mine = [] { return absl::CancelledError("another command"); };
  SetMutation(Mutation::kSwappedAsleep, true);
  EXPECT_TRUE(Swap().ok());
  SetMutation(Mutation::kSwappedAsleep, false);
  EXPECT_EQ(Table("orders"), Table("orders.g2"));  // the newer row is gone
}
#endif

TEST_F(TopicDifferenceTest, WhoFallsAsleepBehindTheQuestionIsFencedByWhoeverGoesOn) {
  Start();
  Fill();
  const auto other = cluster_->NewClient(1);
  auto others = target_;
  size_t after = 0;
  target_.still_mine = [&] {
    EXPECT_TRUE(MakeTopicDifference(others, other.get(), &clock_)->Swap().ok());
    cluster_->AppendInput({"orders", 1}, "k1", "newer, as the new generation runs");
    after = Records("orders");
    return absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsUnavailable(Swap()));
  EXPECT_EQ(Records("orders"), after);
}

TEST_F(TopicDifferenceTest, WhatTheOldGenerationHasBegunIsWaitedForBeforeTheTopicIsRead) {
  Start();
  Fill();
  const auto zombie_client = cluster_->NewClient(1);
  auto zombie = zombie_client->NewProducer({.transactional_id = "town/w-0-0"}).value();
  ASSERT_TRUE(zombie->InitTransactions().ok());
  ASSERT_TRUE(zombie->Begin().ok());
  ASSERT_TRUE(zombie->Produce("orders", {OutRecord{.partition = 0, .key = "k0", .value = "of n"}}).ok());
  ASSERT_TRUE(zombie->Flush().ok());
  EXPECT_TRUE(absl::IsUnavailable(Swap()));
  std::string error;
  ASSERT_EQ(zombie->Commit(&error), CommitOutcome::kCommitted) << error;
  ASSERT_TRUE(Swap().ok());
  EXPECT_EQ(Table("orders"), Table("orders.g2"));
}

// The whole of one generation or the other stands in the topic, whatever call a process dies at.
TEST_F(TopicDifferenceTest, AKillAtAnyCallLeavesOneOrTheOtherAndTheNextCallFinishes) {
  for (int calls = 1; calls < 200; ++calls) {
    Start();
    Fill(12);
    const Rows old = Table("orders"), next = Table("orders.g2");
    int left = calls;
    cluster_->SetHook([&](const SimCallSite&) { return --left == 0 ? SimVerdict::kCrash : SimVerdict::kProceed; });
    const absl::Status first = Swap();
    const bool killed = left <= 0;
    cluster_->SetHook(nullptr);
    const Rows stands = Table("orders");
    EXPECT_TRUE(stands == old || stands == next) << "killed at call " << calls;
    absl::Status again = first;
    for (int i = 0; i < 20 && !again.ok(); ++i) again = Swap();
    ASSERT_TRUE(again.ok()) << again;
    EXPECT_EQ(Table("orders"), next) << "killed at call " << calls;
    if (!killed) return;
  }
  FAIL() << "a swap takes more calls than were tried";
}

TEST_F(TopicDifferenceTest, UnderFaultsOfEveryKindItIsWrittenOnce) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SimCluster::Options options;
    options.seed = seed;
    options.marker_delay_us = 50'000;
    options.faults = {
        .unavailable = 0.03, .lost_answer = 0.03, .commit_unknown = 0.3, .commit_aborted = 0.2, .crash = 0.01};
    Start(options);
    Fill(30);
    const Rows next = Table("orders.g2");
    const size_t before = Records("orders");
    absl::Status swapped = absl::UnavailableError("");
    for (int i = 0; i < 1'000 && !swapped.ok(); ++i) {
      swapped = Swap();
      ASSERT_FALSE(absl::IsInvalidArgument(swapped)) << swapped;
    }
    ASSERT_TRUE(swapped.ok()) << "seed " << seed << ": " << swapped;
    cluster_->Wait(1'000'000);  // until the markers have come
    EXPECT_EQ(Table("orders"), next) << "seed " << seed;
    std::map<std::string, int> written;
    for (int32_t p = 0; p < 2; ++p) {
      for (const SimRecord& record : cluster_->CommittedRecords({"orders", p})) ++written[*record.key];
    }
    for (const auto& [key, times] : written) EXPECT_LE(times, 3) << "seed " << seed << ", " << key;
    EXPECT_LE(Records("orders"), before + 30) << "seed " << seed;
  }
}

TEST_F(TopicDifferenceTest, WhatCannotBeComparedIsRefusedBeforeAnythingIsWritten) {
  Start();
  Fill();
  cluster_->CreateTopic("three", 3);
  target_.shadow = "three";
  const auto prepare = [&] { return MakeTopicDifference(target_, client_.get(), &clock_)->Prepare(); };
  EXPECT_TRUE(absl::IsInvalidArgument(prepare()));
  EXPECT_THAT(std::string(prepare().message()), HasSubstr("it has 2 partitions and three has 3"));
  target_.shadow = "none";
  EXPECT_THAT(std::string(prepare().message()), HasSubstr("topic none doesn't exist"));
  target_.shadow = "orders.g2";
  target_.key_bytes = 500;
  EXPECT_THAT(std::string(prepare().message()), HasSubstr("give it more partitions"));
  target_.key_bytes = 1 << 20;
  cluster_->AppendInput({"orders", 0}, std::nullopt, "nobody's");
  EXPECT_THAT(std::string(prepare().message()), HasSubstr("without a key"));
}

}  // namespace
}  // namespace tidemark::sim
