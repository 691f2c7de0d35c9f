#include <map>
#include <optional>
#include <random>
#include <set>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/big_endian.h"
#include "src/base/memory_budget.h"
#include "state/keyed_rows.h"
#include "state/state_log.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Schema kById = Columns("id int64, v int64");
const Schema kByName = Columns("id string null, v int64");

Node DedupNode(const Schema& schema, int64_t within, int64_t grace, bool last = false) {
  return MakeNode(DedupSpec{.by = {0}, .within_us = within, .grace_us = grace, .keep_last = last}, schema, AllHidden(),
                  schema);
}

TestRow Row(int64_t id, int64_t v, int64_t time, int64_t watermark = kMinTime.us) {
  return {.cells = {id, v}, .time = time, .watermark = watermark, .offset = v};
}

TEST(DedupFirst, ADuplicateInsideWithinIsDroppedAndOneAtItsEndIsNot) {
  Harness h(DedupNode(kById, 100, 1000));
  h.Process({Row(1, 1, 1000), Row(1, 2, 1099), Row(1, 3, 1100), Row(2, 4, 1000)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|1", "1|3", "2|4"));
  EXPECT_EQ(h.ledger().duplicate, 1);
  h.CheckLedger();
}

TEST(DedupFirst, LeavesOutColumnsThatArentPassed) {
  Node node = DedupNode(kById, 100, 1000);
  node.inputs[0].passed = {1};
  node.output = Schema({kById[1]});
  Harness h(node);
  h.Process({Row(1, 1, 1000), Row(1, 2, 1001), Row(2, 3, 1000)});
  h.Process({Row(3, 4, 1000)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1", "3", "4"));
}

TEST(DedupFirst, AnOlderRowIsADuplicateHoweverOld) {
  Harness h(DedupNode(kById, 100, 100'000));
  h.Process({Row(1, 1, 1000), Row(1, 2, 100), Row(1, 3, -5000)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|1"));
}

TEST(DedupFirst, ARowOlderThanItsWatermarkMinusGraceIsLate) {
  Harness h(DedupNode(kById, 100, 50));
  h.Process({Row(1, 1, 1000, 1050), Row(2, 2, 1000, 1051)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|1"));
  EXPECT_EQ(h.ledger().late, 1);
  h.CheckLedger();
}

TEST(DedupFirst, ANullKeyIsAKey) {
  Harness h(DedupNode(kByName, 100, 50));
  h.Process({{.cells = {Cell(), int64_t{1}}, .time = 5},
             {.cells = {Cell(), int64_t{2}}, .time = 6},
             {.cells = {std::string(), int64_t{3}}, .time = 6}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("NULL|1", "|3"));
}

TEST(DedupFirst, WhatACrashUndidIsAcceptedAgainAndWhatWasCommittedIsNot) {
  Harness h(DedupNode(kById, 1000, 1000));
  h.Process({Row(1, 1, 10)});
  h.Commit();
  h.Process({Row(2, 2, 10)});
  h.Crash();
  h.Process({Row(1, 3, 11), Row(2, 4, 11)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|1", "2|4"));
}

TEST(DedupFirst, ManyCommitsLeaveFewKeysAndExpiryLeavesNone) {
  const int64_t hour = 3600 * kSecond;
  Harness h(DedupNode(kById, 24 * hour, hour));
  for (int64_t i = 0; i < 10'000; ++i) {
    h.Process({Row(i, i, i), Row(i + 100'000, i, i)});
    h.Commit();
  }
  EXPECT_LE(h.store().Count("b"), 50);
  h.Crash();
  h.Process({Row(77, 0, 5), Row(109'999, 0, 5)});
  EXPECT_EQ(h.ledger().duplicate, 2);
  h.Advance(29 * hour);
  h.Commit();
  EXPECT_EQ(h.store().Count("b"), 0);
}

// A partition that comes back from idle: its own watermark is far behind the operator's.
TEST(DedupFirst, APurgedKeyIsNotAcceptedASecondTime) {
  Harness h(DedupNode(kById, 100 * kSecond, 10 * kSecond));
  h.Process({Row(1, 1, 0, 0)});
  h.Advance(1000 * kSecond);
  h.Commit();
  EXPECT_EQ(h.store().Count("b"), 0);
  h.Process({Row(1, 2, 1 * kSecond, 1 * kSecond)});
  EXPECT_EQ(h.ledger().late, 1);
  EXPECT_EQ(h.out().rows.size(), 1u);
  h.Crash(/*advance=*/false);
  h.Process({Row(1, 2, 1 * kSecond, 1 * kSecond)});
  EXPECT_EQ(h.ledger().late, 1);
}

// Random rows of one source partition, mostly in order.
std::vector<TestRow> RandomRows(uint64_t seed, int64_t n, int64_t ids, int64_t spread, int64_t step) {
  std::mt19937_64 random(seed);
  std::vector<TestRow> rows;
  int64_t max_time = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t time = i * step + static_cast<int64_t>(random() % static_cast<uint64_t>(spread)) - spread / 2;
    max_time = std::max(max_time, time);
    rows.push_back({.cells = {static_cast<int64_t>(random() % static_cast<uint64_t>(ids)), i},
                    .time = time,
                    .watermark = max_time - spread / 8,
                    .offset = i});
  }
  return rows;
}

std::vector<std::string> FirstModel(const std::vector<TestRow>& rows, int64_t within, int64_t grace) {
  std::map<Cell, int64_t> accepted;
  std::vector<std::string> out;
  for (const TestRow& row : rows) {
    if (row.time < row.watermark - grace) continue;
    const auto it = accepted.find(row.cells[0]);
    if (it != accepted.end() && row.time - it->second < within) continue;
    accepted[row.cells[0]] = row.time;
    out.push_back(CellsText(row));
  }
  return out;
}

std::vector<TestRow> Named(std::vector<TestRow> rows) {
  for (TestRow& row : rows) row.cells[0] = absl::StrCat("id", std::get<int64_t>(row.cells[0]));
  return rows;
}

TEST(DedupFirst, AgreesWithTheModelWhateverTheBatchesCommitsAndCrashes) {
  for (const size_t batch_size : {1, 2, 7, 1000}) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      const auto rows = RandomRows(seed, 2500, 150, 400 * kMillisecond, 10 * kMillisecond);
      const int64_t within = 3 * kSecond, grace = 100 * kMillisecond;
      Harness h(DedupNode(kById, within, grace));
      h.FeedWithCrashes(rows, batch_size, seed, 400, 2000);
      EXPECT_EQ(CellsText(h.out().rows), FirstModel(rows, within, grace)) << batch_size << " " << seed;
      EXPECT_GT(h.ledger().duplicate, 0);
      EXPECT_GT(h.ledger().late, 0);
      h.CheckLedger();
      Harness named(DedupNode(kByName, within, grace));
      named.FeedWithCrashes(Named(rows), batch_size, seed, 400, 2000);
      EXPECT_EQ(CellsText(named.out().rows), FirstModel(Named(rows), within, grace)) << batch_size << " " << seed;
    }
  }
}

TEST(DedupLast, EmitsTheRowWithTheGreatestOrderOnceWhenTheWatermarkPasses) {
  Harness h(DedupNode(kById, 100, 50, true));
  h.Process({Row(1, 1, 1000, 1000), Row(1, 2, 1050, 1050), Row(1, 3, 1040, 1050)});
  EXPECT_THAT(h.out().rows, IsEmpty());
  EXPECT_LT(h.Advance(1099), EventTime{1000});
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Advance(1100);
  EXPECT_THAT(h.out().rows, ElementsAre(TestRow{.cells = {int64_t{1}, int64_t{2}}, .time = 1050, .offset = 2}));
  h.Advance(2000);
  EXPECT_EQ(h.out().rows.size(), 1u);
  EXPECT_EQ(h.ledger().passed, 1);
  EXPECT_EQ(h.ledger().duplicate, 2);
  h.CheckLedger();
}

TEST(DedupLast, TiesInTimeAreDecidedBySourcePartitionAndOffset) {
  Harness h(DedupNode(kById, 100, 50, true));
  TestRow a = Row(1, 1, 1000), b = Row(1, 2, 1000), c = Row(1, 3, 1000);
  a.source = 1, a.partition = 2, a.offset = 5;
  b.source = 1, b.partition = 3, b.offset = 1;
  c.source = 0, c.partition = 9, c.offset = 9;
  h.Process({a, b, c});
  h.Advance(1100);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|2"));
}

TEST(DedupLast, ADuplicateAfterTheEmissionIsDropped) {
  Harness h(DedupNode(kById, 100, 500, true));
  h.Process({Row(1, 1, 1000)});
  h.Advance(1100);
  h.Commit();
  h.Crash();
  h.Process({Row(1, 2, 1099, 1100)});
  h.Advance(1500);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|1"));
}

// Judges rows one by one; an entry is emitted when the running watermark passes.
std::vector<std::string> LastModel(const std::vector<TestRow>& rows, int64_t within, int64_t grace, int64_t end) {
  struct Entry {
    int64_t accepted;
    TestRow best;
    bool emitted = false;
  };
  std::map<Cell, std::vector<Entry>> entries;
  std::vector<std::string> out;
  const auto order = [](const TestRow& r) { return std::tie(r.time, r.source, r.partition, r.offset); };
  const auto emit = [&](int64_t watermark) {
    for (auto& [key, list] : entries) {
      for (Entry& e : list) {
        if (!e.emitted && e.accepted + within <= watermark) {
          e.emitted = true;
          out.push_back(CellsText(e.best));
        }
      }
    }
  };
  for (const TestRow& row : rows) {
    if (row.time < row.watermark - grace) {
      emit(row.watermark);
      continue;
    }
    auto& list = entries[row.cells[0]];
    if (list.empty() || row.time - list.back().accepted >= within) {
      list.push_back({row.time, row});
    } else if (!list.back().emitted && row.watermark < list.back().accepted + within &&
               order(row) > order(list.back().best)) {
      list.back().best = row;
    }
    emit(row.watermark);
  }
  emit(end);
  std::sort(out.begin(), out.end());
  return out;
}

TEST(DedupLast, AgreesWithTheModelWhateverTheBatchesCommitsAndCrashes) {
  for (uint64_t seed = 0; seed < 2; ++seed) {
    const auto rows = RandomRows(seed, 3000, 60, 400 * kMillisecond, 10 * kMillisecond);
    const int64_t within = 500 * kMillisecond, grace = 150 * kMillisecond, end = 100 * kSecond;
    std::vector<TestRow> first_output;
    for (const size_t batch_size : {1, 2, 7, 1000}) {
      Harness h(DedupNode(kById, within, grace, true));
      if (seed % 2 == 1) h.out().set_full_after(3);
      h.FeedWithCrashes(rows, batch_size, seed, 400, 2000);
      h.Advance(end);
      h.Commit();
      auto found = CellsText(h.out().rows);
      if (first_output.empty()) first_output = h.out().rows;
      EXPECT_EQ(h.out().rows, first_output) << "the order depends on the batches: " << batch_size << " " << seed;
      std::sort(found.begin(), found.end());
      EXPECT_EQ(found, LastModel(rows, within, grace, end)) << batch_size << " " << seed;
      EXPECT_EQ(h.ledger().passed, h.ledger().out);
      EXPECT_EQ(h.store().Count("e"), 0);
      h.CheckLedger();
    }
  }
}

// Rows that leave memory as soon as they may: the same rows in the same order as from memory, and the same watermark.
TEST(DedupLast, RowsThatLeaveMemoryAreEmittedAsThoseThatStay) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const auto rows = RandomRows(seed, 4000, 400, 400 * kMillisecond, 10 * kMillisecond);
    const int64_t within = 2000 * kMillisecond, grace = 150 * kMillisecond, end = 100 * kSecond;
    for (const auto& node : {DedupNode(kById, within, grace, true), DedupNode(kByName, within, grace, true)}) {
      const auto fed = node.in().schema == kById ? rows : Named(rows);
      Harness warm(node);
      MemoryBudget nothing(0, 0);
      Harness cold(node, {}, &nothing);
      if (seed == 2) cold.out().set_full_after(3);
      int64_t most_cold = 0;
      for (size_t at = 0; at < fed.size(); at += 100) {
        const std::vector<TestRow> some(fed.begin() + static_cast<int64_t>(at),
                                        fed.begin() + static_cast<int64_t>(std::min(at + 100, fed.size())));
        warm.Feed(some, 100);
        cold.Feed(some, 7);
        cold.Commit();
        if (at % 500 == 0) cold.Crash();
        most_cold = std::max(most_cold, cold.store().Count("kf"));
        if (seed != 2) {
          EXPECT_EQ(warm.Advance(some.back().watermark), cold.Advance(some.back().watermark));
        }
      }
      EXPECT_GT(most_cold, 0) << "no row has left memory";
      for (Harness* h : {&warm, &cold}) {
        for (int i = 0; i < 400; ++i) {
          h->Advance(end);
          h->Commit();
        }
      }
      EXPECT_EQ(warm.out().rows, cold.out().rows) << seed;
      EXPECT_GT(warm.out().rows.size(), 500u);
      EXPECT_EQ(cold.store().Count("k"), 1) << "only how far rows were recalled is left";
      cold.CheckLedger();
    }
  }
}

// As version 1 wrote it: key, accepted time, due time, serial, order and row under a number.
TEST(DedupLast, WaitingRowsOfAnEarlierVersionAreEmitted) {
  Harness h(DedupNode(kById, 100, 50, true));
  h.Process({Row(1, 1, 1000, 1000), Row(2, 2, 1010, 1010)});
  h.Commit();
  std::vector<std::pair<std::string, std::string>> now;  // key, waiting and row
  {
    KeyedRows rows(&h.store(), "k", nullptr, {.ordered = true});
    ASSERT_TRUE(rows.Load().ok());
    rows.VisitBelow(KeyedRows::kNoHead, 100,
                    [&](std::string_view key, std::string_view row) { now.emplace_back(key, row); });
    ASSERT_EQ(now.size(), 2u);
  }
  for (const char* key : {"k", "n"}) {
    std::vector<std::string> keys;
    for (const auto& [stored, value] : h.store().live()) {
      if (stored.starts_with(key)) keys.push_back(stored);
    }
    for (const std::string& stored : keys) h.store().Delete(stored);
  }
  StateLog former(&h.store(), "e");
  former.Begin(1);
  for (size_t i = 0; i < now.size(); ++i) {
    const auto& [key, row] = now[i];
    const int64_t accepted = ReadOrdered(std::string_view(key).substr(0, 8));
    std::string record = key.substr(8);
    record.append(reinterpret_cast<const char*>(&accepted), sizeof(accepted));
    former.Put(static_cast<uint32_t>(i), record + row);
  }
  ASSERT_TRUE(former.Commit().ok());
  h.store().Commit();
  h.Crash();
  h.Process({Row(1, 3, 1050, 1050)});
  h.Commit();
  h.Crash();
  EXPECT_EQ(h.store().Count("e"), 0);
  h.Advance(1110);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|3", "2|2"));
}

TEST(DedupLast, NothingIsEmittedBehindTheWatermarkLetThrough) {
  const auto rows = RandomRows(9, 3000, 60, 400 * kMillisecond, 10 * kMillisecond);
  Harness h(DedupNode(kById, 500 * kMillisecond, 150 * kMillisecond, true));
  EventTime let_through = kMinTime;
  for (const TestRow& row : rows) {
    const size_t before = h.out().rows.size();
    h.Process({row});
    const EventTime next = h.Advance(row.watermark);
    EXPECT_GE(next, let_through);
    for (size_t i = before; i < h.out().rows.size(); ++i) ASSERT_GT(EventTime{h.out().rows[i].time}, let_through);
    let_through = next;
  }
  EXPECT_GT(h.out().rows.size(), 100u);
}

}  // namespace
}  // namespace tidemark
