#!/usr/bin/env python3
"""Another generation of a topology is built beside the one that runs, and switched in at a cut, under traffic that doesn't
stop: every row counts once in what appends, whoever is killed when; what is kept by key is the old generation's, then the
new one's, never a mix; and back again."""

import collections
import http.client
import json
import pathlib
import random
import re
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import psycopg

import duck
import generations
import topics
import topology
from case import LONG, SystemTest, main
from stack import BINARY, Worker, wait_for

START_MS = 1_700_000_000_000
ROUTES = 7


def application(name, rule):
    """Rows are taken once; a total of each route replaces the last one. A generation shows by its rule: what a row is
    worth."""
    return {
        "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "internal_topics": {"partitions": 2},
        "commit_interval": "50ms",
        "sources": {"prices": {"topic": f"{name}-in", "event_time": {"column": "at"}, "columns": {
            "id": "int64", "route": "string", "at": "timestamp_ms"}}},
        "steps": {
            "once": {"from": "prices", "dedup": {"by": ["id"], "within": "1h"}},
            "valued": {"from": "once", "project": {"id": "id", "route": "route", "worth": str(rule)}},
            "totals": {"from": "valued", "group_by": ["route"],
                       "aggregates": {"n": "count(*)", "worth": "sum(worth)"}}},
        "sinks": {
            "rows": {"from": "valued", "topic": f"{name}-rows", "create": {}},
            "latest": {"from": "totals", "topic": f"{name}-totals", "key": ["route"],
                       "create": {"config": {"cleanup.policy": "compact"}}},
            "table": {"from": "totals", "postgres": {"url": "${DATABASE_URL}", "table": f"{name}_totals",
                                                     "mode": "upsert", "key": ["route"]}},
            "lake": {"from": "valued", "parquet": {"path": "${LAKE}/" + name, "max_age": "1s"}}},
        "views": {"current": {"from": "totals", "key": ["route"]}}}


class Traffic:
    """Rows of growing ids, every tenth of them twice, until it is ended."""

    def __init__(self, brokers, topic, first=0, pause=0.02, batch=20):
        self.brokers, self.topic, self.next, self.pause, self.batch = brokers, topic, first, pause, batch
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopped.wait(self.pause):
            rows = []
            for number in range(self.next, self.next + self.batch):
                value = json.dumps({"id": number, "route": f"r{number % ROUTES}", "at": START_MS + number})
                rows += [{"value": value, "partition": number % 2}] * (2 if number % 10 == 0 else 1)
            topics.produce(self.brokers, self.topic, rows)
            self.next += self.batch

    def end(self):
        """How many ids there were."""
        self.stopped.set()
        self.thread.join()
        return self.next


