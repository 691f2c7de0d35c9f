// A table's file, or files, and what stands in them: one of a name, or all that a pattern means, in a folder or in S3.
// What comes later in the order of their names stands where two have a row of a key. Used by one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "operators/join/table_snapshot.h"
#include "src/landing/landing_zone.h"
#include "src/plan/plan.h"

namespace tidemark {

class TableFiles {
 public:
  // `plan` outlives it.
  explicit TableFiles(const TablePlan& plan);

  // The rows of all files, if another version of them is there than at the last call that gave one; else null. Their
  // versions are looked at before and after they are read. InvalidArgument: what is there doesn't fit. Unavailable: it
  // can't be read now, or it changed while it was read.
  absl::StatusOr<std::shared_ptr<const TableSnapshot>> Look();

 private:
  absl::StatusOr<std::vector<LandedFile>> List();
  absl::StatusOr<Batch> Read(const LandedFile& file);

  const TablePlan& plan_;
  std::string folder_, name_;  // name_: of the one file; "": those of the pattern
  std::unique_ptr<LandingZone> zone_;
  std::optional<std::vector<LandedFile>> version_;
};

}  // namespace tidemark
