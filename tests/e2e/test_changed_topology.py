#!/usr/bin/env python3
"""A topology that is changed under its name, over open windows and over rows that wait in a feed. What can't go on is
refused before anything is changed or announced, and the former topology goes on as if nothing had been; what can, is
read right."""

import collections
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import pyarrow.dataset

import duck
import stack
import topics
import topology
from case import SystemTest, main
from stack import wait_for

ROWS = 2_000  # before the change, and as many after it
START_MS = 1_700_000_000_000


def row(number):
    return {"id": number, "route": f"r{number % 7}", "cents": number % 100, "at": START_MS + number,
            "carrier": f"c{number % 3}"}


def application(name):
    """Rows are taken once, counted by route in windows of an hour, and go to a lake whose file stays open."""
    return {
        "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "internal_topics": {"partitions": 2},
        "sources": {"prices": {
            "topic": f"{name}-in", "columns": {
                "id": "int64", "route": "string", "cents": "int64", "at": "timestamp_ms",
                "note": {"type": "string", "nullable": True}},
            "event_time": {"column": "at"}}},
        "steps": {
            "once": {"from": "prices", "dedup": {"by": ["id"], "within": "1h"}},
            "hourly": {"from": "once", "window": {"tumbling": "1h"}, "group_by": ["route"],
                       "aggregates": {"n": "count(*)", "cents": "sum(cents)"}},
            "rows": {"from": "once", "project": {"id": "id", "note": "note"}}},
        "sinks": {
            "sums": {"from": "hourly", "topic": f"{name}-out", "create": {}},
            "lake": {"from": "rows", "parquet": {"path": "${LAKE}/" + name, "max_age": "1h"}}}}


def with_changes(name):
    """Besides, a lake has the changes of how many rows of a route there are, as soon as they are more than three."""
    changed = application(name)
    changed["steps"]["totals"] = {"from": "once", "group_by": ["route"], "aggregates": {"n": "count(*)"}}
    changed["steps"]["some"] = {"from": "totals", "filter": "n > 3"}
    changed["sinks"]["changes"] = {
        "from": "some", "parquet": {"path": "${LAKE}/" + name + "-changes", "mode": "changes", "max_age": "1s"}}
    return changed


