#include "src/storage/s3_access.h"

#include <cstdlib>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>

#include "src/base/status.h"
#include "src/storage/backends.h"

namespace tidemark {
namespace {

// S3 copies no more than this by itself.
constexpr int64_t kMostCopied = int64_t{5} << 30;
constexpr int64_t kPieceBytes = int64_t{16} << 20;

const char* Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

// Credentials come from the SDK's own chain. The endpoint's variable is read here, because its scheme is an option
// apart.
absl::StatusOr<arrow::fs::S3Options> Options(const std::string& bucket) {
  auto options = arrow::fs::S3Options::Defaults();
  options.connect_timeout = 5;
  options.request_timeout = 30;
  const char* endpoint = Environment("AWS_ENDPOINT_URL_S3");
  if (endpoint == nullptr) endpoint = Environment("AWS_ENDPOINT_URL");
  if (endpoint != nullptr) {
    const std::string url = endpoint;
    const size_t scheme_end = url.find("://");
    if (scheme_end == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("AWS_ENDPOINT_URL is '", url, "'; expected http://host:port or https://..."));
    }
    options.scheme = url.substr(0, scheme_end);
    options.endpoint_override = url.substr(scheme_end + 3);
    while (!options.endpoint_override.empty() && options.endpoint_override.back() == '/') {
      options.endpoint_override.pop_back();
    }
  }
  if (const char* region = Environment("AWS_REGION")) {
    options.region = region;
  } else if (const char* fallback = Environment("AWS_DEFAULT_REGION")) {
    options.region = fallback;
  } else if (endpoint == nullptr) {
    auto region_of_bucket = arrow::fs::ResolveS3BucketRegion(bucket);
    if (!region_of_bucket.ok())
      return S3Status(region_of_bucket.status(), absl::StrCat("finding the region of bucket ", bucket));
    options.region = *region_of_bucket;
  } else {
    options.region = "us-east-1";
  }
  return options;
}

arrow::Status CopyInPieces(arrow::fs::S3FileSystem& files, const std::string& from, const std::string& to) {
  ARROW_ASSIGN_OR_RAISE(const auto in, files.OpenInputStream(from));
  ARROW_ASSIGN_OR_RAISE(const auto out, files.OpenOutputStream(to));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto piece, in->Read(kPieceBytes));
    if (piece->size() == 0) return out->Close();
    ARROW_RETURN_NOT_OK(out->Write(piece));
  }
}

}  // namespace

// The library keeps the service's error code in the text only.
absl::Status S3Status(const arrow::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(std::string(what), ": ", status.message());
  for (const char* mistake : {"NO_SUCH_BUCKET", "ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH",
                              "INVALID_SIGNATURE", "UNRECOGNIZED_CLIENT", "MISSING_AUTHENTICATION_TOKEN",
                              "Bucket does not exist", "HTTP status 403", "HTTP status 301"}) {
    if (absl::StrContains(message, mistake)) {
      return absl::InvalidArgumentError(absl::StrCat(
          message, "; check the bucket's name, AWS_REGION, AWS_ENDPOINT_URL, the credentials and their rights"));
    }
  }
  return absl::UnavailableError(message);
}

absl::StatusOr<S3Place> ReachS3(const std::string& url) {
  S3Place place;
  place.prefix = url.substr(std::string_view("s3://").size());
  while (!place.prefix.empty() && place.prefix.back() == '/') place.prefix.pop_back();
  place.bucket = place.prefix.substr(0, place.prefix.find('/'));
  if (place.bucket.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(url, ": expected s3://bucket/prefix"));
  }
  TM_RETURN_IF_ERROR(FromArrow(arrow::fs::EnsureS3Initialized(), "starting the S3 library"));
  TM_ASSIGN_OR_RETURN(const auto options, Options(place.bucket));
  auto files = arrow::fs::S3FileSystem::Make(options);
  if (!files.ok()) return S3Status(files.status(), url);
  place.files = *files;
  return place;
}

absl::Status CopyS3(arrow::fs::S3FileSystem& files, const std::string& from, const std::string& to,
                    std::string_view what) {
  const auto info = files.GetFileInfo(from);
  if (!info.ok()) return S3Status(info.status(), what);
  return S3Status(info->size() > kMostCopied ? CopyInPieces(files, from, to) : files.CopyFile(from, to), what);
}

void FinalizeS3Stores() {
  if (arrow::fs::IsS3Initialized()) (void)arrow::fs::EnsureS3Finalized();
}

}  // namespace tidemark
