"""Makes a failing case small: leaves out sinks, steps, rows and faults as long as it still fails."""

import copy

import simulator
from check import check
from oracle import Oracle
from topology import Invalid, shapes


def _kind(lines):
    """Failures of one kind count as the same: a difference in one sink or topic, or an error of some code."""
    return lines[0].split(":")[0]


def _stands_by_key(case):
    """Of two rows of one key only one stands in a table: a cut that left both would differ for that reason alone."""
    oracle = Oracle(case)
    for sink in case.sinks:
        if sink.kind == "postgres":
            names = [c.name for c in oracle.columns(sink.input)]
            keys = [tuple(row[names.index(k)] for k in sink.key) for row in oracle.rows(sink.input)]
            if len(set(keys)) < len(keys):
                return False
    return True


def _without_unread(case):
    changed = True
    while changed:
        read = {i for s in case.steps for i in s.reads()} | {s.input for s in case.sinks}
        kept = [s for s in case.steps if s.name in read]
        changed, case.steps = len(kept) < len(case.steps), kept
    case.sources = [s for s in case.sources if s.name in read] or case.sources[:1]
    names = {s.name for s in case.sources}
    case.rows = [(s, r) for s, r in case.rows if s in names]
    used = {s.args["table"] for s in case.steps if s.operator == "join"}
    case.tables = [t for t in case.tables if t.name in used]
    return case


def _smaller(case):
    """Cases that are a bit smaller, the boldest first."""
    def changed(change):
        other = copy.deepcopy(case)
        change(other)
        return _without_unread(other)

    for i in range(len(case.sinks)):
        if len(case.sinks) > 1:
            yield changed(lambda c, i=i: c.sinks.pop(i))
    for i, step in enumerate(case.steps):
        def bypass(c, i=i):
            gone = c.steps.pop(i)
            for reader in c.steps:
                reader.inputs = list(dict.fromkeys(gone.inputs[0] if x == gone.name else x for x in reader.inputs))
                reader.stream = gone.inputs[0] if reader.stream == gone.name else reader.stream
            for sink in c.sinks:
                sink.input = gone.inputs[0] if sink.input == gone.name else sink.input
        yield changed(bypass)
        if len(step.inputs) > 1:
            for input_ in step.inputs:
                yield changed(lambda c, i=i, input_=input_: c.steps[i].inputs.remove(input_))
        if len(step.args.get("aggregates", {})) > 1:
            for name in step.args["aggregates"]:
                yield changed(lambda c, i=i, name=name: c.steps[i].args["aggregates"].pop(name))
    if case.faults:
        yield changed(lambda c: c.faults.clear())
        for fault in case.faults:
            yield changed(lambda c, fault=fault: c.faults.remove(fault))
    if case.workers > 1:
        yield changed(lambda c: setattr(c, "workers", c.workers - 1))
    size = len(case.rows) // 2
    while size >= 1:
        for at in range(0, len(case.rows), size):
            yield changed(lambda c, at=at, size=size: c.rows.__delitem__(slice(at, at + size)))
        size //= 2


def shrink(binary, case, lines, rounds=40):
    """The smallest failing case found, and what it fails with. binary: as in simulator.run."""
    wanted = _kind(lines)
    for _ in range(rounds):
        candidates = []
        for smaller in _smaller(case):
            try:
                if smaller.sinks and shapes(smaller):
                    candidates.append(smaller)
            except Invalid:
                continue
        found = None
        for start in range(0, len(candidates), 20):
            batch = candidates[start:start + 20]
            for candidate, result in zip(batch, simulator.run(binary, batch, chunk=10)):
                try:
                    said = check(candidate, result)
                except Exception:  # the cut left something that SQL refuses
                    continue
                if said and _kind(said) == wanted and _stands_by_key(candidate):
                    found = candidate, said
                    break
            if found:
                break
        if not found:
            break
        case, lines = found
    return case, lines
