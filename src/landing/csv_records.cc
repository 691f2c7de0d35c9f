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

#include "src/base/loose_text.h"
#include "src/base/status.h"
#include "src/codec/column_text.h"
#include "src/landing/file_records.h"
#include "src/landing/text_window.h"

namespace tidemark {
namespace {

struct Cell {
  std::string text;
  bool quoted = false;
};

// Where a record's cells end.
struct Row {
  std::vector<Cell> cells;
  size_t count = 0;  // of them; the others are kept for their memory
  size_t bytes = 0;  // with the line's end
  std::string reason;

  Cell& Next() {
    if (count == cells.size()) cells.emplace_back();
    Cell& cell = cells[count++];
    cell.text.clear();
    cell.quoted = false;
    return cell;
  }
};

class CsvRecords final : public FileRecords {
 public:
  CsvRecords(const SourcePlan& source, std::unique_ptr<FileContent> content)
      : source_(source), delimiter_(source.files->delimiter), text_(std::move(content)) {}

  absl::Status Begin() {
    TM_ASSIGN_OR_RETURN(const bool some, NextRow());
    if (!some) return absl::InvalidArgumentError("line 1: the file is empty, and a header line is expected");
    if (!row_.reason.empty()) return absl::InvalidArgumentError("line 1: the header: " + row_.reason);
    std::vector<std::string> names;
    for (size_t i = 0; i < row_.count; ++i) names.push_back(row_.cells[i].text);
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
      std::string key;
      TextBuffer buffer(&key);
      WriteJsonString(name, &buffer);
      key.resize(buffer.size());
      targets_.push_back(
          {static_cast<size_t>(found - names.begin()), column.column.type.kind, column.column.type.form, key + ":"});
    }
    text_.Use(row_.bytes);
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) override {
    for (int64_t taken = 0; taken < bytes; taken += static_cast<int64_t>(row_.bytes)) {
      TM_ASSIGN_OR_RETURN(const bool some, NextRow());
      if (!some) return false;
      // A line with nothing in it is no record, where one would have several cells.
      const bool blank = row_.reason.empty() && row_.count == 1 && row_.cells[0].text.empty() && !row_.cells[0].quoted;
      if (row_.reason.empty() && row_.count != header_ && !blank) {
        row_.reason = absl::StrCat(row_.count, row_.count == 1 ? " cell" : " cells", " where the header has ", header_);
      }
      if (!row_.reason.empty()) {
        out->push_back(
            {text_.line(),
             std::string(absl::StripTrailingAsciiWhitespace(absl::string_view(text_.rest().data(), row_.bytes))),
             row_.reason});
      } else if (!blank || header_ == 1) {
        out->push_back({text_.line(), ToJson(), ""});
      }
      text_.Use(row_.bytes);
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

  // The record that begins at the rest, into row_; false: there is none. What is wrong with it alone is its reason, and
  // it ends with its line then.
  absl::StatusOr<bool> NextRow() {
    while (true) {
      if (Scan()) return true;
      if (text_.rest().size() > kMaxFileRecord) {
        return absl::InvalidArgumentError(absl::StrCat("line ", text_.line(), ": a record that begins here is larger ",
                                                       "than ", kMaxFileRecord, " bytes: is a quote missing?"));
      }
      if (text_.ended()) {
        if (text_.rest().empty()) return false;
        return absl::InvalidArgumentError(
            absl::StrCat("line ", text_.line(), ": a quoted cell of the record that begins here has no end"));
      }
      TM_RETURN_IF_ERROR(text_.More().status());
    }
  }

  // False: the rest doesn't hold all of it.
  bool Scan() {
    const std::string_view rest = text_.rest();
    row_.count = row_.bytes = 0;
    row_.reason.clear();
    if (rest.empty()) return false;
    for (size_t at = 0;;) {
      Cell& cell = row_.Next();
      if (at < rest.size() && rest[at] == '"') {
        cell.quoted = true;
        for (++at;; ++at) {
          const size_t quote = rest.find('"', at);
          // The next character tells a quote in the cell from its end.
          if (quote == std::string_view::npos || (quote + 1 == rest.size() && !text_.ended())) return false;
          cell.text.append(rest.substr(at, quote - at));
          at = quote + 1;
          if (at == rest.size() || rest[at] != '"') break;
          cell.text += '"';
        }
        // A CR alone may be the first half of the line's end.
        if (at + 1 == rest.size() && rest[at] == '\r' && !text_.ended()) return false;
        const bool line_ends = at == rest.size() || rest[at] == '\n' || rest.substr(at, 2) == "\r\n";
        if (!line_ends && rest[at] != delimiter_) return Bad(at, "text behind the end of a quoted cell");
      } else {
        const size_t end = std::min(rest.find(delimiter_, at), rest.find('\n', at));
        if (end == std::string_view::npos && !text_.ended()) return false;
        std::string_view text = rest.substr(at, std::min(end, rest.size()) - at);
        at += text.size();
        const bool line_ends = at == rest.size() || rest[at] == '\n';
        if (line_ends && !text.empty() && text.back() == '\r') text.remove_suffix(1);
        if (text.find('"') != std::string_view::npos) return Bad(at, "a quote in a cell that isn't quoted");
        cell.text.append(text);
      }
      if (at < rest.size() && rest[at] == delimiter_) {
        ++at;
        // A delimiter at the file's end has an empty cell behind it.
        if (at == rest.size() && !text_.ended()) return false;
        continue;
      }
      if (at < rest.size() && rest[at] == '\r') ++at;
      row_.bytes = std::min(at + 1, rest.size());
      return true;
    }
  }

  // Goes on behind the line's end: quotes can't be trusted any more.
  bool Bad(size_t at, const char* reason) {
    const std::string_view rest = text_.rest();
    const size_t end = rest.find('\n', at);
    if (end == std::string_view::npos && !text_.ended()) return false;
    row_.reason = reason;
    row_.bytes = end == std::string_view::npos ? rest.size() : end + 1;
    return true;
  }

  std::string ToJson() {
    TextBuffer out(&json_);
    out.Append("{");
    bool first = true;
    for (const Target& target : targets_) {
      const Cell& cell = row_.cells[target.cell];
      const bool text = target.kind == Kind::kString || target.kind == Kind::kBytes;
      if (cell.text.empty() && !(cell.quoted && text)) continue;
      if (!first) out.Append(",");
      first = false;
      out.Append(target.key);
      AppendValue(target, cell.text, &out);
    }
    out.Append("}");
    return std::string(out.View(0, out.size()));
  }

  static void AppendValue(const Target& target, std::string_view text, TextBuffer* out) {
    switch (target.kind) {
      case Kind::kBool: {
        const std::string lower = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
        if (lower == "true" || lower == "false") return out->Append(lower);
        break;
      }
      case Kind::kTimestamp:
        if (target.form == TimestampForm::kRfc3339) break;
        [[fallthrough]];
      case Kind::kInt32:
      case Kind::kInt64:
      case Kind::kDouble:
      case Kind::kDecimal:
        if (std::string number; NumberAsJson(text, &number)) return out->Append(number);
        break;
      default:
        break;
    }
    WriteJsonString(text, out);
  }

  const SourcePlan& source_;
  const char delimiter_;
  TextWindow text_;
  size_t header_ = 0;  // columns in it
  std::vector<Target> targets_;
  Row row_;
  std::string json_;  // scratch
};

}  // namespace

absl::StatusOr<std::unique_ptr<FileRecords>> NewCsvRecords(const SourcePlan& source,
                                                           std::unique_ptr<FileContent> content) {
  auto records = std::make_unique<CsvRecords>(source, std::move(content));
  TM_RETURN_IF_ERROR(records->Begin());
  return std::unique_ptr<FileRecords>(std::move(records));
}

}  // namespace tidemark
