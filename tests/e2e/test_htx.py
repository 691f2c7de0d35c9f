#!/usr/bin/env python3
"""The HTX example end to end: Kafka in, Kafka, PostgreSQL and Parquet out, compared with DuckDB's own figures."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
import topology
from case import LONG, SystemTest, main
from results import Results, report
from stack import wait_for

RECORDS = 2_000_000 if LONG else 300_000


class Htx(SystemTest):
    needs_postgres = True

    @classmethod
    def prepare(cls):
        # Ten minutes of event time: windows close while data still comes. Partition 2 falls silent half way.
        cls.stack.generate(RECORDS, duplicates=0.05, late=0.02, events_per_second=RECORDS / 600, idle_partition=2,
                           idle_from=0.5)

    def test_every_sink_and_the_ledger_equal_the_oracle(self):
        oracle = self.oracle()
        # The data holds what it is meant to hold.
        for what, verdict in (("duplicates", "duplicate"), ("late rows", "late")):
            self.assertGreater(oracle.count("judged", f"verdict = '{verdict}'"), 0, what)
        self.assertGreater(oracle.count("joined", "geographical_location IS NULL"), 0, "unmatched locations")
        self.assertGreater(oracle.count("windowed", "late"), 0, "rows late for their window")
        # The shipped file itself, under its own names.
        output = self.stack.run(topology.EXAMPLE, "--until_end", "--close_windows", name="all").finish(600)
        found = Results(oracle, self.stack.brokers)
        report(found.kafka() + found.postgres(self.stack.database_url) +
               found.lake(self.stack.folder / "lake" / "enriched") + found.ledger(output))

    def test_two_workers_and_a_restart_in_between_change_nothing(self):
        name = "pair"
        self.watch(name)
        oracle = self.oracle()
        config = topology.write(self.stack.folder / f"{name}.yaml", topology.variant(name))
        first = self.stack.run(config, name="pair-a")
        second = self.stack.run(config, name="pair-b")
        wait_for("some output", lambda: sum(topics.ends(self.stack.brokers, f"{name}-enriched").values()) > 0, 180,
                 self.stack.logs)
        self.assertEqual(first.stop(), 0)
        self.assertEqual(second.stop(), 0)
        first = self.stack.run(config, "--until_end", "--close_windows", name="pair-a")
        second = self.stack.run(config, "--until_end", "--close_windows", name="pair-b")
        self.check(oracle, name, first.finish(600), second.finish(600))

    def test_windows_left_open_go_on_in_a_later_run(self):
        name, source = "later", "detections-later"
        self.watch(name)
        half = RECORDS // 4
        shape = {"topic": source, "late": 0.02, "events_per_second": RECORDS / 600, "seed": 7}
        config = topology.write(self.stack.folder / f"{name}.yaml", topology.variant(name, source=source))
        self.stack.generate(half, **shape)
        output = self.stack.run(config, "--until_end", name=name).finish(600)
        open_oracle = self.oracle(source, close_windows=False)
        self.assertGreater(open_oracle.ledger()["items_per_minute"]["open"], 0)
        self.check(open_oracle, name, output)
        self.stack.generate(half, skip=half, **shape)
        output = self.stack.run(config, "--until_end", "--close_windows", name=name).finish(600)
        self.check(self.oracle(source), name, output)


if __name__ == "__main__":
    main()
