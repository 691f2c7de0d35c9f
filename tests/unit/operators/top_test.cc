#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "src/base/mutation.h"
#include "src/codec/row_codec.h"
#include "state/keyed_rows.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Schema kRows = Columns("place string, item string, n int64 null");

enum class Input { kWindows, kUpdates, kStanding };  // the last: the list as it stands

TopSpec Spec(int64_t k, Input input) {
  TopSpec spec;
  spec.k = k;
  spec.by = {0};
  spec.order = {{2, true}, {1, false}, {0, false}};
  spec.rank = "rank";
  spec.on_update = input != Input::kWindows;
  spec.input_updates = input == Input::kUpdates;
  if (spec.input_updates) spec.input_key = {0, 1};
  return spec;
}

Node TopNode(const TopSpec& spec) {
  const Schema output = spec.rank.empty() ? kRows : Columns("place string, item string, n int64 null, rank int64");
  Node node = MakeNode(spec, kRows, spec.input_updates ? UpdateHidden() : HiddenSet(), output);
  if (spec.on_update) node.hidden = UpdateHidden();
  return node;
}

TestRow Row(const char* place, const char* item, Cell n, int64_t time, Op op = Op::kInsert) {
  return {.cells = {std::string(place), std::string(item), n}, .time = time, .op = op};
}

TEST(TopRows, EmitsTheBestKOnceWhenTheGroupIsComplete) {
  Harness h(TopNode(Spec(2, Input::kWindows)));
  h.Process({Row("p", "c", int64_t{5}, 99), Row("p", "b", int64_t{7}, 99), Row("q", "x", int64_t{1}, 99),
             Row("p", "a", int64_t{5}, 99)});
  EXPECT_EQ(h.Advance(98).us, 98);
  EXPECT_THAT(h.out().rows, IsEmpty());
  EXPECT_EQ(h.Advance(99).us, 99);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("p|b|7|1", "p|a|5|2", "q|x|1|1"));
  EXPECT_EQ(h.ledger().absorbed, 4);
  EXPECT_EQ(h.ledger().out, 3);
  h.CheckLedger();
}

TEST(TopRows, DescendingPutsNullFirstAsPostgresDoes) {
  Harness h(TopNode(Spec(2, Input::kWindows)));
  h.Process({Row("p", "a", int64_t{5}, 9), Row("p", "b", Cell(), 9)});
  h.Advance(9);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("p|b|NULL|1", "p|a|5|2"));
}

TEST(TopRows, KeepsAtMostKRowsOfAGroupAndRestoresThem) {
  Harness h(TopNode(Spec(3, Input::kWindows)));
  for (int64_t i = 0; i < 1000; ++i) {
    h.Process({Row("p", absl::StrCat("i", i).c_str(), i * 37 % 1000, 50)});
    if (i % 100 == 0) h.Commit();
    if (i % 250 == 0) {
      h.Commit();
      h.Crash();
    }
  }
  EXPECT_LT(h.op().MemoryBytes(), 10'000);
  h.Commit();
  h.Crash();
  EXPECT_EQ(h.Advance(49).us, 49);
  h.Advance(50);
  h.Commit();
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("p|i27|999|1", "p|i54|998|2", "p|i81|997|3"));
  EXPECT_EQ(h.store().Count("t"), 0);
}

TEST(TopRows, AFullCommitStopsBetweenGroups) {
  Harness h(TopNode(Spec(2, Input::kWindows)));
  std::vector<TestRow> rows;
  for (int i = 0; i < 3000; ++i) rows.push_back(Row(absl::StrCat("p", 1000 + i).c_str(), "a", int64_t{i}, i / 1000));
  h.Process(rows);
  h.out().set_full_after(1);
  const auto reached = h.op().AdvanceWatermark(EventTime{10}, h.out());
  ASSERT_TRUE(reached.ok());
  EXPECT_LT(*reached, EventTime{2});
  EXPECT_LT(h.out().rows.size(), 3000u);
  h.Commit();
  h.Crash();
  h.Advance(10);
  EXPECT_EQ(h.out().rows.size(), 3000u);
  EXPECT_TRUE(std::is_sorted(h.out().rows.begin(), h.out().rows.end(),
                             [](const auto& a, const auto& b) { return a.time < b.time; }));
}

