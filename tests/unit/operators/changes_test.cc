// Records of a table's changes to changes of rows: what comes out is exact whatever the records hold, come again or
// leave out, in memory and beyond it.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/changes/spec.h"
#include "src/base/big_endian.h"
#include "src/base/memory_budget.h"
#include "src/codec/debezium/change.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// id, name, and the place of the last change, which isn't a value of the row.
Node ChangesNode() {
  Schema in = Columns("id int64, name string null, lsn int64");
  const Schema out = in;
  in.Add({kChangeColumn, {.kind = Kind::kBytes}, false});
  Node node = MakeNode(ChangesSpec{.key = {0}, .values = {0, 1}}, in, AllHidden().With(Hidden::kOp), out);
  node.mode = {true, {0}};
  return node;
}

TestRow Row(Change change, int64_t id, const std::string& name, int64_t lsn, int64_t time = 0) {
  std::string position = "P", bytes;
  AppendBigEndian(static_cast<uint64_t>(lsn), 8, &position);
  if (change.position.empty()) change.position = position;
  if (change.committed_us == Change::kNoTime) change.committed_us = lsn * 10;
  AppendChange(change, &bytes);
  return {.cells = {id, name, lsn, bytes}, .time = time == 0 ? lsn : time, .offset = lsn};
}
TestRow Set(int64_t id, const std::string& name, int64_t lsn) { return Row({}, id, name, lsn); }
TestRow Delete(int64_t id, int64_t lsn) { return Row({.deletes = true}, id, "", lsn); }

std::vector<std::string> Texts(const std::vector<TestRow>& rows) {
  std::vector<std::string> out;
  for (const TestRow& row : rows) {
    constexpr char kOps[] = {'+', '-', '>', 'x'};
    out.push_back(absl::StrCat(std::string(1, kOps[static_cast<int>(row.op)]), CellsText(row), "@", row.time));
  }
  return out;
}

TEST(Changes, AreExactPairsWithTheTimesOfTheRowsThatWereGiven) {
  Harness h(ChangesNode());
  h.Process({Set(1, "a", 10), Set(1, "b", 11), Delete(1, 12), Set(1, "c", 13)});
  EXPECT_THAT(Texts(h.out().rows), ElementsAre("+1|a|10@10", "-1|a|10@10", ">1|b|11@11", "x1|b|11@11", "+1|c|13@13"));
  h.CheckLedger();
}

TEST(Changes, TheWatermarkOfWhatTakesARowBackIsWhenThatWasTold) {
  Harness h(ChangesNode());
  TestRow behind = Delete(1, 12);
  behind.watermark = 30;
  h.Process({Set(1, "a", 10), Set(1, "b", 11), behind});
  std::vector<std::string> told;
  for (const TestRow& row : h.out().rows) {
    told.push_back(absl::StrCat(row.time, ": ", row.watermark == kMinTime.us ? "own" : absl::StrCat(row.watermark)));
  }
  EXPECT_THAT(told, ElementsAre("10: own", "10: 11", "11: own", "11: 30"));
}

TEST(Changes, ARowEqualToTheKeptOneOrOlderGivesNothing) {
  Harness h(ChangesNode());
  h.Process({Set(1, "a", 10), Set(1, "a", 12), Set(1, "b", 14)});
  h.out().rows.clear();
  h.Process({Set(1, "x", 11), Set(1, "b", 14), Set(1, "b", 15), Delete(1, 13), Delete(2, 99)});
  EXPECT_THAT(h.out().rows, IsEmpty());
  EXPECT_EQ(h.ledger().duplicate, 6);
  // Another log: a smaller place, committed later.
  h.Process({Row({.committed_us = 1000}, 1, "new", 3)});
  EXPECT_THAT(Texts(h.out().rows), ElementsAre("-1|b|14@14", ">1|new|3@3"));
}

TEST(Changes, ASnapshotDoesNotTakeBackWhatCameAfterIt) {
  Harness h(ChangesNode());
  h.Process({Row({.snapshot = true}, 1, "old", 10), Set(1, "new", 20), Row({.snapshot = true}, 1, "old", 15)});
  EXPECT_THAT(Texts(h.out().rows), ElementsAre("+1|old|10@10", "-1|old|10@10", ">1|new|20@20"));
  // Read from the log: in front of the snapshot's place, but committed behind it.
  Harness other(ChangesNode());
  other.Process({Row({.snapshot = true}, 1, "old", 100), Row({.committed_us = 1}, 1, "new", 90)});
  EXPECT_THAT(Texts(other.out().rows), ElementsAre("+1|old|100@100", "-1|old|100@100", ">1|new|90@90"));
}

