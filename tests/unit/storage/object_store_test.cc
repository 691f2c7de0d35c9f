#include "src/storage/object_store.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <arrow/io/interfaces.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/storage/memory_store.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

void Put(ObjectStore& lake, const std::string& name, const std::string& bytes) {
  auto stream = lake.Create(name);
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_TRUE((*stream)->Write(bytes.data(), static_cast<int64_t>(bytes.size())).ok());
  ASSERT_TRUE((*stream)->Close().ok());
  ASSERT_TRUE(lake.Sync(name).ok());
}

class LocalLakeTest : public ::testing::Test {
 protected:
  LocalLakeTest() {
    char folder[] = "/tmp/tidemark-lake-XXXXXX";
    folder_ = mkdtemp(folder);
  }
  ~LocalLakeTest() override { std::filesystem::remove_all(folder_); }
  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ + "/lake/" + name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  std::unique_ptr<ObjectStore> Open() {
    auto lake = OpenObjectStore(folder_ + "/lake/");
    EXPECT_TRUE(lake.ok()) << lake.status();
    return *std::move(lake);
  }

  std::string folder_;
};

TEST_F(LocalLakeTest, AMoveMakesItsFoldersAndCanBeRepeated) {
  auto lake = Open();
  Put(*lake, "_staging/a.tmp", "rows");
  ASSERT_TRUE(lake->Move("_staging/a.tmp", "dt=1/h=2/a.parquet").ok());
  EXPECT_EQ(Read("dt=1/h=2/a.parquet"), "rows");
  EXPECT_TRUE(lake->Move("_staging/a.tmp", "dt=1/h=2/a.parquet").ok());
  EXPECT_THAT(*lake->List("_staging", ""), IsEmpty());
  EXPECT_TRUE(*lake->Exists("dt=1/h=2/a.parquet"));
}

TEST_F(LocalLakeTest, AMoveOfAFileThatIsNowhereIsToldApart) {
  EXPECT_TRUE(absl::IsNotFound(Open()->Move("_staging/never.tmp", "never")));
}

TEST_F(LocalLakeTest, WhereTheLakeAsAWholeIsAwayNoFileIsMissed) {
  auto lake = Open();
  std::filesystem::remove_all(folder_ + "/lake/_staging");
  EXPECT_TRUE(absl::IsUnavailable(lake->Move("_staging/never.tmp", "never")));
}

TEST_F(LocalLakeTest, AMoveNeverReplacesOtherContent) {
  auto lake = Open();
  Put(*lake, "final", "theirs");
  Put(*lake, "_staging/a.tmp", "ours..");
  const absl::Status status = lake->Move("_staging/a.tmp", "final");
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(Read("final"), "theirs");
  EXPECT_EQ(Read("_staging/a.tmp"), "ours..");
}

// As after a copy and a crash: the stage is only the remains of a move that happened.
TEST_F(LocalLakeTest, AStageWithTheContentOfItsFinalFileIsDeleted) {
  auto lake = Open();
  Put(*lake, "final", "rows");
  Put(*lake, "_staging/a.tmp", "rows");
  EXPECT_TRUE(lake->Move("_staging/a.tmp", "final").ok());
  EXPECT_FALSE(*lake->Exists("_staging/a.tmp"));
}

TEST_F(LocalLakeTest, AFolderThatWasRemovedIsMadeAgain) {
  auto lake = Open();
  Put(*lake, "_staging/a.tmp", "1");
  ASSERT_TRUE(lake->Move("_staging/a.tmp", "dt=1/a").ok());
  std::filesystem::remove_all(folder_ + "/lake/dt=1");
  Put(*lake, "_staging/b.tmp", "2");
  EXPECT_TRUE(lake->Move("_staging/b.tmp", "dt=1/b").ok());
}

TEST_F(LocalLakeTest, ListShowsOneFolderByPrefix) {
  auto lake = Open();
  Put(*lake, "_staging/s-1-b", "");
  Put(*lake, "_staging/s-1-a", "");
  Put(*lake, "_staging/s-11-a", "");
  EXPECT_THAT(*lake->List("_staging", "s-1-"), ElementsAre("_staging/s-1-a", "_staging/s-1-b"));
  EXPECT_THAT(*lake->List("nowhere", ""), IsEmpty());
  EXPECT_TRUE(lake->Delete("_staging/nothing").ok());
}

TEST_F(LocalLakeTest, APathThatCannotBeAFolderIsTheUsersMistake) {
  std::ofstream(folder_ + "/file") << "x";
  const absl::Status status = OpenObjectStore(folder_ + "/file/lake").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/file/lake"));
  EXPECT_TRUE(absl::IsInvalidArgument(OpenObjectStore("gs://bucket/x").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(OpenObjectStore("s3://").status()));
}

TEST_F(LocalLakeTest, ALookSaysWhatWouldBeMadeAndMakesNothing) {
  const std::string folder = folder_ + "/a/b";
  const auto seen = InspectObjectStore(folder + "/");
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_THAT(*seen, AllOf(HasSubstr("lake " + folder + ": would be made in "), HasSubstr("can be written")));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/a"));
  ASSERT_TRUE(OpenObjectStore(folder).ok());
  EXPECT_EQ(*InspectObjectStore(folder), "lake " + folder + ": is there and can be written");
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_TRUE(absl::IsInvalidArgument(InspectObjectStore(folder_ + "/file/lake").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(InspectObjectStore("gs://bucket").status()));
}

TEST(MemoryLakeTest, ACrashKeepsOnlyWhatWasSynced) {
  MemoryObjectStore lake;
  Put(lake, "kept", "all");
  auto stream = *lake.Create("lost");
  ASSERT_TRUE(stream->Write("x", 1).ok());
  lake.Crash();
  EXPECT_THAT(lake.Files(), ElementsAre(Pair("kept", "all")));
  ASSERT_TRUE(stream->Write("y", 1).ok());
  EXPECT_THAT(lake.Files(), ElementsAre(Pair("kept", "all")));
}

TEST(MemoryLakeTest, AFileThatWasMovedWithoutASyncIsEmptyAfterACrash) {
  MemoryObjectStore lake;
  auto stream = *lake.Create("stage");
  ASSERT_TRUE(stream->Write("x", 1).ok());
  ASSERT_TRUE(lake.Move("stage", "final").ok());
  lake.Crash();
  EXPECT_THAT(lake.Files(), ElementsAre(Pair("final", "")));
}

}  // namespace
}  // namespace tidemark
