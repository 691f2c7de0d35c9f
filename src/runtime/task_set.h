// The tasks of a stream thread, from an assignment to the end of their transaction:
//
//     empty ---Begin---> opening ---Open, until all are---> open ---Run---> running
//       ^                   |                                |                 |
//       \-------------------+------------ Drop --------------+-----------------/
//
// They, and what opens them, point at the transaction: Drop comes before its end. Used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/runtime/runtime.h"
#include "src/runtime/task.h"
#include "src/runtime/task_opener.h"
#include "src/runtime/transaction.h"

namespace tidemark {

class TaskSet {
 public:
  explicit TaskSet(const Runtime& runtime) : runtime_(runtime) {}

  // Every task that has all its inputs in `assigned` is going to be opened, kept stores too (task_opener.h). Asks
  // `consumer` where the group stands. A task that lacks an input runs nowhere: ownership.h names those.
  absl::Status Begin(const std::vector<TopicPartition>& assigned, Consumer* consumer, Transaction* transaction);
  bool begun() const { return openers_.has_value(); }
  // Works for about `slice_us`. True: all are open. Unavailable: call again later.
  absl::StatusOr<bool> Open(int64_t slice_us);
  // Where each input is to be read from. From now on a task is found by what it reads.
  std::vector<std::pair<TopicPartition, Offset>> Run();
  void Drop();

  // The stores of the next Begin are deleted and restored: one has turned out to be damaged.
  void DistrustDisks() { distrust_disks_ = true; }
  // Drop keeps the stores and what is uncommitted in them for the next Begin: only for
  // Mutation::kOverlayKeptAfterAbort.
  void KeepStates();
  void ForgetKeptStates() { kept_.clear(); }

  const std::vector<std::unique_ptr<Task>>& tasks() const { return tasks_; }
  // The one that reads it; null: none, or none yet.
  Task* Reading(const TopicPartition& input) const;
  // The inputs of all tasks that are sources' partitions.
  const std::vector<TopicPartition>& sources() const { return sources_; }

  // The ids that the inputs' topics had at Begin, and what RunControl::topics_changed was then.
  const std::map<std::string, std::string>& topic_ids() const { return topic_ids_; }
  int64_t topics_changed() const { return topics_changed_; }

  // Of those still to be opened: which, and their restores' positions and targets, summed.
  std::vector<TaskId> Opening() const;
  std::pair<Offset, Offset> RestoreProgress() const;

 private:
  const Runtime& runtime_;
  std::optional<std::vector<std::unique_ptr<TaskOpener>>> openers_;  // still to be opened
  std::vector<std::unique_ptr<Task>> tasks_;                         // open
  std::map<TopicPartition, Task*> reading_;
  std::vector<TopicPartition> sources_;
  std::map<std::string, std::string> topic_ids_;
  int64_t topics_changed_ = 0;
  bool distrust_disks_ = false;
  std::map<TaskId, std::unique_ptr<TaskState>> kept_;
};

}  // namespace tidemark
