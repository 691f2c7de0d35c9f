"""What scripts/demo xeneta does once everything is built: batches of rates through examples/rates/topology.yaml, with
readers that must never see a part of one. Uses the harness of tests/e2e/lib."""

import argparse
import collections
import gzip
import json
import pathlib
import random
import sys
import threading
import time

import duckdb
import psycopg

import topics
from stack import ROOT, Stack, wait_for

CONFIG = ROOT / "examples" / "rates" / "topology.yaml"
DEADLINE_SECONDS = 8
SEED = 7


class Batches:
    """Rates by seed, written as the three kinds of files and as records of the partner's topic. What was sent is kept as
    JSON files beside, for DuckDB."""

    def __init__(self, folder, rows, brokers):
        self.random, self.rows, self.brokers = random.Random(SEED), rows, brokers
        self.landing, self.sent, self.hidden = folder / "landing", folder / "sent", folder / "hidden"
        for path in (self.landing, self.sent, self.hidden):
            path.mkdir(parents=True)
        self.whole, self.broken = {}, {}  # by name: how many rows

    def rates(self, count):
        for _ in range(count):
            yield {"lane": f"lane-{self.random.randrange(40)}", "usd": self.random.randrange(1, 400) / 4,
                   "valid_from": f"2026-0{self.random.randrange(1, 10)}-01"}

    def note(self, name, rows, broken):
        (self.broken if broken else self.whole)[name] = len(rows)
        if not broken:
            (self.sent / f"{len(self.whole)}.json").write_text(json.dumps([{**row, "name": name} for row in rows]))

    def land(self, name, content):
        part = self.hidden / name
        part.write_bytes(content)
        part.rename(self.landing / name)  # whole files only

    def csv(self, name, count, usd=None):
        rows = list(self.rates(count))
        if usd is not None:
            rows[count // 2]["usd"] = usd
        self.note(name, rows, usd is not None)
        lines = ["lane,usd,valid_from"] + [f"{r['lane']},{r['usd']},{r['valid_from']}" for r in rows]
        self.land(name, gzip.compress("\n".join(lines).encode() + b"\n", 1))

    def json(self, name, count, usd=None):
        rows = list(self.rates(count))
        if usd is not None:
            rows[-1]["usd"] = usd
        self.note(name, rows, usd is not None)
        self.land(name, json.dumps(rows).encode())

    def xml(self, name, count):
        rows = list(self.rates(count))
        self.note(name, rows, False)
        body = "".join("<rate>" + "".join(f"<{k}>{v}</{k}>" for k, v in row.items()) + "</rate>" for row in rows)
        self.land(name, f"<rates>{body}</rates>".encode())

    def partner(self, name, count, missing=0):
        rows = list(self.rates(count))
        self.note(name, rows, missing > 0)
        records = [{"value": json.dumps({**row, "batch": name, "rows": count}).encode(), "partition": i % 3}
                   for i, row in enumerate(rows[missing:])]
        topics.produce(self.brokers, "partner-rates", records)
        if missing:
            self.broken[name] = count - missing


class Reader(threading.Thread):
    """Looks all the time, and notes whatever is there of a batch that isn't all of it."""

    def __init__(self, look):
        super().__init__(daemon=True)
        self.look, self.ended, self.looks, self.parts, self.seen = look, threading.Event(), 0, [], {}

    def run(self):
        while not self.ended.is_set():
            found = self.look()
            self.looks += bool(found)
            self.parts += [f"{batch}: {there} of {rows} rows" for batch, there, rows in found if there != rows]
            self.seen = {batch: there for batch, there, _ in found}
            time.sleep(0.01 if found else 0.1)


def table(url):
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return connection.execute("SELECT batch, count(*), max(rows) FROM rates GROUP BY 1").fetchall()
    except psycopg.Error:
        return []


def lake(folder):
    if not any(folder.glob("*.parquet")):
        return []
    with duckdb.connect() as connection:
        return connection.sql(f"SELECT batch, count(*), max(rows) FROM '{folder}/*.parquet' GROUP BY 1").fetchall()


def differences(stack, batches):
    """Every row of every whole batch, as often as it was sent, in the table and in the lake, and nothing else."""
    key = "regexp_replace(batch, '@.*', '') AS name, lane, usd, valid_from::varchar AS valid_from"
    with duckdb.connect() as connection:
        sent = connection.sql("SELECT name, upper(lane) AS lane, usd, valid_from::varchar AS valid_from, count(*) AS times "
                              f"FROM '{batches.sent}/*.json' GROUP BY ALL").fetchall()
        in_lake = connection.sql(f"SELECT {key}, count(*) AS times FROM '{stack.folder}/lake/curated/*.parquet' "
                                 "GROUP BY ALL").fetchall()
    with psycopg.connect(stack.database_url) as connection:
        rows = connection.execute("SELECT regexp_replace(batch, '@.*', ''), lane, usd, valid_from::text, count(*) "
                                  "FROM rates GROUP BY 1, 2, 3, 4").fetchall()
    wanted = set(map(tuple, sent))
    return [(where, row) for where, found in (("table", set(rows)), ("lake", set(map(tuple, in_lake))))
            for row in sorted(wanted ^ found)[:5]]


def demo(stack, rows, say):
    say(f"Kafka broker at {stack.start_kafka()}")
    stack.start_postgres()
    topics.create(stack.brokers, **{"partner-rates": 3})
    batches = Batches(stack.folder, rows, stack.brokers)
    env = stack.environment(LANDING=batches.landing, PROCESSED=stack.folder / "processed", REJECTED=stack.folder / "rejected",
                            DEADLINE=f"{DEADLINE_SECONDS}s")
    worker = stack.run(CONFIG, name="rates", env=env)
    readers = [Reader(lambda: table(stack.database_url)), Reader(lambda: lake(stack.folder / "lake" / "curated"))]
    wait_for("the worker", worker.ready, 120, worker.seen)
    for reader in readers:
        reader.start()
    began = time.monotonic()
    batches.csv("large.csv.gz", rows)
    for number in range(4):
        batches.csv(f"rates-{number}.csv.gz", rows // 50 + number)
        batches.json(f"rates-{number}.json", rows // 50 + number)
        batches.xml(f"rates-{number}.xml", rows // 100 + number)
        batches.partner(f"partner-{number}", rows // 100 + number)
    say("landed; three more are broken: a negative price, a record that is no row, a row that never comes")
    batches.csv("negative.csv.gz", rows // 50, usd=-1)
    batches.json("unreadable.json", rows // 50, usd="free")
    batches.partner("incomplete", rows // 100, missing=1)
    time.sleep(1.5)
    worker.kill()
    say("kill -9 of the worker; another one goes on")
    worker = stack.run(CONFIG, name="rates", env=env)
    wanted = {name: count for name, count in batches.whole.items()}

    def shown(reader):
        return {name.partition("@")[0]: count for name, count in reader.seen.items()} == wanted

    wait_for("all whole batches", lambda: all(map(shown, readers)), 600, lambda: f"{readers[0].seen}\n{worker.seen()}")
    say(f"{len(wanted)} batches with {sum(wanted.values()):,} rows are seen, {time.monotonic() - began:.1f} s after the first landed")

    def letters():
        if "rates-dead-letter" not in topics.names(stack.brokers):
            return {}
        values = topics.read(stack.brokers, "rates-dead-letter")["value"].to_pylist()
        return collections.Counter(json.loads(v).get("batch", "?").partition("@")[0] for v in values)

    wait_for("the rows of broken batches", lambda: sum(letters().values()) >= sum(batches.broken.values()), 120,
             lambda: f"{letters()}, expected {batches.broken}")
    for reader in readers:
        reader.ended.set()
        reader.join(30)
    for line in worker.output().splitlines():
        if "is rejected, with" in line:
            say(line.partition("warning ")[2][:160])
    parts = [part for reader in readers for part in reader.parts]
    wrong = differences(stack, batches)
    say(f"dead letters: {dict(letters())}")
    with duckdb.connect() as connection:
        raw = connection.sql(f"SELECT count(*) FROM '{stack.folder}/lake/raw/*.parquet'").fetchall()[0][0]
    say(f"raw lake: {raw:,} rows of files")
    say(f"the readers have looked {readers[0].looks} and {readers[1].looks} times; parts of a batch seen: {len(parts)}")
    for line in parts[:5] + wrong:
        print(line, file=sys.stderr)
    code = worker.stop()
    print(f"oracle: {len(wrong)} differences")
    return not parts and not wrong and code == 0


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo xeneta")
    parser.add_argument("--rows", type=int, default=100_000, help="of the largest batch, 200 or more (default 100000)")
    args = parser.parse_args()
    if args.rows < 200:
        parser.error("--rows: 200 or more")
    began = time.monotonic()
    with Stack() as stack:
        return demo(stack, args.rows, lambda text: print(f"[{time.monotonic() - began:6.1f} s] {text}", flush=True))


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
