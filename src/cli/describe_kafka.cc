// The commands that create a plan's topics and grant its rights, for who administers Kafka by hand. `tidemark run`
// creates missing topics itself where it may.
#include <map>
#include <set>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/intake_names.h"
#include "src/cli/describe.h"
#include "src/plan/intakes.h"
#include "src/plan/topic_patterns.h"
#include "src/runtime/status_board.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

std::string Create(const std::string& topic, const TopicCreation& creation, std::map<std::string, std::string> config) {
  config.insert(creation.config.begin(), creation.config.end());
  std::string out =
      absl::StrCat("kafka-topics.sh --bootstrap-server \"$BROKERS\" --create --if-not-exists --topic ", topic,
                   " --partitions ", creation.partitions > 0 ? absl::StrCat(creation.partitions) : "\"$PARTITIONS\"");
  if (creation.replication_factor > 0) absl::StrAppend(&out, " --replication-factor ", creation.replication_factor);
  for (const auto& [key, value] : config) absl::StrAppend(&out, " --config '", key, "=", value, "'");
  return out + "\n";
}

std::string Allow(const char* operations, const std::string& resource) {
  return absl::StrCat("kafka-acls.sh --bootstrap-server \"$BROKERS\" --add --allow-principal \"$PRINCIPAL\" ",
                      operations, " ", resource, "\n");
}

// For who asks whom before granting something.
void AddAbout(const TopologyText& text, const std::string& path, std::string* out) {
  if (const std::string about = AboutText(text, path); !about.empty())
    absl::StrAppend(out, "# ", path, ": ", about, "\n");
}

std::string SourceTopics(const Plan& plan) {
  std::vector<std::string> topics;
  for (const SourcePlan& source : plan.sources) {
    if (!source.intake()) topics.push_back(source.topic);
  }
  return absl::StrJoin(topics, ", ");
}

void AddTopics(const Plan& plan, const TopologyText& text, std::string* out) {
  const std::map<std::string, std::string> internal = InternalTopicConfig(plan);
  absl::StrAppend(
      out,
      "# Topics. Sources must exist. A stage's changelog and repartition topics have the partition count of "
      "its inputs.\n");
  for (const IntakePlan& intake : IntakesOf(plan)) {
    const IntakeNames names{plan.application, intake.name};
    TopicCreation creation = plan.internal_topics;
    for (const SourcePlan* source : intake.sources) {
      creation.partitions = source->intake_partitions();
      absl::StrAppend(out, Create(source->topic, creation, internal));
      if (source->http) absl::StrAppend(out, Create(names.RequestsTopic(), creation, internal));
    }
    creation.partitions = intake.splits;
    absl::StrAppend(out, Create(names.PositionsTopic(), creation, internal));
    absl::StrAppend(out, Create(names.NotesTopic(), creation, NotesTopicConfig(plan)));
  }
  for (const Stage& stage : plan.stages)
    absl::StrAppend(out, Create(plan.application.ChangelogTopic(stage.name), plan.internal_topics, internal));
  for (const Edge& edge : plan.edges) {
    TopicCreation creation = plan.internal_topics;
    if (edge.partitions > 0) creation.partitions = edge.partitions;
    absl::StrAppend(out, Create(edge.topic, creation, internal));
  }
  for (const SinkPlan& sink : plan.sinks) {
    if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) {
      AddAbout(text, (sink.view ? "views/" : "sinks/") + sink.name, out);
      if (sink.view) {
        TopicCreation creation = plan.internal_topics;
        creation.partitions = 1;
        absl::StrAppend(out, Create(kafka->topic, creation, ViewTopicConfig(plan)));
        continue;
      }
      absl::StrAppend(out, Create(kafka->topic, kafka->create.value_or(TopicCreation{}), {}));
    } else if (std::holds_alternative<ParquetSinkSpec>(sink.spec)) {
      absl::StrAppend(out, Create(plan.application.ManifestTopic(sink.kept_as()), plan.internal_topics, internal));
    }
  }
  const TopicToCreate status = StatusTopicToCreate(plan);
  TopicCreation one = plan.internal_topics;
  one.partitions = 1;
  absl::StrAppend(out, Create(status.topic, one, status.config));
  for (const std::string& topic : SideTopics(plan)) absl::StrAppend(out, Create(topic, {}, {}));
  for (const std::string& topic : NoticeTopics(plan)) absl::StrAppend(out, Create(topic, {.partitions = 1}, {}));
  if (!plan.notify.empty()) {
    TopicCreation creation = plan.internal_topics;
    creation.partitions = 1;
    absl::StrAppend(out, Create(plan.application.AlarmsTopic(), creation, internal));
  }
  absl::StrAppend(out, Create(plan.dead_letter_topic, plan.dead_letter_creation, {}));
}

