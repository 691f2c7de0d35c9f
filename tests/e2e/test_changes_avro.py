#!/usr/bin/env python3
"""Changes of a table as Debezium writes them in Avro, over a real broker, a real registry and a real PostgreSQL: the table
is altered under way, values stay out of the log, records come again, and the worker is killed. Then a version of the
topology with a column more, whose table grows with it; and rules of a source that end a run. Envelopes and keys are
fastavro's, under the schemas that Connect makes."""

import io
import json
import pathlib
import random
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import fastavro
import psycopg

import topics
import topology
from case import SystemTest, main
from registry import Registry
from stack import BINARY, wait_for

UNAVAILABLE = "__debezium_unavailable_value"
KEY = {"type": "record", "name": "Key", "namespace": "shop.items", "fields": [{"name": "id", "type": "long"}]}


def named(type_, name, **more):
    return {"type": type_, "connect.version": 1, "connect.name": name, **more}


def envelope(*added):
    row = {"type": "record", "name": "Value", "fields": [
        {"name": "id", "type": "long"}, {"name": "name", "type": "string"},
        {"name": "price", "type": named("bytes", "org.apache.kafka.connect.data.Decimal", scale=2, precision=12,
                                        **{"connect.parameters": {"scale": "2"}})},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "born", "type": ["null", named("int", "io.debezium.time.Date")], "default": None}, *added]}
    source = {"type": "record", "name": "Source", "namespace": "io.debezium.connector.postgresql", "fields": [
        {"name": "lsn", "type": ["null", "long"], "default": None}, {"name": "ts_ms", "type": "long"}]}
    return {"type": "record", "name": "Envelope", "namespace": "shop.items", "fields": [
        {"name": "before", "type": ["null", row], "default": None}, {"name": "after", "type": ["null", "Value"], "default": None},
        {"name": "source", "type": source}, {"name": "op", "type": "string"}, {"name": "ts_ms", "type": ["null", "long"]}]}


FIRST, SECOND = envelope(), envelope({"name": "city", "type": ["null", "string"], "default": None})


class Table:
    """A table of which only the changes are seen; what stands in it is known."""

    def __init__(self, test, topic, seed):
        self.test, self.topic, self.random = test, topic, random.Random(seed)
        self.rows, self.lsn, self.records = {}, 0, []
        self.schema = FIRST

    def change(self, count):
        """That many changes, in the topic."""
        self.records = []
        for _ in range(count):
            number = self.random.randrange(60)
            row = self.rows.get(number)
            if row is None:
                self._put("c", self._fresh(number))
            elif self.random.random() < 0.2:
                del self.rows[number]
                # Of the row before only the key is there, as REPLICA IDENTITY DEFAULT has it.
                self._record("d", number, before={**self._fresh(number), "name": "", "note": None})
            else:
                self._put("u", {**row, "price": self.random.randrange(10**6)}, note=UNAVAILABLE)
        # Debezium repeats, where it was started anew.
        topics.produce(self.test.stack.brokers, self.topic, self.records + self.records[-20:])

    def _fresh(self, number):
        r = self.random
        row = {"id": number, "name": r.choice("äbc"), "price": r.randrange(-10**6, 10**6), "note": r.choice(["x", "long" * 9]),
               "born": r.choice([None, -1, 20_000])}
        return row if self.schema is FIRST else {**row, "city": r.choice([None, "Aleppo"])}

    def _put(self, op, row, **logged):
        self.rows[row["id"]] = row
        self._record(op, row["id"], after={**row, **logged})

    def _record(self, op, number, before=None, after=None):
        self.lsn += 1
        encoded = {"before": before, "after": after, "op": op, "ts_ms": 1767225600000 + self.lsn,
                   "source": {"lsn": self.lsn, "ts_ms": 1767225600000 + self.lsn}}
        for row in (before, after):
            if row is not None:
                row["price"] = row["price"].to_bytes(8, "big", signed=True)
        self.records.append({"key": self.test.framed("key", KEY, {"id": number}),
                             "value": self.test.framed("first" if self.schema is FIRST else "second", self.schema, encoded)})


