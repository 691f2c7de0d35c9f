#!/usr/bin/env python3
"""The scripts of tests/sim/conformance*.cc against a real broker: what the simulator claims about Kafka holds."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

from case import SystemTest, main


class Conformance(SystemTest):
    # By default a broker looks for transactions that take too long only every ten seconds.
    kafka_settings = ("--set", "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000",)

    def test_a_real_broker_leaves_the_traces_of_the_simulator(self):
        binary = pathlib.Path(os.environ["TIDEMARK_BIN"]).with_name("conformance_kafka")
        if not binary.exists():  # built where the unit tests are
            binary = pathlib.Path(os.environ["TIDEMARK_ROOT"]) / "build-test" / "conformance_kafka"
        run = subprocess.run([binary], env={**os.environ, "KAFKA_BROKERS": self.stack.brokers}, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800)
        self.assertEqual(run.returncode, 0, f"\n{run.stdout}")
        self.assertGreater(run.stdout.count("ok  "), 20, "it ran next to nothing")


if __name__ == "__main__":
    main()
