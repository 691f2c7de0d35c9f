// The lake below a prefix of an S3 bucket. An object appears whole when its stream is closed, and is durable then. S3
// has no rename: a move copies, then deletes; the final name is looked at first, and since it follows from sink, task
// and offsets alone, only remains of the same move can ever stand there.
#include <algorithm>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/filesystem/s3fs.h>
#include <arrow/io/interfaces.h>

#include "src/base/status.h"
#include "src/storage/backends.h"
#include "src/storage/s3_access.h"

namespace tidemark {
namespace {

class S3Store final : public ObjectStore {
 public:
  S3Store(std::string url, std::string prefix, std::shared_ptr<arrow::fs::S3FileSystem> files)
      : url_(std::move(url)), prefix_(std::move(prefix)), files_(std::move(files)) {}

  absl::Status Prepare();

  std::string_view path() const override { return url_; }
  size_t max_open_files() const override { return 16; }  // each holds a part of the upload, 10 MB or more, in memory
  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) override;
  absl::Status Sync(const std::string& /*name*/) override { return absl::OkStatus(); }
  absl::Status Move(const std::string& from, const std::string& to) override;
  absl::StatusOr<bool> Exists(const std::string& name) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) override;
  absl::Status Delete(const std::string& name) override;

 private:
  std::string Full(const std::string& name) const { return absl::StrCat(prefix_, "/", name); }
  std::string About(const char* doing, const std::string& name) const {
    return absl::StrCat("lake ", url_, ": ", doing, " ", name);
  }
  absl::StatusOr<bool> Same(const std::string& a, const std::string& b);

  const std::string url_, prefix_;
  const std::shared_ptr<arrow::fs::S3FileSystem> files_;
};

absl::Status S3Store::Prepare() {
  const std::string probe = absl::StrCat(kStagingFolder, "/probe-", reinterpret_cast<uintptr_t>(this));
  TM_ASSIGN_OR_RETURN(const auto stream, Create(probe));
  TM_RETURN_IF_ERROR(S3Status(stream->Close(), About("writing", probe)));
  return Delete(probe);
}

absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> S3Store::Create(const std::string& name) {
  auto stream = files_->OpenOutputStream(Full(name));
  if (!stream.ok()) return S3Status(stream.status(), About("creating", name));
  return *stream;
}

absl::StatusOr<bool> S3Store::Exists(const std::string& name) {
  auto info = files_->GetFileInfo(Full(name));
  if (!info.ok()) return S3Status(info.status(), About("looking for", name));
  return info->type() == arrow::fs::FileType::File;
}

absl::Status S3Store::Move(const std::string& from, const std::string& to) {
  TM_ASSIGN_OR_RETURN(const bool staged, Exists(from));
  TM_ASSIGN_OR_RETURN(const bool taken, Exists(to));
  if (!staged) {
    if (taken) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat("lake ", url_, ": neither ", from, " nor ", to, " is there"));
  }
  if (taken) {
    TM_ASSIGN_OR_RETURN(const bool same, Same(from, to));
    if (!same) {
      return absl::FailedPreconditionError(
          absl::StrCat("lake ", url_, ": ", to, " exists with other content than ", from, "; it is kept"));
    }
  } else {
    TM_RETURN_IF_ERROR(CopyS3(*files_, Full(from), Full(to), About("copying to", to)));
  }
  return Delete(from);
}

absl::StatusOr<bool> S3Store::Same(const std::string& a, const std::string& b) {
  auto left = files_->OpenInputFile(Full(a));
  if (!left.ok()) return S3Status(left.status(), About("reading", a));
  auto right = files_->OpenInputFile(Full(b));
  if (!right.ok()) return S3Status(right.status(), About("reading", b));
  return SameContent(**left, **right);
}

absl::StatusOr<std::vector<std::string>> S3Store::List(const std::string& folder, const std::string& prefix) {
  arrow::fs::FileSelector selector;
  selector.base_dir = Full(folder);
  selector.allow_not_found = true;
  auto found = files_->GetFileInfo(selector);
  if (!found.ok()) return S3Status(found.status(), About("listing", folder));
  std::vector<std::string> names;
  for (const arrow::fs::FileInfo& info : *found) {
    if (info.type() == arrow::fs::FileType::File && absl::StartsWith(info.base_name(), prefix)) {
      names.push_back(absl::StrCat(folder, "/", info.base_name()));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status S3Store::Delete(const std::string& name) {
  TM_ASSIGN_OR_RETURN(const bool there, Exists(name));
  if (!there) return absl::OkStatus();
  const arrow::Status status = files_->DeleteFile(Full(name));
  if (status.ok()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const bool still_there, Exists(name));
  return still_there ? S3Status(status, About("deleting", name)) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenS3Store(const std::string& url) {
  TM_ASSIGN_OR_RETURN(S3Place place, ReachS3(url));
  auto lake = std::make_unique<S3Store>(url, std::move(place.prefix), std::move(place.files));
  TM_RETURN_IF_ERROR(lake->Prepare());
  return lake;
}

// Only a write shows whether writing is allowed, so that is left to the run.
absl::StatusOr<std::string> InspectS3Store(const std::string& url) {
  TM_ASSIGN_OR_RETURN(const S3Place place, ReachS3(url));
  auto bucket = place.files->GetFileInfo(place.bucket);
  if (!bucket.ok()) return S3Status(bucket.status(), absl::StrCat("lake ", url));
  if (bucket->type() == arrow::fs::FileType::NotFound) {
    return absl::InvalidArgumentError(absl::StrCat("lake ", url, ": there is no bucket ", place.bucket,
                                                   ", or it may not be seen with these credentials"));
  }
  return absl::StrCat("lake ", url, ": bucket ", place.bucket,
                      " is there; whether it can be written shows when it is run");
}

}  // namespace tidemark
