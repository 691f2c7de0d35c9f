// CSV as RFC 4180 has it, with a header line: columns are found by name, so their order, and those that nobody named,
// don't matter. Quoted cells may hold delimiters, quotes (doubled) and lines' ends. Lines end in LF or CRLF.
//
// A cell is a value by its column's type: text where that is text, else what the text says ("007" and "+7" are 7). An
// empty cell is no value, unless it is quoted and the column is text.
#include <algorithm>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/codec/column_text.h"
#include "src/codec/csv/scanner.h"
#include "src/landing/cell.h"
#include "src/landing/file_records.h"
#include "src/landing/text_window.h"

namespace tidemark {
namespace {

class CsvRecords final : public FileRecords {
 public:
  CsvRecords(const SourcePlan& source, char delimiter, std::unique_ptr<FileContent> content)
      : source_(source), scanner_(CsvDialect{.delimiter = delimiter}), text_(std::move(content)) {}

  absl::Status Begin() {
    TM_ASSIGN_OR_RETURN(const bool some, NextRow());
    if (!some) return absl::InvalidArgumentError("line 1: the file is empty, and a header line is expected");
    if (!reason_.empty()) return absl::InvalidArgumentError("line 1: the header: " + reason_);
    std::vector<std::string> names;
    for (const CsvField& field : scanner_.fields()) names.emplace_back(field.text);
    header_ = names.size();
    for (const SourceColumn& column : source_.columns) {
      if (column.from != SourceColumn::From::kValue) continue;
      const std::string& name = column.path.front();
      const auto found = std::find(names.begin(), names.end(), name);
      if (found == names.end()) {
        if (column.column.nullable || column.default_value) continue;
        return absl::InvalidArgumentError(absl::StrCat("line 1: the header has no column '", name, "', which can't be ",
                                                       "missing; it has: ", absl::StrJoin(names, ", ")));
      }
      if (std::find(found + 1, names.end(), name) != names.end()) {
        return absl::InvalidArgumentError(absl::StrCat("line 1: the header has the column '", name, "' twice"));
      }
      targets_.push_back({static_cast<size_t>(found - names.begin()), column.column.type.kind, column.column.type.form,
                          JsonKey(name)});
    }
    text_.Use(scanner_.used());
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) override {
    for (int64_t taken = 0; taken < bytes; taken += static_cast<int64_t>(scanner_.used())) {
      TM_ASSIGN_OR_RETURN(const bool some, NextRow());
      if (!some) return false;
      const size_t cells = scanner_.fields().size(), used = scanner_.used();
      // A line with nothing in it is no record, where one would have several cells.
      if (reason_.empty() && cells != header_ && !scanner_.blank()) {
        reason_ = absl::StrCat(cells, cells == 1 ? " cell" : " cells", " where the header has ", header_);
      }
      if (!reason_.empty()) {
        const absl::string_view text(text_.rest().data(), used);
        out->push_back({text_.line(), std::string(absl::StripTrailingAsciiWhitespace(text)), reason_});
      } else if (!scanner_.blank() || header_ == 1) {
        out->push_back({text_.line(), ToJson(), ""});
      }
      text_.Use(used);
    }
    return true;
  }
  std::string hash() const override { return text_.hash(); }

 private:
  struct Target {
    size_t cell;
    Kind kind;
    TimestampForm form;
    std::string key;  // "name":
  };

  // Scans the record that begins at the rest; false: there is none. What is wrong with it alone is reason_.
  absl::StatusOr<bool> NextRow() {
    while (true) {
      scanner_.Start(text_.rest(), text_.ended());
      const CsvScanner::Next next = scanner_.Read();
      reason_ = next == CsvScanner::Next::kBad ? scanner_.reason() : "";
      if (next == CsvScanner::Next::kEnd) return false;
      if (next != CsvScanner::Next::kCut) return true;
      if (text_.rest().size() > kMaxFileRecord) {
        return absl::InvalidArgumentError(absl::StrCat("line ", text_.line(), ": a record that begins here is larger ",
                                                       "than ", kMaxFileRecord, " bytes: is a quote missing?"));
      }
      if (text_.ended()) {
        return absl::InvalidArgumentError(
            absl::StrCat("line ", text_.line(), ": a quoted cell of the record that begins here has no end"));
      }
      TM_RETURN_IF_ERROR(text_.More().status());
    }
  }

  std::string ToJson() {
    TextBuffer out(&json_);
    out.Append("{");
    bool first = true;
    for (const Target& target : targets_) {
      const CsvField& cell = scanner_.fields()[target.cell];
      if (cell.text.empty() && !(cell.quoted && IsText(target.kind))) continue;
      if (!first) out.Append(",");
      first = false;
      out.Append(target.key);
      AppendCell(target.kind, target.form, cell.text, &out);
    }
    out.Append("}");
    return std::string(out.View(0, out.size()));
  }

  const SourcePlan& source_;
  CsvScanner scanner_;  // of the record that was read last
  std::string reason_;  // what is wrong with it
  TextWindow text_;
  size_t header_ = 0;  // columns in it
  std::vector<Target> targets_;
  std::string json_;  // scratch
};

}  // namespace

absl::StatusOr<std::unique_ptr<FileRecords>> NewCsvRecords(const SourcePlan& source, char delimiter,
                                                           std::unique_ptr<FileContent> content) {
  auto records = std::make_unique<CsvRecords>(source, delimiter, std::move(content));
  TM_RETURN_IF_ERROR(records->Begin());
  return std::unique_ptr<FileRecords>(std::move(records));
}

}  // namespace tidemark
