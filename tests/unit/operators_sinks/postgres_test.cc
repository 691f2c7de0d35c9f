#include "operators/sinks/postgres/sink.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/sinks/postgres/libpq.h"
#include "src/base/failpoint.h"
#include "src/base/mutation.h"
#include "tests/unit/operators_sinks/postgres_server.h"
#include "tests/unit/operators_sinks/rows.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using Strings = std::vector<std::string>;

class PostgresSinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = PostgresServer::StartIfInstalled();
    if (server_ == nullptr) GTEST_SKIP() << "no PostgreSQL server is installed";
    spec_.url = server_->Url();
    spec_.table = "out";
    spec_.key = {0};
    spec_.upsert = true;
  }
  void TearDown() override { (void)ArmFailpoints(""); }

  absl::StatusOr<std::unique_ptr<PostgresSink>> Open() {
    return PostgresSink::Open(spec_, "town", "s", schema_, mode_, &interrupted_);
  }
  std::unique_ptr<PostgresSink> MustOpen() {
    auto sink = Open();
    EXPECT_TRUE(sink.ok()) << sink.status();
    return sink.ok() ? *std::move(sink) : nullptr;
  }
  // Writes and notes the refused rows.
  absl::Status Write(PostgresSink& sink, int64_t expected, int64_t next, const std::vector<Batch>& batches) {
    return sink.Write(0, expected, next, "", batches, [&](const std::vector<SinkRowFailure>& failures) {
      refused_.insert(refused_.end(), failures.begin(), failures.end());
      return on_refused_();
    });
  }
  Strings Table() const { return server_->Query("SELECT * FROM out ORDER BY 1, 2"); }

  std::unique_ptr<PostgresServer> server_;
  PostgresSinkSpec spec_;
  Schema schema_{{Col("id", "int64"), Col("name", "string?")}};
  StepMode mode_;
  std::vector<SinkRowFailure> refused_;
  std::atomic<bool> interrupted_{false};
  std::function<absl::Status()> on_refused_ = [] { return absl::OkStatus(); };
};

TEST_F(PostgresSinkTest, TheTableIsMadeFromTheSchema) {
  schema_ = Schema({Col("a", "int64"), Col("b", "string?"), Col("c", "timestamp_ms"), Col("d", "decimal(10,2)?"),
                    Col("e", "bytes?"), Col("f", "date?"), Col("g", "bool?"), Col("h", "int32?"), Col("i", "double?")});
  spec_.schema = "new schema";
  MustOpen();
  EXPECT_THAT(server_->Query("SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE "
                             "attrelid = '\"new schema\".out'::regclass AND attnum > 0 ORDER BY attnum"),
              ElementsAre("a|bigint|t", "b|text|f", "c|timestamp with time zone|t", "d|numeric(10,2)|f", "e|bytea|f",
                          "f|date|f", "g|boolean|f", "h|integer|f", "i|double precision|f"));
  EXPECT_THAT(server_->Query("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = "
                             "'\"new schema\".out'::regclass"),
              ElementsAre("PRIMARY KEY (a)"));
  MustOpen();  // finds what it made
}

