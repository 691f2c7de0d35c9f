// Windows of the calendar, by themselves and as an operator has them.
#include "operators/window/calendar_windows.h"

#include <string>
#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/operators/window_fixture.h"

namespace tidemark {
namespace {

using testing::ElementsAre;

constexpr int64_t kHour = 3600 * kSecond, kDay = 24 * kHour;

CalendarWindows Windows(CalendarUnit unit, const char* zone, int64_t offset = 0) {
  return {unit, *internal::TimeZone::Find(zone), offset};
}

int64_t Utc(const char* text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime("%Y-%m-%d %H:%M:%E*S", text, &time, &error)) << text << ": " << error;
  return absl::ToUnixMicros(time);
}

std::string Text(CalendarWindows::Bounds bounds) {
  const auto text = [](int64_t us) {
    return absl::FormatTime("%Y-%m-%d %H:%M", absl::FromUnixMicros(us), absl::UTCTimeZone());
  };
  return text(bounds.start) + " - " + text(bounds.end);
}
std::string At(CalendarUnit unit, const char* zone, const char* utc, int64_t offset = 0) {
  return Text(Windows(unit, zone, offset).At(Utc(utc)));
}

TEST(CalendarWindows, ADayHasTheHoursThatTheClockThereGivesIt) {
  const auto berlin = [](const char* utc) { return At(CalendarUnit::kDay, "Europe/Berlin", utc); };
  EXPECT_EQ(berlin("2025-03-29 22:59:59"), "2025-03-28 23:00 - 2025-03-29 23:00");
  EXPECT_EQ(berlin("2025-03-29 23:00:00"), "2025-03-29 23:00 - 2025-03-30 22:00");  // 23 hours
  EXPECT_EQ(berlin("2025-03-30 21:59:59.999999"), "2025-03-29 23:00 - 2025-03-30 22:00");
  EXPECT_EQ(berlin("2025-03-30 22:00:00"), "2025-03-30 22:00 - 2025-03-31 22:00");
  EXPECT_EQ(berlin("2025-10-25 22:00:00"), "2025-10-25 22:00 - 2025-10-26 23:00");  // 25 hours
  EXPECT_EQ(berlin("2025-10-26 22:30:00"), "2025-10-25 22:00 - 2025-10-26 23:00");
  EXPECT_EQ(At(CalendarUnit::kDay, "UTC", "1969-12-31 23:59:59"), "1969-12-31 00:00 - 1970-01-01 00:00");
}

TEST(CalendarWindows, MidnightThatIsSkippedShownTwiceOrADayThatIsLeftOutMakeNoGaps) {
  // Beirut puts the clock forward at midnight: the day begins at 01:00.
  EXPECT_EQ(At(CalendarUnit::kDay, "Asia/Beirut", "2022-03-26 22:00:00"), "2022-03-26 22:00 - 2022-03-27 21:00");
  EXPECT_EQ(At(CalendarUnit::kDay, "Asia/Beirut", "2022-03-26 21:59:59"), "2022-03-25 22:00 - 2022-03-26 22:00");
  // Havana puts it back from 01:00 to midnight: the day begins at the first.
  EXPECT_EQ(At(CalendarUnit::kDay, "America/Havana", "2022-11-06 04:30:00"), "2022-11-06 04:00 - 2022-11-07 05:00");
  EXPECT_EQ(At(CalendarUnit::kDay, "America/Havana", "2022-11-06 05:30:00"), "2022-11-06 04:00 - 2022-11-07 05:00");
  EXPECT_EQ(At(CalendarUnit::kDay, "America/Havana", "2022-11-06 03:59:59"), "2022-11-05 04:00 - 2022-11-06 04:00");
  // Samoa had no 2011-12-30.
  EXPECT_EQ(At(CalendarUnit::kDay, "Pacific/Apia", "2011-12-30 09:59:59"), "2011-12-29 10:00 - 2011-12-30 10:00");
  EXPECT_EQ(At(CalendarUnit::kDay, "Pacific/Apia", "2011-12-30 10:00:00"), "2011-12-30 10:00 - 2011-12-31 10:00");
}

TEST(CalendarWindows, WeeksBeginOnMondayMonthsQuartersAndYearsOnTheirFirst) {
  EXPECT_EQ(At(CalendarUnit::kWeek, "Europe/Berlin", "2025-03-30 12:00:00"), "2025-03-23 23:00 - 2025-03-30 22:00");
  EXPECT_EQ(At(CalendarUnit::kMonth, "Europe/Berlin", "2024-02-29 23:30:00"), "2024-02-29 23:00 - 2024-03-31 22:00");
  EXPECT_EQ(At(CalendarUnit::kMonth, "Europe/Berlin", "2024-02-29 22:30:00"), "2024-01-31 23:00 - 2024-02-29 23:00");
  EXPECT_EQ(At(CalendarUnit::kQuarter, "UTC", "2025-12-31 23:59:59"), "2025-10-01 00:00 - 2026-01-01 00:00");
  EXPECT_EQ(At(CalendarUnit::kYear, "America/New_York", "2025-01-01 04:59:59"), "2024-01-01 05:00 - 2025-01-01 05:00");
}

TEST(CalendarWindows, AnOffsetMovesTheBeginningOnTheLocalClock) {
  EXPECT_EQ(At(CalendarUnit::kDay, "Europe/Berlin", "2025-03-30 03:59:59", 6 * kHour),
            "2025-03-29 05:00 - 2025-03-30 04:00");
  EXPECT_EQ(At(CalendarUnit::kDay, "Europe/Berlin", "2025-03-30 04:00:00", 6 * kHour),
            "2025-03-30 04:00 - 2025-03-31 04:00");
  // A beginning that the clock skips: 02:30 of that day is 03:00.
  EXPECT_EQ(At(CalendarUnit::kDay, "Europe/Berlin", "2025-03-30 01:00:00", 5 * kHour / 2),
            "2025-03-30 01:00 - 2025-03-31 00:30");
  EXPECT_EQ(At(CalendarUnit::kWeek, "UTC", "2025-03-30 00:00:00", 6 * kDay), "2025-03-30 00:00 - 2025-04-06 00:00");
  EXPECT_EQ(At(CalendarUnit::kWeek, "UTC", "2025-03-29 23:59:59", 6 * kDay), "2025-03-23 00:00 - 2025-03-30 00:00");
}

// Each moment lies in one window, whose borders are seen alike from all of it.
TEST(CalendarWindows, FollowEachOtherWithoutGapsOverlapsOrLoops) {
  const std::vector<const char*> zones = {"UTC",          "Europe/Berlin", "America/Havana",     "Asia/Beirut",
                                          "Pacific/Apia", "Asia/Kolkata",  "Australia/Lord_Howe"};
  for (const char* zone : zones) {
    for (const CalendarUnit unit :
         {CalendarUnit::kDay, CalendarUnit::kWeek, CalendarUnit::kMonth, CalendarUnit::kQuarter, CalendarUnit::kYear}) {
      for (const int64_t offset : {int64_t{0}, 5 * kHour / 2}) {
        const CalendarWindows windows = Windows(unit, zone, offset);
        CalendarWindows::Bounds before = windows.At(Utc("2010-01-01 00:00:00"));
        for (int i = 0; i < 1500; ++i) {
          const CalendarWindows::Bounds bounds = windows.At(before.end);
          ASSERT_EQ(bounds.start, before.end) << zone << " " << Text(bounds);
          ASSERT_LT(bounds.start, bounds.end);
          ASSERT_LE(bounds.end - bounds.start, CalendarWindows::LongestUs(unit)) << zone << " " << Text(bounds);
          for (const int64_t inside : {bounds.end - 1, bounds.start + (bounds.end - bounds.start) / 3}) {
            ASSERT_EQ(windows.At(inside).start, bounds.start) << zone;
            ASSERT_EQ(windows.At(inside).end, bounds.end) << zone;
          }
          before = bounds;
        }
      }
    }
  }
}

TEST(CalendarWindows, TheEndsOfTimeHaveWindowsToo) {
  for (const CalendarUnit unit : {CalendarUnit::kDay, CalendarUnit::kYear}) {
    const CalendarWindows windows = Windows(unit, "Europe/Berlin", kHour);
    EXPECT_EQ(windows.At(kMaxTime.us - 1).end, kMaxTime.us);
    EXPECT_EQ(windows.At(kMinTime.us + 1).start, kMinTime.us);
  }
}

TEST(CalendarWindow, ARowBelongsToItsDayAndTheDayClosesWithTheLocalMidnight) {
  WindowSpec spec =
      Spec(CalendarWindows::LongestUs(CalendarUnit::kDay), CalendarWindows::LongestUs(CalendarUnit::kDay), kHour);
  spec.calendar = std::make_shared<CalendarWindows>(Windows(CalendarUnit::kDay, "Europe/Berlin"));
  Harness h(SingleNode(spec));
  const int64_t start = Utc("2025-10-25 22:00:00"), end = Utc("2025-10-26 23:00:00");
  h.Process({Row("a", 1, start), Row("a", 1, end - 1), Row("a", 1, end), Row("a", 1, start - 1),
             Row("a", 1, end - 1, end + kHour - 1), Row("a", 1, end - 1, end + kHour)});
  EXPECT_EQ(h.ledger().late, 1);
  EXPECT_EQ(h.Advance(end + kHour - 1).us, end - kMillisecond - 1);
  EXPECT_EQ(h.out().rows.size(), 1u);
  h.Commit();
  h.Crash();
  EXPECT_EQ(h.Advance(end + kHour).us, end + kHour);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre(absl::StrCat("a|", start - kDay, "|", start, "|1"),
                                                   absl::StrCat("a|", start, "|", end, "|3")));
  EXPECT_EQ(h.out().rows[1].time, end - kMillisecond);
  h.CheckLedger();
}

}  // namespace
}  // namespace tidemark
