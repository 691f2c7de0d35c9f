// Dead letters: what could not be processed, with the reason and where it came from, produced in the same transaction
// as everything else, so that each bad record stands there exactly once. Header names are part of the users' contract:
// docs/dead-letters.md. Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "operators/operator.h"
#include "src/base/record.h"
#include "src/runtime/transaction.h"

namespace tidemark {

// Larger values and keys are cut: the dead-letter topic has the broker's default limit.
inline constexpr size_t kMaxDeadLetterBytes = 512 << 10;
inline constexpr size_t kCutDeadLetterBytes = 64 << 10;

class DeadLetters {
 public:
  DeadLetters(std::string topic, int32_t partitions, int32_t task_partition, Transaction* transaction)
      : topic_(std::move(topic)), partition_(task_partition % partitions), transaction_(transaction) {}

  // A record that could not become a row: key, value and headers as they came.
  absl::Status Record(std::string_view step, const TopicPartition& source, const RecordView& record,
                      HeaderList record_headers, std::string_view reason);
  // A row that a step failed on, as JSON. Its place is that of its source record where the row carries it, else
  // `input`, the topic the task reads.
  absl::Status Row(std::string_view step, TopicPartition input, const RowFailure& failure,
                   const std::vector<SourcePlan>& sources);
  // Something already in text form (an external sink's row).
  absl::Status Text(std::string_view step, const TopicPartition& input, std::string_view value,
                    std::string_view reason);

  int64_t written() const { return written_; }

 private:
  absl::Status Produce(Bytes key, Bytes value, HeaderList headers);

  const std::string topic_;
  const int32_t partition_;
  Transaction* const transaction_;
  int64_t written_ = 0;
};

}  // namespace tidemark
