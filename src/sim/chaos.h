// What goes wrong in a deployment while it runs, and how often: data, so that a world is told by the faults that are
// on; and the scheduler that lets it happen.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/base/record.h"
#include "src/sim/deployment.h"
#include "src/sim/sim_kafka.h"
#include "src/sim/sim_outside.h"

namespace tidemark::sim {

struct Faults {
  SimFaults kafka;         // of calls to the brokers
  OutsideFaults database;  // of calls to a database, or a receiver of posts
  OutsideFaults lake;      // and to a lake
  // Once in so many turns of a worker; 0: never.
  uint64_t crash = 0;
  uint64_t freeze = 0;
  uint64_t oversleep = 0;  // of those with a commit in flight
  uint64_t restart = 0;    // stops in order, some for good
  uint64_t power_failure = 0;
  uint64_t full_disk = 0;
  uint64_t unmount = 0;  // the disks of the lakes
  uint64_t trim = 0;     // a source's log loses what the group has read
};

// The kinds of faults that can be switched on: calls, database, lake, crashes, freezes, oversleeping, restarts, power,
// disks, rights, trims, unmounts.
using FaultKinds = std::set<std::string>;
const FaultKinds& AllFaultKinds();
// What the world of a seed has: most of them, so that runs get far in which some kinds are off.
FaultKinds FaultKindsOf(uint64_t seed);
Faults FaultsOf(const FaultKinds& kinds);

struct Schedule {
  int turns = 0;
  std::function<void()> feed;             // appends some input; called about every other turn
  std::vector<TopicPartition> trimmable;  // source partitions
};

// Starts the workers and gives them turns while things go wrong. An error is a finding.
absl::Status RunChaos(Deployment* deployment, SimCluster* cluster, SimClock* clock, SimRandom* random,
                      const std::string& group, const Faults& faults, const Schedule& schedule);

}  // namespace tidemark::sim
