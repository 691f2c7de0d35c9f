#include "src/plan/about.h"

#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/topology.pb.h"

namespace tidemark {
namespace {

// Every kind of part says it in fields of the same names.
template <typename Part>
void Add(const std::string& path, const Part& part, AboutParts* out) {
  About about;
  about.description = part.description();
  about.owner = part.owner();
  about.tags.assign(part.tags().begin(), part.tags().end());
  if (part.has_pii()) about.pii = part.pii();
  if (!about.empty()) out->emplace(path, std::move(about));
}

template <typename Parts>
void AddAll(const std::string& path, const Parts& parts, AboutParts* out) {
  for (const auto& part : parts) Add(absl::StrCat(path, "/", part.name()), part, out);
}

}  // namespace

AboutParts CollectAbout(const topology::Topology& topology) {
  AboutParts out;
  AddAll("sources", topology.sources(), &out);
  for (const auto& source : topology.sources()) {
    AddAll(absl::StrCat("sources/", source.name(), "/columns"), source.columns(), &out);
  }
  AddAll("tables", topology.tables(), &out);
  for (const auto& table : topology.tables()) {
    AddAll(absl::StrCat("tables/", table.name(), "/columns"), table.columns(), &out);
  }
  AddAll("steps", topology.steps(), &out);
  AddAll("sinks", topology.sinks(), &out);
  AddAll("views", topology.views(), &out);
  return out;
}

}  // namespace tidemark
