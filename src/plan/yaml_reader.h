// YAML text to the messages of proto/topology.proto, by reflection: what a field is called, which shape and unit it has
// and whether it is required is read from the proto and nowhere else.
#pragma once

#include <string_view>

#include "proto/topology.pb.h"
#include "src/plan/diagnostics.h"
#include "src/plan/substitute.h"

namespace tidemark {

// Reads as much as can be read. Errors, and the position of everything that was read, go to `diagnostics`.
topology::Topology ReadTopology(std::string_view text, const EnvLookup& env, Diagnostics* diagnostics);

}  // namespace tidemark
