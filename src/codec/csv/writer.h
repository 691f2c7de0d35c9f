// Rows as lines of CSV, one a record. Fields are quoted where they would be read as something else. Used by one thread.
#pragma once

#include <string>
#include <vector>

#include "src/base/schema.h"
#include "src/codec/csv/dialect.h"
#include "src/codec/value_writer.h"

namespace tidemark {

class CsvWriter final : public ValueWriter {
 public:
  // The dialect has a quote.
  CsvWriter(const CsvDialect& dialect, const Schema& schema, const std::vector<size_t>& columns);

  absl::Status Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows, TextBuffer* out,
                     std::vector<size_t>* ends) override;

 private:
  void WriteField(const ColumnView& column, int64_t row, TextBuffer* out);
  void WriteText(std::string_view text, TextBuffer* out) const;
  bool NeedsQuotes(std::string_view text) const;

  const CsvDialect dialect_;
  const std::vector<size_t> columns_;
  std::string header_;  // with its line end; empty: none
  std::string scratch_;
};

}  // namespace tidemark
