#include "src/runtime/output.h"

#include <set>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/key_encoder.h"
#include "src/codec/murmur2.h"
#include "src/codec/packed_rows.h"
#include "src/codec/rows_reader.h"
#include "src/runtime/heard.h"
#include "src/runtime/record_output.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kInterval = 100 * kMillisecond;
constexpr int64_t kStart = 1'000 * kSecond;
constexpr int32_t kTargets = 4;

class EdgeOutputTest : public ::testing::Test {
 protected:
  EdgeOutputTest() {
    edge_.topic = "app.x.repartition";
    edge_.schema = PlaceSchema();
    edge_.key = {0};
  }

  EdgeOutput Make(int32_t task_partition = 5, int32_t targets = kTargets) {
    return EdgeOutput(edge_, targets, {"main", task_partition, /*count=*/8}, kInterval, &transaction_);
  }

  UnpackedRows Unpack(const ProducedRecord& record) const {
    auto unpacked = RowsReader(BatchSchema(edge_.schema, edge_.hidden)).Read(record.value.value());
    EXPECT_TRUE(unpacked.ok()) << unpacked.status();
    return *unpacked;
  }

  // "place n" of all records produced, by target partition.
  std::map<int32_t, std::vector<std::string>> Rows() const {
    std::map<int32_t, std::vector<std::string>> rows;
    for (const ProducedRecord& record : producer_.records) {
      EXPECT_EQ(record.topic, edge_.topic);
      const Batch batch = Unpack(record).rows;
      for (int64_t i = 0; batch != nullptr && i < batch->num_rows(); ++i) {
        rows[record.partition].push_back(
            absl::StrCat(std::string(std::static_pointer_cast<arrow::StringArray>(batch->column(0))->GetView(i)), " ",
                         std::static_pointer_cast<arrow::Int64Array>(batch->column(1))->Value(i)));
      }
    }
    return rows;
  }

  Edge edge_;
  FakeProducer producer_;
  Transaction transaction_{&producer_, 1 << 20};
};

