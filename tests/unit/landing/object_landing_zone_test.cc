// Objects that land in S3: which are meant, and moving them away whatever fails in the middle.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/clock.h"
#include "src/base/time.h"
#include "src/landing/landing_zone.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;

// S3 in memory. `fault` is asked before and after each call's effect.
class MemoryObjects final : public Objects {
 public:
  struct Bucket {
    struct Object {
      std::string bytes;
      int64_t modified_ns;
      std::string etag;
    };
    std::map<std::string, Object> objects;
    int64_t puts = 0;
    std::function<bool(bool after)> fault = [](bool) { return false; };

    // A second has room for several.
    void Put(const std::string& name, const std::string& bytes) {
      objects[name] = {bytes, 1'000'000'000, absl::StrCat("etag-", ++puts)};
    }
  };
  explicit MemoryObjects(Bucket* bucket) : bucket_(*bucket) {}

  absl::StatusOr<std::vector<ObjectInfo>> List(const std::string& folder) override {
    if (bucket_.fault(false)) return Away();
    std::vector<ObjectInfo> found;
    for (const auto& [name, object] : bucket_.objects) {
      if (absl::StartsWith(name, folder + "/")) found.push_back(Info(name, object, ""));
    }
    return found;
  }
  absl::StatusOr<ObjectInfo> Stat(const std::string& name) override {
    if (bucket_.fault(false)) return Away();
    const auto found = bucket_.objects.find(name);
    if (found == bucket_.objects.end()) return absl::NotFoundError(name);
    return Info(name, found->second, found->second.etag);
  }
  absl::StatusOr<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& name) override {
    const absl::StatusOr<ObjectInfo> there = Stat(name);
    if (!there.ok()) return there.status();
    return std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bucket_.objects.at(name).bytes));
  }
  absl::StatusOr<bool> SameContent(const std::string& a, const std::string& b) override {
    if (bucket_.fault(false)) return Away();
    return bucket_.objects.at(a).bytes == bucket_.objects.at(b).bytes;
  }
  absl::Status Copy(const std::string& from, const std::string& to) override {
    return Do([&] { bucket_.Put(to, bucket_.objects.at(from).bytes); });
  }
  absl::Status Put(const std::string& name, std::string_view bytes) override {
    return Do([&] { bucket_.Put(name, std::string(bytes)); });
  }
  absl::Status Delete(const std::string& name) override {
    return Do([&] { bucket_.objects.erase(name); });
  }

 private:
  static absl::Status Away() { return absl::UnavailableError("S3 is away"); }
  static ObjectInfo Info(const std::string& name, const Bucket::Object& object, const std::string& etag) {
    return {name, static_cast<int64_t>(object.bytes.size()), object.modified_ns, etag};
  }
  template <typename Effect>
  absl::Status Do(const Effect& effect) {
    if (bucket_.fault(false)) return Away();
    effect();
    return bucket_.fault(true) ? Away() : absl::OkStatus();
  }

  Bucket& bucket_;
};

class HandClock final : public Clock {
 public:
  int64_t WallUs() override { return now_us_; }
  int64_t MonotonicUs() override { return now_us_; }
  void Advance(int64_t us) { now_us_ += us; }

 private:
  int64_t now_us_ = kSecond;
};

class ObjectLanding : public ::testing::Test {
 protected:
  ObjectLanding() {
    spec_.path = "s3://lake/in/**/*.csv*";
    spec_.processed = "s3://lake/in/done/";
    spec_.rejected = "s3://other/bad";
    spec_.archive = "s3://lake/in/kept";
    spec_.raw = "raw";
    zone_ = Zone();
  }
  std::unique_ptr<LandingZone> Zone() {
    return NewObjectLandingZone(spec_, std::make_unique<MemoryObjects>(&bucket_), &clock_);
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& [name, object] : bucket_.objects) names.push_back(name);
    return names;
  }
  std::string Text(const std::string& name) { return bucket_.objects.at(name).bytes; }

  FilesSpec spec_;
  HandClock clock_;
  MemoryObjects::Bucket bucket_;
  std::unique_ptr<LandingZone> zone_;
};

TEST_F(ObjectLanding, ListsWhatIsMeantAndNothingThatWasMovedAway) {
  for (const char* name : {"b.csv", "x/a.csv.gz", "no.txt", ".part.csv", "../c.csv", "x//d.csv", "done/d.csv",
                           "kept/date=2026-01-01/e.csv"}) {
    bucket_.Put(absl::StrCat("lake/in/", name), "x");
  }
  bucket_.Put("lake/in.csv", "x");
  const absl::StatusOr<std::vector<LandedFile>> files = zone_->List();
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].name, "b.csv");
  EXPECT_EQ((*files)[1].name, "x/a.csv.gz");
}

