#include "src/codec/protobuf/types.h"

#include <absl/strings/str_cat.h>

namespace tidemark {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

bool IsTimestamp(const Descriptor& message) { return message.well_known_type() == Descriptor::WELLKNOWNTYPE_TIMESTAMP; }

bool IsDecimal(const Descriptor& message) {
  if (message.full_name() != "confluent.type.Decimal") return false;
  const FieldDescriptor* const value = message.FindFieldByNumber(1);
  const FieldDescriptor* const scale = message.FindFieldByNumber(3);
  return value != nullptr && value->type() == FieldDescriptor::TYPE_BYTES && scale != nullptr &&
         scale->type() == FieldDescriptor::TYPE_INT32;
}

bool IsDate(const Descriptor& message) {
  if (message.full_name() != "google.type.Date") return false;
  for (int number = 1; number <= 3; ++number) {
    const FieldDescriptor* const part = message.FindFieldByNumber(number);
    if (part == nullptr || part->type() != FieldDescriptor::TYPE_INT32 || part->is_repeated()) return false;
  }
  return true;
}

bool IsWrapper(const Descriptor& message) {
  return message.well_known_type() >= Descriptor::WELLKNOWNTYPE_DOUBLEVALUE &&
         message.well_known_type() <= Descriptor::WELLKNOWNTYPE_BOOLVALUE;
}

bool IsAnyJson(const Descriptor& message) {
  switch (message.well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_STRUCT:
    case Descriptor::WELLKNOWNTYPE_VALUE:
    case Descriptor::WELLKNOWNTYPE_LISTVALUE:
    case Descriptor::WELLKNOWNTYPE_ANY:
      return true;
    default:
      return false;
  }
}

std::string DescribeField(const FieldDescriptor& field) {
  if (field.is_map()) {
    return absl::StrCat("map<", DescribeField(*field.message_type()->map_key()), ", ",
                        DescribeField(*field.message_type()->map_value()), ">");
  }
  std::string type = field.type_name();
  if (field.message_type() != nullptr && field.type() == FieldDescriptor::TYPE_MESSAGE) {
    type = absl::StrCat("message ", field.message_type()->full_name());
  }
  if (field.enum_type() != nullptr) type = absl::StrCat("enum ", field.enum_type()->full_name());
  return field.is_repeated() ? absl::StrCat("repeated ", type) : type;
}

}  // namespace tidemark
