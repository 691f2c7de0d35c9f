#include "operators/top/rows.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "operators/top/codec.h"
#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"
#include "state/keyed_rows.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 1024;
constexpr size_t kTimersAtOnce = 4096;

absl::Status Damaged() { return absl::DataLossError("a group of top in the state can't be read"); }

class TopRows final : public Operator {
 public:
  TopRows(const Node& node, const TopSpec& spec)
      : name_(node.step), k_(static_cast<size_t>(spec.k)), codec_(node, spec) {}

  std::string_view name() const override { return name_; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override {
    return UsedBytes() + (stored_ ? stored_->MemoryBytes() + timers_->MemoryBytes() : 0);
  }

 private:
  struct Row {  // both in one piece: there are many
    std::string bytes;
    size_t rank_size = 0;

    std::string_view rank() const { return std::string_view(bytes).substr(0, rank_size); }
    std::string_view row() const { return std::string_view(bytes).substr(rank_size); }
    int64_t Bytes() const { return static_cast<int64_t>(bytes.size() + sizeof(Row)); }
    friend bool operator<(const Row& a, const Row& b) { return a.rank() < b.rank(); }
  };
  struct Group {
    std::string key;
    int64_t time = kMinTime.us;
    std::vector<Row> rows;         // a heap, the worst in front
    bool in_state = false;         // there is a record of it
    std::optional<int64_t> timer;  // under which the state has when it is over
    bool changed = false;          // and differs from it
  };

  absl::Status Bring(absl::Span<const std::string_view> keys, std::vector<Group*>* groups);
  absl::Status LoadStored(std::string_view record, Group* group);
  absl::Status LoadFormer();
  absl::Status RecallDue(EventTime time, EventTime* until);
  static void TimerOf(int64_t time, std::string_view key, std::string* timer);
  void SetTime(Group* group, int64_t time);
  // False: it isn't among the best.
  bool Keep(Group* group, std::string_view rank, std::string_view row);
  void Forget(Group* group);
  static bool LosesTimer(const Group& group) {
    return group.timer && (group.rows.empty() || *group.timer != group.time);
  }
  void Store(Group* group);
  absl::Status EmitSome(EventTime time, Emitter& emitter);
  int64_t UsedBytes() const { return bytes_ + static_cast<int64_t>(groups_.size() * (sizeof(Group) + kGroupBytes)); }

  static constexpr size_t kGroupBytes = 64;  // of a group in the tables below, about

  const std::string name_;
  const size_t k_;
  const TopCodec codec_;
  StepLedger* ledger_ = nullptr;
  // Groups as of the last commit, and when they are over: a row of nothing under the time and the key.
  std::optional<KeyedRows> stored_, timers_;
  // Those that the commit under way has to do with.
  std::deque<Group> groups_;
  absl::flat_hash_map<std::string_view, Group*> by_key_;    // keys lie in groups_
  std::set<std::pair<int64_t, std::string_view>> waiting_;  // (time, key), likewise
  int64_t bytes_ = 0;                                       // of their rows
  EventTime output_watermark_ = kMinTime;
  // Scratch.
  TopKeys keys_, batch_keys_;
  std::vector<std::string_view> wanted_;
  std::vector<Group*> brought_;
  std::string record_;
};

absl::Status TopRows::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  stored_.emplace(context.state, "g", context.memory);
  timers_.emplace(context.state, "d", context.memory, KeyedRows::Options{.ordered = true});
  TM_RETURN_IF_ERROR(stored_->Load());
  TM_RETURN_IF_ERROR(timers_->Load());
  return LoadFormer();
}

// What earlier versions wrote: groups by number, without timers.
absl::Status TopRows::LoadFormer() {
  return stored_->LoadFormer("t", [&](std::string_view record, std::string* key, std::string* row) {
    Group group;
    TM_RETURN_IF_ERROR(LoadStored(record, &group));
    bytes_ = 0;
    key->assign(keys_.groups[0]);
    row->assign(record);
    TimerOf(group.time, *key, &record_);
    timers_->Put(record_, "");
    return absl::OkStatus();
  });
}

void TopRows::TimerOf(int64_t time, std::string_view key, std::string* timer) {
  timer->clear();
  AppendOrdered(time, timer);
  timer->append(key);
}

