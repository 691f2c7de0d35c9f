// The Parquet sink on its feed, driven by its thread over the simulated Kafka and a lake in memory whose every call may
// fail, before its effect or after. One claim in all: whatever fails and whatever comes next, a reader of the lake ends
// up with every row of the feed once, and no final error is made of a lake that is only away.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/codec/packed_rows.h"
#include "src/runtime/parquet_feed_sink.h"
#include "src/runtime/topics.h"
#include "src/storage/memory_store.h"
#include "tests/sim/sink_world.h"

namespace tidemark::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Call = MemoryObjectStore::Call;

// A process's own handle on a lake that outlives it.
class SharedLake final : public ObjectStore {
 public:
  explicit SharedLake(MemoryObjectStore* lake) : lake_(lake) {}
  std::string_view path() const override { return lake_->path(); }
  size_t max_open_files() const override { return lake_->max_open_files(); }
  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) override {
    return lake_->Create(name);
  }
  absl::Status Sync(const std::string& name) override { return lake_->Sync(name); }
  absl::Status Move(const std::string& from, const std::string& to) override { return lake_->Move(from, to); }
  absl::StatusOr<bool> Exists(const std::string& name) override { return lake_->Exists(name); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) override {
    return lake_->List(folder, prefix);
  }
  absl::Status Delete(const std::string& name) override { return lake_->Delete(name); }

 private:
  MemoryObjectStore* const lake_;
};

// The world of a sink thread with a lake that outlives its processes.
class World : public SinkWorld {
 public:
  explicit World(const std::string& sink = "parquet: { path: /simulated, max_age: 1s }")
      : SinkWorld(sink, [this](const Runtime& runtime) {
          return std::make_unique<ParquetFeedSink>(runtime, 0,
                                                   [this]() -> absl::StatusOr<std::unique_ptr<ObjectStore>> {
                                                     return std::make_unique<SharedLake>(&lake_);
                                                   });
        }) {
    EXPECT_TRUE(Boot().ok());
  }
  ~World() { Destroy(); }

  // The ids of all files that a *.parquet glob sees, sorted. A file that can't be read shows as -1.
  std::vector<int64_t> Ids() const {
    std::vector<int64_t> ids;
    for (const auto& [name, bytes] : lake_.Files()) {
      if (!absl::EndsWith(name, ".parquet")) continue;
      auto reader = parquet::arrow::OpenFile(
          std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes)), arrow::default_memory_pool());
      const auto table = reader.ok() ? (*reader)->ReadTable() : reader.status();
      if (!table.ok()) {
        ids.push_back(-1);
        continue;
      }
      for (const auto& chunk : (*table)->GetColumnByName("id")->chunks()) {
        const auto& values = static_cast<const arrow::Int64Array&>(*chunk);
        for (int64_t i = 0; i < values.length(); ++i) ids.push_back(values.Value(i));
      }
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  // Goes on until all that was fed is there, or long enough for every pause to be over.
  absl::Status Settle() {
    for (int i = 0; i < 20 && Ids() != fed(); ++i) TM_RETURN_IF_ERROR(Turns(20));
    return absl::OkStatus();
  }
  TopicPartition manifests(int32_t partition) const {
    return {plan().application.ManifestTopic(plan().sinks[0].name), partition};
  }

  MemoryObjectStore lake_;
  MemoryObjectStore elsewhere_;
};

bool IsMark(const std::string& name) { return absl::EndsWith(name, ".mark"); }

// Of files of one partition only: "out-<identity>-<partition>-...".
bool IsOf(const std::string& name, int32_t partition) {
  const size_t at = name.find("out-");
  return at != std::string::npos && absl::StartsWith(name.substr(at + 12), absl::StrCat("-", partition, "-"));
}

TEST(ParquetFeedSinkTest, RowsOfBothPartitionsStandInTheLakeOnce) {
  World world;
  for (int i = 0; i < 4; ++i) {
    world.Feed(0, 10);
    world.Feed(1, 5);
    ASSERT_TRUE(world.Turns(25).ok());
  }
  ASSERT_TRUE(world.Turns(40).ok());
  EXPECT_EQ(world.Ids(), world.fed());
  EXPECT_EQ(world.thread().status().rows, 60);
  EXPECT_EQ(world.thread().status().last_error, "");
}

TEST(ParquetFeedSinkTest, AFeedThatLacksItsFirstRecordIsNotWrittenAsIfItWereWhole) {
  World world;
  world.Lose(1);
  world.Feed(1, 5);
  const absl::Status status = world.Turns(60);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("1 records are missing"));
}

