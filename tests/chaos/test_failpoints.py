#!/usr/bin/env python3
"""A crash at each step of a commit and of each sink's decision: the next run goes on as if nothing had been.

The worker kills itself (SIGKILL) at a named place; a run that gets past it without dying has not been there, and fails.
One application crashes at every point in turn while data flows; another does the same, then dies at some seeded moments,
and each of its crashes is a power failure too, which takes away what it had written to its state and its lake and not
synced. With --long each point also has a run of its own, which tells the guilty one.
"""

import contextlib
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import topology
from case import LONG, SystemTest, main
from flow import Flow
from power import Power
from stack import wait_for
from watch import Watch

SEED = 20260101
RATE = 1_500
PASSES = (1, 2, 5) if LONG else (2,)
MOMENTS = 40 if LONG else 5

# At the end of a worker's life: it is asked to stop.
WHILE_STOPPING = ["state.flush.middle"]
POINTS = [
    "commit.before_prepare", "commit.before_flush", "commit.after_flush", "commit.before_decision",
    "commit.after_decision", "state.apply.before", "state.apply.middle", "state.apply.after", *WHILE_STOPPING,
    "sink_postgres.before_commit", "sink_postgres.after_commit",
    "sink_parquet.staged", "sink_parquet.before_decision", "sink_parquet.after_decision",
    "sink_parquet.publish.before", "sink_parquet.publish.after_move",
]


class Failpoints(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        cls.flow = Flow(cls.stack, "detections", RATE)

    def config(self, name, folder):
        # Many small commits and cuts, so that a point is passed soon and often.
        variant = topology.variant(name, lake=f"{folder}/lake", commit_interval="20ms")
        variant["sinks"]["lake"]["parquet"]["max_age"] = "200ms"
        return topology.write(self.stack.folder / f"{name}.yaml", variant)

    def crash_at_each(self, name, passes, with_power=False):
        """Crashes at all points, with all numbers of passes, one after the other."""
        folder = self.stack.folder / name
        folder.mkdir()
        power = Power(folder, f"{folder}.journal", random.Random(f"{SEED}-{name}")) if with_power else None
        env = self.stack.environment(**(power.environment() if power else {}))
        config, state_dir = self.config(name, folder), folder / "state"
        options = {"name": name, "state_dir": state_dir, "env": env}

        def ready(worker):
            wait_for("the worker", worker.ready, 180, worker.seen)
            return worker

        def crashed(where):
            lost = f": {power.fail()}" if power else ""
            print(f"  {name}: crashed {where}{lost}", flush=True)
            self.flow.check_flows()

        # What a power failure takes away, a reader may have seen.
        with self.flow.needed(), contextlib.nullcontext() if power else Watch(self.stack, name, lake=folder / "lake"):
            for number in passes:
                for point in POINTS:
                    worker = self.stack.run(config, failpoints=f"{point}=kill@{number}", **options)
                    if point in WHILE_STOPPING:
                        ready(worker).signal(signal.SIGTERM)
                    self.died(worker, point, number)
                    crashed(f"at pass {number} of {point}")
            for number in range(MOMENTS if power else 0):
                worker = ready(self.stack.run(config, **options))
                time.sleep(power.random.uniform(0.05, 1.0))  # the seeded moment; nothing is waited for here
                worker.kill()
                crashed("at a seeded moment")
        output = self.stack.run(config, "--until_end", "--close_windows", **options).finish(600)
        if power:
            print(f"  {name}: {power.total} in all", flush=True)
            self.assertGreater(power.total.names, 0, "failures that took nothing away prove nothing")
        self.check_all(name, folder, output)

    def died(self, worker, point, number):
        code = worker.wait(300)
        self.assertEqual(code, -signal.SIGKILL, f"{point} was not passed {number} times\n{worker.seen()}")

    def check_all(self, name, folder, output):
        with self.flow.oracle(self.oracle) as oracle:
            self.check(oracle, name, output, lake=folder / "lake")

    def test_crashes_at_every_point_change_nothing(self):
        self.crash_at_each("crashed", PASSES)

    def test_nor_do_crashes_that_lose_unsynced_writes(self):
        self.crash_at_each("powerless", PASSES, with_power=True)

    @unittest.skipUnless(LONG, "only with --long")
    def test_a_crash_at_each_point_by_itself(self):
        with self.flow.needed():
            pass
        for point in POINTS:
            with self.subTest(point=point):
                name = point.replace(".", "-").replace("_", "-")
                folder, args = self.stack.folder / name, ("--until_end", "--close_windows")
                config = self.config(name, folder)
                self.died(self.stack.run(config, *args, name=name, failpoints=f"{point}=kill@2"), point, 2)
                self.check_all(name, folder, self.stack.run(config, *args, name=name).finish(300))


class PowerFailure(unittest.TestCase):
    """What power.py takes away from a small process that kills itself, over some seeds."""

    SCRIPT = """
import os, signal
root = os.environ["UNSYNCED_ROOT"] + "/"
def sync(path):
    file = os.open(root + path, os.O_RDONLY); os.fsync(file); os.close(file)
def put(path, text):
    file = os.open(root + path, os.O_WRONLY | os.O_CREAT | os.O_APPEND); os.write(file, text); os.close(file)
for path in "half", "replaced", "deleted":
    put(path, b"1"); sync(path)
put("unnamed", b"1"); put("bytes", b"1")
sync("")
sync("unnamed"); put("half", b"2"); put("late", b"1"); sync("late"); put("other", b"2")
os.rename(root + "other", root + "replaced"); os.unlink(root + "deleted"); os.mkdir(root + "folder")
put("folder/file", b"1"); sync("folder/file"); sync("folder")
os.kill(os.getpid(), signal.SIGKILL)
"""

    def after_a_failure(self, seed):
        with tempfile.TemporaryDirectory(prefix="tidemark-power-") as folder:
            root = pathlib.Path(folder) / "root"
            root.mkdir()
            power = Power(root, f"{folder}/journal", random.Random(seed))
            subprocess.run([sys.executable, "-c", self.SCRIPT], env=power.environment())
            power.fail()
            return {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}

    def test_what_is_synced_stays_and_the_rest_may_go(self):
        seen = [self.after_a_failure(seed) for seed in range(30)]
        for files in seen:
            self.assertEqual(files["unnamed"], "1", "its bytes and its name were synced")
            self.assertEqual(files["half"][0], "1")
            self.assertIn(files["replaced"], ("1", "2", ""))
        self.assertEqual({files.get("deleted") for files in seen}, {"1", None})
        self.assertEqual({files.get("late") for files in seen}, {"1", None}, "its name was not synced")
        self.assertEqual({files.get("folder/file") for files in seen}, {"1", None}, "nor was the folder's")
        self.assertEqual({files["half"] for files in seen}, {"1", "12"})
        self.assertEqual({files["bytes"] for files in seen}, {"", "1"})
        self.assertIn({"unnamed": "1", "half": "1", "bytes": "", "replaced": "1", "deleted": "1"}, seen, "the worst case")


if __name__ == "__main__":
    main(at_once=True)
