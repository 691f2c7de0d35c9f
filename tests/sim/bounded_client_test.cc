// Sources that end at a bound, over the simulated Kafka.
#include "src/runtime/generations/bounded_client.h"

#include <memory>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/time.h"
#include "src/runtime/generations/withheld.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const TopicPartition kPart{"in", 0};
constexpr Offset kMore = -1000, kStands = -2000;

class BoundedClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.CreateTopic("in", 1);
    kafka_ = BoundedClient(cluster_.NewClient(0), "", &bounds_, [] { return absl::OkStatus(); });
    consumer_ = *kafka_->NewConsumer({.client_id = "reader"});
    Append(10);
    ASSERT_TRUE(consumer_->Assign({{kPart, 0}}).ok());
  }

  void Append(int count) {
    for (int i = 0; i < count; ++i) cluster_.AppendInput(kPart, std::nullopt, "x");
  }

  // Offsets that come, and behind them the ends that are told, as -1 - end, kMore, or kStands of switch 7.
  std::vector<Offset> Read(size_t most = 100) {
    std::vector<Offset> seen;
    for (int i = 0; i < 10; ++i) {
      const auto polled = consumer_->Poll(1'000, most);
      EXPECT_TRUE(polled.ok()) << polled.status();
      for (const auto& fetch : polled->fetches) {
        for (const RecordView& record : fetch->records()) seen.push_back(record.offset);
      }
      for (const auto& [partition, end] : polled->ends) {
        seen.push_back(end == kWithheld ? kMore : SwitchStoodFor(end) == 7 ? kStands : -1 - end);
      }
    }
    return seen;
  }

  SimClock clock_;
  SimCluster cluster_{SimCluster::Options(), &clock_};
  SourceBounds bounds_{{"in"}};
  std::unique_ptr<KafkaClient> kafka_;
  std::unique_ptr<Consumer> consumer_;
};

TEST_F(BoundedClientTest, WithoutABoundAllComesAndTheEndIsTheEnd) {
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -11));
}

TEST_F(BoundedClientTest, ABoundIsTheEndAndWhatLiesBehindItComesInOrderOnceItMoves) {
  bounds_.Set({{kPart, 4}}, SourceBounds::kNone);
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, kMore));
  EXPECT_THAT(Read(), IsEmpty());
  bounds_.Set({{kPart, 6}}, SourceBounds::kNone);
  EXPECT_THAT(Read(3), ElementsAre(4, 5));
  Append(2);
  bounds_.Set({}, SourceBounds::kNone);
  EXPECT_THAT(Read(3), ElementsAre(6, 7, 8, 9, 10, 11, -13));
}

TEST_F(BoundedClientTest, WhoIsHeldGetsNothingMoreAndNoEnd) {
  bounds_.Hold();
  EXPECT_THAT(Read(), ElementsAre(kMore));
  bounds_.Set({}, SourceBounds::kNone);
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -11));
}

TEST_F(BoundedClientTest, APauseOfItsUserKeepsWhatIsBehindTheBound) {
  bounds_.Set({{kPart, 4}}, SourceBounds::kNone);
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, kMore));
  ASSERT_TRUE(consumer_->Hold({kPart}).ok());
  bounds_.Set({}, SourceBounds::kNone);
  EXPECT_THAT(Read(), IsEmpty());
  ASSERT_TRUE(consumer_->Release({kPart}).ok());
  EXPECT_THAT(Read(), ElementsAre(4, 5, 6, 7, 8, 9, -11));
}

TEST_F(BoundedClientTest, WhatWasTheEndIsntOnceMoreIsWithheld) {
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -11));
  bounds_.Hold();
  Append(1);
  EXPECT_THAT(Read(), ElementsAre(kMore));
  bounds_.Set({{kPart, 10}}, SourceBounds::kNone);
  EXPECT_THAT(Read(), IsEmpty());
  bounds_.Set({{kPart, 11}}, SourceBounds::kNone);
  EXPECT_THAT(Read(), ElementsAre(10, -12));
}

TEST_F(BoundedClientTest, BoundsThatStandAreToldOnceBehindAllThatIsDeliveredAndAgainToWhoComesLater) {
  bounds_.Stand({{kPart, 4}}, 0, 7);
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, kMore, kStands));
  EXPECT_THAT(Read(), IsEmpty());
  ASSERT_TRUE(consumer_->Assign({{kPart, 4}}).ok());
  EXPECT_THAT(Read(), ElementsAre(kMore, kStands));
}

TEST_F(BoundedClientTest, APollThatFailsTakesNothingOfWhatIsKept) {
  bounds_.Set({{kPart, 4}}, SourceBounds::kNone);
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, kMore));
  bounds_.Set({{kPart, 8}}, SourceBounds::kNone);
  cluster_.faults().unavailable = 1;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(absl::IsUnavailable(consumer_->Poll(1'000, 100).status()));
  cluster_.faults().unavailable = 0;
  EXPECT_THAT(Read(), ElementsAre(4, 5, 6, 7));
}

TEST_F(BoundedClientTest, AnAssignmentIsHeardOfOnceItMayBeTakenUpAlsoByOtherGroups) {
  absl::Status may = absl::UnavailableError("not now");
  const auto kafka = BoundedClient(cluster_.NewClient(1), "app", &bounds_, [&] { return may; });
  for (const char* const group : {"app", "app.sink"}) {
    may = absl::UnavailableError("not now");
    const auto consumer = *kafka->NewConsumer({.group = group, .instance_id = "w", .client_id = group});
    ASSERT_TRUE(consumer->Subscribe({"in"}).ok());
    bool asked = false, assigned = false;
    for (int i = 0; i < 200 && !assigned; ++i) {
      clock_.Advance(kSecond / 10);
      const auto polled = consumer->Poll(1'000, 100);
      asked = asked || absl::IsUnavailable(polled.status());
      if (!polled.ok()) {
        if (i > 100) may = absl::OkStatus();
        continue;
      }
      EXPECT_THAT(polled->fetches, IsEmpty());
      assigned = polled->rebalance && polled->rebalance->kind == Rebalance::Kind::kAssigned;
      EXPECT_TRUE(!assigned || may.ok());
    }
    EXPECT_TRUE(asked) << group;
    EXPECT_TRUE(assigned) << group;
  }
}

TEST_F(BoundedClientTest, ABoundAboveTheEndIsReachedAsTheEnd) {
  bounds_.Set({{kPart, 12}}, SourceBounds::kNone);
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -11));
  Append(5);
  EXPECT_THAT(Read(), ElementsAre(10, 11, kMore));
}

}  // namespace
}  // namespace tidemark::sim
