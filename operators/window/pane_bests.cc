#include "operators/window/pane_bests.h"

#include <algorithm>

namespace tidemark {
namespace {

constexpr size_t kNear = 8, kFar = 16;  // groups ahead

}  // namespace

bool PaneBests::Insert(const Accumulator& accumulator, Candidate group, Candidates* candidates) {
  if (!accumulator.HasAny(group.slot)) return false;
  // Behind it: those that last as long and longer, the best of them first.
  auto behind = candidates->end();
  while (behind != candidates->begin() && (behind - 1)->last_us >= group.last_us) --behind;
  if (behind != candidates->end()) {
    if (!accumulator.Adds(group.slot, behind->slot)) return false;
    if (behind->last_us == group.last_us) ++behind;
  }
  auto before = behind;
  while (before != candidates->begin() &&
         ((before - 1)->last_us == group.last_us || !accumulator.Adds((before - 1)->slot, group.slot))) {
    --before;
  }
  if (before == behind) {
    candidates->insert(before, group);
  } else {
    *before = group;
    candidates->erase(before + 1, behind);
  }
  return true;
}

void PaneBests::Prefetch(const Accumulator& accumulator, absl::Span<const uint32_t> numbers, size_t i) const {
  if (i + kFar < numbers.size()) __builtin_prefetch(&of_[numbers[i + kFar]]);
  if (i + kNear >= numbers.size()) return;
  const Candidates& candidates = of_[numbers[i + kNear]];
  if (!candidates.empty()) accumulator.Prefetch(candidates.back().slot);
}

void PaneBests::Come(int64_t last_us, absl::Span<const uint32_t> groups, absl::Span<const uint32_t> totals,
                     absl::Span<const uint32_t> numbers) {
  if (numbers.empty()) return;
  const size_t most = size_t{*std::max_element(numbers.begin(), numbers.end())} + 1;
  if (most > of_.size()) of_.resize(std::max(most, of_.size() * 3 / 2));
  Accumulator& accumulator = *groups_.accumulators()[aggregate_];
  for (size_t i = 0; i < groups.size(); ++i) {
    Prefetch(accumulator, numbers, i);
    Candidates& candidates = of_[numbers[i]];
    const int64_t held = Held(candidates);
    if (!Insert(accumulator, {last_us, groups[i]}, &candidates)) continue;
    held_bytes_ += Held(candidates) - held;
    if (candidates.front().slot == groups[i]) accumulator.Copy(groups[i], totals[i]);
  }
}

void PaneBests::Leave(absl::Span<const uint32_t> groups, absl::Span<const uint32_t> totals,
                      absl::Span<const uint32_t> numbers) {
  Accumulator& accumulator = *groups_.accumulators()[aggregate_];
  for (size_t i = 0; i < groups.size(); ++i) {
    if (i + kNear < numbers.size() && numbers[i + kNear] < of_.size()) __builtin_prefetch(&of_[numbers[i + kNear]]);
    if (numbers[i] >= of_.size()) continue;
    Candidates& candidates = of_[numbers[i]];
    if (candidates.empty() || candidates.front().slot != groups[i]) continue;
    candidates.erase(candidates.begin());
    candidates.empty() ? accumulator.Clear(totals[i]) : accumulator.Copy(candidates.front().slot, totals[i]);
  }
}

void PaneBests::Clear() {
  of_ = std::vector<Candidates>();
  held_bytes_ = 0;
}

int64_t PaneBests::MemoryBytes() const {
  return static_cast<int64_t>(of_.capacity() * sizeof(Candidates)) + held_bytes_;
}

}  // namespace tidemark
