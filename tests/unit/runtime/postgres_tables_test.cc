// Several tables of one log: each has a position of its own, whatever the others have, and the intake's is all of them.
#include "src/runtime/postgres_tables.h"

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using pgoutput::Begin;
using pgoutput::Cell;
using pgoutput::Change;
using pgoutput::Commit;
using pgoutput::Relation;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kOrders = 17, kPlaces = 18;

SourcePlan SourceOf(const char* name, bool shared) {
  SourcePlan source;
  source.name = source.topic = name;
  source.key = {0};
  source.postgres.emplace();
  source.postgres->slot = "shop";
  source.postgres->table = name;
  source.postgres->shares_slot = shared;
  return source;
}

class Tables : public ::testing::Test {
 protected:
  Tables() { Open({&orders_, &places_}, ""); }

  // The slot, read anew: by these tables, from that position.
  void Open(std::vector<const SourcePlan*> sources, const std::string& position) {
    IntakePlan intake{sources.front()->postgres->shares_slot ? "shop" : sources.front()->name, std::move(sources), 1};
    tables_.emplace(intake);
    ASSERT_TRUE(tables_->Read(position).ok());
    Connect();
  }
  void Connect() {
    for (PostgresTables::Table& table : tables_->all()) {
      PgTable found;
      found.oid = table.rows.source().name == "orders" ? kOrders : kPlaces;
      found.columns.emplace_back();
      found.columns[0].name = "id";
      found.columns[0].column = {"id", {.kind = Kind::kInt64}, false};
      found.columns[0].key = true;
      found.columns[0].type = 20;
      found.columns[0].kind = PgKind::kBigInt;
      table.rows.Begin(std::move(found));
    }
  }
  // Its snapshot is in: of what was committed in front of there.
  void IsRead(size_t table, Lsn lsn) {
    packed::PostgresPosition& position = tables_->all()[table].rows.position();
    position.set_lsn(lsn);
    position.set_snapshot_lsn(lsn);
    position.set_snapshot_done(true);
  }

  void Take(const pgoutput::Message& message, Lsn lsn = 0) {
    const absl::Status taken = tables_->Take(message, lsn, &out_);
    ASSERT_TRUE(taken.ok()) << taken;
  }
  void Describe() {
    Take(Relation{kOrders, "public", "orders", 'd', {{true, "id", 20}}});
    Take(Relation{kPlaces, "public", "places", 'd', {{true, "id", 20}}});
  }
  void Insert(uint32_t table, std::string_view id, Lsn lsn) {
    Take(Change{Change::Kind::kInsert, table, 0, {}, {{Cell::Kind::kText, id}}}, lsn);
  }
  // "0:1": the target and the row's key.
  std::vector<std::string> Told() {
    std::vector<std::string> told;
    for (const IntakeRecord& record : out_.records) {
      told.push_back(std::to_string(record.target) + ":" + record.key->substr(6, record.key->size() - 7));
    }
    out_ = {};
    return told;
  }

  const SourcePlan orders_ = SourceOf("orders", true), places_ = SourceOf("places", true);
  std::optional<PostgresTables> tables_;
  IntakeRows out_;
};

TEST_F(Tables, EachChangeGoesToItsTableAndACommitMovesAll) {
  IsRead(0, 50);
  IsRead(1, 50);
  ASSERT_TRUE(tables_->Begin());
  Take(Begin{100, 5, 7});
  Describe();
  Insert(kOrders, "1", 80);
  Insert(kPlaces, "2", 81);
  Insert(19, "3", 82);  // another table of the publication
  Take(Commit{100, 120});
  EXPECT_THAT(out_.counts, ElementsAre(std::pair<const size_t, IntakeCounts>{0, {{"inserts", 1}}},
                                       std::pair<const size_t, IntakeCounts>{1, {{"inserts", 1}}}));
  EXPECT_THAT(Told(), ElementsAre("0:1", "1:2"));
  EXPECT_EQ(tables_->First(), 120u);
}

