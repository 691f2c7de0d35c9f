// Files that land as objects in S3. An object appears whole, so there is nothing to wait for. S3 has no rename: a move
// copies, then deletes, and a crash or a lost answer between the two leaves both, of which the next one deletes the
// first. The object is looked at before and after the copy: where another one has taken its name, that one stays, to be
// read, and whatever was copied of it is the content that its own move finds. An object that is put under the same name
// between the last look and the delete would be lost: S3 has no delete that asks (docs/files.md says so).
//
// An object that stays where it is may be replaced by one of equal size within the second that its time has: a listing
// doesn't tell those apart, and no move looks at it. So it is looked at once more, by each process, when that second is
// over for sure: at least kSettledUs after this process heard for the first time that it was read, as S3's clock may be
// another. At most kLooks a listing, so that many objects of former runs hold nothing up.
#include <algorithm>
#include <map>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/landing/landing_zone.h"
#include "src/landing/manifest.h"
#include "src/landing/name_pattern.h"

namespace tidemark {
namespace {

constexpr int64_t kSettledUs = 2 * kSecond;
constexpr int kLooks = 50;

// "s3://bucket/prefix/" as objects have it in front of their names.
std::string FolderOf(const std::string& url) {
  std::string folder = url.substr(std::string_view("s3://").size());
  while (!folder.empty() && folder.back() == '/') folder.pop_back();
  return folder;
}

// A part that begins with a dot is no file's that is meant; nor is one that isn't a name in a folder.
bool IsHidden(const std::string& name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  return std::any_of(parts.begin(), parts.end(), [](absl::string_view p) { return p.empty() || p[0] == '.'; });
}

class ObjectLandingZone final : public LandingZone {
 public:
  ObjectLandingZone(const FilesSpec& spec, std::unique_ptr<Objects> objects, Clock* clock)
      : spec_(spec),
        pattern_(NamePattern::Parse(spec.path)),
        folder_(FolderOf(pattern_.folder)),
        processed_(spec.processed.empty() ? "" : FolderOf(spec.processed)),
        rejected_(spec.rejected.empty() ? "" : FolderOf(spec.rejected)),
        objects_(std::move(objects)),
        clock_(clock) {
    for (const std::string& other : {spec.processed, spec.rejected, spec.raw, spec.archive}) {
      if (absl::StartsWith(other, "s3://")) others_.push_back(FolderOf(other));
    }
  }

  absl::StatusOr<std::vector<LandedFile>> List() override {
    TM_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, objects_->List(folder_));
    std::vector<LandedFile> found;
    std::map<std::string, LandedFile> known;
    for (const ObjectInfo& object : objects) {
      // What was moved away, or copied, below the folder isn't landing again.
      const bool other = std::any_of(others_.begin(), others_.end(),
                                     [&](const std::string& folder) { return IsIn(folder, object.name); });
      if (other || !IsIn(folder_, object.name)) continue;
      LandedFile file{object.name.substr(folder_.size() + 1), object.size, object.modified_ns, object.etag};
      if (IsHidden(file.name)) continue;
      if (!MatchesNames(pattern_.names, file.name) && !IsManifest(spec_, file.name)) continue;
      if (const auto before = known_.find(file.name); before != known_.end() && before->second.IsSameAs(file)) {
        file.etag = before->second.etag;
        known.insert(*before);
      }
      found.push_back(std::move(file));
    }
    known_ = std::move(known);
    looks_ = 0;
    const auto by_name = [](const LandedFile& a, const LandedFile& b) { return a.name < b.name; };
    std::sort(found.begin(), found.end(), by_name);
    std::erase_if(staying_, [&](const auto& each) {
      return !std::binary_search(found.begin(), found.end(), LandedFile{each.first, 0, 0, ""}, by_name);
    });
    return found;
  }

  absl::StatusOr<LandedFile> Stat(const std::string& name) override {
    TM_ASSIGN_OR_RETURN(const ObjectInfo object, objects_->Stat(Landing(name)));
    return known_[name] = LandedFile{name, object.size, object.modified_ns, object.etag};
  }

