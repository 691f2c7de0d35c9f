// Comparing what two generations have made, without a broker: the bound, the counting, lakes on disk, and what can't be
// compared. Topics are in tests/sim/topic_comparison_test.cc, tables in tests/unit/operators_sinks.
#include "src/runtime/generations/comparison.h"

#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/builder.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include "src/runtime/generations/folder_comparison.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/row_tally.h"
#include "tests/unit/runtime/test_plan.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Side = RowTally::Side;

XXH128_hash_t Hash(const std::string& text) { return XXH3_128bits(text.data(), text.size()); }

std::string Numbers(const TargetDifference& d) {
  return absl::StrCat(d.only_before, " ", d.only_after, " ", d.differing, " of ", d.of);
}

TEST(VerifyBound, IsReadAsItIsShownAndHoldsExactly) {
  for (const char* text :
       {"diff <= 0%", "diff <= 0.1%", "diff <= 100%", "diff <= 12.000001%", "diff <= 5% in all columns"}) {
    const auto bound = ParseVerifyBound(text);
    ASSERT_TRUE(bound.ok()) << bound.status();
    EXPECT_EQ(bound->ToString(), text);
  }
  EXPECT_EQ(ParseVerifyBound(" diff<=0.10 % ")->ToString(), "diff <= 0.1%");
  const VerifyBound bound = *ParseVerifyBound("diff <= 0.1%");
  EXPECT_TRUE(bound.Holds({0, 0, 0, 0}));  // two empty tables
  EXPECT_TRUE(bound.Holds({1, 1, 1, 3000}));
  EXPECT_FALSE(bound.Holds({1, 1, 1, 2999}));
  EXPECT_FALSE(ParseVerifyBound("diff <= 0%")->Holds({0, 0, 1, 1'000'000'000'000}));
  EXPECT_TRUE(ParseVerifyBound("diff <= 100%")->Holds({7, 0, 0, 7}));
}

TEST(VerifyBound, WhatItIsntIsRefusedWithAnExample) {
  for (const char* text : {"", "diff < 1%", "lag <= 1%", "diff <= 1", "diff <= %", "diff <= -1%", "diff <= 101%",
                           "diff <= 100.1%", "diff <= 0.1234567%", "diff <= 1% of rows", "diff <= 1.x%"}) {
    const auto bound = ParseVerifyBound(text);
    EXPECT_TRUE(absl::IsInvalidArgument(bound.status())) << text;
    EXPECT_THAT(std::string(bound.status().message()), HasSubstr("such as \"diff <= 0.1%\"")) << text;
  }
}

TEST(RowTally, ByKeyTheLastRowStandsAndWhatWasRemovedDoesnt) {
  RowTally tally(RowTally::By::kKey, 100);
  ASSERT_TRUE(tally.Begin());
  for (const auto side : {Side::kBefore, Side::kAfter}) tally.Put(side, Hash("same"), 8);
  tally.Put(Side::kBefore, Hash("other"), 8);
  tally.Put(Side::kAfter, Hash("other"), 8);
  tally.Put(Side::kAfter, Hash("other"), 24);
  tally.Put(Side::kBefore, Hash("gone"), 8);
  tally.Put(Side::kAfter, Hash("gone"), 8);
  tally.Remove(Side::kAfter, Hash("gone"));
  tally.Put(Side::kAfter, Hash("fresh"), 8);
  tally.Put(Side::kBefore, Hash("never"), 8);
  tally.Remove(Side::kBefore, Hash("never"));
  tally.Remove(Side::kBefore, Hash("nobody"));
  tally.End();
  EXPECT_FALSE(tally.Begin());
  EXPECT_EQ(Numbers(tally.difference()), "1 1 1 of 4");
}

TEST(RowTally, ByRowEachCountsAsOftenAsItStandsThere) {
  RowTally tally(RowTally::By::kRow, 100);
  ASSERT_TRUE(tally.Begin());
  tally.Add(Side::kBefore, Hash("a"), 3);
  tally.Add(Side::kAfter, Hash("a"));
  tally.Add(Side::kAfter, Hash("b"));
  tally.Add(Side::kAfter, Hash("b"), -1);  // taken back
  tally.Add(Side::kBefore, Hash("c"));
  tally.Add(Side::kAfter, Hash("c"));
  tally.End();
  EXPECT_EQ(Numbers(tally.difference()), "2 0 0 of 4");
}

// Who adds up such a lake finds less than nothing in one of the two.
TEST(RowTally, WhatWasTakenBackMoreOftenThanItCameDiffers) {
  RowTally tally(RowTally::By::kRow, 100);
  ASSERT_TRUE(tally.Begin());
  tally.Add(Side::kBefore, Hash("a"));
  tally.Add(Side::kBefore, Hash("a"), -1);
  tally.Add(Side::kAfter, Hash("a"));
  tally.Add(Side::kAfter, Hash("a"), -2);
  tally.End();
  EXPECT_EQ(Numbers(tally.difference()), "1 0 0 of 1");
}

