#include "src/codec/packed_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <absl/strings/str_cat.h>
#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <xxhash.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr char kVersion = 1;
constexpr size_t kPrefix = 5;  // version, length of the header
// A header's size is left to it; none comes near.
constexpr int64_t kHeaderRoom = 256;

// Whether a column may be null says nothing about its bytes, so it is left out.
uint64_t SchemaHash(const arrow::Schema& schema) {
  std::string text;
  for (const auto& field : schema.fields()) absl::StrAppend(&text, field->name(), " ", field->type()->ToString(), "\n");
  return XXH3_64bits(text.data(), text.size());
}

void AppendPrefix(const packed::RowsHeader& header, std::string* value) {
  const uint32_t bytes = static_cast<uint32_t>(header.ByteSizeLong());
  value->push_back(kVersion);
  value->append(reinterpret_cast<const char*>(&bytes), sizeof(bytes));
  header.AppendToString(value);
}

arrow::ipc::IpcWriteOptions WriteOptions() {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;
  return options;
}

// Cuts `rows` into slices whose messages stay below the target, in order: too large a slice is cut into as many equal
// ones as its size calls for, and each of those is judged again.
absl::Status Cut(const Batch& rows, std::vector<Batch>* slices) {
  int64_t bytes = 0;
  if (const arrow::Status status = arrow::ipc::GetRecordBatchSize(*rows, WriteOptions(), &bytes); !status.ok()) {
    return FromArrow(status, "packing rows");
  }
  const int64_t target = static_cast<int64_t>(kPackedTargetBytes) - kHeaderRoom;
  if (bytes < target) {
    slices->push_back(rows);
    return absl::OkStatus();
  }
  if (rows->num_rows() <= 1) {
    if (bytes > static_cast<int64_t>(kMaxPackedRow) - kHeaderRoom) {
      return absl::InvalidArgumentError(
          absl::StrCat("a row of ", bytes, " bytes is larger than an internal topic carries (", kMaxPackedRow, ")"));
    }
    slices->push_back(rows);
    return absl::OkStatus();
  }
  const int64_t pieces = std::min(rows->num_rows(), bytes / target + 1);
  const int64_t length = (rows->num_rows() + pieces - 1) / pieces;
  for (int64_t start = 0; start < rows->num_rows(); start += length) {
    TM_RETURN_IF_ERROR(Cut(rows->Slice(start, std::min(length, rows->num_rows() - start)), slices));
  }
  return absl::OkStatus();
}

// Arrow writes into a string.
class StringStream final : public arrow::io::OutputStream {
 public:
  explicit StringStream(std::string* to) : to_(to) { set_mode(arrow::io::FileMode::WRITE); }
  arrow::Status Write(const void* data, int64_t bytes) override {
    to_->append(static_cast<const char*>(data), static_cast<size_t>(bytes));
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> Tell() const override { return static_cast<int64_t>(to_->size() - begin_); }
  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return false; }

 private:
  std::string* const to_;
  const size_t begin_ = to_->size();
};

absl::Status AppendRecord(packed::RowsHeader header, const Batch& rows, std::vector<std::string>* out) {
  std::string value;
  if (rows == nullptr) {
    AppendPrefix(header, &value);
    out->push_back(std::move(value));
    return absl::OkStatus();
  }
  int64_t bytes = 0;
  arrow::Status status = arrow::ipc::GetRecordBatchSize(*rows, WriteOptions(), &bytes);
  if (!status.ok()) return FromArrow(status, "packing rows");
  value.reserve(kPrefix + header.ByteSizeLong() + static_cast<size_t>(bytes));
  AppendPrefix(header, &value);
  StringStream stream(&value);
  status = arrow::ipc::SerializeRecordBatch(*rows, WriteOptions(), &stream);
  if (!status.ok()) return FromArrow(status, "packing rows");
  out->push_back(std::move(value));
  return absl::OkStatus();
}

