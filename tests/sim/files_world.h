// A folder in which files land, and workers that read it into a topic over the simulated Kafka: for tests of the file
// source. Which worker does what when is the test's.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/plan/planner.h"
#include "src/runtime/file_source.h"
#include "src/sim/sim_kafka.h"
#include "src/storage/memory_store.h"
#include "tests/sim/sim_landing.h"

namespace tidemark::sim {

// A lake as one process has it: what a dead one still does, as its objects go, reaches nothing.
class ProcessStore final : public ObjectStore {
 public:
  ProcessStore(MemoryObjectStore* store, std::shared_ptr<const bool> alive)
      : store_(*store), alive_(std::move(alive)) {}

  std::string_view path() const override { return store_.path(); }
  size_t max_open_files() const override { return store_.max_open_files(); }
  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) override {
    if (!*alive_) return Dead();
    return store_.Create(name);
  }
  absl::Status Sync(const std::string& name) override { return *alive_ ? store_.Sync(name) : Dead(); }
  absl::Status Move(const std::string& from, const std::string& to) override {
    return *alive_ ? store_.Move(from, to) : Dead();
  }
  absl::StatusOr<bool> Exists(const std::string& name) override {
    if (!*alive_) return Dead();
    return store_.Exists(name);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) override {
    if (!*alive_) return Dead();
    return store_.List(folder, prefix);
  }
  absl::Status Delete(const std::string& name) override { return *alive_ ? store_.Delete(name) : Dead(); }

 private:
  static absl::Status Dead() { return absl::UnavailableError("the process is dead"); }

  MemoryObjectStore& store_;
  const std::shared_ptr<const bool> alive_;
};

