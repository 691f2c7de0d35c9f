// What a worker answers over HTTP: posts, questions to its views, its page and what that shows, rows of a node, dead
// letters, metrics and health. It answers from the first moment on, so that a start that takes long can be looked at;
// posts and views begin once what they need is there.
//
// Made and called by the main thread. Handlers run on the server's threads, and look at the worker by `look`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/codec/formats.h"
#include "src/http/server.h"
#include "src/kafka/appender.h"
#include "src/plan/plan.h"
#include "src/runtime/http_gate.h"
#include "src/runtime/letter_gate.h"
#include "src/runtime/node_gate.h"
#include "src/runtime/status_board.h"
#include "src/runtime/status_guard.h"
#include "src/runtime/view_service.h"
#include "src/runtime/worker.h"
#include "src/runtime/worker_status.h"

namespace tidemark {

class WorkerHttp {
 public:
  using Look = std::function<WorkerStatus()>;  // any thread

  // All that is given outlives this. `board`: what the page shows.
  WorkerHttp(const Plan& plan, const WorkerOptions& options, StatusBoard* board, Look look);

  // Listens, and answers what can be answered. InvalidArgument: a file of tokens or a certificate can't be read.
  absl::Status Start(const Formats& formats, RowSamples* samples);
  // Views are read from now on, or go on being read where a run before has done so.
  absl::Status OpenViews();
  // Posts are accepted from now on.
  void OpenPosts(std::unique_ptr<Appender> appender, HttpGate::AwaitVisible await);

  // Nothing is accepted any more; what is being written is waited for for a moment.
  void ClosePosts();
  void CloseViews();
  // Nothing is answered any more. Whoever asks WorkerStatus of the one who has this does so until then.
  void Stop() { http_.reset(); }
  // To another run of this process, perhaps once a switch is over: views are answered until then. Needs `handover`.
  void HandOverViews();

  const ViewService& views() const { return *views_; }
  std::string address() const { return http_->address(); }
  // What is known of gates and views. Any thread.
  void Describe(WorkerStatus* status) const;

 private:
  HttpServerOptions ServerOptions() const;
  void AddPage(const StatusGuard& guard, HttpHandlers* handlers, HttpEntrances* entrances);
  std::vector<int32_t> PartitionsOf(const std::string& stage) const;

  const Plan& plan_;
  const WorkerOptions& options_;
  StatusBoard& board_;
  const Look look_;
  // In the order of their dependence: the last is destroyed first.
  std::optional<HttpGate> gate_;
  std::shared_ptr<ViewService> views_;  // may outlive the run
  std::optional<LetterGate> letter_gate_;
  std::optional<NodeGate> node_gate_;
  std::unique_ptr<HttpServer> http_;  // last: its handlers look at all of the above
};

}  // namespace tidemark
