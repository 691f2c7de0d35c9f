#include "src/storage/memory_store.h"

#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/status.h>

#include "src/base/status.h"

namespace tidemark {

// A stream whose lake must outlive it.
class MemoryStoreStream final : public arrow::io::OutputStream {
 public:
  MemoryStoreStream(MemoryObjectStore* lake, std::string name, std::shared_ptr<MemoryObjectStore::File> file)
      : lake_(lake), name_(std::move(name)), file_(std::move(file)) {}
  ~MemoryStoreStream() override = default;

  arrow::Status Write(const void* data, int64_t size) override {
    ARROW_RETURN_NOT_OK(ToArrow(lake_->Before(MemoryObjectStore::Call::kWrite, name_)));
    file_->bytes.append(static_cast<const char*>(data), size);
    return ToArrow(lake_->After(MemoryObjectStore::Call::kWrite, name_));
  }
  using arrow::io::OutputStream::Write;
  arrow::Result<int64_t> Tell() const override {
    if (closed_) return arrow::Status::Invalid("the stream is closed");
    return static_cast<int64_t>(file_->bytes.size());
  }
  arrow::Status Close() override {
    if (closed_) return arrow::Status::OK();
    closed_ = true;
    ARROW_RETURN_NOT_OK(ToArrow(lake_->Before(MemoryObjectStore::Call::kClose, name_)));
    return ToArrow(lake_->After(MemoryObjectStore::Call::kClose, name_));
  }
  arrow::Status Abort() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }

 private:
  static arrow::Status ToArrow(const absl::Status& status) {
    return status.ok() ? arrow::Status::OK() : arrow::Status::IOError(std::string(status.message()));
  }

  MemoryObjectStore* const lake_;
  const std::string name_;
  const std::shared_ptr<MemoryObjectStore::File> file_;
  bool closed_ = false;
};

// Names that live on get a fresh File, so that a stream from before the crash has nothing to write to any more.
void MemoryObjectStore::Crash() {
  std::map<std::string, std::shared_ptr<File>> survivors;
  for (const auto& [name, file] : files_) {
    if (!file->durable_name) continue;
    survivors[name] =
        std::make_shared<File>(File{file->bytes.substr(0, file->durable_bytes), file->durable_bytes, true});
  }
  files_ = std::move(survivors);
  failure_ = absl::OkStatus();
}

void MemoryObjectStore::Fail(int64_t calls, absl::Status status) {
  calls_left_ = calls;
  failure_ = std::move(status);
}

absl::Status MemoryObjectStore::Before(Call call, const std::string& name) {
  if (faults_) TM_RETURN_IF_ERROR(faults_(call, name, /*after=*/false));
  const bool of_a_stream = call == Call::kWrite || call == Call::kClose;
  if (of_a_stream || failure_.ok() || calls_left_-- > 0) return absl::OkStatus();
  return failure_;
}

absl::Status MemoryObjectStore::After(Call call, const std::string& name) const {
  return faults_ ? faults_(call, name, /*after=*/true) : absl::OkStatus();
}

std::map<std::string, std::string> MemoryObjectStore::Files() const {
  std::map<std::string, std::string> files;
  for (const auto& [name, file] : files_) files[name] = file->bytes;
  return files;
}

absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> MemoryObjectStore::Create(const std::string& name) {
  TM_RETURN_IF_ERROR(Before(Call::kCreate, name));
  auto file = std::make_shared<File>();
  files_[name] = file;
  TM_RETURN_IF_ERROR(After(Call::kCreate, name));
  return std::make_shared<MemoryStoreStream>(this, name, std::move(file));
}

absl::Status MemoryObjectStore::Sync(const std::string& name) {
  TM_RETURN_IF_ERROR(Before(Call::kSync, name));
  const auto file = files_.find(name);
  if (file == files_.end()) return absl::UnavailableError(absl::StrCat("syncing ", name, ": no such file"));
  file->second->durable_bytes = file->second->bytes.size();
  file->second->durable_name = true;
  return After(Call::kSync, name);
}

// The move itself is durable; bytes that were not synced before it still are not.
absl::Status MemoryObjectStore::Move(const std::string& from, const std::string& to) {
  TM_RETURN_IF_ERROR(Before(Call::kMove, to));
  const auto file = files_.find(from);
  const auto taken = files_.find(to);
  if (file == files_.end()) {
    if (taken == files_.end()) return absl::NotFoundError(absl::StrCat("neither ", from, " nor ", to, " is there"));
    return absl::OkStatus();
  }
  if (taken != files_.end() && taken->second->bytes != file->second->bytes) {
    return absl::FailedPreconditionError(absl::StrCat(to, " exists with other content than ", from));
  }
  if (taken == files_.end()) {
    files_[to] = file->second;
    files_[to]->durable_name = true;
  }
  files_.erase(from);
  return After(Call::kMove, to);
}

absl::StatusOr<bool> MemoryObjectStore::Exists(const std::string& name) {
  TM_RETURN_IF_ERROR(Before(Call::kExists, name));
  TM_RETURN_IF_ERROR(After(Call::kExists, name));
  return files_.contains(name);
}

absl::StatusOr<std::vector<std::string>> MemoryObjectStore::List(const std::string& folder, const std::string& prefix) {
  TM_RETURN_IF_ERROR(Before(Call::kList, folder));
  TM_RETURN_IF_ERROR(After(Call::kList, folder));
  std::vector<std::string> names;
  for (const auto& [name, file] : files_) {
    const std::string start = absl::StrCat(folder, "/", prefix);
    if (absl::StartsWith(name, start) && name.find('/', folder.size() + 1) == std::string::npos) names.push_back(name);
  }
  return names;
}

absl::Status MemoryObjectStore::Delete(const std::string& name) {
  TM_RETURN_IF_ERROR(Before(Call::kDelete, name));
  files_.erase(name);
  return After(Call::kDelete, name);
}

}  // namespace tidemark