TEST(TopUpdates, OnlyDifferencesAreEmittedWithExactlyTheRowsBefore) {
  Harness h(TopNode(Spec(2, Input::kUpdates)));
  h.Process({Row("p", "a", int64_t{1}, 1), Row("p", "b", int64_t{2}, 1), Row("p", "c", int64_t{3}, 1)});
  h.Commit();
  EXPECT_THAT(h.out().rows,
              ElementsAre(TestRow{.cells = {std::string("p"), std::string("c"), int64_t{3}, int64_t{1}}, .time = 1},
                          TestRow{.cells = {std::string("p"), std::string("b"), int64_t{2}, int64_t{2}}, .time = 1}));
  h.out().rows.clear();
  // a stays below the list: nothing to say.
  h.Process({Row("p", "a", int64_t{1}, 1, Op::kUpdateBefore), Row("p", "a", int64_t{0}, 2, Op::kUpdateAfter)});
  h.Commit();
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Crash();
  h.Process({Row("p", "c", int64_t{3}, 1, Op::kDelete), Row("p", "b", int64_t{2}, 1, Op::kDelete)});
  h.Commit();
  EXPECT_THAT(h.out().rows, ElementsAre(TestRow{.cells = {std::string("p"), std::string("c"), int64_t{3}, int64_t{1}},
                                                .time = 1,
                                                .op = Op::kUpdateBefore},
                                        TestRow{.cells = {std::string("p"), std::string("a"), int64_t{0}, int64_t{1}},
                                                .time = 2,
                                                .op = Op::kUpdateAfter},
                                        TestRow{.cells = {std::string("p"), std::string("b"), int64_t{2}, int64_t{2}},
                                                .time = 1,
                                                .op = Op::kDelete}));
}

// Random changes of an update step, each consistent with what stands.
std::vector<TestRow> RandomChanges(uint64_t seed, int n) {
  std::mt19937_64 random(seed);
  std::map<std::pair<std::string, std::string>, TestRow> stands;
  std::vector<TestRow> changes;
  for (int i = 0; i < n; ++i) {
    const std::string place = absl::StrCat("p", random() % 3), item = absl::StrCat("i", random() % 12);
    const TestRow after = Row(place.c_str(), item.c_str(), static_cast<int64_t>(random() % 50), i);
    const auto it = stands.find({place, item});
    if (it == stands.end()) {
      changes.push_back(after);
      stands[{place, item}] = after;
      continue;
    }
    TestRow before = it->second;
    const bool deletes = random() % 5 == 0;
    before.op = deletes ? Op::kDelete : Op::kUpdateBefore;
    changes.push_back(before);
    if (deletes) {
      stands.erase(it);
      continue;
    }
    it->second = after;
    changes.push_back(after);
    changes.back().op = Op::kUpdateAfter;
  }
  return changes;
}

std::set<std::string> Model(const std::vector<TestRow>& changes, size_t k, bool ranked) {
  std::map<std::string, std::vector<TestRow>> places;
  std::map<std::string, TestRow> stands;
  for (const TestRow& row : changes) {
    const std::string key = CellsText(TestRow{.cells = {row.cells[0], row.cells[1]}});
    if (row.op == Op::kDelete || row.op == Op::kUpdateBefore) {
      stands.erase(key);
    } else {
      stands[key] = row;
    }
  }
  for (const auto& [key, row] : stands) places[std::get<std::string>(row.cells[0])].push_back(row);
  std::set<std::string> out;
  for (auto& [place, rows] : places) {
    std::sort(rows.begin(), rows.end(), [](const TestRow& a, const TestRow& b) {
      return std::tie(b.cells[2], a.cells[1]) < std::tie(a.cells[2], b.cells[1]);
    });
    for (size_t r = 0; r < std::min(k, rows.size()); ++r) {
      out.insert(ranked ? absl::StrCat(CellsText(rows[r]), "|", r + 1) : CellsText(rows[r]));
    }
  }
  return out;
}

