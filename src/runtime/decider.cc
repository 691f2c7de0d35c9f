#include "src/runtime/decider.h"

#include <thread>
#include <utility>

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

namespace tidemark {
namespace {

class ThreadDecider final : public Decider {
 public:
  ThreadDecider() : thread_([this] { Run(); }) {}

  ~ThreadDecider() override {
    {
      const absl::MutexLock lock(&mutex_);
      ended_ = true;
    }
    thread_.join();
  }

  void Start(std::function<absl::Status()> decide, std::function<void()> decided) override {
    const absl::MutexLock lock(&mutex_);
    verdict_.reset();
    decide_ = std::move(decide);
    decided_ = std::move(decided);
  }

  std::optional<absl::Status> Wait(int64_t max_wait_us) override {
    const absl::Duration wait = max_wait_us == kForever ? absl::InfiniteDuration() : absl::Microseconds(max_wait_us);
    const absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(this, &ThreadDecider::Decided), wait);
    return std::exchange(verdict_, std::nullopt);
  }

 private:
  bool Decided() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return verdict_.has_value(); }
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return decide_ != nullptr || ended_; }

  void Run() {
    absl::MutexLock lock(&mutex_);
    while (true) {
      mutex_.Await(absl::Condition(this, &ThreadDecider::HasWork));
      if (decide_ == nullptr) return;  // a decision that was started is always made
      const std::function<absl::Status()> decide = std::exchange(decide_, nullptr);
      mutex_.Unlock();
      absl::Status verdict = decide();
      mutex_.Lock();
      verdict_ = std::move(verdict);
      decided_();
    }
  }

  absl::Mutex mutex_;
  std::function<absl::Status()> decide_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> decided_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> verdict_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace

std::unique_ptr<Decider> NewThreadDecider() { return std::make_unique<ThreadDecider>(); }

}  // namespace tidemark
