#include "src/codec/packed_columns.h"

#include <limits>
#include <numeric>
#include <random>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <gtest/gtest.h>

#include "src/base/schema.h"
#include "src/codec/column_packer.h"

namespace tidemark {
namespace {

using Array = std::shared_ptr<arrow::Array>;

// The types that batches hold: those of columns, and int8 of the hidden column of operations.
std::vector<std::shared_ptr<arrow::DataType>> Types() {
  std::vector<std::shared_ptr<arrow::DataType>> types = {arrow::int8()};
  for (const char* name :
       {"bool", "int32", "int64", "double", "string", "bytes", "date", "decimal(30,4)", "timestamp"}) {
    types.push_back(ArrowType(*ParseType(name)));
  }
  return types;
}

std::string Packed(const Array& array) {
  std::vector<int32_t> all(static_cast<size_t>(array->length()));
  std::iota(all.begin(), all.end(), 0);
  ColumnPacker packer(*array->type());
  packer.Append(*array->data(), all);
  std::string bytes;
  packer.Finish(&bytes);
  return bytes;
}

Array Unpacked(const std::shared_ptr<arrow::DataType>& type, int64_t rows, std::string_view bytes) {
  auto array = UnpackColumn(type, rows, &bytes);
  EXPECT_TRUE(array.ok()) << array.status();
  EXPECT_TRUE(bytes.empty());
  EXPECT_TRUE((*array)->ValidateFull().ok()) << (*array)->ValidateFull();
  return *array;
}

Array Numbers(const std::vector<int64_t>& values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

Array Texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

// `distinct` values of a type at random, one in `nulls` null (0: none).
Array Random(const std::shared_ptr<arrow::DataType>& type, int64_t rows, int distinct, int nulls,
             std::mt19937* random) {
  std::vector<std::shared_ptr<arrow::Scalar>> values;
  for (int i = 0; i < distinct; ++i) {
    std::string text((*random)() % 60, 'x');
    for (char& c : text) c = static_cast<char>('a' + (*random)() % 26);
    const auto number = static_cast<int64_t>(uint64_t{(*random)()} << 32 | (*random)());
    values.push_back(type->id() == arrow::Type::STRING ? arrow::MakeScalar(text)
                     : type->id() == arrow::Type::BINARY
                         ? arrow::MakeScalar(arrow::binary(), arrow::Buffer::FromString(text)).ValueOrDie()
                     : type->id() == arrow::Type::BOOL ? arrow::MakeScalar(number % 2 == 0)
                     : type->id() == arrow::Type::DECIMAL128
                         ? arrow::MakeScalar(type, arrow::Decimal128(number)).ValueOrDie()
                     : type->id() == arrow::Type::INT8   ? arrow::MakeScalar(static_cast<int8_t>(number))
                     : type->id() == arrow::Type::DOUBLE ? arrow::MakeScalar(static_cast<double>(number) / 3)
                     : type->byte_width() == 4 ? arrow::MakeScalar(type, static_cast<int32_t>(number)).ValueOrDie()
                                               : arrow::MakeScalar(type, number).ValueOrDie());
  }
  const auto builder = arrow::MakeBuilder(type).ValueOrDie();
  for (int64_t i = 0; i < rows; ++i) {
    const bool null = nulls > 0 && (*random)() % static_cast<unsigned>(nulls) == 0;
    const auto& value = *values[(*random)() % values.size()];
    EXPECT_TRUE((null ? builder->AppendNull() : builder->AppendScalar(value)).ok());
  }
  return builder->Finish().ValueOrDie();
}

TEST(PackedColumns, EveryTypeComesBackEqual) {
  std::mt19937 random(5);
  for (const auto& type : Types()) {
    for (const int64_t rows : {1, 7, 8, 513, 3000}) {
      for (const int distinct : {1, 2, 300, 3000}) {
        for (const int nulls : {0, 1, 5}) {
          const Array array = Random(type, rows, distinct, nulls, &random);
          EXPECT_TRUE(Unpacked(type, rows, Packed(array))->Equals(*array))
              << type->ToString() << " " << rows << " rows, " << distinct << " values, one null in " << nulls;
        }
      }
    }
  }
}

TEST(PackedColumns, NumbersTakeTheBytesOfTheirRange) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min(), kMost = std::numeric_limits<int64_t>::max();
  const std::pair<std::vector<int64_t>, size_t> cases[] = {
      {{kMost, kMost}, 0},
      {{-3, 252}, 1},
      {{-3, 253}, 2},
      {{kLeast, kLeast + 65'535}, 2},
      {{kLeast, kLeast + 65'536}, 4},
      {{kMost - 0xFFFFFFFF, kMost}, 4},
      {{0, int64_t{1} << 32}, 8},
      {{kLeast, kMost, 0}, 8},
  };
  for (const auto& [values, width] : cases) {
    const Array array = Numbers(values);
    EXPECT_EQ(Packed(array).size(), 11 + values.size() * width);
    EXPECT_TRUE(Unpacked(arrow::int64(), array->length(), Packed(array))->Equals(*array));
  }
}

TEST(PackedColumns, WhatANullCellHoldsDoesNotWidenItsColumn) {
  arrow::Int64Builder builder;
  ASSERT_TRUE(builder.AppendValues({1000, int64_t{1} << 60, 1001}, std::vector<bool>{true, false, true}).ok());
  const Array array = builder.Finish().ValueOrDie();
  EXPECT_EQ(Packed(array).size(), 11u + 1 + 3);
  EXPECT_TRUE(Unpacked(arrow::int64(), 3, Packed(array))->Equals(*array));
}

TEST(PackedColumns, TextsThatDoNotRepeatAreCompressedWhereThatHelps) {
  std::vector<std::string> texts;
  for (int i = 0; i < 2000; ++i) texts.push_back("a text that begins like all the others, number " + std::to_string(i));
  const Array array = Texts(texts);
  EXPECT_LT(Packed(array).size(), 2000u * 20);
  EXPECT_TRUE(Unpacked(arrow::utf8(), 2000, Packed(array))->Equals(*array));
}

TEST(PackedColumns, TextsThatBeginToRepeatOnlyLaterComeBackToo) {
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back("text " + std::to_string(i < 1000 ? i : i % 10));
  const Array array = Texts(texts);
  EXPECT_TRUE(Unpacked(arrow::utf8(), 3000, Packed(array))->Equals(*array));
}

TEST(PackedColumns, APackerBeginsAnewAfterEveryColumn) {
  ColumnPacker packer(*arrow::utf8());
  std::mt19937 random(6);
  for (int round = 0; round < 5; ++round) {
    const Array array = Random(arrow::utf8(), 700, round % 2 == 0 ? 5 : 700, round == 1 ? 3 : 0, &random);
    std::vector<int32_t> all(700);
    std::iota(all.begin(), all.end(), 0);
    packer.Append(*array->data(), absl::MakeConstSpan(all).first(300));
    packer.Append(*array->data(), absl::MakeConstSpan(all).subspan(300));
    const size_t announced = packer.bytes();
    std::string bytes;
    packer.Finish(&bytes);
    EXPECT_LE(bytes.size(), announced);
    EXPECT_TRUE(Unpacked(arrow::utf8(), 700, bytes)->Equals(*array));
  }
}

// Whatever a byte is changed to: an error, or an array that can be looked at.
TEST(PackedColumns, DamageIsNoticedOrHarmless) {
  std::mt19937 random(7);
  for (const auto& type : Types()) {
    for (const int distinct : {1, 20, 600}) {
      const std::string good = Packed(Random(type, 600, distinct, 9, &random));
      for (int i = 0; i < 300; ++i) {
        std::string bad = good;
        // The front is where sizes and forms stand.
        const size_t at = i % 2 == 0 ? random() % std::min<size_t>(bad.size(), 120) : random() % bad.size();
        bad[at] = static_cast<char>(random());
        std::string_view bytes = i % 3 == 0 ? std::string_view(bad).substr(0, random() % bad.size()) : bad;
        const auto array = UnpackColumn(type, 600, &bytes);
        if (array.ok()) {
          EXPECT_TRUE((*array)->Validate().ok());
        }
      }
    }
  }
}

}  // namespace
}  // namespace tidemark
