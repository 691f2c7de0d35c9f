"""examples/broker: events of its services as they are sent, in each one's own format, and what DuckDB makes of them. The rules
are those of the example's files, and the columns too."""

import collections
import csv
import io
import json
import pathlib
import random
import re
import shutil
import struct
from datetime import datetime, timedelta, timezone

import duckdb
import fastavro
import yaml

import topics
from stack import ROOT, Failure

EXAMPLE = ROOT / "examples" / "broker"
SIXTEENTH = "complaints"
START = datetime(2026, 1, 5, 23, 30, tzinfo=timezone.utc)  # so that lakes have two days
PARTITIONS = 2
REPEATED, BROKEN, UNREADABLE = 0.1, 0.03, 0.01  # shares of the events
SQL = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}
UNREADABLE_VALUES = {"json": b'{"event_id": ', "csv": b"one field", "avro": b"\xff" * 4, "protobuf": b"\x0a\xff"}
# By column, what keeps to every service's rules, and by service, what doesn't.
GOOD = {
    "account": lambda r: r.randrange(1, 5_000), "client": lambda r: f"client {r.randrange(900)}", "state": lambda r: r.choice(["open", "closed"]),
    "instrument": lambda r: f"I{r.randrange(200):03d}", "price": lambda r: r.randrange(1, 90_000) / 100,
    "amount": lambda r: r.randrange(1, 900_000) / 100, "currency": lambda r: r.choice(["EUR", "NOK", "USD"]),
    "per_share": lambda r: r.randrange(1, 90_000) / 10_000, "kind": lambda r: r.choice(["statement", 'contract, "long"']),
    "pages": lambda r: r.randrange(1, 40), "reason": lambda r: r.choice(["custody", "order, small", "transfer"]),
    "order_id": lambda r: r.randrange(1, 1 << 40), "quantity": lambda r: r.randrange(1, 10_000),
    "address": lambda r: f"10.0.{r.randrange(256)}.{r.randrange(256)}", "attempts": lambda r: r.randrange(1, 4),
    "missing": lambda r: r.randrange(1, 90_000) / 100, "side": lambda r: r.choice(["buy", "sell"]), "bid": lambda r: r.randrange(1, 5_000) / 100,
    "ask": lambda r: r.randrange(5_000, 9_000) / 100, "sender": lambda r: r.randrange(1, 2_000), "receiver": lambda r: r.randrange(2_000, 5_000),
    "about": lambda r: r.choice(["fees", "delay"]), "severity": lambda r: r.randrange(1, 6),
}
BROKEN_BY = {
    "accounts": {"state": "lost"}, "alerts": {"price": 0.0}, "deposits": {"amount": -1.0}, "dividends": {"per_share": 0}, "documents": {"pages": 0},
    "fees": {"amount": -0.01}, "fills": {"quantity": 0}, "logins": {"attempts": 99}, "margin_calls": {"missing": 0}, "orders": {"side": "hold"},
    "positions": {"quantity": 2_000_000}, "quotes": {"ask": 0.001}, "trades": {"price": -1.0}, "transfers": {"receiver": 1, "sender": 1},
    "withdrawals": {"amount": 0.0}, "complaints": {"severity": 9},
}


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def protobuf(types, event):
    """By the encoding's description: fields numbered in their order, those that are zero left out."""
    out = b""
    for number, (column, kind) in enumerate(types.items(), 1):
        value = event[column]
        if kind == "timestamp":
            inner = b"\x08" + varint(int(value.timestamp())) + b"\x10" + varint(value.microsecond * 1000)
            out += varint(number << 3 | 2) + varint(len(inner)) + inner
        elif kind == "string":
            out += varint(number << 3 | 2) + varint(len(value.encode())) + value.encode()
        elif kind == "double" and value != 0:
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        elif kind == "int64" and value != 0:
            out += varint(number << 3) + varint(value)
    return out


class Service:
    def __init__(self, name, text):
        given = yaml.safe_load(text)["use"][name]["with"]
        self.name, self.format = name, given.get("format", {"type": "json"})["type"]
        self.types = {"event_id": "string", "occurred_at": "timestamp",
                      **{c: t["type"] if isinstance(t, dict) else t for c, t in given["columns"].items()}}
        self.rules = {rule: said["that"] for rule, said in given["rules"].items()}
        if self.format == "avro":
            self.schema = fastavro.parse_schema(json.loads((EXAMPLE / "schemas" / f"{name}.avsc").read_text()))

    def encode(self, event):
        if self.format == "protobuf":
            return protobuf(self.types, event)
        if self.format == "avro":
            out = io.BytesIO()
            fastavro.schemaless_writer(out, self.schema, event)
            return out.getvalue()
        said = {c: v.isoformat() if isinstance(v, datetime) else v for c, v in event.items()}
        if self.format == "json":
            return json.dumps(said).encode()
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(said.values())
        return out.getvalue().encode()


