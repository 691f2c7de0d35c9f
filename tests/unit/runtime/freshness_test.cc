// When what was posted counts as shown, and when a sink counts as fresh: a watch over brokers that say what the test
// does.
#include "src/runtime/freshness.h"

#include <gtest/gtest.h>

#include "src/runtime/offset_metadata.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

const TopicPartition kIn{"in", 0}, kOut{"out", 0};

class Brokers final : public SilentKafka, public SilentAdmin {
 public:
  Admin& admin() override { return *this; }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> GroupOffsets(const std::string&,
                                                                         const std::vector<TopicPartition>&) override {
    OffsetMetadata metadata;
    metadata.commit = commit;
    metadata.busy = busy;
    return std::map<TopicPartition, CommittedOffset>{{kIn, {10, metadata.ToString()}}};
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>& of,
                                                           Isolation isolation) override {
    std::map<TopicPartition, Offset> ends;
    for (const TopicPartition& partition : of) {
      ends[partition] = partition == kIn ? 10 : isolation == Isolation::kReadCommitted ? shown : written;
    }
    return ends;
  }

  uint64_t commit = 4;
  bool busy = false;
  Offset written = 5, shown = 5;
};

class FreshnessTest : public ::testing::Test {
 protected:
  FreshnessTest() {
    plan_.application.name = "app";
    SourcePlan& source = plan_.sources.emplace_back();
    source.name = source.topic = "in";
    source.http.emplace();
    Stage& stage = plan_.stages.emplace_back();
    stage.name = "in";
    Node& top = stage.nodes.emplace_back();
    top.kind = Node::Kind::kSource;
    top.source = 0;
    Node& bottom = stage.nodes.emplace_back();
    bottom.kind = Node::Kind::kKafkaSink;
    bottom.sink = 0;
    bottom.inputs = {{.nodes = {0}, .schema = {}}};
    SinkPlan& sink = plan_.sinks.emplace_back();
    sink.name = "out";
    sink.freshness = FreshnessSpec{kSecond, 2 * kSecond, false};
    KafkaSinkSpec kafka;
    kafka.topic = "out";
    sink.spec = kafka;
    runtime_.plan = &plan_;
    runtime_.partitions = {{"in", 1}, {"out", 1}};
    runtime_.clock = &clock_;
    runtime_.kafka = &brokers_;
  }

  FreshnessWatch Watch(FreshnessWatch::Of of) {
    return FreshnessWatch(
        runtime_, [](const std::string&) { return std::nullopt; }, [](const std::string&) { return false; }, of);
  }
  void Look(FreshnessWatch& watch, int times) {
    for (int i = 0; i < times; ++i) ASSERT_TRUE(watch.Look().ok());
  }

  Plan plan_;
  FakeClock clock_;
  Runtime runtime_;
  Brokers brokers_;
};

TEST_F(FreshnessTest, WhatWasPostedShowsInATopicWhenReadersWithReadCommittedHaveIt) {
  FreshnessWatch watch = Watch(FreshnessWatch::Of::kPosts);
  brokers_.shown = 3;
  Look(watch, 5);
  EXPECT_EQ(watch.ThroughUs("in"), 0) << "its offsets are committed, and the markers aren't there yet";
  brokers_.shown = 5;
  Look(watch, 1);
  EXPECT_EQ(watch.ThroughUs("in"), clock_.monotonic_us);
}

TEST_F(FreshnessTest, WhoHasPostedWaitsForACommitThatLeavesNoOutput) {
  FreshnessWatch watch = Watch(FreshnessWatch::Of::kPosts);
  brokers_.busy = true;
  for (; brokers_.commit < 9; ++brokers_.commit) Look(watch, 2);
  EXPECT_EQ(watch.ThroughUs("in"), 0);
  brokers_.busy = false;
  Look(watch, 2);
  EXPECT_EQ(watch.ThroughUs("in"), clock_.monotonic_us);
}

TEST_F(FreshnessTest, ATaskThatIsAlwaysBusyRaisesNoAlarm) {
  FreshnessWatch watch = Watch(FreshnessWatch::Of::kStated);
  brokers_.busy = true;
  for (; brokers_.commit < 9; ++brokers_.commit) {
    clock_.monotonic_us += kSecond / 4;
    Look(watch, 1);
  }
  ASSERT_EQ(watch.status().size(), 1u);
  EXPECT_TRUE(watch.status()[0].confirmed);
  EXPECT_LE(watch.status()[0].age_us, kSecond);
}

}  // namespace
}  // namespace tidemark
