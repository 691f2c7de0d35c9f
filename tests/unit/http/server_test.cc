// The HTTP server on loopback sockets: what it answers, and that a port is never shared.
#include "src/http/server.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

HttpHandlers Hello() {
  return {{"/hello", [] { return HttpResponse{200, "text/plain; version=0.0.4", "hello\n", {}}; }},
          {"/unwell", [] { return HttpResponse{503, "text/plain; charset=utf-8", "no\n", {}}; }}};
}

HttpResponse Refuse(const HttpRequest*, int status, const std::string& why) { return {status, "text/plain", why, {}}; }

HttpServerOptions At(const std::string& address) { return {.address = address}; }

int PortOf(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) << address;
  return port;
}

httplib::Client ClientOf(const HttpServer& server) {
  httplib::Client client("127.0.0.1", PortOf(server.address()));
  client.set_read_timeout(60);
  return client;
}

// Of which the server takes a quarter for its connections.
void AllowFiles(rlim_t count) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, count);
  setrlimit(RLIMIT_NOFILE, &limit);
}

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AllowFiles(1024);
    auto server = HttpServer::Start(At("127.0.0.1:0"), Hello());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  httplib::Client client() const { return ClientOf(*server_); }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AHandlersAnswerArrivesWithItsStatusAndType) {
  const auto hello = client().Get("/hello");
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->status, 200);
  EXPECT_EQ(hello->body, "hello\n");
  EXPECT_EQ(hello->get_header_value("Content-Type"), "text/plain; version=0.0.4");
  const auto unwell = client().Get("/unwell?verbose=1");
  ASSERT_TRUE(unwell);
  EXPECT_EQ(unwell->status, 503);
  EXPECT_EQ(unwell->body, "no\n");
}

TEST_F(HttpServerTest, AnUnknownPathIsNotFoundAndTheAnswerNamesWhatThereIs) {
  const auto answer = client().Get("/hell");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 404);
  EXPECT_THAT(answer->body, AllOf(HasSubstr("/hello"), HasSubstr("/unwell")));
}

TEST_F(HttpServerTest, OnlyGetIsAnswered) {
  const auto answer = client().Post("/hello", "x", "text/plain");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 405);
}

TEST_F(HttpServerTest, AGivenAddressThatIsTakenIsTheUsersMistake) {
  const auto second = HttpServer::Start(At(server_->address()), Hello());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(second.status().message()),
              AllOf(HasSubstr(server_->address()), HasSubstr("is taken"), HasSubstr("port 0")));
}

TEST_F(HttpServerTest, ThePortIsFreeAgainAfterTheServerIsGone) {
  const std::string address = server_->address();
  ASSERT_TRUE(client().Get("/hello"));  // leaves a connection in TIME_WAIT
  server_.reset();
  auto second = HttpServer::Start(At(address), Hello());
  for (int again = 0; again < 2 && !second.ok(); ++again) {  // somebody else may have been given the port meanwhile
    std::this_thread::sleep_for(std::chrono::seconds(1));
    second = HttpServer::Start(At(address), Hello());
  }
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*second)->address(), address);
}

