#include "src/runtime/view_gate.h"

#include <atomic>
#include <optional>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <glog/logging.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/codec/column_text.h"
#include "src/http/listener.h"
#include "src/http/tokens.h"
#include "src/views/answer.h"

namespace tidemark {
namespace {

constexpr int kThreads = 2;
constexpr int64_t kMostBodyBytes = int64_t{1} << 20;
constexpr int kMostUnderWay = 512;  // questions of a view that wait or are answered

HttpResponse Error(int status, absl::string_view why) {
  const std::string quoted = JsonQuoted(std::string_view(why.data(), why.size()));
  return {status, "application/json", absl::StrCat("{\"error\":", quoted, "}\n"), {}};
}

HttpResponse Later(int status, absl::string_view why) {
  HttpResponse response = Error(status, why);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

int StatusOf(const absl::Status& status) {
  if (absl::IsFailedPrecondition(status)) return 422;
  return absl::IsInvalidArgument(status) ? 400 : 500;
}

}  // namespace

// A view's entrance. Shared by the server's two paths and by answers under way.
struct ViewGate::Door : std::enable_shared_from_this<Door> {
  Door(const SinkPlan& of_view, Clock* of_clock) : view(of_view), clock(of_clock) {
    if (!view.view->tokens.empty()) tokens.emplace(view.view->tokens, clock);
  }

  std::string path() const { return "/v1/views/" + view.name; }
  std::string scope() const { return "view:" + view.name; }

  // Nothing: it may ask. Of the head alone.
  std::optional<HttpResponse> Begin(const HttpRequest& head, bool post);
  void Take(const HttpRequest& request, bool post, HttpReply reply, const RunTask& run);
  HttpResponse Refuse(int status, const std::string& why) { return Counted(Error(status, why)); }
  HttpResponse Counted(HttpResponse response, int64_t rows = 0) {
    const absl::MutexLock lock(&mutex);
    ++answers[response.status];
    told_rows += rows;
    return response;
  }
  std::shared_ptr<ViewReader> Reader() {
    const absl::MutexLock lock(&mutex);
    return reader;
  }
  HttpResponse Compute(const ViewQuestion& question, ViewFormat format);

  const SinkPlan& view;
  Clock* const clock;
  std::optional<Tokens> tokens;
  std::atomic<int> under_way{0};

  absl::Mutex mutex;
  std::shared_ptr<ViewReader> reader ABSL_GUARDED_BY(mutex);  // null: not open, or closed
  std::map<int, int64_t> answers ABSL_GUARDED_BY(mutex);
  int64_t told_rows ABSL_GUARDED_BY(mutex) = 0;
};

std::optional<HttpResponse> ViewGate::Door::Begin(const HttpRequest& head, bool post) {
  if (tokens) {
    const absl::StatusOr<std::string> name = tokens->Check(head.Header("authorization"), scope());
    if (absl::IsPermissionDenied(name.status())) return Counted(Error(403, name.status().message()));
    if (!name.ok()) {
      HttpResponse response = Error(401, name.status().message());
      response.headers.emplace_back("WWW-Authenticate", "Bearer");
      return Counted(std::move(response));
    }
  }
  if (!FormatOfAccept(head.Header("accept"))) {
    return Counted(Error(406, "application/json, text/csv and application/vnd.apache.arrow.stream are told"));
  }
  if (post && !head.query.empty()) {
    return Counted(
        Error(400, absl::StrCat("'", head.query[0].first, "' stands in the address: a POST asks in its body")));
  }
  if (post && !head.Header("content-encoding").empty()) return Counted(Error(415, "Content-Encoding isn't taken here"));
  std::string why = "the worker starts or stops";
  const std::shared_ptr<ViewReader> from = Reader();
  if (from == nullptr || from->store(&why) == nullptr) {
    HttpResponse response = Later(503, absl::StrCat("view ", view.name, ": ", why));
    response.headers.emplace_back("Connection", "close");  // another worker may be behind the address
    return Counted(std::move(response));
  }
  if (under_way >= kMostUnderWay) return Counted(Later(429, "too many questions are under way"));
  return std::nullopt;
}

void ViewGate::Door::Take(const HttpRequest& request, bool post, HttpReply reply, const RunTask& run) {
  absl::StatusOr<ViewQuestion> question =
      post ? QuestionOfJson(request.body, view.schema) : QuestionOfParameters(request.query, view.schema);
  if (!question.ok()) return reply(Counted(Error(StatusOf(question.status()), question.status().message())));
  const std::shared_ptr<ViewReader> from = Reader();
  if (from == nullptr) return reply(Counted(Later(503, "the worker stops")));
  const ViewFormat format = *FormatOfAccept(request.Header("accept"));
  ++under_way;
  const std::optional<Offset> position = question->min_position;
  const int64_t deadline = clock->MonotonicUs() + question->max_wait_us;
  const auto answer = [self = shared_from_this(), question = *std::move(question), format,
                       reply = std::move(reply)](bool reached) {
    reply(reached ? self->Compute(question, format)
                  : self->Counted(Error(504, absl::StrCat("position ", *question.min_position, " isn't reached yet"))));
    --self->under_way;
  };
  if (!position) return run([answer] { answer(true); });
  from->Await(*position, deadline, [answer, run](bool reached) { run([answer, reached] { answer(reached); }); });
}

HttpResponse ViewGate::Door::Compute(const ViewQuestion& question, ViewFormat format) {
  std::string why = "the worker stops";
  const std::shared_ptr<ViewReader> from = Reader();
  const std::shared_ptr<const ViewStore> store = from == nullptr ? nullptr : from->store(&why);
  if (store == nullptr) return Counted(Later(503, absl::StrCat("view ", view.name, ": ", why)));
  const std::optional<int64_t> age_us = from->age_us();  // before: what is told may be younger, never older
  const absl::StatusOr<ViewPage> page = Answer(question, from->shape(), *store);
  if (!page.ok()) return Counted(Error(StatusOf(page.status()), page.status().message()));
  absl::StatusOr<std::string> rows = RenderRows(*page, view.schema, question.columns, format);
  if (!rows.ok()) return Counted(Error(500, rows.status().message()));
  const std::string as_of = page->moment.as_of ? TimestampText(page->moment.as_of->us, TimestampForm::kRfc3339) : "";
  const std::string age = age_us ? absl::StrCat(*age_us / kMillisecond) : "";
  HttpResponse response;
  response.content_type = ContentTypeOf(format);
  const auto head = [&](const char* name, const std::string& value) {
    if (!value.empty()) response.headers.emplace_back(name, value);
  };
  head("Tidemark-As-Of", as_of);
  head("Tidemark-Position", absl::StrCat(page->moment.position));
  head("Tidemark-Age-Ms", age);
  head("Tidemark-Next", page->next);
  response.headers.emplace_back("Cache-Control", "no-store");
  if (format == ViewFormat::kJson) {
    response.body =
        absl::StrCat("{\"view\":", JsonQuoted(view.name), ",\"as_of\":", as_of.empty() ? "null" : JsonQuoted(as_of),
                     ",\"position\":", page->moment.position, ",\"age_ms\":", age.empty() ? "null" : age,
                     ",\"next\":", page->next.empty() ? "null" : JsonQuoted(page->next), ",\"rows\":", *rows, "}\n");
  } else {
    response.body = *std::move(rows);
  }
  return Counted(std::move(response), page->rows->num_rows());
}

ViewGate::ViewGate(const Plan& plan, Clock* clock, RunTask run) : run_(std::move(run)) {
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.view) doors_.push_back(std::make_shared<Door>(sink, clock));
  }
  if (run_ != nullptr || doors_.empty()) return;
  threads_ = std::make_unique<TaskThread>(kThreads);
  run_ = [threads = threads_.get()](std::function<void()> task) { threads->Run(std::move(task)); };
}

