#include "operators/window/cold_groups.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr char kRecord = 'c', kRuns = 'r';
constexpr size_t kStartBytes = 8;
constexpr size_t kEvictAtOnce = 4096;              // groups
constexpr int64_t kEvictBytes = int64_t{1} << 20;  // what a commit may write of runs, and the rest of the last merge
constexpr int64_t kMostEvictBytes = int64_t{32} << 20;  // ... even where more groups have come
constexpr size_t kLargestKey = kMaxValueBytes / 2;  // of a group that may leave: its window's record may hold the key
constexpr size_t kFewSlots = 64;                    // not worth giving back
constexpr int64_t kMergeShare = 5;                  // bytes merged for a byte that is added: more than it takes
constexpr int64_t kDropBlocks = 4096;               // a commit, of dropped windows

absl::Status Damaged() { return absl::DataLossError("a window's record in the state can't be read"); }

std::string RunsPrefix(int64_t start) {
  std::string prefix(1, kRuns);
  AppendOrdered(start, &prefix);
  return prefix;
}

}  // namespace

std::string ColdGroups::RecordKey(int64_t start) const {
  std::string key(1, kRecord);
  AppendOrdered(start, &key);
  return key;
}

GroupSet::Cold* ColdGroups::MakeCold(Window* window) {
  const std::string prefix = RunsPrefix(window->start_us);
  // A window of the same start was dropped, and a topology with more grace has it again.
  std::erase_if(dropped_, [&](const std::unique_ptr<KeyedRuns>& runs) {
    if (runs->prefix() != prefix) return false;
    runs->Drop();
    return true;
  });
  window->cold = std::make_unique<GroupSet::Cold>();
  window->cold->runs = std::make_unique<KeyedRuns>(store_, prefix);
  return window->cold.get();
}

absl::Status ColdGroups::Load() {
  const std::unique_ptr<StateIterator> it = store_->Scan({&kRecord, 1}, std::string(1, kRecord + 1));
  for (; it->Valid(); it->Next()) {
    if (it->key().size() != 1 + kStartBytes) return Damaged();
    TM_RETURN_IF_ERROR(LoadRecord(ReadOrdered(it->key().substr(1)), it->value()));
  }
  TM_RETURN_IF_ERROR(it->status());
  // From the first key of one window's runs to that of the next.
  std::string from(1, kRuns);
  for (;;) {
    const std::unique_ptr<StateIterator> first = store_->Scan(from, std::string(1, kRuns + 1));
    if (!first->Valid()) {
      groups_->TakeMade();  // what was loaded hasn't come since the last commit
      return first->status();
    }
    if (first->key().size() < 1 + kStartBytes) return Damaged();
    const int64_t start = ReadOrdered(first->key().substr(1, kStartBytes));
    const auto window = groups_->windows().find(start);
    if (window != groups_->windows().end() && window->second.cold) {
      TM_RETURN_IF_ERROR(window->second.cold->runs->Load());
    } else {
      dropped_.push_back(std::make_unique<KeyedRuns>(store_, RunsPrefix(start)));
      TM_RETURN_IF_ERROR(dropped_.back()->Load());
    }
    from = RunsPrefix(start) + '\xFF';
  }
}

absl::Status ColdGroups::LoadRecord(int64_t start, std::string_view record) {
  if (record.size() < 17) return Damaged();
  GroupSet::Cold* const cold = MakeCold(groups_->MakeWindow(start));
  cold->groups = static_cast<int64_t>(ReadBigEndian(record.substr(0, 8)));
  cold->rows = static_cast<int64_t>(ReadBigEndian(record.substr(8, 8)));
  if (record[16] != 0) cold->emitted = std::string(record.substr(17));
  return absl::OkStatus();
}

void ColdGroups::Save(Window* window) {
  if (!window->cold || !std::exchange(window->cold->changed, false)) return;
  std::string record;
  AppendBigEndian(static_cast<uint64_t>(window->cold->groups), 8, &record);
  AppendBigEndian(static_cast<uint64_t>(window->cold->rows), 8, &record);
  record.push_back(window->cold->emitted ? 1 : 0);
  if (window->cold->emitted) record.append(*window->cold->emitted);
  store_->Put(RecordKey(window->start_us), record);
}

absl::Status ColdGroups::WarmMissing(WindowPairs* pairs) {
  std::vector<uint32_t>& missing = groups_->missing();
  const auto key = [&](uint32_t p) { return groups_->located_key(pairs->rows[p]); };
  std::sort(missing.begin(), missing.end(), [&](uint32_t a, uint32_t b) {
    return pairs->starts[a] != pairs->starts[b] ? pairs->starts[a] < pairs->starts[b] : key(a) < key(b);
  });
  for (size_t at = 0; at < missing.size();) {
    const int64_t start = pairs->starts[missing[at]];
    size_t end = at + 1;
    while (end < missing.size() && pairs->starts[missing[end]] == start) ++end;
    TM_RETURN_IF_ERROR(WarmWindow(&groups_->windows().at(start), absl::MakeSpan(missing).subspan(at, end - at), pairs));
    at = end;
  }
  missing.clear();
  return absl::OkStatus();
}

