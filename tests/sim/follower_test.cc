// What a worker is allowed to read while generations change, over the simulated Kafka: by committed positions alone.
#include "src/runtime/generations/follower.h"

#include <memory>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/withheld.h"
#include "src/runtime/offset_metadata.h"
#include "src/runtime/topics.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using generations::State;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Pair;

const TopicPartition kPart{"events", 0};

class FollowerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.CreateTopic("events", 1);
    for (int i = 0; i < 8; ++i) cluster_.AppendInput(kPart, std::nullopt, "{}");
    absl::StatusOr<Plan> plan = PlanFromYaml(
        "name: app\nsources: { events: { topic: events, columns: { id: int64 } } }\n"
        "sinks: { rows: { from: events, topic: rows, create: {} } }\n",
        "f.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
    ASSERT_TRUE(plan.ok()) << plan.status();
    base_ = *std::move(plan);
    const auto kafka = cluster_.NewClient(9);
    for (int32_t number = 1; number <= 2; ++number) {
      ASSERT_TRUE(ResolveTopics(PlanOfGeneration(base_, number), kafka->admin(), /*create=*/true).ok());
    }
    Write([](State* state) {
      for (int32_t number = 1; number <= 2; ++number) state->add_generations()->set_number(number);
      state->set_building(2);
    });
  }

  template <typename Change>
  void Write(const Change& change) {
    const auto kafka = cluster_.NewClient(9);
    auto log = GenerationsWriter::Open(base_, kafka.get(), [this] { clock_.Advance(10'000); });
    ASSERT_TRUE(log.ok()) << log.status();
    State state = (*log)->state();
    change(&state);
    const absl::Status written = (*log)->Write(state);
    ASSERT_TRUE(written.ok()) << written;
  }

  void Start(int32_t generation, Duty duty) {
    plan_ = PlanOfGeneration(base_, generation);
    follower_ = std::make_unique<GenerationFollower>(plan_, duty, false, 0);
    kafka_ = follower_->Bound(cluster_.NewClient(0));
    runtime_.plan = &plan_;
    runtime_.kafka = kafka_.get();
    runtime_.clock = &clock_;
    runtime_.control = &control_;
    runtime_.partitions = *ResolveTopics(plan_, kafka_->admin(), /*create=*/false);
    follower_->Open(&runtime_);
    consumer_ = *kafka_->NewConsumer({.group = plan_.application.Group(), .instance_id = "w", .client_id = "w"});
    Turn();
  }

  void Turn() {
    const absl::Status turned = follower_->Turn();
    EXPECT_TRUE(turned.ok()) << turned;
  }

  void Commit(int32_t generation, Offset offset, int64_t stands_for = 0) {
    const std::string metadata = OffsetMetadata{.commit = 1, .stands_for = stands_for}.ToString();
    cluster_.log().CommitOffsets(PlanOfGeneration(base_, generation).application.Group(), {{kPart, offset, metadata}});
  }

  void Drain(int64_t switch_number) {
    Write([&](State* state) {
      state->set_phase(State::DRAINING);
      state->set_switch_number(switch_number);
    });
    Turn();
  }

  std::vector<Offset> Read() {
    std::vector<Offset> seen;
    for (int i = 0; i < 10; ++i) {
      const auto polled = consumer_->Poll(1'000, 100);
      EXPECT_TRUE(polled.ok()) << polled.status();
      for (const auto& fetch : polled->fetches) {
        for (const RecordView& record : fetch->records()) seen.push_back(record.offset);
      }
    }
    return seen;
  }

  SimClock clock_;
  SimCluster cluster_{SimCluster::Options(), &clock_};
  Plan base_, plan_;
  RunControl control_;
  Runtime runtime_;
  std::unique_ptr<GenerationFollower> follower_;
  std::unique_ptr<KafkaClient> kafka_;
  std::unique_ptr<Consumer> consumer_;
};

TEST_F(FollowerTest, ATopicThatTheActiveGenerationBeginsToReadHasABoundFromThenOn) {
  Start(2, Duty::kBuild);
  Commit(1, 4);
  Turn();
  ASSERT_TRUE(consumer_->Assign({{kPart, 0}}).ok());
  EXPECT_THAT(Read(), ElementsAre(0, 1, 2, 3));
}

TEST_F(FollowerTest, AWorkerLeavesOnceEverySourcePartitionStandsForThisSwitch) {
  Commit(1, 3);
  Start(1, Duty::kActive);
  ASSERT_TRUE(consumer_->Assign({{kPart, 3}}).ok());
  EXPECT_THAT(Read(), ElementsAre(3, 4, 5, 6, 7));
  Drain(2);
  EXPECT_FALSE(follower_->drained()) << "what was handed out isn't committed";
  Commit(1, 8, /*stands_for=*/1);
  Turn();
  EXPECT_FALSE(follower_->drained()) << "that was for a switch that was taken back";
  Commit(1, 8, /*stands_for=*/2);
  Turn();
  EXPECT_TRUE(follower_->drained());
  EXPECT_EQ(follower_->switch_number(), 2);
}

TEST_F(FollowerTest, WhatATaskHasMoreToGiveIsWaitedFor) {
  Start(1, Duty::kActive);
  Drain(1);
  const std::string busy = OffsetMetadata{.commit = 1, .busy = true, .stands_for = 1}.ToString();
  cluster_.log().CommitOffsets("app", {{kPart, 8, busy}});
  Turn();
  EXPECT_FALSE(follower_->drained());
}

TEST_F(FollowerTest, WhoGoesToTheCutStandsThereBeforeItLeaves) {
  Commit(1, 6);
  Start(2, Duty::kBuild);
  Write([](State* state) {
    state->set_phase(State::CUT);
    state->set_switch_number(1);
    auto* const at = state->add_cut();
    at->set_topic(kPart.topic);
    at->set_offset(6);
  });
  Turn();
  Commit(2, 5, /*stands_for=*/1);
  Turn();
  EXPECT_FALSE(follower_->drained());
  Commit(2, 6, /*stands_for=*/1);
  Turn();
  EXPECT_TRUE(follower_->drained());
}

// Another one is begun between two looks: what is written for the first says nothing of it.
TEST_F(FollowerTest, ASwitchThatFollowsOneThatWasTakenBackIsStoodForAnew) {
  Commit(1, 8);
  Start(1, Duty::kActive);
  Drain(1);
  Drain(2);
  ASSERT_TRUE(consumer_->Assign({{kPart, 8}}).ok());
  const auto polled = consumer_->Poll(1'000, 100);
  ASSERT_TRUE(polled.ok()) << polled.status();
  EXPECT_THAT(polled->ends, Contains(Pair(kPart, StandsFor(2))));
}

TEST_F(FollowerTest, TheClockStandsFromTheDrainOn) {
  Commit(1, 8);
  Start(1, Duty::kActive);
  EXPECT_FALSE(control_.clock_stands);
  Drain(1);
  EXPECT_TRUE(control_.clock_stands) << "time that follows it is committed for ever, and nobody comes to rest";
}

// One that begins while the switch is going on: what it was to be given is refused from then on, so it never settles.
TEST_F(FollowerTest, WhoHasDrainedSeesThatTheSwitchGoesOn) {
  Commit(1, 8, /*stands_for=*/1);
  Write([](State* state) {
    state->set_phase(State::DRAINING);
    state->set_switch_number(1);
  });
  Start(1, Duty::kDrain);
  EXPECT_TRUE(follower_->drained());
  EXPECT_FALSE(follower_->ended());
  Write([](State* state) { state->set_phase(State::CUT); });
  Turn();
  EXPECT_TRUE(follower_->ended());
}

}  // namespace
}  // namespace tidemark::sim
