"""The limit to compare with: what reading, writing exactly once, parsing, dropping repeats and joining cost by hand
(bench/peers/native), each step with those before it."""

from backlog import uniform
from bench import tool
from peers import ByHand

STEPS = ("consume", "pass", "parse", "dedup", "join")


class Ladder:
    def add_options(self, parser):
        pass

    def measure(self, bench):
        dataset, system = uniform(bench), ByHand(tool(bench.options, "bench_by_hand"))
        results = []
        for _ in range(bench.options.runs):
            for step in STEPS:
                job = bench.job(system, "w1", dataset)
                with bench.outputs(system, job):
                    result = bench.drain(system, job, dataset.records, step=step)
                    if step == STEPS[-1]:
                        bench.check(system, job, dataset, result)
                result.workload = f"by hand: {step}"
                bench.say(f"{result.workload}: {result.records_per_s:,.0f} records/s, {result.cpu_s_per_million:.2f} CPU s/M")
                results.append(result)
        return results
