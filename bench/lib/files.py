"""A file that lands: gzip CSV of a million rows, one batch, from the moment it has its name until all of its rows are in a table
of PostgreSQL, which a reader that looks all the time sees in one step. And what a row of such files costs."""

import contextlib
import gzip
import random
import threading
import time

import psycopg

import topology
from bench import Result
from measure import cpu_seconds
from stack import wait_for

ROWS = 1_000_000
WIDE = 40  # letters of a note that makes rows wide; a batch has 128 MiB at most
LONGEST_SECONDS = 120


def application(name, folder, brokers):
    return {
        "name": name, "kafka": {"brokers": brokers}, "internal_topics": {"partitions": 2},
        "sources": {"rates": {
            "files": {"path": f"{folder}/landing/*.csv.gz", "whole": "renamed", "order": "unordered", "look_every": "200ms",
                      "processed": f"{folder}/processed", "rejected": f"{folder}/rejected"},
            "columns": {"lane": "string", "usd": "double", "valid_from": "date", "note": "string",
                        "batch": {"type": "string", "from": "header:tidemark.batch"},
                        "rows": {"type": "int64", "from": "header:tidemark.rows"}},
            "event_time": {"idle_after": "1s", "when_all_idle": "follow_clock"}}},
        "steps": {"whole": {"from": "rates", "batch": {"by": ["batch"], "expected": "rows", "deadline": "60s"},
                            "expect": {"positive": {"that": "usd > 0", "else": "reject_batch"}}}},
        "sinks": {"kept": {"from": "whole", "atomic": True,
                            "postgres": {"url": "${DATABASE_URL}", "table": name}}}}


class Reader:
    """How many rows the table has, each time that it is another number, and when it was."""

    def __init__(self, url, table):
        self.url, self.table, self.seen, self.over = url, table, [], False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with psycopg.connect(self.url, autocommit=True) as database:
            while not self.over:
                with contextlib.suppress(psycopg.errors.UndefinedTable):
                    rows = database.execute(f"SELECT count(*) FROM {self.table}").fetchone()[0]
                    if rows and (not self.seen or self.seen[-1][1] != rows):
                        self.seen.append((time.time(), rows))
                time.sleep(0.1)

    def rows(self):
        return self.seen[-1][1] if self.seen else 0


class Files:
    def add_options(self, parser):
        """Has none of its own."""

    def measure(self, bench):
        ours = [system for system in bench.systems if system.name == "tidemark"]
        return [self._run(bench, note) for _ in range(bench.options.runs) for note in (1, WIDE)] if ours else []

    def _run(self, bench, note):
        bench.serial += 1
        name, rows = f"files{bench.serial:03d}", min(bench.options.records, ROWS)
        folder = bench.stack.folder / name
        for each in ("landing", "hidden"):
            (folder / each).mkdir(parents=True)
        url = bench.stack.database_url or bench.stack.start_postgres()
        lot = random.Random(1)
        letters = "".join(lot.choice("etaoin shrdlu") for _ in range(10_000))
        text = "lane,usd,valid_from,note\n" + "".join(
            f"lane{lot.randrange(5000)},{lot.uniform(100, 9000):.2f},2025-0{lot.randrange(1, 9)}-11,{letters[at:at + note]}\n"
            for at in (lot.randrange(9_000) for _ in range(rows)))
        (folder / "hidden" / "part").write_bytes(gzip.compress(text.encode(), 6))
        config = topology.write(folder / f"{name}.yaml", application(name, folder, bench.stack.brokers))
        worker = bench.stack.run(config, name=name, threads=bench.options.threads)
        wait_for("the worker to be ready", worker.ready, 120, worker.seen)
        reader = Reader(url, name)
        before, landed = cpu_seconds(worker.pid), time.time()
        (folder / "hidden" / "part").rename(folder / "landing" / "a.csv.gz")
        wait_for("all rows", lambda: reader.rows() >= rows, LONGEST_SECONDS, lambda: f"{reader.seen}\n{worker.seen()}")
        reader.over = True
        cpu, seconds = cpu_seconds(worker.pid) - before, reader.seen[-1][0] - landed
        worker.stop()
        megabytes = len(text) / 1e6
        bench.say(f"{rows:,} rows, {megabytes:.0f} MB as text: in the table after {seconds:.1f} s, in {len(reader.seen)} steps")
        return Result("tidemark", f"gzip csv of {len(text) // rows} bytes a row", rows, records_per_s=rows / seconds,
                      cpu_s_per_million=cpu / rows * 1e6, correct=[r for _, r in reader.seen] == [rows],
                      more={"visible_after_s": seconds, "cores_of_150_gb_a_day": cpu / megabytes * 1.736})
