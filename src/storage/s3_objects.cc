#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/buffer.h>
#include <arrow/filesystem/s3fs.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/key_value_metadata.h>

#include "src/base/status.h"
#include "src/storage/backends.h"
#include "src/storage/objects.h"
#include "src/storage/s3_access.h"

namespace tidemark {
namespace {

constexpr int64_t kReadAhead = int64_t{4} << 20;

// Each read of an object is a request: what is read on from is asked for in large pieces.
class ReadAheadFile final : public arrow::io::RandomAccessFile {
 public:
  explicit ReadAheadFile(std::shared_ptr<arrow::io::RandomAccessFile> file) : file_(std::move(file)) {}

  arrow::Result<int64_t> Read(int64_t bytes, void* out) override {
    if (piece_ == nullptr || position_ < piece_at_ || position_ >= piece_at_ + piece_->size()) {
      ARROW_ASSIGN_OR_RAISE(piece_, file_->ReadAt(position_, std::max(bytes, kReadAhead)));
      piece_at_ = position_;
    }
    const int64_t offset = position_ - piece_at_;
    const int64_t size = std::min(bytes, piece_->size() - offset);
    if (size > 0) std::memcpy(out, piece_->data() + offset, static_cast<size_t>(size));
    position_ += size;
    return size;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::ResizableBuffer> buffer, arrow::AllocateResizableBuffer(bytes));
    ARROW_ASSIGN_OR_RAISE(const int64_t size, Read(bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(size));
    return buffer;
  }
  arrow::Result<int64_t> ReadAt(int64_t at, int64_t bytes, void* out) override { return file_->ReadAt(at, bytes, out); }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t at, int64_t bytes) override {
    return file_->ReadAt(at, bytes);
  }
  arrow::Status Seek(int64_t position) override {
    position_ = position;
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Result<int64_t> GetSize() override { return file_->GetSize(); }
  arrow::Status Close() override { return file_->Close(); }
  bool closed() const override { return file_->closed(); }

 private:
  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  std::shared_ptr<arrow::Buffer> piece_;
  int64_t piece_at_ = 0, position_ = 0;
};

int64_t NanosecondsOf(arrow::fs::TimePoint time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

// A wrong bucket, or no right to it, may be mended while the worker waits.
absl::Status Away(const arrow::Status& status, std::string_view doing, const std::string& name) {
  const absl::Status why = S3Status(status, absl::StrCat(std::string(doing), " s3://", name));
  return why.ok() ? why : absl::UnavailableError(why.message());
}

class S3Objects final : public Objects {
 public:
  explicit S3Objects(std::string url) : url_(std::move(url)) {}

  absl::StatusOr<std::vector<ObjectInfo>> List(const std::string& folder) override {
    TM_RETURN_IF_ERROR(Connect());
    arrow::fs::FileSelector selector;
    selector.base_dir = folder;
    selector.recursive = true;
    selector.allow_not_found = true;
    const auto found = files_->GetFileInfo(selector);
    if (!found.ok()) return Away(found.status(), "listing", folder);
    if (found->empty()) TM_RETURN_IF_ERROR(CheckBucket(folder.substr(0, folder.find('/'))));
    std::vector<ObjectInfo> objects;
    for (const arrow::fs::FileInfo& info : *found) {
      if (info.type() == arrow::fs::FileType::File) {
        objects.push_back({info.path(), info.size(), NanosecondsOf(info.mtime()), ""});
      }
    }
    return objects;
  }

  absl::StatusOr<ObjectInfo> Stat(const std::string& name) override {
    TM_RETURN_IF_ERROR(Connect());
    const auto info = files_->GetFileInfo(name);
    if (!info.ok()) return Away(info.status(), "looking at", name);
    if (info->type() != arrow::fs::FileType::File) return absl::NotFoundError(absl::StrCat("s3://", name));
    // The library tells an ETag of what is open only. Of two answers the object is the one that this says.
    const auto file = files_->OpenInputFile(name);
    if (!file.ok()) return MaybeGone(file.status(), "looking at", name);
    const auto size = (*file)->GetSize();
    const auto metadata = (*file)->ReadMetadata();
    if (!size.ok()) return Away(size.status(), "looking at", name);
    if (!metadata.ok()) return Away(metadata.status(), "looking at", name);
    const auto etag = *metadata == nullptr ? arrow::Result<std::string>("") : (*metadata)->Get("ETag");
    return ObjectInfo{name, *size, NanosecondsOf(info->mtime()), etag.ok() ? *etag : ""};
  }

  absl::StatusOr<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& name) override {
    TM_RETURN_IF_ERROR(Connect());
    auto file = files_->OpenInputFile(name);
    if (!file.ok()) return MaybeGone(file.status(), "reading", name);
    return std::make_shared<ReadAheadFile>(*std::move(file));
  }

  absl::StatusOr<bool> SameContent(const std::string& a, const std::string& b) override {
    TM_ASSIGN_OR_RETURN(const auto left, Open(a));
    TM_ASSIGN_OR_RETURN(const auto right, Open(b));
    return tidemark::SameContent(*left, *right);
  }

  absl::Status Copy(const std::string& from, const std::string& to) override {
    TM_RETURN_IF_ERROR(Connect());
    const absl::Status copied = CopyS3(*files_, from, to, absl::StrCat("copying s3://", from, " to s3://", to));
    return copied.ok() ? copied : absl::UnavailableError(copied.message());
  }

  absl::Status Put(const std::string& name, std::string_view bytes) override {
    TM_RETURN_IF_ERROR(Connect());
    const auto stream = files_->OpenOutputStream(name);
    if (!stream.ok()) return Away(stream.status(), "writing", name);
    const arrow::Status written = (*stream)->Write(bytes.data(), static_cast<int64_t>(bytes.size()));
    if (!written.ok()) return Away(written, "writing", name);
    return Away((*stream)->Close(), "writing", name);
  }

  absl::Status Delete(const std::string& name) override {
    TM_RETURN_IF_ERROR(Connect());
    const arrow::Status deleted = files_->DeleteFile(name);
    if (deleted.ok() || IsGone(name)) return absl::OkStatus();
    return Away(deleted, "deleting", name);
  }

 private:
  absl::Status Connect() {
    if (files_ != nullptr) return absl::OkStatus();
    absl::StatusOr<S3Place> place = ReachS3(url_);
    if (!place.ok()) return absl::UnavailableError(place.status().message());
    files_ = std::move(place->files);
    return absl::OkStatus();
  }

  // The library lists a bucket that isn't there as one without objects.
  absl::Status CheckBucket(const std::string& bucket) {
    const auto info = files_->GetFileInfo(bucket);
    if (!info.ok()) return Away(info.status(), "looking for", bucket);
    if (info->type() != arrow::fs::FileType::NotFound) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat("there is no bucket ", bucket, ", or it may not be seen with these credentials"));
  }

  bool IsGone(const std::string& name) {
    const auto info = files_->GetFileInfo(name);
    return info.ok() && info->type() != arrow::fs::FileType::File;
  }

  absl::Status MaybeGone(const arrow::Status& status, std::string_view doing, const std::string& name) {
    return IsGone(name) ? absl::NotFoundError(absl::StrCat("s3://", name)) : Away(status, doing, name);
  }

  const std::string url_;
  std::shared_ptr<arrow::fs::S3FileSystem> files_;
};

}  // namespace

std::unique_ptr<Objects> NewS3Objects(std::string url) { return std::make_unique<S3Objects>(std::move(url)); }

}  // namespace tidemark
