#include "src/runtime/topics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/batch/spec.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FakeAdmin final : public SilentAdmin {
 public:
  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>& asked) override {
    std::map<std::string, TopicInfo> found;
    for (const std::string& topic : asked) {
      if (topics.count(topic) > 0) found[topic] = {topics[topic], ""};
    }
    return found;
  }
  absl::Status CreateTopics(const std::vector<TopicToCreate>& wanted) override {
    for (const TopicToCreate& topic : wanted) {
      created[topic.topic] = topic.partitions;
      configs[topic.topic] = topic.config;
    }
    return absl::OkStatus();
  }

  std::map<std::string, int32_t> topics;  // that exist
  std::map<std::string, int32_t> created;
  std::map<std::string, std::map<std::string, std::string>> configs;
};

// detections -> stage "detections" -> repartition -> stage "counts" -> Kafka sink "out", PostgreSQL sink "pg".
class TopicsTest : public ::testing::Test {
 protected:
  TopicsTest() {
    plan_.application.name = "app";
    plan_.kafka.brokers = "broker:9092";
    plan_.dead_letter_topic = "app-dead-letter";
    plan_.sources.resize(1);
    plan_.sources[0].name = "detections";
    plan_.sources[0].topic = "detections";
    plan_.stages.resize(2);
    plan_.stages[0].name = "detections";
    plan_.stages[0].nodes.push_back(SourceNode(0));
    plan_.stages[1].name = "counts";
    Edge shuffle;
    shuffle.topic = "app.counts.repartition";
    shuffle.from_stage = 0;
    shuffle.to_stage = 1;
    Edge feed;
    feed.topic = "app.pg.feed";
    feed.from_stage = 1;
    feed.to_sink = 1;
    plan_.edges = {shuffle, feed};
    plan_.sinks.resize(2);
    plan_.sinks[0].name = "out";
    KafkaSinkSpec kafka;
    kafka.topic = "results";
    plan_.sinks[0].spec = kafka;
    plan_.sinks[1].name = "pg";
    plan_.sinks[1].spec = PostgresSinkSpec();
    admin_.topics = {{"detections", 6}, {"results", 3}};
  }

  static Node SourceNode(int source) {
    Node node;
    node.kind = Node::Kind::kSource;
    node.source = source;
    return node;
  }
  std::string changelog(size_t stage) const { return plan_.application.ChangelogTopic(plan_.stages[stage].name); }

  void ExpectRefused(std::initializer_list<const char*> parts) {
    const auto counts = ResolveTopics(plan_, admin_, true);
    EXPECT_EQ(counts.status().code(), absl::StatusCode::kInvalidArgument) << counts.status();
    for (const char* part : parts) EXPECT_THAT(std::string(counts.status().message()), HasSubstr(part));
    EXPECT_THAT(admin_.created, IsEmpty()) << "nothing is made before everything fits";
  }

  Plan plan_;
  FakeAdmin admin_;
};

TEST_F(TopicsTest, MissingInternalTopicsAreMadeWithTheCountOfTheLargestInput) {
  const auto counts = ResolveTopics(plan_, admin_, true);
  ASSERT_TRUE(counts.ok()) << counts.status();
  const std::map<std::string, int32_t> made = {
      {changelog(0), 6}, {changelog(1), 6}, {"app.counts.repartition", 6}, {"app.pg.feed", 6}, {"app-dead-letter", 6}};
  EXPECT_EQ(admin_.created, made);
  EXPECT_EQ(counts->at("detections"), 6);
  EXPECT_EQ(counts->at("results"), 3);
  EXPECT_EQ(counts->at(changelog(1)), 6);
}

TEST_F(TopicsTest, NamesThatCouldRunIntoAnotherApplicationsAreRefused) {
  plan_.application.name = "a.b";
  plan_.stages[0].name = "c.d";
  plan_.sinks[0].name = "__2";
  ExpectRefused({"application 'a.b'", "stage 'c.d'", "sink '__2'"});
}

