#!/usr/bin/env python3
"""examples/services on a real broker: a fourth service is one small file, added while the other three run."""

import hashlib
import json
import pathlib
import re
import shutil
import sys
from datetime import datetime, timedelta, timezone

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import pyarrow.dataset

import stack
import topics
import topology
from case import SystemTest, main
from stack import wait_for

EXAMPLE = stack.ROOT / "examples" / "services"
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
EVENTS, PARTITIONS, SALT = 2_000, 4, "grain"

# By service: its topic, the columns that it counts by, and what an event of it says beside the envelope.
SERVICES = {
    "orders": ("orders", ["state"], lambda n: {"order_id": n, "state": ("new", "paid", "sent")[n % 3], "total": 9.5,
                                               "customer": {"email": f"{n % 50}@example.org"} if n % 4 else {}}),
    "payments": ("provider-payments", ["method"], lambda n: {"payment_id": f"p{n}", "reference": {"order": n},
                                                             "method": ("card", "bill")[n % 2], "amount": 9.5}),
    "shipments": ("shipments", ["carrier", "place"], lambda n: {"parcel": f"b{n}", "carrier": f"c{n % 3}",
                                                                **({"place": f"town {n % 7}"} if n % 5 else {})}),
    "returns": ("returns", ["reason"], lambda n: {"return_id": n, "reason": ("broken", "late")[n % 2]}),
}


def events(service, first, count):
    """One a second; all of them, as the service's own numbers say."""
    return [{"event_id": f"{service}-{n}", "occurred_at": (START + timedelta(seconds=n)).isoformat(),
             **SERVICES[service][2](n)} for n in range(first, first + count)]


def processes(worker):
    """Ready, and none of its threads is opening tasks."""
    running = [value for (name, _), value in worker.metrics().items() if name == "tidemark_thread_running"]
    return worker.ready() and running != [] and all(running)


def tasks(worker):
    return {labels for name, labels in worker.metrics() if name == "tidemark_task_memory_bytes"}


