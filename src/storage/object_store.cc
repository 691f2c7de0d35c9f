#include "src/storage/object_store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/io_util.h>

#include "src/base/status.h"
#include "src/storage/backends.h"

namespace tidemark {

namespace {

absl::Status CheckScheme(const std::string& path) {
  if (absl::StartsWith(path, "s3://") || !absl::StrContains(path, "://")) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("lake ", path, ": expected a folder or s3://bucket/prefix"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenObjectStore(const std::string& path) {
  TM_RETURN_IF_ERROR(CheckScheme(path));
  return absl::StartsWith(path, "s3://") ? OpenS3Store(path) : OpenLocalStore(path);
}

absl::StatusOr<std::string> InspectObjectStore(const std::string& path) {
  TM_RETURN_IF_ERROR(CheckScheme(path));
  return absl::StartsWith(path, "s3://") ? InspectS3Store(path) : InspectLocalStore(path);
}

void FinalizeObjectStores() { FinalizeS3Stores(); }

absl::Status ErrnoStatus(int error, std::string_view what) {
  const std::string message = absl::StrCat(std::string(what), ": ", std::strerror(error));
  switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case ENAMETOOLONG:
      return absl::InvalidArgumentError(message);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::Status StreamStatus(const arrow::Status& status, std::string_view what) {
  const int error = arrow::internal::ErrnoFromStatus(status);
  return status.ok() || error == 0 ? FromArrow(status, what) : ErrnoStatus(error, what);
}

absl::StatusOr<bool> SameContent(arrow::io::RandomAccessFile& a, arrow::io::RandomAccessFile& b) {
  constexpr int64_t kPiece = 4 << 20;
  TM_ASSIGN_OR_RETURN(const int64_t size, FromArrow(a.GetSize(), "comparing two files"));
  TM_ASSIGN_OR_RETURN(const int64_t other, FromArrow(b.GetSize(), "comparing two files"));
  if (size != other) return false;
  for (int64_t at = 0; at < size; at += kPiece) {
    TM_ASSIGN_OR_RETURN(const auto left, FromArrow(a.ReadAt(at, kPiece), "comparing two files"));
    TM_ASSIGN_OR_RETURN(const auto right, FromArrow(b.ReadAt(at, kPiece), "comparing two files"));
    if (!left->Equals(*right)) return false;
  }
  return true;
}

}  // namespace tidemark
