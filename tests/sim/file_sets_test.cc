// Sets of files that a manifest names: each is in its topic as a whole, once, or not at all, whoever dies when, and
// each file ends where it belongs.
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

#include "tests/sim/files_world.h"

namespace tidemark::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kSets[] =
    "whole: renamed, order: unordered, look_every: 100ms, manifest: { name: \"*.manifest\", deadline: 5s }";

void LandNow(FilesWorld& world, const std::string& name, const std::string& text) {
  world.folder().clock_ns = world.clock().WallUs() * 1000;
  world.folder().Land(name, text);
}

std::string ManifestOf(const std::map<std::string, std::string>& files, int64_t rows_more = 0) {
  std::vector<std::string> entries;
  for (const auto& [name, text] : files) {
    const auto rows = std::count(text.begin(), text.end(), '\n') - 1 + rows_more;
    entries.push_back(absl::StrCat("{\"name\":\"", name, "\",\"bytes\":", text.size(), ",\"rows\":", rows, "}"));
  }
  return absl::StrCat("{\"files\":[", absl::StrJoin(entries, ","), "]}");
}

TEST(FileSets, AreReadWhenAllTheirFilesAreThereAndMovedAsAWhole) {
  FilesWorld world(1, kSets, "", ", set: { type: string, from: \"header:tidemark.batch\" }");
  world.Boot(0);
  const std::map<std::string, std::string> files = {{"a.csv", "id\n1\n2\n"}, {"in/b.csv", "id\n3\n"}};
  LandNow(world, "x/a.csv", files.at("a.csv"));
  LandNow(world, "x/day.manifest", ManifestOf(files));
  world.Run(0, 200);
  EXPECT_THAT(world.Values(), IsEmpty()) << "a file is missing";
  LandNow(world, "x/in/b.csv", files.at("in/b.csv"));
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(3)));
  EXPECT_THAT(world.Headers("tidemark.file"), ElementsAre("x/a.csv", "x/a.csv", "x/in/b.csv"));
  const std::vector<std::string> batches = world.Headers("tidemark.batch");
  EXPECT_EQ(std::set<std::string>(batches.begin(), batches.end()).size(), 1u) << "one batch";
  EXPECT_THAT(world.Headers("tidemark.rows"), ElementsAre("3", "3", "3"));
  EXPECT_THAT(world.folder().landing, IsEmpty());
  EXPECT_EQ(world.folder().processed.size(), 3u);
  EXPECT_EQ(world.status(0).counts()["files_read"], 1);
}

TEST(FileSets, WhatIsntWholeByItsDeadlineOrIsntWhatTheManifestSaysIsRejectedWhole) {
  FilesWorld world(2, kSets);
  world.Boot(0);
  LandNow(world, "late/a.csv", "id\n1\n");
  LandNow(world, "late/x.manifest", ManifestOf({{"a.csv", "id\n1\n"}, {"b.csv", "id\n2\n"}}));
  LandNow(world, "rows/a.csv", "id\n1\n");
  LandNow(world, "rows/x.manifest", ManifestOf({{"a.csv", "id\n1\n"}}, 1));
  LandNow(world, "sum/a.csv", "id\n1\n");
  LandNow(world, "sum/x.manifest",
          absl::StrCat("{\"files\":[{\"name\":\"a.csv\",\"sha256\":\"", std::string(64, '0'), "\"}]}"));
  LandNow(world, "odd/x.manifest", "{\"files\":[{\"name\":\"../a.csv\",\"bytes\":1}]}");
  LandNow(world, "odd/y.manifest", "{\"files\":[{\"name\":\"a.csv\",\"md5\":\"00\"}]}");
  LandNow(world, "orphan.csv", "id\n9\n");
  world.Run(0, 300);
  EXPECT_EQ(world.folder().rejected.size(), 6u) << "all but the late one";
  world.clock().Advance(6 * kSecond);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), IsEmpty());
  std::string reasons;
  for (const auto& [name, reason] : world.folder().rejected) reasons += reason;
  EXPECT_THAT(reasons, HasSubstr("not whole by its deadline: the file late/b.csv isn't there"));
  EXPECT_THAT(reasons, HasSubstr("rows/a.csv: it has 1 records, and is to have 2"));
  EXPECT_THAT(reasons, HasSubstr("sum/a.csv: its sha256 is "));
  EXPECT_THAT(reasons, HasSubstr("'../a.csv', which is no name of a file in its folder or below"));
  EXPECT_THAT(reasons, HasSubstr("md5"));
  EXPECT_EQ(world.status(0).counts()["files_rejected"], 5);
  EXPECT_EQ(world.folder().landing.size(), 1u) << "what no manifest names waits";
}

