#include "src/base/value_text.h"

#include <gtest/gtest.h>

#include "src/codec/column_builder.h"

namespace tidemark {
namespace {

std::optional<int64_t> Int(std::string_view text) {
  int64_t value = 0;
  return ParseInt64(text, &value) == Fit::kOk ? std::optional(value) : std::nullopt;
}

std::optional<int64_t> Time(std::string_view text) {
  int64_t us = 0;
  return ParseRfc3339(text, &us) == Fit::kOk ? std::optional(us) : std::nullopt;
}

std::optional<int32_t> Date(std::string_view text) {
  int32_t days = 0;
  return ParseDate(text, &days) == Fit::kOk ? std::optional(days) : std::nullopt;
}

Fit Decimal(std::string_view text, int precision, int scale, int64_t* unscaled) {
  __int128 value = 0;
  const Fit fit = ParseDecimal(text, precision, scale, &value);
  *unscaled = static_cast<int64_t>(value);
  return fit;
}

TEST(ValueText, IntegersReachTheEndsOfTheirRange) {
  EXPECT_EQ(Int("0"), 0);
  EXPECT_EQ(Int("-0"), 0);
  EXPECT_EQ(Int("9007199254740993"), 9007199254740993);  // 2^53 + 1
  EXPECT_EQ(Int("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(Int("-9223372036854775808"), INT64_MIN);
  int64_t value = 0;
  EXPECT_EQ(ParseInt64("9223372036854775808", &value), Fit::kOutOfRange);
  EXPECT_EQ(ParseInt64("-9223372036854775809", &value), Fit::kOutOfRange);
  EXPECT_EQ(ParseInt64("18446744073709551616", &value), Fit::kOutOfRange);
  EXPECT_EQ(ParseInt64("99999999999999999999999", &value), Fit::kOutOfRange);
}

TEST(ValueText, WhatIsNoIntegerInJsonIsNone) {
  for (const char* text : {"", "-", "+1", "01", "-01", "1.0", "1e3", "0x1", " 1", "1 ", "1a", "--1"}) {
    int64_t value = 0;
    EXPECT_EQ(ParseInt64(text, &value), Fit::kWrongType) << text;
  }
}

TEST(ValueText, NumbersFollowJsonsGrammar) {
  for (const char* text : {"0", "-0", "1.5", "-1.5e-3", "1E+2", "0.0", "10", "1e0005"})
    EXPECT_TRUE(IsJsonNumber(text)) << text;
  for (const char* text : {"", ".5", "1.", "01", "1e", "1e+", "NaN", "Infinity", "1.5.2", "-"}) {
    EXPECT_FALSE(IsJsonNumber(text)) << text;
  }
}

TEST(ValueText, DoublesOverflowButDoNotUnderflow) {
  double value = 1;
  EXPECT_EQ(ParseDouble("1e400", &value), Fit::kOutOfRange);
  EXPECT_EQ(ParseDouble("1e-400", &value), Fit::kOk);
  EXPECT_EQ(value, 0);
  EXPECT_EQ(ParseDouble("0.1", &value), Fit::kOk);
  EXPECT_EQ(value, 0.1);
  EXPECT_EQ(ParseDouble("5e-324", &value), Fit::kOk);
  EXPECT_EQ(value, 5e-324);
}

TEST(ValueText, DecimalsAreExactOrRefused) {
  int64_t unscaled = 0;
  EXPECT_EQ(Decimal("12.34", 10, 2, &unscaled), Fit::kOk);
  EXPECT_EQ(unscaled, 1234);
  EXPECT_EQ(Decimal("-0.1", 10, 2, &unscaled), Fit::kOk);
  EXPECT_EQ(unscaled, -10);
  EXPECT_EQ(Decimal("1.500", 10, 2, &unscaled), Fit::kOk);  // zeros at the end are no digits
  EXPECT_EQ(unscaled, 150);
  EXPECT_EQ(Decimal("1.2e3", 10, 2, &unscaled), Fit::kOk);
  EXPECT_EQ(unscaled, 120000);
  EXPECT_EQ(Decimal("1234e-2", 10, 2, &unscaled), Fit::kOk);
  EXPECT_EQ(unscaled, 1234);
  EXPECT_EQ(Decimal("0e999999999999999", 10, 2, &unscaled), Fit::kOk);
  EXPECT_EQ(unscaled, 0);
  EXPECT_EQ(Decimal("1.505", 10, 2, &unscaled), Fit::kTooPrecise);
  EXPECT_EQ(Decimal("123456789", 10, 2, &unscaled), Fit::kOutOfRange);  // 9 + 2 digits
  EXPECT_EQ(Decimal("12345678", 10, 2, &unscaled), Fit::kOk);
  EXPECT_EQ(Decimal("1e9999999999999999999", 10, 2, &unscaled), Fit::kOutOfRange);
  EXPECT_EQ(Decimal("1e-9999999999999999999", 10, 2, &unscaled), Fit::kTooPrecise);
  EXPECT_EQ(Decimal("twelve", 10, 2, &unscaled), Fit::kBadText);
}

TEST(ValueText, ADecimalOf38DigitsKeepsThemAll) {
  __int128 value = 0;
  ASSERT_EQ(ParseDecimal("99999999999999999999999999999999999999", 38, 0, &value), Fit::kOk);
  EXPECT_EQ(value % 10, 9);
  EXPECT_EQ(static_cast<int64_t>(value / (static_cast<__int128>(1'000'000'000'000'000'000) * 100)), 999999999999999999);
  EXPECT_EQ(ParseDecimal("100000000000000000000000000000000000000", 38, 0, &value), Fit::kOutOfRange);
  EXPECT_EQ(ParseDecimal("0.00000000000000000000000000000000000001", 38, 38, &value), Fit::kOk);
  EXPECT_EQ(value, 1);
}

TEST(ValueText, DatesAreOfTheCalendar) {
  EXPECT_EQ(Date("1970-01-01"), 0);
  EXPECT_EQ(Date("1969-12-31"), -1);
  EXPECT_EQ(Date("2000-02-29"), 11016);
  EXPECT_EQ(Date("0001-01-01"), -719162);
  EXPECT_EQ(Date("9999-12-31"), 2932896);
  EXPECT_EQ(Date("0000-01-01"), -719528);
  EXPECT_EQ(Date("+010000-01-01"), 2932897);
  EXPECT_EQ(Date("-000001-12-31"), -719529);
  for (const char* text :
       {"1900-02-29", "2026-13-01", "2026-00-01", "2026-1-1", "2026-01-01 ", "20260101", "", "-000000-01-01",
        "10000-01-01", "+9999-01-01", "+12345678-01-01", "+9999999-01-01", "+010000-02-30", "-"}) {
    EXPECT_EQ(Date(text), std::nullopt) << text;
  }
}

TEST(ValueText, TimestampsTakeOffsetsAndFractions) {
  EXPECT_EQ(Time("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(Time("1970-01-01t00:00:00z"), 0);
  EXPECT_EQ(Time("1970-01-01 00:00:00.5Z"), 500'000);
  EXPECT_EQ(Time("1970-01-01T00:00:00.123456Z"), 123'456);
  EXPECT_EQ(Time("1970-01-01T00:00:00.123456999Z"), 123'456);  // cut off, not rounded
  EXPECT_EQ(Time("1969-12-31T23:59:59.9999999Z"), -1);
  EXPECT_EQ(Time("1970-01-01T01:00:00+01:00"), 0);
  EXPECT_EQ(Time("1969-12-31T18:30:00-05:30"), 0);
  EXPECT_EQ(Time("2016-12-31T23:59:60Z"), 1'483'228'800'000'000);
  EXPECT_EQ(Time("2016-12-31T23:59:60.5Z"), 1'483'228'800'500'000);
  EXPECT_EQ(Time("0000-12-31T23:59:59Z"), -62'135'596'801'000'000);
  EXPECT_EQ(Time("+294247-01-10T04:00:54.775807Z"), INT64_MAX);
  EXPECT_EQ(Time("+294247-01-10T04:00:54.775808Z"), std::nullopt);
  EXPECT_EQ(Time("-290308-12-21T19:59:05.224192Z"), INT64_MIN);
  EXPECT_EQ(Time("0001-01-01T00:00:00Z"), -62'135'596'800'000'000);
  EXPECT_EQ(Time("9999-12-31T23:59:59.999999Z"), 253'402'300'799'999'999);
}

TEST(ValueText, WhatIsNoRfc3339IsRefused) {
  for (const char* text :
       {"", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00+1:00", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+0100",
        "1970-01-01T00:00:00ZZ", "1970-02-30T00:00:00Z", "10000-01-01T00:00:00Z", "1970-01-01T00:00:00 Z"}) {
    EXPECT_EQ(Time(text), std::nullopt) << text;
  }
}

TEST(ValueText, NumericTimestampsOverflowIntoAnError) {
  int64_t us = 0;
  EXPECT_EQ(ScaleTimestamp(9'223'372'036'854, TimestampForm::kSeconds, &us), Fit::kOk);
  EXPECT_EQ(us, 9'223'372'036'854'000'000);
  EXPECT_EQ(ScaleTimestamp(9'223'372'036'855, TimestampForm::kSeconds, &us), Fit::kOutOfRange);
  EXPECT_EQ(ScaleTimestamp(-9'223'372'036'854'776, TimestampForm::kMillis, &us), Fit::kOutOfRange);
  EXPECT_EQ(ScaleTimestamp(INT64_MIN, TimestampForm::kMicros, &us), Fit::kOk);
}

TEST(ValueText, AnExcerptIsCutBetweenCharacters) {
  EXPECT_EQ(Excerpt("a\"b"), "\"a\\\"b\"");
  std::string euros = "x";
  for (int i = 0; i < 30; ++i) euros += "\u20ac";
  // 1 + 21 * 3 = 64 bytes: the 22nd euro sign would begin at byte 64.
  EXPECT_EQ(Excerpt(euros).size(), 64 + 5u);
}

// The planner refuses a default by the one, the decoder reads it by the other.
TEST(ValueText, WhatFitsATypeIsWhatAColumnTakes) {
  for (const char* name : {"bool", "int32", "int64", "double", "string", "bytes", "date", "decimal(5,2)",
                           "decimal(38,0)", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_us"}) {
    const Type type = *ParseType(name);
    ColumnBuilder column(type, true);
    for (const char* text : {"",
                             "0",
                             "-0",
                             "007",
                             "1.0",
                             "1e3",
                             "12.345",
                             "123456",
                             "2147483648",
                             "9223372036854775808",
                             "1e999",
                             "-1e-999",
                             "nan",
                             "inf",
                             "true",
                             "TRUE",
                             "null",
                             "x",
                             "YWI=",
                             "YW",
                             "2026-01-31",
                             "2026-02-30",
                             "2026-01-31T00:00:00Z",
                             "2026-01-31 00:00:00",
                             "9223372036854775",
                             " 1",
                             "+1"}) {
      column.Start(1);
      EXPECT_EQ(FitsPlainText(type, text), column.Set(0, FromPlainText(type, text))) << name << " '" << text << "'";
    }
  }
}

}  // namespace
}  // namespace tidemark
