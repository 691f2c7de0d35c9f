// Parquet files, a row at a time as the JSON object that says the same. Which values fit which columns is decided as
// for JSON: a number of any width is a number, and must fit.
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <arrow/array.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/interfaces.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/properties.h>

#include "src/base/schema.h"
#include "src/base/status.h"
#include "src/codec/column_text.h"
#include "src/landing/content.h"
#include "src/landing/file_records.h"

namespace tidemark {
namespace {

// The few Arrow types that all others of a file are brought to; null: there is no JSON for it here.
std::shared_ptr<arrow::DataType> ReadAs(const arrow::DataType& type) {
  const arrow::Type::type id = type.id();
  if (id == arrow::Type::NA) return arrow::null();
  if (id == arrow::Type::BOOL) return arrow::boolean();
  if (id == arrow::Type::UINT64) return arrow::decimal128(20, 0);
  if (arrow::is_integer(id)) return arrow::int64();
  if (arrow::is_floating(id)) return arrow::float64();
  if (id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING || id == arrow::Type::STRING_VIEW)
    return arrow::utf8();
  if (arrow::is_base_binary_like(id) || arrow::is_binary_view_like(id) || id == arrow::Type::FIXED_SIZE_BINARY)
    return arrow::binary();
  if (id == arrow::Type::DATE32 || id == arrow::Type::DATE64) return arrow::date32();
  if (id == arrow::Type::TIMESTAMP) {
    return arrow::timestamp(arrow::TimeUnit::MICRO, static_cast<const arrow::TimestampType&>(type).timezone());
  }
  if (id == arrow::Type::DECIMAL128) return type.GetSharedPtr();
  if (id == arrow::Type::DICTIONARY) return ReadAs(*static_cast<const arrow::DictionaryType&>(type).value_type());
  return nullptr;
}

// The file, and whether it could be read: the reader's errors don't tell that from what is wrong within it. The reader
// may ask on another thread.
class WatchedFile final : public arrow::io::RandomAccessFile {
 public:
  explicit WatchedFile(std::shared_ptr<arrow::io::RandomAccessFile> file) : file_(std::move(file)) {}

  bool failed() const { return failed_; }

  arrow::Result<int64_t> GetSize() override { return Note(file_->GetSize()); }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t bytes, void* out) override {
    ARROW_RETURN_NOT_OK(CheckRange(position, bytes));
    return Note(file_->ReadAt(position, bytes, out));
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t bytes) override {
    ARROW_RETURN_NOT_OK(CheckRange(position, bytes));
    return Note(file_->ReadAt(position, bytes));
  }
  arrow::Result<int64_t> Read(int64_t bytes, void* out) override { return Note(file_->Read(bytes, out)); }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override { return Note(file_->Read(bytes)); }
  arrow::Status Seek(int64_t position) override { return file_->Seek(position); }
  arrow::Result<int64_t> Tell() const override { return file_->Tell(); }
  arrow::Status Close() override { return file_->Close(); }
  bool closed() const override { return file_->closed(); }

 private:
  // A damaged file may name places that aren't there: asked for, they would look like a failure to read.
  arrow::Status CheckRange(int64_t position, int64_t bytes) {
    ARROW_ASSIGN_OR_RAISE(const int64_t size, GetSize());
    if (position >= 0 && bytes >= 0 && position <= size) return arrow::Status::OK();
    return arrow::Status::Invalid("it has no ", bytes, " bytes at ", position);
  }

  template <typename T>
  arrow::Result<T> Note(arrow::Result<T> result) {
    if (!result.ok()) failed_ = true;
    return result;
  }

  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  std::atomic<bool> failed_ = false;
};

class ParquetRecords final : public FileRecords {
 public:
  ParquetRecords(const SourcePlan& source, std::shared_ptr<arrow::io::RandomAccessFile> file, int64_t most_bytes)
      : source_(source),
        file_(std::make_shared<WatchedFile>(std::move(file))),
        counted_(arrow::default_memory_pool()),
        pool_(&counted_, most_bytes) {}

  absl::Status Begin() {
    static const arrow::Status initialized = arrow::compute::Initialize();
    TM_RETURN_IF_ERROR(FromArrow(initialized, "Arrow's kernels"));
    parquet::arrow::FileReaderBuilder builder;
    if (const arrow::Status opened = builder.Open(file_, parquet::ReaderProperties(&pool_)); !opened.ok()) {
      return WhyNot(opened);
    }
    auto built = builder.memory_pool(&pool_)->Build();
    if (!built.ok()) return WhyNot(built.status());
    reader_ = *std::move(built);
    reader_->set_use_threads(false);
    std::shared_ptr<arrow::Schema> schema;
    if (const arrow::Status status = reader_->GetSchema(&schema); !status.ok()) return WhyNot(status);
    std::vector<int> leaves;
    for (const SourceColumn& column : source_.columns) {
      if (column.from != SourceColumn::From::kValue) continue;
      const std::string& name = column.path.front();
      const int at = schema->GetFieldIndex(name);
      if (at < 0) {
        if (column.column.nullable || column.default_value) continue;
        return absl::InvalidArgumentError(
            absl::StrCat("the file has no column '", name, "', or has it twice, and it can't be missing"));
      }
      auto as = ReadAs(*schema->field(at)->type());
      if (as == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat("column '", name, "' is ", schema->field(at)->type()->ToString(),
                                                       ", which isn't read from Parquet files yet"));
      }
      if (!column.timestamp_format.empty() && arrow::is_temporal(as->id())) {
        return absl::InvalidArgumentError(absl::StrCat("column '", name, "' is ", schema->field(at)->type()->ToString(),
                                                       ", and the topology has a timestamp_format for it, which is for "
                                                       "texts: Parquet files want a source of their own"));
      }
      std::string key;
      TextBuffer buffer(&key);
      WriteJsonString(name, &buffer);
      key.resize(buffer.size());
      columns_.push_back({name, std::move(as), column.column.type, key + ":"});
    }
    return NextGroup();
  }

  absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) override {
    for (int64_t taken = 0; taken < bytes;) {
      if (batch_ == nullptr || row_ == batch_->num_rows()) {
        TM_ASSIGN_OR_RETURN(const bool more, NextBatch());
        if (more) continue;
        // Behind its last row: then a file that was changed under its reader shows by its hash, as of other forms.
        TM_ASSIGN_OR_RETURN(hash_, HashOfFile(*file_));
        return false;
      }
      FileRecord record{++number_, ToJson(row_++), ""};
      taken += static_cast<int64_t>(record.value.size());
      out->push_back(std::move(record));
    }
    return true;
  }
  std::string hash() const override { return hash_; }

 private:
  struct Column {
    std::string name;
    std::shared_ptr<arrow::DataType> as;
    Type type;        // as it is declared
    std::string key;  // "name":
  };

  // What is wrong with the file stays so, a disk or a network that fails doesn't.
  absl::Status WhyNot(const arrow::Status& status) const {
    if (status.IsOutOfMemory()) return absl::ResourceExhaustedError("read at once it takes too much memory");
    return file_->failed() ? absl::UnavailableError(status.message()) : absl::InvalidArgumentError(status.message());
  }

  absl::Status NextGroup() {
    batches_.reset();
    if (group_ == reader_->num_row_groups()) return absl::OkStatus();
    auto batches = reader_->GetRecordBatchReader(std::vector<int>{group_++});
    if (!batches.ok()) return WhyNot(batches.status());
    batches_ = *std::move(batches);
    return absl::OkStatus();
  }

  absl::StatusOr<bool> NextBatch() {
    while (batches_ != nullptr) {
      const auto next = batches_->Next();
      if (!next.ok()) return WhyNot(next.status());
      if (*next == nullptr) {
        TM_RETURN_IF_ERROR(NextGroup());
        continue;
      }
      batch_ = *next;
      row_ = 0;
      arrays_.clear();
      for (const Column& column : columns_) {
        arrow::compute::CastOptions options = arrow::compute::CastOptions::Safe(column.as);
        options.allow_time_truncate = true;  // nanoseconds, as in JSON
        const auto cast = arrow::compute::Cast(*batch_->GetColumnByName(column.name), column.as, options);
        if (!cast.ok()) {
          return absl::InvalidArgumentError(
              absl::StrCat("row ", number_ + 1, ": column ", column.name, ": ", cast.status().message()));
        }
        arrays_.push_back(*cast);
      }
      return true;
    }
    return false;
  }

  std::string ToJson(int64_t row) {
    TextBuffer out(&json_);
    out.Append("{");
    bool first = true;
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (arrays_[c]->IsNull(row)) continue;
      if (!first) out.Append(",");
      first = false;
      out.Append(columns_[c].key);
      AppendValue(*arrays_[c], row, columns_[c].type, &out);
    }
    out.Append("}");
    return std::string(out.View(0, out.size()));
  }

  static void AppendValue(const arrow::Array& array, int64_t row, const Type& declared, TextBuffer* out) {
    switch (array.type_id()) {
      case arrow::Type::DECIMAL128:
        return out->Append(static_cast<const arrow::Decimal128Array&>(array).FormatValue(row));
      case arrow::Type::BINARY: {
        const std::string_view bytes = static_cast<const arrow::BinaryArray&>(array).GetView(row);
        if (declared.kind != Kind::kBytes) return WriteJsonString(bytes, out);
        return WriteJsonString(absl::Base64Escape(absl::string_view(bytes.data(), bytes.size())), out);
      }
      case arrow::Type::TIMESTAMP: {
        const int64_t us = static_cast<const arrow::TimestampArray&>(array).Value(row);
        const TimestampForm form = declared.kind == Kind::kTimestamp ? declared.form : TimestampForm::kRfc3339;
        const std::string text = TimestampText(us, form);
        return form == TimestampForm::kRfc3339 ? WriteJsonString(text, out) : out->Append(text);
      }
      default:
        break;
    }
    const Kind kind = array.type_id() == arrow::Type::BOOL     ? Kind::kBool
                      : array.type_id() == arrow::Type::INT64  ? Kind::kInt64
                      : array.type_id() == arrow::Type::DOUBLE ? Kind::kDouble
                      : array.type_id() == arrow::Type::DATE32 ? Kind::kDate
                                                               : Kind::kString;
    WriteJsonValue(ViewColumn({.kind = kind}, *array.data()), row, out);
  }

  const SourcePlan& source_;
  const std::shared_ptr<WatchedFile> file_;
  // What little there is on disk may claim any size: memory is counted, and ends. Before what is allocated from it.
  arrow::ProxyMemoryPool counted_;
  arrow::CappedMemoryPool pool_;
  std::string hash_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::vector<Column> columns_;
  int group_ = 0;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  arrow::ArrayVector arrays_;  // of the columns, in it
  int64_t row_ = 0, number_ = 0;
  std::string json_;  // scratch
};

}  // namespace

absl::StatusOr<std::unique_ptr<FileRecords>> NewParquetRecords(const SourcePlan& source,
                                                               std::shared_ptr<arrow::io::RandomAccessFile> file,
                                                               int64_t most_bytes) {
  auto records = std::make_unique<ParquetRecords>(source, std::move(file), most_bytes);
  TM_RETURN_IF_ERROR(records->Begin());
  return std::unique_ptr<FileRecords>(std::move(records));
}

}  // namespace tidemark
