// What the gate answers, and that it says of each body what became of it.
#include "src/runtime/http_gate.h"

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "proto/http.pb.h"
#include "src/base/time.h"
#include "src/plan/planner.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class StillClock final : public Clock {
 public:
  int64_t WallUs() override { return 1'700'000'000'000'000 + monotonic_us; }
  int64_t MonotonicUs() override { return monotonic_us; }
  int64_t monotonic_us = kSecond;
};

struct Written {
  std::string topic;
  int32_t partition = 0;
  packed::HttpRequest request;
  Appender::Done done;
};

// Keeps what is appended; the test says what becomes of it.
class PatientAppender final : public Appender {
 public:
  explicit PatientAppender(std::vector<Written>* written) : written_(*written) {}
  void Append(const std::string& topic, int32_t partition, std::string_view value, Done done) override {
    packed::HttpRequest request;
    EXPECT_TRUE(request.ParseFromArray(value.data(), static_cast<int>(value.size())));
    written_.push_back({topic, partition, std::move(request), std::move(done)});
  }
  void Close(int64_t) override {}

 private:
  std::vector<Written>& written_;
};

class HttpGateTest : public ::testing::Test {
 protected:
  HttpGateTest() {
    absl::StatusOr<Plan> plan = PlanFromYaml(
        "name: app\nkafka: { brokers: b }\nsources:\n  surveys:\n    http: { path: /in, partitions: 3, max_body: 4MiB "
        "}\n"
        "    columns: { id: int64, score: { type: double, nullable: true } }\n"
        "sinks:\n  out: { from: surveys, topic: out, create: {} }\n",
        "gate.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
    EXPECT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    gate_ = std::make_unique<HttpGate>(plan_, OwnFormats(), &clock_, [this](std::function<void()> task) {
      if (hold_) return tasks_.push_back(std::move(task));
      task();
    });
    entrances_ = gate_->Entrances();
  }
  void Open() { gate_->Open(std::make_unique<PatientAppender>(&written_)); }

  // As the server does it. Status 0: the answer hasn't come yet, and will be in later_.
  HttpResponse Post(const std::string& body, const std::string& type = "application/x-ndjson",
                    const std::string& key = "", std::vector<std::pair<std::string, std::string>> query = {}) {
    HttpRequest request;
    request.path = "/in";
    request.query = std::move(query);
    request.headers = {{"Content-Type", type}};
    if (!key.empty()) request.headers.emplace_back("Idempotency-Key", key == "empty" ? "" : key);
    if (key == "two") request.headers.emplace_back("idempotency-key", "three");
    const HttpEntrance& post = entrances_.at("/in");
    if (std::optional<HttpResponse> refusal = post.begin(request)) return *refusal;
    request.body = body;
    HttpResponse now;
    now.status = 0;
    auto answer = std::make_shared<HttpResponse>(now);
    post.take(std::move(request), [answer](HttpResponse response) { *answer = std::move(response); });
    later_.push_back(answer);
    return *answer;
  }

  StillClock clock_;
  bool hold_ = false;
  std::vector<std::function<void()>> tasks_;  // that are held
  Plan plan_;
  std::vector<Written> written_;
  std::vector<std::shared_ptr<HttpResponse>> later_;
  std::unique_ptr<HttpGate> gate_;
  HttpEntrances entrances_;
};

TEST_F(HttpGateTest, NothingIsAcceptedBeforeTheTopicsAreThereOrAfterTheEnd) {
  EXPECT_EQ(Post("{\"id\":1}").status, 503);
  Open();
  EXPECT_EQ(Post("{\"id\":1}").status, 0);
  gate_->Close(0);
  EXPECT_EQ(Post("{\"id\":1}").status, 503);
  EXPECT_THAT(written_, SizeIs(1));
}

TEST_F(HttpGateTest, AnAnswerIsGivenWhenTheBrokersHaveSpokenAndSaysWhatTheySaid) {
  Open();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Post("{\"id\":1}\n{\"id\":2}").status, 0);
  ASSERT_THAT(written_, SizeIs(4));
  EXPECT_EQ(gate_->status()[0].rows, 0);
  written_[0].done({Appended::Outcome::kIn, 41, absl::OkStatus()});
  written_[1].done({Appended::Outcome::kNotIn, -1, absl::UnavailableError("the queue is full")});
  written_[2].done({Appended::Outcome::kUnknown, -1, absl::UnavailableError("timed out")});
  written_[3].done({Appended::Outcome::kNotIn, -1, absl::InvalidArgumentError("too large")});
  EXPECT_EQ(later_[0]->status, 202);
  EXPECT_EQ(later_[0]->body, absl::StrCat("{\"topic\":\"app.surveys.requests\",\"partition\":", written_[0].partition,
                                          ",\"offset\":41,\"rows\":2}\n"));
  EXPECT_EQ(later_[1]->status, 503);
  EXPECT_THAT(later_[1]->body, HasSubstr("nothing of this was written"));
  EXPECT_EQ(later_[1]->headers[0].first, "Retry-After");
  EXPECT_EQ(later_[2]->status, 504);
  EXPECT_EQ(later_[3]->status, 413);
  const HttpGateStatus status = gate_->status()[0];
  EXPECT_EQ(status.rows, 2);
  EXPECT_EQ(status.waiting_bytes, 0);
  EXPECT_EQ(status.answers.at(202), 1);
  EXPECT_EQ(status.answers.at(504), 1);
}

