"""Restore: SIGKILL in the middle of a backlog, the local state deleted, the worker started again. How long until it commits
new output, until every task runs, and whether the whole output is right in the end."""

import shutil
import time

from backlog import uniform
from bench import RUN_SECONDS, Result
from stack import Failure, wait_for

KILL_AT = 0.6  # of the records


class Restore:
    def add_options(self, parser):
        pass

    def measure(self, bench):
        dataset = uniform(bench)
        return [self._run(bench, system, dataset) for _ in range(bench.options.runs) for system in bench.systems
                if "w1" in system.workloads and system.name != "by-hand"]

    def _run(self, bench, system, dataset):
        job = bench.job(system, "w1", dataset)
        with bench.outputs(system, job):
            first = bench.start(system, job)
            wait_for("most of the backlog", lambda: self._alive(first) and bench.processed(job) >= KILL_AT * dataset.records,
                     RUN_SECONDS, first.seen)
            first.kill()
            before = bench.processed(job)
            shutil.rmtree(job.folder / "state")
            began = time.monotonic()
            second = bench.start(system, job, name=f"{job.application}-again")
            running = committed = None
            while committed is None or running is None:
                self._alive(second)
                if running is None and system.started(second, job):
                    running = time.monotonic() - began
                if committed is None and bench.processed(job) > before:
                    committed = time.monotonic() - began
                time.sleep(0.05)
            second.finish(RUN_SECONDS)
            result = Result(system.name, "w1-restore", dataset.records, max_rss_mb=second.usage.max_rss_mb,
                            more={"killed_at": before, "first_commit_s": committed, "running_s": running,
                                  "cpu_s": second.usage.cpu_s})
            bench.check(system, job, dataset, result)
        bench.say(f"{result.workload} {system.name}: first commit after {committed:.1f} s, running after {running:.1f} s "
                  f"(killed at {before:,} records), correct: {result.correct}")
        return result

    @staticmethod
    def _alive(process):
        if not process.look():
            raise Failure(f"{process.name} ended with {process.code} too early\n{process.seen()}")
        return True
