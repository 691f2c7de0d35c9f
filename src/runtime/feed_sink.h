// One sink thread's side of an external system: takes committed rows of a feed topic and makes them durable there,
// exactly once. Two implementations: PostgresFeedSink and ParquetFeedSink; SinkThread drives them. Used by one thread,
// except Interrupt.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/kafka/client.h"

namespace tidemark {

// Rows of one feed partition with offsets in [first, next). `batches` may be empty: watermarks only.
struct FeedRows {
  int32_t partition = 0;
  Offset first = 0, next = 0;
  std::vector<Batch> batches;
};

class FeedSink {
 public:
  virtual ~FeedSink() = default;

  // Takes over these partitions (all that the thread owns from now on) and returns where reading goes on; -1: the
  // beginning. Unavailable: nothing is lost, call again later. InvalidArgument: the user's mistake, found at the
  // outside.
  virtual absl::StatusOr<std::map<int32_t, Offset>> Assigned(const std::vector<int32_t>& partitions, Consumer* consumer,
                                                             std::shared_ptr<const GroupMetadata> group) = 0;
  // The partitions go away. Not `lost`: what fits into a second or two may still be committed.
  virtual absl::Status Dropped(bool lost) = 0;
  // Takes rows. Unavailable: call again with the same, after a pause. Aborted: what isn't durable is dropped, the
  // partitions are to be taken over again. Other errors stop the thread.
  virtual absl::Status Write(const FeedRows& rows) = 0;
  // Time passes: cuts, offsets. `positions` are those reached in the feed, past control records; `flush`: nothing more
  // will come, publish now. Codes as Write.
  virtual absl::Status Tick(const std::map<int32_t, Offset>& positions, bool flush) = 0;
  // Makes a call that waits for the outside, and every later one, return Unavailable soon: for a shutdown. Any thread.
  virtual void Interrupt() {}
  // Internal topics may be trimmed below these.
  virtual std::map<TopicPartition, Offset> Trims() const = 0;
  // Rows made durable, rows sent to the dead letters.
  virtual int64_t rows_written() const = 0;
  virtual int64_t rows_refused() const = 0;
};

}  // namespace tidemark
