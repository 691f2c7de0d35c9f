#include "src/cli/describe.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/suggest.h"
#include "src/plan/operator_kind.h"

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
      "append to Parquet files in ", spec.path, spec.partition_by.empty() ? "" : ", folders by ",
      absl::StrJoin(spec.partition_by, ", ",
                    [](std::string* s, const ParquetSinkSpec::PartitionColumn& p) { absl::StrAppend(s, p.name); }));
}

}  // namespace

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
      return absl::StrCat("topic ", source.topic, FormatText(source.format),
                          source.key_format.none() ? "" : ", key " + source.key_format.ToString());
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
  const std::string what = std::visit([&](const auto& spec) { return Describe(spec, sink.schema); }, sink.spec);
  return node.kind == Node::Kind::kFeed ? absl::StrCat(what, ", through ", edge().topic) : what;
}

std::string StageInputs(const Plan& plan, const Stage& stage) {
  std::vector<std::string> topics;
  for (const Node& node : stage.nodes) {
    if (node.kind == Node::Kind::kSource) topics.push_back(plan.sources[static_cast<size_t>(node.source)].topic);
    if (node.kind == Node::Kind::kInternal) topics.push_back(plan.edges[static_cast<size_t>(node.edge)].topic);
  }
  return absl::StrJoin(topics, ", ");
}

absl::StatusOr<std::string> DescribePlan(const Plan& plan, std::string_view format) {
  if (format == "text") return DescribeAsText(plan);
  if (format == "dot") return DescribeAsDot(plan);
  if (format == "json") return DescribeAsJson(plan);
  if (format == "kafka") return DescribeAsKafka(plan);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown format '", std::string(format), "'", DidYouMean(format, {"text", "dot", "json", "kafka"})));
}

}  // namespace tidemark
