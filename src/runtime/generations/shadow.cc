#include "src/runtime/generations/shadow.h"

#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>
#include <variant>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/runtime/reset_sinks.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

constexpr size_t kTableNameBytes = 63, kTopicNameBytes = 249;

class Shadower {
 public:
  Shadower(const Plan& plan, const ShadowName& name) : plan_(plan), name_(name) {}

  absl::StatusOr<Plan> Make() {
    NoteTaken();
    Plan shadow = plan_;
    for (SinkPlan& sink : shadow.sinks) Move(&sink);
    for (Stage& stage : shadow.stages) {
      for (Node& node : stage.nodes) {
        for (SideTopic& side : node.side_topics) side.topic = Topic(absl::StrCat("step ", node.step), side.topic);
      }
    }
    shadow.dead_letter_topic = Topic("dead_letter", plan_.dead_letter_topic);
    shadow.notify = NotifySpec();
    if (!refused_.empty()) return absl::InvalidArgumentError(absl::StrJoin(refused_, "\n"));
    return shadow;
  }

 private:
  // Names that the topology uses already: of inputs, and of targets as they are.
  void NoteTaken() {
    for (const SourcePlan& source : plan_.sources) taken_.insert(source.topic);
    for (const TablePlan& table : plan_.tables) taken_.insert(table.topic);
    for (const SinkPlan& sink : plan_.sinks) {
      if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) taken_.insert(kafka->topic);
      if (const auto* table = std::get_if<PostgresSinkSpec>(&sink.spec)) taken_.insert(Place(*table, table->table));
      if (const auto* lake = std::get_if<ParquetSinkSpec>(&sink.spec)) taken_.insert(lake->path);
    }
  }

  static std::string Place(const PostgresSinkSpec& spec, const std::string& table) {
    return absl::StrCat(spec.url, " ", spec.schema, ".", table);
  }

  std::string Free(const std::string& what, std::string name, const std::string& place) {
    if (taken_.contains(place)) {
      refused_.push_back(absl::StrCat(what, ": ", name_.who, " would write to ", name,
                                      ", which the topology names itself; give that another name"));
    }
    return name;
  }

  std::string Topic(const std::string& what, const std::string& topic) {
    std::string name = ShadowTopic(topic, name_);
    if (name.size() > kTopicNameBytes) {
      refused_.push_back(absl::StrCat(what, ": topic ", name, " of ", name_.who, " has ", name.size(),
                                      " characters, and Kafka takes ", kTopicNameBytes, "; shorten it"));
    }
    return Free(what, name, name);
  }

  void Move(SinkPlan* sink) {
    const std::string what = absl::StrCat("sink ", sink->name);
    if (auto* kafka = std::get_if<KafkaSinkSpec>(&sink->spec)) {
      if (sink->view) return;
      kafka->topic = Topic(what, kafka->topic);
      if (!kafka->create) kafka->create.emplace();
      if (kafka->upsert) kafka->create->config.try_emplace("cleanup.policy", "compact");
    } else if (auto* table = std::get_if<PostgresSinkSpec>(&sink->spec)) {
      const std::string name = ShadowTable(table->table, name_);
      if (name.size() > kTableNameBytes) {
        refused_.push_back(absl::StrCat(what, ": table ", name, " of ", name_.who, " has ", name.size(),
                                        " bytes, and PostgreSQL takes ", kTableNameBytes, "; rename ", table->table));
      }
      table->table = Free(what, name, Place(*table, name));
    } else if (auto* lake = std::get_if<ParquetSinkSpec>(&sink->spec)) {
      if (name_.switched && absl::StartsWith(lake->path, "s3://")) {
        refused_.push_back(absl::StrCat(what, ": a lake in S3 (", lake->path,
                                        ") has no folders that could change places "
                                        "with another generation's; give the sink a new path, under a new name of the "
                                        "topology"));
        return;
      }
      const std::string name = ShadowFolder(lake->path, name_);
      lake->path = Free(what, name, name);
    } else {
      refused_.push_back(absl::StrCat(what, ": what ", name_.who, " computes again would be posted again to ",
                                      std::get<WebhookSpec>(sink->spec).Shown(), "; leave the sink out",
                                      name_.switched ? " until the switch is done" : ""));
    }
  }

  const Plan& plan_;
  const ShadowName& name_;
  std::set<std::string> taken_;
  std::vector<std::string> refused_;
};

}  // namespace