TEST_F(HttpGateTest, WhoWaitsIsAnsweredWhenTheRowsShowOrNoLongerWaitedFor) {
  struct Wait {
    std::string source;
    int32_t partition = 0;
    Offset offset = 0;
    int64_t until_us = 0;
    std::function<void(bool)> done;
  };
  std::vector<Wait> waits;
  gate_->Open(
      std::make_unique<PatientAppender>(&written_),
      [&](const std::string& source, int32_t partition, Offset offset, int64_t until_us,
          std::function<void(bool)> done) { waits.push_back({source, partition, offset, until_us, std::move(done)}); });
  for (const char* timeout : {"", "2s"}) {
    std::vector<std::pair<std::string, std::string>> query = {{"wait", "committed"}};
    if (*timeout != 0) query.emplace_back("timeout", timeout);
    EXPECT_EQ(Post("{\"id\":1}", "application/json", "", query).status, 0);
  }
  ASSERT_THAT(written_, SizeIs(2));
  for (Written& written : written_) written.done({Appended::Outcome::kIn, 41, absl::OkStatus()});
  ASSERT_THAT(waits, SizeIs(2));
  EXPECT_EQ(later_[0]->status, 0) << "what is in doesn't show yet";
  EXPECT_EQ(waits[0].source, "surveys");
  EXPECT_EQ(waits[0].partition, written_[0].partition);
  EXPECT_EQ(waits[0].offset, 41);
  EXPECT_EQ(waits[0].until_us - clock_.monotonic_us, 30 * kSecond);
  EXPECT_EQ(waits[1].until_us - clock_.monotonic_us, 2 * kSecond);
  waits[0].done(true);
  waits[1].done(false);
  EXPECT_EQ(later_[0]->status, 200);
  EXPECT_THAT(later_[0]->body, HasSubstr("\"offset\":41,\"rows\":1,\"visible\":true}"));
  EXPECT_EQ(later_[1]->status, 202) << "it is in all the same";
  EXPECT_THAT(later_[1]->body, HasSubstr("\"visible\":false}"));
  EXPECT_EQ(gate_->status()[0].rows, 2);
  // What can't be accepted isn't waited for.
  EXPECT_EQ(Post("{\"id\":1}", "application/json", "", {{"wait", "committed"}}).status, 0);
  written_[2].done({Appended::Outcome::kUnknown, -1, absl::UnavailableError("timed out")});
  EXPECT_EQ(later_[2]->status, 504);
  EXPECT_THAT(waits, SizeIs(2));
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"wait", "visible"}, {"timeout", "5s"}, {"other", "x"}}) {
    EXPECT_EQ(Post("{\"id\":1}", "application/json", "", {{name, value}}).status, 400) << name;
  }
  EXPECT_EQ(Post("{\"id\":1}", "application/json", "", {{"wait", "committed"}, {"timeout", "400s"}}).status, 400);
}

TEST_F(HttpGateTest, ABodyWithABadRowIsRefusedWithItsPlaceAndNeverWritten) {
  Open();
  const HttpResponse refused = Post("{\"id\":1}\n {\"score\":1.5, \"id\":true}\n{\"id\":\n");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("\"error\":\"line 2, column 21: column id: expected int64"));
  EXPECT_THAT(refused.body, HasSubstr("\"line\":2,\"column\":21,\"bad_rows\":2,\"rows\":3"));
  EXPECT_THAT(refused.body, HasSubstr("{\"line\":3,\"column\":7,\"error\":"));
  EXPECT_EQ(Post("[{\"id\":1},\n{\"id\":2]", "application/json").status, 400);
  EXPECT_EQ(Post("{\"id\":1} x", "application/json").status, 400);
  EXPECT_EQ(Post("", "application/json").status, 400);
  EXPECT_EQ(Post("\n \n").status, 400);
  EXPECT_EQ(Post("[]", "application/json").status, 400);
  EXPECT_EQ(Post("id\n", "text/csv").status, 400);
  EXPECT_EQ(Post("PAR1", "application/vnd.apache.parquet").status, 400);
  EXPECT_EQ(Post("<a/>", "text/xml").status, 415);
  EXPECT_THAT(written_, SizeIs(0));
}

