"""Nexmark: some of its queries, from a topic to a topic, as topologies here (bench/nexmark/q*.yaml) and as SQL in Flink
(bench/nexmark/flink), on the same events; the results checked by DuckDB from the raw topic."""

import pathlib
import subprocess

import duckdb
import yaml

import readback
import topics
from bench import tool
from jobs import BENCH, Tidemark
from peers import Flink
from stack import BINARY, Failure

FOLDER = BENCH / "nexmark"
QUERIES = ("q0", "q5", "q7", "q13", "q18", "q19")
SIDE_KEYS = 10_000

BIDS = """
CREATE TABLE bids AS SELECT "partition", "offset", "timestamp" AS event_ms, unnest(bid) FROM (
  SELECT "partition", "offset", "timestamp", from_json(CAST(decode(value) AS JSON) -> 'bid', '{"auction":"BIGINT",
    "bidder":"BIGINT","price":"BIGINT","channel":"VARCHAR","url":"VARCHAR","dateTime":"BIGINT","extra":"VARCHAR"}') AS bid
  FROM raw WHERE CAST(decode(value) AS JSON) ->> 'event_type' = '2')"""
HOPS = """(SELECT auction, (event_ms // 2000 - i) * 2000 + 10000 AS window_end, count(*) AS num
           FROM bids, range(5) AS hops(i) GROUP BY ALL)"""
# Query -> its columns and what they must be.
EXPECTED = {
    "q0": ("auction, bidder, price, dateTime, extra", "SELECT auction, bidder, price, dateTime, extra FROM bids"),
    "q5": ("auction, num, window_end",
           f"SELECT * FROM {HOPS} QUALIFY num = max(num) OVER (PARTITION BY window_end)"),
    "q7": ("auction, bidder, price, dateTime, extra",
           """SELECT auction, bidder, price, dateTime, extra FROM bids
              QUALIFY price = max(price) OVER (PARTITION BY event_ms // 10000)"""),
    "q13": ("auction, bidder, price, dateTime, value",
            f"SELECT auction, bidder, price, dateTime, 'value ' || auction % {SIDE_KEYS} AS value FROM bids"),
    "q18": ("bidder, auction, dateTime",
            "SELECT bidder, auction, max(dateTime) AS dateTime FROM bids GROUP BY ALL"),
    "q19": ("auction, price, rank_number",
            """SELECT auction, price, row_number() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number
               FROM bids QUALIFY rank_number <= 10"""),
}
# One of those that are equally first suffices; top keeps the first, Nexmark's own SQL all.
GROUPS = {"q5": "window_end", "q7": "dateTime // 10000"}
# The key of queries whose rows replace each other: what counts is the last record of each.
KEYS = {"q18": "bidder, auction", "q19": "auction, rank_number"}


class NexmarkTidemark(Tidemark):
    workloads = QUERIES

    def topology(self, job):
        topology = yaml.load((FOLDER / f"{job.workload}.yaml").read_text(), Loader=yaml.BaseLoader)
        topology.update(name=job.application, commit_interval=f"{job.commit_ms}ms")
        topology["kafka"]["brokers"] = job.brokers
        topology["sources"]["events"]["topic"] = job.dataset.topic
        topology["sinks"]["output"]["topic"] = f"{job.prefix}output"
        if "tables" in topology:
            topology["tables"]["side_input"]["file"] = str(job.dataset.side_input)
        return topology


class NexmarkFlink(Flink):
    workloads = QUERIES
    main = "bench.nexmark.Main"
    folder = FOLDER / "flink"

    def command(self, job):
        return self.java(["--brokers", job.brokers, "--query", job.workload, "--application", job.application, "--events",
                          job.dataset.topic, "--prefix", job.prefix, "--threads", job.threads, "--state",
                          job.folder / "state", "--commit-ms", self.commit_ms(job), "--side-input", job.dataset.side_input])


