#!/usr/bin/env python3
"""Avro over a real broker and a real registry: schemas that change within a partition, a registry that goes away and comes
back, numbers it doesn't know, and sinks whose schemas it takes or refuses. What is written comes from fastavro, and what
Tidemark has written is read by it."""

import decimal
import io
import json
import pathlib
import struct
import sys
import urllib.error

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import fastavro

import topics
import topology
from case import SystemTest, main
from registry import Registry
from stack import wait_for

NOW_MS = 1_767_225_600_000  # 2026-01-01


def order(*more, **changed):
    fields = [{"name": "id", "type": "long"}, {"name": "name", "type": "string"},
              {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}, *more]
    return {"type": "record", "name": "Order", "namespace": "shop", "fields": [changed.get(f["name"], f) for f in fields]}


FIRST = order()
# An int became a long long ago; the name was renamed, and there are more fields, also in front.
SECOND = {"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "tags", "type": {"type": "map", "values": "string"}, "default": {}},
    {"name": "title", "type": ["null", "string"], "aliases": ["name"], "default": None},
    {"name": "id", "type": "long"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "amount", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}],
     "default": None}]}


# A schema of two texts: the second names what the first defines.
MONEY = {"type": "record", "name": "Money", "namespace": "shop", "fields": [
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}}]}
THIRD = order({"name": "price", "type": "shop.Money"})


def framed(number, schema, value):
    out = io.BytesIO()
    out.write(b"\0" + struct.pack(">i", number))
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


