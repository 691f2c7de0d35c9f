// Sources and steps as a graph: names, references, cycles, unions. What each operator means stands in its room under
// operators/.
#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/suggest.h"
#include "src/plan/step_check.h"
#include "src/plan/unions.h"

namespace tidemark {
namespace {

class Graph {
 public:
  Graph(const topology::Topology& topology, const OperatorList& operators, const Plan& plan, Diagnostics* diagnostics)
      : topology_(topology), operators_(operators), plan_(plan), diagnostics_(*diagnostics) {}

  Logical Build();

 private:
  void CollectNames();
  // What the step reads, by name; unknown and repeated ones are reported and left out.
  struct References {
    std::vector<PortNames> ports;
    bool complete = true;
  };
  References ReferencesOf(const topology::Step& step);
  void CheckNames(const std::string& step_path, PortNames* port, bool* complete);
  void AddSource(const std::string& name);
  // The rules that a source has for its rows: an expect step behind it.
  void AddExpectations(const SourcePlan& source, LogicalStep* step);
  void AddStep(const topology::Step& step, const References& references);
  bool MakePorts(LogicalStep* step);
  // The rows that a port reads: those of its input, or of several with equal columns.
  bool MakePort(const LogicalStep& step, LogicalPort* port);
  void ReportCycles(const std::map<std::string, std::vector<std::string>>& waiting);

