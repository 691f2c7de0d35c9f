#!/usr/bin/env python3
"""`tidemark plan` against an application that has run, and one that runs: it says what `run` then does, in the same
words, and changes nothing."""

import collections
import copy
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import psycopg

import duck
import topics
import topology
from case import SystemTest, main
from stack import wait_for

ROWS = 1_000
START_MS = 1_700_000_000_000
DECISION, MISTAKE = 3, 2


def application(name):
    """Rows are taken once, counted by route in windows of an hour that stay open, and go to a table and a lake."""
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
            "rows": {"from": "once", "project": {"id": "id", "cents": "cents"}}},
        "sinks": {
            "sums": {"from": "hourly", "topic": f"{name}-out", "create": {}},
            "table": {"from": "rows", "postgres": {"url": "${DATABASE_URL}", "table": f"{name}_rows", "mode": "upsert",
                                                   "key": ["id"]}},
            "lake": {"from": "rows", "parquet": {"path": "${LAKE}/" + name, "max_age": "1s"}}}}


def edited(name, *changes):
    changed = copy.deepcopy(application(name))
    for change in changes:
        change(changed)
    return changed


def set_at(*path, to):
    def change(config):
        for part in path[:-1]:
            config = config[part]
        config[path[-1]] = to
    return change


def renamed(config):
    config["steps"]["by_hour"] = config["steps"].pop("hourly")
    config["sinks"]["sums"]["from"] = "by_hour"


# Of every part what it is called in the next version.
OTHER_NAMES = {"prices": "quotes", "once": "unique", "hourly": "by_hour", "sums": "by_hour_out", "table": "quote_rows",
               "lake": "pond"}


def with_other_names(config):
    """Every part of it goes on with what was kept of it under the name that it had."""
    for section in "sources", "steps", "sinks":
        for old in list(config[section]):
            part = config[section].pop(old)
            if part.get("from") in OTHER_NAMES:
                part["from"] = OTHER_NAMES[part["from"]]
            if old in OTHER_NAMES:
                part["renamed_from"] = old
            config[section][OTHER_NAMES.get(old, old)] = part


def without_window(config):
    del config["steps"]["hourly"], config["sinks"]["sums"]


def with_source(config):
    config["sources"]["others"] = {"topic": f"{config['name']}-others", "columns": {"id": "int64"}}
    config["sinks"]["ids"] = {"from": "others", "topic": f"{config['name']}-ids", "create": {}}


def with_step(config):
    config["steps"]["daily"] = {"from": "once", "window": {"tumbling": "1d"}, "group_by": ["route"],
                                "aggregates": {"n": "count(*)"}}
    config["sinks"]["days"] = {"from": "daily", "topic": f"{config['name']}-days", "create": {}}


def third_name(says):
    def change(config):
        step = config["steps"].pop("by_hour")
        config["steps"]["per_hour"] = {**step, "renamed_from": says}
        config["sinks"]["by_hour_out"]["from"] = "per_hour"
    return change


# What is edited -> the exit code of plan, and the verdicts of steps that aren't unchanged.
EDITS = {
    "nothing": ([], 0, {}),
    "a filter": ([set_at("steps", "some", to={"from": "once", "filter": "cents > 1"}),
                  set_at("steps", "rows", "from", to="some")], 0, {}),
    "more grace": ([set_at("steps", "hourly", "window", to={"tumbling": "1h", "grace": "1m"})], 0, {}),
    "another window beside it": ([with_step], 0, {"step daily": "new"}),
    "a source more": ([with_source], 0, {}),
    "another length": ([set_at("steps", "hourly", "window", to={"tumbling": "2h"})], DECISION,
                       {"step hourly": "refused"}),
    "another type, of a table's column too": ([set_at("sources", "prices", "columns", "cents", to="double")], MISTAKE,
                                              {"step hourly": "refused"}),
    "another id": ([set_at("steps", "once", "dedup", "by", to=["id", "note"])], DECISION, {"step once": "refused"}),
    "another key": ([set_at("steps", "hourly", "group_by", to=["note"])], DECISION, {"step hourly": "refused"}),
    "an aggregate more": ([set_at("steps", "hourly", "aggregates", "most", to="max(cents)")], DECISION,
                          {"step hourly": "refused"}),
    "a renamed window": ([renamed], DECISION, {"step hourly": "dropped", "step by_hour": "new"}),
    "a window taken out": ([without_window], DECISION, {"step hourly": "dropped"}),
    "a table's column": ([set_at("steps", "rows", "project", "note", to="note")], MISTAKE, {}),
    "other partitions": ([set_at("internal_topics", "partitions", to=3)], MISTAKE, {}),
    "an aggregate more, from now on": ([set_at("steps", "hourly", "aggregates", "most", to="max(id)"),
                                        set_at("steps", "hourly", "aggregates_from_now", to="most")], 0,
                                       {"step hourly": "converts state"}),
    "a topic that isn't there": ([with_source, set_at("sources", "others", "topic", to="nowhere")], MISTAKE, {}),
}


