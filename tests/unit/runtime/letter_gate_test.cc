#include "src/runtime/letter_gate.h"

#include <unistd.h>
#include <filesystem>
#include <fstream>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/sha256.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

class LetterGateTest : public ::testing::Test {
 protected:
  LetterGateTest() {
    std::filesystem::create_directories(folder_);
    std::ofstream file(folder_ + "/tokens");
    for (const auto& [who, scopes] : std::map<std::string, std::string>{
             {"admin", "worker:admin"}, {"oncall", "worker:status"}, {"partner", "*"}, {"analyst", "view:*"}}) {
      file << absl::BytesToHexString(Sha256(who)) << " " << who << " " << scopes << "\n";
    }
    file.close();
    Node node;
    node.kind = Node::Kind::kSource;
    node.step = "surveys";
    plan_.stages.push_back({"surveys", {node}, false});
    SourcePlan source;
    source.name = "surveys";
    source.http = HttpSpec{.path = "/in", .tokens = folder_ + "/tokens"};
    plan_.sources.push_back(source);
  }
  ~LetterGateTest() override { std::filesystem::remove_all(folder_); }

  void Open() {
    gate_.emplace(plan_, SystemClock(), [this](const LetterOrder& order) -> absl::StatusOr<std::string> {
      orders_.push_back(order);
      if (order.where == "nonsense") return absl::InvalidArgumentError("--where: no");
      return "said";
    });
    ASSERT_TRUE(gate_->Prepare().ok());
    entrances_ = gate_->Entrances();
  }

  HttpResponse Post(const std::string& command, const std::string& who,
                    std::vector<std::pair<std::string, std::string>> query) {
    return Ask("/v1/dead-letters/" + command, who, std::move(query));
  }
  HttpResponse Ask(const std::string& path, const std::string& who,
                   std::vector<std::pair<std::string, std::string>> query = {}) {
    const HttpEntrance& entrance = entrances_.at(path);
    HttpRequest request{"", std::move(query), {}, ""};
    if (!who.empty()) request.headers.emplace_back("Authorization", "Bearer " + who);
    if (auto refused = entrance.begin(request)) return *refused;
    absl::Notification done;
    HttpResponse answer;
    entrance.take(request, [&](HttpResponse told) {
      answer = std::move(told);
      done.Notify();
    });
    done.WaitForNotification();
    return answer;
  }

  const std::string folder_ = absl::StrCat(::testing::TempDir(), "/letters-", getpid());
  Plan plan_;
  std::vector<LetterOrder> orders_;
  std::optional<LetterGate> gate_;
  HttpEntrances entrances_;
};

TEST_F(LetterGateTest, OnlyTheScopeForItMayEvenOnThisMachine) {
  Open();
  for (const char* command : {"list", "show", "replay"}) {
    EXPECT_EQ(Post(command, "", {{"dry_run", "false"}}).status, 401);
    EXPECT_EQ(Post(command, "nobody", {{"dry_run", "false"}}).status, 401);
    for (const char* who : {"oncall", "partner", "analyst"}) {
      EXPECT_EQ(Post(command, who, {{"dry_run", "false"}}).status, 403) << who << " " << command;
    }
  }
  EXPECT_TRUE(orders_.empty());
  EXPECT_EQ(Post("list", "admin", {}).body, "said");
}

TEST_F(LetterGateTest, WhereNobodyHasTokensNobodyMay) {
  plan_ = Plan();
  Open();
  EXPECT_EQ(Post("replay", "admin", {{"dry_run", "false"}}).status, 403);
  EXPECT_THAT(Post("replay", "admin", {}).body, HasSubstr("names no file of tokens"));
}

TEST_F(LetterGateTest, TheLastLettersOfANodeAreForAdminsAlone) {
  Open();
  const std::string path = "/v1/nodes/surveys/dead-letters";
  EXPECT_FALSE(entrances_.at(path).listed);
  EXPECT_EQ(Ask(path, "").status, 401);
  for (const char* who : {"oncall", "partner", "analyst"}) EXPECT_EQ(Ask(path, who).status, 403) << who;
  EXPECT_EQ(Ask(path, "admin", {{"limit", "20"}}).status, 400);
  EXPECT_TRUE(orders_.empty());
  EXPECT_EQ(Ask(path, "admin").body, "said");
  ASSERT_EQ(orders_.size(), 1u);
  EXPECT_EQ(orders_[0].command, "last");
  EXPECT_EQ(orders_[0].where, "step = 'surveys'");
  EXPECT_EQ(orders_[0].limit, 10);
  EXPECT_FALSE(orders_[0].dry_run);
}

TEST_F(LetterGateTest, AReplayIsTriedOrDoneAsItSays) {
  Open();
  EXPECT_EQ(Post("replay", "admin", {}).status, 400);
  EXPECT_THAT(Post("replay", "admin", {{"dry_run", "yes"}}).body, HasSubstr("'dry_run=yes' isn't understood"));
  EXPECT_EQ(Post("list", "admin", {{"set", "value = key"}}).status, 400);
  EXPECT_EQ(Post("show", "admin", {{"limit", "0"}}).status, 400);
  EXPECT_TRUE(orders_.empty());
  EXPECT_EQ(Post("replay", "admin", {{"dry_run", "true"}, {"where", "step = 's'"}}).status, 200);
  EXPECT_EQ(Post("replay", "admin", {{"dry_run", "false"}, {"set", "value = key"}}).status, 200);
  ASSERT_EQ(orders_.size(), 2u);
  EXPECT_TRUE(orders_[0].dry_run);
  EXPECT_EQ(orders_[0].where, "step = 's'");
  EXPECT_FALSE(orders_[1].dry_run);
  EXPECT_EQ(orders_[1].set, "value = key");
  EXPECT_EQ(Post("list", "admin", {{"where", "nonsense"}}).status, 400);
}

}  // namespace
}  // namespace tidemark
