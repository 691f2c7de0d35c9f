#include "src/kafka/group_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using ::testing::ElementsAre;

std::string Raw(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

TEST(GroupProtocol, ASubscriptionIsItsTopics) {
  const std::string bytes = Raw({0, 1, 0, 0, 0, 2, 0, 1, 'a', 0, 2, 'b', 'c', 0, 0, 0, 0});
  EXPECT_THAT(*ParseSubscription(bytes), ElementsAre("a", "bc"));
}

TEST(GroupProtocol, AnAssignmentIsPartitionsByTopic) {
  const std::string bytes = Raw({0, 0, 0,   0, 0, 2, 0, 1, 'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0,  // a-0, a-256
                                 0, 1, 'b', 0, 0, 0, 1, 0, 0,   0, 7});                              // b-7
  EXPECT_THAT(*ParseAssignment(bytes),
              ElementsAre(TopicPartition{"a", 0}, TopicPartition{"a", 256}, TopicPartition{"b", 7}));
  EXPECT_TRUE(ParseAssignment("")->empty());
}

TEST(GroupProtocol, WhatIsCutOffIsDamaged) {
  const std::string bytes = Raw({0, 0, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 1, 0, 0, 0, 0});
  ASSERT_TRUE(ParseAssignment(bytes).ok());
  for (size_t size = 1; size < bytes.size(); ++size) {
    EXPECT_TRUE(absl::IsDataLoss(ParseAssignment(bytes.substr(0, size)).status())) << size;
  }
  EXPECT_TRUE(absl::IsDataLoss(ParseSubscription("").status()));
  EXPECT_TRUE(absl::IsDataLoss(ParseSubscription(Raw({0, 0, 0, 0, 0, 1, 255, 255})).status())) << "no length";
}

}  // namespace
}  // namespace tidemark
