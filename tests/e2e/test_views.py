#!/usr/bin/env python3
"""Views are asked over HTTP while workers are killed: every answer is of whole commits and never older than one before,
and in the end they are what Python, and DuckDB for the HTX example, make of the raw topics. Who may ask; and what keeps
rows away, or keeps a worker from starting."""

import hashlib
import http.client
import io
import json
import pathlib
import random
import signal
import sys
import threading
import time
import urllib.parse

import pyarrow as pa

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import results
import topics
import topology
from case import SystemTest, main
from stack import wait_for

BASE_MS = 1_767_225_600_000  # 2026-01-01


def application(name, **more):
    """Totals by page, which change, and two rows for each click, which the clicks' own task makes."""
    return {
        "name": name,
        "kafka": {"brokers": "${KAFKA_BROKERS}"},
        "commit_interval": "50ms",
        "sources": {"clicks": {
            "topic": f"{name}-clicks", "key_format": "text", "partitioned_by": ["id"],
            "columns": {"id": {"type": "int64", "from": "key"}, "page": "string", "price": "decimal(12,2)",
                        "at": "timestamp_ms"},
            "event_time": {"column": "at", "max_out_of_orderness": "5s", "idle_after": "1s"}}},
        "steps": {
            "totals": {"from": "clicks", "group_by": ["page"],
                       "aggregates": {"n": "count(*)", "spent": "sum(price)", "latest": "max(at)"}, "emit": "on_update"},
            "lists": {"from": "clicks", "project": {"*": True, "sides": "jsonb_build_array('l', 'r')"}},
            "sides": {"from": "lists", "unnest": {"column": "sides", "as": "side", "ordinality": "place"}},
            "plain": {"from": "sides", "project": {"id": "id", "place": "place", "page": "page", "at": "at"}}},
        "views": {"totals_view": {"from": "totals", "index": [["n"]]},
                  "sides_view": {"from": "plain", "key": ["id", "place"], "index": [["page", "at"]]}},
        **more,
    }


def ask(worker, path, body=None, token=None, accept=None, timeout=60):
    """(status, headers, text)."""
    address = (worker.state_dir / "http_address").read_text().strip()
    connection = http.client.HTTPConnection(address, timeout=timeout)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if accept:
        headers["Accept"] = accept
    try:
        if body is None:
            connection.request("GET", path, headers=headers)
        else:
            connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def rows_of(worker, view, question=None):
    """All rows, page by page."""
    rows, after = [], None
    while True:
        status, _, text = ask(worker, f"/v1/views/{view}/query",
                              {"limit": 5_000, **(question or {}), **({"after": after} if after else {})})
        assert status == 200, (status, text)
        answer = json.loads(text)
        rows += answer["rows"]
        after = answer["next"]
        if after is None:
            return rows


class Asker(threading.Thread):
    """Asks one worker all the time."""

    def __init__(self, worker, stop):
        super().__init__()
        self.worker, self.stopped, self.failure = worker, stop, None
        self.answers = self.pairs = self.position = 0
        self.totals = {}

    def run(self):
        try:
            while not self.stopped.is_set():
                self.look()
        except BaseException as failure:  # whoever joins raises it
            self.failure = failure

    def look(self):
        status, _, text = ask(self.worker, "/v1/views/totals_view?limit=1000")
        assert status == 200, (status, text)
        answer = json.loads(text)
        assert answer["position"] >= self.position, (answer["position"], self.position)
        self.position = answer["position"]
        for row in answer["rows"]:
            before = self.totals.get(row["page"], 0)
            assert row["n"] >= before, (row, before)
            self.totals[row["page"]] = row["n"]
        self.answers += 1
        # Both rows of a click are of one commit.
        status, _, text = ask(self.worker, "/v1/views/sides_view?order=id+desc,place+desc&limit=100")
        assert status == 200, (status, text)
        places = {}
        rows = json.loads(text)["rows"]
        for row in rows:
            places.setdefault(row["id"], set()).add(row["place"])
        if len(rows) == 100:
            places.pop(rows[-1]["id"])  # the page may have cut it
        assert all(found == {1, 2} for found in places.values()), places
        self.pairs += len(places)


