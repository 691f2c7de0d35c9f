#!/usr/bin/env python3
"""`tidemark test`: the examples' own tests pass; a wrong expectation, a wrong file and a result that depends on the order
between partitions are told with their place; --update writes what was found: all without any broker. And --record makes a
test out of the topics of a real one."""

import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import stack
import topics
from case import LONG, SystemTest, main

EXAMPLES = stack.ROOT / "examples"
SESSIONS = pathlib.Path(stack.BINARY).parent / "examples" / "custom_operator" / "tidemark-sessions"

TOPOLOGY = """
name: small
kafka: { brokers: simulated }
sources:
  clicks:
    topic: clicks
    columns: { id: int64, page: string, at: timestamp }
    event_time: { column: at, max_out_of_orderness: 1h }
steps:
  once: { from: clicks, dedup: { by: [id], within: 1h } }
  pages: { from: once, group_by: [page], aggregates: { n: "count(*)" } }
sinks:
  pages_topic: { from: pages, topic: pages, key: [page], create: {} }
"""
GIVEN = """
topology: small.yaml
tests:
  - name: clicks count once
    given:
      clicks:
        - { id: 1, page: a, at: 2026-01-01T00:00:00Z }
        - { id: 1, page: a, at: 2026-01-01T00:00:01Z }
        - { id: 2, page: b, at: 2026-01-01T00:00:02Z }
"""

IDLE_TOPOLOGY = """
name: small
kafka: { brokers: simulated }
sources:
  clicks:
    topic: clicks
    columns: { id: int64, page: string, at: timestamp }
    event_time: { column: at, max_out_of_orderness: 1s, idle_after: 10s }
steps:
  minutes: { from: clicks, window: { tumbling: 1m, grace: 0s }, group_by: [page], aggregates: { n: "count(*)" } }
sinks:
  minutes_topic: { from: minutes, topic: minutes, key: [page], create: {} }
"""
IDLE = """
topology: small.yaml
tests:
  - name: a window waits for a partition that may still bring something
    partitions: 2
    close_windows: false
    given:
      clicks:
        - { __partition: 0, id: 1, page: a, at: 2026-01-01T00:00:00Z }
        - { __partition: 1, id: 1, page: a, at: 2026-01-01T00:00:10Z }
        - { __partition: 0, id: 2, page: a, at: 2026-01-01T00:05:00Z }
    expect:
      minutes: []
  - name: and closes once that partition is idle
    partitions: 2
    close_windows: false
    given:
      clicks:
        - { __partition: 0, id: 1, page: a, at: 2026-01-01T00:00:00Z }
        - { __partition: 1, id: 1, page: a, at: 2026-01-01T00:00:10Z }
        - { __partition: 0, id: 2, page: a, at: 2026-01-01T00:05:00Z }
    script:
      - advance: 8s
      - crash
      - rebalance
      - given: { clicks: [ { __partition: 0, id: 3, page: b, at: 2026-01-01T00:05:01Z } ] }
      - restart
      - advance: 30s
      - given: { clicks: [ { __partition: 0, id: 3, page: b, at: 2026-01-01T00:05:02Z } ] }
    expect:
      minutes: [ { page: a, n: 2 } ]
"""


class TopologyTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "small.yaml").write_text(TOPOLOGY)

    def run_tests(self, *args, binary=stack.BINARY, code=0):
        run = subprocess.run([str(binary), "test", *map(str, args)], capture_output=True, text=True, timeout=300)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run.stdout + run.stderr

    def write(self, text):
        path = self.folder / "tests.yaml"
        path.write_text(text)
        return path

    def test_the_examples_pass(self):
        files = sorted(f for f in EXAMPLES.glob("*/tests/*.yaml") if "custom_operator" not in f.parts)
        self.assertGreaterEqual(len(files), 4)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:  # a simulator has one thread
            for said in pool.map(lambda file: self.run_tests(file, "--seeds", "20" if LONG else "4"), files):
                self.assertRegex(said, r"\n\d+ passed, 0 failed\n$")

    def test_a_program_tests_its_own_operators(self):
        said = self.run_tests(EXAMPLES / "custom_operator" / "tests" / "visits.yaml", binary=SESSIONS)
        self.assertIn("1 passed, 0 failed", said)

    def test_a_difference_is_told_with_both_rows_and_their_place(self):
        path = self.write(GIVEN + "    expect:\n      pages:\n        - { page: a, n: 2 }\n        - { page: b, n: 1 }\n")
        said = self.run_tests(path, code=1)
        self.assertIn(f"{path}:12:11: expected:  {{ page: a, n: 2 }}", said)
        self.assertIn("n is 1, not 2", said)
        self.assertTrue(said.endswith("0 passed, 1 failed\n"), said)

    def test_what_depends_on_the_order_between_partitions_fails_with_a_seed_that_can_be_run_again(self):
        test = GIVEN.replace("id: 1, page: a, at: 2026-01-01T00:00:01Z", "id: 1, page: c, at: 2026-01-01T00:00:01Z")
        path = self.write(test + "    expect:\n      pages_topic:\n        - { page: a, n: 1 }\n        - { page: b, n: 1 }\n")
        said = self.run_tests(path, code=1)
        seed = re.search(r"--seed (\d+)", said)
        self.assertTrue(seed and seed[1] != "0", said)
        self.assertIn("partitions: 1", said)
        again = self.run_tests(path, "--seed", seed[1], code=1)
        self.assertIn("page is c, not a", again + said)
        self.run_tests(path, "--seed", "0")
        self.run_tests(self.write(path.read_text().replace("    given:", "    partitions: 1\n    given:")))

    def test_time_passes_where_the_script_says_so_and_only_there(self):
        (self.folder / "small.yaml").write_text(IDLE_TOPOLOGY)
        self.assertIn("2 passed, 0 failed", self.run_tests(self.write(IDLE)))

    def test_mistakes_are_told_with_their_place_and_the_nearest_name(self):
        for expect, told in [
            ("    expect:\n      paes: []\n", "tests.yaml:11:7: there is no step or sink 'paes' (did you mean 'pages'?)"),
            ("    expect:\n      pages: [ { pag: a } ]\n", "tests.yaml:11:18: pages has no column 'pag' (did you mean 'page'?)"),
            ("    expect:\n      pages: [ { n: many } ]\n", "tests.yaml:11:21: column n: expected int64, found 'many'"),
            ("    expects: {}\n", "tests.yaml:10:5: unknown field 'expects' (did you mean 'expect'?)"),
        ]:
            self.assertIn(told, self.run_tests(self.write(GIVEN + expect), code=2))
        said = self.run_tests(self.write(GIVEN.replace("id: 2", "id: two") + "    expect: { pages: [] }\n"), code=2)
        self.assertIn("tests.yaml:9:17: column id: expected int64, found 'two'", said)
        self.assertIn("can't be read", self.run_tests(self.folder / "none.yaml", code=2))

    def test_an_update_writes_what_was_found_and_leaves_the_rest(self):
        path = self.write("# first\n" + GIVEN + "    # between\n    expect:\n      pages:\n        - { page: x, n: 7 }\n"
                          "      pages_topic:\n        csv: |\n          n\n          9\n    ledger: { once: { in: 3 } }  # last\n")
        before = path.read_text()
        said = self.run_tests("--update", path)
        self.assertIn("1 passed, 0 failed", said)
        after = path.read_text()
        self.assertIn("        - { page: a, n: 1 }\n        - { page: b, n: 1 }\n", after)
        self.assertIn("        csv: |\n          n\n          1\n          1\n", after)
        for kept in ["# first\n", "    # between\n", "    ledger: { once: { in: 3 } }  # last\n"]:
            self.assertIn(kept, after)
        self.assertNotEqual(before, after)
        self.run_tests("--update", path)
        self.assertEqual(path.read_text(), after)