class Services(SystemTest):
    def send(self, service, first, count):
        """Each event, and every third once more, by another way."""
        records = []
        for n, event in enumerate(events(service, first, count)):
            at = int((START + timedelta(seconds=first + n)).timestamp() * 1000)
            record = {"value": json.dumps(event).encode(), "partition": n % PARTITIONS, "timestamp": at}
            records += [record] + ([{**record, "partition": (n + 1) % PARTITIONS}] if n % 3 == 0 else [])
        topics.produce(self.stack.brokers, SERVICES[service][0], records)

    def start(self, config, name, *args):
        return self.stack.run(config, *args, name=name, state_dir=self.stack.folder / "state" / name,
                              env=self.stack.environment(SALT=SALT, LAKE=str(self.stack.folder / "lake")))

    def check(self, service, count):
        topic, by, _ = SERVICES[service]
        expected = {}
        for event in events(service, 0, count):
            minute = event["occurred_at"][:16]
            key = (minute, *(event.get(column, "unknown") for column in by))
            expected[key] = expected.get(key, 0) + 1
        found = [json.loads(value) for value in topics.read(self.stack.brokers, f"{topic}-per-minute")["value"].to_pylist()]
        self.assertEqual(sorted(((row["window_start"][:16], *(row[column] for column in by)), row["events"]) for row in found),
                         sorted(expected.items()), service)
        lake = pyarrow.dataset.dataset(self.stack.folder / "lake" / service, format="parquet").to_table()
        self.assertEqual(sorted(lake["event_id"].to_pylist()), sorted(e["event_id"] for e in events(service, 0, count)))

    def test_a_fourth_service_is_one_file_added_while_the_others_run(self):
        topics.create(self.stack.brokers, **{SERVICES[service][0]: PARTITIONS for service in SERVICES})
        folder = self.stack.folder / "topology"
        shutil.copytree(EXAMPLE, folder)
        config = folder / "topology.yaml"
        running = [service for service in SERVICES if service != "returns"]
        for service in SERVICES:
            self.send(service, 0, EVENTS)
        workers = [self.start(config, name) for name in ("one", "two")]
        wait_for("results", lambda: topics.partitions(self.stack.brokers, "orders-per-minute") and
                 sum(topics.ends(self.stack.brokers, "orders-per-minute").values()) > 0, 180, workers[0].seen)
        # The file of the README; and then worker by worker, while more comes.
        fourth = re.search(r"```yaml\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)[1]
        (folder / "services" / "returns.yaml").write_text(fourth)
        for service in running:
            self.send(service, EVENTS, EVENTS)
        for i, worker in enumerate(workers):
            self.assertEqual(worker.stop(), 0, worker.seen())
            workers[i] = self.start(config, worker.name, "--leave_on_stop")
            # At rest: whoever is stopped while it opens what it was given may not be done within a stop's five seconds.
            wait_for("all workers to process", lambda: all(map(processes, workers)), 180, self.stack.logs)
        all_tasks = set().union(*(wait_for("its tasks", lambda w=w: tasks(w), 60, w.seen) for w in workers))
        self.assertEqual(workers[0].stop(), 0, workers[0].seen())
        wait_for("the other to process all", lambda: tasks(workers[1]) >= all_tasks and processes(workers[1]), 180,
                 self.stack.logs)
        self.assertEqual(workers[1].stop(), 0, workers[1].seen())
        output = self.start(config, "one", "--until_end", "--close_windows").finish(600)
        self.assertIn("sink returns_lake", output)
        for service in running:
            self.check(service, 2 * EVENTS)
        self.check("returns", EVENTS)
        masked = [json.loads(value) for value in topics.read(self.stack.brokers, "orders-masked")["value"].to_pylist()]
        expected = {n: hashlib.sha256(f"{SALT}{n % 50}@example.org".encode()).hexdigest() if n % 4 else None
                    for n in range(2 * EVENTS)}
        self.assertEqual({row["order_id"]: row["customer_email"] for row in masked}, expected)

    def test_topics_of_a_pattern_are_read_when_they_come_and_missed_when_they_go(self):
        """Two workers, killed in between; every record of every topic once, with the topic that it came from."""
        brokers = self.stack.brokers
        pattern = {
            "name": "pattern", "kafka": {"brokers": "${KAFKA_BROKERS}"}, "commit_interval": "20ms",
            "sources": {"all": {"topics": "shop-.*", "columns": {"id": "int64", "shop": {"type": "string", "from": "topic"}}}},
            "steps": {"counted": {"from": "all", "group_by": ["shop"], "aggregates": {"n": "count(*)"}, "emit": "on_update"}},
            "sinks": {"out": {"from": "all", "topic": "shop-out", "create": {"partitions": 2}},
                      "counts": {"from": "counted", "topic": "shop-counts", "key": ["shop"], "create": {}}}}
        config = topology.write(self.stack.folder / "pattern.yaml", pattern)
        expected = []

        def send(topic, count):
            first = len(expected)
            expected.extend((n, topic) for n in range(first, first + count))
            topics.produce(brokers, topic, [{"value": json.dumps({"id": n}).encode(), "partition": n % 2}
                                            for n in range(first, first + count)])

        def found():
            if topics.partitions(brokers, "shop-out") == 0:
                return []
            return sorted((row["id"], row["shop"]) for row in
                          (json.loads(value) for value in topics.read(brokers, "shop-out")["value"].to_pylist()))

        start = lambda name: self.stack.run(config, name=name, threads=1, state_dir=self.stack.folder / "state" / name)
        none = self.stack.tidemark("run", "--config", str(config), "--state_dir", str(self.stack.folder / "none"), check=False)
        self.assertEqual(none[0], 2)
        self.assertIn("matches 'shop-.*'", none[2])
        topics.create(brokers, **{"shop-m": 2, "other-shop-x": 2})
        send("shop-m", 500)
        workers = {name: start(name) for name in ("p1", "p2")}
        wait_for("the first topic", lambda: found() == expected, 120, self.stack.logs)
        pids = {name: worker.pid for name, worker in workers.items()}
        # One that stands before the other by name, with a backlog.
        topics.create(brokers, **{"shop-a": 2})
        send("shop-a", 500)
        send("shop-m", 100)
        wait_for("the second topic", lambda: found() == sorted(expected), 120, self.stack.logs)
        self.assertEqual({name: worker.pid for name, worker in workers.items() if worker.running()}, pids, "nobody was restarted")
        described = self.stack.tidemark("describe", "--config", str(config))[1]
        self.assertIn("topic shop-a, which matches shop-.*", described)
        self.assertNotIn("shop-out, which", described)
        # One is killed while a third comes; another that doesn't fit is told, and nothing else happens.
        workers["p1"].kill()
        topics.create(brokers, **{"shop-z": 2})
        send("shop-z", 300)
        wait_for("the third topic", lambda: found() == sorted(expected), 120, self.stack.logs)
        topics.create(brokers, **{"shop-wide": 3})
        wait_for("the metric", lambda: workers["p2"].metric("tidemark_unread_topics", source="all") == 1, 60, workers["p2"].seen)
        self.assertIn("topic shop-wide matches 'shop-.*' and isn't read: it has 3 partitions", workers["p2"].output())
        client = topics.admin(brokers)  # must outlive its futures
        client.delete_topics(["shop-wide"])["shop-wide"].result(30)
        wait_for("the metric again", lambda: workers["p2"].metric("tidemark_unread_topics", source="all") == 0, 60)
        workers["p1"] = start("p1")
        send("shop-a", 100)
        wait_for("what came then", lambda: found() == sorted(expected), 120, self.stack.logs)
        counts = lambda: {row["shop"]: row["n"] for row in (json.loads(v) for v in topics.read(
            brokers, "shop-counts")["value"].to_pylist() if v)}
        wait_for("the counts", lambda: counts() == {"shop-m": 600, "shop-a": 600, "shop-z": 300}, 60, lambda: str(counts()))
        # A topic that goes is a stop, and so is the next start.
        client.delete_topics(["shop-z"])["shop-z"].result(30)
        for worker in workers.values():
            self.assertEqual(worker.wait(90), 2, worker.seen())
        again = self.stack.tidemark("run", "--config", str(config), "--state_dir", str(self.stack.folder / "state" / "p1"), check=False)
        self.assertEqual(again[0], 2)
        self.assertIn("topic shop-z, which source all has read", again[2])
        # Where its loss is taken, what was counted goes on without it.
        pattern["sources"]["all"]["on_data_loss"] = "skip"
        topology.write(config, pattern)
        send("shop-a", 100)
        self.stack.tidemark("run", "--config", str(config), "--state_dir", str(self.stack.folder / "state" / "p1"), "--until_end")
        self.assertEqual(found(), sorted(expected))
        self.assertEqual(counts(), {"shop-m": 600, "shop-a": 700, "shop-z": 300})


if __name__ == "__main__":
    main()
