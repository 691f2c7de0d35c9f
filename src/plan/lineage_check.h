// The check of `lineage` in a topology.
#pragma once

#include "src/plan/diagnostics.h"
#include "src/plan/lineage_spec.h"
#include "src/plan/plan.h"

namespace tidemark {

namespace topology {
class Topology;
}

// Behind CheckSources.
LineageSpec CheckLineage(const topology::Topology& topology, const Plan& plan, Diagnostics* diagnostics);

}  // namespace tidemark
