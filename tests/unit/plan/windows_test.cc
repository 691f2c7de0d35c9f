// What the planner makes of the kinds of windows, and what it refuses of them.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/plan/operator_kind.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Step(const std::string& name, const std::string& from, const std::string& window, const std::string& more) {
  return "  " + name + ": { from: " + from + ", window: { " + window +
         " }, group_by: [url], aggregates: { n: \"count(*)\" }" + more + " }\n";
}
// With a sink that takes rows which replace each other.
std::string Sunk(const std::string& steps) {
  return Clicks(steps, "",
                "  z_topic: { from: z, topic: z, key: [url, window_start, window_end], key_format: json }\n");
}
std::string Errors(const std::string& window, const std::string& more = "") {
  return ErrorsOf(Sunk(Step("z", "clicks", window, more)));
}
Node FinalOf(const std::string& window, const std::string& more = "") {
  const auto plan = PlanOf(Sunk(Step("z", "clicks", window, more)));
  EXPECT_TRUE(plan.ok()) << plan.status();
  if (!plan.ok()) return Node();
  for (const Stage& stage : plan->stages) {
    for (const Node& node : stage.nodes) {
      if (node.step == "z" && node.kind == Node::Kind::kOperator &&
          node.spec.As<WindowSpec>().phase != OperatorPhase::kPartial) {
        return node;
      }
    }
  }
  ADD_FAILURE() << "no step";
  return Node();
}

TEST(WindowsPlanTest, EveryKindSaysWhatItIsAndHasAStateOfItsOwn) {
  const auto describe = [](const Node& node) { return node.spec.kind().Describe(node); };
  const auto fingerprint = [](const Node& node) { return node.spec.kind().Fingerprint(node); };
  const Node day = FinalOf("calendar: day, time_zone: Europe/Berlin, offset: 6h");
  EXPECT_THAT(describe(day), HasSubstr("window of a day in Europe/Berlin, grace 0s, offset 6h, group by (url)"));
  EXPECT_THAT(fingerprint(day), StartsWith("window of a calendar day in Europe/Berlin from 21600000000us by "));
  const Node so_far = FinalOf("cumulative: 1d, every: 1m");
  EXPECT_THAT(describe(so_far), HasSubstr("cumulative window 1d every 1m, grace 0s"));
  EXPECT_THAT(fingerprint(so_far), StartsWith("window 60000000us every 60000000us cumulative 86400000000us by "));
  EXPECT_THAT(describe(FinalOf("tumbling: 1m, keep: 7d", ", emit: on_update")), HasSubstr(", on update, keep 7d"));
  // What was there is called as it was, and how long rows are kept is no part of it.
  EXPECT_THAT(fingerprint(FinalOf("tumbling: 1m, keep: 7d", ", emit: on_update")),
              StartsWith("window 60000000us every 60000000us by "));
}

