// What a source says of how its values are to be taken: coerced, in a stated format, raw, with a time that is computed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::Col;
using codec_test::FakeFetch;
using codec_test::Rec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ReadingsTest : public ::testing::Test {
 protected:
  DecodedRows Decode(const SourcePlan& plan, const std::vector<Rec>& records) {
    const FakeFetch fetch(records);
    auto decoded = SourceDecoder::Make(plan).value()->Decode(fetch, 0, 1, &time_);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(decoded->rows->ValidateFull().ok()) << decoded->rows->ValidateFull();
    return *std::move(decoded);
  }
  // The value that a column of this type takes from a JSON value, or the reason why none.
  std::string Coerced(const std::string& type, const std::string& json) {
    SourcePlan plan = codec_test::PlanOf({"v " + type});
    plan.columns[0].coerce = true;
    const DecodedRows decoded = Decode(plan, {{"{\"v\":" + json + "}"}});
    if (!decoded.errors.empty()) return decoded.errors[0].reason;
    const std::string row = codec_test::Rows(plan.columns, decoded.rows)[0];
    return row.substr(5, row.size() - 6);
  }
  SourceTime time_;
};

TEST_F(ReadingsTest, CoercedValuesAreTakenAsPostgresTakesThem) {
  EXPECT_EQ(Coerced("int64", "\" 42 \""), "42");
  EXPECT_EQ(Coerced("int64", "\"+007\""), "7");
  EXPECT_EQ(Coerced("int64", "\"-0\""), "0");
  EXPECT_EQ(Coerced("int64", "5.00"), "5");
  EXPECT_EQ(Coerced("int32", "\"-12.\""), "-12");
  EXPECT_EQ(Coerced("double", "\".5\""), "0.5");
  EXPECT_EQ(Coerced("double", "\"1e3\""), "1000");
  EXPECT_EQ(Coerced("decimal(6,2)", "\"+0012.50\""), "12.50");
  EXPECT_EQ(Coerced("bool", "\"Yes\""), "true");
  EXPECT_EQ(Coerced("bool", "\"f\""), "false");
  EXPECT_EQ(Coerced("bool", "\"off\""), "false");
  EXPECT_EQ(Coerced("bool", "1"), "true");
  EXPECT_EQ(Coerced("string", "12.50"), "\"12.50\"");
  EXPECT_EQ(Coerced("string", "true"), "\"true\"");
  EXPECT_EQ(Coerced("timestamp_ms", "\"1700000000000\""), "1700000000000");
}

TEST_F(ReadingsTest, WhatHasNoPlainMeaningIsRefusedAllTheSame) {
  for (const char* json : {"\"\"", "\"many\"", "5.5", "\"5.5\"", "\"1e3\"", "\"0x10\"", "\"1 2\"", "\"--1\"", "\"+-5\"",
                           "\"-+5\"", "\"++5\"", "\"+\"", "\".\"", "{}", "[1]", "true"}) {
    EXPECT_THAT(Coerced("int64", json), HasSubstr("column v: ")) << json;
  }
  EXPECT_THAT(Coerced("int32", "\"2147483648\""), HasSubstr("out of range"));
  EXPECT_THAT(Coerced("bool", "\"o\""), HasSubstr("column v: "));
  EXPECT_THAT(Coerced("bool", "2"), HasSubstr("column v: "));
  EXPECT_THAT(Coerced("string", "{}"), HasSubstr("column v: "));
  EXPECT_THAT(Coerced("decimal(4,2)", "\"1.234\""), HasSubstr("column v: "));
}

TEST_F(ReadingsTest, WithoutCoerceNothingOfItIsTaken) {
  const SourcePlan plan = codec_test::PlanOf({"v int64"});
  EXPECT_EQ(Decode(plan, {{R"({"v":"42"})"}}).errors.size(), 1u);
}