class ChangedTopology(SystemTest):
    def put(self, name, numbers):
        topics.produce(self.stack.brokers, f"{name}-in",
                       [{"value": json.dumps(row(n)), "partition": n % 2} for n in numbers])

    def begin(self, name, first=None):
        """The first run: windows are open, and rows wait in the feed of a lake that has cut no file."""
        topics.create(self.stack.brokers, **{f"{name}-in": 2})
        self.put(name, range(ROWS))
        config = topology.write(self.stack.folder / f"{name}.yaml", first or application(name))
        worker = self.stack.run(config, name=name, threads=1)

        def read():
            feed = topics.ends(self.stack.brokers, f"{name}.lake.feed") if worker.ready() else {}
            offsets = topics.committed(self.stack.brokers, name, f"{name}-in")
            return sum(offsets.values()) >= ROWS and sum(feed.values()) > 0

        wait_for("all to be read", read, 180, worker.seen, every=0.2)
        worker.kill()
        return config

    def standing(self, name):
        """What a worker may have changed in Kafka."""
        brokers, feed = self.stack.brokers, f"{name}.lake.feed"
        records = {topic: topics.read(brokers, topic).num_rows for topic in (feed, f"{name}.once.changelog")}
        groups = topics.committed(brokers, name, f"{name}-in"), topics.committed(brokers, f"{name}.lake", feed)
        return records, groups, sorted(topic for topic in topics.names(brokers) if topic.startswith(name))

    def refused(self, name, changed, *why):
        """Nothing has happened, `validate` says the same, and the former topology comes to all its results."""
        config = topology.write(self.stack.folder / f"{name}-changed.yaml", changed)
        before = self.standing(name)
        code, _, errors = self.stack.tidemark("validate", "--config", config, "--online", check=False)
        self.assertNotEqual(code, 0)
        worker = self.stack.run(config, "--until_end", name=name, threads=1)
        self.assertEqual(worker.wait(300), 2, worker.seen())
        for text in why:
            self.assertIn(text, worker.output())
            self.assertIn(text, errors)
        self.assertNotIn("assigned", worker.output())
        self.assertEqual(self.standing(name), before)

    def completes(self, name, config):
        self.put(name, range(ROWS, 2 * ROWS))
        self.stack.run(config, "--until_end", "--close_windows", name=name, threads=1).finish(300)
        expected, found = collections.Counter(), collections.Counter()
        for n in range(2 * ROWS):
            expected.update({row(n)["route"]: 1, f"cents of {row(n)['route']}": row(n)["cents"]})
        for value in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist():
            result = json.loads(value)
            found.update({result["route"]: result["n"], f"cents of {result['route']}": result["cents"]})
        self.assertEqual(found, expected)
        files = sorted((self.stack.folder / "lake" / name).rglob("*.parquet"))
        table = pyarrow.dataset.dataset(files, schema=self.lake_schema(files)).to_table().sort_by("id")
        self.assertEqual(table["id"].to_pylist(), list(range(2 * ROWS)))
        return table

    @staticmethod
    def lake_schema(files):
        return pyarrow.unify_schemas([pyarrow.dataset.dataset(file).schema for file in files])

    def test_another_type_under_an_open_window_is_refused_and_the_former_goes_on(self):
        config = self.begin("retyped")
        changed = application("retyped")
        changed["sources"]["prices"]["columns"]["cents"] = "double"
        self.refused("retyped", changed, "step hourly", "cents int64", "cents double", "new name")
        self.completes("retyped", config)

    def test_a_window_of_another_name_is_refused_and_the_former_goes_on(self):
        config = self.begin("renamed")
        changed = application("renamed")
        changed["steps"]["by_hour"] = changed["steps"].pop("hourly")
        changed["sinks"]["sums"]["from"] = "by_hour"
        self.refused("renamed", changed, "step hourly", "renamed or removed")
        self.completes("renamed", config)

    def test_a_column_added_in_front_of_rows_that_wait_is_null_in_them(self):
        config = self.begin("added")
        changed = application("added")
        changed["sources"]["prices"]["columns"]["carrier"] = "string"
        changed["steps"]["rows"]["project"]["carrier"] = "carrier"
        self.refused("added", changed, "column carrier was added and isn't nullable")
        strict = application("added")
        strict["sources"]["prices"]["columns"]["note"] = "string"
        self.refused("added", strict, "column note was nullable and no longer is")
        changed["sources"]["prices"]["columns"]["carrier"] = {"type": "string", "nullable": True}
        config = topology.write(config, changed)
        table = self.completes("added", config)
        self.assertEqual(table["carrier"].to_pylist(),
                         [None] * ROWS + [row(n)["carrier"] for n in range(ROWS, 2 * ROWS)])

    def test_a_lake_of_changes_goes_on_only_as_it_is(self):
        config = self.begin("lakes", with_changes("lakes"))
        changed = with_changes("lakes")
        changed["steps"]["some"]["filter"] = "n > 4"
        self.refused("lakes", changed, "sink changes: its files hold", "filter (n > 3)", "filter (n > 4)", "new folder")
        changed = with_changes("lakes")
        changed["steps"]["some"] = {"from": "totals", "project": {"*": True, "note": "'more'"}}
        self.refused("lakes", changed, "sink changes: its files hold", "note string from ('more')")
        changed = with_changes("lakes")
        changed["sinks"]["others"] = {"from": "some", "parquet": {"path": "${LAKE}/others", "mode": "changes"}}
        self.refused("lakes", changed, "sink others is new", "step totals", "new folder")
        self.completes("lakes", config)
        macro = (stack.ROOT / "examples" / "lake" / "latest.sql").read_text()
        found = duck.rows(f"{macro}; SELECT route, n FROM latest('{self.stack.folder}/lake/lakes-changes')")
        self.assertEqual(dict(found), collections.Counter(row(n)["route"] for n in range(2 * ROWS)))


if __name__ == "__main__":
    main(at_once=True)
