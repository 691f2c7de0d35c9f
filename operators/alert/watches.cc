#include "operators/alert/watches.h"

#include <algorithm>

#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr int64_t kKeyBytes = sizeof(WatchedKey) + 12 * sizeof(void*);  // beside key and rows

// State record: the key with its size, then of each watch a byte, its phase, and unless that is none start and said (8
// bytes each) and the row with its size.
void Write(const WatchedKey& key, std::string* record) {
  AppendVarint(key.key.size(), record);
  record->append(key.key);
  for (const Watch& watch : key.watches) {
    Watch::Phase phase = watch.phase;
    if (phase == Watch::Phase::kOpen && MutationActive(Mutation::kAlertRaisedTwice)) phase = Watch::Phase::kPending;
    record->push_back(static_cast<char>(phase));
    if (phase == Watch::Phase::kNone) continue;
    AppendOrdered(watch.start, record);
    AppendOrdered(watch.said, record);
    AppendVarint(watch.row.size(), record);
    record->append(watch.row);
  }
}

bool ReadWatch(std::string_view* record, Watch* watch) {
  if (record->empty() || static_cast<uint8_t>(record->front()) > 2) return false;
  watch->phase = static_cast<Watch::Phase>(record->front());
  record->remove_prefix(1);
  if (watch->phase == Watch::Phase::kNone) return true;
  if (record->size() < 16) return false;
  watch->start = ReadOrdered(record->substr(0, 8));
  watch->said = ReadOrdered(record->substr(8, 8));
  record->remove_prefix(16);
  std::string_view row;
  if (!TakeBytes(record, &row)) return false;
  watch->row = row;
  return true;
}

}  // namespace

absl::Status Watches::Load() {
  return numbers_.Load([&](size_t size) { keys_.resize(size); },
                       [&](absl::Span<const uint32_t> numbers, absl::Span<const std::string_view> records) {
                         for (size_t i = 0; i < numbers.size(); ++i) {
                           std::string_view record = records[i], bytes;
                           if (!TakeBytes(&record, &bytes))
                             return absl::DataLossError("a key of an alert can't be read");
                           WatchedKey* const key = Keep(numbers[i], bytes);
                           for (Watch& watch : key->watches) {
                             if (!ReadWatch(&record, &watch)) {
                               return absl::DataLossError("a key of an alert in the state can't be read");
                             }
                           }
                           // Absence isn't looked for any more; one that is raised still ends.
                           Watch& absence = key->watches[kAbsence];
                           if (spec_.absent_us == 0 && absence.phase == Watch::Phase::kPending) {
                             absence = Watch();
                             Changed(key);
                           } else {
                             Count(key);
                             SetTimer(key, DueOf(*key));
                           }
                         }
                         return absl::OkStatus();
                       });
}

WatchedKey* Watches::Keep(uint32_t number, std::string_view key) {
  auto& kept = keys_[number] = std::make_unique<WatchedKey>();
  kept->key = key;
  kept->number = number;
  kept->due = kNever;
  by_key_.emplace(kept->key, kept.get());
  return kept.get();
}

WatchedKey* Watches::Find(std::string_view key) {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : it->second;
}

WatchedKey* Watches::FindOrMake(std::string_view key) {
  if (WatchedKey* const found = Find(key)) return found;
  const uint32_t number = numbers_.Add();
  if (number == keys_.size()) keys_.emplace_back();
  return Keep(number, key);
}

void Watches::Changed(WatchedKey* key) {
  if (key->watches[kCondition].phase == Watch::Phase::kNone && key->watches[kAbsence].phase == Watch::Phase::kNone) {
    return Forget(key);
  }
  numbers_.Change(key->number);
  Count(key);
  // A timer that comes too early only looks again: most readings move what is due to later.
  if (const int64_t due = DueOf(*key); due < key->due) SetTimer(key, due);
}

void Watches::Count(WatchedKey* key) {
  size_t bytes = key->key.size();
  for (const Watch& watch : key->watches) bytes += watch.row.size();
  bytes_ += static_cast<int64_t>(bytes) - key->bytes;
  key->bytes = static_cast<int64_t>(bytes);
}

void Watches::Forget(WatchedKey* key) {
  const uint32_t number = key->number;
  bytes_ -= key->bytes;
  SetTimer(key, kNever);
  by_key_.erase(std::string_view(key->key));
  keys_[number].reset();
  numbers_.Remove(number);
}

void Watches::SetTimer(WatchedKey* key, int64_t due) {
  if (key->due != kNever) timers_.erase(Timer{key->due, key});
  key->due = due;
  if (due != kNever) timers_.insert(Timer{due, key});
}

int64_t Watches::NotBeforeFloor(int64_t time, int64_t duration) const {
  return std::max((EventTime{time} + duration).us, floor_);
}

int64_t Watches::DueOf(const WatchedKey& key, WatchKind kind) const {
  const Watch& watch = key.watches[kind];
  switch (watch.phase) {
    case Watch::Phase::kNone:
      return kNever;
    case Watch::Phase::kPending:
      return NotBeforeFloor(watch.start, kind == kCondition ? spec_.for_us : spec_.absent_us);
    case Watch::Phase::kOpen:
      return spec_.remind_us > 0 ? NotBeforeFloor(watch.said, spec_.remind_us) : kNever;
  }
  __builtin_unreachable();
}

int64_t Watches::ForgetAt(const WatchedKey& key) const {
  const Watch& absence = key.watches[kAbsence];
  if (spec_.forget_us == 0 || absence.phase == Watch::Phase::kNone) return kNever;
  return NotBeforeFloor(absence.start, spec_.forget_us);
}

int64_t Watches::DueOf(const WatchedKey& key) const {
  return std::min({DueOf(key, kCondition), DueOf(key, kAbsence), ForgetAt(key)});
}

WatchedKey* Watches::NextDue(int64_t before) {
  while (!timers_.empty() && timers_.begin()->due < before) {
    const Timer timer = *timers_.begin();
    const int64_t due = DueOf(*timer.key);
    if (due <= timer.due) return timer.key;
    SetTimer(timer.key, due);
  }
  return nullptr;
}

absl::Status Watches::Commit(uint64_t commit) {
  return numbers_.Commit(commit, [&](uint32_t number, std::string* record) { Write(*keys_[number], record); });
}

int64_t Watches::MemoryBytes() const {
  int64_t bytes = static_cast<int64_t>(keys_.capacity() * sizeof(keys_[0])) + numbers_.MemoryBytes();
  return bytes + static_cast<int64_t>(by_key_.size()) * kKeyBytes + bytes_;
}

}  // namespace tidemark
