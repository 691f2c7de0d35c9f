// What the planner makes of a join of two tables that change.
#include "operators/join/tables_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/plan/operator_kind.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// orders (order_id, customer, total) by order_id; customers (customer, name, note) by customer, and by (customer,
// kind).
std::string Topology(const std::string& join, const std::string& from = "orders",
                     const std::string& key = "[id, customer]", const std::string& more = "") {
  return "name: app\nsources:\n"
         "  order_rows: { topic: o, columns: { id: int64, who: { type: string, nullable: true }, total: double } }\n"
         "  customer_rows: { topic: c, columns: { customer: string, kind: string, name: string, note: string } }\n"
         "steps:\n"
         "  orders: { from: order_rows, group_by: [id], aggregates: { customer: last(who), total: last(total) } }\n"
         "  customers: { from: customer_rows, group_by: [customer], aggregates: { name: last(name), note: last(note) } "
         "}\n"
         "  kinds: { from: customer_rows, group_by: [customer, kind], aggregates: { name: last(name) } }\n" +
         more + "  z: { from: " + from + ", join: { " + join +
         " } }\nsinks:\n  out: { from: z, topic: out, key_format: json, key: " + key +
         " }\n  a: { from: orders, topic: a, key: [id] }\n  b: { from: customers, topic: b, key: [customer] }\n"
         "  d: { from: kinds, topic: d, key: [customer, kind], key_format: json }\n";
}
std::string Errors(const std::string& join, const std::string& from = "orders",
                   const std::string& key = "[id, customer]", const std::string& more = "") {
  return ErrorsOf(Topology(join, from, key, more));
}
Plan Planned(const std::string& join, const std::string& from = "orders", const std::string& key = "[id, customer]",
             const std::string& more = "") {
  const auto plan = PlanOf(Topology(join, from, key, more));
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : Plan();
}
std::vector<std::string> EdgesOf(const Plan& plan, const std::string& step) {
  std::vector<std::string> out;
  for (const Edge& edge : plan.edges) {
    if (edge.step == step) out.push_back(edge.topic + " by " + ColumnNames(edge.schema, edge.key));
  }
  return out;
}
std::string KeyOf(const Plan& plan, const std::string& step) {
  const Node& node = NodeOf(plan, step);
  return ColumnNames(node.output, node.mode.key);
}

const std::string kForeign = "table: { from: customers }, on: [customer]";

TEST(TableJoinPlanTest, ByAForeignKeyTheLeftIsMovedByItWhichJoinsTheKeyAndTheRightStays) {
  const Plan plan = Planned(kForeign + ", type: left");
  EXPECT_EQ(NodeOf(plan, "z").output.ToString(),
            "id int64, customer string null, total double null, name string null, note string null");
  EXPECT_TRUE(NodeOf(plan, "z").mode.update);
  EXPECT_EQ(KeyOf(plan, "z"), "id, customer");
  EXPECT_THAT(EdgesOf(plan, "z"), ElementsAre("app.z.left.repartition by customer"));
  EXPECT_THAT(EdgesOf(plan, "out"), ElementsAre()) << "it lies by a column of the sink's key";
}

TEST(TableJoinPlanTest, ByTheKeyOfBothNothingIsMoved) {
  const std::string more = "  totals: { from: order_rows, group_by: [who], aggregates: { total: sum(total) } }\n";
  const Plan plan = Planned("table: { from: customers }, on: { who: customer }, type: full, columns: [name]", "totals",
                            "[who]", more);
  EXPECT_EQ(NodeOf(plan, "z").output.ToString(), "who string null, total double null, name string null");
  EXPECT_EQ(KeyOf(plan, "z"), "who");
  EXPECT_THAT(EdgesOf(plan, "z"), ElementsAre());
  const Node& z = NodeOf(plan, "z");
  std::vector<ColumnFlags> read = {ColumnFlags(2), ColumnFlags(3)};
  EXPECT_TRUE(z.spec.kind().Reads(z, ColumnFlags(3), &read));
  EXPECT_THAT(read[1], ElementsAre(true, true, false)) << "its key, and what comes of it";
  EXPECT_EQ(
      z.spec.kind().Fingerprint(z),
      "table join full of [who string null, total double null] by [who string null] and [] and [name string null, "
      "customer string] by [customer string] and []");
}

TEST(TableJoinPlanTest, WhereSeveralRowsOfTheRightMatchWhatTellsThemApartJoinsTheKey) {
  const Plan plan = Planned("table: { from: kinds }, on: [customer]", "orders", "[id, customer, kind]");
  EXPECT_EQ(KeyOf(plan, "z"), "id, customer, kind");
  EXPECT_THAT(Errors("table: { from: kinds }, on: [customer], columns: [name]"), HasSubstr("keep column kind"));
  EXPECT_THAT(Errors("table: { from: kinds }, on: [customer]"), HasSubstr("kind")) << "of a sink with a shorter key";
}

