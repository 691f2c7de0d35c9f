#include "src/landing/file_records.h"

#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>

#include "src/base/status.h"
#include "src/landing/content.h"
#include "src/landing/text_encoding.h"

namespace tidemark {
namespace {

// What a body's pages and columns may take while they are read.
constexpr int64_t kMostBytesOfBody = int64_t{256} << 20;
// Parquet is read from its end, so what has no place on disk as it is has to be in memory.
constexpr size_t kMostInMemory = 256 << 20;
constexpr char kParquetMark[] = "PAR1";

// Read as a whole; the hash is that of the file that it stood in.
class RecordsInMemory final : public FileRecords {
 public:
  RecordsInMemory(std::unique_ptr<FileContent> content, std::unique_ptr<FileRecords> records)
      : content_(std::move(content)), records_(std::move(records)) {}

  absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) override { return records_->Read(bytes, out); }
  std::string hash() const override { return content_->hash(); }

 private:
  const std::unique_ptr<FileContent> content_;
  const std::unique_ptr<FileRecords> records_;
};

absl::StatusOr<std::unique_ptr<FileRecords>> ParquetInMemory(const SourcePlan& source, UnpackedFile file) {
  if (!absl::StartsWith(file.head, kParquetMark)) return absl::InvalidArgumentError("the file isn't Parquet");
  std::string bytes;
  for (bool more = true; more;) {
    TM_ASSIGN_OR_RETURN(more, file.content->Read(&bytes));
    if (bytes.size() > kMostInMemory) {
      return absl::InvalidArgumentError(
          absl::StrCat("a Parquet file that is compressed, encrypted or in an archive may ", "have ",
                       kMostInMemory >> 20, " MiB, and this one has more"));
    }
  }
  auto in_memory = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::move(bytes)));
  TM_ASSIGN_OR_RETURN(std::unique_ptr<FileRecords> records, NewParquetRecords(source, std::move(in_memory)));
  return std::make_unique<RecordsInMemory>(std::move(file.content), std::move(records));
}

// It is on disk as it is read.
absl::StatusOr<bool> IsPlainParquet(arrow::io::RandomAccessFile& file) {
  char head[sizeof(kParquetMark) - 1];
  const arrow::Result<int64_t> got = file.ReadAt(0, sizeof(head), head);
  if (!got.ok()) return absl::UnavailableError(got.status().message());
  return std::string_view(head, static_cast<size_t>(*got)) == kParquetMark;
}

}  // namespace

absl::StatusOr<FilesSpec::Format> FormatOfName(const std::string& name) {
  using Format = FilesSpec::Format;
  static constexpr std::pair<const char*, Format> kEnds[] = {
      {".csv", Format::kCsv},   {".jsonl", Format::kJsonLines}, {".ndjson", Format::kJsonLines},
      {".json", Format::kJson}, {".xml", Format::kXml},         {".parquet", Format::kParquet}};
  const std::string lower = absl::AsciiStrToLower(name.substr(name.rfind('/') + 1));
  absl::string_view rest = lower;
  // What covers it may stand behind, one of each kind.
  for (const char* locked : {".gpg", ".pgp", ".asc"}) absl::ConsumeSuffix(&rest, locked);
  for (const char* packed : {".gz", ".zst", ".bz2", ".lz4", ".xz"}) absl::ConsumeSuffix(&rest, packed);
  for (const auto& [end, format] : kEnds) {
    if (absl::EndsWith(rest, end)) return format;
  }
  return absl::InvalidArgumentError(
      "no format is stated, and the name doesn't tell it: it ends in none of .csv, .jsonl, .ndjson, .json, .xml, "
      ".parquet");
}

absl::StatusOr<std::unique_ptr<FileRecords>> FileRecords::Open(const SourcePlan& source, const std::string& name,
                                                               std::shared_ptr<arrow::io::RandomAccessFile> file) {
  const FilesSpec& spec = *source.files;
  const absl::StatusOr<FilesSpec::Format> format = spec.format ? *spec.format : FormatOfName(name);
  if (format.ok() && *format == FilesSpec::Format::kParquet && spec.decrypt.signed_by.empty()) {
    TM_ASSIGN_OR_RETURN(const bool plain, IsPlainParquet(*file));
    if (plain) return NewParquetRecords(source, std::move(file));
  }
  TM_ASSIGN_OR_RETURN(UnpackedFile unpacked, OpenFile(std::move(file), spec.decrypt));
  // Of an archive the names in it matter; and what isn't read at all has a better reason than its name.
  if (unpacked.form != UnpackedFile::Form::kText) return NewArchiveRecords(source, std::move(unpacked));
  TM_RETURN_IF_ERROR(format.status());
  return NewRecords(source, *format, std::move(unpacked));
}

absl::StatusOr<std::unique_ptr<FileRecords>> NewRecords(const SourcePlan& source, FilesSpec::Format format,
                                                        UnpackedFile file) {
  using Format = FilesSpec::Format;
  if (format == Format::kParquet) return ParquetInMemory(source, std::move(file));
  if (format == Format::kXml) return NewXmlRecords(source, std::move(file.content));
  TM_ASSIGN_OR_RETURN(std::unique_ptr<FileContent> content, InUtf8(std::move(file), source.files->encoding));
  if (format == Format::kCsv) return NewCsvRecords(source, source.files->delimiter, std::move(content));
  if (format == Format::kJson) return NewJsonArrayRecords(std::move(content));
  return NewJsonLineRecords(std::move(content));
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
