// Topologies whose step `last` keeps rows whole, over columns of one width or a wider one: for the tests of what may
// become of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "src/plan/operator_kind.h"
#include "tests/unit/runtime/test_plan.h"

namespace tidemark {

struct KeptRowsCase {
  const char* name;
  const char* steps;
  const char* sink_key = "";  // where rows replace each other
};

inline const std::vector<KeptRowsCase>& KeptRowsCases() {
  static const auto& cases = *new std::vector<KeptRowsCase>{
      {"complete lists of top",
       "  w: { from: events, window: { tumbling: 1h }, group_by: [id, name], aggregates: { price: \"max(price)\" } }\n"
       "  last: { from: w, top: { k: 3, by: [id], order: [price desc, name] } }\n"},
      {"lists of top as they stand",
       "  last: { from: events, top: { k: 3, by: [id], order: [price desc, name], rank: place }, emit: on_update }\n",
       "id, place"},
      {"lists of top over updates",
       "  w: { from: events, group_by: [id, name], aggregates: { price: \"max(price)\" } }\n"
       "  last: { from: w, top: { k: 2, by: [id], order: [price desc, name], rank: place } }\n",
       "id, place"},
      {"over",
       "  last: { from: events, over: { by: [id], rows: 3, grace: 2s }, aggregates: { s: \"sum(price)\", was: "
       "\"lag(name, 2)\" } }\n"},
      {"alert", "  last: { from: events, alert: { by: [id], raise: \"price > 5\", for: 10s, remind: 20s } }\n"},
      {"dedup", "  last: { from: events, dedup: { by: [id], within: 15s, keep: last } }\n"},
      {"a join of streams",
       "  last: { from: events, join: { stream: others, on: [id], within: { before: 20s, after: 20s }, type: full, "
       "columns: [name, price], prefix: other_ } }\n"},
      {"a join of tables",
       "  a: { from: events, group_by: [id], aggregates: { name: \"max(name)\", price: \"max(price)\" } }\n"
       "  b: { from: others, group_by: [id], aggregates: { name: \"max(name)\", price: \"max(price)\" } }\n"
       "  last: { from: a, join: { table: { from: b }, on: [id], type: left, columns: [name, price], prefix: other_ } "
       "}\n",
       "id"},
      {"a join with versions",
       "  last: { from: events, join: { table: { from: others }, on: [id], type: left, versioned: { keep: 1h }, "
       "columns: "
       "[name, price], prefix: other_ } }\n"}};
  return cases;
}

struct KeptRowsTypes {
  std::string_view id, name, price;
};
inline constexpr KeptRowsTypes kNarrowRows{"string", "string", "decimal(8,2)"};
inline constexpr KeptRowsTypes kWideRows{"{ type: string, nullable: true }", "{ type: string, nullable: true }",
                                         "decimal(20,2)"};

// The step `last`.
inline Node KeptRowsNode(const KeptRowsCase& one, const KeptRowsTypes& types) {
  std::string sources;
  for (const char* source : {"events", "others"}) {
    absl::StrAppend(&sources, "  ", source, ":\n    topic: ", source, "\n    columns: { id: ", std::string(types.id),
                    ", name: ", std::string(types.name), ", price: \"", std::string(types.price),
                    "\", at: timestamp_ms }\n    event_time: { column: at }\n");
  }
  const std::string key = one.sink_key;
  const Plan plan = TestPlan(absl::StrCat(
      "name: app\nkafka: { brokers: b }\nsources:\n", sources, "steps:\n", one.steps,
      "sinks:\n  rest: { from: others, topic: rest, create: {} }\n  out: { from: last, ", "topic: out, create: {}",
      key.empty() ? "" : absl::StrCat(", mode: upsert, key: [", key, "], key_format: json"), " }\n"));
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      const bool is_operator = node.kind == Node::Kind::kOperator && node.step == "last";
      if (is_operator && node.spec.kind().phase(node) != OperatorPhase::kPartial) return node;
    }
  }
  ADD_FAILURE() << "no step `last`: " << one.name;
  return Node();
}

}  // namespace tidemark
