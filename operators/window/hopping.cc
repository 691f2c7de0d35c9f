#include "operators/window/hopping.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/record_batch.h>

#include "operators/step.h"
#include "operators/window/clock.h"
#include "operators/window/cold_groups.h"
#include "operators/window/pane_reader.h"
#include "operators/window/pane_totals.h"
#include "operators/window/panes.h"
#include "operators/window/partial_schema.h"
#include "operators/window/result_rows.h"
#include "operators/window/rows.h"
#include "operators/window/state.h"
#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 2048;
constexpr std::string_view kTold = "h";

std::string ToldKey(size_t part) {
  std::string key(kTold);
  if (part > 0) AppendBigEndian(part, 2, &key);
  return key;
}

class HoppingResults final : public Operator {
 public:
  HoppingResults(const Node& node, const WindowSpec& spec, WindowRows rows, PartialLayout layout)
      : shape_(node),
        spec_(spec),
        layout_(std::move(layout)),
        rows_(std::move(rows)),
        groups_(rows_.aggregates(), GroupCodec(spec, layout_), InputRows::kShared),
        results_(&shape_, &spec_, &groups_),
        totals_(spec_, &groups_) {}

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override { return groups_.MemoryBytes() + MoreBytes(); }

 private:
  using Window = GroupSet::Window;
  // By slot: the group hasn't changed since the last commit, nor since the clock's hand passed it (kIdle) or only since
  // then (kRecent); or it has.
  enum class Age : uint8_t { kIdle, kRecent, kChanged };

  absl::Status LoadTold();
  void SaveTold();
  absl::Status AddRows(const Batch& batch, Emitter& emitter);
  absl::Status AddPartials(const Batch& batch);
  absl::Status Locate(const Batch& batch, const Cells<int64_t>* counts);
  void MarkChanged();
  bool IsIdle(uint32_t slot);
  bool IsPartOf(int64_t number, int64_t start_us) const {
    return panes::First(spec_, number) <= start_us && start_us <= panes::Last(spec_, number);
  }
  int64_t MoreBytes() const {
    return static_cast<int64_t>(ages_.capacity()) + totals_.MemoryBytes() + (reader_ ? reader_->MemoryBytes() : 0);
  }

  void Begin();
  absl::Status Tell(Emitter& emitter);
  absl::Status Emit(absl::Span<const uint32_t> slots, Emitter& emitter);
  void End();
  void DropPane(Window* pane);
  int64_t FirstFrom(int64_t start_us) const;
  EventTime OutputWatermark() const;
  absl::Status GiveBack();

  const StepShape shape_;
  const WindowSpec spec_;
  const PartialLayout layout_;
  WindowRows rows_;
  GroupSet groups_;  // of panes, by their numbers
  const ResultRows results_;
  std::optional<WindowClock> clock_;
  std::optional<WindowState> state_;  // of groups_
  std::optional<ColdGroups> cold_;    // likewise
  StateStore* store_ = nullptr;
  StepLedger* ledger_ = nullptr;
  EventTime output_watermark_ = kMinTime;
  std::vector<Age> ages_;         // by slot
  std::vector<int64_t> touched_;  // numbers of the panes with something to save
  WindowPairs pairs_;             // scratch

  // What is told.
  int64_t next_ = kMaxTime.us;        // the start of the first window that has rows and isn't told
  int64_t told_until_ = kMinTime.us;  // windows that start before it are told
  std::string passed_;                // of the window that starts at told_until_: keys up to this one are; empty: none
  std::string stored_;                // as it stands in the state
  bool telling_ = false;              // some of the window at next_ is told, from totals_ or reader_
  PaneTotals totals_;
  std::optional<PaneReader> reader_;
};

absl::Status HoppingResults::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  store_ = context.state;
  groups_.set_grown(context.grown_groups);
  clock_.emplace(context.state, spec_.grace_us);
  TM_RETURN_IF_ERROR(clock_->Load());
  state_.emplace(context.state, &groups_);
  TM_RETURN_IF_ERROR(state_->Load());
  cold_.emplace(context.state, &groups_, context.memory);
  TM_RETURN_IF_ERROR(cold_->Load());
  ages_.assign(groups_.slots(), Age::kIdle);
  TM_RETURN_IF_ERROR(LoadTold());
  next_ = FirstFrom(told_until_);
  return absl::OkStatus();
}