// Random rows, by as many passes as it takes, against a plain count.
TEST(RowTally, WhatDoesntFitTakesMorePassesAndGivesTheSameNumbers) {
  for (const size_t most : {20, 64, 10'000}) {
    for (const auto by : {RowTally::By::kKey, RowTally::By::kRow}) {
      std::map<std::string, std::pair<int64_t, int64_t>> plain;
      RowTally tally(by, most);
      while (tally.Begin()) {
        plain.clear();
        std::mt19937 random(7);
        for (int i = 0; i < 2'000; ++i) {
          const Side side = i % 2 == 0 ? Side::kBefore : Side::kAfter;
          const std::string key = absl::StrCat(random() % 300);
          auto& [before, after] = plain[key];
          int64_t& at = side == Side::kBefore ? before : after;
          const uint64_t value = (random() % 3) << 1 | 1;
          if (by == RowTally::By::kRow) {
            tally.Add(side, Hash(key));
            ++at;
          } else if (random() % 4 == 0) {
            tally.Remove(side, Hash(key));
            at = 0;
          } else {
            tally.Put(side, Hash(key), value);
            at = static_cast<int64_t>(value);
          }
        }
        tally.End();
      }
      TargetDifference wanted;
      for (const auto& [key, both] : plain) {
        const auto [before, after] = both;
        if (by == RowTally::By::kRow) {
          wanted.of += std::max(before, after);
          wanted.only_before += std::max<int64_t>(before - after, 0);
          wanted.only_after += std::max<int64_t>(after - before, 0);
        } else if (before != 0 || after != 0) {
          ++wanted.of;
          wanted.only_before += after == 0;
          wanted.only_after += before == 0;
          wanted.differing += before != 0 && after != 0 && before != after;
        }
      }
      EXPECT_EQ(Numbers(tally.difference()), Numbers(wanted)) << most;
      EXPECT_EQ(tally.passes() > 1, most < 300) << most << ": " << tally.passes();
      EXPECT_GT(wanted.rows(), 0);
    }
  }
}

// ---- Lakes ---------------------------------------------------------------------------------------------------------

class FolderComparisonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(arrow::compute::Initialize().ok());
    root_ =
        absl::StrCat(::testing::TempDir(), "folders_", ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(root_);
    target_.sink = "sink lake";
    target_.before = root_ + "/lake";
    target_.after = root_ + "/lake.g2";
    target_.settle = [this] { return ++settled_, absl::OkStatus(); };
    target_.columns.columns = {{"id", {Kind::kInt64}}, {"name", {Kind::kString}}};
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // Of ids as int32, or of wider ones; a name of "-" is NULL.
  void Write(const std::string& file, const std::vector<std::pair<int, std::string>>& rows, bool wide = false,
             const std::string& op = "") {
    std::filesystem::create_directories(std::filesystem::path(root_ + "/" + file).parent_path());
    arrow::Int32Builder narrow_ids;
    arrow::Int64Builder wide_ids;
    arrow::StringBuilder names, ops;
    for (const auto& [id, name] : rows) {
      ASSERT_TRUE(wide ? wide_ids.Append(id).ok() : narrow_ids.Append(id).ok());
      ASSERT_TRUE(name == "-" ? names.AppendNull().ok() : names.Append(name).ok());
      ASSERT_TRUE(ops.Append(op).ok());
    }
    arrow::FieldVector fields = {arrow::field("id", wide ? arrow::int64() : arrow::int32()),
                                 arrow::field("name", arrow::utf8())};
    arrow::ArrayVector arrays = {wide ? *wide_ids.Finish() : *narrow_ids.Finish(), *names.Finish()};
    if (!op.empty()) {
      fields.push_back(arrow::field("_op", arrow::utf8()));
      arrays.push_back(*ops.Finish());
    }
    const auto out = arrow::io::FileOutputStream::Open(root_ + "/" + file);
    ASSERT_TRUE(out.ok()) << out.status().ToString();
    ASSERT_TRUE(parquet::arrow::WriteTable(*arrow::Table::Make(arrow::schema(fields), arrays),
                                           arrow::default_memory_pool(), *out, 2)
                    .ok());
    ASSERT_TRUE((*out)->Close().ok());
  }
  std::string Compared(bool at_cut = true) {
    CompareTime time;
    time.at_cut = at_cut;
    const auto difference = MakeFolderComparison(target_)->Compare(time);
    return difference.ok() ? Numbers(*difference) : std::string(difference.status().message());
  }

  std::string root_;
  FolderComparisonTarget target_;
  int settled_ = 0;
};

TEST_F(FolderComparisonTest, RowsAreCountedWhateverFilesTheyLieInAndHoweverWideTheirTypesAre) {
  Write("lake/a.parquet", {{1, "x"}, {2, "-"}, {2, "-"}});
  Write("lake/sub/b.parquet", {{3, "y"}, {4, "z"}});
  Write("lake/c.parquet.tmp", {{9, "staged"}});
  Write("lake.g2/a.parquet", {{4, "z"}, {3, "y"}, {2, "-"}, {1, "x"}, {5, "new"}}, /*wide=*/true);
  EXPECT_EQ(Compared(), "1 1 0 of 6");
  EXPECT_EQ(settled_, 1);
  target_.most_entries = 2;
  EXPECT_EQ(Compared(/*at_cut=*/false), "1 1 0 of 6");
  EXPECT_EQ(settled_, 1);
}

TEST_F(FolderComparisonTest, WhatIsEmptyOrIsntThereHasNoRows) {
  EXPECT_EQ(Compared(), "0 0 0 of 0");
  Write("lake.g2/a.parquet", {{1, "x"}});
  EXPECT_EQ(Compared(), "0 1 0 of 1");
}

TEST_F(FolderComparisonTest, AColumnThatNamesFoldersIsComparedLikeOthers) {
  target_.columns.columns = {{"id", {Kind::kInt64}}, {"day", {Kind::kDate}}, {"name", {Kind::kString}}};
  Write("lake/day=2026-01-02/a.parquet", {{1, "x"}});
  Write("lake/day=__HIVE_DEFAULT_PARTITION__/a.parquet", {{2, "x"}});
  Write("lake.g2/day=2026-01-02/b.parquet", {{1, "x"}});
  Write("lake.g2/day=2026-01-03/b.parquet", {{2, "x"}});
  EXPECT_EQ(Compared(), "1 1 0 of 3");
}

TEST_F(FolderComparisonTest, OfChangesWhatIsLeftOfARowCounts) {
  target_.changes = true;
  Write("lake/a.parquet", {{1, "x"}, {2, "y"}}, false, "insert");
  Write("lake/b.parquet", {{1, "x"}}, false, "update_before");
  Write("lake/c.parquet", {{1, "z"}}, false, "update_after");
  Write("lake.g2/a.parquet", {{1, "z"}, {2, "y"}, {3, "gone"}}, false, "insert");
  Write("lake.g2/b.parquet", {{3, "gone"}}, false, "delete");
  EXPECT_EQ(Compared(), "0 0 0 of 2");
}

TEST_F(FolderComparisonTest, AColumnOfOneSideIsNULLOnTheOtherAndOneOfAnotherTypeIsTwo) {
  target_.columns.columns = {
      {"id", {Kind::kInt64}}, {"name", {Kind::kInt64}, false, true}, {"name", {Kind::kString}, true, false}};
  Write("lake/a.parquet", {{1, "-"}, {2, "x"}});
  Write("lake.g2/a.parquet", {{1, "-"}, {2, "-"}});
  EXPECT_EQ(Compared(), "1 1 0 of 3");
}

TEST_F(FolderComparisonTest, ADamagedFileIsNamedAndWhoStopsItIsAnswered) {
  Write("lake/a.parquet", {{1, "x"}});
  std::filesystem::resize_file(root_ + "/lake/a.parquet", 20);
  EXPECT_THAT(Compared(), AllOf(HasSubstr("sink lake"), HasSubstr("lake/a.parquet")));
  std::filesystem::remove_all(root_);
  Write("lake/a.parquet", {{1, "x"}});
  CompareTime time;
  time.go_on = [] { return absl::DeadlineExceededError("too long"); };
  EXPECT_TRUE(absl::IsDeadlineExceeded(MakeFolderComparison(target_)->Compare(time).status()));
}

// ---- What can't be compared ----------------------------------------------------------------------------------------

constexpr char kTown[] = R"(
name: town
kafka: { brokers: b }
sources: { rows: { topic: in, columns: { id: int64, route: string, day: string, worth: int64 } } }
steps:
  totals: { from: rows, group_by: [route], aggregates: { n: count(*) } }
sinks:
  latest: { from: totals, topic: latest, key: [route], create: {} }
  table: { from: totals, postgres: { url: "postgresql://h/d", table: totals, mode: upsert, key: [route] } }
  rows_out: { from: rows, topic: out, create: {} }
  lake: { from: rows, parquet: { path: /lake/town } }
views:
  now: { from: totals, key: [route] }
)";

