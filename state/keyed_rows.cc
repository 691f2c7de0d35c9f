#include "state/keyed_rows.h"

#include <algorithm>
#include <cstring>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr int64_t kAllocation = 16;                     // what a row costs beside its slot and its bytes
constexpr int64_t kHeadBytes = 24;                      // a row in the order of heads
constexpr size_t kEvictAtOnce = 4096;                   // rows
constexpr int64_t kEvictBytes = int64_t{1} << 20;       // what a commit may write of runs ...
constexpr int64_t kMostEvictBytes = int64_t{32} << 20;  // ... even where more rows have come
constexpr int64_t kMergeShare = 5;                      // bytes merged for a byte that is added: more than it takes
constexpr size_t kFormerAtOnce = 4096;                  // rows of the former log that a commit moves

absl::Status Damaged() { return absl::DataLossError("a row by key in the state can't be read"); }

}  // namespace

KeyedRows::KeyedRows(StateStore* store, std::string prefix, MemoryBudget* memory, Options options)
    : store_(store),
      prefix_(std::move(prefix)),
      options_(options),
      memory_(memory),
      log_(store, prefix_ + 'l'),
      runs_(store, prefix_),
      index_(0, KeyHash{&slots_}, KeyEqual{&slots_}),
      order_(Before{&slots_, options_.by_key}) {}

uint64_t KeyedRows::Head(std::string_view key) {
  char head[8] = {};
  std::memcpy(head, key.data(), std::min<size_t>(key.size(), 8));
  return ReadBigEndian({head, 8});
}

int64_t KeyedRows::MemoryBytes() const {
  return bytes_ +
         static_cast<int64_t>(slots_.size() * sizeof(Slot) + index_.capacity() * (sizeof(uint32_t) + 1) +
                              ahead_.bytes.MemoryBytes() + ahead_.list.capacity() * sizeof(KeyedRuns::Entry)) +
         log_.MemoryBytes() + runs_.MemoryBytes() + (former_ ? former_->MemoryBytes() : 0);
}

// ---- Opening -------------------------------------------------------------------------------------------------------

absl::Status KeyedRows::Load() {
  TM_RETURN_IF_ERROR(runs_.Load());
  TM_RETURN_IF_ERROR(log_.Load([&](uint32_t number, const std::string_view* record) {
    while (slots_.size() <= number) slots_.emplace_back();
    if (record != nullptr) return LoadRecord(number, *record);
    slots_[number] = Slot();
    return absl::OkStatus();
  }));
  IndexLoaded();
  return in_order() ? LoadFloor() : absl::OkStatus();
}

absl::Status KeyedRows::LoadRecord(uint32_t number, std::string_view record) {
  if (record.empty()) return Damaged();
  const bool erased = record[0] != 0;
  record.remove_prefix(1);
  std::string_view key;
  if (!TakeBytes(&record, &key)) return Damaged();
  Slot& slot = slots_[number];
  SetBytes(&slot, key, record);
  slot.flags = static_cast<uint8_t>(kUsed | kLogged | (erased ? kErased : 0));
  return absl::OkStatus();
}

// A key may have stood under several numbers one after the other; now it stands under one.
void KeyedRows::IndexLoaded() {
  bytes_ = 0;
  for (uint32_t number = 0; number < slots_.size(); ++number) {
    const Slot& slot = slots_[number];
    if (!(slot.flags & kUsed)) {
      free_.push_back(number);
      continue;
    }
    bytes_ += kAllocation + slot.key_bytes + slot.row_bytes;
    index_.insert(number);
    if (!in_order() || slot.flags & kErased) continue;
    order_.emplace(Head(slot.key()), number);
    bytes_ += kHeadBytes;
  }
}

absl::Status KeyedRows::LoadFormer(std::string prefix, Parse parse) {
  return LoadFormer(std::move(prefix), parse, [](std::string_view, std::string*) { return Damaged(); });
}