TEST(TableJoinPlanTest, AnUpsertSinkByTheLeftsKeyAloneIsRefusedAsARowThatMovesHasTwoThere) {
  EXPECT_THAT(Errors(kForeign, "orders", "[id]"), HasSubstr("customer"));
}

TEST(TableJoinPlanTest, AggregatedByTheLeftsKeyThereIsOneRowOfIt) {
  const std::string yaml =
      Topology(kForeign, "orders", "[id, customer]",
               "  by_order: { from: z, group_by: [id], aggregates: { customer: max(customer), name: "
               "max(name) } }\n") +
      "  e: { from: by_order, topic: e, key: [id] }\n";
  const auto plan = PlanOf(yaml);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(KeyOf(*plan, "by_order"), "id");
  EXPECT_THAT(EdgesOf(*plan, "by_order"), ElementsAre("app.by_order.repartition by id"));
}

// A row without match has NULL there, in whichever partition it lies.
TEST(TableJoinPlanTest, GroupedByTheKeyOfASideThatMayBeMissingRowsAreMoved) {
  const auto edges = [](const std::string& type, const std::string& group) {
    const std::string step = absl::StrCat("  g: { from: z, group_by: [", group, "], aggregates: { n: count(*) } }\n");
    const auto plan = PlanOf(Topology(kForeign + ", columns: [customer, name], prefix: c_, type: " + type, "orders",
                                      "[id, customer]", step) +
                             "  e: { from: g, topic: e, key_format: json, key: [" + group + "] }\n");
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? EdgesOf(*plan, "g") : std::vector<std::string>();
  };
  for (const char* type : {"inner", "right"}) EXPECT_THAT(edges(type, "c_customer"), ElementsAre()) << type;
  for (const char* type : {"left", "full"}) {
    EXPECT_THAT(edges(type, "c_customer"), ElementsAre("app.g.repartition by c_customer")) << type;
  }
  for (const char* type : {"inner", "left", "right", "full"}) {
    EXPECT_THAT(edges(type, "customer"), ElementsAre()) << "it is whichever side's there is: " << type;
  }
}

TEST(TableJoinPlanTest, AStepMayBeJoinedWithItself) {
  const std::string more =
      "  people: { from: customer_rows, group_by: [customer], aggregates: { boss: last(note), name: last(name) } }\n";
  const Plan plan = Planned("table: { from: people }, on: { boss: customer }, type: left, prefix: boss_", "people",
                            "[customer, boss]", more);
  EXPECT_EQ(KeyOf(plan, "z"), "customer, boss");
}

TEST(TableJoinPlanTest, MistakesSayWhatIsExpected) {
  EXPECT_THAT(Errors("table: { from: customers }, on: [customer], unmatched: { topic: u }"),
              HasSubstr("no topic can hold"));
  EXPECT_THAT(Errors("table: { from: customers }, on: [customer], grace: 1m"),
              HasSubstr("'grace' goes with versioned"));
  EXPECT_THAT(Errors("table: { from: customers }, on: [customer], as_of: total"),
              HasSubstr("'as_of' goes with versioned"));
  EXPECT_THAT(Errors("table: { from: customers }, on: [customer], within: { after: 1m }"),
              HasSubstr("goes with `stream`"));
  EXPECT_THAT(Errors("table: { from: customers }, on: { id: customer }"),
              HasSubstr("'id' is int64, but 'customer' of the table is string; cast one of them"));
  EXPECT_THAT(Errors("table: { from: customer_rows }, on: [customer]"),
              HasSubstr("Make a table of the former, a source with `key`, or a group_by"));
  EXPECT_THAT(Errors(kForeign, "customer_rows", "[customer]"),
              HasSubstr("For the rows that both have now make a table of the input too"));
  EXPECT_THAT(Errors("table: { from: customers }, on: [customer], versioned: { keep: 1d }"),
              HasSubstr("leave out `versioned`"));
  EXPECT_THAT(Errors("stream: customers, on: [customer], within: { after: 1m }"), HasSubstr("table: { from: STEP }"));
  const std::string more =
      "  totals: { from: order_rows, group_by: [who], aggregates: { total: sum(total) } }\n"
      "  counts: { from: order_rows, group_by: [who], aggregates: { n: count(*) } }\n";
  EXPECT_THAT(Errors("table: { from: counts }, on: [who], type: full", "totals", "[who]", more), HasSubstr("coalesce"));
  EXPECT_EQ(Errors("table: { from: counts }, on: [who], type: left", "totals", "[who]", more), "");
  EXPECT_THAT(Errors(kForeign, "orders", "[id, customer]",
                     "  w: { from: z, window: { tumbling: 1m }, group_by: [id], aggregates: { n: count(*) } }\n"),
              HasSubstr("window"));
}

}  // namespace
}  // namespace tidemark
