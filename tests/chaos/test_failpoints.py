#!/usr/bin/env python3
"""A crash at each step of a commit and of each sink's decision: the next run goes on as if nothing had been.

The worker kills itself (SIGKILL) at a named place; a run that gets past it without dying has not been there, and fails.
"""

import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import topology
from case import LONG, SystemTest, main

RECORDS = 100_000
PASSES = (1, 2, 5) if LONG else (2,)

POINTS = [
    "commit.before_prepare", "commit.before_flush", "commit.after_flush", "commit.before_decision",
    "commit.after_decision", "state.apply.before", "state.apply.after",
    "sink_postgres.before_commit", "sink_postgres.after_commit",
    "sink_parquet.staged", "sink_parquet.before_decision", "sink_parquet.after_decision",
    "sink_parquet.publish.before", "sink_parquet.publish.after_move",
]


class Failpoints(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        cls.stack.generate(RECORDS, late=0.02, events_per_second=RECORDS / 600)
        cls.expected = cls.oracle()

    def crash_at(self, point, passes):
        name = f"{point}-{passes}".replace(".", "-").replace("_", "-")
        # Many small commits and cuts, so that there are passes to choose from.
        variant = topology.variant(name, commit_interval="20ms")
        variant["sinks"]["lake"]["parquet"]["max_bytes"] = "256KiB"
        config = topology.write(self.stack.folder / f"{name}.yaml", variant)
        crashed = self.stack.run(config, "--until_end", "--close_windows", name=name, failpoints=f"{point}=kill@{passes}")
        code = crashed.wait(60)
        self.assertEqual(code, -signal.SIGKILL, f"{point} was not passed {passes} times\n{crashed.seen()}")
        output = self.stack.run(config, "--until_end", "--close_windows", name=name).finish(60)
        self.check(self.expected, name, output)


def add_test(point, passes):
    name = f"test_a_crash_at_pass_{passes} of {point}".replace(" ", "_").replace(".", "_")
    setattr(Failpoints, name, lambda self: self.crash_at(point, passes))


for each_point in POINTS:
    for each_pass in PASSES:
        add_test(each_point, each_pass)

if __name__ == "__main__":
    main()
