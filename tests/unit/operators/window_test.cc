#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/state_log.h"
#include "operators/zero_packing.h"
#include "src/base/varint.h"
#include "src/plan/partial_schema.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Phase = WindowSpec::Phase;

const Schema kRows = Columns("place string null, v int64 null, x double null");
constexpr int64_t kMinute = 60 * kSecond;

WindowSpec Spec(int64_t size, int64_t every, int64_t grace, bool on_update = false) {
  WindowSpec spec;
  spec.size_us = size;
  spec.every_us = every;
  spec.grace_us = grace;
  spec.on_update = on_update;
  spec.late_topic = "late";
  spec.group_by = {0};
  spec.aggregates = {{"n", "count(*)"}};
  spec.rows = kRows;
  spec.rows_hidden = AllHidden();
  return spec;
}

// Output columns for the aggregates, whose names say their types: "n int64", ...
Node SingleNode(const WindowSpec& spec, std::string_view aggregates = "n int64") {
  const std::string window = spec.size_us > 0 ? "window_start timestamp, window_end timestamp, " : "";
  Node node =
      MakeNode(spec, kRows, AllHidden(), Columns(absl::StrCat("place string null, ", window, std::string(aggregates))));
  node.hidden = spec.on_update ? UpdateHidden() : HiddenSet().With(Hidden::kWatermark);
  node.mode.update = spec.on_update;
  return node;
}
Node PartialNode(WindowSpec spec) {
  spec.phase = Phase::kPartial;
  Node node = MakeNode(spec, kRows, AllHidden(), PartialSchema(spec));
  node.hidden = HiddenSet();
  return node;
}
Node FinalNode(WindowSpec spec, std::string_view aggregates = "n int64") {
  spec.phase = Phase::kFinal;
  Node node = SingleNode(spec, aggregates);
  node.input = PartialSchema(spec);
  node.input_hidden = HiddenSet();
  return node;
}

TestRow Row(const char* place, int64_t v, int64_t time, int64_t watermark = kMinTime.us) {
  return {.cells = {std::string(place), v, static_cast<double>(v)}, .time = time, .watermark = watermark};
}

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
      {"beyond", {kHuge, kHuge, 1}},     {"below", {-kHuge, -kHuge}}, {"fits", {kHuge, -kHuge, kHuge}},
      {"infinite", {kHuge, kInf, kHuge}}, {"both", {kInf, 1, -kInf}},   {"late", {kHuge, kHuge, kInf}}};
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

TEST(Window, ALargeWindowClosesOverManyCommitsAndCrashes) {
  Harness h(SingleNode(Spec(kMinute, kMinute, 0)));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 10'000; ++i) rows.push_back(Row(absl::StrCat("p", 10'000 + i).c_str(), i, i));
  h.Feed(rows, 1000);
  h.Commit();
  h.out().set_full_after(1);
  // Each call emits a part and stops.
  int calls = 0;
  while (h.out().rows.size() < 10'000u && calls < 100) {
    const absl::StatusOr<EventTime> reached = h.op().AdvanceWatermark(EventTime{kMinute}, h.out());
    ASSERT_TRUE(reached.ok());
    EXPECT_LT(h.out().rows.size() < 10'000u ? reached->us : 0, kMinute - kMillisecond);
    ++calls;
    if (calls % 2 == 0) {
      h.Crash(/*advance=*/false);
      ASSERT_TRUE(h.op().AdvanceWatermark(EventTime{kMinute}, h.out()).ok());
    }
    h.Commit();
  }
  EXPECT_GE(calls, 5);
  std::vector<std::string> expected;
  for (int64_t i = 0; i < 10'000; ++i) expected.push_back(absl::StrCat("p", 10'000 + i, "|0|60000000|1"));
  EXPECT_EQ(CellsText(h.out().rows), expected);
  EXPECT_EQ(h.store().Count("k") + h.store().Count("v"), 0);
  h.CheckLedger();
}

