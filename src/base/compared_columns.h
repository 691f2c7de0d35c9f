// Two versions of the columns of one target, side by side: by which of them its rows are compared. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/schema.h"

namespace tidemark {

struct ComparedColumn {
  std::string name;
  Type type;  // that values of both are brought to, exactly
  // False: that side has no such column, and NULL stands for it.
  bool before = true, after = true;
};

struct ComparedColumns {
  std::vector<ComparedColumn> columns;  // in the order of `after`, then what only `before` has
  // What isn't compared, for people: "day is new", "price is gone", "n was int64 and is string".
  std::vector<std::string> left_out;

  const ComparedColumn* Find(const std::string& name) const;
};

// The type in which values of both are the same values; nothing where there is none: such a column is another one.
std::optional<Type> CommonType(const Type& a, const Type& b);

// `all`: columns that only one has are compared too, with NULLs on the other side, and one with another type counts as
// one that is gone and one that is new. Otherwise they are left out.
ComparedColumns CompareColumns(const Schema& before, const Schema& after, bool all);

}  // namespace tidemark
