// One aggregate over rows, in a few slots: rows come and go, and slots are saved, loaded and merged as partials.
#pragma once

#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "operators/window/accumulator.h"
#include "operators/window/arguments.h"
#include "operators/window/partial_schema.h"
#include "src/codec/cells.h"
#include "tests/unit/operators/accumulator_model.h"
#include "tests/unit/operators/harness.h"

namespace tidemark::accumulator_test {

struct Aggregated {
  explicit Aggregated(std::string_view call, InputRows rows)
      : call(call), kind(rows), aggregate(Aggregate::Compile(call, kRows).value()) {
    Make();
  }
  void Make() {
    accumulator = MakeAccumulator(aggregate, kind);
    accumulator->Resize(kSlots);
  }

  static constexpr size_t kSlots = 6;
  std::string_view call;
  InputRows kind;
  Aggregate aggregate;
  std::unique_ptr<Accumulator> accumulator;

  // Adds or takes back row i of slots[i].
  void Apply(const std::vector<TestRow>& rows, const std::vector<uint32_t>& slots, bool add) {
    const Batch batch = ToBatch(kRows, AllHidden(), rows);
    std::vector<RowError> errors;
    std::shared_ptr<arrow::Array> argument;
    argument = EvaluateArgument(aggregate, *batch, &errors).value();
    const OrderColumns order{HiddenInt64(*batch, Hidden::kTime), HiddenInt32(*batch, Hidden::kSource),
                             HiddenInt32(*batch, Hidden::kPartition), HiddenInt64(*batch, Hidden::kOffset)};
    std::vector<int32_t> all(rows.size());
    std::iota(all.begin(), all.end(), 0);
    if (add) {
      accumulator->Update(argument.get(), order, all, slots);
    } else {
      ASSERT_TRUE(accumulator->Retract(argument.get(), order, all, slots).ok());
    }
  }
  // The slots of `from` as partials, into these slots.
  void MergePartials(const Aggregated& from, const std::vector<uint32_t>& slots) {
    WindowSpec spec;
    spec.aggregates = {{"a", std::string(call)}};
    spec.rows = kRows;
    spec.input_updates = kind == InputRows::kChange;
    const PartialLayout layout = MakePartialLayout(spec);
    std::vector<uint32_t> all(kSlots);
    std::iota(all.begin(), all.end(), 0);
    std::vector<std::shared_ptr<arrow::Array>> columns;
    ASSERT_TRUE(from.accumulator->Partial(all, &columns).ok());
    std::vector<std::shared_ptr<arrow::Field>> fields;
    for (size_t c = 0; c < columns.size(); ++c) {
      const Column& column = layout.schema[layout.aggregates[0] + c];
      EXPECT_TRUE(columns[c]->type()->Equals(ArrowType(column.type))) << call << " " << column.name;
      fields.push_back(arrow::field(column.name, ArrowType(column.type)));
    }
    EXPECT_EQ(layout.aggregates[0] + columns.size(), layout.schema.size()) << call;
    const auto partials = arrow::RecordBatch::Make(arrow::schema(fields), kSlots, columns);
    std::vector<int32_t> rows(all.begin(), all.end());
    ASSERT_TRUE(accumulator->Merge(*partials, 0, rows, slots).ok());
  }
  void SaveAndLoad() {
    std::vector<std::string> saved(kSlots);
    for (uint32_t slot = 0; slot < kSlots; ++slot) accumulator->Save(slot, &saved[slot]);
    Make();
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      std::string_view bytes = saved[slot];
      EXPECT_TRUE(accumulator->Load(slot, &bytes) && bytes.empty()) << call;
    }
  }
  std::string Result(uint32_t slot) const {
    std::vector<std::shared_ptr<arrow::Array>> columns;
    std::vector<ResultError> errors;
    EXPECT_TRUE(accumulator->Result(std::vector<uint32_t>{slot}, &columns, &errors).ok());
    const auto batch =
        arrow::RecordBatch::Make(arrow::schema({arrow::field("r", columns[0]->type()), HiddenField(Hidden::kTime)}), 1,
                                 {columns[0], arrow::MakeArrayFromScalar(arrow::Int64Scalar(0), 1).ValueOrDie()});
    Schema schema;
    schema.Add({"r", aggregate.type, true});
    std::string text;
    VisitKind(aggregate.type.kind, [&](auto tag) {
      const Cells<decltype(tag)> cells(*columns[0]->data());
      if (cells.IsNull(0)) {
        text = "NULL";
      } else if constexpr (std::is_same_v<decltype(tag), Int128>) {
        text = absl::StrCat(static_cast<int64_t>(cells[0]));
      } else if constexpr (std::is_same_v<decltype(tag), std::string_view>) {
        text = std::string(cells[0]);
      } else {
        text = absl::StrCat(cells[0]);
      }
    });
    return errors.empty() ? text : errors[0].reason;
  }
};

}  // namespace tidemark::accumulator_test