TEST(Changes, ValuesLeftOutComeFromTheKeptRowOrElseTheRecordIsADeadLetter) {
  Harness h(ChangesNode());
  h.Process({Row({.unchanged = "\x02"}, 1, "", 10)});
  ASSERT_EQ(h.out().failures.size(), 1u);
  EXPECT_THAT(h.out().failures[0], HasSubstr("REPLICA IDENTITY FULL"));
  EXPECT_EQ(h.ledger().dead_lettered, 1);
  h.Process({Set(1, std::string("lo\0ng", 5), 11), Row({.unchanged = "\x02"}, 1, "", 12)});
  ASSERT_EQ(h.out().rows.size(), 1u) << "the same values: nothing has changed";
  Node node = ChangesNode();
  node.spec = ChangesSpec{.key = {0}, .values = {0, 1, 2}};
  Harness with_place(node);
  with_place.Process({Set(1, std::string("lo\0ng", 5), 11), Row({.unchanged = "\x02"}, 1, "", 12)});
  ASSERT_EQ(with_place.out().rows.size(), 3u);
  EXPECT_EQ(std::get<std::string>(with_place.out().rows[2].cells[1]), std::string("lo\0ng", 5));
  EXPECT_EQ(std::get<int64_t>(with_place.out().rows[2].cells[2]), 12);
  with_place.CheckLedger();
}

TEST(Changes, OfARowThatASnapshotFoundGoneAreNothingWhereValuesAreLeftOut) {
  Harness h(ChangesNode());
  h.Process({Row({.overtaken = true, .unchanged = "\x02"}, 1, "", 10), Delete(1, 11)});
  EXPECT_THAT(h.out().rows, IsEmpty());
  EXPECT_THAT(h.out().failures, IsEmpty());
  EXPECT_EQ(h.ledger().duplicate, 2);
  h.CheckLedger();
}

// The rows of a table as snapshots see them that are broken off and begun anew behind one slot, then all changes behind
// the slot, some of which leave a value out that hasn't changed: behind the last snapshot the rows are the table's.
TEST(Changes, BehindASnapshotThatWasBegunAnewTheRowsAreTheTables) {
  using Table = std::map<int64_t, std::pair<std::string, int64_t>>;  // name, which may be left out, and a version
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Table> states(1);  // by place
    std::vector<TestRow> log(1);
    constexpr int64_t kChanges = 400;
    const int64_t slot = 50, last_snapshot = slot + static_cast<int64_t>(random() % 200);
    for (int64_t lsn = 1; lsn <= kChanges; ++lsn) {
      Table table = states.back();
      const auto id = static_cast<int64_t>(random() % 12);
      const auto at = table.find(id);
      Change change{.overtaken = lsn <= last_snapshot};
      if (at != table.end() && random() % 3 == 0) {
        table.erase(at);
        change.deletes = true;
        log.push_back(Row(change, id, "", lsn));
      } else if (at != table.end() && random() % 2 == 0) {
        at->second.second = lsn;
        change.unchanged = "\x02";
        log.push_back(Row(change, id, "", lsn));
      } else {
        table[id] = {absl::StrCat("name ", lsn), lsn};
        log.push_back(Row(change, id, table[id].first, lsn));
      }
      states.push_back(std::move(table));
    }
    std::vector<TestRow> told;
    const auto see = [&](int64_t place, size_t rows) {
      for (const auto& [id, row] : states[static_cast<size_t>(place)]) {
        if (rows-- == 0) return;
        TestRow seen = Row({.snapshot = true}, id, row.first, place);
        seen.cells[2] = row.second;
        told.push_back(seen);
      }
    };
    for (int64_t place = slot; random() % 4 != 0 && place < last_snapshot;
         place += 1 + static_cast<int64_t>(random() % 30)) {
      see(place, random() % 12);
    }
    see(last_snapshot, 12);
    told.insert(told.end(), log.begin() + slot + 1, log.end());
    Node node = ChangesNode();
    node.spec = ChangesSpec{.key = {0}, .values = {0, 1, 2}};
    Harness h(node);
    h.Process(told);
    EXPECT_THAT(h.out().failures, IsEmpty()) << "seed " << seed;
    Table found;
    for (const TestRow& row : h.out().rows) {
      const auto id = std::get<int64_t>(row.cells[0]);
      found.erase(id);
      if (row.op == Op::kInsert || row.op == Op::kUpdateAfter) {
        found[id] = {std::get<std::string>(row.cells[1]), std::get<int64_t>(row.cells[2])};
      }
    }
    EXPECT_EQ(found, states.back()) << "seed " << seed << ", last snapshot at " << last_snapshot;
  }
}

