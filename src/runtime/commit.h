// The commit: one transaction that makes results, state and input offsets of all tasks of a stream thread visible
// together. Everything that exactly-once rests on stands in this order:
//
//   1. every operator's PrepareCommit, upstream first: results and state deltas come out;
//   2. a commit record for each task into its changelog: commit number, input offsets, times, ledger, as absolute
//      values;
//   3. flush: every record is acknowledged;
//   4. send_offsets_to_transaction for ALL input partitions of every task that wrote, changed or not, with the commit
//      number in the metadata, and with the group metadata copied when the assignment arrived: a fresh copy would let a
//      transaction span two generations;
//   5. commit_transaction: the one decision point;
//   6. apply to RocksDB, one WriteBatch a task.
//
// Before 5 nothing has left the overlay; a failure there means abort, drop the overlay, reopen. After 5 nothing can
// fail but this process, and then the changelog has it all.
//
// Long before 1, as soon as rows have come, each task announces its commit in its changelog (Task::Announce): the first
// part of the commit's record, empty. The brokers make a partition part of a transaction, and verify that it is, at its
// first record; a commit that began with this would wait for it. An announcement is read like any part: never without
// the rest.
//
// Commits are pipelined: while 4 and 5 of commit n wait for the brokers, the tasks go on with the rows of n+1, in an
// overlay of their own and in a transaction of the thread's other producer. What keeps this exactly once:
//
//   - the first record of n+1 is written after 3 of n, so that in every partition n's records precede n+1's;
//   - 1 of n+1 comes after 6 of n: one commit is decided at a time, and its offsets are sent after n's were committed.
//     The coordinator keeps the offset whose record stands later in its own log, whichever transaction's marker comes
//     first;
//   - where n isn't committed, n+1 is aborted with it: its rows were computed on n's state;
//   - both producers have run init_transactions before any offset or changelog is read, so that whoever opens a task
//     next has fenced both transactions of a dead owner (a static member keeps its transactional ids; another member
//     waits for pending offsets and reads the changelog up to its high watermark, as ever).
//
// CommitPipeline belongs to one stream thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/time_spent.h"
#include "src/kafka/client.h"
#include "src/runtime/decider.h"
#include "src/runtime/task.h"
#include "src/runtime/transaction.h"

namespace tidemark {

// How long brokers let a commit of this topology take: as long as any, and the longer the more a step of it puts into
// one (OperatorKind::CommitBytes). So long, too, whoever reads what is committed waits behind a worker that has died
// and that nobody takes over from.
int64_t TransactionTimeoutUs(const Plan& plan);

class CommitPipeline {
 public:
  // `spent`, where there is one, hears of time in which the thread waits for brokers: its activity `flushing`.
  CommitPipeline(const Runtime& runtime, std::string thread_id, TimeSpent* spent = nullptr, size_t flushing = 0);
  ~CommitPipeline();

  // Makes both producers and runs their init_transactions. Old ones are closed first; no task may hold the transaction.
  absl::Status Open();
  // The producers are of no more use.
  void Close();
  bool opened() const { return transaction_.has_value(); }
  // Of the tasks; lives from Open to Close.
  Transaction* transaction() { return &*transaction_; }
  const Transaction* transaction() const { return &*transaction_; }

  // Steps 1 to 3 for these tasks (all of the thread that are dirty), and 4 and 5 begun. Nothing may be in flight.
  // `consumer` (or null) is woken when the decision is there, and lives until then; else only a mutation asks it
  // anything.
  absl::Status Begin(std::vector<Task*> tasks, std::shared_ptr<const GroupMetadata> group, Consumer* consumer);
  bool InFlight() const { return deciding_.has_value(); }
  // When steps 4 and 5 of the commit in flight began, monotonic; 0: there is none. Any thread may call.
  int64_t deciding_since_us() const { return deciding_since_us_.load(std::memory_order_relaxed); }
  // Step 6, once the commit in flight is decided; waits for that at most `max_wait_us`. False: not yet. Aborted,
  // Unavailable: not committed. Unknown: the log will tell. Cancelled: the producer is fenced. PermissionDenied: the
  // membership is. After an error: Abort, and reopen.
  absl::StatusOr<bool> Finish(int64_t max_wait_us);

  // Waits for a decision in flight, whatever it is, without applying it; then ends what is open. True: there was
  // something to abort. Any error: the producers must be opened again (Cancelled: they are fenced). The tasks that
  // wrote in it are to be dropped before.
  absl::StatusOr<bool> Abort();

  // Why the transaction failed: where a topic takes smaller records by now than it did when the producers were opened,
  // Unknown (record_limits.h). May ask the brokers.
  absl::Status Explain(const absl::Status& cause) const;

 private:
  struct InFlightCommit {
    Producer* producer;
    std::vector<Task*> tasks;
  };

  InFlightCommit TakeDecided();

  const Runtime& runtime_;
  const std::string thread_id_;
  TimeSpent* const spent_;
  const size_t flushing_;
  std::unique_ptr<Producer> producers_[2];
  int64_t limits_version_ = 0;  // that the producers, and the tasks opened since, keep to
  std::optional<Transaction> transaction_;
  std::optional<InFlightCommit> deciding_;
  std::atomic<int64_t> deciding_since_us_{0};
  Producer* undone_ = nullptr;  // its transaction was not committed and is to be aborted
  std::unique_ptr<Decider> decider_;
};

}  // namespace tidemark
