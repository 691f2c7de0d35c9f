#include <cstdlib>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/generations/switch_mutation.h"
#include "tests/sim/generations_world.h"

namespace tidemark::sim {
namespace {

TEST(GenerationsWorld, EveryRowStandsThereOnceWhoeverDiesDuringASwitch) {
  const char* const stated = std::getenv("TIDEMARK_GENERATION_SEEDS");
  const char* const from = std::getenv("TIDEMARK_GENERATION_SEED");
  const uint64_t first = from == nullptr ? 1 : std::strtoull(from, nullptr, 10);
  const uint64_t seeds = stated == nullptr ? 3 : std::strtoull(stated, nullptr, 10);
  int worker_deaths = 0, command_deaths = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const GenerationsResult result = RunGenerationsWorld(seed);
    EXPECT_TRUE(result.verdict.ok()) << "seed " << seed << ": " << result.verdict;
    worker_deaths += result.worker_deaths;
    command_deaths += result.command_deaths;
  }
  EXPECT_GT(worker_deaths, 3);
  EXPECT_GT(command_deaths, 0);
}

#ifdef TIDEMARK_WITH_MUTATIONS
bool Finds(SwitchMutation mutation) {
  active_switch_mutation = mutation;
  bool found = false;
  for (uint64_t seed = 1; seed <= 20 && !found; ++seed) found = !RunGenerationsWorld(seed).verdict.ok();
  active_switch_mutation = SwitchMutation::kNone;
  return found;
}

TEST(GenerationsWorld, AGenerationThatReadsPastTheCutIsFound) { EXPECT_TRUE(Finds(SwitchMutation::kCutPassed)); }

TEST(GenerationsWorld, ADecisionWithoutAFenceIsFound) { EXPECT_TRUE(Finds(SwitchMutation::kDecidedUnfenced)); }
#endif

}  // namespace
}  // namespace tidemark::sim
