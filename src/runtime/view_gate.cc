#include "src/runtime/view_gate.h"

#include <atomic>
#include <optional>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <glog/logging.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/codec/column_text.h"
#include "src/http/listener.h"
#include "src/http/tokens.h"
#include "src/runtime/view_stream.h"
#include "src/views/answer.h"

namespace tidemark {
namespace {

constexpr int kThreads = 2;
constexpr int64_t kMostBodyBytes = int64_t{1} << 20;
constexpr int kMostUnderWay = 512;        // questions of a view that wait or are answered
constexpr size_t kMostAudited = 4 << 10;  // bytes of a question that its audit record holds

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
  // What the server doesn't hand on; `head` is null where it was handed on before. `asks`: how.
  enum class Asks { kByGet, kByPost, kToFollow };
  HttpResponse Refuse(const HttpRequest* head, Asks asks, int status, const std::string& why);
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
  HttpResponse Compute(const ViewQuestion& question, ViewFormat format, int64_t* rows);

  // The stream of changes.
  std::optional<HttpResponse> BeginChanges(const HttpRequest& head);
  void TakeChanges(const HttpRequest& request, HttpReply reply);

  // The name of who has the token, if that may ask; else "".
  std::string Who(const HttpRequest& head) {
    return tokens ? tokens->Check(head.Header("authorization"), scope()).value_or("") : "";
  }
  // Whose the request is; nothing: an answer that refuses it.
  std::optional<HttpResponse> Admit(const HttpRequest& head, std::string* who);
  std::optional<HttpResponse> LookForView();
  // True: one more request of `who` is within the view's rate.
  bool WithinRate(const std::string& who);
  // Who asked what, and was told how much. `what`: of the question.
  void Audit(const std::string& who, const std::string& what, const HttpResponse& response, int64_t rows,
             int64_t took_us);

  const SinkPlan& view;
  Clock* const clock;
  std::optional<Tokens> tokens;
  std::atomic<int> under_way{0};

  absl::Mutex mutex;
  std::shared_ptr<ViewReader> reader ABSL_GUARDED_BY(mutex);  // null: not open, or closed
  std::map<int, int64_t> answers ABSL_GUARDED_BY(mutex);
  int64_t told_rows ABSL_GUARDED_BY(mutex) = 0;
  // A token's allowance: it grows by the rate each second, up to a second's.
  struct Allowance {
    double requests = 0;
    int64_t at_us = 0;
  };
  std::map<std::string, Allowance> allowances ABSL_GUARDED_BY(mutex);
  std::shared_ptr<Appender> audit ABSL_GUARDED_BY(mutex);  // null: not open, closed, or nothing is noted
  std::atomic<int64_t> unaudited{0};
};

namespace {

// What was asked, for the audit record.
std::string Asked(const HttpRequest& request) {
  std::string text = request.body.empty() ? "GET" : "POST ";
  for (size_t i = 0; i < request.query.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? " " : "&", request.query[i].first, "=", request.query[i].second);
  }
  absl::StrAppend(&text, request.body);
  if (text.size() > kMostAudited) text.resize(kMostAudited);
  return text;
}

// A question as a JSON string. It may be cut within a character, and may not be UTF-8 at all: then it is told in ASCII.
std::string QuotedQuestion(std::string text) {
  std::string quoted = JsonQuoted(text);
  if (IsJson(quoted)) return quoted;
  for (char& c : text) {
    if ((static_cast<unsigned char>(c) & 0x80) != 0) c = '?';
  }
  return JsonQuoted(text);
}

}  // namespace

std::optional<HttpResponse> ViewGate::Door::Admit(const HttpRequest& head, std::string* who) {
  if (tokens) {
    const absl::StatusOr<std::string> name = tokens->Check(head.Header("authorization"), scope());
    if (absl::IsPermissionDenied(name.status())) return Error(403, name.status().message());
    if (!name.ok()) {
      HttpResponse response = Error(401, name.status().message());
      response.headers.emplace_back("WWW-Authenticate", "Bearer");
      return response;
    }
    *who = *name;
  }
  if (!WithinRate(*who)) return Later(429, absl::StrCat("more than ", view.view->rate_limit, " requests a second"));
  return std::nullopt;
}

bool ViewGate::Door::WithinRate(const std::string& who) {
  const auto rate = static_cast<double>(view.view->rate_limit);
  if (rate == 0) return true;
  const int64_t now = clock->MonotonicUs();
  const absl::MutexLock lock(&mutex);
  const auto [it, is_new] = allowances.try_emplace(who, Allowance{rate, now});
  Allowance& allowance = it->second;
  const double grown = static_cast<double>(now - allowance.at_us) / static_cast<double>(kSecond) * rate;
  allowance = {std::min(rate, allowance.requests + grown), now};
  if (allowance.requests < 1) return false;
  allowance.requests -= 1;
  return true;
}

