// `dashboards`: what panels become, and what they can't be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A view of counts by url, with an index by n, and these dashboards.
std::string Shown(const std::string& dashboards) {
  return Clicks(
             "  totals: { from: clicks, group_by: [url], aggregates: { n: \"count(*)\", most: \"max(price)\" }, emit: "
             "on_update }\n"
             "  docs: { from: clicks, project: { guid: guid, ms: ms, doc: \"to_json(guid)\" } }\n",
             "docs", "") +
         "views:\n  v: { from: totals, index: [[n]] }\n  d: { from: docs, key: [guid] }\ndashboards:\n  " + dashboards +
         "\n";
}

TEST(DashboardPlanTest, APanelAsksAViewAndIsNoPartOfThePlan) {
  TopologyText text;
  const auto plan = PlanOf(
      Shown("b: { title: All, choose: n, panels: { bars: { view: v, show: bars, latest: n, x: url, y: most, where: "
            "\"n > 1\" }, rows: { view: v, columns: [n, url], order: [n desc, url], limit: 7 } } }"),
      {}, &text);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(text.dashboards.size(), 1u);
  const DashboardSpec& board = text.dashboards[0];
  EXPECT_EQ(board.title, "All");
  EXPECT_EQ(board.choose, "n");
  ASSERT_EQ(board.panels.size(), 2u);
  EXPECT_EQ(board.panels[0].title, "bars");
  EXPECT_EQ(board.panels[0].show, PanelSpec::Show::kBars);
  EXPECT_EQ(board.panels[0].latest, "n");
  EXPECT_EQ(board.panels[0].limit, 20);
  EXPECT_EQ(board.panels[1].show, PanelSpec::Show::kTable);
  EXPECT_THAT(board.panels[1].order, ElementsAre("n desc", "url asc"));
  EXPECT_EQ(board.panels[1].limit, 7);
}

TEST(DashboardPlanTest, TimesThatAreNumbersAreToldAsSuch) {
  TopologyText text;
  ASSERT_TRUE(PlanOf(Shown("b: { panels: { p: { view: d } } }"), {}, &text).ok());
  EXPECT_EQ(text.dashboards[0].panels[0].times, (std::map<std::string, int64_t>{{"ms", 1'000}}));
}

TEST(DashboardPlanTest, WhatAPanelCantBeIsNamed) {
  const auto why = [](const std::string& panel) { return ErrorsOf(Shown("b: { panels: { p: " + panel + " } }")); };
  EXPECT_THAT(why("{ view: w }"), HasSubstr("unknown view 'w'"));
  EXPECT_THAT(why("{ show: bars }"), HasSubstr("missing field 'view'"));
  EXPECT_THAT(why("{ view: v, show: pie }"), HasSubstr("unknown show 'pie'"));
  EXPECT_THAT(why("{ view: v, show: bars, x: url }"), HasSubstr("missing field 'y'"));
  EXPECT_THAT(why("{ view: v, show: bars, x: url, y: url }"), HasSubstr("a number is drawn, and column url is string"));
  EXPECT_THAT(why("{ view: v, show: bars, x: urll, y: n }"),
              HasSubstr("unknown column 'urll' of view v (did you mean 'url'?)"));
  EXPECT_THAT(why("{ view: v, show: bars, x: url, y: n, by: url }"), HasSubstr("goes with `show: line`"));
  EXPECT_THAT(why("{ view: v, show: line, x: n, y: n, columns: [n] }"), HasSubstr("a chart has `x` and `y`"));
  EXPECT_THAT(why("{ view: v, x: url }"), HasSubstr("a table has no axes"));
  EXPECT_THAT(why("{ view: v, columns: [n, n] }"), HasSubstr("stands here twice"));
  EXPECT_THAT(why("{ view: v, where: \"n + 1\" }"), HasSubstr("a condition is expected, and this is int64"));
  EXPECT_THAT(why("{ view: v, where: \"m > 1\" }"), HasSubstr("m"));
  EXPECT_THAT(why("{ view: v, order: n down }"), HasSubstr("one with asc or desc behind it"));
  EXPECT_THAT(why("{ view: v, limit: 0 }"), HasSubstr("1 to 10000 rows"));
  EXPECT_THAT(why("{ view: d, latest: doc }"), HasSubstr("json, which has no order"));
  EXPECT_THAT(ErrorsOf(Shown("b: { panels: {} }")), HasSubstr("at least one panel"));
  EXPECT_THAT(ErrorsOf(Shown("b: { choose: most, panels: { p: { view: v } } }")),
              HasSubstr("no index of view v begins with it, so its values can't be listed; add [most]"));
  EXPECT_THAT(ErrorsOf(Shown("b: { choose: town, panels: { p: { view: v } } }")),
              HasSubstr("view v has no column 'town'"));
  EXPECT_THAT(ErrorsOf(Shown("b: { titel: x, panels: { p: { view: v } } }")),
              HasSubstr("unknown field 'titel' (one of: title, choose, panels)"));
}

TEST(DashboardPlanTest, AViewThatIsWrongIsAccusedOnce) {
  const std::string errors = ErrorsOf(
      "name: x\nsources:\n  s: { topic: s, columns: { a: int64 } }\nviews:\n  v: { from: s }\n"
      "dashboards:\n  b: { panels: { p: { view: v, columns: [b] } } }\n");
  EXPECT_THAT(errors, HasSubstr("so `key` has to say"));
  EXPECT_EQ(errors.find("unknown"), std::string::npos) << errors;
}

TEST(LineagePlanTest, EventsGoToAnAddressAFileOrATopic) {
  const auto why = [](const std::string& lineage) {
    return ErrorsOf(Clicks("", "clicks") + "lineage: " + lineage + "\n");
  };
  EXPECT_EQ(why("{ http: 'http://marquez:5000/api/v1/lineage', file: l.jsonl, topic: events, every: 1m }"), "");
  EXPECT_THAT(why("{}"), HasSubstr("`http`, `file` or `topic` is expected"));
  EXPECT_THAT(why("{ kafka: events }"), HasSubstr("`topic: NAME` has events written to a topic"));
  EXPECT_THAT(why("{ htpp: x }"), HasSubstr("did you mean 'http'"));
  EXPECT_THAT(why("{ http: marquez }"), HasSubstr("expected http://HOST:PORT/PATH"));
  EXPECT_THAT(why("{ http: { url: 'http://m/', id: [a] } }"), HasSubstr("`id` is for webhooks of sinks and alarms"));
  EXPECT_THAT(why("{ http: { url: 'http://m/', sign: secret } }"), HasSubstr("`sign` is for webhooks"));
  EXPECT_THAT(why("{ topic: clicks }"), HasSubstr("would read what is said of it"));
  EXPECT_THAT(why("{ topic: web-dead-letter }"), HasSubstr("dead letters are written to topic web-dead-letter"));
  const std::string more = Clicks(
      "  recent: { from: clicks, over: { by: [guid], range: 1h, late: { topic: too-late } }, aggregates: { n: "
      "\"count(*)\" } }\n",
      "recent", "  s: { from: clicks, topic: taken }\n");
  EXPECT_THAT(ErrorsOf(more + "lineage: { topic: taken }\n"), HasSubstr("sink s writes topic taken"));
  EXPECT_THAT(ErrorsOf(more + "lineage: { topic: too-late }\n"), HasSubstr("step recent writes topic too-late"));
  EXPECT_EQ(ErrorsOf(more + "lineage: { topic: free }\n"), "");
  EXPECT_THAT(why("{ topic: t, every: 1ms }"), HasSubstr("expected 1s or more"));
}

}  // namespace
}  // namespace tidemark