TEST_F(TopicsTest, AnInternalTopicIsNobodyElses) {
  plan_.sources[0].topic = "app.pg.feed";
  std::get<KafkaSinkSpec>(plan_.sinks[0].spec).topic = "app.counts.changelog";
  plan_.dead_letter_topic = "app.counts.repartition";
  ExpectRefused({"source detections: topic 'app.pg.feed' is an internal one", "sink out: topic 'app.counts.changelog'",
                 "dead letters: topic 'app.counts.repartition'"});
}

TEST_F(TopicsTest, NothingButTrimmingEverRemovesFromInternalTopics) {
  plan_.internal_topics.config = {{"min.insync.replicas", "2"}};
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  const auto& config = admin_.configs["app.counts.repartition"];
  EXPECT_EQ(config.at("cleanup.policy"), "delete");
  EXPECT_EQ(config.at("retention.ms"), "-1");
  EXPECT_EQ(config.at("retention.bytes"), "-1");
  EXPECT_EQ(config.at("message.timestamp.type"), "LogAppendTime");
  EXPECT_EQ(config.at("min.insync.replicas"), "2");
}

TEST_F(TopicsTest, TheTopicsOfFilesAreMadeWithTheCountTheyStateAndKeepTheirNotes) {
  plan_.sources[0].files.emplace().partitions = 4;
  plan_.sources[0].topic = "app.detections.intake";
  admin_.topics.erase("detections");
  const auto counts = ResolveTopics(plan_, admin_, true);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(admin_.created["app.detections.intake"], 4);
  EXPECT_EQ(admin_.created["app.detections.positions"], 1);
  EXPECT_EQ(admin_.created["app.detections.notes"], 1);
  EXPECT_EQ(admin_.created[changelog(0)], 4) << "as many as its source";
  EXPECT_EQ(admin_.configs["app.detections.notes"].at("cleanup.policy"), "compact");
  EXPECT_EQ(admin_.configs["app.detections.positions"].at("cleanup.policy"), "delete");
  admin_.created.clear();
  admin_.topics["app.detections.intake"] = 2;
  ExpectRefused({"'app.detections.intake' has 2 partitions where source detections needs 4"});
}

TEST_F(TopicsTest, WhatIsPostedToHasALogOfRequestsAndAsManySplitsAsPartitions) {
  plan_.sources[0].http.emplace().partitions = 3;
  plan_.sources[0].topic = "app.detections.intake";
  admin_.topics.erase("detections");
  const auto counts = ResolveTopics(plan_, admin_, true);
  ASSERT_TRUE(counts.ok()) << counts.status();
  for (const char* kind : {"intake", "positions", "notes", "requests"}) {
    EXPECT_EQ(admin_.created[absl::StrCat("app.detections.", kind)], 3) << kind;
  }
  EXPECT_EQ(admin_.configs["app.detections.requests"].at("cleanup.policy"), "delete");
}

TEST_F(TopicsTest, AStatedPartitionCountOfARepartitionHoldsForItsStage) {
  plan_.edges[0].partitions = 12;
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  EXPECT_EQ(admin_.created["app.counts.repartition"], 12);
  EXPECT_EQ(admin_.created[changelog(1)], 12);
  EXPECT_EQ(admin_.created[changelog(0)], 6);
}

TEST_F(TopicsTest, TheDefaultOfInternalTopicsHoldsWhereNothingElseDecides) {
  plan_.internal_topics.partitions = 5;
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  EXPECT_EQ(admin_.created["app.counts.repartition"], 5);
  EXPECT_EQ(admin_.created[changelog(0)], 6) << "bound to the source";
}

TEST_F(TopicsTest, WhatExistsIsTakenAsItIs) {
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  admin_.topics.insert(admin_.created.begin(), admin_.created.end());
  admin_.created.clear();
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  EXPECT_THAT(admin_.created, IsEmpty());
}

