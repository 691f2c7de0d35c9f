// A plan as events of OpenLineage 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json), a JobEvent or RunEvents:
// the job, the datasets it reads and writes with their columns, and of each column it writes the columns it comes from.
// Names of datasets follow OpenLineage's naming: a topic is kafka://HOST:PORT TOPIC, a table postgres://HOST:PORT
// DATABASE.SCHEMA.TABLE.
#include <algorithm>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "src/base/json_text.h"
#include "src/cli/describe.h"
#include "src/cli/lineage.h"
#include "src/cli/logging.h"
#include "src/runtime/version.h"

namespace tidemark {
namespace {

struct Dataset {
  std::string space, name;

  // As the first members of an object.
  std::string Members() const {
    return absl::StrCat("\"namespace\": ", JsonQuoted(space), ", \"name\": ", JsonQuoted(name));
  }
};

std::string Producer() { return JsonQuoted(absl::StrCat("urn:tidemark:", kTidemarkVersion)); }

// `members`: what the facet says, behind what each has to.
std::string Facet(std::string_view key, std::string_view type, std::string_view version, std::string_view members) {
  return absl::StrCat(JsonQuoted(key), ": {\"_producer\": ", Producer(),
                      ", \"_schemaURL\": \"https://openlineage.io/spec/facets/", std::string(version), "/",
                      std::string(type), ".json#/$defs/", std::string(type), "\", ", std::string(members), "}");
}

std::string List(const std::vector<std::string>& items) { return absl::StrCat("[", absl::StrJoin(items, ", "), "]"); }

Dataset Topic(const Plan& plan, const std::string& topic) {
  const std::vector<std::string> brokers = absl::StrSplit(plan.kafka.brokers, ',');
  return {"kafka://" + brokers[0], topic};
}

Dataset File(const std::string& path) {
  if (!absl::StartsWith(path, "s3://")) return {"file", path};
  const size_t slash = path.find('/', 5);
  return {path.substr(0, slash), slash == std::string::npos ? "/" : path.substr(slash + 1)};
}

// Who connects, and by which password, is left out.
Dataset PostgresTable(const std::string& url, const std::string& schema, const std::string& table) {
  std::string rest = url.substr(url.find("://") == std::string::npos ? 0 : url.find("://") + 3);
  rest = rest.substr(0, rest.find('?'));
  rest = rest.substr(rest.rfind('@') == std::string::npos ? 0 : rest.rfind('@') + 1);
  const size_t slash = rest.find('/');
  std::string host = rest.substr(0, slash);
  if (host.empty()) host = "localhost";
  if (!absl::StrContains(host.substr(host.rfind(']') == std::string::npos ? 0 : host.rfind(']')), ":")) host += ":5432";
  const std::string database = slash == std::string::npos ? "" : rest.substr(slash + 1);
  return {"postgres://" + host, absl::StrCat(database.empty() ? "postgres" : database, ".", schema, ".", table)};
}

// What only the application's workers have.
Dataset Own(const Plan& plan, const std::string& path) { return {"tidemark://" + plan.application.name, path}; }

Dataset DatasetOf(const Plan& plan, const SourcePlan& source) {
  if (source.files) return File(source.files->path);
  if (source.http) return Own(plan, source.http->path);
  if (source.postgres) return PostgresTable(source.postgres->url, source.postgres->schema, source.postgres->table);
  return Topic(plan, source.topic);
}

Dataset DatasetOf(const Plan& plan, const TablePlan& table) {
  return table.topic.empty() ? File(table.file) : Topic(plan, table.topic);
}

Dataset DatasetOf(const Plan& plan, const SinkPlan& sink) {
  if (sink.view) return Own(plan, "/v1/views/" + sink.name);
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) return Topic(plan, kafka->topic);
  if (const auto* table = std::get_if<PostgresSinkSpec>(&sink.spec)) {
    return PostgresTable(table->url, table->schema, table->table);
  }
  if (const auto* lake = std::get_if<ParquetSinkSpec>(&sink.spec)) return File(lake->path);
  return {std::get<WebhookSpec>(sink.spec).Shown(), sink.name};  // paths are secrets at many services
}

void AddTags(const About& about, const std::string& field, std::vector<std::string>* tags) {
  const auto add = [&](std::string_view key, std::string_view value) {
    tags->push_back(absl::StrCat("{\"key\": ", JsonQuoted(key), ", \"value\": ", JsonQuoted(value),
                                 ", \"source\": \"TIDEMARK\"",
                                 field.empty() ? "" : absl::StrCat(", \"field\": ", JsonQuoted(field)), "}"));
  };
  for (const std::string& tag : about.tags) add(tag, "true");
  if (about.pii) add("pii", *about.pii ? "true" : "false");
}

// Columns, and what people say about the part at `path` and its columns.
std::vector<std::string> FacetsOf(const TopologyText& text, const std::string& path, const Schema& schema) {
  std::vector<std::string> facets, fields, tags;
  const About* about = AboutOf(text, path);
  if (about != nullptr) AddTags(*about, "", &tags);
  for (const Column& column : schema.columns()) {
    const About* said = AboutOf(text, absl::StrCat(path, "/columns/", column.name));
    if (said != nullptr) AddTags(*said, column.name, &tags);
    const std::string description = said == nullptr ? "" : said->description;
    fields.push_back(
        absl::StrCat("{\"name\": ", JsonQuoted(column.name), ", \"type\": ", JsonQuoted(TypeName(column.type)),
                     description.empty() ? "" : absl::StrCat(", \"description\": ", JsonQuoted(description)), "}"));
  }
  facets.push_back(Facet("schema", "SchemaDatasetFacet", "1-1-1", "\"fields\": " + List(fields)));
  if (about != nullptr && !about->description.empty()) {
    facets.push_back(Facet("documentation", "DocumentationDatasetFacet", "1-0-1",
                           "\"description\": " + JsonQuoted(about->description)));
  }
  if (about != nullptr && !about->owner.empty()) {
    facets.push_back(Facet("ownership", "OwnershipDatasetFacet", "1-0-1",
                           absl::StrCat("\"owners\": [{\"name\": ", JsonQuoted(about->owner), "}]")));
  }
  if (!tags.empty()) facets.push_back(Facet("tags", "TagsDatasetFacet", "1-0-0", "\"tags\": " + List(tags)));
  return facets;
}

std::string ColumnLineage(const Plan& plan, const SinkPlan& sink) {
  const std::vector<ColumnSources> lineage = LineageOf(plan, sink);
  std::vector<std::string> fields;
  for (size_t c = 0; c < lineage.size(); ++c) {
    std::vector<std::string> inputs;
    for (const auto& [from, way] : lineage[c]) {
      const Dataset dataset =
          from.table ? DatasetOf(plan, plan.tables[from.index]) : DatasetOf(plan, plan.sources[from.index]);
      const char* subtype = way == OriginWay::kIdentity         ? "IDENTITY"
                            : way == OriginWay::kTransformation ? "TRANSFORMATION"
                                                                : "AGGREGATION";
      inputs.push_back(absl::StrCat("{", dataset.Members(), ", \"field\": ", JsonQuoted(from.column),
                                    ", \"transformations\": [{\"type\": \"DIRECT\", \"subtype\": \"", subtype,
                                    "\"}]}"));
    }
    if (inputs.empty()) continue;  // made by a step, out of no column
    fields.push_back(absl::StrCat(JsonQuoted(sink.schema[c].name), ": {\"inputFields\": ", List(inputs), "}"));
  }
  return Facet("columnLineage", "ColumnLineageDatasetFacet", "1-2-0",
               absl::StrCat("\"fields\": {", absl::StrJoin(fields, ",\n      "), "}"));
}

std::string DatasetJson(const Dataset& dataset, const std::vector<std::string>& facets) {
  return absl::StrCat("    {", dataset.Members(), ", \"facets\": {\n      ", absl::StrJoin(facets, ",\n      "), "}}");
}

// What a job reads and writes, as members of an event: job, inputs and outputs.
std::string JobMembers(const Plan& plan, const TopologyText& text) {
  std::vector<std::string> inputs, outputs;
  for (const SourcePlan& source : plan.sources) {
    inputs.push_back(
        DatasetJson(DatasetOf(plan, source), FacetsOf(text, "sources/" + source.declared(), source.rows())));
  }
  for (const TablePlan& table : plan.tables) {
    inputs.push_back(DatasetJson(DatasetOf(plan, table), FacetsOf(text, "tables/" + table.name, table.schema())));
  }
  for (const SinkPlan& sink : plan.sinks) {
    auto facets = FacetsOf(text, (sink.view ? "views/" : "sinks/") + sink.name, sink.schema);
    facets.push_back(ColumnLineage(plan, sink));
    outputs.push_back(DatasetJson(DatasetOf(plan, sink), facets));
  }
  return absl::StrCat(
      "\"job\": {\"namespace\": \"tidemark\", \"name\": ", JsonQuoted(plan.application.name), ", \"facets\": {\n    ",
      Facet("jobType", "JobTypeJobFacet", "2-0-3",
            "\"processingType\": \"STREAMING\", \"integration\": \"TIDEMARK\", \"jobType\": \"APPLICATION\""),
      "}},\n  \"inputs\": [\n", absl::StrJoin(inputs, ",\n"), "\n  ],\n  \"outputs\": [\n",
      absl::StrJoin(outputs, ",\n"), "\n  ]");
}

// The members that each event begins with.
std::string EventMembers(absl::Time time, const std::string& kind) {
  return absl::StrCat(
      "\"eventTime\": ", JsonQuoted(absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone())),
      ",\n  \"producer\": ", Producer(),
      ",\n  \"schemaURL\": \"https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/", kind, "\"");
}

