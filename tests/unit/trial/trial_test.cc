// Tests of topologies: what is compared with what, and that runs are what they claim to be.
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arrow/compute/initialize.h>
#include <arrow/util/utf8.h>
#include <glog/logging.h>

#include "src/base/mutation.h"
#include "src/trial/compare.h"
#include "src/trial/run.h"
#include "src/trial/scenarios.h"
#include "src/trial/value.h"

namespace tidemark::trial {
namespace {

constexpr char kTopology[] = R"yaml(
name: small
kafka: { brokers: simulated }
sources:
  clicks:
    topic: clicks
    columns: { id: int64, page: string, at: timestamp_ms, share: { type: double, nullable: true } }
    event_time: { column: at, max_out_of_orderness: 1h }
steps:
  once: { from: clicks, dedup: { by: [id], within: 1h } }
  minutes: { from: once, window: { tumbling: 1m, grace: 1s }, group_by: [page], aggregates: { n: "count(*)" } }
  pages: { from: once, group_by: [page], aggregates: { n: "count(*)" } }
sinks:
  pages_table: { from: pages, postgres: { url: "postgresql://simulated", table: pages, key: [page] } }
  once_topic: { from: once, topic: once, key: [id], create: {} }
  minutes_topic: { from: minutes, topic: minutes, key: [page], create: {} }
  once_told: { from: once, webhook: "http://simulated/clicks" }
)yaml";

class Trials : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(arrow::compute::Initialize().ok());
    arrow::util::InitializeUTF8();
    FLAGS_minloglevel = google::FATAL;
    folder_ = testing::TempDir() + "trials-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/topology.yaml") << kTopology;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<TestFile> Read(const std::string& tests) {
    const std::string path = folder_ + "/tests.yaml";
    std::ofstream(path) << "topology: topology.yaml\ntests:" << tests;
    return ReadTestFile(path);
  }
  TestFile File(const std::string& tests) {
    absl::StatusOr<TestFile> file = Read("\n" + tests);
    CHECK(file.ok()) << file.status();
    return *std::move(file);
  }

  std::string folder_;
};

FoundRows Found(std::vector<std::vector<std::string>> rows) {
  FoundRows found;
  found.schema = Schema({{"id", {Kind::kInt64}}, {"page", {Kind::kString}}});
  found.rows = std::move(rows);
  found.has_order = true;
  found.telling = {0, 1};
  return found;
}

TEST_F(Trials, ARowThatNamesFewerColumnsLeavesAnotherItsOnlyAnswer) {
  const TestFile file = File("- name: x\n  expect:\n    s: [ { id: 1 }, { id: 1, page: a } ]\n");
  const Case& test = file.tests[0];
  EXPECT_EQ(*CompareRows(file, test, test.expect[0], Found({{"1", "\"a\""}, {"1", "\"b\""}})), "");
  EXPECT_NE(*CompareRows(file, test, test.expect[0], Found({{"1", "\"b\""}, {"1", "\"b\""}})), "");
}

TEST_F(Trials, EveryFoundRowIsExpectedAndEachExpectedOneIsFoundAsOften) {
  const TestFile file = File("- name: x\n  expect:\n    s: [ { id: 1 }, { id: 2 } ]\n");
  const Case& test = file.tests[0];
  EXPECT_EQ(*CompareRows(file, test, test.expect[0], Found({{"2", "null"}, {"1", "null"}})), "");
  EXPECT_NE(*CompareRows(file, test, test.expect[0], Found({{"2", "null"}, {"1", "null"}, {"1", "null"}})), "");
  EXPECT_NE(*CompareRows(file, test, test.expect[0], Found({{"1", "null"}})), "");
}

TEST_F(Trials, OrderCountsWhereItIsAskedFor) {
  const TestFile file = File("- name: x\n  expect:\n    s: { ordered: true, rows: [ { id: 1 }, { id: 2 } ] }\n");
  const Case& test = file.tests[0];
  EXPECT_EQ(*CompareRows(file, test, test.expect[0], Found({{"1", "null"}, {"2", "null"}})), "");
  EXPECT_NE(*CompareRows(file, test, test.expect[0], Found({{"2", "null"}, {"1", "null"}})), "");
}

