#!/usr/bin/env python3
"""The changes of tables of the MySQL family: MariaDB's binary log -> Debezium in Kafka Connect -> Tidemark -> PostgreSQL and a
lake, in JSON and in Avro by Apicurio's converter, whatever is killed. The oracle is the database itself: rows are compared value
by value. All parts are the real ones; they are installed by scripts/setup --long."""

import datetime
import decimal
import json
import pathlib
import random
import re
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import psycopg
import pymysql

import connect
import duck
import mariadb
import stack
import topics
import topology
from case import LONG, SystemTest, main
from registry import Registry
from stack import wait_for

THINGS = """CREATE TABLE things (
  id int unsigned PRIMARY KEY, small smallint unsigned NOT NULL, flag tinyint(1), bit1 bit(1), medium mediumint NOT NULL,
  big bigint unsigned, name varchar(60) NOT NULL, amount decimal(12,2) NOT NULL, wide decimal(30,10), ratio double, single float,
  born date, held datetime, fine datetime(6), seen timestamp(3) NULL DEFAULT NULL, stamped timestamp NOT NULL,
  spent time, finely time(6), made year, state enum('new', 'paid', 'gone'), tags set('a', 'b', 'c'), doc json,
  photo blob, code varbinary(20), fixed binary(4), body mediumtext, due date NOT NULL)"""
PAIRS = "CREATE TABLE pairs (a int, b varchar(10) COLLATE utf8mb4_bin, v int NOT NULL, old int, PRIMARY KEY (a, b))"

COLUMNS = {
    "id": "int64", "small": "int32", "flag": "int32?", "bit1": "bool?", "medium": "int32", "big": "int64?", "name": "string",
    "amount": "decimal(12,2)", "wide": "decimal(30,10)?", "ratio": "double?", "single": "double?", "born": "date?",
    "held": "timestamp?", "fine": "timestamp?", "seen": "timestamp?", "stamped": "timestamp", "spent": "string?",
    "finely": "string?", "made": "int32?", "state": "string?", "tags": "string?", "doc": "json?", "photo": "bytes?",
    "code": "bytes?", "fixed": "bytes?", "body": "string?", "due": "date"}
BESIDE = {"change": ("string", "op"), "log_file": ("string", "source.file"), "log_pos": ("int64", "source.pos"),
          "snapshot": ("string", "source.snapshot")}


def column(text):
    return {"type": text.rstrip("?"), "nullable": text.endswith("?")}


