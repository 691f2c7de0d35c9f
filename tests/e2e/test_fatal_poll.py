#!/usr/bin/env python3
"""A source that is trimmed past a running worker's position, under live traffic in its other partition: the worker ends
for good, and what it had open ends with it, offsets and rows alike."""

import json
import pathlib
import shutil
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import confluent_kafka

import topics
import topology
from case import SystemTest, main
from stack import wait_for


class Feeder:
    """Numbers into partition 1, one every few milliseconds."""

    def __init__(self, brokers, topic):
        self.brokers, self.topic, self.stopped = brokers, topic, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        producer = confluent_kafka.Producer({"bootstrap.servers": self.brokers, "linger.ms": 0})
        number = 0
        while not self.stopped.wait(0.005):
            producer.produce(self.topic, json.dumps({"id": number}), partition=1)
            producer.flush(5)
            number += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stopped.set()
        self.thread.join()


class FatalPoll(SystemTest):
    def test_offsets_are_not_committed_without_their_rows(self):
        name, brokers = "trimmed", self.stack.brokers
        topics.create(brokers, **{f"{name}-in": 2})
        config = topology.write(self.stack.folder / f"{name}.yaml", {
            "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"},
            "sources": {"s": {"topic": f"{name}-in", "columns": {"id": "int64"}}},
            "sinks": {"rows": {"from": "s", "topic": f"{name}-rows", "create": {}}}})
        topics.produce(brokers, f"{name}-in", [{"value": json.dumps({"id": -1}), "partition": 0}] * 10)

        def at(partition):
            return topics.committed(brokers, name, f"{name}-in").get(partition, 0)

        def rows():
            values = topics.read(brokers, f"{name}-rows")["value"].to_pylist()
            return sorted(i for i in (json.loads(value)["id"] for value in values) if i >= 0)

        with Feeder(brokers, f"{name}-in"):
            worker = self.stack.run(config, name=name, threads=1)
            wait_for("both partitions to be read", lambda: at(0) >= 10 and at(1) >= 100, 180, worker.seen)
            worker.signal(signal.SIGSTOP)
            topics.produce(brokers, f"{name}-in", [{"value": json.dumps({"id": -1}), "partition": 0}] * 20)
            gone = confluent_kafka.TopicPartition(f"{name}-in", 0, 25)
            client = topics.admin(brokers)  # must outlive its futures
            for future in client.delete_records([gone]).values():
                future.result(120)
            worker.signal(signal.SIGCONT)
            self.assertEqual(worker.wait(300), 2, worker.seen())
            self.assertIn(f"{name}-in", worker.output())
            # A supervisor that doesn't look at the code changes nothing.
            again = self.stack.run(config, name=name, threads=1)
            self.assertEqual(again.wait(300), 2, again.seen())
        self.assertEqual(rows(), list(range(at(1))), "every row before the committed offset stands there, once")
        # The changelogs are whole: without the folder, the same error ends it, and no other.
        shutil.rmtree(worker.state_dir)
        again = self.stack.run(config, name=name, threads=1)
        self.assertEqual(again.wait(300), 2, again.seen())
        self.assertNotIn("contradicts itself", again.output())


if __name__ == "__main__":
    main()
