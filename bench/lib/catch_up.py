"""Catching up: a backlog of ten minutes at the load's rate, drained while the load goes on. How long until the backlog is
processed, and until nothing is left but what came within the last second."""

import json
import time

import topics
from bench import Result, tool
from dataset import Dataset
from measure import Process
from stack import Failure, wait_for

MINUTES = 10
DEADLINE_SECONDS = 1_200


class CatchUp:
    def add_options(self, parser):
        group = parser.add_argument_group("catch_up")
        group.add_argument("--minutes", type=float, default=MINUTES, help="minutes of backlog (default %(default)s)")

    def measure(self, bench):
        return [self._run(bench, system) for _ in range(bench.options.runs) for system in bench.systems
                if "w1" in system.workloads and system.name != "by-hand"]

    def _run(self, bench, system):
        options = bench.options
        backlog = int(options.minutes * 60 * options.rate)
        dataset = Dataset(f"backlog{bench.serial}", backlog, {"events_per_second": options.rate})
        dataset.fill(bench.stack)
        ends = topics.ends(bench.stack.brokers, dataset.detections)
        job = bench.job(system, "w1", dataset, until_end=False)
        with bench.outputs(system, job):
            load = Process(f"{job.application}-load", [
                tool(options, "bench_load"), "--brokers", job.brokers, "--topic", dataset.detections, "--rate", options.rate,
                "--seconds", DEADLINE_SECONDS, "--first_oid", 10 * backlog], bench.stack.folder / f"{job.application}-load.log")
            bench.processes.append(load)
            worker = bench.start(system, job)
            drained = level = None
            while level is None:
                if not worker.look() or not load.look():
                    raise Failure(f"{worker.name} or its load ended\n{worker.seen()}\n{load.seen()}")
                positions, now = bench.positions(job), time.monotonic() - worker.began
                done = sum(positions.values())
                if drained is None and all(positions.get(p, 0) >= end for p, end in ends.items()):
                    drained = now
                if drained is not None and done >= backlog + options.rate * (now - 1):
                    level = now
                if now > DEADLINE_SECONDS - 10:
                    raise Failure(f"not level after {now:.0f} s\n{worker.seen()}")
                time.sleep(0.1)
            cpu, done = worker.cpu_now(), bench.processed(job)
            load.stop()
            written = json.loads(load.output().splitlines()[-1])["records"]
            wait_for("the last records", lambda: bench.processed(job) >= backlog + written, 60, worker.seen)
            worker.stop()
            result = Result(system.name, "w1-catch-up", backlog, records_per_s=done / level, cpu_s_per_million=cpu / done * 1e6,
                            max_rss_mb=worker.usage.max_rss_mb, more={"drained_s": drained, "level_s": level})
            bench.check(system, job, dataset, result, live=True)
        bench.say(f"{result.workload} {system.name}: {backlog:,} records drained after {drained:.1f} s, level after "
                  f"{level:.1f} s, correct: {result.correct}")
        return result
