#include "src/codec/rows_reader.h"

#include <numeric>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const auto kNumber = arrow::field("n", arrow::int64(), false);
const auto kText = arrow::field("s", arrow::utf8(), true);
const auto kAdded = arrow::field("carrier", arrow::utf8(), true);

std::shared_ptr<arrow::Schema> Before() { return arrow::schema({kNumber, kText}); }

Batch Rows() {
  arrow::Int64Builder numbers;
  arrow::StringBuilder texts;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(numbers.Append(i).ok());
    EXPECT_TRUE(texts.Append(std::string(1, static_cast<char>('a' + i))).ok());
  }
  return arrow::RecordBatch::Make(Before(), 3, {numbers.Finish().ValueOrDie(), texts.Finish().ValueOrDie()});
}

// A record of these rows; `naming`: it names their schema.
std::string Record(const Batch& rows, bool naming) {
  std::vector<int32_t> all(static_cast<size_t>(rows->num_rows()));
  std::iota(all.begin(), all.end(), 0);
  RowsPacker packer(rows->schema());
  EXPECT_TRUE(packer.Append(*rows, all).ok());
  packed::RowsHeader header;
  if (naming) *header.mutable_schema() = PackSchema(*rows->schema());
  std::vector<std::string> values;
  packer.Finish(header, &values);
  return values.at(0);
}

std::string Refusal(const std::shared_ptr<arrow::Schema>& now) {
  RowsReader reader(now);
  const auto read = reader.Read(Record(Rows(), true));
  EXPECT_TRUE(absl::IsFailedPrecondition(read.status())) << read.status();
  return std::string(read.status().message());
}

TEST(RowsReaderTest, ColumnsThatWereAddedAreNullAndRemovedOnesAreLeftOut) {
  RowsReader reader(arrow::schema({kAdded, kNumber}));
  const Batch rows = reader.Read(Record(Rows(), true)).value().rows;
  EXPECT_EQ(rows->schema()->field_names(), (std::vector<std::string>{"carrier", "n"}));
  EXPECT_EQ(rows->column(0)->null_count(), 3);
  EXPECT_TRUE(rows->column(1)->Equals(Rows()->column(0)));
  EXPECT_TRUE(rows->ValidateFull().ok());
}

TEST(RowsReaderTest, ASchemaIsNamedOnceAndRememberedWithThePosition) {
  RowsReader reader(Before());
  ASSERT_TRUE(reader.Read(Record(Rows(), true)).ok());
  RowsReader later(arrow::schema({kNumber, kText, kAdded}));
  for (const packed::PackedSchema& named : reader.named()) later.Learn(named);
  const auto read = later.Read(Record(Rows(), false));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->rows->num_columns(), 3);
  EXPECT_EQ(later.Read(Record(Rows(), false))->rows->num_rows(), 3) << "again, by what was made for the first";
}

TEST(RowsReaderTest, BothVersionsReadEachOthersRows) {
  arrow::ArrayVector columns = Rows()->columns();
  columns.push_back(columns[1]);
  const Batch after = arrow::RecordBatch::Make(arrow::schema({kNumber, kText, kAdded}), 3, columns);
  RowsReader former(Before());
  EXPECT_TRUE(former.Read(Record(after, true))->rows->Equals(*Rows()));
  EXPECT_TRUE(former.Read(Record(Rows(), false))->rows->Equals(*Rows()));
}

TEST(RowsReaderTest, ATypeThatHoldsAllValuesOfAnotherTakesThem) {
  const auto before = arrow::schema({arrow::field("n", arrow::int32()), arrow::field("d", arrow::decimal128(8, 2))});
  const auto after = arrow::schema({arrow::field("n", arrow::int64()), arrow::field("d", arrow::decimal128(20, 2))});
  arrow::Int32Builder numbers;
  ASSERT_TRUE(numbers.AppendValues({-2'147'483'647 - 1, 0, 2'147'483'647}, {true, false, true}).ok());
  arrow::Decimal128Builder decimals(arrow::decimal128(8, 2));
  for (const char* text : {"-999999.99", "0.00", "123.45"}) {
    ASSERT_TRUE(decimals.Append(*arrow::Decimal128::FromString(text)).ok());
  }
  const Batch rows = arrow::RecordBatch::Make(before, 3, {*numbers.Finish(), *decimals.Finish()})->Slice(0, 3);
  const auto change = SchemaChange::Make(*before, after);
  ASSERT_TRUE(change.ok()) << change.status();
  for (const int64_t from : {0, 1}) {  // also of a slice
    const Batch wide = *change->Apply(rows->Slice(from));
    ASSERT_TRUE(wide->ValidateFull().ok());
    EXPECT_EQ(wide->schema(), after);
    for (int64_t row = 0; row < wide->num_rows(); ++row) {
      for (int c = 0; c < 2; ++c) {
        EXPECT_EQ((*wide->column(c)->GetScalar(row))->ToString(),
                  (*rows->column(c)->GetScalar(from + row))->ToString());
      }
    }
  }
  EXPECT_FALSE(SchemaChange::Make(*before, after, Widening::kNo).ok());
  EXPECT_FALSE(SchemaChange::Make(*after, before).ok());
}

