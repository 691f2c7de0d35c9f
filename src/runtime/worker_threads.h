// The threads of a worker that move rows - stream threads, sinks, what is read from outside - and those that watch
// them. All objects are made before the first of them runs, so that whoever looks at them from then on needs no lock.
//
// Made and called by the main thread, but for what says otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/runtime/alarm_thread.h"
#include "src/runtime/freshness.h"
#include "src/runtime/housekeeping.h"
#include "src/runtime/intake_thread.h"
#include "src/runtime/ownership.h"
#include "src/runtime/runtime.h"
#include "src/runtime/sink_thread.h"
#include "src/runtime/stream_thread.h"
#include "src/runtime/supervisor.h"
#include "src/runtime/topic_watch.h"
#include "src/runtime/visible_waits.h"
#include "src/runtime/worker_status.h"

namespace tidemark {

class WorkerThreads {
 public:
  // How far a view's log is told; any thread.
  using ViewPosition = FreshnessWatch::ViewPosition;

  // `runtime` outlives this, and is complete before Make.
  explicit WorkerThreads(const Runtime& runtime) : runtime_(runtime) {}

  // Those who have posted and wait until it shows; before Make, and only where something is posted.
  VisibleWaits& AwaitPosts(ViewPosition view_position);
  // `watch_topics`: topics that a pattern of the topology matches end the run. `look`: at the worker; any thread.
  void Make(int streams, const std::string& state_dir, bool watch_topics, ViewPosition view_position,
            std::function<WorkerStatus()> look);
  // `leaves`: a thread that stops leaves its group for good.
  void Run(Supervisor* supervisor, std::function<bool()> leaves);

  // A sink of which what is committed doesn't show yet; nothing: there is none.
  std::optional<std::string> UnsettledSink() const;
  // Every stream thread and intake has what it was assigned.
  bool Opened() const;
  // There are topics that a pattern of the topology matches and nobody reads.
  bool MoreTopics() const { return topic_watch_ && topic_watch_->found(); }

  void CloseWaits();
  // Calls of sinks and intakes that wait for the outside return.
  void Interrupt();

  // What is known of the threads and by them. Any thread, once all are made.
  void Describe(WorkerStatus* status) const;

 private:
  bool Fails(const std::string& sink) const;
  void Rejoin(const std::string& group);

  const Runtime& runtime_;
  // In the order of their dependence: the last is destroyed first.
  std::vector<std::unique_ptr<StreamThread>> streams_;
  std::vector<std::unique_ptr<SinkThread>> sinks_;
  std::vector<std::unique_ptr<IntakeThread>> intakes_;
  std::optional<FreshnessWatch> freshness_;
  std::optional<AlarmThread> alarms_;
  std::optional<VisibleWaits> waits_;
  std::optional<OwnershipWatch> ownership_;
  std::optional<TopicWatch> topic_watch_;
  std::optional<Housekeeping> housekeeping_;
};

}  // namespace tidemark
