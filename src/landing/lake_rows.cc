#include "src/landing/lake_rows.h"

#include <map>
#include <optional>
#include <utility>

#include <absl/strings/numbers.h>
#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/compute/cast.h>
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include "src/base/status.h"
#include "src/landing/lake_folder.h"

namespace tidemark {
namespace {

constexpr char kNullFolder[] = "__HIVE_DEFAULT_PARTITION__";

using FolderValues = std::map<std::string, std::optional<std::string>>;

// "%3A" becomes ':'.
std::string Unescaped(const std::string& text) {
  std::string value;
  for (size_t i = 0; i < text.size(); ++i) {
    int byte = 0;
    if (text[i] == '%' && i + 2 < text.size() && absl::SimpleHexAtoi(text.substr(i + 1, 2), &byte)) {
      value += static_cast<char>(byte);
      i += 2;
    } else {
      value += text[i];
    }
  }
  return value;
}

FolderValues ValuesOf(const std::vector<std::string>& folders) {
  FolderValues values;
  for (const std::string& name : folders) {
    const size_t equals = name.find('=');
    if (equals == std::string::npos) continue;
    const std::string value = name.substr(equals + 1);
    values[Unescaped(name.substr(0, equals))] =
        value == kNullFolder ? std::nullopt : std::optional<std::string>(Unescaped(value));
  }
  return values;
}

arrow::Result<std::shared_ptr<arrow::Array>> FromFolder(const Type& type, const std::string& text, int64_t rows) {
  const std::shared_ptr<arrow::DataType> wanted = ArrowType(type);
  std::shared_ptr<arrow::Scalar> value;
  if (type.kind == Kind::kDecimal) {
    arrow::Decimal128 number;
    int32_t precision = 0, scale = 0;
    ARROW_RETURN_NOT_OK(arrow::Decimal128::FromString(text, &number, &precision, &scale));
    ARROW_ASSIGN_OR_RAISE(number, number.Rescale(scale, type.scale));
    value = std::make_shared<arrow::Decimal128Scalar>(number, wanted);
  } else if (type.kind == Kind::kTimestamp) {
    // Without a zone, which is UTC.
    ARROW_ASSIGN_OR_RAISE(value, arrow::Scalar::Parse(arrow::timestamp(arrow::TimeUnit::MICRO), text));
    value = std::make_shared<arrow::TimestampScalar>(static_cast<const arrow::TimestampScalar&>(*value).value, wanted);
  } else if (type.kind == Kind::kBytes) {
    value = std::make_shared<arrow::BinaryScalar>(text);
  } else {
    ARROW_ASSIGN_OR_RAISE(value, arrow::Scalar::Parse(wanted, text));
  }
  return arrow::MakeArrayFromScalar(*value, rows);
}

arrow::Result<std::shared_ptr<arrow::Array>> ArrayOf(const Column& column, const arrow::Table* table,
                                                     const FolderValues& folders, int64_t rows) {
  const std::shared_ptr<arrow::DataType> type = ArrowType(column.type);
  const auto chunks = table == nullptr ? nullptr : table->GetColumnByName(column.name);
  if (chunks != nullptr) {
    ARROW_ASSIGN_OR_RAISE(const arrow::Datum cast,
                          arrow::compute::Cast(chunks, arrow::compute::CastOptions::Safe(type)));
    if (cast.chunked_array()->num_chunks() == 0) return arrow::MakeArrayOfNull(type, 0);
    return arrow::Concatenate(cast.chunked_array()->chunks());
  }
  const auto folder = folders.find(column.name);
  if (folder == folders.end() || !folder->second) return arrow::MakeArrayOfNull(type, rows);
  return FromFolder(column.type, *folder->second, rows);
}

// Those of the columns that the file has, by their places in it.
std::vector<int> PlacesOf(parquet::arrow::FileReader& reader, const std::vector<Column>& columns) {
  std::vector<int> places;
  for (const Column& column : columns) {
    const int at = reader.parquet_reader()->metadata()->schema()->ColumnIndex(column.name);
    if (at >= 0) places.push_back(at);
  }
  return places;
}

}  // namespace

absl::Status ReadLakeRows(const std::string& path, const std::vector<Column>& columns,
                          absl::FunctionRef<absl::Status(const arrow::ArrayVector&, int64_t)> take) {
  TM_ASSIGN_OR_RETURN(const auto lake, LakeFolder::Reach(path));
  const auto files = lake->List();
  if (absl::IsNotFound(files.status())) return absl::OkStatus();
  TM_RETURN_IF_ERROR(files.status());
  for (const std::string& file : *files) {
    TM_ASSIGN_OR_RETURN(const auto reader, lake->Open(file));
    const FolderValues folders = ValuesOf(lake->FoldersOf(file));
    for (int group = 0; group < reader->num_row_groups(); ++group) {
      arrow::ArrayVector arrays;
      int64_t rows = 0;
      TM_RETURN_IF_ERROR(GuardedLake(file, [&]() -> arrow::Status {
        const std::vector<int> places = PlacesOf(*reader, columns);
        rows = reader->parquet_reader()->metadata()->RowGroup(group)->num_rows();
        std::shared_ptr<arrow::Table> table;
        if (!places.empty()) {
          ARROW_ASSIGN_OR_RAISE(table, reader->ReadRowGroup(group, places));
        }
        for (const Column& column : columns) {
          ARROW_ASSIGN_OR_RAISE(auto array, ArrayOf(column, table.get(), folders, rows));
          arrays.push_back(std::move(array));
        }
        return arrow::Status::OK();
      }));
      TM_RETURN_IF_ERROR(take(arrays, rows));
    }
  }
  return absl::OkStatus();
}

}  // namespace tidemark
