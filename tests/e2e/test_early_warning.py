#!/usr/bin/env python3
"""scripts/demo wfp at a small size: forty days of surveys as files of three kinds, one in four encrypted, with a kill -9 in
the middle. Every indicator in the topic, the table and the view, every crossing by webhook, every copy, against DuckDB."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

from case import SystemTest, main
from early_warning import EarlyWarning
from stack import wait_for

SURVEYS = 40


class EarlyWarningDemo(SystemTest):
    needs_postgres = True
    maxDiff = None

    def test_each_crossing_is_told_and_each_indicator_is_that_of_the_raw_files(self):
        warning = EarlyWarning(self.stack, SURVEYS)
        self.addCleanup(warning.close)
        worker = warning.run()
        half = len(warning.days) // 2
        warning.land(warning.days[:half])
        wait_for("the first webhooks", lambda: warning.receiver.posts, 120, worker.seen)
        worker.kill()
        worker = warning.run()
        warning.land(warning.days[half:])
        warning.wait_until_through(worker)
        self.assertEqual(warning.differences(worker), [])
        self.assertEqual(warning.encrypted, len(warning.files) // 4)
        self.assertEqual(worker.stop(), 0, worker.seen())
        print({rule: len(told) for rule, told in warning.told().items()}, "posts", len(warning.receiver.posts))


if __name__ == "__main__":
    main()
