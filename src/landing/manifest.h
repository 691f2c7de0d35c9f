// Sets of files that come in whole or not at all: a manifest, which is a file too, names those of a set with their
// sizes or hashes and how many rows they have. A set is to its readers one file with the manifest's name: one position,
// one hash, rejected as a whole, moved as a whole; its records are those of its files, in the manifest's order.
//
// A manifest is JSON (FileManifest in proto/files.proto):
//
//     {"files": [{"name": "a.csv.gz", "bytes": 1022, "sha256": "9f86...", "rows": 40}, ...], "rows": 80}
//
// Plain values and functions; used by one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "proto/files.pb.h"
#include "src/landing/file_records.h"
#include "src/landing/landing_zone.h"

namespace tidemark {

// By the last part of its name. Never where the source has no sets.
bool IsManifest(const FilesSpec& spec, std::string_view name);

// With names as the zone has them. InvalidArgument: it isn't one, or names what the source doesn't mean.
absl::StatusOr<packed::FileManifest> ReadManifest(LandingZone& zone, const FilesSpec& spec, const std::string& name);

// Why the set isn't whole yet: a file isn't among those that landed, or isn't as large as it is to be; "": it is.
std::string WhyNotWhole(const packed::FileManifest& manifest, const std::map<std::string, LandedFile>& landed);

// The records of a set.
class SetRecords final : public FileRecords {
 public:
  // `check`: hashes are compared with what the manifest says, for which files are read once more; a later reading
  // compares with the former one by `hash`. The source and the zone outlive it.
  SetRecords(const SourcePlan& source, LandingZone* zone, packed::FileManifest manifest, bool check);
  ~SetRecords() override;

  // InvalidArgument too where a file isn't what the manifest says. NotFound: one has gone.
  absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) override;
  // The name of the file, as the zone has it.
  std::string_view member() const override { return member_; }
  std::string hash() const override;

  // As they were when they were begun, so far.
  const std::vector<packed::SetMember>& members() const { return members_; }

 private:
  absl::Status Begin();
  absl::Status End();
  absl::Status CheckSum(const LandedFile& file);

  const SourcePlan& source_;
  LandingZone& zone_;
  const packed::FileManifest manifest_;
  const bool check_;
  int next_ = 0;  // file of the manifest
  std::string member_;
  std::unique_ptr<FileRecords> records_;  // of the present one; null: there is none
  int64_t rows_ = 0, rows_before_ = 0;    // of all files; when the present one began
  std::vector<packed::SetMember> members_;
};

}  // namespace tidemark