absl::Status KeyedRows::LoadFormer(std::string prefix, Parse parse, Join join) {
  former_ = std::make_unique<StateLog>(store_, std::move(prefix));
  std::vector<std::string> records;  // by number there
  TM_RETURN_IF_ERROR(former_->Load([&](uint32_t number, const std::string_view* record) {
    if (number >= records.size()) records.resize(number + 1);
    records[number] = record != nullptr ? std::string(*record) : std::string();
    return absl::OkStatus();
  }));
  std::string key, row;
  for (uint32_t number = 0; number < records.size(); ++number) {
    if (records[number].empty()) continue;
    TM_RETURN_IF_ERROR(parse(records[number], &key, &row));
    records[number] = std::string();
    if (const uint32_t there = FindSlot(key); there != kNone) {
      TM_RETURN_IF_ERROR(join(slots_[there].row(), &row));
      SetBytes(&slots_[there], slots_[there].key(), row);
      MarkDirty(there);
      former_erased_.push_back(number);
      continue;
    }
    Slot& slot = slots_[MakeSlot(key, row)];
    slot.flags |= kFormer;
    slot.former = number;
  }
  if (former_->live() == 0) former_ = nullptr;
  come_bytes_ = 0;
  return absl::OkStatus();
}

// ---- Slots ---------------------------------------------------------------------------------------------------------

uint32_t KeyedRows::FindSlot(std::string_view key) const {
  const auto it = index_.find(key);
  return it == index_.end() ? kNone : *it;
}

// Key and row may be the slot's own.
void KeyedRows::SetBytes(Slot* slot, std::string_view key, std::string_view row) {
  const size_t size = key.size() + row.size();
  bytes_ += static_cast<int64_t>(size) - slot->key_bytes - slot->row_bytes;
  if (slot->bytes == nullptr || slot->key_bytes + slot->row_bytes != size) {
    auto bytes = std::make_unique_for_overwrite<char[]>(size);
    std::memcpy(bytes.get(), key.data(), key.size());
    std::memcpy(bytes.get() + key.size(), row.data(), row.size());
    slot->bytes = std::move(bytes);
  } else {
    std::memmove(slot->bytes.get(), key.data(), key.size());
    std::memmove(slot->bytes.get() + key.size(), row.data(), row.size());
  }
  slot->key_bytes = static_cast<uint32_t>(key.size());
  slot->row_bytes = static_cast<uint32_t>(row.size());
}

