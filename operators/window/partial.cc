#include "operators/window/partial.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <arrow/array.h>
#include <arrow/type.h>

#include "operators/step.h"
#include "operators/window/panes.h"
#include "operators/window/partial_schema.h"
#include "operators/window/rows.h"
#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 4096;
// Where a commit's pairs make more groups than this share of them, adding them up costs more than it saves downstream,
// and the commits that follow don't, unless they are much larger. Fewer pairs tell nothing.
constexpr double kTooManyGroups = 0.8;
constexpr size_t kTellingPairs = 64;
constexpr int kDirectCommits = 31;  // until the share is looked at again
constexpr size_t kMuchLarger = 2;
// What groups hold in long texts and kept values: all before they are emitted, and of a part.
constexpr int64_t kFlushBytes = 4 << 20;
constexpr int64_t kPartBytes = 256 << 10;

// What a partial row has beside its key and its aggregates.
struct PartialRows {
  PartialRows(const WindowSpec& spec, size_t n)
      : starts(static_cast<int64_t>(n)),
        rows(static_cast<int64_t>(n)),
        taken(static_cast<int64_t>(n)),
        in_panes(panes::Shared(spec)),
        windows(in_panes ? static_cast<int64_t>(n) : 0) {
    hidden.times.reserve(n);
  }
  // `start`: of the window, or the number of its panes (panes.h). `count`: the rows added less those taken back.
  void Add(const WindowSpec& spec, int64_t start, int64_t count, int64_t taken_back, int64_t time) {
    if (in_panes) {
      starts.Append(panes::Last(spec, start));
      windows.Append(static_cast<int32_t>(panes::Count(spec, start)));
      start = panes::First(spec, start);
    } else {
      starts.Append(start);
    }
    rows.Append(count);
    taken.Append(taken_back);
    hidden.times.push_back(spec.size_us > 0 ? ResultTime(spec, start).us : time);
  }

  CellWriter<int64_t> starts, rows, taken;
  const bool in_panes;
  CellWriter<int32_t> windows;  // in_panes
  HiddenValues hidden;
};

class WindowPartial final : public Operator {
 public:
  WindowPartial(const Node& node, const WindowSpec& spec, WindowRows rows)
      : shape_(node),
        spec_(spec),
        rows_(std::move(rows)),
        groups_(rows_.aggregates(), RowCodec::Key(spec.rows, spec.group_by),
                spec.input_updates ? InputRows::kChange : InputRows::kStand) {}

  std::string_view name() const override { return shape_.name; }

  absl::Status Open(const OperatorContext& context) override {
    ledger_ = context.ledger;
    return absl::OkStatus();
  }

