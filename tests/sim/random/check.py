"""Whether what the simulator left in every sink is what the oracle expects."""

import collections

import simulator
from oracle import Oracle
from topology import shapes


def _differences(what, expected, found):
    expected, found = collections.Counter(expected), collections.Counter(found)
    if expected == found:
        return []
    lines = [f"{what}: {sum(expected.values())} rows expected, {sum(found.values())} found"]
    for sign, rows in (("missing", expected - found), ("not expected", found - expected)):
        for row, count in list(rows.items())[:4]:
            lines.append(f"  {sign}{f' {count} times' if count > 1 else ''}: {row}")
    return lines


def check(case, result):
    """A list of lines: nothing where all is as it should be."""
    if result.verdict != "OK":
        return [result.verdict]
    oracle, shape_of, lines = Oracle(case), shapes(case), []
    for sink in case.sinks:
        shape = shape_of[sink.input]
        try:
            if sink.kind == "kafka":
                found = simulator.topic_rows(result, sink.name, shape.columns, shape.update_key is not None)
            elif sink.kind == "postgres":
                found = simulator.table_rows(result, sink.name, shape.columns)
            else:
                found = simulator.lake_rows(result, sink.name, shape.columns, sink.partition_by)
        except (ValueError, KeyError) as error:
            lines.append(f"{sink.name}: a row that can't be read: {error!r}")
            continue
        lines += _differences(f"{sink.name} ({sink.kind}) from {sink.input}", oracle.rows(sink.input), found)
    for topic in oracle.side:
        found = simulator.topic_rows(result, topic, oracle.columns(topic), False)
        lines += _differences(f"topic {topic}", oracle.rows(topic), found)
    letters = len(result.topics.get("random-dead-letter", []))
    if letters != oracle.dead_letters:
        lines.append(f"{letters} dead letters, not {oracle.dead_letters}")
    return lines
