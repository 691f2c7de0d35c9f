"""Random topologies under random faults, compared with DuckDB's SQL.

    main.py --simulate BINARY [--random N] [--random_long N] [--seed FIRST] [--with OPERATOR] [--mutation NAME] [--no-shrink]
            [--print]

Exit 1 where one differs: it is made as small as possible, and printed with its topology and its records. With --mutation a
deliberate defect is switched on, and exit 0 means that one differs: the first that does ends the search. With --with only
topologies count that have such a step.
"""

import argparse
import itertools
import os
import sys
import time

import simulator
from check import check
from grammar import Generator
from shrink import shrink
from topology import yaml


def show(case, lines):
    print("\n".join(lines))
    print(f"\nfaults: {', '.join(case.faults) or 'none'}; workers: {case.workers}\n")
    print(yaml(case))
    for table in case.tables:
        print(f"{table.name}: {table.rows}")
    for source, row in case.rows[:60]:
        print(f"{source}-{row.partition} {row.values}")
    if len(case.rows) > 60:
        print(f"... {len(case.rows) - 60} more records")


def names(step):
    """What --with knows the step by: its operator, of windows that share panes `hopping`, of unions of changes `union`."""
    args = step.args
    panes = (step.operator == "window" and not args["gap"] and not args["cumulative"] and args["emit"] == "on_close"
             and args["size"] >= 3 * args["every"] and args["group_by"])
    marked = len(step.inputs) > 1 and all(i[:-1] == step.name for i in step.inputs)
    return [step.operator] + (["hopping"] if panes else []) + (["union"] if marked else [])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulate", required=True)
    parser.add_argument("--random", type=int, default=1)
    parser.add_argument("--random_long", type=int, help="as many instead where TIDEMARK_LONG is set")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--with", dest="operator")
    parser.add_argument("--mutation")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--print", action="store_true")
    args = parser.parse_args()
    wanted = args.random_long if args.random_long and os.environ.get("TIDEMARK_LONG") else args.random
    binary = [args.simulate] + (["--mutation", args.mutation] if args.mutation else [])
    began = time.monotonic()
    cases = itertools.islice((c for c in (Generator(seed).case() for seed in itertools.count(args.seed))
                              if args.operator in [None] + [n for s in c.steps for n in names(s)]), wanted)
    cases = list(cases)
    results = simulator.run(binary, cases, chunk=2 if args.mutation else 10)
    failed, operators, kinds, looked_at, records = [], {}, {}, 0, 0
    for case, result in zip(cases, results):
        if args.print:
            show(case, [f"seed {case.seed}:"])
        for step in case.steps:
            operators[step.operator] = operators.get(step.operator, 0) + 1
        for sink in case.sinks:
            kinds[sink.kind] = kinds.get(sink.kind, 0) + 1
        looked_at += 1
        records += len(case.rows)
        lines = check(case, result)
        if lines:
            failed.append((case, lines))
            print(f"seed {case.seed} differs: {lines[0]}", flush=True)
            if args.mutation:
                break
    results.close()
    for case, lines in failed[:1]:
        if not args.no_shrink:
            print(f"\nmaking seed {case.seed} smaller ...", flush=True)
            case, lines = shrink(binary, case, lines)
        show(case, [f"seed {case.seed}:"] + lines)
        print(f"replay: scripts/simulate --random 1 --seed {case.seed}")
    def said(counts):
        return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
    print(f"{looked_at} topologies from seed {args.seed}, {records} records, steps: {said(operators)}; "
          f"sinks: {said(kinds)}: {len(failed)} differ, in {time.monotonic() - began:.0f} s")
    return 0 if bool(failed) == bool(args.mutation) else 1


if __name__ == "__main__":
    sys.exit(main())
