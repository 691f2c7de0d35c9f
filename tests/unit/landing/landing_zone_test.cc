// A local folder in which files land: which are meant, and moving them away.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/landing/landing_zone.h"
#include "src/landing/name_pattern.h"

namespace tidemark {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class LocalLanding : public ::testing::Test {
 protected:
  LocalLanding()
      : root_(fs::temp_directory_path() /
              absl::StrCat("landing-", ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(root_);
    fs::create_directories(root_ / "in");
    spec_.path = (root_ / "in/**/*.csv*").string();
    spec_.processed = (root_ / "in/done").string();
    spec_.rejected = (root_ / "bad").string();
    spec_.archive = (root_ / "in/kept").string();
  }
  ~LocalLanding() override { fs::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  std::string Text(const std::string& name) {
    std::stringstream text;
    text << std::ifstream(root_ / name).rdbuf();
    return text.str();
  }
  LandedFile Landed(const std::string& name) { return *NewLocalLandingZone(spec_)->Stat(name); }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const absl::StatusOr<std::vector<LandedFile>> files = NewLocalLandingZone(spec_)->List();
    for (const LandedFile& file : *files) names.push_back(file.name);
    return names;
  }

  const fs::path root_;
  FilesSpec spec_;
};

TEST(NamePattern, StarsAndFolders) {
  EXPECT_TRUE(MatchesNames("**/*.csv*", "a.csv"));
  EXPECT_TRUE(MatchesNames("**/*.csv*", "x/y/a.csv.gz"));
  EXPECT_FALSE(MatchesNames("*.csv", "x/a.csv"));
  EXPECT_TRUE(MatchesNames("20?6/*", "2026/a"));
  EXPECT_FALSE(MatchesNames("20?6/*", "2026/a/b"));
  EXPECT_TRUE(MatchesNames("**", "a/b"));
  EXPECT_EQ(NamePattern::Parse("in/a*/b").folder, "in");
  EXPECT_EQ(NamePattern::Parse("in/").folder, "in");
  EXPECT_EQ(NamePattern::Parse("*.csv").folder, ".");
  EXPECT_EQ(NamePattern::Parse("/*.csv").folder, "/");
}

TEST_F(LocalLanding, ListsWhatIsMeantAndNothingThatWasMovedAway) {
  for (const char* name : {"in/b.csv", "in/x/a.csv.gz", "in/no.txt", "in/.part.csv", "in/.hidden/c.csv",
                           "in/done/d.csv", "in/kept/date=2026-01-01/e.csv"})
    Write(name, "x");
  EXPECT_THAT(Names(), ElementsAre("b.csv", "x/a.csv.gz"));
}

TEST_F(LocalLanding, AMarkSaysThatAFileIsWhole) {
  spec_.whole = FilesSpec::Whole::kDoneMark;
  Write("in/a.csv", "x");
  EXPECT_THAT(Names(), IsEmpty());
  Write("in/a.csv.done", "");
  EXPECT_THAT(Names(), ElementsAre("a.csv"));
  ASSERT_TRUE(NewLocalLandingZone(spec_)->MoveToProcessed(Landed("a.csv"), "1").ok());
  EXPECT_FALSE(fs::exists(root_ / "in/a.csv.done"));
  EXPECT_EQ(Text("in/done/a.csv"), "x");
}

TEST_F(LocalLanding, AMarkThatWasLeftOfAnotherFileOfItsNameDoesntCount) {
  spec_.whole = FilesSpec::Whole::kDoneMark;
  Write("in/a.csv.done", "");  // as a crash leaves it, between the move of the two
  fs::last_write_time(root_ / "in/a.csv.done", fs::file_time_type::clock::now() - std::chrono::seconds(10));
  Write("in/a.csv", "the first half");
  EXPECT_THAT(Names(), IsEmpty());
  Write("in/a.csv", "the first half and the second");
  Write("in/a.csv.done", "");
  EXPECT_THAT(Names(), ElementsAre("a.csv"));
}

TEST_F(LocalLanding, MovingAgainIsHarmlessAndOtherContentIsKept) {
  const auto zone = NewLocalLandingZone(spec_);
  Write("in/x/a.csv.gz", "1");
  const LandedFile first = Landed("x/a.csv.gz");
  ASSERT_TRUE(zone->MoveToProcessed(first, "v1").ok());
  ASSERT_TRUE(zone->MoveToProcessed(first, "v1").ok());
  Write("in/x/a.csv.gz", "1");
  ASSERT_TRUE(zone->MoveToProcessed(Landed("x/a.csv.gz"), "v1").ok());
  Write("in/x/a.csv.gz", "22");
  ASSERT_TRUE(zone->MoveToProcessed(first, "v1").ok());
  EXPECT_THAT(Names(), ElementsAre("x/a.csv.gz")) << "it isn't the one that is to be moved";
  ASSERT_TRUE(zone->MoveToProcessed(Landed("x/a.csv.gz"), "v2").ok());
  EXPECT_EQ(Text("in/done/x/a.csv.gz"), "1");
  EXPECT_EQ(Text("in/done/x/a~v2.csv.gz"), "22");
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(LocalLanding, ARejectedFileHasItsReasonBesideIt) {
  const auto zone = NewLocalLandingZone(spec_);
  Write("in/a.csv", "1");
  const LandedFile file = Landed("a.csv");
  ASSERT_TRUE(zone->MoveToRejected(file, "v1", "why").ok());
  ASSERT_TRUE(zone->MoveToRejected(file, "v1", "why").ok());
  EXPECT_EQ(Text("bad/a.csv"), "1");
  EXPECT_EQ(Text("bad/a.csv.reason.json"), "why");
}

// Where files are moved away to another file system.
class OtherFileSystem : public LocalLanding {
 protected:
  OtherFileSystem() : other_(fs::path("/dev/shm") / absl::StrCat("landing-", getpid())) {
    spec_.processed = other_.string();
  }
  ~OtherFileSystem() override { fs::remove_all(other_); }
  void SetUp() override {
    struct stat here = {}, there = {};
    std::error_code error;
    fs::create_directories(other_, error);
    if (error || stat(root_.c_str(), &here) != 0 || stat(other_.c_str(), &there) != 0 || here.st_dev == there.st_dev) {
      GTEST_SKIP() << "there is no other file system";
    }
  }

  const fs::path other_;
};

TEST_F(OtherFileSystem, AFileIsCopiedAndGoes) {
  Write("in/x/a.csv", "1");
  ASSERT_TRUE(NewLocalLandingZone(spec_)->MoveToProcessed(Landed("x/a.csv"), "v1").ok());
  std::stringstream text;
  text << std::ifstream(other_ / "x/a.csv").rdbuf();
  EXPECT_EQ(text.str(), "1");
  EXPECT_TRUE(fs::is_empty(root_ / "in/x"));
}

TEST_F(OtherFileSystem, AnotherOneThatTakesItsPlaceMeanwhileStays) {
  Write("in/a.csv", std::string(64 << 20, 'x'));
  Write("in/.a.csv", "the new one");
  const LandedFile file = Landed("a.csv");
  std::thread writer([&] {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!fs::exists(other_ / "a.csv.part") && !fs::exists(other_ / "a.csv")) {
      if (std::chrono::steady_clock::now() > until) break;
    }
    fs::rename(root_ / "in/.a.csv", root_ / "in/a.csv");
  });
  const absl::Status moved = NewLocalLandingZone(spec_)->MoveToProcessed(file, "v1");
  writer.join();
  EXPECT_TRUE(moved.ok() || absl::IsUnavailable(moved)) << moved;
  EXPECT_THAT(Names(), ElementsAre("a.csv"));
  EXPECT_EQ(Text("in/a.csv"), "the new one");
}

TEST_F(LocalLanding, AFileWhoseMoveACrashHasEndedIsLookedAtAgain) {
  Write("in/.a.csv.leaving", "1");
  Names();
  EXPECT_THAT(Names(), ElementsAre("a.csv"));
}

TEST_F(LocalLanding, AFileThatWasTakenAsideComesBackOnceItsNameIsFreeAndNeverOverAnother) {
  Write("in/.a.csv.leaving", "1");
  Write("in/.a.csv.leaving2", "2");
  Write("in/a.csv", "3");
  EXPECT_THAT(Names(), ElementsAre("a.csv"));
  EXPECT_EQ(Text("in/a.csv"), "3");
  std::set<std::string> read;
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(Names(), ElementsAre("a.csv"));
    read.insert(Text("in/a.csv"));
    ASSERT_TRUE(NewLocalLandingZone(spec_)->MoveToProcessed(Landed("a.csv"), absl::StrCat("v", i)).ok());
    Names();
  }
  EXPECT_THAT(read, UnorderedElementsAre("1", "2", "3"));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(OtherFileSystem, AFileThatIsCopiedLeavesThoseAloneThatWereTakenAsideBefore) {
  Write("in/.a.csv.leaving", "nobody has read this");
  Write("in/a.csv", "1");
  ASSERT_TRUE(NewLocalLandingZone(spec_)->MoveToProcessed(Landed("a.csv"), "v1").ok());
  EXPECT_EQ(Text("in/.a.csv.leaving"), "nobody has read this");
  Names();
  EXPECT_THAT(Names(), ElementsAre("a.csv"));
}

TEST_F(LocalLanding, FilesOfOtherHiddenNamesStayAsTheyAre) {
  for (const char* name : {".leaving", "..leaving", ".a.csv.leaving.tmp", ".a.csv.leavingx"}) {
    Write(absl::StrCat("in/", name), "1");
  }
  Write("in/x.csv.leaving", "2");  // is itself landed, where names say so
  EXPECT_THAT(Names(), ElementsAre("x.csv.leaving"));
  EXPECT_THAT(Names(), ElementsAre("x.csv.leaving"));
  for (const char* name : {".leaving", "..leaving", ".a.csv.leaving.tmp", ".a.csv.leavingx"}) {
    EXPECT_TRUE(fs::exists(root_ / "in" / name)) << name;
  }
}

TEST_F(OtherFileSystem, AFileWhoseOwnNameEndsAsThoseTakenAsideIsCopiedAndComesBackUnderIt) {
  Write("in/.x.csv.leaving.leaving", "1");
  Names();
  EXPECT_THAT(Names(), ElementsAre("x.csv.leaving"));
  ASSERT_TRUE(NewLocalLandingZone(spec_)->MoveToProcessed(Landed("x.csv.leaving"), "v1").ok());
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(LocalLanding, AFolderThatIsNotThereIsWaitedFor) {
  fs::remove_all(root_ / "in");
  EXPECT_EQ(NewLocalLandingZone(spec_)->List().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tidemark
