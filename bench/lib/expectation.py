"""Is what a system wrote right? The oracle's tables against the output topics, row by row.

The oracle (tests/e2e/lib) computes each dataset's expectation once, in DuckDB from the raw topics. Every run's output is
compared by a fingerprint of its rows as a multiset; only where that differs are the rows themselves looked for.
"""

import readback
import topics
from oracle import Oracle
from results import ENRICHED, ITEM_COUNTS, TEXT, Difference, compare, misplaced

TOP_ITEMS = ["geographical_location", "item_rank", "item_name", "window_start", "window_end", "detections"]
# Output topic -> its columns, in the order of the JSON, and the one that is the record's key.
OUTPUTS = {"enriched": (ENRICHED, "geographical_location_oid"),
           "item_counts": (ITEM_COUNTS, "geographical_location_oid"),
           "top_items": (TOP_ITEMS, "geographical_location")}
ORDER_SAMPLE = 997  # every so manieth record is checked for the exact fields and their order


class Expectation:
    """What the topics `detections` and `locations` of one dataset must give."""

    def __init__(self, brokers, source, table):
        self.brokers = brokers
        raw = readback.read(brokers, source)
        self.records = raw.num_rows
        self.partitions = topics.partitions(brokers, source)
        oracle = Oracle(raw, readback.read(brokers, table), self.partitions)
        self.sql = oracle.sql
        self.sql.execute("CREATE TABLE partition_ends AS "
                         "SELECT max(timestamp_detected) AS last_ms FROM detections GROUP BY \"partition\"")
        # What led there is large, and has done its part.
        for left in ("judged", "joined", "windowed", "all_counts", "detections"):
            self.sql.execute(f"DROP TABLE {left}")
        for name in ("raw_detections", "raw_locations"):
            self.sql.unregister(name)

    def differences(self, prefix, names, open_windows=False):
        """Compares the topics `prefix` + name. `open_windows`: the system leaves the last windows open, so only those
        that every partition has passed by far are compared."""
        found = []
        for name in names:
            columns, key = OUTPUTS[name]
            found += self._topic(prefix + name, name, columns, key, open_windows)
        return found

    def _topic(self, topic, name, columns, key, open_windows):
        self._load(topic, columns)
        where = ""
        if open_windows and "window_end" in columns:
            where = " WHERE window_end + 10000 <= (SELECT min(last_ms) FROM partition_ends)"
        expected, actual = f"(SELECT * FROM expected_{name}{where})", f"(SELECT * FROM actual{where})"
        found = self._odd_fields(topic, columns)
        if self._fingerprint(expected, columns) != self._fingerprint(actual, columns):
            found += compare(self.sql, f"topic {topic}", expected, actual, columns)
        found += misplaced(self.sql, f"topic {topic}", "actual", key, topics.partitions(self.brokers, topic))
        self.sql.execute("DROP TABLE actual")
        return found

    def _load(self, topic, columns):
        self.sql.register("dump", readback.read(self.brokers, topic))
        shape = ", ".join(f'"{c}":"{"VARCHAR" if c in TEXT else "BIGINT"}"' for c in columns)
        self.sql.execute(f"""CREATE OR REPLACE TABLE actual AS
            SELECT "partition" AS record_partition, decode(key) AS record_key, unnest(v)
            FROM (SELECT "partition", key, from_json(CAST(decode(value) AS JSON), '{{{shape}}}') AS v FROM dump)""")

    def _odd_fields(self, topic, columns):
        odd = self.sql.execute(f"""SELECT json_keys(CAST(decode(value) AS JSON)) AS fields, count(*) FROM dump
            WHERE "offset" % {ORDER_SAMPLE} = 0 GROUP BY 1 HAVING fields <> ?""", [columns]).fetchall()
        self.sql.unregister("dump")
        return [Difference(f"topic {topic}", "with other fields", sum(n for _, n in odd), odd[:3])] if odd else []

    def _fingerprint(self, table, columns):
        return self.sql.execute(f"SELECT count(*), sum(hash({', '.join(columns)})::HUGEINT) FROM {table} t").fetchall()[0]
