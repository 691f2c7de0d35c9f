#!/usr/bin/env python3
"""`tidemark reset`: an application begins anew under its name, all of it or nothing; where that is killed, nobody goes on
with half of it, and it can be done again."""

import collections
import json
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import confluent_kafka.admin
import psycopg
import pyarrow

import duck
import topics
import topology
from case import SystemTest, main
from stack import wait_for

ROWS = 1_000
START_MS = 1_700_000_000_000
STEP_MS = 10_000  # between the records' timestamps
UNDER_WAY = "a reset of this topology has begun and isn't done"


def row(number):
    return {"id": number, "route": f"r{number % 7}", "cents": number % 100, "at": START_MS + number}


def application(name):
    """Rows are taken once; totals of routes replace each other in a table and a topic, rows go to a lake, and windows
    that are over to a topic."""
    return {
        "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "internal_topics": {"partitions": 2},
        "sources": {"prices": {"topic": f"{name}-in", "event_time": {"column": "at"}, "columns": {
            "id": "int64", "route": "string", "cents": "int64", "at": "timestamp_ms"}}},
        "steps": {
            "once": {"from": "prices", "dedup": {"by": ["id"], "within": "1h"}},
            "totals": {"from": "once", "group_by": ["route"], "aggregates": {"n": "count(*)", "cents": "sum(cents)"}},
            "hourly": {"from": "once", "window": {"tumbling": "1h"}, "group_by": ["route"],
                       "aggregates": {"n": "count(*)"}}},
        "sinks": {
            "table": {"from": "totals", "postgres": {"url": "${DATABASE_URL}", "table": f"{name}_totals",
                                                     "mode": "upsert", "key": ["route"]}},
            "latest": {"from": "totals", "topic": f"{name}-totals", "key": ["route"],
                       "create": {"config": {"cleanup.policy": "compact"}}},
            "windows": {"from": "hourly", "topic": f"{name}-windows", "create": {}},
            "lake": {"from": "once", "parquet": {"path": "${LAKE}/" + name, "max_age": "1s"}}}}


