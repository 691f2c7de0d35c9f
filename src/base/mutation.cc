#include "src/base/mutation.h"

#ifdef TIDEMARK_WITH_MUTATIONS

#include <atomic>

namespace tidemark {
namespace {

std::atomic<uint64_t> active_mutations = 0;

uint64_t Bit(Mutation mutation) { return uint64_t{1} << static_cast<unsigned>(mutation); }

}  // namespace

bool MutationActive(Mutation mutation) {
  return (active_mutations.load(std::memory_order_relaxed) & Bit(mutation)) != 0;
}

void SetMutation(Mutation mutation, bool active) {
  if (active) {
    active_mutations.fetch_or(Bit(mutation));
  } else {
    active_mutations.fetch_and(~Bit(mutation));
  }
}

}  // namespace tidemark

#endif  // TIDEMARK_WITH_MUTATIONS
