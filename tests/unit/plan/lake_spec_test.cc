// Raw lakes of a topology's sources, as `replay` and `--lakes` say.
#include "src/plan/lake_spec.h"

#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

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
  const auto found = LakesOf(plan, {}, lakes, holes);
  EXPECT_TRUE(absl::IsInvalidArgument(found.status())) << found.status();
  return std::string(found.status().message());
}

TEST(LakeSpecTest, TheLakesColumnsAreThoseThatTheSourceReadsItsRecordsInto) {
  const Plan plan = Rows(absl::StrCat(kRaw, ", k: { type: bytes, from: key, nullable: true }"));
  const auto lakes = LakesOf(plan, {}, "rows=/lake/a=b", "");
  ASSERT_TRUE(lakes.ok()) << lakes.status();
  const LakeSpec& lake = lakes->at("in");
  EXPECT_EQ(lake.path, "/lake/a=b");
  EXPECT_EQ(LakesOf(plan, {}, "rows=s3://bucket/lake", "")->at("in").path, "s3://bucket/lake");
  EXPECT_EQ(lake.partition + lake.offset + lake.timestamp + lake.value + lake.key, "powrawk");
  EXPECT_FALSE(lake.pass_holes);
  EXPECT_TRUE(LakesOf(Rows(kRaw), {}, "rows=/lake", "pass")->at("in").pass_holes);
  EXPECT_EQ(LakesOf(Rows(kRaw), {}, "rows=/lake", "stop")->at("in").key, "");
  EXPECT_TRUE(LakesOf(plan, {}, "", "")->empty());
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
  EXPECT_THAT(Refused(plan, "rows=gs://bucket/lake"), HasSubstr("source rows: gs:// isn't implemented"));
}

// A topology whose source `rows` says `replay: { <replay> }`, beside a lake and other sinks.
std::string Saying(const std::string& replay, const std::string& source = "topic: in",
                   const std::string& columns = kRaw) {
  return absl::StrCat("name: t\nkafka: { brokers: b }\nsources:\n  rows:\n    ", source, "\n    columns: { ", columns,
                      " }\n    replay: { ", replay, R"yaml( }
steps:
  some: { from: rows, filter: "id > 1" }
sinks:
  out: { from: rows, topic: out, create: {} }
  lake: { from: rows, parquet: { path: s3://b/raw, partition_by: ["date(w)"] } }
  part: { from: some, parquet: { path: /lake/part } }
)yaml");
}

// The lakes that it says; the plan comes out of what is returned, too.
std::pair<Plan, LakeSpecs> Said(const std::string& yaml) {
  TopologyText text;
  auto plan = PlanOf(yaml, {}, &text);
  EXPECT_TRUE(plan.ok()) << plan.status();
  if (!plan.ok()) return {};
  return {*std::move(plan), text.lakes};
}

TEST(LakeSpecTest, ASourceSaysItsLakeAndTheCommandWins) {
  const auto [plan, said] = Said(Saying("from: parquet, path: lake/raw, holes: pass"));
  ASSERT_EQ(said.size(), 1U);
  const LakeSpec lake = LakesOf(plan, said, "", "")->at("in");
  EXPECT_EQ(lake.path, "lake/raw");
  EXPECT_TRUE(lake.pass_holes);
  EXPECT_EQ(lake.partition + lake.offset + lake.timestamp + lake.value, "powraw");
  EXPECT_FALSE(LakesOf(plan, said, "", "stop")->at("in").pass_holes);
  const LakeSpec flagged = LakesOf(plan, said, "rows=/other", "")->at("in");
  EXPECT_EQ(flagged.path, "/other");
  EXPECT_FALSE(flagged.pass_holes) << "what was said of another lake";
  EXPECT_TRUE(LakesOf(plan, said, "rows=/other", "pass")->at("in").pass_holes);
}

TEST(LakeSpecTest, TheSinkThatWritesALakeSaysWhereItIs) {
  EXPECT_EQ(Said(Saying("from: parquet, sink: lake")).second.at("in").path, "s3://b/raw");
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, sink: lak")), HasSubstr("unknown sink 'lak' (did you mean 'lake'?)"));
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, sink: out")), HasSubstr("sink out writes no Parquet files"));
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, sink: part")), HasSubstr("sink part takes rows from some"));
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, sink: lake, path: /l")), HasSubstr("either by 'path' or by 'sink'"));
  EXPECT_THAT(ErrorsOf(Saying("from: parquet")), HasSubstr("the lake's 'path' is missing"));
}

TEST(LakeSpecTest, ASinkWithoutFromIsToldOfOnce) {
  std::string yaml = Saying("from: parquet, sink: lake");
  const std::string from = "lake: { from: rows, ";
  yaml.replace(yaml.find(from), from.size(), "lake: { ");
  const std::string errors = ErrorsOf(yaml);
  EXPECT_THAT(errors, AllOf(HasSubstr("missing field 'from'"), Not(HasSubstr("\n"))));
}

TEST(LakeSpecTest, RowsThatARuleOfTheSourceLeavesOutArentInItsSinksLake) {
  const auto with = [](const std::string& rules, const std::string& lake) {
    return Saying(absl::StrCat("from: parquet, ", lake), absl::StrCat("topic: in\n    expect: { ", rules, " }"));
  };
  for (const char* otherwise : {"", ", else: drop", ", else: dead_letter"}) {
    EXPECT_THAT(ErrorsOf(with(absl::StrCat("some: { that: \"id > 0\"", otherwise, " }"), "sink: lake")),
                HasSubstr("rule some of the source leaves rows out of the lake"))
        << otherwise;
  }
  EXPECT_EQ(ErrorsOf(with("a: { that: \"id > 0\", else: warn }, b: { that: \"id > 1\", else: stop }", "sink: lake")),
            "");
  EXPECT_EQ(ErrorsOf(with("some: { that: \"id > 0\" }", "path: /lake")), "") << "who wrote that, nobody knows";
}

TEST(LakeSpecTest, WhatASourceCantHaveInALakeIsRefusedWhereItSaysSo) {
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, path: /l", "topic: in", "id: int64")),
              AllOf(HasSubstr("t.yaml:7:"), HasSubstr("no column of it comes `from: value`")));
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, path: /l", "http: { path: /v1/in }", "id: int64")),
              HasSubstr("only the records of a topic are kept in a raw lake"));
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, path: /l", "topics: in-.*")), HasSubstr("the records of one topic"));
  EXPECT_THAT(ErrorsOf(Saying("from: files, path: /l")), HasSubstr("other files than Parquet aren't read as a lake"));
  EXPECT_THAT(ErrorsOf(Saying("from: parquets, path: /l")), HasSubstr("expected parquet, found 'parquets'"));
  EXPECT_EQ(ErrorsOf(Saying("path: /l")), "t.yaml:7:5: missing field 'from'");
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, path: gs://b/l")), HasSubstr("gs:// isn't implemented"));
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, path: s3://")), HasSubstr("the bucket is missing"));
  EXPECT_THAT(ErrorsOf(Saying("from: parquet, path: /l, holes: skip")), HasSubstr("skip"));
}

}  // namespace
}  // namespace tidemark
