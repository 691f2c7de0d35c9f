"""What scripts/demo trackman does once everything is built: six tables of a production database under churn, kept in a second
PostgreSQL and a lake, with a worker killed and a seventh table added on the way. Uses the harness of tests/e2e/lib."""

import argparse
import contextlib
import pathlib
import shutil
import signal
import sys
import threading
import time

import duckdb
import psycopg

import connect
import topics
from stack import ROOT, Failure, Stack, script, wait_for

EXAMPLE = ROOT / "examples" / "trackman"
# Of each table its columns beside the key, as its file in examples/trackman/tables says them too; how much of the churn
# is its own; and what an update of a row changes. All random values are functions of r, a random number below 1.
TABLES = {
    "players": ("name text NOT NULL, handicap numeric(4,1) NOT NULL, seen timestamptz NOT NULL",
                "'player ' || i, round((r * 54)::numeric, 1), clock_timestamp()", "handicap = round((r * 54)::numeric, 1)"),
    "courses": ("name text NOT NULL, holes int NOT NULL, latitude double precision NOT NULL, longitude double precision NOT NULL",
                "'course ' || i, 18, r * 90, r * 180", "holes = 9 + (r * 9)::int"),
    "devices": ("serial text NOT NULL, firmware text NOT NULL, active boolean NOT NULL, seen timestamptz NOT NULL",
                "md5(i::text), '4.' || (r * 20)::int, r < 0.9, clock_timestamp()", "firmware = '5.' || (r * 20)::int, seen = clock_timestamp()"),
    "sessions": ("player bigint NOT NULL, device bigint NOT NULL, shots int NOT NULL, ended timestamptz",
                 "(r * 1000)::bigint, (r * 100)::bigint, 0, NULL", "shots = shots + 1, ended = clock_timestamp()"),
    "rounds": ("player bigint NOT NULL, course bigint NOT NULL, strokes int NOT NULL, card text",
               "(r * 1000)::bigint, (r * 100)::bigint, 0, repeat('4 ', 18)", "strokes = strokes + 4"),
    "shots": ("session bigint NOT NULL, speed double precision NOT NULL, spin int NOT NULL, carry numeric(6,2) NOT NULL, made timestamptz NOT NULL",
              "(r * 1000)::bigint, r * 80, (r * 9000)::int, round((r * 300)::numeric, 2), clock_timestamp()",
              "spin = (r * 9000)::int, carry = round((r * 300)::numeric, 2)"),
    "clubs": ("player bigint NOT NULL, model text NOT NULL, loft numeric(4,1) NOT NULL",
              "(r * 1000)::bigint, 'iron ' || (r * 9)::int, round((r * 60)::numeric, 1)", "loft = round((r * 60)::numeric, 1)"),
}
LATER = "clubs"
FIRST = [table for table in TABLES if table != LATER]


def text_of(columns, seconds):
    """An expression for a row's text that PostgreSQL and DuckDB evaluate to the same; `seconds` of a time."""
    parts = ["id"]
    for column in columns.split(", "):
        name, kind = column.split(" ", 1)
        parts.append(f"coalesce(({seconds(name)})::text, '-')" if kind.startswith("timestamptz") else
                     f"round({name} * 1000000)::bigint" if kind.startswith("double") else
                     f"coalesce(({name})::text, '-')")
    return "concat_ws('|', " + ", ".join(parts) + ")"


def checksum(table, source, seconds):
    columns = ", ".join(c.strip() for c in TABLES[table][0].replace("(4,1)", "(4.1)").replace("(6,2)", "(6.2)").split(","))
    return (f"SELECT count(*), md5(coalesce(string_agg(md5({text_of(columns, seconds)}), '' ORDER BY id), '')) FROM {source}")


def in_postgres(name):
    return f"(extract(epoch FROM {name}) * 1000000)::bigint"


def in_duckdb(name):
    return f"epoch_us({name})"


SOURCE = "".join(f"CREATE TABLE {table} (id bigint PRIMARY KEY, {columns});\n" for table, (columns, _, _) in TABLES.items())

