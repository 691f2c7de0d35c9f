#include "operators/top/ranked_rows.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include <absl/container/flat_hash_map.h>

#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

absl::Status Damaged() { return absl::DataLossError("a row of top in the state can't be read"); }

struct Stored {
  uint64_t count = 0, key_bytes = 0;
  int64_t time = 0;
  std::string_view row;
};

bool Read(std::string_view value, Stored* stored) {
  if (!TakeVarint(&value, &stored->count) || !TakeVarint(&value, &stored->key_bytes) || value.size() < 8) return false;
  stored->time = ReadOrdered(value.substr(0, 8));
  stored->row = value.substr(8);
  return true;
}

void Write(const Stored& stored, std::string* value) {
  value->clear();
  AppendVarint(stored.count, value);
  AppendVarint(stored.key_bytes, value);
  AppendOrdered(stored.time, value);
  value->append(stored.row);
}

}  // namespace

// A row's record was its time and the row. How many rows a group has is put beside it with the first commit, and counts
// those too that haven't moved yet.
absl::Status RankedRows::Load() {
  TM_RETURN_IF_ERROR(rows_.Load());
  absl::flat_hash_map<std::string, uint64_t> counts;
  const auto parse = [&](std::string_view record, std::string* key, std::string* value) {
    std::vector<int64_t> times;
    TM_RETURN_IF_ERROR(codec_.Load({record}, &times, &former_));
    OrderOf(former_, 0);
    ++counts[std::string(former_.groups[0])];
    key->assign(key_);
    Write({.count = 1, .key_bytes = former_.keys[0].size(), .time = times[0], .row = former_.rows[0]}, value);
    return absl::OkStatus();
  };
  TM_RETURN_IF_ERROR(rows_.LoadFormer("r", parse));
  std::vector<std::string_view> groups;
  for (const auto& [group, count] : counts) groups.push_back(group);
  TM_RETURN_IF_ERROR(rows_.Fetch(groups));
  for (const auto& [group, count] : counts) {
    if (rows_.Get(group)) continue;
    value_.clear();
    AppendVarint(count, &value_);
    rows_.Put(group, value_);
  }
  return absl::OkStatus();
}

// Into rank_ and, behind its group, key_.
void RankedRows::OrderOf(const TopKeys& keys, int64_t i) {
  rank_.assign(keys.ranks[i]);
  rank_.append(keys.keys[i]);
  key_.assign(keys.groups[i]);
  key_.append(rank_);
}

// ---- A batch -------------------------------------------------------------------------------------------------------

absl::Status RankedRows::Fetch(const TopKeys& keys, int64_t n) {
  std::vector<std::string_view> groups;
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view group = keys.groups[i];
    if (i > 0 && group == keys.groups[i - 1]) continue;
    if (!groups_.contains(absl::string_view(group.data(), group.size()))) groups.push_back(group);
  }
  // In their order, as they lie on disk.
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  TM_RETURN_IF_ERROR(Bring(groups));
  if (rows_.all_in_memory()) return absl::OkStatus();
  std::vector<std::string> rows;
  rows.reserve(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    OrderOf(keys, i);
    rows.push_back(key_);
  }
  return rows_.Fetch(std::vector<std::string_view>(rows.begin(), rows.end()));
}

absl::Status RankedRows::Bring(absl::Span<const std::string_view> groups) {
  TM_RETURN_IF_ERROR(rows_.Fetch(groups));
  for (const std::string_view group : groups) {
    const Entry entry = &*groups_.try_emplace(std::string(group)).first;
    entry->second.at = hot_.size();
    hot_.push_back(entry);
    bytes_ += kGroupBytes + static_cast<int64_t>(group.size());
    std::optional<std::string_view> count = rows_.Get(group);
    if (!count) continue;
    if (!TakeVarint(&*count, &entry->second.rows)) return Damaged();
    entry->second.stored = entry->second.rows;
    TM_RETURN_IF_ERROR(ReadFirst(entry));
  }
  return absl::OkStatus();
}

absl::Status RankedRows::ReadFirst(Entry group) {
  while (!group->second.first.empty()) Forget(group, std::prev(group->second.first.end()));
  bool damaged = false;
  // Every cell begins with a byte that is neither 0 nor 255 (RowCodec).
  const auto keep = [&](std::string_view key, std::string_view value) {
    Stored stored;
    damaged |= !Read(value, &stored);
    if (!damaged) Keep(group, key.substr(group->first.size()), stored.row, stored.time, stored.key_bytes);
  };
  TM_RETURN_IF_ERROR(rows_.Scan(group->first + (group->second.from.empty() ? "\1" : group->second.from),
                                group->first + '\xFF', 2 * k_, keep));
  const size_t expected = std::min<uint64_t>(2 * k_, group->second.rows);
  return damaged || group->second.first.size() != expected ? Damaged() : absl::OkStatus();
}

