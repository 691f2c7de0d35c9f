"""One run of one system on one workload: what it is asked to do, and how each system is asked."""

import dataclasses
import os
import pathlib
import urllib.request

import yaml

from dataset import Dataset
from stack import ROOT, Failure

BENCH = ROOT / "bench"
OUTPUTS = {"w1": ["enriched"], "w2": ["item_counts", "top_items"], "w1w2": ["enriched", "item_counts", "top_items"],
           "sinks": ["copy"], "w3": ["events"]}


@dataclasses.dataclass
class Job:
    workload: str
    application: str       # also the prefix of all its topics
    brokers: str
    dataset: Dataset
    folder: pathlib.Path   # for its state and files; its own
    threads: int = 2
    commit_ms: int = 100
    partitions: int = 4
    memory: str = "2GiB"
    until_end: bool = True  # else it runs until it is stopped
    worker: str = "worker"
    sinks: dict = None      # {name: what it has instead of the file's fields}; None: all that the file has

    @property
    def prefix(self):
        return f"{self.application}-"

    @property
    def outputs(self):
        return OUTPUTS.get(self.workload, ["output"])


def merged(fields, over):
    return {**fields, **{name: {**fields[name], **value} if isinstance(value, dict) else value for name, value in over.items()}}


class Tidemark:
    name = "tidemark"
    workloads = tuple(OUTPUTS)
    other_topics = ()     # beside the outputs
    open_windows = False  # --close_windows
    source = "detections"
    allowance_ms = 7_000  # after the end of a window its rows may be written: grace and out-of-orderness

    def __init__(self, binary):
        self.binary = binary

    def build(self):
        if not os.access(self.binary, os.X_OK):
            raise Failure(f"{self.binary} is no program; build it with scripts/setup, or name another with --binary")

    def command(self, job):
        config = job.folder / f"{job.application}.yaml"
        config.write_text(yaml.safe_dump(self.topology(job), sort_keys=False))
        command = [self.binary, "run", "--config", config, "--state_dir", job.folder / "state" / job.worker,
                   "--instance_id", job.worker, "--threads", job.threads, "--http_address", "127.0.0.1:0"]
        if job.until_end:
            command += ["--until_end", "--close_windows"]
        return command, {}

    def commit_ms(self, job):
        return job.commit_ms

    def topology(self, job):
        """The shipped file of the workload under the job's names."""
        # All scalars stay text: to PyYAML's other loaders `on` is a boolean.
        topology = yaml.load((BENCH / "topologies" / f"{job.workload}.yaml").read_text(), Loader=yaml.BaseLoader)
        topology.update(name=job.application, commit_interval=f"{job.commit_ms}ms", memory=job.memory)
        topology["kafka"]["brokers"] = job.brokers
        topology["sources"][self.source]["topic"] = job.dataset.detections
        if "tables" in topology:
            topology["tables"]["locations"]["topic"] = job.dataset.locations
        if job.sinks is not None:
            topology["sinks"] = {name: merged(topology["sinks"][name], ours) for name, ours in job.sinks.items()}
        else:
            for sink in topology["sinks"].values():
                sink["topic"] = job.prefix + sink["topic"]
        return topology

    def started(self, process, job):
        """Whether a process that isn't to end by itself has its partitions and its state."""
        try:
            address = (job.folder / "state" / job.worker / "http_address").read_text().strip()
            with urllib.request.urlopen(f"http://{address}/readyz", timeout=2):
                return True
        except OSError:
            return False
