// Reads what workers say of themselves from the application's status topic, and knows which of them are there: those
// that have said something within the last ten seconds. A worker says something every two, so whoever begins to read
// needs no history but the last few records. Clocks of other machines don't matter: ages are told by the topic's append
// times, against the newest one. Used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/clock.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/status/fold.h"

namespace tidemark {

class StatusReader {
 public:
  static constexpr int64_t kGoneUs = 10 * kSecond;

  // All outlive this.
  StatusReader(const Plan& plan, KafkaClient* kafka, Clock* clock);

  // Takes what comes within the time. An error is a matter of this call alone: the next one begins anew.
  absl::Status Step(int64_t max_wait_us);

  // The last report of each worker that is there.
  std::vector<HeardReport> reports() const;
  // Records that were read, and the wall clock at the broker when the newest was appended; 0: none was read.
  int64_t records() const { return records_; }
  int64_t newest_ms() const { return newest_ms_; }
  bool at_end() const { return at_end_; }

 private:
  struct Heard {
    live::WorkerReport report;
    int64_t appended_ms = 0;
  };

  absl::Status Begin();
  void Take(const RecordView& record);

  KafkaClient& kafka_;
  Clock& clock_;
  const TopicPartition log_;
  std::unique_ptr<Consumer> consumer_;  // null: it begins anew
  Offset end_ = 0;                      // when it began
  std::map<std::string, Heard> heard_;  // by worker
  int64_t records_ = 0;
  int64_t newest_ms_ = 0;
  int64_t newest_heard_us_ = 0;  // monotonic
  bool at_end_ = false;
};

// For a command: waits a moment for what the workers say now. Empty: none runs, as nothing new has come for longer than
// any worker is silent.
absl::StatusOr<std::vector<HeardReport>> ListenToWorkers(const Plan& plan, KafkaClient* kafka, Clock* clock);

}  // namespace tidemark
