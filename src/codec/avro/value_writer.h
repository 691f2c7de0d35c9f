// Rows as Avro records, of a schema that follows from the columns: a record whose fields are they, in their order,
// under their names.
//
//   bool, int32, int64, double, string, bytes   boolean, int, long, double, string, bytes
//   date         int, logical type date
//   timestamp    long, timestamp-micros
//   decimal      bytes, decimal of its precision and scale
//   json         string
//   nullable     a union with null first, and null the default, so that the column may be left out by a reader
//
// Used by one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/base/schema.h"
#include "src/codec/column_text.h"
#include "src/codec/value_writer.h"

namespace tidemark {

// The schema of these columns, as JSON. `name`: the record's, with its namespace.
std::string AvroSchemaOf(const Schema& schema, const std::vector<size_t>& columns, std::string_view name);

// Avro's names are letters, digits and _, and don't begin with a digit; with dots, those of namespaces too.
bool IsAvroName(std::string_view name);

class AvroValueWriter final : public ValueWriter {
 public:
  // `prefix` stands in front of every value.
  AvroValueWriter(const Schema& schema, const std::vector<size_t>& columns, std::string prefix);

  absl::Status Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows, TextBuffer* out,
                     std::vector<size_t>* ends) override;

 private:
  struct Field {
    size_t column = 0;
    Kind kind = Kind::kInt64;
    bool text = false;  // a length and bytes
    bool nullable = false;
  };

  const std::string prefix_;
  std::vector<Field> fields_;
};

}  // namespace tidemark
