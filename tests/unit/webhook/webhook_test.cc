#include "src/webhook/webhook.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace tidemark {
namespace {

// Over a server of the test's own.
class WebhookTest : public testing::Test {
 protected:
  WebhookTest() {
    server_.Post("/hook", [this](const httplib::Request& request, httplib::Response& response) {
      last_ = request;
      response.status = status_;
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~WebhookTest() override {
    server_.stop();
    thread_.join();
  }

  WebhookSpec Spec() const {
    WebhookSpec spec;
    spec.url = "http://127.0.0.1:" + std::to_string(port_) + "/hook?key=value";
    spec.headers = {{"X-Tenant", "town"}};
    return spec;
  }
  static std::string File(const std::string& name, const std::string& text) {
    const std::string path = testing::TempDir() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }

  httplib::Server server_;
  int port_ = 0;
  int status_ = 204;
  httplib::Request last_;
  std::thread thread_;
};

// The example of the Standard Webhooks specification's own libraries.
TEST(WebhookSignature, IsThatOfTheSpecification) {
  EXPECT_EQ(WebhookSignature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                             R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST_F(WebhookTest, WhatIsPostedHasItsIdItsHeadersAndItsSignature) {
  WebhookSpec spec = Spec();
  spec.sign = File("sign", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
  spec.token = File("token", "abc\n");
  const auto webhook = NewWebhook(spec);
  ASSERT_TRUE(webhook.ok()) << webhook.status();
  ASSERT_TRUE((*webhook)->Post("one", "{}", 1614265330'000000).ok());
  EXPECT_EQ(last_.body, "{}");
  EXPECT_EQ(last_.get_param_value("key"), "value");
  EXPECT_EQ(last_.get_header_value("X-Tenant"), "town");
  EXPECT_EQ(last_.get_header_value("Authorization"), "Bearer abc");
  EXPECT_EQ(last_.get_header_value("webhook-id"), "one");
  EXPECT_EQ(last_.get_header_value("webhook-timestamp"), "1614265330");
  EXPECT_EQ(last_.get_header_value("webhook-signature"),
            WebhookSignature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "one", 1614265330, "{}"));
}

TEST_F(WebhookTest, WhatIsRefusedForGoodIsToldFromWhatPasses) {
  const auto webhook = NewWebhook(Spec());
  ASSERT_TRUE(webhook.ok());
  for (const int status : {400, 413, 422}) {
    status_ = status;
    EXPECT_EQ((*webhook)->Post("one", "{}", 0).code(), absl::StatusCode::kInvalidArgument) << status;
  }
  for (const int status : {302, 401, 404, 429, 500, 503}) {
    status_ = status;
    EXPECT_EQ((*webhook)->Post("one", "{}", 0).code(), absl::StatusCode::kUnavailable) << status;
  }
  status_ = 200;
  EXPECT_TRUE((*webhook)->Post("one", "{}", 0).ok());
}

TEST_F(WebhookTest, NobodyThereIsAnErrorThatShowsNoSecret) {
  WebhookSpec spec = Spec();
  spec.url = "http://127.0.0.1:1/a-secret-path";
  const auto webhook = NewWebhook(spec);
  ASSERT_TRUE(webhook.ok());
  const absl::Status posted = (*webhook)->Post("one", "{}", 0);
  EXPECT_EQ(posted.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(posted.message().find("secret"), std::string::npos) << posted;
}

TEST_F(WebhookTest, AfterAnInterruptNothingIsPosted) {
  const auto webhook = NewWebhook(Spec());
  ASSERT_TRUE(webhook.ok());
  (*webhook)->Interrupt();
  EXPECT_EQ((*webhook)->Post("one", "{}", 0).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(last_.body.empty());
}

TEST_F(WebhookTest, ASecretThatIsChangedIsTheNextPosts) {
  WebhookSpec spec = Spec();
  spec.token = File("changed", "before");
  const auto webhook = NewWebhook(spec);
  ASSERT_TRUE(webhook.ok());
  File("changed", "after");
  ASSERT_TRUE((*webhook)->Post("one", "{}", 0).ok());
  EXPECT_EQ(last_.get_header_value("Authorization"), "Bearer after");
  std::filesystem::remove(spec.token);
  EXPECT_EQ((*webhook)->Post("two", "{}", 0).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(NewWebhook(spec).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidemark
