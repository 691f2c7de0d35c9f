#include "operators/sinks/parquet/folders.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/civil_time.h>
#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/base/time.h"
#include "src/codec/key_encoder.h"

namespace tidemark {
namespace {

// What Hive, Spark and DuckDB read as NULL.
constexpr char kNullFolder[] = "__HIVE_DEFAULT_PARTITION__";
constexpr size_t kLongestName = 255;  // of one folder, in bytes, on the usual file systems

std::string DateText(int64_t days) {
  const absl::CivilDay day = absl::CivilDay(1970, 1, 1) + days;
  return absl::StrFormat("%04d-%02d-%02d", day.year(), day.month(), day.day());
}

std::string TimestampText(int64_t us) {
  const int64_t day_us = 86'400 * kSecond;
  const int64_t start = FloorTo(EventTime{us}, day_us).us;
  const int64_t rest = us - start, seconds = rest / kSecond, fraction = rest % kSecond;
  std::string text =
      absl::StrFormat("%s %02d:%02d:%02d", DateText(start / day_us), seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (fraction != 0) absl::StrAppendFormat(&text, ".%06d", fraction);
  return text;
}

std::string DoubleText(double value) {
  if (std::isnan(value)) return "NaN";
  char text[64];
  return std::string(text, std::to_chars(text, text + sizeof(text), value).ptr);
}

std::string ValueText(const Type& type, const arrow::Array& values, int64_t row) {
  switch (type.kind) {
    case Kind::kBool:
      return static_cast<const arrow::BooleanArray&>(values).Value(row) ? "true" : "false";
    case Kind::kInt32:
      return absl::StrCat(static_cast<const arrow::Int32Array&>(values).Value(row));
    case Kind::kInt64:
      return absl::StrCat(static_cast<const arrow::Int64Array&>(values).Value(row));
    case Kind::kDouble:
      return DoubleText(static_cast<const arrow::DoubleArray&>(values).Value(row));
    case Kind::kDate:
      return DateText(static_cast<const arrow::Date32Array&>(values).Value(row));
    case Kind::kTimestamp:
      return TimestampText(static_cast<const arrow::TimestampArray&>(values).Value(row));
    case Kind::kDecimal:
      return static_cast<const arrow::Decimal128Array&>(values).FormatValue(row);
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kJson:
      return std::string(static_cast<const arrow::BinaryArray&>(values).GetView(row));
  }
  return "";
}

}  // namespace

std::string EscapeHive(std::string_view value) {
  static constexpr std::string_view kEscaped = "\"#%'*/:=?\\{[]^\x7f";
  std::string escaped;
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < 0x20 || kEscaped.find(c) != std::string_view::npos) {
      absl::StrAppendFormat(&escaped, "%%%02X", static_cast<unsigned char>(c));
    } else {
      escaped += c;
    }
  }
  return escaped;
}

absl::StatusOr<HiveFolders> HiveFolders::Compile(const std::vector<ParquetSinkSpec::PartitionColumn>& columns,
                                                 const Schema& schema) {
  HiveFolders folders;
  for (const ParquetSinkSpec::PartitionColumn& column : columns) {
    auto expression = Expression::Compile(column.expression, schema);
    if (!expression.ok()) return Annotate(expression.status(), absl::StrCat("partition_by ", column.name));
    if (expression->type().kind == Kind::kBytes || expression->type().kind == Kind::kJson) {
      return absl::InvalidArgumentError(
          absl::StrCat("partition_by ", column.name, ": ", TypeName(expression->type()), " can't name a folder"));
    }
    // A reader takes the folder's value for the column of that name: it must be the same.
    const auto same_name = schema.Find(column.name);
    if (same_name && expression->AsColumn() != same_name) {
      return absl::InvalidArgumentError(absl::StrCat("partition_by ", column.name,
                                                     ": the step has a column of that name with other values; choose ",
                                                     "another name for the folder"));
    }
    if (same_name) folders.columns_in_names_.push_back(*same_name);
    folders.levels_.push_back({column.name, *std::move(expression)});
  }
  std::sort(folders.columns_in_names_.begin(), folders.columns_in_names_.end());
  if (folders.columns_in_names_.size() == schema.size()) {
    return absl::InvalidArgumentError("partition_by names every column: nothing is left for the files");
  }
  folders.Forget();
  return folders;
}

void HiveFolders::Forget() {
  folders_.clear();
  by_key_.clear();
  by_name_.clear();
  if (levels_.empty()) folders_.push_back("");
}

// The folder of a combination of values seen for the first time; -1 where its name is too long.
int32_t HiveFolders::IndexOf(const std::vector<std::shared_ptr<arrow::Array>>& values, int64_t row) {
  std::string folder;
  for (size_t i = 0; i < levels_.size(); ++i) {
    std::string text = values[i]->IsNull(row) ? "" : ValueText(levels_[i].expression.type(), *values[i], row);
    const std::string name =
        absl::StrCat(EscapeHive(levels_[i].name), "=", text.empty() ? kNullFolder : EscapeHive(text));
    if (name.size() > kLongestName) return -1;
    absl::StrAppend(&folder, i > 0 ? "/" : "", name);
  }
  const auto [entry, fresh] = by_name_.try_emplace(folder, static_cast<int32_t>(folders_.size()));
  if (fresh) folders_.push_back(std::move(folder));
  return entry->second;
}

absl::Status HiveFolders::Assign(const arrow::RecordBatch& rows, std::vector<int32_t>* folder_of_row,
                                 std::vector<RowError>* errors) {
  const int64_t count = rows.num_rows();
  folder_of_row->assign(count, 0);
  errors->clear();
  if (levels_.empty()) return absl::OkStatus();

  std::vector<std::shared_ptr<arrow::Array>> values;
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<size_t> positions;
  for (const Level& level : levels_) {
    std::vector<RowError> failed;
    TM_ASSIGN_OR_RETURN(auto column, level.expression.Evaluate(rows, &failed));
    for (RowError& error : failed) {
      if ((*folder_of_row)[error.row] < 0) continue;
      (*folder_of_row)[error.row] = -1;
      errors->push_back({error.row, absl::StrCat("partition_by ", level.name, ": ", error.message)});
    }
    positions.push_back(values.size());
    fields.push_back(arrow::field(level.name, column->type()));
    values.push_back(std::move(column));
  }
  EncodedKeys keys;
  TM_RETURN_IF_ERROR(EncodeKeys(*arrow::RecordBatch::Make(arrow::schema(fields), count, values), positions, &keys));

  std::string_view last_key;
  int32_t last = -2;
  for (int64_t row = 0; row < count; ++row) {
    if ((*folder_of_row)[row] < 0) continue;
    if (last == -2 || keys[row] != last_key) {  // neighbours mostly share their folder
      last_key = keys[row];
      const auto [known, fresh] = by_key_.try_emplace(absl::string_view(last_key.data(), last_key.size()), -1);
      if (fresh) known->second = IndexOf(values, row);
      last = known->second;
    }
    (*folder_of_row)[row] = last;
    if (last < 0)
      errors->push_back({row, absl::StrCat("partition_by: a folder name of more than ", kLongestName, " bytes")});
  }
  std::sort(errors->begin(), errors->end(), [](const RowError& a, const RowError& b) { return a.row < b.row; });
  return absl::OkStatus();
}

}  // namespace tidemark
