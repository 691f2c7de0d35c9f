#include "src/cli/describe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/base/whole_file.h"
#include "src/cli/init.h"
#include "src/cli/validate.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::optional<std::string> NoVariables(const std::string&) { return std::nullopt; }

Plan Htx() {
  const std::string text = ReadWholeFile("examples/htx/topology.yaml").value();
  auto plan = PlanFromYaml(text, "topology.yaml", Operators(), OwnFormats().list(), NoVariables);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : Plan();
}

TEST(DescribeTest, TextShowsStagesStateModesAndWhyARepartitionIsThere) {
  const std::string text = DescribePlan(Htx(), {}, "text").value();
  EXPECT_THAT(text,
              AllOf(HasSubstr("stage 1: detections\n  tasks: one for each partition of detections\n"),
                    HasSubstr("stage 2: items_per_minute"), HasSubstr("changelog htx.detections.changelog"),
                    HasSubstr("dedup by (detection_oid) within 1h, grace 1h, keep first"),
                    HasSubstr("inner join with locations on (geographical_location_oid)"),
                    HasSubstr("top 10 by (geographical_location, window_start, window_end) order detections desc"),
                    HasSubstr("      append: geographical_location_oid int64"),
                    HasSubstr("repartition by (geographical_location) through htx.items_per_minute.repartition"),
                    HasSubstr("why: items_per_minute needs equal"),
                    HasSubstr("upsert into PostgreSQL table public.top_items")));
}

TEST(DescribeTest, RulesForPrometheusWatchCommitsThreadsAndEachKindOfDeadLetter) {
  const auto plan = PlanFromYaml(
      "name: town\nsources:\n  posts: { http: { path: /in }, columns: { k: int64 } }\n"
      "sinks: { s: { from: posts, topic: s } }\n",
      "town.yaml", Operators(), OwnFormats().list(), NoVariables);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(
      DescribePlan(*plan, {}, "prometheus-rules").value(),
      AllOf(HasSubstr("sum by (instance) (increase(tidemark_commits_total{application=\"town\"}[5m])) == 0 and on "
                      "(instance) sum by (instance) (tidemark_task_lag_records{application=\"town\"}) > 0"),
            HasSubstr("max by (instance, thread) (tidemark_thread_step_age_seconds{application=\"town\"}) > 60"),
            HasSubstr("tidemark_step_rows_total{application=\"town\",outcome=\"dead_lettered\"}"),
            HasSubstr("labels: { severity: warning, application: 'town', source: 'posts' }"),
            HasSubstr("sum(increase(tidemark_intake_refused_total{application=\"town\",source=\"posts\"}[10m])) > 0"),
            Not(HasSubstr("tidemark_thread_running"))));
}

TEST(DescribeTest, ACatalogueSaysOfEachColumnWhereItComesFrom) {
  const auto plan = PlanFromYaml(
      "name: c\nsources:\n  a: { topic: a, description: \"What | is\", columns: { k: int64, v: { type: string, path: "
      "x.y, pii: true } } }\n"
      "  b: { topic: b, columns: { k: int64, v: string } }\n"
      "steps:\n  u: { from: [a, b], project: { k: true, h: \"upper(v)\" } }\n"
      "  n: { from: u, group_by: [h], aggregates: { n: \"count(*)\" } }\n"
      "sinks: { s: { from: n, topic: s, key: [h] } }\n",
      "c.yaml", Operators(), OwnFormats().list(), NoVariables);
  ASSERT_TRUE(plan.ok()) << plan.status();
  TopologyText text;
  text.about["sources/a"].description = "What | is";
  text.about["sources/a/columns/v"].pii = true;
  EXPECT_THAT(
      DescribePlan(*plan, text, "markdown").value(),
      AllOf(StartsWith("# c\n"), HasSubstr("\nWhat \\| is\n"), HasSubstr("| `v` | `string` | personal data |"),
            HasSubstr("| `h` | `string` | `(upper(v)) of (v from a value.x.y)`; `(upper(v)) of (v from b value.v)` |"),
            HasSubstr("| `n` | `int64` | `step n n` |")));
  EXPECT_THAT(DescribePlan(*plan, text, "json").value(),
              HasSubstr("\"origins\": {\"h\": [\"(upper(v)) of (v from a value.x.y)\""));
}

