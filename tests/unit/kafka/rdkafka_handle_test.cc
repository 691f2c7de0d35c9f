#include "src/kafka/rdkafka_handle.h"

#include <gtest/gtest.h>

#include "src/kafka/rdkafka_client.h"
#include "src/kafka/rdkafka_consumer.h"
#include "src/kafka/rdkafka_fetch.h"

namespace tidemark::rdkafka {
namespace {

absl::Status Check(const std::string& name, const std::string& value) {
  KafkaSettings settings;
  settings.properties = {{name, value}};
  return CheckProperties(settings);
}

TEST(KafkaProperties, WhatTidemarkSetsItselfIsRefusedByName) {
  for (const char* name : {"enable.auto.commit", "group.id", "transactional.id", "isolation.level", "auto.offset.reset",
                           "enable.idempotence", "partition.assignment.strategy", "acks"}) {
    const absl::Status status = Check(name, "1");
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << name;
    EXPECT_NE(std::string(status.message()).find(name), std::string::npos) << status;
  }
  EXPECT_NE(std::string(Check("bootstrap.servers", "h:1").message()).find("kafka.brokers"), std::string::npos);
}

TEST(KafkaProperties, WhatLibrdkafkaDoesNotKnowIsRefusedWithTheNearestThatItDoes) {
  EXPECT_TRUE(absl::IsInvalidArgument(Check("no.such.thing", "1")));
  EXPECT_NE(std::string(Check("fetch.wait.max.mss", "1").message()).find("did you mean 'fetch.wait.max.ms'?"),
            std::string::npos);
  EXPECT_NE(std::string(Check("ssl.ca.locatoin", "x").message()).find("did you mean 'ssl.ca.location'?"),
            std::string::npos);
  EXPECT_TRUE(absl::IsInvalidArgument(Check("linger.ms", "soon")));
}

TEST(KafkaProperties, SecurityAndTuningAreTheUsers) {
  EXPECT_TRUE(Check("sasl.password", "x").ok());
  EXPECT_TRUE(Check("security.protocol", "sasl_ssl").ok());
  EXPECT_TRUE(Check("linger.ms", "20").ok());
  EXPECT_TRUE(Check("fetch.max.bytes", "1000000").ok());
}

TEST(KafkaClientStart, ARefusedPropertyIsToldBeforeAnyBrokerIsAsked) {
  KafkaSettings settings;
  settings.brokers = "127.0.0.1:1";
  settings.properties = {{"enable.auto.commit", "true"}};
  EXPECT_TRUE(absl::IsInvalidArgument(NewRdKafkaClient(settings, nullptr).status()));
}

TEST(KafkaErrors, TheCodeSaysWhatToDo) {
  const auto code = [](rd_kafka_resp_err_t e) { return FromError(e, "x").code(); };
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR_NO_ERROR), absl::StatusCode::kOk);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR__FENCED), absl::StatusCode::kCancelled);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION), absl::StatusCode::kAborted);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR__TRANSPORT), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE), absl::StatusCode::kUnavailable);
}

TEST(KafkaErrors, ANegativeOffsetIsNeverSent) {
  EXPECT_TRUE(absl::IsInternal(NewOffsetList({{{"t", 0}, 5, ""}, {{"t", 1}, -1, ""}}).status()));
  const auto list = NewOffsetList({{{"t", 3}, 5, "meta"}});
  ASSERT_TRUE(list.ok());
  ASSERT_EQ((*list)->cnt, 1);
  EXPECT_EQ((*list)->elems[0].offset, 5);
  EXPECT_EQ(std::string(static_cast<const char*>((*list)->elems[0].metadata), (*list)->elems[0].metadata_size), "meta");
}

TEST(KafkaGroupMetadata, OnlyAMemberWithAGenerationIsValid) {
  const auto make = [](int32_t generation, const char* member, const char* instance) {
    return std::make_unique<RdGroupMetadata>(
        rd_kafka_consumer_group_metadata_new_with_genid("town", generation, member, instance));
  };
  EXPECT_TRUE(make(0, "m", nullptr)->valid());
  EXPECT_TRUE(make(7, "m", "00-a")->valid());
  EXPECT_FALSE(make(-1, "m", "00-a")->valid());
  EXPECT_FALSE(make(7, "", "00-a")->valid());
  EXPECT_FALSE(RdGroupMetadata(nullptr).valid());
  EXPECT_EQ(make(7, "m", nullptr)->ToString(), "group 'town' generation 7 member 'm'");
}

TEST(KafkaErrors, WhatAPartitionCannotBeReadForIsToldByItsCauseWhereItLasts) {
  const auto code = [](rd_kafka_resp_err_t error) { return LastingPartitionError(error, "reading t-0").code(); };
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR__BAD_MSG), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR__BAD_COMPRESSION), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(RD_KAFKA_RESP_ERR_UNKNOWN), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tidemark::rdkafka
