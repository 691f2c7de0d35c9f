// A table takes another's place, on a real PostgreSQL: what hangs on it comes along, readers see one or the other, and
// a kill at any place leaves what the next call finishes.
#include "operators/sinks/postgres/swap.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/sinks/postgres/sink.h"
#include "src/base/failpoint.h"
#include "tests/unit/operators_sinks/postgres_server.h"
#include "tests/unit/operators_sinks/rows.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Strings = std::vector<std::string>;

class PostgresSwapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = PostgresServer::StartIfInstalled();
    if (server_ == nullptr) GTEST_SKIP() << "no PostgreSQL server is installed";
    spec_.sink_spec.url = server_->Url();
    spec_.sink_spec.table = "orders";
    spec_.sink_spec.key = {0};
    spec_.sink_spec.upsert = true;
    spec_.written = {"id", "name"};
    spec_.sink = spec_.from_sink = "s";
    spec_.shadow = "orders__g2";
    spec_.kept = "orders__g1";
    spec_.from = "town";
    spec_.to = "town.__2";
    spec_.decision = 1;
    live_ = Fill("orders", "town", "old", 3);
    shadow_ = Fill("orders__g2", "town.__2", "new", 5);
  }
  void TearDown() override { (void)ArmFailpoints(""); }

  // A generation's sink, and rows that it has written.
  std::unique_ptr<PostgresSink> Fill(const std::string& table, const std::string& application, const std::string& name,
                                     int rows) {
    PostgresSinkSpec spec = spec_.sink_spec;
    spec.table = table;
    auto sink = PostgresSink::Open(spec, application, "s", schema_, StepMode());
    EXPECT_TRUE(sink.ok()) << sink.status();
    if (!sink.ok()) return nullptr;
    EXPECT_TRUE((*sink)->Acquire(0).ok());
    EXPECT_TRUE(Write(**sink, -1, rows, name).ok());
    return *std::move(sink);
  }
  absl::Status Write(PostgresSink& sink, int64_t expected, int64_t next, const std::string& name) {
    std::string json = "[";
    for (int64_t i = std::max<int64_t>(expected, 0); i < next; ++i) {
      absl::StrAppend(&json, json.size() > 1 ? ", " : "", "[", i, ", \"", name, "\"]");
    }
    return sink.Write(0, expected, next, "", {Rows(schema_, json + "]")},
                      [](const std::vector<SinkRowFailure>&) { return absl::OkStatus(); });
  }
  absl::Status Rehearse() { return PostgresTableSwap(spec_).Rehearse(); }
  absl::Status Run() { return PostgresTableSwap(spec_).Run(); }
  Strings Counts() const {
    Strings both = server_->Query("SELECT min(name), count(*) FROM orders");
    for (std::string& line : server_->Query("SELECT min(name), count(*) FROM orders__g1")) both.push_back(line);
    return both;
  }
  // As psql would run it.
  void Do(const std::string& sql) const { EXPECT_THAT(server_->Query(sql), IsEmpty()) << sql; }

  std::unique_ptr<PostgresServer> server_;
  PostgresSwapSpec spec_;
  Schema schema_{{Col("id", "int64"), Col("name", "string?")}};
  std::unique_ptr<PostgresSink> live_, shadow_;
};

TEST_F(PostgresSwapTest, TheShadowTakesThePlaceOnceAndTheOldRowsAreKept) {
  ASSERT_TRUE(Rehearse().ok()) << Rehearse();
  EXPECT_THAT(server_->Query("SELECT min(name), count(*) FROM orders"), ElementsAre("old|3"));
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(Counts(), ElementsAre("new|5", "old|3"));
  ASSERT_TRUE(Run().ok());  // by somebody who doesn't know
  EXPECT_THAT(Counts(), ElementsAre("new|5", "old|3"));
  EXPECT_THAT(server_->Query("SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'orders'::regclass"),
              ElementsAre("orders_pkey"));
}

TEST_F(PostgresSwapTest, WhereThereIsNoLiveTableTheShadowGetsTheName) {
  Do("DROP TABLE orders");
  ASSERT_TRUE(Rehearse().ok()) << Rehearse();
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(Run().ok());
    EXPECT_THAT(server_->Query("SELECT count(*), to_regclass('orders__g2') FROM orders"), ElementsAre("5|~"));
  }
}

