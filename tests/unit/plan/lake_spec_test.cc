// `--lakes`: raw lakes of a topology's sources.
#include "src/plan/lake_spec.h"

#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

constexpr char kRaw[] =
    "id: int64, raw: { type: bytes, from: value }, p: { type: int32, from: partition }, o: { type: int64, from: offset "
    "}, w: { type: timestamp, from: timestamp }";

Plan Rows(const std::string& columns, const std::string& more = "") {
  const auto plan =
      PlanOf(absl::StrCat("name: t\nkafka: { brokers: b }\nsources:\n  rows:\n    topic: in\n", more, "    columns: { ",
                          columns, " }\nsinks: { out: { from: rows, topic: out, create: {} } }\n"));
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *plan;
}

std::string Refused(const Plan& plan, const std::string& lakes, const std::string& holes = "") {
  const auto found = LakesOf(plan, lakes, holes);
  EXPECT_TRUE(absl::IsInvalidArgument(found.status())) << found.status();
  return std::string(found.status().message());
}

TEST(LakeSpecTest, TheLakesColumnsAreThoseThatTheSourceReadsItsRecordsInto) {
  const Plan plan = Rows(absl::StrCat(kRaw, ", k: { type: bytes, from: key, nullable: true }"));
  const auto lakes = LakesOf(plan, "rows=/lake/a=b", "");
  ASSERT_TRUE(lakes.ok()) << lakes.status();
  const LakeSpec& lake = lakes->at("in");
  EXPECT_EQ(lake.path, "/lake/a=b");
  EXPECT_EQ(LakesOf(plan, "rows=s3://bucket/lake", "")->at("in").path, "s3://bucket/lake");
  EXPECT_EQ(lake.partition + lake.offset + lake.timestamp + lake.value + lake.key, "powrawk");
  EXPECT_FALSE(lake.pass_holes);
  EXPECT_TRUE(LakesOf(Rows(kRaw), "rows=/lake", "pass")->at("in").pass_holes);
  EXPECT_EQ(LakesOf(Rows(kRaw), "rows=/lake", "stop")->at("in").key, "");
  EXPECT_TRUE(LakesOf(plan, "", "")->empty());
}

TEST(LakeSpecTest, WhatCantBeMadeAgainFromALakeIsRefused) {
  EXPECT_THAT(Refused(Rows("id: int64"), "rows=/lake"), HasSubstr("no column of it comes `from: value`"));
  EXPECT_THAT(Refused(Rows("id: int64"), "rows=/lake"), HasSubstr("no column of it comes `from: offset`"));
  EXPECT_THAT(Refused(Rows(absl::StrCat(kRaw, ", h: { type: string, from: 'header:h', nullable: true }")), "rows=/l"),
              HasSubstr("column h comes from a header"));
  EXPECT_THAT(Refused(Rows(absl::StrCat(kRaw, ", k: { type: int64, from: key }"), "    key_format: text\n"), "rows=/l"),
              HasSubstr("it looks at record keys"));
}

TEST(LakeSpecTest, MistakesInTheFlagsAreNamed) {
  const Plan plan = Rows(kRaw);
  EXPECT_THAT(Refused(plan, "row=/lake"), HasSubstr("did you mean 'rows'"));
  EXPECT_THAT(Refused(plan, "rows"), HasSubstr("SOURCE=FOLDER is expected"));
  EXPECT_THAT(Refused(plan, "rows=/lake", "past"), HasSubstr("expected stop or pass"));
  EXPECT_THAT(Refused(plan, "", "pass"), HasSubstr("--holes goes with --lakes"));
}

}  // namespace
}  // namespace tidemark