TEST(ParquetFeedSinkTest, WhatWasHeardIsKeptWithThePosition) {
  World world;
  world.Feed(0, 5);
  ASSERT_TRUE(world.Turns(60).ok());
  ASSERT_EQ(world.Ids(), world.fed());
  ASSERT_TRUE(world.Boot().ok());
  world.Feed(0, 5);
  ASSERT_TRUE(world.Turns(60).ok());
  ASSERT_EQ(world.Ids(), world.fed());
  world.Lose(0);
  ASSERT_TRUE(world.Boot().ok());
  world.Feed(0, 5);
  const absl::Status status = world.Turns(60);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("was number 2, so 3 is expected, but this is number 4"));
}

#ifdef TIDEMARK_WITH_MUTATIONS
// A deliberate defect, while it lives.
class Mutated {
 public:
  explicit Mutated(Mutation mutation) : mutation_(mutation) { SetMutation(mutation_, true); }
  ~Mutated() { SetMutation(mutation_, false); }

 private:
  const Mutation mutation_;
};
#endif

// One partition's uploads fail for a while, and the other's don't. True: all rows are there once.
bool OneUploadFails() {
  World world;
  world.Feed(0, 500);
  world.Feed(1, 500);
  bool away = true;
  world.lake_.SetFaults([&](Call call, const std::string& name, bool) {
    return away && call == Call::kClose && IsOf(name, 1) ? absl::UnavailableError("503") : absl::OkStatus();
  });
  if (!world.Turns(200).ok()) return false;
  EXPECT_THAT(world.thread().status().last_error, HasSubstr("503"));
  away = false;
  return world.Settle().ok() && world.Ids() == world.fed();
}

TEST(ParquetFeedSinkTest, AFailedUploadOfOnePartitionTakesNothingFromTheOthers) { EXPECT_TRUE(OneUploadFails()); }

// Every call of a run fails once, before its effect or after; then the run goes on, or stops and another process comes,
// or the partitions go and come back.
TEST(ParquetFeedSinkTest, ACallThatFailsOnceLosesAndDoublesNothingWhateverComesNext) {
  enum class Next { kGoOn, kStop, kCrash };
  int faults = 0;
  for (const Next next : {Next::kGoOn, Next::kStop, Next::kCrash}) {
    for (const bool after : {false, true}) {
      for (int fail_at = 0;; ++fail_at) {
        World world;
        int calls = 0;
        bool failed = false;
        world.lake_.SetFaults([&](Call, const std::string& name, bool is_after) -> absl::Status {
          if (is_after != after || calls++ != fail_at) return absl::OkStatus();
          failed = true;
          return absl::ResourceExhaustedError(absl::StrCat("no space for ", name));
        });
        const std::string where =
            absl::StrCat("call ", fail_at, after ? " after" : " before", ", then ", static_cast<int>(next));
        bool reacted = false;
        for (int i = 0; i < 60; ++i) {
          if (i % 20 == 0) {
            world.Feed(0, 3);
            world.Feed(1, 2);
          }
          ASSERT_TRUE(world.Turns(1).ok()) << where;
          if (!failed || reacted || next == Next::kGoOn) continue;
          reacted = true;
          if (next == Next::kCrash) world.cluster().Kill(0);
          ASSERT_TRUE(next == Next::kCrash || world.thread().Stop(false).ok()) << where;
          ASSERT_TRUE(world.Boot().ok()) << where;
        }
        ASSERT_TRUE(world.Settle().ok()) << where;
        EXPECT_EQ(world.Ids(), world.fed()) << where;
        for (const auto& [name, bytes] : world.lake_.Files()) {
          EXPECT_TRUE(absl::EndsWith(name, ".parquet") || IsMark(name)) << name << " is left, " << where;
        }
        if (!failed) break;
        ++faults;
      }
    }
  }
  EXPECT_GT(faults, 100);
}

// The lake is full, has room again, and the process is told to stop before it has noticed. True: all rows are there
// once in the end, and every file can be read.
bool FullThenStopped() {
  World world;
  world.Feed(0, 300);
  bool full = true;
  world.lake_.SetFaults([&](Call call, const std::string&, bool) {
    return full && call == Call::kWrite ? absl::ResourceExhaustedError("No space left on device") : absl::OkStatus();
  });
  if (!world.Turns(200).ok()) return false;
  full = false;
  world.thread().Stop(false).IgnoreError();
  return world.Boot().ok() && world.Settle().ok() && world.Ids() == world.fed();
}

