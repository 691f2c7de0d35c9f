// `tidemark switch`: generation n+1, which was built beside n (follower.h), takes n's place at a cut of the sources'
// offsets. Nobody's row counts twice and none is missing: n has given out what the rows before the cut make, n+1 goes
// on with those behind it.
//
//   1. DRAINING is written. Workers of n stop reading wherever they are, process what they hold, let their sinks write
//      it, and once all of n has (drained.h) leave their groups and wait. Until then n+1 follows what n has committed,
//      and never gets ahead of it.
//   2. n's groups are empty: the fence is put in front of its positions (fence.h). Its positions are read behind the
//      fence, once no transaction is open any more, and compared with its changelogs: that is the cut. What of n's own
//      topics isn't read or written to the end cancels the switch.
//   3. CUT is written, with the cut. Workers of n+1 read up to it, exactly, let their sinks write what it makes, leave
//      their groups and wait. Where n+1 doesn't stand at the cut, at every partition, and at the ends of its own
//      topics, the switch isn't made. Else it gets a fence too. Here, and nowhere else, the outputs of the two are of
//      the same records, and are compared where that was asked for (--verify, comparison.h): over its bound the switch
//      is taken back. Then what a target would be without, once n+1 has it, is copied aside, for a way back.
//   4. DECIDED is written: the one decision. Everything before can be taken back, and is by whoever finds it (--cancel,
//      or a time-out); everything behind can only be gone on with.
//   5. Every sink follows (target_swap.h), each as often as it takes: one that is away is asked again until it answers,
//      and doesn't keep the others waiting. n+1's fence is lifted, STEADY is written; workers of n+1 run on with the
//      real targets, workers of n end.
//
// Invariants, whoever dies when:
//   - n is fenced before its cut is taken, and while its cut is taken: a row that n processes later is in no commit.
//     Right before the decision it is looked whether it still stands fenced at the cut; where it doesn't, the switch is
//     taken back: whoever was taking it back before may have been killed between lifting the fence and saying so.
//   - n+1 has read nothing at or behind the cut before the decision, and its workers with shadow targets can't behind
//     it, however slow they are: their bound is n's committed position, which the fence holds.
//   - At most one of the two reads; between them there is at most a pause.
//   - Before the decision no reader of a sink sees anything of n+1; what is written behind it is n+1's.
//
//   - One command at a time changes anything. One that goes on with the switch of another writes a record first; and
//     each asks before whatever it does beside the log (a fence, a target) whether the last record is still its own. So
//     one that was asleep, or cut off, finds that the switch isn't its any more, and ends.
//
// Each step begins with what it finds, so the command may be killed at any moment and run again.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/clock.h"
#include "src/kafka/client.h"
#include "src/kafka/reset_client.h"
#include "src/plan/plan.h"
#include "src/runtime/generations/comparison.h"
#include "src/runtime/generations/generations_log.h"
#include "src/runtime/generations/shadow.h"
#include "src/runtime/generations/target_swap.h"

namespace tidemark {

struct SwitchOptions {
  int64_t lag_us = 2 * kSecond;       // --when: n+1 is at most so far behind the sources' ends when it begins
  int64_t within_us = 120 * kSecond;  // steps 1 to 3 together; the switch is cancelled where they take longer
  bool dry_run = false;
  // --verify. It stands in the log from step 1 on, so a run that goes on with the switch asks for the same; one that
  // states another asks for that from then on.
  std::optional<generations::Verify> verify;
};

// What the switch is made of, by whoever wires it.
struct SwitchParts {
  KafkaClient* kafka = nullptr;
  ResetClient* client = nullptr;
  Clock* clock = nullptr;
  // A pause between two looks.
  std::function<void()> wait;
  std::function<void(const std::string&)> say;
  // The topology of a generation, with its own names and the real targets.
  std::function<absl::StatusOr<Plan>(const generations::Generation&)> plan_of;
  // Of each sink that has to follow, from one to the other.
  std::function<absl::StatusOr<std::vector<std::unique_ptr<TargetSwap>>>(const GenerationSwap&)> swaps;
  // What of n's targets is copied aside between the cut and the decision, as nothing of it is left behind it. May be
  // done again; whoever takes the switch back leaves the copies.
  std::function<absl::StatusOr<std::vector<std::unique_ptr<TargetSwap>>>(const GenerationSwap&)> keeps;
  // What --verify compares. Whose formats, the wirer knows.
  std::function<absl::StatusOr<Comparisons>(ComparisonRequest request)> comparisons;
};

enum class SwitchEnd {
  kDone,     // n+1 is active; of a dry run: all was told
  kDiffers,  // n+1 differs by more than --verify allows: nothing has changed, or it was taken back
};

// FailedPrecondition: nothing is being built, or it can't be switched to now, and why; nothing has changed, or it was
// taken back. Unavailable: run it again; the message says whether the decision has been made.
absl::StatusOr<SwitchEnd> SwitchGenerations(const Plan& any, const SwitchOptions& options, const SwitchParts& parts);

// Takes a switch back that isn't decided. OK where there is none.
absl::Status CancelSwitch(const Plan& any, const SwitchParts& parts);

}  // namespace tidemark
