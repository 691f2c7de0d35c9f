// Unions of update steps: what tells their inputs apart, the key of the result, where rows lie, and what is refused.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Sources eu, us and ap of changes (id, region, v, topic), `stand` of equal rows that stand; these steps and sinks. A
// sink `all` of step u by `key`, if there is one.
std::string Shards(const std::string& steps, const std::string& key, const std::string& more_sinks = "") {
  std::string out = "name: x\nsources:\n";
  for (const std::string name : {"ap", "eu", "us"}) {
    absl::StrAppend(&out, "  ", name, ": { topic: orders-", name,
                    ", format: debezium, key: [id], columns: { id: int64, ",
                    "region: string, v: int64, of: { type: string, from: topic } } }\n");
  }
  absl::StrAppend(&out, "  stand: { topic: stand, columns: { id: int64, region: string, v: int64, of: string } }\n");
  absl::StrAppend(&out, "steps:\n", steps, "sinks:\n", more_sinks);
  if (!key.empty()) {
    absl::StrAppend(&out, "  all: { from: u, topic: all, key: [", key, "], key_format: json, create: {} }\n");
  }
  for (const std::string name : {"ap", "eu", "us"}) {  // all are read
    absl::StrAppend(&out, "  of_", name, ": { from: ", name, ", topic: ", name, ", key: [id], create: {} }\n");
  }
  return out + "  of_stand: { from: stand, topic: s, create: {} }\n";
}

std::string Marked(const std::string& from, const std::string& shard, const std::string& name = "") {
  return absl::StrCat("  ", name.empty() ? "m_" + from : name, ": { from: ", from,
                      ", project: { id: id, region: region, v: v, shard: \"", shard, "\" } }\n");
}
const std::string kTwo = Marked("eu", "'eu'") + Marked("us", "'us'");
constexpr char kUnion[] = "  u: { from: [m_us, m_eu], filter: \"v > 0\" }\n";

// Topics of repartitions.
std::vector<std::string> Moved(const Plan& plan) {
  std::vector<std::string> topics;
  for (const Edge& edge : plan.edges) {
    if (edge.to_sink >= 0) continue;
    std::string key;
    for (const size_t c : edge.key) absl::StrAppend(&key, key.empty() ? "" : ",", edge.schema[c].name);
    topics.push_back(absl::StrCat(edge.topic, "(", key, ")"));
  }
  return topics;
}

Plan Planned(const std::string& yaml) {
  auto plan = PlanOf(yaml);
  EXPECT_TRUE(plan.ok()) << plan.status() << yaml;
  return plan.ok() ? *std::move(plan) : Plan();
}

TEST(UnionsOfUpdates, AConstantOfEachInputBecomesPartOfTheKey) {
  const Plan plan = Planned(Shards(kTwo + kUnion, "id, shard"));
  const Node& node = NodeOf(plan, "u");
  EXPECT_TRUE(node.mode.update);
  EXPECT_THAT(ColumnNames(node.output, node.mode.key), "id, shard");
  EXPECT_EQ(node.in().nodes.size(), 2u);
  EXPECT_THAT(node.in().mode.key, ElementsAre(0u, 3u));
  EXPECT_THAT(ErrorsOf(Shards(kTwo + kUnion, "id")), HasSubstr("the key must contain shard"));
  EXPECT_THAT(ErrorsOf(Shards(kTwo + kUnion, "", "  t: { from: u, postgres: { url: x, table: t, key: [id] } }\n")),
              HasSubstr("the key must contain shard"));
  EXPECT_EQ(ErrorsOf(Shards(kTwo + kUnion, "", "  t: { from: u, postgres: { url: x, table: t, key: [id, shard] } }\n")),
            "");
  EXPECT_EQ(ErrorsOf(Shards(kTwo + kUnion, "", "  t: { from: u, parquet: { path: /l, mode: changes } }\n")), "");
}

TEST(UnionsOfUpdates, AnyConstantWillDoThatIsAnotherInEach) {
  const auto errors = [](const std::string& a, const std::string& b) {
    return ErrorsOf(Shards(Marked("eu", a) + Marked("us", b) + kUnion, "id, shard"));
  };
  EXPECT_EQ(errors("1", "2"), "");
  EXPECT_EQ(errors("lower('EU')", "lower('US')"), "");
  EXPECT_EQ(errors("date '2026-01-01'", "date '2026-01-02'"), "");
  EXPECT_EQ(errors("1.5", "2.5"), "");
  EXPECT_THAT(errors("'eu'", "'eu'"),
              AllOf(HasSubstr("nothing tells these apart"), HasSubstr("(shard is 'eu' in m_eu and in m_us)")));
  EXPECT_THAT(errors("lower('EU')", "'eu'"), HasSubstr("(shard is 'eu' in m_eu and in m_us)"));
  EXPECT_THAT(errors("1.5::double precision", "2.5::double precision"), HasSubstr("nothing tells these apart"));
  EXPECT_THAT(errors("'eu'", "region"), HasSubstr("nothing tells these apart"));
  EXPECT_THAT(errors("'1'::json", "'2'::json"), HasSubstr("nothing tells these apart"));
}

