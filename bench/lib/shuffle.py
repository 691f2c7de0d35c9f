"""W3, ShuffleBench by its published parameters (a million rules that a record meets 0.2 of on average, evenly; records of 1,024
bytes; 32 bytes kept a consumer, an event for every tenth record of it): a record mostly meets no rule, else goes through a
shuffle to the consumers of those that it meets. The operators are a user's own: bench/shuffle here, Shuffle.java in Kafka
Streams. Python says from the raw records how many events each consumer must have had."""

import bisect
import collections
import random
import struct

import topics
from bench import tool
from dataset import Dataset
from jobs import Tidemark

RULES, SELECTIVITY, EVERY = 1_000_000, 0.2, 10
RECORD_BYTES = 1024
POSITIONS, WORD = 2**63 - 1, 2**64 - 1  # and with them: modulo 2^63 and 2^64


def split_mix(number):
    """SplitMix64 of an unsigned 64-bit number."""
    z = number + 0x9E3779B97F4A7C15 & WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31


class Records(Dataset):
    """Random bytes in the topic that a Dataset calls its detections."""

    def fill(self, stack):
        topics.create(stack.brokers, **{self.detections: 4})
        self.matches = collections.Counter()
        topics.produce(stack.brokers, self.detections, self._records(Rules()))

    def _records(self, rules):
        lot = random.Random(1)
        for number in range(self.records):
            record = lot.randbytes(RECORD_BYTES)
            self.matches.update(rules.met(struct.unpack_from(">Q", record)[0] & POSITIONS))
            yield {"value": record, "partition": number % 4}

    @property
    def events(self):
        """How many each consumer must have had: {consumer: events}. Its first count doesn't begin with 0."""
        events = {consumer: (split_mix(~consumer & WORD) % EVERY + n) // EVERY for consumer, n in self.matches.items()}
        return {consumer: n for consumer, n in events.items() if n}


class Rules:
    """A rule takes the positions less than `width` behind the place where it begins, going round."""

    def __init__(self):
        self.width = int(SELECTIVITY / RULES * 2.0**63)
        self.sorted = sorted((split_mix(number) & POSITIONS, number) for number in range(RULES))

    def met(self, position):
        low = position - self.width + 1
        parts = [(low, position)] if low >= 0 else [(low + POSITIONS + 1, POSITIONS), (0, position)]
        for first, last in parts:
            for i in range(bisect.bisect_left(self.sorted, (first, 0)), len(self.sorted)):
                if self.sorted[i][0] > last:
                    break
                yield self.sorted[i][1]


class ShuffleTidemark(Tidemark):
    """The program with the two operators, on w3.yaml."""
    source = "records"

    def key(self, key):
        return int(key)


class Shuffle:
    def add_options(self, parser):
        pass

    def measure(self, bench):
        systems = []
        for system in bench.systems:
            if system.name == "tidemark":
                system = ShuffleTidemark(tool(bench.options, "bench_shuffle"))
            if "w3" in system.workloads:
                systems.append(system)
        records = Records("shuffle", bench.options.records)
        records.fill(bench.stack)
        bench.say(f"{records.records:,} records in {records.detections}, {sum(records.events.values()):,} events of them")
        return [self._run(bench, system, records) for _ in range(bench.options.runs) for system in systems]

    def _run(self, bench, system, records):
        job = bench.job(system, "w3", records)
        with bench.outputs(system, job):
            result = bench.drain(system, job, records.records)
            if bench.options.check:
                keys = topics.read(bench.stack.brokers, f"{job.prefix}events")["key"].to_pylist()
                found = collections.Counter(system.key(key) for key in keys)
                result.correct = found == records.events
        bench.say(f"w3 {system.name}: {result.records_per_s:,.0f} records/s, {result.cpu_s_per_million:.2f} CPU s/M, "
                  f"{result.max_rss_mb:,.0f} MB, correct: {result.correct}")
        return result
