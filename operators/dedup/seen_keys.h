// What both kinds of dedup know: the time of the row accepted last for each key, and which rows are late. The table
// answers, the log makes it durable, runs hold what the table has no room for, the watermark purges them all. Touched
// only by the stream thread.
//
// That purging can't be seen. Let (key, A) be dropped once A + within + grace <= W, W being the operator's watermark. A
// row of the key with time t that comes later is late if t < max(its own watermark, W) - grace; if it isn't,
// t >= W - grace >= A + within, so t - A >= within: no duplicate, entry or no entry. A key's accepted times only grow
// (a row accepted over A has t >= A + within > A), so of several entries of a key the largest is the last, wherever
// they are, and buckets and runs may be deleted one by one in the order of time.
//
// Nor can it be seen what is in the table and what in runs: an entry of the table is newer than those of the key in
// runs, since a segment goes to a run as a whole.
//
// W enters the rule for rows of a partition that comes back from idle: everywhere else W <= the row's own watermark.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <absl/status/status.h>

#include "operators/dedup/seen_key.h"
#include "operators/dedup/seen_log.h"
#include "operators/dedup/seen_runs.h"
#include "operators/dedup/seen_table.h"
#include "operators/dedup/spec.h"
#include "src/base/batch.h"
#include "src/base/memory_budget.h"
#include "src/base/time.h"
#include "src/codec/key_encoder.h"
#include "state/store.h"

namespace tidemark {

template <typename Key>  // IntKey or HashedKey
class SeenKeys {
 public:
  SeenKeys(const DedupSpec& spec, const Schema& input) : spec_(spec), input_(input) {}

  // `memory` may be null: no limit.
  absl::Status Open(StateStore* store, MemoryBudget* memory);
  absl::Status Commit(uint64_t commit);
  // `time` never goes back.
  absl::Status Advance(EventTime time);
  EventTime watermark() const { return watermark_; }

  // The key of every row, replacing `out`.
  absl::Status KeysOf(const arrow::RecordBatch& rows, std::vector<Key>* out);
  [[gnu::always_inline]] void Prefetch(Key key) const {
    table_.Prefetch(key);
    if (!runs_->empty()) runs_->Prefetch(key);
  }

  bool IsLate(int64_t time_us, int64_t row_watermark_us) const {
    const EventTime now{row_watermark_us > watermark_.us ? row_watermark_us : watermark_.us};
    return time_us < (now - spec_.grace_us).us;
  }
  // True: the row is a duplicate of the one accepted at `*accepted_us`. False: it is accepted. Where state can't be
  // read the answer is true, and status() an error from then on: to be looked at after a batch.
  bool IsDuplicate(Key key, int64_t time_us, int64_t* accepted_us) {
    // int64 min marks free slots; a time that far back is as good a microsecond later.
    if (time_us == SeenTable<Key>::kFree) ++time_us;
    if (!runs_->empty() && runs_->MayHold(key)) [[unlikely]] {
      if (IsDuplicateInRuns(key, time_us, accepted_us)) return true;
    }
    if (int64_t* const accepted = table_.FindOrInsert(key, time_us)) {
      if (Repeats(time_us, *accepted)) {
        *accepted_us = *accepted;
        return true;
      }
      *accepted = time_us;
    }
    log_->Add(key, time_us);
    return false;
  }
  const absl::Status& status() const { return status_; }

  int64_t size() const { return table_.size(); }  // in the table
  const SeenRuns<Key>& runs() const { return *runs_; }
  int64_t MemoryBytes() const {
    return log_ == nullptr ? 0 : table_.MemoryBytes() + runs_->MemoryBytes() + log_->MemoryBytes();
  }

 private:
  bool Repeats(int64_t time_us, int64_t accepted_us) const {
    int64_t distance = 0;
    const bool overflow = __builtin_sub_overflow(time_us, accepted_us, &distance);
    return overflow ? time_us < accepted_us : distance < spec_.within_us;
  }
  bool IsDuplicateInRuns(Key key, int64_t time_us, int64_t* accepted_us);
  // Moves segments from the table to runs while the table is larger than its share.
  absl::Status Spill(uint64_t commit);

  const DedupSpec spec_;
  const Schema input_;
  StateStore* store_ = nullptr;
  std::optional<MemoryBudget::Share> memory_;
  std::unique_ptr<SeenLog<Key>> log_;
  std::unique_ptr<SeenRuns<Key>> runs_;
  SeenTable<Key> table_;
  int next_spilled_ = 0;  // the segment
  EventTime watermark_ = kMinTime, stored_watermark_ = kMinTime, dead_until_ = kMinTime;
  absl::Status status_;
  EncodedKeys encoded_;  // scratch
};

// Whether keys of this step are IntKeys.
bool HasIntKey(const DedupSpec& spec, const Schema& input);

extern template class SeenKeys<IntKey>;
extern template class SeenKeys<HashedKey>;

}  // namespace tidemark
