#include "src/trial/row_text.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/json_text.h"
#include "src/base/value_text.h"
#include "src/codec/csv/scanner.h"

namespace tidemark::trial {
namespace {

// YAML doesn't say whether 5 stood in quotes, so numbers and words are what they look like.
void WriteJson(const YamlNode& node, std::string* out) {
  if (node.IsMapping()) {
    const char* before = "{";
    for (const YamlEntry& entry : node.entries) {
      absl::StrAppend(out, before, JsonQuoted(entry.key), ":");
      WriteJson(*entry.value, out);
      before = ",";
    }
    absl::StrAppend(out, node.entries.empty() ? "{}" : "}");
  } else if (node.IsList()) {
    const char* before = "[";
    for (const YamlPtr& item : node.items) {
      out->append(before);
      WriteJson(*item, out);
      before = ",";
    }
    absl::StrAppend(out, node.items.empty() ? "[]" : "]");
  } else if (!node.IsScalar()) {
    out->append("null");
  } else if (node.text == "true" || node.text == "false" || IsJsonNumber(node.text)) {
    out->append(node.text);
  } else {
    out->append(JsonQuoted(node.text));
  }
}

}  // namespace

Row RowOfYaml(const YamlNode& node) {
  Row row{node.at, {}};
  for (const YamlEntry& entry : node.entries) {
    Cell& cell = row.cells.emplace_back(Cell{entry.key, entry.at, entry.place(), std::nullopt});
    const YamlNode& value = *entry.value;
    if (value.IsScalar()) {
      cell.text = value.text;
    } else if (value.IsList() || value.IsMapping()) {
      WriteJson(value, &cell.text.emplace());
    }
  }
  return row;
}

ReadRows RowsOfCsv(std::string_view text, Position first) {
  ReadRows read;
  CsvScanner scanner{CsvDialect()};
  scanner.Start(text);
  std::vector<std::string> names;
  while (true) {
    const CsvScanner::Next next = scanner.Read();
    if (next == CsvScanner::Next::kEnd) return read;
    Position at = first;
    at.line += scanner.line() - 1;
    if (next != CsvScanner::Next::kLine) {
      read.errors.emplace_back(at, scanner.reason());
      return read;
    }
    if (scanner.blank()) continue;
    if (names.empty()) {
      for (const CsvField& field : scanner.fields()) names.emplace_back(field.text);
      continue;
    }
    if (scanner.fields().size() != names.size()) {
      read.errors.emplace_back(at, absl::StrCat(names.size(), " fields are expected, found ", scanner.fields().size()));
      continue;
    }
    Row& row = read.rows.emplace_back(Row{at, {}});
    for (size_t i = 0; i < names.size(); ++i) {
      const CsvField& field = scanner.fields()[i];
      Cell& cell = row.cells.emplace_back(Cell{names[i], at, at, std::nullopt});
      if (field.quoted || !field.text.empty()) cell.text = std::string(field.text);
    }
  }
}

ReadRows RowsOfJsonLines(std::string_view text, Position first) {
  ReadRows read;
  for (Position at = first; !text.empty(); ++at.line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    Diagnostics own("", line);  // JSON is YAML
    const YamlPtr node = ReadYaml(0, line, &own);
    if (node == nullptr || !own.ok() || !node->IsMapping() || line[line.find_first_not_of(" \t")] != '{') {
      read.errors.emplace_back(at, "expected a JSON object");
      continue;
    }
    Row& row = read.rows.emplace_back(RowOfYaml(*node));
    row.at = at;
    for (Cell& cell : row.cells) cell.named = cell.at = at;
  }
  return read;
}

}  // namespace tidemark::trial
