// Runs over a part of the past on the simulated Kafka: which part it is, what is refused, and a log whose beginning
// lies in a lake. That every row counts once whoever dies, tests/e2e/test_past_runs.py shows.
#include "src/runtime/generations/past_run.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/base/generation_names.h"
#include "src/base/mutation.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/generations/bounded_client.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/generations_log.h"
#include "src/runtime/lake_client.h"
#include "src/sim/sim_kafka.h"
#include "tests/unit/landing/lake_files.h"

namespace tidemark::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kNowUs = 1'800'000'000 * kSecond;
const TopicPartition kFirst{"in", 0}, kSecondPart{"in", 1};

Plan Town(const std::string& sinks, const std::string& steps = "") {
  absl::StatusOr<Plan> plan =
      PlanFromYaml(absl::StrCat(R"(
name: town
kafka: { brokers: simulated }
sources: { rows: { topic: in, event_time: { column: at }, columns: { id: int64, route: string, at: timestamp_ms } } }
steps:
  totals: { from: rows, group_by: [route], aggregates: { n: count(*) } }
  minutes: { from: rows, window: { tumbling: 1m }, group_by: [route], aggregates: { n: count(*) } }
)",
                                steps, "sinks:\n", sinks),
                   "town.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

constexpr char kBoth[] = R"(
  latest: { from: totals, topic: latest, key: [route], create: {} }
  counts: { from: minutes, topic: counts, create: {} }
)";

class PastRunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.CreateTopic("in", 2);
    kafka_ = cluster_.NewClient(0);
    for (int64_t second = 0; second < 10; ++second) Append(kFirst, second);
    // Late by a second now and then.
    for (const int64_t second : {2, 5, 3, 7, 6, 9}) Append(kSecondPart, second);
  }

  void Append(const TopicPartition& partition, int64_t second) {
    cluster_.AppendInput(partition, std::nullopt, "{}", second * 1000);
  }

  absl::StatusOr<generations::Run> Begin(const PastRun& past, const std::string& yaml = "a") {
    return BeginPastRun(plan_, {"town.yaml", yaml}, past, *kafka_, kNowUs, [this] { clock_.Advance(kSecond); });
  }

  static std::vector<std::string> PartsOf(const generations::Run& run) {
    std::vector<std::string> parts;
    for (int i = 0; i < run.starts_size(); ++i) {
      parts.push_back(absl::StrCat(run.starts(i).partition(), ": ", run.starts(i).offset(), "-", run.ends(i).offset()));
    }
    return parts;
  }

  SimClock clock_;
  SimCluster cluster_{SimCluster::Options(), &clock_};
  std::unique_ptr<KafkaClient> kafka_;
  Plan plan_ = Town(kBoth);
  const PastRun past_{"1970-01-01T00:00:03Z", "1970-01-01T00:00:07Z", "early", false};
};

TEST_F(PastRunTest, ThePartIsFromTheFirstThatIsntOlderToTheFirstThatIsntOlder) {
  const auto run = Begin(past_);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(PartsOf(*run), ElementsAre("0: 3-7", "1: 1-3"));
}

