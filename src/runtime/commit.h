// The commit: one transaction that makes results, state and input offsets of all tasks of a stream thread visible
// together. Everything that exactly-once rests on stands in this order:
//
//   1. every operator's PrepareCommit, upstream first: results and state deltas come out;
//   2. a commit record for each task into its changelog: commit number, input offsets, times, ledger, as absolute values;
//   3. flush: every record is acknowledged;
//   4. send_offsets_to_transaction for ALL input partitions of every task that wrote, changed or not, with the commit
//      number in the metadata, and with the group metadata copied when the assignment arrived: a fresh copy would let a
//      transaction span two generations;
//   5. commit_transaction: the one decision point;
//   6. apply to RocksDB, one WriteBatch a task.
//
// Before 5 nothing has left the overlay; a failure there means abort, drop the overlay, reopen. After 5 nothing can fail
// but this process, and then the changelog has it all.
#pragma once

#include <memory>
#include <vector>

#include <absl/status/status.h>

#include "src/kafka/client.h"
#include "src/runtime/task.h"
#include "src/runtime/transaction.h"

namespace tidemark {

// Commits these tasks (all of the thread that are dirty). Aborted, Unavailable: not committed, abort and reopen. Unknown:
// replace the producer and reopen. Cancelled: the producer is fenced. FailedPrecondition: the membership is. Any other: stop. `fresh_group` is only asked by a mutation.
absl::Status CommitTasks(const std::vector<Task*>& tasks, const GroupMetadata& group, Consumer* fresh_group,
                         Transaction* transaction);

}  // namespace tidemark
