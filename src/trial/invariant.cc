#include "src/trial/invariant.h"

#include <map>
#include <numeric>
#include <optional>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arrow/array.h>

#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/expr/expression.h"
#include "src/trial/compare.h"

namespace tidemark::trial {
namespace {

std::string Shown(const FoundRows& found, size_t row) {
  std::vector<size_t> all(found.schema.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return RowText(found.schema, found.rows[row], all);
}

class Check {
 public:
  Check(const TestFile& file, const Invariant& invariant, const FoundRows& found)
      : file_(file), invariant_(invariant), found_(found) {}

  absl::StatusOr<std::string> Run() {
    if (invariant_.count && static_cast<int64_t>(found_.rows.size()) != *invariant_.count) {
      Violated("count", absl::StrCat(*invariant_.count, " rows are to stand there, and ", found_.rows.size(), " do"));
    }
    if (!invariant_.unique.empty()) TM_RETURN_IF_ERROR(Unique());
    if (!invariant_.always.empty()) TM_RETURN_IF_ERROR(Always());
    return said_;
  }

 private:
  void Violated(const char* what, const std::string& how) {
    absl::StrAppend(&said_, "  ", file_.places.Place(invariant_.at), ": ", invariant_.of, ": ", what, ": ", how, "\n");
  }

  absl::Status Unique() {
    std::vector<size_t> columns;
    for (const std::string& name : invariant_.unique) {
      const auto column = found_.schema.Find(name);
      if (!column) {
        return file_.Error(invariant_.at, absl::StrCat(invariant_.of, " has no column '", name, "'",
                                                       DidYouMean(name, found_.schema.Names())));
      }
      columns.push_back(*column);
    }
    std::map<std::vector<std::string>, size_t> seen;
    for (size_t row = 0; row < found_.rows.size(); ++row) {
      std::vector<std::string> key;
      for (const size_t column : columns) key.push_back(found_.rows[row][column]);
      const auto [first, is_new] = seen.emplace(std::move(key), row);
      if (is_new) continue;
      Violated("unique", absl::StrCat(Shown(found_, row), " and ", Shown(found_, first->second), " are equal in ",
                                      absl::StrJoin(invariant_.unique, ", ")));
      break;  // one says it
    }
    return absl::OkStatus();
  }

  absl::Status Always() {
    const auto condition = Expression::Compile(invariant_.always, found_.schema);
    if (!condition.ok()) {
      return file_.Error(invariant_.at, absl::StrCat("always: ", std::string(condition.status().message())));
    }
    if (condition->type().kind != Kind::kBool) {
      return file_.Error(invariant_.at,
                         absl::StrCat("always: a condition is expected, and this is a ", TypeName(condition->type())));
    }
    if (found_.batch == nullptr) return absl::OkStatus();
    std::vector<RowError> errors;
    TM_ASSIGN_OR_RETURN(const auto holds, condition->Evaluate(*found_.batch, &errors));
    const auto& answers = static_cast<const arrow::BooleanArray&>(*holds);
    for (int64_t row = 0; row < answers.length(); ++row) {
      if (answers.IsValid(row) && answers.Value(row)) continue;
      Violated("always", absl::StrCat(invariant_.always, " isn't true of ", Shown(found_, static_cast<size_t>(row))));
      break;
    }
    return absl::OkStatus();
  }

  const TestFile& file_;
  const Invariant& invariant_;
  const FoundRows& found_;
  std::string said_;
};

}  // namespace

absl::StatusOr<std::string> CheckInvariant(const TestFile& file, const Invariant& invariant, const FoundRows& found) {
  return Check(file, invariant, found).Run();
}

}  // namespace tidemark::trial
