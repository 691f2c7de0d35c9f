// What is known of the files of a source (file_source.h): the notes that stand behind their rows, those that are with
// the intake and not committed yet, since when sets that aren't whole are awaited, and how far the order of a folder
// has come. Used by the source's thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "proto/files.pb.h"
#include "src/landing/landing_zone.h"
#include "src/runtime/intake.h"

namespace tidemark {

// Some content has been read under the name. `note` may be null: nothing is known of it.
bool WasRead(const packed::FileNote* note);
bool IsAsNoted(const LandedFile& file, const packed::FileNote& note);
// "": it lies in none.
std::string FolderOfFile(std::string_view name);

class FileNotes {
 public:
  using ByName = std::map<std::string, packed::FileNote>;

  // What was committed before.
  absl::Status Load(const IntakeNotes& notes);

  // The newest note of the file, committed or not; null: there is none.
  const packed::FileNote* Find(const std::string& name) const;
  const ByName& committed() const { return committed_; }
  // Given to the intake since the last commit.
  const ByName& reported() const { return reported_; }
  // The name that was read last in a folder, of all notes; null: none was.
  const std::string* LastReadIn(const std::string& folder) const;

  void Report(const std::string& name, packed::FileNote note);
  // What was reported is committed. Returns the names.
  std::set<std::string> Commit();

  // Since when the set of this manifest is awaited (wall clock), which is noted by `notes` if it wasn't before.
  int64_t AwaitedSince(const LandedFile& manifest, int64_t now_us, std::vector<IntakeNote>* notes);
  void ForgetAwaited(const std::string& manifest, std::vector<IntakeNote>* notes);
  // The names of the manifests.
  std::vector<std::string> Awaited() const;

 private:
  void TakeOrder(const std::string& name);

  ByName committed_, reported_;
  ByName awaited_;                                // by manifest
  std::map<std::string, std::string> last_read_;  // by folder
};

}  // namespace tidemark
