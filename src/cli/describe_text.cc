// A plan for people.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/cli/describe.h"
#include "src/plan/operator_kind.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

const char* KindText(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kSource:
      return "source";
    case Node::Kind::kInternal:
      return "read";
    case Node::Kind::kOperator:
      return "step";
    case Node::Kind::kRepartition:
      return "write";
    case Node::Kind::kKafkaSink:
    case Node::Kind::kFeed:
      return "sink";
  }
  return "";
}

// What people say about a part and its columns, a line each.
void AddAbout(const TopologyText& text, const std::string& path, const char* indent, std::string* out) {
  if (const std::string about = AboutText(text, path); !about.empty())
    absl::StrAppend(out, indent, "about: ", about, "\n");
  const std::string columns = path + "/columns/";
  for (auto it = text.about.lower_bound(columns); it != text.about.end() && absl::StartsWith(it->first, columns);
       ++it) {
    absl::StrAppend(out, indent, "about ", it->first.substr(columns.size()), ": ", AboutText(text, it->first), "\n");
  }
}

void AddStage(const Plan& plan, const TopologyText& text, size_t index, std::string* out) {
  const Stage& stage = plan.stages[index];
  absl::StrAppend(out, "\nstage ", index + 1, ": ", stage.name, "\n  tasks: one for each partition of ",
                  StageInputs(plan, stage),
                  "\n  state: ", stage.stateful ? "RocksDB, changelog " : "offsets only, changelog ",
                  plan.application.ChangelogTopic(stage.name), "\n");
  for (const Node& node : stage.nodes) {
    std::vector<std::string> inputs;
    for (const int input : node.upstream()) inputs.push_back(stage.nodes[static_cast<size_t>(input)].step);
    absl::StrAppend(out, "  ", KindText(node.kind), " ", node.step,
                    inputs.empty() ? "" : absl::StrCat(" <- ", absl::StrJoin(inputs, ", ")), "\n      ",
                    Summary(plan, node), "\n");
    if (node.kind == Node::Kind::kRepartition) {
      absl::StrAppend(out, "      why: ", plan.edges[static_cast<size_t>(node.edge)].reason, "\n");
    } else if (node.kind == Node::Kind::kSource || node.kind == Node::Kind::kOperator) {
      const bool step = node.kind == Node::Kind::kOperator;
      if (step && node.spec.kind().phase(node) == OperatorPhase::kPartial) continue;
      absl::StrAppend(out, "      ", ModeText(node.output, node.mode), ": ", node.output.ToString(), "\n");
    }
    if (const std::string path = PathOf(plan, node); !path.empty()) AddAbout(text, path, "      ", out);
  }
}

// A topic's key has the form that its columns suggest, or the one that is told.
std::string TableText(const TablePlan& table) {
  if (table.topic.empty()) {
    const std::string reload = absl::StrCat(", looked at every ", FormatDuration(table.reload_us));
    return absl::StrCat("file ", table.file, table.reload_us > 0 ? reload : "");
  }
  const FormatSpec suggested = table.key.size() > 1 ? kJsonFormat : kTextFormat;
  return TopicText(table.topic, table.format, table.key_format == suggested ? FormatSpec() : table.key_format);
}

}  // namespace

std::string DescribeAsText(const Plan& plan, const TopologyText& text) {
  std::string out = absl::StrCat("topology ", plan.application.name, "\n  group: ", plan.application.Group(),
                                 "\n  dead letters: ", plan.dead_letter_topic, "\n");
  for (const TablePlan& table : plan.tables) {
    absl::StrAppend(&out, "  table ", table.name, ": ", TableText(table), ", key (",
                    ColumnNames(table.schema(), table.key), "), whole in every worker\n");
    AddAbout(text, "tables/" + table.name, "    ", &out);
  }
  for (const auto& [topic, lake] : text.lakes) {
    absl::StrAppend(&out, "  replay: records that topic ", topic, " has no more are in the raw lake ", lake.path,
                    lake.pass_holes ? ", holes passed" : "", "\n");
  }
  for (size_t i = 0; i < plan.stages.size(); ++i) AddStage(plan, text, i, &out);
  return out;
}

}  // namespace tidemark
