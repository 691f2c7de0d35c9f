#include "src/runtime/topology_change.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <variant>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>

#include "operators/sinks/postgres/libpq.h"
#include "src/base/action.h"
#include "src/base/status.h"
#include "src/codec/packed_schema.h"
#include "src/runtime/first_changes.h"
#include "src/runtime/former.h"
#include "src/runtime/renamed.h"
#include "src/runtime/start_check.h"
#include "src/runtime/step_identity.h"
#include "src/runtime/topics.h"
#include "src/storage/object_store.h"

namespace tidemark {
namespace {

using Kind = PartChange::Kind;

constexpr auto kPatience = std::chrono::seconds(30);
constexpr auto kBetweenLooks = std::chrono::milliseconds(500);

// By which names tasks have counted: sources, steps, "sink x", as they are kept.
std::set<std::string> CountedNames(const Former& former) {
  std::set<std::string> names;
  for (const auto& [partition, record] : former.newest) {
    for (const packed::StepLedger& ledger : record.ledger()) names.insert(ledger.step());
  }
  return names;
}

// "price decimal(12,2)", without hidden ones.
std::set<std::string> ColumnsOf(const arrow::Schema& schema) {
  std::set<std::string> columns;
  for (const auto& field : schema.fields()) {
    if (!absl::StartsWith(field->name(), "__"))
      columns.insert(absl::StrCat(field->name(), " ", field->type()->ToString()));
  }
  return columns;
}

void CompareColumns(const std::set<std::string>& before, const std::set<std::string>& now, PartChange* change) {
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(change->added));
  std::set_difference(before.begin(), before.end(), now.begin(), now.end(), std::back_inserter(change->removed));
}

std::string About(const SinkPlan& sink) {
  if (sink.view) return "a view";
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) return absl::StrCat("topic ", kafka->topic);
  if (const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec)) {
    return absl::StrCat("table ", postgres->schema, ".", postgres->table);
  }
  if (const auto* webhook = std::get_if<WebhookSpec>(&sink.spec)) return "webhook at " + webhook->Shown();
  return absl::StrCat("lake ", std::get<ParquetSinkSpec>(sink.spec).path);
}

// Where the source's rows come from, and from where on it is read when it is new.
PartChange Described(const SourcePlan& source, Kind kind) {
  PartChange change{source.name, kind, absl::StrCat("topic ", source.topic)};
  change.begins = ", from where its `start` says";
  if (source.files) {
    change.about = absl::StrCat("files in ", source.files->path);
    change.begins = ", from the first one on";
  } else if (source.http) {
    change.about = absl::StrCat("posted to ", source.http->path);
    change.begins = "";
  } else if (source.postgres) {
    change.about = absl::StrCat("table ", source.postgres->schema, ".", source.postgres->table);
    change.begins = ", as it is, then its changes";
  }
  return change;
}

class Builder {
 public:
  Builder(const Plan& plan, const Former& former) : plan_(plan), former_(former), counted_(CountedNames(former)) {
    change_.first = former.newest.empty();
  }

  void Sources() {
    std::set<std::string> read;
    for (const auto& [partition, record] : former_.newest) {
      for (const packed::InputOffset& input : record.inputs()) read.insert(input.topic());
    }
    for (const SourcePlan& source : plan_.sources) {
      const bool goes_on = read.erase(source.topic) > 0;
      PartChange& change = change_.sources.emplace_back(Described(source, goes_on ? Kind::kGoesOn : Kind::kNew));
      if (goes_on) change.former_name = FormerName(former_, source.kept_as(), source.name);
    }
    for (const std::string& topic : read) {
      absl::string_view name = topic;
      const bool internal = absl::ConsumePrefix(&name, plan_.application.TopicPrefix());
      if (internal && !absl::ConsumeSuffix(&name, ".intake")) continue;
      change_.sources.push_back({std::string(name), Kind::kGone, absl::StrCat("topic ", topic)});
    }
  }

