"""What scripts/bench does once everything is built."""

import argparse
import os
import pathlib
import signal
import sys

from backlog import Backlog
from bench import Bench, tool
from big import Big
from burst import Burst
from catch_up import CatchUp
from files import Files
from formats import Formats
from jobs import Tidemark
from ladder import Ladder
from latency import Latency
from nexmark import Nexmark
from peers import ByHand, Flink, KafkaStreams
from report import print_json, print_table, summary
from restore import Restore
from scale import Scale
from shuffle import Shuffle
from sinks import Sinks
from skew import Skew
from stack import BINARY, Stack
from tables import Tables
from view_load import Views

# In the order in which `all` takes them.
MEASUREMENTS = {"w1": Backlog("w1"), "w2": Backlog("w2"), "w1w2": Backlog("w1w2"), "latency": Latency(),
                "catch_up": CatchUp(), "formats": Formats(), "skew": Skew(), "restore": Restore(), "sinks": Sinks(),
                "scale": Scale(), "ladder": Ladder(), "burst": Burst(), "views": Views(), "w3": Shuffle(), "nexmark": Nexmark(),
                "tables": Tables(), "files": Files(), "big": Big()}
# What `all` leaves out takes long or much room, compares Tidemark with itself, or measures other things than records.
USUAL = [name for name in MEASUREMENTS if name not in ("big", "files", "formats", "views", "w3")]


def parse():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures Tidemark, and other systems beside it.")
    parser.add_argument("what", nargs="*", metavar="what", help=f"{', '.join(MEASUREMENTS)}; default: {', '.join(USUAL)}")
    parser.add_argument("--records", type=int, default=5_000_000, help="records of a backlog (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each system; medians are shown (default %(default)s)")
    parser.add_argument("--peer", action="append", choices=["kafka-streams", "flink", "by-hand", "none"],
                        help="measure this beside Tidemark; may be repeated (default none)")
    parser.add_argument("--threads", type=int, default=2, help="stream threads (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table: each run, then the medians")
    parser.add_argument("--no_check", dest="check", action="store_false", help="don't compare the output with the oracle")
    parser.add_argument("--no_tidemark", dest="tidemark", action="store_false", help="measure the peers alone")
    parser.add_argument("--tools", help="folder of bench_latency, bench_load and bench_by_hand (default: beside the binary)")
    parser.add_argument("--keep", action="store_true", help="leave the logs and the broker's data")
    for measurement in MEASUREMENTS.values():
        measurement.add_options(parser)
    options = parser.parse_args()
    options.what = USUAL if options.what in ([], ["all"]) else options.what
    for name in options.what:
        if name not in MEASUREMENTS:
            parser.error(f"no measurement '{name}': expected {', '.join(MEASUREMENTS)} or all")
    options.tools = pathlib.Path(options.tools or pathlib.Path(BINARY).parent)
    options.peer = [peer for peer in options.peer or [] if peer != "none"]
    return options


def systems_of(options):
    peers = {"kafka-streams": KafkaStreams, "flink": Flink, "by-hand": lambda: ByHand(tool(options, "bench_by_hand"))}
    return [*([Tidemark(BINARY)] if options.tidemark else []), *(peers[name]() for name in options.peer)]


def run(options):
    systems = systems_of(options)
    for system in systems:
        system.build()
    results = []
    with Stack(keep=options.keep) as stack:
        bench = Bench(stack, systems, options)
        try:
            stack.start_kafka()
            bench.say(f"Kafka broker at {stack.brokers}, everything in {stack.folder}")
            for name in options.what:
                results += MEASUREMENTS[name].measure(bench)
        finally:
            bench.close()
    return results


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = run(options)
    medians = summary(results)
    if options.json:
        print_json([result.line() for result in results] + medians)
    else:
        print_table(medians)
    # A fast wrong answer is a failure.
    if any(result.correct is False for result in results):
        sys.exit("some output is wrong, see above")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
