// Plans and records made of literals, for the tests of the codec.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/record.h"
#include "src/codec/json/value_writer.h"
#include "src/plan/plan.h"

namespace tidemark::codec_test {

struct Rec {
  std::optional<std::string> value;
  std::optional<std::string> key = std::nullopt;
  int64_t timestamp_ms = 1'767'225'600'000;  // 2026-01-01T00:00:00Z
  HeaderList headers = {};
};

// Records at offsets `first`, `first` + `step`, ...
class FakeFetch : public Fetch {
 public:
  explicit FakeFetch(std::vector<Rec> records, int32_t partition = 0, Offset first = 100, Offset step = 1)
      : source_{"detections", partition}, records_(std::move(records)) {
    for (const Rec& record : records_) {
      RecordView view;
      view.offset = first;
      first += step;
      view.timestamp_ms = record.timestamp_ms;
      if (record.key) view.key = *record.key;
      if (record.value) view.value = *record.value;
      views_.push_back(view);
    }
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return views_; }
  HeaderList Headers(size_t i) const override { return records_[i].headers; }

 private:
  TopicPartition source_;
  std::vector<Rec> records_;
  std::vector<RecordView> views_;
};

// "name type", "name type null".
inline SourceColumn Col(std::string_view declaration) {
  const size_t space = declaration.find(' ');
  SourceColumn column;
  column.column.name = std::string(declaration.substr(0, space));
  std::string_view type = declaration.substr(space + 1);
  if (type.ends_with(" null")) {
    column.column.nullable = true;
    type.remove_suffix(5);
  }
  column.column.type = ParseType(type).value();
  column.path = {column.column.name};
  return column;
}

inline Schema SchemaFor(const std::vector<SourceColumn>& columns) {
  Schema schema;
  for (const SourceColumn& column : columns) schema.Add(column.column);
  return schema;
}

inline SourcePlan PlanOf(std::vector<SourceColumn> columns) {
  SourcePlan plan;
  plan.name = "detections";
  plan.topic = "detections";
  plan.columns = std::move(columns);
  return plan;
}

inline SourcePlan PlanOf(std::initializer_list<std::string_view> declarations) {
  std::vector<SourceColumn> columns;
  for (const std::string_view declaration : declarations) columns.push_back(Col(declaration));
  return PlanOf(std::move(columns));
}

// The visible columns of every row, as JSON.
inline std::vector<std::string> Rows(const std::vector<SourceColumn>& columns, const Batch& batch) {
  std::vector<std::string> rows;
  for (int64_t i = 0; i < batch->num_rows(); ++i) rows.push_back(RowToJson(SchemaFor(columns), *batch, i));
  return rows;
}

}  // namespace tidemark::codec_test