TEST(TopUpdates, WhatStandsAgreesWithTheModelWhateverTheBatchesCommitsCrashesAndMemory) {
  MemoryBudget none(0, 0);
  bool spilled = false;
  for (const bool ranked : {true, false}) {
    for (const size_t batch_size : {1, 2, 7, 1000}) {
      for (uint64_t seed = 0; seed < 4; ++seed) {
        const auto changes = RandomChanges(seed / 2, 1500);
        TopSpec spec = Spec(4, Input::kUpdates);
        if (!ranked) spec.rank.clear();
        Harness h(TopNode(spec), {}, seed % 2 ? &none : nullptr);
        h.FeedWithCrashes(changes, batch_size, seed / 2, 50, 500);
        h.Commit();
        spilled |= h.store().Count("uf") > 0;
        std::set<std::string> stands;
        for (const auto& [key, row] :
             Fold(h.out().rows, ranked ? std::vector<size_t>{0, 3} : std::vector<size_t>{0, 1}))
          stands.insert(row);
        EXPECT_EQ(stands, Model(changes, 4, ranked)) << ranked << " " << batch_size << " " << seed;
        h.CheckLedger();
      }
    }
  }
  EXPECT_TRUE(spilled);
}

// Groups of many rows, whose first ones go: the next ones are read where they are.
void TakeTheFirst(Harness* h, std::vector<std::vector<std::string>>* lists) {
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 3000; ++i) {
    rows.push_back(Row(i % 2 ? "p" : "q", absl::StrCat("item ", i).c_str(), i / 2 * 7919 % 1500, i));
  }
  std::mt19937_64 random(5);
  std::shuffle(rows.begin(), rows.end(), random);
  h->Feed(rows, 100);
  for (int i = 0; i < 5; ++i) h->Commit();
  std::sort(rows.begin(), rows.end(), [](const TestRow& a, const TestRow& b) { return b.cells[2] < a.cells[2]; });
  for (size_t at = 0; at < 1000; at += 50) {
    for (size_t i = at; i < at + 50; ++i) {
      TestRow row = rows[i];
      row.op = Op::kDelete;
      h->Process({row});
    }
    h->Commit();
    if (at % 200 == 0) h->Crash();
    lists->emplace_back();
    for (const auto& [key, row] : Fold(h->out().rows, {0, 3})) lists->back().push_back(row);
  }
}

TEST(TopUpdates, ALongGroupIsFilledUpFromWhatHasLeftMemory) {
  MemoryBudget none(0, 0);
  Harness cold(TopNode(Spec(3, Input::kUpdates)), {}, &none), hot(TopNode(Spec(3, Input::kUpdates)));
  std::vector<std::vector<std::string>> cold_lists, hot_lists;
  TakeTheFirst(&cold, &cold_lists);
  TakeTheFirst(&hot, &hot_lists);
  EXPECT_GT(cold.store().Count("uf"), 0);
  EXPECT_LT(cold.op().MemoryBytes(), hot.op().MemoryBytes() / 3);
  EXPECT_EQ(cold_lists, hot_lists);
  EXPECT_EQ(cold.out().rows, hot.out().rows);
  EXPECT_THAT(hot_lists.back(), ElementsAre("p|item 643|999|1", "p|item 285|998|2", "p|item 2927|997|3",
                                            "q|item 642|999|1", "q|item 284|998|2", "q|item 2926|997|3"));
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST(TopUpdates, AListThatIsNotFilledUpIsFound) {
  for (const bool mutated : {false, true}) {
    Harness h(TopNode(Spec(2, Input::kUpdates)));
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < 10; ++i) rows.push_back(Row("p", absl::StrCat("i", i).c_str(), 9 - i, i));
    h.Process(rows);
    h.Commit();
    for (TestRow& row : rows) row.op = Op::kDelete;
    h.Process({rows.begin(), rows.begin() + 3});
    SetMutation(Mutation::kTopNotFilledUp, mutated);
    h.Commit();
    SetMutation(Mutation::kTopNotFilledUp, false);
    EXPECT_EQ(h.out().rows.back().op, mutated ? Op::kDelete : Op::kUpdateAfter);
  }
}
#endif

