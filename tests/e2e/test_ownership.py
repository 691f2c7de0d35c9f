#!/usr/bin/env python3
"""Inputs that the group protocol leaves to nobody: a topology that grows while its members keep their old assignments,
and a topic that gets more partitions. The first comes to rest by itself, the second is told, and ends the worker for
good."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import confluent_kafka.admin

import topics
import topology
from case import SystemTest, main
from stack import wait_for

ALL = list(range(40))


def application(name, sources, counted=()):
    """Each source goes to a topic of its own; rows of those in `counted` are also counted by id, behind a shuffle."""
    variant = {"name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "sources": {}, "steps": {}, "sinks": {}}
    for source in sources:
        variant["sources"][source] = {"topic": f"{name}-{source}", "columns": {"id": "int64", "ts": "timestamp"},
                                      "event_time": {"column": "ts"}}
        variant["sinks"][f"{source}_rows"] = {"from": source, "topic": f"{name}-{source}-rows", "create": {}}
    for source in counted:
        variant["steps"][f"{source}_n"] = {"from": source, "window": {"tumbling": "1m"}, "group_by": ["id"],
                                           "aggregates": {"n": "count(*)"}}
        variant["sinks"][f"{source}_counts"] = {"from": f"{source}_n", "topic": f"{name}-{source}-counts", "create": {}}
    if not variant["steps"]:
        del variant["steps"]
    return variant


class Ownership(SystemTest):
    def put(self, topic, ids, count, minute=0):
        topics.produce(self.stack.brokers, topic, [
            {"value": json.dumps({"id": i, "ts": f"2024-01-01T00:{minute:02d}:{i:02d}Z"}), "partition": i % count}
            for i in ids])

    def ids(self, topic):
        """The ids of the rows in a topic, which may not be there yet."""
        if topics.partitions(self.stack.brokers, topic) == 0:
            return []
        values = topics.read(self.stack.brokers, topic)["value"].to_pylist()
        return sorted(json.loads(value)["id"] for value in values)

    def change(self, name, before, after, workers):
        """Workers of one topology that are restarted one after the other, quickly, with another one."""
        first = topology.write(self.stack.folder / f"{name}-before.yaml", before)
        then = topology.write(self.stack.folder / f"{name}-after.yaml", after)
        running = [self.stack.run(first, name=f"{name}-{i}", threads=1) for i in range(workers)]
        for worker in running:
            wait_for("the workers of the first topology", worker.ready, 180, worker.seen)
        for i, worker in enumerate(running):
            self.assertEqual(worker.stop(), 0, worker.seen())
            running[i] = self.stack.run(then, name=f"{name}-{i}", threads=1)
        return running

    def test_a_source_that_a_quick_restart_adds_is_read(self):
        topics.create(self.stack.brokers, **{"grow-a": 1, "grow-b": 1})
        self.put("grow-a", ALL, 1)
        self.put("grow-b", ALL, 1)
        worker, = self.change("grow", application("grow", ["a"]), application("grow", ["a", "b"]), 1)
        wait_for("the new source's rows", lambda: self.ids("grow-b-rows") == ALL, 180, worker.seen)
        wait_for("the worker to be ready", worker.ready, 180, worker.seen)
        self.assertIn("nobody reads grow-b-0", worker.output())
        wait_for("each input to have an owner", lambda: worker.metric("tidemark_unowned_inputs", group="grow") == 0, 180,
                 worker.seen)
        self.assertEqual(self.ids("grow-a-rows"), ALL, "nothing is read twice")
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_a_quick_rolling_restart_of_several_workers_comes_to_rest(self):
        topics.create(self.stack.brokers, **{"roll-a": 4, "roll-b": 4})
        self.put("roll-a", ALL, 4)
        self.put("roll-b", ALL, 4)
        workers = self.change("roll", application("roll", ["a"]), application("roll", ["a", "b"], counted=["b"]), 3)

        def seen():
            return "\n".join(worker.seen() for worker in workers)

        wait_for("the new source's rows", lambda: self.ids("roll-b-rows") == ALL, 360, seen)
        self.put("roll-b", ALL, 4, minute=5)
        wait_for("the new shuffle to be read", lambda: self.ids("roll-b-counts") == ALL, 360, seen)
        for worker in workers:
            wait_for("all to be ready", worker.ready, 180, seen)
            wait_for("each input to have an owner", lambda: worker.metric("tidemark_unowned_inputs", group="roll") == 0,
                     180, seen)
        self.assertEqual(self.ids("roll-a-rows"), ALL, "nothing is read twice")
        for worker in workers:
            self.assertEqual(worker.stop(), 0, worker.seen())

    def test_partitions_that_are_added_to_a_source_end_the_worker_for_good(self):
        topics.create(self.stack.brokers, **{"wider-a": 1})
        self.put("wider-a", ALL, 1)
        config = topology.write(self.stack.folder / "wider.yaml", application("wider", ["a"]))
        worker = self.stack.run(config, name="wider")
        wait_for("the rows", lambda: self.ids("wider-a-rows") == ALL, 180, worker.seen)
        client = topics.admin(self.stack.brokers)
        for future in client.create_partitions([confluent_kafka.admin.NewPartitions("wider-a", 3)]).values():
            future.result(120)
        self.assertEqual(worker.wait(300), 2, worker.seen())
        # A broker may tell of the two new ones one after the other.
        self.assertRegex(worker.output(), "'wider-a' has [23] partitions now, and had 1")
        self.assertIn("under a new name", worker.output())
        again = self.stack.run(config, name="wider")
        self.assertEqual(again.wait(300), 2, again.seen())


if __name__ == "__main__":
    main(at_once=True)
