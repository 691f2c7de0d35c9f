#!/usr/bin/env python3
"""Several tables of one PostgreSQL by one replication slot: kept in another database to the row, whatever is killed; a table
that is added while the others go on, and one that is taken out. Broker and databases are the real ones."""

import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import psycopg

import topics
from case import LONG, SystemTest, main
from stack import script, wait_for

# Moments at which the worker is killed; which they are the seed says.
KILLS = 20 if LONG else 4
TABLES = ("orders", "places", "visits")
LATER = "parcels"

SCHEMA = "".join(f"""
CREATE TABLE {table} (id bigint PRIMARY KEY, n int NOT NULL, name text, note text);
-- So that the log leaves values out: texts of this column are stored apart, uncompressed.
ALTER TABLE {table} ALTER COLUMN note SET STORAGE EXTERNAL;
""" for table in (*TABLES, LATER)) + f"CREATE PUBLICATION shop FOR TABLE {', '.join(TABLES)};"

HEAD = """
name: {name}
kafka: {{ brokers: "${{KAFKA_BROKERS}}" }}
commit_interval: 50ms
memory: 256MiB
databases:
  shop: {{ url: "${{SOURCE_URL}}", publication: shop, slot: {name}_slot }}
sources:
"""

SOURCE = """
  {table}:
    postgres: {{ database: shop, table: {table}, partitions: 2 }}
    key: [id]
    columns:
      id: int64
      n: int32
      name: {{ type: string, nullable: true }}
      note: {{ type: string, nullable: true }}
"""

SINK = '  {table}_copy: {{ from: {table}, postgres: {{ url: "${{COPY_URL}}", table: {name}_{table}, key: [id] }} }}\n'

SUM = """SELECT count(*), md5(coalesce(string_agg(md5(ROW(id, n, name, note)::text), '' ORDER BY id), '')) FROM {}"""


class Churn:
    """Random transactions, each over several tables: so that one is in by half of some when a worker dies."""

    def __init__(self, url, seed):
        self.url, self.random, self.changes, self.tables = url, random.Random(seed), 0, list(TABLES)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def run(self):
        with psycopg.connect(self.url) as connection:
            while not self.stop.wait(0.005):
                self.transaction(connection)

    def transaction(self, connection):
        r = self.random
        with connection.transaction(force_rollback=r.random() < 0.05), connection.cursor() as c:
            for _ in range(r.randint(1, 200 if r.random() < 0.02 else 12)):
                self.changes += 1
                table, i, what = r.choice((*self.tables, LATER)), r.randint(1, 300), r.random()
                if what < 0.45:
                    c.execute(f"INSERT INTO {table} VALUES (%s, 1, %s, %s) ON CONFLICT (id) DO UPDATE SET n = {table}.n + 1, "
                              "name = excluded.name", (i, r.choice([None, "a", "ü\"\\"]), "n" * r.choice([5, 4000])))
                elif what < 0.75:  # the long text stays out of the log
                    c.execute(f"UPDATE {table} SET n = n + 1 WHERE id = %s", (i,))
                elif what < 0.82:  # of a new key no row is kept that an old text could come from
                    c.execute(f"UPDATE {table} SET id = id + 1000, note = note || '' WHERE id = %s "
                              f"AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = {table}.id + 1000)", (i,))
                else:
                    c.execute(f"DELETE FROM {table} WHERE id = %s OR id = %s", (i, i + 1000))


