// An intake of several sources: each row comes into its own source's topic exactly once, numbered without a gap, and
// what belongs together comes together, whatever fails; a source that is added later begins with an empty topic. Over
// the simulated Kafka.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/split_intake.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::HasSubstr;

constexpr int kPartitions = 2;

// Row i goes to every target: so after any commit all have as many, but for those that came later.
struct Log {
  int64_t rows = 0;
};

class LogSource final : public IntakeSource {
 public:
  LogSource(Log* log, size_t targets, SimRandom* random) : log_(*log), targets_(targets), random_(*random) {}

  std::string Of(const std::string& /*position*/) const override { return "a log"; }
  absl::Status Open(const std::string& position, IntakeNotes) override {
    return position.empty() || absl::SimpleAtoi(position, &next_) ? absl::OkStatus()
                                                                  : absl::InternalError("a strange position");
  }
  absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t, int64_t) override {
    if (next_ == log_.rows) return std::nullopt;
    IntakeRows rows;
    const int64_t end = std::min(log_.rows, next_ + 1 + static_cast<int64_t>(random_.Below(5)));
    for (int64_t i = next_; i < end; ++i) {
      for (size_t t = 0; t < targets_; ++t) {
        IntakeRecord& record = rows.records.emplace_back();
        record.partition = static_cast<int32_t>(i % kPartitions);
        record.value = absl::StrCat(i);
        record.target = t;
        ++rows.counts[t]["changes"];
      }
    }
    next_ = end;
    rows.next = absl::StrCat(end);
    return rows;
  }
  absl::Status Committed(const std::string&) override { return absl::OkStatus(); }
  void Interrupt() override {}

 private:
  Log& log_;
  const size_t targets_;
  SimRandom& random_;
  int64_t next_ = 0;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed), cluster_({.seed = seed}, &clock_) {
    plan_ = *PlanFromYaml(
        "name: app\nkafka: { brokers: simulated }\nsources:\n  events: { topic: events, format: json, columns: { id: "
        "int64 } }\nsinks:\n  out: { from: events, topic: out, create: {} }\n",
        "sim.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
    plan_.commit_interval_us = 20 * kMillisecond;
    cluster_.CreateTopic("events", 1);
    cluster_.CreateTopic(plan_.dead_letter_topic, 1);
    cluster_.CreateTopic(names_.PositionsTopic(), 1);
    cluster_.CreateTopic(names_.NotesTopic(), 1);
    for (const char* source : {"a", "b", "c", "slot"}) cluster_.CreateTopic(TopicOf(source), kPartitions);
  }

  std::string TopicOf(const std::string& source) const { return IntakeNames{{"app"}, source}.Topic(); }

  void Boot(int worker, std::vector<std::string> sources) {
    Process& process = processes_[worker];
    process.split.reset();
    process.kafka = cluster_.NewClient(worker);
    process.runtime = Runtime();
    process.runtime.plan = &plan_;
    process.runtime.kafka = process.kafka.get();
    process.runtime.clock = &clock_;
    process.runtime.control = &control_;
    process.runtime.options.instance_id = absl::StrCat("w", worker);
    process.runtime.partitions = {{names_.PositionsTopic(), 1}, {plan_.dead_letter_topic, 1}};
    for (const std::string& source : sources) process.runtime.partitions[TopicOf(source)] = kPartitions;
    const size_t targets = sources.size();
    process.split = std::make_unique<SplitIntake>(
        process.runtime, SplitIntake::Split{"slot", 0, 1, std::move(sources)},
        [this, targets](int32_t) { return std::make_unique<LogSource>(&log, targets, &random_); }, [](int64_t) {});
  }
  bool Booted(int worker) { return processes_[worker].split != nullptr; }
  // False: the process is dead, or its intake has ended.
  bool Step(int worker) {
    clock_.Advance(5 * kMillisecond);
    Process& process = processes_[worker];
    const absl::Status status = process.split->Step(10 * kMillisecond);
    if (status.ok() && cluster_.Alive(worker)) return true;
    if (cluster_.Alive(worker)) last_end = status;
    process.split.reset();
    return false;
  }
  IntakeStatus status(int worker) { return processes_[worker].split->status(); }

  // The log of positions is made again, empty.
  void Forget() { cluster_.RemakeTopic(names_.PositionsTopic(), 1); }

  // How many rows there are, in their order and numbered without a gap.
  int64_t Rows(const std::string& source) {
    int64_t rows = 0;
    for (int32_t partition = 0; partition < kPartitions; ++partition) {
      int64_t number = 0, last = -1;
      for (const SimRecord& record : cluster_.CommittedRecords({TopicOf(source), partition})) {
        EXPECT_EQ(record.headers.back().second.value_or(""), absl::StrCat("0:", ++number));
        int64_t id = 0;
        EXPECT_TRUE(absl::SimpleAtoi(*record.value, &id));
        EXPECT_TRUE(last < 0 || id == last + kPartitions) << source << ": " << id << " behind " << last;
        last = id;
        ++rows;
      }
    }
    return rows;
  }

  SimClock& clock() { return clock_; }
  SimRandom& random() { return random_; }
  SimCluster& cluster() { return cluster_; }

  Log log;
  absl::Status last_end;

 private:
  struct Process {
    std::unique_ptr<KafkaClient> kafka;
    Runtime runtime;
    std::unique_ptr<SplitIntake> split;
  };
  SimClock clock_;
  SimRandom random_;
  SimCluster cluster_;
  Plan plan_;
  const IntakeNames names_{{"app"}, "slot"};
  RunControl control_;
  std::map<int, Process> processes_;
};

