#include "operators/join/kept_rows.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr char kRows = 'b', kMarks = 'm';
constexpr size_t kSuffixBytes = 2 + 8 + 8 + 4;  // of a state key
constexpr size_t kFirstSlots = 16;
constexpr size_t kPrefetchRows = 8;
constexpr size_t kMostNear = 64;  // buckets; a batch whose intervals touch more looks them up one by one

absl::Status Damaged() { return absl::DataLossError("the rows of a join in the state can't be read"); }

}  // namespace

// ---- Rows by key

KeptRows::Bucket* KeptRows::Find(int64_t start_us) const {
  const auto it = buckets_.find(start_us);
  return it == buckets_.end() ? nullptr : it->second.get();
}

KeptRows::Bucket* KeptRows::FindOrMake(int64_t start_us) {
  if (last_ != nullptr && last_->start_us == start_us) return last_;
  std::unique_ptr<Bucket>& bucket = buckets_[start_us];
  if (bucket == nullptr) {
    bucket = std::make_unique<Bucket>();
    bucket->start_us = start_us;
    bucket->index.resize(kFirstSlots);
  }
  return last_ = bucket.get();
}

// Where the key's newest row stands, or could.
uint64_t* KeptRows::Slot(Bucket* bucket, const JoinKey& key) {
  const size_t mask = bucket->index.size() - 1;
  for (size_t at = key.low & mask;; at = (at + 1) & mask) {
    uint64_t& slot = bucket->index[at];
    if (slot == 0) return &slot;
    if (slot >> 32 == key.high >> 32 && bucket->rows[static_cast<uint32_t>(slot) - 1].key == key) return &slot;
  }
}

void KeptRows::Prefetch(const Bucket& bucket, const JoinKey& key) {
  __builtin_prefetch(&bucket.index[key.low & (bucket.index.size() - 1)]);
}

void KeptRows::Grow(Bucket* bucket) {
  const std::vector<uint64_t> old = std::exchange(bucket->index, std::vector<uint64_t>(bucket->index.size() * 2));
  const size_t mask = bucket->index.size() - 1;
  for (const uint64_t slot : old) {
    if (slot == 0) continue;
    size_t at = bucket->rows[static_cast<uint32_t>(slot) - 1].key.low & mask;
    while (bucket->index[at] != 0) at = (at + 1) & mask;
    bucket->index[at] = slot;
  }
}

void KeptRows::Touch(Bucket* bucket) {
  if (std::exchange(bucket->dirty, true)) return;
  dirty_.push_back(bucket);
}

void KeptRows::Add(const JoinKey& key, int64_t time, std::string_view bytes, bool matched) {
  Bucket* const bucket = FindOrMake(StartOf(time));
  if ((bucket->keys + 1) * 4 > bucket->index.size() * 3) Grow(bucket);
  uint64_t* const slot = Slot(bucket, key);
  const size_t number = bucket->rows.Grow();
  bucket->keys += *slot == 0;
  bucket->rows[number] = {
      key, time, bucket->bytes.Add(bytes), static_cast<uint32_t>(bytes.size()), static_cast<uint32_t>(*slot), matched};
  *slot = key.high >> 32 << 32 | (number + 1);
  bytes_ += static_cast<int64_t>(sizeof(Row) + bytes.size());
  bucket->row_bytes += static_cast<int64_t>(bytes.size());
  newest_ = std::max(newest_, EventTime{time});
  if (outer_ && !matched) {
    due_.push_back({time, bucket, static_cast<uint32_t>(number)});
    std::push_heap(due_.begin(), due_.end(), Later());
  }
  Touch(bucket);
}

