"""The base of the tests: one Stack for all tests of a file, and the workers' logs where a test fails."""

import os
import sys
import unittest

import results
import stack
import topics
from oracle import Oracle, Semantics

LONG = bool(os.environ.get("TIDEMARK_LONG"))


class SystemTest(unittest.TestCase):
    """Subclasses say what they need; `self.stack` is running when their tests do."""

    kafka_settings = ()
    needs_postgres = False
    stack = None
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.stack = stack.Stack()
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start_kafka(*cls.kafka_settings)
        if cls.needs_postgres:
            cls.stack.start_postgres()
        cls.prepare()

    @classmethod
    def prepare(cls):
        """Input that the tests of a class share."""

    def run(self, result=None):
        self.stack.workers.clear()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            print(f"\n=== {self.id()} failed; the ends of its logs:\n{self.stack.logs()}\n===", file=sys.stderr)
        for worker in self.stack.workers:
            if worker.running():
                worker.kill()

    @classmethod
    def oracle(cls, source="detections", table="locations", **semantics):
        return Oracle(topics.read(cls.stack.brokers, source), topics.read(cls.stack.brokers, table),
                      topics.partitions(cls.stack.brokers, source), Semantics(**semantics))

    def check(self, oracle, name, *outputs):
        """All sinks of the HTX variant `name` against the oracle; the ledger too where there is the output of a run (or
        of several workers that ran at once)."""
        found = results.Results(oracle, self.stack.brokers, f"{name}-")
        differences = found.kafka()
        differences += found.postgres(self.stack.database_url, f"{name}_top_items".replace("-", "_"))
        differences += found.lake(self.stack.folder / "lake" / name)
        if outputs:
            differences += found.ledger(*outputs)
        results.report(differences)


def main():
    unittest.main(verbosity=2)
