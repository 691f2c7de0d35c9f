// A run over a part of the past (`tidemark run --from T1 --to T2`): the topology over the records of last March, beside
// whatever runs, once, to its end. It is an application of its own to everything outside (GenerationNames::Run):
// groups, state, internal topics, transactional ids and fences are its own, so nothing that it does can be taken for
// what the application itself has done.
//
// Which records: of each partition of each source from the first offset whose record isn't older than T1 up to the
// first whose record isn't older than T2, by the records' timestamps. Behind both may lie older records, where
// producers are late; what counts is the offset. Both are found once and stand in the run's log as one committed record
// before any worker of it joins a group: so every worker, whenever it starts and whatever has come or been trimmed
// since, reads the same part, and the run is one function of it.
//
// At its end nothing more comes: windows and all else that waits for time are closed, as by --close_windows, and sinks
// publish what they hold. Then the log says that it is done. The same command again finds that, and changes nothing.
//
// What keeps DESIGN.md section 2: the record is written by a transactional producer which fences others, before anybody
// reads; each worker's part in Kafka's commit protocol is an ordinary one under the run's own names; a database has a
// row of the run's own for each sink and partition, moved by each of its data transactions, beside the application's:
// two writers of one table, none of which takes the other's rows for its own. What can't be right in targets that the
// application writes too is refused by name (CheckPastRun).
//
// Any thread; the command's main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "proto/generations.pb.h"
#include "src/kafka/client.h"
#include "src/plan/lake_spec.h"
#include "src/plan/plan.h"
#include "src/runtime/generations/generation_run.h"

namespace tidemark {

struct PastRun {
  std::string from, to;       // "earliest" (only `from`) or RFC 3339
  std::string name;           // of the run; empty: made of the two
  bool into_targets = false;  // else into shadows (shadow.h)
  LakeSpecs lakes;            // where records are that logs have no more; all workers of a run name the same
};

// What the run is called. InvalidArgument: a name, or a time, that isn't one; `to` doesn't lie behind `from`, or lies
// in the future: what it takes isn't there yet. `now_us`: wall clock.
absl::StatusOr<std::string> NameOfPastRun(const PastRun& past, int64_t now_us);

// InvalidArgument, all of it: sources that can't be read again; steps that keep a table since it began, where the run
// begins later; and, into targets, sinks for which what is counted from a part of the rows would replace what was
// counted from all, be counted twice, or be deleted with the application's own rows.
absl::Status CheckPastRun(const Plan& base, const PastRun& past);

// The plan of a run that stands in its log.
absl::StatusOr<Plan> PlanOfPastRun(const Plan& base, const std::string& name, const generations::Run& run);

// The run as its log has it; where it has none, the part is found and written. InvalidArgument: one of this name has
// other bounds, another topology, other targets or other lakes; or the part isn't whole any more, as a log begins too
// late. FailedPrecondition: a bound lies where neither a lake nor the log has records; into targets, while generations
// are built or switched. `kafka` reads the lakes, too (WithLakes).
absl::StatusOr<generations::Run> BeginPastRun(const Plan& base, const GenerationText& text, const PastRun& past,
                                              KafkaClient& kafka, int64_t now_us, const std::function<void()>& wait);
// Those that have a log, done or not.
absl::StatusOr<std::vector<std::string>> NamesOfPastRuns(const std::string& application, KafkaClient& kafka);
// Before a generation is built, to which a switch would give the targets. FailedPrecondition: a run into them isn't
// done.
absl::Status CheckNoRunIntoTargets(const std::string& application, KafkaClient& kafka,
                                   const std::function<void()>& wait);

// Says that all of it is done.
absl::Status EndPastRun(const Plan& base, const std::string& name, KafkaClient& kafka, int64_t now_us,
                        const std::function<void()>& wait);

// `tidemark run --from --to`: a worker of the run. Returns when all of it is done, by whichever workers.
absl::Status RunPast(const Plan& base, const GenerationText& text, const PastRun& past, const WorkerOptions& options);

}  // namespace tidemark
