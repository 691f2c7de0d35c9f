#!/usr/bin/env python3
"""A view's changes are followed by Server-Sent Events while workers are killed: what a client makes of an answer and the
changes behind its position is the view. A client that doesn't read is let go with a word and holds nobody up; 500 follow
at once; tokens, rates and audit records."""

import hashlib
import http.client
import json
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
import topology
from case import SystemTest, main
from stack import wait_for
from test_views import ask, rows_of


def application(name, **view):
    return {
        "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "commit_interval": "20ms",
        "sources": {"clicks": {"topic": f"{name}-clicks", "columns": {"id": "int64", "page": "string"}}},
        "steps": {"totals": {"from": "clicks", "group_by": ["page"], "aggregates": {"n": "count(*)", "last": "max(id)"},
                             "emit": "on_update"},
                  # Counts of two are taken back when the third comes.
                  "few": {"from": "totals", "filter": "n <> 3"}},
        "views": {"pages": {"from": "few", "index": [["n"]], **view}},
    }


def events(answer):
    """(id, event, data) of each event of a stream."""
    found = {}
    while True:
        line = answer.readline()
        if not line:
            return
        text = line.decode().rstrip("\n")
        if text and not text.startswith(":"):
            name, _, value = text.partition(": ")
            found[name] = value
        elif not text and "data" in found:
            yield int(found.get("id", "-1").rsplit("-", 1)[0] or -1), found.get("event"), json.loads(found["data"])
            found = {}


def follow(worker, after=None, token=None, by_header=True):
    address = (worker.state_dir / "http_address").read_text().strip()
    connection = http.client.HTTPConnection(address, timeout=30)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    path = "/v1/views/pages/changes"
    if after is not None and by_header:
        headers["Last-Event-ID"] = str(after)
    elif after is not None:
        path += f"?after={after}"
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    if answer.status != 200:
        answer.read()
        connection.close()
    return connection, answer


class Client(threading.Thread):
    """Keeps a view's rows by an answer and the changes behind it, at whichever worker is there."""

    def __init__(self, workers, stop):
        super().__init__()
        self.workers, self.stopped, self.failure = workers, stop, None
        self.rows, self.position, self.told, self.streams, self.resets = {}, None, 0, 0, 0

    def run(self):
        turn = 0
        while not self.stopped.is_set():
            worker = self.workers()[turn % 2]
            turn += 1
            try:
                if self.position is None:
                    self.begin(worker)
                self.listen(worker)
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.1)
            except BaseException as failure:
                self.failure = failure
                return

    def begin(self, worker):
        status, _, text = ask(worker, "/v1/views/pages?limit=10000", timeout=10)
        if status != 200:
            raise OSError(text)
        answer = json.loads(text)
        assert answer["next"] is None
        self.rows = {row["page"]: row for row in answer["rows"]}
        self.position = answer["position"]

    def listen(self, worker):
        connection, answer = follow(worker, self.position)
        try:
            if answer.status != 200:
                raise OSError(answer.status)
            self.streams += 1
            for position, event, data in events(answer):
                assert position == data["position"] >= self.position, (position, data, self.position)
                if event == "reset":
                    self.resets += 1
                    self.position = None
                    return
                assert event == "changes", event
                for row in data["rows"]:
                    self.rows[row["page"]] = row
                for key in data["deleted"]:
                    assert set(key) == {"page"}, key
                    self.rows.pop(key["page"], None)
                self.position = position
                self.told += 1
                if self.stopped.is_set():
                    return
        finally:
            connection.close()


