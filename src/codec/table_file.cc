#include "src/codec/table_file.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <arrow/array/array_base.h>
#include <arrow/array/array_binary.h>
#include <arrow/buffer.h>
#include <arrow/csv/api.h>
#include <arrow/io/memory.h>
#include <arrow/table.h>
#include <arrow/util/utf8.h>

#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/codec/json/object_reader.h"

namespace tidemark {
namespace {

absl::StatusOr<std::string> ReadWhole(const TablePlan& plan, const TableBytes& bytes) {
  const auto read = [&]() -> arrow::Result<std::string> {
    ARROW_ASSIGN_OR_RAISE(const int64_t size, bytes->GetSize());
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Buffer> content, bytes->ReadAt(0, size));
    return content->ToString();
  }();
  if (!read.ok()) return TableFileError(plan, read.status());
  return *read;
}

// Editors on some systems begin a file with a byte order mark. Arrow's CSV reader passes over it by itself.
std::string_view WithoutMark(std::string_view content) {
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
  return content;
}

// Arrow takes a header without rows for an empty file: the names as a row too, which its reader then leaves out.
std::shared_ptr<arrow::Buffer> NamesTwice(const std::string& content) {
  const size_t end = content.find_last_not_of("\r\n");
  if (end == std::string::npos || content.substr(0, end).find('\n') != std::string::npos) return nullptr;
  const std::string names = content.substr(0, end + 1);
  return arrow::Buffer::FromString(
      absl::StrCat(names, "\n", names.substr(names.size() - WithoutMark(names).size()), "\n"));
}

// All fields as text, so that each is judged by the rules of its column and with its place.
arrow::Result<std::shared_ptr<arrow::Table>> ReadCsvAsText(const std::string& content) {
  const std::shared_ptr<arrow::Buffer> names_only = NamesTwice(content);
  const auto buffer = names_only != nullptr ? names_only : std::make_shared<arrow::Buffer>(std::string_view(content));
  const auto input = std::make_shared<arrow::io::BufferReader>(buffer);
  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;
  auto parse = arrow::csv::ParseOptions::Defaults();
  parse.newlines_in_values = true;
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.check_utf8 = false;
  // First the names, then all of them as strings: a type left open would be guessed.
  const auto header_input = std::make_shared<arrow::io::BufferReader>(buffer);
  const auto& io = arrow::io::default_io_context();
  ARROW_ASSIGN_OR_RAISE(auto header, arrow::csv::StreamingReader::Make(io, header_input, read, parse, convert));
  for (const std::string& name : header->schema()->field_names()) convert.column_types[name] = arrow::binary();
  convert.strings_can_be_null = true;
  convert.quoted_strings_can_be_null = false;
  convert.null_values = {""};
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::csv::TableReader::Make(io, input, read, parse, convert));
  ARROW_ASSIGN_OR_RAISE(auto table, reader->Read());
  return names_only != nullptr ? table->Slice(0, 0) : table;
}

}  // namespace

std::shared_ptr<arrow::Schema> TableBatchSchema(const TablePlan& plan) {
  return BatchSchema(ColumnsSchema(plan.columns), HiddenSet().Without(Hidden::kTime));
}

Batch FinishTable(const TablePlan& plan, ColumnSet* columns, int64_t rows) {
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  columns->Finish(rows, &arrays);
  return arrow::RecordBatch::Make(TableBatchSchema(plan), rows, std::move(arrays));
}

absl::Status TableFileError(const TablePlan& plan, const arrow::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(plan.file, ": ", status.message()));
}

absl::Status TableError(const TablePlan& plan, std::string_view where, std::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(plan.file, ": ", std::string(where), ": ", std::string(reason)));
}

