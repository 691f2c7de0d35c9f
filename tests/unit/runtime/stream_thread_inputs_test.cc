// What a stream thread's task makes of inputs that aren't a row a record: numbered records of an intake, records of
// many rows or none, changes of a row, and records that can't be read yet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/metrics.h"
#include "tests/unit/codec/test_format.h"
#include "tests/unit/runtime/stream_thread_fixture.h"

namespace tidemark {
namespace {

using namespace stream_thread_test;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A topic that an intake fills.
class IntakeTopicTest : public StreamThreadTest {
 protected:
  IntakeTopicTest() { plan_.sources[0].files.emplace(); }
  void ThenNumbered(Offset offset, const std::vector<std::string>& numbers) {
    Then([=] {
      auto fetch = std::make_unique<FakeFetch>(TopicPartition{"in", 0}, offset,
                                               std::vector<std::string>(numbers.size(), "{\"n\":1}"));
      for (const std::string& number : numbers) fetch->headers.push_back({{"tidemark.number", number}});
      PollResult result;
      result.fetches.push_back(std::move(fetch));
      return result;
    });
  }
  // Behind number 1.
  void ExpectRefused(const std::string& number, const std::string& words) {
    Run();
    ThenNumbered(0, {"0:1", number});
    absl::Status status;
    for (int i = 0; i < 3 && status.ok(); ++i) status = thread_->Step(0);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
};

TEST_F(IntakeTopicTest, NumbersThatFollowEachOtherArePartOfThePosition) {
  Run();
  ThenNumbered(0, {"0:1", "0:2", "1:1"});
  ThenNumbered(3, {"1:2", "0:3:2"});
  for (int i = 0; i < 4; ++i) {
    clock_.monotonic_us += kSecond;
    ASSERT_TRUE(thread_->Step(0).ok());
  }
  EXPECT_EQ(Sent().at({"in", 0}), 5);
}

TEST_F(IntakeTopicTest, ARecordThatIsMissingStopsTheTask) { ExpectRefused("0:3", "1 records are missing"); }
TEST_F(IntakeTopicTest, ARecordThatComesAgainStopsTheTask) { ExpectRefused("0:1", "has been read before"); }
TEST_F(IntakeTopicTest, ARecordOfSomebodyElseStopsTheTask) { ExpectRefused("", "without a number"); }
TEST_F(IntakeTopicTest, ARecordOfAFormThatIsNotKnownStopsTheTask) {
  ExpectRefused("0:2:3", "form 3, written by a later version");
}
TEST_F(IntakeTopicTest, ARecordOfNoFormStopsTheTask) { ExpectRefused("0:2:x", "without a number"); }

// Records that aren't one row each, and at once.
class WordsTest : public StreamThreadTest {
 protected:
  WordsTest() { runtime_.formats = &formats_; }
  void ThenWords(int32_t partition, Offset offset, const std::vector<std::string>& values) {
    Then([=] {
      PollResult result;
      result.fetches.push_back(std::make_unique<FakeFetch>(TopicPartition{"in", partition}, offset, values));
      return result;
    });
  }
  void Step() {
    clock_.monotonic_us += kSecond;  // what is due is committed
    ASSERT_TRUE(thread_->Step(0).ok());
  }
  std::vector<std::string> Values(const std::string& topic) const {
    std::vector<std::string> values;
    for (const ProducedRecord& record : producer_.records) {
      if (record.topic == topic) values.push_back(record.value.value_or("(null)"));
    }
    return values;
  }
  StepLedger LedgerOf(const std::string& step) const {
    StepLedger sum;
    for (const TaskStatus& task : thread_->status().tasks) {
      for (const auto& [name, ledger] : task.ledger) {
        if (name != step) continue;
        sum.in += ledger.in;
        sum.passed += ledger.passed;
        sum.absorbed += ledger.absorbed;
        sum.dead_lettered += ledger.dead_lettered;
      }
    }
    return sum;
  }
  const Formats formats_ = codec_test::Words();

