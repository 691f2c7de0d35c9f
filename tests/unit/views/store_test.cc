// The rows of a view: the last of each key, found by every index, gone when their time is over.
#include "src/views/store.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/views/view_kit.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

TEST(ViewStoreTest, ALaterRowOfAKeyReplacesTheOneBeforeInEveryIndex) {
  SalesView view(Indexes{{1}});
  view.Put({Sale("a", 1, R"("day":"2026-01-01")"), Sale("a", 2, R"("day":"2026-01-01")")});
  view.Put({Sale("a", 1, R"("day":"2026-01-02")")});
  EXPECT_EQ(view.Sales(R"({"day":"2026-01-01"})"), "a 2");
  EXPECT_EQ(view.Sales(R"({"day":"2026-01-02"})"), "a 1");
  EXPECT_EQ(view.store().rows(), 2);
}

TEST(ViewStoreTest, ADeletedKeyIsGoneFromEveryIndexAndItsMemoryIsGivenBack) {
  SalesView view(Indexes{{1}, {3, 4}});
  const int64_t empty = view.store().bytes();
  view.Put({Sale("a", 1, R"("day":"2026-01-01","price":1.5)")});
  EXPECT_GT(view.store().bytes(), empty + 100);
  view.Delete(R"({"shop":"a","sale":1})");
  view.Delete(R"({"shop":"b","sale":7})");  // never seen
  EXPECT_EQ(view.Sales("{}"), "");
  EXPECT_EQ(view.Sales(R"({"day":"2026-01-01"})"), "");
  EXPECT_EQ(view.store().bytes(), empty);
}

TEST(ViewStoreTest, ARowGoesAtTheMomentWhenItsTimeIsOverAndOneThatComesTooLateIsntShown) {
  constexpr int64_t kKeep = 10 * kSecond;
  SalesView view(Indexes{}, kKeep);
  view.Put({Sale("a", 1, "", 5 * kSecond), Sale("a", 2, "", 6 * kSecond)}, 1, EventTime{15 * kSecond - 1});
  EXPECT_EQ(view.Sales("{}"), "a 1, a 2");
  view.Put({Sale("a", 3, "", 5 * kSecond)}, 2, EventTime{15 * kSecond});
  EXPECT_EQ(view.Sales("{}"), "a 2");
  view.Put({Sale("a", 2, "", 20 * kSecond)}, 3, EventTime{16 * kSecond});
  EXPECT_EQ(view.Sales("{}"), "a 2") << "it has a later time now";
}

TEST(ViewStoreTest, NothingGoesBeforeTheViewsTimeIsKnown) {
  SalesView view(Indexes{}, 1);
  view.Put({Sale("a", 1)});
  EXPECT_EQ(view.Sales("{}"), "a 1");
  view.Put({}, 1, kMinTime);
  EXPECT_EQ(view.Sales("{}"), "a 1");
}

TEST(ViewStoreTest, AnAnswerIsOfOneMomentWhileRowsChange) {
  SalesView view;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (Offset n = 0; n < 2'000; ++n) {
      view.Put({Sale("a", 1, absl::StrCat(R"("weight":)", n)), Sale("z", 1, absl::StrCat(R"("weight":)", n))}, n);
    }
    stop = true;
  });
  int answers = 0;
  do {
    const auto page = view.Page("{}");
    ASSERT_TRUE(page.ok());
    if (page->rows->num_rows() == 0) continue;
    const auto weights = page->rows->column(4)->data()->GetValues<double>(1);
    EXPECT_EQ(weights[0], weights[1]) << "two rows of one commit";
    EXPECT_EQ(weights[0], static_cast<double>(page->moment.position));
    ++answers;
  } while (!stop);
  writer.join();
  EXPECT_GT(answers, 0);
}

TEST(ViewRecordsTest, AnotherKeyTypeOrStepIsTold) {
  const SinkPlan now = SalesView::PlanOf({}, 0, {0, 2});
  EXPECT_EQ(WhyNotTheView(ViewStanding(now), now), "");
  EXPECT_EQ(WhyNotTheView(ViewStanding(SalesView::PlanOf(Indexes{{1}}, 5, {0, 2})), now), "")
      << "what is told is as before";
  EXPECT_THAT(WhyNotTheView(ViewStanding(SalesView::PlanOf({}, 0, {2})), now), HasSubstr("by (sale)"));
  SinkPlan other = now;
  other.from_kept_as = "elsewhere";
  EXPECT_THAT(WhyNotTheView(ViewStanding(other), now), HasSubstr("from elsewhere"));
  other = now;
  std::vector<Column> columns = now.schema.columns();
  columns[4].type.kind = Kind::kInt64;
  other.schema = Schema(columns);
  EXPECT_THAT(WhyNotTheView(ViewStanding(other), now), HasSubstr("weight"));
  columns = now.schema.columns();
  columns.pop_back();
  other.schema = Schema(columns);
  EXPECT_EQ(WhyNotTheView(ViewStanding(other), now), "") << "a nullable column has come";
  packed::Standing::Edge gone = ViewStanding(now);
  gone.add_schemas();
  EXPECT_THAT(WhyNotTheView(gone, now), HasSubstr("taken out"));
}

TEST(ViewRecordsTest, MarksAreToldFromRows) {
  EXPECT_EQ(ViewMarkWriter(ViewMarkKey(17)), 17);
  EXPECT_EQ(ViewMarkWriter(R"({"mark":1})"), std::nullopt);
  EXPECT_EQ(ViewMarkWriter("mark/x"), std::nullopt);
}

}  // namespace
}  // namespace tidemark