// Changes of one row that have come through two writers: the row is inserted again before it is deleted.
TEST(TopUpdates, ARowThatComesAgainBeforeItGoesStands) {
  Harness h(TopNode(Spec(2, Input::kUpdates)));
  h.Process({Row("p", "a", int64_t{1}, 1)});
  h.Commit();
  h.Process({Row("p", "a", int64_t{1}, 2), Row("p", "a", int64_t{1}, 1, Op::kDelete)});
  h.Commit();
  h.Crash();
  h.Process({Row("p", "b", int64_t{0}, 3)});
  h.Commit();
  std::vector<std::string> stands;
  for (const auto& [key, row] : Fold(h.out().rows, {0, 3})) stands.push_back(row);
  EXPECT_THAT(stands, ElementsAre("p|a|1|1", "p|b|0|2"));
}

// As versions before wrote them: a record a row, by number.
TEST(TopUpdates, RowsOfAnEarlierVersionGoOnAndMoveInPieces) {
  for (const bool short_of_memory : {false, true}) {
    MemoryBudget none(0, 0);
    Harness h(TopNode(Spec(2, Input::kUpdates)), {}, short_of_memory ? &none : nullptr);
    h.Commit();
    StateLog log(&h.store(), "r");
    log.Begin(h.commit());
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < 10'000; ++i) {
      rows.push_back(Row(absl::StrCat("p", i % 2000).c_str(), absl::StrCat("item ", i).c_str(), i, i));
      const Batch batch = ToBatch(kRows, UpdateHidden(), {rows.back()});
      EncodedKeys encoded;
      ASSERT_TRUE(RowCodec::Rows(kRows).Encode(*batch, &encoded).ok());
      std::string record(reinterpret_cast<const char*>(&i), sizeof(i));
      record.append(encoded[0]);
      log.Put(static_cast<uint32_t>(i), record);
    }
    ASSERT_TRUE(log.Commit().ok());
    h.store().Commit();
    h.Crash(/*advance=*/false);
    bool halfway = false;
    for (int i = 0; i < 100 && h.store().Count("r") > 0; ++i) {
      h.Commit();
      h.Crash();
      halfway |= h.store().Count("r") > 0;
    }
    EXPECT_TRUE(halfway || short_of_memory);  // what leaves memory moves as well
    EXPECT_EQ(h.store().Count("uf") > 0, short_of_memory);
    // The best two of a group go, and all of another.
    for (const int64_t i : {8007, 6007, 9, 2009, 4009, 6009, 8009}) {
      TestRow row = rows[static_cast<size_t>(i)];
      row.op = Op::kDelete;
      h.Process({row});
    }
    h.Commit();
    std::vector<std::string> said;
    for (const TestRow& row : h.out().rows) {
      if (row.op == Op::kUpdateAfter || row.op == Op::kInsert) said.push_back(CellsText(row));
    }
    EXPECT_THAT(said, ElementsAre("p7|item 4007|4007|1", "p7|item 2007|2007|2"));
    EXPECT_EQ(h.out().rows.size(), 6u);
  }
}