ShadowName::ShadowName(int32_t generation)
    : dotted(absl::StrCat(".g", generation)),
      underlined(absl::StrCat("__g", generation)),
      who(absl::StrCat("generation ", generation)) {}

ShadowName ShadowName::OfRun(std::string_view run) {
  ShadowName name;
  name.dotted = std::string(".run_").append(run);
  name.underlined = std::string("__run_").append(run);
  name.who = std::string("run ").append(run);
  name.switched = false;
  return name;
}

std::string ShadowTopic(std::string_view topic, const ShadowName& name) { return std::string(topic) + name.dotted; }

std::string ShadowTable(std::string_view table, const ShadowName& name) { return std::string(table) + name.underlined; }

std::string ShadowFolder(std::string_view folder, const ShadowName& name) {
  while (folder.size() > 1 && folder.back() == '/') folder.remove_suffix(1);
  return std::string(folder) + name.dotted;
}

absl::StatusOr<Plan> ShadowPlan(const Plan& plan, const ShadowName& name) { return Shadower(plan, name).Make(); }

absl::Status MakeShadowTopics(const Plan& plan, const ShadowName& name, Admin& admin) {
  std::map<std::string, const KafkaSinkSpec*> sinks;
  std::vector<std::string> topics;
  for (const SinkPlan& sink : plan.sinks) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka == nullptr || sink.view) continue;
    sinks[kafka->topic] = kafka;
    topics.push_back(kafka->topic);
  }
  if (topics.empty()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const auto found, admin.Describe(topics));
  std::vector<TopicToCreate> made;
  for (const auto& [topic, info] : found) {
    const KafkaSinkSpec& sink = *sinks.at(topic);
    TopicToCreate create{ShadowTopic(topic, name), info.partitions};
    if (sink.create) {
      create.replication_factor = sink.create->replication_factor;
      create.config = sink.create->config;
    }
    if (sink.upsert) create.config.try_emplace("cleanup.policy", "compact");
    made.push_back(std::move(create));
  }
  return made.empty() ? absl::OkStatus() : admin.CreateTopics(made);
}

absl::Status CheckShadowsNew(const Plan& plan, const ShadowName& name, Admin& admin) {
  TM_ASSIGN_OR_RETURN(const Plan shadow, ShadowPlan(plan, name));
  std::vector<std::string> taken, topics;
  for (const SinkPlan& sink : shadow.sinks) {
    if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec); kafka != nullptr && !sink.view) {
      topics.push_back(kafka->topic);
    }
    const auto* lake = std::get_if<ParquetSinkSpec>(&sink.spec);
    std::error_code ignored;
    if (lake != nullptr && std::filesystem::exists(lake->path, ignored) &&
        !std::filesystem::is_empty(lake->path, ignored)) {
      taken.push_back(absl::StrCat("folder ", lake->path));
    }
  }
  for (const std::string& topic : SideTopics(shadow)) topics.push_back(topic);
  std::map<std::string, TopicInfo> found;
  if (!topics.empty()) {
    TM_ASSIGN_OR_RETURN(found, admin.Describe(topics));
  }
  std::vector<TopicPartition> partitions;
  for (const auto& [topic, info] : found) {
    for (int32_t p = 0; p < info.partitions; ++p) partitions.push_back({topic, p});
  }
  TM_ASSIGN_OR_RETURN(const auto starts, admin.LogStarts(partitions));
  TM_ASSIGN_OR_RETURN(const auto ends, admin.LogEnds(partitions, Isolation::kReadUncommitted));
  std::set<std::string> written;
  for (const auto& [partition, end] : ends) {
    const auto start = starts.find(partition);
    if (end > (start == starts.end() ? 0 : start->second)) written.insert(partition.topic);
  }
  for (const std::string& topic : written) taken.push_back(absl::StrCat("topic ", topic));
  if (taken.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name.who, " would write to ", absl::StrJoin(taken, ", "),
                   ", where something stands already: delete it, or give it another name"));
}

