"""Nexmark: its queries, from a topic to a topic (q10: to Parquet files), as topologies here (bench/nexmark/q*.yaml) and some as SQL in Flink
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
QUERIES = tuple(f"q{n}" for n in range(23))
OF_FLINK = tuple(query for query in QUERIES if query not in ("q6", "q10"))  # q6 it can't say; q10 writes files
SIDE_KEYS = 10_000

KINDS = {  # of events: the table and its columns
    "person": ("people", '{"id":"BIGINT","name":"VARCHAR","city":"VARCHAR","state":"VARCHAR"}'),
    "auction": ("auctions", """{"id":"BIGINT","itemName":"VARCHAR","description":"VARCHAR","initialBid":"BIGINT",
        "reserve":"BIGINT","dateTime":"BIGINT","expires":"BIGINT","seller":"BIGINT","category":"BIGINT"}"""),
    "bid": ("bids", """{"auction":"BIGINT","bidder":"BIGINT","price":"BIGINT","channel":"VARCHAR","url":"VARCHAR",
        "dateTime":"BIGINT","extra":"VARCHAR"}"""),
}
TABLE = """
CREATE TABLE {table} AS SELECT "partition", "offset", "timestamp" AS event_ms, unnest(event) FROM (
  SELECT "partition", "offset", "timestamp", from_json(CAST(decode(value) AS JSON) -> '{kind}', '{columns}') AS event
  FROM raw WHERE CAST(decode(value) AS JSON) ->> 'event_type' = '{number}')"""
HOPS = """(SELECT auction, (event_ms // 2000 - i) * 2000 + 10000 AS window_end, count(*) AS num
           FROM bids, range(5) AS hops(i) GROUP BY ALL)"""
WINNING = """(SELECT a.id AS auction, a.category, a.seller, max(b.price) AS final, max(b.event_ms) AS last_ms
              FROM auctions a JOIN bids b ON a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires GROUP BY ALL)"""
# Rows that follow each other by at most 10 s.
SESSIONS = """(SELECT *, sum(begins) OVER (PARTITION BY bidder ORDER BY event_ms) AS session FROM (
                SELECT bidder, event_ms, CASE WHEN event_ms - lag(event_ms) OVER (PARTITION BY bidder ORDER BY event_ms)
                       <= 10000 THEN 0 ELSE 1 END AS begins FROM bids))"""
AT = "make_timestamp(dateTime * 1000)"
DAY = f"strftime({AT}, '%Y-%m-%d')"
RANKS = {"rank1": "price < 10000", "rank2": "price >= 10000 AND price < 1000000", "rank3": "price >= 1000000"}


def ranked(what, of):
    """How many there are of all, and in each rank of prices."""
    return ", ".join([f"{of} AS total_{what}"] + [f"{of} FILTER (WHERE {c}) AS {rank}_{what}" for rank, c in RANKS.items()])


def names(what):
    return ", ".join(f"{rank}_{what}" for rank in ("total", *RANKS))


STATISTICS = ", ".join([ranked("bids", "count(*)"), ranked("bidders", "count(DISTINCT bidder)"),
                        ranked("auctions", "count(DISTINCT auction)")])
STATISTICS_NAMES = ", ".join(names(what) for what in ("bids", "bidders", "auctions"))
# Query -> its columns and what they must be.
EXPECTED = {
    "q0": ("auction, bidder, price, dateTime, extra", "SELECT auction, bidder, price, dateTime, extra FROM bids"),
    "q1": ("auction, bidder, euros, dateTime, extra",
           "SELECT auction, bidder, CAST(0.908 * price AS DECIMAL(23, 3)) AS euros, dateTime, extra FROM bids"),
    "q2": ("auction, price", "SELECT auction, price FROM bids WHERE auction % 123 = 0"),
    "q3": ("name, city, state, id",
           """SELECT name, city, state, a.id FROM auctions a JOIN people p ON a.seller = p.id
              WHERE category = 10 AND state IN ('OR', 'ID', 'CA')"""),
    "q4": ("category, average", f"SELECT category, round(avg(final), 6) AS average FROM {WINNING} GROUP BY category"),
    "q5": ("auction, num, window_end",
           f"SELECT * FROM {HOPS} QUALIFY num = max(num) OVER (PARTITION BY window_end)"),
    "q6": ("seller, auction, average",
           f"""SELECT seller, auction, round(avg(final) OVER (PARTITION BY seller ORDER BY last_ms, auction
               ROWS 10 PRECEDING), 6) AS average FROM {WINNING}"""),
    "q7": ("auction, bidder, price, dateTime, extra",
           """SELECT auction, bidder, price, dateTime, extra FROM bids
              QUALIFY price = max(price) OVER (PARTITION BY event_ms // 10000)"""),
    "q8": ("person, name, window_start",
           """SELECT DISTINCT p.id AS person, name, p.event_ms // 10000 * 10000 AS window_start
              FROM people p JOIN auctions a ON p.id = a.seller AND p.event_ms // 10000 = a.event_ms // 10000"""),
    "q9": ("auction, seller, category, price", f"SELECT auction, seller, category, final AS price FROM {WINNING}"),
    "q10": ("auction, bidder, price, dateTime, extra, day, minute",
            f"""SELECT auction, bidder, price, dateTime, extra, {DAY} AS day, strftime({AT}, '%H-%M') AS minute FROM bids"""),
    "q11": ("bidder, bid_count, window_start, window_end",
            f"""SELECT bidder, count(*) AS bid_count, min(event_ms) AS window_start, max(event_ms) + 10000 AS window_end
                FROM {SESSIONS} GROUP BY bidder, session"""),
    "q12": ("bidder, bid_count, window_end",
            """SELECT bidder, count(*) AS bid_count, (event_ms // 10000 + 1) * 10000 AS window_end FROM bids
               GROUP BY ALL"""),
    "q13": ("auction, bidder, price, dateTime, value",
            f"SELECT auction, bidder, price, dateTime, 'value ' || auction % {SIDE_KEYS} AS value FROM bids"),
    "q14": ("auction, bidder, euros, bidTimeType, dateTime, extra, c_counts",
            f"""SELECT auction, bidder, CAST(0.908 * price AS DECIMAL(23, 3)) AS euros, CASE
                  WHEN hour({AT}) BETWEEN 8 AND 18 THEN 'dayTime'
                  WHEN hour({AT}) <= 6 OR hour({AT}) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bidTimeType,
                  dateTime, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
                FROM bids WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000"""),
    "q15": (f"day, {STATISTICS_NAMES}", f"SELECT {DAY} AS day, {STATISTICS} FROM bids GROUP BY day"),
    "q16": (f"channel, day, minute, {STATISTICS_NAMES}",
            f"""SELECT channel, {DAY} AS day, max(strftime({AT}, '%H:%M')) AS minute, {STATISTICS} FROM bids
                GROUP BY channel, day"""),
    "q17": (f"auction, day, {names('bids')}, min_price, max_price, avg_price, sum_price",
            f"""SELECT auction, {DAY} AS day, {ranked('bids', 'count(*)')}, min(price) AS min_price,
                  max(price) AS max_price, round(avg(price), 6) AS avg_price, sum(price) AS sum_price
                FROM bids GROUP BY auction, day"""),
    "q18": ("bidder, auction, dateTime",
            "SELECT bidder, auction, max(dateTime) AS dateTime FROM bids GROUP BY ALL"),
    "q19": ("auction, price, rank_number",
            """SELECT auction, price, row_number() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number
               FROM bids QUALIFY rank_number <= 10"""),
    "q20": ("auction, bidder, price, channel, url, dateTime, extra, itemName, description, initialBid, reserve, opened, "
            "expires, seller, category",
            """SELECT b.*, itemName, description, initialBid, reserve, a.dateTime AS opened, expires, seller, category
               FROM bids b JOIN auctions a ON b.auction = a.id WHERE category = 10"""),
    "q21": ("auction, bidder, price, channel, channel_id",
            """SELECT * FROM (SELECT auction, bidder, price, channel, CASE lower(channel) WHEN 'apple' THEN '0'
                 WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
                 ELSE nullif(regexp_extract(url, '(?:&|^)channel_id=([^&]*)', 1), '') END AS channel_id FROM bids)
               WHERE channel_id IS NOT NULL"""),
    "q22": ("auction, bidder, price, channel, dir1, dir2, dir3",
            """SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2,
                      split_part(url, '/', 6) AS dir3 FROM bids"""),
}
# What isn't a BIGINT; `euros` is the column price.
TYPES = {**dict.fromkeys(("extra", "value", "name", "city", "state", "day", "minute", "bidTimeType", "channel", "url",
                          "itemName", "description", "channel_id", "dir1", "dir2", "dir3"), "VARCHAR"),
         **dict.fromkeys(("average", "avg_price"), "DOUBLE"), "euros": "DECIMAL(23, 3)"}
# One of those that are equally first suffices; top keeps the first, Nexmark's own SQL all.
GROUPS = {"q5": "window_end", "q7": "dateTime // 10000"}
# The key of queries whose rows replace each other: what counts is the last record of each.
KEYS = {"q4": "category", "q9": "auction, place", "q15": "day", "q16": "channel, day", "q17": "auction, day", "q18": "bidder, auction",
        "q19": "auction, rank_number"}


def lake(job):
    """The folder of a query that writes files."""
    return job.folder / f"{job.application}-lake"


class NexmarkTidemark(Tidemark):
    workloads = QUERIES

    def topology(self, job):
        topology = yaml.load((FOLDER / f"{job.workload}.yaml").read_text(), Loader=yaml.BaseLoader)
        topology.update(name=job.application, commit_interval=f"{job.commit_ms}ms")
        topology["kafka"]["brokers"] = job.brokers
        topology["sources"]["events"]["topic"] = job.dataset.topic
        output = topology["sinks"]["output"]
        if "parquet" in output:
            output["parquet"]["path"] = str(lake(job))
        else:
            output["topic"] = f"{job.prefix}output"
        if "tables" in topology:
            topology["tables"]["side_input"]["file"] = str(job.dataset.side_input)
        return topology


class NexmarkFlink(Flink):
    workloads = OF_FLINK
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

    @classmethod
    def of(cls, brokers, side_input):
        """What has been written already."""
        events = cls.__new__(cls)
        events.brokers, events.side_input, events.sql = brokers, side_input, None
        return events

    def connection(self):
        """With the tables `people`, `auctions` and `bids`."""
        if self.sql is None:
            self.sql = duckdb.connect()
            self.sql.execute("SET TimeZone = 'UTC'")
            self.sql.register("raw", readback.read(self.brokers, self.topic))
            for number, (kind, (table, columns)) in enumerate(KINDS.items()):
                self.sql.execute(TABLE.format(kind=kind, table=table, columns=columns, number=number))
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
                for _ in range(bench.options.runs) for system in systems if query in system.workloads]

    def _run(self, bench, system, events, query):
        job = bench.job(system, query, events)
        with bench.outputs(system, job):
            result = bench.drain(system, job, events.records)
            if bench.options.check:
                wrong = differences(events, query, f"{job.prefix}output", lake(job))
                result.correct = not wrong
                for line in wrong:
                    bench.say(f"WRONG {job.application}: {line}")
        bench.say(f"{query} {system.name}: {result.records_per_s:,.0f} events/s, {result.cpu_s_per_million:.2f} CPU s/M, "
                  f"correct: {result.correct}")
        return result