// With what all names begin that a regular expression matches; empty: it doesn't say.
std::string BeginningOf(const std::string& pattern) {
  std::string beginning;
  int depth = 0;
  bool open = true;  // nothing but letters has come yet
  for (size_t i = pattern.starts_with('^') ? 1 : 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const bool escaped = c == '\\' && i + 1 < pattern.size();
    const char next = escaped ? pattern[++i] : c;
    if (escaped ? absl::ascii_isalnum(next) : absl::StrContains(".[]()*+?{}|^$\\", c)) {
      if (open && (c == '*' || c == '?' || c == '{') && !beginning.empty()) beginning.pop_back();
      open = false;
    }
    if (!escaped && c == '(') ++depth;
    if (!escaped && c == ')') --depth;
    if (!escaped && c == '|' && depth == 0) return "";
    if (open) beginning += next;
  }
  return beginning;
}

// Topics of a pattern come without anybody's help, and so have their rights to.
void AllowPattern(const TopicPatternPlan& pattern, std::string* out) {
  absl::StrAppend(out, "# source ", pattern.source, " reads all topics that match '", pattern.pattern,
                  "', also those to come. ");
  const std::string beginning = BeginningOf(pattern.pattern);
  if (beginning.empty()) {
    absl::StrAppend(out, "How their names begin it doesn't say: grant each of them, --operation Read --operation ",
                    "Describe\n");
    return;
  }
  absl::StrAppend(out, "Their names begin so, and others' may:\n",
                  Allow("--operation Read --operation Describe",
                        absl::StrCat("--topic ", beginning, " --resource-pattern-type prefixed")));
}

void AddRights(const Plan& plan, const TopologyText& text, std::string* out) {
  absl::StrAppend(out, "\n# Rights\n");
  const std::string prefixed = " --resource-pattern-type prefixed";
  std::set<std::string> patterns;  // that have theirs
  for (const SourcePlan& source : plan.sources) {
    if (source.intake()) continue;  // Tidemark's own
    const TopicPatternPlan* const pattern = PatternOf(plan, source.declared());
    if (pattern != nullptr && !patterns.insert(pattern->source).second) continue;
    AddAbout(text, "sources/" + source.declared(), out);
    if (pattern != nullptr) {
      AllowPattern(*pattern, out);
      continue;
    }
    absl::StrAppend(out, Allow("--operation Read --operation Describe", "--topic " + source.topic));
  }
  for (const TablePlan& table : plan.tables) {
    if (table.topic.empty()) continue;
    AddAbout(text, "tables/" + table.name, out);
    absl::StrAppend(out, Allow("--operation Read --operation Describe", "--topic " + table.topic));
  }
  absl::StrAppend(out,
                  Allow("--operation Read --operation Write --operation Describe --operation Create --operation Delete "
                        "--operation DescribeConfigs",
                        absl::StrCat("--topic ", plan.application.TopicPrefix(), prefixed)));
  std::set<std::string> written = SideTopics(plan);
  written.insert(plan.dead_letter_topic);
  written.merge(NoticeTopics(plan));
  for (const SinkPlan& sink : plan.sinks) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka != nullptr && !sink.view) written.insert(kafka->topic);
  }
  for (const std::string& topic : written) {
    absl::StrAppend(out, Allow("--operation Write --operation Describe --operation Create", "--topic " + topic));
  }
  absl::StrAppend(out, Allow("--operation Read --operation Describe",
                             absl::StrCat("--group ", plan.application.Group(), prefixed)));
  absl::StrAppend(out, Allow("--operation Write --operation Describe",
                             absl::StrCat("--transactional-id ", plan.application.Key(), prefixed)));
}

}  // namespace

std::string DescribeAsKafka(const Plan& plan, const TopologyText& text) {
  std::string out =
      absl::StrCat("#!/bin/sh -e\n# Set BROKERS, PRINCIPAL (User:name) and PARTITIONS, the partition count of ",
                   SourceTopics(plan), ".\n\n");
  AddTopics(plan, text, &out);
  AddRights(plan, text, &out);
  return out;
}

}  // namespace tidemark
