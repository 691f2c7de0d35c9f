#!/usr/bin/env python3
"""The example of an operator of one's own, on a real broker: validated by name, killed and started again, and equal to what
Python makes of the same records."""

import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import stack
import topics
import topology
from case import SystemTest, main
from stack import wait_for

EXAMPLE = stack.ROOT / "examples" / "custom_operator"
BINARY = pathlib.Path(stack.BINARY).parent / "examples" / "custom_operator" / "tidemark-sessions"
START_MS, GAP_MS, OUT_OF_ORDER_MS = 1_767_225_600_000, 1_800_000, 5_000
PARTITIONS = 4


def clicks(records, seed):
    """By partition: (visitor, time), out of order by less than the bound."""
    random_ = random.Random(seed)
    found = {partition: [] for partition in range(PARTITIONS)}
    for number in range(records):
        time = START_MS + number * 2_000 - random_.randrange(OUT_OF_ORDER_MS)
        # A visitor's clicks lie in any partition: the operator needs a shuffle.
        found[random_.randrange(PARTITIONS)].append((random_.randrange(200) if number % 3 else number // 900, time))
    return found


def sessions(records):
    """What they should be, from all clicks sorted by time."""
    expected, open_ = [], {}
    for visitor, time in sorted((click for part in records.values() for click in part), key=lambda click: click[1]):
        if visitor in open_ and time - open_[visitor][1] <= GAP_MS:
            open_[visitor][1:] = [time, open_[visitor][2] + 1]
            continue
        if visitor in open_:
            expected.append((visitor, *open_[visitor]))
        open_[visitor] = [time, time, 1]
    return sorted(expected + [(visitor, *session) for visitor, session in open_.items()])


class CustomOperator(SystemTest):
    def run_example(self, config, *args, name="visits", failpoints=None):
        self.assertTrue(BINARY.exists(), f"{BINARY} is missing: build the target tidemark-sessions")
        state_dir = self.stack.folder / "state" / name
        environment = self.stack.environment(**({"TIDEMARK_FAILPOINTS": failpoints} if failpoints else {}))
        worker = stack.Worker(name, [str(BINARY), "run", "--config", str(config), "--state_dir", str(state_dir),
                                     "--instance_id", name, "--http_address", "127.0.0.1:0", *args],
                              environment, self.stack.folder / f"{name}.log", state_dir)
        self.stack.workers.append(worker)
        return worker

    def write(self, records):
        topics.produce(self.stack.brokers, "clicks",
                       [{"value": json.dumps({"visitor": visitor, "at": time}).encode(), "partition": partition,
                         "timestamp": time} for partition, part in records.items() for visitor, time in part])

    def test_sessions_are_exact_across_a_kill(self):
        topics.create(self.stack.brokers, clicks=PARTITIONS)
        first, second = clicks(20_000, 1), clicks(20_000, 2)
        shift = 20_000 * 2_000
        second = {partition: [(visitor, time + shift) for visitor, time in part] for partition, part in second.items()}
        self.write(first)
        config = EXAMPLE / "topology.yaml"
        worker = self.run_example(config)
        wait_for("results", lambda: topics.partitions(self.stack.brokers, "visits") and
                 sum(topics.ends(self.stack.brokers, "visits").values()) > 50, 180, worker.seen)
        worker.kill()
        self.write(second)
        output = self.run_example(config, "--until_end", "--close_windows").finish(300)
        both = {partition: first[partition] + second[partition] for partition in first}
        expected = sessions(both)
        rows = [json.loads(value) for value in topics.read(self.stack.brokers, "visits")["value"].to_pylist()]
        self.assertEqual(sorted((row["visitor"], row["session_start"], row["session_end"], row["rows"]) for row in rows),
                         expected)
        self.assertGreater(len(expected), 300)
        self.assertIn(f"ledger visits in=40000 absorbed=40000 out={len(expected)}", output)

    def test_a_name_that_is_not_registered_is_refused_with_the_nearest(self):
        document = topology.yaml.load((EXAMPLE / "topology.yaml").read_text(), Loader=topology.yaml.BaseLoader)
        document["steps"]["visits"]["custom"]["operator"] = "session"
        config = topology.write(self.stack.folder / "typo.yaml", document)
        worker = self.run_example(config, name="typo")
        self.assertEqual(worker.wait(300), 2)
        self.assertIn("no custom operator 'session' is registered (did you mean 'sessions'?)", worker.output())
        # The shipped binary has none.
        code, _, err = self.stack.tidemark("validate", "--config", EXAMPLE / "topology.yaml", check=False)
        self.assertEqual(code, 2)
        self.assertIn("docs/operators.md", err)


if __name__ == "__main__":
    main()
