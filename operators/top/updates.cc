#include "operators/top/updates.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "operators/numbered_rows.h"
#include "operators/top/codec.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

class TopUpdates final : public Operator {
 public:
  TopUpdates(const Node& node, const TopSpec& spec)
      : name_(node.step), k_(static_cast<size_t>(spec.k)), has_rank_(!spec.rank.empty()), codec_(node, spec) {}

  std::string_view name() const override { return name_; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override {
    return bytes_ + static_cast<int64_t>(rows_.capacity() * sizeof(Row)) + (numbers_ ? numbers_->MemoryBytes() : 0);
  }

 private:
  struct Ranked {  // a row that stood or stands in a list
    std::string key, row;
    int64_t time = 0;

    TopChanges::Listed listed() const { return {row, time}; }
  };
  struct Group {
    std::map<std::string, uint32_t> rows;  // by rank bytes: numbers
    bool changed = false;
    std::vector<Ranked> before;  // if changed: the first k as of the last commit
  };
  struct Row {
    std::string key, rank, row;
    int64_t time = 0;
    Group* group = nullptr;  // null: the number is free
  };
  using Groups = std::map<std::string, Group, std::less<>>;  // ordered: changes come out in the order of the group keys

  std::vector<Ranked> FirstK(const Group& group) const;
  void Touch(Groups::iterator group);
  void Insert(uint32_t number, const TopKeys& keys, int64_t i, int64_t time, Group* group);
  void Remove(uint32_t number);
  absl::Status EmitChanges(Emitter& emitter);
  static void CompareByKey(const std::vector<Ranked>& before, const std::vector<Ranked>& after, TopChanges* changes);

  const std::string name_;
  const size_t k_;
  const bool has_rank_;
  const TopCodec codec_;
  StepLedger* ledger_ = nullptr;
  std::optional<NumberedRows> numbers_;
  Groups groups_;
  std::vector<Row> rows_;  // by number
  absl::flat_hash_map<std::string, uint32_t> by_key_;
  std::vector<Groups::iterator> changed_groups_;
  int64_t bytes_ = 0;
  TopKeys keys_;  // scratch
};

absl::Status TopUpdates::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  numbers_.emplace(context.state, "r");
  const auto load = [&](absl::Span<const uint32_t> numbers, absl::Span<const std::string_view> records) {
    std::vector<int64_t> times;
    TM_RETURN_IF_ERROR(codec_.Load(records, &times, &keys_));
    for (size_t i = 0; i < numbers.size(); ++i) {
      Insert(numbers[i], keys_, static_cast<int64_t>(i), times[i], &groups_[std::string(keys_.groups[i])]);
    }
    return absl::OkStatus();
  };
  return numbers_->Load([&](size_t size) { rows_.resize(size); }, load);
}

std::vector<TopUpdates::Ranked> TopUpdates::FirstK(const Group& group) const {
  std::vector<Ranked> list;
  for (auto it = group.rows.begin(); it != group.rows.end() && list.size() < k_; ++it) {
    const Row& row = rows_[it->second];
    list.push_back({row.key, row.row, row.time});
  }
  return list;
}

void TopUpdates::Touch(Groups::iterator group) {
  if (std::exchange(group->second.changed, true)) return;
  group->second.before = FirstK(group->second);
  changed_groups_.push_back(group);
}

void TopUpdates::Insert(uint32_t number, const TopKeys& keys, int64_t i, int64_t time, Group* group) {
  Row& row = rows_[number];
  row.key.assign(keys.keys[i]);
  // The order spells out all columns, so ranks of different rows differ; the key says so once more.
  row.rank.assign(keys.ranks[i]);
  row.rank.append(row.key);
  row.row.assign(keys.rows[i]);
  row.time = time;
  row.group = group;
  group->rows.emplace(row.rank, number);
  by_key_[row.key] = number;
  bytes_ += static_cast<int64_t>(2 * (row.key.size() + row.rank.size()) + row.row.size() + 96);
}

