// What housekeeping asks the brokers for, and what it makes of their answers.
#include "src/runtime/housekeeping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/clock.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

// An Admin that answers what it is told to; no other part of a client is used.
class FakeKafka final : public KafkaClient, public Admin {
 public:
  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions&) override { return Never(); }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions&) override { return Never(); }
  Admin& admin() override { return *this; }

  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>& topics) override {
    EXPECT_THAT(topics, ElementsAre("town.places.view"));
    return std::map<std::string, TopicInfo>{{topics[0], {1, view_id}}};
  }
  absl::StatusOr<std::map<std::string, TopicInfo>> List(const std::string&) override { return Never(); }
  absl::StatusOr<GroupMembers> GroupAssignments(const std::string&) override { return Never(); }
  absl::Status CreateTopics(const std::vector<TopicToCreate>&) override { return Never(); }
  absl::StatusOr<Offset> LogStart(const TopicPartition&) override { return Never(); }
  absl::StatusOr<Offset> LogEnd(const TopicPartition&, Isolation) override { return Never(); }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>&) override {
    return Never();
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>& partitions,
                                                           Isolation) override {
    asked.push_back(partitions);
    if (!answer.ok()) return answer;
    std::map<TopicPartition, Offset> ends;
    for (const TopicPartition& partition : partitions) ends[partition] = 100;
    return ends;
  }
  absl::StatusOr<Offset> OffsetForTime(const TopicPartition&, int64_t) override { return Never(); }
  absl::Status DeleteRecords(const std::vector<std::pair<TopicPartition, Offset>>& before) override {
    trims.push_back(before);
    return answer;
  }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> GroupOffsets(const std::string&,
                                                                         const std::vector<TopicPartition>&) override {
    return Never();
  }

  absl::Status answer;
  std::string view_id;
  std::vector<std::vector<TopicPartition>> asked;
  std::vector<std::vector<std::pair<TopicPartition, Offset>>> trims;

 private:
  static absl::Status Never() { return absl::InternalError("housekeeping doesn't ask for this"); }
};

class HousekeepingTest : public ::testing::Test {
 protected:
  HousekeepingTest() {
    runtime_.kafka = &kafka_;
    runtime_.clock = &clock_;
    runtime_.control = &control_;
    ThreadStatus& thread = status_.threads.emplace_back();
    TaskStatus& task = thread.tasks.emplace_back();
    for (int32_t p = 0; p < 32; ++p) task.positions.push_back({{"in", p}, 10});
    thread.trims = {{{"town.in.changelog", 3}, 50}};
  }

  void Round() {
    clock_.now += 10 * kSecond;
    EXPECT_TRUE(housekeeping_.Step().ok());
  }

  struct StoppedClock final : Clock {
    int64_t MonotonicUs() override { return now; }
    int64_t WallUs() override { return now; }
    int64_t now = 0;
  };

  FakeKafka kafka_;
  StoppedClock clock_;
  RunControl control_;
  Runtime runtime_;
  WorkerStatus status_;  // no thread runs: stores are left alone
  Housekeeping housekeeping_{runtime_, [this] { return status_; }};
};

TEST_F(HousekeepingTest, BrokersThatAreAwayAreAskedOnceARoundAndNotOncePerPartition) {
  kafka_.answer = absl::UnavailableError("away");
  Round();
  EXPECT_THAT(kafka_.asked, ElementsAre(SizeIs(32)));
  EXPECT_THAT(housekeeping_.ends(), IsEmpty());
}

TEST_F(HousekeepingTest, EndsThatAreKnownStandWhileBrokersAreAway) {
  Round();
  EXPECT_THAT(housekeeping_.ends(), SizeIs(32));
  kafka_.answer = absl::UnavailableError("away");
  Round();
  EXPECT_THAT(housekeeping_.ends(), SizeIs(32));
  status_.threads[0].tasks.clear();  // the partitions have gone to another worker
  Round();
  EXPECT_THAT(housekeeping_.ends(), IsEmpty());
}

TEST_F(HousekeepingTest, AToldStopEndsTheRound) {
  control_.stop = true;
  Round();
  EXPECT_THAT(kafka_.asked, IsEmpty());
}

TEST_F(HousekeepingTest, ATrimIsRepeatedUntilItHasWorkedAndThenNoMore) {
  kafka_.answer = absl::UnavailableError("away");
  Round();
  kafka_.answer = absl::OkStatus();
  for (int i = 0; i < 3; ++i) Round();
  EXPECT_THAT(kafka_.trims, SizeIs(2));
  status_.threads[0].trims = {{{"town.in.changelog", 3}, 60}};
  Round();
  EXPECT_THAT(kafka_.trims.back(), ElementsAre(Pair(TopicPartition{"town.in.changelog", 3}, 60)));
}

TEST_F(HousekeepingTest, AViewsTopicThatWasMadeAgainIsTrimmedByWhatIsKnownOfTheNewOneAlone) {
  const TopicPartition log{"town.places.view", 0};
  status_.threads[0].trims.clear();
  ViewStatus& view = status_.views.emplace_back();
  view.trim = {log, 500};
  view.topic_id = "first";
  kafka_.view_id = "second";
  Round();
  EXPECT_THAT(kafka_.trims, IsEmpty());
  kafka_.view_id = "first";
  Round();
  EXPECT_THAT(kafka_.trims, ElementsAre(ElementsAre(Pair(log, 500))));
  view.trim = {log, 20};
  view.topic_id = kafka_.view_id = "second";
  Round();
  EXPECT_THAT(kafka_.trims.back(), ElementsAre(Pair(log, 20)));
}

}  // namespace
}  // namespace tidemark