// The message at an address that Arrow's kernels like, in memory that the batch keeps alive.
absl::StatusOr<Batch> ReadMessage(std::string_view message, const std::shared_ptr<arrow::Schema>& schema) {
  TM_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> copy,
                      FromArrow(arrow::AllocateBuffer(static_cast<int64_t>(message.size())), "unpacking rows"));
  std::memcpy(copy->mutable_data(), message.data(), message.size());
  arrow::io::BufferReader reader(std::move(copy));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  arrow::ipc::DictionaryMemo dictionaries;
  arrow::Result<Batch> rows = arrow::ipc::ReadRecordBatch(schema, &dictionaries, options, &reader);
  if (!rows.ok()) return absl::DataLossError(absl::StrCat("packed rows: ", rows.status().message()));
  if (const arrow::Status status = (*rows)->Validate(); !status.ok()) {
    return absl::DataLossError(absl::StrCat("packed rows: ", status.message()));
  }
  return *std::move(rows);
}

}  // namespace

absl::Status PackRows(const packed::RowsHeader& common, const Batch& rows, std::vector<std::string>* out) {
  packed::RowsHeader header = common;
  header.set_part(0);
  header.set_last(true);
  header.set_rows(0);
  header.set_schema_hash(0);
  if (rows == nullptr || rows->num_rows() == 0) return AppendRecord(std::move(header), nullptr, out);
  header.set_schema_hash(SchemaHash(*rows->schema()));
  std::vector<Batch> slices;
  TM_RETURN_IF_ERROR(Cut(rows, &slices));
  for (size_t part = 0; part < slices.size(); ++part) {
    header.set_part(static_cast<uint32_t>(part));
    header.set_last(part + 1 == slices.size());
    header.set_rows(static_cast<uint32_t>(slices[part]->num_rows()));
    TM_RETURN_IF_ERROR(AppendRecord(header, slices[part], out));
  }
  return absl::OkStatus();
}

absl::StatusOr<UnpackedRows> UnpackRows(std::string_view value, const std::shared_ptr<arrow::Schema>& schema) {
  if (value.size() < kPrefix || value[0] != kVersion) return absl::DataLossError("not a record of packed rows");
  uint32_t header_bytes = 0;
  std::memcpy(&header_bytes, value.data() + 1, sizeof(header_bytes));
  value.remove_prefix(kPrefix);
  UnpackedRows unpacked;
  if (header_bytes > value.size() || !unpacked.header.ParseFromArray(value.data(), static_cast<int>(header_bytes))) {
    return absl::DataLossError("packed rows: the header is damaged");
  }
  value.remove_prefix(header_bytes);
  if (unpacked.header.rows() == 0) {
    if (!value.empty()) return absl::DataLossError("packed rows: rows behind a header that says there are none");
    return unpacked;
  }
  if (unpacked.header.schema_hash() != SchemaHash(*schema)) {
    return absl::FailedPreconditionError(absl::StrCat("packed rows of another schema than [", schema->ToString(),
                                                      "]: they were written by another topology"));
  }
  TM_ASSIGN_OR_RETURN(unpacked.rows, ReadMessage(value, schema));
  if (unpacked.rows->num_rows() != unpacked.header.rows()) {
    return absl::DataLossError(
        absl::StrCat("packed rows: ", unpacked.rows->num_rows(), " rows, the header says ", unpacked.header.rows()));
  }
  return unpacked;
}

// A counting sort of row numbers by target, one gather, and slices of its result.
std::vector<Batch> SplitByTarget(const Batch& rows, const std::vector<int32_t>& targets, int32_t count) {
  std::vector<Batch> split(static_cast<size_t>(count));
  if (rows == nullptr || targets.empty()) return split;
  std::vector<int64_t> ends(static_cast<size_t>(count) + 1, 0);  // of target t - 1: ends[t]
  for (const int32_t target : targets) ++ends[static_cast<size_t>(target) + 1];
  if (ends[static_cast<size_t>(targets[0]) + 1] == static_cast<int64_t>(targets.size())) {
    split[static_cast<size_t>(targets[0])] = rows;
    return split;
  }
  for (size_t t = 1; t < ends.size(); ++t) ends[t] += ends[t - 1];
  std::vector<int64_t> next(ends.begin(), ends.end() - 1);
  std::vector<int32_t> order(targets.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    order[static_cast<size_t>(next[static_cast<size_t>(targets[i])]++)] = static_cast<int32_t>(i);
  }
  const Batch sorted = TakeRows(rows, order);
  for (size_t t = 0; t < split.size(); ++t) {
    if (ends[t + 1] > ends[t]) split[t] = sorted->Slice(ends[t], ends[t + 1] - ends[t]);
  }
  return split;
}

}  // namespace tidemark
