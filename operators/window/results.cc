#include "operators/window/results.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "operators/step.h"
#include "operators/window/clock.h"
#include "operators/window/cold_groups.h"
#include "operators/window/partial_schema.h"
#include "operators/window/result_rows.h"
#include "operators/window/rows.h"
#include "operators/window/state.h"
#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 2048;

class WindowResults final : public Operator {
 public:
  WindowResults(const Node& node, const WindowSpec& spec, WindowRows rows, PartialLayout layout)
      : shape_(node),
        spec_(spec),
        layout_(std::move(layout)),
        rows_(std::move(rows)),
        groups_(rows_.aggregates(), GroupCodec(spec, layout_),
                spec.input_updates ? InputRows::kChange : InputRows::kStand),
        results_(&shape_, &spec_, &groups_) {}

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override { return groups_.MemoryBytes() + BeforeBytes(); }

 private:
  using Window = GroupSet::Window;
  // In before_: the slot hasn't changed since the last commit, nor since the clock's hand passed it (kIdle) or only
  // since then (kRecent); it has, but there is no row to replace (kNothing). Else the slot with its values as of the
  // last commit.
  static constexpr uint32_t kIdle = ~uint32_t{0}, kRecent = kIdle - 1, kNothing = kIdle - 2;

  absl::Status AddRows(const Batch& batch, Emitter& emitter);
  absl::Status AddEach(const Batch& batch, Emitter& emitter);
  absl::Status AddPartials(const Batch& batch);
  absl::Status CheckRows() const;
  void MarkChanged();
  void Touch(Window* window);
  bool Changed(uint32_t slot) const { return slot < before_.size() && before_[slot] < kRecent; }
  bool IsIdle(uint32_t slot);
  int64_t BeforeBytes() const { return static_cast<int64_t>(before_.capacity() * sizeof(uint32_t)); }
  void CountPairs(int64_t rows, int64_t taken);
  absl::Status FreeEmpty(Window* window);
  absl::Status CloseWindow(Window* window, Emitter& emitter);
  absl::Status CloseUpdated(Window* window, Emitter& emitter);
  absl::Status CloseKept(Window* window, Emitter& emitter);
  absl::Status GoOn(int64_t next, absl::Span<const uint32_t> slots);
  absl::Status NextClosing(Window* window, std::vector<uint32_t>* slots, ByteArena* borrowed);
  absl::Status EmitUpdates(Window* window, Emitter& emitter);
  absl::Status GiveBack();
  absl::Status EmitResults(absl::Span<const uint32_t> slots, std::vector<int8_t> ops, Emitter& emitter);
  void DropWindow(Window* window);
  EventTime OutputWatermark() const;

  const StepShape shape_;
  const WindowSpec spec_;
  const PartialLayout layout_;
  WindowRows rows_;
  GroupSet groups_;
  const ResultRows results_;
  std::optional<WindowClock> clock_;
  std::optional<WindowState> state_;  // of groups_
  std::optional<ColdGroups> cold_;    // likewise
  StepLedger* ledger_ = nullptr;
  EventTime output_watermark_ = kMinTime;
  std::vector<uint32_t> before_;  // by slot
  std::vector<int64_t> touched_;  // starts of the windows with something to save
  WindowPairs pairs_;             // scratch
};

absl::Status WindowResults::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  groups_.set_grown(context.grown_groups);
  clock_.emplace(context.state, spec_.size_us > 0 ? spec_.grace_us : -1);
  TM_RETURN_IF_ERROR(clock_->Load());
  state_.emplace(context.state, &groups_);
  TM_RETURN_IF_ERROR(state_->Load());
  cold_.emplace(context.state, &groups_, context.memory);
  TM_RETURN_IF_ERROR(cold_->Load());
  before_.assign(groups_.slots(), kIdle);
  return absl::OkStatus();
}

absl::Status WindowResults::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  if (batch->num_rows() == 0) return absl::OkStatus();
  return spec_.phase == WindowSpec::Phase::kSingle ? AddRows(batch, emitter) : AddPartials(batch);
}

