#include <random>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/initialize.h>
#include <arrow/scalar.h>
#include <arrow/util/decimal.h>
#include <gtest/gtest.h>

#include "src/base/batch.h"

namespace tidemark {
namespace {

using Array = std::shared_ptr<arrow::Array>;

// Texts and numbers at random, one in `nulls` null (0: none).
Array Random(const std::shared_ptr<arrow::DataType>& type, int64_t rows, unsigned nulls, std::mt19937* random) {
  const auto builder = arrow::MakeBuilder(type).ValueOrDie();
  for (int64_t i = 0; i < rows; ++i) {
    if (nulls > 0 && (*random)() % nulls == 0) {
      EXPECT_TRUE(builder->AppendNull().ok());
      continue;
    }
    std::string text((*random)() % 70, ' ');
    for (char& c : text) c = static_cast<char>('a' + (*random)() % 26);
    std::shared_ptr<arrow::Scalar> scalar;
    if (type->id() == arrow::Type::STRING) {
      scalar = arrow::MakeScalar(text);
    } else if (type->id() == arrow::Type::BINARY) {
      scalar = arrow::MakeScalar(type, arrow::Buffer::FromString(text)).ValueOrDie();
    } else if (type->id() == arrow::Type::BOOL) {
      scalar = arrow::MakeScalar((*random)() % 2 == 0);
    } else if (type->id() == arrow::Type::DECIMAL128) {
      scalar = arrow::MakeScalar(type, arrow::Decimal128((*random)() % 100)).ValueOrDie();
    } else {
      scalar = arrow::MakeScalar(static_cast<int64_t>((*random)() % 100))->CastTo(type).ValueOrDie();
    }
    EXPECT_TRUE(builder->AppendScalar(*scalar).ok());
  }
  return builder->Finish().ValueOrDie();
}

// Arrow's kernel is the oracle.
Array Expected(const Array& column, const std::vector<int32_t>& rows) {
  arrow::Int32Builder positions;
  for (const int32_t row : rows) EXPECT_TRUE((row < 0 ? positions.AppendNull() : positions.Append(row)).ok());
  return arrow::compute::Take(*column, *positions.Finish().ValueOrDie()).ValueOrDie();
}

class TakeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(arrow::compute::Initialize().ok()); }

  const std::vector<std::shared_ptr<arrow::DataType>> types_ = {
      arrow::boolean(), arrow::int8(),
      arrow::int32(),   arrow::date32(),
      arrow::int64(),   arrow::float64(),
      arrow::utf8(),    arrow::decimal128(30, 0),
      arrow::binary(),  arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")};
};

TEST_F(TakeTest, EveryTypeIsTakenAsArrowTakesIt) {
  std::mt19937 random(1);
  for (const auto& type : types_) {
    for (const unsigned nulls : {0u, 1u, 3u}) {
      // A slice, whose first cell isn't its buffers' first.
      const Array column = Random(type, 300, nulls, &random)->Slice(13, 250);
      for (const bool negative : {false, true}) {
        std::vector<int32_t> rows;
        for (int i = 0; i < 400; ++i) rows.push_back(static_cast<int32_t>(random() % 250));
        for (int i = 0; negative && i < 50; ++i) rows[random() % rows.size()] = -1;
        const auto taken = TakeCells(*column->data(), rows);
        ASSERT_TRUE(taken.ok()) << taken.status();
        EXPECT_TRUE((*taken)->ValidateFull().ok());
        EXPECT_TRUE((*taken)->Equals(*Expected(column, rows))) << type->ToString() << ", one null in " << nulls;
      }
    }
  }
}

TEST_F(TakeTest, NothingIsTakenFromNothing) {
  for (const auto& type : types_) {
    const Array empty = arrow::MakeArrayOfNull(type, 0).ValueOrDie();
    EXPECT_EQ(TakeCells(*empty->data(), {}).value()->length(), 0);
    EXPECT_EQ(TakeCells(*empty->data(), {-1, -1}).value()->null_count(), 2);
  }
}

TEST_F(TakeTest, MoreTextThanABatchHoldsIsRefused) {
  const Array column = arrow::MakeArrayFromScalar(*arrow::MakeScalar(std::string(1 << 20, 'x')), 1).ValueOrDie();
  EXPECT_EQ(TakeCells(*column->data(), std::vector<int32_t>(2048, 0)).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(TakeTest, RowsOfABatchKeepTheirSchema) {
  std::mt19937 random(2);
  const auto schema = arrow::schema({arrow::field("n", arrow::int64(), false), arrow::field("s", arrow::utf8())});
  const Batch batch = arrow::RecordBatch::Make(
      schema, 100, {Random(arrow::int64(), 100, 0, &random), Random(arrow::utf8(), 100, 4, &random)});
  const Batch taken = TakeRows(batch, std::vector<int32_t>{5, 99, 0});
  EXPECT_TRUE(taken->schema()->Equals(*schema));
  EXPECT_TRUE(taken->Slice(1, 1)->Equals(*batch->Slice(99, 1)));
  EXPECT_EQ(TakeRows(batch, std::vector<int32_t>{})->num_rows(), 0);
}

}  // namespace
}  // namespace tidemark
