// Two folders of a lake, compared (comparison.h): as often as each row stands there. Of a lake of changes a row counts
// as often as it is left once its changes are added up. Used by one thread.
#pragma once

#include <memory>
#include <string>

#include "src/base/compared_columns.h"
#include "src/runtime/generations/comparison.h"

namespace tidemark {

struct FolderComparisonTarget {
  std::string sink;  // "sink lake"
  std::string before, after;
  bool changes = false;
  ComparedColumns columns;
  std::function<absl::Status()> settle;          // publishes what is decided and isn't there yet; may be done again
  size_t most_entries = (size_t{1} << 30) / 82;  // in memory (row_tally.h)
};

std::unique_ptr<TargetComparison> MakeFolderComparison(FolderComparisonTarget target);

}  // namespace tidemark
