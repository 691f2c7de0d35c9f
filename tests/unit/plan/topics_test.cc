// Sources that read all topics of a pattern: which these are, what a plan makes of them, and what can't go with it.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/plan/topic_patterns.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Services(const std::string& source, const std::string& more = "") {
  return absl::StrCat("name: app\nsources:\n  services: { ", source,
                      ", columns: { id: int64, at: { type: string, from: topic } } }\n", more,
                      "sinks:\n  out: { from: services, topic: svc-out }\n");
}

absl::StatusOr<Plan> PlanWith(const std::string& yaml, std::vector<std::string> names) {
  return PlanFromYaml(
      yaml, "t.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; }, FilesOnDisk(),
      nullptr, [names](const KafkaSettings&) { return names; });
}

std::vector<std::string> SourcesOf(const Plan& plan) {
  std::vector<std::string> sources;
  for (const SourcePlan& source : plan.sources) sources.push_back(source.name);
  return sources;
}

TEST(TopicPatternTest, EveryTopicWhoseWholeNameMatchesIsASourceAndAStepHasTheRowsOfAll) {
  const auto plan = PlanWith(Services("topics: \"svc-.*\""), {"svc-b", "svc-a", "my-svc-c", "other"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(SourcesOf(*plan), ElementsAre("services[svc-a]", "services[svc-b]"));
  EXPECT_EQ(plan->sources[1].topic, "svc-b");
  EXPECT_EQ(plan->sources[1].declared(), "services");
  ASSERT_EQ(plan->stages.size(), 1u);
  EXPECT_EQ(plan->stages[0].name, "services") << "whatever topics there are: it names the changelog";
  EXPECT_EQ(NodeOf(*plan, "services topics").in().nodes.size(), 2u);
  EXPECT_EQ(NodeOf(*plan, "out", Node::Kind::kKafkaSink).in().nodes.size(), 1u);
}

TEST(TopicPatternTest, WhatTheTopologyWritesNamesOrKeepsNeverMatches) {
  const auto plan =
      PlanWith(Services("topics: \".*\"",
                        "tables:\n  t: { topic: towns, key: [id], columns: { id: int64 } }\nsteps:\n"
                        "  j: { from: services, join: { table: t, on: [id], unmatched: { topic: lost } } }\n"
                        "  b: { from: j, batch: { by: [id], expected: 1, deadline: 1m, rejected: { topic: bad "
                        "} } }\n") +
                   "  more: { from: b, topic: more }\n",
               {"a", "towns", "lost", "bad", "more", "svc-out", "app-dead-letter", "app.services.changelog",
                "app@2.x.feed", "__consumer_offsets"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(SourcesOf(*plan), ElementsAre("services[a]"));
}

TEST(TopicPatternTest, WithoutABrokerOneSourceStandsForAll) {
  const auto plan = PlanOf(Services("topics: \"svc-.*\""));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(SourcesOf(*plan), ElementsAre("services"));
  ASSERT_NE(UnresolvedPattern(*plan, plan->sources[0]), nullptr);
  EXPECT_EQ(UnresolvedPattern(*plan, plan->sources[0])->pattern, "svc-.*");
}

TEST(TopicPatternTest, ATopicThatComesLaterIsToldAndIsNoOtherStageOrState) {
  const std::string yaml = Services("topics: \"svc-.*\"",
                                    "steps:\n  n: { from: services, group_by: [id], aggregates: "
                                    "{ n: \"count(*)\" }, emit: on_update }\n") +
                           "  counts: { from: n, topic: counts, key: [id] }\n";
  const auto before = PlanWith(yaml, {"svc-m"});
  ASSERT_TRUE(before.ok()) << before.status();
  const auto unread = UnreadTopics(*before, {"svc-m", "svc-a", "counts", "svc-out"});
  ASSERT_EQ(unread.size(), 1u);
  EXPECT_EQ(unread[0].source, "services");
  EXPECT_EQ(unread[0].topic, "svc-a");
  const auto after = PlanWith(yaml, {"svc-a", "svc-m"});
  ASSERT_TRUE(after.ok()) << after.status();
  ASSERT_EQ(before->stages.size(), after->stages.size());
  for (size_t i = 0; i < before->stages.size(); ++i) EXPECT_EQ(before->stages[i].name, after->stages[i].name);
}

// What state keeps of where a row came from.
std::map<std::string, int32_t> Numbers(const Plan& plan) {
  std::map<std::string, int32_t> numbers;
  for (const SourcePlan& source : plan.sources) numbers[source.name] = source.order;
  return numbers;
}

TEST(TopicPatternTest, TopicsThatComeAndGoLeaveAllSourcesTheirNumbers) {
  const std::string yaml =
      Services("topics: \"svc-.*\"",
               "  aa: { topic: aa, columns: { id: int64 } }\n  z: { topic: z, columns: { id: int64 "
               "} }\n") +
      "  a: { from: aa, topic: a-out }\n  zz: { from: z, topic: z-out }\n";
  const auto few = PlanWith(yaml, {"svc-m"}), many = PlanWith(yaml, {"svc-a", "svc-m", "svc-z"});
  ASSERT_TRUE(few.ok()) << few.status();
  ASSERT_TRUE(many.ok()) << many.status();
  const auto before = Numbers(*few), after = Numbers(*many);
  ASSERT_EQ(after.size(), 5u);
  for (const auto& [source, number] : before) EXPECT_EQ(after.at(source), number) << source;
  std::set<int32_t> all;
  for (const auto& [source, number] : after) EXPECT_TRUE(all.insert(number).second) << source;
  EXPECT_EQ(after.at("aa"), 0);
  EXPECT_EQ(after.at("z"), 2) << "behind one that is declared";
  EXPECT_GE(after.at("services[svc-a]"), 1 << 30);
}

TEST(TopicPatternTest, AViewHoldsRowsOfAllTopicsAsBefore) {
  const std::string yaml = Services("topics: \"svc-.*\"") + "views:\n  recent: { from: services, key: [id] }\n";
  const std::string alone = ErrorsOf(yaml);
  EXPECT_EQ(std::string(PlanWith(yaml, {"svc-a", "svc-b"}).status().message()), alone);
  EXPECT_EQ(alone.find("unknown source"), std::string::npos);
}

TEST(TopicPatternTest, ItsSourceCantBeRenamed) {
  EXPECT_THAT(ErrorsOf(Services("topics: \"svc-.*\", renamed_from: before")),
              HasSubstr("only a source with one `topic` can be renamed: each topic of a pattern is counted"));
}

TEST(TopicPatternTest, RulesOfTheSourceStandBehindAllTopics) {
  const auto plan =
      PlanWith(Services("topics: \"svc-.*\", expect: { positive: { that: \"id > 0\" } }"), {"svc-a", "svc-b"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(NodeOf(*plan, "services expect").in().nodes.size(), 2u);
}

TEST(TopicPatternTest, MistakesAreToldByWhatTheUserWrote) {
  EXPECT_THAT(ErrorsOf(Services("topics: \"svc-(\"")), AllOf(HasSubstr("t.yaml:3:"), HasSubstr("svc-.*")));
  EXPECT_THAT(ErrorsOf(Services("topics: \"a.*\", topic: b")),
              HasSubstr("either 'topic', the name of one, or 'topics'"));
  EXPECT_THAT(ErrorsOf(Services("topics: \"a.*\", start: latest")), HasSubstr("is read from its beginning"));
  EXPECT_THAT(ErrorsOf(Services("topics: \"a.*\", http: { path: /in }")), HasSubstr("either 'topics' or 'http'"));
  const auto none = PlanWith(Services("topics: \"svc-.*\""), {"other"});
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("no topic on localhost:9092 matches 'svc-.*'"));
  const auto twice = PlanWith(
      "name: app\nsources:\n  a: { topics: \"x.*\", columns: { id: int64 } }\n  b: { topics: \".*y\", columns: { id: "
      "int64 } }\nsinks:\n  p: { from: a, topic: p }\n  q: { from: b, topic: q }\n",
      {"xy"});
  EXPECT_THAT(std::string(twice.status().message()), HasSubstr("topic xy is already read by source a[xy]"));
}

}  // namespace
}  // namespace tidemark