TEST_F(ReadingsTest, ATimestampIsReadInItsFormatAndZone) {
  SourcePlan plan = codec_test::PlanOf({"t timestamp null"});
  plan.columns[0].timestamp_format = "%d/%m/%Y %H:%M";
  plan.columns[0].time_zone = "Asia/Damascus";
  const DecodedRows decoded = Decode(plan, {{R"({"t":"24/12/2025 13:30"})"},
                                            {R"({"t":"01/07/2022 12:00"})"},
                                            {R"({})"},
                                            {R"({"t":"2025-12-24T13:30:00Z"})"},
                                            {R"({"t":"31/02/2025 00:00"})"},
                                            {R"({"t":"infinite-future"})"},
                                            {R"({"t":5})"}});
  // Syria has +03 all year since October 2022, and had summer time (+03) and winter time (+02) before.
  EXPECT_THAT(codec_test::Rows(plan.columns, decoded.rows),
              ElementsAre(R"({"t":"2025-12-24T10:30:00Z"})", R"({"t":"2022-07-01T09:00:00Z"})", R"({"t":null})"));
  ASSERT_EQ(decoded.errors.size(), 4u);
  EXPECT_EQ(decoded.errors[1].reason,
            "column t: expected a timestamp written as %d/%m/%Y %H:%M, found \"31/02/2025 00:00\"");
}

TEST_F(ReadingsTest, AnOffsetInTheTextCountsBeforeTheZoneHoweverTheFormatNamesIt) {
  for (const auto& [format, text] : {std::pair{"%z", "+0000"},
                                     {"%Ez", "+00:00"},
                                     {"%:z", "+00:00"},
                                     {"%E*z", "+00:00:00"},
                                     {"%::z", "+00:00:00"},
                                     {"%:::z", "+00"}}) {
    SourcePlan plan = codec_test::PlanOf({"t timestamp"});
    plan.columns[0].timestamp_format = std::string("%Y%m%d %H%M ") + format;
    plan.columns[0].time_zone = "Asia/Damascus";
    const DecodedRows decoded = Decode(plan, {{std::string(R"({"t":"20251224 1330 )") + text + "\"}"}});
    EXPECT_THAT(codec_test::Rows(plan.columns, decoded.rows), ElementsAre(R"({"t":"2025-12-24T13:30:00Z"})")) << format;
  }
  SourcePlan plan = codec_test::PlanOf({"t timestamp"});
  plan.columns[0].timestamp_format = "%%z %Y%m%d %H%M";  // a percent sign and a z
  plan.columns[0].time_zone = "Asia/Damascus";
  EXPECT_THAT(codec_test::Rows(plan.columns, Decode(plan, {{R"({"t":"%z 20251224 1330"})"}}).rows),
              ElementsAre(R"({"t":"2025-12-24T10:30:00Z"})"));
}

TEST_F(ReadingsTest, ADefaultIsWrittenAsEver) {
  SourcePlan plan = codec_test::PlanOf({"t timestamp"});
  plan.columns[0].timestamp_format = "%Y%m%d";
  plan.columns[0].default_value = "2026-01-01T00:00:00Z";
  const DecodedRows decoded = Decode(plan, {{"{}"}, {R"({"t":"20260203"})"}});
  EXPECT_THAT(codec_test::Rows(plan.columns, decoded.rows),
              ElementsAre(R"({"t":"2026-01-01T00:00:00Z"})", R"({"t":"2026-02-03T00:00:00Z"})"));
}

