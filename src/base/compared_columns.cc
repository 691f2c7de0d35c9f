#include "src/base/compared_columns.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

constexpr int kMostDigits = 38;

}  // namespace

const ComparedColumn* ComparedColumns::Find(const std::string& name) const {
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const ComparedColumn& each) { return each.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

std::optional<Type> CommonType(const Type& a, const Type& b) {
  const auto integer = [](const Type& type) { return type.kind == Kind::kInt32 || type.kind == Kind::kInt64; };
  if (integer(a) && integer(b)) return a.kind == b.kind ? a : Type{Kind::kInt64};
  if (a.kind != b.kind) return std::nullopt;
  if (a.kind == Kind::kTimestamp) return Type{Kind::kTimestamp, TimestampForm::kMicros};
  if (a.kind != Kind::kDecimal || a == b) return a;
  Type wide{Kind::kDecimal};
  wide.scale = std::max(a.scale, b.scale);
  wide.precision = std::max(a.precision - a.scale, b.precision - b.scale) + wide.scale;
  if (wide.precision > kMostDigits) return std::nullopt;
  return wide;
}

ComparedColumns CompareColumns(const Schema& before, const Schema& after, bool all) {
  ComparedColumns compared;
  const auto alone = [&](const Column& column, bool is_before, std::string what) {
    if (all) {
      compared.columns.push_back({column.name, column.type, is_before, !is_before});
    } else if (!what.empty()) {
      compared.left_out.push_back(std::move(what));
    }
  };
  for (const Column& column : after.columns()) {
    const auto at = before.Find(column.name);
    const std::optional<Type> common = at ? CommonType(before[*at].type, column.type) : std::nullopt;
    if (common) {
      compared.columns.push_back({column.name, *common});
    } else if (at) {
      alone(column, false,
            absl::StrCat(column.name, " was ", TypeName(before[*at].type), " and is ", TypeName(column.type)));
    } else {
      alone(column, false, absl::StrCat(column.name, " is new"));
    }
  }
  for (const Column& column : before.columns()) {
    const auto at = after.Find(column.name);
    if (at && CommonType(column.type, after[*at].type)) continue;
    alone(column, true, at ? "" : absl::StrCat(column.name, " is gone"));
  }
  return compared;
}

}  // namespace tidemark