TEST(UnionsOfUpdates, WithoutOneTheLinesToWriteAreTold) {
  const std::string grouped =
      "  a: { from: eu, group_by: [region], aggregates: { n: \"count(*)\" } }\n"
      "  b: { from: us, group_by: [region], aggregates: { n: \"count(*)\" } }\n";
  EXPECT_THAT(
      ErrorsOf(Shards(grouped + "  u: { from: [a, b], filter: \"n > 1\" }\n", "region")),
      AllOf(HasSubstr("rows of the inputs replace each other by (region), and where two inputs have a row of one "
                      "key nothing tells these apart"),
            HasSubstr("`marked_a: { from: a, project: { \"*\": true, shard: \"'a'\" } }`, `marked_b: { from: b, "
                      "project: { \"*\": true, shard: \"'b'\" } }`, and here `from: [marked_a, marked_b]`")));
  // What it says is right.
  const std::string marked =
      "  marked_a: { from: a, project: { \"*\": true, shard: \"'a'\" } }\n"
      "  marked_b: { from: b, project: { \"*\": true, shard: \"'b'\" } }\n"
      "  u: { from: [marked_a, marked_b], filter: \"n > 1\" }\n";
  EXPECT_EQ(ErrorsOf(Shards(grouped + marked, "region, shard")), "");
}

TEST(UnionsOfUpdates, TheNameOfASourcesTopicTellsApart) {
  const Plan plan = Planned(Shards("  u: { from: [eu, us, ap], filter: \"v > 0\" }\n", "id, of"));
  EXPECT_EQ(ColumnNames(NodeOf(plan, "u").output, NodeOf(plan, "u").mode.key), "id, of");
  EXPECT_THAT(Moved(plan), IsEmpty());
}

TEST(UnionsOfUpdates, InputsOfOneKindAndOfOneKey) {
  const std::string stand = Marked("stand", "'s'");
  EXPECT_THAT(ErrorsOf(Shards(kTwo + stand + "  u: { from: [m_eu, m_stand], filter: \"v > 0\" }\n", "id, shard")),
              AllOf(HasSubstr("a union has inputs of one kind"), HasSubstr("rows of 'm_eu' replace each other by (id)"),
                    HasSubstr("those of 'm_stand' stand"), HasSubstr("group_by")));
  const std::string by_region =
      "  r: { from: us, group_by: [region], aggregates: { id: \"max(id)\", v: \"max(v)\" } }\n" +
      std::string(
          "  m_r: { from: r, project: { id: \"coalesce(id, 0)\", region: region, v: \"coalesce(v, 0)\", shard: "
          "\"'r'\" } }\n");
  EXPECT_THAT(
      ErrorsOf(Shards(kTwo + by_region + "  u: { from: [m_eu, m_r], filter: \"v > 0\" }\n", "id, shard")),
      AllOf(HasSubstr("needs one key"), HasSubstr("'m_r' replace each other by (region), those of 'm_eu' by (id)")));
  EXPECT_THAT(ErrorsOf(Shards(kTwo + "  u: { from: [m_eu, us], filter: \"v > 0\" }\n", "id, shard")),
              HasSubstr("a union needs equal columns"));
}

TEST(UnionsOfUpdates, AUnionIsUnitedWithAFurtherShard) {
  const std::string steps = kTwo + "  two: { from: [m_eu, m_us], filter: \"v > 0\" }\n";
  const Plan plan =
      Planned(Shards(steps + Marked("ap", "'ap'") + "  u: { from: [two, m_ap], filter: \"v > 1\" }\n", "id, shard"));
  EXPECT_EQ(ColumnNames(NodeOf(plan, "u").output, NodeOf(plan, "u").mode.key), "id, shard");
  EXPECT_THAT(
      ErrorsOf(Shards(steps + Marked("ap", "'us'") + "  u: { from: [two, m_ap], filter: \"v > 1\" }\n", "id, shard")),
      HasSubstr("nothing tells these apart"));
  // Behind the union the column is no constant any more, so another one marks what is united again.
  const std::string twice =
      "  p: { from: two, project: { \"*\": true, part: \"'p'\" } }\n"
      "  q: { from: two, project: { \"*\": true, part: \"'q'\" } }\n  u: { from: [p, q], filter: \"v > 1\" }\n";
  EXPECT_EQ(ErrorsOf(Shards(steps + twice, "id, shard, part")), "");
}

