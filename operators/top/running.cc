#include "operators/top/running.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/btree_map.h>
#include <absl/container/node_hash_map.h>
#include <absl/types/span.h>

#include "operators/numbered_rows.h"
#include "operators/top/codec.h"
#include "src/base/memory_budget.h"
#include "src/base/status.h"
#include "src/base/varint.h"
#include "state/keyed_runs.h"

namespace tidemark {
namespace {

constexpr int64_t kMostEvictBytes = int64_t{32} << 20;  // a commit
constexpr int64_t kMergeShare = 5;                      // bytes merged for a byte that is added: more than it takes

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
  int64_t MemoryBytes() const override { return bytes_ + PlaceBytes(); }

 private:
  struct Row {
    std::string row;
    int64_t time = 0;
    bool emitted = false;  // it stood as of the last commit
  };
  struct Group {
    absl::btree_multimap<std::string, uint32_t> rows;  // by rank: numbers. Rows of equal ranks are equal.
    bool changed = false;
    bool asked = false;  // since the hand came by
    bool leaving = false;
    size_t at = 0;  // in hot_
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
  absl::Status Bring(const TopKeys& keys, int64_t n);
  absl::Status LoadCold(std::string_view list);
  absl::Status Evict();
  std::vector<Groups::pointer> FindIdle(int64_t bytes);
  void Leave(Groups::pointer group);
  int64_t GroupBytes(const Group& group) const;
  void Offer(Groups::pointer group, const TopKeys& keys, int64_t i, int64_t time);
  void Set(uint32_t number, Group* group, std::string_view rank, std::string_view row, int64_t time);
  void DropLast(Group* group);
  absl::Status EmitChanges(Emitter& emitter);
  std::vector<TopChanges::Listed> Listed(const std::vector<uint32_t>& numbers) const;

  // What places for lists take, and what is known of those in runs: no list that leaves gives any of it back. Places
  // are used again.
  int64_t PlaceBytes() const {
    return static_cast<int64_t>(rows_.capacity() * sizeof(rows_[0]) + hot_.capacity() * sizeof(hot_[0])) +
           (numbers_ ? numbers_->MemoryBytes() + cold_->MemoryBytes() : 0);
  }

  static constexpr size_t kRankBytes = sizeof(std::pair<std::string, uint32_t>) + sizeof(Row);

