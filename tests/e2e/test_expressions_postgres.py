#!/usr/bin/env python3
"""Expressions mean what they mean in PostgreSQL: every expression below is evaluated over every row by Tidemark and by a
real PostgreSQL 15; type, value, NULL and error message must agree. What is meant to differ is in docs/expressions.md and
not in these lists.

    tests/e2e/test_expressions_postgres.py [--keep]
"""

import argparse
import csv
import datetime
import decimal
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pyarrow as pa

ROOT = pathlib.Path(__file__).resolve().parents[2]
UTC = datetime.timezone.utc
D = decimal.Decimal
decimal.getcontext().prec = 100

TYPES = {
    "boolean": "bool", "integer": "int32", "bigint": "int64", "double precision": "double", "text": "string",
    "bytea": "bytes", "date": "date", "numeric": "decimal", "timestamp with time zone": "timestamp",
    "timestamp without time zone": "timestamp", "character varying": "string", "json": "json", "jsonb": "json",
}

COLUMNS = [
    # name, PostgreSQL's type, Arrow's
    ("b", "boolean", pa.bool_()),
    ("i", "integer", pa.int32()),
    ("j", "integer", pa.int32()),
    ("k", "bigint", pa.int64()),
    ("l", "bigint", pa.int64()),
    ("f", "double precision", pa.float64()),
    ("g", "double precision", pa.float64()),
    ("n", "numeric(18,4)", pa.decimal128(18, 4)),
    ("m", "numeric(10,2)", pa.decimal128(10, 2)),
    ("s", "text", pa.string()),
    ("t", "text", pa.string()),
    ("y", "bytea", pa.binary()),
    ("d", "date", pa.date32()),
    ("e", "date", pa.date32()),
    ("z", "timestamptz", pa.timestamp("us", "UTC")),
    ("w", "timestamptz", pa.timestamp("us", "UTC")),
]


def at(*args):
    return datetime.datetime(*args, tzinfo=UTC)


def day(*args):
    return datetime.date(*args)


I4, I8 = 2**31 - 1, 2**63 - 1
ROWS = [
    # b, i, j, k, l, f, g, n, m, s, t, y, d, e, z, w
    (True, 1, 2, 3, 4, 1.5, 2.5, D("1.2345"), D("2.50"), "abc", "b", b"abc", day(2024, 2, 29), day(2023, 12, 31),
     at(2024, 2, 29, 13, 45, 59, 123456), at(2023, 1, 1)),
    (False, -7, 2, -7, 3, -1.5, 0.0, D("-12.5000"), D("0.00"), "Hello World", "o", b"\x00\xff", day(1970, 1, 1),
     day(1969, 12, 31), at(1969, 12, 31, 23, 59, 59, 999999), at(1970, 1, 1)),
    (None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None),
    (True, I4, 1, I8, 1, 1e308, 1e308, D("99999999999999.9999"), D("99999999.99"), "", "", b"", day(9999, 12, 31),
     day(1, 1, 1), at(9999, 12, 31, 23, 59, 59, 999999), at(1, 1, 1)),
    (False, -I4 - 1, -1, -I8 - 1, -1, float("nan"), 1.0, D("-99999999999999.9999"), D("-99999999.99"), " 42 ", "%",
     b"\\", day(2000, 1, 1), day(2000, 12, 31), at(2000, 1, 1), at(2000, 12, 31, 12)),
    (True, 0, 0, 0, 0, 0.0, -0.0, D("0.0000"), D("0.01"), "12345", "1", b"1", day(2021, 1, 3), day(2020, 12, 28),
     at(2021, 1, 3, 0, 0, 0, 1), at(2020, 12, 28, 6, 30)),
    (None, 5, None, 5, None, 2.5, None, D("2.5000"), None, "straße ÄÖÜ 日本", "日", b"\xe6", day(1900, 3, 1), None,
     at(1900, 3, 1, 5, 4, 3), None),
    (False, -5, 3, 9007199254740993, 1000, 1e15, 1e-5, D("0.0001"), D("-0.50"), "a_b%c\\d", "\\", b"%", day(2016, 2, 29),
     day(2015, 2, 28), at(2016, 2, 29, 23, 59, 59, 500000), at(2015, 10, 25, 1, 2, 3, 4)),
    (True, 100, -3, 123456789012, -3, float("inf"), -2.0, D("1234567.8901"), D("3.33"), "true", "T", b"t",
     day(2026, 1, 1), day(2025, 12, 29), at(2026, 1, 1, 7, 8, 9), at(2025, 12, 29)),
    (False, 42, 42, 42, 42, 0.1, 0.2, D("0.5000"), D("0.50"), "2024-02-29", "1.5e3", b"2", day(1999, 12, 31),
     day(1999, 1, 4), at(1999, 12, 31, 11, 59), at(1999, 1, 4)),
]


