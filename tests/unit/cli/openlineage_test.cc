// `describe --format openlineage`: what the schemas of OpenLineage 2-0-2 and of the facets ask for, written by hand,
// and where columns come from. The JSON is read by a JSON-to-message converter, not by what wrote it.
#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <set>

#include "operators/operators.h"
#include "src/base/whole_file.h"
#include "src/cli/describe.h"
#include "src/cli/lineage.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"

namespace tidemark {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

Struct EventOf(const std::string& yaml, std::string* json = nullptr) {
  TopologyText text;
  const auto plan = PlanFromYaml(
      yaml, "t.yaml", Operators(), OwnFormats().list(), [](const std::string&) { return std::nullopt; }, FilesOnDisk(),
      &text);
  EXPECT_TRUE(plan.ok()) << plan.status();
  Struct event;
  if (!plan.ok()) return event;
  const std::string written = DescribePlan(*plan, text, "openlineage").value();
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(written, &event).ok()) << written;
  if (json != nullptr) *json = written;
  return event;
}

const Value& At(const Struct& of, const std::string& key) {
  static const Value nothing;
  const auto found = of.fields().find(key);
  EXPECT_TRUE(found != of.fields().end()) << "no " << key << " in " << of.DebugString();
  return found == of.fields().end() ? nothing : found->second;
}

std::string Text(const Struct& of, const std::string& key) { return At(of, key).string_value(); }

// Each facet names its producer and its schema.
void CheckFacets(const Struct& facets) {
  for (const auto& [name, facet] : facets.fields()) {
    EXPECT_THAT(Text(facet.struct_value(), "_producer"), HasSubstr("urn:tidemark:")) << name;
    EXPECT_THAT(Text(facet.struct_value(), "_schemaURL"), HasSubstr("https://openlineage.io/spec/facets/")) << name;
    EXPECT_THAT(Text(facet.struct_value(), "_schemaURL"), HasSubstr(".json#/$defs/")) << name;
  }
}

// "namespace name" of the datasets, each with what the schema requires.
std::set<std::string> Datasets(const Struct& event, const std::string& key) {
  std::set<std::string> names;
  for (const Value& value : At(event, key).list_value().values()) {
    const Struct& dataset = value.struct_value();
    names.insert(Text(dataset, "namespace") + " " + Text(dataset, "name"));
    const Struct& facets = At(dataset, "facets").struct_value();
    CheckFacets(facets);
    for (const Value& field : At(At(facets, "schema").struct_value(), "fields").list_value().values()) {
      EXPECT_NE(Text(field.struct_value(), "name"), "");
      EXPECT_NE(Text(field.struct_value(), "type"), "");
    }
  }
  return names;
}

// "dataset.field SUBTYPE" of the columns that a column of an output comes from.
std::set<std::string> Origins(const Struct& event, const std::string& output, const std::string& column) {
  std::set<std::string> origins;
  for (const Value& value : At(event, "outputs").list_value().values()) {
    const Struct& dataset = value.struct_value();
    if (Text(dataset, "name") != output) continue;
    const Struct& lineage = At(At(dataset, "facets").struct_value(), "columnLineage").struct_value();
    const auto& fields = At(lineage, "fields").struct_value().fields();
    const auto found = fields.find(column);
    if (found == fields.end()) continue;
    for (const Value& input : At(found->second.struct_value(), "inputFields").list_value().values()) {
      const Struct& from = input.struct_value();
      EXPECT_NE(Text(from, "namespace"), "");
      const Struct& way = At(from, "transformations").list_value().values(0).struct_value();
      EXPECT_EQ(Text(way, "type"), "DIRECT");
      origins.insert(Text(from, "name") + "." + Text(from, "field") + " " + Text(way, "subtype"));
    }
  }
  return origins;
}

