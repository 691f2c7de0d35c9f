// What the parts of a running process share. Built once by Worker (or by the simulator), before any thread starts; then
// either immutable or thread-safe, as each member says.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "src/base/clock.h"
#include "src/base/time.h"
#include "src/codec/formats.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/decider.h"
#include "src/runtime/verdict.h"
#include "state/task_state.h"

namespace tidemark {

class GlobalTables;  // src/runtime/global_tables.h
class MemoryBudget;  // src/base/memory_budget.h
class RecordLimits;  // src/runtime/record_limits.h
class RowSamples;    // src/runtime/row_samples.h
class SourceLosses;  // src/runtime/input_log.h

// Partition counts of all topics of a plan that exist (all of them, once ResolveTopics has succeeded).
using PartitionCounts = std::map<std::string, int32_t>;

// What the process asks of its threads; any thread may read, the main thread writes.
struct RunControl {
  std::atomic<bool> stop{false};               // finish the batch, commit, end
  bool leave_on_stop = false;                  // set before the threads start
  bool until_end = false;                      // commit positions at the end of a partition at once
  std::atomic<bool> flush_sinks{false};        // until_end: nothing more will come, sinks publish what they hold
  std::atomic<bool> clock_stands{false};       // until a switch is over nothing but rows moves time; by the follower
  std::atomic<int64_t> topics_changed{0};      // grows where a topic was made again: tasks are opened anew, and look
  std::atomic<int64_t> close_to{kMinTime.us};  // --close_windows: source tasks raise their watermark to this
};

struct RuntimeOptions {
  std::string instance_id;
  int64_t commit_bytes = int64_t{32} << 20;  // a commit is due when its output reaches this
  // Small enough for a poll's records to be in the processor's cache from their decompression to their results, and for
  // columns long enough to make light of a batch's own cost.
  size_t poll_records = 3'000;
  // How long a thread that has caught up lets rows gather while a commit is being decided.
  int64_t gather_us = 3 * kMillisecond;
  int64_t prefetch_bytes = int64_t{3} << 20;  // of records that each stream thread's consumer reads ahead
};

struct Runtime {
  const Plan* plan = nullptr;
  PartitionCounts partitions;
  RuntimeOptions options;
  KafkaClient* kafka = nullptr;             // thread-safe
  StateDir* state = nullptr;                // thread-safe
  GlobalTables* tables = nullptr;           // thread-safe
  RecordLimits* limits = nullptr;           // thread-safe; null: brokers take everything
  MemoryBudget* operator_memory = nullptr;  // thread-safe; null: no limit
  SourceLosses* losses = nullptr;           // thread-safe; null: nobody counts
  Clock* clock = nullptr;                   // thread-safe
  RunControl* control = nullptr;
  const Formats* formats = &OwnFormats();     // immutable
  std::function<std::string()> new_identity;  // 16 random bytes; thread-safe
  std::function<std::unique_ptr<Decider>()> new_decider = NewThreadDecider;
  AllowedDrops allow_drop = {};   // immutable
  RowSamples* samples = nullptr;  // thread-safe; null: nobody looks at rows

  // For ProducerOptions::give_up: a producer that begins has nothing in hand yet, so a stop doesn't wait for brokers
  // that are away. What its predecessor left undecided is then ended by whoever comes next, or by its time-out.
  std::function<bool()> GiveUpAtStop() const {
    return [asked = control] { return asked->stop.load(std::memory_order_relaxed); };
  }
};

}  // namespace tidemark
