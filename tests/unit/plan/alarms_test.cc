// `freshness`, `notify` and `webhook`: what they become, what can't be, and what is shown of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// The clicks, with this sink and what follows it at the top level.
std::string With(const std::string& sink, const std::string& more = "") {
  return Clicks("  some: { from: clicks, filter: \"price > 1\" }\n", "", "  out: { from: some, " + sink + " }\n") +
         more;
}

const SinkPlan& Out(const Plan& plan) {
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.name == "out") return sink;
  }
  ADD_FAILURE() << "no sink out";
  return plan.sinks[0];
}

TEST(AlarmPlanTest, FreshnessIsThatOfASinkOrAView) {
  const auto plan = PlanOf(With("topic: t, freshness: { warn: 20m, max: 30m, from: event }",
                                "views: { v: { from: some, key: [guid], freshness: 30s } }\n"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(Out(*plan).freshness, (FreshnessSpec{1200 * kSecond, 1800 * kSecond, true}));
  for (const SinkPlan& sink : plan->sinks) {
    if (sink.view) {
      EXPECT_EQ(sink.freshness, (FreshnessSpec{20 * kSecond, 30 * kSecond, false}));
    }
  }
}

TEST(AlarmPlanTest, FreshnessThatCantBeIsRefused) {
  EXPECT_THAT(ErrorsOf(With("topic: t, freshness: { max: 2s }")), HasSubstr("expected 5s or more"));
  EXPECT_THAT(ErrorsOf(With("topic: t, freshness: { warn: 30m, max: 30m }")), HasSubstr("expected less than `max`"));
  EXPECT_THAT(ErrorsOf(With("topic: t, freshness: { warn: 30m }")), HasSubstr("max"));
  EXPECT_THAT(ErrorsOf(With("topic: t, freshness: { max: 30m, from: commit }")), HasSubstr("record"));
  EXPECT_THAT(ErrorsOf(With("parquet: { path: lake, max_age: 10m }, freshness: { warn: 5m, max: 30m }")),
              HasSubstr("`max_age` after their first row"));
}

TEST(AlarmPlanTest, AWebhookIsASinkOfRowsThatStand) {
  const auto plan = PlanOf(With(
      "webhook: { url: \"https://example.org/a/secret?x=1\", id: [url, guid], headers: { X-A: b }, sign: s.txt }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& webhook = std::get<WebhookSpec>(Out(*plan).spec);
  EXPECT_THAT(webhook.id, ElementsAre(1, 0));
  EXPECT_THAT(webhook.headers, ElementsAre(Pair("X-A", "b")));
  EXPECT_EQ(webhook.Shown(), "https://example.org");
  EXPECT_EQ(NodeOf(*plan, "out", Node::Kind::kFeed).edge >= 0, true);
  EXPECT_THAT(
      ErrorsOf(Clicks("  sums: { from: clicks, group_by: [url], aggregates: { n: \"count(*)\" }, emit: on_update }\n",
                      "", "  out: { from: sums, webhook: \"http://h/p\" }\n")),
      HasSubstr("what was posted can't be taken back"));
}

TEST(AlarmPlanTest, AddressesAndHeadersThatCantBeAreRefused) {
  EXPECT_THAT(ErrorsOf(With("webhook: \"ftp://h/p\"")), HasSubstr("expected http://HOST:PORT/PATH"));
  EXPECT_THAT(ErrorsOf(With("webhook: \"http://me:secret@h/p\"")), HasSubstr("a user in the address isn't sent"));
  EXPECT_THAT(ErrorsOf(With("webhook: { url: \"http://h/p\", headers: { Webhook-Id: x } }")),
              HasSubstr("is set by Tidemark itself"));
  EXPECT_THAT(ErrorsOf(With("webhook: { url: \"http://h/p\", headers: { \"a b\": x } }")),
              HasSubstr("can't be the name of a header"));
  EXPECT_THAT(ErrorsOf(With("webhook: { url: \"http://h/p\", token: t, headers: { authorization: x } }")),
              HasSubstr("one of the two"));
  EXPECT_THAT(ErrorsOf(With("webhook: { url: \"http://h/p\", id: [guidd] }")), HasSubstr("did you mean 'guid'"));
  EXPECT_THAT(ErrorsOf(With("webhook: \"http://h/p\", key: [guid]")), HasSubstr("move it into webhook"));
}

TEST(AlarmPlanTest, WhoIsToldNeedsSomethingToTell) {
  const std::string notify = "notify: { topic: told, webhook: \"http://h/p\" }\n";
  const auto plan = PlanOf(With("topic: t, freshness: 30m", notify));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->notify.topic, "told");
  EXPECT_EQ(plan->notify.webhook.size(), 1U);
  EXPECT_THAT(ErrorsOf(With("topic: t", notify)), HasSubstr("no sink and no view states `freshness`"));
  EXPECT_THAT(ErrorsOf(With("topic: t, freshness: 30m", "notify: {}\n")), HasSubstr("`webhook` or `topic`"));
  EXPECT_THAT(ErrorsOf(With("topic: t, freshness: 30m", "notify: { webhook: { url: \"http://h/p\", id: [a] } }\n")),
              HasSubstr("an alarm's id is its own"));
}

}  // namespace
}  // namespace tidemark
