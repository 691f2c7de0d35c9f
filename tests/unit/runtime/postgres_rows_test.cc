// The changes of a PostgreSQL table as records, and how far they are taken, wherever a transaction is broken off.
#include "src/runtime/postgres_rows.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/murmur2.h"

namespace tidemark {
namespace {

using pgoutput::Begin;
using pgoutput::Cell;
using pgoutput::Change;
using pgoutput::Commit;
using pgoutput::Relation;
using pgoutput::Truncate;
using pgoutput::Tuple;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kTable = 17;

Cell Text(std::string_view text) { return {Cell::Kind::kText, text}; }
const Cell kNull{Cell::Kind::kNull, {}}, kUnchanged{Cell::Kind::kUnchanged, {}};

PgColumn ColumnOf(const char* name, Type type, size_t position, uint32_t oid) {
  PgColumn column;
  column.name = name;
  column.column = {name, type, position > 0};
  column.position = position;
  column.key = position == 0;
  column.type = oid;
  column.kind = PgKindOf(oid);
  return column;
}

class Rows : public ::testing::Test {
 protected:
  Rows() {
    source_.name = "orders";
    source_.key = {0};
    source_.postgres.emplace();
    source_.postgres->table = "orders";
    source_.postgres->partitions = 4;
    rows_.emplace(source_);
    Connect();
  }

  // A connection, anew.
  void Connect() {
    PgTable table;
    table.oid = kTable;
    table.database = "shop";
    table.columns = {ColumnOf("id", {.kind = Kind::kInt64}, 0, 20), ColumnOf("note", {.kind = Kind::kString}, 1, 25),
                     ColumnOf("seen", {.kind = Kind::kTimestamp}, 2, 1184)};
    rows_->Begin(std::move(table));
  }
  // And what the source keeps of the former one.
  void Restart() {
    const packed::PostgresPosition position = rows_->position();
    rows_.emplace(source_);
    rows_->position() = position;
    Connect();
  }

  absl::Status Take(const pgoutput::Message& message, Lsn lsn = 0) { return rows_->Take(message, lsn, &out_); }
  void Describe() { ASSERT_TRUE(Take(Relation{kTable, "public", "orders", 'd', Columns()}).ok()); }
  static std::vector<Relation::Column> Columns() {
    return {{true, "id", 20}, {false, "extra", 25}, {false, "note", 25}, {false, "seen", 1184}};
  }
  static Tuple Row(std::string_view id, Cell note, Cell seen = kNull) { return {Text(id), Text("x"), note, seen}; }
  static Change Insert(std::string_view id, Cell note, Cell seen = kNull) {
    return {Change::Kind::kInsert, kTable, 0, {}, Row(id, note, seen)};
  }
  static Change Delete(std::string_view id) {
    return {Change::Kind::kDelete, kTable, 'K', {Text(id), kNull, kNull, kNull}, {}};
  }
  // "c{...}" of each record: its operation and its row.
  std::vector<std::string> Told() {
    std::vector<std::string> told;
    for (const IntakeRecord& record : out_.records) {
      const size_t row = record.value.find(record.value[7] == 'd' ? "\"before\":" : "\"after\":");
      const size_t from = record.value.find('{', row);
      told.push_back(record.value.substr(7, 1) + record.value.substr(from, record.value.size() - from - 1));
    }
    return told;
  }

  SourcePlan source_;
  std::optional<PostgresRows> rows_;
  IntakeRows out_;
};

TEST_F(Rows, ATransactionMovesThePositionBehindItsCommit) {
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Insert("1", Text("a\"b"), Text("2026-01-31 12:00:00.5+00")), 90).ok());
  ASSERT_TRUE(Take(Commit{100, 120}).ok());
  EXPECT_THAT(Told(), ElementsAre(R"(c{"id":1,"note":"a\"b","seen":"2026-01-31T12:00:00.5Z"})"));
  EXPECT_THAT(out_.records[0].value, HasSubstr(R"("source":{"lsn":90,"ts_us":5,"ts_ms":0,"txId":7,"snapshot":false,)"
                                               R"("db":"shop","schema":"public","table":"orders"})"));
  EXPECT_EQ(out_.records[0].key, R"({"id":1})");
  EXPECT_EQ(out_.records[0].partition, JavaPartition(R"({"id":1})", 4));
  EXPECT_EQ(rows_->position().lsn(), 120u);
  EXPECT_EQ(rows_->position().commit_lsn(), 0u);
}

