#include "src/runtime/file_settling.h"

#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/codec/column_text.h"

namespace tidemark {
namespace {

using packed::FileNote;

std::string JsonText(std::string_view text) {
  std::string out;
  TextBuffer buffer(&out);
  WriteJsonString(text, &buffer);
  out.resize(buffer.size());
  return out;
}

bool IsIn(FileNote::Outcome outcome) { return outcome == FileNote::READ || outcome == FileNote::SAME; }

}  // namespace

FileSettling::FileSettling(std::string source, LandingZone* zone, const FileNotes* notes,
                           std::function<bool(const LandedFile&)> in_hand)
    : source_(std::move(source)), zone_(*zone), notes_(*notes), in_hand_(std::move(in_hand)) {}

absl::Status FileSettling::SettleAll(std::set<std::string> names) {
  left_.merge(names);
  while (!left_.empty()) {
    TM_RETURN_IF_ERROR(Settle(*left_.begin(), notes_.committed().at(*left_.begin())));
    left_.erase(left_.begin());
  }
  return absl::OkStatus();
}

// The files of a set go before their manifest: as long as that lies there, what is left of them goes with it.
absl::Status FileSettling::Settle(const std::string& name, const FileNote& note) {
  if (!note.manifest().empty()) return absl::OkStatus();
  const bool read = IsIn(note.outcome());
  for (const packed::SetMember& member : note.members()) {
    const LandedFile file{member.name(), member.size(), member.modified_ns(), member.etag()};
    if (read) {
      TM_RETURN_IF_ERROR(zone_.MoveToProcessed(file, member.hash().substr(0, 8)));
    } else {
      TM_RETURN_IF_ERROR(SettleRejected(file, name, note));
    }
  }
  const LandedFile file{name, note.size(), note.modified_ns(), note.etag()};
  if (read) return zone_.MoveToProcessed(file, note.hash().substr(0, 8));
  return zone_.MoveToRejected(file, absl::StrCat(note.modified_ns()), ReasonOf(name, note, ""));
}

// A file of a set that was rejected. If its rows are in, or may yet come in, with another set or by itself, that
// decides where it goes.
absl::Status FileSettling::SettleRejected(const LandedFile& file, const std::string& set, const FileNote& note) {
  if (in_hand_(file)) return absl::OkStatus();
  for (const FileNotes::ByName* notes : {&notes_.reported(), &notes_.committed()}) {
    const auto own = notes->find(file.name);
    if (own == notes->end() || !IsAsNoted(file, own->second) || !IsIn(own->second.outcome())) continue;
    return notes == &notes_.committed() ? zone_.MoveToProcessed(file, own->second.hash().substr(0, 8))
                                        : absl::OkStatus();
  }
  return zone_.MoveToRejected(file, absl::StrCat(file.modified_ns), ReasonOf(file.name, note, absl::StrCat(set, ": ")));
}

std::string FileSettling::ReasonOf(const std::string& name, const FileNote& note, const std::string& of) const {
  return absl::StrCat("{\"source\":", JsonText(source_), ",\"file\":", JsonText(name),
                      ",\"reason\":", JsonText(of + note.reason()), ",\"rows\":", note.rows(),
                      ",\"refused\":", note.refused(),
                      ",\"at\":", JsonText(TimestampText(note.noted_us(), TimestampForm::kRfc3339)), "}\n");
}

}  // namespace tidemark
