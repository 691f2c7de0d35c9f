#include "src/trial/subject.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/ledger_counters.h"
#include "operators/operators.h"
#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/base/whole_file.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/step_identity.h"

namespace tidemark::trial {
namespace {

constexpr char kTopicPrefix[] = "tidemark-test.";
constexpr int64_t kCommitIntervalUs = 20 * kMillisecond;

EnvLookup Variables(const TestFile& file) {
  return [&file](const std::string& name) -> std::optional<std::string> {
    const auto found = file.vars.find(name);
    return found == file.vars.end() ? std::nullopt : std::optional(found->second);
  };
}

absl::StatusOr<Plan> PlanOf(const TestFile& file, std::string_view yaml, TopologyText* text) {
  absl::StatusOr<Plan> plan =
      PlanFromYaml(yaml, file.topology, Operators(), OwnFormats().list(), Variables(file), FilesOnDisk(), text);
  if (plan.ok()) return plan;
  return absl::Status(plan.status().code(),
                      absl::StrCat(file.places.Place(file.topology_at), ": the topology is wrong\n",
                                   std::string(plan.status().message()),
                                   absl::StrContains(plan.status().message(), "${")
                                       ? "\n(variables come from `vars` of the test file, not from the environment)"
                                       : ""));
}

const SinkPlan* FindSink(const Plan& plan, std::string_view name) {
  const auto found = std::find_if(plan.sinks.begin(), plan.sinks.end(), [&](const auto& s) { return s.name == name; });
  return found == plan.sinks.end() ? nullptr : &*found;
}

// The node whose output are the rows of the step, or of the source.
const Node* FindStep(const Plan& plan, std::string_view name) {
  const Node* found = nullptr;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.step == name && (node.kind == Node::Kind::kOperator || node.kind == Node::Kind::kSource)) found = &node;
    }
  }
  return found;
}

std::vector<std::string> Observable(const Plan& plan) {
  std::set<std::string> names;
  for (const SinkPlan& sink : plan.sinks) names.insert(sink.name);
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.kind == Node::Kind::kOperator || node.kind == Node::Kind::kSource) names.insert(node.step);
    }
  }
  return {names.begin(), names.end()};
}

// Steps and sinks whose rows are looked at, with where the test names them.
std::vector<std::pair<std::string, Position>> Named(const Case& test) {
  std::vector<std::pair<std::string, Position>> named;
  for (const RowSet& set : test.expect) named.emplace_back(set.name, set.at);
  for (const Invariant& invariant : test.invariants) named.emplace_back(invariant.of, invariant.at);
  return named;
}

// The ledger has that line, and lines have that counter.
absl::Status CheckLedger(const TestFile& file, const Case& test, const Plan& plan) {
  std::vector<std::string> lines, counters;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) lines.push_back(LedgerName(node));
  }
  for (const LedgerCounter& counter : kLedgerCounters) counters.emplace_back(counter.name);
  const auto is_in = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const LedgerSet& set : test.ledger) {
    if (!is_in(lines, set.name)) {
      return file.Error(set.at, absl::StrCat("the ledger has no line '", set.name, "'", DidYouMean(set.name, lines)));
    }
    for (const Count& count : set.counts) {
      if (is_in(counters, count.counter) || count.counter.starts_with(kViolatedCounter)) continue;
      return file.Error(count.at, absl::StrCat("the ledger has no counter '", count.counter, "'",
                                               DidYouMean(count.counter, counters)));
    }
  }
  return absl::OkStatus();
}

// "  tap: { from: step, topic: ..., key: [...], create: {} }": a key only where rows replace each other.
std::string Tap(const Plan& plan, const std::string& name, const Node& node) {
  std::vector<std::string> key;
  for (const size_t k : node.mode.key) key.push_back(JsonQuoted(node.output[k].name));
  if (node.kind == Node::Kind::kSource) {
    const SourcePlan& source = plan.sources[static_cast<size_t>(node.source)];
    for (const size_t k : source.key) key.push_back(JsonQuoted(source.columns[k].column.name));
  }
  return absl::StrCat("  ", name, ": { from: ", JsonQuoted(node.step), ", topic: ", kTopicPrefix, "tap.", node.step,
                      key.empty() ? "" : absl::StrCat(", key: [", absl::StrJoin(key, ", "), "], key_format: json"),
                      ", create: {} }\n");
}

}  // namespace

absl::StatusOr<Subject> Subject::Load(const TestFile& file, const Case& test) {
  const absl::StatusOr<std::string> yaml = ReadWholeFile(file.topology);
  if (!yaml.ok()) {
    return file.Error(file.topology_at,
                      absl::StrCat(file.topology, " can't be read: ", std::string(yaml.status().message())));
  }
  Subject subject;
  TopologyText text;
  TM_ASSIGN_OR_RETURN(subject.plan_, PlanOf(file, *yaml, &text));
  TM_RETURN_IF_ERROR(subject.Check(file, test));
  TM_RETURN_IF_ERROR(subject.AddTaps(file, test, text.yaml));
  subject.BringInside(test);
  return subject;
}

