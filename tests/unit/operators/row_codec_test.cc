#include "src/codec/row_codec.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

const Schema kSchema = Columns("a int64 null, s string null, d double null, i int32 null");

std::vector<TestRow> Samples() {
  const std::vector<Cell> ints = {Cell(), int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min(),
                                  std::numeric_limits<int64_t>::max()};
  const std::vector<Cell> strings = {Cell(),
                                     std::string(),
                                     std::string("a"),
                                     std::string("\0", 1),
                                     std::string("a\0b", 3),
                                     std::string("a\0", 2),
                                     std::string("a\0\0", 3)};
  const std::vector<Cell> doubles = {Cell(), 0.0, -1.5, 1e300, -std::numeric_limits<double>::infinity()};
  std::vector<TestRow> rows;
  for (const Cell& i : ints) {
    for (const Cell& s : strings) {
      for (const Cell& d : doubles) rows.push_back({{i, s, d, int64_t{-7}}});
    }
  }
  return rows;
}

TEST(RowCodec, DecodingGivesTheRowsBack) {
  const std::vector<TestRow> rows = Samples();
  const RowCodec codec = RowCodec::Rows(kSchema);
  EncodedKeys bytes;
  ASSERT_TRUE(codec.Encode(*ToBatch(kSchema, HiddenSet(), rows), &bytes).ok());
  std::vector<std::string_view> views;
  for (size_t i = 0; i < bytes.size(); ++i) views.push_back(bytes[i]);
  std::vector<std::shared_ptr<arrow::Array>> columns;
  ASSERT_TRUE(codec.Decode(views, &columns).ok());
  const auto batch = arrow::RecordBatch::Make(BatchSchema(kSchema, HiddenSet())->RemoveField(4).ValueOrDie(),
                                              static_cast<int64_t>(rows.size()), columns);
  ASSERT_TRUE(batch->ValidateFull().ok());
  for (int c = 0; c < 4; ++c) {
    EXPECT_TRUE(batch->column(c)->Equals(ToBatch(kSchema, HiddenSet(), rows)->column(c)));
  }
}

// NULL after everything, as PostgreSQL sorts.
int CompareCells(const Cell& a, const Cell& b) {
  if (a.index() == 0 || b.index() == 0) return static_cast<int>(a.index() == 0) - static_cast<int>(b.index() == 0);
  return a < b ? -1 : b < a ? 1 : 0;
}

TEST(RowCodec, BytesSortLikeRowsAscendingAndDescending) {
  const std::vector<TestRow> rows = Samples();
  const RowCodec codec =
      RowCodec::Key({{0, kSchema[0].type, true}, {1, kSchema[1].type, false}, {2, kSchema[2].type, true}});
  EncodedKeys bytes;
  ASSERT_TRUE(codec.Encode(*ToBatch(kSchema, HiddenSet(), rows), &bytes).ok());
  for (size_t x = 0; x < rows.size(); ++x) {
    for (size_t y = 0; y < rows.size(); ++y) {
      int expected = -CompareCells(rows[x].cells[0], rows[y].cells[0]);
      if (expected == 0) expected = CompareCells(rows[x].cells[1], rows[y].cells[1]);
      if (expected == 0) expected = -CompareCells(rows[x].cells[2], rows[y].cells[2]);
      const int found = bytes[x].compare(bytes[y]);
      ASSERT_EQ((found > 0) - (found < 0), expected) << ToString(rows[x]) << " and " << ToString(rows[y]);
    }
  }
}

TEST(RowCodec, KeysThatAreEqualInSqlHaveEqualBytes) {
  const Schema schema = Columns("d double");
  EncodedKeys bytes;
  ASSERT_TRUE(RowCodec::Key(schema, {0})
                  .Encode(*ToBatch(schema, HiddenSet(),
                                   {{{0.0}}, {{-0.0}}, {{std::nan("1")}}, {{-std::nan("2")}}, {{INFINITY}}}),
                          &bytes)
                  .ok());
  EXPECT_EQ(bytes[0], bytes[1]);
  EXPECT_EQ(bytes[2], bytes[3]);
  EXPECT_LT(bytes[4], bytes[2]);
}

TEST(RowCodec, TruncatedBytesAreRefused) {
  const RowCodec codec = RowCodec::Rows(kSchema);
  EncodedKeys bytes;
  ASSERT_TRUE(codec.Encode(*ToBatch(kSchema, HiddenSet(), {Samples()[60]}), &bytes).ok());
  for (size_t size = 0; size < bytes[0].size(); ++size) {
    std::vector<std::shared_ptr<arrow::Array>> columns;
    EXPECT_FALSE(codec.Decode({bytes[0].substr(0, size)}, &columns).ok()) << size;
  }
}

}  // namespace
}  // namespace tidemark
