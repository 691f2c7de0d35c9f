// From a graph of nodes to stages: what is connected without passing through an internal topic runs together.
#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <absl/strings/str_cat.h>

#include "src/plan/operator_kind.h"
#include "src/plan/stages.h"

namespace tidemark {
namespace {

bool IsStateful(const Node& node) {
  return node.kind == Node::Kind::kOperator && !node.spec.kind().Fingerprint(node).empty();
}

// A source stage is named by its first source, another by the first step behind the topics that it reads: by the names
// under which those are kept, as its state lies under it.
std::string StageName(const std::vector<Node>& nodes, const std::vector<int>& component, int root, const Plan& plan) {
  std::string source, step;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (component[i] != root || !nodes[i].inputs.empty()) continue;
    const Node& node = nodes[i];
    const bool of_source = node.kind == Node::Kind::kSource;
    std::string& name = of_source ? source : step;
    // Whatever topics a pattern matches.
    const std::string own = of_source && plan.sources[static_cast<size_t>(node.source)].of_pattern()
                                ? plan.sources[static_cast<size_t>(node.source)].declared()
                                : node.kept_as();
    if (name.empty() || own < name) name = own;
  }
  return source.empty() ? step : source;
}

}  // namespace

std::vector<int> Components(const std::vector<Node>& nodes) {
  std::vector<int> parent(nodes.size());
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](int i) {
    while (parent[static_cast<size_t>(i)] != i) i = parent[static_cast<size_t>(i)];
    return i;
  };
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const int input : nodes[i].upstream()) {
      const int a = root(static_cast<int>(i)), b = root(input);
      parent[static_cast<size_t>(std::max(a, b))] = std::min(a, b);
    }
  }
  std::vector<int> out;
  for (size_t i = 0; i < nodes.size(); ++i) out.push_back(root(static_cast<int>(i)));
  return out;
}

bool WouldReadItself(const std::vector<Node>& nodes, const std::vector<int>& stay, const std::vector<int>& moved) {
  const std::vector<int> component = Components(nodes);
  std::set<int> stage;
  for (const int node : stay) stage.insert(component[static_cast<size_t>(node)]);
  std::vector<std::pair<int, bool>> open;  // (node, an internal topic lies between it and the stage)
  for (const int node : moved) open.emplace_back(node, true);
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (stage.contains(component[i])) open.emplace_back(static_cast<int>(i), false);
  }
  std::set<std::pair<int, bool>> seen(open.begin(), open.end());
  const auto go_on = [&](int node, bool behind) {
    if (seen.emplace(node, behind).second) open.emplace_back(node, behind);
  };
  while (!open.empty()) {
    const auto [at, behind] = open.back();
    open.pop_back();
    const Node& node = nodes[static_cast<size_t>(at)];
    if (behind && stage.contains(component[static_cast<size_t>(at)])) return true;
    for (const int up : node.upstream()) go_on(up, behind);
    if (node.kind != Node::Kind::kInternal) continue;
    for (size_t w = 0; w < nodes.size(); ++w) {
      if (nodes[w].kind == Node::Kind::kRepartition && nodes[w].edge == node.edge) go_on(static_cast<int>(w), true);
    }
  }
  return false;
}

