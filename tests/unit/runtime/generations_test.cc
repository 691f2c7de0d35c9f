// What needs no broker: what a worker owes, how late somebody is, and the names of a generation.
#include <string>
#include <utility>
#include <variant>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/time.h"
#include "src/runtime/generations/duty.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/generation_run.h"
#include "src/runtime/generations/generations_log.h"
#include "src/runtime/generations/live_lag.h"
#include "tests/unit/runtime/test_plan.h"

namespace tidemark {
namespace {

using generations::State;
using ::testing::HasSubstr;
using ::testing::Not;

State Two(State::Phase phase) {
  State state = FirstState();
  state.add_generations()->set_number(1);
  state.add_generations()->set_number(2);
  state.set_building(2);
  state.set_phase(phase);
  return state;
}

TEST(Duty, WithoutALogGenerationOneRuns) {
  EXPECT_EQ(DutyOf(FirstState(), 1), Duty::kActive);
  EXPECT_EQ(DutyOf(FirstState(), 2), Duty::kGone);
}

TEST(Duty, AtNoTimeMayBothRead) {
  EXPECT_EQ(DutyOf(Two(State::STEADY), 1), Duty::kActive);
  EXPECT_EQ(DutyOf(Two(State::STEADY), 2), Duty::kBuild);
  EXPECT_EQ(DutyOf(Two(State::DRAINING), 1), Duty::kDrain);
  EXPECT_EQ(DutyOf(Two(State::DRAINING), 2), Duty::kBuild);
  EXPECT_EQ(DutyOf(Two(State::CUT), 1), Duty::kWait);
  EXPECT_EQ(DutyOf(Two(State::CUT), 2), Duty::kCut);
  State decided = Two(State::DECIDED);
  decided.set_active(2);
  decided.set_leaving(1);
  decided.set_building(0);
  EXPECT_EQ(DutyOf(decided, 1), Duty::kLeft);
  EXPECT_EQ(DutyOf(decided, 2), Duty::kWait);
}

TEST(Duty, OnlyWhoWritesToTheSameTargetsGoesOnAsItRuns) {
  EXPECT_TRUE(MayTurnInto(Duty::kActive, Duty::kDrain));
  EXPECT_TRUE(MayTurnInto(Duty::kBuild, Duty::kCut));
  EXPECT_FALSE(MayTurnInto(Duty::kBuild, Duty::kActive));
  EXPECT_FALSE(MayTurnInto(Duty::kDrain, Duty::kActive));
}

State WithTexts(const std::string& first, const std::string& second) {
  State state = Two(State::STEADY);
  for (auto& [at, yaml] : {std::pair{0, first}, std::pair{1, second}}) {
    state.mutable_generations(at)->set_yaml(yaml);
    state.mutable_generations(at)->set_fingerprint(TopologyFingerprint(yaml));
  }
  state.set_active(2);
  state.set_building(0);
  return state;
}

TEST(GenerationText, OnlyTheRegisteredOneRunsAndTheRefusalNamesTheFlagThatAcceptsAnother) {
  const State state = WithTexts("old", "new");
  EXPECT_TRUE(CheckText(state, 2, {"f.yaml", "new"}).ok());
  EXPECT_THAT(std::string(CheckText(state, 2, {"f.yaml", "old"}).message()),
              HasSubstr("f.yaml is the topology of generation 1, and generation 2 is active"));
  // An old file with a change of its own would go on with the new generation's state.
  const absl::Status edited = CheckText(state, 2, {"f.yaml", "old, edited"});
  EXPECT_TRUE(absl::IsInvalidArgument(edited));
  EXPECT_THAT(std::string(edited.message()), HasSubstr("--accept_edit=" + TopologyFingerprint("new")));
  EXPECT_TRUE(CheckText(FirstState(), 1, {"f.yaml", "anything"}).ok());
}

TEST(GenerationText, AnEditIsAcceptedOnceInPlaceOfTheTextThatItNames) {
  const State state = WithTexts("old", "new");
  const auto next = WithEditAccepted(state, TopologyFingerprint("new"), {"f.yaml", "newer"});
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(FindGeneration(*next, 2)->yaml(), "newer");
  EXPECT_TRUE(CheckText(*next, 2, {"f.yaml", "newer"}).ok());
  EXPECT_THAT(std::string(CheckText(*next, 2, {"f.yaml", "new"}).message()),
              HasSubstr("an earlier version of the topology of generation 2"));
  // A flag that was left in a deployment accepts nothing any more.
  EXPECT_TRUE(
      absl::IsInvalidArgument(WithEditAccepted(*next, TopologyFingerprint("new"), {"f.yaml", "other"}).status()));
  // Nor does one that names the text of the generation before accept its file.
  EXPECT_FALSE(WithEditAccepted(state, TopologyFingerprint("old"), {"f.yaml", "old, edited"}).ok());
  EXPECT_FALSE(WithEditAccepted(state, TopologyFingerprint("new"), {"f.yaml", "old"}).ok());
}

TEST(GenerationText, WhatAReplayRunsAsIsTheSameBehindASwitchAndWhileAThirdIsBuilt) {
  State state = WithTexts("old", "new");
  const auto as = [&](const std::string& text, int32_t stated) {
    return ReplayedAs(state, {"f.yaml", text}, stated, 0);
  };
  EXPECT_EQ(as("newest", 0).value(), 0);  // to be begun
  EXPECT_EQ(as("old", 1).value(), 0);
  EXPECT_THAT(std::string(as("old", 0).status().message()), HasSubstr("generation 1, which was left"));
  EXPECT_EQ(as("new", 0).value(), 2);
  state.add_generations()->set_number(3);
  state.mutable_generations(2)->set_fingerprint(TopologyFingerprint("newest"));
  state.set_building(3);
  for (const auto phase : {State::STEADY, State::DRAINING, State::CUT}) {
    state.set_phase(phase);
    EXPECT_EQ(as("new", 0).value(), 2);  // a worker of the active one that was killed comes back
    EXPECT_EQ(as("new", 2).value(), 2);
    EXPECT_EQ(as("newest", 0).value(), 3);
    EXPECT_EQ(as("newest", 3).value(), 3);
    EXPECT_TRUE(absl::IsInvalidArgument(as("old", 1).status()));
    EXPECT_TRUE(absl::IsInvalidArgument(as("another", 0).status()));
  }
}

TEST(GenerationText, ACommandThatWasLeftInADeploymentBuildsNothingAgainBehindALaterSwitch) {
  State state = WithTexts("old", "new");
  const auto as = [&](int64_t left_by) { return ReplayedAs(state, {"f.yaml", "old"}, 1, left_by); };
  EXPECT_EQ(as(0).value(), 0) << "the first time nothing has to be named";
  auto* const old = state.mutable_generations(0);
  old->set_left_by(3);
  EXPECT_EQ(as(0).value(), 0);
  EXPECT_EQ(as(3).value(), 0);
  old->set_rebuilt_behind(3);
  state.set_building(1);
  EXPECT_EQ(as(0).value(), 1) << "a worker of it";
  state.set_building(0);
  state.set_active(1);
  EXPECT_EQ(as(0).value(), 1) << "it was switched in";
  state.set_active(2);
  old->set_left_by(5);
  for (const int64_t left_by : {0, 3}) {
    EXPECT_TRUE(absl::IsInvalidArgument(as(left_by).status()));
    EXPECT_THAT(std::string(as(left_by).status().message()), HasSubstr("`--generation=1 --left_by=5`"));
  }
  EXPECT_EQ(as(5).value(), 0);
}

TEST(GenerationText, ASwitchWithoutANumberIsNoneToName) {
  State state = WithTexts("old", "new");
  const auto as = [&](int64_t left_by) {
    return std::string(ReplayedAs(state, {"f.yaml", "old"}, 1, left_by).status().message());
  };
  EXPECT_EQ(as(0), "");
  EXPECT_THAT(as(4), HasSubstr("`--generation=1`, without --left_by"));
  state.mutable_generations(0)->set_rebuilt_behind(-1);
  for (const int64_t left_by : {0, 4}) {
    EXPECT_THAT(as(left_by), HasSubstr("`tidemark generations drop 1`"));
    EXPECT_THAT(as(left_by), Not(HasSubstr("--left_by="))) << "0 isn't the number of any";
  }
}

TEST(GenerationText, NoEditIsAcceptedWhileAGenerationIsBuiltOrASwitchIsUnderWay) {
  State state = WithTexts("old", "new");
  state.set_building(1);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(WithEditAccepted(state, TopologyFingerprint("new"), {"f.yaml", "newer"}).status()));
  state.set_building(0);
  state.set_phase(State::DECIDED);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(WithEditAccepted(state, TopologyFingerprint("new"), {"f.yaml", "newer"}).status()));
}

