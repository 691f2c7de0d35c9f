// An accumulator made of an object a group. Only accumulator*.cc include this.
//
// A Group has Count (a row comes, times 1, or is taken back, times -1), Merge and, where Takes says so, its opposite
// Take, CopyResult (gives the result of another; nothing else is asked of it), MovePart, Save and Load, Bytes (what it
// holds outside of itself) and AppendResults. One that can be large may have Note, Notes, SaveChanges and LoadChanges
// (accumulator.h), and CanNote. Its partial is one column of bytes, what Save writes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "operators/window/accumulator_parts.h"

namespace tidemark::accumulators {

template <typename Group>
class GroupAccumulator final : public Accumulator {
 public:
  GroupAccumulator(const Aggregate& aggregate, InputRows rows)
      : aggregate_(aggregate), empty_(Empty(aggregate_, rows)) {}

  void Resize(size_t slots) override {
    for (size_t slot = slots; slot < groups_.size(); ++slot) outside_bytes_ -= groups_[slot].Bytes();
    groups_.resize(slots, empty_);
  }
  void ClearSlots(Slots slots) override {
    for (const uint32_t slot : slots) Change(slot, [&](Group* group) { *group = Group(empty_); });
  }
  void Copy(uint32_t from, uint32_t to) override {
    Change(to, [&](Group* group) { group->CopyResult(groups_[from]); });
  }
  void Update(const arrow::Array* argument, const OrderColumns& order, Rows rows, Slots slots) override {
    Count(*argument, order, rows, slots, 1);
  }
  absl::Status Retract(const arrow::Array* argument, const OrderColumns& order, Rows rows, Slots slots) override {
    Count(*argument, order, rows, slots, -1);
    return absl::OkStatus();
  }
  absl::Status Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
    const Cells<std::string_view> cells(Data(partials, column));
    Group partial = empty_;
    for (size_t p = 0; p < rows.size(); ++p) {
      if (cells.IsNull(rows[p])) continue;
      std::string_view bytes = cells[rows[p]];
      if (!partial.Load(&bytes) || !bytes.empty()) return absl::DataLossError("a partial aggregate can't be read");
      Change(slots[p], [&](Group* group) { group->Merge(partial); });
    }
    return absl::OkStatus();
  }
  void MergeSlots(Slots from, Slots to) override {
    for (size_t i = 0; i < to.size(); ++i) Change(to[i], [&](Group* group) { group->Merge(groups_[from[i]]); });
  }
  Sliding sliding() const override { return empty_.Takes() ? Sliding::kTaken : Sliding::kMerged; }
  void TakeSlots(Slots from, Slots to) override {
    if constexpr (requires(Group* group) { group->Take(*group); }) {
      for (size_t i = 0; i < to.size(); ++i) Change(to[i], [&](Group* group) { group->Take(groups_[from[i]]); });
    }
  }
  absl::Status Partial(Slots slots, Columns* out) const override {
    std::string bytes;
    return AppendColumn<std::string_view>(slots, arrow::binary(), out, [&](auto* w, size_t, uint32_t slot) {
      bytes.clear();
      groups_[slot].Save(&bytes);
      w->Append(bytes);
    });
  }
  absl::Status Result(Slots slots, Columns* out, std::vector<ResultError>* errors) const override {
    return Group::AppendResults(groups_, aggregate_, slots, out, errors);
  }
  void Save(uint32_t slot, std::string* out) const override { groups_[slot].Save(out); }
  bool Load(uint32_t slot, std::string_view* from) override {
    bool ok = false;
    Change(slot, [&](Group* group) { ok = group->Load(from); });
    return ok;
  }
  bool CanNote() const override {
    if constexpr (kNotes) return empty_.CanNote();
    return false;
  }
  void Note(uint32_t slot, bool on) override {
    if constexpr (kNotes) Change(slot, [&](Group* group) { group->Note(on); });
  }
  bool Notes(uint32_t slot) const override {
    if constexpr (kNotes) return groups_[slot].Notes();
    return false;
  }
  void SaveChanges(uint32_t slot, std::string* out) const override {
    if constexpr (kNotes) {
      if (CanNote()) return groups_[slot].SaveChanges(out);
    }
    Save(slot, out);
  }
  bool LoadChanges(uint32_t slot, std::string_view* from) override {
    if constexpr (kNotes) {
      if (!CanNote()) return Load(slot, from);
      bool ok = false;
      Change(slot, [&](Group* group) { ok = group->LoadChanges(from); });
      return ok;
    }
    return Load(slot, from);
  }
  void MovePart(uint32_t from, uint32_t to, int64_t bytes) override {
    Change(from, [&](Group* group) { Change(to, [&](Group* part) { group->MovePart(part, bytes); }); });
  }
  int64_t MemoryBytes() const override { return VectorBytes(groups_) + outside_bytes_; }
  int64_t OutsideBytes(uint32_t slot) const override { return groups_[slot].Bytes(); }
  int64_t OutsideBytes() const override { return outside_bytes_; }

 private:
  static constexpr bool kNotes = requires(const Group& group) { group.CanNote(); };

  template <typename F>
  void Change(uint32_t slot, F&& change) {
    outside_bytes_ -= groups_[slot].Bytes();
    change(&groups_[slot]);
    outside_bytes_ += groups_[slot].Bytes();
  }
  void Count(const arrow::Array& argument, const OrderColumns& order, Rows rows, Slots slots, int times) {
    const Cells<typename Group::Cell> cells(*argument.data());
    for (size_t p = 0; p < rows.size(); ++p) {
      Change(slots[p], [&](Group* group) { group->Count(cells, order, rows[p], times); });
    }
  }

  static Group Empty(const Aggregate& aggregate, InputRows rows) {
    if constexpr (std::is_constructible_v<Group, const Aggregate&, InputRows>) {
      return Group(aggregate, rows);
    } else {
      return Group(aggregate);
    }
  }

  const Aggregate aggregate_;
  const Group empty_;
  std::vector<Group> groups_;  // by slot
  int64_t outside_bytes_ = 0;  // what the groups hold outside of themselves
};

}  // namespace tidemark::accumulators