// Turns the window's state into what earlier versions wrote: key and values of a group in one record.
void WriteAsEarlierVersions(Harness* h) {
  std::map<uint32_t, std::string> keys, groups;
  std::string start;
  std::vector<std::string> old;
  for (const auto& [key, value] : h->store().live()) {
    if (key[0] == 'k' || key[0] == 'v') old.push_back(key);
    if (key[0] == 'k') start = key.substr(1, 8);
  }
  StateLog key_log(&h->store(), "k" + start), value_log(&h->store(), "v" + start);
  ASSERT_TRUE(key_log
                  .Load([&](uint32_t number, const std::string_view* record) {
                    keys[number] = *record;
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(value_log
                  .Load([&](uint32_t number, const std::string_view* record) {
                    std::string values;
                    EXPECT_TRUE(UnpackZeros(*record, &values));
                    AppendVarint(keys[number].size(), &groups[number]);
                    groups[number] += keys[number] + values;
                    return absl::OkStatus();
                  })
                  .ok());
  for (const std::string& key : old) h->store().Delete(key);
  StateLog whole(&h->store(), "g" + start);
  whole.Begin(h->commit());
  for (const auto& [number, group] : groups) whole.Put(number, group);
  ASSERT_TRUE(whole.Commit().ok());
  h->store().Commit();
}

TEST(Window, StateOfAnEarlierVersionIsReadAndReplacedWhereItChanges) {
  Harness h(SingleNode(Spec(kMinute, kMinute, 0)));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 300; ++i) rows.push_back(Row(absl::StrCat("p", 100 + i % 200).c_str(), i, i));
  h.Feed(rows, 100);
  h.Commit();
  WriteAsEarlierVersions(&h);
  h.Crash();
  EXPECT_GT(h.store().Count("g"), 0);
  h.Process({Row("p100", 1, 1), Row("new", 1, 1)});
  h.Commit();
  EXPECT_EQ(h.store().Count("g"), 0);
  h.Crash();
  h.Advance(kMinute);
  std::vector<std::string> expected = {"new|0|60000000|1"};
  for (int64_t i = 0; i < 200; ++i) {
    expected.push_back(absl::StrCat("p", 100 + i, "|0|60000000|", 1 + (i < 100) + (i == 0)));
  }
  EXPECT_EQ(CellsText(h.out().rows), expected);
  h.Commit();
  EXPECT_EQ(h.store().Count("k") + h.store().Count("v") + h.store().Count("g"), 0);
}

TEST(Window, AGroupsKeyIsWrittenOnce) {
  Harness h(SingleNode(Spec(0, 0, 0, true)));
  const std::string place(10'000, 'p');
  h.Process({Row(place.c_str(), 0, 0)});
  h.Commit();
  const int64_t before = h.store().written_bytes();
  for (int64_t i = 1; i < 50; ++i) {
    h.Process({Row(place.c_str(), i, i)});
    h.Commit();
  }
  EXPECT_LT(h.store().written_bytes() - before, 50 * 100);
}

// ---- Against a model, in one and in two phases

constexpr std::string_view kAllAggregates =
    "n int64, s int64 null, lo double null, hi int64 null, a double null, f int64 null, l int64 null";

WindowSpec FullSpec(int64_t size, int64_t every, int64_t grace, bool on_update) {
  WindowSpec spec = Spec(size, every, grace, on_update);
  spec.aggregates = {{"n", "count(*)"}, {"s", "sum(v)"},   {"lo", "min(x)"}, {"hi", "max(v)"},
                     {"a", "avg(v)"},   {"f", "first(v)"}, {"l", "last(v)"}};
  return spec;
}

std::vector<TestRow> RandomRows(uint64_t seed, int64_t n) {
  std::mt19937_64 random(seed);
  std::vector<TestRow> rows;
  int64_t max_time = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t time = i * 10 + static_cast<int64_t>(random() % 400) - 200;
    max_time = std::max(max_time, time);
    const auto v = static_cast<int64_t>(random() % 1000) - 500;
    TestRow row{.cells = {absl::StrCat("p", random() % 7), v, static_cast<double>(v) / 4},
                .time = time,
                .watermark = max_time - 60,
                .source = static_cast<int32_t>(random() % 2),
                .offset = i};
    if (random() % 11 == 0) row.cells[0] = Cell();
    if (random() % 13 == 0) row.cells[1] = Cell();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string SumText(const std::vector<TestRow>& rows) {
  int64_t sum = 0, count = 0;
  std::optional<int64_t> hi;
  std::optional<double> lo;
  const TestRow *first = nullptr, *last = nullptr;
  const auto order = [](const TestRow& r) { return std::tie(r.time, r.source, r.partition, r.offset); };
  for (const TestRow& row : rows) {
    if (first == nullptr || order(row) < order(*first)) first = &row;
    if (last == nullptr || order(*last) < order(row)) last = &row;
    const double x = std::get<double>(row.cells[2]);
    lo = lo ? std::min(*lo, x) : x;
    if (row.cells[1].index() == 0) continue;
    const int64_t v = std::get<int64_t>(row.cells[1]);
    sum += v;
    ++count;
    hi = hi ? std::max(*hi, v) : v;
  }
  const auto text = [](const auto& value) { return value ? absl::StrCat(*value) : std::string("NULL"); };
  const auto cell = [](const Cell& c) {
    return c.index() == 0 ? std::string("NULL") : absl::StrCat(std::get<int64_t>(c));
  };
  return absl::StrCat(rows.size(), "|", count ? absl::StrCat(sum) : "NULL", "|", text(lo), "|", text(hi), "|",
                      count ? absl::StrCat(static_cast<double>(sum) / static_cast<double>(count)) : "NULL", "|",
                      cell(first->cells[1]), "|", cell(last->cells[1]));
}

// Result rows as text.
std::set<std::string> Model(const std::vector<TestRow>& rows, const WindowSpec& spec) {
  std::map<std::pair<int64_t, std::string>, std::vector<TestRow>> groups;
  for (const TestRow& row : rows) {
    TestRow place{.cells = {row.cells[0]}};
    if (spec.size_us == 0) groups[{0, CellsText(place)}].push_back(row);
    for (int64_t start = -10 * spec.every_us; spec.size_us > 0 && start <= row.time; start += spec.every_us) {
      if (row.time >= start + spec.size_us || start + spec.size_us + spec.grace_us <= row.watermark) continue;
      groups[{start, CellsText(place)}].push_back(row);
    }
  }
  std::set<std::string> results;
  for (const auto& [group, members] : groups) {
    const std::string window = spec.size_us > 0 ? absl::StrCat("|", group.first, "|", group.first + spec.size_us) : "";
    results.insert(absl::StrCat(group.second, window, "|", SumText(members)));
  }
  return results;
}

void FeedWithCrashes(Harness* h, const std::vector<TestRow>& rows, size_t batch_size, uint64_t seed) {
  std::mt19937_64 random(seed);
  size_t committed = 0, at = 0;
  while (at < rows.size()) {
    const size_t end = std::min(at + batch_size, rows.size());
    h->Feed({rows.begin() + static_cast<int64_t>(at), rows.begin() + static_cast<int64_t>(end)}, batch_size);
    at = end;
    if (random() % 100 < batch_size) {
      h->Commit();
      committed = at;
    }
    if (random() % 1000 < batch_size) {
      h->Crash();
      at = committed;
    }
  }
}

std::set<std::string> AsSet(const std::vector<std::string>& texts) {
  std::set<std::string> set(texts.begin(), texts.end());
  EXPECT_EQ(set.size(), texts.size());
  return set;
}

TEST(Window, OnCloseAgreesWithTheModelWhateverTheBatchesCommitsAndCrashes) {
  for (const auto& [size, every] : {std::pair<int64_t, int64_t>{300, 300}, {300, 100}, {250, 100}}) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      const WindowSpec spec = FullSpec(size, every, 20, false);
      const auto rows = RandomRows(seed, 1200);
      const std::set<std::string> expected = Model(rows, spec);
      std::vector<std::string> first;
      for (const size_t batch_size : {1, 2, 7, 1000}) {
        Harness h(SingleNode(spec, kAllAggregates));
        FeedWithCrashes(&h, rows, batch_size, seed);
        h.Advance(1'000'000);
        h.Commit();
        EXPECT_EQ(AsSet(CellsText(h.out().rows)), expected) << batch_size << " " << seed;
        if (first.empty()) first = CellsText(h.out().rows);
        EXPECT_EQ(CellsText(h.out().rows), first) << "the order depends on the batches";
        EXPECT_GT(h.ledger().late_pairs, 0);
        EXPECT_EQ(h.ledger().open, 0);
        EXPECT_EQ(h.store().Count("g"), 0);
        h.CheckLedger();
      }
    }
  }
}

TEST(Window, TheFinalRowsOnUpdateAgreeWithTheModelAndEachChangeReplacesWhatStood) {
  for (const int64_t size : {0, 300}) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      const WindowSpec spec = FullSpec(size, size, 20, true);
      const auto rows = RandomRows(seed, 1200);
      for (const size_t batch_size : {1, 2, 7, 1000}) {
        Harness h(SingleNode(spec, kAllAggregates));
        FeedWithCrashes(&h, rows, batch_size, seed);
        h.Advance(1'000'000);
        h.Commit();
        std::set<std::string> stands;
        const std::vector<size_t> key = size > 0 ? std::vector<size_t>{0, 1, 2} : std::vector<size_t>{0};
        for (const auto& [name, row] : Fold(h.out().rows, key)) stands.insert(row);
        EXPECT_EQ(stands, Model(rows, spec)) << batch_size << " " << seed;
        if (size > 0) {
          EXPECT_EQ(h.store().Count("g"), 0);
        }
        h.CheckLedger();
      }
    }
  }
}

