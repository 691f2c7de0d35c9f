// What a power failure and a full disk do to state.
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "tests/unit/state/state_world.h"

namespace tidemark {
namespace {

StateOptions Options(int64_t flush_bytes) {
  return StateOptions{.application = "town", .memory_bytes = 16 << 20, .flush_bytes = flush_bytes};
}

// The commit that the disk has by itself, without the changelog.
uint64_t CommitOnDisk(Disk* disk, const std::string& path) {
  const auto dir = StateDir::Open(path, Options(16 << 20), disk);
  if (!dir.ok()) return ADD_FAILURE() << dir.status(), 0;
  const auto state = (*dir)->Take(StateWorld::Task());
  if (!state.ok()) return ADD_FAILURE() << state.status(), 0;
  return (*state)->committed() == nullptr ? 0 : (*state)->committed()->commit();
}

TEST(Disk, ACrashLosesWhatWasNotFlushedAndTheChangelogGivesItBack) {
  StateWorld world(NewMemoryDisk(), "/state", Options(1 << 20));
  ASSERT_TRUE(world.Open().ok());
  world.Put("dedup", "a", "1");
  ASSERT_TRUE(world.Commit().ok());
  world.disk()->Crash();
  world.Close();
  EXPECT_EQ(CommitOnDisk(world.disk(), "/state"), 0u);
  const absl::Status status = world.Open();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Disk, AFlushEveryFewBytesBoundsWhatACrashLoses) {
  StateWorld world(NewMemoryDisk(), "/state", Options(10'000));
  ASSERT_TRUE(world.Open().ok());
  for (int i = 0; i < 100; ++i) {
    world.Put("dedup", "a", std::string(1'000, 'x'));
    ASSERT_TRUE(world.Commit().ok());
  }
  world.disk()->Crash();
  world.Close();
  EXPECT_GE(CommitOnDisk(world.disk(), "/state"), 89u);
}

TEST(Disk, ACleanCloseLosesNothing) {
  StateWorld world(NewMemoryDisk(), "/state", Options(16 << 20));
  ASSERT_TRUE(world.Open().ok());
  world.Put("dedup", "a", "1");
  ASSERT_TRUE(world.Commit().ok());
  world.Close();
  world.disk()->Crash();
  EXPECT_EQ(CommitOnDisk(world.disk(), "/state"), 1u);
}

TEST(Disk, WritesOfACrashedProcessReachNothing) {
  StateWorld world(NewMemoryDisk(), "/state", Options(16 << 20));
  ASSERT_TRUE(world.Open().ok());
  world.disk()->Crash();
  world.Put("dedup", "a", "1");
  ASSERT_TRUE(world.Commit().ok());  // into memory
  world.Close();                     // its flush fails
  EXPECT_EQ(CommitOnDisk(world.disk(), "/state"), 0u);
}

TEST(Disk, AFullDiskStopsTheTaskAndLosesNothing) {
  StateWorld world(NewMemoryDisk(), "/state", Options(20'000));
  ASSERT_TRUE(world.Open().ok());
  world.disk()->SetFreeBytes(50'000);
  absl::Status status;
  for (int i = 0; i < 200 && status.ok(); ++i) {
    world.Put("dedup", absl::StrCat("key", i % 10), std::string(1'000, static_cast<char>('a' + i % 26)));
    // Incompressible, or the disk never fills.
    std::string noise(2'000, '\0');
    for (size_t j = 0; j < noise.size(); ++j) noise[j] = static_cast<char>((i + 1) * 2654435761u * (j + 7) >> 13);
    world.Put("noise", absl::StrCat(i), noise);
    status = world.Commit();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  world.Close();
  world.disk()->SetFreeBytes(Disk::kUnlimited);
  const absl::Status reopened = world.Open();
  EXPECT_TRUE(reopened.ok()) << reopened;
  world.Put("dedup", "after", "1");
  EXPECT_TRUE(world.Commit().ok());
}

// A death test runs in a process of its own, which learns the folder from here.
constexpr char kFolderVariable[] = "TIDEMARK_DISK_TEST_FOLDER";

class RealDisk : public testing::Test {
 protected:
  RealDisk() {
    if (const char* inherited = std::getenv(kFolderVariable); inherited != nullptr) {
      folder_ = inherited;
      return;
    }
    std::string pattern = testing::TempDir() + "tidemark-disk-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~RealDisk() override {
    if (std::getenv(kFolderVariable) == nullptr) std::filesystem::remove_all(folder_);
  }

  std::string folder_;
};

TEST_F(RealDisk, StateSurvivesCrashesThatDropUnsyncedWrites) {
  StateWorld world(NewUnsyncedLosingDisk(), folder_ + "/state", Options(10'000));
  ASSERT_TRUE(world.Open().ok());
  for (int i = 0; i < 200; ++i) {
    world.Put("dedup", absl::StrCat("key", i % 30), std::string(1'000, static_cast<char>('a' + i % 26)));
    ASSERT_TRUE(world.Commit().ok());
    if (i % 61 != 60) continue;
    const absl::Status status = i % 2 == 0 ? world.CrashAndOpen() : world.CommitAndCrash();
    ASSERT_TRUE(status.ok()) << "commit " << i << ": " << status;
  }
}

constexpr uint64_t kCommits = 300;

void CommitAndDie(const std::string& path) {
  StateWorld world(NewUnsyncedLosingDisk(), path, Options(10'000));
  bool ok = world.Open().ok();
  for (uint64_t i = 1; i <= kCommits && ok; ++i) {
    world.Put("dedup", absl::StrCat("key", i), absl::StrCat(i, std::string(500, 'x')));
    ok = world.Commit().ok();
  }
  if (ok) raise(SIGKILL);
}

TEST_F(RealDisk, AKilledProcessLeavesAPrefixOfItsCommits) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string path = folder_ + "/state";
  setenv(kFolderVariable, folder_.c_str(), 1);
  EXPECT_EXIT(CommitAndDie(path), testing::KilledBySignal(SIGKILL), "");
  unsetenv(kFolderVariable);

  const auto dir = StateDir::Open(path, Options(10'000));
  ASSERT_TRUE(dir.ok()) << dir.status();
  const auto state = (*dir)->Take(StateWorld::Task());
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_NE((*state)->committed(), nullptr);
  const uint64_t last = (*state)->committed()->commit();
  EXPECT_GE(last, kCommits / 2);
  for (uint64_t i = 1; i <= kCommits; ++i) {
    const auto value = (*state)->Store("dedup")->Get(absl::StrCat("key", i));
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_EQ(value->has_value(), i <= last) << "commit " << i << " of " << last;
  }
}

}  // namespace
}  // namespace tidemark
