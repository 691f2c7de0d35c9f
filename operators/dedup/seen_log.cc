#include "operators/dedup/seen_log.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/time.h"

namespace tidemark {
namespace {

constexpr char kVersion = 1;
constexpr size_t kHeaderBytes = 3;
constexpr size_t kMergeAt = 16;    // values of one size class
constexpr size_t kSmallest = 256;  // bytes; smaller values are of one class
constexpr size_t kLoadAtOnce = 1024;
constexpr size_t kMostSpare = 64 << 10;  // entries

// Values of one class are within a factor of 16.
int SizeClass(size_t bytes) { return (std::bit_width(std::max(bytes, kSmallest) / kSmallest) - 1) / 4; }

std::string StateKey(int64_t start, uint64_t commit, uint32_t part) {
  std::string key = "b";
  AppendOrdered(start, &key);
  AppendBigEndian(commit, 8, &key);
  AppendBigEndian(part, 4, &key);
  return key;
}

size_t TimeBytes(uint64_t max_offset) { return std::max<size_t>(1, (std::bit_width(max_offset) + 7) / 8); }

absl::Status Damaged() { return absl::DataLossError("the state of a dedup step can't be read"); }

// The bytes of an entry's time.
absl::StatusOr<size_t> CheckHeader(std::string_view value, size_t key_bytes) {
  if (value.size() < kHeaderBytes || value[0] != kVersion || static_cast<size_t>(value[1]) != key_bytes ||
      value[2] < 1 || value[2] > 8 ||
      (value.size() - kHeaderBytes) % (key_bytes + static_cast<size_t>(value[2])) != 0) {
    return Damaged();
  }
  return static_cast<size_t>(value[2]);
}

// Start and offset as they were before the subtraction, which may wrap.
int64_t TimeAt(int64_t start, uint64_t offset) { return static_cast<int64_t>(static_cast<uint64_t>(start) + offset); }

}  // namespace

template <typename Key>
absl::Status SeenLog<Key>::LoadCovered() {
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> value, store_->Get("s"));
  if (!value) return absl::OkStatus();
  if (value->size() != 8 * kSegments) return Damaged();
  for (size_t s = 0; s < kSegments; ++s) covered_[s] = ReadBigEndian(std::string_view(*value).substr(8 * s, 8));
  all_covered_ = *std::min_element(covered_.begin(), covered_.end());
  return absl::OkStatus();
}

template <typename Key>
absl::Status SeenLog<Key>::Load(absl::FunctionRef<void(absl::Span<const Seen<Key>>)> visit) {
  TM_RETURN_IF_ERROR(LoadCovered());
  Entries entries;
  entries.reserve(kLoadAtOnce);
  const std::unique_ptr<StateIterator> it = store_->Scan("b", "c");
  for (; it->Valid(); it->Next()) {
    if (it->key().size() != 21) return Damaged();
    const int64_t start = ReadOrdered(it->key().substr(1, 8));
    const uint64_t commit = ReadBigEndian(it->key().substr(9, 8));
    const std::string_view value = it->value();
    TM_ASSIGN_OR_RETURN(const size_t time_bytes, CheckHeader(value, sizeof(Key)));
    Bucket& bucket = buckets_.try_emplace(start, Bucket{start, {}}).first->second;
    bucket.chunks.push_back({commit, static_cast<uint32_t>(ReadBigEndian(it->key().substr(17, 4))), value.size()});
    for (size_t at = kHeaderBytes; at < value.size(); at += sizeof(Key) + time_bytes) {
      Seen<Key> entry;
      uint64_t offset = 0;
      std::memcpy(&entry.key, value.data() + at, sizeof(Key));
      std::memcpy(&offset, value.data() + at + sizeof(Key), time_bytes);
      entry.time_us = TimeAt(start, offset);
      bucket.max_time_us = std::max(bucket.max_time_us, entry.time_us);
      if (commit <= covered_[static_cast<size_t>(SegmentOf(entry.key))]) continue;
      entries.push_back(entry);
      if (entries.size() == kLoadAtOnce) {
        visit(entries);
        entries.clear();
      }
    }
  }
  visit(entries);
  return it->status();
}

