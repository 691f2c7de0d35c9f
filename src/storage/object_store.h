// Where whole files land and are read by others: a local folder, a prefix in S3 (OpenObjectStore), or memory with the
// faults of a crash (memory_store.h). A lake is one. Names are relative to the store's root, with '/' between folders.
// Thread-compatible: several owners may share one ObjectStore, each call is independent.
//
// A crash may undo everything that isn't promised to be durable below. Codes: InvalidArgument is the user's mistake (no
// permission, no such bucket), Unavailable a storage that is away, ResourceExhausted a full disk, FailedPrecondition a
// final name that is taken by other content. A file of which any call has failed (Create, its stream's Write or Close,
// Sync) is worth nothing: it is deleted and written anew under another name, never closed or synced again.
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

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // The root as the user wrote it, for messages.
  virtual std::string_view path() const = 0;
  // How many files may be written at the same time.
  virtual size_t max_open_files() const = 0;

  // A new file, made with its folders. An existing one of that name is replaced: only for staged names, and for marks.
  virtual absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) = 0;
  // The closed file and its name survive a crash when this returns.
  virtual absl::Status Sync(const std::string& name) = 0;
  // Gives a synced file its final name, durably. Redoing it is harmless: where `from` is gone and `to` there, it was
  // done before. A `to` that exists with the same content is the remains of an interrupted move: `from` goes. With
  // other content it is kept, and FailedPrecondition returned. NotFound: there is neither.
  virtual absl::Status Move(const std::string& from, const std::string& to) = 0;
  virtual absl::StatusOr<bool> Exists(const std::string& name) = 0;
  // The names of all files in `folder` (not below it) that start with `prefix`, as folder/name, sorted. None where the
  // folder is missing.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) = 0;
  // A file that is missing is deleted already.
  virtual absl::Status Delete(const std::string& name) = 0;
};

// The lake at a folder, which is created, or at s3://bucket/prefix. Checks that it can be written. S3 takes
// credentials, region and endpoint from where the AWS SDK does (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
// AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL, profiles, instance roles).
absl::StatusOr<std::unique_ptr<ObjectStore>> OpenObjectStore(const std::string& path);

// What OpenObjectStore would find there and make, in words, without changing anything. InvalidArgument where it would
// fail for a reason that shows by looking: no permission, no such bucket.
absl::StatusOr<std::string> InspectObjectStore(const std::string& path);

// Once, at the end of main, when every ObjectStore is gone: the S3 library wants to be shut down before static objects
// are.
void FinalizeObjectStores();

}  // namespace tidemark