TEST_F(HttpGateTest, RequestsOfOneKeyLieInOnePartitionAndTheOthersInAll) {
  Open();
  for (int i = 0; i < 10; ++i) Post("{\"id\":1}", "application/json", "same");
  for (const Written& written : written_) EXPECT_EQ(written.partition, written_[0].partition);
  EXPECT_EQ(written_[0].request.key(), "same");
  written_.clear();
  std::set<int32_t> partitions;
  for (int i = 0; i < 3; ++i) Post("{\"id\":1}", "application/json");
  for (const Written& written : written_) partitions.insert(written.partition);
  EXPECT_EQ(partitions, (std::set<int32_t>{0, 1, 2}));
}

TEST_F(HttpGateTest, AKeyThatIsEmptyOrGivenTwiceIsNoKeyToRelyOn) {
  Open();
  for (const std::string& key : {std::string("empty"), std::string("two"), std::string(256, 'k')}) {
    const HttpResponse refused = Post("{\"id\":1}", "application/json", key);
    EXPECT_EQ(refused.status, 400);
    EXPECT_THAT(refused.body, HasSubstr("one Idempotency-Key is expected, of 1 to 255 bytes"));
  }
  EXPECT_THAT(written_, SizeIs(0));
}

TEST_F(HttpGateTest, WhoeverTakesABodyDoesNotDecodeIt) {
  Open();
  hold_ = true;
  EXPECT_EQ(Post("{\"id\":1}").status, 0);
  EXPECT_EQ(Post("{\"id\":\"x\"}").status, 0);
  EXPECT_THAT(written_, SizeIs(0));
  tasks_[0]();
  tasks_[1]();
  EXPECT_THAT(written_, SizeIs(1));
  EXPECT_EQ(later_[1]->status, 400);
  // What comes to its turn when the worker stops isn't looked at any more.
  Post("{\"id\":1}");
  gate_->Close(0);
  tasks_[2]();
  EXPECT_EQ(later_[2]->status, 503);
  EXPECT_THAT(written_, SizeIs(1));
}

TEST_F(HttpGateTest, ASmallBodyOfTooManyRowsIsRefused) {
  Open();
  std::string rows = "id\n";
  for (int i = 0; i <= 100'000; ++i) rows += "1\n";
  const HttpResponse refused = Post(rows, "text/csv");
  EXPECT_EQ(refused.status, 413);
  EXPECT_THAT(refused.body, HasSubstr("100000 rows"));
  EXPECT_THAT(written_, SizeIs(0));
}

TEST_F(HttpGateTest, WhatTheServerRefusesByItselfIsCountedToo) {
  EXPECT_EQ(entrances_.at("/in").refuse(nullptr, 413, "too large").body, "{\"error\":\"too large\"}\n");
  EXPECT_EQ(gate_->status()[0].answers.at(413), 1);
}

TEST_F(HttpGateTest, BodiesKeepToTheBudgetOfTheProcess) {
  EXPECT_EQ(gate_->most_body_bytes(), int64_t{256} << 20);
  plan_.memory_bytes = int64_t{64} << 20;
  EXPECT_EQ(HttpGate(plan_, OwnFormats(), &clock_).most_body_bytes(), int64_t{8} << 20);
}

TEST_F(HttpGateTest, BrokersThatAreSilentAreNotWaitedForByThoseWhoComeLater) {
  Open();
  Post("{\"id\":1}");
  clock_.monotonic_us += 3 * kSecond;
  const HttpResponse away = Post("{\"id\":2}");
  EXPECT_EQ(away.status, 503);
  EXPECT_THAT(away.body, HasSubstr("the brokers don't answer"));
  written_[0].done({Appended::Outcome::kIn, 0, absl::OkStatus()});
  EXPECT_EQ(Post("{\"id\":2}").status, 0);
}

TEST_F(HttpGateTest, MoreThanCanBeKeptIsToldToComeLater) {
  Open();
  const std::string large = absl::StrCat("{\"id\":1,\"more\":\"", std::string(3 << 20, 'x'), "\"}");
  HttpResponse last;
  for (int i = 0; i < 40 && last.status != 429; ++i) last = Post(large);
  EXPECT_EQ(last.status, 429);
  EXPECT_EQ(last.headers[0].first, "Retry-After");
  EXPECT_GE(gate_->status()[0].waiting_bytes, int64_t{64} << 20);
  for (const Written& written : written_) written.done({Appended::Outcome::kIn, 0, absl::OkStatus()});
  EXPECT_EQ(Post(large).status, 0);
}

TEST_F(HttpGateTest, WithoutTokensOnlyThisMachineIsListenedTo) {
  for (const char* own : {"", "127.0.0.1:0", "[::1]:9464", "localhost:9464"}) EXPECT_TRUE(gate_->Prepare(own).ok());
  for (const char* wide : {"0.0.0.0:9464", "[::]:9464", "worker-3:9464"}) {
    EXPECT_THAT(std::string(gate_->Prepare(wide).message()), HasSubstr("without tokens"));
  }
}

}  // namespace
}  // namespace tidemark
