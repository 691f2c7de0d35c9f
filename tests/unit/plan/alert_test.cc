// What the planner makes of alerts, and what it refuses.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/alert/spec.h"
#include "src/plan/operator_kind.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

std::string Alert(const std::string& alert, const std::string& from = "clicks", const std::string& more = "") {
  return Clicks(more + "  z: { from: " + from + ", alert: { " + alert + " } }\n", "z");
}
std::string Errors(const std::string& alert, const std::string& from = "clicks", const std::string& more = "") {
  return ErrorsOf(Alert(alert, from, more));
}

TEST(AlertPlanTest, TheOutputIsTheRowAndWhatIsSaidOfIt) {
  const auto plan = PlanOf(Alert("by: [url], raise: \"price > 1\", for: 10m, remind: 1d, absent: 2h, severity: bad"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Node& node = NodeOf(*plan, "z");
  EXPECT_EQ(node.output.ToString(),
            "guid int64, url string null, price double, ms timestamp_ms, alert_state string, alert_kind string, "
            "alert_start timestamp_ms, alert_time timestamp_ms, alert_seconds double, alert_severity string");
  EXPECT_FALSE(node.mode.update);
  const auto& spec = node.spec.As<AlertSpec>();
  EXPECT_EQ(spec.for_us, 600 * kSecond);
  EXPECT_EQ(spec.forget_us, 30 * 86'400 * kSecond);
  EXPECT_EQ(node.spec.kind().Describe(node),
            "alert by (url), raise price > 1, for 10m, absent 2h, forget 30d, remind 1d, severity bad");
  // Rows are moved by the key as they are, with their places.
  ASSERT_EQ(plan->edges.size(), 1u);
  EXPECT_TRUE(plan->edges[0].hidden.Has(Hidden::kWatermark) && plan->edges[0].hidden.HasOrder());
}

// The filter may fail, and says at which offset; the window's results have none.
TEST(AlertPlanTest, WhereRowsOfASourceAndOthersComeTogetherNoneHasAPlace) {
  const auto plan = PlanOf(R"yaml(name: app
sources:
  s:
    topic: s
    key_format: text
    partitioned_by: [k]
    columns: { k: { type: string, nullable: true }, x: { type: double, nullable: true } }
steps:
  f: { from: s, filter: "1 / x > 0" }
  w: { from: s, window: { tumbling: 1m }, group_by: [k], aggregates: { m: max(x) } }
  p: { from: w, project: { k: k, x: m } }
  a: { from: [f, p], alert: { by: [k], raise: "x > 1" } }
sinks:
  o: { from: a, topic: o }
)yaml");
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Node& node = NodeOf(*plan, "a");
  EXPECT_FALSE(node.spec.As<AlertSpec>().ordered);
  EXPECT_FALSE(node.in().hidden.Has(Hidden::kSource));
  EXPECT_TRUE(node.in().hidden.Has(Hidden::kOffset)) << "else this shows nothing";
}

TEST(AlertPlanTest, StateIsTiedToKeyAndRowsAndNotToConditionsAndDurations) {
  const auto fingerprint = [](const std::string& alert) {
    const Node node = NodeOf(*PlanOf(Alert(alert)), "z");
    return node.spec.kind().Fingerprint(node);
  };
  EXPECT_EQ(fingerprint("by: [url], raise: \"price > 1\""), fingerprint("by: [url], raise: \"price > 2\", absent: 2h"));
  EXPECT_NE(fingerprint("by: [url], raise: \"price > 1\""), fingerprint("by: [guid], raise: \"price > 1\""));
}

TEST(AlertPlanTest, WhatCannotBeIsRefusedWithWhatToDo) {
  EXPECT_THAT(Errors("by: [url]"), HasSubstr("an alert says what it is about"));
  EXPECT_THAT(Errors("raise: \"price > 1\""), HasSubstr("by"));
  EXPECT_THAT(Errors("by: [url], raise: price"), HasSubstr("expected a condition (bool), this is double"));
  EXPECT_THAT(Errors("by: [url], raise: \"prize > 1\""), HasSubstr("prize"));
  EXPECT_THAT(Errors("by: [url], absent: 2h, clear: \"price > 1\""), HasSubstr("`clear` goes with `raise`"));
  EXPECT_THAT(Errors("by: [url], absent: 2h, for: 1m"), HasSubstr("`for` goes with `raise`"));
  EXPECT_THAT(Errors("by: [url], absent: 40d"), HasSubstr("must be longer than `absent`, 40d"));
  EXPECT_THAT(Errors("by: [url], raise: \"price > 1\", forget: 2d"), HasSubstr("`forget` goes with `absent`"));
  EXPECT_THAT(Errors("by: [url], raise: \"price > 1\", remind: 0s"), HasSubstr("longer than nothing"));
  EXPECT_THAT(Errors("by: [url], absent: 0s"), HasSubstr("longer than nothing"));
  EXPECT_THAT(Errors("by: [url], raise: \"price > 1\"", "p",
                     "  p: { from: clicks, project: { \"*\": true, alert_time: ms } }\n"),
              HasSubstr("alert_time"));
}

TEST(AlertPlanTest, OverUpdateStepsOnlyWhereTheirRowsComeInTime) {
  const std::string window =
      "  w: { from: clicks, window: { tumbling: 1m }, group_by: [url], aggregates: { n: "
      "\"count(*)\" }, emit: on_update }\n";
  EXPECT_EQ(Errors("by: [url], raise: \"n > 1\"", "w", window), "");
  EXPECT_THAT(Errors("by: [url], raise: \"n > 1\", late: { topic: l }", "w", window), HasSubstr("no topic can hold"));
  const std::string group = "  g: { from: clicks, group_by: [url], aggregates: { n: \"count(*)\" } }\n";
  EXPECT_THAT(Errors("by: [url], raise: \"n > 1\"", "g", group),
              HasSubstr("an alert over this step isn't implemented"));
}

}  // namespace
}  // namespace tidemark
