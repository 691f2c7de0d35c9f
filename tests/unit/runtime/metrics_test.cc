// GCC 12 takes std::regex for uninitialized where a sanitizer instruments it; a pragma around the include doesn't reach
// the instantiations, so it stands for the file.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include "src/runtime/metrics.h"

#include <regex>
#include <set>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/time.h"
#include "src/base/whole_file.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kNow = 1'000 * kSecond;
constexpr int64_t kWall = 1'700'000'000 * kSecond;

TaskStatus SomeTask() {
  TaskStatus task;
  task.name = "detections";
  task.partition = 3;
  task.commit = 12;
  task.watermark = EventTime{kWall - 5 * kSecond};
  task.state_bytes = 1000;
  task.memory_bytes = 2000;
  task.positions = {{{"in", 3}, 90}, {{"unknown", 3}, 5}};
  task.unnamed_columns = {{"orders", 1}};
  StepLedger ledger;
  ledger.in = 10;
  ledger.passed = 7;
  ledger.late = 3;
  ledger.pairs = 14;
  ledger.closed = 4;
  ledger.open = 10;
  ledger.out = 2;
  ledger.violated = {{"positive", 1}};
  task.ledger = {{"counts", ledger}};
  return task;
}

// A worker in which every metric has a sample but those of what waits.
WorkerStatus FullStatus() {
  WorkerStatus status;
  status.application.name = "town";
  status.instance_id = "worker-1";
  status.monotonic_us = kNow;
  status.wall_us = kWall;
  ThreadStatus& thread = status.threads.emplace_back();
  thread.state = ThreadStatus::State::kRunning;
  thread.tasks = {SomeTask()};
  thread.commits = 4;
  thread.aborts = 1;
  thread.last_commit_us = kNow - 2 * kSecond;
  thread.last_step_us = kNow - kSecond;
  thread.commit_time_sum_us = 63 * kMillisecond;
  thread.commit_histogram = {0, 1, 1, 3, 3, 4, 4, 4, 4, 4, 4, 4};
  SinkStatus& sink = status.sinks.emplace_back();
  sink.sink = "top_items";
  sink.assigned = true;
  sink.rows = 55;
  sink.refused = 2;
  sink.last_success_us = kNow - 3 * kSecond;
  sink.last_step_us = kNow;
  sink.positions = {{{"town.top_items.feed", 0}, 8}};
  IntakeMemberStatus& intake = status.intakes.emplace_back();
  intake.intake = "surveys";
  intake.sources = {"surveys"};
  intake.assigned = true;
  intake.last_step_us = kNow;
  IntakeStatus& split = intake.splits.emplace_back();
  split.targets = {{"surveys", 1000, 0, {{"files_read", 2}}}};
  status.gates = {{"surveys", {{202, 7}, {400, 1}}, 70, 1'000}};
  ViewStatus& view = status.views.emplace_back();
  view.view = "top_items_view";
  view.ready = true;
  view.age_us = kSecond;
  view.as_of = EventTime{kSecond};
  status.view_gates = {{"top_items_view", {{200, 7}}, 70}};
  status.freshness = {{.sink = "top_items",
                       .spec = {20 * kSecond, 30 * kSecond, false},
                       .age_us = 25 * kSecond,
                       .confirmed = true,
                       .breach_in_us = 5 * kSecond,
                       .raised = {{"top_items", AlarmKind::kWarn, kWall - 7 * kSecond}}}};
  status.alarms = AlarmStatus{.watches = true, .raised = 1, .webhook = {}, .trouble = "nobody takes them"};
  status.tables = {{"locations", 100, 1}};
  status.losses = {{"detections", {50, 1}}};
  status.ends = {{{"in", 3}, 100}, {{"town.top_items.feed", 0}, 10}};
  status.ownership.known = true;
  status.ownership.unread["town"] = {};
  status.unread_topics["services"] = 0;
  status.lineage = {{.target = "http", .sent = 3, .dropped = 1, .last_error = "the address is away"}};
  return status;
}

std::string Lines(const std::string& text, const std::string& start) {
  std::string found;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.substr(0, start.size()) == start) found += std::string(line) + "\n";
  }
  return found;
}

