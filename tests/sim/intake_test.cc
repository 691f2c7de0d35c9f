// Rows from an outside come into their topic exactly once: an intake over the simulated Kafka, and an outside whose
// rows are known beforehand, under crashes, aborts, fences, lost answers and unknown outcomes.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/base/status.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/intake_thread.h"
#include "src/runtime/topics.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr int kSplits = 2;
constexpr int kPartitions = 3;

// Split s has the rows s * 1,000,000, + 1, + 2, ..., as many as there are so far.
struct Outside {
  int64_t rows[kSplits] = {0, 0};
  bool away = false;
  std::map<int32_t, int64_t> forgotten;  // by split: rows before it are gone
  int opened = 0;
  std::string of = "numbers";
  int64_t too_large = -1;  // this row is
};

class CountingSource final : public IntakeSource {
 public:
  CountingSource(Outside* outside, int32_t split, SimRandom* random)
      : outside_(*outside), split_(split), random_(*random) {}

  std::string Of(const std::string& /*position*/) const override { return outside_.of; }
  absl::Status Open(const std::string& position, IntakeNotes notes) override {
    ++outside_.opened;
    // Notes and position are one fact.
    const std::string noted = notes.contains("next") ? notes["next"] : "";
    if (noted != position) return absl::InternalError(absl::StrCat("position ", position, ", noted ", noted));
    if (outside_.away) return absl::UnavailableError("the outside is away");
    if (!position.empty() && !absl::SimpleAtoi(position, &next_)) return absl::InternalError("a strange position");
    if (next_ < outside_.forgotten[split_]) return absl::FailedPreconditionError("rows that were forgotten");
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t, int64_t) override {
    if (outside_.away) return absl::UnavailableError("the outside is away");
    if (next_ == outside_.rows[split_]) return std::nullopt;
    const int64_t count = 1 + static_cast<int64_t>(random_.Below(5));
    const int64_t end = std::min(outside_.rows[split_], next_ + count);
    IntakeRows rows;
    for (int64_t i = next_; i < end; ++i) {
      IntakeRecord record;
      record.partition = static_cast<int32_t>(i % kPartitions);
      record.value = absl::StrCat(split_ * 1'000'000 + i);
      if (i == outside_.too_large) {  // however well it is compressed
        for (int n = 0; n < 2 << 20; ++n) record.value += static_cast<char>('0' + random_.Below(64));
      }
      rows.records.push_back(std::move(record));
    }
    rows.next = absl::StrCat(end);
    rows.notes.push_back({"next", rows.next});
    rows.notes.push_back({"gone", i_am_gone_++ % 2 == 0 ? std::optional<std::string>("x") : std::nullopt});
    rows.counts[0]["polls"] = 1;
    next_ = end;
    return rows;
  }
  absl::Status Committed(const std::string& position) override {
    if (outside_.away) return absl::UnavailableError("the outside is away");
    int64_t before = 0;
    if (!absl::SimpleAtoi(position, &before)) return absl::InternalError("a strange position");
    outside_.forgotten[split_] = std::max(outside_.forgotten[split_], before);
    return absl::OkStatus();
  }
  void Interrupt() override {}

 private:
  Outside& outside_;
  const int32_t split_;
  SimRandom& random_;
  int64_t next_ = 0;
  int i_am_gone_ = 0;
};

class IntakeWorld {
 public:
  explicit IntakeWorld(uint64_t seed) : random_(seed), cluster_(Options(seed), &clock_) {
    const std::string yaml =
        "name: app\nkafka: { brokers: simulated }\nsources:\n  events: { topic: events, format: json, "
        "columns: { id: int64 } }\nsinks:\n  out: { from: events, topic: out, create: {} }\n";
    plan_ = *PlanFromYaml(yaml, "sim.yaml", Operators(), OwnFormats().list(),
                          [](std::string_view) { return std::nullopt; });
    plan_.commit_interval_us = 20 * kMillisecond;
    cluster_.CreateTopic("events", 1);
    cluster_.CreateTopic(names_.Topic(), kPartitions);
    cluster_.CreateTopic(names_.PositionsTopic(), kSplits);
    cluster_.CreateTopic(names_.NotesTopic(), kSplits);
    cluster_.CreateTopic(plan_.dead_letter_topic, 1);
  }

