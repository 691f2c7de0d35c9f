// The seam between records' keys and their format: a KeyReader sets columns out of keys. Only of sources and tables
// with columns that come `from: key` is there one; it is called once a row. Used by one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/codec/column_set.h"

namespace tidemark {

class KeyReader {
 public:
  virtual ~KeyReader() = default;

  // Sets its targets in the current row of `columns`. The reason, where it can't.
  virtual std::optional<std::string> Read(std::string_view key, ColumnSet* columns) = 0;
  // Keys begin with the number of their schema, and those that don't may look as if they did.
  virtual bool numbered() const { return false; }
  // What the key that was read last has to wait for, so that it couldn't; "": nothing.
  virtual std::string_view waits_for() const { return ""; }
};

// Bytes that claim to be text, as the value that the column's type has in this form. Whoever calls has called
// arrow::util::InitializeUTF8 once.
std::optional<std::string> SetPlainText(size_t column, std::string_view text, ColumnSet* columns);

}  // namespace tidemark
