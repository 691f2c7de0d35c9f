// Behind a batch step a sink shows commits whole, whatever breaks: a table that is looked at after every step of its
// thread, over a database that loses connections and processes that end.
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/sinks/postgres/memory.h"
#include "src/base/mutation.h"
#include "src/runtime/postgres_feed_sink.h"
#include "tests/sim/sink_world.h"

namespace tidemark::sim {
namespace {

constexpr char kSink[] = "atomic: true, postgres: { url: \"postgresql://simulated\", table: t }";
constexpr char kStep[] = "batch: { by: [id], expected: \"1\", deadline: 1m }";
constexpr int kRows = 20'000;  // of a commit: two records of the feed

class Table {
 public:
  Table() : world_(kSink, [this](const Runtime& runtime) { return Sink(runtime); }, kStep) {}

  SinkWorld& world() { return world_; }
  MemoryPostgres& database() { return database_; }
  size_t rows() const { return database_.Rows().size(); }

 private:
  std::unique_ptr<FeedSink> Sink(const Runtime& runtime) {
    return std::make_unique<PostgresFeedSink>(runtime, 0, [this, &runtime] {
      const SinkPlan& sink = runtime.plan->sinks[0];
      return PostgresSink::Over(database_.NewSession(), std::get<PostgresSinkSpec>(sink.spec), sink.name, sink.schema,
                                sink.mode);
    });
  }

  MemoryPostgres database_{Schema({{"id", {.kind = Kind::kInt64}, false}}), {}, false};
  SinkWorld world_;
};

// How often a reader saw a part of a commit, and whether all came in the end.
int PartsSeen(uint64_t seed) {
  Table table;
  std::mt19937_64 random(seed);
  SinkWorld& world = table.world();
  EXPECT_TRUE(world.Boot().ok());
  EXPECT_TRUE(world.Turns(3).ok());
  constexpr size_t kCommits = 4;
  int parts = 0;
  for (size_t fed = 0; fed < kCommits; ++fed) {
    world.Feed(static_cast<int32_t>(random() % 2), kRows);
    for (int turn = 0; turn < 4; ++turn) {
      table.database().LoseConnection(static_cast<int64_t>(random() % 8), random() % 2 == 0);
      if (random() % 4 == 0) {
        EXPECT_TRUE(world.Boot().ok());
      }
      EXPECT_TRUE(world.Turns(1).ok());
      parts += table.rows() % kRows == 0 ? 0 : 1;
    }
  }
  table.database().LoseConnection(std::nullopt);
  EXPECT_TRUE(world.Turns(400).ok());
  EXPECT_EQ(table.rows(), kCommits * kRows);
  return parts;
}

TEST(WholeCommits, AReaderNeverSeesAPartOfOne) {
  for (uint64_t seed = 0; seed < 5; ++seed) EXPECT_EQ(PartsSeen(seed), 0) << "seed " << seed;
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST(WholeCommits, ASinkThatIsGivenPartsIsFoundOut) {
  SetMutation(Mutation::kCommitShownInParts, true);
  int parts = 0;
  for (uint64_t seed = 0; seed < 5; ++seed) parts += PartsSeen(seed);
  SetMutation(Mutation::kCommitShownInParts, false);
  EXPECT_GT(parts, 0);
}
#endif

TEST(WholeCommits, ARefusedRowRefusesItsBatchAndNoOther) {
  Table table;
  SinkWorld& world = table.world();
  ASSERT_TRUE(world.Boot().ok());
  table.database().Refuse([](const std::string& row) { return row == "{\"id\":20007}"; });
  for (int commit = 0; commit < 3; ++commit) world.Feed(0, kRows);
  ASSERT_TRUE(world.Turns(200).ok());
  EXPECT_EQ(table.rows(), 2u * kRows);
  EXPECT_EQ(world.thread().status().refused, kRows);
}

}  // namespace
}  // namespace tidemark::sim