TEST_F(PostgresSinkTest, EveryTypeArrivesAsItWas) {
  schema_ = Schema({Col("id", "int64"), Col("s", "string?"), Col("t", "timestamp_us?"), Col("n", "decimal(38,10)?"),
                    Col("b", "bytes?"), Col("d", "date?"), Col("f", "double?"), Col("i", "int32?"), Col("o", "bool?")});
  auto sink = MustOpen();
  ASSERT_EQ(sink->Acquire(0)->next_offset, -1);
  // 0001-01-01 and 9999-12-31 23:59:59.999999; dates likewise.
  ASSERT_TRUE(Write(*sink, -1, 4, {Rows(schema_, R"([
      [-9223372036854775808, "größe 'quoted'", -62135596800000000, "-1234567890123456789012345678.0123456789", "x", -719162, 1e308, -2147483648, true],
      [1, "", 253402300799999999, "0.0000000001", "", 2932896, -0.0, 7, false],
      [2, null, null, null, null, null, null, null, null],
      [9223372036854775807, "b", 0, "10000.0000000000", "y", 0, 0.1, 2147483647, true]])")})
                  .ok());
  EXPECT_THAT(server_->Query("SELECT * FROM out ORDER BY id"),
              ElementsAre("-9223372036854775808|größe 'quoted'|0001-01-01 00:00:00+00|"
                          "-1234567890123456789012345678.0123456789|\\x78|0001-01-01|1e+308|-2147483648|t",
                          "1||9999-12-31 23:59:59.999999+00|0.0000000001|\\x|9999-12-31|-0|7|f", "2|~|~|~|~|~|~|~|~",
                          "9223372036854775807|b|1970-01-01 00:00:00+00|10000.0000000000|\\x79|1970-01-01|0.1|"
                          "2147483647|t"));
  EXPECT_THAT(refused_, IsEmpty());
}

TEST_F(PostgresSinkTest, JsonBecomesJsonbAndWhatThatRefusesIsRefusedByItself) {
  schema_ = Schema({Col("id", "int64"), Col("j", "json?")});
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  ASSERT_TRUE(Write(*sink, -1, 5, {Rows(schema_, R"([[1, "{\"b\":1.50, \"a\":[true,null], \"b\":2}"], [2, null],
      [3, "\"\\u0000\""], [4, "\"x\""], [5, "1e999999"]])")})
                  .ok());
  EXPECT_THAT(server_->Query("SELECT id, j, pg_typeof(j) FROM out ORDER BY id"),
              ElementsAre(R"(1|{"a": [true, null], "b": 2}|jsonb)", "2|~|jsonb", R"(4|"x"|jsonb)"));
  EXPECT_EQ(refused_.size(), 2u);
}

TEST_F(PostgresSinkTest, InfinityAndNanAreDoublesToo) {
  schema_ = Schema({Col("id", "int64"), Col("f", "double")});
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  ASSERT_TRUE(Write(*sink, -1, 1, {Rows(schema_, "[[1, Inf], [2, -Inf], [3, NaN]]")}).ok());
  EXPECT_THAT(Table(), ElementsAre("1|Infinity", "2|-Infinity", "3|NaN"));
}

TEST_F(PostgresSinkTest, TheLastRowOfAKeyStands) {
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  ASSERT_TRUE(
      Write(*sink, -1, 3, {Rows(schema_, R"([[1, "a"], [2, "b"], [1, "c"]])"), Rows(schema_, R"([[2, null]])")}).ok());
  EXPECT_THAT(Table(), ElementsAre("1|c", "2|~"));
  ASSERT_TRUE(Write(*sink, 3, 4, {Rows(schema_, R"([[2, "d"], [3, "e"]])"), nullptr}).ok());
  EXPECT_THAT(Table(), ElementsAre("1|c", "2|d", "3|e"));
}

TEST_F(PostgresSinkTest, AnUpdateStepInsertsReplacesAndDeletes) {
  mode_ = {.update = true, .key = {0}};
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  ASSERT_TRUE(Write(*sink, -1, 1,
                    {Rows(schema_, R"([[1, "a"], [2, "b"], [3, "c"], [3, "c"]])",
                          {Op::kInsert, Op::kInsert, Op::kInsert, Op::kDelete})})
                  .ok());
  EXPECT_THAT(Table(), ElementsAre("1|a", "2|b"));
  ASSERT_TRUE(Write(*sink, 1, 2,
                    {Rows(schema_, R"([[1, "a"], [1, "z"], [2, "b"], [4, "d"], [4, "d"], [4, "e"]])",
                          {Op::kUpdateBefore, Op::kUpdateAfter, Op::kDelete, Op::kInsert, Op::kDelete, Op::kInsert})})
                  .ok());
  EXPECT_THAT(Table(), ElementsAre("1|z", "4|e"));
}

TEST_F(PostgresSinkTest, AKeyThatIsNullIsAKeyLikeAnyOther) {
  schema_ = Schema({Col("id", "int64?"), Col("name", "string?"), Col("v", "int64")});
  spec_.key = {0, 1};
  mode_ = {.update = true, .key = {0, 1}};
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  const std::vector<Op> inserts(4, Op::kInsert);
  ASSERT_TRUE(
      Write(*sink, -1, 1, {Rows(schema_, R"([[1, "a", 1], [null, "a", 2], [1, null, 3], [null, null, 4]])", inserts)})
          .ok());
  ASSERT_TRUE(
      Write(*sink, 1, 2, {Rows(schema_, R"([[null, null, 5], [null, "a", 6]])", {Op::kUpdateAfter, Op::kUpdateAfter})})
          .ok());
  EXPECT_THAT(Table(), ElementsAre("1|a|1", "1|~|3", "~|a|6", "~|~|5"));
  ASSERT_TRUE(
      Write(*sink, 2, 3,
            {Rows(schema_, R"([[null, null, 5], [1, null, 3], [1, "a", 1]])", {Op::kDelete, Op::kDelete, Op::kDelete})})
          .ok());
  EXPECT_THAT(Table(), ElementsAre("~|a|6"));
}

// Upserting by more than the step's key: the row before the update stands under another key, and has to go.
TEST_F(PostgresSinkTest, AnUpdateThatMovesARowToAnotherKeyRemovesTheOldOne) {
  schema_ = Schema({Col("id", "int64"), Col("name", "string")});
  spec_.key = {0, 1};
  mode_ = {.update = true, .key = {0}};
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  ASSERT_TRUE(Write(*sink, -1, 1, {Rows(schema_, R"([[1, "a"]])", {Op::kInsert})}).ok());
  ASSERT_TRUE(
      Write(*sink, 1, 2, {Rows(schema_, R"([[1, "a"], [1, "b"]])", {Op::kUpdateBefore, Op::kUpdateAfter})}).ok());
  EXPECT_THAT(Table(), ElementsAre("1|b"));
}

TEST_F(PostgresSinkTest, AColumnOfAnotherTypeIsNamedWithWhatWasExpectedAndFound) {
  server_->Query("CREATE TABLE out (id integer primary key, other text not null)");
  const absl::Status status = Open().status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("column id: expected bigint, found integer"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("column name is missing: expected text"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("column other is NOT NULL without a default"));
}

TEST_F(PostgresSinkTest, WithEvolveColumnsThatMayBeNullAreAddedBeforeAnythingIsWritten) {
  ASSERT_TRUE(MustOpen()->Acquire(0).ok());
  server_->Query("INSERT INTO out VALUES (1, 'old')");
  schema_ = Schema({Col("id", "int64"), Col("name", "string?"), Col("price", "decimal(10,2)?"), Col("tags", "json?")});
  EXPECT_THAT(std::string(Open().status().message()), HasSubstr("column price is missing")) << "without being asked";
  spec_.add_columns = true;
  const auto seen = InspectPostgres(spec_, "s", schema_, mode_);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_THAT(*seen, HasSubstr("would be altered: ALTER TABLE \"public\".\"out\" ADD COLUMN IF NOT EXISTS \"price\" "
                               "numeric(10,2), ADD COLUMN IF NOT EXISTS \"tags\" jsonb"));
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  ASSERT_TRUE(Write(*sink, -1, 1, {Rows(schema_, R"([[2, "new", "1.50", "{}"]])")}).ok());
  EXPECT_THAT(Table(), ElementsAre("1|old|~|~", "2|new|1.50|{}"));
  EXPECT_THAT(*InspectPostgres(spec_, "s", schema_, mode_), HasSubstr("fits"));
  // What was dropped under a sink at work isn't made again, as its values would be missing without a word.
  server_->Query("ALTER TABLE out DROP COLUMN tags");
  server_->Query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tidemark%'");
  EXPECT_TRUE(absl::IsUnavailable(Write(*sink, 1, 2, {Rows(schema_, R"([[3, "x", "1.50", "{}"]])")})));
  EXPECT_THAT(server_->Query("SELECT count(*) FROM pg_attribute WHERE attrelid = 'out'::regclass AND attname = 'tags'"),
              ElementsAre("0"));
}

TEST_F(PostgresSinkTest, EveryWorkerMayAddTheColumnsAtOnce) {
  MustOpen();
  schema_ = Schema({Col("id", "int64"), Col("name", "string?"), Col("a", "int64?"), Col("b", "string?")});
  spec_.add_columns = true;
  std::vector<std::thread> workers;
  std::vector<absl::Status> opened(8);
  for (absl::Status& status : opened) workers.emplace_back([&] { status = Open().status(); });
  for (std::thread& worker : workers) worker.join();
  for (const absl::Status& status : opened) EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(server_->Query("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = "
                             "'out'::regclass AND attnum > 0 ORDER BY attnum"),
              ElementsAre("id|bigint", "name|text", "a|bigint", "b|text"));
}

TEST_F(PostgresSinkTest, EvolveAddsNothingWhereTheRestDoesntFit) {
  server_->Query("CREATE TABLE out (id bigint PRIMARY KEY, name integer)");
  spec_.add_columns = true;
  schema_ = Schema({Col("id", "int64"), Col("name", "string?"), Col("more", "int64?"), Col("must", "int64")});
  const std::string message(Open().status().message());
  EXPECT_THAT(message, HasSubstr("column name: expected text, found integer; ALTER TABLE"));
  EXPECT_THAT(message, HasSubstr("column must is missing: expected bigint"));
  EXPECT_THAT(message, HasSubstr("only adds columns that may be NULL"));
  EXPECT_THAT(server_->Query("SELECT count(*) FROM pg_attribute WHERE attrelid = 'out'::regclass AND attname = 'more'"),
              ElementsAre("0"));
}

TEST_F(PostgresSinkTest, AnUpsertIntoATableWithoutAUniqueIndexIsRefused) {
  server_->Query("CREATE TABLE out (id bigint, name text, unique (id, name))");
  EXPECT_THAT(std::string(Open().status().message()), HasSubstr("no unique index on the key (id)"));
  schema_ = Schema({Col("id", "int64?"), Col("name", "string?")});
  server_->Query("ALTER TABLE out ADD UNIQUE (id)");
  EXPECT_THAT(std::string(Open().status().message()), HasSubstr("NULLS NOT DISTINCT"));
  server_->Query("ALTER TABLE out ADD UNIQUE NULLS NOT DISTINCT (id)");
  EXPECT_TRUE(Open().ok()) << Open().status();
}

TEST_F(PostgresSinkTest, WithoutCreateAMissingTableIsRefusedWithTheStatementToRun) {
  spec_.create = false;
  const absl::Status status = Open().status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("CREATE TABLE IF NOT EXISTS \"public\".\"out\" (\"id\" bigint NOT NULL"));
}

TEST_F(PostgresSinkTest, AUserWithoutPermissionIsToldWhatToRun) {
  server_->Query("CREATE ROLE guest LOGIN");
  spec_.url = server_->Url("guest");
  const absl::Status status = Open().status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("permission denied"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("CREATE TABLE"));
}

TEST_F(PostgresSinkTest, AWrongPasswordOrDatabaseIsTheUsersMistakeAndNoPasswordIsShown) {
  server_->Query("CREATE DATABASE secret");
  server_->Query("CREATE ROLE town LOGIN PASSWORD 'right'");
  for (const std::string& url :
       {server_->Url("town", "secret", "wrong-pass"), server_->Url("town", "secret"),
        server_->Url("town", "nowhere", "wrong-pass"), std::string("postgresql://town:wrong-pass@[broken/x")}) {
    spec_.url = url;
    const absl::Status status = Open().status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("wrong-pass")));
  }
}

