// Copies of files that landed, for whoever needs them later: `archive` keeps each as it came, `raw` as it was before it
// was encrypted. A copy is made between a file's check and its first row, so whatever is noted as read has its copies,
// and what was rejected has none. What makes it the same however often it is made:
//
//   - Its name follows from the file alone: the day of its time (UTC), its name, its content's hash. Another version of
//     the file is another copy.
//   - It is written under a name of this attempt's own in `_staging`, hashed as it is read, and gets its final name
//   only
//     where the hash is that of the check. A final name that is there already has the same bytes, or is an error.
//   - What a crash has left in `_staging` goes when a successor begins. Where two believe to be the reader, one may
//     lose its staged file to the other, and makes it anew.
//
// Used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/landing/content.h"
#include "src/landing/landing_zone.h"
#include "src/storage/object_store.h"

namespace tidemark {

class FileCopies {
 public:
  using OpenStore = std::function<absl::StatusOr<std::unique_ptr<ObjectStore>>(const std::string& path)>;

  // `owner`: what no other source has in its place of staged files, and what no other's begins with before a '.':
  // "KEY.SOURCE" (src/base/application.h). What is staged under "OWNER." is the owner's, and nobody else's.
  FileCopies(const FilesSpec& spec, std::string owner, OpenStore open = OpenObjectStore);
  ~FileCopies();

  // Copies some more of the file, whose content has the hash, about `max_bytes`; false once all copies stand. After an
  // error, or with another file, it begins with the first copy that doesn't stand yet. Aborted: it isn't the content
  // that was checked. Unavailable: a place, or the file, is away.
  absl::StatusOr<bool> Copy(LandingZone& zone, const LandedFile& file, const std::string& hash, int64_t max_bytes);

 private:
  struct Place;
  struct Writing;

  absl::Status Open(Place& place);
  absl::StatusOr<bool> CopyTo(Place& place, LandingZone& zone, const LandedFile& file, const std::string& hash,
                              int64_t max_bytes);
  absl::Status Begin(Place& place, LandingZone& zone, const LandedFile& file, const std::string& hash);
  absl::Status Finish(Place& place, const std::string& hash);
  void Abandon();

  const FilesSpec::Decrypt decrypt_;
  const std::string owner_;
  const OpenStore open_;
  std::vector<std::unique_ptr<Place>> places_;
  std::string copying_;               // of which file and content
  size_t done_ = 0;                   // so many places have it
  std::unique_ptr<Writing> writing_;  // to the next one; none: not begun
};

// "date=2026-11-29/a/rates~1f3c9d02aa64bf01.csv.gz", of a/rates.csv.gz.gpg where one layer was taken off.
std::string CopyName(const LandedFile& file, const std::string& hash, int layers);

}  // namespace tidemark
