#include "src/expr/expression.h"

#include <gtest/gtest.h>

#include "tests/unit/expr/expression_fixture.h"

namespace tidemark {
namespace {

TEST(ExpressionTest, ArithmeticTruncatesAndFailsByRow) {
  EXPECT_EQ(Eval("i + 1"), "int32: 2, 1, null, !integer out of range");
  EXPECT_EQ(Eval("l + 1"), "int64: 11, -2, null, !bigint out of range");
  EXPECT_EQ(Eval("7 / i"), "int32: 7, !division by zero, null, 0");
  EXPECT_EQ(Eval("l / 2"), "int64: 5, -1, null, 4611686018427387903");
  EXPECT_EQ(Eval("l % 2"), "int64: 0, -1, null, 1");
  EXPECT_EQ(Eval("f * 1e10"), "double: 1.5e+10, 0, null, !value out of range: overflow");
  EXPECT_EQ(Eval("i + l"), "int64: 11, -3, null, !bigint out of range");
}

TEST(ExpressionTest, DecimalsKeepTheirScale) {
  EXPECT_EQ(Eval("n + 1"), "decimal(13,2): 3.50, 0.99, null, 100000000.99");
  EXPECT_EQ(Eval("n * 1.5"), "decimal(12,3): 3.750, -0.015, null, 149999999.985");
  EXPECT_EQ(Eval("round(n)"), "decimal(9,0): 3, 0, null, 100000000");
  EXPECT_EQ(Eval("n::decimal(4,1)"), "decimal(4,1): 2.5, 0.0, null, !numeric field overflow");
  EXPECT_EQ(Eval("n / 3"), "decimal(38,16): 0.8333333333333333, -0.0033333333333333, null, 33333333.3300000000000000");
}

TEST(ExpressionTest, AndOrAreThreeValued) {
  EXPECT_EQ(Eval("b and i > 0"), "bool: true, false, null, true");
  EXPECT_EQ(Eval("b or null"), "bool: true, null, null, true");
  EXPECT_EQ(Eval("b and false"), "bool: false, false, false, false");
  EXPECT_EQ(Eval("not b"), "bool: false, true, null, false");
}

TEST(ExpressionTest, BranchesNotTakenDoNotFail) {
  EXPECT_EQ(Eval("i <> 0 and 7 / i > 1"), "bool: true, false, null, false");
  EXPECT_EQ(Eval("i = 0 or 7 / i > 1"), "bool: true, true, null, false");
  EXPECT_EQ(Eval("case when i <> 0 then 7 / i else -1 end"), "int32: 7, -1, -1, 0");
  EXPECT_EQ(Eval("case when i = 1 then 10 when 7 / i = 0 then 20 end"), "int32: 10, !division by zero, null, 20");
  EXPECT_EQ(Eval("coalesce(i, 1 / 0)"), "int32: 1, 0, !division by zero, 2147483647");
  EXPECT_EQ(Eval("case when i > 5 then case when i > 6 then l - 1 else 1 / (i - i) end else 0 end"),
            "int64: 0, 0, 0, 9223372036854775806");
}

TEST(ExpressionTest, AFailedPartMakesTheRowNullAndFailsOnce) {
  EXPECT_EQ(Eval("coalesce(7 / i, 5)"), "int32: 7, !division by zero, 5, 0");
  EXPECT_EQ(Eval("7 / i + 8 / i"), "int32: 15, !division by zero, null, 0");
  EXPECT_EQ(
      Eval("s::int is null or 7 / i > 0"),
      "bool: !invalid input syntax for type integer: \"abc\", !invalid input syntax for type integer: \"\", true, "
      "!invalid input syntax for type integer: \"Ünï\"");
  std::vector<RowError> errors;
  auto rows = TestRows(kRows);
  auto result = Expression::Compile("coalesce(7 / i, 5)", TestSchema())->Evaluate(*rows, &errors);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].row, 1);
  EXPECT_TRUE((*result)->IsNull(1));
}