TEST(Metrics, DocumentedNamesAndRenderedNamesAreTheSame) {
  const std::string docs = ReadWholeFile("docs/metrics.md").value();
  const auto collect = [](const std::string& text, const std::regex& pattern) {
    std::set<std::string> lines;
    for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
      lines.insert((*it)[1].str() + " " + (*it)[2].str());
    }
    return lines;
  };
  const std::set<std::string> documented = collect(docs, std::regex(R"(\| `(tidemark_\w+)` \| (\w+) \|)"));
  const std::set<std::string> rendered = collect(RenderMetrics(FullStatus()), std::regex(R"(# TYPE (\S+) (\w+))"));
  EXPECT_EQ(documented, rendered);
  EXPECT_GT(rendered.size(), 20u);
}

TEST(Metrics, EveryNameHasASampleWithTheApplicationAndOnlyDocumentedLabels) {
  const std::string docs = ReadWholeFile("docs/metrics.md").value();
  WorkerStatus status = FullStatus();
  status.threads[0].tasks[0].waits = {{.partition = {"in", 3}, .what = "schema 7", .since_us = kNow - kSecond}};
  const std::string text = RenderMetrics(status);
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (line[0] == '#') {
      if (line.substr(0, 7) != "# TYPE ") continue;
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      const std::string suffix = words[3] == "histogram" ? "_count{" : "{";
      EXPECT_THAT(text, HasSubstr("\n" + words[2] + suffix + "application=\"town\""));
      continue;
    }
    const std::string sample(line);
    static const std::regex kLabel(R"((\w+)=")");
    for (std::sregex_iterator it(sample.begin(), sample.end(), kLabel), end; it != end; ++it) {
      EXPECT_THAT(docs, HasSubstr(absl::StrCat("`", (*it)[1].str(), "`"))) << sample;
    }
  }
}

TEST(Metrics, LagIsTheDistanceToTheEndAndUnknownWhereTheEndIs) {
  const std::string text = RenderMetrics(FullStatus());
  EXPECT_EQ(Lines(text, "tidemark_task_lag_records{"),
            "tidemark_task_lag_records{application=\"town\",stage=\"detections\",topic=\"in\",partition=\"3\"} 10\n");
  EXPECT_EQ(Lines(text, "tidemark_sink_lag_records{"),
            "tidemark_sink_lag_records{application=\"town\",sink=\"top_items\",topic=\"town.top_items.feed\","
            "partition=\"0\"} 2\n");
}

TEST(Metrics, LagIsNeverNegativeWhereTheEndIsOlderThanThePosition) {
  WorkerStatus status = FullStatus();
  status.ends[{"in", 3}] = 80;
  EXPECT_THAT(Lines(RenderMetrics(status), "tidemark_task_lag_records{"), HasSubstr("} 0\n"));
}

TEST(Metrics, WatermarksShowOnlyWhereTheyAreKnownAndTheirLagOnlyWhileRowsCome) {
  WorkerStatus status = FullStatus();
  TaskStatus& task = status.threads[0].tasks[0];
  EXPECT_THAT(Lines(RenderMetrics(status), "tidemark_task_watermark_lag_seconds{"), HasSubstr("} 5\n"));
  task.idle = true;
  EXPECT_THAT(Lines(RenderMetrics(status), "tidemark_task_watermark_seconds{"), HasSubstr("} 1699999995\n"));
  EXPECT_EQ(Lines(RenderMetrics(status), "tidemark_task_watermark_lag_seconds{"), "");
  task.watermark = kMinTime;
  EXPECT_EQ(Lines(RenderMetrics(status), "tidemark_task_watermark_seconds{"), "");
}

