// What all workers say of themselves, put together to one picture of the application. A pure function: workers, the
// command line and tests call it alike.
#pragma once

#include <vector>

#include "proto/live.pb.h"
#include "src/plan/plan.h"
#include "src/status/graph.h"

namespace tidemark {

struct HeardReport {
  live::WorkerReport report;
  double age_s = 0;  // since it was heard
};

// `reports`: the last one of each worker that is there. Of a task that two workers claim, as in a rebalance, the
// younger report counts. Verdict and findings are in it (verdict.h, findings.h).
live::Application Fold(const Plan& plan, const Graph& graph, const BoxTexts& texts,
                       const std::vector<HeardReport>& reports, double wall_ms);

}  // namespace tidemark
