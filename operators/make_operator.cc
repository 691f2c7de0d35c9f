// From a node of the plan to its operator.
#include <type_traits>
#include <variant>

#include <absl/strings/str_cat.h>

#include "operators/dedup/first.h"
#include "operators/dedup/last.h"
#include "operators/join/join.h"
#include "operators/operator.h"
#include "operators/rows/filter.h"
#include "operators/rows/pass.h"
#include "operators/rows/project.h"
#include "operators/top/rows.h"
#include "operators/top/running.h"
#include "operators/top/updates.h"
#include "operators/window/partial.h"
#include "operators/window/results.h"
#include "src/base/status.h"
#include "src/plan/custom_operator.h"

namespace tidemark {
namespace {

using Made = absl::StatusOr<std::unique_ptr<Operator>>;

Made Make(const Node& node, const PassSpec&) { return std::make_unique<PassOperator>(node); }
Made Make(const Node& node, const FilterSpec& spec) { return FilterOperator::Make(node, spec); }
Made Make(const Node& node, const ProjectSpec& spec) { return ProjectOperator::Make(node, spec); }
Made Make(const Node& node, const DedupSpec& spec) {
  return spec.keep_last ? MakeDedupLast(node, spec) : MakeDedupFirst(node, spec);
}
Made Make(const Node& node, const JoinSpec& spec) { return std::make_unique<JoinOperator>(node, spec); }
Made Make(const Node& node, const WindowSpec& spec) {
  return spec.phase == WindowSpec::Phase::kPartial ? MakeWindowPartial(node, spec) : MakeWindowResults(node, spec);
}
Made Make(const Node& node, const TopSpec& spec) {
  if (!spec.on_update) return MakeTopRows(node, spec);
  return spec.input_updates ? MakeTopUpdates(node, spec) : MakeTopRunning(node, spec);
}

Made Make(const Node& node, const CustomSpec& spec) {
  const CustomOperator* custom = FindCustomOperator(spec.name);
  if (custom == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("no custom operator '", spec.name, "' is registered"));
  }
  return custom->make(node, spec);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeOperator(const Plan& /*plan*/, const Node& node) {
  return std::visit([&](const auto& spec) { return Make(node, spec); }, node.spec);
}

}  // namespace tidemark
