// Alerts: what every reading and every passing of time does, and against a model that goes through whole keys at once.
#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/alert/spec.h"
#include "src/base/big_endian.h"
#include "src/base/memory_budget.h"
#include "src/base/mutation.h"
#include "src/base/varint.h"
#include "src/codec/row_codec.h"
#include "state/state_log.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kS = kSecond;
const Schema kRows = Columns("region string null, x double null, n int64");

AlertSpec Spec() {
  AlertSpec spec;
  spec.by = {0};
  spec.raise = "x > 1";
  return spec;
}

Node AlertNode(const AlertSpec& spec, HiddenSet input = AllHidden()) {
  const Schema made = Columns(
      "alert_state string, alert_kind string, alert_start timestamp_ms, alert_time timestamp_ms, alert_seconds double");
  Schema output = kRows;
  for (const Column& column : made.columns()) output.Add(column);
  if (spec.severity) output.Add({"alert_severity", {.kind = Kind::kString}, false});
  AlertSpec of_input = spec;
  of_input.ordered = input.Has(Hidden::kSource) && !spec.input_updates;
  Node node = MakeNode(of_input, kRows, input, output);
  node.hidden = HiddenSet();
  if (spec.late_topic) node.side_topics = {{"late", *spec.late_topic}};
  return node;
}

// A reading at a second, in order.
TestRow At(int64_t seconds, Cell x, const char* region = "r") {
  return {
      .cells = {std::string(region), x, seconds}, .time = seconds * kS, .watermark = seconds * kS, .offset = seconds};
}

// "r x n state kind start time seconds", times in seconds.
std::string Text(const TestRow& row) {
  const auto cell = [&](size_t c) { return CellsText(TestRow{.cells = {row.cells[c]}}); };
  const auto seconds = [&](size_t c) { return std::get<int64_t>(row.cells[c]) / kS; };
  EXPECT_EQ(row.time, std::get<int64_t>(row.cells[6]));
  return absl::StrCat(cell(0), " ", cell(1), " ", cell(2), " ", cell(3), " ", cell(4), " ", seconds(5), " ", seconds(6),
                      " ", cell(7));
}
std::vector<std::string> Texts(const Harness& h, size_t from = 0) {
  std::vector<std::string> out;
  const std::vector<TestRow>& rows = const_cast<Harness&>(h).out().rows;
  for (size_t i = from; i < rows.size(); ++i) out.push_back(Text(rows[i]));
  return out;
}

TEST(Alert, IsRaisedOnceWhenTheConditionBeginsToHoldAndClearedWhenItIsOver) {
  Harness h(AlertNode(Spec()));
  h.Process({At(1, 0.5), At(2, 1.5), At(3, 2.5), At(4, 0.9), At(5, 1.1)});
  EXPECT_THAT(h.out().rows, IsEmpty());  // until the watermark has passed them
  EXPECT_EQ(h.Advance(2 * kS).us, 2 * kS);
  EXPECT_THAT(h.out().rows, IsEmpty());  // another row of that second may come
  h.Advance(9 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 4 2",
                                    "r 1.1 5 raised condition 5 5 0"));
  EXPECT_EQ(h.ledger().absorbed, 5);
  h.CheckLedger();
}

TEST(Alert, RowsAreJudgedInTheOrderOfTimeWhateverTheOrderInWhichTheyCome) {
  Harness h(AlertNode(Spec()));
  h.Process({At(4, 0.9), At(2, 1.5), At(5, 1.1), At(3, 2.5)});
  h.Advance(9 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 4 2",
                                    "r 1.1 5 raised condition 5 5 0"));
}

