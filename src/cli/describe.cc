#include "src/cli/describe.h"

#include <set>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/strip.h>

#include "src/base/suggest.h"
#include "src/plan/operator_kind.h"
#include "src/plan/topic_patterns.h"
#include "src/runtime/step_origins.h"

namespace tidemark {
namespace {

// What isn't JSON is told.
std::string FormatText(const FormatSpec& format) {
  return format == FormatSpec(kJsonFormat) ? "" : ", format " + format.ToString();
}

std::string Describe(const KafkaSinkSpec& spec, const Schema& schema) {
  return absl::StrCat(spec.upsert ? "upsert" : "append", " to topic ", spec.topic,
                      spec.key.empty() ? ", no key" : absl::StrCat(", key (", ColumnNames(schema, spec.key), ")"),
                      spec.key.empty() || spec.key_format == FormatSpec(kTextFormat)
                          ? ""
                          : absl::StrCat(" as ", spec.key_format.ToString()),
                      FormatText(spec.format));
}
std::string Describe(const PostgresSinkSpec& spec, const Schema& schema) {
  return absl::StrCat(spec.upsert ? "upsert" : "insert", " into PostgreSQL table ", spec.schema, ".", spec.table,
                      spec.key.empty() ? "" : absl::StrCat(", key (", ColumnNames(schema, spec.key), ")"));
}
std::string Describe(const ParquetSinkSpec& spec, const Schema&) {
  return absl::StrCat(
      spec.changes ? "changes" : "append", " to Parquet files in ", spec.path,
      spec.partition_by.empty() ? "" : ", folders by ",
      absl::StrJoin(spec.partition_by, ", ",
                    [](std::string* s, const ParquetSinkSpec::PartitionColumn& p) { absl::StrAppend(s, p.name); }));
}
std::string Describe(const WebhookSpec& spec, const Schema& schema) {
  return absl::StrCat("post to ", spec.Shown(),
                      spec.id.empty() ? "" : absl::StrCat(", id (", ColumnNames(schema, spec.id), ")"),
                      spec.sign.empty() ? "" : ", signed");
}

std::string DescribeView(const SinkPlan& sink) {
  const auto& kafka = std::get<KafkaSinkSpec>(sink.spec);
  std::string out = absl::StrCat("view at /v1/views/", sink.name, ", key (", ColumnNames(sink.schema, kafka.key), ")");
  for (const std::vector<size_t>& index : sink.view->indexes) {
    absl::StrAppend(&out, ", index (", ColumnNames(sink.schema, index), ")");
  }
  return absl::StrCat(out, ", through ", kafka.topic);
}

}  // namespace

std::string TopicText(const std::string& topic, const FormatSpec& format, const FormatSpec& key_format) {
  return absl::StrCat("topic ", topic, FormatText(format), key_format.none() ? "" : ", key " + key_format.ToString());
}

std::string ModeText(const Schema& schema, const StepMode& mode) {
  return mode.update ? absl::StrCat("update by (", ColumnNames(schema, mode.key), ")") : "append";
}

std::string Summary(const Plan& plan, const Node& node) {
  const auto edge = [&]() -> const Edge& { return plan.edges[static_cast<size_t>(node.edge)]; };
  switch (node.kind) {
    case Node::Kind::kSource: {
      const SourcePlan& source = plan.sources[static_cast<size_t>(node.source)];
      if (source.files) {
        return absl::StrCat("files ", source.files->path, ", ", source.files->ordered ? "by name" : "unordered",
                            ", through topic ", source.topic);
      }
      if (source.http) return absl::StrCat("posted to ", source.http->path, ", through topic ", source.topic);
      if (const auto& table = source.postgres) {
        return absl::StrCat("PostgreSQL table ", table->schema, ".", table->table, " by publication ",
                            table->publication, " and slot ", table->slot, ", through topic ", source.topic);
      }
      const std::string topic = TopicText(source.topic, source.format, source.key_format);
      const TopicPatternPlan* const pattern = PatternOf(plan, source.declared());
      if (pattern == nullptr) return topic;
      return source.of_pattern() ? absl::StrCat(topic, ", which matches ", pattern->pattern)
                                 : absl::StrCat("every ", topic, ", a pattern; no broker tells which there are");
    }
    case Node::Kind::kInternal:
      return absl::StrCat("topic ", edge().topic);
    case Node::Kind::kRepartition:
      return absl::StrCat("repartition by (", ColumnNames(edge().schema, edge().key), ") through ", edge().topic);
    case Node::Kind::kOperator:
      return node.spec.kind().Describe(node);
    case Node::Kind::kKafkaSink:
    case Node::Kind::kFeed:
      break;
  }
  const SinkPlan& sink = plan.sinks[static_cast<size_t>(node.sink)];
  if (sink.view) return DescribeView(sink);
  const std::string what = std::visit([&](const auto& spec) { return Describe(spec, sink.schema); }, sink.spec);
  return node.kind == Node::Kind::kFeed ? absl::StrCat(what, ", through ", edge().topic) : what;
}

std::string PathOf(const Plan& plan, const Node& node) {
  switch (node.kind) {
    case Node::Kind::kSource:
      return "sources/" + plan.sources[static_cast<size_t>(node.source)].declared();
    case Node::Kind::kOperator:
      return "steps/" + node.step;
    case Node::Kind::kKafkaSink:
    case Node::Kind::kFeed:
      return (plan.sinks[static_cast<size_t>(node.sink)].view ? "views/" : "sinks/") + node.step;
    case Node::Kind::kInternal:
    case Node::Kind::kRepartition:
      break;
  }
  return "";
}

const About* AboutOf(const TopologyText& text, const std::string& path) {
  const auto about = text.about.find(path);
  return about == text.about.end() ? nullptr : &about->second;
}

std::string AboutText(const TopologyText& text, const std::string& path) {
  const About* about = AboutOf(text, path);
  if (about == nullptr) return "";
  std::vector<std::string> parts;
  if (!about->description.empty()) {
    parts.push_back(absl::StrReplaceAll(absl::StripAsciiWhitespace(about->description), {{"\n", " "}}));
  }
  if (!about->owner.empty()) parts.push_back("owner " + about->owner);
  if (!about->tags.empty()) parts.push_back("tags " + absl::StrJoin(about->tags, ", "));
  if (about->pii) parts.push_back(*about->pii ? "personal data" : "no personal data");
  return absl::StrJoin(parts, "; ");
}

std::vector<std::vector<std::string>> ColumnOrigins(const Plan& plan, const SinkPlan& sink) {
  std::vector<std::set<std::string>> origins(sink.schema.size());
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    for (size_t n = 0; n < plan.stages[s].nodes.size(); ++n) {
      const Node& node = plan.stages[s].nodes[n];
      const bool is_sink = node.kind == Node::Kind::kKafkaSink || node.kind == Node::Kind::kFeed;
      if (!is_sink || plan.sinks[static_cast<size_t>(node.sink)].name != sink.name) continue;
      for (const auto& way : SinkOrigins(plan, {static_cast<int>(s), static_cast<int>(n)})) {
        for (size_t c = 0; c < origins.size() && c < way.size(); ++c) {
          const auto at = sink.schema.Find(node.in().schema[c].name);
          if (at) origins[*at].insert(way[c]);
        }
      }
    }
  }
  std::vector<std::vector<std::string>> lists;
  for (const std::set<std::string>& of_column : origins) lists.emplace_back(of_column.begin(), of_column.end());
  return lists;
}

