// What the planner makes of a join of two streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/join/streams_spec.h"
#include "src/plan/operator_kind.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Topology(const std::string& join, const std::string& more = "", const std::string& from = "orders") {
  return "name: app\nsources:\n"
         "  orders: { topic: orders, columns: { id: int64, customer: { type: string, nullable: true }, total: double } "
         "}\n"
         "  payments: { topic: payments, columns: { order_id: int64, amount: double, note: string } }\n"
         "  more: { topic: more, columns: { order_id: int64, amount: double, note: string } }\n"
         "steps:\n" +
         more + "  z: { from: " + from + ", join: { " + join +
         " } }\nsinks:\n  out: { from: z, topic: out }\n  other: { from: more, topic: other }\n"
         "  third: { from: payments, topic: third }\n  fourth: { from: orders, topic: fourth }\n";
}
std::string Errors(const std::string& join, const std::string& more = "", const std::string& from = "orders") {
  return ErrorsOf(Topology(join, more, from));
}
Plan Planned(const std::string& join, const std::string& more = "") {
  const auto plan = PlanOf(Topology(join, more));
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : Plan();
}

const char* const kOn = "stream: payments, on: { id: order_id }, within: { before: 5m, after: 1m }";

TEST(StreamsPlanTest, TheOutputIsTheLeftThenTheColumnsOfTheRightAndWhatMayBeMissingMayBeNull) {
  const auto output = [](const std::string& type) {
    return NodeOf(Planned(std::string(kOn) + ", type: " + type), "z").output.ToString();
  };
  EXPECT_EQ(output("inner"), "id int64, customer string null, total double, amount double, note string");
  EXPECT_EQ(output("left"), "id int64, customer string null, total double, amount double null, note string null");
  EXPECT_EQ(output("right"), "id int64, customer string null, total double null, amount double, note string");
  EXPECT_EQ(output("full"), "id int64, customer string null, total double null, amount double null, note string null");
}

TEST(StreamsPlanTest, BothSidesAreMovedByTheKeyAndTheUnionOfARightTooWithTheirOwnWatermarks) {
  const Plan plan = Planned("stream: [payments, more], on: { id: order_id }, within: { after: 1h }, columns: [note]");
  ASSERT_EQ(plan.edges.size(), 2u);
  EXPECT_EQ(plan.edges[0].topic, "app.z.left.repartition");
  EXPECT_EQ(plan.edges[1].topic, "app.z.right.repartition");
  for (const Edge& edge : plan.edges) EXPECT_TRUE(edge.hidden.Has(Hidden::kWatermark));
  const auto& spec = NodeOf(plan, "z").spec.As<StreamJoinSpec>();
  EXPECT_EQ(spec.before_us, 0);
  EXPECT_EQ(spec.after_us, 3600 * kSecond);
  EXPECT_EQ(spec.grace_us, 0);
  EXPECT_THAT(NodeOf(plan, "z").output.Names(), ElementsAre("id", "customer", "total", "note"));
}

// Sessions of everything lie in one partition, which can't be where the other side's rows are moved to by no column.
TEST(StreamsPlanTest, ASideThatIsOneGroupOfEverythingIsMovedLikeTheOther) {
  const Plan plan = Planned("stream: busy, on: { id: n }, within: { before: 5m }",
                            "  busy: { from: more, window: { session: 1m }, group_by: [], "
                            "aggregates: { n: \"sum(order_id)\" } }\n");
  ASSERT_EQ(plan.edges.size(), 3u);
  EXPECT_EQ(plan.edges[0].topic, "app.busy.repartition");
  EXPECT_EQ(plan.edges[0].partitions, 1);
  EXPECT_EQ(plan.edges[1].topic, "app.z.left.repartition");
  EXPECT_THAT(plan.edges[1].key, ElementsAre(0));
  EXPECT_EQ(plan.edges[2].topic, "app.z.right.repartition");
  EXPECT_THAT(plan.edges[2].key, ElementsAre(2));
}

TEST(StreamsPlanTest, OfTheRightOnlyWhatIsKeptIsCarriedThere) {
  const std::string promised = "  r: { from: payments, filter: \"amount > 0\" }\n";
  auto text = Topology("stream: r, on: { id: order_id }, within: { after: 1h }, columns: [note]", promised);
  for (const char* key : {"id", "order_id"}) {
    const std::string columns = absl::StrCat("columns: { ", key, ": int64");
    text.insert(text.find(columns), absl::StrCat("key_format: text, partitioned_by: [", key, "], "));
  }
  const auto plan = PlanOf(text);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Node& z = NodeOf(*plan, "z");
  EXPECT_THAT(z.in(1).schema.Names(), ElementsAre("order_id", "note"));
  EXPECT_THAT(z.spec.As<StreamJoinSpec>().columns, ElementsAre(1));
  EXPECT_THAT(z.spec.As<StreamJoinSpec>().on[1], ElementsAre(0));
  const OperatorKind& kind = z.spec.kind();
  EXPECT_EQ(kind.Origin(z, 2), PortColumn(2, 0));
  EXPECT_EQ(kind.Origin(z, 3), PortColumn(1, 1));
  EXPECT_EQ(kind.Fingerprint(z),
            "stream join inner by [id int64] and [order_id int64] within 0us and 3600000000us of [id int64, customer "
            "string null, total double] and [note string, order_id int64]");
}