class Transfers:
    """Transactions over many rows of one table, after each of which the sum of n and the count of rows are what they were, and all
    rows have one name; and a reader of the copy, which never rests and notes what else it sees."""

    ROWS = 400

    def __init__(self, source, copy, table, seed):
        self.source, self.copy, self.table, self.random = source, copy, table, random.Random(seed)
        self.transactions = self.looks = 0
        self.seen, self.wrong = set(), []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=run) for run in (self.write, self.read)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def write(self):
        with psycopg.connect(self.source) as connection:
            while not self.stop.wait(0.005):
                with connection.transaction(), connection.cursor() as c:
                    self.transactions += 1
                    for _ in range(self.random.randint(1, 30)):
                        a, b = self.random.sample(range(1, self.ROWS + 1), 2)
                        c.execute("UPDATE orders SET n = n + CASE id %% 10000 WHEN %s THEN 1 ELSE -1 END "
                                  "WHERE id %% 10000 IN (%s, %s)", (a, a, b))
                    if self.random.random() < 0.2:  # a row under another key
                        c.execute("UPDATE orders SET id = CASE WHEN id > 10000 THEN id - 10000 ELSE id + 10000 END, "
                                  "note = note || '' WHERE id %% 10000 = %s", (self.random.randint(1, self.ROWS),))
                    if self.transactions % 50 == 10:  # larger than a poll of the log, and than a record of the feed
                        c.execute("UPDATE orders SET note = repeat('long', 1000), n = n + 1; UPDATE orders SET n = n - 1")
                    if self.random.random() < 0.2:
                        c.execute("UPDATE orders SET name = %s", (f"after {self.transactions}",))

    def read(self):
        with psycopg.connect(self.copy, autocommit=True) as connection:
            while not self.stop.is_set():
                found = connection.execute(f"SELECT count(*), sum(n), count(DISTINCT name), max(name) FROM {self.table}").fetchone()
                self.looks += 1
                self.seen.add(found[3])
                if found[:3] != (self.ROWS, 0, 1):
                    self.wrong.append(found)


