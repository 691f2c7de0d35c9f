// What `tidemark plan` prints, its exit codes, and where `tidemark reset` is told to begin.
#include "src/cli/plan_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/json_text.h"
#include "src/cli/reset_flags.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Plan Town() {
  Plan plan;
  plan.application.name = "town";
  return plan;
}

TopologyChange Change() {
  TopologyChange change;
  change.against = "before.yaml";
  change.steps = {{"step once", Verdict::Kind::kUnchanged},
                  {"step hourly", Verdict::Kind::kDropped, "step hourly: \"gone\"", 1204000, 4},
                  {"step daily", Verdict::Kind::kNew}};
  change.stateless = {{"rows", PartChange::Kind::kGoesOn}};
  change.sources = {{"prices", PartChange::Kind::kGoesOn, "topic prices"}, {"old", PartChange::Kind::kGone}};
  change.sinks = {{"lake", PartChange::Kind::kGoesOn, "lake /l", "", {"note string"}, {"cents int64"}}};
  change.topics = {{.topic = "town.daily.changelog", .partitions = 4}};
  return change;
}

TEST(PlanReport, SaysWhatBecomesOfEachPartAndWhatRunRefuses) {
  EXPECT_THAT(PlanReport(Town(), Change(), "text").value(),
              AllOf(HasSubstr("plan for town, against before.yaml"), HasSubstr("  - hourly"),
                    HasSubstr("1,204,000 rows in open windows"), HasSubstr("  + daily"), HasSubstr("    once"),
                    HasSubstr("columns + note string, - cents int64"), HasSubstr("town.daily.changelog"),
                    HasSubstr("Needs a decision; `run` refuses it, and changes nothing:\n  step hourly: \"gone\"\n")));
}

TEST(PlanReport, SaysFromWhereOnANewSourceIsRead) {
  TopologyChange change = Change();
  change.sources = {{.name = "orders",
                     .kind = PartChange::Kind::kNew,
                     .about = "table public.orders",
                     .begins = ", as it is, then its changes"}};
  EXPECT_THAT(PlanReport(Town(), change, "text").value(),
              HasSubstr("new: table public.orders, as it is, then its changes\n"));
}

TEST(PlanReport, OfProgramsIsValidJson) {
  const std::string json = PlanReport(Town(), Change(), "json").value();
  EXPECT_TRUE(IsJson(json)) << json;
  EXPECT_THAT(json, AllOf(HasSubstr("\"outcome\": \"needs a decision\""), HasSubstr("\"open\": 1204000"),
                          HasSubstr("step hourly: \\\"gone\\\"")));
  EXPECT_FALSE(PlanReport(Town(), Change(), "dot").ok());
}

TEST(PlanReport, SaysWhichAggregatesCountFromNowOn) {
  TopologyChange change = Change();
  Verdict& hourly = change.steps[1];
  hourly = {.subject = "step hourly", .kind = Verdict::Kind::kConverted, .open = 1204};
  hourly.from_now = {"most"};
  EXPECT_THAT(PlanReport(Town(), change, "text").value(),
              HasSubstr("converts state: most counts from now on, which the former file can't go on with behind it, "
                        "1,204 rows in open windows\n"));
  hourly.from_now = {"most", "least"};
  hourly.former_name = "by_hour";
  EXPECT_THAT(PlanReport(Town(), change, "text").value(),
              HasSubstr("converts state of by_hour: most, least count from now on, which"));
  const std::string json = PlanReport(Town(), change, "json").value();
  EXPECT_TRUE(IsJson(json)) << json;
  EXPECT_THAT(json, HasSubstr("\"from_now\": [\"most\", \"least\"]"));
}

TEST(PlanReport, ExitCodesTellLossFromMistakes) {
  TopologyChange change = Change();
  EXPECT_EQ(PlanExitCode(change), 3);
  change.sinks[0].unknown = "away";
  EXPECT_EQ(PlanExitCode(change), 3);
  change.steps.clear();
  EXPECT_EQ(PlanExitCode(change), 1);
  change.sinks[0].unknown.clear();
  EXPECT_EQ(PlanExitCode(change), 0);
  EXPECT_THAT(PlanReport(Town(), change, "text").value(), HasSubstr("Nothing is lost"));
  change.wrong = {"no topic"};
  EXPECT_EQ(PlanExitCode(change), 2);
  EXPECT_THAT(PlanReport(Town(), change, "text").value(),
              AllOf(HasSubstr("Must be mended first:\n  no topic"), Not(HasSubstr("Nothing is lost"))));
}

TEST(ResetFlags, ExactlyOnePlaceIsStated) {
  EXPECT_FALSE(ResetPlace({}).ok());
  EXPECT_FALSE(ResetPlace({.earliest = true, .latest = true}).ok());
  EXPECT_EQ(ResetPlace({.latest = true})->at, ResetTo::At::kLatest);
  EXPECT_EQ(ResetPlace({.timestamp = "1970-01-01T00:00:01Z"})->timestamp_ms, 1'000);
  EXPECT_EQ(ResetPlace({.shift_by = "-1h"})->back_us, 3'600'000'000);
  for (const char* wrong : {"1h", "-0s", "-x", "h"}) EXPECT_FALSE(ResetPlace({.shift_by = wrong}).ok()) << wrong;
  EXPECT_FALSE(ResetPlace({.timestamp = "noon"}).ok());
  EXPECT_FALSE(ResetPlace({.offsets = "/no/such/file"}).ok());
}

TEST(ResetFlags, OffsetsAreALineAPartition) {
  const auto offsets = ParseResetOffsets("# from\na 0 5\n\n a\t1, 7 \r\n");
  ASSERT_TRUE(offsets.ok()) << offsets.status();
  EXPECT_EQ(*offsets, (std::map<TopicPartition, Offset>{{{"a", 0}, 5}, {{"a", 1}, 7}}));
  for (const char* wrong : {"a 0", "a 0 x", "a -1 5", "a 0 -5", "a 0 5 6", "a 0 5\na 0 6"}) {
    EXPECT_FALSE(ParseResetOffsets(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace tidemark