class Plans(SystemTest):
    needs_postgres = True

    def put(self, name, numbers):
        topics.produce(self.stack.brokers, f"{name}-in",
                       [{"value": json.dumps({"id": n, "route": f"r{n % 7}", "cents": n % 100, "at": START_MS + n}),
                         "partition": n % 2} for n in numbers])

    def begin(self, name):
        topics.create(self.stack.brokers, **{f"{name}-in": 2, f"{name}-others": 2})
        self.put(name, range(ROWS))
        config = topology.write(self.stack.folder / f"{name}.yaml", application(name))
        self.stack.run(config, "--until_end", name=name, threads=1).finish(300)
        return config

    def plan(self, config, *flags):
        code, out, errors = self.stack.tidemark("plan", "--config", config, *flags, check=False)
        return code, out + errors

    def standing(self, name):
        """What a plan might have changed in Kafka."""
        brokers = self.stack.brokers
        names = sorted(topic for topic in topics.names(brokers) if topic.startswith(name))
        ends = {topic: topics.ends(brokers, topic, "read_uncommitted") for topic in names}
        return names, ends, topics.committed(brokers, name, f"{name}-in")

    def test_what_plan_asks_about_is_what_run_refuses_in_the_same_words(self):
        name = "edits"
        config = self.begin(name)
        for number, (what, (changes, expected, verdicts)) in enumerate(EDITS.items()):
            with self.subTest(what):
                path = topology.write(self.stack.folder / f"{name}-{number}.yaml", edited(name, *changes))
                before = self.standing(name)
                code, text = self.plan(path)
                self.assertEqual(code, expected, text)
                self.assertEqual(self.standing(name), before, "a plan changes nothing")
                told = json.loads(self.plan(path, "--format", "json")[1])
                self.assertEqual({s["step"]: s["verdict"] for s in told["steps"] if s["verdict"] != "unchanged"},
                                 verdicts)
                if expected == 0:
                    continue
                worker = self.stack.run(path, "--until_end", name=f"{name}-{number}", threads=1)
                self.assertEqual(worker.wait(300), 2, worker.seen())
                for message in [s["message"] for s in told["steps"] if "message" in s] + told["wrong"]:
                    self.assertIn(message, worker.output())
                    self.assertIn(message, text)
        self.assertIn("rows in open windows", self.plan(self.stack.folder / f"{name}-10.yaml")[1])
        self.stack.run(config, "--until_end", "--close_windows", name=name, threads=1).finish(300)
        found = sum(json.loads(v)["n"] for v in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist())
        self.assertEqual(found, ROWS, "the former version has lost nothing to all of this")

    def test_a_plan_leaves_workers_that_run_alone(self):
        name = "live"
        config = self.begin(name)
        worker = self.stack.run(config, name=name, threads=1)
        wait_for("the worker to be ready", worker.ready, 180, worker.seen)
        path = topology.write(self.stack.folder / f"{name}-changed.yaml", edited(name, renamed))
        for _ in range(3):
            for file, expected in ((path, DECISION), (config, 0)):
                code, text = self.plan(file)
                self.assertEqual(code, expected, text)
        self.put(name, range(ROWS, 2 * ROWS))

        def rows():
            with psycopg.connect(self.stack.database_url) as database:
                return database.execute(f"SELECT count(*) FROM {name}_rows").fetchone()[0]

        wait_for("what came meanwhile to be in the table", lambda: rows() == 2 * ROWS, 180, worker.seen, every=0.2)
        self.assertNotIn("lost", worker.output())
        worker.kill()

    def test_state_that_is_given_up_goes_and_nothing_else_does(self):
        name = "dropped"
        config = self.begin(name)
        both = edited(name, without_window)
        both["steps"]["rows"]["from"] = "prices"
        del both["steps"]["once"]
        window = topology.write(self.stack.folder / f"{name}-window.yaml", edited(name, without_window))
        both = topology.write(self.stack.folder / f"{name}-both.yaml", both)
        self.assertEqual(self.plan(window)[0], DECISION)
        code, text = self.plan(window, "--allow_drop", "hourly")
        self.assertEqual(code, 0, text)
        self.assertIn("its state is given up, 1,000 rows in open windows", text)
        code, text = self.plan(both, "--allow_drop", "hourly")
        self.assertEqual(code, DECISION, "another step than the one that is named")
        self.assertIn("--allow_drop once", text)
        code, text = self.plan(window, "--allow_drop", "hourly,once")
        self.assertEqual(code, MISTAKE, text)
        self.assertIn("the topology has that step", text)
        # Two stages at once, killed at some moment of it.
        flags = "--allow_drop", "hourly,once"
        self.put(name, range(ROWS))  # the same again, which nothing remembers
        worker = self.stack.run(both, *flags, name=name, threads=1)
        wait_for("the changelog to go", lambda: f"{name}.hourly.changelog" not in topics.names(self.stack.brokers), 180,
                 worker.seen)
        worker.kill()
        for _ in range(2):  # what is gone isn't looked for again
            self.stack.run(both, *flags, "--until_end", name=name, threads=1).finish(300)
        self.assertEqual(self.plan(both)[0], 0)
        with psycopg.connect(self.stack.database_url) as database:
            self.assertEqual(database.execute(f"SELECT count(*) FROM {name}_rows").fetchone()[0], ROWS)
        lake = duck.rows(f"SELECT id, count(*) FROM '{self.stack.folder}/lake/{name}/**/*.parquet' GROUP BY id")
        self.assertEqual(collections.Counter(n for _, n in lake), {2: ROWS})
        # Rows in front of them have been read that their state doesn't know of: they don't come back without a word, and the
        # start that is refused has taken nothing from the file that goes on.
        self.put(name, range(ROWS, ROWS + 10))
        code, text = self.plan(config)
        self.assertEqual(code, DECISION, text)
        worker = self.stack.run(config, "--until_end", name=name, threads=1, state_dir=self.stack.folder / "state" / "fresh")
        self.assertEqual(worker.wait(300), 2, worker.seen())
        for said in (text, worker.output()):
            self.assertRegex(said, rf"has read {name}\.\w+\.repartition-\d up to offset \d+, but the changelog .* has no commit")
        self.stack.run(both, "--until_end", name=name, threads=1).finish(300)
        with psycopg.connect(self.stack.database_url) as database:
            self.assertEqual(database.execute(f"SELECT count(*) FROM {name}_rows").fetchone()[0], ROWS + 10)

    def test_what_is_added_to_a_window_counts_from_now_on(self):
        name = "grown"
        former = self.begin(name)
        added = [set_at("steps", "hourly", "aggregates", "since", to="count(*)"),
                 set_at("steps", "hourly", "aggregates", "most", to="max(id)")]
        said = set_at("steps", "hourly", "aggregates_from_now", to=["since", "most"])
        unsaid = topology.write(self.stack.folder / f"{name}-unsaid.yaml", edited(name, *added))
        grown = topology.write(self.stack.folder / f"{name}-grown.yaml", edited(name, *added, said))
        code, text = self.plan(unsaid)
        self.assertEqual(code, DECISION, text)
        self.assertIn("say `aggregates_from_now: [since, most]`", text)
        code, text = self.plan(grown)
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"converts state: since, most count from now on, .* 1,000 rows in open windows")
        worker = self.stack.run(grown, name=name, threads=1)
        self.put(name, range(ROWS, 2 * ROWS))
        wait_for("some of them to be read", lambda: self.read(name) > ROWS, 180, worker.seen, every=0.02)
        worker.kill()
        self.put(name, range(2 * ROWS, 3 * ROWS))
        self.stack.run(grown, "--until_end", name=name, threads=1).finish(300)
        self.assertEqual(self.plan(former)[0], DECISION, "there is no way back")
        worker = self.stack.run(former, name=name, threads=1)
        self.assertEqual(worker.wait(300), 2, worker.seen())
        self.assertIn("its state was written by", worker.output())
        # The word has done its work.
        self.assertEqual(self.plan(unsaid)[0], 0)
        self.stack.run(unsaid, "--until_end", "--close_windows", name=name, threads=1).finish(300)
        rows = [json.loads(v) for v in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist()]
        found = {row["route"]: (row["n"], row["since"], row["most"]) for row in rows}
        expected = duck.rows(f"""SELECT 'r' || id % 7, count(*), count(*) FILTER (WHERE id >= {ROWS}), max(id)
                                 FROM range({3 * ROWS}) AS all_ids(id) GROUP BY ALL""")
        self.assertEqual(found, {route: (n, since, most) for route, n, since, most in expected})
        self.assertEqual(len(rows), 7)

    def test_what_has_another_name_goes_on_with_what_was_kept(self):
        name = "renamed"
        topics.create(self.stack.brokers, **{f"{name}-in": 2})
        files = {what: topology.write(self.stack.folder / f"{name}-{what}.yaml", edited(name, *changes)) for
                 what, changes in {
                     "first": (), "second": (with_other_names,),
                     "third": (with_other_names, third_name("hourly")),
                     "mistaken": (with_other_names, third_name("by_hour")),
                     "lost": (with_other_names, lambda c: c["sinks"]["quote_rows"].pop("renamed_from"))}.items()}
        # The database is away, so rows wait in the table's feed; then the worker is killed.
        self.put(name, range(ROWS))
        away = self.stack.environment(DATABASE_URL="postgresql://127.0.0.1:1/none")
        worker = self.stack.run(files["first"], name=name, threads=1, env=away)
        wait_for("all rows to be read", lambda: self.read(name) == ROWS, 180, worker.seen)
        worker.kill()
        code, text = self.plan(files["second"])
        self.assertEqual(code, 0, text)
        for said in ("takes over state of hourly", "takes over state of once",
                     "called prices before", "called table before"):
            self.assertIn(said, text)
        worker = self.stack.run(files["second"], name=name, threads=1)
        self.put(name, range(ROWS // 2, 2 * ROWS))
        wait_for("rows to come into the table", lambda: self.table(name) > ROWS, 180, worker.seen)
        self.assertIsNotNone(worker.metric("tidemark_step_rows_total", step="by_hour"), worker.metrics().keys())
        self.assertIsNone(worker.metric("tidemark_step_rows_total", step="hourly"))
        worker.kill()
        # A third name counts from the first one.
        for mistake, message in (("mistaken", "say `renamed_from: hourly` instead of `renamed_from: by_hour`"),
                                 ("lost", "put `renamed_from: table` back")):
            code, text = self.plan(files[mistake])
            self.assertEqual(code, DECISION, text)
            self.assertIn(message, text)
            refused = self.stack.run(files[mistake], name=name, threads=1)
            self.assertEqual(refused.wait(300), 2, refused.seen())
            self.assertIn(message, refused.output())
        self.stack.run(files["third"], "--until_end", name=name, threads=1).finish(300)
        code, text = self.plan(files["first"])
        self.assertEqual(code, 0, text)
        self.assertIn("takes over state of per_hour", text)
        self.stack.run(files["first"], "--until_end", "--close_windows", name=name, threads=1).finish(300)
        self.assertEqual(self.table(name), 2 * ROWS)
        lake = duck.rows(f"SELECT count(*), count(DISTINCT id) FROM '{self.stack.folder}/lake/{name}/**/*.parquet'")
        self.assertEqual(lake, [(2 * ROWS, 2 * ROWS)])
        found = sum(json.loads(v)["n"] for v in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist())
        self.assertEqual(found, 2 * ROWS, "each id once in its window")
        # A newer version has committed: a commit record that says it needs format 3.
        topics.produce(self.stack.brokers, f"{name}.prices.changelog",
                       [{"value": bytes.fromhex("0801" "2205" "0801" "f00103"), "partition": 0}])
        before = self.standing(name)
        for command in (("plan",), ("reset", "--to_earliest")):
            code, out, errors = self.stack.tidemark(*command, "--config", files["first"], check=False)
            self.assertEqual(code, MISTAKE, out + errors)
            self.assertIn("written by a newer Tidemark, in format 3; this one knows formats up to 2", out + errors)
        worker = self.stack.run(files["first"], name=name, threads=1)
        self.assertEqual(worker.wait(300), 2, worker.seen())
        self.assertIn("written by a newer Tidemark", worker.output())
        self.assertEqual(self.standing(name), before, "nothing was touched")

    def read(self, name):
        """How many records of its input are committed."""
        return sum(topics.committed(self.stack.brokers, name, f"{name}-in").values())

    def table(self, name):
        with psycopg.connect(self.stack.database_url) as database:
            if database.execute("SELECT to_regclass(%s)", (f"{name}_rows",)).fetchone()[0] is None:
                return 0
            return database.execute(f"SELECT count(*) FROM {name}_rows").fetchone()[0]

    def test_of_a_table_the_statement_that_it_needs_is_told_and_then_all_is_well(self):
        name = "columns"
        self.begin(name)
        path = topology.write(self.stack.folder / f"{name}-changed.yaml",
                              edited(name, set_at("steps", "rows", "project", "note", to="note")))
        code, text = self.plan(path)
        self.assertEqual(code, MISTAKE, text)
        statement = f'ALTER TABLE "public"."{name}_rows" ADD COLUMN "note" text'
        self.assertIn(statement, text)
        with psycopg.connect(self.stack.database_url, autocommit=True) as database:
            database.execute(statement)
        code, text = self.plan(path)
        self.assertEqual(code, 0, text)
        self.assertIn("columns + note", text)
        self.stack.run(path, "--until_end", name=name, threads=1).finish(300)

    def test_two_files_are_compared_without_a_broker(self):
        environment = self.stack.environment(KAFKA_BROKERS="127.0.0.1:1", DATABASE_URL="postgresql://127.0.0.1:1/none")
        old = topology.write(self.stack.folder / "files.yaml", application("files"))
        new = topology.write(self.stack.folder / "files-changed.yaml", edited("files", renamed, with_source))
        code, out, errors = self.stack.tidemark("plan", "--config", new, "--against", old, env=environment, check=False)
        self.assertEqual(code, DECISION, out + errors)
        for text in ("- hourly", "+ by_hour", "+ others", "renamed or removed", "+ ids"):
            self.assertIn(text, out)
        code, out, _ = self.stack.tidemark("plan", "--config", old, "--against", old, env=environment, check=False)
        self.assertEqual(code, 0, out)

    def test_before_a_first_run_it_names_all_that_is_missing_at_once(self):
        path = topology.write(self.stack.folder / "fresh.yaml", edited("fresh", with_source))
        code, text = self.plan(path)
        self.assertEqual(code, MISTAKE, text)
        for text_part in ("nothing has run under this name", "topic 'fresh-in' does not exist",
                          "topic 'fresh-others' does not exist"):
            self.assertIn(text_part, text)


if __name__ == "__main__":
    main(at_once=True)