TEST(DescribeTest, UpdateStepsNameTheirKey) {
  const auto plan = PlanFromYaml(
      "name: u\nsources: { a: { topic: a, columns: { k: int64 } } }\n"
      "steps: { n: { from: a, group_by: [k], aggregates: { n: \"count(*)\" } } }\n"
      "sinks: { s: { from: n, topic: s, key: [k] } }\n",
      "u.yaml", Operators(), OwnFormats().list(), NoVariables);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(DescribePlan(*plan, {}, "text").value(),
              AllOf(HasSubstr("update by (k): k int64, n int64"), HasSubstr("upsert to topic s")));
  EXPECT_THAT(DescribePlan(*plan, {}, "kafka").value(), HasSubstr("--topic s --partitions \"$PARTITIONS\"\n"));
}

TEST(DescribeTest, FormatsThatAreNoDefaultsAreTold) {
  const auto plan = PlanFromYaml(
      "name: f\nsources: { a: { topic: a, format: csv, key_format: int64, columns: { k: { type: int64, from: key }, v: "
      "string } } }\n"
      "tables:\n"
      "  t: { topic: t, key: [k], columns: { k: int64, w: string } }\n"
      "  u: { topic: u, format: text, key_format: int64, key: [k], columns: { k: { type: int64, from: key }, x: string "
      "} "
      "}\n"
      "steps:\n  b: { from: a, join: { table: t, on: [k] } }\n  c: { from: b, join: { table: u, on: [k] } }\n"
      "sinks: { s: { from: c, topic: s, format: csv, key: [k], key_format: int64 } }\n",
      "f.yaml", Operators(), OwnFormats().list(), NoVariables);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(DescribePlan(*plan, {}, "text").value(),
              AllOf(HasSubstr("topic a, format csv, key int64\n"), HasSubstr("table t: topic t, key (k), whole"),
                    HasSubstr("table u: topic u, format text, key int64, key (k), whole"),
                    HasSubstr("append to topic s, key (k) as int64, format csv")));
  EXPECT_THAT(DescribePlan(*plan, {}, "json").value(),
              AllOf(HasSubstr(R"("topic": "t", "file": "", "format": "json", "key_format": "text")"),
                    HasSubstr(R"("topic": "u", "file": "", "format": "text", "key_format": "int64")")));
}

TEST(DescribeTest, DotHasANodeForEachNodeAndADashedArrowForTheRepartition) {
  const std::string dot = DescribePlan(Htx(), {}, "dot").value();
  EXPECT_THAT(dot, AllOf(StartsWith("digraph \"htx\" {"), HasSubstr("subgraph cluster_1"), HasSubstr("n0_0 -> n0_1;"),
                         HasSubstr("n0_4 -> n1_0 [style=dashed];")));
}

TEST(DescribeTest, JsonNamesStagesNodesAndEdges) {
  const std::string json = DescribePlan(Htx(), {}, "json").value();
  EXPECT_THAT(json, AllOf(StartsWith("{\n  \"name\": \"htx\""), HasSubstr("\"kind\": \"dedup\""),
                          HasSubstr("\"topic\": \"htx.lake.feed\", \"from_stage\": \"detections\", \"to_stage\": null, "
                                    "\"to_sink\": \"lake\""),
                          HasSubstr("{\"name\": \"item_rank\", \"type\": \"int64\", \"nullable\": false}")));
}

