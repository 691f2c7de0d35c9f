// `tidemark reset`: an application begins anew under its name, at places of its sources that are stated. What it has
// kept of the past goes: positions, changelogs, what lies in internal topics, what has come in from files, positions of
// sinks. What stands in sinks stays. Of the model of Kafka Streams' reset tool, and of its scope.
//
// Nobody runs meanwhile, and nobody goes on with half of it. The steps, and why each may be the last of a process:
//
//   1. All groups are empty. Then one request commits a mark (offset_metadata.h) beside the positions of all topics
//      that are sources and that of the dead letters: the coordinator takes it from whoever isn't a member only while
//      the group is empty. From here on a start is refused before it changes anything (former.h), and a worker that had
//      started before looks for the mark once more right before it joins. One that joins all the same opens no task
//      that reads a source's topic. Tasks behind repartitions and files have no position with a mark: they go on until
//      their topics are deleted under them, and this waits for such a member, or ends, before step 2 and before step 5.
//      Positions are read again behind the mark, which waits for transactions that are pending: what a member that has
//      been expelled had sent before the mark is older than the mark and doesn't replace it.
//   2. What Parquet sinks have decided is published, while their manifests still say what, and once no decision hangs
//      in the balance any more: without a member nobody begins another.
//   3. Whoever still writes what comes in from files is fenced, and what it had undecided is decided: its transactions
//      name no group that would refuse them, so a worker that was frozen could else commit one into topics that are
//      made again. Unavailable where the brokers haven't decided it within 20 s. Then internal topics are deleted, one
//      by one; with them brokers forget what was committed of them. A task whose changelog is gone and whose source
//      isn't, or the other way round, is behind the mark and isn't opened.
//   4. Positions in databases are rewound, and with them the fence: a worker that was frozen writes nothing any more.
//   5. One request commits where to begin, and takes the mark away. It is refused as the first one is: where a worker
//      has come meanwhile the reset isn't done, and says so.
//
// Each step may be done again, and each begins with what it finds: so a reset that was killed is run again, by the same
// command or another one. Until step 5 the mark keeps the positions that stood there, so that "an hour back" means the
// same the second time. Local state needs nothing: it is of another identity than whatever comes, lies past the end of
// its changelog, or its task has no commit and is told where to begin, so each worker drops it (task_opener.h).
//
// The brokers keep positions of a group without members for a week, marks too: within it a reset is to be finished, and
// the application started.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/kafka/reset_client.h"
#include "src/plan/plan.h"

namespace tidemark {

struct ResetTo {
  enum class At { kEarliest, kLatest, kTime, kBack, kOffsets } at = At::kEarliest;
  int64_t timestamp_ms = 0;                  // kTime: the first record that isn't older
  int64_t back_us = 0;                       // kBack: so much before the record that was read last, by record times
  std::map<TopicPartition, Offset> offsets;  // kOffsets: of all partitions of all sources
};

// A file of lines "topic partition offset"; empty lines and those that begin with # say nothing.
absl::StatusOr<std::map<TopicPartition, Offset>> ParseResetOffsets(std::string_view text);

struct ResetPlan {
  struct Start {
    Offset stands = -1;  // the group's position; -1: none
    Offset begins = 0;
    Offset log_start = 0, log_end = 0;
  };
  std::map<TopicPartition, Start> starts;
  std::vector<std::string> topics;  // internal ones, which go
  std::vector<std::string> sinks;   // a line each: what stands there, and what becomes of it
  std::vector<std::string> notes;   // what people should know
  bool resumes = false;             // an earlier one has begun and isn't done
  bool complete = false;            // every start is where the log begins: nothing is counted from a part of its rows
};

// What a reset would do; changes nothing. InvalidArgument: it can't be done right for this topology, or not at these
// places, and why.
absl::StatusOr<ResetPlan> PlanReset(const Plan& plan, const ResetTo& to, KafkaClient& kafka);

// Does it. FailedPrecondition: workers run; nothing has changed, or the reset is to be run again, as the message says.
// Unavailable: a broker, a database or a lake is away, likewise.
absl::Status ExecuteReset(const Plan& plan, const ResetPlan& reset, KafkaClient& kafka, ResetClient& client);

// For people, of one that is done or only told.
std::string ResetReport(const Plan& plan, const ResetPlan& reset, bool done);

}  // namespace tidemark
