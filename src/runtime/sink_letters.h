// Dead letters of a sink on an external system that has no Kafka transaction of its own: each batch of them is one
// transaction, decided before the sink goes on. What is tried again after a failure may stand there twice. Used by the
// sink's thread.
#pragma once

#include <memory>
#include <vector>

#include <absl/status/status.h>

#include "operators/sinks/failure.h"
#include "src/runtime/runtime.h"

namespace tidemark {

class SinkLetters {
 public:
  // `feed`: the topic that the rows come from.
  SinkLetters(const Runtime& runtime, const SinkPlan& sink, const std::string& feed)
      : runtime_(runtime), sink_(sink), feed_(feed) {}

  // Unavailable: they aren't written, or that isn't known. InvalidArgument, Internal: it would be the same again.
  absl::Status Send(int32_t partition, const std::vector<SinkRowFailure>& failures);

 private:
  absl::Status TrySend(int32_t partition, const std::vector<SinkRowFailure>& failures);

  const Runtime& runtime_;
  const SinkPlan& sink_;
  const std::string& feed_;
  std::unique_ptr<Producer> producer_;  // made when the first is written
  int64_t limits_version_ = 0;          // that it keeps to
};

}  // namespace tidemark
