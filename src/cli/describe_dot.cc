// A plan as a graph for graphviz: stages are boxes around their nodes, internal topics the dashed arrows between them.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "src/cli/describe.h"

namespace tidemark {
namespace {

std::string Quote(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}), "\"");
}

std::string Id(size_t stage, size_t node) { return absl::StrCat("n", stage, "_", node); }

const char* Shape(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kOperator:
      return "box";
    case Node::Kind::kSource:
    case Node::Kind::kKafkaSink:
    case Node::Kind::kFeed:
      return "cylinder";
    default:
      return "cds";
  }
}

}  // namespace

std::string DescribeAsDot(const Plan& plan, const TopologyText& text) {
  std::string out = absl::StrCat("digraph ", Quote(plan.application.name), " {\n  rankdir=LR;\n");
  std::string arrows;
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    const Stage& stage = plan.stages[s];
    absl::StrAppend(&out, "  subgraph cluster_", s, " {\n    label=", Quote("stage " + stage.name), ";\n");
    for (size_t n = 0; n < stage.nodes.size(); ++n) {
      const Node& node = stage.nodes[n];
      const std::string about = AboutText(text, PathOf(plan, node));
      absl::StrAppend(&out, "    ", Id(s, n), " [shape=", Shape(node.kind), ", label=",
                      Quote(absl::StrCat(node.step, "\n", Summary(plan, node), about.empty() ? "" : "\n", about)),
                      "];\n");
      for (const int input : node.upstream()) {
        absl::StrAppend(&arrows, "  ", Id(s, static_cast<size_t>(input)), " -> ", Id(s, n), ";\n");
      }
      if (node.kind != Node::Kind::kRepartition) continue;
      const auto to = static_cast<size_t>(plan.edges[static_cast<size_t>(node.edge)].to_stage);
      for (size_t m = 0; m < plan.stages[to].nodes.size(); ++m) {
        const Node& reader = plan.stages[to].nodes[m];
        if (reader.kind != Node::Kind::kInternal || reader.edge != node.edge) continue;
        absl::StrAppend(&arrows, "  ", Id(s, n), " -> ", Id(to, m), " [style=dashed];\n");
      }
    }
    absl::StrAppend(&out, "  }\n");
  }
  return absl::StrCat(out, arrows, "}\n");
}

}  // namespace tidemark