template <typename Key>
void SeenLog<Key>::ChangeBucket(int64_t time_us) {
  last_start_ = FloorTo(EventTime{time_us}, bucket_us_).us;
  const auto [bucket, inserted] = pending_.try_emplace(last_start_);
  if (inserted) bucket->second = std::exchange(spare_, {});
  last_ = &bucket->second;
}

template <typename Key>
void SeenLog<Key>::Cover(int segment, uint64_t commit) {
  covered_[static_cast<size_t>(segment)] = commit;
  cover_changed_ = true;
}

template <typename Key>
int SeenLog<Key>::OldestCovered() const {
  return static_cast<int>(std::min_element(covered_.begin(), covered_.end()) - covered_.begin());
}

template <typename Key>
void SeenLog<Key>::WriteBucket(int64_t start, const Entries& entries, Bucket* bucket) {
  // A bucket may begin before the smallest time, so its width isn't always bucket_us_; offsets are below it anyway.
  const size_t time_bytes = TimeBytes(static_cast<uint64_t>(bucket_us_));
  const size_t width = sizeof(Key) + time_bytes;
  const size_t most = (kMaxValueBytes - kHeaderBytes) / width;
  std::string value;
  for (size_t from = 0; from < entries.size(); from += most) {
    const size_t to = std::min(from + most, entries.size());
    value.assign({kVersion, static_cast<char>(sizeof(Key)), static_cast<char>(time_bytes)});
    value.resize(kHeaderBytes + (to - from) * width + sizeof(uint64_t));  // times are written as 8 bytes
    char* at = value.data() + kHeaderBytes;
    for (size_t i = from; i < to; ++i, at += width) {
      const uint64_t offset = static_cast<uint64_t>(entries[i].time_us) - static_cast<uint64_t>(start);
      std::memcpy(at, &entries[i].key, sizeof(Key));
      std::memcpy(at + sizeof(Key), &offset, sizeof(offset));
      bucket->max_time_us = std::max(bucket->max_time_us, entries[i].time_us);
    }
    value.resize(value.size() - sizeof(uint64_t));
    bucket->chunks.push_back({commit_, part_, value.size()});
    store_->Put(StateKey(start, commit_, part_++), value);
  }
}

template <typename Key>
absl::Status SeenLog<Key>::Commit(uint64_t commit) {
  commit_ = commit;
  part_ = 0;
  if (cover_changed_) {
    std::string value;
    for (const uint64_t covered : covered_) AppendBigEndian(covered, 8, &value);
    store_->Put("s", value);
    all_covered_ = *std::min_element(covered_.begin(), covered_.end());
    cover_changed_ = false;
    DropCovered();
  }
  for (auto& [start, entries] : pending_) {
    if (EventTime{start} + (bucket_us_ - 1) <= EventTime{expired_until_us_}) continue;
    if (commit <= all_covered_) continue;
    Bucket& bucket = buckets_.try_emplace(start, Bucket{start, {}}).first->second;
    WriteBucket(start, entries, &bucket);
    TM_RETURN_IF_ERROR(MergeSmall(start, &bucket));
  }
  for (auto& [start, entries] : pending_) {
    if (entries.capacity() > spare_.capacity() && entries.capacity() <= kMostSpare) spare_.swap(entries);
  }
  spare_.clear();
  pending_.clear();
  last_ = nullptr;
  pending_entries_ = 0;
  return absl::OkStatus();
}

template <typename Key>
void SeenLog<Key>::DropCovered() {
  for (auto bucket = buckets_.begin(); bucket != buckets_.end();) {
    std::vector<Chunk>& chunks = bucket->second.chunks;
    std::erase_if(chunks, [&](const Chunk& chunk) {
      if (chunk.commit > all_covered_) return false;
      store_->Delete(StateKey(bucket->first, chunk.commit, chunk.part));
      return true;
    });
    bucket = chunks.empty() ? buckets_.erase(bucket) : std::next(bucket);
  }
}

