#include "src/codec/packed_rows.h"

#include <numeric>
#include <random>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/builder.h>
#include <arrow/ipc/writer.h>
#include <arrow/table.h>
#include <gtest/gtest.h>

#include "src/codec/rows_reader.h"

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
  header.set_sequence(100);
  return header;
}

std::vector<int32_t> AllRows(const Batch& rows) {
  std::vector<int32_t> all(static_cast<size_t>(rows->num_rows()));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// The values of the records that carry a batch, or only a watermark.
std::vector<std::string> Pack(const Batch& rows) {
  std::vector<std::string> values;
  RowsPacker packer(rows->schema());
  EXPECT_TRUE(packer.Append(*rows, AllRows(rows)).ok());
  packer.Finish(Header(), &values);
  EXPECT_TRUE(packer.empty());
  return values;
}

// Unpacks all parts, checks their numbering and joins their rows.
Batch RoundTrip(const Batch& rows, size_t* parts) {
  const std::vector<std::string> values = Pack(rows);
  *parts = values.size();
  std::vector<Batch> pieces;
  for (size_t i = 0; i < values.size(); ++i) {
    absl::StatusOr<UnpackedRows> unpacked = RowsReader(rows->schema()).Read(values[i]);
    EXPECT_TRUE(unpacked.ok()) << unpacked.status();
    EXPECT_EQ(unpacked->header.part(), i);
    EXPECT_EQ(unpacked->header.last(), i + 1 == values.size());
    EXPECT_EQ(unpacked->header.commit(), 77u);
    EXPECT_EQ(unpacked->header.sequence(), 100 + i) << "each record has a number of its own";
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
  EXPECT_LT(Pack(rows)[0].size(), 400u);
  size_t parts = 0;
  EXPECT_TRUE(RoundTrip(rows, &parts)->Equals(*rows));
}

// Texts of 100 random letters.
Batch Letters(int64_t count) {
  std::mt19937 random(3);
  arrow::StringBuilder texts;
  for (int64_t i = 0; i < count; ++i) {
    std::string text(100, ' ');
    for (char& c : text) c = static_cast<char>('!' + random() % 90);
    EXPECT_TRUE(texts.Append(text).ok());
  }
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("s", arrow::utf8())}), count,
                                  {texts.Finish().ValueOrDie()});
}

TEST(PackedRows, ManyRowsAreSplitBelowTheTarget) {
  size_t parts = 0;
  const Batch rows = Letters(20'000);  // about 2 MB, which nothing makes smaller
  EXPECT_TRUE(RoundTrip(rows, &parts)->Equals(*rows));
  EXPECT_GE(parts, 5u);
  EXPECT_LE(parts, 7u);
}

TEST(PackedRows, ALateRowThatWidensEveryColumnDoesNotPassTheTarget) {
  arrow::Int64Builder numbers;
  for (int64_t i = 0; i < 16'000; ++i) ASSERT_TRUE(numbers.Append(i < 15'999 ? i % 2 : int64_t{1} << 62).ok());
  const auto column = numbers.Finish().ValueOrDie();
  arrow::FieldVector fields;
  for (int c = 0; c < 20; ++c) fields.push_back(arrow::field("n" + std::to_string(c), arrow::int64(), false));
  const Batch rows =
      arrow::RecordBatch::Make(arrow::schema(fields), column->length(), arrow::ArrayVector(fields.size(), column));
  size_t parts = 0;
  EXPECT_TRUE(RoundTrip(rows, &parts)->Equals(*rows));  // looks at the size of every part
}