def expressions():
    """Grouped by family; cross products where they cost nothing to write."""
    numbers = ["i", "k", "n", "f"]
    for op in "+-*/":
        for left in numbers:
            for right in ["j", "l", "m", "g"]:
                if (left, right, op) != ("n", "m", "*"):
                    yield f"{left} {op} {right}"
    for left, right in [("i", "j"), ("i", "l"), ("k", "j"), ("k", "l"), ("n", "m"), ("i", "m"), ("n", "l")]:
        yield f"{left} % {right}"
        yield f"mod({left}, {right})"
    yield from ["i + 1", "1 + i", "i * 2", "k + 1.5", "n * 2", "n + 1", "m * 1.5", "i - -1", "-i", "-k", "-n", "-f", "+i",
                "i / 2", "i / 2.0", "k % 10", "n / 3", "1 / f", "i * i", "k * k", "i + k", "(i + 1) * 2 - j", "2147483647",
                "2147483648", "-2147483648", "9223372036854775807", "9223372036854775808", "1.50", "1e3", "1.5e-3",
                "0.0", "i + '1'", "f * '2'", "n - '0.5'", "2 ^ 3", "f ^ 2", "power(i, 2)", "power(f, 0.5)", "power(2, g)",
                "i * 1000000", "k / 7 * 7 + k % 7 = k", "m * m", "m / 7", "m + n - 1", "m % 1"]
    for op in ["=", "<>", "!=", "<", "<=", ">", ">=", "is distinct from", "is not distinct from"]:
        for left, right in [("i", "j"), ("i", "l"), ("k", "m"), ("f", "g"), ("n", "m"), ("n", "f"), ("s", "t"), ("d", "e"),
                            ("z", "w"), ("d", "w"), ("b", "(i > 0)"), ("y", "'abc'::bytea"), ("i", "1"), ("s", "'abc'"),
                            ("f", "'NaN'::float8"), ("k", "42"), ("n", "0.5"), ("z", "'2000-01-01'"), ("d", "'2000-01-01'"),
                            ("i", "null")]:
            yield f"{left} {op} {right}"
    conditions = ["b", "i > 0", "s is null", "null::bool", "true", "false", "f > 1"]
    for left in conditions:
        for right in conditions:
            yield f"{left} and {right}"
            yield f"{left} or {right}"
    for test in ["is true", "is not true", "is false", "is not false", "is unknown", "is not unknown", "is null",
                 "is not null"]:
        yield f"b {test}"
        yield f"(i > 0) {test}"
    yield from ["not b", "not (i > 0 and b)", "s is null", "i is not null", "null is null", "(i / j) is null",
                "b and i / j > 0", "not b or i / j > 0", "j <> 0 and i / j > 0", "j = 0 or i / j > 0"]
    # Branches that aren't taken don't fail.
    yield from ["case when j <> 0 then i / j end", "case when j = 0 then 0 else i / j end",
                "case j when 0 then -1 when 2 then i / j else i end", "case when b then i else j end",
                "case when b then i else l end", "case when b then i else m end", "case when b then i else f end",
                "case when b then s else 'x' end", "case when b then d else z end", "case when i > 0 then 'pos' end",
                "case when j <> 0 then case when i / j > 0 then k / l else 0 end else -1 end",
                "case when b then null else n end", "case s when 'abc' then 1 when '' then 2 else 3 end",
                "case when j = 0 then null when i / j > 1 then s else t end", "case when b is null then y end",
                "coalesce(i, 0)", "coalesce(i, k)", "coalesce(j, i / nullif(j, 0), 7)", "coalesce(s, 'none')",
                "coalesce(null, n, 0)", "coalesce(i, 1 / (i - i))", "coalesce(z, w)", "coalesce(d, '2000-01-01')",
                "nullif(i, j)", "nullif(i, 5)", "nullif(s, '')", "nullif(f, g)", "nullif(k, 42.0)", "i / nullif(j, 0)",
                "greatest(i, j)", "least(i, j)", "greatest(i, k, l)", "greatest(f, g)", "least(f, 1)", "least(s, t)",
                "greatest(s, t, 'm')", "greatest(n, m)", "least(n, i)", "greatest(d, e)", "least(z, w)", "greatest(b, false)",
                "greatest(null, i)", "coalesce(m, '1.2345')", "case when b then m else '0.125' end",
                "m in ('2.5', '0.5000', '3.3301')", "greatest(m, '1.005')"]
    yield from ["i in (1, 2, 42)", "i not in (1, 2, 42)", "i in (1, null)", "i not in (1, null)", "s in ('abc', '')",
                "s not in ('abc', '12345')", "k in (3, 42, 9223372036854775807)", "f in (1.5, 'NaN')", "n in (0.5, 1.2345)",
                "i in (j, 5)", "i in (1.0, 2.5)", "z in ('2000-01-01', '1970-01-01')", "d in ('2024-02-29', e)",
                "i in (1,2,3,4,5,6,7,8,9,10,42,100)", "s in ('a','b','c','d','e','f','g','h','i','abc','')",
                "i in (1,2,3,4,5,6,7,8,9,10,null)", "b in (true)", "i in (10 / nullif(j, 0), 5)"]
    yield from ["i between 0 and 10", "i not between 0 and 10", "i between j and k", "i between symmetric 10 and 0",
                "s between 'a' and 'm'", "z between '1970-01-01' and '2020-01-01'", "f between 0 and 2",
                "d between e and '2030-01-01'", "n between -1 and 1.5"]
    for pattern in ["'abc'", "'a%'", "'%c'", "'%b%'", "'_b_'", "'%'", "''", "'%o%o%'", "'H_llo%'", "'%\\%%'", "'a\\_%'",
                    "'%\\\\%'", "'___'", "'%日_'", "'%ß%'", "'h%'", "t", "'%' || t || '%'", "null", "'_____ _____'"]:
        yield f"s like {pattern}"
        yield f"s not like {pattern}"
        yield f"s ilike {pattern}"
    yield from ["s like '%!%%' escape '!'", "s like 'a!_b%' escape '!'", "s not like '%!' escape '!'", "s like 'abc' escape ''",
                "s like 'a%' escape coalesce(t, '!')", "s ilike 'HELLO%'", "s ilike '%ÄÖ%'", "s not ilike 'ABC'", "s like 'x\\'"]
    # Casts.
    for column in ["b", "i", "k", "f", "n", "m", "s", "t", "y", "d", "z"]:
        yield f"{column}::text"
    for column, types in {
        "b": ["int", "boolean"], "i": ["bool", "bigint", "float8", "numeric(12,2)", "numeric(10,2)", "numeric", "int4"],
        "k": ["int", "float8", "numeric(20,1)", "numeric(12,0)", "numeric", "int8"],
        "f": ["int", "bigint", "double precision"], "nullif(f, 'NaN')": ["numeric(20,4)", "numeric(5,1)"],
        "n": ["int", "bigint", "float8", "numeric(18,2)", "numeric(10,4)", "numeric(38,10)", "numeric(4,0)", "numeric"],
        "m": ["int", "numeric(4,1)", "float8"],
        "s": ["bool", "int", "bigint", "float8", "numeric(10,2)", "bytea", "text", "varchar"],
        "nullif(s, ' 42 ')": ["date", "timestamptz"],
        "t": ["bool", "int", "bigint", "float8", "numeric(10,2)", "date", "timestamptz", "bytea"],
        "d": ["timestamptz", "date"], "z": ["date", "timestamptz"],
    }.items():
        for name in types:
            yield f"cast({column} as {name})"
    for text in ["' 42 '", "'-7'", "'+7'", "'1_000'", "''", "'abc'", "'99999999999'", "'9223372036854775807'",
                 "'9223372036854775808'", "'1.5'", "'-'", "'+ 5'", "'0x10'", "'007'"]:
        yield f"(s || {text})::int" if text == "''" else f"substr(coalesce(s, '') || 'x' || {text}, length(coalesce(s, '')) + 2)::int"
        yield f"substr({text} || coalesce(s, ''), 1, length({text}))::bigint"
    for text in ["'1e3'", "'1e400'", "'1e-400'", "'NaN'", "'inf'", "'-Infinity'", "' 2.5 '", "'.5'", "'5.'", "'.'", "'1e'",
                 "'1.7976931348623157e308'", "'0x1p3'", "'4.9e-324'", "'nan'", "'infinit'"]:
        yield f"substr({text} || coalesce(s, ''), 1, length({text}))::float8"
    for text in ["'1e3'", "'12.345'", "'-0.005'", "' 7 '", "'.5'", "'5.'", "'.'", "'1e'", "'abc'", "'12345678.9'", "'1e-10'",
                 "'99999999.994'", "'99999999.995'", "'1.2.3'", "'+1.25'"]:
        yield f"substr({text} || coalesce(s, ''), 1, length({text}))::numeric(10,2)"
    for text in ["'t'", "'TRUE'", "' yes '", "'y'", "'on'", "'o'", "'of'", "'off'", "'0'", "'1'", "'2'", "'tr'", "'n'", "''"]:
        yield f"substr({text} || coalesce(s, ''), 1, length({text}))::bool"
    for text in ["'2024-02-29'", "'2023-02-29'", "'2024-2-9'", "'2024-13-01'", "'2024-01-01 10:00:00'", "'0001-01-01'",
                 "'9999-12-31'", "'2024-01-32'", "'abc'", "''", "' 2024-01-01 '", "'2024-01-01T00:00:00Z'",
                 "'2024-01-01 25:00:00'", "'0000-01-01'"]:
        yield f"substr({text} || coalesce(s, ''), 1, length({text}))::date"
    for text in ["'2024-02-29T13:45:59.123456Z'", "'2024-02-29 13:45:59.1234562+02'", "'2024-02-29 13:45'", "'2024-02-29'",
                 "'2024-02-29 24:00:00'", "'2024-02-29 24:00:01'", "'2024-02-29 23:59:60'", "'2024-02-29 13:60:00'",
                 "'2024-02-29T13:45:59+05:30'", "'2024-02-29T13:45:59-0800'", "'2024-02-29T13:45:59.5 UTC'", "'2024-02-30'",
                 "'2024-02-29T13:45:59+16:00'", "'nonsense'", "'2024-02-29 13:45:59.'", "'2024-02-29T'", "'0001-01-01 00:00:00Z'",
                 "'2024-02-29 1:02:03'"]:
        yield f"substr({text} || coalesce(s, ''), 1, length({text}))::timestamptz"
    for text in ["'\\x00ff'", "'\\x0'", "'\\xzz'", "'abc\\\\d'", "'a\\001b'", "'\\9'"]:
        yield f"substr({text} || coalesce(s, ''), 1, length({text}))::bytea"
    for value in ["1e15", "1e14", "123456789012345678", "1.5", "0.1", "0.0001", "0.00001", "1e100", "-0.0", "100", "1e-300",
                  "3.141592653589793", "1e16", "999999999999999"]:
        yield f"('{value}'::float8 + 0 * coalesce(nullif(f, f), 0))::text"
    # Text.
    yield "upper(replace(s, 'ß', 'é'))"
    for function in ["lower", "length", "char_length", "octet_length", "trim", "btrim", "ltrim", "rtrim"]:
        yield f"{function}(s)"
    yield from ["length(y)", "octet_length(y)", "trim(both 'H d' from s)", "trim(leading 'Ha' from s)", "trim(trailing from s)",
                "btrim(s, 'abc日')", "ltrim(s, '1H')", "rtrim(s, '5d本')", "btrim(s, '')", "replace(s, t, '<>')",
                "replace(s, 'l', 'LL')", "replace(s, '', 'x')", "starts_with(s, 'a')", "starts_with(s, t)", "strpos(s, t)",
                "position('b' in s)", "position('日' in s)", "s || t", "s || 'x'", "s || i", "i || s", "s || b", "s || f",
                "s || n", "s || d", "s || z", "y || '\\x01'::bytea", "concat(s, t)", "concat(s, i, b, f, n, d, z)",
                "concat(s, null, '-', t)", "s || null"]
    for n in ["-3", "-1", "0", "1", "2", "5", "100", "i", "j"]:
        yield f"left(s, {n})"
        yield f"right(s, {n})"
        yield f"substr(s, {n})"
        yield f"substring(s from {n})"
        yield f"substr(s, {n}, 3)"
        yield f"substr(s, 2, {n})"
        yield f"substring(s from {n} for 2)"
    # Numbers.
    for function in ["abs", "round", "floor", "ceil", "ceiling", "sign", "trunc", "sqrt"]:
        for column in ["i", "k", "f", "g"]:
            yield f"{function}({column})"
        if function != "sqrt":
            yield f"{function}(n)"
            yield f"{function}(m)"
    yield from ["round(n, 2)", "round(n, 0)", "round(n, -2)", "round(m, 1)", "round(i, -1)", "trunc(n, 2)", "trunc(n, -3)",
                "round(n, 6)", "round(nullif(f, 'NaN')::numeric(20,4), 1)", "floor(f / nullif(g, 0))", "round(0.5::float8 + i)",
                "round(i + 0.5)", "abs(n) + abs(i)"]
    # Time.
    fields = ["year", "month", "day", "dow", "isodow", "doy", "week", "isoyear", "quarter", "decade", "century", "millennium",
              "epoch"]
    for field in fields + ["hour", "minute", "second", "milliseconds", "microseconds", "timezone"]:
        yield f"extract({field} from z)"
        yield f"extract({field} from w)"
    for field in fields:
        yield f"extract({field} from d)"
        yield f"extract({field} from e)"
    yield from ["extract(hours from z)", "date_part('hour', z)", "date_part('epoch', z)", "date_part('year', d)",
                "extract(epoch from z) - extract(epoch from w)", "extract(epoch from z)::bigint"]
    for unit in ["microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year",
                 "decade", "century", "millennium"]:
        yield f"date_trunc('{unit}', z)"
        yield f"date_trunc('{unit}', w)"
        yield f"date_trunc('{unit}', d)"
    yield from ["date(z)", "date(d)", "z::date = d", "d + 1", "1 + d", "d - 1", "d + i", "d - i", "d - e", "e - d", "d - e + 1",
                "date '2024-02-29' - d", "timestamptz '2024-01-01 12:00:00+02'", "date '2024-02-29'",
                "'2024-01-01T00:00:00Z'::timestamptz", "to_timestamp(1.5)", "to_timestamp(i)"]
    for interval in ["1 hour", "90 minutes", "1 day", "-1 day", "1 day 02:03:04.5", "1 month", "-1 month", "1 year", "13 months",
                     "1.5 hours", "2 weeks", "10 milliseconds", "1 year 2 months 3 days", "1 decade", "250 microseconds"]:
        yield f"z + interval '{interval}'"
        yield f"z - interval '{interval}'"
        yield f"d + interval '{interval}'"
    yield from ["interval '1 hour' + z", "z + 2 * interval '1 hour'", "z + least(i, 100) * interval '1 second'",
                "z - interval '1 minute' * 1.5", "z > w + interval '1 day'", "date_trunc('hour', z) + interval '30 minutes'",
                "z + j * interval '1 month'", "z + interval '1 hour' * -2", "d - interval '1 day'", "z + (- interval '1 hour')"]
    yield from regular_expressions()
    yield from made_text()
    yield from bytes_and_digests()
    yield from zones_and_formats()
    yield from more_numbers()
    yield from json_values()


