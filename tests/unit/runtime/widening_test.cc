#include "src/runtime/widening.h"

#include <gtest/gtest.h>

#include "tests/unit/operators/kept_rows.h"

namespace tidemark {
namespace {

packed::StepIdentity Identity(const std::string& fingerprint, const std::string& columns = "") {
  packed::StepIdentity identity;
  identity.set_fingerprint(fingerprint);
  identity.set_columns(columns);
  return identity;
}

bool Keys(const std::string& was, const std::string& is) {
  return IsWidened(Identity("dedup by [" + was + "]"), Identity("dedup by [" + is + "]"));
}

// Of a window by one route: its aggregates, and the columns of them.
bool Sums(const std::string& aggregates, const std::string& was, const std::string& is) {
  const std::string window = "window 60us every 60us by [route string]:" + aggregates;
  return IsWidened(Identity(window, was), Identity(window, is));
}

TEST(Widening, KeysAreOfOneFormWhateverTheirWidth) {
  EXPECT_TRUE(Keys("id int32", "id int64"));
  EXPECT_TRUE(Keys("id decimal(8,2)", "id decimal(20,2)"));
  EXPECT_TRUE(Keys("id string, n int32", "id string null, n int64 null"));
  EXPECT_TRUE(Keys("id string", "id string null"));
}

TEST(Widening, NothingIsNarrowedOrBecomesAnotherKindOfValue) {
  EXPECT_FALSE(Keys("id int64", "id int32"));
  EXPECT_FALSE(Keys("id decimal(20,2)", "id decimal(8,2)"));
  EXPECT_FALSE(Keys("id decimal(8,2)", "id decimal(9,3)"));
  EXPECT_FALSE(Keys("id string null", "id string"));
  EXPECT_FALSE(Keys("id int32", "id double"));
  EXPECT_FALSE(Keys("id int32", "id decimal(12,0)"));
  EXPECT_FALSE(Keys("id date", "id timestamp"));
}

TEST(Widening, OtherColumnsAreOtherState) {
  EXPECT_FALSE(Keys("id int32", "number int64"));
  EXPECT_FALSE(Keys("id int32", "id int64, n int64"));
  EXPECT_FALSE(Keys("a int32, b int32", "b int64, a int64"));
}

TEST(Widening, ADedupRemembersOneIntegerInAFormOfItsOwn) {
  EXPECT_FALSE(Keys("id int64", "id int64 null"));
  EXPECT_FALSE(Keys("id int32", "id int64 null"));
}

TEST(Widening, WhatOnlyAddsUpTakesWiderIntegers) {
  EXPECT_TRUE(Sums(" count(*); sum(cents); avg(cents);", "cents int32", "cents int64"));
  EXPECT_FALSE(Sums(" sum(cents); max(cents);", "cents int32", "cents int64"));
  EXPECT_FALSE(Sums(" count(DISTINCT cents);", "cents int32", "cents int64"));
  EXPECT_FALSE(Sums(" sum(cast(cents as int32));", "cents int32", "cents int64"));
  EXPECT_FALSE(Sums(" sum(cents); of changes", "cents int32", "cents int64"));
  EXPECT_TRUE(Sums(" sum(cents); max(cents); of changes", "cents decimal(8,2)", "cents decimal(9,2)"));
}

TEST(Widening, WhatKeepsWholeRowsIsLeftAlone) {
  for (const std::string step : {"top 3 by ", "dedup keep last by ", "alert by ", "batches by ", "changes by "}) {
    EXPECT_FALSE(IsWidened(Identity(step + "[id int32] of id int32"), Identity(step + "[id int64] of id int32")))
        << step;
  }
  for (const std::string step : {"batches by ", "changes by ", "whole transactions, changes by "}) {
    EXPECT_FALSE(
        IsWidened(Identity(step + "[id string] of x decimal(8,2)"), Identity(step + "[id string] of x decimal(9,2)")))
        << step;
    EXPECT_FALSE(IsWidened(Identity(step + "[id string] of x string"), Identity(step + "[id string] of x string null")))
        << step;
  }
  EXPECT_FALSE(IsWidened(Identity("window 60us every 60us by [id int32]: count(*);"),
                         Identity("window 90us every 90us by [id int64]: count(*);")));
}

TEST(Widening, RowsThatAreKeptWholeTakeDigitsAndNullsButNoWiderIntegers) {
  for (const KeptRowsCase& one : KeptRowsCases()) {
    const auto fingerprint = [&](const KeptRowsTypes& types) {
      const Node node = KeptRowsNode(one, types);
      return Identity(node.spec.kind().Fingerprint(node));
    };
    const packed::StepIdentity narrow = fingerprint(kNarrowRows), wide = fingerprint(kWideRows);
    EXPECT_TRUE(IsWidened(narrow, wide)) << narrow.fingerprint();
    EXPECT_FALSE(IsWidened(wide, narrow)) << wide.fingerprint();
    for (const KeptRowsTypes& other :
         {KeptRowsTypes{"string", "string", "decimal(9,3)"}, KeptRowsTypes{"string", "string", "int64"},
          KeptRowsTypes{"int32", "string", "decimal(8,2)"}}) {
      EXPECT_FALSE(IsWidened(narrow, fingerprint(other))) << one.name;
    }
    EXPECT_FALSE(
        IsWidened(fingerprint({"int32", "string", "decimal(8,2)"}), fingerprint({"int64", "string", "decimal(8,2)"})))
        << one.name;
  }
  // What stands behind the columns has types too.
  EXPECT_FALSE(IsWidened(Identity("over 0us, 2 rows, by [id string] of x decimal(8,2): max(x::decimal(8,2));"),
                         Identity("over 0us, 2 rows, by [id string] of x decimal(9,2): max(x::decimal(9,2));")));
  EXPECT_FALSE(IsWidened(Identity("dedup keep last by [id int32] of id int32"),
                         Identity("dedup keep last by [id int32 null] of id int32 null")));
  EXPECT_FALSE(IsWidened(Identity("table join left of [id string] by [id string] and []"),
                         Identity("table join full of [id string] by [id string] and []")));
}

// Names have in them what users put there.
TEST(Widening, WhatCantBeReadForCertainIsOtherState) {
  EXPECT_FALSE(Keys("a] int32", "a] int64"));
  EXPECT_FALSE(Keys("a, b int32", "a, b int64"));
  EXPECT_FALSE(IsWidened(Identity("dedup by"), Identity("dedup by [")));
}

TEST(Widening, GroupsOfEachWindowBecomePanesAndDoNotGoBack) {
  const std::string window = "window 3600us every 60us by [id int32]: count(*); max(x);", panes = window + " in panes";
  EXPECT_TRUE(IsWidened(Identity(window, "x int64"), Identity(panes, "x int64")));
  EXPECT_FALSE(IsWidened(Identity(panes, "x int64"), Identity(window, "x int64")));
  EXPECT_FALSE(IsWidened(Identity(window, "x int64"), Identity(panes, "y int64")));
  EXPECT_FALSE(
      IsWidened(Identity(window), Identity("window 3600us every 90us by [id int32]: count(*); max(x); in panes")));
  const std::string wide = "window 3600us every 60us by [id int64]: count(*); max(x); in panes";
  EXPECT_TRUE(IsWidened(Identity(window), Identity(wide)));
  EXPECT_TRUE(IsWidened(Identity(panes), Identity(wide)));
}

// A former version would find nothing where such lists lie, and begin with none.
TEST(Widening, ListsOfTopThatLieOtherwiseNowDoNotGoBack) {
  const std::string whole = "top 3 by [id int32] of id int32, n int64", key = whole + " by key";
  const std::string running = whole + " as it stands, by n desc;", runs = running + " in runs";
  for (const auto& [was, is] : {std::pair(whole, key), std::pair(running, runs)}) {
    EXPECT_TRUE(IsWidened(Identity(was), Identity(is)));
    EXPECT_FALSE(IsWidened(Identity(is), Identity(was)));
    EXPECT_TRUE(LiesInANewWay(was, is));
    EXPECT_FALSE(LiesInANewWay(is, was));
    EXPECT_FALSE(LiesInANewWay(is, is));
  }
  EXPECT_FALSE(IsWidened(Identity(key), Identity(runs)));
  EXPECT_FALSE(IsWidened(Identity(running), Identity(key)));
  EXPECT_FALSE(IsWidened(Identity(whole), Identity("top 3 by [id int64] of id int64, n int64 by key")));
  EXPECT_FALSE(IsWidened(Identity(whole), Identity("top 4 by [id int32] of id int32, n int64 by key")));
}

// What was kept in no order lies in that of the topology which comes first, and then in no other.
TEST(Widening, RowsOfTopOverUpdatesLieInOneOrder) {
  const std::string whole = "top 3 by [id int32] of id int32, a in order 1 by rank int64";
  const std::string up = whole + " in order 1 0 by rank", down = whole + " in order 1 desc 0 by rank";
  for (const std::string& is : {up, down}) {
    EXPECT_TRUE(IsWidened(Identity(whole), Identity(is)));
    EXPECT_FALSE(IsWidened(Identity(is), Identity(whole)));
    EXPECT_TRUE(LiesInANewWay(whole, is));
    EXPECT_FALSE(LiesInANewWay(is, whole));
  }
  EXPECT_FALSE(IsWidened(Identity(up), Identity(down)));
  EXPECT_FALSE(LiesInANewWay(up, down));
  EXPECT_FALSE(IsWidened(Identity(whole + " by key"), Identity(up)));
}

TEST(Widening, WhatAlertsKeepLiesByKeyAndDoesNotGoBack) {
  const std::string was = "alert by [id int32] of id int32", is = was + " by key";
  EXPECT_TRUE(IsWidened(Identity(was), Identity(is)));
  EXPECT_TRUE(LiesInANewWay(was, is));
  EXPECT_FALSE(IsWidened(Identity(is), Identity(was)));
  EXPECT_FALSE(IsWidened(Identity(was), Identity("alert by [id int64] of id int64 by key")));
}

}  // namespace
}  // namespace tidemark