class ViewChanges(SystemTest):
    def start(self, name, config, *flags):
        worker = self.stack.run(config, *flags, name=name, threads=1)
        wait_for("the worker to be ready", worker.ready, 120, worker.seen)
        return worker

    def produce(self, name, pages, first=0):
        topics.produce(self.stack.brokers, f"{name}-clicks", [
            {"key": page.encode(), "value": json.dumps({"id": first + i, "page": page}).encode()}
            for i, page in enumerate(pages)])

    def test_a_client_has_the_view_while_workers_are_killed(self):
        topics.create(self.stack.brokers, **{"followed-clicks": 2})
        config = topology.write(self.stack.folder / "followed.yaml", application("followed"))
        workers = [self.start("first", config), self.start("second", config)]
        stop = threading.Event()
        clients = [Client(lambda: workers, stop) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            counts, first = {}, 0
            for round_ in range(40):
                pages = [f"page {(round_ * 7 + i * 3) % 61}" for i in range(25)]
                self.produce("followed", pages, first)
                for i, page in enumerate(pages):
                    counts[page] = counts.get(page, (0, 0))[0] + 1, first + i
                first += len(pages)
                time.sleep(0.05)
                if round_ in (12, 25):
                    victim = workers[round_ % 2]
                    victim.kill()
                    workers[round_ % 2] = self.start(victim.name, config)
            expected = {page: {"page": page, "n": n, "last": last} for page, (n, last) in counts.items() if n != 3}
            for client in clients:
                wait_for("the view at a client", lambda: client.rows == expected or client.failure, 90,
                         lambda: f"{client.failure} {client.rows}\n{expected}\n{workers[0].seen()}", every=0.2)
                self.assertIsNone(client.failure)
                self.assertGreater(client.told, 10)
            self.assertEqual({row["page"]: row for row in rows_of(workers[0], "pages")}, expected)
            print("told", [c.told for c in clients], "streams", [c.streams for c in clients], "resets", [c.resets for c in clients])
        finally:
            stop.set()
            self.produce("followed", ["the end"])
            for client in clients:
                client.join(60)

    def test_slow_clients_are_let_go_and_500_follow(self):
        topics.create(self.stack.brokers, **{"crowd-clicks": 1})
        config = topology.write(self.stack.folder / "crowd.yaml", application("crowd"))
        worker = self.start("crowd", config)
        host, port = (worker.state_dir / "http_address").read_text().strip().split(":")
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        slow.sendall(b"GET /v1/views/pages/changes HTTP/1.1\r\nHost: x\r\n\r\n")
        crowd = [follow(worker) for _ in range(500)]
        self.assertEqual({answer.status for _, answer in crowd}, {200})
        wait_for("all streams", lambda: worker.metric("tidemark_view_followers", view="pages") == 501, 30, worker.seen)
        # Everybody hears of it, and questions are answered meanwhile.
        self.produce("crowd", ["one"])
        began = time.monotonic()
        for _, answer in crowd:
            stream = events(answer)
            self.assertEqual(next(stream)[1], "position")
            self.assertEqual(next(stream)[2]["rows"], [{"page": "one", "n": 1, "last": 0}])
        took = time.monotonic() - began
        for connection, _ in crowd:
            connection.close()
        # More than the history and the sockets hold.
        memory = worker.metric("tidemark_view_bytes", view="pages")
        for round_ in range(12):
            self.produce("crowd", [f"{round_}-{i}-" + "x" * 1_000 for i in range(2_000)])
            status, _, text = ask(worker, "/v1/views/pages?limit=1", timeout=5)
            self.assertEqual(status, 200, text)
        wait_for("all rows", lambda: worker.metric("tidemark_view_rows", view="pages") == 24_001, 60, worker.seen)
        received = b""
        slow.settimeout(30)
        while b"event: reset" not in received[-4096:]:
            piece = slow.recv(1 << 16)
            self.assertTrue(piece, "the stream ended without a word")
            received = received[-8192:] + piece
        slow.close()
        wait_for("no follower", lambda: worker.metric("tidemark_view_followers", view="pages") == 0, 30, worker.seen)
        print("500 followers heard in", round(took, 2), "s; view bytes", memory, worker.metric("tidemark_view_bytes", view="pages"))

        # From before the history; and what is no position.
        connection, answer = follow(worker, 1, by_header=False)
        self.assertEqual(next(events(answer))[1], "reset")
        self.assertEqual(answer.read(), b"")
        connection.close()
        for path, expected in (("?after=x", 400), ("?place=1", 400)):
            self.assertEqual(ask(worker, f"/v1/views/pages/changes{path}")[0], expected)
        # A stop doesn't wait for followers.
        connection, answer = follow(worker)
        self.assertEqual(next(events(answer))[1], "position")
        self.assertEqual(worker.stop_in_time(), 0)
        connection.close()

    def test_tokens_rates_and_audit(self):
        topics.create(self.stack.brokers, **{"guarded-clicks": 1})
        tokens = self.stack.folder / "tokens.txt"
        entry = "{}  {}  {}\n".format
        good = entry(hashlib.sha256(b"good").hexdigest(), "analyst", "view:pages")
        tokens.write_text(good + entry(hashlib.sha256(b"other").hexdigest(), "stranger", "view:others")
                          + entry(hashlib.sha256(b"call").hexdigest(), "oncall", "worker:status"))
        config = topology.write(self.stack.folder / "guarded.yaml", application(
            "guarded", tokens=str(tokens), rate_limit="5", audit="guarded-audit"))
        worker = self.start("guarded", config, "--http_address=0.0.0.0:0")
        self.produce("guarded", ["one"])
        # Off this machine's own addresses the status is for those with a token for it; the page asks for that.
        for token, expected in ((None, 401), ("good", 403), ("call", 200)):
            for path in ("/v1/status", "/v1/status/history", "/v1/topology.svg"):
                self.assertEqual(ask(worker, path, token=token)[0], expected, path)
        for path in ("/", "/page.js", "/metrics", "/healthz"):
            self.assertEqual(ask(worker, path)[0], 200, path)
        wait_for("the row", lambda: worker.metric("tidemark_view_rows", view="pages") == 1, 60, worker.seen)
        for token, expected in ((None, 401), ("unknown", 401), ("other", 403)):
            self.assertEqual(ask(worker, "/v1/views/pages", token=token)[0], expected)
            self.assertEqual(follow(worker, token=token)[1].status, expected)
        statuses = [ask(worker, f"/v1/views/pages?page=one&limit={n}", token="good")[0] for n in range(1, 31)]
        self.assertEqual(set(statuses), {200, 429})
        self.assertLessEqual(statuses.count(200), 15)
        time.sleep(1.2)
        self.assertEqual(ask(worker, "/v1/views/pages/query", {"where": "page = 'o\u00e9'"}, token="good")[0], 200)
        connection, answer = follow(worker, token="good")
        stream = events(answer)
        self.assertEqual(next(stream)[1], "position")
        # Who may no longer isn't told any more.
        tokens.write_text("")
        began = time.monotonic()
        self.assertEqual(list(stream), [])
        self.assertLess(time.monotonic() - began, 25)
        connection.close()

        def audit():
            return [json.loads(value) for value in topics.read(self.stack.brokers, "guarded-audit")["value"].to_pylist()]
        wait_for("the audit records", lambda: len(audit()) >= 38, 30, lambda: f"{len(audit())}")
        records = audit()
        self.assertEqual(len(records), 6 + 30 + 2)
        self.assertEqual({r["who"] for r in records}, {"", "analyst"})
        self.assertEqual(sorted(r["status"] for r in records[6:36]), sorted(statuses))
        self.assertIn({"view": "pages", "who": "analyst", "what": "GET page=one&limit=1", "status": 200, "rows": 1},
                      [{k: r[k] for k in ("view", "who", "what", "status", "rows")} for r in records])
        self.assertEqual(records[-1]["what"], "follow: GET")
        self.assertEqual(records[-2]["what"], "POST " + json.dumps({"where": "page = 'o\u00e9'"}))
        self.assertEqual(worker.metric("tidemark_view_unaudited_total", view="pages"), 0)


if __name__ == "__main__":
    main(at_once=True)