TEST(PackedRows, TextsThatRepeatAreWrittenOnceARecord) {
  size_t parts = 0;
  const Batch rows = MakeRows(50'000, [](int64_t) { return size_t{100}; });  // 26 texts; 5.4 MB
  EXPECT_TRUE(RoundTrip(rows, &parts)->Equals(*rows));
  size_t bytes = 0;
  for (const std::string& value : Pack(rows)) bytes += value.size();
  EXPECT_LT(bytes, 50'000u * 4);
}

TEST(PackedRows, BatchesAndRowsOfThemComeInTheOrderTheyWereAppended) {
  RowsPacker packer(Small(1)->schema());
  EXPECT_TRUE(packer.empty());
  ASSERT_TRUE(packer.Append(*Small(20), std::vector<int32_t>{17, 2, 3}).ok());
  ASSERT_TRUE(packer.Append(*Small(5), std::vector<int32_t>{}).ok());
  ASSERT_TRUE(packer.Append(*Small(20)->Slice(10), std::vector<int32_t>{0}).ok());
  EXPECT_FALSE(packer.empty());
  std::vector<std::string> values;
  packer.Finish(Header(), &values);
  ASSERT_EQ(values.size(), 1u);
  const Batch rows = RowsReader(Small(1)->schema()).Read(values[0]).value().rows;
  ASSERT_EQ(rows->num_rows(), 4);
  const int64_t expected[] = {17, 2, 3, 10};
  for (int64_t i = 0; i < 4; ++i) EXPECT_TRUE(rows->Slice(i, 1)->Equals(*Small(20)->Slice(expected[i], 1)));
}

TEST(PackedRows, RowsOfAnEarlierVersionAreRead) {
  const Batch rows = Small(100);
  packed::RowsHeader header;
  ASSERT_TRUE(header.ParseFromString(Pack(rows)[0].substr(5, static_cast<uint8_t>(Pack(rows)[0][1]))));
  std::string value = Pack(rows)[0].substr(0, 5 + header.ByteSizeLong());
  value[0] = 1;
  value += arrow::ipc::SerializeRecordBatch(*rows, arrow::ipc::IpcWriteOptions::Defaults()).ValueOrDie()->ToString();
  EXPECT_TRUE(RowsReader(rows->schema()).Read(value).value().rows->Equals(*rows));
}

TEST(PackedRows, AFewLargeRowsAmongSmallOnesAreSplitToo) {
  size_t parts = 0;
  const Batch rows = MakeRows(2000, [](int64_t i) { return i % 500 == 0 ? size_t{1} << 20 : size_t{10}; });
  EXPECT_TRUE(RoundTrip(rows, &parts)->Equals(*rows));
}

TEST(PackedRows, ARowThatNoTopicCarriesIsRefused) {
  const Batch rows = MakeRows(1, [](int64_t) { return kMaxPackedRow; });
  RowsPacker packer(rows->schema());
  EXPECT_EQ(packer.Append(*rows, AllRows(rows)).code(), absl::StatusCode::kInvalidArgument);
  const Batch more = MakeRows(5, [](int64_t i) { return i % 2 == 0 ? kMaxPackedRow : size_t{10}; });
  const auto large = packer.TooLarge(*more->Slice(2, 3));
  ASSERT_EQ(large.size(), 2u);
  EXPECT_EQ(large[0].first, 0);
  EXPECT_EQ(large[1].first, 2);
  EXPECT_GT(large[1].second, kMaxPackedRow);
  EXPECT_TRUE(packer.TooLarge(*more->Slice(1, 1)).empty());
}

TEST(PackedRows, AWatermarkAloneIsOneRecord) {
  std::vector<std::string> values;
  RowsPacker(Small(1)->schema()).Finish(Header(), &values);
  ASSERT_EQ(values.size(), 1u);
  const UnpackedRows unpacked = RowsReader(Small(1)->schema()).Read(values[0]).value();
  EXPECT_EQ(unpacked.rows, nullptr);
  EXPECT_TRUE(unpacked.header.last());
  EXPECT_EQ(unpacked.header.watermark_us(), -5);
}

TEST(PackedRows, RowsOfAnotherSchemaAreRefused) {
  const std::vector<std::string> values = Pack(Small(3));
  const auto renamed = arrow::schema({arrow::field("m", arrow::int64(), false), arrow::field("s", arrow::utf8())});
  const auto retyped = arrow::schema({arrow::field("n", arrow::float64(), false), arrow::field("s", arrow::utf8())});
  EXPECT_EQ(RowsReader(renamed).Read(values[0]).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(RowsReader(retyped).Read(values[0]).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(PackedRows, DamageIsNoticedOrHarmless) {
  const Batch rows = Small(50);
  const std::vector<std::string> values = Pack(rows);
  for (size_t n = 0; n < values[0].size(); ++n) {
    EXPECT_FALSE(RowsReader(rows->schema()).Read(std::string_view(values[0]).substr(0, n)).ok()) << n;
  }
  EXPECT_EQ(RowsReader(rows->schema()).Read("").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(RowsReader(rows->schema()).Read(std::string("\x03\0\0\0\0", 5)).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(RowsReader(rows->schema()).Read(std::string("\x02\xff\xff\xff\xff", 5)).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(SplitByTarget, KeepsTheOrderWithinATarget) {
  std::mt19937 random(1);
  std::vector<int32_t> targets;
  for (int i = 0; i < 1000; ++i) targets.push_back(static_cast<int32_t>(random() % 5));
  RowsByTarget split;
  SplitByTarget(targets, 7, &split);
  EXPECT_TRUE(split.of(5).empty());
  EXPECT_TRUE(split.of(6).empty());
  for (int32_t t = 0; t < 5; ++t) {
    std::vector<int32_t> expected;
    for (int32_t i = 0; i < 1000; ++i) {
      if (targets[static_cast<size_t>(i)] == t) expected.push_back(i);
    }
    EXPECT_EQ(split.of(static_cast<size_t>(t)), expected);
  }
}

}  // namespace
}  // namespace tidemark