class TableReader:
    """Reads the table all the time: which rules its rows were made by, each time it was another set."""

    def __init__(self, url, table):
        self.url, self.table, self.seen, self.looks = url, table, [], 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        with psycopg.connect(self.url, autocommit=True) as database:
            while not self.stopped.wait(0.005):
                rows = database.execute(f"SELECT n, worth FROM {self.table}").fetchall()
                rules = sorted({int(worth) // n if int(worth) % n == 0 else -1 for n, worth in rows}) or ["none"]
                self.looks += 1
                if not self.seen or self.seen[-1] != rules:
                    self.seen.append(rules)

    def end(self):
        self.stopped.set()
        self.thread.join()
        return self.seen


class ViewPoller:
    """Asks the view all the time, of the first worker that takes a connection, as a balancer would: what wasn't answered,
    where an answer went back, and who has answered."""

    def __init__(self, *workers):
        found = [lambda w=w: re.findall(r"page on http://([\d.:]+)/", w.output()) for w in workers]
        for addresses, worker in zip(found, workers):
            wait_for("its page", addresses, 60, worker.seen)
        self.addresses = [addresses()[-1] for addresses in found]
        self.holes, self.backward, self.answered, self.last = [], [], collections.Counter(), (0, 0)
        self.first = self.lost = 0  # the worker that is asked, and connections that came to nothing
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def ask(self):
        while self.first < len(self.addresses):
            address = self.addresses[self.first]
            try:
                with urllib.request.urlopen(f"http://{address}/v1/views/current", timeout=10) as answer:
                    told = json.loads(answer.read())
                return self.first, (told["position"], sum(row["n"] for row in told["rows"]))
            except urllib.error.HTTPError as refused:
                return self.first, f"{refused.code} {refused.read().decode()}"
            except (urllib.error.URLError, ConnectionError, http.client.HTTPException) as lost:
                # A connection that was closed before it was answered is asked again, as HTTP's clients do of a GET.
                if isinstance(getattr(lost, "reason", None), ConnectionRefusedError):
                    self.first += 1
                self.lost += 1
        return self.first, "nobody takes a connection"

    def run(self):
        while not self.stopped.wait(0.005):
            number, told = self.ask()
            self.answered[number] += 1
            if isinstance(told, str):
                self.holes.append((number, told))
                continue
            if any(now < before for now, before in zip(told, self.last)):
                self.backward.append((number, self.last, told))
            self.last = told

    def end(self):
        self.stopped.set()
        self.thread.join()


class Generations(SystemTest):
    needs_postgres = True
    kafka_settings = ("--set", "group.initial.rebalance.delay.ms=100")

    def start(self, command, config, name, *flags, failpoints=None):
        state_dir = self.stack.folder / "state" / name
        environment = self.stack.environment(**({"TIDEMARK_FAILPOINTS": failpoints} if failpoints else {}))
        line = [BINARY, command, "--config", str(config), "--state_dir", str(state_dir), "--instance_id", name,
                "--threads", "1", "--http_address", "127.0.0.1:0", "--stop_within", "60s", *map(str, flags)]
        return self.stack.add(Worker(name, line, environment, self.stack.folder / f"{name}.log", state_dir))

    def switch(self, config, *flags, check=True, **environment):
        code, out, errors = self.stack.tidemark("switch", "--config", config, *flags, check=False,
                                                env=self.stack.environment(**environment))
        if check:
            self.assertEqual(code, 0, out + errors)
        return code, out + errors

    def differing(self, text):
        """What a switch was taken back for."""
        return sorted(re.search(r"taken back \((.*?) differ", text).group(1).split(", "))

    def configs(self, name, *rules):
        topics.create(self.stack.brokers, **{f"{name}-in": 2})
        return [topology.write(self.stack.folder / f"{name}-{number}.yaml", application(name, rule))
                for number, rule in enumerate(rules)]

    def state(self, config):
        return self.stack.tidemark("generations", "list", "--config", config)[1]

    def rows(self, name):
        """By id, how often, and by which rules."""
        seen, rules = collections.Counter(), set()
        if f"{name}-rows" in topics.names(self.stack.brokers):
            for value in topics.read(self.stack.brokers, f"{name}-rows")["value"].to_pylist():
                row = json.loads(value)
                seen[row["id"]] += 1
                rules.add(row["worth"])
        return seen, rules

    def check_appended(self, name, ids, rules):
        seen, found = self.rows(name)
        self.assertEqual(found, rules)
        self.assertEqual({i: n for i, n in seen.items() if n != 1}, {}, "rows that stand there twice")
        self.assertEqual(sorted(seen), list(range(ids)))

    def totals(self, name):
        latest = {}
        read = topics.read(self.stack.brokers, f"{name}-totals")
        for key, value in zip(read["key"].to_pylist(), read["value"].to_pylist()):
            latest[key] = json.loads(value) if value is not None else None
        return {t["route"]: (t["n"], int(t["worth"])) for t in latest.values() if t}

    def table(self, name):
        with psycopg.connect(self.stack.database_url) as database:
            return {r: (n, int(w)) for r, n, w in database.execute(f"SELECT route, n, worth FROM {name}_totals").fetchall()}

    def lake(self, name):
        found = duck.rows(f"SELECT id, worth FROM read_parquet('{self.stack.folder}/lake/{name}/**/*.parquet')")
        return collections.Counter(found)

    def expected(self, ids, rule):
        """By DuckDB."""
        return {r: (n, int(w)) for r, n, w in duck.rows(
            f"SELECT 'r' || (i % {ROUTES}), count(*), count(*) * {rule} FROM range({ids}) t(i) GROUP BY ALL")}

    def check_all(self, name, ids, rule):
        wait_for("all sinks to have everything", lambda: self.table(name) == self.totals(name) == self.expected(ids, rule)
                 and sum(self.lake(name).values()) >= ids, 60,
                 lambda: f"{self.expected(ids, rule)}\ntopic {self.totals(name)}\ntable {self.table(name)}", every=0.5)
        self.assertEqual(self.lake(name), {(i, rule): 1 for i in range(ids)})

    def await_rows(self, name, count, worker):
        wait_for(f"{count} rows", lambda: len(self.rows(name)[0]) >= count, 90, worker.seen, every=0.3)

    def cross(self, workers, config, moments, lot, *flags):
        """A switch that is killed at each of these moments, with a worker of either generation, and run again. `workers`:
        by "old" and "new", how each is started, and the process."""
        for point, victim in moments:
            code, text = self.switch(config, *flags, check=False, TIDEMARK_FAILPOINTS=f"{point}=kill@1")
            if code == 0:
                return  # it had come further than that before
            if victim is None:
                continue
            time.sleep(lot.random() / 2)
            arguments, process = workers[victim]
            process.kill()
            workers[victim] = (arguments, self.start(*arguments))
        self.switch(config, *flags)

    def test_a_generation_is_built_switched_in_and_back_while_readers_look_and_workers_are_killed(self):
        name = "town"
        old, new = self.configs(name, 1, 10)
        traffic = Traffic(self.stack.brokers, f"{name}-in")
        self.addCleanup(traffic.end)
        lot = random.Random(1)
        points = ("switch.draining", "switch.fenced", "switch.cut", "switch.decided", "switch.swapped")
        first = self.start("run", old, f"{name}-a")
        self.await_rows(name, 200, first)
        arguments = ("replay", new, f"{name}-b", "--active", old, "--from", "earliest")
        workers = {"old": (("run", old, f"{name}-a"), first), "new": (arguments, self.start(*arguments))}
        wait_for("a generation to be built", lambda: "being built" in self.state(old), 60, workers["new"][1].seen)
        mark = self.stack.folder / "lake" / f"{name}.g2" / f"_{name}.__2.lake.mark"
        wait_for("its lake", mark.exists, 60, workers["new"][1].seen)
        reader = TableReader(self.stack.database_url, f"{name}_totals")
        victims = ["new", "old", None, "new", None] if not LONG else [lot.choice(["old", "new"]) for _ in points]
        self.cross(workers, new, list(zip(points, victims)), lot)
        self.assertEqual(reader.end(), [[1], [10]])
        wait_for("the worker of the old generation to end", lambda: not workers["old"][1].running(), 60,
                 workers["old"][1].seen)
        code, _, errors = self.stack.tidemark("run", "--config", old, "--state_dir", self.stack.folder / "state" / "other",
                                              check=False)
        self.assertEqual(code, 2, errors)
        self.assertIn("is the topology of generation 1, and generation 2 is active", errors)
        self.await_rows(name, traffic.next, workers["new"][1])
        config, rule = new, 10
        for round in range(4 if LONG else 1):
            back = round % 2 == 0
            config, rule = (old, 1) if back else (new, 10)
            again = generations.again(self.state(config), 1 if back else 2) if round > 0 else ["--generation", 1]
            arguments = ("replay", config, f"{name}-{'a' if back else 'b'}", *again)
            workers = {"old": workers["new"], "new": (arguments, self.start(*arguments))}
            wait_for("it to be built again", lambda: "being built" in self.state(old), 60, workers["new"][1].seen)
            moments = [(p, lot.choice(["old", "new", None])) for p in points] if LONG else []
            poller = None if moments else ViewPoller(workers["old"][1], workers["new"][1])
            self.cross(workers, config, moments, lot, *(["--back"] if back else []), "--when", "lag < 5s")
            wait_for("the worker of the other generation to end", lambda: not workers["old"][1].running(), 60,
                     workers["old"][1].seen)
            self.await_rows(name, traffic.next, workers["new"][1])
            if poller:
                poller.end()
                print(f"the view was asked {sum(poller.answered.values())} times: {dict(poller.answered)}, {poller.lost} connections lost")
                self.assertLess(poller.lost, 10)
                self.assertEqual((poller.holes[:3], poller.backward[:3]), ([], []))
                self.assertTrue(all(poller.answered[number] > 0 for number in (0, 1)), poller.answered)
        ids = traffic.end()
        self.check_all(name, ids, rule)
        self.check_appended(name, ids, {1, 10})
        self.assertEqual(workers["new"][1].stop(), 0)

    def test_a_switch_compares_the_two_and_is_taken_back_where_they_differ_by_more_than_the_bound(self):
        name = "verified"
        old, new = self.configs(name, 1, "CASE WHEN route = 'r0' THEN 10 ELSE 1 END")
        traffic = Traffic(self.stack.brokers, f"{name}-in")
        self.addCleanup(traffic.end)
        first = self.start("run", old, f"{name}-a")
        self.await_rows(name, 200, first)
        second = self.start("replay", new, f"{name}-b", "--active", old, "--from", "earliest")
        mark = self.stack.folder / "lake" / f"{name}.g2" / f"_{name}.__2.lake.mark"
        wait_for("its lake", mark.exists, 60, second.seen)
        for flags, said in ((["--verify", "diff < 1%"], "--verify: expected a bound"), (["--verify="], "--verify: expected a bound"),
                            (["--verify_sinks", "table"], "--verify_sinks goes with --verify"),
                            (["--verify", "diff <= 1%", "--verify_sinks", "tabel"], "there is no sink or view 'tabel'")):
            code, text = self.switch(new, *flags, check=False)
            self.assertEqual(code, 2, text)
            self.assertIn(said, text)
        code, text = self.switch(new, "--verify", "diff <= 0.1%", "--dry_run", check=False)
        self.assertEqual(code, 3, text)
        self.assertIn("both go on while they are compared", text)
        # Killed once it has compared, and gone on with by somebody who doesn't state the bound.
        bound = ["--verify", "diff <= 0.1%", "--when", "lag < 5s"]
        code, text = self.switch(new, *bound, check=False, TIDEMARK_FAILPOINTS="switch.compared=kill@1")
        self.assertNotIn(code, (0, 2, 3), text)
        before = traffic.next
        code, text = self.switch(new, check=False)
        print(text)
        self.assertEqual(code, 3, text)
        self.assertRegex(text, r"sink table: table public.verified_totals with public.verified_totals__g2, by route: 0 only before, 0 only "
                               r"after, 1 differs, of 7 keys: 14.28\d+%, over diff <= 0.1%")
        self.assertEqual(self.differing(text), ["sink lake", "sink latest", "sink rows", "sink table",
                                                "view current"])
        self.await_rows(name, before, first)
        self.assertIn("  2  being built", self.state(old))
        self.assertEqual(self.rows(name)[1], {1})
        # A seventh of the keys, and by rows twice a seventh of eight.
        code, text = self.switch(new, "--verify", "diff <= 20%", "--when", "lag < 5s", check=False)
        self.assertEqual(code, 3, text)
        self.assertEqual(self.differing(text), ["sink lake", "sink rows"])
        text = self.switch(new, "--verify", "diff <= 20%", "--verify_sinks", "table,latest,current", "--when", "lag < 5s")[1]
        self.assertIn("compared: sink latest", text)
        self.assertIn("compared: view current: generation 1's with generation 2's, by route: 0 only before, 0 only after, 1 differs, of 7", text)
        self.assertNotIn("compared: sink lake", text)
        wait_for("the worker of the old generation to end", lambda: not first.running(), 60, first.seen)
        self.await_rows(name, traffic.next, second)
        ids = traffic.end()
        wanted = {r: (n, n * (10 if r == "r0" else 1)) for r, (n, _) in self.expected(ids, 1).items()}
        wait_for("all of it", lambda: self.table(name) == self.totals(name) == wanted, 60,
                 lambda: f"{wanted}\n{self.totals(name)}\n{self.table(name)}", every=0.5)
        self.check_appended(name, ids, {1, 10})

    def test_what_cant_be_built_beside_itself_is_refused_by_name(self):
        name = "refused"
        old, new = self.configs(name, 1, 10)
        changed = application(name, 10)
        changed["sinks"]["rows"]["topic"] = f"{name}-others"
        other = topology.write(self.stack.folder / f"{name}-others.yaml", changed)
        refused = self.start("replay", new, f"{name}-b", "--active", old)
        self.assertEqual(refused.wait(60), 2)
        self.assertIn("nothing has run under the name", refused.output())
        self.start("run", old, f"{name}-a", "--until_end").finish(120)
        for config, flags, said in ((new, [], "--active is missing"), (other, ["--active", old], f"topic {name}-others"),
                                    (new, ["--active", old, "--from", "yesterday"], "--from: expected earliest")):
            refused = self.start("replay", config, f"{name}-b", *flags)
            self.assertEqual(refused.wait(60), 2, refused.seen())
            self.assertIn(said, refused.output())
        code, text = self.switch(new, check=False)
        self.assertEqual(code, 2, text)
        self.assertIn("no generation is being built", text)
        self.assertIn("has one generation", self.state(old))

    def test_an_edit_is_accepted_by_name_and_what_was_dropped_leaves_its_number(self):
        name = "edited"
        old, new = self.configs(name, 1, 10)
        edited = self.stack.folder / f"{name}-edited.yaml"
        topology.write(edited, application(name, 1) | {"commit_interval": "60ms"})
        topics.produce(self.stack.brokers, f"{name}-in", [
            {"value": json.dumps({"id": i, "route": f"r{i % ROUTES}", "at": START_MS + i}), "partition": i % 2}
            for i in range(20)])
        self.start("run", old, f"{name}-a", "--until_end").finish(120)
        building = self.start("replay", new, f"{name}-b", "--active", old, "--from", "earliest")
        wait_for("a generation to be built", lambda: "being built" in self.state(old), 60, building.seen)
        building.kill()
        def dropped():
            return self.stack.tidemark("generations", "drop", "2", "--config", old, check=False)[0] == 0
        wait_for("its group to be empty", dropped, 90, building.seen, every=1)
        left = {t for t in topics.names(self.stack.brokers) if t.startswith(f"{name}.__2.")}
        self.assertEqual(left, set())
        self.start("run", old, f"{name}-a", "--until_end").finish(120)
        refused = self.start("run", edited, f"{name}-c", "--until_end")
        self.assertEqual(refused.wait(60), 2, refused.seen())
        flag = re.search(r"--accept_edit=[0-9a-f]{16}", refused.output()).group()
        self.start("run", edited, f"{name}-a", "--until_end", flag).finish(120)
        self.start("run", edited, f"{name}-a", "--until_end").finish(120)
        refused = self.start("run", old, f"{name}-c", "--until_end", flag)
        self.assertEqual(refused.wait(60), 2, refused.seen())
        self.assertIn("an earlier version of the topology of generation 1", refused.output())
        again = self.start("replay", new, f"{name}-d")
        wait_for("a generation to be built", lambda: "being built" in self.state(old), 60, again.seen)
        self.assertIn("  3  being built", self.state(old))


if __name__ == "__main__":
    main(at_once=True)
