"""What the steps of a case must hold in the end, computed by DuckDB's SQL over the raw records: a reading of
docs/topology.md and docs/operators.md that shares nothing with the operators.

Every step is a table of its visible columns and

    __time       event time, us
    __watermark  the row's own: that of its source partition at that row, us; NULL: never late
    __source, __partition, __offset

Update steps are tables of the rows that stand in the end; those behind a source whose rows replace each other have beside
them "STEP-history", all changes in their order: the row after each, __gone where there is none, __n, which counts them,
and __at, the time that the change has by itself. Side topics are tables of their own: "STEP-late",
"STEP-late-left", "STEP-late-right", "STEP-unmatched".
"""

import dataclasses

import duckdb
import pyarrow

from alerts import alerts
from topology import Column, called, last_time, shapes, window_type
from values import canonical, is_time, sql_type

HIDDEN = ["__time", "__watermark", "__source", "__partition", "__offset"]


def quoted(name):
    return '"' + name + '"'


def listed(names):
    return ", ".join(quoted(n) for n in names)


class Oracle:
    def __init__(self, case):
        self.case, self.shapes = case, shapes(case)
        self.sql = duckdb.connect()
        self.sql.execute("SET TimeZone = 'UTC'; SET threads = 1")
        self.side = {}
        self.dead_letters = 0
        for i, source in enumerate(sorted(case.sources, key=lambda s: s.name)):
            self._source(i, source)
        for table in case.tables:
            self._load(table.name, table.columns, [[row[c.name] for c in table.columns] for row in table.rows], [])
        for step in case.steps:
            self._step(step)

    def rows(self, name):
        """The rows of a step or side topic, in canonical form."""
        columns = self.side[name].columns if name in self.side else self.shapes[name].columns
        found = self.sql.execute(f"SELECT {listed(c.name for c in columns)} FROM {quoted(name)}").fetchall()
        return [tuple(canonical(v, c.type) for v, c in zip(row, columns)) for row in found]

    def columns(self, name):
        return self.side[name].columns if name in self.side else self.shapes[name].columns

    # ---- Raw data

    def _load(self, name, columns, rows, hidden):
        declared = ", ".join(f"{quoted(c.name)} {sql_type(c.type)}" for c in columns)
        declared += "".join(f", {h} BIGINT" for h in hidden)
        self.sql.execute(f"CREATE TABLE {quoted(name)} ({declared})")
        if not rows:
            return
        arrays = list(zip(*rows))
        types = [self._arrow(c.type) for c in columns] + [pyarrow.int64()] * len(hidden)
        raw = pyarrow.table([pyarrow.array(a, t) for a, t in zip(arrays, types)],
                            names=[c.name for c in columns] + hidden)
        self.sql.register("raw", raw)
        self.sql.execute(f"INSERT INTO {quoted(name)} SELECT * FROM raw")
        self.sql.unregister("raw")

    @staticmethod
    def _arrow(type_):
        if is_time(type_):
            return pyarrow.timestamp("us")
        if type_.startswith("decimal"):
            return pyarrow.decimal128(*(int(n) for n in type_[8:-1].split(",")))
        return {"int64": pyarrow.int64(), "int32": pyarrow.int32(), "string": pyarrow.string(), "bool": pyarrow.bool_(),
                "double": pyarrow.float64(), "date": pyarrow.date32()}[type_]

    def _source(self, index, source):
        rows, offsets, newest = [], {}, {}
        for name, row in self.case.rows:
            if name != source.name:
                continue
            p = row.partition
            offset = offsets[p] = offsets.get(p, -1) + 1
            if row.values is None:
                self.dead_letters += 1
                continue
            if row.deletes:  # has the time that its partition has come to, or else the record's
                time = newest.get(p, row.time * 1000)
            else:
                time = row.values["seen"]
                newest[p] = max(newest.get(p, time), time)
            watermark = newest.get(p, time) - source.out_of_orderness * 1_000_000
            values = [None if row.deletes and c.name != "id" else row.values[c.name] for c in source.columns]
            rows.append(values + [time, watermark, index, p, offset] + [row.deletes])
        if source.keyed:
            return self._keyed(source, rows)
        self._load(source.name, source.columns, [row[:-1] for row in rows], HIDDEN)

    def _keyed(self, source, rows):
        at, stands, history = len(source.columns), {}, []
        for row in rows:
            key, values, gone = row[0], row[:at], row[-1]
            before = stands.get(key)
            if (before is None) if gone else (before is not None and before[:at] == values):
                continue  # nothing changes
            history.append(values + [max(row[at], row[at + 1]), len(history), int(gone)])
            stands[key] = None if gone else row[:-1]
        self._load(source.name, source.columns, [row for row in stands.values() if row is not None], HIDDEN)
        columns = [dataclasses.replace(c, nullable=True) for c in source.columns]
        self._load(f"{source.name}-history", columns, history, ["__at", "__n", "__gone"])

    # ---- Steps

    def _step(self, step):
        shape = self.shapes[step.inputs[0]]
        columns = listed(shape.names() + HIDDEN)
        # Update steps have rows of no order, and no hidden columns that anybody reads.
        input_ = " UNION ALL ".join(f"SELECT {columns} FROM {quoted(i)}" for i in step.inputs)
        self.sql.execute(f"CREATE OR REPLACE TEMP TABLE input AS {input_}")
        if step.stream:
            self.sql.execute(f"CREATE OR REPLACE TEMP TABLE stream AS SELECT * FROM {quoted(step.stream)}")
        getattr(self, "_" + step.operator)(step, shape, step.args)
        if self.shapes[step.name].changes:
            self._history(step)

    def _history(self, step):
        before = f"{step.inputs[0]}-history"
        if step.operator == "project":
            columns = ", ".join(f"{e['sql']} AS {quoted(n)}" for n, e in step.args["columns"].items())
            return self._make(f"{step.name}-history", f"SELECT {columns}, __at, __n, __gone FROM {quoted(before)}")
        # A row that doesn't pass is none; what neither took a row away nor brought one isn't a change.
        passes = step.args["condition"] if step.operator == "filter" else "true"
        self._make(f"{step.name}-history", f"""
            SELECT * EXCLUDE (__passes, __passed) REPLACE (1 - __passes AS __gone) FROM (
                SELECT *, coalesce(lag(__passes) OVER (PARTITION BY id ORDER BY __n), 0) AS __passed FROM (
                    SELECT *, CASE WHEN __gone = 0 AND ({passes}) THEN 1 ELSE 0 END AS __passes FROM {quoted(before)}))
            WHERE __passes = 1 OR __passed = 1""")

    def _make(self, name, query):
        self.sql.execute(f"CREATE TABLE {quoted(name)} AS {query}")

    def _filter(self, step, shape, args):
        self._make(step.name, f"SELECT * FROM input WHERE {args['condition']}")

    def _repartition(self, step, shape, args):
        self._make(step.name, "SELECT * FROM input")

    def _project(self, step, shape, args):
        columns = ", ".join(f"{e['sql']} AS {quoted(n)}" for n, e in args["columns"].items())
        self._make(step.name, f"SELECT {columns}, {', '.join(HIDDEN)} FROM input")

    # Rows of a key one after the other, each compared with the one accepted last.
    def _dedup(self, step, shape, args):
        by, within = listed(args["by"]), args["within"] * 1_000_000
        self.sql.execute(f"""
            CREATE OR REPLACE TEMP TABLE judged AS
            SELECT *, dense_rank() OVER (ORDER BY {by}) AS __key,
                   row_number() OVER (PARTITION BY {by} ORDER BY __partition, __offset) AS __n
            FROM input WHERE __watermark IS NULL OR __time >= __watermark - {args['grace'] * 1_000_000};
            CREATE OR REPLACE TEMP TABLE walked AS
            WITH RECURSIVE walk(__key, __n, since, accepted) AS (
                SELECT __key, __n, __time, __n FROM judged WHERE __n = 1
                UNION ALL
                SELECT j.__key, j.__n, CASE WHEN j.__time - w.since >= {within} THEN j.__time ELSE w.since END,
                       CASE WHEN j.__time - w.since >= {within} THEN j.__n ELSE w.accepted END
                FROM walk w JOIN judged j ON j.__key = w.__key AND j.__n = w.__n + 1)
            SELECT * FROM judged JOIN walk USING (__key, __n)""")
        columns = listed(shape.names())
        if args["keep"] == "first":
            self._make(step.name, f"SELECT {columns}, {', '.join(HIDDEN)} FROM walked WHERE accepted = __n")
            return
        # The accepted row and its duplicates contest; who comes after the result is due has come too late.
        self._make(step.name, f"""
            SELECT {columns}, __time, NULL::BIGINT AS __watermark, __source, __partition, __offset FROM (
                SELECT *, row_number() OVER (PARTITION BY __key, accepted ORDER BY __time DESC, __source DESC,
                                             __partition DESC, __offset DESC) AS place
                FROM walked WHERE accepted = __n OR __watermark IS NULL OR __watermark < since + {within})
            WHERE place = 1""")

    def _join(self, step, shape, args):
        table = self.case.table(args["table"])
        added = "".join(f", t.{quoted(c.name)} AS {quoted(args['prefix'] + c.name)}"
                        for c in table.columns if c.name != table.key)
        kind = "JOIN" if args["type"] == "inner" else "LEFT JOIN"
        own = ", ".join("i." + quoted(c) for c in shape.names())
        hidden = ", ".join("i." + h for h in HIDDEN)
        on = f"i.{quoted(args['on'])} = t.{quoted(table.key)}"
        self._make(step.name, f"SELECT {own}{added}, {hidden} FROM input i {kind} {quoted(table.name)} t ON {on}")
        if args["unmatched"]:
            side = f"{step.name}-unmatched"
            known = f"SELECT 1 FROM {quoted(table.name)} t WHERE {on}"
            self._make(side, f"SELECT * FROM input i WHERE NOT EXISTS ({known})")
            self.side[side] = shape

    # A join of SQL over the rows that aren't late.
    def _match(self, step, shape, args):
        right = self.shapes[step.stream]
        grace = args["grace"] * 1_000_000
        late = f"coalesce(__time + {grace} < __watermark, false)"
        for name, rows in (("l", "input"), ("r", "stream")):
            self.sql.execute(f"""CREATE OR REPLACE TEMP TABLE {name} AS
                SELECT *, row_number() OVER () AS __n FROM {rows} WHERE NOT {late}""")
        on, stream_on = quoted(args["on"]), quoted(args["stream_on"])
        self.sql.execute(f"""CREATE OR REPLACE TEMP TABLE pairs AS
            SELECT l.__n AS a, r.__n AS b FROM l JOIN r ON l.{on} = r.{stream_on} AND r.__time BETWEEN
                l.__time - {args['before'] * 1_000_000} AND l.__time + {args['after'] * 1_000_000}""")
        types = {c.name: sql_type(c.type) for c in right.columns}
        own = ", ".join("l." + quoted(c) for c in shape.names())
        added = [c for c in right.names() if c != args["stream_on"]]
        other = "".join(f", r.{quoted(c)} AS {quoted(args['prefix'] + c)}" for c in added)
        missing = "".join(f", NULL::{types[c]} AS {quoted(args['prefix'] + c)}" for c in added)
        hidden = "NULL::BIGINT AS __watermark, 0 AS __source, 0 AS __partition, -1 AS __offset"
        query = f"""SELECT {own}{other}, greatest(l.__time, r.__time) AS __time, {hidden}
                    FROM pairs JOIN l ON l.__n = a JOIN r ON r.__n = b"""
        if args["type"] in ("left", "full"):
            query += f""" UNION ALL SELECT {own}{missing}, l.__time, {hidden} FROM l
                          WHERE l.__n NOT IN (SELECT a FROM pairs)"""
        if args["type"] in ("right", "full"):
            alone = ", ".join(f"r.{stream_on}" if c.name == args["on"] else f"NULL::{sql_type(c.type)}"
                              for c in shape.columns)
            query += f""" UNION ALL SELECT {alone}{other}, r.__time, {hidden} FROM r
                          WHERE r.__n NOT IN (SELECT b FROM pairs)"""
        self._make(step.name, query)
        for side, rows, of in (("left", "input", shape), ("right", "stream", right)):
            if side in args["late"]:
                name = f"{step.name}-late-{side}"
                self._make(name, f"SELECT * FROM {rows} WHERE {late}")
                self.side[name] = of

    # SQL's join of what stands on both sides.
    def _tables(self, step, shape, args):
        right = self.shapes[step.stream]
        added = [c for c in right.names() if c != args["stream_on"]]
        own = ", ".join(f"coalesce(i.{quoted(c)}, t.{quoted(args['stream_on'])}) AS {quoted(c)}" if c == args["on"]
                        else "i." + quoted(c) for c in shape.names())
        other = "".join(f", t.{quoted(c)} AS {quoted(args['prefix'] + c)}" for c in added)
        self._make(step.name, f"""
            SELECT {own}{other}, greatest(i.__time, t.__time) AS __time, NULL::BIGINT AS __watermark, 0 AS __source,
                   0 AS __partition, -1 AS __offset
            FROM input i {args['type'].upper()} JOIN stream t ON i.{quoted(args['on'])} = t.{quoted(args['stream_on'])}""")

    # Of all versions that aren't late, the newest one of the key at the time that a row asks for.
    def _versions(self, step, shape, args):
        right = self.shapes[step.stream]
        grace, keep = args["grace"] * 1_000_000, args["keep"] * 1_000_000
        on, table_on = quoted(args["on"]), quoted(args["stream_on"])
        late = f"coalesce(__time + {grace} < __watermark, false)"
        added = [c for c in right.names() if c != args["stream_on"]]
        # Of one time the last in the order of places counts, and of no place the greatest, NULL greater than all.
        places = "__source DESC, __partition DESC, __offset DESC, __none DESC"
        contents = "".join(f", {quoted(c)} DESC NULLS FIRST" for c in added)
        as_of = f"epoch_us({quoted(args['as_of'][0])}) - {args['as_of'][1] * 1_000_000}" if args["as_of"] else "__time"
        ahead = 1_000_000 if args["ahead"] is None else args["ahead"] * 1_000_000
        deleted = f"coalesce({args['deleted'] or 'false'}, false)"
        versions = f"SELECT *, {deleted} AS __none FROM stream WHERE NOT {late} AND {table_on} IS NOT NULL"
        if right.changes:
            # Those of a key count in their order, none from before the one in front of it.
            places, contents = "__n DESC", ""
            versions = f"""SELECT *, max(__at) OVER (PARTITION BY id ORDER BY __n) AS __time, __gone = 1 OR {deleted} AS __none
                           FROM {quoted(step.stream + "-history")}"""
        self.sql.execute(f"""
            CREATE OR REPLACE TEMP TABLE r AS SELECT * FROM (
                SELECT *, row_number() OVER (PARTITION BY {table_on}, __time ORDER BY {places}{contents}) AS __place
                FROM ({versions})) WHERE __place = 1;
            CREATE OR REPLACE TEMP TABLE l AS
            SELECT *, coalesce(__as_of > __time + {ahead}, false) AND {bool(args['as_of'])} AND {on} IS NOT NULL AS __ahead,
                   coalesce(__as_of + {keep + grace} < coalesce(__watermark, __time), false) AND {on} IS NOT NULL
                   AS __expired
            FROM (SELECT *, {as_of} AS __as_of, row_number() OVER () AS __n FROM input);
            CREATE OR REPLACE TEMP TABLE pairs AS SELECT * FROM (
                SELECT l.__n AS __row, r.*, row_number() OVER (PARTITION BY l.__n ORDER BY r.__time DESC) AS __newest
                FROM l JOIN r ON l.{on} = r.{table_on} AND r.__time <= l.__as_of WHERE NOT l.__expired)
            WHERE __newest = 1 AND NOT __none""")
        dead = "(__ahead OR __expired)" if args["expired"] != "unmatched" else "__ahead"
        self.dead_letters += self.sql.execute(f"SELECT count(*) FROM l WHERE {dead}").fetchall()[0][0]
        own = ", ".join("l." + quoted(c) for c in shape.names())
        other = "".join(f", p.{quoted(c)} AS {quoted(args['prefix'] + c)}" for c in added)
        hidden = ", ".join("l." + h for h in HIDDEN)
        kind = "JOIN" if args["type"] == "inner" else "LEFT JOIN"
        self._make(step.name, f"SELECT {own}{other}, {hidden} FROM l {kind} pairs p ON l.__n = p.__row WHERE NOT {dead}")
        if args["unmatched"]:
            side = f"{step.name}-unmatched"
            self._make(side, f"""SELECT {listed(shape.names() + HIDDEN)} FROM l
                                 WHERE NOT {dead} AND __n NOT IN (SELECT __row FROM pairs)""")
            self.side[side] = shape
        if args["late"]:
            side = f"{step.name}-late"
            self._make(side, f"SELECT * FROM stream WHERE {late}")
            self.side[side] = right

    @staticmethod
    def _calls(args):
        order = "__time, __source, __partition, __offset"
        calls = []
        for name, (call, argument, some) in args["aggregates"].items():
            if argument is None:
                sql = "count(*)"
            elif call in ("first", "last"):
                # DuckDB's first and last take NULLs too.
                sql = f"{call}({quoted(argument)} ORDER BY {order})"
            elif call[:6] in ("min_by", "max_by"):
                by = quoted(call[7:])
                direction = "ASC" if call[:3] == "min" else "DESC"
                sql = f"first({quoted(argument)} ORDER BY {by} {direction}, {quoted(argument)} ASC NULLS LAST)"
                some = f"{by} IS NOT NULL" + (f" AND ({some})" if some is not None else "")
            elif call == "string_agg":  # rows of one record follow their values
                sql = f"string_agg({quoted(argument)}, '+' ORDER BY {order}, {quoted(argument)})"
            else:
                sql = called(call, quoted(argument))
            if some is not None:
                sql += f" FILTER (WHERE {some})"
            calls.append(f", {sql} AS {quoted(name)}")
        return "".join(calls)

    def _window(self, step, shape, args):
        if args["gap"]:
            return self._sessions(step, shape, args)
        if args["cumulative"]:
            return self._cumulative(step, shape, args)
        every, size, grace, offset = (args[n] * 1_000_000 for n in ("every", "size", "grace", "offset"))
        # Floor division, also before 1970.
        last = f"(__time - (((__time - {offset}) % {every}) + {every}) % {every})"
        self.sql.execute(f"""
            CREATE OR REPLACE TEMP TABLE pairs AS
            SELECT *, coalesce(__start + {size + grace} <= __watermark, false) AS __late
            FROM (SELECT *, {last} - __i * {every} AS __start
                  FROM input, (SELECT unnest(range({size // every})) AS __i))""")
        groups = "".join(f"{quoted(c)}, " for c in args["group_by"])
        self._make(step.name, f"""
            SELECT {groups}make_timestamp(__start) AS window_start, make_timestamp(__start + {size}) AS window_end
                   {self._calls(args)}, __start + {size - 1000} AS __time, NULL::BIGINT AS __watermark, 0 AS __source,
                   0 AS __partition, -1 AS __offset
            FROM pairs WHERE NOT __late GROUP BY {groups}__start""")
        if args["late"]:
            side = f"{step.name}-late"
            # Once, if at least one of its windows refused the row: the earliest does so first.
            self._make(side, f"""
                SELECT * FROM input WHERE coalesce({last} + {every + grace} <= __watermark, false)""")
            self.side[side] = shape

    def _cumulative(self, step, shape, args):
        """Every row in all windows that start where its own does and end behind it."""
        every, size, grace, offset = (args[n] * 1_000_000 for n in ("every", "size", "grace", "offset"))
        start = f"(__time - (((__time - {offset}) % {size}) + {size}) % {size})"
        self.sql.execute(f"""
            CREATE OR REPLACE TEMP TABLE pairs AS
            SELECT *, coalesce(__end + {grace} <= __watermark, false) AS __late
            FROM (SELECT *, {start} AS __start, {start} + __i * {every} AS __end
                  FROM input, (SELECT unnest(range(1, {size // every + 1})) AS __i))
            WHERE __end > __time""")
        groups = "".join(f"{quoted(c)}, " for c in args["group_by"])
        self._make(step.name, f"""
            SELECT {groups}make_timestamp(__start) AS window_start, make_timestamp(__end) AS window_end
                   {self._calls(args)}, __end - 1000 AS __time, NULL::BIGINT AS __watermark, 0 AS __source,
                   0 AS __partition, -1 AS __offset
            FROM pairs WHERE NOT __late GROUP BY {groups}__start, __end""")
        if args["late"]:
            side = f"{step.name}-late"
            own_end = f"(__time - (((__time - {offset}) % {every}) + {every}) % {every}) + {every}"
            self._make(side, f"SELECT * FROM input WHERE coalesce({own_end} + {grace} <= __watermark, false)")
            self.side[side] = shape

    def _sessions(self, step, shape, args):
        """Gaps and islands: a row more than a gap behind the one before begins a session."""
        gap, grace = (args[n] * 1_000_000 for n in ("gap", "grace"))
        by = f"PARTITION BY {listed(args['group_by'])} " if args["group_by"] else ""
        late = f"coalesce(__time + {grace} < __watermark, false)"
        # Rows of one time are peers: all of them are in the sum.
        self.sql.execute(f"""
            CREATE OR REPLACE TEMP TABLE pairs AS
            SELECT *, sum(__begins) OVER ({by}ORDER BY __time) AS __session
            FROM (SELECT *, CASE WHEN __time - lag(__time) OVER ({by}ORDER BY __time) <= {gap} THEN 0 ELSE 1 END
                            AS __begins
                  FROM input WHERE NOT {late})""")
        groups = "".join(f"{quoted(c)}, " for c in args["group_by"])
        self._make(step.name, f"""
            SELECT {groups}make_timestamp(min(__time)) AS window_start, make_timestamp(max(__time) + {gap}) AS window_end
                   {self._calls(args)}, max(__time) + {gap - 1000} AS __time, NULL::BIGINT AS __watermark, 0 AS __source,
                   0 AS __partition, -1 AS __offset
            FROM pairs GROUP BY {groups}__session""")
        if args["late"]:
            side = f"{step.name}-late"
            self._make(side, f"SELECT * FROM input WHERE {late}")
            self.side[side] = shape

    def _alert(self, step, shape, args):
        """Each key by itself, from row to row; SQL only says what the conditions are and puts the columns together."""
        grace = args["grace"] * 1_000_000
        late = f"coalesce(__time + {grace} < __watermark, false)"
        order = ", ".join(["__time", "__source", "__partition", "__offset"] +
                          [f"{quoted(c)} ASC NULLS LAST" for c in shape.names()])
        raise_ = args["raise"] or "false"
        clear = args["clear"] or f"not ({raise_})"
        self.sql.execute(f"""
            CREATE OR REPLACE TEMP TABLE readings AS
            SELECT *, row_number() OVER (ORDER BY {order}) AS __n, dense_rank() OVER (ORDER BY {listed(args['by'])}) AS __key,
                   ({raise_}) AS __raise, ({clear}) AS __clear
            FROM input WHERE NOT {late}""")
        keys = {}
        for key, *reading in self.sql.execute(
                "SELECT __key, __n, __time, __raise, __clear FROM readings ORDER BY __n").fetchall():
            keys.setdefault(key, []).append(reading)
        said = [row for readings in keys.values() for row in alerts(readings, args, last_time(self.case))]
        columns = [Column("__n", "int64"), Column("alert_state", "string"), Column("alert_kind", "string"),
                   Column("__start", "int64"), Column("__at", "int64")]
        self.sql.execute("DROP TABLE IF EXISTS said")
        self._load("said", columns, said, [])
        self._make(step.name, f"""
            SELECT {listed(shape.names())}, alert_state, alert_kind, make_timestamp(__start) AS alert_start,
                   make_timestamp(__at) AS alert_time, (__at - __start) / 1e6 AS alert_seconds, __at AS __time,
                   NULL::BIGINT AS __watermark, 0 AS __source, 0 AS __partition, -1 AS __offset
            FROM said JOIN (SELECT {listed(shape.names())}, __n FROM readings) USING (__n)""")
        if args["late"]:
            side = f"{step.name}-late"
            self._make(side, f"SELECT * FROM input WHERE {late}")
            self.side[side] = shape

    # SQL's windows, over the rows that aren't late.
    def _over(self, step, shape, args):
        late = f"coalesce(__time + {args['grace'] * 1_000_000} < __watermark, false)"
        order = ", ".join(["__time", "__source", "__partition", "__offset"] +
                          [f"{quoted(c)} ASC NULLS LAST" for c in shape.names()])
        by = f"PARTITION BY {listed(args['by'])}"
        frame = f"{by} ORDER BY {order} ROWS BETWEEN {args['rows'] - 1} PRECEDING AND CURRENT ROW" if args["rows"] else \
            f"{by} ORDER BY __time RANGE BETWEEN {args['range'] * 1_000_000} PRECEDING AND CURRENT ROW"
        made = ""
        for name, (call, argument, some) in args["aggregates"].items():
            some = f" FILTER (WHERE {some})" if some is not None else ""
            made += f", {called(call, quoted(argument) if argument else '*')}{some} OVER ({frame}) AS {quoted(name)}"
        for name, (column, rows) in args["lags"].items():
            made += f", lag({quoted(column)}, {rows}) OVER ({by} ORDER BY {order}) AS {quoted(name)}"
        self._make(step.name, f"""
            SELECT {listed(shape.names())}{made}, __time, NULL::BIGINT AS __watermark, __source, __partition, __offset
            FROM input WHERE NOT {late}""")
        if args["late"]:
            side = f"{step.name}-late"
            self._make(side, f"SELECT * FROM input WHERE {late}")
            self.side[side] = shape

    def _group_by(self, step, shape, args):
        groups = "".join(f"{quoted(c)}, " for c in args["group_by"])
        self._make(step.name, f"""
            SELECT {groups.rstrip(', ')} {self._calls(args)}, max(__time) AS __time, NULL::BIGINT AS __watermark,
                   0 AS __source, 0 AS __partition, -1 AS __offset
            FROM input GROUP BY {groups.rstrip(', ')}""")

    def _top(self, step, shape, args):
        by = list(args["by"]) + (["window_start", "window_end"] if args["emit"] == "on_close" else [])
        ordered = [f"{quoted(c)} {d} NULLS {'LAST' if d == 'asc' else 'FIRST'}" for c, d in args["order"]]
        ties = [f"{quoted(c)} ASC NULLS LAST" for c in shape.names() if c not in [o for o, _ in args["order"]]]
        partition = f"PARTITION BY {listed(dict.fromkeys(by))}" if by else ""
        rank = f", __rank AS {quoted(args['rank'])}" if args["rank"] else ""
        self._make(step.name, f"""
            SELECT {listed(shape.names())}{rank}, {', '.join(HIDDEN)} FROM (
                SELECT *, row_number() OVER ({partition} ORDER BY {', '.join(ordered + ties)}) AS __rank FROM input)
            WHERE __rank <= {args['k']}""")
