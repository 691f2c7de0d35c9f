// Rows of a step into a PostgreSQL table, exactly once. A sink thread owns one PostgresSink and reads the committed
// feed of its partitions; this class makes each piece of it one database transaction, fenced by a row of its own.
//
// The fence: table tidemark_offsets, beside the target table, holds for (application, sink, partition) an epoch, the
// feed's next offset and what the sink had heard of the feed's upstream tasks there. Acquire bumps the epoch, once an
// assignment. A data transaction begins by moving next_offset from what this sink believes to the new value under its
// own epoch: where that changes no row, somebody else owns the partition now (or this sink's last commit did happen
// after all, which the row tells). Rows and offset so move together, and feed offsets committed in Kafka are only a
// hint for lag metrics: the row is the truth to seek to.
//
// Rows of one write are folded per key first (the last operation stands), then go as arrays through prepared
// statements. A row that the database refuses by its content is found by bisection, reported, and the rest is written;
// where a write is a batch (RefuseWhole), none is, and all its rows are reported.
//
// Touched by one thread only.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "operators/sinks/failure.h"
#include "operators/sinks/postgres/session.h"
#include "src/base/batch.h"
#include "src/base/schema.h"
#include "src/base/time_spent.h"
#include "src/plan/plan.h"

namespace tidemark {

class PostgresSink {
 public:
  // Connects, creates the table from the schema or checks the one that exists, and the fence table.
  //   InvalidArgument  the user's mistake: wrong password, no such database, no permission, a column of another type
  //                    (names column, expected and found type), no unique index on the key
  //   Unavailable      the database is away: call again later
  // Once `interrupted` is true (it may be null, and outlives the sink), this call and every other that waits for the
  // database returns Unavailable within a tenth of a second: for a shutdown.
  static absl::StatusOr<std::unique_ptr<PostgresSink>> Open(const PostgresSinkSpec& spec, std::string_view application,
                                                            std::string_view sink, const Schema& schema,
                                                            const StepMode& mode,
                                                            const std::atomic<bool>* interrupted = nullptr);
  // The same over another session: tests and the simulator.
  static absl::StatusOr<std::unique_ptr<PostgresSink>> Over(std::unique_ptr<PostgresSession> session,
                                                            const PostgresSinkSpec& spec, std::string_view sink,
                                                            const Schema& schema, const StepMode& mode);

  // From now on the thread's time is told: activity `commit` while the database commits.
  void Measure(TimeSpent* spent, size_t commit) {
    spent_ = spent;
    committing_ = commit;
  }

  // Takes a partition over from whoever had it: call at each assignment, before its first Write. next_offset is where
  // reading the feed goes on, -1: at its beginning; heard is what Write was given with it, "" where an earlier version
  // wrote the row. Unavailable: call again.
  absl::StatusOr<PostgresFence> Acquire(int32_t partition);
  // From now on a write is all or nothing: where the database refuses a row, none of its rows is written.
  void RefuseWhole() { refuse_whole_ = true; }
  // Asks the database something that changes nothing. Unavailable: it is away.
  absl::Status Look();
  // Forgets a partition that was taken away.
  void Release(int32_t partition);

  // Writes the rows of the feed's offsets [expected_next, new_next) in one transaction; expected_next is what Acquire
  // returned (-1 too) or the new_next of the last Write. `heard` (without NUL) is kept beside new_next. Batches are in
  // the shape of the feed: visible columns first, hidden ones by name.
  //   OK                  committed
  //   Unavailable         nothing is committed, or that isn't known: call again with the SAME arguments, after a pause
  //                       (any number of times; the message says why, without password). A write that was committed
  //                       by an attempt before is recognised
  //   Cancelled           fenced: another sink owns the partition; where it is still assigned, Acquire again and seek
  //   Aborted             the row's offset is neither of the two: Acquire again and seek
  // `failures` gets the refused rows before the commit and must make them durable before it returns (they can reach the
  // dead letters twice if the process or the database fails in between, never not at all); its error aborts the write
  // and is returned. It is called once, within the transaction; where the write is a batch, before the transaction, and
  // for a large one any number of times, each with some megabytes of its rows.
  absl::Status Write(int32_t partition, int64_t expected_next, int64_t new_next, std::string_view heard,
                     const std::vector<Batch>& batches, SinkFailures failures);

 private:
  PostgresSink(std::unique_ptr<PostgresSession> session, const PostgresSinkSpec& spec, std::string_view sink,
               const Schema& schema, const StepMode& mode);

  struct FoldedRows;

  absl::Status Reconnect();
  absl::Status TryWrite(int32_t partition, const PostgresFence& fence, const PostgresFence& next,
                        const FoldedRows& rows, bool bisect, SinkFailures failures);
  absl::Status WriteRows(const FoldedRows& rows);
  absl::Status WriteBisecting(const FoldedRows& rows, std::vector<SinkRowFailure>* failures);
  absl::Status RefuseAll(const FoldedRows& rows, const absl::Status& why, SinkFailures failures) const;
  absl::Status ExplainFence(int32_t partition, const PostgresFence& fence, int64_t new_next);
  absl::StatusOr<FoldedRows> Fold(const std::vector<Batch>& batches) const;

  const std::unique_ptr<PostgresSession> session_;
  TimeSpent* spent_ = nullptr;
  size_t committing_ = 0;
  const std::string sink_;
  const Schema schema_;
  const std::vector<size_t> key_;
  const bool upsert_;
  bool refuse_whole_ = false;
  // The upsert key has columns beyond the step's key, so an update may move a row to another key.
  const bool update_may_change_key_;
  absl::flat_hash_map<int32_t, int64_t> epochs_;  // of the partitions acquired
};

}  // namespace tidemark
