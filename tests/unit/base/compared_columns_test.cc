#include "src/base/compared_columns.h"

#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Schema Of(const std::vector<std::pair<std::string, std::string>>& columns) {
  Schema schema;
  for (const auto& [name, type] : columns) schema.Add({name, *ParseType(type), true});
  return schema;
}

std::vector<std::string> Compared(const ComparedColumns& compared) {
  std::vector<std::string> columns;
  for (const ComparedColumn& column : compared.columns) {
    columns.push_back(absl::StrCat(column.name, " ", TypeName(column.type), column.before ? "" : " after",
                                   column.after ? "" : " before"));
  }
  return columns;
}

const Schema kBefore =
    Of({{"id", "int32"}, {"price", "decimal(12,2)"}, {"at", "timestamp_ms"}, {"n", "int64"}, {"gone", "string"}});
const Schema kAfter =
    Of({{"at", "timestamp"}, {"id", "int64"}, {"price", "decimal(14,3)"}, {"n", "string"}, {"fresh", "bool"}});

TEST(ComparedColumns, AreThoseThatBothHaveInATypeOfBoth) {
  const ComparedColumns compared = CompareColumns(kBefore, kAfter, /*all=*/false);
  EXPECT_THAT(Compared(compared), ElementsAre("at timestamp_us", "id int64", "price decimal(14,3)"));
  EXPECT_THAT(compared.left_out, ElementsAre("n was int64 and is string", "fresh is new", "gone is gone"));
}

TEST(ComparedColumns, OfAllThoseOfOneSideStandBesideNULLs) {
  const ComparedColumns compared = CompareColumns(kBefore, kAfter, /*all=*/true);
  EXPECT_THAT(Compared(compared), ElementsAre("at timestamp_us", "id int64", "price decimal(14,3)", "n string after",
                                              "fresh bool after", "n int64 before", "gone string before"));
  EXPECT_THAT(compared.left_out, IsEmpty());
}

TEST(ComparedColumns, DecimalsThatNoTypeHoldsBothOfAreOthers) {
  EXPECT_EQ(CommonType(*ParseType("decimal(38,0)"), *ParseType("decimal(38,10)")), std::nullopt);
  EXPECT_EQ(TypeName(*CommonType(*ParseType("decimal(10,0)"), *ParseType("decimal(5,5)"))), "decimal(15,5)");
}

}  // namespace
}  // namespace tidemark