TEST(OpenLineageTest, TheExampleIsAJobWithItsDatasetsAndTheirColumns) {
  const Struct event = EventOf(ReadWholeFile("examples/htx/topology.yaml").value());
  EXPECT_THAT(Text(event, "eventTime"), ::testing::MatchesRegex("....-..-..T..:..:...*Z"));
  EXPECT_EQ(Text(event, "schemaURL"), "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent");
  EXPECT_THAT(Text(event, "producer"), HasSubstr("urn:tidemark:"));
  const Struct& job = At(event, "job").struct_value();
  EXPECT_EQ(Text(job, "namespace"), "tidemark");
  EXPECT_EQ(Text(job, "name"), "htx");
  CheckFacets(At(job, "facets").struct_value());
  EXPECT_EQ(Datasets(event, "inputs"),
            (std::set<std::string>{"kafka://localhost:9092 detections", "kafka://localhost:9092 locations"}));
  const auto outputs = Datasets(event, "outputs");
  EXPECT_THAT(outputs, Contains("postgres://localhost:5432 htx.public.top_items"));
  EXPECT_THAT(outputs, Contains("file lake/enriched"));
  // Through a dedup, a join, two phases of a window, a shuffle and a top list.
  EXPECT_EQ(Origins(event, "top_items", "item_name"), std::set<std::string>{"detections.item_name IDENTITY"});
  EXPECT_EQ(Origins(event, "top_items", "geographical_location"),
            std::set<std::string>{"locations.geographical_location IDENTITY"});
  EXPECT_EQ(Origins(event, "top_items", "detections"), std::set<std::string>{}) << "a count is of no column";
}

TEST(OpenLineageTest, ExpressionsAndAggregatesAreToldApartAndSecretsAreNot) {
  std::string json;
  const Struct event = EventOf(
      "name: c\nkafka: { brokers: \"k1:9092,k2:9092\" }\n"
      "sources:\n  a: { topic: a, owner: team-a, description: \"What is\", columns: { k: int64, x: double, v: { type: "
      "string, pii: true, description: \"Of whom\" } } }\n"
      "steps:\n  p: { from: a, project: { k: k, y: \"x * 2 + k\", w: \"upper(v)\" } }\n"
      "  n: { from: p, group_by: [w], aggregates: { most: \"max(y)\", n: \"count(*)\" } }\n"
      "sinks:\n  s: { from: p, topic: s }\n"
      "  t: { from: n, postgres: { url: \"postgresql://writer:hunter2@db:6000/shop?sslmode=disable\", table: t, key: "
      "[w] } }\n"
      "  h: { from: p, webhook: { url: \"https://example.org/hooks/secret-path\" } }\n",
      &json);
  EXPECT_EQ(Datasets(event, "inputs"), std::set<std::string>{"kafka://k1:9092 a"});
  EXPECT_EQ(Datasets(event, "outputs"),
            (std::set<std::string>{"kafka://k1:9092 s", "postgres://db:6000 shop.public.t", "https://example.org h"}));
  EXPECT_EQ(Origins(event, "s", "k"), std::set<std::string>{"a.k IDENTITY"});
  EXPECT_EQ(Origins(event, "s", "y"), (std::set<std::string>{"a.k TRANSFORMATION", "a.x TRANSFORMATION"}));
  EXPECT_EQ(Origins(event, "shop.public.t", "most"), (std::set<std::string>{"a.k AGGREGATION", "a.x AGGREGATION"}));
  EXPECT_EQ(Origins(event, "shop.public.t", "w"), std::set<std::string>{"a.v TRANSFORMATION"});
  for (const char* secret : {"hunter2", "writer", "secret-path"}) EXPECT_THAT(json, Not(HasSubstr(secret)));
  EXPECT_THAT(json, HasSubstr("{\"key\": \"pii\", \"value\": \"true\", \"source\": \"TIDEMARK\", \"field\": \"v\"}"));
  EXPECT_THAT(json, HasSubstr("\"owners\": [{\"name\": \"team-a\"}]"));
  EXPECT_THAT(json, HasSubstr("\"description\": \"Of whom\""));
}

TEST(PersonalColumnsTest, WhatIsMadeOfAStepThatSaysSoIsPersonalFurtherDown) {
  TopologyText text;
  const auto plan = PlanFromYaml(
      R"yaml(
name: p
kafka: { brokers: b }
sources: { clicks: { topic: clicks, columns: { id: int64, page: string } } }
steps:
  joined: { from: clicks, project: { who: page, n: id }, pii: true }
  next: { from: joined, project: { a: "n + 1", b: "1" } }
  minutes: { from: next, group_by: [a], aggregates: { most: "max(a)", rows: "count(*)"
}
}
  other: { from: clicks, filter: "id > 0" }
sinks: { out: { from: minutes, topic: out, key: [a], create: {} }, others: { from: other, topic: others } }
)yaml",
      "t.yaml", Operators(), OwnFormats().list(), [](const std::string&) { return std::nullopt; }, FilesOnDisk(),
      &text);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(PersonalColumnsOf(*plan, text.about),
            (PersonalColumns{{"joined", {"who", "n"}}, {"next", {"a"}}, {"minutes", {"a", "most"}}}));
}

}  // namespace
}  // namespace tidemark
