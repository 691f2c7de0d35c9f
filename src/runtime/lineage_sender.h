// Sends OpenLineage events of the application's run (lineage_run.h) to an address, a file or a topic, as `lineage` says
// (docs/status.md). A run never waits for it and never fails by it: each target has a thread and a bounded queue of its
// own; what doesn't fit, or isn't taken within some attempts, is dropped, counted and logged.
//
// Any thread may call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/base/clock.h"
#include "src/kafka/appender.h"
#include "src/plan/lineage_spec.h"
#include "src/runtime/lineage_run.h"
#include "src/webhook/webhook.h"

namespace tidemark {

struct LineageStatus {
  std::string target;  // http, file, topic
  int64_t sent = 0, dropped = 0;
  std::string last_error;
};

class LineageSender {
 public:
  static constexpr size_t kMostWaiting = 100;  // events a target
  static constexpr int kAttempts = 3;

  // What delivers an event to a target; waits some seconds at most. Unavailable: tried again.
  using Deliver = std::function<absl::Status(const std::string& text)>;
  explicit LineageSender(LineageText text);
  ~LineageSender();

  void Add(std::string target, Deliver deliver, std::function<void()> interrupt = nullptr);
  void Send(const std::vector<LineageEvent>& events);
  // Waits for what is under way, so long at most; what is left is dropped.
  void Close(int64_t max_wait_us);

  std::vector<LineageStatus> status() const;

 private:
  class Target;
  const LineageText text_;
  std::vector<std::unique_ptr<Target>> targets_;
};

// The targets of a topology. `open_topic`: makes the topic where it is missing, and an appender to it.
using OpenLineageTopic = std::function<absl::StatusOr<std::unique_ptr<Appender>>()>;
// InvalidArgument: a file of a token that can't be read.
absl::StatusOr<std::unique_ptr<LineageSender>> NewLineageSender(const LineageSpec& spec, LineageText text, Clock* clock,
                                                                OpenLineageTopic open_topic);

}  // namespace tidemark
