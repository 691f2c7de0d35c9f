// A simulated PostgreSQL for the sink's protocol: fence rows and the sink's table, transactions that hold the fence
// row, every call that may fail before or after its effect, a COMMIT whose answer is lost. One database for one sink,
// many sessions, one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operators/sinks/postgres/session.h"
#include "src/base/schema.h"
#include "src/plan/plan.h"
#include "src/sim/sim_outside.h"

namespace tidemark::sim {

class SimPostgres {
 public:
  // Inserts, or upserts by the key of `spec`.
  SimPostgres(const Schema& schema, const PostgresSinkSpec& spec, SimRandom* random, SimClock* clock)
      : schema_(schema), spec_(spec), outside_(random, clock) {}

  // The connection of a process; once `*dead`, nothing that it still says reaches the database.
  std::unique_ptr<PostgresSession> NewSession(std::shared_ptr<const bool> dead);
  SimOutside& outside() { return outside_; }
  // What the table shows, as JSON.
  std::vector<std::string> Rows() const;

 private:
  class Session;

  const Schema schema_;
  const PostgresSinkSpec spec_;
  SimOutside outside_;
  std::map<int32_t, PostgresFence> fences_;
  std::vector<std::string> inserted_;
  std::map<std::string, std::string> upserted_;  // by key
};

}  // namespace tidemark::sim
