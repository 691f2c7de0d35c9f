// Which format values or keys of records have, as the plan holds it: the format's name and the options that it was
// given. Plain data; what the names mean, the formats know (src/plan/format_syntax.h, src/codec/format.h). A value;
// const access from any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark {

inline constexpr char kJsonFormat[] = "json";
inline constexpr char kTextFormat[] = "text";
inline constexpr char kBytesFormat[] = "bytes";

struct FormatSpec {
  FormatSpec() = default;  // none: nothing is read
  FormatSpec(std::string format) : name(std::move(format)) {}
  FormatSpec(const char* format) : name(format) {}

  std::string name;
  std::map<std::string, std::string, std::less<>> options;  // as they stand in the topology; checked

  bool none() const { return name.empty(); }
  // The option's text; `otherwise` where it wasn't given.
  std::string Option(std::string_view option, std::string_view otherwise = "") const {
    const auto found = options.find(option);
    return std::string(found == options.end() ? otherwise : std::string_view(found->second));
  }
  bool Is(std::string_view option) const { return Option(option) == "true"; }
  // "json"; "csv (delimiter ';', header true)".
  std::string ToString() const;

  friend bool operator==(const FormatSpec&, const FormatSpec&) = default;
};

}  // namespace tidemark
