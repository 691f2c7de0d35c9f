#!/usr/bin/env python3
"""Alarms, and rows of alerts by webhook. Each crossing is posted at least once though workers are killed and the receiver
fails, and ids make of that exactly one; a database that is away raises its alarms in their order although no row moves,
they outlive the worker that has raised them, and they end; a source that says nothing raises none."""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import time

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
import topology
from case import SystemTest, main
from receiver import SECRET, Receiver
from stack import ROOT, wait_for

REGIONS = 12
BASE_S = 1_767_225_600


def crossings(name, url, secret_file):
    return {
        "name": name, "kafka": topology.load()["kafka"], "commit_interval": "20ms",
        "sources": {"readings": {
            "topic": f"{name}-readings", "columns": {"region": "string", "at": "timestamp_s", "value": "double"},
            "event_time": {"column": "at", "max_out_of_orderness": "1s", "idle_after": "1s"}}},
        "steps": {"high": {"from": "readings",
                           "alert": {"by": ["region"], "raise": "value > 1", "clear": "value < 0.5"}}},
        "sinks": {"high_topic": {"from": "high", "topic": f"{name}-high", "create": {}},
                  "tell": {"from": "high", "webhook": {
                      "url": url, "sign": str(secret_file), "headers": {"X-Tenant": "a secret tenant"}}}},
    }


def stale(name, url, secret_file):
    return {
        "name": name, "kafka": topology.load()["kafka"], "commit_interval": "50ms",
        "sources": {"clicks": {"topic": f"{name}-clicks", "columns": {"id": "int64", "page": "string"}}},
        "steps": {"plain": {"from": "clicks", "filter": "id >= 0"}},
        "sinks": {"table": {"from": "plain", "freshness": {"warn": "6s", "max": "12s"},
                            "postgres": {"url": "${DATABASE_URL}", "table": name.replace("-", "_"), "key": ["id"]}},
                  "copy": {"from": "plain", "topic": f"{name}-copy", "create": {}, "freshness": "60s"}},
        "views": {"pages": {"from": "plain", "key": ["id"], "freshness": "60s"}},
        "notify": {"webhook": {"url": url, "sign": str(secret_file)}, "topic": f"{name}-alarms"},
    }


