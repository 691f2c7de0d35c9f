#include "operators/sinks/parquet/sink.h"

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <glog/logging.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "operators/sinks/parquet/changes.h"
#include "operators/sinks/parquet/folders.h"
#include "src/base/failpoint.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/codec/json/value_writer.h"
#include "src/storage/backends.h"

namespace tidemark {
namespace {

constexpr int64_t kRowGroupBytes = 16 << 20;  // in memory; a quarter or less of that on disk
constexpr int64_t kBufferBytes = 32 << 20;    // of all folders; beyond it the largest is written as a row group
constexpr int64_t kBatchOverhead = 1 << 10;   // what a batch costs beside its values

// parquet:: reports some errors by exception.
template <typename F>
absl::Status Guarded(std::string_view what, F f) {
  try {
    return StreamStatus(f(), what);
  } catch (const std::exception& e) {
    return absl::UnavailableError(absl::StrCat(std::string(what), ": ", e.what()));
  }
}

std::shared_ptr<parquet::WriterProperties> Properties() {
  static const auto properties = parquet::WriterProperties::Builder()
                                     .version(parquet::ParquetVersion::PARQUET_2_6)
                                     ->compression(parquet::Compression::ZSTD)
                                     ->created_by("tidemark")
                                     ->build();
  return properties;
}

// The file of one folder within a cut. It is opened with its first row group.
struct OpenFile {
  std::string folder;
  std::string staged;
  std::shared_ptr<arrow::io::OutputStream> stream;
  std::unique_ptr<parquet::arrow::FileWriter> writer;
  std::vector<Batch> buffered;
  int64_t buffered_bytes = 0;
  int64_t rows = 0;           // written and buffered
  int64_t written_bytes = 0;  // in the file

  int64_t ExpectedBytes(double ratio) const { return written_bytes + static_cast<int64_t>(buffered_bytes * ratio); }
};

class ParquetSinkImpl final : public ParquetSink {
 public:
  ParquetSinkImpl(ParquetSinkOptions options, HiveFolders folders, ObjectStore* lake);
  ~ParquetSinkImpl() override { Abandon(); }

  absl::Status Recover(const packed::Manifest* committed, const StillOwned& owned) override;
  absl::Status Add(const Batch& rows, int64_t first_offset, int64_t next_offset, int64_t now_us,
                   std::vector<SinkRowFailure>* failures) override;
  bool ShouldCut(int64_t now_us) const override;
  int64_t CutDueUs() const override;
  absl::Status Publish(const packed::Manifest& manifest) override;
  absl::Status Spill() override;
  int64_t rows() const override { return rows_; }
  int64_t buffered_bytes() const override { return buffered_bytes_; }
  size_t open_files() const override { return open_files_; }

 protected:
  absl::StatusOr<packed::Manifest> Stage() override;

 private:
  absl::Status Gather(const Batch& given, int64_t first_offset, int64_t next_offset, int64_t now_us,
                      std::vector<SinkRowFailure>* failures);
  absl::Status Move(const packed::Manifest& manifest, bool first_time);
  OpenFile& Largest();
  void Abandon();
  std::string StagedPrefix() const;
  std::string FinalName(const OpenFile& file) const;
  void Buffer(int32_t folder, Batch rows);
  absl::Status WriteRowGroup(OpenFile& file);
  absl::Status Finish(OpenFile& file, packed::ManifestFile* entry);
  void Reset();

  const ParquetSinkOptions options_;
  const Schema lake_schema_;  // of the rows: the step's, and what is told of changes
  const std::string name_;    // "<sink>-<identity>-<partition>", in every file's name
  ObjectStore* const lake_;
  HiveFolders folders_;
  std::vector<int> columns_;  // of lake_schema_, that the files hold
  std::shared_ptr<arrow::Schema> file_schema_;

