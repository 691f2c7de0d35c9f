// A new snapshot is asked for by a position that the split's owner writes, as which the command comes; over the
// simulated Kafka, beside a worker that has the split.
#include "src/runtime/resnapshot.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/base/action.h"
#include "src/base/intake_names.h"
#include "src/codec/formats.h"
#include "src/plan/intakes.h"
#include "src/plan/planner.h"
#include "src/runtime/postgres_tables.h"
#include "src/runtime/split_intake.h"
#include "src/runtime/topics.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kTopology[] = R"(
name: shop
kafka: { brokers: simulated }
commit_interval: 20ms
databases:
  shop: { url: "postgresql://nowhere/shop", publication: shop, slot: slot }
sources:
  orders: { postgres: { database: shop, table: orders, partitions: 1 }, key: [id], columns: { id: int64 } }
  places: { postgres: { database: shop, table: places, partitions: 1 }, key: [id], columns: { id: int64 } }
  others: { topic: others, format: json, columns: { id: int64 } }
sinks:
  out: { from: orders, topic: out, key: [id], create: {} }
  places_out: { from: places, topic: places, key: [id], create: {} }
  others_out: { from: others, topic: others_out, create: {} }
)";

// Reads both tables up to 100, their snapshots included; then says where it was opened.
class Tables : public IntakeSource {
 public:
  Tables(const IntakePlan& intake, std::string* opened) : intake_(intake), tables_(intake), opened_(*opened) {}

  std::string Of(const std::string& position) const override {
    return PostgresPositionsOf(*intake_.sources.front()->postgres, position);
  }
  absl::Status Open(const std::string& position, IntakeNotes) override {
    opened_ = position;
    return tables_.Read(position);
  }
  absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t, int64_t) override {
    // As the real one, commits now and then though nothing comes.
    if (tables_.First() != 0 && tables_.all_are_read() && ++polls_ % 100 != 0) return std::nullopt;
    IntakeRows rows;
    for (PostgresTables::Table& table : tables_.all()) {
      if (table.is_read()) continue;
      const bool anew = table.rows.position().resnapshot() > 0;
      rows.records.push_back({0, "{}", "{}", {}, table.rows.target(), /*is_row=*/true, anew ? kIntakeForm : 1});
      table.rows.position().set_lsn(100);
      table.rows.position().set_snapshot_done(true);
    }
    rows.next = tables_.Write();
    return rows;
  }
  absl::Status Committed(const std::string&) override { return absl::OkStatus(); }
  void Interrupt() override {}

 protected:
  const IntakePlan intake_;

 private:
  PostgresTables tables_;
  std::string& opened_;
  int polls_ = 0;
};

// Of a version that knows of no new snapshots: its words are always the same.
class FormerTables final : public Tables {
 public:
  using Tables::Tables;
  std::string Of(const std::string& /*position*/) const override {
    return absl::StrCat("a table's changes by replication slot ", intake_.sources.front()->postgres->slot);
  }
};
// How that version reads a record's number (Task::CheckNumbers as it was).
bool FormerTakesNumber(const std::string& value) {
  const std::pair<std::string, std::string> number = absl::StrSplit(value, absl::MaxSplits(':', 1));
  int32_t split = 0;
  uint64_t sequence = 0;
  return absl::SimpleAtoi(number.first, &split) && absl::SimpleAtoi(number.second, &sequence) && sequence > 0;
}

class Resnapshots : public ::testing::Test {
 protected:
  Resnapshots() : cluster_({.seed = 1}, &clock_) {
    absl::StatusOr<Plan> plan = PlanFromYaml(kTopology, "sim.yaml", Operators(), OwnFormats().list(),
                                             [](std::string_view) { return std::nullopt; });
    EXPECT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    cluster_.CreateTopic("others", 1);
    kafka_ = cluster_.NewClient(0);
    const absl::StatusOr<PartitionCounts> counts = ResolveTopics(plan_, kafka_->admin(), /*create=*/true);
    EXPECT_TRUE(counts.ok()) << counts.status();
    intakes_ = IntakesOf(plan_);
    runtime_.plan = &plan_;
    runtime_.partitions = *counts;
    runtime_.kafka = kafka_.get();
    runtime_.clock = &clock_;
    runtime_.control = &control_;
    worker_ = std::make_unique<SplitIntake>(
        runtime_, SplitIntake::Split{"slot", 0, 1, {"orders", "places"}},
        [this](int32_t) { return std::make_unique<Tables>(intakes_.front(), &opened_); }, [](int64_t) {});
  }