TEST_F(Trials, ValuesAreComparedAsWhatTheyAreAndNotAsText) {
  const Type millis{Kind::kTimestamp, TimestampForm::kMillis};
  EXPECT_EQ(*Comparable(millis, "1970-01-01T00:00:01Z"), *Comparable(millis, "1000"));
  EXPECT_EQ(*Comparable({Kind::kDecimal, {}, 10, 2}, "1.5"), *Comparable({Kind::kDecimal, {}, 10, 2}, "1.50"));
  EXPECT_TRUE(SameValue({Kind::kDouble}, "1", "1.0", 0));
  EXPECT_FALSE(SameValue({Kind::kDouble}, "1.001", "1.0", 0.0005));
  EXPECT_FALSE(Comparable({Kind::kInt64}, "many").ok());
}

TEST_F(Trials, ATapLeavesTheOtherPartsOfThePlanAsTheyAre) {
  const TestFile file =
      File("- name: x\n  expect: { pages_table: [] }\n- name: y\n  expect: { minutes: [], pages: [] }\n");
  const absl::StatusOr<Subject> bare = Subject::Load(file, file.tests[0]);
  const absl::StatusOr<Subject> tapped = Subject::Load(file, file.tests[1]);
  ASSERT_TRUE(bare.ok() && tapped.ok()) << bare.status() << tapped.status();
  const auto texts = [](const Plan& plan) {
    std::vector<std::string> nodes;
    for (const Stage& stage : plan.stages) {
      for (const Node& node : stage.nodes) {
        if (node.step.starts_with("tidemark_test_tap")) continue;
        nodes.push_back(stage.name + " " + node.step + " " + node.port + " " + node.output.ToString() + " " +
                        std::to_string(node.hidden.bits()));
      }
    }
    return nodes;
  };
  EXPECT_EQ(texts(bare->plan()), texts(tapped->plan()));
  EXPECT_EQ(tapped->plan().sinks.size(), bare->plan().sinks.size() + 2);
}

TEST_F(Trials, AListWithoutTestsIsAMistake) {
  EXPECT_THAT(Read(" []\n").status().ToString(), testing::HasSubstr(": tests: the list is empty"));
}

TEST_F(Trials, ALineThatTheLedgerHasntGotIsAMistakeAndNotAllZeros) {
  const auto loaded = [&](const std::string& ledger) {
    const TestFile file = File("- name: x\n  ledger: { " + ledger + " }\n");
    return Subject::Load(file, file.tests[0]).status();
  };
  EXPECT_TRUE(loaded("pages partial: { in: 0 }, pages: { violated.x: 0 }, sink once_topic: { in: 0 }").ok());
  EXPECT_THAT(
      loaded("pages partail: { in: 0 }").ToString(),
      testing::HasSubstr("tests.yaml:4:13: the ledger has no line 'pages partail' (did you mean 'pages partial'?"));
  EXPECT_THAT(loaded("pages: { duplicat: 0 }").ToString(),
              testing::HasSubstr("the ledger has no counter 'duplicat' (did you mean 'duplicate'?"));
}

constexpr char kClicks[] = R"yaml(- name: clicks
  given:
    clicks:
      - { id: 1, page: a, at: 2026-01-01T00:00:01Z }
      - { id: 2, page: b, at: 2026-01-01T00:00:02Z }
      - { id: 1, page: a, at: 2026-01-01T00:00:03Z }
      - { id: 3, page: a, at: 2026-01-01T00:02:00Z }
      - { id: 4, page: b, at: 2026-01-01T00:00:04Z }
      - { id: 5, page: c, at: 2026-01-01T00:00:05Z }
      - { id: 5, page: c, at: 2026-01-01T00:00:06Z }
      - { id: 6, page: a, at: 2026-01-01T00:00:07Z }
  script: [ crash, restart, given: { clicks: [ { id: 7, page: c, at: 2026-01-01T00:00:08Z } ] } ]
  expect:
    pages_table: [ { page: a, n: 3 }, { page: b, n: 2 }, { page: c, n: 2 } ]
    minutes: [ { page: a, n: 2 }, { page: b, n: 2 }, { page: c, n: 2 }, { page: a, n: 1 } ]
    once_topic: { csv: "\nid\n1\n2\n3\n4\n5\n6\n7\n" }
    once_told: { csv: "\nid\n1\n2\n3\n4\n5\n6\n7\n" }
  ledger: { once: { in: 9, duplicate: 2 } }
)yaml";

