#!/usr/bin/env python3
"""scripts/demo replay at a small size: a reader sees the list by the old rule, then by the new one, and every row counts once."""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

from case import LONG, main
from stack import ROOT


class ReplayDemo(unittest.TestCase):

    def test_a_rule_is_changed_for_all_of_the_past_hour(self):
        done = subprocess.run([sys.executable, ROOT / "scripts" / "lib" / "demo_replay.py", "--records", "200000" if LONG else "20000"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=800,
                              env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "e2e" / "lib")})
        print(done.stdout, flush=True)
        self.assertEqual(done.returncode, 0)
        self.assertIn("oracle: 0 differences", done.stdout)
        self.assertIn("and saw 2 lists", done.stdout)


if __name__ == "__main__":
    main()
