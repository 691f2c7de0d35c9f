// Columns as they are taken from a schema, one by one: names along the path joined by _, each once. Used by one thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/plan/format_syntax.h"

namespace tidemark {

class TakenColumns {
 public:
  // InvalidArgument: no column can have that name, or another one has it.
  absl::Status Add(const std::vector<std::string>& path, const Type& type, bool nullable,
                   std::optional<std::string> default_value = std::nullopt) {
    TakenColumn taken{{absl::StrJoin(path, "_"), type, nullable}, path, std::move(default_value)};
    if (taken.column.name.starts_with("__")) {
      return absl::InvalidArgumentError(absl::StrCat("field ", taken.column.name,
                                                     " can't be a column, whose names don't begin with __: write the "
                                                     "columns out, with its name as a path"));
    }
    if (!names_.insert(taken.column.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two fields would be column ", taken.column.name, ": write the columns out"));
    }
    columns_.push_back(std::move(taken));
    return absl::OkStatus();
  }
  size_t size() const { return columns_.size(); }
  std::vector<TakenColumn> Take() { return std::move(columns_); }

 private:
  std::vector<TakenColumn> columns_;
  std::set<std::string> names_;
};

}  // namespace tidemark