  void Stateless() {
    std::map<std::string, std::string> kept_as;  // by the step's name
    std::set<std::string> with_state;
    for (const Stage& stage : plan_.stages) {
      for (const Node& node : stage.nodes) {
        if (node.kind != Node::Kind::kOperator) continue;
        kept_as[node.step] = node.kept_as();
        if (!StepFingerprint(node).empty()) with_state.insert(node.step);
      }
    }
    for (const auto& [name, kept] : kept_as) {
      if (with_state.contains(name)) continue;
      change_.stateless.push_back({name, Counted(kept) ? Kind::kGoesOn : Kind::kNew});
      change_.stateless.back().former_name = FormerName(former_, kept, name);
    }
  }

  void Sinks() {
    std::set<std::string> gone;
    for (const std::string& name : counted_) {
      if (absl::StartsWith(name, "sink ")) gone.insert(std::string(absl::StripPrefix(name, "sink ")));
    }
    for (const SinkPlan& sink : plan_.sinks) {
      const bool goes_on = gone.erase(sink.kept_as()) > 0;
      PartChange& change = change_.sinks.emplace_back();
      change = {sink.name, goes_on ? Kind::kGoesOn : Kind::kNew, About(sink)};
      change.former_name = FormerName(former_, sink.kept_as(), sink.name);
      if (const std::set<std::string> late = JoinedLate(sink); !late.empty()) {
        absl::StrAppend(&change.about, "; of ", absl::StrJoin(late, ", "), " it gets what changes from now on");
      }
      for (const Edge& edge : plan_.edges) {
        if (edge.to_sink >= 0 && &plan_.sinks[static_cast<size_t>(edge.to_sink)] == &sink) FeedColumns(edge, &change);
      }
    }
    for (const std::string& kept : gone) {
      const std::string called = FormerName(former_, kept, kept);
      change_.sinks.push_back({called.empty() ? kept : called, Kind::kGone});
    }
  }

  TopologyChange change_;

 private:
  bool Counted(const std::string& step) const {
    return counted_.contains(step) || counted_.contains(step + " partial");
  }

  // Steps that have made changes before, whose standing rows the sink doesn't get.
  std::set<std::string> JoinedLate(const SinkPlan& sink) const {
    std::set<std::string> late;
    for (size_t s = 0; s < plan_.stages.size(); ++s) {
      const Stage& stage = plan_.stages[s];
      for (size_t n = 0; n < stage.nodes.size(); ++n) {
        const int of = stage.nodes[n].sink;
        if (of < 0 || &plan_.sinks[static_cast<size_t>(of)] != &sink) continue;
        for (const packed::CommitRecord* record : former_.RecordsOf(plan_.application, stage.name)) {
          late.merge(FromNowOn(plan_, {static_cast<int>(s), static_cast<int>(n)}, *record));
        }
      }
    }
    return late;
  }

  // Of the rows that its feed was given last.
  void FeedColumns(const Edge& edge, PartChange* change) const {
    for (const auto& [partition, record] : former_.newest) {
      for (const packed::Standing::Edge& saved : record.standing().outputs()) {
        if (saved.topic() != edge.topic || saved.schemas().empty() || IsGone(saved)) continue;
        const auto before = UnpackSchema(saved.schemas(0));
        if (!before.ok()) continue;
        CompareColumns(ColumnsOf(**before), ColumnsOf(*BatchSchema(edge.schema, edge.hidden)), change);
        return;
      }
    }
  }

  const Plan& plan_;
  const Former& former_;
  const std::set<std::string> counted_;
};

