// Columns out of record keys, by the key's format. Used by one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/record.h"
#include "src/codec/column_set.h"
#include "src/codec/json/object_reader.h"
#include "src/codec/value_reader.h"
#include "src/plan/plan.h"

namespace tidemark {

class KeyReader {
 public:
  // In text and bytes form the key is the one column's value.
  KeyReader(KeyFormat format, std::vector<ReadTarget> targets);

  // Sets the targets in the current row of `columns`; a record without a key sets none. The reason, where it can't.
  std::optional<std::string> Read(const Bytes& key, ColumnSet* columns);
  // It sets no column.
  bool empty() const { return targets_.empty(); }

 private:
  std::optional<std::string> ReadPlain(std::string_view key, size_t column, ColumnSet* columns) const;

  KeyFormat format_;
  std::vector<ReadTarget> targets_;
  JsonObjectReader json_;
};

// Bytes that claim to be text. Strings and bytes take them as they are.
std::optional<std::string> SetPlainText(size_t column, std::string_view text, ColumnSet* columns);

}  // namespace tidemark
