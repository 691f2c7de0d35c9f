// A folder takes another's place on the real file system: readers list one generation or the other, and a kill between
// any two steps leaves what the next call finishes.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/failpoint.h"
#include "src/runtime/generations/target_swap.h"

namespace tidemark {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FolderSwapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char made[] = "/tmp/tidemark-folder-swap-XXXXXX";
    ASSERT_NE(mkdtemp(made), nullptr);
    root_ = made;
    Lake("lake", "town", "old", 3);
    Lake("lake.g2", "town.__2", "new", 5);
  }
  void TearDown() override {
    (void)ArmFailpoints("");
    fs::remove_all(root_);
  }

  void Lake(const std::string& folder, const std::string& key, const std::string& name, int files) const {
    fs::create_directories(root_ / folder);
    std::ofstream(root_ / folder / absl::StrCat("_", key, ".s.mark")) << "here\n";
    for (int i = 0; i < files; ++i) std::ofstream(root_ / folder / absl::StrCat(name, i, ".parquet")) << name;
  }
  std::unique_ptr<TargetSwap> Forth(int64_t decision) const {
    return MakeFolderSwap({root_ / "lake", root_ / "lake.g2", root_ / "lake.g1"},
                          {{"town", 1}, {"town", 2}, "s", decision});
  }
  std::unique_ptr<TargetSwap> Back(int64_t decision) const {
    return MakeFolderSwap({root_ / "lake", root_ / "lake.g1", root_ / "lake.g2"},
                          {{"town", 2}, {"town", 1}, "s", decision});
  }
  // As a glob does: by one listing.
  static std::multiset<std::string> Glob(const fs::path& folder) {
    std::multiset<std::string> kinds;
    DIR* const listing = opendir(folder.c_str());
    if (listing == nullptr) return {"missing"};
    while (const dirent* entry = readdir(listing)) {
      const std::string name = entry->d_name;
      if (name.ends_with(".parquet")) kinds.insert(name.substr(0, 3));
    }
    closedir(listing);
    return kinds;
  }
  std::string Is(const std::string& folder) const {
    const auto kinds = Glob(root_ / folder);
    return kinds.empty() ? "empty" : absl::StrCat(*kinds.begin(), " ", kinds.size());
  }

  fs::path root_;
};

TEST_F(FolderSwapTest, WhatIsDecidedAndNotMovedYetIsMovedBeforeReadersSeeTheFolder) {
  int settled = 0;
  bool away = true;
  FolderSwapTarget target{root_ / "lake", root_ / "lake.g2", root_ / "lake.g1"};
  target.settle = [&]() -> absl::Status {
    if (away) return absl::UnavailableError("Kafka is away");
    ++settled;
    std::ofstream(root_ / "lake.g2" / "new5.parquet") << "new";
    return absl::OkStatus();
  };
  const auto swap = MakeFolderSwap(target, {{"town", 1}, {"town", 2}, "s", 1});
  EXPECT_TRUE(absl::IsUnavailable(swap->Swap()));
  EXPECT_EQ(Is("lake"), "old 3");
  away = false;
  ASSERT_TRUE(swap->Swap().ok());
  EXPECT_EQ(Is("lake"), "new 6");
  ASSERT_TRUE(swap->Swap().ok());
  EXPECT_EQ(settled, 1);  // by then it is the live one, and somebody's who runs
}

TEST_F(FolderSwapTest, WhoeverIsFrozenAsItMovesThemKeepsNobodyElseOut) {
  FolderSwapTarget target{root_ / "lake", root_ / "lake.g2", root_ / "lake.g1"};
  target.settle = [&]() -> absl::Status {
    EXPECT_TRUE(Forth(1)->Swap().ok()) << "another command goes on meanwhile";
    return absl::FailedPreconditionError("lake.g2 isn't the lake that its files went to");
  };
  const auto swap = MakeFolderSwap(target, {{"town", 1}, {"town", 2}, "s", 1});
  ASSERT_TRUE(swap->Swap().ok()) << swap->Swap();
  EXPECT_EQ(Is("lake"), "new 5");
  EXPECT_EQ(Is("lake.g1"), "old 3");
}

TEST_F(FolderSwapTest, TheShadowTakesThePlaceOnceAndTheOldFilesAreKept) {
  ASSERT_TRUE(Forth(1)->Prepare().ok()) << Forth(1)->Prepare();
  EXPECT_EQ(Is("lake"), "old 3");
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), fs::directory_iterator()), 2);  // no scratch is left
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(Forth(1)->Swap().ok());
    EXPECT_EQ(Is("lake"), "new 5");
    EXPECT_EQ(Is("lake.g1"), "old 3");
    EXPECT_EQ(Is("lake.g2"), "missing 1");
  }
}

TEST_F(FolderSwapTest, ItGoesBackAndAnEarlierDecisionChangesNothingAnyMore) {
  ASSERT_TRUE(Forth(1)->Swap().ok());
  ASSERT_TRUE(Back(2)->Prepare().ok()) << Back(2)->Prepare();
  ASSERT_TRUE(Back(2)->Swap().ok());
  EXPECT_EQ(Is("lake"), "old 3");
  EXPECT_EQ(Is("lake.g2"), "new 5");
  ASSERT_TRUE(Forth(1)->Swap().ok());
  EXPECT_EQ(Is("lake"), "old 3");
  ASSERT_TRUE(Forth(3)->Swap().ok());
  EXPECT_EQ(Is("lake"), "new 5");
  EXPECT_EQ(Is("lake.g1"), "old 3");
}

