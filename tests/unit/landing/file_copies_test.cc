// Copies of files that landed: their names, and what stands where something failed.
#include "src/landing/file_copies.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/io/file.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/storage/memory_store.h"

namespace tidemark {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// As OpenObjectStore gives one anew for the same place.
class Borrowed final : public ObjectStore {
 public:
  explicit Borrowed(MemoryObjectStore* store) : store_(*store) {}
  std::string_view path() const override { return store_.path(); }
  size_t max_open_files() const override { return store_.max_open_files(); }
  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) override {
    return store_.Create(name);
  }
  absl::Status Sync(const std::string& name) override { return store_.Sync(name); }
  absl::Status Move(const std::string& from, const std::string& to) override { return store_.Move(from, to); }
  absl::StatusOr<bool> Exists(const std::string& name) override { return store_.Exists(name); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) override {
    return store_.List(folder, prefix);
  }
  absl::Status Delete(const std::string& name) override { return store_.Delete(name); }

 private:
  MemoryObjectStore& store_;
};

class Copies : public ::testing::Test {
 protected:
  Copies()
      : root_(fs::temp_directory_path() /
              absl::StrCat("copies-", ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(root_);
    fs::create_directories(root_ / "a");
    spec_.path = (root_ / "**/*").string();
    spec_.archive = "kept";
    zone_ = NewLocalLandingZone(spec_);
  }
  ~Copies() override { fs::remove_all(root_); }

  void Write(const std::string& text) {
    std::ofstream(root_ / "a/x.csv") << text;
    file_ = *zone_->Stat("a/x.csv");
    hash_ = *HashOfFile(**arrow::io::ReadableFile::Open((root_ / "a/x.csv").string()));
  }
  std::unique_ptr<FileCopies> Begin(const std::string& owner = "app.source") {
    return std::make_unique<FileCopies>(spec_, owner,
                                        [this](const std::string&) -> absl::StatusOr<std::unique_ptr<ObjectStore>> {
                                          return std::make_unique<Borrowed>(&store_);
                                        });
  }
  absl::Status CopyAll(FileCopies& copies) {
    while (true) {
      const absl::StatusOr<bool> more = copies.Copy(*zone_, file_, hash_, 1);
      if (!more.ok() || !*more) return more.status();
    }
  }
  std::string Name() const { return CopyName(file_, hash_, 0); }

  const fs::path root_;
  FilesSpec spec_;
  MemoryObjectStore store_;
  std::unique_ptr<LandingZone> zone_;
  LandedFile file_;
  std::string hash_;
};

TEST(CopyName, FollowsFromTheFileAlone) {
  const LandedFile file{"a/rates.csv.gz.gpg", 7, int64_t{1'796'000'000} * 1'000'000'000, ""};
  EXPECT_EQ(CopyName(file, "0123456789abcdef0123456789abcdef", 0),
            "date=2026-11-30/a/rates~0123456789abcdef.csv.gz.gpg");
  EXPECT_EQ(CopyName(file, "0123456789abcdef0123456789abcdef", 1), "date=2026-11-30/a/rates~0123456789abcdef.csv.gz");
  const LandedFile bare{"x", 7, 0, ""};
  EXPECT_EQ(CopyName(bare, "0123456789abcdef0123456789abcdef", 1), "date=1970-01-01/x~0123456789abcdef");
}

TEST_F(Copies, ACopyMadeAgainIsTheSameAndAnotherVersionIsAnother) {
  Write("id\n1\n");
  ASSERT_TRUE(CopyAll(*Begin()).ok());
  ASSERT_TRUE(CopyAll(*Begin()).ok()) << "by a successor";
  EXPECT_THAT(store_.Files(), ElementsAre(Pair(Name(), "id\n1\n")));
  Write("id\n2\n3\n");
  ASSERT_TRUE(CopyAll(*Begin()).ok());
  EXPECT_EQ(store_.Files().size(), 2u);
  EXPECT_EQ(store_.Files().at(Name()), "id\n2\n3\n");
}

TEST_F(Copies, WhatIsntTheContentThatWasCheckedGetsNoName) {
  Write("id\n1\n");
  hash_[0] = hash_[0] == '0' ? '1' : '0';
  EXPECT_TRUE(absl::IsAborted(CopyAll(*Begin())));
  EXPECT_THAT(store_.Files(), IsEmpty());
  fs::remove(root_ / "a/x.csv");
  EXPECT_TRUE(absl::IsAborted(CopyAll(*Begin())));
}

TEST_F(Copies, WhateverCallFailsTheNextTryIsWhole) {
  Write("id\n1\n");
  for (int fault = 0; fault < 16; ++fault) {
    store_.SetFaults(nullptr);
    for (const auto& [name, bytes] : store_.Files()) ASSERT_TRUE(store_.Delete(name).ok());
    int calls = 0;
    store_.SetFaults([&](MemoryObjectStore::Call, const std::string&, bool) {
      return calls++ == fault ? absl::UnavailableError("away") : absl::OkStatus();
    });
    const std::unique_ptr<FileCopies> copies = Begin();
    const absl::Status first = CopyAll(*copies);
    EXPECT_TRUE(first.ok() || absl::IsUnavailable(first)) << first;
    if (!first.ok()) {
      EXPECT_TRUE(CopyAll(*copies).ok()) << fault;
    }
    EXPECT_EQ(store_.Files()[Name()], "id\n1\n") << fault;
    store_.SetFaults(nullptr);
    ASSERT_TRUE(CopyAll(*Begin()).ok());
    EXPECT_THAT(store_.Files(), ElementsAre(Pair(Name(), "id\n1\n"))) << "a successor has cleaned up after " << fault;
  }
}

TEST_F(Copies, ASourceWhoseNameBeginsAnothersLeavesItsCopiesAlone) {
  Write("id\n1\n");
  const std::unique_ptr<FileCopies> longer = Begin("app.source-b");
  ASSERT_TRUE(*longer->Copy(*zone_, file_, hash_, 1));  // in the middle of it
  file_.name = "a/gone.csv";
  EXPECT_FALSE(CopyAll(*Begin()).ok());  // has looked at the place
  Write("id\n1\n");
  ASSERT_TRUE(CopyAll(*longer).ok());
  EXPECT_THAT(store_.Files(), ElementsAre(Pair(Name(), "id\n1\n")));
}

}  // namespace
}  // namespace tidemark
