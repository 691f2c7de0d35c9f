// A whole deployment in one thread: a simulated Kafka, database and lake, and workers made of the shipped runtime
// (deployment.h). A seed decides input, schedule and faults (chaos.h); the run ends with the faults switched off,
// everything processed (--until_end --close_windows) and the outputs compared with what the input says they must be
// (town.h).
#pragma once

#include <cstdint>
#include <optional>

#include <absl/status/status.h>

#include "src/sim/chaos.h"
#include "src/sim/deployment.h"
#include "src/sim/sim_digest.h"

namespace tidemark::sim {

// What is changed about a deployment while it runs, in the middle of its faults.
enum class Change {
  kNothing,
  kPartitions,  // its source gets more of them: every worker ends, saying so, and none starts again
  kTopology,    // worker by worker the next version, which reads another source too: comes to rest by itself
  // A version with a step that would follow changes of a step which has counted before: no worker runs it, and nothing
  // is committed; the former one goes on.
  kFollower,
  // Its source loses records that nobody has read, by retention or because the topic is deleted and made again. Workers
  // end, saying so, each time they start, or with on_data_loss: skip read what is left.
  kTrimmed,
  kTrimmedSkipped,
  kRemade,
  kRemadeSkipped,
};

struct WorldOptions {
  uint64_t seed = 1;
  int workers = 2;
  int records = 240;
  int turns = 360;                   // while things go wrong
  std::optional<FaultKinds> faults;  // nothing: what the seed says
  Change change = Change::kNothing;
  bool print = false;  // a line for everything that happens to a worker
};

struct WorldResult {
  absl::Status verdict;  // OK: outputs equal the oracle; else what differs, or what went wrong
  DeploymentCounts counts;
  SimDigest digest;  // of all draws and clock readings: equal for equal seeds
};

WorldResult RunWorld(const WorldOptions& options);

}  // namespace tidemark::sim
