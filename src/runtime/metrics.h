// The worker's status as Prometheus text, and the answers of /healthz and /readyz. Names are part of the users'
// contract: docs/metrics.md lists them. Pure functions of a WorkerStatus.
#pragma once

#include <string>

#include "src/runtime/worker_status.h"

namespace tidemark {

// The text exposition format 0.0.4.
std::string RenderMetrics(const WorkerStatus& status);

struct Health {
  bool ok = true;
  std::string text;  // one line a finding
};
// The loops turn: no thread has been silent for 30 seconds.
Health CheckHealth(const WorkerStatus& status);
// Every thread is assigned and restored, every sink has its partitions.
Health CheckReadiness(const WorkerStatus& status);

}  // namespace tidemark
