// Files that land in a folder, as a source of an intake (intake.h): one split. Which files there are, whether they are
// whole, in which order they are taken, what is known of each, and what becomes of it when its rows are in for good.
//
//   look     the zone is listed every `look_every` (file_look.h). Files that a note knows as they are (name, size,
//   time)
//            are done with, and moved away if that hasn't happened; the others are queued, sorted by name.
//   check    a file is read to its end before its first row goes out: it must be readable as a whole, or it is rejected
//            as a whole. That gives its hash, too: the same content again under its name is skipped, another content is
//            a new version.
//   copy     where `raw` or `archive` ask for it, before the first row (src/landing/file_copies.h).
//   read     its records go out; those that can't become rows are dead letters with file and line. The position is
//            (file with size, time and hash, records of it), so a takeover goes on in the middle of a file.
//   note     behind its last record stands a note of the file, in the same transaction. Committed notes are what is
//            known (file_notes.h); nothing that isn't committed is acted upon.
//   move     after the commit, and again after each takeover, where the file still lies there as its note says
//            (file_settling.h).
//
// With `manifest` a set of files (src/landing/manifest.h) is what a file is above: it is taken when the manifest is
// there and all that it names, rejected when that isn't so by its deadline, and noted under the manifest's name. Files
// that no manifest names wait for one. Each file of it has a note of its own, and by these it is known what was read,
// however manifests are written: a set of which all came in with this manifest is skipped, one of which some came in is
// rejected. Since when a set that isn't whole is waited for is noted too, once, and forgotten when it is whole or
// decided: so its deadline is one, however often another worker takes over.
//
// A file that isn't any more what its check has seen breaks the contract of the landing zone: while none of its rows
// are committed, they are dropped and it is taken anew; afterwards it is an error, or with `on_data_loss: skip` noted
// as broken.
//
// Used by one thread, except Interrupt.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include "proto/files.pb.h"
#include "src/base/clock.h"
#include "src/landing/file_copies.h"
#include "src/landing/file_records.h"
#include "src/landing/landing_zone.h"
#include "src/landing/manifest.h"
#include "src/landing/record_check.h"
#include "src/runtime/file_look.h"
#include "src/runtime/file_notes.h"
#include "src/runtime/file_settling.h"
#include "src/runtime/intake.h"
#include "src/runtime/split_intake.h"

namespace tidemark {

class FileSource final : public IntakeSource {
 public:
  // Waits for so many microseconds, or until it is interrupted; for tests to replace.
  using Wait = std::function<void(int64_t us)>;
  // What outlives it: the source's plan, formats, clock.
  FileSource(const SourcePlan& plan, const Formats& formats, Clock* clock, std::unique_ptr<LandingZone> zone,
             std::unique_ptr<FileCopies> copies, Wait wait = nullptr);
  ~FileSource() override;

  std::string Of(const std::string& position) const override;
  absl::Status Open(const std::string& position, IntakeNotes notes) override;
  absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t max_wait_us, int64_t max_bytes) override;
  absl::Status Committed(const std::string& position) override;
  void Interrupt() override;

 private:
  // A file that is being checked, or read.
  struct Work {
    LandedFile file;
    std::unique_ptr<FileRecords> records;
    std::string hash;                        // of the check; "" before its end
    int64_t rows = 0, refused = 0;           // so far
    int64_t line = 0;                        // of the last record
    int64_t records_of_file = 0;             // of the check; 0 before its end
    int64_t skip = 0;                        // so many of its next records are among them already
    bool copied = false;                     // its copies stand
    bool given = false;                      // some of its records are with Poll's caller ...
    bool committed = false;                  // ... or in for good
    std::string first_refusal;               // "line 7: ..."
    std::vector<packed::SetMember> members;  // of a set, as they were seen at a look
  };

  absl::StatusOr<std::unique_ptr<FileRecords>> OpenRecords(const std::string& name, bool check);
  bool WasReadBefore(const SetRecords& set) const;
  std::string WhyReadBefore(const SetRecords& set) const;
  absl::StatusOr<bool> StillThere(const SetRecords& set);
  absl::Status Begin();
  absl::StatusOr<std::optional<IntakeRows>> Check(int64_t max_bytes);
  absl::StatusOr<IntakeRows> Checked();
  absl::Status Copy(int64_t max_bytes);
  absl::StatusOr<std::optional<IntakeRows>> Read(int64_t max_bytes);
  absl::StatusOr<std::optional<IntakeRows>> ReadToEnd(IntakeRows rows);
  absl::StatusOr<std::optional<IntakeRows>> Broke(const std::string& why);
  IntakeRows Note(packed::FileNote note);
  IntakeRows Reject(const std::string& reason);
  absl::Status Decode(const std::vector<FileRecord>& records, std::vector<std::string>* reasons);
  std::string PlaceOf(const Work& work) const;
  HeaderList Place(const Work& work) const;
  bool InHand(const LandedFile& file) const;
  int32_t PartitionOf(const std::string& name) const;

  const SourcePlan& plan_;
  const Formats& formats_;
  Clock* const clock_;
  const std::unique_ptr<LandingZone> zone_;
  const std::unique_ptr<FileCopies> copies_;
  const Wait wait_;
  const SourcePlan checked_;  // as rows are checked here: how far ahead they are, the topic's reader judges
  const bool with_batch_;     // records tell which content of their file they are of, and how many that has
  const bool with_time_;      // records need a time of their own: the file's

  std::unique_ptr<RecordCheck> check_;
  FileNotes notes_;
  FileSettling settling_;
  FileLook look_;
  std::vector<IntakeNote> to_note_;  // of what is awaited
  std::deque<FoundFile> queue_;
  std::optional<Work> checking_, reading_;

  absl::Mutex mutex_;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
};

// Of the source's folder: for IntakeThread.
SplitIntake::SourceMaker FileSourceMaker(const Runtime& runtime, const SourcePlan& plan);

}  // namespace tidemark