TEST(Alert, RowsOfOneTimeFollowTheirPlaceInTheSource) {
  Harness h(AlertNode(Spec()));
  TestRow low = At(2, 0.5), high = At(2, 1.5);
  low.partition = 1;
  h.Process({low, high});
  h.Advance(3 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 2 0"));
}

// As where rows of a source and others come together: steps before have use for the offset.
TEST(Alert, RowsOfWhichOnlyTheOffsetIsCarriedFollowTheirColumns) {
  Harness h(AlertNode(Spec(), HiddenSet().With(Hidden::kWatermark).With(Hidden::kOffset)));
  TestRow low = At(2, 0.5), high = At(2, 1.5);
  high.offset = 1;
  h.Process({high, low, At(3, 1.5)});
  h.Advance(4 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0"));
}

TEST(Alert, BetweenRaiseAndClearAnAlertStaysAsItIs) {
  AlertSpec spec = Spec();
  spec.clear = "x < 0.5";
  Harness h(AlertNode(spec));
  h.Process({At(1, 0.9), At(2, 1.5), At(3, 0.9), At(4, 1.2), At(5, 0.4), At(6, 0.9)});
  h.Advance(9 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 5 3"));
  EXPECT_EQ(h.store().Count("w") + h.store().Count("d"), 0);
}

TEST(Alert, ARowThatBothRaisesAndClearsKeepsTheAlert) {
  AlertSpec spec = Spec();
  spec.clear = "n > 2";
  Harness h(AlertNode(spec));
  h.Process({At(2, 1.5), At(3, 1.5), At(4, Cell())});
  h.Advance(9 * kS);
  // NULL isn't true, so the last clears by its own condition.
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 4 2"));
}

TEST(Alert, NullSaysNothing) {
  AlertSpec spec = Spec();
  spec.for_us = 5 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, Cell()), At(2, 1.5), At(3, Cell()), At(8, Cell()), At(9, 0.1)});
  h.Advance(20 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 7 5", "r 1.5 2 cleared condition 2 9 7"));
}

TEST(Alert, ForIsBrokenByARowInBetweenAndAtItsVeryEndAndFiresByTheWatermarkAlone) {
  AlertSpec spec = Spec();
  spec.for_us = 10 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0), At(5, 0.5), At(6, 2.0), At(16, 0.5), At(17, 3.0), At(20, 4.0)});
  h.Advance(27 * kS);
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Advance(27 * kS + 1);
  EXPECT_THAT(Texts(h), ElementsAre("r 3 17 raised condition 17 27 10"));
}

TEST(Alert, RemindersComeEverySoMuchTimeSinceItWasRaisedAlsoWhereTimeJumps) {
  AlertSpec spec = Spec();
  spec.for_us = 2 * kS;
  spec.remind_us = 10 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0)});
  h.Advance(14 * kS);
  h.Commit();
  h.Crash();
  h.Advance(34 * kS);
  h.Process({At(43, 0.1)});  // at the time of a reminder: the row goes first
  h.Advance(90 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 2 1 raised condition 1 3 2", "r 2 1 reminded condition 1 13 12",
                                    "r 2 1 reminded condition 1 23 22", "r 2 1 reminded condition 1 33 32",
                                    "r 2 1 cleared condition 1 43 42"));
}

TEST(Alert, AKeyThatFallsSilentIsAbsentUntilItsNextRowAndForgottenInTheEnd) {
  AlertSpec spec = Spec();
  spec.raise.clear();
  spec.absent_us = 5 * kS;
  spec.forget_us = 30 * kS;
  spec.remind_us = 20 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 1.0), At(2, 2.0), At(4, 1.0, "s")});
  h.Advance(7 * kS);
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Process({At(7, 3.0), At(9, 1.0, "s")});
  h.Advance(7 * kS + 1);
  EXPECT_THAT(h.out().rows, IsEmpty());  // one at the very end is in time
  h.Process({At(40, 0.0)});
  h.Advance(45 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 3 7 raised absent 7 12 5", "s 1 9 raised absent 9 14 5",
                                    "r 3 7 reminded absent 7 32 25", "s 1 9 reminded absent 9 34 25",
                                    "r 3 7 forgotten absent 7 37 30", "s 1 9 forgotten absent 9 39 30"));
  h.Commit();
  h.Crash();
  h.Process({At(46, 0.0)});  // behind 45, when it would be absent
  h.Advance(1000 * kS);
  EXPECT_THAT(Texts(h, 6), ElementsAre("r 0 40 raised absent 40 45 5", "r 0 40 cleared absent 40 46 6",
                                       "r 0 46 raised absent 46 51 5", "r 0 46 reminded absent 46 71 25",
                                       "r 0 46 forgotten absent 46 76 30"));
  h.Commit();
  EXPECT_EQ(h.store().Count("w") + h.store().Count("d"), 0);
  EXPECT_LT(h.op().MemoryBytes(), 1000);
}

