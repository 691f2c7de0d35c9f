#!/usr/bin/env python3
"""Batches are visible whole or not at all, in a table and in a lake that are looked at all the time, while workers are
killed and the database is away for a moment; what is broken or late is in the dead letters, every row of it."""

import collections
import json
import pathlib
import random
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent / "lib"),
                str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib")]

import psycopg

import demo_xeneta
import duck
import topics
import topology
from case import LONG, SystemTest, main
from stack import Stack, wait_for

SEED = 20
KILLS = 20 if LONG else 6
BATCHES = 400 if LONG else 120
DEADLINE = 6  # seconds of the log's time


def application(name, lake):
    return {
        "name": name,
        "kafka": {"brokers": "${KAFKA_BROKERS}"},
        "commit_interval": "20ms",
        "sources": {"rates": {
            "topic": f"{name}-rates",
            "columns": {"batch": "string", "n": "int64", "lane": "int64", "rate": "int64"},
            "event_time": {"idle_after": "1s", "when_all_idle": "follow_clock"}}},
        "steps": {
            "whole": {"from": "rates",
                      "batch": {"by": ["batch"], "expected": "n", "deadline": f"{DEADLINE}s",
                                "rejected": {"topic": f"{name}-rejected"}},
                      "expect": {"positive": {"that": "rate > 0", "else": "reject_batch"}}},
            "offered": {"from": "whole", "filter": "lane <> 7"},
            "priced": {"from": "offered", "project": {"batch": "batch", "n": "n", "lane": "lane", "rate": "rate + 1"}}},
        "sinks": {
            "table": {"from": "priced", "atomic": True,
                      "postgres": {"url": "${DATABASE_URL}", "table": f"{name}_rates"}},
            "lake": {"from": "priced", "atomic": True, "parquet": {"path": str(lake), "max_age": "300ms"}},
            "topic": {"from": "priced", "atomic": True, "topic": f"{name}-priced", "create": {"partitions": 3}}},
    }


