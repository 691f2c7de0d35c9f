// Kafka records to rows of declared columns, from value, key, headers and position. Under the source decoder and the
// table decoder. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/base/record.h"
#include "src/codec/column_set.h"
#include "src/codec/json_reader.h"
#include "src/plan/plan.h"

namespace tidemark {

// Columns out of record keys.
class KeyReader {
 public:
  // `targets` are JSON paths and their columns; in text and bytes form the key is the one column's value.
  KeyReader(KeyFormat format, std::vector<JsonReader::Target> targets);

  std::optional<std::string> Read(const Bytes& key, ColumnSet* columns);
  bool empty() const { return targets_.empty(); }

 private:
  std::optional<std::string> ReadPlain(std::string_view key, size_t column, ColumnSet* columns) const;

  KeyFormat format_;
  std::vector<JsonReader::Target> targets_;
  JsonReader json_;
};

class RecordDecoder {
 public:
  RecordDecoder(const std::vector<SourceColumn>& columns, KeyFormat key_format);

  // Record `i` of the fetch as row `row`: the reason, where it can't be one.
  std::optional<std::string> Decode(const Fetch& fetch, size_t i, int64_t row);
  // A record with a null value as a row that deletes: `key` reads the key columns, the others don't matter.
  std::optional<std::string> DecodeTombstone(const Fetch& fetch, size_t i, int64_t row, KeyReader* key);

  ColumnSet& columns() { return columns_; }

 private:
  std::optional<std::string> ReadHeaders(const Fetch& fetch, size_t i);
  std::optional<std::string> ReadPosition(const Fetch& fetch, const RecordView& record);

  ColumnSet columns_;
  JsonReader value_;
  KeyReader key_;
  bool has_value_columns_ = false;
  std::vector<size_t> header_columns_, position_columns_;
};

}  // namespace tidemark
