// The open transaction of a stream or sink thread: everything a commit will make visible goes through here. Begins with
// the first record, so a thread with nothing to say opens none. Used by one thread.
//
// Each has a serial number that no other of its thread has. Whoever writes keeps the number, and checks before the
// commit that it is still this one: what was computed for one transaction is never committed by another
// (Task::PrepareCommit).
// One that has failed takes nothing more; it can only be aborted.
//
// With two producers it goes back and forth between them: Seal leaves the one to whoever decides its transaction, and
// what comes after that goes into a transaction of the other.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "src/base/record.h"
#include "src/kafka/client.h"

namespace tidemark {

class Transaction {
 public:
  // `byte_bound`: what one transaction should carry at most; Full() says that it is reached.
  Transaction(Producer* producer, int64_t byte_bound) : Transaction(producer, producer, byte_bound) {}
  Transaction(Producer* producer, Producer* next, int64_t byte_bound)
      : producer_(producer), next_(next), byte_bound_(byte_bound) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // For a transaction that only carries offsets.
  absl::Status BeginIfClosed();
  absl::Status Produce(const std::string& topic, const std::vector<OutRecord>& records);
  // What waits for the commit in memory (packed rows, state) counts too, so that it is bounded as well.
  void AddPending(int64_t bytes) { bytes_ += bytes; }

  bool open() const { return open_; }
  uint64_t serial() const { return serial_; }
  bool Full() const { return bytes_ >= byte_bound_; }
  Producer* producer() { return producer_; }

  // After a commit or an abort: what comes now belongs to another transaction.
  void Reset();
  // Hands the open transaction over to be decided, which must have ended before this one is sealed in turn.
  Producer* Seal() {
    Reset();
    std::swap(producer_, next_);
    return next_;
  }

 private:
  static uint64_t NextSerial();

  Producer* producer_;
  Producer* next_;
  const int64_t byte_bound_;
  bool open_ = false;
  int64_t bytes_ = 0;
  uint64_t serial_ = NextSerial();
  absl::Status failed_;
};

}  // namespace tidemark