TEST(IntakeTargets, RowsOfAllTargetsComeTogetherWhateverFails) {
  int64_t ended = 0, later = 0;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    World world(seed);
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.unavailable = 0.02;
    faults.lost_answer = 0.01;
    faults.commit_unknown = 0.05;
    faults.commit_aborted = 0.05;
    faults.crash = 0.005;
    std::vector<std::string> sources = {"a", "b"};
    for (int turn = 0; turn < 600; ++turn) {
      if (turn == 300) {
        sources.push_back("c");
        for (int worker = 0; worker < 2; ++worker) world.Boot(worker, sources);
      }
      const int worker = static_cast<int>(random.Below(2));
      if (!world.Booted(worker) || random.Below(100) == 0) world.Boot(worker, sources);
      if (turn % 5 == 0) world.log.rows += static_cast<int64_t>(random.Below(8));
      if (random.Below(30) == 0) world.clock().Advance(static_cast<int64_t>(random.Below(12)) * kSecond);
      if (!world.Step(worker)) ++ended;
      ASSERT_TRUE(world.last_end.ok()) << world.last_end;
      if (turn % 50 == 0) {
        ASSERT_EQ(world.Rows("a"), world.Rows("b"));
      }
    }
    faults = SimFaults();
    world.cluster().Kill(1);
    world.Boot(0, sources);
    for (int turn = 0; turn < 3000; ++turn) ASSERT_TRUE(world.Step(0)) << world.last_end;
    ASSERT_EQ(world.Rows("a"), world.log.rows);
    ASSERT_EQ(world.Rows("b"), world.log.rows);
    later += world.Rows("c");
    const IntakeStatus status = world.status(0);
    ASSERT_EQ(status.targets.size(), 3u);
    for (const IntakeStatus::Target& target : status.targets) {
      EXPECT_EQ(target.rows, world.Rows(target.source)) << target.source;
      EXPECT_EQ(target.counts.at("changes"), target.rows) << target.source;
    }
  }
  EXPECT_GT(ended, 100);
  EXPECT_GT(later, 1000);
}

TEST(IntakeTargets, AWorkerThatDoesntKnowATargetChangesNothingUntilOneThatDoesTakesOver) {
  World world(1);
  const auto run = [&](int worker) {
    world.log.rows += 10;
    for (int i = 0; i < 50 && world.Booted(worker); ++i) world.Step(worker);
    ASSERT_TRUE(world.last_end.ok()) << world.last_end;
  };
  world.Boot(0, {"a"});
  run(0);
  world.Boot(1, {"a", "b"});  // a rolling restart adds b ...
  run(1);
  EXPECT_EQ(world.Rows("b"), 10);
  world.Boot(0, {"a"});  // ... and the former topology has the split once more
  run(0);
  EXPECT_EQ(world.Rows("a"), 20) << "nothing is read past the place of b";
  EXPECT_THAT(world.status(0).last_error, HasSubstr("source b isn't in this worker's topology"));
  world.Boot(1, {"a", "b"});
  run(1);
  EXPECT_EQ(world.Rows("a"), 40);
  EXPECT_EQ(world.Rows("b"), 30) << "all that came since it was added";
}

TEST(IntakeTargets, ATargetIsForgottenWithItsTopicAndComesBackOnlyWithAnEmptyOne) {
  World world(1);
  const auto run = [&](std::vector<std::string> sources) {
    if (!sources.empty()) world.Boot(0, std::move(sources));
    world.log.rows += 10;
    for (int i = 0; i < 50; ++i) {
      world.clock().Advance(kSecond);
      if (!world.Step(0)) return;
    }
  };
  run({"a", "b"});
  run({"a"});
  EXPECT_EQ(world.Rows("a"), 10);
  EXPECT_THAT(world.status(0).last_error, HasSubstr("delete the topic app.b.intake, and this goes on without it"));
  world.cluster().RemakeTopic(world.TopicOf("b"), kPartitions);  // under the name is another one
  run({});
  EXPECT_EQ(world.Rows("a"), 30) << "without a start";
  EXPECT_EQ(world.Rows("b"), 0);
  EXPECT_EQ(world.status(0).last_error, "");
  run({"a", "b"});
  EXPECT_TRUE(world.last_end.ok()) << world.last_end;
  EXPECT_EQ(world.Rows("a"), 40);
  EXPECT_EQ(world.Rows("b"), 10) << "what came since";
}

TEST(IntakeTargets, ANewTargetWhoseTopicHasRowsIsRefused) {
  World world(1);
  world.log.rows = 10;
  world.Boot(0, {"a", "b"});
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.Step(0));
  ASSERT_EQ(world.Rows("b"), 10);
  world.Forget();
  world.Boot(0, {"b", "slot"});
  for (int i = 0; i < 50 && world.Booted(0); ++i) world.Step(0);
  EXPECT_THAT(std::string(world.last_end.message()), HasSubstr("topic app.b.intake isn't empty"));
}

TEST(IntakeTargets, ThePositionOfOneSourceGoesOnWithOthersBesideIt) {
  World world(2);
  world.log.rows = 10;
  world.Boot(0, {"slot"});
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.Step(0));
  world.log.rows = 20;
  world.Boot(0, {"a", "slot"});
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.Step(0)) << world.last_end;
  EXPECT_EQ(world.Rows("slot"), 20);
  EXPECT_EQ(world.Rows("a"), 10);
  EXPECT_EQ(world.status(0).targets[1].rows, 20);
}

}  // namespace
}  // namespace tidemark::sim
