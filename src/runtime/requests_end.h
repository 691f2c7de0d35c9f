// When a run to the end (end_watcher.h) is through with what was posted to a source: every request that had been
// accepted when it began has come into the source's topic, whichever worker brought it. Used by one thread.
#pragma once

#include <map>

#include "src/kafka/client.h"
#include "src/runtime/outside_end.h"
#include "src/runtime/runtime.h"

namespace tidemark {

class RequestsEnd final : public OutsideEnd {
 public:
  // `source` is posted to and outlives this, as does `runtime`.
  RequestsEnd(const Runtime& runtime, const SourcePlan& source);

  absl::Status Take() override;
  absl::StatusOr<size_t> Missing() override;
  std::string what() const override { return source_.name + ": requests"; }

 private:
  const Runtime& runtime_;
  const SourcePlan& source_;
  std::map<int32_t, Offset> ends_, read_;  // by partition of the log of requests
  std::unique_ptr<Consumer> positions_;
};

}  // namespace tidemark