// `missing` in the order of keys.
absl::Status ColdGroups::WarmWindow(Window* window, absl::Span<const uint32_t> missing, WindowPairs* pairs) {
  std::vector<KeyedRuns::Question> questions;
  for (const uint32_t p : missing) {
    const std::string_view key = groups_->located_key(pairs->rows[p]);
    if (!questions.empty() && questions.back().key == key) continue;
    questions.push_back({.key = key, .hash = KeyedRuns::Hash(key)});
  }
  GroupSet::Cold& cold = *window->cold;
  TM_RETURN_IF_ERROR(cold.runs->Find(absl::MakeSpan(questions)));
  size_t at = 0;
  for (const KeyedRuns::Question& question : questions) {
    const uint32_t slot = groups_->FindOrMake(window, question.key, question.hash);
    if (question.found) {
      TM_RETURN_IF_ERROR(groups_->LoadValues(slot, question.value));
      --cold.groups;
      cold.rows -= groups_->rows(slot);
      cold.changed = true;
    }
    for (; at < missing.size() && groups_->located_key(pairs->rows[missing[at]]) == question.key; ++at) {
      pairs->slots[missing[at]] = slot;
    }
  }
  return absl::OkStatus();
}

absl::Status ColdGroups::Void(Window* window, std::vector<std::string> keys) {
  std::erase_if(keys, [&](const std::string& key) { return !window->cold->runs->MayHold(key, KeyedRuns::Hash(key)); });
  if (keys.empty()) return absl::OkStatus();
  std::sort(keys.begin(), keys.end());
  std::vector<KeyedRuns::Entry> entries;
  for (const std::string& key : keys) entries.push_back({.key = key, .value = {}, .erased = true});
  KeyedRuns& runs = *window->cold->runs;
  runs.Add(entries);
  TM_RETURN_IF_ERROR(runs.MergeSome(kMergeShare * runs.TakeWrittenBytes()));
  runs.TakeWrittenBytes();
  return absl::OkStatus();
}

bool ColdGroups::Before(uint32_t a, uint32_t b) const {
  const int64_t start_a = groups_->window(a).start_us, start_b = groups_->window(b).start_us;
  return start_a != start_b ? start_a < start_b : groups_->key(a) < groups_->key(b);
}

absl::Status ColdGroups::Evict(IsIdle idle, int64_t more_bytes, std::vector<int64_t>* touched) {
  if (!memory_.limited()) return absl::OkStatus();
  const size_t made = groups_->TakeMade(), slots = groups_->slots();
  const int64_t bytes = groups_->MemoryBytes() + more_bytes;
  memory_.Update(bytes);
  if (slots == 0) return absl::OkStatus();
  const int64_t bytes_a_slot = bytes / static_cast<int64_t>(slots) + 1;
  // Room for the groups of the next commits, that there need be no more memory for them.
  const size_t room = std::max(slots / 8, 2 * made), free = groups_->free_slots();
  const int64_t growth = free < room ? static_cast<int64_t>(slots / 2) * bytes_a_slot : 0;
  if (memory_.Excess(growth) == 0) {
    idle_.clear();
    return absl::OkStatus();
  }
  const int64_t beyond = (memory_.Excess(0) + bytes_a_slot - 1) / bytes_a_slot;  // in groups
  const size_t wanted = static_cast<size_t>(beyond) + (free < room ? room - free : 0);
  // Groups with many values, or long texts, count for more.
  const size_t at_once =
      std::min(kEvictAtOnce, static_cast<size_t>(std::max<int64_t>(1, 2 * kEvictBytes / bytes_a_slot)));
  size_t evicted = 0;
  for (int64_t written = 0;
       evicted < wanted && (written < kEvictBytes || (evicted < 2 * made && written < kMostEvictBytes));) {
    if (idle_.empty()) FindIdle(idle, std::max(wanted - evicted, slots / 4));
    if (idle_.empty()) FindIdle(idle, std::max(wanted - evicted, slots / 4));  // what had changed lately
    if (idle_.empty()) break;
    std::vector<uint32_t> some;
    for (; !idle_.empty() && some.size() < std::min(at_once, wanted - evicted); idle_.pop_back()) {
      // It may have changed, left with its window, and another one come into the slot.
      if (groups_->IsFound(idle_.back()) && idle(idle_.back())) some.push_back(idle_.back());
    }
    std::sort(some.begin(), some.end(), [this](uint32_t a, uint32_t b) { return Before(a, b); });
    some.erase(std::unique(some.begin(), some.end()), some.end());
    evicted += some.size();
    for (size_t at = 0; at < some.size();) {
      Window& window = groups_->window(some[at]);
      size_t end = at + 1;
      while (end < some.size() && &groups_->window(some[end]) == &window) ++end;
      EvictSome(absl::MakeSpan(some).subspan(at, end - at), touched);
      const int64_t added = window.cold->runs->TakeWrittenBytes();
      TM_RETURN_IF_ERROR(window.cold->runs->MergeSome(kMergeShare * added));
      written += added + window.cold->runs->TakeWrittenBytes();
      at = end;
    }
  }
  return absl::OkStatus();
}

