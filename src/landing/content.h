// The bytes of a file that landed: decompressed by what stands at its beginning, whatever its name says, and hashed as
// they lie on disk while they are read. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/io/interfaces.h>

namespace tidemark {

class FileContent {
 public:
  virtual ~FileContent() = default;

  // InvalidArgument: a compression, an archive or an encryption that isn't read yet, by its name.
  static absl::StatusOr<std::unique_ptr<FileContent>> Open(std::shared_ptr<arrow::io::RandomAccessFile> file);

  // Of a text that is there already, as it is; to be read once, without a hash.
  static std::unique_ptr<FileContent> OfText(std::string text);

  // Appends some more to `out`; false at the end, which is the file's own. InvalidArgument: what was compressed is
  // damaged or has no end, or something stands behind it. Unavailable: the file can't be read.
  virtual absl::StatusOr<bool> Read(std::string* out) = 0;
  // Of all bytes of the file, in 32 hex digits; once all are read.
  virtual std::string hash() const = 0;
};

// The hash of a file that is read otherwise.
absl::StatusOr<std::string> HashOfFile(arrow::io::RandomAccessFile& file);

}  // namespace tidemark