const SinkPlan* FormerSink(const Plan& from, const SinkPlan& sink) {
  for (const SinkPlan& former : from.sinks) {
    if (former.spec.index() != sink.spec.index() || former.view.has_value() != sink.view.has_value()) continue;
    if (sink.view) {
      if (former.kept_as() == sink.kept_as()) return &former;
      continue;
    }
    if (const auto* table = std::get_if<PostgresSinkSpec>(&sink.spec)) {
      const auto& other = std::get<PostgresSinkSpec>(former.spec);
      if (std::tie(table->url, table->schema, table->table) == std::tie(other.url, other.schema, other.table)) {
        return &former;
      }
    } else if (const auto* lake = std::get_if<ParquetSinkSpec>(&sink.spec)) {
      if (lake->path == std::get<ParquetSinkSpec>(former.spec).path) return &former;
    } else if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) {
      if (kafka->topic == std::get<KafkaSinkSpec>(former.spec).topic) return &former;
    }
  }
  return nullptr;
}

std::vector<std::unique_ptr<TargetSwap>> SwapsOf(const GenerationSwap& swap, KafkaClient* kafka, Clock* clock) {
  const ApplicationId &from = swap.from->application, &to = swap.to->application;
  std::vector<std::unique_ptr<TargetSwap>> swaps;
  for (const SinkPlan& sink : swap.to->sinks) {
    const SinkPlan* const former = FormerSink(*swap.from, sink);
    const SwapParties parties{from, to, sink.kept_as(), swap.decision, former == nullptr ? "" : former->kept_as()};
    if (const auto* table = std::get_if<PostgresSinkSpec>(&sink.spec)) {
      PostgresSwapTarget target;
      target.spec = former == nullptr ? *table : std::get<PostgresSinkSpec>(former->spec);
      target.shadow = ShadowTable(table->table, to.generation);
      target.kept = ShadowTable(table->table, from.generation);
      for (const Column& column : (former == nullptr ? sink : *former).schema.columns()) {
        target.written.push_back(column.name);
      }
      swaps.push_back(MakePostgresSwap(std::move(target), parties));
    } else if (const auto* lake = std::get_if<ParquetSinkSpec>(&sink.spec)) {
      FolderSwapTarget target;
      target.live = lake->path;
      target.shadow = ShadowFolder(lake->path, to.generation);
      target.kept = ShadowFolder(lake->path, from.generation);
      SinkPlan built = sink;
      std::get<ParquetSinkSpec>(built.spec).path = target.shadow;
      target.settle = [plan = swap.to, built = std::move(built), kafka] {
        return SettleLake(*plan, built, /*complete=*/false, *kafka);
      };
      swaps.push_back(MakeFolderSwap(std::move(target), parties));
    } else if (const auto* topic = std::get_if<KafkaSinkSpec>(&sink.spec);
               topic != nullptr && topic->upsert && !sink.view && former != nullptr) {
      TopicDifferenceTarget target;
      target.live = topic->topic;
      target.shadow = ShadowTopic(topic->topic, to.generation);
      target.transactional_id = ApplicationId{to.name}.SinkTransactionalId(sink.kept_as(), "switch");
      target.still_mine = swap.still_mine;
      swaps.push_back(MakeTopicDifference(std::move(target), kafka, clock));
    }
  }
  return swaps;
}

}  // namespace tidemark
