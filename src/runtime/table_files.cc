#include "src/runtime/table_files.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/io/interfaces.h>

#include "src/base/status.h"
#include "src/codec/table_file.h"
#include "src/landing/name_pattern.h"

namespace tidemark {
namespace {

bool AreSame(const std::vector<LandedFile>& a, const std::vector<LandedFile>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const LandedFile& x, const LandedFile& y) { return x.IsSameAs(y); });
}

}  // namespace

TableFiles::TableFiles(const TablePlan& plan) : plan_(plan) {
  FilesSpec spec;
  spec.path = plan.file;
  folder_ = NamePattern::Parse(plan.file).folder;
  if (plan.file.find_first_of("*?") == std::string::npos) {
    const size_t slash = plan.file.rfind('/');
    name_ = plan.file.substr(slash == std::string::npos ? 0 : slash + 1);
    folder_ = slash == std::string::npos ? "." : slash == 0 ? "/" : plan.file.substr(0, slash);
    spec.path = folder_;
  }
  zone_ = NewLandingZone(spec);
}

absl::StatusOr<std::shared_ptr<const TableSnapshot>> TableFiles::Look() {
  TM_ASSIGN_OR_RETURN(std::vector<LandedFile> files, List());
  if (version_ && AreSame(*version_, files)) return nullptr;
  std::vector<Batch> rows;
  for (const LandedFile& file : files) {
    TM_ASSIGN_OR_RETURN(Batch of_file, Read(file));
    rows.push_back(std::move(of_file));
  }
  TM_ASSIGN_OR_RETURN(const std::vector<LandedFile> now, List());
  if (!AreSame(files, now)) return absl::UnavailableError(absl::StrCat(plan_.file, ": was changed while it was read"));
  TM_ASSIGN_OR_RETURN(auto snapshot, TableSnapshot::Build(plan_, rows, {}));
  version_ = now;
  return snapshot;
}

// A listing of S3 tells no ETags: an object is looked at by itself.
absl::StatusOr<std::vector<LandedFile>> TableFiles::List() {
  std::vector<std::string> names = {name_};
  std::vector<LandedFile> files;
  if (name_.empty()) {
    names.clear();
    TM_ASSIGN_OR_RETURN(const std::vector<LandedFile> listed, zone_->List());
    for (const LandedFile& file : listed) names.push_back(file.name);
  }
  for (const std::string& name : names) {
    absl::StatusOr<LandedFile> file = zone_->Stat(name);
    if (absl::IsNotFound(file.status()) && name_.empty()) continue;  // gone in this moment
    if (absl::IsNotFound(file.status())) {
      return absl::InvalidArgumentError(absl::StrCat(plan_.file, ": can't be read: there is no such file"));
    }
    TM_RETURN_IF_ERROR(file.status());
    files.push_back(*std::move(file));
  }
  if (files.empty()) return absl::InvalidArgumentError(absl::StrCat(plan_.file, ": no file has such a name"));
  return files;
}

absl::StatusOr<Batch> TableFiles::Read(const LandedFile& file) {
  const absl::StatusOr<TableBytes> bytes = zone_->Open(file.name);
  if (absl::IsNotFound(bytes.status())) {
    return absl::UnavailableError(absl::StrCat(plan_.file, ": was changed while it was read"));
  }
  TM_RETURN_IF_ERROR(bytes.status());
  if (!name_.empty()) return ReadTableFile(plan_, *bytes);
  TablePlan one = plan_;  // errors name the file
  one.file = absl::StrCat(folder_, "/", file.name);
  return ReadTableFile(one, *bytes);
}

}  // namespace tidemark
