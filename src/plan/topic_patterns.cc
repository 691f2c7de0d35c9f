#include "src/plan/topic_patterns.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "src/base/generation_names.h"
#include "src/base/status.h"
#include "src/expr/regex.h"

namespace tidemark {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Fields called `topic`, wherever they stand, and a view's `audit`.
void CollectTopics(const Message& message, std::set<std::string>* out) {
  const auto* const reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
      for (int i = 0; i < count; ++i) {
        CollectTopics(field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                           : reflection->GetMessage(message, field),
                      out);
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field->is_repeated() &&
               (field->name() == "topic" || field->name() == "audit")) {
      out->insert(reflection->GetString(message, field));
    }
  }
}

absl::StatusOr<std::shared_ptr<const internal::Regex>> WholeName(const std::string& pattern) {
  // By itself first, so that a message is about what the user has written.
  TM_RETURN_IF_ERROR(internal::Regex::Compile(pattern, {}, /*extents=*/false).status());
  return internal::Regex::Compile(absl::StrCat("^(?:", pattern, ")$"), {}, /*extents=*/false);
}

// Kafka's own, and those of all generations of the application.
bool IsInternal(const Plan& plan, const std::string& topic) {
  const std::string& name = plan.application.name;
  return absl::StartsWith(topic, "__") || absl::StartsWith(topic, name + ".") || absl::StartsWith(topic, name + "@");
}

}  // namespace

std::set<std::string> NamedTopics(const topology::Topology& topology) {
  std::set<std::string> named;
  CollectTopics(topology, &named);
  return named;
}

absl::StatusOr<std::vector<std::string>> TopicsThatMatch(const Plan& plan, const std::string& pattern,
                                                         const std::vector<std::string>& names) {
  TM_ASSIGN_OR_RETURN(const auto regex, WholeName(pattern));
  std::set<std::string> found;
  for (const std::string& name : names) {
    if (IsInternal(plan, name) || plan.named_topics.contains(name) || name == plan.dead_letter_topic) continue;
    if (regex->Matches(name)) found.insert(name);
  }
  return std::vector<std::string>(found.begin(), found.end());
}

std::vector<UnreadTopic> UnreadTopics(const Plan& plan, const std::vector<std::string>& names) {
  std::set<std::string> read;
  for (const SourcePlan& source : plan.sources) read.insert(source.topic);
  std::vector<UnreadTopic> unread;
  for (const TopicPatternPlan& pattern : plan.patterns) {
    const auto topics = TopicsThatMatch(plan, pattern.pattern, names);
    if (!topics.ok()) continue;  // it was checked when the topology was read
    for (const std::string& topic : *topics) {
      if (!read.contains(topic)) unread.push_back({pattern.source, topic});
    }
  }
  return unread;
}

const TopicPatternPlan* PatternOf(const Plan& plan, const std::string& declared) {
  const auto found = std::find_if(plan.patterns.begin(), plan.patterns.end(),
                                  [&](const TopicPatternPlan& pattern) { return pattern.source == declared; });
  return found == plan.patterns.end() ? nullptr : &*found;
}

const TopicPatternPlan* UnresolvedPattern(const Plan& plan, const SourcePlan& source) {
  return PatternOf(plan, source.name);
}

void CheckTopicsOf(const topology::Source& yaml, const std::string& path, Diagnostics* diagnostics) {
  if (yaml.has_topic()) {
    diagnostics->Error(path + "/topics", "a source has either 'topic', the name of one, or 'topics', a pattern");
  }
  if (const auto regex = WholeName(yaml.topics()); !regex.ok() || yaml.topics().empty()) {
    diagnostics->Error(path + "/topics",
                       absl::StrCat("expected a regular expression such as svc-.*: ",
                                    regex.ok() ? "it is empty" : std::string(regex.status().message())));
  }
  if (yaml.start() == "latest") {
    diagnostics->Error(path + "/start",
                       "with `topics` a topic that comes later is read from its beginning, so that nothing of it is "
                       "missed: say earliest, or a time");
  }
  const bool from_schema = yaml.columns_size() == 1 && yaml.columns(0).name() == "from_schema";
  if (from_schema && !yaml.format().has_subject() && !yaml.format().has_schema_file()) {
    diagnostics->Error(path + "/columns",
                       "topics of a pattern have one shape, and each has a subject of its own in the registry: say "
                       "whose with `subject` or `schema_file` in the format");
  }
}

std::vector<SourcePlan> SourcesOfPattern(SourcePlan source, const std::string& pattern, const Plan& plan,
                                         const std::vector<std::string>* names, const std::string& path,
                                         Diagnostics* diagnostics) {
  if (!source.key.empty()) {
    diagnostics->Error(path + "/topics",
                       "rows of tables that change can't be those of several topics: name one with `topic`");
    return {};
  }
  if (names == nullptr) {
    source.topic = pattern;
    return {std::move(source)};
  }
  const auto topics = TopicsThatMatch(plan, pattern, *names);
  if (!topics.ok()) return {};  // reported
  if (topics->empty()) {
    diagnostics->Error(path + "/topics",
                       absl::StrCat("no topic on ", plan.kafka.brokers, " matches '", pattern,
                                    "' as a whole name (what the topology writes or names itself never does): create "
                                    "the first one, or correct the pattern"));
  }
  std::vector<SourcePlan> sources;
  for (const std::string& topic : *topics) {
    sources.push_back(source);
    sources.back().name = absl::StrCat(source.name, "[", topic, "]");
    sources.back().topic = topic;
  }
  return sources;
}

}  // namespace tidemark
