#!/usr/bin/env python3
"""What a topic doesn't take for its size: such rows become dead letters, which always fit, and everything else goes on.

Sizes are measured as the broker measures them, compressed. Random letters hardly compress, a repeated one does.
"""

import base64
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import confluent_kafka.admin
import topics
import topology
from case import SystemTest, main
from stack import wait_for

DEFAULT = {"max.message.bytes": "1048588"}
LARGE = {"max.message.bytes": "20000000"}


def letters(count, seed=1):
    return base64.b64encode(random.Random(seed).randbytes(count * 3 // 4)).decode()


def row(number, text):
    return json.dumps({"id": number, "t": text}).encode()


def limit(brokers, topic, number):
    resource = confluent_kafka.admin.ConfigResource(confluent_kafka.admin.ConfigResource.Type.TOPIC, topic)
    resource.add_incremental_config(confluent_kafka.admin.ConfigEntry(
        "max.message.bytes", str(number),
        incremental_operation=confluent_kafka.admin.AlterConfigOpType.SET))
    client = topics.admin(brokers)
    for future in client.incremental_alter_configs([resource]).values():
        future.result(120)


class TooLarge(SystemTest):
    kafka_settings = ("--set", "message.max.bytes=20000000", "--set", "replica.fetch.max.bytes=20000000")

    def document(self, name, steps=None, last="s", **sink):
        return {"name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"},
                "sources": {"s": {"topic": name, "columns": {"id": "int64", "t": "string"}}},
                "steps": steps or {},
                "sinks": {"o": {"from": last, "topic": f"{name}-out", **sink}}}

    def start(self, document, *flags):
        name = document["name"]
        config = topology.write(self.stack.folder / f"{name}.yaml", document)
        return self.stack.run(config, *flags, name=name)

    def out(self, name):
        return [json.loads(value) for value in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist()]

    def dead_letters(self, name):
        table, headers = topics.read(self.stack.brokers, f"{name}-dead-letter", headers=True)
        return [(value, {k: v.decode() for k, v in found.items()})
                for value, found in zip(table["value"].to_pylist(), headers)]

    def test_a_result_larger_than_its_topic_takes_is_a_dead_letter_and_the_rest_goes_out(self):
        topics.create(self.stack.brokers, one=(1, LARGE), **{"one-out": (1, DEFAULT), "one-dead-letter": (1, DEFAULT)})
        large = row(2, letters(2_000_000))
        topics.produce(self.stack.brokers, "one", [{"value": v} for v in (row(1, "x"), large, row(3, "z"),
                                                                          row(4, "y" * 2_000_000))])
        output = self.start(self.document("one"), "--until_end").finish(300)
        self.assertEqual([found["id"] for found in self.out("one")], [1, 3, 4], "a repeated letter compresses, and fits")
        (value, headers), = self.dead_letters("one")
        self.assertEqual(value, large.replace(b" ", b"")[:64 << 10])
        self.assertRegex(headers["tidemark.reason"],
                         r"^a record of 20\d{5} bytes( \(\d+ as lz4\))? is larger than topic one-out takes: "
                         r"max.message.bytes is 1048588$")
        self.assertEqual(headers["tidemark.step"], "o")
        self.assertEqual(headers["tidemark.source.topic"], "one")
        self.assertEqual(int(headers["tidemark.original.value.size"]), len(large.replace(b" ", b"")))
        self.assertIn("dead", output, "the ledger tells")
        self.start(self.document("one"), "--until_end").finish(300)
        self.assertEqual(len(self.dead_letters("one")), 1, "once")

    def test_small_rows_never_fail_for_being_sent_together(self):
        topics.create(self.stack.brokers, many=1, **{"many-out": (1, {"max.message.bytes": "20000"})})
        rows = [row(i, letters(5_000, i)) for i in range(400)]
        topics.produce(self.stack.brokers, "many", [{"value": v} for v in rows])
        self.start(self.document("many"), "--until_end").finish(300)
        self.assertEqual([found["id"] for found in self.out("many")], list(range(400)))

    def test_a_limit_lowered_while_it_runs_is_read_again(self):
        topics.create(self.stack.brokers, lower=(1, LARGE), **{"lower-out": (1, LARGE)})
        worker = self.start(self.document("lower"))
        topics.produce(self.stack.brokers, "lower", [{"value": row(1, letters(3_000_000))}])
        wait_for("a large row", lambda: len(self.out("lower")) == 1, 180, worker.seen)
        limit(self.stack.brokers, "lower-out", 100_000)
        topics.produce(self.stack.brokers, "lower", [{"value": row(2, "x")}, {"value": row(3, letters(300_000))},
                                                     {"value": row(4, "y")}])
        wait_for("the rows around the one that is too large by now",
                 lambda: [found["id"] for found in self.out("lower")] == [1, 2, 4], 180, worker.seen)
        (_, headers), = self.dead_letters("lower")
        self.assertIn("max.message.bytes is 100000", headers["tidemark.reason"])
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_a_dead_letter_fits_whatever_its_reason_quotes(self):
        topics.create(self.stack.brokers, cast=(1, LARGE), **{"cast-dead-letter": (1, DEFAULT), "cast-out": (1, LARGE)})
        steps = {"numbers": {"from": "s", "project": {"id": "id", "n": "t::bigint"}}}
        topics.produce(self.stack.brokers, "cast", [{"value": row(1, letters(1_000_000))}, {"value": row(2, "7")}])
        self.start(self.document("cast", steps, "numbers"), "--until_end").finish(300)
        self.assertEqual(self.out("cast"), [{"id": 2, "n": 7}])
        (_, headers), = self.dead_letters("cast")
        self.assertRegex(headers["tidemark.reason"], r'^invalid input syntax for type bigint: ".{64}\.\.\."$')

    def test_dead_letters_keep_to_the_limit_of_their_own_topic(self):
        topics.create(self.stack.brokers, little=(1, LARGE), **{"little-dead-letter": (1, {"max.message.bytes": "20000"}),
                                                                "little-out": (1, DEFAULT)})
        topics.produce(self.stack.brokers, "little", [
            {"key": letters(30_000).encode(), "value": b"{" + letters(100_000, i).encode(),
             "headers": [("h", letters(9_000).encode())]} for i in range(20)])
        self.start(self.document("little"), "--until_end").finish(300)
        found = self.dead_letters("little")
        self.assertEqual(len(found), 20)
        self.assertTrue(all(len(value) > 5_000 for value, _ in found))

    def test_unmatched_rows_that_their_topic_does_not_take_are_dead_letters(self):
        (self.stack.folder / "names.csv").write_text("id,name\n1,one\n")
        topics.create(self.stack.brokers, side=(1, LARGE), **{"side-un": (1, DEFAULT), "side-out": (1, DEFAULT)})
        document = self.document("side", {"j": {"from": "s", "join": {"table": "names", "on": ["id"],
                                                                      "unmatched": {"topic": "side-un"}}}}, "j")
        document["tables"] = {"names": {"file": str(self.stack.folder / "names.csv"), "key": ["id"],
                                        "columns": {"id": "int64", "name": "string"}}}
        topics.produce(self.stack.brokers, "side", [{"value": v} for v in (row(1, "x"), row(2, letters(2_000_000)),
                                                                           row(3, "z"))])
        self.start(document, "--until_end").finish(300)
        unmatched = [json.loads(v) for v in topics.read(self.stack.brokers, "side-un")["value"].to_pylist()]
        self.assertEqual([found["id"] for found in unmatched], [3])
        (_, headers), = self.dead_letters("side")
        self.assertIn("larger than topic side-un takes", headers["tidemark.reason"])
        self.assertEqual(headers["tidemark.step"], "j")

    def test_a_batch_size_that_a_topic_refuses_is_told_at_start(self):
        topics.create(self.stack.brokers, batch=1, **{"batch-out": (1, DEFAULT)})
        document = self.document("batch")
        document["kafka"]["properties"] = {"batch.size": "5000000"}
        worker = self.start(document, "--until_end")
        self.assertEqual(worker.wait(300), 2, worker.seen())
        self.assertIn("'batch.size' is 5000000, but topic 'batch-", worker.output())


if __name__ == "__main__":
    main(at_once=True)
