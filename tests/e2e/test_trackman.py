#!/usr/bin/env python3
"""scripts/demo trackman at a small size: what it says is equal, is; with a worker killed and a table added on the way."""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

from case import LONG, main
from stack import ROOT

TABLES, SINKS = 7, 2


class Trackman(unittest.TestCase):

    def run_demo(self, *args):
        done = subprocess.run([sys.executable, ROOT / "scripts" / "lib" / "demo_trackman.py", *args], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=800,
                              env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "e2e" / "lib")})
        print(done.stdout, flush=True)
        self.assertEqual(done.returncode, 0)
        return done.stdout

    def test_all_tables_are_equal_in_both_sinks(self):
        rows, rate, seconds = ("20000", "2000", "20") if LONG else ("500", "200", "4")
        output = self.run_demo("--rows", rows, "--rate", rate, "--seconds", seconds)
        self.assertIn(f"{TABLES * SINKS} comparisons, 0 differences", output)

    @unittest.skipUnless(LONG, "TIDEMARK_LONG: Kafka Connect takes its time")
    def test_debezium_beside_it_is_equal_too(self):
        output = self.run_demo("--rows", "2000", "--rate", "500", "--seconds", "10", "--debezium")
        self.assertIn(f"{TABLES * SINKS + TABLES - 1} comparisons, 0 differences", output)


if __name__ == "__main__":
    main()
