#!/usr/bin/env python3
"""kill -9 on one of two workers, again and again while data flows: no row is lost and none is doubled, in any sink.

Every kill prints where its transaction stood, as the broker's own transaction log tells. Kills that hit nothing prove
nothing, so too few of them in an open transaction fail the test.
"""

import pathlib
import random
import shutil
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import segments
import topics
import topology
from case import LONG, SystemTest, main
from s3 import S3
from stack import wait_for

SEED = 20260101
RATE = 6_000
KILLS = 20
# What a run of that many kills must have hit at the least.
MIN_IN_FLIGHT_SHARE, MIN_ABORTED_SHARE = 15 / 20, 5 / 20
IN_FLIGHT = ("ongoing", "prepare commit", "prepare abort")


class Kill(SystemTest):
    needs_postgres = True

    def run_under_kills(self, name, kills, delete_state=False, lake=None, environment=None):
        source = f"detections-{name}"
        rng = random.Random(f"{SEED}-{name}")
        variant = topology.variant(name, source=source, lake=lake)
        # Files are cut all the time, so that kills hit the Parquet sink's decisions too.
        variant["sinks"]["lake"]["parquet"]["max_age"] = "1s"
        config = topology.write(self.stack.folder / f"{name}.yaml", variant)
        # The input outlives the last kill; what is left then is done in the end.
        seconds = kills * 4
        self.stack.generate(1, topic=source, table_topic="locations", skip=0)
        shape = {"topic": source, "late": 0.02, "events_per_second": RATE * seconds / 600}
        generator = self.stack.start_generate(RATE * seconds, rate=RATE, skip=1, **shape)
        workers = {w: self.start(config, f"{name}-{w}", environment) for w in "ab"}
        output = f"{name}-enriched"
        self.wait_for_output(output, 0, generator)
        hits = []
        for number in range(1, kills + 1):
            victim = rng.choice("ab")
            time.sleep(rng.uniform(0.1, 1.2))  # the seeded moment; nothing is waited for here
            workers[victim].kill()
            hits.append(self.phase(name, victim))
            print(f"  {name} kill {number:2d}/{kills}: worker {victim}, {hits[-1]}", flush=True)
            self.assertTrue(generator.running(), f"the input ended before kill {number}: {hits}")
            if delete_state:
                shutil.rmtree(workers[victim].state_dir)
            before = sum(topics.ends(self.stack.brokers, output).values())
            workers[victim] = self.start(config, f"{name}-{victim}", environment)
            self.wait_for_output(output, before, generator, workers[victim])
        generator.finish(seconds + 60)
        for worker in workers.values():
            self.assertEqual(worker.stop(), 0, worker.seen())
        workers = {w: self.start(config, f"{name}-{w}", environment, "--until_end", "--close_windows") for w in "ab"}
        outputs = [worker.finish(120) for worker in workers.values()]
        aborted = segments.count_steps(self.stack.folder / "kafka", name, "prepare abort")
        in_flight = sum(any(status in hit for status in IN_FLIGHT) for hit in hits)
        print(f"  {name}: {in_flight} of {kills} kills in an open transaction, {aborted} transactions aborted", flush=True)
        self.assertGreaterEqual(in_flight, kills * MIN_IN_FLIGHT_SHARE, hits)
        self.assertGreaterEqual(aborted, kills * MIN_ABORTED_SHARE)
        return self.oracle(source), outputs

    def start(self, config, name, environment, *args):
        return self.stack.run(config, *args, name=name, threads=2, env=environment)

    def wait_for_output(self, topic, more_than, generator, worker=None):
        """A commit after this moment: the worker is back, or the other one works on."""
        def grown():
            if worker is not None:
                self.assertTrue(worker.running(), worker.seen())
                if not worker.ready():
                    return False
            return sum(topics.ends(self.stack.brokers, topic).values()) > more_than
        wait_for(f"records in {topic}", grown, 60, self.stack.logs)

    def phase(self, name, victim):
        """Where the transactions of the killed worker stood."""
        found = []
        for transactional_id, step in sorted(segments.newest_steps(self.stack.folder / "kafka").items()):
            if f"{name}-{victim}" not in transactional_id:
                continue
            if step.status == "ongoing" and step.has_offsets:
                found.append("ongoing with offsets sent")
            else:
                found.append(step.status)
        return " / ".join(found) or "nothing begun"

    def test_with_the_state_kept(self):
        oracle, outputs = self.run_under_kills("kept", KILLS)
        self.check(oracle, "kept", *outputs)

    def test_with_the_state_folder_deleted(self):
        oracle, outputs = self.run_under_kills("wiped", KILLS if LONG else KILLS // 2, delete_state=True)
        self.check(oracle, "wiped", *outputs)

    @unittest.skipUnless(LONG, "only with --long")
    def test_with_the_lake_on_s3(self):
        server = S3(self.stack.folder)
        self.addCleanup(server.stop)
        oracle, outputs = self.run_under_kills("remote", KILLS, lake=f"s3://{server.bucket}/remote",
                                               environment=self.stack.environment(**server.environment()))
        # Read as any other client of the bucket would: what a listing shows is what counts.
        server.download("remote", self.stack.folder / "lake" / "remote")
        self.check(oracle, "remote", *outputs)


if __name__ == "__main__":
    main()
