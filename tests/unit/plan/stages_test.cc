// Where repartitions are put in and why, how stages are named, which hidden columns travel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Plan Planned(const std::string& yaml) {
  auto plan = PlanOf(yaml);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : Plan();
}

std::vector<std::string> StageNames(const Plan& plan) {
  std::vector<std::string> out;
  for (const Stage& stage : plan.stages) out.push_back(stage.name);
  return out;
}

// "topic(key) from>to" of each edge.
std::vector<std::string> Edges(const Plan& plan) {
  std::vector<std::string> out;
  for (const Edge& edge : plan.edges) {
    std::string key;
    for (const size_t c : edge.key) absl::StrAppend(&key, key.empty() ? "" : ",", edge.schema[c].name);
    out.push_back(absl::StrCat(edge.topic, "(", key, ") ", edge.from_stage, ">", edge.to_stage));
  }
  return out;
}

// A topology over two equal sources that promise nothing, or what is given.
std::string Two(const std::string& steps, const std::string& sinks, const std::string& promise = "") {
  std::string out = "name: two\nsources:\n";
  for (const char* name : {"left", "right"}) {
    absl::StrAppend(&out, "  ", name, ": { topic: ", name, ", columns: { k: int64, v: int64, w: string }", promise,
                    " }\n");
  }
  return absl::StrCat(out, "steps:\n", steps, "sinks:\n", sinks);
}
const char* const kPromise = ", key_format: text, partitioned_by: [k]";
const std::string kOut = "  out: { from: z, topic: out }\n";

TEST(StagesTest, ADedupOverAnUnpromisedSourceGetsARepartition) {
  const Plan plan = Planned(Two("  z: { from: [left, right], dedup: { by: [k, v], within: 1h } }\n", kOut));
  EXPECT_THAT(Edges(plan), ElementsAre("two.z.repartition(k,v) 0>1"));
  EXPECT_THAT(StageNames(plan), ElementsAre("left", "z"));
  EXPECT_THAT(plan.edges[0].reason, HasSubstr("z needs equal (k, v) together, its input is not partitioned"));
  EXPECT_TRUE(plan.edges[0].hidden.Has(Hidden::kWatermark));  // late is decided behind the shuffle
  EXPECT_FALSE(plan.stages[0].stateful);
  EXPECT_TRUE(plan.stages[1].stateful);
}

TEST(StagesTest, AnEqualPromiseOfAllInputsCarriesThroughAUnion) {
  const std::string z = "  z: { from: [right, left], dedup: { by: [k, v], within: 1h } }\n";
  const Plan plan = Planned(Two(z, kOut, kPromise));
  EXPECT_THAT(Edges(plan), IsEmpty());
  ASSERT_THAT(StageNames(plan), ElementsAre("left"));
  EXPECT_EQ(plan.stages[0].nodes[2].upstream().size(), 2u);
}

TEST(StagesTest, APartitioningSurvivesRenamingAndIsLostWithItsColumn) {
  const std::string renamed =
      "  y: { from: left, project: { kk: k, v: v } }\n"
      "  z: { from: y, dedup: { by: [kk], within: 1h } }\n  a: { from: right, filter: \"k > 1\" }\n";
  const std::string sinks = kOut + "  a_out: { from: a, topic: a }\n";
  EXPECT_THAT(Edges(Planned(Two(renamed, sinks, kPromise))), IsEmpty());
  const std::string computed =
      "  y: { from: left, project: { kk: \"k + 1\", v: v } }\n"
      "  z: { from: y, dedup: { by: [kk], within: 1h } }\n  a: { from: right, filter: \"k > 1\" }\n";
  EXPECT_THAT(Edges(Planned(Two(computed, sinks, kPromise))), ElementsAre("two.z.repartition(kk) 0>2"));
}

