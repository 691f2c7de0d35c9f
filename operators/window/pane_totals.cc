#include "operators/window/pane_totals.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "operators/window/panes.h"

namespace tidemark {
namespace {

constexpr size_t kBlock = 32;  // groups whose cache misses are waited for together

}  // namespace

PaneTotals::PaneTotals(const WindowSpec& spec, GroupSet* groups) : spec_(spec), groups_(*groups) {
  for (size_t a = 0; a < groups_.accumulators().size(); ++a) {
    switch (groups_.accumulators()[a]->sliding()) {
      case Accumulator::Sliding::kTaken:
        taken_.push_back(a);
        break;
      case Accumulator::Sliding::kBest:
        bests_.emplace_back(&groups_, a);
        break;
      case Accumulator::Sliding::kMerged:
        stacks_.emplace_back(spec_, &groups_, a);
        break;
    }
  }
}

void PaneTotals::MoveTo(int64_t start_us, absl::Span<Window* const> members, absl::Span<Window* const> come,
                        std::string_view passed) {
  const bool all = !std::exchange(known_, true);
  for (PaneStacks& stacks : stacks_) stacks.MoveTo(start_us, all);
  const size_t before = order_.size();
  for (const Window* pane : all ? members : come) Come(*pane);
  for (PaneStacks& stacks : stacks_) stacks.AllCame();
  Sort(before);
  if (std::exchange(some_gone_, false)) ForgetGone();
  const auto next =
      std::partition_point(order_.begin(), order_.end(), [&](uint32_t total) { return groups_.key(total) <= passed; });
  at_ = passed.empty() ? 0 : static_cast<size_t>(next - order_.begin());
}

void PaneTotals::Come(const Window& pane) {
  if (total_of_.size() < groups_.slots()) total_of_.resize(groups_.slots(), kNoSlot);
  std::remove_copy(pane.slots.begin(), pane.slots.end(), std::back_inserter(Begin()), kNoSlot);
  for (size_t begin = 0; begin < from_.size(); begin += kBlock) {
    FindTotals(absl::MakeConstSpan(from_).subspan(begin, kBlock));
  }
  for (const size_t a : taken_) groups_.accumulators()[a]->MergeSlots(from_, to_);
  const int64_t last_us = panes::Last(spec_, pane.start_us);
  for (PaneBests& bests : bests_) bests.Come(last_us, from_, to_, numbers_);
  for (PaneStacks& stacks : stacks_) stacks.Come(last_us, from_, to_);
}

std::vector<uint32_t>& PaneTotals::Begin() {
  to_.clear();
  numbers_.clear();
  from_.clear();
  return from_;
}

// The totals of a pane's groups, made where there are none yet. What a key is looked for in isn't in the cache where
// there are many, so a block of them waits for that together.
void PaneTotals::FindTotals(absl::Span<const uint32_t> block) {
  std::array<uint32_t, kBlock> candidates;
  for (const uint32_t slot : block) totals_.index.Prefetch(groups_.hash(slot));
  for (size_t i = 0; i < block.size(); ++i) {
    candidates[i] = totals_.index.Candidate(groups_.hash(block[i]));
    if (candidates[i] != kNoSlot) groups_.PrefetchGroup(candidates[i]);
  }
  for (size_t i = 0; i < block.size(); ++i) {
    groups_.PrefetchKey(block[i]);
    if (candidates[i] != kNoSlot) groups_.PrefetchKey(candidates[i]);
  }
  for (const uint32_t slot : block) {
    const int64_t totals = totals_.live;
    const uint32_t total = groups_.FindOrMake(&totals_, groups_.key(slot), groups_.hash(slot));
    if (totals_.live != totals) order_.push_back(total);
    total_of_[slot] = total;
    groups_.rows(total) += groups_.rows(slot);
    to_.push_back(total);
    numbers_.push_back(groups_.number(total));
  }
}

void PaneTotals::Leave(const Window& pane) {
  if (!known_) return;
  std::remove_copy(pane.slots.begin(), pane.slots.end(), std::back_inserter(Begin()), kNoSlot);
  for (size_t i = 0; i < from_.size(); ++i) {
    if (i + kBlock < from_.size()) {
      groups_.PrefetchGroup(from_[i + kBlock]);
      groups_.PrefetchGroup(total_of_[from_[i + kBlock]]);
    }
    const uint32_t total = total_of_[from_[i]];
    groups_.rows(total) -= groups_.rows(from_[i]);
    some_gone_ |= groups_.rows(total) == 0;
    to_.push_back(total);
    numbers_.push_back(groups_.number(total));
  }
  for (const size_t a : taken_) groups_.accumulators()[a]->TakeSlots(from_, to_);
  for (PaneBests& bests : bests_) bests.Leave(from_, to_, numbers_);
}

// From the last of the new ones: what lies behind it moves up.
void PaneTotals::Sort(size_t from) {
  new_.assign(order_.begin() + static_cast<int64_t>(from), order_.end());
  groups_.SortByKey(&new_);
  auto old = order_.begin() + static_cast<int64_t>(from), to = order_.end();
  for (const uint32_t total : new_) {
    const auto at = std::partition_point(order_.begin(), old,
                                         [&](uint32_t other) { return groups_.key(other) < groups_.key(total); });
    to = std::move_backward(at, old, to);
    *--to = total;
    old = at;
  }
}

// The keys that the present window hasn't got any more.
void PaneTotals::ForgetGone() {
  std::erase_if(order_, [this](uint32_t total) {
    if (groups_.rows(total) != 0) return false;
    const uint32_t number = groups_.number(total);
    for (PaneStacks& stacks : stacks_) stacks.Forget(number);
    groups_.Free(total);
    totals_.free_numbers.push_back(number);
    return true;
  });
  totals_.rekeyed.clear();
  groups_.CompactKeys(&totals_);
}

void PaneTotals::Next(size_t most, std::vector<uint32_t>* slots) {
  const auto begin = order_.begin() + static_cast<int64_t>(at_);
  at_ += std::min(most, order_.size() - at_);
  slots->assign(begin, order_.begin() + static_cast<int64_t>(at_));
  for (PaneStacks& stacks : stacks_) stacks.SetTotals(*slots);
}

void PaneTotals::Clear() {
  for (PaneBests& bests : bests_) bests.Clear();
  for (PaneStacks& stacks : stacks_) stacks.Clear();
  for (const uint32_t total : order_) groups_.Free(total);
  totals_ = Window();
  total_of_ = std::vector<uint32_t>();
  order_ = std::vector<uint32_t>();
  at_ = 0;
  known_ = some_gone_ = false;
}

int64_t PaneTotals::MemoryBytes() const {
  auto bytes = static_cast<int64_t>(totals_.keys.MemoryBytes() + totals_.index.MemoryBytes() +
                                    (totals_.slots.capacity() + totals_.free_numbers.capacity() + total_of_.capacity() +
                                     order_.capacity() + from_.capacity() + to_.capacity() + numbers_.capacity()) *
                                        sizeof(uint32_t));
  for (const PaneBests& bests : bests_) bytes += bests.MemoryBytes();
  for (const PaneStacks& stacks : stacks_) bytes += stacks.MemoryBytes();
  return bytes;
}

}  // namespace tidemark
