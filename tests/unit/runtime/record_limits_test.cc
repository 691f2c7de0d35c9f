#include "src/runtime/record_limits.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/kafka/record_too_large.h"
#include "src/runtime/dead_letter.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

std::string RandomText(size_t bytes, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(' ' + random() % 90);
  return text;
}

class LimitsAdmin final : public SilentAdmin {
 public:
  absl::StatusOr<std::map<std::string, TopicLimits>> Limits(const std::vector<std::string>& topics) override {
    ++asked;
    std::map<std::string, TopicLimits> found;
    for (const std::string& topic : topics) {
      if (limits.count(topic) > 0) found[topic] = limits[topic];
    }
    return found;
  }

  std::map<std::string, TopicLimits> limits;
  int asked = 0;
};

class RecordLimitsTest : public ::testing::Test {
 protected:
  RecordLimitsTest() {
    plan_.application.name = "app";
    plan_.dead_letter_topic = "dead";
    plan_.sinks.resize(1);
    KafkaSinkSpec sink;
    sink.topic = "out";
    sink.compression = "zstd";
    plan_.sinks[0].spec = sink;
    admin_.limits = {{"out", {100'000, "producer"}}, {"dead", {kDefaultBatchBytes, "producer"}}};
  }
  std::optional<std::string> Why(const std::string& value, const RecordLimits& limits) {
    return WhyTooLarge({0, std::nullopt, value, nullptr}, "out", limits.Of("out"));
  }

  Plan plan_;
  LimitsAdmin admin_;
};

TEST_F(RecordLimitsTest, ARecordIsMeasuredAsTheTopicWouldGetIt) {
  RecordLimits limits(plan_);
  ASSERT_TRUE(limits.Read(admin_).ok());
  EXPECT_EQ(Why(RandomText(90'000), limits), std::nullopt);
  EXPECT_EQ(Why(std::string(2'000'000, 'x'), limits), std::nullopt) << "it compresses to next to nothing";
  const auto why = Why(RandomText(150'000), limits);
  ASSERT_TRUE(why);
  EXPECT_THAT(*why, HasSubstr("a record of 150101 bytes"));
  EXPECT_THAT(*why, HasSubstr("as zstd) is larger than topic out takes: max.message.bytes is 100000"));
}

TEST_F(RecordLimitsTest, WhatATopicKeepsUncompressedMustFitSo) {
  admin_.limits["out"].compression = "uncompressed";
  RecordLimits limits(plan_);
  ASSERT_TRUE(limits.Read(admin_).ok());
  EXPECT_TRUE(Why(std::string(100'001, 'x'), limits));
  EXPECT_FALSE(Why(std::string(99'000, 'x'), limits));
}

TEST_F(RecordLimitsTest, EveryCodecIsTriedAsTheClientUsesIt) {
  for (const char* codec : {"lz4", "snappy", "gzip", "zstd", "none"}) {
    std::get<KafkaSinkSpec>(plan_.sinks[0].spec).compression = codec;
    RecordLimits limits(plan_);
    ASSERT_TRUE(limits.Read(admin_).ok());
    EXPECT_EQ(Why(std::string(500'000, 'x'), limits).has_value(), codec == std::string("none")) << codec;
    EXPECT_TRUE(Why(RandomText(200'000), limits)) << codec;
  }
}

TEST_F(RecordLimitsTest, WhatTheClientDoesntTakeIsTooLargeHoweverItCompresses) {
  plan_.kafka.properties = {{"message.max.bytes", "50000"}};
  RecordLimits limits(plan_);
  ASSERT_TRUE(limits.Read(admin_).ok());
  const auto why = Why(std::string(60'000, 'x'), limits);
  ASSERT_TRUE(why);
  EXPECT_THAT(*why, HasSubstr("larger than the client takes: 50000"));
}

TEST_F(RecordLimitsTest, HeadersCount) {
  RecordLimits limits(plan_);
  ASSERT_TRUE(limits.Read(admin_).ok());
  const HeaderList headers = {{"h", RandomText(150'000)}};
  EXPECT_TRUE(WhyTooLarge({0, std::nullopt, "v", &headers}, "out", limits.Of("out")));
}

TEST_F(RecordLimitsTest, ATopicWhoseLimitMayNotBeReadTakesEverythingUntilItRefuses) {
  admin_.limits.erase("out");
  RecordLimits limits(plan_);
  ASSERT_TRUE(limits.Read(admin_).ok());
  EXPECT_FALSE(Why(RandomText(2'000'000), limits));
  const absl::Status refused = RecordTooLarge("out", "too large");
  EXPECT_TRUE(absl::IsUnknown(limits.Explain(refused, limits.version(), admin_))) << "the default is tried";
  EXPECT_TRUE(Why(RandomText(2'000'000), limits));
  const absl::Status again = limits.Explain(refused, limits.version(), admin_);
  EXPECT_TRUE(absl::IsInvalidArgument(again)) << again;
}

TEST_F(RecordLimitsTest, ALoweredLimitIsReadAndNotTwice) {
  RecordLimits limits(plan_);
  ASSERT_TRUE(limits.Read(admin_).ok());
  const int64_t version = limits.version();
  admin_.limits["out"].batch_bytes = 20'000;
  const absl::Status refused = RecordTooLarge("out", "writing a record of 30000 bytes to out-0: too large");
  EXPECT_TRUE(absl::IsUnknown(limits.Explain(refused, version, admin_)));
  EXPECT_TRUE(Why(RandomText(30'000), limits));
  const int asked = admin_.asked;
  EXPECT_TRUE(absl::IsUnknown(limits.Explain(refused, version, admin_))) << "of another thread";
  EXPECT_EQ(admin_.asked, asked);
  const absl::Status final = limits.Explain(refused, limits.version(), admin_);
  EXPECT_TRUE(absl::IsInvalidArgument(final));
  EXPECT_THAT(std::string(final.message()), HasSubstr("writing a record of 30000 bytes to out-0"));
  EXPECT_THAT(std::string(final.message()), HasSubstr("the topic's max.message.bytes is 20000: raise it"));
}

TEST_F(RecordLimitsTest, OtherErrorsPass) {
  RecordLimits limits(plan_);
  EXPECT_EQ(limits.Explain(absl::AbortedError("x"), 1, admin_), absl::AbortedError("x"));
  EXPECT_EQ(admin_.asked, 0);
}

TEST_F(RecordLimitsTest, ABatchOfSmallRecordsFitsTheSmallestTopic) {
  RecordLimits limits(plan_);
  EXPECT_EQ(limits.ProducerBatchBytes(), 1'000'000);
  ASSERT_TRUE(limits.Read(admin_).ok());
  EXPECT_LT(limits.ProducerBatchBytes(), 100'000);
  EXPECT_GT(limits.ProducerBatchBytes(), 90'000);
}

TEST_F(RecordLimitsTest, ABatchSizeOfTheUsersThatATopicWouldRefuseIsRefusedAtStart) {
  plan_.kafka.properties = {{"batch.size", "200000"}};
  RecordLimits limits(plan_);
  const absl::Status status = limits.Read(admin_);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("'batch.size' is 200000, but topic 'out' takes batches of 100000"));
}

TEST_F(RecordLimitsTest, ADeadLetterTopicForNextToNothingIsRefusedAtStart) {
  admin_.limits["dead"].batch_bytes = 1'000;
  RecordLimits limits(plan_);
  EXPECT_TRUE(absl::IsInvalidArgument(limits.Read(admin_)));
}

// Whatever goes wrong with whatever record, the dead letter fits its topic: what is drawn are sizes of all its parts.
TEST(DeadLettersProperty, ADeadLetterFitsItsTopic) {
  std::mt19937 random(7);
  const auto size = [&random](size_t most) { return random() % 3 == 0 ? random() % 20 : random() % most; };
  for (int i = 0; i < 60; ++i) {
    const int64_t limit = kLeastDeadLetterBytes + static_cast<int64_t>(random() % 1'200'000);
    FakeProducer producer;
    Transaction transaction(&producer, 1 << 20);
    DeadLetters letters("dead", 1, 0, &transaction, limit);
    const std::string key(size(1'000'000), 'k'), value(size(3'000'000), 'v'), reason(size(1'000'000), 'r');
    HeaderList headers;
    for (size_t h = random() % 50; h > 0; --h) {
      headers.emplace_back(std::string(size(2'000), 'h'), std::string(size(9'000), 'x'));
    }
    ASSERT_TRUE(letters.Record("step", {"in", 3}, {17, 1234, key, value}, headers, reason).ok());
    const Schema schema = PlaceSchema();
    const RowFailure failure{PlaceRows({{value, 1}}), 0, &schema, std::string(size(900'000), 'e'), reason};
    ASSERT_TRUE(letters.Row("step", {"in", 3}, failure, {}).ok());
    ASSERT_TRUE(letters.Text("step", {"in", 3}, value, reason).ok());
    const OutRecord record{0, key, value, nullptr};
    ASSERT_TRUE(letters.Refused("step", {"in", 3}, {record, reason, nullptr, 0}, {}).ok());
    ASSERT_EQ(producer.records.size(), 4u);
    for (const ProducedRecord& letter : producer.records) {
      const OutRecord written{0, letter.key, letter.value, &letter.headers};
      EXPECT_LE(BatchBytes(written, HeaderBytes(letter.headers)), limit);
      const size_t some = std::min(kCutDeadLetterBytes, static_cast<size_t>(limit) / 4);
      EXPECT_GE(letter.value->size(), std::min(value.size(), some)) << "enough of the value stands there";
    }
  }
}

TEST(DeadLettersProperty, AReasonIsCutBetweenCharacters) {
  FakeProducer producer;
  Transaction transaction(&producer, 1 << 20);
  DeadLetters letters("dead", 1, 0, &transaction);
  std::string reason = "x";
  while (reason.size() < 100'000) reason += "\u20ac";
  ASSERT_TRUE(letters.Text("step", {"in", 3}, "v", reason).ok());
  const std::string told = producer.records.front().Header("tidemark.reason");
  EXPECT_LT(told.size(), kMaxReasonBytes + 100);
  EXPECT_THAT(told, HasSubstr("\u20ac... (100000 bytes)"));
}

}  // namespace
}  // namespace tidemark
