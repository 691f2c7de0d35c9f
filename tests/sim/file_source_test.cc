// Files of a folder over the simulated Kafka: each row of each version of each file is in its topic exactly once,
// whoever dies when, and each file ends where it belongs.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/mutation.h"
#include "tests/sim/files_world.h"

namespace tidemark::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(FileSource, AFileIsReadOnceAndMovedWhenItsRowsAreIn) {
  FilesWorld world(1);
  world.folder().Land("a/x.csv", "who,id\n,1\n\"Ann\nB\",2\r\n");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), "{\"id\":2,\"who\":\"Ann\\nB\"}"));
  EXPECT_THAT(world.folder().landing, IsEmpty());
  EXPECT_EQ(world.folder().processed.size(), 1u);
  world.folder().Land("a/x.csv", "who,id\n,1\n\"Ann\nB\",2\r\n");
  world.Boot(1);
  world.Run(1, 900);
  EXPECT_EQ(world.Values().size(), 2u) << "the same content under the same name";
  EXPECT_EQ(world.status(1).counts()["files_skipped"], 1);
  world.folder().Land("a/x.csv", "id\n3\n");
  world.Run(1, 900);
  EXPECT_EQ(world.Values().back(), Row(3)) << "another content is another version";
  EXPECT_EQ(world.status(1).counts()["files_of_new_versions"], 1);
  EXPECT_EQ(world.status(1).counts()["files_read"], 2);
  EXPECT_THAT(world.folder().landing, IsEmpty());
}

TEST(FileSource, BadRecordsAreDeadLettersWithFileAndLine) {
  FilesWorld world(2);
  world.folder().Land("x.csv", "id\n1\nseven\n\"2\nx\"\n3,4\n5\n");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(5)));
  const std::vector<std::string> letters = world.Letters();
  ASSERT_EQ(letters.size(), 3u);
  EXPECT_THAT(letters[0], HasSubstr("x.csv: line 3: column id: expected int64"));
  EXPECT_THAT(letters[1], HasSubstr("x.csv: line 4: column id"));
  EXPECT_THAT(letters[2], HasSubstr("x.csv: line 6: 2 cells where the header has 1"));
  EXPECT_EQ(world.status(0).refused(), 3);
}

TEST(FileSource, HowFarAheadARowIsTheTopicsReaderJudgesByItsArrival) {
  for (const char* time : {"{ expression: \"to_timestamp(id)\" }", "{ column: at }"}) {
    FilesWorld world(
        2, "whole: renamed, order: unordered", absl::StrCat("    event_time: ", time, "\n"),
        ", at: { type: timestamp, default: \"2026-01-01T00:00:00Z\" }, read: { type: timestamp, from: timestamp, "
        "nullable: true }");
    // Far ahead of the file's own time.
    world.folder().Land("x.json", "[{\"id\":1767225600},{\"id\":1767225601}]\n");
    world.Boot(0);
    world.Run(0, 300);
    EXPECT_THAT(world.Letters(), IsEmpty()) << time;
    EXPECT_EQ(world.Values().size(), 2u) << time;
  }
}

TEST(FileSource, AFileThatCantBeReadToItsEndGivesNoRowAtAll) {
  FilesWorld world(3);
  world.folder().Land("cut.csv", "id\n1\n2\n\"3");
  world.folder().Land("other.csv", "name\nx\n");
  world.folder().Land("a.xml", "<a/>");
  world.folder().Land("b.orc", "ORC");
  world.folder().Land("z.jsonl", std::string("\x1f\x8b", 2) + "no gzip");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), IsEmpty());
  std::string reasons;
  for (const auto& [name, reason] : world.folder().rejected) reasons += reason;
  EXPECT_THAT(reasons, HasSubstr("line 4: a quoted cell of the record that begins here has no end"));
  EXPECT_THAT(reasons, HasSubstr("the header has no column 'id'"));
  EXPECT_THAT(reasons, HasSubstr("the source doesn't say which `row` it has"));
  EXPECT_THAT(reasons, HasSubstr("the name doesn't tell it"));
  EXPECT_THAT(reasons, HasSubstr("damaged or cut off gzip"));
  EXPECT_EQ(world.status(0).counts()["files_rejected"], 5);
  // Sent again as it should be.
  world.folder().Land("cut.csv", "id\n1\n2\n3\n");
  world.Run(0, 900);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(3)));
}

TEST(FileSource, OneBadRecordRejectsTheFileWhereThatIsStated) {
  FilesWorld world(4, "whole: renamed, order: unordered, on_error: reject_file");
  world.folder().Land("x.csv", "id\n1\nseven\n");
  world.folder().Land("y.csv", "id\n2\n");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(2)));
  EXPECT_THAT(world.Letters(), IsEmpty());
  ASSERT_EQ(world.folder().rejected.size(), 1u);
  EXPECT_THAT(world.folder().rejected.begin()->second, HasSubstr("line 3: column id: expected int64"));
  EXPECT_EQ(world.status(0).counts()["records_of_rejected_files"], 2);
}

