// What a worker of a generation owes at each state of the application's generations. A pure function of the two, so
// that workers, the command that switches and the simulator can't disagree.
#pragma once

#include <cstdint>

#include "proto/generations.pb.h"

namespace tidemark {

enum class Duty {
  kActive,  // runs, into the real targets
  kBuild,   // runs behind the active one, into shadow targets
  kDrain,   // reads nothing more, gives out what it holds, then leaves its groups and waits
  kCut,     // reads up to the cut, gives out what it holds, then leaves its groups and waits
  kWait,    // isn't in any group
  kLeft,    // another generation is active: ends
  kGone,    // has been dropped: ends
};

inline Duty DutyOf(const generations::State& state, int32_t own) {
  using State = generations::State;
  if (own == state.active()) {
    switch (state.phase()) {
      case State::DRAINING:
        return Duty::kDrain;
      case State::CUT:
      case State::DECIDED:
        return Duty::kWait;
      default:
        return Duty::kActive;
    }
  }
  if (own == state.building()) return state.phase() == State::CUT ? Duty::kCut : Duty::kBuild;
  for (const generations::Generation& each : state.generations()) {
    if (each.number() == own) return Duty::kLeft;
  }
  return Duty::kGone;
}

// It reads up to a bound that is fixed until the switch is over, and leaves its groups then.
inline bool LeavesFor(Duty duty) { return duty == Duty::kDrain || duty == Duty::kCut; }

// Whether a worker that does the one may go over to the other as it runs; else it ends its run and begins another.
inline bool MayTurnInto(Duty now, Duty next) {
  return now == next || (now == Duty::kActive && next == Duty::kDrain) || (now == Duty::kBuild && next == Duty::kCut);
}

}  // namespace tidemark
