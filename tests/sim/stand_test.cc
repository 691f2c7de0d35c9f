// What a generation still has to read, as the command that switches finds it: rows, wherever its positions are.
#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/generations/fence.h"
#include "src/runtime/topics.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::HasSubstr;

class StandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Plan> plan = PlanFromYaml(
        "name: town\ninternal_topics: { partitions: 1 }\n"
        "sources: { rows: { topic: in, columns: { id: int64, route: string } } }\n"
        "steps: { totals: { from: rows, group_by: [route], aggregates: { n: count(*) } } }\n"
        "sinks: { latest: { from: totals, topic: latest, key: [route], create: {} } }\n",
        "town.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
    ASSERT_TRUE(plan.ok()) << plan.status();
    town_ = *std::move(plan);
    cluster_.CreateTopic("in", 1);
    kafka_ = cluster_.NewClient(1);
    ASSERT_TRUE(ResolveTopics(town_, kafka_->admin(), /*create=*/true).ok());
    for (const Edge& edge : town_.edges) between_ = edge.topic;
    cluster_.log().CommitOffsets("town", {{{"in", 0}, 0, ""}, {{between_, 0}, 0, ""}});
  }

  void Write(bool commit) {
    auto producer = kafka_->NewProducer({.transactional_id = "a-worker", .written_topics = {between_}});
    ASSERT_TRUE(producer.ok()) << producer.status();
    ASSERT_TRUE((*producer)->InitTransactions().ok());
    ASSERT_TRUE((*producer)->Begin().ok());
    ASSERT_TRUE((*producer)->Produce(between_, {{0, std::nullopt, "rows", nullptr}}).ok());
    ASSERT_TRUE((*producer)->Flush().ok());
    std::string error;
    if (commit) {
      ASSERT_EQ((*producer)->Commit(&error), CommitOutcome::kCommitted) << error;
    } else {
      ASSERT_TRUE((*producer)->Abort().ok());
    }
  }

  std::string Undrained() {
    const absl::StatusOr<Stand> stand = ReadStand(town_, *kafka_);
    EXPECT_TRUE(stand.ok()) << stand.status();
    return stand.ok() ? stand->undrained : "";
  }

  SimClock clock_;
  SimCluster cluster_{{}, &clock_};
  Plan town_;
  std::unique_ptr<KafkaClient> kafka_;
  std::string between_;
};

TEST_F(StandTest, WhatAFencedWorkerHasWrittenInVainIsNobodysToRead) {
  EXPECT_EQ(Undrained(), "");
  Write(/*commit=*/false);
  EXPECT_EQ(Undrained(), "") << "the log has grown, and holds no row more";
  Write(/*commit=*/true);
  EXPECT_THAT(Undrained(), HasSubstr("isn't read to its end"));
}

TEST_F(StandTest, RowsThatWereDeletedInFrontOfTheirReaderAreMissed) {
  Write(/*commit=*/true);
  Write(/*commit=*/true);
  const auto ends = kafka_->admin().LogEnds({{between_, 0}}, Isolation::kReadCommitted);
  ASSERT_TRUE(ends.ok()) << ends.status();
  const Offset end = ends->at({between_, 0});
  cluster_.Trim({between_, 0}, end);
  EXPECT_THAT(Undrained(), HasSubstr(absl::StrCat("from 0 to ", end, " was deleted before that was read")));
  cluster_.log().CommitOffsets("town", {{{between_, 0}, end, ""}});
  EXPECT_EQ(Undrained(), "");
}

}  // namespace
}  // namespace tidemark::sim
