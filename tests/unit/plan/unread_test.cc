// Which columns travel inside a stage: what later steps and sinks read, and no others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

const char* const kCount = ", window: { tumbling: 1m }, group_by: [b], aggregates: { n: \"count(*)\" } }\n";

// Steps over source s (a, b, c, d) and table t (a -> x, y), and sinks.
Plan Planned(const std::string& steps, const std::string& sinks = "  out: { from: z, topic: out }\n") {
  const auto plan = PlanOf(
      "name: app\n"
      "sources:\n  s: { topic: s, columns: { a: int64, b: string, c: int64, d: string }, key_format: text, "
      "partitioned_by: [b] }\n"
      "tables:\n  t: { file: t.csv, key: [a], columns: { a: int64, x: string, y: string } }\n"
      "steps:\n  tabled: { from: s, join: { table: t, on: [a] } }\n" +
      steps + "sinks:\n  tabled_out: { from: tabled, topic: tabled }\n" + sinks);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : Plan();
}

std::vector<std::string> Out(const Plan& plan, const std::string& step) { return NodeOf(plan, step).output.Names(); }
std::vector<std::string> In(const Plan& plan, const std::string& step) {
  return NodeOf(plan, step).in().schema.Names();
}

TEST(UnreadColumns, ADedupLeavesOutWhatOnlyItReads) {
  const Plan plan =
      Planned(std::string("  y: { from: s, dedup: { by: [b, c], within: 1h } }\n  z: { from: y") + kCount);
  EXPECT_THAT(In(plan, "y"), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(Out(plan, "y"), ElementsAre("b"));
  EXPECT_THAT(*NodeOf(plan, "y").in().passed, ElementsAre(1));
  EXPECT_THAT(SpecOf<WindowSpec>(plan, "z").group_by, ElementsAre(0)) << "renumbered";
  EXPECT_THAT(SpecOf<WindowSpec>(plan, "z").rows.Names(), ElementsAre("b"));
  EXPECT_THAT(Out(plan, "z"), ElementsAre("b", "window_start", "window_end", "n"));
}

TEST(UnreadColumns, AJoinLeavesOutColumnsOfBothSides) {
  const Plan plan = Planned(
      "  w: { from: s, filter: \"c > 1\" }\n"
      "  y: { from: w, join: { table: t, on: [a] } }\n"
      "  z: { from: y, project: { b: b, upper: \"upper(y)\" } }\n");
  EXPECT_THAT(Out(plan, "w"), ElementsAre("a", "b"));
  EXPECT_THAT(*NodeOf(plan, "w").in().passed, ElementsAre(0, 1));
  EXPECT_THAT(Out(plan, "y"), ElementsAre("b", "y"));
  EXPECT_THAT(*NodeOf(plan, "y").in().passed, ElementsAre(1));
  EXPECT_THAT(SpecOf<JoinSpec>(plan, "y").on, ElementsAre(Pair(0, 0)));
  EXPECT_EQ(SpecOf<JoinSpec>(plan, "y").columns.size(), 1u);
  const size_t y = SpecOf<JoinSpec>(plan, "y").columns[0];
  EXPECT_EQ(plan.tables[0].columns[y].column.name, "y");
}

TEST(UnreadColumns, SeveralReadersGetWhatAnyOfThemReads) {
  const Plan plan = Planned(std::string("  y: { from: s, dedup: { by: [b], within: 1h } }\n"
                                        "  v: { from: y, project: { d: d } }\n  z: { from: y") +
                                kCount,
                            "  out: { from: z, topic: out }\n  v_out: { from: v, topic: v }\n");
  EXPECT_THAT(Out(plan, "y"), ElementsAre("b", "d"));
  EXPECT_THAT(SpecOf<WindowSpec>(plan, "z").group_by, ElementsAre(0));
}

TEST(UnreadColumns, ASinkReadsAll) {
  const Plan plan = Planned("  z: { from: s, dedup: { by: [b], within: 1h } }\n");
  EXPECT_THAT(Out(plan, "z"), ElementsAre("a", "b", "c", "d"));
}

TEST(UnreadColumns, RowsThatAreKeptOrSentSomewhereAreWhole) {
  const std::string count = std::string("  z: { from: y") + kCount;
  const char* const above[] = {
      "  w: { from: s, filter: \"c > 1\" }\n  y: { from: w, dedup: { by: [b], within: 1h, keep: last } }\n",
      "  w: { from: s, filter: \"c > 1\" }\n  y: { from: w, join: { table: t, on: [a], unmatched: { topic: u } } }\n",
      "  w: { from: s, filter: \"c > 1\" }\n  y: { from: w, filter: \"10 / c > 1\" }\n",  // may fail: a dead letter
                                                                                          // shows the row
  };
  for (const char* steps : above) {
    EXPECT_THAT(Out(Planned(steps + count), "w"), ElementsAre("a", "b", "c", "d")) << steps;
  }
  const Plan top = Planned(
      "  v: { from: s, window: { tumbling: 1m }, group_by: [b], aggregates: { n: \"count(*)\" } }\n"
      "  w: { from: v, filter: \"n > 1\" }\n"
      "  y: { from: w, top: { k: 3, by: [b], order: [n desc] } }\n"
      "  z: { from: y, project: { b: b } }\n");
  EXPECT_THAT(Out(top, "w"), ElementsAre("b", "window_start", "window_end", "n"));
  const Plan late = Planned(
      "  w: { from: s, filter: \"c > 1\" }\n"
      "  z: { from: w, window: { tumbling: 1m, late: { topic: late } }, group_by: [b], aggregates: { n: \"count(*)\" } "
      "}\n");
  EXPECT_THAT(Out(late, "w"), ElementsAre("a", "b", "c", "d"));
}

TEST(UnreadColumns, RowsThatAreOnlyCountedHaveNone) {
  const Plan plan = Planned(
      "  y: { from: s, filter: \"c > 1\" }\n"
      "  z: { from: y, window: { tumbling: 1m }, group_by: [], aggregates: { n: \"count(*)\" } }\n");
  EXPECT_THAT(Out(plan, "y"), IsEmpty());
}

TEST(UnreadColumns, UnitedInputsStayAlike) {
  const Plan plan = Planned(std::string("  v: { from: s, filter: \"c > 1\" }\n  w: { from: s, filter: \"c < 1\" }\n"
                                        "  y: { from: [v, w], dedup: { by: [b], within: 1h } }\n  z: { from: y") +
                            kCount);
  EXPECT_THAT(Out(plan, "v"), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(Out(plan, "w"), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(Out(plan, "y"), ElementsAre("b"));
}

}  // namespace
}  // namespace tidemark
