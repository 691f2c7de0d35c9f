"""Tables of PostgreSQL by its own logical replication, rows as pgbench has them: the snapshot, the changes that have gathered
while nobody read, and how fresh a second database is under a steady load.

The figure of the goals is rows a second of one core, by the intake's thread alone: what it takes from the database, makes
records of and hands to the producer; and once more with all threads of the client library, which read the topic as well. What
the decoding of the topic, the rows that are kept and the sink cost beside it is in the CPU of the process."""

import contextlib
import json
import pathlib
import time
import urllib.request

import psycopg
import yaml

from bench import RUN_SECONDS, Result
from measure import TICKS, Process
from stack import Failure, script, wait_for

ROWS_MOST = 1_000_000
BATCH = 100            # changes of a transaction of the backlog
SETTLE_SECONDS = 3
COLUMNS = "aid bigint PRIMARY KEY, bid int NOT NULL, abalance int NOT NULL, changed timestamptz NOT NULL, filler char(84) NOT NULL"
NOTES = """
CREATE TABLE freshness (age double precision);
CREATE TABLE accounts (aid bigint PRIMARY KEY, bid int NOT NULL, abalance int NOT NULL, changed timestamptz NOT NULL,
  filler text NOT NULL, op text NOT NULL, committed timestamptz NOT NULL);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.op <> 'r' THEN INSERT INTO freshness VALUES (extract(epoch FROM clock_timestamp() - NEW.committed)); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION note();
"""