size_t KeptRows::Find(absl::Span<const JoinKey> keys, const int64_t* times, absl::Span<const int32_t> rows, size_t at,
                      int64_t from_us, int64_t to_us, size_t most, std::vector<Match>* matches) {
  if (buckets_.empty() || rows.empty()) return rows.size();
  const auto first_of = [&](int32_t row) { return StartOf((EventTime{times[row]} + from_us).us); };
  // The buckets that any row's interval touches, by their distance from the first of them.
  const auto [least, greatest] = std::minmax_element(rows.begin() + static_cast<std::ptrdiff_t>(at), rows.end(),
                                                     [&](int32_t a, int32_t b) { return times[a] < times[b]; });
  const int64_t low = std::max(first_of(*least), buckets_.begin()->first);
  const int64_t high = std::min(StartOf((EventTime{times[*greatest]} + to_us).us), buckets_.rbegin()->first);
  if (low > high) return rows.size();
  const uint64_t distance =
      (static_cast<uint64_t>(high) - static_cast<uint64_t>(low)) / static_cast<uint64_t>(width_us_);
  near_.clear();
  if (distance < kMostNear) {
    near_.resize(distance + 1);
    for (auto it = buckets_.lower_bound(low); it != buckets_.end() && it->first <= high; ++it) {
      near_[static_cast<size_t>((it->first - low) / width_us_)] = it->second.get();
    }
  }
  // Calls f(bucket) for those of a row's interval.
  const auto visit = [&](int32_t row, auto&& f) {
    int64_t start = std::max(first_of(row), low);
    const int64_t last = std::min((EventTime{times[row]} + to_us).us, high);
    for (; start <= last; start += width_us_) {
      Bucket* const bucket = near_.empty() ? Find(start) : near_[static_cast<size_t>((start - low) / width_us_)];
      if (bucket != nullptr) f(bucket);
      if (start > std::numeric_limits<int64_t>::max() - width_us_) break;
    }
  };
  const auto prefetch = [&](size_t i) {
    if (i < rows.size()) visit(rows[i], [&](Bucket* bucket) { Prefetch(*bucket, keys[rows[i]]); });
  };
  for (size_t i = at; i < at + kPrefetchRows; ++i) prefetch(i);
  for (; at < rows.size() && matches->size() < most; ++at) {
    prefetch(at + kPrefetchRows);
    const int32_t row = rows[at];
    const int64_t from = (EventTime{times[row]} + from_us).us, to = (EventTime{times[row]} + to_us).us;
    visit(row, [&](Bucket* bucket) { FindIn(bucket, keys[row], from, to, row, matches); });
  }
  return at;
}

void KeptRows::FindIn(Bucket* bucket, const JoinKey& key, int64_t from, int64_t to, int32_t row,
                      std::vector<Match>* matches) {
  for (auto number = static_cast<uint32_t>(*Slot(bucket, key)); number != 0;) {
    Row& kept = bucket->rows[number - 1];
    if (kept.time >= from && kept.time <= to) {
      matches->push_back({row, &kept});
      if (outer_ && !std::exchange(kept.matched, true) && number <= bucket->written) {
        bucket->marked.push_back(number - 1);
        Touch(bucket);
      }
    }
    number = kept.next;
  }
}

// ---- Rows by time

void KeptRows::TakeUnmatched(EventTime time, size_t most, std::vector<const Row*>* rows) {
  while (!due_.empty() && EventTime{due_.front().time} < time) {
    const Due due = due_.front();
    if (rows->size() >= most && rows->back()->time != due.time) {
      done_ = std::max(done_, EventTime{due.time});
      return;
    }
    std::pop_heap(due_.begin(), due_.end(), Later());
    due_.pop_back();
    const Row& row = due.bucket->rows[due.row];
    if (!row.matched) rows->push_back(&row);
  }
  done_ = std::max(done_, time);
}

void KeptRows::Drop(EventTime time) {
  dropped_ = std::max(dropped_, time);
  while (!buckets_.empty()) {
    const auto oldest = buckets_.begin();
    if (EventTime{oldest->first} + width_us_ > time) return;
    DropBucket(oldest->second.get());
    buckets_.erase(oldest);
  }
}

void KeptRows::DropBucket(Bucket* bucket) {
  for (const Chunk& chunk : bucket->chunks) {
    for (uint32_t part = 0; part < chunk.parts; ++part) {
      store_->Delete(Key(chunk.kind, bucket->start_us, chunk.commit, part));
    }
  }
  if (bucket->dirty) std::erase(dirty_, bucket);
  if (last_ == bucket) last_ = nullptr;
  bytes_ -= static_cast<int64_t>(bucket->rows.size() * sizeof(Row)) + bucket->row_bytes;
}

// ---- State

std::string KeptRows::Key(char kind, int64_t start_us, uint64_t commit, uint32_t part) const {
  std::string key{letter_, kind};
  AppendOrdered(start_us, &key);
  AppendBigEndian(commit, 8, &key);
  AppendBigEndian(part, 4, &key);
  return key;
}

void KeptRows::Write(Bucket* bucket, char kind, uint64_t commit, std::string_view bytes) {
  if (bytes.empty()) return;
  Chunk chunk{kind, commit, 0};
  for (size_t at = 0; at < bytes.size(); at += kMaxValueBytes) {
    store_->Put(Key(kind, bucket->start_us, commit, chunk.parts++), bytes.substr(at, kMaxValueBytes));
  }
  bucket->chunks.push_back(chunk);
}