TEST_F(ObjectLanding, AMoveIsDoneAgainUntilItIsDoneWhateverOfItFailed) {
  for (int fault = 0; fault < 12; ++fault) {
    for (const bool rejected : {false, true}) {
      bucket_ = {};
      bucket_.Put("lake/in/a.csv", "x");
      const LandedFile file = *zone_->Stat("a.csv");
      int calls = 0;
      bucket_.fault = [&](bool) { return calls++ == fault; };
      absl::Status moved;
      for (int tries = 0; tries < 2; ++tries) {
        zone_ = Zone();  // as after a crash
        moved = rejected ? zone_->MoveToRejected(file, "v1", "why") : zone_->MoveToProcessed(file, "v1");
        if (moved.ok()) break;
      }
      ASSERT_TRUE(moved.ok()) << moved;
      if (rejected) {
        EXPECT_THAT(Names(), ElementsAre("other/bad/a.csv", "other/bad/a.csv.reason.json")) << fault;
      } else {
        EXPECT_THAT(Names(), ElementsAre("lake/in/done/a.csv")) << fault;
      }
      bucket_.fault = [](bool) { return false; };
      EXPECT_TRUE(zone_->MoveToProcessed(file, "v1").ok()) << "done before";
    }
  }
}

TEST_F(ObjectLanding, AnotherContentOfTheNameGetsTheVersion) {
  bucket_.Put("lake/in/done/x/a.csv.gz", "old");
  bucket_.Put("lake/in/x/a.csv.gz", "new");
  ASSERT_TRUE(zone_->MoveToProcessed(*zone_->Stat("x/a.csv.gz"), "v2").ok());
  EXPECT_EQ(Text("lake/in/done/x/a.csv.gz"), "old");
  EXPECT_EQ(Text("lake/in/done/x/a~v2.csv.gz"), "new");
}

// Size and second are the same: only the ETag tells it.
TEST_F(ObjectLanding, AnObjectThatTookTheNameOfOneThatWasReadStaysAndIsSeen) {
  bucket_.Put("lake/in/a.csv", "1");
  const LandedFile read = *zone_->Stat("a.csv");
  bucket_.Put("lake/in/a.csv", "2");
  EXPECT_TRUE((*zone_->List())[0].IsSameAs(read)) << "a listing alone doesn't tell";
  ASSERT_TRUE(zone_->MoveToProcessed(read, "v1").ok());
  EXPECT_THAT(Names(), ElementsAre("lake/in/a.csv"));
  EXPECT_FALSE((*zone_->List())[0].IsSameAs(read));
}

TEST_F(ObjectLanding, WithoutFoldersAnObjectThatWasReplacedWithinItsSecondIsSeenWhenThatIsOver) {
  spec_.processed = spec_.rejected = "";
  for (const bool again : {false, true}) {
    bucket_.Put("lake/in/a.csv", "1");
    zone_ = Zone();
    const LandedFile read = *zone_->Stat("a.csv");
    ASSERT_TRUE(zone_->MoveToProcessed(read, "v1").ok());
    bucket_.Put("lake/in/a.csv", "2");
    if (again) zone_ = Zone();  // as after a crash
    const auto look = [&] {
      const LandedFile now = zone_->List()->front();
      EXPECT_TRUE(zone_->MoveToProcessed(read, "v1").ok());  // as of each that is noted
      return now;
    };
    EXPECT_TRUE(look().IsSameAs(read)) << "a listing alone doesn't tell";
    clock_.Advance(2 * kSecond);
    look();
    EXPECT_FALSE(look().IsSameAs(read));
  }
}

TEST_F(ObjectLanding, WithoutFoldersObjectsStay) {
  spec_.processed = spec_.rejected = "";
  zone_ = Zone();
  bucket_.Put("lake/in/a.csv", "1");
  ASSERT_TRUE(zone_->MoveToProcessed(*zone_->Stat("a.csv"), "v1").ok());
  ASSERT_TRUE(zone_->MoveToRejected(*zone_->Stat("a.csv"), "v1", "why").ok());
  EXPECT_THAT(Names(), ElementsAre("lake/in/a.csv"));
}

}  // namespace
}  // namespace tidemark
