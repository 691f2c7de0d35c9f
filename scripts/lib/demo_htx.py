"""What scripts/demo does once everything is built. Uses the harness and the oracle of tests/e2e/lib."""

import argparse
import pathlib
import shlex
import signal
import sys
import time
import webbrowser

import psycopg

import browser
import topics
from demo_run import Steps
from oracle import Oracle
from results import Results
from stack import BINARY, ROOT, Failure, Stack, wait_for

EVENT_MINUTES = 10  # the data's own time, however many records it is
SHOWN_LOCATIONS = 3
DEADLINE_SECONDS = 1800
KEPT = ROOT / ".deps" / "demo"  # leads to the folder of a demo that was kept
PICTURE = ROOT / ".deps" / "demo.png"
CONFIG = ROOT / "examples" / "htx" / "page.yaml"


class Progress:
    """A bar on a terminal, a line every few seconds elsewhere."""

    LINE_SECONDS, WIDTH = 2, 32

    def __init__(self, total, steps):
        self.total, self.steps, self.bar = max(total, 1), steps, sys.stdout.isatty()
        self.began = self.shown = time.monotonic()

    def show(self, done):
        now = time.monotonic()
        if not self.bar and now - self.shown < self.LINE_SECONDS:
            return
        self.shown = now
        rate = done / max(now - self.began, 1e-3)
        eta = f"{(self.total - done) / rate:.0f} s" if rate > 0 else "?"
        numbers = f"{100 * done // self.total:3d} %  {rate:,.0f} rows/s  lag {self.total - done:,}  ETA {eta}"
        if self.bar:
            filled = self.WIDTH * done // self.total
            print(f"\r[{'#' * filled}{'.' * (self.WIDTH - filled)}] {numbers}\033[K", end="", flush=True)
        else:
            self.steps.say(numbers)

    def end(self):
        if self.bar:
            print("\r\033[K", end="", flush=True)


def follow(stack, worker, total, steps):
    """Shows the group's committed offsets until the worker ends by itself."""
    progress, deadline = Progress(total, steps), time.monotonic() + DEADLINE_SECONDS
    try:
        while worker.running():
            if time.monotonic() > deadline:
                raise Failure(f"the worker has not ended after {DEADLINE_SECONDS} s\n{worker.seen()}")
            progress.show(sum(topics.committed(stack.brokers, "htx", "detections").values()))
            time.sleep(0.3)
    finally:
        progress.end()
    return worker.finish(1)


def show_top_lists(url):
    with psycopg.connect(url) as connection:
        rows = connection.execute("""
            SELECT geographical_location, window_start, item_rank, item_name, detections FROM top_items
            WHERE window_start = (SELECT max(window_start) FROM top_items)
              AND geographical_location IN (
                SELECT geographical_location FROM top_items WHERE window_start = (SELECT max(window_start) FROM top_items)
                GROUP BY 1 ORDER BY sum(detections) DESC, 1 LIMIT %s)
            ORDER BY geographical_location, item_rank""", (SHOWN_LOCATIONS,)).fetchall()
    heading = None
    for location, window_start, rank, item, detections in rows:
        if location != heading:
            heading = location
            print(f"\n  {location}, the minute from {window_start:%H:%M}")
        print(f"  {rank:4d}  {item:<16}{detections:8,d}")
    print()


def check(stack, oracle, output):
    found = Results(oracle, stack.brokers)
    places = [("topics", found.kafka), ("PostgreSQL", lambda: found.postgres(stack.database_url)),
              ("Parquet", lambda: found.lake(stack.folder / "lake" / "enriched")),
              ("ledger", lambda: found.ledger(output))]
    return [difference for _, place in places for difference in place()]


def write_environment(stack):
    path = stack.folder / "env"
    names = ("KAFKA_BROKERS", "DATABASE_URL", "LAKE", "STATE_DIR")
    environment = stack.environment(STATE_DIR=stack.folder / "state" / "demo")
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(environment[name])}\n" for name in names))
    KEPT.unlink(missing_ok=True)
    KEPT.symlink_to(stack.folder)


def start_the_page(stack):
    """A worker for its page, with a state of its own: one that is started by hand is another member. (worker, address)"""
    worker = stack.run(CONFIG, name="page", threads=1)
    wait_for("the page's worker to be ready", worker.ready, 120, worker.seen)
    return worker, f"http://{(worker.state_dir / 'http_address').read_text().strip()}/#dashboard=locations"