// Behind a part as long as a value may be there may be another one.
absl::Status HoppingResults::LoadTold() {
  TM_ASSIGN_OR_RETURN(std::optional<std::string> part, store_->Get(kTold));
  if (!part) return absl::OkStatus();
  for (size_t number = 1; part; ++number) {
    stored_.append(*part);
    if (part->size() < kMaxValueBytes) break;
    TM_ASSIGN_OR_RETURN(part, store_->Get(ToldKey(number)));
  }
  if (stored_.size() < 8) return absl::DataLossError("what is told of windows can't be read from the state");
  told_until_ = ReadOrdered(std::string_view(stored_).substr(0, 8));
  passed_ = stored_.substr(8);
  return absl::OkStatus();
}

void HoppingResults::SaveTold() {
  if (told_until_ == kMinTime.us) return;
  std::string told;
  AppendOrdered(told_until_, &told);
  told.append(passed_);
  if (told == stored_ || MutationActive(Mutation::kToldWindowForgotten)) return;
  size_t number = 0;
  for (size_t at = 0; at < told.size(); at += kMaxValueBytes) {
    store_->Put(ToldKey(number++), std::string_view(told).substr(at, kMaxValueBytes));
  }
  for (; number * kMaxValueBytes < stored_.size(); ++number) store_->Delete(ToldKey(number));
  stored_ = std::move(told);
}

absl::Status HoppingResults::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  if (batch->num_rows() == 0) return absl::OkStatus();
  return spec_.phase == WindowSpec::Phase::kSingle ? AddRows(batch, emitter) : AddPartials(batch);
}

absl::Status HoppingResults::AddRows(const Batch& batch, Emitter& emitter) {
  TM_RETURN_IF_ERROR(rows_.Pair(batch, clock_->judging(), ledger_, emitter, &pairs_));
  TM_RETURN_IF_ERROR(Locate(batch, nullptr));
  return rows_.Add(batch, pairs_, &groups_);
}

// Finds the pairs' groups. `counts`: rows behind each row of the batch; none: one.
absl::Status HoppingResults::Locate(const Batch& batch, const Cells<int64_t>* counts) {
  struct Pane {
    int64_t number = kMinTime.us, windows = 0;
  };
  std::array<Pane, 16> recent;  // by number: panes come again with the next rows
  for (size_t p = 0; p < pairs_.rows.size(); ++p) {
    const int64_t number = pairs_.starts[p];
    Pane& pane = recent[static_cast<uint64_t>(number) * 0x9E3779B97F4A7C15ULL >> 60];
    if (pane.number != number) {
      pane = {number, panes::Count(spec_, number)};
      next_ = std::min(next_, panes::First(spec_, number));
    }
    ledger_->open += pane.windows * (counts == nullptr ? 1 : (*counts)[pairs_.rows[p]]);
  }
  TM_RETURN_IF_ERROR(groups_.Locate(*batch, &pairs_));
  TM_RETURN_IF_ERROR(cold_->Warm(&pairs_));
  MarkChanged();
  return absl::OkStatus();
}