TEST_F(PostgresSwapTest, ADecisionThatIsNotBehindTheLastOneIsRefusedBeforeItIsMade) {
  spec_.decision = 5;
  ASSERT_TRUE(Run().ok());
  std::swap(spec_.from, spec_.to);
  std::swap(spec_.shadow, spec_.kept);
  EXPECT_THAT(std::string(Rehearse().message()), HasSubstr("decision 5 has been here, and this one is 5"));
  spec_.decision = 6;
  EXPECT_TRUE(Rehearse().ok()) << Rehearse();
}

TEST_F(PostgresSwapTest, NamesMayBeAnything) {
  schema_ = Schema({Col("a \"b\", {c}", "int64"), Col("Größe", "string?")});
  spec_.sink_spec.schema = "My \"own\"";
  spec_.sink_spec.table = "Bits & ON pieces";
  spec_.shadow = "Bits & ON pieces__g2";
  spec_.kept = "Bits & ON pieces__g1";
  spec_.written = {"a \"b\", {c}", "Größe"};
  Fill(spec_.sink_spec.table, "town", "old", 3);
  Fill(spec_.shadow, "town.__2", "new", 5);
  const std::string table = "\"My \"\"own\"\"\".\"Bits & ON pieces\"";
  Do(absl::StrCat("CREATE INDEX \"An INDEX ON it\" ON ", table,
                  " (\"Größe\"); CREATE VIEW \"A view\" AS SELECT \"Größe\" "
                  "FROM ",
                  table));
  ASSERT_TRUE(Rehearse().ok()) << Rehearse();
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(server_->Query("SELECT min(\"Größe\"), count(*) FROM \"A view\""), ElementsAre("new|5"));
  EXPECT_THAT(
      server_->Query(absl::StrCat("SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE "
                                  "indrelid = '",
                                  table, "'::regclass ORDER BY 1")),
      ElementsAre("An INDEX ON it", "Bits & ON pieces_pkey"));
}

TEST_F(PostgresSwapTest, TheOldGenerationWritesNoMoreUntilTheTableIsGivenBack) {
  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(absl::IsCancelled(Write(*live_, 3, 4, "old")));
  EXPECT_THAT(std::string(live_->Acquire(0).status().message()), HasSubstr("given to another generation"));
  EXPECT_THAT(std::string(live_->Acquire(7).status().message()), HasSubstr("given to another generation"));
  spec_.sink_spec.table = "orders";
  const std::unique_ptr<PostgresSink> next = Fill("orders", "town.__2", "new", 5);  // what was written is known
  EXPECT_THAT(Counts(), ElementsAre("new|5", "old|3"));

  std::swap(spec_.from, spec_.to);
  std::swap(spec_.shadow, spec_.kept);
  spec_.decision = 2;
  ASSERT_TRUE(Rehearse().ok()) << Rehearse();
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(server_->Query("SELECT min(name), count(*) FROM orders"), ElementsAre("old|3"));
  EXPECT_TRUE(live_->Acquire(0).ok());
  EXPECT_TRUE(Write(*live_, 3, 4, "old").ok());
  EXPECT_FALSE(next->Acquire(0).ok());

  // The first decision comes once more, from a process that was asleep.
  std::swap(spec_.from, spec_.to);
  std::swap(spec_.shadow, spec_.kept);
  spec_.decision = 1;
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(server_->Query("SELECT min(name), count(*) FROM orders"), ElementsAre("old|4"));
}

