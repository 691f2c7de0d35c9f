"""What `scripts/demo broker` does once everything is built: examples/broker, with the harness and the oracle of tests/e2e/lib."""

import argparse
import sys

import topics
from broker_services import SIXTEENTH, Broker
from demo_run import run
from stack import wait_for


def added(plan):
    return "\n".join(line for line in plan.splitlines() if line.lstrip().startswith("+ ") or line.endswith(":") or not line[:1].isspace())


def demo(stack, records, steps):
    steps.say(f"scratch folder {stack.folder}")
    steps.say(f"Kafka broker at {stack.start_kafka()}")
    broker = Broker(stack, stack.folder / "broker")
    each = max(records // len(broker.services) // 2, 1)
    broker.send(each)
    steps.say(f"sent {broker.summary()}")
    worker = broker.run("--leave_on_stop", name="demo")
    steps.say(f"running {broker.config} as process {worker.pid}")
    wait_for("results", lambda: topics.partitions(stack.brokers, "orders-curated") and
             sum(topics.ends(stack.brokers, "orders-curated").values()) > 0, 600, worker.seen)
    broker.add_the_sixteenth()
    steps.say(f"a sixteenth service, services/{SIXTEENTH}.yaml, while the others run; what it adds, by tidemark plan:")
    code, plan = broker.plan()
    print("\n".join("    " + line for line in added(plan).splitlines()))
    broker.send(each)
    steps.say(f"more was sent meanwhile: {broker.summary()}; the worker takes the new file up")
    stopped = worker.stop()
    output = broker.run("--until_end", name="demo").finish(1800)
    steps.say("done; comparing both lakes, topics and dead letters with what DuckDB makes of what was sent")
    print("\n".join(line for line in output.splitlines() if line.startswith("ledger ") and "_checked" in line))
    differences = broker.differences()
    for difference in differences:
        print(difference, file=sys.stderr)
    print(f"oracle: {len(differences)} differences")
    return not differences and code == 0 and stopped == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=60_000)
    options = parser.parse_args()
    run(lambda stack, steps: demo(stack, options.records, steps))


if __name__ == "__main__":
    main()