absl::Status HoppingResults::AddPartials(const Batch& batch) {
  const Cells<int64_t> counts(*batch->column_data(static_cast<int>(layout_.rows)));
  const Cells<int64_t> starts(*batch->column_data(static_cast<int>(*layout_.window_start)));
  const Cells<int32_t> windows(*batch->column_data(static_cast<int>(*layout_.windows)));
  pairs_.rows.clear();
  pairs_.starts.clear();
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    if (starts.IsNull(i)) return absl::DataLossError("a partial aggregate of no window");
    // Earlier versions wrote a partial for each window.
    const int64_t sent = windows.IsNull(i) ? 1 : windows[i];
    if (sent < 1 || sent > panes::Windows(spec_)) return absl::DataLossError("a partial aggregate of no such windows");
    const int64_t open = std::min(sent, panes::Windows(spec_) - panes::Closed(spec_, starts[i], clock_->judging()));
    ledger_->late_after_idle += (sent - open) * counts[i];
    if (open == 0) continue;
    pairs_.rows.push_back(static_cast<int32_t>(i));
    pairs_.starts.push_back(panes::Number(starts[i], open));
  }
  TM_RETURN_IF_ERROR(Locate(batch, &counts));
  for (size_t p = 0; p < pairs_.rows.size(); ++p) groups_.rows(pairs_.slots[p]) += counts[pairs_.rows[p]];
  for (size_t a = 0; a < layout_.aggregates.size(); ++a) {
    TM_RETURN_IF_ERROR(
        groups_.accumulators()[a]->Merge(*batch, static_cast<int>(layout_.aggregates[a]), pairs_.rows, pairs_.slots));
  }
  return absl::OkStatus();
}

void HoppingResults::MarkChanged() {
  if (ages_.size() < groups_.slots()) ages_.resize(groups_.slots(), Age::kIdle);
  for (const uint32_t slot : pairs_.slots) {
    if (std::exchange(ages_[slot], Age::kChanged) == Age::kChanged) continue;
    Window& pane = groups_.window(slot);
    if (!std::exchange(pane.touched, true)) touched_.push_back(pane.start_us);
    pane.changed.push_back(slot);
  }
}

// What is being told stays where it is.
bool HoppingResults::IsIdle(uint32_t slot) {
  if (telling_ && IsPartOf(groups_.window(slot).start_us, next_)) return false;
  if (slot >= ages_.size() || ages_[slot] == Age::kIdle) return true;
  if (ages_[slot] == Age::kRecent) ages_[slot] = Age::kIdle;
  return false;
}

absl::StatusOr<EventTime> HoppingResults::AdvanceWatermark(EventTime time, Emitter& emitter) {
  clock_->Advance(time);
  while (next_ != kMaxTime.us && WindowOver(spec_, next_, *clock_) && !emitter.Full()) {
    TM_RETURN_IF_ERROR(Tell(emitter));
  }
  output_watermark_ = std::max(output_watermark_, std::min(time, OutputWatermark()));
  return output_watermark_;
}

EventTime HoppingResults::OutputWatermark() const {
  const EventTime closed_ends = clock_->over();  // windows that end until then take no more rows
  if (closed_ends == kMinTime) return kMinTime;
  EventTime hold = clock_->time();
  if (closed_ends != kMaxTime) hold = std::min(hold, NextEnd(spec_, closed_ends) - kMillisecond - 1);
  if (next_ != kMaxTime.us) hold = std::min(hold, ResultTime(spec_, next_) - 1);
  return hold;
}

// The start of the first window from there on that has rows.
int64_t HoppingResults::FirstFrom(int64_t start_us) const {
  int64_t first = kMaxTime.us;
  for (const auto& [number, pane] : groups_.windows()) {
    if (panes::Last(spec_, number) < start_us) continue;
    first = std::min(first, std::max(start_us, panes::First(spec_, number)));
    if (first == start_us) break;
  }
  return first;
}

// Groups of the window at next_, until all are out or the commit is full.
absl::Status HoppingResults::Tell(Emitter& emitter) {
  if (!telling_) Begin();
  std::vector<uint32_t> slots;
  while (!emitter.Full()) {
    if (reader_) {
      TM_RETURN_IF_ERROR(reader_->Next(kEmitRows, &slots));
    } else {
      totals_.Next(kEmitRows, &slots);
    }
    if (slots.empty()) {
      End();
      return absl::OkStatus();
    }
    passed_ = groups_.key(slots.back());
    TM_RETURN_IF_ERROR(Emit(slots, emitter));
  }
  return absl::OkStatus();
}