TEST_F(PostgresSwapTest, WhatHangsOnTheTableComesAlong) {
  Do("CREATE ROLE boss; CREATE ROLE reader; CREATE ROLE clerk; CREATE ROLE viewer");
  Do("ALTER TABLE orders OWNER TO boss; GRANT SELECT ON orders TO reader WITH GRANT OPTION; GRANT USAGE, CREATE ON "
     "SCHEMA public TO boss; GRANT UPDATE (name) ON orders TO clerk; GRANT DELETE ON orders__g2 TO clerk; GRANT SELECT "
     "ON orders TO PUBLIC");
  Do("COMMENT ON TABLE orders IS 'it''s ours'; COMMENT ON COLUMN orders.name IS 'of who'; COMMENT ON COLUMN "
     "orders__g2.name IS 'stale'");
  Do("CREATE INDEX by_name ON orders (name, id DESC) WHERE id > 0; ALTER TABLE orders SET (fillfactor = 70); ALTER "
     "TABLE orders REPLICA IDENTITY FULL; ALTER TABLE orders ALTER COLUMN name SET DEFAULT 'none'");
  Do("CREATE VIEW few WITH (security_barrier) AS SELECT name, count(*) AS n FROM orders o GROUP BY 1; ALTER VIEW few "
     "OWNER TO boss; GRANT SELECT ON few TO viewer; CREATE VIEW fewer AS SELECT n FROM few; CREATE VIEW pairs AS "
     "SELECT "
     "a.id FROM orders a JOIN orders b USING (id)");
  ASSERT_TRUE(Rehearse().ok()) << Rehearse();
  EXPECT_THAT(server_->Query("SELECT n FROM fewer"), ElementsAre("3"));
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(server_->Query("SELECT n FROM fewer UNION ALL SELECT count(*) FROM pairs"), ElementsAre("5", "5"));
  EXPECT_THAT(server_->Query("SELECT pg_get_userbyid(relowner), reloptions, relreplident, obj_description(oid), "
                             "col_description(oid, 2) FROM pg_class WHERE oid = 'orders'::regclass"),
              ElementsAre("boss|{fillfactor=70}|f|it's ours|of who"));
  EXPECT_THAT(server_->Query("SELECT has_table_privilege('reader', 'orders', 'SELECT WITH GRANT OPTION'), "
                             "has_column_privilege('clerk', 'orders', 'name', 'UPDATE'), has_column_privilege('clerk', "
                             "'orders', 'id', 'UPDATE'), has_table_privilege('clerk', 'orders', 'DELETE')"),
              ElementsAre("t|t|f|f"));
  EXPECT_THAT(
      server_->Query("SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'orders'::regclass ORDER BY 1"),
      ElementsAre("orders_pkey", "by_name"));
  EXPECT_THAT(server_->Query("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'orders__g1'::regclass "
                             "ORDER BY 1"),
              ElementsAre("by_name__g1", "orders_pkey__g1"));
  EXPECT_THAT(server_->Query("SELECT pg_get_userbyid(relowner), reloptions, has_table_privilege('viewer', oid, "
                             "'SELECT') FROM pg_class WHERE relname = 'few'"),
              ElementsAre("boss|{security_barrier=true}|t"));
  EXPECT_THAT(server_->Query("INSERT INTO orders (id) VALUES (100) RETURNING name"), ElementsAre("none"));
}

TEST_F(PostgresSwapTest, WhatCannotComeAlongIsRefusedByNameAndNothingIsChanged) {
  Do("ALTER TABLE orders ADD COLUMN note text; CREATE MATERIALIZED VIEW mirror AS SELECT * FROM orders; CREATE TABLE "
     "lines (\"order\" bigint CONSTRAINT of_order REFERENCES orders); CREATE FUNCTION f() RETURNS trigger LANGUAGE "
     "plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER watch BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION "
     "f(); ALTER TABLE orders ADD CONSTRAINT has_name CHECK (name <> ''); CREATE UNIQUE INDEX one_name ON orders "
     "(lower(name), id); CREATE POLICY mine ON orders USING (true); ALTER TABLE orders ENABLE ROW LEVEL SECURITY; "
     "CREATE "
     "PUBLICATION news FOR TABLE orders; CREATE STATISTICS both_of ON id, name FROM orders; CREATE TABLE orders__g1 "
     "()");
  const absl::Status status = Rehearse();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  const std::string message(status.message());
  for (const char* name :
       {"column note of public.orders", "mirror", "of_order", "trigger watch", "has_name", "one_name", "policy mine",
        "row-level security", "publication news", "both_of", "orders__g1"}) {
    EXPECT_THAT(message, HasSubstr(name)) << message;
  }
  EXPECT_THAT(server_->Query("SELECT count(*) FROM orders"), ElementsAre("3"));
}

