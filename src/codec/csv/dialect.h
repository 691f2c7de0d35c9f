// How a CSV is written: RFC 4180 and its relatives, as a topology's options say.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/plan/format_spec.h"

namespace tidemark {

struct CsvDialect {
  char delimiter = ',';
  std::optional<char> quote = '"';  // none: no field is quoted, and a quote is a character like others
  bool header = false;              // the first line names the columns
  bool trim = false;                // blanks and tabs around a field without quotes don't belong to it
  std::string null;                 // a field without quotes that reads so is no value
};

// The options that say so, and what is wrong with them: which one and why.
std::vector<std::string_view> CsvOptions();
struct CsvMistake {
  std::string option, reason;
};
std::optional<CsvMistake> ReadDialect(const FormatSpec& spec, CsvDialect* out);

}  // namespace tidemark
