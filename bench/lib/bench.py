"""The surroundings of all measurements: one broker, the systems, runs one after the other, each with fresh topics and state."""

import contextlib
import dataclasses
import os
import shutil
import sys
import time

import confluent_kafka

import topics
from dataset import create_outputs, delete_topics
from jobs import Job
from measure import Process, cpu_seconds
from stack import Failure

RUN_SECONDS = 1800


@dataclasses.dataclass
class Result:
    """One run of one system. What a measurement doesn't take stays None."""
    system: str
    workload: str
    records: int
    records_per_s: float = None
    cpu_s_per_million: float = None
    max_rss_mb: float = None
    p50_ms: float = None
    p99_ms: float = None
    correct: bool = None
    more: dict = dataclasses.field(default_factory=dict)  # what only this measurement has

    def line(self):
        fixed = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "more"}
        return {**fixed, **self.more}


def tool(options, name):
    """One of the programs of bench/ that CMake builds."""
    path = options.tools / name
    if not os.access(path, os.X_OK):
        raise Failure(f"{path} is missing: build the target bench_tools with -DTIDEMARK_BENCH=ON, or name its folder with "
                      "--tools")
    return path


class Bench:
    def __init__(self, stack, systems, options):
        self.stack, self.systems, self.options = stack, systems, options
        self.serial, self.began = 0, time.monotonic()
        self.processes, self.datasets, self.watchers = [], {}, {}

    def say(self, text):
        # Progress is for people; results are what scripts read.
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", file=sys.stderr, flush=True)

    def broker_cpu(self):
        return cpu_seconds((self.stack.folder / "kafka" / "pid").read_text().strip())

    def job(self, system, workload, dataset, **more):
        self.serial += 1
        application = f"{workload}-{system.name}-{os.getpid()}-{self.serial:03d}"
        folder = self.stack.folder / application
        folder.mkdir()
        more.setdefault("threads", self.options.threads)
        return Job(workload, application, self.stack.brokers, dataset, folder, **more)

    def start(self, system, job, name=None, **more):
        command, environment = system.command(job, **more)
        name = name or f"{job.application}-{job.worker}"
        process = Process(name, command, self.stack.folder / f"{name}.log", {**self.stack.environment(), **environment})
        self.processes.append(process)
        return process

    @contextlib.contextmanager
    def outputs(self, system, job):
        """The job's output topics while it is measured and checked; nothing of it is left behind."""
        create_outputs(self.stack.brokers, job.prefix, [*job.outputs, *system.other_topics], job.partitions)
        try:
            yield
        finally:
            if job.application in self.watchers:
                self.watchers.pop(job.application)[0].close()
            delete_topics(self.stack.brokers, job.application)
            shutil.rmtree(job.folder, ignore_errors=True)

    def drain(self, system, job, records, **more):
        """Runs to the end of the input: a Result without a verdict."""
        broker = self.broker_cpu()
        process = self.start(system, job, **more)
        usage = process.finish(RUN_SECONDS)
        return Result(system.name, job.workload, records, records_per_s=records / usage.wall_s,
                      cpu_s_per_million=usage.cpu_s / records * 1e6, max_rss_mb=usage.max_rss_mb,
                      more={"wall_s": usage.wall_s, "cpu_s": usage.cpu_s, "broker_cpu_s": self.broker_cpu() - broker,
                            "load": os.getloadavg()[0]})

    def check(self, system, job, dataset, result, live=False):
        """Puts the verdict on the output of `job` into the result, and says what is wrong with it. `live`: the system was
        stopped, not run to the end, so that its last windows are open."""
        if not self.options.check:
            return
        differences = dataset.expect(self.stack.brokers).differences(job.prefix, job.outputs, live or system.open_windows)
        result.correct = not differences
        for difference in differences:
            self.say(f"WRONG {job.application}: {difference}")

    def positions(self, job):
        """{partition: committed offset} of the job's group in the detections; cheap enough to be asked for all the time."""
        if job.application not in self.watchers:
            asked = [confluent_kafka.TopicPartition(job.dataset.detections, partition)
                     for partition in range(topics.partitions(self.stack.brokers, job.dataset.detections))]
            self.watchers[job.application] = topics.consumer(self.stack.brokers, **{"group.id": job.application}), asked
        reader, asked = self.watchers[job.application]
        return {p.partition: p.offset for p in topics.patiently(lambda: reader.committed(asked, 20)) if p.offset >= 0}

    def processed(self, job):
        return sum(self.positions(job).values())

    def close(self):
        for process in self.processes:
            with contextlib.suppress(OSError):
                process.kill()