TEST_F(PostgresSinkTest, AServerThatIsAwayIsUnavailable) {
  spec_.url = "postgresql://postgres:wrong-pass@127.0.0.1:1/x";
  EXPECT_TRUE(absl::IsUnavailable(Open().status())) << Open().status();
}

TEST_F(PostgresSinkTest, AnOlderOwnerIsFenced) {
  auto zombie = MustOpen(), successor = MustOpen();
  ASSERT_EQ(zombie->Acquire(0)->epoch, 1);
  ASSERT_TRUE(Write(*zombie, -1, 10, {Rows(schema_, R"([[1, "zombie"]])")}).ok());
  const auto fence = successor->Acquire(0);
  ASSERT_EQ(fence->epoch, 2);
  ASSERT_EQ(fence->next_offset, 10);
  const absl::Status fenced = Write(*zombie, 10, 20, {Rows(schema_, R"([[2, "zombie"]])")});
  EXPECT_TRUE(absl::IsCancelled(fenced)) << fenced;
  ASSERT_TRUE(Write(*successor, 10, 20, {Rows(schema_, R"([[2, "successor"]])")}).ok());
  EXPECT_THAT(Table(), ElementsAre("1|zombie", "2|successor"));
  EXPECT_TRUE(absl::IsAborted(Write(*successor, 15, 30, {})));
}