class Events:
    """The topic of events, and the file of q13."""

    topic = "nexmark"

    def __init__(self, bench):
        self.records, self.brokers = bench.options.records, bench.stack.brokers
        topics.create(self.brokers, **{self.topic: 4})
        done = subprocess.run([tool(bench.options, "bench_nexmark"), "--brokers", self.brokers, "--topic", self.topic,
                               "--events", str(self.records)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failure(f"filling {self.topic}: {done.stderr}")
        self.side_input = pathlib.Path(bench.stack.folder) / "side_input.csv"
        self.side_input.write_text("key,value\n" + "".join(f"{key},value {key}\n" for key in range(SIDE_KEYS)))
        self.sql = None

    def connection(self):
        """With the table `bids`."""
        if self.sql is None:
            self.sql = duckdb.connect()
            self.sql.execute("SET TimeZone = 'UTC'")
            self.sql.register("raw", readback.read(self.brokers, self.topic))
            self.sql.execute(BIDS)
            self.sql.unregister("raw")
        return self.sql


class Nexmark:
    def add_options(self, parser):
        group = parser.add_argument_group("nexmark")
        group.add_argument("--query", action="append", choices=QUERIES, help="only this one; may be repeated")

    def measure(self, bench):
        systems = [NexmarkTidemark(BINARY)] if bench.options.tidemark else []
        if "flink" in bench.options.peer:
            systems.append(NexmarkFlink())
            systems[-1].build()
        events = Events(bench)
        bench.say(f"{events.records:,} events in {events.topic}")
        return [self._run(bench, system, events, query) for query in bench.options.query or QUERIES
                for _ in range(bench.options.runs) for system in systems]

    def _run(self, bench, system, events, query):
        job = bench.job(system, query, events)
        with bench.outputs(system, job):
            result = bench.drain(system, job, events.records)
            if bench.options.check:
                wrong = differences(events, query, f"{job.prefix}output")
                result.correct = not wrong
                for line in wrong:
                    bench.say(f"WRONG {job.application}: {line}")
        bench.say(f"{query} {system.name}: {result.records_per_s:,.0f} events/s, {result.cpu_s_per_million:.2f} CPU s/M, "
                  f"correct: {result.correct}")
        return result


def differences(events, query, topic):
    sql = events.connection()
    columns, expected = EXPECTED[query]
    sql.execute(f"CREATE OR REPLACE TABLE expected AS SELECT {columns} FROM ({expected})")
    dump = readback.read(events.brokers, topic)
    sql.register("dump", dump)
    latest = ""
    if query in KEYS:
        # A key lies in one partition, so that its last record is the one with the greatest offset.
        latest = 'QUALIFY row_number() OVER (PARTITION BY "partition", key ORDER BY "offset" DESC) = 1'
    fields = ", ".join(_field(name) for name in columns.split(", "))
    sql.execute(f"""CREATE OR REPLACE TABLE actual AS SELECT {fields}
        FROM (SELECT CAST(nullif(decode(value), '') AS JSON) AS v FROM (SELECT * FROM dump {latest})) WHERE v IS NOT NULL""")
    sql.unregister("dump")
    wrong = []
    checks = {"missing": "expected EXCEPT ALL SELECT * FROM actual", "too many": "actual EXCEPT ALL SELECT * FROM expected"}
    if query in GROUPS:
        group = GROUPS[query]
        checks["missing"] = (f"expected WHERE {group} NOT IN (SELECT {group} FROM actual)")
    for what, rest in checks.items():
        rows = sql.execute(f"SELECT * FROM {rest}").fetchall()
        if rows:
            wrong.append(f"{len(rows)} rows {what}: {rows[:3]}")
    return wrong


def _field(name):
    if name == "window_end":
        # A number of ms here, a text in Flink's SQL.
        return """coalesce(TRY_CAST(v ->> 'window_end' AS BIGINT), epoch_ms(TRY_CAST(v ->> 'window_end' AS TIMESTAMP)))
                  AS window_end"""
    return f"CAST(v ->> '{name}' AS {'VARCHAR' if name in ('extra', 'value') else 'BIGINT'}) AS {name}"
