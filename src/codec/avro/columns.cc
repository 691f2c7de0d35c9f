#include "src/codec/avro/columns.h"

#include <optional>
#include <set>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace tidemark {
namespace {

constexpr int kMostDigits = 38;

std::optional<Type> TypeFor(const AvroNode& node) {
  switch (node.logical) {
    case AvroLogical::kDate:
      return Type{.kind = Kind::kDate};
    case AvroLogical::kTimestampMillis:
    case AvroLogical::kTimestampMicros:
    case AvroLogical::kTimestampNanos:
      return Type{.kind = Kind::kTimestamp};
    case AvroLogical::kDecimal:
      if (node.precision > kMostDigits) return std::nullopt;
      return Type{.kind = Kind::kDecimal, .precision = node.precision, .scale = node.scale};
    case AvroLogical::kUuid:
    case AvroLogical::kVariableDecimal:  // of any scale: as text
      return Type{.kind = Kind::kString};
    default:
      break;
  }
  switch (node.type) {
    case AvroType::kBoolean:
      return Type{.kind = Kind::kBool};
    case AvroType::kInt:
      return Type{.kind = Kind::kInt32};
    case AvroType::kLong:
      return Type{.kind = Kind::kInt64};
    case AvroType::kFloat:
    case AvroType::kDouble:
      return Type{.kind = Kind::kDouble};
    case AvroType::kString:
    case AvroType::kEnum:
      return Type{.kind = Kind::kString};
    case AvroType::kBytes:
    case AvroType::kFixed:
      return Type{.kind = Kind::kBytes};
    default:
      return std::nullopt;
  }
}

// Of a type and null, the type; of anything else, itself.
const AvroNode& WithoutNull(const AvroNode& node, bool* nullable) {
  if (node.type != AvroType::kUnion || node.members.size() != 2) return node;
  for (const size_t i : {size_t{0}, size_t{1}}) {
    if (node.members[i]->type != AvroType::kNull) continue;
    *nullable = true;
    return *node.members[1 - i];
  }
  return node;
}

class Taker {
 public:
  absl::Status Record(const AvroNode& record, const std::vector<std::string>& path, bool nullable) {
    for (const AvroField& field : record.fields) {
      std::vector<std::string> at = path;
      at.push_back(field.name);
      bool null_too = nullable;
      const AvroNode& node = WithoutNull(*field.type, &null_too);
      if (node.type == AvroType::kRecord && node.logical == AvroLogical::kNone) {
        const absl::Status status = Record(node, at, null_too);
        if (!status.ok()) return status;
        continue;
      }
      const std::optional<Type> type = TypeFor(node);
      if (!type) continue;
      TakenColumn taken{{absl::StrJoin(at, "_"), *type, null_too}, at, DefaultOf(field, node)};
      if (taken.column.name.starts_with("__")) {
        return absl::InvalidArgumentError(absl::StrCat("field ", taken.column.name,
                                                       " can't be a column, whose names don't begin with __: write the "
                                                       "columns out, with its name as a path"));
      }
      if (!names_.insert(taken.column.name).second) {
        return absl::InvalidArgumentError(
            absl::StrCat("two fields would be column ", taken.column.name, ": write the columns out"));
      }
      columns.push_back(std::move(taken));
    }
    return absl::OkStatus();
  }

  std::vector<TakenColumn> columns;

 private:
  // Where it looks in a topology as it does in the schema.
  static std::optional<std::string> DefaultOf(const AvroField& field, const AvroNode& node) {
    if (!field.has_default || node.logical != AvroLogical::kNone) return std::nullopt;
    const JsonTree& value = field.default_value;
    switch (value.kind) {
      case JsonTree::Kind::kTrue:
        return "true";
      case JsonTree::Kind::kFalse:
        return "false";
      case JsonTree::Kind::kNumber:
        return value.text;
      case JsonTree::Kind::kString:
        if (node.type == AvroType::kString || node.type == AvroType::kEnum) return value.text;
        return std::nullopt;
      default:
        return std::nullopt;
    }
  }

  std::set<std::string> names_;
};

}  // namespace

absl::StatusOr<std::vector<TakenColumn>> ColumnsOfAvro(const AvroSchema& schema) {
  const AvroNode* const record = schema.Record();
  if (record == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("the schema is ", schema.root().Describe(), ", not a record"));
  }
  Taker taker;
  const absl::Status status = taker.Record(*record, {}, false);
  if (!status.ok()) return status;
  if (taker.columns.empty()) return absl::InvalidArgumentError("the schema has no field that a column can hold");
  return std::move(taker.columns);
}

}  // namespace tidemark
