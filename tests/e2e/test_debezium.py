#!/usr/bin/env python3
"""The changes of production tables: PostgreSQL -> Debezium in Kafka Connect -> Tidemark -> another PostgreSQL, equal to the
row whatever is killed. Debezium, Connect, broker and both databases are the real ones."""

import json
import pathlib
import random
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import duckdb
import psycopg

import connect
import stack
import topics
from case import SystemTest, main
from stack import script, wait_for

TABLES = """
CREATE TABLE items (
  id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12,2) NOT NULL, weight double precision, note text,
  born date, made timestamp(6), seen timestamptz NOT NULL, ok boolean, data bytea, uid uuid);
-- So that the log leaves values out: texts of this table are stored apart, uncompressed.
ALTER TABLE items ALTER COLUMN note SET STORAGE EXTERNAL;
CREATE TABLE pairs (a int, b text, v int NOT NULL, PRIMARY KEY (a, b));
"""

TOPOLOGY = """
name: {name}
kafka: {{ brokers: "${{KAFKA_BROKERS}}" }}
commit_interval: 50ms
sources:
  items:
    topic: shop.public.items
    format: debezium
    key: [id]
    columns:
      id: int64
      name: string
      amount: decimal(12,2)
      weight: {{ type: double, nullable: true }}
      note: {{ type: string, nullable: true }}
      born: {{ type: date, nullable: true }}
      made: {{ type: timestamp, nullable: true }}
      seen: timestamp
      ok: {{ type: bool, nullable: true }}
      data: {{ type: bytes, nullable: true }}
      uid: {{ type: string, nullable: true }}
  pairs:
    topic: shop.public.pairs
    format: debezium
    key: [a, b]
    columns: {{ a: int32, b: string, v: int32 }}
sinks:
  items_copy: {{ from: items, postgres: {{ url: "${{COPY_URL}}", table: items, key: [id] }} }}
  pairs_copy: {{ from: pairs, postgres: {{ url: "${{COPY_URL}}", table: pairs, key: [a, b] }} }}
  items_lake: {{ from: items, parquet: {{ path: "${{LAKE}}/items", mode: changes, partition_by: ["date(_time)", ok], max_age: 1s }} }}
  pairs_lake: {{ from: pairs, parquet: {{ path: "${{LAKE}}/pairs", mode: changes, max_age: 1s }} }}
  pairs_out: {{ from: pairs, topic: {name}-pairs, key: [a, b], key_format: json, create: {{ config: {{ cleanup.policy: compact }} }} }}
"""

ITEMS = """SELECT count(*), md5(coalesce(string_agg(md5(ROW(id, name, amount, weight, note, born,
  extract(epoch FROM made{made}), extract(epoch FROM seen), ok, encode(data, 'hex'), uid::text)::text), '' ORDER BY id), '')) FROM items"""
PAIRS = """SELECT count(*), md5(coalesce(string_agg(ROW(a, b, v)::text, ',' ORDER BY a, b COLLATE "C"), '')) FROM pairs"""


class Churn:
    """Changes of both tables by random transactions: inserts, updates, updates of keys, deletes, values that stay out of
    the log."""

    def __init__(self, url, seed):
        self.connection = psycopg.connect(url)
        self.random = random.Random(seed)
        self.rows = 0

    def transaction(self):
        r = self.random
        with self.connection.transaction(), self.connection.cursor() as c:
            for _ in range(r.randint(1, 20)):
                self.rows += 1
                i, what = r.randint(1, 400), r.random()
                if what < 0.4:
                    long = "n" * r.randint(3000, 9000) if r.random() < 0.5 else r.choice([None, "short", ""])
                    c.execute(
                        "INSERT INTO items VALUES (%s, %s, %s, %s, %s, %s, %s, now(), %s, %s, gen_random_uuid()) ON CONFLICT (id) "
                        "DO UPDATE SET name = excluded.name, note = excluded.note, seen = excluded.seen",
                        (i, r.choice(["ä", "b", "c|d", "e\"f\\"]) + str(r.randint(0, 9)), r.randint(-10**6, 10**6) / 100, r.random(),
                         long, r.choice([None, "1969-12-31", "2026-02-28"]), r.choice([None, "2026-01-01 00:00:00.123456"]),
                         r.choice([None, True, False]), r.choice([None, b"", b"\x00\xff"])))
                elif what < 0.7:  # the long text stays out of the log
                    c.execute("UPDATE items SET amount = amount + 0.01, seen = now() WHERE id = %s", (i,))
                elif what < 0.75:  # of a new key no row is kept that an old text could come from
                    c.execute("UPDATE items SET id = %s, note = note || '' WHERE id = %s "
                              "AND NOT EXISTS (SELECT 1 FROM items WHERE id = %s)", (i + 1000, i, i + 1000))
                elif what < 0.85:
                    c.execute("DELETE FROM items WHERE id = %s OR id = %s", (i, i + 1000))
                elif what < 0.95:
                    c.execute("INSERT INTO pairs VALUES (%s, %s, %s) ON CONFLICT (a, b) DO UPDATE SET v = excluded.v",
                              (i % 20, r.choice("xyz"), i))
                else:
                    c.execute("DELETE FROM pairs WHERE a = %s", (i % 20,))


