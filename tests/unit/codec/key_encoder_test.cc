#include "src/codec/key_encoder.h"

#include <cmath>
#include <limits>
#include <optional>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using Batch = std::shared_ptr<arrow::RecordBatch>;

template <typename Builder, typename T>
std::shared_ptr<arrow::Array> Array(Builder builder, const std::vector<std::optional<T>>& values) {
  for (const auto& v : values) EXPECT_TRUE((v ? builder.Append(*v) : builder.AppendNull()).ok());
  return builder.Finish().ValueOrDie();
}

Batch Rows(const arrow::ArrayVector& arrays) {
  arrow::FieldVector fields;
  for (const auto& array : arrays) fields.push_back(arrow::field("c", array->type()));
  return arrow::RecordBatch::Make(arrow::schema(fields), arrays[0]->length(), arrays);
}

std::vector<std::string> Keys(const Batch& batch, const std::vector<size_t>& columns) {
  EncodedKeys keys;
  EXPECT_TRUE(EncodeKeys(*batch, columns, &keys).ok());
  std::vector<std::string> out;
  for (size_t i = 0; i < keys.size(); ++i) out.emplace_back(keys[i]);
  return out;
}

std::vector<uint64_t> Hashes(const Batch& batch, const std::vector<size_t>& columns) {
  std::vector<uint64_t> hashes;
  EXPECT_TRUE(HashKeys(*batch, columns, &hashes).ok());
  return hashes;
}

// The rows are given in ascending order.
void ExpectAscending(const Batch& batch, const std::vector<size_t>& columns) {
  const std::vector<std::string> keys = Keys(batch, columns);
  for (size_t i = 1; i < keys.size(); ++i) EXPECT_LT(keys[i - 1], keys[i]) << "row " << i;
}

std::shared_ptr<arrow::Array> Ints(const std::vector<std::optional<int64_t>>& v) {
  return Array(arrow::Int64Builder(), v);
}
std::shared_ptr<arrow::Array> Strings(const std::vector<std::optional<std::string>>& v) {
  return Array(arrow::StringBuilder(), v);
}

TEST(KeyEncoder, BytewiseOrderIsTheOrderOfValues) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  ExpectAscending(Rows({Ints({std::nullopt, INT64_MIN, -1, 0, 1, 256, INT64_MAX})}), {0});
  ExpectAscending(Rows({Array<arrow::DoubleBuilder, double>(
                      arrow::DoubleBuilder(), {std::nullopt, -inf, -1e300, -1, -5e-324, 0, 5e-324, 1, inf, nan})}),
                  {0});
  ExpectAscending(Rows({Array<arrow::BooleanBuilder, bool>(arrow::BooleanBuilder(), {std::nullopt, false, true})}),
                  {0});
  ExpectAscending(
      Rows({Strings({std::nullopt, "", std::string(1, '\0'), std::string("\0\0", 2), std::string("\0a", 2), "\x01", "a",
                     std::string("a\0", 2), std::string("a\0b", 3), "a\x01", "aa", "b", "\xff"})}),
      {0});
  const arrow::Decimal128 low(-1, 0), high(1, 0);
  ExpectAscending(Rows({Array<arrow::Decimal128Builder, arrow::Decimal128>(
                      arrow::Decimal128Builder(arrow::decimal128(38, 2)),
                      {std::nullopt, low, arrow::Decimal128(-1), arrow::Decimal128(0), arrow::Decimal128(5), high})}),
                  {0});
}

TEST(KeyEncoder, TuplesCompareColumnByColumn) {
  ExpectAscending(Rows({Strings({std::nullopt, "a", "a", "a", "ab", "b"}), Ints({9, std::nullopt, 1, 2, 0, -5})}),
                  {0, 1});
}

TEST(KeyEncoder, TuplesOfDifferentColumnsNeverRunTogether) {
  const auto keys = Keys(Rows({Strings({"a", "ab", ""}), Strings({"bc", "c", "abc"})}), {0, 1});
  EXPECT_NE(keys[0], keys[1]);
  EXPECT_NE(keys[0], keys[2]);
}

TEST(KeyEncoder, EqualValuesHaveEqualBytes) {
  const auto doubles = Keys(
      Rows({Array<arrow::DoubleBuilder, double>(arrow::DoubleBuilder(), {0.0, -0.0, std::nan("1"), -std::nan("2")})}),
      {0});
  EXPECT_EQ(doubles[0], doubles[1]);
  EXPECT_EQ(doubles[2], doubles[3]);
  const auto narrow = Rows({Array<arrow::Int32Builder, int32_t>(arrow::Int32Builder(), {std::nullopt, -5, 7})});
  const auto wide = Rows({Ints({std::nullopt, -5, 7})});
  EXPECT_EQ(Keys(narrow, {0}), Keys(wide, {0}));
  EXPECT_EQ(Hashes(narrow, {0}), Hashes(wide, {0}));
}

TEST(KeyEncoder, TheBytesAreFixed) {
  const auto keys = Keys(Rows({Ints({1, std::nullopt}), Strings({std::string("x\0", 2), "y"})}), {0, 1});
  EXPECT_EQ(keys[0], std::string("\x01\x80\0\0\0\0\0\0\x01\x01x\0\xff\0\0", 15));
  EXPECT_EQ(keys[1], std::string("\0\x01y\0\0", 5));
}

TEST(KeyEncoder, HashesAreFixedForEver) {
  EXPECT_EQ(Hashes(Rows({Ints({1})}), {0})[0], 0x2fbc593564db792e);
  EXPECT_EQ(Hashes(Rows({Strings({"a"})}), {0})[0], 0x8961e9b7059597d7);
}

TEST(KeyEncoder, SlicesAndNoRowsAtAll) {
  const Batch batch =
      Rows({Ints({std::nullopt, 1, std::nullopt, 3}), Strings({"a", "b", "c", "d"}),
            Array<arrow::BooleanBuilder, bool>(arrow::BooleanBuilder(), {true, false, std::nullopt, true})});
  const auto whole = Keys(batch, {0, 1, 2});
  EXPECT_EQ(Keys(batch->Slice(2), {0, 1, 2}), (std::vector<std::string>{whole[2], whole[3]}));
  EXPECT_EQ(Hashes(batch->Slice(2), {0})[0], Hashes(batch, {0})[2]);
  EXPECT_TRUE(Keys(batch->Slice(4), {0}).empty());
  EXPECT_TRUE(Hashes(batch->Slice(4), {0, 1}).empty());
}

}  // namespace
}  // namespace tidemark
