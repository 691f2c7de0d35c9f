// What the planner makes of a join with the versions of a table's rows.
#include "operators/join/versioned_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/plan/operator_kind.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Topology(const std::string& join, const std::string& more = "", const std::string& from = "orders",
                     const std::string& sinks = "") {
  return "name: app\nsources:\n"
         "  orders: { topic: orders, columns: { id: int64, item: { type: string, nullable: true }, at: timestamp_ms } "
         "}\n"
         "  prices: { topic: prices, columns: { item: string, price: double, note: string, gone: bool } }\n"
         "tables:\n  t: { file: t.csv, key: [item], columns: { item: string, x: string } }\n"
         "steps:\n  known: { from: orders, join: { table: t, on: [item] } }\n" +
         more + "  z: { from: " + from + ", join: { " + join +
         " } }\nsinks:\n  out: { from: z, topic: out }\n  known_topic: { from: known, topic: known }\n"
         "  other: { from: prices, topic: other }\n" +
         sinks;
}
std::string Errors(const std::string& join, const std::string& more = "", const std::string& from = "orders") {
  return ErrorsOf(Topology(join, more, from));
}
Plan Planned(const std::string& join, const std::string& more = "", const std::string& from = "orders",
             const std::string& sinks = "") {
  const auto plan = PlanOf(Topology(join, more, from, sinks));
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : Plan();
}

const std::string kJoin = "table: { from: prices }, on: [item], versioned: { keep: 1d }";
const std::string kDays =
    "  days: { from: orders, window: { tumbling: 1d }, group_by: [item], aggregates: { n: \"count(*)\" } }\n";

TEST(VersionedPlanTest, TheOutputIsTheStreamThenTheColumnsOfTheTableWhichMayBeNullInALeftJoin) {
  EXPECT_EQ(NodeOf(Planned(kJoin), "z").output.ToString(),
            "id int64, item string null, at timestamp_ms, price double, note string, gone bool");
  EXPECT_EQ(NodeOf(Planned(kJoin + ", type: left, columns: [price], prefix: p_"), "z").output.ToString(),
            "id int64, item string null, at timestamp_ms, p_price double null");
}

TEST(VersionedPlanTest, BothSidesAreMovedByTheKeyWithTheirOwnWatermarksAndPlacesAndOfTheTableOnlyWhatIsKept) {
  const Plan plan =
      Planned("table: { from: prices }, on: [item], columns: [price], versioned: { keep: 1d, deleted: gone }");
  ASSERT_EQ(plan.edges.size(), 2u);
  EXPECT_EQ(plan.edges[0].topic, "app.z.stream.repartition");
  EXPECT_EQ(plan.edges[1].topic, "app.z.table.repartition");
  for (const Edge& edge : plan.edges) {
    EXPECT_TRUE(edge.hidden.Has(Hidden::kWatermark));
    EXPECT_TRUE(edge.hidden.HasOrder());
  }
  const Node& z = NodeOf(plan, "z");
  const auto& spec = z.spec.As<VersionedJoinSpec>();
  EXPECT_EQ(spec.keep_us, 24 * 3600 * kSecond);
  EXPECT_EQ(spec.ahead_us, kSecond);
  EXPECT_EQ(z.spec.kind().HoldsUs(z), 1) << "nothing asks for a time ahead";
  std::vector<ColumnFlags> read = {ColumnFlags(3), ColumnFlags(4)};
  EXPECT_TRUE(z.spec.kind().Reads(z, ColumnFlags(4), &read));
  EXPECT_THAT(read[0], ElementsAre(true, true, true)) << "rows wait as a whole";
  EXPECT_THAT(read[1], ElementsAre(true, true, false, true)) << "its key, what comes of it, and whether it is gone";
  EXPECT_EQ(z.spec.kind().Origin(z, 3), PortColumn(1, 1));
  EXPECT_EQ(z.spec.kind().Fingerprint(z),
            "versioned join by [item string null] and [item string] of [id int64, item string null, at timestamp_ms] "
            "and [price double]");
}