TEST_F(TopicsTest, AnExistingRepartitionTopicDecidesItsStagesCount) {
  admin_.topics["app.counts.repartition"] = 9;
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  EXPECT_EQ(admin_.created[changelog(1)], 9);
}

TEST_F(TopicsTest, WithoutTheRepartitionTopicTheChangelogDecidesItsStagesCount) {
  admin_.topics[changelog(1)] = 9;
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  EXPECT_EQ(admin_.created["app.counts.repartition"], 9);
}

TEST_F(TopicsTest, AnExistingFeedDecidesItsCountWhereNothingIsStated) {
  admin_.topics["app.pg.feed"] = 9;
  const auto counts = ResolveTopics(plan_, admin_, true);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->at("app.pg.feed"), 9);
}

TEST_F(TopicsTest, AFeedOfWholeBatchesHasAPartitionForEachTask) {
  plan_.edges[0].partitions = 12;
  Node batch, feed;
  batch.kind = Node::Kind::kOperator;
  batch.spec = BatchSpec();
  feed.kind = Node::Kind::kFeed;
  feed.edge = feed.sink = 1;
  feed.inputs = {{.nodes = {0}}};
  plan_.stages[1].nodes = {batch, feed};
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  EXPECT_EQ(admin_.created["app.pg.feed"], 12);
  admin_.created.clear();
  admin_.topics["app.pg.feed"] = 6;
  ExpectRefused(
      {"'app.pg.feed' has 6 partitions where sink pg needs 12 (it shows batches whole, and its stage has 12"});
}

TEST_F(TopicsTest, ExistingInternalTopicsOfAStageMustAgree) {
  admin_.topics["app.counts.repartition"] = 9;
  admin_.topics[changelog(1)] = 4;
  ExpectRefused({"'app.counts.changelog' has 4 partitions", "needs 9", "'app.counts.repartition' has 9", "new name"});
}

TEST_F(TopicsTest, AStatedCountIsNotOverruledByATopicThatExistsWithAnother) {
  plan_.edges[0].partitions = 12;
  plan_.edges[0].step = "counts";
  admin_.topics["app.counts.repartition"] = 9;
  ExpectRefused({"'app.counts.repartition' has 9 partitions", "needs 12", "step counts asks for 12", "new name"});
}

TEST_F(TopicsTest, TheStatedDefaultIsNotOverruledEither) {
  plan_.internal_topics.partitions = 5;
  admin_.topics["app.counts.repartition"] = 9;
  ExpectRefused({"has 9 partitions", "needs 5", "internal_topics.partitions says 5"});
  admin_.topics.erase("app.counts.repartition");
  admin_.topics["app.pg.feed"] = 9;
  ExpectRefused({"'app.pg.feed' has 9 partitions", "sink pg needs 5"});
}

TEST_F(TopicsTest, AStatedCountMustBeThatOfTheSourceReadInTheSameStage) {
  plan_.stages[1].nodes.push_back(SourceNode(0));
  plan_.edges[0].partitions = 12;
  plan_.edges[0].step = "moved";
  ExpectRefused({"step moved is moved to 12 partitions", "stage counts", "'detections' has 6", "State 6"});
  plan_.edges[0].partitions = 6;
  EXPECT_TRUE(ResolveTopics(plan_, admin_, true).ok());
}

TEST_F(TopicsTest, CheckingOnlyMakesNothingButCountsAsIfItHad) {
  const auto counts = ResolveTopics(plan_, admin_, false);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_THAT(admin_.created, IsEmpty());
  EXPECT_EQ(counts->at("app.counts.repartition"), 6);
}

TEST_F(TopicsTest, AMissingSourceTopicIsNamedWithItsBrokers) {
  admin_.topics.erase("detections");
  ExpectRefused({"source detections", "'detections'", "broker:9092"});
}

