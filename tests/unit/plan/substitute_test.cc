#include "src/plan/substitute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

std::string With(const std::string& text) {
  const auto result = Substitute(text, [](const std::string& name) -> std::optional<std::string> {
    if (name == "HOST") return "kafka";
    if (name == "EMPTY") return "";
    if (name == "TRICKY") return "${HOST} }: [";
    return std::nullopt;
  });
  return result.ok() ? *result : absl::StrCat("error: ", result.status().message());
}

TEST(SubstituteTest, AVariableIsPutInAnywhereInTheText) {
  EXPECT_EQ(With("${HOST}:9092,${HOST}:9093"), "kafka:9092,kafka:9093");
  EXPECT_EQ(With("no variable, $HOST and {} stay"), "no variable, $HOST and {} stay");
}

TEST(SubstituteTest, TheDefaultStandsInForUnsetAndEmpty) {
  EXPECT_EQ(With("${NOPE:-a:b-c}"), "a:b-c");
  EXPECT_EQ(With("${EMPTY:-x}"), "x");
  EXPECT_EQ(With("${EMPTY}"), "");
  EXPECT_EQ(With("${NOPE:-}"), "");
  EXPECT_EQ(With("${HOST:-x}"), "kafka");
}

TEST(SubstituteTest, TwoDollarsMakeALiteralBrace) {
  EXPECT_EQ(With("$${HOST}"), "${HOST}");
  EXPECT_EQ(With("a$${b${HOST}"), "a${bkafka");
}

TEST(SubstituteTest, WhatAVariableHoldsIsNotLookedAtAgain) { EXPECT_EQ(With("${TRICKY}"), "${HOST} }: ["); }

TEST(SubstituteTest, UnsetWithoutDefaultIsAnErrorThatNamesTheVariable) {
  EXPECT_THAT(With("${NOPE}"), HasSubstr("environment variable NOPE is not set"));
  EXPECT_THAT(With("${HOST"), HasSubstr("without '}'"));
  EXPECT_THAT(With("${a b}"), HasSubstr("isn't the name of an environment variable"));
  EXPECT_THAT(With("${}"), HasSubstr("isn't the name of an environment variable"));
}

TEST(SubstituteTest, AVariableNeverChangesTheStructureOfTheFile) {
  const std::string yaml = Clicks("  a: { from: clicks, filter: \"${CONDITION}\" }\n", "a");
  const auto plan = PlanOf(yaml, {{"CONDITION", "price > 1"}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(SpecOf<FilterSpec>(*plan, "a").expression, "price > 1");

  const std::string brokers = "kafka: { brokers: \"${B}\" }\n" + Clicks("");
  const auto tricky = PlanOf(brokers, {{"B", "x:1 }\nname: stolen # [\"'"}});
  ASSERT_TRUE(tricky.ok()) << tricky.status();
  EXPECT_EQ(tricky->name, "web");
  EXPECT_EQ(tricky->kafka.brokers, "x:1 }\nname: stolen # [\"'");
}

TEST(SubstituteTest, AnUnsetVariableIsReportedWithItsPlace) {
  EXPECT_EQ(ErrorsOf("kafka: { brokers: \"${B}\" }\n" + Clicks("")),
            "t.yaml:1:19: environment variable B is not set; set it, or write ${B:-default}");
}

}  // namespace
}  // namespace tidemark
