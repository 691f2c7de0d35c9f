// What a newer version has kept, shown by records with a number above ours in each of the logs: no start, plan or reset
// goes on with it, and none has touched anything by then.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_replace.h>
#include <arrow/compute/initialize.h>
#include <arrow/util/utf8.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "proto/alarms.pb.h"
#include "proto/generations.pb.h"
#include "proto/intake.pb.h"
#include "proto/packed.pb.h"
#include "proto/views.pb.h"
#include "src/base/generation_names.h"
#include "src/base/intake_names.h"
#include "src/base/kept_format.h"
#include "src/base/memory_budget.h"
#include "src/codec/formats.h"
#include "src/codec/packed_rows.h"
#include "src/plan/planner.h"
#include "src/runtime/alarm_thread.h"
#include "src/runtime/generations/generations_log.h"
#include "src/runtime/offset_metadata.h"
#include "src/runtime/reset.h"
#include "src/runtime/start_check.h"
#include "src/runtime/view_reader.h"
#include "src/sim/deployment.h"
#include "src/views/records.h"

namespace tidemark::sim {
namespace {

using ::testing::HasSubstr;

constexpr char kTopology[] = R"yaml(
name: kept
commit_interval: 20ms
kafka: { brokers: simulated }
sources:
  rows: { topic: rows, partitioned_by: [id], columns: { id: int64, note: string } }
  posts: { http: { path: /posts, tokens: t }, columns: { id: int64 } }
steps:
  totals: { from: rows, group_by: [id], aggregates: { n: "count(*)" } }
sinks:
  lake: { from: rows, parquet: { path: /simulated, max_age: 1s } }
  posted: { from: posts, topic: posted, create: {} }
views:
  seen: { from: totals, key: [id] }
)yaml";

constexpr uint32_t kNewer = kKeptFormat + 1;

Plan Planned(const std::string& yaml) {
  absl::StatusOr<Plan> plan =
      PlanFromYaml(yaml, "t.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : Plan();
}

template <typename Message>
std::string Saying(uint32_t needs, Message message = {}) {
  message.set_needs_format(needs);
  return message.SerializeAsString();
}

std::string Commit(uint32_t needs, uint64_t number = 1) {
  packed::ChangelogPart part;
  part.set_commit(number);
  part.mutable_record()->set_commit(number);
  part.mutable_record()->set_identity(std::string(16, 'i'));
  part.mutable_record()->set_needs_format(needs);
  return part.SerializeAsString();
}

class KeptFormat : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(arrow::compute::Initialize().ok());
    arrow::util::InitializeUTF8();
  }

  absl::Status Start(const Plan& plan) { return CheckStart(plan, *cluster_.NewClient(9)); }

  SimClock clock_;
  SimRandom random_{3};
  SimCluster cluster_{{.seed = 3}, &clock_};
};

TEST_F(KeptFormat, AHigherNumberInAnyLogIsRefusedAndOursIsNot) {
  const Plan plan = Planned(kTopology);
  const auto commit = [](uint32_t needs) { return Commit(needs); };
  const std::map<std::string, std::pair<std::string, std::function<std::string(uint32_t)>>> logs = {
      {plan.application.ChangelogTopic("rows"), {"", commit}},
      {plan.application.ManifestTopic("lake"), {"", [](uint32_t n) { return Saying<packed::Manifest>(n); }}},
      {plan.application.ViewTopic("seen"), {ViewMarkKey(0), [](uint32_t n) { return Saying<packed::ViewMark>(n); }}},
      {plan.application.AlarmsTopic(), {"", [](uint32_t n) { return Saying<alarms::Event>(n); }}},
      {IntakeNames{plan.application, "posts"}.PositionsTopic(),
       {"", [](uint32_t n) { return Saying<packed::IntakePosition>(n); }}}};
  for (const auto& [topic, record] : logs) {
    SCOPED_TRACE(topic);
    cluster_.CreateTopic(topic, 1);
    cluster_.AppendInput({topic, 0}, record.first, record.second(kKeptFormat));
    EXPECT_FALSE(absl::IsInvalidArgument(Start(plan))) << Start(plan);
    cluster_.AppendInput({topic, 0}, record.first, record.second(kNewer));
    const absl::Status refused = Start(plan);
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()),
                HasSubstr(absl::StrCat(topic, "-0: written by a newer Tidemark, in format ", kNewer,
                                       "; this one knows formats up to ", kKeptFormat)));
    cluster_.RemakeTopic(topic, 1);
  }
  EXPECT_EQ(Start(plan), absl::OkStatus());
}

TEST_F(KeptFormat, ANewerLogOfGenerationsIsRefused) {
  const std::string topic = GenerationNames{"kept"}.Topic();
  cluster_.CreateTopic(topic, 1);
  cluster_.AppendInput({topic, 0}, std::nullopt, Saying<generations::State>(kNewer));
  const absl::Status read = ReadGenerations("kept", *cluster_.NewClient(9)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(read)) << read;
  EXPECT_THAT(std::string(read.message()), HasSubstr("newer Tidemark"));
}

