#include "src/plan/lineage_check.h"

#include <string>
#include <variant>

#include <absl/strings/str_cat.h>

#include "proto/topology.pb.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

constexpr int64_t kShortestUs = kSecond;  // an event has all datasets with their columns

// Whoever reads what else is written there, or is read from there, would find events among it.
void CheckNobodyElses(const Plan& plan, const std::string& topic, Diagnostics* diagnostics) {
  const auto check = [&](const std::string& other, const std::string& who) {
    if (other != topic) return;
    diagnostics->Error("lineage/topic", absl::StrCat(who, " topic ", topic,
                                                     ": events would stand among what is there. "
                                                     "A topic of their own is expected"));
  };
  for (const TablePlan& table : plan.tables) check(table.topic, absl::StrCat("table ", table.name, " reads"));
  for (const SinkPlan& sink : plan.sinks) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka != nullptr && !sink.view) check(kafka->topic, absl::StrCat("sink ", sink.name, " writes"));
    if (sink.view) check(sink.view->audit, absl::StrCat("view ", sink.name, " writes who asked to"));
  }
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      for (const SideTopic& side : node.side_topics) check(side.topic, absl::StrCat("step ", node.step, " writes"));
    }
  }
  check(plan.notify.topic, "alarms are written to");
  check(plan.dead_letter_topic, "dead letters are written to");
}

}  // namespace

LineageSpec CheckLineage(const topology::Topology& topology, const Plan& plan, Diagnostics* diagnostics) {
  LineageSpec spec;
  if (!topology.has_lineage()) return spec;
  const topology::Lineage& yaml = topology.lineage();
  if (yaml.has_http()) {
    spec.http.push_back(ReadWebhook(yaml.http(), "lineage/http", diagnostics));
    for (const char* field : {"id", "sign"}) {
      const std::string path = absl::StrCat("lineage/http/", field);
      if (!diagnostics->Present(path)) continue;
      diagnostics->Error(path, absl::StrCat("`", field,
                                            "` is for webhooks of sinks and alarms: OpenLineage knows url, "
                                            "headers and token"));
    }
  }
  if (yaml.has_file()) {
    spec.file = yaml.file();
    if (spec.file.empty()) diagnostics->Error("lineage/file", "a file is expected, which events are appended to");
  }
  if (yaml.has_topic()) {
    spec.topic = yaml.topic();
    CheckTopicName(spec.topic, "lineage/topic", diagnostics);
    for (const SourcePlan& source : plan.sources) {
      if (source.topic != spec.topic) continue;
      diagnostics->Error("lineage/topic", absl::StrCat("source ", source.name, " reads topic ", source.topic,
                                                       ": the topology would read what is said of it"));
    }
    CheckNobodyElses(plan, spec.topic, diagnostics);
  }
  if (yaml.has_every()) {
    spec.every_us = yaml.every();
    if (spec.every_us < kShortestUs) diagnostics->Error("lineage/every", "expected 1s or more");
  }
  if (spec.empty() && !diagnostics->Broken("lineage")) {
    diagnostics->Error("lineage", "`http`, `file` or `topic` is expected, or several of them");
  }
  return spec;
}

}  // namespace tidemark
