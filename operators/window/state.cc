#include "operators/window/state.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/base/big_endian.h"
#include "src/base/kept_format.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr char kKeys = 'k', kValues = 'v', kChanges = 'd', kWhole = 'g';
constexpr int kPrefixBytes = 9;  // of a log's keys: the letter and the window's start
constexpr size_t kAhead = 16;    // groups whose memory is asked for before they are saved

// Those that the window has, of the current form.
std::vector<StateLog*> LogsOf(const GroupSet::Window& window) {
  std::vector<StateLog*> logs;
  for (const auto* log : {&window.key_log, &window.value_log, &window.change_log}) {
    if (*log) logs.push_back(log->get());
  }
  return logs;
}

absl::Status Damaged() { return absl::DataLossError("a window in the state can't be read"); }

}  // namespace

std::unique_ptr<StateLog> WindowState::MakeLog(char letter, int64_t start) const {
  std::string prefix(1, letter);
  AppendOrdered(start, &prefix);
  return std::make_unique<StateLog>(store_, std::move(prefix));
}

// Loads the logs under a letter, of all windows in one pass.
absl::Status WindowState::LoadLogs(char letter, Log log, LoadRecord load) {
  Window* window = nullptr;
  const auto visit = [&](uint32_t number, const std::string_view* record) { return load(window, number, record); };
  const std::string begin(1, letter), end(1, static_cast<char>(letter + 1));
  const std::unique_ptr<StateIterator> it = store_->Scan(begin, end);
  for (; it->Valid(); it->Next()) {
    if (it->key().size() < kPrefixBytes) return Damaged();
    const int64_t start = ReadOrdered(it->key().substr(1, 8));
    if (window == nullptr || window->start_us != start) {
      if (window != nullptr) TM_RETURN_IF_ERROR((window->*log)->FinishLoad(visit));
      window = groups_->MakeWindow(start);
      window->*log = MakeLog(letter, start);
    }
    TM_RETURN_IF_ERROR((window->*log)->LoadEntry(it->key(), it->value(), visit));
  }
  TM_RETURN_IF_ERROR(it->status());
  return window == nullptr ? absl::OkStatus() : (window->*log)->FinishLoad(visit);
}

absl::Status WindowState::Load() {
  const auto slot_of = [](const Window* window, uint32_t number) {
    return number < window->slots.size() ? window->slots[number] : GroupSet::kNoSlot;
  };
  TM_RETURN_IF_ERROR(LoadLogs(kKeys, &Window::key_log, [&](Window* window, uint32_t number, const auto* key) {
    if (key != nullptr) {
      groups_->LoadKey(window, number, *key);
    } else if (const uint32_t slot = slot_of(window, number); slot != GroupSet::kNoSlot) {
      groups_->Free(slot);
    }
    return absl::OkStatus();
  }));
  for (auto& [start, window] : groups_->windows()) window.keyed = window.slots.size();
  // A number may have had several groups; the values of the last are the last in the log.
  TM_RETURN_IF_ERROR(LoadLogs(kValues, &Window::value_log, [&](Window* window, uint32_t number, const auto* values) {
    const uint32_t slot = slot_of(window, number);
    if (slot == GroupSet::kNoSlot) return absl::OkStatus();
    if (values != nullptr) return groups_->LoadValues(slot, *values);
    groups_->ForgetValues(slot);
    return absl::OkStatus();
  }));
  TM_RETURN_IF_ERROR(LoadChanges());
  TM_RETURN_IF_ERROR(LoadLogs(kWhole, &Window::whole_log, [&](Window* window, uint32_t number, const auto* group) {
    if (group != nullptr) return groups_->LoadWhole(window, number, *group);
    if (const uint32_t slot = slot_of(window, number); slot != GroupSet::kNoSlot) groups_->Free(slot);
    return absl::OkStatus();
  }));
  // Keys whose groups are gone: the log of values may have dropped even the marks of that.
  for (auto& [start, window] : groups_->windows()) {
    for (uint32_t number = 0; number < window.slots.size(); ++number) {
      const uint32_t slot = window.slots[number];
      if (slot != GroupSet::kNoSlot && groups_->rows(slot) == 0) groups_->Free(slot);
      if (window.slots[number] == GroupSet::kNoSlot) window.free_numbers.push_back(number);
    }
  }
  return absl::OkStatus();
}

