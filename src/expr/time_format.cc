#include "src/expr/time_format.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "src/expr/calendar.h"

namespace tidemark::internal {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr size_t kShort = 3;   // letters of an abbreviation
constexpr size_t kPadded = 9;  // letters that the longest name has

bool IsSeparator(std::string_view text) {
  return text.size() == 1 && text[0] > 0x20 && text[0] < 0x7F && !absl::ascii_isalnum(text[0]);
}

}  // namespace

// The longer ones first.
const TimeFormat::Keyword TimeFormat::kKeywords[] = {
    {"MONTH", Field::kMonthName, Letters::kUpper, 0, true},
    {"Month", Field::kMonthName, Letters::kCapital, 0, true},
    {"month", Field::kMonthName, Letters::kLower, 0, true},
    {"SSSSS", Field::kSecondOfDay, Letters::kUpper, 5, false},
    {"SSSS", Field::kSecondOfDay, Letters::kUpper, 5, false},
    {"YYYY", Field::kYear, Letters::kUpper, 4, true},
    {"HH24", Field::kHour24, Letters::kUpper, 2, true},
    {"HH12", Field::kHour12, Letters::kUpper, 2, true},
    {"IYYY", Field::kIsoYear, Letters::kUpper, 4, false},
    {"DAY", Field::kDayName, Letters::kUpper, 0, true},
    {"Day", Field::kDayName, Letters::kCapital, 0, true},
    {"day", Field::kDayName, Letters::kLower, 0, true},
    {"DDD", Field::kDayOfYear, Letters::kUpper, 3, true},
    {"MON", Field::kMonthShort, Letters::kUpper, 0, true},
    {"Mon", Field::kMonthShort, Letters::kCapital, 0, true},
    {"mon", Field::kMonthShort, Letters::kLower, 0, true},
    {"TZH", Field::kZoneHours, Letters::kUpper, 2, false},
    {"TZM", Field::kZoneMinutes, Letters::kUpper, 2, false},
    {"AM", Field::kMeridiem, Letters::kUpper, 0, true},
    {"am", Field::kMeridiem, Letters::kLower, 0, true},
    {"PM", Field::kMeridiem, Letters::kUpper, 0, true},
    {"pm", Field::kMeridiem, Letters::kLower, 0, true},
    {"DD", Field::kDay, Letters::kUpper, 2, true},
    {"DY", Field::kDayShort, Letters::kUpper, 0, true},
    {"Dy", Field::kDayShort, Letters::kCapital, 0, true},
    {"dy", Field::kDayShort, Letters::kLower, 0, true},
    {"HH", Field::kHour12, Letters::kUpper, 2, true},
    {"ID", Field::kIsoWeekday, Letters::kUpper, 1, false},
    {"IW", Field::kIsoWeek, Letters::kUpper, 2, false},
    {"MI", Field::kMinute, Letters::kUpper, 2, true},
    {"MM", Field::kMonth, Letters::kUpper, 2, true},
    {"MS", Field::kMillis, Letters::kUpper, 3, true},
    {"OF", Field::kOffset, Letters::kUpper, 0, false},
    {"SS", Field::kSecond, Letters::kUpper, 2, true},
    {"TZ", Field::kZone, Letters::kUpper, 0, false},
    {"tz", Field::kZone, Letters::kLower, 0, false},
    {"US", Field::kMicros, Letters::kUpper, 6, true},
    {"WW", Field::kWeekOfYear, Letters::kUpper, 2, false},
    {"YY", Field::kYearOfCentury, Letters::kUpper, 2, true},
    {"D", Field::kWeekday, Letters::kUpper, 1, false},
    {"Q", Field::kQuarter, Letters::kUpper, 1, false},
    {"W", Field::kWeekOfMonth, Letters::kUpper, 1, false},
};