TEST(Metrics, CommitTimesAreACumulativeHistogramInSeconds) {
  const std::string text = Lines(RenderMetrics(FullStatus()), "tidemark_commit_duration_seconds");
  EXPECT_THAT(text, AllOf(HasSubstr("thread=\"0\",le=\"0.002\"} 1\n"), HasSubstr("thread=\"0\",le=\"0.01\"} 3\n"),
                          HasSubstr("thread=\"0\",le=\"5\"} 4\n"), HasSubstr("thread=\"0\",le=\"+Inf\"} 4\n"),
                          HasSubstr("_count{application=\"town\",thread=\"0\"} 4\n"),
                          HasSubstr("_sum{application=\"town\",thread=\"0\"} 0.063\n")));
}

TEST(Metrics, TheLedgerStandsThereByStepAndOutcome) {
  const std::string text = RenderMetrics(FullStatus());
  const std::string step = "{application=\"town\",stage=\"detections\",task_partition=\"3\",step=\"counts\"";
  EXPECT_THAT(text, HasSubstr("tidemark_step_in_rows_total" + step + "} 10\n"));
  EXPECT_THAT(text, HasSubstr("tidemark_step_rows_total" + step + ",outcome=\"passed\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("tidemark_step_rows_total" + step + ",outcome=\"late\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("tidemark_step_rows_total" + step + ",outcome=\"filtered\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("tidemark_step_window_pairs_total" + step + ",outcome=\"closed\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("tidemark_step_open_window_pairs" + step + "} 10\n"));
}

TEST(Metrics, LabelValuesAreEscaped) {
  WorkerStatus status = FullStatus();
  status.tables = {{"a\"b\\c\nd", 1, 0}};
  EXPECT_THAT(RenderMetrics(status), HasSubstr(R"(table="a\"b\\c\nd"} 1)"));
}

TEST(Metrics, AWorkerThatHasJustBegunShowsNoAges) {
  WorkerStatus status;
  status.application.name = "town";
  status.monotonic_us = kNow;
  status.threads.emplace_back().commit_histogram.assign(std::size(kCommitBucketsMs) + 1, 0);
  const std::string text = RenderMetrics(status);
  EXPECT_EQ(Lines(text, "tidemark_last_commit_age_seconds{"), "");
  EXPECT_EQ(Lines(text, "tidemark_thread_step_age_seconds{"), "");
  EXPECT_THAT(Lines(text, "tidemark_thread_running{"), HasSubstr("} 0\n"));
}

TEST(HealthCheck, LoopsThatTurnAreHealthyAndSilentOnesAreNamed) {
  WorkerStatus status = FullStatus();
  EXPECT_TRUE(CheckHealth(status).ok);
  EXPECT_EQ(CheckHealth(status).text, "ok\n");
  status.threads[0].last_step_us = kNow - 31 * kSecond;
  EXPECT_FALSE(CheckHealth(status).ok);
  EXPECT_EQ(CheckHealth(status).text, "stream thread 0: silent for 31 seconds\n");
  status = FullStatus();
  status.sinks[0].last_step_us = kNow - 40 * kSecond;
  EXPECT_EQ(CheckHealth(status).text, "sink top_items: silent for 40 seconds\n");
}

TEST(HealthCheck, AThreadThatWaitsForKafkaAtItsStartIsNotDead) {
  WorkerStatus status = FullStatus();
  status.threads[0].last_step_us = 0;
  EXPECT_TRUE(CheckHealth(status).ok);
}

TEST(ReadinessCheck, AllThreadsRunAndAllSinksHaveTheirPartitions) {
  EXPECT_TRUE(CheckReadiness(FullStatus()).ok);
  EXPECT_EQ(CheckReadiness(FullStatus()).text,
            "stream thread 0: runs 1 tasks\nsink top_items: runs\nsource surveys: runs\n"
            "view top_items_view: 0 rows\n"
            "sink top_items: alarm warn for 7 seconds, what shows is 25 seconds old\n"
            "alarms can't be told: nobody takes them\n");
}

TEST(ReadinessCheck, ARestoreShowsHowMuchIsLeft) {
  WorkerStatus status = FullStatus();
  ThreadStatus& thread = status.threads[0];
  thread.state = ThreadStatus::State::kOpening;
  thread.opening = {{"town", "detections", 3}};
  thread.restore_position = 40;
  thread.restore_target = 100;
  const Health health = CheckReadiness(status);
  EXPECT_FALSE(health.ok);
  EXPECT_THAT(health.text, HasSubstr("stream thread 0: opens 1 tasks, 60 changelog records to restore\n"));
  EXPECT_THAT(Lines(RenderMetrics(status), "tidemark_restore_remaining_records{"), HasSubstr("} 60\n"));
}

TEST(ReadinessCheck, AThreadWithoutAssignmentIsNotReady) {
  WorkerStatus status = FullStatus();
  status.threads[0].state = ThreadStatus::State::kUnassigned;
  EXPECT_FALSE(CheckReadiness(status).ok);
}

TEST(ReadinessCheck, AnInputThatNobodyReadsIsNamed) {
  WorkerStatus status = FullStatus();
  status.ownership.unread["town"] = {{{"detections", 2}, "given to no member", true}};
  EXPECT_FALSE(CheckReadiness(status).ok);
  EXPECT_THAT(CheckReadiness(status).text, HasSubstr("nobody reads detections-2: given to no member\n"));
  EXPECT_THAT(Lines(RenderMetrics(status), "tidemark_unowned_inputs{"), HasSubstr("} 1\n"));
  // In the middle of a rolling restart, which this worker's readiness must not hold up.
  status.ownership.unread["town"][0].curable = false;
  EXPECT_TRUE(CheckReadiness(status).ok);
}

TEST(ReadinessCheck, AWorkerThatDoesNotKnowWhoReadsWhatIsNotReady) {
  WorkerStatus status = FullStatus();
  status.ownership.known = false;
  EXPECT_FALSE(CheckReadiness(status).ok);
}

TEST(HealthCheck, ASinkInsideACallToTheOutsideIsNotSilent) {
  WorkerStatus status = FullStatus();
  status.sinks[0].last_step_us = status.sinks[0].outside_since_us = status.monotonic_us - 125 * kSecond;
  EXPECT_TRUE(CheckHealth(status).ok);
  EXPECT_THAT(CheckReadiness(status).text, HasSubstr("waits for an answer from outside for 125 seconds"));
  status.sinks[0].last_step_us = status.sinks[0].outside_since_us = status.monotonic_us - 700 * kSecond;
  EXPECT_FALSE(CheckHealth(status).ok);
}

TEST(ReadinessCheck, APartitionThatCannotBeReadIsToldAndIsNotReady) {
  WorkerStatus status = FullStatus();
  status.threads[0].trouble = "reading in-3: checksum, for 12 s";
  EXPECT_FALSE(CheckReadiness(status).ok);
  EXPECT_THAT(CheckReadiness(status).text, HasSubstr("stream thread 0: reading in-3: checksum, for 12 s\n"));
}

TEST(ReadinessCheck, ASinksLastErrorIsToldThoughItStillRuns) {
  WorkerStatus status = FullStatus();
  status.sinks[0].last_error = "connection refused";
  status.sinks[0].failing_since_us = status.monotonic_us - 90 * kSecond;
  EXPECT_THAT(CheckReadiness(status).text,
              HasSubstr("sink top_items: runs; failing for 90 seconds, last error: connection refused\n"));
  EXPECT_THAT(Lines(RenderMetrics(status), "tidemark_sink_error{"), HasSubstr("} 1\n"));
  status.sinks[0].assigned = false;
  EXPECT_FALSE(CheckReadiness(status).ok);
}

}  // namespace
}  // namespace tidemark
