#include "src/runtime/input_log.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

SourcePlan Source(bool skip) {
  SourcePlan source;
  source.name = "s";
  source.topic = "t";
  source.skip_lost = skip;
  return source;
}

// Where a source with `skip` goes on, and what `stop` says of it.
struct Answer {
  ContinueAt skip;
  absl::Status stop;
};
Answer Ask(Offset position, const std::string& topic_id, const InputLog& log) {
  return {ContinueSource(Source(true), 3, position, topic_id, log).value(),
          ContinueSource(Source(false), 3, position, topic_id, log).status()};
}

bool Says(const absl::Status& status, const std::string& text) {
  return std::string(status.message()).find(text) != std::string::npos;
}

TEST(InputLog, APositionWithinTheLogIsTheTasksOwn) {
  for (const Offset position : {10, 15, 20}) {
    for (const char* id : {"a", ""}) {
      const Answer answer = Ask(position, id, {"a", 10, 20});
      EXPECT_TRUE(answer.stop.ok()) << answer.stop;
      EXPECT_EQ(answer.skip.position, position);
      EXPECT_EQ(answer.skip.what, "");
    }
  }
}

TEST(InputLog, ALogTrimmedPastThePositionSaysHowMuchIsGoneAndTheWayOn) {
  const Answer answer = Ask(100, "a", {"a", 150, 200});
  EXPECT_TRUE(absl::IsOutOfRange(answer.stop)) << answer.stop;
  for (const char* text :
       {"source s", "t-3", "[150, 200)", "position 100", "50 offsets are gone", "on_data_loss: skip"}) {
    EXPECT_TRUE(Says(answer.stop, text)) << text << ": " << answer.stop;
  }
  EXPECT_EQ(answer.skip.position, 150);
  EXPECT_EQ(answer.skip.lost, 50);
}

TEST(InputLog, AnOldOffsetOfAnotherTopicIsNeverReadOnFromWhereverItLies) {
  for (const Offset position : {0, 5, 100, 300}) {
    const Answer answer = Ask(position, "a", {"b", 5, 200});
    EXPECT_TRUE(absl::IsFailedPrecondition(answer.stop)) << answer.stop;
    EXPECT_TRUE(Says(answer.stop, "deleted and made again")) << answer.stop;
    EXPECT_EQ(answer.skip.position, 5);
  }
}

TEST(InputLog, BehindALogThatWasCutOffTheIdTellsWhetherItsEndOrItsBeginningIsNext) {
  EXPECT_TRUE(absl::IsOutOfRange(Ask(100, "a", {"a", 5, 50}).stop));
  EXPECT_EQ(Ask(100, "a", {"a", 5, 50}).skip.position, 50);
  EXPECT_EQ(Ask(100, "", {"a", 5, 50}).skip.position, 5);
  EXPECT_EQ(Ask(100, "a", {"", 5, 50}).skip.position, 5);
}

TEST(InputLog, WhereTheLeaderIsAwayOnlyTheIdIsLookedAt) {
  const InputLog same{"a", -1, -1}, another{"b", -1, -1};
  EXPECT_EQ(ContinueSource(Source(false), 3, 100, "a", same)->position, 100);
  EXPECT_TRUE(absl::IsUnavailable(ContinueSource(Source(true), 3, 100, "a", another).status()));
  EXPECT_TRUE(CheckInternalLog({"i", 0}, 100, "a", same).ok());
}

TEST(InputLog, NothingOfAnInternalTopicMayBeGone) {
  EXPECT_TRUE(CheckInternalLog({"i", 0}, 10, "a", {"a", 10, 20}).ok());
  EXPECT_TRUE(CheckInternalLog({"i", 0}, 20, "", {"a", 10, 20}).ok());
  for (const Offset position : {9, 21}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(CheckInternalLog({"i", 0}, position, "a", {"a", 10, 20})));
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckInternalLog({"i", 0}, 15, "a", {"b", 10, 20})));
}

TEST(SourceLosses, AreCountedBySourceAndShownBeforeTheFirst) {
  SourceLosses losses;
  losses.Declare("s");
  losses.Declare("t");
  losses.Add("s", 0, 100, 50);
  losses.Add("s", 0, 100, 50);  // the same once more: its commit was aborted
  losses.Add("s", 1, 100, 0);
  EXPECT_EQ(losses.Get().at("s").records, 50);
  EXPECT_EQ(losses.Get().at("s").skips, 2);
  EXPECT_EQ(losses.Get().at("t").skips, 0);
}

}  // namespace
}  // namespace tidemark
