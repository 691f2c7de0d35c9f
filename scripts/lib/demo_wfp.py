"""What `scripts/demo wfp` does once everything is built: examples/surveys/early_warning.yaml, with the harness and the oracle
of tests/e2e/lib."""

import argparse
import sys

from demo_run import run
from early_warning import CONFIG, EarlyWarning
from stack import ROOT, wait_for


def show(warning, worker):
    """The answer that an analyst has by a token: two regions, some days."""
    question = {"country": "SYR", "region": ["Al-Hasakeh", "Aleppo"], "day": {"from": "2025-02-11", "to": "2025-02-14"},
                "columns": ["region", "day", "surveys", "fcs", "rcsi", "cfii"]}
    print(f"\n  POST /v1/views/situation/query {question}")
    for row in warning.ask(worker, question)[1]["rows"]:
        mark = "  <- alert" if row["cfii"] > 1 else ""
        print(f"  {row['day']}  {row['region']:<12}{row['surveys']:5}  fcs {row['fcs']:.5f}  rcsi {row['rcsi']:.5f}  cfii {row['cfii']:.3f}{mark}")
    print()


def demo(stack, surveys, steps):
    steps.say(f"scratch folder {stack.folder}")
    steps.say(f"Kafka broker at {stack.start_kafka()}")
    stack.start_postgres()
    warning = EarlyWarning(stack, surveys)
    try:
        worker = warning.run()
        steps.say(f"running {CONFIG.relative_to(ROOT)} as process {worker.pid}")
        half = len(warning.days) // 2
        warning.land(warning.days[:half])
        wait_for("the first webhooks", lambda: warning.receiver.posts, 120, worker.seen)
        worker.kill()
        steps.say(f"kill -9 after {len(warning.receiver.posts)} webhooks; another worker goes on")
        worker = warning.run()
        warning.land(warning.days[half:])
        steps.say(f"landed {len(warning.files)} files, {warning.encrypted} of them encrypted, with {warning.number:,} surveys")
        warning.wait_until_through(worker)
        show(warning, worker)
        crossings = {rule: len(told) for rule, told in warning.told().items()}
        steps.say(f"webhooks: {crossings['warnings']} crossings of 1, {crossings['rises']} of five points, in {len(warning.receiver.posts)} posts")
        steps.say("comparing topics, table, view, webhooks and copies with what DuckDB makes of the raw copies")
        differences = warning.differences(worker)
        for difference in differences:
            print(difference, file=sys.stderr)
        print(f"oracle: {len(differences)} differences")
        return not differences and worker.stop() == 0
    finally:
        warning.close()


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo wfp")
    parser.add_argument("--surveys", type=int, default=400, help="of a region and day (default 400)")
    options = parser.parse_args()
    run(lambda stack, steps: demo(stack, options.surveys, steps))


if __name__ == "__main__":
    main()
