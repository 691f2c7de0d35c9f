#!/usr/bin/env python3
"""Event time of the past on a broker with default retention, seven days by record timestamps, here enforced every second:
what Tidemark keeps in Kafka and what it writes there carries the time of writing, so it survives. The source topic's
records carry their event time; that topic is the user's, and keeps its records because it is told to."""

import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import confluent_kafka

import topics
import topology
from case import SystemTest, main
from stack import wait_for

RECORDS = 60_000
WEEK_MS = 7 * 24 * 3_600_000


class Retention(SystemTest):
    needs_postgres = True
    # Every setting of retention itself is the default one. Only the look at it comes sooner than after five minutes.
    kafka_settings = ("--set", "log.retention.check.interval.ms=1000", "--set", "log.initial.task.delay.ms=1000")

    def enforced(self, what):
        """Waits until the broker has deleted a record of the past from a topic like any other: it has looked by then."""
        topic = f"control-{what}"
        self.create_as_by_default(topic)
        topics.produce(self.stack.brokers, topic, [{"value": b"old", "timestamp": int(time.time() * 1000) - 2 * WEEK_MS}])
        reader = topics.consumer(self.stack.brokers)
        partition = confluent_kafka.TopicPartition(topic, 0)
        try:
            wait_for("the broker to enforce its retention",
                     lambda: reader.get_watermark_offsets(partition, 20, cached=False) == (1, 1), 180, self.stack.logs)
        finally:
            reader.close()

    def create_as_by_default(self, topic):
        client = topics.admin(self.stack.brokers)
        for future in client.create_topics([confluent_kafka.admin.NewTopic(topic, 1, 1)]).values():
            future.result(120)

    def test_state_and_results_of_event_time_long_past_survive(self):
        name = "past"
        config = topology.write(self.stack.folder / f"{name}.yaml", topology.variant(name))
        shape = {"late": 0.02, "events_per_second": RECORDS / 600}
        self.stack.generate(RECORDS // 2, **shape)
        newest = max(topics.read(self.stack.brokers, "detections")["timestamp"].to_pylist())
        self.assertLess(newest, time.time() * 1000 - WEEK_MS, "the input is not of the past")

        # Windows stay open, ids stay remembered: the second half needs what the first has left in the changelogs.
        worker = self.stack.run(config, "--until_end", name=name)
        worker.finish(300)
        self.enforced("between")
        shutil.rmtree(worker.state_dir)
        self.stack.generate(RECORDS // 2, skip=RECORDS // 2, **shape)
        # And what waits in a feed: the table's rows are written only after the broker has looked again.
        self.stack.stop_postgres()
        worker = self.stack.run(config, "--until_end", "--close_windows", name=name)
        target = topics.ends(self.stack.brokers, "detections")
        wait_for("the stream to finish without the database",
                 lambda: topics.committed(self.stack.brokers, name, "detections") == target, 180, worker.seen)
        self.enforced("while-the-feed-waits")
        self.stack.restart_postgres()
        output = worker.finish(300)
        self.enforced("after")
        oracle = self.oracle()
        self.assertGreater(oracle.count("judged", "verdict = 'duplicate'"), 0, "duplicates")
        self.check(oracle, name, output)


if __name__ == "__main__":
    main()
