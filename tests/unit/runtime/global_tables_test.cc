// Tables that live in topics: read to their end, followed together, and left alone at a stop.
#include "src/runtime/global_tables.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/action.h"
#include "tests/unit/codec/test_format.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// One consumer, which gives what lies ready; every topic has a partition with two records at start.
class FakeKafka final : public SilentKafka, public SilentAdmin {
 public:
  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions&) override {
    ++consumers;
    return std::make_unique<Reader>(this);
  }
  Admin& admin() override { return *this; }

  absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>& asked) override {
    return Everywhere(asked, 0);
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>& asked,
                                                           Isolation) override {
    return Everywhere(asked, 2);
  }

  int consumers = 0;
  std::vector<std::pair<TopicPartition, Offset>> assigned;
  std::deque<std::unique_ptr<Fetch>> ready;
  absl::Status fails;  // the next poll

 private:
  class Reader final : public SilentConsumer {
   public:
    explicit Reader(FakeKafka* kafka) : kafka_(*kafka) {}
    absl::StatusOr<PollResult> Poll(int64_t, size_t) override {
      if (!kafka_.fails.ok()) return std::exchange(kafka_.fails, absl::OkStatus());
      PollResult result;
      if (kafka_.ready.empty()) return result;
      result.fetches.push_back(std::move(kafka_.ready.front()));
      kafka_.ready.pop_front();
      return result;
    }
    absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) override {
      kafka_.assigned = positions;
      return absl::OkStatus();
    }
    absl::Status Hold(const std::vector<TopicPartition>&) override { return absl::OkStatus(); }
    absl::Status Release(const std::vector<TopicPartition>&) override { return absl::OkStatus(); }

   private:
    FakeKafka& kafka_;
  };

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
    kafka_.ready.push_back(std::make_unique<FakeFetch>(TopicPartition{topic, 0}, first, values));
  }
  static std::map<std::string, int64_t> SizesOf(const GlobalTables& tables) {
    std::map<std::string, int64_t> sizes;
    for (const GlobalTables::Status& table : tables.Describe()) sizes[table.name] = table.rows;
    return sizes;
  }
  std::map<std::string, int64_t> Sizes() const { return SizesOf(tables_); }

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

TEST_F(GlobalTablesTest, ARecordThatCantBeReadYetHoldsItsOwnTableAndNothingIsLost) {
  const Formats words = codec_test::Words();
  GlobalTables tables(plan_, &kafka_, words);
  Comes("places-topic", 0, {"1 2", "?schema 3"});
  Comes("items-topic", 0, {"1", "2"});
  int turns = 0;
  const absl::Status loaded = tables.Load(partitions_, [&] {
    if (++turns == 10) codec_test::WordReader::here().insert("schema");
    return turns > 1000;
  });
  ASSERT_TRUE(loaded.ok()) << loaded;
  EXPECT_GE(turns, 10);
  EXPECT_THAT(SizesOf(tables), UnorderedElementsAre(Pair("places", 3), Pair("items", 2)));

  Comes("places-topic", 2, {"4 ?more"});
  Comes("items-topic", 2, {"3"});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(tables.Follow(0).ok());
  EXPECT_THAT(SizesOf(tables), UnorderedElementsAre(Pair("places", 3), Pair("items", 3)));
  for (const GlobalTables::Status& table : tables.Describe()) {
    EXPECT_EQ(table.waits_for, table.name == "places" ? "more, at places-topic-0" : "");
  }
  codec_test::WordReader::here().insert("more");
  while (SizesOf(tables)["places"] == 3) ASSERT_TRUE(tables.Follow(0).ok());
  EXPECT_THAT(SizesOf(tables), UnorderedElementsAre(Pair("places", 4), Pair("items", 3)));
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
