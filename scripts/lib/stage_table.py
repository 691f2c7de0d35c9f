#!/usr/bin/env python3
"""Passes ctest's output through and, ahead of its closing summary, adds a table of what each stage took.

    ctest ... | stage_table.py NAME=SECONDS...

NAME=SECONDS are seconds spent on a stage before ctest began (building its tests). A stage's time runs from the start of
its first test to the end of its last; ctest starts the stages one after the other (by COST).
"""

import re
import sys
import time

# stage -> budget in seconds (None: no promise)
BUDGETS = {"set-up and build": 900, "unit": 600, "simulation": 300, "e2e": 600, "chaos": 300, "bench-smoke": 60,
           "tsan": None}

# Which stage a test belongs to, by its name; the first match counts.
STAGES = [("tsan.", "tsan"), ("unit_sim.", "simulation"), ("sim.", "simulation"), ("unit_", "unit"), ("e2e.", "e2e"),
          ("chaos.", "chaos"), ("bench.", "bench-smoke")]

STARTED = re.compile(r"^\s+Start\s+\d+: (\S+)")
ENDED = re.compile(r"^\s*\d+/\d+ Test\s+#\d+: (\S+)")
CLOSING = re.compile(r"^\d+% tests passed")


def stage_of(test):
    return next((stage for prefix, stage in STAGES if test.startswith(prefix)), "other")


def table(spent, first, last, tests):
    yield f"{'stage':<18}{'tests':>7}{'elapsed':>10}{'budget':>10}"
    for stage in [*BUDGETS, *sorted((set(spent) | set(last)) - set(BUDGETS))]:
        if stage not in spent and stage not in last:
            continue
        elapsed = spent.get(stage, 0) + (last[stage] - first[stage] if stage in last else 0)
        budget = BUDGETS.get(stage)
        over = "  OVER" if budget and elapsed > budget else ""
        yield (f"{stage:<18}{tests.get(stage) or '-':>7}{elapsed:>8.0f} s"
               f"{f'{budget} s' if budget else '-':>10}{over}")


def main():
    spent = {name: float(seconds) for name, seconds in (arg.rsplit("=", 1) for arg in sys.argv[1:])}
    first, last, tests = {}, {}, {}
    closing = False
    for line in sys.stdin:
        started, ended = STARTED.match(line), ENDED.match(line)
        if started:
            first.setdefault(stage_of(started[1]), time.monotonic())
        elif ended:
            stage = stage_of(ended[1])
            last[stage] = time.monotonic()
            first.setdefault(stage, last[stage])
            tests[stage] = tests.get(stage, 0) + 1
        elif CLOSING.match(line) and not closing:
            closing = True
            print(*table(spent, first, last, tests), sep="\n", end="\n\n")
        print(line, end="", flush=True)


if __name__ == "__main__":
    main()