class ComparisonsTest : public ::testing::Test {
 protected:
  absl::StatusOr<Comparisons> Make(const std::vector<std::pair<std::string, std::string>>& edits,
                                   std::vector<std::string> sinks = {}, bool built_first = true) {
    std::string text = kTown;
    for (const auto& [from, to] : edits) {
      const size_t at = text.find(from);
      EXPECT_NE(at, std::string::npos) << from;
      if (at != std::string::npos) text.replace(at, from.size(), to);
    }
    before_ = TestPlan(kTown);
    after_ = PlanOfGeneration(TestPlan(text), 2);
    ComparisonRequest request;
    request.before = &before_;
    request.after = &after_;
    request.sinks = std::move(sinks);
    request.built_first = built_first;
    return ComparisonsOf(request, nullptr, nullptr);
  }
  std::string Refused(const std::vector<std::pair<std::string, std::string>>& edits,
                      std::vector<std::string> sinks = {}, bool built_first = true) {
    const auto made = Make(edits, std::move(sinks), built_first);
    EXPECT_TRUE(absl::IsInvalidArgument(made.status()));
    return std::string(made.status().message());
  }

  Plan before_, after_;
};

TEST_F(ComparisonsTest, EverySinkAndViewIsComparedWithItsShadow) {
  const auto made = Make({});
  ASSERT_TRUE(made.ok()) << made.status();
  std::vector<std::string> told;
  for (const auto& unit : made->units) told.push_back(unit->Describe());
  EXPECT_THAT(told, ::testing::UnorderedElementsAre("sink latest: topic latest with latest.g2, by key",
                                                    "sink table: table public.totals with public.totals__g2, by route",
                                                    "sink rows_out: topic out with out.g2, row by row",
                                                    "sink lake: lake /lake/town with /lake/town.g2, row by row",
                                                    "view now: generation 1's with generation 2's, by route"));
  EXPECT_THAT(made->notes, ::testing::IsEmpty());
}

