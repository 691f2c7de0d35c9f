// Rows as messages: of a type that a file has, whose fields have the columns' names, or of one that follows from the
// columns, whose fields are numbered from 1 in their order.
//
//   column       field of its own         or, in a file
//   bool         bool
//   int32        int32                    sint32, sfixed32, and as int64
//   int64        int64                    sint64, sfixed64
//   double       double
//   string       string
//   bytes        bytes
//   date         string, 2026-01-31
//   timestamp    google.protobuf.Timestamp
//   decimal      string, 12.50
//   json         string
//   nullable     optional                 with presence
//
// NULL is a field that isn't there; so is, in a field without presence, its zero. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <google/protobuf/descriptor.h>

#include "src/base/schema.h"
#include "src/codec/column_text.h"
#include "src/codec/value_writer.h"

namespace tidemark {

// Protobuf's names are letters, digits and _, and don't begin with a digit; with dots, those of packages too.
bool IsProtobufName(std::string_view name);

// The schema of these columns, with one message of that name, with its package.
std::string ProtobufSchemaOf(const Schema& schema, const std::vector<size_t>& columns, std::string_view name);

class ProtobufValueWriter final : public ValueWriter {
 public:
  enum class Put : uint8_t { kBool, kVarint, kZigZag, kFixed32, kFixed64, kDouble, kBytes, kText, kTimestamp };

  // InvalidArgument: a column has no field that holds it, or a field has to have a value and no column; says which.
  // `prefix` stands in front of every value.
  static absl::StatusOr<std::unique_ptr<ProtobufValueWriter>> Make(const google::protobuf::Descriptor& message,
                                                                   const Schema& schema,
                                                                   const std::vector<size_t>& columns,
                                                                   std::string prefix);
  // Why no value of the column can be the field's; "": it can.
  static std::string WhyNot(const Column& column, const google::protobuf::FieldDescriptor& field, Put* put);

  absl::Status Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows, TextBuffer* out,
                     std::vector<size_t>* ends) override;

 private:
  struct Field {
    size_t column = 0;
    Put put = Put::kVarint;
    bool nullable = false;
    bool zero_too = false;  // it has presence: a zero is written
    bool is_int32 = false;
    std::string tag;
  };

  explicit ProtobufValueWriter(std::string prefix) : prefix_(std::move(prefix)) {}

  char* Value(const Field& field, const ColumnView& column, int64_t row, char* p) const;
  char* Lengthed(const Field& field, const ColumnView& column, int64_t row, char* p, TextBuffer* out) const;

  const std::string prefix_;
  std::vector<Field> fields_;
  size_t most_ = 0;  // bytes of a row but for its texts
};

}  // namespace tidemark
