// What an alert keeps: against a model that goes through whole keys at once, whatever the batches, commits, crashes and
// memory; many keys that are due at once; other durations over what is kept; and state of earlier versions.
#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/big_endian.h"
#include "src/base/memory_budget.h"
#include "src/base/mutation.h"
#include "src/base/varint.h"
#include "src/codec/row_codec.h"
#include "state/state_log.h"
#include "tests/unit/operators/alert_fixture.h"

namespace tidemark {
namespace {

using namespace alert_test;
using testing::ElementsAre;
using testing::IsEmpty;

// Of each key all readings in order, and time from one to the next.
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
