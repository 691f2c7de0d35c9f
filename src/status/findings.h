// "Why do I see no output?": everything that keeps rows from showing in results, in words, upstream first. Which window
// waits for which partition's time; what is idle, late, filtered, unmatched, dead, unowned, not committed yet; which
// sink holds rows. A pure function; what is as it should be isn't mentioned.
#pragma once

#include <vector>

#include "proto/live.pb.h"
#include "src/plan/plan.h"
#include "src/status/fold.h"

namespace tidemark {

std::vector<live::Finding> FindWhatHoldsRows(const Plan& plan, const std::vector<HeardReport>& reports,
                                             const live::Application& application);

}  // namespace tidemark
