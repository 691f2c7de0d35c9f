#include "operators/window/pane_reader.h"

#include <algorithm>
#include <utility>

#include "src/base/status.h"

namespace tidemark {
namespace {

// Of a pane's run are read ahead so many blocks, of 4 KB each, or fewer, down to one, where all panes would take more.
constexpr size_t kMostBlocksAhead = 16, kBlockBytes = 4 << 10, kAheadBytes = 16 << 20;

}  // namespace

PaneReader::PaneReader(GroupSet* groups, absl::Span<Window* const> panes, std::string_view passed) : groups_(*groups) {
  const auto cold = std::count_if(panes.begin(), panes.end(), [](const Window* w) { return w->cold != nullptr; });
  blocks_ahead_ = BlocksAhead(static_cast<size_t>(cold));
  for (Window* window : panes) {
    Pane& pane = *panes_.emplace_back(std::make_unique<Pane>());
    pane.window = window;
    for (const uint32_t slot : window->slots) {
      if (slot != GroupSet::kNoSlot && (passed.empty() || groups_.key(slot) > passed)) pane.hot.push_back(slot);
    }
    groups_.SortByKey(&pane.hot);
    if (window->cold == nullptr) continue;
    // An earlier version may have told some of a window that kept its groups for itself.
    std::string_view from = passed;
    if (window->cold->emitted && *window->cold->emitted > from) from = *window->cold->emitted;
    pane.next = from.empty() ? std::string() : std::string(from) + '\0';
  }
}

PaneReader::~PaneReader() { FreeLent(); }

uint32_t PaneReader::BlocksAhead(size_t panes) {
  const size_t each = kAheadBytes / kBlockBytes / std::max<size_t>(1, panes);
  return static_cast<uint32_t>(std::clamp<size_t>(each, 1, kMostBlocksAhead));
}

int64_t PaneReader::MemoryBytes() const {
  size_t bytes = keys_.MemoryBytes() + (lent_.capacity() + heap_.capacity() * 2) * sizeof(uint32_t);
  for (const auto& pane : panes_) {
    bytes += sizeof(*pane) + pane->hot.capacity() * sizeof(uint32_t) + pane->ahead.bytes.MemoryBytes() +
             pane->ahead.list.capacity() * sizeof(KeyedRuns::Entry);
  }
  return static_cast<int64_t>(bytes);
}

void PaneReader::FreeLent() {
  for (const uint32_t slot : std::exchange(lent_, {})) groups_.FreeCopy(slot);
  keys_ = ByteArena();
}

absl::StatusOr<bool> PaneReader::HasCold(Pane* pane) {
  while (pane->at == pane->ahead.list.size()) {
    if (!pane->next) return false;
    const std::string from = *pane->next;
    pane->ahead = KeyedRuns::Entries();
    pane->at = 0;
    TM_RETURN_IF_ERROR(pane->window->cold->runs->ReadSome(from, blocks_ahead_, &pane->ahead, &pane->next));
  }
  return true;
}

// To the next group. Of a key in memory, what the runs have of it is void.
absl::StatusOr<bool> PaneReader::Step(Pane* pane) {
  TM_ASSIGN_OR_RETURN(bool cold, HasCold(pane));
  const bool hot = !pane->hot.empty();
  if (hot && cold && groups_.key(pane->hot.back()) == pane->ahead.list[pane->at].key) {
    ++pane->at;
    TM_ASSIGN_OR_RETURN(cold, HasCold(pane));
  }
  if (!hot && !cold) return false;
  pane->is_hot = hot && (!cold || groups_.key(pane->hot.back()) < pane->ahead.list[pane->at].key);
  pane->key = pane->is_hot ? groups_.key(pane->hot.back()) : pane->ahead.list[pane->at].key;
  return true;
}

absl::Status PaneReader::Take(const Pane& pane, uint32_t to) {
  if (pane.is_hot) {
    groups_.MergeInto(pane.hot.back(), to);
    return absl::OkStatus();
  }
  TM_ASSIGN_OR_RETURN(const uint32_t slot, groups_.Borrow(nullptr, pane.key, pane.ahead.list[pane.at].value));
  groups_.MergeInto(slot, to);
  groups_.FreeCopy(slot);
  return absl::OkStatus();
}

absl::Status PaneReader::Next(size_t most, std::vector<uint32_t>* slots) {
  FreeLent();
  slots->clear();
  if (!std::exchange(started_, true)) {
    for (const auto& pane : panes_) {
      TM_ASSIGN_OR_RETURN(const bool more, Step(pane.get()));
      if (more) heap_.push_back(pane.get());
    }
    std::make_heap(heap_.begin(), heap_.end(), Later);
  }
  while (!heap_.empty() && slots->size() < most) {
    const std::string_view key(keys_.Add(heap_.front()->key), heap_.front()->key.size());
    lent_.push_back(groups_.MakeLoose(key));
    while (!heap_.empty() && heap_.front()->key == key) {
      std::pop_heap(heap_.begin(), heap_.end(), Later);
      Pane* const pane = heap_.back();
      TM_RETURN_IF_ERROR(Take(*pane, lent_.back()));
      pane->is_hot ? pane->hot.pop_back() : static_cast<void>(++pane->at);
      TM_ASSIGN_OR_RETURN(const bool more, Step(pane));
      more ? std::push_heap(heap_.begin(), heap_.end(), Later) : heap_.pop_back();
    }
    slots->push_back(lent_.back());
  }
  return absl::OkStatus();
}

}  // namespace tidemark
