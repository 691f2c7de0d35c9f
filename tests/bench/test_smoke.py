#!/usr/bin/env python3
"""scripts/bench at a small size: that it measures, checks what it measured, and says so. Never how fast anything is."""

import json
import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent / "bench" / "lib"), str(TESTS / "e2e" / "lib")]

import topics
from case import SystemTest, main
from dataset import Dataset
from stack import ROOT

RECORDS = 60_000


class Smoke(SystemTest):
    @classmethod
    def prepare(cls):
        cls.dataset = Dataset("smoke", 2_000)
        cls.dataset.fill(cls.stack)
        cls.expectation = cls.dataset.expect(cls.stack.brokers)
        rows = cls.expectation.sql.execute("SELECT to_json(e), geographical_location_oid FROM expected_enriched e").fetchall()
        cls.right = [{"value": value, "key": str(key)} for value, key in rows]

    def verdict(self, prefix, records):
        topics.create(self.stack.brokers, **{f"{prefix}-enriched": 4})
        topics.produce(self.stack.brokers, f"{prefix}-enriched", records)
        return [str(d) for d in self.expectation.differences(f"{prefix}-", ["enriched"])]

    def test_each_measurement_prints_correct_results_as_json_lines(self):
        done = subprocess.run(
            [ROOT / "scripts" / "bench", "w1", "w2", "latency", "--records", str(RECORDS), "--runs", "1", "--warmup", "1",
             "--seconds", "2", "--rate", "2000", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        medians = {line["workload"]: line for line in lines if "runs" in line}
        self.assertEqual(list(medians), ["w1", "w2", "w1-latency"])
        for workload, line in medians.items():
            with self.subTest(workload):
                self.assertEqual(line["system"], "tidemark")
                self.assertIs(line["correct"], True)
                self.assertGreater(line["max_rss_mb"], 0)
        for workload in ("w1", "w2"):
            self.assertEqual(medians[workload]["records"], RECORDS)
            self.assertGreater(medians[workload]["records_per_s"], 0)
            self.assertGreater(medians[workload]["cpu_s_per_million"], 0)
        latency = medians["w1-latency"]
        self.assertGreater(latency["rows"], 0)
        self.assertLess(0, latency["p50_ms"])
        self.assertLessEqual(latency["p50_ms"], latency["p99_ms"])

    def test_what_the_oracle_expects_is_right(self):
        self.assertEqual(self.verdict("right", self.right), [])

    def test_a_record_that_is_written_twice_is_found(self):
        self.assertIn("1 rows too many", "".join(self.verdict("twice", self.right + self.right[:1])))

    def test_a_record_that_is_missing_is_found(self):
        self.assertIn("1 rows missing", "".join(self.verdict("missing", self.right[1:])))

    def test_a_location_of_another_name_is_found(self):
        first = dict(self.right[0], value=self.right[0]["value"].replace("Town-", "Tawn-"))
        self.assertIn("1 rows too many", "".join(self.verdict("renamed", [first, *self.right[1:]])))

    def test_a_record_under_another_key_is_found(self):
        first = dict(self.right[0], key="1" + self.right[0]["key"])
        self.assertIn("1 rows with a wrong key", "".join(self.verdict("rekeyed", [first, *self.right[1:]])))


if __name__ == "__main__":
    main()