bool ColdGroups::IsShort(int64_t more_bytes, int64_t wanted_bytes) {
  if (!memory_.limited()) return false;
  memory_.Update(groups_->MemoryBytes() + more_bytes);
  return memory_.Excess(wanted_bytes) > 0;
}

bool ColdGroups::WantsCompaction(int64_t more_bytes) {
  if (!memory_.limited()) return false;
  const size_t slots = groups_->slots(), free = groups_->free_slots();
  if (free < kFewSlots || free < slots / 4) return false;
  memory_.Update(groups_->MemoryBytes() + more_bytes);
  if (memory_.Excess(0) == 0) return false;
  const auto closed = [](const auto& window) { return window.second.closed; };
  if (std::any_of(groups_->windows().begin(), groups_->windows().end(), closed)) return false;
  idle_.clear();
  hand_ = 0;
  return true;
}

// Looks at every slot once at most.
void ColdGroups::FindIdle(IsIdle idle, size_t most) {
  const auto slots = static_cast<uint32_t>(groups_->slots());
  for (uint32_t looked = 0; looked < slots && idle_.size() < most; ++looked) {
    hand_ = hand_ + 1 < slots ? hand_ + 1 : 0;
    if (groups_->IsFound(hand_) && groups_->key(hand_).size() <= kLargestKey && idle(hand_)) idle_.push_back(hand_);
  }
  std::sort(idle_.begin(), idle_.end(), [this](uint32_t a, uint32_t b) { return Before(b, a); });
}

// Of one window, in the order of keys.
void ColdGroups::EvictSome(absl::Span<const uint32_t> slots, std::vector<int64_t>* touched) {
  Window& window = groups_->window(slots.front());
  GroupSet::Cold& cold = window.cold ? *window.cold : *MakeCold(&window);
  KeyedRuns::Entries entries;
  std::string values;
  for (const uint32_t slot : slots) {
    values.clear();
    groups_->SaveValues(slot, &values);
    entries.list.push_back({groups_->key(slot), {entries.bytes.Add(values), values.size()}});
  }
  cold.runs->Add(entries.list);
  for (const uint32_t slot : slots) {
    ++cold.groups;
    cold.rows += groups_->rows(slot);
    window.evicted.push_back(groups_->number(slot));
    groups_->Free(slot);
  }
  groups_->CompactKeys(&window);
  cold.changed = true;
  if (!std::exchange(window.touched, true)) touched->push_back(window.start_us);
}

absl::StatusOr<const KeyedRuns::Entry*> ColdGroups::Next(Window* window) {
  GroupSet::Cold& cold = *window->cold;
  if (!std::exchange(cold.reading, true)) cold.next = cold.emitted ? *cold.emitted + '\0' : "";
  while (cold.at == cold.ahead.list.size()) {
    if (!cold.next) return nullptr;
    const std::string from = *cold.next;
    cold.ahead = KeyedRuns::Entries();
    cold.at = 0;
    TM_RETURN_IF_ERROR(cold.runs->Read(from, &cold.ahead, &cold.next));
  }
  return &cold.ahead.list[cold.at];
}

void ColdGroups::Pass(Window* window) {
  GroupSet::Cold& cold = *window->cold;
  cold.emitted = std::string(cold.ahead.list[cold.at++].key);
  cold.changed = true;
}

void ColdGroups::Emitted(Window* window, int64_t groups, int64_t rows) {
  GroupSet::Cold& cold = *window->cold;
  cold.groups -= groups;
  cold.rows -= rows;
  if (cold.emitted) cold.runs->DropBefore(*cold.emitted);
}

void ColdGroups::Drop(Window* window) {
  if (window->cold == nullptr) return;
  store_->Delete(RecordKey(window->start_us));
  dropped_.push_back(std::move(window->cold->runs));
  window->cold = nullptr;
}

void ColdGroups::DropSome() {
  while (!dropped_.empty()) {
    if (!dropped_.back()->DropSome(kDropBlocks)) return;
    dropped_.pop_back();
  }
}

}  // namespace tidemark