TEST_F(PostgresSwapTest, WhatTheShadowHasTooIsNoHindrance) {
  const std::string sql = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; ";
  Do(sql);
  for (const char* table : {"orders", "orders__g2"}) {
    Do(absl::StrCat("CREATE TRIGGER watch BEFORE INSERT ON ", table, " FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE ",
                    table, " ADD CHECK (name <> ''); CREATE UNIQUE INDEX ON ", table, " (lower(name), id)"));
  }
  EXPECT_TRUE(Rehearse().ok()) << Rehearse();
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(server_->Query("SELECT conname FROM pg_constraint WHERE conrelid = 'orders'::regclass ORDER BY 1"),
              ElementsAre("orders_name_check", "orders_pkey"));
}

TEST_F(PostgresSwapTest, AViewThatNeedsAColumnThatIsGoneIsRefused) {
  Do("CREATE VIEW few AS SELECT name FROM orders; ALTER TABLE orders__g2 DROP COLUMN name");
  EXPECT_THAT(std::string(Rehearse().message()), AllOf(HasSubstr("a view that reads it"), HasSubstr("name")));
  EXPECT_TRUE(absl::IsInvalidArgument(Rehearse()));
  EXPECT_THAT(server_->Query("SELECT count(*) FROM few"), ElementsAre("3"));
}

TEST_F(PostgresSwapTest, AViewWhoseColumnWouldHaveAnotherTypeIsRefused) {
  Do("CREATE VIEW few AS SELECT id FROM orders; ALTER TABLE orders__g2 ALTER COLUMN id TYPE numeric");
  EXPECT_THAT(std::string(Rehearse().message()), HasSubstr("cannot change data type of view column"));
}

TEST_F(PostgresSwapTest, WhoeverMayNotIsToldSo) {
  Do("CREATE ROLE weak LOGIN");
  spec_.sink_spec.url = server_->Url("weak");
  const absl::Status status = Rehearse();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("user weak doesn't own table public.orders"));
}

TEST_F(PostgresSwapTest, WhatWasMadeBehindTheRehearsalHoldsItUpUntilItIsMended) {
  ASSERT_TRUE(Rehearse().ok());
  Do("CREATE MATERIALIZED VIEW mirror AS SELECT * FROM orders");
  EXPECT_TRUE(absl::IsFailedPrecondition(Run()));
  EXPECT_THAT(server_->Query("SELECT count(*) FROM orders"), ElementsAre("3"));
  Do("DROP MATERIALIZED VIEW mirror");
  EXPECT_TRUE(Run().ok());
}

// It would not be by waits as short as ours.
TEST_F(PostgresSwapTest, AnAutovacuumIsEnded) {
  Do("ALTER TABLE orders SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, "
     "autovacuum_vacuum_threshold = 10)");
  Do("INSERT INTO orders SELECT i, repeat('x', 500) FROM generate_series(10, 20000) i; DELETE FROM orders WHERE id > "
     "3");
  Do("ALTER SYSTEM SET autovacuum_naptime = '1s'");
  EXPECT_THAT(server_->Query("SELECT pg_reload_conf()"), ElementsAre("t"));
  const auto is_vacuumed = [&] {
    return server_->Query(
               "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND mode = "
               "'ShareUpdateExclusiveLock' AND granted") == Strings{"1"};
  };
  for (int i = 0; i < 1'000 && !is_vacuumed(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(is_vacuumed());
  const absl::Status swapped = Run();
  EXPECT_TRUE(swapped.ok()) << swapped;
  EXPECT_THAT(server_->Query("SELECT min(name), count(*) FROM orders"), ElementsAre("new|5"));
}

// Readers ask in every way there is, all the time; a swap goes forth and back beneath them.
TEST_F(PostgresSwapTest, ReadersSeeTheOldThenTheNewAndNeverAnErrorNorBoth) {
  Do("CREATE VIEW through AS SELECT count(*) AS n FROM orders; CREATE VIEW twice AS SELECT n FROM through");
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0}, wrong{0};
  std::vector<std::thread> readers;
  std::vector<std::string> said(6);
  for (size_t r = 0; r < said.size(); ++r) {
    readers.emplace_back([&, r] {
      PgConnection connection(server_->Url(), "reader", "reader", nullptr);
      if (!connection.Connect().ok() || !connection.Prepare("ask", "SELECT count(*)::text FROM orders", {}).ok())
        ++wrong;
      while (!stop) {
        const auto answer = r == 0   ? connection.RunPrepared("ask", {})
                            : r == 1 ? connection.Run("SELECT n FROM through")
                            : r == 2 ? connection.Run("SELECT n FROM twice")
                            : r == 3 ? connection.Run("SELECT a.n FROM through a, orders b LIMIT 1")
                            : r == 4 ? connection.Run("SELECT b.n FROM orders a, through b LIMIT 1")
                                     : connection.Run("SELECT count(*) FROM orders");
        const std::string n = answer.ok() && PQntuples(answer->get()) == 1 && PQbinaryTuples(answer->get()) == 0
                                  ? PQgetvalue(answer->get(), 0, 0)
                              : answer.ok() ? std::string(PQgetvalue(answer->get(), 0, 0), 1)
                                            : answer.status().ToString();
        ++reads;
        if (n != "3" && n != "5") {
          ++wrong;
          said[r] = n;
        }
      }
    });
  }
  for (int64_t decision = 1; decision <= 6; ++decision) {
    spec_.decision = decision;
    const int before = reads;
    absl::Status swapped = Run();
    EXPECT_TRUE(swapped.ok()) << swapped;
    std::swap(spec_.from, spec_.to);
    std::swap(spec_.shadow, spec_.kept);
    while (reads < before + 20) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0) << testing::PrintToString(said);
}

