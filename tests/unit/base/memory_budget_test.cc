#include "src/base/memory_budget.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

TEST(MemoryBudget, NobodyIsLimitedWhileTheSumFits) {
  MemoryBudget budget(1000, 0);
  MemoryBudget::Share busy(&budget), idle(&budget);
  busy.Update(900);
  idle.Update(100);
  EXPECT_EQ(busy.allowance(), kNoLimit);
  EXPECT_EQ(idle.allowance(), kNoLimit);
}

TEST(MemoryBudget, WhereTheSumDoesNotFitEachMayKeepAnEqualPart) {
  MemoryBudget budget(1000, 0);
  MemoryBudget::Share busy(&budget), idle(&budget);
  busy.Update(900);
  idle.Update(101);
  EXPECT_EQ(busy.allowance(), 500);
  busy.Update(800);
  EXPECT_EQ(busy.allowance(), kNoLimit);
}

TEST(MemoryBudget, WhoLeavesGivesItsPartBack) {
  MemoryBudget budget(1000, 0);
  MemoryBudget::Share stays(&budget);
  {
    MemoryBudget::Share leaves(&budget);
    stays.Update(700);
    leaves.Update(700);
    EXPECT_EQ(stays.allowance(), 500);
  }
  EXPECT_EQ(stays.allowance(), kNoLimit);
  EXPECT_EQ(budget.used(), 700);
}

TEST(MemoryBudget, EveryoneMayKeepTheLeast) {
  MemoryBudget budget(1000, 300);
  MemoryBudget::Share a(&budget), b(&budget), c(&budget), d(&budget);
  a.Update(2000);
  EXPECT_EQ(a.allowance(), 300);
}

TEST(MemoryBudget, WithoutABudgetNothingIsLimited) {
  MemoryBudget::Share share(nullptr);
  share.Update(kNoLimit / 2);
  EXPECT_EQ(share.allowance(), kNoLimit);
}

}  // namespace
}  // namespace tidemark
