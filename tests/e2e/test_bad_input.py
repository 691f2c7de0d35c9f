#!/usr/bin/env python3
"""Bad records go to the dead letters, each with its reason and where it stood, and the pipeline goes on."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
import topology
from case import SystemTest, main
from stack import wait_for

NOW_MS = 1_767_225_600_000  # 2026-01-01
MAX_INT64, MIN_INT64 = (1 << 63) - 1, -(1 << 63)


def event(**fields):
    return json.dumps({"id": 1, "amount": 1.5, "divisor": 4, "at": NOW_MS, **fields}).encode()


def without(*names):
    return json.dumps({k: v for k, v in json.loads(event()).items() if k not in names}).encode()


# name -> (value, words of the reason). The value None is a tombstone.
BAD = {
    "malformed JSON": (b'{"id": 1, "amount": ', "JSON"),
    "text behind the object": (event() + b" x", ""),
    "no object": (b"[1, 2, 3]", "object"),
    "bare text": (b"hello", ""),
    "an empty value": (b"", "empty"),
    "a tombstone": (None, "null"),
    "text where a number is expected": (event(id="seven"), "column id"),
    "a fraction where an integer is expected": (event(id=1.5), "column id"),
    "an object where a number is expected": (event(id={"x": 1}), "column id"),
    "a missing required field": (without("id"), "column id"),
    "null in a required field": (event(id=None), "column id"),
    "invalid UTF-8": (b'{"id": 1, "amount": 1, "divisor": 1, "name": "\xff\xfe", "at": %d}' % NOW_MS, "UTF-8"),
    "half a surrogate pair": (b'{"id": 1, "amount": 1, "divisor": 1, "name": "\\ud800", "at": %d}' % NOW_MS, ""),
    "an id one above the largest": (event(id=MAX_INT64 + 1), "out of range"),
    "an id one below the smallest": (event(id=MIN_INT64 - 1), "out of range"),
    "a number beyond double": (event().replace(b"1.5", b"1e999"), "column amount"),
    "the year 9999": (event(at=253_402_300_799_000), "max_ahead"),
    "a time beyond any calendar": (event(at=MAX_INT64), "column at"),
    "deep nesting in a column": (event().replace(b"1.5", b"[" * 5000 + b"]" * 5000), "nesting"),
    "unclosed nesting": (b'{"id":' + b"[" * 100_000, ""),
    "division by zero": (event(divisor=0), "zero"),
}

GOOD = {
    "a plain one": (event(id=1), {"id": 1}),
    "the largest id": (event(id=MAX_INT64), {"id": MAX_INT64}),
    "the smallest id": (event(id=MIN_INT64), {"id": MIN_INT64}),
    "a negative id": (event(id=-7), {"id": -7}),
    "an unknown field, deeply nested": (event(id=2, extra=json.loads("[" * 200 + "]" * 200)), {"id": 2}),
    "the year 1": (event(id=3, at=-62_135_596_800_000), {"id": 3, "at": -62_135_596_800_000}),
    "a missing nullable field": (without("amount"), {"id": 1, "amount": None}),
    "a bad value where the rule is null": (event(id=4, mood=17), {"id": 4, "mood": None}),
    "a missing field with a default": (event(id=5), {"id": 5, "colour": "grey"}),
    "text in every script": (event(id=6, name="\u00e9\u4e2d\U0001f600\u0000"), {"id": 6, "name": "\u00e9\u4e2d\U0001f600\u0000"}),
}


def events_topology(name, topic, **sink):
    return {
        "name": name,
        "kafka": {"brokers": "${KAFKA_BROKERS}"},
        "sources": {"events": {
            "topic": topic,
            "columns": {"id": "int64", "amount": {"type": "double", "nullable": True}, "divisor": "int64",
                        "name": {"type": "string", "nullable": True}, "at": "timestamp_ms",
                        "mood": {"type": "string", "nullable": True, "on_error": "null"},
                        "colour": {"type": "string", "default": "grey"}},
            "event_time": {"column": "at", "max_out_of_orderness": "1s"}}},
        "steps": {"shares": {"from": "events", "project": {"*": True, "share": "100 / divisor"}}},
        "sinks": {"out": {"from": "shares", "topic": f"{name}-out", "key": ["id"], "create": {}, **sink}},
    }


class BadRecords(SystemTest):
    # A broker that lets large records in, as some do; the dead-letter topic keeps the default limit.
    kafka_settings = ("--set", "message.max.bytes=20000000", "--set", "replica.fetch.max.bytes=20000000")

    def run_events(self, name, topic, **options):
        config = topology.write(self.stack.folder / f"{name}.yaml", events_topology(name, topic))
        return self.stack.run(config, "--until_end", name=name, **options).finish(300)

    def dead_letters(self, name):
        table, headers = topics.read(self.stack.brokers, f"{name}-dead-letter", headers=True)
        return [(value, {k: v.decode() if v is not None else None for k, v in found.items()})
                for value, found in zip(table["value"].to_pylist(), headers)]

    def rows(self, name):
        return [json.loads(value) for value in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist()]

    def test_each_bad_record_is_one_dead_letter_with_its_reason_and_position(self):
        topics.create(self.stack.brokers, bad=3)
        kinds = list(BAD)
        for kind in kinds:
            topics.produce(self.stack.brokers, "bad", [
                {"key": b"k", "value": BAD[kind][0], "partition": 1, "timestamp": NOW_MS, "headers": [("origin", b"here")]},
                {"key": b"k", "value": event(id=100), "partition": 1, "timestamp": NOW_MS}])
        self.run_events("bad", "bad")
        letters = {int(headers["tidemark.source.offset"]): (value, headers)
                   for value, headers in self.dead_letters("bad")}
        self.assertEqual(sorted(letters), list(range(0, 2 * len(kinds), 2)), "one dead letter for each bad record")
        for number, kind in enumerate(kinds):
            with self.subTest(kind):
                value, words = BAD[kind]
                found, headers = letters[2 * number]
                self.assertEqual(headers["tidemark.source.topic"], "bad")
                self.assertEqual(headers["tidemark.source.partition"], "1")
                self.assertIn(words, headers["tidemark.reason"])
                if kind == "division by zero":  # the step's row as it was, not the record
                    self.assertEqual(headers["tidemark.step"], "shares")
                    self.assertEqual(headers["tidemark.expression"], "100 / divisor")
                    self.assertEqual(json.loads(found)["id"], 1)
                else:
                    self.assertEqual(headers["tidemark.step"], "events")
                    self.assertEqual(headers["origin"], "here")
                    self.assertEqual(found, value)
        self.assertEqual([row["id"] for row in self.rows("bad")], [100] * len(kinds), "the good ones between them")

    def test_unusual_records_that_are_valid_pass(self):
        topics.create(self.stack.brokers, good=1)
        topics.produce(self.stack.brokers, "good", [{"value": value, "timestamp": NOW_MS} for value, _ in GOOD.values()])
        self.run_events("good", "good")
        self.assertEqual([headers for _, headers in self.dead_letters("good")], [])
        rows = self.rows("good")
        self.assertEqual(len(rows), len(GOOD))
        for (kind, (_, expected)), row in zip(GOOD.items(), rows):
            with self.subTest(kind):
                self.assertEqual({k: row[k] for k in expected}, expected)

    def test_a_record_of_10_mb_becomes_a_cut_dead_letter(self):
        topics.create(self.stack.brokers, large=(1, {"max.message.bytes": "20000000"}),
                      **{"large-dead-letter": (1, {"max.message.bytes": "1048588"}),
                         "large-out": (1, {"max.message.bytes": "1048588"})})
        size = 10 << 20
        value = b'{"id": "' + b"x" * size + b'"}'
        topics.produce(self.stack.brokers, "large", [{"value": value, "timestamp": NOW_MS},
                                                     {"value": event(id=9), "timestamp": NOW_MS}])
        self.run_events("large", "large")
        (found, headers), = self.dead_letters("large")
        self.assertEqual(found, value[:64 << 10])
        self.assertEqual(headers["tidemark.original.value.size"], str(len(value)))
        self.assertRegex(headers["tidemark.original.value.xxh3"], "^[0-9a-f]{16}$")
        self.assertEqual([row["id"] for row in self.rows("large")], [9])

    def test_a_million_results_at_once_fit_a_broker_with_default_limits(self):
        count = 1_000_000
        self.stack.generate(count, topic="million", table_topic="million-locations", duplicates=0)
        config = topology.write(self.stack.folder / "million.yaml", {
            "name": "million", "commit_interval": "5s",
            "kafka": {"brokers": "${KAFKA_BROKERS}"},
            "sources": {"detections": {"topic": "million", "columns": {
                "detection_oid": "int64", "timestamp_detected": "timestamp_ms"}, "key_format": "text",
                "partitioned_by": ["detection_oid"],
                "event_time": {"column": "timestamp_detected", "max_out_of_orderness": "2s"}}},
            # A million groups, none of which can be emitted before the window closes.
            "steps": {"unique": {"from": "detections", "dedup": {"by": ["detection_oid"], "within": "1h"}},
                      "counts": {"from": "unique", "window": {"tumbling": "1h"}, "group_by": ["detection_oid"],
                                 "aggregates": {"n": "count(*)"}}},
            "sinks": {"out": {"from": "counts", "topic": "million-out", "key": ["detection_oid"], "create": {}}}})
        self.stack.run(config, "--until_end", "--close_windows", name="million", threads=1).finish(600)
        table = topics.read(self.stack.brokers, "million-out")
        ids = {json.loads(value)["detection_oid"] for value in table["value"].to_pylist()}
        self.assertEqual((table.num_rows, len(ids)), (count, count))

    def test_bad_records_of_a_table_leave_the_rest_of_it(self):
        names = {"joined": 1, "joined-table": (1, {"cleanup.policy": "compact"})}
        topics.create(self.stack.brokers, **names)
        topics.produce(self.stack.brokers, "joined-table", [
            {"key": b"1", "value": b'{"id": 1, "label": "one"}'}, {"key": b"2", "value": b"{broken"},
            {"key": b"3", "value": b'{"id": 3, "label": "three"}'}, {"key": b"3", "value": None}])
        topics.produce(self.stack.brokers, "joined",
                       [{"value": event(id=i), "timestamp": NOW_MS} for i in (1, 2, 3)])
        document = events_topology("joined", "joined")
        document["tables"] = {"labels": {"topic": "joined-table", "key": ["id"], "key_format": "text",
                                         "columns": {"id": {"type": "int64", "from": "key"}, "label": "string"}}}
        document["steps"]["labelled"] = {"from": "shares", "join": {"table": "labels", "on": ["id"], "type": "left"}}
        document["sinks"]["out"]["from"] = "labelled"
        config = topology.write(self.stack.folder / "joined.yaml", document)
        worker = self.stack.run(config, "--until_end", name="joined")
        worker.finish(300)
        self.assertEqual({row["id"]: row["label"] for row in self.rows("joined")}, {1: "one", 2: None, 3: None})
        self.assertIn("joined-table", worker.output(), "the bad record is at least logged")

    def test_the_pipeline_goes_on_without_a_restart(self):
        topics.create(self.stack.brokers, going=1)
        config = topology.write(self.stack.folder / "going.yaml", events_topology("going", "going"))
        worker = self.stack.run(config, name="going")
        for number in range(3):
            topics.produce(self.stack.brokers, "going", [{"value": b"{", "timestamp": NOW_MS},
                                                         {"value": event(id=number), "timestamp": NOW_MS}])
            wait_for("the row behind a bad record",
                     lambda: topics.partitions(self.stack.brokers, "going-out") and
                     number in [row["id"] for row in self.rows("going")], 180, worker.seen)
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(len(self.dead_letters("going")), 3)


if __name__ == "__main__":
    main()