TEST(ExpressionTest, CaseWithASubjectComparesIt) {
  EXPECT_EQ(Eval("case s when 'abc' then 'x' when '' then 'y' else s end"), "string: x, y, null, Ünï");
  EXPECT_EQ(Eval("case when b then i else l end"), "int64: 1, -3, null, 2147483647");
}

TEST(ExpressionTest, InKnowsNull) {
  EXPECT_EQ(Eval("i in (1, 2)"), "bool: true, false, null, false");
  EXPECT_EQ(Eval("i in (1, null)"), "bool: true, null, null, null");
  EXPECT_EQ(Eval("i not in (1, 2)"), "bool: false, true, null, true");
  EXPECT_EQ(Eval("s in ('a','b','c','d','e','f','g','h','i','abc')"), "bool: true, false, null, false");
  EXPECT_EQ(Eval("l in (1,2,3,4,5,6,7,8,9,10,i)"), "bool: true, false, null, false");
}

TEST(ExpressionTest, LikeMatchesCharactersNotBytes) {
  EXPECT_EQ(Eval("s like '_n_'"), "bool: false, false, null, true");
  EXPECT_EQ(Eval("s ilike 'ü%'"), "bool: false, false, null, true");
  EXPECT_EQ(Eval("s not like '%b%'"), "bool: false, true, null, true");
  EXPECT_EQ(Eval("length(s)"), "int32: 3, 0, null, 3");
  EXPECT_EQ(Eval("substr(s, 2, 1)"), "string: b, , null, n");
}

TEST(ExpressionTest, TryCastGivesNull) {
  EXPECT_EQ(Eval("try_cast(s, 'int64')"), "int64: null, null, null, null");
  EXPECT_EQ(Eval("try_cast(l, int32)"), "int32: 10, -3, null, null");
  EXPECT_EQ(Eval("try_cast(n, 'decimal(4,2)')"), "decimal(4,2): 2.50, -0.01, null, null");
  EXPECT_EQ(Eval("try_cast('x', 'date')"), "date: null, null, null, null");
  EXPECT_EQ(Eval("try_cast(7 / i, 'int64')"), "int64: 7, !division by zero, null, 0") << "only the cast is tried";
  EXPECT_EQ(Eval("try_cast(i, 'nope')"), "error at 12: unknown type 'nope'");
}

TEST(ExpressionTest, TimestampsKeepTheirForm) {
  EXPECT_EQ(Eval("ts + interval '1 hour'").substr(0, 13), "timestamp_ms:");
  EXPECT_EQ(Eval("date_trunc('day', ts)").substr(0, 13), "timestamp_ms:");
  EXPECT_EQ(Eval("date(ts)"), "date: 2024-02-29, 1970-01-01, null, 1969-12-31");
  EXPECT_EQ(Eval("extract(hour from ts)"), "decimal(10,0): 13, 0, null, 23");
}

TEST(ExpressionTest, ConstantsFillEveryRow) {
  EXPECT_EQ(Eval("1 + 1"), "int32: 2, 2, 2, 2");
  EXPECT_EQ(Eval("null"), "string: null, null, null, null");
  EXPECT_EQ(Eval("1 / 0"), "int32: !division by zero, !division by zero, !division by zero, !division by zero");
  EXPECT_EQ(Eval("'x'"), "string: x, x, x, x");
}

TEST(ExpressionTest, ABatchWithoutRowsYieldsNone) {
  auto none = TestRows(kRows)->Slice(0, 0);
  for (const char* sql : {"i + 1", "1 / 0", "s || 'x'", "case when b then 7 / i end", "coalesce(s, 'x')", "lower(s)",
                          "i in (1, l)", "greatest(i, 1)", "b and 1 / i > 0"}) {
    EXPECT_TRUE(Eval(sql, none).ends_with(":")) << sql << " -> " << Eval(sql, none);
  }
}

