// The last rows that steps have given out, for somebody who looks at a step right now (docs/status.md): as committed,
// since he looks, of this process's tasks. Nobody looks: a task asks one flag for each batch, and that is all.
//
// A task keeps what it would show with the commit that it belongs to (CommitSamples), and gives it to RowSamples once
// that commit is decided and applied; with a task that is dropped goes what it had kept. So nothing shows here that an
// abort takes back. No result depends on any of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include "src/base/batch.h"
#include "src/base/clock.h"
#include "src/base/schema.h"
#include "src/base/time.h"

namespace tidemark {

inline constexpr int64_t kSampledRows = 10;             // of each step
inline constexpr int64_t kSampledBytes = 64 << 10;      // of a row; one that has more isn't kept
inline constexpr int64_t kSampledForUs = 10 * kSecond;  // behind the last look

// Rows of one task and commit, few, as copies: they hold nothing of the batch that they were part of.
struct RowSample {
  int32_t partition = 0;
  uint64_t commit = 0;
  int64_t committed_us = 0;  // wall clock
  Schema schema;             // of `rows`, whose hidden columns stand behind it
  Batch rows;
};

// Thread-safe.
class RowSamples {
 public:
  explicit RowSamples(Clock* clock) : clock_(clock) {}

  // Somebody looks at the step; its rows are kept until kSampledForUs behind the last look. What there is, oldest
  // first, kSampledRows at most; `since_us` (wall clock): since when it is looked for.
  struct Look {
    int64_t since_us = 0;
    std::vector<RowSample> samples;
  };
  Look LookAt(const std::string& step);

  // Whether anybody looks at anything: what the hot path asks.
  bool any() const { return any_.load(std::memory_order_relaxed); }
  // Whether anybody looks at this step. Ends what nobody looks at any more.
  bool Wants(const std::string& step);
  // What a commit has shown of a step, once it is applied.
  void Publish(const std::string& step, RowSample sample);

 private:
  struct Step {
    int64_t since_us = 0;   // wall clock
    int64_t looked_us = 0;  // monotonic; the last time
    std::deque<RowSample> samples;
    int64_t rows = 0;
  };

  Clock* const clock_;
  std::atomic<bool> any_{false};
  absl::Mutex mutex_;
  std::map<std::string, Step> steps_ ABSL_GUARDED_BY(mutex_);
};

// What a node of a task keeps: rows of the commit that is open, and of the one that is being decided. Used by the
// task's thread.
class CommitSamples {
 public:
  // The last rows of a batch, at most kSampledRows, without those that have more than kSampledBytes.
  void Add(const Batch& batch);
  // What was added belongs to a commit that is decided from now on.
  void Seal() { sealed_ = std::exchange(open_, {}); }
  std::vector<Batch> TakeSealed() { return std::exchange(sealed_, {}); }

 private:
  std::vector<Batch> open_, sealed_;  // together kSampledRows at most, each
};

}  // namespace tidemark