// A record is the time, then the rows, each behind its size.
absl::Status TopRows::LoadStored(std::string_view record, Group* group) {
  if (record.size() < sizeof(group->time)) return Damaged();
  std::memcpy(&group->time, record.data(), sizeof(group->time));
  record.remove_prefix(sizeof(group->time));
  std::vector<std::string_view> rows;
  while (!record.empty()) {
    if (!TakeBytes(&record, &rows.emplace_back()))
      return absl::DataLossError("a row of top in the state can't be read");
  }
  if (rows.empty()) return Damaged();
  TM_ASSIGN_OR_RETURN(const Batch batch, codec_.DecodeInput(rows));
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &keys_));
  for (size_t i = 0; i < rows.size(); ++i) Keep(group, keys_.ranks[i], keys_.rows[i]);
  return absl::OkStatus();
}

// These groups, made or read where the commit hasn't had to do with them yet.
absl::Status TopRows::Bring(absl::Span<const std::string_view> keys, std::vector<Group*>* groups) {
  groups->clear();
  const size_t before = groups_.size();
  for (const std::string_view key : keys) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) {
      Group& group = groups_.emplace_back();
      group.key.assign(key);
      found = by_key_.emplace(group.key, &group).first;
    }
    groups->push_back(found->second);
  }
  std::vector<std::string_view> fetched;
  for (size_t at = before; at < groups_.size(); ++at) fetched.push_back(groups_[at].key);
  TM_RETURN_IF_ERROR(stored_->Fetch(fetched));
  for (size_t at = before; at < groups_.size(); ++at) {
    Group& group = groups_[at];
    const std::optional<std::string_view> record = stored_->Get(group.key);
    if (!record) continue;
    TM_RETURN_IF_ERROR(LoadStored(*record, &group));
    group.in_state = true;
    group.timer = group.time;
    waiting_.emplace(group.time, group.key);
  }
  return absl::OkStatus();
}

void TopRows::SetTime(Group* group, int64_t time) {
  if (!group->rows.empty()) {
    if (time <= group->time) return;
    waiting_.erase({group->time, group->key});
  }
  group->time = time;
  group->changed = true;
  waiting_.emplace(time, group->key);
}

bool TopRows::Keep(Group* group, std::string_view rank, std::string_view row) {
  if (group->rows.size() == k_) {
    if (rank >= group->rows.front().rank()) return false;
    std::pop_heap(group->rows.begin(), group->rows.end());
    bytes_ -= group->rows.back().Bytes();
  } else {
    group->rows.emplace_back();
  }
  Row& kept = group->rows.back();
  kept.bytes.clear();
  kept.bytes.reserve(rank.size() + row.size());
  kept.bytes.append(rank).append(row);
  kept.rank_size = rank.size();
  bytes_ += kept.Bytes();
  std::push_heap(group->rows.begin(), group->rows.end());
  return true;
}

// It has been emitted. Its place stays until the commit: rows may come for it again.
void TopRows::Forget(Group* group) {
  for (const Row& row : group->rows) bytes_ -= row.Bytes();
  waiting_.erase({group->time, group->key});
  group->rows = {};
  group->changed = true;
}

absl::Status TopRows::ProcessBatch(int /*input*/, const Batch& batch, Emitter& /*emitter*/) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  ledger_->absorbed += n;
  const TopKeys& keys = batch_keys_;
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &batch_keys_));
  // Windows put out the rows of one group together, more often than not.
  const auto begins = [&](int64_t i) { return i == 0 || keys.groups[i] != keys.groups[i - 1]; };
  wanted_.clear();
  for (int64_t i = 0; i < n; ++i) {
    if (begins(i)) wanted_.push_back(keys.groups[i]);
  }
  TM_RETURN_IF_ERROR(Bring(wanted_, &brought_));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  auto next = brought_.begin();
  Group* group = nullptr;
  for (int64_t i = 0; i < n; ++i) {
    if (begins(i)) group = *next++;
    SetTime(group, times[i]);
    if (Keep(group, keys.ranks[i], keys.rows[i])) group->changed = true;
  }
  return absl::OkStatus();
}

absl::StatusOr<EventTime> TopRows::AdvanceWatermark(EventTime time, Emitter& emitter) {
  for (EventTime until = kMinTime; until < time && !emitter.Full();) {
    until = time;
    TM_RETURN_IF_ERROR(RecallDue(time, &until));
    while (!waiting_.empty() && waiting_.begin()->first <= until.us && !emitter.Full()) {
      TM_RETURN_IF_ERROR(EmitSome(until, emitter));
    }
  }
  EventTime hold = time;
  if (!waiting_.empty()) hold = std::min(hold, EventTime{waiting_.begin()->first} - 1);
  if (const uint64_t head = timers_->FirstHead(); head != KeyedRows::kNoHead) {
    hold = std::min(hold, EventTime{KeyedRows::OrderedOf(head)} - 1);
  }
  output_watermark_ = std::max(output_watermark_, hold);
  return output_watermark_;
}

