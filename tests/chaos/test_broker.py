#!/usr/bin/env python3
"""kill -9 on the broker while data flows and two workers process it: once it comes back at once, once a worker is killed
beside it, and once it stays away for longer than the workers' sessions. They go on, and no sink shows a difference."""

import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import segments
import topology
from case import LONG, SystemTest, main
from flow import Flow
from stack import wait_for
from watch import Watch

SEED = 20260101
RATE = 2_500
ROUNDS = 8 if LONG else 3
WORKERS = "ab"


class Broker(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        cls.flow = Flow(cls.stack, "detections", RATE)

    def test_a_broker_that_is_killed_under_load(self):
        name, rng = "broker", random.Random(SEED)
        variant = topology.variant(name)
        variant["sinks"]["lake"]["parquet"]["max_age"] = "1s"
        config = topology.write(self.stack.folder / f"{name}.yaml", variant)
        transactions = segments.Transactions(self.stack.folder / "kafka", f"{name}/")

        def commits(w):
            return transactions.count("prepare commit", f"{name}/{name}-{w}-")

        def wait_for_commits():
            before = {w: commits(w) for w in WORKERS}

            def both_have_committed():
                for worker in workers.values():
                    self.assertTrue(worker.running(), worker.seen())
                return all(commits(w) > n for w, n in before.items())
            wait_for("commits of both workers", both_have_committed, 180, self.stack.logs)

        def start(w, *args):
            return self.stack.run(config, *args, name=f"{name}-{w}", threads=1)

        hits = 0
        with self.flow.needed(), Watch(self.stack, name):
            workers = {w: start(w) for w in WORKERS}
            wait_for_commits()
            for number in range(1, ROUNDS + 1):
                time.sleep(rng.uniform(0.1, 1.0))  # the seeded moment; nothing is waited for here
                self.stack.stop_kafka("--kill")
                open_ones = [str(step) for step in transactions.newest().values() if step.open]
                hits += bool(open_ones)
                victim = rng.choice(WORKERS) if number % 3 == 2 else None
                print(f"  broker kill {number}/{ROUNDS}: transactions {open_ones or 'none'}"
                      f"{f', and worker {victim}' if victim else ''}", flush=True)
                if victim:
                    workers[victim].kill()
                if number % 3 == 0:
                    # librdkafka's word for it. Each thread and sink has a session.
                    seen = {w: worker.output().count("SESSTMOUT") for w, worker in workers.items()}
                    wait_for("the sessions to time out",
                             lambda: all(worker.output().count("SESSTMOUT") > seen[w] for w, worker in workers.items()),
                             180, self.stack.logs)
                self.stack.restart_kafka()
                if victim:
                    workers[victim] = start(victim)
                wait_for_commits()
                self.flow.check_flows()
        self.assertGreater(hits, 0, "no transaction was open at any kill")
        for worker in workers.values():
            self.assertEqual(worker.stop(), 0, worker.seen())
        finishing = [start(w, "--until_end", "--close_windows") for w in WORKERS]
        outputs = [worker.finish(600) for worker in finishing]
        with self.flow.oracle(self.oracle) as oracle:
            self.check(oracle, name, *outputs)


if __name__ == "__main__":
    main()
