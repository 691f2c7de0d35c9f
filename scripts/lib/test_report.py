#!/usr/bin/env python3
"""Passes ctest's output through and, ahead of its closing summary, says where the time went: what each stage took, and
the ten slowest tests and files.

    ctest ... | test_report.py --began SECONDS [--built NAME=SECONDS]... [--ninja_log FILE]...

SECONDS of --began are those since the whole began. Stages of tests run side by side, so a stage's time is the sum of its
tests'. The ten slowest files are those that were compiled in this run.
"""

import argparse
import pathlib
import re
import sys
import time

# Which stage a test belongs to, by its name; the first match counts.
STAGES = [("tsan.", "tsan"), ("unit_sim.", "simulation"), ("sim.", "simulation"), ("unit_", "unit"), ("e2e.", "e2e"),
          ("chaos.", "chaos"), ("bench.", "bench-smoke")]
# The whole, from a clean clone on two cores, in seconds.
BUDGET = 1500
SLOWEST = 10

ENDED = re.compile(r"^\s*\d+/\d+ Test\s+#\d+: (\S+) .*?([\d.]+) sec")
CLOSING = re.compile(r"^\d+% tests passed")


def stage_of(test):
    return next((stage for prefix, stage in STAGES if test.startswith(prefix)), "other")


def compiled(logs, since):
    """(seconds, file) of every object that these ninja logs say was made after `since`, a time.time()."""
    for log in map(pathlib.Path, logs):
        for line in log.read_text().splitlines()[1:]:
            begin, end, mtime, output = line.split("\t")[:4]
            # mtime is in nanoseconds since the epoch.
            if output.endswith(".o") and int(mtime) / 1e9 >= since:
                source = re.sub(r"^.*?\.dir/", "", output).removesuffix(".o")
                yield (int(end) - int(begin)) / 1000, f"{source} ({log.parent.name})"


def report(args, tests, whole):
    yield f"{'stage':<18}{'tests':>7}{'seconds':>10}"
    for name, seconds in args.built:
        yield f"{name:<18}{'-':>7}{seconds:>10.0f}"
    for stage in dict.fromkeys(stage for _, stage in STAGES):
        of_stage = [seconds for test, seconds in tests if stage_of(test) == stage]
        if of_stage:
            yield f"{stage:<18}{len(of_stage):>7}{sum(of_stage):>10.0f}"
    yield f"{'from the start':<18}{len(tests):>7}{whole:>10.0f} of {BUDGET}{'  OVER' if whole > BUDGET else ''}"
    for title, slow in (("tests", [(seconds, test) for test, seconds in tests]),
                        ("files to compile", compiled(args.ninja_log, time.time() - whole))):
        slow = sorted(slow, reverse=True)[:SLOWEST]
        if slow:
            yield f"\nslowest {title}:"
            yield from (f"{seconds:>8.1f} s  {name}" for seconds, name in slow)


def named_seconds(text):
    name, _, seconds = text.rpartition("=")
    return name, float(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--began", type=float, default=0)
    parser.add_argument("--built", type=named_seconds, action="append", default=[])
    parser.add_argument("--ninja_log", action="append", default=[])
    args = parser.parse_args()
    start = time.monotonic() - args.began
    tests, closing = [], False
    for line in sys.stdin:
        ended = ENDED.match(line)
        if ended:
            tests.append((ended[1], float(ended[2])))
        elif CLOSING.match(line) and not closing:
            closing = True
            print(*report(args, tests, time.monotonic() - start), sep="\n", end="\n\n")
        print(line, end="", flush=True)


if __name__ == "__main__":
    main()
