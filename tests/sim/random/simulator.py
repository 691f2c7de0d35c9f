"""Cases through the simulator, and its results as rows (the format stands in tests/sim/cases.h)."""

import concurrent.futures
import dataclasses
import decimal
import json
import os
import subprocess
import tempfile

import pyarrow
import pyarrow.parquet

from topology import shapes, yaml
from values import canonical, to_json


@dataclasses.dataclass
class Result:
    verdict: str = "the simulator said nothing"
    topics: dict = dataclasses.field(default_factory=dict)  # name -> [(partition, key, value)]
    tables: dict = dataclasses.field(default_factory=dict)  # PostgreSQL sink -> [JSON]
    files: dict = dataclasses.field(default_factory=dict)   # Parquet sink -> [(name, bytes)]


def _text(case, name):
    out = []

    def text(line, *texts):
        raw = [None if t is None else t.encode() for t in texts]
        out.append((line + "".join(f" {-1 if r is None else len(r)}" for r in raw) + "\n").encode())
        out.extend(r + b"\n" for r in raw if r is not None)

    out.append(f"case {name} {case.seed} {case.workers} {','.join(case.faults) or '-'}\n".encode())
    text("yaml", yaml(case))
    for source in case.sources:
        out.append(f"topic {source.name} {source.partitions}\n".encode())
    for table in case.tables:
        out.append(f"topic {table.name} 2\n".encode())
        types = {c.name: c.type for c in table.columns}
        for i, row in enumerate(table.rows):
            text(f"first {table.name} {i % 2} 1700000000000", str(row[table.key]),
                 _object(types, row))
    types = {s.name: {c.name: c.type for c in s.columns} for s in case.sources}
    for source, row in case.rows:
        value = None if row.deletes else "no JSON" if row.values is None else _object(types[source], row.values)
        text(f"record {source} {row.partition} {row.time}", row.key, value)
    out.append(b"end\n")
    return b"".join(out)


def _object(types, row):
    return "{" + ",".join(f'"{name}":{to_json(row[name], type_)}' for name, type_ in types.items()) + "}"


def _parse(raw):
    results, at = {}, 0

    def take(size):
        nonlocal at
        taken = raw[at:at + max(size, 0)]
        at += max(size, 0)
        return taken if size >= 0 else None

    while at < len(raw):
        end = raw.index(b"\n", at)
        words = raw[at:end].decode().split(" ")
        at = end + 1
        if words[0] == "result":
            current = results[words[1]] = Result(take(int(words[2])).decode())
            at += 1
        elif words[0] == "topic":
            records = current.topics[words[1]] = []
        elif words[0] == "record":
            records.append((int(words[1]), take(int(words[2])), take(int(words[3]))))
            at += 1
        elif words[0] == "sink":
            rows = current.tables[words[1]] = []
        elif words[0] == "row":
            rows.append(take(int(words[1])))
            at += 1
        elif words[0] == "file":
            current.files.setdefault(words[1], []).append((words[2], take(int(words[3]))))
            at += 1
    return results


def _run_some(binary, cases):
    with tempfile.NamedTemporaryFile(suffix=".cases") as file:
        for i, case in enumerate(cases):
            file.write(_text(case, str(i)))
        file.flush()
        run = subprocess.run([*binary, "--cases", file.name], capture_output=True, check=False)
    found = _parse(run.stdout)
    results = [found.get(str(i), Result()) for i in range(len(cases))]
    if run.returncode != 0:
        # The first that didn't come to its end is to blame; those behind it are run by themselves.
        broken = next((i for i in range(len(cases)) if str(i) not in found), len(cases) - 1)
        lines = run.stderr.decode(errors="replace").strip().splitlines()
        results[broken].verdict = "the simulator died: " + "\n".join(lines[:40])
        if broken + 1 < len(cases):
            results[broken + 1:] = _run_some(binary, cases[broken + 1:])
    return results


def run(binary, cases, chunk=10):
    """The results in the order of the cases, as they come. binary: the simulator and its arguments.

    Closed before its end it runs no more than what is under way.
    """
    chunks = [cases[i:i + chunk] for i in range(0, len(cases), chunk)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for results in pool.map(lambda c: _run_some(binary, c), chunks):
                yield from results
        finally:
            pool.shutdown(cancel_futures=True)


# ---- Results as rows in canonical form

def _from_json(text, columns):
    row = json.loads(text, parse_float=decimal.Decimal)
    if list(row) != [c.name for c in columns]:
        raise ValueError(f"columns {list(row)}")
    return tuple(canonical(row[c.name], c.type) for c in columns)


def topic_rows(result, topic, columns, upsert):
    records = result.topics.get(topic, [])
    if upsert:
        # What compaction leaves, partition by partition: a key in two of them would show twice.
        newest = {}
        for partition, key, value in records:
            newest[partition, key] = value
        values = [v for v in newest.values() if v is not None]
    else:
        values = [v for _, _, v in records]
    return [_from_json(v, columns) for v in values]


def table_rows(result, sink, columns):
    return [_from_json(row, columns) for row in result.tables.get(sink, [])]


def lake_rows(result, sink, columns, partition_by):
    rows = []
    for name, raw in result.files.get(sink, []):
        folders = dict(part.split("=", 1) for part in name.split("/")[:-1])
        found = pyarrow.parquet.read_table(pyarrow.BufferReader(raw)).to_pylist()
        for row in found:
            for column in columns:
                if column.name in partition_by:
                    row[column.name] = _from_folder(folders[column.name], column.type)
            rows.append(tuple(canonical(row[c.name], c.type) for c in columns))
    return rows


def _from_folder(text, type_):
    if text == "__HIVE_DEFAULT_PARTITION__":
        return None
    return text == "true" if type_ == "bool" else int(text) if type_ in ("int64", "int32") else text
