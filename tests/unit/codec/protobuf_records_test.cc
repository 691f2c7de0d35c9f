// Records of protobuf on their way in and out: schemas by their numbers, messages by their place in them, and that what
// is written is read.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <google/protobuf/dynamic_message.h>
#include <gtest/gtest.h>

#include "src/codec/protobuf/format.h"
#include "src/codec/protobuf/value_writer.h"
#include "src/codec/row_encoder.h"
#include "src/codec/schema_id.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"
#include "tests/unit/codec/protobuf_texts.h"

namespace tidemark {
namespace {

using codec_test::FakeFetch;
using codec_test::Rec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A registry that has what it is told.
class FakeLookup final : public SchemaLookup {
 public:
  Answer Find(int32_t id) override {
    ++asked;
    if (const auto found = schemas.find(id); found != schemas.end()) {
      return {std::make_shared<const WrittenSchema>(found->second), false, ""};
    }
    return {nullptr, away, away ? "the schema" : "unknown"};
  }
  Answer Registered(const std::string& subject, const WrittenSchema& schema, int32_t* id) override {
    *id = 258;
    schemas[258] = schema;
    return {nullptr, false, subject == "out-value" ? "" : "not registered"};
  }

  std::map<int32_t, WrittenSchema> schemas = {
      {1,
       {"PROTOBUF",
        "syntax = \"proto3\"; message A { int64 a = 1; string s = 2; } message B { message C { int64 a = 7; } }",
        {}}},
      {2,
       {"PROTOBUF",
        "syntax = \"proto3\"; import \"m.proto\"; message R { m.M m = 1; optional int64 a = 5; }",
        {{"m.proto", "syntax = \"proto3\"; package m; message M { int64 x = 1; }"}}}}};
  bool away = false;
  int asked = 0;
};

class ProtobufTest : public ::testing::Test {
 protected:
  ProtobufTest() : protobuf_(MakeProtobufFormat(&lookup_)) {
    formats_.Set(protobuf_.get());
    plan_ = codec_test::PlanOf({"a int64 null", "s string null"});
    plan_.format = FormatSpec("protobuf");
  }

  DecodedRows Decode(SourceDecoder* decoder, const std::vector<Rec>& records, size_t first = 0) {
    auto decoded = decoder->Decode(FakeFetch(records), first, 1, &time_);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(decoded->rows->ValidateFull().ok());
    return *std::move(decoded);
  }
  std::unique_ptr<SourceDecoder> Decoder() { return SourceDecoder::Make(plan_, formats_).value(); }
  static std::string Framed(int32_t id, std::string_view indexes, const std::string& body) {
    return SchemaIdPrefix(id) + std::string(indexes) + body;
  }

