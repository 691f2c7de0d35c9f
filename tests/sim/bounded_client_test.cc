// Sources that end at a bound, over the simulated Kafka.
#include "src/runtime/generations/bounded_client.h"

#include <memory>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const TopicPartition kPart{"in", 0};

class BoundedClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.CreateTopic("in", 1);
    kafka_ = BoundedClient(cluster_.NewClient(0), "", &bounds_, [] {});
    consumer_ = *kafka_->NewConsumer({.client_id = "reader"});
    Append(10);
    ASSERT_TRUE(consumer_->Assign({{kPart, 0}}).ok());
  }

  void Append(int count) {
    for (int i = 0; i < count; ++i) cluster_.AppendInput(kPart, std::nullopt, "x");
  }

  // Offsets that come, and behind them the ends that are told, as -1 - end.
  std::vector<Offset> Read(size_t most = 100) {
    std::vector<Offset> seen;
    for (int i = 0; i < 10; ++i) {
      const auto polled = consumer_->Poll(1'000, most);
      EXPECT_TRUE(polled.ok()) << polled.status();
      for (const auto& fetch : polled->fetches) {
        for (const RecordView& record : fetch->records()) seen.push_back(record.offset);
      }
      for (const auto& [partition, end] : polled->ends) seen.push_back(-1 - end);
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
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(bounds_.delivered().at(kPart), 4);
  EXPECT_THAT(Read(), IsEmpty());
  bounds_.Set({{kPart, 6}}, SourceBounds::kNone);
  EXPECT_THAT(Read(3), ElementsAre(4, 5));
  Append(2);
  bounds_.Set({}, SourceBounds::kNone);
  EXPECT_THAT(Read(3), ElementsAre(6, 7, 8, 9, 10, 11, -13));
}

TEST_F(BoundedClientTest, WhoIsHeldGetsNothingMoreAndNoEnd) {
  bounds_.Hold();
  EXPECT_THAT(Read(), IsEmpty());
  bounds_.Set({}, SourceBounds::kNone);
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -11));
}

TEST_F(BoundedClientTest, APauseOfItsUserKeepsWhatIsBehindTheBound) {
  bounds_.Set({{kPart, 4}}, SourceBounds::kNone);
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3));
  ASSERT_TRUE(consumer_->Hold({kPart}).ok());
  bounds_.Set({}, SourceBounds::kNone);
  EXPECT_THAT(Read(), IsEmpty());
  ASSERT_TRUE(consumer_->Release({kPart}).ok());
  EXPECT_THAT(Read(), ElementsAre(4, 5, 6, 7, 8, 9, -11));
}

TEST_F(BoundedClientTest, ABoundAboveTheEndIsReachedAsTheEnd) {
  bounds_.Set({{kPart, 12}}, SourceBounds::kNone);
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -11));
  Append(5);
  EXPECT_THAT(Read(), ElementsAre(10, 11));
}

}  // namespace
}  // namespace tidemark::sim