absl::Status WindowResults::AddRows(const Batch& batch, Emitter& emitter) {
  TM_RETURN_IF_ERROR(rows_.Pair(batch, clock_->judging(), ledger_, emitter, &pairs_));
  const int64_t taken = rows_.Retractions(*batch, pairs_);
  CountPairs(static_cast<int64_t>(pairs_.rows.size()) - 2 * taken, taken);
  TM_RETURN_IF_ERROR(groups_.Locate(*batch, &pairs_));
  TM_RETURN_IF_ERROR(cold_->Warm(&pairs_));
  MarkChanged();
  TM_RETURN_IF_ERROR(spec_.every_record ? AddEach(batch, emitter) : rows_.Add(batch, pairs_, &groups_));
  return CheckRows();
}

// Every pair changes its group and emits it.
absl::Status WindowResults::AddEach(const Batch& batch, Emitter& emitter) {
  const WindowRows::Columns columns = rows_.ColumnsOf(*batch);
  absl::flat_hash_map<uint32_t, uint32_t> stands;  // by slot: a copy with the result that was emitted last, or kNoSlot
  std::vector<uint32_t> results, copies;
  std::vector<int8_t> ops;
  int64_t copied_bytes = 0;  // outside of their places
  const auto copy = [&](uint32_t slot) {
    copies.push_back(groups_.CopyOf(slot));
    copied_bytes += groups_.OutsideBytes(copies.back());
    return copies.back();
  };
  const auto add = [&](uint32_t result, Op op) {
    results.push_back(result);
    ops.push_back(static_cast<int8_t>(op));
  };
  const auto flush = [&]() -> absl::Status {
    TM_RETURN_IF_ERROR(EmitResults(results, std::exchange(ops, {}), emitter));
    for (const uint32_t each : copies) groups_.FreeCopy(each);
    results.clear();
    copies.clear();
    copied_bytes = 0;
    stands.clear();
    return absl::OkStatus();
  };
  for (size_t p = 0; p < pairs_.rows.size(); ++p) {
    const uint32_t slot = pairs_.slots[p];
    const auto [last, is_first] = stands.try_emplace(slot, GroupSet::kNoSlot);
    if (is_first && groups_.rows(slot) > 0) last->second = copy(slot);
    const uint32_t before = last->second;
    TM_RETURN_IF_ERROR(rows_.AddOne(columns, pairs_.rows[p], slot, &groups_));
    const uint32_t after = groups_.rows(slot) > 0 ? copy(slot) : GroupSet::kNoSlot;
    last->second = after;
    const bool replaces = before != GroupSet::kNoSlot, is_there = after != GroupSet::kNoSlot;
    if (replaces) add(before, is_there ? Op::kUpdateBefore : Op::kDelete);
    if (is_there) add(after, replaces ? Op::kUpdateAfter : Op::kInsert);
    if (results.size() >= kEmitRows || copied_bytes > ResultRows::kPieceBytes) TM_RETURN_IF_ERROR(flush());
  }
  TM_RETURN_IF_ERROR(flush());
  if (before_.size() < groups_.slots()) before_.resize(groups_.slots(), kIdle);
  return absl::OkStatus();
}

// A pair that takes a row back is done with, and so is the pair of that row: neither is open any more.
void WindowResults::CountPairs(int64_t rows, int64_t taken) {
  ledger_->open += rows;
  ledger_->closed += 2 * taken;
}