TEST(FileSets, AFileIsOfOneSet) {
  FilesWorld world(3, kSets);
  world.Boot(0);
  const std::map<std::string, std::string> files = {{"a.csv", "id\n1\n"}};
  LandNow(world, "a.csv", files.at("a.csv"));
  LandNow(world, "x.manifest", ManifestOf(files));
  world.Run(0, 300);
  LandNow(world, "a.csv", files.at("a.csv"));
  LandNow(world, "y.manifest", ManifestOf(files));
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
  ASSERT_EQ(world.folder().rejected.size(), 2u);
  EXPECT_THAT(world.folder().rejected.begin()->second, HasSubstr("the file a.csv was read before, with x.manifest"));
  LandNow(world, "a.csv", files.at("a.csv"));
  LandNow(world, "x.manifest", ManifestOf(files));
  world.Run(0, 300);
  EXPECT_EQ(world.status(0).counts()["files_skipped"], 1) << "the same set again";
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
}

// A producer that tries again lists its files in another order, or counts their rows.
TEST(FileSets, TheSameSetIsSkippedHoweverItsManifestIsWritten) {
  FilesWorld world(4, kSets);
  world.Boot(0);
  const auto land = [&](const std::string& manifest) {
    LandNow(world, "a.csv", "id\n1\n");
    LandNow(world, "b.csv", "id\n2\n");
    LandNow(world, "x.manifest", manifest);
    world.Run(0, 300);
  };
  land(R"({"files":[{"name":"a.csv","bytes":5},{"name":"b.csv","bytes":5}]})");
  const std::vector<std::string> once = {Row(1), Row(2)};
  EXPECT_EQ(world.Values(), once);
  land(R"({"files":[{"name":"b.csv","bytes":5},{"name":"a.csv","bytes":5}]})");
  land(R"({"rows":2,"files":[{"name":"a.csv","bytes":5,"rows":1},{"name":"b.csv","bytes":5}]})");
  world.Boot(1);
  LandNow(world, "a.csv", "id\n1\n");
  LandNow(world, "x.manifest", R"({"files":[{"name":"a.csv","bytes":5}]})");
  world.Run(1, 300);
  EXPECT_EQ(world.Values(), once);
  EXPECT_EQ(world.status(1).counts()["files_skipped"], 3);
  EXPECT_THAT(world.folder().rejected, IsEmpty());
  EXPECT_THAT(world.folder().landing, IsEmpty());
}

TEST(FileSets, AnotherVersionOfASetHasOtherFilesOrIsRejected) {
  FilesWorld world(5, kSets);
  world.Boot(0);
  LandNow(world, "a.csv", "id\n1\n");
  LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n1\n"}}));
  world.Run(0, 300);
  LandNow(world, "a.csv", "id\n1\n");
  LandNow(world, "b.csv", "id\n2\n");
  LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n1\n"}, {"b.csv", "id\n2\n"}}));
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
  ASSERT_EQ(world.folder().rejected.size(), 3u);
  EXPECT_THAT(world.folder().rejected.begin()->second, HasSubstr("the file a.csv was read before, with x.manifest"));
  LandNow(world, "a.csv", "id\n3\n");
  LandNow(world, "b.csv", "id\n2\n");
  LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n3\n"}, {"b.csv", "id\n2\n"}}));
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(3), Row(2)));
}