// What the test names is there, and can be tested.
absl::Status Subject::Check(const TestFile& file, const Case& test) const {
  if (!plan_.registry.none()) {
    return absl::InvalidArgumentError(absl::StrCat(file.places.Place(file.topology_at), ": ", file.topology,
                                                   " has a schema registry: such a topology can't be tested yet"));
  }
  std::vector<std::string> inputs;
  for (const SourcePlan& source : plan_.sources) inputs.push_back(source.name);
  for (const TablePlan& table : plan_.tables) inputs.push_back(table.name);
  for (const ScriptEntry& entry : test.script) {
    for (const RowSet& set : entry.given) {
      const bool table = FindTable(set.name) != nullptr;
      if (!table && FindSource(set.name) == nullptr) {
        return file.Error(set.at,
                          absl::StrCat("there is no source or table '", set.name, "'", DidYouMean(set.name, inputs)));
      }
      // What a table that changes meanwhile gives depends on when it is read: the one exception to determinism.
      if (table && &entry != &test.script.front()) {
        return file.Error(set.at, absl::StrCat("table ", set.name, " is given its rows at the beginning: when a later ",
                                               "one is read isn't determined"));
      }
    }
  }
  for (const auto& [name, at] : Named(test)) {
    if (const SinkPlan* sink = FindSink(plan_, name); sink != nullptr && sink->view) {
      return file.Error(at, absl::StrCat("view ", name, " can't be asked in a test yet: expect the rows of ",
                                         sink->from, ", which it holds"));
    }
    if (FindSink(plan_, name) != nullptr || FindStep(plan_, name) != nullptr) continue;
    return file.Error(at, absl::StrCat("there is no step or sink '", name, "'", DidYouMean(name, Observable(plan_))));
  }
  return CheckLedger(file, test, plan_);
}

absl::Status Subject::AddTaps(const TestFile& file, const Case& test, const std::string& yaml) {
  std::string taps;
  for (const auto& [name, unused] : Named(test)) {
    if (shown_by_.contains(name)) continue;
    std::string& sink = shown_by_[name];
    sink = name;
    if (FindSink(plan_, name) != nullptr) continue;
    sink = absl::StrCat("tidemark_test_tap_", shown_by_.size());
    absl::StrAppend(&taps, Tap(plan_, sink, *FindStep(plan_, name)));
  }
  if (taps.empty()) return absl::OkStatus();
  // The canonical text has sections at the left margin, each once.
  std::string tapped = absl::StartsWith(yaml, "sinks:\n") ? yaml : "";
  if (const size_t sinks = yaml.find("\nsinks:\n"); sinks != std::string::npos) {
    const size_t behind = sinks + sizeof "\nsinks:\n" - 1;
    tapped = absl::StrCat(yaml.substr(0, behind), taps, yaml.substr(behind));
  } else {
    tapped = absl::StrCat(yaml, "\nsinks:\n", taps);
  }
  TopologyText text;
  TM_ASSIGN_OR_RETURN(plan_, PlanOf(file, tapped, &text));
  return absl::OkStatus();
}

void Subject::BringInside(const Case& test) {
  for (SourcePlan& source : plan_.sources) {
    if (!source.intake()) continue;
    source.files.reset();
    source.http.reset();
    source.postgres.reset();
    source.topic = absl::StrCat(kTopicPrefix, "source.", source.name);
  }
  for (TablePlan& table : plan_.tables) {
    const bool given = std::any_of(test.script.begin(), test.script.end(), [&](const ScriptEntry& entry) {
      return std::any_of(entry.given.begin(), entry.given.end(), [&](const RowSet& s) { return s.name == table.name; });
    });
    if (table.file.empty() || !given) continue;
    table.file.clear();
    table.topic = absl::StrCat(kTopicPrefix, "table.", table.name);
    table.format = kJsonFormat;
  }
  plan_.commit_interval_us = kCommitIntervalUs;
  idling_ = plan_;
  for (SourcePlan& source : plan_.sources) {
    source.event_time.idle_after_us = kNeverIdleUs;
    source.event_time.when_all_idle = WhenAllIdle::kHold;
  }
}

const SourcePlan* Subject::FindSource(std::string_view name) const {
  for (const SourcePlan& source : plan_.sources) {
    if (source.name == name) return &source;
  }
  return nullptr;
}

const TablePlan* Subject::FindTable(std::string_view name) const {
  for (const TablePlan& table : plan_.tables) {
    if (table.name == name) return &table;
  }
  return nullptr;
}

const SinkPlan& Subject::Shows(const std::string& expected) const { return *FindSink(plan_, shown_by_.at(expected)); }

}  // namespace tidemark::trial
