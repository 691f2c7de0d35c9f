// top, as others than the planner's check see it.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/top/rows.h"
#include "operators/top/running.h"
#include "operators/top/spec.h"
#include "operators/top/updates.h"

namespace tidemark {
namespace {

class TopKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "top"; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<TopSpec>();
    const Schema& input = node.in().schema;
    const auto order = [&](std::string* s, const TopSpec::Order& o) {
      absl::StrAppend(s, input[o.column].name, o.descending ? " desc" : "");
    };
    return absl::StrCat(
        "top ", spec.k, " by (", ColumnNames(input, spec.by), ") order ", absl::StrJoin(spec.order, ", ", order),
        spec.rank.empty() ? "" : absl::StrCat(", rank in ", spec.rank), spec.on_update ? ", on update" : "");
  }

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    const auto& spec = node.spec.As<TopSpec>();
    if (!spec.on_update) return MakeTopRows(node, spec);
    return spec.input_updates ? MakeTopUpdates(node, spec) : MakeTopRunning(node, spec);
  }

  bool PassesRows(const Node& /*node*/, size_t /*port*/) const override { return false; }

  std::string Fingerprint(const Node& node) const override {
    const auto& spec = node.spec.As<TopSpec>();
    const Schema& input = node.in().schema;
    std::string text = absl::StrCat("top ", spec.k, " by ", ColumnTypes(input, spec.by), " of ", input.ToString());
    // How the state lies, beside which no former version finds it: those go on with what they left, and no further
    // (src/runtime/widening.h).
    if (spec.input_updates && spec.on_update) {
      // All rows are kept, but in this order. By position: names would not be told from what is in front.
      absl::StrAppend(&text, " in order");
      for (const TopSpec::Order& order : spec.order) {
        absl::StrAppend(&text, " ", order.column, order.descending ? " desc" : "");
      }
      return text + " by rank";
    }
    if (!spec.on_update) return text + " by key";
    // What is kept of a group is what is first in this order.
    absl::StrAppend(&text, " as it stands, by");
    for (const TopSpec::Order& order : spec.order) {
      absl::StrAppend(&text, " ", input[order.column].name, order.descending ? " desc" : "", ";");
    }
    return text + " in runs";
  }
  ColumnList Keeps(const Node& node, size_t /*port*/) const override {
    const auto& spec = node.spec.As<TopSpec>();
    ColumnList columns = spec.by;
    for (const TopSpec::Order& order : spec.order) columns.push_back(order.column);
    return columns;
  }
};

}  // namespace

const OperatorKind& TopSpec::Kind() {
  static const TopKind kind;
  return kind;
}

}  // namespace tidemark