TEST_F(Tables, ATransactionThatIsInByHalfIsSoForEachTableByItself) {
  IsRead(0, 50);
  IsRead(1, 50);
  ASSERT_TRUE(tables_->Begin());
  Take(Begin{100, 5, 7});
  Describe();
  Insert(kOrders, "1", 80);
  Insert(kPlaces, "2", 81);
  Insert(kOrders, "3", 82);
  Told();
  const std::string half = tables_->Write();

  Open({&orders_, &places_}, half);
  ASSERT_TRUE(tables_->Begin());
  EXPECT_EQ(tables_->First(), 50u) << "the transaction is to come again";
  Take(Begin{100, 5, 7});
  Describe();
  Insert(kOrders, "1", 80);
  Insert(kPlaces, "2", 81);
  Insert(kOrders, "3", 82);
  Insert(kPlaces, "4", 83);
  Take(Commit{100, 120});
  EXPECT_THAT(Told(), ElementsAre("1:4"));
}

TEST_F(Tables, ATableTakesNothingUntilItsSnapshotIsInAndThenWhatCameMeanwhile) {
  IsRead(0, 50);
  tables_->all()[1].rows.position().set_lsn(60);  // where it begins; its snapshot is under way
  ASSERT_TRUE(tables_->Begin());
  const auto tell = [&] {
    Take(Begin{100, 5, 7});
    Describe();
    Insert(kOrders, "1", 80);
    Insert(kPlaces, "2", 81);
    Take(Commit{100, 120});
  };
  tell();
  EXPECT_THAT(Told(), ElementsAre("0:1"));
  EXPECT_EQ(tables_->First(), 60u) << "the slot mustn't be told of more than that";
  tables_->MoveTo(500);
  EXPECT_EQ(tables_->First(), 60u);
  EXPECT_FALSE(tables_->all_are_read());

  // The log once more, from there on.
  IsRead(1, 60);
  Connect();
  ASSERT_TRUE(tables_->Begin());
  tell();
  EXPECT_THAT(Told(), ElementsAre("1:2")) << "and not again what the other one has";
  EXPECT_TRUE(tables_->all_are_read());
}

TEST_F(Tables, APositionOfOneTableIsReadAndWrittenAsItWas) {
  const SourcePlan alone = SourceOf("orders", false);
  packed::PostgresPosition position;
  position.set_lsn(50);
  position.set_table(kOrders);
  position.set_snapshot_done(true);
  Open({&alone}, position.SerializeAsString());
  EXPECT_EQ(tables_->First(), 50u);
  EXPECT_EQ(tables_->Write(), position.SerializeAsString());
}

TEST_F(Tables, ATableThatIsGoneIsForgottenAndANewOneHasNoPlace) {
  IsRead(0, 50);
  IsRead(1, 70);
  packed::PostgresPosition all;
  ASSERT_TRUE(ReadPostgresPosition(tables_->Write(), &all));
  EXPECT_EQ(all.lsn(), 50u);
  EXPECT_TRUE(all.snapshot_done());
  Open({&places_}, tables_->Write());
  EXPECT_EQ(tables_->First(), 70u);
  const std::string of_one = tables_->Write();
  Open({&orders_, &places_}, of_one);
  EXPECT_EQ(tables_->First(), 70u) << "what has no place yet holds nothing";
  EXPECT_EQ(tables_->all()[0].lsn(), 0u);
  ASSERT_TRUE(ReadPostgresPosition(tables_->Write(), &all));
  EXPECT_FALSE(all.snapshot_done());
}

// A database of two tables and its log, and who reads it: dies at any moment, and goes on from what was committed.
class Replay {
 public:
  explicit Replay(uint64_t seed) : random_(seed) {}

