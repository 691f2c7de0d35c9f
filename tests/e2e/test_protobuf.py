#!/usr/bin/env python3
"""Protobuf over a real broker and a real registry: messages of several schemas and types in one partition, a sink whose
schema is registered, or refused. What is read comes from protoc, and what Tidemark has written is read by it. JSON behind
the number of its schema is beside it, as it shares the registry."""

import json
import pathlib
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
import topology
from case import SystemTest, main
from registry import Registry

NOW_MS = 1_767_225_600_000  # 2026-01-01

MONEY = 'syntax = "proto3"; package shop; message Money { string currency = 1; sint64 cents = 2; }'
FIRST = """syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Order {
  int64 id = 1;
  string name = 2;
  google.protobuf.Timestamp at = 3;
}
message Cancelled {
  message Reason { string text = 1; }
  int64 id = 4;
  optional Reason reason = 5;
}
"""
# A message of another file, a oneof, a list and a map came later.
SECOND = """syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "money.proto";
message Order {
  int64 id = 1;
  string name = 2;
  google.protobuf.Timestamp at = 3;
  oneof paid { shop.Money cash = 6; string card = 7; }
  repeated string tags = 8;
  map<string, int32> stock = 9;
}
"""
FIRST_MESSAGE, THE_SAME, ANOTHER = b"\0", b"\2\0", b"\2\2"
COLUMNS = {"id": "int64", "name": {"type": "string", "nullable": True}, "at": {"type": "timestamp", "nullable": True},
           "cents": {"type": "int64", "path": "cash.cents", "nullable": True},
           "card": {"type": "string", "nullable": True}, "tags": {"type": "json", "nullable": True},
           "stock": {"type": "json", "nullable": True}}


