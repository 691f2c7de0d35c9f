#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/join/table_snapshot.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;

TablePlan LocationsPlan(std::string_view columns, std::vector<size_t> key) {
  TablePlan plan;
  plan.name = "locations";
  const Schema schema = Columns(columns);
  for (const Column& column : schema.columns()) plan.columns.push_back({.column = column});
  plan.key = std::move(key);
  return plan;
}

std::shared_ptr<const TableSnapshot> Table(const TablePlan& plan, std::string_view columns,
                                           const std::vector<TestRow>& rows, const std::vector<uint8_t>& deleted = {}) {
  const Schema schema = Columns(columns);
  const Batch with_time = ToBatch(schema, HiddenSet(), rows);
  const Batch batch = with_time->RemoveColumn(with_time->num_columns() - 1).ValueOrDie();
  return TableSnapshot::Build(plan, {batch}, deleted).value();
}

constexpr std::string_view kLocations = "id int64, name string";

std::shared_ptr<const TableSnapshot> Locations() {
  return Table(LocationsPlan(kLocations, {0}), kLocations,
               {{{int64_t{1}, std::string("old")}},
                {{int64_t{2}, std::string("gone")}},
                {{int64_t{1}, std::string("new")}},
                {{int64_t{2}, std::string()}},
                {{int64_t{3}, std::string("three")}}},
               {0, 0, 0, 1, 0});
}

Node JoinNode(bool left, HiddenSet hidden = AllHidden()) {
  JoinSpec spec;
  spec.table = "locations";
  spec.on = {{0, 0}};
  spec.left = left;
  spec.columns = {1};
  spec.unmatched_topic = "unmatched";
  return MakeNode(spec, Columns("location int64 null, v int64"), hidden,
                  Columns("location int64 null, v int64, name string null"));
}

std::vector<TestRow> Rows() {
  return {{.cells = {int64_t{1}, int64_t{10}}, .time = 1},
          {.cells = {int64_t{2}, int64_t{20}}, .time = 2},
          {.cells = {Cell(), int64_t{30}}, .time = 3},
          {.cells = {int64_t{3}, int64_t{40}}, .time = 4},
          {.cells = {int64_t{1}, int64_t{50}}, .time = 5}};
}

TEST(Table, OfSeveralRowsWithOneKeyTheLastStandsAndATombstoneRemoves) { EXPECT_EQ(Locations()->size(), 2); }

TEST(Table, TheRowsOfSeveralPiecesAreOneTableWhereverTheyAreCut) {
  for (const std::string key : {"id", "name"}) {
    const TablePlan plan = LocationsPlan(kLocations, {key == "id" ? size_t{0} : size_t{1}});
    const Batch whole = ToBatch(Columns(kLocations), HiddenSet(),
                                {{{int64_t{1}, std::string("a")}},
                                 {{int64_t{2}, std::string("b")}},
                                 {{int64_t{1}, std::string("a")}},
                                 {{int64_t{3}, std::string("c")}},
                                 {{int64_t{2}, std::string("b")}}})
                            ->RemoveColumn(2)
                            .ValueOrDie();
    const std::vector<uint8_t> deleted = {0, 0, 0, 0, 1};
    const auto expected = TableSnapshot::Build(plan, {whole}, deleted).value();
    EXPECT_EQ(expected->size(), 2);
    for (int64_t first = 0; first <= 5; ++first) {
      for (int64_t second = first; second <= 5; ++second) {
        const auto table = TableSnapshot::Build(
            plan, {whole->Slice(0, first), whole->Slice(first, second - first), whole->Slice(second)}, deleted);
        ASSERT_TRUE(table.ok()) << table.status();
        EXPECT_TRUE((*table)->rows()->Equals(*expected->rows())) << key << " " << first << " " << second;
      }
    }
  }
}

TEST(Join, InnerDropsRowsWithoutAMatchAndSendsThemToTheirTopic) {
  Harness h(JoinNode(false), {{"locations", Locations()}});
  h.Process(Rows());
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|10|new", "3|40|three", "1|50|new"));
  EXPECT_THAT(CellsText(h.out().unmatched), ElementsAre("2|20", "NULL|30"));
  EXPECT_EQ(h.out().rows[1].time, 4);
  EXPECT_EQ(h.ledger().unmatched, 2);
  h.CheckLedger();
}

TEST(Join, LeftKeepsThemWithNulls) {
  Harness h(JoinNode(true), {{"locations", Locations()}});
  h.Feed(Rows(), 2);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|10|new", "2|20|NULL", "NULL|30|NULL", "3|40|three", "1|50|new"));
  EXPECT_EQ(h.ledger().passed, 5);
  h.CheckLedger();
}

TEST(Join, LeavesOutColumnsThatArentPassedButNotOfRowsWithoutAMatch) {
  for (const bool left : {false, true}) {
    Node node = JoinNode(left);
    node.inputs[0].passed = {1};
    node.output = Columns("v int64, name string null");
    Harness h(node, {{"locations", Locations()}});
    h.Process(Rows());
    std::vector<std::string> expected = {"10|new", "40|three", "50|new"};
    if (left) expected = {"10|new", "20|NULL", "30|NULL", "40|three", "50|new"};
    EXPECT_EQ(CellsText(h.out().rows), expected);
    EXPECT_EQ(h.out().rows.back().time, 5);
    EXPECT_THAT(CellsText(h.out().unmatched), ElementsAre("2|20", "NULL|30"));
  }
}

TEST(Join, AKeyOfSeveralColumnsMatchesAsAWholeAndNeverOnNull) {
  constexpr std::string_view kTable = "a string null, b int32, x double";
  const auto table = Table(
      LocationsPlan(kTable, {0, 1}), kTable,
      {{{std::string("p"), int64_t{1}, 1.5}}, {{std::string("p"), int64_t{2}, 2.5}}, {{Cell(), int64_t{1}, 9.5}}});
  JoinSpec spec;
  spec.table = "t";
  spec.on = {{1, 0}, {0, 1}};
  spec.columns = {2};
  Harness h(
      MakeNode(spec, Columns("b int32, a string null"), AllHidden(), Columns("b int32, a string null, x double null")),
      {{"t", table}});
  h.Process({{{int64_t{2}, std::string("p")}},
             {{int64_t{1}, Cell()}},
             {{int64_t{1}, std::string("p")}},
             {{int64_t{3}, std::string("p")}}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("2|p|2.5", "1|p|1.5"));
  EXPECT_EQ(h.ledger().unmatched, 2);
}

TEST(Join, OverUpdatesHalfAPairBecomesADeleteOrAnInsert) {
  Harness h(JoinNode(false, UpdateHidden()), {{"locations", Locations()}});
  h.Process({{.cells = {int64_t{1}, int64_t{1}}, .op = Op::kUpdateBefore},
             {.cells = {int64_t{7}, int64_t{1}}, .op = Op::kUpdateAfter},
             {.cells = {int64_t{7}, int64_t{1}}, .op = Op::kUpdateBefore},
             {.cells = {int64_t{3}, int64_t{1}}, .op = Op::kUpdateAfter}});
  EXPECT_THAT(h.out().rows,
              ElementsAre(TestRow{.cells = {int64_t{1}, int64_t{1}, std::string("new")}, .op = Op::kDelete},
                          TestRow{.cells = {int64_t{3}, int64_t{1}, std::string("three")}, .op = Op::kInsert}));
  EXPECT_EQ(h.out().unmatched.size(), 1u);
  h.CheckLedger();
}

}  // namespace
}  // namespace tidemark