void KeptRows::Commit(uint64_t commit) {
  std::string bytes;
  for (Bucket* const bucket : std::exchange(dirty_, {})) {
    bucket->dirty = false;
    bytes.clear();
    for (const uint32_t row : std::exchange(bucket->marked, {})) AppendVarint(row, &bytes);
    Write(bucket, kMarks, commit, bytes);
    bytes.clear();
    for (; bucket->written < bucket->rows.size(); ++bucket->written) {
      const Row& row = bucket->rows[bucket->written];
      AppendVarint(static_cast<uint64_t>(row.time - bucket->start_us) << 1 | row.matched, &bytes);
      AppendVarint(row.size, &bytes);
      bytes.append(row.bytes());
    }
    Write(bucket, kRows, commit, bytes);
  }
}

absl::Status KeptRows::Load(EventTime done, EventTime dropped, KeysOf keys_of) {
  done_ = done;
  dropped_ = dropped;
  // All rows, then the marks: 'b' before 'm'.
  std::string bytes;
  Chunk chunk;
  Bucket* bucket = nullptr;
  const auto finish = [&] {
    if (bucket == nullptr) return absl::OkStatus();
    bucket->chunks.push_back(chunk);
    return LoadChunk(bucket, chunk.kind, std::exchange(bytes, {}), keys_of);
  };
  const std::unique_ptr<StateIterator> it = store_->Scan({&letter_, 1}, std::string(1, static_cast<char>(letter_ + 1)));
  for (; it->Valid(); it->Next()) {
    const std::string_view key = it->key();
    if (key.size() != kSuffixBytes) return Damaged();
    const int64_t start = ReadOrdered(key.substr(2, 8));
    const uint64_t commit = ReadBigEndian(key.substr(10, 8));
    if (bucket == nullptr || chunk.kind != key[1] || bucket->start_us != start || chunk.commit != commit) {
      TM_RETURN_IF_ERROR(finish());
      bucket = FindOrMake(start);
      chunk = {key[1], commit, 0};
    }
    if (ReadBigEndian(key.substr(18, 4)) != chunk.parts++) return Damaged();
    bytes.append(it->value());
  }
  TM_RETURN_IF_ERROR(it->status());
  TM_RETURN_IF_ERROR(finish());
  for (const auto& [start, loaded] : buckets_) {
    for (uint32_t number = 0; outer_ && number < loaded->rows.size(); ++number) {
      const Row& row = loaded->rows[number];
      if (!row.matched && EventTime{row.time} >= done) due_.push_back({row.time, loaded.get(), number});
    }
  }
  std::make_heap(due_.begin(), due_.end(), Later());
  return absl::OkStatus();
}

absl::Status KeptRows::LoadChunk(Bucket* bucket, char kind, std::string_view bytes, KeysOf keys_of) {
  if (kind == kRows) return LoadRows(bucket, bytes, keys_of);
  if (kind != kMarks) return Damaged();
  while (!bytes.empty()) {
    uint64_t row = 0;
    if (!TakeVarint(&bytes, &row) || row >= bucket->rows.size()) return Damaged();
    bucket->rows[row].matched = true;
  }
  return absl::OkStatus();
}

absl::Status KeptRows::LoadRows(Bucket* bucket, std::string_view bytes, KeysOf keys_of) {
  std::vector<std::string_view> rows;
  std::vector<uint64_t> heads;
  while (!bytes.empty()) {
    std::string_view row;
    uint64_t head = 0;
    if (!TakeVarint(&bytes, &head) || !TakeBytes(&bytes, &row)) return Damaged();
    rows.push_back(row);
    heads.push_back(head);
  }
  std::vector<JoinKey> keys;
  TM_RETURN_IF_ERROR(keys_of(rows, &keys));
  for (size_t i = 0; i < rows.size(); ++i) {
    Add(keys[i], bucket->start_us + static_cast<int64_t>(heads[i] >> 1), rows[i], heads[i] & 1);
  }
  bucket->written = static_cast<uint32_t>(bucket->rows.size());
  dirty_.clear();
  bucket->dirty = false;
  due_.clear();  // made when all marks are known
  return absl::OkStatus();
}

int64_t KeptRows::MemoryBytes() const {
  int64_t bytes = static_cast<int64_t>(due_.capacity() * sizeof(Due));
  for (const auto& [start, bucket] : buckets_) {
    bytes +=
        static_cast<int64_t>(sizeof(Bucket) + bucket->rows.MemoryBytes() + bucket->bytes.MemoryBytes() +
                             bucket->index.capacity() * sizeof(uint64_t) + bucket->chunks.capacity() * sizeof(Chunk));
  }
  return bytes;
}

}  // namespace tidemark
