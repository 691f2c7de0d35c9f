// The state of one task: a RocksDB instance, an in-memory overlay of uncommitted writes over it, and the task's side of
// the changelog protocol. Rules of the commit that are kept here:
//
//   - uncommitted writes live only in the overlay; DropUncommitted forgets them, the disk never sees them; the writes
//     of a commit that is being decided are sealed, and those made meanwhile are the next commit's;
//   - Apply writes deltas, commit record and changelog offset in ONE WriteBatch, after commit_transaction succeeded;
//   - state on disk is used only if it is a prefix of the changelog: same identity, and its offset lies inside the log.
//
// RocksDB runs without a WAL: a crash loses a suffix of commits, which the changelog gives back. One column family (see
// ARCHITECTURE.md). Touched only by the task's stream thread, except StateDir, which is thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "proto/packed.pb.h"
#include "src/base/record.h"
#include "state/store.h"

namespace tidemark {

struct TaskId {
  std::string application;
  std::string stage;
  int32_t partition = 0;

  std::string ToString() const;  // "town.detections-3"
  friend auto operator<=>(const TaskId&, const TaskId&) = default;
};

// The file layer: the machine's, or an in-memory one that survives TaskState objects and can lose unsynced writes
// (tests and the simulator; state/memory_disk.h).
class Disk;

class TaskState {
 public:
  virtual ~TaskState() = default;

  // The slice of a step. `step` names it in the keys; the pointer lives as long as this object.
  virtual StateStore* Store(std::string_view step) = 0;

  // The commit record last applied; nothing for fresh state.
  virtual const packed::CommitRecord* committed() const = 0;
  // The changelog offset behind the last record applied; 0 for fresh state.
  virtual Offset changelog_next() const = 0;

  // ---- Restore. Only while the overlay is empty.
  // Forgets everything on disk: the local state isn't a prefix of the changelog.
  virtual absl::Status Clear() = 0;
  // Applies one changelog record (read with read_committed, in offset order). Entries and commit records are buffered
  // and written in large WriteBatches that always end at a commit's last part. FailedPrecondition: the record isn't the
  // successor of what is applied (another identity, a gap in the commits).
  virtual absl::Status Replay(Offset offset, std::string_view value) = 0;
  // Ends a restore: writes what is buffered. `next` is the position reached in the changelog, past control records.
  // FailedPrecondition: records that the state needs were no longer in the log.
  virtual absl::Status FinishReplay(Offset next) = 0;

  // ---- Commit, in this order.
  // The value of a changelog record that precedes those of the next EncodeCommit in the same transaction: nothing is
  // known of that commit yet but its number. Optional; also while the commit before it is being decided.
  virtual std::string Announce(uint64_t commit) = 0;
  // Serializes the uncommitted writes, and a range of live state where a rewrite is under way, as the values of
  // changelog records below 512 KiB; completes `record` (rewrite fields) and puts it into the last part. Seals these
  // writes: what is written from now on belongs to the next commit, which can't be encoded before this one is applied.
  virtual absl::StatusOr<std::vector<std::string>> EncodeCommit(packed::CommitRecord* record) = 0;
  // The transaction is committed: `first` is the offset of its first changelog record (the announcement, where there is
  // one), `next` the one behind its last. One WriteBatch of what EncodeCommit sealed.
  virtual absl::Status Apply(const packed::CommitRecord& record, Offset first, Offset next) = 0;
  // Abort: forgets the overlay.
  virtual void DropUncommitted() = 0;

  // Changelog records below this offset are not needed by any restore: may be trimmed once the commit that is applied
  // stands. 0: nothing to trim.
  virtual Offset trim_before() const = 0;

  virtual int64_t overlay_bytes() const = 0;  // of uncommitted keys and values
  virtual int64_t live_bytes() const = 0;     // estimate of keys and values on disk
};

struct StateOptions {
  std::string application;
  int64_t memory_bytes = int64_t{256} << 20;  // block cache and write buffers together, for the process
  // The changelog is rewritten where the bytes since the oldest needed record exceed both bounds.
  double rewrite_ratio = 2.0;
  int64_t rewrite_min_bytes = int64_t{64} << 20;
  // A commit carries this much of live state while a rewrite is under way, or twice its deltas where that is more.
  int64_t rewrite_commit_bytes = int64_t{256} << 10;
  // Bytes applied to a task's state since the last flush that start one: the changelog a restart may have to read
  // again.
  int64_t flush_bytes = int64_t{8} << 20;
};

// The state folder of a process: locked, tagged with application and format version, the owner of the memory that all
// stores share. Stores that a rebalance takes away stay open here until they are opened again or Retain drops them.
// Thread-safe.
class StateDir {
 public:
  // InvalidArgument: the folder is locked by another process, belongs to another application, was written by a newer
  // version, or can't be written; the message says which and what to do. `disk` null: the machine's file system.
  static absl::StatusOr<std::unique_ptr<StateDir>> Open(const std::string& path, const StateOptions& options,
                                                        Disk* disk = nullptr);
  virtual ~StateDir() = default;

  // Takes the task's state; it must not be open elsewhere in the process (Unavailable: try again, another thread is
  // about to give it back).
  virtual absl::StatusOr<std::unique_ptr<TaskState>> Take(const TaskId& task) = 0;
  // Deletes what the folder has of a task whose state isn't open: it is damaged, and the changelog has it whole.
  virtual absl::Status Forget(const TaskId& task) = 0;
  // Closes the stores given back (by destroying their TaskState) that are not in `keep`.
  virtual void CloseAllBut(const std::vector<TaskId>& keep) = 0;
};

}  // namespace tidemark
