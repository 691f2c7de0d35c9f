"""Makes up topologies and their data.

What isn't generated, and why:
  - dedup where rows of one id come from several partitions, tasks, sources or branches, and dedup behind anything that
    emits when time passes: which of two duplicates comes first isn't determined there (docs/topology.md).
  - first and last over rows of no order: results of windows, tops, keep: last, and unions of a source with itself.
  - partitions that fall idle, and tables that change: results then depend on when something was looked at.
  - joins of update steps with tables, which a changing table makes wrong.
  - joins of streams, with versions and of tables by columns of doubles (DuckDB's NaN) and of time.
  - avg of decimals (DuckDB's is a double), decimal arithmetic, division, and anything that overflows: the tests of
    expressions against PostgreSQL have these.
  - json columns and unnest: of a row alone, without state or time; their tests compare with PostgreSQL and with models.
  - sources that are files or posted to: their rows come through a topic like any other; tests/sim/file_source_test.cc and
    http_source_test.cc have the way there.
  - Kafka upsert sinks over append steps: of two rows of one key, which is written last isn't determined.
  - unions of update steps but for one with itself, marked in two ways (its inputs are told apart by nothing else).
  - format: debezium: DuckDB has nothing to read it with; changes come by keyed sources.
  - Formats other than JSON, arrays of objects and how values are read (coerce, timestamp_format): nothing behind the decoder
    knows of them.
  - windows of the calendar (a case has minutes) and `keep` (when the last are deleted is the run's end).
  - what alerts say of times behind the last row (topology.py leaves it out), and their severity.
  - batch: a task lets one batch out a commit, so what windows behind it count as late is all that differs from the rows;
    tests/sim/whole_commits_test.cc and its own tests have the rest.
  - array_agg, whose json DuckDB writes in its own way, and the approximate aggregates; first and last in `over`, which SQL's
    windows give of no certain row.
  - expect: to its output it is a filter; what it counts and sends to the dead letters has tests of its own.
"""

import dataclasses
import random as randoms

from topology import Case, Column, Invalid, Row, Shape, Sink, Source, Step, Table, shapes, united, window_type
from values import PLAIN_TYPES, START_US, TIME_FORMS, UNITS_US, is_time, random_value

FAULTS = ["calls", "crashes", "database", "disks", "freezes", "lake", "oversleeping", "power", "restarts", "rights",
          "trims", "unmounts"]
NUMBERS = ("int64", "int32")


def literal(random, type_):
    value = random_value(random, type_)
    if type_ == "string":
        return "'" + value.replace("'", "''") + "'"
    if type_ == "date":
        return f"date '{value.isoformat()}'"
    if type_ == "bool":
        return str(value).lower()
    if type_.startswith("decimal"):
        return f"{value:f}"
    return str(value) if not str(value).startswith("-") else f"({value})"


def condition(random, columns, depth=0):
    if depth < 2 and random.random() < 0.35:
        parts = [condition(random, columns, depth + 1) for _ in range(2)]
        return random.choice(["({} and {})", "({} or {})", "(not {1} or {0})"]).format(*parts)
    column = random.choice(columns)
    name, type_ = column.name, column.type
    if column.nullable and random.random() < 0.3:
        return f"{name} is {random.choice(['', 'not '])}null"
    if is_time(type_):
        return f"{name} is not null"
    if type_ == "bool":
        return random.choice([name, f"not {name}", f"{name} is not true"])
    if type_ in NUMBERS and random.random() < 0.4:
        low = random.randint(-20, 20)
        return random.choice([f"{name} % 3 = {random.randint(0, 2)}", f"{name} between ({low}) and {low + 40}",
                              f"{name} in (0, 1, 7)", f"abs({name}) > {abs(low)}"])
    if type_ == "string" and random.random() < 0.4:
        return random.choice([f"length({name}) > 1", f"{name} like 'a%'", f"{name} in ('a', 'b', 'ab')"])
    return f"{name} {random.choice(['=', '<>', '<', '>', '<=', '>='])} {literal(random, type_)}"


