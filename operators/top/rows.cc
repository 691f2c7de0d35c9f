#include "operators/top/rows.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "operators/numbered_rows.h"
#include "operators/top/codec.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 1024;

class TopRows final : public Operator {
 public:
  TopRows(const Node& node, const TopSpec& spec)
      : name_(node.step), k_(static_cast<size_t>(spec.k)), codec_(node, spec) {}

  std::string_view name() const override { return name_; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override { return bytes_ + (numbers_ ? numbers_->MemoryBytes() : 0); }

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
    std::vector<Row> rows;  // a heap, the worst in front
  };

  uint32_t FindGroup(std::string_view key);
  void SetTime(uint32_t number, int64_t time);
  // False: it isn't among the best.
  bool Keep(uint32_t number, std::string_view rank, std::string_view row);
  void Forget(uint32_t number);
  absl::Status LoadGroup(uint32_t number, std::string_view record);
  absl::Status EmitSome(EventTime time, Emitter& emitter);

  const std::string name_;
  const size_t k_;
  const TopCodec codec_;
  StepLedger* ledger_ = nullptr;
  std::optional<NumberedRows> numbers_;  // of groups
  std::vector<Group> groups_;            // by number
  absl::flat_hash_map<std::string, uint32_t> by_key_;
  std::set<std::pair<int64_t, std::string>> waiting_;  // (time, key)
  int64_t bytes_ = 0;
  EventTime output_watermark_ = kMinTime;
  TopKeys keys_;  // scratch
};

absl::Status TopRows::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  numbers_.emplace(context.state, "t");
  return numbers_->Load([&](size_t size) { groups_.resize(size); },
                        [&](absl::Span<const uint32_t> numbers, absl::Span<const std::string_view> records) {
                          for (size_t i = 0; i < numbers.size(); ++i) {
                            TM_RETURN_IF_ERROR(LoadGroup(numbers[i], records[i]));
                          }
                          return absl::OkStatus();
                        });
}

absl::Status TopRows::LoadGroup(uint32_t number, std::string_view record) {
  int64_t time = 0;
  if (record.size() < sizeof(time)) return absl::DataLossError("a group of top in the state can't be read");
  std::memcpy(&time, record.data(), sizeof(time));
  record.remove_prefix(sizeof(time));
  std::vector<std::string_view> rows;
  while (!record.empty()) {
    if (!TakeBytes(&record, &rows.emplace_back()))
      return absl::DataLossError("a row of top in the state can't be read");
  }
  TM_ASSIGN_OR_RETURN(const Batch batch, codec_.DecodeInput(rows));
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &keys_));
  Group& group = groups_[number];
  group.key.assign(keys_.groups[0]);
  by_key_[group.key] = number;
  SetTime(number, time);
  for (size_t i = 0; i < rows.size(); ++i) Keep(number, keys_.ranks[i], keys_.rows[i]);
  return absl::OkStatus();
}

uint32_t TopRows::FindGroup(std::string_view key) {
  const auto it = by_key_.find(absl::string_view(key.data(), key.size()));
  if (it != by_key_.end()) return it->second;
  const uint32_t number = numbers_->Add();
  if (number == groups_.size()) groups_.emplace_back();
  groups_[number].key.assign(key);
  by_key_.emplace(groups_[number].key, number);
  return number;
}

void TopRows::SetTime(uint32_t number, int64_t time) {
  Group& group = groups_[number];
  if (!group.rows.empty()) {
    if (time <= group.time) return;
    waiting_.erase({group.time, group.key});
  }
  group.time = time;
  waiting_.emplace(time, group.key);
}

bool TopRows::Keep(uint32_t number, std::string_view rank, std::string_view row) {
  Group& group = groups_[number];
  if (group.rows.size() == k_) {
    if (rank >= group.rows.front().rank()) return false;
    std::pop_heap(group.rows.begin(), group.rows.end());
    bytes_ -= group.rows.back().Bytes();
  } else {
    group.rows.emplace_back();
  }
  Row& kept = group.rows.back();
  kept.bytes.clear();
  kept.bytes.reserve(rank.size() + row.size());
  kept.bytes.append(rank).append(row);
  kept.rank_size = rank.size();
  bytes_ += kept.Bytes();
  std::push_heap(group.rows.begin(), group.rows.end());
  return true;
}

void TopRows::Forget(uint32_t number) {
  Group& group = groups_[number];
  for (const Row& row : group.rows) bytes_ -= row.Bytes();
  waiting_.erase({group.time, group.key});
  by_key_.erase(group.key);
  group.key.clear();
  group.rows = {};
  numbers_->Remove(number);
}

absl::Status TopRows::ProcessBatch(int /*input*/, const Batch& batch, Emitter& /*emitter*/) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  ledger_->absorbed += n;
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &keys_));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  uint32_t number = 0;
  for (int64_t i = 0; i < n; ++i) {
    // Windows put out the rows of one group together, more often than not.
    if (i == 0 || keys_.groups[i] != keys_.groups[i - 1]) number = FindGroup(keys_.groups[i]);
    SetTime(number, times[i]);
    if (Keep(number, keys_.ranks[i], keys_.rows[i])) numbers_->Change(number);
  }
  return absl::OkStatus();
}

absl::StatusOr<EventTime> TopRows::AdvanceWatermark(EventTime time, Emitter& emitter) {
  while (!waiting_.empty() && waiting_.begin()->first <= time.us && !emitter.Full()) {
    TM_RETURN_IF_ERROR(EmitSome(time, emitter));
  }
  EventTime hold = time;
  if (!waiting_.empty()) hold = std::min(hold, EventTime{waiting_.begin()->first} - 1);
  output_watermark_ = std::max(output_watermark_, hold);
  return output_watermark_;
}

// Emits complete groups, whole ones, about kEmitRows rows.
absl::Status TopRows::EmitSome(EventTime time, Emitter& emitter) {
  std::vector<uint32_t> done;
  std::vector<std::string_view> rows;
  std::vector<int64_t> ranks;
  HiddenValues hidden;
  for (auto it = waiting_.begin(); it != waiting_.end() && it->first <= time.us && rows.size() < kEmitRows; ++it) {
    const uint32_t number = by_key_.at(it->second);
    Group& group = groups_[number];
    std::sort_heap(group.rows.begin(), group.rows.end());
    for (size_t r = 0; r < group.rows.size(); ++r) {
      rows.push_back(group.rows[r].row());
      ranks.push_back(static_cast<int64_t>(r) + 1);
      hidden.times.push_back(group.time);
    }
    done.push_back(number);
  }
  TM_ASSIGN_OR_RETURN(Batch batch, codec_.Ranked(rows, ranks, hidden));
  ledger_->out += batch->num_rows();
  TM_RETURN_IF_ERROR(emitter.Emit(std::move(batch)));
  for (const uint32_t number : done) Forget(number);
  return absl::OkStatus();
}

absl::Status TopRows::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  return numbers_->Commit(commit, [&](uint32_t number, std::string* record) {
    const Group& group = groups_[number];
    record->assign(reinterpret_cast<const char*>(&group.time), sizeof(group.time));
    for (const Row& row : group.rows) {
      AppendVarint(row.row().size(), record);
      record->append(row.row());
    }
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeTopRows(const Node& node, const TopSpec& spec) {
  if (spec.k <= 0) return absl::InvalidArgumentError(absl::StrCat("step ", node.step, ": k must be at least 1"));
  return std::make_unique<TopRows>(node, spec);
}

}  // namespace tidemark
