// The snapshots of those tables of a replication slot (postgres_source.h) that have none yet: all of them in one
// transaction of one connection, one COPY after another. While it waits or copies, the log goes on for the others.
//
//   kNone ----> kPublished    waits until all transactions that had written when the tables were seen in the
//   publication
//     |             |         have ended: what these wrote before isn't told. Then the place C of each table is noted
//     |             v         that has none: where the log ends now
//     |         kOlder <---+  waits until all transactions that had written by then have ended: what they have
//     committed | the slot    |      |  in front of C is in sight | is new      v      |  broken off
//     +---------> kCopy ---+  each table is read to its end
//                   |
//                   v
//                 kNone       none is left
//
// Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "src/postgres/connection.h"
#include "src/postgres/replication.h"
#include "src/runtime/postgres_tables.h"

namespace tidemark {

class PostgresSnapshot {
 public:
  // All outlive it. `connection` is for reading, and its own from Begin until it is no longer under way. `slot`: for
  // messages.
  PostgresSnapshot(PgConnection& connection, PostgresTables& tables, std::string slot)
      : connection_(connection), tables_(tables), slot_(std::move(slot)) {}

  // Of all tables that have none, which the catalogs have been asked about.
  void Begin();
  // Likewise, and `exported` by the new slot, which begins at `lsn`: so nothing has to be waited for.
  absl::Status Begin(const std::string& exported, Lsn lsn);
  // One turn: looks what it waits for, or reads for at most `max_wait_us`. What is in `rows` counts beside an error.
  absl::Status Step(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows);
  // Its transaction is gone, as the connection is.
  void BreakOff();

  bool under_way() const { return phase_ != Phase::kNone; }
  bool copies() const { return phase_ == Phase::kCopy; }
  // Of one that neither copies nor is done.
  std::string waits_for() const;

 private:
  enum class Phase { kNone, kPublished, kOlder, kCopy };
  using Table = PostgresTables::Table;

  absl::Status Start(const std::string& exported, Lsn lsn);
  absl::Status StartCopy();
  absl::Status Read(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows);

  PgConnection& connection_;
  PostgresTables& tables_;
  const std::string slot_;
  Phase phase_ = Phase::kNone;
  uint64_t published_ = 0, older_ = 0;  // transactions below these are waited for; 0: not noted yet
  PgSnapshot snapshot_;
  std::vector<Table*> left_;  // to be read, the next one last
  pgoutput::Tuple row_;       // scratch
  std::string scratch_;
};

// What the rows and letters behind so many take in memory, about.
int64_t BytesOf(const IntakeRows& rows, size_t records, size_t letters);

}  // namespace tidemark
