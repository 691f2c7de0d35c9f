// Records whose value is lines of CSV, a row each; lines without anything in them are passed over. Without a header a
// column is the field at its place among the columns that come from values, or at the place that its path says as a
// number; with one it is the field under its name. Used by one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/codec/csv/scanner.h"
#include "src/codec/value_reader.h"

namespace tidemark {

class ColumnSet;

class CsvReader final : public ValueReader {
 public:
  CsvReader(const CsvDialect& dialect, const std::vector<ReadTarget>& targets);

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override;

 private:
  // The rows of the present record; the reason, where it is bad.
  std::optional<std::string> ReadRecord(std::string_view value, RecordRows* rows);
  // Where the targets stand, from the header's fields.
  std::optional<std::string> ReadHeader();
  std::optional<std::string> SetRow(ColumnSet* columns);
  std::string InLine(std::string_view reason) const;

  const CsvDialect dialect_;
  const std::vector<ReadTarget> targets_;
  CsvScanner scanner_;
  std::vector<size_t> places_;  // by target: its field; kNone: the header lacks it
  size_t fields_ = 0;           // how many a line has, at least
  bool exactly_ = false;        // and not more
};

// The place that a column's path says as a number from 1; nothing where it is no such number.
std::optional<size_t> CsvPlace(const std::vector<std::string>& path);

}  // namespace tidemark