  void Work() {
    for (int step = 0; step < 2000; ++step) {
      clock_.Advance(5 * kMillisecond);
      const absl::Status status = worker_->Step(10 * kMillisecond);
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  // What the worker was opened with last, of a table.
  packed::PostgresPosition Opened(const std::string& table) {
    packed::PostgresPosition all;
    EXPECT_TRUE(ReadPostgresPosition(opened_, &all));
    return all.tables().at(table);
  }

  SimClock clock_;
  SimCluster cluster_;
  Plan plan_;
  std::unique_ptr<KafkaClient> kafka_;
  std::vector<IntakePlan> intakes_;
  RunControl control_;
  Runtime runtime_;
  std::string opened_;
  std::unique_ptr<SplitIntake> worker_;
};

TEST_F(Resnapshots, AreAskedForBesideAWorkerWhichTakesThemUp) {
  const auto too_early = AskForSnapshots(plan_, {"orders"}, *kafka_);
  EXPECT_THAT(std::string(too_early.status().message()), HasSubstr("nothing was read yet"));
  Work();
  for (uint64_t number = 1; number <= 2; ++number) {
    const auto asked = AskForSnapshots(plan_, {"orders"}, *kafka_);
    ASSERT_TRUE(asked.ok()) << asked.status();
    EXPECT_THAT(*asked, HasSubstr(absl::StrCat("snapshot ", number, " of public.orders is asked for")));
    Work();
    EXPECT_EQ(Opened("orders").resnapshot(), number);
    EXPECT_EQ(Opened("orders").lsn(), 0u);
    EXPECT_FALSE(Opened("orders").snapshot_done());
    EXPECT_EQ(Opened("places").resnapshot(), 0u) << "the other goes on";
    EXPECT_EQ(Opened("places").lsn(), 100u);
  }
}

// It would take a snapshot without a number, and rows that the table has no more would stay.
TEST_F(Resnapshots, AreRefusedByAWorkerOfAVersionThatDoesNotKnowOfThem) {
  const auto take_over = [&] {
    worker_ = std::make_unique<SplitIntake>(
        runtime_, SplitIntake::Split{"slot", 0, 1, {"orders", "places"}},
        [this](int32_t) { return std::make_unique<FormerTables>(intakes_.front(), &opened_); }, [](int64_t) {});
  };
  Work();
  take_over();
  Work();  // nothing was asked for: either version goes on with what the other has left
  ASSERT_TRUE(AskForSnapshots(plan_, {"orders"}, *kafka_).ok());
  absl::Status status;
  for (int step = 0; step < 2000 && status.ok(); ++step) {
    clock_.Advance(5 * kMillisecond);
    status = worker_->Step(10 * kMillisecond);
  }
  EXPECT_EQ(ExitCode(status), 2) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("taken anew by `tidemark resnapshot`"));
  EXPECT_EQ(Opened("orders").lsn(), 100u) << "it has begun with what was asked for";
}

TEST_F(Resnapshots, RecordsOfATableThatWasTakenAnewStopATaskOfSuchAVersion) {
  Work();
  ASSERT_TRUE(AskForSnapshots(plan_, {"orders"}, *kafka_).ok());
  Work();
  std::vector<std::string> numbers;
  for (const auto& record : cluster_.CommittedRecords({IntakeNames{plan_.application, "orders"}.Topic(), 0})) {
    numbers.push_back(record.headers.back().second.value_or(""));
  }
  ASSERT_THAT(numbers, ElementsAre("0:1", "0:2:2"));
  EXPECT_TRUE(FormerTakesNumber(numbers[0]));
  EXPECT_FALSE(FormerTakesNumber(numbers[1])) << "it would leave out which snapshot the row is of";
}

TEST_F(Resnapshots, AreOfTablesThatTheTopologyHas) {
  const auto message = [&](std::vector<std::string> sources) {
    return std::string(AskForSnapshots(plan_, sources, *kafka_).status().message());
  };
  EXPECT_THAT(message({}), HasSubstr("takes the names of sources"));
  EXPECT_THAT(message({"order"}), HasSubstr("did you mean 'orders'?"));
  EXPECT_THAT(message({"orders", "others"}), HasSubstr("'others' is no source that is a table of PostgreSQL"));
}

}  // namespace
}  // namespace tidemark::sim
