#!/usr/bin/env python3
"""Results don't depend on how many workers and threads there are, nor on where commits fall: the same input gives the same
rows of append steps, and the same final value of every key of update steps, which are the oracle's."""

import collections
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import duckdb

import segments
import topics
import topology
from case import SystemTest, main

RECORDS = 100_000
WINDOW_MS = 60_000

# What each sink holds in the end, from the raw topics. Nothing is late and nothing is repeated in this input.
ORACLE = {
    "by_minute": """SELECT item_name, (t - t % {window}) AS window_start, (t - t % {window}) + {window} AS window_end,
                      count(*) AS n FROM raw GROUP BY ALL""",
    "totals": "SELECT item_name, count(*) AS n, max(t) AS newest, sum(location)::BIGINT AS locations FROM raw GROUP BY ALL",
    "leaders": """SELECT item_name, n, newest, locations, row_number() OVER (ORDER BY n DESC, item_name) AS place
                    FROM (SELECT item_name, count(*) AS n, max(t) AS newest, sum(location)::BIGINT AS locations
                          FROM raw GROUP BY ALL) QUALIFY place <= 5""",
    "latest": """SELECT location, camera, id, item_name, t,
                   row_number() OVER (PARTITION BY item_name ORDER BY t DESC, id) AS place FROM raw QUALIFY place <= 3""",
    "newest_minute": """SELECT location, (t - t % {window}) AS window_start, (t - t % {window}) + {window} AS window_end,
                          count(*) AS n FROM raw GROUP BY ALL""",
}


def application(name, **more):
    example = topology.load()
    upsert = {"cleanup.policy": "compact"}
    return {
        "name": name, "kafka": example["kafka"], **more,
        "sources": {"detections": example["sources"]["detections"]},
        "steps": {
            "by_minute": {"from": "detections", "window": {"tumbling": "1m"}, "group_by": ["item_name"],
                          "aggregates": {"n": "count(*)"}},
            "totals": {"from": "detections", "group_by": ["item_name"], "emit": "on_update",
                       "aggregates": {"n": "count(*)", "newest": "max(timestamp_detected)",
                                      "locations": "sum(geographical_location_oid)"}},
            "leaders": {"from": "totals", "top": {"k": 5, "order": ["n desc"], "rank": "place"}},
            "latest": {"from": "detections", "emit": "on_update",
                       "top": {"k": 3, "by": ["item_name"], "order": ["timestamp_detected desc", "detection_oid"],
                               "rank": "place"}},
            "newest_minute": {"from": "detections", "window": {"tumbling": "1m"}, "emit": "on_update",
                              "group_by": ["geographical_location_oid"], "aggregates": {"n": "count(*)"}},
        },
        "sinks": {
            "by_minute_topic": {"from": "by_minute", "topic": f"{name}-by_minute", "key": ["item_name"], "create": {}},
            "totals_topic": {"from": "totals", "topic": f"{name}-totals", "key": ["item_name"], "create": {"config": upsert}},
            "leaders_topic": {"from": "leaders", "topic": f"{name}-leaders", "key": ["place"], "create": {"config": upsert}},
            "latest_topic": {"from": "latest", "topic": f"{name}-latest", "key": ["item_name", "place"], "key_format": "json",
                             "create": {"config": upsert}},
            "newest_minute_topic": {"from": "newest_minute", "topic": f"{name}-newest_minute", "key_format": "json",
                              "key": ["geographical_location_oid", "window_start", "window_end"],
                              "create": {"config": upsert}},
        },
    }


class Independence(SystemTest):
    @classmethod
    def prepare(cls):
        cls.stack.generate(RECORDS, duplicates=0, events_per_second=RECORDS / 600)
        raw = topics.read(cls.stack.brokers, "detections")
        sql = duckdb.connect()
        sql.register("dump", raw)
        sql.execute("""CREATE TABLE raw AS SELECT v ->> 'item_name' AS item_name,
            CAST(v ->> 'geographical_location_oid' AS BIGINT) AS location,
            CAST(v ->> 'video_camera_oid' AS BIGINT) AS camera, CAST(v ->> 'detection_oid' AS BIGINT) AS id, CAST(v ->> 'timestamp_detected' AS BIGINT) AS t
            FROM (SELECT CAST(decode(value) AS JSON) AS v FROM dump)""")
        cls.expected = {sink: collections.Counter(sql.execute(query.format(window=WINDOW_MS)).fetchall())
                        for sink, query in ORACLE.items()}

    def found(self, name, sink):
        """The rows that count at the end: all of an append sink, of an upsert sink those that stand."""
        records = topics.read(self.stack.brokers, f"{name}-{sink}").sort_by([("partition", "ascending"), ("offset", "ascending")])
        keys, values = records["key"].to_pylist(), records["value"].to_pylist()
        self.written[name] = self.written.get(name, 0) + len(values)
        if sink != "by_minute":
            values = [value for value in dict(zip(keys, values)).values() if value is not None]
        return collections.Counter(tuple(json.loads(value).values()) for value in values)

    def test_workers_threads_and_commits_change_no_result(self):
        self.written, commits = {}, {}
        for name, workers, threads, interval in (("alone", 1, 1, "1s"), ("often", 1, 2, "5ms"), ("many", 3, 2, "30ms")):
            config = topology.write(self.stack.folder / f"{name}.yaml", application(name, commit_interval=interval))
            running = [self.stack.run(config, "--until_end", "--close_windows", name=f"{name}-{w}", threads=threads)
                       for w in range(workers)]
            for worker in running:
                worker.finish(300)
            commits[name] = segments.Transactions(self.stack.folder / "kafka", f"{name}/").count("prepare commit")
            for sink, expected in self.expected.items():
                found = self.found(name, sink)
                self.assertTrue(found == expected, f"{name}, {sink}: {(expected - found).most_common(3)} missing, "
                                                   f"{(found - expected).most_common(3)} too many")
            print(f"  {name}: {workers} workers x {threads} threads, {commits[name]} commits, {self.written[name]} records "
                  f"in the sinks' topics", flush=True)
        # Of two runs the numbers may be equal by chance.
        self.assertGreater(len(set(commits.values())), 1, "the commits fell in the same places")


if __name__ == "__main__":
    main()