  // Transactions of some changes each: rows come, change and go.
  void Write(int transactions) {
    for (int i = 0; i < transactions; ++i) {
      Transaction& transaction = log_.emplace_back();
      transaction.lsn = end_ + 10;
      for (uint64_t c = Below(6) + 1; c > 0; --c) {
        const uint32_t table = Below(2) == 0 ? kOrders : kPlaces;
        const std::string id = absl::StrCat(Below(20));
        const bool deletes = rows_[table].contains(id) && Below(3) == 0;
        if (deletes) {
          rows_[table].erase(id);
        } else {
          rows_[table][id] = absl::StrCat(++values_);
        }
        const auto row = rows_[table].find(id);
        transaction.changes.push_back({table, id, deletes ? std::nullopt : std::make_optional(row->second), ++end_});
      }
      end_ = transaction.lsn += 10;
    }
  }

  // From the last commit on, until it dies; or to the end. The second table is there once `both`.
  void Run(bool both, bool dies) {
    const SourcePlan orders = SourceOf("orders", true), places = SourceOf("places", true);
    IntakePlan intake{"shop", {&orders}, 1};
    if (both) intake.sources.push_back(&places);
    PostgresTables tables(intake);
    ASSERT_TRUE(tables.Read(committed_).ok());
    int64_t left = dies ? static_cast<int64_t>(Below(60)) : 1'000'000;
    while (left > 0) {
      const bool streams = Connect(&tables);
      std::vector<std::pair<PostgresTables::Table*, std::pair<std::string, std::string>>> snapshot;
      for (PostgresTables::Table& table : tables.all()) {
        if (table.is_read()) continue;
        if (table.lsn() == 0) table.rows.position().set_lsn(end_);
        if (Below(2) == 0) Write(2);  // between its place and what the snapshot sees
        table.rows.position().set_snapshot_lsn(end_);
        for (const auto& row : rows_[table.rows.table().oid]) snapshot.push_back({&table, row});
      }
      const Lsn seen = end_;
      size_t at = 0;
      size_t next = 0;
      while (next < log_.size() && log_[next].lsn <= tables.First()) ++next;  // the server leaves these out
      while (left > 0) {
        --left;
        if (streams && next < log_.size()) {
          if (!Tell(&tables, log_[next++])) return;
        } else if (tables.all_are_read()) {
          return Commit(tables);
        }
        if (tables.all_are_read()) continue;
        if (Below(3) == 0) Write(1);
        if (at < snapshot.size()) {
          const auto& [table, row] = snapshot[at++];
          table->rows.Row(RowOf(row.first, row.second), seen, 1, &out_);
          MaybeCommit(tables);
          continue;
        }
        for (PostgresTables::Table& table : tables.all()) table.rows.position().set_snapshot_done(true);
        break;  // the log once more
      }
    }
    out_ = {};  // it dies, with what wasn't committed
  }

  void ExpectEqual() {
    EXPECT_EQ(copies_[0], rows_[kOrders]);
    EXPECT_EQ(copies_[1], rows_[kPlaces]);
  }

 private:
  struct Row {
    uint32_t table;
    std::string id;
    std::optional<std::string> value;  // nothing: it is deleted
    Lsn lsn;
  };
  struct Transaction {
    Lsn lsn = 0;  // behind its commit
    std::vector<Row> changes;
  };

  uint64_t Below(uint64_t n) { return random_() % n; }
  static pgoutput::Tuple RowOf(std::string_view id, std::string_view value) {
    return {{Cell::Kind::kText, id}, {Cell::Kind::kText, value}};
  }

  static bool Connect(PostgresTables* tables) {
    for (PostgresTables::Table& table : tables->all()) {
      PgTable found;
      found.oid = table.rows.source().name == "orders" ? kOrders : kPlaces;
      for (const char* name : {"id", "value"}) {
        PgColumn& column = found.columns.emplace_back();
        column.name = name;
        column.column = {name, {.kind = Kind::kInt64}, false};
        column.position = found.columns.size() - 1;
        column.key = column.position == 0;
        column.type = 20;
        column.kind = PgKind::kBigInt;
      }
      table.rows.Begin(std::move(found));
    }
    return tables->Begin();
  }

