#include "src/runtime/first_changes.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/plan/operator_kind.h"
#include "src/runtime/step_identity.h"
#include "src/runtime/step_origins.h"

namespace tidemark {
namespace {

using Record = packed::CommitRecord;
using Origins = google::protobuf::RepeatedPtrField<std::string>;
// What a task's record says of the ways on which changes have come to a step, or have been sent on, all the time since
// the task began. Null: none have.
using OriginsOf = absl::FunctionRef<const Origins*(const Record&)>;

bool HasState(const Record& record, const std::string& step) { return HasBegun(record, step); }

bool HasRead(const Record& record, const std::string& topic) {
  const auto& inputs = record.inputs();
  return std::any_of(inputs.begin(), inputs.end(), [&](const auto& each) { return each.topic() == topic; });
}

bool HasLine(const Origins& origins, const std::string& line) {
  return std::any_of(origins.begin(), origins.end(), [&](const std::string& origin) {
    return origin == line || origin.starts_with(absl::StrCat(line, std::string(kThrough)));
  });
}

// An earlier version has written it, which knew no unions of changes: those that came were one step's.
bool SaysNoWay(const Origins& origins) {
  return std::none_of(origins.begin(), origins.end(),
                      [](const std::string& origin) { return origin.starts_with(kChangesOf); });
}

bool HasHeard(const Origins& origins, const ChangeWay& way, bool only_maker) {
  if (!way.line.empty()) return HasLine(origins, way.line);
  return SaysNoWay(origins) ? only_maker : HasLine(origins, absl::StrCat(std::string(kChangesOf), way.maker));
}

const Origins* OriginsOfStep(const Record& record, const std::string& step) {
  const auto& steps = record.has_standing() ? record.standing().steps() : record.steps();
  const auto saved = std::find_if(steps.begin(), steps.end(),
                                  [&](const auto& each) { return each.step() == step && !IsGivenUp(each); });
  return saved == steps.end() ? nullptr : &saved->origins();
}

const Origins* OriginsOfOutput(const Record& record, const std::string& topic) {
  static const Origins& none = *new Origins();  // never destroyed
  if (!record.has_standing()) {                 // an earlier version's
    const auto& outputs = record.outputs();
    return std::any_of(outputs.begin(), outputs.end(), [&](const auto& each) { return each.topic() == topic; })
               ? &none
               : nullptr;
  }
  const auto& outputs = record.standing().outputs();
  const auto saved = std::find_if(outputs.begin(), outputs.end(),
                                  [&](const auto& each) { return each.topic() == topic && !IsGone(each); });
  return saved == outputs.end() ? nullptr : &saved->origins();
}

constexpr char kUnsaid[] =
    " (perhaps it has had them: an earlier version of Tidemark, which didn't say whose changes came, has run last; run "
    "the former file with this one for a moment, then it is known)";

class FirstChanges {
 public:
  // `taker`: "step x", "sink x".
  FirstChanges(const Plan& plan, std::string taker, std::string remedy, RecordsOfStage records)
      : plan_(plan), taker_(std::move(taker)), remedy_(std::move(remedy)), records_(records) {}

  // Of the changes that come to a node, or that it sends on: a step with state, a lake's feed, a repartition.
  absl::Status Check(NodePlace place, OriginsOf origins) const {
    const std::vector<ChangeWay> ways = ChangeWays(plan_, place);
    std::set<std::string> makers;
    for (const ChangeWay& way : ways) makers.insert(way.maker);
    return CheckAbove(place, {ways, makers.size() == 1, origins});
  }

 private:
  struct Asked {
    const std::vector<ChangeWay>& ways;
    bool only_maker;
    OriginsOf origins;
  };

  // From a node on the way up to who makes the changes.
  absl::Status CheckNode(NodePlace at, const Asked& asked) const {
    const Node& node = plan_.stages[static_cast<size_t>(at.stage)].nodes[static_cast<size_t>(at.node)];
    if (MakesChanges(node)) return CheckMaker(at, node, asked);
    if (node.kind != Node::Kind::kInternal) return CheckAbove(at, asked);
    TM_RETURN_IF_ERROR(CheckTopic(at, node, asked));
    const std::string& topic = plan_.edges[static_cast<size_t>(node.edge)].topic;
    for (const NodePlace writer : NodesAbove(plan_, at, 0)) {
      TM_RETURN_IF_ERROR(Check(writer, [&](const Record& record) { return OriginsOfOutput(record, topic); }));
    }
    return absl::OkStatus();
  }

  absl::Status CheckAbove(NodePlace at, const Asked& asked) const {
    const Node& node = plan_.stages[static_cast<size_t>(at.stage)].nodes[static_cast<size_t>(at.node)];
    for (size_t p = 0; p < std::max<size_t>(1, node.inputs.size()); ++p) {
      const bool operates = node.kind == Node::Kind::kOperator;
      const bool merges = operates && node.spec.kind().phase(node) == OperatorPhase::kFinal;
      if (operates && !merges && !TakesChanges(plan_, at, p)) continue;
      for (const NodePlace above : NodesAbove(plan_, at, p)) TM_RETURN_IF_ERROR(CheckNode(above, asked));
    }
    return absl::OkStatus();
  }

