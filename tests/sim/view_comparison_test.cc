// What two generations' views show, compared on the simulated Kafka: by key, with other columns and key orders, and
// with rows whose time is over.
#include "src/runtime/generations/view_comparison.h"

#include <memory>
#include <optional>
#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/views.pb.h"
#include "src/sim/sim_kafka.h"
#include "src/views/records.h"

namespace tidemark::sim {
namespace {

using ::testing::HasSubstr;

class ViewComparisonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    target_.view = "view now";
    target_.before_generation = 1;
    target_.after_generation = 2;
    target_.key = {"shop", "place"};
    target_.before =
        View("town.view.now", {{"shop", {Kind::kString}}, {"place", {Kind::kInt32}}, {"n", {Kind::kInt32}}}, {0, 1});
    target_.after = View(
        "town.__2.view.now",
        {{"place", {Kind::kInt64}}, {"n", {Kind::kInt64}}, {"most", {Kind::kInt64}, true}, {"shop", {Kind::kString}}},
        {0, 3});
    for (const SinkPlan* view : {&target_.before, &target_.after}) cluster_.CreateTopic(TopicOf(*view), 1);
    kafka_ = cluster_.NewClient(0);
    Columns(false);
  }

  static SinkPlan View(const std::string& topic, std::vector<Column> columns, std::vector<size_t> key) {
    SinkPlan view;
    view.name = "now";
    view.schema = Schema(std::move(columns));
    view.view.emplace();
    KafkaSinkSpec spec;
    spec.topic = topic;
    spec.key = std::move(key);
    spec.key_format = kJsonFormat;
    spec.upsert = true;
    view.spec = std::move(spec);
    return view;
  }
  static const std::string& TopicOf(const SinkPlan& view) { return std::get<KafkaSinkSpec>(view.spec).topic; }
  void Columns(bool all) { target_.columns = CompareColumns(target_.before.schema, target_.after.schema, all); }

  void Before(const std::string& shop, int place, int n, int64_t time = 0) {
    cluster_.AppendInput(
        {TopicOf(target_.before), 0}, absl::StrCat(R"({"shop":")", shop, R"(","place":)", place, "}"),
        absl::StrCat(R"({"shop":")", shop, R"(","place":)", place, R"(,"n":)", n, R"(,"__time":)", time, "}"));
  }
  void After(const std::string& shop, int place, int n, int64_t time = 0, const std::string& most = "null") {
    cluster_.AppendInput({TopicOf(target_.after), 0}, AfterKey(shop, place),
                         absl::StrCat(R"({"place":)", place, R"(,"n":)", n, R"(,"most":)", most, R"(,"shop":")", shop,
                                      R"(","__time":)", time, "}"));
  }
  static std::string AfterKey(const std::string& shop, int place) {
    return absl::StrCat(R"({"place":)", place, R"(,"shop":")", shop, R"("})");
  }
  void GoneAfter(const std::string& shop, int place) {
    cluster_.AppendInput({TopicOf(target_.after), 0}, AfterKey(shop, place), std::nullopt);
  }
  void Mark(const SinkPlan& view, int32_t writer, uint32_t writers, int64_t watermark_us) {
    packed::ViewMark mark;
    mark.set_writers(writers);
    mark.set_watermark_us(watermark_us);
    cluster_.AppendInput({TopicOf(view), 0}, ViewMarkKey(writer), mark.SerializeAsString());
  }
  void Marks(int64_t before_us, int64_t after_us) {
    Mark(target_.before, 0, 1, before_us);
    Mark(target_.after, 0, 1, after_us);
  }
  std::string Compared(bool at_cut = true) {
    const auto comparison = MakeViewComparison(target_, kafka_.get(), &clock_);
    const absl::Status status = comparison->Prepare();
    if (!status.ok()) return std::string(status.message());
    CompareTime time;
    time.at_cut = at_cut;
    const auto found = comparison->Compare(time);
    if (!found.ok()) return std::string(found.status().message());
    return absl::StrCat(found->only_before, " ", found->only_after, " ", found->differing, " of ", found->of);
  }

  SimClock clock_;
  SimCluster cluster_{SimCluster::Options(), &clock_};
  std::unique_ptr<KafkaClient> kafka_;
  ViewComparisonTarget target_;
};

