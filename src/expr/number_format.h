// The templates of to_char for numbers ('FM999,990.00'): digits, groups and the point; what else PostgreSQL has is
// refused by name. Immutable, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace tidemark::internal {

class NumberFormat {
 public:
  static absl::StatusOr<NumberFormat> Parse(std::string_view text);

  // How many digits stand behind the point.
  int places() const { return places_; }
  // A number's digits, "0" and more before the point, and as many behind it as places() or fewer.
  void Append(bool negative, std::string_view digits, std::string* out) const;

 private:
  struct Walk;

  // '9', '0', '.', ',', or 'x' with the text.
  struct Item {
    char what = 'x';
    std::string text;
  };
  std::vector<Item> items_;
  int whole_ = 0, places_ = 0;
  int first_zero_ = -1;  // the position of the first 0 before the point
  int last_zero_ = 0;    // the position behind the last 0
  bool point_ = false;
  bool fill_mode_ = false;
};

}  // namespace tidemark::internal