std::optional<HttpResponse> ViewGate::Door::LookForView() {
  std::string why = "the worker starts or stops";
  const std::shared_ptr<ViewReader> from = Reader();
  if (from != nullptr && from->store(&why) != nullptr) return std::nullopt;
  HttpResponse response = Later(503, absl::StrCat("view ", view.name, ": ", why));
  response.headers.emplace_back("Connection", "close");  // another worker may be behind the address
  return response;
}

void ViewGate::Door::Audit(const std::string& who, const std::string& what, const HttpResponse& response, int64_t rows,
                           int64_t took_us) {
  std::shared_ptr<Appender> to;
  {
    const absl::MutexLock lock(&mutex);
    to = audit;
  }
  if (view.view->audit.empty()) return;
  if (to == nullptr) {
    ++unaudited;
    return;
  }
  const std::string record =
      absl::StrCat("{\"at\":", JsonQuoted(TimestampText(clock->WallUs(), TimestampForm::kRfc3339)),
                   ",\"view\":", JsonQuoted(view.name), ",\"who\":", tokens ? JsonQuoted(who) : "null",
                   ",\"what\":", QuotedQuestion(what), ",\"status\":", response.status, ",\"rows\":", rows,
                   ",\"bytes\":", response.body.size(), ",\"ms\":", static_cast<double>(took_us) / kMillisecond, "}");
  to->Append(view.view->audit, 0, record, [self = shared_from_this()](const Appended& appended) {
    if (appended.outcome != Appended::Outcome::kIn) ++self->unaudited;
  });
}

std::optional<HttpResponse> ViewGate::Door::Begin(const HttpRequest& head, bool post) {
  std::string who;
  std::optional<HttpResponse> refusal = Admit(head, &who);
  if (!refusal && !FormatOfAccept(head.Header("accept"))) {
    refusal = Error(406, "application/json, text/csv and application/vnd.apache.arrow.stream are told");
  }
  if (!refusal && post && !head.query.empty()) {
    refusal = Error(400, absl::StrCat("'", head.query[0].first, "' stands in the address: a POST asks in its body"));
  }
  if (!refusal && post && !head.Header("content-encoding").empty()) {
    refusal = Error(415, "Content-Encoding isn't taken here");
  }
  if (!refusal) refusal = LookForView();
  if (!refusal && under_way >= kMostUnderWay) refusal = Later(429, "too many questions are under way");
  if (!refusal) return std::nullopt;
  Audit(who, post ? "POST" : Asked(head), *refusal, 0, 0);
  return Counted(*std::move(refusal));
}

void ViewGate::Door::Take(const HttpRequest& request, bool post, HttpReply reply, const RunTask& run) {
  const int64_t began = clock->MonotonicUs();
  const std::string what = view.view->audit.empty() ? "" : Asked(request);
  const std::string who = view.view->audit.empty() ? "" : Who(request);  // as Begin has seen
  const auto tell = [self = shared_from_this(), who, what, began, reply = std::move(reply)](HttpResponse response,
                                                                                            int64_t rows) {
    self->Audit(who, what, response, rows, self->clock->MonotonicUs() - began);
    reply(self->Counted(std::move(response), rows));
  };
  absl::StatusOr<ViewQuestion> question =
      post ? QuestionOfJson(request.body, view.schema) : QuestionOfParameters(request.query, view.schema);
  if (!question.ok()) return tell(Error(StatusOf(question.status()), question.status().message()), 0);
  const std::shared_ptr<ViewReader> from = Reader();
  if (from == nullptr) return tell(Later(503, "the worker stops"), 0);
  const ViewFormat format = *FormatOfAccept(request.Header("accept"));
  ++under_way;
  const std::optional<Offset> position = question->min_position;
  const int64_t deadline = clock->MonotonicUs() + question->max_wait_us;
  const auto answer = [self = shared_from_this(), question = *std::move(question), format, tell](bool reached) {
    int64_t rows = 0;
    HttpResponse response = reached
                                ? self->Compute(question, format, &rows)
                                : Error(504, absl::StrCat("position ", *question.min_position, " isn't reached yet"));
    tell(std::move(response), rows);
    --self->under_way;
  };
  if (!position) return run([answer] { answer(true); });
  from->Await(*position, deadline, [answer, run](bool reached) { run([answer, reached] { answer(reached); }); });
}

HttpResponse ViewGate::Door::Refuse(const HttpRequest* head, Asks asks, int status, const std::string& why) {
  HttpResponse response = Counted(Error(status, why));
  // What was handed on is noted by whoever answers it.
  if (head == nullptr || view.view->audit.empty()) return response;
  const std::string what = asks == Asks::kByPost     ? "POST"
                           : asks == Asks::kToFollow ? absl::StrCat("follow: ", Asked(*head))
                                                     : Asked(*head);
  Audit(Who(*head), what, response, 0, 0);
  return response;
}

