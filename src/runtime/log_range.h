// The committed records of one partition between two offsets, read once by whoever takes something over. Used by one
// thread.
#pragma once

#include <string>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include "src/kafka/client.h"
#include "src/runtime/runtime.h"

namespace tidemark {

// Calls `take` for each committed record in [from, end), in order; its error ends the reading. Takes as long as records
// keep coming. Unavailable: none has come for a while, or the log was trimmed while it was read: begin again.
absl::Status ReadLogRange(KafkaClient& kafka, Clock& clock, const std::string& client_id, const TopicPartition& log,
                          Offset from, Offset end, absl::FunctionRef<absl::Status(const Fetch&, size_t record)> take);
absl::Status ReadLogRange(const Runtime& runtime, const std::string& client_id, const TopicPartition& log, Offset from,
                          Offset end, absl::FunctionRef<absl::Status(const RecordView&)> take);

}  // namespace tidemark