TEST(FileSource, AnOrderThatIsStatedIsKeptTo) {
  FilesWorld world(5, "whole: renamed, order: by_name");
  world.folder().Land("a/2.csv", "id\n2\n");
  world.folder().Land("a/1.csv", "id\n1\n");
  world.folder().Land("b/1.csv", "id\n10\n");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(10)));
  world.folder().Land("a/15.csv", "id\n15\n");
  world.folder().Land("a/3.csv", "id\n3\n");
  world.folder().Land("a/1.csv", "id\n100\n");
  world.Boot(1);
  world.Run(1, 900);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(10), Row(100), Row(3)));
  ASSERT_EQ(world.folder().rejected.size(), 1u);
  EXPECT_THAT(world.folder().rejected.begin()->second, HasSubstr("out of order: a/2.csv was read before"));
}

TEST(FileSource, ContentThatComesBackIsAnotherBatch) {
  FilesWorld world(9, "whole: renamed, order: unordered, partitions: 1", "",
                   ", batch: { type: string, from: \"header:tidemark.batch\" }");
  world.Boot(0);
  for (const char* id : {"1", "2", "1"}) {
    world.folder().Land("x.csv", absl::StrCat("id\n", id, "\n"));
    world.Run(0, 900);
  }
  const std::vector<std::string> batches = world.Headers("tidemark.batch");
  ASSERT_EQ(batches.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_THAT(batches[i], testing::StartsWith(absl::StrCat("x.csv@", i + 1, "-")));
  EXPECT_EQ(batches[0].substr(8), batches[2].substr(8)) << "of the same content";
}

TEST(FileSource, WhatWasReadIsKnownThoughAnotherVersionWasRejected) {
  FilesWorld world(8);
  world.folder().Land("x.csv", "id\n1\n");
  world.Boot(0);
  world.Run(0, 900);
  world.folder().Land("x.csv", "id\n\"2");
  world.Run(0, 900);
  world.folder().Land("x.csv", "id\n1\n");
  world.Run(0, 900);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
  EXPECT_EQ(world.status(0).counts()["files_rejected"], 1);
  EXPECT_EQ(world.status(0).counts()["files_skipped"], 1);
}

TEST(FileSource, UnchangedMeansForTwoLooks) {
  FilesWorld world(6, "whole: unchanged, order: unordered, look_every: 1s");
  world.Boot(0);
  for (int i = 0; i < 10; ++i) {
    world.folder().Land("x.csv", absl::StrCat("id\n", i, "\n"));
    world.Run(0, 20);
    world.clock().Advance(600 * kMillisecond);
  }
  EXPECT_THAT(world.Values(), IsEmpty()) << "it is still written";
  world.Run(0, 900);
  EXPECT_THAT(world.Values(), ElementsAre(Row(9)));
}

TEST(FileSource, AFileThatIsChangedUnderItsReaderEndsIt) {
  std::string large = "id\n";
  for (int i = 0; i < 5'000; ++i) absl::StrAppend(&large, i, "\n");
  for (const bool skip : {false, true}) {
    FilesWorld world(7, "whole: renamed, order: unordered", skip ? "    on_data_loss: skip\n" : "");
    world.folder().Land("x.csv", large);
    world.Boot(0);
    while (world.Values().empty()) ASSERT_TRUE(world.Step(0));
    world.folder().Land("x.csv", "id\n-1\n");
    world.Boot(1);
    if (!skip) {
      while (world.Step(1)) {
      }
      EXPECT_THAT(std::string(world.last_end().message()), HasSubstr("the file x.csv was changed while it was read"));
    } else {
      world.Run(1, 900);
      EXPECT_EQ(world.Values().back(), Row(-1));
      EXPECT_EQ(world.status(1).counts()["files_broken"], 1);
    }
  }
}

std::multiset<std::string> CopiesOf(FilesWorld& world) {
  std::multiset<std::string> contents;
  for (const auto& [name, bytes] : world.lake().Files()) {
    EXPECT_THAT(name, ::testing::MatchesRegex("date=1970-01-01/f[0-9]~[0-9a-f]+\\.csv")) << "nothing else is left";
    contents.insert(bytes);
  }
  return contents;
}

// A lake that fails before and after each of its calls, loses power, and three workers that die and believe too long to
// be the reader: when all is through, each content that came is there once, and no part of one.
bool EachContentThatWasReadHasItsCopy(uint64_t seed) {
  FilesWorld world(seed, "whole: renamed, order: unordered, look_every: 100ms, archive: kept");
  SimRandom& random = world.random();
  SimFaults& faults = world.cluster().faults();
  faults.unavailable = 0.02;
  faults.commit_unknown = 0.05;
  faults.commit_aborted = 0.05;
  faults.crash = 0.01;
  world.folder().away = 0.05;
  double away = 0.1;
  world.lake().SetFaults([&](MemoryObjectStore::Call, const std::string&, bool) {
    return random.Chance(away) ? absl::UnavailableError("the lake is away") : absl::OkStatus();
  });
  std::multiset<std::string> expected;
  int64_t next_id = 0;
  for (int turn = 0; turn < 600; ++turn) {
    const int worker = static_cast<int>(random.Below(3));
    if (!world.Booted(worker) || random.Below(80) == 0) world.Boot(worker);
    const std::string name = absl::StrCat("f", random.Below(4), ".csv");
    if (turn % 10 == 0 && !world.folder().landing.contains(name)) {
      std::string text = "id\n";
      for (int64_t i = 1 + static_cast<int64_t>(random.Below(3000)); i > 0; --i)
        absl::StrAppend(&text, next_id++, "\n");
      expected.insert(text);
      world.folder().Land(name, text);
    }
    if (random.Below(40) == 0) world.lake().Crash();
    if (random.Below(30) == 0) world.clock().Advance(static_cast<int64_t>(random.Below(12)) * kSecond);
    world.Step(worker);
    EXPECT_TRUE(world.last_end().ok()) << world.last_end();
  }
  away = 0;
  world.RunCalmly(3000);
  // What the last owner's predecessors have left goes with the next copy.
  world.folder().Land("f0.csv", "id\n-1\n");
  expected.insert("id\n-1\n");
  world.Run(0, 3000);
  EXPECT_THAT(world.folder().landing, IsEmpty());
  EXPECT_EQ(world.Values().size(), static_cast<size_t>(next_id + 1));
  return CopiesOf(world) == expected;
}

TEST(FileSource, EachContentThatWasReadHasItsCopyWhateverFails) {
  for (uint64_t seed = 1; seed <= 10; ++seed) EXPECT_TRUE(EachContentThatWasReadHasItsCopy(seed)) << "seed " << seed;
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST(FileSource, AFileThatIsReadWithoutItsCopyIsFound) {
  SetMutation(Mutation::kFileReadWithoutItsCopy, true);
  bool found = false;
  for (uint64_t seed = 1; seed <= 20 && !found; ++seed) found = !EachContentThatWasReadHasItsCopy(seed);
  SetMutation(Mutation::kFileReadWithoutItsCopy, false);
  EXPECT_TRUE(found);
}
#endif

// A folder into which files come, come again and come as others, and three workers of which each may believe to be the
// one that reads it; a folder and brokers that fail.
TEST(FileSource, EachRowOfEachVersionIsInExactlyOnceWhateverFails) {
  int64_t ended = 0, skipped = 0, versions = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    FilesWorld world(seed, "whole: renamed, order: unordered, partitions: 3, look_every: 100ms");
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.unavailable = 0.02;
    faults.lost_answer = 0.01;
    faults.commit_unknown = 0.05;
    faults.commit_aborted = 0.05;
    faults.crash = 0.005;
    world.folder().away = 0.05;
    std::map<std::string, std::string> newest;  // content by name
    std::vector<std::string> expected;
    size_t letters = 0;
    int64_t next_id = 0;
    for (int turn = 0; turn < 1200; ++turn) {
      const int worker = static_cast<int>(random.Below(3));
      if (!world.Booted(worker) || random.Below(150) == 0) world.Boot(worker);
      const std::string name = absl::StrCat("f", random.Below(6), random.Below(2) == 0 ? ".csv" : ".jsonl");
      if (turn % 10 == 0 && !world.folder().landing.contains(name)) {
        if (newest.contains(name) && random.Below(4) == 0) {
          world.folder().Land(name, newest[name]);
        } else {
          const bool csv = name.ends_with(".csv");
          std::string text = csv ? "id\n" : "";
          for (int64_t i = 1 + static_cast<int64_t>(random.Below(30)); i > 0; --i) {
            if (random.Below(20) == 0) {
              absl::StrAppend(&text, "x", next_id++, "\n");
              ++letters;
              continue;
            }
            expected.push_back(Row(next_id));
            absl::StrAppend(&text, csv ? absl::StrCat(next_id) : Row(next_id), "\n");
            ++next_id;
          }
          world.folder().Land(name, text);
          newest[name] = text;
        }
      }
      if (random.Below(30) == 0) world.clock().Advance(static_cast<int64_t>(random.Below(12)) * kSecond);
      if (!world.Step(worker)) ++ended;
      ASSERT_TRUE(world.last_end().ok()) << world.last_end();
    }
    world.RunCalmly(3000);
    EXPECT_THAT(world.folder().landing, IsEmpty());
    std::vector<std::string> values = world.Values();
    std::sort(values.begin(), values.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(values, expected);
    ASSERT_EQ(world.Letters().size(), letters);
    EXPECT_EQ(world.status(0).rows(), static_cast<int64_t>(expected.size()));
    EXPECT_EQ(world.status(0).refused(), static_cast<int64_t>(letters));
    skipped += world.status(0).counts()["files_skipped"];
    versions += world.status(0).counts()["files_of_new_versions"];
  }
  EXPECT_GT(ended, 100);
  EXPECT_GT(skipped, 100);
  EXPECT_GT(versions, 300);
}

}  // namespace
}  // namespace tidemark::sim