TEST_F(Rows, TheEndOfATransactionIsToldWhereItIsAskedFor) {
  source_.format = "debezium";
  source_.format.options["atomic"] = "transactions";
  source_.postgres->partitions = 1;
  rows_.emplace(source_);
  Connect();
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Insert("1", kNull), 90).ok());
  Restart();  // in by half: the end is still to be told
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Insert("1", kNull), 90).ok());
  ASSERT_TRUE(Take(Commit{100, 120}, 110).ok());
  ASSERT_EQ(out_.records.size(), 2u);
  EXPECT_THAT(out_.records[1].value, AllOf(HasSubstr(R"({"op":"m","source":{"lsn":110,)"),
                                           HasSubstr(R"("table":"orders","ends_transaction":true}})")));
  EXPECT_FALSE(out_.records[1].is_row);
  EXPECT_EQ(out_.records[1].partition, 0);
  Restart();  // in as a whole: it comes again, and nothing of it is told
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Insert("1", kNull), 90).ok());
  ASSERT_TRUE(Take(Commit{100, 120}, 110).ok());
  // One that has changed other tables only has no end here.
  ASSERT_TRUE(Take(Begin{200, 5, 8}).ok());
  ASSERT_TRUE(Take(Commit{200, 220}, 210).ok());
  EXPECT_EQ(out_.records.size(), 2u);
  EXPECT_EQ(rows_->position().lsn(), 220u);
}

TEST_F(Rows, AnUpdateOfTheKeyIsADeletionAndThenAnInsert) {
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  Change change{Change::Kind::kUpdate, kTable, 'K', {Text("1"), kNull, kNull, kNull}, Row("2", kUnchanged)};
  ASSERT_TRUE(Take(change, 90).ok());
  EXPECT_THAT(Told(), ElementsAre(R"(d{"id":1})", R"(c{"id":2,"note":"__debezium_unavailable_value","seen":null})"));
  EXPECT_EQ(rows_->position().changes(), 1u) << "one change, though it is two records";
}

TEST_F(Rows, AValueThatHasntChangedComesFromTheRowBeforeWhereTheLogHasIt) {
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Change{Change::Kind::kUpdate, kTable, 'O', Row("1", Text("long")), Row("1", kUnchanged)}, 90).ok());
  EXPECT_THAT(Told(), ElementsAre(R"(u{"id":1,"note":"long","seen":null})"));
}

TEST_F(Rows, ALongKeyThatHasntChangedComesFromTheOldKey) {
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  Tuple now = Row("1", Text("b"));
  now[0] = kUnchanged;
  ASSERT_TRUE(Take(Change{Change::Kind::kUpdate, kTable, 'K', {Text("1"), kNull, kNull, kNull}, now}, 90).ok());
  EXPECT_THAT(Told(), ElementsAre(R"(u{"id":1,"note":"b","seen":null})"));
}

TEST_F(Rows, ATransactionThatIsInByHalfGoesOnWhereItWas) {
  const auto begin = [&] {
    EXPECT_TRUE(Take(Begin{100, 5, 7}).ok());
    Describe();
  };
  begin();
  ASSERT_TRUE(Take(Insert("1", Text("a")), 80).ok());
  ASSERT_TRUE(Take(Insert("2", Text("a")), 80).ok());  // of one statement: two rows in one place
  Restart();
  EXPECT_FALSE(rows_->CanMoveTo(500)) << "the rest of the transaction is to come";
  begin();
  ASSERT_TRUE(Take(Insert("1", Text("a")), 80).ok());
  ASSERT_TRUE(Take(Insert("2", Text("a")), 80).ok());
  ASSERT_TRUE(Take(Insert("3", Text("a")), 80).ok());
  ASSERT_TRUE(Take(Commit{100, 120}).ok());
  EXPECT_THAT(Told(), ElementsAre(HasSubstr("\"id\":1"), HasSubstr("\"id\":2"), HasSubstr("\"id\":3")));
  EXPECT_EQ(rows_->position().lsn(), 120u);
  EXPECT_TRUE(rows_->CanMoveTo(500));
}

TEST_F(Rows, ATransactionThatDoesntComeAgainAsItWasIsAnError) {
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Insert("1", Text("a")), 80).ok());
  ASSERT_TRUE(Take(Insert("2", Text("a")), 81).ok());
  Restart();
  EXPECT_THAT(Take(Begin{101, 5, 8}).message(), HasSubstr("goes on behind it"));
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Insert("1", Text("a")), 80).ok());
  EXPECT_THAT(Take(Commit{100, 120}).message(), HasSubstr("2 changes are in, and now it has 1"));
  EXPECT_THAT(Take(Insert("2", Text("a")), 82).message(), HasSubstr("the log tells other ones"));
}

