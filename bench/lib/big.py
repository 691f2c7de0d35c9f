"""Big state: W1 with more live ids than its memory budget holds, repeats drawn from all of them however old. What the last ten
million records cost, what the worker holds in memory, and what it reads from disk."""

import json
import subprocess
import time

import topics
from bench import RUN_SECONDS, Result, tool
from dataset import Dataset
from stack import Failure

LAST = 10_000_000  # records, or a tenth of all where there are fewer


class Big:
    def add_options(self, parser):
        group = parser.add_argument_group("big")
        group.add_argument("--ids", type=int, default=100_000_000, help="live ids (default %(default)s)")
        group.add_argument("--memory", default="512MiB", help="the worker's budget (default %(default)s)")

    def measure(self, bench):
        return [self._run(bench, system) for system in bench.systems if system.name == "tidemark"]

    def _tool(self, bench, *flags):
        command = [tool(bench.options, "bench_wide_ids"), "--brokers", bench.stack.brokers, "--ids", bench.options.ids, *flags]
        return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _fill(self, bench):
        dataset = Dataset("big", 0)
        bench.stack.generate(0, topic=dataset.detections, table_topic=dataset.locations)
        written = self._tool(bench, "--topic", dataset.detections)
        if written.returncode != 0:
            raise Failure(f"filling {dataset.detections}: {written.stderr}")
        dataset.records = sum(topics.ends(bench.stack.brokers, dataset.detections).values())
        bench.say(f"{dataset.records:,} records of {bench.options.ids:,} ids in {dataset.detections}")
        return dataset

    def _run(self, bench, system):
        dataset = self._fill(bench)
        last = min(LAST, dataset.records // 10)
        job = bench.job(system, "w1", dataset, memory=bench.options.memory)
        with bench.outputs(system, job):
            worker = bench.start(system, job)
            # Two of these are needed: where the last part begins, and the end.
            mark = None
            while worker.look():
                if mark is None and (done := bench.processed(job)) >= dataset.records - last:
                    mark = (done, worker.cpu_now(), time.monotonic(), worker.usage.disk_read_mb)
                time.sleep(0.2)
            usage = worker.finish(RUN_SECONDS)
            done, cpu, at, read = mark
            left = dataset.records - done
            result = Result(system.name, "w1-big", dataset.records, records_per_s=dataset.records / usage.wall_s,
                            cpu_s_per_million=usage.cpu_s / dataset.records * 1e6, max_rss_mb=usage.max_rss_mb,
                            more={"ids": bench.options.ids, "last_records": left,
                                  "last_cpu_s_per_million": (usage.cpu_s - cpu) / left * 1e6,
                                  "last_records_per_s": left / (worker.began + usage.wall_s - at),
                                  "disk_read_mb": usage.disk_read_mb, "last_disk_read_mb": usage.disk_read_mb - read})
            if bench.options.check:
                checked = self._tool(bench, "--check", "--topic", f"{job.prefix}enriched")
                result.correct = checked.returncode == 0
                bench.say(f"check: {json.loads(checked.stdout) if checked.stdout else checked.stderr}")
        bench.say(f"{result.workload}: {result.cpu_s_per_million:.2f} CPU s/M, over the last {left:,} "
                  f"{result.more['last_cpu_s_per_million']:.2f}; {usage.max_rss_mb:,.0f} MB, {usage.disk_read_mb:,.0f} MB read")
        return result
