"""Scale: W1 on 16 partitions with one and two stream threads, and with one to four workers of one thread each. On a
machine of few cores the rate can't grow; what more threads and workers cost shows in the CPU a record, which should stay."""

import time

from backlog import filled
from bench import RUN_SECONDS, Result
from measure import finish_all

PARTITIONS = 16
LAYOUTS = {"1 thread": (1, 1), "2 threads": (1, 2), "2 workers": (2, 1), "4 workers": (4, 1)}  # workers, threads of each


class Scale:
    def add_options(self, parser):
        pass

    def measure(self, bench):
        dataset = filled(bench, "wide", partitions=PARTITIONS)
        return [self._run(bench, system, dataset, label, *layout) for _ in range(bench.options.runs)
                for system in bench.systems if system.name == "tidemark" for label, layout in LAYOUTS.items()]

    def _run(self, bench, system, dataset, label, workers, threads):
        job = bench.job(system, "w1", dataset, partitions=PARTITIONS, threads=threads)
        with bench.outputs(system, job):
            began, broker = time.monotonic(), bench.broker_cpu()
            running = []
            for number in range(workers):
                job.worker = f"worker-{number}"
                running.append(bench.start(system, job))
            used = finish_all(running, RUN_SECONDS)
            wall = time.monotonic() - began
            cpu = sum(usage.cpu_s for usage in used)
            result = Result(system.name, f"w1 {label}", dataset.records, records_per_s=dataset.records / wall,
                            cpu_s_per_million=cpu / dataset.records * 1e6, max_rss_mb=sum(u.max_rss_mb for u in used),
                            more={"wall_s": wall, "broker_cpu_s": bench.broker_cpu() - broker})
            bench.check(system, job, dataset, result)
        bench.say(f"{result.workload}: {result.records_per_s:,.0f} records/s, {result.cpu_s_per_million:.2f} CPU s/M, "
                  f"correct: {result.correct}")
        return result
