// The plan of examples/htx in every detail that the runtime rests on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/window/partial_schema.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;

class HtxTest : public ::testing::Test {
 protected:
  HtxTest() {
    auto plan = PlanOf(ReadWholeFile("examples/htx/topology.yaml").value());
    EXPECT_TRUE(plan.ok()) << plan.status();
    if (plan.ok()) plan_ = *std::move(plan);
  }

  const Edge& EdgeOf(const std::string& topic) const {
    static const auto& none = *new Edge();
    for (const Edge& edge : plan_.edges) {
      if (edge.topic == topic) return edge;
    }
    ADD_FAILURE() << "no edge " << topic;
    return none;
  }

  static std::vector<std::string> Shape(const Stage& stage) {
    std::vector<std::string> out;
    for (const Node& node : stage.nodes) {
      constexpr const char* kKinds[] = {"source", "internal", "operator", "kafka", "repartition", "feed"};
      out.push_back(absl::StrCat(kKinds[static_cast<int>(node.kind)], " ", node.step));
      for (const int input : node.upstream()) absl::StrAppend(&out.back(), " <", input);
    }
    return out;
  }

  Plan plan_;
};

constexpr HiddenSet kTimeOnly;
constexpr HiddenSet kWithWatermark = HiddenSet().With(Hidden::kWatermark);

TEST_F(HtxTest, HasTwoStagesCutAtTheWindow) {
  ASSERT_EQ(plan_.stages.size(), 2u);
  EXPECT_EQ(plan_.stages[0].name, "detections");
  EXPECT_EQ(plan_.stages[1].name, "items_per_minute");
  EXPECT_THAT(Shape(plan_.stages[0]),
              ElementsAre("source detections", "operator unique_detections <0", "operator located_detections <1",
                          "operator items_per_minute <2", "repartition items_per_minute <3", "kafka enriched <2",
                          "feed lake <2"));
  EXPECT_THAT(Shape(plan_.stages[1]),
              ElementsAre("internal items_per_minute", "operator items_per_minute <0", "operator ranked_items <1",
                          "kafka item_counts <1", "kafka top_items <2", "feed top_items_table <2"));
  EXPECT_TRUE(plan_.stages[0].stateful);
  EXPECT_TRUE(plan_.stages[1].stateful);
  EXPECT_EQ(plan_.application.ChangelogTopic(plan_.stages[1].name), "htx.items_per_minute.changelog");
}

TEST_F(HtxTest, TheSourceKeepsItsPromiseCheckable) {
  const SourcePlan& source = plan_.sources.at(0);
  EXPECT_EQ(source.topic, "detections");
  EXPECT_EQ(source.schema().ToString(),
            "geographical_location_oid int64, video_camera_oid int64, detection_oid int64, item_name string, "
            "timestamp_detected timestamp_ms");
  EXPECT_EQ(source.key_format, kTextFormat);
  EXPECT_THAT(source.partitioned_by, ElementsAre(2u));
  EXPECT_TRUE(source.verify_partitioning);
  EXPECT_EQ(source.event_time.column, 4u);
  EXPECT_EQ(source.event_time.max_out_of_orderness_us, 2 * kSecond);
  EXPECT_EQ(source.event_time.max_ahead_us, 3600 * kSecond);
  EXPECT_EQ(source.hidden, kWithWatermark);
}

TEST_F(HtxTest, TheTablesTombstonesAreReadByTextKey) {
  const TablePlan& table = plan_.tables.at(0);
  EXPECT_EQ(table.topic, "locations");
  EXPECT_THAT(table.key, ElementsAre(0u));
  EXPECT_EQ(table.key_format, kTextFormat);
}

TEST_F(HtxTest, DedupNeedsNoShuffleAndItsGraceIsTheSmallerOfWithinAndAnHour) {
  const Node& node = NodeOf(plan_, "unique_detections");
  const auto& spec = node.spec.As<DedupSpec>();
  EXPECT_THAT(spec.by, ElementsAre(2u));
  EXPECT_EQ(spec.within_us, 3600 * kSecond);
  EXPECT_EQ(spec.grace_us, 3600 * kSecond);
  EXPECT_FALSE(spec.keep_last);
  EXPECT_EQ(node.in().hidden, kWithWatermark);
  EXPECT_EQ(node.hidden, kWithWatermark);  // the window decides lateness by it
  EXPECT_FALSE(node.mode.update);
}

TEST_F(HtxTest, TheJoinAppendsWhatIsNotTheKey) {
  const Node& node = NodeOf(plan_, "located_detections");
  const auto& spec = node.spec.As<JoinSpec>();
  EXPECT_THAT(spec.on, ElementsAre(std::pair<size_t, size_t>(0, 0)));
  EXPECT_THAT(spec.columns, ElementsAre(1u));
  EXPECT_FALSE(spec.left);
  EXPECT_EQ(node.output[5].name, "geographical_location");
  EXPECT_FALSE(node.output[5].nullable);
  EXPECT_EQ(node.output.size(), 6u);
}

