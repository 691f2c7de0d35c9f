// What becomes of the targets of a topology when generation n+1, which was built beside n into shadow targets
// (shadow.h), takes n's place. The decision is one record that somebody else commits; behind it each target follows by
// a unit of this file. Neither generation writes to the target meanwhile: n has reached the cut and its sinks have
// written all of it, n+1 goes on behind the swap, under the final names. A worker of n that doesn't know it yet is kept
// out by what each unit says.
//
// Going back is the same unit with the roles exchanged: live stays, what was kept is the shadow.
//
// The rule of DESIGN.md that stands here: the decision is made once, and what follows from it is idempotent. A Swap may
// be begun by one process, cut short anywhere and begun again by another, any number of times; one that belongs to an
// earlier decision than the newest that reached the target changes nothing. Used by one thread each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/clock.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

// Whether the decision is still the asker's to follow; else Cancelled, as another command has gone on with it, or
// Unavailable, where that isn't known.
using StillMine = std::function<absl::Status()>;

class TargetSwap {
 public:
  virtual ~TargetSwap() = default;

  // Before the decision: says what would make Swap fail, and changes nothing. InvalidArgument: the user has something
  // to mend, all that was found in one message. Unavailable: the target is away or in use, ask again.
  virtual absl::Status Prepare() = 0;

  // Behind the decision. Unavailable: call again, as often as it takes. FailedPrecondition: the target isn't what
  // Prepare has seen, as somebody else has changed it, and nothing was done; call again once they have mended it. OK:
  // the target is n+1's, and will be after a crash of everything.
  virtual absl::Status Swap() = 0;

  // What Swap does, for people, in a line: "table public.orders: public.orders__g2 takes its place, ...".
  virtual std::string Describe() const = 0;
};

// Who gives a target to whom, and by which decision. Decisions of an application have numbers that grow.
struct SwapParties {
  ApplicationId from, to;
  std::string sink;  // n+1's
  int64_t decision = 0;
  std::string from_sink;  // n's, where it has another name
};

// A table by rename, in one transaction of the database (operators/sinks/postgres/swap.h has what becomes of all that
// hangs on a table). Who reads it sees the old rows, then the new ones. n's sink can't write to it afterwards: its
// fence is taken away for good, or until a swap gives the table back. Where there is no live table, the shadow gets the
// name, and that is all.
struct PostgresSwapTarget {
  PostgresSinkSpec spec;     // url and schema; `table` is the live one
  std::string shadow, kept;  // tables of the same schema: where n+1 has written, and what n's is called afterwards
  std::vector<std::string> written;  // columns that n's sink writes: what else a table has is the user's
};
std::unique_ptr<TargetSwap> MakePostgresSwap(PostgresSwapTarget target, SwapParties parties);

// A folder of a lake by exchanging two names at once (renameat2 with RENAME_EXCHANGE), so that no moment has neither.
// What was opened in the old one stays what it is, as the old folder lives on as `kept`. Where there is no live folder,
// the shadow gets the name. Folders in S3 are refused.
//
// Who lists the folder gets files of one generation; who walks into Hive folders path by path while the names are
// exchanged may get a part of each, as with any file system. Such a reader looks at the folder's inode before and after
// its walk (or opens the folder once and walks from there), and walks again where it has changed.
struct FolderSwapTarget {
  std::string live, shadow, kept;  // siblings
  // Moves what n+1 has decided and not moved yet to its place in the shadow, as a worker that was killed in between
  // would once it runs again: readers would miss those rows until then. Called before the names are exchanged, perhaps
  // several times. Null: nothing is owed.
  std::function<absl::Status()> settle = nullptr;
};
std::unique_ptr<TargetSwap> MakeFolderSwap(FolderSwapTarget target, SwapParties parties);

// A topic of keys by what the two generations differ in: values that n+1 has otherwise, and tombstones of keys that it
// hasn't, written to the live topic in one transaction. Keys and values are compared as the bytes they are, partition
// by partition, so both must have as many. Headers and timestamps aren't compared; an upsert has the headers that it
// has in the shadow, and the time of the swap.
//
// A key that somebody else has written to the topic is none of n+1's, and gets its tombstone: the topic is the sink's.
// Of a topic with cleanup.policy=delete, keys that were trimmed get none.
struct TopicDifferenceTarget {
  std::string live, shadow;
  std::string transactional_id;  // of all who ever swap this topic
  // What the keys of one partition may take in memory, with 64 bytes each; Prepare refuses more, Swap takes a quarter
  // more than that. Values aren't kept.
  int64_t key_bytes = int64_t{1} << 30;
  // Asked between the moment from which on nobody else can write under the transactional id, and the first look at the
  // topics: what isn't OK is Swap's answer. A topic has no place for the number of a decision; so whoever has slept
  // until n+1 runs, and writes there, would find a difference again and take n+1's rows back. Null: nobody else can be.
  StillMine still_mine = nullptr;
};
// `kafka` and `clock` outlive it.
std::unique_ptr<TargetSwap> MakeTopicDifference(TopicDifferenceTarget target, KafkaClient* kafka, Clock* clock);

}  // namespace tidemark
