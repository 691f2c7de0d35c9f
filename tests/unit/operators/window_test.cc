#include <cmath>
#include <limits>
#include <map>
#include <random>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "tests/unit/operators/window_fixture.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Window, ARowAtTheEndOfAWindowBelongsToTheNext) {
  Harness h(SingleNode(Spec(kMinute, kMinute, 0)));
  h.Process({Row("a", 1, 0), Row("a", 1, kMinute - 1), Row("a", 1, kMinute), Row("a", 1, -1)});
  h.Advance(2 * kMinute);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|-60000000|0|1", "a|0|60000000|2", "a|60000000|120000000|1"));
  EXPECT_EQ(h.out().rows[1].time, kMinute - kMillisecond);
  EXPECT_EQ(h.out().rows[1].watermark, kMinTime.us);
  EXPECT_EQ(h.ledger().closed, 4);
  EXPECT_EQ(h.ledger().open, 0);
  h.CheckLedger();
}

TEST(Window, AHoppingWindowTakesARowSizeByEveryTimes) {
  Harness h(SingleNode(Spec(30, 10, 0)));
  h.Process({Row("a", 1, 35)});
  h.Advance(1000);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|10|40|1", "a|20|50|1", "a|30|60|1"));
  EXPECT_EQ(h.ledger().pairs, 3);
  EXPECT_EQ(h.ledger().absorbed, 1);
}

TEST(Window, ClosesExactlyAtItsEndPlusGrace) {
  Harness h(SingleNode(Spec(kMinute, kMinute, kSecond)));
  h.Process({Row("a", 1, 5)});
  h.Advance(kMinute + kSecond - 1);
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Advance(kMinute + kSecond);
  EXPECT_EQ(h.out().rows.size(), 1u);
}

TEST(Window, ARowIsLateForAWindowIffItsOwnWatermarkHasPassedEndPlusGrace) {
  Harness h(SingleNode(Spec(30, 10, 5)));
  // Windows [10,40), [20,50), [30,60). At 45 the first is late, at 65 all are.
  h.Process({Row("a", 1, 35, 44), Row("a", 2, 35, 45), Row("a", 3, 35, 65)});
  EXPECT_EQ(h.ledger().late_pairs, 4);
  EXPECT_EQ(h.ledger().late, 1);
  EXPECT_EQ(h.ledger().absorbed, 2);
  EXPECT_THAT(CellsText(h.out().late), ElementsAre("a|2|2", "a|3|3"));
  h.Advance(100);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|10|40|1", "a|20|50|2", "a|30|60|2"));
  h.CheckLedger();
}

TEST(Window, ARowForAClosedWindowThatIsNotLateCountsAsLateAfterIdle) {
  Harness h(SingleNode(Spec(kMinute, kMinute, 0)));
  h.Process({Row("a", 1, 5)});
  h.Advance(kMinute);
  h.Commit();
  h.Crash(/*advance=*/false);  // the operator remembers how far time had come
  h.Process({Row("a", 1, 6, 7)});
  EXPECT_EQ(h.ledger().late_after_idle, 1);
  h.Advance(2 * kMinute);
  EXPECT_EQ(h.out().rows.size(), 1u);
  h.CheckLedger();
}

TEST(Window, TheWatermarkLetThroughStaysBeforeEveryResultStillToCome) {
  Harness h(SingleNode(Spec(kMinute, kMinute, 10 * kSecond)));
  EXPECT_EQ(h.Advance(30 * kSecond).us, 30 * kSecond);
  // [0, 1 min) may still get rows, though none has come yet.
  EXPECT_EQ(h.Advance(kMinute + 10 * kSecond - 1).us, kMinute - kMillisecond - 1);
  EXPECT_EQ(h.Advance(kMinute + 10 * kSecond).us, kMinute + 10 * kSecond);
  EXPECT_EQ(h.Advance(kMaxTime.us), kMaxTime);
}