void MakeStages(const std::vector<Node>& nodes, Diagnostics* diagnostics, Plan* plan) {
  const std::vector<int> component = Components(nodes);
  std::map<std::string, int> waiting;  // stage names to roots
  for (const int root : std::set<int>(component.begin(), component.end())) {
    waiting[StageName(nodes, component, root, *plan)] = root;
  }
  std::map<int, std::set<int>> upstream;  // by root
  for (const Node& writer : nodes) {
    if (writer.kind != Node::Kind::kRepartition) continue;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].kind != Node::Kind::kInternal || nodes[i].edge != writer.edge) continue;
      upstream[component[i]].insert(component[static_cast<size_t>(&writer - nodes.data())]);
    }
  }
  std::map<int, int> index;  // of a stage, by root
  while (!waiting.empty()) {
    const auto ready = std::find_if(waiting.begin(), waiting.end(), [&](const auto& stage) {
      return std::all_of(upstream[stage.second].begin(), upstream[stage.second].end(),
                         [&](int up) { return index.contains(up); });
    });
    if (ready == waiting.end()) {
      // A union joined rows from before and behind a repartition.
      const std::string& name = waiting.begin()->first;
      const std::string path = diagnostics->Present("steps/" + name) ? "steps/" + name : "steps";
      diagnostics->Error(path, absl::StrCat("rows from before and behind the repartition of '", name,
                                            "' meet again in one "
                                            "union, so that a stage would read its own output; repartition the other "
                                            "inputs of that union too"));
      return;
    }
    const auto [name, root] = *ready;
    index[root] = static_cast<int>(plan->stages.size());
    Stage stage;
    stage.name = name;
    std::map<int, int> position;  // of a draft in its stage
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (component[i] != root) continue;
      position[static_cast<int>(i)] = static_cast<int>(stage.nodes.size());
      Node node = nodes[i];
      for (Port& port : node.inputs) {
        for (int& input : port.nodes) input = position.at(input);
      }
      if (node.edge >= 0) {
        Edge& edge = plan->edges[static_cast<size_t>(node.edge)];
        (node.kind == Node::Kind::kInternal ? edge.to_stage : edge.from_stage) = index[root];
      }
      stage.stateful = stage.stateful || IsStateful(node);
      stage.nodes.push_back(std::move(node));
    }
    plan->stages.push_back(std::move(stage));
    waiting.erase(ready);
  }
}

// All inputs of a stage have one partition count: what one repartition asks for counts for the others.
void AgreeOnPartitions(Diagnostics* diagnostics, Plan* plan) {
  for (size_t s = 0; s < plan->stages.size(); ++s) {
    const Edge* asked = nullptr;
    for (const Edge& edge : plan->edges) {
      if (edge.to_stage != static_cast<int>(s) || edge.partitions == 0) continue;
      if (asked != nullptr && asked->partitions != edge.partitions) {
        diagnostics->Error(
            "steps/" + edge.step,
            absl::StrCat("'", edge.step, "' has ", edge.partitions, " partitions, '", asked->step, "' has ",
                         asked->partitions, ", and a later step reads both: give them equal `partitions`"));
        return;
      }
      asked = &edge;
    }
    if (asked == nullptr) continue;
    const int32_t partitions = asked->partitions;
    for (Edge& edge : plan->edges) {
      if (edge.to_stage == static_cast<int>(s)) edge.partitions = partitions;
    }
  }
}

void CheckEdgeNames(const Plan& plan, Diagnostics* diagnostics) {
  constexpr size_t kLongest = 249;
  const auto path = [&](const Edge& edge) {
    for (const char* section : {"steps/", "views/"}) {
      if (diagnostics->Present(section + edge.step)) return section + edge.step;
    }
    return "sinks/" + edge.step;
  };
  std::map<std::string, const Edge*> by_metric;  // brokers name a topic's metrics with '_' for '.'
  for (const Edge& edge : plan.edges) {
    if (edge.topic.size() > kLongest) {
      diagnostics->Error(path(edge), absl::StrCat("internal topic '", edge.topic, "' has ", edge.topic.size(),
                                                  " characters, a topic's name has at most ", kLongest,
                                                  ": give the topology or the step a shorter name"));
    }
    std::string metric = edge.topic;
    std::replace(metric.begin(), metric.end(), '.', '_');
    const auto [other, alone] = by_metric.emplace(std::move(metric), &edge);
    if (alone) continue;
    diagnostics->Error(path(edge), absl::StrCat("internal topics '", other->second->topic, "' of '",
                                                other->second->step, "' and '", edge.topic, "' of '", edge.step,
                                                "' differ in '.' and '_' only, which brokers refuse: rename one of "
                                                "them"));
  }
}

}  // namespace tidemark
