#!/usr/bin/env python3
"""The command line: every command, its exit codes, and how a run begins and ends."""

import json
import pathlib
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import psycopg

import topics
import topology
from case import SystemTest, main
from stack import wait_for


class Commands(SystemTest):
    @classmethod
    def setUpClass(cls):  # none of these needs a server
        import stack
        cls.stack = stack.Stack()
        cls.addClassCleanup(cls.stack.close)

    def tidemark(self, *args, **env):
        return self.stack.tidemark(*args, env=self.stack.environment(**env), check=False)

    def test_version_and_help_say_what_there_is(self):
        code, out, _ = self.tidemark("version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^tidemark \d+\.\d+\.\d+")
        code, out, _ = self.tidemark("help")
        self.assertEqual(code, 0)
        for command in ("run", "validate", "test", "plan", "reset", "resnapshot", "replay", "switch", "generations", "status",
                        "describe", "generate", "init", "version", "help"):
            self.assertIn(f"  {command} ", out)
        code, out, _ = self.tidemark("help", "run")
        self.assertEqual(code, 0)
        self.assertIn("--state-dir", out)
        self.assertNotIn("flagfile", out, "only our flags")

    def test_a_mistyped_command_or_flag_is_the_users_mistake_and_gets_a_hint(self):
        for arguments, hint in ((["rnu"], "run"), (["run", "--confg", "x"], "config"), (["describe", "--online"], "online"),
                                (["run"], "--config"), (["generate", "xyz"], "htx"),
                                (["run", "--config", "x", "--threads", "many"], "threads"),
                                (["run", "topology.yaml"], "--config topology.yaml"), (["run", "-config", "x"], "--config"),
                                (["run", "--until_end", "false"], "--until_end=false"), (["help", "rnu"], "run"),
                                (["run", "--config", "x", "--threads", "100000"], "from 0 to 256"),
                                (["run", "--config", "x", "--stop_within", "10ms"], "from 3s to 1h"),
                                (["run", "--config", "x", "--close_windows"], "--until_end"),
                                (["plan", "--config", "x", "--agianst", "y"], "against"), (["reset", "--config", "x"], "--to_earliest"),
                                (["resnapshot", "orders"], "--config"), (["switch", "--config", "x", "--whne", "y"], "when"),
                                (["init", "--output", "/no/such/folder/t.yaml"], "No such file")):
            with self.subTest(arguments):
                code, _, err = self.tidemark(*arguments)
                self.assertEqual(code, 2, err)
                self.assertIn(hint, err)

    def test_a_missing_file_is_named(self):
        code, _, err = self.tidemark("validate", "--config", "/no/such/file.yaml")
        self.assertEqual(code, 2)
        self.assertIn("/no/such/file.yaml", err)

    def test_validate_accepts_the_example_offline(self):
        self.assertEqual(self.tidemark("validate", "--config", topology.EXAMPLE)[0], 0)

    def test_validate_refuses_a_client_property_that_there_is_not(self):
        path = self.stack.folder / "property.yaml"
        path.write_text("name: a\nkafka: { properties: { fetch.wait.max.mss: 5 } }\n"
                        "sources: { s: { topic: t, columns: { id: int64 } } }\nsinks: { o: { from: s, topic: o } }\n")
        code, _, err = self.tidemark("validate", "--config", path)
        self.assertEqual(code, 2, err)
        self.assertIn("did you mean 'fetch.wait.max.ms'", err)

    def test_validate_reports_all_errors_with_their_places(self):
        text = topology.EXAMPLE.read_text()
        text = text.replace("tumbling: 1m", "tumbling: 1 fortnight").replace("by: [detection_oid]", "by: [detection_iod]")
        text = text.replace("max_out_of_orderness: 2s", "max_out_of_ordrness: 2s")
        path = self.stack.folder / "wrong.yaml"
        path.write_text(text)
        code, _, err = self.tidemark("validate", "--config", path)
        self.assertEqual(code, 2)
        lines = text.splitlines()
        for part, hint in (("1 fortnight", ""), ("detection_iod", "detection_oid"), ("max_out_of_ordrness", "max_out_of_orderness")):
            line = next(i for i, l in enumerate(lines, 1) if part in l)
            self.assertIn(f"wrong.yaml:{line}:", err)
            self.assertIn(hint, err)

    def test_an_unset_variable_is_the_users_mistake(self):
        path = self.stack.folder / "unset.yaml"
        path.write_text(topology.EXAMPLE.read_text().replace("${KAFKA_BROKERS:-localhost:9092}", "${NO_SUCH_VARIABLE}"))
        code, _, err = self.tidemark("validate", "--config", path)
        self.assertEqual(code, 2)
        self.assertIn("NO_SUCH_VARIABLE", err)

    def test_describe_shows_the_plan_in_every_format(self):
        for form, words in (("text", ["unique_detections", "items_per_minute"]), ("dot", ["digraph"]),
                            ("kafka", ["kafka-topics", "repartition"]), ("json", ["stages"])):
            with self.subTest(form):
                code, out, err = self.tidemark("describe", "--config", topology.EXAMPLE, "--format", form)
                self.assertEqual(code, 0, err)
                for word in words:
                    self.assertIn(word, out)
                if form == "json":
                    json.loads(out)
        self.assertEqual(self.tidemark("describe", "--config", topology.EXAMPLE, "--format", "xml")[0], 2)

    def test_a_topology_of_many_files_is_the_one_file_that_describe_prints(self):
        config = topology.EXAMPLE.parent.parent / "services" / "topology.yaml"
        files = [config, config.parent / "template.yaml", *sorted((config.parent / "services").glob("*.yaml"))]
        code, out, err = self.tidemark("validate", "--config", config)
        self.assertEqual(code, 0, err)
        self.assertIn("note: read " + ", ".join(map(str, files)) + "\n", out)
        whole = self.stack.folder / "whole.yaml"
        whole.write_text(self.tidemark("describe", "--config", config, "--format", "yaml")[1])
        for form in ("text", "dot", "json", "kafka", "yaml"):
            with self.subTest(form):
                self.assertEqual(*(self.tidemark("describe", "--config", path, "--format", form)[1] for path in (config, whole)))
        code, _, err = self.tidemark("run", "--config", config, "--state_dir", self.stack.folder / "no-run", "--http_address",
                                     "nowhere")
        self.assertNotEqual(code, 0)
        self.assertIn("topology services from " + ", ".join(map(str, files)), err, "a run's log begins with what was read")

    def test_init_writes_a_topology_that_validates_and_overwrites_nothing(self):
        path = self.stack.folder / "fresh.yaml"
        self.assertEqual(self.tidemark("init", "--output", path)[0], 0)
        self.assertEqual(self.tidemark("validate", "--config", path, KAFKA_BROKERS="b:1", DATABASE_URL="postgresql://h/d")[0],
                         0)
        before = path.read_text()
        self.assertEqual(self.tidemark("init", "--output", path)[0], 2)
        self.assertEqual(path.read_text(), before)