absl::Status WindowResults::AddPartials(const Batch& batch) {
  const int64_t n = batch->num_rows();
  const Cells<int64_t> counts(*batch->column_data(static_cast<int>(layout_.rows)));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int64_t* taken_column = nullptr;
  if (layout_.taken) taken_column = batch->column_data(static_cast<int>(*layout_.taken))->GetValues<int64_t>(1);
  pairs_.rows.clear();
  pairs_.starts.clear();
  for (int64_t i = 0; i < n; ++i) {
    int64_t start =
        layout_.window_start ? Cells<int64_t>(*batch->column_data(static_cast<int>(*layout_.window_start)))[i] : 0;
    if (spec_.cumulative_us > 0) start = FirstOpen(spec_, start, clock_->judging());
    const int64_t taken = taken_column != nullptr ? taken_column[i] : 0;
    if (WindowClosed(spec_, start, clock_->judging())) {
      ledger_->late_after_idle += counts[i] + 2 * taken;
      continue;
    }
    CountPairs(counts[i], taken);
    pairs_.rows.push_back(static_cast<int32_t>(i));
    pairs_.starts.push_back(start);
  }
  TM_RETURN_IF_ERROR(groups_.Locate(*batch, &pairs_));
  TM_RETURN_IF_ERROR(cold_->Warm(&pairs_));
  MarkChanged();
  for (size_t p = 0; p < pairs_.rows.size(); ++p) {
    const uint32_t slot = pairs_.slots[p];
    groups_.rows(slot) += counts[pairs_.rows[p]];
    if (spec_.size_us == 0) groups_.time(slot) = std::max(groups_.time(slot), times[pairs_.rows[p]]);
  }
  for (size_t a = 0; a < layout_.aggregates.size(); ++a) {
    TM_RETURN_IF_ERROR(
        groups_.accumulators()[a]->Merge(*batch, static_cast<int>(layout_.aggregates[a]), pairs_.rows, pairs_.slots));
  }
  return CheckRows();
}

// What takes a row back comes behind that row, on the same way. So a group never lacks rows, unless it hasn't heard all
// of its input, and then its values are wrong.
absl::Status WindowResults::CheckRows() const {
  if (!spec_.input_updates) return absl::OkStatus();
  for (const uint32_t slot : pairs_.slots) {
    if (groups_.rows(slot) >= 0) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "step ", shape_.name, ": more rows of a group are taken back than it has ever got (", -groups_.rows(slot),
        "), so its aggregates can't be right: it hasn't had all changes of its input from the first. To compute "
        "everything anew give the topology a new name"));
  }
  return absl::OkStatus();
}

// Notes the groups that the pairs are about to change, with the values that their last emitted row was made from.
void WindowResults::MarkChanged() {
  if (before_.size() < groups_.slots()) before_.resize(groups_.slots(), kIdle);
  for (const uint32_t slot : pairs_.slots) {
    if (before_[slot] < kRecent) continue;
    const bool is_new = groups_.rows(slot) == 0;
    before_[slot] = kNothing;
    if (spec_.on_update && !spec_.every_record && !is_new) {
      const uint32_t copy = groups_.CopyOf(slot);
      if (before_.size() < groups_.slots()) before_.resize(groups_.slots(), kIdle);
      before_[slot] = copy;
    }
    Window& window = groups_.window(slot);
    Touch(&window);
    window.changed.push_back(slot);
  }
}

void WindowResults::Touch(Window* window) {
  if (!std::exchange(window->touched, true)) touched_.push_back(window->start_us);
}

bool WindowResults::IsIdle(uint32_t slot) {
  if (slot >= before_.size() || before_[slot] == kIdle) return true;
  if (before_[slot] == kRecent) before_[slot] = kIdle;
  return false;
}

absl::StatusOr<EventTime> WindowResults::AdvanceWatermark(EventTime time, Emitter& emitter) {
  clock_->Advance(time);
  auto& windows = groups_.windows();
  while (!windows.empty() && WindowOver(spec_, windows.begin()->first, *clock_) && !emitter.Full()) {
    Window& window = windows.begin()->second;
    TM_RETURN_IF_ERROR(spec_.keep_us > 0 ? CloseKept(&window, emitter)
                       : spec_.on_update ? CloseUpdated(&window, emitter)
                                         : CloseWindow(&window, emitter));
    if (window.live == 0 && ColdGroups::Groups(window) == 0) {
      DropWindow(&window);
    } else if (!emitter.Full()) {
      return absl::DataLossError("a window in the state counts groups that aren't there");
    }
  }
  output_watermark_ = std::max(output_watermark_, std::min(time, OutputWatermark()));
  return output_watermark_;
}