TEST(Alert, AbsenceAndTheConditionAreTwoAlerts) {
  AlertSpec spec = Spec();
  spec.absent_us = 5 * kS;
  spec.forget_us = 20 * kS;
  spec.severity = "bad";
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0), At(8, 0.5), At(9, 2.0)});
  h.Advance(100 * kS);
  EXPECT_THAT(Texts(h),
              ElementsAre("r 2 1 raised condition 1 1 0", "r 2 1 raised absent 1 6 5", "r 2 1 cleared absent 1 8 7",
                          "r 2 1 cleared condition 1 8 7", "r 2 9 raised condition 9 9 0", "r 2 9 raised absent 9 14 5",
                          "r 2 9 forgotten condition 9 29 20", "r 2 9 forgotten absent 9 29 20"));
  EXPECT_EQ(std::get<std::string>(h.out().rows[0].cells[8]), "bad");
}

TEST(Alert, WithoutAbsenceAKeyWhoseConditionDoesNotHoldLeavesNothing) {
  Harness h(AlertNode(Spec()));
  for (int64_t i = 0; i < 1000; ++i) h.Process({At(i, 0.5, absl::StrCat("r", i).c_str())});
  h.Advance(1000 * kS);
  h.Commit();
  EXPECT_EQ(h.store().Count("w") + h.store().Count("d") + h.store().Count("q"), 0);
  EXPECT_LT(h.op().MemoryBytes(), 40'000);
}

TEST(Alert, ALateRowIsNoReadingWhateverElseIsWrongWithIt) {
  AlertSpec spec = Spec();
  spec.raise = "1 / n > 0";
  spec.grace_us = 2 * kS;
  spec.late_topic = "late";
  Harness h(AlertNode(spec));
  TestRow late = At(0, 1.0), in_time = At(8, 1.0), failing = At(9, 1.0);
  late.watermark = 3 * kS;
  in_time.watermark = 10 * kS;
  failing.cells[2] = int64_t{0};
  h.Process({late, in_time, failing});
  EXPECT_EQ(h.ledger().late, 1);
  EXPECT_EQ(h.ledger().absorbed, 1);
  EXPECT_EQ(h.ledger().dead_lettered, 1);
  EXPECT_EQ(h.out().late.size(), 1u);
  EXPECT_THAT(h.out().failures, ElementsAre("1 / n > 0: division by zero: r|1|0"));
  EXPECT_EQ(h.Advance(30 * kS).us, 28 * kS);
  h.Process({At(27, 1.0)});  // not late by itself, but from where time stood still
  EXPECT_EQ(h.ledger().late, 2);
  h.CheckLedger();
}

TEST(Alert, NullIsAKeyAndWithoutColumnsThereIsOne) {
  Harness h(AlertNode(Spec()));
  TestRow row = At(1, 2.0);
  row.cells[0] = Cell();
  h.Process({row, At(1, 0.5)});
  h.Advance(5 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("NULL 2 1 raised condition 1 1 0"));
  AlertSpec all = Spec();
  all.by.clear();
  Harness one(AlertNode(all));
  one.Process({At(1, 2.0, "a"), At(2, 3.0, "b"), At(3, 0.0, "c")});
  one.Advance(5 * kS);
  EXPECT_THAT(Texts(one), ElementsAre("a 2 1 raised condition 1 1 0", "a 2 1 cleared condition 1 3 2"));
}

TEST(Alert, OfChangingRowsThoseAreReadingsThatStandWhenTheirTimeHasCome) {
  AlertSpec spec = Spec();
  spec.input_updates = true;
  const auto change = [](int64_t seconds, double x, Op op) {
    TestRow row = At(seconds, x);
    row.watermark = kMinTime.us;
    row.op = op;
    return row;
  };
  Harness h(AlertNode(spec, UpdateHidden().With(Hidden::kWatermark)));
  h.Process({change(1, 2.0, Op::kInsert), change(2, 0.5, Op::kInsert)});
  h.Commit();
  h.Crash();
  h.Process({change(1, 2.0, Op::kUpdateBefore), change(1, 0.9, Op::kUpdateAfter), change(2, 0.5, Op::kUpdateBefore),
             change(2, 1.5, Op::kUpdateAfter), change(3, 3.0, Op::kInsert), change(3, 3.0, Op::kDelete)});
  h.Advance(9 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0"));
  // Both halves come too late.
  h.Process({change(2, 1.5, Op::kUpdateBefore), change(2, 0.1, Op::kUpdateAfter)});
  EXPECT_EQ(h.ledger().late, 2);
  h.CheckLedger();
  const auto wrong = h.op().ProcessBatch(
      0, ToBatch(kRows, UpdateHidden().With(Hidden::kWatermark), {change(10, 1.0, Op::kDelete)}), h.out());
  EXPECT_EQ(wrong.code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Alert, AnotherTopologysDurationsHoldFromThenOnAndNothingComesBeforeWhatHasGoneOut) {
  AlertSpec spec = Spec();
  spec.for_us = 100 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0), At(30, 2.0, "s")});
  h.Advance(50 * kS);
  h.Commit();
  spec.for_us = 10 * kS;
  spec.remind_us = 60 * kS;
  h.GoOnWith(AlertNode(spec));
  h.Advance(111 * kS);
  // Due at 11 and 40, but time had come to 50.
  EXPECT_THAT(Texts(h), ElementsAre("r 2 1 raised condition 1 50 49", "s 2 30 raised condition 30 50 20",
                                    "r 2 1 reminded condition 1 110 109", "s 2 30 reminded condition 30 110 80"));
}