// Behind the values that they change.
absl::Status WindowState::LoadChanges() {
  Window* loaded = nullptr;
  const auto apply = [&](uint32_t number, std::string_view changes) {
    const uint32_t slot = number < loaded->slots.size() ? loaded->slots[number] : GroupSet::kNoSlot;
    return slot == GroupSet::kNoSlot ? Damaged() : groups_->LoadChanges(slot, changes);
  };
  TM_RETURN_IF_ERROR(LoadLogs(kChanges, &Window::change_log, [&](Window* window, uint32_t number, const auto* record) {
    if (window != loaded && loaded != nullptr) TM_RETURN_IF_ERROR(loaded->large.FinishLoad(apply));
    loaded = window;
    return window->large.LoadRecord(number, record);
  }));
  if (loaded == nullptr) return absl::OkStatus();
  store_->NeedFormat(kLargeGroups);
  return loaded->large.FinishLoad(apply);
}

// What earlier versions wrote of the window is written anew, once it changes.
void WindowState::ReplaceWhole(Window* window) {
  window->whole_log->Drop();
  window->whole_log = nullptr;
  window->changed.clear();
  for (const uint32_t slot : window->slots) {
    if (slot != GroupSet::kNoSlot) window->changed.push_back(slot);
  }
}

absl::Status WindowState::Save(uint64_t commit, Window* window) {
  if (window->whole_log) ReplaceWhole(window);
  if (!window->key_log) window->key_log = MakeLog(kKeys, window->start_us);
  if (!window->value_log) window->value_log = MakeLog(kValues, window->start_us);
  if (!window->change_log && groups_->CanNoteChanges()) window->change_log = MakeLog(kChanges, window->start_us);
  for (StateLog* log : LogsOf(*window)) log->Begin(commit);
  std::vector<uint32_t> evicted = std::exchange(window->evicted, {});
  for (const uint32_t number : evicted) {
    window->key_log->Erase(number);
    Forget(window, number);
  }
  for (const uint32_t number : std::exchange(window->rekeyed, {})) {
    const uint32_t slot = window->slots[number];
    if (slot != GroupSet::kNoSlot && number < window->keyed) window->key_log->Put(number, groups_->key(slot));
  }
  window->free_numbers.insert(window->free_numbers.end(), evicted.begin(), evicted.end());
  for (; window->keyed < window->slots.size(); ++window->keyed) {
    const uint32_t slot = window->slots[window->keyed];
    if (slot != GroupSet::kNoSlot) window->key_log->Put(static_cast<uint32_t>(window->keyed), groups_->key(slot));
  }
  for (const uint32_t number : std::exchange(window->erased, {})) Forget(window, number);
  const std::vector<uint32_t>& changed = window->changed;
  for (size_t i = 0; i < changed.size(); ++i) {
    if (i + kAhead < changed.size()) groups_->PrefetchGroup(changed[i + kAhead]);
    SaveGroup(window, changed[i]);
  }
  window->changed.clear();
  for (StateLog* log : LogsOf(*window)) TM_RETURN_IF_ERROR(log->Commit());
  return absl::OkStatus();
}

// What has changed in it since it was written last, or all there is.
void WindowState::SaveGroup(Window* window, uint32_t slot) {
  const uint32_t number = groups_->number(slot);
  record_.clear();
  const bool noted = window->change_log && groups_->NotesChanges(slot);
  if (noted) {
    groups_->SaveChanges(slot, &record_);
    if (const std::optional<uint32_t> added = window->large.Add(number, &record_)) {
      window->change_log->Put(*added, record_);
      groups_->NoteChanges(slot, true);
      return store_->NeedFormat(kLargeGroups);
    }
    record_.clear();
  }
  groups_->SaveValues(slot, &record_);
  if (window->change_log) {
    ForgetChanges(window, number);
    const bool large = record_.size() >= LargeGroups::kLargeBytes;
    if (large) window->large.Begin(number, record_.size());
    if (large || noted) groups_->NoteChanges(slot, large);
  }
  window->value_log->Put(number, record_);
}

// The values of the group that had this number, and what changed in them.
void WindowState::Forget(Window* window, uint32_t number) {
  window->value_log->Erase(number);
  ForgetChanges(window, number);
}

void WindowState::ForgetChanges(Window* window, uint32_t number) {
  window->large.Forget(number, [&](uint32_t record) { window->change_log->Erase(record); });
}

void WindowState::Drop(Window* window) {
  for (const auto* log : {&window->key_log, &window->value_log, &window->change_log, &window->whole_log}) {
    if (*log) (*log)->Drop();
  }
}

}  // namespace tidemark
