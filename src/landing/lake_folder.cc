#include "src/landing/lake_folder.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <arrow/compute/initialize.h>
#include <arrow/filesystem/s3fs.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>

#include "src/base/status.h"
#include "src/storage/s3_access.h"

namespace tidemark {
namespace {

namespace fs = std::filesystem;

constexpr char kS3[] = "s3://";
constexpr char kParquet[] = ".parquet";

}  // namespace

absl::Status GuardedLake(const std::string& file, absl::FunctionRef<arrow::Status()> f) {
  try {
    const arrow::Status status = f();
    if (status.ok()) return absl::OkStatus();
    const std::string text = absl::StrCat("lake file ", file, ": ", status.message());
    return status.IsIOError() ? absl::UnavailableError(text) : absl::FailedPreconditionError(text);
  } catch (const std::exception& e) {
    return absl::FailedPreconditionError(absl::StrCat("lake file ", file, ": ", e.what()));
  }
}

absl::StatusOr<std::shared_ptr<const LakeFolder>> LakeFolder::Reach(const std::string& path) {
  static const arrow::Status initialized = arrow::compute::Initialize();
  TM_RETURN_IF_ERROR(FromArrow(initialized, "Arrow's kernels"));
  std::shared_ptr<LakeFolder> lake(new LakeFolder(path));
  lake->root_ = path;
  if (absl::StartsWith(path, kS3)) {
    TM_ASSIGN_OR_RETURN(S3Place place, ReachS3(path));
    lake->root_ = place.prefix;
    lake->s3_ = std::move(place.files);
  }
  return std::shared_ptr<const LakeFolder>(std::move(lake));
}

absl::StatusOr<std::vector<std::string>> LakeFolder::List() const {
  std::vector<std::string> files;
  if (s3_ != nullptr) {
    arrow::fs::FileSelector selector;
    selector.base_dir = root_;
    selector.recursive = true;
    selector.allow_not_found = true;
    const auto found = s3_->GetFileInfo(selector);
    TM_RETURN_IF_ERROR(S3Status(found.status(), absl::StrCat("lake ", path_)));
    for (const arrow::fs::FileInfo& info : *found) {
      if (info.type() == arrow::fs::FileType::File && absl::EndsWith(info.path(), kParquet)) {
        files.push_back(info.path());
      }
    }
    if (found->empty()) return absl::NotFoundError(absl::StrCat("there is nothing at ", path_));
  } else {
    std::error_code error;
    if (!fs::is_directory(root_, error)) return absl::NotFoundError(absl::StrCat("there is no folder ", path_));
    for (fs::recursive_directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
      if (it->path().extension() == kParquet && it->is_regular_file(error)) files.push_back(it->path().string());
    }
    if (error) return absl::UnavailableError(absl::StrCat("lake ", path_, ": ", error.message()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<std::unique_ptr<parquet::arrow::FileReader>> LakeFolder::Open(const std::string& file) const {
  std::unique_ptr<parquet::arrow::FileReader> reader;
  TM_RETURN_IF_ERROR(GuardedLake(file, [&]() -> arrow::Status {
    std::shared_ptr<arrow::io::RandomAccessFile> input;
    if (s3_ != nullptr) {
      ARROW_ASSIGN_OR_RAISE(input, s3_->OpenInputFile(file));
    } else {
      ARROW_ASSIGN_OR_RAISE(input, arrow::io::ReadableFile::Open(file));
    }
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(std::move(input)));
    ARROW_ASSIGN_OR_RAISE(reader, builder.Build());
    reader->set_use_threads(false);
    return arrow::Status::OK();
  }));
  return reader;
}

std::vector<std::string> LakeFolder::FoldersOf(const std::string& file) const {
  std::vector<std::string> parts =
      absl::StrSplit(fs::path(file).lexically_relative(root_).string(), '/', absl::SkipEmpty());
  if (!parts.empty()) parts.pop_back();
  return parts;
}

}  // namespace tidemark
