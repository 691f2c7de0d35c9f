// A plan for programs. Keys are only ever added.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/json_text.h"
#include "src/cli/describe.h"
#include "src/plan/operator_kind.h"

namespace tidemark {
namespace {

std::string Strings(const std::vector<std::string>& values) {
  return absl::StrCat(
      "[",
      absl::StrJoin(values, ", ", [](std::string* out, const std::string& v) { absl::StrAppend(out, JsonQuoted(v)); }),
      "]");
}

std::string Key(const Schema& schema, const std::vector<size_t>& columns) {
  std::vector<std::string> names;
  for (const size_t c : columns) names.push_back(schema[c].name);
  return Strings(names);
}

// What people say about a part, as further members of its object.
std::string AboutMembers(const TopologyText& text, const std::string& path) {
  const About* about = AboutOf(text, path);
  if (about == nullptr) return "";
  std::string out;
  if (!about->description.empty()) absl::StrAppend(&out, ", \"description\": ", JsonQuoted(about->description));
  if (!about->owner.empty()) absl::StrAppend(&out, ", \"owner\": ", JsonQuoted(about->owner));
  if (!about->tags.empty()) absl::StrAppend(&out, ", \"tags\": ", Strings(about->tags));
  if (about->pii) absl::StrAppend(&out, ", \"pii\": ", *about->pii ? "true" : "false");
  return out;
}

// `path`: of the source or table whose columns they are; "" for those of others, about which nothing can be said.
std::string Columns(const TopologyText& text, const Schema& schema, const std::string& path = "") {
  std::vector<std::string> columns;
  for (const Column& c : schema.columns()) {
    columns.push_back(absl::StrCat("{\"name\": ", JsonQuoted(c.name), ", \"type\": ", JsonQuoted(TypeName(c.type)),
                                   ", \"nullable\": ", c.nullable ? "true" : "false",
                                   path.empty() ? "" : AboutMembers(text, absl::StrCat(path, "/columns/", c.name)),
                                   "}"));
  }
  return absl::StrCat("[", absl::StrJoin(columns, ", "), "]");
}

// By column of the sink, the fields that it comes from.
std::string Origins(const Plan& plan, const SinkPlan& sink) {
  const std::vector<std::vector<std::string>> origins = ColumnOrigins(plan, sink);
  std::vector<std::string> members;
  for (size_t c = 0; c < origins.size(); ++c) {
    members.push_back(absl::StrCat(JsonQuoted(sink.schema[c].name), ": ", Strings(origins[c])));
  }
  return absl::StrCat("{", absl::StrJoin(members, ", "), "}");
}

std::string_view KindName(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kSource:
      return "source";
    case Node::Kind::kInternal:
      return "internal";
    case Node::Kind::kRepartition:
      return "repartition";
    case Node::Kind::kKafkaSink:
      return "kafka_sink";
    case Node::Kind::kFeed:
      return "feed";
    case Node::Kind::kOperator:
      break;
  }
  return node.spec.kind().name();
}

std::string NodeJson(const Plan& plan, const TopologyText& text, const Node& node) {
  std::string out = absl::StrCat(
      "        {\"name\": ", JsonQuoted(node.step), ", \"kind\": ", JsonQuoted(KindName(node)), ", \"inputs\": [",
      absl::StrJoin(node.upstream(), ", "), "], \"summary\": ", JsonQuoted(Summary(plan, node)),
      ",\n         \"mode\": ", node.mode.update ? "\"update\"" : "\"append\"",
      ", \"key\": ", Key(node.output, node.mode.key));
  if (node.edge >= 0)
    absl::StrAppend(&out, ", \"topic\": ", JsonQuoted(plan.edges[static_cast<size_t>(node.edge)].topic));
  const std::string path = PathOf(plan, node);
  if (!path.empty()) absl::StrAppend(&out, AboutMembers(text, path));
  absl::StrAppend(
      &out, ",\n         \"columns\": ", Columns(text, node.output, node.kind == Node::Kind::kSource ? path : ""), "}");
  return out;
}

std::string EdgeJson(const Plan& plan, const Edge& edge) {
  const auto stage = [&](int index) {
    return index < 0 ? std::string("null") : JsonQuoted(plan.stages[static_cast<size_t>(index)].name);
  };
  return absl::StrCat("    {\"topic\": ", JsonQuoted(edge.topic), ", \"from_stage\": ", stage(edge.from_stage),
                      ", \"to_stage\": ", stage(edge.to_stage), ", \"to_sink\": ",
                      edge.to_sink < 0 ? "null" : JsonQuoted(plan.sinks[static_cast<size_t>(edge.to_sink)].name),
                      ", \"key\": ", Key(edge.schema, edge.key), ", \"partitions\": ", edge.partitions,
                      ", \"reason\": ", JsonQuoted(edge.reason), "}");
}

}  // namespace

