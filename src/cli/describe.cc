#include "src/cli/describe.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/suggest.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

std::string Describe(const Node&, const PassSpec&) { return "pass on"; }
std::string Describe(const Node&, const FilterSpec& spec) { return absl::StrCat("filter ", spec.expression); }
std::string Describe(const Node& node, const ProjectSpec&) {
  return absl::StrCat("project to ", absl::StrJoin(node.output.Names(), ", "));
}
std::string Describe(const Node& node, const DedupSpec& spec) {
  return absl::StrCat("dedup by (", Names(node.input, spec.by), ") within ", FormatDuration(spec.within_us), ", grace ",
                      FormatDuration(spec.grace_us), ", keep ", spec.keep_last ? "last" : "first");
}
std::string Describe(const Node& node, const JoinSpec& spec) {
  std::vector<size_t> on;
  for (const auto& [stream, table] : spec.on) on.push_back(stream);
  return absl::StrCat(spec.left ? "left" : "inner", " join with ", spec.table, " on (", Names(node.input, on), ")",
                      spec.unmatched_topic ? ", unmatched to " + *spec.unmatched_topic : "");
}
std::string Describe(const Node&, const WindowSpec& spec) {
  std::string out;
  if (spec.size_us == 0) {
    out = "aggregate over all time";
  } else if (spec.every_us == spec.size_us) {
    out = absl::StrCat("tumbling window ", FormatDuration(spec.size_us), ", grace ", FormatDuration(spec.grace_us));
  } else {
    out = absl::StrCat("hopping window ", FormatDuration(spec.size_us), " every ", FormatDuration(spec.every_us),
                       ", grace ", FormatDuration(spec.grace_us));
  }
  absl::StrAppend(&out, ", group by (", Names(spec.rows, spec.group_by),
                  "): ", absl::StrJoin(spec.aggregates, ", ", [](std::string* s, const AggregateItem& item) {
                    absl::StrAppend(s, item.name, " = ", item.expression);
                  }));
  absl::StrAppend(&out, spec.on_update ? ", on update" : ", on close",
                  spec.late_topic ? ", late to " + *spec.late_topic : "");
  if (spec.phase == WindowSpec::Phase::kPartial) return "partial phase of: " + out;
  if (spec.phase == WindowSpec::Phase::kFinal) return "final phase of: " + out;
  return out;
}
std::string Describe(const Node& node, const TopSpec& spec) {
  const auto order = [&](std::string* s, const TopSpec::Order& o) {
    absl::StrAppend(s, node.input[o.column].name, o.descending ? " desc" : "");
  };
  return absl::StrCat(
      "top ", spec.k, " by (", Names(node.input, spec.by), ") order ", absl::StrJoin(spec.order, ", ", order),
      spec.rank.empty() ? "" : absl::StrCat(", rank in ", spec.rank), spec.on_update ? ", on update" : "");
}

std::string Describe(const Node& node, const CustomSpec& spec) {
  std::string out = absl::StrCat("custom ", spec.name);
  if (!spec.by.empty()) absl::StrAppend(&out, " by (", Names(node.input, spec.by), ")");
  for (const auto& [name, value] : spec.parameters) absl::StrAppend(&out, ", ", name, " ", value);
  return out;
}

std::string Describe(const KafkaSinkSpec& spec, const Schema& schema) {
  return absl::StrCat(spec.upsert ? "upsert" : "append", " to topic ", spec.topic,
                      spec.key.empty() ? ", no key" : absl::StrCat(", key (", Names(schema, spec.key), ")"));
}
std::string Describe(const PostgresSinkSpec& spec, const Schema& schema) {
  return absl::StrCat(spec.upsert ? "upsert" : "insert", " into PostgreSQL table ", spec.schema, ".", spec.table,
                      spec.key.empty() ? "" : absl::StrCat(", key (", Names(schema, spec.key), ")"));
}
std::string Describe(const ParquetSinkSpec& spec, const Schema&) {
  return absl::StrCat(
      "append to Parquet files in ", spec.path, spec.partition_by.empty() ? "" : ", folders by ",
      absl::StrJoin(spec.partition_by, ", ",
                    [](std::string* s, const ParquetSinkSpec::PartitionColumn& p) { absl::StrAppend(s, p.name); }));
}

}  // namespace

std::string Names(const Schema& schema, const std::vector<size_t>& columns) {
  return absl::StrJoin(columns, ", ", [&](std::string* out, size_t c) { absl::StrAppend(out, schema[c].name); });
}

std::string ModeText(const Schema& schema, const StepMode& mode) {
  return mode.update ? absl::StrCat("update by (", Names(schema, mode.key), ")") : "append";
}

std::string Summary(const Plan& plan, const Node& node) {
  const auto edge = [&]() -> const Edge& { return plan.edges[static_cast<size_t>(node.edge)]; };
  switch (node.kind) {
    case Node::Kind::kSource:
      return absl::StrCat("topic ", plan.sources[static_cast<size_t>(node.source)].topic);
    case Node::Kind::kInternal:
      return absl::StrCat("topic ", edge().topic);
    case Node::Kind::kRepartition:
      return absl::StrCat("repartition by (", Names(edge().schema, edge().key), ") through ", edge().topic);
    case Node::Kind::kOperator:
      return std::visit([&](const auto& spec) { return Describe(node, spec); }, node.spec);
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