EventTime WindowResults::OutputWatermark() const {
  if (spec_.size_us == 0) return clock_->time();
  EventTime hold = clock_->time();
  const EventTime closed_ends = clock_->over();  // windows that end until then take no more rows
  if (closed_ends == kMinTime) return kMinTime;
  if (closed_ends != kMaxTime) {
    hold = std::min(hold, NextEnd(spec_, closed_ends) - kMillisecond - 1);
  }
  // What deletes the rows of windows that are kept comes when it comes: nobody who would wait for its time takes it.
  if (spec_.keep_us > 0) return hold;
  const auto& windows = groups_.windows();
  if (!windows.empty()) hold = std::min(hold, ResultTime(spec_, windows.begin()->first) - 1);
  return hold;
}

// Emits groups of the window until all are out or the commit is full.
absl::Status WindowResults::CloseWindow(Window* window, Emitter& emitter) {
  if (!window->closed) {
    for (const uint32_t slot : window->slots) {
      if (slot != GroupSet::kNoSlot) window->closing.push_back(slot);
    }
    groups_.SortByKey(&window->closing);
    groups_.Close(window);
  }
  Touch(window);
  std::vector<uint32_t> slots;
  while (!emitter.Full()) {
    ByteArena borrowed;
    TM_RETURN_IF_ERROR(NextClosing(window, &slots, &borrowed));
    if (slots.empty()) break;
    std::vector<uint32_t> results = slots;
    if (spec_.input_updates) std::erase_if(results, [&](uint32_t slot) { return groups_.rows(slot) == 0; });
    std::vector<int8_t> ops;
    if (spec_.on_update) ops.assign(results.size(), static_cast<int8_t>(Op::kDelete));
    TM_RETURN_IF_ERROR(EmitResults(results, std::move(ops), emitter));
    const bool goes_on = spec_.cumulative_us > 0 && window->start_us < LastOfCycle(spec_, window->start_us);
    if (goes_on) TM_RETURN_IF_ERROR(GoOn(window->start_us + spec_.every_us, slots));
    int64_t cold = 0, cold_rows = 0;
    for (const uint32_t slot : slots) {
      const int64_t rows = groups_.rows(slot);
      if (!goes_on) {
        ledger_->closed += rows;
        ledger_->open -= rows;
      }
      if (groups_.number(slot) == GroupSet::kNoSlot) {
        ++cold;
        cold_rows += rows;
        groups_.FreeCopy(slot);
        continue;
      }
      window->erased.push_back(groups_.number(slot));
      if (slot < before_.size()) before_[slot] = kIdle;
      groups_.Free(slot);
    }
    if (window->cold) ColdGroups::Emitted(window, cold, cold_rows);
  }
  // What had changed before it closed: some of it is gone.
  std::erase_if(window->changed, [&](uint32_t slot) { return !Changed(slot); });
  return absl::OkStatus();
}

// The slots of the closing window's next groups in the order of keys: their own, or borrowed ones, whose keys lie in
// `borrowed`.
absl::Status WindowResults::NextClosing(Window* window, std::vector<uint32_t>* slots, ByteArena* borrowed) {
  slots->clear();
  if (window->cold == nullptr) {
    const size_t count = std::min(kEmitRows, window->closing.size());
    slots->assign(window->closing.rbegin(), window->closing.rbegin() + static_cast<int64_t>(count));
    window->closing.resize(window->closing.size() - count);
    return absl::OkStatus();
  }
  while (slots->size() < kEmitRows) {
    TM_ASSIGN_OR_RETURN(const KeyedRuns::Entry* const cold, cold_->Next(window));
    const bool hot = !window->closing.empty();
    if (!hot && cold == nullptr) break;
    const int order = cold == nullptr ? -1 : hot ? groups_.key(window->closing.back()).compare(cold->key) : 1;
    if (order <= 0) {
      slots->push_back(window->closing.back());
      window->closing.pop_back();
    } else {
      const std::string_view key(borrowed->Add(cold->key), cold->key.size());
      TM_ASSIGN_OR_RETURN(const uint32_t slot, groups_.Borrow(window, key, cold->value));
      slots->push_back(slot);
    }
    if (order >= 0) ColdGroups::Pass(window);
  }
  return absl::OkStatus();
}

