// Tables that live in topics: read to their end, followed together, and left alone at a stop.
#include "src/runtime/global_tables.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/action.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class TextFetch final : public Fetch {
 public:
  TextFetch(std::string topic, Offset first, std::vector<std::string> values)
      : source_{std::move(topic), 0}, values_(std::move(values)) {
    for (const std::string& value : values_) {
      RecordView record;
      record.offset = first++;
      record.value = value;
      records_.push_back(record);
    }
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return records_; }
  HeaderList Headers(size_t) const override { return {}; }

 private:
  const TopicPartition source_;
  const std::vector<std::string> values_;
  std::vector<RecordView> records_;
};

// One consumer, which gives what lies ready; every topic has a partition with two records at start.
class FakeKafka final : public KafkaClient, public Admin {
 public:
  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions&) override {
    ++consumers;
    return std::make_unique<Reader>(this);
  }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions&) override { return Unused(); }
  Admin& admin() override { return *this; }

  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>&) override {
    return Unused();
  }
  absl::StatusOr<GroupMembers> GroupAssignments(const std::string&) override { return Unused(); }
  absl::Status CreateTopics(const std::vector<TopicToCreate>&) override { return Unused(); }
  absl::StatusOr<Offset> LogStart(const TopicPartition&) override { return Unused(); }
  absl::StatusOr<Offset> LogEnd(const TopicPartition&, Isolation) override { return Unused(); }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>& asked) override {
    return Everywhere(asked, 0);
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>& asked,
                                                           Isolation) override {
    return Everywhere(asked, 2);
  }
  absl::StatusOr<Offset> OffsetForTime(const TopicPartition&, int64_t) override { return Unused(); }
  absl::Status DeleteRecords(const std::vector<std::pair<TopicPartition, Offset>>&) override { return Unused(); }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> GroupOffsets(const std::string&,
                                                                         const std::vector<TopicPartition>&) override {
    return Unused();
  }

  int consumers = 0;
  std::vector<std::pair<TopicPartition, Offset>> assigned;
  std::deque<std::unique_ptr<Fetch>> ready;
  absl::Status fails;  // the next poll

 private:
  class Reader final : public Consumer {
   public:
    explicit Reader(FakeKafka* kafka) : kafka_(*kafka) {}
    absl::Status Subscribe(const std::vector<std::string>&) override { return Unused(); }
    absl::StatusOr<PollResult> Poll(int64_t, size_t) override {
      if (!kafka_.fails.ok()) return std::exchange(kafka_.fails, absl::OkStatus());
      PollResult result;
      if (kafka_.ready.empty()) return result;
      result.fetches.push_back(std::move(kafka_.ready.front()));
      kafka_.ready.pop_front();
      return result;
    }
    void Wake() override {}
    absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) override {
      kafka_.assigned = positions;
      return absl::OkStatus();
    }
    absl::Status AssignPaused(const std::vector<TopicPartition>&) override { return Unused(); }
    absl::Status Unassign() override { return Unused(); }
    absl::Status Seek(const std::vector<std::pair<TopicPartition, Offset>>&) override { return Unused(); }
    absl::Status Pause(const std::vector<TopicPartition>&) override { return Unused(); }
    absl::Status Resume(const std::vector<TopicPartition>&) override { return Unused(); }
    std::shared_ptr<const GroupMetadata> Group() override { return nullptr; }
    absl::StatusOr<std::map<TopicPartition, CommittedOffset>> Committed(const std::vector<TopicPartition>&) override {
      return Unused();
    }
    Offset KnownEnd(const TopicPartition&) const override { return -1; }
    absl::Status CommitOffsets(const std::vector<OffsetToCommit>&) override { return Unused(); }
    absl::Status Close(bool) override { return absl::OkStatus(); }

   private:
    FakeKafka& kafka_;
  };

  static absl::Status Unused() { return absl::UnimplementedError("tables don't ask for this"); }
  static std::map<TopicPartition, Offset> Everywhere(const std::vector<TopicPartition>& partitions, Offset offset) {
    std::map<TopicPartition, Offset> offsets;
    for (const TopicPartition& partition : partitions) offsets[partition] = offset;
    return offsets;
  }
};

