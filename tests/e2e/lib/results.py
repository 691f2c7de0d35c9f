"""Loads what the sinks hold beside the oracle's expectation and compares both as multisets, exactly."""

import dataclasses
import pathlib
import re

import psycopg

import topics
from stack import Failure

ENRICHED = ["geographical_location_oid", "video_camera_oid", "detection_oid", "item_name", "timestamp_detected",
            "geographical_location"]
ITEM_COUNTS = ["geographical_location_oid", "geographical_location", "item_name", "window_start", "window_end",
               "detections"]
TOP_ITEMS = [*ITEM_COUNTS, "item_rank"]
TEXT = {"item_name", "geographical_location"}


@dataclasses.dataclass
class Difference:
    where: str
    what: str
    rows: int
    samples: list

    def __str__(self):
        samples = "".join(f"\n    {sample}" for sample in self.samples)
        return f"{self.where}: {self.rows} rows {self.what}{samples}"


def compare(sql, where, expected, actual, columns):
    """Differences between two tables as multisets of rows."""
    names = ", ".join(columns)
    differences = []
    for what, left, right in (("missing", expected, actual), ("too many", actual, expected)):
        query = f"SELECT {names} FROM {left} EXCEPT ALL SELECT {names} FROM {right}"
        rows = sql.execute(f"SELECT count(*) FROM ({query})").fetchall()[0][0]
        if rows:
            differences.append(Difference(where, what, rows, sql.execute(f"{query} ORDER BY ALL LIMIT 3").fetchall()))
    return differences


def load_topic(sql, table, dump, columns):
    """JSON records as typed columns beside their key and partition; fails on a record that has other fields."""
    sql.register("dump", dump)
    typed = ", ".join(f"CAST(v ->> '{c}' AS {'VARCHAR' if c in TEXT else 'BIGINT'}) AS {c}" for c in columns)
    sql.execute(f"""CREATE OR REPLACE TABLE {table} AS
        SELECT "partition" AS record_partition, decode(key) AS record_key, {typed}, json_keys(v) AS fields
        FROM (SELECT "partition", key, CAST(decode(value) AS JSON) AS v FROM dump)""")
    sql.unregister("dump")
    odd = sql.execute(f"SELECT fields, count(*) FROM {table} WHERE fields <> ? GROUP BY ALL", [columns]).fetchall()
    if odd:
        raise Failure(f"{table}: records with other fields than {columns}: {odd[:3]}")


def misplaced(sql, where, table, key, count):
    """Records whose key is not the column's text, or that stand where a Java client would not look for them."""
    rows = sql.execute(f"SELECT DISTINCT record_key, record_partition FROM {table}").fetchall()
    wrong = [(k, p) for k, p in rows if k is None or p != topics.java_partition(k.encode(), count)]
    found = [Difference(where, "in a wrong partition", len(wrong), wrong[:3])] if wrong else []
    bad = sql.execute(f"SELECT count(*) FROM {table} WHERE record_key IS DISTINCT FROM {key}::VARCHAR").fetchall()[0][0]
    return found + ([Difference(where, "with a wrong key", bad, [])] if bad else [])


class Results:
    """Compares the sinks of one HTX application with an Oracle. Each method returns a list of Differences."""

    def __init__(self, oracle, brokers, prefix=""):
        self.oracle, self.sql, self.brokers, self.prefix = oracle, oracle.sql, brokers, prefix

    def topic(self, name, columns, key):
        topic = self.prefix + name
        table = f"actual_{name}"
        load_topic(self.sql, table, topics.read(self.brokers, topic), columns)
        return (compare(self.sql, f"topic {topic}", f"expected_{name}", table, columns) +
                misplaced(self.sql, f"topic {topic}", table, key, topics.partitions(self.brokers, topic)))

    def kafka(self):
        return (self.topic("enriched", ENRICHED, "geographical_location_oid") +
                self.topic("item_counts", ITEM_COUNTS, "geographical_location_oid") +
                self.topic("top_items", TOP_ITEMS, "geographical_location"))

    def postgres(self, url, table="top_items"):
        ms = "(extract(epoch FROM {0}) * 1000)::bigint".format
        selected = ", ".join(ms(c) if c.startswith("window_") else f'"{c}"' for c in TOP_ITEMS)
        with psycopg.connect(url) as connection:
            rows = connection.execute(f'SELECT {selected} FROM "{table}"').fetchall()
        types = ", ".join(f"{c} {'VARCHAR' if c in TEXT else 'BIGINT'}" for c in TOP_ITEMS)
        self.sql.execute(f"CREATE OR REPLACE TABLE actual_table ({types})")
        self.insert("actual_table", TOP_ITEMS, rows)
        return compare(self.sql, f"table {table}", "expected_top_items", "actual_table", TOP_ITEMS)

    def insert(self, table, columns, rows):
        if not rows:
            return
        import pyarrow
        self.sql.register("rows", pyarrow.table(dict(zip(columns, map(list, zip(*rows))))))
        self.sql.execute(f"INSERT INTO {table} SELECT {', '.join(columns)} FROM rows")
        self.sql.unregister("rows")

    def lake(self, folder):
        folder = pathlib.Path(folder)
        files = list(folder.glob("**/*.parquet"))
        if not files:
            wanted = self.oracle.count("expected_enriched")
            return [Difference(f"lake {folder}", "missing, no file", wanted, [])] if wanted else []
        self.sql.execute(f"""CREATE OR REPLACE TABLE actual_lake AS
            SELECT * REPLACE (epoch_ms(timestamp_detected) AS timestamp_detected), CAST("date" AS VARCHAR) AS folder_date
            FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)""")
        astray = self.sql.execute("""SELECT count(*) FROM actual_lake
            WHERE folder_date <> strftime(make_timestamp_ms(timestamp_detected), '%Y-%m-%d')""").fetchall()[0][0]
        wrong = [Difference(f"lake {folder}", "in the folder of another date", astray, [])] if astray else []
        return compare(self.sql, f"lake {folder}", "expected_enriched", "actual_lake", ENRICHED) + wrong

    def ledger(self, *outputs):
        """Compares the `ledger` lines that `run --until_end` prints, summed over the workers that ran at once."""
        actual = parse_ledger("\n".join(outputs))
        differences = []
        for step, counters in self.oracle.ledger().items():
            got = actual.get(step)
            if got is None:
                differences.append(Difference(f"ledger {step}", "expected, no line", 1, []))
                continue
            wrong = [f"{c}: expected {n}, found {got.get(c, 0)}" for c, n in counters.items() if got.get(c, 0) != n]
            differences += [Difference(f"ledger {step}", "of counters differ", len(wrong), wrong)] if wrong else []
        for step, got in actual.items():
            sums = ("passed", "duplicate", "late", "filtered", "unmatched", "dead_lettered", "absorbed")
            if got["in"] != sum(got.get(c, 0) for c in sums):
                differences.append(Difference(f"ledger {step}", "unaccounted for", got["in"], [got]))
        return differences


def parse_ledger(output):
    """{step: {counter: rows}} from lines like `ledger unique_detections in=10 passed=9 duplicate=1 ...`. A name may be of
    several words: "items_per_minute partial"."""
    found = {}
    for name, counters in re.findall(r"^ledger (.+?)((?: \w+=\d+)+)$", output, re.MULTILINE):
        entry = found.setdefault(name, {})
        for counter, number in (pair.split("=") for pair in counters.split()):
            entry[counter] = entry.get(counter, 0) + int(number)
    return found


def report(differences):
    """None, or Failure with every difference."""
    if differences:
        raise Failure("\n".join(map(str, differences)))
