#include "operators/window/pane_totals.h"

#include <algorithm>
#include <utility>

#include "operators/window/panes.h"

namespace tidemark {

void PaneTotals::MoveTo(int64_t start_us, absl::Span<Window* const> members, absl::Span<Window* const> come,
                        std::string_view passed) {
  const bool all = !std::exchange(known_, true);
  start_us_ = start_us;
  const int64_t windows = panes::Windows(spec_);
  const int64_t number = (start_us - spec_.offset_us) / spec_.every_us % windows;
  turning_ = static_cast<uint32_t>(number < 0 ? number + windows : number);
  const size_t before = order_.size();
  for (Window* window : all ? members : come) {
    const int64_t last = panes::Last(spec_, window->start_us);
    for (const uint32_t slot : window->slots) {
      if (slot == kNoSlot) continue;
      Entry* const entry = &entries_[FindOrMake(slot)];
      const int64_t held = Held(*entry);
      entry->parts.push_back({last, slot});
      if (!all) AddToFront(entry, entry->parts.back());
      held_bytes_ += Held(*entry) - held;
    }
  }
  if (all) {
    for (const uint32_t number_of : order_) Turn(&entries_[number_of]);
  }
  const auto by_key = [this](uint32_t a, uint32_t b) { return entries_[a].key < entries_[b].key; };
  const auto middle = order_.begin() + static_cast<int64_t>(before);
  std::sort(middle, order_.end(), by_key);
  std::inplace_merge(order_.begin(), middle, order_.end(), by_key);
  at_ = kept_ = 0;
  if (passed.empty()) return;
  const auto from =
      std::partition_point(order_.begin(), order_.end(), [&](uint32_t entry) { return entries_[entry].key <= passed; });
  at_ = kept_ = static_cast<size_t>(from - order_.begin());
}

// Of the key that the group has.
uint32_t PaneTotals::FindOrMake(uint32_t group) {
  const uint64_t hash = groups_.hash(group);
  const std::string_view key = groups_.key(group);
  const uint32_t found =
      index_.Find(hash, [&](uint32_t e) { return entries_[e].hash == hash && entries_[e].key == key; });
  if (found != GroupIndex::kNoSlot) return found;
  uint32_t number = 0;
  if (free_.empty()) {
    number = static_cast<uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  Entry& entry = entries_[number];
  entry.key.assign(key);
  entry.hash = hash;
  entry.turns = static_cast<uint32_t>((hash >> 32) % static_cast<uint64_t>(panes::Windows(spec_)));
  index_.Insert(hash, number);
  order_.push_back(number);
  return number;
}

// Of one part alone the front is that part.
void PaneTotals::AddToFront(Entry* entry, const Part& part) {
  Part& front = entry->front;
  if (front.slot == kNoSlot) {
    front = part;
    return;
  }
  if (front.last_us < start_us_) return;  // some of it is gone: it will be turned
  if (!front.own) {
    front = Sum(front.slot, part.slot, front.last_us);
  } else {
    groups_.MergeInto(part.slot, front.slot);
  }
  front.last_us = std::min(front.last_us, part.last_us);
}

PaneTotals::Part PaneTotals::Sum(uint32_t a, uint32_t b, int64_t last_us) {
  const Part sum{last_us, groups_.MakeLoose({}), true};
  groups_.MergeInto(a, sum.slot);
  if (b != kNoSlot) groups_.MergeInto(b, sum.slot);
  return sum;
}

// What is over is gone already from the back, not from the front. From what lasts longest to what is over first: each
// sum is the one before it and what comes to it.
void PaneTotals::Turn(Entry* entry) {
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
      groups_.MergeInto(part.slot, come.slot);
    }
  }
  Free(&come);
  back.assign(turned_.begin(), turned_.end());
  parts.clear();
  held_bytes_ += Held(*entry) - held;
}

// The longest-lived part alone is its own sum.
void PaneTotals::AddToSums(const Part& part) {
  if (turned_.empty()) {
    turned_.push_back(part);
    return;
  }
  Part& last = turned_.back();
  if (last.last_us != part.last_us) {
    turned_.push_back(Sum(last.slot, part.slot, part.last_us));
  } else if (last.own) {
    groups_.MergeInto(part.slot, last.slot);
  } else {
    last = Sum(last.slot, part.slot, part.last_us);
  }
}

uint32_t PaneTotals::ValueOf(Entry* entry) {
  while (!entry->back.empty() && entry->back.back().last_us < start_us_) {
    Free(&entry->back.back());
    entry->back.pop_back();
  }
  const bool over = entry->front.slot != kNoSlot && entry->front.last_us < start_us_;
  if (over || (entry->turns == turning_ && !entry->parts.empty())) Turn(entry);
  const uint32_t front = entry->front.slot;
  if (entry->back.empty()) return front;
  if (front == kNoSlot) return entry->back.back().slot;
  lent_.push_back(Sum(entry->back.back().slot, front, 0));
  return lent_.back().slot;
}

void PaneTotals::Next(size_t most, std::vector<uint32_t>* slots) {
  slots->clear();
  for (Part& part : lent_) Free(&part);
  lent_.clear();
  while (at_ < order_.size() && slots->size() < most) {
    const uint32_t number = order_[at_++];
    Entry& entry = entries_[number];
    const uint32_t slot = ValueOf(&entry);
    if (slot == kNoSlot) {
      Forget(number);
      continue;
    }
    groups_.NameLoose(slot, entry.key);
    slots->push_back(slot);
    order_[kept_++] = number;
  }
  if (at_ == order_.size()) {
    order_.resize(kept_);
    at_ = kept_;
  }
}

void PaneTotals::Free(Part* part) {
  if (part->own && part->slot != kNoSlot) groups_.FreeCopy(part->slot);
  *part = Part();
}

void PaneTotals::Forget(uint32_t number) {
  Entry& entry = entries_[number];
  index_.Erase(entry.hash, number);
  held_bytes_ -= Held(entry);
  entry = Entry();
  free_.push_back(number);
}

void PaneTotals::Clear() {
  for (Part& part : lent_) Free(&part);
  for (Entry& entry : entries_) {
    Free(&entry.front);
    for (Part& part : entry.back) Free(&part);
  }
  lent_.clear();
  entries_.clear();
  free_.clear();
  index_.Clear();
  order_.clear();
  at_ = kept_ = 0;
  held_bytes_ = 0;
  known_ = false;
}

int64_t PaneTotals::MemoryBytes() const {
  return static_cast<int64_t>(entries_.size() * sizeof(Entry) + order_.capacity() * sizeof(uint32_t) +
                              index_.MemoryBytes()) +
         held_bytes_;
}

}  // namespace tidemark
