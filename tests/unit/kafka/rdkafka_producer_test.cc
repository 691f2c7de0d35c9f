// What a producer does while no broker answers.
#include <atomic>

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include "src/kafka/rdkafka_producer.h"

namespace tidemark::rdkafka {
namespace {

TEST(RdProducer, WhoGivesUpDoesNotWaitForBrokersThatAreAway) {
  KafkaSettings settings;
  settings.brokers = "127.0.0.1:1";  // nobody listens there
  std::atomic<int> asked{0};
  ProducerOptions options;
  options.transactional_id = "gives-up";
  options.give_up = [&asked] { return ++asked == 3; };
  const auto producer = RdProducer::New(settings, options, [](int, std::string_view) {});
  ASSERT_TRUE(producer.ok()) << producer.status();
  const absl::Status status = (*producer)->InitTransactions();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace tidemark::rdkafka