TEST_F(PostgresSinkTest, PartitionsAndSinksHaveFencesOfTheirOwn) {
  auto sink = MustOpen();
  ASSERT_EQ(sink->Acquire(0)->epoch, 1);
  ASSERT_EQ(sink->Acquire(1)->epoch, 1);
  auto other = PostgresSink::Open(spec_, "town", "other", schema_, mode_);
  ASSERT_TRUE(other.ok());
  ASSERT_EQ((*other)->Acquire(0)->epoch, 1);
  EXPECT_TRUE(Write(*sink, -1, 1, {Rows(schema_, R"([[1, "a"]])")}).ok());
  sink->Release(0);
  EXPECT_TRUE(absl::IsInternal(Write(*sink, 1, 2, {})));
}

TEST_F(PostgresSinkTest, AWriteWhoseCommitWasNotAnsweredIsRecognised) {
  spec_.upsert = false;
  spec_.key = {};
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  const std::vector<Batch> rows = {Rows(schema_, R"([[1, "once"]])")};
  ASSERT_TRUE(ArmFailpoints("sink_postgres.after_commit=error@1").ok());
  ASSERT_FALSE(Write(*sink, -1, 5, rows).ok());
  EXPECT_TRUE(Write(*sink, -1, 5, rows).ok());
  EXPECT_THAT(Table(), ElementsAre("1|once"));
  ASSERT_TRUE(ArmFailpoints("sink_postgres.before_commit=error@1").ok());
  ASSERT_FALSE(Write(*sink, 5, 6, rows).ok());
  EXPECT_TRUE(Write(*sink, 5, 6, rows).ok());
  EXPECT_THAT(Table(), ElementsAre("1|once", "1|once"));
}

