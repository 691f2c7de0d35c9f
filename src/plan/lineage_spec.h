// `lineage`: where OpenLineage events of the application's runs go (docs/status.md). It isn't in the plan: nothing of a
// result depends on it, and it comes and goes at any start. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/base/time.h"
#include "src/plan/alarm_spec.h"

namespace tidemark {

struct LineageSpec {
  std::vector<WebhookSpec> http;     // none or one
  std::string file;                  // empty: none. Events are appended, a line each
  std::string topic;                 // empty: none
  int64_t every_us = 300 * kSecond;  // between events that say that the run goes on

  bool empty() const { return http.empty() && file.empty() && topic.empty(); }
};

}  // namespace tidemark
