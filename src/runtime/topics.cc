#include "src/runtime/topics.h"

#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/codec/packed_rows.h"

namespace tidemark {
namespace {

// Collects what is there and what is to be made.
class Resolver {
 public:
  Resolver(const Plan& plan, Admin& admin) : plan_(plan), admin_(admin) {}

  absl::StatusOr<TopicPartitions> Resolve(bool create) {
    TM_RETURN_IF_ERROR(Describe());
    TM_RETURN_IF_ERROR(CheckInputs());
    TM_RETURN_IF_ERROR(PlaceStages());
    TM_RETURN_IF_ERROR(PlaceOutputs());
    if (create && !to_create_.empty()) TM_RETURN_IF_ERROR(admin_.CreateTopics(to_create_));
    return counts_;
  }

 private:
  absl::Status Describe() {
    std::set<std::string> names;
    for (const SourcePlan& source : plan_.sources) names.insert(source.topic);
    for (const TablePlan& table : plan_.tables) {
      if (!table.topic.empty()) names.insert(table.topic);
    }
    for (const Edge& edge : plan_.edges) names.insert(edge.topic);
    for (const Stage& stage : plan_.stages) names.insert(ChangelogTopic(plan_, stage));
    for (const SinkPlan& sink : plan_.sinks) {
      if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) names.insert(kafka->topic);
      if (std::holds_alternative<ParquetSinkSpec>(sink.spec)) names.insert(ManifestTopic(plan_, sink));
    }
    for (const std::string& side : SideTopics()) names.insert(side);
    names.insert(plan_.dead_letter_topic);
    TM_ASSIGN_OR_RETURN(const auto found, admin_.Describe({names.begin(), names.end()}));
    for (const auto& [name, info] : found) existing_[name] = info.partitions;
    return absl::OkStatus();
  }

  std::set<std::string> SideTopics() const {
    std::set<std::string> topics;
    for (const Stage& stage : plan_.stages) {
      for (const Node& node : stage.nodes) {
        const auto* join = std::get_if<JoinSpec>(&node.spec);
        if (join != nullptr && join->unmatched_topic) topics.insert(*join->unmatched_topic);
        const auto* window = std::get_if<WindowSpec>(&node.spec);
        if (window != nullptr && window->late_topic) topics.insert(*window->late_topic);
      }
    }
    return topics;
  }

  absl::Status CheckInputs() {
    const auto must_exist = [&](const std::string& what, const std::string& topic) -> absl::Status {
      const auto it = existing_.find(topic);
      if (it == existing_.end()) {
        return absl::InvalidArgumentError(absl::StrCat(what, ": topic '", topic, "' does not exist on ",
                                                       plan_.kafka.brokers, ": create it, or correct its name"));
      }
      counts_[topic] = it->second;
      return absl::OkStatus();
    };
    for (const SourcePlan& source : plan_.sources) {
      TM_RETURN_IF_ERROR(must_exist("source " + source.name, source.topic));
      largest_input_ = std::max(largest_input_, counts_[source.topic]);
    }
    for (const TablePlan& table : plan_.tables) {
      if (!table.topic.empty()) TM_RETURN_IF_ERROR(must_exist("table " + table.name, table.topic));
    }
    return absl::OkStatus();
  }

  int32_t DefaultPartitions() const {
    return plan_.internal_topics.partitions > 0 ? plan_.internal_topics.partitions : largest_input_;
  }

  // Every stage runs on one number of partitions: that of its source topics, else of a repartition step that states it,
  // else of the internal topic that exists already, else the default.
  absl::Status PlaceStages() {
    for (size_t s = 0; s < plan_.stages.size(); ++s) {
      const Stage& stage = plan_.stages[s];
      int32_t count = 0;
      std::string decided_by;
      for (const Node& node : stage.nodes) {
        if (node.kind != Node::Kind::kSource) continue;
        const std::string& topic = plan_.sources[static_cast<size_t>(node.source)].topic;
        if (count != 0 && counts_[topic] != count) {
          return absl::InvalidArgumentError(
              absl::StrCat("topics '", decided_by, "' (", count, " partitions) and '", topic, "' (", counts_[topic],
                           ") are read together by stage ", stage.name, " and must have equal partition counts: add a ",
                           "repartition step behind one of them"));
        }
        count = counts_[topic];
        decided_by = topic;
      }
      std::vector<const Edge*> inputs;
      for (const Edge& edge : plan_.edges) {
        if (edge.to_stage == static_cast<int>(s)) inputs.push_back(&edge);
      }
      for (const Edge* edge : inputs) {
        if (count == 0 && edge->partitions > 0) count = edge->partitions, decided_by = edge->topic;
      }
      for (const Edge* edge : inputs) {
        if (count == 0 && existing_.count(edge->topic) > 0) count = existing_[edge->topic], decided_by = edge->topic;
      }
      if (count == 0) count = DefaultPartitions();
      for (const Edge* edge : inputs) TM_RETURN_IF_ERROR(Internal(edge->topic, count, stage.name));
      TM_RETURN_IF_ERROR(Internal(ChangelogTopic(plan_, stage), count, stage.name));
    }
    return absl::OkStatus();
  }

