#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Schema kSchema = Columns("id int64, items json null, name string null");

Node UnnestNode(UnnestSpec spec, HiddenSet hidden = AllHidden()) {
  return MakeNode(spec, kSchema, hidden, Columns("id int64, name string null, item json null, place int64 null"));
}
UnnestSpec Spec(bool outer = false) { return {.column = 1, .ordinality = true, .outer = outer}; }

TestRow Row(int64_t id, Cell items, Op op = Op::kInsert) { return {.cells = {id, std::move(items), "n"}, .op = op}; }
Cell Text(const char* text) { return std::string(text); }

TEST(Unnest, EachElementIsARowInTheOrderOfTheArray) {
  Harness h(UnnestNode(Spec()));
  h.Process({Row(1, Text(R"([10, {"a": [1]}, null , "x"])")), Row(2, Text("[true]"))});
  EXPECT_THAT(CellsText(h.out().rows),
              ElementsAre("1|n|10|1", R"(1|n|{"a": [1]}|2)", "1|n|NULL|3", R"(1|n|"x"|4)", "2|n|true|1"));
  EXPECT_EQ(h.ledger().passed, 2);
  EXPECT_EQ(h.ledger().out, 5);
  h.CheckLedger();
}

TEST(Unnest, RowsHaveTheTimeAndPlaceOfTheirRow) {
  Harness h(UnnestNode(Spec()));
  h.Process({{.cells = {int64_t{1}, Text("[1,2]"), "n"},
              .time = 5,
              .watermark = 4,
              .source = 1,
              .partition = 2,
              .offset = 3}});
  ASSERT_EQ(h.out().rows.size(), 2u);
  for (const TestRow& row : h.out().rows) {
    EXPECT_EQ(row, (TestRow{.cells = row.cells, .time = 5, .watermark = 4, .source = 1, .partition = 2, .offset = 3}));
  }
}

TEST(Unnest, NoElementsMakeNoRowOrOneWithNull) {
  for (const char* items : {"[]", " [ ] ", "null"}) {
    Harness h(UnnestNode(Spec()));
    h.Process({Row(1, Text(items)), Row(2, Cell())});
    EXPECT_THAT(h.out().rows, IsEmpty()) << items;
    EXPECT_EQ(h.ledger().filtered, 2);
    h.CheckLedger();
    Harness outer(UnnestNode(Spec(/*outer=*/true)));
    outer.Process({Row(1, Text(items)), Row(2, Cell()), Row(3, Text("[7]"))});
    EXPECT_THAT(CellsText(outer.out().rows), ElementsAre("1|n|NULL|NULL", "2|n|NULL|NULL", "3|n|7|1"));
    outer.CheckLedger();
  }
}

TEST(Unnest, WhatIsNoArrayGoesToTheDeadLetters) {
  Harness h(UnnestNode(Spec()));
  h.Process({Row(1, Text("{}")), Row(2, Text("5")), Row(3, Text("[5]"))});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("3|n|5|1"));
  EXPECT_THAT(h.out().failures, ElementsAre("unnest items: cannot extract elements from an object: 1|{}|n",
                                            "unnest items: cannot extract elements from a scalar: 2|5|n"));
  h.CheckLedger();
}

TEST(Unnest, AChangeOfARowIsOneOfEachElement) {
  Harness h(UnnestNode(Spec(), UpdateHidden()));
  h.Process({Row(1, Text("[1,2]")), Row(1, Text("[1,2]"), Op::kUpdateBefore), Row(1, Text("[3]"), Op::kUpdateAfter),
             Row(1, Text("[3]"), Op::kUpdateBefore), Row(1, Text("[]"), Op::kUpdateAfter)});
  const auto change = [](Op op, const char* item, int64_t place) {
    return TestRow{.cells = {int64_t{1}, "n", Text(item), place}, .op = op};
  };
  EXPECT_THAT(h.out().rows,
              ElementsAre(change(Op::kInsert, "1", 1), change(Op::kInsert, "2", 2), change(Op::kUpdateBefore, "1", 1),
                          change(Op::kUpdateAfter, "3", 1), change(Op::kDelete, "2", 2), change(Op::kDelete, "3", 1)));
  h.CheckLedger();
}

// However the rows are cut, and with halves that are refused, what stands at the end is what the last arrays hold.
TEST(Unnest, WhatStandsIsWhatTheLastArraysHold) {
  const char* kArrays[] = {"[1,2,3]", "[]", "[4]", "{}", "[5,6]", "[5,6,7]"};
  for (const size_t batch : {1, 2, 3, 100}) {
    for (const bool outer : {false, true}) {
      Harness h(UnnestNode(Spec(outer), UpdateHidden()));
      std::vector<TestRow> rows = {Row(1, Text(kArrays[0])), Row(2, Text("[0]"))};
      for (size_t i = 1; i < std::size(kArrays); ++i) {
        rows.push_back(Row(1, Text(kArrays[i - 1]), Op::kUpdateBefore));
        rows.push_back(Row(1, Text(kArrays[i]), Op::kUpdateAfter));
      }
      rows.push_back(Row(2, Text("[0]"), Op::kDelete));
      h.Feed(rows, batch);
      EXPECT_THAT(Fold(h.out().rows, {0, 3}),
                  ElementsAre(std::pair("1|1", "1|n|5|1"), std::pair("1|2", "1|n|6|2"), std::pair("1|3", "1|n|7|3")));
      h.CheckLedger();
    }
  }
}

}  // namespace
}  // namespace tidemark
