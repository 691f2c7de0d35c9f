// Dead letters over HTTP (docs/dead-letters.md): POST /v1/dead-letters/list, /show, /last and /replay, as the commands
// of these names, and GET /v1/nodes/NAME/dead-letters, the last ones of a source, step or sink. It shows records and
// writes to sources' topics, so it always asks for a token with the scope worker:admin, on this machine's own address
// too; nobody has one where the topology names no files of tokens.
//
// Heads are looked at on the HTTP server's thread; what is asked is done by a thread of the gate's own, one thing at a
// time, and whoever comes meanwhile is told 429. A stop waits for what is being done, and where that takes too long the
// stop's deadline ends the process (stop_deadline.h): what a replay has committed is noted with it, so it can be begun
// again, and goes on behind that. Constructor, Prepare and Entrances: the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/clock.h"
#include "src/http/server.h"
#include "src/plan/plan.h"

namespace tidemark {

inline constexpr char kAdminScope[] = "worker:admin";

struct LetterOrder {
  std::string command;     // list, show, last, replay
  std::string where, set;  // as the command's flags
  int64_t limit = 20;
  bool dry_run = true;
};
// Does it and returns what is said of it. InvalidArgument: the order is none.
using CarryLetters = std::function<absl::StatusOr<std::string>(const LetterOrder& order)>;

class LetterGate {
 public:
  LetterGate(const Plan& plan, Clock* clock, CarryLetters carry);
  // Waits for what is being done.
  ~LetterGate();

  // Reads the files of tokens. InvalidArgument: one can't be read.
  absl::Status Prepare();
  HttpEntrances Entrances();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the entrances
};

}  // namespace tidemark