# Half of the changes are updates, the others insert a row or delete one, so that tables keep their size.
CHURN = """
CREATE FUNCTION churn_{table}(rows bigint, changes int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE i bigint; r double precision;
BEGIN
  FOR c IN 1..changes LOOP
    i := 1 + (random() * (rows - 1))::bigint; r := random();
    IF r < 0.5 THEN UPDATE {table} SET {update} WHERE id = i;
    ELSE
      DELETE FROM {table} WHERE id = i;
      IF NOT FOUND THEN INSERT INTO {table} SELECT i, {values}; END IF;
    END IF;
  END LOOP;
END $$;
"""

# Beside the copy: how old each change was when it came, which a trigger notes in the sink's own transaction.
NOTED = """
CREATE TABLE IF NOT EXISTS freshness (sink text, tab text, age interval, at timestamptz DEFAULT clock_timestamp());
CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.op <> 'r' THEN
    INSERT INTO public.freshness VALUES (TG_TABLE_SCHEMA, TG_TABLE_NAME, clock_timestamp() - NEW.committed);
  END IF;
  RETURN NULL;
END $$;
"""
COPY = """
CREATE TABLE {schema}.{table} (id bigint PRIMARY KEY, op text NOT NULL, committed timestamptz NOT NULL, {columns});
CREATE TRIGGER note AFTER INSERT OR UPDATE ON {schema}.{table} FOR EACH ROW EXECUTE FUNCTION public.note();
"""


class Churn:
    """Changes at a rate, by transactions of twenty, each of one table; more threads than one where that is too slow."""

    BATCH = 20

    def __init__(self, url, rows, rate, tables):
        self.url, self.rows, self.rate, self.tables, self.changes = url, rows, rate, list(tables), 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def run(self):
        with psycopg.connect(self.url, autocommit=True) as connection:
            began, turn = time.monotonic(), 0
            while not self.stop.is_set():
                behind = (time.monotonic() - began) * self.rate - self.changes
                if behind < self.BATCH:
                    time.sleep(0.005)
                    continue
                table = self.tables[turn % len(self.tables)]
                connection.execute(f"SELECT churn_{table}(%s, %s)", (self.rows, self.BATCH))
                self.changes, turn = self.changes + self.BATCH, turn + 1


