// What the planner makes of a join with the versions of a table's rows.
#include "operators/join/versioned_spec.h"

#include <absl/strings/str_cat.h>
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
  for (const char* versioned : {"", ", versioned: { keep: 1d }"}) {
    EXPECT_THAT(Errors(absl::StrCat("table: { from: n }, on: [item]", versioned), counts),
                HasSubstr("which of them there were at a time depends on commits. A table of versions is a source"));
  }
  const std::string windows =
      "  w: { from: prices, window: { tumbling: 1m }, group_by: [item], aggregates: { n: \"count(*)\" }, emit: "
      "on_update }\n";
  EXPECT_THAT(Errors("table: { from: w }, on: [item]", windows), HasSubstr("say emit: on_close in step w"));
  EXPECT_THAT(Errors("table: { from: prices }, on: [item], versioned: { keep: 1d }", counts, "n"),
              HasSubstr("those of a join with versions stand"));
  EXPECT_THAT(Errors("table: { from: prices }, on: [item], as_of: at"), HasSubstr("how far back may it ask?"));
  EXPECT_THAT(Errors("table: { from: prices }, on: [item], late: { left: l }"), HasSubstr("never late"));
}

// ---- Without `versioned`

TEST(VersionedPlanTest, WithoutVersionsARowMeetsTheRowOfItsOwnTimeKeptForAnHour) {
  const Plan plan =
      Planned("table: { from: prices }, on: [item], unmatched: { topic: u }, grace: 5s, late: { right: l }");
  const Node& z = NodeOf(plan, "z");
  const auto& spec = z.spec.As<VersionedJoinSpec>();
  EXPECT_EQ(spec.keep_us, 3600 * kSecond);
  EXPECT_EQ(spec.as_of, "");
  EXPECT_EQ(spec.grace_us, 5 * kSecond);
  EXPECT_EQ(z.side_topics.size(), 2u);
  ASSERT_EQ(plan.edges.size(), 2u);
  EXPECT_EQ(plan.edges[0].topic, "app.z.stream.repartition") << "as with `versioned`, so that it may be added";
  EXPECT_EQ(plan.edges[1].topic, "app.z.table.repartition");
  EXPECT_FALSE(z.mode.update);
  EXPECT_THAT(z.spec.kind().Describe(z), HasSubstr("kept 1h"));
}

// ---- A table of changes

std::string Keyed(const std::string& join, const std::string& more = "", const std::string& table = "p") {
  return "name: app\nsources:\n"
         "  orders: { topic: orders, columns: { id: int64, item: string, shop: string, at: timestamp_ms } }\n"
         "  p: { topic: p, key: [item, shop], columns: { item: { type: string, from: key }, shop: { type: string, "
         "from: "
         "key }, price: double, sold: bool } }\nsteps:\n" +
         more + "  z: { from: orders, join: { table: { from: " + table + " }, " + join +
         " } }\nsinks:\n  out: { from: z, topic: out }\n  t: { from: p, topic: t, key: [item, shop], key_format: json "
         "}\n";
}