TEST(DescribeTest, KafkaPrintsEveryTopicAndRight) {
  const std::string kafka = DescribePlan(Htx(), {}, "kafka").value();
  for (const char* topic : {"htx.detections.changelog", "htx.items_per_minute.changelog",
                            "htx.items_per_minute.repartition", "htx.lake.feed", "htx.lake.changelog",
                            "htx.top_items_table.feed", "enriched", "item_counts", "top_items", "htx-dead-letter"}) {
    EXPECT_THAT(kafka, HasSubstr(std::string("--create --if-not-exists --topic ") + topic + " ")) << topic;
  }
  EXPECT_THAT(kafka, HasSubstr("--config 'retention.ms=-1'"));
  EXPECT_THAT(kafka, AllOf(HasSubstr("--transactional-id htx --resource-pattern-type prefixed"),
                           HasSubstr("--group htx --resource-pattern-type prefixed"),
                           HasSubstr("--operation Read --operation Describe --topic locations"),
                           Not(HasSubstr("--create --if-not-exists --topic detections "))));
}

TEST(DescribeTest, RightsForTopicsOfAPatternCoverThoseToCome) {
  const auto rights = [](const std::string& pattern) {
    const auto plan = PlanFromYaml("name: app\nsources: { in: { topics: \"" + pattern +
                                       "\", columns: { id: int64 } } }\nsinks: { out: { from: in, topic: o } }\n",
                                   "t.yaml", Operators(), OwnFormats().list(), NoVariables);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? DescribePlan(*plan, {}, "kafka").value() : "";
  };
  EXPECT_THAT(rights("svc-.*"), HasSubstr("--topic svc- --resource-pattern-type prefixed\n"));
  EXPECT_THAT(rights("svc\\\\.(a|b)x*"), HasSubstr("--topic svc. --resource-pattern-type prefixed\n"));
  EXPECT_THAT(rights("svc-a*"), HasSubstr("--topic svc- --resource-pattern-type prefixed\n"));
  for (const char* open : {"svc|other", ".*-svc"}) {
    EXPECT_THAT(rights(open), HasSubstr("grant each of them")) << open;
  }
}

TEST(DescribeTest, APasswordIsNeverShown) {
  TopologyText text;
  const auto plan = PlanFromYaml(
      "name: u\nsources: { a: { topic: a, columns: { k: int64 } } }\n"
      "sinks: { s: { from: a, postgres: { url: \"postgresql://me:hunter2@h/d\", table: t } } }\n"
      "kafka: { properties: { sasl.password: hunter2 } }\n"
      "schema_registry: { url: \"http://me:hunter2@h\", user: u, password: hunter2 }\n",
      "u.yaml", Operators(), OwnFormats().list(), NoVariables, FilesOnDisk(), &text);
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const char* format : {"text", "svg", "dot", "json", "kafka", "yaml"})
    EXPECT_THAT(DescribePlan(*plan, text, format).value(), Not(HasSubstr("hunter2")));
  for (const auto& [box, said] : TextsOfBoxes(*plan, text)) EXPECT_THAT(said.yaml, Not(HasSubstr("hunter2"))) << box;
  EXPECT_THAT(DescribePlan(*plan, text, "yaml").value(),
              AllOf(StartsWith("# A password is masked here: put it into a variable"),
                    HasSubstr("    sasl.password: \"***\"\n"), HasSubstr("url: \"postgresql://me:***@h/d\"\n")));
}

TEST(DescribeTest, YamlMasksThePasswordOfAConnectionHoweverItIsWritten) {
  const auto shown = [](const std::string& url) {
    TopologyText text;
    const auto plan = PlanFromYaml(
        "name: u\nsources: { a: { topic: a, columns: { k: int64 } } }\n"
        "sinks: { s: { from: a, postgres: { url: \"" +
            url + "\", table: t } } }\n",
        "u.yaml", Operators(), OwnFormats().list(),
        [](const std::string& name) { return std::optional<std::string>(name); }, FilesOnDisk(), &text);
    EXPECT_TRUE(plan.ok()) << plan.status();
    const std::string yaml = plan.ok() ? DescribePlan(*plan, text, "yaml").value() : "";
    const size_t at = yaml.find("url: ");
    return at == std::string::npos ? yaml : yaml.substr(at + 5, yaml.find('\n', at) - at - 5);
  };
  EXPECT_EQ(shown("host=h password=hunter2 dbname=d"), "\"host=h password=*** dbname=d\"");
  EXPECT_EQ(shown("host=h password=hunter2"), "\"host=h password=***\"");
  EXPECT_EQ(shown("host=h password = hunter2"), "\"host=h password=***\"");
  EXPECT_EQ(shown("host=h password='hun ter2' dbname=d"), "\"host=h password=*** dbname=d\"");
  EXPECT_EQ(shown("postgresql://h/d?password=hunter2"), "\"postgresql://h/d?password=***\"");
  EXPECT_EQ(shown("host=h password=${PW} dbname=d"), "\"host=h password=${PW} dbname=d\"");
}