class FilesWorld {
 public:
  explicit FilesWorld(uint64_t seed, const std::string& options = "whole: renamed, order: unordered",
                      const std::string& more = "", const std::string& columns = "")
      : random_(seed), cluster_(Options(seed), &clock_) {
    const std::string yaml = absl::StrCat(
        "name: app\nkafka: { brokers: simulated }\nsources:\n  surveys:\n    files: { path: \"landing/**/*\", ",
        options, " }\n    columns: { id: int64, who: { type: string, nullable: true }", columns, " }\n", more,
        "sinks:\n  out: { from: surveys, topic: out, create: {} }\n");
    absl::StatusOr<Plan> plan =
        PlanFromYaml(yaml, "sim.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
    EXPECT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    plan_.commit_interval_us = 20 * kMillisecond;
    partitions_ = plan_.sources[0].files->partitions;
    cluster_.CreateTopic(names_.Topic(), partitions_);
    cluster_.CreateTopic(names_.PositionsTopic(), 1);
    cluster_.CreateTopic(names_.NotesTopic(), 1);
    cluster_.CreateTopic(plan_.dead_letter_topic, 1);
  }

  void Boot(int worker) {
    Process& process = processes_[worker];
    End(process);
    process.alive = std::make_shared<bool>(true);
    process.kafka = cluster_.NewClient(worker);
    process.runtime = Runtime();
    process.runtime.plan = &plan_;
    process.runtime.kafka = process.kafka.get();
    process.runtime.clock = &clock_;
    process.runtime.control = &control_;
    process.runtime.options.commit_bytes = 8 << 10;  // so that files are read in several pieces
    process.runtime.partitions = {{names_.Topic(), partitions_}, {plan_.dead_letter_topic, 1}};
    process.split = std::make_unique<SplitIntake>(
        process.runtime, SplitIntake::Split{"surveys", 0, 1},
        [this, &process](int32_t) {
          return std::make_unique<FileSource>(
              plan_.sources[0], OwnFormats(), &clock_, std::make_unique<SimLandingZone>(&folder_, &random_),
              std::make_unique<FileCopies>(*plan_.sources[0].files, "app.surveys",
                                           [this, alive = process.alive](const std::string&) { return Lake(alive); }),
              [this](int64_t us) { clock_.Advance(std::max<int64_t>(us, 1)); });
        },
        [](int64_t) {});
  }
  bool Booted(int worker) const { return processes_.contains(worker) && processes_.at(worker).split != nullptr; }
  // False: the process is dead, or its split has ended.
  bool Step(int worker) {
    Process& process = processes_[worker];
    clock_.Advance(5 * kMillisecond);
    if (process.split == nullptr) return false;
    const absl::Status status = process.split->Step(10 * kMillisecond);
    if (status.ok() && cluster_.Alive(worker)) return true;
    if (cluster_.Alive(worker)) last_end_ = status;
    End(process);
    return false;
  }
  void Run(int worker, int steps) {
    for (int i = 0; i < steps; ++i) ASSERT_TRUE(Step(worker)) << last_end_;
  }
  // Nothing fails any more, and worker 0 alone reads what is left: workers 1 and 2 are dead.
  void RunCalmly(int steps) {
    cluster_.faults() = SimFaults();
    folder_.away = 0;
    for (const int other : {1, 2}) cluster_.Kill(other);
    Boot(0);
    Run(0, steps);
  }

  std::vector<std::string> Values() {
    std::vector<std::string> values;
    for (int32_t p = 0; p < partitions_; ++p) {
      for (const SimRecord& record : cluster_.CommittedRecords({names_.Topic(), p})) values.push_back(*record.value);
    }
    return values;
  }
  // The values of this header in the rows that have it.
  std::vector<std::string> Headers(const std::string& name) {
    std::vector<std::string> values;
    for (int32_t p = 0; p < partitions_; ++p) {
      for (const SimRecord& record : cluster_.CommittedRecords({names_.Topic(), p})) {
        for (const auto& [header, value] : record.headers) {
          if (header == name) values.push_back(value.value_or(""));
        }
      }
    }
    return values;
  }
  std::vector<std::string> Letters() {
    std::vector<std::string> letters;
    for (const SimRecord& record : cluster_.CommittedRecords({plan_.dead_letter_topic, 0})) {
      letters.push_back(record.headers.front().second.value_or(""));
    }
    return letters;
  }
  // The last of each key.
  std::map<std::string, std::optional<std::string>> Notes() {
    std::map<std::string, std::optional<std::string>> notes;
    for (const SimRecord& record : cluster_.CommittedRecords({names_.NotesTopic(), 0})) {
      notes[record.key.value_or("")] = record.value;
    }
    return notes;
  }
  IntakeStatus status(int worker) { return processes_[worker].split->status(); }
  SimCluster& cluster() { return cluster_; }
  SimClock& clock() { return clock_; }
  SimRandom& random() { return random_; }
  SimFolder& folder() { return folder_; }
  MemoryObjectStore& lake() { return lake_; }
  absl::Status last_end() const { return last_end_; }

 private:
  struct Process {
    std::unique_ptr<KafkaClient> kafka;
    Runtime runtime;
    std::unique_ptr<SplitIntake> split;
    std::shared_ptr<bool> alive;
  };
  static void End(Process& process) {
    if (process.alive != nullptr) *process.alive = false;
    process.split.reset();
  }
  absl::StatusOr<std::unique_ptr<ObjectStore>> Lake(std::shared_ptr<const bool> alive) {
    if (random_.Chance(folder_.away)) return absl::UnavailableError("the lake is away");
    return std::make_unique<ProcessStore>(&lake_, std::move(alive));
  }
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
  const IntakeNames names_{{"app"}, "surveys"};
  int32_t partitions_ = 1;
  RunControl control_;
  SimFolder folder_;
  MemoryObjectStore lake_;
  std::map<int, Process> processes_;
  absl::Status last_end_;
};

inline std::string Row(int64_t id) { return absl::StrCat("{\"id\":", id, "}"); }

}  // namespace tidemark::sim