TEST(StagesTest, AWindowOnThePromisedKeyNeedsOnePhaseOnly) {
  const Plan plan = Planned(
      Two("  z: { from: [left, right], window: { tumbling: 1m }, group_by: [k], aggregates: { n: \"count(*)\" } }\n",
          kOut, kPromise));
  EXPECT_THAT(Edges(plan), IsEmpty());
  EXPECT_EQ(SpecOf<WindowSpec>(plan, "z").phase, WindowSpec::Phase::kSingle);
  EXPECT_EQ(NodeOf(plan, "z").in().hidden, HiddenSet().With(Hidden::kWatermark));
}

// Partials say what was taken back; a list takes the rows, whose halves then go two ways.
TEST(StagesTest, RowsThatReplaceEachOtherAreMovedByOtherColumns) {
  const std::string counts =
      "  y: { from: [left, right], group_by: [k], aggregates: { n: \"count(*)\", lo: \"min(v)\" } }\n";
  const Plan grouped = Planned(Two(counts + "  z: { from: y, group_by: [n], aggregates: { m: \"max(lo)\" } }\n",
                                   "  out: { from: z, topic: out, key: [n] }\n"));
  EXPECT_THAT(Edges(grouped), ElementsAre("two.y.repartition(k) 0>1", "two.z.repartition(n) 1>2"));
  EXPECT_FALSE(grouped.edges[1].update);
  EXPECT_TRUE(grouped.edges[1].schema.Find("__partial_taken"));
  EXPECT_TRUE(SpecOf<WindowSpec>(grouped, "z").input_updates);
  EXPECT_FALSE(SpecOf<WindowSpec>(grouped, "y").input_updates);
  const Plan listed = Planned(Two(counts + "  z: { from: y, top: { k: 2, by: [n], order: [k], rank: r } }\n",
                                  "  out: { from: z, topic: out, key: [n, r], key_format: json }\n"));
  EXPECT_THAT(Edges(listed), ElementsAre("two.y.repartition(k) 0>1", "two.z.repartition(n) 1>2"));
  EXPECT_TRUE(listed.edges[1].update);
  // As far as columns of their key suffice, they stay together.
  const Plan kept = Planned(Two(counts + "  z: { from: y, top: { k: 2, by: [n, k], order: [lo], rank: r } }\n",
                                "  out: { from: z, topic: out, key: [n, k, r], key_format: json }\n"));
  EXPECT_THAT(Edges(kept), ElementsAre("two.y.repartition(k) 0>1"));
}

TEST(StagesTest, AShuffleServesTheStepsBehindItToo) {
  // By k, not by (k, v): then the window needs no second one.
  const Plan plan =
      Planned(Two("  y: { from: [left, right], dedup: { by: [v, k], within: 1h } }\n"
                  "  z: { from: y, window: { tumbling: 1m }, group_by: [k], aggregates: { n: \"count(*)\" } }\n",
                  kOut));
  EXPECT_THAT(Edges(plan), ElementsAre("two.y.repartition(k) 0>1"));
  EXPECT_THAT(plan.edges[0].reason, HasSubstr("moved by (k), which suffices"));
}

TEST(StagesTest, AGroupOfEverythingIsSpreadByWindowOrLiesInOnePartition) {
  const Plan windowed = Planned(Two(
      "  z: { from: [left, right], window: { tumbling: 1m }, group_by: [], aggregates: { n: \"count(*)\" } }\n", kOut));
  EXPECT_THAT(Edges(windowed), ElementsAre("two.z.repartition(__partial_window_start) 0>1"));
  EXPECT_EQ(windowed.edges[0].partitions, 0);
  const Plan all_time = Planned(Two("  z: { from: [left, right], group_by: [], aggregates: { n: \"count(*)\" } }\n",
                                    "  out: { from: z, postgres: { url: x, table: t, mode: upsert, key: [n] } }\n"));
  EXPECT_EQ(all_time.edges[0].partitions, 1);
}

