#!/usr/bin/env python3
"""What a running worker shows over HTTP, and that neither its address nor its state folder is ever shared."""

import pathlib
import re
import socket
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
import topology
from case import SystemTest, main
from stack import BINARY, ROOT, Worker, wait_for

RECORDS = 20_000


def plain(name):
    """Known locations counted over all time into a Kafka topic: one shuffle, no sink outside Kafka."""
    example = topology.load()
    return {
        "name": name,
        "kafka": example["kafka"],
        "sources": {"detections": example["sources"]["detections"]},
        "tables": {"locations": example["tables"]["locations"]},
        "steps": {
            "known": {"from": "detections", "join": {"table": "locations", "on": ["geographical_location_oid"]}},
            "counts": {"from": "known", "group_by": ["geographical_location_oid"], "aggregates": {"n": "count(*)"},
                       "emit": "on_update"},
        },
        "sinks": {"counted": {"from": "counts", "topic": f"{name}-counts", "key": ["geographical_location_oid"],
                              "create": {"partitions": "2"}}},
    }


class Metrics(SystemTest):
    @classmethod
    def prepare(cls):
        cls.stack.generate(RECORDS)
        cls.records = sum(topics.ends(cls.stack.brokers, "detections").values())

    def config(self, name):
        return topology.write(self.stack.folder / f"{name}.yaml", plain(name))

    def start(self, name, **options):
        worker = self.stack.run(self.config(name), name=name, **options)
        wait_for("the worker", lambda: worker.ready() or not worker.running(), 180, worker.seen)
        self.assertTrue(worker.running(), worker.seen())
        return worker

    def caught_up(self, worker):
        wait_for("a lag of 0", lambda: worker.metric("tidemark_task_lag_records") == 0 and
                 worker.metric("tidemark_step_in_rows_total", step="detections") == self.records, 180, worker.seen)

    def run_command(self, name, state_dir, *args):
        return self.stack.tidemark("run", "--config", self.config(name), "--state_dir", state_dir, *args, check=False)

    def test_the_ledger_the_lag_and_the_commits_of_a_running_worker(self):
        worker = self.start("shown")
        self.caught_up(worker)
        # A commit may be under way still.
        wait_for("the outcomes to add up to what came in",
                 lambda: worker.metric("tidemark_step_rows_total", step="known") == self.records, 180, worker.seen)
        self.assertGreater(worker.metric("tidemark_step_rows_total", step="known", outcome="passed"), 0)
        self.assertGreater(worker.metric("tidemark_commits_total"), 0)
        self.assertEqual(worker.metric("tidemark_aborts_total"), 0)
        wait_for("a duration of each commit", lambda: worker.metric("tidemark_commit_duration_seconds_count") ==
                 worker.metric("tidemark_commits_total"), 180, worker.seen)
        self.assertEqual(worker.metric("tidemark_thread_running"), 2, "both threads")
        self.assertEqual(worker.metric("tidemark_restore_tasks"), 0)
        self.assertGreater(worker.metric("tidemark_task_watermark_seconds"), 0)
        self.assertGreater(worker.metric("tidemark_table_rows", table="locations"), 0)
        self.assertEqual(worker.metric("tidemark_build_info", worker="shown", application="shown"), 1)

    def test_every_name_that_is_rendered_is_documented(self):
        worker = self.start("documented")
        documented = set(re.findall(r"^\| `(tidemark_\w+)` \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
        self.assertEqual(set(re.findall(r"^# TYPE (\w+) ", worker.http("/metrics"), re.MULTILINE)), documented)

    def test_the_ledger_survives_a_crash(self):
        worker = self.start("crashed")
        self.caught_up(worker)
        worker.kill()
        self.caught_up(self.start("crashed"))

    def test_health_and_readiness_answer_in_lines(self):
        worker = self.start("healthy")
        self.assertEqual(worker.http("/healthz"), "ok\n")
        lines = worker.http("/readyz").splitlines()
        self.assertEqual(len(lines), 2, lines)
        for thread, line in enumerate(lines):
            self.assertRegex(line, rf"^stream thread {thread}: runs \d+ tasks$")

    def test_an_unknown_path_is_not_found_and_what_there_is_gets_named(self):
        worker = self.start("lost")
        address = (worker.state_dir / "http_address").read_text().strip()
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{address}/metrix", timeout=60)
        self.assertEqual(refused.exception.code, 404)
        self.assertIn("/metrics", refused.exception.read().decode())

    def test_the_address_file_holds_the_address_that_answers(self):
        worker = self.start("addressed")
        host, _, port = (worker.state_dir / "http_address").read_text().strip().rpartition(":")
        self.assertEqual(host, "127.0.0.1")
        with socket.create_connection((host, int(port)), timeout=60):
            pass

    def test_a_second_worker_on_the_same_state_folder_is_refused(self):
        worker = self.start("locked")
        code, _, err = self.run_command("locked", worker.state_dir, "--instance_id", "other", "--http_address",
                                        "127.0.0.1:0")
        self.assertEqual(code, 2, err)
        self.assertIn(str(worker.state_dir), err)
        self.assertTrue(worker.running())
        self.assertEqual(worker.http("/healthz"), "ok\n", "its address file is left alone")

    def test_a_taken_address_that_was_asked_for_is_refused(self):
        worker = self.start("first")
        address = (worker.state_dir / "http_address").read_text().strip()
        code, _, err = self.run_command("second", self.stack.folder / "state" / "second", "--http_address", address)
        self.assertEqual(code, 2, err)
        self.assertIn(address, err)
        self.assertIn("--http_address", err)
        self.assertTrue(worker.running())

    def test_without_an_address_a_taken_default_port_means_a_free_one_with_a_warning(self):
        def start(name):
            state_dir = self.stack.folder / "state" / name
            command = [BINARY, "run", "--config", str(self.config(name)), "--state_dir", str(state_dir),
                       "--instance_id", name, "--threads", "1"]
            worker = Worker(name, command, self.stack.environment(), self.stack.folder / f"{name}.log", state_dir)
            self.stack.add(worker)
            wait_for("the worker", worker.ready, 180, worker.seen)
            return worker

        workers = [start("default-a"), start("default-b")]
        addresses = [(w.state_dir / "http_address").read_text().strip() for w in workers]
        self.assertNotEqual(addresses[0], addresses[1])
        self.assertIn("9464 is taken", workers[1].output())


if __name__ == "__main__":
    main()
