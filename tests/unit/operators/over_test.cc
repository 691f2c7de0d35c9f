// over: what each row sees of those before it, and against a model that goes through whole keys at once; whatever
// batches, commits, crashes and memory.
#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/over/spec.h"
#include "src/base/memory_budget.h"
#include "src/expr/expression.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kS = kSecond;
const Schema kRows = Columns("k string null, v int64 null, n int64");

OverSpec Spec(int64_t range_s, int64_t rows, std::vector<std::string> items) {
  OverSpec spec;
  spec.by = {0};
  spec.range_us = range_s * kS;
  spec.rows = rows;
  for (size_t i = 0; i < items.size(); ++i) spec.items.push_back({absl::StrCat("a", i), items[i]});
  return spec;
}

Node OverNode(OverSpec spec) {
  Schema output = kRows;
  for (const OverItem& item : spec.items) {
    const Aggregate aggregate = Aggregate::Compile(item.expression, kRows).value();
    output.Add({item.name, aggregate.type, aggregate.nullable});
  }
  spec.ordered = true;
  Node node = MakeNode(spec, kRows, AllHidden(), output);
  if (spec.late_topic) node.side_topics = {{"late", *spec.late_topic}};
  return node;
}

TestRow At(int64_t seconds, Cell v, int64_t n, const char* key = "a") {
  return {.cells = {std::string(key), v, n}, .time = seconds * kS, .watermark = seconds * kS, .offset = n};
}

std::vector<std::string> Texts(Harness& h) { return CellsText(h.out().rows); }

TEST(Over, ARowSeesWhatItsKeyHadWithinTheRangeAndItsOwnTime) {
  Harness h(OverNode(Spec(10, 0, {"count(*)", "sum(v)", "min(v)"})));
  h.Process({At(0, 5, 0), At(10, 7, 1), At(10, 1, 2), At(11, 2, 3), At(10, 100, 4, "b")});
  EXPECT_THAT(Texts(h), IsEmpty());
  h.Advance(10 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("a|5|0|1|5|5"));
  h.Advance(12 * kS);
  EXPECT_THAT(Texts(h),
              ElementsAre("a|5|0|1|5|5", "a|7|1|3|13|1", "a|1|2|3|13|1", "b|100|4|1|100|100", "a|2|3|3|10|1"));
  h.CheckLedger();
}

TEST(Over, OfRowsThereAreTheLastSoMany) {
  Harness h(OverNode(Spec(0, 2, {"sum(v)", "lag(v, 3)", "lag(n)"})));
  h.Feed({At(1, 1, 0), At(2, 2, 1), At(3, Cell(), 2), At(4, 4, 3), At(4, 5, 4)}, 2);
  h.Advance(10 * kS);
  EXPECT_THAT(Texts(h),
              ElementsAre("a|1|0|1|NULL|NULL", "a|2|1|3|NULL|0", "a|NULL|2|2|NULL|1", "a|4|3|4|1|2", "a|5|4|9|2|3"));
}

TEST(Over, ALateRowIsRefusedAndSeenByNone) {
  OverSpec spec = Spec(10, 0, {"count(*)"});
  spec.grace_us = 2 * kS;
  spec.late_topic = "late";
  Harness h(OverNode(spec));
  TestRow in_time = At(8, 1, 1), late = At(7, 1, 2);
  in_time.watermark = late.watermark = 10 * kS;
  h.Process({At(10, 1, 0), in_time, late});
  h.Advance(13 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("a|1|1|1", "a|1|0|2"));
  EXPECT_THAT(CellsText(h.out().late), ElementsAre("a|1|2"));
  // Of a partition that comes back from idle, what has gone out can't change any more.
  TestRow idle = At(10, 1, 3);
  idle.watermark = 0;
  h.Process({idle});
  EXPECT_EQ(h.ledger().late, 2);
  h.CheckLedger();
}

TEST(Over, ARowThatFailsIsADeadLetterAndSoIsASumOutOfRange) {
  Harness h(OverNode(Spec(10, 0, {"sum(10 / v)", "sum(v)"})));
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  h.Process({At(1, int64_t{0}, 0), At(2, kMost, 1), At(3, kMost, 2), At(14, 5, 3)});
  h.Advance(20 * kS);
  EXPECT_EQ(h.out().failures.size(), 2);
  EXPECT_THAT(Texts(h), ElementsAre(absl::StrCat("a|", kMost, "|1|0|", kMost), "a|5|3|2|5"));
}

// ---- Against a model

std::vector<TestRow> RandomRows(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  std::vector<TestRow> rows;
  int64_t watermark = 0;
  for (size_t n = 0; n < count; ++n) {
    const int64_t time = std::max<int64_t>(0, static_cast<int64_t>(n / 4) - static_cast<int64_t>(random() % 12));
    TestRow row = At(time, static_cast<int64_t>(random() % 50) - 25, static_cast<int64_t>(n));
    row.cells[0] = random() % 9 == 0 ? Cell() : Cell(absl::StrCat("key", random() % 5));
    if (random() % 8 == 0) row.cells[1] = Cell();
    watermark = std::max(watermark, (time - 5) * kS);
    row.watermark = watermark;
    row.partition = static_cast<int32_t>(random() % 2);
    rows.push_back(row);
  }
  return rows;
}

