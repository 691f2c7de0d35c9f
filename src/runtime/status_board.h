// Where all workers of an application see each other: each says every two seconds how it is, in the status topic, and
// reads what the others say (status_reader.h); what all of them come to is ready for whoever asks any worker. Workers
// that say nothing any more vanish after ten seconds, those that stop say so.
//
// It is nobody's input and touches no task: a thread of its own asks, folds and writes, and where Kafka is away, or the
// topic can't be made, the status is that of this worker alone, with the reason. What it holds is bounded by the number
// of workers and their tasks.
//
// Step and Close are called by one thread, the others by any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/kafka/appender.h"
#include "src/runtime/runtime.h"
#include "src/runtime/status_reader.h"
#include "src/runtime/status_report.h"
#include "src/runtime/worker_status.h"
#include "src/status/graph.h"

namespace tidemark {

class StatusBoard {
 public:
  using MakeAppender = std::function<absl::StatusOr<std::unique_ptr<Appender>>()>;

  // `address`: of this worker's HTTP server. `look`: what this worker does now.
  StatusBoard(const Plan& plan, Clock* clock, BoxTexts texts);

  // What it needs once the worker has it; before, it tells that the worker starts. `runtime` outlives this.
  void Open(const Runtime* runtime, std::string address, std::function<WorkerStatus()> look, MakeAppender appender);
  // Called by Step with each report that it says, which may be added to, and with those that others have said. Before
  // Open. Then Close waits a moment for the last word of others that stop, too.
  using Observe = std::function<void(const std::vector<HeardReport>& others, live::WorkerReport* own)>;
  void SetObserver(Observe observe) { observe_ = std::move(observe); }
  // Says, listens and folds where it is due, and waits for at most so long. Always OK.
  absl::Status Step(int64_t max_wait_us);
  // The last word.
  void Close();

  // As JSON (docs/status.md).
  std::string json() const;
  std::string history() const;
  // Of a worker that doesn't run its threads yet.
  std::string JsonOfStart(const WorkerStatus& now) const;
  const std::string& svg() const { return svg_; }

 private:
  absl::Status Connect();
  void Say(live::WorkerReport report);
  std::vector<HeardReport> Others() const;
  void Publish(const live::WorkerReport& own);
  void Remember(const live::Application& application);

  const Plan& plan_;
  Clock* const clock_;
  const BoxTexts texts_;
  const Graph graph_;
  const std::string svg_;
  const std::string process_;
  const Runtime* runtime_ = nullptr;
  std::function<WorkerStatus()> look_;
  MakeAppender make_appender_;
  Observe observe_;  // null: nobody
  std::optional<StatusReporter> reporter_;
  std::optional<StatusReader> reader_;
  std::unique_ptr<Appender> appender_;  // null: not connected
  std::string note_;                    // why the others can't be heard
  // Monotonic; not before.
  int64_t connect_at_us_ = 0, say_at_us_ = 0, remember_at_us_ = 0;

  mutable absl::Mutex mutex_;
  std::string json_ ABSL_GUARDED_BY(mutex_);
  live::History history_ ABSL_GUARDED_BY(mutex_);
};

// How the status topic is made.
TopicToCreate StatusTopicToCreate(const Plan& plan);

}  // namespace tidemark