TEST(Window, AggregatesFollowSqlOnNullsAndEmptyInput) {
  WindowSpec spec = Spec(kMinute, kMinute, 0);
  spec.aggregates = {{"c", "count(v)"}, {"s", "sum(v)"},   {"lo", "min(v)"}, {"hi", "max(place)"},
                     {"a", "avg(v)"},   {"f", "first(v)"}, {"l", "last(v)"}};
  Harness h(SingleNode(
      spec, "c int64, s int64 null, lo int64 null, hi string null, a double null, f int64 null, l int64 null"));
  const auto row = [](const char* place, Cell v, int64_t time, int64_t offset) {
    return TestRow{.cells = {std::string(place), v, Cell()}, .time = time, .offset = offset};
  };
  h.Process({row("none", Cell(), 1, 0), row("some", int64_t{3}, 9, 1), row("some", int64_t{4}, 2, 2),
             row("some", Cell(), 1, 3), row("some", int64_t{-1}, 9, 4)});
  h.Advance(kMinute);
  EXPECT_THAT(CellsText(h.out().rows),
              ElementsAre("none|0|60000000|0|NULL|NULL|none|NULL|NULL|NULL", "some|0|60000000|3|6|-1|some|2|NULL|-1"));
}

TEST(Window, ASumBeyondInt64IsADeadLetterOfTheResultRow) {
  WindowSpec spec = Spec(kMinute, kMinute, 0);
  spec.aggregates = {{"s", "sum(v)"}};
  Harness h(SingleNode(spec, "s int64 null"));
  const int64_t max = std::numeric_limits<int64_t>::max();
  h.Process({Row("big", max, 1), Row("big", 1, 1), Row("fits", max, 1), Row("fits", max, 1), Row("fits", -max, 1)});
  h.Advance(kMinute);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre(absl::StrCat("fits|0|60000000|", max)));
  EXPECT_THAT(h.out().failures, ElementsAre("sum(v): bigint out of range: big|0|60000000|NULL"));
  EXPECT_EQ(h.ledger().closed, 5);
  h.CheckLedger();
}

// The values of each group, and what becomes of their sum and average: as in PostgreSQL, an error beyond the range of a
// double unless a value was infinite itself.
TEST(Window, ADoubleSumBeyondItsRangeIsADeadLetterAndAnInfiniteValueIsNot) {
  static constexpr double kHuge = 1e308, kInf = std::numeric_limits<double>::infinity();
  const std::map<std::string, std::vector<double>> groups = {
      {"beyond", {kHuge, kHuge, 1}},      {"below", {-kHuge, -kHuge}}, {"fits", {kHuge, -kHuge, kHuge}},
      {"infinite", {kHuge, kInf, kHuge}}, {"both", {kInf, 1, -kInf}},  {"late", {kHuge, kHuge, kInf}}};
  std::vector<TestRow> rows;
  for (const auto& [place, values] : groups) {
    for (const double x : values) rows.push_back({.cells = {place, Cell(), x}, .time = 1});
  }
  WindowSpec spec = Spec(kMinute, kMinute, 0);
  spec.aggregates = {{"s", "sum(x)"}, {"a", "avg(x)"}};
  const auto check = [](Harness& h) {
    h.Advance(kMinute);
    std::map<std::string, double> sums;
    for (const TestRow& row : h.out().rows) sums[std::get<std::string>(row.cells[0])] = std::get<double>(row.cells[3]);
    ASSERT_EQ(sums.size(), 4u);
    EXPECT_EQ(sums["fits"], kHuge);
    EXPECT_EQ(sums["infinite"], kInf);
    EXPECT_EQ(sums["late"], kInf);
    EXPECT_TRUE(std::isnan(sums["both"]));
    ASSERT_EQ(h.out().failures.size(), 2u);
    for (const std::string& failure : h.out().failures) {
      EXPECT_EQ(failure.rfind("sum(x): value out of range: overflow: be", 0), 0u) << failure;
    }
  };
  Harness single(SingleNode(spec, "s double null, a double null"));
  single.Process(rows);
  single.Commit();
  single.Crash();
  check(single);
  single.CheckLedger();
  // Partials of one row each, then of all.
  for (const size_t rows_a_commit : {size_t{1}, rows.size()}) {
    Harness partial(PartialNode(spec)), final(FinalNode(spec, "s double null, a double null"));
    for (size_t i = 0; i < rows.size(); i += rows_a_commit) {
      partial.Process({rows.begin() + static_cast<int64_t>(i), rows.begin() + static_cast<int64_t>(i + rows_a_commit)});
      partial.Commit();
    }
    final.Process(partial.out().rows);
    check(final);
  }
}

