// `tidemark describe`: a plan for people (text), for graphviz (dot), for programs (json), and as the commands that
// create its topics and grant its rights (kafka).
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "src/plan/plan.h"

namespace tidemark {

// `format`: text, dot, json or kafka; InvalidArgument for another.
absl::StatusOr<std::string> DescribePlan(const Plan& plan, std::string_view format);

std::string DescribeAsText(const Plan& plan);   // describe_text.cc
std::string DescribeAsDot(const Plan& plan);    // describe_dot.cc
std::string DescribeAsJson(const Plan& plan);   // describe_json.cc
std::string DescribeAsKafka(const Plan& plan);  // describe_kafka.cc

// ---- Shared by the formats

// "dedup by (detection_oid) within 1h grace 1h keep first": what a node does.
std::string Summary(const Plan& plan, const Node& node);
// "append", or "update by (a, b)".
std::string ModeText(const Schema& schema, const StepMode& mode);
// "detections, htx.x.repartition": the topics whose partitions a stage's tasks read.
std::string StageInputs(const Plan& plan, const Stage& stage);

}  // namespace tidemark