TEST(DescribeTest, YamlShowsVariablesAndWhatLooksLikeAPasswordAsTheyStand) {
  TopologyText text;
  const auto plan = PlanFromYaml(
      "name: u\nsources: { a: { topic: a, columns: { sasl.password: string, secret: { type: int64, nullable: true } } "
      "} }\n"
      "sinks: { s: { from: a, postgres: { url: \"postgresql://me:${PW}@h/d\", table: t } } }\n"
      "kafka: { properties: { sasl.password: \"${SASL}\" } }\n",
      "u.yaml", Operators(), OwnFormats().list(),
      [](const std::string& name) { return std::optional<std::string>(name + "-hunter2"); }, FilesOnDisk(), &text);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(
      DescribePlan(*plan, text, "yaml").value(),
      "name: u\n\nkafka:\n  properties:\n    sasl.password: \"${SASL}\"\n\n"
      "sources:\n  a:\n    topic: a\n    columns:\n      sasl.password: string\n      secret:\n        type: int64\n"
      "        nullable: true\n\n"
      "sinks:\n  s:\n    from: a\n    postgres:\n      url: \"postgresql://me:${PW}@h/d\"\n      table: t\n");
}

TEST(DescribeTest, AnUnknownFormatIsRefusedWithTheNearest) {
  EXPECT_THAT(std::string(DescribePlan(Htx(), {}, "jsn").status().message()), HasSubstr("did you mean 'json'?"));
}

TEST(ValidateTest, TheReportCountsWhatThereIs) {
  EXPECT_EQ(ValidationReport(Htx(), {}), "ok: 1 source, 1 table, 4 steps, 5 sinks, 2 stages, 1 repartition\n");
}

TEST(ValidateTest, AnUncheckedPromiseIsNoted) {
  const auto plan = PlanFromYaml(
      "name: u\nsources: { a: { topic: a, columns: { k: int64 }, partitioned_by: [k] } }\nsinks: { s: { from: a, "
      "topic: s } }\n",
      "u.yaml", Operators(), OwnFormats().list(), NoVariables);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(ValidationReport(*plan, {}), HasSubstr("partitioned_by of source a is taken on trust"));
}

TEST(ValidateTest, WhatIsKeptTogetherTableByTableIsNoted) {
  const auto report = [](const std::string& of_places) {
    const auto plan = PlanFromYaml(
        absl::StrCat("name: u\ndatabases: { d: { url: \"postgresql://h/d\", publication: p, slot: s } }\nsources:\n"
                     "  orders: { postgres: { database: d, table: orders }, atomic: transactions, key: [k], "
                     "columns: { k: int64 } }\n"
                     "  places: { postgres: { database: d, table: places }, ",
                     of_places,
                     "key: [k], columns: { k: int64 } }\nsinks:\n  o: { from: orders, key: [k], topic: o }\n"
                     "  p: { from: places, key: [k], topic: p }\n"),
        "u.yaml", Operators(), OwnFormats().list(), NoVariables);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return ValidationReport(*plan, {});
  };
  EXPECT_THAT(report("atomic: transactions, "),
              HasSubstr("of one that changes several of orders, places, each table is shown by itself"));
  EXPECT_THAT(report(""), Not(HasSubstr("several")));
}

TEST(InitTest, TheStarterIsAPlanAsItStands) {
  const auto plan = PlanFromYaml(StarterTopology(), "topology.yaml", Operators(), OwnFormats().list(), NoVariables);
  EXPECT_TRUE(plan.ok()) << plan.status();
}

}  // namespace
}  // namespace tidemark
