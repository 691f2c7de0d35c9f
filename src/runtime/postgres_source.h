// Tables of a PostgreSQL database, as the sources of an intake (intake.h): one split, as a slot has one reader. Their
// rows and every change of them, by the database's own logical replication:
//
//   kConnect    what the catalogs say: can they be had, is the slot there (src/postgres/table.h)
//   kMakeSlot   CREATE_REPLICATION_SLOT, which waits until transactions that are open have ended
//   kRead       of tables that have had none, a snapshot on one connection (postgres_snapshot.h); for the others
//               START_REPLICATION from the smallest of their positions on a second one: pgoutput tells transaction
//               after transaction, and each table takes of it what it doesn't have (postgres_tables.h)
//
// A connection that is lost leads to kConnect, and on from the positions that were read last, committed or not; and so
// does the end of a snapshot: then the log is had once more from the place where its tables begin.
//
// Two kinds of positions: ours, one a table, in the transaction of the records (intake.h, rule 2), and the slot's,
// which PostgreSQL is told after the commit: the smallest of the tables'. So the slot's is the same or lags behind, and
// what it sends again is left out (postgres_rows.h). A slot that is ahead was read by somebody else, or made anew:
// changes are lost, which is refused. A table's place is dropped with its topic only (intake.h, rule 8): a worker that
// doesn't know the table would confirm what it has yet to be told. Of a quiet table the position moves to where the
// server says that nothing is on its way, every kQuietUs, and is committed whether it moves or not; else the server
// would keep its log for the slot for ever.
//
// Why a snapshot that is broken off may just be made anew. What follows is about one table. Its snapshot is behind a
// place C, which doesn't change once anything of it is in: every change of it that is committed behind C comes in the
// stream, whichever snapshots were taken, and what is committed in front of C every snapshot sees. The exported one
// does so by itself; a commit that is in the log, and whose transaction is still open to others, as it waits for a
// synchronous standby, is waited for before any other is taken. None sees a table as empty that was only written anew:
// it is locked first, and its file must be the same to the snapshot, to everybody now, and to the catalogs that were
// asked. Let S be the place of the one that was read to its end. For any place P >= S, in the log are, in this order:
// rows of snapshots that were broken off, each seen at some place >= C, all rows as they were at S, and all changes of
// (C, P]. A row that was changed in (C, P] is as its last change there says: deleted, or with these values. A value
// that this change leaves out was the same from there back to where a former change of (C, P] states it, or else back
// to C: then it was the same at S, whose row has it. A row that wasn't changed in (C, P] was the same at C, in every
// snapshot and at P: if it isn't there at P, then none has it. So behind S the rows are right, whatever was seen of
// them before. Between C and S changes meet rows that are newer already: then rows are there at P that were never in
// the table together. By the slot's exported snapshot S is C, so that is so only after a snapshot was broken off (or
// where the slot was made beforehand). And there a row may be gone at S that an earlier change leaves a value of out:
// such a change says that it was overtaken, and does nothing where no row is kept, as the row's deletion is to come.
//
// Where C is. Of all tables that were there when the slot was made, where that begins. Of one that comes later, or
// whose slot was made beforehand, where the log ended when all transactions had ended that had written before the table
// was seen in the publication (postgres_snapshot.h): what they did while it wasn't there yet isn't told, and it stands
// in front of C. Whoever writes later does so while it is published, and is told. Two things must hold of C: what is
// committed in front of it is in sight of a snapshot, for which those are waited for who had written when C was noted;
// and what is committed behind it must still be had. It can: the slot was told of positions only that are in front of
// C, as nothing is read that isn't written yet, and from then on C is among the positions that it is told the smallest
// of. Where C is lost as it wasn't committed, no row of the table was, either, and another is noted.
//
// Why the others may go on meanwhile. A table takes nothing of the stream until its snapshot is in, so in its topic
// are, in this order, what the argument says: rows of snapshots, then all changes behind C. For these the stream begins
// once more at C, or wherever the smallest position is; and the others, which have them, leave out what they have, as
// after any other loss of the connection. So no order between tables is needed anywhere, and none is given but that of
// the log. The stream begins on a connection of its own then, as a server keeps what it knew of a publication when the
// former one began.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "src/plan/intakes.h"
#include "src/postgres/connection.h"
#include "src/postgres/replication.h"
#include "src/postgres/table.h"
#include "src/runtime/postgres_snapshot.h"
#include "src/runtime/postgres_tables.h"
#include "src/runtime/runtime.h"
#include "src/runtime/split_intake.h"

namespace tidemark {

class PostgresSource final : public IntakeSource {
 public:
  // What they point at outlives it.
  PostgresSource(const Runtime& runtime, const IntakePlan& intake);

  std::string Of(const std::string& position) const override;
  absl::Status Open(const std::string& position, IntakeNotes notes) override;
  absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t max_wait_us, int64_t max_bytes) override;
  absl::Status Committed(const std::string& position) override;
  void Interrupt() override { interrupted_.store(true); }

 private:
  enum class Phase { kConnect, kMakeSlot, kRead };

  absl::Status Connect();
  absl::Status InspectTables();
  absl::StatusOr<PgSlot> InspectSlot();
  absl::Status CheckSystem(uint64_t system);
  absl::Status CheckSlot(const PgSlot& slot) const;
  absl::Status Refuse(const std::string& what) const;
  absl::Status MakeSlot(int64_t max_wait_us);
  absl::Status Read(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows);
  absl::Status ReadBoth(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows);
  absl::Status StepSnapshot(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows);
  absl::Status StartStream();
  absl::Status ReadStream(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows);
  absl::Status TakeFrame(std::string_view bytes, IntakeRows* rows);
  absl::Status Answer(bool at_once);
  void Close();

  const Runtime& runtime_;
  const PostgresTableSpec& spec_;  // of any table: url, publication and slot are those of all
  std::atomic<bool> interrupted_{false};
  PgConnection table_;  // catalogs and the snapshot
  PgConnection stream_;
  Phase phase_ = Phase::kConnect;
  PostgresTables tables_;
  PostgresSnapshot snapshot_;
  bool streams_ = false;  // kRead: some table takes part in the log
  bool connected_once_ = false;
  bool moved_ = false;  // by the present call: a position, or what is in front of it
  // What follows in microseconds is monotonic.
  int64_t waiting_since_us_ = 0;  // kMakeSlot
  bool still_making_ = false;     // for so long that it is told
  int64_t looked_at_us_ = 0;      // what a snapshot waits for
  int former_pid_ = 0;            // of the server, behind the stream that was closed last
  Lsn sent_ = 0;                  // the server has sent everything before it
  bool asked_ = false;            // the server waits to hear that it is safe
  int64_t moved_at_us_ = 0;
  Lsn committed_ = 0, told_ = 0;  // what is committed, and what the server knows of that
  int64_t told_at_us_ = 0;
};

// For IntakeThread.
SplitIntake::SourceMaker PostgresSourceMaker(const Runtime& runtime, const IntakePlan& intake);

}  // namespace tidemark
