// The templates of to_char, to_date and to_timestamp ('YYYY-MM-DD HH24:MI:SS'): those parts of PostgreSQL's that people
// write; others are refused by name. Reading is as lenient as PostgreSQL's: what stands between fields needn't be what
// the template has there, and text behind the last one is passed over. Immutable, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace tidemark::internal {

class TimeFormat {
 public:
  // With `reading`, only what a time can be made from.
  static absl::StatusOr<TimeFormat> Parse(std::string_view text, bool reading);

  // A local time has no zone to name.
  void Append(int64_t us, bool local, std::string* out) const;
  // The days since 1970 and the microseconds of the day; nothing, and the row's error, where the text isn't a time.
  struct Point {
    int64_t days = 0, us = 0;
  };
  std::optional<Point> Read(std::string_view text, std::string* error) const;

 private:
  enum class Field {
    kYear,
    kYearOfCentury,
    kMonth,
    kMonthName,
    kMonthShort,
    kDay,
    kDayOfYear,
    kDayName,
    kDayShort,
    kWeekday,
    kIsoWeekday,
    kHour24,
    kHour12,
    kMinute,
    kSecond,
    kMillis,
    kMicros,
    kSecondOfDay,
    kMeridiem,
    kQuarter,
    kIsoYear,
    kIsoWeek,
    kWeekOfYear,
    kWeekOfMonth,
    kZone,
    kZoneHours,
    kZoneMinutes,
    kOffset
  };
  enum class Letters { kUpper, kCapital, kLower };
  struct Keyword {
    std::string_view name;
    Field field;
    Letters letters;
    int digits;  // how many it reads where digits follow; 0 for names
    bool readable;
  };
  struct Item {
    const Keyword* keyword = nullptr;  // null: the text, one character of it
    bool fill_mode = false;            // FM: no padding
    bool quoted = false;
    std::string text;
  };
  static const Keyword kKeywords[];
  struct Fields;
  class Reader;

  static const Keyword* FindKeyword(std::string_view text);
  bool DigitsFollow(size_t item) const;

  std::vector<Item> items_;
};

}  // namespace tidemark::internal
