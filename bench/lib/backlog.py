"""Throughput: a backlog in the topic, each system runs to its end, the systems taking turns."""

from dataset import Dataset


def uniform(bench):
    """The dataset of WORKLOAD's shape, made once for all measurements that read it."""
    return filled(bench, "uniform")


def filled(bench, name, records=None, **options):
    if name not in bench.datasets:
        dataset = Dataset(name, records or bench.options.records, options)
        dataset.fill(bench.stack)
        bench.say(f"{dataset.records:,} records in {dataset.detections}")
        bench.datasets[name] = dataset
    return bench.datasets[name]


def drain(bench, system, workload, dataset, label=None, **more):
    """One run of one system: drained, checked, cleared away."""
    job = bench.job(system, workload, dataset, **more)
    with bench.outputs(system, job):
        result = bench.drain(system, job, dataset.records)
        bench.check(system, job, dataset, result)
    if label:
        result.workload = label
    bench.say(f"{result.workload} {system.name}: {result.records_per_s:,.0f} records/s, "
              f"{result.cpu_s_per_million:.2f} CPU s/M, {result.max_rss_mb:,.0f} MB, correct: {result.correct}")
    return result


class Backlog:
    def __init__(self, workload):
        self.workload = workload

    def add_options(self, parser):
        pass

    def measure(self, bench):
        dataset = uniform(bench)
        return [drain(bench, system, self.workload, dataset) for _ in range(bench.options.runs) for system in bench.systems
                if self.workload in system.workloads]
