#include <filesystem>
#include <fstream>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include "src/codec/table_decoder.h"
#include "src/codec/table_file.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::Col;
using codec_test::FakeFetch;
using codec_test::Rec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TableFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("tidemark_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  TablePlan Plan(std::string_view file, TablePlan::FileFormat format, std::vector<SourceColumn> columns) {
    TablePlan plan;
    plan.name = "items";
    plan.file = folder_ / file;
    plan.file_format = format;
    plan.columns = std::move(columns);
    plan.key = {0};
    return plan;
  }
  TablePlan Text(std::string_view content, TablePlan::FileFormat format, std::vector<SourceColumn> columns) {
    TablePlan plan = Plan("items.txt", format, std::move(columns));
    std::ofstream(plan.file, std::ios::binary) << content;
    return plan;
  }
  TablePlan Parquet(const arrow::FieldVector& fields, const arrow::ArrayVector& arrays,
                    std::vector<SourceColumn> columns) {
    TablePlan plan = Plan("items.parquet", TablePlan::FileFormat::kParquet, std::move(columns));
    const auto table = arrow::Table::Make(arrow::schema(fields), arrays);
    const auto out = arrow::io::FileOutputStream::Open(plan.file).ValueOrDie();
    EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, 2).ok());
    return plan;
  }
  static absl::StatusOr<Batch> Read(const TablePlan& plan) {
    return ReadTableFile(plan, arrow::io::ReadableFile::Open(plan.file).ValueOrDie());
  }
  static std::vector<std::string> RowsOf(const TablePlan& plan) {
    const absl::StatusOr<Batch> batch = Read(plan);
    if (!batch.ok()) return {std::string(batch.status().message())};
    EXPECT_TRUE((*batch)->ValidateFull().ok());
    return codec_test::Rows(plan.columns, *batch);
  }
  static std::string Refusal(const TablePlan& plan) {
    const absl::StatusOr<Batch> batch = Read(plan);
    EXPECT_EQ(batch.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(batch.status().message());
  }

  std::filesystem::path folder_;
};

constexpr auto kJson = TablePlan::FileFormat::kJsonLines;
constexpr auto kCsv = TablePlan::FileFormat::kCsv;

TEST_F(TableFile, JsonLinesSkipEmptyLines) {
  EXPECT_THAT(RowsOf(Text("{\"k\":1,\"s\":\"a\"}\r\n\n  \n{\"s\":null,\"k\":2}", kJson,
                          {Col("k int64"), Col("s string null")})),
              ElementsAre(R"({"k":1,"s":"a"})", R"({"k":2,"s":null})"));
  EXPECT_THAT(RowsOf(Text("", kJson, {Col("k int64")})), ElementsAre());
}

TEST_F(TableFile, AByteOrderMarkIsPassedOver) {
  EXPECT_THAT(RowsOf(Text("\xef\xbb\xbf{\"k\":1}\n", kJson, {Col("k int64")})), ElementsAre(R"({"k":1})"));
  EXPECT_THAT(RowsOf(Text("\xef\xbb\xbfk\n1\n", kCsv, {Col("k int64")})), ElementsAre(R"({"k":1})"));
  EXPECT_THAT(RowsOf(Text("\xef\xbb\xbf", kJson, {Col("k int64")})), ElementsAre());
}

TEST_F(TableFile, ACsvOfOnlyAHeaderHasNoRows) {
  for (const char* content : {"k,v", "k,v\n", "k,v\r\n", "\xef\xbb\xbfk,v\n", "\"k\",v\n\n"}) {
    EXPECT_THAT(RowsOf(Text(content, kCsv, {Col("k int64"), Col("v string null")})), ElementsAre()) << content;
  }
  EXPECT_THAT(Refusal(Text("k,v\n", kCsv, {Col("kk int64")})), HasSubstr("there is no column kk"));
  EXPECT_THAT(Refusal(Text("", kCsv, {Col("k int64")})), HasSubstr("items.txt"));
}

TEST_F(TableFile, AMistypedHeaderIsNoColumnOfNulls) {
  EXPECT_THAT(Refusal(Text("k,citty\n1,x\n", kCsv, {Col("k int64"), Col("city string null")})),
              HasSubstr("there is no column city (did you mean 'citty'?)"));
  EXPECT_THAT(RowsOf(Text("k,city2,city\n1,x,y\n", kCsv, {Col("k int64"), Col("city string null")})),
              ElementsAre(R"({"k":1,"city":"y"})"));
  EXPECT_THAT(RowsOf(Text("k,other\n1,x\n", kCsv, {Col("k int64"), Col("city string null")})),
              ElementsAre(R"({"k":1,"city":null})"));
}