// Emits what has changed of the window since the last commit, at once, since steps behind this one may wait for its
// time to pass; the rest of it goes without a word.
absl::Status WindowResults::CloseUpdated(Window* window, Emitter& emitter) {
  TM_RETURN_IF_ERROR(EmitUpdates(window, emitter));
  for (const uint32_t slot : window->changed) before_[slot] = kIdle;
  groups_.Close(window);
  ledger_->closed += ColdGroups::Rows(*window);
  ledger_->open -= ColdGroups::Rows(*window);
  for (const uint32_t slot : std::vector<uint32_t>(window->slots)) {
    if (slot == GroupSet::kNoSlot) continue;
    ledger_->closed += groups_.rows(slot);
    ledger_->open -= groups_.rows(slot);
    groups_.Free(slot);
  }
  if (window->cold) window->cold->groups = window->cold->rows = 0;
  return absl::OkStatus();
}

// What has changed of the window since the last commit, then what deletes all of its rows, perhaps over many commits.
// Groups that have changed and aren't deleted yet at a commit are saved with it, as they were emitted.
absl::Status WindowResults::CloseKept(Window* window, Emitter& emitter) {
  if (!window->closed) {
    TM_RETURN_IF_ERROR(EmitUpdates(window, emitter));
    for (const uint32_t slot : window->changed) before_[slot] = kNothing;
    if (spec_.input_updates) TM_RETURN_IF_ERROR(FreeEmpty(window));
  }
  return CloseWindow(window, emitter);
}

// The groups of a cumulative window are those of the next one too, with what that has by itself.
absl::Status WindowResults::GoOn(int64_t next, absl::Span<const uint32_t> slots) {
  if (slots.empty()) return absl::OkStatus();
  const auto n = static_cast<int64_t>(slots.size());
  // As batches have their keys: what is no key isn't looked at.
  const bool single = spec_.phase == WindowSpec::Phase::kSingle;
  TM_ASSIGN_OR_RETURN(const auto none, FromArrow(arrow::MakeArrayOfNull(arrow::null(), n), "a column of nothing"));
  std::vector<std::shared_ptr<arrow::Array>> keys, columns(single ? spec_.rows.size() : spec_.group_by.size(), none);
  TM_RETURN_IF_ERROR(groups_.Keys(slots, &keys));
  for (size_t c = 0; c < keys.size(); ++c) columns[single ? spec_.group_by[c] : c] = keys[c];
  arrow::FieldVector fields;
  for (const auto& column : columns) fields.push_back(arrow::field("", column->type()));
  const Batch batch = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), n, std::move(columns));
  pairs_.rows.resize(slots.size());
  std::iota(pairs_.rows.begin(), pairs_.rows.end(), 0);
  pairs_.starts.assign(slots.size(), next);
  TM_RETURN_IF_ERROR(groups_.Locate(*batch, &pairs_));
  TM_RETURN_IF_ERROR(cold_->Warm(&pairs_));
  MarkChanged();
  for (size_t i = 0; i < slots.size(); ++i) groups_.MergeInto(slots[i], pairs_.slots[i]);
  return absl::OkStatus();
}

// The window has no groups any more.
void WindowResults::DropWindow(Window* window) {
  WindowState::Drop(window);
  cold_->Drop(window);
  std::erase(touched_, window->start_us);
  groups_.Drop(window);
}

absl::Status WindowResults::PrepareCommit(uint64_t commit, Emitter& emitter) {
  clock_->Save();
  std::sort(touched_.begin(), touched_.end());
  for (const int64_t start : touched_) {
    Window& window = groups_.windows().at(start);
    if (spec_.on_update && !window.closed) TM_RETURN_IF_ERROR(EmitUpdates(&window, emitter));
    if (spec_.input_updates) TM_RETURN_IF_ERROR(FreeEmpty(&window));
  }
  TM_RETURN_IF_ERROR(cold_->Evict([this](uint32_t slot) { return IsIdle(slot); }, BeforeBytes(), &touched_));
  for (const int64_t start : std::exchange(touched_, {})) {
    Window& window = groups_.windows().at(start);
    window.touched = false;
    for (const uint32_t slot : window.changed) before_[slot] = kRecent;
    TM_RETURN_IF_ERROR(state_->Save(commit, &window));
    cold_->Save(&window);
  }
  cold_->DropSome();
  return GiveBack();
}

