// Accumulators against a model that keeps all rows: what is added, taken back, saved, loaded, merged as partials and
// merged slot to slot, in whatever cuts.
#include "operators/window/accumulator.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <tuple>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "operators/window/arguments.h"
#include "operators/window/partial_schema.h"
#include "operators/window/sums.h"
#include "src/codec/cells.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

const Schema kRows = Columns("v int64 null, x double null, d decimal(20,2) null, s string null");
constexpr const char* kCalls[] = {"count(*)",
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
bool Changes(std::string_view call) { return !call.starts_with("approx_count_distinct"); }

TestRow RandomRow(std::mt19937_64& random, int64_t offset) {
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
bool Below(const Cell& a, const Cell& b) {
  if (a.index() == 0 || b.index() == 0) return a.index() != 0 && b.index() == 0;
  return a < b;
}

size_t Distinct(const std::vector<TestRow>& rows, size_t column) {
  std::set<Cell> values;
  for (const TestRow& row : rows) values.insert(row.cells[column]);
  return values.size() - values.count(Cell());
}

// The calls that order rows themselves.
std::optional<std::string> OrderedModel(std::string_view call, std::vector<TestRow> rows) {
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
std::string Model(std::string_view call, const std::vector<TestRow>& rows) {
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

struct Aggregated {
  explicit Aggregated(std::string_view call, InputRows rows)
      : call(call), kind(rows), aggregate(Aggregate::Compile(call, kRows).value()) {
    Make();
  }
  void Make() {
    accumulator = MakeAccumulator(aggregate, kind);
    accumulator->Resize(kSlots);
  }

  static constexpr size_t kSlots = 6;
  std::string_view call;
  InputRows kind;
  Aggregate aggregate;
  std::unique_ptr<Accumulator> accumulator;

  // Adds or takes back row i of slots[i].
  void Apply(const std::vector<TestRow>& rows, const std::vector<uint32_t>& slots, bool add) {
    const Batch batch = ToBatch(kRows, AllHidden(), rows);
    std::vector<RowError> errors;
    std::shared_ptr<arrow::Array> argument;
    argument = EvaluateArgument(aggregate, *batch, &errors).value();
    const OrderColumns order{HiddenInt64(*batch, Hidden::kTime), HiddenInt32(*batch, Hidden::kSource),
                             HiddenInt32(*batch, Hidden::kPartition), HiddenInt64(*batch, Hidden::kOffset)};
    std::vector<int32_t> all(rows.size());
    std::iota(all.begin(), all.end(), 0);
    if (add) {
      accumulator->Update(argument.get(), order, all, slots);
    } else {
      ASSERT_TRUE(accumulator->Retract(argument.get(), order, all, slots).ok());
    }
  }
  // The slots of `from` as partials, into these slots.
  void MergePartials(const Aggregated& from, const std::vector<uint32_t>& slots) {
    WindowSpec spec;
    spec.aggregates = {{"a", std::string(call)}};
    spec.rows = kRows;
    spec.input_updates = kind == InputRows::kChange;
    const PartialLayout layout = MakePartialLayout(spec);
    std::vector<uint32_t> all(kSlots);
    std::iota(all.begin(), all.end(), 0);
    std::vector<std::shared_ptr<arrow::Array>> columns;
    ASSERT_TRUE(from.accumulator->Partial(all, &columns).ok());
    std::vector<std::shared_ptr<arrow::Field>> fields;
    for (size_t c = 0; c < columns.size(); ++c) {
      const Column& column = layout.schema[layout.aggregates[0] + c];
      EXPECT_TRUE(columns[c]->type()->Equals(ArrowType(column.type))) << call << " " << column.name;
      fields.push_back(arrow::field(column.name, ArrowType(column.type)));
    }
    EXPECT_EQ(layout.aggregates[0] + columns.size(), layout.schema.size()) << call;
    const auto partials = arrow::RecordBatch::Make(arrow::schema(fields), kSlots, columns);
    std::vector<int32_t> rows(all.begin(), all.end());
    ASSERT_TRUE(accumulator->Merge(*partials, 0, rows, slots).ok());
  }
  void SaveAndLoad() {
    std::vector<std::string> saved(kSlots);
    for (uint32_t slot = 0; slot < kSlots; ++slot) accumulator->Save(slot, &saved[slot]);
    Make();
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      std::string_view bytes = saved[slot];
      EXPECT_TRUE(accumulator->Load(slot, &bytes) && bytes.empty()) << call;
    }
  }
  std::string Result(uint32_t slot) const {
    std::vector<std::shared_ptr<arrow::Array>> columns;
    std::vector<ResultError> errors;
    EXPECT_TRUE(accumulator->Result(std::vector<uint32_t>{slot}, &columns, &errors).ok());
    const auto batch =
        arrow::RecordBatch::Make(arrow::schema({arrow::field("r", columns[0]->type()), HiddenField(Hidden::kTime)}), 1,
                                 {columns[0], arrow::MakeArrayFromScalar(arrow::Int64Scalar(0), 1).ValueOrDie()});
    Schema schema;
    schema.Add({"r", aggregate.type, true});
    std::string text;
    VisitKind(aggregate.type.kind, [&](auto tag) {
      const Cells<decltype(tag)> cells(*columns[0]->data());
      if (cells.IsNull(0)) {
        text = "NULL";
      } else if constexpr (std::is_same_v<decltype(tag), Int128>) {
        text = absl::StrCat(static_cast<int64_t>(cells[0]));
      } else if constexpr (std::is_same_v<decltype(tag), std::string_view>) {
        text = std::string(cells[0]);
      } else {
        text = absl::StrCat(cells[0]);
      }
    });
    return errors.empty() ? text : errors[0].reason;
  }
};

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