// Both generations write while it is rehearsed, and one that wasn't told goes on while the table is taken from it: what
// it has written stands in the kept table, all of it, and nothing of it in the new one.
TEST_F(PostgresSwapTest, WritersAreNeitherHarmedByTheRehearsalNorOvertakenByTheSwap) {
  std::atomic<bool> stop{false};
  std::atomic<int> writes{0};
  struct Writer {
    PostgresSink* sink;
    std::string name;
    int64_t next;
    absl::Status ended;
  };
  Writer both[] = {{live_.get(), "old", 3, {}}, {shadow_.get(), "new", 5, {}}};
  std::vector<std::thread> threads;
  for (Writer& writer : both) {
    threads.emplace_back([&] {
      while (!stop) {
        writer.ended = Write(*writer.sink, writer.next, writer.next + 1, writer.name);
        if (absl::IsUnavailable(writer.ended)) continue;
        if (!writer.ended.ok()) return;
        ++writer.next;
        ++writes;
      }
    });
  }
  const auto let_them_write = [&] {
    const int before = writes;
    while (writes < before + 10) std::this_thread::yield();
  };
  for (int i = 0; i < 5; ++i) {
    let_them_write();
    const absl::Status rehearsed = Rehearse();
    EXPECT_TRUE(rehearsed.ok()) << rehearsed;
  }
  let_them_write();
  stop = true;  // n+1 stands still, n doesn't know
  for (std::thread& thread : threads) thread.join();
  threads[0] = std::thread([&] {
    while (both[0].ended.ok() || absl::IsUnavailable(both[0].ended)) {
      both[0].ended = Write(*both[0].sink, both[0].next, both[0].next + 1, "old");
      if (both[0].ended.ok()) ++both[0].next;
    }
  });
  const absl::Status swapped = Run();
  EXPECT_TRUE(swapped.ok()) << swapped;
  threads[0].join();
  EXPECT_TRUE(absl::IsCancelled(both[0].ended)) << both[0].ended;
  EXPECT_THAT(server_->Query("SELECT min(name), max(name), count(*) FROM orders"),
              ElementsAre(absl::StrCat("new|new|", both[1].next)));
  EXPECT_THAT(server_->Query("SELECT min(name), max(name), count(*) FROM orders__g1"),
              ElementsAre(absl::StrCat("old|old|", both[0].next)));
}

