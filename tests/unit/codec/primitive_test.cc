// Kafka's primitives: the very bytes of its serializers, and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/row_encoder.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::FakeFetch;
using codec_test::Rec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Bytes(std::initializer_list<int> bytes) {
  std::string out;
  for (const int b : bytes) out.push_back(static_cast<char>(b));
  return out;
}

// The rows, or the reasons why there are none.
std::vector<std::string> Read(const char* format, std::string_view column, const std::vector<std::string>& values) {
  SourcePlan plan = codec_test::PlanOf({column});
  plan.columns[0].path.clear();
  plan.format = format;
  std::vector<Rec> records;
  for (const std::string& value : values) records.push_back({value});
  const FakeFetch fetch(records);
  SourceTime time;
  const DecodedRows decoded = SourceDecoder::Make(plan).value()->Decode(fetch, 0, 1, &time).value();
  std::vector<std::string> out = codec_test::Rows(plan.columns, decoded.rows);
  for (const DecodeError& error : decoded.errors) out.push_back(error.reason);
  return out;
}

TEST(Primitives, NumbersAreBigEndian) {
  EXPECT_THAT(Read("int16", "n int32", {Bytes({0x80, 0x00}), Bytes({0x01, 0x02}), "1"}),
              ElementsAre(R"({"n":-32768})", R"({"n":258})", "column n: an int16 has 2 bytes, found 1"));
  EXPECT_THAT(Read("int32", "n int64", {Bytes({0xff, 0xff, 0xff, 0xfe}), ""}),
              ElementsAre(R"({"n":-2})", "column n: an int32 has 4 bytes, found 0"));
  EXPECT_THAT(Read("int64", "n int64", {Bytes({0x7f, 255, 255, 255, 255, 255, 255, 255})}),
              ElementsAre(R"({"n":9223372036854775807})"));
  EXPECT_THAT(Read("float", "x double", {Bytes({0x3f, 0xc0, 0, 0})}), ElementsAre(R"({"x":1.5})"));
  EXPECT_THAT(Read("double", "x double", {Bytes({0xc0, 0x59, 0, 0, 0, 0, 0, 0})}), ElementsAre(R"({"x":-100})"));
}

TEST(Primitives, AStringIsUtf8AndAUuidItsText) {
  EXPECT_THAT(Read("string", "s string", {"\u20ac", "", "\xff"}),
              ElementsAre(R"({"s":"€"})", R"({"s":""})", HasSubstr("UTF-8")));
  EXPECT_THAT(Read("uuid", "id string", {"123E4567-e89b-12d3-a456-426614174000", "123E4567e89b12d3a456426614174000"}),
              ElementsAre(R"({"id":"123e4567-e89b-12d3-a456-426614174000"})", HasSubstr("expected a UUID")));
}

TEST(Primitives, WhatIsWrittenIsReadAsTheSameInValuesAndKeys) {
  const SourcePlan plan = codec_test::PlanOf({"k int32 null", "v double"});
  const FakeFetch fetch({{R"({"k":-5,"v":0.1})"}, {R"({"k":2147483647,"v":-1e300})"}, {R"({"v":0})"}});
  SourceTime time;
  const Batch rows = SourceDecoder::Make(plan).value()->Decode(fetch, 0, 1, &time)->rows;
  RowEncoderOptions options;
  options.schema = plan.schema();
  options.key = {0};
  options.key_format = "int32";
  options.format = "double";
  options.value = {1};
  EncodedRecords encoded;
  ASSERT_TRUE(RowEncoder::Make(options).value()->Encode(*rows, 1, 0, &encoded).ok());
  EXPECT_EQ(*encoded.records[0].key, Bytes({255, 255, 255, 251}));
  EXPECT_FALSE(encoded.records[2].key.has_value());
  std::vector<Rec> written;
  for (const OutRecord& record : encoded.records) {
    Rec rec;
    rec.value = std::string(*record.value);
    if (record.key) rec.key = std::string(*record.key);
    written.push_back(rec);
  }
  SourcePlan back = plan;
  back.columns[0].from = SourceColumn::From::kKey;
  back.key_format = "int32";
  back.format = "double";
  const FakeFetch again(written);
  const DecodedRows read = SourceDecoder::Make(back).value()->Decode(again, 0, 1, &time).value();
  EXPECT_EQ(codec_test::Rows(plan.columns, read.rows), codec_test::Rows(plan.columns, rows));
}

}  // namespace
}  // namespace tidemark
