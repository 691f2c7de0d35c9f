// A whole deployment in one thread: a simulated Kafka, a simulated PostgreSQL, and workers made of the shipped runtime,
// operators, overlay, changelog and RocksDB (on disks in memory). A seed decides input, schedule and faults; the run
// ends with the faults switched off, everything processed (--until_end --close_windows) and the outputs compared with
// what the input says they must be, computed here by other means: sets and counts over the raw records.
//
// The topology: events -> dedup keep first -> {topic unique, PostgreSQL table (append), window count per place and
// minute across a shuffle -> topic counts}.
#pragma once

#include <cstdint>
#include <string>

#include <absl/status/status.h>

namespace tidemark::sim {

struct WorldOptions {
  uint64_t seed = 1;
  int workers = 2;
  int records = 240;
  int crashes = 6;       // about so many, of workers
  bool print = false;    // a line for everything that happens to a worker
};

struct WorldResult {
  absl::Status verdict;  // OK: outputs equal the oracle; else what differs, or what went wrong
  int crashes = 0, wiped = 0, frozen = 0, rebalances = 0, aborts = 0, commits = 0;
};

WorldResult RunWorld(const WorldOptions& options);

}  // namespace tidemark::sim