class Generate(SystemTest):
    def test_the_same_seed_gives_the_same_records_and_skip_goes_on(self):
        shape = {"table_topic": "table", "late": 0.1, "hot_location": 0.5}
        self.stack.generate(3000, topic="whole", **shape)
        self.stack.generate(1000, topic="parts", **shape)
        self.stack.generate(2000, topic="parts", skip=1000, **shape)
        whole, parts = (topics.read(self.stack.brokers, t).sort_by([("partition", "ascending"), ("offset", "ascending")])
                        for t in ("whole", "parts"))
        for column in ("partition", "offset", "timestamp", "key", "value"):
            self.assertEqual(whole[column].to_pylist(), parts[column].to_pylist(), column)

    def test_records_stand_where_a_java_client_looks_for_them_at_their_event_time(self):
        self.stack.generate(1000, topic="placed", table_topic="table", partitions=7)
        for row in topics.read(self.stack.brokers, "placed").to_pylist():
            value = json.loads(row["value"])
            self.assertEqual(row["key"].decode(), str(value["detection_oid"]))
            self.assertEqual(row["partition"], topics.java_partition(row["key"], 7))
            self.assertEqual(row["timestamp"], value["timestamp_detected"])
            self.assertEqual(list(value), ["geographical_location_oid", "video_camera_oid", "detection_oid", "item_name",
                                           "timestamp_detected"])

    def test_the_table_has_all_locations_but_every_hundredth_once(self):
        self.stack.generate(10, topic="any", table_topic="known", locations=1000)
        self.stack.generate(10, topic="any", table_topic="known", locations=1000)
        table = topics.read(self.stack.brokers, "known")
        self.assertEqual([int(k) for k in table["key"].to_pylist()], [i for i in range(1, 1001) if i % 100])

    def test_an_idle_partition_gets_nothing(self):
        self.stack.generate(4000, topic="idle", table_topic="table", idle_partition=2)
        self.assertEqual({p for p, end in topics.ends(self.stack.brokers, "idle").items() if end == 0}, {2})

    def test_a_pace_is_kept(self):
        began = time.monotonic()
        self.stack.generate(2000, topic="paced", table_topic="table", rate=1000)
        self.assertGreater(time.monotonic() - began, 1.9)

    def test_another_partition_count_than_the_topics_is_refused(self):
        self.stack.generate(1, topic="four", table_topic="table")
        code, _, err = self.stack.tidemark(*self.stack.generate_command(1, topic="four", partitions=3)[1:], check=False)
        self.assertEqual(code, 2)
        self.assertIn("--partitions 4", err)

    def test_a_share_out_of_range_is_refused(self):
        code, _, err = self.stack.tidemark(*self.stack.generate_command(1, duplicates=2)[1:], check=False)
        self.assertEqual(code, 2)
        self.assertIn("--duplicates", err)


