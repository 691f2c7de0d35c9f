#include "operators/window/pane_stacks.h"

#include <algorithm>
#include <utility>

#include "operators/window/panes.h"

namespace tidemark {

void PaneStacks::MoveTo(int64_t start_us, bool first) {
  first_ = first;
  start_us_ = start_us;
  const int64_t windows = panes::Windows(spec_);
  const int64_t number = (start_us - spec_.offset_us) / spec_.every_us % windows;
  turning_ = static_cast<uint32_t>(number < 0 ? number + windows : number);
}

void PaneStacks::Come(int64_t last_us, absl::Span<const uint32_t> groups, absl::Span<const uint32_t> totals) {
  for (size_t i = 0; i < groups.size(); ++i) {
    const uint32_t number = groups_.number(totals[i]);
    if (number >= entries_.size()) entries_.resize(number + 1);
    Entry& entry = entries_[number];
    const int64_t held = Held(entry);
    if (entry.parts.empty() && entry.back.empty()) {
      entry.turns =
          static_cast<uint32_t>((groups_.hash(totals[i]) >> 32) % static_cast<uint64_t>(panes::Windows(spec_)));
    }
    entry.parts.push_back({last_us, groups[i]});
    if (!first_) AddToFront(&entry, entry.parts.back());
    held_bytes_ += Held(entry) - held;
  }
}

void PaneStacks::AllCame() {
  if (!std::exchange(first_, false)) return;
  for (Entry& entry : entries_) Turn(&entry);
}

// Of one part alone the front is that part.
void PaneStacks::AddToFront(Entry* entry, const Part& part) {
  Part& front = entry->front;
  if (front.slot == kNoSlot) {
    front = part;
    return;
  }
  if (front.last_us < start_us_) return;  // some of it is gone: it will be turned
  if (!front.own) {
    front = Sum(front.slot, part.slot, front.last_us);
  } else {
    Merge(part.slot, front.slot);
  }
  front.last_us = std::min(front.last_us, part.last_us);
}

PaneStacks::Part PaneStacks::Sum(uint32_t a, uint32_t b, int64_t last_us) {
  const Part sum{last_us, groups_.MakeLoose({}), true};
  Merge(a, sum.slot);
  if (b != kNoSlot) Merge(b, sum.slot);
  return sum;
}

// What is over is gone already from the back, not from the front. From what lasts longest to what is over first: each
// sum is the one before it and what comes to it.
void PaneStacks::Turn(Entry* entry) {
  const int64_t held = Held(*entry);
  Free(&entry->front);
  std::vector<Part>&parts = entry->parts, &back = entry->back;
  std::erase_if(parts, [&](const Part& part) { return part.last_us < start_us_; });
  std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.last_us > b.last_us; });
  turned_.clear();
  Part come;  // the parts that are in the sums so far: what the sums that were there before lack
  for (size_t p = 0, b = 0; p < parts.size() || b < back.size();) {
    if (p == parts.size() || (b < back.size() && back[b].last_us > parts[p].last_us)) {
      Part& sum = back[b++];
      if (come.slot == kNoSlot) {
        turned_.push_back(sum);
        continue;
      }
      turned_.push_back(Sum(sum.slot, come.slot, sum.last_us));
      Free(&sum);
      continue;
    }
    const Part& part = parts[p++];
    AddToSums(part);
    if (b == back.size()) continue;
    if (come.slot == kNoSlot) {
      come = Sum(part.slot, kNoSlot, part.last_us);
    } else {
      Merge(part.slot, come.slot);
    }
  }
  Free(&come);
  back.assign(turned_.begin(), turned_.end());
  parts.clear();
  held_bytes_ += Held(*entry) - held;
}

// The longest-lived part alone is its own sum.
void PaneStacks::AddToSums(const Part& part) {
  if (turned_.empty()) {
    turned_.push_back(part);
    return;
  }
  Part& last = turned_.back();
  if (last.last_us != part.last_us) {
    turned_.push_back(Sum(last.slot, part.slot, part.last_us));
  } else if (last.own) {
    Merge(part.slot, last.slot);
  } else {
    last = Sum(last.slot, part.slot, part.last_us);
  }
}

void PaneStacks::SetTotals(absl::Span<const uint32_t> totals) {
  for (const uint32_t total : totals) {
    Entry& entry = entries_[groups_.number(total)];
    while (!entry.back.empty() && entry.back.back().last_us < start_us_) {
      Free(&entry.back.back());
      entry.back.pop_back();
    }
    const bool over = entry.front.slot != kNoSlot && entry.front.last_us < start_us_;
    if (over || (entry.turns == turning_ && !entry.parts.empty())) Turn(&entry);
    groups_.accumulators()[aggregate_]->Clear(total);
    if (!entry.back.empty()) Merge(entry.back.back().slot, total);
    if (entry.front.slot != kNoSlot) Merge(entry.front.slot, total);
  }
}

void PaneStacks::Free(Part* part) {
  if (part->own && part->slot != kNoSlot) groups_.FreeCopy(part->slot);
  *part = Part();
}

void PaneStacks::Forget(uint32_t number) {
  if (number >= entries_.size()) return;
  Entry& entry = entries_[number];
  Free(&entry.front);
  for (Part& part : entry.back) Free(&part);
  held_bytes_ -= Held(entry);
  entry = Entry();
}

void PaneStacks::Clear() {
  for (uint32_t number = 0; number < entries_.size(); ++number) Forget(number);
  entries_.clear();
}

int64_t PaneStacks::MemoryBytes() const { return static_cast<int64_t>(entries_.size() * sizeof(Entry)) + held_bytes_; }

}  // namespace tidemark
