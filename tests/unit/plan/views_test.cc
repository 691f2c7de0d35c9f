// `views`: what they become, and what they can't be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A step that updates its rows by url, one that only adds rows, and these views of them.
std::string Viewed(const std::string& views) {
  return Clicks(
             "  totals: { from: clicks, group_by: [url], aggregates: { n: \"count(*)\", most: \"max(price)\" }, emit: "
             "on_update }\n"
             "  docs: { from: clicks, project: { \"*\": true, doc: \"to_json(guid)\" } }\n",
             "docs", "  totals_out: { from: totals, topic: t, key: [url], key_format: json }\n") +
         "views:\n  " + views + "\n";
}

const SinkPlan& ViewOf(const Plan& plan, const std::string& name) {
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.name == name && sink.view) return sink;
  }
  ADD_FAILURE() << "no view " << name;
  return plan.sinks[0];
}

TEST(ViewPlanTest, AViewOfAnUpdateStepHasItsKeyAndATopicOfTidemarksOwn) {
  const auto plan = PlanOf(Viewed("v: { from: totals, index: [[n], [most, n], n2], keep: 40d, tokens: t.txt }"));
  EXPECT_FALSE(plan.ok()) << "n2 is no column";
  const auto good = PlanOf(Viewed("v: { from: totals, index: [[most, n], n], keep: 40d, tokens: t.txt }"));
  ASSERT_TRUE(good.ok()) << good.status();
  const SinkPlan& view = ViewOf(*good, "v");
  const auto& kafka = std::get<KafkaSinkSpec>(view.spec);
  EXPECT_EQ(kafka.topic, "web.v.view");
  EXPECT_TRUE(kafka.upsert);
  EXPECT_THAT(kafka.key, ElementsAre(0));
  EXPECT_THAT(view.view->indexes, ElementsAre(ElementsAre(2, 1), ElementsAre(1)));
  EXPECT_EQ(view.view->keep_us, int64_t{40} * 86'400 * kSecond);
  EXPECT_EQ(view.view->tokens, "t.txt");
}

TEST(ViewPlanTest, RowsOfOneKeyComeFromOneTask) {
  const auto plan = PlanOf(Viewed("v: { from: docs, key: [url] }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(NodeOf(*plan, "v", Node::Kind::kRepartition).edge >= 0, true);
}

TEST(ViewPlanTest, ATopologyMayHaveViewsAndNoSinks) {
  EXPECT_EQ(
      ErrorsOf("name: x\nsources:\n  s: { topic: s, columns: { a: int64 } }\nviews:\n  v: { from: s, key: [a] }\n"),
      "");
  EXPECT_THAT(ErrorsOf("name: x\nsources:\n  s: { topic: s, columns: { a: int64 } }\nviews: {}\n"),
              HasSubstr("at least one view"));
  EXPECT_THAT(ErrorsOf("name: x\nsources:\n  s: { topic: s, columns: { a: int64 } }\n"),
              HasSubstr("missing field 'sinks', or 'views'"));
}

TEST(ViewPlanTest, WhatAViewCantBeIsNamed) {
  const auto why = [](const std::string& view) { return ErrorsOf(Viewed(view)); };
  EXPECT_THAT(why("v: { from: docs }"), HasSubstr("only adds rows, so `key` has to say"));
  EXPECT_THAT(why("v: { from: totals, key: [n] }"), HasSubstr("the key must contain url"));
  EXPECT_THAT(why("v: { from: totals, key: [] }"), HasSubstr("a column at least, or leave `key` out"));
  EXPECT_THAT(why("v: { from: docs, key: [doc] }"), HasSubstr("json, which has no equality"));
  EXPECT_THAT(why("v: { from: docs, key: [guid], index: [[doc]] }"), HasSubstr("json, which has no equality"));
  EXPECT_THAT(why("v: { from: totals, index: [[m]] }"), HasSubstr("'m'"));
  EXPECT_THAT(why("v: { from: totals, index: [[url]] }"), HasSubstr("is the key, which is an index by itself"));
  EXPECT_THAT(why("v: { from: totals, index: [[n], [n]] }"), HasSubstr("here twice"));
  EXPECT_THAT(why("v: { from: totals, index: [[]] }"), HasSubstr("a column or several"));
  EXPECT_THAT(why("v: { from: totals, index: n }"), HasSubstr("expected a list of lists, found"));
  EXPECT_THAT(why("v: { from: totals, index: [{ n: 1 }] }"), HasSubstr("expected a list"));
  EXPECT_THAT(why("v: { from: totals, keep: 0s }"), HasSubstr("longer than nothing"));
  EXPECT_THAT(why("v: { from: totals, tokens: \"\" }"), HasSubstr("a file is expected"));
  EXPECT_THAT(why("v: { from: total }"), HasSubstr("unknown source or step 'total' (did you mean 'totals'?)"));
  EXPECT_THAT(why("towns: { from: totals }"), HasSubstr("the name of a source, step or sink already"));
  EXPECT_THAT(why("totals_out: { from: totals }"), HasSubstr("the name of a source, step or sink already"));
  EXPECT_THAT(why("v: { from: totals, serve: false }"), HasSubstr("unknown field 'serve'"));
  EXPECT_THAT(why("v: { key: [url] }"), HasSubstr("missing field 'from'"));
  EXPECT_THAT(why("\"v w\": { from: totals }"), HasSubstr("v w"));
}

}  // namespace
}  // namespace tidemark
