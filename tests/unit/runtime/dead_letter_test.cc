#include "src/runtime/dead_letter.h"

#include <gtest/gtest.h>

#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

constexpr size_t kBrokersDefaultLimit = 1'000'000;

class DeadLettersTest : public ::testing::Test {
 protected:
  const ProducedRecord& Written() const {
    EXPECT_EQ(producer_.records.size(), 1u);
    return producer_.records.back();
  }
  absl::Status Record(Bytes key, Bytes value, HeaderList headers = {}) {
    return dead_letters_.Record("detections", {"in", 3}, {17, 1234, key, value}, std::move(headers), "not JSON");
  }

  FakeProducer producer_;
  Transaction transaction_{&producer_, 1 << 20};
  DeadLetters dead_letters_{"app-dead-letter", 2, 3, &transaction_};
};

TEST_F(DeadLettersTest, ARecordStandsThereAsItCameWithReasonAndPlace) {
  ASSERT_TRUE(Record("key", "{oops", {{"trace", "abc"}, {"empty", std::nullopt}}).ok());
  EXPECT_EQ(Written().topic, "app-dead-letter");
  EXPECT_EQ(Written().partition, 1) << "the task's partition, modulo the topic's count";
  EXPECT_EQ(Written().key, "key");
  EXPECT_EQ(Written().value, "{oops");
  EXPECT_EQ(Written().Header("tidemark.reason"), "not JSON");
  EXPECT_EQ(Written().Header("tidemark.step"), "detections");
  EXPECT_EQ(Written().Header("tidemark.source.topic"), "in");
  EXPECT_EQ(Written().Header("tidemark.source.partition"), "3");
  EXPECT_EQ(Written().Header("tidemark.source.offset"), "17");
  EXPECT_EQ(Written().Header("tidemark.source.timestamp"), "1234");
  EXPECT_EQ(Written().Header("trace"), "abc");
  EXPECT_EQ(Written().Header("empty"), "(null)");
  EXPECT_EQ(dead_letters_.written(), 1);
}

TEST_F(DeadLettersTest, AbsentKeyAndValueStayAbsent) {
  ASSERT_TRUE(Record(std::nullopt, std::nullopt).ok());
  EXPECT_EQ(Written().key, std::nullopt);
  EXPECT_EQ(Written().value, std::nullopt);
}

TEST_F(DeadLettersTest, AValueAtTheBoundIsWhole) {
  const std::string value(kMaxDeadLetterBytes, 'v');
  ASSERT_TRUE(Record("k", value).ok());
  EXPECT_EQ(Written().value, value);
  EXPECT_EQ(Written().Header("tidemark.original.value.size"), "(none)");
}

TEST_F(DeadLettersTest, ALargerValueIsCutAndItsSizeAndHashAreTold) {
  const std::string value(kMaxDeadLetterBytes + 1, 'v');
  ASSERT_TRUE(Record("k", value).ok());
  EXPECT_EQ(Written().value, value.substr(0, kCutDeadLetterBytes));
  EXPECT_EQ(Written().Header("tidemark.original.value.size"), std::to_string(value.size()));
  EXPECT_EQ(Written().Header("tidemark.original.value.xxh3").size(), 16u);
  EXPECT_EQ(Written().key, "k");
}

TEST_F(DeadLettersTest, ALargeKeyIsCutToo) {
  const std::string key(kMaxDeadLetterBytes + 1, 'k');
  ASSERT_TRUE(Record(key, "v").ok());
  EXPECT_EQ(Written().key->size(), kCutDeadLetterBytes);
  EXPECT_EQ(Written().Header("tidemark.original.key.size"), std::to_string(key.size()));
}

TEST_F(DeadLettersTest, WhateverComesTheDeadLetterFitsTheBrokersDefaultLimit) {
  const std::string large(kMaxDeadLetterBytes, 'x');
  ASSERT_TRUE(Record(large, large, {{"h", std::string(kCutDeadLetterBytes, 'h')}}).ok());
  size_t bytes = Written().key->size() + Written().value->size();
  for (const auto& [name, value] : Written().headers) bytes += name.size() + value.value_or("").size();
  EXPECT_LT(bytes, kBrokersDefaultLimit);
}