def expression(random, columns):
    column = random.choice(columns)
    name, type_ = column.name, column.type
    choices = []
    if type_ in NUMBERS:
        choices = [(f"{name} + {random.randint(1, 9)}", type_), (f"{name} * 2", type_), (f"abs({name})", type_),
                   (f"coalesce({name}, 0)", type_), (f"-{name}", type_), (f"cast({name} as text)", "string"),
                   (f"case when {name} > 0 then 'up' when {name} < 0 then 'down' end", "string")]
    elif type_ == "string":
        choices = [(f"{name} || '-x'", "string"), (f"coalesce({name}, 'none')", "string"),
                   (f"substr({name}, 1, 1)", "string"), (f"length({name})", "int32")]
    elif type_ == "double":
        choices = [(f"{name} * 2", "double"), (f"coalesce({name}, 0.5)", "double")]
    choices.append((f"{name} is null", "bool"))
    choices.append((condition(random, columns, 1), "bool"))
    sql, result = random.choice(choices)
    return {"sql": sql, "type": result}


class Generator:
    def __init__(self, seed):
        self.random = randoms.Random(seed)
        self.keyed = randoms.Random(f"keyed {seed}")  # of its own: cases without them stay what they were
        self.united = randoms.Random(f"united {seed}")  # likewise
        self.seed = seed

    def case(self):
        random = self.random
        faults = [f for f in FAULTS if random.random() < 0.8] if random.random() < 0.9 else []
        case = Case(self.seed, random.randint(1, 3), faults, [], [], [], [], [])
        self._sources(case)
        self._key(case)
        if random.random() < 0.6:
            self._table(case)
        for i in range(random.randint(1, 6)):
            self._step(case, f"s{i}")
        self._sinks(case)
        used = {s.args["table"] for s in case.steps if s.operator == "join"}
        case.tables = [t for t in case.tables if t.name in used]
        return case

    # ---- Data

    def _sources(self, case):
        random = self.random
        partitions = random.randint(1, 3)
        time = random.choice(TIME_FORMS)
        for i in range(random.choice([1, 1, 2])):
            columns = [Column("id", "int64")]
            if i == 1 and random.random() < 0.6:
                columns = list(case.sources[0].columns)
            else:
                for c in range(random.randint(2, 5)):
                    columns.append(Column(f"c{c}", random.choice(PLAIN_TYPES), random.random() < 0.4))
                columns.append(Column("seen", time))
            count = partitions if random.random() < 0.8 or i == 0 else random.randint(1, 3)
            case.sources.append(Source(f"in{i}", count, columns, random.choice([0, 1, 5, 30]), random.random() < 0.5))
        count = random.randint(20, 120)
        ids = random.choice([5, 20, 200])
        jitter = random.choice([0, 3, 20, 90])
        # Few values of some columns, so that groups have several rows.
        pools = {}
        for n in range(count):
            source = random.choice(case.sources)
            id_ = random.randint(0, ids)
            time_us = START_US + n * 1_000_000 - random.randint(0, jitter) * 1_000_000
            if time not in ("timestamp_s",):
                time_us += random.randint(0, 999) * 1_000
            values = {"id": id_, "seen": time_us // UNITS_US[time] * UNITS_US[time]}
            for column in source.columns:
                if column.name in values:
                    continue
                if column.nullable and random.random() < 0.25:
                    values[column.name] = None
                    continue
                pool = pools.setdefault((source.name, column.name),
                                        [random_value(random, column.type) for _ in range(random.choice([2, 4, 100]))])
                values[column.name] = random.choice(pool)
            if random.random() < 0.15 and case.rows:  # the same once more
                same = [r for s, r in case.rows if s == source.name and r.values]
                if same:
                    values = dict(random.choice(same).values)
            row = Row(values["id"] % source.partitions, time_us // 1000, values)
            if random.random() < 0.03:
                row.values = None
            case.rows.append((source.name, row))

    def _key(self, case):
        """A source more, of rows like another's that replace each other by id, some of which go."""
        random = self.keyed
        if random.random() > 0.35:
            return
        like = case.sources[0]
        source = dataclasses.replace(like, name="keyed", partitions=like.partitions,
                                     out_of_orderness=random.choice([0, 0, 5, 30]), promises=False, keyed=True)
        case.sources.append(source)
        rows = []
        for name, row in case.rows:
            rows.append((name, row))
            if name != like.name or random.random() < 0.3:
                continue
            id_ = row.values["id"] % random.choice([3, 10, 1000]) if row.values is not None else random.randint(0, 5)
            values = row.values and {**row.values, "id": id_}
            rows.append((source.name, Row(id_ % source.partitions, row.time, values, str(id_),
                                          values is not None and random.random() < 0.2)))
        case.rows = rows

    def _table(self, case):
        random = self.random
        key_type = random.choice(["int64", "string"])
        columns = [Column("k", key_type), Column("label", "string", True),
                   Column("weight", "int64", random.random() < 0.5)]
        rows = []
        for key in {random_value(random, key_type) for _ in range(random.randint(2, 12))}:
            rows.append({"k": key, "label": random.choice(["red", "blue", None]),
                         "weight": None if columns[2].nullable and random.random() < 0.3 else random.randint(0, 9)})
        rows.sort(key=lambda r: str(r["k"]))
        case.tables.append(Table("ref", "k", columns, rows))

    # ---- Steps

    def _step(self, case, name):
        random = self.random
        for _ in range(20):
            shape_of = shapes(case)
            names = list(shape_of)
            input_ = random.choice(names[-3:] if random.random() < 0.7 else names)
            inputs = [input_]
            if random.random() < 0.2:
                inputs += [n for n in names if n != input_ and shape_of[n].columns == shape_of[input_].columns and
                           shape_of[n].update_key is None][:1]
            before = len(case.steps)
            shape = shape_of[input_]
            if len(inputs) == 1 and shape.update_key is not None and self.united.random() < 0.2:
                inputs = self._mark(case, name, input_, shape)
                shape = united([shapes(case)[i] for i in inputs])
            step = self._operator(case, name, inputs, shape)
            if step is None:
                del case.steps[before:]
                continue
            case.steps.append(step)
            try:
                if self._partitions_fit(case, step.reads()):
                    shapes(case)
                    return
            except Invalid:
                pass
            del case.steps[before:]

    # Steps between an update step and a union of it with itself: each row twice, with another constant.
    def _mark(self, case, name, input_, shape):
        marked = []
        for shard in ("a", "b"):
            columns = {c.name: {"sql": c.name, "type": c.type} for c in shape.columns}
            columns[f"shard_{name}"] = {"sql": f"'{shard}'", "type": "string"}
            case.steps.append(Step(f"{name}{shard}", [input_], "project", {"columns": columns}))
            marked.append(f"{name}{shard}")
        return marked

    # What is united must have equal partition counts.
    @staticmethod
    def _partitions_fit(case, inputs):
        sources = frozenset().union(*(shapes(case)[i].sources for i in inputs))
        counts = {s.partitions for s in case.sources if s.name in sources}
        repartitioned = any(s.operator == "repartition" and s.args["partitions"] for s in case.steps)
        return len(inputs) == 1 or (len(counts) == 1 and not repartitioned)

    def _columns(self, shape, least, most, fits=lambda c: True):
        names = [c.name for c in shape.columns if fits(c)]
        count = min(len(names), self.random.randint(least, most))
        return sorted(self.random.sample(names, count), key=shape.names().index) if count >= least else None

    def _operator(self, case, name, inputs, shape):
        random = self.random
        update = shape.update_key is not None
        kinds = ["filter", "project", "top", "repartition", "group_by", "group_by", "window", "window",
                 "alert", "tables", "tables", "tables"] if update else \
            ["filter", "project", "dedup", "dedup", "join", "join", "match", "match", "versions", "versions", "window",
             "window", "window", "group_by", "top", "top", "repartition", "alert", "alert", "over", "over"]
        if not update and any(s.keyed for s in case.sources):
            kinds += ["versions"] * 6
        kind = random.choice(kinds)
        args = getattr(self, "_" + kind)(case, shape, update)
        return None if args is None else Step(name, inputs, kind, args, args.pop("stream", None))

    def _filter(self, case, shape, update):
        return {"condition": condition(self.random, shape.columns)}

    def _project(self, case, shape, update):
        random = self.random
        kept = [c for c in shape.columns
                if random.random() < 0.75 or c.name == "id" or (update and c.name in shape.update_key)]
        columns = {c.name: {"sql": c.name, "type": c.type} for c in kept}
        for i in range(random.randint(0 if columns else 1, 2)):
            columns.setdefault(f"e{len(case.steps)}{i}", expression(random, shape.columns))
        return {"columns": columns}

    def _dedup(self, case, shape, update):
        random = self.random
        if not shape.sequenced:
            return None
        by = ["id"] + (self._columns(shape, 0, 1, lambda c: c.name != "id") or [])
        within = random.choice([5, 60, 3600])
        return {"by": by, "within": within, "grace": random.choice([0, 5, within]),
                "keep": random.choice(["first", "first", "last"])}

    def _join(self, case, shape, update):
        random = self.random
        if not case.tables:
            return None
        table = case.tables[0]
        on = self._columns(shape, 1, 1, lambda c: c.type == table.columns[0].type)
        if on is None:
            return None
        inner = random.random() < 0.5
        return {"table": table.name, "key": table.key, "on": on[0], "type": "inner" if inner else "left",
                "prefix": f"t{len(case.steps)}_", "unmatched": inner and random.random() < 0.5}

    def _match(self, case, shape, update):
        random = self.random
        appends = [(n, s) for n, s in shapes(case).items() if s.update_key is None]
        stream, right = random.choice(appends)
        fits = [(a.name, b.name) for a in shape.columns for b in right.columns
                if a.type == b.type and a.type not in ("double",) and not is_time(a.type)]
        if not fits or len(shape.columns) + len(right.columns) > 30:
            return None
        on, stream_on = ("id", "id") if ("id", "id") in fits and random.random() < 0.6 else random.choice(fits)
        return {"stream": stream, "on": on, "stream_on": stream_on, "type": random.choice(["inner", "left", "right", "full"]),
                "before": random.choice([0, 1, 5, 30]), "after": random.choice([0, 0, 2, 10]),
                "grace": random.choice([0, 0, 3, 60]), "prefix": f"m{len(case.steps)}_",
                "late": [side for side in ("left", "right") if random.random() < 0.3]}

    def _versions(self, case, shape, update):
        random = self.random
        tables = [(n, s) for n, s in shapes(case).items() if s.update_key is None or s.changes]
        changing = [(n, s) for n, s in tables if s.changes]
        table, right = self.keyed.choice(changing) if changing and self.keyed.random() < 0.6 else random.choice(tables)
        fits = [(a.name, b.name) for a in shape.columns for b in right.columns
                if a.type == b.type and a.type not in ("double",) and not is_time(a.type) and
                (not right.changes or b.name == "id")]
        if not fits or len(shape.columns) + len(right.columns) > 30:
            return None
        on, table_on = ("id", "id") if ("id", "id") in fits and random.random() < 0.6 else random.choice(fits)
        times = [c.name for c in shape.columns if is_time(c.type)]
        as_of = (random.choice(times), random.choice([-2, 0, 0, 3, 20, 60])) if times and random.random() < 0.7 else None
        inner = random.random() < 0.5
        args = {"stream": table, "on": on, "stream_on": table_on, "type": "inner" if inner else "left", "as_of": as_of,
                "keep": random.choice([0, 5, 30, 3600]), "ahead": random.choice([None, 0, 5]) if as_of else None,
                "deleted": condition(random, right.columns) if random.random() < 0.3 else None,
                "expired": random.choice([None, "dead_letter", "unmatched"]), "grace": random.choice([0, 0, 3, 60]),
                "prefix": f"v{len(case.steps)}_", "unmatched": inner and random.random() < 0.5,
                "late": random.random() < 0.3}
        if right.changes:
            args.update(grace=0, late=False)
        if self.keyed.random() < 0.3:
            args.update(plain=True, as_of=None, keep=3600, ahead=None, deleted=None, expired=None)
        return args

    def _tables(self, case, shape, update):
        random = self.random
        tables = [(n, s) for n, s in shapes(case).items() if s.update_key is not None]
        table, right = random.choice(tables)
        fits = [(a.name, b.name) for a in shape.columns for b in right.columns
                if a.type == b.type and a.type not in ("double",) and not is_time(a.type)]
        if not fits or len(shape.columns) + len(right.columns) > 30:
            return None
        keys = [(a, b) for a, b in fits if a in shape.update_key and b in right.update_key]
        foreign = [(a, b) for a, b in fits if b in right.update_key]
        on, table_on = random.choice(random.choice([keys or fits, foreign or fits, fits]))
        return {"stream": table, "on": on, "stream_on": table_on, "type": random.choice(["inner", "left", "right", "full"]),
                "prefix": f"j{len(case.steps)}_"}

    def _aggregates(self, case, shape):
        random = self.random
        aggregates = {}
        for i in range(random.randint(1, 4)):
            column = random.choice(shape.columns)
            calls = ["count"]
            if column.type in NUMBERS or column.type == "double":
                calls += ["sum", "avg", "min", "max"]
            elif column.type.startswith("decimal"):
                calls += ["sum", "min", "max"] if not column.type.startswith("decimal(38") else ["min", "max"]
            elif column.type != "bool":
                calls += ["min", "max"]
            calls.append("count distinct")
            other = random.choice(shape.columns)
            calls += [f"min_by {other.name}", f"max_by {other.name}"]
            if shape.ordered:
                calls += ["first", "last"]
                if column.type == "string":
                    calls.append("string_agg")
            if column.type == "bool":
                calls += ["bool_and", "bool_or"]
            some = condition(random, shape.columns) if random.random() < 0.25 else None
            aggregates[f"a{len(case.steps)}{i}"] = (random.choice(calls), column.name, some)
        if random.random() < 0.7:
            aggregates[f"n{len(case.steps)}"] = ("count", None, None)
        return aggregates

    def _window(self, case, shape, update):
        random = self.random
        if update and not shape.timely:
            return None
        every = random.choice([1, 5, 10, 60])
        size = every * random.choice([1, 1, 1, 2, 5, 12])
        by = self._columns(shape, 0, 2, lambda c: c.name not in ("window_start", "window_end"))
        gap = random.choice([0, 0, 0, 0, 1, 10, 60]) if not update else 0  # 0: no sessions
        cumulative = size > every and not gap and not update and random.random() < 0.4
        return {"every": every, "size": size, "gap": gap, "cumulative": cumulative, "grace": random.choice([0, 0, 5, 60]), "group_by": by,
                "offset": random.choice([0, 0, every // 2, every - 1]),
                "aggregates": self._aggregates(case, shape), "late": random.random() < 0.4 and not update,
                "emit": "on_close" if cumulative else
                        random.choice(["on_close", "on_close", "on_update"] + ([] if gap else ["every_record"]))}

    def _group_by(self, case, shape, update):
        random = self.random
        by = self._columns(shape, 1, 2)
        return {"group_by": by, "aggregates": self._aggregates(case, shape),
                "emit": random.choice(["on_update", "on_update", "every_record"])}

    def _top(self, case, shape, update):
        random = self.random
        if update:
            # Groups whose rows come and go; without a rank they keep their key, and are moved by columns of it alone.
            emit, rank = "on_update", random.random() < 0.6
            by = self._columns(shape, 1, 1, lambda c: rank or c.name in shape.update_key)
        elif shape.windowed and random.random() < 0.7:
            emit, rank, by = "on_close", random.random() < 0.7, \
                self._columns(shape, 0, 1, lambda c: c.name not in ("window_start", "window_end"))
        else:
            emit, rank, by = "on_update", True, self._columns(shape, 0, 1)
        order = [(c, random.choice(["asc", "desc"])) for c in self._columns(shape, 1, 2)]
        return {"k": random.choice([1, 2, 5]), "by": by, "order": order, "emit": emit,
                "rank": f"r{len(case.steps)}" if rank else None}

    def _alert(self, case, shape, update):
        random = self.random
        if update and not shape.timely:
            return None
        about = random.choice(["condition", "condition", "absence", "both"])
        raise_ = condition(random, shape.columns) if about != "absence" else None
        absent = random.choice([3, 10, 30]) if about != "condition" else 0
        return {"by": self._columns(shape, 1, 2), "raise": raise_,
                "clear": condition(random, shape.columns) if raise_ and random.random() < 0.4 else None,
                "for": random.choice([0, 0, 2, 15]) if raise_ else 0, "remind": random.choice([0, 0, 7, 20]),
                "absent": absent, "forget": absent * random.choice([2, 5]), "grace": random.choice([0, 0, 5, 60]),
                "late": random.random() < 0.3 and not update}

    def _over(self, case, shape, update):
        random = self.random
        range_ = random.choice([0, 1, 10, 60])
        rows = 0 if range_ else random.choice([0, 1, 2, 5])
        # Which of those that come together is first isn't said in SQL's windows.
        aggregates = {n: a for n, a in self._aggregates(case, shape).items()
                      if a[0] not in ("first", "last", "string_agg") and a[0][:6] not in ("min_by", "max_by")}
        lags = {} if range_ else {f"l{len(case.steps)}{i}": (random.choice(shape.columns).name, random.choice([1, 1, 3]))
                                  for i in range(random.randint(0 if rows else 1, 2))}
        if not (range_ or rows):
            aggregates = {}
        if not aggregates and (rows or not lags):
            return None
        return {"by": self._columns(shape, 1, 2), "range": range_, "rows": rows, "aggregates": aggregates, "lags": lags,
                "grace": random.choice([0, 0, 5, 60]), "late": random.random() < 0.3}

    def _repartition(self, case, shape, update):
        by = self._columns(shape, 1, 1)
        return by and {"by": by, "partitions": self.random.choice([0, 1, 2, 3])}

    # ---- Sinks

    def _sinks(self, case):
        random = self.random
        shape_of = shapes(case)
        read = {i for s in case.steps for i in s.reads()}
        for name, shape in shape_of.items():
            if name in read and random.random() < 0.75:
                continue
            for _ in range(random.choice([1, 1, 2])):
                case.sinks.append(self._sink(case, f"out{len(case.sinks)}", name, shape))

    def _sink(self, case, name, input_, shape):
        random = self.random
        if shape.update_key is not None:
            nullable = any(shape.column(c).nullable for c in shape.update_key)
            return Sink(name, input_, "kafka" if nullable else random.choice(["kafka", "postgres"]), shape.update_key)
        kind = random.choice(["kafka", "postgres", "parquet"])
        if kind == "kafka":
            return Sink(name, input_, kind, self._columns(shape, 0, 2))
        if kind == "postgres":
            return Sink(name, input_, kind, [])
        folders = self._columns(shape, 0, 1, lambda c: c.type in ("int64", "int32", "bool", "date"))
        # A file keeps a column at least.
        return Sink(name, input_, kind, [], folders if folders and len(shape.columns) > 1 else [])
