// What a part of the topology says it was called before (renamed_from). All that is kept of it in Kafka and in sinks
// stays under that name, the first that it ever had, for as long as the part says so: nothing is converted and nothing
// moves, and the file of before and the one of after go on with the same, in whichever order they run, side by side
// too. The name is a function of the file alone, so every worker and every command knows it without asking anybody.
#include <map>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/base/application.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

class Renames {
 public:
  explicit Renames(Diagnostics* diagnostics) : diagnostics_(*diagnostics) {}

  template <typename Part>
  void Add(const char* section, const Part& part) {
    parts_.push_back(
        {part.name(), absl::StrCat(section, "/", part.name()), part.renamed_from(), part.has_renamed_from()});
  }

  void Check() {
    for (const Part& part : parts_) by_name_.emplace(part.name, &part);
    for (const Part& part : parts_) {
      if (part.renamed) Check(part);
    }
  }

 private:
  struct Part {
    std::string name, path, from;
    bool renamed;
  };

  void Check(const Part& part) {
    const std::string at = part.path + "/renamed_from";
    if (!IsName(part.from)) {
      diagnostics_.Error(at, absl::StrCat("expected the name that '", part.name, "' had before, found '", part.from,
                                          "': names are letters, digits, '_' and '-', and don't start with __"));
      return;
    }
    if (part.from == part.name) {
      diagnostics_.Error(at, absl::StrCat("'", part.name, "' is its name now: leave renamed_from out"));
      return;
    }
    if (const auto still = by_name_.find(part.from); still != by_name_.end()) return StillThere(part, *still->second);
    const auto [other, alone] = taken_.emplace(part.from, &part);
    if (alone) return;
    diagnostics_.Error(
        at, absl::StrCat("what is kept as '", part.from, "' can't be gone on with twice: '", other->second->name,
                         "' says renamed_from: ", part.from, " as well",
                         diagnostics_.Elsewhere(other->second->path, at), ". Leave it out of the one that is new"));
  }

  void StillThere(const Part& part, const Part& other) {
    const std::string at = part.path + "/renamed_from";
    const bool cycle = other.renamed && other.from == part.name;
    diagnostics_.Error(
        at, absl::StrCat("the topology has a '", part.from, "'", diagnostics_.Elsewhere(other.path, at),
                         cycle ? ", which says that it was this one: two can't exchange what is kept of them. Leave "
                                 "both names as they were"
                               : absl::StrCat(", and what is kept under that name would be both's: give '", part.from,
                                              "' another name where it is new, or leave renamed_from out")));
  }

  Diagnostics& diagnostics_;
  std::vector<Part> parts_;
  std::map<std::string, const Part*> by_name_, taken_;
};

}  // namespace

void CheckRenames(const topology::Topology& topology, Diagnostics* diagnostics) {
  Renames renames(diagnostics);
  for (const topology::Source& source : topology.sources()) {
    renames.Add("sources", source);
    if (source.has_renamed_from() && source.has_topics()) {
      diagnostics->Error("sources/" + source.name() + "/renamed_from",
                         "only a source with one `topic` can be renamed: each topic of a pattern is counted by the "
                         "source's name and its own");
    }
    if (!source.has_renamed_from() || !(source.has_files() || source.has_http() || source.has_postgres())) continue;
    diagnostics->Error("sources/" + source.name() + "/renamed_from",
                       "only a source with a `topic` can be renamed: what has come in from files, by HTTP and from "
                       "tables lies in a topic of Tidemark's, with positions of its own, under the source's name");
  }
  for (const topology::Step& step : topology.steps()) renames.Add("steps", step);
  for (const topology::Sink& sink : topology.sinks()) renames.Add("sinks", sink);
  for (const topology::View& view : topology.views()) renames.Add("views", view);
  renames.Check();
}

}  // namespace tidemark
