#include "src/http/server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include <absl/base/thread_annotations.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <glog/logging.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/http/certificate.h"
#include "src/http/connections.h"
#include "src/http/handshakes.h"
#include "src/http/later_answers.h"
#include "src/http/listener.h"

namespace tidemark {
namespace {

// One more is made room for by the one that has been idle for longest: who idles loses against who asks.
constexpr size_t kMostConnections = 2048;  // and no more than a quarter of the files that the process may have open
constexpr unsigned int kIdleTimeoutSeconds = 60;
constexpr size_t kConnectionBytes = 64 << 10;
// Of the connections, three quarters may have requests under way, a half answers that go on; and those of one path a
// quarter, where there are several such paths.
constexpr size_t kUnderWayQuarters = 3, kStreamsQuarters = 2, kStreamsOfOneQuarters = 1;
constexpr size_t kStreamBlock = 16 << 10;  // that a stream is asked for at once
// Who posts a body that pauses for so long is gone.
constexpr unsigned int kBodyPauseSeconds = 10;
// A body that nobody wants is read all the same, so that its sender reads the answer, unless it is larger than this.
constexpr int64_t kMostUnwanted = int64_t{64} << 20;
// How long a body may take: so long, and a second more for each so many bytes.
constexpr int64_t kBodyTimeUs = 10 * kSecond;
constexpr int64_t kSlowestBytesPerSecond = 64 << 10;
// An answer has to be taken as a body has to come; of large ones no more are begun while so much is on its way.
constexpr int64_t kMostAnswerBytes = int64_t{64} << 20;
constexpr int kLongestPollMs = 60'000;
constexpr absl::Duration kLongestStop = absl::Seconds(1);
// Of connections that were taken right before a stop, whose heads aren't here yet.
constexpr std::chrono::milliseconds kHeadsUnderWay(20);

HttpResponse Text(int status, std::string text) {
  return {status, "text/plain; charset=utf-8", std::move(text) + "\n", {}};
}

size_t MostConnections() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kMostConnections;
  return std::clamp<size_t>(limit.rlim_cur / 4, 16, kMostConnections);
}

// A socket that another server listens on.
absl::StatusOr<Listener> Share(int listener, const std::string& address) {
  const int socket = fcntl(listener, F_DUPFD_CLOEXEC, 0);
  if (socket >= 0) return Listener{socket, address};
  return absl::ResourceExhaustedError(absl::StrCat("HTTP: the socket of ", address, " can't be shared"));
}

// A request under way, touched by the server's thread only.
struct Exchange {
  HttpRequest request;
  const HttpEntrance* entrance = nullptr;
  std::optional<HttpResponse> refusal;  // known before the body is
  int64_t unwanted = 0;                 // bytes that were thrown away
  int64_t counted = 0;                  // bytes of the body among the server's
  int64_t answer_bytes = 0;             // likewise
  int64_t began_us = 0;
  bool under_way = false;                // counted among those of the server
  bool active = false;                   // a stop waits for it
  std::shared_ptr<Pending> pending;      // once the body is with whoever answers
  std::shared_ptr<Streaming> streaming;  // once an answer that goes on has begun
};

class MicroServer final : public HttpServer {
 public:
  MicroServer(HttpHandlers handlers, HttpEntrances entrances, int64_t most_body_bytes)
      : handlers_(std::move(handlers)), entrances_(std::move(entrances)), most_body_bytes_(most_body_bytes) {}

  ~MicroServer() override {
    if (daemon_ != nullptr) Stop();
    if (wake_ >= 0) close(wake_);
  }