def json_values():
    """Our json is PostgreSQL's json: the text as it is written."""
    docs = ['{"a": 1, "b": {"c": [10, "x", null, {"d": 2.50}]}, "a": "last", "": 0}', '[1, "two", [3, 4], {"k": true}, null]', '"text \\\\u20ac \\\\" \\\\n"',
            '12.50', 'true', 'null', '{}', '[]', ' { "a" : [ ] } ', '{"a\\\\tb": 1, "q\\\\"": 2}', '{"日": "本"}']
    for doc in docs:
        value = "(left(s, 0) || '" + doc.replace("\\\\", "\\") + "')::json"
        yield from [f"{value}::text", f"json_typeof({value})", f"json_array_length({value})"]
        for step in ["'a'", "'b'", "0", "1", "-1", "-2", "5", "''", "'日'", "t", "j"]:
            yield f"{value} -> {step}"
            yield f"{value} ->> {step}"
        for path in ["{a}", "{b,c}", "{b,c,3,d}", "{b,c,-1}", "{0}", "{2,1}", "{}", "{b,c,x}", '{"a"}', "{ b , c }"]:
            yield f"{value} #> '{path}'"
            yield f"{value} #>> '{path}'"
        yield f"json_extract_path_text({value}, 'b', 'c', '1')"
        yield f"json_extract_path({value}, t)"
        yield f"{value}::jsonb ? 'a'"
        yield f"({value} ->> 'a') = 'last'"
    for value in ["i", "k", "n", "b", "s", "d", "z", "y", "f", "m"]:
        yield f"to_json({value})"
    yield "to_json(z at time zone 'Asia/Tokyo')"
    yield from ["json_build_object('i', i, 's', s, 'n', null, 'j', to_json(b))", "json_build_array(i, t, z, null)", "json_build_object()",
                "s::json", "t::json", "(s::json)::text", "'x' || '[1]'::json", "coalesce(null, '1'::json)",
                "case when b then '1'::json else '[2]' end", "'{\"a\":1}'::json is null"]