TEST_F(FolderSwapTest, ADecisionThatIsNotBehindTheLastOneIsRefusedBeforeItIsMade) {
  ASSERT_TRUE(Forth(5)->Swap().ok());
  EXPECT_THAT(std::string(Back(5)->Prepare().message()), HasSubstr("decision 5 has been here, and this one is 5"));
  EXPECT_TRUE(Back(6)->Prepare().ok());
}

TEST_F(FolderSwapTest, ThePermissionsOfTheFolderComeAlong) {
  fs::permissions(root_ / "lake", fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec);
  ASSERT_TRUE(Forth(1)->Swap().ok());
  EXPECT_EQ(Is("lake"), "new 5");
  EXPECT_EQ(fs::status(root_ / "lake").permissions(),
            fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec);
}

TEST_F(FolderSwapTest, WhereThereIsNoLiveFolderTheShadowGetsTheName) {
  fs::remove_all(root_ / "lake");
  ASSERT_TRUE(Forth(1)->Prepare().ok()) << Forth(1)->Prepare();
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(Forth(1)->Swap().ok());
    EXPECT_EQ(Is("lake"), "new 5");
    EXPECT_EQ(Is("lake.g1"), "missing 1");
  }
}

TEST_F(FolderSwapTest, OfTwoCommandsAtOnceOneWaits) {
  const int held = open(root_.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(held, LOCK_EX), 0);
  EXPECT_TRUE(absl::IsUnavailable(Forth(1)->Swap()));
  EXPECT_EQ(Is("lake"), "old 3");
  close(held);
  ASSERT_TRUE(Forth(1)->Swap().ok());
  EXPECT_EQ(Is("lake"), "new 5");
}

TEST_F(FolderSwapTest, AKillBetweenAnyTwoStepsIsFinishedByTheNextCall) {
  for (const char* point : {"swap_folder.before_exchange", "swap_folder.after_exchange"}) {
    const pid_t child = fork();
    if (child == 0) {
      (void)ArmFailpoints(absl::StrCat(point, "=kill@1"));
      (void)Forth(1)->Swap();
      _exit(0);
    }
    int ended = 0;
    waitpid(child, &ended, 0);
    ASSERT_TRUE(WIFSIGNALED(ended));
    EXPECT_EQ(Is("lake"), std::string(point).ends_with("before_exchange") ? "old 3" : "new 5");
  }
  ASSERT_TRUE(Forth(1)->Swap().ok());
  EXPECT_EQ(Is("lake"), "new 5");
  EXPECT_EQ(Is("lake.g1"), "old 3");
}

TEST_F(FolderSwapTest, AGlobSeesOneGenerationWheneverItLooks) {
  std::atomic<bool> stop{false};
  std::atomic<int> looks{0};
  std::set<std::multiset<std::string>> seen;
  std::thread reader([&] {
    while (!stop) {
      seen.insert(Glob(root_ / "lake"));
      ++looks;
    }
  });
  for (int64_t decision = 1; decision <= 200; ++decision) {
    const auto swap = decision % 2 == 1 ? Forth(decision) : Back(decision);
    EXPECT_TRUE(swap->Swap().ok());
    const int before = looks;
    while (looks < before + 2) std::this_thread::yield();
  }
  stop = true;
  reader.join();
  EXPECT_THAT(seen, ElementsAre(std::multiset<std::string>{"new", "new", "new", "new", "new"},
                                std::multiset<std::string>{"old", "old", "old"}));
}

TEST_F(FolderSwapTest, WhatStandsInTheWayIsSaid) {
  fs::remove(root_ / "lake.g2" / "_town.__2.s.mark");
  fs::create_directory(root_ / "lake.g1");
  EXPECT_THAT(std::string(Forth(1)->Prepare().message()),
              AllOf(HasSubstr("lake.g2 isn't the lake of its generation: it has no _town.__2.s.mark"),
                    HasSubstr("lake.g1, under whose name")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Forth(1)->Swap()));
  EXPECT_EQ(Is("lake"), "old 3");
  fs::remove_all(root_ / "lake.g2");
  EXPECT_THAT(std::string(Forth(1)->Prepare().message()), HasSubstr("lake.g2 doesn't exist"));
  fs::create_directory_symlink(root_ / "lake", root_ / "lake.g2");
  EXPECT_THAT(std::string(Forth(1)->Prepare().message()), HasSubstr("name the folder itself"));
  const auto in_s3 = MakeFolderSwap({"s3://bucket/lake", "s3://bucket/lake.g2", "s3://bucket/lake.g1"},
                                    {{"town", 1}, {"town", 2}, "s", 1});
  EXPECT_TRUE(absl::IsInvalidArgument(in_s3->Prepare()));
  EXPECT_THAT(std::string(in_s3->Prepare().message()), HasSubstr("a lake in S3"));
}

TEST_F(FolderSwapTest, APlaceWhereSomethingIsMountedIsRefused) {
  if (!fs::exists("/proc/self/mounts") || !fs::is_directory("/dev/shm")) GTEST_SKIP();
  const auto swap =
      MakeFolderSwap({"/dev/shm", "/dev/tidemark-no-such", "/dev/tidemark-kept"}, {{"town", 1}, {"town", 2}, "s", 1});
  EXPECT_TRUE(absl::IsInvalidArgument(swap->Prepare()));
}

}  // namespace
}  // namespace tidemark
