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

TEST(SubstituteTest, ADefaultMayHoldVariables) {
  EXPECT_EQ(With("${NOPE:-${HOST}}:9092"), "kafka:9092");
  EXPECT_EQ(With("${NOPE:-${NEITHER:-x}-${HOST}}!"), "x-kafka!");
  EXPECT_EQ(With("${HOST:-${NOPE}}"), "kafka") << "a default that isn't taken isn't looked at";
  EXPECT_THAT(With("${NOPE:-${NEITHER}}"), HasSubstr("environment variable NEITHER is not set"));
  EXPECT_EQ(With("${NOPE:-$${HOST}}"), "${HOST}");
  EXPECT_THAT(With("${NOPE:-${HOST}"), HasSubstr("without '}'"));
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
  EXPECT_EQ(tricky->application.name, "web");
  EXPECT_EQ(tricky->kafka.brokers, "x:1 }\nname: stolen # [\"'");
}

TEST(SubstituteTest, AnUnsetVariableIsReportedWithItsPlace) {
  EXPECT_EQ(ErrorsOf("kafka: { brokers: \"${B}\" }\n" + Clicks("")),
            "t.yaml:1:19: environment variable B is not set; set it, or write ${B:-default}");
}

// Whatever value it is that isn't known, there is nothing else to say.
TEST(SubstituteTest, AnUnsetVariableIsOneMessageWhereverItStands) {
  const std::string doc = ReadWholeFile("docs/topology.md").value();
  const size_t begin = doc.find("```yaml", doc.find("## Every field once")) + 8;
  const std::string yaml = doc.substr(begin, doc.find("```", begin) - begin);
  int tried = 0;
  for (size_t at = yaml.find(": "); at != std::string::npos; at = yaml.find(": ", at + 1)) {
    size_t end = at + 2;
    if (yaml[end] == '"') {
      end = yaml.find('"', end + 1) + 1;
    } else {
      while (end < yaml.size() && std::string("}]\n{[ ").find(yaml[end]) == std::string::npos) {
        if (yaml[end] == ',' && yaml[end + 1] == ' ') break;  // not that of decimal(12,2)
        ++end;
      }
    }
    if (end == at + 2) continue;  // a mapping or a list
    const std::string changed = yaml.substr(0, at + 2) + "\"${MISSING}\"" + yaml.substr(end);
    const std::string errors = ErrorsOf(changed);
    EXPECT_THAT(errors, HasSubstr("environment variable MISSING is not set")) << changed.substr(at - 20, 60);
    EXPECT_EQ(errors.find('\n'), std::string::npos) << errors;
    ++tried;
  }
  EXPECT_GT(tried, 100);
  EXPECT_EQ(ErrorsOf("kafka: { brokers: \"${A}\", properties: { x: \"${A}\", y: \"${B}\" } }\n" + Clicks("")),
            "t.yaml:1:19: environment variable A is not set; set it, or write ${A:-default}\n"
            "t.yaml:1:55: environment variable B is not set; set it, or write ${B:-default}");
}

}  // namespace
}  // namespace tidemark