TEST(StagesTest, ARepartitionStepIsTakenAtItsWord) {
  const Plan plan =
      Planned(Two("  y: { from: [left, right], repartition: { by: [w], partitions: 8 } }\n"
                  "  z: { from: y, dedup: { by: [w, k], within: 1h } }\n",
                  kOut));
  EXPECT_THAT(Edges(plan), ElementsAre("two.y.repartition(w) 0>1"));
  EXPECT_EQ(plan.edges[0].partitions, 8);
  EXPECT_THAT(StageNames(plan), ElementsAre("left", "y"));
  EXPECT_TRUE(NodeOf(plan, "y").spec.Is<PassSpec>());
}

TEST(StagesTest, RepartitionsThatMeetMustAgreeOnTheirPartitions) {
  const auto steps = [](const char* p, const char* q) {
    return absl::StrCat("  x: { from: left, repartition: { by: [k]", p,
                        " } }\n  y: { from: right, repartition: { by: [k]", q, " } }\n",
                        "  z: { from: [x, y], dedup: { by: [k], within: 1h } }\n");
  };
  const Plan plan = Planned(Two(steps(", partitions: 8", ""), kOut));
  EXPECT_EQ(plan.edges[0].partitions, 8);
  EXPECT_EQ(plan.edges[1].partitions, 8);
  EXPECT_THAT(StageNames(plan), ElementsAre("left", "right", "x"));
  EXPECT_THAT(Edges(plan), ElementsAre("two.x.repartition(k) 0>2", "two.y.repartition(k) 1>2"));  // no third: both by k
  EXPECT_THAT(ErrorsOf(Two(steps(", partitions: 8", ", partitions: 4"), kOut)),
              HasSubstr("give them equal `partitions`"));
}

TEST(StagesTest, AStageNeverReadsItsOwnOutput) {
  EXPECT_THAT(ErrorsOf(Two("  y: { from: [left, right], repartition: { by: [k] } }\n"
                           "  z: { from: [y, left], dedup: { by: [k], within: 1h } }\n",
                           kOut)),
              HasSubstr("a stage would read its own output"));
}

TEST(StagesTest, AnUpsertSinkWhoseKeyIsSpreadGetsARepartition) {
  const std::string z = "  z: { from: [left, right], filter: \"k > 1\" }\n";
  const Plan spread = Planned(Two(z, "  out: { from: z, topic: out, key: [w], mode: upsert }\n"));
  EXPECT_THAT(Edges(spread), ElementsAre("two.out.repartition(w) 0>1"));
  EXPECT_THAT(StageNames(spread), ElementsAre("left", "out"));
  const Plan held = Planned(Two(z, "  out: { from: z, topic: out, key: [k], mode: upsert }\n", kPromise));
  EXPECT_THAT(Edges(held), IsEmpty());
}

TEST(StagesTest, UpdatingStepsCarryTheirOperationAndKey) {
  const Plan plan =
      Planned(Two("  y: { from: [left, right], window: { tumbling: 1m }, group_by: [k, v], aggregates: { n: "
                  "\"count(*)\" }, emit: on_update }\n"
                  "  x: { from: y, filter: \"n > 1\" }\n"
                  "  z: { from: x, top: { k: 3, by: [k], order: [\"n desc\"], rank: place } }\n",
                  "  out: { from: z, topic: out, key: [k, place], key_format: json }\n"));
  const Node& y = NodeOf(plan, "y");
  EXPECT_TRUE(y.mode.update);
  EXPECT_THAT(y.mode.key, ElementsAre(0u, 1u, 2u, 3u));  // k, v, window_start, window_end
  EXPECT_TRUE(y.hidden.Has(Hidden::kOp));
  const Node& x = NodeOf(plan, "x");
  EXPECT_TRUE(x.mode.update && x.hidden.Has(Hidden::kOp));
  const Node& z = NodeOf(plan, "z");
  const auto& top = z.spec.As<TopSpec>();
  EXPECT_TRUE(top.on_update);
  EXPECT_THAT(top.by, ElementsAre(0u));  // over updates the window is part of the group only where the guid says so
  EXPECT_THAT(top.input_key, ElementsAre(0u, 1u, 2u, 3u));
  EXPECT_THAT(z.mode.key, ElementsAre(0u, 5u));  // a rank of a group has one row at a time
  EXPECT_TRUE(plan.sinks[0].mode.update);
  EXPECT_TRUE(std::get<KafkaSinkSpec>(plan.sinks[0].spec).upsert);
  EXPECT_THAT(Edges(plan), ElementsAre("two.y.repartition(k) 0>1"));
}