  absl::Status Serve(const HttpServerOptions& options) {
    const bool tls = !options.certificate.empty() || !options.key.empty();
    wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_ < 0) return absl::ResourceExhaustedError("HTTP: there is no file for the server's thread");
    if (tls) TM_RETURN_IF_ERROR(LoadCertificate(options));
    TM_ASSIGN_OR_RETURN(const Listener listener,
                        options.listener < 0 ? Listen(options.address) : Share(options.listener, options.address));
    address_ = listener.address;
    listener_ = listener.socket;
    std::vector<MHD_OptionItem> items = {
        {MHD_OPTION_EXTERNAL_LOGGER, reinterpret_cast<intptr_t>(&MicroServer::OnLog), this},
        {MHD_OPTION_LISTEN_SOCKET, listener.socket, nullptr},
        {MHD_OPTION_CONNECTION_LIMIT, static_cast<intptr_t>(most_connections_ + 256), nullptr},
        {MHD_OPTION_CONNECTION_TIMEOUT, kIdleTimeoutSeconds, nullptr},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, static_cast<intptr_t>(kConnectionBytes), nullptr},
        {MHD_OPTION_NOTIFY_CONNECTION, reinterpret_cast<intptr_t>(&MicroServer::OnConnection), this},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, nullptr},
        {MHD_OPTION_NOTIFY_COMPLETED, reinterpret_cast<intptr_t>(&MicroServer::OnCompleted), this},
    };
    items.push_back({MHD_OPTION_END, 0, nullptr});
    unsigned int flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (tls) {
      daemon_ =
          MHD_start_daemon(flags | MHD_USE_TLS, 0, nullptr, nullptr, &MicroServer::OnRequest, this, MHD_OPTION_ARRAY,
                           items.data(), MHD_OPTION_HTTPS_CERT_CALLBACK, &Handshakes::Show, MHD_OPTION_END);
    } else {
      daemon_ = MHD_start_daemon(flags, 0, nullptr, nullptr, &MicroServer::OnRequest, this, MHD_OPTION_ARRAY,
                                 items.data(), MHD_OPTION_END);
    }
    if (daemon_ != nullptr) {
      thread_ = std::thread([this] { Run(); });
      return absl::OkStatus();
    }
    close(listener.socket);
    return absl::InternalError("HTTP: the server can't be started");
  }

  const std::string& address() const override { return address_; }
  int listener() const override { return listener_; }

 private:
  absl::Status LoadCertificate(const HttpServerOptions& options) {
    if (options.certificate.empty() || options.key.empty()) {
      return absl::InvalidArgumentError("HTTP: a certificate and its key go together: --http_certificate, --http_key");
    }
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
      return absl::InvalidArgumentError("HTTP: this build's libmicrohttpd has no TLS");
    }
    certificate_.emplace(options.certificate, options.key, SystemClock());
    TM_RETURN_IF_ERROR(certificate_->Load());
    handshakes_.emplace(&*certificate_, wake_, options.handshake_us, options.before_handshake);
    return handshakes_->Start();
  }

  // The server's thread. The library is run from here, and not by a thread of its own, because of what has to be done
  // between its runs.
  void Run() {
    sigset_t broken_pipes;
    sigemptyset(&broken_pipes);
    sigaddset(&broken_pipes, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipes, nullptr);
    pollfd events[] = {{MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, POLLIN, 0},
                       {wake_, POLLIN, 0}};
    while (!over_) {
      MHD_UNSIGNED_LONG_LONG most_ms = 0;
      const bool bounded = MHD_get_timeout(daemon_, &most_ms) == MHD_YES;
      int wait_ms = bounded ? static_cast<int>(std::min<MHD_UNSIGNED_LONG_LONG>(most_ms, kLongestPollMs)) : -1;
      // Where it was at a limit the library doesn't listen, and begins to again in the run behind the one that has
      // closed a connection, of which it says nothing.
      if (std::exchange(closed_one_, false)) wait_ms = 0;
      poll(events, 2, wait_ms);
      eventfd_t unused = 0;
      eventfd_read(wake_, &unused);
      MHD_run(daemon_);
      if (handshakes_) handshakes_->HandOn();
    }
  }

  // ---- What the library calls, on its thread.

  static void OnLog(void*, const char* format, va_list arguments) {
    char text[512];
    std::vsnprintf(text, sizeof text, format, arguments);
    LOG_EVERY_T(WARNING, 1) << "HTTP: " << text;
  }

  static void OnConnection(void* self, MHD_Connection* connection, void** context,
                           MHD_ConnectionNotificationCode code) {
    auto* const server = static_cast<MicroServer*>(self);
    const bool closed = code == MHD_CONNECTION_NOTIFY_CLOSED;
    if (closed) server->closed_one_ = true;
    server->connections_.Notice(connection, context, closed);
    if (server->handshakes_) server->handshakes_->Notice(connection, closed);
  }

  void SetActive(Exchange* exchange, bool active) {
    if (exchange->active == active) return;
    exchange->active = active;
    active_ += active ? 1 : -1;
  }

  static MHD_Result OnRequest(void* self, MHD_Connection* connection, const char* url, const char* method, const char*,
                              const char* upload, size_t* upload_size, void** context) {
    auto* const server = static_cast<MicroServer*>(self);
    auto*& exchange = reinterpret_cast<Exchange*&>(*context);
    if (exchange == nullptr) {
      exchange = new Exchange();
      server->SetActive(exchange, true);
      server->connections_.SetState(connection, Connections::State::kBusy);
      server->Begin(connection, url, method, exchange);
      // With an answer that can't wait, the rest isn't read.
      if (exchange->refusal && exchange->unwanted > kMostUnwanted)
        return server->Send(connection, exchange, *exchange->refusal);
      if (exchange->refusal && Awaits100(connection)) return server->Send(connection, exchange, *exchange->refusal);
      if (exchange->entrance == nullptr) return MHD_YES;
      MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, kBodyPauseSeconds);
      server->SetActive(exchange, false);
      return MHD_YES;
    }
    if (*upload_size > 0) {
      const bool goes_on = server->TakeBytes({upload, *upload_size}, exchange);
      *upload_size = 0;
      return goes_on ? MHD_YES : MHD_NO;
    }
    server->SetActive(exchange, true);
    server->connections_.SetState(connection, Connections::State::kBusy);
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, kIdleTimeoutSeconds);
    if (exchange->refusal) return server->Send(connection, exchange, *exchange->refusal);
    return server->Finish(connection, exchange);
  }

  // The client asks before it sends the body (Expect: 100-continue).
  static bool Awaits100(MHD_Connection* connection) {
    const char* const expects = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    return expects != nullptr && absl::EqualsIgnoreCase(expects, "100-continue");
  }

  void Begin(MHD_Connection* connection, const char* url, std::string_view method, Exchange* exchange) {
    HttpRequest& request = exchange->request;
    request.path = url;
    exchange->began_us = SystemClock()->MonotonicUs();
    connections_.ShutSlow();
    const auto entrance = entrances_.find(request.path);
    if (entrance == entrances_.end() || method != entrance->second.method) {
      exchange->refusal = AnswerGet(request.path, method, entrance == entrances_.end() ? "" : entrance->second.method);
      return NoteLength(connection, exchange);
    }
    exchange->entrance = &entrance->second;
    Collect(connection, MHD_HEADER_KIND, &request.headers);
    Collect(connection, MHD_GET_ARGUMENT_KIND, &request.query);
    if (stopping_) {
      exchange->refusal = Later(*exchange, 503, "the worker stops");
    } else if (under_way_ >= Quarters(kUnderWayQuarters)) {
      exchange->refusal = Later(*exchange, 429, "too many requests are under way");
      exchange->unwanted = kMostUnwanted + 1;  // it is told so at once: who is left has to be able to come in
    } else if (exchange->entrance->large_answers && answer_bytes_ > kMostAnswerBytes) {
      exchange->refusal = Later(*exchange, 429, "too many answers are on their way");
    } else if (exchange->entrance->streams && !HasPlace(exchange->entrance)) {
      exchange->refusal = Later(*exchange, 429, "too many follow already");
    } else {
      exchange->refusal = exchange->entrance->begin(request);
      // Who is refused, as strangers are, takes nobody's place.
      exchange->under_way = !exchange->refusal;
      if (exchange->under_way) CountUnderWay(*exchange, 1);
    }
    NoteLength(connection, exchange);
  }

  size_t Quarters(size_t quarters) const { return most_connections_ / 4 * quarters; }

  // For one more answer that goes on.
  bool HasPlace(const HttpEntrance* entrance) {
    const bool alone =
        std::count_if(entrances_.begin(), entrances_.end(), [](const auto& each) { return each.second.streams; }) == 1;
    return streaming_ < Quarters(kStreamsQuarters) &&
           (alone || streaming_of_[entrance] < Quarters(kStreamsOfOneQuarters));
  }

  void CountUnderWay(const Exchange& exchange, int more) {
    under_way_ += more;
    if (!exchange.entrance->streams) return;
    streaming_ += more;
    streaming_of_[exchange.entrance] += more;
  }

  // Of what the head says of the body.
  static void NoteLength(MHD_Connection* connection, Exchange* exchange) {
    int64_t length = 0;
    const char* const stated = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (stated == nullptr || !absl::SimpleAtoi(stated, &length)) return;
    if (!exchange->refusal && length > exchange->entrance->max_body_bytes) exchange->refusal = TooLarge(*exchange);
    if (length > kMostUnwanted) exchange->unwanted = length;
  }

  static void Collect(MHD_Connection* connection, MHD_ValueKind kind,
                      std::vector<std::pair<std::string, std::string>>* out) {
    MHD_get_connection_values(
        connection, kind,
        [](void* to, MHD_ValueKind, const char* key, const char* value) {
          static_cast<decltype(out)>(to)->emplace_back(key, value == nullptr ? "" : value);
          return MHD_YES;
        },
        out);
  }

  static HttpResponse TooLarge(const Exchange& exchange) {
    return exchange.entrance->refuse(
        &exchange.request, 413, absl::StrCat("a body may have ", exchange.entrance->max_body_bytes, " bytes here"));
  }

  static HttpResponse Later(const Exchange& exchange, int status, const std::string& why) {
    HttpResponse response = exchange.entrance->refuse(&exchange.request, status, why);
    response.headers.emplace_back("Retry-After", "1");
    return response;
  }

  // `instead`: the method that the path is answered by, where that is another; else "".
  HttpResponse AnswerGet(const std::string& path, std::string_view method, const std::string& instead) const {
    const auto handler = handlers_.find(path);
    if (handler == handlers_.end() && instead.empty()) {
      std::string text = "not found; there is:";
      for (const auto& [known, unused] : handlers_) absl::StrAppend(&text, " ", known);
      for (const auto& [known, entrance] : entrances_) {
        if (entrance.listed) absl::StrAppend(&text, " ", known);
      }
      return Text(404, text);
    }
    if (!instead.empty() || (method != "GET" && method != "HEAD")) {
      HttpResponse response = Text(405, absl::StrCat("only ", instead.empty() ? "GET" : instead, " is answered here"));
      response.headers.emplace_back("Allow", instead.empty() ? "GET, HEAD" : instead);
      return response;
    }
    return handler->second();
  }

  // False: the connection is closed.
  bool TakeBytes(std::string_view bytes, Exchange* exchange) {
    const auto size = static_cast<int64_t>(bytes.size());
    const int64_t read = static_cast<int64_t>(exchange->request.body.size()) + exchange->unwanted;
    const int64_t allowed_us = kBodyTimeUs + (read + size) / kSlowestBytesPerSecond * kSecond;
    if (SystemClock()->MonotonicUs() - exchange->began_us > allowed_us) return false;
    if (!exchange->refusal && read + size > exchange->entrance->max_body_bytes) exchange->refusal = TooLarge(*exchange);
    if (!exchange->refusal && body_bytes_ + size > most_body_bytes_) {
      exchange->refusal = Later(*exchange, 429, "too many bodies are on their way");
    }
    if (exchange->refusal) {
      exchange->unwanted += size;
      return exchange->unwanted <= kMostUnwanted;
    }
    body_bytes_ += size;
    exchange->counted += size;
    exchange->request.body.append(bytes);
    return true;
  }

  // The body is whole; or its answer has come.
  MHD_Result Finish(MHD_Connection* connection, Exchange* exchange) {
    if (exchange->pending == nullptr) {
      ++handing_on_;  // before it looks for a stop, which looks for this afterwards
      const bool too_late = stopping_;
      if (!too_late) HandOn(connection, exchange);
      --handing_on_;
      if (too_late) return Send(connection, exchange, Later(*exchange, 503, "the worker stops"));
    }
    const absl::MutexLock lock(&exchange->pending->mutex);
    if (exchange->pending->response) return Send(connection, exchange, *exchange->pending->response);
    connections_.SetState(connection, Connections::State::kWaits);
    MHD_suspend_connection(connection);
    exchange->pending->suspended = true;
    return MHD_YES;
  }

  void HandOn(MHD_Connection* connection, Exchange* exchange) {
    exchange->pending = std::make_shared<Pending>();
    exchange->pending->wake = wake_;
    {
      const absl::MutexLock lock(&exchange->pending->mutex);
      exchange->pending->connection = connection;
    }
    {
      const absl::MutexLock lock(&mutex_);
      pending_[exchange->pending] = exchange->entrance;
    }
    exchange->entrance->take(std::move(exchange->request), [pending = exchange->pending](HttpResponse response) {
      pending->Answer(std::move(response));
    });
  }

  MHD_Result SendStream(MHD_Connection* connection, Exchange* exchange, const HttpResponse& answer) {
    auto streaming = std::make_shared<Streaming>();
    streaming->wake = wake_;
    streaming->stream = answer.stream;
    {
      const absl::MutexLock lock(&streaming->mutex);
      streaming->connection = connection;
    }
    {
      const absl::MutexLock lock(&mutex_);
      streams_.insert(streaming);
      if (stopping_) streaming->Wake(/*for_good=*/true);
    }
    exchange->streaming = streaming;
    SetActive(exchange, false);
    connections_.SetState(connection, Connections::State::kWaits);
    answer.stream->Begin([weak = std::weak_ptr<Streaming>(streaming)] {
      if (const auto still = weak.lock()) still->Wake();
    });
    MHD_Response* const response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kStreamBlock, &Streaming::Read,
                                          new std::shared_ptr<Streaming>(std::move(streaming)), &Streaming::Free);
    return Queue(connection, answer, response);
  }

  static MHD_Result Queue(MHD_Connection* connection, const HttpResponse& answer, MHD_Response* response) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type.c_str());
    for (const auto& [name, value] : answer.headers) MHD_add_response_header(response, name.c_str(), value.c_str());
    const MHD_Result queued = MHD_queue_response(connection, static_cast<unsigned int>(answer.status), response);
    MHD_destroy_response(response);
    return queued;
  }

  MHD_Result Send(MHD_Connection* connection, Exchange* exchange, const HttpResponse& answer) {
    if (answer.stream != nullptr) return SendStream(connection, exchange, answer);
    const auto bytes = static_cast<int64_t>(answer.body.size());
    exchange->answer_bytes = bytes;
    answer_bytes_ += bytes;
    Connections::AnswerIsDue(connection,
                             SystemClock()->MonotonicUs() + kBodyTimeUs + bytes / kSlowestBytesPerSecond * kSecond);
    MHD_Response* const response = MHD_create_response_from_buffer(
        answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY);
    return Queue(connection, answer, response);
  }

  static void OnCompleted(void* self, MHD_Connection* connection, void** context, MHD_RequestTerminationCode) {
    auto* const server = static_cast<MicroServer*>(self);
    auto* const exchange = static_cast<Exchange*>(*context);
    if (exchange == nullptr) return;
    if (exchange->pending != nullptr) {
      {
        const absl::MutexLock lock(&exchange->pending->mutex);
        exchange->pending->connection = nullptr;
      }
      const absl::MutexLock lock(&server->mutex_);
      server->pending_.erase(exchange->pending);
    }
    if (exchange->streaming != nullptr) {
      {
        const absl::MutexLock lock(&exchange->streaming->mutex);
        exchange->streaming->connection = nullptr;
      }
      const absl::MutexLock lock(&server->mutex_);
      server->streams_.erase(exchange->streaming);
    }
    server->body_bytes_ -= exchange->counted;
    server->answer_bytes_ -= exchange->answer_bytes;
    Connections::AnswerIsDue(connection, 0);
    if (exchange->under_way) server->CountUnderWay(*exchange, -1);
    server->connections_.SetState(connection, Connections::State::kIdle);
    server->SetActive(exchange, false);
    delete exchange;
    *context = nullptr;
  }

  // ---- Stopping.

  void Stop() {
    const MHD_socket listener = MHD_quiesce_daemon(daemon_);
    std::this_thread::sleep_for(kHeadsUnderWay);  // those are answered as all before them
    stopping_ = true;
    AwaitQuiet();
    EndStreams();
    // The library doesn't stop while requests wait for their answers. From here on Finish hands nothing on.
    while (handing_on_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::vector<std::pair<std::shared_ptr<Pending>, const HttpEntrance*>> waiting = TakePending();
    for (const auto& [pending, post] : waiting) {
      pending->Answer(post->refuse(nullptr, 504, "the worker stops, and doesn't know what became of the request"));
    }
    if (!waiting.empty()) AwaitQuiet();
    if (handshakes_) handshakes_->Stop();  // nor while connections are with those
    over_ = true;
    eventfd_write(wake_, 1);
    thread_.join();
    MHD_stop_daemon(daemon_);
    if (listener != MHD_INVALID_SOCKET) close(listener);
  }

  void AwaitQuiet() const {
    const auto until = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(kLongestStop);
    while (active_ > 0 && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  std::vector<std::pair<std::shared_ptr<Pending>, const HttpEntrance*>> TakePending() {
    const absl::MutexLock lock(&mutex_);
    return {pending_.begin(), pending_.end()};
  }

  // What is suspended when the library stops would be its end; so is what it hasn't resumed yet.
  void EndStreams() {
    for (const std::shared_ptr<Streaming>& streaming : TakeStreams()) streaming->Wake(/*for_good=*/true);
    const auto until = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(kLongestStop);
    while (!TakeStreams().empty() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  std::set<std::shared_ptr<Streaming>> TakeStreams() {
    const absl::MutexLock lock(&mutex_);
    return streams_;
  }

  const HttpHandlers handlers_;
  const HttpEntrances entrances_;
  const int64_t most_body_bytes_;
  const size_t most_connections_ = MostConnections();
  std::string address_;
  int listener_ = -1;
  // With TLS.
  std::optional<Certificate> certificate_;
  std::optional<Handshakes> handshakes_;
  MHD_Daemon* daemon_ = nullptr;
  int wake_ = -1;  // the server's thread: there is something to look for
  std::atomic<bool> over_{false};
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> active_{0};      // requests that a stop waits for
  std::atomic<int> handing_on_{0};  // that are on their way to whoever answers
  // The server's thread.
  Connections connections_{most_connections_};
  bool closed_one_ = false;  // a connection was closed in the library's last run
  size_t under_way_ = 0;     // requests, and of them those whose answers go on, in all and by entrance
  size_t streaming_ = 0;
  std::map<const HttpEntrance*, size_t> streaming_of_;
  int64_t body_bytes_ = 0, answer_bytes_ = 0;

  absl::Mutex mutex_;
  std::map<std::shared_ptr<Pending>, const HttpEntrance*> pending_ ABSL_GUARDED_BY(mutex_);
  std::set<std::shared_ptr<Streaming>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options, HttpHandlers handlers,
                                                              HttpEntrances entrances) {
  auto server = std::make_unique<MicroServer>(std::move(handlers), std::move(entrances), options.most_body_bytes);
  TM_RETURN_IF_ERROR(server->Serve(options));
  return server;
}

}  // namespace tidemark
