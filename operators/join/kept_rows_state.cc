// What KeptRows has in its StateStore: written with every commit, read when the task opens, and the way to disk.
#include <algorithm>
#include <utility>

#include "operators/join/kept_row_key.h"
#include "operators/join/kept_rows.h"
#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr char kRows = 'b', kMarks = 'm', kGivenOut = 'c', kRuns = 'x';
constexpr size_t kStartBytes = 2 + 8;  // of a state key, with what stands before it
constexpr int64_t kMergeShare = 4;     // bytes merged for a byte that is added to runs; what is due beyond waits
constexpr int64_t kDropBlocks = 4096;  // a commit, of dropped buckets

absl::Status Damaged() { return absl::DataLossError("the rows of a join in the state can't be read"); }

}  // namespace

std::string KeptRows::Key(char kind, int64_t start_us) const {
  std::string key{letter_, kind};
  AppendOrdered(start_us, &key);
  return key;
}

std::string KeptRows::Key(char kind, int64_t start_us, uint64_t commit, uint32_t part) const {
  std::string key = Key(kind, start_us);
  AppendBigEndian(commit, 8, &key);
  AppendBigEndian(part, 4, &key);
  return key;
}

// ---- Commit

KeptRows::Chunk KeptRows::Write(const Bucket& bucket, char kind, uint64_t commit, std::string_view bytes) {
  Chunk chunk{.kind = kind, .commit = commit};
  for (size_t at = 0; at < bytes.size(); at += kMaxValueBytes) {
    store_->Put(Key(kind, bucket.start_us, commit, chunk.parts++), bytes.substr(at, kMaxValueBytes));
  }
  return chunk;
}

void KeptRows::Delete(const Bucket& bucket, const Chunk& chunk) {
  for (uint32_t part = 0; part < chunk.parts; ++part) {
    store_->Delete(Key(chunk.kind, bucket.start_us, chunk.commit, part));
  }
}

void KeptRows::Commit(uint64_t commit) {
  std::string bytes;
  for (Bucket* const bucket : std::exchange(dirty_, {})) {
    bucket->dirty = false;
    bytes.clear();
    for (const uint32_t row : std::exchange(bucket->marked, {})) AppendVarint(row, &bytes);
    if (!bytes.empty()) bucket->marks.push_back(Write(*bucket, kMarks, commit, bytes));
    bytes.clear();
    const uint32_t before = bucket->written;
    for (; bucket->written < bucket->size; ++bucket->written) {
      const Row& row = bucket->row(bucket->written);
      AppendVarint(static_cast<uint64_t>(row.time - bucket->start_us) << 1 | row.matched, &bytes);
      AppendVarint(row.size, &bytes);
      bytes.append(row.bytes());
    }
    if (!bytes.empty()) {
      bucket->chunks.push_back(Write(*bucket, kRows, commit, bytes));
      bucket->chunks.back().rows = bucket->written - before;
    }
    if (std::exchange(bucket->given_out_changed, false)) {
      store_->Put(Key(kGivenOut, bucket->start_us), std::string(1, bucket->all_given_out) + bucket->given_out);
    }
  }
  while (!left_.empty() && left_.front()->DropSome(kDropBlocks)) left_.erase(left_.begin());
}

void KeptRows::DropBucket(Bucket* bucket) {
  for (const Chunk& chunk : bucket->chunks) Delete(*bucket, chunk);
  for (const Chunk& chunk : bucket->marks) Delete(*bucket, chunk);
  if (bucket->runs) {
    if (!bucket->given_out.empty() || bucket->all_given_out) store_->Delete(Key(kGivenOut, bucket->start_us));
    left_.push_back(std::move(bucket->runs));
    --on_disk_;
  }
  if (bucket->dirty) std::erase(dirty_, bucket);
  if (last_ == bucket) last_ = nullptr;
  rows_ -= bucket->size - bucket->cold;
  bytes_ -= static_cast<int64_t>((bucket->size - bucket->cold) * sizeof(Row)) + bucket->row_bytes;
}

// ---- The way to disk

