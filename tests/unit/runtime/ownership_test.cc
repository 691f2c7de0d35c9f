#include "src/runtime/ownership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Members = std::vector<GroupMembers::Member>;

class GroupsAdmin final : public SilentAdmin {
 public:
  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>& asked) override {
    ++asked_times;
    std::map<std::string, TopicInfo> found;
    for (const std::string& topic : asked) {
      if (topics.count(topic) > 0) found[topic].partitions = topics[topic];
    }
    return found;
  }
  absl::StatusOr<GroupMembers> GroupAssignments(const std::string& group) override { return groups[group]; }

  std::map<std::string, int32_t> topics;
  std::map<std::string, absl::StatusOr<GroupMembers>> groups;
  int asked_times = 0;
};

class GroupsKafka final : public SilentKafka {
 public:
  Admin& admin() override { return groups; }
  GroupsAdmin groups;
};

// Sources "a" and "b" -> one stage -> feed "feed" -> PostgreSQL sink "pg"; two partitions each.
class OwnershipTest : public ::testing::Test {
 protected:
  OwnershipTest() {
    plan_.application.name = "app";
    plan_.stages.resize(1);
    plan_.stages[0].name = "both";
    for (const char* topic : {"a", "b"}) {
      plan_.sources.emplace_back().topic = topic;
      Node& node = plan_.stages[0].nodes.emplace_back();
      node.kind = Node::Kind::kSource;
      node.source = static_cast<int>(plan_.sources.size()) - 1;
    }
    plan_.sinks.emplace_back().name = "pg";
    Edge& feed = plan_.edges.emplace_back();
    feed.topic = "feed";
    feed.to_stage = -1;
    feed.to_sink = 0;
    runtime_.plan = &plan_;
    runtime_.partitions = {
        {"a", 2}, {"b", 2}, {"feed", 2}, {plan_.application.ChangelogTopic(plan_.stages[0].name), 2}};
    runtime_.clock = &clock_;
    runtime_.kafka = &kafka_;
    runtime_.options.instance_id = "w1";
    admin().topics = {{"a", 2}, {"b", 2}, {"feed", 2}};
    admin().groups["app.pg"] = Group({{"w1", {"feed"}, {{"feed", 0}, {"feed", 1}}}});
    admin().groups["app"] = Group({{"0000-w1", {"a", "b"}, {{"a", 0}, {"a", 1}, {"b", 0}, {"b", 1}}}});
    watch_.emplace(runtime_, [this](const std::string& group) { rejoined_.push_back(group); });
  }

  static GroupMembers Group(Members members) { return {true, std::move(members)}; }
  GroupsAdmin& admin() { return kafka_.groups; }

  std::vector<std::string> Unread(const std::string& group = "app") {
    std::vector<std::string> names;
    const OwnershipStatus status = watch_->status();
    for (const UnreadInput& input : status.unread.at(group)) names.push_back(ToString(input.input));
    return names;
  }
  // Checks again and again for so long.
  void Pass(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      clock_.monotonic_us += kSecond;
      ASSERT_TRUE(watch_->Check().ok());
    }
  }

  Plan plan_;
  FakeClock clock_;
  Runtime runtime_;
  GroupsKafka kafka_;
  std::optional<OwnershipWatch> watch_;
  std::vector<std::string> rejoined_;
};

TEST_F(OwnershipTest, WhatAllIsReadIsKnownAndQuiet) {
  EXPECT_FALSE(watch_->status().known);
  Pass(60);
  EXPECT_TRUE(watch_->status().known);
  EXPECT_THAT(Unread(), IsEmpty());
  EXPECT_THAT(Unread("app.pg"), IsEmpty());
  EXPECT_THAT(rejoined_, IsEmpty());
  EXPECT_LE(admin().asked_times, 13) << "every five seconds is enough";
}

TEST_F(OwnershipTest, ANewTopicThatAnOldAssignmentLacksIsNamedAndAskedFor) {
  admin().groups["app"] = Group({{"0000-w1", {"a", "b"}, {{"a", 0}, {"a", 1}}}});
  Pass(1);
  EXPECT_THAT(Unread(), ElementsAre("b-0", "b-1"));
  Pass(3);
  EXPECT_THAT(rejoined_, ElementsAre("app"));
  admin().groups["app"] = Group({{"0000-w1", {"a", "b"}, {{"a", 0}, {"a", 1}, {"b", 0}, {"b", 1}}}});
  Pass(2);
  EXPECT_THAT(Unread(), IsEmpty());
}