uint32_t KeyedRows::MakeSlot(std::string_view key, std::string_view row) {
  auto number = static_cast<uint32_t>(slots_.size());
  if (free_.empty()) {
    slots_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[number];
  SetBytes(&slot, key, row);
  slot.flags = kUsed | kAsked;
  index_.insert(number);
  if (in_order()) order_.emplace(Head(slot.key()), number);
  const int64_t fixed = kAllocation + (in_order() ? kHeadBytes : 0);
  bytes_ += fixed;
  come_bytes_ += fixed + static_cast<int64_t>(key.size() + row.size() + sizeof(Slot));
  return number;
}

void KeyedRows::MarkDirty(uint32_t number) {
  if (slots_[number].flags & kDirty) return;
  slots_[number].flags |= kDirty;
  dirty_.push_back(number);
}

void KeyedRows::DropFormer(Slot* slot) {
  if (!(slot->flags & kFormer)) return;
  former_erased_.push_back(slot->former);
  slot->flags &= static_cast<uint8_t>(~kFormer);
}

void KeyedRows::FreeSlot(uint32_t number) {
  Slot& slot = slots_[number];
  DropFormer(&slot);
  if (slot.flags & kLogged) erased_.push_back(number);
  index_.erase(number);
  bytes_ -= kAllocation + slot.key_bytes + slot.row_bytes;
  if (in_order() && !(slot.flags & kErased)) {
    order_.erase(Place(Head(slot.key()), number));
    bytes_ -= kHeadBytes;
  }
  slot = Slot();
  free_.push_back(number);
}

// ---- A batch -------------------------------------------------------------------------------------------------------

absl::Status KeyedRows::Fetch(absl::Span<const std::string_view> keys) {
  if (runs_.empty()) return absl::OkStatus();
  std::vector<KeyedRuns::Question> questions;
  for (const std::string_view key : keys) {
    if (FindSlot(key) != kNone || key < floor_) continue;
    const uint64_t hash = KeyedRuns::Hash(key);
    if (runs_.MayHold(key, hash)) questions.push_back({.key = key, .hash = hash});
  }
  std::sort(questions.begin(), questions.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  const auto same = [](const auto& a, const auto& b) { return a.key == b.key; };
  questions.erase(std::unique(questions.begin(), questions.end(), same), questions.end());
  TM_RETURN_IF_ERROR(runs_.Find(absl::MakeSpan(questions)));
  for (const KeyedRuns::Question& question : questions) {
    if (question.found) MakeSlot(question.key, question.value);
  }
  return absl::OkStatus();
}

std::optional<std::string_view> KeyedRows::Get(std::string_view key) {
  const uint32_t number = FindSlot(key);
  if (number == kNone) return std::nullopt;
  Slot& slot = slots_[number];
  slot.flags |= kAsked;
  if (slot.flags & kErased) return std::nullopt;
  return slot.row();
}

void KeyedRows::Put(std::string_view key, std::string_view row) {
  uint32_t number = FindSlot(key);
  if (number == kNone) {
    number = MakeSlot(key, row);
  } else {
    Slot& slot = slots_[number];
    SetBytes(&slot, slot.key(), row);
    if (slot.flags & kErased && in_order()) {
      order_.emplace(Head(key), number);
      bytes_ += kHeadBytes;
    }
    slot.flags = static_cast<uint8_t>((slot.flags & ~kErased) | kAsked);
  }
  MarkDirty(number);
}

bool KeyedRows::Delete(std::string_view key) {
  const uint32_t number = FindSlot(key);
  if (number == kNone || slots_[number].flags & kErased) return false;
  Slot& slot = slots_[number];
  const bool hides = !runs_.empty() && key >= floor_ && runs_.MayHold(slot.key(), KeyedRuns::Hash(slot.key()));
  if (!hides) {
    FreeSlot(number);
    return true;
  }
  if (in_order()) {
    order_.erase(Place(Head(slot.key()), number));
    bytes_ -= kHeadBytes;
  }
  SetBytes(&slot, slot.key(), "");
  slot.flags |= kErased;
  MarkDirty(number);
  return true;
}

// ---- All of them ---------------------------------------------------------------------------------------------------

absl::StatusOr<bool> KeyedRows::GoOn(Walk* walk, size_t most, Visitor visit) {
  const auto show = [&](const Slot& slot) {
    if ((slot.flags & (kUsed | kErased)) == kUsed) visit(slot.key(), slot.row());
  };
  if (!walk->in_runs) {
    for (; walk->slot < slots_.size() && most > 0; ++walk->slot, --most) show(slots_[walk->slot]);
    if (walk->slot < slots_.size()) return false;
    walk->in_runs = true;
  }
  if (runs_.empty()) return true;
  KeyedRuns::Entries entries;
  std::optional<std::string> next;
  TM_RETURN_IF_ERROR(runs_.Read(walk->key, &entries, &next));
  for (const KeyedRuns::Entry& entry : entries.list) {
    const uint32_t number = FindSlot(entry.key);
    if (number != kNone) {
      show(slots_[number]);
    } else if (!entry.erased) {
      visit(entry.key, entry.value);
    }
  }
  if (next) walk->key = *std::move(next);
  return !next;
}

// ---- The commit ----------------------------------------------------------------------------------------------------

absl::Status KeyedRows::Commit(uint64_t commit, int64_t more_bytes) {
  TM_RETURN_IF_ERROR(Evict(more_bytes));
  MoveFormer();
  SaveFloor();
  log_.Begin(commit);
  for (const uint32_t number : std::exchange(erased_, {})) log_.Erase(number);
  std::string record;
  for (const uint32_t number : std::exchange(dirty_, {})) {
    Slot& slot = slots_[number];
    if (!(slot.flags & kDirty)) continue;
    record.assign(1, slot.flags & kErased ? 1 : 0);
    AppendVarint(slot.key_bytes, &record);
    record.append(slot.key());
    record.append(slot.row());
    log_.Put(number, record);
    DropFormer(&slot);
    slot.flags = static_cast<uint8_t>((slot.flags & ~kDirty) | kLogged);
  }
  TM_RETURN_IF_ERROR(log_.Commit());
  memory_.Update(MemoryBytes() + more_bytes);
  if (former_ == nullptr) return absl::OkStatus();
  former_->Begin(commit);
  for (const uint32_t number : std::exchange(former_erased_, {})) former_->Erase(number);
  TM_RETURN_IF_ERROR(former_->Commit());
  if (former_->live() == 0) former_ = nullptr;
  return absl::OkStatus();
}

void KeyedRows::MoveFormer() {
  if (former_ == nullptr) return;
  size_t moved = 0;
  for (; moved < kFormerAtOnce && former_hand_ < slots_.size(); ++former_hand_) {
    if (!(slots_[former_hand_].flags & kFormer)) continue;
    MarkDirty(former_hand_);
    ++moved;
  }
}

// ---- Leaving -------------------------------------------------------------------------------------------------------

// What the runs have below the floor is void. Of a mark nothing is left to hide there.
bool KeyedRows::MayLeave(const Slot& slot) const {
  return (slot.flags & (kUsed | kDirty)) == kUsed && (slot.flags & kErased || slot.key() >= floor_);
}

absl::Status KeyedRows::Evict(int64_t more_bytes) {
  const int64_t come = std::exchange(come_bytes_, 0);
  if (!memory_.limited()) return absl::OkStatus();
  memory_.Update(MemoryBytes() + more_bytes);
  // Room for the rows of the next commit too.
  const int64_t beyond = memory_.Excess(come);
  if (beyond == 0) {
    idle_.clear();
    return absl::OkStatus();
  }
  int64_t freed = 0;
  for (int64_t written = 0;
       freed < beyond && (written < kEvictBytes || (freed < 2 * come && written < kMostEvictBytes));) {
    if (idle_.empty()) FindIdle(std::max(beyond - freed, bytes_ / 4));
    if (idle_.empty()) break;
    const size_t count = std::min(idle_.size(), kEvictAtOnce);
    std::vector<uint32_t> some(idle_.end() - static_cast<int64_t>(count), idle_.end());
    idle_.resize(idle_.size() - count);
    std::erase_if(some, [&](uint32_t number) { return !MayLeave(slots_[number]) || slots_[number].flags & kAsked; });
    // Slots may have been freed and taken again since the hand came by.
    std::sort(some.begin(), some.end(), [&](uint32_t a, uint32_t b) { return slots_[a].key() < slots_[b].key(); });
    some.erase(std::unique(some.begin(), some.end()), some.end());
    freed += EvictSome(some);
    const int64_t added = runs_.TakeWrittenBytes();
    TM_RETURN_IF_ERROR(runs_.MergeSome(kMergeShare * added));
    written += added + runs_.TakeWrittenBytes();
  }
  return absl::OkStatus();
}

// Goes round twice at most, as the first time may find that all were asked for.
void KeyedRows::FindIdle(int64_t bytes) {
  const auto slots = static_cast<uint32_t>(slots_.size());
  int64_t found = 0;
  for (uint64_t looked = 0; looked < 2 * uint64_t{slots} && found < bytes; ++looked) {
    hand_ = hand_ + 1 < slots ? hand_ + 1 : 0;
    Slot& slot = slots_[hand_];
    if (!MayLeave(slot)) continue;
    if (slot.flags & kAsked) {
      slot.flags &= static_cast<uint8_t>(~kAsked);
      continue;
    }
    idle_.push_back(hand_);
    found += kAllocation + slot.key_bytes + slot.row_bytes;
  }
  std::sort(idle_.begin(), idle_.end(), [&](uint32_t a, uint32_t b) { return slots_[a].key() > slots_[b].key(); });
}

// In the order of their keys. What is the same in the runs already is only forgotten.
int64_t KeyedRows::EvictSome(absl::Span<const uint32_t> numbers) {
  std::vector<KeyedRuns::Entry> entries;
  for (const uint32_t number : numbers) {
    const Slot& slot = slots_[number];
    if (!(slot.flags & (kLogged | kFormer))) continue;
    const bool erased = slot.flags & kErased;
    if (erased && !runs_.MayHold(slot.key(), KeyedRuns::Hash(slot.key()))) continue;
    if (slot.key() < floor_) continue;
    entries.push_back({slot.key(), slot.row(), erased});
    if (!in_order() || erased || (first_cold_ && Bound(slot.key()) >= *first_cold_)) continue;
    first_cold_ = Bound(slot.key());
    floor_changed_ = true;
  }
  if (!entries.empty()) {
    runs_.Add(entries);
    ahead_valid_ = false;
  }
  const int64_t before = bytes_;
  for (const uint32_t number : numbers) FreeSlot(number);
  return before - bytes_;
}

}  // namespace tidemark
