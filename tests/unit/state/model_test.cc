// Random walks through the state layer against a std::map. TIDEMARK_STATE_SEED replays one seed.
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "src/base/mutation.h"
#include "tests/unit/state/state_world.h"

namespace tidemark {
namespace {

TEST(StateModel, RandomWalksWithAbortsCrashesRestoresAndTrimsShowWhatWasCommitted) {
  if (const char* seed = std::getenv("TIDEMARK_STATE_SEED"); seed != nullptr) {
    const absl::Status status = RunRandomly(std::strtoull(seed, nullptr, 10), 1500);
    EXPECT_TRUE(status.ok()) << "seed " << seed << ": " << status;
    return;
  }
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const absl::Status status = RunRandomly(seed, 1500);
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status;
  }
}

#ifdef TIDEMARK_WITH_MUTATIONS

// The walk finds what it is there to find.
void ExpectFound(Mutation mutation) {
  SetMutation(mutation, true);
  uint64_t seed = 1;
  while (seed <= 50 && RunRandomly(seed, 1500).ok()) ++seed;
  SetMutation(mutation, false);
  EXPECT_LE(seed, 50u);
}

TEST(StateModel, OffsetsOutsideTheWriteBatchAreFound) { ExpectFound(Mutation::kOffsetsOutsideWriteBatch); }
TEST(StateModel, AnOverlayKeptAfterAnAbortIsFound) { ExpectFound(Mutation::kOverlayKeptAfterAbort); }

#endif  // TIDEMARK_WITH_MUTATIONS

}  // namespace
}  // namespace tidemark
