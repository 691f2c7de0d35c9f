#!/usr/bin/env python3
"""Servers that go away under the running pipeline: whoever needs them waits, nobody else does, and nothing is lost."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
from case import HtxTest, main
from stack import wait_for


class Outages(HtxTest):

    def test_a_database_that_is_away_delays_only_itself(self):
        name = "away"
        config = self.config(name)
        self.stack.run(config, "--until_end", name=name).finish(300)  # the table is there
        self.generate_more(skip=self.records)
        self.stack.stop_postgres()
        worker = self.stack.run(config, "--until_end", "--close_windows", name=name)
        target = topics.ends(self.stack.brokers, "detections")
        try:
            wait_for("the stream to finish without the database",
                     lambda: topics.committed(self.stack.brokers, name, "detections") == target, 180, worker.seen)
            self.assertTrue(worker.running(), "it waits for the database")
        finally:
            self.stack.restart_postgres()
        self.check(self.oracle(), name, worker.finish(300))

    def test_a_broker_that_restarts_delays_the_run(self):
        name = "bounce"
        config = self.config(name)
        worker = self.stack.run(config, name=name)
        wait_for("the worker", worker.ready, 180, worker.seen)
        self.stack.stop_kafka("--kill")
        time.sleep(1)  # away for a moment, not waiting for anything
        self.stack.restart_kafka()
        self.assertTrue(worker.running(), worker.seen())
        wait_for("the worker to go on", lambda: sum(topics.committed(self.stack.brokers, name, "detections").values()) > 0,
                 180, worker.seen)
        self.assertEqual(worker.stop(), 0, worker.seen())
        self.completes(config, name)


if __name__ == "__main__":
    main()
