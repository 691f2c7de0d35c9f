// Changes of a table of which each transaction goes through with one commit, wherever batches, commits and crashes cut
// it.
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/changes/spec.h"
#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/codec/debezium/change.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// id, and the transaction that wrote the row last.
Node TransactionsNode() {
  Schema in = Columns("id int64, written_by int64");
  const Schema out = in;
  in.Add({kChangeColumn, {.kind = Kind::kBytes}, false});
  Node node = MakeNode(TransactionsSpec{{.key = {0}, .values = {0, 1}}}, in, AllHidden().With(Hidden::kOp), out);
  node.inputs[0].hidden = AllHidden();
  node.mode = {true, {0}};
  return node;
}

TestRow Row(Change change, int64_t id, int64_t transaction, int64_t place) {
  std::string position = "P", bytes;
  AppendBigEndian(static_cast<uint64_t>(place), 8, &position);
  change.position = position;
  change.committed_us = transaction;
  AppendChange(change, &bytes);
  return {.cells = {id, transaction, bytes}, .time = place, .offset = place};
}
TestRow Set(int64_t id, int64_t transaction, int64_t place) { return Row({}, id, transaction, place); }
TestRow End(int64_t transaction, int64_t place) { return Row({.ends_transaction = true}, 0, transaction, place); }

TEST(Transactions, RowsWaitForTheEndOfTheirTransaction) {
  Harness h(TransactionsNode());
  h.Process({Set(1, 7, 1), Set(2, 7, 2)});
  h.Commit();
  h.Process({Set(3, 7, 3)});
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Process({End(7, 4), Set(1, 8, 5)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|7", "2|7", "3|7"));
  EXPECT_EQ(h.out().rows[2].time, 3) << "with the places that they came with";
  EXPECT_EQ(h.out().rows[2].offset, 3);
  h.Commit();
  h.Crash();
  h.Process({End(8, 6)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|7", "2|7", "3|7", "1|7", "1|8"));
  h.CheckLedger();
}

TEST(Transactions, TimeWaitsWhileRowsDo) {
  Harness h(TransactionsNode());
  h.out().set_full_after_pending(1 << 30);
  h.Process({Set(1, 7, 1), End(7, 2)});
  EXPECT_EQ(h.Advance(10), EventTime{10});
  h.Process({Set(2, 8, 11)});
  EXPECT_EQ(h.Advance(20), EventTime{10});
  h.Process({End(8, 12)});
  EXPECT_EQ(h.Advance(20), EventTime{20});
}

// In a backlog each batch ends within a transaction.
TEST(Transactions, TimeGoesOnAlthoughThereAreAlwaysRowsThatWait) {
  Harness h(TransactionsNode());
  h.out().set_full_after_pending(1 << 30);
  h.Process({Set(1, 1, 1)});
  EXPECT_EQ(h.Advance(10), kMinTime);
  for (int64_t i = 1; i < 10; ++i) {
    h.Process({End(i, 10 * i + 1), Set(1, i + 1, 10 * i + 2)});
    EXPECT_EQ(h.Advance(10 * i + 5), EventTime{10 * i}) << "as it was when the first that waits came";
    h.Process({Set(2, i + 1, 10 * i + 3)});
    EXPECT_EQ(h.Advance(10 * (i + 1)), EventTime{10 * i});
  }
  h.Process({End(10, 120)});
  EXPECT_EQ(h.Advance(120), EventTime{120});
}

TEST(Transactions, ASnapshotHasNoneAndEndsOneWhoseEndIsNeverToCome) {
  Harness h(TransactionsNode());
  h.Process({Row({.snapshot = true}, 1, 1, 1)});
  EXPECT_THAT(h.out().rows, SizeIs(1));
  h.Process({Set(2, 7, 2)});
  h.Commit();
  h.Process({Row({.snapshot = true, .resnapshot = 1}, 1, 3, 3)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|1", "2|7", "1|1", "1|3"));
}

TEST(Transactions, ALargeRowWaitsToo) {
  Schema in = Columns("id int64, text string");
  const Schema out = in;
  in.Add({kChangeColumn, {.kind = Kind::kBytes}, false});
  Node node = MakeNode(TransactionsSpec{{.key = {0}, .values = {0, 1}}}, in, AllHidden().With(Hidden::kOp), out);
  node.inputs[0].hidden = AllHidden();
  node.mode = {true, {0}};
  std::string change;
  AppendChange({}, &change);
  const std::string large(700'000, 'x');
  Harness h(node);
  h.Process({{.cells = {int64_t{1}, large, change}, .offset = 1}});
  h.Commit();
  h.Crash();
  std::string end;
  AppendChange({.ends_transaction = true}, &end);
  EXPECT_EQ(h.store().Count("t"), 7) << "what is known of it, and pieces";
  // The row is larger than the changes keep, and comes to them whole.
  h.op()
      .ProcessBatch(0, ToBatch(in, AllHidden(), {{.cells = {int64_t{0}, "", end}, .offset = 2}}), h.out())
      .IgnoreError();
  ASSERT_THAT(h.out().rows, SizeIs(1));
  EXPECT_EQ(std::get<std::string>(h.out().rows[0].cells[1]), large);
}

// How many commits have given out a part of a transaction.
int PartsGivenOut(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<TestRow> log;
  std::map<int64_t, std::set<int64_t>> written;  // ids by transaction
  for (int64_t transaction = 1; transaction <= 60; ++transaction) {
    const int64_t rows = 1 + static_cast<int64_t>(random() % 40);
    for (int64_t i = 0; i < rows; ++i) {
      const auto id = static_cast<int64_t>(random() % 1000);
      written[transaction].insert(id);
      log.push_back(Set(id, transaction, static_cast<int64_t>(log.size())));
    }
    log.push_back(End(transaction, static_cast<int64_t>(log.size())));
  }
  Harness h(TransactionsNode());
  int parts = 0;
  size_t committed = 0, read = 0, read_committed = 0;
  while (read < log.size()) {
    const size_t n = std::min<size_t>(1 + random() % 50, log.size() - read);
    h.Process({log.begin() + static_cast<int64_t>(read), log.begin() + static_cast<int64_t>(read + n)});
    read += n;
    if (random() % 5 == 0 && read < log.size()) {
      h.Crash();
      read = read_committed;
      continue;
    }
    if (random() % 2 == 0 && read < log.size()) continue;
    h.Commit();
    read_committed = read;
    std::map<int64_t, std::set<int64_t>> given;
    for (; committed < h.out().rows.size(); ++committed) {
      const TestRow& row = h.out().rows[committed];
      if (row.op != Op::kInsert && row.op != Op::kUpdateAfter) continue;
      given[std::get<int64_t>(row.cells[1])].insert(std::get<int64_t>(row.cells[0]));
    }
    for (const auto& [transaction, ids] : given) parts += ids == written[transaction] ? 0 : 1;
  }
  EXPECT_EQ(h.ledger().absorbed, 60);
  h.CheckLedger();
  return parts;
}

TEST(Transactions, NoCommitHasAPartOfOneWhateverCutsIt) {
  for (uint64_t seed = 0; seed < 10; ++seed) EXPECT_EQ(PartsGivenOut(seed), 0) << seed;
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST(Transactions, RowsThatGoOnBeforeTheEndAreFoundOut) {
  SetMutation(Mutation::kTransactionShownInParts, true);
  const int parts = PartsGivenOut(1);
  SetMutation(Mutation::kTransactionShownInParts, false);
  EXPECT_GT(parts, 0);
}
#endif

}  // namespace
}  // namespace tidemark
