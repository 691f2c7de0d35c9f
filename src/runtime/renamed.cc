#include "src/runtime/renamed.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <variant>

#include <absl/strings/str_cat.h>

#include "src/runtime/step_identity.h"

namespace tidemark {
namespace {

// A source, step, sink or view of the plan's.
struct Part {
  std::string what;  // "step"
  std::string name, kept_as;
  const SinkPlan* sink = nullptr;
  bool keeps = true;  // something besides counts: a topic by whose name it goes on, or state

  std::string subject() const { return absl::StrCat(what, " ", name); }
};

std::vector<Part> PartsOf(const Plan& plan) {
  std::vector<Part> parts;
  for (const SourcePlan& source : plan.sources) parts.push_back({"source", source.name, source.kept_as()});
  std::map<std::string, Part> steps;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.kind != Node::Kind::kOperator || node.step.find(' ') != std::string::npos) continue;
      Part& step = steps.try_emplace(node.step, Part{"step", node.step, node.kept_as(), nullptr, false}).first->second;
      step.keeps = step.keeps || !StepFingerprint(node).empty();
    }
  }
  for (const Edge& edge : plan.edges) {
    if (const auto step = steps.find(edge.step); step != steps.end()) step->second.keeps = true;
  }
  for (auto& [name, step] : steps) parts.push_back(std::move(step));
  for (const SinkPlan& sink : plan.sinks) {
    const bool topic = std::holds_alternative<KafkaSinkSpec>(sink.spec) && !sink.view;
    parts.push_back({sink.view ? "view" : "sink", sink.name, sink.kept_as(), &sink, !topic});
  }
  return parts;
}

bool Counts(const packed::CommitRecord& record, const std::string& name) {
  return std::any_of(record.ledger().begin(), record.ledger().end(),
                     [&](const packed::StepLedger& ledger) { return ledger.step() == name; });
}

bool CountsStep(const packed::CommitRecord& record, const std::string& name) {
  return Counts(record, name) || Counts(record, name + " partial");
}

bool CountsSink(const packed::CommitRecord& record, const std::string& name) { return Counts(record, "sink " + name); }

// By what its topics tell. Empty: what is kept fits.
std::string OtherKind(const Plan& plan, const Former& former, const Part& part) {
  const auto any = [&](auto counts) {
    return std::any_of(former.newest.begin(), former.newest.end(),
                       [&](const auto& each) { return counts(each.second, part.kept_as); });
  };
  const bool was_sink = any(CountsSink), was_step = any(CountsStep);
  if (part.sink == nullptr) return was_sink && !was_step ? "a sink or view" : "";
  if (was_step && !was_sink) return "a source or step";
  if (!was_sink) return "";
  const bool was_view = former.topics.contains(plan.application.ViewTopic(part.kept_as));
  const bool was_lake = former.topics.contains(plan.application.ManifestTopic(part.kept_as));
  const bool was_fed = former.topics.contains(plan.application.FeedTopic(part.kept_as));
  const std::string was = was_view ? "a view" : was_lake ? "a lake" : was_fed ? "a table or webhook" : "a topic's";
  if (part.sink->view) return was_view ? "" : was;
  if (std::holds_alternative<KafkaSinkSpec>(part.sink->spec)) return was_view || was_fed ? was : "";
  if (std::holds_alternative<ParquetSinkSpec>(part.sink->spec)) return was_lake ? "" : was;
  return was_fed && !was_lake ? "" : was;
}

// Of a stage that is gone, what isn't gone with it: state that nobody has given up, and what a sink goes on with.
bool IsLeft(const ApplicationId& id, const Former& former, const Part& part, const packed::CommitRecord& record,
            const std::string& kept_as) {
  if (part.sink == nullptr) return HasBegun(record, kept_as);
  for (const std::string& topic : {id.FeedTopic(kept_as), id.ManifestTopic(kept_as), id.ViewTopic(kept_as)}) {
    if (former.topics.contains(topic)) return true;
  }
  return false;
}

