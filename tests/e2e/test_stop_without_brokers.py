#!/usr/bin/env python3
"""SIGTERM while the brokers are away: whatever the worker is in the middle of, it has ended five seconds later, and what
it hadn't committed is processed again, once."""

import contextlib
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
from case import HtxTest, main
from stack import wait_for

PARTITIONS = 32


class StopWithoutBrokers(HtxTest):
    records = 20_000

    @classmethod
    def prepare(cls):
        cls.stack.generate(cls.records, events_per_second=cls.records / 600, partitions=PARTITIONS)

    def stops_in_time(self, worker):
        code = worker.stop_in_time()
        # 1 where something that was open could not be given back.
        self.assertIn(code, (0, 1), worker.seen())

    @contextlib.contextmanager
    def without_brokers(self):
        self.stack.stop_kafka("--kill")
        try:
            yield
        finally:
            self.stack.restart_kafka()

    def test_a_worker_that_has_caught_up(self):
        worker = self.stack.run(self.config("idle"), "--stop_within", "5s", name="idle")
        wait_for("the worker", worker.ready, 180, worker.seen)
        wait_for("it to catch up", lambda: topics.committed(self.stack.brokers, "idle", "detections") ==
                 topics.ends(self.stack.brokers, "detections"), 180, worker.seen)
        with self.without_brokers():
            wait_for("it to notice", lambda: "kafka:" in worker.output(), 180, worker.seen)
            used = worker.cpu_seconds()
            time.sleep(6)  # housekeeping, every five seconds, is in the middle of its calls
            # Whoever waits for brokers has nothing to do.
            self.assertLess(worker.cpu_seconds() - used, 1.5, worker.seen())
            self.stops_in_time(worker)
        self.completes(self.config("idle"), "idle")

    def test_a_worker_in_the_middle_of_its_backlog(self):
        worker = self.stack.run(self.config("busy"), "--stop_within", "5s", name="busy")
        wait_for("its first commits", lambda: (worker.metric("tidemark_commits_total") or 0) > 0, 180, worker.seen)
        with self.without_brokers():
            self.stops_in_time(worker)
        self.completes(self.config("busy"), "busy")

    def test_a_worker_that_starts(self):
        with self.without_brokers():
            worker = self.stack.run(self.config("starting"), "--stop_within", "5s", name="starting")

            def answers():
                try:
                    return worker.http("/healthz") == "ok\n"
                except OSError:  # nor is there an address at first
                    return False

            wait_for("it to answer before it has a broker", answers, 180, worker.seen)
            self.stops_in_time(worker)


if __name__ == "__main__":
    main()
