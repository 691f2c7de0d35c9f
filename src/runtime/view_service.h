// The views of a worker as one thing that can outlive its run: readers (view_reader.h) with the threads that they need,
// and the gate that answers from them (view_gate.h). A worker process that goes from one run to the next, as in a
// switch of generations (generations/generation_run.h), keeps it, and answers on: ViewHandover.
//
// It shares nothing with the run: a client, a plan and memory of its own. Used by the main thread; readers and gate say
// what other threads may call.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/base/memory_budget.h"
#include "src/http/server.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/runtime.h"
#include "src/runtime/view_gate.h"
#include "src/runtime/view_reader.h"

namespace tidemark {

class ViewService {
 public:
  // `base`: positions are told as so much more than they are in the views' logs (view_reader.h).
  ViewService(Plan plan, Offset base);
  ~ViewService();

  // As ViewGate's.
  absl::Status Prepare(const std::string& http_address) { return gate_.Prepare(http_address); }
  HttpEntrances Entrances() { return gate_.Entrances(); }
  // Begins to read, and to answer; once. Topics of the views are there.
  absl::Status Open(const std::string& instance_id);
  bool opened() const { return opened_; }
  // Nothing is answered any more, and readers are told to end, whom the destructor waits for.
  void Close(int64_t max_wait_us);

  const Plan& plan() const { return plan_; }
  const std::vector<std::shared_ptr<ViewReader>>& readers() const { return readers_; }
  std::vector<ViewGateStatus> gate_status() const { return gate_.status(); }
  // All of them answer.
  bool ready() const;
  // Why one of them never will: final, the worker has to end. Any thread.
  absl::Status failure() const;
  // How far a view's log is told here; nothing: it doesn't answer. Any thread.
  std::optional<Offset> LogPositionOf(const std::string& view) const;

 private:
  void Read(ViewReader* reader);
  void ConfirmEnds();

  const Plan plan_;
  const Offset base_;
  RunControl control_;
  Runtime runtime_;
  MemoryBudget memory_;
  std::unique_ptr<KafkaClient> kafka_;
  std::vector<std::shared_ptr<ViewReader>> readers_;
  ViewGate gate_;
  bool opened_ = false;
  mutable absl::Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

// Between two runs of one process: its views answer at its address, on the same socket, so that nobody who asks is
// refused. What else is asked there is told to wait. Main thread.
class ViewHandover {
 public:
  // For the next run. Null: there are none of this very plan's views.
  std::shared_ptr<ViewService> ViewsOf(const Plan& plan) const;
  // The socket that the next run's server takes connections from, too; -1: none.
  int listener() const { return stand_in_ == nullptr ? -1 : stand_in_->listener(); }
  std::string address() const { return stand_in_ == nullptr ? "" : stand_in_->address(); }

  // Before the run's own server ends. What fails is logged: then nobody answers until the next run does.
  void Keep(const HttpServer& server, HttpServerOptions options, std::shared_ptr<ViewService> views);
  // The next run's server answers.
  void End() { stand_in_.reset(); }

 private:
  std::shared_ptr<ViewService> views_;
  std::unique_ptr<HttpServer> stand_in_;  // before what it answers from
};

}  // namespace tidemark
