// over, as others than the planner's check see it.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/over/over.h"
#include "operators/over/spec.h"
#include "src/expr/expression.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

// The columns that items read, ascending and each once.
ColumnList ArgumentsOf(const Node& node) {
  const Schema& input = node.in().schema;
  ColumnFlags read(input.size());
  for (const OverItem& item : node.spec.As<OverSpec>().items) {
    const auto aggregate = Aggregate::Compile(item.expression, input);
    if (!aggregate.ok()) continue;
    for (const size_t column : aggregate->columns()) read[column] = true;
  }
  ColumnList columns;
  for (size_t c = 0; c < read.size(); ++c) {
    if (read[c]) columns.push_back(c);
  }
  return columns;
}

class OverKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "over"; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<OverSpec>();
    std::string out = absl::StrCat("over the rows of (", ColumnNames(node.in().schema, spec.by), ")");
    if (spec.range_us > 0) absl::StrAppend(&out, " of the last ", FormatDuration(spec.range_us));
    if (spec.rows > 0) absl::StrAppend(&out, ", the last ", spec.rows);
    absl::StrAppend(&out, ", grace ", FormatDuration(spec.grace_us), ": ",
                    absl::StrJoin(spec.items, ", ", [](std::string* s, const OverItem& item) {
                      absl::StrAppend(s, item.name, " = ", item.expression);
                    }));
    return absl::StrCat(out, spec.late_topic ? ", late to " + *spec.late_topic : "");
  }

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return MakeOver(node, node.spec.As<OverSpec>());
  }
  int64_t HoldsUs(const Node& node) const override { return node.spec.As<OverSpec>().grace_us + 2; }

  bool PassesRows(const Node& /*node*/, size_t /*port*/) const override { return false; }
  std::optional<PortColumn> Origin(const Node& node, size_t column) const override {
    if (column >= node.in().schema.size()) return std::nullopt;
    return PortColumn(column);
  }

  // What is kept are the columns that aggregates read, of as many rows as a frame has.
  std::string Fingerprint(const Node& node) const override {
    const auto& spec = node.spec.As<OverSpec>();
    const Schema& input = node.in().schema;
    std::string text = absl::StrCat("over ", spec.range_us, "us, ", spec.rows, " rows, by ",
                                    ColumnTypes(input, spec.by), " of ", input.ToString(), ":");
    for (const OverItem& item : spec.items) absl::StrAppend(&text, " ", item.expression, ";");
    return text;
  }
  ColumnList Keeps(const Node& node, size_t /*port*/) const override {
    ColumnList columns = node.spec.As<OverSpec>().by;
    for (const size_t column : ArgumentsOf(node)) columns.push_back(column);
    return columns;
  }
};

}  // namespace

const OperatorKind& OverSpec::Kind() {
  static const OverKind kind;
  return kind;
}

}  // namespace tidemark
