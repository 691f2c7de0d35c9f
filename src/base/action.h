// What the codes of errors mean, and the one table from an error to what is done about it. Nothing else decides by a
// code what is retried, what is taken over anew and what ends the process: stream threads, sink threads, the runner of
// their loops and the exit code all ask this table.
//
//   Unavailable         the other side is away
//   DeadlineExceeded    the other side took too long
//   Aborted             nothing of it was committed, nothing will be
//   Unknown             whether it was committed isn't known, or a client has failed for good: the log tells
//                       a new one
//   Cancelled           the producer was fenced: by a newer process, or because its transaction timed out; or another
//                       process has acquired a sink's partition. Whether the membership still stands tells which
//   PermissionDenied    another process has taken over this membership
//   ResourceExhausted   disk or memory full, or the disk fails
//   Internal            a defect of Tidemark
//   InvalidArgument     the user's mistake
//   FailedPrecondition  what stands in Kafka, on disk or in the topology contradicts itself
//   OutOfRange          a position lies outside of its log
//   DataLoss            bytes are damaged
#pragma once

#include <absl/status/status.h>

namespace tidemark {

// What an error asks of whoever runs a loop over Kafka.
enum class Action {
  kGoOn,             // no error
  kRetry,            // the same again, after a pause that grows
  kReopen,           // drop what is not committed, go back to the last commit, go on
  kReplaceClients,   // new clients first, then as kReopen
  kAwaitMembership,  // as kReplaceClients, once a heartbeat has had time to tell whether the membership stands
  kStop,             // end; state is intact, and another start may help
  kStopForGood,      // end; another start would end the same way: somebody has to do something first
};
Action ActionFor(const absl::Status& status);

// True: the loop can go on after what ActionFor says. False: it has to end.
bool Recoverable(const absl::Status& status);

// The process's exit code: 0 for OK, 2 where another start can't help (kStopForGood), else 1.
int ExitCode(const absl::Status& status);

}  // namespace tidemark