def regular_expressions():
    patterns = ["^a", "b$", "l+", "[a-c]", "[^a-z ]", "^$", "", "(?:a|b)c", "o.*o", "\\d+", "\\w+", "\\s", "\\S\\S", "^\\D+$",
                "\\W", "[[:alpha:]]+", "[[:digit:]]{2,3}", "[[:space:]]", "[[:upper:]]", "[[:punct:]]", "日", "[Ä-Ü]", "ß|日本",
                "h(.)llo", "x*", "(a)(b)(c)", "[]a]", "[^]a]", "a{0,1}b", "\\.", "\\\\", "%", "[\\w]+ [\\d\\s]", "\\u0061",
                "\\x62", "\\AHello\\Z", "[-a]", "[a\\]]", "(a|bc)?", "a{2}", "\\{", "{", "(?i)HELLO", "(?c)hello", "^.{3}$",
                "\\Yb\\Y", "[_%]", "$", "^", "a.c", "((a)|(b))c"]
    for pattern in patterns:
        quoted = "'" + pattern + "'"
        yield f"s ~ {quoted}"
        yield f"s !~* {quoted}"
        yield f"regexp_replace(s, {quoted}, '<\\&>')"
        yield f"regexp_replace(s, {quoted}, '-', 'g')"
        yield f"regexp_count(s, {quoted})"
        yield f"regexp_substr(s, {quoted})"
        yield f"substring(s from {quoted})"
        yield f"(regexp_match(s, {quoted}))[1]"
        yield f"regexp_instr(s, {quoted})"
    yield from ["s ~* 'HELLO'", "s !~ 'o'", "s ~ null", "t ~ 'b' and s ~ 'a'", "regexp_like(s, 'H', 'i')", "regexp_like(s, '^a.c')",
                "regexp_replace(s, '(.)(.)', '\\2\\1', 'g')", "regexp_replace(s, 'L', '_', 'gi')", "regexp_replace(s, 'a', t)",
                "regexp_replace(s, '(a)|(b)', '[\\1\\2]', 'g')", "regexp_replace(s, 'o', '\\\\')", "regexp_replace(s, 'o', '\\x')",
                "regexp_replace(s, 'o', '\\')", "regexp_replace(s, 'o', '\\9')", "regexp_count(s, 'l', 4)", "regexp_count(s, 'L', 1, 'i')",
                "regexp_count(s, 'l', j)", "regexp_substr(s, 'o.', 1, 2)", "regexp_substr(s, '(.)o', 1, 1, 'i', 1)",
                "regexp_substr(s, '.', i)", "regexp_substr(s, '(l)(o)?', 1, 2, '', 2)", "regexp_substr(s, 'a', 100)",
                "regexp_instr(s, 'o', 1, 2)", "(regexp_match(s, '(.)(.)'))[2]", "(regexp_match(s, '(x)|(.)'))[1]",
                "(regexp_match(s, 'H(.)', 'i'))[1]", "(regexp_match(s, '(.)'))[2]", "(regexp_match(s, '(.)'))[0]",
                "substring(s from '(.)b')", "substring(s from 'x|(y)')",
                # Lazy quantifiers.
                "regexp_replace(s, 'l.*?o', '_')", "regexp_substr(s, '.+? ')", "(regexp_match(s, '(.*?)o'))[1]",
                "regexp_replace(s, '.??', '_', 'g')", "regexp_substr(s, '[a-z]*?[lc]')",
                # The longest alternative, as POSIX has it.
                "regexp_substr(s, 'a|ab|abc')", "regexp_replace(s, 'l|ll|llo', '_')",
                # Lines.
                "(s || chr(10) || 'x') ~ '^x'", "regexp_like(s || chr(10) || 'x', '^x', 'n')",
                "regexp_replace(s || chr(10) || 'x', '.', '_', 'g')", "regexp_replace(s || chr(10) || 'x', '.', '_', 'gn')",
                "regexp_replace(s || chr(10) || 'x', '[^a]', '_', 'gn')", "regexp_count(s || chr(10) || 'x', '$', 1, 'n')"]