ViewGate::~ViewGate() {
  Close();
  threads_.reset();
}

absl::Status ViewGate::Prepare(const std::string& http_address) {
  for (const auto& door : doors_) {
    if (door->tokens) {
      TM_RETURN_IF_ERROR(Annotate(door->tokens->Load(), absl::StrCat("view ", door->view.name)));
    } else if (!IsLoopback(http_address)) {
      return absl::InvalidArgumentError(absl::StrCat("view ", door->view.name,
                                                     " is asked without tokens, so anybody who reaches ", http_address,
                                                     " could: state `tokens` in it, or listen on 127.0.0.1"));
    } else {
      LOG(WARNING) << "view " << door->view.name << ": without tokens anybody on this machine may ask " << door->path()
                   << ", and whoever a proxy on it lets through";
    }
  }
  return absl::OkStatus();
}

HttpEntrances ViewGate::Entrances() {
  HttpEntrances entrances;
  for (const std::shared_ptr<Door>& door : doors_) {
    for (const bool post : {false, true}) {
      HttpEntrance& entry = entrances[post ? door->path() + "/query" : door->path()];
      entry.method = post ? "POST" : "GET";
      entry.large_answers = true;
      entry.max_body_bytes = post ? kMostBodyBytes : 0;
      entry.begin = [door, post](const HttpRequest& head) { return door->Begin(head, post); };
      entry.take = [this, door, post](HttpRequest request, HttpReply reply) {
        door->Take(request, post, std::move(reply), run_);
      };
      entry.refuse = [door](int status, const std::string& why) { return door->Refuse(status, why); };
    }
  }
  return entrances;
}

void ViewGate::Open(const std::vector<std::shared_ptr<ViewReader>>& readers) {
  readers_ = readers;
  for (const std::shared_ptr<ViewReader>& reader : readers) {
    for (const auto& door : doors_) {
      if (door->view.name != reader->view().name) continue;
      const absl::MutexLock lock(&door->mutex);
      door->reader = reader;
    }
  }
}

void ViewGate::Close() {
  for (const auto& door : doors_) {
    const absl::MutexLock lock(&door->mutex);
    door->reader = nullptr;
  }
  for (const std::shared_ptr<ViewReader>& reader : readers_) reader->EndWaits();
}

std::vector<ViewGateStatus> ViewGate::status() const {
  std::vector<ViewGateStatus> all;
  for (const auto& door : doors_) {
    const absl::MutexLock lock(&door->mutex);
    all.push_back({door->view.name, door->answers, door->told_rows});
  }
  return all;
}

}  // namespace tidemark
