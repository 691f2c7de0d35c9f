// Nodes and rows of the tests of windows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "operators/window/partial_schema.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {

inline const Schema kRows = Columns("place string null, v int64 null, x double null");
inline constexpr int64_t kMinute = 60 * kSecond;

inline WindowSpec Spec(int64_t size, int64_t every, int64_t grace, bool on_update = false) {
  WindowSpec spec;
  spec.size_us = size;
  spec.every_us = every;
  spec.grace_us = grace;
  spec.on_update = on_update;
  spec.late_topic = "late";
  spec.group_by = {0};
  spec.aggregates = {{"n", "count(*)"}};
  spec.rows = kRows;
  return spec;
}

inline WindowSpec SessionSpec(int64_t gap, int64_t grace, bool on_update = false) {
  WindowSpec spec = Spec(0, 0, grace, on_update);
  spec.gap_us = gap;
  return spec;
}

// Output columns for the aggregates, whose names say their types: "n int64", ...
inline Node SingleNode(const WindowSpec& spec, std::string_view aggregates = "n int64") {
  const std::string window =
      spec.size_us > 0 || spec.gap_us > 0 ? "window_start timestamp, window_end timestamp, " : "";
  Node node =
      MakeNode(spec, kRows, AllHidden(), Columns(absl::StrCat("place string null, ", window, std::string(aggregates))));
  node.hidden = spec.on_update ? UpdateHidden() : HiddenSet().With(Hidden::kWatermark);
  node.mode.update = spec.on_update;
  return node;
}
inline Node PartialNode(WindowSpec spec) {
  spec.phase = WindowSpec::Phase::kPartial;
  Node node = MakeNode(spec, kRows, AllHidden(), PartialSchema(spec));
  node.hidden = HiddenSet();
  return node;
}
inline Node FinalNode(WindowSpec spec, std::string_view aggregates = "n int64") {
  spec.phase = WindowSpec::Phase::kFinal;
  Node node = SingleNode(spec, aggregates);
  node.inputs = {{.schema = PartialSchema(spec)}};
  return node;
}

inline TestRow Row(const char* place, int64_t v, int64_t time, int64_t watermark = kMinTime.us) {
  return {.cells = {std::string(place), v, static_cast<double>(v)}, .time = time, .watermark = watermark};
}

}  // namespace tidemark
