// What an aggregate over some rows is, computed from all of them at once; random rows, and calls of every aggregate.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "tests/unit/operators/harness.h"

namespace tidemark::accumulator_test {

inline const Schema kRows = Columns("v int64 null, x double null, d decimal(20,2) null, s string null");

inline constexpr const char* kCalls[] = {"count(*)",
                                         "count(v)",
                                         "sum(v)",
                                         "avg(v)",
                                         "min(v)",
                                         "max(v)",
                                         "sum(x)",
                                         "avg(x)",
                                         "min(x)",
                                         "max(x)",
                                         "sum(d)",
                                         "avg(d)",
                                         "min(s)",
                                         "max(s)",
                                         "max(d)",
                                         "first(s)",
                                         "last(s)",
                                         "first(v)",
                                         "last(x)",
                                         "count(distinct v)",
                                         "count(distinct x)",
                                         "count(distinct s)",
                                         "mode(v)",
                                         "mode(x)",
                                         "mode(s)",
                                         "string_agg(s, '; ')",
                                         "array_agg(v)",
                                         "array_agg(s, 3 order by v desc, x)",
                                         "string_agg(s, '; ', 4 order by x)",
                                         "min_by(s, v)",
                                         "max_by(s, x)",
                                         "min_by(x, s)",
                                         "approx_percentile(v, 0.75)",
                                         "approx_count_distinct(s)"};

// Of rows that are taken back.
inline bool Changes(std::string_view call) { return !call.starts_with("approx_count_distinct"); }

inline TestRow RandomRow(std::mt19937_64& random, int64_t offset) {
  TestRow row{.cells = {static_cast<int64_t>(random() % 9) - 4, static_cast<double>(random() % 64) / 4 - 7,
                        static_cast<int64_t>(random() % 1000) - 500, absl::StrCat("text ", random() % 5)},
              .time = static_cast<int64_t>(random() % 20),
              .source = static_cast<int32_t>(random() % 2),
              .partition = static_cast<int32_t>(random() % 3),
              .offset = offset};
  for (Cell& cell : row.cells) {
    if (random() % 7 == 0) cell = Cell();
  }
  return row;
}

// PostgreSQL's order: NULL above all.
inline bool Below(const Cell& a, const Cell& b) {
  if (a.index() == 0 || b.index() == 0) return a.index() != 0 && b.index() == 0;
  return a < b;
}

inline size_t Distinct(const std::vector<TestRow>& rows, size_t column) {
  std::set<Cell> values;
  for (const TestRow& row : rows) values.insert(row.cells[column]);
  return values.size() - values.count(Cell());
}

// The calls that order rows themselves.
inline std::optional<std::string> OrderedModel(std::string_view call, std::vector<TestRow> rows) {
  const auto place = [](const TestRow& r) { return std::tie(r.time, r.source, r.partition, r.offset); };
  const auto sort = [&](auto&& before) { std::stable_sort(rows.begin(), rows.end(), before); };
  const auto text = [](const Cell& cell) { return CellsText(TestRow{.cells = {cell}}); };
  constexpr size_t v = 0, x = 1, s = 3;
  if (call == "array_agg(v)") {
    if (rows.empty()) return "NULL";
    sort([&](const TestRow& a, const TestRow& b) { return place(a) < place(b); });
    std::string out;
    for (const TestRow& row : rows)
      absl::StrAppend(&out, out.empty() ? "[" : ",", row.cells[v].index() == 0 ? "null" : text(row.cells[v]));
    return out + "]";
  }
  if (call == "array_agg(s, 3 order by v desc, x)") {
    if (rows.empty()) return "NULL";
    sort([&](const TestRow& a, const TestRow& b) {
      if (a.cells[v] != b.cells[v]) return Below(b.cells[v], a.cells[v]);
      return a.cells[x] != b.cells[x] ? Below(a.cells[x], b.cells[x]) : Below(a.cells[s], b.cells[s]);
    });
    std::string out;
    for (size_t i = 0; i < std::min<size_t>(3, rows.size()); ++i) {
      const Cell& cell = rows[i].cells[s];
      absl::StrAppend(&out, out.empty() ? "[" : ",", cell.index() == 0 ? "null" : absl::StrCat("\"", text(cell), "\""));
    }
    return out + "]";
  }
  if (call == "string_agg(s, '; ', 4 order by x)") {
    std::erase_if(rows, [&](const TestRow& row) { return row.cells[s].index() == 0; });
    if (rows.empty()) return "NULL";
    sort([&](const TestRow& a, const TestRow& b) {
      return a.cells[x] != b.cells[x] ? Below(a.cells[x], b.cells[x]) : Below(a.cells[s], b.cells[s]);
    });
    std::string out;
    for (size_t i = 0; i < std::min<size_t>(4, rows.size()); ++i)
      absl::StrAppend(&out, i == 0 ? "" : "; ", text(rows[i].cells[s]));
    return out;
  }
  if (!call.starts_with("min_by") && !call.starts_with("max_by")) return std::nullopt;
  const size_t value = call == "min_by(x, s)" ? x : s, by = call == "min_by(s, v)" ? v : call == "max_by(s, x)" ? x : s;
  std::erase_if(rows, [&](const TestRow& row) { return row.cells[by].index() == 0; });
  if (rows.empty()) return "NULL";
  sort([&](const TestRow& a, const TestRow& b) {
    if (a.cells[by] == b.cells[by]) return Below(a.cells[value], b.cells[value]);
    return call[1] == 'a' ? Below(b.cells[by], a.cells[by]) : Below(a.cells[by], b.cells[by]);
  });
  return text(rows[0].cells[value]);
}

// What the call gives for these rows, in plain arithmetic.
inline std::string Model(std::string_view call, const std::vector<TestRow>& rows) {
  const std::string function(call.substr(0, call.find('(')));
  std::string argument(call.substr(function.size() + 1, call.size() - function.size() - 2));
  if (argument == "*") return absl::StrCat(rows.size());
  const bool distinct = absl::StartsWith(argument, "distinct ");
  if (const auto ordered = OrderedModel(call, rows)) return *ordered;
  if (function == "approx_percentile") argument = "v";
  if (distinct) argument = argument.substr(9);
  if (function == "string_agg") argument = "s";
  const size_t column = *kRows.Find(argument);
  const auto text = [&](const Cell& cell) { return CellsText(TestRow{.cells = {cell}}); };
  const auto order = [](const TestRow& r) { return std::tie(r.time, r.source, r.partition, r.offset); };
  if (function == "approx_count_distinct") return absl::StrCat(Distinct(rows, *kRows.Find(argument)));
  if (rows.empty()) return function == "count" ? "0" : "NULL";
  if (function == "first" || function == "last") {
    const auto before = [&](const TestRow& a, const TestRow& b) { return order(a) < order(b); };
    const auto [first, last] = std::minmax_element(rows.begin(), rows.end(), before);
    return text((function == "first" ? *first : *last).cells[column]);
  }
  std::vector<Cell> cells;
  for (const TestRow& row : rows) {
    if (row.cells[column].index() != 0) cells.push_back(row.cells[column]);
  }
  if (distinct) return absl::StrCat(std::set<Cell>(cells.begin(), cells.end()).size());
  if (function == "count") return absl::StrCat(cells.size());
  if (cells.empty()) return "NULL";
  if (function == "approx_percentile") {  // whole numbers up to 128 are exact
    std::sort(cells.begin(), cells.end());
    return text(cells[static_cast<size_t>(std::ceil(0.75 * static_cast<double>(cells.size()))) - 1]);
  }
  if (function == "mode") {
    std::map<Cell, int> times;
    for (const Cell& cell : cells) ++times[cell];
    const auto rarer = [](const auto& a, const auto& b) { return a.second < b.second; };
    return text(std::max_element(times.begin(), times.end(), rarer)->first);
  }
  if (function == "string_agg") {
    std::vector<TestRow> sorted = rows;
    std::sort(sorted.begin(), sorted.end(), [&](const TestRow& a, const TestRow& b) { return order(a) < order(b); });
    std::string joined;
    for (const TestRow& row : sorted) {
      if (row.cells[column].index() == 0) continue;
      absl::StrAppend(&joined, joined.empty() ? "" : "; ", std::get<std::string>(row.cells[column]));
    }
    return joined;
  }
  if (function == "min") return text(*std::min_element(cells.begin(), cells.end()));
  if (function == "max") return text(*std::max_element(cells.begin(), cells.end()));
  if (argument == "x") {
    double sum = 0;  // quarters: exact
    for (const Cell& cell : cells) sum += std::get<double>(cell);
    return absl::StrCat(function == "sum" ? sum : sum / static_cast<double>(cells.size()));
  }
  int64_t sum = 0;
  for (const Cell& cell : cells) sum += std::get<int64_t>(cell);
  const auto n = static_cast<int64_t>(cells.size());
  if (function == "sum") return absl::StrCat(sum);
  if (argument == "v") return absl::StrCat(static_cast<double>(sum) / static_cast<double>(n));
  const int64_t rest = std::abs(sum % n) * 2 >= n ? (sum < 0 ? -1 : 1) : 0;
  return absl::StrCat(sum / n + rest);
}

}  // namespace tidemark::accumulator_test
