#!/usr/bin/env python3
"""Dead letters are listed, shown and sent back to their sources, each once, whatever ends a replay in between."""

import collections
import hashlib
import json
import pathlib
import random
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import browser
import page
import topics
import topology
from case import LONG, SystemTest, main
from stack import BINARY, wait_for

COMMAS, NAMELESS, LARGE, ZEROS = 4_000, 30, 2, 7
PARTITIONS = 3


def application(name):
    return {
        "name": name,
        "kafka": {"brokers": "${KAFKA_BROKERS}"},
        "sources": {"prices": {"topic": name, "columns": {
            "id": "int64", "name": "string", "price": "double", "divisor": "int64"}}},
        "steps": {"shares": {"from": "prices", "project": {"*": True, "share": "100 / divisor"}}},
        "sinks": {"out": {"from": "shares", "topic": f"{name}-out", "key": ["id"], "create": {}}},
    }


def price(id, price=1.5, **fields):
    return json.dumps({"id": id, "name": f"n{id}", "price": price, "divisor": 4, **fields}).encode()


def record(id, value):
    return {"key": b"%d" % id, "value": value, "partition": id % PARTITIONS, "headers": [("origin", b"%d" % id)]}


class DeadLetters(SystemTest):
    # The source's topic takes more than a dead letter holds.
    kafka_settings = ("--set", "message.max.bytes=20000000", "--set", "replica.fetch.max.bytes=20000000")

    def letters(self, config, command, *args, check=True):
        return self.stack.tidemark("dead-letters", command, "--config", config, *args, check=check)

    def listed(self, config, *args):
        lines = self.letters(config, "list", "--format", "json", *args)[1].splitlines()
        return {(line["step"], line["reason"]): line for line in map(json.loads, lines)}

    def run_to_the_end(self, config, name):
        self.stack.run(config, "--until_end", name=name).finish(300)

    def rows(self, name):
        return collections.Counter(json.loads(value)["id"]
                                   for value in topics.read(self.stack.brokers, f"{name}-out")["value"].to_pylist())

    def test_they_are_listed_shown_and_each_goes_back_once_through_kills(self):
        name = "prices"
        topics.create(self.stack.brokers, **{name: PARTITIONS})
        records = [record(id, price(id)) for id in range(1_000)]
        commas = range(10_000, 10_000 + COMMAS)
        nameless = range(20_000, 20_000 + NAMELESS)
        large = range(30_000, 30_000 + LARGE)
        zeros = range(40_000, 40_000 + ZEROS)
        records += [record(id, price(id, "1,5")) for id in commas]
        records += [record(id, price(id, name=None)) for id in nameless]
        # Of these the letters have the beginning only.
        records += [record(id, price(id, "2,5", pad="x" * 700_000)) for id in large]
        records += [record(id, price(id, divisor=0)) for id in zeros]
        topics.produce(self.stack.brokers, name, records)
        config = topology.write(self.stack.folder / f"{name}.yaml", application(name))
        self.run_to_the_end(config, name)
        self.assertEqual(self.rows(name), collections.Counter(range(1_000)))

        # list: by step and reason, the most frequent first.
        comma = ("prices", 'column price: expected double (a number, "NaN", "Infinity" or "-Infinity"), found string')
        found = self.listed(config)
        self.assertEqual([line["letters"] for line in found.values()], [COMMAS + LARGE, NAMELESS, ZEROS])
        self.assertEqual(next(iter(found)), comma)
        self.assertEqual([step for step, _ in found], ["prices", "prices", "shares"])
        self.assertIn(f"{COMMAS + LARGE + NAMELESS + ZEROS} letters in {name}-dead-letter, 3 kinds",
                      self.letters(config, "list")[1])
        self.assertEqual(list(self.listed(config, "--where", "step = 'shares'")), [k for k in found if k[0] == "shares"])

        # show
        _, shown, _ = self.letters(config, "show", "--where", "key = '10007'")
        self.assertIn(comma[1], shown)
        self.assertIn(price(10_007, "1,5").decode(), shown)
        self.assertIn(f"from        {name}-{10_007 % PARTITIONS}@", shown)
        self.assertIn("header      origin: 10007", shown)
        self.assertTrue(shown.endswith("1 letter\n"), shown)
        as_json = self.letters(config, "show", "--where", "value::json ->> 'name' is null", "--limit", "1000",
                               "--format", "json")[1].splitlines()
        self.assertEqual({json.loads(json.loads(line)["value"])["id"] for line in as_json}, set(nameless))

        # A dry run writes nothing, and tells all.
        ends = topics.ends(self.stack.brokers, name)
        set_price = ("--set", "value = replace(value, ',5\"', '.5\"')")
        where = ("--where", "reason like 'column price%' or step = 'shares'")
        _, told, _ = self.letters(config, "replay", *where, *set_price, "--dry_run")
        self.assertIn(f"would replay {COMMAS + LARGE} letters to {name}", told)
        self.assertIn("7 can't be replayed", told)
        self.assertIn("7  rows of shares", told)
        self.assertEqual(topics.ends(self.stack.brokers, name), ends)

        # The comma becomes a point, and the text a number: taken as it stands by a column that coerces.
        changed = application(name)
        changed["sources"]["prices"]["coerce"] = True
        config = topology.write(self.stack.folder / f"{name}.yaml", changed)
        rng = random.Random(7)
        command = [BINARY, "dead-letters", "replay", "--config", str(config), *where, *set_price]
        written = lambda: topics.ends(self.stack.brokers, name) != ends
        for kill in range(8):
            replay = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      env=self.stack.environment(), stdin=subprocess.DEVNULL)
            if kill == 0:  # in the middle: some are in, and others aren't
                wait_for("the replay to write", lambda: replay.poll() is not None or written(), 120, every=0.02)
                self.assertTrue(written())
            else:
                time.sleep(rng.uniform(0.1, 1.5))
            replay.kill()
            replay.wait()
        self.letters(config, "replay", *where, *set_price)
        table, headers = topics.read(self.stack.brokers, name, headers=True)
        back = [(partition, key, value, header) for partition, key, value, header in
                zip(*(table[c].to_pylist() for c in ("partition", "key", "value")), headers) if "tidemark.replayed" in header]
        wanted = {id: price(id, "1.5") for id in commas} | {id: price(id, "2.5", pad="x" * 700_000) for id in large}
        self.assertEqual(len(back), len(wanted), "each once")
        self.assertEqual({int(key): value for _, key, value, _ in back}, wanted)
        for partition, key, _, header in back:
            self.assertEqual(partition, int(key) % PARTITIONS)
            self.assertEqual(header["origin"], key)
            self.assertRegex(header["tidemark.replayed"].decode(), rf"^{name}-dead-letter-\d+@\d+$")
        self.run_to_the_end(config, name)
        self.assertEqual(self.rows(name), collections.Counter([*range(1_000), *commas, *large]))

        # What was replayed is known, by whatever it is chosen.
        _, told, _ = self.letters(config, "replay", "--where", "key = '10007'")
        self.assertIn("replayed no letter", told)
        self.assertIn("1 were replayed before", told)
        self.assertEqual(self.listed(config)[comma]["replayed"], COMMAS + LARGE)

        # One that fails again is another letter, and can be replayed in turn.
        self.letters(config, "replay", "--where", "key = '20001'")
        self.run_to_the_end(config, name)
        again = "--where", "key = '20001'"
        self.assertIn("2 letters", self.letters(config, "show", *again)[1])
        _, told, _ = self.letters(config, "replay", *again, "--set",
                                  "value = replace(value, '\"name\": null', '\"name\": \"n\"')")
        self.assertIn("replayed 1 letter ", told)
        self.run_to_the_end(config, name)
        self.assertEqual(self.rows(name)[20_001], 1)

    def test_what_came_in_from_a_file_is_not_written_to_its_intake(self):
        folder = self.stack.folder / "landing"
        folder.mkdir()
        (folder / "rows.jsonl").write_text('{"id": 1, "at": "2001-01-01T00:00:00Z"}\n{"id": 2, "at": "2999-01-01T00:00:00Z"}\n')
        config = topology.write(self.stack.folder / "landed.yaml", {
            "name": "landed",
            "kafka": {"brokers": "${KAFKA_BROKERS}"},
            "sources": {"rows": {"files": {"path": f"{folder}/*.jsonl", "whole": "renamed", "order": "unordered"},
                                 "columns": {"id": "int64", "at": "timestamp"}, "event_time": {"column": "at"}}},
            "sinks": {"out": {"from": "rows", "topic": "landed-out", "key": ["id"], "create": {}}}})
        self.run_to_the_end(config, "landed")
        self.assertEqual([line["letters"] for line in self.listed(config).values()], [1])
        _, told, _ = self.letters(config, "replay")
        self.assertIn("replayed no letter", told)
        self.assertIn("files of source rows: correct the file", told)
        self.run_to_the_end(config, "landed")
        self.assertEqual(self.rows("landed"), collections.Counter([1]))

    def test_a_worker_replays_for_whoever_has_the_token(self):
        name, tokens = "asked", self.stack.folder / "tokens"
        tokens.write_text("".join(f"{hashlib.sha256(who.encode()).hexdigest()} {who} {scopes}\n" for who, scopes in (
            ("admin", "worker:admin"), ("oncall", "worker:status"), ("analyst", "view:*"), ("looker", "rows:shares"))))
        topics.create(self.stack.brokers, **{name: PARTITIONS})
        topics.produce(self.stack.brokers, name, [record(id, price(id, None if id % 10 == 0 else 1.5)) for id in range(100)])
        config = application(name) | {"views": {"seen": {"from": "prices", "key": ["id"], "tokens": str(tokens)}}}
        config["sources"]["prices"]["columns"]["name"] = {"type": "string", "pii": True}
        config = topology.write(self.stack.folder / f"{name}.yaml", config)
        worker = self.stack.run(config, name=name, threads=1)
        wait_for("the letters", lambda: (worker.metric("tidemark_step_rows_total", step="prices", outcome="dead_lettered") or 0) == 10,
                 120, worker.seen)

        def ask(command, who="admin", **question):
            address = (worker.state_dir / "http_address").read_text().strip()
            request = urllib.request.Request(f"http://{address}/v1/dead-letters/{command}?{urllib.parse.urlencode(question)}", b"",
                                             {"Authorization": f"Bearer {who}"} if who else {})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as refused:
                return refused.code, refused.read().decode()

        self.look_at_nodes(worker, name)
        ends = topics.ends(self.stack.brokers, name)
        for who, status in ((None, 401), ("nobody", 401), ("oncall", 403), ("analyst", 403)):
            self.assertEqual(ask("replay", who, dry_run="false")[0], status, who)
        self.assertEqual(ask("replay")[0], 400)
        self.assertEqual(ask("list", where="reasn = 1")[0], 400)
        self.assertIn("10 letters", ask("list")[1])
        self.assertIn("reason", ask("show", limit="1")[1])
        self.assertIn(f"would replay 10 letters to {name}", ask("replay", dry_run="true")[1])
        if LONG:
            self.try_the_page((worker.state_dir / "http_address").read_text().strip(), name)
        self.assertEqual(topics.ends(self.stack.brokers, name), ends)
        mend = "value = replace(value, 'null', '1.5')"
        self.assertIn(f"replayed 10 letters to {name}", ask("replay", dry_run="false", set=mend)[1])
        self.assertIn("10 were replayed before", ask("replay", dry_run="false", set=mend)[1])
        wait_for("all rows", lambda: self.rows(name) == collections.Counter([*range(100), *range(20, 29)]), 60, worker.seen, every=0.3)
        self.assertIn("dead letters are replayed by admin", worker.output())
        self.assertEqual(worker.stop(), 0, worker.seen())

    def look_at_nodes(self, worker, name):
        """Rows and letters of a node, by their scopes; what comes from personal data is for admins alone."""
        def get(node, what, who):
            address = (worker.state_dir / "http_address").read_text().strip()
            request = urllib.request.Request(f"http://{address}/v1/nodes/{node}/{what}", headers={"Authorization": f"Bearer {who}"})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as refused:
                return refused.code, refused.read().decode()

        for who, rows, letters in (("nobody", 401, 401), ("oncall", 403, 403), ("analyst", 403, 403), ("looker", 200, 403),
                                   ("admin", 200, 200)):
            self.assertEqual((get("shares", "rows", who)[0], get("prices", "dead-letters", who)[0]), (rows, letters), who)
        self.assertEqual(get("prices", "rows", "looker")[0], 403)
        told = get("prices", "dead-letters", "admin")[1]
        self.assertEqual(told.count("  reason "), 10, told)
        topics.produce(self.stack.brokers, name, [record(id, price(id)) for id in range(20, 29)])
        wait_for("rows of the step", lambda: len(json.loads(get("shares", "rows", "looker")[1])["rows"]) == 9, 30, worker.seen)
        all_of_it = json.loads(get("out", "rows", "admin")[1])
        looked = json.loads(get("shares", "rows", "looker")[1])
        self.assertEqual((looked["hidden"], looked["worker"], looked["partitions"]), (["name"], worker.name, [0, 1, 2]))
        self.assertEqual({row["row"]["id"] for row in looked["rows"]}, set(range(20, 29)))
        self.assertTrue(all("name" not in row["row"] and row["row"]["share"] == 25 for row in looked["rows"]), looked)
        self.assertEqual((all_of_it["step"], all_of_it["hidden"]), ("shares", []))
        self.assertIn("n28", {row["row"]["name"] for row in all_of_it["rows"]})

    def try_the_page(self, address, name):
        """It asks for a token, and replays nothing that it hasn't been asked about."""
        button = lambda text: f"[...document.querySelectorAll('#letter-form button')].find(each => each.textContent === '{text}')"
        with browser.Browser(path=page.chromium()) as tab:
            tab.go(f"http://{address}/")
            for token, says in (("oncall", "isn't for worker:admin"), ("admin", f"would replay 10 letters to {name}")):
                tab.wait("document.querySelector('#letter-form input[type=password]')")
                tab.value(f"document.querySelector('#letter-form input').value = '{token}'; document.querySelector('#letter-form button').click()")
                tab.wait("document.getElementById('letter-where')")
                self.assertTrue(tab.value("document.getElementById('letter-replay').disabled"))
                tab.value(f"{button('What would be replayed?')}.click()")
                tab.wait(f'document.getElementById("letter-said").textContent.includes("{says}")')
            self.assertFalse(tab.value("document.getElementById('letter-replay').disabled"))
            tab.value("const where = document.getElementById('letter-where'); where.value = 'true'; where.dispatchEvent(new Event('input'))")
            self.assertTrue(tab.value("document.getElementById('letter-replay').disabled"))
            # A token that isn't for it is the browser's to tell on the console, and all that stands there.
            self.assertEqual([said for said in tab.console if "403" not in said], [])

    def test_mistakes_are_named_and_nothing_is_replayed(self):
        config = topology.write(self.stack.folder / "none.yaml", application("none"))
        for args, words in (
                (("list",), ("no dead-letter topic 'none-dead-letter'",)),
                (("list", "--where", "reasn = 'x'"), ("--where", "reasn", "reason")),
                (("show", "--where", "reason"), ("--where", "no condition", "string")),
                (("replay", "--set", "price = 1"), ("--set", "value = EXPRESSION")),
                (("replay", "--set", "value = 1"), ("--set", "text, json or bytes")),
                (("list", "--dry_run"), ("--dry_run", "replay")),
                (("sho",), ("list, show, last or replay", "sho")),
                (("list", "--limit", "0"), ("--limit",))):
            with self.subTest(args):
                code, _, said = self.letters(config, *args, check=False)
                self.assertEqual(code, 2, said)
                for word in words:
                    self.assertIn(word, said)


if __name__ == "__main__":
    main()
