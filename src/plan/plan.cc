#include "src/plan/plan.h"

namespace tidemark {

std::vector<int> Node::upstream() const {
  std::vector<int> all;
  for (const Port& port : inputs) all.insert(all.end(), port.nodes.begin(), port.nodes.end());
  return all;
}

}  // namespace tidemark
