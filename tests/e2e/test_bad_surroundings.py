#!/usr/bin/env python3
"""What is around the pipeline being wrong: a clear error that names the thing and what to do, exit code 1 or 2, and
nothing lost - once it is put right, the run goes on to the oracle's result."""

import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import psycopg

import stack
import topics
from case import HtxTest, main
from stack import wait_for


class BadSurroundings(HtxTest):
    def refused(self, config, name, code, *words, env=None, state_dir=None, seconds=300):
        """The run ends by itself with that code, and its last lines hold all of the words."""
        worker = self.stack.run(config, "--until_end", "--close_windows", name=name, env=env, state_dir=state_dir)
        self.assertEqual(worker.wait(seconds), code, worker.seen())
        said = "\n".join(worker.output().splitlines()[-5:])
        for word in words:
            self.assertIn(word, said)
        return worker

    # ---- Kafka

    def test_a_missing_topic_is_named(self):
        def change(variant):
            variant["sources"]["detections"]["topic"] = "no-such-topic"
        self.refused(self.config("missing", change), "missing", 2, "no-such-topic", "does not exist")

    def test_a_missing_sink_topic_without_create_is_named(self):
        def change(variant):
            del variant["sinks"]["enriched"]["create"]
        self.refused(self.config("nosink", change), "nosink", 2, "nosink-enriched", "create")

    def test_an_unreachable_broker_is_named(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"
            self.refused(self.config("nobroker"), "nobroker", 1, address,
                         env=self.stack.environment(KAFKA_BROKERS=address))

    def test_a_wrong_partition_count_is_named(self):
        name = "counts"
        topics.create(self.stack.brokers, **{f"{name}.detections.changelog": 3})
        config = self.config(name)
        self.refused(config, name, 2, f"{name}.detections.changelog", "3 partitions", "needs 4")

    # ---- The state folder

    def test_a_state_folder_in_use_is_refused(self):
        config = self.config("locked")
        first = self.stack.run(config, name="locked", state_dir=self.stack.folder / "state" / "locked")
        wait_for("the first worker", first.ready, 180, first.seen)
        self.refused(config, "locked-too", 2, "locked", str(first.pid), state_dir=first.state_dir)
        self.assertTrue(first.running(), "the first one isn't disturbed")
        self.assertEqual(first.stop(), 0)
        self.completes(config, "locked")

    def test_a_second_process_under_the_same_name_takes_over_and_the_older_says_so(self):
        config = self.config("twin")
        older = self.stack.run(config, name="twin", state_dir=self.stack.folder / "state" / "twin-1")
        wait_for("the first worker", older.ready, 180, older.seen)
        newer = self.stack.run(config, name="twin", state_dir=self.stack.folder / "state" / "twin-2")
        self.assertEqual(older.wait(300), 1, older.seen())
        wait_for("the second worker", newer.ready, 180, newer.seen)
        self.assertEqual(newer.stop(), 0)
        self.completes(config, "twin")

    def test_a_state_folder_of_another_application_is_refused(self):
        shared = self.stack.folder / "state" / "shared"
        self.stack.run(self.config("owner"), "--until_end", name="owner", state_dir=shared).finish(300)
        before = sorted(p.relative_to(shared) for p in shared.rglob("*"))
        self.refused(self.config("guest"), "guest", 2, "owner", "guest", "--state_dir", state_dir=shared)
        self.assertEqual(before, sorted(p.relative_to(shared) for p in shared.rglob("*")), "nothing was touched")

    def test_a_state_folder_of_a_newer_version_is_refused(self):
        folder = self.stack.folder / "state" / "newer"
        config = self.config("newer")
        self.stack.run(config, "--until_end", name="newer").finish(300)
        tag = folder / "TIDEMARK"
        text = tag.read_text()
        tag.write_text(text.replace("format 1", "format 9"))
        self.refused(config, "newer", 2, "newer Tidemark", "format 9")
        tag.write_text(text)
        self.completes(config, "newer")

    def test_a_state_folder_that_cannot_be_written_is_named(self):
        in_the_way = self.stack.folder / "a-file"
        in_the_way.write_text("")
        self.refused(self.config("unwritable"), "unwritable", 2, str(in_the_way), state_dir=in_the_way / "state")

    def run_on_small_disk(self, name, size):
        """A run whose state folder lies on a file system of its own, which is gone with the process."""
        config = self.config(name)
        small = self.stack.folder / "small-disk"
        small.mkdir(exist_ok=True)
        mount = f'mount -t tmpfs -o size={size} tmpfs "{small}" && '
        if subprocess.run(["unshare", "-rm", "sh", "-c", mount + "true"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no right to mount a small file system")
        worker = stack.Worker(name, ["unshare", "-rm", "sh", "-c", mount + 'exec "$@"', "sh", stack.BINARY, "run", "--config",
                                     str(config), "--state_dir", str(small / "state"), "--instance_id", name,
                                     "--http_address", "127.0.0.1:0", "--until_end"],
                              self.stack.environment(), self.stack.folder / f"{name}.log", small / "state")
        self.stack.add(worker)
        return config, worker

    def test_a_full_disk_ends_the_run_with_its_cause_and_loses_nothing(self):
        config, worker = self.run_on_small_disk("full", "96k")
        self.assertEqual(worker.wait(300), 1, worker.seen())
        self.assertIn("No space left", worker.output())
        self.completes(config, "full")

    def test_a_disk_that_is_full_at_the_end_loses_nothing(self):
        # All was committed: what could not be flushed any more is restored from the changelog.
        config, worker = self.run_on_small_disk("brimful", "1m")
        self.assertIn(worker.wait(300), (0, 1), worker.seen())
        self.completes(config, "brimful")

    # ---- PostgreSQL and the lake

    def test_a_refused_password_is_reported_without_showing_it(self):
        scheme, _, rest = self.stack.database_url.partition("://")
        host = rest.rpartition("@")[2]
        wrong = f"{scheme}://tidemark:not-the-password@{host}"
        worker = self.refused(self.config("password"), "password", 2, "password authentication failed",
                              env=self.stack.environment(DATABASE_URL=wrong))
        self.assertNotIn("not-the-password", worker.output())
        self.completes(self.config("password"), "password")

    def test_a_table_with_other_columns_is_refused_column_by_column(self):
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            connection.execute("CREATE TABLE columns_top_items (geographical_location integer, item_rank bigint)")
        self.refused(self.config("columns"), "columns", 2, "columns_top_items", "geographical_location", "window_start")
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            connection.execute("DROP TABLE columns_top_items")
        self.completes(self.config("columns"), "columns")

    def test_a_lake_that_cannot_be_written_is_named(self):
        in_the_way = self.stack.folder / "lake-file"
        in_the_way.write_text("")
        def change(variant):
            variant["sinks"]["lake"]["parquet"]["path"] = str(in_the_way / "lake")
        self.refused(self.config("nolake", change), "nolake", 2, str(in_the_way))


if __name__ == "__main__":
    main(at_once=True)