// What each row that isn't late sees, by n; an item's text of the rows in its frame.
std::map<int64_t, std::string> Model(const std::vector<TestRow>& rows, int64_t range_s, int64_t frame_rows) {
  std::map<Cell, std::vector<TestRow>> keys;
  for (const TestRow& row : rows) {
    if (row.time >= row.watermark) keys[row.cells[0]].push_back(row);
  }
  std::map<int64_t, std::string> out;
  for (auto& [key, all] : keys) {
    std::sort(all.begin(), all.end(), [](const TestRow& a, const TestRow& b) {
      return std::tie(a.time, a.partition, a.offset) < std::tie(b.time, b.partition, b.offset);
    });
    for (size_t i = 0; i < all.size(); ++i) {
      std::vector<TestRow> frame;
      for (size_t j = 0; j < all.size(); ++j) {
        const bool in_range = all[j].time <= all[i].time && all[j].time >= all[i].time - range_s * kS;
        const bool in_rows = j <= i && j + static_cast<size_t>(frame_rows) > i;
        if (range_s > 0 ? in_range : in_rows) frame.push_back(all[j]);
      }
      int64_t sum = 0, odd = 0;
      std::optional<int64_t> most;
      for (const TestRow& row : frame) {
        if (row.cells[1].index() == 0) continue;
        const int64_t v = std::get<int64_t>(row.cells[1]);
        sum += v;
        odd += v % 2 != 0;
        most = std::max(most.value_or(v), v);
      }
      const auto cell = [](const Cell& c) { return CellsText(TestRow{.cells = {c}}); };
      out[std::get<int64_t>(all[i].cells[2])] =
          absl::StrCat(frame.size(), "|", odd, "|", most ? absl::StrCat(sum, "|", *most) : "NULL|NULL", "|",
                       cell(frame.front().cells[2]));
      if (range_s == 0)
        absl::StrAppend(&out[std::get<int64_t>(all[i].cells[2])], "|", cell(i < 3 ? Cell() : all[i - 3].cells[1]));
    }
  }
  return out;
}

std::map<int64_t, std::string> ByNumber(const Harness& h) {
  std::map<int64_t, std::string> out;
  for (const TestRow& row : const_cast<Harness&>(h).out().rows) {
    std::vector<std::string> made;
    for (size_t c = kRows.size(); c < row.cells.size(); ++c)
      made.push_back(CellsText(TestRow{.cells = {row.cells[c]}}));
    EXPECT_TRUE(out.emplace(std::get<int64_t>(row.cells[2]), absl::StrJoin(made, "|")).second);
  }
  return out;
}

TEST(Over, WhatRowsSeeIsTheModelsWhateverBatchesCommitsCrashesAndMemory) {
  const std::vector<std::string> items = {"count(*)", "count(*) filter (where v % 2 <> 0)", "sum(v)", "max(v)",
                                          "first(n)"};
  for (const int64_t range_s : {0, 3, 40}) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      const std::vector<TestRow> rows = RandomRows(seed, 800);
      std::vector<std::string> all = items;
      if (range_s == 0) all.push_back("lag(v, 3)");
      const int64_t frame_rows = range_s == 0 ? 7 : 0;
      const auto expected = Model(rows, range_s, frame_rows);
      std::vector<TestRow> first;
      for (const size_t batch_size : {1, 2, 7, 1000}) {
        for (const bool spills : {false, true}) {
          MemoryBudget budget(spills ? 1 : int64_t{1} << 40, 1);
          Harness h(OverNode(Spec(range_s, frame_rows, all)), {}, &budget);
          h.FeedWithCrashes(rows, batch_size, seed, 60, 200);
          h.Advance(kMaxTime.us);
          ASSERT_EQ(ByNumber(h), expected) << range_s << " seed " << seed << " batch " << batch_size << spills;
          h.CheckLedger();
          // In the same order, too.
          if (first.empty()) first = h.out().rows;
          ASSERT_EQ(CellsText(h.out().rows), CellsText(first));
        }
      }
    }
  }
}

TEST(Over, OfARangeNothingIsKeptOfKeysThatAreOver) {
  Harness h(OverNode(Spec(10, 0, {"sum(v)"})));
  for (int64_t i = 0; i < 2000; ++i) {
    h.Process({At(i, 1, i, absl::StrCat("key", i).c_str())});
    h.Advance(i * kS);
    h.Commit();
  }
  h.Advance(5000 * kS);
  h.Commit();
  h.Commit();
  EXPECT_LT(h.op().MemoryBytes(), 300'000);
  int64_t bytes = 0;
  for (const auto& [key, value] : h.store().live()) bytes += static_cast<int64_t>(key.size() + value.size());
  EXPECT_LT(bytes, 50'000);
}

}  // namespace
}  // namespace tidemark
