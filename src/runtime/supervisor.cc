#include "src/runtime/supervisor.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/action.h"

namespace tidemark {
namespace {

constexpr auto kTurn = std::chrono::milliseconds(20);
// A stop waits this long for a database that doesn't answer; what wasn't written is still in the feed.
constexpr int64_t kPatienceUs = 2 * kSecond;

}  // namespace

bool DecisionWatch::Overdue(int64_t now_us, int64_t since_us) {
  const int64_t passed = std::min<int64_t>(now_us - std::exchange(looked_us_, now_us), kSecond);
  lasted_us_ = since_us > 0 && since_us == since_us_ ? lasted_us_ + passed : 0;
  since_us_ = since_us;
  return lasted_us_ > kLongestUs;
}

void Supervisor::Run(ThreadRunner::Loop loop, Work work, std::function<int64_t()> deciding_since_us) {
  threads_.push_back({std::make_unique<ThreadRunner>(std::move(loop), &control_.stop), work,
                      std::move(deciding_since_us), DecisionWatch()});
}

absl::Status Supervisor::Watch(const std::function<bool()>& done) {
  while (!StopRequested()) {
    for (Thread& thread : threads_) {
      if (thread.runner->finished()) return thread.runner->status();
      if (thread.deciding_since_us == nullptr) continue;
      if (thread.decision.Overdue(clock_.MonotonicUs(), thread.deciding_since_us())) {
        return absl::DeadlineExceededError(absl::StrCat(thread.runner->name(), ": a commit was not decided after ",
                                                        DecisionWatch::kLongestUs / kSecond, " seconds"));
      }
    }
    if (done()) return absl::OkStatus();
    std::this_thread::sleep_for(kTurn);
  }
  return absl::OkStatus();
}

absl::Status Supervisor::Stop(const absl::Status& cause, int exit_code, StopDeadline* deadline,
                              const std::function<void()>& interrupt) {
  absl::Status status = cause;
  const auto code_now = [&] { return status.ok() ? exit_code : ExitCode(status); };
  control_.stop = true;
  deadline->Begin();
  const int64_t began = clock_.MonotonicUs();
  for (const Work work : {Work::kCommits, Work::kReads}) {
    for (std::string running = Running(work); !running.empty(); running = Running(work)) {
      const int code = code_now();
      deadline->Expect(std::move(running), status, work == Work::kCommits && code == 0 ? 1 : code);
      if (clock_.MonotonicUs() - began > kPatienceUs) interrupt();
      std::this_thread::sleep_for(kTurn);
    }
    for (const Thread& thread : threads_) {
      if (thread.work == work && status.ok()) status = thread.runner->status();
    }
  }
  deadline->Expect("the state's closing", status, code_now());
  threads_.clear();
  return status;
}

std::string Supervisor::Running(Work work) const {
  std::vector<std::string> names;
  for (const Thread& thread : threads_) {
    if (thread.work == work && !thread.runner->finished()) names.push_back(thread.runner->name());
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace tidemark
