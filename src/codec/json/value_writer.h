// Rows as JSON objects: columns in order, each in its declared form; NULL is null. Used by one thread.
#pragma once

#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "src/base/schema.h"
#include "src/codec/column_text.h"
#include "src/codec/value_writer.h"

namespace tidemark {

// Objects of some columns of a schema.
class JsonObjectWriter {
 public:
  JsonObjectWriter(const Schema& schema, const std::vector<size_t>& columns);

  // `columns` are those of the whole schema.
  void Write(const std::vector<ColumnView>& columns, int64_t row, TextBuffer* out) const;

 private:
  // What stands before a value, and where the value is.
  struct Member {
    size_t column = 0;
    std::string prefix;  // {"name":  or  ,"name":
  };

  std::vector<Member> members_;
};

class JsonValueWriter final : public ValueWriter {
 public:
  JsonValueWriter(const Schema& schema, const std::vector<size_t>& columns) : object_(schema, columns) {}

  absl::Status Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows, TextBuffer* out,
                     std::vector<size_t>* ends) override;

 private:
  const JsonObjectWriter object_;
};

// One row as a JSON object, e.g. for dead letters and logs.
std::string RowToJson(const Schema& schema, const arrow::RecordBatch& rows, int64_t row);

}  // namespace tidemark
