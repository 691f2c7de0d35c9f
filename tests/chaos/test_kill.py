#!/usr/bin/env python3
"""kill -9 on one of two workers, again and again while data flows: no row is lost and none is doubled, in any sink.

Every kill prints where the transactions of its victim stood and how many rows they held, as the broker's own logs tell:
rows written to a topic in an open transaction are rows whose state lies in the overlay, uncommitted (there may be more,
which the broker hasn't seen). Kills that hit nothing prove nothing, so too few of them in an open transaction fail the
test.
"""

import pathlib
import random
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import segments
import topology
from case import SystemTest, main
from flow import Flow
from s3 import S3
from stack import wait_for
from watch import Watch

SEED = 20260101
RATE = 2_500
KILLS, MIN_IN_FLIGHT, MIN_ABORTED = 20, 15, 5
WORKERS = "ab"


class Kill(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        cls.flow = Flow(cls.stack, "detections", RATE)

    def run_under_kills(self, name, delete_state=False, lake=None, **environment):
        variant = topology.variant(name, lake=lake)
        # Files are cut all the time, so that kills hit the Parquet sink's decisions too.
        variant["sinks"]["lake"]["parquet"]["max_age"] = "1s"
        self.name, self.config = name, topology.write(self.stack.folder / f"{name}.yaml", variant)
        self.environment = self.stack.environment(**environment)
        kafka = self.stack.folder / "kafka"
        self.transactions = segments.Transactions(kafka, name)
        self.uncommitted = segments.UncommittedRows(kafka, f"{name}-enriched")
        rng, hits = random.Random(f"{SEED}-{name}"), []
        with self.flow.needed(), Watch(self.stack, name, lake=False if lake else None):
            workers = {w: self.start(w) for w in WORKERS}
            self.wait_for_commits(workers, dict.fromkeys(WORKERS, 0))
            for number in range(1, KILLS + 1):
                victim = rng.choice(WORKERS)
                wait_for("a transaction", lambda: any(step.open for step in self.newest(victim)), 180, self.stack.logs,
                         every=0.01)
                time.sleep(rng.uniform(0.05, 0.5))  # the seeded moment; nothing is waited for here
                workers[victim].kill()
                hits.append(self.newest(victim))
                print(f"  {name} kill {number:2d}/{KILLS}: worker {victim}, {self.told(hits[-1])}", flush=True)
                self.flow.check_flows()
                if delete_state:
                    shutil.rmtree(workers[victim].state_dir)
                before = {victim: self.commits(victim)}
                workers[victim] = self.start(victim)
                # The first output was committed before the first kill, and some more is after each.
                self.wait_for_commits(workers, before)
        for worker in workers.values():
            self.assertEqual(worker.stop(), 0, worker.seen())
        workers = [self.start(w, "--until_end", "--close_windows") for w in WORKERS]
        outputs = [worker.finish(600) for worker in workers]
        in_flight = sum(any(step.open for step in hit) for hit in hits)
        aborted = self.transactions.count("prepare abort")
        print(f"  {name}: {in_flight} of {KILLS} kills in an open transaction, {aborted} transactions aborted", flush=True)
        self.assertGreaterEqual(in_flight, MIN_IN_FLIGHT, [self.told(hit) for hit in hits])
        self.assertGreaterEqual(aborted, MIN_ABORTED)
        return outputs

    def start(self, worker, *args):
        return self.stack.run(self.config, *args, name=f"{self.name}-{worker}", threads=2, env=self.environment)

    def newest(self, worker):
        """The newest step of each transactional id of its stream threads."""
        return list(self.transactions.newest(f"{self.name}/{self.name}-{worker}-").values())

    def commits(self, worker):
        return self.transactions.count("prepare commit", f"{self.name}/{self.name}-{worker}-")

    def wait_for_commits(self, workers, more_than):
        def all_have_committed():
            for worker in workers.values():
                self.assertTrue(worker.running(), worker.seen())
            return all(self.commits(w) > count for w, count in more_than.items())
        wait_for(f"commits of {sorted(more_than)}", all_have_committed, 180, self.stack.logs)

    def told(self, steps):
        rows = self.uncommitted.of({step.producer for step in steps})
        return f"{' / '.join(map(str, steps)) or 'nothing begun'}, {rows} rows in the overlay"

    def check_all(self, name, outputs):
        with self.flow.oracle(self.oracle) as oracle:
            self.check(oracle, name, *outputs)

    def test_with_the_state_kept(self):
        self.check_all("kept", self.run_under_kills("kept"))

    def test_with_the_state_folder_deleted(self):
        self.check_all("wiped", self.run_under_kills("wiped", delete_state=True))

    def test_with_the_lake_on_s3(self):
        server = S3(self.stack.folder)
        self.addCleanup(server.stop)
        outputs = self.run_under_kills("remote", lake=f"s3://{server.bucket}/remote", **server.environment())
        # Read as any other client of the bucket would: what a listing shows is what counts.
        server.download("remote", self.stack.folder / "lake" / "remote")
        self.check_all("remote", outputs)


if __name__ == "__main__":
    main(at_once=True)