TEST(VersionedPlanTest, ATableOfChangesIsJoinedByItsKeyAndTheResultStands) {
  const auto plan = PlanOf(Keyed("on: [item, shop], type: left, versioned: { keep: 2h }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Node& z = NodeOf(*plan, "z");
  EXPECT_TRUE(z.spec.As<VersionedJoinSpec>().changes);
  EXPECT_FALSE(z.mode.update);
  EXPECT_TRUE(z.in(1).hidden.Has(Hidden::kOp));
  EXPECT_TRUE(z.in(1).hidden.Has(Hidden::kWatermark));
  EXPECT_THAT(z.spec.kind().Fingerprint(z), HasSubstr(", changes"));
  const auto filtered = PlanOf(Keyed("on: [item, shop]",
                                     "  f: { from: p, filter: \"not sold\" }\n  g: { from: f, project: { item: item, "
                                     "shop: shop, cents: \"price * 100\" } }\n",
                                     "g"));
  EXPECT_TRUE(filtered.ok()) << filtered.status();
}

// ---- `global: false`

std::string Partitioned(const std::string& table, const std::string& join = "table: prices, on: [item]") {
  return "name: app\nsources:\n  orders: { topic: orders, columns: { id: int64, item: string } }\n"
         "tables:\n  prices: { topic: prices, key: [item], global: false, " +
         table +
         " }\n  t: { file: t.csv, key: [item], columns: { item: string, x: string } }\nsteps:\n"
         "  z: { from: orders, join: { " +
         join +
         " } }\n  k: { from: z, join: { table: t, on: [item] } }\n"
         "sinks:\n  out: { from: k, topic: out }\n";
}

TEST(VersionedPlanTest, ATableThatIsPartitionedIsASourceOfChangesThatRowsMeetAsOfTheirTime) {
  const auto plan = PlanOf(Partitioned("columns: { item: string, price: { type: double, nullable: true } }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->sources.size(), 2u);
  EXPECT_EQ(plan->sources[1].name, "prices");
  EXPECT_EQ(plan->sources[1].columns[0].from, SourceColumn::From::kKey);
  EXPECT_THAT(plan->sources[1].key, ElementsAre(0u));
  ASSERT_EQ(plan->tables.size(), 1u) << "the other one is whole in every worker";
  EXPECT_TRUE(NodeOf(*plan, "z").spec.As<VersionedJoinSpec>().changes);
  EXPECT_EQ(NodeOf(*plan, "z").output.ToString(), "id int64, item string, price double null");
  const auto more = PlanOf(Partitioned(
      "event_time: { column: at }, columns: { item: { type: string, from: key }, price: double, at: timestamp_ms }",
      "table: { name: prices }, on: [item], versioned: { keep: 1d }, type: left"));
  EXPECT_TRUE(more.ok()) << more.status() << ": what a source may say";
}

// What writes the table's keys may write others for the same values where they are objects: other names, other blanks.
TEST(VersionedPlanTest, ATableThatIsPartitionedIsMovedUnlessItsKeysAreValuesByThemselves) {
  const auto edges = [](const std::string& key, const std::string& columns, const std::string& table,
                        const std::string& price, const std::string& on) {
    const auto plan = PlanOf(
        absl::StrCat("name: app\nsources:\n  orders: { topic: orders, ", key, ", columns: { id: int64, ", columns,
                     " } }\ntables:\n  prices: { topic: prices, ", table, ", global: false, columns: { price: double, ",
                     price, " } }\nsteps:\n  z: { from: orders, join: { table: prices, on: ", on,
                     " } }\nsinks:\n  out: { from: z, topic: out }\n"));
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? plan->edges.size() : 99;
  };
  const std::string two = "customer: { type: int64, from: key }, region: { type: string, from: key }";
  EXPECT_EQ(edges("partitioned_by: [customer, region]", two, "key: [id, area]", "id: int64, area: string",
                  "{ customer: id, region: area }"),
            2u);
  EXPECT_EQ(edges("partitioned_by: [customer, region]", two, "key: [customer, region]",
                  "customer: int64, region: string", "[customer, region]"),
            2u);
  const std::string one = "customer: { type: int64, from: key }";
  EXPECT_EQ(edges("key_format: json, partitioned_by: [customer]", one, "key: [customer], key_format: json",
                  "customer: int64", "[customer]"),
            2u);
  EXPECT_EQ(edges("partitioned_by: [customer]", one, "key: [id]", "id: int64", "{ customer: id }"), 0u);
  EXPECT_EQ(edges("key_format: int64, partitioned_by: [customer]", one, "key: [id], key_format: int64", "id: int64",
                  "{ customer: id }"),
            0u);
}

TEST(VersionedPlanTest, ATableIsPartitionedAlsoWhereAVariableSaysSo) {
  std::string text = Partitioned("columns: { item: string, price: double }", "table: '${TABLE}', on: [item]");
  const size_t at = text.find("false");
  text.replace(at, 5, "'${GLOBAL:-false}'");
  text.replace(text.find("key: [item]"), 11, "key: ['${KEY}']");
  const auto plan = PlanOf(text, {{"TABLE", "prices"}, {"KEY", "item"}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->sources.size(), 2u);
  EXPECT_EQ(plan->sources[1].columns[0].from, SourceColumn::From::kKey);
  EXPECT_TRUE(NodeOf(*plan, "z").spec.As<VersionedJoinSpec>().changes);
  EXPECT_THAT(ErrorsOf(text, {{"KEY", "item"}}), HasSubstr("environment variable TABLE is not set"));
}

TEST(VersionedPlanTest, MistakesInATableThatIsPartitionedStandWhereTheyWereMade) {
  const auto errors = [](const std::string& table, const std::string& join = "table: prices, on: [item]") {
    return ErrorsOf(Partitioned(table, join));
  };
  const std::string good = "columns: { item: string, price: double }";
  EXPECT_THAT(errors("columns: { item: { type: string, path: a.b }, price: double }"),
              HasSubstr("t.yaml:5:67: rows replace each other by the record key"));
  EXPECT_THAT(errors("colums: { item: string }"), HasSubstr("did you mean 'columns'"));
  EXPECT_THAT(errors(good, "table: price, on: [item]"), HasSubstr("unknown table 'price'"));
  EXPECT_THAT(errors(good, "table: prices, on: [id]"), HasSubstr("t.yaml:8:"));
  EXPECT_THAT(errors(good + ", file: p.csv"), HasSubstr("unknown field 'file'"));
}

TEST(VersionedPlanTest, WhatATableOfChangesCantBeJoinedBySaysWhy) {
  EXPECT_THAT(ErrorsOf(Keyed("on: [item]")), HasSubstr("`on` must name all of these: without 'shop'"));
  EXPECT_THAT(ErrorsOf(Keyed("on: [item, shop], grace: 5s")), HasSubstr("none of them is late"));
  EXPECT_THAT(ErrorsOf(Keyed("on: [item, shop], late: { right: l }")), HasSubstr("none of them is late"));
}

}  // namespace
}  // namespace tidemark
