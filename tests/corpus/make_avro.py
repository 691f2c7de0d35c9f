#!/usr/bin/env python3
"""Nasty Avro schemas and messages, and what must become of each: writes avro.jsonl beside this file.

What is valid is encoded by fastavro, so that no code of ours has a say in it; what isn't is written by hand, byte by
byte. tests/unit/codec/avro_corpus_test.cc reads every line. Run it again after a change:

    .deps/venv/bin/python tests/corpus/make_avro.py
"""

import datetime
import decimal
import io
import json
import pathlib
import re
import uuid

import fastavro


def record(*fields, name="R", **more):
    made = []
    for field in fields:
        made.append(field if isinstance(field, dict) else {"name": field[0], "type": field[1]})
    return {"type": "record", "name": name, "fields": made, **more}


def logical(type_, name, **more):
    return {"type": type_, "logicalType": name, **more}


def varint(number):
    """Avro's zigzag varint."""
    bits = (number << 1) ^ (number >> 63)
    bits &= (1 << 64) - 1
    out = bytearray()
    while bits >= 0x80:
        out.append(bits & 0x7F | 0x80)
        bits >>= 7
    out.append(bits)
    return bytes(out)


def text(s):
    data = s if isinstance(s, bytes) else s.encode()
    return varint(len(data)) + data


CASES = []


def case(name, schema, columns, value, expect, references=()):
    """`value`: bytes as they are, else what fastavro encodes. `expect`: the row ("=1.50": a number with these digits), or
    a part of the reason."""
    if not isinstance(value, bytes):
        out = io.BytesIO()
        names = {}
        for reference in references:
            fastavro.parse_schema(reference, named_schemas=names)
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema, named_schemas=names), value)
        value = out.getvalue()
    CASES.append({
        "name": name, "schema": schema, "references": list(references), "columns": columns, "value": value.hex(),
        **({"row": expect} if isinstance(expect, dict) else {"reason": expect}),
    })


NULL_LONG = ["null", "long"]
POINT = record(("x", "int"), ("y", "int"), name="Point", namespace="geo")

# ---- Schemas as they come.
case("a null union at the top, as Debezium writes it", ["null", record(("a", "long"))], ["a int64"], {"a": 7}, {"a": 7})
case("null at the top is no row", ["null", record(("a", "long"))], ["a int64 null"], varint(0), "Avro's null")
case("the union's order is the writer's", record(("a", ["long", "null"])), ["a int64 null"], {"a": None}, {"a": None})
case("a union of many branches, of which one fits", record(("a", ["null", "int", "string", "double"])),
     ["a double null"], {"a": 2.5}, {"a": 2.5})
case("a union of many branches, of which another comes", record(("a", ["null", "int", "string", "double"])),
     ["a double null"], {"a": "x"}, "column a: expected double, found string")
case("two records in a union, the path leads into either",
     record(("p", [record(("x", "int"), name="A"), record(("s", "string"), ("x", "long"), name="B")])),
     ["x int64 null @p.x"], {"p": ("B", {"s": "skip", "x": 5_000_000_000})}, {"x": 5_000_000_000})
case("a null on the path leaves its columns without values", record(("after", ["null", POINT]), ("op", "string")),
     ["x int32 null @after.x", "op string"], {"after": None, "op": "d"}, {"x": None, "op": "d"})
case("a name is defined once and used again, in its namespace",
     record(("from", POINT), ("to", "geo.Point"), name="Move", namespace="other"),
     ["a int32 @from.x", "b int32 @to.y"], {"from": {"x": 1, "y": 2}, "to": {"x": 3, "y": 4}}, {"a": 1, "b": 4})
case("a reference to another schema", record(("at", "geo.Point"), name="Seen"), ["y int32 @at.y"],
     {"at": {"x": -1, "y": -2}}, {"y": -2}, references=[POINT])
case("an alias is an older name", record({"name": "timestamp", "type": "long", "aliases": ["ts"]}), ["ts int64"],
     {"timestamp": 9}, {"ts": 9})
case("a name wins over an alias",
     record({"name": "new", "type": "long", "aliases": ["ts"]}, ("ts", "long")), ["ts int64"],
     {"new": 1, "ts": 2}, {"ts": 2})
case("a schema that contains itself",
     record(("value", "long"), ("next", ["null", "R"])), ["value int64"], varint(1) + varint(0), "contains itself")
case("a type that nobody has defined", record(("a", "com.acme.Missing")), ["a int64"], b"\0", "unknown type")
case("a logical type beside the type of the field",
     record({"name": "t", "type": "long", "logicalType": "timestamp-millis"}), ["t timestamp"],
     varint(1_767_225_600_123), {"t": "2026-01-01T00:00:00.123Z"})
case("a logical type beside a union of the field",
     record({"name": "t", "type": ["null", "long"], "default": None, "logicalType": "timestamp-micros"}),
     ["t timestamp null"], varint(1) + varint(-1), {"t": "1969-12-31T23:59:59.999999Z"})
