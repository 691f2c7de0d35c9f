#include "operators/window/open_sessions.h"

#include <algorithm>
#include <tuple>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr size_t kTimersAtOnce = 8192;

// Of a timer: ascending with time, and none is KeyedRows::kNoHead.
uint64_t HeadOf(EventTime time) {
  return std::min(static_cast<uint64_t>(time.us) ^ (uint64_t{1} << 63), KeyedRows::kNoHead - 1);
}
EventTime TimeOf(uint64_t head) { return EventTime{static_cast<int64_t>(head ^ (uint64_t{1} << 63))}; }

absl::Status Damaged() { return absl::DataLossError("the sessions of a group in the state can't be read"); }

}  // namespace

absl::Status OpenSessions::Load() {
  TM_RETURN_IF_ERROR(sessions_.Load());
  return timers_.Load();
}

absl::Status OpenSessions::Visit(std::string_view row, Visitor visit) {
  while (!row.empty()) {
    if (row.size() < 8) return Damaged();
    const int64_t first = ReadOrdered(row.substr(0, 8));
    row.remove_prefix(8);
    std::string_view values;
    if (!TakeBytes(&row, &values)) return Damaged();
    TM_RETURN_IF_ERROR(visit(first, values));
  }
  return absl::OkStatus();
}

absl::Status OpenSessions::VisitStored(uint32_t number, Visitor visit) {
  const std::optional<std::string_view> row = sessions_.Get(used_[number].key);
  return row ? Visit(*row, visit) : absl::OkStatus();
}

absl::Status OpenSessions::LoadSessions(Group* group) {
  const std::optional<std::string_view> row = sessions_.Get(group->key);
  if (!row) return absl::OkStatus();
  TM_RETURN_IF_ERROR(Visit(*row, [&](int64_t first, std::string_view values) -> absl::Status {
    TM_ASSIGN_OR_RETURN(const uint32_t slot, groups_->Borrow(nullptr, group->key, values));
    group->sessions.push_back({first, groups_->time(slot), slot});
    return absl::OkStatus();
  }));
  if (group->sessions.empty()) return Damaged();
  group->timed = End(group->sessions.front());
  return absl::OkStatus();
}

// The numbers of these groups. Those that the commit hasn't dealt with are read, all together.
absl::Status OpenSessions::Bring(absl::Span<const std::string_view> keys, std::vector<uint32_t>* numbers) {
  const size_t before = used_.size();
  std::vector<std::string_view> fetched;
  numbers->clear();
  for (const std::string_view key : keys) {
    auto found = index_.find(key);
    if (found == index_.end()) {
      Group& group = used_.emplace_back();
      group.key = {keys_.Add(key), key.size()};
      found = index_.emplace(group.key, static_cast<uint32_t>(used_.size() - 1)).first;
      fetched.push_back(group.key);
    }
    numbers->push_back(found->second);
  }
  TM_RETURN_IF_ERROR(sessions_.Fetch(fetched));
  for (size_t number = before; number < used_.size(); ++number) TM_RETURN_IF_ERROR(LoadSessions(&used_[number]));
  return absl::OkStatus();
}

// ---- Rows ----------------------------------------------------------------------------------------------------------

absl::Status OpenSessions::Locate(const EncodedKeys& keys, WindowPairs* pairs) {
  const size_t n = pairs->rows.size();
  batch_keys_.clear();
  for (const int32_t row : pairs->rows) batch_keys_.push_back(keys[static_cast<size_t>(row)]);
  TM_RETURN_IF_ERROR(Bring(batch_keys_, &numbers_));
  pairs->slots.resize(n);
  merged_.clear();
  for (size_t p = 0; p < n; ++p) pairs->slots[p] = Take(&used_[numbers_[p]], pairs->starts[p]);
  if (!merged_.empty()) {
    // What a session went into may itself have gone into another later.
    absl::flat_hash_map<uint32_t, uint32_t> into;
    for (auto it = merged_.rbegin(); it != merged_.rend(); ++it) {
      const auto further = into.find(it->second);
      const uint32_t to = further == into.end() ? it->second : further->second;
      into.emplace(it->first, to);
    }
    for (uint32_t& slot : pairs->slots) {
      if (const auto it = into.find(slot); it != into.end()) slot = it->second;
    }
    for (const auto& [from, to] : merged_) groups_->FreeCopy(from);
  }
  for (const uint32_t number : numbers_) SetTimer(&used_[number]);
  return absl::OkStatus();
}

// The slot of the session that the row makes, or makes longer, or makes one of two.
uint32_t OpenSessions::Take(Group* group, int64_t time) {
  group->changed = true;
  std::vector<Session>& sessions = group->sessions;
  const EventTime at{time};
  const auto it = std::partition_point(sessions.begin(), sessions.end(), [&](const Session& s) { return End(s) < at; });
  if (it == sessions.end() || at + gap_us_ < EventTime{it->first}) {
    return sessions.insert(it, {time, time, groups_->MakeLoose(group->key)})->slot;
  }
  it->first = std::min(it->first, time);
  it->last = std::max(it->last, time);
  const auto next = it + 1;
  const uint32_t slot = it->slot;
  if (next == sessions.end() || End(*it) < EventTime{next->first}) return slot;
  groups_->MergeInto(next->slot, slot);
  it->last = next->last;
  merged_.emplace_back(next->slot, slot);
  sessions.erase(next);
  return slot;
}

