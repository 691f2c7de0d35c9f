#include "src/landing/manifest.h"

#include <algorithm>
#include <set>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <google/protobuf/util/json_util.h>
#include <xxhash.h>

#include "src/base/sha256.h"
#include "src/base/status.h"
#include "src/landing/name_pattern.h"

namespace tidemark {
namespace {

using packed::FileManifest;
using packed::SetMember;

constexpr int64_t kMostManifestBytes = int64_t{16} << 20;
constexpr int kMostFiles = 10'000;
constexpr int64_t kPiece = int64_t{1} << 20;

std::string FolderOf(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? "" : std::string(name.substr(0, slash + 1));
}

bool StaysBelow(std::string_view name) {
  for (const absl::string_view part : absl::StrSplit(absl::string_view(name.data(), name.size()), '/')) {
    if (part.empty() || part[0] == '.') return false;
  }
  return true;
}

absl::Status CheckFile(const FileManifest::File& file, const FilesSpec& spec, const std::string& in_zone) {
  const auto refuse = [&](auto&&... why) {
    return absl::InvalidArgumentError(absl::StrCat("the manifest names '", file.name(), "', ", why...));
  };
  if (!StaysBelow(file.name())) return refuse("which is no name of a file in its folder or below");
  if (IsManifest(spec, in_zone)) return refuse("which is a manifest itself");
  if (!MatchesNames(NamePattern::Parse(spec.path).names, in_zone)) return refuse("which `path` doesn't mean");
  if (!file.has_bytes() && file.sha256().empty()) return refuse("and neither its `bytes` nor its `sha256`");
  const bool digits = std::all_of(file.sha256().begin(), file.sha256().end(),
                                  [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
  if (!file.sha256().empty() && (file.sha256().size() != 64 || !digits)) return refuse("whose sha256 isn't 64 digits");
  if (file.bytes() < 0 || file.rows() < 0) return refuse("of which less than nothing is expected");
  return absl::OkStatus();
}

}  // namespace

bool IsManifest(const FilesSpec& spec, std::string_view name) {
  return !spec.manifest.empty() && MatchesNames(spec.manifest, name.substr(name.rfind('/') + 1));
}

absl::StatusOr<FileManifest> ReadManifest(LandingZone& zone, const FilesSpec& spec, const std::string& name) {
  TM_ASSIGN_OR_RETURN(const auto file, zone.Open(name));
  const auto bytes = file->ReadAt(0, kMostManifestBytes);
  if (!bytes.ok()) return absl::UnavailableError(absl::StrCat(name, ": ", bytes.status().message()));
  if ((*bytes)->size() == kMostManifestBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a manifest may have ", kMostManifestBytes >> 20, " MiB"));
  }
  FileManifest manifest;
  const auto text = static_cast<std::string_view>(**bytes);
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(google::protobuf::StringPiece(text.data(), text.size()), &manifest);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("it is no manifest ({\"files\": [{\"name\": ..., \"bytes\": ..., ",
                     "\"sha256\": ..., \"rows\": ...}, ...], \"rows\": ...}): ", parsed.message().ToString()));
  }
  if (manifest.files_size() == 0 || manifest.files_size() > kMostFiles) {
    return absl::InvalidArgumentError(absl::StrCat("a manifest names 1 to ", kMostFiles, " files"));
  }
  std::set<std::string> names;
  for (FileManifest::File& each : *manifest.mutable_files()) {
    const std::string in_zone = FolderOf(name) + each.name();
    TM_RETURN_IF_ERROR(CheckFile(each, spec, in_zone));
    if (!names.insert(in_zone).second) {
      return absl::InvalidArgumentError(absl::StrCat("the manifest names '", each.name(), "' twice"));
    }
    each.set_name(in_zone);
  }
  return manifest;
}

std::string WhyNotWhole(const FileManifest& manifest, const std::map<std::string, LandedFile>& landed) {
  for (const FileManifest::File& file : manifest.files()) {
    const auto found = landed.find(file.name());
    if (found == landed.end()) return absl::StrCat("the file ", file.name(), " isn't there");
    if (!file.has_bytes() || file.bytes() == found->second.size) continue;
    return absl::StrCat("the file ", file.name(), " has ", found->second.size, " bytes, and is to have ", file.bytes());
  }
  return "";
}

SetRecords::SetRecords(const SourcePlan& source, LandingZone* zone, FileManifest manifest, bool check)
    : source_(source), zone_(*zone), manifest_(std::move(manifest)), check_(check) {}
SetRecords::~SetRecords() = default;

// Records of one file alone, so that `member` is that of all of them.
absl::StatusOr<bool> SetRecords::Read(int64_t bytes, std::vector<FileRecord>* out) {
  const size_t before = out->size();
  while (out->size() == before) {
    if (records_ == nullptr) {
      if (next_ == manifest_.files_size()) break;
      TM_RETURN_IF_ERROR(Begin());
    }
    const absl::StatusOr<bool> more = records_->Read(bytes, out);
    if (!more.ok()) return absl::Status(more.status().code(), absl::StrCat(member_, ": ", more.status().message()));
    rows_ += static_cast<int64_t>(out->size() - before);
    if (!*more) TM_RETURN_IF_ERROR(End());
    if (out->size() > before) return true;
  }
  if (manifest_.has_rows() && manifest_.rows() != rows_) {
    return absl::InvalidArgumentError(
        absl::StrCat("its files have ", rows_, " records, and are to have ", manifest_.rows()));
  }
  return false;
}

absl::Status SetRecords::Begin() {
  const FileManifest::File& file = manifest_.files(next_);
  member_ = file.name();
  TM_ASSIGN_OR_RETURN(const LandedFile landed, zone_.Stat(member_));
  if (file.has_bytes() && file.bytes() != landed.size) {
    return absl::InvalidArgumentError(
        absl::StrCat(member_, ": it has ", landed.size, " bytes, and is to have ", file.bytes()));
  }
  if (check_ && !file.sha256().empty()) TM_RETURN_IF_ERROR(CheckSum(landed));
  TM_ASSIGN_OR_RETURN(auto opened, zone_.Open(member_));
  absl::StatusOr<std::unique_ptr<FileRecords>> records = FileRecords::Open(source_, member_, std::move(opened));
  if (!records.ok()) {
    return absl::Status(records.status().code(), absl::StrCat(member_, ": ", records.status().message()));
  }
  records_ = *std::move(records);
  rows_before_ = rows_;
  SetMember& member = members_.emplace_back();
  member.set_name(member_);
  member.set_size(landed.size);
  member.set_modified_ns(landed.modified_ns);
  member.set_etag(landed.etag);
  return absl::OkStatus();
}

absl::Status SetRecords::End() {
  const FileManifest::File& file = manifest_.files(next_++);
  members_.back().set_hash(records_->hash());
  records_.reset();
  if (!file.has_rows() || file.rows() == rows_ - rows_before_) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(member_, ": it has ", rows_ - rows_before_, " records, and is to have ", file.rows()));
}