class Protobuf(SystemTest):
    @classmethod
    def prepare(cls):
        cls.registry = Registry(cls.stack.folder / "registry").start()
        cls.addClassCleanup(cls.registry.close)
        cls.protos = cls.stack.folder / "protos"
        cls.protos.mkdir()
        for name, text in {"money": MONEY, "first": FIRST, "second": SECOND}.items():
            (cls.protos / f"{name}.proto").write_text(text)
        cls.registry.ready()
        cls.registry.register("money", MONEY, "PROTOBUF")
        cls.numbers = {"first": cls.registry.register("orders-value", FIRST, "PROTOBUF")}
        cls.registry.set_compatibility("orders-value", "NONE")
        cls.numbers["second"] = cls.registry.register("orders-value", SECOND, "PROTOBUF", [("money.proto", "money")])

    @classmethod
    def protoc(cls, what, file, data):
        done = subprocess.run(["protoc", f"--proto_path={cls.protos}", what, str(cls.protos / f"{file}.proto")], input=data,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise AssertionError(f"protoc {what}: {done.stderr.decode()}")
        return done.stdout

    def one(self, text, schema="first", indexes=FIRST_MESSAGE, message="Order"):
        body = self.protoc(f"--encode=shop.{message}", schema, text.encode())
        return b"\0" + struct.pack(">i", self.numbers[schema]) + indexes + body

    def topology(self, name, columns=None, read="protobuf", written="protobuf"):
        return topology.write(self.stack.folder / f"{name}.yaml", {
            "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "schema_registry": self.registry.url,
            "sources": {"orders": {"topic": name, "format": read, "columns": columns or COLUMNS}},
            "sinks": {"out": {"from": "orders", "topic": f"{name}-out", "format": written, "create": {}}}})

    def write(self, topic, *values):
        topics.create(self.stack.brokers, **{topic: 1})
        topics.produce(self.stack.brokers, topic, [{"value": value, "partition": 0, "timestamp": NOW_MS} for value in values])

    def rows(self, name, message):
        """What Tidemark has written, in Protobuf's text form, read by protoc with the schema that the registry has."""
        found = []
        for value in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist():
            self.assertEqual((value[0], value[5]), (0, 0))
            number, = struct.unpack(">i", value[1:5])
            (self.protos / f"{name}_out.proto").write_text(self.registry.text(number))
            found.append(self.protoc(f"--decode={message}", f"{name}_out", value[6:]).decode().split("\n")[:-1])
        return found

    def letters(self, name):
        _, headers = topics.read(self.stack.brokers, f"{name}-dead-letter", headers=True)
        return [found["tidemark.reason"].decode() for found in headers]

    def test_each_record_is_read_by_its_schema_and_its_message(self):
        self.write("mixed", self.one('id: 1 name: "a" at { seconds: 5 }'),
                   self.one('id: 2 cash { currency: "EUR" cents: -7 } tags: ["x", "y"] stock { key: "k" value: 3 }', "second"),
                   self.one('id: 3 reason { text: "no" }', "first", ANOTHER, "Cancelled"),
                   self.one("id: 4", "first", THE_SAME),
                   self.one('card: "visa"', "second"),
                   b"\0" + struct.pack(">i", 987_654) + b"\0", b"\0" + struct.pack(">i", self.numbers["first"]) + b"\2\x0e")
        self.stack.run(self.topology("mixed"), "--until_end", name="mixed").finish(300)
        self.assertEqual(self.rows("mixed", "mixed_out"), [
            ["id: 1", 'name: "a"', "at {", "  seconds: 5", "}"],
            ["id: 2", 'name: ""', "cents: -7", r'tags: "[\"x\",\"y\"]"', r'stock: "{\"k\":3}"'],
            ["id: 3"], ["id: 4", 'name: ""'],
            ['name: ""', 'card: "visa"', 'tags: "[]"', 'stock: "{}"']])
        reasons = self.letters("mixed")
        self.assertIn("knows no schema 987654", reasons[0])
        self.assertIn("it has no message at the place that the record names", reasons[1])

    def test_a_bad_message_is_a_dead_letter_that_says_why_and_is_counted(self):
        number = b"\0" + struct.pack(">i", self.numbers["first"])
        self.write("bad", self.one("id: 1"), b"{}", number, number + b"\0\x08", number + b"\0\x0a\x01x",
                   number + b"\0\x12\x01\xff", number + b"\2\2\x5b", number + b"\x01", self.one("id: 2"))
        output = self.stack.run(self.topology("bad"), "--until_end", name="bad").finish(300)
        self.assertEqual(self.rows("bad", "bad_out"), [["id: 1", 'name: ""'], ["id: 2", 'name: ""']])
        expected = ["doesn't begin with the number of a schema", "isn't followed by the indexes of its message",
                    "malformed Protobuf at byte 7: it ends too early", "in id: its wire type is another than the schema's",
                    "column name: invalid UTF-8", "it ends too early", "isn't followed by the indexes of its message"]
        reasons = self.letters("bad")
        self.assertEqual(len(reasons), len(expected), reasons)
        for reason, part in zip(reasons, expected):
            self.assertIn(part, reason)
        ledger, = (line for line in output.splitlines() if line.startswith("ledger orders "))
        self.assertIn(f" dead_lettered={len(expected)} ", ledger + " ")

    def test_columns_are_those_of_the_newest_schema(self):
        self.registry.register("taken-value", SECOND, "PROTOBUF", [("money.proto", "money")])
        self.write("taken", self.one('id: 2 cash { currency: "EUR" cents: 70 }', "second"))
        self.stack.run(self.topology("taken", "from_schema"), "--until_end", name="taken").finish(300)
        self.assertEqual(self.rows("taken", "taken_out"),
                         [["id: 2", 'cash_currency: "EUR"', "cash_cents: 70", 'tags: "[]"', 'stock: "{}"']])

    def test_files_say_the_schema_on_both_sides(self):
        (self.protos / "bare.proto").write_text(
            'syntax = "proto3"; package shop; message Bare { sint64 id = 9; optional string name = 4; }')
        self.write("files", self.protoc("--encode=shop.Order", "second", b'id: 4 name: "d" tags: "t"'))
        columns = {"id": "int64", "name": {"type": "string", "nullable": True}}
        config = self.topology("files", columns, {"type": "protobuf", "schema_file": str(self.protos / "second.proto")},
                               {"type": "protobuf", "schema_file": str(self.protos / "bare.proto")})
        self.stack.run(config, "--until_end", name="files").finish(300)
        self.assertEqual(self.rows("files", "shop.Bare"), [['name: "d"', "id: 4"]])

    def test_json_behind_the_number_of_its_schema_is_read_and_written(self):
        number = self.registry.register("framed-value", {"type": "object", "properties": {"id": {"type": "integer"}}}, "JSON")
        framed = b"\0" + struct.pack(">i", number)
        self.write("framed", framed + b'{"id": 1, "name": "a"}', b'{"id": 2}', b"\0" + struct.pack(">i", 987_654) + b'{"id": 3}',
                   b"\0" + struct.pack(">i", self.numbers["first"]) + b'{"id": 4}', framed + b'{"id": 5}')
        json_too = {"type": "json", "schema_id": "prefix"}
        columns = {"id": "int64", "name": {"type": "string", "nullable": True}}
        self.stack.run(self.topology("framed", columns, json_too, json_too), "--until_end", name="framed").finish(300)
        reasons = self.letters("framed")
        for reason, part in zip(reasons, ["doesn't begin with the number of a schema", "knows no schema 987654",
                                          "is one of PROTOBUF, not of JSON"], strict=True):
            self.assertIn(part, reason)
        values = topics.read(self.stack.brokers, "framed-out")["value"].to_pylist()
        own, = {struct.unpack(">i", value[1:5])[0] for value in values}
        self.assertEqual([json.loads(value[5:]) for value in values], [{"id": 1, "name": "a"}, {"id": 5, "name": None}])
        schema = json.loads(self.registry.text(own))
        self.assertEqual((schema["title"], schema["required"], list(schema["properties"])),
                         ("framed-out-value", ["id"], ["id", "name"]))

    def test_a_sink_that_the_registry_refuses_ends_the_start_with_its_words(self):
        self.write("refused", self.one("id: 1"))
        self.registry.register("refused-out-value", 'syntax = "proto3"; message refused_out { string id = 1; }', "PROTOBUF")
        self.registry.set_compatibility("refused-out-value", "BACKWARD")
        worker = self.stack.run(self.topology("refused"), "--until_end", name="refused")
        self.assertEqual(worker.wait(300), 2, worker.output())
        self.assertIn("sink out: subject refused-out-value", worker.output())


if __name__ == "__main__":
    main(at_once=True)