TEST(TopRunning, EmitsHowTheListChangesAndOfEqualRowsEachHasAPlace) {
  Harness h(TopNode(Spec(3, Input::kStanding)));
  const auto listed = [](const char* item, int64_t n, int64_t rank, int64_t time, Op op = Op::kInsert) {
    return TestRow{.cells = {std::string("p"), std::string(item), n, rank}, .time = time, .op = op};
  };
  h.Process({Row("p", "a", int64_t{1}, 1), Row("p", "b", int64_t{2}, 2), Row("p", "b", int64_t{2}, 3)});
  h.Commit();
  EXPECT_THAT(h.out().rows, ElementsAre(listed("b", 2, 1, 2), listed("b", 2, 2, 3), listed("a", 1, 3, 1)));
  h.out().rows.clear();
  // Below the list, and as good as its last: nothing to say.
  h.Process({Row("p", "c", int64_t{0}, 4), Row("p", "a", int64_t{1}, 5)});
  h.Commit();
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Crash();
  // In and out again within a commit, and one that stays.
  h.Process({Row("p", "d", int64_t{2}, 6), Row("p", "x", int64_t{9}, 7), Row("p", "y", int64_t{8}, 8)});
  h.Commit();
  const Op before = Op::kUpdateBefore, after = Op::kUpdateAfter;
  EXPECT_THAT(h.out().rows,
              ElementsAre(listed("b", 2, 1, 2, before), listed("x", 9, 1, 7, after), listed("b", 2, 2, 3, before),
                          listed("y", 8, 2, 8, after), listed("a", 1, 3, 1, before), listed("b", 2, 3, 2, after)));
  EXPECT_EQ(h.ledger().in, 8);
  EXPECT_EQ(h.ledger().absorbed, 8);
  EXPECT_EQ(h.ledger().out, 9);
}

TEST(TopRunning, KeepsAtMostKRowsOfAGroupInMemoryAndInState) {
  Harness h(TopNode(Spec(3, Input::kStanding)));
  for (int64_t i = 0; i < 3000; ++i) {
    h.Process({Row("p", absl::StrCat("i", i).c_str(), i, i)});  // each is the best so far
    if (i % 10 == 0) h.Commit();
    if (i % 500 == 0) h.Crash();
  }
  h.Commit();
  EXPECT_LT(h.op().MemoryBytes(), 10'000);
  EXPECT_LT(h.store().Count("n"), 100);
  EXPECT_THAT(Fold(h.out().rows, {0, 3}),
              ElementsAre(testing::Pair("p|1", "p|i2999|2999|1"), testing::Pair("p|2", "p|i2998|2998|2"),
                          testing::Pair("p|3", "p|i2997|2997|3")));
}

TEST(TopRunning, RowsThatRankTheSameKeepTheirOrderOverACrash) {
  TopSpec spec = Spec(2, Input::kStanding);
  spec.order = {{1, true}};
  const Schema listed = Columns("place string, x double, rank int64");
  Node node = MakeNode(spec, Columns("place string, x double"), HiddenSet(), listed);
  node.hidden = UpdateHidden();
  Harness h(std::move(node));
  const auto row = [](double x, int64_t time) { return TestRow{.cells = {std::string("p"), x}, .time = time}; };
  h.Process({row(0.0, 1), row(-0.0, 2)});
  h.Commit();
  const auto before = h.out().rows;
  ASSERT_EQ(before.size(), 2u);
  h.Crash();
  h.Process({row(1.0, 3)});
  h.Commit();
  ASSERT_EQ(h.out().rows.size(), 6u);  // each place changes: what stood there is taken back as it was
  EXPECT_EQ(CellsText(h.out().rows[2]), CellsText(before[0]));
  EXPECT_EQ(CellsText(h.out().rows[4]), CellsText(before[1]));
}

TEST(TopRunning, WhatStandsAgreesWithTheModelWhateverTheBatchesCommitsAndCrashes) {
  for (const size_t batch_size : {1, 3, 40, 1000}) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      std::mt19937_64 random(seed);
      std::vector<TestRow> rows;
      std::map<std::string, std::vector<TestRow>> places;
      for (int64_t i = 0; i < 1500; ++i) {
        const std::string place = absl::StrCat("p", random() % 5), item = absl::StrCat("i", random() % 12);
        // Grows, so that lists go on changing; often equal.
        const auto n = static_cast<int64_t>(random() % 20 + static_cast<uint64_t>(i) / 50);
        rows.push_back(Row(place.c_str(), item.c_str(), random() % 40 == 0 ? Cell() : Cell(n), i));
        places[place].push_back(rows.back());
      }
      std::set<std::string> expected;
      for (auto& [place, of] : places) {
        std::sort(of.begin(), of.end(), [](const TestRow& a, const TestRow& b) {
          const bool a_null = a.cells[2].index() == 0, b_null = b.cells[2].index() == 0;
          if (a_null != b_null) return a_null;  // descending puts NULL first
          return std::tie(b.cells[2], a.cells[1]) < std::tie(a.cells[2], b.cells[1]);
        });
        for (size_t r = 0; r < 4; ++r) expected.insert(absl::StrCat(CellsText(of[r]), "|", r + 1));
      }
      Harness h(TopNode(Spec(4, Input::kStanding)));
      h.FeedWithCrashes(rows, batch_size, seed, 50, 500);
      h.Commit();
      std::set<std::string> stands;
      for (const auto& [key, row] : Fold(h.out().rows, {0, 3})) stands.insert(row);
      EXPECT_EQ(stands, expected) << batch_size << " " << seed;
      h.CheckLedger();
    }
  }
}

