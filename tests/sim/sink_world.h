// A sink thread alone over the simulated Kafka: a feed of two partitions that a test fills, and processes that come and
// go, each with a feed sink of the test's making.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/plan/plan.h"
#include "src/runtime/sink_thread.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {

class SinkWorld {
 public:
  using SinkMaker = std::function<std::unique_ptr<FeedSink>(const Runtime& runtime)>;
  static constexpr int64_t kStepUs = 50 * kMillisecond;

  // `sink` is what the topology's only sink, named "out", writes to: "parquet: { path: /simulated }". Its rows have one
  // column, id.
  // `step`: what stands between the source and it, "batch: {...}"; empty: nothing.
  SinkWorld(const std::string& sink, SinkMaker make, const std::string& step = "");

  // A new process of the same worker; an older one is destroyed first.
  absl::Status Boot();
  // A transaction with one record of `count` rows in a partition of the feed, with the next ids. Its marker stands
  // behind.
  void Feed(int32_t partition, int count);
  // A record that should have come here and never will.
  void Lose(int32_t partition) { ++sequences_[partition]; }
  // Steps of the process's thread, with time passing.
  absl::Status Turns(int turns);

  SinkThread& thread() { return *thread_; }
  // Without the farewell of a stop: what its destructors do still happens.
  void Destroy() { thread_.reset(); }
  RunControl& control() { return *control_; }
  KafkaClient& kafka() { return *kafka_; }
  SimCluster& cluster() { return cluster_; }
  const Plan& plan() const { return plan_; }
  std::string group() const { return plan_.application.SinkGroup("out"); }
  TopicPartition feed(int32_t partition) const { return {FeedOf(plan_, 0).topic, partition}; }
  // The ids that were fed so far: 0, 1, 2, ...
  std::vector<int64_t> fed() const;

 private:
  SimClock clock_;
  SimCluster cluster_{{}, &clock_};
  const Plan plan_;
  const SinkMaker make_;
  std::unique_ptr<KafkaClient> kafka_, upstream_kafka_;
  std::unique_ptr<Producer> upstream_;
  std::unique_ptr<RunControl> control_;
  Runtime runtime_;
  std::unique_ptr<SinkThread> thread_;
  int64_t fed_ = 0;
  std::map<int32_t, uint64_t> sequences_;  // of the one upstream task, by partition
  int identities_ = 0;
};

}  // namespace tidemark::sim
