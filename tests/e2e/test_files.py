#!/usr/bin/env python3
"""Files that land in a folder are read once each, exactly once, while workers are killed: every row of every version of
every file, against DuckDB's reading of the same files."""

import gzip
import hashlib
import json
import lzma
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import duck
import topics
import topology
from case import SystemTest, main
from landing import Lander, application, expected_rows
from stack import wait_for

class Files(SystemTest):
    def values(self, topic):
        if topics.partitions(self.stack.brokers, topic) == 0:
            return []
        return [json.loads(value) for value in topics.read(self.stack.brokers, topic)["value"].to_pylist()
                if value is not None]

    def expect_all(self, name, lander):
        raw, expected = expected_rows(lander)
        found = sorted((v["id"], v.get("who"), v.get("score"), v["at"], v["file"]) for v in self.values(f"{name}-out"))
        self.assertEqual(found, expected)
        sums = duck.rows(f"SELECT file, count(*), sum(id)::BIGINT FROM {raw} GROUP BY file ORDER BY file")
        newest = {v["file"]: (v["file"], v["rows"], v["ids"]) for v in self.values(f"{name}-files")}
        self.assertEqual(sorted(newest.values()), sums)
        self.assertEqual(len(topics.read(self.stack.brokers, f"{name}-dead-letter")), lander.bad)
        self.assertEqual([p for p in lander.landing.rglob("*") if p.is_file()], [])

    def test_workers_are_killed_while_files_land(self):
        folder = self.stack.folder / "kills"
        lander = Lander(folder, 1)
        config = topology.write(self.stack.folder / "kills.yaml", application("kills", folder, partitions=2))
        stop = threading.Event()

        def land():
            while not stop.is_set():
                lander.land(lander.random.randrange(1, 3000))
                time.sleep(0.05)

        landing = threading.Thread(target=land)
        landing.start()
        try:
            # Whoever is stopped at the end leaves what it had to the run to the end.
            run = lambda name: self.stack.run(config, "--leave_on_stop", name=name, threads=1)
            workers = {name: run(name) for name in ("a", "b")}
            wait_for("the first rows", lambda: self.values("kills-out"), 180, self.stack.logs)
            moments = random.Random(7)
            for kill in range(8):
                time.sleep(moments.uniform(0.5, 4))
                victim = moments.choice(list(workers))
                workers[victim].kill()
                workers[victim] = run(victim)
        finally:
            stop.set()
            landing.join()
        for worker in workers.values():
            self.assertEqual(worker.stop(), 0, worker.seen())
        last = self.stack.run(config, "--until_end", name="a", threads=2)
        output = last.finish(300)
        self.expect_all("kills", lander)
        self.assertGreater(lander.again, 0)
        rows = len(self.values("kills-out"))
        self.assertRegex(output, rf"intake surveys rows={rows} dead_lettered={lander.bad} ")
        self.assertRegex(output, rf"files_skipped={lander.again}\b")

    def test_the_other_worker_takes_over(self):
        folder = self.stack.folder / "two"
        lander = Lander(folder, 2)
        config = topology.write(self.stack.folder / "two.yaml", application("two", folder))
        workers = [self.stack.run(config, name=f"two-{i}", threads=1) for i in range(2)]
        for worker in workers:
            wait_for("both to be ready", worker.ready, 180, worker.seen)
        lander.land(100)
        wait_for("the first file", lambda: len(self.values("two-out")) == 100, 180, self.stack.logs)
        owner = next(w for w in workers if w.metric("tidemark_intake_running"))
        other = next(w for w in workers if w is not owner)
        self.assertIsNone(other.metric("tidemark_intake_running"))
        owner.kill()
        lander.land(100)
        wait_for("the other worker to read", lambda: len(self.values("two-out")) == 200, 180, other.seen)
        self.assertEqual(other.stop(), 0, other.seen())
        self.expect_all("two", lander)

    def test_a_run_to_the_end_ends_and_what_is_wrong_is_rejected(self):
        folder = self.stack.folder / "end"
        lander = Lander(folder, 3)
        for _ in range(5):
            lander.land(200)
        (lander.landing / "cut.csv.gz").write_bytes(gzip.compress(b"id,at\n1,2\n")[:-5])
        (lander.landing / "bad.jsonl").write_text('{"id": 1, "at": 1}\n{"id": "x", "at": 1}\n')
        (lander.landing / "no.zip").write_bytes(b"PK\x03\x04")
        lander.bad = 0
        config = topology.write(self.stack.folder / "end.yaml",
                                application("end", folder, on_error="reject_file"))
        output = self.stack.run(config, "--until_end", "--leave_on_stop", name="end").finish(300)
        reasons = {p.name: json.loads(p.read_text())["reason"] for p in (folder / "rejected").rglob("*.reason.json")}
        self.assertIn("gzip", reasons["cut.csv.gz.reason.json"])
        self.assertIn("line 2: column id", reasons["bad.jsonl.reason.json"])
        self.assertIn("zip", reasons["no.zip.reason.json"])
        self.assertIn("files_rejected=", output)
        self.assertEqual(topics.partitions(self.stack.brokers, "end-dead-letter") and
                         len(topics.read(self.stack.brokers, "end-dead-letter")), 0)
        again = self.stack.run(config, "--until_end", name="end").finish(300)
        self.assertRegex(again, r"intake surveys rows=\d+")

    def test_sets_come_in_whole_or_not_at_all_while_workers_are_killed(self):
        folder = self.stack.folder / "sets"
        landing, hidden = folder / "landing", folder / "hidden"
        config = application("sets", folder, path=f"{landing}/**/*.csv", manifest={"name": "*.manifest", "deadline": "8s"})
        config["sources"]["surveys"]["columns"] |= {"set": {"type": "string", "from": "header:tidemark.batch"},
                                                     "of": {"type": "int64", "from": "header:tidemark.rows"}}
        config = topology.write(self.stack.folder / "sets.yaml", config)
        random_, next_id, whole, broken = random.Random(5), 0, {}, 0
        hidden.mkdir(parents=True)

        def put(name, text):
            (hidden / "part").write_text(text)
            (landing / name).parent.mkdir(parents=True, exist_ok=True)
            (hidden / "part").rename(landing / name)

        def land(number):
            nonlocal next_id, broken
            files, rows = {}, []
            for f in range(random_.randrange(1, 4)):
                ids = range(next_id, next_id + random_.choice([1, 50, 5_000]))
                next_id = ids.stop
                files[f"f{f}.csv"] = "id,at\n" + "".join(f"{i},{1_700_000_000_000 + i}\n" for i in ids)
                rows += ids
            entries = [{"name": name, "sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text)}
                       for name, text in files.items()]
            wrong = random_.choice(["", "", "", "missing", "sum", "rows"])
            if wrong == "sum":
                entries[0]["sha256"] = "0" * 64
            manifest = json.dumps({"files": entries, "rows": len(rows) + (wrong == "rows")})
            texts = list(files.items())[1 if wrong == "missing" else 0:] + [("day.manifest", manifest)]
            random_.shuffle(texts)
            for name, text in texts:
                put(f"s{number}/{name}", text)
                time.sleep(random_.uniform(0, 0.02))
            broken += 1 if wrong else 0
            if not wrong:
                whole[f"s{number}"] = rows

        run = lambda name: self.stack.run(config, "--leave_on_stop", name=name, threads=1)
        workers = {name: run(name) for name in ("set-a", "set-b")}
        for number in range(24):
            land(number)
            time.sleep(random_.uniform(0.1, 0.4))
            if number % 4 == 3:  # kill -9 at six moments
                victim = random_.choice(list(workers))
                workers[victim].kill()
                workers[victim] = run(victim)
        rows = sum(map(len, whole.values()))
        left = lambda: [p for p in landing.rglob("*") if p.is_file()]
        wait_for("all sets", lambda: len(self.values("sets-out")) >= rows and not left(), 120,
                 lambda: f"{len(self.values('sets-out'))} of {rows} rows, {left()}")
        for worker in workers.values():
            self.assertIn(worker.stop(), (0, -15), worker.seen())
        found = {}
        for value in self.values("sets-out"):
            found.setdefault(value["set"].split("/")[0], []).append(value)
        self.assertEqual({name: sorted(v["id"] for v in values) for name, values in found.items()}, whole)
        for values in found.values():
            self.assertEqual({v["of"] for v in values}, {len(values)})
            self.assertEqual(len({v["set"] for v in values}), 1)
        reasons = [p for p in (folder / "rejected").rglob("day.manifest*.reason.json")]
        self.assertEqual(len(reasons), broken)

    def test_archives_encrypted_files_and_xml_come_in_once_though_the_worker_is_killed(self):
        folder = self.stack.folder / "covered"
        (folder / "landing").mkdir(parents=True)
        home = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-gpg-"))  # a socket's path is short
        self.addCleanup(shutil.rmtree, home, True)
        gpg = lambda *args: subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--trust-model", "always", *args],
                                           check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        self.addCleanup(subprocess.run, ["gpgconf", "--homedir", home, "--kill", "all"])
        for name, word in (("reader", "mellon"), ("stranger", "")):
            gpg("--pinentry-mode", "loopback", "--passphrase", word, "--quick-gen-key", f"{name}@x", "default", "default", "never")
        keys, word = folder / "reader.key", folder / "word"
        word.write_text("mellon\n")
        gpg("--pinentry-mode", "loopback", "--passphrase", "mellon", "--output", keys, "--export-secret-keys", "reader@x")

        count, expected = 40_000, []

        def csv(first):
            rows = [(i, f"n{i}", i / 4, 1_700_000_000_000 + i) for i in range(first, first + count)]
            return rows, "id,who,score,at\n" + "".join(f"{i},{w},{s},{a}\n" for i, w, s, a in rows)

        def expect(name, rows):
            expected.extend((*row, name) for row in rows)

        landing, zipped = folder / "landing", [csv(0), csv(count)]
        with zipfile.ZipFile(landing / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (rows, text) in zip(("one.csv", "in/two.csv"), zipped):
                archive.writestr(name, text)
                expect(f"a.zip!{name}", rows)
        rows, text = csv(2 * count)
        (folder / "plain.gz").write_bytes(gzip.compress(text.encode()))
        for name, to in (("b.csv.gz.gpg", "reader@x"), ("other.csv.gz.gpg", "stranger@x")):
            gpg("--recipient", to, "--output", landing / name, "--encrypt", folder / "plain.gz")
        expect("b.csv.gz.gpg", rows)
        whole = (landing / "b.csv.gz.gpg").read_bytes()
        (landing / "cut.csv.gz.gpg").write_bytes(whole[:-40])
        rows = csv(3 * count)[0]
        xml = "".join(f"<survey id='{i}'><who>{w}</who><n><score>{s}</score></n><at>{a}</at></survey>\n" for i, w, s, a in rows)
        expect("c.xml.xz", rows)
        (landing / "c.xml.xz").write_bytes(lzma.compress(f"<surveys>\n{xml}</surveys>".encode(), preset=1))

        decrypt = {"openpgp": {"secret_keys": str(keys), "passphrase_file": str(word)}}
        config = application("covered", folder, decrypt=decrypt, row="/surveys/survey", archive=str(folder / "kept"),
                             raw=str(folder / "raw"))
        columns = config["sources"]["surveys"]["columns"]
        # One path serves files of both kinds where it is a name; the score of xml lies deeper.
        columns["deep"] = {"type": "double", "nullable": True, "path": "n/score"}
        columns["xml_id"] = {"type": "int64", "nullable": True, "path": "@id"}
        columns["id"] = {"type": "int64", "nullable": True}
        path = topology.write(self.stack.folder / "covered.yaml", config)
        self.assertNotIn("mellon", "".join(map(str, self.stack.tidemark("describe", "--config", path, "--format", "yaml"))))
        self.assertIn("1 secret key opens files", self.stack.tidemark("validate", "--online", "--config", path)[1])

        worker = self.stack.run(path, name="covered", threads=1)
        wait_for("some rows, not all", lambda: self.values("covered-out"), 300, worker.seen)
        worker.kill()
        output = self.stack.run(path, "--until_end", name="covered", threads=1).finish(600)
        self.assertNotIn("mellon", output)
        either = lambda v, one, other: v[one] if v.get(one) is not None else v[other]
        found = sorted((either(v, "id", "xml_id"), v["who"], either(v, "score", "deep"), v["at"], v["file"])
                       for v in self.values("covered-out"))
        self.assertEqual(len(found), len(expected))
        self.assertEqual(found, sorted(expected))
        reasons = {p.name: json.loads(p.read_text())["reason"] for p in (folder / "rejected").rglob("*.reason.json")}
        self.assertEqual(sorted(reasons), ["cut.csv.gz.gpg.reason.json", "other.csv.gz.gpg.reason.json"])
        self.assertIn("cut off OpenPGP", reasons["cut.csv.gz.gpg.reason.json"])
        self.assertIn("encrypted for another key", reasons["other.csv.gz.gpg.reason.json"])
        self.assertEqual(sorted(p.name for p in (folder / "processed").iterdir()), ["a.zip", "b.csv.gz.gpg", "c.xml.xz"])
        copies = lambda place: {re.sub("~[0-9a-f]{16}", "", p.name): p.read_bytes() for p in (folder / place).rglob("date=*/*")}
        came = {p.name: p.read_bytes() for p in (folder / "processed").iterdir()}
        self.assertEqual(copies("kept"), came)
        decrypted = {"b.csv.gz": (folder / "plain.gz").read_bytes()}
        self.assertEqual(copies("raw"), {**{k: v for k, v in came.items() if not k.endswith(".gpg")}, **decrypted})

    def test_another_folder_is_not_read_on_from_where_the_first_was(self):
        folder = self.stack.folder / "moved"
        lander = Lander(folder, 4)
        lander.land(10)
        config = topology.write(self.stack.folder / "moved.yaml", application("moved", folder))
        self.stack.run(config, "--until_end", name="moved").finish(300)
        (folder / "elsewhere" / "landing").mkdir(parents=True)
        other = topology.write(self.stack.folder / "moved2.yaml", application("moved", folder / "elsewhere"))
        worker = self.stack.run(other, "--until_end", name="moved")
        self.assertEqual(worker.wait(300), 2, worker.seen())
        self.assertIn("holds a position in files of", worker.output())


if __name__ == "__main__":
    main(at_once=True)
