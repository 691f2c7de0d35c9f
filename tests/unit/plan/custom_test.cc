// Steps whose operator the program has registered.
#include "operators/custom/custom_operator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Step(const std::string& custom) {
  return ErrorsOf(Clicks("  a: { from: clicks, custom: { " + custom + " } }\n", "a"));
}

class CustomTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { RegisterTestOperators(); }
};

TEST_F(CustomTest, ARegisteredNameIsAnOperatorAndByBringsEqualRowsTogether) {
  const auto plan =
      PlanOf(Clicks("  a: { from: clicks, custom: { operator: sessions, by: [guid], with: { gap: 30m } } }\n", "a"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& spec = SpecOf<CustomSpec>(*plan, "a");
  EXPECT_EQ(spec.name, "sessions");
  EXPECT_THAT(spec.by, ElementsAre(0));
  EXPECT_EQ(DurationParameter(spec, "gap"), 1800 * kSecond);
  EXPECT_EQ(IntegerParameter(spec, "least"), std::nullopt);
  const Node& node = NodeOf(*plan, "a");
  EXPECT_EQ(node.output.ToString(), "guid int64, ended timestamp_ms");
  EXPECT_TRUE(node.in().hidden.Has(Hidden::kWatermark)) << "it has asked for it";
  EXPECT_FALSE(node.hidden.Has(Hidden::kWatermark)) << "its rows are its own";
  ASSERT_EQ(plan->edges.size(), 1u);
  EXPECT_EQ(plan->edges[0].topic, "web.a.repartition");
  EXPECT_TRUE(plan->stages.back().stateful);
}

TEST_F(CustomTest, RowsThatAreKeptTogetherNeedNoSecondRepartition) {
  const auto plan =
      PlanOf(Clicks("  a: { from: clicks, custom: { operator: sessions, by: [guid], with: { gap: 30m } } }\n"
                    "  b: { from: a, dedup: { by: [guid], within: 1h } }\n",
                    "b"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->edges.size(), 1u);
}

// When it takes rows back nobody knows.
TEST_F(CustomTest, NoWindowTakesTheChangesOfACustomOperator) {
  const auto over = [](const std::string& by) {
    return ErrorsOf(
        Clicks("  a: { from: clicks, custom: { operator: latest, by: [guid] } }\n"
               "  b: { from: a, " +
                   by + "group_by: [guid], aggregates: { n: \"count(*)\" } }\n",
               "b"));
  };
  EXPECT_THAT(over("window: { tumbling: 1m }, "), HasSubstr("a window over this step isn't implemented"));
  EXPECT_THAT(over(""), HasSubstr("needs a key that contains guid")) << "without a window its groups change";
}

TEST_F(CustomTest, WhatIsNotRegisteredIsRefusedWithTheNearestName) {
  EXPECT_EQ(Step("operator: session, by: [guid], with: { gap: 30m }"),
            "t.yaml:20:42: no custom operator 'session' is registered (did you mean 'sessions'?)");
  EXPECT_THAT(Step("by: [guid]"), HasSubstr("missing field 'operator'"));
}

TEST_F(CustomTest, ParametersAreCheckedByNameAndKind) {
  EXPECT_THAT(Step("operator: sessions, by: [guid], with: { gab: 30m }"),
              AllOf(HasSubstr("operator sessions has no parameter 'gab' (did you mean 'gap'?)"),
                    HasSubstr("operator sessions needs the parameter 'gap'")));
  EXPECT_THAT(Step("operator: sessions, by: [guid]"), HasSubstr("needs the parameter 'gap'"));
  EXPECT_EQ(Step("operator: sessions, by: [guid], with: { gap: soon }"),
            "t.yaml:20:77: expected a duration such as 100ms, 5s, 10m, 1h or 1d, found 'soon'");
  EXPECT_THAT(Step("operator: sessions, by: [guid], with: { gap: 1m, least: few }"),
              HasSubstr("expected a whole number"));
}

TEST_F(CustomTest, ColumnsAreCheckedByTheOperatorAndByUs) {
  EXPECT_THAT(Step("operator: sessions, with: { gap: 30m }"), HasSubstr("operator sessions needs `by`"));
  EXPECT_THAT(Step("operator: sessions, by: [gid], with: { gap: 30m }"),
              HasSubstr("unknown column 'gid' of the input"));
  EXPECT_THAT(Step("operator: sessions, by: [url], with: { gap: 30m }"),
              HasSubstr("t.yaml:20:22: by one int64 column"));
  EXPECT_THAT(ErrorsOf(Clicks("  u: { from: clicks, group_by: [guid], aggregates: { n: \"count(*)\" } }\n"
                              "  a: { from: u, custom: { operator: sessions, by: [guid], with: { gap: 30m } } }\n",
                              "a")),
              HasSubstr("a custom operator over an updating step isn't implemented"));
}

TEST_F(CustomTest, ANameIsRegisteredOnce) {
  CustomOperator again = *FindCustomOperator("sessions");
  EXPECT_TRUE(absl::IsAlreadyExists(RegisterOperator(again)));
  again.name = "half";
  again.make = nullptr;
  EXPECT_TRUE(absl::IsInvalidArgument(RegisterOperator(again)));
}

}  // namespace
}  // namespace tidemark