template <typename Key>
void SeenLog<Key>::CutVoid(uint64_t commit, std::string* value) const {
  const size_t width = sizeof(Key) + static_cast<size_t>((*value)[2]);
  size_t to = kHeaderBytes;
  for (size_t at = kHeaderBytes; at < value->size(); at += width) {
    if (commit <= covered_[static_cast<uint8_t>((*value)[at + kSegmentByte])]) continue;
    if (to != at) std::memmove(value->data() + to, value->data() + at, width);
    to += width;
  }
  value->resize(to);
}

template <typename Key>
bool SeenLog<Key>::Mergeable(const Chunk& chunk, int size_class) const {
  return SizeClass(chunk.bytes) == size_class && chunk.bytes < kMaxValueBytes / 2;
}

// Where a size class has gathered kMergeAt values, these become one (or several of the largest size).
template <typename Key>
absl::Status SeenLog<Key>::MergeSmall(int64_t start, Bucket* bucket) {
  for (int size_class = 0; size_class <= SizeClass(kMaxValueBytes / kMergeAt); ++size_class) {
    const auto mergeable = [&](const Chunk& chunk) { return Mergeable(chunk, size_class); };
    if (std::count_if(bucket->chunks.begin(), bucket->chunks.end(), mergeable) < static_cast<int64_t>(kMergeAt)) {
      continue;
    }
    std::string merged;
    Chunk into;  // where `merged` goes: the place of its newest part, which is free by then
    std::vector<Chunk> kept;
    const auto write = [&] {
      into.bytes = merged.size();
      if (merged.size() <= kHeaderBytes) return;
      store_->Put(StateKey(start, into.commit, into.part), merged);
      kept.push_back(into);
    };
    for (const Chunk& chunk : std::exchange(bucket->chunks, {})) {
      if (!mergeable(chunk)) {
        kept.push_back(chunk);
        continue;
      }
      const std::string key = StateKey(start, chunk.commit, chunk.part);
      TM_ASSIGN_OR_RETURN(std::optional<std::string> value, store_->Get(key));
      if (!value) return absl::DataLossError("a value of a dedup step is missing from its state");
      TM_RETURN_IF_ERROR(CheckHeader(*value, sizeof(Key)).status());
      CutVoid(chunk.commit, &*value);
      store_->Delete(key);
      // Values written for another width of buckets may hold their times in another number of bytes.
      const bool fits = merged.empty() || merged.compare(0, kHeaderBytes, *value, 0, kHeaderBytes) == 0;
      if (merged.empty() || !fits || merged.size() + value->size() > kMaxValueBytes) {
        write();
        merged = *std::move(value);
        into = chunk;
        continue;
      }
      merged.append(*value, kHeaderBytes, std::string::npos);
      if (std::tie(into.commit, into.part) < std::tie(chunk.commit, chunk.part)) into = chunk;
    }
    write();
    bucket->chunks = std::move(kept);
  }
  return absl::OkStatus();
}

template <typename Key>
void SeenLog<Key>::ExpireUntil(int64_t time_us) {
  expired_until_us_ = time_us;
  while (!buckets_.empty() && buckets_.begin()->second.max_time_us <= time_us) {
    const auto& [start, bucket] = *buckets_.begin();
    for (const Chunk& chunk : bucket.chunks) store_->Delete(StateKey(start, chunk.commit, chunk.part));
    buckets_.erase(buckets_.begin());
  }
}

template <typename Key>
int64_t SeenLog<Key>::MemoryBytes() const {
  auto bytes = static_cast<int64_t>(spare_.capacity() * sizeof(Seen<Key>));
  for (const auto& [start, bucket] : buckets_) {
    bytes += 96 + static_cast<int64_t>(bucket.chunks.capacity() * sizeof(Chunk));
  }
  for (const auto& [start, entries] : pending_) {
    bytes += 96 + static_cast<int64_t>(entries.capacity() * sizeof(Seen<Key>));
  }
  return bytes;
}

template class SeenLog<IntKey>;
template class SeenLog<HashedKey>;

}  // namespace tidemark
