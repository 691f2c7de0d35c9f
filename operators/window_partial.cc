#include "operators/window_partial.h"

#include <arrow/array.h>
#include <arrow/type.h>

#include "operators/cells.h"
#include "operators/step.h"
#include "operators/window_rows.h"
#include "src/base/status.h"
#include "src/plan/partial_schema.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 4096;

class WindowPartial final : public Operator {
 public:
  WindowPartial(const Node& node, const WindowSpec& spec, WindowRows rows)
      : shape_(node),
        spec_(spec),
        rows_(std::move(rows)),
        groups_(rows_.aggregates(), RowCodec::Key(spec.rows, spec.group_by)) {}

  std::string_view name() const override { return shape_.name; }

  absl::Status Open(const OperatorContext& context) override {
    ledger_ = context.ledger;
    return absl::OkStatus();
  }

  absl::Status ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) override {
    if (batch->num_rows() == 0) return absl::OkStatus();
    TM_RETURN_IF_ERROR(rows_.Pair(batch, kMinTime, ledger_, emitter, &pairs_));
    TM_RETURN_IF_ERROR(groups_.Locate(*batch, &pairs_));
    rows_.Add(batch, pairs_, &groups_);
    return absl::OkStatus();
  }

  absl::Status PrepareCommit(uint64_t /*commit*/, Emitter& emitter) override {
    for (const auto& [start, window] : groups_.windows()) {
      const absl::Span<const uint32_t> all(window.slots);
      for (size_t at = 0; at < all.size(); at += kEmitRows) {
        TM_RETURN_IF_ERROR(EmitPartials(start, all.subspan(at, kEmitRows), emitter));
      }
    }
    groups_.Clear();
    return absl::OkStatus();
  }

  int64_t MemoryBytes() const override { return groups_.MemoryBytes(); }

 private:
  absl::Status EmitPartials(int64_t start, absl::Span<const uint32_t> slots, Emitter& emitter) {
    const auto n = static_cast<int64_t>(slots.size());
    std::vector<std::shared_ptr<arrow::Array>> columns;
    TM_RETURN_IF_ERROR(groups_.Keys(slots, &columns));
    CellWriter<int64_t> starts(n), rows(n);
    HiddenValues hidden;
    for (const uint32_t slot : slots) {
      starts.Append(start);
      rows.Append(groups_.rows(slot));
      hidden.times.push_back(spec_.size_us > 0 ? ResultTime(spec_, start).us : groups_.time(slot));
    }
    if (spec_.size_us > 0) {
      TM_ASSIGN_OR_RETURN(auto column, starts.Finish(ArrowType({.kind = Kind::kTimestamp})));
      columns.push_back(std::move(column));
    }
    TM_ASSIGN_OR_RETURN(auto column, rows.Finish(arrow::int64()));
    columns.push_back(std::move(column));
    for (const auto& accumulator : groups_.accumulators()) TM_RETURN_IF_ERROR(accumulator->Partial(slots, &columns));
    ledger_->out += n;
    return emitter.Emit(MakeBatch(shape_, std::move(columns), hidden));
  }

  const StepShape shape_;
  const WindowSpec spec_;
  WindowRows rows_;
  StepLedger* ledger_ = nullptr;
  GroupSet groups_;    // of this commit
  WindowPairs pairs_;  // scratch
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