TEST_F(PostgresSinkTest, AConnectionKilledWithinATransactionLosesAndDoublesNothing) {
  server_->Query("CREATE TABLE out (id bigint, name varchar(3))");
  spec_.upsert = false;
  spec_.key = {};
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  on_refused_ = [&] {
    server_->Query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tidemark%'");
    return absl::OkStatus();
  };
  const std::vector<Batch> rows = {Rows(schema_, R"([[1, "abc"], [2, "too long"]])")};
  const absl::Status killed = Write(*sink, -1, 5, rows);
  EXPECT_TRUE(absl::IsUnavailable(killed)) << killed;
  EXPECT_THAT(Table(), IsEmpty());
  on_refused_ = [] { return absl::OkStatus(); };
  EXPECT_TRUE(Write(*sink, -1, 5, rows).ok());
  EXPECT_THAT(Table(), ElementsAre("1|abc"));
}

TEST_F(PostgresSinkTest, ADatabaseThatWentAwayIsUsedAgainWhenItIsBack) {
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  const std::vector<Batch> rows = {Rows(schema_, R"([[1, "a"]])")};
  server_->Stop();
  EXPECT_TRUE(absl::IsUnavailable(Write(*sink, -1, 5, rows)));
  EXPECT_TRUE(absl::IsUnavailable(Write(*sink, -1, 5, rows)));
  server_->Start();
  EXPECT_TRUE(Write(*sink, -1, 5, rows).ok());
  EXPECT_THAT(Table(), ElementsAre("1|a"));
}

