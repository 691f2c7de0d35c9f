// Sixty and more edits of a topology, each in several circumstances: with state in open windows, with rows that wait in
// the feeds of sinks that are away, the same behind a kill, and with the former file put back afterwards. What `plan`
// says of an edit is what `run` does with it, which is what the table says; and behind it every result is what the rows
// make it, computed here from the rows alone: of an edit that is refused as if nobody had tried it.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>
#include <arrow/buffer.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/memory.h>
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <arrow/util/utf8.h>
#include <glog/logging.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

#include "operators/operators.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/former.h"
#include "src/runtime/start_check.h"
#include "src/sim/deployment.h"
#include "tests/sim/edits.h"

namespace tidemark::sim {
namespace {

std::string Replaced(std::string text, const Replacements& all) {
  for (const auto& [from, to] : all) {
    const std::string after = absl::StrReplaceAll(text, {{from, to}});
    EXPECT_NE(after, text) << from;
    text = after;
  }
  return text;
}

constexpr auto kDropped = Verdict::Kind::kDropped;

enum class Circumstance { kOpen, kWaiting, kKilled, kBack };
constexpr size_t kCircumstances = 4;

struct Row {
  int64_t id, route, cents, digits;  // of the price: digits / 100
  std::string Json(int64_t at) const {
    return absl::StrFormat("{\"id\":%d,\"route\":\"r%d\",\"cents\":%d,\"price\":%d.%02d,\"at\":%d}", id, route, cents,
                           digits / 100, digits % 100, at);
  }
};

using Counted = std::map<std::string, int>;

Plan Planned(const std::string& yaml) {
  absl::StatusOr<Plan> plan =
      PlanFromYaml(yaml, "edits.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(plan.ok()) << plan.status() << yaml;
  return plan.ok() ? *std::move(plan) : Plan();
}

Kinds Changed(const std::vector<Verdict>& verdicts) {
  Kinds kinds;
  for (const Verdict& verdict : verdicts) {
    if (verdict.kind != Verdict::Kind::kUnchanged) kinds[verdict.subject] = verdict.kind;
  }
  return kinds;
}

class EditWorld {
 public:
  EditWorld(const Edit& edit, Circumstance circumstance)
      : edit_(edit),
        circumstance_(circumstance),
        former_(Planned(Replaced(kEditedTopology, edit.before))),
        now_(Planned(Replaced(Replaced(kEditedTopology, edit.before), edit.now))),
        random_(7),
        cluster_({.seed = 7}, &clock_) {
    cluster_.CreateTopic("events", 2);
    cluster_.CreateTopic("more", 2);
    deployment_.emplace(&former_, DeploymentOptions{.seed = 2, .workers = 1, .checks_start = true}, &random_, &clock_,
                        &cluster_);
  }

  void Run() {
    Append(edit_.first);
    Rest();
    if (HasFatalFailure()) return;
    const bool on = Judge();
    if (on) {
      if (Waiting() && !edit_.meaning.lake_cents) {  // what waits loses the column too
        lake_.clear();
        for (const int64_t id : seen_) lake_[absl::StrCat(id)] = 1;
      }
      deployment_->set_plan(0, &now_);
      deployment_->set_allow_drop(edit_.drops);
    }
    Append(on ? edit_.meaning : edit_.first);
    if (on && circumstance_ == Circumstance::kBack) {
      ASSERT_EQ(deployment_->RunToEnd(false), absl::OkStatus());
      const bool back = JudgeBack();
      if (back) {
        deployment_->set_allow_drop(edit_.back_drops);
        deployment_->set_plan(0, &former_);
      }
      Append(back ? edit_.first : edit_.meaning, /*forgotten=*/back && !edit_.meaning.once);
    }
    ASSERT_EQ(deployment_->RunToEnd(true), absl::OkStatus());
    Compare();
  }

 private:
  // Nobody was there to take what sinks were given.
  bool Waiting() const { return circumstance_ == Circumstance::kWaiting || circumstance_ == Circumstance::kKilled; }
  static bool HasFatalFailure() { return testing::Test::HasFatalFailure(); }

  // Half of the ids came before.
  void Append(const Meaning& meaning, bool forgotten = false) {
    if (forgotten) seen_.clear();
    for (int i = 0; i < 24; ++i) {
      const int64_t id = first_id_ + i;
      const Row row{id, id % 3, (id * 37) % 120, (id * 1'237) % 99'999};
      cluster_.AppendInput({"events", static_cast<int32_t>(id % 2)}, absl::StrCat(id), row.Json(kHour + id),
                           kHour + id);
      if (!seen_.insert(id).second && meaning.once) continue;
      ++taken_[absl::StrCat("{\"route\":\"r", row.route, "\"}")];
      ++lake_[meaning.lake_cents ? absl::StrCat(row.id, " ", row.cents) : absl::StrCat(row.id)];
      if (row.cents >= meaning.limit) continue;
      Sum& sum = sums_[row.route];
      ++sum.n;
      sum.cents += row.cents;
      sum.digits += row.digits;
      if (!meaning.most) continue;
      sum.most = std::max(sum.most, row.cents);
      ++sum.since;
    }
    most_ = most_ || meaning.most;
    counts_ = counts_ && meaning.counts;
    first_id_ += 12;
  }

  void Rest() {
    if (!Waiting()) {
      ASSERT_EQ(deployment_->RunToEnd(false), absl::OkStatus());
      return;
    }
    const OutsideFaults away{.failed = 1};
    deployment_->SetOutsideFaults(away, away);
    for (int turn = 0; turn < 4'000 && (turn % 16 != 0 || Behind()); ++turn) {
      clock_.Advance(20'000);
      ASSERT_EQ(deployment_->Turn(0), absl::OkStatus());
    }
    ASSERT_FALSE(Behind());
    if (circumstance_ == Circumstance::kKilled) {
      deployment_->Crash(0, "before the edit");
    } else {
      deployment_->Stop(0, false);
    }
    deployment_->Heal();
  }

  bool Behind() {
    for (int32_t p = 0; p < 2; ++p) {
      const TopicPartition partition{"events", p};
      const Offset at = cluster_.CommittedOffsets(former_.application.Group(), {partition}).at(partition).offset;
      if (at < cluster_.log().Find(partition)->end) return true;
    }
    return false;
  }

  std::vector<Verdict> Verdicts(const Plan& plan, const AllowedDrops& drops) {
    const std::unique_ptr<KafkaClient> kafka = cluster_.NewClient(9);
    const absl::StatusOr<Former> former = ReadFormer(plan, *kafka);
    EXPECT_TRUE(former.ok()) << former.status();
    if (!former.ok()) return {};
    absl::StatusOr<std::vector<Verdict>> verdicts = CompareWithRunning(plan, *former, *kafka, drops);
    EXPECT_TRUE(verdicts.ok()) << verdicts.status();
    return verdicts.ok() ? *std::move(verdicts) : std::vector<Verdict>();
  }

  // What plan says is what a start does, and what the table says.
  bool Judge() {
    const std::vector<Verdict> verdicts = Verdicts(now_, edit_.drops);
    Kinds expected = edit_.kinds;
    if (Waiting()) expected.insert(edit_.waiting.begin(), edit_.waiting.end());
    EXPECT_EQ(Changed(verdicts), expected) << Refusal(verdicts);
    const bool on = std::all_of(expected.begin(), expected.end(), [&](const auto& each) {
      return each.second < kDropped || (each.second == kDropped && edit_.drops.contains(each.first.substr(5)));
    });
    const std::unique_ptr<KafkaClient> kafka = cluster_.NewClient(9);
    const absl::Status start = CheckStart(now_, *kafka, edit_.drops);
    EXPECT_EQ(start, Refusal(verdicts));
    EXPECT_EQ(start.ok(), on) << start;
    return start.ok();
  }

  bool JudgeBack() {
    if (edit_.back.contains("no way back")) return false;  // the group has read what the changelog doesn't tell of
    const std::vector<Verdict> verdicts = Verdicts(former_, edit_.back_drops);
    EXPECT_EQ(Changed(verdicts), edit_.back) << "back: " << Refusal(verdicts);
    return Refusal(verdicts).ok();
  }

  void Compare() {
    Counted taken;
    for (const SinkPlan& sink : former_.sinks) {
      if (sink.name != "table") continue;
      const absl::StatusOr<std::vector<std::string>> rows = deployment_->RowsOf(sink);
      ASSERT_TRUE(rows.ok()) << rows.status();
      for (const std::string& row : *rows) ++taken[row];
    }
    EXPECT_EQ(taken, taken_);
    EXPECT_EQ(Lake(), lake_);
    Counted sums, expected;
    for (const auto& [partition, record] : deployment_->Records("sums")) ++sums[record.value.value_or("(null)")];
    for (const auto& [route, sum] : sums_) {
      if (sum.n == 0) continue;
      const std::string most = sum.since == 0 ? "null" : absl::StrCat(sum.most);
      expected[absl::StrFormat(
          "{\"route\":\"r%d\",\"window_start\":%d,\"window_end\":%d,\"n\":%d,\"total\":%d,\"worth\":"
          "%d.%02d%s}",
          route, kHour, kHour + 3'600'000, sum.n, sum.cents, sum.digits / 100, sum.digits % 100,
          most_ ? absl::StrFormat(",\"most\":%s,\"since\":%d", most, sum.since) : "")] = 1;
    }
    EXPECT_EQ(sums, counts_ ? expected : Counted());
  }

  // "17 20": an id and its cents, where a file has them, whatever else it has and of whichever types.
  Counted Lake() {
    Counted rows;
    const auto files = deployment_->FilesOf("lake");
    EXPECT_TRUE(files.ok()) << files.status();
    for (const auto& [name, content] : *files) {
      const auto reader = parquet::arrow::OpenFile(
          std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(content)), arrow::default_memory_pool());
      EXPECT_TRUE(reader.ok()) << name;
      const std::shared_ptr<arrow::Table> table = *(*reader)->ReadTable();
      const auto text = [&](const std::string& column, int64_t row) {
        return (*table->GetColumnByName(column)->GetScalar(row))->ToString();
      };
      const bool cents = table->GetColumnByName("cents") != nullptr;
      for (int64_t row = 0; row < table->num_rows(); ++row) {
        ++rows[cents ? absl::StrCat(text("id", row), " ", text("cents", row)) : text("id", row)];
      }
    }
    return rows;
  }

  static constexpr int64_t kHour = 1'699'999'200'000;

  struct Sum {
    int n = 0;
    int64_t cents = 0, digits = 0;
    int64_t most = 0, since = 0;
  };

  const Edit& edit_;
  const Circumstance circumstance_;
  const Plan former_, now_;
  SimClock clock_;
  SimRandom random_;
  SimCluster cluster_;
  std::optional<Deployment> deployment_;
  int64_t first_id_ = 0;
  std::set<int64_t> seen_;
  Counted taken_, lake_;
  std::map<int64_t, Sum> sums_;
  bool counts_ = true, most_ = false;
};

class Edited : public testing::TestWithParam<Circumstance> {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(arrow::compute::Initialize().ok());
    arrow::util::InitializeUTF8();
    FLAGS_minloglevel = google::FATAL;
  }
};

TEST_P(Edited, TopologiesDoWhatPlanSaysAndEveryResultIsWhatTheRowsMakeIt) {
  const std::vector<Edit> edits = Edits();
  EXPECT_GE(edits.size(), 60U);
  // Each edit in one of the circumstances, and with TIDEMARK_LONG=1 in all of them.
  const bool all = std::getenv("TIDEMARK_LONG") != nullptr;
  for (size_t i = 0; i < edits.size(); ++i) {
    if (!all && i % kCircumstances != static_cast<size_t>(GetParam())) continue;
    SCOPED_TRACE(edits[i].what);
    EditWorld(edits[i], GetParam()).Run();
  }
}

std::string NameOf(const testing::TestParamInfo<Circumstance>& info) {
  switch (info.param) {
    case Circumstance::kOpen:
      return "OverOpenWindows";
    case Circumstance::kWaiting:
      return "OverRowsThatWait";
    case Circumstance::kKilled:
      return "BehindAKill";
    case Circumstance::kBack:
      return "AndBackAgain";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Edits, Edited,
                         testing::Values(Circumstance::kOpen, Circumstance::kWaiting, Circumstance::kKilled,
                                         Circumstance::kBack),
                         NameOf);

}  // namespace
}  // namespace tidemark::sim
