#include "operators/lake_memory.h"

#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/status.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

class MemoryStream final : public arrow::io::OutputStream {
 public:
  explicit MemoryStream(std::shared_ptr<MemoryLake::File> file) : file_(std::move(file)) {}
  ~MemoryStream() override = default;

  arrow::Status Write(const void* data, int64_t size) override {
    file_->bytes.append(static_cast<const char*>(data), size);
    return arrow::Status::OK();
  }
  using arrow::io::OutputStream::Write;
  arrow::Result<int64_t> Tell() const override { return static_cast<int64_t>(file_->bytes.size()); }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }

 private:
  std::shared_ptr<MemoryLake::File> file_;
  bool closed_ = false;
};

}  // namespace

// Names that live on get a fresh File, so that a stream from before the crash has nothing to write to any more.
void MemoryLake::Crash() {
  std::map<std::string, std::shared_ptr<File>> survivors;
  for (const auto& [name, file] : files_) {
    if (!file->durable_name) continue;
    survivors[name] =
        std::make_shared<File>(File{file->bytes.substr(0, file->durable_bytes), file->durable_bytes, true});
  }
  files_ = std::move(survivors);
  failure_ = absl::OkStatus();
}

void MemoryLake::Fail(int64_t calls, absl::Status status) {
  calls_left_ = calls;
  failure_ = std::move(status);
}

absl::Status MemoryLake::Step() {
  if (failure_.ok() || calls_left_-- > 0) return absl::OkStatus();
  return failure_;
}

std::map<std::string, std::string> MemoryLake::Files() const {
  std::map<std::string, std::string> files;
  for (const auto& [name, file] : files_) files[name] = file->bytes;
  return files;
}

absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> MemoryLake::Create(const std::string& name) {
  TM_RETURN_IF_ERROR(Step());
  auto file = std::make_shared<File>();
  files_[name] = file;
  return std::make_shared<MemoryStream>(std::move(file));
}

absl::Status MemoryLake::Sync(const std::string& name) {
  TM_RETURN_IF_ERROR(Step());
  const auto file = files_.find(name);
  if (file == files_.end()) return absl::UnavailableError(absl::StrCat("syncing ", name, ": no such file"));
  file->second->durable_bytes = file->second->bytes.size();
  file->second->durable_name = true;
  return absl::OkStatus();
}

// The move itself is durable; bytes that were not synced before it still are not.
absl::Status MemoryLake::Move(const std::string& from, const std::string& to) {
  TM_RETURN_IF_ERROR(Step());
  const auto file = files_.find(from);
  if (file == files_.end()) return absl::OkStatus();
  const auto taken = files_.find(to);
  if (taken != files_.end() && taken->second->bytes != file->second->bytes) {
    return absl::FailedPreconditionError(absl::StrCat(to, " exists with other content than ", from));
  }
  if (taken == files_.end()) {
    files_[to] = file->second;
    files_[to]->durable_name = true;
  }
  files_.erase(from);
  return absl::OkStatus();
}

absl::StatusOr<bool> MemoryLake::Exists(const std::string& name) {
  TM_RETURN_IF_ERROR(Step());
  return files_.contains(name);
}

absl::StatusOr<std::vector<std::string>> MemoryLake::List(const std::string& folder, const std::string& prefix) {
  TM_RETURN_IF_ERROR(Step());
  std::vector<std::string> names;
  for (const auto& [name, file] : files_) {
    const std::string start = absl::StrCat(folder, "/", prefix);
    if (absl::StartsWith(name, start) && name.find('/', folder.size() + 1) == std::string::npos) names.push_back(name);
  }
  return names;
}

absl::Status MemoryLake::Delete(const std::string& name) {
  TM_RETURN_IF_ERROR(Step());
  files_.erase(name);
  return absl::OkStatus();
}

}  // namespace tidemark
