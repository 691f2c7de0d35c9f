#!/usr/bin/env python3
"""A table of one PostgreSQL kept in another by its own logical replication, equal to the row whatever is killed: snapshot
and changes under churn, with Tidemark and the database killed in the midst of it. Broker and databases are the real ones."""

import pathlib
import queue
import random
import signal
import sys
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import psycopg

import proxy
import topics
import wire
from case import SystemTest, main
from stack import script, wait_for

TABLE = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE items (
  id bigint, part text, name varchar(40) NOT NULL, amount numeric(12,2) NOT NULL, weight double precision, few smallint,
  note text, born date, made timestamp(6), seen timestamptz NOT NULL, ok boolean, data bytea, uid uuid, doc jsonb, mood mood,
  ignored int[], PRIMARY KEY (id, part));
-- So that the log leaves values out: texts of this table are stored apart, uncompressed.
ALTER TABLE items ALTER COLUMN note SET STORAGE EXTERNAL;
CREATE TABLE others (id int PRIMARY KEY);
CREATE PUBLICATION shop FOR TABLE items, others;
"""

TOPOLOGY = """
name: {name}
kafka: {{ brokers: "${{KAFKA_BROKERS}}" }}
commit_interval: 50ms
sources:
  items:
    postgres: {{ url: "${{SOURCE_URL}}", publication: shop, slot: {name}, table: {table}, partitions: 3{more} }}
    key: [id, part]
    columns:
      id: int64
      part: string
      name: string
      amount: decimal(12,2)
      weight: {{ type: double, nullable: true }}
      few: {{ type: int32, nullable: true }}
      note: {{ type: string, nullable: true }}
      born: {{ type: date, nullable: true }}
      made: {{ type: timestamp, nullable: true }}
      seen: timestamp
      ok: {{ type: bool, nullable: true }}
      data: {{ type: bytes, nullable: true }}
      uid: {{ type: string, nullable: true }}
      doc: {{ type: string, nullable: true }}
      mood: {{ type: string, nullable: true }}
      op: {{ type: string, from: op }}
      lsn: {{ type: int64, from: source.lsn }}
      committed: {{ type: timestamp, from: source.ts_us }}
      of: {{ type: string, from: source.table }}
      snapshot: {{ type: bool, from: source.snapshot }}
      transaction: {{ type: int64, from: source.txId, nullable: true }}
sinks:
  copy: {{ from: items, postgres: {{ url: "${{COPY_URL}}", table: {name}, key: [id, part] }} }}