TEST_F(PostgresSwapTest, ALongReaderHoldsItUpAndOthersStillRead) {
  PgConnection reader(server_->Url(), "a long report", "reader", nullptr);
  ASSERT_TRUE(reader.Connect().ok());
  ASSERT_TRUE(reader.Run("BEGIN; SELECT * FROM orders").ok());
  absl::Status swapped;
  std::atomic<bool> ended{false};
  std::thread swapper([&] {
    swapped = Run();
    ended = true;
  });
  for (int i = 0; i < 5; ++i) EXPECT_THAT(server_->Query("SELECT count(*) FROM orders"), ElementsAre("3"));
  EXPECT_FALSE(ended);
  ASSERT_TRUE(reader.Run("COMMIT").ok());
  swapper.join();
  EXPECT_TRUE(swapped.ok()) << swapped;
  EXPECT_THAT(Counts(), ElementsAre("new|5", "old|3"));
}

TEST_F(PostgresSwapTest, OfSeveralCommandsAtOnceOneExchangesAndAllAreDone) {
  Do("CREATE INDEX by_name ON orders (name)");
  std::vector<std::thread> commands;
  std::atomic<int> done{0};
  for (int i = 0; i < 4; ++i) {
    commands.emplace_back([&] {
      absl::Status status = Run();
      while (absl::IsUnavailable(status)) status = Run();
      EXPECT_TRUE(status.ok()) << status;
      done += status.ok() ? 1 : 0;
    });
  }
  for (std::thread& command : commands) command.join();
  EXPECT_EQ(done, 4);
  EXPECT_THAT(Counts(), ElementsAre("new|5", "old|3"));
}

TEST_F(PostgresSwapTest, AKillBeforeOrBehindTheCommitIsFinishedByTheNextCall) {
  Do("CREATE VIEW few AS SELECT count(*) AS n FROM orders");
  for (const char* point : {"swap_postgres.before_commit", "swap_postgres.after_commit"}) {
    const pid_t child = fork();
    if (child == 0) {
      (void)ArmFailpoints(absl::StrCat(point, "=kill@1"));
      (void)Run();
      _exit(0);
    }
    int ended = 0;
    waitpid(child, &ended, 0);
    EXPECT_TRUE(WIFSIGNALED(ended));
    const bool committed = absl::StrContains(point, "after");
    EXPECT_THAT(server_->Query("SELECT n FROM few"), ElementsAre(committed ? "5" : "3"));
  }
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(Counts(), ElementsAre("new|5", "old|3"));
}

// Frozen between two statements of the exchange: the first time for longer than readers are to wait, the second time
// for as long, as a process that is short of processors would be.
TEST_F(PostgresSwapTest, WhoIsFrozenWithTheLockLosesItAndIsGivenLongerTheNextTime) {
  Do("CREATE INDEX by_name ON orders (name)");
  Do("CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT 1 FROM "
     "pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%orders__g1') THEN PERFORM pg_sleep(0.5); END IF; "
     "END $$");
  Do("CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION slow()");
  const pid_t child = fork();
  if (child == 0) {
    PostgresTableSwap swap(spec_);
    int calls = 1;
    absl::Status status = swap.Run();
    while (absl::IsUnavailable(status) && calls < 9) {
      ++calls;
      status = swap.Run();
    }
    _exit(status.ok() ? calls : 100);
  }
  const std::string indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 'orders__g2'::regclass";
  for (const bool first : {true, false}) {
    while (server_->Query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").empty()) {
      ASSERT_EQ(waitpid(child, nullptr, WNOHANG), 0) << "it has ended";
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    kill(child, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(2'000));
    if (first) {
      EXPECT_THAT(server_->Query("SELECT min(name) FROM orders"), ElementsAre("old")) << "nobody is kept waiting";
      EXPECT_THAT(server_->Query(indexes), ElementsAre("2")) << "what takes long isn't done again";
    }
    kill(child, SIGCONT);
  }
  int ended = 0;
  waitpid(child, &ended, 0);
  EXPECT_TRUE(WIFEXITED(ended));
  EXPECT_EQ(WEXITSTATUS(ended), 2);
  EXPECT_THAT(Counts(), ElementsAre("new|5", "old|3"));
  EXPECT_THAT(server_->Query("SELECT count(*) FROM pg_index WHERE indrelid = 'orders'::regclass"), ElementsAre("2"));
}

}  // namespace
}  // namespace tidemark