TEST(GenerationNumbers, AreNeverGivenAnew) {
  State state = Two(State::STEADY);
  EXPECT_EQ(NewestGeneration(FirstState()), 1);
  EXPECT_EQ(NewestGeneration(state), 2);
  state.set_newest(7);
  EXPECT_EQ(NewestGeneration(state), 7);
}

TEST(LiveLag, IsHowLongAgoTheLogsEndedWhereTheGroupStands) {
  const TopicPartition p{"t", 0};
  LiveLag lag;
  lag.Observe(0, {{p, 10}}, {{p, 4}});
  EXPECT_FALSE(lag.known());
  lag.Observe(kSecond, {{p, 20}}, {{p, 10}});
  EXPECT_TRUE(lag.known());
  EXPECT_EQ(lag.lag_us(), kSecond);
  lag.Observe(3 * kSecond, {{p, 30}}, {{p, 12}});
  EXPECT_EQ(lag.lag_us(), 3 * kSecond);
  lag.Observe(4 * kSecond, {{p, 30}}, {{p, 30}});
  EXPECT_EQ(lag.lag_us(), 0);
}

constexpr char kTown[] = R"(
name: town
kafka: { brokers: b }
sources: { rows: { topic: in, columns: { id: int64, route: string } } }
steps: { totals: { from: rows, group_by: [route], aggregates: { n: count(*) } } }
sinks:
  table: { from: totals, postgres: { url: "postgresql://x", table: t, mode: upsert, key: [route] } }
