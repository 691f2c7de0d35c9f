// One JSON object into a row of columns: names and nested paths are matched while the text is walked once, and the
// order in which fields stood is remembered, because records of one topic look alike. Used by one thread.
//
// Of several fields with one name the last one stands, as in PostgreSQL; each must fit its column.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/codec/column_set.h"
#include "src/codec/value_reader.h"

namespace tidemark {

class RecordRows;

class JsonObjectReader {
 public:
  explicit JsonObjectReader(const std::vector<ReadTarget>& targets);
  JsonObjectReader(JsonObjectReader&&) noexcept;
  ~JsonObjectReader();

  // Sets the targets in the current row of `columns`; those that don't occur stay without a value. The reason, where
  // the text isn't a JSON object or a value doesn't fit.
  std::optional<std::string> Read(std::string_view json, ColumnSet* columns);
  // The objects of an array, each as a row of the present record; stops where the record is rejected. The reason, where
  // the text isn't an array of objects or a value doesn't fit.
  std::optional<std::string> ReadArray(std::string_view json, RecordRows* rows);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemark
