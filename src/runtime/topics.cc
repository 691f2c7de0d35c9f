#include "src/runtime/topics.h"

#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/batch/spec.h"
#include "src/base/generation_names.h"
#include "src/base/intake_names.h"
#include "src/base/status.h"
#include "src/codec/packed_rows.h"
#include "src/plan/intakes.h"
#include "src/runtime/whole_commits.h"
#include "src/views/records.h"

namespace tidemark {
namespace {

// Collects what is there, what is to be made, and all that is wrong.
class Resolver {
 public:
  Resolver(const Plan& plan, Admin& admin) : plan_(plan), admin_(admin) {}

  absl::StatusOr<FoundTopics> Find() {
    CheckNames();
    if (!wrong_.empty()) return Found();
    TM_RETURN_IF_ERROR(Describe());
    CheckInputs();
    CheckSinks();
    // Without all inputs nothing is known of counts; what is missing can be told all the same.
    if (wrong_.empty()) {
      PlaceIntakes();
      PlaceStages();
      PlaceOutputs();
    } else if (!plan_.create_internal_topics) {
      CheckInternal();
    }
    return Found();
  }

 private:
  FoundTopics Found() { return {std::move(counts_), std::move(to_create_), std::move(wrong_)}; }

  // What keeps the names that are derived from a plan apart (src/base/application.h). YAML can't break the first half
  // of it; a plan that a program has built can.
  void CheckNames() {
    const auto check = [&](const std::string& what, const std::string& name) {
      if (IsName(name)) return;
      wrong_.push_back(absl::StrCat(what, " '", name,
                                    "': a name has letters, digits, '_' and '-', 1 to 100 of them, and doesn't start "
                                    "with __"));
    };
    // A run over the past is called by its application's name, and something that no application is called.
    const std::string& application = plan_.application.name;
    check("application", application.substr(0, application.find(GenerationNames::kRun)));
    for (const Stage& stage : plan_.stages) check("stage", stage.name);
    for (const SinkPlan& sink : plan_.sinks) check("sink", sink.name);
    const std::set<std::string> internal = InternalTopics();
    const auto foreign = [&](const std::string& what, const std::string& topic) {
      if (internal.contains(topic)) {
        wrong_.push_back(absl::StrCat(what, ": topic '", topic, "' is an internal one of this topology: name another"));
      }
    };
    for (const SourcePlan& source : plan_.sources) {
      if (!source.intake()) foreign("source " + source.name, source.topic);
    }
    for (const TablePlan& table : plan_.tables) foreign("table " + table.name, table.topic);
    for (const SinkPlan& sink : plan_.sinks) {
      const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
      if (kafka != nullptr && !sink.view) foreign("sink " + sink.name, kafka->topic);
    }
    for (const std::string& side : SideTopics(plan_)) foreign("late or unmatched rows", side);
    for (const std::string& noted : NoticeTopics(plan_)) foreign("alarms or audit records", noted);
    foreign("dead letters", plan_.dead_letter_topic);
  }

  std::set<std::string> InternalTopics() const {
    std::set<std::string> topics;
    for (const Edge& edge : plan_.edges) topics.insert(edge.topic);
    for (const Stage& stage : plan_.stages) topics.insert(plan_.application.ChangelogTopic(stage.name));
    for (const SinkPlan& sink : plan_.sinks) {
      if (std::holds_alternative<ParquetSinkSpec>(sink.spec)) {
        topics.insert(plan_.application.ManifestTopic(sink.kept_as()));
      }
      if (sink.view) topics.insert(std::get<KafkaSinkSpec>(sink.spec).topic);
    }
    if (!plan_.notify.empty()) topics.insert(plan_.application.AlarmsTopic());
    for (const IntakePlan& intake : IntakesOf(plan_)) {
      const IntakeNames names{plan_.application, intake.name};
      topics.insert({names.PositionsTopic(), names.NotesTopic()});
      for (const SourcePlan* source : intake.sources) topics.insert(source->topic);
      if (intake.sources.front()->http) topics.insert(names.RequestsTopic());
    }
    return topics;
  }

  absl::Status Describe() {
    std::set<std::string> names = InternalTopics();
    for (const SourcePlan& source : plan_.sources) names.insert(source.topic);
    for (const TablePlan& table : plan_.tables) {
      if (!table.topic.empty()) names.insert(table.topic);
    }
    for (const SinkPlan& sink : plan_.sinks) {
      if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) names.insert(kafka->topic);
    }
    for (const std::string& side : SideTopics(plan_)) names.insert(side);
    for (const std::string& noted : NoticeTopics(plan_)) names.insert(noted);
    names.insert(plan_.dead_letter_topic);
    TM_ASSIGN_OR_RETURN(const auto found, admin_.Describe({names.begin(), names.end()}));
    for (const auto& [name, info] : found) existing_[name] = info.partitions;
    return absl::OkStatus();
  }

