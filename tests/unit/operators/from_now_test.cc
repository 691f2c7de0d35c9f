// Aggregates that are added to a step with open groups, and count from then on: the step that went on gives, change by
// change, what one gives that had them from the beginning behind a filter which none of the earlier rows passes.
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "operators/window/calendar_windows.h"
#include "operators/window/group_set.h"
#include "operators/window/panes.h"
#include "src/base/memory_budget.h"
#include "src/expr/time_zone.h"
#include "tests/unit/operators/window_fixture.h"

namespace tidemark {
namespace {

// Of rows from before; all others have less.
constexpr double kBefore = 1e9;

constexpr char kFormerColumns[] = "n int64, s int64 null";
constexpr char kColumns[] =
    "n int64, s int64 null, c int64 null, m int64 null, a double null, sx double null, f int64 null, d int64 null, t "
    "string null, mb int64 null, ad int64 null, sd double null";

WindowSpec Former(WindowSpec spec) {
  spec.aggregates = {{"n", "count(*)"}, {"s", "sum(v)"}};
  return spec;
}

WindowSpec Grown(WindowSpec spec, bool said = true) {
  spec = Former(std::move(spec));
  for (const auto& [name, call] : std::vector<std::pair<std::string, std::string>>{{"c", "count(*)"},
                                                                                   {"m", "max(v)"},
                                                                                   {"a", "avg(v)"},
                                                                                   {"sx", "sum(x)"},
                                                                                   {"f", "first(v)"},
                                                                                   {"d", "count(distinct v)"},
                                                                                   {"t", "string_agg(v::text, '/')"},
                                                                                   {"mb", "min_by(v, x)"},
                                                                                   {"ad", "approx_count_distinct(v)"},
                                                                                   {"sd", "stddev(v)"}}) {
    spec.aggregates.push_back({name, absl::StrCat(call, " filter (where x < ", kBefore, ")"), said});
  }
  return spec;
}

Node NodeOf(const WindowSpec& spec) {
  return SingleNode(spec, spec.aggregates.size() == 2 ? kFormerColumns : kColumns);
}

// The same columns, whoever says that they are from now on.
Node FinalOf(const WindowSpec& spec) {
  return FinalNode(spec, spec.aggregates.size() == 2 ? kFormerColumns : kColumns);
}

std::vector<TestRow> Rows(int64_t n) {
  std::mt19937_64 random(5);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < n; ++i) {
    const auto v = static_cast<int64_t>(random() % 1000);
    rows.push_back({.cells = {absl::StrCat("p", random() % 5), v, static_cast<double>(v) / 4},
                    .time = 4 * i * kSecond + static_cast<int64_t>(random() % 5) * kSecond,
                    .offset = i});
    if (random() % 13 == 0) rows.back().cells[1] = Cell();
  }
  return rows;
}

std::vector<TestRow> AsBefore(std::vector<TestRow> rows) {
  for (TestRow& row : rows) row.cells[2] = kBefore;
  return rows;
}

void Feed(const std::vector<TestRow>& rows, size_t batch, Harness* h) {
  for (size_t at = 0; at < rows.size(); at += batch) {
    const size_t end = std::min(at + batch, rows.size());
    h->Process({rows.begin() + static_cast<int64_t>(at), rows.begin() + static_cast<int64_t>(end)});
    if (end % 24 < batch) h->Commit();
  }
  h->Commit();
}

void ExpectTheSame(const std::vector<TestRow>& found, const std::vector<TestRow>& expected, size_t before) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].op, expected[i].op);
    EXPECT_EQ(found[i].time, expected[i].time);
    const std::string is = CellsText(found[i]), all = CellsText(expected[i]);
    if (i < before) {
      ASSERT_TRUE(absl::StartsWith(all, absl::StrCat(is, "|0|NULL"))) << is << "\n" << all;
    } else {
      ASSERT_EQ(is, all) << i;
    }
  }
}

struct Form {
  const char* name;
  WindowSpec spec;
};

std::vector<Form> Forms() {
  const WindowSpec minutes = Spec(kMinute, kMinute, 0), updated = Spec(kMinute, kMinute, 0, true);
  WindowSpec each = updated, kept = updated, cumulative = minutes, day = Spec(0, 0, 0);
  each.every_record = true;
  kept.keep_us = kMinute;
  cumulative.cumulative_us = 4 * kMinute;
  day.calendar_unit = "day";
  day.calendar = std::make_shared<CalendarWindows>(CalendarUnit::kDay, *internal::TimeZone::Find("UTC"), 0);
  day.size_us = day.every_us = CalendarWindows::LongestUs(CalendarUnit::kDay);
  WindowSpec total_each = Spec(0, 0, 0, true);
  total_each.every_record = true;
  return {{"tumbling", minutes},
          {"tumbling, on update", updated},
          {"every record", each},
          {"kept", kept},
          {"in panes", Spec(4 * kMinute, kMinute, 0)},
          {"hopping, on update", Spec(4 * kMinute, kMinute, 0, true)},
          {"cumulative", cumulative},
          {"of the calendar", day},
          {"over all time", Spec(0, 0, 0, true)},
          {"over all time, every record", total_each},
          {"sessions", SessionSpec(20 * kSecond, 0)},
          {"sessions, on update", SessionSpec(20 * kSecond, 0, true)}};
}

