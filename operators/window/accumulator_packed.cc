// min_by, max_by, array_agg, and string_agg in an order of its own: an accumulator of packed values (arguments.h), and
// what its results stand for.
#include <algorithm>

#include <arrow/array/util.h>

#include "operators/window/accumulator_parts.h"
#include "operators/window/arguments.h"
#include "src/codec/column_text.h"
#include "src/codec/row_codec.h"

namespace tidemark {
namespace {

using namespace accumulators;

Schema OneColumn(const Type& type) {
  Schema schema;
  schema.Add({"value", type, true});
  return schema;
}

class UnpackingAccumulator final : public Accumulator {
 public:
  UnpackingAccumulator(const Aggregate& aggregate, std::unique_ptr<Accumulator> inner)
      : function_(aggregate.function),
        separator_(aggregate.separator),
        value_(aggregate.argument->type()),
        codec_(RowCodec::Rows(OneColumn(value_))),
        inner_(std::move(inner)) {}

  void Resize(size_t slots) override { inner_->Resize(slots); }
  void ClearSlots(Slots slots) override { inner_->ClearSlots(slots); }
  void Copy(uint32_t from, uint32_t to) override { inner_->Copy(from, to); }
  void Update(const arrow::Array* argument, const OrderColumns& order, Rows rows, Slots slots) override {
    inner_->Update(argument, order, rows, slots);
  }
  absl::Status Retract(const arrow::Array* argument, const OrderColumns& order, Rows rows, Slots slots) override {
    return inner_->Retract(argument, order, rows, slots);
  }
  absl::Status Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
    return inner_->Merge(partials, column, rows, slots);
  }
  void MergeSlots(Slots from, Slots to) override { inner_->MergeSlots(from, to); }
  Sliding sliding() const override { return inner_->sliding(); }
  void TakeSlots(Slots from, Slots to) override { inner_->TakeSlots(from, to); }
  bool Adds(uint32_t from, uint32_t to) const override { return inner_->Adds(from, to); }
  bool HasAny(uint32_t slot) const override { return inner_->HasAny(slot); }
  void Prefetch(uint32_t slot) const override { inner_->Prefetch(slot); }
  void MovePart(uint32_t from, uint32_t to, int64_t bytes) override { inner_->MovePart(from, to, bytes); }
  absl::Status Partial(Slots slots, Columns* out) const override { return inner_->Partial(slots, out); }
  absl::Status Result(Slots slots, Columns* out, std::vector<ResultError>* errors) const override {
    Columns packed;
    TM_RETURN_IF_ERROR(inner_->Result(slots, &packed, errors));
    const Cells<std::string_view> cells(*packed[0]->data());
    const bool one = function_ == AggregateFunction::kMinBy || function_ == AggregateFunction::kMaxBy;
    return one ? AppendValues(cells, slots.size(), out) : AppendLists(cells, slots.size(), out);
  }
  void Save(uint32_t slot, std::string* out) const override { inner_->Save(slot, out); }
  bool Load(uint32_t slot, std::string_view* from) override { return inner_->Load(slot, from); }
  bool CanNote() const override { return inner_->CanNote(); }
  void Note(uint32_t slot, bool on) override { inner_->Note(slot, on); }
  bool Notes(uint32_t slot) const override { return inner_->Notes(slot); }
  void SaveChanges(uint32_t slot, std::string* out) const override { inner_->SaveChanges(slot, out); }
  bool LoadChanges(uint32_t slot, std::string_view* from) override { return inner_->LoadChanges(slot, from); }
  int64_t MemoryBytes() const override { return inner_->MemoryBytes(); }
  int64_t OutsideBytes(uint32_t slot) const override { return inner_->OutsideBytes(slot); }
  int64_t OutsideBytes() const override { return inner_->OutsideBytes(); }

 private:
  // The arguments of packed values.
  absl::StatusOr<std::shared_ptr<arrow::Array>> Decode(const std::vector<std::string_view>& cells) const {
    Columns columns;
    TM_RETURN_IF_ERROR(codec_.Decode(cells, &columns));
    return columns[0];
  }
  absl::StatusOr<std::string> NullCell() const {
    const auto null = arrow::MakeArrayOfNull(ArrowType(value_), 1);
    if (!null.ok()) return absl::InternalError(null.status().ToString());
    EncodedKeys cell;
    TM_RETURN_IF_ERROR(codec_.Encode(
        *arrow::RecordBatch::Make(arrow::schema({arrow::field("value", ArrowType(value_))}), 1, {*null}), &cell));
    return std::string(cell[0]);
  }
  absl::Status AppendValues(const Cells<std::string_view>& packed, size_t n, Columns* out) const {
    TM_ASSIGN_OR_RETURN(const std::string null, NullCell());
    std::vector<std::string_view> cells;
    for (size_t i = 0; i < n; ++i) {
      cells.push_back(packed.IsNull(static_cast<int64_t>(i)) ? std::string_view(null)
                                                             : ArgumentCell(packed[static_cast<int64_t>(i)]));
    }
    TM_ASSIGN_OR_RETURN(out->emplace_back(), Decode(cells));
    return absl::OkStatus();
  }
  absl::Status AppendLists(const Cells<std::string_view>& packed, size_t n, Columns* out) const {
    std::vector<std::string_view> cells;
    std::vector<size_t> ends;  // of each list, among all cells
    for (size_t i = 0; i < n; ++i) {
      std::string_view list, value;
      if (!packed.IsNull(static_cast<int64_t>(i))) list = packed[static_cast<int64_t>(i)];
      while (!list.empty()) {
        if (!TakeBytes(&list, &value)) return absl::DataLossError("the values of an aggregate can't be read");
        cells.push_back(ArgumentCell(value));
      }
      ends.push_back(cells.size());
    }
    TM_ASSIGN_OR_RETURN(const auto values, Decode(cells));
    const bool json = function_ == AggregateFunction::kArrayAgg;
    const ColumnView view = ViewColumn(value_, *values->data());
    CellWriter<std::string_view> writer(static_cast<int64_t>(n));
    for (size_t i = 0; i < n; ++i) {
      if (packed.IsNull(static_cast<int64_t>(i))) {
        writer.AppendNull();
        continue;
      }
      std::string text;
      TextBuffer to(&text);
      if (json) to.Append("[");
      const size_t first = i == 0 ? 0 : ends[i - 1];
      for (size_t c = first; c < ends[i]; ++c) {
        if (c > first) to.Append(json ? std::string_view(",") : std::string_view(separator_));
        json ? WriteJsonValue(view, static_cast<int64_t>(c), &to) : WritePlainText(view, static_cast<int64_t>(c), &to);
      }
      if (json) to.Append("]");
      writer.Append(to.View(0, to.size()));
    }
    TM_ASSIGN_OR_RETURN(out->emplace_back(), writer.Finish(arrow::utf8()));
    return absl::OkStatus();
  }

  const AggregateFunction function_;
  const std::string separator_;
  const Type value_;
  const RowCodec codec_;
  const std::unique_ptr<Accumulator> inner_;
};

}  // namespace

std::unique_ptr<Accumulator> MakeUnpackingAccumulator(const Aggregate& aggregate, std::unique_ptr<Accumulator> inner) {
  return std::make_unique<UnpackingAccumulator>(aggregate, std::move(inner));
}

}  // namespace tidemark