def made_text():
    for n in ["-1", "0", "2", "8", "i"]:
        yield f"lpad(s, least({n}, 50))"
        yield f"rpad(s, least({n}, 50), 'xy日')"
        yield f"lpad(s, least({n}, 50), t)"
        yield f"repeat(s, least({n}, 20))"
        yield f"split_part(s, 'l', {n})"
        yield f"split_part(s, t, {n})"
    yield from ["split_part(s, '', 1)", "split_part(s, '', 2)", "split_part(s, '日', -1)", "reverse(s)", "reverse(t)", "initcap(s)",
                "initcap('hELLO wORLD-foo_bar 1st x2y ' || s)", "translate(s, 'abc', 'xy')", "translate(s, 'lo日', 'L')",
                "translate(s, '', 'x')", "ascii(s)", "ascii(t)", "chr(65)", "chr(26085)", "chr(i)", "to_hex(i)", "to_hex(k)",
                "concat_ws('-', s, t)", "concat_ws(t, s, i, null, d)", "concat_ws(', ', i, b, n)", "bit_length(s)", "bit_length(y)",
                "to_hex(255)"]


def bytes_and_digests():
    yield from ["md5(s)", "md5(y)", "sha224(y)", "sha256(y)", "sha384(y)", "sha512(y)", "md5('')", "sha256('abc')",
                "sha256(convert_to(s, 'UTF8'))", "convert_to(s, 'utf-8')", "convert_from(y, 'UTF8')"]
    for encoding in ["hex", "base64", "escape"]:
        yield f"encode(y, '{encoding}')"
        yield f"encode(convert_to(repeat(s, 12), 'UTF8'), '{encoding}')"
        yield f"decode(s, '{encoding}')"
        for text in ["YWJj", "YQ==", "YWI=", "YQ=", "=", "Y W J j", "YWJj=", "00ff", "0F 0f", "0", "\\001", "\\\\", "zz", "日", "YQ==YQ=="]:
            yield f"decode('{text}' || left(s, 0), '{encoding}')"


