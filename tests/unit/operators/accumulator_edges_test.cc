// Accumulators at their edges: numbers beyond what their sums hold, what is cut off and merged again, copies, sums that
// are shared, and what earlier versions have saved.
#include "operators/window/accumulator.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "operators/window/sums.h"
#include "tests/unit/operators/accumulator_model.h"
#include "tests/unit/operators/aggregated.h"

namespace tidemark {
namespace {

using namespace accumulator_test;

TEST(Accumulators, OnlySketchesAndListsWithALimitAreMergedAnew) {
  for (const char* call : kCalls) {
    const bool merged = Aggregated(call, InputRows::kShared).accumulator->sliding() == Accumulator::Sliding::kMerged;
    EXPECT_EQ(merged, std::string_view(call).starts_with("approx_count") || absl::StrContains(call, " order by "))
        << call;
  }
}

TEST(Accumulators, ACopyGivesTheResultAsOfThen) {
  for (const char* call : kCalls) {
    std::mt19937_64 random(7);
    Aggregated a(call, Changes(call) ? InputRows::kChange : InputRows::kStand);
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < 10; ++i) rows.push_back(RandomRow(random, i));
    a.Apply(rows, std::vector<uint32_t>(rows.size(), 0), true);
    a.accumulator->Copy(0, 1);
    Changes(call) ? a.Apply({rows[0], rows[1]}, {0, 0}, false) : a.Apply({RandomRow(random, 10)}, {0}, true);
    EXPECT_EQ(a.Result(1), Model(call, rows)) << call;
  }
}

TEST(Accumulators, ADecimalSumThatLeft128BitsComesBack) {
  const Schema wide = Columns("d decimal(38,0) null");
  const auto accumulator = MakeAccumulator(Aggregate::Compile("sum(d)", wide).value(), InputRows::kChange);
  accumulator->Resize(1);
  CellWriter<Int128> writer(3);
  Int128 most = 1;
  for (int i = 0; i < 38; ++i) most *= 10;
  for (int i = 0; i < 3; ++i) writer.Append(most - 1 - i);
  const auto column = writer.Finish(ArrowType(wide[0].type)).value();
  const std::vector<int32_t> all{0, 1, 2}, two{0, 2};
  ASSERT_TRUE(accumulator->Retract(column.get(), {}, two, std::vector<uint32_t>(2)).ok());
  ASSERT_TRUE(accumulator->Retract(column.get(), {}, two, std::vector<uint32_t>(2)).ok());
  const auto result = [&](std::vector<ResultError>* errors) {
    std::vector<std::shared_ptr<arrow::Array>> columns;
    EXPECT_TRUE(accumulator->Result(std::vector<uint32_t>{0}, &columns, errors).ok());
    return Cells<Int128>(*columns[0]->data())[0];
  };
  accumulator->Update(column.get(), {}, all, std::vector<uint32_t>(3));
  accumulator->Update(column.get(), {}, two, std::vector<uint32_t>(2));
  std::vector<ResultError> errors;
  EXPECT_TRUE(result(&errors) == most - 2);
  EXPECT_TRUE(errors.empty());
  accumulator->Update(column.get(), {}, all, std::vector<uint32_t>(3));
  result(&errors);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].reason, "numeric field overflow");
}

TEST(Accumulators, RowsThatStandAreNeverTakenBack) {
  Aggregated a("min(v)", InputRows::kStand);
  EXPECT_EQ(a.accumulator->Retract(nullptr, {}, {}, {}).code(), absl::StatusCode::kInternal);
}

TEST(Accumulators, WhatIsCutOffAndMergedAgainIsTheSame) {
  for (const InputRows kind : {InputRows::kStand, InputRows::kChange}) {
    for (const char* call : kCalls) {
      std::mt19937_64 random(9);
      Aggregated a(call, kind);
      std::vector<TestRow> rows;
      for (int64_t i = 0; i < 60; ++i) {
        rows.push_back(RandomRow(random, i));
        rows.back().cells[3] = std::string(20 + random() % 200, static_cast<char>('a' + random() % 26));
      }
      a.Apply(rows, std::vector<uint32_t>(rows.size(), 0), true);
      const bool kept = a.accumulator->OutsideBytes(0) > 0;
      std::vector<uint32_t> parts;
      while (a.accumulator->OutsideBytes(0) > 0) {
        const auto part = static_cast<uint32_t>(1 + parts.size() % 4);
        if (parts.size() >= 4) a.accumulator->MergeSlot(part, 5);
        a.accumulator->Clear(part);
        a.accumulator->MovePart(0, part, 300);
        EXPECT_GT(a.accumulator->OutsideBytes(part), 0) << call;
        EXPECT_LE(a.accumulator->OutsideBytes(part), Changes(call) ? 500 : 4096) << call;
        parts.push_back(part);
      }
      for (uint32_t slot = 0; slot < 5; ++slot) a.accumulator->MergeSlot(slot, 5);
      EXPECT_EQ(a.Result(5), Model(call, rows)) << call;
      EXPECT_EQ(kept, !parts.empty()) << call;
      for (uint32_t slot = 0; slot < Aggregated::kSlots; ++slot) a.accumulator->Clear(slot);
      EXPECT_EQ(a.accumulator->OutsideBytes(), 0) << call;
    }
  }
}