TEST(Window, ARowOnWhichAnArgumentFailsIsInNoWindow) {
  WindowSpec spec = Spec(kMinute, kMinute, 0);
  spec.aggregates = {{"n", "count(*)"}, {"s", "sum(10 / v)"}};
  Harness h(SingleNode(spec, "n int64, s int64 null"));
  h.Process({Row("a", 0, 1), Row("a", 5, 1), Row("a", 0, 1, kMinute)});
  h.Advance(kMinute);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|0|60000000|1|2"));
  EXPECT_EQ(h.ledger().dead_lettered, 1);
  EXPECT_EQ(h.ledger().late, 1);  // late before anything else
  h.CheckLedger();
}

TEST(Window, APartialForAClosedWindowCountsItsRowsAsLateAfterIdle) {
  const WindowSpec spec = Spec(kMinute, kMinute, 0);
  Harness partial(PartialNode(spec));
  partial.Process({Row("a", 1, 1), Row("a", 1, 2), Row("a", 1, 3)});
  partial.Commit();
  Harness final(FinalNode(spec));
  final.Advance(kMinute);
  final.Process(partial.out().rows);
  EXPECT_EQ(final.ledger().late_after_idle, 3);
  final.Advance(5 * kMinute);
  EXPECT_THAT(final.out().rows, IsEmpty());
}

// What two commits of `places` places, then one of a single place, send downstream.
std::vector<size_t> PartialsOfThreeCommits(const WindowSpec& spec, int places, Harness* final) {
  Harness partial(PartialNode(spec));
  std::vector<size_t> sent;
  for (const int of : {places, places, 1}) {
    const size_t before = partial.out().rows.size();
    std::vector<TestRow> rows;
    for (int i = 0; i < 1000; ++i) rows.push_back(Row(absl::StrCat("place", i % of).c_str(), i, i));
    partial.Feed(rows, 100);
    partial.Commit();
    const auto& out = partial.out().rows;
    final->Process({out.begin() + static_cast<int64_t>(before), out.end()});
    sent.push_back(out.size() - before);
  }
  return sent;
}

TEST(Window, WhereNearlyEveryRowHasItsOwnGroupAPartialIsARow) {
  WindowSpec spec = Spec(kMinute, kMinute, 0);
  spec.aggregates = {{"n", "count(*)"}, {"s", "sum(v)"}, {"f", "first(v)"}};
  const char* const columns = "n int64, s int64 null, f int64 null";
  Harness many(FinalNode(spec, columns)), few(FinalNode(spec, columns));
  EXPECT_THAT(PartialsOfThreeCommits(spec, 900, &many), ElementsAre(900, 1000, 1000)) << "from the second commit on";
  EXPECT_THAT(PartialsOfThreeCommits(spec, 10, &few), ElementsAre(10, 10, 1));
  many.Advance(kMinute);
  few.Advance(kMinute);
  ASSERT_EQ(many.out().rows.size(), 900u);
  ASSERT_EQ(few.out().rows.size(), 10u);
  EXPECT_EQ(CellsText(many.out().rows[0]), "place0|0|60000000|1004|501300|0");
  EXPECT_EQ(CellsText(few.out().rows[0]), "place0|0|60000000|1200|598500|0");
}

