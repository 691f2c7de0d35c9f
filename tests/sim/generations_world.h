// Two generations of one topology on the simulated Kafka: workers made of the shipped runtime, bounded by the shipped
// follower, and the shipped command that switches, while workers of both and the command itself crash, freeze and lose
// calls. A seed decides all of it. The generations show by their rule, what a row is worth: 1 or 10.
//
// events -> dedup -> {topic rows (appends), totals by route across a shuffle -> topic latest (by key)}
#pragma once

#include <cstdint>

#include <absl/status/status.h>

namespace tidemark::sim {

struct GenerationsResult {
  absl::Status verdict;  // OK: outputs equal the oracle; else what differs, or what went wrong
  int switches = 0;      // that were decided
  int cancelled = 0, command_deaths = 0, worker_deaths = 0;
};

GenerationsResult RunGenerationsWorld(uint64_t seed);

}  // namespace tidemark::sim