class Views(SystemTest):
    def start(self, name, config, **options):
        return self.stack.run(config, name=name, threads=1, **options)

    def ready(self, worker):
        wait_for("the worker to be ready", worker.ready, 120, worker.seen)
        return worker

    def clicks(self, first, count):
        pages = random.Random(first)
        return [{"id": i, "page": f"page {pages.randrange(40)}", "cents": pages.randrange(-500, 1_000), "at": BASE_MS + i}
                for i in range(first, first + count)]

    def produce(self, name, clicks):
        topics.produce(self.stack.brokers, f"{name}-clicks", [
            {"key": str(c["id"]).encode(),
             "value": json.dumps({"page": c["page"], "price": f"{c['cents'] / 100:.2f}", "at": c["at"]}).encode()}
            for c in clicks])

    def test_answers_go_on_while_workers_are_killed(self):
        topics.create(self.stack.brokers, **{"kills-clicks": 4})
        config = topology.write(self.stack.folder / "kills.yaml", application("kills"))
        asked = self.ready(self.start("asked", config))
        victim = self.ready(self.start("victim", config))
        stop = threading.Event()
        askers = [Asker(asked, stop) for _ in range(2)]
        for asker in askers:
            asker.start()
        moments, clicks = random.Random(3), []
        try:
            for kill in range(5):
                until = time.monotonic() + moments.uniform(0.5, 2)
                while True:
                    more = self.clicks(len(clicks), 200)
                    self.produce("kills", more)
                    clicks += more
                    if time.monotonic() > until:
                        break
                victim.kill()
                victim = self.start("victim", config)
            # Its rows are read again before it answers; never half of them.
            expected = {}
            for click in clicks:
                n, cents, latest = expected.get(click["page"], (0, 0, 0))
                expected[click["page"]] = n + 1, cents + click["cents"], max(latest, click["at"])
            expected = {page: (n, f"{cents / 100:.2f}", latest) for page, (n, cents, latest) in expected.items()}

            def totals(worker):
                _, _, text = ask(worker, "/v1/views/totals_view?limit=1000")
                return {row["page"]: (row["n"], f"{row['spent']:.2f}", row["latest"])
                        for row in json.loads(text).get("rows", [])}
            for worker in (asked, self.ready(victim)):
                wait_for("the totals", lambda: totals(worker) == expected, 240,
                         lambda: f"{totals(worker)}\n{expected}\n{worker.seen()}", every=0.5)
        finally:
            stop.set()
            for asker in askers:
                asker.join(120)
        for asker in askers:
            if asker.failure:
                raise asker.failure
            self.assertGreater(asker.answers, 10)
            self.assertGreater(asker.pairs, 0)
        for worker in (asked, victim):
            wait_for("both sides of all clicks",
                     lambda: worker.metric("tidemark_view_rows", view="sides_view") == 2 * len(clicks), 120, worker.seen)
        sides = sorted((c["id"], place, c["page"], c["at"]) for c in clicks for place in (1, 2))
        for worker in (asked, victim):
            self.assertEqual([(r["id"], r["place"], r["page"], r["at"]) for r in rows_of(worker, "sides_view")], sides)
        by_page = sorted(row for row in sides if row[2] == "page 7")
        some = rows_of(asked, "sides_view", {"page": "page 7", "order": "at"})
        self.assertEqual([(r["id"], r["place"], r["page"], r["at"]) for r in some], by_page)

        # What one worker has told the other doesn't fall behind.
        position = json.loads(ask(asked, "/v1/views/totals_view?limit=1")[2])["position"]
        status, _, text = ask(victim, f"/v1/views/totals_view?limit=1&min_position={position}&max_wait_ms=30000")
        self.assertEqual(status, 200, text)
        self.assertGreaterEqual(json.loads(text)["position"], position)
        status, _, text = ask(victim, f"/v1/views/totals_view?min_position={position + 10**6}&max_wait_ms=10")
        self.assertEqual(status, 504, text)

        rows = asked.metric("tidemark_view_rows", view="sides_view")
        self.assertEqual(rows, len(sides))
        self.assertGreater(asked.metric("tidemark_view_bytes", view="sides_view"), rows)
        print("clicks", len(clicks), "answers", [a.answers for a in askers], "whole pairs seen", [a.pairs for a in askers])

    def test_forms_of_questions_and_answers(self):
        topics.create(self.stack.brokers, **{"forms-clicks": 1})
        config = topology.write(self.stack.folder / "forms.yaml", application("forms"))
        clicks = self.clicks(0, 300)
        self.produce("forms", clicks)
        worker = self.ready(self.start("forms", config))
        wait_for("all rows", lambda: worker.metric("tidemark_view_rows", view="sides_view") == 600, 120, worker.seen)
        # Totals are made behind a shuffle, and become visible on their own.
        wait_for("all totals", lambda: sum(r["n"] for r in rows_of(worker, "totals_view")) == 300, 120, worker.seen)
        where = urllib.parse.quote("place = 2 and id < 10")
        status, headers, text = ask(worker, f"/v1/views/sides_view?where={where}&columns=id,page", accept="text/csv")
        self.assertEqual((status, headers["Content-Type"].split(";")[0]), (200, "text/csv"))
        self.assertEqual(text, "id,page\n" + "".join(f"{c['id']},{c['page']}\n" for c in clicks[:10]))
        self.assertGreater(int(headers["Tidemark-Position"]), 0)
        self.assertGreaterEqual(int(headers["Tidemark-Age-Ms"]), 0)
        address = (worker.state_dir / "http_address").read_text().strip()
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.request("GET", "/v1/views/totals_view?order=n+desc&limit=3",
                           headers={"Accept": "application/vnd.apache.arrow.stream"})
        table = pa.ipc.open_stream(io.BytesIO(connection.getresponse().read())).read_all()
        connection.close()
        counts = sorted((sum(c["page"] == f"page {p}" for c in clicks) for p in range(40)), reverse=True)
        self.assertEqual(table["n"].to_pylist(), counts[:3])
        self.assertEqual(str(table.schema.field("spent").type), "decimal128(38, 2)")
        at = "2026-01-01T00:00:00.005Z"
        status, _, text = ask(worker, f"/v1/views/sides_view?at.before={at}&place=1")
        self.assertEqual([r["id"] for r in json.loads(text)["rows"]], [0, 1, 2, 3, 4])
        for path, body, expected, part in (
                ("/v1/views/sides_view?pages=x", None, 400, "did you mean 'page'"),
                ("/v1/views/sides_view/query", {"where": "1 / (id - id) > 0"}, 400, "division by zero"),
                ("/v1/views/nothing", None, 404, "/v1/views/sides_view"),
                ("/v1/views/sides_view", {"limit": 1}, 405, "GET"),
                ("/v1/views/sides_view/query", None, 405, "POST"),
                ("/v1/views/sides_view/query?limit=1", {}, 400, "in its body"),
                ("/v1/views/sides_view/query", {"where": "x" * (2 << 20)}, 413, "1048576 bytes"),
                ("/v1/views/sides_view/change", None, 404, "not found")):
            status, _, text = ask(worker, path, body)
            self.assertEqual(status, expected, text)
            self.assertIn(part, text)
        self.assertEqual(worker.stop_in_time(), 0)

        # Other rows can't stand beside these.
        changed = application("forms")
        changed["views"]["sides_view"]["key"] = ["id", "place", "page"]
        config = topology.write(self.stack.folder / "forms-changed.yaml", changed)
        worker = self.start("forms", config)
        self.assertEqual(worker.wait(120), 2)
        self.assertIn("view sides_view: its rows were written from plain by (id, place)", worker.output())

    def test_tokens_let_in_whom_they_are_for(self):
        topics.create(self.stack.brokers, **{"doors-clicks": 1})
        tokens = self.stack.folder / "tokens.txt"
        digest = lambda token: hashlib.sha256(token.encode()).hexdigest()
        tokens.write_text(f"{digest('one')} analyst view:totals_view\n{digest('all')} boss view:*\n"
                          f"{digest('sources')} cameras *\n"
                          f"{digest('post')} partner totals_view\n"
                          f"{digest('old')} boss view:* 2020-01-01T00:00:00Z\n")
        guarded = application("doors")
        for view in guarded["views"].values():
            view["tokens"] = str(tokens)
        config = topology.write(self.stack.folder / "doors.yaml", guarded)
        worker = self.ready(self.start("doors", config))
        matrix = {None: (401, 401), "one": (200, 403), "all": (200, 200), "sources": (403, 403), "post": (403, 403),
                  "old": (401, 401), "unknown": (401, 401)}
        for token, (totals, sides) in matrix.items():
            for view, expected in (("totals_view", totals), ("sides_view", sides)):
                for path, body in ((f"/v1/views/{view}", None), (f"/v1/views/{view}/query", {})):
                    status, headers, text = ask(worker, path, body, token=token)
                    self.assertEqual(status, expected, (token, path, text))
                    self.assertEqual("WWW-Authenticate" in headers, expected == 401)
        self.assertEqual(worker.stop_in_time(), 0)
        # Without them nobody but this machine is let in.
        config = topology.write(self.stack.folder / "open.yaml", application("doors"))
        code, _, text = self.stack.tidemark("run", "--config", config, "--state_dir", self.stack.folder / "state" / "open2",
                                            "--instance_id", "open2", "--http_address", "0.0.0.0:0", check=False)
        self.assertEqual(code, 2, text)
        self.assertIn("is asked without tokens", text)

    def test_rows_leave_when_the_data_is_past_their_time(self):
        topics.create(self.stack.brokers, **{"kept-clicks": 1})
        kept = application("kept")
        kept["views"]["sides_view"]["keep"] = "1m"
        config = topology.write(self.stack.folder / "kept.yaml", kept)
        worker = self.ready(self.start("kept", config))
        at = lambda i, seconds: {"id": i, "page": "p", "cents": 1, "at": BASE_MS + seconds * 1000}
        self.produce("kept", [at(1, 0), at(2, 30)])
        ids = lambda: [r["id"] for r in json.loads(ask(worker, "/v1/views/sides_view?place=1")[2])["rows"]]
        wait_for("both", lambda: ids() == [1, 2], 120, worker.seen)
        # The watermark is 5 s behind: at 64 s nothing goes yet, at 65 s the first does.
        self.produce("kept", [{**at(3, 64), "at": BASE_MS + 64_999}])
        wait_for("the third", lambda: ids() == [1, 2, 3], 120, lambda: f"{ids()}\n{worker.seen()}")
        self.produce("kept", [at(4, 65)])
        wait_for("the first to go", lambda: ids() == [2, 3, 4], 120, lambda: f"{ids()}\n{worker.seen()}")
        self.produce("kept", [at(5, 0)])  # its time is over
        self.produce("kept", [at(6, 66)])
        wait_for("the sixth", lambda: ids() == [2, 3, 4, 6], 120, lambda: f"{ids()}\n{worker.seen()}")
        worker.kill()
        worker = self.ready(self.start("kept", config))
        self.assertEqual(ids(), [2, 3, 4, 6])

    def test_the_ten_most_detected_items(self):
        self.stack.generate(20_000, events_per_second=20_000 / 600)
        name = "htxview"
        shown = topology.variant(name)
        del shown["sinks"]
        shown["views"] = {"top_items": {"from": "ranked_items", "key": ["geographical_location", "window_start", "item_rank"],
                                        "index": [["item_name", "window_start"]]}}
        config = topology.write(self.stack.folder / f"{name}.yaml", shown)
        self.stack.run(config, "--until_end", "--close_windows", name=name).finish(240)
        workers = [self.ready(self.stack.run(config, name=f"{name}-{i}")) for i in range(2)]
        oracle = self.oracle()
        for worker in workers:
            rows = rows_of(worker, "top_items")
            oracle.sql.register("answer", pa.Table.from_pylist(rows))
            results.report(results.compare(oracle.sql, "view top_items", "expected_top_items", "answer",
                                           results.TOP_ITEMS))
            oracle.sql.unregister("answer")
        place = oracle.sql.execute("SELECT geographical_location FROM expected_top_items LIMIT 1").fetchall()[0][0]
        newest = oracle.sql.execute(
            "SELECT item_name, detections FROM expected_top_items WHERE geographical_location = $1 AND window_start = "
            "(SELECT max(window_start) FROM expected_top_items WHERE geographical_location = $1) ORDER BY item_rank",
            [place]).fetchall()
        question = urllib.parse.urlencode({"geographical_location": place, "order": "window_start desc,item_rank",
                                           "limit": len(newest)})
        found = json.loads(ask(workers[0], f"/v1/views/top_items?{question}")[2])["rows"]
        self.assertEqual([(r["item_name"], r["detections"]) for r in found], newest)

    def test_a_view_that_was_made_again_under_a_frozen_worker_is_read_anew(self):
        name = "remade"
        topics.create(self.stack.brokers, **{f"{name}-clicks": 1})
        shown = application(name)
        del shown["steps"]["totals"], shown["views"]["totals_view"]
        config = topology.write(self.stack.folder / f"{name}.yaml", shown)
        # There is one task, which is the first worker's by its name: the second only answers.
        fills = self.ready(self.start("fills", config))
        reads = self.ready(self.start("reads", config))

        def ids(worker):
            status, _, text = ask(worker, "/v1/views/sides_view?place=1&limit=1000")
            return [row["id"] for row in json.loads(text)["rows"]] if status == 200 else text
        self.produce(name, self.clicks(0, 100))
        for worker in (fills, reads):
            wait_for("the rows", lambda: ids(worker) == list(range(100)), 120, worker.seen)
        reads.signal(signal.SIGSTOP)
        self.assertEqual(fills.stop_in_time(), 0)
        wait_for("the reset", lambda: self.stack.tidemark("reset", "--config", config, "--to_latest", "--execute",
                                                          check=False)[0] == 0, 300)
        fills = self.ready(self.start("fills", config))
        # More than there was, so that the frozen one's place is inside the new log.
        expected = list(range(1_000, 1_500))
        self.produce(name, self.clicks(1_000, 500))
        wait_for("the rows of the new topic", lambda: ids(fills) == expected, 120, fills.seen)
        reads.signal(signal.SIGCONT)
        wait_for("only they", lambda: ids(reads) == expected, 120, lambda: f"{ids(reads)}\n{reads.seen()}", every=0.5)


if __name__ == "__main__":
    main()
