// What a worker says of itself, compared with a moment before.
#include "src/runtime/status_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using ::testing::SizeIs;

// A moment `s` seconds after the beginning: 100 records a second come, 80 are read, a fifth of the time is the step's.
WorkerStatus At(int64_t s) {
  WorkerStatus status;
  status.instance_id = "w";
  status.monotonic_us = (1'000 + s) * kSecond;
  ThreadStatus& thread = status.threads.emplace_back();
  thread.state = ThreadStatus::State::kRunning;
  thread.commits = 10 * s;
  thread.spent = {{"working", 6 * s * kSecond / 10}, {"waiting for records", 4 * s * kSecond / 10}};
  TaskStatus& task = thread.tasks.emplace_back();
  task.name = "seen";
  task.positions = {{{"seen", 3}, 80 * s}};
  task.marks = {{EventTime{kSecond}, true}};
  StepLedger ledger;
  ledger.in = 80 * s;
  ledger.late = s;
  task.ledger = {{"wanted", ledger}};
  task.spent_us = {s * kSecond / 5};
  status.ends[{"seen", 3}] = 100 * s;
  SinkStatus& sink = status.sinks.emplace_back();
  sink.sink = "table";
  sink.rows = 7 * s;
  sink.spent = {{"waiting for rows", s * kSecond / 4}, {"PostgreSQL COMMIT", 3 * s * kSecond / 4}};
  return status;
}

TEST(StatusReport, RatesAndSharesAreThoseOfTheLastSamples) {
  const Plan plan;
  StatusReporter reporter(plan, "p", "127.0.0.1:1");
  EXPECT_DOUBLE_EQ(reporter.Make(At(10)).tasks(0).nodes(0).in_per_s(), 0);  // nothing to compare with
  const live::WorkerReport report = reporter.Make(At(12));
  ASSERT_THAT(report.tasks(), SizeIs(1));
  const live::TaskReport& task = report.tasks(0);
  EXPECT_DOUBLE_EQ(task.nodes(0).in_per_s(), 80);
  EXPECT_NEAR(task.nodes(0).busy(), 0.2, 1e-9);
  EXPECT_DOUBLE_EQ(task.nodes(0).counters().at("in"), 960);
  EXPECT_DOUBLE_EQ(task.nodes(0).counters().at("late"), 12);
  EXPECT_FALSE(task.nodes(0).counters().contains("filtered"));
  EXPECT_DOUBLE_EQ(task.inputs(0).lag(), 240);
  EXPECT_DOUBLE_EQ(task.inputs(0).arriving(), 100);
  EXPECT_DOUBLE_EQ(task.inputs(0).reading(), 80);
  EXPECT_DOUBLE_EQ(task.inputs(0).watermark_ms(), 1000);
  EXPECT_TRUE(task.inputs(0).idle());
  EXPECT_NEAR(report.threads(0).time(1).share(), 0.4, 1e-9);
  EXPECT_DOUBLE_EQ(report.threads(0).commits_per_s(), 10);
  EXPECT_NEAR(report.sinks(0).time(1).share(), 0.75, 1e-9);
  EXPECT_DOUBLE_EQ(report.sinks(0).rows_per_s(), 7);
}

TEST(StatusReport, WhatBeginsAnewCountsFromItsBeginning) {
  const Plan plan;
  StatusReporter reporter(plan, "p", "");
  reporter.Make(At(100));
  WorkerStatus now = At(102);
  now.threads[0].tasks[0].spent_us = {kSecond};  // the task was opened again a moment ago
  EXPECT_NEAR(reporter.Make(now).tasks(0).nodes(0).busy(), 0.5, 1e-9);
}

TEST(StatusReport, StepsTogetherTakeNoMoreThanTheirThreadHasWorked) {
  const Plan plan;
  StatusReporter reporter(plan, "p", "");
  reporter.Make(At(100));
  WorkerStatus now = At(102);
  now.threads[0].tasks[0].spent_us = {40 * kSecond};  // a batch that took long has just been told
  EXPECT_NEAR(reporter.Make(now).tasks(0).nodes(0).busy(), 0.6, 1e-9);
}

TEST(StatusReport, ATaskThatHasJustComeHasNoRates) {
  const Plan plan;
  StatusReporter reporter(plan, "p", "");
  WorkerStatus before = At(10);
  before.threads[0].tasks.clear();
  reporter.Make(before);
  EXPECT_DOUBLE_EQ(reporter.Make(At(12)).tasks(0).nodes(0).in_per_s(), 0);
}

TEST(StatusReport, TextThatIsNotUtf8CanBeRead) {
  const Plan plan;
  WorkerStatus status = At(1);
  status.sinks[0].last_error = "Zugriff verweigert f\xfcr Benutzer";
  const std::string bytes = StatusReporter(plan, "p", "").Make(status).SerializeAsString();
  live::WorkerReport read;
  ASSERT_TRUE(read.ParseFromString(bytes));
  EXPECT_EQ(read.sinks(0).error(), "Zugriff verweigert f?r Benutzer");
}

}  // namespace
}  // namespace tidemark
