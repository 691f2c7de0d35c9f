#!/usr/bin/env python3
"""Nexmark's queries q0 to q22 as bench/nexmark has them, from a real broker to topics and Parquet files: equal to what DuckDB
makes of the raw topic. A few seconds of events, made here; how fast they are is scripts/bench's business."""

import concurrent.futures
import json
import pathlib
import random
import string
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent / "bench" / "lib"), str(TESTS / "e2e" / "lib")]

import nexmark
import topics
from case import LONG, SystemTest, main
from jobs import Job

EVENTS = 50_000 if LONG else 4_000
START_MS = 1_767_225_600_000
EVERY_MS = 25  # between two events
AT_ONCE = 3


class Events:
    """1 person, 3 auctions and 46 bids of each 50, as the benchmark's generator makes them, in fewer words."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.people, self.auctions = 0, 0

    def text(self, length):
        return "".join(self.random.choices(string.ascii_lowercase + " ", k=length))

    def price(self):
        return round(10 ** (self.random.random() * 6) * 100)

    def event(self, number):
        r, at, place = self.random, START_MS + number * EVERY_MS, number % 50
        if place == 0:
            self.people += 1
            return at, "person", {"id": 999 + self.people, "name": self.text(6), "city": self.text(5), "dateTime": at,
                                  "state": r.choice(["AZ", "CA", "ID", "OR", "WA", "WY"]), "extra": self.text(10)}
        if place < 4:
            self.auctions += 1
            price = self.price()
            return at, "auction", {
                "id": 999 + self.auctions, "itemName": self.text(8), "description": self.text(20), "initialBid": price,
                "reserve": price + self.price(), "dateTime": at, "expires": at + 1 + r.randrange(40_000),
                "seller": 999 + self.people - r.randrange(min(self.people, 10)) + r.randrange(2),
                "category": 10 + r.randrange(5), "extra": self.text(10)}
        known = r.randrange(2) == 0
        channel = r.choice(["Google", "Facebook", "Baidu", "Apple"]) if known else f"channel-{r.randrange(100)}"
        url = f"https://auctions.example/{self.text(3).strip()}/item.htm?query=1" if known else \
            f"https://auctions.example/item.htm?query=1&channel_id={channel[8:]}"
        return at, "bid", {"auction": 999 + max(1, self.auctions - r.randrange(30)) + r.randrange(3),
                           "bidder": 999 + max(1, self.people - r.randrange(20)), "price": self.price(),
                           "channel": channel, "url": url, "dateTime": at, "extra": self.text(12)}

    def records(self, count):
        for number in range(count):
            at, kind, event = self.event(number)
            yield {"value": json.dumps({"event_type": list(nexmark.KINDS).index(kind), kind: event}).encode(),
                   "timestamp": at, "partition": number % 4}


class Nexmark(SystemTest):
    @classmethod
    def prepare(cls):
        topics.create(cls.stack.brokers, nexmark=4)
        topics.produce(cls.stack.brokers, "nexmark", Events(1).records(EVENTS))
        side_input = pathlib.Path(cls.stack.folder) / "side_input.csv"
        side_input.write_text("key,value\n" + "".join(f"{k},value {k}\n" for k in range(nexmark.SIDE_KEYS)))
        cls.events = nexmark.Events.of(cls.stack.brokers, side_input)

    def start(self, query):
        folder = pathlib.Path(self.stack.folder) / query
        folder.mkdir()
        job = Job(query, f"nexmark-{query}", self.stack.brokers, self.events, folder, 1)
        command, _ = nexmark.NexmarkTidemark(nexmark.BINARY).command(job)
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=300)
        return job, done

    def test_every_query_is_there(self):
        self.assertEqual({p.stem for p in nexmark.FOLDER.glob("*.yaml")}, set(nexmark.QUERIES))
        self.assertEqual(set(nexmark.EXPECTED), set(nexmark.QUERIES))

    def test_results_are_those_of_sql(self):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(pool.map(self.start, nexmark.QUERIES))
        for query, (job, done) in zip(nexmark.QUERIES, runs):
            with self.subTest(query):
                self.assertEqual(done.returncode, 0, done.stdout[-3000:])
                self.assertEqual(nexmark.differences(self.events, query, f"{job.prefix}output", nexmark.lake(job)), [])
                # It says nothing of a query that gives nothing.
                rows = self.events.connection().execute("SELECT count(*) FROM actual").fetchall()[0][0]
                self.assertGreater(rows, 0)


if __name__ == "__main__":
    main()
