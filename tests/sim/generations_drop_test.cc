// What `tidemark generations drop` deletes, and what the log remembers of it, on the simulated Kafka; and whom commands
// that refuse, or come second, leave alone.
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
#include "src/runtime/generations/switch.h"
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

// A command is at work, and goes on where another has only refused.
TEST_F(GenerationsDrop, WhoRefusesTakesNothingOverFromTheOneAtWork) {
  auto at_work = GenerationsWriter::Open(town_, kafka_.get(), wait_);
  ASSERT_TRUE(at_work.ok()) << at_work.status();
  generations::State state = (*at_work)->state();
  EXPECT_FALSE(Drop(1).ok());
  client_.busy = "town.__2";
  EXPECT_FALSE(Drop(2).ok());
  client_.busy.clear();
  state.set_phase(generations::State::DRAINING);
  ASSERT_TRUE((*at_work)->Write(state).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Drop(2).status()));
  state.set_phase(generations::State::DECIDED);
  ASSERT_TRUE((*at_work)->Write(state).ok());
  SwitchParts parts;
  parts.kafka = kafka_.get();
  parts.client = &client_;
  parts.clock = &clock_;
  parts.wait = wait_;
  const absl::Status cancelled = CancelSwitch(town_, parts);
  EXPECT_TRUE(absl::IsFailedPrecondition(cancelled)) << cancelled;
  EXPECT_THAT(std::string(cancelled.message()), HasSubstr("can only be completed"));
  EXPECT_TRUE((*at_work)->Write(state).ok());
}

TEST_F(GenerationsDrop, WhoHasNothingToSwitchToTakesNothingOverEither) {
  auto at_work = GenerationsWriter::Open(town_, kafka_.get(), wait_);
  ASSERT_TRUE(at_work.ok()) << at_work.status();
  generations::State state = (*at_work)->state();
  state.set_building(0);
  ASSERT_TRUE((*at_work)->Write(state).ok());
  SwitchParts parts;
  parts.kafka = kafka_.get();
  parts.client = &client_;
  parts.clock = &clock_;
  parts.wait = wait_;
  const absl::Status refused = SwitchGenerations(town_, SwitchOptions(), parts).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("no generation is being built"));
  EXPECT_TRUE((*at_work)->Write(state).ok());
}

// Another command takes over while a target is away.
class TakenOver final : public TargetSwap {
 public:
  explicit TakenOver(std::function<void()> by) : by_(std::move(by)) {}
  absl::Status Prepare() override { return absl::OkStatus(); }
  absl::Status Swap() override {
    by_();
    return absl::UnavailableError("the target is away");
  }
  std::string Describe() const override { return "a target"; }

 private:
  const std::function<void()> by_;
};

TEST_F(GenerationsDrop, WhoIsOvertakenBehindTheDecisionIsntToldToRunItAgain) {
  {
    auto log = GenerationsWriter::Open(town_, kafka_.get(), wait_);
    ASSERT_TRUE(log.ok()) << log.status();
    generations::State state = (*log)->state();
    state.set_phase(generations::State::DECIDED);
    state.set_switch_number(1);
    state.set_leaving(1);
    state.set_active(2);
    state.set_building(0);
    ASSERT_TRUE((*log)->Write(state).ok());
  }
  SwitchParts parts;
  parts.kafka = kafka_.get();
  parts.client = &client_;
  parts.clock = &clock_;
  parts.wait = wait_;
  parts.say = [](const std::string&) {};
  parts.plan_of = [this](const generations::Generation& each) { return PlanOfGeneration(town_, each.number()); };
  const auto other = cluster_.NewClient(2);
  parts.swaps = [&](const GenerationSwap&) -> absl::StatusOr<std::vector<std::unique_ptr<TargetSwap>>> {
    std::vector<std::unique_ptr<TargetSwap>> swaps;
    swaps.push_back(std::make_unique<TakenOver>([&] {
      auto log = GenerationsWriter::Open(town_, other.get(), wait_);
      ASSERT_TRUE(log.ok()) << log.status();
      EXPECT_TRUE((*log)->Write((*log)->state()).ok());
    }));
    return swaps;
  };
  const absl::Status ended = SwitchGenerations(town_, SwitchOptions(), parts).status();
  EXPECT_TRUE(absl::IsCancelled(ended)) << ended;
  EXPECT_THAT(std::string(ended.message()), testing::Not(HasSubstr("run it again")));
}

// In use twice, then free.
class InUse final : public TargetSwap {
 public:
  explicit InUse(int* asked) : asked_(asked) {}
  absl::Status Prepare() override {
    return ++*asked_ < 3 ? absl::UnavailableError("the target is in use") : absl::OkStatus();
  }
  absl::Status Swap() override { return absl::OkStatus(); }
  std::string Describe() const override { return "a target"; }

 private:
  int* const asked_;
};

TEST_F(GenerationsDrop, ATargetThatIsInUseAsTheSwitchBeginsIsWaitedForUntilItHasTakenTooLong) {
  int asked = 0;
  std::vector<std::string> said;
  SwitchParts parts;
  parts.kafka = kafka_.get();
  parts.client = &client_;
  parts.clock = &clock_;
  parts.wait = [this] { clock_.Advance(kSecond); };
  parts.say = [&said](const std::string& line) { said.push_back(line); };
  parts.plan_of = [this](const generations::Generation& each) { return PlanOfGeneration(town_, each.number()); };
  parts.swaps = [&](const GenerationSwap&) -> absl::StatusOr<std::vector<std::unique_ptr<TargetSwap>>> {
    std::vector<std::unique_ptr<TargetSwap>> swaps;
    swaps.push_back(std::make_unique<InUse>(&asked));
    return swaps;
  };
  SwitchOptions options;
  options.dry_run = true;
  EXPECT_TRUE(SwitchGenerations(town_, options, parts).ok());
  EXPECT_EQ(asked, 3);
  EXPECT_THAT(said, testing::ElementsAre("tries again: the target is in use", "would follow: a target"));
  asked = -1'000'000;
  const absl::Status late = SwitchGenerations(town_, options, parts).status();
  EXPECT_THAT(std::string(late.message()), HasSubstr("too long, and still waited: the target is in use"));
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