std::string StageInputs(const Plan& plan, const Stage& stage) {
  std::vector<std::string> topics;
  for (const Node& node : stage.nodes) {
    if (node.kind == Node::Kind::kSource) topics.push_back(plan.sources[static_cast<size_t>(node.source)].topic);
    if (node.kind == Node::Kind::kInternal) topics.push_back(plan.edges[static_cast<size_t>(node.edge)].topic);
  }
  return absl::StrJoin(topics, ", ");
}

BoxTexts TextsOfBoxes(const Plan& plan, const TopologyText& text) {
  BoxTexts texts;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      // Of a step with two phases the second one is told, of a shuffle the step behind it.
      if (node.kind == Node::Kind::kInternal || node.kind == Node::Kind::kRepartition) continue;
      const std::string summary = Summary(plan, node);
      texts[node.step].summary = std::string(absl::StripPrefix(summary, "final phase of: "));
    }
  }
  for (auto& [name, yaml] : YamlOfParts(DescribeAsYaml(text))) {
    if (const auto box = texts.find(name); box != texts.end()) box->second.yaml = std::move(yaml);
  }
  return texts;
}

absl::StatusOr<std::string> DescribePlan(const Plan& plan, const TopologyText& text, std::string_view format) {
  if (format == "text") return DescribeAsText(plan, text);
  if (format == "svg") return DrawSvg(MakeGraph(plan), TextsOfBoxes(plan, text));
  if (format == "dot") return DescribeAsDot(plan, text);
  if (format == "json") return DescribeAsJson(plan, text);
  if (format == "kafka") return DescribeAsKafka(plan, text);
  if (format == "yaml") return DescribeAsYaml(text);
  if (format == "markdown") return DescribeAsMarkdown(plan, text);
  if (format == "prometheus-rules") return DescribeAsPrometheusRules(plan);
  if (format == "openlineage") return DescribeAsOpenLineage(plan, text);
  return absl::InvalidArgumentError(absl::StrCat("unknown format '", std::string(format), "'",
                                                 DidYouMean(format, {"text", "svg", "dot", "json", "kafka", "yaml",
                                                                     "markdown", "openlineage", "prometheus-rules"})));
}

}  // namespace tidemark
