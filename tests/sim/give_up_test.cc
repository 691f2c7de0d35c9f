// Changelogs of stages that are gone, deleted at a worker's start while others start too.
#include "src/runtime/give_up.h"

#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <arrow/compute/initialize.h>
#include <arrow/util/utf8.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/former.h"
#include "src/runtime/start_check.h"
#include "src/sim/deployment.h"

namespace tidemark::sim {
namespace {

constexpr char kHead[] =
    "name: app\nkafka: { brokers: simulated }\ncommit_interval: 20ms\n"
    "sources:\n  rows: { topic: rows, partitioned_by: [id], columns: { id: int64, note: string } }\nsteps:\n"
    "  some: { from: rows, filter: \"id > 0\" }\n";
constexpr char kTotals[] = "  totals: { from: rows, group_by: [note], aggregates: { n: \"count(*)\" } }\n";
constexpr char kSinks[] = "sinks:\n  out: { from: some, topic: out, create: {} }\n";
constexpr char kTotalsSink[] = "  all: { from: totals, topic: all, key: [note], create: {} }\n";
constexpr char kChangelog[] = "app.totals.changelog";

Plan Planned(const std::string& yaml) {
  absl::StatusOr<Plan> plan =
      PlanFromYaml(yaml, "t.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : Plan();
}

// Another worker is quicker: when this one asks, the topic has gone and that one is in the group.
class Overtaken final : public ResetClient {
 public:
  Overtaken(SimCluster* cluster, std::vector<std::string>* deleted) : cluster_(*cluster), deleted_(*deleted) {}

  absl::StatusOr<bool> IsEmpty(const std::string&) override {
    cluster_.log().RemakeTopic(kChangelog, 2);
    return false;
  }
  absl::Status CommitForEmptyGroup(const std::string&, const std::vector<OffsetToCommit>&) override {
    return absl::UnimplementedError("not asked for");
  }
  absl::Status DeleteGroup(const std::string&) override { return absl::UnimplementedError("not asked for"); }
  absl::Status DeleteTopic(const std::string& topic) override {
    deleted_.push_back(topic);
    return absl::OkStatus();
  }

 private:
  SimCluster& cluster_;
  std::vector<std::string>& deleted_;
};

TEST(GiveUp, AWorkerGoesOnWhereAnotherHasDoneIt) {
  ASSERT_TRUE(arrow::compute::Initialize().ok());
  arrow::util::InitializeUTF8();
  const Plan former = Planned(std::string(kHead) + kTotals + kSinks + kTotalsSink);
  const Plan now = Planned(std::string(kHead) + kSinks);
  SimClock clock;
  SimRandom random(3);
  SimCluster cluster({.seed = 3}, &clock);
  cluster.CreateTopic("rows", 2);
  Deployment deployment(&former, {.seed = 2, .workers = 1}, &random, &clock, &cluster);
  cluster.AppendInput({"rows", 0}, "1", "{\"id\":1,\"note\":\"a\"}", 1'700'000'000'000);
  ASSERT_EQ(deployment.RunToEnd(false), absl::OkStatus());

  const std::unique_ptr<KafkaClient> kafka = cluster.NewClient(9);
  std::vector<std::string> deleted;
  int asked = 0;
  const absl::Status status = GiveUpStages(now, {"totals"}, *kafka, [&] {
    ++asked;
    return std::make_unique<Overtaken>(&cluster, &deleted);
  });
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(deleted.empty());
}

// A step that has sent itself rows, and whose tasks were never opened before it was taken out.
TEST(GiveUp, RowsThatNobodyHasReadArentLeftBehindWithoutAWord) {
  ASSERT_TRUE(arrow::compute::Initialize().ok());
  arrow::util::InitializeUTF8();
  const Plan former = Planned(std::string(kHead) + kTotals + kSinks + kTotalsSink);
  const Plan now = Planned(std::string(kHead) + kSinks);
  SimClock clock;
  SimRandom random(3);
  SimCluster cluster({.seed = 3}, &clock), unread({.seed = 4}, &clock);
  cluster.CreateTopic("rows", 2);
  Deployment deployment(&former, {.seed = 2, .workers = 1}, &random, &clock, &cluster);
  cluster.AppendInput({"rows", 0}, "1", "{\"id\":1,\"note\":\"a\"}", 1'700'000'000'000);
  ASSERT_EQ(deployment.RunToEnd(false), absl::OkStatus());

  const std::string repartition = former.application.RepartitionTopic("totals");
  const auto verdicts = [&](const Plan& plan, SimCluster* of) {
    const std::unique_ptr<KafkaClient> kafka = of->NewClient(9);
    const absl::StatusOr<Former> kept = ReadFormer(plan, *kafka);
    EXPECT_TRUE(kept.ok()) << kept.status();
    return kept.ok() ? CompareWithRunning(plan, *kept, *kafka) : absl::StatusOr<std::vector<Verdict>>(kept.status());
  };
  unread.CreateTopic("rows", 2);
  unread.CreateTopic(repartition, 2);
  EXPECT_EQ(Refusal(verdicts(now, &unread).value()), absl::OkStatus());  // nothing lies there
  unread.AppendInput({repartition, 1}, "k", "what cannot be read may be rows too", 1'700'000'000'000);
  const std::string why(Refusal(verdicts(now, &unread).value()).message());
  EXPECT_NE(why.find("step totals: the topology has no such step any more"), std::string::npos) << why;
  EXPECT_EQ(Refusal(verdicts(former, &unread).value()), absl::OkStatus());
  // Where they were read, the changelog tells of the step.
  const std::string kept(Refusal(verdicts(now, &cluster).value()).message());
  EXPECT_NE(kept.find("--allow_drop totals"), std::string::npos) << kept;
  EXPECT_EQ(kept.find("lie unread"), std::string::npos) << kept;
}

}  // namespace
}  // namespace tidemark::sim