class Broker:
    """What the services have sent: a copy of the topology in `folder`, and events in files for the oracle."""

    def __init__(self, stack, folder, seed=1):
        self.stack, self.folder, self.random = stack, pathlib.Path(folder), random.Random(seed)
        shutil.copytree(EXAMPLE, self.folder)
        self.config, self.lake = self.folder / "topology.yaml", self.folder / "lake"
        self.services = {p.stem: Service(p.stem, p.read_text()) for p in sorted((EXAMPLE / "services").glob("*.yaml"))}
        self.sent, self.numbers = collections.defaultdict(list), collections.Counter()
        self.unreadable = collections.Counter()
        topics.create(stack.brokers, **{name: PARTITIONS for name in [*self.services, SIXTEENTH]})

    def add_the_sixteenth(self):
        """The file that the example's README shows."""
        text = re.search(r"```yaml\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)[1]
        (self.folder / "services" / f"{SIXTEENTH}.yaml").write_text(text)
        self.services[SIXTEENTH] = Service(SIXTEENTH, text)

    def environment(self):
        return self.stack.environment(LAKE=str(self.lake), SCHEMAS=str(self.folder / "schemas"))

    def send(self, count):
        """So many events of each service, and what else there is of repeats, broken rules and bytes that are no record."""
        for service in self.services.values():
            records = []
            for _ in range(count):
                n = self.numbers[service.name]
                self.numbers[service.name] += 1
                at = START + timedelta(seconds=n)
                event = {"event_id": f"{service.name}-{n}", "occurred_at": at,
                         **{c: GOOD[c](self.random) for c in list(service.types)[2:]}}
                if self.random.random() < BROKEN:
                    event.update(BROKEN_BY[service.name])
                times = 2 if self.random.random() < REPEATED else 1
                self.sent[service.name] += [event] * times
                values = [service.encode(event)] * times
                if self.random.random() < UNREADABLE:
                    values.append(UNREADABLE_VALUES[service.format])
                    self.unreadable[service.name] += 1
                records += [{"value": value, "partition": (n + i) % PARTITIONS, "timestamp": int(at.timestamp() * 1000)}
                            for i, value in enumerate(values)]
            topics.produce(self.stack.brokers, service.name, records)

    def differences(self):
        """Between what stands in lakes and topics and what DuckDB makes of what was sent, in words."""
        found = []
        _, headers = topics.read(self.stack.brokers, "broker-dead-letter", headers=True)
        letters = collections.Counter(h["tidemark.source.topic"].decode() for h in headers)
        for service in self.services.values():
            found += self._differences(service, letters[service.name])
        return found

    def _differences(self, service, letters):
        db = duckdb.connect()
        db.execute("SET TimeZone = 'UTC'")
        columns = {c: SQL.get(t, t.upper()) for c, t in service.types.items()}
        path = self.folder / f"sent-{service.name}.jsonl"
        path.write_text("".join(json.dumps({**e, "occurred_at": f"{e['occurred_at']:%Y-%m-%d %H:%M:%S.%f}"}) + "\n"
                                for e in self.sent[service.name]))
        db.execute(f"CREATE TABLE sent AS SELECT * FROM read_json('{path}', format = 'newline_delimited', columns = {columns})")
        kept = " AND ".join(f"coalesce(({rule}), true)" for rule in service.rules.values())
        names = ", ".join(f'"{c}"' for c in columns)
        cast = ", ".join(f'"{c}"::{t} AS "{c}"' for c, t in columns.items())
        lake = lambda kind: f"SELECT {cast} FROM read_parquet('{self.lake}/{kind}/{service.name}/**/*.parquet')"
        out = self.folder / f"out-{service.name}.jsonl"
        out.write_bytes(b"\n".join(topics.read(self.stack.brokers, f"{service.name}-curated")["value"].to_pylist()))
        topic = f"SELECT {names} FROM read_json('{out}', format = 'newline_delimited', columns = {columns})"
        curated = f"SELECT DISTINCT {names} FROM sent WHERE {kept}"
        differences = []
        for what, has, wants in (("raw lake", lake("raw"), f"SELECT {names} FROM sent"), ("curated lake", lake("curated"), curated),
                                 ("topic", topic, curated)):
            for word, a, b in (("lacks", wants, has), ("has besides", has, wants)):
                rows, first = db.execute(f"SELECT count(*), min(t::VARCHAR) FROM (({a}) EXCEPT ALL ({b})) t").fetchone()
                if rows:
                    differences.append(f"{service.name}: the {what} {word} {rows} rows, such as {first}")
        expected = db.execute(f"SELECT count(*) FROM sent WHERE NOT ({kept})").fetchone()[0] + self.unreadable[service.name]
        if letters != expected:
            differences.append(f"{service.name}: {letters} dead letters, expected {expected}")
        return differences

    def summary(self):
        return (f"{sum(map(len, self.sent.values())):,} events of {len(self.services)} services, "
                f"{sum(self.unreadable.values()):,} records that can't be read")

    def plan(self):
        """What `tidemark plan` says of the topology as it is now, with its exit code."""
        code, out, err = self.stack.tidemark("plan", "--config", self.config, env=self.environment(), check=False)
        if code not in (0, 3):
            raise Failure(f"tidemark plan ended with {code}:\n{out}{err}")
        return code, out

    def run(self, *args, name):
        return self.stack.run(self.config, *args, name=name, threads=1, env=self.environment())
