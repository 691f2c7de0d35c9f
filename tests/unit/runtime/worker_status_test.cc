#include "src/runtime/worker_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

ThreadStatus Running(const std::string& stage, int32_t partition) {
  ThreadStatus thread;
  thread.state = ThreadStatus::State::kRunning;
  thread.tasks.emplace_back();
  thread.tasks.back().name = stage;
  thread.tasks.back().partition = partition;
  return thread;
}

TEST(StoresInUseTest, AreThoseOfAllThreadsTasks) {
  WorkerStatus status;
  status.application.name = "town";
  status.threads = {Running("detections", 0), Running("counts", 3)};
  EXPECT_THAT(StoresInUse(status), Optional(ElementsAre(TaskId{"town", "detections", 0}, TaskId{"town", "counts", 3})));
}

TEST(StoresInUseTest, AreNotKnownWhileAThreadOpensTasksOrWaitsForAnAssignment) {
  for (const auto state : {ThreadStatus::State::kOpening, ThreadStatus::State::kUnassigned}) {
    WorkerStatus status;
    status.threads = {Running("detections", 0), ThreadStatus()};
    status.threads[1].state = state;
    EXPECT_EQ(StoresInUse(status), std::nullopt);
  }
}

}  // namespace
}  // namespace tidemark