// A table of random changes whose producer starts anew now and then and repeats what it has sent: after all of it every
// row is the table's, in memory and beyond it, whatever the batches, commits and crashes.
TEST(Changes, OfATableAreTheTableWhateverComesAgain) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<TestRow> log;
    std::map<int64_t, std::string> table;
    for (int64_t lsn = 1; lsn <= 1500; ++lsn) {
      const auto id = static_cast<int64_t>(random() % 150);
      if (random() % 5 == 0 && table.contains(id)) {
        table.erase(id);
        log.push_back(Delete(id, lsn));
      } else {
        table[id] = std::string(1 + random() % 90, static_cast<char>('a' + lsn % 26));
        log.push_back(Set(id, table[id], lsn));
      }
    }
    std::vector<TestRow> sent;
    for (size_t at = 0; at < log.size(); ++at) {
      sent.push_back(log[at]);
      if (random() % 200 == 0) at -= std::min<size_t>(at, random() % 100);
    }
    MemoryBudget nothing(0, 0);
    Harness h(ChangesNode(), {}, seed % 2 == 0 ? &nothing : nullptr);
    h.FeedWithCrashes(sent, std::vector<size_t>{1, 7, 100, 1000}[seed], seed, 100, 700);
    h.Commit();
    std::map<std::string, std::string> stands;
    for (const auto& [key, row] : Fold(h.out().rows, {0})) stands[key] = row.substr(0, row.rfind('|'));
    std::map<std::string, std::string> expected;
    for (const auto& [id, name] : table) expected[absl::StrCat(id)] = absl::StrCat(id, "|", name);
    EXPECT_EQ(stands, expected) << seed;
    if (seed % 2 == 0) {
      EXPECT_GT(h.store().Count("kf"), 0) << "no row has left memory";
    }
    h.CheckLedger();
  }
}

TestRow End(uint64_t number, int64_t lsn) { return Row({.ends_resnapshot = true, .resnapshot = number}, 0, "", lsn); }
TestRow Seen(uint64_t number, int64_t id, const std::string& name, int64_t lsn) {
  return Row({.snapshot = true, .resnapshot = number}, id, name, lsn);
}

TEST(Resnapshot, DeletesRowsThatItDidNotTellOf) {
  Harness h(ChangesNode());
  h.Process({Set(1, "same", 10), Set(2, "gone", 11), Set(3, "other", 12)});
  h.out().rows.clear();
  // Another server's log, whose places are smaller, and whose clock goes behind.
  h.Process({Seen(1, 1, "same", 5), Seen(1, 3, "new", 5), Seen(1, 4, "more", 5), End(1, 5)});
  EXPECT_THAT(Texts(h.out().rows), ElementsAre("-3|other|12@12", ">3|new|5@5", "+4|more|5@5", "x2|gone|11@11"));
  EXPECT_EQ(h.out().rows.back().offset, 5) << "a row that goes stands where the snapshot ends";
  EXPECT_EQ(h.out().rows.back().watermark, 5) << "and is gone when that was told";
  EXPECT_EQ(h.ledger().absorbed, 1);
  h.out().rows.clear();
  h.Process({Row({.resnapshot = 1}, 1, "later", 6), Row({.deletes = true, .resnapshot = 1}, 4, "", 7), End(1, 5)});
  EXPECT_THAT(Texts(h.out().rows), ElementsAre("-1|same|10@10", ">1|later|6@6", "x4|more|5@5"));
}

TEST(Resnapshot, WhatStandsInFrontOfItSaysNothingAnyMore) {
  Harness h(ChangesNode());
  h.Process({Seen(2, 1, "a", 5), Set(1, "old", 100), Delete(1, 101)});
  EXPECT_THAT(Texts(h.out().rows), ElementsAre("+1|a|5@5"));
  EXPECT_EQ(h.ledger().duplicate, 2);
}

