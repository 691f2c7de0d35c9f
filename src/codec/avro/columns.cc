#include "src/codec/avro/columns.h"

#include <optional>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "src/base/time.h"
#include "src/base/value_text.h"
#include "src/codec/column_text.h"
#include "src/codec/taken_columns.h"

namespace tidemark {
namespace {

constexpr int kMostDigits = 38;
constexpr int kMostFields = 2'000;          // a record that is named twice counts twice, with all within it
constexpr int64_t kMostDays = 100'000'000;  // in microseconds they are still 64 bits

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
    case AvroType::kArray:
    case AvroType::kMap:
      return Type{.kind = Kind::kJson};
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

// A default of days or of a time since 1970 in the form of the column.
std::optional<std::string> TimeOf(AvroLogical logical, const JsonTree& value) {
  int64_t number = 0;
  if (value.kind != JsonTree::Kind::kNumber || ParseInt64(value.text, &number) != Fit::kOk) return std::nullopt;
  int64_t us = 0;
  switch (logical) {
    case AvroLogical::kDate:
      if (number < -kMostDays || number > kMostDays) return std::nullopt;
      us = number * 86'400 * kSecond;
      return std::string(absl::StripSuffix(TimestampText(us, TimestampForm::kRfc3339), "T00:00:00Z"));
    case AvroLogical::kTimestampMillis:
      if (ScaleTimestamp(number, TimestampForm::kMillis, &us) != Fit::kOk) return std::nullopt;
      return TimestampText(us, TimestampForm::kRfc3339);
    case AvroLogical::kTimestampMicros:
      return TimestampText(number, TimestampForm::kRfc3339);
    case AvroLogical::kTimestampNanos:
      return TimestampText(number / 1000 - (number % 1000 < 0 ? 1 : 0), TimestampForm::kRfc3339);
    default:
      return std::nullopt;
  }
}

class Taker {
 public:
  explicit Taker(bool nested) : nested_(nested) {}

  absl::Status Record(const AvroNode& record, const std::vector<std::string>& path, bool nullable) {
    for (const AvroField& field : record.fields) {
      if (++visits_ > kMostFields) {
        return absl::InvalidArgumentError(
            absl::StrCat("the schema has more than ", kMostFields, " fields: write the columns out"));
      }
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
      if (!type || (type->kind == Kind::kJson && !nested_)) continue;
      // NULL and missing are one to a column, so a default would take the place of a NULL that was written.
      std::optional<std::string> value;
      if (field.has_default && !null_too) {
        value = DefaultOf(field, node);
        null_too = !value || FitsPlainText(*type, *value) != Fit::kOk;
        if (null_too) value.reset();
      }
      const absl::Status status = columns.Add(at, *type, null_too, std::move(value));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  TakenColumns columns;

 private:
  // As a topology writes it; nothing where that can't be said: bytes, decimals.
  static std::optional<std::string> DefaultOf(const AvroField& field, const AvroNode& node) {
    const JsonTree& value = field.default_value;
    if (const std::optional<std::string> time = TimeOf(node.logical, value)) return time;
    const bool plain = node.logical == AvroLogical::kNone || node.logical == AvroLogical::kUuid ||
                       node.logical == AvroLogical::kTimeMillis || node.logical == AvroLogical::kTimeMicros ||
                       node.logical == AvroLogical::kTimeNanos;
    if (!plain) return std::nullopt;
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
      case JsonTree::Kind::kArray:
      case JsonTree::Kind::kObject:
        return ToJson(value);
      default:
        return std::nullopt;
    }
  }

  const bool nested_;
  int visits_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<TakenColumn>> ColumnsOfAvro(const AvroSchema& schema, bool nested) {
  const AvroNode* const record = schema.Record();
  if (record == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("the schema is ", schema.root().Describe(), ", not a record"));
  }
  Taker taker(nested);
  const absl::Status status = taker.Record(*record, {}, false);
  if (!status.ok()) return status;
  if (taker.columns.size() == 0) return absl::InvalidArgumentError("the schema has no field that a column can hold");
  return taker.columns.Take();
}

}  // namespace tidemark
