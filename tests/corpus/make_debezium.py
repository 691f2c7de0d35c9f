#!/usr/bin/env python3
"""Nasty Debezium records of PostgreSQL and MySQL, in JSON and in Avro, and what must become of each: writes
debezium.jsonl beside this file.

Written from Debezium's documentation of its connectors. Avro is encoded by fastavro, under the schemas that Kafka
Connect's AvroData makes of Connect's (names in `connect.name`, parameters as text), so that no code of ours has a say in
it. tests/unit/codec/debezium_corpus_test.cc reads every line. Run it again after a change:

    .deps/venv/bin/python tests/corpus/make_debezium.py
"""

import base64
import io
import json
import pathlib
import re
import struct

import fastavro

UNAVAILABLE = "__debezium_unavailable_value"
KEY_ID, VALUE_ID = 7, 8

# A column's type: Connect's, the name of what it means, its parameters, the type of an array's items.
PLAIN = {"int16": "int", "int32": "int", "int64": "long", "float": "float", "double": "double", "boolean": "boolean",
         "string": "string", "bytes": "bytes"}


class Column:
    def __init__(self, type_, meaning=None, items=None, optional=True, **parameters):
        self.type, self.meaning, self.items, self.optional, self.parameters = type_, meaning, items, optional, parameters

    def json(self, field=None):
        out = {"type": self.type, "optional": self.optional}
        if self.meaning:
            out |= {"name": self.meaning, "version": 1}
        if self.parameters:
            out["parameters"] = {name: str(value) for name, value in self.parameters.items()}
        if self.items:
            out["items"] = self.items.json()
        if self.type == "struct":
            out["fields"] = [{"type": "int32", "optional": False, "field": "scale"},
                             {"type": "bytes", "optional": False, "field": "value"}]
        return out | ({"field": field} if field else {})

    def avro(self):
        if self.type == "array":
            bare = {"type": "array", "items": self.items.avro()}
        elif self.type == "struct":
            bare = {"type": "record", "name": self.meaning.rsplit(".", 1)[1], "namespace": self.meaning.rsplit(".", 1)[0],
                    "fields": [{"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}],
                    "connect.name": self.meaning}
        else:
            bare = PLAIN[self.type]
            if self.meaning or self.type == "int16":
                bare = {"type": bare}
                if self.meaning:
                    bare |= {"connect.version": 1, "connect.name": self.meaning}
                else:
                    bare["connect.type"] = "int16"
                if self.parameters:
                    bare["connect.parameters"] = {name: str(value) for name, value in self.parameters.items()}
                if self.meaning == "org.apache.kafka.connect.data.Decimal":
                    bare |= {"scale": self.parameters["scale"], "precision": 64, "logicalType": "decimal"}
        return ["null", bare] if self.optional else bare


POSTGRES = {"version": "string", "connector": "string", "ts_ms": "long", "snapshot": ["null", "string"], "db": "string",
            "schema": "string", "table": "string", "txId": ["null", "long"], "lsn": ["null", "long"],
            "ts_us": ["null", "long"]}
MYSQL = {"version": "string", "connector": "string", "ts_ms": "long", "snapshot": ["null", "string"], "db": "string",
         "table": ["null", "string"], "server_id": "long", "gtid": ["null", "string"], "file": "string", "pos": "long",
         "row": "int", "ts_us": ["null", "long"]}
ID = Column("int64", optional=False)


def postgres(lsn=100, **more):
    return {"version": "3.6.1.Final", "connector": "postgresql", "ts_ms": 1767225600000, "snapshot": "false", "db": "shop",
            "schema": "public", "table": "t", "txId": 9, "lsn": lsn, "ts_us": 1767225600000001, **more}


def mysql(pos=100, **more):
    return {"version": "3.6.1.Final", "connector": "mysql", "ts_ms": 1767225600000, "snapshot": "false", "db": "shop",
            "table": "t", "server_id": 1, "gtid": "3e11fa47-71ca-11e1-9e33-c80aa9429562:23", "file": "bin.000003",
            "pos": pos, "row": 2, "ts_us": 1767225600000001, **more}


def envelope_avro(columns, source):
    fields = [{"name": name, "type": column.avro(), **({"default": None} if column.optional else {})}
              for name, column in columns.items()]
    value = {"type": "record", "name": "Value", "fields": fields, "connect.name": "shop.public.t.Value"}
    members = MYSQL if source["connector"] == "mysql" else POSTGRES
    src = {"type": "record", "name": "Source", "namespace": "io.debezium.connector." + source["connector"],
           "fields": [{"name": n, "type": t} for n, t in members.items()]}
    block = {"type": "record", "name": "block", "namespace": "event",
             "fields": [{"name": "id", "type": "string"}, {"name": "total_order", "type": "long"},
                        {"name": "data_collection_order", "type": "long"}]}
    return {"type": "record", "name": "Envelope", "namespace": "shop.public.t", "connect.name": "shop.public.t.Envelope",
            "fields": [{"name": "before", "type": ["null", value], "default": None},
                       {"name": "after", "type": ["null", "Value"], "default": None},
                       {"name": "source", "type": src},
                       {"name": "transaction", "type": ["null", block], "default": None},
                       {"name": "op", "type": "string"}, {"name": "ts_ms", "type": ["null", "long"]},
                       {"name": "ts_us", "type": ["null", "long"]}]}


def avro(number, schema, value):
    out = io.BytesIO(b"\0" + struct.pack(">i", number))
    out.seek(5)
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue().hex()


def compact(value):
    """As Connect writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def in_json(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: in_json(v) for name, v in value.items()}
    return [in_json(v) for v in value] if isinstance(value, list) else value


CASES = []


def case(name, columns, reads, row, op="c", source=None, key=None, encodings=("json", "avro"), before=None, after=None,
         key_names=("id",), gives=None, **expect):
    """`columns`: the table's. `reads`: the topology's, "NAME TYPE [null]", with ^PATH what stands beside the row. `row`: of
    the table, after the change. `gives`: the row that is read, as in make_avro.py. `expect`: reason, nothing, deletes; unchanged: names of columns;
    unnamed."""
    columns = {"id": ID, **columns}
    source = source or postgres()
    row = None if row is None else {"id": 1, **row}
    if op == "d":
        before = before or row
    else:
        after = after or row
    change = {"before": before, "after": after, "source": source, "transaction": None, "op": op, "ts_ms": 1767225600123,
              "ts_us": 1767225600123456}
    key = {name: 1 for name in key_names} if key is None else key
    for encoding in encodings:
        made = {"name": f"{name} ({encoding})", "encoding": encoding, "columns": ["id int64", *reads], **expect}
        if gives is not None:
            made["row"] = gives
        if encoding == "json":
            of_row = [column.json(field) for field, column in columns.items()]
            schema = {"type": "struct", "fields": [{"type": "struct", "fields": of_row, "optional": True, "field": member}
                                                   for member in ("before", "after")]}
            made |= {"value": compact({"schema": schema, "payload": in_json(change)}),
                     "key": json.dumps({"schema": {"type": "struct", "fields": [
                         {"type": "int64", "optional": False, "field": n} for n in key_names]}, "payload": key})}
        else:
            schema = envelope_avro(columns, source)
            key_schema = {"type": "record", "name": "Key", "namespace": "shop.public.t",
                          "fields": [{"name": n, "type": "long"} for n in key_names]}
            # Avro's own names of logical types would have fastavro convert values.
            made |= {"schemas": {str(VALUE_ID): json.dumps(schema), str(KEY_ID): json.dumps(key_schema)},
                     "value": avro(VALUE_ID, without_logical(schema), change), "key": avro(KEY_ID, key_schema, key)}
        CASES.append(made)


def without_logical(schema):
    if isinstance(schema, list):
        return [without_logical(s) for s in schema]
    if isinstance(schema, dict):
        return {n: without_logical(s) for n, s in schema.items() if n != "logicalType"}
    return schema


def digits(number, size=None):
    return number.to_bytes(size or (number.bit_length() + 8) // 8, "big", signed=True)


CONNECT, TIME, DATA = "org.apache.kafka.connect.data.", "io.debezium.time.", "io.debezium.data."

# ---- Types
case("a decimal with its scale in the parameters", {"v": Column("bytes", CONNECT + "Decimal", scale=2)},
     ["v decimal(12,2) null"], {"v": digits(-123456)}, gives={"id": 1, "v": -1234.56})
case("a decimal of more digits than the column", {"v": Column("bytes", CONNECT + "Decimal", scale=2)},
     ["v decimal(4,2)"], {"v": digits(1234567)}, reason="the table changed, or")
case("MySQL's unsigned bigint, precise", {"v": Column("bytes", CONNECT + "Decimal", scale=0)},
     ["v decimal(20,0)"], {"v": digits(2**64 - 1)}, source=mysql(), gives={"id": 1, "v": 18446744073709551615})
case("MySQL's unsigned bigint as long", {"v": Column("int64")}, ["v int64"], {"v": 2**63 - 1}, source=mysql(),
     gives={"id": 1, "v": 2**63 - 1})
case("a numeric without a scale", {"v": Column("struct", DATA + "VariableScaleDecimal")}, ["v decimal(10,3)"],
     {"v": {"scale": 1, "value": digits(-15)}}, gives={"id": 1, "v": "=-1.500"})
case("a decimal as double", {"v": Column("double")}, ["v decimal(10,2)"], {"v": 12.25}, gives={"id": 1, "v": 12.25})
case("a decimal as text", {"v": Column("string")}, ["v decimal(10,2)"], {"v": "-0.50"}, gives={"id": 1, "v": "=-0.50"})
case("days before 1970", {"v": Column("int32", TIME + "Date")}, ["v date"], {"v": -1}, gives={"id": 1, "v": "1969-12-31"})
case("Connect's own date and time", {"d": Column("int32", CONNECT + "Date"), "t": Column("int32", CONNECT + "Time"),
                                     "s": Column("int64", CONNECT + "Timestamp")}, ["d date", "t string", "s timestamp_ms"],
     {"d": 1, "t": 3600001, "s": -1}, gives={"id": 1, "d": "1970-01-02", "t": "01:00:00.001000", "s": -1})
case("microseconds and nanoseconds", {"u": Column("int64", TIME + "MicroTimestamp"), "n": Column("int64", TIME + "NanoTimestamp")},
     ["u timestamp_us", "n timestamp_us"], {"u": 1, "n": -1}, gives={"id": 1, "u": 1, "n": -1})
case("a zoned timestamp", {"v": Column("string", TIME + "ZonedTimestamp")}, ["v timestamp_us"],
     {"v": "1970-01-01T02:00:00.000001+02:00"}, gives={"id": 1, "v": 1})
case("a zoned timestamp of MySQL that is none", {"v": Column("string", TIME + "ZonedTimestamp")}, ["v timestamp"],
     {"v": "0000-00-00 00:00:00"}, source=mysql(), reason="column v: expected RFC 3339 text")
case("an ISO date", {"v": Column("string", TIME + "IsoDate")}, ["v date"], {"v": "2026-02-28Z"}, gives={"id": 1, "v": "2026-02-28"})
case("MySQL's TIME, longer than a day and below nothing", {"v": Column("int64", TIME + "MicroTime"), "w": Column("int64", TIME + "MicroTime")},
     ["v string", "w string"], {"v": 838 * 3600 * 10**6 + 59 * 60 * 10**6 + 59 * 10**6, "w": -(3600 * 10**6 + 1)}, source=mysql(),
     gives={"id": 1, "v": "838:59:59", "w": "-01:00:00.000001"})
case("a TIME that none has", {"v": Column("int64", TIME + "MicroTime")}, ["v string"], {"v": 2**62}, source=mysql(),
     reason="isn't a time of a day")
case("MySQL's year, set and enum", {"y": Column("int32", TIME + "Year"), "s": Column("string", DATA + "EnumSet", allowed="a,b"),
                                    "e": Column("string", DATA + "Enum", allowed="x,y")}, ["y int32", "s string", "e string"],
     {"y": 1901, "s": "a,b", "e": ""}, source=mysql(), gives={"id": 1, "y": 1901, "s": "a,b", "e": ""})
case("tinyint(1) and bit(1)", {"t": Column("int16"), "b": Column("boolean")}, ["t int32", "b bool"], {"t": -1, "b": True},
     source=mysql(), gives={"id": 1, "t": -1, "b": True})
case("bit(9) by name", {"v": Column("bytes", DATA + "Bits", length=9)}, ["v bytes"], {"v": b"\1\1"}, source=mysql(),
     reason="the table has a bit string (io.debezium.data.Bits), which isn't implemented: leave the column out")
case("an interval by name", {"v": Column("int64", TIME + "MicroDuration")}, ["v int64"], {"v": 5},
     reason="the table has an interval (io.debezium.time.MicroDuration), which isn't implemented: leave the column out")
case("an interval as text by name", {"v": Column("string", TIME + "Interval")}, ["v string"], {"v": "P1Y"},
     reason="the table has an interval (io.debezium.time.Interval)")
case("uuid, jsonb and text", {"u": Column("string", DATA + "Uuid"), "j": Column("string", DATA + "Json"), "t": Column("string", DATA + "Json")},
     ["u string", "j json", "t string"], {"u": "09fdcd6b-4c4d-4b5b-9b0c-0d7f6c8a5a01", "j": '{"a":[1,null]}', "t": "{}"},
     gives={"id": 1, "u": "09fdcd6b-4c4d-4b5b-9b0c-0d7f6c8a5a01", "j": {"a": [1, None]}, "t": "{}"})
case("MariaDB's json, which is a text to it", {"j": Column("string")}, ["j json"], {"j": '{"a":[1,2.5]}'}, source=mysql(),
     gives={"id": 1, "j": {"a": [1, 2.5]}})
case("a text that is no JSON", {"j": Column("string")}, ["j json"], {"j": "a"}, source=mysql(), reason="column j")
case("jsonb that is no JSON", {"j": Column("string", DATA + "Json")}, ["j json"], {"j": "{"}, reason="column j")
case("arrays", {"n": Column("array", items=Column("int32")), "t": Column("array", items=Column("string")),
                "f": Column("array", items=Column("double"))}, ["n json", "t json", "f json"],
     {"n": [1, None, -2], "t": ['a"b', "ä", None], "f": []},
     gives={"id": 1, "n": [1, None, -2], "t": ['a"b', "ä", None], "f": []})
case("an array whose elements aren't what they seem", {"v": Column("array", items=Column("int32", TIME + "Date"))}, ["v json"],
     {"v": [1]}, reason="the table has an array of io.debezium.time.Date, which isn't implemented")
case("an array into text", {"v": Column("array", items=Column("int32"))}, ["v string"], {"v": [1]}, reason="the table has an array")

# ---- What stands beside the row
case("MySQL's place in its log", {}, ["f string ^source.file", "p int64 ^source.pos", "g string ^source.gtid",
                                      "at timestamp_us ^source.ts_us", "o string ^op"], {}, source=mysql(4096), op="u",
     gives={"id": 1, "f": "bin.000003", "p": 4096, "g": "3e11fa47-71ca-11e1-9e33-c80aa9429562:23", "at": 1767225600000001, "o": "u"})
case("PostgreSQL's, as texts and times", {}, ["l string ^source.lsn", "s string ^source.snapshot", "at timestamp ^ts_ms",
                                              "x string null ^transaction.id"], {}, op="r", source=postgres(7, snapshot="last"),
     gives={"id": 1, "l": "7", "s": "last", "at": "2026-01-01T00:00:00.123Z", "x": None})

# ---- Drift, TOAST, deletions, keys
case("columns that nobody asked for", {"a": Column("string"), "b": Column("int64", TIME + "MicroDuration")}, [], {"a": "x", "b": 1},
     gives={"id": 1}, unnamed=["a", "b"])
case("a column that was dropped, and one that may be NULL", {}, ["gone string", "may string null"], {},
     reason="missing required column gone (the table changed, or")
case("a column that was retyped", {"v": Column("int64", TIME + "MicroTimestamp")}, ["v int64"], {"v": 1},
     reason="the table has io.debezium.time.MicroTimestamp, which isn't read as int64 (the table changed, or")
case("unchanged text, bytes, json and array", {"t": Column("string"), "b": Column("bytes"), "j": Column("string", DATA + "Json"),
                                               "a": Column("array", items=Column("string")), "k": Column("string")},
     ["t string", "b bytes", "j json", "a json", "k string"],
     {"t": UNAVAILABLE, "b": UNAVAILABLE.encode(), "j": UNAVAILABLE, "a": [UNAVAILABLE], "k": UNAVAILABLE + "!"}, op="u",
     unchanged=["t", "b", "j", "a"])
case("a deletion by the row before", {"v": Column("string")}, ["v string"], {"v": None}, op="d", deletes=1)
case("a deletion without one", {"v": Column("string")}, ["v string"], None, op="d", deletes=1)
case("a record key that is another", {"v": Column("string")}, ["v string"], {"v": "a"}, key_names=("uid",),
     reason="the record key is (uid), the source's `key` (id)")
case("an insert without a row", {}, [], None, op="c", reason="op c without `after`")
case("a truncate that may be passed over", {}, [], None, op="t", reason="the table was emptied (TRUNCATE)")
case("an operation that isn't known", {}, [], {}, op="z", reason='unknown op "z"')
case("a message of the log", {}, [], None, op="m", nothing=True)


def by_hand(name, value, reason, key=None, schema=None):
    schema = json.dumps(schema or envelope_avro({"id": ID}, postgres()))
    key_schema = json.dumps({"type": "record", "name": "Key", "fields": [{"name": "id", "type": "long"}]})
    CASES.append({"name": name, "encoding": "avro", "columns": ["id int64"], "value": value.hex(),
                  "key": key or (b"\0\0\0\0\7\2").hex(), "schemas": {"7": key_schema, "8": schema}, "reason": reason})


by_hand("a value that isn't framed", b"\1\2", "the number of a schema")
by_hand("a schema that the registry doesn't know", b"\0\0\0\0\x63\0", "unknown")
by_hand("a number of eight bytes, as Apicurio's converter has it", b"\0" + (8).to_bytes(8, "big") + b"\0\2",
        "set apicurio.registry.as-confluent = true and apicurio.registry.use-id = contentId")
by_hand("a record that ends within the envelope", b"\0\0\0\0\x08\0\2", "malformed Avro at byte")
by_hand("a schema that is no envelope", b"\0\0\0\0\x08\2", "it has no `op`",
        schema={"type": "record", "name": "R", "fields": [{"name": "id", "type": "long"}]})
by_hand("a record key of another format", b"\0\0\0\0\x08" + bytes.fromhex(CASES[1]["value"][10:]), "record key: ",
        key=b'{"id":1}'.hex(), schema=json.loads(CASES[1]["schemas"]["8"]))

path = pathlib.Path(__file__).with_name("debezium.jsonl")
lines = "".join(json.dumps(made, ensure_ascii=False) + "\n" for made in CASES)
path.write_text(re.sub(r'"=([-.0-9]+)"', r"\1", lines), encoding="utf-8")
print(f"{len(CASES)} records in {path.name}")