def take_a_picture(url):
    with browser.Browser((1300, 1000)) as page:
        page.go(url)
        page.wait("document.querySelector('#board .bar') && document.querySelector('#board svg.line')", 60)
        page.picture(PICTURE)


def show_the_page(stack, keep, look, steps):
    """What people see of it: a picture, and with --keep the page itself."""
    worker, url = start_the_page(stack)
    if browser.installed():
        take_a_picture(url)
        steps.say(f"a picture of its page is in {PICTURE.relative_to(ROOT)}")
    else:
        steps.say("no picture of its page: there is no chromium here")
    if not keep:
        worker.stop()
        return steps.say("its page was at " + url + "; scripts/demo --keep leaves it running")
    (stack.folder / "page.pid").write_text(f"{worker.pid}\n")
    stack.leave_running(worker)
    steps.say(f"its page is at {url}")
    if look and not webbrowser.open(url):
        steps.say("--open: no browser could be started")


def closing_lines(keep):
    """How to change the YAML, how to watch the output, how to kill a worker: lines for a shell in the checkout."""
    binary, config = pathlib.Path(BINARY), CONFIG.relative_to(ROOT)
    binary = binary.relative_to(ROOT) if binary.is_relative_to(ROOT) else binary
    env = KEPT.relative_to(ROOT) / "env"
    return [
        f"Change it:  edit {config.parent}/topology.yaml, then {binary} validate --config {config} && scripts/demo",
        *([] if keep else ["Look at it: scripts/demo --open"]),
        f"Watch it:   . {env}; kcat -C -e -b $KAFKA_BROKERS -X isolation.level=read_committed -t top_items",
        f"Kill it:    . {env}; {binary} run --config {config} --state_dir $STATE_DIR & sleep 5; kill -9 $!",
        "No number moves, however often it is killed:",
        f"            . {env}; psql $DATABASE_URL -c 'SELECT count(*), sum(detections) FROM top_items'",
        *(["Stop it:    scripts/demo --stop"] if keep else []),
    ]


def demo(stack, records, keep, look, steps):
    steps.say(f"scratch folder {stack.folder}")
    steps.say(f"Kafka broker at {stack.start_kafka()}")
    stack.start_postgres()
    steps.say(f"PostgreSQL at {stack.database_url.rpartition('@')[2]}")
    generated = stack.generate(records, events_per_second=max(records / (EVENT_MINUTES * 60), 1), late=0.01)
    steps.say("generated " + "; ".join(generated.strip().splitlines()))
    worker = stack.run(CONFIG, "--until_end", "--close_windows", name="demo", threads=2)
    steps.say(f"running {CONFIG.relative_to(ROOT)} as process {worker.pid}")
    output = follow(stack, worker, records, steps)
    steps.say("done; the ten most detected items, from PostgreSQL:")
    show_top_lists(stack.database_url)
    steps.say("computing the same from the raw topic with DuckDB, and comparing every row")
    oracle = Oracle(topics.read(stack.brokers, "detections"), topics.read(stack.brokers, "locations"),
                    topics.partitions(stack.brokers, "detections"))
    differences = check(stack, oracle, output)
    print("\n".join(line for line in output.splitlines() if line.startswith("ledger ")))
    for difference in differences:
        print(difference, file=sys.stderr)
    print(f"oracle: {len(differences)} differences")
    if not differences:
        if keep:
            write_environment(stack)
        show_the_page(stack, keep, look, steps)
    return not differences


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--open", action="store_true")
    options = parser.parse_args()
    options.keep = options.keep or options.open
    # Ended from outside, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    steps, stack = Steps(), Stack(keep=options.keep)
    held = False
    try:
        held = demo(stack, options.records, options.keep, options.open, steps)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
    except Exception as error:  # whatever it is: say it, with the logs, and stop what was started
        print(f"\n{error}\n{stack.logs()}", file=sys.stderr)
    finally:
        if options.keep and held:
            stack.stop_workers()
        else:
            stack.close()
    if not held:
        sys.exit(1)
    steps.say(f"kept running in {stack.folder} until scripts/demo --stop" if options.keep else "all stopped and removed")
    print("\n".join(closing_lines(options.keep)))


if __name__ == "__main__":
    main()