class Demo:
    def __init__(self, stack, options, began):
        self.stack, self.options, self.began = stack, options, began
        self.lake, self.config = stack.folder / "lake", stack.folder / "trackman"
        self.connect = None

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    def sql(self, url, text, *parameters):
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(text, parameters or None)
            return cursor.fetchall() if cursor.description else None

    def start_servers(self):
        self.stack.start_kafka()
        folder = self.stack.folder / "production"
        self.source = script("postgres", "start", "--dir", folder, "--port", 0, "--set", "wal_level=logical",
                             log=self.stack.folder / "production.log")
        self.copy = self.stack.start_postgres()
        self.say(f"Kafka at {self.stack.brokers}, the production database at {self.source.rpartition('@')[2]}, the second one at "
                 f"{self.copy.rpartition('@')[2]}")

    def fill(self):
        self.sql(self.source, SOURCE + "".join(CHURN.format(table=table, values=values, update=update)
                                               for table, (_, values, update) in TABLES.items()))
        for table, (_, values, _) in TABLES.items():
            self.sql(self.source, f"INSERT INTO {table} SELECT i, {values} FROM "
                                  f"(SELECT i, random() AS r FROM generate_series(1, {self.options.rows}) i) x")
        self.sql(self.source, f"CREATE PUBLICATION trackman FOR TABLE {', '.join(FIRST)}")
        schemas = ["public", *(["debezium"] if self.options.debezium else [])]
        self.sql(self.copy, NOTED + "CREATE SCHEMA IF NOT EXISTS debezium;" +
                 "".join(COPY.format(schema=schema, table=table, columns=columns)
                         for schema in schemas for table, (columns, _, _) in TABLES.items()))
        self.say(f"{len(FIRST)} tables of {self.options.rows:,} rows each, and one that comes later")

    def environment(self):
        return self.stack.environment(SOURCE_URL=self.source, COPY_URL=self.copy, LAKE=self.lake)

    def run_worker(self, topology="topology"):
        return self.stack.run(self.config / f"{topology}.yaml", name=topology, env=self.environment())

    def start_debezium(self):
        self.connect = connect.Connect(self.stack.folder / "connect", self.stack.brokers, connect.postgres_connector(
            self.source, [f"public.{table}" for table in FIRST],
            **{"topic.prefix": "trackman", "slot.name": "debezium_slot", "publication.name": "debezium"})).start()
        self.say("Debezium in Kafka Connect makes its own snapshot")
        self.connect.wait_for("Debezium's topics", lambda: {f"trackman.public.{table}" for table in FIRST} <= set(topics.names(self.stack.brokers)), 240)
        return self.run_worker("debezium")

    def in_copy(self, table, schema="public"):
        return self.sql(self.copy, f"SELECT count(*) FROM {schema}.{table}")[0][0]

    def of_source(self, table):
        return self.sql(self.source, checksum(table, table, in_postgres))[0]

    def of_copy(self, table, schema="public"):
        return self.sql(self.copy, checksum(table, f"{schema}.{table}", in_postgres))[0]

    def of_lake(self, table):
        with duckdb.connect() as database:
            database.execute("SET TimeZone = 'UTC'")
            database.execute((ROOT / "examples" / "lake" / "latest.sql").read_text())
            try:
                return database.execute(checksum(table, f"latest('{self.lake / table}')", in_duckdb)).fetchone()
            except duckdb.IOException:
                return 0, "no files yet"

    def freshness(self, schema):
        """Of each table: how many changes came, the median of their ages in seconds, and the 99th of a hundred."""
        return {table: found for table, *found in self.sql(
            self.copy, "SELECT tab, count(*), extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY age))::float8, "
            "extract(epoch FROM percentile_disc(0.99) WITHIN GROUP (ORDER BY age))::float8 FROM freshness "
            "WHERE sink = %s GROUP BY tab", schema)}

    def lake_freshness(self, table):
        """The same of the lake: a row is there once its file has its final name."""
        times = [(str(path), path.stat().st_ctime) for path in (self.lake / table).rglob("*.parquet")]
        with duckdb.connect() as database:
            database.execute("CREATE TABLE shown (filename text, moment double)")
            if not times:
                return [0, None, None]
            database.executemany("INSERT INTO shown VALUES (?, ?)", times)
            return database.execute(
                "SELECT count(*), quantile_disc(age, 0.5), quantile_disc(age, 0.99) FROM (SELECT moment - epoch_us(committed) / 1e6 AS age "
                f"FROM read_parquet('{self.lake / table}/**/*.parquet', filename = true, hive_partitioning = false) "
                "JOIN shown USING (filename) WHERE op <> 'r' AND _op IN ('insert', 'update_after'))").fetchone()

    def churn(self):
        """The changes, and what happens meanwhile; the workers that still run."""
        seconds = self.options.seconds
        worker = self.run_worker()
        wait_for("the snapshots", lambda: all(self.in_copy(table) == self.options.rows for table in FIRST), 600, worker.seen, every=0.5)
        self.say(f"the snapshots are in: {len(FIRST) * self.options.rows:,} rows")
        debezium = self.start_debezium() if self.options.debezium else None
        if debezium:
            wait_for("Debezium's rows", lambda: all(self.in_copy(t, "debezium") == self.options.rows for t in FIRST), 600, debezium.seen, every=0.5)
        with Churn(self.source, self.options.rows, self.options.rate, FIRST) as churn:
            self.say(f"{self.options.rate:,} changes a second from now on")
            time.sleep(seconds)
            self.steady = {"public": self.freshness("public"), "debezium": self.freshness("debezium")}
            self.steady["lake"] = {table: self.lake_freshness(table) for table in FIRST}
            worker.kill()
            self.say(f"killed the worker (kill -9) after {churn.changes:,} changes; another one goes on")
            worker = self.run_worker()
            time.sleep(seconds / 2)
            self.say(f"adding a seventh table, {LATER}, by its file in tables/ and ALTER PUBLICATION; the changes go on")
            self.sql(self.source, f"ALTER PUBLICATION trackman ADD TABLE {LATER}")
            shutil.copy(self.config / "later" / f"{LATER}.yaml", self.config / "tables")
            worker.stop()
            worker = self.run_worker()
            churn.tables.append(LATER)
            wait_for("the seventh table", lambda: self.in_copy(LATER) > 0, 300, worker.seen, every=0.2)
            self.say(f"{LATER} is there")
            time.sleep(seconds / 2)
        self.say(f"the changes have ended: {churn.changes:,}")
        return worker, debezium

    def await_equal(self, worker):
        checks = {"copy": self.of_copy, "lake": self.of_lake}
        last = {}

        def compared():
            last.update({(table, what): (self.of_source(table), check(table)) for table in TABLES for what, check in checks.items()})
            if self.options.debezium:
                last.update({(table, "debezium"): (self.of_source(table), self.of_copy(table, "debezium")) for table in FIRST})
            return all(ours == theirs for ours, theirs in last.values())
        with contextlib.suppress(Failure):
            wait_for("all to be equal", compared, self.options.patience, every=1)
        return last

    def report(self, checks):
        def ages(found):
            return f"{found[1] * 1000:7.0f} {found[2] * 1000:7.0f}" if found and found[1] is not None else "      -       -"
        sinks = ["copy", "lake", *(["debezium"] if self.options.debezium else [])]
        print("\n  freshness in ms, median and p99, while nothing was killed; checksums by SQL\n  " + f"{'table':<10}{'rows':>9}  {'checksum':<14}" +
              "".join(f"{sink:>18}  {'equal':<7}" for sink in sinks))
        for table in TABLES:
            rows, digest = self.of_source(table)
            line = f"  {table:<10}{rows:>9,}  {digest[:12]:<14}"
            for sink in sinks:
                steady = self.steady["public" if sink == "copy" else sink].get(table)
                ours, theirs = checks.get((table, sink), (None, "absent"))
                line += f"{ages(steady):>18}  {'yes' if ours == theirs else '-' if theirs == 'absent' else 'NO':<7}"
            print(line)
        found = self.sql(self.copy, "SELECT sink, count(*), extract(epoch FROM percentile_disc(0.99) WITHIN GROUP (ORDER BY age))::float8, "
                                    "extract(epoch FROM max(age))::float8 FROM freshness GROUP BY sink ORDER BY sink DESC")
        for sink, count, p99, most in found:
            print(f"  {'copy' if sink == 'public' else sink}: {count:,} changes with the kill and the seventh table, p99 {p99:.2f} s, at most {most:.2f} s")
        print(flush=True)

    def run(self):
        self.start_servers()
        shutil.copytree(EXAMPLE, self.config)
        self.fill()
        worker, debezium = self.churn()
        checks = self.await_equal(worker)
        self.report(checks)
        wrong = [f"{table} in {what}: {theirs} instead of {ours}" for (table, what), (ours, theirs) in checks.items() if ours != theirs]
        for line in wrong:
            print(line, file=sys.stderr)
        if wrong:
            print(worker.seen() + (debezium.seen() if debezium else ""), file=sys.stderr)
        print(f"{len(checks)} comparisons, {len(wrong)} differences")
        return not wrong

    def close(self):
        if self.connect:
            self.connect.kill()
        self.stack.stop_workers()
        script("postgres", "stop", "--dir", self.stack.folder / "production", "--kill")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--patience", type=float, default=120)
    parser.add_argument("--debezium", action="store_true")
    options = parser.parse_args()
    # Ended from outside, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began, held = time.monotonic(), False
    stack = Stack()
    demo = Demo(stack, options, began)
    try:
        held = demo.run()
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
    except Exception as error:  # whatever it is: say it, with the logs, and stop what was started
        print(f"\n{error}\n{stack.logs()}", file=sys.stderr)
    finally:
        with contextlib.suppress(Failure):
            demo.close()
        stack.close()
    if not held:
        sys.exit(1)
    demo.say("all stopped and removed")


if __name__ == "__main__":
    main()