TEST_F(PostgresSinkTest, ATableThatWasDroppedIsWaitedForNotMadeAnew) {
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  server_->Query("ALTER TABLE out RENAME TO away");
  const std::vector<Batch> rows = {Rows(schema_, R"([[1, "a"]])")};
  const absl::Status status = Write(*sink, -1, 5, rows);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not exist"));
  server_->Query("ALTER TABLE away RENAME TO out");
  EXPECT_TRUE(Write(*sink, -1, 5, rows).ok());
}

TEST_F(PostgresSinkTest, RowsThatTheDatabaseRefusesAreReportedAndTheRestIsWritten) {
  server_->Query("CREATE TABLE out (id bigint primary key, name varchar(10), n numeric(5,2), t timestamptz not null)");
  schema_ = Schema({Col("id", "int64"), Col("name", "string?"), Col("n", "decimal(10,2)?"), Col("t", "timestamp_us?")});
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  std::string json = R"([[1, "fits", "1.00", 0], [2, "much too long", "1.00", 0], [3, "a\u0000b", "1.00", 0],
      [4, "big", "12345.00", 0], [5, "null", "1.00", null], [6, "range", "1.00", -9223372036854775808]])";
  const absl::Status status = Write(*sink, -1, 1, {Rows(schema_, json)});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(server_->Query("SELECT id FROM out ORDER BY 1"), ElementsAre("1"));
  ASSERT_THAT(refused_, SizeIs(5));
  EXPECT_THAT(refused_[0].row_json, HasSubstr("much too long"));
  EXPECT_THAT(refused_[0].reason, HasSubstr("value too long for type character varying(10)"));
  EXPECT_THAT(refused_[1].reason, HasSubstr("invalid byte sequence"));
  EXPECT_THAT(refused_[2].reason, HasSubstr("numeric field overflow"));
  EXPECT_THAT(refused_[3].reason, HasSubstr("not-null constraint"));
  EXPECT_THAT(refused_[4].reason, HasSubstr("timestamp out of range"));
}

TEST_F(PostgresSinkTest, InInsertModeAKeyThatIsThereAlreadyIsARefusedRow) {
  spec_.upsert = false;
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  ASSERT_TRUE(Write(*sink, -1, 1, {Rows(schema_, R"([[1, "first"], [2, "b"], [1, "again"], [3, "c"]])")}).ok());
  EXPECT_THAT(Table(), ElementsAre("1|first", "2|b", "3|c"));
  ASSERT_THAT(refused_, SizeIs(1));
  EXPECT_THAT(refused_[0].reason, HasSubstr("duplicate key"));
}

TEST_F(PostgresSinkTest, WhereTheLastRowOfAKeyIsRefusedTheOneBeforeItStands) {
  server_->Query("CREATE TABLE out (id bigint primary key, name varchar(3))");
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  ASSERT_TRUE(Write(*sink, -1, 1, {Rows(schema_, R"([[1, "a"], [1, "b"], [1, "long"], [2, "c"]])")}).ok());
  EXPECT_THAT(Table(), ElementsAre("1|b", "2|c"));
  EXPECT_THAT(refused_, SizeIs(1));
}

