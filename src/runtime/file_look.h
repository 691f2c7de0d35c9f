// What a look at the landing zone finds for a file source (file_source.h): which files are to be taken, in which order,
// and which sets of files aren't whole yet. A file is taken once it is whole, as the source says what that means, and a
// set once all that its manifest names is there; a set that isn't whole by its deadline, and a file that comes behind
// the order that is kept to, are found to be rejected. Files that a note knows as they are are moved away, if that
// hasn't happened.
//
// Used by the source's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "proto/files.pb.h"
#include "src/base/clock.h"
#include "src/landing/landing_zone.h"
#include "src/plan/plan.h"
#include "src/runtime/file_notes.h"
#include "src/runtime/file_settling.h"
#include "src/runtime/intake.h"

namespace tidemark {

struct FoundFile {
  LandedFile file;
  std::string too_late;                    // why it is rejected without a look at it; "": it isn't
  std::vector<packed::SetMember> members;  // of a set
};

class FileLook {
 public:
  // What outlives it.
  FileLook(const SourcePlan& plan, Clock* clock, LandingZone* zone, FileNotes* notes, FileSettling* settling);

  // When the next look is due; monotonic.
  int64_t due_us() const { return due_us_; }
  // Appends what is to be taken, by name, and what is to be noted of sets that are awaited.
  absl::Status Look(std::deque<FoundFile>* found, std::vector<IntakeNote>* notes);

 private:
  // A set that isn't whole yet, and why.
  struct Incomplete {
    LandedFile file;
    packed::FileManifest manifest;
    std::string why;
    int64_t since_us = 0;  // wall clock
  };

  absl::Status LookAtSet(const LandedFile& manifest, const std::map<std::string, LandedFile>& landed,
                         std::deque<FoundFile>* found, std::vector<IntakeNote>* notes);
  std::string WhyTooLate(const std::string& name) const;

  const SourcePlan& plan_;
  Clock* const clock_;
  LandingZone& zone_;
  FileNotes& notes_;
  FileSettling& settling_;
  int64_t due_us_ = 0;
  std::map<std::string, LandedFile> seen_;        // at the last look, for `unchanged`
  std::map<std::string, Incomplete> incomplete_;  // by manifest
};

}  // namespace tidemark