// The budget sees long texts, and a slot that is cleared gives them back.
TEST(Accumulators, TextsAreCountedAndGivenBack) {
  for (const InputRows kind : {InputRows::kStand, InputRows::kChange}) {
    for (const char* call : {"min(s)", "max(s)", "first(s)", "last(s)"}) {
      Aggregated a(call, kind);
      const int64_t before = a.accumulator->MemoryBytes();
      std::vector<TestRow> rows;
      for (int64_t i = 0; i < 3; ++i) {
        rows.push_back({.cells = {i, 0.0, i, std::string(100'000, 'x')}, .offset = i});
      }
      a.Apply(rows, {0, 1, 5}, true);
      EXPECT_GT(a.accumulator->MemoryBytes(), before + 300'000) << call;
      EXPECT_GT(a.accumulator->OutsideBytes(5), 100'000) << call;
      EXPECT_EQ(a.accumulator->OutsideBytes(2), 0) << call;
      a.SaveAndLoad();
      EXPECT_GT(a.accumulator->MemoryBytes(), before + 300'000) << call;
      a.accumulator->Copy(1, 2);
      EXPECT_GT(a.accumulator->MemoryBytes(), before + 400'000) << call;
      for (uint32_t slot = 0; slot < Aggregated::kSlots; ++slot) a.accumulator->Clear(slot);
      EXPECT_LT(a.accumulator->MemoryBytes(), before + 1'000) << call;
    }
  }
}

// Of windows that share panes: which are merged first depends on memory and on restarts.
TEST(Accumulators, SharedSumsOfDoublesAreTheSameInWhateverOrderTheyAreMergedAndSaved) {
  const auto row = [](double x) { return TestRow{.cells = {Cell(), x, Cell(), Cell()}}; };
  for (const char* call : {"sum(x)", "avg(x)"}) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 50; ++round) {
      std::vector<double> values = {1.7e308, 1.7e308, -1.7e308, 1e16, 0.1, -1e-300};
      if (round % 2 == 1) values = {0.1, 0.2, 0.3, 1e17, -1e17, 4e-20};
      std::optional<std::string> first;
      for (int order = 0; order < 6; ++order) {
        std::shuffle(values.begin(), values.end(), random);
        Aggregated a(call, InputRows::kShared);
        for (uint32_t slot = 0; slot < Aggregated::kSlots; ++slot) a.Apply({row(values[slot])}, {slot}, true);
        for (uint32_t slot = 1; slot < Aggregated::kSlots; ++slot) {
          a.accumulator->MergeSlot(slot, 0);
          if (random() % 2 == 0) a.SaveAndLoad();
        }
        if (!first) first = a.Result(0);
        ASSERT_EQ(a.Result(0), *first) << call;
        EXPECT_NE(a.Result(0), "value out of range: overflow");
      }
    }
  }
}

TEST(Accumulators, WhatAnEarlierVersionSavedIsSharedToo) {
  for (const char* call : kCalls) {
    std::mt19937_64 random(9);
    Aggregated former(call, InputRows::kStand), shared(call, InputRows::kShared);
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < 20; ++i) rows.push_back(RandomRow(random, i));
    former.Apply(rows, std::vector<uint32_t>(rows.size(), 2), true);
    for (const uint32_t slot : {1, 2}) {
      std::string saved;
      former.accumulator->Save(slot, &saved);
      std::string_view bytes = saved;
      ASSERT_TRUE(shared.accumulator->Load(slot, &bytes) && bytes.empty()) << call;
    }
    shared.SaveAndLoad();
    EXPECT_EQ(shared.Result(1), Model(call, {})) << call;
    EXPECT_EQ(shared.Result(2), Model(call, rows)) << call;
  }
}

TEST(Accumulators, ASharedSumOfDecimalsComesBackFromBeyondItsNumbers) {
  using namespace accumulators;
  const Int128 large = PowerOfTen(38) - 1;
  const auto saved = [](const SharedSum& sum) {
    std::string bytes;
    sum.Save(7, &bytes);
    SharedSum loaded;
    int64_t count = 0;
    std::string_view from = bytes;
    EXPECT_TRUE(loaded.Load(&from, &count) && from.empty() && count == 7);
    return loaded;
  };
  SharedSum sum;
  for (int i = 0; i < 3; ++i) sum.Add(large);
  EXPECT_TRUE(sum.Total() == ExactSum::kOverflow);
  sum = saved(sum);
  SharedSum less;
  for (int i = 0; i < 3; ++i) less.Add(-large);
  less.Add(-5);
  sum.Merge(saved(less));
  EXPECT_TRUE(sum.Total() == -5);
  EXPECT_TRUE(saved(sum).Total() == -5);
  // What a partial lost is lost.
  sum.Add(ExactSum::kOverflow);
  sum = saved(sum);
  sum.Add(1);
  EXPECT_TRUE(saved(sum).Total() == ExactSum::kOverflow);
}

TEST(Accumulators, WhatAPartialOfDoublesLostIsLostUnlessAValueWasNoNumber) {
  using namespace accumulators;
  const double infinity = std::numeric_limits<double>::infinity();
  DoubleSum beyond;
  for (int i = 0; i < 2; ++i) beyond.Add(1.7e308);
  SharedDouble sum;
  sum.Merge(beyond);
  sum.Add(-1.7e308);
  std::string bytes;
  sum.Save(3, &bytes);
  SharedDouble loaded;
  int64_t count = 0;
  std::string_view from = bytes;
  ASSERT_TRUE(loaded.Load(&from, &count) && from.empty() && count == 3);
  EXPECT_TRUE(loaded.Beyond(loaded.Total()));
  EXPECT_TRUE(loaded.Part().Overflowed());
  loaded.Add(-infinity);
  EXPECT_EQ(loaded.Total(), -infinity);
  EXPECT_FALSE(loaded.Beyond(loaded.Total()));
}

}  // namespace
}  // namespace tidemark