class GlobalTablesTest : public ::testing::Test {
 protected:
  GlobalTablesTest() {
    for (const std::string name : {"places", "items"}) {
      TablePlan& table = plan_.tables.emplace_back();
      table.name = name;
      table.topic = name + "-topic";
      SourceColumn id;
      id.column = {"id", {Kind::kInt64}, false};
      table.columns = {id};
      table.key = {0};
      partitions_[table.topic] = 1;
    }
  }

  void Comes(const std::string& topic, Offset first, std::vector<std::string> values) {
    kafka_.ready.push_back(std::make_unique<TextFetch>(topic, first, std::move(values)));
  }
  std::map<std::string, int64_t> Sizes() const {
    std::map<std::string, int64_t> sizes;
    for (const GlobalTables::Status& table : tables_.Describe()) sizes[table.name] = table.rows;
    return sizes;
  }

  Plan plan_;
  FakeKafka kafka_;
  std::map<std::string, int32_t> partitions_;
  GlobalTables tables_{plan_, &kafka_};
};

TEST_F(GlobalTablesTest, AreReadToTheirEndAndFollowedTogetherByOneConsumer) {
  Comes("places-topic", 0, {R"({"id":1})", R"({"id":2})"});
  Comes("items-topic", 0, {R"({"id":1})", R"({"id":1})"});
  const absl::Status loaded = tables_.Load(partitions_, [] { return false; });
  ASSERT_TRUE(loaded.ok()) << loaded;
  EXPECT_EQ(kafka_.consumers, 1);
  EXPECT_THAT(kafka_.assigned,
              ElementsAre(Pair(TopicPartition{"items-topic", 0}, 0), Pair(TopicPartition{"places-topic", 0}, 0)));
  EXPECT_THAT(Sizes(), UnorderedElementsAre(Pair("places", 2), Pair("items", 1)));

  const auto before = tables_.Get("places");
  Comes("items-topic", 2, {R"({"id":7})"});
  while (Sizes()["items"] == 1) ASSERT_TRUE(tables_.Follow(0).ok());
  EXPECT_EQ(Sizes()["items"], 2);
  EXPECT_EQ(tables_.Get("places"), before) << "a table that hasn't changed keeps its version";
}

TEST_F(GlobalTablesTest, AStopIsSeenWhileTheyAreRead) {
  Comes("places-topic", 0, {R"({"id":1})"});  // and nothing more
  int turns = 0;
  EXPECT_EQ(tables_.Load(partitions_, [&] { return ++turns > 10; }).code(), absl::StatusCode::kCancelled);
}

// By a retention time, between the question for its beginning and the first record.
TEST_F(GlobalTablesTest, ALogThatIsTrimmedUnderItsReaderIsLoadedAgainAndIsNoReasonToStopForGood) {
  kafka_.fails = absl::OutOfRangeError("the log starts later now");
  const auto never = [] { return false; };
  EXPECT_TRUE(absl::IsUnavailable(tables_.Load(partitions_, never)));

  GlobalTables tables(plan_, &kafka_);
  Comes("places-topic", 0, {R"({"id":1})", R"({"id":2})"});
  Comes("items-topic", 0, {R"({"id":1})", R"({"id":1})"});
  ASSERT_TRUE(tables.Load(partitions_, never).ok());
  kafka_.fails = absl::OutOfRangeError("the log starts later now");
  const absl::Status followed = tables.Follow(0);
  EXPECT_FALSE(followed.ok());
  EXPECT_EQ(ExitCode(followed), 1) << followed;
}

}  // namespace
}  // namespace tidemark
