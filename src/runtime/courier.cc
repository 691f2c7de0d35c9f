#include "src/runtime/courier.h"

#include <algorithm>
#include <utility>

#include <absl/time/time.h>
#include <glog/logging.h>

namespace tidemark {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(200), kLongestPause = absl::Seconds(30);

}  // namespace

Courier::Courier(std::unique_ptr<Webhook> webhook, Clock* clock)
    : webhook_(std::move(webhook)), clock_(clock), thread_([this] { Run(); }) {}

Courier::~Courier() {
  {
    const absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  webhook_->Interrupt();
  thread_.join();
}

void Courier::Give(Message message) {
  const absl::MutexLock lock(&mutex_);
  messages_.push_back(std::move(message));
}

void Courier::Forget() {
  const absl::MutexLock lock(&mutex_);
  ++round_;
  messages_.clear();
  status_.delivered = -1;
  status_.last_error.clear();
}

Courier::Status Courier::status() const {
  const absl::MutexLock lock(&mutex_);
  Status status = status_;
  status.waiting = static_cast<int64_t>(messages_.size());
  return status;
}

void Courier::Run() {
  absl::Duration pause = kFirstPause;
  while (true) {
    Message message;
    int64_t round = 0;
    {
      const absl::MutexLock lock(&mutex_);
      const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || !messages_.empty(); };
      mutex_.Await(absl::Condition(&due));
      if (stop_) return;
      message = messages_.front();
      round = round_;
    }
    const absl::Status posted = webhook_->Post(message.id, message.body, clock_->WallUs());
    const bool refused = absl::IsInvalidArgument(posted);
    if (refused) LOG(ERROR) << "alarm " << message.id << " isn't taken: " << posted.message();
    const absl::MutexLock lock(&mutex_);
    if (posted.ok() || refused) {
      ++(refused ? status_.refused : status_.posted);
      status_.last_error = refused ? std::string(posted.message()) : "";
      pause = kFirstPause;
      if (round != round_) continue;
      messages_.pop_front();
      status_.delivered = message.number;
      continue;
    }
    if (status_.last_error != posted.message()) LOG(WARNING) << "alarms: " << posted.message() << "; trying again";
    status_.last_error = std::string(posted.message());
    const auto over = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || round != round_; };
    mutex_.AwaitWithTimeout(absl::Condition(&over), pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace tidemark
