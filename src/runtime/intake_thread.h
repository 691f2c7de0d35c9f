// An intake thread: brings the rows of one split of an outside into an internal topic, exactly once (intake.h has the
// rules). Runs as a loop over Step(); every wait is bounded but the source's own.
//
//                  taken over                     the outside is away
//   kTakingOver --------------> kRunning ------------------------------> kWaiting
//     ^    ^                       |    <------------------------------      |
//     |    |                       |           it answers                    |
//     |    +-----------------------+-----------------------------------------+
//     |         an abort, a fence, an unknown outcome, any failure with rows in hand
//     +-- failed: again after a pause
//
//   kFailed: a final error, from anywhere and for good
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

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
#include "src/runtime/output.h"
#include "src/runtime/runtime.h"
#include "src/runtime/transaction.h"

namespace tidemark {

// What the thread shows to metrics and readiness; a copy, taken under a lock.
struct IntakeStatus {
  enum class State { kTakingOver, kRunning, kWaiting, kFailed };
  State state = State::kTakingOver;
  std::string source;
  int32_t split = 0;
  int64_t rows = 0;              // committed, ever
  int64_t refused = 0;           // of them, those that were sent to the dead letters
  int64_t commits = 0;           // of the split, ever
  int64_t last_step_us = 0;      // monotonic
  std::string last_error;        // "" since the last success
  int64_t failing_since_us = 0;  // monotonic
  TopicPartition positions;      // its log of positions may be trimmed ...
  Offset trim_before = 0;        // ... below this
};

class IntakeThread {
 public:
  // Makes the source of the split, anew at every takeover.
  using SourceMaker = std::function<std::unique_ptr<IntakeSource>()>;
  // Waits for so many microseconds, which is for tests to replace.
  using Pause = std::function<void(int64_t us)>;
  struct Split {
    std::string source;  // the user's name
    int32_t number = 0, count = 1;
  };

  // `edge` is the internal topic; it outlives the thread, as does `runtime`.
  IntakeThread(const Runtime& runtime, const Edge& edge, Split split, SourceMaker make_source, Pause pause = nullptr);
  ~IntakeThread();

  // One turn of the loop: takes over, or reads for at most `max_wait_us` and commits what is due. An error is final.
  absl::Status Step(int64_t max_wait_us);
  // Commits what was read, unless a Step has failed.
  absl::Status Stop();

  // Any thread may call.
  void Interrupt();
  IntakeStatus status() const;

 private:
  using State = IntakeStatus::State;

  absl::Status Turn(int64_t max_wait_us);
  absl::Status TakeOver();
  absl::StatusOr<std::optional<packed::IntakePosition>> ReadPosition();
  absl::Status Run(int64_t max_wait_us);
  absl::Status Take(const IntakeRows& rows);
  absl::Status Commit();
  absl::Status Await(const absl::Status& status);
  void NoteFailure(const absl::Status& status);
  void NoteSuccess();
  absl::Status ActOn(const absl::Status& status);
  void Drop();
  void Publish();

  const Runtime& runtime_;
  const Edge& edge_;
  const Split split_;
  const SourceMaker make_source_;
  const Pause pause_;
  const IntakeNames names_;
  const TopicPartition log_;  // of positions

  State state_ = State::kTakingOver;
  // Since the split was taken over; dropped as a whole.
  std::unique_ptr<Producer> producer_;
  std::optional<Transaction> transaction_;
  std::optional<DeadLetters> letters_;
  std::unique_ptr<EdgeOutput> output_;
  packed::IntakePosition committed_;
  Offset position_offset_ = 0;         // of the newest position in its log; older ones aren't needed
  std::optional<IntakeRows> reached_;  // behind what is in the open transaction: no batches, position and mark alone
  int64_t taken_rows_ = 0, taken_refused_ = 0;  // in the open transaction; the latter are dead letters
  int64_t dirty_since_us_ = 0;                  // monotonic; of the first thing in `reached_`
  bool tell_ = false;                           // the outside hasn't been told of the last commit

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