// Sockets that are connected and say no more than `words`, for all that comes back.
class IdleClients {
 public:
  IdleClients(int port, int count, const std::string& words) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < count; ++i) {
      sockets_.push_back(socket(AF_INET, SOCK_STREAM, 0));
      const int little = 4096;  // so that what isn't read waits at the server's side
      setsockopt(sockets_.back(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
      EXPECT_EQ(connect(sockets_.back(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
      EXPECT_EQ(send(sockets_.back(), words.data(), words.size(), MSG_NOSIGNAL), static_cast<ssize_t>(words.size()));
    }
  }
  ~IdleClients() {
    for (const int s : sockets_) close(s);
  }
  void Send(const std::string& words, size_t socket = 0) {
    EXPECT_EQ(send(sockets_[socket], words.data(), words.size(), MSG_NOSIGNAL), static_cast<ssize_t>(words.size()));
  }
  // Of the one socket: what comes until `what` is in it, or the other side closes.
  std::string ReadUntil(const std::string& what, size_t socket = 0) {
    std::string text;
    char bytes[4096];
    while (text.find(what) == std::string::npos) {
      const ssize_t size = recv(sockets_[socket], bytes, sizeof bytes, 0);
      if (size <= 0) break;
      text.append(bytes, static_cast<size_t>(size));
    }
    return text;
  }

 private:
  std::vector<int> sockets_;
};

TEST_F(HttpServerTest, AProbeIsAnsweredAtOnceHoweverManyConnectionsIdle) {
  const int port = PortOf(server_->address());
  // More than are kept, silent or in the middle of a word.
  const IdleClients silent(port, 64, ""), slow(port, 64, "GET /hel"), many(port, 300, "");
  for (int i = 0; i < 10; ++i) {
    const auto began = std::chrono::steady_clock::now();
    const auto answer = client().Get("/hello");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  }
}

TEST_F(HttpServerTest, WhatIsNoHttpIsRefusedAndTheOthersGoOn) {
  const int port = PortOf(server_->address());
  IdleClients garbage(port, 1, "\x16\x03\x01 what?\r\n\r\n"),
      long_head(port, 1, "GET /hello HTTP/1.1\r\nX: " + std::string(80'000, 'x'));
  EXPECT_THAT(garbage.ReadUntil("\r\n"), AnyOf(HasSubstr(" 400 "), IsEmpty()));
  EXPECT_THAT(long_head.ReadUntil("\r\n"), AnyOf(HasSubstr(" 431 "), HasSubstr(" 413 "), IsEmpty()));
  EXPECT_TRUE(client().Get("/hello"));
}

TEST_F(HttpServerTest, HeadIsAnsweredWithoutABodyAndOptionsWithWhatThereIs) {
  const auto head = client().Head("/hello");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
  const auto options = client().Options("/hello");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->status, 405);
  EXPECT_EQ(options->get_header_value("Allow"), "GET, HEAD");
}

TEST(HttpServerAnswer, WhoDoesNotReadItMakesRoomForAProbe) {
  AllowFiles(256);
  HttpHandlers handlers = Hello();
  handlers["/large"] = [] { return HttpResponse{200, "text/plain", std::string(1 << 20, 'x'), {}}; };
  const auto server = HttpServer::Start(At("127.0.0.1:0"), std::move(handlers));
  ASSERT_TRUE(server.ok()) << server.status();
  const int port = PortOf((*server)->address());
  const IdleClients deaf(port, 80, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  httplib::Client probe("127.0.0.1", port);
  probe.set_read_timeout(60);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(probe.Get("/hello"));
}

TEST_F(HttpServerTest, ARequestThatComesInPiecesIsAnsweredWhenItIsWhole) {
  const int port = PortOf(server_->address());
  httplib::Client slow("127.0.0.1", port);
  const httplib::Headers headers = {{"X-Long", std::string(8'000, 'x')}};
  const auto answer = slow.Get("/hello", headers);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "hello\n");
}

TEST_F(HttpServerTest, ABodyThatNobodyWantsDoesNotCostTheClientItsAnswer) {
  const auto answer = client().Post("/hello", std::string(1 << 20, 'x'), "text/plain");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 405);
}

TEST(HttpServerAnswer, ALongOneArrivesWhole) {
  HttpHandlers handlers;
  handlers["/long"] = [] { return HttpResponse{200, "text/plain", std::string(8 << 20, 'm'), {}}; };
  const auto server = HttpServer::Start(At("127.0.0.1:0"), std::move(handlers));
  ASSERT_TRUE(server.ok()) << server.status();
  const auto answer = httplib::Client("127.0.0.1", PortOf((*server)->address())).Get("/long");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body.size(), size_t{8} << 20);
}

// ---- Bodies.

// Takes bodies at /in, and answers each on a thread of its own, with what it has read.
class HttpPostTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AllowFiles(1024);
    HttpEntrances entrances;
    entrances["/in"] = {size_t{1} << 20,
                        [](const HttpRequest& head) -> std::optional<HttpResponse> {
                          if (head.Header("authorization").empty()) return std::nullopt;
                          return HttpResponse{401, "text/plain", "who?", {{"WWW-Authenticate", "Bearer"}}};
                        },
                        [this](HttpRequest request, HttpReply reply) {
                          const absl::MutexLock lock(&mutex_);
                          if (hold_) return held_.push_back(std::move(reply));
                          threads_.emplace_back([request = std::move(request), reply = std::move(reply)] {
                            std::string query;
                            for (const auto& [key, value] : request.query) absl::StrAppend(&query, key, "=", value);
                            reply({202, "text/plain", absl::StrCat(request.body.size(), " ", query), {}});
                          });
                        },
                        Refuse};
    auto server = HttpServer::Start(At("127.0.0.1:0"), Hello(), std::move(entrances));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void TearDown() override {
    server_.reset();
    for (std::thread& thread : threads_) thread.join();
  }
  httplib::Client client() const { return ClientOf(*server_); }

  absl::Mutex mutex_;
  bool hold_ = false;
  std::vector<HttpReply> held_;
  std::vector<std::thread> threads_;
  std::unique_ptr<HttpServer> server_;
};

// Questions by GET whose answers have as many bytes as they ask for.
TEST(HttpQuestionTest, LargeAnswersThatNobodyTakesKeepFurtherOnesBackUntilTheyAreGone) {
  AllowFiles(1024);
  HttpEntrances entrances;
  entrances["/ask"] = {0,
                       [](const HttpRequest&) -> std::optional<HttpResponse> { return std::nullopt; },
                       [](const HttpRequest& request, const HttpReply& reply) {
                         size_t bytes = 0;
                         EXPECT_TRUE(absl::SimpleAtoi(request.query.at(0).second, &bytes));
                         reply({200, "text/plain", std::string(bytes, 'x'), {}});
                       },
                       Refuse,
                       "GET",
                       /*large_answers=*/true};
  const auto started = HttpServer::Start(At("127.0.0.1:0"), Hello(), std::move(entrances));
  ASSERT_TRUE(started.ok()) << started.status();
  const HttpServer& server = **started;
  const auto small = ClientOf(server).Get("/ask?bytes=5");
  ASSERT_TRUE(small);
  EXPECT_EQ(small->body, "xxxxx");
  const auto by_post = ClientOf(server).Post("/ask", "x", "text/plain");
  ASSERT_TRUE(by_post);
  EXPECT_EQ(by_post->status, 405);
  EXPECT_EQ(by_post->get_header_value("Allow"), "GET");
  const auto until = [&](int status) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    while (std::chrono::steady_clock::now() < deadline) {
      const auto answer = ClientOf(server).Get("/ask?bytes=1");
      if (answer && answer->status == status) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  };
  {
    const IdleClients greedy(PortOf(server.address()), 2, "GET /ask?bytes=50000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(until(429));
    const auto probe = ClientOf(server).Get("/hello");
    ASSERT_TRUE(probe);
    EXPECT_EQ(probe->status, 200);
  }
  EXPECT_TRUE(until(200)) << "they are gone";
}

// Streams that say nothing until they end.
class Crowd {
 public:
  std::unique_ptr<HttpStream> Stream() { return std::make_unique<Silent>(this); }
  void End() {
    std::vector<std::function<void()>> wakes;
    {
      const absl::MutexLock lock(&mutex_);
      wakes.swap(wakes_);
      ended_ = true;
    }
    for (const auto& wake : wakes) wake();
  }
  int Await(int count) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (open_ != count && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    return open_;
  }

 private:
  class Silent final : public HttpStream {
   public:
    explicit Silent(Crowd* crowd) : crowd_(*crowd) { ++crowd_.open_; }
    ~Silent() override { --crowd_.open_; }
    void Begin(std::function<void()> wake) override {
      const absl::MutexLock lock(&crowd_.mutex_);
      crowd_.wakes_.push_back(std::move(wake));
    }
    bool Next(size_t, std::string*) override { return !crowd_.ended_; }

   private:
    Crowd& crowd_;
  };

  std::atomic<int> open_{0};
  std::atomic<bool> ended_{false};
  absl::Mutex mutex_;
  std::vector<std::function<void()>> wakes_ ABSL_GUARDED_BY(mutex_);
};

TEST(HttpStreamPlacesTest, WhoFollowsLeavesPlacesForPostsAndForThoseWhoFollowAnother) {
  AllowFiles(1024);  // 256 connections
  Crowd a, b;
  HttpEntrances entrances;
  const auto admit = [](const HttpRequest&) -> std::optional<HttpResponse> { return std::nullopt; };
  for (const auto& [path, crowd] : {std::pair("/a", &a), std::pair("/b", &b)}) {
    HttpEntrance& entrance = entrances[path];
    entrance = {0, admit, nullptr, Refuse, "GET"};
    entrance.streams = true;
    entrance.take = [crowd = crowd](const HttpRequest&, const HttpReply& reply) {
      HttpResponse response;
      response.stream = crowd->Stream();
      reply(std::move(response));
    };
  }
  entrances["/in"] = {1024, admit,
                      [](const HttpRequest&, const HttpReply& reply) { reply({202, "text/plain", "in", {}}); }, Refuse};
  const auto started = HttpServer::Start(At("127.0.0.1:0"), Hello(), std::move(entrances));
  ASSERT_TRUE(started.ok()) << started.status();
  const HttpServer& server = **started;
  const auto follow = [&](const char* path) { return ClientOf(server).Get(path)->status; };
  const IdleClients of_a(PortOf(server.address()), 64, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(a.Await(64), 64);
  EXPECT_EQ(follow("/a"), 429);
  const IdleClients of_b(PortOf(server.address()), 64, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(b.Await(64), 64);
  EXPECT_EQ(follow("/b"), 429);
  EXPECT_EQ(ClientOf(server).Post("/in", "x", "text/plain")->status, 202);
  a.End();
  EXPECT_EQ(a.Await(0), 0);
  EXPECT_EQ(follow("/a"), 200) << "a stream that is over takes no place";
}

TEST_F(HttpPostTest, BodiesOfOneConnectionAreAnsweredOneAfterTheOther) {
  httplib::Client kept = client();
  kept.set_keep_alive(true);
  for (const size_t size : {size_t{1}, size_t{100'000}, size_t{1} << 20, size_t{0}}) {
    const auto answer = kept.Post("/in?a=b", std::string(size, 'x'), "text/plain");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 202);
    EXPECT_EQ(answer->body, absl::StrCat(size, " a=b"));
  }
}

TEST_F(HttpPostTest, ABodyThatIsTooLargeIsRefusedAndTheClientReadsSo) {
  for (const size_t size : {(size_t{1} << 20) + 1, size_t{3} << 20}) {
    const auto answer = client().Post("/in", std::string(size, 'x'), "text/plain");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 413);
    EXPECT_THAT(answer->body, HasSubstr("1048576 bytes"));
  }
}

TEST_F(HttpPostTest, AHeadThatIsRefusedGivesNobodyItsBody) {
  const auto answer = client().Post("/in", {{"Authorization", "x"}}, std::string(1 << 18, 'x'), "text/plain");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 401);
  EXPECT_EQ(answer->get_header_value("WWW-Authenticate"), "Bearer");
  const absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(threads_.empty());
}

TEST_F(HttpPostTest, WhereBodiesAreTakenNothingIsGot) {
  const auto answer = client().Get("/in");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 405);
  EXPECT_EQ(answer->get_header_value("Allow"), "POST");
}

std::string PostHead(size_t length, const std::string& more = "") {
  return absl::StrCat("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: ", length, "\r\n", more, "\r\n");
}

TEST_F(HttpPostTest, RequestsThatComeAtOnceAreAnsweredInTheirOrder) {
  IdleClients both(PortOf(server_->address()), 1, PostHead(3) + "abc" + PostHead(5) + "defgh");
  const std::string answers = both.ReadUntil("5 ");
  EXPECT_LT(answers.find("\r\n\r\n3 "), answers.find("\r\n\r\n5 ")) << answers;
}

TEST_F(HttpPostTest, ABodyMayComeInChunks) {
  IdleClients chunked(PortOf(server_->address()), 1,
                      "POST /in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
  EXPECT_THAT(chunked.ReadUntil("7 "), AllOf(HasSubstr(" 202 "), HasSubstr("7 ")));
}

TEST_F(HttpPostTest, AChunkedBodyThatIsTooLargeIsRefused) {
  IdleClients chunked(PortOf(server_->address()), 1,
                      absl::StrCat("POST /in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                                   absl::Hex((1 << 20) + 1), "\r\n", std::string((1 << 20) + 1, 'x'), "\r\n0\r\n\r\n"));
  EXPECT_THAT(chunked.ReadUntil("bytes here"), HasSubstr(" 413 "));
}

TEST_F(HttpPostTest, WhoAsksBeforeSendingABodyThatIsRefusedIsSpared) {
  IdleClients asking(PortOf(server_->address()), 1, PostHead(1'000, "Expect: 100-continue\r\nAuthorization: x\r\n"));
  EXPECT_THAT(asking.ReadUntil("who?"), StartsWith("HTTP/1.1 401"));
}

TEST_F(HttpPostTest, ABodyThatNeverComesMakesRoomForAProbe) {
  const int port = PortOf(server_->address());
  const IdleClients stalled(port, 200, PostHead(100)), refused(port, 200, PostHead(100, "Authorization: x\r\n"));
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(client().Get("/hello"));
    const auto answer = client().Post("/in", "x", "text/plain");
    ASSERT_TRUE(answer);
    EXPECT_THAT(answer->status, AnyOf(202, 429));
  }
}

TEST_F(HttpPostTest, BodiesThatWaitLeaveConnectionsForProbes) {
  hold_ = true;
  IdleClients posts(PortOf(server_->address()), 250, PostHead(1) + "x");
  const auto most = [this] { return held_.size() == 192; };  // three quarters of 256
  {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&most));
  }
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(client().Get("/hello"));
  const auto more = client().Post("/in", "x", "text/plain");
  ASSERT_TRUE(more);
  EXPECT_EQ(more->status, 429);
  EXPECT_EQ(more->get_header_value("Retry-After"), "1");
  for (const HttpReply& reply : held_) reply({202, "text/plain", "in", {}});
}

TEST_F(HttpPostTest, AStopDoesNotWaitForABodyThatDoesNotCome) {
  IdleClients stalled(PortOf(server_->address()), 3, PostHead(100) + "half");
  ASSERT_TRUE(client().Get("/hello"));
  const auto began = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(8));  // of 10 that a body may pause
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(stalled.ReadUntil("HTTP", i), "");    // up to the end of the stream
}

// Where another server listens on the same socket, nobody is to be told that this one ends.
TEST_F(HttpPostTest, AHeadThatComesRightAfterAStopBeganIsAnsweredAsThoseBefore) {
  int answered = 0;
  for (int round = 0; round < 5; ++round) {  // as a machine may be too slow now and then
    if (round > 0) SetUp();
    const std::string request = PostHead(1) + "x";
    IdleClients late(PortOf(server_->address()), 1, request.substr(0, 10));
    ASSERT_TRUE(client().Get("/hello"));  // so it was accepted
    std::atomic<bool> begins{false};
    std::thread stop([&] {
      begins = true;
      server_.reset();
    });
    while (!begins) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    late.Send(request.substr(10));
    if (late.ReadUntil("1 ").find(" 202 ") != std::string::npos) ++answered;
    stop.join();
  }
  EXPECT_GE(answered, 3);
}

TEST_F(HttpPostTest, AProbeDoesNotWaitForBodiesThatWait) {
  hold_ = true;
  std::vector<std::thread> waiting;
  std::atomic<int> unknown{0};
  for (int i = 0; i < 20; ++i) {
    waiting.emplace_back([this, &unknown] {
      const auto answer = client().Post("/in", "x", "text/plain");
      if (answer && answer->status == 504) ++unknown;
    });
  }
  const auto all = [this] { return held_.size() == 20; };
  {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&all));
  }
  const auto began = std::chrono::steady_clock::now();
  const auto probe = client().Get("/hello");
  ASSERT_TRUE(probe);
  EXPECT_EQ(probe->status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  // Who never answered in time is answered by the server that stops: nobody knows what became of it.
  server_.reset();
  for (std::thread& thread : waiting) thread.join();
  EXPECT_EQ(unknown, 20);
  for (const HttpReply& reply : held_) reply({202, "text/plain", "too late", {}});
}

TEST(HttpServerStart, ACertificateWithoutItsKeyIsTheUsersMistake) {
  const auto half = HttpServer::Start({.address = "127.0.0.1:0", .certificate = "cert.pem"}, Hello());
  EXPECT_THAT(std::string(half.status().message()), HasSubstr("--http_key"));
  const auto missing =
      HttpServer::Start({.address = "127.0.0.1:0", .certificate = "/no/cert.pem", .key = "/no/key.pem"}, Hello());
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("can't read '/no/cert.pem'"));
}

TEST(HttpServerStart, WithoutAnAddressTwoServersRunSideBySide) {
  const auto first = HttpServer::Start(At(""), Hello());
  const auto second = HttpServer::Start(At(""), Hello());
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT((*second)->address(), StartsWith("127.0.0.1:"));
  EXPECT_NE((*first)->address(), (*second)->address());
  for (const auto& server : {&*first, &*second}) {
    EXPECT_TRUE(httplib::Client("127.0.0.1", PortOf((*server)->address())).Get("/hello"));
  }
}

TEST(HttpServerStart, AMalformedAddressIsTheUsersMistake) {
  for (const std::string address :
       {"9464", "localhost:", ":9464", "localhost:http", "localhost:70000", "::1:9464", "localhost:-1"}) {
    const auto server = HttpServer::Start(At(address), Hello());
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(server.status().message()), AllOf(HasSubstr("'" + address + "'"), HasSubstr("host:port")));
  }
}

TEST(HttpServerStart, AHostThatIsNotThisMachineIsTheUsersMistake) {
  const auto server = HttpServer::Start(At("192.0.2.1:9464"), Hello());  // TEST-NET-1: nobody has it
  EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("can't be bound"));
}

TEST(HttpServerStop, ARequestUnderWayIsFinished) {
  std::atomic<bool> entered{false}, stopping{false};
  HttpHandlers handlers;
  handlers["/slow"] = [&] {
    entered = true;
    while (!stopping) std::this_thread::yield();
    return HttpResponse{200, "text/plain", "done", {}};
  };
  auto server = HttpServer::Start(At("127.0.0.1:0"), std::move(handlers));
  ASSERT_TRUE(server.ok()) << server.status();
  std::string body;
  std::thread request([&body, port = PortOf((*server)->address())] {
    if (const auto answer = httplib::Client("127.0.0.1", port).Get("/slow")) body = answer->body;
  });
  while (!entered) std::this_thread::yield();
  std::thread stop([&server] { server->reset(); });
  stopping = true;
  stop.join();
  request.join();
  EXPECT_EQ(body, "done");
}

}  // namespace
}  // namespace tidemark
