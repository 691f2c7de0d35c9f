#!/usr/bin/env python3
"""A full join of two streams on a real broker: two workers, one killed in the middle, one topic far ahead of the other,
rows out of order and rows too late. Equal to DuckDB's join over the raw topics, with what is late decided there too."""

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
OUT_OF_ORDER_MS, BEFORE_MS, AFTER_MS, GRACE_MS = 5_000, 20_000, 60_000, 2_000
PARTITIONS = {"orders": 3, "payments": 2}

JUDGED = """CREATE TABLE {name} AS SELECT *, row_number() OVER () AS n FROM (
    SELECT *, max("at") OVER (PARTITION BY "partition" ORDER BY "offset") - {out_of_order} AS watermark FROM (
        SELECT "partition", "offset", CAST(v ->> 'id' AS BIGINT) AS id, CAST(v ->> '{name}_no' AS BIGINT) AS no,
               CAST(v ->> 'at' AS BIGINT) AS "at"
        FROM (SELECT "partition", "offset", CAST(decode(value) AS JSON) AS v FROM dump)))"""
JOINED = """
    WITH l AS (SELECT * FROM orders WHERE "at" + {grace} >= watermark), r AS (SELECT * FROM payments WHERE "at" + {grace} >= watermark),
         pairs AS (SELECT l.n AS a, r.n AS b FROM l JOIN r ON l.id = r.id AND r."at" BETWEEN l."at" - {before} AND l."at" + {after})
    SELECT l.id, l.no, l."at", r.no, r."at" FROM pairs JOIN l ON l.n = a JOIN r ON r.n = b
    UNION ALL SELECT id, no, "at", NULL, NULL FROM l WHERE n NOT IN (SELECT a FROM pairs)
    UNION ALL SELECT id, NULL, NULL, no, "at" FROM r WHERE n NOT IN (SELECT b FROM pairs)"""


def application(name):
    def source(topic):
        return {"topic": topic, "columns": {"id": {"type": "int64", "nullable": True}, f"{topic}_no": "int64", "at": "timestamp_ms"},
                "event_time": {"column": "at", "max_out_of_orderness": "5s", "idle_after": "10000h", "max_ahead": "10000d"}}
    return {
        "name": name, "kafka": topology.load()["kafka"], "commit_interval": "30ms",
        "sources": {"orders": source("orders"), "payments": source("payments")},
        "steps": {"both": {"from": "orders", "join": {
            "stream": "payments", "on": ["id"], "within": {"before": "20s", "after": "60s"}, "type": "full", "grace": "2s",
            "prefix": "p_", "late": {"left": f"{name}-late-orders", "right": f"{name}-late-payments"}}}},
        "sinks": {"both_topic": {"from": "both", "topic": f"{name}-both", "create": {}}},
    }


class JoinStreams(SystemTest):
    def write(self, topic, first, count, random_):
        """A row a second of event time, out of order; one in fifty is too late, one in thirty has no id."""
        records = []
        for number in range(first, first + count):
            late = 90_000 if random_.randrange(50) == 0 else 0
            at = START_MS + number * 1_000 - random_.randrange(OUT_OF_ORDER_MS) - late
            id_ = None if random_.randrange(30) == 0 else random_.randrange(12)
            records.append({"value": json.dumps({"id": id_, f"{topic}_no": number, "at": at}).encode(), "timestamp": at,
                            "partition": random_.randrange(PARTITIONS[topic])})
        topics.produce(self.stack.brokers, topic, records)

    def expected(self):
        sql = duckdb.connect()
        for name in PARTITIONS:
            sql.register("dump", topics.read(self.stack.brokers, name))
            sql.execute(JUDGED.format(name=name, out_of_order=OUT_OF_ORDER_MS))
            sql.unregister("dump")
        late = {name: sql.execute(f'SELECT count(*) FROM {name} WHERE "at" + {GRACE_MS} < watermark').fetchall()[0][0]
                for name in PARTITIONS}
        rows = sql.execute(JOINED.format(before=BEFORE_MS, after=AFTER_MS, grace=GRACE_MS)).fetchall()
        return collections.Counter(rows), late

    def test_rows_are_those_of_sql_across_a_kill_with_one_side_ahead(self):
        topics.create(self.stack.brokers, **PARTITIONS)
        random_ = random.Random(1)
        self.write("orders", 0, 12_000, random_)
        self.write("payments", 0, 3_000, random_)
        name = "joined"
        config = topology.write(self.stack.folder / "joined.yaml", application(name))
        workers = [self.stack.run(config, name=f"joined-{w}", threads=1) for w in range(2)]
        wait_for("results", lambda: topics.partitions(self.stack.brokers, f"{name}-both") and
                 sum(topics.ends(self.stack.brokers, f"{name}-both").values()) > 2_000, 180, workers[0].seen)
        workers[0].kill()
        self.write("payments", 3_000, 9_000, random_)
        workers[1].stop()
        ends = [self.stack.run(config, "--until_end", "--close_windows", name=f"joined-{w}", threads=1) for w in range(2)]
        for worker in ends:
            worker.finish(300)
        expected, late = self.expected()
        found = collections.Counter(tuple(json.loads(value).values())
                                    for value in topics.read(self.stack.brokers, f"{name}-both")["value"].to_pylist())
        self.assertTrue(found == expected, f"{(expected - found).most_common(3)} missing, {(found - expected).most_common(3)} too many")
        for topic, count in late.items():
            self.assertEqual(topics.read(self.stack.brokers, f"{name}-late-{topic}").num_rows, count)
            self.assertGreater(count, 100)
        kinds = collections.Counter((row[1] is None, row[3] is None) for row in expected.elements())
        self.assertEqual(len(kinds), 3, "there are no rows of some kind")
        print(f"  {kinds[False, False]} pairs, {kinds[False, True]} orders and {kinds[True, False]} payments without match, "
              f"{late} late", flush=True)


if __name__ == "__main__":
    main()
