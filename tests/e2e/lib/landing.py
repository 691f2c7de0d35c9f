"""Files that land, as a careful writer puts them, and what an oracle makes of them."""

import bz2
import gzip
import json
import random

import duck

PACKED = {"": lambda b: b, ".gz": gzip.compress, ".bz2": bz2.compress}


def application(name, folder, **options):
    return {
        "name": name,
        "kafka": {"brokers": "${KAFKA_BROKERS}"},
        "commit_interval": "20ms",
        "sources": {"surveys": {
            "files": {"path": f"{folder}/landing/**/*.*", "whole": "renamed", "order": "unordered", "look_every": "100ms",
                      "processed": f"{folder}/processed", "rejected": f"{folder}/rejected", **options},
            "columns": {"id": "int64", "who": {"type": "string", "nullable": True},
                        "score": {"type": "double", "nullable": True}, "at": "timestamp_ms",
                        "file": {"type": "string", "from": "header:tidemark.file"}},
            "event_time": {"column": "at", "max_out_of_orderness": "1d", "max_ahead": "3650d"}}},
        "steps": {"per_file": {"from": "surveys", "group_by": ["file"], "emit": "on_update",
                               "aggregates": {"rows": "count(*)", "ids": "sum(id)"}}},
        "sinks": {"out": {"from": "surveys", "topic": f"{name}-out", "create": {"partitions": 2}},
                  "files": {"from": "per_file", "topic": f"{name}-files", "key": ["file"], "create": {}}},
    }


class Lander:
    """Puts files into the folder as a careful writer does, and keeps a copy of every version for the oracle."""

    def __init__(self, folder, seed):
        self.folder, self.random, self.next_id = folder, random.Random(seed), 0
        self.landing, self.raw, self.hidden = folder / "landing", folder / "raw", folder / "hidden"
        for path in (self.landing, self.raw, self.hidden):
            path.mkdir(parents=True)
        self.versions, self.bad, self.again = {}, 0, 0

    def rows(self, count):
        for _ in range(count):
            self.next_id += 1
            yield {"id": self.next_id, "who": self.random.choice([None, "Ann", "B,o", 'C"y', "D\r\ne", "\u00e9\u4e2d"]),
                   "score": self.random.choice([None, 0.5, -1e-7, 3.0]), "at": 1_700_000_000_000 + self.next_id}

    def csv(self, rows):
        columns = ["id", "who", "score", "at", "unknown"]
        self.random.shuffle(columns)
        end = self.random.choice(["\n", "\r\n"])

        def cell(value):
            text = "" if value is None else str(value)
            return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text

        lines = [columns] + [[row.get(c) for c in columns] for row in rows]
        text = "".join(",".join(map(cell, line)) + end for line in lines)
        return self.random.choice(["", "\ufeff"]) + text

    def land(self, count):
        kind = self.random.choice(["csv", "jsonl", "json"])
        name = f"d{self.random.randrange(3)}/f{self.random.randrange(8)}.{kind}{self.random.choice(list(PACKED))}"
        if self.exists(name):
            return
        rows = list(self.rows(count))
        bad = 0
        if kind == "csv":
            text = self.csv(rows)
            if self.random.random() < 0.3:
                text, bad = text + "not,a row\n", 1
        elif kind == "jsonl":
            text = "".join(json.dumps(row) + "\n" for row in rows)
            if self.random.random() < 0.3:
                text, bad = text + '{"id": "seven"}\n', 1
        else:
            text = json.dumps(rows, indent=1)
        packed = PACKED["." + name.rpartition(".")[2] if name.endswith((".gz", ".bz2")) else ""](text.encode())
        if name in self.versions and self.random.random() < 0.3:
            packed, rows, bad = self.versions[name], [], 0  # the same again
            self.again += 1
        self.versions[name] = packed
        self.bad += bad
        if rows:
            (self.raw / f"{len(list(self.raw.iterdir()))}.json").write_text(
                json.dumps([{**row, "file": name} for row in rows]))
        self.put(name, packed)

    def exists(self, name):
        return (self.landing / name).exists()

    def put(self, name, content):
        part, target = self.hidden / "part", self.landing / name
        part.write_bytes(content)
        target.parent.mkdir(exist_ok=True)
        part.rename(target)


class BucketLander(Lander):
    """The same into a bucket, below landing/."""

    def __init__(self, folder, seed, s3, prefix):
        super().__init__(folder, seed)
        self.s3, self.prefix, self.contents = s3, prefix, []

    def exists(self, name):
        found = self.s3.client.list_objects_v2(Bucket=self.s3.bucket, Prefix=f"{self.prefix}/landing/{name}")
        return found["KeyCount"] > 0

    def put(self, name, content):
        self.contents.append(content)
        self.s3.client.put_object(Bucket=self.s3.bucket, Key=f"{self.prefix}/landing/{name}", Body=content)


def expected_rows(lander):
    """What DuckDB reads: the relation of all rows, and the rows by their id."""
    raw = (f"read_json('{lander.raw}/*.json', columns={{'id': 'BIGINT', 'who': 'VARCHAR', 'score': 'DOUBLE', "
           "'at': 'BIGINT', 'file': 'VARCHAR'})")
    return raw, duck.rows(f'SELECT id, who, score, "at", file FROM {raw} ORDER BY id')