// Line breaks in what is made here stand between members alone: in strings they are escaped.
std::string InOneLine(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
  return text;
}

}  // namespace

std::string DescribeAsOpenLineage(const Plan& plan, const TopologyText& text) {
  return absl::StrCat("{\n  ", EventMembers(absl::Now(), "JobEvent"), ",\n  ", JobMembers(plan, text), "\n}\n");
}

LineageText RunEventsOf(const Plan& plan, const TopologyText& text) {
  return [job = InOneLine(JobMembers(plan, text))](const LineageEvent& event) {
    std::vector<std::string> facets = {
        Facet("processing_engine", "ProcessingEngineRunFacet", "1-1-1",
              absl::StrCat("\"version\": ", JsonQuoted(kTidemarkVersion), ", \"name\": \"tidemark\""))};
    if (!event.error.empty()) {
      facets.push_back(Facet(
          "errorMessage", "ErrorMessageRunFacet", "1-0-1",
          absl::StrCat("\"message\": ", JsonQuoted(MaskPasswords(event.error)), ", \"programmingLanguage\": \"C++\"")));
    }
    return InOneLine(absl::StrCat("{\"eventType\": ", JsonQuoted(event.type), ", ",
                                  EventMembers(absl::FromUnixMicros(event.wall_us), "RunEvent"),
                                  ", \"run\": {\"runId\": ", JsonQuoted(event.run), ", \"facets\": {",
                                  absl::StrJoin(facets, ", "), "}}, ", job, "}"));
  };
}

}  // namespace tidemark