TEST(StagesTest, AListOfRowsThatStandUpdatesByGroupAndPlace) {
  const Plan plan =
      Planned(Two("  z: { from: [left, right], top: { k: 3, by: [k], order: [\"v desc\"], rank: place }, "
                  "emit: on_update }\n",
                  "  out: { from: z, topic: out, key: [k, place], key_format: json }\n"));
  const Node& z = NodeOf(plan, "z");
  const auto& top = z.spec.As<TopSpec>();
  EXPECT_TRUE(top.on_update);
  EXPECT_FALSE(top.input_updates);
  EXPECT_TRUE(z.mode.update && z.hidden.Has(Hidden::kOp));
  EXPECT_THAT(z.mode.key, ElementsAre(0u, z.output.size() - 1));
  EXPECT_TRUE(std::get<KafkaSinkSpec>(plan.sinks[0].spec).upsert);
  EXPECT_THAT(Edges(plan), ElementsAre("two.z.repartition(k) 0>1"));
}

TEST(StagesTest, AListOfWindowsThatAreOverMayRunAcrossThem) {
  const std::string windows =
      "  y: { from: [left, right], window: { tumbling: 1m }, group_by: [k], aggregates: { n: \"count(*)\" } }\n";
  const std::string out = "  out: { from: z, topic: out, key: [k, place], key_format: json, mode: upsert }\n";
  const std::string list = "  z: { from: y, top: { k: 3, by: [k], order: [\"n desc\"], rank: place }, emit: ";
  const Plan running = Planned(Two(windows + list + "on_update }\n", out));
  EXPECT_THAT(SpecOf<TopSpec>(running, "z").by, ElementsAre(0u));
  EXPECT_TRUE(NodeOf(running, "z").mode.update);
  const Plan closed = Planned(Two(windows + list + "on_close }\n", out));
  EXPECT_EQ(SpecOf<TopSpec>(closed, "z").by.size(), 3u);
  EXPECT_FALSE(NodeOf(closed, "z").mode.update);
}

TEST(StagesTest, OrderTravelsOnlyWhereALaterStepFollowsIt) {
  const auto order = [](HiddenSet set) {
    return set.Has(Hidden::kSource) && set.Has(Hidden::kPartition) && set.Has(Hidden::kOffset);
  };
  const std::string window =
      "  z: { from: y, window: { tumbling: 1m }, group_by: [k], aggregates: { a: \"AGG(v)\" } }\n";
  const auto with = [&](const std::string& aggregate) {
    std::string w = window;
    w.replace(w.find("AGG"), 3, aggregate);
    return Planned(Two("  y: { from: [left, right], filter: \"v > 0\" }\n" + w, kOut));
  };
  const Plan last = with("last");
  EXPECT_TRUE(order(last.sources[0].hidden));
  EXPECT_TRUE(order(NodeOf(last, "y").hidden));
  EXPECT_EQ(last.edges[0].hidden, HiddenSet());  // partials carry it as columns
  EXPECT_THAT(last.edges[0].schema.ToString(), HasSubstr("__partial_0_offset int64 null"));
  const Plan max = with("max");
  EXPECT_EQ(max.sources[0].hidden, HiddenSet().With(Hidden::kWatermark));

  const Plan keep_last =
      Planned(Two("  z: { from: [left, right], dedup: { by: [k], within: 1h, keep: last } }\n", kOut));
  EXPECT_TRUE(order(keep_last.edges[0].hidden));
  const Plan plain = Planned(Two("  z: { from: [left, right], filter: \"k > 1\" }\n", kOut));
  EXPECT_EQ(plain.sources[0].hidden, HiddenSet());
}