std::optional<HttpResponse> ViewGate::Door::BeginChanges(const HttpRequest& head) {
  std::string who;
  std::optional<HttpResponse> refusal = Admit(head, &who);
  const std::string_view accept = head.Header("accept");
  const absl::string_view accepts(accept.data(), accept.size());
  if (!refusal && !accept.empty() && !absl::StrContains(accepts, "text/event-stream") &&
      !absl::StrContains(accepts, "*/*") && !absl::StrContains(accepts, "text/*")) {
    refusal = Error(406, "changes are told as text/event-stream");
  }
  for (const auto& [name, value] : head.query) {
    if (refusal || name == "after") continue;
    refusal = Error(400, absl::StrCat("unknown parameter '", name,
                                      "': all changes of the view are told; `after` is a "
                                      "position to go on from"));
  }
  if (!refusal) refusal = LookForView();
  if (!refusal) return std::nullopt;
  Audit(who, absl::StrCat("follow: ", Asked(head)), *refusal, 0, 0);
  return Counted(*std::move(refusal));
}

void ViewGate::Door::TakeChanges(const HttpRequest& request, HttpReply reply) {
  const std::string who = Who(request);
  const auto tell = [&](HttpResponse response) {
    Audit(who, absl::StrCat("follow: ", Asked(request)), response, 0, 0);
    reply(Counted(std::move(response)));
  };
  std::string_view stated = request.Header("last-event-id");
  for (const auto& [name, value] : request.query) {
    if (stated.empty()) stated = value;
  }
  std::optional<ViewPlace> after;
  if (!stated.empty()) {
    after = ViewPlace::Parse(stated);
    if (!after) {
      return tell(
          Error(400, "Last-Event-ID and `after` are positions: the id of an event, or the `position` of an answer"));
    }
  }
  const std::shared_ptr<ViewReader> from = Reader();
  if (from == nullptr) return tell(Later(503, "the worker stops"));
  const std::string token(request.Header("authorization"));
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  response.stream = std::make_shared<ViewStream>(
      from, std::move(after),
      [self = shared_from_this(), token] {
        return self->Reader() != nullptr && (!self->tokens || self->tokens->Check(token, self->scope()).ok());
      },
      clock);
  tell(std::move(response));
}

HttpResponse ViewGate::Door::Compute(const ViewQuestion& question, ViewFormat format, int64_t* told) {
  std::string why = "the worker stops";
  const std::shared_ptr<ViewReader> from = Reader();
  const std::shared_ptr<const ViewStore> store = from == nullptr ? nullptr : from->store(&why);
  if (store == nullptr) return Later(503, absl::StrCat("view ", view.name, ": ", why));
  const std::optional<int64_t> age_us = from->age_us();  // before: what is told may be younger, never older
  const absl::StatusOr<ViewPage> page = Answer(question, from->shape(), *store);
  if (!page.ok()) return Error(StatusOf(page.status()), page.status().message());
  absl::StatusOr<std::string> rows = RenderRows(*page, view.schema, question.columns, format);
  if (!rows.ok()) return Error(500, rows.status().message());
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
  *told = page->rows->num_rows();
  return response;
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
      entry.refuse = [door, post](const HttpRequest* head, int status, const std::string& why) {
        return door->Refuse(head, post ? Door::Asks::kByPost : Door::Asks::kByGet, status, why);
      };
    }
    HttpEntrance& changes = entrances[door->path() + "/changes"];
    changes.method = "GET";
    changes.streams = true;
    changes.begin = [door](const HttpRequest& head) { return door->BeginChanges(head); };
    changes.take = [door](HttpRequest request, HttpReply reply) { door->TakeChanges(request, std::move(reply)); };
    changes.refuse = [door](const HttpRequest* head, int status, const std::string& why) {
      return door->Refuse(head, Door::Asks::kToFollow, status, why);
    };
  }
  return entrances;
}

void ViewGate::Open(const std::vector<std::shared_ptr<ViewReader>>& readers, std::unique_ptr<Appender> audit) {
  readers_ = readers;
  audit_ = std::move(audit);
  for (const auto& door : doors_) {
    const absl::MutexLock lock(&door->mutex);
    door->audit = audit_;
  }
  for (const std::shared_ptr<ViewReader>& reader : readers) {
    for (const auto& door : doors_) {
      if (door->view.name != reader->view().name) continue;
      const absl::MutexLock lock(&door->mutex);
      door->reader = reader;
    }
  }
}

void ViewGate::Close(int64_t max_wait_us) {
  for (const auto& door : doors_) {
    const absl::MutexLock lock(&door->mutex);
    door->reader = nullptr;
    door->audit = nullptr;
  }
  for (const std::shared_ptr<ViewReader>& reader : readers_) reader->EndWaits();
  if (audit_ != nullptr) audit_->Close(max_wait_us);
  audit_ = nullptr;
}

std::vector<ViewGateStatus> ViewGate::status() const {
  std::vector<ViewGateStatus> all;
  for (const auto& door : doors_) {
    const absl::MutexLock lock(&door->mutex);
    all.push_back({door->view.name, door->answers, door->told_rows,
                   door->reader == nullptr ? 0 : door->reader->changes()->followers(), door->unaudited});
  }
  return all;
}

}  // namespace tidemark