TEST_F(ViewComparisonTest, TheRowOfEachKeyIsComparedHoweverItsKeyIsWritten) {
  EXPECT_EQ(Compared(), "0 0 0 of 0");
  Before("a", 1, 9);
  Before("a", 1, 1);
  After("a", 1, 1, 0, "7");
  Before("b", 1, 1);
  After("b", 1, 2);
  Marks(0, 0);
  Before("c", 1, 1);
  After("d", 1, 1);
  Before("e", 1, 1);
  After("e", 1, 1);
  GoneAfter("e", 1);
  After("f", 1, 1);
  GoneAfter("f", 1);
  Marks(1, 1);
  EXPECT_EQ(Compared(), "2 1 1 of 5");
  target_.most_entries = 1;
  EXPECT_EQ(Compared(), "2 1 1 of 5");
  Columns(/*all=*/true);
  EXPECT_EQ(Compared(), "2 1 2 of 5");
}

// The log of the one has lost what is over, that of the other hasn't yet.
TEST_F(ViewComparisonTest, RowsWhoseTimeIsOverArentShownAndDontDiffer) {
  target_.before.view->keep_us = target_.after.view->keep_us = 10;
  Before("new", 1, 1, 100);
  After("old", 1, 1, 90);  // not over before the time is 100
  After("new", 1, 1, 100);
  Marks(98, 99);
  EXPECT_EQ(Compared(), "0 1 0 of 2");
  Marks(100, 99);
  EXPECT_EQ(Compared(), "0 0 0 of 1") << "the later of the two times is that of both";
  Marks(100, 101);
  EXPECT_EQ(Compared(), "0 0 0 of 1");
  After("new", 1, 1, 80);  // it takes the place of the other, and is over
  EXPECT_EQ(Compared(), "1 0 0 of 1");
}

// Each log is read twice, and whoever serves the view trims it meanwhile.
TEST_F(ViewComparisonTest, ALogThatIsTrimmedBetweenItsTwoReadingsIsReadFromWhereItBegins) {
  target_.before.view->keep_us = target_.after.view->keep_us = 10;
  Before("old", 1, 1, 50);
  Before("new", 1, 1, 100);
  After("new", 1, 1, 100);
  Marks(100, 100);
  bool trimmed = false;
  cluster_.SetHook([&](const SimCallSite& site) {
    if (site.call == SimCall::kClose && site.after && !trimmed) {
      trimmed = true;
      cluster_.Trim({TopicOf(target_.before), 0}, 1);
    }
    return SimVerdict::kProceed;
  });
  EXPECT_EQ(Compared(/*at_cut=*/false), "0 0 0 of 1");
  cluster_.SetHook(nullptr);
  EXPECT_TRUE(trimmed);
}

TEST_F(ViewComparisonTest, AViewsTimeIsThatOfAllItsTasks) {
  target_.after.view->keep_us = 10;
  After("old", 1, 1, 90);
  Mark(target_.after, 0, 2, 200);
  EXPECT_EQ(Compared(), "0 1 0 of 1");
  Mark(target_.after, 1, 2, 95);
  EXPECT_EQ(Compared(), "0 1 0 of 1");
  Mark(target_.after, 1, 2, 100);
  EXPECT_EQ(Compared(), "0 0 0 of 0");
}

TEST_F(ViewComparisonTest, AtTheCutAnOpenTransactionIsWaitedFor) {
  const auto zombie_client = cluster_.NewClient(1);
  const auto zombie = *zombie_client->NewProducer({.transactional_id = "town/w-0"});
  ASSERT_TRUE(zombie->InitTransactions().ok());
  ASSERT_TRUE(zombie->Begin().ok());
  ASSERT_TRUE(zombie->Produce(TopicOf(target_.before), {OutRecord{.partition = 0, .key = "z", .value = "{}"}}).ok());
  ASSERT_TRUE(zombie->Flush().ok());
  Before("a", 1, 1);
  After("a", 1, 1);
  EXPECT_THAT(Compared(), HasSubstr("a transaction in town.view.now-0 hasn't ended yet"));
  EXPECT_EQ(Compared(/*at_cut=*/false), "0 1 0 of 1");
  ASSERT_TRUE(zombie->Abort().ok());
  EXPECT_EQ(Compared(), "0 0 0 of 1");
}

TEST_F(ViewComparisonTest, WhatANewerVersionHasWrittenOrIsntThereIsRefused) {
  packed::ViewMark mark;
  mark.set_writers(1);
  mark.set_needs_format(99);
  cluster_.AppendInput({TopicOf(target_.after), 0}, ViewMarkKey(0), mark.SerializeAsString());
  EXPECT_THAT(Compared(), HasSubstr("written by a newer Tidemark"));
  std::get<KafkaSinkSpec>(target_.after.spec).topic = "nobody";
  EXPECT_THAT(Compared(), HasSubstr("view now: topic nobody doesn't exist"));
}

}  // namespace
}  // namespace tidemark::sim