TEST(StagesTest, ThePlaceOfASourceRowTravelsOnlyWhereAnExpressionCanFailOnIt) {
  const auto place = [](HiddenSet set) { return set.Without(Hidden::kWatermark); };
  const HiddenSet none, offset = HiddenSet().With(Hidden::kOffset), both = offset.With(Hidden::kSource);
  const std::string kAll = "  a: { from: right, filter: \"k > 1\" }\n";
  const std::string out = kOut + "  a_out: { from: a, topic: a }\n";
  // One source in the stage: its offset says all.
  EXPECT_EQ(place(Planned(Two(kAll + "  z: { from: left, filter: \"v > 1\" }\n", out)).sources[0].hidden), none);
  EXPECT_EQ(place(Planned(Two(kAll + "  z: { from: left, filter: \"1 / v > 1\" }\n", out)).sources[0].hidden), offset);
  EXPECT_EQ(place(Planned(Two(kAll + "  z: { from: left, project: { q: \"1 / v\" } }\n", out)).sources[0].hidden),
            offset);
  // Two sources: which one, too.
  EXPECT_EQ(place(Planned(Two("  z: { from: [left, right], filter: \"1 / v > 1\" }\n", kOut)).sources[0].hidden), both);
  // Before a shuffle, not through it.
  const Plan summed = Planned(Two(
      kAll + "  z: { from: left, window: { tumbling: 1m }, group_by: [k], aggregates: { n: \"sum(1 / v)\" } }\n", out));
  EXPECT_EQ(place(summed.sources[0].hidden), offset);
  EXPECT_EQ(place(summed.edges[0].hidden), none);
  const Plan behind = Planned(Two(kAll + "  y: { from: left, dedup: { by: [k], within: 1h } }\n"
                                         "  z: { from: y, filter: \"1 / v > 1\" }\n",
                                  out));
  EXPECT_EQ(place(behind.sources[0].hidden), none);
  EXPECT_EQ(place(behind.edges[0].hidden), none);
  // Results of a window came from no record.
  const Plan results = Planned(
      Two("  y: { from: [left, right], window: { tumbling: 1m }, group_by: [k], aggregates: { n: \"count(*)\" } }\n"
          "  z: { from: y, filter: \"1 / n > 1\" }\n",
          kOut, kPromise));
  EXPECT_EQ(place(results.sources[0].hidden), none);
  EXPECT_EQ(NodeOf(results, "y").hidden, none);
}

TEST(StagesTest, AWindowOverWindowsDecidesLatenessOfItsOwnInput) {
  const Plan plan = Planned(
      Two("  y: { from: [left, right], window: { tumbling: 1m }, group_by: [k], aggregates: { n: \"count(*)\" } }\n"
          "  x: { from: y, project: { k: k, n: n } }\n"
          "  z: { from: x, window: { tumbling: 1h }, group_by: [k], aggregates: { peak: \"max(n)\" } }\n",
          kOut));
  EXPECT_TRUE(NodeOf(plan, "y").hidden.Has(Hidden::kWatermark));
  EXPECT_TRUE(NodeOf(plan, "z").in().hidden.Has(Hidden::kWatermark));
}

TEST(StagesTest, FirstAndLastOverResultsOfWindowsAreRefused) {
  EXPECT_THAT(
      ErrorsOf(
          Two("  y: { from: [left, right], window: { tumbling: 1m }, group_by: [k], aggregates: { n: \"count(*)\" } }\n"
              "  x: { from: y, project: { k: k, n: n } }\n"
              "  z: { from: x, window: { tumbling: 1h }, group_by: [k], aggregates: { f: \"first(n)\" } }\n",
              kOut)),
      HasSubstr("use min or max"));
}