// Of a version that knows of no new snapshots: how it reads what is kept of a key (TakeChange as it was).
bool FormerReads(std::string_view stored) {
  std::string_view position, unchanged;
  if (stored.size() < 8 + 9) return false;
  stored.remove_prefix(8 + 9);
  return TakeBytes(&stored, &position) && TakeBytes(&stored, &unchanged);
}
TEST(Resnapshot, RowsOfItAreRefusedByAVersionThatWouldReadTheNumberAsPartOfTheRow) {
  for (const uint64_t number : {0, 1, 127, 128, 1 << 20}) {
    std::string stored, position = "P12345678";
    AppendOrdered(1, &stored);
    AppendChange({.position = position, .committed_us = 5, .unchanged = "\x02", .resnapshot = number}, &stored);
    stored.append(100'000, 'r');
    EXPECT_EQ(FormerReads(stored), number == 0) << number;
    std::string_view rest = std::string_view(stored).substr(8);
    Change read;
    ASSERT_TRUE(TakeChange(&rest, &read));
    EXPECT_EQ(read.resnapshot, number);
    EXPECT_EQ(read.position, position);
    EXPECT_EQ(read.unchanged, "\x02");
    EXPECT_EQ(rest, std::string(100'000, 'r'));
  }
}

// The second one ends while the first one's rows are swept: a commit has as many rows as any other, and each row goes
// where the first snapshot ended that didn't have it, whatever the commits were.
TEST(Resnapshot, ThatEndsDuringASweepIsSweptWithItInPieces) {
  for (const bool crash : {false, true}) {
    for (const bool memory : {false, true}) {
      MemoryBudget nothing(0, 0);
      Harness h(ChangesNode(), {}, memory ? nullptr : &nothing);
      std::vector<TestRow> rows;
      for (int64_t id = 0; id < 8'000; ++id) rows.push_back(Set(id, "row", 10));
      h.Process(rows);
      h.Commit();
      h.Advance(50);
      h.out().set_full_after_pending(10'000);
      const auto process = [&](const std::vector<TestRow>& batch) {
        const Port& in = h.node().in(0);
        ASSERT_TRUE(h.op().ProcessBatch(0, ToBatch(in.schema, in.hidden, batch), h.out()).ok());
      };
      const auto reached = [&] { return h.op().AdvanceWatermark(EventTime{60}, h.out()).value().us; };
      // Of the first one's rows the second one has some, and the last one isn't in either's table any more.
      std::vector<TestRow> seen;
      for (int64_t id = 0; id < 8'000; id += 80) seen.push_back(Seen(1, id, "row", 20));
      seen.push_back(End(1, 20));
      process(seen);
      const size_t first = h.out().rows.size();
      EXPECT_GT(first, 8'000u);
      EXPECT_LT(first, 12'000u);
      // In one batch: a key that isn't swept yet comes, then the end by which it goes.
      std::vector<TestRow> again = {Seen(1, 7'999, "between", 21)};
      for (int64_t id = 0; id < 8'000; id += 160) again.push_back(Seen(2, id, "row", 30));
      again.push_back(End(2, 30));
      again.push_back(End(2, 31));  // tells nothing new
      process(again);
      EXPECT_LT(h.out().rows.size() - first, 4'000u) << "all that was left goes in one commit";
      EXPECT_EQ(reached(), 50) << "rows are still to be deleted";
      h.Commit();
      if (crash) h.Crash(/*advance=*/false);
      for (int commits = 0; reached() < 60; ++commits) {
        ASSERT_LT(commits, 1000);
        h.Commit();
      }
      std::map<int64_t, std::string> stands;
      for (const TestRow& row : h.out().rows) {
        const auto id = std::get<int64_t>(row.cells[0]);
        const auto& name = std::get<std::string>(row.cells[1]);
        if (row.op == Op::kInsert) {
          EXPECT_TRUE(stands.emplace(id, name).second) << id << " stands already";
          continue;
        }
        ASSERT_EQ(row.op, Op::kDelete);
        EXPECT_EQ(stands[id], name);
        stands.erase(id);
        EXPECT_EQ(row.offset, id % 80 == 0 || name == "between" ? 30 : 20) << id;
      }
      EXPECT_EQ(stands.size(), 50u);
      for (const auto& [id, name] : stands) EXPECT_EQ(id % 160, 0) << id;
      h.Commit();
      EXPECT_EQ(h.store().Count("s"), 0) << "nothing is left of the sweep";
      h.CheckLedger();
    }
  }
}

TEST(Resnapshot, SweepsInPiecesAndTimeWaitsForThem) {
  for (const bool crash : {false, true}) {
    Harness h(ChangesNode());
    std::vector<TestRow> rows;
    for (int64_t id = 0; id < 4'000; ++id) rows.push_back(Set(id, "row", 10));
    h.Process(rows);
    h.Commit();
    h.Advance(50);
    h.out().rows.clear();
    h.out().set_full_after_pending(10'000);
    // By hand, as the harness would commit until all are swept.
    const auto process = [&](const std::vector<TestRow>& batch) {
      const Port& in = h.node().in(0);
      ASSERT_TRUE(h.op().ProcessBatch(0, ToBatch(in.schema, in.hidden, batch), h.out()).ok());
    };
    const auto reached = [&] { return h.op().AdvanceWatermark(EventTime{60}, h.out()).value().us; };
    process({Seen(1, 7, "row", 20), End(1, 20)});
    EXPECT_GT(h.out().rows.size(), 100u);
    EXPECT_LT(h.out().rows.size(), 3'500u);
    EXPECT_EQ(reached(), 50) << "rows are still to be deleted";
    // Keys that aren't swept yet are looked for where they stand, and are as if they were.
    std::vector<TestRow> later;
    for (int64_t id = 0; id < 4'000; id += 100) later.push_back(Row({.resnapshot = 1}, id, "again", 30));
    process(later);
    h.Commit();
    if (crash) h.Crash(/*advance=*/false);
    for (int commits = 0; reached() < 60; ++commits) {
      ASSERT_LT(commits, 1000);
      h.Commit();
    }
    std::map<std::string, std::string> stands;
    int deleted = 0;
    for (const TestRow& row : h.out().rows) {
      const std::string id = absl::StrCat(std::get<int64_t>(row.cells[0]));
      if (row.op == Op::kInsert) stands[id] = std::get<std::string>(row.cells[1]);
      if (row.op != Op::kDelete) continue;
      ++deleted;
      EXPECT_FALSE(stands.contains(id)) << id << " goes behind what came later";
      EXPECT_EQ(row.offset, 20);
    }
    EXPECT_EQ(deleted, 3'999);
    EXPECT_EQ(stands.size(), 40u);
    h.Commit();
    EXPECT_EQ(h.store().Count("s"), 0) << "nothing is left of the sweep";
  }
}

// A table whose log is lost for a while; then a snapshot that is broken off and begun anew, its end, and all changes
// behind the place where it was asked for. Twice. Whatever the batches, commits, crashes and memory.
TEST(Resnapshot, MakesTheRowsTheTablesWhateverWasLost) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    std::mt19937_64 random(seed);
    std::map<int64_t, std::string> table;
    std::vector<TestRow> told;
    int64_t lsn = 0;
    Change as;
    const auto change = [&](bool is_told) {
      const auto id = static_cast<int64_t>(random() % 100);
      TestRow row;
      ++lsn;
      if (random() % 3 == 0 && table.contains(id)) {
        table.erase(id);
        row = Row({.deletes = true, .overtaken = as.overtaken, .resnapshot = as.resnapshot}, id, "", lsn);
      } else if (random() % 3 == 0 && table.contains(id)) {
        row = Row({.overtaken = as.overtaken, .unchanged = "\x02", .resnapshot = as.resnapshot}, id, "", lsn);
      } else {
        table[id] = std::string(1 + random() % 60, static_cast<char>('a' + lsn % 26));
        row = Row(as, id, table[id], lsn);
      }
      if (is_told) told.push_back(row);
      return row;
    };
    for (uint64_t number = 1; number <= 2; ++number) {
      for (int i = 0; i < 250; ++i) change(true);
      for (int i = 0; i < 150; ++i) change(false);
      as = {.overtaken = true, .resnapshot = number};
      std::vector<TestRow> behind;
      for (int attempt = 0; attempt < 3; ++attempt) {
        size_t rows = attempt == 2 ? table.size() : random() % (table.size() + 1);
        for (const auto& [id, name] : table) {
          if (rows-- == 0) break;
          told.push_back(Seen(number, id, name, lsn));
        }
        if (attempt == 2) told.push_back(End(number, lsn));
        for (int i = 0; attempt < 2 && i < 40; ++i) behind.push_back(change(false));
      }
      told.insert(told.end(), behind.begin(), behind.end());
      as.overtaken = false;
    }
    MemoryBudget nothing(0, 0);
    Harness h(ChangesNode(), {}, seed == 0 || seed == 3 ? &nothing : nullptr);
    if (seed >= 2) h.out().set_full_after_pending(1000);
    h.FeedWithCrashes(told, std::vector<size_t>{1, 2, 7, 1000}[seed], seed, 60, 300);
    h.Commit();
    std::map<std::string, std::string> stands;
    for (const auto& [key, row] : Fold(h.out().rows, {0})) stands[key] = row.substr(0, row.rfind('|'));
    std::map<std::string, std::string> expected;
    for (const auto& [id, name] : table) expected[absl::StrCat(id)] = absl::StrCat(id, "|", name);
    EXPECT_EQ(stands, expected) << seed;
    EXPECT_THAT(h.out().failures, IsEmpty()) << seed;
    h.CheckLedger();
  }
}

}  // namespace
}  // namespace tidemark