TEST_F(OwnershipTest, AFeedThatNobodyReadsConcernsTheSinksGroup) {
  admin().groups["app.pg"] = Group({{"w1", {"feed"}, {{"feed", 0}}}});
  Pass(4);
  EXPECT_THAT(Unread("app.pg"), ElementsAre("feed-1"));
  EXPECT_THAT(rejoined_, ElementsAre("app.pg"));
}

TEST_F(OwnershipTest, WhatIsReadTogetherMustLieOnOneMember) {
  admin().groups["app"] =
      Group({{"0000-w1", {"a", "b"}, {{"a", 0}, {"b", 0}, {"b", 1}}}, {"0000-w2", {"a", "b"}, {{"a", 1}}}});
  Pass(4);
  EXPECT_THAT(Unread(), ElementsAre("b-1"));
  EXPECT_THAT(rejoined_, ElementsAre("app"));
}

// Between two topologies: w2 is yet to be started with the new one, and another assignment would look the same.
TEST_F(OwnershipTest, AMemberThatDoesNotKnowTheNewTopicYetIsWaitedFor) {
  admin().groups["app"] =
      Group({{"0000-w1", {"a", "b"}, {{"a", 0}, {"b", 0}, {"b", 1}}}, {"0000-w2", {"a"}, {{"a", 1}}}});
  Pass(60);
  const OwnershipStatus status = watch_->status();
  ASSERT_EQ(status.unread.at("app").size(), 1u);
  EXPECT_FALSE(status.unread.at("app")[0].curable);
  EXPECT_THAT(status.unread.at("app")[0].why, HasSubstr("0000-w2"));
  EXPECT_THAT(rejoined_, IsEmpty());
}

TEST_F(OwnershipTest, OneWorkerActsAndTheNextOnlyWhereThatDidNotHelp) {
  runtime_.options.instance_id = "w2";
  admin().groups["app"] =
      Group({{"0000-w0", {"a"}, {}}, {"0000-w1", {"a", "b"}, {{"a", 0}}}, {"0000-w2", {"a", "b"}, {{"a", 1}}}});
  Pass(8);
  EXPECT_THAT(rejoined_, IsEmpty()) << "w1 is the first of those that know b";
  Pass(8);
  EXPECT_THAT(rejoined_, ElementsAre("app"));
}

TEST_F(OwnershipTest, WhatDoesNotHelpIsTriedLessAndLessOften) {
  admin().groups["app"] = Group({{"0000-w1", {"a", "b"}, {{"a", 0}, {"a", 1}}}});
  Pass(600);
  EXPECT_GE(rejoined_.size(), 3u);
  EXPECT_LE(rejoined_.size(), 7u);
}

TEST_F(OwnershipTest, AGroupInTheMiddleOfARebalanceIsNotJudged) {
  Pass(1);
  admin().groups["app"] = GroupMembers();
  Pass(20);
  EXPECT_THAT(Unread(), IsEmpty());
  admin().groups["app"] = absl::UnavailableError("no broker answers");
  Pass(20);
  EXPECT_TRUE(watch_->status().known);
  EXPECT_THAT(rejoined_, IsEmpty());
}

TEST_F(OwnershipTest, AnInputThatGrowsStopsTheWorkerForGood) {
  Pass(1);
  admin().topics["b"] = 3;
  clock_.monotonic_us += 10 * kSecond;
  const absl::Status grown = watch_->Check();
  EXPECT_TRUE(absl::IsFailedPrecondition(grown)) << grown;
  EXPECT_THAT(std::string(grown.message()), HasSubstr("'b' has 3 partitions now, and had 2"));
  EXPECT_THAT(std::string(grown.message()), HasSubstr("a new name"));
}

TEST_F(OwnershipTest, ABrokerThatDoesNotKnowAllPartitionsYetIsNoReasonToStop) {
  admin().topics["b"] = 0;
  Pass(10);
  admin().topics.erase("b");
  Pass(10);
}

// Deleted in the middle of a rebalance: the group gives its partitions to nobody, so nobody misses what he reads.
TEST_F(OwnershipTest, ATopicThatIsGoneAndThatNobodyHasStopsTheWorkerForGood) {
  admin().topics.erase("b");
  admin().groups["app"] = Group({{"0000-w1", {"a", "b"}, {{"a", 0}, {"a", 1}}}});
  Pass(20);
  admin().topics["b"] = 2;
  Pass(1);
  admin().topics.erase("b");
  Pass(25);
  clock_.monotonic_us += 10 * kSecond;
  const absl::Status gone = watch_->Check();
  EXPECT_TRUE(absl::IsFailedPrecondition(gone)) << gone;
  EXPECT_THAT(std::string(gone.message()),
              HasSubstr("topic 'b' doesn't exist any more, and group app has given it to no"));
}

}  // namespace
}  // namespace tidemark
