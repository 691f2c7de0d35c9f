// The states of a sink thread, over a sink that answers as it is told; and the PostgreSQL sink on its feed.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/sinks/postgres/memory.h"
#include "src/base/status.h"
#include "src/runtime/postgres_feed_sink.h"
#include "tests/sim/sink_world.h"

namespace tidemark::sim {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::SizeIs;

// What the thread asked of a sink, and what the sink is to answer. Outlives the sink.
struct Script {
  absl::Status open, progress;
  std::vector<std::string> calls;
  std::map<int32_t, FeedPosition> durable;
  std::map<int32_t, std::vector<FeedRows>> taken;
  int64_t taken_bytes = 0, most_bytes = 0, rows = 0;
};

class ScriptedSink final : public FeedSink {
 public:
  explicit ScriptedSink(Script* script) : script_(*script) {}

  absl::Status Open() override { return script_.open; }
  absl::StatusOr<std::map<int32_t, FeedPosition>> Assigned(const std::vector<int32_t>& partitions, Consumer*,
                                                           std::shared_ptr<const GroupMetadata>) override {
    script_.calls.push_back("assigned");
    std::map<int32_t, FeedPosition> starts;
    for (const int32_t partition : partitions) starts[partition] = script_.durable[partition];
    return starts;
  }
  absl::Status Dropped(bool lost) override {
    script_.calls.push_back(lost ? "dropped" : "given up");
    Forget();
    return absl::OkStatus();
  }
  void Take(FeedRows rows) override {
    for (const Batch& batch : rows.batches) script_.taken_bytes += BatchBytes(*batch);
    script_.most_bytes = std::max(script_.most_bytes, script_.taken_bytes);
    script_.taken[rows.partition].push_back(std::move(rows));
  }
  bool Full() const override { return script_.taken_bytes >= 1 << 20; }
  absl::Status Progress(const std::map<int32_t, FeedPosition>&, bool) override {
    if (!script_.progress.ok()) {
      script_.calls.push_back("failed");
      return script_.progress;
    }
    for (const auto& [partition, pieces] : script_.taken) {
      FeedPosition& durable = script_.durable[partition];
      for (const FeedRows& rows : pieces) {
        // The marker of the transaction before may lie between.
        EXPECT_THAT(rows.first - std::max<Offset>(durable.next, 0), AnyOf(0, 1)) << "a gap in partition " << partition;
        durable = {rows.next, absl::StrCat("up to ", rows.next)};
        for (const Batch& batch : rows.batches) script_.rows += batch->num_rows();
      }
    }
    if (Holds()) ++decisions_;
    Forget();
    return absl::OkStatus();
  }
  bool Holds() const override { return !script_.taken.empty(); }
  bool Settled() const override { return true; }
  void Interrupt() override {}
  std::map<TopicPartition, Offset> Trims() const override { return {}; }
  int64_t decisions() const override { return decisions_; }
  int64_t rows_written() const override { return script_.rows; }
  int64_t rows_refused() const override { return 0; }

 private:
  void Forget() {
    script_.taken.clear();
    script_.taken_bytes = 0;
  }