TEST(StreamsPlanTest, GroupedByTheKeyOfASideThatMayBeMissingRowsAreMoved) {
  const auto moved = [](const std::string& type, const std::string& group) {
    const auto plan = PlanOf(Topology(std::string(kOn) + ", columns: [order_id], prefix: p_, type: " + type,
                                      "  g: { from: z, group_by: [" + group + "], aggregates: { n: count(*) } }\n") +
                             "  groups: { from: g, topic: groups, key_format: json, key: [" + group + "] }\n");
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() && std::any_of(plan->edges.begin(), plan->edges.end(),
                                    [](const Edge& edge) { return edge.topic == "app.g.repartition"; });
  };
  for (const char* type : {"inner", "right"}) EXPECT_FALSE(moved(type, "p_order_id")) << type;
  for (const char* type : {"left", "full"}) EXPECT_TRUE(moved(type, "p_order_id")) << type;
  for (const char* type : {"inner", "left", "right", "full"}) EXPECT_FALSE(moved(type, "id")) << type;
}

TEST(StreamsPlanTest, AStreamMayBeJoinedWithItself) {
  const Plan plan = Planned("stream: orders, on: [id], within: { before: 1m }, prefix: last_");
  EXPECT_EQ(plan.edges.size(), 2u);
}

TEST(StreamsPlanTest, MistakesSayWhatIsExpected) {
  EXPECT_THAT(Errors("on: [id]"), HasSubstr("a join is with a `table` or with a `stream`: name one"));
  EXPECT_THAT(Errors("stream: payments, table: t, on: [id]"), HasSubstr("not with both"));
  EXPECT_THAT(Errors("stream: payments, on: { id: order_id }"), HasSubstr("within: { before: 5m, after: 1m }"));
  EXPECT_THAT(Errors("stream: paymets, on: { id: order_id }, within: { after: 1m }"),
              HasSubstr("unknown source or step 'paymets' (did you mean 'payments'?)"));
  EXPECT_THAT(Errors("stream: payments, on: [id], within: { after: 1m }"),
              HasSubstr("unknown column 'id' of the stream"));
  EXPECT_THAT(Errors("stream: payments, on: { customer: order_id }, within: { after: 1m }"),
              HasSubstr("'customer' is string, but 'order_id' of the stream is int64; cast one of them"));
  EXPECT_THAT(Errors(std::string(kOn) + ", unmatched: { topic: u }"), HasSubstr("`unmatched` goes with a table"));
  EXPECT_THAT(Errors("stream: orders, on: [id], within: { after: 1m }"), HasSubstr("use prefix"));
  EXPECT_THAT(Errors(std::string(kOn) + ", late: { left: same, right: same }"), HasSubstr("a topic of its own"));
  EXPECT_THAT(Errors(kOn, "  n: { from: orders, group_by: [id], aggregates: { n: \"count(*)\" } }\n", "n"),
              HasSubstr("a join of streams over an updating step isn't implemented"));
}

TEST(StreamsPlanTest, JsonIsNoKeyOnEitherSide) {
  const auto errors = [](const std::string& left, const std::string& right) {
    return ErrorsOf("name: a\nsources:\n  s: { topic: s, columns: { k: " + left +
                    " } }\n  t: { topic: t, columns: { k: " + right +
                    " } }\nsteps:\n  z: { from: s, join: { stream: t, on: [k], within: { after: 1m } } }\n" +
                    "sinks:\n  o: { from: z, topic: o }\n");
  };
  EXPECT_EQ(errors("string", "string"), "");
  EXPECT_THAT(errors("json", "json"), HasSubstr("column k is json, which has no equality"));
  EXPECT_THAT(errors("string", "json"), HasSubstr("column k is json, which has no equality"));
}

TEST(StreamsPlanTest, WhatGoesWithStreamsIsRefusedForATable) {
  const auto errors = [](const std::string& more) {
    return ErrorsOf(
        "name: a\nsources:\n  s: { topic: s, columns: { k: int64 } }\ntables:\n  t: { file: t.csv, key: [k], "
        "columns: { k: int64, x: string } }\nsteps:\n  z: { from: s, join: { table: t, on: [k], " +
        more + " } }\nsinks:\n  o: { from: z, topic: o }\n");
  };
  EXPECT_THAT(errors("within: { after: 1m }"), HasSubstr("'within' goes with `stream`, not with `table`"));
  EXPECT_THAT(errors("grace: 1m"), HasSubstr("'grace' goes with `stream` or `table: { from: STEP }`"));
  EXPECT_THAT(errors("late: { left: l }"), HasSubstr("'late' goes with `stream` or `table: { from: STEP }`"));
  EXPECT_THAT(errors("type: full"), HasSubstr("`right` and `full` go with `stream`"));
}

}  // namespace
}  // namespace tidemark
