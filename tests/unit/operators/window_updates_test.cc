// Aggregates over rows that are taken back and replaced, against a model that looks only at what stands in the end.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "tests/unit/operators/window_fixture.h"

namespace tidemark {
namespace {

constexpr std::string_view kResults =
    "n int64, c int64, s int64 null, a double null, d double null, lo double null, hi int64 null";

WindowSpec ChangesSpec(int64_t size, bool on_update) {
  WindowSpec spec = Spec(size, size, 20, on_update);
  spec.late_topic.reset();
  spec.input_updates = true;
  spec.aggregates = {{"n", "count(*)"}, {"c", "count(v)"}, {"s", "sum(v)"}, {"a", "avg(v)"},
                     {"d", "sum(x)"},   {"lo", "min(x)"},  {"hi", "max(v)"}};
  return spec;
}

Node Single(const WindowSpec& spec) {
  Node node = SingleNode(spec, kResults);
  node.inputs[0].hidden = UpdateHidden();
  return node;
}

struct Stream {
  std::vector<TestRow> changes;  // `watermark`: how far time comes with them
  std::vector<TestRow> standing;
};

// Rows come, are replaced and go; those behind the watermark no more. An update is a pair, or what is left of one whose
// halves went two ways.
Stream RandomChanges(uint64_t seed, int64_t n, uint64_t places = 5) {
  std::mt19937_64 random(seed);
  Stream stream;
  std::vector<TestRow> open;
  int64_t watermark = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (random() % 20 == 0) {
      watermark += static_cast<int64_t>(random() % 200);
      const auto frozen =
          std::partition(open.begin(), open.end(), [&](const TestRow& row) { return row.time >= watermark; });
      stream.standing.insert(stream.standing.end(), frozen, open.end());
      open.erase(frozen, open.end());
    }
    const auto emit = [&](TestRow row, Op op) {
      row.op = op;
      row.watermark = watermark;
      stream.changes.push_back(std::move(row));
    };
    const auto v = static_cast<int64_t>(random() % 100) - 50;
    TestRow row{.cells = {absl::StrCat("p", random() % places), v, static_cast<double>(v) / 8},
                .time = watermark + static_cast<int64_t>(random() % 400)};
    if (random() % 9 == 0) row.cells[1] = Cell();
    if (random() % 9 == 0) row.cells[2] = Cell();
    const uint64_t what = open.empty() ? 0 : random() % 3;
    if (what == 0) {
      emit(row, Op::kInsert);
      open.push_back(std::move(row));
      continue;
    }
    const size_t at = random() % open.size();
    if (what == 1) {
      emit(open[at], Op::kDelete);
      open.erase(open.begin() + static_cast<int64_t>(at));
      continue;
    }
    const bool whole = random() % 2 == 0;
    emit(open[at], whole ? Op::kUpdateBefore : Op::kDelete);
    emit(row, whole ? Op::kUpdateAfter : Op::kInsert);
    open[at] = std::move(row);
  }
  stream.standing.insert(stream.standing.end(), open.begin(), open.end());
  return stream;
}

std::set<std::string> Model(const std::vector<TestRow>& rows, int64_t size) {
  std::map<std::string, std::vector<const TestRow*>> groups;
  for (const TestRow& row : rows) {
    const int64_t start = size > 0 ? row.time / size * size : 0;
    const std::string window = size > 0 ? absl::StrCat("|", start, "|", start + size) : "";
    groups[std::get<std::string>(row.cells[0]) + window].push_back(&row);
  }
  std::set<std::string> results;
  for (const auto& [group, members] : groups) {
    std::vector<int64_t> v;
    std::vector<double> x;
    for (const TestRow* row : members) {
      if (row->cells[1].index() != 0) v.push_back(std::get<int64_t>(row->cells[1]));
      if (row->cells[2].index() != 0) x.push_back(std::get<double>(row->cells[2]));
    }
    int64_t sum = 0;
    double total = 0;
    for (const int64_t value : v) sum += value;
    for (const double value : x) total += value;
    const auto or_null = [](bool any, const auto& value) { return any ? absl::StrCat(value) : std::string("NULL"); };
    results.insert(absl::StrCat(group, "|", members.size(), "|", v.size(), "|", or_null(!v.empty(), sum), "|",
                                or_null(!v.empty(), static_cast<double>(sum) / static_cast<double>(v.size())), "|",
                                or_null(!x.empty(), total), "|",
                                x.empty() ? "NULL" : absl::StrCat(*std::min_element(x.begin(), x.end())), "|",
                                v.empty() ? "NULL" : absl::StrCat(*std::max_element(v.begin(), v.end()))));
  }
  return results;
}

std::set<std::string> Found(Harness& h, const WindowSpec& spec) {
  std::set<std::string> found;
  if (spec.on_update) {
    const std::vector<size_t> key = spec.size_us > 0 ? std::vector<size_t>{0, 1, 2} : std::vector<size_t>{0};
    for (const auto& [name, row] : Fold(h.out().rows, key)) found.insert(row);
    return found;
  }
  const std::vector<std::string> texts = CellsText(h.out().rows);
  found.insert(texts.begin(), texts.end());
  EXPECT_EQ(found.size(), texts.size());
  return found;
}

TEST(WindowUpdates, WhatStandsInTheEndIsTheResultWhateverTheBatchesCommitsAndCrashes) {
  for (const auto& [size, on_update] : {std::pair<int64_t, bool>{0, true}, {300, true}, {300, false}}) {
    for (uint64_t seed = 0; seed < 3; ++seed) {
      const WindowSpec spec = ChangesSpec(size, on_update);
      const Stream stream = RandomChanges(seed, 900);
      for (const size_t batch_size : {1, 2, 7, 1000}) {
        Harness h(Single(spec));
        h.FeedWithCrashes(stream.changes, batch_size, seed, 60, 600);
        h.Advance(1'000'000'000);
        h.Commit();
        EXPECT_EQ(Found(h, spec), Model(stream.standing, size)) << size << on_update << batch_size << " " << seed;
        h.CheckLedger();
        EXPECT_EQ(h.ledger().pairs, static_cast<int64_t>(stream.changes.size()));
        EXPECT_EQ(h.ledger().late_after_idle, 0);
        EXPECT_EQ(h.ledger().open, size > 0 ? 0 : static_cast<int64_t>(stream.standing.size()));
      }
    }
  }
}

TEST(WindowUpdates, TwoPhasesGiveWhatOneGives) {
  for (const auto& [size, on_update] : {std::pair<int64_t, bool>{0, true}, {300, true}, {300, false}}) {
    const WindowSpec spec = ChangesSpec(size, on_update);
    const Stream streams[2] = {RandomChanges(21, 700), RandomChanges(22, 700)};
    Node node = PartialNode(spec);
    node.inputs[0].hidden = UpdateHidden();
    Harness up[2] = {Harness(node), Harness(node)};
    Harness final(FinalNode(spec, kResults));
    size_t sent[2] = {0, 0}, fed[2] = {0, 0};
    int64_t reported[2] = {kMinTime.us, kMinTime.us};
    std::mt19937_64 random(5);
    const auto send = [&](int task) {
      up[task].Commit();
      const auto& out = up[task].out().rows;
      final.Process({out.begin() + static_cast<int64_t>(sent[task]), out.end()});
      sent[task] = out.size();
    };
    for (int round = 0; round < 100; ++round) {
      const int task = static_cast<int>(random() % 2);
      const std::vector<TestRow>& changes = streams[task].changes;
      for (uint64_t i = random() % 60; i > 0 && fed[task] < changes.size(); --i) {
        up[task].Feed({changes[fed[task]]}, 1);
        reported[task] = changes[fed[task]++].watermark;
      }
      send(task);
      final.Advance(std::min(reported[0], reported[1]));
      if (round % 3 == 0) final.Commit();
      if (round % 15 == 0) final.Crash();
    }
    for (int task = 0; task < 2; ++task) {
      up[task].Feed({streams[task].changes.begin() + static_cast<int64_t>(fed[task]), streams[task].changes.end()}, 10);
      send(task);
    }
    final.Advance(1'000'000'000);
    final.Commit();
    std::vector<TestRow> standing = streams[0].standing;
    standing.insert(standing.end(), streams[1].standing.begin(), streams[1].standing.end());
    EXPECT_EQ(Found(final, spec), Model(standing, size)) << size << on_update;
    const StepLedger &a = up[0].ledger(), &b = up[1].ledger(), &f = final.ledger();
    EXPECT_EQ(a.pairs + b.pairs, f.closed + f.open + f.late_after_idle);
    EXPECT_EQ(a.in, a.absorbed);
  }
}

// Where each row has a group of its own, partials are rows as they come.
TEST(WindowUpdates, PartialsThatAreNotAddedUpTakeRowsBackToo) {
  const WindowSpec spec = ChangesSpec(0, true);
  Node node = PartialNode(spec);
  node.inputs[0].hidden = UpdateHidden();
  Harness up(node), final(FinalNode(spec, kResults));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 100; ++i) rows.push_back({.cells = {absl::StrCat("p", i), i, 1.5}});
  size_t sent = 0;
  for (int commit = 0; commit < 7; ++commit) {
    up.Process(rows);
    for (TestRow& row : rows) row.op = row.op == Op::kInsert ? Op::kDelete : Op::kInsert;
    up.Commit();
    final.Process({up.out().rows.begin() + static_cast<int64_t>(sent), up.out().rows.end()});
    EXPECT_EQ(up.out().rows.size() - sent, rows.size());
    sent = up.out().rows.size();
    final.Commit();
    EXPECT_EQ(Fold(final.out().rows, {0}).size(), commit % 2 == 0 ? rows.size() : 0);
  }
  EXPECT_EQ(up.ledger().pairs, final.ledger().closed + final.ledger().open);
}

int64_t StoredBytes(Harness& h) {
  int64_t bytes = 0;
  for (const auto& [key, value] : h.store().live()) bytes += static_cast<int64_t>(key.size() + value.size());
  return bytes;
}

// Groups that come and go for ever must not leave their keys behind, in memory or in state.
TEST(WindowUpdates, AGroupWithoutRowsIsGone) {
  const WindowSpec spec = ChangesSpec(0, true);
  Harness h(Single(spec));
  const std::string filling(2000, 'x');
  int64_t memory = 0, written = 0;
  for (int64_t i = 0; i < 400; ++i) {
    TestRow row{.cells = {absl::StrCat(filling, i), i, 1.5}};
    h.Process({row});
    h.Commit();
    row.op = Op::kDelete;
    h.Process({row});
    h.Commit();
    ASSERT_EQ(h.out().rows.size(), static_cast<size_t>(2 * i + 2));
    EXPECT_EQ(h.out().rows.back().op, Op::kDelete);
    if (i % 50 == 49) h.Crash();
    if (i == 199) {
      memory = h.op().MemoryBytes();
      written = StoredBytes(h);
    }
  }
  EXPECT_LT(h.op().MemoryBytes(), memory + 200 * 1000);
  EXPECT_LT(StoredBytes(h), written + 200 * 1000);
  EXPECT_EQ(Fold(h.out().rows, {0}).size(), 0u);
  EXPECT_EQ(h.ledger().open, 0);
}

TEST(WindowUpdates, ARowThatComesAndGoesWithinACommitLeavesNothing) {
  Harness h(Single(ChangesSpec(0, true)));
  TestRow row{.cells = {std::string("p"), int64_t{1}, 1.0}};
  TestRow taken = row;
  taken.op = Op::kDelete;
  h.Process({row, taken});
  h.Commit();
  EXPECT_EQ(h.out().rows.size(), 0u);
  // A group that loses its last row and gets another in one commit is replaced.
  h.Process({row});
  h.Commit();
  TestRow other{.cells = {std::string("p"), int64_t{2}, 2.0}};
  h.Process({taken, other});
  h.Commit();
  ASSERT_EQ(h.out().rows.size(), 3u);
  EXPECT_EQ(h.out().rows[1].op, Op::kUpdateBefore);
  EXPECT_EQ(h.out().rows[2].op, Op::kUpdateAfter);
  h.CheckLedger();
}

WindowSpec TextSpec(bool changes) {
  WindowSpec spec = ChangesSpec(0, true);
  spec.input_updates = changes;
  spec.rows = Columns("place string null, v int64 null, x string null");
  spec.aggregates = {{"n", "count(*)"}, {"lo", "min(x)"}, {"hi", "max(x)"}, {"s", "sum(v)"}};
  if (!changes) spec.aggregates.push_back({"f", "first(x)"});
  return spec;
}

int64_t TextBytes(const TestRow& row) {
  int64_t bytes = 0;
  for (const Cell& cell : row.cells) {
    if (const auto* text = std::get_if<std::string>(&cell)) bytes += static_cast<int64_t>(text->size());
  }
  return bytes;
}

// A partial is a row of a topic that has a largest size, and a million different texts may stand in a group.
TEST(WindowUpdates, PartialsWithManyOrLongTextsAreCutAndNothingOfThemIsLost) {
  for (const bool changes : {true, false}) {
    for (const bool direct : {false, true}) {
      const WindowSpec spec = TextSpec(changes);
      const std::string results = changes ? "n int64, lo string null, hi string null, s int64 null"
                                          : "n int64, lo string null, hi string null, s int64 null, f string null";
      Node node = PartialNode(spec);
      node.inputs[0].schema = spec.rows;
      if (changes) node.inputs[0].hidden = UpdateHidden();
      Harness up(node), final(FinalNode(spec, results));
      size_t sent = 0;
      const auto send = [&] {
        up.Commit();
        const auto& out = up.out().rows;
        for (; sent < out.size(); ++sent) {
          EXPECT_LT(TextBytes(out[sent]), 700'000);
          final.Process({out[sent]});  // each may be the last of a commit
          if (sent % 3 == 0) final.Commit();
        }
        final.Commit();
      };
      if (direct) {
        std::vector<TestRow> few;
        for (int64_t i = 0; i < 100; ++i) few.push_back({.cells = {absl::StrCat("q", i), i, std::string("t")}});
        up.Process(few);
        send();
      }
      std::vector<TestRow> rows;
      for (int64_t i = 0; i < 60; ++i) {
        const auto letter = static_cast<char>('a' + i % 26);
        rows.push_back({.cells = {std::string("p"), i, std::string(100'000, letter) + absl::StrCat(i)}, .offset = i});
      }
      rows.push_back({.cells = {std::string("p"), int64_t{100}, std::string(400'000, 'k')}, .offset = 100});
      up.Process(rows);
      send();
      auto stands = [&] { return Fold(final.out().rows, {0})["p"]; };
      const std::string first = changes ? "" : "|" + std::get<std::string>(rows[0].cells[2]);
      EXPECT_EQ(stands(), absl::StrCat("p|61|", std::get<std::string>(rows[0].cells[2]), "|",
                                       std::get<std::string>(rows[51].cells[2]), "|1870", first));
      if (!changes) continue;
      // Half of them go, and something else comes with the same commit.
      std::vector<TestRow> back(rows.begin(), rows.begin() + 52);
      for (TestRow& row : back) row.op = Op::kDelete;
      back.push_back({.cells = {std::string("p"), int64_t{7}, std::string("~")}});
      up.Process(back);
      send();
      EXPECT_EQ(stands(),
                absl::StrCat("p|10|", std::get<std::string>(rows[52].cells[2]), "|~|", 1870 - 51 * 52 / 2 + 7));
      // All go: nothing stays, and what comes afterwards is alone.
      std::vector<TestRow> rest(rows.begin() + 52, rows.end());
      rest.push_back(back.back());
      for (TestRow& row : rest) row.op = Op::kDelete;
      up.Process(rest);
      send();
      EXPECT_EQ(Fold(final.out().rows, {0}).count("p"), 0u);
      up.Process({{.cells = {std::string("p"), int64_t{1}, std::string("new")}}});
      send();
      EXPECT_EQ(stands(), "p|1|new|new|1");
    }
  }
}

// After a commit with many texts small ones are added up as before.
TEST(WindowUpdates, ALargeCommitDoesNotMakeTheNextOnesSendEveryBatch) {
  const WindowSpec spec = TextSpec(true);
  Node node = PartialNode(spec);
  node.inputs[0].schema = spec.rows;
  node.inputs[0].hidden = UpdateHidden();
  Harness up(node);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 200; ++i) rows.push_back({.cells = {std::string("p"), i, std::string(50'000, 'x')}});
  for (int64_t i = 0; i < 200; ++i) std::get<std::string>(rows[i].cells[2]) += absl::StrCat(i);
  up.Process(rows);
  up.Commit();
  const size_t before = up.out().rows.size();
  for (int batch = 0; batch < 5; ++batch) {
    up.Process({{.cells = {std::string("p"), int64_t{1}, std::string("x")}}});
    EXPECT_EQ(up.out().rows.size(), before);
  }
  up.Commit();
  EXPECT_EQ(up.out().rows.size(), before + 1);
}

// A row that is taken back and was never counted is no smaller number, it is a mistake.
TEST(WindowUpdates, MoreThanThereIsIsNotTakenBack) {
  TestRow taken{.cells = {std::string("p"), int64_t{1}, 1.0}, .time = 100};
  taken.op = Op::kDelete;
  for (const bool on_update : {true, false}) {
    const WindowSpec spec = ChangesSpec(300, on_update);
    Harness h(Single(spec));
    const auto status = h.op().ProcessBatch(0, ToBatch(h.node().in().schema, h.node().in().hidden, {taken}), h.out());
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(absl::StrContains(status.message(), "taken back than it has ever got (1)")) << status;
    Node node = PartialNode(spec);
    node.inputs[0].hidden = UpdateHidden();
    Harness up(node), final(FinalNode(spec, kResults));
    up.Process({taken});
    up.Commit();
    const Batch partials = ToBatch(final.node().in().schema, final.node().in().hidden, up.out().rows);
    EXPECT_EQ(final.op().ProcessBatch(0, partials, final.out()).code(), absl::StatusCode::kFailedPrecondition);
  }
}

// Groups that leave memory, come back, lose all their rows while their records lie in runs, and come again.
TEST(WindowUpdates, GroupsThatLeftMemoryGiveTheSame) {
  for (const auto& [size, on_update] : {std::pair<int64_t, bool>{0, true}, {300, true}, {300, false}}) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      MemoryBudget none(0, 0);
      const WindowSpec spec = ChangesSpec(size, on_update);
      const Stream stream = RandomChanges(seed + 40, 1200, /*places=*/300);
      Harness h(Single(spec), {}, &none);
      h.FeedWithCrashes(stream.changes, 3, seed, 25, 300);
      EXPECT_TRUE(size > 0 || h.store().Count("r") > 0);
      h.Advance(1'000'000'000);
      h.Commit();
      EXPECT_EQ(Found(h, spec), Model(stream.standing, size)) << size << on_update << " " << seed;
      h.CheckLedger();
      EXPECT_EQ(h.ledger().open, size > 0 ? 0 : static_cast<int64_t>(stream.standing.size()));
    }
  }
}

}  // namespace
}  // namespace tidemark
