// A topology of two stages, and what its workers say of themselves.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "operators/operators.h"
#include "proto/live.pb.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/status/fold.h"

namespace tidemark {

inline constexpr char kTown[] = R"yaml(name: town
kafka: { brokers: "localhost:9092" }
sources:
  detections:
    topic: seen
    columns: { place: string, item: string, at: timestamp_ms }
    event_time: { column: at, max_out_of_orderness: 5s }
steps:
  wanted: { from: detections, filter: "item <> 'dog'" }
  counts:
    from: wanted
    window: { tumbling: 1m, grace: 5s }
    group_by: [place]
    aggregates: { n: "count(*)" }
sinks:
  out: { from: counts, topic: counts }
  counts_table:
    from: counts
    postgres: { url: "postgres://me:secret@localhost/town", table: counts, key: [place, window_start] }
)yaml";

inline Plan PlanOf(const std::string& yaml, TopologyText* text = nullptr) {
  TopologyText unused;
  auto plan = PlanFromYaml(
      yaml, "town.yaml", Operators(), OwnFormats().list(),
      [](const std::string&) { return std::optional<std::string>(); }, FilesOnDisk(), text == nullptr ? &unused : text);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

inline Plan PlanOfTown(TopologyText* text = nullptr) { return PlanOf(kTown, text); }

inline live::NodeReport NodeOf(const std::string& name, const std::string& step, const std::string& role, double busy,
                               std::map<std::string, double> counters, double in_per_s = 0, double out_per_s = 0) {
  live::NodeReport node;
  node.set_name(name);
  node.set_step(step);
  node.set_role(role);
  node.set_busy(busy);
  node.set_in_per_s(in_per_s);
  node.set_out_per_s(out_per_s);
  node.mutable_counters()->insert(counters.begin(), counters.end());
  return node;
}

inline live::Input* AddInput(live::TaskReport* task, const std::string& topic, int32_t partition, double lag,
                             double arriving, double reading, double watermark_ms) {
  live::Input* input = task->add_inputs();
  input->set_topic(topic);
  input->set_partition(partition);
  input->set_end_known(true);
  input->set_lag(lag);
  input->set_arriving(arriving);
  input->set_reading(reading);
  input->set_watermark_ms(watermark_ms);
  return input;
}

}  // namespace tidemark
