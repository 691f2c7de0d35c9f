// What becomes of one part of a topology that goes on under its name. `run` and `plan` have the same verdicts: one
// refuses what the other asks about, in the same words. Plain values.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>

namespace tidemark {

struct Verdict {
  // The later ones outweigh the earlier, where tasks of a step differ.
  enum class Kind {
    kNew,        // nothing was kept under its name: empty from now on
    kUnchanged,  // goes on with its state
    kConverted,  // goes on with its state, which can be read as what the topology says now
    kDropped,    // it is gone, and its state would be lost
    kRefused,    // it can't go on with what was kept or written
  };

  std::string subject;  // "step hourly", "sink lake"
  Kind kind = Kind::kNew;
  std::string message = {};  // of kDropped and kRefused: what was, what is and what to do
  int64_t open = 0;          // (row, window) pairs in windows that are open, of steps that have some
  int tasks = 0;             // that keep state of it

  bool allowed = false;                    // of kDropped: the user gives it up
  std::string former_name = {};            // of what goes on: what it was called, where that is another name
  std::vector<std::string> from_now = {};  // of kConverted: aggregates that were added, which count from now on

  bool goes_on() const { return kind < Kind::kDropped || (kind == Kind::kDropped && allowed); }
};

// Steps whose state the user gives up, where the topology no longer has them: by name (--allow_drop).
using AllowedDrops = std::set<std::string>;

// FailedPrecondition with the messages of all that can't go on, a line each.
absl::Status Refusal(const std::vector<Verdict>& verdicts);

}  // namespace tidemark
