// What a sink writes as JSON a source reads back as the same value: every type, over all of its range.
#include <algorithm>
#include <cstring>
#include <limits>
#include <random>

#include <arrow/api.h>
#include <arrow/array/diff.h>
#include <gtest/gtest.h>

#include "src/codec/row_encoder.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::Col;
using codec_test::FakeFetch;
using codec_test::Rec;

constexpr int kRows = 3'000;

// A number of any size, the ends of the range and what lies around them among them.
int64_t Any(std::mt19937_64* random, int64_t least, int64_t most) {
  switch ((*random)() % 6) {
    case 0:
      return least + static_cast<int64_t>((*random)() % 3);
    case 1:
      return most - static_cast<int64_t>((*random)() % 3);
    default: {
      const auto value = static_cast<int64_t>((*random)()) >> ((*random)() % 63);
      return std::clamp(value, least, most);
    }
  }
}

template <typename Builder, typename Draw>
std::shared_ptr<arrow::Array> Drawn(Builder builder, std::mt19937_64* random, Draw draw) {
  for (int i = 0; i < kRows; ++i) {
    EXPECT_TRUE(((*random)() % 10 == 0 ? builder.AppendNull() : builder.Append(draw())).ok());
  }
  return *builder.Finish();
}

std::shared_ptr<arrow::Array> Draw(const Type& type, std::mt19937_64* random) {
  using Limits32 = std::numeric_limits<int32_t>;
  using Limits64 = std::numeric_limits<int64_t>;
  const auto pool = arrow::default_memory_pool();
  switch (type.kind) {
    case Kind::kInt32:
      return Drawn(arrow::Int32Builder(), random,
                   [&] { return static_cast<int32_t>(Any(random, Limits32::min(), Limits32::max())); });
    case Kind::kDate:
      return Drawn(arrow::Date32Builder(), random,
                   [&] { return static_cast<int32_t>(Any(random, Limits32::min(), Limits32::max())); });
    case Kind::kInt64:
      return Drawn(arrow::Int64Builder(), random, [&] { return Any(random, Limits64::min(), Limits64::max()); });
    case Kind::kTimestamp: {
      // The form is the precision: what it can't hold isn't drawn.
      const int64_t unit = type.form == TimestampForm::kSeconds  ? 1'000'000
                           : type.form == TimestampForm::kMillis ? 1'000
                                                                 : 1;
      return Drawn(arrow::TimestampBuilder(ArrowType(type), pool), random,
                   [&] { return Any(random, Limits64::min() / unit, Limits64::max() / unit) * unit; });
    }
    case Kind::kDouble:
      return Drawn(arrow::DoubleBuilder(), random, [&]() -> double {
        switch ((*random)() % 5) {
          case 0:
            return std::numeric_limits<double>::infinity() * ((*random)() % 2 ? 1 : -1);
          case 1:
            return std::numeric_limits<double>::quiet_NaN();
          default: {
            const uint64_t bits = (*random)();
            double value = 0;
            std::memcpy(&value, &bits, 8);
            return value;
          }
        }
      });
    case Kind::kString:
      return Drawn(arrow::StringBuilder(), random, [&] {
        std::string text;
        for (uint64_t n = (*random)() % 20; n > 0; --n) {
          static constexpr const char* kPieces[] = {"a",      "\"",         "\\",   "\n",    "\x01",
                                                    "\u20ac", "\U0001F600", "\x7f", "\u2028"};
          text += kPieces[(*random)() % std::size(kPieces)];
        }
        return text;
      });
    case Kind::kBytes:
      return Drawn(arrow::BinaryBuilder(), random, [&] {
        std::string text;
        for (uint64_t n = (*random)() % 20; n > 0; --n) text += static_cast<char>((*random)());
        return text;
      });
    case Kind::kJson:
      return Drawn(arrow::StringBuilder(), random, [&]() -> std::string {
        static constexpr const char* kValues[] = {"{}",  "[1, [true, null]]", "{\"a\": {\"b\": \"\\u20ac \\\"\"}}",
                                                  "1e3", "\"text\"",          "false"};
        return kValues[(*random)() % std::size(kValues)];
      });
    case Kind::kBool:
      return Drawn(arrow::BooleanBuilder(), random, [&] { return (*random)() % 2 == 0; });
    case Kind::kDecimal:
      return Drawn(arrow::Decimal128Builder(ArrowType(type)), random,
                   [&] { return arrow::Decimal128(Any(random, -999'999'999'999, 999'999'999'999)); });
  }
  return nullptr;
}

TEST(RoundTrip, WhatASinkWritesASourceReadsAsTheSame) {
  std::mt19937_64 random(20);
  for (const char* name : {"int32", "int64", "double", "bool", "string", "bytes", "date", "decimal(12,3)", "timestamp",
                           "timestamp_s", "timestamp_ms", "timestamp_us", "json"}) {
    const SourceColumn column = Col(std::string("v ") + name + " null");
    const Schema schema({column.column});
    const auto drawn = Draw(column.column.type, &random);
    const Batch rows =
        arrow::RecordBatch::Make(BatchSchema(schema, HiddenSet().Without(Hidden::kTime)), kRows, {drawn});
    EncodedRecords encoded;
    RowEncoderOptions options;
    options.schema = schema;
    ASSERT_TRUE(RowEncoder::Make(options).value()->Encode(*rows, 1, 0, &encoded).ok());
    std::vector<Rec> records;
    for (const OutRecord& record : encoded.records) records.push_back({std::string(*record.value)});
    SourceTime time;
    const FakeFetch fetch(records);
    const auto read = SourceDecoder::Make(codec_test::PlanOf({column})).value()->Decode(fetch, 0, 1, &time);
    ASSERT_TRUE(read.ok()) << name;
    for (const DecodeError& error : read->errors) {
      FAIL() << name << ": " << *records[error.record].value << ": " << error.reason;
    }
    const auto& back = read->rows->column(0);
    ASSERT_TRUE(back->Equals(drawn, arrow::EqualOptions::Defaults().nans_equal(true).signed_zeros_equal(false)))
        << name << ": " << arrow::Diff(*drawn, *back).ValueOrDie()->ToString();
  }
}

}  // namespace
}  // namespace tidemark
