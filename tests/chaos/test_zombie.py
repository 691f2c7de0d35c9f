#!/usr/bin/env python3
"""A worker that freezes for longer than its session (SIGSTOP), loses its partitions to a successor, and wakes up in the
middle of what it was doing (SIGCONT): nothing of it reaches any sink a second time."""

import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import segments
import topics
import topology
from case import SystemTest, main
from stack import wait_for

RATE, SECONDS = 6_000, 50
GROUP_SESSION_SECONDS = 10


class Zombie(SystemTest):
    needs_postgres = True

    def committed(self, source):
        return topics.committed(self.stack.brokers, "zombie", source)

    def in_flight(self):
        return any("zombie-a" in i and step.status == "ongoing"
                   for i, step in segments.newest_steps(self.stack.folder / "kafka").items())

    def freeze_in_a_transaction(self, worker):
        """Stops the worker at a moment at which it has a transaction open."""
        def caught():
            worker.signal(signal.SIGSTOP)
            if self.in_flight():
                return True
            worker.signal(signal.SIGCONT)
            return False
        wait_for("an open transaction to freeze in", caught, 20, self.stack.logs, every=0.03)

    def test_a_frozen_worker_that_wakes_up_doubles_nothing(self):
        name, source = "zombie", "detections-zombie"
        variant = topology.variant(name, source=source)
        variant["sinks"]["lake"]["parquet"]["max_age"] = "1s"
        config = topology.write(self.stack.folder / f"{name}.yaml", variant)
        shape = {"topic": source, "late": 0.02, "events_per_second": RATE * SECONDS / 600}
        self.stack.generate(1, **shape)
        generator = self.stack.start_generate(RATE * SECONDS, rate=RATE, skip=1, **shape)
        frozen = self.stack.run(config, name="zombie-a")
        successor = self.stack.run(config, name="zombie-b")
        wait_for("both workers ready", lambda: frozen.ready() and successor.ready(), 60, self.stack.logs)
        wait_for("all partitions to move", lambda: len(self.committed(source)) == 4, 30, self.stack.logs)

        self.freeze_in_a_transaction(frozen)
        since, before = time.monotonic(), self.committed(source)
        wait_for("the successor to work on every partition",
                 lambda: all(self.committed(source)[p] > before[p] for p in before), 60, self.stack.logs)
        self.assertGreater(time.monotonic() - since, GROUP_SESSION_SECONDS / 2, "the session can't have run out yet")
        # Beyond the transaction's time-out too.
        wait_for("the frozen transaction to be aborted", lambda: not self.in_flight(), 60, self.stack.logs)
        self.assertTrue(generator.running(), "the input ended before the zombie woke up")
        frozen.signal(signal.SIGCONT)
        woken = self.committed(source)
        wait_for("progress with the zombie awake",
                 lambda: all(self.committed(source)[p] > woken[p] for p in woken), 60, self.stack.logs)

        generator.finish(SECONDS + 60)
        self.assertEqual(successor.stop(), 0, successor.seen())
        self.assertIn(frozen.stop(), (0, 1), frozen.seen())
        workers = [self.stack.run(config, "--until_end", "--close_windows", name=f"zombie-{w}") for w in "ab"]
        outputs = [worker.finish(120) for worker in workers]
        self.check(self.oracle(source), name, *outputs)


if __name__ == "__main__":
    main()
