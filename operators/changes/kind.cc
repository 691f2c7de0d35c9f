// The step behind a source of changes, as the planner and others see it. No step of a topology says so: it belongs to
// the source.
#include <numeric>

#include <absl/strings/str_cat.h>

#include "operators/changes/changes.h"
#include "operators/changes/spec.h"
#include "operators/changes/transactions.h"
#include "src/plan/intakes.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

class ChangesKind : public OperatorKind {
 public:
  std::string_view name() const override { return "changes"; }

  std::string Describe(const Node& node) const override {
    return absl::StrCat("the row of each (", ColumnNames(node.output, Spec(node).key),
                        ") is kept; changes of it come out");
  }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return MakeChanges(node, Spec(node));
  }
  // What tells of the change stays behind, which stands last.
  std::optional<PortColumn> Origin(const Node& node, size_t column) const override {
    return column < node.output.size() ? std::make_optional<PortColumn>(column) : std::nullopt;
  }
  std::string Fingerprint(const Node& node) const override {
    return absl::StrCat("changes by ", ColumnTypes(node.output, Spec(node).key), " of ", node.output.ToString());
  }
  ColumnList Keeps(const Node& node, size_t /*port*/) const override {
    ColumnList all(node.output.size());
    std::iota(all.begin(), all.end(), size_t{0});
    return all;
  }

 protected:
  virtual const ChangesSpec& Spec(const Node& node) const { return node.spec.As<ChangesSpec>(); }
};

// Rows of a transaction that wait are state too: it isn't the other's.
class TransactionsKind final : public ChangesKind {
 public:
  WholeBatches whole_batches() const override { return WholeBatches::kMakes; }

  std::string Describe(const Node& node) const override {
    return absl::StrCat(ChangesKind::Describe(node), ", those of a transaction with one commit");
  }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return MakeTransactions(node, node.spec.As<TransactionsSpec>());
  }
  std::string Fingerprint(const Node& node) const override {
    return absl::StrCat("whole transactions, ", ChangesKind::Fingerprint(node));
  }

 private:
  const ChangesSpec& Spec(const Node& node) const override { return node.spec.As<TransactionsSpec>().changes; }
};

class Syntax final : public OperatorSyntax {
 public:
  std::string_view field() const override { return ""; }
  bool Has(const Diagnostics& /*diagnostics*/, const std::string& /*path*/) const override { return false; }
  std::optional<OperatorSpec> Behind(const SourcePlan& source) const override {
    if (source.key.empty()) return std::nullopt;
    ChangesSpec spec;
    spec.key = source.key;
    const bool told = source.columns.back().path.empty();  // by a record that is the row, and not by what is beside it
    for (size_t c = 0; c < source.columns.size(); ++c) {
      const auto from = source.columns[c].from;
      if (from == SourceColumn::From::kValue || (told && from == SourceColumn::From::kRaw)) spec.values.push_back(c);
    }
    if (KeepsTransactions(source)) return TransactionsSpec{std::move(spec)};
    return spec;
  }
  bool Check(StepCheck& /*check*/) const override { return false; }
};

}  // namespace

const OperatorKind& ChangesSpec::Kind() {
  static const ChangesKind kind;
  return kind;
}
const OperatorKind& TransactionsSpec::Kind() {
  static const TransactionsKind kind;
  return kind;
}
const OperatorSyntax& ChangesSyntax() {
  static const Syntax syntax;
  return syntax;
}

}  // namespace tidemark
