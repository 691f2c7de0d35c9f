// TLS handshakes through the whole server: they are carried through by either version, however their bytes come; and
// those that aren't, or that take long, cost neither the server's thread nor, while nothing comes, anybody anything.
#include "src/http/handshakes.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/http/server.h"
#include "tests/unit/http/made_certificate.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

constexpr char kGet[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

// A client whose bytes go over the wire as a test likes.
class Client {
 public:
  Client(int port, int version) : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
    SSL_CTX_set_max_proto_version(context_.get(), version);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_bio(ssl_.get(), from_ = BIO_new(BIO_s_mem()), to_ = BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const timeval patience = {60, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<uint16_t>(port));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(socket_); }

  // What it has to say next.
  std::string Words() {
    SSL_do_handshake(ssl_.get());
    std::string words(BIO_ctrl_pending(to_), 0);
    BIO_read(to_, words.data(), static_cast<int>(words.size()));
    return words;
  }
  void Say(std::string_view words) const {
    EXPECT_EQ(send(socket_, words.data(), words.size(), MSG_NOSIGNAL), static_cast<ssize_t>(words.size()));
  }
  // False: the connection is over.
  bool Hear() {
    char heard[4096];
    const ssize_t size = recv(socket_, heard, sizeof heard, 0);
    if (size > 0) BIO_write(from_, heard, static_cast<int>(size));
    return size > 0;
  }
  // In pieces of so many bytes.
  bool Shake(size_t piece = 4096) {
    while (true) {
      const std::string words = Words();
      for (size_t at = 0; at < words.size(); at += piece) Say(std::string_view(words).substr(at, piece));
      if (SSL_is_init_finished(ssl_.get())) return true;
      if (!Hear()) return false;
    }
  }
  // What is answered, up to the end of its body.
  std::string Get() {
    SSL_write(ssl_.get(), kGet, sizeof kGet - 1);
    Say(Words());
    std::string answer;
    while (!absl::EndsWith(answer, "hello\n")) {
      char read[4096];
      const int size = SSL_read(ssl_.get(), read, sizeof read);
      if (size > 0) answer.append(read, static_cast<size_t>(size));
      if (size <= 0 && !Hear()) break;
    }
    return answer;
  }
  const char* version() const { return SSL_get_version(ssl_.get()); }

 private:
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  std::unique_ptr<SSL, Free> ssl_;
  BIO *from_ = nullptr, *to_ = nullptr;  // the session's
  int socket_ = -1;
};

// A door that stays shut until it is opened.
class Door {
 public:
  void Pass() {
    ++came_;
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&open_));
  }
  void Set(bool open) {
    const absl::MutexLock lock(&mutex_);
    open_ = open;
  }
  int came() const { return came_; }
  void AwaitOne(int more_than) const {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (came_ <= more_than && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_GT(came_, more_than);
  }

 private:
  std::atomic<int> came_ = 0;
  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
};

class HandshakesTest : public ::testing::Test {
 protected:
  HandshakesTest() {
    std::filesystem::create_directories(folder_);
    MakeCertificate(folder_ + "/cert.pem", folder_ + "/key.pem", 1);
    Start(60'000'000);
  }
  ~HandshakesTest() override {
    door_.Set(true);
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Start(int64_t handshake_us) {
    auto server = HttpServer::Start({.address = "127.0.0.1:0",
                                     .certificate = folder_ + "/cert.pem",
                                     .key = folder_ + "/key.pem",
                                     .handshake_us = handshake_us,
                                     .before_handshake = [this] { door_.Pass(); }},
                                    {{"/hello", [] { return HttpResponse{200, "text/plain", "hello\n", {}}; }}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    ASSERT_TRUE(absl::SimpleAtoi(server_->address().substr(server_->address().rfind(':') + 1), &port_));
  }
  std::unique_ptr<Client> NewClient(int version = TLS1_3_VERSION) const {
    return std::make_unique<Client>(port_, version);
  }

  const std::string folder_ = absl::StrCat(::testing::TempDir(), "/handshakes-", getpid());
  Door door_;
  std::unique_ptr<HttpServer> server_;
  int port_ = 0;
};

TEST_F(HandshakesTest, EitherVersionIsSpokenHoweverItsBytesCome) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const size_t piece : {1u, 5u, 64u, 4096u}) {
      const auto client = NewClient(version);
      ASSERT_TRUE(client->Shake(piece)) << version << " in pieces of " << piece;
      EXPECT_STREQ(client->version(), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
      for (int i = 0; i < 3; ++i) EXPECT_THAT(client->Get(), HasSubstr("200 OK"));
    }
  }
}

TEST_F(HandshakesTest, WhoIsConnectedIsAnsweredWhateverHandshakesTake) {
  const auto connected = NewClient();
  ASSERT_TRUE(connected->Shake());
  EXPECT_THAT(connected->Get(), HasSubstr("200 OK"));  // by now the server has heard the end of it
  door_.Set(false);
  std::vector<std::unique_ptr<Client>> slow;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (int i = 0; i < 20; ++i) slow.push_back(NewClient(version));
  }
  const int before = door_.came();
  for (const auto& client : slow) client->Say(client->Words());
  door_.AwaitOne(before);
  for (int i = 0; i < 20; ++i) EXPECT_THAT(connected->Get(), HasSubstr("200 OK"));
  door_.Set(true);
  for (const auto& client : slow) {
    ASSERT_TRUE(client->Hear() && client->Shake());
    EXPECT_THAT(client->Get(), HasSubstr("200 OK"));
  }
}

