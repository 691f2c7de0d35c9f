"""What `scripts/demo replay` does once everything is built: HTX runs live, the rule of its top list is changed for all of the
past hour, and a second generation that has computed it anew is switched in while a reader looks. Uses the harness and the
oracle of tests/e2e/lib."""

import argparse
import sys
import threading

import psycopg

import topics
from demo_run import run
from oracle import Oracle
from results import ENRICHED, ITEM_COUNTS, TOP_ITEMS, Results, compare, load_topic
from stack import BINARY, ROOT, Worker, wait_for

OLD = ROOT / "examples" / "htx" / "topology.yaml"
RULE, NEW_RULE = '"detections desc"', '"detections asc"'  # the rarest items instead of the most frequent ones
HISTORY_SECONDS = 3600  # the data's own time
LIVE_RATE = 1_000       # records a second of the clock

# The lists by the new rule: but for the order the oracle's own.
NEW_LISTS = """
CREATE TABLE new_top_items AS
SELECT geographical_location_oid, geographical_location, item_name, window_start, window_end, detections, item_rank
FROM (SELECT *, row_number() OVER (PARTITION BY geographical_location, window_start, window_end
                                   ORDER BY detections ASC, item_name ASC, geographical_location_oid ASC) AS item_rank
      FROM expected_item_counts)
WHERE item_rank <= 10
"""
# The topic appends: each list stands there once, as the old rule or the new one makes it, and none beside it.
APPENDED = """
CREATE TABLE expected_appended AS
SELECT o.* FROM expected_top_items o WHERE (geographical_location, window_start) IN (FROM old_lists)
UNION ALL
SELECT n.* FROM new_top_items n WHERE (geographical_location, window_start) NOT IN (FROM old_lists)
"""
OLD_LISTS = """
CREATE TABLE old_lists AS SELECT DISTINCT geographical_location, window_start FROM (
  SELECT {columns} FROM expected_top_items EXCEPT SELECT {columns} FROM new_top_items) o
WHERE EXISTS (SELECT 1 FROM actual_top_items a WHERE a.geographical_location = o.geographical_location
              AND a.window_start = o.window_start AND a.item_rank = o.item_rank AND a.item_name = o.item_name
              AND a.detections = o.detections)
"""


class Reader(threading.Thread):
    """Asks the table for one list all the time, and says when it is another one. None or half of one is a fault."""

    def __init__(self, url, say):
        super().__init__(daemon=True)
        self.url, self.say, self.seen, self.looks, self.stopped = url, say, [], 0, threading.Event()

    def run(self):
        with psycopg.connect(self.url, autocommit=True) as database:
            found = None
            while found is None and not self.stopped.wait(0.01):
                found = database.execute("""SELECT window_start, geographical_location FROM top_items
                    GROUP BY 1, 2 HAVING count(*) = 10 ORDER BY 1, 2 LIMIT 1""").fetchone()
            first, place = found or (None, None)
            while not self.stopped.wait(0.01):
                items = [f"{item} {n}" for item, n in database.execute("""SELECT item_name, detections FROM top_items
                    WHERE window_start = %s AND geographical_location = %s ORDER BY item_rank""", (first, place))]
                self.looks += 1
                if not self.seen or self.seen[-1] != items:
                    self.seen.append(items)
                    self.say(f"reader: {place}, the minute from {first:%H:%M}: {', '.join(items[:4])}, ...")

    def end(self):
        self.stopped.set()
        self.join()
        return self.seen


def replay(stack, config):
    command = [BINARY, "replay", "--config", str(config), "--active", str(OLD), "--from", "earliest", "--state_dir",
               str(stack.folder / "state" / "new"), "--instance_id", "new", "--http_address", "127.0.0.1:0"]
    return stack.add(Worker("new", command, stack.environment(), stack.folder / "new.log", stack.folder / "state" / "new"))


def check(stack):
    """The table by the new rule, all of it; topics and the lake as if nothing had happened."""
    oracle = Oracle(topics.read(stack.brokers, "detections"), topics.read(stack.brokers, "locations"),
                    topics.partitions(stack.brokers, "detections"))
    found, sql = Results(oracle, stack.brokers), oracle.sql
    sql.execute(NEW_LISTS)
    load_topic(sql, "actual_top_items", topics.read(stack.brokers, "top_items"), TOP_ITEMS)
    sql.execute(OLD_LISTS.format(columns=", ".join(TOP_ITEMS)))
    sql.execute(APPENDED)
    differences = compare(sql, "topic top_items", "expected_appended", "actual_top_items", TOP_ITEMS)
    old, new = oracle.count("old_lists"), oracle.count("(SELECT DISTINCT geographical_location, window_start FROM new_top_items)")
    sql.execute("DROP TABLE expected_top_items; ALTER TABLE new_top_items RENAME TO expected_top_items")
    differences += found.postgres(stack.database_url) + found.lake(stack.folder / "lake" / "enriched")
    for name, columns in (("enriched", ENRICHED), ("item_counts", ITEM_COUNTS)):
        differences += found.topic(name, columns, "geographical_location_oid")
    return differences, old, new


def demo(stack, records, steps):
    steps.say(f"scratch folder {stack.folder}")
    steps.say(f"Kafka broker at {stack.start_kafka()}")
    stack.start_postgres()
    data = {"events_per_second": max(records / HISTORY_SECONDS, 1), "locations": 100, "items": 100}
    stack.generate(records, **data)
    steps.say(f"{records:,} detections of the past hour are in; {LIVE_RATE:,} a second come from now on")
    live = stack.start_generate(records + LIVE_RATE * 3600, skip=records, rate=LIVE_RATE, **data)
    old = stack.run(OLD, name="old")
    wait_for("the past hour to be read", lambda: sum(topics.committed(stack.brokers, "htx", "detections").values()) >= records,
             600, old.seen)
    steps.say(f"running {OLD.relative_to(ROOT)} as process {old.pid}")
    config = stack.folder / "new_rule.yaml"
    config.write_text(OLD.read_text().replace(RULE, NEW_RULE))
    steps.say(f"the new rule of the top list: {RULE} becomes {NEW_RULE}")
    reader = Reader(stack.database_url, steps.say)
    reader.start()
    new = replay(stack, config)
    steps.say("tidemark replay --config new_rule.yaml --active topology.yaml --from earliest")
    wait_for("the new generation to begin",
             lambda: topics.committed(stack.brokers, "htx.__2", "detections"), 120, new.seen)
    steps.say("tidemark switch --config new_rule.yaml --when 'lag < 2s' --within 5m")
    said = stack.tidemark("switch", "--config", config, "--when", "lag < 2s", "--within", "5m", seconds=600)[1]
    print("".join(f"    {line}\n" for line in said.strip().splitlines()), end="")
    wait_for("the old generation's worker to end", lambda: not old.running(), 120, old.seen)
    steps.say(f"the old generation's worker has ended with {old.wait(1)}")
    live.stop()
    lists = reader.end()
    new.stop()
    stack.run(config, "--until_end", "--close_windows", name="rest").finish(600)
    steps.say(f"the reader looked {reader.looks:,} times, and saw {len(lists)} lists")
    differences, by_old, all_lists = check(stack)
    steps.say(f"of {all_lists:,} lists the topic, which appends, has {by_old:,} by the old rule, and the table none")
    for difference in differences:
        print(difference, file=sys.stderr)
    print(f"oracle: {len(differences)} differences")
    return not differences and len(lists) == 2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=200_000)
    options = parser.parse_args()
    run(lambda stack, steps: demo(stack, options.records, steps))


if __name__ == "__main__":
    main()
