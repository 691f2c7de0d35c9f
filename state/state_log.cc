#include "state/state_log.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr size_t kChunkBytes = 128 << 10;  // a chunk is closed at this size; one record may make it larger
constexpr int64_t kSmallChunk = 16;        // entries that a small chunk counts for
constexpr int64_t kFreeCost = 1024;        // a log this small isn't cleaned
constexpr int64_t kCleanAtLeast = 256;     // entries a commit may clean whatever it writes
constexpr size_t kLargeRecord = 1024;      // a record of so many bytes counts for more than one,
constexpr size_t kRecordBytes = 64;        // one for so many of them

absl::Status Damaged() { return absl::DataLossError("a log in the state can't be read"); }

}  // namespace

std::string StateLog::Key(const Chunk& chunk, uint32_t part) const {
  std::string key = prefix_;
  AppendBigEndian(chunk.commit, 8, &key);
  AppendBigEndian(chunk.number, 4, &key);
  AppendBigEndian(part, 4, &key);
  return key;
}

int64_t StateLog::Cost(const Chunk& chunk) { return std::max<int64_t>(chunk.entries, kSmallChunk) + chunk.more; }

// For how many more than one a record of that size counts, which is the number's current one from now on.
int64_t StateLog::Weigh(uint32_t number, size_t bytes) {
  if (bytes < kLargeRecord && large_.empty()) return 0;
  if (const auto before = large_.find(number); before != large_.end()) {
    large_live_ -= before->second;
    large_.erase(before);
  }
  if (bytes < kLargeRecord) return 0;
  const auto more = static_cast<int64_t>(bytes / kRecordBytes);
  large_[number] = more;
  large_live_ += more;
  return more;
}

absl::Status StateLog::Load(Visitor visit) {
  std::string end = prefix_;
  end.append(kSuffixBytes + 1, static_cast<char>(0xFF));
  const std::unique_ptr<StateIterator> it = store_->Scan(prefix_, end);
  for (; it->Valid(); it->Next()) TM_RETURN_IF_ERROR(LoadEntry(it->key(), it->value(), visit));
  TM_RETURN_IF_ERROR(it->status());
  return FinishLoad(visit);
}

absl::Status StateLog::LoadEntry(std::string_view key, std::string_view value, Visitor visit) {
  if (key.size() != prefix_.size() + kSuffixBytes) return Damaged();
  key.remove_prefix(prefix_.size());
  const uint64_t commit = ReadBigEndian(key.substr(0, 8));
  const auto number = static_cast<uint32_t>(ReadBigEndian(key.substr(8, 4)));
  if (chunks_.empty() || chunks_.back().commit != commit || chunks_.back().number != number) {
    TM_RETURN_IF_ERROR(FinishLoad(visit));
    chunks_.push_back({commit, number, 0, 0, 0});
  }
  if (ReadBigEndian(key.substr(12, 4)) != chunks_.back().parts) return Damaged();
  ++chunks_.back().parts;
  loading_.append(value);
  return absl::OkStatus();
}

absl::Status StateLog::FinishLoad(Visitor visit) {
  if (chunks_.empty()) return absl::OkStatus();
  const std::string bytes = std::exchange(loading_, {});
  if (bytes.empty()) return absl::OkStatus();
  const auto serial = static_cast<uint32_t>(first_chunk_ + chunks_.size() - 1);
  TM_RETURN_IF_ERROR(Visit(bytes, [&](uint32_t id, const std::string_view* record) {
    if (id >= chunk_of_.size()) chunk_of_.resize(id + 1, kNone);
    live_ += (record != nullptr) - (chunk_of_[id] != kNone);
    chunk_of_[id] = record ? serial : kNone;
    ++chunks_.back().entries;
    chunks_.back().more += Weigh(id, record ? record->size() : 0);
    return visit(id, record);
  }));
  cost_ += Cost(chunks_.back());
  return absl::OkStatus();
}

absl::Status StateLog::Visit(std::string_view bytes, Visitor visit) {
  while (!bytes.empty()) {
    uint64_t tag = 0;
    if (!TakeVarint(&bytes, &tag)) return Damaged();
    std::string_view record;
    if (!(tag & 1) && !TakeBytes(&bytes, &record)) return Damaged();
    TM_RETURN_IF_ERROR(visit(static_cast<uint32_t>(tag >> 1), tag & 1 ? nullptr : &record));
  }
  return absl::OkStatus();
}