TEST_F(ComparisonsTest, ColumnsThatArentComparedAndSinksThatAreNewAreTold) {
  const auto made = Make({{"aggregates: { n: count(*) }", "aggregates: { n: count(*), most: max(worth) }"},
                          {"  lake: { from: rows, parquet: { path: /lake/town } }",
                           "  lake: { from: rows, parquet: { path: /lake/other } }"},
                          {"views:", "views:\n  others: { from: totals, key: [route] }"}});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(made->notes,
              ::testing::UnorderedElementsAre("sink latest: columns that aren't compared: most is new",
                                              "sink table: columns that aren't compared: most is new",
                                              "view now: columns that aren't compared: most is new",
                                              "isn't compared: view others is new", "isn't compared: sink lake is new",
                                              "isn't compared: sink lake of generation 1 has no successor"));
}

TEST_F(ComparisonsTest, WhatWasTakenOutIsTold) {
  const std::vector<std::pair<std::string, std::string>> without = {
      {"  rows_out: { from: rows, topic: out, create: {} }\n", ""},
      {"views:\n  now: { from: totals, key: [route] }\n", ""}};
  const auto made = Make(without);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->units.size(), 3u);
  EXPECT_THAT(made->notes,
              ::testing::UnorderedElementsAre("isn't compared: sink rows_out of generation 1 has no successor",
                                              "isn't compared: view now of generation 1 has no successor"));
  const auto named = Make(without, {"latest"});
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_THAT(named->notes, ::testing::IsEmpty()) << "nothing is asked of the others";
}

TEST_F(ComparisonsTest, AnotherKeyIsRefusedByNameWithTheWayOut) {
  const std::vector<std::pair<std::string, std::string>> by_day = {
      {"group_by: [route]", "group_by: [route, day]"},
      {"key: [route], create", "key: [route, day], key_format: json, create"},
      {"mode: upsert, key: [route] }", "mode: upsert, key: [route, day] }"},
      {"now: { from: totals, key: [route] }", "now: { from: totals, key: [route, day] }"}};
  EXPECT_THAT(
      Refused(by_day),
      AllOf(HasSubstr("sink table: it has key route in generation 1 and key route, day in 2"),
            HasSubstr("sink latest: it has key"), HasSubstr("view now: it has key route in generation 1"),
            Not(HasSubstr("sink lake")), HasSubstr("`--verify_sinks lake,rows_out` compares the others alone")));
  EXPECT_TRUE(Make(by_day, {"lake", "rows_out"}).ok());
  EXPECT_THAT(Refused({}, {"lak"}), HasSubstr("there is no sink or view 'lak' (did you mean 'lake'?)"));
}

TEST_F(ComparisonsTest, ATopicThatAppendsIsntComparedWithAGenerationThatWasActiveBefore) {
  EXPECT_THAT(Refused({}, {}, /*built_first=*/false),
              AllOf(HasSubstr("sink rows_out: generation 2 has been active before"), Not(HasSubstr("sink lake"))));
  EXPECT_TRUE(Make({}, {"lake", "latest", "table", "now"}, false).ok());
}

}  // namespace
}  // namespace tidemark