// Groups of the state that are over by then: some of them, and `until` is the time up to which those are all.
absl::Status TopRows::RecallDue(EventTime time, EventTime* until) {
  const uint64_t end = time == kMaxTime ? KeyedRows::kNoHead : KeyedRows::HeadOf(time.us) + 1;
  if (timers_->FirstHead() >= end) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const uint64_t recalled, timers_->Recall(end, kTimersAtOnce));
  std::vector<std::string> due;
  const uint64_t seen = timers_->VisitBelow(recalled, kTimersAtOnce,
                                            [&](std::string_view key, std::string_view) { due.emplace_back(key); });
  wanted_.clear();
  for (const std::string& timer : due) wanted_.push_back(std::string_view(timer).substr(8));
  TM_RETURN_IF_ERROR(Bring(wanted_, &brought_));
  for (size_t i = 0; i < due.size(); ++i) {
    timers_->Delete(due[i]);
    brought_[i]->timer.reset();
    brought_[i]->changed = true;
  }
  if (seen < end) *until = EventTime{KeyedRows::OrderedOf(seen)} - 1;
  return absl::OkStatus();
}

// Emits complete groups, whole ones, about kEmitRows rows.
absl::Status TopRows::EmitSome(EventTime time, Emitter& emitter) {
  std::vector<Group*> done;
  std::vector<std::string_view> rows;
  std::vector<int64_t> ranks;
  HiddenValues hidden;
  for (auto it = waiting_.begin(); it != waiting_.end() && it->first <= time.us && rows.size() < kEmitRows; ++it) {
    Group& group = *by_key_.at(it->second);
    std::sort_heap(group.rows.begin(), group.rows.end());
    for (size_t r = 0; r < group.rows.size(); ++r) {
      rows.push_back(group.rows[r].row());
      ranks.push_back(static_cast<int64_t>(r) + 1);
      hidden.times.push_back(group.time);
    }
    done.push_back(&group);
  }
  TM_ASSIGN_OR_RETURN(Batch batch, codec_.Ranked(rows, ranks, hidden));
  ledger_->out += batch->num_rows();
  TM_RETURN_IF_ERROR(emitter.Emit(std::move(batch)));
  for (Group* const group : done) Forget(group);
  return absl::OkStatus();
}

// What waits on goes into the state, with when it is over.
void TopRows::Store(Group* group) {
  if (!group->changed) return;
  if (LosesTimer(*group)) {
    TimerOf(*group->timer, group->key, &record_);
    timers_->Delete(record_);
    group->timer.reset();
  }
  if (group->rows.empty()) {
    if (group->in_state) stored_->Delete(group->key);
    return;
  }
  if (!group->timer) {
    TimerOf(group->time, group->key, &record_);
    timers_->Put(record_, "");
  }
  record_.assign(reinterpret_cast<const char*>(&group->time), sizeof(group->time));
  for (const Row& row : group->rows) {
    AppendVarint(row.row().size(), &record_);
    record_.append(row.row());
  }
  stored_->Put(group->key, record_);
}

absl::Status TopRows::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  std::vector<std::string> timers;
  for (const Group& group : groups_) {
    if (LosesTimer(group)) TimerOf(*group.timer, group.key, &timers.emplace_back());
  }
  TM_RETURN_IF_ERROR(timers_->Fetch(std::vector<std::string_view>(timers.begin(), timers.end())));
  for (Group& group : groups_) Store(&group);
  const int64_t used = UsedBytes();  // the next commit will hold about as much
  waiting_.clear();
  by_key_.clear();
  groups_.clear();
  bytes_ = 0;
  TM_RETURN_IF_ERROR(stored_->Commit(commit, used));
  return timers_->Commit(commit);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeTopRows(const Node& node, const TopSpec& spec) {
  if (spec.k <= 0) return absl::InvalidArgumentError(absl::StrCat("step ", node.step, ": k must be at least 1"));
  return std::make_unique<TopRows>(node, spec);
}

}  // namespace tidemark