TEST(ParquetFeedSinkTest, ALakeWithoutRoomIsWaitedForAndNothingOfTheFailedFileIsPublished) {
  EXPECT_TRUE(FullThenStopped());
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST(ParquetFeedSinkTest, WhatThatIsWorthShowsWhereTheDefectIsPutBack) {
  {
    const Mutated defect(Mutation::kManifestDroppedAfterOneFailure);
    EXPECT_FALSE(OneUploadFails());
  }
  const Mutated defect(Mutation::kCutAfterFailedWrite);
  EXPECT_FALSE(FullThenStopped());
}
#endif

TEST(ParquetFeedSinkTest, WhatIsDecidedIsOnlyMovedAndRowsAreTakenMeanwhile) {
  World world;
  world.Feed(0, 10);
  bool away = true;
  int creates = 0;
  world.lake_.SetFaults([&](Call call, const std::string& name, bool after) {
    creates += call == Call::kCreate && !after && !IsMark(name) ? 1 : 0;
    return away && call == Call::kMove ? absl::UnavailableError("refused") : absl::OkStatus();
  });
  ASSERT_TRUE(world.Turns(100).ok());
  EXPECT_EQ(creates, 1);
  EXPECT_FALSE(world.thread().settled());  // though the group's offsets say that all is done
  EXPECT_THAT(world.thread().status().last_error, HasSubstr("refused"));
  EXPECT_THAT(world.Ids(), SizeIs(0));
  world.Feed(0, 10);
  ASSERT_TRUE(world.Turns(100).ok());
  away = false;
  ASSERT_TRUE(world.Settle().ok());
  EXPECT_EQ(creates, 2);
  EXPECT_EQ(world.Ids(), world.fed());
  EXPECT_TRUE(world.thread().settled());
}

// A process that ended between a decision and its moves leaves them to the next, which is not done before it looked.
TEST(ParquetFeedSinkTest, AProcessIsNotSettledBeforeItHasTakenOver) {
  World world;
  EXPECT_FALSE(world.thread().settled());
  ASSERT_TRUE(world.Turns(40).ok());
  EXPECT_TRUE(world.thread().settled());
}

TEST(ParquetFeedSinkTest, RowsWithoutAFolderBecomeDeadLettersThoughNoOtherRowComes) {
  World world("parquet: { path: /simulated, max_age: 1s, partition_by: [{ part: \"10 / (id - id)\" }] }");
  ASSERT_TRUE(world.Turns(40).ok());
  world.Feed(0, 5);
  ASSERT_TRUE(world.Turns(400).ok());
  EXPECT_EQ(world.thread().status().refused, 5);
  EXPECT_EQ(world.thread().status().rows, 0);
  EXPECT_THAT(world.cluster().CommittedRecords({world.plan().dead_letter_topic, 0}), SizeIs(5));
}

TEST(ParquetFeedSinkTest, AFeedThatWasTrimmedBeforeAnybodyReadItIsRefused) {
  World world;
  const Edge& edge = FeedOf(world.plan(), 0);
  RowsPacker packer(BatchSchema(edge.schema, edge.hidden));
  packed::RowsHeader header;
  header.set_sequence(2);
  std::vector<std::string> records;
  packer.Finish(header, &records);
  world.cluster().AppendInput(world.feed(0), std::nullopt, records[0]);
  const absl::Status status = world.Turns(60);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("records are missing"));
}

TEST(ParquetFeedSinkTest, AGroupThatWasResetByHandIsRefused) {
  World world;
  world.Feed(0, 10);
  ASSERT_TRUE(world.Turns(60).ok());
  ASSERT_TRUE(world.thread().Stop(true).ok());
  // As kafka-consumer-groups --reset-offsets does it, with the group empty.
  const auto hand = *world.kafka().NewConsumer({.group = world.group()});
  ASSERT_TRUE(hand->CommitOffsets({{world.feed(0), 0, ""}}).ok());
  ASSERT_TRUE(world.Boot().ok());
  const absl::Status status = world.Turns(60);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("Set the group back to offset 2"));
}

