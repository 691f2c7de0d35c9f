// Archives (zip, tar), file by file as they stand in there, and xz: libarchive's, which is seen nowhere else. Nothing
// is ever written to disk. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/landing/content.h"

struct archive;

namespace tidemark {

class ArchiveReader {
 public:
  // `passphrase` of encrypted files in a zip; empty: there is none.
  static absl::StatusOr<std::unique_ptr<ArchiveReader>> Open(std::unique_ptr<FileContent> content,
                                                             UnpackedFile::Form form, const std::string& passphrase);
  ~ArchiveReader();

  // To the next file, past what wasn't read of the last one; false: there is none, and the archive is whole.
  absl::StatusOr<bool> Next();
  const std::string& name() const { return name_; }  // of the file, with '/' between folders
  // Appends more of the file; false at its end, where it was what its sum says.
  absl::StatusOr<bool> Read(std::string* out);
  // Of the archive, once there is no further file.
  std::string hash() const { return content_->hash(); }

 private:
  ArchiveReader(std::unique_ptr<FileContent> content, UnpackedFile::Form form);
  static long ReadPiece(struct archive*, void* self, const void** out);

  absl::StatusOr<bool> Pull();
  absl::Status WhyNot() const;
  absl::Status CheckEnd();
  absl::Status CheckZipEnd() const;
  absl::Status CheckTarEnd() const;

  const std::unique_ptr<FileContent> content_;
  const UnpackedFile::Form form_;
  const char* const what_;
  struct archive* const archive_;
  bool passphrase_ = false;
  absl::Status status_;  // why the content can't be read
  std::string piece_;    // of it, which libarchive looks at
  std::string tail_;     // the last bytes that were read of it
  int64_t bytes_ = 0;    // of it so far ...
  int64_t zeros_ = 0;    // ... and so many at their end are 0
  int64_t entries_ = 0;  // of the archive so far, files or not
  std::string name_;
};

// What was compressed with xz.
std::unique_ptr<FileContent> NewXzContent(std::unique_ptr<FileContent> inner);

}  // namespace tidemark