  absl::Status Internal(const std::string& topic, int32_t count, const std::string& owner) {
    const auto it = existing_.find(topic);
    if (it == existing_.end() && !plan_.create_internal_topics) {
      return absl::InvalidArgumentError(absl::StrCat(
          "internal topic '", topic, "' does not exist and internal_topics.create is false: create it with ", count,
          " partitions; `tidemark describe --format kafka` prints the commands"));
    }
    if (it != existing_.end() && it->second != count) {
      return absl::InvalidArgumentError(absl::StrCat(
          "internal topic '", topic, "' has ", it->second, " partitions where ", owner, " needs ", count,
          ": the partition count of an input has changed. State is kept by partition: start the topology under a new name"));
    }
    if (it == existing_.end()) {
      to_create_.push_back({topic, count, plan_.internal_topics.replication_factor, InternalTopicConfig(plan_)});
    }
    counts_[topic] = count;
    return absl::OkStatus();
  }

  void CreateOrTake(const std::string& topic, const TopicCreation& creation) {
    const auto it = existing_.find(topic);
    const int32_t count = creation.partitions > 0 ? creation.partitions : largest_input_;
    if (counts_.count(topic) > 0) return;
    counts_[topic] = it != existing_.end() ? it->second : count;
    if (it == existing_.end()) to_create_.push_back({topic, count, creation.replication_factor, creation.config});
  }

  absl::Status PlaceOutputs() {
    for (const SinkPlan& sink : plan_.sinks) {
      if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) {
        if (!kafka->create && existing_.count(kafka->topic) == 0) {
          return absl::InvalidArgumentError(
              absl::StrCat("sink ", sink.name, ": topic '", kafka->topic, "' does not exist on ", plan_.kafka.brokers,
                           ": create it, or add `create: {}` to the sink"));
        }
        CreateOrTake(kafka->topic, kafka->create.value_or(TopicCreation()));
        continue;
      }
      for (const Edge& edge : plan_.edges) {
        if (edge.to_sink < 0 || &plan_.sinks[static_cast<size_t>(edge.to_sink)] != &sink) continue;
        const auto it = existing_.find(edge.topic);
        const int32_t count = it != existing_.end() ? it->second : edge.partitions > 0 ? edge.partitions : DefaultPartitions();
        TM_RETURN_IF_ERROR(Internal(edge.topic, count, sink.name));
        if (std::holds_alternative<ParquetSinkSpec>(sink.spec)) {
          TM_RETURN_IF_ERROR(Internal(ManifestTopic(plan_, sink), count, sink.name));
        }
      }
    }
    for (const std::string& topic : SideTopics()) CreateOrTake(topic, TopicCreation());
    CreateOrTake(plan_.dead_letter_topic, plan_.dead_letter_creation);
    return absl::OkStatus();
  }

  const Plan& plan_;
  Admin& admin_;
  TopicPartitions existing_, counts_;
  int32_t largest_input_ = 1;
  std::vector<TopicToCreate> to_create_;
};

}  // namespace

absl::StatusOr<TopicPartitions> ResolveTopics(const Plan& plan, Admin& admin, bool create) {
  return Resolver(plan, admin).Resolve(create);
}

std::map<std::string, std::string> InternalTopicConfig(const Plan& plan) {
  std::map<std::string, std::string> config = plan.internal_topics.config;
  config["cleanup.policy"] = "delete";
  config["retention.ms"] = "-1";
  config["retention.bytes"] = "-1";
  config["message.timestamp.type"] = "LogAppendTime";
  config["max.message.bytes"] = absl::StrCat(kMaxPackedRow + (1 << 20));
  return config;
}

std::string ManifestTopic(const Plan& plan, const SinkPlan& sink) {
  return absl::StrCat(plan.name, ".", sink.name, ".changelog");
}

}  // namespace tidemark
