// Seeds of the simulated deployment (world.h), four hundred of them or a thousand with TIDEMARK_LONG, and the
// deliberate defects that they must find. `scripts/simulate --seed S` replays one.
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <arrow/compute/initialize.h>
#include <glog/logging.h>

#include "src/base/mutation.h"
#include "tests/sim/world.h"

namespace tidemark::sim {
namespace {

constexpr uint64_t kShards = 10;
const uint64_t kSeedsAShard = std::getenv("TIDEMARK_LONG") != nullptr ? 100 : 40;

// The worlds' workers log what they recover from; only the verdict matters here.
class Quiet : public testing::Environment {
 public:
  void SetUp() override {
    ASSERT_TRUE(arrow::compute::Initialize().ok());
    FLAGS_minloglevel = google::FATAL;
  }
};
const testing::Environment* const quiet = testing::AddGlobalTestEnvironment(new Quiet);

class Simulation : public testing::TestWithParam<uint64_t> {};

TEST_P(Simulation, EveryRowStandsInEverySinkExactlyOnce) {
  DeploymentCounts sum;
  for (uint64_t i = 0; i < kSeedsAShard; ++i) {
    WorldOptions options;
    options.seed = 1 + GetParam() * kSeedsAShard + i;
    const WorldResult result = RunWorld(options);
    ASSERT_TRUE(result.verdict.ok()) << "seed " << options.seed << ": " << result.verdict;
    // Whatever depends on an address, a thread or the machine's own clock shows here.
    if (i % 10 == 0) {
      ASSERT_EQ(RunWorld(options).digest, result.digest) << "seed " << options.seed << " gave two runs";
    }
    sum.crashes += result.counts.crashes;
    sum.endings += result.counts.endings;
    sum.aborts += result.counts.aborts;
    sum.commits += result.counts.commits;
  }
  // Seeds in which nothing goes wrong would prove nothing.
  EXPECT_GT(sum.crashes, static_cast<int>(kSeedsAShard));
  EXPECT_GT(sum.endings, static_cast<int>(kSeedsAShard) / 10);
  EXPECT_GT(sum.aborts, static_cast<int>(kSeedsAShard) / 2);
  EXPECT_GT(sum.commits, static_cast<int>(kSeedsAShard) * 10);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Simulation, testing::Range<uint64_t>(0, kShards));

class Changes : public testing::TestWithParam<Change> {};

TEST_P(Changes, OfARunningDeploymentAreRefusedByAllOrComeToRest) {
  const bool while_all_fails = GetParam() == Change::kPartitions || GetParam() == Change::kTopology;
  const uint64_t seeds =
      while_all_fails ? kSeedsAShard : kSeedsAShard / 4;  // the others happen once all have come to rest
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    WorldOptions options;
    options.seed = seed;
    options.turns = 180;
    options.change = GetParam();
    const WorldResult result = RunWorld(options);
    ASSERT_TRUE(result.verdict.ok()) << "seed " << seed << ": " << result.verdict;
  }
}

std::string NameOf(Change change) {
  switch (change) {
    case Change::kNothing:
      return "Nothing";
    case Change::kPartitions:
      return "PartitionsAdded";
    case Change::kTopology:
      return "TopologyRolledOut";
    case Change::kFollower:
      return "FollowerAdded";
    case Change::kTrimmed:
      return "SourceTrimmed";
    case Change::kTrimmedSkipped:
      return "SourceTrimmedAndSkipped";
    case Change::kRemade:
      return "SourceRemade";
    case Change::kRemadeSkipped:
      return "SourceRemadeAndSkipped";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(All, Changes,
                         testing::Values(Change::kPartitions, Change::kTopology, Change::kFollower, Change::kTrimmed,
                                         Change::kTrimmedSkipped, Change::kRemade, Change::kRemadeSkipped),
                         [](const auto& change) { return NameOf(change.param); });

#ifdef TIDEMARK_WITH_MUTATIONS
struct Defect {
  std::string name;
  Mutation mutation;
  // A seed that found it when this was last looked at, tried before all others. Nothing depends on it but the
  // time that the test takes: whatever changes a run moves it.
  uint64_t likely_seed;
};
class Mutations : public testing::TestWithParam<Defect> {};

TEST_P(Mutations, AreFoundWithinAThousandSeeds) {
  SetMutation(GetParam().mutation, true);
  uint64_t found = 0;
  for (uint64_t i = 0; i <= kSeedsAShard * kShards && found == 0; ++i) {
    WorldOptions options;
    options.seed = i == 0 ? GetParam().likely_seed : i;
    if (!RunWorld(options).verdict.ok()) found = options.seed;
  }
  SetMutation(GetParam().mutation, false);
  EXPECT_NE(found, 0u) << "the defect went unnoticed";
  RecordProperty("found_by_seed", std::to_string(found));
  if (found != GetParam().likely_seed) std::cout << "found by seed " << found << "\n";
}

INSTANTIATE_TEST_SUITE_P(
    All, Mutations,
    testing::Values(Defect{"ApplyBeforeCommit", Mutation::kApplyBeforeCommit, 4},
                    Defect{"OffsetsOutsideWriteBatch", Mutation::kOffsetsOutsideWriteBatch, 3},
                    Defect{"OverlayKeptAfterAbort", Mutation::kOverlayKeptAfterAbort, 4},
                    Defect{"ChangelogOutsideTransaction", Mutation::kChangelogOutsideTransaction, 1},
                    Defect{"PostgresWithoutFence", Mutation::kPostgresWithoutFence, 2},
                    Defect{"ResumeWithoutSeek", Mutation::kResumeWithoutSeek, 2},
                    Defect{"StopCommitsAfterAbort", Mutation::kStopCommitsAfterAbort, 16},
                    Defect{"CutAfterFailedWrite", Mutation::kCutAfterFailedWrite, 5},
                    Defect{"ManifestDroppedAfterOneFailure", Mutation::kManifestDroppedAfterOneFailure, 5},
                    Defect{"LakeMarkNotLookedFor", Mutation::kLakeMarkNotLookedFor, 3},
                    Defect{"AbortedProducerUsedAgain", Mutation::kAbortedProducerUsedAgain, 5},
                    Defect{"ReaderSkipsARecord", Mutation::kReaderSkipsARecord, 1},
                    Defect{"OldRecordBeatsNew", Mutation::kOldRecordBeatsNew, 2}),
    [](const auto& defect) { return defect.param.name; });

// Takes so many seeds that only scripts/test --long looks for it.
std::vector<Defect> HardDefects() {
  if (std::getenv("TIDEMARK_LONG") == nullptr) return {};
  return {Defect{"GroupMetadataFetchedFresh", Mutation::kGroupMetadataFetchedFresh, 602}};
}

INSTANTIATE_TEST_SUITE_P(Hard, Mutations, testing::ValuesIn(HardDefects()),
                         [](const auto& defect) { return defect.param.name; });
#endif

}  // namespace
}  // namespace tidemark::sim