TEST_F(PostgresSinkTest, ADeferredConstraintIsBrokenByARowNotByTheCommit) {
  server_->Query(
      "CREATE TABLE parent (id bigint primary key); INSERT INTO parent VALUES (1), (2);"
      "CREATE TABLE out (id bigint primary key REFERENCES parent DEFERRABLE INITIALLY DEFERRED, name text)");
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  ASSERT_TRUE(Write(*sink, -1, 1, {Rows(schema_, R"([[1, "a"], [3, "orphan"], [2, "b"]])")}).ok());
  EXPECT_THAT(Table(), ElementsAre("1|a", "2|b"));
  EXPECT_THAT(refused_, SizeIs(1));
}

TEST_F(PostgresSinkTest, DeadLettersThatFailKeepTheWriteFromCommitting) {
  server_->Query("CREATE TABLE out (id bigint primary key, name varchar(3))");
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  on_refused_ = [] { return absl::AbortedError("no dead letters today"); };
  const std::vector<Batch> rows = {Rows(schema_, R"([[1, "a"], [2, "long"]])")};
  EXPECT_TRUE(absl::IsAborted(Write(*sink, -1, 1, rows)));
  EXPECT_THAT(Table(), IsEmpty());
}

TEST_F(PostgresSinkTest, AnInterruptEndsAWaitForALock) {
  auto sink = MustOpen();
  ASSERT_TRUE(sink->Acquire(0).ok());
  auto holder = MustOpen();
  ASSERT_TRUE(holder->Acquire(1).ok());
  server_->Query(
      "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';"
      "CREATE TRIGGER hold BEFORE INSERT ON out FOR EACH ROW EXECUTE FUNCTION hold()");
  std::thread waiting([&] { EXPECT_TRUE(absl::IsUnavailable(Write(*sink, -1, 1, {Rows(schema_, R"([[1, "a"]])")}))); });
  while (server_->Query("SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'").empty()) {
    std::this_thread::yield();
  }
  const auto start = std::chrono::steady_clock::now();
  interrupted_ = true;
  waiting.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
  EXPECT_TRUE(absl::IsUnavailable(Write(*sink, -1, 1, {Rows(schema_, R"([[1, "a"]])")})))
      << "and nothing more is written";
}

TEST(PostgresInterruptTest, AnInterruptEndsTheWaitForAServerThatTakesTheConnectionAndNeverAnswers) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  PostgresSinkSpec spec;
  spec.url = absl::StrCat("postgresql://u@127.0.0.1:", ntohs(address.sin_port), "/d");
  spec.table = "out";
  std::atomic<bool> interrupted{false};
  absl::Status status;
  std::thread opening(
      [&] { status = PostgresSink::Open(spec, "town", "s", Schema({Col("id", "int64")}), {}, &interrupted).status(); });
  const int taken = accept(listener, nullptr, nullptr);
  char first_byte = 0;
  ASSERT_EQ(recv(taken, &first_byte, 1, 0), 1) << "it waits for the answer to its start";
  const auto start = std::chrono::steady_clock::now();
  interrupted = true;
  opening.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2)) << "the time-out is 10 s";
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  close(taken);
  close(listener);
}

TEST_F(PostgresSinkTest, ALookSaysWhatWouldBeCreatedAndCreatesNothing) {
  spec_.schema = "fresh";
  const auto seen = InspectPostgres(spec_, "s", schema_, mode_);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_THAT(*seen, AllOf(HasSubstr("sink s: table fresh.out would be created"), HasSubstr("\"id\" bigint NOT NULL"),
                           HasSubstr("\"name\" text")));
  EXPECT_THAT(server_->Query("SELECT nspname FROM pg_namespace WHERE nspname = 'fresh'"), IsEmpty());
  EXPECT_THAT(server_->Query("SELECT relname FROM pg_class WHERE relname IN ('out', 'tidemark_offsets')"), IsEmpty());
}

