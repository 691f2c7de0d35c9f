// A worker: the process that `tidemark run` is. Wires the real parts - Kafka client, state folder, tables, stream
// threads, sink threads, HTTP - and runs them until it is told to stop, a thread fails, or --until_end is reached.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <absl/status/status.h>

#include "src/base/record.h"
#include "src/plan/lake_spec.h"
#include "src/plan/lineage_spec.h"
#include "src/plan/plan.h"
#include "src/runtime/letter_gate.h"
#include "src/runtime/lineage_run.h"
#include "src/runtime/verdict.h"
#include "src/runtime/worker_status.h"
#include "src/status/graph.h"

namespace tidemark {

class GenerationFollower;  // src/runtime/generations/follower.h
class ViewHandover;        // src/runtime/view_service.h

struct WorkerOptions {
  std::string state_dir;
  int threads = 0;  // 0: min(cores, largest partition count)
  std::string instance_id;
  std::string http_address;                // empty: the default one, or a free port where that is taken
  std::string http_certificate, http_key;  // PEM files; both or none
  BoxTexts texts;                          // what the page says of sources, steps and sinks
  std::string dashboards;                  // what /v1/dashboards says (src/status/dashboards.h)
  std::string catalogue;                   // what /v1/catalogue says: `describe --format json`
  CarryLetters letters;                    // what /v1/dead-letters does; null: it isn't there
  // Columns in which there may be personal data, by source or step: only worker:admin sees them (node_gate.h).
  std::map<std::string, std::set<std::string>> personal;
  LineageSpec lineage;  // where events of runs go
  LineageText lineage_text;
  bool leave_on_stop = false;
  int64_t stop_within_us = 5 * kSecond;  // a stop that takes longer ends the process, as a crash would
  bool until_end = false;
  bool close_windows = false;
  AllowedDrops allow_drop;
  // Written to from a signal handler: 1 asks to stop.
  const std::atomic<int>* stop_requests = nullptr;
  // Set where the run has ended because topics have come that a pattern of the topology matches (topic_watch.h):
  // another run of a plan that has them goes on. Null: nobody would run it.
  std::atomic<bool>* more_topics = nullptr;
  // Looks after which generation this one is, and when it has to stop for another; null: nobody does. Outlives the run.
  GenerationFollower* generation = nullptr;
  // Takes over the views where another run of this process follows, and has those of the run before; null: none does.
  ViewHandover* handover = nullptr;
  int64_t view_base = 0;  // what positions of views begin with (view_reader.h)
  // Of each partition of the sources, with until_end: the part of its log that there is, as if nothing lay before it
  // nor behind. Empty: all that is there when the run begins.
  std::map<TopicPartition, std::pair<Offset, Offset>> parts;
  // Of topics whose past comes from raw lakes, where they have it no more (lake_client.h).
  LakeSpecs lakes;
  // Receives lines of progress and the final report (until_end).
  std::function<void(const std::string&)> report;
};

// Runs to the end. OK: stopped by request, everything is done (until_end), or its generation has to (`generation` says
// so). InvalidArgument: the user's mistake,
// nothing was changed. Cancelled: told to stop before everything was done (until_end). Others: a failure; state is
// intact and the next start goes on from the last commit.
//
// Doesn't return but ends the process, as a crash would, where a stop isn't over within stop_within_us
// (stop_deadline.h). A commit that isn't decided within two minutes is a failure. All calls have time-outs, but some
// are longer, and client libraries don't always keep them.
absl::Status RunWorker(const Plan& plan, const WorkerOptions& options);

}  // namespace tidemark
