"""Sinks outside of Kafka: detections as they are into a PostgreSQL table (upserts) and into Parquet files, each through its
feed, beside a run that only copies them to a topic. The rate is of the whole run; the rows a core second are what the run with
the sink spends more than the one without: the feed written and read, and the rows written."""

import psycopg

import readback
from backlog import uniform
from bench import RUN_SECONDS, Result
from results import compare

COLUMNS = ["geographical_location_oid", "video_camera_oid", "detection_oid", "item_name", "timestamp_detected"]


class Sinks:
    def add_options(self, parser):
        pass

    def measure(self, bench):
        ours = [system for system in bench.systems if system.name == "tidemark"]
        if not ours:
            return []
        dataset, url = uniform(bench), bench.stack.start_postgres()
        results = []
        for _ in range(bench.options.runs):
            base = self._run(bench, ours[0], dataset, ["copy"], url)
            for sink in ("table", "lake"):
                result = self._run(bench, ours[0], dataset, ["copy", sink], url)
                extra = result.more["cpu_s"] - base.more["cpu_s"]
                result.more["rows_per_core_s"] = dataset.records / extra if extra > 0 else None
                results.append(result)
            results.append(base)
        return results

    def _run(self, bench, system, dataset, names, url):
        job = bench.job(system, "sinks", dataset)
        table, lake = job.application.replace("-", "_"), job.folder / "lake"
        job.sinks = {"copy": {"topic": f"{job.prefix}copy"}, "table": {"postgres": {"url": url, "table": table}},
                     "lake": {"parquet": {"path": str(lake)}}}
        job.sinks = {name: job.sinks[name] for name in names}
        with bench.outputs(system, job):
            result = bench.drain(system, job, dataset.records)
            result.workload = f"sink {names[-1]}"
            if bench.options.check:
                result.correct = self._right(bench, dataset, names[-1], job, url, table, lake)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'DROP TABLE IF EXISTS "{table}"')
        bench.say(f"{result.workload}: {result.records_per_s:,.0f} rows/s, {result.cpu_s_per_million:.2f} CPU s/M, "
                  f"correct: {result.correct}")
        return result

    def _right(self, bench, dataset, sink, job, url, table, lake):
        """Whether every row is there as often as it should be: in a table once, elsewhere as often as in the input."""
        sql = dataset.expect(bench.stack.brokers).sql
        if not sql.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'input'").fetchall()[0][0]:
            self._load(sql, "input", bench.stack.brokers, dataset.detections)
        if sink == "table":
            expected = f"(SELECT DISTINCT {', '.join(COLUMNS)} FROM input)"
            with psycopg.connect(url) as connection, connection.cursor() as cursor:
                ms = {"timestamp_detected": "(extract(epoch FROM timestamp_detected) * 1000)::bigint"}
                selected = ", ".join(ms.get(column, column) for column in COLUMNS)
                path = job.folder / "table.csv"
                with cursor.copy(f'COPY (SELECT {selected} FROM "{table}") TO STDOUT (FORMAT csv)') as rows:
                    path.write_bytes(b"".join(rows))
            types = {c: "VARCHAR" if c == "item_name" else "BIGINT" for c in COLUMNS}
            actual = f"(SELECT * FROM read_csv('{path}', header = false, columns = {types}))"
        elif sink == "lake":
            expected = "input"
            actual = (f"(SELECT * REPLACE (epoch_ms(timestamp_detected) AS timestamp_detected) FROM "
                      f"read_parquet('{lake}/**/*.parquet', hive_partitioning = true))")
        else:
            expected, actual = "input", "copied"
            self._load(sql, "copied", bench.stack.brokers, f"{job.prefix}copy")
        fingerprint = f"SELECT count(*), sum(hash({', '.join(COLUMNS)})::HUGEINT) FROM "
        if sql.execute(fingerprint + expected).fetchall()[0] == sql.execute(fingerprint + actual).fetchall()[0]:
            return True
        for difference in compare(sql, f"sink {sink}", expected, actual, COLUMNS):
            bench.say(f"WRONG {job.application}: {difference}")
        return False

    @staticmethod
    def _load(sql, table, brokers, topic):
        shape = ", ".join(f'"{c}":"{"VARCHAR" if c == "item_name" else "BIGINT"}"' for c in COLUMNS)
        sql.register("dump", readback.read(brokers, topic))
        sql.execute(f"""CREATE OR REPLACE TABLE {table} AS SELECT unnest(v) FROM
            (SELECT from_json(CAST(decode(value) AS JSON), '{{{shape}}}') AS v FROM dump)""")
        sql.unregister("dump")
