// Rows of a node over HTTP (docs/status.md): GET /v1/nodes/NAME/rows, the last rows of a source or step that this
// worker's tasks have committed since somebody looks (row_samples.h); of a sink or view those of what it is from.
//
// Rows are data, so who may is asked for on this machine's own address too, as soon as the topology has any file of
// tokens: worker:admin sees all, rows:NAME without the columns in which there may be personal data. A topology without
// any tokens shows rows, without such columns, on a loopback address, and to nobody on another.
//
// Answers are made on the HTTP server's thread: a few small rows. Constructor, Prepare and Entrances: the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/base/clock.h"
#include "src/http/server.h"
#include "src/plan/plan.h"
#include "src/runtime/row_samples.h"
#include "src/runtime/status_guard.h"

namespace tidemark {

inline constexpr char kRowsScope[] = "rows:";  // and a node's name, or *

class NodeGate {
 public:
  // Columns that only worker:admin sees, by step.
  using Personal = std::map<std::string, std::set<std::string>>;
  // The partitions of a stage that this worker has now; any thread.
  using Partitions = std::function<std::vector<int32_t>(const std::string& stage)>;

  // All outlive it.
  NodeGate(const Plan& plan, Clock* clock, RowSamples* samples, Personal personal, std::string worker,
           Partitions partitions);

  // Reads the files of tokens. InvalidArgument: one can't be read.
  absl::Status Prepare(const std::string& http_address);
  HttpEntrances Entrances() const;

 private:
  struct Shown;
  struct State;
  std::shared_ptr<State> state_;  // shared with the entrances
};

}  // namespace tidemark
