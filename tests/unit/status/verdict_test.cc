// The sentence about an application, by what is measured of it.
#include "src/status/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace tidemark {
namespace {

using ::testing::HasSubstr;

// A town with a source, a step, and a sink into a database. All is up to date.
live::Application Town() {
  live::Application town;
  town.add_workers()->set_worker("w");
  town.mutable_workers(0)->set_state("running");
  for (const auto& [name, kind] : std::vector<std::pair<const char*, const char*>>{
           {"detections", "source"}, {"counts", "step"}, {"top_table", "sink"}}) {
    live::Node* node = town.add_nodes();
    node->set_name(name);
    node->set_kind(kind);
  }
  for (const char* name : {"detections", "top_table"}) town.add_readers()->set_name(name);
  town.mutable_readers(1)->set_sink(true);
  return town;
}

void Share(live::Reader* reader, const char* activity, double share) {
  live::Share* to = reader->add_time();
  to->set_activity(activity);
  to->set_share(share);
}

live::Reader* Late(live::Application* town, int reader, double lag, double arriving, double reading) {
  live::Reader* late = town->mutable_readers(reader);
  late->set_lag(lag);
  late->set_arriving(arriving);
  late->set_reading(reading);
  if (arriving > 0) late->set_behind_s(lag / arriving);
  if (reading > arriving) late->set_to_go_s(lag / (reading - arriving));
  return late;
}

TEST(Verdict, WhoIsUpToDateNamesTheBusiest) {
  live::Application town = Town();
  EXPECT_EQ(Judge(town).sentence(), "Up to date.");
  town.mutable_nodes(1)->set_busy(0.31);
  EXPECT_EQ(Judge(town).sentence(), "Up to date. The busiest is step counts: 31% of its threads' time.");
  EXPECT_EQ(Judge(town).state(), "up_to_date");
}

TEST(Verdict, ASinkThatIsBehindNamesWhatItsThreadDoesMost) {
  live::Application town = Town();
  live::Reader* sink = Late(&town, 1, 1200, 100, 130);
  Share(sink, "waiting for rows", 0.05);
  Share(sink, "running statements in PostgreSQL", 0.17);
  Share(sink, "PostgreSQL COMMIT", 0.78);
  const live::Verdict verdict = Judge(town);
  EXPECT_EQ(verdict.sentence(),
            "Behind by 12 s and catching up (40 s to go). The limit is sink top_table: PostgreSQL COMMIT takes 78% of "
            "its time.");
  EXPECT_EQ(verdict.state(), "behind");
  EXPECT_EQ(verdict.node(), "top_table");
}

TEST(Verdict, AStageThatIsBehindNamesTheStepThatItsThreadsAreBusyWith) {
  live::Application town = Town();
  live::Reader* source = Late(&town, 0, 9000, 1000, 400);
  Share(source, "detections", 0.1);
  Share(source, "counts", 0.81);
  Share(source, "waiting for records", 0.05);
  EXPECT_EQ(Judge(town).sentence(),
            "Behind by 9 s and falling further behind. The limit is step counts: it takes 81% of the threads' time.");
}

TEST(Verdict, OfASourceItIsItsRecordsThatTakeTime) {
  live::Application town = Town();
  Share(Late(&town, 0, 9000, 1000, 1400), "detections", 0.7);
  EXPECT_THAT(Judge(town).sentence(),
              HasSubstr("The limit is source detections: decoding its records takes 70% of the threads' time."));
}

TEST(Verdict, ThreadsThatWaitForKafkaNameKafka) {
  live::Application town = Town();
  live::Reader* source = Late(&town, 0, 9000, 1000, 1400);
  Share(source, "counts", 0.2);
  Share(source, "waiting for Kafka to acknowledge what was written", 0.5);
  Share(source, "waiting for Kafka to decide a commit", 0.2);
  EXPECT_THAT(Judge(town).sentence(),
              HasSubstr("The limit is Kafka: waiting until it acknowledges and commits takes 70%"));
}

TEST(Verdict, ThreadsThatWaitForRecordsNameTheBrokers) {
  live::Application town = Town();
  Share(Late(&town, 0, 9000, 1000, 1400), "waiting for records", 0.9);
  EXPECT_THAT(Judge(town).sentence(), HasSubstr("The limit is the brokers: threads wait for their records 90%"));
}

TEST(Verdict, TheReaderThatIsFurthestBehindCounts) {
  live::Application town = Town();
  Share(Late(&town, 0, 3000, 1000, 1400), "counts", 0.9);
  Share(Late(&town, 1, 9000, 1000, 1400), "PostgreSQL COMMIT", 0.9);
  EXPECT_EQ(Judge(town).node(), "top_table");
  Late(&town, 0, 90000, 1000, 1400);
  EXPECT_EQ(Judge(town).node(), "counts");
}

// Nothing arrives any more: how old the lag is isn't known, how long it takes is.
TEST(Verdict, ABacklogWithoutArrivalsIsToldInRecords) {
  live::Application town = Town();
  Share(Late(&town, 0, 560'000, 0, 100'000), "counts", 0.9);
  EXPECT_THAT(Judge(town).sentence(), HasSubstr("Behind by 560,000 records and catching up (6 s to go)."));
}

TEST(Verdict, WhatStandsStillIsToldSo) {
  live::Application town = Town();
  Share(Late(&town, 1, 50, 0, 0), "running statements in PostgreSQL", 1);
  EXPECT_EQ(Judge(town).sentence(),
            "Behind by 50 records, and sink top_table stands still. The limit is sink top_table: running statements in "
            "PostgreSQL "
            "takes 100% of its time.");
}

TEST(Verdict, AMomentsLagIsNoMatter) {
  live::Application town = Town();
  Late(&town, 0, 300, 1000, 1000);
  EXPECT_EQ(Judge(town).state(), "up_to_date");
}

TEST(Verdict, WhatKeepsEverythingFromRunningComesFirst) {
  live::Application town = Town();
  Late(&town, 0, 9000, 1000, 400);
  town.mutable_nodes(2)->set_error("connection refused");
  EXPECT_EQ(Judge(town).state(), "behind");  // it has only just failed
  town.mutable_nodes(2)->set_failing_s(40);
  EXPECT_EQ(Judge(town).sentence(), "Sink top_table hasn't got through for 40 s: connection refused");
  live::UnreadInput* unread = town.add_unread();
  unread->set_topic("detections");
  unread->set_partition(3);
  unread->set_why("no member of the group has it");
  EXPECT_EQ(Judge(town).sentence(), "Nobody reads detections-3: no member of the group has it.");
  town.mutable_workers(0)->set_state("starting: loads tables");
  EXPECT_EQ(Judge(town).sentence(), "Worker w is starting: loads tables.");
  town.clear_workers();
  EXPECT_EQ(Judge(town).sentence(), "No worker runs.");
}

TEST(Verdict, ASourceThatWaitsForASchemaIsNamed) {
  live::Application town = Town();
  town.mutable_nodes(0)->set_waits_for("schema 7 of the registry");
  town.mutable_nodes(0)->set_waiting_s(62);
  EXPECT_EQ(Judge(town).sentence(), "Source detections has waited for schema 7 of the registry for 62 s.");
}

}  // namespace
}  // namespace tidemark