  // A new process of that worker, with a thread for the split; its older one is dead.
  void Boot(int worker, int32_t split) {
    Process& process = processes_[worker];
    process.thread.reset();
    process.kafka = cluster_.NewClient(worker);
    process.split = split;
    process.runtime = Runtime();
    process.runtime.plan = &plan_;
    process.runtime.kafka = process.kafka.get();
    process.runtime.clock = &clock_;
    process.runtime.control = &control_;
    process.runtime.options.instance_id = absl::StrCat("w", worker);
    process.runtime.limits = limits_ ? &*limits_ : nullptr;
    process.runtime.partitions = {
        {names_.Topic(), kPartitions}, {names_.PositionsTopic(), kSplits}, {plan_.dead_letter_topic, 1}};
    process.thread = std::make_unique<SplitIntake>(
        process.runtime, SplitIntake::Split{"files", split, splits_},
        [this](int32_t number) { return std::make_unique<CountingSource>(&outside_, number, &random_); },
        [](int64_t) {});
  }
  bool Booted(int worker) const { return processes_.contains(worker) && processes_.at(worker).thread != nullptr; }

  // False: the process is dead, or its thread has ended.
  bool Step(int worker) {
    Process& process = processes_[worker];
    clock_.Advance(5 * kMillisecond);
    if (process.thread == nullptr) return false;
    const absl::Status status = process.thread->Step(10 * kMillisecond);
    if (status.ok() && cluster_.Alive(worker)) return true;
    if (cluster_.Alive(worker)) last_end_ = status;
    process.thread.reset();
    return false;
  }

  // The ids of a split in the topic, in their order; and whether a reader finds their numbers whole.
  std::vector<int64_t> Ids(int32_t split) {
    std::vector<int64_t> ids;
    for (int32_t partition = 0; partition < kPartitions; ++partition) {
      std::map<std::string, int64_t> last;
      for (const SimRecord& record : cluster_.CommittedRecords({names_.Topic(), partition})) {
        const std::pair<std::string, std::string> number =
            absl::StrSplit(record.headers.back().second.value_or(""), ':');
        EXPECT_EQ(number.second, absl::StrCat(++last[number.first]));
        if (number.first != absl::StrCat(split)) continue;
        EXPECT_TRUE(absl::SimpleAtoi(*record.value, &ids.emplace_back()));
      }
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  std::vector<int64_t> All(int32_t split) const {
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < outside_.rows[split]; ++i) ids.push_back(split * 1'000'000 + i);
    return ids;
  }

  // A worker's member of the group, in place of a split that it is told to run.
  void Join(int worker) {
    Boot(worker, 0);
    Process& process = processes_[worker];
    process.thread.reset();
    process.member = std::make_unique<IntakeThread>(
        process.runtime, "files",
        [this](int32_t number) { return std::make_unique<CountingSource>(&outside_, number, &random_); },
        [](int64_t) {});
    ASSERT_TRUE(process.member->Start().ok());
  }
  void StepMember(int worker) {
    clock_.Advance(5 * kMillisecond);
    const absl::Status status = processes_[worker].member->Step(10 * kMillisecond);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Leave(int worker) { processes_[worker].member.reset(); }
  int Splits(int worker) const { return static_cast<int>(processes_.at(worker).member->status().splits.size()); }
  // Workers that are booted from now on know of limits, though not those of the topic: the brokers' refusal tells.
  void KnowLimits() {
    SourcePlan source;
    source.name = names_.source;
    source.topic = names_.Topic();
    source.files.emplace();
    plan_.sources.push_back(source);
    limits_.emplace(plan_);
  }

  SplitIntake& thread(int worker) { return *processes_[worker].thread; }
  SimCluster& cluster() { return cluster_; }
  SimClock& clock() { return clock_; }
  SimRandom& random() { return random_; }
  Outside& outside() { return outside_; }
  absl::Status last_end() const { return last_end_; }
  void SetSplits(int32_t count) { splits_ = count; }
  const IntakeNames& names() const { return names_; }

 private:
  struct Process {
    std::unique_ptr<KafkaClient> kafka;
    Runtime runtime;
    int32_t split = 0;
    std::unique_ptr<SplitIntake> thread;
    std::unique_ptr<IntakeThread> member;
  };

  static SimCluster::Options Options(uint64_t seed) {
    SimCluster::Options options;
    options.seed = seed;
    options.marker_delay_us = seed % 2 == 0 ? 3'000 : 0;
    return options;
  }

  SimClock clock_;
  SimRandom random_;
  SimCluster cluster_;
  Plan plan_;
  const IntakeNames names_{{"app"}, "files"};
  RunControl control_;
  std::optional<RecordLimits> limits_;
  int32_t splits_ = kSplits;
  Outside outside_;
  std::map<int, Process> processes_;
  absl::Status last_end_;
};

TEST(Intake, RowsAndPositionsGoTogether) {
  IntakeWorld world(1);
  world.outside().rows[0] = 100;
  world.Boot(0, 0);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(world.Step(0));
  EXPECT_THAT(world.Ids(0), ElementsAreArray(world.All(0)));
  EXPECT_EQ(world.outside().forgotten[0], 100);
  EXPECT_EQ(world.thread(0).status().rows(), 100);
  world.outside().rows[0] = 130;
  world.Boot(0, 0);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(world.Step(0));
  EXPECT_THAT(world.Ids(0), ElementsAreArray(world.All(0)));
  EXPECT_EQ(world.thread(0).status().rows(), 130);
}

TEST(Intake, WhatIsInHandWhenTheOutsideGoesIsCommittedAndTheRestComesLater) {
  IntakeWorld world(2);
  world.outside().rows[0] = 10;
  world.Boot(0, 0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(world.Step(0));
  world.outside().away = true;
  world.outside().rows[0] = 50;
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(world.Step(0));
  const IntakeStatus waiting = world.thread(0).status();
  EXPECT_EQ(waiting.state, IntakeStatus::State::kWaiting);
  EXPECT_EQ(waiting.last_error, "the outside is away");
  EXPECT_GT(waiting.failing_since_us, 0);
  EXPECT_EQ(world.outside().opened, 1) << "it is asked again as it is";
  world.outside().away = false;
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(world.Step(0));
  EXPECT_THAT(world.Ids(0), ElementsAreArray(world.All(0)));
  EXPECT_EQ(world.thread(0).status().last_error, "");
}

TEST(Intake, OfTwoOwnersTheOneThatCameLastGoesOn) {
  IntakeWorld world(3);
  world.outside().rows[0] = 40;
  world.Boot(0, 0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(world.Step(0));
  world.Boot(1, 0);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.Step(1));
  world.outside().rows[0] = 60;
  ASSERT_TRUE(world.Step(0)) << "it is fenced, and waits";
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(world.Step(1));
  EXPECT_THAT(world.Ids(0), ElementsAreArray(world.All(0)));
}

TEST(Intake, WhatTheFormerOwnerCommitsUntilItIsFencedCounts) {
  IntakeWorld world(5);
  world.outside().rows[0] = 20;
  world.Boot(0, 0);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.Step(0));
  world.outside().rows[0] = 60;
  bool stepped = false;
  world.cluster().SetHook([&](const SimCallSite& site) {
    if (site.worker == 1 && site.call == SimCall::kInitTransactions && !std::exchange(stepped, true)) {
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(world.Step(0));
    }
    return SimVerdict::kProceed;
  });
  world.Boot(1, 0);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.Step(1)) << world.last_end();
  EXPECT_TRUE(stepped);
  EXPECT_THAT(world.Ids(0), ElementsAreArray(world.All(0)));
}

TEST(Intake, APositionThatIsMissingIsAnError) {
  IntakeWorld world(4);
  world.outside().rows[0] = 5;
  world.Boot(0, 0);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.Step(0));
  packed::IntakePosition strange;
  strange.set_number(7);
  world.cluster().AppendInput({world.names().PositionsTopic(), 0}, std::nullopt, strange.SerializeAsString());
  world.Boot(0, 0);
  EXPECT_FALSE(world.Step(0));
  EXPECT_EQ(world.last_end().code(), absl::StatusCode::kFailedPrecondition) << world.last_end();
}