  void CheckInputs() {
    const auto must_exist = [&](const std::string& what, const std::string& topic) {
      const auto it = existing_.find(topic);
      if (it != existing_.end()) {
        counts_[topic] = it->second;
      } else {
        wrong_.push_back(absl::StrCat(what, ": topic '", topic, "' does not exist on ", plan_.kafka.brokers,
                                      ": create it, or correct its name"));
      }
    };
    for (const SourcePlan& source : plan_.sources) {
      if (source.intake()) {
        largest_input_ = std::max(largest_input_, source.intake_partitions());
        continue;
      }
      must_exist("source " + source.name, source.topic);
      if (counts_.count(source.topic) > 0) largest_input_ = std::max(largest_input_, counts_[source.topic]);
    }
    for (const TablePlan& table : plan_.tables) {
      if (!table.topic.empty()) must_exist("table " + table.name, table.topic);
    }
  }

  void CheckSinks() {
    for (const SinkPlan& sink : plan_.sinks) {
      const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
      if (kafka == nullptr || sink.view || kafka->create || existing_.count(kafka->topic) > 0) continue;
      wrong_.push_back(absl::StrCat("sink ", sink.name, ": topic '", kafka->topic, "' does not exist on ",
                                    plan_.kafka.brokers, ": create it, or add `create: {}` to the sink"));
    }
  }

  void CheckInternal() {
    for (const std::string& topic : InternalTopics()) {
      if (existing_.count(topic) == 0) wrong_.push_back(DoesNotExist(topic));
    }
  }

  static std::string DoesNotExist(const std::string& internal) {
    return absl::StrCat("internal topic '", internal, "' does not exist and internal_topics.create is false");
  }

  // How many partitions a stage or a feed has, and who says so, for messages.
  struct Count {
    int32_t partitions = 0;  // 0: undecided
    std::string because;     // "its source topic 'x' has 4"
  };

  // A source from outside Kafka says itself how many partitions its topic has, and how many splits its intake has, each
  // with a log of positions and one of notes.
  void PlaceIntakes() {
    for (const IntakePlan& intake : IntakesOf(plan_)) {
      const IntakeNames names{plan_.application, intake.name};
      const auto stated = [](const SourcePlan& source) {
        const int32_t count = source.intake_partitions();
        return Count{count, absl::StrCat("its partitions are ", count)};
      };
      for (const SourcePlan* source : intake.sources)
        Internal(source->topic, stated(*source), "source " + source->name);
      const SourcePlan& first = *intake.sources.front();
      const std::string owner = (first.name == intake.name ? "source " : "slot ") + intake.name;
      const Count splits = first.http ? stated(first) : Count{1, "it is read as one"};
      Internal(names.PositionsTopic(), splits, owner);
      Internal(names.NotesTopic(), splits, owner, NotesTopicConfig(plan_));
      if (first.http) Internal(names.RequestsTopic(), stated(first), owner);
    }
  }

  // Every stage runs on one number of partitions: that of its source topics; else what is stated for a repartition it
  // reads; else `internal_topics.partitions`; else that of its internal topics where they exist; else that of the
  // largest input. What contradicts it is refused, as state and watermarks are kept by partition.
  void PlaceStages() {
    for (size_t s = 0; s < plan_.stages.size(); ++s) {
      const Stage& stage = plan_.stages[s];
      absl::StatusOr<Count> of_sources = CountOfSources(stage);
      if (!of_sources.ok()) {
        wrong_.emplace_back(of_sources.status().message());
        continue;
      }
      Count count = *std::move(of_sources);
      std::vector<std::string> topics;
      for (const Edge& edge : plan_.edges) {
        if (edge.to_stage != static_cast<int>(s)) continue;
        topics.push_back(edge.topic);
        if (edge.partitions == 0) continue;
        if (count.partitions != 0 && count.partitions != edge.partitions) {
          wrong_.push_back(Contradiction(stage, edge, count));
          continue;
        }
        count = {edge.partitions, absl::StrCat("step ", edge.step, " asks for ", edge.partitions)};
      }
      topics.push_back(plan_.application.ChangelogTopic(stage.name));
      if (count.partitions == 0) count = CountOf(topics);
      for (const std::string& topic : topics) Internal(topic, count, stage.name);
    }
  }

  absl::StatusOr<Count> CountOfSources(const Stage& stage) {
    Count count;
    std::string decided_by;
    for (const Node& node : stage.nodes) {
      if (node.kind != Node::Kind::kSource) continue;
      const std::string& topic = plan_.sources[static_cast<size_t>(node.source)].topic;
      if (count.partitions != 0 && counts_[topic] != count.partitions) {
        return absl::InvalidArgumentError(
            absl::StrCat("topics '", decided_by, "' (", count.partitions, " partitions) and '", topic, "' (",
                         counts_[topic], ") are read together by stage ", stage.name,
                         " and must have equal partition counts: add a repartition step behind one of them"));
      }
      count = {counts_[topic], absl::StrCat("its source topic '", topic, "' has ", counts_[topic])};
      decided_by = topic;
    }
    return count;
  }

  // Of topics that nothing stated binds.
  Count CountOf(const std::vector<std::string>& topics) const {
    if (plan_.internal_topics.partitions > 0) {
      return {plan_.internal_topics.partitions,
              absl::StrCat("internal_topics.partitions says ", plan_.internal_topics.partitions)};
    }
    for (const std::string& topic : topics) {
      const auto it = existing_.find(topic);
      if (it != existing_.end()) return {it->second, absl::StrCat("'", topic, "' has ", it->second)};
    }
    return {largest_input_, absl::StrCat("the largest input has ", largest_input_)};
  }

  // Of a sink that shows batches whole each task has a partition for itself: what is refused of one then touches none
  // of another task's, and the sink needn't wait for commits that lie within each other (whole_commits.h).
  Count CountOfFeed(const Edge& feed, const std::vector<std::string>& topics) const {
    if (ShowsTransactionsWhole(plan_, feed.to_sink)) return {1, "it shows transactions whole, whatever their keys"};
    Count count = CountOf(topics);
    const Stage& stage = plan_.stages[static_cast<size_t>(feed.from_stage)];
    const auto tasks = counts_.find(plan_.application.ChangelogTopic(stage.name));
    if (tasks == counts_.end() || tasks->second <= count.partitions) return count;
    if (!ShowsBatchesWhole(plan_, feed.to_sink)) return count;
    return {tasks->second, absl::StrCat("it shows batches whole, and its stage has ", tasks->second, " tasks")};
  }

  static std::string Contradiction(const Stage& stage, const Edge& edge, const Count& count) {
    return absl::StrCat("step ", edge.step, " is moved to ", edge.partitions, " partitions (", edge.reason,
                        "), but stage ", stage.name, " reads it together with others, and ", count.because,
                        ": all inputs of a stage have equal partition counts. State ", count.partitions,
                        " for it, or put a repartition step with ", edge.partitions, " partitions behind the source");
  }

  void Internal(const std::string& topic, const Count& count, const std::string& owner) {
    Internal(topic, count, owner, InternalTopicConfig(plan_));
  }
  void Internal(const std::string& topic, const Count& count, const std::string& owner,
                std::map<std::string, std::string> config) {
    const auto it = existing_.find(topic);
    if (it == existing_.end() && !plan_.create_internal_topics) {
      wrong_.push_back(absl::StrCat(DoesNotExist(topic), ": create it with ", count.partitions,
                                    " partitions; `tidemark describe --format kafka` prints the commands"));
    } else if (it != existing_.end() && it->second != count.partitions) {
      wrong_.push_back(
          absl::StrCat("internal topic '", topic, "' has ", it->second, " partitions where ", owner, " needs ",
                       count.partitions, " (", count.because,
                       "). State is kept by partition, so a count never changes under one name: put back what decided ",
                       it->second, " partitions, or begin anew, by `tidemark reset` or under a new name"));
    } else if (it == existing_.end()) {
      const TopicCreation& creation = plan_.internal_topics;
      to_create_.push_back({topic, count.partitions, creation.replication_factor, std::move(config)});
    }
    counts_[topic] = count.partitions;
  }

  void CreateOrTake(const std::string& topic, const TopicCreation& creation) {
    const auto it = existing_.find(topic);
    const int32_t count = creation.partitions > 0 ? creation.partitions : largest_input_;
    if (counts_.count(topic) > 0) return;
    counts_[topic] = it != existing_.end() ? it->second : count;
    if (it == existing_.end()) to_create_.push_back({topic, count, creation.replication_factor, creation.config});
  }