TEST_F(ReadingsTest, TheRawValueStandsBesideWhatIsReadFromIt) {
  SourcePlan plan = codec_test::PlanOf({"n int64", "raw string", "bytes bytes"});
  plan.columns[1].from = plan.columns[2].from = SourceColumn::From::kRaw;
  const DecodedRows decoded = Decode(plan, {{R"({"n": 1})"}, {"{}"}, {"nonsense"}});
  EXPECT_THAT(codec_test::Rows(plan.columns, decoded.rows),
              ElementsAre(R"({"n":1,"raw":"{\"n\": 1}","bytes":"eyJuIjogMX0="})"));
  EXPECT_EQ(decoded.errors.size(), 2u);
}

TEST_F(ReadingsTest, RawRecordsAloneHaveNothingWrongWithThem) {
  SourcePlan plan = codec_test::PlanOf({"raw bytes null"});
  plan.columns[0].from = SourceColumn::From::kRaw;
  const DecodedRows decoded = Decode(plan, {{"\xff"}, {""}, {std::nullopt}});
  EXPECT_THAT(codec_test::Rows(plan.columns, decoded.rows),
              ElementsAre(R"({"raw":"/w=="})", R"({"raw":""})", R"({"raw":null})"));
  EXPECT_THAT(decoded.errors, IsEmpty());
}

class ComputedTimeTest : public ReadingsTest {
 protected:
  ComputedTimeTest() {
    plan_ = codec_test::PlanOf({"t double null", "d int64"});
    plan_.event_time.expression = "to_timestamp(t / d)";
    plan_.event_time.max_out_of_orderness_us = kSecond;
    plan_.hidden = HiddenSet().With(Hidden::kOffset).With(Hidden::kWatermark);
    plan_.format.options["array"] = "true";
  }
  // 2026-01-01 plus so many seconds, as in Rec.
  static std::string Row(int64_t seconds, int d = 1) {
    return "{\"t\":" + std::to_string((1'767'225'600 + seconds) * d) + ",\"d\":" + std::to_string(d) + "}";
  }
  SourcePlan plan_;
};

TEST_F(ComputedTimeTest, EventTimeIsComputedAndMovesRowByRow) {
  const DecodedRows decoded = Decode(plan_, {{"[" + Row(10) + "," + Row(5, 2) + "]"}, {"[]"}, {"[" + Row(20) + "]"}});
  EXPECT_THAT(decoded.errors, IsEmpty());
  ASSERT_EQ(decoded.rows->num_rows(), 3);
  const int64_t* const times = HiddenInt64(*decoded.rows, Hidden::kTime);
  const int64_t* const marks = HiddenInt64(*decoded.rows, Hidden::kWatermark);
  const int64_t zero = 1'767'225'600 * kSecond;
  EXPECT_THAT(std::vector<int64_t>(times, times + 3),
              ElementsAre(zero + 10 * kSecond, zero + 5 * kSecond, zero + 20 * kSecond));
  EXPECT_THAT(std::vector<int64_t>(marks, marks + 3),
              ElementsAre(zero + 9 * kSecond, zero + 9 * kSecond, zero + 19 * kSecond));
  EXPECT_EQ(time_.max_time.us, zero + 20 * kSecond);
  EXPECT_EQ(decoded.empty_records, 1);
}

TEST_F(ComputedTimeTest, ARecordWithARowThatHasNoTimeIsADeadLetterAndMovesNone) {
  const DecodedRows decoded = Decode(plan_, {{"[" + Row(1) + "]"},
                                             {"[" + Row(500) + R"(,{"d":1}])"},
                                             {"nonsense"},
                                             {"[" + Row(2) + R"(,{"t":1,"d":0},)" + Row(600) + "]"},
                                             {"[" + Row(7200) + "]"},
                                             {"[" + Row(3) + "]"}});
  const int64_t* const offsets = HiddenInt64(*decoded.rows, Hidden::kOffset);
  ASSERT_EQ(decoded.rows->num_rows(), 2);
  EXPECT_THAT(std::vector<int64_t>(offsets, offsets + 2), ElementsAre(100, 105));
  EXPECT_EQ(time_.max_time.us, (1'767'225'600 + 3) * kSecond);
  std::vector<size_t> records;
  for (const DecodeError& error : decoded.errors) records.push_back(error.record);
  EXPECT_THAT(records, ElementsAre(1u, 2u, 3u, 4u));
  EXPECT_EQ(decoded.errors[0].reason, "event_time.expression: event time is null");
  EXPECT_EQ(decoded.errors[2].reason, "event_time.expression: division by zero");
  EXPECT_THAT(decoded.errors[3].reason, HasSubstr("more than max_ahead"));
}

// As objects on one line of a file are.
TEST_F(ComputedTimeTest, RecordsAtOneOffsetAreToldApart) {
  plan_.format.options.clear();
  const FakeFetch fetch({{Row(1)}, {R"({"d":1})"}, {Row(2)}, {Row(7200)}, {Row(3)}}, 0, 100, 0);
  const auto decoded = SourceDecoder::Make(plan_).value()->Decode(fetch, 0, 1, &time_);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->errors.size(), 2u);
  EXPECT_EQ(decoded->errors[0].record, 1u);
  EXPECT_EQ(decoded->errors[1].record, 3u);
  EXPECT_THAT(codec_test::Rows(plan_.columns, decoded->rows),
              ElementsAre(R"({"t":1767225601,"d":1})", R"({"t":1767225602,"d":1})", R"({"t":1767225603,"d":1})"));
}

}  // namespace
}  // namespace tidemark
