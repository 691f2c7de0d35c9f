// What two generations have written to topics, compared on the simulated Kafka: by key, row by row, with other columns
// and formats, and with transactions that hang.
#include "src/runtime/generations/topic_comparison.h"

#include <memory>
#include <optional>
#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::HasSubstr;

class TopicComparisonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.CreateTopic("latest", 2);
    cluster_.CreateTopic("latest.g2", 2);
    kafka_ = cluster_.NewClient(0);
    target_.sink = "sink latest";
    target_.before.topic = "latest";
    target_.after.topic = "latest.g2";
    target_.before.schema = Schema({{"route", {Kind::kString}}, {"n", {Kind::kInt32}}});
    target_.after.schema = Schema({{"route", {Kind::kString}}, {"n", {Kind::kInt64}}, {"most", {Kind::kInt64}}});
    Columns(false);
  }
  void Columns(bool all) { target_.columns = CompareColumns(target_.before.schema, target_.after.schema, all); }
  void Before(const std::string& key, const std::optional<std::string>& value, int32_t partition = 0) {
    cluster_.AppendInput({"latest", partition}, key, value);
  }
  void After(const std::string& key, const std::optional<std::string>& value, int32_t partition = 0) {
    cluster_.AppendInput({target_.after.topic, partition}, key, value);
  }
  std::string Compared(bool at_cut = true) {
    const auto comparison = MakeTopicComparison(target_, kafka_.get(), &clock_);
    absl::Status status = comparison->Prepare();
    if (!status.ok()) return std::string(status.message());
    CompareTime time;
    time.at_cut = at_cut;
    const auto found = comparison->Compare(time);
    if (!found.ok()) return std::string(found.status().message());
    return absl::StrCat(found->only_before, " ", found->only_after, " ", found->differing, " of ", found->of);
  }

  SimClock clock_;
  SimCluster cluster_{SimCluster::Options(), &clock_};
  std::unique_ptr<KafkaClient> kafka_;
  TopicComparisonTarget target_;
};

TEST_F(TopicComparisonTest, TheNewestValueOfAKeyIsComparedByTheColumnsThatBothHave) {
  EXPECT_EQ(Compared(), "0 0 0 of 0");
  Before("a", R"({"route":"a","n":9})");
  Before("a", R"({"route":"a","n":1})");
  After("a", R"({"most":7, "n":1, "route":"a"})");
  Before("b", R"({"route":"b","n":1})", 1);
  After("b", R"({"route":"b","n":2,"most":1})", 1);
  Before("c", R"({"route":"c","n":1})");
  Before("d", R"({"route":"d","n":1})");
  Before("d", std::nullopt);
  After("e", R"({"route":"e","n":1,"most":1})", 1);
  EXPECT_EQ(Compared(), "1 1 1 of 4");
  target_.most_entries = 1;
  EXPECT_EQ(Compared(), "1 1 1 of 4");
  Columns(/*all=*/true);
  EXPECT_EQ(Compared(), "1 1 2 of 4");
}

TEST_F(TopicComparisonTest, AnotherNumberOfPartitionsMovesKeysAndIsNoDifference) {
  cluster_.CreateTopic("wide", 5);
  target_.after.topic = "wide";
  for (int i = 0; i < 20; ++i) {
    Before(absl::StrCat(i), absl::StrCat(R"({"route":"r","n":)", i, "}"), i % 2);
    After(absl::StrCat(i), absl::StrCat(R"({"route":"r","most":1,"n":)", i, "}"), i % 5);
  }
  EXPECT_EQ(Compared(), "0 0 0 of 20");
}

TEST_F(TopicComparisonTest, WhatCantBeReadGoesByItsBytes) {
  Before("a", "somebody's");
  After("a", "somebody's");
  Before("b", "somebody's");
  After("b", "else's");
  EXPECT_EQ(Compared(), "0 0 1 of 2");
}

TEST_F(TopicComparisonTest, OfATopicThatAppendsEachRowCounts) {
  target_.by_key = false;
  for (int i = 0; i < 3; ++i) cluster_.AppendInput({"latest", 0}, std::nullopt, R"({"route":"a","n":1})");
  cluster_.AppendInput({"latest.g2", 1}, std::nullopt, R"({"route":"a","n":1,"most":3})");
  cluster_.AppendInput({"latest.g2", 1}, std::nullopt, R"({"route":"b","n":1,"most":3})");
  EXPECT_EQ(Compared(), "2 1 0 of 4");
  cluster_.Trim({"latest", 0}, 1);
  EXPECT_THAT(Compared(), HasSubstr("sink latest: latest-0 begins at offset 1: what stood before is gone"));
}

// A transaction that was begun by somebody who is gone holds back what others have committed behind it.
TEST_F(TopicComparisonTest, AtTheCutAnOpenTransactionIsWaitedFor) {
  const auto zombie_client = cluster_.NewClient(1);
  const auto zombie = *zombie_client->NewProducer({.transactional_id = "town/w-0"});
  ASSERT_TRUE(zombie->InitTransactions().ok());
  ASSERT_TRUE(zombie->Begin().ok());
  ASSERT_TRUE(zombie->Produce("latest", {OutRecord{.partition = 0, .key = "z", .value = "{}"}}).ok());
  ASSERT_TRUE(zombie->Flush().ok());
  Before("a", R"({"route":"a","n":1})");
  After("a", R"({"route":"a","n":1})");
  EXPECT_THAT(Compared(), HasSubstr("a transaction in latest-0 hasn't ended yet"));
  EXPECT_EQ(Compared(/*at_cut=*/false), "0 1 0 of 1");
  ASSERT_TRUE(zombie->Abort().ok());
  EXPECT_EQ(Compared(), "0 0 0 of 1");
}

TEST_F(TopicComparisonTest, WhatIsntThereOrHasNoKeyIsRefused) {
  cluster_.AppendInput({"latest", 0}, std::nullopt, "{}");
  EXPECT_THAT(Compared(), HasSubstr("a record without a key"));
  target_.after.topic = "nobody";
  EXPECT_THAT(Compared(), HasSubstr("topic nobody doesn't exist"));
  target_.after.spec.format.name = "morse";
  EXPECT_THAT(Compared(), HasSubstr("morse"));
}

}  // namespace
}  // namespace tidemark::sim
