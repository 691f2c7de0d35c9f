// Dead letters: what could not be processed, with the reason and where it came from, produced in the same transaction
// as everything else, so that each bad record stands there exactly once. Header names are part of the users' contract:
// docs/dead-letters.md. Used by one thread.
//
// A dead letter always fits its topic, or one bad record would end the application: texts of ours are cut, then the
// original's headers, its key and its value, each with a share of what the topic takes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "operators/operator.h"
#include "src/base/record.h"
#include "src/runtime/record_limits.h"
#include "src/runtime/record_output.h"
#include "src/runtime/transaction.h"

namespace tidemark {

// Larger values and keys are cut, even where the topic would take them.
inline constexpr size_t kMaxDeadLetterBytes = 512 << 10;
inline constexpr size_t kCutDeadLetterBytes = 64 << 10;
// As are a reason and an expression.
inline constexpr size_t kMaxReasonBytes = 4 << 10;

// Letters of this process of which the topic has only the beginning, those of aborted transactions among them. Any
// thread.
int64_t DeadLettersCut();

class DeadLetters {
 public:
  // `batch_bytes`: what the topic takes, kLeastDeadLetterBytes or more (record_limits.h).
  DeadLetters(std::string topic, int32_t partitions, int32_t task_partition, Transaction* transaction,
              int64_t batch_bytes = kDefaultBatchBytes);

  // A record that could not become a row: key, value and headers as they came.
  absl::Status Record(std::string_view step, const TopicPartition& source, const RecordView& record,
                      HeaderList record_headers, std::string_view reason);
  // A row that a step failed on, as JSON. Its place is that of its source record where the row carries it, else
  // `input`, the topic the task reads. `batch`: the one that is rejected with it; "": none.
  absl::Status Row(std::string_view step, TopicPartition input, const RowFailure& failure,
                   const std::vector<SourcePlan>& sources, std::string_view batch = "");
  // A record that was not written, its topic being one for smaller ones; its place as that of a row.
  absl::Status Refused(std::string_view step, TopicPartition input, const RefusedRecord& refused,
                       const std::vector<SourcePlan>& sources);
  // What an intake (intake.h) could not make a record of. `place`: where it stood, as headers.
  absl::Status Outside(std::string_view source, std::string_view value, const HeaderList& place,
                       std::string_view reason);
  // Something already in text form (an external sink's row).
  absl::Status Text(std::string_view step, const TopicPartition& input, std::string_view value,
                    std::string_view reason);

  int64_t written() const { return written_; }

 private:
  HeaderList Where(std::string_view step, const TopicPartition& input, std::string_view reason) const;
  HeaderList WhereOfRow(std::string_view step, TopicPartition input, std::string_view reason,
                        const arrow::RecordBatch* rows, int64_t row, const std::vector<SourcePlan>& sources) const;
  std::string Shortened(std::string_view text) const;
  absl::Status Produce(Bytes key, Bytes value, HeaderList headers);

  const std::string topic_;
  const int32_t partition_;
  Transaction* const transaction_;
  const size_t room_;   // for everything a letter is made of
  const size_t share_;  // of it, for each of the things that aren't the value
  int64_t written_ = 0;
};

}  // namespace tidemark
