// Where files land: which there are, their bytes, and moving them away once they are done with. A local folder is one,
// a prefix in S3 another; the simulator has its own. Names are relative to the folder, with '/' between folders. Used
// by one thread.
//
// Codes: Unavailable where the zone or a file's folder can't be used at the moment (it may be mounted again, or get its
// rights), NotFound where a file is gone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/io/type_fwd.h>

#include "src/base/clock.h"
#include "src/plan/plan.h"
#include "src/storage/objects.h"

namespace tidemark {

// A file as it lies there.
struct LandedFile {
  std::string name;
  int64_t size = 0;
  int64_t modified_ns = 0;
  std::string etag;  // of an object in S3, where times are whole seconds; "": there is none, or it isn't known

  // Equal sizes and times mean that it is the same one, and ETags that are known are equal, too.
  bool IsSameAs(const LandedFile& other) const {
    return name == other.name && size == other.size && modified_ns == other.modified_ns &&
           (etag == other.etag || etag.empty() || other.etag.empty());
  }
};

class LandingZone {
 public:
  virtual ~LandingZone() = default;

  // All files that the source means and that are whole, as far as the zone can tell by one look; sorted by name. Their
  // ETags are those that Stat and moves have seen before, where sizes and times are as they were then.
  virtual absl::StatusOr<std::vector<LandedFile>> List() = 0;
  virtual absl::StatusOr<LandedFile> Stat(const std::string& name) = 0;
  virtual absl::StatusOr<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& name) = 0;

  // Moves a file to the folder of those that were processed, or were rejected, with a text beside it that says why.
  // Where there is no such folder, nothing happens, but that a later listing tells of another one in its place that it
  // couldn't tell apart before. Redoing it is harmless: a file that is gone was moved before, and
  // another one in its place stays. `version` tells files of one name and other content apart.
  virtual absl::Status MoveToProcessed(const LandedFile& file, const std::string& version) = 0;
  virtual absl::Status MoveToRejected(const LandedFile& file, const std::string& version,
                                      const std::string& reason) = 0;
};

// In the folders that the spec names, or below the prefixes of S3.
std::unique_ptr<LandingZone> NewLandingZone(const FilesSpec& spec);
std::unique_ptr<LandingZone> NewLocalLandingZone(const FilesSpec& spec);
std::unique_ptr<LandingZone> NewObjectLandingZone(const FilesSpec& spec, std::unique_ptr<Objects> objects,
                                                  Clock* clock = SystemClock());

}  // namespace tidemark
