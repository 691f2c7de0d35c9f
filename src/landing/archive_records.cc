// What stands in the files of an archive, one behind the other in its order, each read as a file of its own would be:
// by the stated format or its name, compressed or not, with a header line of its own. Folders and what systems hide
// among files (names that begin with a dot, __MACOSX) are passed over, and what the source doesn't mean; anything else
// has to be readable, or the archive isn't.
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "src/base/status.h"
#include "src/landing/archive.h"
#include "src/landing/file_records.h"
#include "src/landing/name_pattern.h"
#include "src/landing/openpgp.h"

namespace tidemark {
namespace {

class Member final : public FileContent {
 public:
  explicit Member(ArchiveReader* archive) : archive_(archive) {}

  absl::StatusOr<bool> Read(std::string* out) override { return archive_->Read(out); }
  std::string hash() const override { return ""; }

 private:
  ArchiveReader* const archive_;
};

class ArchiveRecords final : public FileRecords {
 public:
  ArchiveRecords(const SourcePlan& source, std::shared_ptr<UnpackBudget> budget)
      : source_(source), budget_(std::move(budget)) {}

  absl::Status Begin(UnpackedFile file) {
    const std::string& passphrase_file = source_.files->decrypt.zip_passphrase;
    std::string passphrase;
    if (!passphrase_file.empty()) {
      TM_ASSIGN_OR_RETURN(passphrase, ReadPassphrase(passphrase_file));
    }
    TM_ASSIGN_OR_RETURN(archive_, ArchiveReader::Open(std::move(file.content), file.form, passphrase));
    return absl::OkStatus();
  }

  // Records of one member alone, so that `member` is that of all of them.
  absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) override {
    const size_t before = out->size();
    while (out->size() == before) {
      if (records_ == nullptr) {
        TM_ASSIGN_OR_RETURN(const bool some, NextMember());
        if (!some) return false;
      }
      const absl::StatusOr<bool> more = records_->Read(bytes, out);
      if (!more.ok()) return In(more.status());
      if (!*more) records_.reset();
    }
    return true;
  }
  std::string_view member() const override { return member_; }
  std::string hash() const override { return archive_->hash(); }

 private:
  absl::StatusOr<bool> NextMember() {
    while (true) {
      TM_ASSIGN_OR_RETURN(const bool some, archive_->Next());
      if (!some) {
        if (any_) return false;
        return absl::InvalidArgumentError(source_.files->members.empty()
                                              ? "the archive has no file that is read"
                                              : absl::StrCat("the archive has no file ", source_.files->members));
      }
      TM_ASSIGN_OR_RETURN(const bool read, IsRead());
      if (!read) continue;
      any_ = true;
      auto records = OpenRecords();
      if (!records.ok()) return In(records.status());
      records_ = *std::move(records);
      return true;
    }
  }

  // Whether the present member is; its name becomes one below the archive.
  absl::StatusOr<bool> IsRead() {
    if (archive_->name() == "[Content_Types].xml") {
      return absl::InvalidArgumentError("the file is xlsx or another Office document, which isn't read");
    }
    std::vector<absl::string_view> parts;
    for (const absl::string_view part : absl::StrSplit(archive_->name(), '/', absl::SkipEmpty())) {
      if (part == ".") continue;
      if (part == "..") {
        return absl::InvalidArgumentError(absl::StrCat("the archive names a place outside of it: ", archive_->name()));
      }
      if (absl::StartsWith(part, ".") || part == "__MACOSX") return false;
      parts.push_back(part);
    }
    member_ = absl::StrJoin(parts, "/");
    return source_.files->members.empty() || MatchesNames(source_.files->members, member_);
  }

  absl::StatusOr<std::unique_ptr<FileRecords>> OpenRecords() {
    FilesSpec::Format format;
    if (source_.files->format) {
      format = *source_.files->format;
    } else {
      TM_ASSIGN_OR_RETURN(format, FormatOfName(member_));
    }
    TM_ASSIGN_OR_RETURN(UnpackedFile file,
                        OpenMember(std::make_unique<Member>(archive_.get()), source_.files->decrypt, budget_));
    return NewRecords(source_, format, std::move(file));
  }

  absl::Status In(const absl::Status& status) const {
    return absl::Status(status.code(), absl::StrCat(member_, ": ", status.message()));
  }

  const SourcePlan& source_;
  const std::shared_ptr<UnpackBudget> budget_;
  std::unique_ptr<ArchiveReader> archive_;
  std::string member_;                    // the present one, or the last
  std::unique_ptr<FileRecords> records_;  // of the present one; null: there is none
  bool any_ = false;                      // was read
};

}  // namespace

absl::StatusOr<std::unique_ptr<FileRecords>> NewArchiveRecords(const SourcePlan& source, UnpackedFile file) {
  auto records = std::make_unique<ArchiveRecords>(source, file.budget);
  TM_RETURN_IF_ERROR(records->Begin(std::move(file)));
  return std::unique_ptr<FileRecords>(std::move(records));
}

}  // namespace tidemark
