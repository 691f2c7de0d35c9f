"""A case: a topology with its data, as the generator makes it, the oracle judges it and the shrinker cuts it down.

`shapes` says what the rows of every step look like. It raises Invalid where steps don't fit together, which happens
only to what the shrinker tries.
"""

import dataclasses
import datetime
import json


class Invalid(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Column:
    name: str
    type: str
    nullable: bool = False


@dataclasses.dataclass
class Row:
    """`values` None: the record is not JSON; else what its columns hold, by name. `time` is the record's, in ms. Of a
    source with a key, `key` is the record key; `deletes`: the value is null."""
    partition: int
    time: int
    values: dict
    key: str = None
    deletes: bool = False


@dataclasses.dataclass
class Source:
    name: str
    partitions: int
    columns: list
    out_of_orderness: int  # s
    promises: bool         # partitioned_by: [id] is stated
    keyed: bool = False    # rows replace each other by id, which is the record key


@dataclasses.dataclass
class Table:
    name: str
    key: str
    columns: list
    rows: list  # of dicts


@dataclasses.dataclass
class Step:
    name: str
    inputs: list
    operator: str
    args: dict
    stream: str = None  # of a join of streams, with versions, or of tables, what is on its right

    def reads(self):
        return self.inputs + ([self.stream] if self.stream else [])


@dataclasses.dataclass
class Sink:
    name: str
    input: str
    kind: str  # kafka, postgres, parquet
    key: list
    partition_by: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Case:
    seed: int
    workers: int
    faults: list
    sources: list
    tables: list
    steps: list
    sinks: list
    rows: list  # (source name, Row), in the order in which they are appended

    def table(self, name):
        return next(t for t in self.tables if t.name == name)


@dataclasses.dataclass
class Shape:
    columns: list
    update_key: list = None   # of an update step
    windowed: bool = False    # window_start and window_end are those of closed windows
    ordered: bool = True      # (time, source, partition, offset) tells all rows apart
    sequenced: bool = True    # rows of one id come in one order, whatever else happens: dedup's outcome is determined
    timely: bool = True       # windows may take its rows: none comes, or is taken back, behind its watermark
    moved: bool = False       # behind a shuffle, or what may be one
    sources: frozenset = frozenset()
    changes: bool = False     # of an update step: each change has its record, and the oracle knows all of them
    constants: dict = dataclasses.field(default_factory=dict)  # columns of one value, as SQL, by name

    def column(self, name):
        for column in self.columns:
            if column.name == name:
                return column
        raise Invalid(f"no column {name}")

    def names(self):
        return [c.name for c in self.columns]


def is_plain(expression):
    return expression["sql"].isidentifier()


def is_constant(expression):
    return expression["sql"].startswith("'")


def aggregate_type(call, argument):
    if call.startswith("count"):
        return "int64"
    if call == "avg":
        return "double"
    if call == "sum":
        if argument.type in ("int32", "int64"):
            return "int64"
        if argument.type.startswith("decimal"):
            return f"decimal(38,{argument.type.split(',')[1]}"
    return argument.type


def called(call, argument):
    if call[:6] in ("min_by", "max_by"):
        return f"{call[:6]}({argument}, {call[7:]})"
    # Some have more than a name and an argument.
    return {"count distinct": f"count(distinct {argument})", "string_agg": f"string_agg({argument}, '+')"}.get(
        call, f"{call}({argument})")


def _aggregated(shape, args, window_type):
    columns = [shape.column(c) for c in args["group_by"]]
    if window_type:
        columns += [Column("window_start", window_type), Column("window_end", window_type)]
    for name, (call, argument, _) in args["aggregates"].items():
        column = shape.column(argument) if argument else None
        if call[:6] in ("min_by", "max_by"):
            shape.column(call[7:])
        columns.append(Column(name, aggregate_type(call, column), not call.startswith("count")))
    if len({c.name for c in columns}) != len(columns):
        raise Invalid("two columns of one name")
    return columns


def _matched(first, right, args):
    """The rows of a join of streams: new ones, of no order."""
    if first.update_key is not None or right.update_key is not None:
        raise Invalid("a join of streams over changes")
    left_on, right_on = first.column(args["on"]), right.column(args["stream_on"])
    if left_on.type != right_on.type:
        raise Invalid("keys of two types")
    columns = []
    for column in first.columns:
        missing = args["type"] in ("right", "full") and (column is not left_on or right_on.nullable)
        columns.append(dataclasses.replace(column, nullable=column.nullable or missing))
    for column in right.columns:
        if column is not right_on:
            columns.append(Column(args["prefix"] + column.name, column.type,
                                  column.nullable or args["type"] in ("left", "full")))
    if len({c.name for c in columns}) != len(columns):
        raise Invalid("two columns of one name")
    return Shape(columns, None, False, False, False, True, True, first.sources | right.sources)


def _versioned(first, right, args):
    """The rows of the left as they came, when the version that they ask for is known."""
    if first.update_key is not None or (right.update_key is not None and not right.changes):
        raise Invalid("a join with versions over changes")
    if right.changes and (args["stream_on"] not in right.update_key or args["late"] or args["grace"]):
        raise Invalid("changes of rows that aren't told apart, or late ones")
    if first.column(args["on"]).type != right.column(args["stream_on"]).type:
        raise Invalid("keys of two types")
    if args["as_of"]:
        first.column(args["as_of"][0])
    columns = first.columns + [Column(args["prefix"] + c.name, c.type, c.nullable or args["type"] == "left")
                               for c in right.columns if c.name != args["stream_on"]]
    if len({c.name for c in columns}) != len(columns):
        raise Invalid("two columns of one name")
    return dataclasses.replace(first, columns=columns, sequenced=False, moved=True, sources=first.sources | right.sources)


def _joined_tables(first, right, args):
    """The rows that two update steps have now, told apart by the keys of both and by what they are joined on."""
    if first.update_key is None or right.update_key is None:
        raise Invalid("a join of tables over rows that stand")
    left_on, right_on = first.column(args["on"]), right.column(args["stream_on"])
    if left_on.type != right_on.type:
        raise Invalid("keys of two types")
    joined = _matched(dataclasses.replace(first, update_key=None), dataclasses.replace(right, update_key=None), args)
    others = [[c for c in s.update_key if c != on.name] for s, on in ((first, left_on), (right, right_on))]
    key = first.update_key + ([left_on.name] if left_on.name not in first.update_key else []) + \
        [args["prefix"] + c for c in others[1]]
    if args["type"] == "full" and left_on.nullable and right_on.nullable and \
            all(s.column(c).nullable for s, names in ((first, others[0]), (right, others[1])) for c in names):
        raise Invalid("two rows alone with one key")
    return dataclasses.replace(joined, update_key=key, timely=False, changes=False)


def united(inputs):
    """Rows of update steps, told apart by their key and by a constant that each input has of its own."""
    first = inputs[0]
    if any(i.columns != first.columns or i.update_key != first.update_key for i in inputs):
        raise Invalid("a union of different columns or keys")
    apart = [c for c in first.constants if len({i.constants.get(c) for i in inputs}) == len(inputs)]
    if not apart:
        raise Invalid("nothing tells the inputs apart")
    return dataclasses.replace(first, update_key=first.update_key + [c for c in apart if c not in first.update_key],
                               changes=False, windowed=False, ordered=False, constants={})


def _shape(case, step, inputs, right, window_type):
    first, args = inputs[0], step.args
    if len(inputs) > 1 and first.update_key is not None:
        first = united(inputs)
    elif len(inputs) > 1:
        if any(i.columns != first.columns or i.update_key is not None for i in inputs):
            raise Invalid("a union of different columns")
        seen = [s for i in inputs for s in i.sources]
        if len({i.moved for i in inputs}) > 1 or (first.moved and len(seen) != len(set(seen))):
            raise Invalid("rows from before and behind a shuffle")
        first = dataclasses.replace(
            first, sequenced=False, windowed=all(i.windowed for i in inputs),
            ordered=all(i.ordered for i in inputs) and len(seen) == len(set(seen)), sources=frozenset(seen))
    if step.operator == "match":
        return _matched(first, right, args)
    if step.operator == "versions":
        return _versioned(first, right, args)
    if step.operator == "tables":
        return _joined_tables(first, right, args)
    if step.operator == "filter":
        return first
    if step.operator == "repartition":
        for column in args["by"]:
            first.column(column)
        key = first.update_key
        if key is not None:  # rows whose column changes part from those they replace
            key = key + [c for c in args["by"] if c not in key]
        # By another column, rows of one id go several ways.
        return dataclasses.replace(first, update_key=key, moved=True, sequenced=first.sequenced and args["by"] == ["id"],
                                   changes=first.changes and key == ["id"])
    if step.operator == "project":
        columns = []
        for name, expression in args["columns"].items():
            source = first.column(expression["sql"]) if is_plain(expression) else None
            columns.append(Column(name, expression["type"],
                                  source.nullable if source else not is_constant(expression)))
        kept = {e["sql"] for n, e in args["columns"].items() if n == e["sql"]}
        if first.update_key is not None and not set(first.update_key) <= kept:
            raise Invalid("a key column is lost")
        constants = {n: first.constants.get(e["sql"], e["sql"]) for n, e in args["columns"].items()
                     if is_constant(e) or e["sql"] in first.constants}
        return dataclasses.replace(first, columns=columns, constants=constants,
                                   sequenced=first.sequenced and "id" in kept,
                                   windowed=first.windowed and {"window_start", "window_end"} <= kept)
    if step.operator == "dedup":
        if "id" not in args["by"] or not first.sequenced:
            raise Invalid("which duplicate wins isn't determined")
        for column in args["by"]:
            first.column(column)
        # Results of keep: last come when time passes, and have no order that later steps could rely on here.
        first_wins = args["keep"] == "first"
        return dataclasses.replace(first, moved=True, ordered=first.ordered and first_wins,
                                   sequenced=first_wins and args["by"] == ["id"])
    if step.operator == "join":
        table = case.table(args["table"])
        first.column(args["on"])
        columns = list(first.columns)
        for column in table.columns:
            if column.name != table.key:
                columns.append(Column(args["prefix"] + column.name, column.type,
                                      column.nullable or args["type"] == "left"))
        if len({c.name for c in columns}) != len(columns):
            raise Invalid("two columns of one name")
        return dataclasses.replace(first, columns=columns)
    if step.operator in ("window", "group_by") and args["emit"] == "every_record" and first.update_key is not None:
        # Such an aggregate is of one phase, so the rows themselves move.
        if not set(args["group_by"]) & set(first.update_key):
            raise Invalid("rows that replace each other can't be moved by another key")
    if step.operator == "window":
        columns = _aggregated(first, args, window_type)
        told_apart_by = ["window_start"] if args["gap"] else ["window_start", "window_end"]
        key = args["group_by"] + told_apart_by if args["emit"] != "on_close" else None
        if first.update_key is not None and (not first.timely or args["late"] or args["gap"] or args["cumulative"]):
            raise Invalid("a window over rows that replace each other")
        if args["gap"] and window_type == "timestamp_s" and not first.ordered:
            raise Invalid("sessions of rows that may end in milliseconds, whose columns are of another type")
        return Shape(columns, key, key is None, False, False, True, True, first.sources)
    if step.operator == "group_by":
        return Shape(_aggregated(first, args, None), list(args["group_by"]), False, False, False, False, True,
                     first.sources)
    if step.operator == "alert":
        if first.update_key is not None and (not first.timely or args["late"]):
            raise Invalid("an alert over rows that replace each other")
        if first.update_key is not None and not set(args["by"]) & set(first.update_key):
            raise Invalid("rows that replace each other can't be moved by another key")
        if window_type == "timestamp_s" and not first.ordered:
            raise Invalid("alerts over rows that may end in milliseconds, whose columns are of another type")
        for column in args["by"]:
            first.column(column)
        columns = list(first.columns) + [
            Column("alert_state", "string"), Column("alert_kind", "string"), Column("alert_start", window_type),
            Column("alert_time", window_type), Column("alert_seconds", "double")]
        if len({c.name for c in columns}) != len(columns):
            raise Invalid("two columns of one name")
        return Shape(columns, None, False, False, False, True, True, first.sources)
    if step.operator == "over":
        if first.update_key is not None:
            raise Invalid("over rows that replace each other")
        for column in args["by"]:
            first.column(column)
        made = _aggregated(first, {**args, "group_by": []}, None)
        made += [Column(name, first.column(c).type, True) for name, (c, _) in args["lags"].items()]
        if not made or len({c.name for c in first.columns + made}) != len(first.columns + made):
            raise Invalid("nothing to see, or two columns of one name")
        if not args["aggregates"] and (args["range"] or args["rows"]):
            raise Invalid("a frame that nobody looks at")
        return dataclasses.replace(first, columns=first.columns + made, sequenced=False, moved=True)
    if step.operator == "top":
        columns = list(first.columns)
        for column in args["by"] + [c for c, _ in args["order"]]:
            first.column(column)
        if args["rank"]:
            columns.append(Column(args["rank"], "int64"))
        if len({c.name for c in columns}) != len(columns):
            raise Invalid("two columns of one name")
        if args["emit"] == "on_close":
            if not first.windowed or first.update_key is not None:
                raise Invalid("top over rows of no closed window")
            return Shape(columns, None, True, False, False, True, True, first.sources)
        key = args["by"] + [args["rank"]] if args["rank"] else first.update_key
        if key is None:
            raise Invalid("a running top without rank")
        return Shape(columns, key, False, False, False, False, True, first.sources)
    raise Invalid(step.operator)


def window_type(case):
    return next(c.type for c in case.sources[0].columns if c.name == "seen")


def last_time(case):
    """The greatest event time of any row, us: how far time comes at least."""
    return max((r.values["seen"] for _, r in case.rows if r.values is not None and not r.deletes), default=0)


def shapes(case):
    result = {s.name: Shape(list(s.columns), sources=frozenset([s.name])) if not s.keyed else
              Shape(list(s.columns), ["id"], False, False, False, False, True, frozenset([s.name]), True)
              for s in case.sources}
    for step in case.steps:
        if any(i not in result for i in step.reads()):
            raise Invalid(f"{step.name} reads what isn't there")
        right = result[step.stream] if step.stream else None
        result[step.name] = _shape(case, step, [result[i] for i in step.inputs], right, window_type(case))
    return result


# ---- YAML: a line an entry, in flow style, which is JSON

def _operator_yaml(step):
    args = step.args
    if step.operator == "filter":
        return {"filter": args["condition"]}
    if step.operator == "project":
        return {"project": {n: e["sql"] for n, e in args["columns"].items()}}
    if step.operator == "dedup":
        return {"dedup": {"by": args["by"], "within": f"{args['within']}s", "grace": f"{args['grace']}s",
                          "keep": args["keep"]}}
    if step.operator == "join":
        table = {"table": args["table"], "on": {args["on"]: args["key"]}, "type": args["type"],
                 "prefix": args["prefix"]}
        if args["unmatched"]:
            table["unmatched"] = {"topic": f"{step.name}-unmatched"}
        return {"join": table}
    if step.operator == "match":
        late = {side: f"{step.name}-late-{side}" for side in args["late"]}
        return {"join": {"stream": step.stream, "on": {args["on"]: args["stream_on"]}, "type": args["type"],
                         "within": {"before": f"{args['before']}s", "after": f"{args['after']}s"},
                         "grace": f"{args['grace']}s", "prefix": args["prefix"], **({"late": late} if late else {})}}
    if step.operator == "tables":
        return {"join": {"table": {"from": step.stream}, "on": {args["on"]: args["stream_on"]}, "type": args["type"],
                         "prefix": args["prefix"]}}
    if step.operator == "versions":
        versioned = {"keep": f"{args['keep']}s"}
        for name, value in (("ahead", args["ahead"]), ("deleted", args["deleted"]), ("on_expired", args["expired"])):
            if value is not None:
                versioned[name] = f"{value}s" if name == "ahead" else value
        join = {"table": {"from": step.stream}, "on": {args["on"]: args["stream_on"]}, "type": args["type"],
                "prefix": args["prefix"]}
        if not args.get("plain"):  # else as long as nothing is said, an hour
            join["versioned"] = versioned
        if args["grace"]:
            join["grace"] = f"{args['grace']}s"
        if args["as_of"]:
            column, back = args["as_of"]
            join["as_of"] = f"{column} - interval '{back} seconds'"
        if args["unmatched"]:
            join["unmatched"] = {"topic": f"{step.name}-unmatched"}
        if args["late"]:
            join["late"] = {"right": f"{step.name}-late"}
        return {"join": join}
    if step.operator in ("window", "group_by"):
        calls = {n: called(c, a or "*") + (f" filter (where {w})" if w else "")
                 for n, (c, a, w) in args["aggregates"].items()}
        yaml = {"group_by": args["group_by"], "aggregates": calls, "emit": args["emit"]}
        if step.operator == "window":
            yaml["window"] = {"grace": f"{args['grace']}s"}
            if args["gap"]:
                yaml["window"]["session"] = f"{args['gap']}s"
            elif args["cumulative"]:
                yaml["window"].update({"cumulative": f"{args['size']}s", "every": f"{args['every']}s"})
            elif args["every"] == args["size"]:
                yaml["window"]["tumbling"] = f"{args['size']}s"
            else:
                yaml["window"].update({"hopping": f"{args['size']}s", "every": f"{args['every']}s"})
            if args["offset"] and not args["gap"]:
                yaml["window"]["offset"] = f"{args['offset']}s"
            if args["late"]:
                yaml["window"]["late"] = {"topic": f"{step.name}-late"}
        return yaml
    if step.operator == "top":
        top = {"k": args["k"], "by": args["by"], "order": [f"{c} {d}" for c, d in args["order"]]}
        if args["rank"]:
            top["rank"] = args["rank"]
        return {"top": top, "emit": args["emit"]}
    if step.operator == "alert":
        alert = {"by": args["by"], "grace": f"{args['grace']}s"}
        alert.update({n: args[n] for n in ("raise", "clear") if args[n]})
        alert.update({n: f"{args[n]}s" for n in ("for", "remind", "absent", "forget") if args[n]})
        return {"alert": {**alert, **({"late": {"topic": f"{step.name}-late"}} if args["late"] else {})}}
    if step.operator == "over":
        over = {"by": args["by"], "grace": f"{args['grace']}s"}
        over.update({"range": f"{args['range']}s"} if args["range"] else {"rows": args["rows"]} if args["rows"] else {})
        over.update({"late": {"topic": f"{step.name}-late"}} if args["late"] else {})
        calls = {n: called(c, a or "*") + (f" filter (where {w})" if w else "")
                 for n, (c, a, w) in args["aggregates"].items()}
        calls.update({n: f"lag({c}, {rows})" for n, (c, rows) in args["lags"].items()})
        return {"over": over, "aggregates": calls}
    return {"repartition": {"by": args["by"], **({"partitions": args["partitions"]} if args["partitions"] else {})}}


def _columns_yaml(columns):
    return {c.name: {"type": c.type, "nullable": True} if c.nullable else c.type for c in columns}


def _sink_yaml(sink, shape):
    if sink.kind == "postgres":
        key = {"key": sink.key} if sink.key else {}
        return {"postgres": {"url": "postgresql://simulated", "table": sink.name, **key}}
    if sink.kind == "parquet":
        parquet = {"path": "/simulated", "max_age": "1s"}
        return {"parquet": {**parquet, **({"partition_by": sink.partition_by} if sink.partition_by else {})}}
    single = len(sink.key) == 1 and shape.column(sink.key[0]).type in ("int64", "int32", "string") and \
        not shape.column(sink.key[0]).nullable
    key = {"key": sink.key, "key_format": "text" if single else "json"} if sink.key else {}
    return {"topic": sink.name, **key, "create": {}}


def yaml(case):
    shape = shapes(case)
    lines = ["name: random", "commit_interval: 20ms", "memory: 512MiB", "kafka: { brokers: simulated }", "sources:"]

    def entry(name, fields):
        lines.append(f"  {name}: {json.dumps(fields, ensure_ascii=False)}")

    for source in case.sources:
        time = {"column": "seen", "max_out_of_orderness": f"{source.out_of_orderness}s", "idle_after": "10000h",
                "max_ahead": "10000d"}
        promise = {"partitioned_by": ["id"]} if source.promises else {}
        columns = _columns_yaml(source.columns)
        if source.keyed:
            promise = {"key": ["id"], "format": {"type": "json", "partitioner": "any"}}
            columns["id"] = {"type": "int64", "from": "key"}
        entry(source.name, {"topic": source.name, **promise, "columns": columns, "event_time": time})
    if case.tables:
        lines.append("tables:")
    for table in case.tables:
        entry(table.name, {"topic": table.name, "key": [table.key], "columns": _columns_yaml(table.columns)})
    if case.steps:
        lines.append("steps:")
    for step in case.steps:
        name = step.name
        if step.operator == "alert":
            # How far time goes beyond the last row, and what is due there, is the business of the run's end.
            last = datetime.datetime.fromtimestamp(last_time(case) / 1e6, datetime.timezone.utc)
            name = f"{step.name}_all"
            entry(step.name, {"from": name, "filter": f"alert_time <= timestamp '{last:%Y-%m-%d %H:%M:%S.%f}'"})
        entry(name, {"from": step.inputs[0] if len(step.inputs) == 1 else step.inputs, **_operator_yaml(step)})
    lines.append("sinks:")
    for sink in case.sinks:
        entry(sink.name, {"from": sink.input, **_sink_yaml(sink, shape[sink.input])})
    return "\n".join(lines) + "\n"
