// How S3 is reached, for all that keep or read objects there: where credentials, region and endpoint come from, and
// what an error of the service asks for. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/filesystem/s3fs.h>

namespace tidemark {

// A bucket and a prefix, and a connection that has not been used yet.
struct S3Place {
  std::string bucket, prefix;  // the prefix begins with the bucket
  std::shared_ptr<arrow::fs::S3FileSystem> files;
};

// Of s3://bucket/prefix.
absl::StatusOr<S3Place> ReachS3(const std::string& url);

// InvalidArgument: the user's mistake (no such bucket, no permission). Unavailable: anything else.
absl::Status S3Status(const arrow::Status& status, std::string_view what);

// An object of any size; `from` and `to` begin with their buckets. S3 shows `to` when it is whole.
absl::Status CopyS3(arrow::fs::S3FileSystem& files, const std::string& from, const std::string& to,
                    std::string_view what);

}  // namespace tidemark