class Alarms(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        cls.secret = cls.stack.folder / "secret"
        cls.secret.write_text(SECRET + "\n")

    def receiver(self, **more):
        receiver = Receiver(**more)
        self.addCleanup(receiver.close)
        return receiver

    def test_every_crossing_arrives_while_workers_are_killed(self):
        moments = random.Random(11)
        # A third of the posts fail, some of them after they were taken.
        receiver = self.receiver(answer=lambda number: moments.choice([204, 200, 204, 200, 503, 0]))
        topics.create(self.stack.brokers, **{"crossings-readings": 3})
        config = topology.write(self.stack.folder / "crossings.yaml", crossings("crossings", receiver.url, self.secret))
        worker = self.stack.run(config, name="teller", threads=1)
        wait_for("the worker to be ready", worker.ready, 120, worker.seen)
        kills = {30, 60, 90}
        for second in range(120):
            rows = []
            for region in range(REGIONS):
                value = 1.5 if (second + region) % 20 < 8 else 0.2
                rows.append({"key": str(region).encode(), "value": json.dumps(
                    {"region": f"region {region}", "at": BASE_S + second, "value": value}).encode()})
            topics.produce(self.stack.brokers, "crossings-readings", rows)
            if second in kills:
                posted = len(receiver.posts)
                wait_for("posts to be under way", lambda: len(receiver.posts) > posted, 60, worker.seen)
                worker.kill()
                worker = self.stack.run(config, name="teller", threads=1)

        def in_topic():
            values = topics.read(self.stack.brokers, "crossings-high")["value"].to_pylist()
            return sorted(json.dumps(json.loads(value), sort_keys=True) for value in values)

        def posted():
            return sorted(json.dumps(message["row"], sort_keys=True) for message in receiver.messages().values())
        # Each region crosses up and down every 20 seconds.
        wait_for("the alert rows", lambda: len(in_topic()) >= REGIONS * 10, 120, lambda: f"{len(in_topic())} {worker.seen()}",
                 every=1)
        wait_for("all rows by webhook", lambda: posted() == in_topic(), 120,
                 lambda: f"{len(posted())} of {len(in_topic())}; {worker.seen()}", every=1)
        self.assertEqual(receiver.wrong, [])
        ids = receiver.messages()
        self.assertEqual(len(ids), len(in_topic()))
        self.assertGreater(len(receiver.posts), len(ids))
        print("alert rows", len(ids), "posts", len(receiver.posts), "kills", len(kills))

        # What is secret is shown nowhere.
        for form in ("text", "json", "yaml", "dot", "kafka", "prometheus-rules"):
            _, shown, _ = self.stack.tidemark("describe", "--config", config, "--format", form)
            for secret in ("a-secret-path", "a secret tenant", SECRET):
                self.assertNotIn(secret, shown, form)
        for secret in ("a-secret-path", "a secret tenant", SECRET):
            self.assertNotIn(secret, worker.output())

    def rules(self, config):
        """As Prometheus reads them: groups of rules, each with an expression, a duration and texts."""
        _, text, _ = self.stack.tidemark("describe", "--config", config, "--format", "prometheus-rules")
        rules = yaml.safe_load(text)
        found, told_apart = {}, set()
        if shutil.which("promtool"):  # Debian's package prometheus has it
            path = self.stack.folder / "rules.yaml"
            path.write_text(text)
            checked = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True)
            self.assertEqual((checked.returncode, checked.stderr), (0, ""), checked.stdout)
        for group in rules["groups"]:
            self.assertEqual(set(group), {"name", "rules"})
            for rule in group["rules"]:
                self.assertEqual(set(rule), {"alert", "expr", "for", "labels", "annotations"})
                self.assertRegex(rule["for"], r"^\d+[smh]$")
                self.assertTrue(all(isinstance(text, str) for text in rule["labels"].values()))
                found.setdefault(rule["alert"], []).append(rule["expr"])
                labels = (rule["alert"], *sorted(rule["labels"].items()))
                self.assertNotIn(labels, told_apart, "two alerts that nobody can tell apart")
                told_apart.add(labels)
        return found

    def test_a_database_that_is_away_alarms_though_no_row_moves(self):
        receiver = self.receiver()
        topics.create(self.stack.brokers, **{"stale-clicks": 2})
        config = topology.write(self.stack.folder / "stale.yaml", stale("stale", receiver.url, self.secret))
        rules = self.rules(config)
        self.assertIn('min(tidemark_freshness_seconds{application="stale",sink="table"}) >= 12', rules["TidemarkStale"])
        self.assertIn("TidemarkAlarmsUntold", rules)
        worker = self.stack.run(config, name="stale", threads=1)
        wait_for("the worker to be ready", worker.ready, 120, worker.seen)
        topics.produce(self.stack.brokers, "stale-clicks",
                       [{"value": json.dumps({"id": i, "page": "p"}).encode()} for i in range(100)])
        for label in ({"sink": "table"}, {"sink": "copy"}, {"view": "pages"}):
            wait_for(f"{label} to be confirmed", lambda: worker.metric("tidemark_freshness_confirmed", **label) == 1, 60,
                     worker.seen)
        # A source that says nothing is fresh, as its end is confirmed.
        ages = []
        for _ in range(8):
            time.sleep(1)
            ages.append(worker.metric("tidemark_freshness_seconds", sink="table"))
        self.assertLess(max(ages), 6)
        self.assertEqual(receiver.posts, [])

        def raised():
            return {(m["sink"], m["kind"]) for m in receiver.messages().values() if m["state"] == "raised"}
        self.stack.stop_postgres()
        wait_for("the warning", lambda: ("table", "warn") in raised(), 60, worker.seen)
        # Whoever takes over knows what is raised, and raises it no second time.
        worker.kill()
        worker = self.stack.run(config, name="stale", threads=1)
        wait_for("all alarms", lambda: raised() == {("table", "warn"), ("table", "predicted"), ("table", "breach")}, 60,
                 lambda: f"{raised()} {worker.seen()}")
        self.stack.restart_postgres()
        wait_for("all to be over",
                 lambda: sum(m["state"] == "cleared" for m in receiver.messages().values()) == 3, 90, worker.seen)
        self.assertEqual(receiver.wrong, [])
        messages = sorted(receiver.messages().values(), key=lambda m: m["at"])
        self.assertEqual(len(messages), 6, messages)
        self.assertEqual({(m["sink"], m["application"]) for m in messages}, {("table", "stale")})
        since = {}
        for message in messages:
            self.assertEqual(since.setdefault(message["kind"], message["since"]), message["since"], messages)
        self.assertEqual(worker.metric("tidemark_alarm", sink="table", kind="breach"), 0)
        in_topic = [json.loads(v) for v in topics.read(self.stack.brokers, "stale-alarms")["value"].to_pylist()]
        self.assertEqual(sorted(m["id"] for m in in_topic), sorted(m["id"] for m in messages))
        print("alarms", [(m["kind"], m["state"], m["age_seconds"]) for m in messages], "oldest while silent", max(ages))

    def test_the_surveys_example_tells_of_each_crossing_once(self):
        receiver = self.receiver(secret=None, answer=lambda number: 500 if number % 2 else 204)
        folder = self.stack.folder / "surveys"
        (folder / "landing").mkdir(parents=True)
        text = (ROOT / "examples" / "surveys" / "topology.yaml").read_text()
        for name in ("landing/", "processed", "rejected"):
            text = text.replace(f": {name}", f": {folder}/{name}")
        (folder / "topology.yaml").write_text(text)
        # A day's file each; of the time that counts there is only so much as the days say.
        scores = {"North": [40, 20, 18, 33, 50, 51], "South": [60, 61, 62, 27, 26, 40]}
        for day in range(6):
            lines = ["district,survey,filled,score"] + [
                f"{district},{day * 10 + n},2026-01-{1 + day * 5:02}T10:00:00Z,{values[day]}"
                for n, (district, values) in enumerate(scores.items())]
            part = folder / "landing" / f"day-{day}.part"
            part.write_text("\n".join(lines) + "\n")
            part.rename(folder / "landing" / f"day-{day}.csv")
        worker = self.stack.run(folder / "topology.yaml", name="surveys", threads=1,
                                env=self.stack.environment(ALERTS_URL=receiver.url))

        def told():
            return sorted((m["row"]["district"], m["row"]["alert_state"], m["row"]["score"])
                          for m in receiver.messages().values())
        # A row has the reading that the alert began with. The last day's readings wait for a later one.
        wait_for("the crossings", lambda: told() == [("North", "cleared", 20), ("North", "raised", 20),
                                                     ("South", "raised", 27)], 120, lambda: f"{told()} {worker.seen()}")
        self.assertEqual(receiver.wrong, [])


if __name__ == "__main__":
    main(at_once=True)
