// Brings the records of one split of an outside into its topic, exactly once (intake.h has the rules). Runs as a loop
// over Step(), by the thread that has been given the split (intake_thread.h); every wait is bounded but the source's
// own.
//
//                  taken over                     the outside is away
//   kTakingOver --------------> kRunning ------------------------------> kWaiting
//     ^    ^                       |    <------------------------------      |
//     |    |                       |           it answers                    |
//     |    +-----------------------+-----------------------------------------+
//     |         an abort, a fence, an unknown outcome, any failure with records in hand
//     +-- failed: again after a pause
//
//   kFailed: a final error, from anywhere and for good
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include "proto/intake.pb.h"
#include "src/base/intake_names.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/dead_letter.h"
#include "src/runtime/intake.h"
#include "src/runtime/record_limits.h"
#include "src/runtime/runtime.h"
#include "src/runtime/transaction.h"

namespace tidemark {

// What a split shows to metrics and readiness; a copy, taken under a lock.
struct IntakeStatus {
  enum class State { kTakingOver, kRunning, kWaiting, kFailed };
  // Of the source, or of each that the intake serves.
  struct Target {
    std::string source;
    int64_t rows = 0;     // committed, ever
    int64_t refused = 0;  // dead letters of the intake, ever
    IntakeCounts counts;  // its own, ever
  };

  State state = State::kTakingOver;
  int32_t split = 0;
  std::vector<Target> targets;
  int64_t commits = 0;           // of the split, ever
  int64_t last_step_us = 0;      // monotonic
  std::string last_error;        // "" since the last success
  int64_t failing_since_us = 0;  // monotonic
  TopicPartition positions;      // its log of positions may be trimmed ...
  Offset trim_before = 0;        // ... below this

  // Of the first target.
  int64_t rows() const { return targets.empty() ? 0 : targets.front().rows; }
  int64_t refused() const { return targets.empty() ? 0 : targets.front().refused; }
  IntakeCounts counts() const { return targets.empty() ? IntakeCounts() : targets.front().counts; }
};

class SplitIntake {
 public:
  // Makes the source of a split, anew at every takeover.
  using SourceMaker = std::function<std::unique_ptr<IntakeSource>(int32_t split)>;
  // Waits for so many microseconds, which is for tests to replace.
  using Pause = std::function<void(int64_t us)>;
  struct Split {
    std::string intake;  // by the user's name of the source, or of what its sources share
    int32_t number = 0, count = 1;
    std::vector<std::string> sources = {};  // the targets; empty: the one of the intake's name
  };

  // `runtime` outlives this.
  SplitIntake(const Runtime& runtime, Split split, SourceMaker make_source, Pause pause = nullptr);
  ~SplitIntake();

  // One turn of the loop: takes over, or reads for at most `max_wait_us` and commits what is due. An error is final.
  absl::Status Step(int64_t max_wait_us);
  // Commits what was read, unless a Step has failed or the split is `lost` to another already. Nothing may follow.
  absl::Status Stop(bool lost = false);

  // Any thread may call.
  void Interrupt();
  IntakeStatus status() const;

 private:
  using State = IntakeStatus::State;

  absl::Status Turn(int64_t max_wait_us);
  absl::Status TakeOver();
  absl::StatusOr<std::optional<packed::IntakePosition>> ReadPosition();
  absl::StatusOr<IntakeNotes> ReadNotes() const;
  absl::Status CheckPosition(const std::optional<packed::IntakePosition>& found, const std::string& of) const;
  absl::Status CheckNothingWasRead() const;
  absl::StatusOr<bool> FindTargets();
  std::string TopicOf(const std::string& source) const;
  absl::Status CheckGone(const packed::IntakeTarget& target, const std::string& id) const;
  absl::Status CheckTarget(const packed::IntakeTarget& found, const std::string& topic, const std::string& id) const;
  absl::Status CheckNewTarget(const std::string& topic) const;
  absl::Status Run(int64_t max_wait_us);
  absl::Status Confirm(const absl::Status& of_source);
  absl::Status Take(IntakeRows rows);
  absl::Status Produce(std::vector<IntakeRecord> records);
  absl::Status ProduceTo(size_t target, std::vector<IntakeRecord*> records);
  absl::Status Commit();
  absl::Status Await(const absl::Status& status);
  void NoteFailure(const absl::Status& status);
  void NoteSuccess();
  absl::Status ActOn(const absl::Status& status);
  void Drop();
  void Publish();

  const Runtime& runtime_;
  const Split split_;
  const SourceMaker make_source_;
  const Pause pause_;
  const IntakeNames names_;
  const std::vector<std::string> sources_, topics_;  // by target
  const TopicPartition log_;                         // of positions

  State state_ = State::kTakingOver;
  // Since the split was taken over; dropped as a whole.
  std::unique_ptr<Producer> producer_;
  std::optional<Transaction> transaction_;
  std::optional<DeadLetters> letters_;
  std::vector<RecordLimit> limits_;  // by target
  int64_t limits_version_ = 0;
  // Both have the targets as such, in their order (split_intake.cc, ToTargets).
  packed::IntakePosition committed_;
  packed::IntakePosition next_;         // behind what is in the open transaction
  Offset position_offset_ = 0;          // of the newest position in its log; older ones aren't needed
  std::optional<std::string> reached_;  // the source's position behind what is in the open transaction
  int64_t dirty_since_us_ = 0;          // monotonic; of the first thing in it
  bool tell_ = false;                   // the outside hasn't been told of the last commit

  int64_t retry_at_us_ = 0;
  int failures_ = 0;
  std::string last_error_;
  int64_t failing_since_us_ = 0;

  mutable absl::Mutex mutex_;
  IntakeStatus status_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<IntakeSource> source_;  // replaced under the mutex, for Interrupt
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tidemark
