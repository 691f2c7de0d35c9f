// A worker's member of the group that shares out the splits of one intake from outside Kafka (intake.h): each partition
// of the source's topic of positions is a split. Nothing is read from that topic here; the group only says whose the
// split is, and moves it where a worker is gone. Runs as a loop over Step(), on a thread of its own.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/kafka/client.h"
#include "src/runtime/runtime.h"
#include "src/runtime/split_intake.h"

namespace tidemark {

// What the thread shows; a copy, taken under a lock.
struct IntakeMemberStatus {
  std::string intake;                // the user's name of the source, or of what its sources share
  std::vector<std::string> sources;  // whose rows it brings in
  bool assigned = false;             // the group has answered, be it with no split
  int64_t last_step_us = 0;          // monotonic
  std::string trouble;               // with the group; "" while there is none
  std::vector<IntakeStatus> splits;

  // Which splits are this worker's is known, and what stands in their logs.
  bool TakenOver() const {
    return assigned && std::all_of(splits.begin(), splits.end(), [](const IntakeStatus& split) {
             return split.state != IntakeStatus::State::kTakingOver;
           });
  }
};

class IntakeThread {
 public:
  // `intake`: its name in the plan. `sources`: whose rows it brings in; empty: those of the one of its name.
  IntakeThread(const Runtime& runtime, std::string intake, SplitIntake::SourceMaker make_source,
               SplitIntake::Pause pause = nullptr, std::vector<std::string> sources = {});

  absl::Status Start();
  // One turn: what the group says, then a step of each split. An error is final: only Stop may follow.
  absl::Status Step(int64_t max_wait_us);
  // Commits what was read. With `leave_group` the splits go to others at once.
  absl::Status Stop(bool leave_group);

  // Any thread may call. Interrupt: calls that wait for the outside are given up, and so is every later one.
  void Interrupt();
  void RequestRejoin() { rejoin_.store(true, std::memory_order_relaxed); }
  IntakeMemberStatus status() const;

 private:
  absl::Status Rejoin();
  absl::Status OnRebalance(const Rebalance& rebalance);
  absl::Status GiveUp(bool lost);
  void Publish();

  const Runtime& runtime_;
  const std::string intake_;
  const std::vector<std::string> sources_;
  const SplitIntake::SourceMaker make_source_;
  const SplitIntake::Pause pause_;
  const IntakeNames names_;
  std::unique_ptr<Consumer> consumer_;
  bool answered_ = false;
  std::string trouble_;
  std::atomic<bool> rejoin_{false};

  mutable absl::Mutex mutex_;
  IntakeMemberStatus status_ ABSL_GUARDED_BY(mutex_);
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  // The list changes under the mutex, for Interrupt; used by the thread.
  std::map<int32_t, std::unique_ptr<SplitIntake>> splits_;
};

}  // namespace tidemark