class Run(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        cls.stack.generate(100_000, events_per_second=200)

    def start(self, name, *args, **options):
        config = topology.write(self.stack.folder / f"{name}.yaml", topology.variant(name))
        worker = self.stack.run(config, *args, name=name, **options)
        wait_for("the worker", worker.ready, 180, worker.seen)
        return worker

    def test_sigterm_and_sigint_commit_and_end_with_0_in_five_seconds(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            worker = self.start("term")
            self.assertEqual(worker.stop_in_time(number), 0, worker.seen())
        output = self.stack.run(self.stack.folder / "term.yaml", "--until_end", "--close_windows", name="term").finish(300)
        self.check(self.oracle(), "term", output)

    def test_http_answers_on_a_free_port_and_says_where(self):
        worker = self.start("http")
        self.assertIn("ok", worker.http("/healthz").lower())
        self.assertIn("tidemark_", worker.http("/metrics"))
        address = (worker.state_dir / "http_address").read_text().strip()
        self.assertIn(address, worker.output(), "the bound address is logged")

    def test_an_address_that_is_taken_is_refused_where_it_was_asked_for(self):
        config = topology.write(self.stack.folder / "taken.yaml", topology.variant("taken"))
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            address = f"127.0.0.1:{holder.getsockname()[1]}"
            code, _, err = self.stack.tidemark("run", "--config", config, "--state-dir", self.stack.folder / "state" / "taken",
                                               "--http-address", address, check=False)
        self.assertEqual(code, 2, err)
        self.assertIn(address, err)

    def test_json_logs_are_json_with_time_and_level(self):
        worker = self.start("json", "--log_format", "json")
        self.assertEqual(worker.stop(), 0)
        logged = [json.loads(line) for line in worker.output().splitlines() if line.startswith("{")]
        self.assertTrue(logged, worker.seen())
        for line in logged:
            self.assertTrue({"time", "level", "message"} <= set(line), line)

    def test_the_error_that_ends_a_run_comes_in_the_format_that_was_asked_for(self):
        missing = topology.write(self.stack.folder / "fatal.yaml", topology.variant("fatal", source="nowhere"))
        state = self.stack.folder / "state" / "fatal"
        # Before anything runs, and by what is found at the brokers.
        for arguments, said in ((["--config", "/no/such.yaml"], "/no/such.yaml"), ([], "--config"),
                                (["--config", missing, "--state_dir", state, "--http_address", "127.0.0.1:0"], "nowhere")):
            with self.subTest(said):
                code, out, err = self.stack.tidemark("run", "--log_format", "json", *arguments, check=False)
                self.assertEqual(code, 2, err)
                lines = [json.loads(line) for line in err.splitlines()]
                self.assertEqual(lines[-1]["level"], "error", err)
                self.assertIn(said, lines[-1]["message"])

    def test_no_log_shows_the_databases_password(self):
        worker = self.start("masked")
        self.assertEqual(worker.stop(), 0)
        password = self.stack.database_url.split(":")[2].split("@")[0]
        self.assertNotIn(password, worker.output())

    def test_validate_online_finds_what_is_there_and_what_is_not(self):
        config = topology.write(self.stack.folder / "online.yaml", topology.variant("online"))
        before = topics.names(self.stack.brokers)
        said = self.stack.tidemark("validate", "--config", config, "--online")[1]
        self.assertIn("table public.online_top_items would be created: CREATE TABLE", said)
        self.assertIn("would be made in", said)
        self.assertEqual(topics.names(self.stack.brokers), before, "no topic was made")
        self.assertFalse((self.stack.folder / "lake" / "online").exists(), "no folder was made")
        with psycopg.connect(self.stack.database_url) as connection:
            found = connection.execute("SELECT 1 FROM pg_tables WHERE tablename = 'online_top_items'").fetchall()
        self.assertEqual(found, [], "no table was made")
        wrong = topology.write(self.stack.folder / "offline.yaml", topology.variant("online", source="nowhere"))
        code, _, err = self.stack.tidemark("validate", "--config", wrong, "--online", check=False)
        self.assertEqual(code, 2)
        self.assertIn("nowhere", err)

    def test_validate_online_names_everything_that_is_missing_at_once(self):
        variant = topology.variant("missing", source="nowhere")
        variant["tables"]["locations"]["topic"] = "no-locations"
        for sink in variant["sinks"].values():
            if "topic" in sink:
                sink.pop("create", None)
        next(iter(variant["sinks"].values()))["freshness"] = {"warn": "1m", "max": "2m"}
        variant["notify"] = {"webhook": {"url": "http://127.0.0.1:1/alarms", "sign": "no-such-secret"}}
        config = topology.write(self.stack.folder / "missing.yaml", variant)
        code, _, err = self.stack.tidemark("validate", "--config", config, "--online", check=False)
        self.assertEqual(code, 2)
        for topic in ("nowhere", "no-locations", *(s["topic"] for s in variant["sinks"].values() if "topic" in s)):
            self.assertIn(f"topic '{topic}' does not exist", err)
        self.assertRegex(err, "notify: .*no-such-secret")


if __name__ == "__main__":
    main()
