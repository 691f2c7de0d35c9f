// A plan as a catalogue: what is read, whose it is, what of it is personal, and of every column that is given where it
// comes from. To be kept beside the topology, or put where people look for data.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>

#include "src/cli/describe.h"
#include "src/plan/operator_kind.h"

namespace tidemark {
namespace {

// In a cell: what would end it is escaped.
std::string Cell(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", " "}, {"\r", " "}, {"<", "&lt;"}});
}

std::string Code(const std::string& text) {
  return absl::StrCat("`", absl::StrReplaceAll(text, {{"|", "\\|"}, {"`", "'"}, {"\n", " "}}), "`");
}

std::string Type(const Column& column) { return absl::StrCat(TypeName(column.type), column.nullable ? ", NULL" : ""); }

// A heading, what the part is, and what people say about it.
void AddPart(const TopologyText& text, const std::string& path, const std::string& name, const std::string& what,
             std::string* out) {
  absl::StrAppend(out, "\n### ", name, "\n\n", Cell(what), "\n");
  if (const std::string about = AboutText(text, path); !about.empty()) absl::StrAppend(out, "\n", Cell(about), "\n");
}

void AddColumns(const TopologyText& text, const std::string& path, const Schema& schema, std::string* out) {
  absl::StrAppend(out, "\n| Column | Type | About |\n|---|---|---|\n");
  for (const Column& column : schema.columns()) {
    absl::StrAppend(out, "| ", Code(column.name), " | ", Code(Type(column)), " | ",
                    Cell(AboutText(text, absl::StrCat(path, "/columns/", column.name))), " |\n");
  }
}

void AddOrigins(const Plan& plan, const SinkPlan& sink, std::string* out) {
  absl::StrAppend(out, "\n| Column | Type | Comes from |\n|---|---|---|\n");
  const std::vector<std::vector<std::string>> origins = ColumnOrigins(plan, sink);
  for (size_t c = 0; c < sink.schema.size(); ++c) {
    absl::StrAppend(out, "| ", Code(sink.schema[c].name), " | ", Code(Type(sink.schema[c])), " | ",
                    absl::StrJoin(origins[c], "; ",
                                  [](std::string* to, const std::string& from) { absl::StrAppend(to, Code(from)); }),
                    " |\n");
  }
}

// Of a source, step or sink in the plan; each stands in it once, but for what two stages share.
const Node* FindNode(const Plan& plan, const std::string& path) {
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (PathOf(plan, node) == path) return &node;
    }
  }
  return nullptr;
}

std::string SummaryOf(const Plan& plan, const std::string& path) {
  const Node* const node = FindNode(plan, path);
  return node == nullptr ? "" : Summary(plan, *node);
}

}  // namespace

std::string DescribeAsMarkdown(const Plan& plan, const TopologyText& text) {
  std::string out = absl::StrCat("# ", plan.application.name, "\n\nDead letters go to ", Code(plan.dead_letter_topic),
                                 ".\n\n## Sources\n");
  for (const SourcePlan& source : plan.sources) {
    const std::string path = "sources/" + source.declared();
    AddPart(text, path, source.name, SummaryOf(plan, path), &out);
    AddColumns(text, path, source.schema(), &out);
  }
  if (!plan.tables.empty()) absl::StrAppend(&out, "\n## Tables\n");
  for (const TablePlan& table : plan.tables) {
    const std::string path = "tables/" + table.name;
    AddPart(text, path, table.name,
            absl::StrCat(table.topic.empty() ? "file " + table.file : "topic " + table.topic, ", key (",
                         ColumnNames(table.schema(), table.key), ")"),
            &out);
    AddColumns(text, path, table.schema(), &out);
  }
  absl::StrAppend(&out, "\n## Sinks and views\n");
  for (const SinkPlan& sink : plan.sinks) {
    const std::string path = (sink.view ? "views/" : "sinks/") + sink.name;
    AddPart(text, path, sink.name, absl::StrCat("from ", sink.from, ": ", SummaryOf(plan, path)), &out);
    AddOrigins(plan, sink, &out);
  }
  return out;
}

}  // namespace tidemark
