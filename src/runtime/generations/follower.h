// The part of a worker that knows of generations: looks into their log (generations_log.h) and does what its own
// generation owes (duty.h), by moving the bounds of what the worker's stream threads read (bounded_client.h) and by
// telling the worker when to stop.
//
// A generation that is being built never reads past what the active one has committed. So it is never ahead of a cut,
// wherever that is taken; whoever is slow to hear of a decision can't read what isn't its own any more; and what it
// reads is what the active one has found readable. Besides, it reads nothing at all while the active one is further
// behind the logs' ends than `max_live_lag`.
//
// A process that has slept through a switch, and through one back, wakes up with the targets of before: so whoever is
// given partitions, of sources, between stages or of a sink's feed, asks the log first, and takes them up only where it
// says what the worker was started for. A fence is lifted only while nobody is in the group, behind the record that
// says for what; so an assignment that finds no fence finds that record.
//
// Its rule of DESIGN.md section 2: nothing is inferred. When a worker leaves goes by what its whole generation has
// committed (drained.h), and so does the command that switches (fence.h).
//
// Look may be called before the threads run, Step is the loop of a thread of its own; the rest any thread may call.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/generations/bounded_client.h"
#include "src/runtime/generations/duty.h"
#include "src/runtime/generations/generations_log.h"
#include "src/runtime/generations/live_lag.h"
#include "src/runtime/runtime.h"

namespace tidemark {

class GenerationFollower {
 public:
  // `plan`: that the worker runs; outlives this. `duty`: as it stood when the plan was made. `supposed`: nobody has
  // asked whether there is a log at all; if so, the worker doesn't begin.
  GenerationFollower(const Plan& plan, Duty duty, bool supposed, int64_t max_live_lag_us);

  // The worker's Kafka with bounds.
  std::unique_ptr<KafkaClient> Bound(std::unique_ptr<KafkaClient> kafka);

  // What the log says now. Call before anything is made or joined, and once more right before.
  absl::Status Look(KafkaClient& kafka);
  // Before the threads run and before Step, once all of it is wired.
  void Open(const Runtime* runtime);
  // A look and what follows from it.
  absl::Status Turn();
  // The same, then a short wait. Brokers that are away are waited for.
  absl::Status Step();

  // The worker isn't to run (any more) as what it was started as: it stops.
  bool ended() const { return ended_.load(std::memory_order_acquire); }
  // It has run as what it was started as.
  bool began() const { return runtime_ != nullptr; }
  // The generation has nothing more to give, and won't have: the worker stops and leaves its groups, once its sinks
  // have settled too.
  bool drained() const { return drained_.load(std::memory_order_acquire); }
  // The switch that it has drained for.
  int64_t switch_number() const { return switch_number_.load(std::memory_order_acquire); }

 private:
  absl::Status Assigned() const;
  absl::Status Follow();
  absl::Status FindFollowed(const std::map<TopicPartition, CommittedOffset>& committed);
  void Stand(Duty duty);
  absl::Status Drain();

  const Plan& plan_;
  const bool supposed_;
  const int64_t max_live_lag_us_;
  std::atomic<bool> ended_{false}, drained_{false};
  std::atomic<int64_t> switch_number_{0};
  KafkaClient* unbound_ = nullptr;
  SourceBounds bounds_;
  const Runtime* runtime_ = nullptr;

  // Written by whoever looks.
  std::atomic<Duty> duty_;
  // By whoever looks.
  generations::State state_;
  std::optional<GenerationsReader> reader_;
  // kBuild: topics that the active generation reads too, where it stood in the others then, and how late it is.
  std::optional<std::set<std::string>> followed_;
  int64_t followed_us_ = 0;
  std::map<TopicPartition, Offset> unfollowed_;
  LiveLag live_;
  bool throttled_ = false;
  int64_t told_us_ = -1, told_behind_ = 0;
  int64_t stood_for_ = 0;                 // the switch; 0: none
  std::map<TopicPartition, Offset> cut_;  // kCut: of its sources
};

}  // namespace tidemark