TEST(RowsReaderTest, WhatCantBecomeTheOtherIsRefusedByName) {
  EXPECT_THAT(
      Refusal(arrow::schema({arrow::field("n", arrow::float64(), false), kText})),
      AllOf(HasSubstr("column n was int64 and is now double"), HasSubstr("stay unread"), HasSubstr("new name")));
  EXPECT_THAT(Refusal(arrow::schema({kNumber, kText, arrow::field("carrier", arrow::utf8(), false)})),
              AllOf(HasSubstr("column carrier was added and isn't nullable"), HasSubstr("they get NULL")));
  EXPECT_THAT(
      std::string(
          SchemaChange::Make(*Before(), arrow::schema({kNumber, kText->WithNullable(false)})).status().message()),
      HasSubstr("column s was nullable"));
}

TEST(RowsReaderTest, RowsAreNotGivenNullForAColumnThatTheyMustHaveHad) {
  const std::shared_ptr<arrow::Schema> now = arrow::schema({kNumber, kText, kAdded});
  RowsReader reader(now), strict(now, {"carrier"}), other(now, {"n", "s"});
  EXPECT_TRUE(reader.Read(Record(Rows(), true)).ok());
  EXPECT_TRUE(other.Read(Record(Rows(), true)).ok());
  EXPECT_THAT(std::string(strict.Read(Record(Rows(), true)).status().message()),
              AllOf(HasSubstr("column carrier was added, and an aggregate that counts from now on would take its NULL"),
                    HasSubstr("stay unread")));
}

// Where it may be null it was added, and counts from then on; later it may be said to be there always.
TEST(RowsReaderTest, APartialAggregateThatMayBeNullBecomesOneThatMayNot) {
  const auto of = [](const char* name, bool nullable) {
    return arrow::schema({arrow::field(name, arrow::int64(), nullable)});
  };
  EXPECT_TRUE(SchemaChange::Make(*of("__partial_2_count", true), of("__partial_2_count", false)).ok());
  EXPECT_FALSE(SchemaChange::Make(*of("__partial_1_count", true), of("__partial_2_count", false)).ok())
      << "it was added, and doesn't say so";
  EXPECT_TRUE(SchemaChange::Make(*of("__partial_1_count", true), of("__partial_2_count", true)).ok());
  EXPECT_FALSE(SchemaChange::Make(*of("__partial_window_start", true), of("__partial_window_start", false)).ok());
}

TEST(RowsReaderTest, ASchemaThatNobodyNamedIsRefused) {
  RowsReader reader(arrow::schema({kNumber}));
  EXPECT_THAT(std::string(reader.Read(Record(Rows(), false)).status().message()),
              HasSubstr("none of its writers has named"));
}

TEST(RowsReaderTest, OnlySoManySchemasAreRememberedTheOldestGoFirst) {
  RowsReader reader(Before());
  for (int i = 0; i < 20; ++i) {
    reader.Learn(PackSchema(*arrow::schema({arrow::field("c" + std::to_string(i), arrow::int32())})));
    reader.Learn(PackSchema(*Before()));
  }
  EXPECT_EQ(reader.named().size(), 8u);
  EXPECT_EQ(reader.named().back().columns(0).name(), "n");
  EXPECT_EQ(reader.named()[6].columns(0).name(), "c19");
}

TEST(PackedSchemaTest, EveryTypeOfAColumnSurvives) {
  arrow::FieldVector fields;
  for (const Type& type :
       {Type{Kind::kBool}, Type{Kind::kInt32}, Type{Kind::kInt64}, Type{Kind::kDouble}, Type{Kind::kString},
        Type{Kind::kBytes}, Type{Kind::kDate}, Type{Kind::kTimestamp},
        Type{Kind::kDecimal, TimestampForm::kRfc3339, 12, 2}, Type{Kind::kDecimal, TimestampForm::kRfc3339, 38, 0}}) {
    fields.push_back(arrow::field("c" + std::to_string(fields.size()), ArrowType(type), fields.size() % 2 == 0));
  }
  fields.push_back(ColumnField({"j", Type{Kind::kJson}, true}));
  for (int h = 0; h < kHiddenCount; ++h) fields.push_back(HiddenField(static_cast<Hidden>(h)));
  const auto schema = arrow::schema(fields);
  const auto unpacked = UnpackSchema(PackSchema(*schema));
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  EXPECT_TRUE((*unpacked)->Equals(*schema)) << (*unpacked)->ToString();
  EXPECT_EQ(SchemaHash(**unpacked), SchemaHash(*schema));
}

TEST(PackedSchemaTest, TextThatWasAStringIsNotReadAsJson) {
  const auto of = [](Kind kind) { return arrow::schema({ColumnField({"c", Type{kind}, true})}); };
  EXPECT_NE(SchemaHash(*of(Kind::kString)), SchemaHash(*of(Kind::kJson)));
  EXPECT_EQ(SchemaChange::Make(**UnpackSchema(PackSchema(*of(Kind::kString))), of(Kind::kJson)).status().message(),
            "column c was string and is now json");
  EXPECT_TRUE(SchemaChange::Make(**UnpackSchema(PackSchema(*of(Kind::kJson))), of(Kind::kJson)).ok());
}

TEST(PackedSchemaTest, ATypeOfALaterVersionIsRefused) {
  packed::PackedSchema schema;
  schema.add_columns()->set_type("list<item: int64>");
  EXPECT_TRUE(absl::IsFailedPrecondition(UnpackSchema(schema).status()));
}

}  // namespace
}  // namespace tidemark
