#!/usr/bin/env python3
"""Source topics that lose what was never read: trimmed past the position, deleted and made again, damaged on disk. The
worker stops with what happened and the way on, exit code 2, or with `on_data_loss: skip` goes on and counts; it never
reads on from an old offset of another topic, nor behind what it couldn't read."""

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import confluent_kafka

import topics
from case import SystemTest, main
from stack import wait_for

TOPOLOGY = """
name: {name}
kafka: {{ brokers: "${{KAFKA_BROKERS}}" }}
sources: {{ s: {{ topic: {name}, columns: {{ id: int64 }}{more} }} }}
sinks: {{ out: {{ from: s, topic: {name}-out, create: {{}} }} }}
"""


class DataLoss(SystemTest):

    def config(self, name, more=""):
        path = self.stack.folder / f"{name}.yaml"
        path.write_text(TOPOLOGY.format(name=name, more=more))
        return path

    def write(self, name, first, last, batch=1000):
        """Ids first to last - 1, in batches of `batch` records."""
        for begin in range(first, last, batch):
            topics.produce(self.stack.brokers, name, [{"value": json.dumps({"id": i}).encode(), "partition": 0}
                                                      for i in range(begin, min(begin + batch, last))])

    def out(self, name):
        if topics.partitions(self.stack.brokers, f"{name}-out") == 0:
            return []
        return [json.loads(v)["id"] for v in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist()]

    def begin(self, name, records=100):
        topics.create(self.stack.brokers, **{name: 1})
        self.write(name, 0, records)
        self.stack.run(self.config(name), "--until_end", name=name).finish(300)
        self.assertEqual(self.out(name), list(range(records)))

    def trim(self, name, before):
        partition = confluent_kafka.TopicPartition(name, 0, before)
        client = topics.admin(self.stack.brokers)  # must outlive its futures
        client.delete_records([partition])[partition].result(120)

    def remake(self, name):
        client = topics.admin(self.stack.brokers)
        client.delete_topics([name])[name].result(120)
        wait_for("the topic to be gone", lambda: name not in topics.names(self.stack.brokers), 180)
        topics.create(self.stack.brokers, **{name: 1})

    def stops(self, config, name, *texts):
        worker = self.stack.run(config, name=name)
        self.assertEqual(worker.wait(300), 2, worker.seen())
        for text in texts:
            self.assertIn(text, worker.output())

    def test_a_log_trimmed_past_the_position(self):
        name = "trimmed"
        self.begin(name)
        self.write(name, 100, 200)
        self.trim(name, 150)
        self.stops(self.config(name), name, "source s", "[150, 200)", "50 offsets are gone", "on_data_loss: skip")
        self.assertEqual(self.out(name), list(range(100)))
        worker = self.stack.run(self.config(name, ", on_data_loss: skip"), name=name)
        wait_for("the rest", lambda: len(self.out(name)) == 150, 180, worker.seen)
        self.assertEqual(worker.metric("tidemark_source_records_lost_total", source="s"), 50)
        self.assertEqual(worker.stop(), 0, worker.seen())
        self.assertEqual(self.out(name), [*range(100), *range(150, 200)])

    def test_a_topic_made_again_and_longer_than_the_position(self):
        name = "again"
        self.begin(name)
        self.remake(name)
        self.write(name, 1000, 1250)
        self.stops(self.config(name), name, "deleted and made again")
        self.assertEqual(self.out(name), list(range(100)))
        self.stack.run(self.config(name, ", on_data_loss: skip"), "--until_end", name=name).finish(300)
        self.assertEqual(self.out(name), [*range(100), *range(1000, 1250)])

    def test_a_topic_made_again_and_shorter_than_the_position(self):
        name = "shorter"
        self.begin(name)
        self.remake(name)
        self.write(name, 1000, 1010)
        self.stops(self.config(name), name, "deleted and made again")
        self.stack.run(self.config(name, ", on_data_loss: skip"), "--until_end", name=name).finish(300)
        self.assertEqual(self.out(name), [*range(100), *range(1000, 1010)])

    def test_a_topic_made_again_under_a_running_worker(self):
        name = "under"
        self.begin(name)
        worker = self.stack.run(self.config(name), name=name)
        wait_for("the worker", worker.ready, 180, worker.seen)
        self.remake(name)
        self.assertEqual(worker.wait(300), 2, worker.seen())
        self.assertIn("made again", worker.output())

    def test_nothing_behind_a_damaged_batch_is_read(self):
        name = "damaged"
        self.begin(name, 10)
        self.write(name, 10, 100, batch=10)
        self.stack.stop_kafka()
        segment, = (self.stack.folder / "kafka").rglob(f"{name}-0/00000000000000000000.log")
        data = bytearray(segment.read_bytes())
        at = data.index(b'{"id": 45}')
        data[at + 7] ^= 1
        segment.write_bytes(data)
        self.stack.restart_kafka()
        worker = self.stack.run(self.config(name), name=name)

        def told():
            try:
                worker.http("/readyz")
            except OSError as error:
                return "CRC" in (error.read().decode() if hasattr(error, "read") else "")
            return False

        wait_for("/readyz to say so", told, 180, worker.seen)
        self.assertEqual(worker.wait(300), 2, worker.seen())
        self.assertIn("damaged-0", worker.output())
        self.assertIn("The log is damaged", worker.output())
        self.assertEqual(self.out(name), list(range(40)))
        # What is behind the damage isn't lost: trimmed to there, and told to skip, it is read.
        self.trim(name, 50)
        self.stack.run(self.config(name, ", on_data_loss: skip"), "--until_end", name=name).finish(300)
        self.assertEqual(self.out(name), [*range(40), *range(50, 100)])


if __name__ == "__main__":
    main()
