// The counters of a ledger by their names, in the order in which they are told everywhere: in a worker's last lines, on
// the status page, in tests of topologies. `violated` isn't among them: it has a counter "violated.RULE" for each rule.
#pragma once

#include <cstdint>
#include <string_view>

#include "operators/operator.h"

namespace tidemark {

struct LedgerCounter {
  std::string_view name;
  int64_t StepLedger::* value;
};

inline constexpr LedgerCounter kLedgerCounters[] = {
    {"in", &StepLedger::in},
    {"passed", &StepLedger::passed},
    {"duplicate", &StepLedger::duplicate},
    {"late", &StepLedger::late},
    {"filtered", &StepLedger::filtered},
    {"unmatched", &StepLedger::unmatched},
    {"dead_lettered", &StepLedger::dead_lettered},
    {"absorbed", &StepLedger::absorbed},
    {"pairs", &StepLedger::pairs},
    {"late_pairs", &StepLedger::late_pairs},
    {"late_after_idle", &StepLedger::late_after_idle},
    {"closed", &StepLedger::closed},
    {"open", &StepLedger::open},
    {"out", &StepLedger::out},
};
inline constexpr std::string_view kViolatedCounter = "violated.";

}  // namespace tidemark
