// How windows stand in state: what a commit writes, what is read again after a crash.
#include <map>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/varint.h"
#include "src/codec/zero_packing.h"
#include "state/state_log.h"
#include "tests/unit/operators/window_fixture.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;

TEST(WindowState, ALargeWindowClosesOverManyCommitsAndCrashes) {
  Harness h(SingleNode(Spec(kMinute, kMinute, 0)));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 10'000; ++i) rows.push_back(Row(absl::StrCat("p", 10'000 + i).c_str(), i, i));
  h.Feed(rows, 1000);
  h.Commit();
  h.out().set_full_after(1);
  // Each call emits a part and stops.
  int calls = 0;
  while (h.out().rows.size() < 10'000u && calls < 100) {
    const absl::StatusOr<EventTime> reached = h.op().AdvanceWatermark(EventTime{kMinute}, h.out());
    ASSERT_TRUE(reached.ok());
    EXPECT_LT(h.out().rows.size() < 10'000u ? reached->us : 0, kMinute - kMillisecond);
    ++calls;
    if (calls % 2 == 0) {
      h.Crash(/*advance=*/false);
      ASSERT_TRUE(h.op().AdvanceWatermark(EventTime{kMinute}, h.out()).ok());
    }
    h.Commit();
  }
  EXPECT_GE(calls, 5);
  std::vector<std::string> expected;
  for (int64_t i = 0; i < 10'000; ++i) expected.push_back(absl::StrCat("p", 10'000 + i, "|0|60000000|1"));
  EXPECT_EQ(CellsText(h.out().rows), expected);
  EXPECT_EQ(h.store().Count("k") + h.store().Count("v"), 0);
  h.CheckLedger();
}

// Turns the window's state into what earlier versions wrote: key and values of a group in one record.
void WriteAsEarlierVersions(Harness* h) {
  std::map<uint32_t, std::string> keys, groups;
  std::string start;
  std::vector<std::string> old;
  for (const auto& [key, value] : h->store().live()) {
    if (key[0] == 'k' || key[0] == 'v') old.push_back(key);
    if (key[0] == 'k') start = key.substr(1, 8);
  }
  StateLog key_log(&h->store(), "k" + start), value_log(&h->store(), "v" + start);
  ASSERT_TRUE(key_log
                  .Load([&](uint32_t number, const std::string_view* record) {
                    keys[number] = *record;
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(value_log
                  .Load([&](uint32_t number, const std::string_view* record) {
                    std::string values;
                    EXPECT_TRUE(UnpackZeros(*record, &values));
                    AppendVarint(keys[number].size(), &groups[number]);
                    groups[number] += keys[number] + values;
                    return absl::OkStatus();
                  })
                  .ok());
  for (const std::string& key : old) h->store().Delete(key);
  StateLog whole(&h->store(), "g" + start);
  whole.Begin(h->commit());
  for (const auto& [number, group] : groups) whole.Put(number, group);
  ASSERT_TRUE(whole.Commit().ok());
  h->store().Commit();
}

TEST(WindowState, StateOfAnEarlierVersionIsReadAndReplacedWhereItChanges) {
  Harness h(SingleNode(Spec(kMinute, kMinute, 0)));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 300; ++i) rows.push_back(Row(absl::StrCat("p", 100 + i % 200).c_str(), i, i));
  h.Feed(rows, 100);
  h.Commit();
  WriteAsEarlierVersions(&h);
  h.Crash();
  EXPECT_GT(h.store().Count("g"), 0);
  h.Process({Row("p100", 1, 1), Row("new", 1, 1)});
  h.Commit();
  EXPECT_EQ(h.store().Count("g"), 0);
  h.Crash();
  h.Advance(kMinute);
  std::vector<std::string> expected = {"new|0|60000000|1"};
  for (int64_t i = 0; i < 200; ++i) {
    expected.push_back(absl::StrCat("p", 100 + i, "|0|60000000|", 1 + (i < 100) + (i == 0)));
  }
  EXPECT_EQ(CellsText(h.out().rows), expected);
  h.Commit();
  EXPECT_EQ(h.store().Count("k") + h.store().Count("v") + h.store().Count("g"), 0);
}

TEST(WindowState, GraceThatGrewAndShrankAgainLeavesTheHorizonWhereItWas) {
  Harness h(SingleNode(Spec(10, 10, 0)));
  h.Advance(60);
  h.Commit();
  h.GoOnWith(SingleNode(Spec(10, 10, 100)));
  h.Process({Row("a", 1, 55, 60), Row("a", 1, 62, 63)});
  EXPECT_EQ(h.ledger().late_after_idle, 1) << "over by the old grace";
  h.Advance(63);
  h.Commit();
  h.Crash();
  h.Process({Row("a", 1, 55, 63)});
  EXPECT_EQ(h.ledger().late_after_idle, 2);
  h.Commit();
  h.GoOnWith(SingleNode(Spec(10, 10, 0)));
  h.Process({Row("a", 1, 65, 66)});
  EXPECT_EQ(h.ledger().late_after_idle, 2);
  h.Advance(70);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|60|70|2"));
  h.CheckLedger();
}

TEST(WindowState, AGroupsKeyIsWrittenOnce) {
  Harness h(SingleNode(Spec(0, 0, 0, true)));
  const std::string place(10'000, 'p');
  h.Process({Row(place.c_str(), 0, 0)});
  h.Commit();
  const int64_t before = h.store().written_bytes();
  for (int64_t i = 1; i < 50; ++i) {
    h.Process({Row(place.c_str(), i, i)});
    h.Commit();
  }
  EXPECT_LT(h.store().written_bytes() - before, 50 * 100);
}

TEST(WindowState, OnlyChangedGroupsAreWrittenAtACommit) {
  WindowSpec spec = Spec(0, 0, 0, true);
  Harness h(SingleNode(spec));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 20'000; ++i) rows.push_back(Row(absl::StrCat("place", i).c_str(), i, i));
  h.Feed(rows, 1000);
  h.Commit();
  const int64_t before = h.store().written_bytes();
  for (int64_t i = 0; i < 100; ++i) {
    h.Process({rows[static_cast<size_t>(i)]});
    h.Commit();
  }
  EXPECT_LT(h.store().written_bytes() - before, 100 * 200);
}

}  // namespace
}  // namespace tidemark