TEST_F(Rows, ATransactionThatIsInIsntTakenTwice) {
  rows_->position().set_lsn(120);
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Insert("1", Text("a")), 80).ok());
  ASSERT_TRUE(Take(Commit{100, 120}).ok());
  EXPECT_THAT(out_.records, IsEmpty());
  EXPECT_EQ(rows_->position().lsn(), 120u);
}

TEST_F(Rows, AQuietTablesPositionMovesOnlyBetweenTransactions) {
  EXPECT_TRUE(rows_->CanMoveTo(50));
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  EXPECT_FALSE(rows_->CanMoveTo(50));
  ASSERT_TRUE(Take(Commit{100, 120}).ok());
  EXPECT_FALSE(rows_->CanMoveTo(120));
  EXPECT_TRUE(rows_->CanMoveTo(121));
}

TEST_F(Rows, OtherTablesOfThePublicationArePassedOver) {
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  ASSERT_TRUE(Take(Relation{18, "public", "others", 'd', {{true, "id", 20}}}).ok());
  ASSERT_TRUE(Take(Change{Change::Kind::kInsert, 18, 0, {}, {Text("1")}}, 80).ok());
  ASSERT_TRUE(Take(Truncate{{18}}, 81).ok());
  ASSERT_TRUE(Take(Commit{100, 120}).ok());
  EXPECT_THAT(out_.records, IsEmpty());
  EXPECT_EQ(rows_->position().lsn(), 120u);
}

TEST_F(Rows, AChangeThatASnapshotHasOvertakenSaysSo) {
  rows_->position().set_snapshot_lsn(101);
  for (const Lsn commit : {100, 101}) {
    ASSERT_TRUE(Take(Begin{commit, 5, 7}).ok());
    Describe();
    ASSERT_TRUE(Take(Insert("1", Text("a")), 80).ok());
    ASSERT_TRUE(Take(Commit{commit, commit + 1}).ok());
  }
  ASSERT_EQ(out_.records.size(), 2u);
  EXPECT_THAT(out_.records[0].value, HasSubstr("\"overtaken\":true"));
  EXPECT_THAT(out_.records[1].value, ::testing::Not(HasSubstr("overtaken")));
}

TEST_F(Rows, ASnapshotsRowHasTheColumnsThatWereAskedFor) {
  rows_->Row({Text("1"), Text("__debezium_unavailable_value"), kNull}, 70, 5, &out_);
  rows_->Row({Text("2"), Text("b"), Text("infinity")}, 70, 5, &out_);
  EXPECT_THAT(Told(), ElementsAre(R"(r{"id":2,"note":"b","seen":"infinity"})"));
  ASSERT_EQ(out_.letters.size(), 1u);
  EXPECT_THAT(out_.letters[0].reason, HasSubstr("column note holds the very value"));
}

TEST_F(Rows, ATruncateStopsInFrontOfItselfOrIsALetter) {
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Insert("1", Text("a")), 80).ok());
  const absl::Status stopped = Take(Truncate{{18, kTable}}, 81);
  EXPECT_EQ(stopped.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(stopped.message(), HasSubstr("on_truncate: dead_letter"));
  EXPECT_EQ(rows_->position().changes(), 1u);
  source_.postgres->stop_on_truncate = false;
  Restart();
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  Describe();
  ASSERT_TRUE(Take(Insert("1", Text("a")), 80).ok());
  ASSERT_TRUE(Take(Truncate{{18, kTable}}, 81).ok());
  ASSERT_TRUE(Take(Commit{100, 120}).ok());
  EXPECT_EQ(out_.records.size(), 1u);
  ASSERT_EQ(out_.letters.size(), 1u);
  EXPECT_THAT(out_.letters[0].reason, HasSubstr("TRUNCATE"));
}

TEST_F(Rows, RowsOfATableThatHasChangedAreLettersAndDeletionsStillHold) {
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  ASSERT_TRUE(Take(Relation{kTable, "public", "orders", 'd', {{true, "id", 20}, {false, "note", 1009}}}).ok());
  ASSERT_TRUE(Take(Change{Change::Kind::kInsert, kTable, 0, {}, {Text("1"), Text("{a}")}}, 80).ok());
  ASSERT_TRUE(Take(Change{Change::Kind::kDelete, kTable, 'K', {Text("1"), kNull}, {}}, 81).ok());
  ASSERT_EQ(out_.letters.size(), 1u);
  EXPECT_THAT(out_.letters[0].reason, HasSubstr("the table has changed"));
  EXPECT_THAT(Told(), ElementsAre(R"(d{"id":1})"));
}

