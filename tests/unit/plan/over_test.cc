// What the planner makes of `over`, and what it refuses.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/over/spec.h"
#include "src/plan/operator_kind.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

std::string Over(const std::string& over, const std::string& aggregates, const std::string& from = "clicks",
                 const std::string& more = "") {
  return Clicks(more + "  z: { from: " + from + ", over: { " + over + " }, aggregates: { " + aggregates + " } }\n",
                "z");
}
std::string Errors(const std::string& over, const std::string& aggregates, const std::string& from = "clicks",
                   const std::string& more = "") {
  return ErrorsOf(Over(over, aggregates, from, more));
}

TEST(OverPlanTest, TheOutputIsTheRowAndWhatItSees) {
  const auto plan = PlanOf(Over("by: [url], range: 1h, grace: 2s", "n: count(*), top: max(price)"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Node& node = NodeOf(*plan, "z");
  EXPECT_EQ(node.output.ToString(),
            "guid int64, url string null, price double, ms timestamp_ms, n int64, top double null");
  EXPECT_FALSE(node.mode.update);
  const auto& spec = node.spec.As<OverSpec>();
  EXPECT_EQ(spec.range_us, 3600 * kSecond);
  EXPECT_TRUE(spec.ordered);
  EXPECT_EQ(node.spec.kind().Describe(node),
            "over the rows of (url) of the last 1h, grace 2s: n = count(*), top = max(price)");
  ASSERT_EQ(plan->edges.size(), 1u);
  EXPECT_TRUE(plan->edges[0].hidden.Has(Hidden::kWatermark) && plan->edges[0].hidden.HasOrder());
}

TEST(OverPlanTest, WithLagAloneThereIsNoFrame) {
  const auto plan = PlanOf(Over("by: [url]", "before: \"lag(price, 2)\""));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(NodeOf(*plan, "z").output.ToString(),
            "guid int64, url string null, price double, ms timestamp_ms, before double null");
}

TEST(OverPlanTest, MistakesNameWhatToDo) {
  EXPECT_THAT(Errors("by: [url]", "n: count(*)"), HasSubstr("which rows does it see? Give range: a duration, or rows"));
  EXPECT_THAT(Errors("by: [url], range: 1h, rows: 3", "n: count(*)"), HasSubstr("`range` or `rows`"));
  EXPECT_THAT(Errors("by: [url], range: 0s", "n: count(*)"), HasSubstr("must be longer than nothing"));
  EXPECT_THAT(Errors("by: [url], rows: 10001", "n: count(*)"), HasSubstr("expected 1 to 10000"));
  EXPECT_THAT(Errors("by: [url], rows: 3", "b: lag(price)"), HasSubstr("there is only lag: leave it out"));
  EXPECT_THAT(Errors("by: [url], range: 1h", "b: lag(price)"), HasSubstr("give it an `over` step of its own"));
  EXPECT_THAT(Errors("by: [url], rows: 3", "b: \"lag(price, 0)\""), HasSubstr("expected 1 to 10000"));
  EXPECT_THAT(Errors("by: [url], range: 1h", "d: approx_count_distinct(guid)"), HasSubstr("use count(distinct ...)"));
  EXPECT_THAT(Errors("by: [utl], range: 1h", "n: count(*)"), HasSubstr("utl"));
  EXPECT_THAT(Errors("range: 1h", "n: count(*)"), HasSubstr("by"));
  EXPECT_THAT(Errors("by: [url], range: 1h", "price: count(*)"), HasSubstr("price"));
  EXPECT_THAT(Errors("by: [url], range: 1h", "n: count(*)", "u",
                     "  u: { from: clicks, group_by: [url], aggregates: { n2: count(*) } }\n"),
              HasSubstr("over over an updating step isn't implemented"));
  EXPECT_THAT(ErrorsOf(Clicks("  z: { from: clicks, over: { by: [url], range: 1h }, group_by: [url], aggregates: { n: "
                              "count(*) } }\n",
                              "z")),
              HasSubstr("'group_by' goes with"));
  EXPECT_THAT(ErrorsOf(Clicks("  z: { from: clicks, group_by: [url], aggregates: { b: lag(price) } }\n", "z")),
              HasSubstr("it goes with `over`"));
}

TEST(OverPlanTest, ApproximateAggregatesOfChangesAreRefusedOrExact) {
  const std::string counts = "  u: { from: clicks, group_by: [url], aggregates: { n2: count(*) } }\n";
  const auto over_counts = [&](const std::string& call) {
    return ErrorsOf(Clicks(counts + "  z: { from: u, group_by: [n2], aggregates: { a: \"" + call + "\" } }\n", "",
                           "  o: { from: z, topic: o, key: [n2] }\n"));
  };
  EXPECT_THAT(over_counts("approx_count_distinct(n2)"), HasSubstr("use count(distinct ...)"));
  EXPECT_EQ(over_counts("approx_percentile(n2, 0.5)"), "");
  EXPECT_EQ(over_counts("max_by(url, n2)"), "");
  EXPECT_EQ(over_counts("array_agg(url, 10 order by n2 desc)"), "");
  EXPECT_THAT(over_counts("array_agg(url)"), HasSubstr("may have an ORDER BY of their own"));
}

}  // namespace
}  // namespace tidemark