const TimeFormat::Keyword* TimeFormat::FindKeyword(std::string_view text) {
  for (const Keyword& keyword : kKeywords) {
    if (text.starts_with(keyword.name)) return &keyword;
    // Numbers have no letters of their own: yyyy is YYYY.
    const bool number =
        keyword.digits > 0 && keyword.field != Field::kZoneHours && keyword.field != Field::kZoneMinutes;
    if (!number || text.size() < keyword.name.size()) continue;
    const std::string lower = absl::AsciiStrToLower(absl::string_view(keyword.name.data(), keyword.name.size()));
    if (text.starts_with(lower)) return &keyword;
  }
  return nullptr;
}

absl::StatusOr<TimeFormat> TimeFormat::Parse(std::string_view text, bool reading) {
  if (text.empty()) return absl::InvalidArgumentError("a format is empty");
  TimeFormat format;
  auto refuse = [&](std::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("'", std::string(what), "' in a format isn't supported",
                                                   reading ? " for reading" : "",
                                                   "; text that isn't a field stands in double quotes"));
  };
  bool quoted = false;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      quoted = !quoted;
      ++at;
      continue;
    }
    Item item;
    item.quoted = quoted;
    const std::string_view rest = text.substr(at);
    const bool escaped = rest[0] == '\\' && rest.size() > 1 && (quoted || rest[1] == '"');
    if (!quoted && absl::ascii_isalpha(rest[0])) {
      item.fill_mode = rest.starts_with("FM") || rest.starts_with("fm");
      const std::string_view word = rest.substr(item.fill_mode ? 2 : 0);
      item.keyword = FindKeyword(word);
      if (item.keyword == nullptr || (reading && !item.keyword->readable)) {
        size_t end = 0;
        while (end < rest.size() && absl::ascii_isalnum(rest[end])) ++end;
        return refuse(rest.substr(0, end));
      }
      for (const Item& other : format.items_) {
        if (reading && other.keyword != nullptr && other.keyword->field == item.keyword->field) {
          return absl::InvalidArgumentError(
              absl::StrCat("'", std::string(item.keyword->name), "' stands twice in a format"));
        }
      }
      at += (item.fill_mode ? 2 : 0) + item.keyword->name.size();
    } else {
      if (escaped) ++at;
      size_t end = at + 1;
      while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
      item.text = text.substr(at, end - at);
      item.quoted = item.quoted || escaped;
      at = end;
    }
    format.items_.push_back(std::move(item));
  }
  return format;
}

namespace {

void AppendName(std::string_view name, int letters, bool padded, std::string* out) {
  std::string text(name);
  if (letters == 0) absl::AsciiStrToUpper(&text);
  if (letters == 2) absl::AsciiStrToLower(&text);
  if (padded && text.size() < kPadded) text.append(kPadded - text.size(), ' ');
  out->append(text);
}

}  // namespace