TEST_F(Rows, AWiderTypeThatTheColumnTakesIsntAChange) {
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  // integer, varchar, timestamp: of the columns int64, string and timestamp.
  ASSERT_TRUE(Take(Relation{kTable,
                            "public",
                            "orders",
                            'd',
                            {{true, "id", 23}, {false, "extra", 25}, {false, "note", 1043}, {false, "seen", 1114}}})
                  .ok());
  ASSERT_TRUE(Take(Insert("1", Text("a"), Text("2026-01-31 12:00:00.5")), 80).ok());
  ASSERT_TRUE(Take(Delete("2"), 81).ok());
  EXPECT_THAT(out_.letters, IsEmpty());
  EXPECT_THAT(Told(), ElementsAre(R"(c{"id":1,"note":"a","seen":"2026-01-31T12:00:00.5Z"})", R"(d{"id":2})"));
}

TEST_F(Rows, RowsNamedByAnotherIdentityThanTheKeyAreAnErrorAndNewOnesAreNot) {
  Lsn lsn = 10;
  const auto deleted = [&](char identity, bool id, bool note) {
    std::vector<Relation::Column> columns = Columns();
    columns[0].identity = id;
    columns[2].identity = columns[3].identity = note;
    EXPECT_TRUE(Take(Relation{kTable, "public", "orders", identity, columns}).ok());
    EXPECT_TRUE(Take(Insert("1", Text("a")), ++lsn).ok());
    return Take(Delete("1"), ++lsn);
  };
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  EXPECT_TRUE(deleted('d', true, false).ok());
  EXPECT_TRUE(deleted('i', true, false).ok());
  EXPECT_TRUE(deleted('f', true, true).ok()) << "a row that is named by all its values has those of the key";
  for (const auto& refused : {deleted('i', false, true), deleted('i', true, true), deleted('n', false, false)}) {
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_THAT(deleted('i', false, true).message(),
              HasSubstr("by (note, seen), its replica identity at that time, and the source's `key` is (id)"));
}

TEST_F(Rows, ATableThatWasMadeAnewIsAnError) {
  EXPECT_THAT(Take(Relation{18, "public", "orders", 'd', Columns()}).message(), HasSubstr("dropped and made anew"));
}

TEST_F(Rows, AStreamThatContradictsItselfIsAnError) {
  EXPECT_FALSE(Take(Commit{100, 120}).ok());
  EXPECT_FALSE(Take(Insert("1", Text("a")), 80).ok()) << "of a table that wasn't described";
  ASSERT_TRUE(Take(Begin{100, 5, 7}).ok());
  EXPECT_FALSE(Take(Begin{130, 5, 7}).ok());
  Describe();
  EXPECT_FALSE(Take(Change{Change::Kind::kInsert, kTable, 0, {}, {Text("1")}}, 80).ok()) << "too few columns";
  EXPECT_FALSE(Take(Change{Change::Kind::kDelete, kTable, 0, {}, {}}, 80).ok());
}

TEST_F(Rows, ANewSnapshotIsNumberedAndItsEndStandsInEveryPartition) {
  rows_->EndSnapshot(90, 5, &out_);
  EXPECT_THAT(out_.records, IsEmpty()) << "the first one has nothing to say of others";
  EXPECT_TRUE(rows_->position().snapshot_done());
  Restart();
  rows_->position().Clear();
  rows_->position().set_resnapshot(2);
  rows_->Row({Text("1"), Text("note"), kNull}, 90, 5, &out_);
  EXPECT_THAT(out_.records[0].value, HasSubstr(R"("snapshot":true,"resnapshot":2,"db")"));
  EXPECT_EQ(out_.records[0].form, 2) << "which earlier versions refuse";
  out_.records.clear();
  rows_->EndSnapshot(90, 5, &out_);
  ASSERT_EQ(out_.records.size(), 4u);
  for (int32_t p = 0; p < 4; ++p) {
    const IntakeRecord& end = out_.records[static_cast<size_t>(p)];
    EXPECT_EQ(end.partition, p);
    EXPECT_EQ(JavaPartition(*end.key, 4), p) << *end.key;
    EXPECT_FALSE(end.is_row);
    EXPECT_EQ(end.form, 2);
    EXPECT_THAT(end.value, HasSubstr(R"({"op":"m","source":{"lsn":90,)"));
    EXPECT_THAT(end.value, HasSubstr(R"("resnapshot":2,)"));
  }
  EXPECT_EQ(out_.counts[0]["snapshots"], 2);
}

}  // namespace
}  // namespace tidemark
