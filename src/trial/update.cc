#include "src/trial/update.h"

#include <algorithm>
#include <map>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/trial/compare.h"
#include "src/trial/value.h"

namespace tidemark::trial {
namespace {

// Lines [first, last) of the test file become these.
struct Edit {
  size_t first = 0, last = 0;
  std::vector<std::string> lines;
};

size_t Indent(const std::string& line) { return std::min(line.find_first_not_of(' '), line.size()); }

class Updater {
 public:
  explicit Updater(const TestFile& file) : file_(file), lines_(absl::StrSplit(file.text, '\n')) {}

  absl::Status Take(const Case& test, const RunResult& result) {
    for (const RowSet& set : test.expect) TM_RETURN_IF_ERROR(TakeRows(test, set, result.found.at(set.name)));
    TM_ASSIGN_OR_RETURN(const std::string letters, CompareRows(file_, test, test.dead_letters, result.letters));
    if (!letters.empty() && test.dead_letters.at == test.at) {
      return file_.Error(test.at,
                         "the test doesn't speak of dead letters, and there are some: add `dead_letters: []` "
                         "to it to have them written there");
    }
    return TakeRows(test, test.dead_letters, result.letters);
  }

  std::vector<NewText> Finish() {
    // From the end, so that lines before keep their numbers.
    std::sort(edits_.begin(), edits_.end(), [](const Edit& a, const Edit& b) { return a.first > b.first; });
    for (const Edit& edit : edits_) {
      const auto at = lines_.begin() + static_cast<std::ptrdiff_t>(edit.first);
      const auto behind = lines_.erase(at, lines_.begin() + static_cast<std::ptrdiff_t>(edit.last));
      lines_.insert(behind, edit.lines.begin(), edit.lines.end());
    }
    if (!edits_.empty()) others_.push_back({file_.path, absl::StrJoin(lines_, "\n")});
    return std::move(others_);
  }

 private:
  absl::Status TakeRows(const Case& test, const RowSet& set, const FoundRows& found) {
    TM_ASSIGN_OR_RETURN(const std::string differences, CompareRows(file_, test, set, found));
    if (differences.empty()) return absl::OkStatus();
    std::vector<std::string> rows;
    const std::vector<size_t> columns = ColumnsOf(set, found);
    const bool csv = set.form == RowSet::Form::kCsv || set.form == RowSet::Form::kCsvFile;
    if (csv) {
      rows.push_back(absl::StrJoin(
          columns, ",", [&](std::string* out, size_t c) { out->append(CsvOf(JsonQuoted(found.schema[c].name))); }));
    }
    for (const auto& row : found.rows) {
      switch (set.form) {
        case RowSet::Form::kList:
          rows.push_back(absl::StrCat("- ", RowText(found.schema, row, columns)));
          break;
        case RowSet::Form::kCsv:
        case RowSet::Form::kCsvFile:
          rows.push_back(absl::StrJoin(columns, ",", [&](std::string* out, size_t c) { out->append(CsvOf(row[c])); }));
          break;
        default:
          rows.push_back(JsonRow(found.schema, row, columns));
      }
    }
    if (!set.file.empty()) {
      others_.push_back({set.file, absl::StrJoin(rows, "\n") + "\n"});
      return absl::OkStatus();
    }
    return Rewrite(set, rows);
  }

  // The block behind `key:`.
  absl::Status Rewrite(const RowSet& set, const std::vector<std::string>& rows) {
    const auto key_line = static_cast<size_t>(set.value.line - 1);
    const auto key_column = static_cast<size_t>(set.value.column - 1);
    const std::string& line = lines_[key_line];
    if (line.substr(0, key_column).find_first_not_of(" -") != std::string::npos) {
      return file_.Error(set.value,
                         absl::StrCat("the rows of ", set.name,
                                      " stand between braces: give them a line of their own to have them ", "updated"));
    }
    Edit edit{key_line, key_line + 1, {}};
    // What belongs to the value is indented deeper, but for a list's dashes.
    for (size_t i = key_line + 1; i < lines_.size(); ++i) {
      const size_t indent = Indent(lines_[i]);
      if (indent == lines_[i].size()) continue;  // blank: only if more of it follows
      if (indent < key_column || (indent == key_column && lines_[i][indent] != '-')) break;
      edit.last = i + 1;
    }
    const std::string key = line.substr(0, line.find(':', key_column) + 1);
    const bool list = set.form == RowSet::Form::kList;
    edit.lines.push_back(key + (!list ? " |" : rows.empty() ? " []" : ""));
    for (const std::string& row : rows) edit.lines.push_back(absl::StrCat(std::string(key_column + 2, ' '), row));
    edits_.push_back(std::move(edit));
    return absl::OkStatus();
  }

  // Those that the rows have named, in that order; where there were none, those that tell most.
  static std::vector<size_t> ColumnsOf(const RowSet& set, const FoundRows& found) {
    std::vector<size_t> columns;
    for (const Row& row : set.rows) {
      for (const Cell& cell : row.cells) {
        const size_t c = *found.schema.Find(cell.column);  // CompareRows knows it
        if (std::find(columns.begin(), columns.end(), c) == columns.end()) columns.push_back(c);
      }
    }
    return columns.empty() ? found.telling : columns;
  }

  static std::string JsonRow(const Schema& schema, const std::vector<std::string>& row,
                             const std::vector<size_t>& columns) {
    std::vector<std::string> members;
    for (const size_t c : columns) members.push_back(absl::StrCat(JsonQuoted(schema[c].name), ": ", row[c]));
    return absl::StrCat("{", absl::StrJoin(members, ", "), "}");
  }

  const TestFile& file_;
  std::vector<std::string> lines_;
  std::vector<Edit> edits_;
  std::vector<NewText> others_;
};

}  // namespace

absl::StatusOr<std::vector<NewText>> UpdatedFiles(const TestFile& file, const std::vector<RunResult>& results) {
  Updater updater(file);
  for (size_t t = 0; t < file.tests.size(); ++t) TM_RETURN_IF_ERROR(updater.Take(file.tests[t], results[t]));
  return updater.Finish();
}

}  // namespace tidemark::trial
