// What a run to the end says while it runs, and that its last words are true.
#include "src/runtime/end_report.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

WorkerStatus Open(int64_t pairs) {
  WorkerStatus status;
  TaskStatus& task = status.threads.emplace_back().tasks.emplace_back();
  StepLedger ledger;
  ledger.in = 5;
  ledger.open = pairs;
  task.ledger = {{"counts", ledger}};
  return status;
}

std::vector<std::string> Final(const WorkerStatus& status, bool done, bool close_windows) {
  std::vector<std::string> said;
  EndReport([&](const std::string& line) { said.push_back(line); }, close_windows).Final(status, done);
  return said;
}

TEST(ProgressLineTest, SaysWhatIsWaitedForAndWhatTheSinkSuffersFrom) {
  WorkerStatus status;
  EXPECT_EQ(ProgressLine({50, 100, "", ""}, status, 10 * kSecond), "progress 50 of 100 records, 5 records/s");
  SinkStatus& sink = status.sinks.emplace_back();
  sink.sink = "table";
  EndProgress last = {100, 100, "sink table: 12 records of its feed", "table"};
  EXPECT_EQ(ProgressLine(last, status, 10 * kSecond),
            "progress 100 of 100 records, 10 records/s; waiting for sink table: 12 records of its feed");
  sink.last_error = "connection refused";
  EXPECT_THAT(ProgressLine(last, status, 10 * kSecond), HasSubstr("of its feed (connection refused)"));
}

TEST(ProgressLineTest, ComesOnceASecond) {
  int lines = 0;
  EndReport report([&](const std::string&) { ++lines; }, false);
  for (int i = 0; i < 20; ++i) report.Progress({}, [] { return WorkerStatus(); }, kSecond + i * kSecond / 10);
  EXPECT_EQ(lines, 2);
}

TEST(FinalReportTest, ClosedWindowsAreClaimedOnlyByARunThatReachedTheEnd) {
  EXPECT_THAT(Final(Open(0), true, true), Contains(HasSubstr("all windows are closed")));
  EXPECT_THAT(Final(Open(0), true, false), Each(Not(HasSubstr("windows"))));
  EXPECT_THAT(Final(Open(0), false, true), ElementsAre("ledger counts in=5", HasSubstr("stopped before the end")));
}

TEST(FinalReportTest, CloseWindowsIsAdvisedOnlyWhereItWasNotGiven) {
  EXPECT_THAT(Final(Open(3), true, false), Contains(HasSubstr("--close_windows closes them")));
  EXPECT_THAT(Final(Open(3), true, true), Each(Not(HasSubstr("--close_windows"))));
}

}  // namespace
}  // namespace tidemark