std::string DescribeAsJson(const Plan& plan, const TopologyText& text) {
  std::vector<std::string> sources, tables, stages, edges, sinks;
  for (const SourcePlan& source : plan.sources) {
    sources.push_back(absl::StrCat(
        "    {\"name\": ", JsonQuoted(source.name), ", \"topic\": ", JsonQuoted(source.topic), ", \"format\": ",
        JsonQuoted(source.format.ToString()), ", \"key_format\": ", JsonQuoted(source.key_format.ToString()),
        ", \"files\": ", JsonQuoted(source.files ? source.files->path : ""),
        ", \"http\": ", JsonQuoted(source.http ? source.http->path : ""),
        ", \"postgres\": ", JsonQuoted(source.postgres ? source.postgres->schema + "." + source.postgres->table : ""),
        ", \"replay\": ", JsonQuoted(text.lakes.contains(source.topic) ? text.lakes.at(source.topic).path : ""),
        ", \"partitioned_by\": ", Key(source.schema(), source.partitioned_by),
        AboutMembers(text, "sources/" + source.declared()), "}"));
  }
  for (const TablePlan& table : plan.tables) {
    tables.push_back(absl::StrCat(
        "    {\"name\": ", JsonQuoted(table.name), ", \"topic\": ", JsonQuoted(table.topic), ", \"file\": ",
        JsonQuoted(table.file), ", \"format\": ", JsonQuoted(table.topic.empty() ? "" : table.format.ToString()),
        ", \"key_format\": ", JsonQuoted(table.topic.empty() ? "" : table.key_format.ToString()),
        ", \"key\": ", Key(table.schema(), table.key), ", \"reload_us\": ", table.reload_us,
        AboutMembers(text, "tables/" + table.name),
        ",\n      \"columns\": ", Columns(text, table.schema(), "tables/" + table.name), "}"));
  }
  for (const Stage& stage : plan.stages) {
    std::vector<std::string> nodes;
    for (const Node& node : stage.nodes) nodes.push_back(NodeJson(plan, text, node));
    stages.push_back(absl::StrCat("    {\"name\": ", JsonQuoted(stage.name),
                                  ", \"changelog\": ", JsonQuoted(plan.application.ChangelogTopic(stage.name)),
                                  ", \"stateful\": ", stage.stateful ? "true" : "false", ",\n      \"nodes\": [\n",
                                  absl::StrJoin(nodes, ",\n"), "\n      ]}"));
  }
  for (const Edge& edge : plan.edges) edges.push_back(EdgeJson(plan, edge));
  for (const SinkPlan& sink : plan.sinks) {
    sinks.push_back(absl::StrCat("    {\"name\": ", JsonQuoted(sink.name), ", \"from\": ", JsonQuoted(sink.from),
                                 AboutMembers(text, (sink.view ? "views/" : "sinks/") + sink.name), ", \"columns\": ",
                                 Columns(text, sink.schema), ",\n     \"origins\": ", Origins(plan, sink), "}"));
  }
  const auto list = [](const std::vector<std::string>& items) {
    return items.empty() ? std::string("[]") : absl::StrCat("[\n", absl::StrJoin(items, ",\n"), "\n  ]");
  };
  return absl::StrCat("{\n  \"name\": ", JsonQuoted(plan.application.name),
                      ",\n  \"dead_letter_topic\": ", JsonQuoted(plan.dead_letter_topic),
                      ",\n  \"sources\": ", list(sources), ",\n  \"tables\": ", list(tables),
                      ",\n  \"stages\": ", list(stages), ",\n  \"edges\": ", list(edges),
                      ",\n  \"sinks\": ", list(sinks), "\n}\n");
}

}  // namespace tidemark
