// The batch step: rows of a batch are kept until all of it is there, and then go out within ONE commit of their task;
// or the batch is rejected, and each of its rows becomes a dead letter. So whoever shows the rows of one commit
// together shows each batch whole: a Kafka sink in the same task by its transaction, a sink on a feed by the end of a
// commit that the feed's records tell (src/runtime/whole_commits.h). No other mark of a batch travels.
//
//                    as many rows as it expects, in time           its rows have gone out
//            +-----> kComplete ------------------------------------> kReleased --+
//   kOpen ---|                                                                  |--> forgotten
//            +-----> kRejecting -----------------------------------> kRejected --+
//                    a rule is broken, its rows disagree about      its rows are dead letters
//                    how many they are, it is too large, late
//
// A task lets one batch out a commit and asks for the commit at once, so that what an outside refuses of a commit is
// one batch. (Where a union brings two batch steps into one task, two of them may share a commit.) Rejected rows go
// over as many commits as they need: nobody sees them as a batch.
//
// Time. A batch is in time iff the largest watermark that any of its rows came under (Hidden::kWatermark, that of its
// source partition at that row) is less than the smallest event time of its rows plus the deadline. That depends on the
// set of its rows alone. One that isn't complete when the step's watermark gets there is rejected: no row can come any
// more that would be in time, as a row's own watermark is never less than the one of the task that it reaches. Where
// the source has no other event time that is the time of the log, so what is late is a matter of offsets, not of when
// a worker got round to it; and a log in which nothing comes has no time (event_time.when_all_idle).
//
// Rows of a batch that is decided are dead letters that say what became of it, until it is forgotten: `forget` behind
// its deadline. So a batch that is sent a second time in that time is never shown twice. Where the
// step states a topic for them (`rejected`), rows of rejected batches go there instead, in the form of dead letters and
// with the name of their batch; what comes too late for a complete batch stays a dead letter.
//
// The watermark is held back to the smallest that a row which is still here came under, so rows that weren't late for
// later steps don't become so. It moves on with the oldest batch, however many are open behind that.
//
// Memory: about 200 bytes for each batch that is known, and the rows since the last commit, up to 128 KiB a batch. The
// rows of a commit that lets a batch out wait, packed, until its end. State: kept.h.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/batch/spec.h"
#include "operators/operator.h"

namespace tidemark {

// InvalidArgument where an expression doesn't compile.
absl::StatusOr<std::unique_ptr<Operator>> MakeBatchStep(const Node& node, const BatchSpec& spec);

}  // namespace tidemark