views: { latest: { from: totals, key: [route] } }
)";

TEST(GenerationPlan, ItsOwnNamesAreOfTheGenerationAndTargetsStay) {
  const Plan base = TestPlan(kTown);
  EXPECT_EQ(PlanOfGeneration(base, 1).edges[0].topic, base.edges[0].topic);
  const Plan second = PlanOfGeneration(base, 2);
  ASSERT_EQ(second.edges.size(), base.edges.size());
  for (const Edge& edge : second.edges) EXPECT_EQ(edge.topic.rfind("town.__2.", 0), 0u) << edge.topic;
  for (const SinkPlan& sink : second.sinks) {
    if (sink.view) {
      EXPECT_EQ(std::get<KafkaSinkSpec>(sink.spec).topic, "town.__2.latest.view");
    } else {
      EXPECT_EQ(std::get<PostgresSinkSpec>(sink.spec).table, "t");
    }
  }
}

TEST(GenerationPlan, WhereItBeginsIsSaidForAllSources) {
  Plan plan = TestPlan(kTown);
  ASSERT_TRUE(BeginAt("2026-01-01T00:00:00Z", &plan).ok());
  EXPECT_EQ(plan.sources[0].start.at, StartPosition::At::kTimestamp);
  EXPECT_EQ(plan.sources[0].start.timestamp_ms, 1'767'225'600'000);
  EXPECT_TRUE(absl::IsInvalidArgument(BeginAt("yesterday", &plan)));
}

TEST(GenerationPlan, ATopicThatNobodyElseWritesCantBeSwitchedTo) {
  const Plan active = TestPlan(kTown);
  Plan next = active;
  EXPECT_TRUE(CheckSwitchable(active, next).ok());
  next.sinks.push_back(next.sinks[0]);
  next.sinks.back().view.reset();
  next.sinks.back().spec = KafkaSinkSpec{.topic = "new"};
  EXPECT_TRUE(absl::IsInvalidArgument(CheckSwitchable(active, next)));
}

}  // namespace
}  // namespace tidemark
