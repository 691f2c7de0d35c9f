// The smallest plan that moves rows, for tests of what stands around a task: the topic "in", one column n, is copied to
// the topic "out". One thread.
#pragma once

#include "src/plan/plan.h"

namespace tidemark {

inline Plan CopyingPlan() {
  Plan plan;
  plan.application.name = "app";
  plan.dead_letter_topic = "dead";
  SourcePlan& source = plan.sources.emplace_back();
  source.name = source.topic = "in";
  source.columns.resize(1);
  source.columns[0].column = {"n", {Kind::kInt64}, false};
  source.columns[0].path = {"n"};
  Stage& stage = plan.stages.emplace_back();
  stage.name = "in";
  Node& top = stage.nodes.emplace_back();
  top.kind = Node::Kind::kSource;
  top.step = "in";
  top.source = 0;
  top.output = source.schema();
  Node& bottom = stage.nodes.emplace_back();
  bottom.kind = Node::Kind::kKafkaSink;
  bottom.step = "out";
  bottom.sink = 0;
  bottom.output = source.schema();
  bottom.inputs = {{.nodes = {0}, .schema = source.schema()}};
  SinkPlan& sink = plan.sinks.emplace_back();
  sink.name = "out";
  KafkaSinkSpec kafka;
  kafka.topic = "out";
  sink.spec = kafka;
  return plan;
}

}  // namespace tidemark
