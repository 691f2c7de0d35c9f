#!/usr/bin/env python3
"""Topologies that are edited while rows come, on a real broker and a real PostgreSQL: a seed chooses the edit (lib/edits.py) and
what it meets, which is open windows, rows that wait for a database that is away, kill -9 in the midst of its start, or the former
file put back behind it. What `plan` says is what docs/changing.md promises and what `run` does, and in the end topics, table, lake
and view are what DuckDB makes of the raw records: each by the version of the file that has read it.

Seeds 0 to 22 play each edit once, with one of the four circumstances; each with all four takes 92. By default seeds 0 to 3 are
played: the first four edits, each with another circumstance. TIDEMARK_LONG=1 plays 23 and TIDEMARK_ROUNDS=N that many, from
TIDEMARK_SEED (0) on: TIDEMARK_SEED=5 TIDEMARK_ROUNDS=1 is seed 5 alone."""

import collections
import decimal
import json
import os
import pathlib
import random
import re
import signal
import sys
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import confluent_kafka
import psycopg
import pyarrow

import duck
import topics
import topology
from case import LONG, SystemTest, main
from edits import DECISION, EDITS, GOES_ON, ROUTES, Meaning, record
from edits import topology as first
from stack import Failure, cpu_waits, wait_for

MISTAKE = 2
CIRCUMSTANCES = ("open", "waiting", "killed", "back")
RATE = 60  # records a second
FIRST = int(os.environ.get("TIDEMARK_SEED", 0))
SEEDS = range(FIRST, FIRST + int(os.environ.get("TIDEMARK_ROUNDS", len(EDITS) if LONG else 4)))
SEED_SECONDS = 300  # that one may take, without those in which something waits for a processor


