"""The client's part of what a window takes that closes: as many rows, ready as bytes, written by hand by two transactional
producers at a moment, with nothing else going on, until a read_committed consumer has them (bench/load/burst.cc)."""

import json

from bench import Result, tool
from dataset import create_outputs, delete_topics
from measure import Process
from stack import wait_for

WARM_ROUNDS, ROUNDS, EVERY_SECONDS = 3, 5, 3


class Burst:
    def add_options(self, parser):
        group = parser.add_argument_group("burst")
        group.add_argument("--rows", type=int, default=144_000,
                           help="rows at a moment; a minute of W2 has 144,000 at 10,000 records/s (default %(default)s)")
        group.add_argument("--transactions", type=int, default=1,
                           help="transactions in which each of two producers writes its share (default %(default)s)")

    def measure(self, bench):
        return [self._once(bench) for _ in range(bench.options.runs)]

    def _once(self, bench):
        options = bench.options
        bench.serial += 1
        topic = f"burst-{bench.serial:03d}"
        create_outputs(bench.stack.brokers, "", [topic])
        # The reader leaves out what comes until half a round before the first that counts.
        reader = self._tool(bench, topic, "bench_latency", "--field", "window_end",
                            "--warmup", (WARM_ROUNDS - 0.5) * EVERY_SECONDS, "--seconds", ROUNDS * EVERY_SECONDS)
        wait_for("the reader", lambda: "ready" in reader.output(), 30, reader.seen)
        writer = self._tool(bench, topic, "bench_burst", "--rows", options.rows,
                            "--transactions", options.transactions, "--rounds", WARM_ROUNDS + ROUNDS, "--every_ms", EVERY_SECONDS * 1000)
        writer.finish(120)
        reader.finish(60)
        delete_topics(bench.stack.brokers, topic)
        ages = json.loads(reader.output().splitlines()[-1])
        result = Result("by-hand", f"burst of {options.transactions}", options.rows, p50_ms=ages["p50_ms"], p99_ms=ages["p99_ms"],
                        correct=ages["records"] == options.rows * ROUNDS)
        bench.say(f"{options.rows:,} rows in {options.transactions} transactions a producer: p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms")
        return result

    @staticmethod
    def _tool(bench, topic, name, *arguments):
        process = Process(f"{topic}-{name}", [
            tool(bench.options, name), "--brokers", bench.stack.brokers, "--topic", topic, *arguments],
            bench.stack.folder / f"{topic}-{name}.log")
        bench.processes.append(process)
        return process
