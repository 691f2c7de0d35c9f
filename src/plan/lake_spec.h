// Raw lakes: where a source's records are that its topic has no more (`--lakes prices=/lake/raw`). No part of the plan:
// what is computed doesn't depend on it, nor do stages, tasks and the identity of state. Only commands that compute the
// past anew look there (src/runtime/lake_client.h). Pure functions; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "src/plan/plan.h"

namespace tidemark {

// Parquet files with a topic's records, a row each. The columns are those that the source reads its records into, by
// name.
struct LakeSpec {
  std::string path;  // a folder, or s3://bucket/prefix
  std::string partition, offset, timestamp, value;
  std::string key;          // empty: no column has it, and nothing asks for it
  bool pass_holes = false;  // offsets that the lake lacks are passed over; else the run stops there
};
using LakeSpecs = std::map<std::string, LakeSpec>;  // by topic

// `lakes`: SOURCE=FOLDER, several with commas between; empty: there are none. `holes`: "stop" (or empty), or "pass".
// InvalidArgument, all of it: sources from whose columns a record can't be made again byte for byte, so that it would
// be decoded, judged and partitioned as it was.
absl::StatusOr<LakeSpecs> LakesOf(const Plan& plan, std::string_view lakes, std::string_view holes);

}  // namespace tidemark
