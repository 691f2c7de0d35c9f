// JSON behind the number of its schema, on its way in and out.
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/json/format.h"
#include "src/codec/json/schema.h"
#include "src/codec/row_encoder.h"
#include "src/codec/schema_id.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

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
      {1, {"JSON", "{}", {}}}, {2, {"JSON", "{}", {}}}, {8, {"AVRO", "\"int\"", {}}}};
  bool away = false;
  int asked = 0;
};

class FramedJson : public ::testing::Test {
 protected:
  FramedJson() : json_(MakeJsonFormat(&lookup_)) {
    formats_.Set(json_.get());
    plan_ = codec_test::PlanOf({"a int64 null", "s string null"});
    plan_.format = FormatSpec("json");
    plan_.format.options["schema_id"] = "prefix";
  }

  DecodedRows Decode(SourceDecoder* decoder, const std::vector<Rec>& records, size_t first = 0) {
    auto decoded = decoder->Decode(FakeFetch(records), first, 1, &time_);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(decoded->rows->ValidateFull().ok());
    return *std::move(decoded);
  }
  std::unique_ptr<SourceDecoder> Decoder() { return SourceDecoder::Make(plan_, formats_).value(); }
  std::vector<std::string> Rows(const DecodedRows& rows) { return codec_test::Rows(plan_.columns, rows.rows); }

  FakeLookup lookup_;
  std::unique_ptr<const Format> json_;
  Formats formats_;
  SourcePlan plan_;
  SourceTime time_;
};

TEST_F(FramedJson, TheNumberIsTakenOffAndAskedForOnce) {
  const DecodedRows rows = Decode(Decoder().get(), {{SchemaIdPrefix(1) + R"({"a":1,"s":"x"})"},
                                                    {SchemaIdPrefix(2) + R"({"a":2})"},
                                                    {SchemaIdPrefix(1) + R"({"a":3})"}});
  EXPECT_THAT(rows.errors, IsEmpty());
  EXPECT_THAT(Rows(rows), ElementsAre(R"({"a":1,"s":"x"})", R"({"a":2,"s":null})", R"({"a":3,"s":null})"));
  EXPECT_EQ(lookup_.asked, 2);
}

TEST_F(FramedJson, WhatNamesNoSchemaOfJsonIsABadRecord) {
  const DecodedRows rows = Decode(Decoder().get(), {{R"({"a":1})"},
                                                    {std::string("\0\0\0", 3)},
                                                    {SchemaIdPrefix(5) + R"({"a":1})"},
                                                    {SchemaIdPrefix(8) + R"({"a":1})"},
                                                    {SchemaIdPrefix(1) + R"({"a":)"},
                                                    {SchemaIdPrefix(1)},
                                                    {SchemaIdPrefix(1) + R"({"a":1})"}});
  ASSERT_EQ(rows.errors.size(), 6u);
  EXPECT_THAT(rows.errors[0].reason, HasSubstr("doesn't begin with the number of a schema"));
  EXPECT_THAT(rows.errors[1].reason, HasSubstr("doesn't begin with the number of a schema"));
  EXPECT_EQ(rows.errors[2].reason, "unknown");
  EXPECT_EQ(rows.errors[3].reason, "schema 8 is one of AVRO, not of JSON");
  EXPECT_THAT(Rows(rows), ElementsAre(R"({"a":1,"s":null})"));
}

TEST_F(FramedJson, ARecordWaitsForItsSchema) {
  const auto decoder = Decoder();
  const std::vector<Rec> records = {{SchemaIdPrefix(1) + R"({"a":1})"}, {SchemaIdPrefix(7) + R"({"a":2})"}};
  lookup_.away = true;
  const DecodedRows before = Decode(decoder.get(), records);
  EXPECT_EQ(before.next, 1u);
  EXPECT_EQ(before.waits_for, "the schema");
  lookup_.schemas[7] = {"JSON", "{}", {}};
  EXPECT_THAT(Rows(Decode(decoder.get(), records, before.next)), ElementsAre(R"({"a":2,"s":null})"));
}

TEST_F(FramedJson, AHeaderMayNameItAndAValueMayBeAnArray) {
  plan_.format.options = {{"schema_id", "header"}, {"array", "true"}};
  Rec one = {R"([{"a":1},{"a":2}])"};
  one.headers = {{"__value_schema_id", SchemaIdPrefix(1)}};
  const DecodedRows rows = Decode(Decoder().get(), {one, {"[]"}});
  ASSERT_EQ(rows.errors.size(), 1u);
  EXPECT_THAT(rows.errors[0].reason, HasSubstr("no header __value_schema_id"));
  EXPECT_THAT(Rows(rows), ElementsAre(R"({"a":1,"s":null})", R"({"a":2,"s":null})"));
}

TEST_F(FramedJson, WhatIsWrittenIsReadAsItWas) {
  FormatSpec spec("json");
  spec.options = {{"schema_id", "prefix"}, {"subject", "out-value"}};
  const Schema schema = codec_test::SchemaFor(plan_.columns);
  const DecodedRows rows =
      Decode(Decoder().get(), {{SchemaIdPrefix(1) + R"({"a":1,"s":"x"})"}, {SchemaIdPrefix(1) + "{}"}});
  const auto encoder = RowEncoder::Make({.schema = schema, .format = spec, .value = {0, 1}}, formats_);
  ASSERT_TRUE(encoder.ok()) << encoder.status();
  EncodedRecords encoded;
  ASSERT_TRUE((*encoder)->Encode(*rows.rows, 1, 0, &encoded).ok());
  ASSERT_EQ(encoded.records.size(), 2u);
  EXPECT_EQ(encoded.records[0].value, SchemaIdPrefix(258) + R"({"a":1,"s":"x"})");
  EXPECT_EQ(encoded.records[1].value, SchemaIdPrefix(258) + R"({"a":null,"s":null})");
  std::vector<Rec> records;
  for (const OutRecord& record : encoded.records) records.push_back({std::string(*record.value)});
  EXPECT_EQ(Rows(Decode(Decoder().get(), records)), Rows(rows));
  spec.options["subject"] = "other-value";
  EXPECT_THAT(std::string(formats_.MakeWriter(spec, schema, {0}).status().message()), HasSubstr("not registered"));
}

TEST(JsonSchema, SaysWhatColumnsAre) {
  const Schema schema = codec_test::SchemaFor({codec_test::Col("b bool"), codec_test::Col("i int32 null"),
                                               codec_test::Col("d decimal(5,2)"), codec_test::Col("at timestamp"),
                                               codec_test::Col("ms timestamp_ms"), codec_test::Col("y bytes null"),
                                               codec_test::Col("j json null"), codec_test::Col("key string")});
  EXPECT_EQ(JsonSchemaOf(schema, {0, 1, 2, 3, 4, 5, 6}, "out-value"),
            R"({"$schema":"http://json-schema.org/draft-07/schema#","title":"out-value","type":"object",)"
            R"("additionalProperties":false,"properties":{"b":{"type":"boolean"},)"
            R"("i":{"oneOf":[{"type":"null"},{"type":"integer"}]},"d":{"type":"number"},)"
            R"("at":{"type":"string","format":"date-time"},"ms":{"type":"integer"},)"
            R"("y":{"oneOf":[{"type":"null"},{"type":"string","contentEncoding":"base64"}]},"j":{}},)"
            R"("required":["b","d","at","ms"]})");
}

}  // namespace
}  // namespace tidemark
