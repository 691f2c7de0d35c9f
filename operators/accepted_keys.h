// What both kinds of dedup know: the time of the row accepted last for each key, and which rows are late. The table
// answers, the log makes it durable, the watermark purges both. Touched only by the stream thread.
//
// That purging can't be seen. Let (key, A) be dropped once A + within + grace <= W, W being the operator's watermark. A
// row of the key with time t that comes later is late if t < max(its own watermark, W) - grace; if it isn't,
// t >= W - grace >= A + within, so t - A >= within: no duplicate, entry or no entry. A key's accepted times only grow
// (a row accepted over A has t >= A + within > A), so of several entries of a key in the log the largest is the last,
// and buckets may be deleted one by one in the order of time.
//
// W enters the rule for rows of a partition that comes back from idle: everywhere else W <= the row's own watermark.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <absl/status/status.h>

#include "operators/accepted_log.h"
#include "operators/accepted_table.h"
#include "src/base/batch.h"
#include "src/base/time.h"
#include "src/codec/key_encoder.h"
#include "src/plan/plan.h"
#include "state/store.h"

namespace tidemark {

template <typename Key>  // IntKey or HashedKey
class AcceptedKeys {
 public:
  AcceptedKeys(const DedupSpec& spec, const Schema& input) : spec_(spec), input_(input) {}

  absl::Status Open(StateStore* store);
  absl::Status Commit(uint64_t commit);
  // `time` never goes back.
  absl::Status Advance(EventTime time);
  EventTime watermark() const { return watermark_; }

  // The key of every row, replacing `out`.
  absl::Status KeysOf(const arrow::RecordBatch& rows, std::vector<Key>* out);
  [[gnu::always_inline]] void Prefetch(Key key) const { table_.Prefetch(key); }

  bool IsLate(int64_t time_us, int64_t row_watermark_us) const {
    const EventTime now{row_watermark_us > watermark_.us ? row_watermark_us : watermark_.us};
    return time_us < (now - spec_.grace_us).us;
  }
  // The time of the accepted row of which a row of this key and time is a duplicate; else null, and the row is
  // accepted.
  const int64_t* Accept(Key key, int64_t time_us) {
    // int64 min marks free slots; a time that far back is as good a microsecond later.
    if (time_us == AcceptedTable<Key>::kFree) ++time_us;
    if (int64_t* const accepted = table_.FindOrInsert(key, time_us)) {
      int64_t distance = 0;
      const bool overflow = __builtin_sub_overflow(time_us, *accepted, &distance);
      if (overflow ? time_us < *accepted : distance < spec_.within_us) return accepted;
      *accepted = time_us;
    }
    log_->Add(&key, time_us);
    return nullptr;
  }

  int64_t size() const { return table_.size(); }
  int64_t MemoryBytes() const { return table_.MemoryBytes() + (log_ ? log_->MemoryBytes() : 0); }

 private:
  const DedupSpec spec_;
  const Schema input_;
  StateStore* store_ = nullptr;
  std::unique_ptr<AcceptedLog> log_;
  AcceptedTable<Key> table_;
  EventTime watermark_ = kMinTime, stored_watermark_ = kMinTime;
  EncodedKeys encoded_;  // scratch
};

// Whether keys of this step are IntKeys.
bool HasIntKey(const DedupSpec& spec, const Schema& input);

extern template class AcceptedKeys<IntKey>;
extern template class AcceptedKeys<HashedKey>;

}  // namespace tidemark
