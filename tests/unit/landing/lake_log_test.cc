// Parquet files with a topic's records, read as its log.
#include "src/landing/lake_log.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/landing/lake_files.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LakeLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(::testing::TempDir(), "lake_log_",
                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ + "/day=1");
    spec_ = LakeColumns(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::vector<LakeRow>& rows, int64_t group = 100,
             const std::string& raw = "raw") {
    WriteLakeFile(absl::StrCat(folder_, "/", name), rows, group, raw);
  }

  // "offset=value", and "-" for no value.
  static std::vector<std::string> Read(LakeReader* reader, size_t most = 100, Offset end = 1000) {
    std::vector<std::string> seen;
    while (true) {
      const auto read = reader->Next(most, end);
      EXPECT_TRUE(read.ok()) << read.status();
      if (!read.ok() || read->records.empty()) return seen;
      EXPECT_LE(read->records.size(), most);
      for (const RecordView& record : read->records) {
        EXPECT_EQ(*record.key, absl::StrCat("k", record.offset));
        seen.push_back(absl::StrCat(record.offset, "=", std::string(record.value.value_or("-"))));
      }
    }
  }

  std::string folder_;
  LakeSpec spec_;
};

TEST_F(LakeLogTest, RecordsComeInTheOrderOfTheirOffsetsWhateverFileHasThem) {
  Write("b.parquet", {{0, 1, "b"}, {1, 7}, {0, 3, std::nullopt}}, 2);
  Write("day=1/a.parquet", {{0, 4, "d"}, {0, 0, "a"}, {0, 2, "c"}});
  const auto log = LakeLog::Open(spec_);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ((*log)->RangeOf(0), (std::pair<Offset, Offset>(0, 5)));
  EXPECT_EQ((*log)->RangeOf(1), (std::pair<Offset, Offset>(7, 8)));
  EXPECT_EQ((*log)->RangeOf(2), std::nullopt);
  for (const size_t most : {1, 2, 100}) {
    EXPECT_THAT(Read((*log)->Read(0, 0).get(), most), ElementsAre("0=a", "1=b", "2=c", "3=-", "4=d"));
  }
  EXPECT_THAT(Read((*log)->Read(0, 2).get(), 100, 4), ElementsAre("2=c", "3=-"));
  EXPECT_THAT(Read((*log)->Read(2, 0).get()), IsEmpty());
}

TEST_F(LakeLogTest, ARowThatStandsThereTwiceIsOneRecordAndTwoThatDifferAreAnError) {
  Write("a.parquet", {{0, 0, "a"}, {0, 1, "b"}, {0, 2, "c"}});
  Write("b.parquet", {{0, 1, "b"}, {0, 2, "c"}, {0, 2, "c"}, {0, 3, "d"}});
  auto log = LakeLog::Open(spec_);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_THAT(Read((*log)->Read(0, 0).get()), ElementsAre("0=a", "1=b", "2=c", "3=d"));
  Write("c.parquet", {{0, 3, "another"}});
  log = LakeLog::Open(spec_);
  ASSERT_TRUE(log.ok()) << log.status();
  const auto reader = (*log)->Read(0, 0);
  const auto read = reader->Next(100, 1000);
  EXPECT_TRUE(absl::IsFailedPrecondition(read.status())) << read.status();
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("two records of partition 0 at offset 3"));
}

TEST_F(LakeLogTest, TheFirstThatIsntOlderIsFoundByOffset) {
  Write("a.parquet", {{0, 0, "a", 100}, {0, 1, "b", 300}, {0, 2, "c", 200}}, 1);
  Write("b.parquet", {{0, 3, "d", 250}, {1, 0, "x", 900}, {0, 4, "e", 400}});
  const auto log = LakeLog::Open(spec_);
  ASSERT_TRUE(log.ok()) << log.status();
  const auto first = [&](int64_t ms) { return (*log)->FirstNotOlder(0, ms).value(); };
  EXPECT_EQ(first(0), 0);
  EXPECT_EQ(first(101), 1);
  EXPECT_EQ(first(250), 1);
  EXPECT_EQ(first(301), 4);
  EXPECT_EQ(first(401), std::nullopt);
}

TEST_F(LakeLogTest, AFileThatIsNoneOfThisSourceIsNamed) {
  Write("a.parquet", {{0, 0}}, 100, "other");
  const auto log = LakeLog::Open(spec_);
  ASSERT_TRUE(log.ok()) << log.status();
  const auto reader = (*log)->Read(0, 0);
  const auto read = reader->Next(100, 1000);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("a.parquet"));
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("no column 'raw'"));
  spec_.path = folder_ + "/nowhere";
  EXPECT_TRUE(absl::IsFailedPrecondition(LakeLog::Open(spec_).status()));
}

}  // namespace
}  // namespace tidemark
