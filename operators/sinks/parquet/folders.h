// Which Hive folder each row of a batch belongs to: "dt=2026-01-01/city=Z%3Frich". Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/base/schema.h"
#include "src/expr/expression.h"
#include "src/plan/plan.h"

namespace tidemark {

// One value of a folder's name, as Hive writes it: control characters and "#%'*/:=?\{[]^ become %XX.
std::string EscapeHive(std::string_view value);

class HiveFolders {
 public:
  // InvalidArgument: an expression that doesn't compile, or a name that contradicts a column's.
  static absl::StatusOr<HiveFolders> Compile(const std::vector<ParquetSinkSpec::PartitionColumn>& columns,
                                             const Schema& schema);

  // Replaces `folder_of_row` by the position of each row's folder in folders(), -1 for a row that has none: that one
  // stands in `errors` (ascending, one each).
  absl::Status Assign(const arrow::RecordBatch& rows, std::vector<int32_t>* folder_of_row,
                      std::vector<RowError>* errors);

  // All folders seen since Forget; "" alone where the files aren't partitioned.
  const std::vector<std::string>& folders() const { return folders_; }
  void Forget();

  // Columns of the schema whose values stand in the folders' names, and so not in the files.
  const std::vector<size_t>& columns_in_names() const { return columns_in_names_; }

 private:
  struct Level {
    std::string name;
    Expression expression;
  };

  int32_t IndexOf(const std::vector<std::shared_ptr<arrow::Array>>& values, int64_t row);

  std::vector<Level> levels_;
  std::vector<size_t> columns_in_names_;
  std::vector<std::string> folders_;
  absl::flat_hash_map<std::string, int32_t> by_key_;   // the encoded values
  absl::flat_hash_map<std::string, int32_t> by_name_;  // several values can share a name: NULL and the empty text
};

}  // namespace tidemark
