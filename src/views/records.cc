#include "src/views/records.h"

#include <algorithm>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include "src/base/batch.h"
#include "src/codec/packed_schema.h"
#include "src/plan/operator_kind.h"

namespace tidemark {
namespace {

constexpr std::string_view kMark = "mark/";

}  // namespace

Schema ViewRecordSchema(const Schema& rows) {
  std::vector<Column> columns = rows.columns();
  for (Column& column : columns) {
    if (column.type.kind == Kind::kTimestamp) column.type.form = TimestampForm::kMicros;
  }
  return Schema(std::move(columns));
}

RowEncoderOptions ViewEncoderOptions(const SinkPlan& view) {
  const auto& kafka = std::get<KafkaSinkSpec>(view.spec);
  RowEncoderOptions options = EncoderOptions(ViewRecordSchema(view.schema), kafka);
  options.schema.Add({kViewTimeColumn, {Kind::kInt64}, false});
  options.value.clear();  // all
  return options;
}

TablePlan ViewTable(const SinkPlan& view) {
  TablePlan table;
  table.name = view.name;
  const auto& kafka = std::get<KafkaSinkSpec>(view.spec);
  table.topic = kafka.topic;
  table.format = kafka.format;
  table.key_format = kafka.key_format;
  table.key = kafka.key;
  const Schema schema = ViewEncoderOptions(view).schema;
  for (const Column& column : schema.columns()) {
    SourceColumn read;
    read.column = column;
    read.path = {column.name};
    table.columns.push_back(std::move(read));
  }
  return table;
}

std::string ViewMarkKey(int32_t writer) { return absl::StrCat(absl::string_view(kMark.data(), kMark.size()), writer); }

std::optional<int32_t> ViewMarkWriter(std::string_view key) {
  if (!key.starts_with(kMark)) return std::nullopt;
  key.remove_prefix(kMark.size());
  int32_t writer = 0;
  if (!absl::SimpleAtoi(absl::string_view(key.data(), key.size()), &writer) || writer < 0) return std::nullopt;
  return writer;
}

packed::Standing::Edge ViewStanding(const SinkPlan& view) {
  const auto& kafka = std::get<KafkaSinkSpec>(view.spec);
  packed::Standing::Edge edge;
  edge.set_topic(kafka.topic);
  *edge.add_schemas() = PackSchema(*BatchSchema(ViewRecordSchema(view.schema), HiddenSet()));
  edge.add_origins(absl::StrCat("from ", view.from_kept_as, " by (", ColumnNames(view.schema, kafka.key), ")"));
  return edge;
}

std::string WhyNotTheView(const packed::Standing::Edge& before, const SinkPlan& view) {
  if (before.schemas().empty()) return "";
  if (before.schemas().rbegin()->columns().empty()) {
    return "it was taken out of the topology for a while, and hasn't heard of what came meanwhile";
  }
  const packed::Standing::Edge now = ViewStanding(view);
  if (!before.origins().empty() && before.origins(0) != now.origins(0)) {
    return absl::StrCat("its rows were written ", before.origins(0), ", and the topology now says ", now.origins(0));
  }
  const auto was = UnpackSchema(before.schemas(0)), is = UnpackSchema(now.schemas(0));
  if (!was.ok()) return std::string(was.status().message());
  if (!is.ok()) return std::string(is.status().message());
  // Workers of before may still answer from its topic, and read what a wider type has put there.
  return std::string(SchemaChange::Make(**was, *is, Widening::kNo).status().message());
}

}  // namespace tidemark
