// Mutations: deliberate defects of the commit protocol, each of which the simulator must find. They exist only in a
// build with TIDEMARK_WITH_MUTATIONS; elsewhere MutationActive is the constant false and the defect is compiled out.
#pragma once

#include <cstdint>

namespace tidemark {

enum class Mutation : uint8_t {
  kApplyBeforeCommit,            // state reaches the disk before the transaction is decided
  kOffsetsOutsideWriteBatch,     // commit record and changelog offset are written on their own, ahead of the deltas
  kOverlayKeptAfterAbort,        // an abort forgets to drop the uncommitted writes
  kChangelogOutsideTransaction,  // changelog records are written by a producer without a transaction
  kGroupMetadataFetchedFresh,    // send_offsets takes the group's metadata of the moment, not that of the assignment
  kPostgresWithoutFence,         // the sink writes without looking at its epoch and next offset
  kResumeWithoutSeek,            // a resumed partition goes on where the client library believes to stand
  kStopCommitsAfterAbort,        // tasks outlive an aborted transaction, and the stop commits their positions
  kCutAfterFailedWrite,          // a Parquet sink's cut goes on after a file that has failed, and leaves it out
  // One partition's cut fails, and the others' positions are committed without their files.
  kManifestDroppedAfterOneFailure,
  kLakeMarkNotLookedFor,  // a sink goes on in a folder that isn't the one its files went to
  // A producer is aborted with records that aren't acknowledged, and used again: the next ones get their numbers.
  kAbortedProducerUsedAgain,
  kReaderSkipsARecord,           // a reader of an internal topic leaves out a record now and then
  kOldRecordBeatsNew,            // of a key's entries in several runs of keyed records the oldest answers
  kJoinSideCleanedByItsOwnTime,  // a join of streams drops a side's rows by how far that side itself has come
  kUnmatchedRowEmittedEarly,     // it gives rows NULLs by the newest time that any row had, not by the watermark
  kVersionTakenBeforeWatermark,  // a join with versions takes what has come, whatever is still to come
  kAlertRaisedTwice,             // the state of an alert forgets that it was raised
  kCommitShownInParts,           // an atomic sink is given what has been read of a commit, whether or not that is all
  kFileReadWithoutItsCopy,       // a file that landed is read though its copy couldn't be made
  kOverRowsNotWritten,           // a commit leaves out the rows that `over` keeps of keys
  kMatchesNotTakenBack,      // a row of a joined table that goes or changes is taken back with its first match alone
  kCutPassed,                // a generation that is built reads past the cut of a switch, and nobody looks
  kComparedBeforeCut,        // a switch compares the two generations before the one that is built stands at the cut
  kBoundsTakenAnew,          // each worker of a run over the past takes its bounds from the logs as it finds them
  kHolePassed,               // offsets that a lake lacks are passed over, though the run is to stop there
  kDecidedUnfenced,          // a switch is decided, and nobody looks whether the fence still stands
  kToldWindowForgotten,      // the state of hopping windows forgets which are told
  kTransactionShownInParts,  // rows of a table's transaction go on before its end has come
  kAlertTimerLost,           // when something is due of a key of an alert isn't written with the key
  kTopNotFilledUp,           // a list of top that loses rows gets none of those that it hasn't in memory
  kLeftBeforeStages,         // workers leave for a switch once sources stand, whatever lies between stages
  kSwappedAsleep,  // a switch that has slept goes on with its targets, and nobody looks whether they are its own
};
inline constexpr int kMutationCount = 33;

#ifdef TIDEMARK_WITH_MUTATIONS
// Any thread.
bool MutationActive(Mutation mutation);
void SetMutation(Mutation mutation, bool active);
#else
constexpr bool MutationActive(Mutation) { return false; }
#endif

}  // namespace tidemark