TEST_F(TableFile, JsonLinesErrorsNameFileLineAndColumn) {
  EXPECT_THAT(Refusal(Text("{\"k\":1}\n\n{\"k\":\"x\"}\n", kJson, {Col("k int64")})),
              HasSubstr("items.txt: line 3: column k: expected int64, found string"));
}

TEST_F(TableFile, CsvReadsEveryTypeAndTellsEmptyFromMissing) {
  const TablePlan plan = Text(
      "extra,k,s,b,f,d,t,ms,m,y\nq,1,\"a,\"\"b\"\"\",true,1.5,2026-01-02,2026-01-02T03:04:05Z,1000,2.50,AAEC\n"
      "q,2,,,,,,,,\nq,3,\"\",false,0,1970-01-01,1970-01-01T00:00:00Z,0,0,\"\"\n",
      kCsv,
      {Col("k int64"), Col("s string null"), Col("b bool null"), Col("f double null"), Col("d date null"),
       Col("t timestamp null"), Col("ms timestamp_ms null"), Col("m decimal(5,2) null"), Col("y bytes null")});
  EXPECT_THAT(
      RowsOf(plan),
      ElementsAre(
          R"({"k":1,"s":"a,\"b\"","b":true,"f":1.5,"d":"2026-01-02","t":"2026-01-02T03:04:05Z","ms":1000,"m":2.50,"y":"AAEC"})",
          R"({"k":2,"s":null,"b":null,"f":null,"d":null,"t":null,"ms":null,"m":null,"y":null})",
          R"({"k":3,"s":"","b":false,"f":0,"d":"1970-01-01","t":"1970-01-01T00:00:00Z","ms":0,"m":0.00,"y":""})"));
}

TEST_F(TableFile, CsvErrorsNameRowAndColumn) {
  EXPECT_THAT(Refusal(Text("k\n1\nx\n", kCsv, {Col("k int64")})),
              HasSubstr("items.txt: row 2: column k: expected int64"));
  EXPECT_THAT(Refusal(Text("k\n1\n\"\"\n", kCsv, {Col("k int64")})), HasSubstr("row 2: column k"));
  EXPECT_THAT(Refusal(Text("k,v\n,1\n", kCsv, {Col("k int64")})), HasSubstr("row 1: missing required column k"));
  EXPECT_THAT(Refusal(Text("key\n1\n", kCsv, {Col("keys int64")})),
              HasSubstr("there is no column keys (did you mean 'key'?)"));
  EXPECT_THAT(Refusal(Text("k,v\n1\n", kCsv, {Col("k int64")})), HasSubstr("items.txt"));
  EXPECT_THAT(Refusal(Text("k\n\xff\n", kCsv, {Col("k string")})), HasSubstr("invalid UTF-8"));
}

TEST_F(TableFile, DefaultsAndOnErrorHoldInFilesToo) {
  SourceColumn v = Col("v int64");
  v.default_value = "9";
  SourceColumn w = Col("w int64 null");
  w.on_error = SourceColumn::OnError::kNull;
  EXPECT_THAT(RowsOf(Text("k,v,w\n1,,x\n", kCsv, {Col("k int64"), v, w, Col("absent string null")})),
              ElementsAre(R"({"k":1,"v":9,"w":null,"absent":null})"));
}

template <typename Builder, typename T>
std::shared_ptr<arrow::Array> Array(Builder builder, const std::vector<std::optional<T>>& values) {
  for (const auto& v : values) EXPECT_TRUE((v ? builder.Append(*v) : builder.AppendNull()).ok());
  return builder.Finish().ValueOrDie();
}

