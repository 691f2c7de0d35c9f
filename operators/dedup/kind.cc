// dedup, as the planner and others see it.
#include <algorithm>

#include <absl/strings/str_cat.h>

#include "operators/dedup/first.h"
#include "operators/dedup/last.h"
#include "operators/dedup/spec.h"
#include "src/plan/step_check.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

constexpr int64_t kHour = 3600 * kSecond;

class DedupKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "dedup"; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<DedupSpec>();
    return absl::StrCat("dedup by (", ColumnNames(node.in().schema, spec.by), ") within ",
                        FormatDuration(spec.within_us), ", grace ", FormatDuration(spec.grace_us), ", keep ",
                        spec.keep_last ? "last" : "first");
  }

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    const auto& spec = node.spec.As<DedupSpec>();
    return spec.keep_last ? MakeDedupLast(node, spec) : MakeDedupFirst(node, spec);
  }

  int64_t HoldsUs(const Node& node) const override {
    const auto& spec = node.spec.As<DedupSpec>();
    return spec.within_us + spec.grace_us;
  }

  // keep: last stores whole rows.
  bool LeavesOut(const Node& node, size_t port) const override {
    return port == 0 && !node.spec.As<DedupSpec>().keep_last;
  }
  bool Reads(const Node& node, const ColumnFlags& wanted, std::vector<ColumnFlags>* read) const override {
    const auto& spec = node.spec.As<DedupSpec>();
    (*read)[0] = wanted;
    for (const size_t c : spec.by) (*read)[0][c] = true;
    return !spec.keep_last;
  }
  void Renumber(size_t /*port*/, const ColumnList& position, Node* node) const override {
    for (size_t& c : node->spec.As<DedupSpec>().by) c = position[c];
  }

  std::string Fingerprint(const Node& node) const override {
    const auto& spec = node.spec.As<DedupSpec>();
    const Schema& input = node.in().schema;
    if (spec.keep_last)
      return absl::StrCat("dedup keep last by ", ColumnTypes(input, spec.by), " of ", input.ToString());
    return absl::StrCat("dedup by ", ColumnTypes(input, spec.by));
  }
  ColumnList Keeps(const Node& node, size_t /*port*/) const override { return node.spec.As<DedupSpec>().by; }
};

class Dedup final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "dedup"; }

  bool CheckAlone(StepCheck& check) const override {
    if (check.Broken(field())) return false;
    if (check.yaml().dedup().by().empty()) check.Error("dedup/by", "at least one column is needed");
    if (check.yaml().dedup().within() <= 0) check.Error("dedup/within", "within must be longer than nothing");
    return !check.Broken();
  }

  bool Check(StepCheck& check) const override {
    check.SameColumns();
    const topology::Dedup& yaml = check.yaml().dedup();
    LogicalPort& input = check.in();
    DedupSpec spec;
    if (const auto by = check.Find(yaml.by(), "dedup/by")) spec.by = *by;
    spec.within_us = yaml.within();
    spec.grace_us = yaml.has_grace() ? yaml.grace() : std::min(spec.within_us, kHour);
    spec.keep_last = yaml.keep() == "last";
    if (spec.keep_last && !input.ordered) {
      check.Error("dedup/keep",
                  "keep: last follows the order of source rows, which results of windows and tops don't have");
    }
    // Of rows that are taken back, the next duplicate would have to come up: that is a top, which keeps them all.
    if (input.mode.update) {
      check.Error("from", absl::StrCat("dedup over an updating step isn't implemented: rows of its input replace each "
                                       "other (key ",
                                       ColumnNames(input.schema, input.mode.key),
                                       "): put it before the updating step, use top with k: 1 by these columns",
                                       OrOnClose(input.closes)));
    }
    if (check.Broken()) return false;
    input.needs = input.needs.With(Hidden::kWatermark);
    if (spec.keep_last) {
      input.needs = input.needs.With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
    }
    input.together = spec.by;
    check.step().spec = std::move(spec);
    return true;
  }
};

}  // namespace

const OperatorKind& DedupSpec::Kind() {
  static const DedupKind kind;
  return kind;
}
const OperatorSyntax& DedupSyntax() {
  static const Dedup syntax;
  return syntax;
}

}  // namespace tidemark
