// `tidemark describe`: a plan for people (text), as a picture (svg), for graphviz (dot), for programs (json), as the
// commands that create its topics and grant its rights (kafka), as the one file that all its files come to (yaml), and
// as a catalogue of what it reads and gives (markdown), and as alert rules (prometheus-rules).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/plan/plan.h"
#include "src/plan/topology_text.h"
#include "src/runtime/lineage_run.h"
#include "src/status/graph.h"

namespace tidemark {

// `format`: text, svg, dot, json, kafka, yaml, markdown, openlineage or prometheus-rules; InvalidArgument for another.
absl::StatusOr<std::string> DescribePlan(const Plan& plan, const TopologyText& text, std::string_view format);

std::string DescribeAsText(const Plan& plan, const TopologyText& text);      // describe_text.cc
std::string DescribeAsDot(const Plan& plan, const TopologyText& text);       // describe_dot.cc
std::string DescribeAsJson(const Plan& plan, const TopologyText& text);      // describe_json.cc
std::string DescribeAsKafka(const Plan& plan, const TopologyText& text);     // describe_kafka.cc
std::string DescribeAsYaml(const TopologyText& text);                        // describe_yaml.cc
std::string DescribeAsMarkdown(const Plan& plan, const TopologyText& text);  // describe_markdown.cc
// The event's time is the clock's: all the rest is a function of both.
std::string DescribeAsOpenLineage(const Plan& plan, const TopologyText& text);  // describe_openlineage.cc
// What a worker says of its application's run (src/runtime/lineage_sender.h), in one line an event.
LineageText RunEventsOf(const Plan& plan, const TopologyText& text);  // describe_openlineage.cc
std::string DescribeAsPrometheusRules(const Plan& plan);              // describe_prometheus.cc

// What is said of each box of the topology's picture, and on the page.
BoxTexts TextsOfBoxes(const Plan& plan, const TopologyText& text);

// ---- Shared by the formats

// "dedup by (detection_oid) within 1h grace 1h keep first": what a node does.
std::string Summary(const Plan& plan, const Node& node);
// "topic clicks, format csv, key text", where formats that say nothing new (JSON values, a key that isn't read) are
// left out.
std::string TopicText(const std::string& topic, const FormatSpec& format, const FormatSpec& key_format);
// Of each column of a sink, where it comes from: "trades value.price", one text a way.
std::vector<std::vector<std::string>> ColumnOrigins(const Plan& plan, const SinkPlan& sink);
// "append", or "update by (a, b)".
std::string ModeText(const Schema& schema, const StepMode& mode);
// "detections, htx.x.repartition": the topics whose partitions a stage's tasks read.
std::string StageInputs(const Plan& plan, const Stage& stage);
// Of a source, step or sink in TopologyText::about; "" for nodes that aren't the user's.
std::string PathOf(const Plan& plan, const Node& node);
// What was said about a part; null, and "": nothing.
const About* AboutOf(const TopologyText& text, const std::string& path);
std::string AboutText(const TopologyText& text, const std::string& path);

}  // namespace tidemark
