// Accumulators against a model that keeps all rows: what is added, taken back, saved, loaded, merged as partials and
// merged slot to slot, in whatever cuts.
#include "operators/window/accumulator.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "tests/unit/operators/accumulator_model.h"
#include "tests/unit/operators/aggregated.h"

namespace tidemark {
namespace {

using namespace accumulator_test;

TEST(Accumulators, WhatRemainsIsTheResultWhateverCameAndWent) {
  for (const char* call : kCalls) {
    if (!Changes(call)) continue;
    for (uint64_t seed = 0; seed < 6; ++seed) {
      std::mt19937_64 random(seed);
      Aggregated a(call, InputRows::kChange);
      std::vector<std::vector<TestRow>> standing(Aggregated::kSlots);
      for (int64_t step = 0; step < 60; ++step) {
        std::vector<TestRow> added, taken;
        std::vector<uint32_t> to, from;
        for (uint64_t i = random() % 20; i > 0; --i) {
          const auto slot = static_cast<uint32_t>(random() % Aggregated::kSlots);
          std::vector<TestRow>& rows = standing[slot];
          if (random() % 2 == 0 || rows.empty()) {
            rows.push_back(RandomRow(random, step * 20 + static_cast<int64_t>(i)));
            added.push_back(rows.back());
            to.push_back(slot);
          } else {
            std::swap(rows[random() % rows.size()], rows.back());
            taken.push_back(rows.back());
            rows.pop_back();
            from.push_back(slot);
          }
        }
        const bool adds_first = random() % 2 == 0;  // what is taken back may have come in the same batch
        a.Apply(adds_first ? added : taken, adds_first ? to : from, adds_first);
        a.Apply(adds_first ? taken : added, adds_first ? from : to, !adds_first);
        if (random() % 5 == 0) a.SaveAndLoad();
        if (random() % 9 == 0) {  // sessions that meet
          a.accumulator->MergeSlot(1, 0);
          a.accumulator->Clear(1);
          standing[0].insert(standing[0].end(), standing[1].begin(), standing[1].end());
          standing[1].clear();
        }
        for (uint32_t slot = 0; slot < Aggregated::kSlots; ++slot) {
          ASSERT_EQ(a.Result(slot), Model(call, standing[slot])) << call << " seed " << seed << " step " << step;
        }
      }
    }
  }
}

// Each partial holds what one of two tasks saw between two commits: rows may be taken back that an earlier one added.
TEST(Accumulators, PartialsCarryWhatIsTakenBack) {
  for (const InputRows kind : {InputRows::kStand, InputRows::kChange, InputRows::kShared}) {
    for (const char* call : kCalls) {
      if (kind == InputRows::kChange && !Changes(call)) continue;
      std::mt19937_64 random(3);
      Aggregated final(call, kind);
      std::vector<std::vector<TestRow>> standing(Aggregated::kSlots);
      for (int64_t commit = 0; commit < 40; ++commit) {
        Aggregated partial(call, kind);
        std::vector<TestRow> added, taken;
        std::vector<uint32_t> to, from;
        for (uint64_t i = random() % 8; i > 0; --i) {
          const auto slot = static_cast<uint32_t>(random() % Aggregated::kSlots);
          std::vector<TestRow>& rows = standing[slot];
          if (kind == InputRows::kChange && !rows.empty() && random() % 2 == 0) {
            taken.push_back(rows.front());
            rows.erase(rows.begin());
            from.push_back(slot);
          } else {
            rows.push_back(RandomRow(random, commit * 20 + static_cast<int64_t>(i)));
            added.push_back(rows.back());
            to.push_back(slot);
          }
        }
        partial.Apply(added, to, true);
        if (!taken.empty()) partial.Apply(taken, from, false);
        std::vector<uint32_t> slots(Aggregated::kSlots);
        std::iota(slots.begin(), slots.end(), 0);
        final.MergePartials(partial, slots);
        for (const uint32_t slot : slots) ASSERT_EQ(final.Result(slot), Model(call, standing[slot])) << call;
      }
    }
  }
}

TEST(Accumulators, SlotsMergeAlsoWhereRowsStand) {
  for (const char* call : kCalls) {
    std::mt19937_64 random(5);
    Aggregated a(call, InputRows::kStand);
    std::vector<std::vector<TestRow>> standing(Aggregated::kSlots);
    for (int64_t i = 0; i < 100; ++i) {
      const auto slot = static_cast<uint32_t>(random() % 3);
      standing[slot].push_back(RandomRow(random, i));
      a.Apply({standing[slot].back()}, {slot}, true);
    }
    for (const uint32_t from : {1, 2, 3}) {
      a.accumulator->MergeSlot(from, 0);
      standing[0].insert(standing[0].end(), standing[from].begin(), standing[from].end());
      EXPECT_EQ(a.Result(0), Model(call, standing[0])) << call;
      EXPECT_EQ(a.Result(from), Model(call, standing[from])) << call;
    }
  }
}

// Of windows that share panes: slot 5 is what the slots come to that are in it.
TEST(Accumulators, WhatComesAndGoesLeavesWhatRemains) {
  for (const char* call : kCalls) {
    std::mt19937_64 random(8);
    Aggregated a(call, InputRows::kShared);
    std::vector<std::vector<TestRow>> standing(Aggregated::kSlots);
    for (int64_t i = 0; i < 60; ++i) {
      const auto slot = static_cast<uint32_t>(random() % 5);
      standing[slot].push_back(RandomRow(random, i));
      a.Apply({standing[slot].back()}, {slot}, true);
    }
    std::set<uint32_t> in;
    const auto model = [&] {
      std::vector<TestRow> rows;
      for (const uint32_t slot : in) rows.insert(rows.end(), standing[slot].begin(), standing[slot].end());
      return Model(call, rows);
    };
    Accumulator& accumulator = *a.accumulator;
    for (int step = 0; step < 40; ++step) {
      const auto slot = static_cast<uint32_t>(random() % 5);
      const bool comes = in.insert(slot).second;
      if (!comes) in.erase(slot);
      switch (accumulator.sliding()) {
        case Accumulator::Sliding::kTaken: {
          const std::vector<uint32_t> from{slot}, to{5};
          comes ? accumulator.MergeSlots(from, to) : accumulator.TakeSlots(from, to);
          break;
        }
        case Accumulator::Sliding::kBest: {  // the one to which none adds
          accumulator.Clear(5);
          for (const uint32_t best : in) {
            const auto adds = [&](uint32_t other) { return other != best && accumulator.Adds(other, best); };
            if (accumulator.HasAny(best) && std::none_of(in.begin(), in.end(), adds)) accumulator.Copy(best, 5);
          }
          break;
        }
        case Accumulator::Sliding::kMerged:
          accumulator.Clear(5);
          for (const uint32_t one : in) accumulator.MergeSlot(one, 5);
          break;
      }
      ASSERT_EQ(a.Result(5), model()) << call << " step " << step;
    }
  }
}

}  // namespace
}  // namespace tidemark