  // False: it isn't taken, which fails the test.
  bool Tell(PostgresTables* tables, const Transaction& transaction) {
    const auto take = [&](const pgoutput::Message& message, Lsn lsn) {
      const absl::Status taken = tables->Take(message, lsn, &out_);
      EXPECT_TRUE(taken.ok()) << taken;
      MaybeCommit(*tables);
      return taken.ok();
    };
    bool good = take(Begin{transaction.lsn - 1, 1, 1}, 0);
    for (const auto& [oid, name] : {std::pair{kOrders, "orders"}, std::pair{kPlaces, "places"}}) {
      good = good && take(Relation{oid, "public", name, 'd', {{true, "id", 20}, {false, "value", 20}}}, 0);
    }
    for (const Row& row : transaction.changes) {
      Change change;
      change.relation = row.table;
      if (row.value) {
        change.new_row = RowOf(row.id, *row.value);
      } else {
        change.kind = Change::Kind::kDelete;
        change.old_kind = 'K';
        change.old_row = {{Cell::Kind::kText, row.id}, {Cell::Kind::kNull, {}}};
      }
      good = good && take(change, row.lsn);
    }
    return good && take(pgoutput::Commit{transaction.lsn - 1, transaction.lsn}, 0);
  }

  void MaybeCommit(const PostgresTables& tables) {
    if (Below(4) == 0) Commit(tables);
  }
  // The position and the records before it, at once.
  void Commit(const PostgresTables& tables) {
    for (const IntakeRecord& record : out_.records) {
      const auto field = [&](std::string_view name) {
        const size_t from = record.value.find(absl::StrCat("\"", absl::string_view(name.data(), name.size()), "\":"));
        return from == std::string::npos
                   ? ""
                   : record.value.substr(from + name.size() + 3,
                                         record.value.find_first_of(",}", from) - from - name.size() - 3);
      };
      auto& copy = copies_[record.target];
      const size_t row =
          record.value.find(absl::StartsWith(record.value, "{\"op\":\"d\"") ? "\"before\"" : "\"after\"");
      if (record.value.substr(row, 8) == "\"before\"") {
        copy.erase(record.key->substr(6, record.key->size() - 7));
      } else {
        copy[field("id")] = field("value");
      }
    }
    out_ = {};
    committed_ = tables.Write();
  }

  std::mt19937_64 random_;
  std::vector<Transaction> log_;
  Lsn end_ = 100;
  int values_ = 0;
  std::map<uint32_t, std::map<std::string, std::string>> rows_;
  IntakeRows out_;
  std::string committed_;
  std::map<size_t, std::map<std::string, std::string>> copies_;
};

TEST(PostgresTablesReplay, CopiesAreTheTablesWhateverIsBrokenOffAndWhenATableComes) {
  for (uint64_t seed = 1; seed <= 1'000; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Replay replay(seed);
    replay.Write(10);
    for (int run = 0; run < 4; ++run) replay.Run(/*both=*/false, /*dies=*/true);
    if (seed % 2 == 0) replay.Run(/*both=*/false, /*dies=*/false);
    replay.Write(5);
    for (int run = 0; run < 6; ++run) replay.Run(/*both=*/true, /*dies=*/true);
    replay.Run(/*both=*/true, /*dies=*/false);
    replay.ExpectEqual();
    if (testing::Test::HasFailure()) return;
  }
}

TEST_F(Tables, AnErrorNamesItsTable) {
  IsRead(0, 50);
  IsRead(1, 50);
  ASSERT_TRUE(tables_->Begin());
  Take(Begin{100, 5, 7});
  const absl::Status refused = tables_->Take(pgoutput::Truncate{{kPlaces}}, 80, &out_);
  EXPECT_THAT(refused.message(), HasSubstr("source places: the table was emptied (TRUNCATE)"));
  EXPECT_THAT(out_.records, IsEmpty());
}

}  // namespace
}  // namespace tidemark
