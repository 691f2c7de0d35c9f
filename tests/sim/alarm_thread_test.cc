// The log of alarms over the simulated Kafka: two workers that see the same, and not at the same time, under crashes,
// rebalances, aborts, fences and lost answers.
#include "src/runtime/alarm_thread.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/base/status.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/topics.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

constexpr int kWorkers = 2;

Plan WatchedPlan() {
  absl::StatusOr<Plan> plan = PlanFromYaml(
      "name: app\nkafka: { brokers: simulated }\nsources: { events: { topic: events, columns: { id: int64 } } }\n"
      "sinks: { out: { from: events, topic: out, create: {}, freshness: 30m } }\nnotify: { topic: told }\n",
      "sim.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  CHECK(plan.ok()) << plan.status();
  return *std::move(plan);
}

class AlarmThreadTest : public ::testing::Test {
 protected:
  struct Worker {
    std::unique_ptr<KafkaClient> kafka;
    RunControl control;
    Runtime runtime;
    std::unique_ptr<AlarmThread> thread;
    bool knows = true;  // something is confirmed
  };

  void Begin(uint64_t seed) {
    workers_.clear();
    clock_ = std::make_unique<SimClock>();
    SimCluster::Options options;
    options.seed = seed;
    cluster_ = std::make_unique<SimCluster>(options, clock_.get());
    cluster_->CreateTopic("events", 1);
    raised_since_.clear();
  }

  void Boot(int number) {
    workers_.erase(number);
    auto worker = std::make_unique<Worker>();
    worker->kafka = cluster_->NewClient(number);
    worker->runtime.plan = &plan_;
    worker->runtime.clock = clock_.get();
    worker->runtime.control = &worker->control;
    worker->runtime.options.instance_id = absl::StrCat("w", number);
    while (true) {
      if (!cluster_->Alive(number)) worker->kafka = cluster_->NewClient(number);
      worker->runtime.kafka = worker->kafka.get();
      const auto partitions = ResolveTopics(plan_, worker->kafka->admin(), true);
      if (partitions.ok()) {
        worker->runtime.partitions = *partitions;
        break;
      }
    }
    worker->thread = std::make_unique<AlarmThread>(worker->runtime, [this, number, of = worker.get()] {
      FreshnessStatus found;
      found.sink = "out";
      found.confirmed = of->knows;
      for (const auto& [kind, since] : raised_since_) {
        // Each worker has seen it begin at a moment of its own.
        found.raised.push_back({"out", kind, since + number});
      }
      return std::vector<FreshnessStatus>{found};
    });
    ASSERT_TRUE(worker->thread->Start().ok());
    workers_[number] = std::move(worker);
  }

  void Turns(int turns) {
    for (int i = 0; i < turns; ++i) {
      for (int w = 0; w < kWorkers; ++w) {
        if (!cluster_->Alive(w)) Boot(w);
        ASSERT_TRUE(workers_[w]->thread->Step(50 * kMillisecond).ok());
      }
      clock_->Advance(100 * kMillisecond);
    }
  }

  std::vector<std::string> Told() {
    std::vector<std::string> bodies;
    for (const SimRecord& record : cluster_->CommittedRecords({"told", 0})) bodies.push_back(record.value.value_or(""));
    return bodies;
  }

  const Plan plan_ = WatchedPlan();
  std::unique_ptr<SimClock> clock_;
  std::unique_ptr<SimCluster> cluster_;
  std::map<AlarmKind, int64_t> raised_since_;  // as it is
  std::map<int, std::unique_ptr<Worker>> workers_;
};

TEST_F(AlarmThreadTest, AnAlarmIsBegunOnceAndEndedOnceByWhicheverWorkerWatches) {
  Begin(1);
  for (int w = 0; w < kWorkers; ++w) Boot(w);
  Turns(100);
  EXPECT_TRUE(Told().empty());
  EXPECT_EQ(workers_[0]->thread->status().watches + workers_[1]->thread->status().watches, 1);
  raised_since_[AlarmKind::kWarn] = clock_->WallUs();
  Turns(100);
  ASSERT_EQ(Told().size(), 1U);
  EXPECT_THAT(Told()[0], ::testing::HasSubstr("\"kind\":\"warn\",\"state\":\"raised\""));
  // The one that watches dies; the other goes on with what the log says.
  const int watcher = workers_[0]->thread->status().watches ? 0 : 1;
  Boot(watcher);
  workers_[watcher]->knows = false;
  Turns(400);
  EXPECT_EQ(Told().size(), 1U);
  raised_since_.clear();
  for (const auto& [number, worker] : workers_) worker->knows = false;
  Turns(100);
  EXPECT_EQ(Told().size(), 1U) << "who hasn't seen anything yet ends nothing";
  for (const auto& [number, worker] : workers_) worker->knows = true;
  Turns(200);
  ASSERT_EQ(Told().size(), 2U);
  EXPECT_THAT(Told()[1], ::testing::HasSubstr("\"state\":\"cleared\""));
}

TEST_F(AlarmThreadTest, TheLogAlternatesAndIsToldOnceUnderFaults) {
  size_t told = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Begin(seed);
    SimRandom random(seed);
    for (int w = 0; w < kWorkers; ++w) Boot(w);
    for (int round = 0; round < 30; ++round) {
      cluster_->faults() = {
          .unavailable = 0.02, .lost_answer = 0.02, .commit_unknown = 0.05, .commit_aborted = 0.05, .crash = 0.001};
      const AlarmKind kind = kAlarmKinds[random.Below(3)];
      if (raised_since_.erase(kind) == 0) raised_since_[kind] = clock_->WallUs();
      Turns(static_cast<int>(random.Below(60)));
      if (random.Below(4) == 0) Boot(static_cast<int>(random.Below(kWorkers)));
    }
    cluster_->faults() = {};
    Turns(600);
    std::map<std::string, std::string> since;  // of what is raised, by kind
    for (const std::string& body : Told()) {
      const auto field = [&](const std::string& name) {
        const size_t at = body.find("\"" + name + "\":\"") + name.size() + 4;
        return body.substr(at, body.find('"', at) - at);
      };
      if (field("state") == "raised") {
        ASSERT_TRUE(since.emplace(field("kind"), field("since")).second)
            << "begun twice, seed " << seed << ": " << body;
      } else {
        ASSERT_EQ(since[field("kind")], field("since")) << "seed " << seed << ": " << body;
        since.erase(field("kind"));
      }
      ++told;
    }
    ASSERT_EQ(since.size(), raised_since_.size()) << "seed " << seed;
  }
  EXPECT_GT(told, 400U);
}

}  // namespace
}  // namespace tidemark::sim
