// Objects of S3, by their full names "bucket/key": what somebody else puts there, to be read and moved away. An object
// appears whole, and another one may take its name at any time; its ETag tells them apart. Used by one thread.
//
// Codes: NotFound where an object isn't there, Unavailable where the service, the bucket or the right to use it is
// away: all of these may come back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/io/type_fwd.h>

namespace tidemark {

struct ObjectInfo {
  std::string name;
  int64_t size = 0;
  int64_t modified_ns = 0;  // S3 keeps whole seconds
  std::string etag;         // "": a listing doesn't tell it
};

class Objects {
 public:
  virtual ~Objects() = default;

  // All of them below the folder, "bucket/prefix", in no order. Those that stand for folders aren't told.
  virtual absl::StatusOr<std::vector<ObjectInfo>> List(const std::string& folder) = 0;
  virtual absl::StatusOr<ObjectInfo> Stat(const std::string& name) = 0;
  // Reads on from where it is in large pieces, whatever it is asked for.
  virtual absl::StatusOr<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& name) = 0;
  virtual absl::StatusOr<bool> SameContent(const std::string& a, const std::string& b) = 0;
  // Each replaces what has the name. Done when it returns OK; after an error it may be done all the same.
  virtual absl::Status Copy(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Put(const std::string& name, std::string_view bytes) = 0;
  // An object that is missing is deleted already.
  virtual absl::Status Delete(const std::string& name) = 0;
};

// Credentials, region and endpoint as for lakes (object_store.h), of the bucket of `url`. Connects at the first call,
// and again after one that couldn't.
std::unique_ptr<Objects> NewS3Objects(std::string url);

}  // namespace tidemark
