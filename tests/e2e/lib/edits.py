"""Edits of one topology that runs: what each changes in the file, which verdict docs/changing.md promises, and what the rows
that come from then on mean. Played by test_edits.py."""

import copy
import dataclasses

START_MS = 1_700_000_000_000  # some quarter of an hour into an hour
STEP_MS = 20_000              # of event time from one id to the next
ROUTES = {f"r{n}": f"c{n % 2}" for n in range(5)}
GOES_ON, DECISION = 0, 3


def topology(name):
    """Each id once, its carrier from a table; sums by route in windows of an hour, totals by carrier that change, and rows: in
    topics, a table, a lake and a view."""
    return {
        "name": name, "kafka": {"brokers": "${KAFKA_BROKERS}"}, "internal_topics": {"partitions": 2},
        "commit_interval": "50ms",
        "sources": {"events": source(f"{name}-events")},
        "tables": {"routes": {"topic": f"{name}-routes", "key": ["route"],
                              "columns": {"route": {"type": "string", "from": "key"}, "carrier": "string"}}},
        "steps": {
            "once": {"from": "events", "dedup": {"by": ["id"], "within": "20h", "grace": "20h"}},
            "named": {"from": "once", "join": {"table": "routes", "on": ["route"]}},
            "cheap": {"from": "named", "filter": "cents < 100"},
            "hourly": {"from": "cheap", "window": {"tumbling": "1h", "grace": "5m"}, "group_by": ["route"],
                       "aggregates": {"n": "count(*)", "total": "sum(cents)", "worth": "sum(price)"}},
            "totals": {"from": "named", "group_by": ["carrier"], "aggregates": {"n": "count(*)", "total": "sum(cents)"}},
            "rows": {"from": "named", "project": {"id": "id", "cents": "cents", "carrier": "carrier"}}},
        "sinks": {
            "sums": {"from": "hourly", "topic": f"{name}-sums", "key": ["route"], "create": {}},
            "latest": {"from": "totals", "topic": f"{name}-latest", "mode": "upsert", "key": ["carrier"],
                       "create": {"config": {"cleanup.policy": "compact"}}},
            "table": {"from": "rows", "postgres": {"url": "${DATABASE_URL}", "table": f"{name}_rows".replace("-", "_"),
                                                   "key": ["id"], "evolve": "add_columns"}},
            "lake": {"from": "rows", "parquet": {"path": "${LAKE}/" + name, "max_age": "1s"}}},
        "views": {"standing": {"from": "totals"}}}


def source(topic):
    return {"topic": topic, "key_format": "text", "partitioned_by": ["id"],
            "columns": {"id": {"type": "int64", "from": "key"}, "route": "string", "cents": "int32", "price": "decimal(8,2)",
                        "at": "timestamp_ms", "note": {"type": "string", "nullable": True}},
            "event_time": {"column": "at", "max_out_of_orderness": "30m"}}


