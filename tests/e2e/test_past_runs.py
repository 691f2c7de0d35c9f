#!/usr/bin/env python3
"""A run over a part of the past (`run --from --to`): a raw lake is written, retention takes the beginning of the topic, and
what is computed anew over lake and topic, by workers that are killed and replaced, equals DuckDB's over all that there ever
was. And a topology that is moved from 4 partitions to 16 by a generation."""

import datetime
import json
import pathlib
import random
import shutil
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import confluent_kafka
import psycopg

import duck
import topics
import topology
from case import LONG, SystemTest, main
from stack import BINARY, Worker, wait_for

START_MS = 1_772_323_200_000  # 2026-03-01
STEP_MS = 250                 # between records of a partition
ROUTES = 7
PARTITIONS = 4
RECORDS = 40_000 if LONG else 12_000


def text(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def application(name, topic=None, idle_after="1s", **sinks):
    """Records as they are, for the lake, beside what is read of them; rows once, and counts by the minute."""
    source = {"topic": topic or f"{name}-in",
              "event_time": {"column": "at", "max_out_of_orderness": "30s", "idle_after": idle_after}, "columns": {
                  "id": "int64", "route": "string", "amount": "int64", "at": "timestamp_ms",
                  "raw": {"type": "bytes", "from": "value"},
                  "key": {"type": "bytes", "from": "key", "nullable": True},
                  "part": {"type": "int32", "from": "partition"},
                  "place": {"type": "int64", "from": "offset"},
                  "written": {"type": "timestamp", "from": "timestamp"}}}
    return {
        "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"},
        "commit_interval": "50ms", "sources": {"prices": source},
        "steps": {
            "once": {"from": "prices", "dedup": {"by": ["id"], "within": "1h"}},
            "minutes": {"from": "once", "window": {"tumbling": "1m"}, "group_by": ["route"],
                        "aggregates": {"n": "count(*)", "amount": "sum(amount)"}}},
        "sinks": {
            "lake": {"from": "prices", "parquet": {"path": "${LAKE}/" + name, "max_age": "1s",
                                                   "partition_by": ["date(written)"]}},
            "rows": {"from": "once", "topic": f"{name}-rows", "create": {}},
            "table": {"from": "minutes", "postgres": {"url": "${DATABASE_URL}", "table": f"{name}_minutes",
                                                      "mode": "upsert", "key": ["route", "window_start"]}}, **sinks}}


def records(count, partitions=PARTITIONS, first=0):
    """In every partition a quarter of a second apart, every tenth one twice, up to 20 s out of order by event time."""
    made, draw = [], random.Random(count)
    for number in range(first, first + count):
        at = START_MS + number // PARTITIONS * STEP_MS
        value = json.dumps({"id": number, "route": f"r{number % ROUTES}", "amount": number % 100,
                            "at": at - draw.randrange(20_000)})
        made += [{"value": value, "key": f"k{number}", "partition": number % partitions, "timestamp": at}] * (
            2 if number % 10 == 0 else 1)
    return made


def minutes(table):
    """DuckDB's count over an Arrow table of records."""
    return duck.rows("""
        WITH rows AS (SELECT DISTINCT json_extract_string(decode(value), '$.id')::BIGINT AS id,
                             json_extract_string(decode(value), '$.route') AS route,
                             json_extract_string(decode(value), '$.amount')::BIGINT AS amount,
                             json_extract_string(decode(value), '$.at')::BIGINT AS happened FROM records)
        SELECT route, happened // 60000 * 60000 AS minute, count(*) AS n, sum(amount)::BIGINT AS amount
        FROM rows GROUP BY ALL ORDER BY ALL""", records=table)