TEST_F(DeadLettersTest, ARowIsWrittenAsJsonWithTheExpressionThatFailed) {
  const Schema schema = PlaceSchema();
  const RowFailure failure{PlaceRows({{"a", 1}, {"b", 0}}), 1, &schema, "1 / n", "division by zero"};
  ASSERT_TRUE(dead_letters_.Row("ratio", {"in", 3}, failure, {}).ok());
  EXPECT_EQ(Written().key, std::nullopt);
  EXPECT_EQ(Written().value, R"({"place":"b","n":0})");
  EXPECT_EQ(Written().Header("tidemark.step"), "ratio");
  EXPECT_EQ(Written().Header("tidemark.expression"), "1 / n");
  EXPECT_EQ(Written().Header("tidemark.reason"), "division by zero");
  EXPECT_EQ(Written().Header("tidemark.source.offset"), "(none)") << "the row doesn't carry one";
}

// PlaceRows with the hidden columns given, in the order of the enum.
Batch WithHidden(const Batch& rows, const std::vector<std::pair<Hidden, int64_t>>& hidden) {
  Batch out = rows;
  for (const auto& [column, value] : hidden) {
    const auto field = HiddenField(column);
    const auto scalar = arrow::MakeScalar(field->type(), value).ValueOrDie();
    out = out->AddColumn(out->num_columns(), field, *arrow::MakeArrayFromScalar(*scalar, out->num_rows())).ValueOrDie();
  }
  return out;
}

TEST_F(DeadLettersTest, ARowThatCarriesItsOffsetNamesTheRecordItCameFrom) {
  const Schema schema = PlaceSchema();
  const Batch rows = WithHidden(PlaceRows({{"a", 1}}), {{Hidden::kOffset, 17}});
  ASSERT_TRUE(dead_letters_.Row("ratio", {"in", 3}, {rows, 0, &schema, "1 / n", "no"}, {}).ok());
  EXPECT_EQ(Written().Header("tidemark.source.topic"), "in");
  EXPECT_EQ(Written().Header("tidemark.source.partition"), "3");
  EXPECT_EQ(Written().Header("tidemark.source.offset"), "17");
}

TEST_F(DeadLettersTest, ARowThatCarriesItsSourceNamesThatTopicWhateverTheTaskReads) {
  std::vector<SourcePlan> sources(2);
  sources[0].topic = "left";
  sources[1].topic = "right";
  sources[1].order = 77;  // a number, not a place
  const Schema schema = PlaceSchema();
  const Batch rows =
      WithHidden(PlaceRows({{"a", 1}}), {{Hidden::kSource, 77}, {Hidden::kPartition, 5}, {Hidden::kOffset, 17}});
  ASSERT_TRUE(
      dead_letters_.Row("ratio", {"app.ratio.repartition", 3}, {rows, 0, &schema, "1 / n", "no"}, sources).ok());
  EXPECT_EQ(Written().Header("tidemark.source.topic"), "right");
  EXPECT_EQ(Written().Header("tidemark.source.partition"), "5");
  EXPECT_EQ(Written().Header("tidemark.source.offset"), "17");
}

TEST_F(DeadLettersTest, ARowOfASourceThatIsNoLongerThereClaimsNoOffset) {
  const Schema schema = PlaceSchema();
  const Batch rows =
      WithHidden(PlaceRows({{"a", 1}}), {{Hidden::kSource, 2}, {Hidden::kPartition, 5}, {Hidden::kOffset, 17}});
  ASSERT_TRUE(
      dead_letters_
          .Row("ratio", {"app.ratio.repartition", 3}, {rows, 0, &schema, "1 / n", "no"}, std::vector<SourcePlan>(1))
          .ok());
  EXPECT_EQ(Written().Header("tidemark.source.topic"), "app.ratio.repartition");
  EXPECT_EQ(Written().Header("tidemark.source.offset"), "(none)");
}

TEST_F(DeadLettersTest, AResultThatCameFromNoRecordClaimsNoOffset) {
  const Schema schema = PlaceSchema();
  const Batch rows = WithHidden(PlaceRows({{"a", 1}}), {{Hidden::kSource, 0}, {Hidden::kOffset, -1}});
  ASSERT_TRUE(dead_letters_.Row("ratio", {"in", 3}, {rows, 0, &schema, "1 / n", "no"}, {}).ok());
  EXPECT_EQ(Written().Header("tidemark.source.topic"), "in");
  EXPECT_EQ(Written().Header("tidemark.source.offset"), "(none)");
}

}  // namespace
}  // namespace tidemark
