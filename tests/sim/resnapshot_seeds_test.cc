// Tables that are taken anew, by seed: a database whose log is lost now and then, with changes that nobody is told of;
// owners of the intake that die around snapshots and positions, and workers that die around sweeps. Rows, positions,
// intake, tasks, steps and sweeps are the shipped ones; the database is a model of what one tells
// (src/runtime/postgres_source.h). In the end the sink has the table, row by row.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/compute/initialize.h>
#include <arrow/util/utf8.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/codec/formats.h"
#include "src/plan/intakes.h"
#include "src/plan/planner.h"
#include "src/runtime/postgres_tables.h"
#include "src/runtime/resnapshot.h"
#include "src/runtime/split_intake.h"
#include "src/runtime/topics.h"
#include "src/sim/chaos.h"
#include "src/sim/deployment.h"

namespace tidemark::sim {
namespace {

using pgoutput::Cell;
using pgoutput::Change;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kTopology[] = R"(
name: shop
kafka: { brokers: simulated }
commit_interval: 20ms
sources:
  orders:
    postgres: { url: "postgresql://nowhere/shop", publication: shop, slot: slot, table: orders, partitions: 2 }
    key: [id]
    columns: { id: int64, note: int64 }
sinks:
  out: { from: orders, topic: out, key: [id], create: { partitions: 2 } }
)";

constexpr uint32_t kTable = 17;

struct Database {
  struct Write {
    Change::Kind kind = Change::Kind::kInsert;
    int64_t id = 0, note = 0;
  };
  struct Transaction {
    Lsn commit = 0, end = 0;  // where its commit's record begins, and ends
    std::vector<Write> writes;
  };
  std::map<int64_t, int64_t> rows;  // note by id
  std::vector<Transaction> log;
  Lsn end = 1'000, lost = 0;  // of the log; what lies before it can't be had any more
  int64_t notes = 0;
  int untold = 0;  // deletions

  Write Once(SimRandom* random) {
    const auto id = static_cast<int64_t>(random->Below(16));
    const bool there = rows.contains(id);
    if (there && random->Below(2) == 0) {
      rows.erase(id);
      return {Change::Kind::kDelete, id, 0};
    }
    rows[id] = ++notes;
    return {there ? Change::Kind::kUpdate : Change::Kind::kInsert, id, notes};
  }
  void Commit(SimRandom* random) {
    Transaction transaction{end + 50, end + 60, {}};
    for (uint64_t i = 1 + random->Below(3); i > 0; --i) transaction.writes.push_back(Once(random));
    end = transaction.end;
    log.push_back(std::move(transaction));
  }
  void Lose(SimRandom* random) {
    for (uint64_t i = 4 + random->Below(8); i > 0; --i) untold += Once(random).kind == Change::Kind::kDelete ? 1 : 0;
    end += 100;
    lost = end;
    log.clear();
  }
};

PgColumn ColumnOf(const char* name, size_t position) {
  PgColumn column;
  column.name = name;
  column.column = {name, {.kind = Kind::kInt64}, false};
  column.position = position;
  column.key = position == 0;
  column.type = 20;
  column.kind = PgKindOf(column.type);
  return column;
}

// One connection after the other, as PostgresSource has them.
class Table final : public IntakeSource {
 public:
  Table(const IntakePlan& intake, Database* database, SimRandom* random)
      : intake_(intake), tables_(intake_), database_(*database), random_(*random) {}

  std::string Of(const std::string& position) const override {
    return PostgresPositionsOf(*intake_.sources.front()->postgres, position);
  }
  absl::Status Open(const std::string& position, IntakeNotes) override {
    const absl::Status read = tables_.Read(position);
    PgTable table;
    table.oid = kTable;
    table.database = "shop";
    table.columns = {ColumnOf("id", 0), ColumnOf("note", 1)};
    rows().Begin(std::move(table));
    return read;
  }
  absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t, int64_t) override {
    if (rows().position().lsn() != 0 && rows().position().lsn() < database_.lost) {
      return absl::FailedPreconditionError("changes are lost");
    }
    IntakeRows given;
    if (tables_.all_are_read()) {
      const absl::Status taken = Stream(&given);
      if (!taken.ok()) return taken;
    } else {
      Snapshot(&given);
    }
    given.next = tables_.Write();
    return given;
  }
  absl::Status Committed(const std::string&) override { return absl::OkStatus(); }
  void Interrupt() override {}

 private:
  PostgresRows& rows() { return tables_.all().front().rows; }