  Script& script_;
  int64_t decisions_ = 0;
};

class SinkThreadTest : public ::testing::Test {
 protected:
  Script script_;
  SinkWorld world_{"parquet: { path: /simulated }",
                   [this](const Runtime&) { return std::make_unique<ScriptedSink>(&script_); }};
};

TEST_F(SinkThreadTest, AnOutsideThatIsAwayIsTriedAgainWithWhatWasTaken) {
  ASSERT_TRUE(world_.Boot().ok());
  world_.Feed(0, 5);
  world_.Feed(1, 5);
  script_.progress = absl::UnavailableError("refused");
  ASSERT_TRUE(world_.Turns(100).ok());
  EXPECT_EQ(world_.thread().status().last_error, "refused");
  EXPECT_GT(world_.thread().status().failing_since_us, 0);
  EXPECT_TRUE(world_.thread().status().assigned);
  world_.Feed(0, 5);
  script_.progress = absl::OkStatus();
  ASSERT_TRUE(world_.Turns(200).ok());
  EXPECT_EQ(script_.rows, 15);
  EXPECT_EQ(world_.thread().status().last_error, "");
  EXPECT_THAT(script_.calls, Not(Contains("dropped")));
}

TEST_F(SinkThreadTest, WhatIsAbortedIsDroppedAndReadAgain) {
  ASSERT_TRUE(world_.Boot().ok());
  world_.Feed(0, 5);
  script_.progress = absl::AbortedError("a file failed");
  ASSERT_TRUE(world_.Turns(40).ok());
  EXPECT_EQ(script_.rows, 0);
  EXPECT_THAT(script_.calls, Contains("dropped"));
  script_.progress = absl::OkStatus();
  ASSERT_TRUE(world_.Turns(200).ok());
  EXPECT_EQ(script_.rows, 5);
  EXPECT_EQ(world_.thread().status().last_error, "");
}

TEST_F(SinkThreadTest, AStopAfterAFinalErrorMakesNothingDurable) {
  ASSERT_TRUE(world_.Boot().ok());
  world_.Feed(0, 5);
  script_.progress = absl::FailedPreconditionError("contradiction");
  EXPECT_TRUE(absl::IsFailedPrecondition(world_.Turns(40)));
  script_.progress = absl::OkStatus();
  script_.calls.clear();
  EXPECT_TRUE(world_.thread().Stop(false).ok());
  EXPECT_THAT(script_.calls, IsEmpty());
  EXPECT_EQ(script_.rows, 0);
}

TEST_F(SinkThreadTest, WhoeverIsFencedWaitsForTheGroupToSayWhetherItStillOwnsAnything) {
  ASSERT_TRUE(world_.Boot().ok());
  world_.Feed(0, 5);
  script_.progress = absl::CancelledError("fenced");
  ASSERT_TRUE(world_.Turns(40).ok());
  const auto times = [&] { return std::count(script_.calls.begin(), script_.calls.end(), "assigned"); };
  EXPECT_EQ(times(), 1);
  script_.progress = absl::OkStatus();
  ASSERT_TRUE(world_.Turns(100).ok());
  EXPECT_EQ(times(), 2);
  EXPECT_EQ(script_.rows, 5);
}

TEST_F(SinkThreadTest, TheUsersMistakeShowsAtTheStartAndAnOutsideThatIsAwayDoesNotKeepFromIt) {
  script_.open = absl::InvalidArgumentError("wrong password");
  EXPECT_TRUE(absl::IsInvalidArgument(world_.Boot()));
  script_.open = absl::UnavailableError("refused");
  ASSERT_TRUE(world_.Boot().ok());
  EXPECT_EQ(world_.thread().status().last_error, "refused");
  script_.open = absl::OkStatus();
  world_.Feed(0, 5);
  ASSERT_TRUE(world_.Turns(100).ok());
  EXPECT_EQ(script_.rows, 5);
  EXPECT_EQ(world_.thread().status().last_error, "");
}

TEST_F(SinkThreadTest, ASinkThatCatchesUpIsGivenAFewMegabytesAtATime) {
  ASSERT_TRUE(world_.Boot().ok());
  ASSERT_TRUE(world_.Turns(20).ok());
  for (int i = 0; i < 200; ++i) world_.Feed(0, 16'000);  // 25 MB and more of unpacked rows in one poll
  ASSERT_TRUE(world_.Turns(20).ok());
  EXPECT_EQ(script_.rows, 3'200'000);
  EXPECT_THAT(script_.most_bytes, AllOf(Gt(1 << 20), Le(8 << 20)));
}

// ---- PostgreSQL

class PostgresFeedSinkTest : public ::testing::Test {
 protected:
  const Schema schema_{{{"id", {Kind::kInt64}, false}}};
  MemoryPostgres database_{schema_, {}, false}, emptied_{schema_, {}, false};
  MemoryPostgres* current_ = &database_;
  SinkWorld world_{"postgres: { url: \"postgresql://simulated\", table: t }", [this](const Runtime& runtime) {
                     return std::make_unique<PostgresFeedSink>(runtime, 0, [this, &runtime] {
                       const SinkPlan& sink = runtime.plan->sinks[0];
                       return PostgresSink::Over(current_->NewSession(), std::get<PostgresSinkSpec>(sink.spec),
                                                 sink.name, sink.schema, sink.mode);
                     });
                   }};
};

TEST_F(PostgresFeedSinkTest, AnEmptyFeedIsConfirmedToTheGroup) {
  ASSERT_TRUE(world_.Boot().ok());
  ASSERT_TRUE(world_.Turns(40).ok());
  const auto committed = world_.cluster().CommittedOffsets(world_.group(), {world_.feed(0), world_.feed(1)});
  EXPECT_EQ(committed.at(world_.feed(0)).offset, 0);
  EXPECT_EQ(committed.at(world_.feed(1)).offset, 0);
}

TEST_F(PostgresFeedSinkTest, WhoLeavesAtAnyMomentLeavesThePositionWhereItWas) {
  ASSERT_TRUE(world_.Boot().ok());
  world_.Feed(0, 2);
  world_.Feed(1, 1);
  ASSERT_TRUE(world_.Turns(40).ok());
  const auto position = [this](int32_t partition) {
    return world_.cluster()
        .CommittedOffsets(world_.group(), {world_.feed(partition)})
        .at(world_.feed(partition))
        .offset;
  };
  const Offset first = position(0), second = position(1);
  EXPECT_EQ(first, world_.kafka().admin().LogEnd(world_.feed(0), Isolation::kReadUncommitted).value());
  world_.cluster().faults().fetch_waits = 0.8;
  for (int turns = 0; turns < 40; ++turns) {
    ASSERT_TRUE(world_.thread().Stop(true).ok());
    EXPECT_EQ(position(0), first) << "before a start of " << turns << " turns";
    EXPECT_EQ(position(1), second) << "before a start of " << turns << " turns";
    ASSERT_TRUE(world_.Boot().ok());
    ASSERT_TRUE(world_.Turns(turns % 8).ok());
    EXPECT_EQ(position(0), first) << "behind " << turns % 8 << " turns";
    EXPECT_EQ(position(1), second) << "behind " << turns % 8 << " turns";
  }
}

TEST_F(PostgresFeedSinkTest, ADatabaseThatHasLessThanTheGroupWasToldOfIsWaitedFor) {
  ASSERT_TRUE(world_.Boot().ok());
  world_.Feed(0, 2);
  world_.Feed(1, 1);
  ASSERT_TRUE(world_.Turns(40).ok());
  EXPECT_TRUE(world_.thread().settled());
  ASSERT_TRUE(world_.thread().Stop(true).ok());
  current_ = &emptied_;
  ASSERT_TRUE(world_.Boot().ok());
  world_.cluster().faults().fetch_waits = 0.8;
  int turns = 0;
  for (; turns < 200 && !world_.thread().settled(); ++turns) ASSERT_TRUE(world_.Turns(1).ok());
  EXPECT_THAT(emptied_.Rows(), SizeIs(3)) << "after " << turns << " turns";
}

TEST_F(PostgresFeedSinkTest, AConnectionLostAtAnyCallLosesAndDoublesNothing) {
  for (const bool commit_happens : {false, true}) {
    for (int lost_at = 0; lost_at < 40; ++lost_at) {
      ASSERT_TRUE(world_.Boot().ok());
      ASSERT_TRUE(world_.Turns(10).ok());
      const size_t before = database_.Rows().size();
      database_.LoseConnection(lost_at, commit_happens);
      for (int i = 0; i < 3; ++i) {
        world_.Feed(0, 2);
        world_.Feed(1, 1);
        ASSERT_TRUE(world_.Turns(5).ok());
      }
      database_.LoseConnection(std::nullopt);
      ASSERT_TRUE(world_.Turns(100).ok());
      ASSERT_THAT(database_.Rows(), SizeIs(before + 9)) << "lost at call " << lost_at;
      ASSERT_TRUE(world_.thread().Stop(false).ok());
    }
  }
}

}  // namespace
}  // namespace tidemark::sim
