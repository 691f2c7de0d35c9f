#include "src/landing/file_copies.h"

#include <random>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/strip.h>
#include <absl/time/civil_time.h>
#include <absl/time/time.h>
#include <arrow/io/interfaces.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/landing/name_pattern.h"

namespace tidemark {
namespace {

constexpr char kStaging[] = "_staging";

// What stands there isn't ours to judge: a right may be given, a disk mounted.
absl::Status Away(const char* what, const absl::Status& status) {
  if (status.ok() || absl::IsFailedPrecondition(status)) return status;
  return absl::UnavailableError(absl::StrCat(what, ": ", std::string(status.message())));
}

// The file itself can't be read any more as its check has read it.
absl::Status OfFile(const LandedFile& file, const absl::Status& status) {
  if (!absl::IsInvalidArgument(status) && !absl::IsNotFound(status)) return status;
  return absl::AbortedError(absl::StrCat("the file ", file.name, " was changed before it was copied"));
}

}  // namespace

struct FileCopies::Place {
  const char* what;  // for messages
  std::string path;
  bool decrypted;
  std::unique_ptr<ObjectStore> store;  // once opened
};

struct FileCopies::Writing {
  std::unique_ptr<FileContent> content;
  std::string staged, name;
  std::shared_ptr<arrow::io::OutputStream> stream;
};

FileCopies::FileCopies(const FilesSpec& spec, std::string owner, OpenStore open)
    : decrypt_(spec.decrypt), owner_(std::move(owner)), open_(std::move(open)) {
  if (!spec.archive.empty()) places_.push_back(std::make_unique<Place>(Place{"archive", spec.archive, false, nullptr}));
  if (!spec.raw.empty()) places_.push_back(std::make_unique<Place>(Place{"raw", spec.raw, true, nullptr}));
}

FileCopies::~FileCopies() { Abandon(); }

absl::StatusOr<bool> FileCopies::Copy(LandingZone& zone, const LandedFile& file, const std::string& hash,
                                      int64_t max_bytes) {
  if (const std::string copying = absl::StrCat(file.name, "\n", hash); copying != copying_) {
    Abandon();
    done_ = 0;
    copying_ = copying;
  }
  if (done_ == places_.size()) return false;
  Place& place = *places_[done_];
  absl::StatusOr<bool> more = CopyTo(place, zone, file, hash, max_bytes);
  if (!more.ok()) {
    Abandon();  // what has failed isn't used again
    return more.status();
  }
  if (*more) return true;
  writing_.reset();
  return ++done_ < places_.size();
}

absl::StatusOr<bool> FileCopies::CopyTo(Place& place, LandingZone& zone, const LandedFile& file,
                                        const std::string& hash, int64_t max_bytes) {
  if (place.store == nullptr) TM_RETURN_IF_ERROR(Away(place.what, Open(place)));
  if (writing_ == nullptr) TM_RETURN_IF_ERROR(Begin(place, zone, file, hash));
  std::string piece;
  for (int64_t copied = 0; copied < max_bytes; copied += static_cast<int64_t>(piece.size())) {
    piece.clear();
    const absl::StatusOr<bool> more = writing_->content->Read(&piece);
    if (!more.ok()) return OfFile(file, more.status());
    const arrow::Status written = writing_->stream->Write(piece.data(), static_cast<int64_t>(piece.size()));
    if (!written.ok()) return Away(place.what, FromArrow(written, writing_->staged));
    if (*more) continue;
    TM_RETURN_IF_ERROR(Finish(place, hash));
    return false;
  }
  return true;
}

// As far as the place still answers; what is left there goes when a successor begins.
void FileCopies::Abandon() {
  if (writing_ == nullptr) return;
  (void)writing_->stream->Abort();
  (void)places_[done_]->store->Delete(writing_->staged);
  writing_.reset();
}

// Whatever is staged there by the owner was left by one that is gone.
absl::Status FileCopies::Open(Place& place) {
  TM_ASSIGN_OR_RETURN(std::unique_ptr<ObjectStore> store, open_(place.path));
  TM_ASSIGN_OR_RETURN(const std::vector<std::string> left, store->List(kStaging, absl::StrCat(owner_, ".")));
  for (const std::string& name : left) TM_RETURN_IF_ERROR(store->Delete(name));
  place.store = std::move(store);
  return absl::OkStatus();
}

absl::Status FileCopies::Begin(Place& place, LandingZone& zone, const LandedFile& file, const std::string& hash) {
  absl::StatusOr<std::shared_ptr<arrow::io::RandomAccessFile>> opened = zone.Open(file.name);
  if (!opened.ok()) return OfFile(file, opened.status());
  auto writing = std::make_unique<Writing>();
  int layers = 0;
  if (place.decrypted) {
    absl::StatusOr<DecryptedFile> decrypted = OpenDecrypted(*opened, decrypt_);
    if (!decrypted.ok()) return OfFile(file, decrypted.status());
    writing->content = std::move(decrypted->content);
    layers = decrypted->layers;
  } else {
    writing->content = OpenAsItCame(*std::move(opened));
  }
  writing->name = CopyName(file, hash, layers);
  std::random_device random;  // no two attempts write to one name
  writing->staged = absl::StrFormat("%s/%s.%08x%08x", kStaging, owner_, random(), random());
  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> stream = place.store->Create(writing->staged);
  if (!stream.ok()) return Away(place.what, stream.status());
  writing->stream = *std::move(stream);
  writing_ = std::move(writing);
  return absl::OkStatus();
}

absl::Status FileCopies::Finish(Place& place, const std::string& hash) {
  TM_RETURN_IF_ERROR(Away(place.what, FromArrow(writing_->stream->Close(), writing_->staged)));
  if (writing_->content->hash() != hash) {
    return absl::AbortedError(absl::StrCat("what is copied to ", writing_->name, " was changed after its check"));
  }
  TM_RETURN_IF_ERROR(Away(place.what, place.store->Sync(writing_->staged)));
  const absl::Status moved = place.store->Move(writing_->staged, writing_->name);
  if (moved.ok()) LOG(INFO) << place.what << ": " << place.path << "/" << writing_->name << " stands";
  return Away(place.what, moved);
}

std::string CopyName(const LandedFile& file, const std::string& hash, int layers) {
  absl::string_view name = file.name;
  while (layers-- > 0) {
    for (const char* end : {".gpg", ".pgp", ".asc", ".gz", ".zst", ".bz2", ".lz4", ".xz"}) {
      if (absl::ConsumeSuffix(&name, end)) break;
    }
  }
  const absl::CivilDay day = absl::ToCivilDay(absl::FromUnixNanos(file.modified_ns), absl::UTCTimeZone());
  return absl::StrCat("date=", absl::FormatCivilTime(day), "/", VersionedName(std::string(name), hash.substr(0, 16)));
}

}  // namespace tidemark