class Debezium(SystemTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = cls.stack.start_postgres("--set", "wal_level=logical")
        folder = cls.stack.folder / "copy"
        cls.copy = script("postgres", "start", "--dir", folder, "--port", 0, log=cls.stack.folder / "copy.log")
        cls.addClassCleanup(script, "postgres", "stop", "--dir", folder, "--kill")

    def config(self, name):
        path = self.stack.folder / f"{name}.yaml"
        path.write_text(TOPOLOGY.format(name=name))
        return path

    @staticmethod
    def checksums(url, copied):
        with psycopg.connect(url, autocommit=True) as connection:
            if connection.execute("SELECT to_regclass('items'), to_regclass('pairs')").fetchone().count(None) > 0:
                return None
            # `made` is without a zone in the source, which Debezium takes for UTC.
            items = ITEMS.format(made="" if copied else " AT TIME ZONE 'UTC'")
            return connection.execute(items).fetchone(), connection.execute(PAIRS).fetchone()

    def equal(self, seconds, seen, also=lambda: None):
        """The copy is the tables, as checksums say. `also` is called at each look."""
        last = []

        def compared():
            also()
            last[:] = [self.checksums(self.source, False), self.checksums(self.copy, True)]
            return last[0] == last[1]
        wait_for("the copy to be equal", compared, seconds, lambda: f"{last}\n{seen()}", every=0.5)
        return last[0]

    def test_tables_are_equal_whatever_is_killed(self):
        with psycopg.connect(self.source, autocommit=True) as connection:
            connection.execute(TABLES)
        churn = Churn(self.source, 1)
        self.addCleanup(churn.connection.close)
        for _ in range(60):
            churn.transaction()
        connector = connect.Connect(self.stack.folder / "connect", self.stack.brokers,
                                    connect.postgres_connector(self.source, ["public.items", "public.pairs"]))
        connector.start()
        self.addCleanup(connector.kill)
        needed = {"shop.public.items", "shop.public.pairs"}
        connector.wait_for("the snapshot", lambda: needed <= topics.names(self.stack.brokers))
        name = "shop"
        config = self.config(name)
        env = self.stack.environment(COPY_URL=self.copy, LAKE=self.stack.folder / "lake")
        worker = self.stack.run(config, name=name, env=env)
        self.equal(360, worker.seen, connector.goes_on)
        # One that is killed before takes the snapshot again, and says nothing of rows that were deleted meanwhile.
        def noted():
            churn.transaction()
            return connector.notes_changes()
        wait_for("Connect to have noted that the snapshot is done", noted, 180, connector.seen, every=0.2)

        stop = threading.Event()

        def change():
            while not stop.wait(0.01):
                churn.transaction()
        changer = threading.Thread(target=change)
        changer.start()
        try:
            for round_number in range(4):
                before = churn.rows
                wait_for("changes", lambda: churn.rows > before + 300, 180)
                worker.kill()
                if round_number % 2 == 0:
                    connector.kill()
                    connector.start()
                worker = self.stack.run(config, name=name, env=env)
                if round_number == 1:
                    with psycopg.connect(self.source, autocommit=True) as connection:
                        connection.execute("ALTER TABLE items ADD COLUMN extra text DEFAULT 'x'")
        finally:
            stop.set()
            changer.join()
        rows = self.equal(480, lambda: worker.seen() + connector.seen(), connector.goes_on)
        print(f"equal after {churn.rows} changes, 4 kills of the worker and 2 of Connect: {rows}", flush=True)
        self.assertGreater(rows[0][0], 50)

        # What was repeated is told apart, and what stayed out of the log was filled in.
        outcome = {key: worker.metric("tidemark_step_rows_total", step="items changes", outcome=key)
                   for key in ("passed", "duplicate", "dead_lettered")}
        print(f"items changes: {outcome}", flush=True)
        self.assertGreater(outcome["duplicate"], 0, "Connect has repeated nothing, so this has shown nothing of repeats")
        self.assertEqual(worker.metric("tidemark_step_rows_total", step="items", outcome="dead_lettered"), 0)
        self.assertIn("the table has a column 'extra' that the topology doesn't name", worker.output())
        self.assertGreater(worker.metric("tidemark_source_unnamed_columns", source="items"), 0)

        self.assertEqual(worker.stop(), 0, worker.seen())
        with psycopg.connect(self.source, autocommit=True) as connection:
            table = {tuple(row) for row in connection.execute("SELECT a, b, v FROM pairs").fetchall()}
        self.assertEqual(self.standing(f"{name}-pairs"), table, "the compacted topic is the table too")
        self.check_lake(table)
        self.assertEqual(self.check_letters(f"{name}-dead-letter"), outcome["dead_lettered"])

    def check_letters(self, topic):
        """How many records were refused. Only an update may be that comes again behind its row's deletion and leaves
        values out: of such a row nothing is known."""
        changes, deletions = {}, []
        records = topics.read(self.stack.brokers, "shop.public.items")
        for partition, offset, value in zip(*(records[c].to_pylist() for c in ("partition", "offset", "value"))):
            if value is None:
                continue
            change = json.loads(value)["payload"]
            row = change["after"] or change["before"]
            changes[partition, offset] = row["id"], change["source"]["lsn"]
            if change["op"] == "d":
                deletions.append((partition, offset, row["id"], change["source"]["lsn"]))
        letters = topics.read(self.stack.brokers, topic, headers=True)[1]
        for headers in letters:
            said = {name.removeprefix("tidemark."): value.decode() for name, value in headers.items()}
            self.assertIn("the record leaves out values that haven't changed (TOAST)", said["reason"])
            place = int(said["source.partition"]), int(said["source.offset"])
            row, lsn = changes[place]
            self.assertTrue([d for d in deletions if d[:2] < place and d[0] == place[0] and d[2] == row and d[3] > lsn],
                            f"the change of row {row} at {place}, LSN {lsn}, isn't one that comes again")
        return len(letters)

    def check_lake(self, pairs):
        """What the lake's changes come to."""
        lake = duckdb.connect()
        lake.execute((stack.ROOT / "examples" / "lake" / "latest.sql").read_text())
        latest = lambda table, columns: set(lake.execute(
            f"SELECT {columns} FROM latest('{self.stack.folder}/lake/{table}')").fetchall())
        self.assertEqual(latest("pairs", "a, b, v"), pairs)
        with psycopg.connect(self.source, autocommit=True) as connection:
            items = connection.execute("SELECT id, name, amount, note, born, data FROM items").fetchall()
        self.assertEqual(latest("items", "id, name, amount, note, born, data"), {tuple(row) for row in items})
        count, = lake.execute(f"SELECT count(*) FROM '{self.stack.folder}/lake/items/**/*.parquet'").fetchone()
        self.assertGreater(count, len(items) * 2)
        print(f"the lake's {count} changes of items come to {len(items)} rows", flush=True)

    def standing(self, topic):
        """What a compacted topic says in the end."""
        rows = {}
        records = topics.read(self.stack.brokers, topic)
        for key, value in zip(records["key"].to_pylist(), records["value"].to_pylist()):
            rows.pop(key, None)
            if value is not None:
                row = json.loads(value)
                rows[key] = (row["a"], row["b"], row["v"])
        return set(rows.values())


if __name__ == "__main__":
    main()
