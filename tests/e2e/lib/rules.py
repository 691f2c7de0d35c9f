"""Generations of the HTX example that show by their rule: the example with a column `rule` more in each row, and with the top
list's order by that rule. What stands in its sinks once they have taken turns."""

import json

import results
import topics
import topology
from results import ENRICHED, ITEM_COUNTS, TOP_ITEMS, compare

LATEST_KEY = ["geographical_location_oid", "item_rank"]
# The list's order by an even rule, and by an odd one.
ORDERS = ("detections ASC", "detections DESC")


def application(name, rule):
    """Every sink of the example, a compacted topic and a view of the newest lists."""
    variant = topology.variant(name, commit_interval="50ms")
    steps, sinks = variant["steps"], variant["sinks"]
    steps["ruled"] = {"from": "located_detections", "project": {"*": True, "rule": str(rule)}}
    steps["items_per_minute"]["from"] = sinks["enriched"]["from"] = sinks["lake"]["from"] = "ruled"
    steps["items_per_minute"]["group_by"].append("rule")
    steps["ranked_items"]["top"]["order"] = [ORDERS[rule % 2].lower(), "item_name asc"]
    sinks["latest"] = {"from": "ranked_items", "topic": f"{name}-latest", "mode": "upsert", "key": LATEST_KEY, "key_format": "json",
                       "create": {"config": {"cleanup.policy": "compact"}}}
    sinks["lake"]["parquet"]["max_age"] = "1s"
    variant["views"] = {"current": {"from": "ranked_items", "key": LATEST_KEY}}
    return variant


def table_of(name):
    return f"{name}_top_items".replace("-", "_")


# ---- The end --------------------------------------------------------------------------------------------------------

TOP = """
CREATE OR REPLACE TABLE top_{rule} AS
SELECT geographical_location_oid, geographical_location, item_name, window_start, window_end, detections, {rule}::BIGINT AS rule, item_rank
FROM (SELECT *, row_number() OVER (PARTITION BY geographical_location, window_start, window_end
                                   ORDER BY {order}, item_name ASC, geographical_location_oid ASC) AS item_rank
      FROM expected_item_counts)
WHERE item_rank <= 10
"""
# By whichever rule a list stands in the topic, all of it does.
APPENDED_TOP = """
CREATE OR REPLACE TABLE appended_top AS
SELECT e.* FROM ({lists}) e JOIN (SELECT DISTINCT geographical_location, window_start, rule FROM actual_top_items) a
USING (geographical_location, window_start, rule)
"""
LATEST = """
CREATE OR REPLACE TABLE expected_latest AS
SELECT * FROM top_{rule} QUALIFY row_number() OVER (PARTITION BY geographical_location_oid, item_rank ORDER BY window_start DESC) = 1
"""
# How often another rule follows, within what is partitioned, in its order.
TURNS = """
SELECT {by}, list(rule ORDER BY place) FROM (
  SELECT {by}, rule, {order} AS place, lag(rule) OVER (PARTITION BY {by} ORDER BY {order}) AS before FROM {rows})
WHERE before IS DISTINCT FROM rule GROUP BY {by}
"""


class End:
    """Compares all sinks with the oracle, where `rules` had their turns and the last one is active."""

    def __init__(self, oracle, stack, name, rules):
        self.sql, self.stack, self.name, self.rules = oracle.sql, stack, name, rules
        self.results = results.Results(oracle, stack.brokers, f"{name}-")

    def differences(self):
        for rule in set(self.rules):
            self.sql.execute(TOP.format(rule=rule, order=ORDERS[rule % 2]))
        self.sql.execute(LATEST.format(rule=self.rules[-1]))
        return self.appended() + self.exchanged()

    def load(self, topic, columns):
        results.load_topic(self.sql, f"actual_{topic}", topics.read(self.stack.brokers, f"{self.name}-{topic}"), columns)

    def appended(self):
        """Each row once, by the old rule up to the cut and by the new one from it: by the source's offsets where rows have
        them, by windows of a place where they haven't."""
        before_rank = [*ITEM_COUNTS, "rule"]
        self.load("enriched", [*ENRICHED, "rule"])
        self.load("item_counts", [*ITEM_COUNTS[:3], "rule", *ITEM_COUNTS[3:]])
        self.load("top_items", [*ITEM_COUNTS[:3], "rule", *ITEM_COUNTS[3:], "item_rank"])
        self.sql.execute(APPENDED_TOP.format(lists=" UNION ALL ".join(f"FROM top_{rule}" for rule in sorted(set(self.rules)))))
        found = compare(self.sql, "topic enriched", "expected_enriched", "actual_enriched", ENRICHED)
        found += compare(self.sql, "topic item_counts", "expected_item_counts", "actual_item_counts", ITEM_COUNTS)
        found += compare(self.sql, "topic top_items", "appended_top", "actual_top_items", [*before_rank, "item_rank"])
        lists = "(SELECT DISTINCT window_start, geographical_location, {} FROM {})"
        found += compare(self.sql, "lists of top_items", lists.format("0", f"top_{self.rules[-1]}"),
                         lists.format("rule", "actual_top_items"), ["window_start", "geographical_location"])
        detections = """(SELECT j."partition" AS source, j."offset" AS at_offset, a.rule FROM actual_enriched a
            JOIN judged j ON j.detection_oid = a.detection_oid AND j.verdict = 'accepted')"""
        turns = (("enriched", "source", "at_offset", detections),
                 ("item_counts", "geographical_location_oid", "window_start",
                  "(SELECT DISTINCT geographical_location_oid, window_start, rule FROM actual_item_counts)"),
                 ("top_items", "geographical_location_oid", "window_start",
                  "(SELECT DISTINCT geographical_location_oid, window_start, rule FROM actual_top_items)"))
        for topic, by, order, rows in turns:
            for part, taken in self.sql.execute(TURNS.format(by=by, order=order, rows=rows)).fetchall():
                rest = iter(self.rules)
                if not all(rule in rest for rule in taken):
                    found.append(results.Difference(f"topic {topic}", f"of {by} {part}: turns of rules", len(taken), [taken, self.rules]))
        return found

    def exchanged(self):
        """What is the active generation's alone: as if it had been there from the beginning."""
        rule = self.rules[-1]
        self.sql.execute(f"CREATE OR REPLACE TABLE expected_top_items AS FROM top_{rule}")
        found = self.results.postgres(self.stack.database_url, table_of(self.name))
        found += self.results.lake(self.stack.folder / "lake" / self.name)
        newest = {}
        dump = topics.read(self.stack.brokers, f"{self.name}-latest")
        for key, value in zip(dump["key"].to_pylist(), dump["value"].to_pylist()):
            newest[key] = value
        stands = [json.loads(value) for value in newest.values() if value is not None]
        columns = [*TOP_ITEMS, "rule"]
        types = ", ".join(f"{c} {'VARCHAR' if c in results.TEXT else 'BIGINT'}" for c in columns)
        self.sql.execute(f"CREATE OR REPLACE TABLE actual_latest ({types})")
        self.results.insert("actual_latest", columns, [[row[c] if c in results.TEXT else int(row[c]) for c in columns] for row in stands])
        found += compare(self.sql, "topic latest", "expected_latest", "actual_latest", columns)
        foreign = self.sql.execute(f"SELECT count(*) FROM actual_lake WHERE rule <> {rule}").fetchall()[0][0]
        if foreign:
            found.append(results.Difference("lake", "of another rule", foreign, []))
        return found
