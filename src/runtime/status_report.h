// What a worker says of itself to the others and to whoever asks (proto/live.proto): its WorkerStatus, with rates over
// the last few seconds. Used by one thread; asks nobody.
#pragma once

#include <deque>
#include <string>
#include <utility>

#include "proto/live.pb.h"
#include "src/plan/plan.h"
#include "src/runtime/worker_status.h"

namespace tidemark {

class StatusReporter {
 public:
  // `process`: random, of this process. `address`: of its HTTP server. `plan` outlives this.
  StatusReporter(const Plan& plan, std::string process, std::string address)
      : plan_(plan), process_(std::move(process)), address_(std::move(address)) {}

  // To be called every two seconds or so: rates are those since the call before the last two.
  live::WorkerReport Make(WorkerStatus now);

 private:
  const Plan& plan_;
  const std::string process_, address_;
  std::deque<WorkerStatus> samples_;
};

// `text`, or what of it is ASCII where it isn't UTF-8, as errors of foreign libraries may not be: a protobuf with it
// couldn't be read.
std::string AsUtf8(std::string text);

}  // namespace tidemark