TEST(ParquetFeedSinkTest, ManifestsThatWereDeletedAreMissed) {
  World world;
  world.Feed(0, 10);
  ASSERT_TRUE(world.Turns(60).ok());
  ASSERT_TRUE(world.thread().Stop(true).ok());
  world.cluster().Trim(world.manifests(0), 1'000);
  ASSERT_TRUE(world.Boot().ok());
  const absl::Status status = world.Turns(60);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no manifest"));
}

// The identity in the names of stages is known before the first of them is made.
TEST(ParquetFeedSinkTest, StagesFromBeforeTheFirstCutAreDeletedAfterACrash) {
  World world;
  ASSERT_TRUE(world.Turns(20).ok());
  const auto committed = world.cluster().CommittedOffsets(world.group(), {world.feed(0)});
  EXPECT_EQ(committed.at(world.feed(0)).offset, 0);
  world.Feed(0, 10);
  bool dying = false;
  world.lake_.SetFaults([&](Call call, const std::string& name, bool) {
    if (call == Call::kSync && !IsMark(name)) {
      dying = true;
      world.cluster().Kill(0);
    }
    return dying ? absl::UnavailableError("the process is gone") : absl::OkStatus();
  });
  world.Turns(60).IgnoreError();
  ASSERT_TRUE(dying);
  world.Destroy();
  EXPECT_THAT(world.lake_.Files(), SizeIs(2));  // with the mark
  dying = false;
  world.lake_.SetFaults(nullptr);
  ASSERT_TRUE(world.Boot().ok());
  ASSERT_TRUE(world.Settle().ok());
  EXPECT_EQ(world.Ids(), world.fed());
  EXPECT_THAT(world.lake_.Files(), SizeIs(2));  // with the mark
}

// As a folder whose disk isn't mounted when the next process starts: it is empty, and takes what is written to it.
TEST(ParquetFeedSinkTest, AnotherFolderInPlaceOfTheLakeIsWaitedInAndTakesNothing) {
  World world;
  world.Feed(0, 10);
  ASSERT_TRUE(world.Settle().ok());
  world.Feed(0, 10);
  std::swap(world.lake_, world.elsewhere_);
  ASSERT_TRUE(world.Boot().ok());
  world.Feed(1, 10);
  ASSERT_TRUE(world.Turns(200).ok());
  EXPECT_THAT(world.thread().status().last_error,
              HasSubstr("isn't the lake that its files went to: it has no _app.out.mark"));
  EXPECT_THAT(world.lake_.Files(), SizeIs(0));
  std::swap(world.lake_, world.elsewhere_);
  ASSERT_TRUE(world.Settle().ok());
  EXPECT_EQ(world.Ids(), world.fed());
}

TEST(ParquetFeedSinkTest, ALakeThatIsEmptiedOnPurposeGoesOnWithTheMark) {
  World world;
  world.Feed(0, 10);
  ASSERT_TRUE(world.Settle().ok());
  const std::vector<int64_t> before = world.Ids();
  std::swap(world.lake_, world.elsewhere_);
  const auto mark = *world.lake_.Create("_app.out.mark");
  ASSERT_TRUE(mark->Close().ok());
  world.Feed(0, 10);
  ASSERT_TRUE(world.Turns(200).ok());
  EXPECT_THAT(world.Ids(), SizeIs(10));
  EXPECT_EQ(before.size() + world.Ids().size(), world.fed().size());
}

// As of an earlier version, or of a group that has expired: nothing stands beside the group's offsets.
TEST(ParquetFeedSinkTest, ALakeWithoutAMarkIsKnownByItsFiles) {
  for (const bool mounted : {false, true}) {
    World world;
    world.Feed(0, 10);
    ASSERT_TRUE(world.Settle().ok());
    ASSERT_TRUE(world.thread().Stop(true).ok());
    ASSERT_TRUE(world.lake_.Delete("_app.out.mark").ok());
    const auto at = world.cluster().CommittedOffsets(world.group(), {world.feed(0), world.feed(1)});
    const auto hand = *world.kafka().NewConsumer({.group = world.group()});
    for (const auto& [feed, offset] : at) ASSERT_TRUE(hand->CommitOffsets({{feed, offset.offset, ""}}).ok());
    if (!mounted) std::swap(world.lake_, world.elsewhere_);
    ASSERT_TRUE(world.Boot().ok());
    world.Feed(0, 10);
    ASSERT_TRUE(world.Turns(200).ok());
    EXPECT_EQ(world.lake_.Files().empty(), !mounted);
    if (!mounted) std::swap(world.lake_, world.elsewhere_);
    ASSERT_TRUE(world.Settle().ok());
    EXPECT_EQ(world.Ids(), world.fed());
  }
}

// The one who comes first marks the lake for all: the partitions of another worker have no manifest yet.
TEST(ParquetFeedSinkTest, AFolderIsNoLakeForAPartitionThatIsNewEither) {
  World world;
  ASSERT_TRUE(world.Turns(40).ok());
  world.cluster().Trim(world.manifests(1), 1'000);
  ASSERT_TRUE(world.thread().Stop(true).ok());
  const auto hand = *world.kafka().NewConsumer({.group = world.group()});
  ASSERT_TRUE(hand->CommitOffsets({{world.feed(1), 0, ""}}).ok());
  std::swap(world.lake_, world.elsewhere_);
  ASSERT_TRUE(world.Boot().ok());
  ASSERT_TRUE(world.Turns(200).ok());
  EXPECT_THAT(world.thread().status().last_error, HasSubstr("isn't the lake"));
  EXPECT_THAT(world.lake_.Files(), SizeIs(0));
}

}  // namespace
}  // namespace tidemark::sim