  absl::Status CheckMaker(NodePlace at, const Node& node, const Asked& asked) const {
    const auto missed = [&](absl::FunctionRef<bool(const Origins*)> by) {
      return Any(at.stage,
                 [&](const Record& record) { return HasState(record, node.kept_as()) && by(asked.origins(record)); });
    };
    const std::string what = absl::StrCat("step ", node.step);
    if (missed([](const Origins* origins) { return origins == nullptr; })) {
      return Missed(" is new", absl::StrCat(what, ", which has counted rows before"));
    }
    for (const ChangeWay& way : asked.ways) {
      if (!IsSame(way.passes.back(), at)) continue;
      const auto unheard = [&](const Origins* origins) {
        return origins != nullptr && !HasHeard(*origins, way, asked.only_maker);
      };
      if (!missed(unheard)) continue;
      const bool unsaid = missed([&](const Origins* origins) { return unheard(origins) && SaysNoWay(*origins); });
      return Missed(" goes on", absl::StrCat(what, way.constants.empty() ? "" : absl::StrCat(" (", way.constants, ")"),
                                             ", which has counted rows before", unsaid ? kUnsaid : ""));
    }
    return absl::OkStatus();
  }

  // Who has had changes on one of the ways through a topic has had all that came from there.
  absl::Status CheckTopic(NodePlace at, const Node& node, const Asked& asked) const {
    const std::string& topic = plan_.edges[static_cast<size_t>(node.edge)].topic;
    const auto missed = [&](absl::FunctionRef<bool(const Origins*)> by) {
      return Any(at.stage, [&](const Record& record) { return HasRead(record, topic) && by(asked.origins(record)); });
    };
    const std::string what = absl::StrCat(topic, ", of which rows have been read before");
    if (missed([](const Origins* origins) { return origins == nullptr; })) return Missed(" is new", what);
    const auto passes = [&](const ChangeWay& way) {
      return std::any_of(way.passes.begin(), way.passes.end(), [&](NodePlace place) { return IsSame(place, at); });
    };
    if (std::none_of(asked.ways.begin(), asked.ways.end(), passes)) return absl::OkStatus();
    const auto unheard = [&](const Origins* origins) {
      return origins != nullptr && std::none_of(asked.ways.begin(), asked.ways.end(), [&](const ChangeWay& way) {
               if (!passes(way)) return false;
               // Whichever way of its maker it was, where all come through here.
               const bool all = std::all_of(asked.ways.begin(), asked.ways.end(), [&](const ChangeWay& other) {
                 return other.maker != way.maker || passes(other);
               });
               return HasHeard(*origins, way, asked.only_maker) ||
                      (all && HasHeard(*origins, {.maker = way.maker}, asked.only_maker));
             });
    };
    if (!missed(unheard)) return absl::OkStatus();
    const bool unsaid = missed([&](const Origins* origins) { return unheard(origins) && SaysNoWay(*origins); });
    return Missed(" goes on", absl::StrCat(what, unsaid ? kUnsaid : ""));
  }

  static bool IsSame(NodePlace a, NodePlace b) { return a.stage == b.stage && a.node == b.node; }

  bool Any(int stage, absl::FunctionRef<bool(const Record&)> wanted) const {
    const std::vector<const Record*> records = records_(stage);
    return std::any_of(records.begin(), records.end(), [&](const Record* record) { return wanted(*record); });
  }

  // `how`: the taker is.
  absl::Status Missed(std::string_view how, const std::string& what) const {
    return absl::FailedPreconditionError(
        absl::StrCat(taker_, std::string(how), ", and would take the changes of ", what,
                     ": it would hear that rows are taken back which it never got. Leave it out, or ", remedy_));
  }

  const Plan& plan_;
  const std::string taker_, remedy_;
  const RecordsOfStage records_;
};

}  // namespace

bool IsGone(const packed::Standing::Edge& output) {
  const auto& schemas = output.schemas();
  return !schemas.empty() && schemas[schemas.size() - 1].columns().empty();
}

std::vector<Verdict> MissedChanges(const Plan& plan, RecordsOfStage records) {
  std::vector<Verdict> missed;
  const auto note = [&](const std::string& taker, const absl::Status& status) {
    if (!status.ok()) missed.push_back({taker, Verdict::Kind::kRefused, std::string(status.message())});
  };
  for (int s = 0; s < static_cast<int>(plan.stages.size()); ++s) {
    const Stage& stage = plan.stages[static_cast<size_t>(s)];
    for (int n = 0; n < static_cast<int>(stage.nodes.size()); ++n) {
      const Node& node = stage.nodes[static_cast<size_t>(n)];
      if (IsLakeOfChanges(plan, node)) {
        const std::string& feed = plan.edges[static_cast<size_t>(node.edge)].topic;
        const std::string sink = absl::StrCat("sink ", node.step);
        const FirstChanges of_lake(plan, sink, kNewLake, records);
        note(sink, of_lake.Check({s, n}, [&](const Record& record) { return OriginsOfOutput(record, feed); }));
      }
      if (node.kind != Node::Kind::kOperator || node.spec.kind().Fingerprint(node).empty()) continue;
      if (ChangeOrigins(plan, {s, n}).empty()) continue;
      const std::string step = absl::StrCat("step ", node.step);
      const FirstChanges of_step(plan, step, "give the topology a new name, which computes everything anew", records);
      note(step, of_step.Check({s, n}, [&](const Record& record) { return OriginsOfStep(record, node.kept_as()); }));
    }
  }
  return missed;
}

absl::Status CheckFirstChanges(const Plan& plan, RecordsOfStage records) {
  return Refusal(MissedChanges(plan, records));
}

}  // namespace tidemark