// What ends a takeover, and with which words.
void ExpectRefused(IntakeWorld& world, const std::string& words) {
  world.Boot(0, 0);
  EXPECT_FALSE(world.Step(0));
  EXPECT_EQ(world.last_end().code(), absl::StatusCode::kFailedPrecondition) << world.last_end();
  EXPECT_THAT(std::string(world.last_end().message()), HasSubstr(words));
}

TEST(Intake, ALogOfPositionsThatWasEmptiedIsNoBeginning) {
  IntakeWorld world(6);
  world.outside().rows[0] = 5;
  world.Boot(0, 0);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.Step(0));
  const TopicPartition log{world.names().PositionsTopic(), 0};
  world.cluster().Trim(log, world.cluster().CommittedRecords(log).back().offset + 2);
  ExpectRefused(world, "was read before");
}

TEST(Intake, APositionIsOfOneOutsideAndOneNumberOfSplits) {
  IntakeWorld world(7);
  world.outside().rows[0] = 5;
  world.Boot(0, 0);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.Step(0));
  world.outside().of = "letters";
  ExpectRefused(world, "holds a position in numbers, and the source reads letters now");
  world.outside().of = "numbers";
  world.SetSplits(3);
  ExpectRefused(world, "one of 2 splits, and there are 3 now");
}

TEST(Intake, ATopicThatWasMadeAgainHasLostWhatThePositionSaysWasRead) {
  IntakeWorld world(8);
  world.outside().rows[0] = 5;
  world.Boot(0, 0);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.Step(0));
  world.cluster().RemakeTopic(world.names().Topic(), kPartitions);
  ExpectRefused(world, "was deleted and made again");
}

