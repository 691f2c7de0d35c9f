// An Avro schema as it is written in JSON, with names resolved: what a writer's plan is compiled from, and what
// `columns: from_schema` takes columns from. Avro 1.11's rules, and where producers are known to differ from them,
// theirs:
//
//   a logical type is also taken where it stands beside `type` in the field, as people write it
//   Connect's and Debezium's names ("connect.name") say what a number means where there is no logical type
//   a logical type that isn't known, or doesn't fit its type, is none
//
// A type that contains itself is refused: rows have no such columns. Immutable once made; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/codec/json/tree.h"

namespace tidemark {

enum class AvroType {
  kNull,
  kBoolean,
  kInt,
  kLong,
  kFloat,
  kDouble,
  kBytes,
  kString,
  kRecord,
  kEnum,
  kArray,
  kMap,
  kUnion,
  kFixed
};

enum class AvroLogical {
  kNone,
  kDate,             // int: days
  kTimeMillis,       // int, of the day
  kTimeMicros,       // long
  kTimeNanos,        // long
  kTimestampMillis,  // long; local ones too, read as if in UTC
  kTimestampMicros,
  kTimestampNanos,
  kDecimal,          // bytes, fixed
  kUuid,             // string, fixed of 16
  kVariableDecimal,  // a record of scale and bytes, Debezium's
};

struct AvroNode;

struct AvroField {
  std::string name;
  std::vector<std::string> aliases;
  const AvroNode* type = nullptr;
  bool has_default = false;
  JsonTree default_value;
};

struct AvroNode {
  AvroType type = AvroType::kNull;
  AvroLogical logical = AvroLogical::kNone;
  std::string meaning;                   // as Connect names it: "io.debezium.data.Enum"; empty: it says none
  int precision = 0, scale = 0;          // kDecimal
  std::string name;                      // record, enum, fixed: with its namespace
  std::vector<AvroField> fields;         // record
  std::vector<std::string> symbols;      // enum
  std::vector<const AvroNode*> members;  // union: its branches; array, map: one, of its elements
  int64_t size = 0;                      // fixed

  // Of what type it is, for people: "long", "timestamp-millis", "record Order", "union of null and string".
  std::string Describe() const;
};

class AvroSchema {
 public:
  // `references` are schemas whose names this one may use, themselves in an order in which each knows those before it.
  // InvalidArgument: it isn't an Avro schema, or one that contains itself; says where.
  static absl::StatusOr<std::unique_ptr<const AvroSchema>> Parse(std::string_view text,
                                                                 const std::vector<std::string>& references = {});

  const AvroNode& root() const { return *root_; }
  // The record that it is, where it is one or a union of null and one; else null.
  const AvroNode* Record() const;

 private:
  friend class AvroSchemaParser;

  std::vector<std::unique_ptr<AvroNode>> nodes_;
  const AvroNode* root_ = nullptr;
};

}  // namespace tidemark
