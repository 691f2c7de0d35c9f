// An alert over rows of a region and a number, its readings, and what comes out as text.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "operators/alert/spec.h"
#include "tests/unit/operators/harness.h"

namespace tidemark::alert_test {

inline constexpr int64_t kS = kSecond;
inline const Schema kRows = Columns("region string null, x double null, n int64");

inline AlertSpec Spec() {
  AlertSpec spec;
  spec.by = {0};
  spec.raise = "x > 1";
  return spec;
}

inline Node AlertNode(const AlertSpec& spec, HiddenSet input = AllHidden()) {
  const Schema made = Columns(
      "alert_state string, alert_kind string, alert_start timestamp_ms, alert_time timestamp_ms, alert_seconds double");
  Schema output = kRows;
  for (const Column& column : made.columns()) output.Add(column);
  if (spec.severity) output.Add({"alert_severity", {.kind = Kind::kString}, false});
  AlertSpec of_input = spec;
  of_input.ordered = input.Has(Hidden::kSource) && !spec.input_updates;
  Node node = MakeNode(of_input, kRows, input, output);
  node.hidden = HiddenSet();
  if (spec.late_topic) node.side_topics = {{"late", *spec.late_topic}};
  return node;
}

// A reading at a second, in order.
inline TestRow At(int64_t seconds, Cell x, const char* region = "r") {
  return {
      .cells = {std::string(region), x, seconds}, .time = seconds * kS, .watermark = seconds * kS, .offset = seconds};
}

// "r x n state kind start time seconds", times in seconds.
inline std::string Text(const TestRow& row) {
  const auto cell = [&](size_t c) { return CellsText(TestRow{.cells = {row.cells[c]}}); };
  const auto seconds = [&](size_t c) { return std::get<int64_t>(row.cells[c]) / kS; };
  EXPECT_EQ(row.time, std::get<int64_t>(row.cells[6]));
  return absl::StrCat(cell(0), " ", cell(1), " ", cell(2), " ", cell(3), " ", cell(4), " ", seconds(5), " ", seconds(6),
                      " ", cell(7));
}
inline std::vector<std::string> Texts(const Harness& h, size_t from = 0) {
  std::vector<std::string> out;
  const std::vector<TestRow>& rows = const_cast<Harness&>(h).out().rows;
  for (size_t i = from; i < rows.size(); ++i) out.push_back(Text(rows[i]));
  return out;
}

}  // namespace tidemark::alert_test