TEST(Alert, AFullCommitStopsInBetweenAndACrashThereRepeatsNothing) {
  AlertSpec spec = Spec();
  spec.for_us = kS;
  spec.remind_us = kS;
  Harness whole(AlertNode(spec)), h(AlertNode(spec));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 50; ++i) rows.push_back(At(i % 5, 2.0, absl::StrCat("r", i).c_str()));
  for (Harness* each : {&whole, &h}) each->Process(rows);
  whole.Advance(100 * kS);
  h.out().set_full_after(1);
  const auto reached = h.op().AdvanceWatermark(EventTime{100 * kS}, h.out());
  ASSERT_TRUE(reached.ok());
  EXPECT_LT(*reached, EventTime{100 * kS});
  EXPECT_LT(h.out().rows.size(), whole.out().rows.size());
  for (const TestRow& row : h.out().rows) EXPECT_LE(EventTime{row.time}, *reached);
  h.Commit();
  h.Crash(/*advance=*/false);
  h.Advance(100 * kS);
  EXPECT_EQ(h.out().rows, whole.out().rows);
}

TEST(Alert, AtTheEndOfTimeAllRowsAreJudgedAndNothingIsDueForEver) {
  AlertSpec spec = Spec();
  spec.remind_us = kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0), At(3, 0.5), At(4, 2.0)});
  h.Advance(kMaxTime.us);
  EXPECT_THAT(Texts(h), ElementsAre("r 2 1 raised condition 1 1 0", "r 2 1 reminded condition 1 2 1",
                                    "r 2 1 cleared condition 1 3 2", "r 2 4 raised condition 4 4 0"));
}

// ---- The model: of each key all readings in order, and time from one to the next.

struct Model {
  const AlertSpec& spec;
  int64_t end;  // what lies before it has happened
  std::vector<std::string> out;

  struct State {
    bool pending = false, open = false;
    TestRow row;
    int64_t said = 0;
  };

  void Say(const State& state, const char* what, const char* kind, int64_t time) {
    const TestRow& row = state.row;
    out.push_back(absl::StrCat(CellsText(TestRow{.cells = {row.cells[0], row.cells[1], row.cells[2]}}), " ", what, " ",
                               kind, " ", row.time, " ", time));
  }
  // Everything due before `until` of one watch.
  void Due(State* state, int64_t after, int64_t until, const char* kind) {
    if (state->pending && state->row.time + after < until) {
      state->pending = false;
      state->open = true;
      state->said = state->row.time + after;
      Say(*state, "raised", kind, state->said);
    }
    while (state->open && spec.remind_us > 0 && state->said + spec.remind_us < until) {
      state->said += spec.remind_us;
      Say(*state, "reminded", kind, state->said);
    }
  }

