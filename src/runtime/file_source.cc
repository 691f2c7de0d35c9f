#include "src/runtime/file_source.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <glog/logging.h>
#include <xxhash.h>

#include "src/base/intake_names.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/landing/name_pattern.h"
#include "src/runtime/runtime.h"

namespace tidemark {
namespace {

using packed::FileNote;
using packed::FilePosition;

// `max_ahead` is measured from a row's arrival, which the topic's reader sees; a file's own time says nothing about it.
SourcePlan WithoutMaxAhead(SourcePlan plan) {
  plan.event_time.max_ahead_us = std::numeric_limits<int64_t>::max();
  return plan;
}

}  // namespace

FileSource::FileSource(const SourcePlan& plan, const Formats& formats, Clock* clock, std::unique_ptr<LandingZone> zone,
                       std::unique_ptr<FileCopies> copies, Wait wait)
    : plan_(plan),
      formats_(formats),
      clock_(clock),
      zone_(std::move(zone)),
      copies_(std::move(copies)),
      wait_(wait != nullptr ? std::move(wait) : [this](int64_t us) {
        const absl::MutexLock lock(&mutex_);
        mutex_.AwaitWithTimeout(absl::Condition(&interrupted_), absl::Microseconds(us));
      }),
      checked_(WithoutMaxAhead(plan)),
      with_batch_(std::any_of(plan.columns.begin(), plan.columns.end(),
                              [](const auto& c) {
                                return c.from == SourceColumn::From::kHeader &&
                                       (c.header == kIntakeBatchHeader || c.header == kIntakeRowsHeader);
                              })),
      with_time_((!plan.event_time.column && plan.event_time.expression.empty()) ||
                 std::any_of(plan.columns.begin(), plan.columns.end(),
                             [](const auto& c) { return c.from == SourceColumn::From::kTimestamp; })),
      settling_(plan.name, zone_.get(), &notes_, [this](const LandedFile& file) { return InHand(file); }),
      look_(plan_, clock_, zone_.get(), &notes_, &settling_) {}

FileSource::~FileSource() = default;

std::string FileSource::Of(const std::string& /*position*/) const {
  return absl::StrCat("files of ", NamePattern::Parse(plan_.files->path).folder);
}

absl::Status FileSource::Open(const std::string& position, IntakeNotes notes) {
  TM_ASSIGN_OR_RETURN(check_, RecordCheck::Make(checked_, formats_));
  TM_RETURN_IF_ERROR(notes_.Load(notes));
  FilePosition at;
  if (!at.ParseFromString(position)) return absl::FailedPreconditionError("a strange position in files");
  if (at.name().empty()) return absl::OkStatus();
  Work& work = reading_.emplace();
  work.file = {at.name(), at.size(), at.modified_ns(), at.etag()};
  work.copied = true;  // before its first row
  work.hash = at.hash();
  work.records_of_file = at.records();
  work.line = at.line();
  work.rows = at.rows();
  work.refused = at.refused();
  work.committed = true;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<IntakeRows>> FileSource::Poll(int64_t max_wait_us, int64_t max_bytes) {
  const int64_t until = clock_->MonotonicUs() + max_wait_us;
  do {
    {
      const absl::MutexLock lock(&mutex_);
      if (interrupted_) return absl::UnavailableError("the worker stops");
    }
    if (reading_ && reading_->copied) return Read(max_bytes);
    if (reading_) {
      TM_RETURN_IF_ERROR(Copy(max_bytes));
    } else if (checking_) {
      TM_ASSIGN_OR_RETURN(std::optional<IntakeRows> rows, Check(max_bytes));
      if (rows) return rows;
    } else if (!queue_.empty()) {
      if (!queue_.front().too_late.empty()) {
        Work& work = checking_.emplace();
        work.file = queue_.front().file;
        work.members = std::move(queue_.front().members);
        const std::string reason = queue_.front().too_late;
        queue_.pop_front();
        return Reject(reason);
      }
      TM_RETURN_IF_ERROR(Begin());
    } else if (clock_->MonotonicUs() >= look_.due_us()) {
      TM_RETURN_IF_ERROR(look_.Look(&queue_, &to_note_));
      if (to_note_.empty()) continue;
      IntakeRows rows;  // and no position: nothing is being read
      rows.notes = std::exchange(to_note_, {});
      return rows;
    } else {
      wait_(std::min(look_.due_us(), until) - clock_->MonotonicUs());
    }
  } while (clock_->MonotonicUs() < until);
  return std::nullopt;
}

absl::StatusOr<std::unique_ptr<FileRecords>> FileSource::OpenRecords(const std::string& name, bool check) {
  if (IsManifest(*plan_.files, name)) {
    TM_ASSIGN_OR_RETURN(packed::FileManifest manifest, ReadManifest(*zone_, *plan_.files, name));
    return std::make_unique<SetRecords>(plan_, zone_.get(), std::move(manifest), check);
  }
  TM_ASSIGN_OR_RETURN(auto file, zone_->Open(name));
  return FileRecords::Open(plan_, name, std::move(file));
}

absl::Status FileSource::Begin() {
  const LandedFile file = queue_.front().file;
  const absl::StatusOr<LandedFile> now = zone_->Stat(file.name);
  const bool gone = absl::IsNotFound(now.status()) || (now.ok() && !now->IsSameAs(file));
  if (!gone) TM_RETURN_IF_ERROR(now.status());
  if (!gone) {  // else the next look sees what it is now
    Work& work = checking_.emplace();
    work.file = *now;
    work.members = std::move(queue_.front().members);
  }
  queue_.pop_front();
  return absl::OkStatus();
}

// Some more of the file that is being checked; what becomes of it, once that is known.
absl::StatusOr<std::optional<IntakeRows>> FileSource::Check(int64_t max_bytes) {
  Work& work = *checking_;
  std::vector<FileRecord> records;
  absl::StatusOr<bool> more = true;
  if (work.records == nullptr) {
    absl::StatusOr<std::unique_ptr<FileRecords>> opened = OpenRecords(work.file.name, /*check=*/true);
    if (opened.ok()) work.records = *std::move(opened);
    more = opened.status().ok() ? absl::StatusOr<bool>(true) : opened.status();
  } else {
    more = work.records->Read(max_bytes, &records);
  }
  if (absl::IsNotFound(more.status())) {
    checking_.reset();
    return std::nullopt;
  }
  if (absl::IsInvalidArgument(more.status())) return Reject(std::string(more.status().message()));
  std::vector<std::string> reasons;
  if (const absl::Status decoded = more.ok() ? Decode(records, &reasons) : more.status(); !decoded.ok()) {
    Work again;  // from its beginning
    again.file = work.file;
    again.members = std::move(work.members);
    checking_.emplace(std::move(again));
    return decoded;
  }
  for (size_t i = 0; i < records.size(); ++i) {
    if (reasons[i].empty()) {
      ++work.rows;
      continue;
    }
    ++work.refused;
    if (!work.first_refusal.empty()) continue;
    const std::string_view member = work.records->member();
    work.first_refusal =
        absl::StrCat(std::string(member), member.empty() ? "" : ": ", "line ", records[i].line, ": ", reasons[i]);
  }
  if (*more) return std::nullopt;
  TM_ASSIGN_OR_RETURN(IntakeRows rows, Checked());
  if (rows.notes.empty()) return std::nullopt;
  return rows;
}

// The file can be read. Without a row yet, and maybe without any: either it is to be read now, or it is noted.
absl::StatusOr<IntakeRows> FileSource::Checked() {
  Work& work = *checking_;
  work.hash = work.records->hash();
  const FileNote* const before = notes_.Find(work.file.name);
  bool same = WasRead(before) && before->hash() == work.hash;
  if (const auto* const set = dynamic_cast<const SetRecords*>(work.records.get())) {
    TM_ASSIGN_OR_RETURN(const bool there, StillThere(*set));
    if (!there) {
      checking_.reset();
      return IntakeRows();
    }
    same = WasRead(before) && WasReadBefore(*set);
    if (const std::string why = same ? "" : WhyReadBefore(*set); !why.empty()) return Reject(why);
  }
  if (same) {
    LOG(INFO) << "source " << plan_.name << ": the file " << work.file.name
              << " has come again with the same content, and is skipped";
    FileNote note = *before;
    note.set_outcome(FileNote::SAME);
    return Note(std::move(note));
  }
  if (plan_.files->reject_file && work.refused > 0) {
    return Reject(absl::StrCat(work.first_refusal, "; ", work.refused, " of ", work.rows + work.refused,
                               " records can't be rows"));
  }
  if (WasRead(before)) {
    LOG(WARNING) << "source " << plan_.name << ": the file " << work.file.name
                 << " has come again with another content: version " << before->version() + 1 << " of it";
  }
  Work& reading = reading_.emplace();
  reading.file = work.file;
  reading.members = std::move(work.members);
  reading.hash = work.hash;
  reading.records_of_file = work.rows + work.refused;
  checking_.reset();
  return IntakeRows();
}

// However its manifest is written now: each file of it came in with that, as it is.
bool FileSource::WasReadBefore(const SetRecords& set) const {
  return std::all_of(set.members().begin(), set.members().end(), [&](const packed::SetMember& member) {
    const FileNote* const before = notes_.Find(member.name());
    return before != nullptr && before->manifest() == checking_->file.name && before->hash() == member.hash();
  });
}

// A file is of one set, and of one version of it: its rows would come twice.
std::string FileSource::WhyReadBefore(const SetRecords& set) const {
  for (const packed::SetMember& member : set.members()) {
    const FileNote* const before = notes_.Find(member.name());
    if (before == nullptr || before->hash() != member.hash()) continue;
    return absl::StrCat("the file ", member.name(), " was read before, ",
                        before->manifest().empty() ? "by itself" : "with " + before->manifest(),
                        ": name only what is new or another content");
  }
  return "";
}

absl::StatusOr<bool> FileSource::StillThere(const SetRecords& set) {
  for (const packed::SetMember& member : set.members()) {
    const absl::StatusOr<LandedFile> now = zone_->Stat(member.name());
    if (absl::IsNotFound(now.status())) return false;
    TM_RETURN_IF_ERROR(now.status());
    if (!now->IsSameAs({member.name(), member.size(), member.modified_ns(), member.etag()})) return false;
  }
  return true;
}

// Some more of the copies of the file that is about to be read. Where it isn't what was checked any more, the next look
// sees what it is now.
absl::Status FileSource::Copy(int64_t max_bytes) {
  const absl::StatusOr<bool> more = copies_->Copy(*zone_, reading_->file, reading_->hash, max_bytes);
  if (absl::IsAborted(more.status())) {
    LOG(WARNING) << "source " << plan_.name << ": " << more.status().message();
    reading_.reset();
    return absl::OkStatus();
  }
  if (!more.ok() && !MutationActive(Mutation::kFileReadWithoutItsCopy)) return more.status();
  reading_->copied = !more.ok() || !*more;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<IntakeRows>> FileSource::Read(int64_t max_bytes) {
  Work& work = *reading_;
  if (work.records == nullptr) {
    const absl::StatusOr<LandedFile> now = zone_->Stat(work.file.name);
    if (absl::IsNotFound(now.status())) return Broke("is gone");
    TM_RETURN_IF_ERROR(now.status());
    if (!now->IsSameAs(work.file)) return Broke("was changed");
    absl::StatusOr<std::unique_ptr<FileRecords>> opened = OpenRecords(work.file.name, /*check=*/false);
    if (absl::IsNotFound(opened.status())) return Broke("is gone");
    if (absl::IsInvalidArgument(opened.status())) return Broke("was changed");
    TM_RETURN_IF_ERROR(opened.status());
    work.records = *std::move(opened);
    work.skip = work.rows + work.refused;
  }
  std::vector<FileRecord> records;
  const absl::StatusOr<bool> more = work.records->Read(max_bytes, &records);
  if (absl::IsNotFound(more.status())) return Broke("is gone");
  if (absl::IsInvalidArgument(more.status())) return Broke("was changed");
  const int64_t skipped = std::min<int64_t>(work.skip, static_cast<int64_t>(records.size()));
  records.erase(records.begin(), records.begin() + skipped);
  work.skip -= skipped;
  std::vector<std::string> reasons;
  if (const absl::Status decoded = more.ok() ? Decode(records, &reasons) : more.status(); !decoded.ok()) {
    work.records.reset();  // opened again, and read on behind what was given
    return decoded;
  }
  IntakeRows rows;
  const int32_t partition = PartitionOf(work.file.name);
  const std::string file = PlaceOf(work);
  const HeaderList place_of_all = Place(work);
  for (size_t i = 0; i < records.size(); ++i) {
    FileRecord& record = records[i];
    HeaderList place = place_of_all;
    place.emplace_back(kIntakeLineHeader, absl::StrCat(record.line));
    work.line = record.line;
    if (reasons[i].empty()) {
      ++work.rows;
      rows.records.push_back({partition, std::nullopt, std::move(record.value), std::move(place)});
    } else {
      ++work.refused;
      rows.letters.push_back(
          {std::move(record.value), absl::StrCat(file, ": line ", record.line, ": ", reasons[i]), std::move(place)});
    }
  }
  if (!*more) return ReadToEnd(std::move(rows));
  work.given = true;
  FilePosition next;
  next.set_name(work.file.name);
  next.set_size(work.file.size);
  next.set_modified_ns(work.file.modified_ns);
  next.set_hash(work.hash);
  next.set_line(work.line);
  next.set_rows(work.rows);
  next.set_refused(work.refused);
  next.set_records(work.records_of_file);
  next.set_etag(work.file.etag);
  rows.next = next.SerializeAsString();
  return rows;
}

absl::StatusOr<std::optional<IntakeRows>> FileSource::ReadToEnd(IntakeRows rows) {
  Work& work = *reading_;
  if (work.records->hash() != work.hash || work.skip > 0) return Broke("was changed");
  const FileNote* const before = notes_.Find(work.file.name);
  FileNote note;
  note.set_version((before == nullptr ? 0 : before->version()) + 1);
  note.set_hash(work.hash);
  IntakeRows end = Note(std::move(note));
  rows.notes = std::move(end.notes);
  rows.counts = std::move(end.counts);
  return rows;
}

// Rows that aren't committed are dropped, with all that the intake has in hand. What is committed stands.
absl::StatusOr<std::optional<IntakeRows>> FileSource::Broke(const std::string& why) {
  const std::string what = absl::StrCat("the file ", reading_->file.name, " ", why, " while it was read");
  if (!reading_->committed) return absl::AbortedError(what);
  const std::string standing =
      absl::StrCat(what, ", and ", reading_->rows, " rows of it, up to line ", reading_->line, ", may be in already");
  if (!plan_.skip_lost) {
    return absl::FailedPreconditionError(
        absl::StrCat(standing, ": put it back as it was, or state on_data_loss: skip to go on with what there is"));
  }
  LOG(ERROR) << "source " << plan_.name << ": " << standing << "; goes on, as on_data_loss says";
  FileNote note;
  note.set_outcome(FileNote::BROKEN);
  note.set_reason(what);
  const FileNote* const before = notes_.Find(reading_->file.name);
  note.set_version((before == nullptr ? 0 : before->version()) + 1);
  return Note(std::move(note));
}

IntakeRows FileSource::Reject(const std::string& reason) {
  LOG(WARNING) << "source " << plan_.name << ": the file " << checking_->file.name << " is rejected: " << reason;
  FileNote note;
  note.set_outcome(FileNote::REJECTED);
  note.set_reason(reason);
  if (const FileNote* const before = notes_.Find(checking_->file.name)) {
    note.set_version(before->version());
    note.set_hash(before->hash());
  }
  return Note(std::move(note));
}

// What became of the present file: nothing more is to be read of it.
IntakeRows FileSource::Note(FileNote note) {
  Work& work = checking_ ? *checking_ : *reading_;
  note.set_size(work.file.size);
  note.set_modified_ns(work.file.modified_ns);
  note.set_etag(work.file.etag);
  note.set_rows(work.rows);
  note.set_refused(work.refused);
  note.set_noted_us(clock_->WallUs());
  static constexpr const char* kCounts[] = {"files_read", "files_rejected", "files_skipped", "files_broken"};
  std::vector<std::pair<std::string, FileNote>> known_members;
  IntakeRows rows;
  rows.counts[0][kCounts[note.outcome()]] = 1;
  if (note.outcome() == FileNote::READ && note.version() > 1) rows.counts[0]["files_of_new_versions"] = 1;
  if (note.outcome() == FileNote::REJECTED) rows.counts[0]["records_of_rejected_files"] = work.rows + work.refused;
  if (const auto* const set = dynamic_cast<const SetRecords*>(work.records.get());
      set != nullptr && note.outcome() != FileNote::REJECTED) {
    work.members = set->members();
  }
  note.mutable_members()->Assign(work.members.begin(), work.members.end());
  rows.notes.push_back({work.file.name, note.SerializeAsString()});
  notes_.ForgetAwaited(work.file.name, &rows.notes);
  if (note.outcome() == FileNote::READ) {
    for (const packed::SetMember& member : note.members()) {
      FileNote of_member;
      of_member.set_size(member.size());
      of_member.set_modified_ns(member.modified_ns());
      of_member.set_etag(member.etag());
      of_member.set_hash(member.hash());
      of_member.set_manifest(work.file.name);
      rows.notes.push_back({member.name(), of_member.SerializeAsString()});
      known_members.emplace_back(member.name(), std::move(of_member));
    }
  }
  notes_.Report(work.file.name, std::move(note));
  for (auto& [name, of_member] : known_members) notes_.Report(name, std::move(of_member));
  checking_.reset();
  reading_.reset();
  return rows;
}

absl::Status FileSource::Decode(const std::vector<FileRecord>& records, std::vector<std::string>* reasons) {
  const Work& work = checking_ ? *checking_ : *reading_;
  return check_->Check(Place(work), with_time_ ? work.file.modified_ns / 1'000'000 : -1, records, reasons);
}

// The headers of records that were read last. While a file is checked its batch has no name and no size yet, which any
// text and number stand for.
HeaderList FileSource::Place(const Work& work) const {
  HeaderList place = {{kIntakeFileHeader, PlaceOf(work)}};
  if (!with_batch_) return place;
  // A file is read once in a version, so content that comes back is another batch than it was before.
  const FileNote* const before = notes_.Find(work.file.name);
  const int32_t version = (before == nullptr ? 0 : before->version()) + 1;
  place.emplace_back(kIntakeBatchHeader, absl::StrCat(work.file.name, "@", version, "-", work.hash.substr(0, 16)));
  place.emplace_back(kIntakeRowsHeader, absl::StrCat(work.records_of_file));
  return place;
}

// Where the records stand that were read last: "surveys.zip!a.csv" in an archive, "a.csv" of a set.
std::string FileSource::PlaceOf(const Work& work) const {
  const std::string_view member = work.records == nullptr ? "" : work.records->member();
  if (!member.empty() && IsManifest(*plan_.files, work.file.name)) return std::string(member);
  return member.empty() ? work.file.name : absl::StrCat(work.file.name, "!", std::string(member));
}

absl::Status FileSource::Committed(const std::string&) {
  if (reading_) reading_->committed = reading_->committed || reading_->given;
  // All are known before any is moved: where a file goes may be said by another's note.
  return settling_.SettleAll(notes_.Commit());
}

// As a file of a set that waits, or is being checked or read.
bool FileSource::InHand(const LandedFile& file) const {
  const auto is_of = [&](const std::vector<packed::SetMember>& members) {
    return std::any_of(members.begin(), members.end(), [&](const packed::SetMember& member) {
      return file.IsSameAs({member.name(), member.size(), member.modified_ns(), member.etag()});
    });
  };
  for (const std::optional<Work>* work : {&checking_, &reading_}) {
    if (*work && is_of((*work)->members)) return true;
  }
  return std::any_of(queue_.begin(), queue_.end(), [&](const FoundFile& found) { return is_of(found.members); });
}

// What has an order stays in one partition.
int32_t FileSource::PartitionOf(const std::string& name) const {
  const std::string key = plan_.files->ordered ? FolderOfFile(name) : name;
  return static_cast<int32_t>(XXH3_64bits(key.data(), key.size()) % static_cast<uint64_t>(plan_.files->partitions));
}

void FileSource::Interrupt() {
  const absl::MutexLock lock(&mutex_);
  interrupted_ = true;
}

SplitIntake::SourceMaker FileSourceMaker(const Runtime& runtime, const SourcePlan& plan) {
  return [&runtime, &plan](int32_t) {
    return std::make_unique<FileSource>(
        plan, *runtime.formats, runtime.clock, NewLandingZone(*plan.files),
        std::make_unique<FileCopies>(*plan.files, absl::StrCat(runtime.plan->application.Key(), ".", plan.name)));
  };
}

}  // namespace tidemark
