#include <sys/wait.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "state/task_state.h"

namespace tidemark {
namespace {

using testing::HasSubstr;

const TaskId kTask{.application = "town", .stage = "detections", .partition = 3};
const TaskId kOther{.application = "town", .stage = "detections", .partition = 4};

class StateDirTest : public testing::Test {
 protected:
  StateDirTest() {
    std::string pattern = testing::TempDir() + "tidemark-state-XXXXXX";
    root_ = mkdtemp(pattern.data());
    path_ = root_ + "/state";
  }
  ~StateDirTest() override { std::filesystem::remove_all(root_); }

  absl::StatusOr<std::unique_ptr<StateDir>> Open(const std::string& application = "town") {
    return StateDir::Open(path_, StateOptions{.application = application, .memory_bytes = 16 << 20});
  }
  std::string Read(const std::string& file) {
    std::ifstream stream(path_ + "/" + file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  void Write(const std::string& file, const std::string& text) { std::ofstream(path_ + "/" + file) << text; }

  std::string root_, path_;
};

absl::Status Commit(TaskState* state, uint64_t commit) {
  packed::CommitRecord record;
  record.set_commit(commit);
  const auto values = state->EncodeCommit(&record);
  if (!values.ok()) return values.status();
  const auto first = static_cast<Offset>(commit * 10);
  return state->Apply(record, first, first + static_cast<Offset>(values->size()));
}

TEST_F(StateDirTest, TheFolderAndThoseAboveItAreCreatedAndTagged) {
  path_ += "/a/b";
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Read("TIDEMARK"), "application town\nformat 1\n");
}

TEST_F(StateDirTest, ASecondStateDirOnTheFolderIsRefusedWithTheHoldersProcessId) {
  const auto first = Open();
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = Open();
  ASSERT_EQ(second.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(path_));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(absl::StrCat("process ", getpid())));
}

TEST_F(StateDirTest, AnotherProcessIsRefusedToo) {
  const pid_t child = fork();
  if (child == 0) {
    const auto dir = Open();
    if (!dir.ok()) _exit(1);
    pause();
    _exit(2);
  }
  // The child holds the lock once it has written its process id.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (Read("LOCK") != absl::StrCat(child, "\n") && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  const absl::Status status = Open().status();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("process ", child)));
  EXPECT_TRUE(Open().ok()) << "a killed process leaves no lock";
}

TEST_F(StateDirTest, AnotherApplicationsFolderIsRefused) {
  ASSERT_TRUE(Open().ok());
  const absl::Status status = Open("village").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("belongs to the application 'town', and this one is 'village'"));
}

TEST_F(StateDirTest, AFolderOfANewerVersionIsRefused) {
  ASSERT_TRUE(Open().ok());
  Write("TIDEMARK", "application town\nformat 3\n");
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer Tidemark, in format 3"));
}

TEST_F(StateDirTest, AFolderThatCantBeWrittenIsRefused) {
  std::filesystem::create_directories(path_);
  Write("file", "");
  path_ += "/file/state";
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--state_dir"));
}

TEST_F(StateDirTest, ATaskInUseIsUnavailableUntilItIsGivenBack) {
  const auto dir = Open();
  ASSERT_TRUE(dir.ok()) << dir.status();
  auto state = (*dir)->Take(kTask);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ((*dir)->Take(kTask).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE((*dir)->Take(kOther).ok());
  state->reset();
  EXPECT_TRUE((*dir)->Take(kTask).ok());
}

TEST_F(StateDirTest, AStoreHandedOverHasItsCommitRecordAndNoUncommittedWrites) {
  const auto dir = Open();
  ASSERT_TRUE(dir.ok()) << dir.status();
  auto state = (*dir)->Take(kTask);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ((*state)->committed(), nullptr);
  (*state)->Store("dedup")->Put("a", "1");
  ASSERT_TRUE(Commit(state->get(), 1).ok());
  (*state)->Store("dedup")->Put("b", "2");
  state->reset();

  state = (*dir)->Take(kTask);
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_NE((*state)->committed(), nullptr);
  EXPECT_EQ((*state)->committed()->commit(), 1u);
  EXPECT_EQ((*state)->changelog_next(), 11);
  EXPECT_EQ((*state)->overlay_bytes(), 0);
  EXPECT_EQ(*(*state)->Store("dedup")->Get("a"), "1");
  EXPECT_EQ(*(*state)->Store("dedup")->Get("b"), std::nullopt);
}

TEST_F(StateDirTest, ClosedStoresKeepTheirStateOnDiskAndKeptOnesStayOpen) {
  auto dir = Open();
  ASSERT_TRUE(dir.ok()) << dir.status();
  for (const TaskId& task : {kTask, kOther}) {
    auto state = (*dir)->Take(task);
    ASSERT_TRUE(state.ok()) << state.status();
    (*state)->Store("dedup")->Put("partition", absl::StrCat(task.partition));
    ASSERT_TRUE(Commit(state->get(), 1).ok());
  }
  (*dir)->CloseAllBut({kTask});
  for (const bool reopened : {false, true}) {
    if (reopened) {
      dir->reset();
      dir = Open();
      ASSERT_TRUE(dir.ok()) << dir.status();
    }
    for (const TaskId& task : {kTask, kOther}) {
      const auto state = (*dir)->Take(task);
      ASSERT_TRUE(state.ok()) << state.status();
      EXPECT_EQ(*(*state)->Store("dedup")->Get("partition"), absl::StrCat(task.partition));
    }
  }
}

TEST_F(StateDirTest, ATaskStateMayOutliveItsStateDir) {
  auto dir = Open();
  ASSERT_TRUE(dir.ok()) << dir.status();
  auto state = (*dir)->Take(kTask);
  ASSERT_TRUE(state.ok()) << state.status();
  dir->reset();
  (*state)->Store("dedup")->Put("a", "1");
  ASSERT_TRUE(Commit(state->get(), 1).ok());
  EXPECT_FALSE(Open().ok()) << "the folder is in use";
  state->reset();
  EXPECT_TRUE(Open().ok());
}

TEST_F(StateDirTest, ThreadsTakeAndGiveBackAtOnce) {
  const auto dir = Open();
  ASSERT_TRUE(dir.ok()) << dir.status();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        const auto state = (*dir)->Take(i % 2 == 0 ? kTask : kOther);
        if (state.ok()) {
          (*state)->Store("dedup")->Put("a", "1");
        } else {
          EXPECT_EQ(state.status().code(), absl::StatusCode::kUnavailable) << state.status();
        }
        if (i % 5 == 0) (*dir)->CloseAllBut({kTask});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE((*dir)->Take(kTask).ok());
}

}  // namespace
}  // namespace tidemark
