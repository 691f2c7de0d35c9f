// What stands in a file that landed, record by record, whatever its form: each as the JSON object that a record of a
// topic would have held, so that everything behind (types, paths, defaults, event time) is as for a topic. Used by one
// thread.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/io/type_fwd.h>

#include "src/plan/plan.h"

namespace tidemark {

struct FileRecord {
  int64_t line = 0;    // where it begins, from 1; of forms without lines its number
  std::string value;   // the object; of a bad record what stands there
  std::string reason;  // why it can't be an object; "": it can
  int64_t column = 1;  // where in its line it begins, in bytes from 1; of JSON only
};

class FileRecords {
 public:
  virtual ~FileRecords() = default;

  // By the source's format or, where it states none, by the file's name. InvalidArgument: the file can't be read as
  // what it is meant to be, with the line.
  static absl::StatusOr<std::unique_ptr<FileRecords>> Open(const SourcePlan& source, const std::string& name,
                                                           std::shared_ptr<arrow::io::RandomAccessFile> file);

  // Of a body that somebody has sent: uncompressed text. JSON may be one object here, too.
  static absl::StatusOr<std::unique_ptr<FileRecords>> OfBody(const SourcePlan& source, FilesSpec::Format format,
                                                             char delimiter, std::string body);

  // Appends records of about `bytes` to `out`; false behind the last one. InvalidArgument: from here on the file can't
  // be read, with the line. Unavailable: it can't be read now. ResourceExhausted: of a body, which says that it holds
  // far more than it is large.
  virtual absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) = 0;
  // Of an archive: the file in it, by its name, that all the records of the last Read stand in. "": it is none.
  virtual std::string_view member() const { return ""; }
  // Of the whole file, as it was read, or where it was read otherwise than from front to back, as it stands there
  // behind the last record; once there is no more.
  virtual std::string hash() const = 0;
};

// A file may have a record of so many bytes; one that seems larger lacks a quote or a line's end.
inline constexpr size_t kMaxFileRecord = 16 << 20;

// The format by a name: "rates.csv.gz" is csv. InvalidArgument: none that is known.
absl::StatusOr<FilesSpec::Format> FormatOfName(const std::string& name);

// For Open. A content, and a file, is decrypted and decompressed, and a content is UTF-8.
class FileContent;
struct UnpackedFile;
absl::StatusOr<std::unique_ptr<FileRecords>> NewRecords(const SourcePlan& source, FilesSpec::Format format,
                                                        UnpackedFile file);
absl::StatusOr<std::unique_ptr<FileRecords>> NewArchiveRecords(const SourcePlan& source, UnpackedFile file);
absl::StatusOr<std::unique_ptr<FileRecords>> NewCsvRecords(const SourcePlan& source, char delimiter,
                                                           std::unique_ptr<FileContent> content);
std::unique_ptr<FileRecords> NewJsonLineRecords(std::unique_ptr<FileContent> content);
// `or_object`: one object is an array of one.
absl::StatusOr<std::unique_ptr<FileRecords>> NewJsonArrayRecords(std::unique_ptr<FileContent> content,
                                                                 bool or_object = false);
// In whatever encoding it says itself.
absl::StatusOr<std::unique_ptr<FileRecords>> NewXmlRecords(const SourcePlan& source,
                                                           std::unique_ptr<FileContent> content);
// `most_bytes`: of memory.
absl::StatusOr<std::unique_ptr<FileRecords>> NewParquetRecords(
    const SourcePlan& source, std::shared_ptr<arrow::io::RandomAccessFile> file,
    int64_t most_bytes = std::numeric_limits<int64_t>::max());

}  // namespace tidemark
