#include "src/runtime/lineage_sender.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include <absl/base/thread_annotations.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <absl/time/time.h>
#include <glog/logging.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr absl::Duration kBetweenAttempts = absl::Seconds(1);
constexpr absl::Duration kAcknowledged = absl::Seconds(10), kLook = absl::Milliseconds(50);

}  // namespace

class LineageSender::Target {
 public:
  Target(std::string name, Deliver deliver, std::function<void()> interrupt)
      : deliver_(std::move(deliver)), interrupt_(std::move(interrupt)), thread_([this] { Loop(); }) {
    const absl::MutexLock lock(&mutex_);
    status_.target = std::move(name);
  }
  ~Target() { Close(0); }

  void Add(std::string text) {
    const absl::MutexLock lock(&mutex_);
    if (closed_ || waiting_.size() >= kMostWaiting) {
      Drop("too many events wait");
    } else {
      waiting_.push_back(std::move(text));
    }
  }

  void Close(int64_t max_wait_us) {
    if (!thread_.joinable()) return;
    {
      const absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &Target::Quiet), absl::Microseconds(max_wait_us));
      closed_ = true;
    }
    if (interrupt_) interrupt_();
    thread_.join();
  }

  LineageStatus status() const {
    const absl::MutexLock lock(&mutex_);
    return status_;
  }

 private:
  bool Quiet() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return waiting_.empty() && !delivers_; }
  bool Called() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return closed_ || !waiting_.empty(); }

  void Drop(std::string why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++status_.dropped;
    status_.last_error = std::move(why);
    LOG_EVERY_T(WARNING, 10) << "lineage: an event is dropped, " << status_.target << ": " << status_.last_error;
  }

  void Loop() {
    while (true) {
      std::string text;
      {
        const absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(this, &Target::Called));
        if (closed_) {
          for (; !waiting_.empty(); waiting_.pop_front()) Drop("the worker has stopped");
          return;
        }
        text = std::move(waiting_.front());
        waiting_.pop_front();
        delivers_ = true;
      }
      absl::Status delivered;
      for (int attempt = 0; attempt < kAttempts; ++attempt) {
        delivered = deliver_(text);
        if (!absl::IsUnavailable(delivered)) break;
        const absl::MutexLock lock(&mutex_);
        if (mutex_.AwaitWithTimeout(absl::Condition(&closed_), kBetweenAttempts)) break;
      }
      const absl::MutexLock lock(&mutex_);
      delivers_ = false;
      if (delivered.ok()) {
        ++status_.sent;
      } else {
        Drop(std::string(delivered.message()));
      }
    }
  }

  const Deliver deliver_;
  const std::function<void()> interrupt_;
  mutable absl::Mutex mutex_;
  std::deque<std::string> waiting_ ABSL_GUARDED_BY(mutex_);
  bool delivers_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  LineageStatus status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last
};

LineageSender::LineageSender(LineageText text) : text_(std::move(text)) {}

LineageSender::~LineageSender() { Close(0); }

void LineageSender::Add(std::string target, Deliver deliver, std::function<void()> interrupt) {
  targets_.push_back(std::make_unique<Target>(std::move(target), std::move(deliver), std::move(interrupt)));
}

void LineageSender::Send(const std::vector<LineageEvent>& events) {
  for (const LineageEvent& event : events) {
    LOG(INFO) << "lineage: run " << event.run << " " << event.type;
    const std::string text = text_(event);
    for (const auto& target : targets_) target->Add(text);
  }
}

void LineageSender::Close(int64_t max_wait_us) {
  const absl::Time until = absl::Now() + absl::Microseconds(max_wait_us);
  for (const auto& target : targets_) {
    target->Close(std::max<int64_t>(0, absl::ToInt64Microseconds(until - absl::Now())));
  }
}

std::vector<LineageStatus> LineageSender::status() const {
  std::vector<LineageStatus> all;
  for (const auto& target : targets_) all.push_back(target->status());
  return all;
}

namespace {

// One write of a line at the file's end: so workers on one machine may share it.
absl::Status AppendLine(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return absl::InternalError(absl::StrCat(path, ": ", std::strerror(errno)));
  const std::string line = text + "\n";
  const ssize_t written = write(file, line.data(), line.size());
  const int error = errno;
  close(file);
  if (written == static_cast<ssize_t>(line.size())) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(path, ": ", written < 0 ? std::strerror(error) : "the disk is full"));
}

// A topic, which is opened with the first event.
class TopicTarget {
 public:
  TopicTarget(std::string topic, OpenLineageTopic open) : topic_(std::move(topic)), open_(std::move(open)) {}

  absl::Status Deliver(const std::string& text) {
    if (appender_ == nullptr) {
      auto opened = open_();
      if (!opened.ok()) return absl::UnavailableError(opened.status().message());
      appender_ = *std::move(opened);
    }
    struct Outcome {
      absl::Notification done;
      Appended appended;
    };
    const auto outcome = std::make_shared<Outcome>();
    appender_->Append(topic_, 0, text, [outcome](const Appended& appended) {
      outcome->appended = appended;
      outcome->done.Notify();
    });
    for (absl::Time until = absl::Now() + kAcknowledged; !interrupted_ && absl::Now() < until;) {
      if (!outcome->done.WaitForNotificationWithTimeout(kLook)) continue;
      const Appended& appended = outcome->appended;
      if (appended.outcome == Appended::Outcome::kIn) return absl::OkStatus();
      return absl::InternalError(absl::StrCat(topic_, ": ", appended.status.message()));
    }
    return absl::DeadlineExceededError(absl::StrCat(topic_, ": the brokers don't acknowledge it"));
  }
  void Interrupt() { interrupted_ = true; }

 private:
  const std::string topic_;
  const OpenLineageTopic open_;
  std::unique_ptr<Appender> appender_;
  std::atomic<bool> interrupted_{false};
};

}  // namespace

absl::StatusOr<std::unique_ptr<LineageSender>> NewLineageSender(const LineageSpec& spec, LineageText text, Clock* clock,
                                                                OpenLineageTopic open_topic) {
  auto sender = std::make_unique<LineageSender>(std::move(text));
  if (!spec.file.empty()) {
    sender->Add("file", [path = spec.file](const std::string& line) { return AppendLine(path, line); });
  }
  if (!spec.topic.empty()) {
    const auto topic = std::make_shared<TopicTarget>(spec.topic, std::move(open_topic));
    sender->Add(
        "topic", [topic](const std::string& line) { return topic->Deliver(line); }, [topic] { topic->Interrupt(); });
  }
  if (!spec.http.empty()) {
    absl::StatusOr<std::unique_ptr<Webhook>> made = NewWebhook(spec.http.front());
    if (!made.ok()) return Annotate(made.status(), "lineage");
    const std::shared_ptr<Webhook> webhook = *std::move(made);
    sender->Add(
        "http",
        [webhook, clock](const std::string& body) {
          return webhook->Post(NewRunId(clock->WallUs()), body, clock->WallUs());
        },
        [webhook] { webhook->Interrupt(); });
  }
  return sender;
}

}  // namespace tidemark
