// Opens a task: brings its state to its newest commit and finds where its inputs continue. The rules (exactly-once
// depends on each):
//
//   - the producer's init_transactions has returned before committed() is asked, so no transaction of a former owner
//     with this transactional.id is still undecided;
//   - the changelog's high watermark comes from a read_uncommitted handle, and the changelog is then read
//     read_committed until the position reaches it: an open transaction of a dead owner hides later commits behind the
//     last stable offset, so "nothing more to read" proves nothing;
//   - the reading is skipped iff committed() names, for all input partitions, the very commit that the store stands at;
//     a log that ends before that commit has been made again, and stops the task;
//   - the store on disk is used only if log start <= its changelog offset <= high watermark, and its identity is the
//     one in the log and in the offset metadata; else it is cleared and restored;
//   - a store that is damaged is deleted and restored, once;
//   - commit record and offset metadata must name the same commit, else the task stops with an error. Only a source
//     that the topology was without at the record's commit may stand at an earlier one, and goes on from there;
//   - after a reset there is no commit record, and the offsets say where to begin; while one is under way nothing
//   opens;
//   - the positions must lie in the logs that the inputs have now (input_log.h).
//
// Works in steps, so that the thread keeps polling its consumer while gigabytes are restored. Used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include <absl/status/statusor.h>

#include "src/runtime/input_log.h"
#include "src/runtime/runtime.h"
#include "src/runtime/task.h"
#include "src/runtime/transaction.h"

namespace tidemark {

class TaskOpener {
 public:
  // `committed` holds the group's positions of the task's inputs (at least), `logs` what their logs are like.
  TaskOpener(const Runtime& runtime, int stage, int32_t partition,
             const std::map<TopicPartition, CommittedOffset>& committed, const InputLogs& logs,
             Transaction* transaction);

  // Does some work; the task where it is open, null where there is more to do. Unavailable: call again later.
  absl::StatusOr<std::unique_ptr<Task>> Step();

  // The store on disk isn't to be used, whatever it says: something in it has turned out to be damaged.
  void DistrustDisk() { distrusted_ = true; }
  // Opens on this state instead of the folder's: only for Mutation::kOverlayKeptAfterAbort.
  void Use(std::unique_ptr<TaskState> state) { state_ = std::move(state); }

  TaskId id() const;
  // Restore progress: the changelog position reached and the one to reach; equal when nothing is left.
  Offset position() const { return position_; }
  Offset target() const { return target_; }

 private:
  absl::StatusOr<std::unique_ptr<Task>> StepOnce();
  absl::Status Begin();
  absl::Status ChooseStart();
  absl::Status Replay(const PollResult& polled);
  absl::Status StartOver(const absl::Status& why);
  absl::StatusOr<std::unique_ptr<Task>> Finish();
  bool StoreIsCurrent() const;
  bool WasLeft(const TopicPartition& input) const;
  absl::Status CheckLogReachesStore() const;
  absl::Status CheckAgainstGroup() const;
  // `left` holds the group's positions of sources that come back, and those that a reset has stated.
  absl::Status PlaceSource(const SourcePlan& source, const std::map<std::string, Offset>& left, Task* task) const;
  absl::Status PlaceInternal(const std::string& topic, Task* task) const;
  absl::StatusOr<Offset> ResolveStart(const SourcePlan& source) const;
  TopicPartition changelog() const;

  const Runtime& runtime_;
  const int stage_;
  const int32_t partition_;
  const std::map<TopicPartition, CommittedOffset> committed_;
  const std::map<TopicPartition, InputLog> logs_;
  Transaction* const transaction_;

  enum class Phase { kBegin, kReplay, kFinish } phase_ = Phase::kBegin;
  std::unique_ptr<TaskState> state_;
  std::unique_ptr<Consumer> reader_;
  Offset position_ = 0, target_ = 0;
  int64_t replayed_ = 0;
  bool from_local_ = false;       // the store was used as it stood
  bool distrusted_ = false;       // it is to be deleted first
  bool forgetting_helps_ = true;  // it hasn't been deleted
};

}  // namespace tidemark