  std::vector<TaskStatus::Wait> Waits() const {
    std::vector<TaskStatus::Wait> waits;
    for (const TaskStatus& task : thread_->status().tasks) {
      waits.insert(waits.end(), task.waits.begin(), task.waits.end());
    }
    return waits;
  }
};

TEST_F(WordsTest, ARecordOfManyRowsOrNoneIsCountedAndCommittedAsOne) {
  Run();
  ThenWords(0, 10, {"1 2 3", "", "4 bad", "5"});
  Step();
  Step();
  EXPECT_THAT(Values("out"), ElementsAre(R"({"n":1})", R"({"n":2})", R"({"n":3})", R"({"n":5})"));
  EXPECT_THAT(Values("dead"), ElementsAre("4 bad"));
  EXPECT_EQ(Sent().at({"in", 0}), 14);
  Step();
  const StepLedger ledger = LedgerOf("in");
  EXPECT_EQ(ledger.in, 6);
  EXPECT_EQ(ledger.in, ledger.passed + ledger.absorbed + ledger.dead_lettered);
  EXPECT_EQ(ledger.absorbed, 1);
}

TEST_F(WordsTest, AChangeOfARowIsAPairThatAnUpsertSinkShows) {
  plan_.sources[0].hidden = plan_.sources[0].hidden.With(Hidden::kOp);
  for (Node& node : plan_.stages[0].nodes) {
    node.hidden = plan_.sources[0].hidden;
    for (Port& port : node.inputs) port.hidden = node.hidden;
  }
  auto& sink = std::get<KafkaSinkSpec>(plan_.sinks[0].spec);
  sink.upsert = true;
  sink.key = {0};
  Run();
  ThenWords(0, 0, {"1", "-1 +2"});
  Step();
  EXPECT_THAT(Values("out"), ElementsAre(R"({"n":1})", "(null)", R"({"n":2})"));
}

TEST_F(WordsTest, ARecordThatCantBeReadYetStopsItsPartitionAlone) {
  Run();
  ThenWords(0, 0, {"1", "2 ?schema", "3"});
  ThenWords(0, 3, {"4"});  // polled before the partition was paused
  ThenWords(1, 0, {"5"});
  Step();
  EXPECT_THAT(calls_, Contains("pause"));
  Step();
  Step();
  EXPECT_THAT(Values("out"), ElementsAre(R"({"n":1})", R"({"n":5})"));
  Step();
  EXPECT_EQ(Sent().at({"in", 0}), 1) << "the position stays before the record";
  ASSERT_EQ(Waits().size(), 1u);
  EXPECT_EQ(Waits()[0].partition, (TopicPartition{"in", 0}));
  EXPECT_EQ(Waits()[0].what, "schema");
  WorkerStatus status;
  status.monotonic_us = clock_.monotonic_us;
  status.threads = {thread_->status()};
  const Health health = CheckReadiness(status);
  EXPECT_FALSE(health.ok);
  EXPECT_THAT(health.text, HasSubstr("in-0 has waited for schema for"));

  codec_test::WordReader::here().insert("schema");
  Step();
  EXPECT_THAT(Values("out"), ElementsAre(R"({"n":1})", R"({"n":5})", R"({"n":2})", R"({"n":3})", R"({"n":4})"));
  EXPECT_THAT(calls_, Contains("resume"));
  Step();
  EXPECT_EQ(Sent().at({"in", 0}), 4);
  Step();
  EXPECT_TRUE(Waits().empty());
}

TEST_F(WordsTest, AnEndThatIsReachedBehindARecordThatWaitsIsReachedWithIt) {
  Run();
  Then([] {
    PollResult result;
    result.fetches.push_back(
        std::make_unique<FakeFetch>(TopicPartition{"in", 0}, 0, std::vector<std::string>{"1 ?schema"}));
    result.ends.emplace_back(TopicPartition{"in", 0}, 7);
    return result;
  });
  Step();
  Step();
  EXPECT_TRUE(producer_.sent.empty()) << "nothing has moved, so nothing is committed";
  codec_test::WordReader::here().insert("schema");
  Step();
  Step();
  EXPECT_EQ(Sent().at({"in", 0}), 7);
}

TEST_F(WordsTest, AnEndBehindWhichMoreHasComeIsNoneThatMakesIdle) {
  Run();
  Then([] {
    PollResult result;
    result.fetches.push_back(
        std::make_unique<FakeFetch>(TopicPartition{"in", 0}, 0, std::vector<std::string>{"1 ?schema"}));
    result.ends.emplace_back(TopicPartition{"in", 0}, 1);
    return result;
  });
  ThenWords(0, 1, {"2"});  // polled before the partition was paused
  Step();
  Step();
  codec_test::WordReader::here().insert("schema");
  for (int i = 0; i < 20; ++i) Step();
  EXPECT_EQ(Sent().at({"in", 0}), 2);
  for (const TaskStatus& task : thread_->status().tasks) {
    EXPECT_FALSE(task.partition == 0 && task.idle) << "whether it is at its end isn't known";
  }
}

TEST_F(WordsTest, WhatWaitsIsReadAgainBehindAnAbort) {
  Run();
  ThenWords(0, 0, {"1", "2 ?schema"});
  Step();
  Step();
  producer_.fail = {{"produce out", absl::AbortedError("told to")}};
  ThenWords(1, 0, {"5"});
  Step();
  EXPECT_EQ(state(), ThreadStatus::State::kOpening);
  producer_.fail.clear();
  codec_test::WordReader::here().insert("schema");
  Step();
  ASSERT_EQ(state(), ThreadStatus::State::kRunning);
  const size_t before = Values("out").size();
  ThenWords(0, 1, {"2 ?schema"});  // from the committed position on
  Step();
  EXPECT_EQ(Values("out").size(), before + 1);
  EXPECT_EQ(Values("out").back(), R"({"n":2})");
}

}  // namespace
}  // namespace tidemark