def zones_and_formats():
    zones = ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC", "Australia/Lord_Howe", "Etc/GMT+5"]
    for zone in zones:
        yield f"z at time zone '{zone}'"
        yield f"z::timestamp at time zone '{zone}'"
        yield f"d at time zone '{zone}'"
        yield f"date_trunc('day', z at time zone '{zone}') at time zone '{zone}'"
        for unit in ["day", "month", "hour", "week", "minute"]:
            yield f"date_trunc('{unit}', z, '{zone}')"
        for local in ["2024-03-31 02:30", "2024-10-27 02:30", "2024-03-10 02:30", "2024-11-03 01:30", "1850-01-01 00:00", "2500-07-01 12:00"]:
            yield f"timestamp '{local}' at time zone '{zone}'"
            yield f"timestamptz '{local} +00' at time zone '{zone}'"
    yield from ["z at time zone (case when i > 0 then 'Europe/Berlin' else 'Asia/Tokyo' end)", "z at time zone ('no/where' || left(s, 0))",
                "timezone('Asia/Tokyo', z)", "extract(hour from z at time zone 'Asia/Tokyo')", "(z at time zone 'Asia/Tokyo')::date",
                "to_char(z at time zone 'Asia/Tokyo', 'HH24:MI TZ|')", "(z at time zone 'Asia/Tokyo') + interval '1 day'",
                "coalesce(z at time zone 'UTC', w)", "z at time zone 'Asia/Tokyo' > w"]
    yield from ["extract(epoch from z - w)", "extract(epoch from z - d)", "date_part('epoch', z - w)", "z - w > interval '1 day'",
                "interval '90 seconds' <= z - w", "z - w = interval '0 seconds'"]
    for stride in ["15 minutes", "1 day", "7 seconds", "1.5 hours"]:
        yield f"date_bin('{stride}', z, timestamptz '2001-01-01')"
        yield f"date_bin('{stride}', z, w)" if stride != "1 day" else f"date_bin(interval '1 day', z, '2020-01-01 05:00+00')"
    yield from ["make_date(2024, 2, 29)", "make_date(i, 1, 1)", "make_date(2023, 2, j)", "make_date(-44, 3, 15)"]
    for text in ["YYYY-MM-DD HH24:MI:SS", "YYYYMMDD", "YY/MM/DD", "DD Mon YYYY", "FMDay, FMDDth", "Day|DAY|day|Dy|DY|dy", "Month|MONTH|month|",
                 "FMMonth FMDD, FMYYYY", "HH12:MI AM", "hh:mi:ss pm", "MS US", "SSSS SSSSS", "Q D ID DDD WW IW W", "IYYY-IW-ID",
                 "YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"", "TZ tz OF TZH:TZM", "yyyy-mm-dd", "FMHH24:FMMI", "日YYYY", "\\\"YYYY\\\"", "FMDDD FMYY"]:
        if "th" not in text.replace("Month", "").replace("month", ""):
            yield f"to_char(z, '{text}')"
            yield f"to_char(w, '{text}')"
            yield f"to_char(d, '{text}')"
    for text, form in [("2024-02-29", "YYYY-MM-DD"), ("2023-02-29", "YYYY-MM-DD"), ("20240229", "YYYYMMDD"), ("29.02.2024", "DD.MM.YYYY"),
                       ("29/2/24", "DD/MM/YY"), ("Feb 29 2024", "Mon DD YYYY"), ("february 29, 2024", "Month DD, YYYY"), ("xyz", "Mon"),
                       ("2024", "YYYY-MM-DD"), ("2024-13-01", "YYYY-MM-DD"), ("2024-00-00", "YYYY-MM-DD"), ("2024-060", "YYYY-DDD"),
                       ("2023-366", "YYYY-DDD"), ("", "YYYY"), ("abcd", "YYYY"), ("2024-02-29 13:45:59.5", "YYYY-MM-DD HH24:MI:SS.MS"),
                       ("2024-02-29 13:45:59.123456", "YYYY-MM-DD HH24:MI:SS.US"), ("2024-02-29 01:45 PM", "YYYY-MM-DD HH12:MI AM"),
                       ("2024-02-29 13:45 PM", "YYYY-MM-DD HH12:MI AM"), ("2024-02-29 24:00", "YYYY-MM-DD HH24:MI"),
                       ("2024-02-29T10:11:12Z", "YYYY-MM-DD\"T\"HH24:MI:SS\"Z\""), ("2024 -02-  29", "YYYY-MM-DD"), ("  2024-02-29", "YYYY-MM-DD"),
                       ("2024/02/29", "YYYY-MM-DD"), ("2024--02-29", "YYYY-MM-DD"), ("Thursday 29 Feb 2024", "Day DD Mon YYYY"), ("12 am", "HH am"),
                       ("99999999999", "YYYY"), ("2024-2-9", "YYYY-MM-DD"), ("2024-02-29 10:61", "YYYY-MM-DD HH24:MI"), ("70", "YY"), ("69", "YY"),
                       ("2024-02-29garbage", "YYYY-MM-DD"), ("1 2 2024", "MMDDYYYY"), ("01022024", "MMDDYYYY"), ("2024-02-29 7", "YYYY-MM-DD MS")]:
        value = f"left(coalesce(s, ''), 0) || '{text}'"
        yield f"to_date({value}, '{form}')"
        yield f"to_timestamp({value}, '{form}')"
    yield from ["to_date(s, 'YYYY-MM-DD')", "to_timestamp(s, 'YYYY-MM-DD')", "to_char(z, null)", "to_date(null, 'YYYY')"]
    for form in ["999", "999.99", "FM999.99", "000", "FM000", "9,999,999", "FM9,999,999.00", "0999.9", "990.99", "FM990.90", "9.9", ".99",
                 "FM.99", "9999999999999999999", "FM9999999999.0000", "\"n=\"FM999", "9G999D99", "00,000.00", "FM0.099", "999.", "9 9 9",
                 "FM9990.9", "FM990.00%"]:
        for column in ["i", "k", "n", "m", "nullif(nullif(nullif(nullif(f, 'NaN'), 'inf'), '1e308'), '1e15')", "0", "-0.5", "0.126", "12345.678"]:
            yield f"to_char({column}, '{form}')"