// What stands outside of Kafka.
void LookAt(const SinkPlan& sink, PartChange* change) {
  absl::StatusOr<std::string> seen = "";
  if (const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec)) {
    seen = InspectPostgres(*postgres, sink.name, sink.schema, sink.mode);
  } else if (const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.spec)) {
    seen = InspectObjectStore(parquet->path);
  }
  if (seen.ok()) {
    change->found = std::string(absl::StripPrefix(*seen, absl::StrCat("sink ", sink.name, ": ")));
  } else if (absl::IsInvalidArgument(seen.status())) {
    change->wrong = std::string(seen.status().message());
  } else {
    change->unknown = std::string(seen.status().message());
  }
}

// Once: a worker that runs may trim what is read here.
absl::StatusOr<TopologyChange> LookAtRunning(const Plan& plan, KafkaClient& kafka, const AllowedDrops& drops) {
  TM_ASSIGN_OR_RETURN(const Former former, ReadFormer(plan, kafka));
  Builder builder(plan, former);
  TopologyChange& change = builder.change_;
  change.against = absl::StrCat("what stands in Kafka at ", plan.kafka.brokers);
  TM_ASSIGN_OR_RETURN(change.steps, CompareWithRunning(plan, former, kafka, drops));
  change.idle = IdleDrops(plan, former, drops);
  TM_ASSIGN_OR_RETURN(FoundTopics topics, FindTopics(plan, kafka.admin()));
  change.topics = std::move(topics.missing);
  change.wrong = std::move(topics.wrong);
  for (std::string& gone : GoneTopics(plan, former)) change.wrong.push_back(std::move(gone));
  builder.Sources();
  builder.Stateless();
  builder.Sinks();
  for (size_t s = 0; s < plan.sinks.size(); ++s) LookAt(plan.sinks[s], &change.sinks[s]);
  return std::move(change);
}

}  // namespace

TopologyChange::Outcome TopologyChange::outcome() const {
  const auto any = [&](auto member) {
    return std::any_of(sinks.begin(), sinks.end(), [&](const PartChange& sink) { return !(sink.*member).empty(); });
  };
  if (!wrong.empty() || any(&PartChange::wrong)) return Outcome::kMistake;
  if (!Refusal(steps).ok()) return Outcome::kNeedsDecision;
  return any(&PartChange::unknown) ? Outcome::kNotKnown : Outcome::kNothingLost;
}

absl::StatusOr<TopologyChange> ChangeOfRunning(const Plan& plan, KafkaClient& kafka, const AllowedDrops& drops) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    absl::StatusOr<TopologyChange> change = LookAtRunning(plan, kafka, drops);
    if (ActionFor(change.status()) != Action::kRetry || std::chrono::steady_clock::now() > until) return change;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

absl::StatusOr<TopologyChange> ChangeOfFile(const Plan& plan, const Plan& before, const std::string& file,
                                            const AllowedDrops& drops) {
  if (!(plan.application == before.application)) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, " is the topology ", before.application.name, ", not ", plan.application.name,
                     ": two topologies share nothing, so nothing of one changes the other"));
  }
  const Former former = FormerOf(before);
  Builder builder(plan, former);
  TopologyChange& change = builder.change_;
  change.against = file;
  TM_RETURN_IF_ERROR(CheckDrops(plan, former, drops));
  change.steps = CompareStates(plan, former, drops);
  change.idle = IdleDrops(plan, former, drops);
  builder.Sources();
  builder.Stateless();
  builder.Sinks();
  // Feeds say it already; a topic's rows are known from the file alone.
  for (size_t s = 0; s < plan.sinks.size(); ++s) {
    if (!std::holds_alternative<KafkaSinkSpec>(plan.sinks[s].spec)) continue;
    const auto same = std::find_if(before.sinks.begin(), before.sinks.end(),
                                   [&](const SinkPlan& sink) { return sink.kept_as() == plan.sinks[s].kept_as(); });
    if (same == before.sinks.end()) continue;
    CompareColumns(ColumnsOf(*BatchSchema(same->schema, {})), ColumnsOf(*BatchSchema(plan.sinks[s].schema, {})),
                   &change.sinks[s]);
  }
  return std::move(change);
}

}  // namespace tidemark
