// The operator interface: one processing step on one partition, batch in, batches out.
//
// An operator is created for a task, opened once and then called by that task's stream thread only. It has no thread,
// no clock and no rollback of its own: time is a parameter, and any error tears the task down and reopens it, with a
// new operator object, from the state of its last commit. What an operator keeps between commits in memory must
// therefore be derivable from its StateStore as of the last PrepareCommit.
//
// Between two commits the task calls, any number of times and in this order for every arrival: ProcessBatch, then
// AdvanceWatermark. Then PrepareCommit once. Results must not depend on how rows are cut into batches.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/base/time.h"
#include "src/plan/plan.h"
#include "state/store.h"

namespace tidemark {

class MemoryBudget;   // src/base/memory_budget.h
class TableSnapshot;  // operators/join/table_snapshot.h

// Rows of one step by what became of them; see TOPOLOGY's ledger. Counters only grow, are part of the task's commit
// record and so survive crashes and moves. `in = passed + duplicate + late + filtered + unmatched + dead_lettered +
// absorbed` for every step; for window steps also `pairs = late_pairs + late_after_idle + closed + open` in (row,
// window) pairs. In a two-phase aggregation the partial phase counts in, late, dead_lettered, absorbed, pairs and
// late_pairs; the final phase late_after_idle, closed and open. `open` is a level, no counter, stored like the others.
// A pair that takes another back is `closed` at once, and that other one goes from open to closed with it.
struct StepLedger {
  int64_t in = 0, passed = 0, duplicate = 0, late = 0, filtered = 0, unmatched = 0, dead_lettered = 0, absorbed = 0;
  int64_t pairs = 0, late_pairs = 0, late_after_idle = 0, closed = 0, open = 0;
  int64_t out = 0;                          // rows emitted
  std::map<std::string, int64_t> violated;  // by rule of an `expect` step: rows that broke it, whatever became of them
};

// A row that a step could not process: becomes one record of the dead-letter topic.
struct RowFailure {
  Batch batch;                     // the row stands in here ...
  int64_t row = 0;                 // ... at this position
  const Schema* schema = nullptr;  // the visible columns of `batch`
  std::string expression;          // what was being computed
  std::string reason;
  std::string rule;  // the names of the rules that it breaks; empty: it is none's
};

// Where an operator's output goes. Called by the stream thread, inside the operator's calls only.
class Emitter {
 public:
  virtual ~Emitter() = default;

  // Rows in the shape of Node::output and Node::hidden. Empty batches are allowed and dropped.
  virtual absl::Status Emit(Batch batch) = 0;
  // Rows in the shape of an input, for the topic of that name among Node::side_topics; only where it has one.
  virtual absl::Status EmitSide(std::string_view side, Batch batch) = 0;
  virtual absl::Status DeadLetter(RowFailure failure) = 0;
  // The commit's byte bound is reached: stop here. AdvanceWatermark follows behind the commit, if need be at kMinTime.
  virtual bool Full() const = 0;
  // Counts towards that bound, besides rows: what an operator holds until the commit only, where it may become much
  // without any row going out.
  virtual void AddPending(int64_t /*bytes*/) {}
  // A row of this batch, which is rejected as a whole: a dead letter that names it, in the topic of that name among
  // Node::side_topics; where it has none with the others.
  virtual absl::Status Reject(RowFailure failure, std::string_view /*batch*/, std::string_view /*side*/) {
    return DeadLetter(std::move(failure));
  }
};

// What a task gives its operator at Open. All pointers outlive the operator.
struct OperatorContext {
  StateStore* state = nullptr;  // this step's own keys
  StepLedger* ledger = nullptr;
  // The current version of a global table; the pointer is stable for the length of one ProcessBatch.
  std::shared_ptr<const TableSnapshot> (*table)(void* owner, std::string_view name) = nullptr;
  void* table_owner = nullptr;
  int32_t partition = 0;
  // What the process's operators share; null: no limit. All state of operators keeps to it, but global tables
  // (docs/topology.md, memory).
  MemoryBudget* memory = nullptr;
  // Groups in the state may end in front of aggregates that were added to them since (AggregateItem::from_now).
  bool grown_groups = false;
};

class Operator {
 public:
  virtual ~Operator() = default;

  // The step's name.
  virtual std::string_view name() const = 0;

  // Loads what is kept in memory from `context.state`. Called once, first.
  virtual absl::Status Open(const OperatorContext& context) = 0;

  // Takes the rows of one batch from input number `input` of Node::inputs (in that port's shape; several nodes may feed
  // it). In a batch, rows stand in the order of their offsets.
  virtual absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) = 0;

  // The input's watermark has reached `time` (never less than before). Emits what is complete, and returns the
  // watermark of the output: `time` for operators that hold nothing back, else less, never more, never less than the
  // last one. Where emitter.Full() becomes true it stops emitting, having deleted from its state what it emitted, and
  // returns the time completed so far; the runtime commits and calls again with the same `time`.
  virtual absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& /*emitter*/) { return time; }

  // A commit begins: emits results that go out once a commit and writes to its StateStore all that the next Open needs.
  // `commit` is the number of the commit, growing by at least 1.
  virtual absl::Status PrepareCommit(uint64_t /*commit*/, Emitter& /*emitter*/) { return absl::OkStatus(); }

  // Of several inputs: the rows of this one have come so far ahead of the others' that they only pile up here, and meet
  // nothing that is known. The task may leave them unread for a while.
  virtual bool Ahead(size_t /*input*/) const { return false; }

  // An estimate of the memory held outside the StateStore, bytes.
  virtual int64_t MemoryBytes() const { return 0; }
};

}  // namespace tidemark