TEST_F(PastRunTest, WhoeverComesLaterHasTheSamePartWhateverHasComeOrGoneSince) {
  ASSERT_TRUE(Begin(past_).ok());
  for (int64_t second = 0; second < 10; ++second) Append(kSecondPart, second);
  cluster_.Trim(kFirst, 6);
  const auto run = Begin(past_);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(PartsOf(*run), ElementsAre("0: 3-7", "1: 1-3"));
  EXPECT_EQ(run->done_us(), 0);
  ASSERT_TRUE(EndPastRun(plan_, "early", *kafka_, kNowUs, [] {}).ok());
  ASSERT_TRUE(EndPastRun(plan_, "early", *kafka_, kNowUs + 1, [] {}).ok());
  EXPECT_EQ(Begin(past_)->done_us(), kNowUs);
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST_F(PastRunTest, BoundsThatEachWorkerTakesForItselfAreFound) {
  ASSERT_TRUE(Begin(past_).ok());
  const std::vector<std::string> first = PartsOf(*Begin(past_));
  Append(kSecondPart, 4);  // late, behind both bounds of the first
  cluster_.Trim(kFirst, 6);
  EXPECT_EQ(PartsOf(*Begin(past_)), first);
  SetMutation(Mutation::kBoundsTakenAnew, true);
  const auto second = Begin(past_);
  EXPECT_TRUE(!second.ok() || PartsOf(*second) != first);
  SetMutation(Mutation::kBoundsTakenAnew, false);
}
#endif

TEST_F(PastRunTest, AnotherTextOtherTimesAndOtherTargetsAreAnotherRun) {
  ASSERT_TRUE(Begin(past_).ok());
  EXPECT_THAT(std::string(Begin(past_, "b").status().message()), HasSubstr("from another text than town.yaml"));
  PastRun other = past_;
  other.to = "1970-01-01T00:00:08Z";
  EXPECT_THAT(std::string(Begin(other).status().message()), HasSubstr("with --from 1970-01-01T00:00:03Z --to"));
  other.name.clear();
  EXPECT_TRUE(Begin(other).ok());
}

TEST_F(PastRunTest, APartWhoseBeginningMayBeGoneIsRefusedUnlessWhatThereIsWasAskedFor) {
  cluster_.Trim(kFirst, 4);
  PastRun past = past_;
  EXPECT_THAT(std::string(Begin(past).status().message()), HasSubstr("in-0 begins at offset 4"));
  past.from = "1970-01-01T00:00:05Z";
  EXPECT_THAT(PartsOf(*Begin(past)), ElementsAre("0: 5-7", "1: 1-3"));
  past.from = "earliest";
  past.name = "all";
  EXPECT_THAT(PartsOf(*Begin(past)), ElementsAre("0: 4-7", "1: 0-3"));
}

TEST_F(PastRunTest, NamesAndTimesAreChecked) {
  EXPECT_EQ(*NameOfPastRun({"2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"}, kNowUs), "20260301_20260401");
  EXPECT_EQ(*NameOfPastRun({"earliest", "2026-04-01T12:30:00.5Z"}, kNowUs), "earliest_20260401123000_5");
  for (const PastRun& wrong :
       {PastRun{"2026-04-01T00:00:00Z", "2026-03-01T00:00:00Z"}, PastRun{"earliest", "latest"},
        PastRun{"earliest", "2126-03-01T00:00:00Z"}, PastRun{"earliest", "2026-03-01T00:00:00Z", "My-Run"},
        PastRun{"earliest", "2026-03-01T00:00:00Z", "7"}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(NameOfPastRun(wrong, kNowUs).status())) << wrong.from << " " << wrong.to;
  }
}

TEST_F(PastRunTest, IntoTargetsWhatIsCountedOverAllTimeIsRefusedByName) {
  PastRun past = past_;
  EXPECT_TRUE(CheckPastRun(plan_, past).ok());
  past.into_targets = true;
  const std::string told(CheckPastRun(plan_, past).message());
  EXPECT_THAT(told, HasSubstr("sink latest: step totals counts over all time"));
  EXPECT_THAT(told, ::testing::Not(HasSubstr("counts:")));
}

TEST_F(PastRunTest, NoGenerationIsBuiltBesideARunIntoTheTargets) {
  const auto check = [this] { return CheckNoRunIntoTargets("town", *kafka_, [this] { clock_.Advance(kSecond); }); };
  ASSERT_TRUE(Begin(past_).ok());
  EXPECT_EQ(check(), absl::OkStatus()) << "into shadows";
  const Plan own = PlanOfApplication(plan_, GenerationNames{"town"}.Run("added"));
  {
    auto log = GenerationsWriter::Open(own, kafka_.get(), [this] { clock_.Advance(kSecond); });
    ASSERT_TRUE(log.ok()) << log.status();
    generations::State state = (*log)->state();
    state.mutable_run()->set_into_targets(true);
    ASSERT_TRUE((*log)->Write(state).ok());
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(check())) << check();
  EXPECT_THAT(std::string(check().message()), HasSubstr("run added into the targets isn't done"));
  ASSERT_TRUE(EndPastRun(plan_, "added", *kafka_, kNowUs, [] {}).ok());
  EXPECT_EQ(check(), absl::OkStatus());
}

TEST_F(PastRunTest, IntoTargetsWhatDeletesItsOldRowsIsRefusedByName) {
  const Plan plan = Town(absl::StrCat(kBoth,
                                      "  kept: { from: busy, topic: kept, key: [route, window_start, window_end],"
                                      " key_format: json, create: {} }\n"),
                         "  last_day: { from: rows, window: { tumbling: 1m, keep: 1d }, emit: on_update,\n"
                         "              group_by: [route], aggregates: { n: count(*) } }\n"
                         "  busy: { from: last_day, filter: \"n > 0\" }\n");
  PastRun past = past_;
  EXPECT_TRUE(CheckPastRun(plan, past).ok());
  past.into_targets = true;
  EXPECT_THAT(std::string(CheckPastRun(plan, past).message()),
              HasSubstr("sink kept: step last_day deletes the rows of its windows once they are older than `keep`"));
}

TEST_F(PastRunTest, AllWorkersOfARunHaveTheSameLakesAndNoneSkipsWhatIsGone) {
  PastRun past = past_;
  past.lakes["in"].path = "/lake";
  const auto run = Begin(past);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(std::string(Begin(past_).status().message()), HasSubstr("was begun with lakes: in from /lake: go on"));
  PastRun passes = past;
  passes.lakes["in"].pass_holes = true;
  EXPECT_THAT(std::string(Begin(passes).status().message()), HasSubstr("in from /lake"));
  EXPECT_TRUE(Begin(past).ok());
  PastRun without = past_;
  without.name = "without";
  EXPECT_TRUE(Begin(without).ok());
  without.lakes = past.lakes;
  EXPECT_THAT(std::string(Begin(without).status().message()), HasSubstr("was begun without --lakes"));
  plan_.sources[0].skip_lost = true;
  EXPECT_FALSE(PlanOfPastRun(plan_, "early", *run)->sources[0].skip_lost);
}

TEST_F(PastRunTest, ShadowsAndNamesAreTheRunsOwn) {
  const auto run = Begin(past_);
  ASSERT_TRUE(run.ok()) << run.status();
  const auto plan = PlanOfPastRun(plan_, "early", *run);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->application.Group(), "town.__run_early");
  EXPECT_EQ(plan->dead_letter_topic, "town-dead-letter.run_early");
  EXPECT_EQ(std::get<KafkaSinkSpec>(plan->sinks[0].spec).topic, "counts.run_early");
  for (const Edge& edge : plan->edges) EXPECT_THAT(edge.topic, ::testing::StartsWith("town.__run_early."));
}