  absl::Status ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) override {
    if (batch->num_rows() == 0) return absl::OkStatus();
    TM_RETURN_IF_ERROR(rows_.Pair(batch, kMinTime, ledger_, emitter, &pairs_));
    paired_ += pairs_.rows.size();
    if (direct_commits_ > 0) return EmitRows(batch, emitter);
    TM_RETURN_IF_ERROR(AddUp(batch));
    return groups_.OutsideBytes() > kFlushBytes ? EmitAll(emitter) : absl::OkStatus();
  }

  absl::Status PrepareCommit(uint64_t /*commit*/, Emitter& emitter) override {
    const size_t groups = groups_.slots();
    TM_RETURN_IF_ERROR(EmitAll(emitter));
    if (direct_commits_ > 0) {
      direct_commits_ = paired_ >= kMuchLarger * told_ ? 0 : direct_commits_ - 1;
    } else if (paired_ >= kTellingPairs && static_cast<double>(groups) > kTooManyGroups * paired_) {
      direct_commits_ = kDirectCommits;
      told_ = paired_;
    }
    paired_ = 0;
    return absl::OkStatus();
  }

  int64_t MemoryBytes() const override { return groups_.MemoryBytes(); }

 private:
  absl::Status AddUp(const Batch& batch) {
    TM_RETURN_IF_ERROR(groups_.Locate(*batch, &pairs_));
    TM_RETURN_IF_ERROR(rows_.Add(batch, pairs_, &groups_));
    if (!spec_.input_updates) return absl::OkStatus();
    if (taken_.size() < groups_.slots()) taken_.resize(groups_.slots());
    const int8_t* ops = HiddenOps(*batch);
    for (size_t p = 0; p < pairs_.rows.size(); ++p) taken_[pairs_.slots[p]] += IsRetraction(ops, pairs_.rows[p]);
    return absl::OkStatus();
  }

  absl::Status EmitAll(Emitter& emitter) {
    const bool some_large = groups_.OutsideBytes() > kPartBytes;
    std::vector<uint32_t> small, large;
    for (const auto& [start, window] : groups_.windows()) {
      const absl::Span<const uint32_t> all(window.slots);
      for (size_t at = 0; at < all.size(); at += kEmitRows) {
        absl::Span<const uint32_t> slots = all.subspan(at, kEmitRows);
        if (some_large) {
          small.clear();
          large.clear();
          for (const uint32_t slot : slots) (groups_.OutsideBytes(slot) > kPartBytes ? large : small).push_back(slot);
          slots = small;
          for (const uint32_t slot : large) TM_RETURN_IF_ERROR(EmitInParts(start, slot, emitter));
        }
        TM_RETURN_IF_ERROR(EmitPartials(start, slots, emitter));
      }
    }
    groups_.Clear();
    taken_.clear();
    return absl::OkStatus();
  }

  absl::Status EmitInParts(int64_t start, uint32_t slot, Emitter& emitter) {
    const bool rows_first = groups_.rows(slot) > 0;
    while (groups_.OutsideBytes(slot) > kPartBytes) {
      const uint32_t part = groups_.SplitOff(slot, kPartBytes);
      if (spec_.input_updates && taken_.size() < groups_.slots()) taken_.resize(groups_.slots());
      if (rows_first) {
        groups_.rows(part) = std::exchange(groups_.rows(slot), 0);
        if (spec_.input_updates) taken_[part] = std::exchange(taken_[slot], 0);
      }
      TM_RETURN_IF_ERROR(EmitPartials(start, {part}, emitter));
      groups_.FreeCopy(part);
      if (spec_.input_updates) taken_[part] = 0;
    }
    return EmitPartials(start, {slot}, emitter);
  }

  absl::Status EmitPartials(int64_t start, absl::Span<const uint32_t> slots, Emitter& emitter) {
    if (slots.empty()) return absl::OkStatus();
    std::vector<std::shared_ptr<arrow::Array>> columns;
    TM_RETURN_IF_ERROR(groups_.Keys(slots, &columns));
    PartialRows partials(spec_, slots.size());
    for (const uint32_t slot : slots) {
      partials.Add(spec_, start, groups_.rows(slot), spec_.input_updates ? taken_[slot] : 0, groups_.time(slot));
    }
    return EmitPartials(std::move(columns), std::move(partials), slots, emitter);
  }

  bool AnyLarge(size_t slots) const {
    for (uint32_t slot = 0; groups_.OutsideBytes() > kPartBytes && slot < slots; ++slot) {
      if (groups_.OutsideBytes(slot) > kPartBytes) return true;
    }
    return false;
  }

  // Every pair as a partial of its own.
  absl::Status EmitRows(const Batch& rows, Emitter& emitter) {
    if (pairs_.rows.empty()) return absl::OkStatus();
    const arrow::RecordBatch& batch = *rows;
    // Rows ascend: as many as the batch has, and none twice, are all of it.
    const bool all = std::cmp_equal(pairs_.rows.size(), batch.num_rows()) &&
                     std::adjacent_find(pairs_.rows.begin(), pairs_.rows.end()) == pairs_.rows.end();
    TM_ASSIGN_OR_RETURN(Batch keys, FromArrow(batch.SelectColumns({spec_.group_by.begin(), spec_.group_by.end()}),
                                              "the columns of groups"));
    if (!all) keys = TakeRows(keys, pairs_.rows);
    const int64_t* times = HiddenInt64(batch, Hidden::kTime);
    PartialRows partials(spec_, pairs_.rows.size());
    pairs_.slots.resize(pairs_.rows.size());
    std::iota(pairs_.slots.begin(), pairs_.slots.end(), 0);
    const int8_t* ops = spec_.input_updates ? HiddenOps(batch) : nullptr;
    for (size_t p = 0; p < pairs_.rows.size(); ++p) {
      const int taken = IsRetraction(ops, pairs_.rows[p]) ? 1 : 0;
      partials.Add(spec_, pairs_.starts[p], 1 - 2 * taken, taken, times[pairs_.rows[p]]);
    }
    for (const auto& accumulator : groups_.accumulators()) accumulator->Resize(pairs_.slots.size());
    TM_RETURN_IF_ERROR(rows_.AddValues(batch, pairs_, &groups_));
    if (AnyLarge(pairs_.slots.size())) {
      for (const auto& accumulator : groups_.accumulators()) accumulator->Resize(0);
      TM_RETURN_IF_ERROR(AddUp(rows));
      return EmitAll(emitter);
    }
    TM_RETURN_IF_ERROR(EmitPartials(keys->columns(), std::move(partials), pairs_.slots, emitter));
    for (const auto& accumulator : groups_.accumulators()) accumulator->Resize(0);
    return absl::OkStatus();
  }

  absl::Status EmitPartials(std::vector<std::shared_ptr<arrow::Array>> columns, PartialRows partials,
                            absl::Span<const uint32_t> slots, Emitter& emitter) {
    if (spec_.size_us > 0) {
      TM_ASSIGN_OR_RETURN(auto column, partials.starts.Finish(ArrowType({.kind = Kind::kTimestamp})));
      columns.push_back(std::move(column));
    }
    if (partials.in_panes) {
      TM_ASSIGN_OR_RETURN(auto windows, partials.windows.Finish(arrow::int32()));
      columns.push_back(std::move(windows));
    }
    TM_ASSIGN_OR_RETURN(auto column, partials.rows.Finish(arrow::int64()));
    columns.push_back(std::move(column));
    if (spec_.input_updates) {
      TM_ASSIGN_OR_RETURN(auto taken, partials.taken.Finish(arrow::int64()));
      columns.push_back(std::move(taken));
    }
    for (const auto& accumulator : groups_.accumulators()) TM_RETURN_IF_ERROR(accumulator->Partial(slots, &columns));
    ledger_->out += static_cast<int64_t>(slots.size());
    return emitter.Emit(MakeBatch(shape_, std::move(columns), partials.hidden));
  }

  const StepShape shape_;
  const WindowSpec spec_;
  WindowRows rows_;
  StepLedger* ledger_ = nullptr;
  GroupSet groups_;             // of this commit
  std::vector<int64_t> taken_;  // by slot: pairs that took rows back
  size_t paired_ = 0;           // pairs of this commit
  size_t told_ = 0;             // of the commit that had too many groups
  int direct_commits_ = 0;      // to go in which pairs aren't added up
  WindowPairs pairs_;           // scratch
};

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeWindowPartial(const Node& node, const WindowSpec& spec) {
  TM_ASSIGN_OR_RETURN(WindowRows rows, WindowRows::Make(spec));
  const PartialLayout layout = MakePartialLayout(spec, rows.aggregates());
  if (layout.schema.size() != node.output.size()) {
    return absl::InternalError(absl::StrCat("step ", node.step, ": the plan's columns aren't those of its partials"));
  }
  return std::make_unique<WindowPartial>(node, spec, std::move(rows));
}

}  // namespace tidemark