// What a running aggregate has given after each row, by the model: the rows one after the other.
TEST(EveryRecord, EachRowGivesItsGroupsResultInTheOrderOfTheRowsWhateverTheBatches) {
  WindowSpec spec = Spec(0, 0, 0, true);
  spec.late_topic.reset();
  spec.every_record = true;
  spec.aggregates = {{"n", "count(*)"}, {"s", "sum(v)"}, {"m", "max(v)"}};
  std::vector<TestRow> rows;
  std::vector<std::string> expected;
  std::map<std::string, std::vector<int64_t>> groups;
  std::mt19937_64 random(4);
  for (int i = 0; i < 600; ++i) {
    const std::string place = absl::StrCat("p", random() % 7);
    rows.push_back(Row(place.c_str(), static_cast<int64_t>(random() % 9), 1000 + i));
    std::vector<int64_t>& values = groups[place];
    const auto result = [&] {
      int64_t sum = 0, most = 0;
      for (const int64_t v : values) sum += v, most = std::max(most, v);
      return absl::StrCat(place, "|", values.size(), "|", sum, "|", most);
    };
    if (!values.empty()) expected.push_back(absl::StrCat(result(), " op 1"));
    values.push_back(std::get<int64_t>(rows.back().cells[1]));
    expected.push_back(absl::StrCat(result(), " op ", values.size() > 1 ? 2 : 0));
  }
  const auto found = [](const Harness& h) {
    std::vector<std::string> texts;
    for (const TestRow& row : const_cast<Harness&>(h).out().rows) {
      texts.push_back(absl::StrCat(CellsText(row), " op ", static_cast<int>(row.op)));
    }
    return texts;
  };
  for (const size_t batch_size : {1, 2, 7, 1000}) {
    for (const bool cold : {false, true}) {
      MemoryBudget none(0, 0);
      Harness h(SingleNode(spec, "n int64, s int64 null, m int64 null"), {}, cold ? &none : nullptr);
      h.FeedWithCrashes(rows, batch_size, 8, 40, 200);
      h.Commit();
      EXPECT_EQ(found(h), expected) << batch_size;
      h.CheckLedger();
      h.Commit();
      EXPECT_EQ(h.out().rows.size(), expected.size()) << "the commit has nothing to add";
    }
  }
}

