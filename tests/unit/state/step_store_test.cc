#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/state/state_world.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class StepStoreTest : public testing::Test {
 protected:
  StepStoreTest() : world_(NewMemoryDisk(), "/state", StateOptions{.application = "town"}) {}
  void SetUp() override { ASSERT_TRUE(world_.Open().ok()); }

  StateStore* store() { return world_.state()->Store("dedup"); }
  std::vector<std::string> Scan(const std::string& begin, const std::string& end) {
    std::vector<std::string> seen;
    const auto it = store()->Scan(begin, end);
    for (; it->Valid(); it->Next()) seen.push_back(std::string(it->key()) + "=" + std::string(it->value()));
    EXPECT_TRUE(it->status().ok()) << it->status();
    return seen;
  }

  StateWorld world_;
};

TEST_F(StepStoreTest, UncommittedWritesAreSeenAndHideWhatIsOnDisk) {
  for (const char* key : {"a", "b", "c", "d"}) world_.Put("dedup", key, "disk");
  ASSERT_TRUE(world_.Commit().ok());
  store()->Put("b", "new");
  store()->Delete("c");
  store()->Put("bb", "new");
  EXPECT_THAT(Scan("", ""), ElementsAre("a=disk", "b=new", "bb=new", "d=disk"));
  EXPECT_EQ(*store()->Get("b"), "new");
  EXPECT_EQ(*store()->Get("c"), std::nullopt);
  store()->Put("c", "again");
  EXPECT_EQ(*store()->Get("c"), "again");
}

// Small values, and such as lie in files of their own.
TEST_F(StepStoreTest, ReadShowsWhatGetReturns) {
  const std::string large(100'000, 'x');
  for (const char* key : {"a", "b", "c"}) world_.Put("dedup", key, large);
  ASSERT_TRUE(world_.Commit().ok());
  world_.Close();
  ASSERT_TRUE(world_.Open().ok());
  world_.Put("dedup", "b", "new");
  world_.Delete("dedup", "c");
  for (const char* key : {"a", "b", "c", "d"}) {
    std::optional<std::string> shown;
    const absl::StatusOr<bool> found = store()->Read(key, [&](std::string_view value) { shown = value; });
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, shown.has_value());
    EXPECT_EQ(*store()->Get(key), shown) << key;
  }
}

TEST_F(StepStoreTest, AnAbortBringsBackWhatWasCommitted) {
  world_.Put("dedup", "a", "1");
  ASSERT_TRUE(world_.Commit().ok());
  world_.Put("dedup", "a", "2");
  world_.Delete("dedup", "a");
  ASSERT_TRUE(world_.Abort().ok());
  EXPECT_EQ(*store()->Get("a"), "1");
  EXPECT_EQ(world_.state()->overlay_bytes(), 0);
}

TEST_F(StepStoreTest, AScanTakesItsBeginAndLeavesItsEnd) {
  for (const char* key : {"", "a", "b", "c"}) world_.Put("dedup", key, "1");
  ASSERT_TRUE(world_.Commit().ok());
  world_.Put("dedup", "bb", "1");
  EXPECT_THAT(Scan("a", "c"), ElementsAre("a=1", "b=1", "bb=1"));
  EXPECT_THAT(Scan("bb", ""), ElementsAre("bb=1", "c=1"));
  EXPECT_THAT(Scan("c", "a"), IsEmpty());
  EXPECT_THAT(Scan("", ""), ElementsAre("=1", "a=1", "b=1", "bb=1", "c=1"));
}

TEST_F(StepStoreTest, StepsWhoseNamesStartAlikeDontSeeEachOther) {
  const std::string long_name(200, 'a');
  world_.Put("a", "ab", "1");
  world_.Put("aa", "b", "2");
  world_.Put(long_name, "b", "3");
  for (int committed = 0; committed < 2; ++committed) {
    EXPECT_EQ(*world_.state()->Store("a")->Get("ab"), "1");
    EXPECT_EQ(*world_.state()->Store("aa")->Get("b"), "2");
    EXPECT_TRUE(world_.CheckAll().ok());
    ASSERT_TRUE(world_.Commit().ok());
  }
}

TEST_F(StepStoreTest, OverlayBytesCountKeysAndValuesOnce) {
  store()->Put("key", "12345");
  EXPECT_EQ(world_.state()->overlay_bytes(), 8);
  store()->Put("key", "1");
  EXPECT_EQ(world_.state()->overlay_bytes(), 4);
  store()->Delete("key");
  EXPECT_EQ(world_.state()->overlay_bytes(), 3);
  store()->Delete("other");
  EXPECT_EQ(world_.state()->overlay_bytes(), 8);
}

TEST_F(StepStoreTest, WritesMadeWhileACommitIsDecidedAreSeenAndBelongToTheNextOne) {
  world_.Put("dedup", "a", "1");
  world_.Put("dedup", "b", "1");
  world_.Put("dedup", "c", "1");
  ASSERT_TRUE(world_.Commit().ok());
  world_.Put("dedup", "a", "2");
  world_.Delete("dedup", "b");
  world_.Put("dedup", "d", "2");
  ASSERT_TRUE(world_.BeginCommit(true).ok());
  world_.Put("dedup", "b", "3");
  world_.Delete("dedup", "d");
  world_.Put("dedup", "e", "3");
  EXPECT_EQ(*store()->Get("a"), "2");
  EXPECT_EQ(*store()->Get("b"), "3");
  EXPECT_EQ(*store()->Get("d"), std::nullopt);
  EXPECT_THAT(Scan("", ""), ElementsAre("a=2", "b=3", "c=1", "e=3"));
  packed::CommitRecord record;
  EXPECT_EQ(world_.state()->EncodeCommit(&record).status().code(), absl::StatusCode::kInternal)
      << "one commit is decided at a time";
  ASSERT_TRUE(world_.FinishCommit().ok());
  EXPECT_THAT(Scan("", ""), ElementsAre("a=2", "b=3", "c=1", "e=3"));
  ASSERT_TRUE(world_.CrashAndOpen().ok());
  EXPECT_THAT(Scan("", ""), ElementsAre("a=2", "c=1", "d=2"));
}

TEST_F(StepStoreTest, EveryCommitSaysWhatItsReadersHaveToKnow) {
  packed::CommitRecord record;
  ASSERT_TRUE(world_.state()->EncodeCommit(&record).ok());
  EXPECT_EQ(record.needs_format(), 0u);
  world_.state()->DropUncommitted();
  store()->NeedFormat(2);
  for (int commit = 0; commit < 2; ++commit) {
    ASSERT_TRUE(world_.state()->EncodeCommit(&(record = {})).ok());
    EXPECT_EQ(record.needs_format(), 2u);
    world_.state()->DropUncommitted();
  }
}

TEST_F(StepStoreTest, AValueThatNoChangelogRecordHoldsFailsTheCommit) {
  store()->Put("fits", std::string(kMaxValueBytes, 'x'));
  packed::CommitRecord record;
  EXPECT_TRUE(world_.state()->EncodeCommit(&record).ok());
  world_.state()->DropUncommitted();
  store()->Put("key", std::string(kMaxValueBytes + 1, 'x'));
  EXPECT_EQ(world_.state()->EncodeCommit(&record).status().code(), absl::StatusCode::kInternal);
  world_.state()->DropUncommitted();
  EXPECT_TRUE(world_.state()->EncodeCommit(&record).ok());
}

}  // namespace
}  // namespace tidemark
