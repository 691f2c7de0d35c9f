// The row in a Debezium record, before or after a change: a flat object of the table's columns, into a row of columns.
// Used by one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/codec/column_set.h"
#include "src/codec/debezium/encoding.h"
#include "src/codec/debezium/field_names.h"

namespace tidemark::debezium {

// A column of the topology that a row's values are read into.
struct RowColumn {
  size_t column = 0;  // in the ColumnSet
  std::string name;   // in the table
  Type type;
  bool key = false;
  Reading as;  // how it is read where the record has no schema part
};

class RowReader {
 public:
  explicit RowReader(std::vector<RowColumn> columns);

  const std::vector<RowColumn>& columns() const { return columns_; }

  // Sets the columns in the current row of `columns`; of a row that is deleted only those of the key. `readings`: by
  // position among columns(). A column whose value is left out as unchanged gets any value, and its bit in `unchanged`.
  // The table's columns that nobody asked for, when met first, are appended to `unnamed`. The reason, where the row
  // can't be read.
  std::optional<std::string> Read(std::string_view object, const std::vector<Reading>& readings, bool deleted,
                                  ColumnSet* columns, std::string* unchanged, std::vector<std::string>* unnamed);

 private:
  bool ReadValue(size_t number, const Reading& reading, std::string* unchanged);
  bool ReadArray(size_t number, const Reading& reading, std::string* unchanged);
  bool ReadObject(size_t number, const Reading& reading);
  bool Set(std::optional<std::string> reason);
  void SetUnchanged(size_t number, std::string* unchanged);

  const std::vector<RowColumn> columns_;
  FieldNames names_, decimal_names_;
  JsonText text_;
  ColumnSet* out_ = nullptr;
  std::optional<std::string> refused_;
  std::string scratch_;
};

}  // namespace tidemark::debezium
