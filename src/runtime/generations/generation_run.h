// A worker process through the generations of its application: runs a worker (worker.h) for as long as its generation
// owes the same, and then as whatever follows: waits outside of all groups while a switch hangs in the balance, goes on
// under the real targets, or ends with a sentence.
//
// Main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "proto/generations.pb.h"
#include "src/plan/plan.h"
#include "src/runtime/worker.h"

namespace tidemark {

// The topology as the command read it.
struct GenerationText {
  std::string file;  // for people
  std::string yaml;  // all of it as one, variables as they were written
};

// What a worker of a generation may run, by the text of its file. InvalidArgument: it is that of another generation, or
// one that the log hasn't: nobody could tell then what has run (a switch takes the registered one's sources), nor
// whether it is an old file that is about to go on with the state of another generation.
absl::Status CheckText(const generations::State& state, int32_t own, const GenerationText& text);
// `run --accept_edit=FINGERPRINT`: the text is the next version of the active generation's, whose text has this
// fingerprint; another fingerprint accepts nothing, so a flag that is left behind does no harm. InvalidArgument: it
// can't be. FailedPrecondition: not now, as a generation is being built or a switch is under way.
absl::StatusOr<generations::State> WithEditAccepted(generations::State state, const std::string& fingerprint,
                                                    const GenerationText& text);

// Which generation `tidemark replay` of this file runs as: the active one, also while another is being built (it is the
// command that a worker was deployed with), or the one that is being built. 0: none yet, one is to be begun, or
// `stated` (ReplayOptions::generation, with left_by) built again. InvalidArgument: it is an earlier text, that of one
// that was left, or another one is being built; or `stated` was built again before and has been left since, and
// `left_by` isn't the switch by which: the command stands in a deployment whose pods have begun anew.
absl::StatusOr<int32_t> ReplayedAs(const generations::State& state, const GenerationText& text, int32_t stated,
                                   int64_t left_by);

// `tidemark run`: as the active generation. `accept_edit`: the flag; empty: not stated. InvalidArgument: as CheckText.
absl::Status RunActive(const Plan& base, const GenerationText& text, const std::string& accept_edit,
                       const WorkerOptions& options);

struct ReplayOptions {
  std::string from;        // BeginAt; of a new generation
  int32_t generation = 0;  // one that was left, which is built again from where it stands; 0: a new one, or the one
                           // that is being built from this very file
  int64_t left_by = 0;  // the switch by which that one was left; 0: not stated, as where it wasn't built again before
  int64_t max_live_lag_us = 0;  // 0: never waits for the active one
  // The topology that is active, where the log doesn't have it yet; null: not stated.
  const Plan* active = nullptr;
  GenerationText active_text;
  // The topology of one that the log has.
  std::function<absl::StatusOr<Plan>(const generations::Generation&)> plan_of;
};

// `tidemark replay`: makes the generation where there is none, and runs as a worker of it. InvalidArgument: this can't
// be replayed or switched to, or another generation is being built.
absl::Status RunReplay(const Plan& base, const GenerationText& text, const ReplayOptions& replay,
                       const WorkerOptions& options);

}  // namespace tidemark