TEST(ExpressionTest, ASliceIsReadFromItsOffset) {
  auto slice = TestRows(kRows)->Slice(1, 3);
  EXPECT_EQ(Eval("i + 0", slice), "int32: 0, null, 2147483647");
  EXPECT_EQ(Eval("s || '!'", slice), "string: !, null, Ünï!");
  EXPECT_EQ(Eval("not b", slice), "bool: true, null, false");
  EXPECT_EQ(Eval("case when i <> 0 then 7 / i else l end", slice), "int64: -3, null, 0");
  EXPECT_EQ(Eval("7 / i", slice), "int32: !division by zero, null, 0");
}

TEST(ExpressionTest, ColumnsAreFoundAsWrittenThenInLowerCase) {
  EXPECT_EQ(Eval("Mixed"), "int64: 7, 8, null, 9");
  EXPECT_EQ(Eval("\"Mixed\""), "int64: 7, 8, null, 9");
  EXPECT_EQ(Eval("REQ"), "int64: 1, 2, 3, 4");
  EXPECT_EQ(Eval("mixed"), "error at 0: unknown column 'mixed' (did you mean 'Mixed'?)");
  EXPECT_EQ(Eval("\"REQ\""), "error at 0: unknown column 'REQ' (did you mean 'req'?)");
  EXPECT_EQ(Eval("a.i"), "error at 0: a column is named without a table in front; quote a name that contains a dot");
}

TEST(ExpressionTest, NullabilityFollowsTheParts) {
  auto nullable = [](const char* sql) { return Expression::Compile(sql, TestSchema())->nullable(); };
  EXPECT_FALSE(nullable("req + 1"));
  EXPECT_TRUE(nullable("req + i"));
  EXPECT_FALSE(nullable("coalesce(i, 0)"));
  EXPECT_FALSE(nullable("i is null"));
  EXPECT_TRUE(nullable("case when b then 1 end"));
  EXPECT_FALSE(nullable("case when b then 1 else 2 end"));
  EXPECT_TRUE(nullable("nullif(req, 1)"));
  EXPECT_TRUE(nullable("try_cast(s, 'int64')"));
  EXPECT_FALSE(nullable("concat(s, i)"));
}

TEST(ExpressionTest, ColumnsAreThoseItReads) {
  auto expression = Expression::Compile("case when b then l + i else coalesce(l, 1) end", TestSchema());
  EXPECT_EQ(expression->columns(), (std::vector<size_t>{0, 1, 4}));
  EXPECT_EQ(expression->AsColumn(), std::nullopt);
  EXPECT_EQ(Expression::Compile(" (l) ", TestSchema())->AsColumn(), 1u);
}

TEST(ExpressionTest, MistakesAreNamedWhereTheyAre) {
  EXPECT_EQ(Eval("i + "), "error at 4: syntax error at end of expression");
  EXPECT_EQ(Eval("s = 'ü' + + )"), "error at 13: syntax error at or near \")\"");
  EXPECT_EQ(Eval("i + s"), "error at 2: operator + doesn't apply to int32 and string; || joins texts");
  EXPECT_EQ(Eval("i > s"), "error at 2: operator > doesn't compare int32 with string; cast one of them");
  EXPECT_EQ(Eval("lenght(s)"), "error at 0: unknown function 'lenght' (did you mean 'length'?)");
  EXPECT_EQ(Eval("length(i)"), "error at 0: length takes (string) or (bytes), not (int32)");
  EXPECT_EQ(Eval("i::int66"), "error at 1: unknown type 'int66' (did you mean 'int64'?)");
  EXPECT_EQ(Eval("1 + (i = 'abc')::int"), "error at 9: invalid input syntax for type integer: \"abc\"");
  EXPECT_EQ(Eval("i and b"), "error at 0: AND takes a condition (bool), not int32");
  EXPECT_EQ(Eval("case when b then i else s end"), "error at 0: CASE mixes int32 and string; cast one of them");
  EXPECT_EQ(Eval("ts > '2024-13-01'"), "error at 5: date/time field value out of range: \"2024-13-01\"");
}

