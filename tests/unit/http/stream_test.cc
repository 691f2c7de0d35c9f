// Answers that go on: what is told arrives when it is told, whoever waits holds nobody up, and a stop ends them.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "src/http/server.h"

namespace tidemark {
namespace {

// A text that grows, and who waits for more of it.
class Text {
 public:
  void Say(const std::string& more) {
    std::function<void()> wake;
    {
      const absl::MutexLock lock(&mutex_);
      text_ += more;
      wake = wake_;
    }
    if (wake) wake();
  }
  void End() {
    {
      const absl::MutexLock lock(&mutex_);
      ended_ = true;
    }
    Say("");
  }
  std::unique_ptr<HttpStream> Stream() { return std::make_unique<Reader>(this); }
  std::atomic<int> readers{0};

 private:
  class Reader final : public HttpStream {
   public:
    explicit Reader(Text* text) : text_(*text) { ++text_.readers; }
    ~Reader() override { --text_.readers; }
    void Begin(std::function<void()> wake) override {
      const absl::MutexLock lock(&text_.mutex_);
      text_.wake_ = std::move(wake);
    }
    bool Next(size_t at_most, std::string* out) override {
      const absl::MutexLock lock(&text_.mutex_);
      const size_t size = std::min(at_most, text_.text_.size() - told_);
      out->append(text_.text_, told_, size);
      told_ += size;
      return !text_.ended_ || told_ < text_.text_.size();
    }

   private:
    Text& text_;
    size_t told_ = 0;
  };

  absl::Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> wake_ ABSL_GUARDED_BY(mutex_);
};

class HttpStreamTest : public ::testing::Test {
 protected:
  HttpStreamTest() {
    HttpEntrances entrances;
    HttpEntrance& entrance = entrances["/follow"];
    entrance.method = "GET";
    entrance.begin = [](const HttpRequest&) { return std::nullopt; };
    entrance.take = [this](HttpRequest, HttpReply reply) {
      HttpResponse response;
      response.content_type = "text/event-stream";
      response.stream = text_.Stream();
      reply(std::move(response));
    };
    entrance.refuse = [](const HttpRequest*, int status, const std::string& why) {
      return HttpResponse{status, "text/plain", why, {}};
    };
    server_ = *HttpServer::Start({.address = "127.0.0.1:0"},
                                 {{"/hello", [] { return HttpResponse{200, "text/plain", "hello", {}}; }}},
                                 std::move(entrances));
  }

  httplib::Client Client() const {
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(server_->address().substr(server_->address().rfind(':') + 1), &port));
    httplib::Client client("127.0.0.1", port);
    client.set_read_timeout(30);
    return client;
  }
  // Reads until the end, on a thread of its own.
  std::thread Follow() {
    return std::thread([this] {
      const auto answer = Client().Get("/follow", [this](const char* data, size_t size) {
        const absl::MutexLock lock(&mutex_);
        heard_.append(data, size);
        return true;
      });
      const absl::MutexLock lock(&mutex_);
      ended_ = true;
    });
  }
  void AwaitHeard(const std::string& text) {
    const absl::MutexLock lock(&mutex_);
    const auto heard = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return heard_ == text; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&heard), absl::Seconds(20))) << heard_.size() << " bytes";
  }

  Text text_;
  std::unique_ptr<HttpServer> server_;
  absl::Mutex mutex_;
  std::string heard_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST_F(HttpStreamTest, WhatIsSaidArrivesAndOthersAreAnsweredMeanwhile) {
  std::thread follower = Follow();
  text_.Say("one\n");
  AwaitHeard("one\n");
  EXPECT_EQ(Client().Get("/hello")->body, "hello");
  text_.Say("two\n");
  AwaitHeard("one\ntwo\n");
  text_.End();
  follower.join();
  // Who has heard the end may be sooner than who lets go of the text behind it.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (text_.readers > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(text_.readers, 0);
}

TEST_F(HttpStreamTest, ALongTextComesWhole) {
  std::thread follower = Follow();
  std::string all;
  for (int i = 0; i < 300; ++i) {
    const std::string piece(static_cast<size_t>(i * 97), static_cast<char>('a' + i % 26));
    text_.Say(piece);
    all += piece;
  }
  AwaitHeard(all);
  text_.End();
  follower.join();
}

TEST_F(HttpStreamTest, AStopEndsThem) {
  std::thread follower = Follow();
  text_.Say("one\n");
  AwaitHeard("one\n");
  const auto began = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  follower.join();
  EXPECT_EQ(text_.readers, 0);
  text_.Say("nobody hears it");
}

TEST_F(HttpStreamTest, AClientThatHasGoneIsNoticed) {
  std::atomic<bool> enough{false};
  std::thread follower([&] { Client().Get("/follow", [&](const char*, size_t) { return !enough; }); });
  text_.Say("one\n");
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (text_.readers == 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  enough = true;
  text_.Say("two\n");
  follower.join();
  while (text_.readers > 0 && std::chrono::steady_clock::now() < until) {
    text_.Say("three\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(text_.readers, 0);
}

}  // namespace
}  // namespace tidemark
