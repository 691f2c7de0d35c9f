// A table of a PostgreSQL database, as a source of an intake (intake.h): one split, as a slot has one reader. Its rows
// and every change of them, by the database's own logical replication:
//
//   kConnect    what the catalogs say: can it be had, is the slot there (src/postgres/table.h)
//   kMakeSlot   CREATE_REPLICATION_SLOT, which waits until transactions that are open have ended
//   kSnapshot   COPY of the table in a transaction of its own, by the snapshot that the new slot exports; one that is
//               begun later waits until transactions that were open when the slot was there have ended
//   kStream     START_REPLICATION from the position; pgoutput tells transaction after transaction
//
// A connection that is lost leads to kConnect, and on from the position that was read last, committed or not.
//
// Two positions: ours, in the transaction of the records (intake.h, rule 2), and the slot's, which PostgreSQL is told
// after the commit. So the slot's is the same or lags behind, and what it sends again is left out (postgres_rows.h). A
// slot that is ahead was read by somebody else, or made anew: changes are lost, which is refused. Of a quiet table the
// position moves to where the server says that nothing is on its way, every kQuietUs; else the server would keep its
// log for the slot for ever.
//
// Why a snapshot that is broken off may just be made anew. The slot is made before the snapshot, at the place C, and is
// never made anew once anything is in: every change that is committed behind C comes in the stream, whichever
// snapshots were taken, and what is committed in front of C every snapshot sees. The exported one does so by itself; a
// commit that is in the log, and whose transaction is still open to others, as it waits for a synchronous standby, is
// waited for before any other is taken. None sees a table as empty that was only written anew: it is locked first, and
// its file must be the same to the snapshot, to everybody now, and to the catalogs that were asked. Let S be the place
// of the one that was read to its end. For any place P >= S, in the log are, in this order: rows of snapshots that were
// broken off, each seen at some place >= C, all rows as they were at S, and all changes of (C, P]. A row that was
// changed in (C, P] is as its last change there says: deleted, or with these values. A value that this change leaves
// out was the same from there back to where a former change of (C, P] states it, or else back to C: then it was the
// same at S, whose row has it. A row that wasn't changed in (C, P] was the same at C, in every snapshot and at P: if it
// isn't there at P, then none has it. So behind S the rows are right, whatever was seen of them before. Between C and S
// changes meet rows that are newer already: then rows are there at P that were never in the table together. By the
// slot's exported snapshot S is C, so that is so only after a snapshot was broken off (or where the slot was made
// beforehand). And there a row may be gone at S that an earlier change leaves a value of out: such a change says that
// it was overtaken, and does nothing where no row is kept, as the row's deletion is to come.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "src/postgres/connection.h"
#include "src/postgres/replication.h"
#include "src/runtime/postgres_rows.h"
#include "src/runtime/runtime.h"
#include "src/runtime/split_intake.h"

namespace tidemark {

class PostgresSource final : public IntakeSource {
 public:
  // Both outlive it.
  PostgresSource(const Runtime& runtime, const SourcePlan& plan);

  std::string Of() const override;
  absl::Status Open(const std::string& position, IntakeNotes notes) override;
  absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t max_wait_us, int64_t max_bytes) override;
  absl::Status Committed(const std::string& position) override;
  void Interrupt() override { interrupted_.store(true); }

 private:
  enum class Phase { kConnect, kMakeSlot, kSnapshot, kStream };

  absl::Status Connect();
  absl::Status CheckSlot(const PgSlot& slot, uint64_t system);
  absl::Status AwaitOlder();
  absl::Status MakeSlot(int64_t max_wait_us);
  absl::Status StartSnapshot(const std::string& exported);
  absl::Status ReadSnapshot(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows);
  absl::Status StartStream();
  absl::Status ReadStream(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows);
  absl::Status TakeFrame(std::string_view bytes, IntakeRows* rows);
  absl::Status Answer(bool at_once);
  void Close();

  const Runtime& runtime_;
  const SourcePlan& plan_;
  const PostgresTableSpec& spec_;
  std::atomic<bool> interrupted_{false};
  PgConnection table_;  // catalogs and the snapshot
  PgConnection stream_;
  Phase phase_ = Phase::kConnect;
  PostgresRows rows_;
  bool connected_once_ = false;
  bool moved_ = false;  // by the present call: the position, or what is in front of it
  // What follows in microseconds is monotonic.
  int64_t waiting_since_us_ = 0;  // kMakeSlot
  bool still_making_ = false;     // for so long that it is told
  uint64_t behind_slot_ = 0;      // a transaction's number that was given when the slot was there; 0: none was
  PgSnapshot snapshot_;
  pgoutput::Tuple row_;  // scratch
  std::string scratch_;
  Lsn sent_ = 0;        // the server has sent everything before it
  bool asked_ = false;  // the server waits to hear that it is safe
  int64_t moved_at_us_ = 0;
  Lsn committed_ = 0, told_ = 0;  // what is committed, and what the server knows of that
  int64_t told_at_us_ = 0;
};

// For IntakeThread.
SplitIntake::SourceMaker PostgresSourceMaker(const Runtime& runtime, const SourcePlan& plan);

}  // namespace tidemark