TEST_F(KeptFormat, ANewerTextBesideAnOffsetAndANewerRecordOfRowsAreRefused) {
  EXPECT_EQ(CheckMetadataFormat(OffsetMetadata{.commit = 3}.ToString(), {"rows", 0}), absl::OkStatus());
  EXPECT_EQ(CheckMetadataFormat(kStartHere, {"rows", 0}), absl::OkStatus());
  EXPECT_EQ(CheckMetadataFormat("tidemark/1:what else", {"rows", 0}), absl::OkStatus());
  EXPECT_TRUE(
      absl::IsInvalidArgument(CheckMetadataFormat(absl::StrCat("tidemark/", kNewer, ":what else"), {"rows", 0})));
  packed::RowsHeader header;
  header.set_needs_format(kNewer);
  const std::string bytes = header.SerializeAsString();
  const std::string record = std::string("\x02") + static_cast<char>(bytes.size()) + std::string(3, '\0') + bytes;
  EXPECT_TRUE(absl::IsInvalidArgument(OpenRecord(record).status())) << OpenRecord(record).status();
}

// A newer worker has committed, and an older one is started, or is given the task where it runs.
TEST_F(KeptFormat, AnOlderWorkerStopsAtANewerCommitAndHasTouchedNothing) {
  const std::string yaml =
      "name: kept\ncommit_interval: 20ms\nkafka: { brokers: simulated }\n"
      "sources:\n  rows: { topic: rows, partitioned_by: [id], columns: { id: int64 } }\n"
      "steps:\n  totals: { from: rows, group_by: [id], aggregates: { n: \"count(*)\" } }\n"
      "sinks:\n  out: { from: totals, topic: out, key: [id], create: {} }\n";
  const Plan plan = Planned(yaml);
  cluster_.CreateTopic("rows", 1);
  for (int i = 0; i < 20; ++i) cluster_.AppendInput({"rows", 0}, std::nullopt, absl::StrCat("{\"id\":", i % 3, "}"));
  for (const bool checks_start : {true, false}) {
    SCOPED_TRACE(checks_start);
    Deployment deployment(&plan, DeploymentOptions{.seed = 2, .workers = 1, .checks_start = checks_start}, &random_,
                          &clock_, &cluster_);
    const TopicPartition changelog{plan.application.ChangelogTopic("rows"), 0};
    if (checks_start) {
      ASSERT_EQ(deployment.RunToEnd(false), absl::OkStatus());
      deployment.Stop(0, false);
      cluster_.AppendInput(changelog, std::nullopt, Commit(kNewer, 1'000));
      cluster_.AppendInput({"rows", 0}, std::nullopt, "{\"id\":1}");  // something that would be read
    }
    const Offset end = cluster_.log().Find(changelog)->end;
    const auto stood = cluster_.CommittedOffsets(plan.application.Group(), {{"rows", 0}});
    const absl::Status status = deployment.RunToEnd(false);
    EXPECT_THAT(std::string(status.message()), HasSubstr("newer Tidemark")) << status;
    EXPECT_EQ(cluster_.log().Find(changelog)->end, end);
    EXPECT_EQ(cluster_.CommittedOffsets(plan.application.Group(), {{"rows", 0}}).at({"rows", 0}).offset,
              stood.at({"rows", 0}).offset);
  }
}

// A newer worker tells alarms, or writes a view, while an older one runs that reads them.
TEST_F(KeptFormat, AnOlderReaderOfAlarmsAndViewsEnds) {
  const Plan plan = Planned(absl::StrReplaceAll(kTopology, {{"topic: posted,", "topic: posted, freshness: 30m,"}}) +
                            "notify: { topic: told }\n");
  for (const std::string& topic :
       {plan.application.ViewTopic("seen"), plan.application.AlarmsTopic(), std::string("told")}) {
    cluster_.CreateTopic(topic, 1);
  }
  const auto client = cluster_.NewClient(1);
  RunControl control;
  Runtime runtime;
  runtime.plan = &plan;
  runtime.kafka = client.get();
  runtime.clock = &clock_;
  runtime.control = &control;
  const auto view =
      std::find_if(plan.sinks.begin(), plan.sinks.end(), [](const SinkPlan& sink) { return sink.view.has_value(); });
  MemoryBudget memory(1 << 20);
  ViewReader reader(runtime, *view, &memory);
  AlarmThread alarms(runtime, [] { return std::vector<FreshnessStatus>(); });
  ASSERT_TRUE(alarms.Start().ok());
  const auto step = [&](auto* thread) {
    absl::Status status;
    for (int i = 0; i < 100 && status.ok(); ++i) {
      status = thread->Step(kMillisecond);
      clock_.Advance(kSecond);
    }
    return status;
  };
  EXPECT_EQ(step(&reader), absl::OkStatus());
  EXPECT_EQ(step(&alarms), absl::OkStatus());
  EXPECT_TRUE(alarms.status().watches);
  cluster_.AppendInput(reader.log(), ViewMarkKey(0), [] {
    packed::ViewMark mark;
    mark.set_writers(1);
    return Saying(kNewer, mark);
  }());
  cluster_.AppendInput({plan.application.AlarmsTopic(), 0}, std::nullopt, Saying<alarms::Event>(kNewer));
  for (const absl::Status& status : {step(&reader), step(&alarms)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("-0: written by a newer Tidemark, in format 3"));
  }
  EXPECT_EQ(step(&reader), step(&reader)) << "for good";
  std::string why;
  EXPECT_EQ(reader.store(&why), nullptr);
}

}  // namespace
}  // namespace tidemark::sim
