// Rows from outside Kafka (files, HTTP, another database's log) on their way into an internal topic: the mirror of
// FeedSink. IntakeSource is the seam to one kind of outside, IntakeThread (intake_thread.h) the loop that brings rows
// in. What follows says why each row of the outside comes into the topic exactly once, whatever dies when.
//
// An outside is cut into splits: 0, 1, 2, ..., fixed for the life of the source. Each is an order of rows of its own.
// A position is a text of the source's own that says how far a split was read; "" is its beginning.
//
//   1. Repeatable: opened at a position, a split gives the rows behind it, in the same order every time, cut into
//      batches as it likes. What came after the former reading stands behind them. So a position and the rows before
//      it are one fact, and it is enough to keep the position.
//   2. One transaction carries rows and the position behind them: rows as packed records of the internal topic, the
//      position as a record of "<application>.<source>.positions", in the split's own partition. Both are there or
//      neither. Its number counts the split's commits, so that one that is missing shows.
//   3. One transactional id a split, whoever runs it. Taking over is, in this order: init_transactions, which fences
//      the former owner and ends what it left open; then the newest position is read, up to the end that the log has
//      then;
//      then the source is opened there. What the former owner had in flight is decided before the position is read, and
//      it can't begin anything afterwards. Who owns a split is settled elsewhere and may be wrong: of two owners, the
//      one that came last goes on, the other fails, and no row is doubled meanwhile.
//   4. Only then is the outside told (Committed): it may forget what lies before, confirm it, move it away. That is
//      told again after each takeover, for a process may die between the two.
//   5. Any failure between the first row of a transaction and its decision, and a decision that isn't known, drop what
//      was read, source and producer, and take over anew: the log tells what became of it. Nothing that has failed is
//      used again.
//   6. The records of a split are numbered by target partition, as a task's are (heard.h): the numbers are kept beside
//      the position, so an abort takes them back with it, and whoever reads the topic notices a record that is missing
//      or comes again.
//
// An outside that is away costs nothing and holds nothing up: rows that were read before are committed, and it is asked
// again after a pause that grows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/runtime/input_time.h"

namespace tidemark {

// Rows of a split, in the shape of the internal topic's edge, and the position behind them. `batches` may be empty:
// the position, or time, has moved all the same.
struct IntakeRows {
  std::vector<Batch> batches;
  std::string next;
  Mark mark;  // of the split's time behind them
};

// One split of an outside. Used by one thread, except Interrupt.
class IntakeSource {
 public:
  virtual ~IntakeSource() = default;

  // Unavailable: the outside is away, call again. InvalidArgument: the user's mistake. FailedPrecondition: what the
  // position speaks of isn't there any more.
  virtual absl::Status Open(const std::string& position) = 0;
  // What comes next, about `max_bytes` at most; waits for at most `max_wait_us`. Nothing: nothing came. Unavailable:
  // the outside is away, and the next call goes on where this one failed.
  virtual absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t max_wait_us, int64_t max_bytes) = 0;
  // Everything before the position is in the log for good. May be told twice. Unavailable: tell it again.
  virtual absl::Status Committed(const std::string& position) = 0;
  // Makes a call that waits, and every later one, return Unavailable soon: for a shutdown. Any thread.
  virtual void Interrupt() = 0;
};

}  // namespace tidemark
