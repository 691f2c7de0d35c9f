// A simulated PostgreSQL for the sink's protocol: fence rows and appended rows, transactions that hold the fence row, a
// COMMIT whose answer is lost. One database, many sessions, one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operators/sink_postgres_session.h"
#include "src/base/schema.h"
#include "tests/sim/sim_random.h"

namespace tidemark::sim {

class SimPostgres {
 public:
  struct Faults {
    double unavailable = 0;  // of any call: the connection breaks, the transaction is gone
    double commit_lost = 0;  // of a COMMIT: the answer is lost; half of them have been applied
  };

  SimPostgres(const Schema& schema, SimRandom* random) : schema_(schema), random_(random) {}

  std::unique_ptr<PostgresSession> NewSession();
  Faults& faults() { return faults_; }
  // Every row ever inserted, as JSON: what `mode: insert` shows.
  const std::vector<std::string>& rows() const { return rows_; }

 private:
  class Session;

  const Schema schema_;
  SimRandom* const random_;
  Faults faults_;
  std::map<int32_t, PostgresFence> fences_;
  std::vector<std::string> rows_;
};

}  // namespace tidemark::sim
