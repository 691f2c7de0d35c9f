// Windows against a model, in one and in two phases, whatever the batches, commits and crashes.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "tests/unit/operators/window_fixture.h"

namespace tidemark {
namespace {

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

std::set<std::string> AsSet(const std::vector<std::string>& texts) {
  std::set<std::string> set(texts.begin(), texts.end());
  EXPECT_EQ(set.size(), texts.size());
  return set;
}

TEST(WindowModel, OnCloseAgreesWithTheModelWhateverTheBatchesCommitsAndCrashes) {
  for (const auto& [size, every] : {std::pair<int64_t, int64_t>{300, 300}, {300, 100}, {250, 100}}) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      const WindowSpec spec = FullSpec(size, every, 20, false);
      const auto rows = RandomRows(seed, 1200);
      const std::set<std::string> expected = Model(rows, spec);
      std::vector<std::string> first;
      for (const size_t batch_size : {1, 2, 7, 1000}) {
        Harness h(SingleNode(spec, kAllAggregates));
        h.FeedWithCrashes(rows, batch_size, seed, 100, 1000);
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

TEST(WindowModel, TheFinalRowsOnUpdateAgreeWithTheModelAndEachChangeReplacesWhatStood) {
  for (const int64_t size : {0, 300}) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      const WindowSpec spec = FullSpec(size, size, 20, true);
      const auto rows = RandomRows(seed, 1200);
      for (const size_t batch_size : {1, 2, 7, 1000}) {
        Harness h(SingleNode(spec, kAllAggregates));
        h.FeedWithCrashes(rows, batch_size, seed, 100, 1000);
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

// Groups that leave memory as soon as they may, against groups that stay: the same rows in the same order, whatever the
// commits and crashes.
TEST(WindowModel, WhatLeavesMemoryDoesNotShow) {
  int with_cold = 0;
  for (const auto& [size, every, on_update] :
       {std::tuple<int64_t, int64_t, bool>{3000, 3000, false}, {3000, 1000, false}, {3000, 3000, true}, {0, 0, true}}) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      const WindowSpec spec = FullSpec(size, every, 20, on_update);
      auto rows = RandomRows(seed, 1500);
      for (TestRow& row : rows) {
        if (row.cells[0].index() != 0) row.cells[0] = absl::StrCat("place-of-the-group-", row.offset * 7919 % 61 * 31);
      }
      for (const size_t batch_size : {1, 7}) {
        MemoryBudget none(0, 0);
        Harness cold(SingleNode(spec, kAllAggregates), {}, &none), hot(SingleNode(spec, kAllAggregates));
        for (Harness* h : {&cold, &hot}) h->FeedWithCrashes(rows, batch_size, seed, 15, 150);
        with_cold += cold.store().Count("r") > 0;
        EXPECT_EQ(hot.store().Count("r"), 0);
        for (Harness* h : {&cold, &hot}) {
          h->Advance(1'000'000);
          h->Commit();
          h->CheckLedger();
        }
        EXPECT_EQ(cold.out().rows, hot.out().rows) << size << " " << every << " " << seed << " " << batch_size;
        EXPECT_EQ(cold.ledger().open, hot.ledger().open);
        EXPECT_EQ(cold.ledger().closed, hot.ledger().closed);
        std::set<std::string> found;
        if (on_update) {
          const std::vector<size_t> key = size > 0 ? std::vector<size_t>{0, 1, 2} : std::vector<size_t>{0};
          for (const auto& [name, row] : Fold(cold.out().rows, key)) found.insert(row);
        } else {
          found = AsSet(CellsText(cold.out().rows));
        }
        EXPECT_EQ(found, Model(rows, spec));
        if (size == 0) continue;
        cold.Commit();  // what is left of the windows
        for (const char* letter : {"k", "v", "c", "r"}) EXPECT_EQ(cold.store().Count(letter), 0) << letter;
      }
    }
  }
  EXPECT_GT(with_cold, 8) << "hardly any group has left memory";
}

TEST(WindowModel, TwoPhasesGiveWhatOneGives) {
  for (const int64_t size : {0, 300}) {
    for (const int what : {0, 1, 2, 3}) {
      const bool on_update = what & 1, cold = what & 2;
      if (size == 0 && !on_update) continue;
      MemoryBudget none(0, 0);
      const WindowSpec spec = FullSpec(size, size, 20, on_update);
      const auto rows = RandomRows(11, 2000);
      std::set<std::string> found;
      // Two upstream tasks; each sends its partials at a commit, then its watermark.
      Harness up[2] = {Harness(PartialNode(spec)), Harness(PartialNode(spec))};
      Harness final(FinalNode(spec, kAllAggregates), {}, cold ? &none : nullptr);
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

}  // namespace
}  // namespace tidemark