  absl::StatusOr<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& name) override {
    return objects_->Open(Landing(name));
  }

  absl::Status MoveToProcessed(const LandedFile& file, const std::string& version) override {
    return processed_.empty() ? Settle(file) : Move(file, processed_, version, "");
  }
  absl::Status MoveToRejected(const LandedFile& file, const std::string& version, const std::string& reason) override {
    return rejected_.empty() ? Settle(file) : Move(file, rejected_, version, reason);
  }

 private:
  std::string Landing(const std::string& name) const { return absl::StrCat(folder_, "/", name); }

  static bool IsIn(const std::string& folder, const std::string& name) {
    return !folder.empty() && name.size() > folder.size() + 1 && name[folder.size()] == '/' &&
           absl::StartsWith(name, folder);
  }

  // Of an object that stays: whether it is still the one that was read. What is there now the next listing tells.
  absl::Status Settle(const LandedFile& file) {
    if (file.etag.empty()) return absl::OkStatus();
    const int64_t now = clock_->MonotonicUs();
    Staying& staying = staying_[file.name];
    if (staying.etag != file.etag) staying = {file.etag, now, false};
    if (staying.settled || now - staying.since_us < kSettledUs || looks_ >= kLooks) return absl::OkStatus();
    ++looks_;
    const absl::StatusOr<LandedFile> there = Stat(file.name);
    if (!there.ok() && !absl::IsNotFound(there.status())) return there.status();
    staying.settled = true;
    return absl::OkStatus();
  }

  // False: it is gone, or another one has its name.
  absl::StatusOr<bool> IsThere(const LandedFile& file) {
    const absl::StatusOr<LandedFile> now = Stat(file.name);
    if (absl::IsNotFound(now.status())) return false;
    TM_RETURN_IF_ERROR(now.status());
    return now->IsSameAs(file);
  }

  // A name that another content has already gets the version.
  absl::StatusOr<std::string> TargetIn(const std::string& root, const LandedFile& file, const std::string& version) {
    const std::string to = absl::StrCat(root, "/", file.name);
    const absl::StatusOr<ObjectInfo> taken = objects_->Stat(to);
    if (absl::IsNotFound(taken.status())) return to;
    TM_RETURN_IF_ERROR(taken.status());
    const std::string versioned = absl::StrCat(root, "/", VersionedName(file.name, version));
    if (taken->size != file.size) return versioned;
    TM_ASSIGN_OR_RETURN(const bool same, objects_->SameContent(Landing(file.name), to));
    return same ? to : versioned;
  }

  absl::Status Move(const LandedFile& file, const std::string& root, const std::string& version,
                    const std::string& reason) {
    TM_ASSIGN_OR_RETURN(const bool there, IsThere(file));
    if (!there) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(const std::string to, TargetIn(root, file, version));
    if (!reason.empty()) TM_RETURN_IF_ERROR(objects_->Put(to + ".reason.json", reason));
    TM_RETURN_IF_ERROR(objects_->Copy(Landing(file.name), to));
    TM_ASSIGN_OR_RETURN(const bool still_there, IsThere(file));
    return still_there ? objects_->Delete(Landing(file.name)) : absl::OkStatus();
  }

  const FilesSpec spec_;
  const NamePattern pattern_;
  const std::string folder_, processed_, rejected_;  // as names of objects begin
  std::vector<std::string> others_;                  // likewise: where files are moved or copied to
  const std::unique_ptr<Objects> objects_;
  Clock* const clock_;
  std::map<std::string, LandedFile> known_;  // as Stat has seen them
  struct Staying {
    std::string etag;
    int64_t since_us = 0;  // monotonic
    bool settled = false;  // looked at since
  };
  std::map<std::string, Staying> staying_;  // by name: what was read and isn't moved away
  int looks_ = 0;                           // since the last listing
};

}  // namespace

std::unique_ptr<LandingZone> NewObjectLandingZone(const FilesSpec& spec, std::unique_ptr<Objects> objects,
                                                  Clock* clock) {
  return std::make_unique<ObjectLandingZone>(spec, std::move(objects), clock);
}

}  // namespace tidemark
