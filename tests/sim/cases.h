// Topologies that somebody else has made up, run under faults: the driver in tests/sim/random writes cases, this runs
// each as a deployment (deployment.h) and prints what its sinks hold in the end, and the driver compares that with what
// SQL makes of the same input. What is expected is no matter of this file.
//
// A file of cases, and the results, are lines of words and numbers; texts follow their line, as long as it says and
// closed by a line feed:
//
//   case <id> <seed> <workers> <fault kinds, joined by commas, or ->    result <id> <bytes>   verdict, OK where it ran
//   yaml <bytes>                                                        topic <name>          of Kafka
//   topic <name> <partitions>                                           record <partition> <bytes of key> <of value>
//   first <topic> <partition> <time ms> <bytes of key> <of value>       sink <name>           PostgreSQL
//   record <topic> <partition> <time ms> <bytes of key> <of value>      row <bytes>
//   end                                                                 file <sink> <name> <bytes>
//                                                                       end
//
// `first` stands there before any worker starts: reference data. -1 bytes: null.
#pragma once

#include <iostream>

#include <absl/status/status.h>

namespace tidemark::sim {

// An error is one of the file; what becomes of a case is told in its verdict.
absl::Status RunCases(std::istream& in, std::ostream& out, bool print);

}  // namespace tidemark::sim
