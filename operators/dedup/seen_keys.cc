#include "operators/dedup/seen_keys.h"

#include <algorithm>
#include <cstring>

#include <arrow/record_batch.h>
#include <xxhash.h>

#include "src/base/status.h"
#include "src/codec/cells.h"
#include "state/stored_watermark.h"

namespace tidemark {
namespace {

// Narrow enough that expired keys go in small steps, wide enough that there are few buckets.
int64_t BucketWidth(int64_t within_us) { return std::max(within_us / 8, kSecond); }

constexpr size_t kPrefetchKeys = 16;
constexpr int64_t kSpillBytes = int64_t{1} << 20;  // what a commit may write of runs, and the rest of the last segment

}  // namespace

bool HasIntKey(const DedupSpec& spec, const Schema& input) {
  if (spec.by.size() != 1) return false;
  const Column& column = input[spec.by[0]];
  return !column.nullable && (column.type.kind == Kind::kInt32 || column.type.kind == Kind::kInt64);
}

template <typename Key>
absl::Status SeenKeys<Key>::Open(StateStore* store, MemoryBudget* memory) {
  store_ = store;
  memory_.emplace(memory);
  TM_ASSIGN_OR_RETURN(watermark_, LoadWatermark(store));
  stored_watermark_ = watermark_;
  dead_until_ = watermark_ - spec_.within_us - spec_.grace_us;
  table_.SetDeadUntil(dead_until_.us);
  log_ = std::make_unique<SeenLog<Key>>(store, BucketWidth(spec_.within_us));
  runs_ = std::make_unique<SeenRuns<Key>>(store, (EventTime{spec_.within_us} + spec_.grace_us).us);
  TM_RETURN_IF_ERROR(runs_->Load());
  TM_RETURN_IF_ERROR(log_->Load([&](absl::Span<const Seen<Key>> entries) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i + kPrefetchKeys < entries.size()) table_.Prefetch(entries[i + kPrefetchKeys].key);
      if (entries[i].time_us <= dead_until_.us) continue;
      if (int64_t* const accepted = table_.FindOrInsert(entries[i].key, entries[i].time_us)) {
        *accepted = std::max(*accepted, entries[i].time_us);
      }
    }
  }));
  next_spilled_ = log_->OldestCovered();
  memory_->Update(MemoryBytes());
  return absl::OkStatus();
}

template <typename Key>
bool SeenKeys<Key>::IsDuplicateInRuns(Key key, int64_t time_us, int64_t* accepted_us) {
  if (table_.Find(key) != nullptr) return false;  // newer than what runs have
  const absl::StatusOr<std::optional<int64_t>> found = runs_->Find(key);
  if (!found.ok()) {
    status_.Update(found.status());
    *accepted_us = time_us;
    return true;
  }
  if (!*found || !Repeats(time_us, **found)) return false;
  *accepted_us = **found;
  return true;
}

template <typename Key>
absl::Status SeenKeys<Key>::Commit(uint64_t commit) {
  TM_RETURN_IF_ERROR(status_);
  StoreWatermark(watermark_, &stored_watermark_, store_);
  runs_->Expire(dead_until_.us);
  TM_RETURN_IF_ERROR(Spill(commit));
  return log_->Commit(commit);
}

// As many segments as fit into a bound, so that no commit becomes large by itself, and at least as fast as the table
// grows.
template <typename Key>
absl::Status SeenKeys<Key>::Spill(uint64_t commit) {
  const int64_t most = std::max(kSpillBytes, 2 * log_->pending_bytes());
  int64_t written = 0;
  for (int i = 0; i < kSegments && written < most; ++i) {
    memory_->Update(MemoryBytes());
    const int64_t others = MemoryBytes() - table_.MemoryBytes();
    const int64_t allowance = memory_->allowance();
    if (table_.MemoryBytes() <= std::max(allowance - others, memory_->least_bytes())) break;
    TM_RETURN_IF_ERROR(runs_->Add(next_spilled_, table_.Take(next_spilled_), dead_until_.us));
    log_->Cover(next_spilled_, commit);
    next_spilled_ = (next_spilled_ + 1) % kSegments;
    written += runs_->TakeWrittenBytes();
  }
  return absl::OkStatus();
}

template <typename Key>
absl::Status SeenKeys<Key>::Advance(EventTime time) {
  if (time <= watermark_) return absl::OkStatus();
  watermark_ = time;
  dead_until_ = time - spec_.within_us - spec_.grace_us;
  table_.SetDeadUntil(dead_until_.us);
  log_->ExpireUntil(dead_until_.us);
  return absl::OkStatus();
}

template <typename Key>
absl::Status SeenKeys<Key>::KeysOf(const arrow::RecordBatch& rows, std::vector<Key>* out) {
  const int64_t n = rows.num_rows();
  out->resize(n);
  if constexpr (std::is_same_v<Key, IntKey>) {
    const arrow::ArrayData& column = *rows.column_data(static_cast<int>(spec_.by[0]));
    const auto mix = [&](auto tag) {
      const Cells<decltype(tag)> cells(column);
      for (int64_t i = 0; i < n; ++i) (*out)[i] = MixIntKey(static_cast<uint64_t>(static_cast<int64_t>(cells[i])));
    };
    input_[spec_.by[0]].type.kind == Kind::kInt32 ? mix(int32_t{}) : mix(int64_t{});
  } else {
    TM_RETURN_IF_ERROR(EncodeKeys(rows, spec_.by, &encoded_));
    for (int64_t i = 0; i < n; ++i) {
      const std::string_view bytes = encoded_[i];
      const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
      (*out)[i] = HashedKey{hash.high64, hash.low64};
    }
  }
  return absl::OkStatus();
}

template class SeenKeys<IntKey>;
template class SeenKeys<HashedKey>;

}  // namespace tidemark
