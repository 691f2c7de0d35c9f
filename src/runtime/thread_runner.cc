#include "src/runtime/thread_runner.h"

#include <pthread.h>

#include <chrono>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/status.h"

namespace tidemark {

ThreadRunner::ThreadRunner(Loop loop, const std::atomic<bool>* stop)
    : loop_(std::move(loop)), stop_(stop), thread_([this] {
        pthread_setname_np(pthread_self(), loop_.name.substr(0, 15).c_str());  // as top -H shows it, which has no more
        const absl::Status status = Run();
        {
          const absl::MutexLock lock(&mutex_);
          status_ = status.ok() ? status : Annotate(status, loop_.name);
        }
        finished_.store(true, std::memory_order_release);
      }) {}

ThreadRunner::~ThreadRunner() { thread_.join(); }

absl::Status ThreadRunner::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

absl::Status ThreadRunner::Run() {
  while (!stop_->load(std::memory_order_relaxed)) {
    const absl::Status started = loop_.start();
    if (started.ok()) break;
    // Who is fenced while it begins gives way: a newer process is beginning too.
    if (!Recoverable(started) || ActionFor(started) == Action::kAwaitMembership) return started;
    LOG(WARNING) << loop_.name << ": " << started << "; trying again";
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  while (!stop_->load(std::memory_order_relaxed)) {
    const absl::Status stepped = loop_.step();
    if (!stepped.ok()) {
      (void)loop_.stop();
      return stepped;
    }
  }
  return loop_.stop();
}

}  // namespace tidemark
