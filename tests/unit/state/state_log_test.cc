#include "state/state_log.h"

#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/state/fake_store.h"

namespace tidemark {
namespace {

std::map<uint32_t, std::string> Read(FakeStore* store, StateLog* log) {
  std::map<uint32_t, std::string> records;
  EXPECT_TRUE(log->Load([&](uint32_t number, const std::string_view* record) {
                   if (record) {
                     records[number] = std::string(*record);
                   } else {
                     records.erase(number);
                   }
                   return absl::OkStatus();
                 })
                  .ok());
  (void)store;
  return records;
}

TEST(StateLog, KeepsWhatWasPutAndNotErasedThroughReopening) {
  std::mt19937_64 random(7);
  FakeStore store;
  auto log = std::make_unique<StateLog>(&store, "x");
  std::map<uint32_t, std::string> model;
  for (uint64_t commit = 1; commit <= 3000; ++commit) {
    log->Begin(commit);
    for (int i = 0; i < 5; ++i) {
      const auto number = static_cast<uint32_t>(random() % 300);
      if (random() % 3 == 0) {
        log->Erase(number);
        model.erase(number);
      } else {
        model[number] = std::string(random() % 40, static_cast<char>('a' + random() % 26));
        log->Put(number, model[number]);
      }
    }
    ASSERT_TRUE(log->Commit().ok());
    if (random() % 50 == 0) {
      log = std::make_unique<StateLog>(&store, "x");
      ASSERT_EQ(Read(&store, log.get()), model) << "commit " << commit;
      ASSERT_EQ(log->live(), static_cast<int64_t>(model.size()));
    }
  }
  // 3000 commits of a few records: cleaned into few chunks.
  EXPECT_LT(store.Count("x"), 400);
  int64_t bytes = 0;
  for (const auto& [key, value] : store.live()) bytes += static_cast<int64_t>(value.size());
  EXPECT_LT(bytes, 100'000);
}

TEST(StateLog, ARecordLargerThanAValueIsCutIntoParts) {
  FakeStore store;
  StateLog log(&store, "x");
  const std::string large(3 * kMaxValueBytes + 17, 'l');
  log.Begin(1);
  log.Put(0, "small");
  log.Put(1, large);
  log.Put(2, "behind");
  ASSERT_TRUE(log.Commit().ok());
  StateLog again(&store, "x");
  EXPECT_EQ(Read(&store, &again), (std::map<uint32_t, std::string>{{0, "small"}, {1, large}, {2, "behind"}}));
}

TEST(StateLog, AnEmptyLogLeavesNoKeys) {
  FakeStore store;
  StateLog log(&store, "x");
  log.Begin(1);
  for (uint32_t i = 0; i < 10; ++i) log.Put(i, "record");
  ASSERT_TRUE(log.Commit().ok());
  EXPECT_GT(store.Count("x"), 0);
  log.Begin(2);
  for (uint32_t i = 0; i < 10; ++i) log.Erase(i);
  ASSERT_TRUE(log.Commit().ok());
  EXPECT_EQ(store.Count("x"), 0);
}

TEST(StateLog, OneCommitRewritesABoundedShareOfALargeLog) {
  FakeStore store;
  StateLog log(&store, "x");
  log.Begin(1);
  const std::string record(20, 'r');
  for (uint32_t i = 0; i < 200'000; ++i) log.Put(i, record);
  ASSERT_TRUE(log.Commit().ok());
  int64_t most = 0;
  for (uint64_t commit = 2; commit < 400; ++commit) {
    const int64_t before = store.written_bytes();
    log.Begin(commit);
    for (uint32_t i = 0; i < 1000; ++i) log.Put((static_cast<uint32_t>(commit) * 1000 + i) % 200'000, record);
    ASSERT_TRUE(log.Commit().ok());
    most = std::max(most, store.written_bytes() - before);
  }
  EXPECT_LT(most, 1000 * 25 + 2000 * 25 + 2 * (128 << 10));
  int64_t bytes = 0;
  for (const auto& [key, value] : store.live()) bytes += static_cast<int64_t>(value.size());
  EXPECT_LT(bytes, 200'000 * 25 * 5 / 2);
}

// A thousand stale copies of a small record are nothing, of a large one they are a gigabyte.
TEST(StateLog, LargeRecordsLeaveNoMoreBehindThanTheirBytesAllow) {
  FakeStore store;
  auto log = std::make_unique<StateLog>(&store, "x");
  std::map<uint32_t, std::string> model;
  int64_t written = 0;
  for (uint64_t commit = 1; commit <= 400; ++commit) {
    log->Begin(commit);
    const auto put = [&](uint32_t number, size_t size) {
      model[number] = std::string(size, static_cast<char>('a' + commit % 26));
      log->Put(number, model[number]);
      written += static_cast<int64_t>(size);
    };
    put(0, 100'000);
    put(static_cast<uint32_t>(1 + commit % 7), 5'000 + commit * 10);
    put(static_cast<uint32_t>(100 + commit), 20);
    if (commit % 50 == 0) log->Erase(static_cast<uint32_t>(1 + commit % 7)), model.erase(1 + commit % 7);
    ASSERT_TRUE(log->Commit().ok());
    if (commit % 60 == 0) {
      log = std::make_unique<StateLog>(&store, "x");
      ASSERT_EQ(Read(&store, log.get()), model) << "commit " << commit;
    }
    int64_t live = 0, stored = 0;
    for (const auto& [number, record] : model) live += static_cast<int64_t>(record.size());
    for (const auto& [key, value] : store.live()) stored += static_cast<int64_t>(value.size());
    ASSERT_LT(stored, 2 * live + 400'000) << "commit " << commit;
  }
  EXPECT_LT(store.written_bytes(), 4 * written) << "cleaning costs in proportion to what is written";
}

}  // namespace
}  // namespace tidemark