  void Snapshot(IntakeRows* given) {
    if (rows().position().lsn() == 0) rows().position().set_lsn(database_.end);
    if (!copy_ && random_.Below(4) == 0) {
      copy_ = database_.rows;
      at_ = database_.end;
      rows().position().set_snapshot_lsn(at_);
    } else if (copy_ && random_.Below(30) == 0) {
      copy_.reset();  // the connection is lost
    }
    for (uint64_t i = random_.Below(4); copy_ && i > 0; --i) {
      if (copy_->empty()) {
        rows().EndSnapshot(at_, 0, given);
        copy_.reset();
        return;
      }
      const auto row = copy_->begin();
      const std::string id = absl::StrCat(row->first), note = absl::StrCat(row->second);
      rows().Row({{Cell::Kind::kText, id}, {Cell::Kind::kText, note}}, at_, 0, given);
      copy_->erase(row);
    }
  }

  absl::Status Stream(IntakeRows* given) {
    if (!streams_) {
      streams_ = tables_.Begin();
      next_ = tables_.First();
      written_ = 0;
      if (const absl::Status known = tables_.Take(
              pgoutput::Relation{kTable, "public", "orders", 'd', {{true, "id", 20}, {false, "note", 20}}}, 0, given);
          !known.ok()) {
        return known;
      }
    }
    for (uint64_t i = random_.Below(6); i > 0; --i) {
      const auto transaction =
          std::find_if(database_.log.begin(), database_.log.end(), [&](const auto& each) { return each.end > next_; });
      if (transaction == database_.log.end()) return absl::OkStatus();
      if (const absl::Status taken = TakeOne(*transaction, given); !taken.ok()) return taken;
    }
    return absl::OkStatus();
  }
  // Its beginning and a change, a change, or its end.
  absl::Status TakeOne(const Database::Transaction& transaction, IntakeRows* given) {
    if (written_ == transaction.writes.size()) {
      next_ = transaction.end;
      written_ = 0;
      return tables_.Take(pgoutput::Commit{transaction.commit, transaction.end}, transaction.end, given);
    }
    if (written_ == 0) {
      const absl::Status begun = tables_.Take(pgoutput::Begin{transaction.commit, 5, 7}, transaction.commit, given);
      if (!begun.ok()) return begun;
    }
    const Database::Write& write = transaction.writes[written_++];
    const std::string id = absl::StrCat(write.id), note = absl::StrCat(write.note);
    const pgoutput::Tuple row = {{Cell::Kind::kText, id}, {Cell::Kind::kText, note}};
    Change change{write.kind, kTable, 0, {}, row};
    if (write.kind == Change::Kind::kDelete) change = {write.kind, kTable, 'K', {row[0], {}}, {}};
    return tables_.Take(change, transaction.commit - 40 + written_, given);
  }

  const IntakePlan intake_;
  PostgresTables tables_;
  Database& database_;
  SimRandom& random_;
  std::optional<std::map<int64_t, int64_t>> copy_;  // what is left of a snapshot
  Lsn at_ = 0;
  bool streams_ = false;
  Lsn next_ = 0;        // of the log everything before it has come
  size_t written_ = 0;  // of the transaction behind it
};