  void Key(const std::vector<TestRow>& readings) {
    State condition, absence;
    for (size_t i = 0; i <= readings.size(); ++i) {
      int64_t until = i < readings.size() ? std::min(readings[i].time, end) : end;
      const int64_t forget = absence.row.time + spec.forget_us;
      const bool forgotten = (absence.pending || absence.open) && forget < until;
      if (forgotten) until = forget + 1;  // what is due then comes before
      Due(&condition, spec.for_us, until, "condition");
      if (spec.absent_us > 0) Due(&absence, spec.absent_us, until, "absent");
      if (forgotten) {
        if (condition.open) Say(condition, "forgotten", "condition", forget);
        if (absence.open) Say(absence, "forgotten", "absent", forget);
        condition = absence = State();
      }
      if (i == readings.size() || readings[i].time >= end) return;
      const TestRow& row = readings[i];
      if (absence.open) Say(absence, "cleared", "absent", row.time);
      if (spec.absent_us > 0) absence = {.pending = true, .row = row};
      const double* x = std::get_if<double>(&row.cells[1]);
      if (x == nullptr) continue;
      const bool raise = *x > 1, clear = spec.clear.empty() ? !raise : *x < 0.5;
      if (condition.open && clear) {
        Say(condition, "cleared", "condition", row.time);
        condition = State();
      } else if (condition.pending && !raise) {
        condition = State();
      } else if (!condition.pending && !condition.open && raise) {
        condition = {.pending = true, .row = row};
        if (spec.for_us == 0) {
          condition = {.open = true, .row = row, .said = row.time};
          Say(condition, "raised", "condition", row.time);
        }
      }
    }
  }
};

std::vector<TestRow> RandomRows(uint64_t seed, int64_t out_of_order, int count) {
  std::mt19937_64 random(seed);
  std::vector<TestRow> rows;
  int64_t now = 100, newest = 0;
  for (int i = 0; i < count; ++i) {
    now += static_cast<int64_t>(random() % 20 == 0 ? random() % 60 : random() % 3);
    const int64_t time = (now - static_cast<int64_t>(random() % 12)) * kS;
    newest = std::max(newest, time);
    Cell x;
    if (random() % 8 != 0) x = static_cast<double>(random() % 8) / 4;
    rows.push_back({.cells = {random() % 9 == 0 ? Cell() : Cell(absl::StrCat("r", random() % 4)), x, int64_t{i % 7}},
                    .time = time,
                    .watermark = newest - out_of_order * kS,
                    .partition = 0,
                    .offset = i});
  }
  return rows;
}

// In memory, and on disk as soon as anything may leave it.
TEST(Alert, RowsAreThoseOfTheModelWhateverTheBatchesCommitsCrashesAndMemory) {
  MemoryBudget none(0, 0);
  bool spilled = false;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    AlertSpec spec = Spec();
    if (seed % 2) spec.clear = "x < 0.5";
    if (seed % 3) spec.for_us = static_cast<int64_t>(seed % 3) * 7 * kS;
    if (seed % 4) spec.remind_us = 13 * kS;
    if (seed % 4 != 1) spec.absent_us = 11 * kS;
    spec.forget_us = spec.absent_us > 0 ? 40 * kS : 0;
    if (seed == 5) spec.grace_us = 4 * kS;
    const int64_t out_of_order = seed % 2 ? 5 : 30;
    const std::vector<TestRow> rows = RandomRows(seed, out_of_order, 600);
    const int64_t end = rows.back().time + 300 * kS;
    std::map<std::string, std::vector<TestRow>> keys;
    for (const TestRow& row : rows) {
      if (row.time + spec.grace_us >= row.watermark) keys[CellsText(TestRow{.cells = {row.cells[0]}})].push_back(row);
    }
    Model model{.spec = spec, .end = end - spec.grace_us};
    for (auto& [key, readings] : keys) {
      std::sort(readings.begin(), readings.end(), [](const TestRow& a, const TestRow& b) {
        return std::tie(a.time, a.offset) < std::tie(b.time, b.offset);
      });
      model.Key(readings);
    }
    std::sort(model.out.begin(), model.out.end());
    EXPECT_GT(model.out.size(), 40u);
    std::vector<TestRow> first;
    for (MemoryBudget* const memory : {static_cast<MemoryBudget*>(nullptr), &none}) {
      for (const size_t batch_size : {1, 2, 7, 1000}) {
        Harness h(AlertNode(spec), {}, memory);
        h.FeedWithCrashes(rows, batch_size, seed, 50, 300);
        spilled |= h.store().Count("wf") > 0 && h.store().Count("qf") > 0;
        EXPECT_TRUE(memory != nullptr || h.store().Count("wf") == 0);
        h.Advance(end);
        h.Commit();
        std::vector<std::string> found;
        for (const TestRow& row : h.out().rows) {
          const auto cell = [&](size_t c) { return CellsText(TestRow{.cells = {row.cells[c]}}); };
          found.push_back(absl::StrCat(cell(0), "|", cell(1), "|", cell(2), " ", cell(3), " ", cell(4), " ", cell(5),
                                       " ", cell(6)));
        }
        std::sort(found.begin(), found.end());
        EXPECT_EQ(found, model.out) << "seed " << seed << ", batches of " << batch_size;
        // Not only the same rows: in the same order, which is that of time.
        if (first.empty()) first = h.out().rows;
        EXPECT_EQ(h.out().rows, first);
        EXPECT_TRUE(std::is_sorted(first.begin(), first.end(),
                                   [](const TestRow& a, const TestRow& b) { return a.time < b.time; }));
        h.CheckLedger();
      }
    }
  }
  EXPECT_TRUE(spilled);
}

