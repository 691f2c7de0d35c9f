#include "src/codec/csv/writer.h"

#include <algorithm>

namespace tidemark {

CsvWriter::CsvWriter(const CsvDialect& dialect, const Schema& schema, const std::vector<size_t>& columns)
    : dialect_(dialect), columns_(columns) {
  if (!dialect_.header) return;
  TextBuffer text(&header_);
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (i > 0) text.Append({&dialect_.delimiter, 1});
    WriteText(schema[columns_[i]].name, &text);
  }
  text.Append("\n");
  header_.resize(text.size());
}

absl::Status CsvWriter::Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows, TextBuffer* out,
                              std::vector<size_t>* ends) {
  ends->resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    out->Append(header_);
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) out->Append({&dialect_.delimiter, 1});
      WriteField(columns[columns_[c]], rows[i], out);
    }
    (*ends)[i] = out->size();
  }
  return absl::OkStatus();
}

void CsvWriter::WriteField(const ColumnView& column, int64_t row, TextBuffer* out) {
  if (column.IsNull(row)) return out->Append(dialect_.null);
  if (column.type.kind == Kind::kString) return WriteText(column.Text(row), out);
  TextBuffer text(&scratch_);
  WritePlainText(column, row, &text);
  WriteText(text.View(0, text.size()), out);
}

bool CsvWriter::NeedsQuotes(std::string_view text) const {
  if (text == dialect_.null || text.empty()) return true;
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  if (dialect_.trim && (blank(text.front()) || blank(text.back()))) return true;
  if (text.starts_with("\xef\xbb\xbf")) return true;
  return std::any_of(text.begin(), text.end(),
                     [&](char c) { return c == dialect_.delimiter || c == *dialect_.quote || c == '\n' || c == '\r'; });
}

void CsvWriter::WriteText(std::string_view text, TextBuffer* out) const {
  if (!NeedsQuotes(text)) return out->Append(text);
  const char quote = *dialect_.quote;
  char* p = out->Reserve(text.size() * 2 + 2);
  *p++ = quote;
  for (const char c : text) {
    if (c == quote) *p++ = quote;
    *p++ = c;
  }
  *p++ = quote;
  out->SetEnd(p);
}

}  // namespace tidemark
