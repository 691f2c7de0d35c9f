// One sink thread's side of an external system: takes committed rows of a feed topic and makes them durable there,
// exactly once; or at least once where the outside knows no transaction (WebhookFeedSink). PostgresFeedSink and
// ParquetFeedSink are the others; SinkThread drives them. Used by one thread, except Interrupt.
//
// Taking and doing are two things. Take keeps rows in memory and can't fail for the outside; Progress does all that
// can: it writes, cuts, decides, publishes. What fails before the decision (the one transaction that makes rows and
// position durable together) is dropped as a whole and read from the feed again; what was decided is only ever
// completed. So nobody has to ask what a failed call has left half done, and no object that has failed is used again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/base/time_spent.h"
#include "src/kafka/client.h"

namespace tidemark {

// A place in one feed partition, and what had been heard there of the feed's upstream tasks: an opaque text, kept
// beside the offset in whatever makes the offset durable, and given back with it. "": nothing is known.
struct FeedPosition {
  Offset next = -1;  // of the next record to read; -1: the beginning
  std::string heard;
  // Something has been read since the partition came, be it its end. Before that `next` is where it was taken up:
  // behind a row, while the group may have been told of the end of that row's transaction.
  bool read = false;
  bool ended = false;  // an end of the feed has been reached since
};

// Rows of one feed partition with offsets in [first, next). `batches` may be empty: watermarks only.
struct FeedRows {
  int32_t partition = 0;
  Offset first = 0, next = 0;
  std::string heard;  // at `next`
  std::vector<Batch> batches;
};

class FeedSink {
 public:
  // What its thread's time goes to besides what the outside has a part in.
  enum Activity : size_t { kAwaitsRows, kReadsRows, kOwn };  // kOwn and behind: the sink's own

  // `own`: what else its thread's time goes to, as a sentence has it: "PostgreSQL COMMIT".
  FeedSink(Clock* clock, std::vector<std::string> own) : spent_(clock, Activities(std::move(own))) {}
  FeedSink() : FeedSink(SystemClock(), {"writing"}) {}
  virtual ~FeedSink() = default;

  TimeSpent& spent() { return spent_; }

  // Opens or looks at the outside, also in a worker that will get no partitions; costs nothing once that has succeeded.
  // InvalidArgument: the user's mistake (password, rights, types, a folder that can't be written). Unavailable: it is
  // away.
  virtual absl::Status Open() = 0;
  // Takes over these partitions (all that the thread owns from now on) and returns where reading goes on. What was
  // taken before is dropped. Unavailable: nothing is lost, call again later. InvalidArgument as Open's.
  virtual absl::StatusOr<std::map<int32_t, FeedPosition>> Assigned(const std::vector<int32_t>& partitions,
                                                                   Consumer* consumer,
                                                                   std::shared_ptr<const GroupMetadata> group) = 0;
  // The partitions go away. Not `lost`: what fits into a second or two may still be made durable. `lost` also after an
  // error: nothing is done but to drop.
  virtual absl::Status Dropped(bool lost) = 0;

  // Asks the outside whether it is there, where that can be asked without changing it: so that one that is away is
  // noticed though there is nothing to write. Unavailable: it is away.
  virtual absl::Status Look() { return absl::OkStatus(); }

  // Keeps rows of a partition that is owned, in the order of the feed.
  virtual void Take(FeedRows rows) = 0;
  // Records are put together to pieces of about so many bytes of rows, unpacked; each has at least one record.
  virtual int64_t piece_bytes() const { return 4 << 20; }
  // It has enough: to be given more only after a Progress. A piece that is given all the same is taken.
  virtual bool Full() const = 0;
  // Works on what was taken; then time passes: cuts, offsets. `positions` are those reached in the feed, past what was
  // taken and past control records; `flush`: nothing more will come, publish now.
  //   OK           all that is due is done
  //   Unavailable  the outside is away and nothing is lost: call again, after a pause
  //   Aborted, Unknown, Cancelled
  //                what isn't durable was dropped: the partitions are to be taken over anew (Cancelled, a fence: after
  //                a longer pause, in which the group tells whether they are still this member's)
  //   others       final, and everything is dropped
  virtual absl::Status Progress(const std::map<int32_t, FeedPosition>& positions, bool flush) = 0;
  // Rows were taken and aren't durable yet.
  virtual bool Holds() const = 0;
  // All that was decided shows outside. False where that isn't known, as before the first partitions were taken over.
  // Any thread.
  virtual bool Settled() const = 0;

  // Makes a call that waits for the outside, and every later one, return Unavailable soon: for a shutdown. Any thread.
  virtual void Interrupt() = 0;
  // Internal topics may be trimmed below these.
  virtual std::map<TopicPartition, Offset> Trims() const = 0;
  // Decisions made: rows or positions made durable.
  virtual int64_t decisions() const = 0;
  // Rows made durable, rows sent to the dead letters.
  virtual int64_t rows_written() const = 0;
  virtual int64_t rows_refused() const = 0;

 private:
  static std::vector<std::string> Activities(std::vector<std::string> own) {
    own.insert(own.begin(), {"waiting for rows", "reading rows from the feed"});
    return own;
  }

  TimeSpent spent_;
};

}  // namespace tidemark