TEST_F(EdgeOutputTest, RowsWaitForTheCommitAndAreCountedAsPending) {
  EdgeOutput output = Make();
  ASSERT_TRUE(output.Write(PlaceRows({{"a", 1}})).ok());
  EXPECT_TRUE(producer_.records.empty());
  EXPECT_FALSE(transaction_.open());
  EXPECT_EQ(output.rows_written(), 1);
  EXPECT_FALSE(transaction_.Full());
  std::vector<std::pair<std::string, int64_t>> many(100'000, {"place", 1});
  ASSERT_TRUE(output.Write(PlaceRows(many)).ok());
  EXPECT_TRUE(transaction_.Full()) << "waiting rows are bounded like produced ones";
}

// Wherever they go: behind the edge they have keys of their own.
TEST_F(EdgeOutputTest, AnUpdateWhoseHalvesDifferInTheKeyBecomesADeleteAndAnInsert) {
  edge_.update = true;
  edge_.hidden = edge_.hidden.With(Hidden::kOp);
  EdgeOutput output = Make(5, 2);
  const auto target_of = [&](const std::string& place) {
    std::vector<uint64_t> hashes;
    EXPECT_TRUE(HashKeys(*PlaceRows({{place, 0}}), edge_.key, &hashes).ok());
    return static_cast<int32_t>(hashes[0] % 2);
  };
  std::string here = "a", there = "b", beside = "c";
  while (target_of(there) == target_of(here)) there += "b";
  while (target_of(beside) != target_of(here)) beside += "c";
  const auto write = [&](const std::vector<std::tuple<std::string, int64_t, Op>>& changes) {
    std::vector<std::pair<std::string, int64_t>> rows;
    std::vector<int8_t> ops;
    for (const auto& [place, n, op] : changes) {
      rows.emplace_back(place, n);
      ops.push_back(static_cast<int8_t>(op));
    }
    const Batch batch = PlaceRows(rows);
    auto column = arrow::MakeArray(arrow::ArrayData::Make(arrow::int8(), static_cast<int64_t>(ops.size()),
                                                          {nullptr, arrow::Buffer::FromVector(ops)}, 0));
    const auto changed = batch->AddColumn(batch->num_columns(), HiddenField(Hidden::kOp), column);
    ASSERT_TRUE(output.Write(changed.ValueOrDie()).ok());
  };
  write({{here, 1, Op::kUpdateBefore},
         {there, 2, Op::kUpdateAfter},
         {here, 3, Op::kUpdateBefore},
         {here, 4, Op::kUpdateAfter},
         {there, 5, Op::kDelete},
         {here, 6, Op::kUpdateBefore}});
  write({{here, 7, Op::kUpdateAfter},  // its other half was in the batch before
         {here, 8, Op::kUpdateBefore},
         {beside, 9, Op::kUpdateAfter}});
  ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
  std::map<int32_t, std::vector<std::string>> found;
  for (const ProducedRecord& record : producer_.records) {
    const Batch batch = Unpack(record).rows;
    for (int64_t i = 0; batch != nullptr && i < batch->num_rows(); ++i) {
      found[record.partition].push_back(
          absl::StrCat(std::static_pointer_cast<arrow::Int64Array>(batch->column(1))->Value(i), " op ",
                       static_cast<int>(HiddenOps(*batch)[i])));
    }
  }
  EXPECT_THAT(found[target_of(here)],
              ElementsAre("1 op 3", "3 op 1", "4 op 2", "6 op 3", "7 op 0", "8 op 3", "9 op 0"));
  EXPECT_THAT(found[target_of(there)], ElementsAre("2 op 0", "5 op 3"));
}

TEST_F(EdgeOutputTest, ARowThatNoInternalTopicTakesGoesElsewhereAndTheOthersStand) {
  std::vector<std::string> refused;
  EdgeOutput output(edge_, kTargets, {"main", 5, 8}, kInterval, &transaction_, [&](RowFailure failure) {
    refused.push_back(absl::StrCat(failure.row, " ", failure.reason));
    return absl::OkStatus();
  });
  const std::string large(kMaxPackedRow, 'x');
  ASSERT_TRUE(output.Write(PlaceRows({{large, 0}, {"a", 1}, {"b", 2}, {large, 3}, {"c", 4}, {large, 5}})).ok());
  EXPECT_THAT(refused, ElementsAre(StartsWith("0 a row of 16777"), StartsWith("3 "), StartsWith("5 ")));
  EXPECT_THAT(refused[0], HasSubstr("larger than internal topic app.x.repartition takes: 16777216"));
  EXPECT_EQ(output.rows_written(), 3);
  ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
  std::set<std::string> kept;
  for (const auto& [target, rows] : Rows()) kept.insert(rows.begin(), rows.end());
  EXPECT_THAT(kept, ElementsAre("a 1", "b 2", "c 4"));
  EXPECT_EQ(Make().Write(PlaceRows({{large, 0}})).code(), absl::StatusCode::kInvalidArgument);
}

// It was refused when it came, so nobody has it; what stays of a pair is an insert or a delete.
TEST_F(EdgeOutputTest, ARowThatIsTooLargeIsReportedOnceThoughItIsTakenBackLater) {
  edge_.update = true;
  edge_.hidden = edge_.hidden.With(Hidden::kOp);
  std::vector<std::string> refused;
  for (const bool keyed : {true, false}) {
    if (!keyed) edge_.key.clear();  // a feed
    producer_.records.clear();
    refused.clear();
    EdgeOutput output(edge_, 1, {"main", 0, 8}, kInterval, &transaction_, [&](RowFailure failure) {
      refused.push_back(absl::StrCat(failure.row));
      return absl::OkStatus();
    });
    const std::string large(kMaxPackedRow, 'x');
    const Batch batch =
        PlaceRows({{"a", 1}, {"a", 2}, {large, 3}, {large, 3}, {"b", 4}, {"c", 5}, {"c", 6}, {large, 7}, {large, 7}});
    const std::vector<Op> changes = {Op::kUpdateBefore, Op::kUpdateAfter, Op::kInsert,
                                     Op::kUpdateBefore, Op::kUpdateAfter, Op::kInsert,
                                     Op::kUpdateBefore, Op::kUpdateAfter, Op::kDelete};
    std::vector<int8_t> ops;
    for (const Op op : changes) ops.push_back(static_cast<int8_t>(op));
    auto column = arrow::MakeArray(arrow::ArrayData::Make(arrow::int8(), static_cast<int64_t>(ops.size()),
                                                          {nullptr, arrow::Buffer::FromVector(ops)}, 0));
    ASSERT_TRUE(
        output.Write(batch->AddColumn(batch->num_columns(), HiddenField(Hidden::kOp), column).ValueOrDie()).ok());
    EXPECT_THAT(refused, ElementsAre("2", "7"));
    ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
    std::vector<std::string> found;
    for (const ProducedRecord& record : producer_.records) {
      const Batch rows = Unpack(record).rows;
      for (int64_t i = 0; rows != nullptr && i < rows->num_rows(); ++i) {
        found.push_back(absl::StrCat(std::static_pointer_cast<arrow::Int64Array>(rows->column(1))->Value(i), " op ",
                                     static_cast<int>(HiddenOps(*rows)[i])));
      }
    }
    EXPECT_THAT(found, ElementsAre("1 op 1", "2 op 2", "4 op 0", "5 op 0", "6 op 3")) << keyed;
  }
}

TEST_F(EdgeOutputTest, ARowsTargetDependsOnItsKeyAloneAndOrderIsKept) {
  EdgeOutput output = Make();
  std::vector<std::pair<std::string, int64_t>> first, second;
  for (int i = 0; i < 50; ++i) first.emplace_back("k" + std::to_string(i % 10), i);
  for (int i = 50; i < 100; ++i) second.emplace_back("k" + std::to_string(i % 10), i);
  ASSERT_TRUE(output.Write(PlaceRows(first)).ok());
  ASSERT_TRUE(output.Write(PlaceRows(second)).ok());
  ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
  std::map<std::string, std::pair<int32_t, int>> seen;  // key -> target, last n
  size_t count = 0;
  for (const auto& [target, rows] : Rows()) {
    for (const std::string& row : rows) {
      const std::string key = row.substr(0, 2);
      const int n = std::stoi(row.substr(3));
      const auto [it, fresh] = seen.try_emplace(key, target, n);
      EXPECT_EQ(it->second.first, target) << row;
      EXPECT_TRUE(fresh || it->second.second < n) << row;
      it->second.second = n;
      ++count;
    }
  }
  EXPECT_EQ(count, 100u);
  std::set<int32_t> targets;
  for (const auto& [key, where] : seen) targets.insert(where.first);
  EXPECT_GT(targets.size(), 1u);
}

TEST_F(EdgeOutputTest, OneRecordATargetCarriesAllRowsOfACommit) {
  EdgeOutput output = Make(0, 1);
  for (int64_t i = 0; i < 5; ++i) ASSERT_TRUE(output.Write(PlaceRows({{"a", i}})).ok());
  ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
  ASSERT_EQ(producer_.records.size(), 1u);
  EXPECT_THAT(Rows()[0], ElementsAre("a 0", "a 1", "a 2", "a 3", "a 4"));
}

TEST_F(EdgeOutputTest, WithoutAKeyRowsStayOnTheTasksPartition) {
  edge_.key.clear();
  EdgeOutput output = Make(/*task_partition=*/5);
  ASSERT_TRUE(output.Write(PlaceRows({{"a", 1}, {"b", 2}, {"c", 3}})).ok());
  ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
  EXPECT_THAT(Rows(), ElementsAre(std::pair(5 % kTargets, std::vector<std::string>{"a 1", "b 2", "c 3"})));
}

TEST_F(EdgeOutputTest, TheHeaderSaysWhoWroteItAndHowFarTimeHasCome) {
  EdgeOutput output = Make();
  ASSERT_TRUE(output.PrepareCommit(42, {EventTime{7}, true}, kStart).ok());
  ASSERT_EQ(producer_.records.size(), static_cast<size_t>(kTargets));
  const packed::RowsHeader header = Unpack(producer_.records[0]).header;
  EXPECT_EQ(header.upstream_partition(), 5);
  EXPECT_EQ(header.upstream_count(), 8);
  EXPECT_EQ(header.watermark_us(), 7);
  EXPECT_TRUE(header.idle());
  EXPECT_EQ(header.commit(), 42u);
  EXPECT_TRUE(header.last());
}

TEST_F(EdgeOutputTest, TargetsWithoutRowsAreToldTheTimeAtMostOnceAnInterval) {
  EdgeOutput output = Make();
  ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
  EXPECT_EQ(producer_.records.size(), static_cast<size_t>(kTargets));
  producer_.records.clear();
  EXPECT_FALSE(output.OwesMark({EventTime{8}, false}, kStart + kInterval - 1));
  ASSERT_TRUE(output.Write(PlaceRows({{"a", 1}})).ok());
  ASSERT_TRUE(output.PrepareCommit(2, {EventTime{8}, false}, kStart + kInterval - 1).ok());
  ASSERT_EQ(producer_.records.size(), 1u) << "only the target of the row";
  const int32_t told = producer_.records[0].partition;
  producer_.records.clear();
  EXPECT_TRUE(output.OwesMark({EventTime{8}, false}, kStart + kInterval));
  ASSERT_TRUE(output.PrepareCommit(3, {EventTime{8}, false}, kStart + kInterval).ok());
  std::set<int32_t> targets;
  for (const ProducedRecord& record : producer_.records) {
    EXPECT_EQ(Unpack(record).rows, nullptr);
    targets.insert(record.partition);
  }
  std::set<int32_t> others = {0, 1, 2, 3};
  others.erase(told);
  EXPECT_EQ(targets, others) << "who has heard it isn't told again";
  EXPECT_FALSE(output.OwesMark({EventTime{8}, false}, kStart + 10 * kInterval));
}

TEST_F(EdgeOutputTest, TheRecordsOfEachTargetAreNumberedThoseWithATimeOnlyToo) {
  EdgeOutput output = Make();
  ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
  ASSERT_TRUE(output.Write(PlaceRows({{"a", 1}})).ok());
  ASSERT_TRUE(output.PrepareCommit(2, {EventTime{7}, false}, kStart + kInterval).ok());
  ASSERT_TRUE(output.PrepareCommit(3, {EventTime{8}, false}, kStart + 2 * kInterval).ok());
  std::map<int32_t, std::vector<uint64_t>> sequences;
  for (const ProducedRecord& record : producer_.records) {
    const packed::RowsHeader header = Unpack(record).header;
    EXPECT_EQ(header.writer_stage(), WriterStage("main"));
    sequences[record.partition].push_back(header.sequence());
  }
  size_t with_rows = 0;
  for (const auto& [target, numbers] : sequences) {
    with_rows += numbers.size() == 3;
    EXPECT_THAT(numbers, AnyOf(ElementsAre(1, 2, 3), ElementsAre(1, 2))) << target;
  }
  EXPECT_EQ(with_rows, 1u);
}

TEST_F(EdgeOutputTest, ATaskThatIsOpenedAgainGoesOnWithTheNumbersOfItsLastCommit) {
  packed::CommitRecord record;
  {
    EdgeOutput output = Make();
    ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
    output.Save(&record);
    ASSERT_TRUE(output.PrepareCommit(2, {EventTime{8}, false}, kStart + kInterval).ok());  // is aborted
  }
  producer_.records.clear();
  EdgeOutput output = Make();
  output.Restore(record);
  ASSERT_TRUE(output.PrepareCommit(2, {EventTime{8}, false}, kStart + kInterval).ok());
  ASSERT_EQ(producer_.records.size(), static_cast<size_t>(kTargets));
  for (const ProducedRecord& produced : producer_.records) EXPECT_EQ(Unpack(produced).header.sequence(), 2u);
}

TEST_F(EdgeOutputTest, WhatFormerOwnersHaveToldIsntToldAgainWhileTimeStands) {
  const Mark before{EventTime{7}, false};
  EdgeOutput output = Make();
  output.AssumeTold(before);
  EXPECT_FALSE(output.OwesMark(before, kStart));
  EXPECT_FALSE(output.Untold(before));
  ASSERT_TRUE(output.PrepareCommit(1, before, kStart).ok());
  EXPECT_TRUE(producer_.records.empty());
  ASSERT_TRUE(output.Write(PlaceRows({{"a", 1}})).ok());
  ASSERT_TRUE(output.PrepareCommit(2, before, kStart + kInterval).ok());
  ASSERT_EQ(producer_.records.size(), 1u) << "only the target of the row";
  EXPECT_TRUE(Unpack(producer_.records[0]).header.has_schema());
  producer_.records.clear();
  ASSERT_TRUE(output.PrepareCommit(3, {EventTime{8}, false}, kStart + 2 * kInterval).ok());
  ASSERT_EQ(producer_.records.size(), static_cast<size_t>(kTargets)) << "time that moves is told";
  for (const ProducedRecord& record : producer_.records) EXPECT_TRUE(Unpack(record).header.has_schema());
}

TEST_F(EdgeOutputTest, IdlenessAloneIsWorthTelling) {
  EdgeOutput output = Make();
  ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
  EXPECT_TRUE(output.OwesMark({EventTime{7}, true}, kStart + kInterval));
}

TEST_F(EdgeOutputTest, WithManyTargetsTheyAreToldLessOften) {
  EdgeOutput output = Make(5, /*targets=*/200);
  ASSERT_TRUE(output.PrepareCommit(1, {EventTime{7}, false}, kStart).ok());
  EXPECT_FALSE(output.OwesMark({EventTime{8}, false}, kStart + 200 * 5 * kMillisecond - 1));
  EXPECT_TRUE(output.OwesMark({EventTime{8}, false}, kStart + 200 * 5 * kMillisecond));
}

TEST_F(EdgeOutputTest, AFailureToProduceIsReturned) {
  EdgeOutput output = Make();
  producer_.fail["produce " + edge_.topic] = absl::AbortedError("queue");
  EXPECT_TRUE(absl::IsAborted(output.PrepareCommit(1, {EventTime{7}, false}, kStart)));
}

TEST(RecordOutputTest, RowsBecomeJsonRecordsAtOnceWithKeyAndHeaders) {
  FakeProducer producer;
  Transaction transaction(&producer, 1 << 20);
  RecordOutput output("out", 8, 3, RowEncoder::Make({.schema = PlaceSchema(), .key = {0}}).value(), {{"team", "blue"}},
                      &transaction);
  ASSERT_TRUE(output.Write(PlaceRows({{"a", 1}, {"b", 2}})).ok());
  ASSERT_EQ(producer.records.size(), 2u);
  EXPECT_EQ(producer.records[0].key, "a");
  EXPECT_EQ(producer.records[0].value, R"({"place":"a","n":1})");
  EXPECT_EQ(producer.records[0].Header("team"), "blue");
  EXPECT_EQ(producer.records[1].partition, JavaPartition("b", 8));
  EXPECT_EQ(output.rows_written(), 2);
  EXPECT_TRUE(transaction.open());
}

TEST(RecordOutputTest, RowsWithoutKeyStayOnThePartitionOfTheTask) {
  FakeProducer producer;
  Transaction transaction(&producer, 1 << 20);
  RecordOutput output("out", 2, 3, RowEncoder::Make({.schema = PlaceSchema(), .key = {}}).value(), {}, &transaction);
  ASSERT_TRUE(output.Write(PlaceRows({{"a", 1}})).ok());
  EXPECT_EQ(producer.records[0].partition, 1);
  EXPECT_EQ(producer.records[0].key, std::nullopt);
}

TEST(RecordOutputTest, WhatTheTopicDoesntTakeIsRefusedAndTheRestGoesOut) {
  FakeProducer producer;
  Transaction transaction(&producer, 1 << 20);
  std::vector<std::pair<std::string, int64_t>> refused;  // reason, row
  Refusals refusals;
  refusals.limit.batch_bytes = 1'000;
  refusals.send = [&](const RefusedRecord& r) {
    refused.emplace_back(r.reason, r.row);
    return absl::OkStatus();
  };
  RecordOutput output("out", 8, 3, RowEncoder::Make({.schema = PlaceSchema(), .key = {0}}).value(), {}, &transaction,
                      refusals);
  const std::string large(2'000, 'x');
  ASSERT_TRUE(output.Write(PlaceRows({{large, 1}, {"b", 2}, {large, 3}, {"d", 4}})).ok());
  ASSERT_EQ(producer.records.size(), 2u);
  EXPECT_EQ(producer.records[0].key, "b");
  EXPECT_EQ(producer.records[1].key, "d");
  ASSERT_EQ(refused.size(), 2u);
  EXPECT_EQ(refused[0].second, 0);
  EXPECT_EQ(refused[1].second, 2);
  EXPECT_THAT(refused[0].first, ::testing::HasSubstr("is larger than topic out takes: max.message.bytes is 1000"));
  EXPECT_EQ(output.rows_written(), 2);
}

TEST(TransactionTest, BeginsWithTheFirstRecordAndOnlyOnce) {
  std::vector<std::string> calls;
  FakeProducer producer(&calls);
  Transaction transaction(&producer, 200);
  ASSERT_TRUE(transaction.Produce("t", {}).ok());
  EXPECT_TRUE(calls.empty());
  const std::string value(100, 'x');
  ASSERT_TRUE(transaction.Produce("t", {{0, std::nullopt, value, nullptr}}).ok());
  EXPECT_FALSE(transaction.Full());
  ASSERT_TRUE(transaction.Produce("t", {{0, std::nullopt, value, nullptr}}).ok());
  EXPECT_TRUE(transaction.Full());
  EXPECT_THAT(calls, ElementsAre("begin", "produce t", "produce t"));
  transaction.Reset();
  EXPECT_FALSE(transaction.Full());
  EXPECT_FALSE(transaction.open());
}

}  // namespace
}  // namespace tidemark
