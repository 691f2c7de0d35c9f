#include "src/runtime/generations/compared_rows.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/initialize.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "src/base/status.h"
#include "src/codec/row_codec.h"

namespace tidemark {
namespace {

constexpr char kOffsetColumn[] = "__offset";  // no user's column has such a name
constexpr uint64_t kUnreadable = 1;           // a seed of its own

XXH128_hash_t HashOfBytes(const Bytes& bytes) {
  return bytes ? XXH3_128bits_withSeed(bytes->data(), bytes->size(), kUnreadable)
               : XXH3_128bits_withSeed("", 0, kUnreadable + 1);
}

absl::StatusOr<std::shared_ptr<arrow::Array>> Brought(const std::shared_ptr<arrow::Array>& array, const Type& type,
                                                      int64_t rows) {
  static const arrow::Status initialized = arrow::compute::Initialize();
  TM_RETURN_IF_ERROR(FromArrow(initialized, "Arrow's kernels"));
  const std::shared_ptr<arrow::DataType> wanted = ArrowType(type);
  if (array == nullptr) return FromArrow(arrow::MakeArrayOfNull(wanted, rows), "NULLs");
  if (array->type()->Equals(*wanted)) return array;
  return FromArrow(arrow::compute::Cast(*array, wanted, arrow::compute::CastOptions::Safe()), TypeName(type));
}

}  // namespace

absl::Status HashRows(const std::vector<ComparedColumn>& columns,
                      const std::vector<std::shared_ptr<arrow::Array>>& arrays, int64_t rows,
                      std::vector<XXH128_hash_t>* out) {
  arrow::FieldVector fields;
  arrow::ArrayVector brought;
  std::vector<RowCodec::Field> cells;
  for (size_t c = 0; c < columns.size(); ++c) {
    // What JSON says isn't looked into: it counts as it is written.
    Type type = columns[c].type;
    if (type.kind == Kind::kJson) type.kind = Kind::kString;
    TM_ASSIGN_OR_RETURN(auto array, Brought(arrays[c], type, rows));
    fields.push_back(arrow::field(columns[c].name, array->type()));
    brought.push_back(std::move(array));
    cells.push_back({c, type, false});
  }
  EncodedKeys encoded;
  const auto batch = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows, std::move(brought));
  if (!cells.empty()) TM_RETURN_IF_ERROR(RowCodec::Key(std::move(cells)).Encode(*batch, &encoded));
  out->resize(static_cast<size_t>(rows));
  for (size_t row = 0; row < out->size(); ++row) {
    const std::string_view bytes = columns.empty() ? std::string_view() : encoded[row];
    (*out)[row] = XXH3_128bits(bytes.data(), bytes.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ValueHashes>> ValueHashes::Make(const KafkaSinkSpec& spec, const Schema& schema,
                                                               const std::vector<ComparedColumn>& columns, bool before,
                                                               const Formats& formats) {
  const FormatSyntax* const format = FindFormat(formats.list(), spec.format.name);
  const bool by_name = format == nullptr || format->holds_names();
  const bool by_place = format != nullptr && format->by_place(spec.format);
  SourcePlan reader;
  reader.name = spec.topic;
  reader.topic = spec.topic;
  reader.format = spec.format;
  reader.event_time.max_out_of_orderness_us = 0;
  std::vector<size_t> in_value = spec.value;
  if (in_value.empty()) {
    in_value.resize(schema.size());
    std::iota(in_value.begin(), in_value.end(), size_t{0});
  }
  // All of them, as some formats know a column by its place.
  for (const size_t c : in_value) {
    SourceColumn column;
    column.column = schema[c];
    column.column.nullable = by_name;
    if (by_name) column.path = {column.column.name};
    if (by_place) column.place = reader.columns.size() + 1;
    reader.columns.push_back(std::move(column));
  }
  SourceColumn offset;
  offset.column = {kOffsetColumn, {Kind::kInt64}, false};
  offset.from = SourceColumn::From::kOffset;
  reader.columns.push_back(std::move(offset));
  std::vector<ComparedColumn> in_both;
  std::vector<int> places;
  for (const ComparedColumn& column : columns) {
    const auto at =
        std::find_if(in_value.begin(), in_value.end(), [&](size_t c) { return schema[c].name == column.name; });
    const bool here = (before ? column.before : column.after) && at != in_value.end();
    in_both.push_back(column);
    places.push_back(here ? static_cast<int>(at - in_value.begin()) : -1);
  }
  TM_ASSIGN_OR_RETURN(auto decoder, SourceDecoder::Make(reader, formats));
  return std::unique_ptr<ValueHashes>(new ValueHashes(std::move(in_both), std::move(places), std::move(decoder)));
}

absl::Status ValueHashes::Read(const Fetch& fetch, std::vector<XXH128_hash_t>* out) {
  const std::span<const RecordView> records = fetch.records();
  out->clear();
  for (const RecordView& record : records) out->push_back(HashOfBytes(record.value));
  SourceTime time;
  for (size_t first = 0; first < records.size();) {
    TM_ASSIGN_OR_RETURN(const DecodedRows decoded, decoder_->Decode(fetch, first, 0, &time));
    if (!decoded.waits_for.empty()) return absl::UnavailableError(absl::StrCat("waits for ", decoded.waits_for));
    arrow::ArrayVector arrays;
    for (const int place : places_) arrays.push_back(place < 0 ? nullptr : decoded.rows->column(place));
    TM_RETURN_IF_ERROR(HashRows(columns_, arrays, decoded.rows->num_rows(), &of_rows_));
    const auto& offsets = static_cast<const arrow::Int64Array&>(*decoded.rows->GetColumnByName(kOffsetColumn));
    size_t record = first;
    for (int64_t row = 0; row < offsets.length(); ++row) {
      while (record < records.size() && records[record].offset < offsets.Value(row)) ++record;
      if (record < records.size()) (*out)[record] = of_rows_[static_cast<size_t>(row)];
    }
    if (decoded.next <= first) break;
    first = decoded.next;
  }
  return absl::OkStatus();
}

}  // namespace tidemark
