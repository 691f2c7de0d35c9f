// A topology's YAML to the messages of proto/topology.proto, by reflection: what a field is called, which shape and
// unit it has and whether it is required is read from the proto and nowhere else. Fields that begin with x- are passed
// over.
#pragma once

#include "proto/topology.pb.h"
#include "src/plan/diagnostics.h"
#include "src/plan/substitute.h"
#include "src/plan/yaml_tree.h"

namespace tidemark {

// Reads as much as can be read. Errors, and the position of everything that was read, go to `diagnostics`.
topology::Topology ReadTopology(const YamlNode& root, const EnvLookup& env, Diagnostics* diagnostics);

}  // namespace tidemark
