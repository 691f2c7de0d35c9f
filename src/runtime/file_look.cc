#include "src/runtime/file_look.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/landing/manifest.h"

namespace tidemark {

FileLook::FileLook(const SourcePlan& plan, Clock* clock, LandingZone* zone, FileNotes* notes, FileSettling* settling)
    : plan_(plan), clock_(clock), zone_(*zone), notes_(*notes), settling_(*settling) {}

absl::Status FileLook::Look(std::deque<FoundFile>* found, std::vector<IntakeNote>* notes) {
  due_us_ = clock_->MonotonicUs() + plan_.files->look_every_us;
  TM_ASSIGN_OR_RETURN(const std::vector<LandedFile> files, zone_.List());
  std::map<std::string, LandedFile> seen, whole;
  for (const LandedFile& file : files) {
    const auto before = seen_.find(file.name);
    const bool unchanged = before != seen_.end() && before->second.IsSameAs(file);
    seen[file.name] = file;
    if (plan_.files->whole != FilesSpec::Whole::kUnchanged || unchanged) whole[file.name] = file;
  }
  std::erase_if(incomplete_, [&](const auto& each) { return !whole.contains(each.first); });
  for (const auto& [name, file] : whole) {
    if (!plan_.files->manifest.empty() && !IsManifest(*plan_.files, name)) continue;
    const auto known = notes_.committed().find(name);
    if (known != notes_.committed().end() && IsAsNoted(file, known->second)) {
      TM_RETURN_IF_ERROR(settling_.Settle(name, known->second));
      continue;
    }
    const auto reported = notes_.reported().find(name);
    if (reported != notes_.reported().end() && IsAsNoted(file, reported->second)) continue;
    if (plan_.files->manifest.empty()) {
      found->push_back({file, WhyTooLate(name), {}});
    } else {
      TM_RETURN_IF_ERROR(LookAtSet(file, whole, found, notes));
    }
  }
  for (const std::string& manifest : notes_.Awaited()) {
    if (!seen.contains(manifest)) notes_.ForgetAwaited(manifest, notes);
  }
  seen_ = std::move(seen);
  return absl::OkStatus();
}

// What is to be taken of a set's files is what a look has seen of all of them.
absl::Status FileLook::LookAtSet(const LandedFile& manifest, const std::map<std::string, LandedFile>& landed,
                                 std::deque<FoundFile>* found, std::vector<IntakeNote>* notes) {
  auto known = incomplete_.find(manifest.name);
  if (known == incomplete_.end() || !known->second.file.IsSameAs(manifest)) {
    absl::StatusOr<packed::FileManifest> read = ReadManifest(zone_, *plan_.files, manifest.name);
    if (absl::IsNotFound(read.status())) return absl::OkStatus();  // gone in this moment
    if (absl::IsInvalidArgument(read.status())) {
      found->push_back({manifest, std::string(read.status().message()), {}});
      return absl::OkStatus();
    }
    TM_RETURN_IF_ERROR(read.status());
    known = incomplete_.insert_or_assign(manifest.name, Incomplete{manifest, *std::move(read), "", 0}).first;
  }
  Incomplete& set = known->second;
  const std::string why = WhyNotWhole(set.manifest, landed);
  // A copy may have the time of what it is a copy of.
  if (!why.empty() && set.since_us == 0) {
    set.since_us = std::max(manifest.modified_ns / 1'000, notes_.AwaitedSince(manifest, clock_->WallUs(), notes));
  }
  const bool late = !why.empty() && clock_->WallUs() >= set.since_us + plan_.files->manifest_deadline_us;
  if (!why.empty() && !late) {
    if (std::exchange(set.why, why) != why) {
      LOG(INFO) << "source " << plan_.name << ": the set of " << manifest.name << " isn't whole yet: " << why;
    }
    return absl::OkStatus();
  }
  if (why.empty()) notes_.ForgetAwaited(manifest.name, notes);  // whole in time: if it changes, it is waited for anew
  FoundFile& taken = found->emplace_back(manifest, why.empty() ? "" : absl::StrCat("not whole by its deadline: ", why));
  for (const packed::FileManifest::File& file : set.manifest.files()) {
    const auto there = landed.find(file.name());
    if (there == landed.end()) continue;
    packed::SetMember& member = taken.members.emplace_back();
    member.set_name(file.name());
    member.set_size(there->second.size);
    member.set_modified_ns(there->second.modified_ns);
    member.set_etag(there->second.etag);
  }
  incomplete_.erase(known);
  return absl::OkStatus();
}

// Names of one folder are an order only if it is kept to: what comes too late isn't slipped in behind.
std::string FileLook::WhyTooLate(const std::string& name) const {
  if (!plan_.files->ordered || WasRead(notes_.Find(name))) return "";
  const std::string* const last = notes_.LastReadIn(FolderOfFile(name));
  if (last == nullptr || *last < name) return "";
  return absl::StrCat("out of order: ", *last,
                      " was read before, and files of a folder are read in the order of their names");
}

}  // namespace tidemark
