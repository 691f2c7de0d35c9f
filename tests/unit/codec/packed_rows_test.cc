#include "src/codec/packed_rows.h"

#include <random>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/initialize.h>
#include <arrow/table.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

// Row i: the number `first` + i, and a text of `size(i)` bytes, null at every seventh row.
template <typename Size>
Batch MakeRows(int64_t count, Size size, int64_t first = 0) {
  arrow::Int64Builder numbers;
  arrow::StringBuilder texts;
  for (int64_t i = 0; i < count; ++i) {
    EXPECT_TRUE(numbers.Append(first + i).ok());
    const std::string text(size(i), static_cast<char>('a' + i % 26));
    EXPECT_TRUE((i % 7 == 3 ? texts.AppendNull() : texts.Append(text)).ok());
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("n", arrow::int64(), false), arrow::field("s", arrow::utf8())}), count,
      {numbers.Finish().ValueOrDie(), texts.Finish().ValueOrDie()});
}

Batch Small(int64_t count) {
  return MakeRows(count, [](int64_t) { return size_t{10}; });
}

packed::RowsHeader Header() {
  packed::RowsHeader header;
  header.set_upstream_partition(3);
  header.set_upstream_count(8);
  header.set_watermark_us(-5);
  header.set_commit(77);
  return header;
}

// Unpacks all parts, checks their numbering and joins their rows.
Batch RoundTrip(const Batch& rows, size_t* parts) {
  std::vector<std::string> values;
  EXPECT_TRUE(PackRows(Header(), rows, &values).ok());
  *parts = values.size();
  std::vector<Batch> pieces;
  for (size_t i = 0; i < values.size(); ++i) {
    absl::StatusOr<UnpackedRows> unpacked = UnpackRows(values[i], rows->schema());
    EXPECT_TRUE(unpacked.ok()) << unpacked.status();
    EXPECT_EQ(unpacked->header.part(), i);
    EXPECT_EQ(unpacked->header.last(), i + 1 == values.size());
    EXPECT_EQ(unpacked->header.commit(), 77u);
    EXPECT_EQ(unpacked->header.watermark_us(), -5);
    EXPECT_TRUE(unpacked->rows->ValidateFull().ok());
    if (unpacked->rows->num_rows() > 1) {
      EXPECT_LT(values[i].size(), kPackedTargetBytes);
    }
    pieces.push_back(unpacked->rows);
  }
  return arrow::Table::FromRecordBatches(pieces).ValueOrDie()->CombineChunksToBatch().ValueOrDie();
}

TEST(PackedRows, ComeBackEqual) {
  size_t parts = 0;
  for (const int64_t count : {1, 2, 8, 1000}) {
    const Batch rows = Small(count);
    EXPECT_TRUE(RoundTrip(rows, &parts)->Equals(*rows));
    EXPECT_EQ(parts, 1u);
  }
}

TEST(PackedRows, ASliceCarriesOnlyItself) {
  const Batch rows = Small(100'000)->Slice(777, 13);
  std::vector<std::string> values;
  ASSERT_TRUE(PackRows(Header(), rows, &values).ok());
  EXPECT_LT(values[0].size(), 1500u);
  size_t parts = 0;
  EXPECT_TRUE(RoundTrip(rows, &parts)->Equals(*rows));
}

TEST(PackedRows, ManyRowsAreSplitBelowTheTarget) {
  size_t parts = 0;
  const Batch rows = MakeRows(20'000, [](int64_t) { return size_t{100}; });  // about 2.2 MB
  EXPECT_TRUE(RoundTrip(rows, &parts)->Equals(*rows));
  EXPECT_GE(parts, 5u);
  EXPECT_LE(parts, 7u);
}

TEST(PackedRows, AFewLargeRowsAmongSmallOnesAreSplitToo) {
  size_t parts = 0;
  const Batch rows = MakeRows(2000, [](int64_t i) { return i % 500 == 0 ? size_t{1} << 20 : size_t{10}; });
  EXPECT_TRUE(RoundTrip(rows, &parts)->Equals(*rows));
}

TEST(PackedRows, ARowThatNoTopicCarriesIsRefused) {
  std::vector<std::string> values;
  const Batch rows = MakeRows(1, [](int64_t) { return kMaxPackedRow; });
  EXPECT_EQ(PackRows(Header(), rows, &values).code(), absl::StatusCode::kInvalidArgument);
}

TEST(PackedRows, AWatermarkAloneIsOneRecord) {
  std::vector<std::string> values;
  ASSERT_TRUE(PackRows(Header(), nullptr, &values).ok());
  ASSERT_EQ(values.size(), 1u);
  const UnpackedRows unpacked = UnpackRows(values[0], Small(1)->schema()).value();
  EXPECT_EQ(unpacked.rows, nullptr);
  EXPECT_TRUE(unpacked.header.last());
  EXPECT_EQ(unpacked.header.watermark_us(), -5);
}

TEST(PackedRows, RowsOfAnotherSchemaAreRefused) {
  std::vector<std::string> values;
  ASSERT_TRUE(PackRows(Header(), Small(3), &values).ok());
  const auto renamed = arrow::schema({arrow::field("m", arrow::int64(), false), arrow::field("s", arrow::utf8())});
  const auto retyped = arrow::schema({arrow::field("n", arrow::float64(), false), arrow::field("s", arrow::utf8())});
  EXPECT_EQ(UnpackRows(values[0], renamed).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(UnpackRows(values[0], retyped).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(PackedRows, DamageIsNoticedOrHarmless) {
  const Batch rows = Small(50);
  std::vector<std::string> values;
  ASSERT_TRUE(PackRows(Header(), rows, &values).ok());
  for (size_t n = 0; n < values[0].size(); ++n) {
    EXPECT_FALSE(UnpackRows(std::string_view(values[0]).substr(0, n), rows->schema()).ok()) << n;
  }
  EXPECT_EQ(UnpackRows("", rows->schema()).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(UnpackRows(std::string("\x02\0\0\0\0", 5), rows->schema()).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(UnpackRows(std::string("\x01\xff\xff\xff\xff", 5), rows->schema()).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(SplitByTarget, KeepsTheOrderWithinATarget) {
  ASSERT_TRUE(arrow::compute::Initialize().ok());
  const Batch rows = Small(1000);
  std::mt19937 random(1);
  std::vector<int32_t> targets;
  for (int i = 0; i < 1000; ++i) targets.push_back(static_cast<int32_t>(random() % 5));
  const std::vector<Batch> split = SplitByTarget(rows, targets, 7);
  ASSERT_EQ(split.size(), 7u);
  EXPECT_EQ(split[5], nullptr);
  EXPECT_EQ(split[6], nullptr);
  for (int32_t t = 0; t < 5; ++t) {
    int64_t next = 0;
    for (int64_t i = 0; i < 1000; ++i) {
      if (targets[static_cast<size_t>(i)] != t) continue;
      EXPECT_TRUE(split[static_cast<size_t>(t)]->Slice(next++, 1)->Equals(*rows->Slice(i, 1)));
    }
    EXPECT_EQ(split[static_cast<size_t>(t)]->num_rows(), next);
  }
}

TEST(SplitByTarget, OneTargetTakesTheBatchAsItIs) {
  const Batch rows = Small(10);
  const std::vector<Batch> split = SplitByTarget(rows, std::vector<int32_t>(10, 2), 3);
  EXPECT_EQ(split[2], rows);
  EXPECT_EQ(split[0], nullptr);
}

}  // namespace
}  // namespace tidemark
