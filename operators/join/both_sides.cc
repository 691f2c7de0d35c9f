#include "operators/join/both_sides.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <arrow/type.h>

#include "src/base/suggest.h"

namespace tidemark {

bool CheckEqualColumns(StepCheck& check, std::string_view of, std::array<ColumnList, 2>* on) {
  const Schema& left = check.in(0).schema;
  const Schema& right = check.in(1).schema;
  for (const topology::Entry& pair : check.yaml().join().on()) {
    const std::string field = "join/on/" + pair.name();
    const std::string& other = pair.value().empty() ? pair.name() : pair.value();
    const auto a = left.Find(pair.name());
    const auto b = right.Find(other);
    if (!a) {
      check.Error(field, absl::StrCat("unknown column '", pair.name(), "' of the input",
                                      DidYouMean(pair.name(), left.Names())));
    }
    if (!b) {
      check.Error(field,
                  absl::StrCat("unknown column '", other, "' of ", std::string(of), DidYouMean(other, right.Names())));
    }
    if (!a || !b) continue;
    if (left[*a].type.kind == Kind::kJson) {
      check.Error(field, absl::StrCat("column ", pair.name(), kJsonIsNoKey));
    } else if (right[*b].type.kind == Kind::kJson) {
      check.Error(field, absl::StrCat("column ", other, kJsonIsNoKey));
    } else if (ArrowType(left[*a].type)->ToString() != ArrowType(right[*b].type)->ToString()) {
      check.Error(field, absl::StrCat("'", pair.name(), "' is ", TypeName(left[*a].type), ", but '", other, "' of ",
                                      std::string(of), " is ", TypeName(right[*b].type), "; cast one of them"));
    }
    if (std::count((*on)[0].begin(), (*on)[0].end(), *a) + std::count((*on)[1].begin(), (*on)[1].end(), *b) > 0) {
      check.Error(field, "a column stands here twice");
    }
    (*on)[0].push_back(*a);
    (*on)[1].push_back(*b);
  }
  return !check.Broken();
}

bool AddBothSides(StepCheck& check, std::string_view of, const std::array<ColumnList, 2>& on,
                  const std::array<bool, 2>& outer, ColumnList* columns) {
  const topology::Join& yaml = check.yaml().join();
  const Schema& left = check.in(0).schema;
  const Schema& right = check.in(1).schema;
  if (check.Present("join/columns")) {
    const auto named = check.Find(yaml.columns(), "join/columns", right, of);
    if (!named) return false;
    *columns = *named;
  } else {
    for (size_t c = 0; c < right.size(); ++c) {
      if (std::count(on[1].begin(), on[1].end(), c) == 0) columns->push_back(c);
    }
  }
  // Where a row has no match NULL stands in its place, so that neither the other side's value is there nor its row's
  // partition is that value's: only columns of `on`, which hold whichever side's there is, and sides whose rows all
  // have come have an origin.
  for (size_t c = 0; c < left.size(); ++c) {
    Column column = left[c];
    std::optional<PortColumn> origin(std::in_place, c, 0);
    const auto key = std::find(on[0].begin(), on[0].end(), c);
    if (outer[1]) {
      const bool nullable = key == on[0].end() || right[on[1][static_cast<size_t>(key - on[0].begin())]].nullable;
      column.nullable = column.nullable || nullable;
      if (key == on[0].end()) origin.reset();
    }
    if (!check.AddOutput(column, origin, "join")) return false;
  }
  for (const size_t c : *columns) {
    Column column = right[c];
    column.name = yaml.prefix() + column.name;
    column.nullable = column.nullable || outer[0];
    if (check.step().output.Find(column.name)) {
      return check.Error("join", absl::StrCat("the input has a column '", column.name,
                                              "' already; use prefix, or name others in columns"));
    }
    std::optional<PortColumn> origin;
    if (!outer[0]) origin.emplace(c, 1);
    if (!check.AddOutput(column, origin, "join")) return false;
  }
  return true;
}

}  // namespace tidemark