KeyedRuns* KeptRows::Runs(Bucket* bucket) {
  if (bucket->runs) return bucket->runs.get();
  ++on_disk_;
  bucket->runs = std::make_unique<KeyedRuns>(store_, Key(kRuns, bucket->start_us), kDiskKeyBytes);
  return bucket->runs.get();
}

// From the bucket that has most in memory.
absl::StatusOr<int64_t> KeptRows::Evict(int64_t bytes) {
  Bucket* largest = nullptr;
  for (const auto& [start, bucket] : buckets_) {
    if (bucket->chunks.empty()) continue;
    if (largest == nullptr || bucket->size - bucket->cold > largest->size - largest->cold) largest = bucket.get();
  }
  return largest == nullptr ? 0 : EvictFrom(largest, bytes);
}

absl::StatusOr<int64_t> KeptRows::EvictFrom(Bucket* bucket, int64_t bytes) {
  KeyedRuns::Entries leaving;
  int64_t moved = 0, row_bytes = 0;
  std::string value;
  uint32_t number = bucket->cold;
  for (; moved < bytes && !bucket->chunks.empty(); bucket->chunks.pop_front()) {
    const Chunk& chunk = bucket->chunks.front();
    for (const uint32_t end = number + chunk.rows; number < end; ++number) {
      const Row& row = bucket->row(number);
      const std::string key = DiskKey(row.key, number);
      const bool seen_to = row.matched || EventTime{row.time} < done_;
      value.clear();
      AppendVarint(static_cast<uint64_t>(row.time - bucket->start_us) << 1 | seen_to, &value);
      value.append(row.bytes());
      leaving.list.push_back({{leaving.bytes.Add(key), key.size()}, {leaving.bytes.Add(value), value.size()}});
      row_bytes += row.size;
      moved += static_cast<int64_t>(sizeof(Row)) + row.size;
    }
    Delete(*bucket, chunk);
  }
  std::sort(leaving.list.begin(), leaving.list.end(),
            [](const KeyedRuns::Entry& a, const KeyedRuns::Entry& b) { return a.key < b.key; });
  KeyedRuns* const runs = Runs(bucket);
  runs->TakeWrittenBytes();
  runs->Add(leaving.list);
  // By what the runs have got, which is less than the rows took in memory: whatever is merged stands in memory until
  // the commit is through, several times.
  TM_RETURN_IF_ERROR(runs->MergeSome(kMergeShare * runs->TakeWrittenBytes()));

  const uint32_t first_piece = bucket->cold / kPiece;
  bucket->cold = number;
  bucket->matched.resize(bucket->cold);
  for (uint32_t piece = first_piece; piece < bucket->cold / kPiece; ++piece) bucket->pieces[piece].reset();
  bucket->row_bytes -= row_bytes;
  bytes_ -= moved;
  rows_ -= static_cast<int64_t>(leaving.list.size());
  if (bucket->index.size() > 8 * size_t{bucket->size - bucket->cold}) Rebuild(bucket);
  if (static_cast<int64_t>(due_.size()) > 2 * rows_) {
    std::erase_if(due_, [](const Due& due) { return due.row < due.bucket->cold; });
    due_.shrink_to_fit();
    std::make_heap(due_.begin(), due_.end(), Later());
  }
  return moved;
}

// ---- Load

absl::Status KeptRows::Load(EventTime done, EventTime dropped, KeysOf keys_of) {
  done_ = done;
  dropped_ = dropped;
  TM_RETURN_IF_ERROR(LoadRuns());
  TM_RETURN_IF_ERROR(LoadChunks(kRows, keys_of));
  TM_RETURN_IF_ERROR(LoadChunks(kMarks, keys_of));
  TM_RETURN_IF_ERROR(LoadGivenOut());
  // What Add has noted, before the marks were known.
  due_.clear();
  dirty_.clear();
  for (const auto& [start, bucket] : buckets_) {
    bucket->dirty = false;
    for (uint32_t number = bucket->cold; outer_ && number < bucket->size; ++number) {
      const Row& row = bucket->row(number);
      if (!row.matched && EventTime{row.time} >= done) due_.push_back({row.time, bucket.get(), number});
    }
  }
  std::make_heap(due_.begin(), due_.end(), Later());
  return absl::OkStatus();
}

