#include "operators/accepted_keys.h"

#include <algorithm>
#include <cstring>

#include <arrow/record_batch.h>
#include <xxhash.h>

#include "operators/cells.h"
#include "operators/stored_watermark.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

// Narrow enough that expired keys go in small steps, wide enough that there are few buckets.
int64_t BucketWidth(int64_t within_us) { return std::max(within_us / 8, kSecond); }

}  // namespace

bool HasIntKey(const DedupSpec& spec, const Schema& input) {
  if (spec.by.size() != 1) return false;
  const Column& column = input[spec.by[0]];
  return !column.nullable && (column.type.kind == Kind::kInt32 || column.type.kind == Kind::kInt64);
}

template <typename Key>
absl::Status AcceptedKeys<Key>::Open(StateStore* store) {
  store_ = store;
  TM_ASSIGN_OR_RETURN(watermark_, LoadWatermark(store));
  stored_watermark_ = watermark_;
  const EventTime dead_until = watermark_ - spec_.within_us - spec_.grace_us;
  table_.SetDeadUntil(dead_until.us);
  log_ = std::make_unique<AcceptedLog>(store, sizeof(Key), BucketWidth(spec_.within_us));
  return log_->Load([&](const AcceptedLog::Entry& entry) {
    if (entry.time_us <= dead_until.us) return;
    Key key;
    std::memcpy(&key, entry.key.data(), sizeof(Key));
    if (int64_t* const accepted = table_.FindOrInsert(key, entry.time_us)) {
      *accepted = std::max(*accepted, entry.time_us);
    }
  });
}

template <typename Key>
absl::Status AcceptedKeys<Key>::Commit(uint64_t commit) {
  StoreWatermark(watermark_, &stored_watermark_, store_);
  return log_->Commit(commit);
}

template <typename Key>
absl::Status AcceptedKeys<Key>::Advance(EventTime time) {
  if (time <= watermark_) return absl::OkStatus();
  watermark_ = time;
  const EventTime dead_until = time - spec_.within_us - spec_.grace_us;
  table_.SetDeadUntil(dead_until.us);
  return log_->ExpireUntil(dead_until.us);
}

template <typename Key>
absl::Status AcceptedKeys<Key>::KeysOf(const arrow::RecordBatch& rows, std::vector<Key>* out) {
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

template class AcceptedKeys<IntKey>;
template class AcceptedKeys<HashedKey>;

}  // namespace tidemark
