// Rows from outside Kafka (files, HTTP, another database's log) on their way into a topic of Tidemark's own, from which
// a source reads them as from any other: the mirror of FeedSink. IntakeSource is the seam to one kind of outside,
// SplitIntake (split_intake.h) brings the records of one split in, IntakeThread (intake_thread.h) is a worker's member
// of the group that shares the splits out. What follows says why each row of the outside comes into the topic exactly
// once, whatever dies when.
//
// An outside is cut into splits: 0, 1, 2, ..., fixed for the life of the source. Each is an order of records of its
// own. A position is a text of the source's own that says how far a split was read; "" is its beginning. Beside it a
// source may keep notes, by key, of which the last one stands: what it must remember for longer (which files there
// were, which requests were answered).
//
//   1. Repeatable: opened at a position, with the notes of that moment, a split gives the records behind it, in the
//      same order every time, cut as it likes. What came after the former reading stands behind them. So a position and
//      the records before it are one fact, and it is enough to keep the position.
//   2. One transaction carries records, notes and the position behind them: the records in the source's topic (names:
//      src/base/intake_names.h), the position and the notes in the split's own partitions of two others. All are there
//      or none. The position's number counts the split's commits, so that one that is missing shows.
//   3. One transactional id a split, whoever runs it. Taking over is, in this order: init_transactions, which fences
//      the former owner and ends what it left open; then the newest position and the notes are read, up to the ends
//      that the logs have then; then the source is opened there. What the former owner had in flight is decided before
//      the position is read, and it can't begin anything afterwards. Who owns a split a consumer group says, which may
//      be late: of two owners, the one that came last goes on, the other is fenced, no row is doubled meanwhile, and
//      before it takes over again it asks its group, which has told it by then that the split is another's.
//   4. Only then is the outside told (Committed): it may forget what lies before, confirm it, move it away. That is
//      told again after each takeover, for a process may die between the two.
//   5. Any failure between the first record of a transaction and its decision, and a decision that isn't known, drop
//      what was read, source and producer, and take over anew: the log tells what became of it. Nothing that has failed
//      is used again.
//   6. The records of a split are numbered by target partition: each carries its number, the last numbers are kept in
//      the position, so an abort takes them back with it. The task that reads the topic keeps what it has heard in its
//      commit record (heard.h) and refuses a record that is missing, comes again, or that somebody else has written;
//      and one of a form that its version doesn't know (kIntakeForm).
//   7. A position says what it is a position in (Of), of how many splits, and which topic has the records before it. A
//      log of positions that was emptied, deleted or made for something else is refused and never read as "nothing
//      yet".
//   8. A position is only ever written by who knows all that it speaks of. Where it names a source that the worker's
//      topology doesn't have - the worker is of a former topology, in a rolling restart that adds one, or the source
//      was taken out - the worker writes nothing and tells the outside nothing, and says so at each try. It goes on
//      once a worker that has the source has taken over, or the source's topic is deleted: that gives its place up.
//
// An intake serves one source mostly, or several, whose outside has one reader: tables of a database by one replication
// slot. Each of them is a target, with a topic of its own and numbers of its own in the one position; so rule 2 holds
// of all of them together. A target that comes later has an empty topic, or is refused: what stands in it was written
// by somebody else, or when it was a target before. It is committed as a target before anything is written to it, so
// that what a transaction has left behind that was aborted is never taken for that. One that is gone is forgotten with
// its topic (rule 8).
//
// Time isn't the intake's: the reading source makes it of the rows in its partitions, as of any topic. A partition in
// which nothing comes is idle after `idle_after`, whatever the outside does.
//
// What a source calls final ends the worker only after a commit: of an owner that was fenced nothing is final.
//
// An outside that is away costs nothing and holds nothing up: what was read before is committed, and it is asked again
// after a pause that grows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/record.h"

namespace tidemark {

struct IntakeRecord {
  int32_t partition = 0;  // of the target's topic
  std::optional<std::string> key;
  std::string value;
  HeaderList headers;  // the number is added to them
  size_t target = 0;
  bool is_row = true;  // false: a mark between rows, which isn't counted as one
  int form = 1;        // kIntakeForm
};

// What can't be a record: a dead letter in the same transaction.
struct IntakeLetter {
  std::string value;
  std::string reason;
  HeaderList place;
  size_t target = 0;
};

struct IntakeNote {
  std::string key;
  std::optional<std::string> value;  // nothing: the note is forgotten
};

using IntakeCounts = std::map<std::string, int64_t>;

// What came of a split, and the position behind it. All may be empty: the position has moved all the same.
struct IntakeRows {
  std::vector<IntakeRecord> records;
  std::vector<IntakeLetter> letters;
  std::vector<IntakeNote> notes;
  std::map<size_t, IntakeCounts> counts;  // by target: to be added to what it counts
  std::string next;
};

using IntakeNotes = std::map<std::string, std::string>;

// One split of an outside. Used by one thread, except Interrupt.
class IntakeSource {
 public:
  virtual ~IntakeSource() = default;

  // What that position is a position in, in words that don't change as long as they mean the same. Other words where it
  // says what an earlier version would pass over: that refuses it then, by rule 7. Before Open too.
  virtual std::string Of(const std::string& position) const = 0;
  // Unavailable: the outside is away, call again. InvalidArgument: the user's mistake. FailedPrecondition: what the
  // position speaks of isn't there any more.
  virtual absl::Status Open(const std::string& position, IntakeNotes notes) = 0;
  // What comes next, about `max_bytes` at most; waits for at most `max_wait_us`. Nothing: nothing came. Unavailable:
  // the outside is away, and the next call goes on where this one failed. Aborted: what was given since the last commit
  // isn't true any more.
  virtual absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t max_wait_us, int64_t max_bytes) = 0;
  // Everything before the position is in the log for good. May be told twice. Unavailable: tell it again.
  virtual absl::Status Committed(const std::string& position) = 0;
  // Makes a call that waits, and every later one, return Unavailable soon: for a shutdown. Any thread.
  virtual void Interrupt() = 0;
};

}  // namespace tidemark
