// What becomes of the records that a producer was given: the first that failed, and where those of some topics came to
// stand.
//
// librdkafka reports failures only, as events, which a thread of this object's takes: a report for every record would
// pass each of them from the connection's thread to the producer's and back to the allocator. Offsets are read where
// the connection's thread has the acknowledgement in its hands (an interceptor), and only for the topics asked for.
//
// Thread-safe. Lives longer than the instance it is attached to, whose threads call it until it has ended.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <absl/base/thread_annotations.h>
#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/kafka/rdkafka_handle.h"

namespace tidemark::rdkafka {

// The offsets that the open transaction wrote to one topic. Its address is the private pointer of the topic's records.
class WrittenOffsets {
 public:
  void Clear();
  // A negative offset: acknowledged, but nobody knows where it stands. That is what librdkafka makes of a batch whose
  // answer was lost once a later batch of the partition is acknowledged.
  void Add(int32_t partition, Offset offset);
  // Whether the offset of every record is known.
  bool complete() const;
  // First, behind the last.
  std::optional<std::pair<Offset, Offset>> Get(int32_t partition) const;

 private:
  mutable absl::Mutex mutex_;
  bool complete_ ABSL_GUARDED_BY(mutex_) = true;
  std::map<int32_t, std::pair<Offset, Offset>> offsets_ ABSL_GUARDED_BY(mutex_);
};

class DeliveryReports {
 public:
  // What a failed record's error is called; called on the thread of reports.
  using Explain = absl::AnyInvocable<absl::Status(const rd_kafka_message_t&)>;

  DeliveryReports() = default;
  ~DeliveryReports() { Stop(); }

  // Called while the instance is configured.
  static void Configure(rd_kafka_conf_t* conf);
  void Start(rd_kafka_t* rk, Explain explain);
  // Before the instance ends.
  void Stop();

  // The first failure since the last Clear.
  absl::Status error() const;
  // The same, waiting for one a moment.
  absl::Status WaitForError(int64_t max_wait_us) const;
  void Clear();

 private:
  void Run();

  Queue queue_;
  Explain explain_;
  std::thread thread_;
  mutable absl::Mutex mutex_;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tidemark::rdkafka
