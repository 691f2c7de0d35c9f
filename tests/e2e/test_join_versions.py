#!/usr/bin/env python3
"""Joins with versions on a real broker: detections with the town that their location had at their own time, and each day's
counts beside those of 30 days before, a step joined with itself; and detections with the home of their location, a partitioned
table whose rows replace each other and go. Two workers, one killed in the middle, one topic far ahead of
the other, rows out of order and too late. Equal to DuckDB's ASOF JOIN over the raw topics, with what is late decided there too."""

import collections
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import duckdb

import topics
import topology
from case import SystemTest, main
from stack import wait_for

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
STEP_MS = DAY_MS // 96  # a row each quarter of an hour
OUT_OF_ORDER_MS, KEEP_MS, GRACE_MS = 6 * HOUR_MS, 10 * DAY_MS, HOUR_MS
PARTITIONS = {"seen": 3, "moves": 2, "homes": 2}
KEPT_MS = HOUR_MS  # where a join says nothing

JUDGED = """CREATE TABLE {name} AS SELECT *, max("at") OVER (PARTITION BY "partition" ORDER BY "offset") - {out_of_order} AS watermark FROM (
    SELECT "partition", "offset", CAST(v ->> 'location' AS BIGINT) AS location, CAST(v ->> 'no' AS BIGINT) AS no,
           v ->> 'town' AS town, v ->> 'op' AS op, CAST(v ->> 'at' AS BIGINT) AS "at"
    FROM (SELECT "partition", "offset", CAST(decode(value) AS JSON) AS v FROM dump))"""
# Of changes of one time the last in the order of partitions and offsets counts.
VERSIONS = """CREATE TABLE versions AS
    SELECT location, "at", CASE WHEN op <> 'd' THEN town END AS town FROM moves WHERE "at" + {grace} >= watermark
    QUALIFY row_number() OVER (PARTITION BY location, "at" ORDER BY "partition" DESC, "offset" DESC) = 1"""
LOCATED = """
    SELECT s.location, s.no, s."at", v.town FROM seen s ASOF LEFT JOIN versions v
        ON s.location = v.location AND s."at" >= v."at"
    WHERE s."at" + {keep} + {grace} >= s.watermark"""
DAYS = """CREATE TABLE days AS SELECT location, ends, count(*) AS n FROM (
    SELECT location, "at" - "at" % {day} + {day} AS ends, watermark FROM seen) WHERE ends > watermark GROUP BY ALL"""
# Rows of a key count in their order, each from its own time on, but not from behind what its partition had come to.
HOMES = """CREATE TABLE homes AS SELECT location, since, home FROM (
    SELECT CAST(decode(key) AS BIGINT) AS location, "offset", CAST(decode(value) AS JSON) ->> 'home' AS home,
           max("timestamp") OVER (PARTITION BY "partition" ORDER BY "offset") AS since FROM dump)
    QUALIFY row_number() OVER (PARTITION BY location, since ORDER BY "offset" DESC) = 1"""
HOUSED = """
    SELECT s.location, s.no, s."at", h.home FROM seen s ASOF LEFT JOIN homes h
        ON s.location = h.location AND s."at" >= h.since
    WHERE s."at" + {kept} >= s.watermark"""
COMPARED = """
    SELECT d.location, d.ends - {day}, d.ends, d.n, b.n, b.ends FROM days d ASOF LEFT JOIN days b
        ON d.location = b.location AND d.ends - {month} >= b.ends - 1"""


def application(name):
    def source(topic, columns):
        return {"topic": topic, "columns": {"location": {"type": "int64", "nullable": True}, "no": "int64", **columns, "at": "timestamp_ms"},
                "event_time": {"column": "at", "max_out_of_orderness": "6h", "idle_after": "10000h", "max_ahead": "10000d"}}
    return {
        "name": name, "kafka": topology.load()["kafka"], "commit_interval": "30ms",
        "dead_letter": {"topic": f"{name}-dead", "create": {}},
        "sources": {"seen": source("seen", {}), "moves": source("moves", {"town": "string", "op": "string"})},
        "tables": {"homes": {"topic": "homes", "global": False, "key": ["location"], "format": {"type": "json", "partitioner": "any"},
                             "columns": {"location": "int64", "home": "string"}, "event_time": {"idle_after": "10000h"}}},
        "steps": {
            "housed": {"from": "seen", "join": {"table": "homes", "on": ["location"], "type": "left"}},
            "located": {"from": "seen", "join": {
                "table": {"from": "moves"}, "on": ["location"], "versioned": {"keep": "10d", "deleted": "op = 'd'"}, "grace": "1h",
                "type": "left", "columns": ["town"], "late": {"right": f"{name}-late-moves"}}},
            "days": {"from": "seen", "window": {"tumbling": "1d"}, "group_by": ["location"], "aggregates": {"n": "count(*)"}},
            "compared": {"from": "days", "join": {
                "table": {"from": "days"}, "on": ["location"], "as_of": "window_end - interval '30 days'",
                "versioned": {"keep": "40d"}, "type": "left", "columns": ["n", "window_end"], "prefix": "before_"}},
        },
        "sinks": {"housed_topic": {"from": "housed", "topic": f"{name}-housed", "create": {}},
                  "located_topic": {"from": "located", "topic": f"{name}-located", "create": {}},
                  "compared_topic": {"from": "compared", "topic": f"{name}-compared", "create": {}}},
    }