TEST_F(TopicsTest, AMissingTableTopicIsNamed) {
  plan_.tables.resize(1);
  plan_.tables[0].name = "locations";
  plan_.tables[0].topic = "locations";
  ExpectRefused({"table locations", "'locations'"});
}

TEST_F(TopicsTest, AMissingSinkTopicIsNamedWithTheRemedy) {
  admin_.topics.erase("results");
  ExpectRefused({"sink out", "'results'", "create: {}"});
}

TEST_F(TopicsTest, EverythingThatIsMissingIsNamedAtOnce) {
  admin_.topics.clear();
  plan_.tables.resize(1);
  plan_.tables[0].name = "locations";
  plan_.tables[0].topic = "locations";
  plan_.create_internal_topics = false;
  std::get<KafkaSinkSpec>(plan_.sinks[0].spec).create.reset();
  const auto counts = ResolveTopics(plan_, admin_, /*create=*/true);
  EXPECT_EQ(counts.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(counts.status().message()),
              AllOf(HasSubstr("source detections: topic 'detections'"), HasSubstr("table locations: topic 'locations'"),
                    HasSubstr("sink out: topic 'results'"), HasSubstr("'app.counts.repartition' does not exist"),
                    HasSubstr("'app.counts.changelog' does not exist"), HasSubstr("'app.pg.feed' does not exist")));
  EXPECT_THAT(admin_.created, IsEmpty());
}

TEST_F(TopicsTest, EveryWrongCountIsNamedAtOnce) {
  admin_.topics["app.detections.changelog"] = 7;
  admin_.topics["app.counts.changelog"] = 3;
  admin_.topics["app.counts.repartition"] = 5;
  const auto counts = ResolveTopics(plan_, admin_, /*create=*/true);
  EXPECT_THAT(std::string(counts.status().message()),
              AllOf(HasSubstr("'app.detections.changelog' has 7"), HasSubstr("'app.counts.changelog' has 3")));
}

TEST_F(TopicsTest, ASinkTopicWithCreateIsMadeAsAsked) {
  admin_.topics.erase("results");
  std::get<KafkaSinkSpec>(plan_.sinks[0].spec).create = TopicCreation{4, 1, {{"retention.ms", "1000"}}};
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  EXPECT_EQ(admin_.created["results"], 4);
  EXPECT_EQ(admin_.configs["results"].at("retention.ms"), "1000");
}

TEST_F(TopicsTest, SourcesOfOneStageMustHaveEqualPartitionCounts) {
  plan_.sources.resize(2);
  plan_.sources[1].name = "more";
  plan_.sources[1].topic = "more";
  plan_.stages[0].nodes.push_back(SourceNode(1));
  admin_.topics["more"] = 4;
  ExpectRefused({"'detections' (6 partitions)", "'more' (4)", "repartition"});
}

TEST_F(TopicsTest, AnInternalTopicWithAnotherCountIsRefusedWithTheRemedy) {
  admin_.topics[changelog(0)] = 4;  // the source had 4 partitions once
  ExpectRefused({"has 4 partitions", "needs 6", "new name"});
}

TEST_F(TopicsTest, WithCreateFalseAMissingInternalTopicIsNamedWithItsCount) {
  plan_.create_internal_topics = false;
  ExpectRefused({"internal_topics.create is false", "6 partitions", "describe"});
}

TEST_F(TopicsTest, AParquetSinkHasATopicForItsManifests) {
  plan_.sinks[1].spec = ParquetSinkSpec();
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  EXPECT_EQ(admin_.created[plan_.application.ManifestTopic(plan_.sinks[1].name)], 6);
}

TEST_F(TopicsTest, SideTopicsAreMade) {
  Node join;
  join.side_topics = {{"unmatched", "nobody"}};
  plan_.stages[0].nodes.push_back(join);
  ASSERT_TRUE(ResolveTopics(plan_, admin_, true).ok());
  EXPECT_EQ(admin_.created["nobody"], 6);
}

}  // namespace
}  // namespace tidemark
