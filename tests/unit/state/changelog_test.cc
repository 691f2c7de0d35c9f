// The rewrite of the changelog, and what a restore accepts.
#include <algorithm>
#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "state/changelog.h"
#include "tests/unit/state/state_world.h"

namespace tidemark {
namespace {

using testing::HasSubstr;

StateOptions SmallLog() {
  return StateOptions{.application = "town",
                      .memory_bytes = 16 << 20,
                      .rewrite_min_bytes = 8 << 10,
                      .rewrite_commit_bytes = 2 << 10,
                      .flush_bytes = 16 << 10};
}

class ChangelogTest : public testing::Test {
 protected:
  ChangelogTest() : world_(NewMemoryDisk(), "/state", SmallLog()) {}
  void SetUp() override { ASSERT_TRUE(world_.Open().ok()); }

  void Put(int key, char fill, size_t bytes = 500) {
    world_.Put("dedup", absl::StrCat("key", key), std::string(bytes, fill));
  }
  // Commits until a rewrite is under way, with its first range behind it.
  void StartRewrite() {
    for (int key = 0; key < 50; ++key) Put(key, 'x');
    while (world_.state()->committed() == nullptr || world_.state()->committed()->rewrite_start() < 0) {
      Put(0, 'y');
      ASSERT_TRUE(world_.Commit().ok());
    }
  }
  void FinishRewrite() {
    while (world_.state()->committed()->rewrite_start() >= 0) ASSERT_TRUE(world_.Commit().ok());
  }

