#include <cstdlib>
#include <iostream>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/mutation.h"
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
// The seed that finds it, 0: none of twenty. `likely`: one that found it when this was last looked at, tried first;
// nothing depends on it but the time that the test takes.
uint64_t Finds(Mutation mutation, uint64_t likely) {
  SetMutation(mutation, true);
  uint64_t found = 0;
  for (uint64_t seed = 0; seed <= 20 && found == 0; ++seed) {
    const uint64_t tried = seed == 0 ? likely : seed;
    if (!RunGenerationsWorld(tried).verdict.ok()) found = tried;
  }
  SetMutation(mutation, false);
  std::cout << "found by seed " << found << "\n";
  return found;
}

TEST(GenerationsWorld, AGenerationThatReadsPastTheCutIsFound) { EXPECT_NE(Finds(Mutation::kCutPassed, 2), 0); }

TEST(GenerationsWorld, AComparisonInFrontOfTheCutIsFound) { EXPECT_NE(Finds(Mutation::kComparedBeforeCut, 2), 0); }

TEST(GenerationsWorld, WorkersThatLeaveWhatLiesBetweenStagesAreFound) {
  EXPECT_NE(Finds(Mutation::kLeftBeforeStages, 4), 0);
}

TEST(GenerationsWorld, ADecisionWithoutAFenceIsFound) { EXPECT_NE(Finds(Mutation::kDecidedUnfenced, 1), 0); }
#endif

}  // namespace
}  // namespace tidemark::sim