  const std::string name_;
  const size_t k_;
  const TopCodec codec_;
  bool ties_differ_ = false;  // -0 and 0 rank the same, and so do all NaNs
  StepLedger* ledger_ = nullptr;
  std::optional<NumberedRows> numbers_;
  std::optional<KeyedRuns> cold_;  // groups that have left memory; what it has of one in memory is void
  std::optional<MemoryBudget::Share> memory_;
  Groups groups_;
  std::vector<Groups::pointer> hot_;        // all of them
  size_t hand_ = 0;                         // in hot_: what the clock looks at next
  std::vector<std::unique_ptr<Row>> rows_;  // by number
  std::vector<uint32_t> left_;              // stood as of the last commit and don't any more
  std::vector<Change> changed_groups_;
  int64_t bytes_ = 0;
  TopKeys keys_, cold_keys_;  // scratch
  std::string rank_;          // scratch
};

absl::Status TopRunning::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  numbers_.emplace(context.state, "n");
  cold_.emplace(context.state, "c");
  memory_.emplace(context.memory);
  TM_RETURN_IF_ERROR(cold_->Load());
  const auto load = [&](absl::Span<const uint32_t> numbers, absl::Span<const std::string_view> records) {
    std::vector<int64_t> times;
    TM_RETURN_IF_ERROR(codec_.Load(records, &times, &keys_));
    for (size_t i = 0; i < numbers.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      Set(numbers[i], &FindGroup(keys_.groups[row])->second, RankOf(keys_, row), keys_.rows[row], times[i]);
      rows_[numbers[i]]->emitted = true;
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
  if (added) {
    bytes_ += static_cast<int64_t>(sizeof(*it) + key.size());
    it->second.at = hot_.size();
    hot_.push_back(&*it);
  }
  it->second.asked = true;
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
  TM_RETURN_IF_ERROR(Bring(keys_, n));
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
  rows_[number] = std::make_unique<Row>(Row{std::string(row), time});
  bytes_ += Bytes(rank.size(), row.size());
}

void TopRunning::DropLast(Group* group) {
  const auto last = std::prev(group->rows.end());
  const uint32_t number = last->second;
  bytes_ -= Bytes(last->first.size(), rows_[number]->row.size());
  group->rows.erase(last);
  // What was emitted must be taken back as it was.
  if (rows_[number]->emitted) {
    left_.push_back(number);
  } else {
    rows_[number] = nullptr;
    numbers_->Remove(number);
  }
}

absl::Status TopRunning::PrepareCommit(uint64_t commit, Emitter& emitter) {
  TM_RETURN_IF_ERROR(EmitChanges(emitter));
  for (const uint32_t number : std::exchange(left_, {})) {
    rows_[number] = nullptr;
    numbers_->Remove(number);
  }
  TM_RETURN_IF_ERROR(Evict());
  return numbers_->Commit(commit, [&](uint32_t number, std::string* record) {
    *record = TopRecord(rows_[number]->time, rows_[number]->row);
    rows_[number]->emitted = true;
  });
}

// ---- Groups that have left memory. Their rows leave the log, and the list goes into runs, with one commit; they come
// back with a row of theirs, into the log, and what the runs have of them is void. A group never ends.

// Those of the batch.
absl::Status TopRunning::Bring(const TopKeys& keys, int64_t n) {
  if (cold_->empty()) return absl::OkStatus();
  std::vector<KeyedRuns::Question> questions;
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view key = keys.groups[i];
    if ((i > 0 && key == keys.groups[i - 1]) || groups_.contains(absl::string_view(key.data(), key.size()))) continue;
    const uint64_t hash = KeyedRuns::Hash(key);
    if (cold_->MayHold(key, hash)) questions.push_back({.key = key, .hash = hash});
  }
  std::sort(questions.begin(), questions.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  const auto same = [](const auto& a, const auto& b) { return a.key == b.key; };
  questions.erase(std::unique(questions.begin(), questions.end(), same), questions.end());
  TM_RETURN_IF_ERROR(cold_->Find(absl::MakeSpan(questions)));
  for (const KeyedRuns::Question& question : questions) {
    if (question.found) TM_RETURN_IF_ERROR(LoadCold(question.value));
  }
  return absl::OkStatus();
}

// A list: records of rows, each behind its size.
absl::Status TopRunning::LoadCold(std::string_view list) {
  std::vector<std::string_view> records;
  while (!list.empty()) {
    if (!TakeBytes(&list, &records.emplace_back())) return absl::DataLossError("a list of top can't be read");
  }
  std::vector<int64_t> times;
  TM_RETURN_IF_ERROR(codec_.Load(records, &times, &cold_keys_));
  for (size_t i = 0; i < records.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    const uint32_t number = numbers_->Add();
    if (number == rows_.size()) rows_.emplace_back();
    Set(number, &FindGroup(cold_keys_.groups[row])->second, RankOf(cold_keys_, row), cold_keys_.rows[row], times[i]);
    rows_[number]->emitted = true;
    numbers_->Change(number);
  }
  return absl::OkStatus();
}

int64_t TopRunning::GroupBytes(const Group& group) const {
  int64_t bytes = sizeof(Groups::value_type);
  for (const auto& [rank, number] : group.rows) {
    bytes += Bytes(rank.size(), rows_[number]->row.size());
  }
  return bytes;
}

// Nobody has asked for them since the hand came by, in the order of their keys. Looks at each group twice at most.
std::vector<TopRunning::Groups::pointer> TopRunning::FindIdle(int64_t bytes) {
  std::vector<Groups::pointer> idle;
  for (size_t looked = 0; looked < 2 * hot_.size() && bytes > 0; ++looked) {
    hand_ = hand_ + 1 < hot_.size() ? hand_ + 1 : 0;
    Group& group = hot_[hand_]->second;
    if (std::exchange(group.asked, false) || std::exchange(group.leaving, true)) continue;
    bytes -= GroupBytes(group);
    idle.push_back(hot_[hand_]);
  }
  std::sort(idle.begin(), idle.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  return idle;
}

absl::Status TopRunning::Evict() {
  if (!memory_->limited()) return absl::OkStatus();
  memory_->Update(MemoryBytes());
  const int64_t excess = std::min(memory_->Excess(-PlaceBytes()), kMostEvictBytes);
  if (excess == 0) return absl::OkStatus();
  const std::vector<Groups::pointer> idle = FindIdle(excess);
  KeyedRuns::Entries entries;
  std::string list;
  for (const Groups::pointer group : idle) {
    list.clear();
    for (const auto& [rank, number] : group->second.rows) {
      const std::string record = TopRecord(rows_[number]->time, rows_[number]->row);
      AppendVarint(record.size(), &list);
      list.append(record);
    }
    entries.list.push_back(
        {{entries.bytes.Add(group->first), group->first.size()}, {entries.bytes.Add(list), list.size()}});
  }
  cold_->Add(entries.list);
  TM_RETURN_IF_ERROR(cold_->MergeSome(kMergeShare * cold_->TakeWrittenBytes()));
  cold_->TakeWrittenBytes();
  for (const Groups::pointer group : idle) Leave(group);
  memory_->Update(MemoryBytes());
  return absl::OkStatus();
}

void TopRunning::Leave(Groups::pointer group) {
  for (const auto& [rank, number] : group->second.rows) {
    bytes_ -= Bytes(rank.size(), rows_[number]->row.size());
    rows_[number] = nullptr;
    numbers_->Remove(number);
  }
  bytes_ -= static_cast<int64_t>(sizeof(*group) + group->first.size());
  hot_[group->second.at] = hot_.back();
  hot_.back()->second.at = group->second.at;
  hot_.pop_back();
  groups_.erase(groups_.find(group->first));
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
  for (const uint32_t number : numbers) list.push_back({rows_[number]->row, rows_[number]->time});
  return list;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeTopRunning(const Node& node, const TopSpec& spec) {
  if (spec.k <= 0) return absl::InvalidArgumentError(absl::StrCat("step ", node.step, ": k must be at least 1"));
  if (spec.rank.empty()) return absl::InvalidArgumentError(absl::StrCat("step ", node.step, ": a rank is needed"));
  return std::make_unique<TopRunning>(node, spec);
}

}  // namespace tidemark