TEST_F(PostgresSinkTest, ALookFindsWhatOpeningWouldFind) {
  spec_.create = false;
  const auto missing = InspectPostgres(spec_, "s", schema_, mode_);
  EXPECT_TRUE(absl::IsInvalidArgument(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("doesn't exist"));
  server_->Query("CREATE TABLE out (id integer primary key, name text)");
  const auto other = InspectPostgres(spec_, "s", schema_, mode_);
  EXPECT_TRUE(absl::IsInvalidArgument(other.status()));
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("column id: expected bigint, found integer"));
  server_->Query("DROP TABLE out");
  spec_.create = true;
  ASSERT_NE(MustOpen(), nullptr);
  const auto there = InspectPostgres(spec_, "s", schema_, mode_);
  ASSERT_TRUE(there.ok()) << there.status();
  EXPECT_EQ(*there, "sink s: table public.out fits");
}

TEST_F(PostgresSinkTest, ALookNamesTheRightsThatAreMissing) {
  ASSERT_NE(MustOpen(), nullptr);
  server_->Query(
      "CREATE ROLE guest LOGIN; GRANT SELECT, INSERT ON out TO guest;"
      "GRANT SELECT, INSERT, UPDATE ON tidemark_offsets TO guest");
  spec_.url = server_->Url("guest");
  const auto seen = InspectPostgres(spec_, "s", schema_, mode_);
  EXPECT_TRUE(absl::IsInvalidArgument(seen.status()));
  EXPECT_THAT(std::string(seen.status().message()), HasSubstr("user guest may not UPDATE in \"public\".\"out\""));
  // So does the run itself, at its start.
  const absl::Status opened = Open().status();
  EXPECT_TRUE(absl::IsInvalidArgument(opened)) << opened;
  EXPECT_THAT(std::string(opened.message()), HasSubstr("user guest may not UPDATE"));
}

TEST_F(PostgresSinkTest, AFenceTableOfAnEarlierVersionGetsItsColumnFromItsOwner) {
  server_->Query(
      "CREATE TABLE tidemark_offsets (application text, sink text, partition integer, epoch bigint NOT NULL, "
      "next_offset bigint NOT NULL, PRIMARY KEY (application, sink, partition));"
      "INSERT INTO tidemark_offsets VALUES ('town', 's', 0, 3, 7); CREATE TABLE out (id bigint primary key, "
      "name text); CREATE ROLE guest LOGIN; GRANT ALL ON SCHEMA public TO guest;"
      "GRANT SELECT, INSERT, UPDATE ON tidemark_offsets, out TO guest");
  const std::string url = std::exchange(spec_.url, server_->Url("guest"));
  for (const absl::Status& status : {Open().status(), InspectPostgres(spec_, "s", schema_, mode_).status()}) {
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("ALTER TABLE \"public\".\"tidemark_offsets\" ADD COLUMN"));
  }
  spec_.url = url;
  const PostgresFence fence = *MustOpen()->Acquire(0);
  EXPECT_EQ(fence.next_offset, 7);
  EXPECT_EQ(fence.heard, "");
  spec_.url = server_->Url("guest");
  EXPECT_NE(MustOpen(), nullptr);
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST_F(PostgresSinkTest, WithoutTheFenceAZombieWouldDoubleRows) {
  spec_.upsert = false;
  spec_.key = {};
  auto zombie = MustOpen(), successor = MustOpen();
  ASSERT_TRUE(zombie->Acquire(0).ok());
  ASSERT_TRUE(successor->Acquire(0).ok());
  const std::vector<Batch> rows = {Rows(schema_, R"([[1, "a"]])")};
  ASSERT_TRUE(Write(*successor, -1, 1, rows).ok());
  SetMutation(Mutation::kPostgresWithoutFence, true);
  EXPECT_TRUE(Write(*zombie, -1, 1, rows).ok());
  SetMutation(Mutation::kPostgresWithoutFence, false);
  EXPECT_THAT(Table(), SizeIs(2));
}
#endif

}  // namespace
}  // namespace tidemark
