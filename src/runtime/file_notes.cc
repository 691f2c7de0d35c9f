#include "src/runtime/file_notes.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace tidemark {
namespace {

using packed::FileNote;

// The key of the note that a manifest's set is awaited. No file is named so.
std::string AwaitedKey(const std::string& manifest) { return manifest + std::string("\0awaited", 8); }

// "": it is another note's.
std::string AwaitedManifest(const std::string& key) {
  const std::string end = AwaitedKey("");
  return key.ends_with(end) ? key.substr(0, key.size() - end.size()) : "";
}

}  // namespace

bool WasRead(const FileNote* note) { return note != nullptr && note->version() > 0; }

bool IsAsNoted(const LandedFile& file, const FileNote& note) {
  return file.IsSameAs({file.name, note.size(), note.modified_ns(), note.etag()});
}

std::string FolderOfFile(std::string_view name) {
  const size_t slash = name.rfind('/');
  return std::string(slash == std::string_view::npos ? "" : name.substr(0, slash));
}

absl::Status FileNotes::Load(const IntakeNotes& notes) {
  for (const auto& [name, value] : notes) {
    const std::string awaited = AwaitedManifest(name);
    FileNote& note = awaited.empty() ? committed_[name] : awaited_[awaited];
    if (!note.ParseFromString(value)) return absl::FailedPreconditionError("a strange note of the file " + name);
    if (awaited.empty() && WasRead(&note) && note.manifest().empty()) TakeOrder(name);
  }
  return absl::OkStatus();
}

const FileNote* FileNotes::Find(const std::string& name) const {
  for (const ByName* notes : {&reported_, &committed_}) {
    const auto found = notes->find(name);
    if (found != notes->end()) return &found->second;
  }
  return nullptr;
}

const std::string* FileNotes::LastReadIn(const std::string& folder) const {
  const auto last = last_read_.find(folder);
  return last == last_read_.end() ? nullptr : &last->second;
}

void FileNotes::TakeOrder(const std::string& name) {
  std::string& last = last_read_[FolderOfFile(name)];
  last = std::max(last, name);
}

void FileNotes::Report(const std::string& name, FileNote note) {
  if (WasRead(&note)) TakeOrder(name);
  reported_[name] = std::move(note);
}

std::set<std::string> FileNotes::Commit() {
  std::set<std::string> names;
  for (auto& [name, note] : reported_) {
    committed_[name] = std::move(note);
    names.insert(name);
  }
  reported_.clear();
  return names;
}

int64_t FileNotes::AwaitedSince(const LandedFile& manifest, int64_t now_us, std::vector<IntakeNote>* notes) {
  FileNote& note = awaited_[manifest.name];
  if (note.awaited_us() == 0 || !IsAsNoted(manifest, note)) {
    note.Clear();
    note.set_outcome(FileNote::AWAITED);
    note.set_size(manifest.size);
    note.set_modified_ns(manifest.modified_ns);
    note.set_etag(manifest.etag);
    note.set_awaited_us(now_us);
    notes->push_back({AwaitedKey(manifest.name), note.SerializeAsString()});
  }
  return note.awaited_us();
}

void FileNotes::ForgetAwaited(const std::string& manifest, std::vector<IntakeNote>* notes) {
  if (awaited_.erase(manifest) > 0) notes->push_back({AwaitedKey(manifest), std::nullopt});
}

std::vector<std::string> FileNotes::Awaited() const {
  std::vector<std::string> manifests;
  for (const auto& [manifest, note] : awaited_) manifests.push_back(manifest);
  return manifests;
}

}  // namespace tidemark
