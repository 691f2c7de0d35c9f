#include "operators/alert/watches.h"

#include <algorithm>

#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr char kDurations[] = "b";
constexpr size_t kTimersAtOnce = 1024;
constexpr size_t kRetimedAtOnce = 1024;
constexpr int64_t kKeyBytes = sizeof(WatchedKey) + 12 * sizeof(void*);  // of one in use, beside key and rows

absl::Status Damaged() { return absl::DataLossError("a key of an alert in the state can't be read"); }

void AppendWatches(const std::array<Watch, 2>& watches, std::string* record) {
  for (const Watch& watch : watches) {
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

bool TakeWatch(std::string_view* record, Watch* watch) {
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

// ---- Opening -------------------------------------------------------------------------------------------------------

absl::Status Watches::Load() {
  TM_RETURN_IF_ERROR(keys_.Load());
  TM_RETURN_IF_ERROR(timers_.Load());
  TM_ASSIGN_OR_RETURN(std::optional<std::string> set_by, store_->Get(kDurations));
  // Without: there are no timers yet.
  timed_ = !set_by || *set_by == Durations();
  set_by_ = set_by.value_or("");
  return LoadFormer();
}

std::string Watches::Durations() const {
  std::string durations;
  for (const int64_t each : {spec_.for_us, spec_.absent_us, spec_.forget_us, spec_.remind_us}) {
    AppendOrdered(each, &durations);
  }
  return durations;
}

// The key with its size, then the watches: without timers.
absl::Status Watches::LoadFormer() {
  return keys_.LoadFormer("k", [&](std::string_view record, std::string* key, std::string* row) {
    std::string_view bytes;
    if (!TakeBytes(&record, &bytes)) return Damaged();
    key->assign(bytes);
    row->clear();
    AppendOrdered(kNever, row);
    row->append(record);
    WatchedKey watched;
    TM_RETURN_IF_ERROR(Read(*row, &watched));
    const int64_t due = watched.empty() ? floor_ : DueOf(watched);
    if (due == kNever) return absl::OkStatus();
    row->clear();
    AppendOrdered(due, row);
    row->append(record);
    TimerOf(due, *key, &record_);
    timers_.Put(record_, "");
    return absl::OkStatus();
  });
}

absl::Status Watches::Read(std::string_view record, WatchedKey* key) const {
  if (record.size() < 8) return Damaged();
  key->timer = key->stored_timer = ReadOrdered(record.substr(0, 8));
  record.remove_prefix(8);
  for (Watch& watch : key->watches) {
    if (!TakeWatch(&record, &watch)) return Damaged();
  }
  if (!record.empty()) return Damaged();
  // Absence isn't looked for any more; one that is raised still ends.
  Watch& absence = key->watches[kAbsence];
  if (spec_.absent_us == 0 && absence.phase == Watch::Phase::kPending) absence = Watch();
  return absl::OkStatus();
}

// Only a timer that would come too late has to be set anew.
absl::Status Watches::Retime() {
  std::vector<std::string> keys;
  absl::Status status;
  const auto look = [&](std::string_view key, std::string_view record) {
    WatchedKey watched;
    status.Update(Read(record, &watched));
    if (watched.empty() || DueOf(watched) < watched.timer) keys.emplace_back(key);
  };
  TM_ASSIGN_OR_RETURN(timed_, keys_.GoOn(&walk_, kRetimedAtOnce, look));
  TM_RETURN_IF_ERROR(status);
  TM_RETURN_IF_ERROR(Bring(std::vector<std::string_view>(keys.begin(), keys.end())));
  for (const std::string& key : keys) Changed(by_key_.at(key));
  return absl::OkStatus();
}

// ---- Keys that the commit deals with -------------------------------------------------------------------------------

absl::Status Watches::Bring(absl::Span<const std::string_view> keys) {
  std::vector<std::string_view> unused;
  for (const std::string_view key : keys) {
    if (!by_key_.contains(key)) unused.push_back(key);
  }
  TM_RETURN_IF_ERROR(keys_.Fetch(unused));
  for (const std::string_view key : unused) {
    if (by_key_.contains(key)) continue;  // twice in `keys`
    const std::optional<std::string_view> record = keys_.Get(key);
    if (!record) continue;
    WatchedKey* const used = Use(key);
    TM_RETURN_IF_ERROR(Read(*record, used));
    used->stored = true;
    SetDue(used, used->timer);
    row_bytes_ += static_cast<int64_t>(key.size() + record->size());
  }
  return absl::OkStatus();
}

WatchedKey* Watches::Use(std::string_view key) {
  WatchedKey& used = used_.emplace_back();
  used.key = key;
  by_key_.emplace(used.key, &used);
  return &used;
}

WatchedKey* Watches::Find(std::string_view key) {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : it->second;
}

WatchedKey* Watches::FindOrMake(std::string_view key) {
  if (WatchedKey* const found = Find(key)) return found;
  row_bytes_ += static_cast<int64_t>(key.size());
  return Use(key);
}

void Watches::Changed(WatchedKey* key) {
  key->changed = true;
  // A timer that comes too early only looks again: most readings move what is due to later.
  const int64_t due = DueOf(*key);
  if (due < key->due || key->empty()) SetDue(key, due);
}

void Watches::SetDue(WatchedKey* key, int64_t due) {
  if (key->due != kNever) due_.erase(Timer{key->due, key});
  key->due = due;
  if (due != kNever) due_.insert(Timer{due, key});
}

// ---- Time ----------------------------------------------------------------------------------------------------------

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

int64_t Watches::first_due() const {
  const uint64_t head = timers_.FirstHead();
  return std::min(due_.empty() ? kNever : due_.begin()->due,
                  head == KeyedRows::kNoHead ? kNever : KeyedRows::OrderedOf(head));
}

WatchedKey* Watches::NextDue(int64_t before) {
  while (!due_.empty() && due_.begin()->due < before) {
    const Timer timer = *due_.begin();
    TimerOf(timer.due, timer.key->key, &record_);
    if (record_ >= brought_below_) return nullptr;
    const int64_t due = DueOf(*timer.key);
    if (due <= timer.due) return timer.key;
    SetDue(timer.key, due);
  }
  return nullptr;
}

absl::Status Watches::BringDue(int64_t before) {
  std::string end;
  AppendOrdered(before, &end);
  std::vector<std::string> timers;
  const auto add = [&](std::string_view timer, std::string_view) { timers.emplace_back(timer); };
  TM_ASSIGN_OR_RETURN(brought_below_, timers_.RecallSome(end, kTimersAtOnce, add));
  std::vector<std::string_view> keys;
  for (const std::string& timer : timers) keys.push_back(std::string_view(timer).substr(8));
  TM_RETURN_IF_ERROR(Bring(keys));
  for (size_t i = 0; i < timers.size(); ++i) {
    timers_.Delete(timers[i]);
    WatchedKey* const key = Find(keys[i]);
    // A key may have been given another timer as it came from a version before, twice over a crash.
    if (key != nullptr && key->timer == ReadOrdered(std::string_view(timers[i]).substr(0, 8))) key->timer = kNever;
  }
  return absl::OkStatus();
}

// ---- State ---------------------------------------------------------------------------------------------------------

void Watches::TimerOf(int64_t due, std::string_view key, std::string* timer) {
  timer->clear();
  AppendOrdered(due, timer);
  timer->append(key);
}

void Watches::Store(WatchedKey* key) {
  if (key->timer != kNever && key->timer != key->due) {
    TimerOf(key->timer, key->key, &record_);
    timers_.Delete(record_);
    key->timer = kNever;
  }
  if (key->due != key->timer && !MutationActive(Mutation::kAlertTimerLost)) {
    TimerOf(key->due, key->key, &record_);
    timers_.Put(record_, "");
  }
  if (key->empty()) {
    if (key->stored) keys_.Delete(key->key);
    return;
  }
  if (!key->changed && key->due == key->stored_timer) return;
  record_.clear();
  AppendOrdered(key->due, &record_);
  AppendWatches(key->watches, &record_);
  keys_.Put(key->key, record_);
}

absl::Status Watches::Commit(uint64_t commit) {
  std::vector<std::string> timers;  // that go
  for (const WatchedKey& key : used_) {
    if (key.timer != kNever && key.timer != key.due) TimerOf(key.timer, key.key, &timers.emplace_back());
  }
  TM_RETURN_IF_ERROR(timers_.Fetch(std::vector<std::string_view>(timers.begin(), timers.end())));
  for (WatchedKey& key : used_) Store(&key);
  if (std::string durations = Durations(); timed_ && set_by_ != durations) {
    set_by_ = std::move(durations);
    store_->Put(kDurations, set_by_);
  }
  const int64_t used = UsedBytes();  // the next commit will hold about as much
  due_.clear();
  by_key_.clear();
  used_.clear();
  brought_below_.clear();
  row_bytes_ = 0;
  TM_RETURN_IF_ERROR(keys_.Commit(commit, used));
  return timers_.Commit(commit);
}

int64_t Watches::UsedBytes() const { return static_cast<int64_t>(used_.size()) * kKeyBytes + row_bytes_; }

}  // namespace tidemark
