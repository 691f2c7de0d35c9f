// The topology that --config names, with the topics that its patterns match (`topics` of a source): the one thing in a
// plan that only the brokers can tell. They are asked where the topology has such a source, and not otherwise.
#pragma once

#include <functional>
#include <string>

#include <absl/status/statusor.h>

#include "src/plan/planner.h"

namespace tidemark {

enum class AskForTopics {
  kNever,    // one source stands for those of a pattern
  kIfThere,  // the same where no broker answers
  kAlways,   // Unavailable where none does, for a while
};

// `give_up` ends waiting for brokers; null: nobody does.
absl::StatusOr<Plan> LoadTopology(const std::string& file, TopologyText* text, AskForTopics ask,
                                  const std::function<bool()>& give_up = nullptr);

// For plans that are made of another text.
TopicNames TopicsOfBrokers();

}  // namespace tidemark
