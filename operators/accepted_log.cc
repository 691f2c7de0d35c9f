#include "operators/accepted_log.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>

#include "operators/big_endian.h"
#include "src/base/status.h"
#include "src/base/time.h"

namespace tidemark {
namespace {

constexpr char kVersion = 1;
constexpr size_t kHeaderBytes = 3;
constexpr size_t kTimeBytes = 8;   // of pending entries
constexpr size_t kMergeAt = 16;    // values of one size class
constexpr size_t kSmallest = 256;  // bytes; smaller values are of one class

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

// Visits the entries of a value as (key, time offset).
template <typename F>
absl::Status ReadValue(std::string_view value, size_t key_bytes, F&& visit) {
  if (value.size() < kHeaderBytes || value[0] != kVersion || static_cast<size_t>(value[1]) != key_bytes ||
      value[2] < 1 || value[2] > 8 || (value.size() - kHeaderBytes) % (key_bytes + value[2]) != 0) {
    return absl::DataLossError("the state of a dedup step can't be read");
  }
  const size_t time_bytes = static_cast<size_t>(value[2]);
  for (size_t at = kHeaderBytes; at < value.size(); at += key_bytes + time_bytes) {
    uint64_t offset = 0;
    std::memcpy(&offset, value.data() + at + key_bytes, time_bytes);
    visit(value.substr(at, key_bytes), offset);
  }
  return absl::OkStatus();
}

// Start and offset as they were before the subtraction, which may wrap.
int64_t TimeAt(int64_t start, uint64_t offset) { return static_cast<int64_t>(static_cast<uint64_t>(start) + offset); }

}  // namespace

AcceptedLog::AcceptedLog(StateStore* store, size_t key_bytes, int64_t bucket_us)
    : store_(store), key_bytes_(key_bytes), bucket_us_(bucket_us) {}

absl::Status AcceptedLog::Load(absl::FunctionRef<void(const Entry&)> visit) {
  const std::unique_ptr<StateIterator> it = store_->Scan("b", "c");
  for (; it->Valid(); it->Next()) {
    if (it->key().size() != 21) return absl::DataLossError("the state of a dedup step can't be read");
    const int64_t start = ReadOrdered(it->key().substr(1, 8));
    Bucket& bucket = buckets_.try_emplace(start, Bucket{start, {}}).first->second;
    bucket.chunks.push_back({ReadBigEndian(it->key().substr(9, 8)),
                             static_cast<uint32_t>(ReadBigEndian(it->key().substr(17, 4))), it->value().size()});
    TM_RETURN_IF_ERROR(ReadValue(it->value(), key_bytes_, [&](std::string_view key, uint64_t offset) {
      const Entry entry{key, TimeAt(start, offset)};
      bucket.max_time_us = std::max(bucket.max_time_us, entry.time_us);
      visit(entry);
    }));
  }
  return it->status();
}

void AcceptedLog::Add(const void* key, int64_t time_us) {
  // Rows come nearly in the order of time: mostly the bucket of the row before.
  if (last_ == nullptr ||
      static_cast<uint64_t>(time_us) - static_cast<uint64_t>(last_start_) >= static_cast<uint64_t>(bucket_us_)) {
    last_start_ = FloorTo(EventTime{time_us}, bucket_us_).us;
    last_ = &pending_[last_start_];
  }
  const size_t end = last_->size();
  last_->resize(end + key_bytes_ + kTimeBytes);
  std::memcpy(last_->data() + end, key, key_bytes_);
  std::memcpy(last_->data() + end + key_bytes_, &time_us, kTimeBytes);
}

std::string AcceptedLog::Header(int64_t time_bytes) const {
  return {kVersion, static_cast<char>(key_bytes_), static_cast<char>(time_bytes)};
}

void AcceptedLog::Write(int64_t start, Bucket* bucket, std::string value) {
  bucket->chunks.push_back({commit_, part_, value.size()});
  store_->Put(StateKey(start, commit_, part_++), value);
}

absl::Status AcceptedLog::Commit(uint64_t commit) {
  commit_ = commit;
  part_ = 0;
  for (const auto& [start, entries] : pending_) {
    if (EventTime{start} + (bucket_us_ - 1) <= EventTime{expired_until_us_}) continue;
    Bucket& bucket = buckets_.try_emplace(start, Bucket{start, {}}).first->second;
    const size_t size = key_bytes_ + kTimeBytes;
    // A bucket may begin before the smallest time, so its width isn't always bucket_us_; offsets are below it anyway.
    const size_t time_bytes = TimeBytes(static_cast<uint64_t>(bucket_us_));
    const std::string header = Header(static_cast<int64_t>(time_bytes));
    std::string value = header;
    for (size_t at = 0; at < entries.size(); at += size) {
      int64_t time = 0;
      std::memcpy(&time, entries.data() + at + key_bytes_, kTimeBytes);
      bucket.max_time_us = std::max(bucket.max_time_us, time);
      const uint64_t offset = static_cast<uint64_t>(time) - static_cast<uint64_t>(start);
      value.append(entries, at, key_bytes_);
      value.append(reinterpret_cast<const char*>(&offset), time_bytes);
      if (value.size() + size > kMaxValueBytes) {
        Write(start, &bucket, std::move(value));
        value = header;
      }
    }
    if (value.size() > header.size()) Write(start, &bucket, std::move(value));
    TM_RETURN_IF_ERROR(MergeSmall(start, &bucket));
  }
  pending_.clear();
  last_ = nullptr;
  return absl::OkStatus();
}

// Where a size class has gathered kMergeAt values, these become one (or several of the largest size).
absl::Status AcceptedLog::MergeSmall(int64_t start, Bucket* bucket) {
  for (int size_class = 0; size_class <= SizeClass(kMaxValueBytes / kMergeAt); ++size_class) {
    const auto mergeable = [&](const Chunk& c) {
      return SizeClass(c.bytes) == size_class && c.bytes < kMaxValueBytes / 2;
    };
    if (std::count_if(bucket->chunks.begin(), bucket->chunks.end(), mergeable) < static_cast<int64_t>(kMergeAt))
      continue;
    std::string merged;
    std::vector<Chunk> kept;
    for (const Chunk& chunk : std::exchange(bucket->chunks, {})) {
      if (!mergeable(chunk)) {
        kept.push_back(chunk);
        continue;
      }
      const std::string key = StateKey(start, chunk.commit, chunk.part);
      TM_ASSIGN_OR_RETURN(const std::optional<std::string> value, store_->Get(key));
      if (!value) return absl::DataLossError("a value of a dedup step is missing from its state");
      // Values written for another width of buckets may hold their times in another number of bytes.
      const bool fits = merged.empty() || merged.compare(0, kHeaderBytes, *value, 0, kHeaderBytes) == 0;
      if (!fits || merged.size() + value->size() > kMaxValueBytes) Write(start, bucket, std::exchange(merged, {}));
      merged.append(*value, merged.empty() ? 0 : kHeaderBytes, std::string::npos);
      store_->Delete(key);
    }
    if (!merged.empty()) Write(start, bucket, std::move(merged));
    bucket->chunks.insert(bucket->chunks.begin(), kept.begin(), kept.end());
  }
  return absl::OkStatus();
}

absl::Status AcceptedLog::ExpireUntil(int64_t time_us) {
  expired_until_us_ = time_us;
  while (!buckets_.empty() && buckets_.begin()->second.max_time_us <= time_us) {
    const auto& [start, bucket] = *buckets_.begin();
    for (const Chunk& chunk : bucket.chunks) store_->Delete(StateKey(start, chunk.commit, chunk.part));
    buckets_.erase(buckets_.begin());
  }
  return absl::OkStatus();
}

int64_t AcceptedLog::MemoryBytes() const {
  int64_t bytes = 0;
  for (const auto& [start, bucket] : buckets_)
    bytes += 96 + static_cast<int64_t>(bucket.chunks.capacity() * sizeof(Chunk));
  for (const auto& [start, entries] : pending_) bytes += 96 + static_cast<int64_t>(entries.capacity());
  return bytes;
}

}  // namespace tidemark
