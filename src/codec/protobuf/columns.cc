#include "src/codec/protobuf/columns.h"

#include <optional>
#include <set>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/codec/protobuf/types.h"
#include "src/codec/taken_columns.h"

namespace tidemark {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Types that are named once and used often make more columns than anyone wants, or hold none at all however long one
// looks.
constexpr size_t kMostColumns = 2'000;
constexpr int kMostMessages = 2'000;

bool Reaches(const Descriptor& from, const Descriptor& what, std::set<const Descriptor*>* seen) {
  for (int i = 0; i < from.field_count(); ++i) {
    const Descriptor* const below = from.field(i)->message_type();
    if (below == nullptr || !seen->insert(below).second) continue;
    if (below == &what || Reaches(*below, what, seen)) return true;
  }
  return false;
}

bool ContainsItself(const Descriptor& message) {
  std::set<const Descriptor*> seen;
  return Reaches(message, message, &seen);
}

// Nothing: it is a message whose fields are columns.
std::optional<Type> TypeFor(const FieldDescriptor& field) {
  if (field.is_repeated()) return Type{.kind = Kind::kJson};
  switch (field.type()) {
    case FieldDescriptor::TYPE_BOOL:
      return Type{.kind = Kind::kBool};
    case FieldDescriptor::TYPE_INT32:
    case FieldDescriptor::TYPE_SINT32:
    case FieldDescriptor::TYPE_SFIXED32:
      return Type{.kind = Kind::kInt32};
    case FieldDescriptor::TYPE_UINT32:
    case FieldDescriptor::TYPE_FIXED32:
    case FieldDescriptor::TYPE_INT64:
    case FieldDescriptor::TYPE_SINT64:
    case FieldDescriptor::TYPE_SFIXED64:
      return Type{.kind = Kind::kInt64};
    case FieldDescriptor::TYPE_UINT64:
    case FieldDescriptor::TYPE_FIXED64:
      return Type{.kind = Kind::kDecimal, .precision = 20, .scale = 0};
    case FieldDescriptor::TYPE_FLOAT:
    case FieldDescriptor::TYPE_DOUBLE:
      return Type{.kind = Kind::kDouble};
    case FieldDescriptor::TYPE_STRING:
    case FieldDescriptor::TYPE_ENUM:
      return Type{.kind = Kind::kString};
    case FieldDescriptor::TYPE_BYTES:
      return Type{.kind = Kind::kBytes};
    case FieldDescriptor::TYPE_MESSAGE:
    case FieldDescriptor::TYPE_GROUP:
      break;
  }
  const Descriptor& message = *field.message_type();
  if (IsTimestamp(message)) return Type{.kind = Kind::kTimestamp};
  if (IsDate(message)) return Type{.kind = Kind::kDate};
  if (IsDecimal(message)) return Type{.kind = Kind::kString};  // of any scale: as text
  if (IsWrapper(message)) return TypeFor(*message.FindFieldByNumber(1));
  if (IsAnyJson(message) || ContainsItself(message)) return Type{.kind = Kind::kJson};
  return std::nullopt;
}

// Of proto2, as a topology writes it.
std::optional<std::string> DefaultOf(const FieldDescriptor& field) {
  if (!field.has_default_value()) return std::nullopt;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return field.default_value_bool() ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(field.default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(field.default_value_int64());
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(field.default_value_uint32());
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(field.default_value_uint64());
    case FieldDescriptor::CPPTYPE_ENUM:
      return field.default_value_enum()->name();
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.type() == FieldDescriptor::TYPE_STRING) return field.default_value_string();
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

absl::Status Take(const Descriptor& message, const std::vector<std::string>& path, bool nullable, int* messages,
                  TakenColumns* columns) {
  const auto too_many = [] { return absl::InvalidArgumentError("it has too many fields: write the columns out"); };
  if (++*messages > kMostMessages) return too_many();
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (field.type() == FieldDescriptor::TYPE_GROUP) continue;
    if (columns->size() > kMostColumns) return too_many();
    std::vector<std::string> at = path;
    at.push_back(field.name());
    const bool null_too = nullable || (field.has_presence() && !field.is_required());
    if (const std::optional<Type> type = TypeFor(field)) {
      TM_RETURN_IF_ERROR(columns->Add(at, *type, null_too, nullable ? std::nullopt : DefaultOf(field)));
    } else {
      TM_RETURN_IF_ERROR(Take(*field.message_type(), at, null_too, messages, columns));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<TakenColumn>> ColumnsOfProtobuf(const Descriptor& message) {
  TakenColumns columns;
  int messages = 0;
  TM_RETURN_IF_ERROR(Take(message, {}, false, &messages, &columns));
  if (columns.size() == 0) return absl::InvalidArgumentError("the message has no field that a column can hold");
  return columns.Take();
}

}  // namespace tidemark
