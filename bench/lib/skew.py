"""Skew: W2 where half of all records fall to one location, beside W2 on the usual data, the two taking turns."""

from backlog import drain, filled, uniform


class Skew:
    def add_options(self, parser):
        pass

    def measure(self, bench):
        even, hot = uniform(bench), filled(bench, "hot", hot_location=0.5)
        results = []
        for _ in range(bench.options.runs):
            for system in bench.systems:
                if "w2" not in system.workloads:
                    continue
                base = drain(bench, system, "w2", even, label="w2-even")
                result = drain(bench, system, "w2", hot, label="w2-hot")
                result.more["rate_of_even"] = result.records_per_s / base.records_per_s
                result.more["cpu_of_even"] = result.cpu_s_per_million / base.cpu_s_per_million
                results += [base, result]
        return results