  ChangeRows changes_;           // of an update step
  std::vector<OpenFile> files_;  // as folders_.folders()
  int64_t staged_count_ = 0;
  size_t open_files_ = 0;
  int64_t rows_ = 0;
  int64_t buffered_bytes_ = 0;
  int64_t first_offset_ = -1, next_offset_ = -1;  // since the last cut; -1: nothing was ever added
  int64_t oldest_us_ = kMaxTime.us;               // wall time of the first row
  // Bytes in the file for a byte in memory, as the last files showed it: max_bytes is about files.
  double ratio_ = 1;
  absl::Status failed_;  // the first error of a call that wrote: nothing of this cut can be trusted any more
};

ParquetSinkImpl::ParquetSinkImpl(ParquetSinkOptions options, HiveFolders folders, ObjectStore* lake)
    : options_(std::move(options)),
      lake_schema_(LakeSchema(options_.schema, options_.spec.changes)),
      name_(absl::StrCat(EscapeHive(options_.sink), "-", absl::BytesToHexString(options_.identity.substr(0, 4)), "-",
                         options_.partition)),
      lake_(lake),
      folders_(std::move(folders)),
      changes_(options_.schema.size()) {
  arrow::FieldVector fields;
  for (size_t i = 0; i < lake_schema_.size(); ++i) {
    const auto& in_names = folders_.columns_in_names();
    if (std::find(in_names.begin(), in_names.end(), i) != in_names.end()) continue;
    const Column& column = lake_schema_[i];
    columns_.push_back(static_cast<int>(i));
    fields.push_back(arrow::field(column.name, ArrowType(column.type), column.nullable));
  }
  file_schema_ = arrow::schema(std::move(fields));
}

std::string ParquetSinkImpl::StagedPrefix() const { return absl::StrCat(name_, "-"); }

std::string ParquetSinkImpl::FinalName(const OpenFile& file) const {
  return absl::StrCat(file.folder, file.folder.empty() ? "" : "/", name_, "-", first_offset_, "-", next_offset_ - 1,
                      ".parquet");
}

absl::Status ParquetSinkImpl::Recover(const packed::Manifest* committed, const StillOwned& owned) {
  std::set<std::string> decided;
  if (committed != nullptr) {
    if (committed->sink() != options_.sink || committed->partition() != options_.partition) {
      return absl::InternalError(absl::StrCat("sink ", options_.sink, " partition ", options_.partition,
                                              ": a manifest of ", committed->sink(), " partition ",
                                              committed->partition()));
    }
    TM_RETURN_IF_ERROR(Move(*committed, /*first_time=*/false));
    for (const packed::ManifestFile& file : committed->files()) decided.insert(file.staged());
  }
  TM_ASSIGN_OR_RETURN(const std::vector<std::string> stages, lake_->List(kStagingFolder, StagedPrefix()));
  for (const std::string& stage : stages) {
    if (decided.contains(stage)) {
      return absl::UnavailableError(absl::StrCat(stage, " was moved or missed, and is listed all the same"));
    }
  }
  if (!stages.empty() && owned != nullptr) TM_RETURN_IF_ERROR(owned());
  for (const std::string& stage : stages) TM_RETURN_IF_ERROR(lake_->Delete(stage));
  return absl::OkStatus();
}

absl::Status ParquetSinkImpl::Add(const Batch& rows, int64_t first_offset, int64_t next_offset, int64_t now_us,
                                  std::vector<SinkRowFailure>* failures) {
  if (failed_.ok()) failed_ = Gather(rows, first_offset, next_offset, now_us, failures);
  return failed_;
}

absl::Status ParquetSinkImpl::Spill() {
  if (failed_.ok() && buffered_bytes_ > 0) failed_ = WriteRowGroup(Largest());
  return failed_;
}

absl::Status ParquetSinkImpl::Gather(const Batch& given, int64_t first_offset, int64_t next_offset, int64_t now_us,
                                     std::vector<SinkRowFailure>* failures) {
  if (first_offset < next_offset_ || next_offset < first_offset) {
    return absl::InternalError(
        absl::StrCat("sink ", options_.sink, ": offsets ", first_offset, " to ", next_offset, " after ", next_offset_));
  }
  if (first_offset_ < 0) first_offset_ = first_offset;
  next_offset_ = next_offset;
  if (given == nullptr || given->num_rows() == 0) return absl::OkStatus();
  const Batch rows = options_.spec.changes ? changes_.AsRows(*given, options_.partition, first_offset) : given;

  std::vector<int32_t> folder_of_row;
  std::vector<RowError> errors;
  TM_RETURN_IF_ERROR(folders_.Assign(*rows, &folder_of_row, &errors));
  for (const RowError& error : errors) {
    failures->push_back({RowToJson(lake_schema_, *rows, error.row), error.message});
  }
  while (files_.size() < folders_.folders().size()) {
    const std::string& folder = folders_.folders()[files_.size()];
    files_.emplace_back().folder = folder;
  }

  const Batch visible = FromArrow(rows->SelectColumns(columns_), "selecting columns").value();
  const bool one_folder = std::all_of(folder_of_row.begin(), folder_of_row.end(),
                                      [&](int32_t folder) { return folder == folder_of_row[0]; });
  if (one_folder) {
    if (folder_of_row[0] >= 0) Buffer(folder_of_row[0], visible);
  } else {
    std::vector<std::vector<int32_t>> rows_of(files_.size());
    for (size_t row = 0; row < folder_of_row.size(); ++row) {
      if (folder_of_row[row] >= 0) rows_of[folder_of_row[row]].push_back(static_cast<int32_t>(row));
    }
    for (size_t folder = 0; folder < rows_of.size(); ++folder) {
      if (!rows_of[folder].empty()) Buffer(static_cast<int32_t>(folder), TakeRows(visible, rows_of[folder]));
    }
  }
  if (rows_ > 0) oldest_us_ = std::min(oldest_us_, now_us);

  for (OpenFile& file : files_) {
    if (file.buffered_bytes >= kRowGroupBytes) TM_RETURN_IF_ERROR(WriteRowGroup(file));
  }
  while (buffered_bytes_ > kBufferBytes) TM_RETURN_IF_ERROR(WriteRowGroup(Largest()));
  return absl::OkStatus();
}

OpenFile& ParquetSinkImpl::Largest() {
  return *std::max_element(files_.begin(), files_.end(),
                           [](const auto& a, const auto& b) { return a.buffered_bytes < b.buffered_bytes; });
}

void ParquetSinkImpl::Buffer(int32_t folder, Batch rows) {
  OpenFile& file = files_[folder];
  const int64_t bytes = BatchBytes(*rows) + kBatchOverhead;
  file.rows += rows->num_rows();
  rows_ += rows->num_rows();
  file.buffered_bytes += bytes;
  buffered_bytes_ += bytes;
  file.buffered.push_back(std::move(rows));
}

absl::Status ParquetSinkImpl::WriteRowGroup(OpenFile& file) {
  if (file.writer == nullptr) {
    file.staged =
        absl::StrFormat("%s/%s%016x-%d.tmp", kStagingFolder, StagedPrefix(), options_.attempt, staged_count_++);
    TM_ASSIGN_OR_RETURN(file.stream, lake_->Create(file.staged));
    ++open_files_;
    TM_RETURN_IF_ERROR(Guarded(file.staged, [&]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(file.writer, parquet::arrow::FileWriter::Open(*file_schema_, arrow::default_memory_pool(),
                                                                          file.stream, Properties()));
      return arrow::Status::OK();
    }));
  }
  arrow::RecordBatchVector batches = std::move(file.buffered);
  file.buffered.clear();
  buffered_bytes_ -= file.buffered_bytes;
  const int64_t memory_bytes = std::exchange(file.buffered_bytes, 0), before = file.written_bytes;
  TM_RETURN_IF_ERROR(Guarded(file.staged, [&]() -> arrow::Status {
    for (Batch& batch : batches) {  // nullability is the schema's, not the batch's
      batch = arrow::RecordBatch::Make(file_schema_, batch->num_rows(), batch->columns());
    }
    ARROW_ASSIGN_OR_RAISE(const auto table, arrow::Table::FromRecordBatches(file_schema_, batches));
    ARROW_RETURN_NOT_OK(file.writer->WriteTable(*table, std::max<int64_t>(1, table->num_rows())));
    return file.stream->Tell().Value(&file.written_bytes);
  }));
  if (memory_bytes > 0) ratio_ = std::min(1.0, static_cast<double>(file.written_bytes - before) / memory_bytes);
  return absl::OkStatus();
}

bool ParquetSinkImpl::ShouldCut(int64_t now_us) const {
  if (rows_ == 0) return false;
  if (now_us >= CutDueUs() || open_files_ >= lake_->max_open_files()) return true;
  return std::any_of(files_.begin(), files_.end(),
                     [&](const OpenFile& file) { return file.ExpectedBytes(ratio_) >= options_.spec.max_bytes; });
}

int64_t ParquetSinkImpl::CutDueUs() const { return (EventTime{oldest_us_} + options_.spec.max_age_us).us; }

absl::StatusOr<packed::Manifest> ParquetSinkImpl::Stage() {
  if (!failed_.ok()) return failed_;
  packed::Manifest manifest;
  manifest.set_sink(options_.sink);
  manifest.set_identity(options_.identity);
  manifest.set_partition(options_.partition);
  manifest.set_first_offset(first_offset_ < 0 ? next_offset_ : first_offset_);
  manifest.set_next_offset(next_offset_);
  for (OpenFile& file : files_) {
    if (file.rows == 0) continue;
    failed_ = Finish(file, manifest.add_files());
    if (!failed_.ok() && MutationActive(Mutation::kCutAfterFailedWrite)) {
      manifest.mutable_files()->RemoveLast();
      failed_ = absl::OkStatus();
    }
    if (!failed_.ok()) return failed_;
  }
  Reset();
  TM_RETURN_IF_ERROR(Failpoint("sink_parquet.staged"));
  return manifest;
}

absl::Status ParquetSinkImpl::Finish(OpenFile& file, packed::ManifestFile* entry) {
  if (!file.buffered.empty()) TM_RETURN_IF_ERROR(WriteRowGroup(file));
  TM_RETURN_IF_ERROR(Guarded(file.staged, [&]() -> arrow::Status {
    ARROW_RETURN_NOT_OK(file.writer->Close());
    ARROW_RETURN_NOT_OK(file.stream->Tell().Value(&file.written_bytes));
    return file.stream->Close();
  }));
  TM_RETURN_IF_ERROR(lake_->Sync(file.staged));
  entry->set_staged(file.staged);
  entry->set_final(FinalName(file));
  entry->set_rows(file.rows);
  entry->set_bytes(file.written_bytes);
  return absl::OkStatus();
}

void ParquetSinkImpl::Reset() {
  files_.clear();
  folders_.Forget();
  open_files_ = 0;
  rows_ = buffered_bytes_ = 0;
  first_offset_ = -1;
  oldest_us_ = kMaxTime.us;
}

absl::Status ParquetSinkImpl::Publish(const packed::Manifest& manifest) { return Move(manifest, /*first_time=*/true); }

absl::Status ParquetSinkImpl::Move(const packed::Manifest& manifest, bool first_time) {
  for (const packed::ManifestFile& file : manifest.files()) {
    TM_RETURN_IF_ERROR(Failpoint("sink_parquet.publish.before"));
    const absl::Status moved = lake_->Move(file.staged(), file.final());
    if (absl::IsNotFound(moved)) {
      const std::string gone = absl::StrCat(std::string(moved.message()), ": the ", file.rows(), " rows of offsets ",
                                            manifest.first_offset(), " to ", manifest.next_offset() - 1);
      if (first_time) {
        return absl::FailedPreconditionError(absl::StrCat(
            gone, " are committed, and their file was deleted by somebody else before it got its final name"));
      }
      LOG(WARNING) << "sink " << options_.sink << ": " << gone << " are no longer in the lake";
    } else if (!moved.ok()) {
      return moved;
    }
    TM_RETURN_IF_ERROR(Failpoint("sink_parquet.publish.after_move"));
  }
  return absl::OkStatus();
}

// Errors don't matter: the next Recover finds what is left. After the first one the lake isn't asked any more, for it
// may take its time to say that it is away.
void ParquetSinkImpl::Abandon() {
  bool reachable = true;
  for (OpenFile& file : files_) {
    if (file.stream == nullptr) continue;
    if (reachable) reachable = file.stream->Abort().ok();
    (void)Guarded(file.staged, [&] {
      file.writer.reset();
      return arrow::Status::OK();
    });
    if (reachable) reachable = lake_->Delete(file.staged).ok();
  }
  Reset();
}

}  // namespace

absl::StatusOr<StagedCut> ParquetSink::Cut(std::unique_ptr<ParquetSink> sink) {
  TM_ASSIGN_OR_RETURN(packed::Manifest manifest, sink->Stage());
  return StagedCut(std::move(manifest), std::move(sink));
}

absl::StatusOr<std::unique_ptr<ParquetSink>> ParquetSink::Open(ParquetSinkOptions options, ObjectStore* lake) {
  if (options.mode.update && !options.spec.changes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "sink ", options.sink, ": its step updates rows, and Parquet files can't; use mode: changes, or another sink"));
  }
  if (options.identity.size() < 4) {
    return absl::InternalError(absl::StrCat("sink ", options.sink, ": a task identity of 16 bytes is needed"));
  }
  const Schema lake_schema = LakeSchema(options.schema, options.spec.changes);
  auto folders = HiveFolders::Compile(options.spec.partition_by, lake_schema);
  if (!folders.ok()) return Annotate(folders.status(), absl::StrCat("sink ", options.sink));
  return std::make_unique<ParquetSinkImpl>(std::move(options), *std::move(folders), lake);
}

}  // namespace tidemark