case("a logical type that isn't known is none", record(("a", logical("long", "furlongs"))), ["a int64"], {"a": 5},
     {"a": 5})
case("a decimal whose scale can't be is bytes", record(("a", logical("bytes", "decimal", precision=2, scale=5))),
     ["a decimal(10,2)"], text(b"\1"), "expected decimal(10,2), found bytes")
case("a type within a type", record(("a", {"type": {"type": "long", "logicalType": "timestamp-micros"}})),
     ["a timestamp_us"], varint(17), {"a": 17})

# ---- Values of every type.
case("decimals of bytes and of fixed, below 0",
     record(("b", logical("bytes", "decimal", precision=20, scale=4)),
            ("f", {"type": "fixed", "name": "F", "size": 9, "logicalType": "decimal", "precision": 20, "scale": 2})),
     ["b decimal(30,6)", "f decimal(20,2)"],
     {"b": decimal.Decimal("-1234567890123.4567"), "f": decimal.Decimal("99999999999999999.99")},
     {"b": "=-1234567890123.456700", "f": "=99999999999999999.99"})
case("a decimal is never rounded", record(("b", logical("bytes", "decimal", precision=10, scale=3))),
     ["b decimal(10,2)"], {"b": decimal.Decimal("1.005")}, "more than 2 fractional digits")
case("a decimal of more bits than there are", record(("b", logical("bytes", "decimal", precision=60, scale=0))),
     ["b decimal(38,0)"], text(b"\x7f" * 20), "more than 128 bits")
case("a decimal of no bytes is 0", record(("b", logical("bytes", "decimal", precision=4, scale=2))),
     ["b decimal(4,2)"], text(b""), {"b": "=0.00"})
case("Debezium's decimal of any scale",
     record(("v", {**record(("scale", "int"), ("value", "bytes"), name="VariableScaleDecimal",
                            namespace="io.debezium.data"), "connect.name": "io.debezium.data.VariableScaleDecimal"})),
     ["v decimal(10,3)"], varint(1) + text(b"\xff\x85"), {"v": "=-12.300"})
case("Debezium's times, by their names",
     record(("d", {"type": "int", "connect.name": "io.debezium.time.Date"}),
            ("u", {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}),
            ("n", {"type": "long", "connect.name": "io.debezium.time.NanoTimestamp"}),
            ("z", {"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"})),
     ["d date", "u timestamp", "n timestamp_us", "z timestamp"],
     {"d": 20454, "u": 1_767_225_600_000_001, "n": -1, "z": "2026-01-01T02:00:00+02:00"},
     {"d": "2026-01-01", "u": "2026-01-01T00:00:00.000001Z", "n": -1, "z": "2026-01-01T00:00:00Z"})
case("dates, times and uuids",
     record(("d", logical("int", "date")), ("t", logical("int", "time-millis")), ("u", logical("string", "uuid"))),
     ["d date", "t int32", "u string"],
     {"d": datetime.date(1969, 12, 31), "t": datetime.time(0, 0, 1),
      "u": uuid.UUID("0123e4567-e89b-12d3-a456-426614174000"[1:])},
     {"d": "1969-12-31", "t": 1000, "u": "123e4567-e89b-12d3-a456-426614174000"})
