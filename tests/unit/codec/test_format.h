// A format that isn't one, for what only other formats than JSON do. A value is words: a number is a row with it,
// "-n" and "+n" are the two halves of a change, "bad" makes the record bad, and "?x" can be read once x is here.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include "src/codec/formats.h"
#include "src/codec/json/value_writer.h"
#include "src/codec/record_rows.h"

namespace tidemark::codec_test {

class WordReader final : public ValueReader {
 public:
  static std::set<std::string>& here() {
    static std::set<std::string> here;
    return here;
  }

  static bool& goes_on_after_bad() {
    static bool goes_on = false;
    return goes_on;
  }

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override {
    for (size_t i = first; i < last; ++i) {
      rows->BeginRecord(i);
      const std::string value(fetch.records()[i].value.value_or(""));
      for (const std::string& word : std::vector<std::string>(absl::StrSplit(value, ' ', absl::SkipEmpty()))) {
        if (word[0] == '?') {
          if (here().contains(word.substr(1))) continue;
          rows->Later(word.substr(1));
          return absl::OkStatus();
        }
        ColumnSet& columns = rows->BeginRow();
        const size_t sign = word[0] == '-' || word[0] == '+' ? 1 : 0;
        int64_t n = 0;
        if (!absl::SimpleAtoi(word.substr(sign), &n)) {
          rows->Reject("'" + word + "' isn't a word of this format");
          if (goes_on_after_bad()) continue;
          break;
        }
        if (columns.SetInt64(0, n)) return absl::InternalError("column 0 isn't an int64");
        if (!rows->EndRow(sign == 0 ? Op::kInsert : word[0] == '-' ? Op::kUpdateBefore : Op::kUpdateAfter)) break;
      }
    }
    return absl::OkStatus();
  }
};

// Where plans say JSON, this is read instead, and JSON is written.
class WordFormat final : public Format {
 public:
  std::string_view name() const override { return kJsonFormat; }
  bool holds_names() const override { return true; }
  std::string Types(FormatUse) const override { return "any type"; }
  bool Holds(const Type&, FormatUse) const override { return true; }
  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec&,
                                                          const std::vector<ReadTarget>&) const override {
    return std::make_unique<WordReader>();
  }
  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec&, const Schema& schema,
                                                          const std::vector<size_t>& columns) const override {
    return std::make_unique<JsonValueWriter>(schema, columns);
  }
};

// Nothing is here yet.
inline Formats Words() {
  static const auto& words = *new WordFormat();
  WordReader::here().clear();
  Formats formats;
  formats.Set(&words);
  return formats;
}

}  // namespace tidemark::codec_test
