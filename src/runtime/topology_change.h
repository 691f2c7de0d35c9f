// `tidemark plan`: what would become of everything if a topology went on under its name with what stands there now, or
// with what another file of it would have left. Reads Kafka, tables and lakes, and changes nothing: no topic, group,
// table or folder is made, nobody is fenced. Workers may run meanwhile; what they write later isn't known.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/verdict.h"

namespace tidemark {

// A source, a step without state, or a sink.
struct PartChange {
  enum class Kind { kGoesOn, kNew, kGone };

  std::string name;
  Kind kind = Kind::kGoesOn;
  std::string about = {};        // for people: its topic, table or folder
  std::string former_name = {};  // of what goes on: what it was called, where that is another name
  // Sinks with a feed, and all where two files are compared: columns of its rows, "price decimal(12,2)".
  std::vector<std::string> added = {}, removed = {};
  std::string found = {};    // sinks outside Kafka: what stands there, and what a run would make
  std::string wrong = {};    // what doesn't fit; of a table also the statement that would mend it
  std::string unknown = {};  // why nobody could look
  std::string begins = {};   // of a source, behind `about`: from where on it is read where it is new
};

struct TopologyChange {
  std::string against;                // for people
  bool first = false;                 // nothing has been written under this name
  std::vector<Verdict> steps;         // with state; and sinks that can't go on
  std::vector<PartChange> stateless;  // other steps
  std::vector<PartChange> sources, sinks;
  std::vector<TopicToCreate> topics;  // that a run would make
  std::vector<std::string> wrong;     // topics that are missing or don't fit
  std::vector<std::string> idle;      // what --allow_drop names and nothing is kept of (IdleDrops)

  enum class Outcome { kNothingLost, kNeedsDecision, kMistake, kNotKnown };
  // kMistake: a run ends for it, whatever is decided. kNotKnown: a database or a lake couldn't be looked at.
  Outcome outcome() const;
};

// Unavailable: Kafka doesn't answer.
// InvalidArgument: `drops` names what goes on (start_check.h).
absl::StatusOr<TopologyChange> ChangeOfRunning(const Plan& plan, KafkaClient& kafka, const AllowedDrops& drops = {});
// Asks nobody. InvalidArgument: they are two topologies, which share nothing.
absl::StatusOr<TopologyChange> ChangeOfFile(const Plan& plan, const Plan& before, const std::string& file,
                                            const AllowedDrops& drops = {});

}  // namespace tidemark