class World {
 public:
  explicit World(uint64_t seed)
      : random_(seed), cluster_({.seed = seed, .marker_delay_us = seed % 2 == 0 ? 3'000 : 0}, &clock_) {
    absl::StatusOr<Plan> plan = PlanFromYaml(kTopology, "sim.yaml", Operators(), OwnFormats().list(),
                                             [](std::string_view) { return std::nullopt; });
    EXPECT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    const absl::StatusOr<PartitionCounts> counts =
        ResolveTopics(plan_, cluster_.NewClient(kAsks)->admin(), /*create=*/true);
    EXPECT_TRUE(counts.ok()) << counts.status();
    counts_ = *counts;
    intake_ = IntakesOf(plan_).front();
    deployment_.emplace(&plan_, DeploymentOptions{.seed = seed, .workers = 2}, &random_, &clock_, &cluster_);
  }

  // All that happens beside the workers, once.
  void Turn() {
    if (random_.Below(2) == 0) database_.Commit(&random_);
    const int number = kFirstOwner + static_cast<int>(random_.Below(2));
    if (!owners_.contains(number) || random_.Below(50) == 0) Boot(number);
    Step(number);
    if (random_.Below(25) == 0) TakeAnew();
  }
  void Settle() {
    cluster_.faults() = SimFaults();
    deployment_->Heal();
    cluster_.Kill(kFirstOwner + 1);
    owners_.clear();
    Boot(kFirstOwner);
    for (int i = 0; i < 200; ++i) Step(kFirstOwner);
    for (int turn = 0; turn < 4'000 && (turn % 100 != 99 || Shown() != Wanted()); ++turn) {
      ASSERT_EQ(deployment_->Turn(turn % deployment_->workers()), absl::OkStatus());
      clock_.Advance(5 * kMillisecond);
    }
  }
  // The sink's rows, by key.
  std::map<std::string, std::string> Shown() {
    std::map<std::string, std::string> rows;
    for (const auto& [partition, record] : deployment_->Records("out")) {
      if (record.value) rows[*record.key] = *record.value;
      if (!record.value) rows.erase(*record.key);
    }
    return rows;
  }
  std::map<std::string, std::string> Wanted() const {
    std::map<std::string, std::string> rows;
    for (const auto& [id, note] : database_.rows) {
      rows[absl::StrCat(id)] = absl::StrCat("{\"id\":", id, ",\"note\":", note, "}");
    }
    return rows;
  }

  const Database& database() const { return database_; }
  Deployment& deployment() { return *deployment_; }
  SimCluster& cluster() { return cluster_; }
  SimClock& clock() { return clock_; }
  SimRandom& random() { return random_; }
  const Plan& plan() const { return plan_; }
  int asked() const { return asked_; }

 private:
  static constexpr int kFirstOwner = 10, kAsks = 20;
  struct Owner {
    std::unique_ptr<KafkaClient> kafka;
    RunControl control;
    Runtime runtime;
    std::unique_ptr<SplitIntake> split;
  };

  void Boot(int number) {
    owners_.erase(number);
    auto owner = std::make_unique<Owner>();
    owner->kafka = cluster_.NewClient(number);
    owner->runtime.plan = &plan_;
    owner->runtime.partitions = counts_;
    owner->runtime.kafka = owner->kafka.get();
    owner->runtime.clock = &clock_;
    owner->runtime.control = &owner->control;
    owner->split = std::make_unique<SplitIntake>(
        owner->runtime, SplitIntake::Split{intake_.name, 0, 1, {"orders"}},
        [this](int32_t) { return std::make_unique<Table>(intake_, &database_, &random_); }, [](int64_t) {});
    owners_[number] = std::move(owner);
  }
  void Step(int number) {
    clock_.Advance(5 * kMillisecond);
    const absl::Status status = owners_.at(number)->split->Step(10 * kMillisecond);
    if (!cluster_.Alive(number)) {
      owners_.erase(number);
    } else {
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  // What the command does, whose calls work; those that run meanwhile find out.
  void TakeAnew() {
    const SimFaults faults = std::exchange(cluster_.faults(), SimFaults());
    const auto kafka = cluster_.NewClient(kAsks);
    const absl::Status possible = AskForSnapshots(plan_, {"orders"}, *kafka).status();
    if (possible.ok()) {
      database_.Lose(&random_);
      const absl::Status asked = AskForSnapshots(plan_, {"orders"}, *kafka).status();
      ASSERT_TRUE(asked.ok()) << asked;
      ++asked_;
    } else {
      ASSERT_THAT(std::string(possible.message()), HasSubstr("nothing was read yet"));
    }
    cluster_.faults() = faults;
  }

  SimClock clock_;
  SimRandom random_;
  SimCluster cluster_;
  Plan plan_;
  PartitionCounts counts_;
  IntakePlan intake_;
  Database database_;
  std::optional<Deployment> deployment_;
  std::map<int, std::unique_ptr<Owner>> owners_;
  int asked_ = 0;
};

TEST(ResnapshotSeeds, TheSinkHasTheTableWhateverDiesAroundSnapshotsAndSweeps) {
  ASSERT_TRUE(arrow::compute::Initialize().ok());
  arrow::util::InitializeUTF8();
  int asked = 0, untold = 0, crashes = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    World world(seed);
    const FaultKinds kinds = {"calls", "crashes", "freezes", "oversleeping", "restarts", "power"};
    const absl::Status chaos = RunChaos(&world.deployment(), &world.cluster(), &world.clock(), &world.random(),
                                        world.plan().application.Group(), FaultsOf(kinds),
                                        {.turns = 400, .feed = [&] { world.Turn(); }, .trimmable = {}});
    ASSERT_TRUE(chaos.ok()) << chaos;
    world.Settle();
    ASSERT_EQ(world.Shown(), world.Wanted());
    EXPECT_THAT(world.deployment().Records(world.plan().dead_letter_topic), IsEmpty());
    asked += world.asked();
    untold += world.database().untold;
    crashes += world.deployment().counts().crashes;
  }
  EXPECT_GT(asked, 6);
  EXPECT_GT(untold, 6);
  EXPECT_GT(crashes, 3);
}

}  // namespace
}  // namespace tidemark::sim
