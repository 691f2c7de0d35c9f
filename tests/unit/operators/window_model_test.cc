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
#include "tests/unit/operators/window_model.h"

namespace tidemark {
namespace {

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