void StateLog::Begin(uint64_t commit) {
  commit_ = commit;
  next_chunk_ = 0;
  written_ = 0;
}

void StateLog::Put(uint32_t number, std::string_view record) {
  if (number >= chunk_of_.size()) chunk_of_.resize(std::max<size_t>(number + 1, chunk_of_.size() * 5 / 4), kNone);
  live_ += chunk_of_[number] == kNone;
  chunk_of_[number] = static_cast<uint32_t>(first_chunk_ + chunks_.size());
  AppendVarint(uint64_t{number} << 1, &building_);
  AppendVarint(record.size(), &building_);
  building_.append(record);
  ++building_entries_;
  building_more_ += Weigh(number, record.size());
  if (building_.size() >= kChunkBytes) FlushChunk();
}

void StateLog::Erase(uint32_t number) {
  if (number >= chunk_of_.size() || chunk_of_[number] == kNone) return;  // never written
  --live_;
  chunk_of_[number] = kNone;
  Weigh(number, 0);
  AppendVarint(uint64_t{number} << 1 | 1, &building_);
  ++building_entries_;
  if (building_.size() >= kChunkBytes) FlushChunk();
}

void StateLog::FlushChunk() {
  if (building_entries_ == 0) return;
  Chunk chunk{commit_, next_chunk_++, 0, building_entries_, std::exchange(building_more_, 0)};
  for (size_t at = 0; at < building_.size(); at += kMaxValueBytes) {
    store_->Put(Key(chunk, chunk.parts++), std::string_view(building_).substr(at, kMaxValueBytes));
  }
  cost_ += Cost(chunk);
  written_ += chunk.entries + chunk.more;
  chunks_.push_back(chunk);
  building_.clear();
  building_entries_ = 0;
}

void StateLog::DeleteChunk(const Chunk& chunk) {
  for (uint32_t part = 0; part < chunk.parts; ++part) store_->Delete(Key(chunk, part));
}

absl::Status StateLog::CleanOldest() {
  const Chunk chunk = chunks_.front();
  const uint32_t serial = first_chunk_;
  std::string bytes;
  for (uint32_t part = 0; part < chunk.parts; ++part) {
    TM_ASSIGN_OR_RETURN(const std::optional<std::string> value, store_->Get(Key(chunk, part)));
    if (!value) return Damaged();
    bytes.append(*value);
  }
  std::vector<std::pair<uint32_t, std::string_view>> records;
  TM_RETURN_IF_ERROR(Visit(bytes, [&](uint32_t number, const std::string_view* record) {
    if (record != nullptr && chunk_of_[number] == serial) records.emplace_back(number, *record);
    return absl::OkStatus();
  }));
  // Of several records of a number in the chunk the last is the current one: once it is written it's no longer this
  // chunk's, and the others are skipped.
  for (auto it = records.rbegin(); it != records.rend(); ++it) {
    if (chunk_of_[it->first] == serial) Put(it->first, it->second);
  }
  DeleteChunk(chunk);
  cost_ -= Cost(chunk);
  chunks_.pop_front();
  ++first_chunk_;
  return absl::OkStatus();
}

absl::Status StateLog::Commit() {
  if (live_ == 0) {
    Drop();
    return absl::OkStatus();
  }
  FlushChunk();
  int64_t budget = 2 * written_ + kCleanAtLeast;
  while (budget > 0 && cost_ > 2 * (live_ + large_live_) + kFreeCost && chunks_.front().commit != commit_) {
    budget -= Cost(chunks_.front());
    TM_RETURN_IF_ERROR(CleanOldest());
  }
  FlushChunk();
  return absl::OkStatus();
}

void StateLog::Drop() {
  for (const Chunk& chunk : chunks_) DeleteChunk(chunk);
  first_chunk_ += static_cast<uint32_t>(chunks_.size());
  chunks_.clear();
  chunk_of_.clear();
  building_.clear();
  building_entries_ = 0;
  building_more_ = 0;
  large_.clear();
  live_ = large_live_ = cost_ = 0;
}

int64_t StateLog::MemoryBytes() const {
  return static_cast<int64_t>(chunks_.size() * sizeof(Chunk) + chunk_of_.capacity() * sizeof(uint32_t) +
                              large_.capacity() * (sizeof(std::pair<uint32_t, int64_t>) + 1) + building_.capacity());
}

}  // namespace tidemark
