#include "src/runtime/files_end.h"

#include <iterator>

#include "proto/files.pb.h"
#include "src/base/intake_names.h"
#include "src/base/status.h"
#include "src/landing/manifest.h"

namespace tidemark {
namespace {

constexpr Offset kBeginning = -2;

}  // namespace

FilesEnd::FilesEnd(const Runtime& runtime, const SourcePlan& source)
    : runtime_(runtime), source_(source), zone_(NewLandingZone(*source.files)) {}

absl::Status FilesEnd::Take() {
  TM_ASSIGN_OR_RETURN(const std::vector<LandedFile> files, zone_->List());
  missing_.clear();
  for (const LandedFile& file : files) {
    // A set is noted as its manifest; what no manifest names is no part of anything.
    if (source_.files->manifest.empty() || IsManifest(*source_.files, file.name)) missing_[file.name] = file;
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> FilesEnd::Missing() {
  if (missing_.empty()) return size_t{0};
  if (notes_ == nullptr) {
    TM_ASSIGN_OR_RETURN(notes_, runtime_.kafka->NewConsumer({.client_id = source_.name + "-end"}));
    const IntakeNames names{runtime_.plan->application, source_.name};
    TM_RETURN_IF_ERROR(notes_->Assign({{{names.NotesTopic(), 0}, kBeginning}}));
  }
  TM_ASSIGN_OR_RETURN(const PollResult polled, notes_->Poll(0, 1'000));
  for (const std::unique_ptr<Fetch>& fetch : polled.fetches) {
    for (const RecordView& record : fetch->records()) {
      packed::FileNote note;
      const std::string_view value = record.value.value_or("");
      if (!note.ParseFromArray(value.data(), static_cast<int>(value.size()))) continue;
      const auto found = missing_.find(std::string(record.key.value_or("")));
      if (found == missing_.end()) continue;
      const bool as_noted = found->second.IsSameAs({found->first, note.size(), note.modified_ns(), note.etag()});
      if (as_noted) missing_.erase(found);
    }
  }
  // What was moved by hand, or replaced, is no part of what was there.
  for (auto it = missing_.begin(); it != missing_.end();) {
    const absl::StatusOr<LandedFile> now = zone_->Stat(it->first);
    const bool gone = absl::IsNotFound(now.status()) || (now.ok() && !now->IsSameAs(it->second));
    it = gone ? missing_.erase(it) : std::next(it);
  }
  return missing_.size();
}

}  // namespace tidemark
