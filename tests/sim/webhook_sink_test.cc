// Rows by webhook over the simulated Kafka: each is posted at least once and under one id, whatever the receiver
// answers and whenever a process ends. And the log of alarms: who takes it over goes on with it.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/webhook_feed_sink.h"
#include "src/sim/sim_random.h"
#include "tests/sim/sink_world.h"

namespace tidemark::sim {
namespace {

// What a receiver has taken, and how it answers. Outlives the clients.
struct Receiver {
  std::map<std::string, std::string> taken;  // by id: the body
  std::vector<std::string> order;            // bodies, as they came
  std::function<absl::Status(bool* takes)> answer = [](bool*) { return absl::OkStatus(); };
  int differing = 0;  // posts that had the id of another body
};

class ScriptedWebhook final : public Webhook {
 public:
  explicit ScriptedWebhook(Receiver* receiver) : receiver_(*receiver) {}
  absl::Status Post(const std::string& id, const std::string& body, int64_t) override {
    bool takes = true;
    const absl::Status status = receiver_.answer(&takes);
    if (!takes) return status;
    const auto [it, is_new] = receiver_.taken.emplace(id, body);
    if (it->second != body) ++receiver_.differing;
    receiver_.order.push_back(body);
    return status;
  }
  void Interrupt() override {}

 private:
  Receiver& receiver_;
};

class WebhookSinkTest : public ::testing::Test {
 protected:
  std::set<int64_t> TakenIds() const {
    std::set<int64_t> ids;
    for (const auto& [id, body] : receiver_.taken) {
      const size_t at = body.find("\"row\":{\"id\":");
      if (at != std::string::npos) ids.insert(std::stoll(body.substr(at + 12)));
    }
    return ids;
  }
  std::set<int64_t> Fed() const {
    const std::vector<int64_t> fed = world_.fed();
    return {fed.begin(), fed.end()};
  }

  Receiver receiver_;
  SinkWorld world_{"webhook: \"http://simulated/hook\"", [this](const Runtime& runtime) {
                     return std::make_unique<WebhookFeedSink>(
                         runtime, 0, [this] { return std::make_unique<ScriptedWebhook>(&receiver_); });
                   }};
};

TEST_F(WebhookSinkTest, EveryRowIsPostedInItsOrderAndThePositionIsBehindThem) {
  ASSERT_TRUE(world_.Boot().ok());
  for (int i = 0; i < 5; ++i) world_.Feed(0, 3);
  ASSERT_TRUE(world_.Turns(60).ok());
  EXPECT_EQ(TakenIds(), Fed());
  EXPECT_EQ(receiver_.order.size(), 15U);
  EXPECT_TRUE(std::is_sorted(receiver_.order.begin(), receiver_.order.end(), [](const auto& a, const auto& b) {
    return std::stoll(a.substr(a.find("{\"id\":", 10) + 6)) < std::stoll(b.substr(b.find("{\"id\":", 10) + 6));
  }));
  ASSERT_TRUE(world_.thread().Stop(false).ok());
  // Whoever comes next begins behind them.
  ASSERT_TRUE(world_.Boot().ok());
  world_.Feed(0, 1);
  ASSERT_TRUE(world_.Turns(60).ok());
  EXPECT_EQ(receiver_.order.size(), 16U);
}

TEST_F(WebhookSinkTest, ARowIsPostedAtLeastOnceAndUnderOneIdWhateverFails) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimRandom random(seed);
    // Before it has the post, or after.
    receiver_.answer = [&](bool* takes) -> absl::Status {
      const int what = static_cast<int>(random.Below(10));
      *takes = what > 2;
      return what > 4 ? absl::OkStatus() : absl::UnavailableError("no answer");
    };
    ASSERT_TRUE(world_.Boot().ok());
    for (int i = 0; i < 6; ++i) {
      world_.Feed(static_cast<int32_t>(random.Below(2)), 1 + static_cast<int>(random.Below(5)));
      ASSERT_TRUE(world_.Turns(static_cast<int>(random.Below(8))).ok());
      if (random.Below(3) == 0) {
        world_.Destroy();  // a crash
        ASSERT_TRUE(world_.Boot().ok());
      }
    }
    receiver_.answer = [](bool*) { return absl::OkStatus(); };
    ASSERT_TRUE(world_.Turns(300).ok());
    ASSERT_EQ(TakenIds(), Fed()) << "seed " << seed;
    ASSERT_EQ(receiver_.taken.size(), Fed().size()) << "a row had two ids, seed " << seed;
    ASSERT_EQ(receiver_.differing, 0);
  }
  EXPECT_GT(receiver_.order.size(), receiver_.taken.size());
}

TEST_F(WebhookSinkTest, AReceiverThatIsAwayHoldsThePositionAndNothingIsLost) {
  ASSERT_TRUE(world_.Boot().ok());
  receiver_.answer = [](bool* takes) {
    *takes = false;
    return absl::UnavailableError("refused");
  };
  world_.Feed(0, 3);
  world_.Feed(0, 3);
  ASSERT_TRUE(world_.Turns(100).ok());
  EXPECT_EQ(world_.thread().status().last_error, "refused");
  const auto committed = world_.cluster().CommittedOffsets(world_.group(), {world_.feed(0)});
  EXPECT_LE(committed.at(world_.feed(0)).offset, 0);
  receiver_.answer = [](bool*) { return absl::OkStatus(); };
  ASSERT_TRUE(world_.Turns(300).ok());
  EXPECT_EQ(TakenIds(), Fed());
  EXPECT_EQ(world_.thread().status().last_error, "");
}

TEST_F(WebhookSinkTest, ThePositionMovesRecordByRecordOfWhatWasTakenAtOnce) {
  ASSERT_TRUE(world_.Boot().ok());
  for (int i = 0; i < 5; ++i) world_.Feed(0, 3);
  int posts = 0;
  receiver_.answer = [&](bool* takes) -> absl::Status {
    *takes = ++posts <= 7;  // two records, and a row of the third
    return *takes ? absl::OkStatus() : absl::UnavailableError("refused");
  };
  ASSERT_TRUE(world_.Turns(60).ok());
  EXPECT_EQ(receiver_.order.size(), 7U);
  world_.Destroy();
  receiver_.answer = [](bool*) { return absl::OkStatus(); };
  ASSERT_TRUE(world_.Boot().ok());
  ASSERT_TRUE(world_.Turns(60).ok());
  EXPECT_EQ(TakenIds(), Fed());
  EXPECT_EQ(receiver_.order.size(), 16U) << "one of the third record came again, and none of the others";
}

TEST_F(WebhookSinkTest, ARowThatIsRefusedIsADeadLetterAndHoldsNothingUp) {
  ASSERT_TRUE(world_.Boot().ok());
  int posts = 0;
  receiver_.answer = [&](bool* takes) -> absl::Status {
    *takes = ++posts != 2;
    return *takes ? absl::OkStatus() : absl::InvalidArgumentError("answered 422");
  };
  world_.Feed(0, 4);
  ASSERT_TRUE(world_.Turns(60).ok());
  EXPECT_EQ(receiver_.taken.size(), 3U);
  EXPECT_EQ(world_.thread().status().refused, 1);
  EXPECT_EQ(world_.thread().status().rows, 3);
}

}  // namespace
}  // namespace tidemark::sim