def record(id):
    return {"route": f"r{id % 5}", "cents": id * 37 % 120, "price": id * 1237 % 99_999 / 100, "at": START_MS + id * STEP_MS,
            "note": f"n{id % 3}" if id % 2 else None}


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What a version of the file does with the rows that it reads."""
    limit: int = 100     # of cents, from which on rows aren't in the sums
    once: bool = True    # each id counts once
    sums: bool = True    # there are sums
    lake: bool = True    # and a lake
    note: bool = False   # rows have a note
    dear: bool = False   # those that are dear go to a topic of their own
    days: bool = False   # and there are counts by day


@dataclasses.dataclass(frozen=True)
class Edit:
    what: str
    change: object  # (file) -> None, in place
    verdict: int = GOES_ON
    meaning: Meaning = Meaning()
    back: int = GOES_ON      # what the former file gets behind it
    drop: str = ""           # the step that `verdict` asks about, and that is given up then

    def of(self, name):
        changed = copy.deepcopy(topology(name))
        self.change(changed)
        return changed


def put(*path, to):
    def change(file):
        for part in path[:-1]:
            file = file[part]
        file[path[-1]] = to
    return change


def both(*changes):
    def change(file):
        for each in changes:
            each(file)
    return change


def rename(section, old, new, readers=(), says=True):
    """Its readers are (section, name) with `from`."""
    def change(file):
        file[section] = {new if part == old else part: body for part, body in file[section].items()}
        if says:
            file[section][new] = {"renamed_from": old, **file[section][new]}
        for of, name in readers:
            file[of][name]["from"] = new
    return change


def take_out(*parts):
    def change(file):
        for section, name in parts:
            del file[section][name]
    return change


def one_more_source(file):
    file["sources"]["more"] = source(f"{file['name']}-more")
    file["steps"]["once"]["from"] = ["events", "more"]


def dear_ones(file):
    file["steps"]["dear"] = {"from": "named", "filter": "cents > 90"}
    file["sinks"]["dears"] = {"from": "dear", "topic": f"{file['name']}-dears", "create": {}}


def daily(file):
    file["steps"]["daily"] = {"from": "named", "window": {"tumbling": "1d"}, "group_by": ["carrier"], "aggregates": {"n": "count(*)"}}
    file["sinks"]["days"] = {"from": "daily", "topic": f"{file['name']}-days", "create": {}}


def followed(file):
    file["steps"]["of_totals"] = {"from": "totals", "group_by": ["n"], "aggregates": {"carriers": "count(*)"}}
    file["sinks"]["how_many"] = {"from": "of_totals", "topic": f"{file['name']}-how-many", "key": ["n"], "create": {}}


BY_HOUR = rename("steps", "hourly", "by_hour", [("sinks", "sums")])
OTHER_NAMES = both(
    BY_HOUR, rename("sources", "events", "happenings", [("steps", "once")]), rename("sinks", "table", "rows_table"),
    rename("sinks", "lake", "pond"), rename("steps", "totals", "counts", [("sinks", "latest"), ("views", "standing")]),
    rename("views", "standing", "stand"))
WIDER_CENTS = put("sources", "events", "columns", "cents", to="int64")

EDITS = [
    Edit("a type that holds more", WIDER_CENTS, back=DECISION),
    Edit("another name of everything", OTHER_NAMES),
    Edit("no dedup", both(put("steps", "named", "from", to="events"), take_out(("steps", "once"))), DECISION,
         Meaning(once=False), back=DECISION, drop="once"),
    Edit("a narrower filter", put("steps", "cheap", "filter", to="cents < 50"), meaning=Meaning(limit=50)),
    Edit("a source more in a union", one_more_source, back=DECISION),
    Edit("a key that is another",
         both(put("steps", "hourly", "group_by", to=["carrier"]), put("sinks", "sums", "key", to=["carrier"])), DECISION),
    Edit("a column more", put("steps", "rows", "project", "note", to="note"), meaning=Meaning(note=True)),
    Edit("a window more", daily, meaning=Meaning(days=True), back=DECISION),
    Edit("more digits", put("sources", "events", "columns", "price", to="decimal(20,2)"), back=DECISION),
    Edit("a sink more", dear_ones, meaning=Meaning(dear=True)),
    Edit("no window", take_out(("steps", "hourly"), ("steps", "cheap"), ("sinks", "sums")), DECISION, Meaning(sums=False),
         back=DECISION, drop="hourly"),
    Edit("a sink less", take_out(("sinks", "lake")), meaning=Meaning(lake=False)),
    Edit("more grace", put("steps", "hourly", "window", to={"tumbling": "1h", "grace": "10m"})),
    Edit("a wider filter", put("steps", "cheap", "filter", to="cents < 1000"), meaning=Meaning(limit=1000)),
    Edit("another name without a word", rename("steps", "hourly", "by_hour", [("sinks", "sums")], says=False), DECISION),
    Edit("a longer window", put("steps", "hourly", "window", "tumbling", to="2h"), DECISION),
    Edit("another name and more digits",
         both(BY_HOUR, put("sources", "events", "columns", "price", to="decimal(10,2)")), back=DECISION),
    Edit("another scale", put("sources", "events", "columns", "price", to="decimal(9,3)"), DECISION),
    Edit("the sum of something else", put("steps", "hourly", "aggregates", "total", to="sum(cents + 1)"), DECISION),
    Edit("ids of two columns", put("steps", "once", "dedup", "by", to=["id", "cents"]), DECISION),
    Edit("ids kept for less time", put("steps", "once", "dedup", "within", to="10h")),
    Edit("a step with state that follows changes", followed, DECISION),
    Edit("nothing", lambda file: None),
]