// Lists that leave memory as soon as they may, against lists that stay, whatever the commits and crashes.
TEST(Top, WhatLeavesMemoryDoesNotShow) {
  for (const Input input : {Input::kWindows, Input::kStanding}) {
    MemoryBudget none(0, 0);
    Harness cold(TopNode(Spec(2, input)), {}, &none), hot(TopNode(Spec(2, input)));
    std::mt19937_64 random(7);
    bool spilled = false;
    for (int64_t i = 0; i < 2500; ++i) {
      const std::string place = absl::StrCat("the place of number ", random() % 50 + (i / 500) * 20);
      const TestRow row =
          Row(place.c_str(), absl::StrCat("i", random() % 9).c_str(), static_cast<int64_t>(random() % 1000) + i / 10,
              i * 10 + static_cast<int64_t>(random() % 5000));
      const bool commits = random() % 12 == 0, crashes = random() % 120 == 0;
      for (Harness* h : {&cold, &hot}) {
        h->Process({row});
        h->Advance(i * 10);
        if (commits || crashes) h->Commit();
        if (crashes) h->Crash();
      }
      spilled |= cold.store().Count("gr") + cold.store().Count("cr") > 0;
    }
    for (Harness* h : {&cold, &hot}) {
      h->Advance(1'000'000);
      h->Commit();
    }
    EXPECT_TRUE(spilled);
    EXPECT_GT(hot.out().rows.size(), 200u);
    EXPECT_EQ(cold.out().rows, hot.out().rows);
    EXPECT_EQ(hot.store().Count("gr") + hot.store().Count("cr"), 0);
    if (input == Input::kWindows) {
      for (int i = 0; i < 3; ++i) cold.Commit();
      for (const char* letter : {"gl", "dl"}) EXPECT_EQ(hot.store().Count(letter), 0) << letter;
    }
  }
}