  StateWorld world_;
};

TEST_F(ChangelogTest, OverwritingOneStateForEverKeepsTheLogBounded) {
  int64_t longest = 0;
  for (int i = 0; i < 3000; ++i) {
    Put(i * 7 % 100, static_cast<char>('a' + i % 26));
    if (i % 3 == 0) {
      ASSERT_TRUE(world_.Commit().ok());
    }
    world_.Trim();
    longest = std::max(longest, world_.log()->bytes());
  }
  ASSERT_TRUE(world_.Commit().ok());
  EXPECT_GT(world_.log()->start(), 0);
  // Twice the state before a rewrite starts, the state once more in it, and the deltas beside it.
  EXPECT_LT(longest, 4 * world_.LiveBytes());
  EXPECT_TRUE(world_.RestoreFromNothing().ok());
}

TEST_F(ChangelogTest, StateThatExpiresKeepsTheLogBounded) {
  int64_t longest = 0;
  for (int i = 0; i < 3000; ++i) {
    Put(i, 'x');
    if (i >= 20) world_.Delete("dedup", absl::StrCat("key", i - 20));
    ASSERT_TRUE(world_.Commit().ok());
    world_.Trim();
    longest = std::max(longest, world_.log()->bytes());
  }
  EXPECT_LT(longest, 64 << 10);
  const absl::Status status = world_.RestoreFromNothing();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(ChangelogTest, StateThatWasAllDeletedIsRewrittenInOneCommit) {
  for (int key = 0; key < 50; ++key) Put(key, 'x');
  ASSERT_TRUE(world_.Commit().ok());
  for (int key = 0; key < 50; ++key) world_.Delete("dedup", absl::StrCat("key", key));
  while (world_.state()->trim_before() == 0) ASSERT_TRUE(world_.Commit().ok());
  world_.Trim();
  EXPECT_TRUE(world_.RestoreFromNothing().ok());
}

TEST_F(ChangelogTest, KeysWrittenAndDeletedOnBothSidesOfARunningRewriteAreRestored) {
  StartRewrite();
  const Offset start = world_.state()->committed()->rewrite_start();
  world_.Delete("dedup", "key0");   // rewritten already
  world_.Delete("dedup", "key49");  // still to come
  Put(1, 'z');
  Put(48, 'z');
  Put(1000, 'n');
  Put(4999, 'n');
  FinishRewrite();
  EXPECT_EQ(world_.state()->trim_before(), start);
  world_.Trim();
  const absl::Status status = world_.RestoreFromNothing();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(ChangelogTest, AnAbortTakesTheRewriteBack) {
  StartRewrite();
  const std::string key = world_.state()->committed()->rewrite_key();
  Put(7, 'z');
  ASSERT_TRUE(world_.Abort().ok());
  EXPECT_EQ(world_.state()->committed()->rewrite_key(), key);
  FinishRewrite();
  world_.Trim();
  EXPECT_TRUE(world_.RestoreFromNothing().ok());
}

TEST_F(ChangelogTest, ARestartInTheMiddleOfARewriteGoesOnWithIt) {
  StartRewrite();
  const packed::CommitRecord before = *world_.state()->committed();
  ASSERT_TRUE(world_.CrashAndOpen().ok());
  EXPECT_EQ(world_.state()->committed()->SerializeAsString(), before.SerializeAsString());
  ASSERT_TRUE(world_.RestoreFromNothing().ok());
  EXPECT_EQ(world_.state()->committed()->SerializeAsString(), before.SerializeAsString());
  FinishRewrite();
  EXPECT_EQ(world_.state()->trim_before(), before.rewrite_start());
  world_.Trim();
  EXPECT_TRUE(world_.RestoreFromNothing().ok());
}

TEST_F(ChangelogTest, ACommitOfManyMegabytesIsSplitBelowTheLimit) {
  for (int key = 0; key < 40; ++key) Put(key, 'x', kMaxValueBytes);
  ASSERT_TRUE(world_.Commit().ok());
  EXPECT_GE(world_.log()->end(), 20);
  EXPECT_TRUE(world_.RestoreFromNothing().ok());
}

TEST_F(ChangelogTest, WhatHardlyEverChangesIsInTheLogWhereItDoesAndNeverTrimmed) {
  world_.SetStanding("first");
  size_t carried = 0;
  for (int commit = 0; commit < 400; ++commit) {
    if (commit == 200) world_.SetStanding("second");
    Put(commit % 7, static_cast<char>('a' + commit % 26));
    ASSERT_TRUE(world_.Commit().ok());
    world_.Trim();
    const packed::CommitRecord& record = *world_.state()->committed();
    EXPECT_EQ(record.standing().application(), commit < 200 ? "first" : "second");
    carried += record.standing_at() == record.needed_from() || commit == 0 || commit == 200;
    ASSERT_GE(record.standing_at(), world_.log()->start());
    if (commit % 37 != 0) continue;
    ASSERT_TRUE(world_.RestoreFromNothing().ok());
    EXPECT_EQ(world_.state()->committed()->standing().application(), commit < 200 ? "first" : "second");
  }
  EXPECT_GT(world_.log()->start(), 0) << "nothing was trimmed";
  size_t with_text = 0, records = 0;
  world_.log()->ForEach([&](Offset, const std::string& value) {
    packed::ChangelogPart part;
    ASSERT_TRUE(part.ParseFromString(value));
    ++records;
    with_text += part.record().has_standing();
  });
  EXPECT_LE(with_text, 2u) << "of " << records;
}

// Restoring on its own, from hand-made logs.
class RestoreTest : public ChangelogTest {
 protected:
  std::string Part(uint64_t commit, uint32_t part, bool last, const std::string& identity = "0123456789abcdef") {
    packed::ChangelogPart value;
    value.set_commit(commit);
    value.set_part(part);
    value.add_entries()->set_key("\5some");
    if (last) {
      value.mutable_record()->set_commit(commit);
      value.mutable_record()->set_identity(identity);
      value.mutable_record()->set_rewrite_start(kNoRewrite);
    }
    return value.SerializeAsString();
  }
  void ExpectRefused(const absl::Status& status, const std::string& why) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }
  TaskState* state() { return world_.state(); }
};

TEST_F(RestoreTest, ARecordThatIsAppliedAlreadyIsSkipped) {
  ASSERT_TRUE(state()->Replay(0, Part(1, 0, true)).ok());
  ASSERT_TRUE(state()->Replay(0, Part(1, 0, true)).ok());
  ASSERT_TRUE(state()->FinishReplay(2).ok());
  EXPECT_EQ(state()->committed()->commit(), 1u);
  EXPECT_EQ(state()->changelog_next(), 2);
}

TEST_F(RestoreTest, AMissingCommitIsRefused) {
  ASSERT_TRUE(state()->Replay(0, Part(1, 0, true)).ok());
  ExpectRefused(state()->Replay(2, Part(3, 0, true)), "commit 3 follows commit 1");
}

TEST_F(RestoreTest, AMissingPartIsRefused) {
  ASSERT_TRUE(state()->Replay(0, Part(1, 0, false)).ok());
  ExpectRefused(state()->Replay(2, Part(1, 2, true)), "part 2 of commit 1");
}

TEST_F(RestoreTest, AnIncompleteCommitIsRefused) {
  ASSERT_TRUE(state()->Replay(0, Part(1, 0, false)).ok());
  ExpectRefused(state()->FinishReplay(2), "commit 1 ends early");
}

TEST_F(RestoreTest, AnotherIdentityIsRefused) {
  ASSERT_TRUE(state()->Replay(0, Part(1, 0, true)).ok());
  ExpectRefused(state()->Replay(2, Part(2, 0, true, "another")), "another identity");
}

TEST_F(RestoreTest, ALogThatLostRecordsItNeedsIsRefused) {
  ASSERT_TRUE(state()->Replay(20, Part(8, 0, true)).ok());
  ExpectRefused(state()->FinishReplay(22), "starts later");
}

TEST_F(RestoreTest, ALogThatLostRecordsItNeedsIsRefusedByAnInterruptedRestoreToo) {
  StateWorld world(NewMemoryDisk(), "/large", {.application = "town", .memory_bytes = 16 << 20});
  ASSERT_TRUE(world.Open().ok());
  for (int key = 0; key < 24; ++key) {
    world.Put("dedup", absl::StrCat("key", key), std::string(kMaxValueBytes, 'x'));
    ASSERT_TRUE(world.Commit().ok());
  }
  std::vector<std::pair<Offset, std::string>> left;  // without the first commit
  world.log()->ForEach([&](Offset offset, const std::string& value) { left.emplace_back(offset, value); });
  left.erase(left.begin());
  ASSERT_TRUE(world.state()->Clear().ok());
  for (size_t read = 0; read + 3 < left.size(); ++read) {
    ASSERT_TRUE(world.state()->Replay(left[read].first, left[read].second).ok());
  }
  ASSERT_TRUE(world.Reopen().ok());
  ASSERT_NE(world.state()->committed(), nullptr) << "what was written is kept";
  for (const auto& [offset, value] : left) ASSERT_TRUE(world.state()->Replay(offset, value).ok());
  packed::CommitRecord record = *world.state()->committed();
  record.set_commit(record.commit() + 1);
  ExpectRefused(world.state()->EncodeCommit(&record).status(), "starts later");
  ExpectRefused(world.state()->FinishReplay(world.log()->end()), "starts later");
}

TEST_F(RestoreTest, BytesThatAreNoChangelogRecordAreRefused) {
  ExpectRefused(state()->Replay(0, "\xff\xff\xff"), "can't be read");
}

}  // namespace
}  // namespace tidemark