TEST(WindowsPlanTest, WhatCountsFromNowOnStandsBehindTheOthersAndMayBeNull) {
  const auto step = [](const std::string& aggregates, const std::string& from_now, const std::string& more = "") {
    return Clicks("  z: { from: clicks, window: { tumbling: 1m }, group_by: [url], aggregates: { " + aggregates +
                      " }, aggregates_from_now: " + from_now + more + " }\n",
                  "z");
  };
  const auto plan = PlanOf(step("n: \"count(*)\", more: \"count(price)\"", "more"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Schema& output = plan->sinks[0].schema;
  EXPECT_FALSE(output[*output.Find("n")].nullable);
  EXPECT_TRUE(output[*output.Find("more")].nullable) << "results of before haven't got it";
  EXPECT_THAT(ErrorsOf(step("n: \"count(*)\", more: \"count(price)\"", "[moer]")),
              HasSubstr("'moer' is none of the step's aggregates (one of: n, more)"));
  EXPECT_THAT(ErrorsOf(step("more: \"count(price)\", n: \"count(*)\"", "[more]")),
              HasSubstr("'more' stands in front of 'n', which doesn't count from now on: put it behind"));
  EXPECT_THAT(ErrorsOf(step("n: \"count(*)\"", "[n]")), HasSubstr("all aggregates would count from now on"));
  const std::string over =
      "  z: { from: clicks, over: { by: [url], rows: 2 }, aggregates: { n: \"count(*)\" }, aggregates_from_now: n }\n";
  EXPECT_THAT(ErrorsOf(Clicks(over, "z")),
              HasSubstr("'aggregates_from_now' goes with window or group_by, not with over"));
  const std::string updates =
      "  y: { from: clicks, group_by: [url], aggregates: { n: \"count(*)\" } }\n"
      "  z: { from: y, group_by: [n], aggregates: { c: \"count(*)\", s: \"sum(n)\" }, aggregates_from_now: s }\n";
  EXPECT_THAT(ErrorsOf(Clicks(updates, "", "  z_topic: { from: z, topic: z, key: [n], key_format: json }\n")),
              HasSubstr("rows of the input are taken back (key url), also those that came before an aggregate was "
                        "added, and it can't give back what it was never given"));
}

TEST(WindowsPlanTest, WhatDoesNotGoTogetherIsRefusedByName) {
  EXPECT_THAT(Errors("calendar: day, tumbling: 1d"), HasSubstr("a window is one of"));
  EXPECT_THAT(Errors("calendar: fortnight"), HasSubstr("fortnight"));
  EXPECT_THAT(Errors("calendar: day, time_zone: Berlin"), HasSubstr("there is no time zone 'Berlin'"));
  EXPECT_THAT(Errors("tumbling: 1d, time_zone: Europe/Berlin"), HasSubstr("`time_zone` goes with calendar"));
  EXPECT_THAT(Errors("calendar: day, every: 1h"), HasSubstr("`every` goes with hopping and cumulative"));
  EXPECT_THAT(Errors("calendar: month, offset: 28d"), HasSubstr("`offset` must be less than that"));
  EXPECT_THAT(Errors("cumulative: 1d"), HasSubstr("needs `every`"));
  EXPECT_THAT(Errors("cumulative: 1d, every: 7h"), HasSubstr("must divide the length of the window, 1d"));
  EXPECT_THAT(Errors("cumulative: 1d, every: 1d"), HasSubstr("and be less"));
  EXPECT_THAT(Errors("cumulative: 1d, every: 1s"), HasSubstr("at most 10000"));
  EXPECT_THAT(Errors("cumulative: 1d, every: 1h", ", emit: on_update"),
              HasSubstr("on_update isn't implemented for cumulative windows"));
  EXPECT_THAT(Errors("tumbling: 1d, keep: 7d"), HasSubstr("`keep` goes with emit: on_update"));
  EXPECT_THAT(Errors("tumbling: 1d, grace: 1h, keep: 1h", ", emit: on_update"), HasSubstr("longer than `grace`, 1h"));
  EXPECT_THAT(Errors("session: 1h, keep: 7d", ", emit: on_update"), HasSubstr("isn't implemented for sessions"));
}

TEST(WindowsPlanTest, BehindRowsThatAreTakenBackOrDeletedOnlyWhatCanBe) {
  const auto errors = [](const std::string& first, const std::string& second) {
    return ErrorsOf(Sunk(Step("w", "clicks", first, ", emit: on_update") + Step("z", "w", second, "")));
  };
  EXPECT_EQ(errors("tumbling: 1m", "calendar: day"), "");
  EXPECT_THAT(errors("tumbling: 1m", "cumulative: 1d, every: 1h"), HasSubstr("cumulative windows over this step"));
  // Groups would lose what `keep` deletes, so they aren't said to be the same.
  EXPECT_THAT(
      errors("tumbling: 1m, keep: 7d", "tumbling: 1d"),
      AllOf(HasSubstr("long after their time, when the windows they lie in are over. Put the window before it, or "
                      "emit: on_close in step w"),
            Not(HasSubstr("group for each window"))));
}

// A table `orders` of changes with these columns beside its key, a window over it, and what else.
std::string OverTable(const std::string& columns, const std::string& steps, const std::string& key) {
  return absl::StrCat(
      "name: x\nsources:\n  orders: { topic: orders, format: debezium, key: [id], columns: { id: int64, ",
      "region: string, ", columns, " } }\nsteps:\n", steps, "sinks: { s: { from: z, topic: z, key: [", key,
      "], key_format: json, create: {} } }\n");
}
constexpr char kTimed[] = "placed: timestamp_ms }, event_time: { column: placed";

TEST(WindowsPlanTest, OverATableTheGroupsThatAreRightForEverAreToldAndAreAPlan) {
  const auto told = [](const std::string& window, const std::string& emit, const std::string& columns = kTimed) {
    return ErrorsOf(OverTable(columns,
                              absl::StrCat("  z: { from: orders, window: { ", window, " }, group_by: [region], ",
                                           "aggregates: { n: \"count(*)\" }, emit: ", emit, " }\n"),
                              "region"));
  };
  const auto start = [](const std::string& expression) {
    return HasSubstr("`z_timed: { from: orders, project: { \"*\": true, window_start: \"" + expression +
                     "\" } }`, and here `from: z_timed`, `group_by: [region, window_start]` without `window`");
  };
  for (const char* emit : {"on_close", "on_update"}) {
    EXPECT_THAT(told("tumbling: 1h", emit),
                AllOf(HasSubstr("its rows (key id) may be replaced long after their time, when the windows they lie in "
                                "are over. What is right however late a row is replaced is a group for each window"),
                      start("date_bin(interval '1 hour', placed, timestamp '1970-01-01')")));
  }
  const std::vector<std::pair<std::string, std::string>> all = {
      {"tumbling: 90s", "date_bin(interval '90 seconds', placed, timestamp '1970-01-01')"},
      {"tumbling: 1d, offset: 6h",
       "date_bin(interval '1 day', placed - interval '6 hours', timestamp '1970-01-01') + interval '6 hours'"},
      {"hopping: 1h, every: 15m", "date_bin(interval '15 minutes', placed, timestamp '1970-01-01')"},
      {"calendar: day, time_zone: Europe/Berlin", "date_trunc('day', placed, 'Europe/Berlin')"},
      {"calendar: quarter", "date_trunc('quarter', placed, 'UTC')"}};
  for (const auto& [window, expression] : all) {
    EXPECT_THAT(told(window, "on_update"), start(expression));
    EXPECT_EQ(ErrorsOf(OverTable(kTimed,
                                 absl::StrCat("  z_timed: { from: orders, project: { \"*\": true, window_start: \"",
                                              expression, "\" } }\n  z: { from: z_timed, group_by: [region, ",
                                              "window_start], aggregates: { n: \"count(*)\" } }\n"),
                                 "region, window_start")),
              "");
  }
  EXPECT_THAT(told("hopping: 1h, every: 15m", "on_update"), HasSubstr("a window of 1h is 4 such groups"));
  EXPECT_THAT(told("tumbling: 1h", "on_close"), HasSubstr("without `window` and `emit: on_close`"));
  // Names that need quotes in SQL get them, and where event time is no column it is said what could be one.
  EXPECT_THAT(told("tumbling: 1h", "on_close", "\"Placed at\": timestamp_ms }, event_time: { column: \"Placed at\""),
              start("date_bin(interval '1 hour', \\\"Placed at\\\", timestamp '1970-01-01')"));
  EXPECT_THAT(told("tumbling: 1h", "on_close", "v: int64"),
              AllOf(start("date_bin(interval '1 hour', TIME, timestamp '1970-01-01')"),
                    HasSubstr("changed_at: { type: timestamp, from: timestamp }")));
}

// The texts between backticks.
std::vector<std::string> LinesToWrite(const std::string& message) {
  const std::vector<std::string> parts = absl::StrSplit(message, '`');
  std::vector<std::string> lines;
  for (size_t i = 1; i < parts.size(); i += 2) lines.push_back(parts[i]);
  return lines;
}

TEST(WindowsPlanTest, TheLinesThatAreToldArePlannedAsTheyStand) {
  for (const std::string emit : {"on_close", "on_update"}) {
    for (const char* window : {"tumbling: 1d, offset: 6h", "calendar: day, time_zone: Europe/Berlin"}) {
      const std::string written = absl::StrCat("emit: ", emit);
      const std::string step =
          absl::StrCat("  z: { from: orders, window: { ", window,
                       " }, group_by: [region], aggregates: { n: \"count(*)\" }, ", written, " }\n");
      const std::vector<std::string> lines = LinesToWrite(ErrorsOf(OverTable(kTimed, step, "region")));
      ASSERT_GE(lines.size(), 4u);
      std::string edited = absl::StrReplaceAll(step, {{"from: orders", lines[1]},
                                                      {absl::StrCat(" window: { ", window, " },"), ""},
                                                      {"group_by: [region]", lines[2]}});
      EXPECT_EQ(lines[3], "window");
      for (size_t i = 4; i < lines.size(); ++i) edited = absl::StrReplaceAll(edited, {{", " + lines[i], ""}});
      EXPECT_EQ(ErrorsOf(OverTable(kTimed, absl::StrCat("  ", lines[0], "\n", edited), "region, window_start")), "")
          << edited;
    }
  }
}

}  // namespace
}  // namespace tidemark