TEST(VersionedPlanTest, AStepThatLiesByTheKeyIsJoinedWithItselfWhereItIsAndStaysAWindow) {
  const std::string join =
      "table: { from: days }, on: [item], as_of: \"window_end - interval '30 days'\", versioned: { keep: 40d }, "
      "type: left, prefix: before_";
  const Plan plan = Planned(join, kDays + "  best: { from: z, top: { k: 1, by: [item], order: [n] } }\n", "days",
                            "  best_topic: { from: best, topic: best }\n");
  for (const Edge& edge : plan.edges) EXPECT_NE(edge.step, "z") << edge.topic;
  EXPECT_EQ(NodeOf(plan, "best").output.size(), NodeOf(plan, "z").output.size());
}

TEST(VersionedPlanTest, ATableByItsNameIsWhatItWas) {
  const auto plan = PlanOf(Topology("table: { name: t }, on: [item]"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(NodeOf(*plan, "z").output, NodeOf(*plan, "known").output);
}

TEST(VersionedPlanTest, MistakesSayWhatIsExpected) {
  EXPECT_THAT(Errors("table: { from: prices }, on: [item]"), HasSubstr("versioned: { keep: 1d }"));
  EXPECT_THAT(Errors("table: { from: prices }, on: [item], versioned: { ahead: 1s }"),
              HasSubstr("missing field 'keep'"));
  EXPECT_THAT(Errors("table: { from: price }, on: [item], versioned: { keep: 1d }"),
              HasSubstr("unknown source or step 'price' (did you mean 'prices'?)"));
  EXPECT_THAT(Errors("table: { name: t, from: prices }, on: [item], versioned: { keep: 1d }"), HasSubstr("not both"));
  EXPECT_THAT(Errors("table: {}, on: [item], versioned: { keep: 1d }"), HasSubstr("name one"));
  EXPECT_THAT(Errors("table: t, on: [item], versioned: { keep: 1d }"), HasSubstr("no versions are kept"));
  EXPECT_THAT(Errors("table: t, on: [item], as_of: at"), HasSubstr("'as_of' goes with `table: { from: STEP }`"));
  EXPECT_THAT(Errors("stream: prices, on: [item], within: { after: 1m }, as_of: at"), HasSubstr("not with `stream`"));
  EXPECT_THAT(Errors(kJoin + ", within: { after: 1m }"), HasSubstr("'within' goes with `stream`"));
  EXPECT_THAT(Errors(kJoin + ", type: full"), HasSubstr("`right` and `full` go with `stream`"));
  EXPECT_THAT(Errors(kJoin + ", as_of: id"), HasSubstr("expected a time (a timestamp), this is int64"));
  EXPECT_THAT(Errors(kJoin + ", as_of: price"), HasSubstr("price"));
  EXPECT_THAT(Errors(kJoin + ", late: { left: l }"), HasSubstr("never late"));
  EXPECT_THAT(Errors(kJoin + ", type: left, unmatched: { topic: u }"), HasSubstr("a left join keeps"));
  EXPECT_THAT(Errors("table: { from: prices }, on: { id: item }, versioned: { keep: 1d }"),
              HasSubstr("'id' is int64, but 'item' of the table is string; cast one of them"));
  EXPECT_THAT(Errors("table: { from: prices }, on: [item], versioned: { keep: 1d, deleted: note }"),
              HasSubstr("expected a condition (bool), this is string"));
  EXPECT_THAT(Errors("table: { from: prices }, on: [item], versioned: { keep: 1d, ahead: 1s }"),
              HasSubstr("'ahead' goes with `as_of`"));
  EXPECT_THAT(Errors("table: { from: prices }, on: [item], versioned: { keep: 1d, on_expired: null_row }"),
              HasSubstr("dead_letter"));
  const std::string counts = "  n: { from: prices, group_by: [item], aggregates: { n: \"count(*)\" } }\n";
  EXPECT_THAT(Errors("table: { from: n }, on: [item], versioned: { keep: 1d }", counts),
              HasSubstr("a join with versions over an updating step isn't implemented"));
}

}  // namespace
}  // namespace tidemark
