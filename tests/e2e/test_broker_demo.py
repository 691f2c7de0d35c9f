#!/usr/bin/env python3
"""scripts/demo broker at a small size: fifteen services in four formats, and a sixteenth added while they run."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
from broker_services import SIXTEENTH, Broker
from case import SystemTest, main
from stack import wait_for

EVENTS = 100


class BrokerDemo(SystemTest):
    def test_a_sixteenth_service_is_one_file_added_while_fifteen_run(self):
        broker = Broker(self.stack, self.stack.folder / "broker")
        self.assertEqual(len(broker.services), 15)
        broker.send(EVENTS)
        worker = broker.run("--leave_on_stop", name="one")
        wait_for("results", lambda: topics.partitions(self.stack.brokers, "orders-curated") and
                 sum(topics.ends(self.stack.brokers, "orders-curated").values()) > 0, 180, worker.seen)
        broker.add_the_sixteenth()
        code, plan = broker.plan()
        self.assertEqual(code, 0, plan)
        added = [line.split()[1] for line in plan.splitlines() if line.lstrip().startswith("+ ")]
        self.assertIn(SIXTEENTH, added)
        self.assertEqual([name for name in added if SIXTEENTH not in name], [], plan)
        self.assertNotIn("refused", plan)
        broker.send(EVENTS)
        self.assertEqual(worker.stop(), 0, worker.seen())
        output = broker.run("--until_end", name="one").finish(300)
        self.assertIn(f"sink {SIXTEENTH}_lake", output)
        self.assertEqual(broker.differences(), [])


if __name__ == "__main__":
    main()
