// Deliberate defects of a switch, beside those of src/base/mutation.h and by the same rule: only in a build with
// TIDEMARK_WITH_MUTATIONS, where the simulator must find each.
#pragma once

#include <cstdint>

#ifdef TIDEMARK_WITH_MUTATIONS
#include <atomic>
#endif

namespace tidemark {

enum class SwitchMutation : uint8_t {
  kNone,
  kCutPassed,        // the generation that is built reads past the cut, and nobody looks
  kDecidedUnfenced,  // nobody looks whether the fence still stands before the decision
};

#ifdef TIDEMARK_WITH_MUTATIONS
inline std::atomic<SwitchMutation> active_switch_mutation{SwitchMutation::kNone};
inline bool SwitchMutationActive(SwitchMutation mutation) { return active_switch_mutation == mutation; }
#else
constexpr bool SwitchMutationActive(SwitchMutation) { return false; }
#endif

}  // namespace tidemark
