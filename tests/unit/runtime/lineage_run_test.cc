// The run that workers tell catalogues of: one for all of them, whoever comes and goes; and events that never hold
// anybody up.
#include "src/runtime/lineage_run.h"

#include <atomic>
#include <filesystem>
#include <fstream>

#include <absl/strings/str_cat.h>
#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/whole_file.h"
#include "src/runtime/lineage_sender.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr int64_t kEvery = 60 * kSecond;

std::vector<std::string> Told(const std::vector<LineageEvent>& events) {
  std::vector<std::string> told;
  for (const LineageEvent& event : events) told.push_back(absl::StrCat(event.type, " ", event.run));
  return told;
}

LineageRun Of(const std::string& worker) {
  return LineageRun(worker, kEvery, [worker] { return "run of " + worker; });
}

TEST(LineageRunTest, TheFirstWorkerBeginsItAndTheLastOneEndsIt) {
  LineageRun a = Of("a"), b = Of("b");
  EXPECT_THAT(a.Step(0, 0, {}), IsEmpty()) << "others may have one";
  EXPECT_THAT(Told(a.Step(LineageRun::kListenUs, 5 * kSecond, {})), ElementsAre("START run of a"));
  EXPECT_THAT(b.Step(0, 0, {{"a", a.run(), a.began_ms()}}), IsEmpty());
  EXPECT_EQ(b.run(), "run of a");
  // One of them says that it goes on.
  EXPECT_THAT(Told(a.Step(kEvery * 2, 0, {{"b", b.run(), b.began_ms()}})), ElementsAre("RUNNING run of a"));
  EXPECT_THAT(b.Step(kEvery * 2, 0, {{"a", a.run(), a.began_ms()}}), IsEmpty());
  EXPECT_THAT(a.Finish(0, absl::InternalError("a thread failed")), IsEmpty()) << "another goes on with it";
  EXPECT_THAT(Told(b.Step(kEvery * 4, 0, {{"a", "", 0}})), ElementsAre("RUNNING run of a"));
  EXPECT_THAT(Told(b.Finish(0, absl::OkStatus())), ElementsAre("COMPLETE run of a"));
  EXPECT_THAT(b.Finish(0, absl::OkStatus()), Not(IsEmpty()));
}

TEST(LineageRunTest, OfTwoThatBeganTogetherTheYoungerIsAborted) {
  LineageRun a = Of("a"), b = Of("b");
  for (LineageRun* run : {&a, &b}) run->Step(0, 0, {});
  a.Step(LineageRun::kListenUs, 9 * kSecond, {});
  b.Step(LineageRun::kListenUs, 8 * kSecond, {});
  const LineageRun::Other of_a{"a", a.run(), a.began_ms()}, of_b{"b", b.run(), b.began_ms()};
  EXPECT_THAT(Told(a.Step(kSecond * 5, 0, {of_b})), ElementsAre("ABORT run of a"));
  EXPECT_THAT(b.Step(kSecond * 5, 0, {of_a}), IsEmpty());
  EXPECT_EQ(a.run(), b.run());
}

TEST(LineageRunTest, AFailureOfTheLastIsTold) {
  LineageRun a = Of("a");
  a.Step(0, 0, {});
  const auto events = a.Finish(0, absl::InternalError("no disk"));
  EXPECT_THAT(Told(events), ElementsAre("START run of a", "FAIL run of a")) << "over before it could be begun";
  EXPECT_EQ(events[1].error, "no disk");
  EXPECT_THAT(Of("b").Finish(0, absl::OkStatus()), IsEmpty()) << "it never ran";
}

TEST(LineageRunTest, AnIdIsAUuid) {
  EXPECT_THAT(NewRunId(1'700'000'000'000'000),
              MatchesRegex("018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_NE(NewRunId(0), NewRunId(0));
}

const LineageText kText = [](const LineageEvent& event) { return absl::StrCat(event.type, " ", event.run); };

TEST(LineageSenderTest, ATargetThatHangsDropsAndHoldsUpNobody) {
  absl::Notification interrupted, delivering;
  std::atomic<int> delivered{0};
  LineageSender sender(kText);
  sender.Add(
      "http",
      [&](const std::string&) {
        if (!delivering.HasBeenNotified()) delivering.Notify();
        interrupted.WaitForNotification();
        return absl::UnavailableError("told to stop");
      },
      [&] { interrupted.Notify(); });
  sender.Add("file", [&](const std::string&) { return ++delivered, absl::OkStatus(); });
  sender.Send({{.type = "START", .run = "r"}});
  delivering.WaitForNotification();
  constexpr int kMore = 2 * static_cast<int>(LineageSender::kMostWaiting);
  for (int i = 0; i < kMore; ++i) sender.Send({{.type = "RUNNING", .run = "r"}});
  EXPECT_EQ(sender.status()[0].dropped, kMore - static_cast<int>(LineageSender::kMostWaiting));
  sender.Close(kSecond / 100);
  EXPECT_EQ(sender.status()[0].sent, 0);
  EXPECT_EQ(sender.status()[0].dropped, kMore + 1);
  EXPECT_EQ(sender.status()[1].sent + sender.status()[1].dropped, kMore + 1);
  EXPECT_EQ(sender.status()[1].sent, delivered);
}

TEST(LineageSenderTest, AFileHasALineAnEventAndOneThatCannotBeWrittenIsCounted) {
  const std::string path = ::testing::TempDir() + "/lineage.jsonl";
  std::filesystem::remove(path);
  for (const std::string& file : {path, std::string("/nowhere/lineage.jsonl")}) {
    LineageSpec spec;
    spec.file = file;
    auto sender = NewLineageSender(spec, kText, SystemClock(), nullptr);
    ASSERT_TRUE(sender.ok());
    (*sender)->Send({{.type = "START", .run = "r"}, {.type = "COMPLETE", .run = "r"}});
    (*sender)->Close(5 * kSecond);
    const LineageStatus status = (*sender)->status()[0];
    EXPECT_EQ(std::pair(status.sent, status.dropped),
              file == path ? std::pair(int64_t{2}, int64_t{0}) : std::pair(int64_t{0}, int64_t{2}))
        << status.last_error;
  }
  EXPECT_EQ(*ReadWholeFile(path), "START r\nCOMPLETE r\n");
}

}  // namespace
}  // namespace tidemark
