#!/usr/bin/env python3
"""Workers that lose partitions in the middle of a transaction, in each way that a group knows: they are asked for them,
because another worker comes; they are told too late, because the group has expelled them; and they aren't told at all,
because they are frozen for longer than their session (SIGSTOP) and wake up as a zombie (SIGCONT). Nothing reaches any sink
twice."""

import pathlib
import re
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import segments
import topics
import topology
from case import SystemTest, main
from flow import Flow
from stack import wait_for
from watch import Watch

RATE = 2_500
ROUNDS = 3
# A commit may come between the look at a transaction and what is done to its owner: such a round doesn't count.
MOST_ROUNDS = 4 * ROUNDS
GROUP_SESSION_SECONDS = 10


def enough(hits):
    return sum(rows > 0 for rows in hits) >= ROUNDS or len(hits) >= MOST_ROUNDS


class Membership(SystemTest):
    needs_postgres = True
    # By default a broker looks for transactions that take too long only every ten seconds.
    kafka_settings = ("--set", "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000")

    @classmethod
    def prepare(cls):
        cls.flow = Flow(cls.stack, "detections", RATE)

    def application(self, name, **more):
        variant = topology.variant(name, **more)
        variant["sinks"]["lake"]["parquet"]["max_age"] = "1s"
        self.name, self.config = name, topology.write(self.stack.folder / f"{name}.yaml", variant)
        kafka = self.stack.folder / "kafka"
        self.transactions = segments.Transactions(kafka, f"{name}/")
        self.uncommitted = segments.UncommittedRows(kafka, f"{name}-enriched")

    def start(self, worker, *args):
        return self.stack.run(self.config, *args, name=f"{self.name}-{worker}", threads=1)

    def steps(self, worker):
        return self.transactions.newest(f"{self.name}/{self.name}-{worker}-").values()

    def wait_for_commits(self, *workers):
        """Commits from now on, of each of these workers."""
        def count(w):
            return self.transactions.count("prepare commit", f"{self.name}/{self.name}-{w}-")
        before = {w: count(w) for w in workers}
        wait_for(f"commits of {workers}", lambda: all(count(w) > n for w, n in before.items()), 180, self.stack.logs)

    def rows_in_the_open_transaction(self, worker):
        return self.uncommitted.of({step.producer for step in self.steps(worker) if step.open})

    def rows_until(self, worker, process, said, do):
        """Does something, and waits until the worker says (a regular expression) that it has noticed. Returns the most rows
        that its open transaction held meanwhile."""
        def times():
            return len(re.findall(said, process.output()))
        before, rows = times(), []
        do()

        def noticed():
            rows.append(self.rows_in_the_open_transaction(worker))
            self.assertTrue(process.running(), process.seen())
            return times() > before
        wait_for(f"'{said}' in the log of {worker}", noticed, 180, self.stack.logs, every=0.02)
        return max(rows)

    def complete(self, workers):
        for worker in workers:
            self.assertEqual(worker.stop(), 0, worker.seen())
        self.check_the_rest()

    def check_the_rest(self):
        workers = [self.start(w, "--until_end", "--close_windows") for w in "ab"]
        outputs = [worker.finish(600) for worker in workers]
        with self.flow.oracle(self.oracle) as oracle:
            self.check(oracle, self.name, *outputs)

    def test_partitions_that_move_in_the_middle_of_a_transaction(self):
        # Transactions as long as they may be: a rebalance always meets one.
        self.application("moved", commit_interval="1s")
        revoked, hits, guests = r"moved-a-0: revoked [1-9]\d* partitions", [], []
        with self.flow.needed(), Watch(self.stack, self.name):
            keeper = self.start("a")
            self.wait_for_commits("a")
            while not enough(hits):
                wait_for("rows in a transaction", lambda: self.rows_in_the_open_transaction("a") > 0, 180, self.stack.logs)
                hits.append(self.rows_until("a", keeper, revoked, lambda: guests.append(self.start("b", "--leave_on_stop"))))
                print(f"  moved {len(hits)}: half of the tasks go with {hits[-1]} rows in the overlay", flush=True)
                self.wait_for_commits("a", "b")
                self.flow.check_flows()
                # All come back.
                self.rows_until("a", keeper, revoked, lambda: self.assertEqual(guests[-1].stop(), 0, guests[-1].seen()))
                self.wait_for_commits("a")
        self.assertGreaterEqual(sum(rows > 0 for rows in hits), ROUNDS, "rebalances that met no open transaction")
        self.complete([keeper])

    def test_a_member_that_is_expelled_in_the_middle_of_a_transaction(self):
        self.application("expelled", commit_interval="1s")
        # Who hears of it first: the consumer by a heartbeat, or the producer when it sends offsets.
        noticed, hits = r"expelled-a-0: (?:lost [1-9]\d* partitions|back to the last commit: .*Unknown member)", []
        with self.flow.needed(), Watch(self.stack, self.name):
            workers = {w: self.start(w) for w in "ab"}
            self.wait_for_commits("a", "b")
            while not enough(hits):
                wait_for("rows in a transaction", lambda: self.rows_in_the_open_transaction("a") > 0, 180, self.stack.logs)
                hits.append(self.rows_until("a", workers["a"], noticed, lambda: topics.expel(
                    self.stack.brokers, self.name, f"0000-{self.name}-a")))
                print(f"  expelled {len(hits)}: with {hits[-1]} rows in the overlay", flush=True)
                self.wait_for_commits("a", "b")
                self.flow.check_flows()
        self.assertGreaterEqual(sum(rows > 0 for rows in hits), ROUNDS, "assignments lost without an open transaction")
        self.assertGreaterEqual(self.transactions.count("prepare abort"), ROUNDS)
        self.complete(workers.values())

    def committed(self):
        return topics.committed(self.stack.brokers, self.name, "detections")

    def open_transaction(self, worker):
        return any(step.status == "ongoing" for step in self.steps(worker))

    def freeze_in_a_transaction(self, worker, process):
        """Stops the worker at a moment at which it has a transaction open. Returns that moment."""
        def caught():
            since = time.monotonic()
            process.signal(signal.SIGSTOP)
            if self.open_transaction(worker):
                return since
            process.signal(signal.SIGCONT)
            return False
        return wait_for("an open transaction to freeze in", caught, 180, self.stack.logs, every=0.03)

    def test_a_frozen_worker_that_wakes_up_doubles_nothing(self):
        self.application("zombie")
        with self.flow.needed(), Watch(self.stack, self.name):
            frozen, successor = self.start("a"), self.start("b")
            wait_for("both workers ready", lambda: frozen.ready() and successor.ready(), 180, self.stack.logs)
            wait_for("all partitions to move", lambda: len(self.committed()) == 4, 180, self.stack.logs)

            since = self.freeze_in_a_transaction("a", frozen)
            before = self.committed()
            wait_for("the successor to work on every partition",
                     lambda: all(self.committed()[p] > before[p] for p in before), 180, self.stack.logs)
            self.assertGreater(time.monotonic() - since, GROUP_SESSION_SECONDS / 2, "the session can't have run out yet")
            # Beyond the transaction's time-out too.
            wait_for("the frozen transaction to be aborted", lambda: not self.open_transaction("a"), 180, self.stack.logs)
            self.flow.check_flows()
            frozen.signal(signal.SIGCONT)
            woken = self.committed()
            wait_for("progress with the zombie awake",
                     lambda: all(self.committed()[p] > woken[p] for p in woken), 180, self.stack.logs)
        self.assertEqual(successor.stop(), 0, successor.seen())
        self.assertIn(frozen.stop(), (0, 1), frozen.seen())
        self.check_the_rest()


if __name__ == "__main__":
    main(at_once=True)