def differences(events, query, topic, folder=None):
    sql = events.connection()
    columns, expected = EXPECTED[query]
    sql.execute(f"CREATE OR REPLACE TABLE expected AS SELECT {columns} FROM ({expected})")
    if query == "q10":
        fields = ", ".join("epoch_ms(dateTime) AS dateTime" if name == "dateTime" else name for name in columns.split(", "))
        sql.execute(f"""CREATE OR REPLACE TABLE actual AS SELECT {fields}
            FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)""")
    else:
        _read(sql, events.brokers, topic, columns, query in KEYS)
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


def _read(sql, brokers, topic, columns, replaces):
    """The table `actual` of what is in a topic."""
    sql.register("dump", readback.read(brokers, topic))
    latest = ""
    if replaces:
        # A key lies in one partition, so that its last record is the one with the greatest offset.
        latest = 'QUALIFY row_number() OVER (PARTITION BY "partition", key ORDER BY "offset" DESC) = 1'
    fields = ", ".join(_field(name) for name in columns.split(", "))
    sql.execute(f"""CREATE OR REPLACE TABLE actual AS SELECT {fields}
        FROM (SELECT CAST(nullif(decode(value), '') AS JSON) AS v FROM (SELECT * FROM dump {latest})) WHERE v IS NOT NULL""")
    sql.unregister("dump")


def _field(name):
    if name in ("window_start", "window_end"):
        # A number of ms here, a text in Flink's SQL.
        return f"""coalesce(TRY_CAST(v ->> '{name}' AS BIGINT), epoch_ms(TRY_CAST(v ->> '{name}' AS TIMESTAMP)))
                  AS {name}"""
    type_ = TYPES.get(name, "BIGINT")
    value = f"CAST(v ->> '{'price' if name == 'euros' else name}' AS {type_})"
    return f"{f'round({value}, 6)' if type_ == 'DOUBLE' else value} AS {name}"