TEST_F(HandshakesTest, WhoBeginsOneAndDoesNotGoOnCostsNothing) {
  std::vector<std::unique_ptr<Client>> slow;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const size_t part : {1u, 4u, 5u, 100u}) {
      slow.push_back(NewClient(version));
      slow.back()->Say(slow.back()->Words().substr(0, part));
    }
    // All but the last bytes of what ends it; and of the whole hello nothing more.
    slow.push_back(NewClient(version));
    slow.back()->Say(slow.back()->Words());
    std::string last;
    while (last.empty() && slow.back()->Hear()) last = slow.back()->Words();
    slow.back()->Say(last.substr(0, last.size() - 2));
    slow.push_back(NewClient(version));
    slow.back()->Say(slow.back()->Words());
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const std::clock_t began = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  // Of the process; a thread that asks in a loop would take all of it.
  EXPECT_LT(static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC, 0.1);
  const auto client = NewClient();
  ASSERT_TRUE(client->Shake());
  EXPECT_THAT(client->Get(), HasSubstr("200 OK"));
}

TEST_F(HandshakesTest, OneThatTakesTooLongIsEndedAndWhoIsConnectedStays) {
  Start(400'000);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    std::unique_ptr<Client> connected;
    for (std::string answer; answer.empty();) {  // where the machine is slow it is too late now and then
      connected = NewClient(version);
      if (connected->Shake()) answer = connected->Get();
    }
    const auto half = NewClient(version), whole = NewClient(version), last = NewClient(version);
    half->Say(half->Words().substr(0, 30));
    whole->Say(whole->Words());
    last->Say(last->Words());
    std::string words;
    while (words.empty() && last->Hear()) words = last->Words();
    if (!words.empty()) last->Say(words.substr(0, words.size() - 2));
    for (Client* const client : {half.get(), whole.get(), last.get()}) {
      while (client->Hear()) {
      }
    }
    EXPECT_THAT(connected->Get(), HasSubstr("200 OK"));
  }
}

TEST_F(HandshakesTest, WhoHasHungUpGetsNoSignature) {
  door_.Set(false);
  std::vector<std::unique_ptr<Client>> first;
  // As many as there may be threads.
  for (int i = 0; i < 4; ++i) {
    first.push_back(NewClient());
    first.back()->Say(first.back()->Words());
  }
  door_.AwaitOne(0);
  for (int i = 0; i < 50; ++i) {
    const auto gone = NewClient();
    gone->Say(gone->Words());
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  door_.Set(true);
  for (const auto& client : first) ASSERT_TRUE(client->Hear() && client->Shake());
  EXPECT_THAT(first.back()->Get(), HasSubstr("200 OK"));
  EXPECT_LT(door_.came(), 30);
}

TEST_F(HandshakesTest, WhatIsNoHandshakeIsClosed) {
  const auto plain = NewClient();
  plain->Say(kGet);
  while (plain->Hear()) {
  }
  const auto noise = NewClient();
  noise->Say(std::string(300, '\x16'));
  while (noise->Hear()) {
  }
  const auto client = NewClient();
  ASSERT_TRUE(client->Shake());
}

TEST_F(HandshakesTest, AStopWaitsForNone) {
  std::vector<std::unique_ptr<Client>> slow;
  for (const size_t part : {0u, 1u, 100u, 4096u}) {
    for (int i = 0; i < 5; ++i) {
      slow.push_back(NewClient(i % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION));
      slow.back()->Say(slow.back()->Words().substr(0, part));
    }
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto began = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  for (const auto& client : slow) {
    while (client->Hear()) {
    }
  }
}

}  // namespace
}  // namespace tidemark