TEST(Intake, TheNewestPositionIsFoundBehindManyOthers) {
  IntakeWorld world(9);
  world.Boot(0, 0);
  for (int i = 0; i < 2000; ++i) {
    world.outside().rows[0] += 1;
    ASSERT_TRUE(world.Step(0));
  }
  const int64_t commits = world.thread(0).status().commits;
  EXPECT_GT(commits, 200);
  world.Boot(0, 0);
  ASSERT_TRUE(world.Step(0));
  EXPECT_GE(world.thread(0).status().commits, commits);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.Step(0));
  EXPECT_THAT(world.Ids(0), ElementsAreArray(world.All(0)));
}

TEST(Intake, ARowThatNoTopicTakesIsADeadLetterAndHasNoNumber) {
  IntakeWorld world(10);
  world.KnowLimits();
  world.outside().rows[0] = 10;
  world.outside().too_large = 4;
  world.Boot(0, 0);
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(world.Step(0)) << world.last_end();
  std::vector<int64_t> all = world.All(0);
  all.erase(all.begin() + 4);
  EXPECT_THAT(world.Ids(0), ElementsAreArray(all));
  EXPECT_EQ(world.thread(0).status().rows(), 9);
  EXPECT_EQ(world.thread(0).status().refused(), 1);
}

TEST(Intake, ANewOwnerIsGivenTheSplitByTheGroupAndTheFormerOneLeavesItAlone) {
  IntakeWorld world(11);
  world.outside().rows[0] = 40;
  world.outside().rows[1] = 40;
  world.Join(0);
  world.Join(1);
  for (int i = 0; i < 400; ++i) {
    world.StepMember(i % 2);
    if (i % 40 == 0) world.outside().rows[i % kSplits] += 3;
  }
  EXPECT_EQ(world.Splits(0) + world.Splits(1), kSplits);
  EXPECT_EQ(world.Splits(0), 1);
  world.cluster().Kill(0);
  world.Leave(0);
  for (int i = 0; i < 4000; ++i) {
    world.StepMember(1);
    if (i % 100 == 0) world.outside().rows[i % kSplits] += 3;
  }
  EXPECT_EQ(world.Splits(1), kSplits) << "the other's split came here when its session was over";
  for (int32_t split = 0; split < kSplits; ++split) EXPECT_THAT(world.Ids(split), ElementsAreArray(world.All(split)));
}

// Two splits, three workers that may all believe they own a split, and everything that can fail.
TEST(Intake, EachRowStandsInTheTopicExactlyOnceWhateverFails) {
  int64_t ended = 0, fenced = 0, unknown = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    IntakeWorld world(seed);
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.unavailable = 0.02;
    faults.lost_answer = 0.01;
    faults.commit_unknown = 0.05;
    faults.commit_aborted = 0.05;
    faults.crash = 0.005;
    for (int turn = 0; turn < 1500; ++turn) {
      const int worker = static_cast<int>(random.Below(3));
      if (!world.Booted(worker) || random.Below(200) == 0) world.Boot(worker, static_cast<int32_t>(random.Below(2)));
      if (turn % 10 == 0) world.outside().rows[random.Below(kSplits)] += static_cast<int64_t>(random.Below(8));
      if (random.Below(50) == 0) world.outside().away = !world.outside().away;
      if (random.Below(30) == 0) world.clock().Advance(static_cast<int64_t>(random.Below(12)) * kSecond);
      if (!world.Step(worker)) {
        ++ended;
        continue;
      }
      const std::string error = world.thread(worker).status().last_error;
      fenced += absl::StrContains(error, "fenced") ? 1 : 0;
      unknown += absl::StrContains(error, "timed out") || absl::StrContains(error, "answer was lost") ? 1 : 0;
      ASSERT_TRUE(world.last_end().ok()) << world.last_end();
    }
    faults = SimFaults();
    world.outside().away = false;
    world.cluster().Kill(2);
    for (int32_t split = 0; split < kSplits; ++split) world.Boot(split, split);
    for (int turn = 0; turn < 3000; ++turn) ASSERT_TRUE(world.Step(turn % kSplits)) << world.last_end();
    for (int32_t split = 0; split < kSplits; ++split) {
      ASSERT_THAT(world.Ids(split), ElementsAreArray(world.All(split)));
      EXPECT_EQ(world.outside().forgotten[split], world.outside().rows[split]);
    }
  }
  EXPECT_GT(ended, 100);
  EXPECT_GT(fenced, 100);
  EXPECT_GT(unknown, 100);
}

}  // namespace
}  // namespace tidemark::sim