// All that a run has found, in the order in which it has.
std::map<std::string, std::vector<std::vector<std::string>>> AllRows(const RunResult& result) {
  std::map<std::string, std::vector<std::vector<std::string>>> rows;
  for (const auto& [name, found] : result.found) rows[name] = found.rows;
  rows["dead letters"] = result.letters.rows;
  return rows;
}

TEST_F(Trials, EverySeedFindsWhatThePlainRunFindsAndIsTheSameRunTwice) {
  const TestFile file = File(kClicks);
  const absl::StatusOr<Subject> subject = Subject::Load(file, file.tests[0]);
  ASSERT_TRUE(subject.ok()) << subject.status();
  std::set<std::string> crashed_at;
  sim::DeploymentCounts happened;
  for (uint64_t seed = 0; seed <= 24; ++seed) {
    const absl::StatusOr<RunResult> result = RunTest(file, file.tests[0], *subject, seed);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->differences, "") << "seed " << seed;
    if (result->commit_crashes > 0) crashed_at.insert(result->commit_point);
    happened.wiped += result->counts.wiped;
    happened.frozen += result->counts.frozen;
    happened.endings += result->counts.endings;
    happened.aborts += result->counts.aborts;
    if (seed % 8 != 0) continue;
    const absl::StatusOr<RunResult> again = RunTest(file, file.tests[0], *subject, seed);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->how, result->how);
    EXPECT_EQ(AllRows(*again), AllRows(*result));
  }
  // Else the seeds would prove nothing.
  std::set<std::string> all;
  for (const char* call :
       {"produce", "flush", "send_offsets", "commit_transaction", "init_transactions", "a sink's commit"}) {
    all.insert({std::string("before ") + call, std::string("after ") + call});
  }
  EXPECT_EQ(crashed_at, all);
  EXPECT_GT(happened.wiped, 0);
  EXPECT_GT(happened.frozen, 0);
  EXPECT_GT(happened.endings, 0);
  EXPECT_GT(happened.aborts, 0);
}

TEST_F(Trials, ALakeThatIsRenamedIsReadWhereItIsKept) {
  std::ofstream(folder_ + "/topology.yaml") << R"yaml(
name: small
kafka: { brokers: simulated }
sources: { clicks: { topic: clicks, columns: { id: int64, page: string } } }
sinks: { pond: { renamed_from: lake, from: clicks, parquet: { path: /simulated, max_age: 1s } } }
)yaml";
  const TestFile file = File(
      "- name: a lake\n  given: { clicks: [ { id: 1, page: a } ] }\n"
      "  expect: { pond: [ { id: 1, page: a } ] }\n");
  const absl::StatusOr<Subject> subject = Subject::Load(file, file.tests[0]);
  ASSERT_TRUE(subject.ok()) << subject.status();
  const absl::StatusOr<RunResult> result = RunTest(file, file.tests[0], *subject, 0);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->differences, "");
}

constexpr char kInvariants[] = R"yaml(- name: each click counts once
  given:
    clicks: [ { id: 1, page: a, at: 2026-01-01T00:00:01Z }, { id: 2, page: b, at: 2026-01-01T00:00:02Z }, { id: 1, page: a, at: 2026-01-01T00:00:03Z } ]
  invariants:
    once_topic: { unique: [id], count: 2, always: "id BETWEEN 1 AND 2" }
    pages: { unique: [page], always: "n = 1" }
)yaml";