TEST_F(TableFile, ParquetTypesAreBroughtToTheDeclaredOnes) {
  const auto pool = arrow::default_memory_pool();
  const arrow::ArrayVector arrays = {
      Array<arrow::Int16Builder, int16_t>(arrow::Int16Builder(), {1, 2, 3}),
      Array<arrow::LargeStringBuilder, std::string>(arrow::LargeStringBuilder(), {"a", std::nullopt, "c"}),
      Array<arrow::FloatBuilder, float>(arrow::FloatBuilder(), {1.5f, 2, std::nullopt}),
      Array<arrow::TimestampBuilder, int64_t>(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::NANO), pool),
                                              {1'500'000'999, -1, 0}),
      Array<arrow::Decimal128Builder, arrow::Decimal128>(
          arrow::Decimal128Builder(arrow::decimal128(9, 3)),
          {arrow::Decimal128(-1250), arrow::Decimal128(10), std::nullopt}),
      Array<arrow::Date32Builder, int32_t>(arrow::Date32Builder(), {0, -1, std::nullopt}),
      Array<arrow::BooleanBuilder, bool>(arrow::BooleanBuilder(), {true, false, std::nullopt}),
      Array<arrow::UInt32Builder, uint32_t>(arrow::UInt32Builder(), {4294967295u, 1, 2})};
  const std::vector<std::string> names = {"k", "s", "f", "t", "m", "d", "b", "u"};
  arrow::FieldVector fields;
  for (size_t i = 0; i < names.size(); ++i) fields.push_back(arrow::field(names[i], arrays[i]->type()));
  EXPECT_THAT(
      RowsOf(Parquet(fields, arrays,
                     {Col("k int64"), Col("s string null"), Col("f double null"), Col("t timestamp null"),
                      Col("m decimal(10,2) null"), Col("d date null"), Col("b bool null"), Col("u timestamp_s")})),
      ElementsAre(
          R"({"k":1,"s":"a","f":1.5,"t":"1970-01-01T00:00:01.500Z","m":-1.25,"d":"1970-01-01","b":true,"u":4294967295})",
          R"({"k":2,"s":null,"f":2,"t":"1969-12-31T23:59:59.999999Z","m":0.01,"d":"1969-12-31","b":false,"u":1})",
          R"({"k":3,"s":"c","f":null,"t":"1970-01-01T00:00:00Z","m":null,"d":null,"b":null,"u":2})"));
}

TEST_F(TableFile, ParquetErrorsNameRowAndColumn) {
  const auto big = Array<arrow::Int64Builder, int64_t>(arrow::Int64Builder(), {1, 2, int64_t{1} << 40});
  EXPECT_THAT(Refusal(Parquet({arrow::field("k", arrow::int64())}, {big}, {Col("k int32")})),
              HasSubstr("items.parquet: row 3: column k: 1099511627776 is out of range for int32"));
  EXPECT_THAT(Refusal(Parquet({arrow::field("k", arrow::int64())}, {big}, {Col("k string")})),
              HasSubstr("column k: expected string, the file has int64"));
  const auto holes = Array<arrow::Int64Builder, int64_t>(arrow::Int64Builder(), {1, std::nullopt});
  EXPECT_THAT(Refusal(Parquet({arrow::field("k", arrow::int64())}, {holes}, {Col("k int64")})),
              HasSubstr("row 2: missing required column k"));
  EXPECT_THAT(Refusal(Text("PAR1 no parquet", TablePlan::FileFormat::kParquet, {Col("k int64")})),
              HasSubstr("items.txt"));
}

TEST(TableRecords, ANullValueDeletesByTheRecordKey) {
  TablePlan plan;
  plan.columns = {Col("k int64"), Col("s string"), Col("n int64 null")};
  plan.key = {0};
  const FakeFetch fetch({{R"({"k":1,"s":"a","n":5})", "1"},
                         {std::nullopt, "1"},
                         {std::nullopt, "x"},
                         {std::nullopt},
                         {"{}", "1"},
                         {R"({"k":2,"s":"b"})", "2"}});
  const auto [batch, deleted, errors, next, waits_for] = TableDecoder::Make(plan).value()->Decode(fetch, 0).value();
  EXPECT_EQ(next, fetch.records().size());
  EXPECT_THAT(codec_test::Rows(plan.columns, batch),
              ElementsAre(R"({"k":1,"s":"a","n":5})", R"({"k":1,"s":"","n":null})", R"({"k":2,"s":"b","n":null})"));
  EXPECT_THAT(deleted, ElementsAre(0, 1, 0));
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_EQ(errors[0].record, 2u);
  EXPECT_THAT(errors[0].reason, HasSubstr("record key: column k: expected int64"));
  EXPECT_THAT(errors[1].reason, HasSubstr("so is the record key"));
  EXPECT_EQ(errors[2].reason, "missing required column k");
  EXPECT_EQ(batch->num_columns(), 3);
}

TEST(TableRecords, AKeyOfSeveralColumnsIsAnObject) {
  TablePlan plan;
  plan.columns = {Col("v string"), Col("a int64"), Col("b string")};
  plan.key = {2, 1};
  const FakeFetch fetch({{std::nullopt, R"({"b":"x","a":4})"}, {std::nullopt, R"({"b":"x"})"}});
  const auto [batch, deleted, errors, next, waits_for] = TableDecoder::Make(plan).value()->Decode(fetch, 0).value();
  EXPECT_EQ(next, fetch.records().size());
  EXPECT_THAT(codec_test::Rows(plan.columns, batch), ElementsAre(R"({"v":"","a":4,"b":"x"})"));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_THAT(errors[0].reason, HasSubstr("lacks column a"));
}

}  // namespace
}  // namespace tidemark
