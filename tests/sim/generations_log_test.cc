// Two commands and the log of generations, on the simulated Kafka: who goes on with a switch, and how the other is
// told.
#include <functional>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/generations/generations_log.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

class GenerationsLogTest : public ::testing::Test {
 protected:
  GenerationsLogTest() : cluster_({}, &clock_), first_(cluster_.NewClient(1)), second_(cluster_.NewClient(2)) {
    plan_.application = {"town", 1};
  }
  std::unique_ptr<GenerationsWriter> Open(KafkaClient& kafka) {
    auto log = GenerationsWriter::Open(plan_, &kafka, [this] { clock_.Advance(100'000); });
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }

  Plan plan_;
  SimClock clock_;
  SimCluster cluster_;
  std::unique_ptr<KafkaClient> first_, second_;
};

TEST_F(GenerationsLogTest, WhoSleepsIsToldOnceAnotherHasWritten) {
  const auto sleeps = Open(*first_);
  ASSERT_TRUE(sleeps->Write(sleeps->state()).ok());
  EXPECT_TRUE(sleeps->StillMine().ok());
  const auto goes_on = Open(*second_);
  EXPECT_TRUE(sleeps->StillMine().ok());  // nothing has been done yet
  ASSERT_TRUE(goes_on->Write(goes_on->state()).ok());
  EXPECT_TRUE(absl::IsCancelled(sleeps->StillMine()));
  EXPECT_FALSE(sleeps->Write(sleeps->state()).ok());
  EXPECT_TRUE(absl::IsUnknown(sleeps->StillMine()));  // a writer that has failed is of no use
  EXPECT_TRUE(goes_on->StillMine().ok());
}

TEST_F(GenerationsLogTest, WhoOnlyAsksTakesNothingOver) {
  const auto wait = [this] { clock_.Advance(100'000); };
  const auto before = GenerationsWriter::OpenToRead(plan_, second_.get(), wait);
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_EQ((*before)->state().number(), 0);
  EXPECT_TRUE(first_->admin().Describe({"town.__generations"})->empty());  // nor is the log made
  const auto works = Open(*first_);
  ASSERT_TRUE(works->Write(works->state()).ok());
  const auto asks = GenerationsWriter::OpenToRead(plan_, second_.get(), wait);
  ASSERT_TRUE(asks.ok()) << asks.status();
  EXPECT_EQ((*asks)->state().number(), 1);
  EXPECT_TRUE(absl::IsUnknown((*asks)->Write((*asks)->state())));
  EXPECT_TRUE(works->Write(works->state()).ok());
}

}  // namespace
}  // namespace tidemark::sim
