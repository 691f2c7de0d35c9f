// Who sees how an application runs, by address and token.
#include "src/runtime/status_guard.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/sha256.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class StatusGuardTest : public ::testing::Test {
 protected:
  StatusGuardTest() {
    Write("posts", {{"partner", "*"}, {"both", "*,worker:status"}});
    Write("views", {{"analyst", "view:*"}, {"oncall", "worker:status"}});
    SourcePlan source;
    source.name = "surveys";
    source.http = HttpSpec{.path = "/in", .tokens = Path("posts")};
    plan_.sources.push_back(source);
    SinkPlan view;
    view.name = "totals";
    view.view = ViewSpec{.indexes = {}, .tokens = Path("views"), .audit = ""};
    plan_.sinks.push_back(view);
  }
  ~StatusGuardTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return absl::StrCat(folder_, "/", name); }
  // Tokens are what their names are.
  void Write(const std::string& name, const std::vector<std::pair<std::string, std::string>>& lines) const {
    std::filesystem::create_directories(folder_);
    std::ofstream file(Path(name));
    for (const auto& [who, scopes] : lines)
      file << absl::BytesToHexString(Sha256(who)) << " " << who << " " << scopes << "\n";
  }
  void Put(const std::string& address) {
    StatusGuard guard(plan_, SystemClock());
    ASSERT_TRUE(guard.Prepare(address).ok());
    open_.clear();
    guarded_.clear();
    guard.Put({{"/v1/status", [] { return HttpResponse{200, "application/json", "{}", {}}; }}}, &open_, &guarded_);
    guard.Put({{"/v1/dashboards", [] { return HttpResponse{200, "application/json", "[]", {}}; }}}, &open_, &guarded_,
              StatusGuard::Who::kAnyView);
  }
  HttpResponse Get(const std::string& authorization, const std::string& path = "/v1/status") {
    const HttpEntrance& entrance = guarded_.at(path);
    const HttpRequest request{path, {}, {{"Authorization", authorization}}, ""};
    if (auto refused = entrance.begin(request)) return *refused;
    HttpResponse answer;
    entrance.take(request, [&](HttpResponse told) { answer = std::move(told); });
    return answer;
  }

  const std::string folder_ = absl::StrCat(::testing::TempDir(), "/guard-", getpid());
  Plan plan_;
  HttpHandlers open_;
  HttpEntrances guarded_;
};

TEST_F(StatusGuardTest, OffThisMachineItIsToldToTokensThatAreForIt) {
  Put("0.0.0.0:9464");
  EXPECT_THAT(open_, SizeIs(0));
  EXPECT_EQ(Get("").status, 401);
  EXPECT_THAT(Get("").headers, SizeIs(1)) << "how to ask";
  EXPECT_EQ(Get("Bearer nobody").status, 401);
  EXPECT_EQ(Get("Bearer partner").status, 403) << "who may post everything";
  EXPECT_EQ(Get("Bearer analyst").status, 403) << "who may ask every view";
  EXPECT_THAT(Get("Bearer analyst").body, HasSubstr("scope worker:status"));
  for (const char* may : {"Bearer both", "Bearer oncall"}) {
    EXPECT_EQ(Get(may).status, 200);
    EXPECT_EQ(Get(may).body, "{}");
  }
}

TEST_F(StatusGuardTest, DashboardsAreToldToTokensOfAnyViewToo) {
  Put("0.0.0.0:9464");
  EXPECT_EQ(Get("", "/v1/dashboards").status, 401);
  EXPECT_EQ(Get("Bearer partner", "/v1/dashboards").status, 403) << "who may post everything";
  for (const char* may : {"Bearer both", "Bearer oncall", "Bearer analyst"}) {
    EXPECT_EQ(Get(may, "/v1/dashboards").body, "[]") << may;
  }
}

TEST_F(StatusGuardTest, OnThisMachineAndWhereNobodyHasTokensItIsOpen) {
  Put("127.0.0.1:0");
  EXPECT_THAT(open_, SizeIs(2));
  EXPECT_THAT(guarded_, SizeIs(0));
  plan_ = Plan();
  Put("0.0.0.0:9464");
  EXPECT_THAT(open_, SizeIs(2));
  EXPECT_THAT(guarded_, SizeIs(0));
}

TEST_F(StatusGuardTest, AFileThatIsntThereIsTheUsersMistake) {
  std::filesystem::remove(Path("views"));
  StatusGuard guard(plan_, SystemClock());
  const absl::Status status = guard.Prepare("0.0.0.0:9464");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(Path("views")));
}

}  // namespace
}  // namespace tidemark
