// The bytes of a file that landed: hashed as they lie on disk, decrypted and decompressed by what stands at their
// beginning, whatever the name says. Layer upon layer, each a FileContent that reads from another. Used by one thread.
//
// Codes, of all layers: InvalidArgument where what stands in the file is damaged, or isn't read, so that it is
// rejected; Unavailable where the file, or a key that it wants, can't be read now.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/io/interfaces.h>

#include "src/plan/plan.h"

namespace tidemark {

class FileContent {
 public:
  virtual ~FileContent() = default;

  // Of a text that is there already, as it is; to be read once, without a hash.
  static std::unique_ptr<FileContent> OfText(std::string text);

  // Appends some more to `out`; false at the end, which is the file's own: nothing stands behind it.
  virtual absl::StatusOr<bool> Read(std::string* out) = 0;
  // Of all bytes of the file on disk, in 32 hex digits; once all are read.
  virtual std::string hash() const = 0;
};

// How much a file was and has become, over all layers: a few bytes may stand for any number of them. A layer may have a
// thread of its own.
struct UnpackBudget {
  std::atomic<int64_t> packed = 0, unpacked = 0;

  // Counts what a layer has given. InvalidArgument: it is more than any honest file has.
  absl::Status Take(int64_t bytes);
};

// What a file is once nothing covers it.
struct UnpackedFile {
  enum class Form { kText, kZip, kTar };

  Form form = Form::kText;  // kText: or whatever else a format reads
  std::string head;         // its first bytes, which the content has, too
  std::unique_ptr<FileContent> content;
  std::shared_ptr<UnpackBudget> budget;
};

absl::StatusOr<UnpackedFile> OpenFile(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                      const FilesSpec::Decrypt& decrypt);
// The bytes of the file as they came.
std::unique_ptr<FileContent> OpenAsItCame(std::shared_ptr<arrow::io::RandomAccessFile> file);

// The file as it was before it was encrypted: with all layers down to the innermost message of OpenPGP taken off,
// `layers` of them. Reads the beginning of the file twice.
struct DecryptedFile {
  std::unique_ptr<FileContent> content;
  int layers = 0;
};
absl::StatusOr<DecryptedFile> OpenDecrypted(const std::shared_ptr<arrow::io::RandomAccessFile>& file,
                                            const FilesSpec::Decrypt& decrypt);

// As OpenFile, of a member of an archive, which is no archive itself.
absl::StatusOr<UnpackedFile> OpenMember(std::unique_ptr<FileContent> member, const FilesSpec::Decrypt& decrypt,
                                        std::shared_ptr<UnpackBudget> budget);

// The hash of a file that is read otherwise.
absl::StatusOr<std::string> HashOfFile(arrow::io::RandomAccessFile& file);

}  // namespace tidemark
