// The two calls that decide a transaction, send_offsets_to_transaction and commit_transaction, made beside the stream
// thread, so that the next transaction may gather rows while this one's round trips are under way.
//
// One stream thread calls; one decision at a time. The producer belongs to the decider from Start until Wait has given
// the verdict: nobody else may call it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include <absl/status/status.h>

namespace tidemark {

class Decider {
 public:
  virtual ~Decider() = default;

  // `decide` is run once, on another thread or before Wait returns a verdict; `decided` right after it, as soon as Wait
  // has the verdict to give.
  virtual void Start(std::function<absl::Status()> decide, std::function<void()> decided) = 0;
  // The verdict, taken once; nothing where it isn't known after `max_wait_us`. Every decision ends by itself (the calls
  // have time-outs, which librdkafka 2.16 is known not to keep), so that kForever is bounded as well.
  virtual std::optional<absl::Status> Wait(int64_t max_wait_us) = 0;

  static constexpr int64_t kForever = INT64_MAX;
};

// On a thread of its own.
std::unique_ptr<Decider> NewThreadDecider();

}  // namespace tidemark