TEST(UnionsOfUpdates, AColumnOfTheKeyThatTellsApartAddsNothing) {
  const std::string counts =
      "  a: { from: m_eu, group_by: [shard, region], aggregates: { n: \"count(*)\" } }\n"
      "  b: { from: m_us, group_by: [shard, region], aggregates: { n: \"count(*)\" } }\n"
      "  u: { from: [a, b], filter: \"n > 1\" }\n";
  EXPECT_EQ(ErrorsOf(Shards(kTwo + counts, "shard, region")), "");
  EXPECT_THAT(ErrorsOf(Shards(kTwo + counts, "region")), HasSubstr("the key must contain shard"));
}

TEST(UnionsOfUpdates, RowsStayWhereTheyLieForWhoAsksForTheWholeKey) {
  EXPECT_THAT(Moved(Planned(Shards(kTwo + kUnion, "id, shard"))), IsEmpty());
  const std::string same = "  g: { from: u, group_by: [shard, id], aggregates: { n: \"count(*)\" } }\n";
  const std::string g = "  g_out: { from: g, topic: g, key: [shard, id], key_format: json, create: {} }\n";
  EXPECT_THAT(Moved(Planned(Shards(kTwo + kUnion + same, "", g))), IsEmpty());
  const std::string region = "  g: { from: u, group_by: [region], aggregates: { n: \"sum(v)\" } }\n";
  EXPECT_THAT(
      Moved(Planned(Shards(kTwo + kUnion + region, "", "  g_out: { from: g, topic: g, key: [region], create: {} }\n"))),
      ElementsAre("x.g.repartition(region)"));
}

TEST(UnionsOfUpdates, AShardAloneDoesNotDecideWhereRowsGo) {
  const auto moved = [](const std::string& by, const std::string& rank, const std::string& key) {
    return Moved(
        Planned(Shards(kTwo + kUnion + "  g: { from: u, top: { k: 2, by: [" + by + "], order: [v]" + rank + " } }\n",
                       "", "  g_out: { from: g, topic: g, key: [" + key + "], key_format: json, create: {} }\n")));
  };
  EXPECT_THAT(moved("shard, region", ", rank: r", "shard, region, r"), ElementsAre("x.g.repartition(shard,region)"));
  EXPECT_THAT(moved("shard", "", "id, shard"), ElementsAre("x.g.repartition(shard)")) << "where nothing else can";
}

TEST(UnionsOfUpdates, WhatStandsBehindIsPlanned) {
  EXPECT_THAT(ErrorsOf(Shards(kTwo + kUnion + "  d: { from: u, dedup: { by: [id], within: 1h } }\n", "id, shard",
                              "  d_out: { from: d, topic: d }\n")),
              HasSubstr("dedup over an updating step"));
  EXPECT_EQ(ErrorsOf(Shards(kTwo + kUnion +
                                "  j: { from: u, join: { table: { from: ap }, on: [id], columns: [region], "
                                "prefix: ap_ } }\n",
                            "", "  j_out: { from: j, topic: j, key: [id, shard], key_format: json, create: {} }\n")),
            "");
  EXPECT_EQ(ErrorsOf(Shards(kTwo + kUnion +
                                "  m: { from: stand, project: { i: id, s: of } }\n  j: { from: m, join: { "
                                "table: { from: u }, on: { i: id, s: shard } } }\n",
                            "", "  j_out: { from: j, topic: j }\n")),
            "")
      << "versions of a union of sources of changes";
}

TEST(UnionsOfUpdates, ATopicOfAPatternTellsNothingApartWhetherOrNotAnybodyHasLookedWhichThereAre) {
  const std::string yaml = Shards(
      "  a: { from: stand, group_by: [id, of], aggregates: { n: \"count(*)\" } }\n"
      "  b: { from: eu, group_by: [id, of], aggregates: { n: \"count(*)\" } }\n"
      "  u: { from: [a, b], filter: \"n > 1\" }\n",
      "id, of");
  const auto with = [&](const std::string& stand) {
    return absl::StrReplaceAll(yaml, {{"stand: { topic: stand,", "stand: { " + stand + ","},
                                      {"v: int64, of: string", "v: int64, of: { type: string, from: topic }"}});
  };
  EXPECT_EQ(ErrorsOf(with("topic: stand")), "");
  EXPECT_THAT(ErrorsOf(with("topics: \"stand-.*\"")), HasSubstr("nothing tells these apart"));
}

