// Clients that wait until what they have posted shows (`?wait=committed`): in every sink that rows of their source may
// come to. Whichever worker reads the body, the one that was asked finds out by what is committed alone:
//
//   1. the position of the split that the body's place belongs to is behind it (split_intake.h): then its rows are in
//      the source's topic. That is seen at some moment t;
//   2. everything that could be read in the source's topic at t shows in every sink (freshness.h).
//
// So it is told of rows that no sink gets, as they were filtered, of those that became dead letters, and of a retry
// whose first request was read long ago. What a step holds back, as a window that is open, isn't waited for.
//
// It costs questions to the brokers every kTickUs while somebody waits, and nothing else. Nothing that it finds flows
// back into rows: monitoring, with deadlines by the monotonic clock.
//
// Step is called by one thread, Add and Close by any. `done` is called once, without a lock, by whoever finds the
// answer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include "src/runtime/freshness.h"
#include "src/runtime/runtime.h"

namespace tidemark {

class VisibleWaits {
 public:
  struct Posted {
    std::string source;
    int32_t partition = 0;  // of the log of requests ...
    Offset offset = 0;      // ... where the body stands
    int64_t until_us = 0;   // monotonic
    std::function<void(bool visible)> done;
  };

  // As FreshnessWatch takes them; `runtime` outlives this.
  VisibleWaits(const Runtime& runtime, FreshnessWatch::ViewPosition view_position,
               FreshnessWatch::SinkFails sink_fails);

  void Add(Posted posted);
  // One turn of a loop. Always OK.
  absl::Status Step();
  // All are told that nothing shows yet; who comes later at once.
  void Close();

 private:
  struct Waiting {
    Posted posted;
    int64_t in_us = 0;  // its rows were in by then; 0: they aren't yet
  };
  struct Split {
    Offset looked_at = -1;  // the end of its positions then
    Offset next = 0;        // of the log of requests: everything before is in
  };
  using SplitOf = std::pair<std::string, int32_t>;  // source, number

  absl::Status Look();
  absl::StatusOr<Offset> ReadTo(const SplitOf& split);
  std::vector<Posted> Expired(int64_t now_us);

  const Runtime& runtime_;
  std::map<std::string, std::string> topics_;  // by source
  FreshnessWatch watch_;
  std::map<SplitOf, Split> splits_;
  absl::Mutex mutex_;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tidemark