"""

# `made` is without a zone in the source, which is taken for UTC.
SUM = """SELECT count(*), md5(coalesce(string_agg(md5(ROW(id, part, name, amount, weight, few, note, born,
  extract(epoch FROM made{made}), extract(epoch FROM seen), ok, encode(data, 'hex'), uid::text, doc::text, mood::text)::text), ''
  ORDER BY id, part COLLATE "C"), '')) FROM {table}"""


class Churn:
    """Changes of the table by random transactions: inserts, updates, updates of keys, deletes, values that stay out of the
    log; those of another table of the publication in between; some are rolled back, some are large."""

    def __init__(self, url, seed):
        self.url, self.random, self.changes = url, random.Random(seed), 0
        self.connection = None
        self.large = threading.Event()  # most rows are to be changed by one transaction, which clears it
        self.delete = queue.Queue()     # conditions of rows that are to go

    def transaction(self):
        """Whether it was committed: the database may be gone."""
        try:
            if self.connection is None or self.connection.closed:
                self.connection = psycopg.connect(self.url)
            self.asked()
            self.change()
            return True
        except psycopg.OperationalError:
            if self.connection is not None:
                self.connection.close()
            return False

    def asked(self):
        if self.large.is_set():
            with self.connection.transaction():
                self.connection.execute("UPDATE items SET seen = now() WHERE id <= 10000")
            self.large.clear()
        if not self.delete.empty():
            with self.connection.transaction():
                self.connection.execute("DELETE FROM items WHERE " + self.delete.queue[0])
            self.delete.get()

    def change(self):
        r = self.random
        with self.connection.transaction(force_rollback=r.random() < 0.05), self.connection.cursor() as c:
            for _ in range(r.randint(1, 20)):
                self.changes += 1
                i, part, what = r.randint(1, 300), r.choice(["x", "y", "ü\"\\"]), r.random()
                if what < 0.4:
                    note = "n" * r.randint(3000, 9000) if r.random() < 0.5 else r.choice([None, "short", "", "\t\\N\n"])
                    c.execute(
                        "INSERT INTO items VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, now(), %s, %s, gen_random_uuid(), %s, %s) "
                        "ON CONFLICT (id, part) DO UPDATE SET name = excluded.name, note = excluded.note, seen = excluded.seen",
                        (i, part, r.choice(["ä", "b", "c|d", "e\"f\\"]) + str(r.randint(0, 9)), r.randint(-10**6, 10**6) / 100,
                         r.choice([r.random(), 1e300, -0.0, 5e-324]), r.choice([None, -32768, 7]), note,
                         r.choice([None, "1969-12-31", "2026-02-28"]), r.choice([None, "2026-01-01 00:00:00.123456", "1969-07-20 20:17"]),
                         r.choice([None, True, False]), r.choice([None, b"", b"\x00\xff"]),
                         r.choice([None, '{"a": [1, "\\u00e4"]}']), r.choice([None, "good", "bad"])))
                elif what < 0.65:  # the long text stays out of the log
                    c.execute("UPDATE items SET amount = amount + 0.01, seen = now() WHERE id = %s", (i,))
                elif what < 0.75:  # of a new key no row is kept that an old text could come from
                    c.execute("UPDATE items SET id = id + 1000, note = note || '' WHERE id = %s "
                              "AND NOT EXISTS (SELECT 1 FROM items i WHERE i.id = items.id + 1000)", (i,))
                elif what < 0.9:
                    c.execute("DELETE FROM items WHERE id = %s OR id = %s", (i, i + 1000))
                else:
                    c.execute("INSERT INTO others VALUES (%s) ON CONFLICT DO NOTHING", (i,))


class PostgresSource(SystemTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.stack.folder / "copy"
        cls.copy = script("postgres", "start", "--dir", folder, "--port", 0, log=cls.stack.folder / "copy.log")
        cls.addClassCleanup(script, "postgres", "stop", "--dir", folder, "--kill")

    def setUp(self):
        # A server for each test: slots hold its log for as long as they are there.
        self.folder = self.stack.folder / self._testMethodName
        self.settings = ["--set", "wal_level=logical"]
        self.source = self.start_source()
        self.url = None  # for the worker, where it isn't that
        self.addCleanup(script, "postgres", "stop", "--dir", self.folder, "--kill")

    def start_source(self):
        return script("postgres", "start", "--dir", self.folder, *self.settings, log=self.stack.folder / "source.log")

    def sql(self, text, *parameters):
        with psycopg.connect(self.source, autocommit=True) as connection:
            cursor = connection.execute(text, parameters or None)
            return cursor.fetchall() if cursor.description else None

    def config(self, name, table="items", more=""):
        path = self.stack.folder / f"{name}.yaml"
        path.write_text(TOPOLOGY.format(name=name, table=table, more=more))
        return path

    def environment(self):
        return self.stack.environment(SOURCE_URL=self.url or self.source, COPY_URL=self.copy)

    def run_worker(self, name, *args, instance=None, failpoints=None, **more):
        return self.stack.run(self.config(name, **more), *args, name=instance or name, env=self.environment(),
                              failpoints=failpoints)

    def checksums(self, name):
        with psycopg.connect(self.copy, autocommit=True) as connection:
            if connection.execute("SELECT to_regclass(%s)", (name,)).fetchone()[0] is None:
                return None, None
            there = connection.execute(SUM.format(table=name, made="")).fetchone()
        return self.sql(SUM.format(table="items", made=" AT TIME ZONE 'UTC'"))[0], there

    def equal(self, name, worker, seconds=400):
        """The copy is the table, as checksums say."""
        last = []

        def compared():
            last[:] = self.checksums(name)
            return last[0] is not None and last[0] == last[1]
        wait_for("the copy to be equal", compared, seconds, lambda: f"{last}\n{worker.seen()}", every=0.3)
        return last[0]

    def fill(self, rows):
        self.sql(TABLE)
        self.sql("INSERT INTO items SELECT i, 'x', 'row ' || i, i, i, 1, repeat('n', 3000), NULL, NULL, now() FROM "
                 f"generate_series(1, {rows}) i")

    def test_tables_are_equal_whatever_is_killed(self):
        name = "shop"
        self.fill(12_000)
        churn = Churn(self.source, 1)
        self.addCleanup(lambda: churn.connection.close())
        for _ in range(50):
            churn.transaction()
        stop = threading.Event()

        def change():
            while not stop.wait(0.01):
                churn.transaction()
        changer = threading.Thread(target=change)
        changer.start()
        try:
            # Killed in the midst of the snapshot, which is larger than a transaction.
            begun = 0
            for round_number, point in enumerate(("after_decision=kill@1", "after_flush=kill@2", "after_decision=kill@2")):
                worker = self.run_worker(name, failpoints=f"intake.{point}")
                self.assertEqual(worker.wait(240), -signal.SIGKILL, worker.seen())
                begun += worker.output().count("snapshot of public.items")
                churn.delete.put(f"id % 1000 = {300 + round_number} OR id BETWEEN {5000 + round_number * 100} AND "
                                 f"{5050 + round_number * 100}")
                wait_for("rows to be deleted", churn.delete.empty, 120)
            self.assertGreaterEqual(begun, 2, "no snapshot was begun anew, so this has shown nothing of that")
            worker = self.run_worker(name)
            for round_number in range(6):
                churn.large.set()
                before = churn.changes
                wait_for("changes", lambda: churn.changes > before + 200 and not churn.large.is_set(), 180)
                if round_number % 3 == 2:
                    script("postgres", "stop", "--dir", self.folder, *(["--kill"] if round_number == 2 else []))
                    self.assertEqual(self.start_source(), self.source)
                else:
                    worker.kill()
                    worker = self.run_worker(name)
        finally:
            stop.set()
            changer.join()

        # A quiet table doesn't hold the log: another's changes are confirmed though nothing comes of them.
        self.sql("INSERT INTO others SELECT generate_series(1000, 30000)")
        lsn = self.sql("SELECT pg_current_wal_lsn()")[0][0]
        confirmed = lambda: self.sql("SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s",
                                     lsn, name)[0][0]
        wait_for("the slot to move", confirmed, 300, worker.seen, every=0.5)
        # All changes are in by now: a copy that is equal isn't so only in passing, as by a snapshot that was begun anew.
        rows = self.equal(name, worker)
        print(f"equal after {churn.changes} changes, {begun} snapshots that were broken off, 7 kills of the worker and 2 ends of "
              f"the database: {rows}", flush=True)
        self.assertGreater(rows[0], 1000)
        for step in ("items", "items changes"):
            self.assertEqual(worker.metric("tidemark_step_rows_total", step=step, outcome="dead_lettered"), 0)
        self.assertEqual(worker.stop(), 0, worker.seen())

        # And a run to the end is one to what was committed when it began.
        churn.transaction()
        self.run_worker(name, "--until_end").finish(400)
        self.assertEqual(*self.checksums(name))
        self.check_metadata(name)

    def check_metadata(self, name):
        with psycopg.connect(self.copy, autocommit=True) as connection:
            ops = dict(connection.execute(f"SELECT op, count(*) FROM {name} GROUP BY op").fetchall())
            self.assertLessEqual({"r", "u", "c"}, set(ops), ops)
            wrong = connection.execute(
                f"SELECT count(*) FROM {name} WHERE lsn <= 0 OR \"of\" <> 'items' OR snapshot <> (op = 'r') "
                f"OR (transaction IS NULL) <> (op = 'r') OR committed < now() - interval '1 day'").fetchone()[0]
        self.assertEqual(wrong, 0)

    def test_a_truncate_stops_in_front_of_itself(self):
        name = "emptied"
        self.fill(10)
        worker = self.run_worker(name)
        self.equal(name, worker)
        self.sql("BEGIN; UPDATE items SET name = 'last'; TRUNCATE items; COMMIT")
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn("the table was emptied (TRUNCATE)", worker.output())
        # Again at the next start, and what came before it is in.
        worker = self.run_worker(name)
        self.assertEqual(worker.wait(180), 2, worker.seen())
        worker = self.run_worker(name, more=", on_truncate: dead_letter")
        self.sql("INSERT INTO items VALUES (11, 'x', 'new', 1, 1, 1, 'n', NULL, NULL, now())")

        def passed():
            with psycopg.connect(self.copy, autocommit=True) as connection:
                return dict(connection.execute(f"SELECT name, count(*) FROM {name} GROUP BY name").fetchall()) == {"last": 10, "new": 1}
        wait_for("the rows as they were, and the new one", passed, 180, worker.seen)
        letters = topics.read(self.stack.brokers, f"{name}-dead-letter", headers=True)[1]
        self.assertEqual(len(letters), 1)
        self.assertIn(b"TRUNCATE", letters[0]["tidemark.reason"])
        self.assertEqual(worker.stop(), 0)

    def test_a_slot_that_is_gone_or_ahead_stops(self):
        name = "slots"
        self.fill(10)
        worker = self.run_worker(name)
        self.equal(name, worker)
        self.assertEqual(worker.stop(), 0)
        # Another reader is waited for, by its process.
        self.sql("INSERT INTO items VALUES (11, 'x', 'new', 1, 1, 1, 'n', NULL, NULL, now())")
        wait_for("the slot to be free", lambda: not self.sql("SELECT active FROM pg_replication_slots")[0][0], 120)
        self.sql("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", name)
        worker = self.run_worker(name)
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn("ahead of what was read", worker.output())
        self.sql("SELECT pg_drop_replication_slot(%s)", name)
        worker = self.run_worker(name)
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn(f"slot {name} is gone", worker.output())

    def test_a_slot_whose_log_was_thrown_away_stops(self):
        name = "lost"
        script("postgres", "stop", "--dir", self.folder)
        self.settings += ["--set", "max_slot_wal_keep_size=1MB"]
        self.assertEqual(self.start_source(), self.source)
        self.fill(10)
        worker = self.run_worker(name)
        self.equal(name, worker)
        self.assertEqual(worker.stop(), 0)

        def lost():
            self.sql("INSERT INTO others SELECT coalesce(max(id), 0) + 1 FROM others")
            self.sql("SELECT pg_switch_wal()")
            self.sql("CHECKPOINT")
            return self.sql("SELECT wal_status FROM pg_replication_slots")[0][0] == "lost"
        wait_for("the slot to be lost", lost, 240, lambda: self.sql("SELECT * FROM pg_replication_slots"))
        worker = self.run_worker(name)
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn(f"slot {name} is lost", worker.output())
        self.assertIn("`tidemark resnapshot items`", worker.output())
        code, out, err = self.stack.tidemark("validate", "--online", "--config", self.config(name), env=self.environment(), check=False)
        self.assertNotEqual(code, 0, out)
        self.assertIn(f"slot {name} is lost", out + err)
        # The way on.
        self.stack.tidemark("resnapshot", "items", "--config", self.config(name), env=self.environment())
        self.sql("DELETE FROM items WHERE id <= 5; UPDATE items SET name = 'later' WHERE id = 6; INSERT INTO items VALUES (12, 'x', 'new', "
                 "1, 1, 1, 'n', NULL, NULL, now())")
        worker = self.run_worker(name)
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn(f"SELECT pg_drop_replication_slot('{name}'), and it is made anew", worker.output())
        self.sql("SELECT pg_drop_replication_slot(%s)", name)
        worker = self.run_worker(name)
        self.assertEqual(self.equal(name, worker)[0], 6)
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_a_table_that_is_written_anew_while_its_snapshot_begins_isnt_empty(self):
        name = "written_anew"
        self.fill(500)
        address = urllib.parse.urlsplit(self.source)
        between = proxy.Proxy((address.hostname, address.port), wire.Postgres)
        self.addCleanup(between.close)
        self.url = self.source.replace(f":{address.port}/", f":{between.port}/")
        # The slot has exported its snapshot, and the transaction that is to take it begins.
        with between.rule(lambda request: request.name.startswith("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ"), times=1,
                          do=lambda: self.sql("ALTER TABLE items ALTER COLUMN few TYPE int")) as rule:
            worker = self.run_worker(name)
            self.assertEqual(self.equal(name, worker)[0], 500)
            self.assertEqual(rule.hits, 1)
        self.assertIn("while its snapshot began", worker.output())
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_a_snapshot_begins_when_all_that_was_committed_before_is_in_sight(self):
        name = "out_of_sight"
        self.fill(500)
        self.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", name)
        # Committed in the log, and open to others until a standby has it. The slot is moved behind it.
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        self.sql("SELECT pg_reload_conf()")
        hidden = threading.Thread(target=self.sql, args=["UPDATE items SET name = 'hidden' WHERE id <= 100"])
        hidden.start()
        wait_for("the commit to wait", lambda: self.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")[0][0], 60)
        self.sql("SELECT pg_replication_slot_advance(%s, pg_current_wal_insert_lsn())", name)
        self.assertEqual(self.sql("SELECT count(*) FROM items WHERE name = 'hidden'"), [(0,)])
        worker = self.run_worker(name)
        wait_for("the worker to say what it waits for", lambda: "begins when all transactions" in worker.output(), 180, worker.seen)
        self.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.sql("SELECT pg_reload_conf()")
        hidden.join()
        self.assertEqual(self.equal(name, worker)[0], 500)
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_a_slot_waits_for_an_open_transaction_however_long_it_takes(self):
        name = "long_open"
        self.fill(10)

        def making():
            return dict(self.sql("SELECT pid, extract(epoch FROM clock_timestamp() - query_start) FROM pg_stat_activity "
                                 "WHERE backend_type = 'walsender' AND query LIKE 'CREATE_REPLICATION_SLOT%' AND state = 'active'"))
        with psycopg.connect(self.source) as other:
            other.execute("INSERT INTO others VALUES (1)")
            worker = self.run_worker(name)
            wait_for("the worker to say what it waits for", lambda: f"slot {name} is being made" in worker.output(), 180, worker.seen)
            # The connection is lost meanwhile, and made anew.
            first = list(making())
            self.sql("SELECT pg_terminate_backend(%s)", *first)
            wait_for("the slot to be made anew", lambda: making() and list(making()) != first, 120, worker.seen)
            second = list(making())
            # Longer than a lock is waited for elsewhere.
            wait_for("half a minute", lambda: list(making()) != second or making()[second[0]] > 25, 60, worker.seen)
            self.assertEqual(list(making()), second)
            other.commit()
        self.assertEqual(self.equal(name, worker)[0], 10)
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_rows_that_the_log_names_by_another_identity_stop(self):
        name = "renamed"
        self.fill(10)
        worker = self.run_worker(name)
        self.equal(name, worker)
        # A column that gets wider is one that the topology takes as well, and the full identity goes with the key.
        self.sql("ALTER TABLE items REPLICA IDENTITY FULL; ALTER TABLE items ALTER COLUMN few TYPE int; DELETE FROM items WHERE id = 10")
        self.sql("INSERT INTO items VALUES (11, 'x', 'new', 1, 1, 70000, 'n', NULL, NULL, now())")
        self.equal(name, worker)
        self.sql("CREATE UNIQUE INDEX by_name ON items (name); ALTER TABLE items REPLICA IDENTITY USING INDEX by_name")
        self.sql("DELETE FROM items WHERE id = 1")
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn("the log names rows of public.items by (name), its replica identity at that time", worker.output())
        # Nor when the identity is right again.
        self.sql("ALTER TABLE items REPLICA IDENTITY DEFAULT")
        worker = self.run_worker(name)
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn("by (name), its replica identity at that time", worker.output())

    def test_who_takes_over_waits_for_the_slot_and_for_the_database(self):
        name = "taken_over"
        # However long the group takes to give the place to another, it is then still there.
        script("postgres", "stop", "--dir", self.folder)
        self.settings += ["--set", "wal_sender_timeout=0"]
        self.assertEqual(self.start_source(), self.source)
        self.fill(100)
        first = self.run_worker(name, instance="first")
        self.equal(name, first)
        # Frozen: its place in the group goes to another, its connection to the database stays.
        first.signal(signal.SIGSTOP)
        self.sql("UPDATE items SET name = 'later' WHERE id <= 50")
        second = self.run_worker(name, instance="second")
        wait_for("the second worker to meet the first one's connection", lambda: "is active for PID" in second.output(), 240,
                 second.seen)
        first.kill()
        self.equal(name, second)

        script("postgres", "stop", "--dir", self.folder, "--kill")
        # The worker's HTTP answers with 503 while the database is away, and says why.
        wait_for("the worker to say what it waits for", lambda: second.metric("tidemark_intake_error", source="items") == 1, 120,
                 second.seen)
        self.assertEqual(self.start_source(), self.source)
        self.sql("DELETE FROM items WHERE id > 50")
        self.assertEqual(self.equal(name, second)[0], 50)
        self.assertTrue(second.running())
        self.assertEqual(second.stop(), 0, second.seen())

    def test_mistakes_are_told_at_the_start(self):
        self.fill(1)
        name = "mistaken"

        def refused(words, **more):
            worker = self.run_worker(name, **more)
            self.assertEqual(worker.wait(180), 2, worker.seen())
            self.assertIn(words, worker.output())
            code, out, err = self.stack.tidemark("validate", "--online", "--config", self.config(name, **more),
                                                 env=self.environment(), check=False)
            self.assertNotEqual(code, 0, out)
            self.assertIn(words, out + err)
        refused('there is no table "public"."item"', table="item")
        self.sql("CREATE SCHEMA strangers; CREATE TABLE strangers.items (LIKE items INCLUDING ALL)")
        refused("publication \"shop\" doesn't have the table: ALTER PUBLICATION", table="strangers.items")
        self.sql("ALTER TABLE items REPLICA IDENTITY NOTHING")
        refused("has no replica identity")
        self.sql("ALTER TABLE items REPLICA IDENTITY DEFAULT; ALTER TABLE items DROP CONSTRAINT items_pkey")
        refused("has no primary key")
        self.sql("ALTER TABLE items ADD PRIMARY KEY (id)")
        refused("the log names rows of \"public\".\"items\" by (id), its replica identity, and the source's `key` is (id, part)")
        self.sql("ALTER TABLE items DROP CONSTRAINT items_pkey; ALTER TABLE items ADD PRIMARY KEY (id, part)")
        self.sql("ALTER TABLE items DROP COLUMN few")
        refused("has no column 'few'")
        self.sql("ALTER TABLE items ADD COLUMN few time")
        refused("column few is of type time without time zone, which isn't implemented")
        self.sql("ALTER TABLE items DROP COLUMN few; ALTER TABLE items ADD COLUMN few text")
        refused("column few is of type text, which isn't read as int32")
        self.sql("ALTER TABLE items DROP COLUMN few; ALTER TABLE items ADD COLUMN few smallint")
        self.sql("ALTER PUBLICATION shop SET (publish = 'insert, update')")
        refused("leaves out some changes")
        self.sql("ALTER PUBLICATION shop SET (publish = 'insert, update, delete, truncate'); ALTER PUBLICATION shop DROP TABLE items; "
                 "ALTER PUBLICATION shop ADD TABLE items WHERE (id > 5)")
        refused("filters the table's rows")
        self.sql("DROP PUBLICATION shop")
        refused('there is no publication "shop"')
        self.sql("CREATE PUBLICATION shop FOR TABLE items")
        self.sql("CREATE ROLE reader LOGIN PASSWORD 'reader'")
        password = self.source
        self.source = self.source.replace(self.source.split("//")[1].split("@")[0], "reader:reader")
        refused("the user may not replicate: ALTER ROLE")
        self.source = password
        self.sql("ALTER ROLE reader REPLICATION")
        self.source = self.source.replace(self.source.split("//")[1].split("@")[0], "reader:reader")
        refused("the user may not read the table")
        self.source = password
        script("postgres", "stop", "--dir", self.folder)
        self.settings = ["--set", "wal_level=replica"]
        self.start_source()
        refused("wal_level is replica: ALTER SYSTEM")
        self.assertEqual(self.sql("SELECT count(*) FROM pg_replication_slots"), [(0,)], "nothing was made")


if __name__ == "__main__":
    main()
