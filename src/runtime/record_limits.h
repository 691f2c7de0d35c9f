// How large a record each topic takes that rows leave by: sinks, late and unmatched rows, dead letters; and those that
// intakes fill. Brokers measure
// a batch as it comes, compressed (max.message.bytes), so a record that is too large by its plain size is compressed
// for the answer, as the client would; that is rare, and the only honest way.
//
// Limits are read when a process starts, and again when the brokers refuse a record that fits what was read: somebody
// has lowered them. The refused transaction is aborted then and its rows are processed again under the new limits;
// where nothing new was found, the process ends.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/base/record.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

// Brokers' default for max.message.bytes; taken for the limit where the true one may not be read.
inline constexpr int64_t kDefaultBatchBytes = 1'048'588;
// A dead letter's headers, and enough of its value to be of use, must fit its topic.
inline constexpr int64_t kLeastDeadLetterBytes = 16 << 10;

// What one topic takes. A value.
struct RecordLimit {
  int64_t batch_bytes = std::numeric_limits<int64_t>::max();   // as the broker measures it
  int64_t client_bytes = std::numeric_limits<int64_t>::max();  // before compression, as the client does
  // It must fit as the client compresses it, and as the topic keeps it. "none": not compressed.
  std::vector<std::string> codecs = {"none"};

  // Whether it fits however badly it compresses: the check of every record.
  bool FitsPlain(int64_t bytes) const { return bytes <= batch_bytes && bytes <= client_bytes; }
};

// The size of a batch that holds nothing but this record, before compression; of its headers' part of it.
int64_t BatchBytes(const OutRecord& record, int64_t header_bytes);
int64_t HeaderBytes(const HeaderList& headers);

// Where the topic doesn't take the record: why, with its size and the limit.
std::optional<std::string> WhyTooLarge(const OutRecord& record, const std::string& topic, const RecordLimit& limit);

// Thread-safe.
class RecordLimits {
 public:
  // The plan outlives this.
  explicit RecordLimits(const Plan& plan);

  // Asks the brokers. InvalidArgument: no process can work with what they say.
  absl::Status Read(Admin& admin);
  // Changes whenever a limit does.
  int64_t version() const;
  // Brokers have refused a record (record_too_large.h) to somebody who keeps to what `version` was. Unknown, a new
  // client is needed: limits are others by now, go on with them. InvalidArgument: they are not, with what the user can
  // do. Any other status is returned as it is.
  absl::Status Explain(const absl::Status& refused, int64_t version, Admin& admin);

  RecordLimit Of(const std::string& topic) const;
  // What a producer may send as one batch: no topic must refuse a batch whose records it would take.
  int64_t ProducerBatchBytes() const;

 private:
  absl::Status CheckBatchSize() const;

  const Plan& plan_;
  mutable absl::Mutex mutex_;
  std::map<std::string, RecordLimit> limits_ ABSL_GUARDED_BY(mutex_);
  int64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
};

struct Runtime;  // src/runtime/runtime.h

// Of a process; without limits, what brokers take that nobody has told otherwise.
int64_t DeadLetterBytes(const Runtime& runtime);
int64_t DeadLetterBytes(const Runtime& runtime, const std::string& topic);  // of one of LetterTopics
int64_t ProducerBatchBytes(const Runtime& runtime);
int64_t LimitsVersion(const Runtime& runtime);
// RecordLimits::Explain.
absl::Status ExplainRefusal(const Runtime& runtime, const absl::Status& refused, int64_t version);

}  // namespace tidemark