// Places for lists stay when lists leave: where they alone are more than the budget, no list would ever stay.
TEST(TopRunning, ListsThatFitStayInMemoryAfterManyHaveLeftIt) {
  MemoryBudget budget(100 << 10, 0);
  Harness h(TopNode(Spec(2, Input::kStanding)), {}, &budget);
  std::vector<TestRow> many, few;
  for (int64_t i = 0; i < 20'000; ++i) {
    many.push_back(Row(absl::StrCat("the place of number ", i).c_str(), "item", int64_t{5}, i));
    if (i >= 50) continue;
    for (const char* item : {"a", "b"}) few.push_back(Row(absl::StrCat("few", i).c_str(), item, int64_t{5}, i));
  }
  h.Process(many);
  for (int i = 0; i < 20; ++i) h.Commit();
  for (int i = 0; i < 10; ++i) {
    h.Process(few);
    h.Commit();
  }
  EXPECT_GT(h.op().MemoryBytes(), budget.bytes()) << "places are fewer than this test needs";
  const int64_t before = h.store().written_bytes();
  for (int i = 0; i < 10; ++i) {
    h.Process(few);  // what is listed already
    h.Commit();
  }
  EXPECT_LT(h.store().written_bytes() - before, 5'000) << "lists leave and come back with every commit";
}

// As earlier versions wrote them: a record a group, by number.
TEST(TopRows, GroupsOfAnEarlierVersionGoOn) {
  const Node node = TopNode(Spec(2, Input::kWindows));
  Harness h(node), other(node);
  other.Process({Row("p", "a", int64_t{5}, 9), Row("p", "b", int64_t{7}, 9), Row("q", "c", int64_t{1}, 20)});
  other.Commit();
  // What it has stored, in the former form.
  StateLog log(&h.store(), "t");
  log.Begin(1);
  uint32_t number = 0;
  KeyedRows stored(&other.store(), "g", nullptr);
  ASSERT_TRUE(stored.Load().ok());
  KeyedRows::Walk walk;
  ASSERT_TRUE(stored.GoOn(&walk, 100, [&](std::string_view, std::string_view row) { log.Put(number++, row); }).ok());
  ASSERT_TRUE(log.Commit().ok());
  EXPECT_EQ(number, 2u);
  h.store().Commit();
  h.Crash(/*advance=*/false);
  h.Process({Row("p", "d", int64_t{6}, 9)});
  for (int i = 0; i < 3; ++i) h.Commit();
  h.Crash();
  h.Advance(30);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("p|b|7|1", "p|d|6|2", "q|c|1|1"));
  h.Commit();
  EXPECT_EQ(h.store().Count("t"), 0);
}

// ... of which each commit moves some: a crash finds a part of them moved.
TEST(TopRows, GroupsOfAnEarlierVersionMoveInPieces) {
  for (const bool short_of_memory : {false, true}) {
    MemoryBudget none(0, 0);
    const Node node = TopNode(Spec(2, Input::kWindows));
    Harness h(node, {}, short_of_memory ? &none : nullptr), other(node);
    std::vector<TestRow> rows;
    std::vector<std::string> expected;
    for (int64_t i = 0; i < 5000; ++i) {
      const std::string place = absl::StrCat("a place with a long name ", std::string(200, 'x'), 10'000 + i);
      rows.push_back(Row(place.c_str(), "a", int64_t{5}, 10 + i % 3));
      expected.push_back(absl::StrCat(place, "|a|5|1"));
    }
    h.Commit();
    other.Process(rows);
    other.Commit();
    StateLog log(&h.store(), "t");
    log.Begin(h.commit());
    uint32_t number = 0;
    KeyedRows stored(&other.store(), "g", nullptr);
    ASSERT_TRUE(stored.Load().ok());
    KeyedRows::Walk walk;
    for (bool done = false; !done;) {
      done = stored.GoOn(&walk, 1000, [&](std::string_view, std::string_view row) { log.Put(number++, row); }).value();
    }
    ASSERT_TRUE(log.Commit().ok());
    ASSERT_EQ(number, 5000u);
    h.store().Commit();
    h.Crash(/*advance=*/false);
    bool halfway = false;
    for (int i = 0; i < 100 && h.store().Count("t") > 0; ++i) {
      h.Commit();
      h.Crash(/*advance=*/false);
      halfway |= h.store().Count("t") > 0 && h.store().Count("g") > 0;
    }
    EXPECT_EQ(h.store().Count("t"), 0);
    EXPECT_TRUE(halfway || short_of_memory) << "all of them leave memory, and so their former place, at once there";
    h.Advance(30);
    h.Commit();
    std::vector<std::string> found = CellsText(h.out().rows);
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, expected);
  }
}

}  // namespace
}  // namespace tidemark
