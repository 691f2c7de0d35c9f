#include "src/views/changes.h"

#include <gtest/gtest.h>

#include "tests/unit/views/view_kit.h"

namespace tidemark {
namespace {

using What = ViewChanges::Next::What;

// Follows a view's changes from a position, as a client does.
class Follower {
 public:
  Follower(ViewChanges* changes, Offset position) : changes_(*changes) {
    id_ = changes_.Follow([this] { ++woken; });
    changes_.Tick(0);
    number_ = changes_.Find(position);
  }
  ~Follower() { changes_.Unfollow(id_); }

  // The events that there are: "5: <data>" each; "gone" at its end where the history has gone on.
  std::vector<std::string> Read() {
    if (!number_) return {"gone"};
    std::vector<std::string> events;
    while (true) {
      const ViewChanges::Next next = changes_.After(*number_);
      if (next.what == What::kGone) events.emplace_back("gone");
      if (next.what != What::kEvent) return events;
      number_ = next.number;
      const size_t data = next.text->find("data: ") + 6;
      EXPECT_EQ(next.text->find('\n', data), next.text->size() - 2) << "an event's data is one line";
      events.push_back(absl::StrCat(next.moment.position, ": ", next.text->substr(data, next.text->size() - data - 2)));
    }
  }

  int woken = 0;

 private:
  ViewChanges& changes_;
  int64_t id_ = 0;
  std::optional<int64_t> number_;
};

std::vector<std::string> Positions(const std::vector<std::string>& events) {
  std::vector<std::string> positions;
  for (const std::string& event : events) positions.push_back(event.substr(0, event.find(':')));
  return positions;
}

TEST(ViewChangesTest, AFollowerHearsWhatBecomesVisibleInItsOrder) {
  SalesView view;
  view.changes().Begin({10, std::nullopt});
  Follower follower(&view.changes(), 10);
  EXPECT_TRUE(follower.Read().empty());
  view.Put({Sale("a", 1, "\"price\":\"2.50\""), Sale("b", 1)}, 12, EventTime{0});
  view.Delete(R"({"shop":"a","sale":1})", 13);
  EXPECT_GT(follower.woken, 1);
  const std::vector<std::string> events = follower.Read();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(
      events[0],
      R"(12: {"position":12,"as_of":"1970-01-01T00:00:00Z","rows":[)"
      R"({"shop":"a","day":null,"sale":1,"price":2.50,"weight":null,"at":null,"paid":null,"doc":null},)"
      R"({"shop":"b","day":null,"sale":1,"price":null,"weight":null,"at":null,"paid":null,"doc":null}],"deleted":[]})");
  EXPECT_EQ(events[1], R"(13: {"position":13,"as_of":null,"rows":[],"deleted":[{"shop":"a","sale":1}]})");
}

TEST(ViewChangesTest, AnIdIsAPositionAndPerhapsItsLog) {
  EXPECT_EQ((ViewPlace{5120, ViewPlace::LogOf("Q-j0/ab+Zk1xyz")}.Id()), "5120-Qj0abZk1");
  EXPECT_EQ(ViewPlace::Parse("5120-Qj0abZk1")->log, "Qj0abZk1");
  EXPECT_EQ(ViewPlace::Parse("5120")->position, 5120);
  EXPECT_EQ(ViewPlace::Parse("5120")->log, "");
  for (const char* none : {"", "x", "-1", "5120.5", "Qj0abZk1-5120"}) EXPECT_FALSE(ViewPlace::Parse(none)) << none;
}

TEST(ViewChangesTest, OfAKeyTheLastChangeOfAMomentIsTold) {
  SalesView view;
  view.changes().Begin({0, std::nullopt});
  Follower follower(&view.changes(), 0);
  view.Put({Sale("a", 1, "\"weight\":1"), Sale("a", 1, "\"weight\":2")}, 2);
  const std::vector<std::string> events = follower.Read();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].find("\"weight\":1"), std::string::npos) << events[0];
  EXPECT_NE(events[0].find("\"weight\":2"), std::string::npos) << events[0];
}

TEST(ViewChangesTest, WhoComesBackHearsWhatIsBehindHisPosition) {
  SalesView view;
  view.changes().Begin({5, std::nullopt});
  for (int i = 1; i <= 4; ++i) view.Put({Sale("a", i)}, 5 + i);
  EXPECT_EQ(Positions(Follower(&view.changes(), 7).Read()), (std::vector<std::string>{"8", "9"}));
  EXPECT_EQ(Positions(Follower(&view.changes(), 9).Read()), (std::vector<std::string>{}));
  EXPECT_EQ(Positions(Follower(&view.changes(), 5).Read()), (std::vector<std::string>{"6", "7", "8", "9"}));
  EXPECT_EQ(Follower(&view.changes(), 4).Read(), std::vector<std::string>{"gone"});
}

// A task's commit may show before an older one of another task, and the position waits for that.
TEST(ViewChangesTest, ChangesAtOnePositionAreAllToldAndToldAgain) {
  SalesView view;
  view.changes().Begin({5, std::nullopt});
  Follower follower(&view.changes(), 5);
  view.Put({Sale("a", 1)}, 6);
  EXPECT_EQ(Positions(follower.Read()), std::vector<std::string>{"6"});
  view.Put({Sale("b", 1)}, 6);
  view.Put({Sale("c", 1)}, 9);
  EXPECT_EQ(Positions(follower.Read()), (std::vector<std::string>{"6", "9"}));
  EXPECT_EQ(Positions(Follower(&view.changes(), 6).Read()), (std::vector<std::string>{"6", "6", "9"}));
}

TEST(ViewChangesTest, WhoFallsBehindTheHistoryIsToldSoAndMemoryStaysBounded) {
  SalesView view;
  view.changes().Begin({0, std::nullopt});
  Follower slow(&view.changes(), 0);
  for (int i = 1; i <= 2'000; ++i) view.Put({Sale("a shop", i)}, i);
  EXPECT_LE(view.changes().bytes(), 64 << 10);
  EXPECT_EQ(slow.Read(), std::vector<std::string>{"gone"});
  EXPECT_EQ(Positions(Follower(&view.changes(), 1'999).Read()), std::vector<std::string>{"2000"});
}

TEST(ViewChangesTest, AnEndIsTheEndForWhoeverFollowsAlsoWhereAnotherHistoryBegins) {
  SalesView view;
  view.changes().Begin({0, std::nullopt});
  Follower follower(&view.changes(), 0);
  view.Put({Sale("a", 1)}, 1);
  follower.Read();
  view.changes().End();
  view.changes().Begin({7, std::nullopt});
  view.Put({Sale("b", 1)}, 8);
  EXPECT_EQ(follower.Read(), std::vector<std::string>{"gone"});
}

// Line breaks between the tokens of a json column would end the event's line.
TEST(ViewChangesTest, ARowIsOneLine) {
  SalesView view;
  view.changes().Begin({0, std::nullopt});
  Follower follower(&view.changes(), 0);
  view.Put({Sale("a\\nb", 1, "\"doc\":{\"x\":\n[1,\r\n2]}")}, 1);
  const std::vector<std::string> events = follower.Read();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_NE(events[0].find("a\\nb"), std::string::npos) << events[0];
}

}  // namespace
}  // namespace tidemark
