// Schemas of protobuf: texts and compiled files, what they import, messages by their place in them, and columns of a
// message.
#include "src/codec/protobuf/schema.h"

#include <string>
#include <vector>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include "src/codec/protobuf/columns.h"
#include "src/codec/protobuf/plans.h"
#include "tests/unit/codec/protobuf_texts.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ProtobufSchema, SaysWhatItIsntAndWhere) {
  const auto why = [](const char* text) { return std::string(ProtobufSchema::Parse(text).status().message()); };
  EXPECT_THAT(why("syntax = \"proto3\";\nmessage M { int64 = 1; }"), HasSubstr("schema:2:"));
  EXPECT_THAT(why("syntax = \"proto3\"; message M { Gone g = 1; }"), HasSubstr("\"Gone\" is not defined"));
  EXPECT_THAT(why("syntax = \"proto3\"; import \"gone.proto\"; message M {}"),
              HasSubstr("import gone.proto isn't there"));
  const auto itself = ProtobufSchema::Parse("import \"a\";", {{"a", "import \"b\";"}, {"b", "import \"a\";"}});
  EXPECT_THAT(std::string(itself.status().message()), HasSubstr("a imports itself"));
}

TEST(ProtobufSchema, ColumnsAreThoseOfTheMessage) {
  const auto schema = Parsed(kOrders);
  std::vector<std::string> found;
  const std::vector<TakenColumn> columns = ColumnsOfProtobuf(*schema->Named("Order")).value();
  for (const TakenColumn& taken : columns) {
    found.push_back(
        absl::StrCat(taken.column.name, " ", TypeName(taken.column.type), taken.column.nullable ? " null" : ""));
  }
  EXPECT_THAT(
      found,
      ElementsAre("id int64", "name string", "count int32 null", "state string", "price_currency string null",
                  "price_units int64 null", "price_notes json null", "tags json", "stock json", "at timestamp null",
                  "maybe int64 null", "cash_currency string null", "cash_units int64 null", "cash_notes json null",
                  "card string null", "free bool null", "signed int64", "big decimal(20,0)", "ratio double",
                  "raw bytes", "yes bool", "packed json", "any json null", "tree json null", "huge decimal(20,0)",
                  "day string", "amount string null", "millis int64", "small int32", "exact double", "far int64"));
  const auto old = ColumnsOfProtobuf(*Parsed(kOld)->Named("Old")).value();
  ASSERT_EQ(old.size(), 3u);
  EXPECT_FALSE(old[0].column.nullable);
  EXPECT_EQ(old[1].default_value, "none");
}

TEST(ProtobufSchema, MessagesAreCountedAsTheyStandInTheText) {
  const auto schema = Parsed(R"(syntax = "proto2"; message Other {} message Order {
    map<string, int32> stock = 1;
    optional group Extra = 2 { optional int32 n = 1; }
    message Line { message Part {} }
    repeated AgoEntry ago = 3;
    message AgoEntry { option map_entry = true; optional string key = 1; optional int32 value = 2; }
    message Last {}
  })");
  const auto name = [](const google::protobuf::Descriptor* found) {
    return found == nullptr ? "" : found->full_name();
  };
  EXPECT_EQ(name(schema->At({1})), "Order");
  EXPECT_EQ(name(schema->At({1, 0})), "Order.Line");
  EXPECT_EQ(name(schema->At({1, 0, 0})), "Order.Line.Part");
  EXPECT_EQ(name(schema->At({1, 2})), "Order.Last");
  EXPECT_EQ(name(schema->At({1, 3})), "");
  EXPECT_EQ(name(schema->At({2})), "");
  EXPECT_EQ(name(schema->AtCompiled({1, 2})), "Order.Line");
  EXPECT_EQ(name(schema->AtCompiled({1, 4})), "Order.Last");
  EXPECT_THAT(schema->IndexesOf(*schema->Named("Order.Last")), ElementsAre(1, 2));
  EXPECT_THAT(schema->IndexesOf(*schema->Named("Order.Line.Part")), ElementsAre(1, 0, 0));
  EXPECT_THAT(schema->IndexesOf(*schema->Named("Other")), ElementsAre(0));
}