TEST_F(HtxTest, TheWindowHasTwoPhasesAroundAShuffleThatAlsoServesTheTop) {
  const Edge& edge = EdgeOf("htx.items_per_minute.repartition");
  EXPECT_EQ(edge.from_stage, 0);
  EXPECT_EQ(edge.to_stage, 1);
  EXPECT_EQ(edge.to_sink, -1);
  EXPECT_EQ(edge.schema.ToString(),
            "geographical_location_oid int64, geographical_location string, item_name string, __partial_window_start "
            "timestamp_us, __partial_rows int64, __partial_0_count int64");
  EXPECT_THAT(edge.key, ElementsAre(1u));  // geographical_location: a subset of both group_by and top's by
  EXPECT_EQ(edge.hidden, kTimeOnly);
  EXPECT_FALSE(edge.update);

  const Node& partial = plan_.stages[0].nodes[3];
  const auto& partial_spec = partial.spec.As<WindowSpec>();
  EXPECT_EQ(partial_spec.phase, WindowSpec::Phase::kPartial);
  EXPECT_EQ(partial.in().hidden, kWithWatermark);
  EXPECT_EQ(partial.hidden, kTimeOnly);
  EXPECT_EQ(partial.output, edge.schema);

  const Node& final = plan_.stages[1].nodes[1];
  const auto& spec = final.spec.As<WindowSpec>();
  EXPECT_EQ(spec.phase, WindowSpec::Phase::kFinal);
  EXPECT_EQ(final.in().schema, edge.schema);
  EXPECT_EQ(final.in().hidden, kTimeOnly);
  EXPECT_EQ(spec.rows, partial.in().schema);
  EXPECT_EQ(PartialSchema(spec), edge.schema);
  EXPECT_EQ(spec.size_us, 60 * kSecond);
  EXPECT_EQ(spec.every_us, 60 * kSecond);
  EXPECT_EQ(spec.grace_us, 5 * kSecond);
  EXPECT_FALSE(spec.on_update);
  EXPECT_THAT(spec.group_by, ElementsAre(0u, 5u, 3u));
  EXPECT_EQ(
      final.output.ToString(),
      "geographical_location_oid int64, geographical_location string, item_name string, window_start timestamp_ms, "
      "window_end timestamp_ms, detections int64");
}

TEST_F(HtxTest, TheTopRanksWithinTheWindowAndSpellsOutTies) {
  const Node& node = NodeOf(plan_, "ranked_items");
  const auto& spec = node.spec.As<TopSpec>();
  EXPECT_EQ(spec.k, 10);
  EXPECT_THAT(spec.by, ElementsAre(1u, 3u, 4u));
  ASSERT_EQ(spec.order.size(), 3u);
  EXPECT_EQ(spec.order[0].column, 5u);
  EXPECT_TRUE(spec.order[0].descending);
  EXPECT_EQ(spec.order[1].column, 2u);
  EXPECT_EQ(spec.order[2].column, 0u);
  EXPECT_FALSE(spec.order[2].descending);
  EXPECT_FALSE(spec.on_update);
  EXPECT_EQ(node.output.columns().back().name, "item_rank");
  EXPECT_EQ(node.hidden, kTimeOnly);
}

TEST_F(HtxTest, ExternalSinksFollowTheirFeeds) {
  const Edge& table = EdgeOf("htx.top_items_table.feed");
  EXPECT_EQ(table.from_stage, 1);
  EXPECT_EQ(table.to_stage, -1);
  EXPECT_EQ(plan_.sinks[static_cast<size_t>(table.to_sink)].name, "top_items_table");
  EXPECT_THAT(table.key, ElementsAre(1u, 3u, 6u));
  const Edge& lake = EdgeOf("htx.lake.feed");
  EXPECT_EQ(lake.from_stage, 0);
  EXPECT_TRUE(lake.key.empty());  // the task's own partition
  EXPECT_EQ(lake.hidden, kTimeOnly);
  EXPECT_EQ(NodeOf(plan_, "lake", Node::Kind::kFeed).in().hidden, kWithWatermark);
}

TEST_F(HtxTest, SinksHaveTheirDefaults) {
  std::map<std::string, const SinkPlan*> sinks;
  for (const SinkPlan& sink : plan_.sinks) sinks[sink.name] = &sink;
  const auto& enriched = std::get<KafkaSinkSpec>(sinks.at("enriched")->spec);
  EXPECT_FALSE(enriched.upsert);
  EXPECT_EQ(enriched.key_format, kTextFormat);
  EXPECT_EQ(enriched.compression, "lz4");
  ASSERT_TRUE(enriched.create.has_value());
  EXPECT_EQ(enriched.create->partitions, 0);
  const auto& table = std::get<PostgresSinkSpec>(sinks.at("top_items_table")->spec);
  EXPECT_TRUE(table.upsert);
  EXPECT_TRUE(table.create);
  EXPECT_EQ(table.schema, "public");
  EXPECT_EQ(table.url, "postgresql://localhost:5432/htx");
  const auto& lake = std::get<ParquetSinkSpec>(sinks.at("lake")->spec);
  EXPECT_EQ(lake.path, "lake/enriched");
  ASSERT_EQ(lake.partition_by.size(), 1u);
  EXPECT_EQ(lake.partition_by[0].name, "date");
  EXPECT_EQ(lake.partition_by[0].expression, "date(timestamp_detected)");
  EXPECT_EQ(lake.max_bytes, 128 << 20);
  EXPECT_EQ(plan_.dead_letter_topic, "htx-dead-letter");
}

TEST_F(HtxTest, ItsPlacesComeFromTheEnvironment) {
  const auto plan = PlanOf(ReadWholeFile("examples/htx/topology.yaml").value(),
                           {{"KAFKA_BROKERS", "k:1"}, {"DATABASE_URL", "postgresql://d/x"}, {"LAKE", "s3://lake"}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->kafka.brokers, "k:1");
  for (const SinkPlan& sink : plan->sinks) {
    if (const auto* lake = std::get_if<ParquetSinkSpec>(&sink.spec)) {
      EXPECT_EQ(lake->path, "s3://lake/enriched");
    }
    if (const auto* table = std::get_if<PostgresSinkSpec>(&sink.spec)) {
      EXPECT_EQ(table->url, "postgresql://d/x");
    }
  }
}

}  // namespace
}  // namespace tidemark