  const topology::Topology& topology_;
  const OperatorList& operators_;
  const Plan& plan_;
  Diagnostics& diagnostics_;
  std::vector<std::string> names_;  // of sources and steps
  std::set<std::string> sources_;
  std::map<std::string, const topology::Step*> yaml_;
  Logical out_;
};

void Graph::CollectNames() {
  for (const SourcePlan& source : plan_.sources) {
    if (sources_.insert(source.declared()).second) names_.push_back(source.declared());
  }
  for (const topology::Step& step : topology_.steps()) {
    CheckName(step.name(), "steps/" + step.name(), "step", &diagnostics_);
    if (sources_.contains(step.name())) {
      diagnostics_.Error("steps/" + step.name(),
                         absl::StrCat("'", step.name(), "' is the name of a source already",
                                      diagnostics_.Elsewhere("sources/" + step.name(), "steps/" + step.name())));
      continue;
    }
    names_.push_back(step.name());
    yaml_.emplace(step.name(), &step);
  }
}

void Graph::CheckNames(const std::string& step_path, PortNames* port, bool* complete) {
  const std::string path = absl::StrCat(step_path, "/", port->field);
  if (port->from.empty() && diagnostics_.Present(path)) {
    diagnostics_.Error(path, "expected at least one source or step");
  }
  *complete = *complete && !diagnostics_.Broken(path) && !port->from.empty();
  std::vector<std::string> known;
  for (size_t i = 0; i < port->from.size(); ++i) {
    const std::string& from = port->from[i];
    const std::string at = port->list ? absl::StrCat(path, "/", i) : path;
    if (!sources_.contains(from) && !yaml_.contains(from)) {
      if (!diagnostics_.Lost("sources") && !diagnostics_.Lost("steps"))
        diagnostics_.Error(at, absl::StrCat("unknown source or step '", from, "'", DidYouMean(from, names_)));
      *complete = false;
    } else if (std::find(known.begin(), known.end(), from) != known.end()) {
      diagnostics_.Error(at, absl::StrCat("'", from, "' stands here twice"));
      *complete = false;
    } else {
      known.push_back(from);
    }
  }
  port->from = std::move(known);
}

Graph::References Graph::ReferencesOf(const topology::Step& step) {
  const std::string path = "steps/" + step.name();
  References out;
  if (const OperatorSyntax* syntax = OperatorOf(operators_, diagnostics_, path)) {
    out.ports = syntax->Ports(step);
  } else {
    out.ports = {{"", "from", true, {step.from().begin(), step.from().end()}}};
  }
  for (PortNames& port : out.ports) {
    for (const std::string& from : port.from) {
      if (from != step.name()) out_.read.insert(from);
    }
    CheckNames(path, &port, &out.complete);
  }
  for (const OperatorSyntax* syntax : operators_) {
    for (std::string& table : syntax->Tables(step)) out_.joined.insert(std::move(table));
  }
  return out;
}

void Graph::AddSource(const std::string& name) {
  LogicalStep step;
  step.name = name;
  step.path = "sources/" + name;
  const auto it = std::find_if(plan_.sources.begin(), plan_.sources.end(),
                               [&](const SourcePlan& s) { return s.declared() == name; });
  step.source = static_cast<int>(it - plan_.sources.begin());
  step.output = it->rows();
  step.usable = !diagnostics_.Broken(step.path + "/columns");
  step.time_form = it->event_time.form;
  step.mode = {!it->key.empty(), it->key};
  step.renamed_from = it->renamed_from;
  step.timely = it->key.empty();  // a row stands for as long as its table has it
  step.values = KnownOf(plan_, *it);
  step.time_column = it->event_time.column;
  for (const OperatorSyntax* syntax : operators_) {
    if (auto spec = syntax->Behind(*it)) {
      step.spec = *std::move(spec);
      step.behind = it->key.empty() ? "topics" : "changes";
      step.may_fail = !it->key.empty();
    }
  }
  AddExpectations(*it, &step);
  out_.by_name[name] = static_cast<int>(out_.steps.size());
  out_.steps.push_back(std::move(step));
}

void Graph::AddExpectations(const SourcePlan& source, LogicalStep* step) {
  const std::string path = step->path + "/expect";
  if (!diagnostics_.Present(path)) return;
  if (!source.key.empty()) {
    diagnostics_.Error(path, absl::StrCat("rows of source ", source.name,
                                          " replace each other, and rules over such rows aren't implemented: leave out "
                                          "what doesn't fit in a filter step"));
    return;
  }
  const auto yaml = std::find_if(topology_.sources().begin(), topology_.sources().end(),
                                 [&](const topology::Source& s) { return s.name() == source.declared(); });
  topology::Step rules;
  rules.set_name(source.declared());
  *rules.mutable_expect() = yaml->expect();
  LogicalStep behind;
  behind.name = step->name;
  behind.path = step->path;
  LogicalPort& port = behind.ports.emplace_back();
  port.schema = step->output;
  step->usable = CheckOperator(rules, operators_, plan_, step->usable, &diagnostics_, &behind) && step->usable;
  step->spec = std::move(behind.spec);
  step->behind = "expect";
  step->behind_needs = port.needs;
  step->may_fail = behind.may_fail;
}

bool Graph::MakePort(const LogicalStep& step, LogicalPort* port) {
  for (const int i : port->steps) {
    if (!out_.steps[static_cast<size_t>(i)].usable) return false;
  }
  const LogicalStep& first = out_.steps[static_cast<size_t>(port->steps[0])];
  port->schema = first.output;
  port->mode = first.mode;
  port->closes = first.closes;
  port->time_form = first.time_form;
  port->window_columns = first.window_columns;
  port->ordered = first.ordered;
  port->timely = first.timely;
  port->values = first.values;
  port->values.resize(port->schema.size());
  port->time_column = first.time_column;
  std::vector<const LogicalStep*> inputs;
  for (const int i : port->steps) {
    const LogicalStep& input = *inputs.emplace_back(&out_.steps[static_cast<size_t>(i)]);
    if (input.output != port->schema) {
      diagnostics_.Error(step.path + "/from",
                         absl::StrCat("a union needs equal columns: ", first.name, " has (", first.output.ToString(),
                                      "), ", input.name, " has (", input.output.ToString(), ")"));
      return false;
    }
    if (port->closes.empty()) port->closes = input.closes;
    if (input.window_columns != port->window_columns) port->window_columns.reset();
    port->ordered = port->ordered && input.ordered;
    port->timely = port->timely && input.timely;
    if (input.time_column != port->time_column) port->time_column.reset();
  }
  if (inputs.size() == 1) return true;
  if (std::any_of(inputs.begin(), inputs.end(), [](const auto* input) { return input->mode.update; })) {
    return UniteUpdates(inputs, step.path, &diagnostics_, port);
  }
  port->values.assign(port->schema.size(), std::nullopt);
  return true;
}

// What the operator changes nothing of, the step has of its first port.
bool Graph::MakePorts(LogicalStep* step) {
  for (LogicalPort& port : step->ports) {
    if (!MakePort(*step, &port)) return false;
  }
  step->closes = step->in().closes;
  step->time_form = step->in().time_form;
  step->window_columns = step->in().window_columns;
  step->ordered = step->in().ordered;
  step->timely = step->in().timely;
  return true;
}

void Graph::AddStep(const topology::Step& yaml, const References& references) {
  LogicalStep step;
  step.name = yaml.name();
  step.path = "steps/" + yaml.name();
  step.renamed_from = yaml.renamed_from();
  for (const PortNames& names : references.ports) {
    LogicalPort& port = step.ports.emplace_back();
    port.name = names.name;
    for (const std::string& from : names.from) port.steps.push_back(out_.by_name.at(from));
    // By name, so that the order in the list doesn't matter.
    std::sort(port.steps.begin(), port.steps.end(), [&](int a, int b) {
      return out_.steps[static_cast<size_t>(a)].name < out_.steps[static_cast<size_t>(b)].name;
    });
  }
  const bool input = references.complete && MakePorts(&step);
  step.usable = CheckOperator(yaml, operators_, plan_, input, &diagnostics_, &step);
  CarryKnown(&step);
  out_.by_name[step.name] = static_cast<int>(out_.steps.size());
  out_.steps.push_back(std::move(step));
}

void Graph::ReportCycles(const std::map<std::string, std::vector<std::string>>& waiting) {
  std::set<std::string> reported;
  for (const auto& [start, unused] : waiting) {
    // Everything that waits, waits for a cycle: walk until a name comes back.
    std::vector<std::string> walk;
    std::string name = start;
    while (std::find(walk.begin(), walk.end(), name) == walk.end() && !reported.contains(name)) {
      walk.push_back(name);
      for (const std::string& next : waiting.at(name)) {
        if (waiting.contains(next)) {
          name = next;
          break;
        }
      }
    }
    reported.insert(walk.begin(), walk.end());
    const auto again = std::find(walk.begin(), walk.end(), name);
    if (again == walk.end()) continue;
    std::vector<std::string> cycle(again, walk.end());
    cycle.push_back(name);
    std::reverse(cycle.begin(), cycle.end());
    diagnostics_.Error("steps/" + cycle[0] + "/from", absl::StrCat("a cycle: ", absl::StrJoin(cycle, " -> ")));
  }
}

Logical Graph::Build() {
  CollectNames();
  for (const std::string& name : sources_) AddSource(name);
  std::map<std::string, std::vector<std::string>> waiting;
  std::map<std::string, References> references;
  for (const auto& [name, step] : yaml_) {
    for (const PortNames& port : (references[name] = ReferencesOf(*step)).ports) {
      waiting[name].insert(waiting[name].end(), port.from.begin(), port.from.end());
    }
  }
  // The first by name of those whose inputs are there, so that the order in the file doesn't matter.
  while (true) {
    const auto ready = std::find_if(waiting.begin(), waiting.end(), [&](const auto& entry) {
      return std::all_of(entry.second.begin(), entry.second.end(),
                         [&](const std::string& r) { return out_.by_name.contains(r); });
    });
    if (ready == waiting.end()) break;
    AddStep(*yaml_.at(ready->first), references.at(ready->first));
    waiting.erase(ready);
  }
  ReportCycles(waiting);
  return std::move(out_);
}

}  // namespace

Logical CheckSteps(const topology::Topology& topology, const OperatorList& operators, const Plan& plan,
                   Diagnostics* diagnostics) {
  return Graph(topology, operators, plan, diagnostics).Build();
}

}  // namespace tidemark