// Commits have what they call `part.kept_as` under another name, and nothing else of the plan goes on with that.
std::optional<std::string> KeptElsewhere(const Plan& plan, const Former& former, const Part& part,
                                         const std::set<std::string>& kept, const AllowedDrops& drops) {
  for (const auto& [partition, record] : former.newest) {
    const std::optional<std::string> name = plan.application.StageOfChangelog(partition.topic);
    const bool stands =
        std::any_of(plan.stages.begin(), plan.stages.end(), [&](const Stage& stage) { return stage.name == name; });
    for (const packed::Standing::Renamed& each : record.standing().renamed()) {
      if (each.called() != part.kept_as || kept.contains(each.kept_as())) continue;
      if (!stands && !IsLeft(plan.application, former, part, record, each.kept_as())) continue;
      if (!IsNamed(plan, drops, record.standing(), each.kept_as())) return each.kept_as();
    }
  }
  return std::nullopt;
}

}  // namespace

void SaveRenamed(const Stage& stage, packed::Standing* standing) {
  std::map<std::string, std::string> called;
  for (const Node& node : stage.nodes) {
    if (node.step != node.kept_as()) called[node.kept_as()] = node.step;
  }
  for (const auto& [kept_as, name] : called) {
    packed::Standing::Renamed* renamed = standing->add_renamed();
    renamed->set_kept_as(kept_as);
    renamed->set_called(name);
  }
}

std::string CalledName(const packed::Standing& standing, const std::string& kept_as) {
  for (const packed::Standing::Renamed& each : standing.renamed()) {
    if (each.kept_as() == kept_as) return each.called();
  }
  return kept_as;
}

std::string FormerName(const Former& former, const std::string& kept_as, const std::string& name) {
  for (const auto& [partition, record] : former.newest) {
    if (!CountsStep(record, kept_as) && !CountsSink(record, kept_as)) continue;
    std::string called = CalledName(record.standing(), kept_as);
    if (called != name) return called;
  }
  return "";
}

bool IsNamed(const Plan& plan, const AllowedDrops& drops, const packed::Standing& standing,
             const std::string& kept_as) {
  if (drops.contains(kept_as)) return true;
  const bool goes_on = std::any_of(plan.stages.begin(), plan.stages.end(), [&](const Stage& stage) {
    return std::any_of(stage.nodes.begin(), stage.nodes.end(), [&](const Node& node) {
      return node.kind == Node::Kind::kOperator && node.kept_as() == kept_as;
    });
  });
  return !goes_on && drops.contains(CalledName(standing, kept_as));
}

std::vector<Verdict> MistakenNames(const Plan& plan, const Former& former, const AllowedDrops& drops) {
  const std::vector<Part> parts = PartsOf(plan);
  std::set<std::string> kept;
  for (const Part& part : parts) kept.insert(part.kept_as);
  std::vector<Verdict> mistaken;
  for (const Part& part : parts) {
    const bool renamed = part.name != part.kept_as;
    if (const auto first = KeptElsewhere(plan, former, part, kept, drops); first && part.keeps) {
      mistaken.push_back(
          {part.subject(), Verdict::Kind::kRefused,
           renamed ? absl::StrCat(part.subject(), ": what '", part.kept_as, "' has kept stands under '", *first,
                                  "', its first name, which a part keeps however often it is renamed: say "
                                  "`renamed_from: ",
                                  *first, "` instead of `renamed_from: ", part.kept_as, "`")
                   : absl::StrCat(part.subject(), ": what it has kept stands under '", *first,
                                  "', and it goes on with that as long as it says so: put `renamed_from: ", *first,
                                  "` back. Where it is another one, and begins empty, give it another name")});
    } else if (renamed) {
      const std::string was = OtherKind(plan, former, part);
      if (was.empty()) continue;
      mistaken.push_back({part.subject(), Verdict::Kind::kRefused,
                          absl::StrCat(part.subject(), ": what is kept as '", part.kept_as, "' is ", was,
                                       ", so it can't go on with that: leave `renamed_from: ", part.kept_as,
                                       "` out, and it begins anew")});
    }
  }
  return mistaken;
}

}  // namespace tidemark
