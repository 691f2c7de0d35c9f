#include "src/runtime/stop_deadline.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include <glog/logging.h>

#include "src/base/clock.h"

namespace tidemark {
namespace {

constexpr auto kTurn = std::chrono::milliseconds(20);
constexpr int64_t kToEndUs = kSecond / 2;

}  // namespace

StopDeadline::StopDeadline(const std::atomic<int>* requests, int64_t within_us)
    : requests_(requests), longest_us_(within_us - kToEndUs), thread_([this] { Run(); }) {}

StopDeadline::~StopDeadline() {
  over_ = true;
  thread_.join();
}

void StopDeadline::Expect(std::string waits_for, const absl::Status& cause, int exit_code) {
  const absl::MutexLock lock(&mutex_);
  waits_for_ = std::move(waits_for);
  cause_ = cause;
  exit_code_ = exit_code;
}

// Only time that this thread has seen go by counts: in a process that was frozen every stop looks late.
void StopDeadline::Run() {
  int64_t last = SystemClock()->MonotonicUs(), stopping_us = 0;
  while (!over_) {
    std::this_thread::sleep_for(kTurn);
    const int64_t now = SystemClock()->MonotonicUs();
    const int64_t passed = std::min<int64_t>(now - std::exchange(last, now), kSecond / 2);
    if (begun_ || (requests_ != nullptr && requests_->load() > 0)) stopping_us += passed;
    if (stopping_us > longest_us_ && !over_) EndProcess();
  }
}

void StopDeadline::EndProcess() {
  // Never given back: nothing else is to be said any more.
  mutex_.Lock();
  if (exit_code_ == 0) {
    LOG(WARNING) << waits_for_ << " doesn't come back from a call; the process ends without it, nothing is lost";
  } else {
    LOG(ERROR) << waits_for_ << " doesn't come back from a call; the process ends as after a crash, state is intact";
  }
  if (!cause_.ok()) LOG(ERROR) << cause_.message();
  google::FlushLogFiles(google::INFO);
  std::_Exit(exit_code_);
}

}  // namespace tidemark
