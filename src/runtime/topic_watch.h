// Looks for topics that come while a worker runs and that a pattern of its topology matches (`topics`,
// src/plan/topic_patterns.h). Where all of them fit beside the others, the worker ends in order and is run again with
// them: no process is started anew, memberships are kept, and the new topics are read from their beginning, just as by
// a rolling restart with a topology that has a source more (what that must keep to stands in ownership.h). One that
// can't be read together with the others, as it has another number of partitions, changes nothing, and a worker that
// began anew with it would end: it is named in the log once, and it and all that come after it are counted in
// tidemark_unread_topics until somebody does something about it.
//
// Used by one thread, except status and found.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/runtime/runtime.h"

namespace tidemark {

class TopicWatch {
 public:
  explicit TopicWatch(const Runtime& runtime);

  // A short wait, and a look, unless there was one just now. Never an error: brokers that are away tell nothing.
  absl::Status Step();
  void Look();

  // There are topics that another run would read. Any thread.
  bool found() const { return found_; }
  // Topics that aren't read, by source as the YAML names it; 0: all are. Any thread.
  std::map<std::string, int64_t> unread() const;

 private:
  const Runtime& runtime_;
  int64_t next_us_ = 0;               // monotonic
  std::vector<std::string> fitting_;  // at the last look
  std::map<std::string, std::string> told_;
  std::atomic<bool> found_ = false;
  mutable absl::Mutex mutex_;
  std::map<std::string, int64_t> unread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
