// `tidemark resnapshot`: a table of PostgreSQL whose log can't be followed any more (its slot was lost, it was emptied
// or made anew), or whose content is to be taken anew for whatever reason, begins with a new snapshot under its name.
//
// What asks for it is a position of the table's intake (intake.h): nothing was read yet, and a number that tells which
// new snapshot this is. It is written as any position is, by who takes the split over: a worker that has it meanwhile
// is fenced, finds out at its next commit, which comes within ten seconds, comes back a few seconds later, and sees
// what it has to do. So there is no moment at which a worker and this command both know where the table stands, workers
// may run or not, and whoever dies has asked or hasn't.
//
// From then on all is as for a table that comes later (postgres_source.h), whose argument needs nothing that was read
// before: a place C is noted, rows of snapshots come, then all changes behind C. What is left to be said is which rows
// that stand here the table has no more. All records from here on carry the number (postgres_rows.h), and once a
// snapshot is read to its end every partition of the topic says so, in the transaction that has its last rows. The step
// that keeps rows (operators/changes) deletes then those whose last record has a smaller number: any row that the
// table had at the snapshot's place was in it, or is a dead letter. What was committed between C and that place comes
// behind the end, and deletes or makes again.
//
// Alternative: a number in the YAML. It would be remembered as this one is, but says what is to be done once where
// everything else says what holds, and workers of the former topology would meet it in a rolling restart.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

// New snapshots of the tables of these sources. What was done, for people. InvalidArgument: one isn't a source, or no
// table of PostgreSQL; or it wasn't read yet. Unavailable: another owner came in between, or Kafka is away; it isn't
// known then whether they are asked for, and asking again does no harm.
absl::StatusOr<std::string> AskForSnapshots(const Plan& plan, const std::vector<std::string>& sources,
                                            KafkaClient& kafka);

}  // namespace tidemark
