// Raw lakes: where a source's records are that its topic has no more, as the source says (`replay: { from: parquet,
// path: /lake/raw }`) or the command that reads them (`--lakes prices=/lake/raw`). No part of the plan: what is
// computed doesn't depend on it, nor do stages, tasks and the identity of state. Only commands that compute the past
// anew look there (src/runtime/lake_client.h). Pure functions; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "src/plan/diagnostics.h"
#include "src/plan/plan.h"

namespace tidemark {

namespace topology {
class Topology;
}

// Parquet files with a topic's records, a row each. The columns are those that the source reads its records into, by
// name.
struct LakeSpec {
  std::string path;  // a folder, or s3://bucket/prefix
  std::string partition, offset, timestamp, value;
  std::string key;          // empty: no column has it, and nothing asks for it
  bool pass_holes = false;  // offsets that the lake lacks are passed over; else the run stops there
};
using LakeSpecs = std::map<std::string, LakeSpec>;  // by topic

// What is wrong with a lake's place, or ""; for the sinks that write one, too.
std::string WrongLakePath(std::string_view path);

// Those that sources say. Reports sources that can't have one: of whose columns a record can't be made again byte for
// byte, so that it would be decoded, judged and partitioned as it was; and sinks that write no such lake of theirs.
// Behind CheckSources and CheckSinks.
LakeSpecs CheckReplays(const topology::Topology& topology, const Plan& plan, Diagnostics* diagnostics);

// Those that a command reads: `said`, as sources say, and of the sources that `lakes` names (SOURCE=FOLDER, several
// with commas between) these in their place. `holes`: "stop" or "pass", of all of them; empty: as sources say, and
// "stop" of those that `lakes` names. InvalidArgument, all of it: mistakes in the flags, and sources as above.
absl::StatusOr<LakeSpecs> LakesOf(const Plan& plan, const LakeSpecs& said, std::string_view lakes,
                                  std::string_view holes);

}  // namespace tidemark
