// Whether a generation has given out all that it owes for a switch, so that its workers leave their groups: from what
// is committed alone, and so that what was true once stays true until the switch is taken back, whoever leaves, dies,
// or comes back. So nobody waits for anybody: all see the same, at the same time, and leave at once; nobody's tasks are
// opened by those who are still there, only to be left again. A worker whose own sink has decided something that
// doesn't show yet (SinkThread::settled: files that are still to be moved) is the exception: it stays until it does,
// and is given the tasks of those who have left.
//
// Why it stays true. A switch has a number that none before it had.
//   - A source partition *stands for it* where the newest commit beside its position says so. A worker says it behind a
//     bound that is fixed until the switch is over (bounded_client.h), in a commit that has all that was delivered
//     before. Whoever is given the partition later asks the log first (follower.h) and begins behind the same bound;
//     whoever had it before, and is slow to hear, has a group generation that is over, so its transaction can't commit
//     positions. A drained generation's bound is wherever it stands; that of one that goes up to the cut is the cut,
//     and its partitions must stand there. So the positions are final.
//   - From then on nothing but rows moves time: no partition falls idle, and no clock is followed. A task whose inputs
//     are final and read to their ends, and whose last commit doesn't call it busy, gives out nothing more; and whoever
//     takes it over tells nothing again of what its former owners have told (Task::ResumeAtRest).
//   - So the end of a topic between stages is final once all tasks of the stages before are done, and it is looked at
//     then, stage by stage, upstream first; likewise the ends of sinks' feeds, which are done where the sink's group
//     has confirmed them: what a database or a lake has of them it has by then. Ends are high watermarks, and nothing
//     that is open may lie before them: an open transaction may still be committed.
// What moves ends behind that are transactions of those who were fenced, which can only be aborted; they hold no rows.
//
// Its rule of DESIGN.md section 2: nothing is inferred, least of all from silence. That a worker has seen this only
// makes it leave; the command that switches looks once more behind the fence (fence.h).
//
// Any thread; each look makes requests.
#pragma once

#include <map>
#include <string>

#include <absl/status/statusor.h>

#include "src/base/record.h"
#include "src/runtime/runtime.h"

namespace tidemark {

// What is still owed for the switch of this number, for people; "": nothing, and that is final. `cut`: partitions that
// have to stand there at least; of the others where they are. Unavailable: Kafka doesn't answer.
//
// Sets RunControl::flush_sinks once only sinks owe anything.
absl::StatusOr<std::string> StillOwed(const Runtime& runtime, int64_t switch_number,
                                      const std::map<TopicPartition, Offset>& cut);

}  // namespace tidemark
