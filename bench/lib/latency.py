"""Latency under a steady load: from the wall clock at which a record is written (its event time and timestamp) to a
read_committed consumer having its result.

The load and the reader are small programs of their own (bench/load), the same for every system. What W2 is measured by is
how long after a minute is over, grace and out-of-orderness included, its rows are there. Its first two minutes aren't
counted: a worker that has just started closes them with memory that it touches for the first time.
"""

import json
import time

from backlog import filled
from bench import Result, tool
from dataset import Dataset
from measure import Process
from stack import Failure, wait_for

START_SECONDS = 120
WARM_RECORDS, WARM_SECONDS = 2_000_000, 30
WARM_WINDOWS = 2
WINDOW_SECONDS = 60


class Latency:
    def add_options(self, parser):
        group = parser.add_argument_group("latency")
        group.add_argument("--latency_workload", choices=["w1", "w2"], default="w1", help="what runs (default %(default)s)")
        group.add_argument("--rate", type=float, default=10_000, help="records a second (default %(default)s)")
        group.add_argument("--warmup", type=float, default=15, help="seconds not measured (default %(default)s)")
        group.add_argument("--seconds", type=float, default=60, help="seconds measured (default %(default)s)")
        group.add_argument("--commit_interval", type=int, default=10, metavar="MS",
                           help="of Tidemark and Kafka Streams; Flink's checkpoints come every 100 ms (default %(default)s)")

    def measure(self, bench):
        workload = bench.options.latency_workload
        if workload == "w2" and bench.options.seconds < WINDOW_SECONDS:
            raise Failure(f"rows of W2 come once a minute: --seconds must be at least {WINDOW_SECONDS}")
        self._warm(bench)
        systems = [system for system in bench.systems if workload in system.workloads and system.name != "by-hand"]
        return [self.once(bench, system, workload, bench.options.seconds)
                for _ in range(bench.options.runs) for system in systems]

    def _warm(self, bench):
        """A broker that has just started needs twice the time for a request: it gets a backlog, and a run under load, that
        aren't counted."""
        if bench.serial > 0:
            return
        dataset = filled(bench, "warmup", min(bench.options.records, WARM_RECORDS))
        job = bench.job(bench.systems[0], "w1", dataset)
        with bench.outputs(bench.systems[0], job):
            bench.drain(bench.systems[0], job, dataset.records)
        bench.say("not counted, for the broker to have seen such a load:")
        self.once(bench, bench.systems[0], "w1", min(bench.options.seconds, WARM_SECONDS))

    @staticmethod
    def _lead(options, workload):
        """Seconds of load before the measured ones."""
        return options.warmup + (WARM_WINDOWS * WINDOW_SECONDS if workload == "w2" else 0)

    def once(self, bench, system, workload, seconds):
        options = bench.options
        dataset = Dataset(f"live{bench.serial}", int(options.rate * (self._lead(options, workload) + seconds)))
        bench.stack.generate(0, topic=dataset.detections, table_topic=dataset.locations)
        job = bench.job(system, workload, dataset, commit_ms=options.commit_interval, until_end=False)
        with bench.outputs(system, job):
            result = self._run(bench, system, job, dataset, seconds)
            bench.check(system, job, dataset, result, live=True)
        bench.say(f"{result.workload} {system.name}: p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms, "
                  f"{result.more['cpu_us_per_record']:.1f} CPU us a record, correct: {result.correct}")
        return result

    def _run(self, bench, system, job, dataset, seconds):
        options, lead = bench.options, self._lead(bench.options, job.workload)
        load_binary = tool(options, "bench_load")
        worker = bench.start(system, job)
        wait_for(f"{system.name} to run", lambda: not worker.look() or system.started(worker, job), START_SECONDS, worker.seen)
        if worker.code is not None:
            raise Failure(f"{system.name} ended with {worker.code}\n{worker.seen()}")
        reader = self._reader(bench, system, job, seconds)
        wait_for("the reader", lambda: "ready" in reader.output(), 30, reader.seen)
        load = Process(f"{job.application}-load", [
            load_binary, "--brokers", job.brokers, "--topic", dataset.detections, "--rate", options.rate,
            "--seconds", lead + seconds + 1], bench.stack.folder / f"{job.application}-load.log")
        bench.processes += [reader, load]
        # The warm-up fills caches and, in a JVM, compiles; then what the worker spends is counted.
        self._sleep(worker, lead)
        cpu, broker = worker.cpu_now(), bench.broker_cpu()
        self._sleep(worker, seconds)
        cpu, broker = worker.cpu_now() - cpu, bench.broker_cpu() - broker
        measured = options.rate * seconds
        load.finish(60)
        reader.finish(60 + (WINDOW_SECONDS + 15 if job.workload == "w2" else 0))
        wait_for("the last records", lambda: bench.processed(job) >= self._written(load), 60, worker.seen)
        worker.stop()
        ages = json.loads(reader.output().splitlines()[-1])
        return Result(system.name, f"{job.workload}-latency", int(measured), max_rss_mb=worker.usage.max_rss_mb,
                      p50_ms=ages["p50_ms"], p99_ms=ages["p99_ms"],
                      more={"p999_ms": ages["p999_ms"], "rows": ages["records"], "cpu_us_per_record": cpu / measured * 1e6,
                            "commit_ms": system.commit_ms(job),
                            "broker_cpu_us_per_record": broker / measured * 1e6,
                            "load_behind_ms": self._report(load)["worst_behind_ms"]})

    @staticmethod
    def _reader(bench, system, job, seconds):
        options = bench.options
        what = ["--topic", f"{job.prefix}enriched", "--field", "timestamp_detected"]
        warmup = options.warmup
        if job.workload == "w2":
            # Windows close once a minute; the first rows are of the first one. The load's records are in order, so time
            # passes a window as late as the system's allowances say and no later.
            what = ["--topic", f"{job.prefix}item_counts", "--field", "window_end", "--offset_ms", system.allowance_ms]
            warmup = (WARM_WINDOWS - 0.5) * WINDOW_SECONDS
        return Process(f"{job.application}-reader", [
            tool(options, "bench_latency"), "--brokers", job.brokers, *what, "--warmup", warmup, "--seconds", seconds],
            bench.stack.folder / f"{job.application}-reader.log")

    @staticmethod
    def _sleep(worker, seconds):
        """Lets time pass while the worker lives."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))
            if not worker.look():
                raise Failure(f"{worker.name} ended with {worker.code} under load\n{worker.seen()}")

    @staticmethod
    def _report(load):
        return json.loads(load.output().splitlines()[-1])

    def _written(self, load):
        return self._report(load)["records"]