// `cp -p` and `rsync -a` bring yesterday's times.
TEST(FileSets, TheDeadlineOfAnOldManifestCountsFromWhenItIsSeen) {
  FilesWorld world(6, kSets);
  world.clock().Advance(24 * 3600 * kSecond);
  world.Boot(0);
  const std::map<std::string, std::string> files = {{"a.csv", "id\n1\n"}};
  world.folder().Land("x.manifest", ManifestOf(files));  // of 1970
  world.Run(0, 100);
  EXPECT_THAT(world.folder().rejected, IsEmpty());
  world.folder().Land("a.csv", files.at("a.csv"));
  world.Run(0, 100);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
  world.folder().Land("y.manifest", ManifestOf({{"b.csv", "id\n1\n"}}));
  world.Run(0, 100);
  world.clock().Advance(6 * kSecond);
  world.Run(0, 100);
  EXPECT_EQ(world.folder().rejected.size(), 1u);
}

// What is noted of sets that aren't whole yet, by the last note of each key: how many.
size_t Awaited(FilesWorld& world) {
  size_t awaited = 0;
  for (const auto& [key, value] : world.Notes()) awaited += value && key.find('\0') != std::string::npos ? 1 : 0;
  return awaited;
}

TEST(FileSets, ADeadlineIsOneHoweverOftenAWorkerTakesOver) {
  FilesWorld world(8, kSets);
  const int64_t landed_us = world.clock().WallUs();
  LandNow(world, "a.csv", "id\n1\n");
  LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n1\n"}, {"b.csv", "id\n2\n"}}));
  while (world.folder().rejected.empty() && world.clock().WallUs() < landed_us + 20 * kSecond) {
    const int worker = world.Booted(0) ? 1 : 0;
    world.Boot(worker);
    world.cluster().Kill(1 - worker);
    world.Run(worker, 50);
    EXPECT_EQ(Awaited(world), world.folder().rejected.empty() ? 1u : 0u);
    world.clock().Advance(kSecond);
  }
  EXPECT_EQ(world.folder().rejected.size(), 2u);
  EXPECT_LT(world.clock().WallUs(), landed_us + 8 * kSecond);
  EXPECT_EQ(Awaited(world), 0u);
}

TEST(FileSets, ASetIsAwaitedUntilItIsDecidedOrItsManifestGoes) {
  FilesWorld world(9, kSets);
  world.Boot(0);
  LandNow(world, "gone/x.manifest", ManifestOf({{"a.csv", "id\n1\n"}}));
  LandNow(world, "whole/x.manifest", ManifestOf({{"a.csv", "id\n2\n"}}));
  world.Run(0, 100);
  EXPECT_EQ(Awaited(world), 2u);
  world.folder().landing.erase("gone/x.manifest");
  world.Run(0, 100);
  EXPECT_EQ(Awaited(world), 1u);
  LandNow(world, "whole/a.csv", "id\n2\n");
  world.Run(0, 100);
  EXPECT_EQ(Awaited(world), 0u);
  EXPECT_THAT(world.Values(), ElementsAre(Row(2)));
  // Another manifest of the name has a time of its own.
  LandNow(world, "again/x.manifest", ManifestOf({{"a.csv", "id\n3\n"}}));
  world.Run(0, 50);
  world.clock().Advance(2500 * kMillisecond);
  LandNow(world, "again/x.manifest", ManifestOf({{"b.csv", "id\n3\n"}}));
  world.Run(0, 20);
  world.clock().Advance(2500 * kMillisecond);
  world.Run(0, 20);
  EXPECT_THAT(world.folder().rejected, IsEmpty());
}