class Rates:
    """Batches by seed: most are whole, some lack a row, have one too many that the first doesn't know of, or break the rule."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.whole, self.rejected, self.rows = {}, {}, collections.Counter()

    def batch(self, number):
        size = self.random.choice([1, 3, 40, 40, 300, 2_000])
        rows = [{"batch": f"b{number}", "n": size, "lane": self.random.randrange(10), "rate": self.random.randrange(1, 4)}
                for _ in range(size)]  # equal rows among them
        kind = self.random.random()
        if kind < 0.1 and size > 1:
            rows.pop()
        elif kind < 0.2:
            rows[self.random.randrange(size)]["rate"] = -1
        elif kind < 0.25 and size > 1:
            rows[-1]["n"] = size + 1
        shown = collections.Counter((row["lane"], row["rate"] + 1) for row in rows if row["lane"] != 7)
        good = len(rows) == size and all(row["rate"] > 0 and row["n"] == size for row in rows)
        if good:
            self.whole[f"b{number}"] = shown
        else:
            self.rejected[f"b{number}"] = len(rows)
        return rows


class Reader(threading.Thread):
    """Looks at a sink all the time: whatever of a batch is there must be all of it."""

    def __init__(self, rates, look):
        super().__init__(daemon=True)
        self.rates, self.look, self.ended = rates, look, threading.Event()
        self.looks, self.seen, self.parts = 0, {}, []

    def run(self):
        while not self.ended.is_set():
            found = self.look()
            if found is None:
                time.sleep(0.05)
                continue
            self.looks += 1
            for batch, rows in found.items():
                whole = sum(self.rates.whole.get(batch, {}).values())
                if rows != whole:
                    self.parts.append((batch, rows, whole))
            for batch in self.seen.keys() - found.keys():
                self.parts.append((batch, "gone"))
            self.seen = found

    def end(self):
        self.ended.set()
        self.join(60)


class BatchesTest(SystemTest):
    needs_postgres = True

    def table(self, name):
        try:
            with psycopg.connect(self.stack.database_url, connect_timeout=5) as connection:
                return dict(connection.execute(f"SELECT batch, count(*) FROM {name}_rates GROUP BY 1").fetchall())
        except psycopg.Error:
            return None  # not there yet, or away

    @staticmethod
    def lake(folder):
        if not any(folder.glob("*.parquet")):
            return None
        return dict(duck.rows(f"SELECT batch, count(*) FROM '{folder}/*.parquet' GROUP BY 1"))

    def test_batches_are_seen_whole_or_not_at_all_while_workers_are_killed(self):
        name, random_ = "batches", random.Random(SEED)
        folder = self.stack.folder / "lake-batches"
        topics.create(self.stack.brokers, **{f"{name}-rates": 3})
        config = topology.write(self.stack.folder / f"{name}.yaml", application(name, folder))
        rates = Rates(SEED)
        readers = [Reader(rates, lambda: self.table(name)), Reader(rates, lambda: self.lake(folder))]
        workers = [self.stack.run(config, name=f"w{i}") for i in range(2)]
        wait_for("the workers", lambda: all(w.ready() for w in workers), 120)
        # A rejected batch shows no row, and one that isn't known to the readers yet is none that may be seen.
        batches = [rates.batch(number) for number in range(BATCHES)]
        for reader in readers:
            reader.start()

        def produce():
            pace = KILLS * 1.2 / BATCHES
            for at in range(0, BATCHES, 4):
                rows = [row for batch in batches[at:at + 4] for row in batch]
                spread = random.Random(at)
                spread.shuffle(rows)
                topics.produce(self.stack.brokers, f"{name}-rates",
                               [{"value": json.dumps(row).encode(), "partition": spread.randrange(3)} for row in rows])
                time.sleep(4 * pace)

        producer = threading.Thread(target=produce, daemon=True)
        producer.start()
        for kill in range(KILLS):
            time.sleep(random_.uniform(0.3, 1.5))
            victim = random_.randrange(2)
            workers[victim].kill()
            workers[victim] = self.stack.run(config, name=f"w{victim}")
            if kill == KILLS // 2:
                self.stack.stop_postgres("--kill")
                self.stack.restart_postgres()
        producer.join(120)
        rejected = sum(rates.rejected.values())
        shown = {batch: sum(rows.values()) for batch, rows in rates.whole.items() if rows}
        wait_for("all whole batches", lambda: (self.table(name), self.lake(folder)) == (shown, shown), 120,
                 lambda: f"{len(shown)} expected, {len(self.table(name) or {})} in the table")
        wait_for("the rejected rows", lambda: len(self.letters(name)) >= rejected, 60,
                 lambda: f"{len(self.letters(name))} of {rejected}")
        for reader in readers:
            reader.end()
            self.assertEqual(reader.parts[:5], [], f"parts of batches were seen, in {reader.looks} looks")
            self.assertGreater(reader.looks, 20)
        letters = collections.Counter(letter[0]["batch"] for letter in self.letters(name))
        self.assertEqual(letters, rates.rejected)
        for row, header in self.letters(name):
            self.assertEqual(json.loads(header["tidemark.batch"]), {"batch": row["batch"]})
            self.assertIn(b"rejected: ", header["tidemark.reason"])
        self.assertEqual(len(topics.read(self.stack.brokers, f"{name}-dead-letter")), 0, "all are in one place")
        listed = self.stack.tidemark("dead-letters", "list", "--config", str(config))[1]
        self.assertIn(f"{rejected} letters in {name}-dead-letter, {name}-rejected", listed)
        self.assert_rows(name, folder, rates)
        ended = [worker.stop() for worker in workers]
        self.assertEqual(ended, [0, 0])

    def test_the_demo_of_rates_finds_no_part_and_no_difference(self):
        said = []
        with Stack() as stack:
            self.assertTrue(demo_xeneta.demo(stack, 2_000, said.append), "\n".join(said))

    def letters(self, name):
        topic = f"{name}-rejected"
        if topic not in topics.names(self.stack.brokers):
            return []
        table, headers = topics.read(self.stack.brokers, topic, headers=True)
        return [(json.loads(value), header) for value, header in zip(table["value"].to_pylist(), headers)]

    def assert_rows(self, name, folder, rates):
        """Every row of every whole batch as often as it was sent, in all three sinks."""
        wanted = {(batch, *row): count for batch, rows in rates.whole.items() for row, count in rows.items()}
        with psycopg.connect(self.stack.database_url) as connection:
            table = connection.execute(f"SELECT batch, lane, rate, count(*) FROM {name}_rates GROUP BY 1, 2, 3").fetchall()
        lake = duck.rows(f"SELECT batch, lane, rate, count(*) FROM '{folder}/*.parquet' GROUP BY 1, 2, 3")
        records = [json.loads(v) for v in topics.read(self.stack.brokers, f"{name}-priced")["value"].to_pylist()]
        topic = collections.Counter((r["batch"], r["lane"], r["rate"]) for r in records)
        self.assertEqual({row[:3]: row[3] for row in table}, wanted)
        self.assertEqual({row[:3]: row[3] for row in lake}, wanted)
        self.assertEqual(topic, wanted)


if __name__ == "__main__":
    main(at_once=True)
