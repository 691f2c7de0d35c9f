// Takes messages to a webhook one after the other, on a thread of its own, each until it is taken: the pause between
// two attempts grows to half a minute. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include "src/base/clock.h"
#include "src/webhook/webhook.h"

namespace tidemark {

class Courier {
 public:
  struct Message {
    int64_t number = 0;  // of the giver's, growing
    std::string id, body;
  };
  struct Status {
    int64_t delivered = -1;  // the last number that was; none before it is left
    int64_t waiting = 0;
    int64_t posted = 0, refused = 0;  // since the process began
    std::string last_error;           // "": the last attempt succeeded
  };

  Courier(std::unique_ptr<Webhook> webhook, Clock* clock);
  ~Courier();  // gives up what waits

  void Give(Message message);
  // What waits is somebody else's now; one that is under way may still arrive.
  void Forget();
  Status status() const;

 private:
  void Run();

  const std::unique_ptr<Webhook> webhook_;
  Clock* const clock_;
  mutable absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t round_ ABSL_GUARDED_BY(mutex_) = 0;  // Forget begins another
  std::deque<Message> messages_ ABSL_GUARDED_BY(mutex_);
  Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it starts when everything else is there
};

}  // namespace tidemark