def more_numbers():
    for function in ["exp", "ln", "log", "log10", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "degrees", "radians"]:
        for column in ["f", "g", "i"]:
            yield f"{function}({column})"
    yield from ["atan2(f, g)", "width_bucket(f, 0, 10, 5)", "width_bucket(g, 10, -10, 4)", "width_bucket(i, -10, 10, 7)",
                "width_bucket(f, g, 3, 5)", "width_bucket(n, 0, 1000, 9)", "width_bucket(m, 1.5, 2.5, j)", "width_bucket(n, 5, -5, 3)",
                "width_bucket(i, 1, 1, 1)", "width_bucket(n, 1, 2, 2147483647)"]


REFUSED_BY_BOTH = [
    "i +", "nope", "i + s", "s + 1", "b + b", "lower(i)", "nofunc(i)", "i like 'a'", "case when i then 1 end", "i and b", "not i",
    "case when b then i else s end", "coalesce(i, s)", "i in ('a')", "i = 'abc'", "'abc'::int", "z = 'nonsense'", "d::int",
    "k::bool", "i::date", "f % g", "round(f, 2)", "sum(i) + 1 over", "i i", "(i", "i)", "substr(i, 1)", "f::bytea", "s > 1",
    "d + z", "b > 1", "-s", "i || k", "i ~ 'a'", "s at time zone 'UTC'", "z at time zone 5", "lpad(s)",
]


def sql_literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, bytes):
        return "'\\x" + value.hex() + "'"
    if isinstance(value, (int, D)):
        return str(value)
    if isinstance(value, float):
        return f"'{value!r}'"
    if isinstance(value, datetime.datetime):
        # strftime doesn't pad years on every platform.
        return f"'{value.year:04}-{value:%m-%d %H:%M:%S.%f}+00'"
    if isinstance(value, datetime.date):
        return f"'{value.year:04}-{value:%m-%d}'"
    return "'" + str(value).replace("'", "''") + "'"


def ask_postgres(url, cases):
    """{(case, row): (type, value as text, error)}; an error of the whole case is at row -1."""
    columns = ", ".join(f"{name} {kind}" for name, kind, _ in COLUMNS)
    values = ",\n".join("(" + ", ".join([str(i)] + [sql_literal(v) for v in row]) + ")" for i, row in enumerate(ROWS))
    asked = ",\n".join(f"({i}, {sql_literal(case)})" for i, case in enumerate(cases))
    # Numbers that later code must read exactly, and text that has to survive CSV, go through one form each.
    script = f"""
SET timezone = 'UTC'; SET extra_float_digits = 3; SET client_min_messages = error; SET standard_conforming_strings = on;
CREATE TEMP TABLE t (row int, {columns});
INSERT INTO t VALUES {values};
CREATE TEMP TABLE cases (id int, expr text);
INSERT INTO cases VALUES {asked};
CREATE TEMP TABLE results (id int, row int, type text, value text, error text);
DO $do$
DECLARE c record; r int; kind text; form text; v text;
BEGIN
  FOR c IN SELECT * FROM cases ORDER BY id LOOP
    BEGIN
      EXECUTE 'SELECT pg_typeof(x)::text FROM (SELECT (SELECT (' || c.expr || E'\n) FROM t WHERE false) AS x) q' INTO kind;
      IF kind = 'unknown' THEN kind := 'text'; END IF;
    EXCEPTION WHEN OTHERS THEN
      INSERT INTO results VALUES (c.id, -1, NULL, NULL, SQLERRM);
      CONTINUE;
    END;
    form := CASE WHEN kind LIKE 'timestamp%' THEN 'trunc(extract(epoch from (%s)) * 1000000)::text'
                 WHEN kind = 'date' THEN '((%s) - date ''1970-01-01'')::text'
                 WHEN kind = 'bytea' THEN 'encode((%s), ''hex'')'
                 ELSE '(%s)::text' END;
    form := replace(form, '%s', c.expr || E'\n');
    FOR r IN SELECT row FROM t ORDER BY row LOOP
      BEGIN
        EXECUTE 'SELECT ' || form || ' FROM t WHERE row = $1' INTO v USING r;
        INSERT INTO results VALUES (c.id, r, kind, v, NULL);
      EXCEPTION WHEN OTHERS THEN
        INSERT INTO results VALUES (c.id, r, kind, NULL, SQLERRM);
      END;
    END LOOP;
  END LOOP;
END $do$;
COPY (SELECT id, row, type, encode(convert_to(value, 'UTF8'), 'hex'), encode(convert_to(error, 'UTF8'), 'hex')
      FROM results ORDER BY id, row) TO STDOUT WITH (FORMAT csv, NULL 'NULL');
"""
    done = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", url], input=script, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit("PostgreSQL: " + done.stderr)
    text = lambda field: None if field == "NULL" else bytes.fromhex(field).decode()
    results = {}
    for case, row, kind, value, error in csv.reader(io.StringIO(done.stdout)):
        results[int(case), int(row)] = (TYPES.get(kind, kind), text(value), text(error))
    return results