  void PlaceOutputs() {
    for (const SinkPlan& sink : plan_.sinks) {
      if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) {
        if (sink.view) {
          Internal(kafka->topic, {1, "a view's rows have one order"}, "view " + sink.name, ViewTopicConfig(plan_));
        } else {
          CreateOrTake(kafka->topic, kafka->create.value_or(TopicCreation()));
        }
        continue;
      }
      for (const Edge& edge : plan_.edges) {
        if (edge.to_sink < 0 || &plan_.sinks[static_cast<size_t>(edge.to_sink)] != &sink) continue;
        std::vector<std::string> topics = {edge.topic};
        if (std::holds_alternative<ParquetSinkSpec>(sink.spec))
          topics.push_back(plan_.application.ManifestTopic(sink.kept_as()));
        const Count count = CountOfFeed(edge, topics);
        for (const std::string& topic : topics) Internal(topic, count, "sink " + sink.name);
      }
    }
    for (const std::string& topic : SideTopics(plan_)) CreateOrTake(topic, TopicCreation());
    for (const std::string& topic : NoticeTopics(plan_)) CreateOrTake(topic, {.partitions = 1});
    if (!plan_.notify.empty()) {
      Internal(plan_.application.AlarmsTopic(), {1, "alarms have one order"}, "notify");
    }
    CreateOrTake(plan_.dead_letter_topic, plan_.dead_letter_creation);
  }

  const Plan& plan_;
  Admin& admin_;
  PartitionCounts existing_, counts_;
  int32_t largest_input_ = 1;
  std::vector<TopicToCreate> to_create_;
  std::vector<std::string> wrong_;
};

}  // namespace

std::set<std::string> SideTopics(const Plan& plan) {
  std::set<std::string> topics;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      for (const SideTopic& side : node.side_topics) topics.insert(side.topic);
    }
  }
  return topics;
}

std::vector<std::string> LetterTopics(const Plan& plan) {
  std::set<std::string> rejected;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      for (const SideTopic& side : node.side_topics) {
        if (side.name == kRejectedSide) rejected.insert(side.topic);
      }
    }
  }
  std::vector<std::string> topics = {plan.dead_letter_topic};
  topics.insert(topics.end(), rejected.begin(), rejected.end());
  return topics;
}

std::set<std::string> NoticeTopics(const Plan& plan) {
  std::set<std::string> topics;
  if (!plan.notify.topic.empty()) topics.insert(plan.notify.topic);
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.view && !sink.view->audit.empty()) topics.insert(sink.view->audit);
  }
  return topics;
}

absl::StatusOr<FoundTopics> FindTopics(const Plan& plan, Admin& admin) { return Resolver(plan, admin).Find(); }

absl::StatusOr<PartitionCounts> ResolveTopics(const Plan& plan, Admin& admin, bool create) {
  TM_ASSIGN_OR_RETURN(FoundTopics found, FindTopics(plan, admin));
  if (!found.wrong.empty()) return absl::InvalidArgumentError(absl::StrJoin(found.wrong, "\n"));
  if (create && !found.missing.empty()) TM_RETURN_IF_ERROR(admin.CreateTopics(found.missing));
  return std::move(found.counts);
}

std::map<std::string, std::string> InternalTopicConfig(const Plan& plan) {
  std::map<std::string, std::string> config = plan.internal_topics.config;
  config["cleanup.policy"] = "delete";
  config["retention.ms"] = "-1";
  config["retention.bytes"] = "-1";
  config["message.timestamp.type"] = "LogAppendTime";
  // The user's where stated, for brokers with a lower bound.
  config.emplace("max.message.bytes", absl::StrCat(kMaxPackedRow + (1 << 20)));
  return config;
}

// Of the notes of one key the last stands, and it is to be kept; what is no note any more may go.
std::map<std::string, std::string> NotesTopicConfig(const Plan& plan) {
  std::map<std::string, std::string> config = InternalTopicConfig(plan);
  config["cleanup.policy"] = "compact";
  return config;
}

// Of a row the last word stands. "delete" lets what nobody needs any more be trimmed; nothing goes by its age.
std::map<std::string, std::string> ViewTopicConfig(const Plan& plan) {
  std::map<std::string, std::string> config = InternalTopicConfig(plan);
  config["cleanup.policy"] = "compact,delete";
  config["delete.retention.ms"] = absl::StrCat(kViewDeletionsKeptUs / kMillisecond);
  // What a worker reads at its start: the rows, and what isn't compacted yet. Brokers leave the newest segment alone.
  config.emplace("segment.bytes", absl::StrCat(64 << 20));
  config.emplace("min.cleanable.dirty.ratio", "0.2");
  return config;
}

std::vector<std::string> InputTopics(const Plan& plan, const Stage& stage) {
  std::vector<std::string> topics;
  for (const Node& node : stage.nodes) {
    if (node.kind == Node::Kind::kSource) topics.push_back(plan.sources[static_cast<size_t>(node.source)].topic);
    if (node.kind == Node::Kind::kInternal) topics.push_back(plan.edges[static_cast<size_t>(node.edge)].topic);
  }
  return topics;
}

}  // namespace tidemark