class JoinVersions(SystemTest):
    def write(self, topic, first, count, random_):
        """Out of order, in whole minutes, so that times repeat; one in fifty is too late, one in thirty has no location."""
        records = []
        for number in range(first, first + count):
            late = 20 * DAY_MS if random_.randrange(50) == 0 else 0
            at = START_MS + number * STEP_MS - random_.randrange(OUT_OF_ORDER_MS // HOUR_MS) * HOUR_MS - late
            if topic == "homes":
                location, value = random_.randrange(12), {"home": f"home-{random_.randrange(1000)}"}
                records.append({"key": str(location).encode(), "value": json.dumps(value).encode() if random_.randrange(5) else None,
                                "timestamp": at, "partition": location % 2})
                continue
            row = {"location": None if random_.randrange(30) == 0 else random_.randrange(12), "no": number}
            if topic == "moves":
                row |= {"town": f"town-{random_.randrange(1000)}", "op": "d" if random_.randrange(6) == 0 else "u"}
            records.append({"value": json.dumps({**row, "at": at}).encode(), "timestamp": at,
                            "partition": random_.randrange(PARTITIONS[topic])})
        topics.produce(self.stack.brokers, topic, records)

    def expected(self):
        sql = duckdb.connect()
        for name in PARTITIONS:
            sql.register("dump", topics.read(self.stack.brokers, name))
            if name == "homes":
                sql.execute(HOMES)
                continue
            sql.execute(JUDGED.format(name=name, out_of_order=OUT_OF_ORDER_MS))
            sql.unregister("dump")
        numbers = {"kept": KEPT_MS, "grace": GRACE_MS, "keep": KEEP_MS, "day": DAY_MS, "month": 30 * DAY_MS}
        sql.execute(VERSIONS.format(**numbers))
        sql.execute(DAYS.format(**numbers))
        late = sql.execute(f'SELECT count(*) FROM moves WHERE "at" + {GRACE_MS} < watermark').fetchall()[0][0]
        expired = sql.execute(f"""SELECT count(*) FROM seen WHERE "at" + {KEEP_MS + GRACE_MS} < watermark
                                  AND location IS NOT NULL""").fetchall()[0][0]
        located = sql.execute(LOCATED.format(**numbers) + f""" UNION ALL SELECT location, no, "at", NULL FROM seen
            WHERE location IS NULL AND "at" + {KEEP_MS + GRACE_MS} < watermark""").fetchall()
        housed = sql.execute(HOUSED.format(**numbers) + f""" UNION ALL SELECT location, no, "at", NULL FROM seen
            WHERE location IS NULL AND "at" + {KEPT_MS} < watermark""").fetchall()
        expired += sql.execute(f"""SELECT count(*) FROM seen WHERE "at" + {KEPT_MS} < watermark
                                   AND location IS NOT NULL""").fetchall()[0][0]
        compared = sql.execute(COMPARED.format(**numbers)).fetchall()
        return {"housed": collections.Counter(housed), "located": collections.Counter(located), "compared": collections.Counter(compared)}, late, expired

    def test_each_row_meets_the_version_of_its_time_across_a_kill_with_one_side_ahead(self):
        topics.create(self.stack.brokers, **PARTITIONS)
        random_ = random.Random(1)
        self.write("seen", 0, 12_000, random_)
        self.write("moves", 0, 3_000, random_)
        self.write("homes", 0, 3_000, random_)
        name = "versions"
        config = topology.write(self.stack.folder / "versions.yaml", application(name))
        workers = [self.stack.run(config, name=f"versions-{w}", threads=1) for w in range(2)]
        wait_for("results", lambda: topics.partitions(self.stack.brokers, f"{name}-located") and
                 sum(topics.ends(self.stack.brokers, f"{name}-located").values()) > 2_000, 180, workers[0].seen)
        workers[0].kill()
        self.write("moves", 3_000, 9_000, random_)
        self.write("homes", 3_000, 9_000, random_)
        workers[1].stop()
        ends = [self.stack.run(config, "--until_end", "--close_windows", name=f"versions-{w}", threads=1) for w in range(2)]
        for worker in ends:
            worker.finish(300)
        expected, late, expired = self.expected()
        for topic, rows in expected.items():
            found = collections.Counter(tuple(json.loads(value).values())
                                        for value in topics.read(self.stack.brokers, f"{name}-{topic}")["value"].to_pylist())
            self.assertTrue(found == rows, f"{topic}: {(rows - found).most_common(3)} missing, {(found - rows).most_common(3)} too many")
        self.assertEqual(topics.read(self.stack.brokers, f"{name}-late-moves").num_rows, late)
        self.assertEqual(topics.read(self.stack.brokers, f"{name}-dead").num_rows, expired)
        self.assertGreater(late, 100)
        self.assertGreater(expired, 100)
        towns = sum(row[3] is not None for row in expected["located"].elements())
        housed = sum(row[3] is not None for row in expected["housed"].elements())
        self.assertGreater(housed, 1_000)
        self.assertGreater(expected["housed"].total() - housed, 1_000)
        before = sum(row[4] is not None for row in expected["compared"].elements())
        self.assertGreater(towns, 1_000)
        self.assertGreater(before, 500)
        print(f"  {housed} of {expected['housed'].total()} detections at a home, {towns} of {expected['located'].total()} detections in a town, {before} of {expected['compared'].total()} days "
              f"with one before, {late} moves late, {expired} detections expired", flush=True)


if __name__ == "__main__":
    main()
