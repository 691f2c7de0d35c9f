// The Parquet files of a lake, wherever it lies: in a folder, or in S3 (credentials, region and endpoint as for lakes
// that are written, object_store.h). Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>

namespace arrow::fs {
class S3FileSystem;
}
namespace parquet::arrow {
class FileReader;
}

namespace tidemark {

class LakeFolder {
 public:
  // A folder, or s3://bucket/prefix. Nothing is asked yet.
  static absl::StatusOr<std::shared_ptr<const LakeFolder>> Reach(const std::string& path);

  // All *.parquet files in it and below, as it names them, sorted. NotFound: there is no such folder (in S3: nothing in
  // it). Unavailable: it can't be listed now. InvalidArgument: no such bucket, or no right to it.
  absl::StatusOr<std::vector<std::string>> List() const;
  // Codes as of GuardedLake.
  absl::StatusOr<std::unique_ptr<parquet::arrow::FileReader>> Open(const std::string& file) const;

  // "day=2026-01-01" for each folder between the lake and the file.
  std::vector<std::string> FoldersOf(const std::string& file) const;

 private:
  explicit LakeFolder(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  std::string root_;                             // what names of files begin with
  std::shared_ptr<arrow::fs::S3FileSystem> s3_;  // null: on the disk
};

// What `f` reads of a file, with its name in errors; parquet:: reports some of them by exception. Unavailable: it can't
// be read now. FailedPrecondition: what stands in it is wrong.
absl::Status GuardedLake(const std::string& file, absl::FunctionRef<arrow::Status()> f);

}  // namespace tidemark
