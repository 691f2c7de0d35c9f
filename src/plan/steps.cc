// Sources and steps as a graph: names, references, cycles, unions. What each operator means is in operators.cc.
#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/suggest.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

class Graph {
 public:
  Graph(const topology::Topology& topology, const Plan& plan, Diagnostics* diagnostics)
      : topology_(topology), plan_(plan), diagnostics_(*diagnostics) {}

  Logical Build();

 private:
  void CollectNames();
  // What the step reads, by name; unknown and repeated ones are reported and left out.
  std::vector<std::string> References(const topology::Step& step, bool* complete);
  void AddSource(const std::string& name);
  void AddStep(const topology::Step& step, const std::vector<std::string>& references, bool complete);
  bool MakeInput(LogicalStep* step);
  void ReportCycles(const std::map<std::string, std::vector<std::string>>& waiting);

  const topology::Topology& topology_;
  const Plan& plan_;
  Diagnostics& diagnostics_;
  std::vector<std::string> names_;  // of sources and steps
  std::set<std::string> sources_;
  std::map<std::string, const topology::Step*> yaml_;
  Logical out_;
};

void Graph::CollectNames() {
  for (const SourcePlan& source : plan_.sources) {
    sources_.insert(source.name);
    names_.push_back(source.name);
  }
  for (const topology::Step& step : topology_.steps()) {
    CheckName(step.name(), "steps/" + step.name(), "step", &diagnostics_);
    if (sources_.contains(step.name())) {
      diagnostics_.Error("steps/" + step.name(), absl::StrCat("'", step.name(), "' is the name of a source already"));
      continue;
    }
    names_.push_back(step.name());
    yaml_.emplace(step.name(), &step);
  }
}

std::vector<std::string> Graph::References(const topology::Step& step, bool* complete) {
  std::vector<std::string> out;
  const std::string path = "steps/" + step.name() + "/from";
  *complete = !diagnostics_.Broken(path) && step.from_size() > 0;
  for (int i = 0; i < step.from_size(); ++i) {
    const std::string& from = step.from(i);
    const std::string at = absl::StrCat(path, "/", i);
    if (!sources_.contains(from) && !yaml_.contains(from)) {
      if (!diagnostics_.Lost("sources") && !diagnostics_.Lost("steps"))
        diagnostics_.Error(at, absl::StrCat("unknown source or step '", from, "'", DidYouMean(from, names_)));
      *complete = false;
    } else if (std::find(out.begin(), out.end(), from) != out.end()) {
      diagnostics_.Error(at, absl::StrCat("'", from, "' stands here twice"));
      *complete = false;
    } else {
      out.push_back(from);
    }
  }
  if (step.from_size() == 0 && diagnostics_.Present(path))
    diagnostics_.Error(path, "expected at least one source or step");
  return out;
}

void Graph::AddSource(const std::string& name) {
  LogicalStep step;
  step.name = name;
  step.path = "sources/" + name;
  const auto it =
      std::find_if(plan_.sources.begin(), plan_.sources.end(), [&](const SourcePlan& s) { return s.name == name; });
  step.source = static_cast<int>(it - plan_.sources.begin());
  step.output = it->schema();
  step.input = step.output;
  step.usable = !diagnostics_.Broken(step.path + "/columns");
  if (it->event_time.column) step.time_form = step.output[*it->event_time.column].type.form;
  out_.by_name[name] = static_cast<int>(out_.steps.size());
  out_.steps.push_back(std::move(step));
}

// The rows that the step reads: those of its input, or of several with equal columns.
bool Graph::MakeInput(LogicalStep* step) {
  for (const int i : step->inputs) {
    if (!out_.steps[static_cast<size_t>(i)].usable) return false;
  }
  const LogicalStep& first = out_.steps[static_cast<size_t>(step->inputs[0])];
  step->input = first.output;
  step->input_mode = first.mode;
  step->closes = step->input_closes = first.closes;
  step->time_form = first.time_form;
  step->window_columns = first.window_columns;
  step->ordered = first.ordered;
  for (const int i : step->inputs) {
    const LogicalStep& input = out_.steps[static_cast<size_t>(i)];
    if (input.output != step->input) {
      diagnostics_.Error(step->path + "/from",
                         absl::StrCat("a union needs equal columns: ", first.name, " has (", first.output.ToString(),
                                      "), ", input.name, " has (", input.output.ToString(), ")"));
      return false;
    }
    if (step->inputs.size() > 1 && input.mode.update) {
      diagnostics_.Error(step->path + "/from",
                         absl::StrCat("a union of updating steps isn't implemented: rows of '", input.name,
                                      "' replace each other: give each a sink of its own", OrOnClose(input.closes)));
      return false;
    }
    if (input.window_columns != step->window_columns) step->window_columns.reset();
    step->ordered = step->ordered && input.ordered;
  }
  return true;
}

void Graph::AddStep(const topology::Step& yaml, const std::vector<std::string>& references, bool complete) {
  LogicalStep step;
  step.name = yaml.name();
  step.path = "steps/" + yaml.name();
  for (const std::string& reference : references) step.inputs.push_back(out_.by_name.at(reference));
  // By name, so that the order in the list doesn't matter.
  std::sort(step.inputs.begin(), step.inputs.end(), [&](int a, int b) {
    return out_.steps[static_cast<size_t>(a)].name < out_.steps[static_cast<size_t>(b)].name;
  });
  step.usable = CheckOperator(yaml, plan_, complete && MakeInput(&step), &diagnostics_, &step);
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
  std::map<std::string, bool> complete;
  for (const auto& [name, step] : yaml_) waiting[name] = References(*step, &complete[name]);
  // The first by name of those whose inputs are there, so that the order in the file doesn't matter.
  while (true) {
    const auto ready = std::find_if(waiting.begin(), waiting.end(), [&](const auto& entry) {
      return std::all_of(entry.second.begin(), entry.second.end(),
                         [&](const std::string& r) { return out_.by_name.contains(r); });
    });
    if (ready == waiting.end()) break;
    AddStep(*yaml_.at(ready->first), ready->second, complete.at(ready->first));
    waiting.erase(ready);
  }
  ReportCycles(waiting);
  return std::move(out_);
}

}  // namespace

Logical CheckSteps(const topology::Topology& topology, const Plan& plan, Diagnostics* diagnostics) {
  return Graph(topology, plan, diagnostics).Build();
}

}  // namespace tidemark