void TimeFormat::Append(int64_t us_since_epoch, bool local, std::string* out) const {
  const int64_t days = FloorDiv(us_since_epoch, kUsPerDay), us = FloorMod(us_since_epoch, kUsPerDay);
  const CivilDay civil = ToCivil(days);
  const int64_t seconds = us / kUsPerSecond, hour = seconds / 3600;
  const int64_t day_of_year = days - FromCivil({civil.year, 1, 1}) + 1;
  auto christian = [](int64_t year) { return year <= 0 ? 1 - year : year; };
  for (const Item& item : items_) {
    if (item.keyword == nullptr) {
      out->append(item.text);
      continue;
    }
    auto number = [&](int64_t value, int width) {
      absl::StrAppendFormat(out, "%0*d", item.fill_mode ? 0 : width, value);
    };
    const int letters = static_cast<int>(item.keyword->letters);
    const bool padded = !item.fill_mode;
    switch (item.keyword->field) {
      case Field::kYear:
        number(christian(civil.year), 4);
        break;
      case Field::kYearOfCentury:
        number(christian(civil.year) % 100, 2);
        break;
      case Field::kIsoYear:
        number(christian(IsoYear(days)), 4);
        break;
      case Field::kMonth:
        number(civil.month, 2);
        break;
      case Field::kMonthName:
        AppendName(kMonths[static_cast<size_t>(civil.month - 1)], letters, padded, out);
        break;
      case Field::kMonthShort:
        AppendName(kMonths[static_cast<size_t>(civil.month - 1)].substr(0, kShort), letters, false, out);
        break;
      case Field::kDay:
        number(civil.day, 2);
        break;
      case Field::kDayOfYear:
        number(day_of_year, 3);
        break;
      case Field::kDayName:
        AppendName(kDays[static_cast<size_t>(IsoWeekday(days) % 7)], letters, padded, out);
        break;
      case Field::kDayShort:
        AppendName(kDays[static_cast<size_t>(IsoWeekday(days) % 7)].substr(0, kShort), letters, false, out);
        break;
      case Field::kWeekday:
        absl::StrAppend(out, IsoWeekday(days) % 7 + 1);
        break;
      case Field::kIsoWeekday:
        absl::StrAppend(out, IsoWeekday(days));
        break;
      case Field::kHour24:
        number(hour, 2);
        break;
      case Field::kHour12:
        number(hour % 12 == 0 ? 12 : hour % 12, 2);
        break;
      case Field::kMinute:
        number(seconds / 60 % 60, 2);
        break;
      case Field::kSecond:
        number(seconds % 60, 2);
        break;
      case Field::kMillis:
        absl::StrAppendFormat(out, "%03d", us % kUsPerSecond / 1'000);
        break;
      case Field::kMicros:
        absl::StrAppendFormat(out, "%06d", us % kUsPerSecond);
        break;
      case Field::kSecondOfDay:
        absl::StrAppend(out, seconds);
        break;
      case Field::kMeridiem:
        AppendName(hour < 12 ? "AM" : "PM", letters, false, out);
        break;
      case Field::kQuarter:
        absl::StrAppend(out, (civil.month + 2) / 3);
        break;
      case Field::kIsoWeek:
        number(IsoWeek(days), 2);
        break;
      case Field::kWeekOfYear:
        number((day_of_year - 1) / 7 + 1, 2);
        break;
      case Field::kWeekOfMonth:
        absl::StrAppend(out, (civil.day - 1) / 7 + 1);
        break;
      case Field::kZone:
        if (!local) AppendName("UTC", letters, false, out);
        break;
      case Field::kZoneHours:
        out->append("+00");
        break;
      case Field::kZoneMinutes:
        out->append("00");
        break;
      case Field::kOffset:
        out->append(item.fill_mode ? "+0" : "+00");
        break;
    }
  }
}

// Whether a field of digits or a digit stands right behind an item, so that this one has a fixed width.
bool TimeFormat::DigitsFollow(size_t item) const {
  if (item + 1 >= items_.size()) return false;
  const Item& next = items_[item + 1];
  if (next.keyword != nullptr) return next.keyword->digits > 0;
  return next.text.size() == 1 && absl::ascii_isdigit(next.text[0]);
}

// What a text has given so far.
struct TimeFormat::Fields {
  int year = 0, month = 0, day = 0, day_of_year = 0;
  int hour = 0, minute = 0, second = 0, ms = 0, us = 0;
  bool twelve_hours = false, afternoon = false;

  std::optional<Point> Finish(std::string_view text, std::string* error) const;
};

// One text on its way through the items.
class TimeFormat::Reader {
 public:
  Reader(const TimeFormat& format, std::string_view text, std::string* error)
      : format_(format), text_(text), rest_(text), error_(error) {}

  bool Run(Fields* out) {
    for (size_t i = 0; i < format_.items_.size() && !rest_.empty(); ++i) {
      const Item& item = format_.items_[i];
      if (item.keyword != nullptr || i == 0) SkipBlanks();
      if (item.keyword == nullptr) {
        Between(item);
        continue;
      }
      if (!Read(i, out)) return false;
      skipped_ = 0;
      SkipBlanks();
    }
    return true;
  }

 private:
  bool Fail(std::string message) {
    *error_ = std::move(message);
    return false;
  }

  void SkipBlanks() {
    while (!rest_.empty() && absl::ascii_isspace(rest_[0])) {
      rest_.remove_prefix(1);
      ++skipped_;
    }
  }

  // A separator stands for one, or for none; any other character for any one, unless blanks were skipped for it.
  void Between(const Item& item) {
    if (!item.quoted && (IsSeparator(item.text) || absl::ascii_isspace(item.text[0]))) {
      --skipped_;
      if (!rest_.empty() && (absl::ascii_isspace(rest_[0]) || IsSeparator(rest_.substr(0, 1)))) {
        rest_.remove_prefix(1);
        ++skipped_;
      }
    } else if (skipped_ > 0) {
      --skipped_;
    } else if (!rest_.empty()) {
      size_t size = 1;
      while (size < rest_.size() && (static_cast<unsigned char>(rest_[size]) & 0xC0) == 0x80) ++size;
      rest_.remove_prefix(size);
    }
  }

  // How many characters the number takes; 0 and the error where there is none.
  size_t Number(size_t item, int* out) {
    const std::string name(format_.items_[item].keyword->name);
    const auto width = static_cast<size_t>(format_.items_[item].keyword->digits);
    while (!rest_.empty() && absl::ascii_isspace(rest_[0])) rest_.remove_prefix(1);
    const bool fixed = !format_.items_[item].fill_mode && format_.DigitsFollow(item);
    if (fixed && rest_.size() < width) {
      return Fail(absl::StrCat("source string too short for \"", name, "\" formatting field")), 0;
    }
    const std::string excerpt(rest_.substr(0, width));
    const std::string digits(fixed ? rest_.substr(0, width) : rest_.substr(0, 24));
    char* end = nullptr;
    errno = 0;
    const long value = std::strtol(digits.c_str(), &end, 10);
    const auto used = static_cast<size_t>(end - digits.c_str());
    if (used == 0 || (fixed && used < width)) {
      return Fail(absl::StrCat("invalid value \"", excerpt, "\" for \"", name, "\"")), 0;
    }
    if (errno == ERANGE || value < INT_MIN || value > INT_MAX) {
      return Fail(absl::StrCat("value for \"", name, "\" in source string is out of range")), 0;
    }
    rest_.remove_prefix(used);
    *out = static_cast<int>(value);
    return used;
  }

  template <size_t kSize>
  bool Name(const Keyword& keyword, const std::array<std::string_view, kSize>& names, size_t letters, int* out) {
    for (size_t i = 0; i < kSize; ++i) {
      const std::string_view name = names[i].substr(0, letters);
      if (!absl::StartsWithIgnoreCase(absl::string_view(rest_.data(), rest_.size()),
                                      absl::string_view(name.data(), name.size()))) {
        continue;
      }
      rest_.remove_prefix(name.size());
      *out = static_cast<int>(i);
      return true;
    }
    const std::string word(rest_.begin(), std::find_if(rest_.begin(), rest_.end(), absl::ascii_isspace));
    return Fail(absl::StrCat("invalid value \"", word, "\" for \"", std::string(keyword.name), "\""));
  }

  bool Read(size_t i, Fields* out) {
    static constexpr std::array<std::string_view, 2> kMeridiems = {"AM", "PM"};
    const Keyword& keyword = *format_.items_[i].keyword;
    int value = 0;
    size_t used = 0;
    switch (keyword.field) {
      case Field::kYear:
        return Number(i, &out->year) > 0;
      case Field::kYearOfCentury:
        if ((used = Number(i, &out->year)) == 0) return false;
        // The year nearest to 2020.
        if (used < 4) out->year += out->year < 70 ? 2000 : out->year < 100 ? 1900 : out->year < 520 ? 2000 : 1000;
        return true;
      case Field::kMonth:
        return Number(i, &out->month) > 0;
      case Field::kMonthName:
      case Field::kMonthShort:
        if (!Name(keyword, kMonths, keyword.field == Field::kMonthShort ? kShort : kPadded, &value)) return false;
        out->month = value + 1;
        return true;
      case Field::kDay:
        return Number(i, &out->day) > 0;
      case Field::kDayOfYear:
        return Number(i, &out->day_of_year) > 0;
      case Field::kDayName:
      case Field::kDayShort:
        return Name(keyword, kDays, keyword.field == Field::kDayShort ? kShort : kPadded, &value);
      case Field::kHour12:
        out->twelve_hours = true;
        return Number(i, &out->hour) > 0;
      case Field::kHour24:
        return Number(i, &out->hour) > 0;
      case Field::kMinute:
        return Number(i, &out->minute) > 0;
      case Field::kSecond:
        return Number(i, &out->second) > 0;
      case Field::kMillis:
        // 25 and 250 are a quarter of a second, 025 isn't.
        if ((used = Number(i, &out->ms)) == 0) return false;
        for (; used < 3; ++used) out->ms *= 10;
        return true;
      case Field::kMicros:
        if ((used = Number(i, &out->us)) == 0) return false;
        for (; used < 6; ++used) out->us *= 10;
        return true;
      case Field::kMeridiem:
        if (!Name(keyword, kMeridiems, 2, &value)) return false;
        out->twelve_hours = true;
        out->afternoon = value == 1;
        return true;
      default:
        return Fail("this field can't be read");  // Parse refuses it
    }
  }

  const TimeFormat& format_;
  std::string_view text_, rest_;
  std::string* error_;
  int skipped_ = 0;  // blanks that the template hasn't asked for yet
};

// A month or day of 0 counts as not given.
std::optional<TimeFormat::Point> TimeFormat::Fields::Finish(std::string_view text, std::string* error) const {
  auto out_of_range = [&] {
    *error = absl::StrCat("date/time field value out of range: \"", std::string(text), "\"");
    return std::nullopt;
  };
  int64_t hours = hour;
  if (twelve_hours) {
    if (hour < 1 || hour > 12) {
      *error = absl::StrCat("hour \"", hour, "\" is invalid for the 12-hour clock");
      return std::nullopt;
    }
    hours = hour % 12 + (afternoon ? 12 : 0);
  }
  CivilDay civil{year < 0 ? year + 1 : year, month == 0 ? 1 : month, day == 0 ? 1 : day};
  bool full = month != 0 && day != 0;
  if (day_of_year != 0 && (civil.month <= 1 || civil.day <= 1)) {
    if (year == 0) {
      *error = "cannot calculate day of year without year information";
      return std::nullopt;
    }
    const int64_t length = FromCivil({civil.year + 1, 1, 1}) - FromCivil({civil.year, 1, 1});
    if (day_of_year < 1 || day_of_year > length) return out_of_range();
    const CivilDay of_year = ToCivil(FromCivil({civil.year, 1, 1}) + day_of_year - 1);
    if (civil.month <= 1) civil.month = of_year.month;
    if (civil.day <= 1) civil.day = of_year.day;
    full = true;
  }
  const int64_t fraction = int64_t{ms} * 1'000 + us;
  const bool bad_date = civil.month < 1 || civil.month > 12 || civil.day < 1 || civil.day > 31 ||
                        (full && year != 0 && civil.day > DaysInMonth(civil.year, civil.month));
  const bool bad_time = hours < 0 || hours > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 ||
                        fraction < 0 || fraction >= kUsPerSecond;
  if (bad_date || bad_time) return out_of_range();
  return Point{FromCivil(civil), ((hours * 60 + minute) * 60 + second) * kUsPerSecond + fraction};
}

std::optional<TimeFormat::Point> TimeFormat::Read(std::string_view text, std::string* error) const {
  Fields fields;
  if (!Reader(*this, text, error).Run(&fields)) return std::nullopt;
  return fields.Finish(text, error);
}

}  // namespace tidemark::internal