// Memory that the groups have left, where it is needed elsewhere. Nothing is noted of any slot but its age.
absl::Status WindowResults::GiveBack() {
  if (!cold_->WantsCompaction(BeforeBytes())) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const std::vector<uint32_t> old, groups_.Compact(groups_.slots() / 8));
  std::vector<uint32_t> before;
  before.reserve(old.size());
  for (const uint32_t slot : old) before.push_back(slot < before_.size() ? before_[slot] : kIdle);
  before_ = std::move(before);
  return absl::OkStatus();
}

// Groups of which no row is left; their numbers are given again.
absl::Status WindowResults::FreeEmpty(Window* window) {
  if (window->closed) return absl::OkStatus();  // erased as it is emitted
  std::vector<std::string> gone;
  std::erase_if(window->changed, [&](uint32_t slot) {
    if (groups_.rows(slot) != 0) return false;
    before_[slot] = kIdle;
    if (window->cold) gone.emplace_back(groups_.key(slot));
    window->evicted.push_back(groups_.number(slot));
    groups_.Free(slot);
    return true;
  });
  groups_.CompactKeys(window);
  return cold_->Void(window, std::move(gone));
}

absl::Status WindowResults::EmitUpdates(Window* window, Emitter& emitter) {
  if (spec_.every_record) return absl::OkStatus();  // was emitted as it changed
  for (size_t at = 0; at < window->changed.size(); at += kEmitRows) {
    const auto some = absl::Span<const uint32_t>(window->changed).subspan(at, kEmitRows);
    std::vector<uint32_t> slots;
    std::vector<int8_t> ops;
    const auto add = [&](uint32_t slot, Op op) {
      slots.push_back(slot);
      ops.push_back(static_cast<int8_t>(op));
    };
    for (const uint32_t slot : some) {
      const bool replaces = before_[slot] != kNothing, stands = groups_.rows(slot) != 0;
      if (replaces) add(before_[slot], stands ? Op::kUpdateBefore : Op::kDelete);
      if (stands) add(slot, replaces ? Op::kUpdateAfter : Op::kInsert);
    }
    TM_RETURN_IF_ERROR(EmitResults(slots, std::move(ops), emitter));
    for (const uint32_t slot : some) {
      if (before_[slot] != kNothing) groups_.FreeCopy(before_[slot]);
    }
  }
  return absl::OkStatus();
}

absl::Status WindowResults::EmitResults(absl::Span<const uint32_t> slots, std::vector<int8_t> ops, Emitter& emitter) {
  ResultRows::Rows rows{.slots = slots, .starts = {}, .ends = {}, .times = {}, .ops = std::move(ops)};
  rows.times.reserve(slots.size());
  if (spec_.size_us > 0) {
    rows.starts.reserve(slots.size());
    rows.ends.reserve(slots.size());
  }
  int64_t last = 0, shown = 0;
  EventTime end;
  for (const uint32_t slot : slots) {
    if (spec_.size_us == 0) {
      rows.times.push_back(groups_.time(slot));
      continue;
    }
    if (const int64_t start = groups_.window(slot).start_us; rows.ends.empty() || start != last) {
      last = start;
      shown = ShownStart(spec_, start);
      end = WindowEnd(spec_, start);
    }
    rows.starts.push_back(shown);
    rows.ends.push_back(end.us);
    rows.times.push_back((end - kMillisecond).us);
  }
  return results_.Emit(std::move(rows), ledger_, emitter);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeWindowResults(const Node& node, const WindowSpec& spec) {
  TM_ASSIGN_OR_RETURN(WindowRows rows, WindowRows::Make(spec));
  PartialLayout layout = MakePartialLayout(spec, rows.aggregates());
  return std::make_unique<WindowResults>(node, spec, std::move(rows), std::move(layout));
}

}  // namespace tidemark
