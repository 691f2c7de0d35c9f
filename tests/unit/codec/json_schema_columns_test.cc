// Columns taken from JSON Schemas.
#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/json/schema.h"
#include "src/codec/json/schema_columns.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

// "name type null" of every column; or why there are none.
std::string Taken(const std::string& schema, const std::vector<WrittenSchema::Reference>& references = {}) {
  const auto columns = ColumnsOfJsonSchema(schema, references);
  if (!columns.ok()) return std::string(columns.status().message());
  std::string out;
  for (const TakenColumn& c : *columns) {
    absl::StrAppend(&out, out.empty() ? "" : ", ", c.column.name, " ", TypeName(c.column.type),
                    c.column.nullable ? " null" : "");
  }
  return out;
}

// Of an object with these properties, all of them required.
std::string Properties(const std::string& properties, const std::string& more = "") {
  return R"({"type":"object","properties":{)" + properties + R"(},"required":["a","b","c","d","e","f","g","h"])" +
         more + "}";
}

TEST(JsonSchemaColumns, TypesAndFormatsAreColumns) {
  EXPECT_EQ(Taken(Properties(R"("a":{"type":"integer"},"b":{"type":"integer","minimum":0,"maximum":2147483647},
                                "c":{"type":"number"},"d":{"type":"boolean"},"e":{"type":"string"},
                                "f":{"type":"string","format":"date-time"},"g":{"type":"string","format":"date"},
                                "h":{"type":"string","format":"uuid"})")),
            "a int64, b int32, c double, d bool, e string, f timestamp, g date, h string");
  EXPECT_EQ(Taken(Properties(R"("a":{"type":"string","contentEncoding":"base64"},"b":{"enum":["x","y"]},"c":{"const":1},
                                "d":{"type":"array","items":{"type":"integer"}},"e":{"type":"object"},"f":{},"g":true)")),
            "a bytes, b string, c int64, d json, e json, f json null, g json null");
}

TEST(JsonSchemaColumns, NullableIsWhatMayBeMissingOrNull) {
  EXPECT_EQ(Taken(R"({"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["b"]})"),
            "a int64 null, b string");
  EXPECT_EQ(Taken(Properties(
                R"("a":{"type":["null","integer"]},"b":{"oneOf":[{"type":"null"},{"type":"string","format":"date"}]},
                                "c":{"enum":["x",null]},"d":{"type":"string","nullable":true},
                                "e":{"type":["integer","string"]},"f":{"anyOf":[{"type":"integer"},{"type":"number"}]},
                                "g":{"type":"null"})")),
            "a int64 null, b date null, c string null, d string null, e json, f double");
}

TEST(JsonSchemaColumns, ObjectsWithinAreTheirPropertiesAndNullableBelowWhatIsNullable) {
  EXPECT_EQ(Taken(Properties(
                R"("a":{"type":"object","properties":{"x":{"type":"integer"},"y":{"type":"integer"}},"required":["x"]},
                                "z":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]})")),
            "a_x int64, a_y int64 null, z_x int64 null");
}

TEST(JsonSchemaColumns, ReferencesAreFollowedAndPartsPutTogether) {
  EXPECT_EQ(
      Taken(Properties(
                R"("a":{"$ref":"#/$defs/money"},"b":{"$ref":"#/definitions/a~1b"},"c":{"$ref":"other.json#/$defs/d"},
                                "d":{"$ref":"other.json"})",
                R"(,"$defs":{"money":{"type":"number"}},"definitions":{"a/b":{"type":"string"}})"),
            {{"other.json",
              R"({"type":"boolean","$defs":{"d":{"$ref":"#/$defs/e"},"e":{"type":"string","format":"date"}}})"}}),
      "a double, b string, c date, d bool");
  EXPECT_EQ(Taken(R"({"$ref":"#/$defs/order","$defs":{"order":{"allOf":[{"$ref":"#/$defs/base"},
                      {"properties":{"n":{"type":"integer"}},"required":["n"]}]},
                      "base":{"properties":{"id":{"type":"string"}},"required":["id"]}}})"),
            "id string, n int64");
  EXPECT_EQ(
      Taken(Properties(
          R"("a":{"$ref":"#/$defs/tree"})",
          R"(,"$defs":{"tree":{"type":"object","properties":{"name":{"type":"string"},"left":{"$ref":"#/$defs/tree"}}}})")),
      "a_name string null, a_left json null")
      << "what contains itself";
}

TEST(JsonSchemaColumns, WhatCantBeTakenIsNamed) {
  EXPECT_THAT(Taken("[1"), HasSubstr("malformed JSON"));
  EXPECT_THAT(Taken(R"({"type":"array"})"), HasSubstr("isn't one of an object with properties"));
  EXPECT_THAT(Taken(Properties(R"("a":{"$ref":"#/$defs/x"})")), HasSubstr("property a: $ref #/$defs/x leads nowhere"));
  EXPECT_THAT(Taken(Properties(R"("a":{"$ref":"http://x/y.json"})")),
              HasSubstr("$ref http://x/y.json leads to another schema, which isn't among its references"));
  EXPECT_THAT(Taken(Properties(R"("a":{"$ref":"#name"})")), HasSubstr("isn't a path such as #/$defs/name"));
  EXPECT_THAT(Taken(Properties(R"("a":{"properties":{"b":{"type":"string"}}},"a_b":{"type":"string"})")),
              HasSubstr("two fields would be column a_b"));
  EXPECT_THAT(Taken(R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}})"),
              HasSubstr("isn't one of an object with properties"));
}

TEST(JsonSchemaColumns, OfWhatASinkRegistersAreItsColumns) {
  const std::vector<SourceColumn> columns = {codec_test::Col("a int64"),       codec_test::Col("b string null"),
                                             codec_test::Col("c double null"), codec_test::Col("d timestamp"),
                                             codec_test::Col("e date null"),   codec_test::Col("f bytes"),
                                             codec_test::Col("g bool"),        codec_test::Col("h json null")};
  const Schema schema = codec_test::SchemaFor(columns);
  EXPECT_EQ(Taken(JsonSchemaOf(schema, {0, 1, 2, 3, 4, 5, 6, 7}, "t")),
            "a int64, b string null, c double null, d timestamp, e date null, f bytes, g bool, h json null");
}

}  // namespace
}  // namespace tidemark
