#include <gtest/gtest.h>

#include "src/base/json_text.h"
#include "tests/unit/expr/expression_fixture.h"

namespace tidemark {
namespace {

// What a text that stands alone yields.
std::string One(const std::string& sql) {
  auto expression = Expression::Compile(sql, TestSchema());
  if (!expression.ok()) return std::string(expression.status().message());
  auto rows = TestRows(kRows)->Slice(0, 1);
  std::vector<RowError> errors;
  auto result = *expression->Evaluate(*rows, &errors);
  return TypeName(expression->type()) + ": " + (errors.empty() ? ValueText(*result, 0) : "!" + errors[0].message);
}

TEST(JsonTest, ATextIsJsonOrNot) {
  for (const char* text : {"{}", " [1] ", "null", "\"a\"", "-1.5e3", "{\"a\":{\"b\":[[]]}}"})
    EXPECT_TRUE(IsJson(text)) << text;
  for (const char* text : {"", " ", "{", "{} {}", "nul", "'a'", "01", "{a:1}", "[1,]", "\"\\ud800\"", "NaN"}) {
    EXPECT_FALSE(IsJson(text)) << text;
  }
}

TEST(JsonTest, ValuesAreTakenOutAsTheyAreWritten) {
  EXPECT_EQ(One("'{\"a\": {\"b\" : [1, 2.50]}}'::json -> 'a'"), "json: {\"b\" : [1, 2.50]}");
  EXPECT_EQ(One("'{\"a\": {\"b\" : [1, 2.50]}}'::json #>> '{a,b,1}'"), "string: 2.50");
  EXPECT_EQ(One("'{\"a\":1,\"a\":2}'::json ->> 'a'"), "string: 2") << "the last one counts";
  EXPECT_EQ(One("jsonb_extract_path_text('{\"a\":[\"x\\n\"]}', 'a', '0')"), "string: x\n");
  EXPECT_EQ(One("('{\"a\":null}'::json -> 'a') is null"), "bool: false");
  EXPECT_EQ(One("('{\"a\":null}'::json ->> 'a') is null"), "bool: true");
  EXPECT_EQ(One("('{\"n\":\"42\"}'::jsonb ->> 'n')::int64 + 1"), "int64: 43");
}

TEST(JsonTest, ReadersOfBothNamesAreThere) {
  EXPECT_EQ(One("jsonb_typeof('[1]')"), "string: array");
  EXPECT_EQ(One("jsonb_array_length('[1, {}, []]')"), "int32: 3");
  EXPECT_EQ(One("'{\"a\":1}'::jsonb ? 'a'"), "bool: true");
  EXPECT_EQ(One("jsonb_build_object('n', i, 'x', null, 'j', '[1]'::json)"),
            "json: {\"n\" : 1, \"x\" : null, \"j\" : [1]}");
}

TEST(JsonTest, WhatIsNoJsonFailsItsRow) {
  EXPECT_EQ(One("s::json"), "json: !invalid input syntax for type json");
  EXPECT_EQ(One("try_cast(s, 'json')"), "json: null");
  EXPECT_EQ(One("'{'::json"), "invalid input syntax for type json");
}

TEST(JsonTest, ThereIsNoEqualityAndNoContainment) {
  EXPECT_EQ(
      One("'1'::json = '1'"),
      "json has no equality and no order: its text is kept as it was written; compare a field, as in j ->> 'field'");
  EXPECT_EQ(One("'1'::json in ('1')").substr(0, 20), "json has no equality");
  EXPECT_EQ(One("greatest('1'::json, null)").substr(0, 20), "json has no equality");
  EXPECT_EQ(One("'{}'::json @> '{}'"), "operator @> isn't supported; take values out with ->> or #>>");
  EXPECT_EQ(One("s -> 'a'"), "-> takes json, not string; cast it, as in text::json");
  EXPECT_EQ(One("'{}'::json #> s"), "#> takes a constant path, as in '{a,0,b}'");
}

}  // namespace
}  // namespace tidemark