RankedRows::Entry RankedRows::Find(std::string_view group) {
  const Entry entry = &*groups_.find(absl::string_view(group.data(), group.size()));
  entry->second.asked = true;
  return entry;
}

void RankedRows::Put(Entry group, const TopKeys& keys, int64_t i, int64_t time) {
  OrderOf(keys, i);
  Group& of = group->second;
  const size_t key_bytes = keys.keys[i].size();
  if (rank_ < of.from) of.from = rank_;
  Stored stored{.count = 1, .key_bytes = key_bytes, .time = time, .row = keys.rows[i]};
  const bool knows = KnowsAll(of) || (!of.first.empty() && rank_ <= std::prev(of.first.end())->first);
  if (const std::optional<std::string_view> there = rows_.Get(key_)) {
    uint64_t count = 0;
    std::string_view value = *there;
    if (TakeVarint(&value, &count)) stored.count += count;
  } else {
    ++of.rows;
  }
  Write(stored, &value_);
  rows_.Put(key_, value_);
  if (!knows) return;
  Keep(group, rank_, stored.row, time, key_bytes);
  if (of.first.size() > 2 * k_) Forget(group, std::prev(of.first.end()));
}

void RankedRows::Take(Entry group, const TopKeys& keys, int64_t i) {
  OrderOf(keys, i);
  Stored stored;
  const std::optional<std::string_view> there = rows_.Get(key_);
  if (!there || !Read(*there, &stored)) return;
  if (--stored.count > 0) {
    Write(stored, &value_);
    rows_.Put(key_, value_);
    return;
  }
  rows_.Delete(key_);
  --group->second.rows;
  const auto known = group->second.first.find(rank_);
  if (known != group->second.first.end()) Forget(group, known);
}

absl::Status RankedRows::FillUp(Entry group) {
  const Group& of = group->second;
  if (of.first.size() >= k_ || KnowsAll(of) || MutationActive(Mutation::kTopNotFilledUp)) return absl::OkStatus();
  return ReadFirst(group);
}

void RankedRows::Keep(Entry group, std::string_view rank, std::string_view row, int64_t time, size_t key_bytes) {
  const auto [it, added] = group->second.first.try_emplace(std::string(rank));
  if (added) bytes_ += kRowBytes + static_cast<int64_t>(rank.size());
  bytes_ += static_cast<int64_t>(row.size()) - static_cast<int64_t>(it->second.row.size());
  it->second = {.row = std::string(row), .time = time, .key_bytes = key_bytes};
}

void RankedRows::Forget(Entry group, Ranked::iterator row) {
  bytes_ -= kRowBytes + static_cast<int64_t>(row->first.size() + row->second.row.size());
  if (row == group->second.first.begin()) group->second.from = row->first;
  group->second.first.erase(row);
}

// ---- The commit ----------------------------------------------------------------------------------------------------

absl::Status RankedRows::Commit(uint64_t commit, absl::Span<const Entry> changed) {
  std::vector<std::string_view> ended;
  for (const Entry group : changed) {
    if (group->second.rows == 0) ended.push_back(group->first);
  }
  TM_RETURN_IF_ERROR(rows_.Fetch(ended));
  for (const Entry group : changed) {
    Group& of = group->second;
    of.changed = false;
    if (of.rows == of.stored) continue;
    of.stored = of.rows;
    value_.clear();
    AppendVarint(of.rows, &value_);
    if (of.rows > 0) {
      rows_.Put(group->first, value_);
    } else {
      rows_.Delete(group->first);
    }
  }
  for (const Entry group : changed) {
    if (group->second.rows == 0) Drop(group);
  }
  Evict();
  return rows_.Commit(commit);
}

void RankedRows::Drop(Entry group) {
  while (!group->second.first.empty()) Forget(group, group->second.first.begin());
  bytes_ -= kGroupBytes + static_cast<int64_t>(group->first.size());
  hot_[group->second.at] = hot_.back();
  hot_.back()->second.at = group->second.at;
  hot_.pop_back();
  groups_.erase(groups_.find(group->first));
}

// Looks at each group twice at most: the first time may find that all were asked for.
void RankedRows::Evict() {
  if (!memory_.limited()) return;
  memory_.Update(BeginningBytes());
  const int64_t beyond = memory_.Excess(0);
  const int64_t enough = bytes_ - beyond;
  for (size_t looks = 2 * hot_.size(); looks > 0 && bytes_ > enough && !hot_.empty(); --looks) {
    hand_ = hand_ + 1 < hot_.size() ? hand_ + 1 : 0;
    if (!std::exchange(hot_[hand_]->second.asked, false)) Drop(hot_[hand_]);
  }
  memory_.Update(BeginningBytes());
}

}  // namespace tidemark
