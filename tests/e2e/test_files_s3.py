#!/usr/bin/env python3
"""Objects that land in a bucket are read once each, exactly once, while workers are killed, and each leaves its copies: every
row against DuckDB's reading of the same files, every copy against the bytes that were put."""

import collections
import contextlib
import gzip
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
import topology
import wire
from case import SystemTest, main
from landing import BucketLander, application, expected_rows
from proxy import LOST, TORN, Proxy
from stack import wait_for


class FilesInS3(SystemTest):
    def objects(self, prefix):
        """Those below the prefix, by name; folders that are kept by an object of no bytes aren't any."""
        s3, found = self.stack.s3(), {}
        for page in s3.client.get_paginator("list_objects_v2").paginate(Bucket=s3.bucket, Prefix=prefix + "/"):
            for item in page.get("Contents", []):
                if not item["Key"].endswith("/"):
                    found[item["Key"].removeprefix(prefix + "/")] = s3.client.get_object(
                        Bucket=s3.bucket, Key=item["Key"])["Body"].read()
        return found

    def names(self, prefix):
        """Of those below the prefix, where objects may go meanwhile; fewer than 1,000."""
        s3 = self.stack.s3()
        listed = s3.client.list_objects_v2(Bucket=s3.bucket, Prefix=prefix + "/").get("Contents", [])
        return [item["Key"] for item in listed if not item["Key"].endswith("/")]

    def values(self, topic):
        if topics.partitions(self.stack.brokers, topic) == 0:
            return []
        return [json.loads(value) for value in topics.read(self.stack.brokers, topic)["value"].to_pylist()]

    def topology(self, name, bucket=None, **options):
        config = application(name, f"s3://{bucket or self.stack.s3().bucket}/{name}", **options)
        del config["sources"]["surveys"]["files"]["whole"]
        return topology.write(self.stack.folder / f"{name}.yaml", config)

    def run_worker(self, config, *args, name, **options):
        return self.stack.run(config, *args, name=name, threads=1,
                              env=self.stack.environment(**self.stack.s3().environment()), **options)

    def test_a_set_of_objects_comes_in_when_all_of_it_is_there(self):
        s3 = self.stack.s3()
        config = self.topology("s3sets", path=f"s3://{s3.bucket}/s3sets/landing/**/*.csv", manifest={"name": "*.manifest", "deadline": "15s"})
        put = lambda key, body: s3.client.put_object(Bucket=s3.bucket, Key=f"s3sets/landing/{key}", Body=body.encode())
        csv = lambda ids: "id,at\n" + "".join(f"{i},1\n" for i in ids)
        files = {"a.csv": csv(range(5)), "b.csv": csv(range(5, 20))}
        manifest = json.dumps({"files": [{"name": name, "bytes": len(text)} for name, text in files.items()], "rows": 20})
        worker = self.run_worker(config, name="s3-sets")
        put("x/day.manifest", manifest)
        put("x/a.csv", files["a.csv"])
        put("late/day.manifest", manifest)
        put("late/a.csv", files["a.csv"])
        wait_for("the worker", worker.ready, 120, worker.seen)
        put("x/b.csv", files["b.csv"])
        wait_for("the set", lambda: sorted(v["id"] for v in self.values("s3sets-out")) == list(range(20)), 60, worker.seen)
        worker.kill()
        worker = self.run_worker(config, name="s3-sets")
        wait_for("the late one", lambda: "s3sets/rejected/late/day.manifest.reason.json" in self.names("s3sets/rejected"), 60, worker.seen)
        wait_for("its files", lambda: not self.names("s3sets/landing"), 60, worker.seen)
        self.assertEqual(set(self.objects("s3sets/processed")), {"x/day.manifest", "x/a.csv", "x/b.csv"})
        self.assertEqual(len(self.values("s3sets-out")), 20)
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_workers_are_killed_while_objects_land(self):
        s3, folder = self.stack.s3(), self.stack.folder / "bucket"
        lander = BucketLander(folder, 11, s3, "bucket")
        config = self.topology("bucket", partitions=2, raw=str(folder / "kept"), archive=f"s3://{s3.bucket}/bucket-archive")
        stop = threading.Event()

        def land():
            while not stop.is_set():
                lander.land(lander.random.randrange(1, 2000))
                time.sleep(0.1)

        landing = threading.Thread(target=land)
        landing.start()
        try:
            workers = {name: self.run_worker(config, "--leave_on_stop", name=name) for name in ("s3-a", "s3-b")}
            wait_for("the first rows", lambda: self.values("bucket-out"), 180, self.stack.logs)
            moments = random.Random(12)
            for _ in range(6):
                time.sleep(moments.uniform(0.3, 2))
                victim = moments.choice(list(workers))
                workers[victim].kill()
                workers[victim] = self.run_worker(config, "--leave_on_stop", name=victim)
        finally:
            stop.set()
            landing.join()
        for worker in workers.values():
            self.assertIn(worker.stop(), (0, -15), worker.seen())  # -15: it had only just been started
        output = self.run_worker(config, "--until_end", name="s3-a").finish(300)
        found = sorted((v["id"], v.get("who"), v.get("score"), v["at"], v["file"]) for v in self.values("bucket-out"))
        self.assertEqual(found, expected_rows(lander)[1])
        # The same again within a second of S3's clock is the very object that is noted already.
        told = re.search(r"files_skipped=(\d+)", output)
        skipped = int(told[1]) if told else 0
        self.assertLessEqual(skipped, lander.again)
        self.assertEqual(self.objects("bucket/landing"), {})
        # Each content once, as it was put; what came again has its copy already.
        contents = collections.Counter(set(lander.contents))
        self.assertEqual(set(self.objects("bucket/processed").values()), set(contents))
        for kept in (self.objects("bucket-archive"),
                     {str(p.relative_to(folder / "kept")): p.read_bytes() for p in (folder / "kept").rglob("*") if p.is_file()}):
            self.assertEqual([name for name in kept if not name.startswith("date=")], [])
            self.assertEqual(collections.Counter(kept.values()), contents)

    def test_each_row_is_in_once_whatever_the_service_does(self):
        """The source's row of the fault matrix: each fault while objects land, then all of them are in and moved away."""
        s3 = self.stack.s3()
        lander = BucketLander(self.stack.folder / "faults", 13, s3, "faults")
        host, _, port = s3.url.removeprefix("http://").partition(":")
        proxy = Proxy((host, int(port)), wire.Http)
        self.addCleanup(proxy.close)
        env = self.stack.environment(**s3.environment() | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"})
        worker = self.stack.run(self.topology("faults", partitions=2), name="s3-faults", threads=1, env=env)
        wait_for("the worker to be ready", worker.ready, 120, worker.seen)
        pid = worker.pid
        error = lambda status, code: {"answer": wire.Http.response(status, code)}

        @contextlib.contextmanager
        def refused():
            before = worker.output().count("trying again")
            proxy.refuse()
            try:
                yield lambda: worker.output().count("trying again") - before
            finally:
                proxy.accept()

        def ruled(names, *args, **options):
            @contextlib.contextmanager
            def strike():
                with proxy.rule(lambda request: not names or request.name in names, *args, **options) as rule:
                    yield lambda: rule.hits
            return strike

        faults = {
            "refuses connections": refused,
            "answers 500": ruled((), **error(500, "InternalError")),
            "lists nothing": ruled(("GET list",), **error(503, "SlowDown")),
            "gives half of an object": ruled(("GET",), TORN, times=6),
            "can't copy": ruled(("PUT copy",), **error(500, "InternalError")),
            "loses the answer of a copy": ruled(("PUT copy",), LOST, times=4),
            "can't delete": ruled(("DELETE",), **error(503, "SlowDown")),
            "loses the answer of a delete": ruled(("DELETE",), LOST, times=4),
        }
        for name, strike in faults.items():
            with strike() as hits:
                for _ in range(4):
                    lander.land(lander.random.randrange(1, 800))
                wait_for(f"a service that {name} to be met", hits, 60, worker.seen)
                time.sleep(0.5)
            wait_for(f"what landed while it {name}", lambda: not self.names("faults/landing"), 120, worker.seen)
        wait_for("all rows", lambda: len(self.values("faults-out")) >= lander.next_id, 60, worker.seen)
        found = sorted((v["id"], v.get("who"), v.get("score"), v["at"], v["file"]) for v in self.values("faults-out"))
        self.assertEqual(found, expected_rows(lander)[1])
        self.assertTrue(worker.running() and worker.pid == pid, "the same process goes on")
        self.assertEqual(worker.stop(), 0, worker.seen())

    def test_what_is_wrong_is_rejected_and_encrypted_objects_leave_a_decrypted_copy(self):
        s3 = self.stack.s3()
        home = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-gpg-"))  # a socket's path is short
        self.addCleanup(shutil.rmtree, home, True)
        self.addCleanup(subprocess.run, ["gpgconf", "--homedir", home, "--kill", "all"])

        def gpg(*args, data=None):
            return subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--trust-model", "always", *args],
                                  input=data, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

        gpg("--passphrase", "", "--quick-gen-key", "reader@x", "default", "default", "never")
        keys = self.stack.folder / "reader.key"
        keys.write_bytes(gpg("--export-secret-keys", "reader@x"))
        plain = gzip.compress(b"id,at\n1,1700000000000\n2,1700000000001\n")
        locked = gpg("--recipient", "reader@x", "--output", "-", "--encrypt", data=plain)
        put = lambda name, body: s3.client.put_object(Bucket=s3.bucket, Key=f"wrong/landing/{name}", Body=body)
        put("a/good.csv.gz.gpg", locked)
        put("a/cut.csv.gz", plain[:-5])
        config = self.topology("wrong", raw=f"s3://{s3.bucket}/wrong-raw", archive=str(self.stack.folder / "as-it-came"),
                               decrypt={"openpgp": {"secret_keys": str(keys)}})
        seen = self.stack.tidemark("validate", "--online", "--config", config, env=self.stack.environment(**s3.environment()))[1]
        self.assertIn("source surveys: path: 2 files are there", seen)
        code, _, said = self.stack.tidemark("validate", "--online", "--config", self.topology("nowhere", "no-such-bucket"),
                                            env=self.stack.environment(**s3.environment()), check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("there is no bucket no-such-bucket", said)
        self.run_worker(config, "--until_end", "--leave_on_stop", name="wrong").finish(300)
        self.assertEqual(sorted(v["id"] for v in self.values("wrong-out")), [1, 2])
        rejected = self.objects("wrong/rejected")
        self.assertEqual(sorted(rejected), ["a/cut.csv.gz", "a/cut.csv.gz.reason.json"])
        self.assertIn("gzip", json.loads(rejected["a/cut.csv.gz.reason.json"])["reason"])
        self.assertEqual(self.objects("wrong/processed"), {"a/good.csv.gz.gpg": locked})
        raw = self.objects("wrong-raw")
        self.assertEqual(list(raw.values()), [plain])
        self.assertRegex(next(iter(raw)), r"^date=\d{4}-\d\d-\d\d/a/good~[0-9a-f]{16}\.csv\.gz$")
        kept = [p for p in (self.stack.folder / "as-it-came").rglob("*") if p.is_file()]
        self.assertEqual([p.read_bytes() for p in kept], [locked])


if __name__ == "__main__":
    main(at_once=True)
