#include "src/landing/file_records.h"

#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/strip.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>

#include "src/base/status.h"
#include "src/landing/content.h"

namespace tidemark {
namespace {

// What a body's pages and columns may take while they are read.
constexpr int64_t kMostBytesOfBody = int64_t{256} << 20;

}  // namespace

absl::StatusOr<FilesSpec::Format> FormatOfName(const std::string& name) {
  using Format = FilesSpec::Format;
  static constexpr std::pair<const char*, Format> kEnds[] = {{".csv", Format::kCsv},
                                                             {".jsonl", Format::kJsonLines},
                                                             {".ndjson", Format::kJsonLines},
                                                             {".json", Format::kJson},
                                                             {".parquet", Format::kParquet}};
  const std::string lower = absl::AsciiStrToLower(name.substr(name.rfind('/') + 1));
  absl::string_view rest = lower;
  // What compressed it may stand behind.
  for (const char* packed : {".gz", ".zst", ".bz2", ".lz4"}) absl::ConsumeSuffix(&rest, packed);
  for (const auto& [end, format] : kEnds) {
    if (absl::EndsWith(rest, end)) return format;
  }
  return absl::InvalidArgumentError(
      "no format is stated, and the name doesn't tell it: it ends in none of .csv, .jsonl, .ndjson, .json, .parquet");
}

absl::StatusOr<std::unique_ptr<FileRecords>> FileRecords::Open(const SourcePlan& source, const std::string& name,
                                                               std::shared_ptr<arrow::io::RandomAccessFile> file) {
  FilesSpec::Format format;
  if (source.files->format) {
    format = *source.files->format;
  } else {
    const absl::StatusOr<FilesSpec::Format> by_name = FormatOfName(name);
    if (!by_name.ok()) {
      // An archive has a name of its own, and a better reason.
      TM_RETURN_IF_ERROR(FileContent::Open(std::move(file)).status());
      return by_name.status();
    }
    format = *by_name;
  }
  if (format == FilesSpec::Format::kParquet) return NewParquetRecords(source, std::move(file));
  TM_ASSIGN_OR_RETURN(std::unique_ptr<FileContent> content, FileContent::Open(std::move(file)));
  switch (format) {
    case FilesSpec::Format::kCsv:
      return NewCsvRecords(source, source.files->delimiter, std::move(content));
    case FilesSpec::Format::kJson:
      return NewJsonArrayRecords(std::move(content));
    default:
      return NewJsonLineRecords(std::move(content));
  }
}

absl::StatusOr<std::unique_ptr<FileRecords>> FileRecords::OfBody(const SourcePlan& source, FilesSpec::Format format,
                                                                 char delimiter, std::string body) {
  if (format == FilesSpec::Format::kParquet) {
    return NewParquetRecords(source,
                             std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::move(body))),
                             kMostBytesOfBody);
  }
  std::unique_ptr<FileContent> content = FileContent::OfText(std::move(body));
  switch (format) {
    case FilesSpec::Format::kCsv:
      return NewCsvRecords(source, delimiter, std::move(content));
    case FilesSpec::Format::kJson:
      return NewJsonArrayRecords(std::move(content), /*or_object=*/true);
    default:
      return NewJsonLineRecords(std::move(content));
  }
}

}  // namespace tidemark