TEST(Window, TwoPhasesGiveWhatOneGives) {
  for (const int64_t size : {0, 300}) {
    for (const bool on_update : {false, true}) {
      if (size == 0 && !on_update) continue;
      const WindowSpec spec = FullSpec(size, size, 20, on_update);
      const auto rows = RandomRows(11, 2000);
      std::set<std::string> found;
      // Two upstream tasks; each sends its partials at a commit, then its watermark.
      Harness up[2] = {Harness(PartialNode(spec)), Harness(PartialNode(spec))};
      Harness final(FinalNode(spec, kAllAggregates));
      size_t sent[2] = {0, 0};
      int64_t watermarks[2] = {kMinTime.us, kMinTime.us}, reported[2] = {kMinTime.us, kMinTime.us};
      for (size_t i = 0; i < rows.size(); ++i) {
        const int task = rows[i].source;
        up[task].Feed({rows[i]}, 1);
        watermarks[task] = std::max(watermarks[task], rows[i].watermark);
        if (i % 37 != 0) continue;
        up[task].Commit();
        const auto& out = up[task].out().rows;
        final.Process({out.begin() + static_cast<int64_t>(sent[task]), out.end()});
        sent[task] = out.size();
        reported[task] = watermarks[task];
        final.Advance(std::min(reported[0], reported[1]));
        if (i % 5 == 0) final.Commit();
        if (i % 185 == 0) final.Crash();
      }
      for (int task = 0; task < 2; ++task) {
        up[task].Commit();
        const auto& out = up[task].out().rows;
        final.Process({out.begin() + static_cast<int64_t>(sent[task]), out.end()});
        up[task].Commit();
      }
      final.Advance(1'000'000);
      final.Commit();
      if (on_update) {
        const std::vector<size_t> key = size > 0 ? std::vector<size_t>{0, 1, 2} : std::vector<size_t>{0};
        for (const auto& [name, row] : Fold(final.out().rows, key)) found.insert(row);
      } else {
        found = AsSet(CellsText(final.out().rows));
      }
      EXPECT_EQ(found, Model(rows, spec)) << size << on_update;
      const StepLedger &a = up[0].ledger(), &b = up[1].ledger(), &f = final.ledger();
      EXPECT_EQ(f.late_after_idle, 0);
      EXPECT_EQ(a.pairs + b.pairs, a.late_pairs + b.late_pairs + f.closed + f.open);
      EXPECT_EQ(a.in, a.late + a.absorbed);
    }
  }
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

TEST(Window, OnlyChangedGroupsAreWrittenAtACommit) {
  WindowSpec spec = Spec(0, 0, 0, true);
  Harness h(SingleNode(spec));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 20'000; ++i) rows.push_back(Row(absl::StrCat("place", i).c_str(), i, i));
  h.Feed(rows, 1000);
  h.Commit();
  const int64_t before = h.store().written_bytes();
  for (int64_t i = 0; i < 100; ++i) {
    h.Process({rows[static_cast<size_t>(i)]});
    h.Commit();
  }
  EXPECT_LT(h.store().written_bytes() - before, 100 * 200);
}

}  // namespace
}  // namespace tidemark
