// Where a generation writes that is built beside another, and what has to change places afterwards.
#include "src/runtime/generations/shadow.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/runtime/fakes.h"
#include "tests/unit/runtime/test_plan.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTopology[] = R"yaml(
name: app
kafka: { brokers: b }
sources:
  prices:
    topic: prices
    columns: { id: int64, route: string, cents: int64, at: timestamp_ms }
    event_time: { column: at }
steps:
  hourly:
    from: prices
    window: { tumbling: 1h, grace: 5m, late: { topic: late-prices } }
    group_by: [route]
    aggregates: { n: "count(*)" }
  last: { from: prices, dedup: { by: [id], keep: last, within: 1h } }
sinks:
  sums: { from: hourly, topic: sums, freshness: { warn: 20m, max: 30m } }
  newest: { from: last, topic: newest, key: [id], mode: upsert }
  table: { from: hourly, postgres: { url: "postgresql://h/d", table: rows } }
  lake: { from: hourly, parquet: { path: /lake/sums/ } }
views:
  seen: { from: last, key: [id] }
notify: { topic: alarms }
)yaml";

Plan Topology(const std::string& yaml = kTopology) { return TestPlan(yaml); }

std::string Refused(const std::string& from, const std::string& to) {
  const std::string text = absl::StrReplaceAll(kTopology, {{from, to}});
  EXPECT_NE(text, kTopology) << from;
  return std::string(ShadowPlan(Topology(text), 2).status().message());
}

template <typename Spec>
const Spec& SpecOf(const Plan& plan, const std::string& sink) {
  for (const SinkPlan& each : plan.sinks) {
    if (each.name == sink) return std::get<Spec>(each.spec);
  }
  ADD_FAILURE() << "no sink " << sink;
  static const auto& none = *new Spec();
  return none;
}

TEST(ShadowTest, EveryTargetHasOneBesideItAndInputsStayAsTheyAre) {
  const Plan plan = Topology();
  const absl::StatusOr<Plan> shadow = ShadowPlan(plan, 2);
  ASSERT_TRUE(shadow.ok()) << shadow.status();
  EXPECT_EQ(SpecOf<KafkaSinkSpec>(*shadow, "sums").topic, "sums.g2");
  EXPECT_EQ(SpecOf<KafkaSinkSpec>(*shadow, "newest").topic, "newest.g2");
  EXPECT_EQ(SpecOf<KafkaSinkSpec>(*shadow, "newest").create->config.at("cleanup.policy"), "compact");
  EXPECT_EQ(SpecOf<PostgresSinkSpec>(*shadow, "table").table, "rows__g2");
  EXPECT_EQ(SpecOf<ParquetSinkSpec>(*shadow, "lake").path, "/lake/sums.g2");
  EXPECT_EQ(SpecOf<KafkaSinkSpec>(*shadow, "seen").topic, SpecOf<KafkaSinkSpec>(plan, "seen").topic);
  EXPECT_EQ(shadow->dead_letter_topic, "app-dead-letter.g2");
  EXPECT_TRUE(shadow->notify.empty());
  EXPECT_EQ(shadow->sources[0].topic, "prices");
  std::set<std::string> sides;  // of both phases of a window
  for (const Stage& stage : shadow->stages) {
    for (const Node& node : stage.nodes) {
      for (const SideTopic& side : node.side_topics) sides.insert(side.topic);
    }
  }
  EXPECT_THAT(sides, ElementsAre("late-prices.g2"));
}

TEST(ShadowTest, WhatCannotHaveOneIsRefusedByName) {
  EXPECT_THAT(Refused("path: /lake/sums/", "path: \"s3://bucket/sums\""), HasSubstr("sink lake: a lake in S3"));
  EXPECT_THAT(Refused("postgres: { url: \"postgresql://h/d\", table: rows }",
                      "webhook: { url: \"https://example.org/secret\" }"),
              AllOf(HasSubstr("sink table: what generation 2 computes again would be posted again to "
                              "https://example.org"),
                    Not(HasSubstr("secret"))));
  EXPECT_THAT(Refused("table: rows }", "table: " + std::string(60, 'r') + " }"),
              AllOf(HasSubstr("sink table"), HasSubstr("has 64 bytes, and PostgreSQL takes 63")));
  EXPECT_THAT(Refused("topic: newest,", "topic: " + std::string(248, 't') + ","), HasSubstr("Kafka takes 249"));
  EXPECT_THAT(Refused("topic: newest,", "topic: sums.g2,"),
              HasSubstr("sink sums: generation 2 would write to sums.g2"));
}

class TopicsAdmin : public SilentAdmin {
 public:
  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>&) override {
    return std::map<std::string, TopicInfo>{{"newest", {.partitions = 7}}};
  }
  absl::Status CreateTopics(const std::vector<TopicToCreate>& topics) override {
    for (const TopicToCreate& topic : topics) {
      made.push_back(absl::StrCat(topic.topic, " ", topic.partitions, " ", topic.config.at("cleanup.policy")));
    }
    return absl::OkStatus();
  }
  std::vector<std::string> made;
};

TEST(ShadowTest, AShadowTopicHasAsManyPartitionsAsTheTopicAndKeepsEveryKey) {
  TopicsAdmin admin;
  ASSERT_TRUE(MakeShadowTopics(Topology(), 2, admin).ok());
  EXPECT_THAT(admin.made, ElementsAre("newest.g2 7 compact"));
}

TEST(ShadowTest, ANewGenerationFindsNothingInItsShadows) {
  class Written final : public TopicsAdmin {
   public:
    absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>& partitions) override {
      return At(partitions, 0);
    }
    absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>& partitions,
                                                             Isolation) override {
      return At(partitions, end);
    }
    static std::map<TopicPartition, Offset> At(const std::vector<TopicPartition>& partitions, Offset offset) {
      std::map<TopicPartition, Offset> all;
      for (const TopicPartition& each : partitions) all[each] = offset;
      return all;
    }
    Offset end = 0;
  };
  Written admin;
  EXPECT_TRUE(CheckShadowsNew(Topology(), 2, admin).ok());
  admin.end = 1;
  const absl::Status refused = CheckShadowsNew(Topology(), 2, admin);
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("generation 2 would write to topic newest"));
}

TEST(ShadowTest, WhatHasRowsOfItsOwnChangesPlacesAndTopicsWithoutAKeyDoNot) {
  Plan from = Topology(), to = Topology(absl::StrReplaceAll(kTopology, {{"  table: {", "  renamed: {"}}));
  to.application.generation = 2;
  std::vector<std::string> said;
  for (const auto& swap : SwapsOf({&from, &to, 1}, nullptr, nullptr)) said.push_back(swap->Describe());
  EXPECT_THAT(
      said,
      testing::UnorderedElementsAre(
          HasSubstr("topic newest gets what newest.g2 has otherwise"),
          AllOf(HasSubstr("sink renamed: table public.rows__g2 takes the place of public.rows"),
                HasSubstr("kept as public.rows__g1")),
          HasSubstr("sink lake: folder /lake/sums.g2 takes the place of /lake/sums; what stands there now is kept as "
                    "/lake/sums.g1")));
}

}  // namespace
}  // namespace tidemark
