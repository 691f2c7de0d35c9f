// What people say about the parts of a topology: whose it is, what it means, whether there is personal data in it.
// Shown by `tidemark describe`; nothing is computed from it, and no identity knows it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark {

namespace topology {
class Topology;
}

struct About {
  std::string description;
  std::string owner;
  std::vector<std::string> tags;
  std::optional<bool> pii;

  bool empty() const { return description.empty() && owner.empty() && tags.empty() && !pii; }
};

// By path: "sources/orders", "sources/orders/columns/email", "steps/unique". Only of whom something is said.
using AboutParts = std::map<std::string, About>;

AboutParts CollectAbout(const topology::Topology& topology);

}  // namespace tidemark