class ChangesInAvro(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        cls.registry = Registry(cls.stack.folder / "registry").start()
        cls.addClassCleanup(cls.registry.close)
        cls.registry.ready()
        cls.numbers = {"key": cls.registry.register("items-key", KEY), "first": cls.registry.register("items-value", FIRST),
                       "second": cls.registry.register("items-value", SECOND)}

    @classmethod
    def framed(cls, name, schema, value):
        out = io.BytesIO()
        out.write(b"\0" + struct.pack(">i", cls.numbers[name]))
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
        return out.getvalue()

    def topology(self, name, **columns):
        return topology.write(self.stack.folder / f"{name}.yaml", {
            "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "schema_registry": self.registry.url,
            "commit_interval": "50ms",
            "sources": {"items": {"topic": "items", "format": {"type": "debezium", "encoding": "avro"}, "key": ["id"],
                                  "columns": {"id": "int64", "name": "string", "price": "decimal(12,2)",
                                              "note": {"type": "string", "nullable": True},
                                              "born": {"type": "date", "nullable": True}, **columns}}},
            "sinks": {"copy": {"from": "items", "postgres": {"url": "${DATABASE_URL}", "table": "items", "key": ["id"],
                                                             "evolve": "add_columns"}}}})

    def standing(self, columns):
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            if connection.execute("SELECT to_regclass('items')").fetchone()[0] is None:
                return None
            try:
                rows = connection.execute(
                    f"SELECT id, name, (price * 100)::bigint, note, born - '1970-01-01'::date, {columns} FROM items").fetchall()
            except psycopg.errors.UndefinedColumn:
                return None  # not added yet
            return {row[0]: row[1:] for row in rows}

    def same(self, table, worker, columns="NULL"):
        expected = {number: (row["name"], row["price"], row["note"], row["born"], row.get("city"))
                    for number, row in table.rows.items()}
        wait_for("the copy to be the table", lambda: self.standing(columns) == expected, 120, worker.seen, every=0.2)

    def test_the_copy_is_the_table_whatever_happens(self):
        topics.create(self.stack.brokers, items=3)
        table = Table(self, "items", 7)
        config = self.topology("shop")
        table.change(400)
        worker = self.stack.run(config, name="shop")
        for round_number in range(3):
            table.change(300)
            worker.kill()
            if round_number == 1:
                table.schema = SECOND  # ALTER TABLE items ADD COLUMN city
            worker = self.stack.run(config, name="shop")
            table.change(100)
        expected = {n: {**row, "city": None} for n, row in table.rows.items()}
        kept, table.rows = table.rows, expected
        self.same(table, worker)
        self.assertIn("the table has a column 'city' that the topology doesn't name", worker.output())
        self.assertEqual(worker.metric("tidemark_step_rows_total", step="items", outcome="dead_lettered"), 0)
        self.assertGreater(worker.metric("tidemark_step_rows_total", step="items changes", outcome="duplicate"), 20)
        self.assertEqual(worker.stop(), 0, worker.seen())

        # With a column more everything is read anew, under a name of its own, into the same table, which grows.
        table.rows = {n: {"city": None, **row} for n, row in kept.items()}
        config = self.topology("shop2", city={"type": "string", "nullable": True})
        said = subprocess.run([BINARY, "plan", "--config", config], env=self.stack.environment(), capture_output=True,
                              text=True).stdout
        self.assertIn('would be altered: ALTER TABLE "public"."items" ADD COLUMN IF NOT EXISTS "city" text', said)
        workers = [self.stack.run(config, name=f"shop2-{i}") for i in range(2)]
        self.same(table, workers[0], "city")
        self.assertTrue([row for row in table.rows.values() if row["city"]], "no row has a city")
        for worker in workers:
            self.assertEqual(worker.stop(), 0, worker.seen())

    def test_a_source_that_breaks_its_rules_too_often_ends_the_run(self):
        topics.create(self.stack.brokers, readings=1)
        def rows(first, bad):
            return [{"value": json.dumps({"at": 1767225600000 + (first + n) * 100, "v": -1 if n in bad else n}).encode()}
                    for n in range(100)]
        config = topology.write(self.stack.folder / "rules.yaml", {
            "name": "rules", "kafka": {"brokers": "${KAFKA_BROKERS}"},
            "sources": {"readings": {"topic": "readings", "columns": {"at": "timestamp_ms", "v": "int64"},
                                     "event_time": {"column": "at"},
                                     "expect": {"positive": {"that": "v >= 0", "at_most": "2% per 10s"}}}},
            "sinks": {"out": {"from": "readings", "topic": "rules-out", "create": {}}}})
        topics.produce(self.stack.brokers, "readings", rows(0, {3, 50}))
        worker = self.stack.run(config, name="rules")
        wait_for("the good rows", lambda: topics.partitions(self.stack.brokers, "rules-out") and
                 topics.read(self.stack.brokers, "rules-out").num_rows == 98, 60, worker.seen)
        _, headers = topics.read(self.stack.brokers, "rules-dead-letter", headers=True)
        self.assertEqual([found["tidemark.rule"] for found in headers], [b"positive"] * 2)
        self.assertEqual(worker.metric("tidemark_rule_violations_total", step="readings expect", rule="positive"), 2)
        worker.kill()  # the counts of the stretch are part of the commit
        topics.produce(self.stack.brokers, "readings", rows(100, {1, 2, 3}) + rows(200, set()))
        for _ in range(2):  # however often it is started
            worker = self.stack.run(config, name="rules")
            self.assertEqual(worker.wait(90), 2, worker.seen())
            self.assertIn("rule positive is broken by 3 of 100 rows of the 10s from 2026-01-01T00:00:10Z on (3%)", worker.output())
        reading = topics.read(self.stack.brokers, "rules-out").num_rows
        self.assertTrue(98 <= reading <= 98 + 97, f"{reading}: nothing of what was found with the excess is committed")


if __name__ == "__main__":
    main(at_once=True)