// A nullable column may be missing, but not where the file has another by nearly its name: that would be NULL without a
// word.
absl::StatusOr<std::vector<int>> MatchFileColumns(const TablePlan& plan, const std::vector<std::string>& names) {
  std::vector<std::string> unused = names;
  for (const SourceColumn& column : plan.columns) {
    std::erase(unused, column.path.empty() ? column.column.name : column.path[0]);
  }
  std::vector<int> positions;
  for (const SourceColumn& column : plan.columns) {
    if (column.from != SourceColumn::From::kValue) {
      return absl::InvalidArgumentError(
          absl::StrCat(plan.file, ": column ", column.column.name, ": `from` reads Kafka records, a file has none"));
    }
    if (column.path.size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(plan.file, ": column ", column.column.name, ": a nested path is read from JSON only"));
    }
    const std::string& name = column.path.empty() ? column.column.name : column.path[0];
    const auto found = std::find(names.begin(), names.end(), name);
    const bool may_be_missing = column.column.nullable || column.default_value;
    if (found == names.end() && (!may_be_missing || Nearest(name, unused))) {
      return absl::InvalidArgumentError(
          absl::StrCat(plan.file, ": there is no column ", name, DidYouMean(name, may_be_missing ? unused : names)));
    }
    if (std::count(names.begin(), names.end(), name) > 1) {
      return absl::InvalidArgumentError(absl::StrCat(plan.file, ": there are several columns ", name));
    }
    positions.push_back(found == names.end() ? -1 : static_cast<int>(found - names.begin()));
  }
  return positions;
}

absl::StatusOr<Batch> ReadJsonLinesTable(const TablePlan& plan, const TableBytes& bytes) {
  TM_ASSIGN_OR_RETURN(const std::string content, ReadWhole(plan, bytes));
  std::vector<ReadTarget> targets;
  for (size_t c = 0; c < plan.columns.size(); ++c) {
    const SourceColumn& column = plan.columns[c];
    if (column.from != SourceColumn::From::kValue) {
      return absl::InvalidArgumentError(
          absl::StrCat(plan.file, ": column ", column.column.name, ": `from` reads Kafka records, a file has none"));
    }
    targets.push_back({column.path.empty() ? std::vector<std::string>{column.column.name} : column.path, c});
  }
  JsonObjectReader reader(targets);
  ColumnSet columns(plan.columns);
  columns.Start(std::count(content.begin(), content.end(), '\n') + 1);
  int64_t rows = 0, line = 0;
  for (std::string_view rest = WithoutMark(content); !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++line;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    columns.BeginRow(rows);
    std::optional<std::string> reason = reader.Read(text, &columns);
    if (!reason) reason = columns.EndRow();
    if (reason) return TableError(plan, absl::StrCat("line ", line), *reason);
    ++rows;
  }
  return FinishTable(plan, &columns, rows);
}

// An empty field without quotes is no value; "" is the empty text.
absl::StatusOr<Batch> ReadCsvTable(const TablePlan& plan, const TableBytes& bytes) {
  arrow::util::InitializeUTF8();
  TM_ASSIGN_OR_RETURN(const std::string content, ReadWhole(plan, bytes));
  const auto read = ReadCsvAsText(content);
  if (!read.ok()) return TableFileError(plan, read.status());
  const std::shared_ptr<arrow::Table>& table = *read;
  TM_ASSIGN_OR_RETURN(const std::vector<int> positions, MatchFileColumns(plan, table->ColumnNames()));
  ColumnSet columns(plan.columns);
  columns.Start(table->num_rows());
  arrow::TableBatchReader batches(*table);
  int64_t row = 0;
  while (true) {
    TM_ASSIGN_OR_RETURN(const Batch batch, FromArrow(batches.Next(), plan.file));
    if (batch == nullptr) break;
    for (int64_t i = 0; i < batch->num_rows(); ++i, ++row) {
      columns.BeginRow(row);
      std::optional<std::string> reason;
      for (size_t c = 0; c < positions.size() && !reason; ++c) {
        if (positions[c] < 0) continue;
        const auto& fields = static_cast<const arrow::BinaryArray&>(*batch->column(positions[c]));
        if (fields.IsNull(i)) continue;
        const std::string_view text = fields.GetView(i);
        const Type& type = plan.columns[c].column.type;
        reason = arrow::util::ValidateUTF8(text) ? columns.Set(c, FromPlainText(type, text))
                                                 : columns.Reject(c, Describe(Fit::kNotUtf8, type, {}));
      }
      if (!reason) reason = columns.EndRow();
      if (reason) return TableError(plan, absl::StrCat("row ", row + 1), *reason);
    }
  }
  return FinishTable(plan, &columns, row);
}

absl::StatusOr<Batch> ReadTableFile(const TablePlan& plan, const TableBytes& bytes) {
  switch (plan.file_format) {
    case TablePlan::FileFormat::kJsonLines:
      return ReadJsonLinesTable(plan, bytes);
    case TablePlan::FileFormat::kCsv:
      return ReadCsvTable(plan, bytes);
    case TablePlan::FileFormat::kParquet:
      return ReadParquetTable(plan, bytes);
  }
  return absl::InternalError("unknown file format");
}

}  // namespace tidemark