void TopUpdates::Remove(uint32_t number) {
  Row& row = rows_[number];
  bytes_ -= static_cast<int64_t>(2 * (row.key.size() + row.rank.size()) + row.row.size() + 96);
  row.group->rows.erase(row.rank);
  by_key_.erase(row.key);
  row.key = row.rank = row.row = std::string();
  row.group = nullptr;
  numbers_->Remove(number);
}

absl::Status TopUpdates::ProcessBatch(int /*input*/, const Batch& batch, Emitter& /*emitter*/) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  ledger_->absorbed += n;
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &keys_));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int8_t* ops = HiddenOps(*batch);
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view key = keys_.keys[i];
    const auto group = groups_.try_emplace(std::string(keys_.groups[i])).first;
    Touch(group);
    if (const auto old = by_key_.find(absl::string_view(key.data(), key.size())); old != by_key_.end()) {
      const uint32_t number = old->second;
      // A key that moves to another group is taken from the old one first; that one has been touched by its retraction.
      Remove(number);
    }
    if (IsRetraction(ops, i)) continue;
    const uint32_t number = numbers_->Add();
    if (number == rows_.size()) rows_.emplace_back();
    Insert(number, keys_, i, times[i], &group->second);
    numbers_->Change(number);
  }
  return absl::OkStatus();
}

absl::Status TopUpdates::PrepareCommit(uint64_t commit, Emitter& emitter) {
  TM_RETURN_IF_ERROR(EmitChanges(emitter));
  return numbers_->Commit(commit, [&](uint32_t number, std::string* record) {
    *record = TopRecord(rows_[number].time, rows_[number].row);
  });
}

absl::Status TopUpdates::EmitChanges(Emitter& emitter) {
  std::sort(changed_groups_.begin(), changed_groups_.end(), [](auto a, auto b) { return a->first < b->first; });
  TopChanges changes(codec_, ledger_, emitter);
  std::vector<std::vector<Ranked>> alive;  // what `changes` points to
  const auto listed = [](const std::vector<Ranked>& rows) {
    std::vector<TopChanges::Listed> list;
    for (const Ranked& row : rows) list.push_back(row.listed());
    return list;
  };
  for (const Groups::iterator it : std::exchange(changed_groups_, {})) {
    Group& group = it->second;
    alive.push_back(std::exchange(group.before, {}));
    alive.push_back(FirstK(group));
    const std::vector<Ranked>&before = alive[alive.size() - 2], &after = alive.back();
    has_rank_ ? changes.CompareByRank(listed(before), listed(after)) : CompareByKey(before, after, &changes);
    group.changed = false;
    if (group.rows.empty()) groups_.erase(it);
    if (changes.Full()) {
      TM_RETURN_IF_ERROR(changes.Flush());
      alive.clear();
    }
  }
  return changes.Flush();
}

void TopUpdates::CompareByKey(const std::vector<Ranked>& before, const std::vector<Ranked>& after,
                              TopChanges* changes) {
  const auto find = [](const std::vector<Ranked>& list, const std::string& key) {
    return std::find_if(list.begin(), list.end(), [&](const Ranked& r) { return r.key == key; });
  };
  for (const Ranked& row : before) {
    if (find(after, row.key) == after.end()) changes->Add(Op::kDelete, row.listed(), 0);
  }
  for (const Ranked& row : after) {
    const auto old = find(before, row.key);
    if (old == before.end()) {
      changes->Add(Op::kInsert, row.listed(), 0);
    } else if (old->row != row.row) {
      changes->Add(Op::kUpdateBefore, old->listed(), 0);
      changes->Add(Op::kUpdateAfter, row.listed(), 0);
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeTopUpdates(const Node& node, const TopSpec& spec) {
  if (spec.k <= 0) return absl::InvalidArgumentError(absl::StrCat("step ", node.step, ": k must be at least 1"));
  return std::make_unique<TopUpdates>(node, spec);
}

}  // namespace tidemark
