#!/usr/bin/env python3
"""Every format on a real broker: values and keys that another client's serializers wrote come in, and what goes out is read
by them again; what can't be read is a dead letter."""

import json
import pathlib
import struct
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
import topology
from case import SystemTest, main

NOW_MS = 1_767_225_600_000  # 2026-01-01


def whole(name, source, columns, sink, **step):
    """A topology with one source, at most one step, one sink."""
    return {"name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"},
            "sources": {"in": {"topic": f"{name}-in", "columns": columns, **source}},
            **({"steps": {"step": {"from": "in", **step}}} if step else {}),
            "sinks": {"out": {"from": "step" if step else "in", "topic": f"{name}-out", "create": {}, **sink}}}


class Formats(SystemTest):
    def run_topology(self, name, records, source, columns, sink, **step):
        """The records of the sink as (key, value), and the dead letters as (value, headers)."""
        topics.create(self.stack.brokers, **{f"{name}-in": 1})
        topics.produce(self.stack.brokers, f"{name}-in", [{"timestamp": NOW_MS, **record} for record in records])
        config = topology.write(self.stack.folder / f"{name}.yaml", whole(name, source, columns, sink, **step))
        self.log = self.stack.run(config, "--until_end", name=name).finish(300)
        out = topics.read(self.stack.brokers, f"{name}-out")
        letters, headers = topics.read(self.stack.brokers, f"{name}-dead-letter", headers=True)
        return (list(zip(out["key"].to_pylist(), out["value"].to_pylist())),
                [(value, {k: v.decode() for k, v in found.items()})
                 for value, found in zip(letters["value"].to_pylist(), headers)])

    def test_lines_of_text(self):
        out, letters = self.run_topology(
            "lines", [{"key": b"web1", "value": "GET /\u20ac".encode()}, {"key": b"web2", "value": b"\xff\xfe"}],
            {"format": "text"}, {"line": "string", "host": {"type": "string", "from": "key"}},
            {"format": "text", "key": ["host"]}, project={"host": "host", "line": "upper(line)"})
        self.assertEqual(out, [(b"web1", "GET /\u20ac".encode())])
        (value, headers), = letters
        self.assertEqual(value, b"\xff\xfe")
        self.assertIn("column line", headers["tidemark.reason"])

    def test_raw_bytes_with_their_keys(self):
        records = [{"key": bytes([0, i]), "value": bytes(range(256))[i:]} for i in range(3)]
        out, letters = self.run_topology(
            "raw", records, {}, {"value": {"type": "bytes", "from": "value"}, "key": {"type": "bytes", "from": "key"}},
            {"format": "bytes", "key": ["key"], "key_format": "bytes"})
        self.assertEqual(out, [(r["key"], r["value"]) for r in records])
        self.assertEqual(letters, [])

    def test_numbers_and_uuids_of_kafkas_serializers(self):
        ids = [uuid.UUID(int=i << 64) for i in range(3)]
        records = [{"key": str(id).upper().encode(), "value": struct.pack(">d", i / 3)} for i, id in enumerate(ids)]
        out, letters = self.run_topology(
            "numbers", records + [{"key": b"no uuid", "value": struct.pack(">d", 1)}, {"key": records[0]["key"], "value": b"1"}],
            {"format": "double", "key_format": "uuid"}, {"x": "double", "id": {"type": "string", "from": "key"}},
            {"format": "int64", "key": ["id"], "key_format": "string"},
            project={"id": "id", "x": "(x * 300)::int64"})
        self.assertEqual(out, [(str(id).encode(), struct.pack(">q", i * 100)) for i, id in enumerate(ids)])
        self.assertEqual(len(letters), 2)
        self.assertIn("expected a UUID", letters[0][1]["tidemark.reason"])
        self.assertIn("a double has 8 bytes, found 1", letters[1][1]["tidemark.reason"])

    def test_csv_of_many_lines_with_its_own_times(self):
        out, letters = self.run_topology(
            "prices",
            [{"value": b"bread; 1,50 ;24/12/2025 13:30\r\n'salt; fine';;25/12/2025 00:00\n"},
             {"value": b"sugar;2;24/12/2025"}, {"value": b"rice;cheap;24/12/2025 13:30"}],
            {"format": {"type": "csv", "delimiter": ";", "quote": "'", "trim": True},
             "timestamp_format": "%d/%m/%Y %H:%M", "time_zone": "Asia/Damascus", "event_time": {"expression": "at"}},
            {"item": "string", "price": {"type": "string", "nullable": True}, "at": "timestamp"},
            {"format": {"type": "csv", "null_text": "NULL"}})
        self.assertEqual([value for _, value in out],
                         [b'bread,"1,50",2025-12-24T10:30:00Z', b"salt; fine,NULL,2025-12-24T21:00:00Z",
                          b"rice,cheap,2025-12-24T10:30:00Z"])
        (value, headers), = letters
        self.assertEqual(value, b"sugar;2;24/12/2025")
        self.assertIn("line 1: column at: expected a timestamp written as", headers["tidemark.reason"])

    def test_arrays_of_objects_whose_numbers_are_text(self):
        out, letters = self.run_topology(
            "arrays",
            [{"value": json.dumps([{"n": " 7 ", "t": 1_767_225_601}, {"n": 8.0, "t": 1_767_225_602}]).encode()},
             {"value": json.dumps([{"n": 9, "t": 1_767_225_603}, {"n": "nine", "t": 0}]).encode()},
             {"value": json.dumps([{"n": 10, "t": None}]).encode()}, {"value": b"[]"}],
            {"format": {"type": "json", "array": True}, "coerce": True,
             "event_time": {"expression": "to_timestamp(t)"}},
            {"n": "int64", "t": {"type": "double", "nullable": True}}, {})
        self.assertEqual([json.loads(value)["n"] for _, value in out], [7, 8])
        self.assertEqual(len(letters), 2)
        self.assertIn("object 2 of the array: column n", letters[0][1]["tidemark.reason"])
        self.assertIn("event time is null", letters[1][1]["tidemark.reason"])

    def test_rules_have_consequences_and_are_counted(self):
        out, letters = self.run_topology(
            "rules", [{"value": json.dumps({"price": p}).encode()} for p in (5, -1, 0, 2000, None)], {},
            {"price": {"type": "double", "nullable": True}}, {},
            expect={"positive": {"that": "price >= 0", "else": "dead_letter"}, "paid": {"that": "price <> 0", "else": "drop"},
                    "plausible": {"that": "price < 1000", "else": "warn"}})
        self.assertEqual([json.loads(value)["price"] for _, value in out], [5, 2000, None])
        (value, headers), = letters
        self.assertEqual(json.loads(value), {"price": -1})
        self.assertEqual(headers["tidemark.rule"], "positive")
        self.assertEqual(headers["tidemark.expression"], "price >= 0")
        self.assertIn("violated.paid=1 violated.plausible=1 violated.positive=1", self.log)


if __name__ == "__main__":
    main()
