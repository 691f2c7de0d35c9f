#include "src/expr/calendar.h"

#include <gtest/gtest.h>

namespace tidemark::internal {
namespace {

std::string DateText(int64_t days) {
  std::string text;
  AppendDate(days, &text);
  return text;
}

std::string TimeText(int64_t us) {
  std::string text;
  AppendTimestamp(us, &text);
  return text;
}

std::optional<int64_t> Time(std::string_view text) {
  TimeError error;
  return ParseTimestamp(text, &error);
}

TEST(CalendarTest, EveryDayOfFourCenturiesGoesThereAndBack) {
  for (int64_t days = -800'000; days < -800'000 + 146'097 * 2; ++days) {
    CivilDay day = ToCivil(days);
    ASSERT_EQ(FromCivil(day), days);
    ASSERT_LE(day.day, DaysInMonth(day.year, day.month));
  }
}

TEST(CalendarTest, KnownDays) {
  EXPECT_EQ(FromCivil({1970, 1, 1}), 0);
  EXPECT_EQ(FromCivil({2000, 3, 1}), 11'017);
  EXPECT_EQ(DateText(-1), "1969-12-31");
  EXPECT_EQ(DateText(FromCivil({0, 12, 31})), "0001-12-31 BC");
  EXPECT_EQ(DateText(FromCivil({12345, 1, 2})), "12345-01-02");
  EXPECT_EQ(IsoWeek(FromCivil({2021, 1, 3})), 53);
  EXPECT_EQ(IsoYear(FromCivil({2021, 1, 3})), 2020);
  EXPECT_EQ(IsoWeekday(FromCivil({2024, 2, 29})), 4);
}

TEST(CalendarTest, TimestampsBeforeTheEpochRoundDown) {
  EXPECT_EQ(TimeText(-1), "1969-12-31 23:59:59.999999+00");
  EXPECT_EQ(TimeText(1'500'000), "1970-01-01 00:00:01.5+00");
  EXPECT_EQ(Truncate(TruncUnit::kDay, -1), -kUsPerDay);
  EXPECT_EQ(Truncate(TruncUnit::kWeek, 0), -3 * kUsPerDay);
  EXPECT_EQ(Truncate(TruncUnit::kDay, INT64_MIN), std::nullopt);
}

TEST(CalendarTest, TimestampsAreReadInAnyZone) {
  EXPECT_EQ(Time("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(Time("1970-01-01 01:30:00+01:30"), 0);
  EXPECT_EQ(Time("1969-12-31 16:00:00-0800"), 0);
  EXPECT_EQ(Time("1970-01-01 00:00:00.0000019"), 1) << "cut, as sources do";
  EXPECT_EQ(Time("1969-12-31 23:59:59.9999999"), -1);
  EXPECT_EQ(Time("1969-12-31 23:59:60.5"), 500'000) << "the first second of the next minute";
  EXPECT_EQ(Time("1970-01-01 00:00:60.25"), 60'250'000);
  EXPECT_EQ(Time("1969-12-31 24:00:00"), 0);
  for (const char* text : {"", "1970", "1970-01", "1970-01-01T", "1970-01-01X", "1970-13-01", "1970-02-29",
                           "0000-01-01", "1970-01-01 00:00:00+16", "1970-01-01 24:00:01", "999999-01-01"}) {
    EXPECT_EQ(Time(text), std::nullopt) << text;
  }
}

TEST(CalendarTest, MonthsClampToTheirEnd) {
  int64_t end_of_january = *Time("2024-01-31 12:00:00");
  EXPECT_EQ(AddInterval(end_of_january, {1, 0}), Time("2024-02-29 12:00:00"));
  EXPECT_EQ(AddInterval(end_of_january, {13, 0}), Time("2025-02-28 12:00:00"));
  EXPECT_EQ(AddInterval(end_of_january, {-2, 1}), *Time("2023-11-30 12:00:00") + 1);
  EXPECT_EQ(AddInterval(INT64_MAX, {0, 1}), std::nullopt);
}

TEST(CalendarTest, IntervalsAddUp) {
  auto interval = ParseInterval("1 year 2 mons -3 days 04:05:06.5");
  ASSERT_TRUE(interval.has_value());
  EXPECT_EQ(interval->months, 14);
  EXPECT_EQ(interval->us, -3 * kUsPerDay + 14'706'500'000);
  EXPECT_EQ(ParseInterval("1.5 hours")->us, 5'400'000'000);
  for (const char* text : {"", "1", "hour", "1 fortnight", "1.5 months", "1 hour ago"}) {
    EXPECT_FALSE(ParseInterval(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace tidemark::internal
