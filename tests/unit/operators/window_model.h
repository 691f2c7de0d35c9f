// What the models of windows share: rows, and what aggregates make of them.
#pragma once

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "tests/unit/operators/window_fixture.h"

namespace tidemark {

inline constexpr std::string_view kAllAggregates =
    "n int64, s int64 null, lo double null, hi int64 null, a double null, f int64 null, l int64 null, mb int64 null, "
    "ag json null, ad int64, p double null";

inline WindowSpec FullSpec(int64_t size, int64_t every, int64_t grace, bool on_update) {
  WindowSpec spec = Spec(size, every, grace, on_update);
  spec.aggregates = {{"n", "count(*)"}, {"s", "sum(v)"},   {"lo", "min(x)"}, {"hi", "max(v)"},
                     {"a", "avg(v)"},   {"f", "first(v)"}, {"l", "last(v)"}};
  spec.aggregates.push_back({"mb", "min_by(v, x)"});
  spec.aggregates.push_back({"ag", "array_agg(v, 5 order by x desc)"});
  spec.aggregates.push_back({"ad", "approx_count_distinct(v)"});
  spec.aggregates.push_back({"p", "approx_percentile(v % 64, 0.5)"});
  return spec;
}

inline std::vector<TestRow> RandomRows(uint64_t seed, int64_t n) {
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

// Those of them that order values or are about, as text: what is about is exact for few values and small ones.
inline std::string OrderedText(std::vector<TestRow> rows) {
  // By x, then v, NULL last; v is four times x where it is there.
  const auto v = [](const TestRow& row) {
    return row.cells[1].index() == 0 ? "null" : CellsText(TestRow{.cells = {row.cells[1]}});
  };
  std::sort(rows.begin(), rows.end(), [](const TestRow& a, const TestRow& b) {
    const double x = std::get<double>(a.cells[2]), y = std::get<double>(b.cells[2]);
    return x != y ? x < y : a.cells[1].index() > b.cells[1].index();
  });
  const std::string least = v(rows[0]) == "null" ? "NULL" : v(rows[0]);
  std::string list;
  std::stable_sort(rows.begin(), rows.end(), [](const TestRow& a, const TestRow& b) {
    return std::get<double>(a.cells[2]) > std::get<double>(b.cells[2]);
  });
  for (size_t i = 0; i < std::min<size_t>(5, rows.size()); ++i) absl::StrAppend(&list, i == 0 ? "" : ",", v(rows[i]));
  std::set<int64_t> values;
  std::vector<int64_t> rests;
  for (const TestRow& row : rows) {
    if (row.cells[1].index() == 0) continue;
    values.insert(std::get<int64_t>(row.cells[1]));
    rests.push_back(std::get<int64_t>(row.cells[1]) % 64);
  }
  std::sort(rests.begin(), rests.end());
  return absl::StrCat(least, "|[", list, "]|", values.size(), "|",
                      rests.empty() ? "NULL" : absl::StrCat(rests[(rests.size() + 1) / 2 - 1]));
}

// All aggregates of kAllAggregates over these rows, as text.
inline std::string SumText(const std::vector<TestRow>& rows) {
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
                      cell(first->cells[1]), "|", cell(last->cells[1]), "|", OrderedText(rows));
}

inline std::set<std::string> AsSet(const std::vector<std::string>& texts) {
  std::set<std::string> set(texts.begin(), texts.end());
  EXPECT_EQ(set.size(), texts.size());
  return set;
}

}  // namespace tidemark
