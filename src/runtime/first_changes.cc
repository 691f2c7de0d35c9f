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
// Whether a task has heard of, or sent on, whatever came of the step that makes the changes; "": of any such step.
using Knows = absl::FunctionRef<bool(const Record&, const std::string& maker)>;
using Origins = google::protobuf::RepeatedPtrField<std::string>;

bool HasState(const Record& record, const std::string& step) { return HasBegun(record, step); }

bool HasRead(const Record& record, const std::string& topic) {
  const auto& inputs = record.inputs();
  return std::any_of(inputs.begin(), inputs.end(), [&](const auto& each) { return each.topic() == topic; });
}

// Whether the changes of `maker` are among those of which is told. Where nothing is told of any, an earlier version has
// written it, which knew no unions of changes.
bool Tells(const Origins& origins, const std::string& maker) {
  bool of_others = false;
  for (const std::string& origin : origins) {
    if (!origin.starts_with(kChangesOf)) continue;
    const std::string_view rest = std::string_view(origin).substr(kChangesOf.size());
    if (rest == maker || rest.starts_with(absl::StrCat(maker, " through "))) return true;
    of_others = true;
  }
  return maker.empty() || !of_others;
}

bool HasTaken(const Record& record, const std::string& step, const std::string& maker) {
  const auto& steps = record.has_standing() ? record.standing().steps() : record.steps();
  return std::any_of(steps.begin(), steps.end(), [&](const auto& each) {
    return each.step() == step && !IsGivenUp(each) && Tells(each.origins(), maker);
  });
}

bool Writes(const Record& record, const std::string& topic, const std::string& maker) {
  if (!record.has_standing()) {  // an earlier version's
    const auto& outputs = record.outputs();
    return std::any_of(outputs.begin(), outputs.end(), [&](const auto& each) { return each.topic() == topic; });
  }
  const auto& outputs = record.standing().outputs();
  return std::any_of(outputs.begin(), outputs.end(), [&](const auto& each) {
    return each.topic() == topic && !IsGone(each) && Tells(each.origins(), maker);
  });
}

class FirstChanges {
 public:
  // `taker`: "step x", "sink x".
  FirstChanges(const Plan& plan, std::string taker, std::string remedy, RecordsOfStage records)
      : plan_(plan), taker_(std::move(taker)), remedy_(std::move(remedy)), records_(records) {}

  // From a node on the way up to who makes the changes. A task of the node's stage that `knows` has sent on whatever
  // came.
  absl::Status Look(NodePlace at, Knows knows) const {
    const Node& node = plan_.stages[static_cast<size_t>(at.stage)].nodes[static_cast<size_t>(at.node)];
    if (MakesChanges(node)) {
      const std::string& maker = node.kept_as();
      const std::string what = absl::StrCat("step ", node.step, ", which has counted rows before");
      const auto missed_by = [&](const std::string& name) {
        return Any(at.stage, [&](const Record& record) { return HasState(record, maker) && !knows(record, name); });
      };
      if (missed_by("")) return Missed(" is new", what);
      return missed_by(maker) ? Missed(" goes on", what) : absl::OkStatus();
    }
    if (node.kind == Node::Kind::kInternal) {
      const std::string& topic = plan_.edges[static_cast<size_t>(node.edge)].topic;
      const std::string what = absl::StrCat(topic, ", of which rows have been read before");
      // Who has had one maker's changes from there has had all that came from there.
      const std::set<std::string> makers = MakersAbove(plan_, at);
      const auto missed_by = [&](const std::set<std::string>& names) {
        return Any(at.stage, [&](const Record& record) {
          const auto known = [&](const std::string& name) { return knows(record, name); };
          return HasRead(record, topic) && std::none_of(names.begin(), names.end(), known);
        });
      };
      if (missed_by({""})) return Missed(" is new", what);
      if (!makers.empty() && missed_by(makers)) return Missed(" goes on", what);
      return LookAbove(at,
                       [&](const Record& record, const std::string& maker) { return Writes(record, topic, maker); });
    }
    return LookAbove(at, knows);
  }

  absl::Status LookAbove(NodePlace at, Knows knows) const {
    const Node& node = plan_.stages[static_cast<size_t>(at.stage)].nodes[static_cast<size_t>(at.node)];
    for (size_t p = 0; p < std::max<size_t>(1, node.inputs.size()); ++p) {
      const bool operates = node.kind == Node::Kind::kOperator;
      const bool merges = operates && node.spec.kind().phase(node) == OperatorPhase::kFinal;
      if (operates && !merges && !TakesChanges(plan_, at, p)) continue;
      for (const NodePlace above : NodesAbove(plan_, at, p)) TM_RETURN_IF_ERROR(Look(above, knows));
    }
    return absl::OkStatus();
  }

 private:
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
        note(sink, of_lake.LookAbove({s, n}, [&](const Record& record, const std::string& maker) {
          return Writes(record, feed, maker);
        }));
      }
      if (node.kind != Node::Kind::kOperator || node.spec.kind().Fingerprint(node).empty()) continue;
      if (ChangeOrigins(plan, {s, n}).empty()) continue;
      const std::string step = absl::StrCat("step ", node.step);
      const FirstChanges of_step(plan, step, "give the topology a new name, which computes everything anew", records);
      note(step, of_step.LookAbove({s, n}, [&](const Record& record, const std::string& maker) {
        return HasTaken(record, node.kept_as(), maker);
      }));
    }
  }
  return missed;
}

absl::Status CheckFirstChanges(const Plan& plan, RecordsOfStage records) {
  return Refusal(MissedChanges(plan, records));
}

}  // namespace tidemark