def length_of_time(value):
    """A TIME of MySQL's as Tidemark has it in text."""
    if value is None:
        return None
    us = value // datetime.timedelta(microseconds=1)
    text = "{}{:02}:{:02}:{:02}".format("-" if us < 0 else "", abs(us) // 3_600_000_000, abs(us) // 60_000_000 % 60,
                                        abs(us) // 1_000_000 % 60)
    return text + (f".{abs(us) % 1_000_000:06}" if us % 1_000_000 else "")


def value_of(name, value):
    """A value of either database, so that the same is equal."""
    if isinstance(value, str) and value.startswith("0000-"):
        return datetime.date(1970, 1, 1) if name == "due" else None  # MySQL's zero date, which is none
    if name in ("spent", "finely") and isinstance(value, datetime.timedelta):
        return length_of_time(value)
    if name == "bit1" and isinstance(value, bytes):
        return value == b"\1"
    if name == "doc" and isinstance(value, str):
        value = json.loads(value)
    if name == "doc":
        return json.dumps(value, sort_keys=True)
    if name == "big" and value is not None:
        return int(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value


class Churn:
    """Changes of both tables by random transactions. `largest`: of what is unsigned and of eight bytes."""

    def __init__(self, database, seed, largest):
        self.connection = database.connect("shop")
        self.connection.autocommit(False)
        self.random, self.largest, self.rows = random.Random(seed), largest, 0

    def thing(self, number):
        r = self.random
        pick = r.choice
        return (number, pick([0, 65535, r.randrange(65536)]), pick([None, 0, 1, -128]), pick([None, b"\0", b"\1"]),
                pick([-8388608, 8388607, 0]), pick([None, 0, self.largest, r.randrange(2**62)]),
                pick(["ä", "€ und 𝄞", "c|d", "e\"f\\", ""]) + str(r.randint(0, 9)),
                decimal.Decimal(r.randint(-10**11, 10**11)) / 100,
                pick([None, "0", "12345678901234567890.0123456789", "-0.0000000001"]),
                pick([None, r.random(), -1e300, 5e-324]), pick([None, r.randint(-10**4, 10**4) / 4]),
                pick([None, "0000-00-00", "1000-01-01", "9999-12-31", "1969-12-31"]),
                pick([None, "1000-01-01 00:00:00", "2026-02-28 23:59:59", "9999-12-31 23:59:59"]),
                pick([None, "1969-12-31 23:59:59.999999", "2026-03-29 02:30:00.000001"]),
                pick([None, "1970-01-01 00:00:01.001", "2038-01-19 03:14:07.999"]), "2026-07-01 12:00:00",
                pick([None, "-838:59:59", "838:59:59", "00:00:00", "-00:00:01"]), pick([None, "-00:00:00.5", "12:34:56.000001"]),
                pick([None, 1901, 2155, 2026]), pick([None, "new", "paid", "gone"]), pick([None, "", "a", "a,c"]),
                pick([None, "{\"a\": [1, 2.50, null], \"ä\": \"\\u20ac\\n\"}", "[]", "\"x\"", "-0.1"]),
                pick([None, b"", bytes(range(256)) * 8]), pick([None, b"", b"\0\xff"]), pick([None, b"\0\1\2\xff", b"ab\0\0"]),
                pick([None, "", "long 𝄞 " * 2000]), pick(["0000-00-00", "2026-01-01"]))

    def replace(self, cursor, number):
        cursor.execute(f"REPLACE INTO things ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})", self.thing(number))

    def transaction(self):
        try:
            with self.connection.cursor() as cursor:
                self.change(cursor)
            self.connection.commit() if self.random.random() < 0.95 else self.connection.rollback()
        except pymysql.OperationalError as error:
            if error.args[0] != 1213:  # a deadlock with ALTER TABLE, or with who looks
                raise
            self.connection.rollback()

    def change(self, cursor):
        r, c = self.random, cursor
        for _ in range(r.randint(1, 12)):
            self.rows += 1
            i, what = r.randint(1, 300), r.random()
            if what < 0.35:
                self.replace(c, i)
            elif what < 0.65:
                c.execute("UPDATE things SET amount = -amount, doc = %s, small = %s WHERE id BETWEEN %s AND %s",
                          (r.choice([None, "{}"]), r.randrange(65536), i, i + 3))
            elif what < 0.72:
                c.execute("SELECT 1 FROM things WHERE id = %s", (i + 1000,))
                if not c.fetchone():
                    c.execute("UPDATE things SET id = %s WHERE id = %s", (i + 1000, i))
            elif what < 0.82:
                c.execute("DELETE FROM things WHERE id = %s OR id = %s", (i, i + 1000))
            elif what < 0.95:
                c.execute("INSERT INTO pairs (a, b, v) VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE v = VALUES(v)",
                          (i % 20, r.choice(["x", "X", "ü"]), i))
            else:
                c.execute("DELETE FROM pairs WHERE a = %s", (i % 20,))


@unittest.skipUnless(LONG, "installs MariaDB: only with --long")
class MysqlChanges(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        cls.database = mariadb.MariaDb(cls.stack.folder / "mariadb").start()
        cls.addClassCleanup(cls.database.close)

    def run_sql(self, *statements, database="shop"):
        with self.database.connect(database) as connection, connection.cursor() as c:
            for statement in statements:
                c.execute(statement)
            return c.fetchall()

    def connector(self, prefix, tables, converter=None, **more):
        connector = connect.Connect(
            self.stack.folder / f"connect-{prefix}", self.stack.brokers,
            connect.mysql_connector(self.database, tables, prefix, **{
                "schema.history.internal.kafka.bootstrap.servers": self.stack.brokers,
                "schema.history.internal.kafka.topic": f"{prefix}-history", "skipped.operations": "none", **more}),
            converter, connect.JARS_LONG)
        self.addCleanup(connector.kill)
        connector.start()
        needed = {f"{prefix}.shop.{table}" for table in tables}
        connector.wait_for("the snapshot", lambda: needed <= topics.names(self.stack.brokers))
        return connector

    def source(self, prefix, table, key, columns, encoding, **options):
        return {"topic": f"{prefix}.shop.{table}", "format": {"type": "debezium", "encoding": encoding, **options}, "key": key,
                "columns": {**{name: column(text) for name, text in columns.items()}}}

    def topology(self, name, encoding, big):
        things = self.source(name, "things", ["id"], {**COLUMNS, "big": big}, encoding)
        for of, (type_, where) in BESIDE.items():
            things["columns"][of] = {"type": type_, "nullable": True, "from": where}
        table = lambda of, key: {"url": "${DATABASE_URL}", "table": f"{name}_{of}", "key": key}
        lake = lambda of: {"path": "${LAKE}/" + f"{name}/{of}", "mode": "changes", "max_age": "1s"}
        return topology.write(self.stack.folder / f"{name}.yaml", {
            "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "commit_interval": "50ms",
            **({"schema_registry": self.registry.url} if encoding == "avro" else {}),
            "sources": {"things": things, "pairs": self.source(name, "pairs", ["a", "b"], {
                "a": "int32", "b": "string", "v": "int32", "old": "int32?"}, encoding)},
            "sinks": {"things_copy": {"from": "things", "postgres": table("things", ["id"])},
                      "pairs_copy": {"from": "pairs", "postgres": table("pairs", ["a", "b"])},
                      "things_lake": {"from": "things", "parquet": lake("things")}}})

    def copied(self, name, table, columns):
        """{key and values} of the copy; None while there is none."""
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            if connection.execute("SELECT to_regclass(%s)", (f"{name}_{table}",)).fetchone()[0] is None:
                return None
            asked = ", ".join("doc::text" if column == "doc" else column for column in columns)
            rows = connection.execute(f"SELECT {asked} FROM {name}_{table}").fetchall()
        return {tuple(map(value_of, columns, row)) for row in rows}

    def original(self, table, columns):
        rows = self.run_sql(f"SELECT {', '.join(columns)} FROM {table}")
        return {tuple(map(value_of, columns, row)) for row in rows}

    def equal(self, name, seconds, seen, also=lambda: None):
        """The copies are the tables; how many rows each has."""
        tables = {"things": list(COLUMNS), "pairs": ["a", "b", "v"]}
        last, rows = {}, {}

        def compared():
            also()
            for table, columns in tables.items():
                original, copy = self.original(table, columns), self.copied(name, table, columns)
                last[table] = None if copy is None else (sorted(original - copy, key=str)[:2], sorted(copy - original, key=str)[:2])
                rows[table] = len(original)
                if copy != original:
                    return False
            return True
        wait_for("the copies to be equal", compared, seconds, lambda: f"{last}\n{seen()}", every=0.5)
        return rows

    def replicate(self, name, converter=None, encoding="json", big="int64?", largest=2**63 - 1, seed=1, **connector_settings):
        """Both tables, from nothing, under churn, kills and ALTER TABLE, to both sinks."""
        self.run_sql("DROP TABLE IF EXISTS things, pairs", THINGS, PAIRS)
        churn = Churn(self.database, seed, largest)
        self.addCleanup(churn.connection.close)
        for _ in range(60):
            churn.transaction()
        with churn.connection.cursor() as c:
            churn.replace(c, 5_000)  # of which nothing is heard but by the snapshot
        churn.connection.commit()
        connector = self.connector(name, ["things", "pairs"], converter, **connector_settings)
        config = self.topology(name, encoding, big)
        worker = self.stack.run(config, name=name)
        self.equal(name, 240, worker.seen, connector.goes_on)

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
            for round_number in range(3):
                before = churn.rows
                wait_for("changes", lambda: churn.rows > before + 300, 180)
                if round_number == 0:
                    self.run_sql("ALTER TABLE things ADD COLUMN extra varchar(9) DEFAULT 'x' AFTER small, "
                                 "MODIFY name varchar(100) NOT NULL", "ALTER TABLE pairs DROP COLUMN old", "FLUSH BINARY LOGS")
                    # What Debezium knows of a table comes before its place in the log: killed in between, it takes rows of
                    # before for such of the new table, and ends.
                    log = self.run_sql("SHOW BINARY LOGS")[-1][0]
                    connector.wait_for("Connect to have noted a place behind that", lambda: connector.has_noted(log))
                else:
                    worker.kill()
                    connector.kill()
                    connector.start()
                    worker = self.stack.run(config, name=name)
        finally:
            stop.set()
            changer.join()
        rows = self.equal(name, 300, lambda: worker.seen() + connector.seen(), connector.goes_on)
        outcome = {key: worker.metric("tidemark_step_rows_total", step="things changes", outcome=key)
                   for key in ("passed", "duplicate", "dead_lettered")}
        print(f"{name}: {rows} rows equal after {churn.rows} changes, 2 kills of each; things changes: {outcome}", flush=True)
        self.assertIn("the table has a column 'extra' that the topology doesn't name", worker.output())
        self.assertGreater(outcome["duplicate"], 0, "Connect has repeated nothing")
        for source in ("things", "pairs"):
            self.assertEqual(worker.metric("tidemark_step_rows_total", step=source, outcome="dead_lettered"), 0)
        self.assertEqual(outcome["dead_lettered"], 0)
        self.assertEqual(worker.stop(), 0, worker.seen())
        connector.kill()
        columns = ["id", "name", "amount", "state", "born", "code"]
        macro = (stack.ROOT / "examples" / "lake" / "latest.sql").read_text()
        lake = duck.rows(f"{macro}; SELECT {', '.join(columns)} FROM latest('{self.stack.folder}/lake/{name}/things')")
        self.assertEqual({tuple(map(value_of, columns, row)) for row in lake}, self.original("things", columns))

    def check_places(self, name):
        """What stands beside a row is of the record, in the topic, that the database's log has last of that row."""
        last = {}
        for value in topics.read(self.stack.brokers, f"{name}.shop.things")["value"].to_pylist():
            change = json.loads(value)["payload"] if value else {"after": None}
            if change["after"] is None:
                continue
            said = change["source"]
            place = (len(said["file"]), said["file"], said["pos"], said["row"])
            found = last.get(change["after"]["id"])
            if found is None or place >= found[0]:
                last[change["after"]["id"]] = place, (change["op"], said["file"], said["pos"], said["snapshot"])
        beside = self.copied(name, "things", ["id", *BESIDE])
        self.assertEqual({(id, *last[id][1]) for id, *_ in beside}, beside)
        self.assertGreater(len({row[2] for row in beside}), 1, "rows from more than one file of the log")
        self.assertTrue({row[4] for row in beside} - {"false"}, "rows of the snapshot")

    def test_tables_are_equal_in_json(self):
        self.replicate("shop")
        self.check_places("shop")
        logs = {row[0] for row in self.run_sql("SHOW BINARY LOGS")}
        self.assertLessEqual({row[2] for row in self.copied("shop", "things", ["id", *BESIDE])}, logs)

    def test_tables_are_equal_in_avro_by_apicurio(self):
        self.start_registry()
        self.replicate("avro", connect.apicurio_converter(self.registry.native_url, {
            "headers.enabled": "false", "as-confluent": "true", "use-id": "contentId"}), "avro", "decimal(20,0)?", 2**64 - 1, 2,
            **{"bigint.unsigned.handling.mode": "precise"})

    def start_registry(self):
        if not hasattr(MysqlChanges, "registry"):
            MysqlChanges.registry = Registry(self.stack.folder / "registry").start()
            self.addClassCleanup(self.registry.close)
        self.registry.ready()

    def test_other_ways_to_name_a_schema_are_refused_by_name(self):
        self.start_registry()
        self.run_sql("CREATE TABLE forms (id int PRIMARY KEY)", "INSERT INTO forms VALUES (1), (2), (3)")
        for name, settings, why in (
                ("headers", {}, "headers.enabled = false"), ("eight", {"headers.enabled": "false"}, "writes eight bytes")):
            connector = self.connector(name, ["forms"], connect.apicurio_converter(self.registry.native_url, settings))
            config = topology.write(self.stack.folder / f"{name}.yaml", {
                "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "schema_registry": self.registry.url,
                "sources": {"forms": self.source(name, "forms", ["id"], {"id": "int32"}, "avro")},
                "sinks": {"out": {"from": "forms", "topic": f"{name}-out", "key": ["id"], "create": {}}}})
            worker = self.stack.run(config, name=name)
            letters = lambda: (topics.partitions(self.stack.brokers, f"{name}-dead-letter") and
                               topics.read(self.stack.brokers, f"{name}-dead-letter", headers=True)[1])
            found = connector.wait_for("the letters", lambda: len(letters() or []) >= 3 and letters())
            self.assertEqual({h["tidemark.reason"].decode() for h in found if why not in h["tidemark.reason"].decode()}, set())
            self.assertEqual(worker.stop(), 0, worker.seen())
            connector.kill()

    def test_a_table_that_is_emptied_stops_the_run_unless_it_is_told_otherwise(self):
        self.run_sql("CREATE TABLE emptied (id int PRIMARY KEY, v int)", "INSERT INTO emptied VALUES (1, 1), (2, 2)")
        connector = self.connector("emptied", ["emptied"])
        columns = {"id": "int32", "v": "int32?"}

        def config(**options):
            return topology.write(self.stack.folder / "emptied.yaml", {
                "name": "emptied", "kafka": {"brokers": "${KAFKA_BROKERS}"},
                "sources": {"emptied": self.source("emptied", "emptied", ["id"], columns, "json", **options)},
                "sinks": {"copy": {"from": "emptied", "postgres": {"url": "${DATABASE_URL}", "table": "emptied_emptied",
                                                                   "key": ["id"]}}}})
        worker = self.stack.run(config(), name="emptied")
        wait_for("the rows", lambda: self.copied("emptied", "emptied", columns) == {(1, 1), (2, 2)}, 180, worker.seen)
        self.run_sql("INSERT INTO emptied VALUES (3, 3)")
        connector.wait_for("the place to be noted", connector.notes_changes, 60)
        self.run_sql("TRUNCATE TABLE emptied", "INSERT INTO emptied VALUES (4, 4)")
        self.assertEqual(worker.wait(180), 2, worker.seen())
        self.assertRegex(worker.output(), re.escape("the table was emptied (TRUNCATE)"))
        worker = self.stack.run(config(on_truncate="dead_letter"), name="emptied")
        wait_for("the row behind it, and all before", lambda: self.copied("emptied", "emptied", columns) ==
                 {(n, n) for n in (1, 2, 3, 4)}, 180, worker.seen)
        self.assertEqual(worker.stop(), 0, worker.seen())


if __name__ == "__main__":
    main()
