// Rows by key in an order: by the heads of their keys, or by the keys themselves.
#include <algorithm>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"
#include "state/keyed_rows.h"

namespace tidemark {
namespace {

constexpr size_t kHeadSize = 8;
constexpr size_t kMostBoundBytes = size_t{64} << 10;  // that are said in state to be where an order stands

absl::Status Damaged() { return absl::DataLossError("the order of rows by key in the state can't be read"); }

std::string HeadKey(uint64_t head) {
  std::string key;
  AppendBigEndian(head, kHeadSize, &key);
  return key;
}

}  // namespace

uint64_t KeyedRows::FirstHead() const {
  return std::min(order_.empty() ? kNoHead : order_.begin()->first,
                  runs_.empty() || !first_cold_ ? kNoHead : Head(*first_cold_));
}

uint64_t KeyedRows::VisitBelow(uint64_t end, size_t most, Visitor visit) const {
  size_t visited = 0;
  uint64_t last = 0;
  for (auto it = order_.begin(); it != order_.end() && it->first < end; ++it, ++visited) {
    if (visited >= most && it->first != last) return it->first;
    last = it->first;
    visit(KeyAt(it), slots_[it->second].row());
  }
  return end;
}

absl::StatusOr<uint64_t> KeyedRows::Recall(uint64_t end, size_t most) {
  TM_ASSIGN_OR_RETURN(const std::string until, RecallBelow(HeadKey(end), most));
  return Head(until);
}

absl::StatusOr<std::string> KeyedRows::RecallSome(std::string_view end, size_t most, Visitor visit) {
  // Nothing is brought in while enough is here below all that the runs have: it couldn't leave again.
  std::string until(first_cold_ && !runs_.empty() ? std::min<std::string_view>(*first_cold_, end) : end);
  size_t here = 0;
  for (auto it = order_.begin(); it != order_.end() && here <= most && KeyAt(it) < until; ++it) ++here;
  if (here <= most) {
    TM_ASSIGN_OR_RETURN(until, RecallBelow(end, most));
  }
  size_t visited = 0;
  for (auto it = order_.begin(); it != order_.end() && KeyAt(it) < until; ++it, ++visited) {
    if (visited >= most) return std::string(KeyAt(it));
    visit(KeyAt(it), slots_[it->second].row());
  }
  return until;
}

absl::Status KeyedRows::Scan(std::string_view from, std::string_view end, size_t most, Visitor visit) {
  auto it = order_.lower_bound(from);
  // Those in memory with keys below `bound`.
  const auto show_below = [&](std::string_view bound) {
    for (; most > 0 && it != order_.end() && KeyAt(it) < bound; ++it, --most)
      visit(KeyAt(it), slots_[it->second].row());
  };
  std::optional<std::string> at = std::string(from);
  while (most > 0 && !runs_.empty() && at && *at < end) {
    KeyedRuns::Entries entries;
    const std::string begin = *std::exchange(at, std::nullopt);
    TM_RETURN_IF_ERROR(runs_.ReadSome(begin, 1, &entries, &at));
    for (const KeyedRuns::Entry& entry : entries.list) {
      if (entry.key >= end) break;
      show_below(entry.key);
      if (most == 0) return absl::OkStatus();
      // What is in memory counts, deleted ones too.
      if (FindSlot(entry.key) != kNone) continue;
      visit(entry.key, entry.value);
      --most;
    }
    if (at && *at < end) show_below(*at);
  }
  show_below(end);
  return absl::OkStatus();
}

// ---- What the runs have --------------------------------------------------------------------------------------------

std::string_view KeyedRows::Bound(std::string_view key) const {
  return key.substr(0, options_.by_key ? kMostBoundBytes : kHeadSize);
}

absl::Status KeyedRows::ReadAhead() {
  if (!ahead_valid_) ahead_next_ = floor_;
  ahead_valid_ = true;
  const std::string from = *ahead_next_;
  ahead_ = KeyedRuns::Entries();
  ahead_at_ = 0;
  return runs_.Read(from, &ahead_, &ahead_next_);
}

// Brings in rows of the runs with keys below `end`: about so many, and all whose keys have the same bound as the last.
// All rows with keys below the one that is returned are in memory then.
absl::StatusOr<std::string> KeyedRows::RecallBelow(std::string_view end, size_t most) {
  if (runs_.empty() || !first_cold_ || end <= *first_cold_) return std::string(end);
  std::string last;
  for (size_t taken = 0;; ++taken, ++ahead_at_) {
    while (!ahead_valid_ || ahead_at_ == ahead_.list.size()) {
      if (ahead_valid_ && !ahead_next_) {  // the runs' end
        RaiseFloor(end);
        runs_.Drop();
        floor_changed_ = true;
        ahead_ = KeyedRuns::Entries();
        ahead_valid_ = false;
        first_cold_.reset();
        floor_.clear();
        return std::string(end);
      }
      TM_RETURN_IF_ERROR(ReadAhead());
    }
    const KeyedRuns::Entry& entry = ahead_.list[ahead_at_];
    // What is in memory counts, deleted ones too: this is no row to stop at.
    if (entry.key < end && FindSlot(entry.key) != kNone) {
      last = Bound(entry.key);
      continue;
    }
    // A key that is longer than its bound is no place to stop at: what shares the bound and comes first would be left.
    const bool enough =
        taken >= most && Bound(entry.key) != last && (options_.ordered || entry.key.size() <= kMostBoundBytes);
    if (entry.key >= end || enough) {
      first_cold_ = Bound(entry.key);
      floor_changed_ = true;
      const std::string until(std::min<std::string_view>(*first_cold_, end));
      RaiseFloor(until);
      return until;
    }
    MakeSlot(entry.key, entry.value);
    last = Bound(entry.key);
  }
}

// What came out of the runs unchanged counts here from now on.
void KeyedRows::RaiseFloor(std::string_view key) {
  if (key <= floor_) return;
  for (auto it = order_.begin(); it != order_.end() && KeyAt(it) < key; ++it) {
    if (!(slots_[it->second].flags & (kLogged | kFormer))) MarkDirty(it->second);
  }
  floor_ = key;
  floor_changed_ = true;
  runs_.DropBefore(floor_);
}

absl::Status KeyedRows::LoadFloor() {
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> record, store_->Get(prefix_ + 'w'));
  if (!record) return absl::OkStatus();
  std::string_view floor, first_cold, rest = *record;
  if (options_.by_key) {
    if (!TakeBytes(&rest, &floor) || (!rest.empty() && (!TakeBytes(&rest, &first_cold) || !rest.empty()))) {
      return Damaged();
    }
    if (!first_cold.empty()) first_cold_ = first_cold;
  } else {
    if (rest.size() != 2 * kHeadSize) return Damaged();
    floor = rest.substr(0, kHeadSize);
    first_cold = rest.substr(kHeadSize);
    if (first_cold != HeadKey(kNoHead)) first_cold_ = first_cold;
  }
  floor_ = floor;
  return absl::OkStatus();
}

void KeyedRows::SaveFloor() {
  if (!in_order() || !std::exchange(floor_changed_, false)) return;
  std::string record;
  if (options_.by_key) {
    AppendVarint(floor_.size(), &record);
    record.append(floor_);
    if (first_cold_) {
      AppendVarint(first_cold_->size(), &record);
      record.append(*first_cold_);
    }
  } else {
    record.append(floor_.empty() ? HeadKey(0) : floor_);
    record.append(first_cold_ ? *first_cold_ : HeadKey(kNoHead));
  }
  store_->Put(prefix_ + 'w', record);
}

}  // namespace tidemark
