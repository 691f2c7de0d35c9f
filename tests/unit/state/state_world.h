// A task's state with the world around it: a disk that can crash, a changelog, and a std::map that says what the state
// must be. Every check that fails is an error status saying what was seen.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "state/memory_disk.h"
#include "state/task_state.h"
#include "tests/unit/state/fake_log.h"

namespace tidemark {

class StateWorld {
 public:
  using Model = std::map<std::string, std::map<std::string, std::string>>;  // by step

  StateWorld(std::unique_ptr<Disk> disk, std::string path, StateOptions options)
      : disk_(std::move(disk)), path_(std::move(path)), options_(std::move(options)) {}
  ~StateWorld() { Close(); }

  static TaskId Task() { return TaskId{.application = "town", .stage = "detections", .partition = 3}; }

  // Opens the folder and the task, restores it, and checks that it holds what was committed.
  absl::Status Open();
  void Close() {
    state_.reset();
    dir_.reset();
  }
  // Power failure, then Open.
  absl::Status CrashAndOpen();
  // Gives the task back and takes it again, as a rebalance does that leaves it here.
  absl::Status HandOver();
  // Forgets the local state, and restores all of it.
  absl::Status RestoreFromNothing();

  // Gives the task back in whatever state it is, and takes it again; nothing is restored.
  absl::Status Reopen() {
    state_.reset();
    TM_ASSIGN_OR_RETURN(state_, dir_->Take(Task()));
    return absl::OkStatus();
  }
  // What the next commits' records say that hardly ever changes; told apart by `application`.
  void SetStanding(const std::string& application) { standing_ = application; }

  void Put(const std::string& step, const std::string& key, const std::string& value);
  void Delete(const std::string& step, const std::string& key);
  // The next commit's first record, once; it stands in the log where that commit's other records will.
  void Announce();
  // A transaction up to its decision, known only to the log as yet: what is written from now on is the next one's.
  absl::Status BeginCommit(bool committed);
  // The decision becomes known: Apply, or DropUncommitted. Nothing to do where none is pending.
  absl::Status FinishCommit();
  // Both at once.
  absl::Status Commit();
  absl::Status Abort();
  // The transaction is committed, and the process dies before Apply.
  absl::Status CommitAndCrash();
  void Trim() { log_.Trim(state_->trim_before()); }

  absl::Status CheckGet(const std::string& step, const std::string& key);
  absl::Status CheckScan(const std::string& step, const std::string& begin, const std::string& end);
  absl::Status CheckAll();
  int64_t LiveBytes() const;  // of keys and values committed

  TaskState* state() { return state_.get(); }
  FakeLog* log() { return &log_; }
  Disk* disk() { return disk_.get(); }
  const Model& current() const { return current_; }

 private:
  const std::unique_ptr<Disk> disk_;
  const std::string path_;
  const StateOptions options_;
  FakeLog log_;
  std::unique_ptr<StateDir> dir_;
  std::unique_ptr<TaskState> state_;

  Model committed_, current_;
  std::string standing_;
  uint64_t commit_ = 0;                 // number of the last committed one
  uint64_t applied_ = 0;                // and of the last that the state knows of
  std::optional<bool> deciding_;        // between BeginCommit and FinishCommit: whether it is committed
  packed::CommitRecord encoded_;        // of the last BeginCommit
  std::vector<std::string> announced_;  // by the commit that comes next
  Offset first_ = 0, behind_ = 0;       // its records
};

// `steps` random operations on a new world; the first difference found, with the step it was found at.
absl::Status RunRandomly(uint64_t seed, int steps);

}  // namespace tidemark
