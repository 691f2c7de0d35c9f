#!/usr/bin/env python3
"""Workers see each other, and say the same: the sentence about the application names what was slowed down, be it a sink or
a step; figures are those of /metrics; a worker that is killed vanishes; `tidemark status` answers why nothing comes out;
and the page is there, with all it needs. With TIDEMARK_LONG the page is also looked at in a browser (page.py)."""

import datetime
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import page
import receiver
import topics
import topology
import wire
from case import LONG, SystemTest, main
from faults_postgres import is_commit
from proxy import Proxy
from stack import wait_for

BASE_MS = 1_767_225_600_000  # 2026-01-01


def application(name, steps, sinks, **more):
    return {
        "name": name,
        "kafka": {"brokers": "${KAFKA_BROKERS}"},
        "commit_interval": "50ms",
        "sources": {"seen": {
            "topic": f"{name}-seen", "columns": {"id": "int64", "item": "string", "at": "timestamp_ms"},
            "event_time": {"column": "at", "max_out_of_orderness": "1s", "idle_after": "1h"}}},
        "steps": steps, "sinks": sinks, **more,
    }


class Flow(threading.Thread):
    """`rate` records a second into all partitions, until it is stopped."""

    def __init__(self, brokers, topic, rate):
        super().__init__(daemon=True)
        self.brokers, self.topic, self.rate, self.sent = brokers, topic, rate, 0
        self.stopped = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()

    def run(self):
        while not self.stopped.wait(0.25):
            topics.produce(self.brokers, self.topic, [
                {"value": json.dumps({"id": i, "item": f"item {i % 7}", "at": BASE_MS + i}).encode(), "partition": i % 2}
                for i in range(self.sent, self.sent + self.rate // 4)])
            self.sent += self.rate // 4


def status(worker):
    return json.loads(worker.http("/v1/status"))


def node(told, name):
    return next(each for each in told["nodes"] if each["name"] == name)


class Catalogue(receiver.Receiver):
    """Takes OpenLineage events."""

    def __init__(self):
        super().__init__()
        self.events = []

    def take(self, path, headers, body):
        with self.lock:
            self.events.append(json.loads(body))
        return 201


class Status(SystemTest):
    needs_postgres = True

    def start(self, config, name, **options):
        worker = self.stack.run(config, name=name, threads=1, **options)
        wait_for("the worker to be ready, or to end", lambda: worker.ready() or not worker.running(), 120, worker.seen)
        self.assertTrue(worker.running(), worker.seen())
        return worker

    def verdict(self, worker, what, says, seconds=60):
        said = []

        def names():
            said.append(status(worker)["verdict"]["sentence"])
            return re.search(says, said[-1])
        wait_for(what, names, seconds, lambda: f"{said[-3:]}\n{worker.seen()}", every=0.5)
        return said[-1]

    def test_a_slow_commit_of_a_sink_is_named_and_forgotten(self):
        name = "slowsink"
        topics.create(self.stack.brokers, **{f"{name}-seen": 2})
        address = re.search(r"@([\d.]+):(\d+)/", self.stack.database_url).groups()
        proxy = Proxy((address[0], int(address[1])), wire.Postgres)
        self.addCleanup(proxy.close)
        url = re.sub(r"@[\d.]+:\d+/", f"@127.0.0.1:{proxy.port}/", self.stack.database_url)
        config = topology.write(self.stack.folder / f"{name}.yaml", application(
            name, {"plain": {"from": "seen", "filter": "id >= 0"}},
            {"rows_table": {"from": "plain", "postgres": {"url": "${SLOW_URL}", "table": "slow_rows"}},
             "out": {"from": "plain", "topic": f"{name}-out", "create": {}}}))
        worker = self.start(config, name, env=self.stack.environment(SLOW_URL=url))
        with Flow(self.stack.brokers, f"{name}-seen", 400):
            self.verdict(worker, "a sentence", "^Up to date")
            with proxy.rule(is_commit, stall=2.5):
                said = self.verdict(worker, "the sink to be named",
                                    r"^Behind by .* The limit is sink rows_table: PostgreSQL COMMIT takes ([6-9]\d|100)% of its time")
                print(said)
                told = status(worker)
                self.assertGreater(node(told, "rows_table")["busy"], 0.5)
                self.assertEqual(told["verdict"]["node"], "rows_table")
                # Nobody else is held up by it.
                self.assertLess(node(told, "seen")["lag"], 2_000)
                self.assertTrue(any(f["node"] == "rows_table" and "of its feed" in f["text"] for f in told["findings"]), told)
            self.verdict(worker, "the sink to catch up", "^Up to date")

    def test_a_step_that_keeps_a_thread_busy_is_named(self):
        name = "slowstep"
        topics.create(self.stack.brokers, **{f"{name}-seen": 2})
        config = topology.write(self.stack.folder / f"{name}.yaml", application(
            name, {"cheap": {"from": "seen", "filter": "id >= 0"},
                   "dear": {"from": "cheap", "project": {"id": "id", "at": "at", **{
                       f"sum_{i}": f"md5(repeat(item || '{i}', 30000))" for i in range(2)}}}},
            {"out": {"from": "dear", "topic": f"{name}-out", "create": {}}}))
        # What a step takes is told behind a batch, which are seconds where others use the machine too.
        with Flow(self.stack.brokers, f"{name}-seen", 5_000):
            worker = self.start(config, name)
            said = self.verdict(worker, "the step to be named",
                                r"^Behind by .* The limit is step dear: it takes \d+% of the threads' time", 240)
            print(said)
            self.assertGreater(int(re.search(r"takes (\d+)%", said)[1]), 50)

    def test_workers_see_each_other_until_one_is_killed(self):
        name = "many"
        runs = Catalogue()
        self.addCleanup(runs.close)
        topics.create(self.stack.brokers, **{f"{name}-seen": 2})
        config = topology.write(self.stack.folder / f"{name}.yaml", application(
            name, {"some": {"from": "seen", "filter": "item <> 'item 3'"},
                   "counts": {"from": "some", "window": {"tumbling": "1m", "grace": "5s"}, "group_by": ["item"],
                              "aggregates": {"n": "count(*)"}}},
            {"out": {"from": "counts", "topic": f"{name}-out", "create": {}}},
            lineage={"http": {"url": runs.url, "headers": {"X-Team": "town"}}, "file": str(self.stack.folder / "lineage.jsonl"),
                     "topic": f"{name}-lineage", "every": "1s"}))
        workers = [self.start(config, f"{name}-{i}") for i in range(2)]
        # One partition has come 100 s further than the other, whose time is what the window waits for.
        topics.produce(self.stack.brokers, f"{name}-seen", [
            {"value": json.dumps({"id": i, "item": f"item {i % 7}", "at": BASE_MS + i + (i % 2) * 100_000}).encode(),
             "partition": i % 2} for i in range(7_000)])

        def all_told(worker):
            told = status(worker)
            return (len(told["workers"]) == 2 and len(told["places"]) == 4 and
                    node(told, "seen")["counters"].get("in") == 7_000 and node(told, "counts")["counters"].get("in") == 6_000)
        for worker in workers:
            wait_for("both workers' figures", lambda: all_told(worker), 60, worker.seen, every=0.5)
        # What is told of all workers comes a moment behind what each one says of itself.
        for step, metric in (("seen", "tidemark_step_in_rows_total"), ("some", "tidemark_step_in_rows_total"),
                             ("counts", "tidemark_step_open_window_pairs")):
            figure = "open" if metric.endswith("pairs") else "in"

            def figures():
                return (node(status(workers[0]), step)["counters"][figure],
                        sum(worker.metric(metric, step=step) or 0 for worker in workers))
            wait_for(f"one figure of {step}", lambda: len(set(figures())) == 1, 20, lambda: str(figures()), every=0.5)
        told = status(workers[0])
        self.assertEqual({place["worker"] for place in told["places"]}, {worker.name for worker in workers})
        self.assertEqual((told["alarms"], told["freshness"]), ([], []))

        # Why nothing comes out, in a terminal: which partition's time is waited for, and what was filtered.
        _, text, _ = self.stack.tidemark("status", "--config", config)
        print(text)
        self.assertRegex(text, r"^Up to date")
        self.assertRegex(text, r"counts: 6,000 rows in open windows; its time is [-0-9: ]+; windows close with the slowest "
                               r"partition, many-seen-0 at [-0-9: ]+ \(others have come to ")
        self.assertRegex(text, r"out: step counts has given it no row yet")
        _, text, _ = self.stack.tidemark("status", "--config", config, "--format", "json")
        self.assertEqual(len(json.loads(text)["workers"]), 2)

        # The page and the picture, which `describe` prints too.
        self.assertIn('id="verdict"', workers[0].http("/"))
        self.assertIn("v1/status", workers[0].http("/page.js"))
        self.assertIn("--ground", workers[0].http("/page.css"))
        self.assertEqual(json.loads(workers[0].http("/v1/dashboards")), {"application": name, "dashboards": []})
        _, catalogue, _ = self.stack.tidemark("describe", "--config", config, "--format", "json")
        self.assertEqual(json.loads(workers[0].http("/v1/catalogue")), json.loads(catalogue))
        _, picture, _ = self.stack.tidemark("describe", "--config", config, "--format", "svg")
        self.assertEqual(workers[0].http("/v1/topology.svg"), picture)
        self.assertGreater(len(json.loads(workers[0].http("/v1/status/history"))["moments"]), 0)

        self.look_at_rows(workers, name)
        wait_for("the run to be told of", lambda: [e["eventType"] for e in runs.events][:1] == ["START"], 30, workers[0].seen)
        workers[1].kill()
        wait_for("the killed worker to vanish", lambda: len(status(workers[0])["workers"]) == 1, 30, workers[0].seen, every=0.5)
        self.assertEqual(workers[0].stop(), 0)
        self.check_run(runs, name)
        _, text, _ = self.stack.tidemark("status", "--config", config)
        self.assertRegex(text, "^No worker runs")

    def look_at_rows(self, workers, name):
        """Each worker shows what its own partition gives out from now on, as it is committed."""
        for worker in workers:
            self.assertEqual(json.loads(worker.http("/v1/nodes/some/rows"))["rows"], [])
        topics.produce(self.stack.brokers, f"{name}-seen", [
            {"value": json.dumps({"id": i, "item": "item 1", "at": BASE_MS + 200_000 + i}).encode(), "partition": i % 2} for i in range(60)])
        def shown(worker):
            """By their times, as the ids, which no later step reads, are left behind."""
            told = json.loads(worker.http("/v1/nodes/some/rows"))
            times = [datetime.datetime.fromisoformat(row["time"]).timestamp() for row in told["rows"]]
            return told, [round(time * 1000) - BASE_MS - 200_000 for time in times]

        seen = []
        for worker in workers:
            wait_for("rows", lambda: len(shown(worker)[1]) == 10 and shown(worker)[1][0] >= 58, 30, worker.seen)
            told, ids = shown(worker)
            self.assertEqual({row["row"]["item"] for row in told["rows"]}, {"item 1"})
            self.assertEqual(({row["partition"] for row in told["rows"]}, told["worker"]), (set(told["partitions"]), worker.name))
            self.assertEqual(ids, sorted(ids, reverse=True))
            seen += ids
        self.assertEqual(sorted(seen), list(range(40, 60)))

    def check_run(self, catalogue, name):
        """One run of both workers, which the kill of one hasn't ended, at all three places."""
        kinds = [event["eventType"] for event in catalogue.events]
        self.assertEqual((kinds[0], kinds[-1], set(kinds[1:-1])), ("START", "COMPLETE", {"RUNNING"}), kinds)
        self.assertEqual({event["run"]["runId"] for event in catalogue.events}, {catalogue.events[0]["run"]["runId"]})
        last = catalogue.events[-1]
        self.assertEqual((last["job"]["name"], [each["name"] for each in last["outputs"]]), (name, [f"{name}-out"]))
        self.assertIn("columnLineage", last["outputs"][0]["facets"])
        self.assertTrue(last["schemaURL"].endswith("/2-0-2/OpenLineage.json#/$defs/RunEvent"))
        lines = [json.loads(line) for line in (self.stack.folder / "lineage.jsonl").read_text().splitlines()]
        records = [json.loads(value) for value in topics.read(self.stack.brokers, f"{name}-lineage")["value"].to_pylist()]
        self.assertEqual([lines[0], lines[-1]], [catalogue.events[0], last])
        self.assertEqual([records[0], records[-1]], [catalogue.events[0], last])

    def test_runs_that_fail_or_were_begun_twice_are_told(self):
        name = "runs"
        runs = Catalogue()
        self.addCleanup(runs.close)
        topics.create(self.stack.brokers, **{f"{name}-seen": 1})
        config = topology.write(self.stack.folder / f"{name}.yaml", application(
            name, {"sure": {"from": "seen", "expect": {"known": {"that": "id >= 0", "else": "stop"}}}},
            {"out": {"from": "sure", "topic": f"{name}-out", "create": {}}}, lineage={"http": {"url": runs.url}}))
        kinds = lambda run: [event["eventType"] for event in runs.events if event["run"]["runId"] == run]
        begun = lambda: [event["run"]["runId"] for event in runs.events if event["eventType"] == "START"]
        first = self.start(config, f"{name}-0")
        wait_for("the run to be told of", begun, 30, first.seen)
        # The other hears nothing of it while it is frozen.
        first.signal(signal.SIGSTOP)
        wait_for("the frozen one to be forgotten", lambda: "No worker runs" in self.stack.tidemark("status", "--config", config)[1], 60)
        second = self.stack.run(config, "--leave_on_stop", name=f"{name}-1", threads=1)
        wait_for("a second run", lambda: len(begun()) == 2, 60, second.seen)
        first.signal(signal.SIGCONT)
        wait_for("the one that began later to be given up", lambda: kinds(begun()[1])[-1] == "ABORT", 60, second.seen)
        wait_for("the second worker to be ready", second.ready, 60, second.seen)
        self.assertEqual(second.stop(), 0, second.seen())
        self.assertTrue(set(kinds(begun()[0])[1:]) <= {"RUNNING"}, "which goes on")
        topics.produce(self.stack.brokers, f"{name}-seen", [{"value": json.dumps({"id": -1, "item": "", "at": BASE_MS}).encode()}])
        self.assertNotEqual(first.wait(60), 0, first.seen())
        wait_for("the end to be told", lambda: kinds(begun()[0])[-1] == "FAIL", 30, lambda: str(runs.events))
        self.assertIn("known", runs.events[-1]["run"]["facets"]["errorMessage"]["message"])

    def test_the_page_can_be_read_in_both_schemes(self):
        self.assertEqual({where: contrast for where, contrast in page.contrasts().items() if contrast < 1}, {})

    def test_the_script_parses_and_finds_what_it_looks_for(self):
        self.assertEqual(page.unknown_names(), set())
        if shutil.which("node"):
            for script in page.FOLDER.glob("*.js"):
                subprocess.run(["node", "--check", script], check=True)

    @unittest.skipUnless(shutil.which("npm"), "TypeScript comes from npm")
    def test_the_script_keeps_its_types(self):
        self.assertEqual(page.type_errors(), "")

    @unittest.skipUnless(LONG, "installs a browser")
    def test_the_page_in_a_browser(self):
        name = "page"
        topics.create(self.stack.brokers, **{f"{name}-seen": 2})
        config = topology.write(self.stack.folder / f"{name}.yaml", application(
            name, {"counts": {"from": "seen", "group_by": ["item"], "aggregates": {"n": "count(*)"}, "emit": "on_update"}},
            {"raw": {"from": "seen", "topic": f"{name}-out", "create": {}}}, views={"totals": {"from": "counts", "key": ["item"]}},
            dashboards={"town": {"title": "Town", "choose": "item", "panels": {
                "bars": {"view": "totals", "show": "bars", "x": "item", "y": "n"},
                "line": {"title": "Course", "view": "totals", "show": "line", "x": "item", "y": "n"},
                "list": {"view": "totals", "columns": ["item", "n"]}}}}))
        worker = self.start(config, name)
        with Flow(self.stack.brokers, f"{name}-seen", 400):
            wait_for("rows in the view", lambda: (worker.metric("tidemark_view_rows", view="totals") or 0) == 7, 60, worker.seen)
            address = (worker.state_dir / "http_address").read_text().strip()
            page.check(f"http://{address}/", self.stack.folder)


if __name__ == "__main__":
    main()