// All of them of one time: of neither more are in memory than are dealt with at once.
TEST(Alert, ManyKeysThatAreDueAtOneTimeAndReadingsOfOneTimeComeSomeAtATime) {
  MemoryBudget none(0, 0);
  AlertSpec spec = Spec();
  spec.absent_us = 10 * kS;
  spec.forget_us = 100 * kS;
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 5'000; ++i) rows.push_back(At(5, 2.0, absl::StrCat("the key of number ", i).c_str()));
  Harness cold(AlertNode(spec), {}, &none), hot(AlertNode(spec));
  cold.out().set_full_after_pending(200'000);
  int64_t most = 0;
  for (Harness* const h : {&cold, &hot}) {
    h->Process(rows);
    for (int i = 0; i < 4; ++i) h->Commit();
    if (h == &cold) {
      EXPECT_GT(h->store().Count("qf"), 0);
    }
    for (const int64_t second : {6, 12, 40, 90, 200}) {
      h->Advance(second * kS);
      h->Commit();
      h->Commit();
      h->Crash();
      if (h == &cold && second < 200) {
        EXPECT_GT(h->store().Count("wf"), 0) << second;
        EXPECT_GT(h->store().Count("df"), 0) << second;
        most = std::max(most, h->op().MemoryBytes());
      }
    }
  }
  EXPECT_EQ(hot.out().rows.size(), 4u * rows.size());  // raised, absent, and forgotten twice
  EXPECT_EQ(cold.out().rows, hot.out().rows);
  EXPECT_LT(most, 900'000);
  for (const char* prefix : {"wl", "dl", "ql"}) EXPECT_EQ(hot.store().Count(prefix), 0) << prefix;
}

// A commit that one step of the work fills gets on all the same.
TEST(Alert, ACommitThatIsFullAtOnceGetsOn) {
  MemoryBudget none(0, 0);
  AlertSpec spec = Spec();
  spec.absent_us = 10 * kS;
  Harness h(AlertNode(spec), {}, &none), whole(AlertNode(spec));
  h.out().set_full_after_pending(1);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 2500; ++i) rows.push_back(At(5 + i % 7, 2.0, absl::StrCat("r", i).c_str()));
  for (Harness* each : {&whole, &h}) {
    each->Process(rows);
    each->Commit();
    each->Commit();
    each->Advance(100 * kS);
  }
  EXPECT_EQ(h.out().rows, whole.out().rows);
  EXPECT_EQ(whole.out().rows.size(), 5'000u);
}

// Timers are set by the durations of the topology that set them.
TEST(Alert, AnotherTopologysDurationsHoldForKeysThatAreOnDisk) {
  for (const int64_t pending : {int64_t{1}, int64_t{1} << 40}) {
    MemoryBudget none(0, 0);
    AlertSpec spec = Spec();
    spec.for_us = 100 * kS;
    Harness cold(AlertNode(spec), {}, &none), hot(AlertNode(spec));
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < 2000; ++i) rows.push_back(At(1 + i % 40, 2.0, absl::StrCat("the key ", i).c_str()));
    std::vector<std::string> texts[2];
    for (Harness* const h : {&cold, &hot}) {
      if (h == &cold) h->out().set_full_after_pending(pending);
      h->Process(rows);
      h->Advance(50 * kS);
      for (int i = 0; i < 3; ++i) h->Commit();
      AlertSpec other = spec;
      other.for_us = 30 * kS;
      other.remind_us = 25 * kS;
      h->GoOnWith(AlertNode(other));
      h->Crash();  // in the midst of it, or behind it
      h->Advance(95 * kS);
      for (int i = 0; i < 3; ++i) h->Commit();
      other.remind_us = 0;
      other.for_us = 300 * kS;  // longer: what is raised stays so
      h->GoOnWith(AlertNode(other));
      h->Advance(1000 * kS);
      h->Commit();
    }
    EXPECT_GT(cold.store().Count("wf"), 0);
    EXPECT_EQ(cold.out().rows, hot.out().rows);
    EXPECT_GT(hot.out().rows.size(), 2000u);
    int64_t raised = 0;
    for (const TestRow& row : hot.out().rows) raised += std::get<std::string>(row.cells[3]) == "raised";
    EXPECT_EQ(raised, 2000);
  }
}

// As versions before wrote it: records by number, readings under 'r', keys under 'k'.
TEST(Alert, StateOfAnEarlierVersionGoesOn) {
  const auto cell = [](const char* region) { return absl::StrCat("\1", region, std::string(2, '\0')); };
  const auto row_of = [&](const char* region, int64_t seconds) {
    const Batch batch = ToBatch(kRows, AllHidden(), {At(seconds, 2.0, region)});
    EncodedKeys rows;
    EXPECT_TRUE(RowCodec::Rows(kRows).Encode(*batch, &rows).ok());
    return std::string(rows[0]);
  };
  for (const bool short_of_memory : {false, true}) {
    MemoryBudget none(0, 0);
    AlertSpec spec = Spec();
    spec.for_us = 10 * kS;
    Harness h(AlertNode(spec), {}, short_of_memory ? &none : nullptr), expected(AlertNode(spec));
    h.Commit();
    StateLog readings(&h.store(), "r"), keys(&h.store(), "k");
    readings.Begin(h.commit());
    // Of two readings that are equal in all, as of rows that have no place, each had a record.
    for (uint32_t number = 0; number < 3; ++number) {
      const int64_t seconds = number == 2 ? 8 : 6;
      std::string record;
      const std::string key = cell("r"), row = row_of("r", seconds);
      AppendVarint(static_cast<uint64_t>(seconds * kS) << 1, &record);
      AppendVarint(static_cast<uint64_t>(seconds) << 1, &record);
      for (const uint64_t value : {0, 0, 1 + 3 * 0}) AppendVarint(value, &record);
      AppendVarint(key.size(), &record);
      record += key;
      AppendVarint(row.size(), &record);
      record += row;
      readings.Put(number, record);
    }
    keys.Begin(h.commit());
    std::string record;
    const std::string key = cell("s"), row = row_of("s", 3);
    AppendVarint(key.size(), &record);
    record += key;
    record.push_back(1);  // pending
    AppendOrdered(3 * kS, &record);
    AppendOrdered(3 * kS, &record);
    AppendVarint(row.size(), &record);
    record += row;
    record.push_back(0);
    keys.Put(0, record);
    ASSERT_TRUE(readings.Commit().ok());
    ASSERT_TRUE(keys.Commit().ok());
    std::string times;
    AppendOrdered(5 * kS, &times);
    AppendOrdered(5 * kS, &times);
    h.store().Put("t", times);
    h.store().Commit();
    h.Crash(/*advance=*/false);
    h.Advance(5 * kS);
    for (int i = 0; i < 3; ++i) h.Commit();
    EXPECT_EQ(h.store().Count("r") + h.store().Count("k"), 0);
    EXPECT_EQ(h.store().Count("wf") > 0, short_of_memory);
    h.Crash();
    h.Advance(30 * kS);
    EXPECT_THAT(Texts(h), ElementsAre("s 2 3 raised condition 3 13 10", "r 2 6 raised condition 6 16 10"));
  }
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST(Alert, ATimerThatIsNotWrittenIsFound) {
  AlertSpec spec = Spec();
  spec.for_us = 10 * kS;
  for (const bool mutated : {false, true}) {
    Harness h(AlertNode(spec));
    SetMutation(Mutation::kAlertTimerLost, mutated);
    h.Process({At(1, 2.0)});
    h.Advance(5 * kS);
    h.Commit();
    h.Advance(50 * kS);
    SetMutation(Mutation::kAlertTimerLost, false);
    EXPECT_EQ(h.out().rows.size(), mutated ? 0u : 1u);
  }
}
#endif

}  // namespace
}  // namespace tidemark
