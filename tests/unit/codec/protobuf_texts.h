// Schemas of protobuf as text, for tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "src/codec/protobuf/schema.h"

namespace tidemark {

inline constexpr char kOrders[] = R"(syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
import "confluent/type/decimal.proto";

enum State { UNKNOWN = 0; OPEN = 1; PAID = 2; }
message Money { string currency = 1; int64 units = 2; repeated string notes = 3; }
message Tree { string name = 1; repeated Tree below = 2; }
message Order {
  int64 id = 1;
  string name = 2;
  optional int32 count = 3;
  State state = 4;
  Money price = 5;
  repeated string tags = 6;
  map<string, int32> stock = 7;
  google.protobuf.Timestamp at = 8;
  google.protobuf.Int64Value maybe = 9;
  oneof paid { Money cash = 10; string card = 11; bool free = 12; }
  sint64 signed = 13;
  fixed64 big = 14;
  float ratio = 15;
  bytes raw = 16;
  bool yes = 17;
  repeated int32 packed = 18;
  google.protobuf.Struct any = 19;
  Tree tree = 20;
  uint64 huge = 21;
  string day = 22;
  confluent.type.Decimal amount = 23;
  int64 millis = 24;
  sfixed32 small = 25;
  double exact = 26;
  int64 far = 3000;
  message Line { int32 n = 1; }
}
message Other { string word = 1; }
)";

inline constexpr char kOld[] = R"(syntax = "proto2";
message Old {
  required int32 must = 1;
  optional string word = 2 [default = "none"];
  optional group Part = 3 { optional int32 n = 4; }
  optional int32 after = 5;
  extensions 100 to 200;
}
)";

inline std::shared_ptr<const ProtobufSchema> Parsed(const std::string& text,
                                                    const std::vector<WrittenSchema::Reference>& references = {}) {
  auto schema = ProtobufSchema::Parse(text, references);
  EXPECT_TRUE(schema.ok()) << schema.status();
  return *schema;
}

}  // namespace tidemark
