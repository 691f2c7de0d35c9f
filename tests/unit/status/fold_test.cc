// What workers say, put together; and what of it keeps rows from showing.
#include "src/status/fold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/status/told.h"
#include "tests/unit/status/town.h"

namespace tidemark {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr double kTenPastTen = 1'767'262'200'000;  // 2026-01-01 10:10:00

// Worker `w` has the partition `partition` of both stages, on its thread 0.
live::WorkerReport WorkerOf(const std::string& worker, int32_t partition, double watermark_ms) {
  live::WorkerReport report;
  report.set_worker(worker);
  report.set_process(worker);
  report.set_ownership_known(true);
  live::ThreadReport* thread = report.add_threads();
  thread->set_state("running");
  live::Share* waits = thread->add_time();
  waits->set_activity("waiting for records");
  waits->set_share(0.25);
  live::TaskReport* first = report.add_tasks();
  first->set_stage("detections");
  first->set_partition(partition);
  first->set_watermark_ms(watermark_ms);
  AddInput(first, "seen", partition, 500, 100, 80, watermark_ms);
  *first->add_nodes() = NodeOf("detections", "detections", "source", 0.1, {{"in", 100}, {"passed", 100}}, 100, 100);
  *first->add_nodes() =
      NodeOf("wanted", "wanted", "operator", 0.05, {{"in", 100}, {"filtered", 60}, {"passed", 40}}, 100, 40);
  *first->add_nodes() =
      NodeOf("counts partial", "counts", "partial", 0.4, {{"in", 40}, {"absorbed", 40}, {"out", 8}}, 40, 8);
  *first->add_nodes() =
      NodeOf("counts repartition out", "counts", "repartition", 0.02, {{"in", 8}, {"passed", 8}}, 8, 0);
  live::TaskReport* second = report.add_tasks();
  second->set_stage("counts");
  second->set_partition(partition);
  second->set_watermark_ms(watermark_ms);
  AddInput(second, "town.counts.repartition", partition, 0, 1, 1, watermark_ms);
  *second->add_nodes() = NodeOf("counts repartition in", "counts", "internal", 0.02, {{"in", 8}, {"passed", 8}}, 8, 8);
  *second->add_nodes() = NodeOf("counts", "counts", "operator", 0.1, {{"out", 2}, {"open", 30}, {"closed", 10}}, 0, 2);
  *second->add_nodes() = NodeOf("sink out", "out", "sink", 0.01, {{"in", 2}, {"passed", 2}}, 2, 0);
  return report;
}

live::Application FoldOf(const std::vector<HeardReport>& reports) {
  const Plan plan = PlanOfTown();
  return Fold(plan, MakeGraph(plan), {}, reports, kTenPastTen + 5000);
}

const live::Node& NodeNamed(const live::Application& told, const std::string& name) {
  for (const live::Node& node : told.nodes()) {
    if (node.name() == name) return node;
  }
  ADD_FAILURE() << "no node " << name;
  return told.nodes(0);
}

std::vector<std::string> Findings(const live::Application& told) {
  std::vector<std::string> texts;
  for (const live::Finding& finding : told.findings()) texts.push_back(finding.node() + ": " + finding.text());
  return texts;
}

TEST(Fold, RatesAndCountersOfAllWorkersAddUp) {
  const live::Application told = FoldOf({{WorkerOf("a", 0, kTenPastTen), 0}, {WorkerOf("b", 1, kTenPastTen), 1}});
  const live::Node& counts = NodeNamed(told, "counts");
  EXPECT_DOUBLE_EQ(counts.in_per_s(), 80);  // of the phase that takes rows
  EXPECT_DOUBLE_EQ(counts.out_per_s(), 4);  // of the one that has results
  EXPECT_DOUBLE_EQ(counts.counters().at("in"), 80);
  EXPECT_DOUBLE_EQ(counts.counters().at("out"), 4);
  EXPECT_NEAR(counts.busy(), 0.4 + 0.02 + 0.02 + 0.1, 1e-9);  // of two threads each
  EXPECT_DOUBLE_EQ(NodeNamed(told, "detections").lag(), 1000);
  EXPECT_THAT(NodeNamed(told, "counts").ledger(), HasSubstr("counts partial  in 80  absorbed 80  out 16"));
  EXPECT_THAT(told.places(), SizeIs(4));
  EXPECT_NEAR(told.workers(0).busy(), 0.75, 1e-9);
}

TEST(Fold, TheVerdictNamesWhatTheThreadsOfLateTasksAreBusyWith) {
  const live::Application told = FoldOf({{WorkerOf("a", 0, kTenPastTen), 0}});
  EXPECT_EQ(told.verdict().sentence(),
            "Behind by 5 s and falling further behind. The limit is step counts: it takes 54% of the threads' time.");
  EXPECT_EQ(told.verdict().node(), "counts");
}

TEST(Fold, OfATaskThatTwoWorkersClaimTheYoungerReportCounts) {
  live::WorkerReport old = WorkerOf("a", 0, kTenPastTen);
  const live::Application told = FoldOf({{old, 8}, {WorkerOf("b", 0, kTenPastTen), 0}});
  EXPECT_DOUBLE_EQ(NodeNamed(told, "detections").counters().at("in"), 100);
  for (const live::Place& place : told.places()) EXPECT_EQ(place.worker(), "b");
}

TEST(Fold, AnInputThatOneWorkerFindsReadIsNotUnread) {
  live::WorkerReport a = WorkerOf("a", 0, kTenPastTen), b = WorkerOf("b", 1, kTenPastTen);
  live::UnreadInput* unread = a.add_unread();
  unread->set_topic("seen");
  unread->set_partition(2);
  unread->set_why("no member has it");
  EXPECT_THAT(FoldOf({{a, 0}, {b, 0}}).unread(), SizeIs(0));
  *b.add_unread() = *unread;
  EXPECT_EQ(FoldOf({{a, 0}, {b, 0}}).verdict().sentence(), "Nobody reads seen-2: no member has it.");
}

TEST(Fold, ASinkShowsWhatItsThreadDoes) {
  live::WorkerReport report = WorkerOf("a", 0, kTenPastTen);
  live::SinkReport* sink = report.add_sinks();
  sink->set_sink("counts_table");
  sink->set_rows_per_s(7);
  live::Input* feed = sink->add_inputs();
  feed->set_topic("town.counts_table.feed");
  feed->set_lag(90);
  feed->set_arriving(3);
  feed->set_reading(1);
  for (const auto& [activity, share] :
       std::map<std::string, double>{{"waiting for rows", 0.1}, {"PostgreSQL COMMIT", 0.9}}) {
    live::Share* to = sink->add_time();
    to->set_activity(activity);
    to->set_share(share);
  }
  const live::Application told = FoldOf({{report, 0}});
  EXPECT_DOUBLE_EQ(NodeNamed(told, "counts_table").out_per_s(), 7);
  EXPECT_DOUBLE_EQ(NodeNamed(told, "counts_table").busy(), 0.9);
  EXPECT_THAT(told.verdict().sentence(),
              HasSubstr("The limit is sink counts_table: PostgreSQL COMMIT takes 90% of its time."));
  EXPECT_THAT(Findings(told), Contains("counts_table: 90 records of its feed aren't written yet"));
}

TEST(Findings, AWindowNamesThePartitionWhoseTimeItWaitsFor) {
  const live::Application told =
      FoldOf({{WorkerOf("a", 0, kTenPastTen), 0}, {WorkerOf("b", 1, kTenPastTen + 130'000), 0}});
  EXPECT_THAT(Findings(told),
              Contains("counts: 60 rows in open windows; its time is 2026-01-01 10:10:00; windows close with "
                       "the slowest partition, seen-0 at 2026-01-01 10:10:00 (others have come to "
                       "2026-01-01 10:12:10)"));
}

TEST(Findings, WhatIsToldOnUpdateWaitsForNoWindow) {
  Plan plan = PlanOfTown();
  for (Node& node : plan.stages[1].nodes) node.mode.update = true;
  const live::Application told = Fold(plan, MakeGraph(plan), {}, {{WorkerOf("a", 0, kTenPastTen), 0}}, kTenPastTen);
  for (const live::Finding& finding : told.findings()) EXPECT_THAT(finding.text(), Not(HasSubstr("open windows")));
}

TEST(Findings, AnIdleSourceSaysWhereItsTimeStands) {
  live::WorkerReport report = WorkerOf("a", 0, kTenPastTen);
  report.mutable_tasks(0)->mutable_inputs(0)->set_idle(true);
  EXPECT_THAT(
      Findings(FoldOf({{report, 0}})),
      Contains("detections: all partitions are idle; its time stands at 2026-01-01 10:10:00 until records come, so "
               "windows behind it that end later stay open"));
}

TEST(Findings, RowsThatAStepKeepsBackAreTold) {
  EXPECT_THAT(Findings(FoldOf({{WorkerOf("a", 0, kTenPastTen), 0}})),
              Contains("wanted: 60 of 100 rows (60%) don't fulfil the condition"));
}

TEST(Findings, RowsThatWaitForAnythingButAWindowAreTold) {
  const Plan plan = PlanOf(R"yaml(name: town
kafka: { brokers: "localhost:9092" }
sources:
  orders:
    topic: orders
    columns: { file: string, lines: int64, at: timestamp_ms }
    event_time: { column: at, max_out_of_orderness: 5s }
steps:
  last: { from: orders, dedup: { by: [file], within: 1h, keep: last } }
  whole: { from: orders, batch: { by: [file], expected: lines, deadline: 1h } }
  watched: { from: orders, alert: { by: [file], raise: "lines > 9" } }
sinks:
  last_out: { from: last, topic: last }
  whole_out: { from: whole, topic: whole }
  watched_out: { from: watched, topic: watched }
)yaml");
  live::WorkerReport report;
  report.set_worker("a");
  report.add_threads()->set_state("running");
  live::TaskReport* task = report.add_tasks();
  task->set_stage("orders");
  *task->add_nodes() = NodeOf("orders", "orders", "source", 0, {{"in", 100}, {"passed", 100}});
  *task->add_nodes() = NodeOf("last", "last", "operator", 0, {{"in", 100}, {"passed", 90}, {"out", 70}});
  *task->add_nodes() = NodeOf("whole", "whole", "operator", 0, {{"in", 60}, {"passed", 60}, {"out", 60}});
  *task->add_nodes() = NodeOf("watched", "watched", "operator", 0, {{"in", 100}, {"absorbed", 100}});
  const std::vector<std::string> found = Findings(Fold(plan, MakeGraph(plan), {}, {{report, 0}}, kTenPastTen));
  EXPECT_THAT(found, Contains("last: 20 rows may be followed by a later one of their key, and wait"));
  EXPECT_THAT(found, Contains("whole: up to 40 rows that came to it aren't decided: a batch waits until it is whole, "
                              "or late"));
  EXPECT_THAT(found, Contains("watched: none of the 100 rows that it has taken has raised an alert"));
}

TEST(Findings, DeadLettersAreToldWithTheCommandThatShowsThem) {
  live::WorkerReport report = WorkerOf("a", 0, kTenPastTen);
  (*report.mutable_tasks(0)->mutable_nodes(0)->mutable_counters())["dead_lettered"] = 3;
  const live::Application told = FoldOf({{report, 0}});
  EXPECT_THAT(Findings(told),
              Contains("detections: 3 rows became dead letters: `tidemark dead-letters list` has the reasons"));
  ASSERT_THAT(told.dead_letters(), SizeIs(1));
  EXPECT_EQ(told.dead_letters(0).step(), "detections");
}

TEST(Findings, WithoutWorkersNothingRuns) {
  EXPECT_THAT(Findings(FoldOf({})), Contains(": no worker runs: nothing is read, and nothing comes out"));
}

TEST(Findings, AThreadThatReadsAndDoesNotCommitIsTold) {
  live::WorkerReport report = WorkerOf("a", 0, kTenPastTen);
  report.mutable_threads(0)->set_commit_age_s(30);
  report.mutable_threads(0)->set_aborts(4);
  EXPECT_THAT(
      Findings(FoldOf({{report, 0}})),
      Contains(": worker a, stream thread 0 has read rows and not committed for 30 s: readers see nothing of them "
               "before (4 transactions aborted)"));
}

TEST(Fold, TheOldestThatAnyWorkerSeesIsToldAndTheGravestAlarmOfIt) {
  const auto with = [](const std::string& worker, double age_s, bool confirmed, std::vector<std::string> kinds) {
    live::WorkerReport report = WorkerOf(worker, 0, kTenPastTen);
    live::FreshnessReport* freshness = report.add_freshness();
    freshness->set_name("counts_table");
    freshness->set_age_s(age_s);
    freshness->set_confirmed(confirmed);
    freshness->set_warn_s(60);
    freshness->set_max_s(600);
    freshness->set_grows(true);
    freshness->set_breach_in_s(300);
    for (const std::string& kind : kinds) freshness->add_alarms()->set_kind(kind);
    return HeardReport{report, 0};
  };
  const live::Application told =
      FoldOf({with("a", 20, true, {}), with("b", 180, true, {"warn", "predicted"}), with("c", 900, false, {})});
  ASSERT_THAT(told.freshness(), SizeIs(1));
  EXPECT_EQ(told.freshness(0).age_s(), 180);
  ASSERT_THAT(told.alarms(), SizeIs(1));
  EXPECT_EQ(told.alarms(0).kind(), "predicted");
  EXPECT_THAT(told.alarms(0).text(), HasSubstr("3 min old; 10 min is the most it may be, in 5 min if it goes on so"));
}

TEST(Told, JsonHasAllFieldsAndTextTheSentenceFirst) {
  const live::Application told = FoldOf({{WorkerOf("a", 0, kTenPastTen), 0}});
  const std::string json = StatusAsJson(told);
  EXPECT_THAT(json, HasSubstr("\"alarms\":[]"));
  EXPECT_THAT(json, HasSubstr("\"in_per_s\":100"));
  EXPECT_THAT(json, HasSubstr("\"watermark_ms\":1767262200000"));
  EXPECT_EQ(StatusAsText(told).substr(0, 13), "Behind by 5 s");
}

TEST(Graph, PhasesAndShufflesFoldIntoTheirStep) {
  const Graph graph = MakeGraph(PlanOfTown());
  std::vector<std::string> names;
  for (const GraphBox& box : graph.boxes) names.push_back(box.kind + " " + box.name);
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("source detections", "step wanted", "step counts", "sink out",
                                                     "sink counts_table"));
  ASSERT_THAT(graph.arrows, SizeIs(4));
  for (const GraphArrow& arrow : graph.arrows) EXPECT_EQ(arrow.shuffled, arrow.to == "counts") << arrow.to;
}

TEST(Graph, BoxesDoNotOverlapAndArrowsPointRight) {
  const Graph graph = MakeGraph(PlanOfTown());
  const auto find = [&](const std::string& name) {
    return *std::find_if(graph.boxes.begin(), graph.boxes.end(), [&](const auto& box) { return box.name == name; });
  };
  for (const GraphArrow& arrow : graph.arrows) {
    EXPECT_LT(find(arrow.from).x + Graph::kBoxWidth, find(arrow.to).x);
  }
  for (const GraphBox& a : graph.boxes) {
    EXPECT_LE(a.x + Graph::kBoxWidth, graph.width);
    EXPECT_LE(a.y + Graph::kBoxHeight, graph.height);
    for (const GraphBox& b : graph.boxes) {
      if (a.name == b.name || a.x != b.x) continue;
      EXPECT_GE(std::abs(a.y - b.y), Graph::kBoxHeight);
    }
  }
}

TEST(Graph, EachPartHasItsYaml) {
  TopologyText text;
  PlanOfTown(&text);
  const auto parts = YamlOfParts(text.yaml);
  EXPECT_THAT(parts.at("counts"), ::testing::StartsWith("counts:\n  from: wanted\n"));
  EXPECT_THAT(parts.at("counts"), HasSubstr("group_by"));
  EXPECT_THAT(parts.at("counts"), Not(HasSubstr("topic: counts")));
  EXPECT_THAT(parts.at("out"), HasSubstr("topic: counts"));
}

TEST(Graph, NamesAndSummariesAreEscapedInThePicture) {
  const Plan plan = PlanOfTown();
  const std::string svg = DrawSvg(MakeGraph(plan), {{"wanted", {"item <> 'dog' & \"more\"", ""}}});
  EXPECT_THAT(svg, HasSubstr("item &lt;&gt; 'dog' &amp; &quot;more&quot;"));
  EXPECT_THAT(svg, HasSubstr("data-node=\"counts\""));
}

}  // namespace
}  // namespace tidemark
