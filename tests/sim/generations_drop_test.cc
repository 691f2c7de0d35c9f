// What `tidemark generations drop` deletes, and what the log remembers of it, on the simulated Kafka.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/base/generation_names.h"
#include "src/codec/formats.h"
#include "src/kafka/reset_client.h"
#include "src/plan/planner.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/generations_log.h"
#include "src/runtime/generations/generations_report.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

Plan Town() {
  absl::StatusOr<Plan> plan = PlanFromYaml(
      R"(
name: town
kafka: { brokers: simulated }
sources: { rows: { topic: in, columns: { id: int64, route: string } } }
steps: { totals: { from: rows, group_by: [route], aggregates: { n: count(*) } } }
sinks: { latest: { from: totals, topic: latest, key: [route], create: {} } }
)",
      "town.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

class Deletions final : public ResetClient {
 public:
  absl::StatusOr<bool> IsEmpty(const std::string& group) override { return group != busy; }
  absl::Status CommitForEmptyGroup(const std::string&, const std::vector<OffsetToCommit>&) override {
    return absl::UnimplementedError("not asked for");
  }
  absl::Status DeleteGroup(const std::string& group) override {
    topics.push_back("group " + group);
    return absl::OkStatus();
  }
  absl::Status DeleteTopic(const std::string& topic) override {
    topics.push_back(topic);
    return absl::OkStatus();
  }
  std::string busy;
  std::vector<std::string> topics;  // and groups, in the order of their ends
};

class GenerationsDrop : public ::testing::Test {
 protected:
  void SetUp() override {
    kafka_ = cluster_.NewClient(1);
    auto log = GenerationsWriter::Open(town_, kafka_.get(), wait_);
    ASSERT_TRUE(log.ok()) << log.status();
    generations::State state = (*log)->state();
    for (int32_t number = 1; number <= 2; ++number) state.add_generations()->set_number(number);
    state.set_building(2);
    ASSERT_TRUE((*log)->Write(state).ok());
  }
  absl::StatusOr<std::string> Drop(int32_t number) {
    return DropGeneration(
        town_, number, *kafka_, client_,
        [this](const generations::Generation& each) { return PlanOfGeneration(town_, each.number()); }, wait_);
  }
  generations::State State() {
    const auto state = ReadGenerations("town", *kafka_, wait_);
    EXPECT_TRUE(state.ok()) << state.status();
    return state.value_or(FirstState());
  }

  SimClock clock_;
  SimCluster cluster_{{}, &clock_};
  const std::function<void()> wait_ = [this] { clock_.Advance(10'000); };
  const Plan town_ = Town();
  std::unique_ptr<KafkaClient> kafka_;
  Deletions client_;
};

TEST_F(GenerationsDrop, ItsInternalTopicsGoItsShadowsAreNamedAndItsNumberIsNeverGivenAnew) {
  const auto told = Drop(2);
  ASSERT_TRUE(told.ok()) << told.status();
  EXPECT_THAT(client_.topics, Contains("town.__2.__status"));
  EXPECT_THAT(client_.topics, Each(StartsWith("town.__2.")));
  EXPECT_THAT(*told, HasSubstr("topic latest.g2"));
  EXPECT_EQ(State().building(), 0);
  EXPECT_EQ(FindGeneration(State(), 2), nullptr);
  EXPECT_EQ(NewestGeneration(State()), 2);
}

TEST_F(GenerationsDrop, WhatRunsIsNeverDropped) {
  EXPECT_TRUE(absl::IsInvalidArgument(Drop(1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Drop(3).status()));
  client_.busy = "town.__2";
  EXPECT_TRUE(absl::IsFailedPrecondition(Drop(2).status()));
  EXPECT_THAT(client_.topics, SizeIs(0));
  EXPECT_EQ(State().building(), 2);
}

TEST_F(GenerationsDrop, ARunsNameIsFreeOnceItsGroupsAndItsLogAreGone) {
  const Plan own = PlanOfApplication(town_, GenerationNames{"town"}.Run("march"));
  {
    auto log = GenerationsWriter::Open(own, kafka_.get(), wait_);
    ASSERT_TRUE(log.ok()) << log.status();
    generations::State state = (*log)->state();
    state.mutable_run()->set_from("earliest");
    ASSERT_TRUE((*log)->Write(state).ok());
  }
  cluster_.CreateTopic("town.__run_march.totals.changelog", 1);
  const auto drop = [&] {
    return DropPastRun(
        "town", "march", *kafka_, client_, [this](const generations::Generation&) { return town_; }, wait_);
  };
  client_.busy = "town.__run_march";
  EXPECT_TRUE(absl::IsFailedPrecondition(drop().status()));
  EXPECT_THAT(client_.topics, SizeIs(0));
  client_.busy.clear();
  const auto told = drop();
  ASSERT_TRUE(told.ok()) << told.status();
  EXPECT_THAT(client_.topics, testing::ElementsAre("town.__run_march.totals.changelog", "group town.__run_march",
                                                   "town.__run_march.__generations"))
      << "the log last";
  EXPECT_THAT(*told, HasSubstr("once what stands there is gone:\n  topic latest.run_march"));
}

}  // namespace
}  // namespace tidemark::sim