case("a uuid of sixteen bytes", record(("u", {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"})),
     ["u string"], uuid.UUID("123e4567-e89b-12d3-a456-426614174000").bytes,
     {"u": "123e4567-e89b-12d3-a456-426614174000"})
case("promotion", record(("i", "int"), ("l", "long"), ("f", "float"), ("s", "string"), ("b", "bytes")),
     ["i double", "l double", "f double", "s bytes", "b string"],
     {"i": -3, "l": 1 << 40, "f": 0.5, "s": "hi", "b": "é".encode()},
     {"i": -3, "l": 1099511627776, "f": 0.5, "s": "aGk=", "b": "é"})
case("a long that an int32 can't hold", record(("l", "long")), ["l int32"], {"l": 1 << 31}, "out of range for int32")
case("a long without a unit is no timestamp", record(("l", "long")), ["l timestamp"], {"l": 1}, "without a unit")
case("a long with the column's unit", record(("l", "long")), ["l timestamp_s"], {"l": -1}, {"l": -1})
case("an enum is its symbol", record(("e", {"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"})),
     ["e string"], {"e": "B"}, {"e": "B"})
case("a value of a map by its key", record(("m", {"type": "map", "values": NULL_LONG})),
     ["a int64 null @m.a", "b int64 null @m.b", "c int64 null @m.c"], {"m": {"x": 1, "b": None, "a": 2}},
     {"a": 2, "b": None, "c": None})
case("arrays, maps and records that nobody wants",
     record(("a", {"type": "array", "items": POINT}), ("m", {"type": "map", "values": {"type": "array",
                                                                                        "items": "string"}}),
            ("n", "null"), ("f", "float"), ("z", "long")),
     ["z int64"], {"a": [{"x": 1, "y": 2}] * 3, "m": {"k": ["v", "w"]}, "n": None, "f": 1.5, "z": 11}, {"z": 11})
case("a block that says its size", record(("a", {"type": "array", "items": "long"}), ("z", "long")), ["z int64"],
     varint(-2) + varint(2) + varint(1) + varint(2) + varint(0) + varint(3), {"z": 3})
case("two columns of one field", record(("a", "long")), ["n int64 @a", "t timestamp_ms @a"], {"a": 1_000},
     {"n": 1000, "t": 1000})
case("a field that the writer hasn't", record(("a", "long")), ["a int64", "b string null"], {"a": 1},
     {"a": 1, "b": None})
case("a required field that the writer hasn't", record(("a", "long")), ["a int64", "b string"], {"a": 1},
     "missing required column b")
case("an array where a record is on the path", record(("p", {"type": "array", "items": "int"})), ["x int32 @p.x"],
     {"p": [1]}, "expected a record or a map on its path, found array")
case("a value that is no record", "string", ["name string"], "x", {"name": "x"})

# ---- Bytes as they shouldn't be.
case("nothing at all", record(("a", "long")), ["a int64"], b"", "byte 0, in a: it ends too early")
case("an end in the middle of a text", record(("p", record(("s", "string"), name="P"))), ["s string @p.s"],
     varint(10) + b"abc", "in p.s: it ends too early")
case("a length below 0", record(("s", "string")), ["s string"], varint(-2), "a length below 0")
case("a length beyond all memory", record(("s", "string")), ["s string"], varint((1 << 63) - 1), "ends too early")
case("bytes behind the record", record(("a", "int")), ["a int32"], varint(1) + b"\1\2", "2 bytes behind the record")
case("a branch that isn't there", record(("a", NULL_LONG)), ["a int64 null"], varint(2), "a branch that its union")
case("a branch below 0", record(("a", ["null", "long", "string"])), ["a int64 null"], varint(-1), "a branch that its")
case("a symbol that isn't there", record(("e", {"type": "enum", "name": "E", "symbols": ["A"]})), ["e string"],
     varint(1), "a symbol that its enum")
case("a number without end", record(("a", "long")), ["a int64"], b"\xff" * 11, "more than 64 bits")
case("an int of more than 32 bits", record(("a", "int"), ("b", "int")), ["b int32"], varint(1 << 31) + varint(1),
     "in a: an int of more than 32 bits")
case("a boolean that is neither", record(("a", "boolean")), ["a bool"], b"\2", "neither 0 nor 1")
case("text that isn't UTF-8", record(("s", "string")), ["s string"], text(b"\xff\xfe"), "column s: invalid UTF-8")
case("an array of more elements than bytes", record(("a", {"type": "array", "items": "long"})), ["z int64 null"],
     varint(1 << 62) + b"\0", "in a: it ends too early")
case("an array of nothing, without end", record(("a", {"type": "array", "items": "null"}), ("z", "int")),
     ["z int32"], varint(1 << 62) + varint(0) + varint(8), {"z": 8})
case("a block larger than the record", record(("a", {"type": "array", "items": "long"})), ["z int64 null"],
     varint(-1) + varint(1000), "a block that is longer")
case("a block of a size below 0", record(("a", {"type": "array", "items": "long"})), ["z int64 null"],
     varint(-1) + varint(-1), "a block that is longer")
case("the least count there is", record(("a", {"type": "map", "values": "long"})), ["z int64 null @a.z"],
     varint(-(1 << 63)), "a block of too many elements")


def laughs(depth):
    """Ten of the last one in each: 10^depth longs in a row, in a schema of a few hundred bytes."""
    inner = "long"
    for level in range(depth):
        inner = record(("f0", inner), *[(f"f{i}", f"L{level - 1}" if level else "long") for i in range(1, 10)],
                       name=f"L{level}")
    return inner


case("a schema whose types use each other without end", laughs(12), ["z int64 null"], b"\0", "too large")
case("an empty schema", {}, ["a int64"], b"\0", "a type without 'type'")
case("a union of nothing", record(("a", [])), ["a int64"], b"\0", "a union of no types")
case("a second field of one name", record(("a", "int"), ("a", "int")), ["a int32"], b"\0\0", "a second field")


def main():
    path = pathlib.Path(__file__).with_name("avro.jsonl")
    lines = "".join(json.dumps(c, ensure_ascii=False) + "\n" for c in CASES)
    path.write_text(re.sub(r'"=([-.0-9]+)"', r"\1", lines), encoding="utf-8")
    print(f"{len(CASES)} cases in {path}")


if __name__ == "__main__":
    main()
