// `renamed_from`: what stays under the name of before, and what can't be said.
#include <set>
#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

std::string Topology(const std::string& source, const std::string& step, const std::string& sink,
                     const std::string& view) {
  const auto renamed = [](const std::string& was) { return was.empty() ? "" : "renamed_from: " + was + ", "; };
  return "name: town\nkafka: { brokers: b }\nsources:\n  in: { " + renamed(source) +
         "topic: rows, columns: { id: int64, note: string } }\nsteps:\n  step: { " + renamed(step) +
         "from: in, group_by: [note], aggregates: { n: \"count(*)\" } }\nsinks:\n  sink: { " + renamed(sink) +
         "from: in, postgres: { url: \"postgresql://h/d\", table: t } }\nviews:\n  view: { " + renamed(view) +
         "from: step, key: [note] }\n";
}

// All names under which the plan's parts stand outside.
std::set<std::string> Outside(const Plan& plan) {
  std::set<std::string> names;
  for (const Stage& stage : plan.stages) names.insert(plan.application.ChangelogTopic(stage.name));
  for (const Edge& edge : plan.edges) names.insert(edge.topic);
  for (const SinkPlan& sink : plan.sinks) {
    names.insert(plan.application.SinkGroup(sink.kept_as()));
    if (sink.view) names.insert(std::get<KafkaSinkSpec>(sink.spec).topic);
  }
  return names;
}

TEST(RenamesTest, WhatIsKeptKeepsItsNames) {
  const auto plan = PlanOf(Topology("a", "b", "c", "d"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(Outside(*plan), (std::set<std::string>{"town.a.changelog", "town.b.changelog", "town.b.repartition",
                                                   "town.c", "town.c.feed", "town.d", "town.d.view"}));
  EXPECT_EQ(NodeOf(*plan, "step").kept_as(), "b");
  EXPECT_EQ(plan->sources[0].name, "in");
}

TEST(RenamesTest, SourcesKeepTheirOrderByTheNamesOfBefore) {
  const auto plan = PlanOf(
      "name: town\nkafka: { brokers: b }\nsources:\n  b: { topic: b, columns: { id: int64 } }\n  z: { renamed_from: a, "
      "topic: z, columns: { id: int64 } }\nsteps:\n  all: { from: [b, z], filter: \"id > 0\" }\nsinks:\n  out: { from: "
      "all, topic: out }\n");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->sources[0].name, "z");
  EXPECT_EQ(plan->stages[0].name, "a");
}

TEST(RenamesTest, NamesThatCantBeMeantAreRefusedWithTheirPlace) {
  EXPECT_THAT(ErrorsOf(Topology("", "in", "", "")), HasSubstr("t.yaml:6:25: the topology has a 'in'"));
  EXPECT_THAT(ErrorsOf(Topology("", "step", "", "")), HasSubstr("'step' is its name now"));
  EXPECT_THAT(ErrorsOf(Topology("", "__x", "", "")), HasSubstr("expected the name that 'step' had before"));
  EXPECT_THAT(ErrorsOf(Topology("old", "old", "", "")), HasSubstr("can't be gone on with twice"));
  EXPECT_THAT(ErrorsOf(Topology("", "", "view", "sink")), HasSubstr("two can't exchange"));
  EXPECT_THAT(ErrorsOf("name: town\nkafka: { brokers: b }\nsources:\n  in: { renamed_from: was, http: { path: /in, "
                       "tokens: t }, columns: { id: int64 } }\nsinks:\n  out: { from: in, topic: out }\n"),
              HasSubstr("only a source with a `topic` can be renamed"));
}

}  // namespace
}  // namespace tidemark