class Resets(SystemTest):
    needs_postgres = True

    def put(self, name, numbers):
        topics.produce(self.stack.brokers, f"{name}-in", [
            {"value": json.dumps(row(n)), "partition": n % 2, "timestamp": START_MS + n * STEP_MS} for n in numbers])

    def begin(self, name, changed=None):
        topics.create(self.stack.brokers, **{f"{name}-in": 2})
        self.put(name, range(ROWS))
        config = topology.write(self.stack.folder / f"{name}.yaml", changed or application(name))
        self.finish(name, config)
        return config

    def finish(self, name, config, *flags):
        return self.stack.run(config, "--until_end", "--leave_on_stop", *flags, name=name, threads=1).finish(300)

    def reset(self, config, *flags, **environment):
        code, out, errors = self.stack.tidemark("reset", "--config", config, *flags, check=False,
                                                env=self.stack.environment(**environment))
        return code, out + errors

    def totals(self, name):
        """Of the table and of the topic's newest records."""
        with psycopg.connect(self.stack.database_url) as database:
            table = dict((r, (n, int(c))) for r, n, c in
                         database.execute(f"SELECT route, n, cents FROM {name}_totals").fetchall())
        topic = {}
        for value in topics.read(self.stack.brokers, f"{name}-totals")["value"].to_pylist():
            total = json.loads(value)
            topic[total["route"]] = (total["n"], int(total["cents"]))
        return table, topic

    def expected(self, numbers):
        """By DuckDB."""
        made = pyarrow.Table.from_pylist([row(n) for n in numbers])
        return {r: (n, int(c)) for r, n, c in
                duck.rows("SELECT route, count(*), sum(cents) FROM made GROUP BY route", made=made)}

    def lake(self, name):
        """How often each id stands there."""
        files = f"{self.stack.folder}/lake/{name}/**/*.parquet"
        return collections.Counter(
            i for i, in duck.rows(f"SELECT id FROM read_parquet('{files}')"))

    def standing(self, name):
        brokers = self.stack.brokers
        names = sorted(topic for topic in topics.names(brokers) if topic.startswith(name))
        return ({topic: topics.ends(brokers, topic, "read_uncommitted") for topic in names},
                topics.committed(brokers, name, f"{name}-in"))

    def test_from_the_beginning_every_sink_is_as_it_was_and_the_lake_has_its_rows_twice(self):
        for name, keeps_disk in (("again", True), ("bare", False)):
            watched = application(name) | {"notify": {"topic": f"{name}-alarms"}}
            watched["sinks"]["table"]["freshness"] = {"warn": "30m", "max": "1h"}
            config = self.begin(name, watched)
            self.assertIn(f"{name}.__alarms", topics.names(self.stack.brokers))
            before = self.standing(name)
            code, text = self.reset(config, "--to_earliest")
            self.assertEqual(code, 0, text)
            self.assertEqual(self.standing(name), before, "told, not done")
            for part in ("would begin at", f"{name}.totals.changelog", f"{name}.lake.feed", "Nothing has changed",
                         "is by (route)", "twice, unless it is emptied"):
                self.assertIn(part, text)
            code, text = self.reset(config, "--to_earliest", "--execute")
            self.assertEqual(code, 0, text)
            self.assertIn("done", text)
            self.assertFalse([t for t in topics.names(self.stack.brokers) if t.startswith(f"{name}.")])
            if not keeps_disk:
                shutil.rmtree(self.stack.folder / "state" / name)
            self.put(name, range(ROWS, 2 * ROWS))
            self.finish(name, config, "--close_windows")
            expected = self.expected(range(2 * ROWS))
            self.assertEqual(self.totals(name), (expected, expected))
            self.assertEqual(self.lake(name), {n: 2 if n < ROWS else 1 for n in range(2 * ROWS)})
            windows = [json.loads(v) for v in topics.read(self.stack.brokers, f"{name}-windows")["value"].to_pylist()]
            self.assertEqual(sum(w["n"] for w in windows), 2 * ROWS, "no window had been given before")
            self.finish(name, config)
            self.assertEqual(self.totals(name), (expected, expected), "and a start behind it changes nothing")

    def test_a_reset_that_is_killed_stops_every_start_until_it_is_done(self):
        name = "killed"
        config = self.begin(name)
        for point in ("reset.marked=kill@1", "reset.topic_deleted=kill@1", "reset.topic_deleted=kill@4",
                      "reset.sink_rewound=kill@1"):
            code, text = self.reset(config, "--to_earliest", "--execute", TIDEMARK_FAILPOINTS=point)
            self.assertNotEqual(code, 0, f"{point}: {text}")
            before = self.standing(name)
            worker = self.stack.run(config, "--until_end", name=name, threads=1)
            self.assertEqual(worker.wait(300), 2, worker.seen())
            self.assertIn(UNDER_WAY, worker.output())
            for command in ("plan", "validate"):
                flags = ["--online"] if command == "validate" else []
                code, _, errors = self.stack.tidemark(command, "--config", config, *flags, check=False)
                self.assertEqual(code, 2, errors)
                self.assertIn(UNDER_WAY, errors)
            self.assertEqual(self.standing(name), before)
            self.assertIn("an earlier one has begun", self.reset(config, "--to_earliest")[1])
        code, text = self.reset(config, "--to_earliest", "--execute")
        self.assertEqual(code, 0, text)
        self.put(name, range(ROWS, 2 * ROWS))
        self.finish(name, config)
        expected = self.expected(range(2 * ROWS))
        self.assertEqual(self.totals(name), (expected, expected))
        self.assertEqual(self.lake(name), {n: 2 if n < ROWS else 1 for n in range(2 * ROWS)})

    def test_while_workers_run_it_is_refused_and_they_go_on(self):
        name = "running"
        config = self.begin(name)
        worker = self.stack.run(config, name=name, threads=1)
        wait_for("the worker to be ready", worker.ready, 180, worker.seen)
        code, text = self.reset(config, "--to_earliest", "--execute")
        self.assertEqual(code, 2, text)
        self.assertIn("has members", text)
        self.assertIn("Stop all workers", text)
        self.put(name, range(ROWS, 2 * ROWS))
        expected = self.expected(range(2 * ROWS))
        wait_for("what came meanwhile", lambda: self.totals(name) == (expected, expected), 180, worker.seen, every=0.5)
        worker.kill()

        def done():
            return self.reset(config, "--to_earliest", "--execute")[0] == 0
        wait_for("the killed worker's membership to end", done, 300)
        self.finish(name, config)
        self.assertEqual(self.totals(name), (expected, expected))

    def test_a_worker_that_was_frozen_meanwhile_takes_nothing_of_the_past_with_it(self):
        name = "frozen"
        config = self.begin(name)
        worker = self.stack.run(config, name=name, threads=1)
        wait_for("the worker to be ready", worker.ready, 180, worker.seen)
        self.put(name, range(ROWS, 2 * ROWS))
        expected = self.expected(range(2 * ROWS))
        wait_for("the first of it to be on its way", lambda: self.totals(name)[0] != self.expected(range(ROWS)), 180,
                 worker.seen, every=0.01)
        worker.signal(signal.SIGSTOP)
        wait_for("the frozen worker's membership to end",
                 lambda: self.reset(config, "--to_earliest", "--execute")[0] == 0, 300)
        worker.signal(signal.SIGCONT)
        wait_for("the worker to find its topics gone", lambda: not worker.running(), 300, worker.seen, every=0.2)
        self.finish(name, config)
        self.assertEqual(self.totals(name), (expected, expected))

    def test_it_begins_where_it_was_told(self):
        name = "places"
        config = self.begin(name)
        half = START_MS + ROWS // 2 * STEP_MS
        at = f"{name}-in-0"

        def begins(*flags):
            code, text = self.reset(config, *flags)
            self.assertEqual(code, 0, text)
            line = next(line for line in text.splitlines() if line.split()[:1] == [at])
            return int(line.split()[1].rstrip(","))

        stamp = "2023-11-14T23:36:40Z"
        self.assertEqual(half, 1_700_005_000_000, "the time above")
        self.assertEqual(begins("--to_earliest"), 0)
        self.assertEqual(begins("--to_latest"), ROWS // 2)
        self.assertEqual(begins("--to_timestamp", stamp), ROWS // 4)
        # The last record of partition 0 is number ROWS - 2; an hour is 360 records, half of them its own.
        self.assertEqual(begins("--shift_by", "-1h"), ROWS // 2 - 1 - 180)
        offsets = self.stack.folder / "offsets"
        offsets.write_text(f"# where to begin\n{name}-in 0 300\n{name}-in 1 400\n")
        self.assertEqual(begins("--to_offsets", offsets), 300)
        for flags, why in ((["--to_offsets", self.stack.folder / "short"], "no offset is stated for"),
                           (["--to_offsets", self.stack.folder / "far"], "the log goes from 0 to"),
                           (["--shift_by", "1h"], "such as -1h"), (["--to_earliest", "--to_latest"], "by one of"),
                           (["--to_timestamp", "yesterday"], "2026-01-01")):
            (self.stack.folder / "short").write_text(f"{name}-in 0 300\n")
            (self.stack.folder / "far").write_text(f"{name}-in 0 300\n{name}-in 1 900000\n")
            code, text = self.reset(config, *flags)
            self.assertEqual(code, 2, text)
            self.assertIn(why, text)
        code, text = self.reset(config, "--to_offsets", offsets, "--execute")
        self.assertEqual(code, 0, text)
        self.assertIn("Not all of the input is read again", text)
        self.finish(name, config)
        expected = self.expected([n for n in range(ROWS) if n // 2 >= (300 if n % 2 == 0 else 400)])
        self.assertEqual(self.totals(name), (expected, expected))

    def test_behind_it_what_was_refused_is_taken(self):
        name = "other"
        config = self.begin(name)
        changed = application(name)
        changed["steps"]["once"]["dedup"]["by"] = ["id", "route"]
        changed["steps"]["by_hour"] = changed["steps"].pop("hourly")
        changed["sinks"]["windows"]["from"] = "by_hour"
        config = topology.write(config, changed)
        code, out, errors = self.stack.tidemark("plan", "--config", config, check=False)
        self.assertEqual(code, 3, out + errors)
        self.assertIn("tidemark reset", out)
        self.assertEqual(self.reset(config, "--to_earliest", "--execute")[0], 0)
        code, out, errors = self.stack.tidemark("plan", "--config", config, check=False)
        self.assertEqual(code, 0, out + errors)
        self.finish(name, config)
        expected = self.expected(range(ROWS))
        self.assertEqual(self.totals(name), (expected, expected))

    def test_behind_it_topics_may_have_more_partitions(self):
        name = "wider"
        config = self.begin(name)
        client = topics.admin(self.stack.brokers)
        for future in client.create_partitions([confluent_kafka.admin.NewPartitions(f"{name}-in", 3)]).values():
            future.result(30)
        wait_for("the new partition to be known", lambda: topics.partitions(self.stack.brokers, f"{name}-in") == 3, 60)
        wider = application(name)
        wider["internal_topics"]["partitions"] = 4
        config = topology.write(config, wider)
        code, out, errors = self.stack.tidemark("plan", "--config", config, check=False)
        self.assertEqual(code, 2, out + errors)
        self.assertIn(f"internal topic '{name}.prices.changelog' has 2 partitions where prices needs 3", out)
        self.assertIn(f"internal topic '{name}.totals.changelog' has 2 partitions where totals needs 4", out)
        code, text = self.reset(config, "--to_earliest", "--execute")
        self.assertEqual(code, 0, text)
        topics.produce(self.stack.brokers, f"{name}-in", [
            {"value": json.dumps(row(n)), "partition": n % 3} for n in range(ROWS, 2 * ROWS)])
        self.finish(name, config)
        expected = self.expected(range(2 * ROWS))
        self.assertEqual(self.totals(name), (expected, expected))
        self.assertEqual(topics.partitions(self.stack.brokers, f"{name}.totals.changelog"), 4)

    def test_records_that_were_replayed_are_told(self):
        name = "twice"
        config = self.begin(name)
        told = "replayed from dead letters stand in their sources beside the originals"
        topics.produce(self.stack.brokers, f"{name}-in", [{"value": json.dumps({**row(ROWS), "cents": "some"})}])
        self.finish(name, config)
        self.assertNotIn(told, self.reset(config, "--to_earliest")[1])
        self.stack.tidemark("dead-letters", "replay", "--config", config, "--set",
                            "value = replace(value, '\"some\"', '7')")
        self.assertIn(told, self.reset(config, "--to_earliest")[1])
        self.assertNotIn(told, self.reset(config, "--to_latest")[1])

    def test_files_are_read_again(self):
        name = "files"
        folder = self.stack.folder / "landing"
        folder.mkdir()

        def land(number, numbers):
            part = folder / f".part-{number}"
            part.write_text("id,route,cents,at\n" + "".join(
                f"{n},{row(n)['route']},{row(n)['cents']},{START_MS + n}\n" for n in numbers))
            part.rename(folder / f"part-{number}.csv")

        changed = application(name)
        changed["sources"]["prices"]["files"] = {"path": f"{folder}/*.csv", "whole": "renamed", "order": "unordered"}
        del changed["sources"]["prices"]["topic"]
        land(0, range(ROWS // 2))
        land(1, range(ROWS // 2, ROWS))
        config = topology.write(self.stack.folder / f"{name}.yaml", changed)
        self.finish(name, config)
        self.assertEqual(self.totals(name)[0], self.expected(range(ROWS)))
        code, text = self.reset(config, "--to_latest")
        self.assertEqual(code, 2, text)
        self.assertIn("source prices reads files", text)
        code, text = self.reset(config, "--to_earliest", "--execute", TIDEMARK_FAILPOINTS="reset.topic_deleted=kill@2")
        self.assertNotEqual(code, 0, text)
        worker = self.stack.run(config, "--until_end", name=name, threads=1)
        self.assertEqual(worker.wait(300), 2, worker.seen())
        self.assertIn(UNDER_WAY, worker.output())
        code, text = self.reset(config, "--to_earliest", "--execute")
        self.assertEqual(code, 0, text)
        self.assertIn("reads all files again", text)
        land(2, range(ROWS, 2 * ROWS))
        self.finish(name, config)
        expected = self.expected(range(2 * ROWS))
        self.assertEqual(self.totals(name), (expected, expected))
        self.assertEqual(self.lake(name), {n: 2 if n < ROWS else 1 for n in range(2 * ROWS)})

    def test_what_cant_be_begun_anew_is_refused_by_name(self):
        name = "changes"
        changed = application(name)
        changed["sinks"]["changes"] = {
            "from": "totals", "parquet": {"path": "${LAKE}/" + name + "-changes", "mode": "changes", "max_age": "1s"}}
        config = self.begin(name, changed)
        before = self.standing(name)
        code, text = self.reset(config, "--to_earliest", "--execute")
        self.assertEqual(code, 2, text)
        self.assertIn("sink changes: the changes in", text)
        self.assertIn("give the sink a new folder", text)
        self.assertEqual(self.standing(name), before)
        changed["sinks"]["changes"]["parquet"]["path"] += "-again"
        config = topology.write(config, changed)
        code, text = self.reset(config, "--to_earliest", "--execute")
        self.assertEqual(code, 0, text)
        self.finish(name, config)
        expected = self.expected(range(ROWS))
        self.assertEqual(self.totals(name), (expected, expected))
        code, text = self.reset(topology.write(self.stack.folder / "never.yaml",
                                               {**application(name), "name": "never"}), "--to_earliest")
        self.assertEqual(code, 2)
        self.assertIn("nothing has run under the name never", text)


if __name__ == "__main__":
    main(at_once=3)