TEST_F(Trials, InvariantsHoldOrAreToldWithARowThatShowsIt) {
  const auto differences = [&](std::string text, const std::string& what, const std::string& instead) {
    text.replace(text.find(what), what.size(), instead);
    const TestFile file = File(text);
    const absl::StatusOr<Subject> subject = Subject::Load(file, file.tests[0]);
    if (!subject.ok()) return std::string(subject.status().message());
    const absl::StatusOr<RunResult> result = RunTest(file, file.tests[0], *subject, 0);
    return result.ok() ? result->differences : std::string(result.status().message());
  };
  EXPECT_EQ(differences(kInvariants, "n = 1", "n = 1"), "");
  EXPECT_THAT(differences(kInvariants, "n = 1", "n = 2"), testing::HasSubstr("pages: always: n = 2 isn't true of {"));
  EXPECT_THAT(differences(kInvariants, "count: 2", "count: 3"),
              testing::HasSubstr("3 rows are to stand there, and 2 do"));
  EXPECT_THAT(differences(kInvariants, "[page]", "[n]"), testing::HasSubstr("are equal in n"));
  EXPECT_THAT(differences(kInvariants, "[page]", "[pag]"),
              testing::HasSubstr("pages has no column 'pag' (did you mean"));
  EXPECT_THAT(differences(kInvariants, "n = 1", "n"),
              testing::HasSubstr("a condition is expected, and this is a int64"));
  EXPECT_THAT(differences(kInvariants, "pages:", "page:"), testing::HasSubstr("there is no step or sink 'page'"));
  EXPECT_THAT(Read("\n- name: x\n  faults: [crash]\n  expect: { pages: [] }\n").status().ToString(),
              testing::HasSubstr("there are no faults of kind 'crash'; there are: calls, crashes, database"));
  EXPECT_THAT(Read("\n- name: x\n  invariants: { pages: { uniq: [n] } }\n").status().ToString(),
              testing::HasSubstr("unknown field 'uniq' (one of: unique, always, count)"));
}

TEST_F(Trials, AScenarioGoesThroughEachKindOfFaultsAlone) {
  (void)File(std::string(kInvariants) + "  faults: [calls, restarts]\n");
  std::ostringstream said;
  const absl::StatusOr<int> failed = RunScenarios({folder_ + "/tests.yaml"}, {.seeds = 1}, said);
  ASSERT_TRUE(failed.ok()) << failed.status();
  EXPECT_EQ(*failed, 0) << said.str();
  EXPECT_THAT(said.str(), testing::HasSubstr("under calls; restarts; calls,restarts: 1 seed each"));
  EXPECT_THAT(said.str(), testing::HasSubstr(", 0 crashes\n"));
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST_F(Trials, AScenarioThatFailsIsToldWithTheLineThatReplaysIt) {
  (void)File(kInvariants);
  SetMutation(Mutation::kApplyBeforeCommit, true);
  std::ostringstream said;
  const absl::StatusOr<int> failed = RunScenarios(
      {folder_ + "/tests.yaml"}, {.seeds = 40, .seed = {}, .faults = std::set<std::string>{"crashes"}}, said);
  SetMutation(Mutation::kApplyBeforeCommit, false);
  ASSERT_TRUE(failed.ok()) << failed.status();
  EXPECT_EQ(*failed, 1) << said.str();
  EXPECT_THAT(said.str(), testing::HasSubstr("it was run again, and is so again"));
  EXPECT_THAT(said.str(), testing::HasSubstr("tests.yaml --faults crashes --seed "));
}

TEST_F(Trials, ADefectOfTheCommitIsFoundByASeed) {
  const TestFile file = File(kClicks);
  const absl::StatusOr<Subject> subject = Subject::Load(file, file.tests[0]);
  ASSERT_TRUE(subject.ok()) << subject.status();
  SetMutation(Mutation::kApplyBeforeCommit, true);
  bool found = false;
  for (uint64_t seed = 0; seed <= 40 && !found; ++seed) {
    const absl::StatusOr<RunResult> result = RunTest(file, file.tests[0], *subject, seed);
    found = result.ok() && !result->differences.empty();
  }
  SetMutation(Mutation::kApplyBeforeCommit, false);
  EXPECT_TRUE(found);
}
#endif

}  // namespace
}  // namespace tidemark::trial