TEST(EveryRecord, AResultThatIsMadeOfAllValuesIsThatOfItsMoment) {
  WindowSpec spec = Spec(0, 0, 0, true);
  spec.late_topic.reset();
  spec.every_record = true;
  spec.aggregates = {{"d", "count(distinct v)"}, {"m", "mode(v)"}, {"t", "string_agg(v::string, '+')"}};
  Harness h(SingleNode(spec, "d int64, m int64 null, t string null"));
  h.Process({Row("a", 2, 1), Row("a", 1, 3), Row("a", 2, 2)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|1|2|2", "a|1|2|2", "a|2|1|2+1", "a|2|1|2+1", "a|2|2|2+2+1"));
}

TEST(Window, ResultsOfLongTextsGoOutInPieces) {
  WindowSpec spec = Spec(0, 0, 0, true);
  spec.late_topic.reset();
  spec.aggregates = {{"t", "string_agg(repeat(left(place, 1), 262144), '+')"}};
  Harness h(SingleNode(spec, "t string null"));
  std::vector<TestRow> rows;
  for (int i = 0; i < 160; ++i) rows.push_back(Row(absl::StrCat("p", i).c_str(), 1, 1));
  h.Process(rows);
  h.Commit();
  h.Process(rows);
  h.Commit();
  EXPECT_EQ(h.out().rows.size(), 160u + 320u);
  EXPECT_GE(h.out().batches, 3 + 5);
  EXPECT_EQ(std::get<std::string>(h.out().rows.back().cells[1]).size(), 2u * 262144 + 1);
}

TEST(EveryRecord, AWindowsResultsComeWithItsRowsAndItClosesWithoutAWord) {
  WindowSpec spec = Spec(kMinute, kMinute, 0, true);
  spec.every_record = true;
  Harness h(SingleNode(spec));
  h.Process({Row("a", 1, 1), Row("a", 1, 2), Row("b", 1, kMinute), Row("a", 1, 3)});
  ASSERT_EQ(h.out().rows.size(), 6u);
  EXPECT_EQ(CellsText(h.out().rows[4]), "a|0|60000000|2");
  EXPECT_EQ(CellsText(h.out().rows[5]), "a|0|60000000|3");
  EXPECT_EQ(h.out().rows[5].time, kMinute - 1000);
  h.Commit();
  h.Crash();
  h.Process({Row("a", 1, 4)});
  EXPECT_EQ(CellsText(h.out().rows.back()), "a|0|60000000|4");
  h.Advance(2 * kMinute);
  h.Commit();
  EXPECT_EQ(h.out().rows.size(), 8u);
  EXPECT_EQ(h.ledger().open, 0);
  h.CheckLedger();
}

// Each half of an update is a row of its own, or what is given would depend on where batches end.
TEST(EveryRecord, RowsThatAreTakenBackAreRowsToo) {
  WindowSpec spec = Spec(0, 0, 0, true);
  spec.late_topic.reset();
  spec.every_record = true;
  spec.input_updates = true;
  Node node = SingleNode(spec);
  node.inputs[0].hidden = UpdateHidden();
  Harness h(node);
  TestRow first = Row("a", 1, 1), gone = first, other = Row("b", 1, 1);
  gone.op = Op::kUpdateBefore;
  other.op = Op::kUpdateAfter;
  h.Process({first, first, gone, other, gone});
  std::vector<std::string> texts;
  for (const TestRow& row : h.out().rows)
    texts.push_back(absl::StrCat(CellsText(row), " op ", static_cast<int>(row.op)));
  EXPECT_EQ(texts, (std::vector<std::string>{"a|1 op 0", "a|1 op 1", "a|2 op 2", "a|2 op 1", "a|1 op 2", "b|1 op 0",
                                             "a|1 op 3"}));
  h.Commit();
  h.CheckLedger();
}

// Only rows that count are looked at by the argument; a group is there as soon as it has a row.
TEST(Filter, LeavesRowsOutOfOneAggregate) {
  for (const bool two_phases : {false, true}) {
    WindowSpec spec = Spec(kMinute, kMinute, 0);
    spec.aggregates = {{"n", "count(*)"},
                       {"some", "count(*) filter (where v > 1)"},
                       {"q", "sum(100 / v) filter (where v <> 0)"},
                       {"top", "max(v) filter (where x < 3)"}};
    const std::string columns = "n int64, some int64, q int64 null, top int64 null";
    const std::vector<TestRow> rows = {Row("a", 0, 1), Row("a", 2, 1), Row("a", 5, 1), Row("b", 0, 1)};
    Harness single(SingleNode(spec, columns)), partial(PartialNode(spec)), final(FinalNode(spec, columns));
    Harness& first = two_phases ? partial : single;
    first.Process(rows);
    if (two_phases) {
      partial.Commit();
      final.Process(partial.out().rows);
    }
    Harness& last = two_phases ? final : single;
    last.Advance(kMinute);
    EXPECT_EQ(CellsText(last.out().rows),
              (std::vector<std::string>{"a|0|60000000|3|2|70|2", "b|0|60000000|1|0|NULL|0"}));
    EXPECT_TRUE(first.out().failures.empty());
  }
  WindowSpec spec = Spec(0, 0, 0, true);
  spec.late_topic.reset();
  spec.aggregates = {{"n", "count(*) filter (where 1 / v > 0)"}};
  Harness h(SingleNode(spec));
  h.Process({Row("a", 0, 1), Row("a", 1, 1)});
  h.Commit();
  EXPECT_EQ(h.out().failures.size(), 1u) << "the condition fails on a row";
  EXPECT_EQ(CellsText(h.out().rows), std::vector<std::string>{"a|1"});
}

TEST(Offset, WindowsStartThatMuchLater) {
  WindowSpec spec = Spec(kMinute, kMinute, 0);
  spec.offset_us = 15 * kSecond;
  Harness h(SingleNode(spec));
  h.Process(
      {Row("a", 1, -50 * kSecond), Row("a", 1, 14 * kSecond), Row("a", 1, 15 * kSecond), Row("a", 1, 74 * kSecond)});
  EXPECT_LT(h.Advance(75 * kSecond - 1).us, 75 * kSecond - 1000);
  EXPECT_EQ(CellsText(h.out().rows), (std::vector<std::string>{"a|-105000000|-45000000|1", "a|-45000000|15000000|1"}));
  h.Advance(75 * kSecond);
  EXPECT_EQ(CellsText(h.out().rows.back()), "a|15000000|75000000|2");
  WindowSpec hopping = Spec(kMinute, 20 * kSecond, 0);
  hopping.offset_us = 5 * kSecond;
  Harness w(SingleNode(hopping));
  w.Process({Row("a", 1, 4 * kSecond)});
  w.Advance(100 * kSecond);
  EXPECT_EQ(CellsText(w.out().rows),
            (std::vector<std::string>{"a|-55000000|5000000|1", "a|-35000000|25000000|1", "a|-15000000|45000000|1"}));
}

}  // namespace
}  // namespace tidemark