  FakeLookup lookup_;
  std::unique_ptr<const Format> protobuf_;
  Formats formats_;
  SourcePlan plan_;
  SourceTime time_;
};

const std::string kFirst("\0", 1), kFirstToo("\2\0", 2), kNested("\4\2\0", 3);

TEST_F(ProtobufTest, EachRecordIsTheMessageThatItNames) {
  const auto decoder = Decoder();
  const DecodedRows rows = Decode(decoder.get(), {{Framed(1, kFirst, "\x08\x01\x12\x01x")},
                                                  {Framed(1, kFirstToo, "\x08\x02")},
                                                  {Framed(1, kNested, "\x38\x03")},
                                                  {Framed(2, kFirst, "\x0A\x02\x08\x01\x28\x04")},
                                                  {Framed(1, kFirst, "\x08\x05")}});
  EXPECT_THAT(rows.errors, IsEmpty());
  EXPECT_THAT(codec_test::Rows(plan_.columns, rows.rows),
              ElementsAre(R"({"a":1,"s":"x"})", R"({"a":2,"s":""})", R"({"a":3,"s":null})", R"({"a":4,"s":null})",
                          R"({"a":5,"s":""})"));
  EXPECT_EQ(lookup_.asked, 2);
}

TEST_F(ProtobufTest, AMessageThatIsStatedIsFoundWhicheverWayItWasCounted) {
  lookup_.schemas[4] = {"PROTOBUF",
                        "syntax = \"proto3\"; message A { map<string, string> m = 3; message B { int64 a = 1; } "
                        "message C { int64 a = 1; } }",
                        {}};
  const std::vector<Rec> records = {{Framed(4, std::string("\4\0\0", 3), "\x08\x01")},
                                    {Framed(4, std::string("\4\0\2", 3), "\x08\x02")},
                                    {Framed(4, std::string("\4\0\4", 3), "\x08\x03")}};
  // B; C, or B where the map's entries count; C where they do, else nothing.
  const DecodedRows any = Decode(Decoder().get(), records);
  ASSERT_EQ(any.errors.size(), 1u);
  EXPECT_THAT(any.errors[0].reason, HasSubstr("no message at the place"));
  plan_.format.options["message"] = "A.B";
  const DecodedRows b = Decode(Decoder().get(), records);
  EXPECT_THAT(codec_test::Rows(plan_.columns, b.rows), ElementsAre(R"({"a":1,"s":null})", R"({"a":2,"s":null})"));
  plan_.format.options["message"] = "A.C";
  const DecodedRows c = Decode(Decoder().get(), records);
  EXPECT_THAT(codec_test::Rows(plan_.columns, c.rows), ElementsAre(R"({"a":2,"s":null})", R"({"a":3,"s":null})"));
}

TEST_F(ProtobufTest, WhatNamesNoMessageIsABadRecord) {
  lookup_.schemas[8] = {"AVRO", "\"string\"", {}};
  lookup_.schemas[9] = {"PROTOBUF", "import \"gone.proto\";", {}};
  plan_.format.options["message"] = "A";
  const auto decoder = Decoder();
  const DecodedRows rows = Decode(decoder.get(), {{"{}"},
                                                  {Framed(1, "", "")},
                                                  {Framed(1, "\2\6", "")},
                                                  {Framed(1, "\xFF\xFF\xFF\x0F", "")},
                                                  {Framed(5, kFirst, "")},
                                                  {Framed(8, kFirst, "")},
                                                  {Framed(9, kFirst, "")},
                                                  {Framed(1, kNested, "")}});
  ASSERT_EQ(rows.errors.size(), 8u);
  EXPECT_THAT(rows.errors[0].reason, HasSubstr("doesn't begin with the number of a schema"));
  EXPECT_THAT(rows.errors[1].reason, HasSubstr("isn't followed by the indexes"));
  EXPECT_THAT(rows.errors[2].reason, HasSubstr("schema 1: it has no message at the place"));
  EXPECT_THAT(rows.errors[3].reason, HasSubstr("isn't followed by the indexes"));
  EXPECT_EQ(rows.errors[4].reason, "unknown");
  EXPECT_THAT(rows.errors[5].reason, HasSubstr("schema 8: it is one of AVRO"));
  EXPECT_THAT(rows.errors[6].reason, HasSubstr("import gone.proto isn't there"));
  EXPECT_THAT(rows.errors[7].reason, HasSubstr("the record is a B.C, not a A"));
}

TEST_F(ProtobufTest, ARecordWaitsForItsSchema) {
  const auto decoder = Decoder();
  const std::vector<Rec> records = {{Framed(1, kFirst, "\x08\x01")}, {Framed(7, kFirst, "\x08\x02")}};
  lookup_.away = true;
  const DecodedRows before = Decode(decoder.get(), records);
  EXPECT_EQ(before.next, 1u);
  EXPECT_EQ(before.waits_for, "the schema");
  lookup_.schemas[7] = lookup_.schemas[1];
  const DecodedRows after = Decode(decoder.get(), records, before.next);
  EXPECT_THAT(codec_test::Rows(plan_.columns, after.rows), ElementsAre(R"({"a":2,"s":""})"));
}

TEST_F(ProtobufTest, AHeaderMayNameSchemaAndMessage) {
  plan_.format.options["schema_id"] = "header";
  const auto decoder = Decoder();
  Rec one = {"\x38\x03"};
  one.headers = {{"__value_schema_id", SchemaIdPrefix(1) + kNested}};
  Rec two = {"\x08\x04"};
  two.headers = {{"__value_schema_id", SchemaIdPrefix(1) + kFirst}};
  const DecodedRows rows = Decode(decoder.get(), {one, two});
  EXPECT_THAT(rows.errors, IsEmpty());
  EXPECT_THAT(codec_test::Rows(plan_.columns, rows.rows), ElementsAre(R"({"a":3,"s":null})", R"({"a":4,"s":""})"));
}

TEST_F(ProtobufTest, WhatIsWrittenIsReadAsItWas) {
  const std::vector<SourceColumn> columns = {
      codec_test::Col("b bool"),        codec_test::Col("i int32 null"),
      codec_test::Col("l int64"),       codec_test::Col("d double null"),
      codec_test::Col("s string null"), codec_test::Col("y bytes"),
      codec_test::Col("day date"),      codec_test::Col("dec decimal(38,3) null"),
      codec_test::Col("at timestamp"),  codec_test::Col("ms timestamp_ms null"),
      codec_test::Col("j json null")};
  SourcePlan json = codec_test::PlanOf(columns);
  const std::vector<Rec> records = {
      {R"({"b":true,"i":-1,"l":-9223372036854775808,"d":-0.0,"s":"","y":"AQI=","day":"1969-12-31","dec":-12.345,"at":"1969-12-31T23:59:59.999999Z","ms":-1,"j":{"a":[1]}})"},
      {R"({"b":false,"i":0,"l":0,"d":0,"s":"long text of more than a few letters, so that the buffer has to grow once or twice","y":"","day":"2026-01-31","dec":0,"at":"1970-01-01T00:00:00Z","ms":0,"j":"x"})"},
      {R"({"b":false,"l":7,"y":"","day":"9999-12-31","at":"2026-01-01T00:00:00Z"})"}};
  const DecodedRows rows = Decode(SourceDecoder::Make(json).value().get(), records);
  ASSERT_THAT(rows.errors, IsEmpty());
  RowEncoderOptions options{.schema = codec_test::SchemaFor(columns)};
  options.format = FormatSpec("protobuf");
  options.format.options = {{"subject", "out-value"}, {"message", "shop.Everything"}};
  EncodedRecords out;
  ASSERT_TRUE(RowEncoder::Make(options, formats_).value()->Encode(*rows.rows, 1, 0, &out).ok());
  std::vector<Rec> written;
  for (const OutRecord& record : out.records) written.push_back({std::string(*record.value)});
  EXPECT_THAT(written[0].value->substr(0, 6), std::string("\0\0\0\1\2\0", 6));
  // The library reads them too.
  const auto schema = Parsed(lookup_.schemas[258].text);
  google::protobuf::DynamicMessageFactory factory;
  for (const Rec& record : written) {
    const std::unique_ptr<google::protobuf::Message> made(factory.GetPrototype(schema->Named("Everything"))->New());
    EXPECT_TRUE(made->ParseFromString(record.value->substr(6)));
  }
  plan_ = codec_test::PlanOf(columns);
  plan_.format = FormatSpec("protobuf");
  const DecodedRows again = Decode(Decoder().get(), written);
  EXPECT_THAT(again.errors, IsEmpty());
  EXPECT_EQ(codec_test::Rows(columns, again.rows), codec_test::Rows(columns, rows.rows));
}

TEST(ProtobufWriter, AFieldThatCantHoldTheColumnIsNamed) {
  const auto schema = Parsed(
      "syntax = \"proto3\"; message M { int32 narrow = 1; optional sint64 zig = 2; repeated int64 many = 3; int64 "
      "plain = 4; "
      "oneof o { int64 one = 5; } }");
  const auto why = [&](std::string_view declaration) {
    Schema columns;
    columns.Add(codec_test::Col(declaration).column);
    return std::string(ProtobufValueWriter::Make(*schema->Named("M"), columns, {0}, "").status().message());
  };
  EXPECT_EQ(why("narrow int32"), "");
  EXPECT_EQ(why("zig int64 null"), "");
  EXPECT_THAT(why("narrow int64"), HasSubstr("a int64 isn't written as int32"));
  EXPECT_THAT(why("many int64"), HasSubstr("repeated int64"));
  EXPECT_THAT(why("plain int64 null"), HasSubstr("it may be NULL, and field plain can't"));
  EXPECT_THAT(why("one int64"), HasSubstr("is in a oneof"));
  EXPECT_THAT(why("gone int64"), HasSubstr("has no such field"));
}

}  // namespace
}  // namespace tidemark