absl::Status SetRecords::CheckSum(const LandedFile& landed) {
  TM_ASSIGN_OR_RETURN(const auto file, zone_.Open(member_));
  Sha256Sum sum;
  for (int64_t at = 0; at < landed.size;) {
    const auto piece = file->ReadAt(at, kPiece);
    if (!piece.ok()) return absl::UnavailableError(absl::StrCat(member_, ": ", piece.status().message()));
    if ((*piece)->size() == 0) break;
    sum.Add(static_cast<std::string_view>(**piece));
    at += (*piece)->size();
  }
  const std::string digits = sum.HexDigits();
  const std::string& expected = manifest_.files(next_).sha256();
  if (digits == absl::AsciiStrToLower(expected)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(member_, ": its sha256 is ", digits, ", and is to be ", expected));
}

// Of all that a reading follows: what the manifest says, and its files in its order. The same set under a manifest that
// says it in other words has another one.
std::string SetRecords::hash() const {
  std::string all = manifest_.SerializeAsString();
  for (const SetMember& member : members_) absl::StrAppend(&all, "\n", member.name(), "\n", member.hash());
  const XXH128_hash_t hash = XXH3_128bits(all.data(), all.size());
  return absl::StrCat(absl::Hex(hash.high64, absl::kZeroPad16), absl::Hex(hash.low64, absl::kZeroPad16));
}

}  // namespace tidemark