class Recorded(SystemTest):
    def test_a_test_out_of_real_topics_expects_what_a_run_has_written(self):
        brokers, folder = self.stack.brokers, self.stack.folder
        config = folder / "small.yaml"
        config.write_text(TOPOLOGY.replace("simulated", '"${KAFKA_BROKERS}"'))
        topics.create(brokers, clicks=3)
        topics.produce(brokers, "clicks", [
            {"partition": i % 3, "timestamp": 1_767_225_600_000 + i, "headers": [("origin", b"x")],
             "value": json.dumps({"id": i % 20, "page": f"p{i % 20 % 4}", "at": "2026-01-01T00:00:00Z"}).encode()}
            for i in range(60)] + [{"partition": 1, "timestamp": 1_767_225_600_000, "value": b"no JSON"}])
        self.stack.tidemark("run", "--config", config, "--state_dir", folder / "state", "--until_end",
                            "--http_address", "127.0.0.1:0")
        recorded = folder / "recorded.yaml"
        said = self.stack.tidemark("test", "--record", "90", "--config", config, "--output", recorded)[1]
        self.assertIn("1 passed, 0 failed", said)
        text = recorded.read_text()
        self.assertEqual(text.count("__value"), 61)
        written = [json.loads(value) for value in topics.read(brokers, "pages")["value"].to_pylist()]
        stands = {row["page"]: row["n"] for row in written}
        for page, n in stands.items():
            self.assertIn(f"- {{ page: {page}, n: {n} }}", text)
        self.assertEqual(len(stands), 4)
        self.assertRegex(text, r"dead_letters:\n +- \{ step: clicks, reason: .*value: no JSON \}")
        # What is there is not written over, and a test names its topology itself.
        for wrong in [("--record", "9", "--config", config, "--output", recorded), (recorded, "--config", config)]:
            self.assertEqual(self.stack.tidemark("test", *wrong, check=False)[0], 2)

    def test_a_recorded_test_that_has_to_be_mended_is_kept_and_goes_on(self):
        config, kept = self.stack.folder / "told.yaml", self.stack.folder / "kept.yaml"
        config.write_text(TOPOLOGY.replace("simulated", '"${KAFKA_BROKERS}"').replace("topic: clicks", 'topic: "${CLICKS}"')
                          + '  told: { from: once, webhook: "http://simulated/told" }\n')
        topics.create(self.stack.brokers, few=1)
        topics.produce(self.stack.brokers, "few", [
            {"partition": 0, "timestamp": 1_767_225_600_000,
             "value": json.dumps({"id": id, "page": "a", "at": "2026-01-01T00:00:00Z"}).encode()} for id in [1, 2, 1]])
        code, out, err = self.stack.tidemark("test", "--record", "9", "--config", config, "--output", kept, check=False,
                                             env=self.stack.environment(CLICKS="few"))
        self.assertEqual(code, 2, out + err)
        self.assertIn(f"go on with `tidemark test --update {kept}`", out + err)
        kept.write_text(re.sub("CLICKS: .*", "CLICKS: few", kept.read_text()))
        self.assertIn("1 passed, 0 failed", self.stack.tidemark("test", "--update", kept)[1])
        self.assertRegex(kept.read_text(), r"told:\n +- \{ id: 1, .*\n +- \{ id: 2, .*\n +dead_letters")


if __name__ == "__main__":
    main()
