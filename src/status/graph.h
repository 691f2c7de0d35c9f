// A topology as people draw it: a box for each source, step and sink, arrows for the rows between them. Stages, phases
// and internal topics are folded away, but for the mark of a shuffle. Placed by layers, from left to right, so that
// `tidemark describe --format svg` and the page show the same picture. Pure functions of a plan.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/plan/plan.h"

namespace tidemark {

struct GraphBox {
  std::string name;   // of the source, step, sink or view
  std::string kind;   // source, step, sink, view
  std::string stage;  // of the plan; of a step with two phases the one that has its results
  double x = 0, y = 0;
};

struct GraphArrow {
  std::string from, to;
  bool shuffled = false;  // rows move to another partition
};

struct Graph {
  static constexpr double kBoxWidth = 178, kBoxHeight = 78;  // of every box, in pixels

  std::vector<GraphBox> boxes;  // in the order of the plan
  std::vector<GraphArrow> arrows;
  double width = 0, height = 0;
};

Graph MakeGraph(const Plan& plan);

// What is said of a box: a line, and its part of the YAML. By the box's name.
struct BoxText {
  std::string summary, yaml;
};
using BoxTexts = std::map<std::string, BoxText>;

// The part of each source, step, sink and view in a topology's canonical YAML (src/plan/canonical_yaml.h), by its name.
std::map<std::string, std::string> YamlOfParts(std::string_view canonical);

// A picture of its own. Of each box `<g data-node="NAME">` has texts of the classes "rate", "note" and "busy", empty
// here, which a page fills; colours follow the reader's light or dark scheme.
std::string DrawSvg(const Graph& graph, const BoxTexts& texts);

}  // namespace tidemark
