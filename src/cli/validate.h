// `tidemark validate`, the offline part: is the file a topology?
#pragma once

#include <string>

#include "src/plan/plan.h"
#include "src/plan/topology_text.h"

namespace tidemark {

// What there is to say about a plan that could be made: "ok: 1 source, 1 table, 4 steps, 5 sinks, 2 stages" and what
// the user may want to know besides.
std::string ValidationReport(const Plan& plan, const TopologyText& text);

}  // namespace tidemark
