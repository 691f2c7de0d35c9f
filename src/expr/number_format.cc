#include "src/expr/number_format.h"

#include <algorithm>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

namespace tidemark::internal {

absl::StatusOr<NumberFormat> NumberFormat::Parse(std::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("a format is empty");
  NumberFormat format;
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = absl::ascii_toupper(text[at]);
    Item item;
    if (text[at] == '"') {
      quoted = !quoted;
      continue;
    }
    if (quoted || (!absl::ascii_isalnum(c) && c != '.' && c != ',' && c != '$')) {
      item.text = text[at];
    } else if (c == '9' || c == '0') {
      item.what = c;
      const int place = format.whole_ + format.places_;
      if (c == '0' && !format.point_ && format.first_zero_ < 0) format.first_zero_ = place;
      if (c == '0') format.last_zero_ = place + 1;
      ++(format.point_ ? format.places_ : format.whole_);
    } else if (c == '.' || c == 'D') {
      if (format.point_) return absl::InvalidArgumentError("multiple decimal points in a format");
      item.what = '.';
      format.point_ = true;
    } else if (c == ',' || c == 'G') {
      item.what = ',';
    } else if (c == 'F' && at + 1 < text.size() && absl::ascii_toupper(text[at + 1]) == 'M') {
      format.fill_mode_ = true;
      ++at;
      continue;
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", std::string(text.substr(at, 1)),
          "' in a number's format isn't supported: there are 9, 0, a point (D), a comma (G), FM and \"text\""));
    }
    format.items_.push_back(std::move(item));
  }
  if (format.whole_ + format.places_ > 100) return absl::InvalidArgumentError("a format of more than 100 digits");
  return format;
}

// The state of one number on its way through the items; PostgreSQL's rules, position by position.
struct NumberFormat::Walk {
  const NumberFormat& format;
  std::string_view number;  // digits, perhaps a point and digits
  bool negative;
  int blanks;  // positions in front of the number's first digit
  std::string* out;
  size_t next = 0;                                // of number
  size_t last_relevant = std::string_view::npos;  // of number: with FM, what stands behind is left out
  int position = 0;
  bool digits_begun = false;
  bool sign_written = false;

  bool relevant_is_point() const { return last_relevant != std::string_view::npos && number[last_relevant] == '.'; }
  // The zero in front of a point that has nothing else before it: "9.9" writes 0.1 as " .1".
  bool zero_before_point() const {
    return format.first_zero_ < 0 && next == 0 && number.starts_with('0') && format.places_ > 0;
  }

  void Sign() {
    const bool at_number = position >= blanks || format.first_zero_ == position;
    if (sign_written || !at_number || (zero_before_point() && !relevant_is_point())) return;
    if (negative) {
      *out += '-';
    } else if (!format.fill_mode_) {
      *out += ' ';
    }
    sign_written = true;
  }

  void Digit(char what) {
    Sign();
    const bool zeros = format.first_zero_ >= 0 && format.first_zero_ <= position;
    if (position < blanks && !zeros) {
      if (!format.fill_mode_) *out += ' ';
    } else if (position < blanks) {
      *out += '0';
      digits_begun = true;
    } else if (next < number.size()) {
      Write(what);
      ++next;
    }
    ++position;
  }

  void Write(char what) {
    if (number[next] == '.') {
      *out += '.';
    } else if (last_relevant != std::string_view::npos && next > last_relevant && what != '0') {
      // A trailing zero that FM leaves out.
    } else if (zero_before_point()) {
      if (!format.fill_mode_) {
        *out += ' ';
      } else if (relevant_is_point()) {
        *out += '0';
      }
    } else {
      *out += number[next];
      digits_begun = true;
    }
  }

  void Group() {
    if (digits_begun) {
      *out += ',';
    } else if (!format.fill_mode_) {
      *out += ' ';
    }
  }
};

void NumberFormat::Append(bool negative, std::string_view digits, std::string* out) const {
  std::string number(digits);
  auto whole = static_cast<int>(std::min(number.find('.'), number.size()));
  if (whole > whole_) {  // doesn't fit
    number = std::string(static_cast<size_t>(whole_), '#') + "." + std::string(static_cast<size_t>(places_), '#');
    whole = whole_;
  }
  Walk walk{*this, number, negative, whole_ - whole, out};
  walk.sign_written = fill_mode_ && !negative;
  const size_t point = number.find('.');
  if (fill_mode_ && point_ && point != std::string::npos) {
    walk.last_relevant = std::max(point, number.find_last_not_of('0'));
    if (last_zero_ > walk.blanks) {
      walk.last_relevant =
          std::max(walk.last_relevant, std::min(number.size() - 1, static_cast<size_t>(last_zero_ - walk.blanks)));
    }
  }
  for (const Item& item : items_) {
    if (item.what == 'x') {
      out->append(item.text);
    } else if (item.what == ',') {
      walk.Group();
    } else {
      walk.Digit(item.what);
    }
  }
}

}  // namespace tidemark::internal