def chosen(seed):
    """Each edit in turn, and the circumstances so that in four rounds each edit has met all of them."""
    return EDITS[seed % len(EDITS)], CIRCUMSTANCES[(seed % len(EDITS) + seed // len(EDITS)) % 4]


class Patience(threading.Thread):
    """Ends the tests, by the SIGTERM that clears their servers away, where one of them comes to no end: it says where that is."""

    def __init__(self, what):
        super().__init__(daemon=True)
        self.what, self.thread, self.over = what, threading.get_ident(), threading.Event()

    def run(self):
        began, starved = time.monotonic(), cpu_waits()
        while not self.over.wait(1):
            took = time.monotonic() - began
            if took - min(cpu_waits() - starved, took * 3 / 4) > SEED_SECONDS:
                where = "".join(traceback.format_stack(sys._current_frames()[self.thread]))
                print(f"{self.what} comes to no end; after {took:.0f} s it is here:\n{where}", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGTERM)
                return


class Input(threading.Thread):
    """Records at a steady rate into the topics of an application. Every fourth is one that was there before."""

    def __init__(self, brokers, name):
        super().__init__(daemon=True)
        self.application, self.ended, self.sent = name, threading.Event(), 0
        self.more = False  # the second topic gets rows too
        self.producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "linger.ms": 5, "partitioner": "murmur2_random",
                                                  "enable.idempotence": True})
        self.failed = []

    def run(self):
        while not self.ended.wait(1 / 20):
            for _ in range(RATE // 20):
                self.put("events", 0)
                if self.more:
                    self.put("more", 1_000_000)
                self.sent += 1

    def put(self, topic, first_id):
        n = self.sent
        id = n - 3 if n % 4 == 0 and n > 0 else n
        self.producer.produce(f"{self.application}-{topic}", json.dumps(record(id)), str(first_id + id),
                              on_delivery=lambda error, _: self.failed.append(error) if error else None)
        self.producer.poll(0)

    def stop(self):
        self.ended.set()
        self.join()
        if self.producer.flush(60) or self.failed:
            raise Failure(f"writing the input: {self.failed[:3] or 'time-out'}")
        self.producer = None  # it would go on looking for its broker


class Edited(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        print("seeds " + ", ".join(f"{seed} ({chosen(seed)[0].what}, {chosen(seed)[1]})" for seed in SEEDS), flush=True)

    def play(self, seed):
        self.edit, self.circumstance = chosen(seed)
        patience = Patience(f"seed {seed} ({self.edit.what}, {self.circumstance})")
        patience.start()
        self.addCleanup(patience.over.set)
        self.random, self.name = random.Random(seed), f"e{seed}"
        topics.create(self.stack.brokers, **{f"{self.name}-events": 2, f"{self.name}-more": 2,
                                             f"{self.name}-routes": (1, {"cleanup.policy": "compact"})})
        topics.produce(self.stack.brokers, f"{self.name}-routes",
                       [{"key": route, "value": json.dumps({"carrier": carrier})} for route, carrier in ROUTES.items()])
        self.cuts, self.meanings = [], [Meaning()]
        self.input = Input(self.stack.brokers, self.name)
        self.input.start()
        self.addCleanup(self.input.ended.set)
        former, edited = self.file("former", first(self.name)), self.file("edited", self.edit.of(self.name))
        self.before(former)
        running = (edited, self.flags()) if self.goes_on(edited) else (former, ())
        if self.circumstance == "back" and running[0] is edited:
            self.runs_for_a_while(*running)
            if self.goes_back(former):
                running = former, ()
        elif self.circumstance == "back":  # that was refused: it is behind the former file too
            self.runs_for_a_while(*running)
            self.assertFalse(self.goes_on(edited))
        self.ends(*running)
        self.compare()
        print(f"seed {seed}: {self.edit.what}, {self.circumstance}: {self.input.sent} records, "
              f"{len(self.cuts)} changes of the file", flush=True)

    def file(self, what, content):
        return topology.write(self.stack.folder / f"{self.name}-{what}.yaml", content)

    def flags(self):
        return ("--allow_drop", self.edit.drop) if self.edit.drop else ()

    def start(self, config, *flags, env=None):
        return self.stack.run(config, *flags, name=self.name, threads=1, env=env)

    def read(self):
        return topics.committed(self.stack.brokers, self.name, f"{self.name}-events")

    def before(self, config):
        """The former version, until it has windows closed and others open, and rows waiting where a database is away."""
        env = None
        if self.circumstance == "waiting":
            env = self.stack.environment(DATABASE_URL="postgresql://127.0.0.1:1/none")
        worker = self.start(config, env=env)
        needed = self.random.randint(250, 400)
        wait_for("rows to be read", lambda: sum(self.read().values()) > needed, 120, worker.seen, every=0.2)
        wait_for("a window to be told", lambda: self.written("sums"), 120, worker.seen, every=0.2)
        wait_for("a file in the lake", self.files, 120, worker.seen, every=0.2)
        self.stops(worker)

    def stops(self, worker):
        if self.circumstance == "waiting" or self.random.random() < 0.5:
            worker.kill()
        else:
            self.assertEqual(worker.stop(), 0, worker.seen())

    def changed(self, meaning):
        """From where the former version has been read on, records are the next one's."""
        self.cuts.append({of: topics.committed(self.stack.brokers, self.name, f"{self.name}-{of}") for of in ("events", "more")})
        self.meanings.append(meaning)
        if not meaning.sums:
            self.told = self.sums()
        if not meaning.lake:
            self.landed = self.lake()

    def plan(self, config, *flags):
        code, out, errors = self.stack.tidemark("plan", "--config", config, *flags, "--format", "json", check=False)
        self.assertTrue(code in (GOES_ON, DECISION, MISTAKE) and out, f"{code}: {out}{errors}")
        return code, json.loads(out)

    def judged(self, config, *flags):
        """What plan says. A column that the table has too narrow is altered by the statement that plan prints."""
        code, told = self.plan(config, *flags)
        altering = re.findall(r'ALTER TABLE \S+ ALTER COLUMN "\w+" TYPE \w+', " ".join(s.get("wrong", "") for s in told["sinks"]))
        if code == MISTAKE and altering:
            with self.database() as database:
                for statement in altering:
                    database.execute(statement)
            code, told = self.plan(config, *flags)
        return code, told

    def refused(self, config, told, *flags):
        """`run` does what plan has asked about: nothing, in the same words."""
        worker = self.start(config, *flags)
        self.assertEqual(worker.wait(120), 2, worker.seen())
        messages = [s["message"] for s in told["steps"] if "message" in s] + told["wrong"]
        self.assertTrue(messages, told)
        for message in messages:
            self.assertIn(message, worker.output())
        self.assertNotIn("assigned", worker.output())

    def goes_on(self, config):
        """Whether the edited file is what runs from now on."""
        code, told = self.judged(config)
        self.assertEqual(code, self.edit.verdict, told)
        if code == DECISION:
            if self.circumstance == "killed" and not self.edit.drop:
                for _ in range(2):  # in the midst of its check, or behind its refusal
                    worker = self.start(config)
                    time.sleep(self.random.uniform(0, 0.5))
                    worker.kill()
            self.refused(config, told)
            if not self.edit.drop:
                return False
            code, told = self.judged(config, *self.flags())
            self.assertEqual(code, GOES_ON, told)
        self.changed(self.edit.meaning)
        self.input.more = "more" in self.edit.of(self.name)["sources"]
        if self.circumstance == "killed":
            for _ in range(2):
                worker = self.start(config, *self.flags())
                time.sleep(self.random.uniform(0, 1.5))  # the moment is what is chosen; nothing is waited for
                self.assertTrue(worker.running(), worker.seen())
                worker.kill()
        return True

    def runs_for_a_while(self, config, flags):
        before = sum(self.read().values())
        worker = self.start(config, *flags)
        wait_for("rows to be read", lambda: sum(self.read().values()) > before + 100, 120, worker.seen, every=0.2)
        self.stops(worker)

    def goes_back(self, config):
        code, told = self.judged(config)
        self.assertEqual(code, self.edit.back, told)
        if code != GOES_ON:
            self.refused(config, told)
            return False
        self.changed(Meaning())
        return True

    def ends(self, config, flags):
        """More rows, a question to the view, and all that is open."""
        before = sum(self.read().values())
        worker = self.start(config, *flags)
        wait_for("rows to be read", lambda: sum(self.read().values()) > before + 60, 120, worker.seen, every=0.2)
        self.input.stop()
        self.records = self.raw()
        view = "stand" if "stand:" in config.read_text() else "standing"
        expected = set(self.asked("SELECT carrier, count(*), sum(cents) FROM named GROUP BY carrier"))

        def shown():
            try:
                answer = json.loads(worker.http(f"/v1/views/{view}?limit=100"))["rows"]
            except OSError:
                return False
            self.shown = {(row["carrier"], row["n"], row["total"]) for row in answer}
            return self.shown == expected
        self.shown = None
        wait_for("the view", shown, 120, lambda: f"{self.shown}, and not {expected}\n{worker.seen()}", every=0.1)
        self.assertEqual(worker.stop(), 0, worker.seen())
        self.start(config, *flags, "--until_end", "--close_windows").finish(120)

    def raw(self):
        """All records, each with the number of the version that has read it."""
        tables = []
        for of in ("events", "more"):
            table = topics.read(self.stack.brokers, f"{self.name}-{of}")
            version = [sum(offset >= cut[of].get(partition, 0) for cut in self.cuts)
                       for partition, offset in zip(table["partition"].to_pylist(), table["offset"].to_pylist())]
            tables.append(table.append_column("version", pyarrow.array(version, pyarrow.int32())))
        return pyarrow.concat_tables(tables)

    def asked(self, query):
        """Rows by DuckDB. It knows `named`: what the join gives out, beside what the version that has read it means."""
        meanings = pyarrow.Table.from_pylist(
            [{"version": n, **{f"means_{what}": value for what, value in vars(meaning).items()}}
             for n, meaning in enumerate(self.meanings)])
        carriers = pyarrow.table({"route": list(ROUTES), "carrier": list(ROUTES.values())})
        return duck.rows("""
            WITH events AS (
              SELECT CAST(decode(key) AS BIGINT) AS id, "offset", version, value->>'route' AS route,
                CAST(value->>'cents' AS INTEGER) AS cents, CAST(value->>'price' AS DECIMAL(20,2)) AS price,
                CAST(value->>'at' AS BIGINT) AS ms, value->>'note' AS note
              FROM (SELECT key, "offset", version, CAST(decode(value) AS JSON) AS value FROM records)),
            named AS (
              SELECT * FROM events JOIN meanings USING (version) JOIN carriers USING (route)
              QUALIFY row_number() OVER (PARTITION BY id ORDER BY "offset") = 1 OR NOT means_once),
            rows AS (SELECT id, cents, carrier, CASE WHEN means_note THEN note END AS note, means_lake FROM named)
            """ + query, records=self.records, meanings=meanings, carriers=carriers)

    def compare(self):
        totals = "SELECT carrier, count(*), sum(cents) FROM named GROUP BY carrier"
        latest = {}
        for key, value in self.written("latest"):
            latest[key] = value and (value["carrier"], value["n"], value["total"])
        self.assertEqual(set(latest.values()), set(self.asked(totals)), "the compacted topic")
        self.same_sums()
        self.assertEqual(self.table(), self.asked("SELECT DISTINCT id, cents, carrier, note FROM rows ORDER BY id"), "the table")
        self.same_lake()
        counted = collections.Counter(value["id"] for _, value in self.written("dears"))
        self.assertEqual(counted, dict(self.asked("SELECT id, count(*) FROM named WHERE cents > 90 AND means_dear GROUP BY id")))
        days = {(value["carrier"], value["window_start"]): value["n"] for _, value in self.written("days")}
        day = 86_400_000
        self.assertEqual(days, {(carrier, start): n for carrier, start, n in self.asked(
            f"SELECT carrier, ms - ms % {day}, count(*) FROM named WHERE means_days GROUP BY ALL")})

    def sums(self):
        return collections.Counter((v["route"], v["window_start"], v["n"], v["total"], decimal.Decimal(v["worth"]))
                                   for _, v in self.written("sums"))

    def same_sums(self):
        """Each window once, of all its rows. Where it was given up, what had been told before is there, and no more."""
        hour = 3_600_000
        expected = collections.Counter(self.asked(
            f"SELECT route, ms - ms % {hour}, count(*), sum(cents), sum(price) FROM named WHERE cents < means_limit GROUP BY ALL"))
        found = self.sums()
        if self.meanings[-1].sums:
            self.assertEqual(found, expected, "the windows")
        else:
            self.assertTrue(self.told, "no window had been told")
            self.assertEqual(found, self.told, "the windows that were told")
            self.assertEqual(found - expected, collections.Counter(), "the windows that were told")

    def database(self):
        return psycopg.connect(self.stack.database_url, autocommit=True, connect_timeout=20,
                               options="-c statement_timeout=60s -c lock_timeout=60s")

    def table(self):
        with self.database() as database:
            table = f"{self.name}_rows"
            has = database.execute("SELECT 1 FROM information_schema.columns WHERE table_name = %s AND column_name = 'note'",
                                   (table,)).fetchone()
            return database.execute(f"SELECT id, cents, carrier, {'note' if has else 'NULL'} FROM {table} ORDER BY id").fetchall()

    def files(self):
        return list((self.stack.folder / "lake" / self.name).glob("**/*.parquet"))

    def lake(self):
        if not self.files():
            return collections.Counter()
        files = f"read_parquet('{self.stack.folder}/lake/{self.name}/**/*.parquet', union_by_name = true)"
        named = {row[0] for row in duck.rows(f"DESCRIBE SELECT * FROM {files}")}
        return collections.Counter(duck.rows(f"SELECT id, cents, carrier, {'note' if 'note' in named else 'NULL'} FROM {files}"))

    def same_lake(self):
        """Of a lake that was taken out what had come until then; what still waited for it is there if it comes back."""
        found = self.lake()
        expected = collections.Counter(self.asked("SELECT id, cents, carrier, note FROM rows WHERE means_lake"))
        if self.meanings[-1].lake:
            self.assertEqual(found, expected, "the lake")
        else:
            self.assertTrue(self.landed, "nothing had come into the lake")
            self.assertEqual(found, self.landed, "the lake that was taken out")
            self.assertEqual(found - expected, collections.Counter(), "the lake that was taken out")

    def written(self, topic):
        if not topics.partitions(self.stack.brokers, f"{self.name}-{topic}"):
            return []
        table = topics.read(self.stack.brokers, f"{self.name}-{topic}")
        return [(key, value and json.loads(value, parse_float=decimal.Decimal))
                for key, value in zip(table["key"].to_pylist(), table["value"].to_pylist())]


def playing(seed):
    edit, circumstance = chosen(seed)

    def test(self):
        self.play(seed)
    test.__doc__ = f"{edit.what}, {circumstance}"
    return test


for each_seed in SEEDS:
    setattr(Edited, f"test_seed_{each_seed:03}", playing(each_seed))


if __name__ == "__main__":
    main(at_once=4)
