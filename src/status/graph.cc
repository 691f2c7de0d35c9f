#include "src/status/graph.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "src/plan/operator_kind.h"

namespace tidemark {
namespace {

constexpr double kGapX = 56, kGapY = 26, kMargin = 12;
constexpr int kRounds = 6;  // of moving boxes towards their neighbours; more change nothing in graphs of this size

class Layout {
 public:
  explicit Layout(Graph* graph) : graph_(*graph), layer_(graph->boxes.size(), 0) {
    for (size_t b = 0; b < graph_.boxes.size(); ++b) places_[graph_.boxes[b].name] = b;
    for (const GraphArrow& arrow : graph_.arrows) {
      arrows_.emplace_back(places_.at(arrow.from), places_.at(arrow.to));
    }
  }

  void Place() {
    FindLayers();
    for (int round = 0; round < kRounds; ++round) Order(/*by_inputs=*/round % 2 == 0);
    SetPositions();
  }

 private:
  // As far right as the longest way to it, and sinks right behind what they take.
  void FindLayers() {
    for (size_t round = 0; round < graph_.boxes.size(); ++round) {
      for (const auto& [from, to] : arrows_) layer_[to] = std::max(layer_[to], layer_[from] + 1);
    }
    columns_.resize(layer_.empty() ? 0 : *std::max_element(layer_.begin(), layer_.end()) + 1);
    for (size_t b = 0; b < layer_.size(); ++b) columns_[layer_[b]].push_back(b);
  }

  // The barycentre heuristic: each box goes where its neighbours in the columns before (or behind) are on average.
  void Order(bool by_inputs) {
    std::vector<double> height(graph_.boxes.size());
    for (const auto& column : columns_) {
      for (size_t i = 0; i < column.size(); ++i) height[column[i]] = Height(column, i);
    }
    for (size_t c = 0; c < columns_.size(); ++c) {
      auto& column = columns_[by_inputs ? c : columns_.size() - 1 - c];
      std::map<size_t, double> wanted;
      for (const size_t box : column) {
        double sum = 0, count = 0;
        for (const auto& [from, to] : arrows_) {
          if ((by_inputs ? to : from) != box) continue;
          sum += height[by_inputs ? from : to];
          ++count;
        }
        wanted[box] = count > 0 ? sum / count : height[box];
      }
      std::stable_sort(column.begin(), column.end(), [&](size_t a, size_t b) { return wanted[a] < wanted[b]; });
      for (size_t i = 0; i < column.size(); ++i) height[column[i]] = Height(column, i);
    }
  }

  static double Height(const std::vector<size_t>& column, size_t place) {
    return static_cast<double>(place) - static_cast<double>(column.size()) / 2;
  }

  void SetPositions() {
    size_t most = 1;
    for (const auto& column : columns_) most = std::max(most, column.size());
    const auto high = [](size_t boxes) { return static_cast<double>(boxes) * (Graph::kBoxHeight + kGapY) - kGapY; };
    for (size_t c = 0; c < columns_.size(); ++c) {
      const double top = kMargin + (high(most) - high(columns_[c].size())) / 2;
      for (size_t i = 0; i < columns_[c].size(); ++i) {
        GraphBox& box = graph_.boxes[columns_[c][i]];
        box.x = kMargin + static_cast<double>(c) * (Graph::kBoxWidth + kGapX);
        box.y = top + static_cast<double>(i) * (Graph::kBoxHeight + kGapY);
      }
    }
    graph_.width = 2 * kMargin + static_cast<double>(columns_.size()) * (Graph::kBoxWidth + kGapX) - kGapX;
    graph_.height = 2 * kMargin + high(most);
  }

  Graph& graph_;
  std::map<std::string, size_t> places_;
  std::vector<std::pair<size_t, size_t>> arrows_;
  std::vector<size_t> layer_;
  std::vector<std::vector<size_t>> columns_;
};

const char* KindOf(const Plan& plan, const Node& node) {
  if (node.kind == Node::Kind::kSource) return "source";
  if (node.sink < 0) return "step";
  return plan.sinks[static_cast<size_t>(node.sink)].view ? "view" : "sink";
}

}  // namespace

Graph MakeGraph(const Plan& plan) {
  Graph graph;
  const auto box_of = [&](const std::string& name) {
    return std::find_if(graph.boxes.begin(), graph.boxes.end(), [&](const GraphBox& box) { return box.name == name; });
  };
  const auto connect = [&](const std::string& from, const std::string& to, bool shuffled) {
    if (from == to) return;
    for (GraphArrow& arrow : graph.arrows) {
      if (arrow.from != from || arrow.to != to) continue;
      arrow.shuffled |= shuffled;
      return;
    }
    graph.arrows.push_back({from, to, shuffled});
  };
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      const bool moves = node.kind == Node::Kind::kRepartition;
      // A shuffle belongs to the step behind it, whose box may not be there yet.
      if (box_of(node.step) == graph.boxes.end()) graph.boxes.push_back({node.step, KindOf(plan, node), stage.name});
      if (node.kind == Node::Kind::kOperator) box_of(node.step)->stage = stage.name;
      for (const int input : node.upstream()) {
        connect(stage.nodes[static_cast<size_t>(input)].step, node.step, moves);
      }
    }
  }
  // The two phases of a step lie on both sides of its shuffle.
  for (const Edge& edge : plan.edges) {
    if (edge.to_sink >= 0) continue;
    for (GraphArrow& arrow : graph.arrows) {
      const auto phases = [&](const Node& node) {
        return node.kind == Node::Kind::kOperator && node.step == edge.step &&
               node.spec.kind().phase(node) == OperatorPhase::kPartial;
      };
      const Stage& from = plan.stages[static_cast<size_t>(edge.from_stage)];
      if (arrow.to == edge.step && std::any_of(from.nodes.begin(), from.nodes.end(), phases)) arrow.shuffled = true;
    }
  }
  Layout(&graph).Place();
  return graph;
}

std::map<std::string, std::string> YamlOfParts(std::string_view canonical) {
  std::map<std::string, std::string> parts;
  std::string section, name;
  for (const absl::string_view line : absl::StrSplit(absl::string_view(canonical.data(), canonical.size()), '\n')) {
    const size_t indent = std::min(line.find_first_not_of(' '), line.size());
    if (indent == line.size()) continue;
    if (indent == 0) {
      section = std::string(line.substr(0, line.find(':')));
      name.clear();
    } else if (section == "sources" || section == "steps" || section == "sinks" || section == "views") {
      if (indent == 2) name = std::string(absl::StripAsciiWhitespace(line.substr(0, line.find(':'))));
      absl::StrAppend(&parts[name], line.substr(2), "\n");
    }
  }
  return parts;
}

}  // namespace tidemark
