// What a run to the end (end_watcher.h) asks of a source from outside Kafka: whether all that was there when it began
// is in. Used by one thread.
#pragma once

#include <cstddef>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace tidemark {

class OutsideEnd {
 public:
  virtual ~OutsideEnd() = default;

  // Notes what is there.
  virtual absl::Status Take() = 0;
  // How much of it isn't through yet. Asks the brokers.
  virtual absl::StatusOr<size_t> Missing() = 0;
  // "surveys: files"
  virtual std::string what() const = 0;
};

}  // namespace tidemark
