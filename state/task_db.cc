#include "state/task_db.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>

#include "src/base/failpoint.h"
#include "state/task_db_failpoints.h"

namespace tidemark {
namespace {

constexpr size_t kMinWriteBuffer = 64 << 10;  // RocksDB's own bound
constexpr size_t kMaxArenaBlock = 256 << 10;  // a task that writes little takes little memory
constexpr int kFlushesACompaction = 8;        // where compactions don't run by themselves

constexpr uint64_t kMinBlob = 1 << 10;

class SilentLogger : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::BlockBasedTableOptions TableOptions(const DbResources& resources) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = resources.cache;
  table.block_size = 4 << 10;  // values are packed; a larger one has a block of its own
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;  // inside the memory budget too
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;
  return table;
}

rocksdb::Options DbOptions(const DbResources& resources) {
  rocksdb::Options options;
  options.env = resources.env.get();
  options.create_if_missing = true;
  options.compression = rocksdb::kLZ4Compression;
  // Packed values lie in files of their own, so that compaction moves keys only; what packs them has made them small.
  options.enable_blob_files = true;
  options.min_blob_size = kMinBlob;
  options.enable_blob_garbage_collection = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(TableOptions(resources)));
  options.write_buffer_manager = resources.write_buffers;
  // Twice the bound at which Write starts a flush, so that a batch rarely meets a full buffer.
  options.write_buffer_size = std::max(kMinWriteBuffer, static_cast<size_t>(2 * resources.flush_bytes));
  options.arena_block_size = std::min(kMaxArenaBlock, options.write_buffer_size / 8);
  options.max_write_buffer_number = 4;
  options.max_background_jobs = 2;  // of the process: RocksDB's thread pools are shared
  options.allow_concurrent_memtable_write = false;
  options.avoid_flush_during_shutdown = true;  // ~TaskDb flushes, and a crash must not
  options.keep_log_file_num = 2;
  options.max_manifest_file_size = 4 << 20;
  // RocksDB's own LOG file would end the process on a full disk: Debian's build asserts that it can be written.
  options.info_log = std::make_shared<SilentLogger>();
  if (resources.deterministic) {
    options.disable_auto_compactions = true;  // StartFlush compacts instead
    options.level0_slowdown_writes_trigger = options.level0_stop_writes_trigger = 1 << 20;
  }
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  if (FailpointsArmed()) InstallFailpoints(&options);
  return options;
}

}  // namespace

absl::Status FromRocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(std::string(what), ": ", status.ToString());
  if (status.IsNoSpace()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(message, "; free disk space and start again: the changelog holds what is missing"));
  }
  if (status.IsMemoryLimit()) return absl::ResourceExhaustedError(message);
  if (status.IsCorruption()) {
    return absl::DataLossError(absl::StrCat(message, "; delete the folder to have it restored from the changelog"));
  }
  // A disk that gives out, or a folder that went away: the changelog has it all, and another start restores it.
  if (status.IsIOError() || status.IsPathNotFound()) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

absl::StatusOr<std::unique_ptr<TaskDb>> TaskDb::Open(const std::string& path, const DbResources& resources) {
  std::unique_ptr<TaskDb> db(new TaskDb(path, resources));
  const absl::Status status = db->OpenFiles();
  if (!status.ok()) return status;
  return db;
}

absl::Status TaskDb::OpenFiles() {
  rocksdb::DB* db = nullptr;
  const absl::Status status =
      FromRocks(rocksdb::DB::Open(DbOptions(resources_), path_, &db), absl::StrCat("opening the state in ", path_));
  db_.reset(db);
  return status;
}

// A failing flush loses nothing that the changelog doesn't hold: the next start reads more of it. Where the folder has
// gone, or the disk, it isn't even tried: RocksDB takes a second to give up.
TaskDb::~TaskDb() {
  if (db_ == nullptr) return;
  if (resources_.files->FileExists(absl::StrCat(path_, "/CURRENT"), rocksdb::IOOptions(), nullptr).ok()) {
    Flush().IgnoreError();
  }
  db_->Close().PermitUncheckedError();
}

absl::StatusOr<std::optional<std::string>> TaskDb::Get(std::string_view key) {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return FromRocks(status, absl::StrCat("reading the state in ", path_));
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<bool> TaskDb::Read(std::string_view key, absl::FunctionRef<void(std::string_view value)> visit) {
  rocksdb::PinnableSlice value;
  rocksdb::ReadOptions options;
  options.verify_checksums =
      false;  // of a whole block or blob, and without the processor's help: half of a read's cost
  const rocksdb::Status status = db_->Get(options, db_->DefaultColumnFamily(), ToSlice(key), &value);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return FromRocks(status, absl::StrCat("reading the state in ", path_));
  visit(ToView(value));
  return true;
}

std::unique_ptr<rocksdb::Iterator> TaskDb::NewIterator(const rocksdb::Slice* upper_bound, bool fill_cache) {
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = upper_bound;
  options.fill_cache = fill_cache;
  return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(options));
}

absl::Status TaskDb::Write(rocksdb::WriteBatch* batch) {
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  const absl::Status status = FromRocks(db_->Write(options, batch), absl::StrCat("writing the state in ", path_));
  if (!status.ok()) return status;
  unflushed_bytes_ += static_cast<int64_t>(batch->GetDataSize());
  if (unflushed_bytes_ >= resources_.flush_bytes) StartFlush();
  return absl::OkStatus();
}

// The batch is written, so an error isn't one of Write: a flush that fails stops the database, and the next Write says
// why.
void TaskDb::StartFlush() {
  unflushed_bytes_ = 0;
  rocksdb::FlushOptions flush;
  flush.wait = resources_.deterministic;
  flush.allow_write_stall = true;  // start it now, rather than wait until it can't stall a write
  db_->Flush(flush).PermitUncheckedError();
  if (resources_.deterministic && ++flushes_ % kFlushesACompaction == 0) {
    db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr).PermitUncheckedError();
  }
}

absl::Status TaskDb::Flush() {
  unflushed_bytes_ = 0;
  return FromRocks(db_->Flush(rocksdb::FlushOptions()), absl::StrCat("flushing the state in ", path_));
}

absl::Status TaskDb::Destroy(const std::string& path, const DbResources& resources) {
  // Without CURRENT there is no database, whatever files are left; so it goes first, and durably.
  const rocksdb::IOOptions io;
  rocksdb::Status status = resources.files->DeleteFile(absl::StrCat(path, "/CURRENT"), io, nullptr);
  if (status.IsNotFound() || status.IsPathNotFound()) status = rocksdb::Status::OK();
  std::unique_ptr<rocksdb::FSDirectory> directory;
  if (status.ok()) status = resources.files->NewDirectory(path, io, &directory, nullptr);
  if (status.ok()) status = directory->Fsync(io, nullptr);
  if (status.ok()) status = rocksdb::DestroyDB(path, DbOptions(resources));
  return FromRocks(status, absl::StrCat("clearing the state in ", path));
}

absl::Status TaskDb::Clear() {
  db_->Close().PermitUncheckedError();
  db_.reset();
  unflushed_bytes_ = 0;
  const absl::Status cleared = Destroy(path_, resources_);
  const absl::Status reopened = OpenFiles();
  return cleared.ok() ? reopened : cleared;
}

int64_t TaskDb::LiveBytes() const {
  uint64_t files = 0;
  uint64_t buffers = 0;
  db_->GetIntProperty(rocksdb::DB::Properties::kEstimateLiveDataSize, &files);
  db_->GetIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &buffers);
  return static_cast<int64_t>(files + buffers);
}

}  // namespace tidemark
