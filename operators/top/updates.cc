#include "operators/top/updates.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "operators/top/codec.h"
#include "operators/top/ranked_rows.h"
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
  int64_t MemoryBytes() const override { return rows_ ? rows_->MemoryBytes() : 0; }

 private:
  using Group = RankedRows::Entry;
  struct Ranked {  // a row that stood or stands in a list
    std::string key, row;
    int64_t time = 0;

    TopChanges::Listed listed() const { return {row, time}; }
  };
  struct Change {
    Group group;
    std::vector<Ranked> before;  // the first k as of the last commit
  };

  std::vector<Ranked> FirstK(Group group) const;
  void Touch(Group group);
  absl::Status EmitChanges(Emitter& emitter);
  static void CompareByKey(const std::vector<Ranked>& before, const std::vector<Ranked>& after, TopChanges* changes);

  const std::string name_;
  const size_t k_;
  const bool has_rank_;
  const TopCodec codec_;
  StepLedger* ledger_ = nullptr;
  std::optional<RankedRows> rows_;
  std::vector<Change> changed_;
  TopKeys keys_;  // scratch
};

absl::Status TopUpdates::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  rows_.emplace(context.state, codec_, k_, context.memory);
  return rows_->Load();
}

std::vector<TopUpdates::Ranked> TopUpdates::FirstK(Group group) const {
  std::vector<Ranked> list;
  const RankedRows::Ranked& first = group->second.first;
  for (auto it = first.begin(); it != first.end() && list.size() < k_; ++it) {
    list.push_back({it->first.substr(it->first.size() - it->second.key_bytes), it->second.row, it->second.time});
  }
  return list;
}

void TopUpdates::Touch(Group group) {
  if (!std::exchange(group->second.changed, true)) changed_.push_back({group, FirstK(group)});
}

absl::Status TopUpdates::ProcessBatch(int /*input*/, const Batch& batch, Emitter& /*emitter*/) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  ledger_->absorbed += n;
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &keys_));
  TM_RETURN_IF_ERROR(rows_->Fetch(keys_, n));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int8_t* ops = HiddenOps(*batch);
  for (int64_t i = 0; i < n; ++i) {
    const Group group = rows_->Find(keys_.groups[i]);
    Touch(group);
    if (IsRetraction(ops, i)) {
      rows_->Take(group, keys_, i);
    } else {
      rows_->Put(group, keys_, i, times[i]);
    }
  }
  return absl::OkStatus();
}

absl::Status TopUpdates::PrepareCommit(uint64_t commit, Emitter& emitter) {
  // Changes come out in the order of the group keys.
  std::sort(changed_.begin(), changed_.end(),
            [](const Change& a, const Change& b) { return a.group->first < b.group->first; });
  TM_RETURN_IF_ERROR(EmitChanges(emitter));
  std::vector<Group> changed;
  for (const Change& change : std::exchange(changed_, {})) changed.push_back(change.group);
  return rows_->Commit(commit, changed);
}

absl::Status TopUpdates::EmitChanges(Emitter& emitter) {
  TopChanges changes(codec_, ledger_, emitter);
  std::vector<std::vector<Ranked>> alive;  // what `changes` points to
  const auto listed = [](const std::vector<Ranked>& rows) {
    std::vector<TopChanges::Listed> list;
    for (const Ranked& row : rows) list.push_back(row.listed());
    return list;
  };
  for (Change& change : changed_) {
    TM_RETURN_IF_ERROR(rows_->FillUp(change.group));
    alive.push_back(std::move(change.before));
    alive.push_back(FirstK(change.group));
    const std::vector<Ranked>&before = alive[alive.size() - 2], &after = alive.back();
    has_rank_ ? changes.CompareByRank(listed(before), listed(after)) : CompareByKey(before, after, &changes);
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
  // Of several rows of a key the first one is shown.
  for (const Ranked& row : before) {
    if (&*find(before, row.key) != &row) continue;
    if (find(after, row.key) == after.end()) changes->Add(Op::kDelete, row.listed(), 0);
  }
  for (const Ranked& row : after) {
    if (&*find(after, row.key) != &row) continue;
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