class Avro(SystemTest):
    @classmethod
    def prepare(cls):
        cls.registry = Registry(cls.stack.folder / "registry").start()
        cls.addClassCleanup(cls.registry.close)
        cls.registry.ready()
        cls.numbers = {"first": cls.registry.register("orders-value", FIRST)}
        cls.registry.set_compatibility("orders-value", "NONE")
        cls.numbers["second"] = cls.registry.register("orders-value", SECOND)
        cls.registry.register("money", MONEY)
        cls.numbers["third"] = cls.registry.register("orders-value", THIRD, references=[("shop.Money", "money")])
        known = {}
        cls.schemas = {"first": fastavro.parse_schema(FIRST), "second": fastavro.parse_schema(SECOND)}
        fastavro.parse_schema(MONEY, named_schemas=known)
        cls.schemas["third"] = fastavro.parse_schema(THIRD, named_schemas=known)

    def topology(self, name, topic, columns=None, registry=None, **sink):
        return topology.write(self.stack.folder / f"{name}.yaml", {
            "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "schema_registry": registry or self.registry.url,
            "sources": {"orders": {"topic": topic, "format": "avro", "columns": columns or {
                "id": "int64", "name": {"type": "string", "nullable": True}, "at": "timestamp",
                "amount": {"type": "decimal(12,2)", "nullable": True}},
                "event_time": {"column": "at"}}},
            "sinks": {"out": {"from": "orders", "topic": f"{name}-out", "format": "avro", "create": {}, **sink}}})

    def write(self, topic, *values, partition=0):
        topics.produce(self.stack.brokers, topic,
                       [{"value": value, "partition": partition, "timestamp": NOW_MS} for value in values])

    def one(self, number, schema="first", **more):
        """Order `number`, as the schema of that name writes it."""
        value = {"id": number, "at": NOW_MS + number, "title" if schema == "second" else "name": f"n{number}",
                 **({"tags": {"k": "v"}} if schema == "second" else {}), **more}
        return framed(self.numbers[schema], self.schemas[schema], value)

    def rows(self, name):
        """What Tidemark has written, read by fastavro with the schema that each record names."""
        found = []
        if not topics.partitions(self.stack.brokers, f"{name}-out"):
            return found
        for value in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist():
            self.assertEqual(value[0], 0)
            number, = struct.unpack(">i", value[1:5])
            schema = fastavro.parse_schema(json.loads(self.registry.text(number)))
            found.append(fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None))
        return found

    @staticmethod
    def unready(worker):
        try:
            return f"ready: {worker.http('/readyz')}"
        except urllib.error.HTTPError as answer:
            return answer.read().decode()
        except OSError as error:
            return f"no answer: {error}"

    def letters(self, name):
        _, headers = topics.read(self.stack.brokers, f"{name}-dead-letter", headers=True)
        return [found["tidemark.reason"].decode() for found in headers]

    def test_schemas_change_within_a_partition(self):
        topics.create(self.stack.brokers, evolving=1)
        self.write("evolving", self.one(1), self.one(2, "second", amount=decimal.Decimal("-12.50")), self.one(3),
                   self.one(4, "second", amount=None), self.one(5, "third", price={"amount": decimal.Decimal("7.00")}))
        columns = {"id": "int64", "name": {"type": "string", "nullable": True}, "at": "timestamp",
                   "amount": {"type": "decimal(12,2)", "nullable": True},
                   "price": {"type": "decimal(12,2)", "path": "price.amount", "default": "0"}}
        self.stack.run(self.topology("evolving", "evolving", columns), "--until_end", name="evolving").finish(300)
        self.assertEqual(self.letters("evolving"), [])
        rows = self.rows("evolving")
        self.assertEqual([(row["id"], row["name"], row["amount"], row["price"]) for row in rows],
                         [(1, "n1", None, 0), (2, "n2", decimal.Decimal("-12.50"), 0), (3, "n3", None, 0),
                          (4, "n4", None, 0), (5, "n5", None, 7)])
        self.assertEqual(int(rows[0]["at"].timestamp() * 1000), NOW_MS + 1)

    def test_columns_are_those_of_the_newest_schema(self):
        topics.create(self.stack.brokers, taken=1)
        self.registry.register("taken-value", SECOND)
        self.write("taken", self.one(1, "second", amount=decimal.Decimal("3.25")), self.one(2))
        self.stack.run(self.topology("taken", "taken", "from_schema"), "--until_end", name="taken").finish(300)
        self.assertEqual([(row["title"], row["id"], row["amount"]) for row in self.rows("taken")],
                         [("n1", 1, decimal.Decimal("3.25")), (None, 2, None)])

    def test_a_number_that_the_registry_doesnt_know_is_a_dead_letter(self):
        topics.create(self.stack.brokers, unknown=1)
        self.write("unknown", self.one(1), b"\0" + struct.pack(">i", 987_654) + self.one(2)[5:], b"{}", self.one(3))
        self.stack.run(self.topology("unknown", "unknown"), "--until_end", name="unknown").finish(300)
        self.assertEqual([row["id"] for row in self.rows("unknown")], [1, 3])
        reasons = self.letters("unknown")
        self.assertIn("knows no schema 987654", reasons[0])
        self.assertIn("doesn't begin with the number of a schema", reasons[1])

    def test_a_partition_waits_for_its_schema_and_loses_nothing(self):
        topics.create(self.stack.brokers, waiting=2)
        proxy, url = self.registry.behind_proxy()
        self.addCleanup(proxy.close)
        worker = self.stack.run(self.topology("waiting", "waiting", registry=url), name="waiting", threads=1)
        self.write("waiting", self.one(1), partition=0)
        self.write("waiting", self.one(2), partition=1)
        wait_for("the first rows", lambda: len(self.rows("waiting")) == 2, 360, worker.seen)
        proxy.refuse()
        try:
            self.write("waiting", self.one(3), self.one(4, "second", amount=None), self.one(5), partition=0)
            self.write("waiting", self.one(6), partition=1)
            wait_for("the wait to be seen", lambda: (worker.metric("tidemark_task_waiting_seconds", topic="waiting",
                                                                   partition="0") or 0) > 1, 360, worker.seen)
            wait_for("/readyz to say so", lambda: "waiting-0 has waited for schema" in self.unready(worker), 360,
                     lambda: f"{self.unready(worker)}\n{worker.seen()}")
            wait_for("the log to say so", lambda: "other partitions go on" in worker.output(), 360, worker.seen)
            # The other partition goes on, and what stood in front of the record that waits is written.
            wait_for("the rows beside it", lambda: worker.metric("tidemark_step_out_rows_total", step="orders") == 4, 360,
                     worker.seen)
        finally:
            proxy.accept()
        wait_for("all rows", lambda: len(self.rows("waiting")) == 6, 360, worker.seen)
        self.assertEqual(sorted(row["id"] for row in self.rows("waiting")), [1, 2, 3, 4, 5, 6])
        self.assertEqual(self.letters("waiting"), [])
        self.assertEqual(worker.stop(), 0)

    def test_keys_are_read_and_written_with_their_schemas(self):
        """Keys of two producers' schemas in; Avro's and Protobuf's out, and those in again, as keys of rows and of deletions."""
        topics.create(self.stack.brokers, keyed=3)
        record = {"type": "record", "name": "K", "fields": [{"name": "id", "type": "long"}, {"name": "part", "type": "string"}]}
        numbers = {"long": self.registry.register("keyed-key", '"long"')}
        self.registry.set_compatibility("keyed-key", "NONE")
        numbers["record"] = self.registry.register("keyed-key", record)
        rows = range(20)
        topics.produce(self.stack.brokers, "keyed", [
            {"key": framed(numbers["long"], "long", n) if n % 2 else
                    framed(numbers["record"], fastavro.parse_schema(record), {"id": n, "part": "p"}),
             "value": json.dumps({"n": n}).encode(), "timestamp": NOW_MS + n} for n in rows] + [
            {"key": b"plain", "value": b'{"n": 99}', "timestamp": NOW_MS}])
        out = {"mode": "upsert", "key": ["id"], "create": {"partitions": 4}}
        first = topology.write(self.stack.folder / "keyed.yaml", {
            "name": "keyed", "kafka": {"brokers": "${KAFKA_BROKERS}"}, "schema_registry": self.registry.url,
            "sources": {"keyed": {"topic": "keyed", "key_format": "avro", "columns": {
                "id": {"type": "int64", "from": "key"}, "n": "int64"}}},
            "sinks": {form: {"from": "keyed", "topic": f"keyed-{form}", "key_format": form, **out} for form in ("avro", "protobuf")}})
        self.stack.run(first, "--until_end", name="keyed").finish(300)
        reason, = self.letters("keyed")
        self.assertIn("record key: it doesn't begin with the number of a schema", reason)
        found = topics.read(self.stack.brokers, "keyed-avro").to_pylist()
        schema = json.loads(self.registry.text(struct.unpack(">i", found[0]["key"][1:5])[0]))
        self.assertEqual(schema["name"], "keyed_avro_key")
        keys = {fastavro.schemaless_reader(io.BytesIO(row["key"][5:]), fastavro.parse_schema(schema), None)["id"]: row
                for row in found}
        self.assertEqual(sorted(keys), list(rows))
        for row in found:
            self.assertEqual(row["partition"], topics.java_partition(row["key"], 4), "as Kafka's default partitioner")
        # What was written is read again, as keys of a stream and of tables; a tombstone deletes the row of its key.
        topics.create(self.stack.brokers, asked=1)
        topics.produce(self.stack.brokers, "asked", [{"value": json.dumps({"id": n}).encode(), "timestamp": NOW_MS} for n in rows])
        for form in ("avro", "protobuf"):
            row = next(row for row in topics.read(self.stack.brokers, f"keyed-{form}").to_pylist() if json.loads(row["value"])["n"] == 7)
            topics.produce(self.stack.brokers, f"keyed-{form}", [{"key": row["key"], "value": None, "partition": row["partition"]}])
        table = {"global": True, "key": ["id"], "columns": {"id": {"type": "int64", "from": "key"}, "n": "int64"}}
        second = topology.write(self.stack.folder / "asked.yaml", {
            "name": "asked", "kafka": {"brokers": "${KAFKA_BROKERS}"}, "schema_registry": self.registry.url,
            "sources": {"asked": {"topic": "asked", "columns": {"id": "int64"}}},
            "tables": {form: {"topic": f"keyed-{form}", "key_format": form, **table} for form in ("avro", "protobuf")},
            "steps": {"one": {"from": "asked", "join": {"table": "avro", "on": ["id"], "type": "left", "columns": ["n"], "prefix": "a_"}},
                      "both": {"from": "one", "join": {"table": "protobuf", "on": ["id"], "type": "left", "columns": ["n"],
                                                       "prefix": "p_"}}},
            "sinks": {"out": {"from": "both", "topic": "asked-out", "create": {}}}})
        self.stack.run(second, "--until_end", name="asked").finish(300)
        answers = [json.loads(value) for value in topics.read(self.stack.brokers, "asked-out")["value"].to_pylist()]
        self.assertEqual({row["id"]: (row["a_n"], row["p_n"]) for row in answers},
                         {n: (None, None) if n == 7 else (n, n) for n in rows})

    def test_a_sink_that_the_registry_refuses_ends_the_start_with_its_words(self):
        topics.create(self.stack.brokers, refused=1)
        self.registry.register("refused-out-value", {"type": "record", "name": "refused_out", "fields": [
            {"name": "id", "type": "string"}]})
        self.registry.set_compatibility("refused-out-value", "BACKWARD")
        config = self.topology("refused", "refused")
        worker = self.stack.run(config, "--until_end", name="refused")
        self.assertEqual(worker.wait(300), 2, worker.output())
        self.assertIn("sink out: subject refused-out-value", worker.output())
        self.assertIn("can't follow the newest one there", worker.output())


if __name__ == "__main__":
    main(at_once=True)
