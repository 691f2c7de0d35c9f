#include <gtest/gtest.h>

#include "tests/unit/expr/expression_fixture.h"

namespace tidemark {
namespace {

std::string Compiled(std::string_view sql) {
  auto aggregate = Aggregate::Compile(sql, TestSchema());
  if (!aggregate.ok()) {
    return absl::StrCat("error at ", ErrorPosition(aggregate.status()).value_or(-1), ": ",
                        std::string(aggregate.status().message()));
  }
  return TypeName(aggregate->type) + (aggregate->nullable ? " null" : "");
}

TEST(AggregateTest, ResultTypesFollowTheArgument) {
  EXPECT_EQ(Compiled("count(*)"), "int64");
  EXPECT_EQ(Compiled("count(s)"), "int64");
  EXPECT_EQ(Compiled("sum(i)"), "int64 null");
  EXPECT_EQ(Compiled("sum(l * i)"), "int64 null");
  EXPECT_EQ(Compiled("sum(f)"), "double null");
  EXPECT_EQ(Compiled("sum(n)"), "decimal(38,2) null");
  EXPECT_EQ(Compiled("avg(i)"), "double null");
  EXPECT_EQ(Compiled("avg(n)"), "decimal(38,2) null");
  EXPECT_EQ(Compiled("min(s)"), "string null");
  EXPECT_EQ(Compiled("max(ts)"), "timestamp_ms null");
  EXPECT_EQ(Compiled("FIRST(b)"), "bool null");
  EXPECT_EQ(Compiled("last(d + 1)"), "date null");
}

TEST(AggregateTest, SomeAreMadeOfAllValues) {
  EXPECT_EQ(Compiled("count(distinct s)"), "int64");
  EXPECT_EQ(Compiled("count(distinct s) filter (where b)"), "int64");
  EXPECT_EQ(Compiled("mode(n)"), Compiled("max(n)"));
  EXPECT_EQ(Compiled("mode(b)"), "bool null");
  EXPECT_EQ(Compiled("string_agg(s || '!', ', ')"), "string null");
  EXPECT_EQ(Compiled("string_agg(s, ', ', 3 order by l desc, i)"), "string null");
  EXPECT_EQ(Compiled("array_agg(l)"), "json null");
  EXPECT_EQ(Compiled("array_agg(s, 10 order by l desc)"), "json null");
  EXPECT_EQ(Compiled("min_by(s, l)"), "string null");
  EXPECT_EQ(Compiled("max_by(b, l + i)"), "bool null");
  EXPECT_EQ(Compiled("approx_count_distinct(s)"), "int64");
  EXPECT_EQ(Compiled("approx_percentile(l, 0.95)"), "double null");
}

TEST(AggregateTest, AFilterIsAnExpressionOfItsOwn) {
  EXPECT_EQ(Compiled("count(*) filter (where b)"), "int64");
  EXPECT_EQ(Compiled("bool_or(b) filter (where l > 1)"), "bool null");
  EXPECT_EQ(Compiled("stddev_samp(l)"), "double null");
  auto sum = Aggregate::Compile("sum(l) filter (where l / i > 1)", TestSchema());
  ASSERT_TRUE(sum.ok()) << sum.status();
  EXPECT_EQ(sum->columns(), (std::vector<size_t>{0, 1}));
  EXPECT_FALSE(sum->argument->fallible());
  EXPECT_TRUE(sum->fallible());
}

TEST(AggregateTest, CountStarHasNoArgument) {
  auto star = Aggregate::Compile("count(*)", TestSchema());
  EXPECT_EQ(star->function, AggregateFunction::kCountStar);
  EXPECT_FALSE(star->argument.has_value());
  auto sum = Aggregate::Compile("sum(l * i)", TestSchema());
  EXPECT_EQ(sum->function, AggregateFunction::kSum);
  EXPECT_EQ(sum->argument->columns(), (std::vector<size_t>{0, 1}));
}

TEST(AggregateTest, AnythingElseIsRefusedWithTheRemedy) {
  EXPECT_EQ(Compiled("sum(distinct i)"), "error at 0: DISTINCT is supported in count alone; put a dedup step in front");
  EXPECT_EQ(Compiled("length(distinct s)").substr(0, 26), "error at 0: expected an ag");
  EXPECT_EQ(Compiled("string_agg(s)"),
            "error at 0: string_agg takes a text and what stands between, and may take how many at most: "
            "string_agg(name, ', '), string_agg(name, ', ', 10 order by place)");
  EXPECT_EQ(Compiled("string_agg(s, s)"),
            "error at 0: string_agg takes a text and what stands between, and may take how many at most: "
            "string_agg(name, ', '), string_agg(name, ', ', 10 order by place)");
  EXPECT_EQ(Compiled("string_agg(i, ',')"), "error at 11: string_agg takes a string, not int32");
  EXPECT_EQ(Compiled("mode(s, s)"), "error at 0: mode takes one argument");
  EXPECT_EQ(Compiled("length(s) filter (where b)").substr(0, 26), "error at 0: expected an ag");
  EXPECT_EQ(Compiled("sum(l) filter (where i)"), "error at 21: FILTER takes a condition (bool), this is int32");
  EXPECT_EQ(Compiled("sum(l) filter (where max(i) > 1)"),
            "error at 28: FILTER looks at the rows, not at aggregates of them");
  EXPECT_EQ(Compiled("sum(l) filter (where nope)"), "error at 21: unknown column 'nope'");
  EXPECT_EQ(Compiled("bool_and(i)"), "error at 9: bool_and takes a bool, not int32");
  EXPECT_EQ(Compiled("stddev(n)"), "error at 7: stddev of a decimal isn't implemented; cast it to double");
  EXPECT_EQ(Compiled("variance(s)"), "error at 9: variance takes a number, not string");
  EXPECT_EQ(Compiled("first(l order by i)"),
            "error at 0: ORDER BY is supported in array_agg and string_agg; first and last follow the rows' order, "
            "min_by and max_by take what to order by");
  EXPECT_EQ(Compiled("array_agg(l order by i nulls first)"),
            "error at 0: NULLS FIRST or LAST isn't supported in an aggregate");
  EXPECT_EQ(Compiled("array_agg(l order by max(i))"),
            "error at 21: ORDER BY looks at the rows, not at aggregates of them");
  EXPECT_EQ(Compiled("array_agg(l, i)"),
            "error at 0: array_agg takes a value, and may take how many at most: array_agg(name), array_agg(name, 10 "
            "order by place desc)");
  EXPECT_EQ(Compiled("array_agg(l, 0)"), "error at 13: expected 1 to 1000000");
  EXPECT_EQ(Compiled("min_by(l)"), "error at 0: min_by takes a value and what to order by: min_by(name, place)");
  EXPECT_EQ(Compiled("approx_percentile(l)"),
            "error at 0: approx_percentile takes a number and a share from 0 to 1: approx_percentile(ms, 0.95)");
  EXPECT_EQ(Compiled("approx_percentile(l, 1.5)"), "error at 21: expected a share from 0 to 1, as 0.95");
  EXPECT_EQ(Compiled("approx_percentile(s, 0.5)"), "error at 18: approx_percentile takes a number, not string");
  EXPECT_EQ(Compiled("sum(l) over ()"), "error at 0: OVER isn't supported in an aggregate");
  EXPECT_EQ(Compiled("sum(l) / 2"),
            "error at 7: an aggregate stands alone; compute with its result in a project step that follows");
  EXPECT_EQ(Compiled("sum(max(l))"), "error at 4: an aggregate of an aggregate needs a step of its own");
  EXPECT_EQ(
      Compiled("l"),
      "error at 0: expected an aggregate, one of count, sum, min, max, avg, first, last, bool_and, bool_or, "
      "variance, var_samp, var_pop, stddev, stddev_samp, stddev_pop, mode, string_agg, array_agg, min_by, max_by, "
      "approx_count_distinct, approx_percentile, lag");
  EXPECT_EQ(Compiled("coumt(l)"), "error at 0: expected an aggregate (did you mean 'count'?)");
  EXPECT_EQ(Compiled("sum(s)"), "error at 4: sum takes a number, not string");
  EXPECT_EQ(Compiled("sum(*)"), "error at 0: sum(*) doesn't exist; only count(*) does");
  EXPECT_EQ(Compiled("count()"), "error at 0: count takes one argument");
  EXPECT_EQ(Compiled("sum(nope)"), "error at 4: unknown column 'nope'");
}

}  // namespace
}  // namespace tidemark
