// One conversation with the database, seen from the protocol in sink.cc: transactions, the fence row and rows,
// nothing else. The real one speaks libpq (libpq.h); the simulator's is a map with a fault model. Used by
// one thread.
//
// Status codes are the contract:
//   OutOfRange       the database refused the content of some row; the transaction is broken, the connection is fine
//   Unavailable      no connection, or a lock, a time-out, a full disk: what was sent in this transaction may be gone.
//                    Commit returns it as well where it isn't known whether the commit happened
//   InvalidArgument  the user's mistake (password, missing database, other columns, permission), only from Connect
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/batch.h"

namespace tidemark {

// The row (application, sink, partition) that decides who may write, and what has been written.
struct PostgresFence {
  int64_t epoch = 0;         // grows with every assignment; 0: there is no row
  int64_t next_offset = -1;  // of the feed, the first one not written yet; -1: nothing was ever written
  std::string heard;         // what had been heard of the feed's upstream tasks at next_offset, opaque
};

class PostgresSession {
 public:
  virtual ~PostgresSession() = default;

  // Connects where there is no usable connection, and makes or checks the tables. Cheap when connected.
  virtual absl::Status Connect() = 0;

  // In a transaction of its own: makes the row or bumps its epoch.
  virtual absl::StatusOr<PostgresFence> BumpFence(int32_t partition) = 0;

  virtual absl::Status Begin() = 0;
  // Sets next_offset and heard iff epoch and next_offset are as expected, and holds the row until the end of the
  // transaction. False: they are not.
  virtual absl::StatusOr<bool> MoveFence(int32_t partition, const PostgresFence& expected, int64_t next_offset,
                                         const std::string& heard) = 0;
  virtual absl::StatusOr<PostgresFence> ReadFence(int32_t partition) = 0;
  // Rows in the sink's visible columns (further columns are ignored), of distinct keys where the sink upserts. `Write`
  // inserts or upserts, as the sink's mode says; `Delete` looks at the key columns only.
  virtual absl::Status Write(const arrow::RecordBatch& rows) = 0;
  virtual absl::Status Delete(const arrow::RecordBatch& rows) = 0;
  // A savepoint (one at a time, replacing the last) to come back to after OutOfRange.
  virtual absl::Status Savepoint() = 0;
  virtual absl::Status RollbackToSavepoint() = 0;
  virtual absl::Status Commit() = 0;
  // Ends the transaction, by closing the connection if that is what it takes.
  virtual void Rollback() = 0;
};

}  // namespace tidemark