// From the first key of one bucket's runs to that of the next.
absl::Status KeptRows::LoadRuns() {
  std::string from{letter_, kRuns};
  const std::string end{letter_, static_cast<char>(kRuns + 1)};
  for (;;) {
    const std::unique_ptr<StateIterator> first = store_->Scan(from, end);
    if (!first->Valid()) return first->status();
    if (first->key().size() < kStartBytes) return Damaged();
    const int64_t start = ReadOrdered(first->key().substr(2, 8));
    from = Key(kRuns, start) + '\xFF';
    if (EventTime{start} + width_us_ <= dropped_) {
      left_.push_back(std::make_unique<KeyedRuns>(store_, Key(kRuns, start), kDiskKeyBytes));
      TM_RETURN_IF_ERROR(left_.back()->Load());
      continue;
    }
    Bucket* const bucket = FindOrMake(start);
    TM_RETURN_IF_ERROR(Runs(bucket)->Load());
    bucket->size = bucket->cold = bucket->written = static_cast<uint32_t>(bucket->runs->entries());
    bucket->matched.resize(bucket->cold);
    bucket->pieces.resize(bucket->cold / kPiece);
    if (bucket->cold % kPiece != 0) bucket->pieces.push_back(std::make_unique<Piece>());
  }
}

absl::Status KeptRows::LoadChunks(char kind, KeysOf keys_of) {
  std::string bytes;
  Chunk chunk;
  Bucket* bucket = nullptr;
  const auto finish = [&]() -> absl::Status {
    if (bucket == nullptr) return absl::OkStatus();
    if (kind == kMarks) {
      bucket->marks.push_back(chunk);
      return LoadMarks(bucket, std::exchange(bytes, {}));
    }
    TM_RETURN_IF_ERROR(LoadRows(bucket, std::exchange(bytes, {}), keys_of, &chunk));
    bucket->chunks.push_back(chunk);
    return absl::OkStatus();
  };
  const std::unique_ptr<StateIterator> it =
      store_->Scan(std::string{letter_, kind}, std::string{letter_, static_cast<char>(kind + 1)});
  for (; it->Valid(); it->Next()) {
    const std::string_view key = it->key();
    if (key.size() != kStartBytes + 12) return Damaged();
    const int64_t start = ReadOrdered(key.substr(2, 8));
    const uint64_t commit = ReadBigEndian(key.substr(10, 8));
    if (bucket == nullptr || bucket->start_us != start || chunk.commit != commit) {
      TM_RETURN_IF_ERROR(finish());
      bucket = FindOrMake(start);
      chunk = {.kind = kind, .commit = commit};
    }
    if (ReadBigEndian(key.substr(18, 4)) != chunk.parts++) return Damaged();
    bytes.append(it->value());
  }
  TM_RETURN_IF_ERROR(it->status());
  return finish();
}

absl::Status KeptRows::LoadRows(Bucket* bucket, std::string_view bytes, KeysOf keys_of, Chunk* chunk) {
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
  bucket->written = bucket->size;
  chunk->rows = static_cast<uint32_t>(rows.size());
  return absl::OkStatus();
}

absl::Status KeptRows::LoadMarks(Bucket* bucket, std::string_view bytes) {
  while (!bytes.empty()) {
    uint64_t number = 0;
    if (!TakeVarint(&bytes, &number) || number >= bucket->size) return Damaged();
    if (number < bucket->cold) {
      bucket->matched[number] = true;
    } else {
      bucket->row(static_cast<uint32_t>(number)).matched = true;
    }
  }
  return absl::OkStatus();
}

absl::Status KeptRows::LoadGivenOut() {
  const std::unique_ptr<StateIterator> it =
      store_->Scan(std::string{letter_, kGivenOut}, std::string{letter_, static_cast<char>(kGivenOut + 1)});
  for (; it->Valid(); it->Next()) {
    if (it->key().size() != kStartBytes || it->value().empty()) return Damaged();
    Bucket* const bucket = Find(ReadOrdered(it->key().substr(2, 8)));
    if (bucket == nullptr) return Damaged();
    bucket->all_given_out = it->value()[0] != 0;
    bucket->given_out = it->value().substr(1);
  }
  return it->status();
}

}  // namespace tidemark