def ask_tidemark(tool, folder, cases):
    arrays = []
    for position, (_, _, kind) in enumerate(COLUMNS):
        arrays.append(pa.array([row[position] for row in ROWS], type=kind))
    batch = pa.record_batch(arrays, names=[name for name, _, _ in COLUMNS])
    rows, asked, results = folder / "rows.arrow", folder / "expressions", folder / "results.arrow"
    with pa.ipc.new_file(rows, batch.schema) as writer:
        writer.write_batch(batch)
    asked.write_text("".join(case + "\n" for case in cases), encoding="utf-8")
    subprocess.run([tool, rows, asked, results], check=True)
    out = {}
    for entry in pa.ipc.open_file(results).read_all().to_pylist():
        kind = entry["type"].split("(")[0] or None
        value = entry["value"]
        if value is not None:
            value = value.hex() if kind == "bytes" else value.decode()
        out[entry["expression"], entry["row"]] = (kind, value, entry["error"])
    return out


def same_value(kind, ours, theirs):
    if ours is None or theirs is None:
        return ours is theirs
    if kind == "double":
        a, b = float(ours), float(theirs)
        return a == b or (a != a and b != b)
    if kind == "decimal":
        # The number of places of a result can differ (our types fix it); the digits that both have may not.
        a, b = D(ours), D(theirs)
        if not b.is_finite():
            return False
        places = min(-a.as_tuple().exponent, -b.as_tuple().exponent)
        unit = D(1).scaleb(-places)
        return a == b or a.quantize(unit, decimal.ROUND_HALF_UP) == b.quantize(unit, decimal.ROUND_HALF_UP)
    return ours == theirs


def compare(cases, ours, theirs):
    differences, compared = [], 0
    for index, case in enumerate(cases):
        for row in [-1] if (index, -1) in ours or (index, -1) in theirs else range(len(ROWS)):
            a, b = ours.get((index, row)), theirs.get((index, row))
            # PostgreSQL negates the count without looking at overflow; what comes out differs between its releases.
            if case == "right(s, i)" and row >= 0 and ROWS[row][1] == -2**31:
                continue
            compared += 1
            if a is None or b is None or a[0] != b[0] or a[2] != b[2] or not same_value(a[0], a[1], b[1]):
                differences.append(f"{case}   row {row}\n    tidemark   {a}\n    postgresql {b}")
    return differences, compared


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    args = parser.parse_args()
    # A test tool, built where the unit tests are: beside the binary, or in the build with sanitizers.
    tool = pathlib.Path(os.environ.get("TIDEMARK_BIN", ROOT / "build" / "tidemark")).parent / "expr_eval"
    if not tool.exists():
        tool = ROOT / "build-test" / "expr_eval"
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-expressions-"))
    scratch.chmod(0o755)
    server = [ROOT / "scripts" / "postgres"], ["--dir", scratch / "postgres"]
    try:
        url = subprocess.run([*server[0], "start", *server[1], "--port", "0"], check=True, capture_output=True,
                             text=True).stdout.split()[-1]
        cases = list(dict.fromkeys(expressions()))
        both = cases + REFUSED_BY_BOTH
        ours, theirs = ask_tidemark(tool, scratch, both), ask_postgres(url, both)
        differences, compared = compare(cases, ours, theirs)
        for index, case in enumerate(REFUSED_BY_BOTH, start=len(cases)):
            if (index, -1) not in ours or (index, -1) not in theirs:
                differences.append(f"{case}   isn't refused by "
                                   + ("Tidemark" if (index, -1) in theirs else "PostgreSQL"))
    finally:
        subprocess.run([*server[0], "stop", *server[1]], check=False)
        if not args.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    for difference in differences:
        print(difference)
    failed = sum(1 for _, _, error in theirs.values() if error)
    print(f"{len(cases)} expressions x {len(ROWS)} rows: {compared} results compared, {failed} of them errors, "
          f"{len(REFUSED_BY_BOTH)} texts that both refuse, {len(differences)} differences")
    return 1 if differences or compared < 5000 else 0


if __name__ == "__main__":
    sys.exit(main())
