#include "operators/top/running.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/btree_map.h>
#include <absl/container/node_hash_map.h>
#include <absl/types/span.h>

#include "operators/numbered_rows.h"
#include "operators/top/codec.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

class TopRunning final : public Operator {
 public:
  TopRunning(const Node& node, const TopSpec& spec)
      : name_(node.step), k_(static_cast<size_t>(spec.k)), codec_(node, spec) {
    for (const Column& column : node.in().schema.columns()) ties_differ_ |= column.type.kind == Kind::kDouble;
  }

  std::string_view name() const override { return name_; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override {
    return bytes_ + static_cast<int64_t>(rows_.capacity() * sizeof(Row)) + (numbers_ ? numbers_->MemoryBytes() : 0);
  }

 private:
  struct Row {
    std::string row;
    int64_t time = 0;
  };
  struct Group {
    absl::btree_multimap<std::string, uint32_t> rows;  // by rank: numbers. Rows of equal ranks are equal.
    bool changed = false;
  };
  using Groups = absl::node_hash_map<std::string, Group>;
  struct Change {
    Groups::pointer group;
    std::vector<uint32_t> before;  // the list as of the last commit
  };

  static std::vector<uint32_t> Numbers(const Group& group);
  static int64_t Bytes(size_t rank, size_t row) { return static_cast<int64_t>(rank + row + kRankBytes); }
  std::string_view RankOf(const TopKeys& keys, int64_t i);
  Groups::pointer FindGroup(std::string_view key);
  void Offer(Groups::pointer group, const TopKeys& keys, int64_t i, int64_t time);
  void Set(uint32_t number, Group* group, std::string_view rank, std::string_view row, int64_t time);
  void DropLast(Group* group);
  absl::Status EmitChanges(Emitter& emitter);
  std::vector<TopChanges::Listed> Listed(const std::vector<uint32_t>& numbers) const;

  static constexpr size_t kRankBytes = sizeof(std::pair<std::string, uint32_t>);

  const std::string name_;
  const size_t k_;
  const TopCodec codec_;
  bool ties_differ_ = false;  // -0 and 0 rank the same, and so do all NaNs
  StepLedger* ledger_ = nullptr;
  std::optional<NumberedRows> numbers_;
  Groups groups_;
  std::vector<Row> rows_;       // by number
  std::vector<uint32_t> left_;  // stood as of the last commit and don't any more
  std::vector<Change> changed_groups_;
  int64_t bytes_ = 0;
  TopKeys keys_;      // scratch
  std::string rank_;  // scratch
};

absl::Status TopRunning::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  numbers_.emplace(context.state, "n");
  const auto load = [&](absl::Span<const uint32_t> numbers, absl::Span<const std::string_view> records) {
    std::vector<int64_t> times;
    TM_RETURN_IF_ERROR(codec_.Load(records, &times, &keys_));
    for (size_t i = 0; i < numbers.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      Set(numbers[i], &FindGroup(keys_.groups[row])->second, RankOf(keys_, row), keys_.rows[row], times[i]);
    }
    return absl::OkStatus();
  };
  return numbers_->Load([&](size_t size) { rows_.resize(size); }, load);
}

// The list is in the order of these bytes, which are the same for no two rows that differ.
std::string_view TopRunning::RankOf(const TopKeys& keys, int64_t i) {
  if (!ties_differ_) return keys.ranks[i];
  rank_.assign(keys.ranks[i]);
  rank_.append(keys.rows[i]);
  return rank_;
}

TopRunning::Groups::pointer TopRunning::FindGroup(std::string_view key) {
  const auto [it, added] = groups_.try_emplace(absl::string_view(key.data(), key.size()));
  if (added) bytes_ += static_cast<int64_t>(sizeof(*it) + key.size());
  return &*it;
}

std::vector<uint32_t> TopRunning::Numbers(const Group& group) {
  std::vector<uint32_t> numbers;
  numbers.reserve(group.rows.size());
  for (const auto& [rank, number] : group.rows) numbers.push_back(number);
  return numbers;
}

absl::Status TopRunning::ProcessBatch(int /*input*/, const Batch& batch, Emitter& /*emitter*/) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  ledger_->absorbed += n;
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &keys_));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  for (int64_t i = 0; i < n; ++i) Offer(FindGroup(keys_.groups[i]), keys_, i, times[i]);
  return absl::OkStatus();
}

void TopRunning::Offer(Groups::pointer entry, const TopKeys& keys, int64_t i, int64_t time) {
  Group& group = entry->second;
  const std::string_view rank = RankOf(keys, i);
  const bool full = group.rows.size() == k_;
  if (full && rank >= std::string_view(std::prev(group.rows.end())->first)) return;
  if (!std::exchange(group.changed, true)) changed_groups_.push_back({entry, Numbers(group)});
  if (full) DropLast(&group);
  const uint32_t number = numbers_->Add();
  if (number == rows_.size()) rows_.emplace_back();
  Set(number, &group, rank, keys.rows[i], time);
  numbers_->Change(number);
}

void TopRunning::Set(uint32_t number, Group* group, std::string_view rank, std::string_view row, int64_t time) {
  group->rows.emplace(rank, number);
  rows_[number].row.assign(row);
  rows_[number].time = time;
  bytes_ += Bytes(rank.size(), row.size());
}

void TopRunning::DropLast(Group* group) {
  const auto last = std::prev(group->rows.end());
  const uint32_t number = last->second;
  bytes_ -= Bytes(last->first.size(), rows_[number].row.size());
  group->rows.erase(last);
  // What was emitted must be taken back as it was.
  if (numbers_->Stored(number)) {
    left_.push_back(number);
  } else {
    numbers_->Remove(number);
  }
}

absl::Status TopRunning::PrepareCommit(uint64_t commit, Emitter& emitter) {
  TM_RETURN_IF_ERROR(EmitChanges(emitter));
  for (const uint32_t number : std::exchange(left_, {})) {
    rows_[number] = Row();
    numbers_->Remove(number);
  }
  return numbers_->Commit(commit, [&](uint32_t number, std::string* record) {
    *record = TopRecord(rows_[number].time, rows_[number].row);
  });
}

absl::Status TopRunning::EmitChanges(Emitter& emitter) {
  std::vector<Change> changed = std::exchange(changed_groups_, {});
  std::sort(changed.begin(), changed.end(),
            [](const Change& a, const Change& b) { return a.group->first < b.group->first; });
  TopChanges changes(codec_, ledger_, emitter);
  for (const Change& change : changed) {
    change.group->second.changed = false;
    changes.CompareByRank(Listed(change.before), Listed(Numbers(change.group->second)));
    if (changes.Full()) TM_RETURN_IF_ERROR(changes.Flush());
  }
  return changes.Flush();
}

std::vector<TopChanges::Listed> TopRunning::Listed(const std::vector<uint32_t>& numbers) const {
  std::vector<TopChanges::Listed> list;
  list.reserve(numbers.size());
  for (const uint32_t number : numbers) list.push_back({rows_[number].row, rows_[number].time});
  return list;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeTopRunning(const Node& node, const TopSpec& spec) {
  if (spec.k <= 0) return absl::InvalidArgumentError(absl::StrCat("step ", node.step, ": k must be at least 1"));
  if (spec.rank.empty()) return absl::InvalidArgumentError(absl::StrCat("step ", node.step, ": a rank is needed"));
  return std::make_unique<TopRunning>(node, spec);
}

}  // namespace tidemark