class PostgresTables(SystemTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.stack.folder / "copy"
        cls.copy = script("postgres", "start", "--dir", folder, "--port", 0, log=cls.stack.folder / "copy.log")
        cls.addClassCleanup(script, "postgres", "stop", "--dir", folder, "--kill")

    def setUp(self):
        folder = self.stack.folder / self._testMethodName
        self.source = script("postgres", "start", "--dir", folder, "--set", "wal_level=logical",
                             log=self.stack.folder / "source.log")
        self.addCleanup(script, "postgres", "stop", "--dir", folder, "--kill")
        self.sql(SCHEMA)

    def sql(self, text, *parameters):
        with psycopg.connect(self.source, autocommit=True) as connection:
            cursor = connection.execute(text, parameters or None)
            return cursor.fetchall() if cursor.description else None

    def config(self, name, tables):
        path = self.stack.folder / f"{name}-{len(tables)}.yaml"
        path.write_text(HEAD.format(name=name) + "".join(SOURCE.format(table=t) for t in tables) + "sinks:\n" +
                        "".join(SINK.format(table=t, name=name) for t in tables))
        return path

    def run_worker(self, name, tables, *args, failpoints=None):
        return self.stack.run(self.config(name, tables), *args, name=name, failpoints=failpoints,
                              env=self.stack.environment(SOURCE_URL=self.source, COPY_URL=self.copy))

    def checksums(self, name, table):
        with psycopg.connect(self.copy, autocommit=True) as connection:
            if connection.execute("SELECT to_regclass(%s)", (f"{name}_{table}",)).fetchone()[0] is None:
                return None, None
            return self.sql(SUM.format(table))[0], connection.execute(SUM.format(f"{name}_{table}")).fetchone()

    def equal(self, name, tables, worker, seconds=300):
        last = {}

        def compared():
            last.update({table: self.checksums(name, table) for table in tables})
            return all(ours is not None and ours == theirs for ours, theirs in last.values())
        wait_for("the copies to be equal", compared, seconds, lambda: f"{last}\n{worker.seen()}", every=0.3)
        return {table: rows[0][0] for table, rows in last.items()}

    def fill(self, table, rows):
        self.sql(f"INSERT INTO {table} SELECT i, 0, 'row ' || i, repeat('n', 2000) FROM generate_series(1, {rows}) i")

    def test_tables_are_equal_whatever_is_killed_and_one_is_added(self):
        name, seed = "killed", 11
        moments = random.Random(seed)
        self.fill("orders", 6000)
        self.fill("places", 300)
        self.fill(LATER, 8000)
        added_after = KILLS // 2
        tables, snapshots = list(TABLES), 0
        with Churn(self.source, seed) as churn:
            for kill in range(KILLS):
                if kill == added_after:
                    self.sql(f"ALTER PUBLICATION shop ADD TABLE {LATER}")
                    tables.append(LATER)
                # In the midst of a snapshot and of the log, by the count of commits; or at any moment.
                point = moments.choice(("after_flush", "after_decision", None))
                failpoints = f"intake.{point}=kill@{moments.randint(1, 6)}" if point else None
                worker = self.run_worker(name, tables, failpoints=failpoints)
                if point:
                    self.assertEqual(worker.wait(240), -signal.SIGKILL, worker.seen())
                else:
                    wait_for("its first rows", lambda: (worker.metric("tidemark_intake_running", source="orders") or 0) > 0, 180,
                             worker.seen)
                    time.sleep(moments.random() * 3)
                    worker.kill()
                snapshots += worker.output().count(f"snapshot of public.{LATER}")
            worker = self.run_worker(name, tables)
            before = churn.changes
            wait_for("changes", lambda: churn.changes > before + 300, 120)
            wait_for("the table that was added", lambda: self.checksums(name, LATER)[1], 240, worker.seen, every=0.3)
        rows = self.equal(name, tables, worker)
        print(f"{len(tables)} tables equal after {churn.changes} changes and {KILLS} kills (seed {seed}): {rows}", flush=True)
        self.assertEqual(self.sql("SELECT count(*) FROM pg_replication_slots"), [(1,)])
        for table in tables:
            self.assertEqual(worker.metric("tidemark_intake_refused_total", source=table), 0, table)
            self.assertGreater(worker.metric("tidemark_intake_events_total", source=table, event="updates"), 0, table)
            self.assertEqual(worker.metric("tidemark_intake_events_total", source=table, event="snapshots"), 1, table)
            for step in (table, f"{table} changes"):
                # Nobody has the figure while tasks move.
                wait_for(f"the dead letters of {step}", lambda: worker.metric(
                    "tidemark_step_rows_total", step=step, outcome="dead_lettered") is not None, 60, worker.seen)
                self.assertEqual(worker.metric("tidemark_step_rows_total", step=step, outcome="dead_lettered") or 0, 0)
        self.assertEqual(worker.stop(), 0, worker.seen())
        # A run to the end is one for all of them.
        self.sql("".join(f"INSERT INTO {table} VALUES (5000000, 1, 'last', 'n');" for table in tables))
        output = self.run_worker(name, tables, "--until_end").finish(300)
        for table in tables:
            self.assertEqual(*self.checksums(name, table), table)
            self.assertIn(f"intake {table} rows=", output)

    def test_the_others_go_on_while_an_added_table_waits_and_one_that_is_taken_out_is_forgotten(self):
        name = "added"
        for table in (*TABLES, LATER):
            self.fill(table, 50)
        worker = self.run_worker(name, TABLES)
        self.equal(name, TABLES, worker)
        self.assertEqual(worker.stop(), 0)

        # A transaction that has written the table before it was published, and commits behind that: nothing tells of it.
        with psycopg.connect(self.source) as other:
            other.execute(f"UPDATE {LATER} SET name = 'before' WHERE id <= 10")
            self.sql(f"ALTER PUBLICATION shop ADD TABLE {LATER}")
            worker = self.run_worker(name, (*TABLES, LATER))
            wait_for("the worker to say what it waits for", lambda: "begins when all transactions" in worker.output(), 180,
                     worker.seen)
            self.sql(f"UPDATE orders SET name = 'meanwhile'; DELETE FROM places WHERE id > 25; UPDATE {LATER} SET name = "
                     "'published' WHERE id > 40; DELETE FROM visits")
            self.equal(name, TABLES, worker)
            self.assertIsNone(self.checksums(name, LATER)[1] and self.checksums(name, LATER)[1][0] or None)
            other.commit()
        self.equal(name, (*TABLES, LATER), worker)
        self.sql(f"UPDATE {LATER} SET n = n + 1; UPDATE orders SET n = n + 1")
        self.equal(name, (*TABLES, LATER), worker)
        self.assertEqual(worker.stop(), 0, worker.seen())

        # What it has kept is given up first, as the message says.
        worker = self.run_worker(name, TABLES)
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn(f"{name}.{LATER}.changelog", worker.output())
        admin = topics.admin(self.stack.brokers)
        for future in admin.delete_topics([f"{name}.{LATER}.changelog"]).values():
            future.result()
        wait_for("the changelog to be gone", lambda: f"{name}.{LATER}.changelog" not in topics.names(self.stack.brokers), 60)
        # Then its place in the log, without which nothing is read past it: a newer topology might have it.
        worker = self.run_worker(name, TABLES)
        self.sql(f"UPDATE orders SET n = n + 1; UPDATE {LATER} SET n = 99")
        wait_for("the worker to say what it waits for",
                 lambda: f"delete the topic {name}.{LATER}.intake, and this goes on" in worker.output(), 180, worker.seen)
        for future in admin.delete_topics([f"{name}.{LATER}.intake"]).values():
            future.result()
        self.equal(name, TABLES, worker)
        self.assertIn(f"source {LATER} is gone with its topic", worker.output())
        self.assertEqual(worker.stop(), 0)

    def resnapshot(self, name, *tables, ok=True):
        code, out, err = self.stack.tidemark("resnapshot", "--config", self.config(name, TABLES), *tables, check=False,
                                             env=self.stack.environment(SOURCE_URL=self.source, COPY_URL=self.copy))
        self.assertEqual(code == 0, ok, out + err)
        return out + err

    def test_tables_are_taken_anew_whatever_is_killed(self):
        name, seed = "anew", 7
        moments = random.Random(seed)
        self.assertIn("nothing was read yet", self.resnapshot(name, "orders", ok=False))
        self.assertIn("'order' is no source that is a table of PostgreSQL (did you mean 'orders'?)",
                      self.resnapshot(name, "order", ok=False))
        # Larger than a commit, so that rows that are gone take several.
        self.fill("orders", 12000)
        self.fill("places", 300)
        worker = self.run_worker(name, TABLES)
        self.equal(name, TABLES, worker)
        # Under a worker that runs over a quiet database, which is fenced and goes on; nothing comes of it but the rows again.
        self.assertIn("snapshot 1 of public.orders is asked for", self.resnapshot(name, "orders"))
        wait_for("the new snapshot", lambda: worker.metric("tidemark_intake_events_total", source="orders", event="snapshots") == 2,
                 120, worker.seen, every=0.3)
        self.sql("UPDATE orders SET n = n + 1 WHERE id % 100 = 0; DELETE FROM orders WHERE id = 7; UPDATE places SET n = 5")
        self.equal(name, TABLES, worker)
        self.assertEqual(worker.stop(), 0, worker.seen())

        # Changes that nobody can tell any more: rows are gone, new, others, and the table is made anew.
        wait_for("the slot to be free", lambda: not self.sql("SELECT active FROM pg_replication_slots")[0][0], 120)
        self.sql("SELECT pg_drop_replication_slot(%s)", f"{name}_slot")
        self.sql("DELETE FROM orders WHERE id % 6 <> 0; UPDATE orders SET n = n + 1 WHERE id % 12 = 0; INSERT INTO orders SELECT i, 0, "
                 "'new', 'n' FROM generate_series(20001, 20100) i; TRUNCATE places; INSERT INTO places VALUES (1, 1, 'one', 'n')")
        worker = self.run_worker(name, TABLES)
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn(f"slot {name}_slot is gone", worker.output())
        self.assertIn("`tidemark resnapshot orders places visits`", worker.output())
        self.resnapshot(name, *TABLES)
        kills = 0
        with Churn(self.source, seed + 1):
            for _ in range(KILLS):
                # In the midst of the snapshot, and of what it makes of the rows that are gone.
                point = moments.choice(("intake.after_flush", "commit.before_decision", "commit.after_decision"))
                worker = self.run_worker(name, TABLES, failpoints=f"{point}=kill@{moments.randint(2, 8)}")
                self.assertEqual(worker.wait(240), -signal.SIGKILL, worker.seen())
                kills += 1
            worker = self.run_worker(name, TABLES)
            wait_for("the new snapshots", lambda: worker.metric("tidemark_intake_events_total", source="visits",
                                                                event="snapshots") == 2, 240, worker.seen, every=0.3)
        rows = self.equal(name, TABLES, worker)
        print(f"taken anew with {kills} kills (seed {seed}): {rows}", flush=True)
        for table in TABLES:
            self.assertEqual(worker.metric("tidemark_step_rows_total", step=f"{table} changes", outcome="dead_lettered"), 0)
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_a_transaction_is_seen_whole_whatever_is_killed(self):
        name, seed = "whole", 5
        moments = random.Random(seed)
        self.sql(f"INSERT INTO orders SELECT i, 0, 'row', 'n' FROM generate_series(1, {Transfers.ROWS}) i")
        path = self.stack.folder / f"{name}.yaml"
        source = SOURCE.format(table="orders").replace(", partitions: 2 }", " }\n    atomic: transactions")
        source += SOURCE.format(table="places").replace("partitions: 2", "partitions: 3")  # so that others have more partitions
        path.write_text(HEAD.format(name=name).replace("50ms", "5ms") + source + "steps:\n  kept: { from: orders, filter: "
                        "\"id > 0\" }\nsinks:\n  copy: { from: kept, atomic: true, postgres: { url: \"${COPY_URL}\", table: "
                        f"{name}_orders, key: [id] }} }}\n" + SINK.format(table="places", name=name))

        def run(failpoints=None):
            return self.stack.run(path, name=name, failpoints=failpoints,
                                  env=self.stack.environment(SOURCE_URL=self.source, COPY_URL=self.copy))
        worker = run()
        self.equal(name, ("orders",), worker)
        self.assertEqual([topics.partitions(self.stack.brokers, f"{name}.{sink}.feed") for sink in ("copy", "places_copy")], [1, 3])
        points = ("commit.before_decision", "commit.after_decision", "intake.after_flush", "intake.after_decision", None)
        with Transfers(self.source, self.copy, f"{name}_orders", seed) as transfers:
            worker.kill()
            for _ in range(KILLS):
                point = moments.choice(points)
                worker = run(f"{point}=kill@{moments.randint(5, 60)}" if point else None)
                if point:
                    self.assertEqual(worker.wait(240), -signal.SIGKILL, worker.seen())
                else:
                    seen = len(transfers.seen)
                    wait_for("transactions to be seen", lambda: len(transfers.seen) > seen + 3, 120, worker.seen)
                    worker.kill()
            worker = run()
            seen = len(transfers.seen)
            wait_for("transactions to be seen", lambda: len(transfers.seen) > seen + 3, 120, worker.seen)
        rows = self.equal(name, ("orders",), worker)
        self.assertEqual(transfers.wrong, [], "parts of transactions were seen")
        self.assertGreater(transfers.looks, 100)
        print(f"{transfers.transactions} transactions, {KILLS} kills (seed {seed}): {transfers.looks} looks at the copy, "
              f"{len(transfers.seen)} different, none of a part; {rows}", flush=True)
        self.assertEqual(worker.metric("tidemark_step_rows_total", step="orders changes", outcome="dead_lettered"), 0)
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_mistakes_are_told_with_the_tables_name(self):
        worker = self.run_worker("mistaken", (*TABLES, LATER))
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertIn(f"source {LATER}: publication \"shop\" doesn't have the table: ALTER PUBLICATION", worker.output())
        self.assertEqual(self.sql("SELECT count(*) FROM pg_replication_slots"), [(0,)], "nothing was made")


if __name__ == "__main__":
    main()
