// Moves the files of a source away whose notes are committed (file_source.h): to those that were processed or to those
// that were rejected, with a text that says why. Again after each takeover, where a file still lies there as its note
// says; redoing it is harmless. Used by the source's thread.
#pragma once

#include <functional>
#include <set>
#include <string>

#include <absl/status/status.h>

#include "proto/files.pb.h"
#include "src/landing/landing_zone.h"
#include "src/runtime/file_notes.h"

namespace tidemark {

class FileSettling {
 public:
  // What outlives it. `in_hand`: the file is one of a set that waits, or is being checked or read.
  FileSettling(std::string source, LandingZone* zone, const FileNotes* notes,
               std::function<bool(const LandedFile&)> in_hand);

  // One file, and all of its set.
  absl::Status Settle(const std::string& name, const packed::FileNote& note);
  // These, whose notes are committed now, and those that an error has left over from earlier calls.
  absl::Status SettleAll(std::set<std::string> names);

 private:
  absl::Status SettleRejected(const LandedFile& file, const std::string& set, const packed::FileNote& note);
  std::string ReasonOf(const std::string& name, const packed::FileNote& note, const std::string& of) const;

  const std::string source_;
  LandingZone& zone_;
  const FileNotes& notes_;
  const std::function<bool(const LandedFile&)> in_hand_;
  std::set<std::string> left_;  // not moved yet
};

}  // namespace tidemark