TEST(StagesTest, WindowColumnsTakeTheFormOfTheEventTimeColumn) {
  const auto form = [](const std::string& type) {
    const Plan plan =
        Planned("name: f\nsources: { a: { topic: a, columns: { k: int64, t: " + type +
                " }, event_time: { column: t } } }\n"
                "steps: { w: { from: a, window: { tumbling: 1m }, group_by: [k], aggregates: { n: \"count(*)\" } } }\n"
                "sinks: { s: { from: w, topic: s } }\n");
    return TypeName(NodeOf(plan, "w").output[1].type);
  };
  EXPECT_EQ(form("timestamp_ms"), "timestamp_ms");
  EXPECT_EQ(form("timestamp_s"), "timestamp_s");
  EXPECT_EQ(form("timestamp"), "timestamp");
  // Event time is the record's timestamp: milliseconds.
  const Plan plan = Planned(
      Two("  z: { from: [left, right], window: { tumbling: 1m }, group_by: [k], aggregates: { n: \"count(*)\" } }\n",
          kOut));
  EXPECT_EQ(TypeName(NodeOf(plan, "z").output[1].type), "timestamp_ms");
}

TEST(StagesTest, ProjectSpellsOutTheStar) {
  const Plan plan =
      Planned(Two("  z: { from: [left, right], project: { total: \"k + v\", \"*\": true, v: \"v + 1\" } }\n", kOut));
  EXPECT_EQ(NodeOf(plan, "z").output.Names(), (std::vector<std::string>{"total", "k", "w", "v"}));
  EXPECT_EQ(SpecOf<ProjectSpec>(plan, "z").items[1].expression, "\"k\"");
}

TEST(StagesTest, ALeftJoinMakesTheTablesColumnsNullable) {
  const Plan plan = Planned(
      Clicks("  a: { from: clicks, join: { table: users, on: { guid: guid }, type: left, prefix: u_ } }\n", "a"));
  const Node& node = NodeOf(plan, "a");
  EXPECT_EQ(node.output.columns().back().name, "u_town");
  EXPECT_TRUE(node.output.columns().back().nullable);
}

TEST(StagesTest, ThePlanDoesNotDependOnTheOrderOfTheFile) {
  const std::string a = "  y: { from: [left, right], dedup: { by: [k], within: 1h } }\n";
  const std::string b = "  z: { from: y, window: { tumbling: 1m }, group_by: [w], aggregates: { n: \"count(*)\" } }\n";
  const std::string c = "  x: { from: y, filter: \"v > 1\" }\n";
  const std::string d = "  out: { from: z, topic: out }\n", e = "  more: { from: x, topic: more }\n";
  const Plan one = Planned(Two(a + b + c, d + e)), other = Planned(Two(c + b + a, e + d));
  EXPECT_EQ(Edges(one), Edges(other));
  EXPECT_EQ(StageNames(one), StageNames(other));
  for (size_t s = 0; s < one.stages.size(); ++s) {
    ASSERT_EQ(one.stages[s].nodes.size(), other.stages[s].nodes.size());
    for (size_t n = 0; n < one.stages[s].nodes.size(); ++n) {
      const Node &p = one.stages[s].nodes[n], &q = other.stages[s].nodes[n];
      EXPECT_EQ(p.step, q.step);
      EXPECT_EQ(p.upstream(), q.upstream());
      EXPECT_EQ(p.kind, q.kind);
      EXPECT_EQ(p.output, q.output);
      EXPECT_EQ(p.hidden, q.hidden);
    }
  }
}

// Two ways from each step to the next, forty times: 2^40 ways through all of it.
TEST(StagesTest, ManyWaysThroughATopologyTakeNoTime) {
  std::string steps;
  std::string from = "[left, right]";
  for (int i = 0; i < 40; ++i) {
    absl::StrAppend(&steps, "  a", i, ": { from: ", from, ", filter: \"v > 1\" }\n");
    absl::StrAppend(&steps, "  b", i, ": { from: ", from, ", filter: \"v < 1\" }\n");
    from = absl::StrCat("[a", i, ", b", i, "]");
  }
  absl::StrAppend(&steps, "  n: { from: ", from, ", group_by: [k], aggregates: { n: \"count(*)\" } }\n");
  const Plan plan = Planned(Two(steps, "  out: { from: n, topic: out, key: [k] }\n"));
  EXPECT_EQ(plan.stages.size(), 2u);
}

}  // namespace
}  // namespace tidemark
