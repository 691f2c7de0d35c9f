#include "src/runtime/worker_http.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/runtime/metrics.h"
#include "src/status/page.h"

namespace tidemark {
namespace {

// For how long a worker that stops waits for posts that are being written, and for views.
constexpr int64_t kPatienceUs = kSecond;

}  // namespace

WorkerHttp::WorkerHttp(const Plan& plan, const WorkerOptions& options, StatusBoard* board, Look look)
    : plan_(plan), options_(options), board_(*board), look_(std::move(look)) {}

absl::Status WorkerHttp::Start(const Formats& formats, RowSamples* samples) {
  gate_.emplace(plan_, formats, SystemClock());
  TM_RETURN_IF_ERROR(gate_->Prepare(options_.http_address));
  if (options_.handover != nullptr) views_ = options_.handover->ViewsOf(plan_);
  if (views_ == nullptr) {
    views_ = std::make_shared<ViewService>(plan_, options_.view_base);
    TM_RETURN_IF_ERROR(views_->Prepare(options_.http_address));
  }
  HttpEntrances entrances = gate_->Entrances();
  entrances.merge(views_->Entrances());
  if (options_.letters) {
    letter_gate_.emplace(plan_, SystemClock(), options_.letters);
    TM_RETURN_IF_ERROR(letter_gate_->Prepare());
    entrances.merge(letter_gate_->Entrances());
  }
  node_gate_.emplace(plan_, SystemClock(), samples, options_.personal, options_.instance_id,
                     [this](const std::string& stage) { return PartitionsOf(stage); });
  TM_RETURN_IF_ERROR(node_gate_->Prepare(options_.http_address));
  entrances.merge(node_gate_->Entrances());
  const auto health = [](const Health& found) {
    return HttpResponse{found.ok ? 200 : 503, "text/plain; charset=utf-8", found.text, {}};
  };
  HttpHandlers handlers;
  handlers["/metrics"] = [this] { return HttpResponse{200, "text/plain; version=0.0.4", RenderMetrics(look_()), {}}; };
  StatusGuard guard(plan_, SystemClock());
  TM_RETURN_IF_ERROR(guard.Prepare(options_.http_address));
  AddPage(guard, &handlers, &entrances);
  handlers["/healthz"] = [this, health] { return health(CheckHealth(look_())); };
  handlers["/readyz"] = [this, health] { return health(CheckReadiness(look_())); };
  HttpServerOptions http = ServerOptions();
  if (options_.handover != nullptr && options_.handover->listener() >= 0) {
    http.address = options_.handover->address();
    http.listener = options_.handover->listener();
  }
  TM_ASSIGN_OR_RETURN(http_, HttpServer::Start(http, std::move(handlers), std::move(entrances)));
  const std::string here =
      absl::StrCat(options_.http_certificate.empty() ? "http://" : "https://", http_->address(), "/");
  LOG(INFO) << "page on " << here << ", metrics on " << here << "metrics";
  std::ofstream(std::filesystem::path(options_.state_dir) / "http_address") << http_->address() << "\n";
  return absl::OkStatus();
}

HttpServerOptions WorkerHttp::ServerOptions() const {
  return {options_.http_address, options_.http_certificate, options_.http_key, gate_->most_body_bytes()};
}

// The page, which says nothing by itself, for everybody; and what it shows, for whoever may see that.
void WorkerHttp::AddPage(const StatusGuard& guard, HttpHandlers* handlers, HttpEntrances* entrances) {
  for (const PageFile& file : PageFiles()) {
    (*handlers)[file.path] = [&file] {
      return HttpResponse{
          200, file.content_type, file.text, {{"Cache-Control", "no-cache"}, {"Content-Security-Policy", kPagePolicy}}};
    };
  }
  HttpHandlers told;
  told["/v1/topology.svg"] = [this] { return HttpResponse{200, "image/svg+xml", board_.svg(), {}}; };
  told["/v1/status/history"] = [this] {
    return HttpResponse{200, "application/json", board_.history(), {{"Cache-Control", "no-store"}}};
  };
  told["/v1/status"] = [this] {
    std::string text = board_.json();
    if (text.empty()) text = board_.JsonOfStart(look_());
    return HttpResponse{200, "application/json", std::move(text), {{"Cache-Control", "no-store"}}};
  };
  told["/v1/catalogue"] = [this] { return HttpResponse{200, "application/json", options_.catalogue, {}}; };
  guard.Put(std::move(told), handlers, entrances);
  HttpHandlers shared;
  shared["/v1/dashboards"] = [this] { return HttpResponse{200, "application/json", options_.dashboards, {}}; };
  guard.Put(std::move(shared), handlers, entrances, StatusGuard::Who::kAnyView);
}

// Of a stage, those that this worker's tasks have now.
std::vector<int32_t> WorkerHttp::PartitionsOf(const std::string& stage) const {
  std::vector<int32_t> partitions;
  for (const ThreadStatus& thread : look_().threads) {
    for (const TaskStatus& task : thread.tasks) {
      if (task.name == stage) partitions.push_back(task.partition);
    }
  }
  return partitions;
}

absl::Status WorkerHttp::OpenViews() {
  if (!views_->opened()) TM_RETURN_IF_ERROR(views_->Open(options_.instance_id));
  if (options_.handover != nullptr) options_.handover->End();  // from here on this run answers
  return absl::OkStatus();
}

void WorkerHttp::OpenPosts(std::unique_ptr<Appender> appender, HttpGate::AwaitVisible await) {
  gate_->Open(std::move(appender), std::move(await));
}

void WorkerHttp::ClosePosts() { gate_->Close(kPatienceUs); }

void WorkerHttp::CloseViews() { views_->Close(kPatienceUs); }

void WorkerHttp::HandOverViews() {
  if (views_->opened()) options_.handover->Keep(*http_, ServerOptions(), views_);
}

void WorkerHttp::Describe(WorkerStatus* status) const {
  status->gates = gate_->status();
  for (const auto& view : views_->readers()) status->views.push_back(view->status());
  status->view_gates = views_->gate_status();
}

}  // namespace tidemark