void OpenSessions::SetTimer(Group* group) {
  if (group->sessions.empty()) return;
  const EventTime end = End(group->sessions.front());
  if (group->timed && *group->timed <= end) return;
  group->timed = end;
  row_.clear();
  AppendBigEndian(HeadOf(end), 8, &row_);
  row_.append(group->key);
  timers_.Put(row_, "");
}

// ---- Closing -------------------------------------------------------------------------------------------------------

absl::StatusOr<bool> OpenSessions::FindDue(EventTime until) {
  const uint64_t end = until == kMaxTime ? KeyedRows::kNoHead : HeadOf(until) + 1;
  passed_.clear();
  visited_.clear();
  due_.clear();
  if (timers_.FirstHead() >= end) return false;
  TM_ASSIGN_OR_RETURN(const uint64_t recalled, timers_.Recall(end, kTimersAtOnce));
  const uint64_t seen = timers_.VisitBelow(recalled, kTimersAtOnce,
                                           [&](std::string_view key, std::string_view) { passed_.emplace_back(key); });
  std::sort(passed_.begin(), passed_.end());  // wherever they were
  std::vector<std::string_view> keys;
  for (const std::string& timer : passed_) keys.push_back(std::string_view(timer).substr(8));
  TM_RETURN_IF_ERROR(Bring(keys, &visited_));
  std::sort(visited_.begin(), visited_.end());
  visited_.erase(std::unique(visited_.begin(), visited_.end()), visited_.end());
  for (const uint32_t number : visited_) {
    for (const Session& session : used_[number].sessions) {
      // A group that wasn't looked at may have one that ends where the timers go on.
      if (until < End(session) || (seen < end && HeadOf(End(session)) >= seen)) break;
      due_.push_back({number, session});
    }
  }
  std::sort(due_.begin(), due_.end(), [this](const Due& a, const Due& b) {
    if (a.session.last != b.session.last) return a.session.last < b.session.last;
    return used_[a.group].key < used_[b.group].key;
  });
  return true;
}

// Of each group they are the first ones.
void OpenSessions::Close(absl::Span<const Due> due) {
  absl::flat_hash_map<uint32_t, int64_t> closed;  // by group
  for (const Due& each : due) {
    ++closed[each.group];
    groups_->FreeCopy(each.session.slot);
  }
  for (const auto& [number, count] : closed) {
    Group& group = used_[number];
    group.changed = true;
    group.sessions.erase(group.sessions.begin(), group.sessions.begin() + count);
  }
}

void OpenSessions::FinishDue() {
  for (const std::string& timer : passed_) timers_.Delete(timer);
  for (const uint32_t number : visited_) {
    Store(number);
    used_[number].timed.reset();
    SetTimer(&used_[number]);
  }
}

EventTime OpenSessions::FirstEnd() const {
  const uint64_t head = timers_.FirstHead();
  return head == KeyedRows::kNoHead ? kMaxTime : TimeOf(head);
}

// ---- State ---------------------------------------------------------------------------------------------------------

void OpenSessions::Store(uint32_t number) {
  Group& group = used_[number];
  if (!std::exchange(group.changed, false)) return;
  if (group.sessions.empty()) {
    sessions_.Delete(group.key);
    return;
  }
  row_.clear();
  for (const Session& session : group.sessions) {
    AppendOrdered(session.first, &row_);
    values_.clear();
    groups_->SaveValues(session.slot, &values_);
    AppendVarint(values_.size(), &row_);
    row_.append(values_);
  }
  sessions_.Put(group.key, row_);
}

absl::Status OpenSessions::Commit(uint64_t commit) {
  for (uint32_t number = 0; number < used_.size(); ++number) Store(number);
  // The next commit will hold about as much beside the rows.
  const int64_t used_bytes = UsedBytes();
  groups_->Clear();
  index_.clear();
  used_.clear();
  keys_ = ByteArena();
  TM_RETURN_IF_ERROR(sessions_.Commit(commit, used_bytes));
  return timers_.Commit(commit);
}

int64_t OpenSessions::UsedBytes() const {
  return groups_->MemoryBytes() +
         static_cast<int64_t>(keys_.MemoryBytes() + used_.size() * (sizeof(Group) + sizeof(Session)) +
                              index_.capacity() * (sizeof(std::string_view) + sizeof(uint32_t) + 1));
}

int64_t OpenSessions::MemoryBytes() const { return sessions_.MemoryBytes() + timers_.MemoryBytes() + UsedBytes(); }

}  // namespace tidemark