// With a little at once, and with all of it on disk.
TEST(FromNow, WhatIsAddedCountsFromThenOnInGroupsThatThereAre) {
  ASSERT_TRUE(panes::Shared(Grown(Spec(4 * kMinute, kMinute, 0))));
  const std::vector<TestRow> rows = Rows(72);
  const std::vector<TestRow> before(rows.begin(), rows.begin() + 40), after(rows.begin() + 40, rows.end());
  for (const auto& [name, form] : Forms()) {
    for (const size_t batch : {1, 2, 7, 1000}) {
      for (const bool cold : {false, true}) {
        if (cold && batch < 7) continue;
        SCOPED_TRACE(absl::StrCat(name, ", batches of ", batch, cold ? ", on disk" : ""));
        MemoryBudget none(0, 0), none_either(0, 0);
        Harness grown(NodeOf(Former(form)), {}, cold ? &none : nullptr);
        Harness always(NodeOf(Grown(form)), {}, cold ? &none_either : nullptr);
        Feed(before, batch, &grown);
        Feed(AsBefore(before), batch, &always);
        const size_t emitted = grown.out().rows.size();
        grown.GoOnWith(NodeOf(Grown(form)));
        // The word may go before any group has changed.
        grown.GoOnWith(NodeOf(Grown(form, batch != 2)));
        always.Crash();
        always.Crash();
        for (Harness* h : {&grown, &always}) {
          Feed(after, batch, h);
          h->Crash();
          h->Advance(3'000 * kMinute);
          h->Commit();
        }
        ExpectTheSame(grown.out().rows, always.out().rows, emitted);
        EXPECT_EQ(grown.ledger().open, always.ledger().open);
        grown.CheckLedger();
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Partials that an earlier topology has sent, and that are read by the one that follows.
TEST(FromNow, PartialsOnTheirWayAreThoseOfNoRows) {
  const std::vector<TestRow> rows = Rows(72);
  const std::vector<TestRow> before(rows.begin(), rows.begin() + 40), after(rows.begin() + 40, rows.end());
  for (const auto& [name, form] : Forms()) {
    if (form.every_record || form.gap_us > 0) continue;  // of one phase
    for (const bool said : {true, false}) {
      SCOPED_TRACE(absl::StrCat(name, said ? "" : ", and the word is gone"));
      const size_t columns = PartialSchema(Grown(form)).size();
      Harness old_up(PartialNode(Former(form))), up(PartialNode(Grown(form))), always_up(PartialNode(Grown(form)));
      Harness grown(FinalOf(Former(form))), always(FinalOf(Grown(form)));
      Feed(before, 10, &old_up);
      Feed(AsBefore(before), 10, &always_up);
      const std::vector<TestRow>&sent = old_up.out().rows, &always_sent = always_up.out().rows;
      ASSERT_EQ(sent.size(), always_sent.size());
      const auto half = static_cast<int64_t>(sent.size() / 2);
      std::vector<TestRow> waiting(sent.begin() + half, sent.end());
      grown.Process({sent.begin(), sent.begin() + half});
      grown.Commit();
      always.Process({always_sent.begin(), always_sent.begin() + half});
      always.Commit();
      const size_t emitted = grown.out().rows.size();
      grown.GoOnWith(FinalOf(Grown(form, said)));
      always.Crash();
      for (TestRow& row : waiting) row.cells.resize(columns);  // NULL in what was added
      grown.Process(waiting);
      always.Process({always_sent.begin() + half, always_sent.end()});
      Feed(after, 20, &up);
      for (Harness* h : {&grown, &always}) {
        h->Process(up.out().rows);
        h->Commit();
        h->Advance(3'000 * kMinute);
        h->Commit();
      }
      ExpectTheSame(grown.out().rows, always.out().rows, emitted);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(FromNow, NothingElseIsTakenForWhatWasAdded) {
  const auto groups = [](std::vector<std::string> calls) {
    std::vector<Aggregate> aggregates;
    for (const std::string& call : calls) aggregates.push_back(Aggregate::Compile(call, kRows).value());
    return std::make_unique<GroupSet>(aggregates, RowCodec::Key(kRows, {0}));
  };
  const auto two = groups({"count(*)", "sum(v)"}), three = groups({"count(*)", "sum(v)", "max(v)"});
  const auto one = groups({"count(*)"});
  std::string record;
  two->SaveValues(two->MakeLoose("p"), &record);
  EXPECT_TRUE(absl::IsDataLoss(three->Borrow(nullptr, "p", record).status())) << "nobody says that one was added";
  for (const auto& each : {one.get(), three.get()}) each->set_grown(true);
  EXPECT_TRUE(three->Borrow(nullptr, "p", record).ok());
  EXPECT_TRUE(absl::IsDataLoss(one->Borrow(nullptr, "p", record).status())) << "an aggregate less";
  record.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(three->Borrow(nullptr, "p", record).status())) << "it ends within one";
}

}  // namespace
}  // namespace tidemark