void HoppingResults::Begin() {
  telling_ = true;
  if (std::exchange(told_until_, next_) != next_) passed_.clear();
  std::vector<Window*> members, come;
  bool in_memory = true;
  for (auto at = groups_.windows().lower_bound(next_); at != groups_.windows().end(); ++at) {
    auto& [number, pane] = *at;
    const int64_t first = panes::First(spec_, number);
    if (first > next_) continue;
    members.push_back(&pane);
    if (first == next_) come.push_back(&pane);
    in_memory &= pane.cold == nullptr;
  }
  // Sums take as much again as what they are made of, at most.
  if (in_memory && !cold_->IsShort(MoreBytes(), totals_.known() ? 0 : groups_.MemoryBytes())) {
    totals_.MoveTo(next_, members, come, passed_);
  } else {
    totals_.Clear();
    reader_.emplace(&groups_, members, passed_);
  }
}

absl::Status HoppingResults::Emit(absl::Span<const uint32_t> slots, Emitter& emitter) {
  ResultRows::Rows rows{.slots = slots, .starts = {}, .ends = {}, .times = {}, .ops = {}};
  const EventTime end = WindowEnd(spec_, next_);
  rows.starts.assign(slots.size(), next_);
  rows.ends.assign(slots.size(), end.us);
  rows.times.assign(slots.size(), (end - kMillisecond).us);
  for (const uint32_t slot : slots) {
    ledger_->closed += groups_.rows(slot);
    ledger_->open -= groups_.rows(slot);
  }
  return results_.Emit(std::move(rows), ledger_, emitter);
}

// All of the window is told: panes that it is the last window of are gone.
void HoppingResults::End() {
  reader_.reset();
  telling_ = false;
  passed_.clear();
  told_until_ = (EventTime{next_} + spec_.every_us).us;
  auto& panes = groups_.windows();
  for (auto at = panes.begin(); at != panes.end() && at->first < told_until_;) {
    totals_.Leave(at->second);
    DropPane(&(at++)->second);
  }
  next_ = FirstFrom(told_until_);
}

void HoppingResults::DropPane(Window* pane) {
  for (const uint32_t slot : pane->slots) {
    if (slot != GroupSet::kNoSlot && slot < ages_.size()) ages_[slot] = Age::kIdle;
  }
  groups_.Close(pane);
  groups_.FreeAll(pane);
  WindowState::Drop(pane);
  cold_->Drop(pane);
  std::erase(touched_, pane->start_us);
  groups_.Drop(pane);
}

absl::Status HoppingResults::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  clock_->Save();
  SaveTold();
  // Sums are the first to go where memory is short.
  if (totals_.known() && cold_->IsShort(MoreBytes(), 0)) {
    totals_.Clear();
    telling_ = reader_.has_value();
  }
  if (!totals_.known()) {
    TM_RETURN_IF_ERROR(cold_->Evict([this](uint32_t slot) { return IsIdle(slot); }, MoreBytes(), &touched_));
  }
  std::sort(touched_.begin(), touched_.end());
  for (const int64_t number : std::exchange(touched_, {})) {
    Window& pane = groups_.windows().at(number);
    pane.touched = false;
    for (const uint32_t slot : pane.changed) ages_[slot] = Age::kRecent;
    TM_RETURN_IF_ERROR(state_->Save(commit, &pane));
    cold_->Save(&pane);
  }
  cold_->DropSome();
  return GiveBack();
}

// Memory that the groups have left, where it is needed elsewhere.
absl::Status HoppingResults::GiveBack() {
  if (telling_ || totals_.known() || !cold_->WantsCompaction(MoreBytes())) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const std::vector<uint32_t> old, groups_.Compact(groups_.slots() / 8));
  std::vector<Age> ages;
  ages.reserve(old.size());
  for (const uint32_t slot : old) ages.push_back(slot < ages_.size() ? ages_[slot] : Age::kIdle);
  ages_ = std::move(ages);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeHoppingResults(const Node& node, const WindowSpec& spec) {
  TM_ASSIGN_OR_RETURN(WindowRows rows, WindowRows::Make(spec));
  PartialLayout layout = MakePartialLayout(spec, rows.aggregates());
  return std::make_unique<HoppingResults>(node, spec, std::move(rows), std::move(layout));
}

}  // namespace tidemark