TEST(UnionsOfUpdates, WhatStandsBehindDoesNotGatherAShardInOneTask) {
  const std::string steps = kTwo + kUnion +
                            "  g: { from: u, group_by: [shard, region], aggregates: { n: \"count(*)\" } }\n"
                            "  h: { from: g, group_by: [shard], aggregates: { n: \"sum(n)\" } }\n";
  const Plan plan =
      Planned(Shards(steps, "", "  h_out: { from: h, topic: h, key: [shard], key_format: json, create: {} }\n"));
  EXPECT_THAT(Moved(plan), ElementsAre("x.g.repartition(shard,region)", "x.h.repartition(shard)"));
}

TEST(UnionsOfUpdates, WindowsAlertsAndViewsStandBehind) {
  // Windows that update, over rows that stand.
  const auto windows = [](const std::string& name, const std::string& shard) {
    return absl::StrCat("  w_", name,
                        ": { from: clicks, window: { tumbling: 1m }, group_by: [url], aggregates: { n: \"",
                        name == "a" ? "count(*)" : "count(price)", "\" }, emit: on_update }\n  ", name, ": { from: w_",
                        name, ", project: { \"*\": true, shard: \"'", shard, "'\" } }\n");
  };
  const std::string two = windows("a", "x") + windows("b", "y");
  const auto errors = [&](const std::string& step, const std::string& sinks) {
    return ErrorsOf(Clicks(two + step, "", sinks));
  };
  const auto topic = [](const std::string& key) {
    return "  z_out: { from: z, topic: z, key: [" + key + "], key_format: json, create: {} }\n";
  };
  const std::string hours =
      "  z: { from: [a, b], window: { tumbling: 1h }, group_by: [url], aggregates: { n: \"sum(n)\" }, emit: on_update "
      "}\n";
  EXPECT_EQ(errors(hours, topic("url, window_start, window_end")), "");
  EXPECT_EQ(errors("  z: { from: [a, b], alert: { by: [url, shard], raise: \"n > 3\" } }\n",
                   "  z_out: { from: z, topic: z, create: {} }\n"),
            "");
  const std::string passed = "  z: { from: [a, b], filter: \"n > 0\" }\n";
  const std::string seen = "  seen: { from: a, topic: seen, key: [url, window_start, window_end], key_format: json }\n";
  const auto view = [&](const std::string& key) {
    return errors(passed, seen + "views: { v: { from: z, key: [" + key + "] } }\n");
  };
  EXPECT_EQ(view("url, window_start, window_end, shard"), "");
  EXPECT_THAT(view("url, window_start, window_end"), HasSubstr("the key must contain shard"));
}

TEST(UnionsOfUpdates, ElementsOfUnitedRowsAreRowsByTheWholeKey) {
  const std::string steps =
      "  a: { from: eu, project: { id: id, docs: docs, shard: \"'eu'\" } }\n"
      "  b: { from: us, project: { id: id, docs: docs, shard: \"'us'\" } }\n"
      "  u: { from: [a, b], unnest: { column: docs, as: doc, ordinality: place } }\n";
  const auto errors = [&](const std::string& key) {
    return ErrorsOf(absl::StrReplaceAll(Shards(steps, key), {{"v: int64, of: {", "v: int64, docs: json, of: {"}}));
  };
  EXPECT_EQ(errors("id, shard, place"), "");
  EXPECT_THAT(errors("id, place"), HasSubstr("the key must contain shard"));
}

TEST(UnionsOfUpdates, InputsMayLieInDifferentStages) {
  const std::string far =
      "  by_region: { from: us, group_by: [region], aggregates: { id: \"max(id)\", v: \"max(v)\" } }\n"
      "  a: { from: by_region, project: { region: region, v: v, shard: \"'us'\" } }\n"
      "  near: { from: eu, group_by: [id, region], aggregates: { v: \"max(v)\" } }\n"
      "  by: { from: near, group_by: [region], aggregates: { v: \"max(v)\" } }\n"
      "  b: { from: by, project: { region: region, v: v, shard: \"'eu'\" } }\n"
      "  u: { from: [a, b], filter: \"v > 0\" }\n";
  const Plan plan = Planned(Shards(far, "region, shard"));
  EXPECT_EQ(ColumnNames(NodeOf(plan, "u").output, NodeOf(plan, "u").mode.key), "region, shard");
  EXPECT_THAT(Moved(plan), UnorderedElementsAre("x.by.repartition(region)", "x.by_region.repartition(region)"));
}

}  // namespace
}  // namespace tidemark
