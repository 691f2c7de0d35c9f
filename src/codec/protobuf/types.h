// Types of Protobuf that mean more than they say. Pure.
#pragma once

#include <string>

#include <google/protobuf/descriptor.h>

namespace tidemark {

// google.protobuf.Timestamp.
bool IsTimestamp(const google::protobuf::Descriptor& message);
// confluent.type.Decimal: bytes value = 1, of scale = 3.
bool IsDecimal(const google::protobuf::Descriptor& message);
// google.type.Date: of int32 year = 1, month = 2, day = 3.
bool IsDate(const google::protobuf::Descriptor& message);
// google.protobuf.Int64Value and so on: a message that stands for the value in its field 1, or for none.
bool IsWrapper(const google::protobuf::Descriptor& message);
// Those of google.protobuf that are any JSON: Struct, Value, ListValue, Any.
bool IsAnyJson(const google::protobuf::Descriptor& message);

// Of what type it is, for people: "int64", "repeated string", "message shop.Order", "map<string, int32>".
std::string DescribeField(const google::protobuf::FieldDescriptor& field);

}  // namespace tidemark
