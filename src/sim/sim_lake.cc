#include "src/sim/sim_lake.h"

#include <cerrno>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/io/interfaces.h>
#include <arrow/io/memory.h>
#include <arrow/result.h>
#include <arrow/table.h>
#include <arrow/util/io_util.h>
#include <parquet/arrow/reader.h>

#include "src/base/status.h"
#include "src/codec/json/value_writer.h"

namespace tidemark::sim {

// Fails like a file or an upload: a write may be taken by half, and the close may be what tells.
class SimLake::Stream final : public arrow::io::OutputStream {
 public:
  Stream(SimLake* lake, std::shared_ptr<const bool> dead, std::shared_ptr<arrow::io::OutputStream> inner)
      : lake_(lake), dead_(std::move(dead)), inner_(std::move(inner)) {}
  // Arrow's own streams close themselves; a process that dies doesn't.
  ~Stream() override = default;

  arrow::Status Write(const void* data, int64_t size) override {
    if (*dead_) return Away();
    if (lake_->outside_.FailsBefore()) {
      ARROW_RETURN_NOT_OK(inner_->Write(data, size / 2));
      return size % 3 == 0 ? Full() : Away();
    }
    ARROW_RETURN_NOT_OK(inner_->Write(data, size));
    return lake_->outside_.FailsAfter() ? Away() : arrow::Status::OK();
  }
  using arrow::io::OutputStream::Write;
  arrow::Result<int64_t> Tell() const override {
    if (closed()) return arrow::Status::Invalid("Operation on closed stream");
    return inner_->Tell();
  }
  // As of Arrow's streams: closed afterwards, whether it went well or not.
  arrow::Status Close() override {
    if (closed()) return arrow::Status::OK();
    const bool fails = *dead_ || lake_->outside_.FailsBefore();
    ARROW_RETURN_NOT_OK(inner_->Close());
    return fails ? Away() : arrow::Status::OK();
  }
  arrow::Status Abort() override { return inner_->Close(); }
  bool closed() const override { return inner_->closed(); }

 private:
  static arrow::Status Full() { return arrow::internal::IOErrorFromErrno(ENOSPC, "writing"); }
  static arrow::Status Away() { return arrow::internal::IOErrorFromErrno(EIO, "writing"); }

  SimLake* const lake_;
  const std::shared_ptr<const bool> dead_;
  const std::shared_ptr<arrow::io::OutputStream> inner_;
};

class SimLake::Session final : public ObjectStore {
 public:
  Session(SimLake* lake, std::shared_ptr<const bool> dead) : lake_(lake), dead_(std::move(dead)) {}

  std::string_view path() const override { return "simulated"; }
  size_t max_open_files() const override { return lake_->there().max_open_files(); }

  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) override {
    if (IsFinal(name)) lake_->Forbid("written in place", name);
    TM_RETURN_IF_ERROR(Before("creating", name));
    TM_ASSIGN_OR_RETURN(auto inner, lake_->there().Create(name));
    TM_RETURN_IF_ERROR(After("creating", name));
    return std::make_shared<Stream>(lake_, dead_, std::move(inner));
  }
  absl::Status Sync(const std::string& name) override {
    return Call("syncing", name, [&] { return lake_->there().Sync(name); });
  }
  absl::Status Move(const std::string& from, const std::string& to) override {
    return Call("moving", from, [&] { return lake_->there().Move(from, to); });
  }
  absl::StatusOr<bool> Exists(const std::string& name) override {
    TM_RETURN_IF_ERROR(Before("looking at", name));
    return lake_->there().Exists(name);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) override {
    TM_RETURN_IF_ERROR(Before("listing", folder));
    return lake_->there().List(folder, prefix);
  }
  absl::Status Delete(const std::string& name) override {
    if (IsFinal(name)) lake_->Forbid("deleted", name);
    return Call("deleting", name, [&] { return lake_->there().Delete(name); });
  }

 private:
  template <typename Effect>
  absl::Status Call(const char* what, const std::string& name, Effect effect) {
    TM_RETURN_IF_ERROR(Before(what, name));
    TM_RETURN_IF_ERROR(effect());
    return After(what, name);
  }
  absl::Status Before(const char* what, const std::string& name) {
    if (!*dead_ && !lake_->outside_.FailsBefore()) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(what, " ", name, ": the lake is away"));
  }
  absl::Status After(const char* what, const std::string& name) {
    if (!lake_->outside_.FailsAfter()) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(what, " ", name, ": the answer was lost"));
  }

  SimLake* const lake_;
  const std::shared_ptr<const bool> dead_;
};

std::unique_ptr<ObjectStore> SimLake::NewSession(std::shared_ptr<const bool> dead) {
  return std::make_unique<Session>(this, std::move(dead));
}

void SimLake::Unmount(int64_t us) {
  if (Published().empty()) return;
  bare_.push_back(std::make_unique<MemoryObjectStore>());
  unmounted_until_us_ = clock_->MonotonicUs() + us;
}

void SimLake::Heal() {
  unmounted_until_us_ = 0;
  outside_.Heal();
}

MemoryObjectStore& SimLake::there() { return clock_->MonotonicUs() < unmounted_until_us_ ? *bare_.back() : files_; }

bool SimLake::IsFinal(const std::string& name) { return absl::EndsWith(name, ".parquet"); }

void SimLake::Forbid(const std::string& what, const std::string& name) {
  verdict_.Update(absl::DataLossError(absl::StrCat("lake: the published name ", name, " is ", what)));
}

std::map<std::string, std::string> SimLake::Published() const {
  std::map<std::string, std::string> published = files_.Files();
  std::erase_if(published, [](const auto& file) { return !IsFinal(file.first); });
  return published;
}

absl::StatusOr<std::vector<std::string>> RowsOfParquet(const std::map<std::string, std::string>& files,
                                                       const Schema& schema) {
  std::vector<std::string> rows;
  for (const auto& [name, bytes] : files) {
    const auto read = [&]() -> arrow::Status {
      const auto input = std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(bytes));
      ARROW_ASSIGN_OR_RAISE(const auto reader, parquet::arrow::OpenFile(input, arrow::default_memory_pool()));
      ARROW_ASSIGN_OR_RAISE(const auto table, reader->ReadTable());
      ARROW_ASSIGN_OR_RAISE(const auto batch, table->CombineChunksToBatch());
      for (int64_t row = 0; row < batch->num_rows(); ++row) rows.push_back(RowToJson(schema, *batch, row));
      return arrow::Status::OK();
    }();
    if (!read.ok()) return absl::DataLossError(absl::StrCat("lake: ", name, " can't be read: ", read.ToString()));
  }
  return rows;
}

}  // namespace tidemark::sim