class Tables:
    def add_options(self, parser):
        parser.add_argument("--changes_per_s", type=int, default=2_000, help="of tables: the steady load (default %(default)s)")
        parser.add_argument("--steady_seconds", type=int, default=30, help="of tables: how long it lasts (default %(default)s)")

    def measure(self, bench):
        ours = [system for system in bench.systems if system.name == "tidemark"]
        return [result for _ in range(bench.options.runs) for result in self._run(bench, ours[0])] if ours else []

    def _run(self, bench, system):
        bench.serial += 1
        name = f"tables{bench.serial:03d}"
        folder = bench.stack.folder / name
        folder.mkdir()
        source = script("postgres", "start", "--dir", folder / "source", "--port", 0, "--set", "wal_level=logical")
        copy = script("postgres", "start", "--dir", folder / "copy", "--port", 0)
        try:
            rows = min(bench.options.records, ROWS_MOST)
            self._sql(source, f"CREATE TABLE accounts ({COLUMNS}); CREATE PUBLICATION bench FOR TABLE accounts; "
                              f"INSERT INTO accounts SELECT i, 1, 0, now(), 'f' FROM generate_series(1, {rows}) i")
            self._sql(copy, NOTES)
            config = self._topology(bench, name, folder, source, copy, sink=False)
            results = [self._snapshot(bench, system, name, folder, config, rows)]
            results.append(self._backlog(bench, system, name, folder, config, source, rows))
            results.append(self._steady(bench, system, name, folder, source, copy, rows))
            return results
        finally:
            for database in ("source", "copy"):
                script("postgres", "stop", "--dir", folder / database, "--kill")

    @staticmethod
    def _sql(url, text, *parameters):
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(text, parameters or None)
            return cursor.fetchall() if cursor.description else None

    @staticmethod
    def _topology(bench, name, folder, source, copy, sink):
        """Without a sink of a database the rows are kept and counted, and hardly anything comes out."""
        columns = {"aid": "int64", "bid": "int32", "abalance": "int32", "changed": "timestamp", "filler": "string",
                   "op": {"type": "string", "from": "op"}, "committed": {"type": "timestamp", "from": "source.ts_us"}}
        topology = {
            "name": name, "kafka": {"brokers": bench.stack.brokers}, "databases": {
                "bank": {"url": source, "publication": "bench", "slot": f"{name}_slot"}},
            "sources": {"accounts": {"postgres": {"database": "bank", "table": "accounts", "partitions": 2}, "key": ["aid"],
                                     "columns": columns}}}
        if sink:
            topology["sinks"] = {"copy": {"from": "accounts", "postgres": {"url": copy, "table": "accounts", "key": ["aid"]}}}
        else:
            topology["steps"] = {"few": {"from": "accounts", "filter": "aid = 1"}}
            topology["sinks"] = {"out": {"from": "few", "topic": f"{name}-out", "key": ["aid"], "key_format": "json", "create": {}}}
        path = folder / f"{'copy' if sink else 'few'}.yaml"
        path.write_text(yaml.safe_dump(topology, sort_keys=False))
        return path

    @contextlib.contextmanager
    def _worker(self, bench, system, folder, config, name):
        process = Process(name, [system.binary, "run", "--config", config, "--state_dir", folder / "state", "--instance_id", "bench",
                                 "--threads", bench.options.threads, "--http_address", "127.0.0.1:0"], bench.stack.folder / f"{name}.log")
        bench.processes.append(process)
        try:
            yield process
        finally:
            process.stop()

    @staticmethod
    def _events(folder, process):
        """What the intake has counted, by event."""
        if not process.look():
            raise Failure(f"{process.name} ended with {process.code}\n{process.seen()}")
        with contextlib.suppress(OSError):
            address = (folder / "state" / "http_address").read_text().strip()
            text = urllib.request.urlopen(f"http://{address}/metrics", timeout=5).read().decode()
            return {line.partition('event="')[2].partition('"')[0]: float(line.rpartition(" ")[2])
                    for line in text.splitlines() if line.startswith("tidemark_intake_events_total{")}
        return {}

    @staticmethod
    def _cpu_of(process, *names):
        """Seconds of processor time of the threads whose names begin so."""
        ticks = 0
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                if (task / "comm").read_text().startswith(names):
                    fields = (task / "stat").read_text().rpartition(") ")[2].split()
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def _until(self, bench, folder, process, event, number):
        began = None
        events = {}

        def reached():
            nonlocal began
            events.update(self._events(folder, process))
            if began is None and events:
                began = time.monotonic()
            return events.get(event, 0) >= number
        wait_for(f"{number} {event}", reached, RUN_SECONDS, process.seen, every=0.1)
        return time.monotonic() - began

    def _result(self, bench, system, what, rows, seconds, process):
        cpu, library = self._cpu_of(process, "source "), self._cpu_of(process, "rdk:")
        result = Result(system.name, f"tables {what}", rows, records_per_s=rows / seconds,
                        cpu_s_per_million=process.cpu_now() / rows * 1e6,
                        more={"intake_rows_per_core_s": rows / cpu if cpu else None, "intake_cpu_s": cpu,
                              "rows_per_core_s_with_the_library": rows / (cpu + library) if cpu else None})
        bench.say(f"{result.workload}: " + json.dumps(result.line()))
        return result

    def _snapshot(self, bench, system, name, folder, config, rows):
        with self._worker(bench, system, folder, config, f"{name}-snapshot") as process:
            seconds = self._until(bench, folder, process, "snapshots", 1)
            result = self._result(bench, system, "snapshot", rows, seconds, process)
            time.sleep(SETTLE_SECONDS)
        return result

    def _backlog(self, bench, system, name, folder, config, source, rows):
        changes = rows // BATCH * BATCH
        self._sql(source, "CREATE PROCEDURE change(n bigint) LANGUAGE plpgsql AS $$ BEGIN "
                          f"FOR b IN 0..n / {BATCH} - 1 LOOP UPDATE accounts SET abalance = abalance + 1, changed = clock_timestamp() "
                          f"WHERE aid > b * {BATCH} AND aid <= (b + 1) * {BATCH}; COMMIT; END LOOP; END $$")
        self._sql(source, f"CALL change({changes})")
        with self._worker(bench, system, folder, config, f"{name}-changes") as process:
            seconds = self._until(bench, folder, process, "updates", changes)
            result = self._result(bench, system, "changes", changes, seconds, process)
        return result

    def _steady(self, bench, system, name, folder, source, copy, rows):
        """A second application, as the first has no sink in a database."""
        rate, lasts = bench.options.changes_per_s, bench.options.steady_seconds
        few = min(rows, 100_000)
        self._sql(source, f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots; DELETE FROM accounts WHERE aid > {few}")
        steady = folder / "steady"
        steady.mkdir()
        config = self._topology(bench, f"{name}s", steady, source, copy, sink=True)
        with self._worker(bench, system, steady, config, f"{name}-steady") as process:
            wait_for("the snapshot", lambda: self._events(steady, process) and
                     self._sql(copy, "SELECT count(*) FROM accounts")[0][0] == few, RUN_SECONDS, process.seen, every=0.3)
            before, done, began = process.cpu_now(), 0, time.monotonic()
            with psycopg.connect(source, autocommit=True) as connection:
                while (now := time.monotonic() - began) < lasts:
                    if now * rate - done < 10:
                        time.sleep(0.002)
                        continue
                    # Ten changes a transaction, of rows at random.
                    connection.execute("UPDATE accounts SET abalance = abalance + 1, changed = clock_timestamp() WHERE aid IN "
                                       "(SELECT 1 + (random() * %s)::bigint FROM generate_series(1, 10))", (few - 1,))
                    done += 10
            wait_for("the last changes", lambda: self._sql(source, "SELECT sum(abalance) FROM accounts") ==
                     self._sql(copy, "SELECT sum(abalance) FROM accounts"), 60, process.seen, every=0.2)
            count, p50, p99 = self._sql(copy, "SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY age), "
                                              "percentile_disc(0.99) WITHIN GROUP (ORDER BY age) FROM freshness")[0]
            result = Result(system.name, "tables steady", count, records_per_s=done / lasts, p50_ms=p50 * 1000, p99_ms=p99 * 1000,
                            correct=True, more={"cpu_share": (process.cpu_now() - before) / lasts})
        bench.say(f"{result.workload}: " + json.dumps(result.line()))
        return result
