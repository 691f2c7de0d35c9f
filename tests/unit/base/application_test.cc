#include "src/base/application.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "src/base/intake_names.h"

namespace tidemark {
namespace {

// Names that are near each other, as people give them and as they don't.
const std::vector<std::string> kNames = {"a", "b", "a-b", "a_b", "b-c", "a-b-c", "0", "1", "2", "changelog", "feed"};

// All topics, groups and transactional ids that an application may have with steps and sinks of these names.
std::vector<std::string> Topics(const ApplicationId& id, const std::string& step) {
  return {id.RepartitionTopic(step), id.FeedTopic(step), id.ChangelogTopic(step)};
}

TEST(ApplicationId, NamesOfTheFirstGenerationsAreThoseOfEarlierVersions) {
  for (const int32_t generation : {0, 1}) {
    const ApplicationId id{"town", generation};
    EXPECT_EQ(id.Key(), "town");
    EXPECT_EQ(id.Group(), "town");
    EXPECT_EQ(id.SinkGroup("lake"), "town.lake");
    EXPECT_EQ(id.RepartitionTopic("counts"), "town.counts.repartition");
    EXPECT_EQ(id.FeedTopic("lake"), "town.lake.feed");
    EXPECT_EQ(id.ChangelogTopic("counts"), "town.counts.changelog");
    EXPECT_EQ(id.ManifestTopic("lake"), "town.lake.changelog");
    EXPECT_EQ(ApplicationId::ProducerId(id.StreamThreadId("host-1", 3), 1), "town/host-1-3-1");
  }
}

TEST(ApplicationId, NoTwoApplicationsOrStepsShareATopicOrAGroup) {
  std::map<std::string, std::string> topics, groups;
  for (const std::string& name : kNames) {
    for (const int32_t generation : {1, 2, 3}) {
      const ApplicationId id{name, generation};
      const std::string whose = name + " generation " + std::to_string(generation);
      EXPECT_TRUE(groups.emplace(id.Group(), whose).second) << id.Group() << " of " << whose;
      for (const std::string& step : kNames) {
        EXPECT_TRUE(groups.emplace(id.SinkGroup(step), whose + " sink " + step).second) << id.SinkGroup(step);
        for (const std::string& topic : Topics(id, step)) {
          EXPECT_TRUE(topics.emplace(topic, whose + " step " + step).second) << topic << " of " << topics[topic];
        }
      }
    }
  }
}

TEST(ApplicationId, NoTwoApplicationsSinksOrWorkersShareATransactionalId) {
  std::set<std::string> ids;
  // A worker may be called anything.
  std::vector<std::string> workers = kNames;
  workers.insert(workers.end(), {"b-0", "b-0-1", "a.b", "a/b", "0-0", ".__2", "a.__2/b-0"});
  for (const std::string& name : kNames) {
    for (const int32_t generation : {1, 2}) {
      const ApplicationId id{name, generation};
      for (const std::string& worker : workers) {
        for (int thread = 0; thread < 12; ++thread) {
          for (int turn = 0; turn < 2; ++turn) {
            const std::string made = ApplicationId::ProducerId(id.StreamThreadId(worker, thread), turn);
            EXPECT_TRUE(ids.insert(made).second) << made;
          }
        }
        for (const std::string& sink : kNames) {
          EXPECT_TRUE(ids.insert(id.SinkTransactionalId(sink, worker)).second) << id.SinkTransactionalId(sink, worker);
        }
      }
    }
  }
}

// A source shares its name with no step and no sink of its application (the planner sees to that), but it may with
// those of others.
TEST(ApplicationId, AnIntakeSharesNoTopicAndNoTransactionalIdWithAnybody) {
  std::set<std::string> topics, ids;
  for (const std::string& name : kNames) {
    for (const int32_t generation : {1, 2}) {
      const ApplicationId id{name, generation};
      for (const std::string& step : kNames) {
        for (const std::string& topic : Topics(id, step)) topics.insert(topic);
        const IntakeNames intake{id, "source-" + step};
        EXPECT_TRUE(topics.insert(intake.Topic()).second) << intake.Topic();
        EXPECT_TRUE(topics.insert(intake.PositionsTopic()).second) << intake.PositionsTopic();
        for (const char* worker : {"0", "1", "0-0-0", "source-a/0"}) {
          ids.insert(id.SinkTransactionalId(step, worker));
          ids.insert(ApplicationId::ProducerId(id.StreamThreadId(worker, 0), 0));
        }
        for (int split = 0; split < 3; ++split) {
          EXPECT_TRUE(ids.insert(intake.TransactionalId(split)).second) << intake.TransactionalId(split);
        }
      }
    }
  }
  EXPECT_EQ(IntakeNames({{"town"}, "files"}).Topic(), "town.files.intake");
  EXPECT_EQ(IntakeNames({{"town"}, "files"}).PositionsTopic(), "town.files.positions");
  EXPECT_EQ(IntakeNames({{"town"}, "files"}).TransactionalId(3), "town.files/3");
}

TEST(ApplicationId, TwoGenerationsShareNothing) {
  const ApplicationId one{"town", 1}, two{"town", 2};
  EXPECT_NE(one.Key(), two.Key());
  for (const std::string& topic : Topics(two, "counts")) {
    EXPECT_EQ(topic.rfind(two.TopicPrefix(), 0), 0u) << topic;
    EXPECT_EQ(one.StageOfChangelog(topic), std::nullopt) << topic;
  }
  for (const std::string& topic : Topics(one, "counts")) EXPECT_NE(topic.rfind(two.TopicPrefix(), 0), 0u) << topic;
  EXPECT_EQ(two.StageOfChangelog(one.ChangelogTopic("counts")), std::nullopt);
  EXPECT_EQ(two.StageOfChangelog(two.ChangelogTopic("counts")), "counts");
  EXPECT_NE(one.StreamThreadId("w", 0), two.StreamThreadId("w", 0));
  EXPECT_NE(one.SinkTransactionalId("lake", "w"), two.SinkTransactionalId("lake", "w"));
}

TEST(ApplicationId, AChangelogTellsItsStageAndNothingElseDoes) {
  const ApplicationId town{"town"};
  EXPECT_EQ(town.StageOfChangelog("town.counts.changelog"), "counts");
  for (const char* other : {"town.counts.feed", "town.counts.changelogs", "town.counts", "town.changelog", "town..x",
                            "towns.counts.changelog", "town.__2.counts.changelog", "town", ""}) {
    EXPECT_EQ(town.StageOfChangelog(other), std::nullopt) << other;
  }
}

TEST(ApplicationId, ANameHasNoSeparatorAndDoesntLookLikeAGeneration) {
  for (const std::string& name : kNames) EXPECT_TRUE(IsName(name)) << name;
  EXPECT_TRUE(IsName(std::string(100, 'x')));
  for (const char* bad : {"", "a.b", "a/b", "__2", "a b", "ä", "a\n"}) EXPECT_FALSE(IsName(bad)) << bad;
  EXPECT_FALSE(IsName(std::string(101, 'x')));
}

TEST(ApplicationId, TheLongestNamesMakeLegalTopics) {
  const std::string longest(100, 'x');
  EXPECT_LE((ApplicationId{longest, INT32_MAX}.RepartitionTopic(longest).size()), 249u);
}

}  // namespace
}  // namespace tidemark
