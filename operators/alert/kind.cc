// alert, as others than the planner's check see it.
#include <absl/strings/str_cat.h>

#include "operators/alert/alert.h"
#include "operators/alert/spec.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

class AlertKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "alert"; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<AlertSpec>();
    std::string out = absl::StrCat("alert by (", ColumnNames(node.in().schema, spec.by), ")");
    if (!spec.raise.empty()) absl::StrAppend(&out, ", raise ", spec.raise);
    if (!spec.clear.empty()) absl::StrAppend(&out, ", clear ", spec.clear);
    const auto duration = [&](std::string_view what, int64_t us) {
      if (us != 0) absl::StrAppend(&out, ", ", std::string(what), " ", FormatDuration(us));
    };
    duration("for", spec.for_us);
    duration("absent", spec.absent_us);
    duration("forget", spec.forget_us);
    duration("remind", spec.remind_us);
    duration("grace", spec.grace_us);
    if (spec.severity) absl::StrAppend(&out, ", severity ", *spec.severity);
    return absl::StrCat(out, spec.late_topic ? ", late to " + *spec.late_topic : "");
  }

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return MakeAlert(node, node.spec.As<AlertSpec>());
  }
  // Until all rows that have come are judged. What would be due later, if nothing more came, isn't waited for.
  int64_t HoldsUs(const Node& node) const override { return node.spec.As<AlertSpec>().grace_us + 1; }

  bool PassesRows(const Node& /*node*/, size_t /*port*/) const override { return false; }
  bool KeepsTime(const Node& /*node*/) const override { return false; }

  // Conditions and durations may change: alerts that are raised stay so until a row clears them. Over rows that are
  // taken back a row must be found to be one in the same way both times.
  std::string Fingerprint(const Node& node) const override {
    const auto& spec = node.spec.As<AlertSpec>();
    const Schema& input = node.in().schema;
    std::string text = absl::StrCat("alert by ", ColumnTypes(input, spec.by), " of ", input.ToString());
    if (spec.input_updates) absl::StrAppend(&text, " as they stand, raise ", spec.raise, "; clear ", spec.clear, ";");
    // How the state lies, beside which no former version finds it (src/runtime/widening.h).
    return text + " by key";
  }
  ColumnList Keeps(const Node& node, size_t /*port*/) const override { return node.spec.As<AlertSpec>().by; }
};

}  // namespace

const OperatorKind& AlertSpec::Kind() {
  static const AlertKind kind;
  return kind;
}

}  // namespace tidemark