TEST(ProtobufSchema, MayBeACompiledFile) {
  const auto text =
      Parsed(R"(syntax = "proto3"; package shop; import "m.proto"; import "google/protobuf/timestamp.proto";
    message Order { map<string, m.M> stock = 1; message Line { google.protobuf.Timestamp at = 1; } })",
             {{"m.proto", "syntax = \"proto3\"; package m; message M { int64 x = 1; }"}});
  const auto compiled = [](const google::protobuf::FileDescriptor& file) {
    google::protobuf::FileDescriptorProto proto;
    file.CopyTo(&proto);
    return absl::Base64Escape(proto.SerializeAsString());
  };
  const auto schema = Parsed(compiled(text->file()), {{"m.proto", compiled(*text->file().dependency(0))}});
  ASSERT_NE(schema, nullptr);
  EXPECT_EQ(schema->At({0, 1})->full_name(), "shop.Order.Line");
  EXPECT_EQ(text->At({0, 0})->full_name(), "shop.Order.Line");
  EXPECT_FALSE(ProtobufSchema::Parse("AAAA").ok());
}

TEST(ProtobufSchema, WhatRegistriesTakeForGrantedIsThere) {
  for (const char* import :
       {"confluent/meta.proto", "confluent/type/decimal.proto", "confluent/type/variant.proto",
        "google/type/date.proto", "google/type/timeofday.proto", "google/type/money.proto", "google/type/latlng.proto",
        "google/protobuf/any.proto", "google/protobuf/api.proto", "google/protobuf/descriptor.proto",
        "google/protobuf/duration.proto", "google/protobuf/empty.proto", "google/protobuf/field_mask.proto",
        "google/protobuf/source_context.proto", "google/protobuf/struct.proto", "google/protobuf/timestamp.proto",
        "google/protobuf/type.proto", "google/protobuf/wrappers.proto"}) {
    const auto schema =
        ProtobufSchema::Parse(absl::StrCat("syntax = \"proto3\"; import \"", import, "\"; message M {}"));
    EXPECT_TRUE(schema.ok()) << schema.status();
  }
  Parsed(R"(syntax = "proto3"; import "confluent/meta.proto";
    message M { option (confluent.message_meta).doc = "d"; int64 a = 1 [(confluent.field_meta) = { tags: "PII" }]; })");
}

TEST(MessageIndexes, AreReadInAnySpellingAndNoFurther) {
  const auto taken = [](std::string bytes) {
    std::vector<int64_t> indexes;
    std::string_view from = bytes;
    return TakeMessageIndexes(&from, &indexes) ? absl::StrCat(absl::StrJoin(indexes, ","), "|", from.size()) : "none";
  };
  EXPECT_EQ(taken(std::string("\0x", 2)), "0|1");
  EXPECT_EQ(taken(std::string("\2\0x", 3)), "0|1");
  EXPECT_EQ(taken("\4\2\x80\x01"), "1,64|0");
  EXPECT_EQ(taken(std::string("\x82\x00\x84\x80\x00", 5)), "2|0");
  EXPECT_EQ(taken(""), "none");
  EXPECT_EQ(taken("\4\2"), "none");
  EXPECT_EQ(taken("\1"), "none");                                          // -1 of them
  EXPECT_EQ(taken("\2\3"), "none");                                        // that of number -2
  EXPECT_EQ(taken("\xFE\xFF\xFF\xFF\x0F"), "none");                        // two thousand million of them
  EXPECT_EQ(taken("\2\x82\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "none");  // beyond 32 bits
}

TEST(ProtobufSchema, AMessageOfMoreThanAnyoneWantsIsRefused) {
  std::string text = "syntax = \"proto3\"; message M20 {}";
  for (int i = 19; i >= 0; --i) {
    absl::StrAppend(&text, " message M", i, " { M", i + 1, " a = 1; M", i + 1, " b = 2; M", i + 1, " c = 3; }");
  }
  EXPECT_THAT(std::string(ColumnsOfProtobuf(*Parsed(text)->Named("M0")).status().message()),
              HasSubstr("too many fields"));
  EXPECT_THAT(std::string(ColumnsOfProtobuf(*Parsed(text)->Named("M20")).status().message()),
              HasSubstr("no field that a column can hold"));
}

}  // namespace
}  // namespace tidemark
