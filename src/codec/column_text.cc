#include "src/codec/column_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include <absl/strings/escaping.h>
#include <arrow/array/data.h>
#include <arrow/record_batch.h>

#include "src/base/digits.h"

namespace tidemark {
namespace {

// No value but strings and bytes is longer, quotes included.
constexpr size_t kMaxPlainValue = 64;

char* WriteInt(char* p, int64_t value) {
  auto magnitude = static_cast<uint64_t>(value);
  if (value < 0) {
    *p++ = '-';
    magnitude = 0 - magnitude;
  }
  return WriteDigits(p, magnitude);
}

// `value` in exactly `digits` digits.
char* WritePadded(char* p, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) p[i] = static_cast<char>('0' + value % 10);
  return p + digits;
}

char* WriteLiteral(char* p, std::string_view s) {
  std::memcpy(p, s.data(), s.size());
  return p + s.size();
}

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// The date of a day number in the proleptic Gregorian calendar. Years are counted from March, so that the leap day is a
// year's last day, in eras of 400 years; std::chrono's years end at 32767, a timestamp's don't.
char* WriteDate(char* p, int64_t days) {
  const int64_t shifted = days + 719468;  // since 0000-03-01
  const int64_t era = FloorDivide(shifted, 146097);
  const int64_t day_of_era = shifted - era * 146097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t from_march = (5 * day_of_year + 2) / 153;
  const int64_t month = from_march < 10 ? from_march + 3 : from_march - 9;
  const int64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
  // ISO 8601's expanded form, with a sign, for years that four digits don't hold; a date may need seven.
  if (year < 0 || year > 9999) {
    *p++ = year < 0 ? '-' : '+';
    const auto magnitude = static_cast<uint64_t>(year < 0 ? -year : year);
    p = WritePadded(p, magnitude, magnitude > 999'999 ? 7 : 6);
  } else {
    p = WritePadded(p, static_cast<uint64_t>(year), 4);
  }
  *p++ = '-';
  p = WritePadded(p, static_cast<uint64_t>(month), 2);
  *p++ = '-';
  return WritePadded(p, static_cast<uint64_t>(day_of_year - (153 * from_march + 2) / 5 + 1), 2);
}

char* WriteRfc3339(char* p, int64_t us) {
  constexpr int64_t kDay = 86'400'000'000;
  const int64_t days = FloorDivide(us, kDay);
  const int64_t of_day = us % kDay + (us % kDay < 0 ? kDay : 0);  // `days * kDay` may not fit
  const int64_t seconds = of_day / 1'000'000, fraction = of_day % 1'000'000;
  p = WriteDate(p, days);
  *p++ = 'T';
  p = WritePadded(p, static_cast<uint64_t>(seconds / 3600), 2);
  *p++ = ':';
  p = WritePadded(p, static_cast<uint64_t>(seconds / 60 % 60), 2);
  *p++ = ':';
  p = WritePadded(p, static_cast<uint64_t>(seconds % 60), 2);
  if (fraction != 0) {
    *p++ = '.';
    p = fraction % 1000 == 0 ? WritePadded(p, static_cast<uint64_t>(fraction / 1000), 3)
                             : WritePadded(p, static_cast<uint64_t>(fraction), 6);
  }
  *p++ = 'Z';
  return p;
}

char* WriteTimestamp(char* p, int64_t us, TimestampForm form) {
  switch (form) {
    case TimestampForm::kRfc3339:
      return WriteRfc3339(p, us);
    case TimestampForm::kSeconds:
      return WriteInt(p, FloorDivide(us, 1'000'000));
    case TimestampForm::kMillis:
      return WriteInt(p, FloorDivide(us, 1'000));
    case TimestampForm::kMicros:
      return WriteInt(p, us);
  }
  return p;
}

char* WriteDecimal(char* p, const uint8_t* bytes, int scale) {
  __int128 signed_value = 0;
  std::memcpy(&signed_value, bytes, sizeof(signed_value));
  const bool negative = signed_value < 0;
  unsigned __int128 value =
      negative ? -static_cast<unsigned __int128>(signed_value) : static_cast<unsigned __int128>(signed_value);
  char digits[48];
  int n = 0;
  for (; value != 0 || n <= scale; value /= 10) digits[n++] = static_cast<char>('0' + static_cast<int>(value % 10));
  if (negative) *p++ = '-';
  while (n > scale) *p++ = digits[--n];
  if (scale > 0) *p++ = '.';
  while (n > 0) *p++ = digits[--n];
  return p;
}

char* WriteDouble(char* p, double value, bool quoted) {
  if (std::isfinite(value)) return std::to_chars(p, p + 32, value).ptr;
  if (quoted) *p++ = '"';
  p = WriteLiteral(p, std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
  if (quoted) *p++ = '"';
  return p;
}

template <typename T>
T At(const ColumnView& column, int64_t row) {
  T value;
  std::memcpy(&value, column.values + row * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

// Everything but strings and bytes.
char* WriteFixed(const ColumnView& column, int64_t row, bool quoted, char* p) {
  switch (column.type.kind) {
    case Kind::kBool: {
      const int64_t bit = column.offset + row;
      return WriteLiteral(p, column.values[bit >> 3] >> (bit & 7) & 1 ? "true" : "false");
    }
    case Kind::kInt32:
      return WriteInt(p, At<int32_t>(column, row));
    case Kind::kInt64:
      return WriteInt(p, At<int64_t>(column, row));
    case Kind::kDouble:
      return WriteDouble(p, At<double>(column, row), quoted);
    case Kind::kDecimal:
      return WriteDecimal(p, column.values + row * 16, column.type.scale);
    case Kind::kDate:
    case Kind::kTimestamp: {
      const bool text = column.type.kind == Kind::kDate || column.type.form == TimestampForm::kRfc3339;
      if (text && quoted) *p++ = '"';
      p = column.type.kind == Kind::kDate ? WriteDate(p, At<int32_t>(column, row))
                                          : WriteTimestamp(p, At<int64_t>(column, row), column.type.form);
      if (text && quoted) *p++ = '"';
      return p;
    }
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kJson:
      break;
  }
  return p;
}

std::string Base64(std::string_view bytes) {
  std::string text;
  absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()), &text);
  return text;
}

bool NeedsEscape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

// Whether one of eight bytes needs an escape: a quote, a backslash or a control character.
bool AnyNeedsEscape(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
  const uint64_t quote = word ^ kOnes * '"', backslash = word ^ kOnes * '\\';
  const uint64_t found =
      ((word - kOnes * 0x20) & ~word) | ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash);
  return (found & kHigh) != 0;
}

char* WriteEscape(char* p, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  *p++ = '\\';
  switch (c) {
    case '"':
      *p++ = '"';
      return p;
    case '\\':
      *p++ = '\\';
      return p;
    case '\n':
      *p++ = 'n';
      return p;
    case '\r':
      *p++ = 'r';
      return p;
    case '\t':
      *p++ = 't';
      return p;
    case '\b':
      *p++ = 'b';
      return p;
    case '\f':
      *p++ = 'f';
      return p;
    default:
      p = WriteLiteral(p, "u00");
      *p++ = kHex[static_cast<unsigned char>(c) >> 4];
      *p++ = kHex[static_cast<unsigned char>(c) & 15];
      return p;
  }
}

}  // namespace

void TextBuffer::Append(std::string_view s) { SetEnd(WriteLiteral(Reserve(s.size()), s)); }

void TextBuffer::Grow(size_t bytes) { text_->resize(std::max(text_->size() * 2, size_ + bytes + 256)); }

ColumnView ViewColumn(const Type& type, const arrow::ArrayData& data) {
  ColumnView view;
  view.type = type;
  view.offset = data.offset;
  if (data.GetNullCount() > 0) view.validity = data.buffers[0]->data();
  switch (type.kind) {
    case Kind::kBool:
      view.values = data.GetValues<uint8_t>(1, 0);
      break;
    case Kind::kInt32:
    case Kind::kDate:
      view.values = reinterpret_cast<const uint8_t*>(data.GetValues<int32_t>(1));
      break;
    case Kind::kInt64:
    case Kind::kDouble:
    case Kind::kTimestamp:
      view.values = reinterpret_cast<const uint8_t*>(data.GetValues<int64_t>(1));
      break;
    case Kind::kDecimal:
      view.values = data.GetValues<uint8_t>(1, data.offset * 16);
      break;
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kJson:
      view.text_offsets = data.GetValues<int32_t>(1);
      view.text = data.GetValues<char>(2, 0);
  }
  return view;
}

void WriteJsonValue(const ColumnView& column, int64_t row, TextBuffer* out) {
  if (column.IsNull(row)) return out->Append("null");
  if (column.type.kind == Kind::kString) return WriteJsonString(column.Text(row), out);
  if (column.type.kind == Kind::kBytes) return WriteJsonString(Base64(column.Text(row)), out);
  if (column.type.kind == Kind::kJson) return out->Append(column.Text(row));
  out->SetEnd(WriteFixed(column, row, true, out->Reserve(kMaxPlainValue)));
}

void WritePlainText(const ColumnView& column, int64_t row, TextBuffer* out) {
  if (column.type.kind == Kind::kString || column.type.kind == Kind::kJson) return out->Append(column.Text(row));
  if (column.type.kind == Kind::kBytes) return out->Append(Base64(column.Text(row)));
  out->SetEnd(WriteFixed(column, row, false, out->Reserve(kMaxPlainValue)));
}

void WriteJsonString(std::string_view s, TextBuffer* out) {
  char* p = out->Reserve(s.size() + 2 + 8);
  *p++ = '"';
  size_t i = 0;
  for (; i + 8 <= s.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, s.data() + i, 8);
    if (AnyNeedsEscape(word)) break;
    std::memcpy(p, &word, 8);
    p += 8;
  }
  for (; i < s.size() && !NeedsEscape(s[i]); ++i) *p++ = s[i];
  if (i < s.size()) {
    // At worst every byte left becomes six.
    out->SetEnd(p);
    p = out->Reserve((s.size() - i) * 6 + 1);
    for (; i < s.size(); ++i) {
      if (NeedsEscape(s[i])) {
        p = WriteEscape(p, s[i]);
      } else {
        *p++ = s[i];
      }
    }
  }
  *p++ = '"';
  out->SetEnd(p);
}

std::string DecimalText(__int128 digits, int scale) {
  char text[kMaxPlainValue];
  const bool plain = scale >= 0 && scale <= 38;
  const std::string written(text, WriteDecimal(text, reinterpret_cast<const uint8_t*>(&digits), plain ? scale : 0));
  return plain ? written : absl::StrCat(written, "E", -static_cast<int64_t>(scale));
}

std::string TimestampText(int64_t us, TimestampForm form) {
  char text[kMaxPlainValue];
  return std::string(text, WriteTimestamp(text, us, form));
}

std::vector<ColumnView> ViewColumns(const Schema& schema, const arrow::RecordBatch& rows) {
  std::vector<ColumnView> views;
  views.reserve(schema.size());
  for (size_t c = 0; c < schema.size(); ++c) {
    views.push_back(ViewColumn(schema[c].type, *rows.column_data(static_cast<int>(c))));
  }
  return views;
}

}  // namespace tidemark