class PastRuns(SystemTest):
    needs_postgres = True
    environment = {}  # of workers, beside the stack's
    kafka_settings = ("--set", "group.initial.rebalance.delay.ms=100")

    def start(self, command, config, name, *flags, failpoints=None):
        state_dir = self.stack.folder / "state" / name
        line = [BINARY, command, "--config", str(config), "--state_dir", str(state_dir), "--instance_id", name,
                "--threads", "1", "--http_address", "127.0.0.1:0", *map(str, flags)]
        environment = self.stack.environment(**self.environment, **({"TIDEMARK_FAILPOINTS": failpoints} if failpoints else {}))
        return self.stack.add(Worker(name, line, environment, self.stack.folder / f"{name}.log", state_dir))

    def write(self, name, label="", **more):
        return topology.write(self.stack.folder / f"{name}{label}.yaml", application(name, **more))

    def table(self, name):
        with psycopg.connect(self.stack.database_url) as database:
            rows = database.execute(f"SELECT route, window_start, n, amount FROM {name}").fetchall()
        return sorted((route, round(at.timestamp() * 1000), n, int(amount)) for route, at, n, amount in rows)

    def refused(self, config, *flags, code=2):
        found, out, errors = self.stack.tidemark("run", "--config", config, "--state_dir", self.stack.folder / "refused",
                                                 "--http_address", "127.0.0.1:0", *flags, check=False)
        self.assertEqual(found, code, out + errors)
        return out + errors

    def trim(self, topic, before):
        """As retention does."""
        places = [confluent_kafka.TopicPartition(topic, p, offset) for p, offset in before.items()]
        client = topics.admin(self.stack.brokers)  # must outlive its futures
        for future in client.delete_records(places).values():
            future.result(30)

    def part(self, table, begin, end):
        """The part of each partition's log that the two times mean, by offset."""
        return duck.table(f"""
            WITH bounds AS (SELECT partition, min(CASE WHEN timestamp >= {begin} THEN "offset" END) AS first,
                                   coalesce(min(CASE WHEN timestamp >= {end} THEN "offset" END), max("offset") + 1) AS last
                            FROM records GROUP BY partition)
            SELECT records.* FROM records JOIN bounds USING (partition)
            WHERE "offset" >= first AND "offset" < last""", records=table)

    def test_what_retention_has_taken_comes_from_the_lake_and_every_row_counts_once(self):
        name = "past"
        topics.create(self.stack.brokers, **{f"{name}-in": PARTITIONS})
        topics.produce(self.stack.brokers, f"{name}-in", records(RECORDS))
        config = self.write(name)
        self.start("run", config, f"{name}-live", "--until_end", "--close_windows").finish()
        everything = topics.read(self.stack.brokers, f"{name}-in")
        self.assertEqual(self.table(f"{name}_minutes"), minutes(everything))
        ends = topics.ends(self.stack.brokers, f"{name}-in")
        self.trim(f"{name}-in", {p: ends[p] * (p + 1) // 6 for p in range(PARTITIONS - 1)})

        span = RECORDS // PARTITIONS * STEP_MS
        begin, end = START_MS + span // 10, START_MS + span * 9 // 10
        flags = ["--from", text(begin), "--to", text(end), "--lakes", f"prices={self.stack.folder}/lake/{name}", "--name",
                 "march"]
        self.check_refusals(name, config, flags)
        self.finish_under_kills(config, name, flags)
        wanted = minutes(self.part(everything, begin, end))
        self.assertGreater(len(wanted), 50)
        self.assertEqual(self.table(f"{name}_minutes__run_march"), wanted)
        ids = sorted(json.loads(value)["id"]
                     for value in topics.read(self.stack.brokers, f"{name}-rows.run_march")["value"].to_pylist())
        self.assertEqual(ids, sorted({json.loads(value)["id"]
                                      for value in self.part(everything, begin, end)["value"].to_pylist()}))
        self.assertEqual(self.table(f"{name}_minutes"), minutes(everything), "the real table has changed")

        # Once more is the same, and another run of that name is another name.
        again = self.start("run", config, f"{name}-again", *flags).finish()
        self.assertIn("run march is done", again)
        self.assertIn("nothing was changed", again)
        self.assertIn("run march", self.stack.tidemark("generations", "list", "--config", config)[1])
        told = self.refused(config, "--from", text(begin), "--to", text(end - 60_000), *flags[4:])
        self.assertIn("was begun with --from", told)
        # Static members stay for the time of their session.
        drop = lambda: self.stack.tidemark("generations", "drop", "march", "--config", config, check=False)[0] == 0
        wait_for("the run to be dropped", drop, 30, every=0.5)
        self.assertEqual([t for t in topics.names(self.stack.brokers) if "__run_march" in t], [])
        # The lake has moved to S3, as its source says from now on.
        self.environment = self.stack.s3().environment()
        self.stack.s3().upload(self.stack.folder / "lake" / name, "raw")
        moved = application(name)
        moved["sources"]["prices"]["replay"] = {"from": "parquet", "path": f"s3://{self.stack.s3().bucket}/raw"}
        moved = topology.write(self.stack.folder / f"{name}-moved.yaml", moved)
        self.assertIn("replay: records that topic past-in has no more are in the raw lake s3://",
                      self.stack.tidemark("describe", "--config", moved)[1])
        self.assertRegex(self.stack.tidemark("plan", "--config", moved, "--against", config)[1],
                         r"prices +goes on: topic past-in\n")
        self.finish_anew(moved, name, [*flags[:4], *flags[6:]])
        self.assertEqual(self.table(f"{name}_minutes__run_march"), wanted)
        again = topics.read(self.stack.brokers, f"{name}-rows.run_march")["value"].to_pylist()
        self.assertEqual(sorted(json.loads(value)["id"] for value in again), ids)

    def check_refusals(self, name, config, flags):
        told = self.refused(config, *flags[:4])
        self.assertIn("whether what retention has taken was, nobody knows", told)
        # A file is gone: a hole is a stop, and nothing shows.
        lake = self.stack.folder / "lake" / name
        gone = sorted(lake.rglob("*.parquet"), key=lambda path: path.stat().st_size)[-1]
        shutil.move(gone, self.stack.folder / "gone")
        told = self.refused(config, *flags[:-1], "holed")
        self.assertRegex(told, "has no record of offset|ends before offset|nobody knows")
        shutil.move(self.stack.folder / "gone", gone)
        self.assertIn("--from goes with --to", self.refused(config, "--from", text(START_MS)))

    def finish_under_kills(self, config, name, flags):
        """Two workers of the run, one or the other of which dies."""
        draw = random.Random(7)
        self.assertEqual(self.start("run", config, f"{name}-a", *flags, failpoints="past_run.prepared=kill@1").wait(60), -9)
        workers = {n: self.start("run", config, f"{name}-{n}", *flags) for n in "ab"}
        for _ in range(20 if LONG else 4):
            time.sleep(draw.uniform(0.3, 1.2))
            victim = draw.choice("ab")
            if workers[victim].running():
                workers[victim].kill()
            workers[victim] = self.start("run", config, f"{name}-{victim}", *flags)
        for worker in workers.values():
            worker.finish(120)

    def finish_anew(self, config, name, flags):
        """What the run has written is taken away, as its owner does, and the same command computes it once more."""
        client = topics.admin(self.stack.brokers)  # must outlive its futures
        for future in client.delete_topics([f"{name}-rows.run_march"]).values():
            future.result(30)
        shutil.rmtree(self.stack.folder / "lake" / f"{name}.run_march")
        with psycopg.connect(self.stack.database_url) as database:
            database.execute(f"TRUNCATE {name}_minutes__run_march")
        last = self.start("run", config, f"{name}-c", *flags, failpoints="past_run.before_done=kill@1")
        self.assertEqual(last.wait(120), -9, last.seen())
        self.assertIn("run march is done", self.start("run", config, f"{name}-c", *flags).finish(60))

    def test_a_run_into_the_targets_adds_its_rows_and_nothing_else(self):
        name = "added"
        topics.create(self.stack.brokers, **{f"{name}-in": PARTITIONS})
        topics.produce(self.stack.brokers, f"{name}-in", records(2_000))
        config = self.write(name)
        everything = topics.read(self.stack.brokers, f"{name}-in")
        # The application begins with what comes from now on, and has never seen the past.
        live = application(name)
        live["sources"]["prices"]["start"] = "latest"
        live = topology.write(self.stack.folder / f"{name}-live.yaml", live)
        worker = self.start("run", live, f"{name}-live")
        wait_for("the live worker", worker.ready, 60, worker.seen)
        new = records(400, first=200_000)
        self.start("run", config, f"{name}-past", "--from", "earliest", "--to", text(START_MS + 86_400_000), "--into",
                   "targets").finish()
        lake = duck.rows(f"SELECT part, place, raw FROM read_parquet('{self.stack.folder}/lake/{name}/**/*.parquet')")
        self.assertEqual(sorted(lake), sorted(zip(*(everything[c].to_pylist() for c in ("partition", "offset", "value")))))
        topics.produce(self.stack.brokers, f"{name}-in", new)
        newest = topics.read(self.stack.brokers, f"{name}-in")
        ids = {json.loads(value)["id"] for value in newest["value"].to_pylist()}
        rows = lambda: [json.loads(value)["id"] for value in topics.read(self.stack.brokers, f"{name}-rows")["value"].to_pylist()]
        wait_for("the rows of both", lambda: len(rows()) >= len(ids), 60, lambda: f"{len(rows())} of {len(ids)}")
        self.assertEqual(sorted(rows()), sorted(ids))
        self.assertEqual(self.table(f"{name}_minutes"), minutes(everything))
        worker.kill()
        totals = application(name)
        totals["steps"]["totals"] = {"from": "once", "group_by": ["route"], "aggregates": {"n": "count(*)"}}
        totals["sinks"]["sums"] = {"from": "totals", "topic": f"{name}-totals", "key": ["route"], "create": {}}
        told = self.refused(topology.write(self.stack.folder / f"{name}-totals.yaml", totals), "--from", "earliest", "--to",
                            text(START_MS + 1), "--into", "targets")
        self.assertIn("step totals counts over all time", told)

    def test_four_partitions_become_sixteen_by_a_generation(self):
        name = "wider"
        topics.create(self.stack.brokers, **{f"{name}-4": 4, f"{name}-16": 16})
        first, later = records(4_000), records(2_000, first=4_000)
        topics.produce(self.stack.brokers, f"{name}-4", first)
        sinks = {"lake": {"from": "prices", "topic": f"{name}-all", "create": {}}}
        # A partition whose later rows come behind another's isn't idle meanwhile, however slow the machine.
        old = self.write(name, "-4", topic=f"{name}-4", idle_after="60s", **sinks)
        new = self.write(name, "-16", topic=f"{name}-16", idle_after="60s", **sinks)
        narrow = self.start("run", old, f"{name}-narrow")
        wait_for("the narrow one", narrow.ready, 60, narrow.seen)
        # Whoever writes goes over to the other topic, which has been given the past as well.
        topics.produce(self.stack.brokers, f"{name}-16", [{**r, "partition": hash_of(r["key"], 16)} for r in first])
        wide = self.start("replay", new, f"{name}-wide", "--active", old, "--from", "earliest")
        wait_for("the next generation", lambda: "being built" in self.stack.tidemark(
            "generations", "list", "--config", new)[1], 60, wide.seen)
        self.stack.tidemark("switch", "--config", new)
        self.assertEqual(narrow.wait(60), 0, narrow.seen())
        topics.produce(self.stack.brokers, f"{name}-16", [{**r, "partition": hash_of(r["key"], 16)} for r in later])
        self.assertEqual(wide.stop(), 0, wide.seen())
        self.start("run", new, f"{name}-wide", "--until_end", "--close_windows").finish()
        self.assertEqual(topics.partitions(self.stack.brokers, f"{name}.__2.once.changelog"), 16)
        self.assertEqual(self.table(f"{name}_minutes"), minutes(topics.read(self.stack.brokers, f"{name}-16")))

    @unittest.skipUnless(LONG, "TIDEMARK_LONG=1")
    def test_twenty_rolling_restarts_under_load_change_nothing_and_pause_no_task_for_long(self):
        name = "rolling"
        topics.create(self.stack.brokers, **{f"{name}-in": PARTITIONS})
        config = self.write(name, lake={
            "from": "once", "topic": f"{name}-parts", "create": {"partitions": PARTITIONS}})
        workers = {n: self.start("run", config, f"{name}-{n}") for n in "ab"}
        for worker in workers.values():
            wait_for(f"{worker.name}", worker.ready, 60, worker.seen)
        traffic = Traffic(self.stack.brokers, f"{name}-in")
        try:
            for turn in range(20):
                time.sleep(2)
                which = "ab"[turn % 2]
                if turn % 3 == 2:
                    workers[which].kill()
                else:
                    self.assertEqual(workers[which].stop(), 0, workers[which].seen())
                workers[which] = self.start("run", config, f"{name}-{which}")
                wait_for(f"{name}-{which} again", workers[which].ready, 60, workers[which].seen)
        finally:
            traffic.end()
        for worker in workers.values():
            self.assertEqual(worker.stop(), 0, worker.seen())
        self.start("run", config, f"{name}-a", "--until_end", "--close_windows").finish()
        written = topics.read(self.stack.brokers, f"{name}-in")
        self.assertEqual(self.table(f"{name}_minutes"), minutes(written))
        # What the rows of one partition were written at: input comes all the time, so a gap is a pause of its task.
        seen = topics.read(self.stack.brokers, f"{name}-parts")
        times = {}
        for value, at in zip(seen["value"].to_pylist(), seen["timestamp"].to_pylist()):
            times.setdefault(json.loads(value)["part"], []).append(at)
        longest = max(later - at for of_part in times.values()
                      for at, later in zip(sorted(of_part), sorted(of_part)[1:]) if later <= traffic.ended_ms)
        print(f"20 restarts, 6 of them by kill -9: the longest pause of a task was {longest / 1000:.2f} s")
        self.assertEqual(len(times), PARTITIONS)
        self.assertLessEqual(longest, 5_000)


class Traffic:
    """Rows of all partitions, now and always, until it is ended."""

    def __init__(self, brokers, topic):
        self.brokers, self.topic, self.next, self.ended_ms = brokers, topic, 0, None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopped.wait(0.02):
            made = records(8 * PARTITIONS, first=self.next)
            topics.produce(self.brokers, self.topic, [{k: v for k, v in each.items() if k != "timestamp"} for each in made])
            self.next += 8 * PARTITIONS

    def end(self):
        self.ended_ms = time.time() * 1000
        self.stopped.set()
        self.thread.join()


def hash_of(key, partitions):
    return topics.java_partition(key.encode(), partitions)


if __name__ == "__main__":
    main(at_once=True)
