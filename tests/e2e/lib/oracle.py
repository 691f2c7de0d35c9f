"""What the HTX topology must produce, computed by DuckDB's SQL from the raw topics: an independent reading of the
semantics in docs/, row by row and window by window.

    raw -> detections with each row's running watermark -> late for dedup, duplicate or accepted -> known and unknown
    locations -> late for its window or counted -> counts by window -> the ten largest

The raw topics must hold valid records only (no dead letters here).
"""

import dataclasses

import duckdb

from stack import Failure


@dataclasses.dataclass
class Semantics:
    """The figures of examples/htx/topology.yaml, in milliseconds."""
    out_of_orderness: int = 2_000
    within: int = 3_600_000
    dedup_grace: int = 3_600_000  # the smaller of `within` and 1 h
    window: int = 60_000
    window_grace: int = 5_000
    k: int = 10
    # False: a window that the smallest watermark of all partitions has not passed is still open and missing.
    close_windows: bool = True


SQL = """
CREATE TABLE detections AS
SELECT "partition", "offset", d.*,
       -- Running row by row, the row itself included.
       max(d.timestamp_detected) OVER (PARTITION BY "partition" ORDER BY "offset" ROWS UNBOUNDED PRECEDING)
         - {out_of_orderness} AS watermark
FROM (SELECT "partition", "offset",
             from_json(CAST(decode(value) AS JSON), '{{"geographical_location_oid":"BIGINT","video_camera_oid":"BIGINT",
               "detection_oid":"BIGINT","item_name":"VARCHAR","timestamp_detected":"BIGINT"}}') AS d
      FROM raw_detections);

CREATE TABLE locations AS
SELECT oid AS geographical_location_oid, max_by(name, "offset") AS geographical_location
FROM (SELECT "offset", CAST(decode(key) AS BIGINT) AS oid,
             CAST(decode(value) AS JSON) ->> 'geographical_location' AS name
      FROM raw_locations)
GROUP BY oid;

-- A row is late for dedup by its own partition's watermark; of the others the first of each key stands.
CREATE TABLE judged AS
SELECT *, CASE WHEN timestamp_detected < watermark - {dedup_grace} THEN 'late'
               WHEN row_number() OVER (PARTITION BY detection_oid, timestamp_detected < watermark - {dedup_grace}
                                       ORDER BY "partition", "offset") > 1 THEN 'duplicate'
               ELSE 'accepted' END AS verdict
FROM detections;

CREATE TABLE joined AS
SELECT j.*, l.geographical_location,
       timestamp_detected - ((timestamp_detected % {window}) + {window}) % {window} AS window_start
FROM judged j LEFT JOIN locations l USING (geographical_location_oid)
WHERE verdict = 'accepted';

CREATE TABLE expected_enriched AS
SELECT geographical_location_oid, video_camera_oid, detection_oid, item_name, timestamp_detected, geographical_location
FROM joined WHERE geographical_location IS NOT NULL;

-- A window is late for a row once the row's watermark has passed its end and the grace time.
CREATE TABLE windowed AS
SELECT *, window_start + {window} + {window_grace} <= watermark AS late
FROM joined WHERE geographical_location IS NOT NULL;

CREATE TABLE all_counts AS
SELECT geographical_location_oid, geographical_location, item_name, window_start,
       window_start + {window} AS window_end, count(*) AS detections
FROM windowed WHERE NOT late
GROUP BY ALL;

CREATE TABLE expected_item_counts AS
SELECT * FROM all_counts
WHERE {close_windows} OR window_end + {window_grace} <=
      (SELECT CASE WHEN count(*) = {partitions} THEN min(w) END
       FROM (SELECT max(watermark) AS w FROM detections GROUP BY "partition"));

CREATE TABLE expected_top_items AS
SELECT geographical_location_oid, geographical_location, item_name, window_start, window_end, detections, item_rank
FROM (SELECT *, row_number() OVER (PARTITION BY geographical_location, window_start, window_end
                                   ORDER BY detections DESC, item_name ASC, geographical_location_oid ASC) AS item_rank
      FROM expected_item_counts)
WHERE item_rank <= {k};
"""

# The first occurrence of a key decides for the others only while they lie within the TTL of it, which is so for data
# where repetitions carry the same time.
SHORTCUT = """
SELECT count(*) FROM (
  SELECT 1 FROM detections GROUP BY detection_oid
  HAVING max(timestamp_detected) - min(timestamp_detected) >= {within} OR count(DISTINCT "partition") > 1)
"""


class Oracle:
    """`detections` and `locations` are the raw topics as Arrow tables (topics.read)."""

    def __init__(self, detections, locations, partitions, semantics=None):
        self.semantics = semantics or Semantics()
        self.sql = duckdb.connect()
        # Strings bytewise, times in UTC: DuckDB's defaults, stated.
        self.sql.execute("SET TimeZone = 'UTC'")
        self.sql.register("raw_detections", detections)
        self.sql.register("raw_locations", locations)
        values = {**dataclasses.asdict(self.semantics), "partitions": partitions}
        self.sql.execute(SQL.format(**values))
        broken = self.sql.execute(SHORTCUT.format(**values)).fetchall()[0][0]
        if broken:
            raise Failure(f"{broken} keys repeat outside of the TTL or in other partitions: this oracle can't judge them")

    def count(self, table, where="true"):
        return self.sql.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchall()[0][0]

    def ledger(self):
        """{step: {counter: rows}}, for those counters that the oracle knows."""
        accepted = self.count("judged", "verdict = 'accepted'")
        known = self.count("expected_enriched")
        late = self.count("windowed", "late")
        closed = self.sql.execute("SELECT coalesce(sum(detections), 0)::BIGINT FROM expected_item_counts").fetchall()[0][0]
        counts = self.count("expected_item_counts")
        return {
            "unique_detections": {"in": self.count("detections"), "passed": accepted, "out": accepted,
                                  "duplicate": self.count("judged", "verdict = 'duplicate'"),
                                  "late": self.count("judged", "verdict = 'late'"), "dead_lettered": 0, "filtered": 0,
                                  "unmatched": 0},
            "located_detections": {"in": accepted, "passed": known, "unmatched": accepted - known, "out": known,
                                   "duplicate": 0, "late": 0, "dead_lettered": 0},
            # Two phases: rows are judged and counted before the shuffle, windows close behind it.
            "items_per_minute partial": {"in": known, "late": late, "absorbed": known - late, "dead_lettered": 0,
                                         "pairs": known, "late_pairs": late},
            "items_per_minute": {"late_after_idle": 0, "closed": closed, "open": known - late - closed, "out": counts},
            "ranked_items": {"in": counts, "out": self.count("expected_top_items"), "late": 0, "dead_lettered": 0},
        }
