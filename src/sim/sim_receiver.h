// A simulated receiver of a webhook's posts, as docs/alarms.md asks for one: what it has by its id it takes once. Every
// post may fail before or after it is taken. One receiver for one sink, many sessions, one thread.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "src/sim/sim_outside.h"
#include "src/webhook/webhook.h"

namespace tidemark::sim {

class SimReceiver {
 public:
  SimReceiver(SimRandom* random, SimClock* clock) : outside_(random, clock) {}

  // The client of a process; once `*dead`, nothing that it still says reaches the receiver.
  std::unique_ptr<Webhook> NewSession(std::shared_ptr<const bool> dead);
  SimOutside& outside() { return outside_; }
  // The rows of what was posted, one for each id, as JSON.
  std::vector<std::string> Rows() const;

 private:
  class Session;

  SimOutside outside_;
  std::set<std::string> ids_;
  std::vector<std::string> bodies_;
};

}  // namespace tidemark::sim
