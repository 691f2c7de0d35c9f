#include "src/runtime/view_service.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/kafka/rdkafka_client.h"

namespace tidemark {
namespace {

constexpr int64_t kStepWaitUs = kSecond / 10;
constexpr int64_t kConfirmedUs = kSecond / 2;  // how often the ends of views' logs are asked for
constexpr int64_t kAppendPatienceUs = 8 * kSecond;

void LogKafka(int level, std::string_view text) {
  if (level > 4) return;
  LOG_EVERY_T(WARNING, 10) << "kafka, of views: " << text;
}

HttpResponse Line(int status, const std::string& text) {
  return {status, "text/plain; charset=utf-8", text + "\n", {}};
}

}  // namespace

ViewService::ViewService(Plan plan, Offset base)
    : plan_(std::move(plan)), base_(base), memory_(plan_.memory_bytes / 8), gate_(plan_, SystemClock()) {
  runtime_.plan = &plan_;
  runtime_.clock = SystemClock();
  runtime_.control = &control_;
}

ViewService::~ViewService() {
  Close(0);
  for (std::thread& thread : threads_) thread.join();
}

absl::Status ViewService::Open(const std::string& instance_id) {
  opened_ = true;
  std::unique_ptr<Appender> audit;
  for (const SinkPlan& sink : plan_.sinks) {
    if (!sink.view) continue;
    if (kafka_ == nullptr) {
      TM_ASSIGN_OR_RETURN(kafka_, NewRdKafkaClient(plan_.kafka, LogKafka));
      runtime_.kafka = kafka_.get();
    }
    if (!sink.view->audit.empty() && audit == nullptr) {
      TM_ASSIGN_OR_RETURN(audit,
                          NewRdAppender(plan_.kafka, absl::StrCat(plan_.application.Group(), "-audit-", instance_id),
                                        kAppendPatienceUs, LogKafka));
    }
    readers_.push_back(std::make_shared<ViewReader>(runtime_, sink, &memory_, base_));
  }
  gate_.Open(readers_, std::move(audit));
  for (const auto& reader : readers_) {
    threads_.emplace_back([this, reader] { Read(reader.get()); });
  }
  if (!readers_.empty()) threads_.emplace_back([this] { ConfirmEnds(); });
  return absl::OkStatus();
}

void ViewService::Read(ViewReader* reader) {
  while (!control_.stop) {
    const absl::Status status = reader->Step(kStepWaitUs);
    if (status.ok()) continue;
    {
      const absl::MutexLock lock(&mutex_);
      failure_.Update(status);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(kStepWaitUs));  // whoever waits is told in Step
  }
}

absl::Status ViewService::failure() const {
  const absl::MutexLock lock(&mutex_);
  return failure_;
}

void ViewService::Close(int64_t max_wait_us) {
  gate_.Close(max_wait_us);
  control_.stop = true;
}

// What had been committed when it was asked for: so views know how old they are, and that they are behind.
void ViewService::ConfirmEnds() {
  std::vector<TopicPartition> logs;
  std::vector<std::string> names;
  for (const auto& reader : readers_) {
    logs.push_back(reader->log());
    names.push_back(reader->log().topic);
  }
  for (int64_t asked_us = 0; !control_.stop;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const int64_t now = runtime_.clock->MonotonicUs();
    if (now - asked_us < kConfirmedUs) continue;
    asked_us = now;
    const auto ends = kafka_->admin().LogEnds(logs, Isolation::kReadCommitted);
    if (!ends.ok()) continue;
    const auto topics = kafka_->admin().Describe(names);
    for (size_t i = 0; topics.ok() && i < readers_.size(); ++i) {
      const auto end = ends->find(logs[i]);
      const auto topic = topics->find(logs[i].topic);
      if (end == ends->end() || topic == topics->end()) continue;
      readers_[i]->Confirm(end->second, asked_us, topic->second.id);
    }
  }
}

bool ViewService::ready() const {
  return std::all_of(readers_.begin(), readers_.end(), [](const auto& reader) { return reader->status().ready; });
}

std::optional<Offset> ViewService::LogPositionOf(const std::string& view) const {
  for (const auto& reader : readers_) {
    if (reader->view().name != view) continue;
    const ViewStatus status = reader->status();
    return status.ready ? std::optional<Offset>(status.position - base_) : std::nullopt;
  }
  return std::nullopt;
}

std::shared_ptr<ViewService> ViewHandover::ViewsOf(const Plan& plan) const {
  if (views_ == nullptr || views_->plan().application.Key() != plan.application.Key()) return nullptr;
  const auto views = [](const Plan& of) {
    std::vector<const SinkPlan*> found;
    for (const SinkPlan& sink : of.sinks) {
      if (sink.view) found.push_back(&sink);
    }
    return found;
  };
  const std::vector<const SinkPlan*> kept = views(views_->plan()), wanted = views(plan);
  const bool same =
      std::equal(kept.begin(), kept.end(), wanted.begin(), wanted.end(), [](const auto* a, const auto* b) {
        return a->name == b->name && a->schema == b->schema &&
               std::get<KafkaSinkSpec>(a->spec).topic == std::get<KafkaSinkSpec>(b->spec).topic;
      });
  return same ? views_ : nullptr;
}

void ViewHandover::Keep(const HttpServer& server, HttpServerOptions options, std::shared_ptr<ViewService> views) {
  if (views->readers().empty()) return;
  options.address = server.address();
  options.listener = server.listener();
  HttpHandlers handlers;
  handlers["/healthz"] = [] { return Line(200, "ok: waits for a switch of generations"); };
  handlers["/readyz"] = [views] {
    return views->ready() ? Line(200, "ok: answers views while it waits for a switch of generations")
                          : Line(503, "waits for a switch of generations, and reads views");
  };
  auto started = HttpServer::Start(options, std::move(handlers), views->Entrances());
  if (!started.ok()) {
    LOG(WARNING) << "views aren't answered until the switch is over: " << started.status().message();
    return;
  }
  stand_in_.reset();
  views_ = std::move(views);
  stand_in_ = *std::move(started);
  LOG(INFO) << "views are answered on " << stand_in_->address() << " while this worker waits";
}

}  // namespace tidemark