// Workers that die all the time, brokers and a folder that fail: a set that never gets whole is rejected in time.
TEST(FileSets, WhatNeverGetsWholeIsRejectedInTimeWhateverFails) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    FilesWorld world(seed, kSets);
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.unavailable = 0.01;
    faults.lost_answer = 0.01;
    faults.commit_unknown = 0.05;
    faults.commit_aborted = 0.05;
    faults.crash = 0.005;
    const int64_t landed_us = world.clock().WallUs();
    LandNow(world, "x.manifest", ManifestOf({{"a.csv", "id\n1\n"}}));
    while (world.folder().rejected.empty() && world.clock().WallUs() < landed_us + 60 * kSecond) {
      const int worker = static_cast<int>(random.Below(2));
      if (!world.Booted(worker) || random.Below(30) == 0) world.Boot(worker);
      if (random.Below(20) == 0) world.clock().Advance(kSecond);
      world.Step(worker);
      ASSERT_TRUE(world.last_end().ok()) << world.last_end();
    }
    EXPECT_EQ(world.folder().rejected.size(), 1u);
    EXPECT_LT(world.clock().WallUs(), landed_us + 12 * kSecond);
  }
}

// In one transaction or one after the other, and whoever moves them.
TEST(FileSets, AFileThatWasReadIsNotFiledAsRejected) {
  for (const bool together : {true, false}) {
    FilesWorld world(7, kSets);
    world.Boot(0);
    LandNow(world, "f.csv", "id\n1\n");
    if (together) LandNow(world, "a.manifest", ManifestOf({{"f.csv", "id\n1\n"}}, 1));  // counts wrongly
    LandNow(world, "b.manifest", ManifestOf({{"f.csv", "id\n1\n"}}));
    LandNow(world, "c.manifest", ManifestOf({{"f.csv", "id\n1\n"}}));
    world.Run(0, 300);
    EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
    EXPECT_THAT(world.folder().landing, IsEmpty());
    EXPECT_EQ(world.folder().processed.size(), 2u) << "the file, and its manifest";
    for (const auto& [name, reason] : world.folder().rejected) EXPECT_THAT(name, HasSubstr(".manifest~"));
  }
}

// Three workers that die and believe too long to be the reader, a folder and brokers that fail: the rows of each set
// are in once each, or none is, and its files lie where it belongs.
TEST(FileSets, EachIsInWholeExactlyOnceOrNotAtAllWhateverFails) {
  int64_t read = 0, rejected = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    FilesWorld world(seed, kSets);
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.unavailable = 0.02;
    faults.lost_answer = 0.01;
    faults.commit_unknown = 0.05;
    faults.commit_aborted = 0.05;
    faults.crash = 0.005;
    world.folder().away = 0.05;
    std::vector<std::string> expected;
    int64_t next_id = 0;
    size_t bad = 0, sets = 0;
    for (int turn = 0; turn < 600; ++turn) {
      const int worker = static_cast<int>(random.Below(3));
      if (!world.Booted(worker) || random.Below(100) == 0) world.Boot(worker);
      if (turn % 20 == 0 && turn < 500) {
        const bool wrong = random.Below(4) == 0;
        std::map<std::string, std::string> files;
        for (uint64_t f = 1 + random.Below(3); f > 0; --f) {
          std::string text = "id\n";
          for (uint64_t i = 1 + random.Below(900); i > 0; --i) {
            if (!wrong) expected.push_back(Row(next_id));
            absl::StrAppend(&text, next_id++, "\n");
          }
          files[absl::StrCat("f", f, ".csv")] = text;
        }
        const std::string folder = absl::StrCat("s", sets++, "/");
        LandNow(world, folder + "x.manifest", ManifestOf(files, wrong ? 1 : 0));
        for (const auto& [name, text] : files) LandNow(world, folder + name, text);
        bad += wrong ? 1 : 0;
      }
      if (random.Below(30) == 0) world.clock().Advance(static_cast<int64_t>(random.Below(3)) * kSecond);
      world.Step(worker);
      ASSERT_TRUE(world.last_end().ok()) << world.last_end();
    }
    world.RunCalmly(2000);
    EXPECT_THAT(world.folder().landing, IsEmpty());
    std::vector<std::string> values = world.Values();
    std::sort(values.begin(), values.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(values, expected);
    EXPECT_EQ(world.status(0).counts()["files_rejected"], static_cast<int64_t>(bad));
    read += world.status(0).counts()["files_read"];
    rejected += static_cast<int64_t>(bad);
  }
  EXPECT_GT(read, 300);
  EXPECT_GT(rejected, 50);
}

}  // namespace
}  // namespace tidemark::sim
