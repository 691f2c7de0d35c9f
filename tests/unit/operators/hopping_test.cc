// Hopping windows that share panes, against the rows themselves: each window is computed by itself from the rows that
// it takes, as if there were no panes. Whatever the lengths, batches, commits, crashes and memory.
#include "operators/window/panes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "operators/window/pane_reader.h"
#include "src/base/memory_budget.h"
#include "tests/unit/operators/window_model.h"

namespace tidemark {
namespace {

WindowSpec Hopping(int64_t size, int64_t every, int64_t grace, int64_t offset = 0) {
  WindowSpec spec = FullSpec(size, every, grace, false);
  spec.offset_us = offset;
  spec.aggregates.push_back({"d", "count(distinct v)"});
  spec.aggregates.push_back({"t", "string_agg(v::text, '/')"});
  spec.aggregates.push_back({"sd", "sum(x) filter (where v > 0)"});
  EXPECT_TRUE(panes::Shared(spec));
  return spec;
}
const std::string kAggregates = absl::StrCat(std::string(kAllAggregates), ", d int64, t string null, sd double null");

// What aggregates of a window are that the model of all windows hasn't got.
std::string MoreText(std::vector<TestRow> rows) {
  std::set<int64_t> values;
  std::string text;
  double sum = 0;
  bool any = false;
  std::sort(rows.begin(), rows.end(), [](const TestRow& a, const TestRow& b) {
    return std::tie(a.time, a.source, a.partition, a.offset) < std::tie(b.time, b.source, b.partition, b.offset);
  });
  for (const TestRow& row : rows) {
    if (row.cells[1].index() == 0) continue;
    const int64_t v = std::get<int64_t>(row.cells[1]);
    absl::StrAppend(&text, text.empty() ? "" : "/", v);
    values.insert(v);
    if (v <= 0) continue;
    sum += std::get<double>(row.cells[2]);
    any = true;
  }
  return absl::StrCat("|", values.size(), "|", text.empty() ? "NULL" : text, "|", any ? absl::StrCat(sum) : "NULL");
}

// In the order of windows, then of places, NULL last.
std::vector<std::string> Model(const std::vector<TestRow>& rows, const WindowSpec& spec) {
  std::map<std::tuple<int64_t, bool, std::string>, std::vector<TestRow>> groups;
  for (const TestRow& row : rows) {
    const bool null = row.cells[0].index() == 0;
    for (int64_t start = spec.offset_us - 20 * spec.size_us; start <= row.time; start += spec.every_us) {
      if (row.time >= start + spec.size_us || start + spec.size_us + spec.grace_us <= row.watermark) continue;
      groups[{start, null, null ? "NULL" : std::get<std::string>(row.cells[0])}].push_back(row);
    }
  }
  std::vector<std::string> results;
  for (const auto& [group, members] : groups) {
    const auto& [start, null, place] = group;
    results.push_back(
        absl::StrCat(place, "|", start, "|", start + spec.size_us, "|", SumText(members), MoreText(members)));
  }
  return results;
}

// Keys that come and go.
std::vector<TestRow> Rows(uint64_t seed, int64_t n, int64_t places) {
  std::vector<TestRow> rows = RandomRows(seed, n);
  std::mt19937_64 random(seed + 100);
  for (TestRow& row : rows) {
    if (row.cells[0].index() == 0) continue;
    const int64_t at = row.offset / 100 + static_cast<int64_t>(random() % static_cast<uint64_t>(places));
    row.cells[0] = absl::StrCat("place-", 100 + at % (2 * places));
  }
  return rows;
}

std::vector<std::string> Sorted(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  return texts;
}

struct Case {
  int64_t size, every, grace, offset;
};
constexpr Case kCases[] = {{300, 100, 20, 0}, {600, 30, 0, 7}, {2000, 50, 130, 49}, {160, 20, 400, 0}};

TEST(Hopping, WindowsAreThoseOfTheRowsWhateverTheBatchesCommitsCrashesAndMemory) {
  int64_t late = 0;
  int spilled = 0;
  for (const Case& c : kCases) {
    const WindowSpec spec = Hopping(c.size, c.every, c.grace, c.offset);
    const auto rows = Rows(static_cast<uint64_t>(c.size), 200, 2);
    const std::vector<std::string> expected = Sorted(Model(rows, spec));
    std::vector<std::string> first;
    for (const size_t batch_size : {1, 7, 1000}) {
      for (const bool short_of_memory : {false, true}) {
        MemoryBudget none(0, 0);
        Harness h(SingleNode(spec, kAggregates), {}, short_of_memory ? &none : nullptr);
        h.FeedWithCrashes(rows, batch_size, batch_size, 25, 120);
        spilled += h.store().Count("r") > 0;
        h.Advance(1'000'000);
        h.Commit();
        const std::vector<std::string> found = CellsText(h.out().rows);
        if (first.empty()) first = found;
        ASSERT_EQ(Sorted(found), expected) << c.size << " " << batch_size << short_of_memory;
        ASSERT_EQ(found, first) << "the order depends on batches or memory";
        late += h.ledger().late_pairs;
        EXPECT_EQ(h.ledger().open, 0);
        h.CheckLedger();
        h.Commit();
        for (const char* letter : {"k", "v", "d", "c", "r"}) EXPECT_EQ(h.store().Count(letter), 0) << letter;
      }
    }
  }
  EXPECT_GT(late, 100);
  EXPECT_GE(spilled, 4) << "hardly any group has left memory";
}

TEST(Hopping, AWindowIsToldOverManyCommitsAndCrashes) {
  const WindowSpec spec = Hopping(1000, 100, 0);
  const auto rows = Rows(3, 1500, 2000);
  for (const bool short_of_memory : {false, true}) {
    MemoryBudget none(0, 0);
    Harness whole(SingleNode(spec, kAggregates)),
        h(SingleNode(spec, kAggregates), {}, short_of_memory ? &none : nullptr);
    whole.Feed(rows, 100);
    whole.Advance(1'000'000);
    h.out().set_full_after(1);  // 2,048 rows are told at once
    for (size_t at = 0; at < rows.size(); at += 100) {
      h.Feed({rows.begin() + static_cast<int64_t>(at), rows.begin() + static_cast<int64_t>(at) + 100}, 100);
      if (at % 500 == 0) h.Commit();
      if (at % 1000 == 0) h.Crash();
    }
    h.Advance(1'000'000);
    h.Commit();
    EXPECT_GT(whole.out().rows.size(), 10'000u);
    EXPECT_EQ(CellsText(h.out().rows), CellsText(whole.out().rows));
  }
}

// A row that its own watermark is late for keeps out of windows that the operator hasn't closed yet.
TEST(Hopping, ARowIsLateForAWindowByItsOwnWatermarkOnly) {
  WindowSpec spec = Spec(60, 20, 0);
  Harness h(SingleNode(spec));
  h.Process({Row("a", 1, 45)});                     // windows 0, 20, 40
  h.Process({Row("a", 1, 46, /*watermark=*/60)});   // 20, 40
  h.Process({Row("a", 1, 47, /*watermark=*/85)});   // 40
  h.Process({Row("a", 1, 48, /*watermark=*/100)});  // none
  h.Advance(1000);
  EXPECT_EQ(CellsText(h.out().rows), (std::vector<std::string>{"a|0|60|1", "a|20|80|2", "a|40|100|3"}));
  EXPECT_EQ(h.out().late.size(), 3u);
  EXPECT_EQ(h.ledger().pairs, 12);
  EXPECT_EQ(h.ledger().late_pairs, 1 + 2 + 3);
  EXPECT_EQ(h.ledger().closed, 6);
  EXPECT_EQ(h.ledger().late, 1);
  h.CheckLedger();
}

// A window that is closed at the operator only counts as late behind an idle partition.
TEST(Hopping, WhatIsClosedByOthersOnlyIsLateAfterIdle) {
  Harness h(SingleNode(Spec(60, 20, 0)));
  h.Process({Row("a", 1, 45)});
  h.Advance(80);
  h.Process({Row("a", 1, 59, 0)});
  h.Advance(1000);
  EXPECT_EQ(CellsText(h.out().rows), (std::vector<std::string>{"a|0|60|1", "a|20|80|1", "a|40|100|2"}));
  EXPECT_EQ(h.ledger().late_after_idle, 2);
  EXPECT_EQ(h.ledger().late_pairs, 0);
  h.CheckLedger();
}

TEST(Hopping, TwoPhasesGiveWhatOneGives) {
  for (const bool cold : {false, true}) {
    MemoryBudget none(0, 0);
    const WindowSpec spec = Hopping(1000, 50, 20, 3);
    const auto rows = Rows(11, 600, 4);
    Harness up[2] = {Harness(PartialNode(spec)), Harness(PartialNode(spec))};
    Harness final(FinalNode(spec, kAggregates), {}, cold ? &none : nullptr);
    size_t sent[2] = {0, 0};
    int64_t watermarks[2] = {kMinTime.us, kMinTime.us}, reported[2] = {kMinTime.us, kMinTime.us};
    const auto send = [&](int task) {
      up[task].Commit();
      const auto& out = up[task].out().rows;
      final.Process({out.begin() + static_cast<int64_t>(sent[task]), out.end()});
      sent[task] = out.size();
      reported[task] = watermarks[task];
    };
    for (size_t i = 0; i < rows.size(); ++i) {
      const int task = rows[i].source;
      up[task].Feed({rows[i]}, 1);
      watermarks[task] = std::max(watermarks[task], rows[i].watermark);
      if (i % 37 != 0) continue;
      send(task);
      final.Advance(std::min(reported[0], reported[1]));
      if (i % 5 == 0) final.Commit();
      if (i % 185 == 0) final.Crash();
    }
    for (int task = 0; task < 2; ++task) send(task);
    final.Advance(1'000'000);
    final.Commit();
    EXPECT_EQ(Sorted(CellsText(final.out().rows)), Sorted(Model(rows, spec)));
    const StepLedger &a = up[0].ledger(), &b = up[1].ledger(), &f = final.ledger();
    EXPECT_EQ(f.late_after_idle, 0);
    EXPECT_EQ(a.pairs + b.pairs, a.late_pairs + b.late_pairs + f.closed + f.open);
    EXPECT_EQ(f.open, 0);
  }
}

// As earlier versions have left it: each window with groups of its own, of rows up to the change of versions.
TEST(Hopping, GroupsThatWereKeptForEachWindowGoOn) {
  const WindowSpec spec = Hopping(600, 100, 20);
  const auto rows = Rows(5, 400, 4);
  // An old operator takes the first half of the rows: partials of one window each, which is what its groups are.
  Harness final(FinalNode(spec, kAggregates));
  std::vector<TestRow> first(rows.begin(), rows.begin() + 200), second(rows.begin() + 200, rows.end());
  for (int64_t back = 0; back < panes::Windows(spec); ++back) {
    // Rows in the window that starts `back` hops before that of their pane, where it still takes them.
    std::vector<TestRow> part;
    for (TestRow row : first) {
      const int64_t start = (EventTime{row.time}.us - ((row.time % 100 + 100) % 100)) - back * spec.every_us;
      if (start + spec.size_us + spec.grace_us <= row.watermark) continue;
      part.push_back(row);
    }
    Harness up(PartialNode(spec));
    for (TestRow& row : part) row.watermark = kMinTime.us;
    up.Feed(part, 100);
    up.Commit();
    std::vector<TestRow> partials = up.out().rows;
    for (TestRow& partial : partials) {
      partial.cells[1] = std::get<int64_t>(partial.cells[1]) - back * spec.every_us;
      partial.cells[2] = Cell();
    }
    final.Process(partials);
  }
  final.Commit();
  final.Crash();
  Harness up(PartialNode(spec));
  up.Feed(second, 50);
  up.Commit();
  final.Process(up.out().rows);
  final.Advance(1'000'000);
  final.Commit();
  EXPECT_EQ(Sorted(CellsText(final.out().rows)), Sorted(Model(rows, spec)));
}

// One window of an earlier version, told in part when the versions changed, in front of groups that had left memory.
TEST(Hopping, AWindowThatAnEarlierVersionHasToldInPartGoesOn) {
  MemoryBudget none(0, 0);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 6000; ++i) rows.push_back(Row(absl::StrCat("place", i).c_str(), i, i % 600));
  Harness h(SingleNode(Spec(600, 600, 0)), {}, &none);
  h.out().set_full_after(1);
  for (int64_t at = 0; at < 6000; at += 1000) {
    h.Process({rows.begin() + at, rows.begin() + at + 1000});
    for (int i = 0; i < 3; ++i) h.Commit();
  }
  ASSERT_GT(h.store().Count("r"), 0);
  const Port& in = h.node().in(0);
  ASSERT_TRUE(h.op().AdvanceWatermark(EventTime{700}, h.out()).ok()) << in.schema.ToString();
  h.Commit();
  const size_t told = h.out().rows.size();
  EXPECT_GT(told, 0u);
  EXPECT_LT(told, 6000u);
  h.GoOnWith(SingleNode(Spec(600, 100, 0)));
  h.Advance(1'000'000);
  h.Commit();
  std::vector<std::string> expected;
  for (const TestRow& row : rows) expected.push_back(absl::StrCat(std::get<std::string>(row.cells[0]), "|0|600|1"));
  EXPECT_EQ(Sorted(CellsText(h.out().rows)), Sorted(expected));
}

// From sums to panes that are read, and back, while a window is told: what it comes to is the same, bit by bit.
TEST(Hopping, WhatIsToldDoesNotDependOnWhenMemoryIsShort) {
  WindowSpec spec = Spec(1000, 100, 0);
  spec.aggregates = {{"n", "count(*)"}, {"s", "sum(x)"}, {"a", "avg(x)"}};
  constexpr char kColumns[] = "n int64, s double null, a double null";
  std::mt19937_64 random(4);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 6000; ++i) {
    TestRow row = Row(absl::StrCat("place", random() % 2600).c_str(), 0, i / 2);
    row.cells[2] = std::ldexp(static_cast<double>(random() % 1'000'003) - 500'000, static_cast<int>(random() % 200));
    if (random() % 20 == 0) row.cells[2] = random() % 2 == 0 ? 1.7e308 : -1.7e308;
    rows.push_back(row);
  }
  const auto exact = [](const std::vector<TestRow>& out) {
    std::vector<std::string> texts;
    for (const TestRow& row : out) {
      texts.push_back(CellsText(row));
      for (const size_t c : {4, 5}) {
        if (row.cells[c].index() == 2)
          absl::StrAppend(&texts.back(), " ", absl::Hex(std::bit_cast<uint64_t>(std::get<double>(row.cells[c]))));
      }
    }
    return texts;
  };
  std::vector<std::string> expected, expected_failures;
  for (int round = 0; round < 3; ++round) {
    MemoryBudget budget(1 << 20, 0);
    MemoryBudget::Share other(&budget);
    Harness h(SingleNode(spec, kColumns), {}, &budget);
    h.out().set_full_after(1);  // 2,048 rows are told at once: a window takes two commits
    const auto between = [&] {
      if (round == 0) return;
      other.Update(random() % 2 == 0 ? 0 : 64 << 20);
      h.Commit();
      if (round == 2 && random() % 3 == 0) h.Crash(/*advance=*/false);
    };
    for (int64_t at = 0; at < 6000; at += 200) {
      h.Process({rows.begin() + at, rows.begin() + at + 200});
      EventTime until{at / 2 + 100}, reached = kMinTime;
      for (int steps = 0; reached < until - 1000 && steps < 20; ++steps) {
        const auto advanced = h.op().AdvanceWatermark(until, h.out());
        ASSERT_TRUE(advanced.ok()) << advanced.status();
        if (!h.out().Full()) break;
        round == 0 ? h.Commit() : between();
      }
      between();
    }
    other.Update(0);
    h.Commit();
    h.Advance(1'000'000);
    h.Commit();
    EXPECT_GT(h.out().rows.size(), 20'000u);
    if (round == 0) {
      expected = exact(h.out().rows);
      expected_failures = h.out().failures;
      continue;
    }
    EXPECT_EQ(exact(h.out().rows) == expected, true) << round;
    EXPECT_EQ(h.out().failures, expected_failures) << round;
  }
}

TEST(Hopping, ASumThatGoesOutOfRangeInOnePaneAloneComesBack) {
  WindowSpec spec = Spec(300, 100, 0);
  spec.aggregates = {{"s", "sum(x)"}};
  for (const bool crash : {false, true}) {
    Harness h(SingleNode(spec, "s double null"));
    for (const auto& [time, x] : {std::pair(50, 1.7e308), std::pair(150, 1.7e308), std::pair(250, -1.7e308)}) {
      TestRow row = Row("a", 0, time);
      row.cells[2] = x;
      h.Process({row});
      h.Advance(time);
      h.Commit();
      if (crash) h.Crash();
    }
    h.Advance(1000);
    std::vector<std::string> results;
    for (const TestRow& row : h.out().rows) results.push_back(CellsText(row));
    const std::string large = CellsText(TestRow{.cells = {1.7e308}}),
                      negative = CellsText(TestRow{.cells = {-1.7e308}});
    EXPECT_EQ(results, (std::vector<std::string>{"a|-200|100|" + large, "a|0|300|" + large, "a|100|400|0",
                                                 "a|200|500|" + negative}));
    EXPECT_EQ(h.out().failures.size(), 1u) << "the window of the first two alone";
  }
}

// A commit ends behind a key that is larger than a value in state may be.
TEST(Hopping, AKeyOfAnyLengthMayBeTheLastOneThatIsTold) {
  for (const size_t length : {kMaxValueBytes - 16, kMaxValueBytes + 50'000, 2 * kMaxValueBytes + 100'000}) {
    Harness h(SingleNode(Spec(300, 100, 0)));
    std::vector<TestRow> rows;
    for (int i = 0; i < 2047; ++i) rows.push_back(Row(absl::StrCat("a", i).c_str(), 1, 0));
    rows.push_back(Row(("b" + std::string(length, 'x')).c_str(), 1, 0));
    rows.push_back(Row("c", 1, 0));
    h.Process(rows);
    h.Commit();
    h.out().set_full_after(1);
    for (const int64_t expected : {2048, 2049, 2 * 2049 - 1, 2 * 2049, 3 * 2049 - 1, 3 * 2049}) {
      ASSERT_TRUE(h.op().AdvanceWatermark(EventTime{1'000'000}, h.out()).ok());
      EXPECT_EQ(static_cast<int64_t>(h.out().rows.size()), expected);
      h.Commit();
      if (expected % 2049 != 0) {
        EXPECT_GE(h.store().Count("h"), static_cast<int64_t>(length / kMaxValueBytes) + 1) << "parts of the key";
      }
      h.Crash(/*advance=*/false);
    }
    EXPECT_EQ(h.store().Count("h"), 1) << "parts of the key that was told last are left";
  }
}

TEST(Hopping, WhatIsReadAheadIsLittleHoweverManyPanes) {
  EXPECT_EQ(PaneReader::BlocksAhead(0), 16u);
  EXPECT_EQ(PaneReader::BlocksAhead(60), 16u);
  EXPECT_EQ(PaneReader::BlocksAhead(1000), 4u);
  EXPECT_EQ(PaneReader::BlocksAhead(8640), 1u);
  // And it counts: beside what the groups take in memory, which is nothing, while a window is told.
  MemoryBudget none(0, 0);
  WindowSpec spec = Spec(1000, 100, 0);
  Harness h(SingleNode(spec), {}, &none);
  for (int64_t pane = 0; pane < 10; ++pane) {
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < 3000; ++i)
      rows.push_back(Row(absl::StrCat("a place of its own: ", i).c_str(), 1, pane * 100));
    h.Process(rows);
    for (int i = 0; i < 4; ++i) h.Commit();
  }
  for (int i = 0; i < 30; ++i) h.Commit();
  const int64_t before = h.op().MemoryBytes();
  h.out().set_full_after(1);
  ASSERT_TRUE(h.op().AdvanceWatermark(EventTime{100}, h.out()).ok());
  ASSERT_TRUE(h.op().AdvanceWatermark(EventTime{1000}, h.out()).ok());
  for (int i = 0; i < 19; ++i) {
    h.Commit();
    ASSERT_TRUE(h.op().AdvanceWatermark(EventTime{1000}, h.out()).ok());
  }
  EXPECT_GT(h.op().MemoryBytes(), before + 10 * (32 << 10));
}

// Rows cost groups of panes, not of windows.
TEST(Hopping, ARowIsKeptOnceHoweverManyWindowsItLiesIn) {
  const auto written = [](int64_t size) {
    WindowSpec spec = Spec(size, kSecond, 0);
    Harness h(SingleNode(spec));
    for (int64_t i = 0; i < 100; ++i) {
      h.Process({Row(absl::StrCat("p", i % 10).c_str(), 1, i * kSecond / 10)});
      h.Commit();
    }
    return h.store().written_bytes();
  };
  const int64_t hour = written(3600 * kSecond);
  EXPECT_LT(hour, 2 * written(kSecond));
}

TEST(Hopping, WhatIsToldAsItChangesAndWhatHasNoKeyKeepsToItsWindows) {
  EXPECT_TRUE(panes::Shared(Spec(60, 20, 0)));
  EXPECT_FALSE(panes::Shared(Spec(60, 30, 0))) << "two windows";
  EXPECT_FALSE(panes::Shared(Spec(60, 60, 0)));
  EXPECT_FALSE(panes::Shared(Spec(250, 100, 0)));
  EXPECT_FALSE(panes::Shared(Spec(60, 20, 0, /*on_update=*/true)));
  EXPECT_FALSE(panes::Shared(Spec(60, 5, 0))) << "the hop has no room for the number";
  WindowSpec spec = Spec(60, 20, 0);
  spec.group_by = {};
  EXPECT_FALSE(panes::Shared(spec));
}

}  // namespace
}  // namespace tidemark