TEST(ExpressionTest, WhatIsNotAnExpressionIsRefused) {
  EXPECT_EQ(Eval(""), "error at 0: the expression is empty");
  EXPECT_EQ(Eval("i, l"), "error at 0: expected one expression, not a list");
  EXPECT_EQ(Eval("i; l"), "error at 3: syntax error at or near \"l\"");
  EXPECT_EQ(Eval("1) + (2"), "error at 1: syntax error at or near \")\"");
  EXPECT_EQ(Eval("i as x"), "error at 2: syntax error at or near \"as\"");
  EXPECT_EQ(Eval("i -- the rest is a comment"), "int32: 1, 0, null, 2147483647");
}

TEST(ExpressionTest, WhatIsNotSupportedIsNamed) {
  EXPECT_EQ(Eval("(select 1)"), "error at 0: subquery isn't supported");
  EXPECT_EQ(Eval("i & 1"), "error at 2: operator & isn't supported");
  EXPECT_EQ(Eval("s similar to 'x'"), "error at 2: SIMILAR TO isn't supported");
  EXPECT_TRUE(Eval("current_timestamp").starts_with("error at 0: the current time or user isn't supported: results "));
  EXPECT_EQ(Eval("array[i]"), "error at 0: array isn't supported");
  EXPECT_TRUE(Eval("random() < 0.5").starts_with("error at 0: random() isn't supported: results depend on the input"));
  EXPECT_EQ(Eval("(lower(s))[1]"),
            "error at 7: subscript of anything but (regexp_match(text, pattern))[n] isn't supported");
  EXPECT_EQ(Eval("sum(i) + 1"), "error at 0: sum is an aggregate: it stands alone in the aggregates of a step");
  EXPECT_EQ(Eval("s::varchar(3)"), "error at 1: a length or precision of varchar isn't supported; use left(x, n)");
  EXPECT_EQ(Eval("f::numeric"),
            "error at 1: a cast of double to decimal states precision and scale, as in decimal(18,4)");
}

TEST(ExpressionTest, DeepNestingIsHandledOrRefused) {
  std::string sum = "l";
  for (int i = 0; i < 150; ++i) sum += " + 0";
  EXPECT_EQ(Eval(sum), "int64: 10, -3, null, 9223372036854775807");
  sum = "l";
  for (int i = 0; i < 8000; ++i) sum += "+0";
  EXPECT_EQ(Eval(sum), "error at 0: the expression is nested too deeply");
  EXPECT_EQ(Eval(std::string(3000, '(') + "1" + std::string(3000, ')')), "int32: 1, 1, 1, 1");
  EXPECT_EQ(Eval(std::string(20'000, ' ') + "1"),
            "error at 0: the expression is longer than 16 KiB; put long lists into a table and join it");
}

TEST(ExpressionTest, AnyRowCountGivesTheSameValues) {
  std::string json = "[";
  for (int i = 0; i < 1000; ++i) {
    if (i > 0) json += ",";
    json += absl::StrCat("[", i % 7, ",", i, ",", i, ".5,\"s", i, "\",", i % 2 == 0 ? "true" : "false",
                         ",\"1.00\",0,0,0,1]");
  }
  auto rows = TestRows(json + "]");
  const char* kSql = "case when i <> 0 and b then l / i when i = 3 then -1 else length(s || 'x') end";
  auto expression = Expression::Compile(kSql, TestSchema());
  std::vector<RowError> errors;
  auto whole = *expression->Evaluate(*rows, &errors);
  for (int64_t size : {1, 2, 7}) {
    for (int64_t from = 0; from < rows->num_rows(); from += size) {
      auto part = *expression->Evaluate(*rows->Slice(from, size), &errors);
      EXPECT_TRUE(part->Equals(whole->Slice(from, size))) << from;
    }
  }
  EXPECT_TRUE(errors.empty());
}

}  // namespace
}  // namespace tidemark