TEST_F(PastRunTest, APartBeginsAtItsStartAndItsEndIsAnEndLikeAnyOther) {
  SourceBounds bounds({"in"}, {{kFirst, 3}, {kSecondPart, 2}});
  bounds.Set({{kFirst, 7}, {kSecondPart, 2}}, 0);
  const auto kafka = BoundedClient(cluster_.NewClient(0), "", &bounds, [] { return absl::OkStatus(); });
  EXPECT_EQ(*kafka->admin().LogStart(kFirst), 3);
  const auto consumer = *kafka->NewConsumer({.client_id = "reader"});
  ASSERT_TRUE(consumer->Assign({{kFirst, 3}, {kSecondPart, 2}}).ok());
  std::vector<std::string> seen, ends;
  for (int i = 0; i < 10; ++i) {
    const auto polled = consumer->Poll(1'000, 100);
    ASSERT_TRUE(polled.ok()) << polled.status();
    for (const auto& fetch : polled->fetches) {
      for (const RecordView& record : fetch->records()) {
        seen.push_back(absl::StrCat(fetch->source().partition, "@", record.offset));
      }
    }
    for (const auto& [partition, end] : polled->ends) ends.push_back(absl::StrCat(partition.partition, "@", end));
  }
  EXPECT_THAT(seen, ElementsAre("0@3", "0@4", "0@5", "0@6"));
  EXPECT_THAT(ends, ::testing::IsSupersetOf({"0@7", "1@2"}));
  for (const std::string& end : ends) EXPECT_TRUE(end == "0@7" || end == "1@2") << end;
}

TEST_F(PastRunTest, WhatIsTrimmedBehindAPartIsNoLossOfIt) {
  SourceBounds bounds({"in"}, {{kFirst, 3}});
  bounds.Set({{kFirst, 5}}, 0);
  const auto kafka = BoundedClient(cluster_.NewClient(0), "", &bounds, [] { return absl::OkStatus(); });
  cluster_.Trim(kFirst, 4);
  EXPECT_EQ(kafka->admin().LogStarts({kFirst})->at(kFirst), 4);
  cluster_.Trim(kFirst, 8);
  EXPECT_EQ(kafka->admin().LogStarts({kFirst})->at(kFirst), 5);
  const auto consumer = *kafka->NewConsumer({.client_id = "reader"});
  ASSERT_TRUE(consumer->Assign({{kFirst, 5}}).ok());
  ASSERT_TRUE(consumer->Hold({kFirst}).ok());
  EXPECT_TRUE(consumer->Poll(1'000, 100)->ends.empty());
  ASSERT_TRUE(consumer->Release({kFirst}).ok());
  const auto polled = consumer->Poll(1'000, 100);
  ASSERT_TRUE(polled.ok()) << polled.status();
  EXPECT_THAT(polled->ends, ElementsAre(std::pair(kFirst, Offset{5})));
  EXPECT_TRUE(consumer->Poll(1'000, 100)->ends.empty());
}

// ---- Lakes ---------------------------------------------------------------------------------------------------------

class LakeClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(::testing::TempDir(), "lake_client_",
                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    cluster_.CreateTopic("in", 1);
    for (int64_t i = 0; i < 10; ++i) cluster_.AppendInput(kFirst, absl::StrCat("k", i), absl::StrCat("v", i), i * 1000);
    spec_ = LakeColumns(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static std::vector<LakeRow> Rows(int64_t first, int64_t end) {
    std::vector<LakeRow> rows;
    for (int64_t i = first; i < end; ++i) rows.push_back({0, i, absl::StrCat("v", i)});
    return rows;
  }

  // Everything from an offset on, as "offset=value"; the error that ends it.
  absl::StatusOr<std::vector<std::string>> Read(Offset from, size_t most = 100) {
    const auto kafka = WithLakes(cluster_.NewClient(0), {{"in", spec_}});
    const auto consumer = *kafka->NewConsumer({.client_id = "reader"});
    absl::Status status = consumer->Assign({{kFirst, from}});
    std::vector<std::string> seen;
    for (int i = 0; i < 30 && status.ok(); ++i) {
      const auto polled = consumer->Poll(1'000, most);
      status = polled.status();
      if (!polled.ok()) break;
      for (const auto& fetch : polled->fetches) {
        for (const RecordView& record : fetch->records()) {
          seen.push_back(absl::StrCat(record.offset, "=", std::string(*record.value)));
        }
      }
    }
    if (!status.ok()) return status;
    return seen;
  }

  SimClock clock_;
  SimCluster cluster_{SimCluster::Options(), &clock_};
  std::string folder_;
  LakeSpec spec_;
};

TEST_F(LakeClientTest, WhatTheLogHasNoMoreComesFromTheLakeAndTheRestFromTheLog) {
  WriteLakeFile(folder_ + "/a.parquet", Rows(0, 4));
  WriteLakeFile(folder_ + "/b.parquet", Rows(4, 8));
  cluster_.Trim(kFirst, 6);
  for (const size_t most : {1, 3, 100}) {
    for (const Offset from : {0, 3, 5, 6, 8}) {
      std::vector<std::string> wanted;
      for (Offset i = from; i < 10; ++i) wanted.push_back(absl::StrCat(i, "=v", i));
      const auto read = Read(from, most);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(*read, wanted) << from << " by " << most;
    }
  }
  const auto kafka = WithLakes(cluster_.NewClient(0), {{"in", spec_}});
  EXPECT_EQ(*kafka->admin().LogStart(kFirst), 0);
  EXPECT_EQ(*kafka->admin().OffsetForTime(kFirst, 4'500), 5);
  EXPECT_EQ(*kafka->admin().OffsetForTime(kFirst, 7'500), 8);
}

// That of a sink that is new with the generation which reads it.
TEST_F(LakeClientTest, ALakeThatIsntThereIsMissedOnceTheLogHasLostSomething) {
  spec_.path = folder_ + "/new";
  const auto place = [this](int64_t ms) {
    return WithLakes(cluster_.NewClient(0), {{"in", spec_}})->admin().OffsetForTime(kFirst, ms);
  };
  constexpr Offset kBeginning = -2;
  for (const Offset from : {kBeginning, Offset{0}, Offset{3}}) {
    const auto read = Read(from);
    ASSERT_TRUE(read.ok()) << from << ": " << read.status();
    EXPECT_EQ(read->size(), from < 0 ? 10U : static_cast<size_t>(10 - from));
  }
  const auto found = place(4'500);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, 5);
  cluster_.Trim(kFirst, 2);
  EXPECT_TRUE(Read(2).ok()) << "the log has all that is read";
  for (const absl::Status& status : {Read(1).status(), Read(kBeginning).status(), place(4'500).status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("the raw lake of topic in: there is no folder " + spec_.path));
  }
}

TEST_F(LakeClientTest, ALakeThatEndsBeforeTheLogBeginsIsAStop) {
  WriteLakeFile(folder_ + "/a.parquet", Rows(0, 4));
  spec_.pass_holes = true;
  cluster_.Trim(kFirst, 6);
  const auto read = Read(0);
  EXPECT_TRUE(absl::IsFailedPrecondition(read.status())) << read.status();
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("ends before offset 4, and the topic's log begins at 6"));
}

TEST_F(LakeClientTest, AHoleIsAStopUnlessItIsToBePassed) {
  WriteLakeFile(folder_ + "/a.parquet", Rows(0, 2));
  WriteLakeFile(folder_ + "/b.parquet", Rows(3, 8));
  cluster_.Trim(kFirst, 6);
  EXPECT_THAT(std::string(Read(0).status().message()), HasSubstr("no record of offset 2, and goes on at 3"));
  EXPECT_TRUE(Read(3).ok());
  spec_.pass_holes = true;
  const auto read = Read(1);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(*read, ElementsAre("1=v1", "3=v3", "4=v4", "5=v5", "6=v6", "7=v7", "8=v8", "9=v9"));
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST_F(LakeClientTest, AHoleThatIsPassedInSilenceIsFound) {
  WriteLakeFile(folder_ + "/a.parquet", Rows(0, 2));
  WriteLakeFile(folder_ + "/b.parquet", Rows(3, 8));
  cluster_.Trim(kFirst, 6);
  SetMutation(Mutation::kHolePassed, true);
  const auto read = Read(0);
  SetMutation(Mutation::kHolePassed, false);
  // Every offset is there, or the run ends: what the test above asks for.
  EXPECT_TRUE(read.ok() && read->size() < 10);
  EXPECT_FALSE(Read(0).ok());
}
#endif

// Log from 6 on; a time between what the lake ends with and what the log begins with.
TEST_F(LakeClientTest, ATimeThatMayLieBetweenLakeAndLogIsNoPlaceToBegin) {
  WriteLakeFile(folder_ + "/a.parquet", Rows(1, 4));
  cluster_.Trim(kFirst, 6);
  const auto place = [this](int64_t ms) {
    return WithLakes(cluster_.NewClient(0), {{"in", spec_}})->admin().OffsetForTime(kFirst, ms);
  };
  for (const bool pass : {false, true}) {
    spec_.pass_holes = pass;
    const auto between = place(4'500);
    EXPECT_TRUE(absl::IsFailedPrecondition(between.status())) << between.status();
    EXPECT_THAT(std::string(between.status().message()),
                HasSubstr("offset 3, in the lake " + folder_ + ", is older, and up to offset 6 neither"));
    EXPECT_EQ(*place(0), 1);
    EXPECT_EQ(*place(2'500), 3);
    EXPECT_EQ(*place(6'500), 7) << "the log begins with an older one";
  }
  WriteLakeFile(folder_ + "/b.parquet", Rows(4, 6));
  EXPECT_EQ(*place(4'500), 5);
  EXPECT_EQ(*place(5'500), 6);
}

TEST_F(LakeClientTest, ATimeThatMayLieInAHoleIsNoPlaceToBegin) {
  WriteLakeFile(folder_ + "/a.parquet", Rows(0, 2));
  WriteLakeFile(folder_ + "/b.parquet", Rows(4, 8));
  cluster_.Trim(kFirst, 6);
  const auto place = [this](int64_t ms) {
    return WithLakes(cluster_.NewClient(0), {{"in", spec_}})->admin().OffsetForTime(kFirst, ms);
  };
  const auto in_hole = place(2'500);
  EXPECT_TRUE(absl::IsFailedPrecondition(in_hole.status())) << in_hole.status();
  EXPECT_THAT(std::string(in_hole.status().message()), HasSubstr("say --holes pass (`holes: pass` of the source)"));
  EXPECT_EQ(*place(1'000), 1);
  EXPECT_EQ(*place(4'500), 5) << "an older one stands in front";
  spec_.pass_holes = true;
  EXPECT_EQ(*place(2'500), 4);
}

TEST_F(LakeClientTest, WhatIsPausedStaysSoWhereverItsPositionGoes) {
  WriteLakeFile(folder_ + "/a.parquet", Rows(0, 8));
  cluster_.Trim(kFirst, 6);
  const auto kafka = WithLakes(cluster_.NewClient(0), {{"in", spec_}});
  const auto consumer = *kafka->NewConsumer({.client_id = "reader"});
  const auto next = [&] {
    const auto polled = consumer->Poll(1'000, 1);
    EXPECT_TRUE(polled.ok()) << polled.status();
    return polled->fetches.empty() ? -1 : polled->fetches[0]->records().front().offset;
  };
  ASSERT_TRUE(consumer->AssignPaused({kFirst}).ok());
  for (const Offset to : {2, 7, 3}) {
    ASSERT_TRUE(consumer->Seek({{kFirst, to}}).ok());
    EXPECT_EQ(next(), -1);
  }
  ASSERT_TRUE(consumer->Resume({kFirst}).ok());
  EXPECT_EQ(next(), 3);
  ASSERT_TRUE(consumer->Seek({{kFirst, 8}}).ok());
  EXPECT_EQ(next(), 8);
}

TEST_F(LakeClientTest, ALakeOfAnotherTopicDoesntPassForThisOnes) {
  std::vector<LakeRow> rows = Rows(0, 8);
  for (LakeRow& row : rows) row.value = "another";
  WriteLakeFile(folder_ + "/a.parquet", rows);
  cluster_.Trim(kFirst, 6);
  EXPECT_THAT(std::string(Read(0).status().message()), HasSubstr("in-0@6: the lake"));
}

TEST_F(LakeClientTest, WhatWasWrittenToTheLakeMeanwhileIsFoundWhenTheLogHasLostMore) {
  WriteLakeFile(folder_ + "/a.parquet", Rows(0, 4));
  cluster_.Trim(kFirst, 3);
  const auto kafka = WithLakes(cluster_.NewClient(0), {{"in", spec_}});
  const auto consumer = *kafka->NewConsumer({.client_id = "reader"});
  ASSERT_TRUE(consumer->Assign({{kFirst, 0}}).ok());
  WriteLakeFile(folder_ + "/b.parquet", Rows(4, 9));
  cluster_.Trim(kFirst, 8);
  ASSERT_TRUE(consumer->Assign({{kFirst, 3}}).ok());
  const auto polled = consumer->Poll(1'000, 100);
  ASSERT_TRUE(polled.ok()) << polled.status();
  ASSERT_EQ(polled->fetches.size(), 1u);
  EXPECT_EQ(polled->fetches[0]->records().back().offset, 7);
}

}  // namespace
}  // namespace tidemark::sim
