// Who may post: what the file says, and that a changed file counts without a restart.
#include "src/http/tokens.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/time.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

// Of "good" and "other".
constexpr char kGood[] = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c";
constexpr char kOther[] = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

class StillClock final : public Clock {
 public:
  int64_t WallUs() override { return wall_us; }
  int64_t MonotonicUs() override { return monotonic_us; }
  int64_t wall_us = 1'700'000'000'000'000;  // 2023-11-14
  int64_t monotonic_us = kSecond;
};

class TokensTest : public ::testing::Test {
 protected:
  void Write(const std::string& text) { std::ofstream(path_) << text; }
  ~TokensTest() override { std::filesystem::remove(path_); }

  const std::string path_ = absl::StrCat(::testing::TempDir(), "/tokens-", getpid());
  StillClock clock_;
  Tokens tokens_{path_, &clock_};
};

TEST_F(TokensTest, ATokenIsKnownByItsHashAndHoldsForItsScopes) {
  Write(absl::StrCat("# who\n\n", kGood, " partner surveys,returns\n", kOther, "\tcameras\t*\r\n"));
  ASSERT_TRUE(tokens_.Load().ok());
  EXPECT_EQ(*tokens_.Check("Bearer good", "surveys"), "partner");
  EXPECT_EQ(*tokens_.Check("bearer  good ", "returns"), "partner");
  EXPECT_EQ(*tokens_.Check("Bearer other", "anything"), "cameras");
  EXPECT_EQ(tokens_.Check("Bearer good", "others").status().code(), absl::StatusCode::kPermissionDenied);
  for (const std::string& unknown :
       {std::string(), std::string("good"), std::string("Basic good"), std::string("Bearer "),
        std::string("Bearer goo"), absl::StrCat("Bearer ", kGood)}) {
    EXPECT_EQ(tokens_.Check(unknown, "surveys").status().code(), absl::StatusCode::kUnauthenticated) << unknown;
  }
}

TEST_F(TokensTest, AStarIsForAllSourcesOrForAllViewsNeverForBoth) {
  Write(absl::StrCat(kGood, " cameras *\n", kOther, " analyst view:*\n"));
  ASSERT_TRUE(tokens_.Load().ok());
  EXPECT_TRUE(tokens_.Check("Bearer good", "surveys").ok());
  EXPECT_EQ(tokens_.Check("Bearer good", "view:totals").status().code(), absl::StatusCode::kPermissionDenied);
  for (const char* each : {"Bearer good", "Bearer other"}) {
    EXPECT_EQ(tokens_.Check(each, "worker:status").status().code(), absl::StatusCode::kPermissionDenied);
  }
  EXPECT_TRUE(tokens_.Check("Bearer other", "view:totals").ok());
  EXPECT_EQ(tokens_.Check("Bearer other", "surveys").status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(TokensTest, ATokenEndsWhenItsLineSaysSo) {
  Write(absl::StrCat(kGood, " partner * 2023-11-14T22:13:20Z\n", kOther, " partner * 2023-11-14T22:13:21Z\n"));
  ASSERT_TRUE(tokens_.Load().ok());
  EXPECT_THAT(std::string(tokens_.Check("Bearer good", "x").status().message()), HasSubstr("time is over"));
  EXPECT_TRUE(tokens_.Check("Bearer other", "x").ok());
  clock_.wall_us += kSecond;
  EXPECT_FALSE(tokens_.Check("Bearer other", "x").ok());
}

TEST_F(TokensTest, AFileThatHasChangedCountsWithinASecondOrTwo) {
  Write(absl::StrCat(kGood, " partner *\n"));
  ASSERT_TRUE(tokens_.Load().ok());
  Write(absl::StrCat(kOther, " partner surveys\n"));
  EXPECT_TRUE(tokens_.Check("Bearer good", "surveys").ok()) << "it wasn't looked at yet";
  clock_.monotonic_us += 2 * kSecond;
  EXPECT_FALSE(tokens_.Check("Bearer good", "surveys").ok());
  EXPECT_TRUE(tokens_.Check("Bearer other", "surveys").ok());
  // What can't be read changes nothing.
  Write("no token\n");
  clock_.monotonic_us += 2 * kSecond;
  EXPECT_TRUE(tokens_.Check("Bearer other", "surveys").ok());
  std::filesystem::remove(path_);
  clock_.monotonic_us += 2 * kSecond;
  EXPECT_TRUE(tokens_.Check("Bearer other", "surveys").ok());
}

TEST_F(TokensTest, WhatIsWrongWithTheFileIsSaidWithItsLine) {
  EXPECT_THAT(std::string(tokens_.Load().message()), HasSubstr("can't read"));
  const std::pair<std::string, std::string> wrong[] = {
      {"secret partner *", ":2: the first word isn't a SHA-256 in hex"},
      {absl::StrCat(kGood, " partner"), ":2: found 2 words"},
      {absl::StrCat(kGood, " partner ,"), ":2: it is for nothing"},
      {absl::StrCat(kGood, " partner * tomorrow"), ":2: 'tomorrow' is no time"}};
  for (const auto& [line, words] : wrong) {
    Write(absl::StrCat("# who\n", line, "\n"));
    const absl::Status status = tokens_.Load();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
}

}  // namespace
}  // namespace tidemark
